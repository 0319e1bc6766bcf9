/* Money and caps of a name, for people: what an identity, a role, a trunk or all have used of what
 * their caps allow. Reads all shards; writes nothing. */
#include "call/core_int.h"
#include "call/payer.h"

static const char *const SPANS[SPAN_COUNT] = {"hour", "day", "month"};

static void row(const struct core *c, enum ledger_kind kind, struct str name,
                const struct caps *caps, struct out *o, struct now now)
{
    static const struct caps none;
    struct ledger_sum s =
        ledger_sum(&c->cfg.ledger, kind, ledger_key_of(&c->cfg.ledger_key, kind, name), now.wall);
    caps = caps ? caps : &none;
    out_ch(o, '{');
    out_json_ku64(o, STR("calls"), s.calls);
    out_json_ku64(o, STR("calls_cap"), caps->calls);
    out_json_ku64(o, STR("attempts_min"), s.attempts_min);
    out_json_ku64(o, STR("attempts_cap"), caps->attempts_min);
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        out_json_key(o, str_c(SPANS[i]));
        out_ch(o, '{');
        out_json_ku64(o, STR("seconds"), s.seconds[i]);
        out_json_ku64(o, STR("seconds_cap"), caps->seconds[i]);
        out_json_ki64(o, STR("micro"), s.micro[i]);
        out_json_ki64(o, STR("micro_cap"), caps->micro[i]);
        if (caps->seconds[i])
            out_json_ku64(o, STR("seconds_left"),
                          caps->seconds[i] - MIN(s.seconds[i], caps->seconds[i]));
        if (caps->micro[i])
            out_json_ki64(o, STR("micro_left"), caps->micro[i] - MIN(s.micro[i], caps->micro[i]));
        out_ch(o, '}');
    }
    out_ch(o, '}');
}

static void if_any(const struct core *c, enum ledger_kind kind, const char *key, struct str name,
                   const struct caps *caps, struct out *o, struct now now)
{
    out_json_key(o, str_c(key));
    row(c, kind, name, caps, o, now);
}

/* "AT", or "+8816" as a prefix has it. */
static void places(const struct core *c, struct str name, struct out *o, struct now now)
{
    const struct policy *p = c->policy;
    uint16_t country = country_parse(name);
    if (country)
        if_any(c, LEDGER_COUNTRY, "country", name, money_country_caps(p, country), o, now);
    if (!str_starts(name, STR("+")))
        return;
    const struct policy_place *x = money_place(p, name);
    bool same = x && x->prefix_n == name.n - 1;
    if_any(c, LEDGER_PREFIX, "prefix", str_skip(name, 1), same ? &x->caps : NULL, o, now);
}

static void behaviour(const struct core *c, struct str name, struct out *o, struct now now)
{
    if (!c->env.fraud)
        return;
    out_json_key(o, STR("behaviour"));
    fraud_explain_json(c->env.fraud, ledger_key_of(&c->cfg.ledger_key, LEDGER_IDENTITY, name),
                       now.wall, o);
}

/* A user's name without a domain is of the first one. */
static struct str user_of(const struct core *c, struct str name, struct out *full)
{
    struct str domain = policy_text(c->policy, c->policy->domains[0]);
    if (!name.n || str_find(name, '@') < name.n || !directory_find(c->env.directory, name, domain))
        return name;
    out_put(full, name);
    out_ch(full, '@');
    out_put(full, domain);
    return full->full ? name : out_str(full);
}

/* "" is the system, and what behaviour was counted. */
void core_ledger_json(const struct core *c, struct str name, struct out *o, struct now now)
{
    const struct policy *p = c->policy;
    char mem[REQUEST_USER_MAX];
    struct out full = out_of(mem, sizeof mem);
    struct str who = user_of(c, name, &full);
    struct payer x = money_payer(&c->env, who, now.wall);
    out_ch(o, '{');
    out_json_kstr(o, STR("name"), name.n ? name : STR("system"));
    out_json_kstr(o, STR("currency"), policy_text(p, p->currency));
    if (money_unknown(p, &(struct rate){.minute_micro = 60, .minimum_s = 60, .increment_s = 60},
                      now.wall) != REASON_NONE)
        out_json_kbool(o, STR("spent_unknown"), true);
    if (c->cfg.ledger.own) {
        if_any(c, LEDGER_SYSTEM, "system", STR("system"), &p->system, o, now);
        for (uint8_t i = 0; i < p->n_peers; i++)
            if (name.n && str_ieq(policy_text(p, p->peers[i].name), name))
                if_any(c, LEDGER_TRUNK, "trunk", name, &p->peers[i].caps, o, now);
        for (uint8_t i = 0; i < p->n_roles; i++)
            if (name.n && str_ieq(policy_text(p, p->roles[i].name), name))
                if_any(c, LEDGER_ROLE, "role", name, &p->roles[i].whole, o, now);
        for (unsigned i = 0; i < CLASS_COUNT; i++)
            if (str_eq(number_class_name((enum number_class)i), name))
                if_any(c, LEDGER_CLASS, "class", name, &p->class_caps[i], o, now);
        places(c, name, o, now);
        if (x.user)
            if_any(c, LEDGER_IDENTITY, "identity", who,
                   money_caps(p, &x, LEDGER_IDENTITY, CLASS_UNKNOWN, POLICY_NONE), o, now);
    }
    if (x.user) {
        out_json_kbool(o, STR("locked"), money_locked(&c->env, who, now.wall));
        out_json_kbool(o, STR("off_hours"), x.off_hours);
        behaviour(c, who, o, now);
    } else if (!name.n && c->env.fraud) {
        out_json_key(o, STR("behaviour"));
        fraud_counts_json(c->env.fraud, o);
    }
    out_ch(o, '}');
}
