/* What the shield tells: evidence, alerts, and bans to be asked for; and whose calls it ends. Junk
 * must not fill the store: what is beyond a source's share, or beyond that of all, is counted. */
#include "call/core_int.h"
#include "call/redact.h"

#define KICK_STEP       256u
#define EXPLAIN_DEVICES 16u

void shield_keep(struct core *c, struct obs *o, struct str bytes)
{
    if (o->evidence || !bytes.n || !quiet_share_of(c, &o->source, QUIET_EVIDENCE))
        return;
    o->evidence = (uint64_t)(c->cfg.engine + 1) << 56 |
                  (((uint64_t)c->now.wall.us + c->shield.evidence++) & ((UINT64_C(1) << 56) - 1));
    struct fact *f = fact_begin(c, FACT_EVIDENCE, REASON_NONE, 0);
    f->u.evidence.id = o->evidence;
    f->u.evidence.whole = (uint32_t)bytes.n;
    f->u.evidence.n = (uint16_t)redact(bytes, f->u.evidence.p, sizeof f->u.evidence.p);
    fact_end(c);
}

/* NULL: it is only counted. */
static struct fact *alert_begin(struct core *c, const struct obs *o, const struct sip_msg *m)
{
    if (!quiet_share_of(c, &o->source, o->flags & OBS_PROVEN ? QUIET_PROVEN : QUIET_CLAIMED)) {
        core_count(c, REASON_log_share);
        if (o->reason)
            quiet_add(c, (enum reason)o->reason, &o->source);
        return NULL;
    }
    struct fact *f = fact_begin(c, FACT_ALERT, (enum reason)o->reason, o->code);
    f->u.alert.proto = o->proto;
    f->u.alert.zone = o->zone;
    f->u.alert.source = o->source;
    f->u.alert.evidence = o->evidence;
    if (o->listener < c->policy->n_listeners)
        f->u.alert.dest = c->policy->listeners[o->listener].bind;
    TEXT_SET(f->u.alert.from, str_of(o->who, o->who_n));
    if (m && m->is_request) {
        TEXT_SET(f->u.alert.call_id, sip_text(m, m->call_id));
        TEXT_SET(f->u.alert.from, sip_text(m, m->from_uri));
        TEXT_SET(f->u.alert.to, sip_text(m, m->uri));
        TEXT_SET(f->u.alert.method, sip_text(m, m->method_text));
        TEXT_SET(f->u.alert.user_agent, sip_get(m, HDR_USER_AGENT));
    }
    return f;
}

void shield_tell_rule(struct core *c, const struct rules_hit *x, const struct obs *o,
                      const struct sip_msg *m)
{
    struct fact *f = alert_begin(c, o, m);
    if (!f)
        return;
    f->u.alert.by = BY_RULE;
    f->u.alert.action = x->action;
    f->u.alert.severity = x->severity;
    f->u.alert.gid = x->gid;
    f->u.alert.sid = x->sid;
    f->u.alert.rev = x->rev;
    f->u.alert.dry = c->policy->guard.dry_run;
    TEXT_SET(f->u.alert.message, x->msg);
    TEXT_SET(f->u.alert.classtype, x->classtype);
    fact_end(c);
}

void shield_tell(struct core *c, struct guard_event *e, struct obs *o, const struct sip_msg *m)
{
    if (e->ban.scope && m) /* nobody is banned without a reason to show */
        shield_keep(c, o, m->bytes);
    if (!e->ban.evidence)
        e->ban.evidence = o->evidence;
    struct fact *f = alert_begin(c, o, m);
    if (f) {
        f->u.alert.by = BY_DETECTOR;
        f->u.alert.detector = e->detector;
        f->u.alert.treat = e->treat;
        f->u.alert.dry = e->dry;
        f->u.alert.score = e->score;
        f->u.alert.level = e->level;
        f->u.alert.severity = e->treat >= TREAT_REFUSE ? 1 : e->treat > TREAT_LOG ? 2 : 3;
        TEXT_SET(f->u.alert.message, str_c(detector_text((enum detector)e->detector)));
        TEXT_SET(f->u.alert.classtype, str_c(detector_name((enum detector)e->detector)));
        fact_end(c);
    }
    if (e->ban.scope && !e->dry && !e->ban.dry)
        core_ban(c, &e->ban);
}

/* --- calls of whom the board says that they end --- */

static bool kicked(const struct core *c, const struct leg *l, struct str user, uint64_t number)
{
    const struct ban_board *b = c->env.bans;
    uint32_t cap = c->env.bans_cap;
    struct ban_view v;
    if (l->peer != POLICY_NONE || !l->flow.peer.family)
        return false;
    if (ban_of_source(b, cap, &l->flow.peer, c->now.wall, &v) && v.treat == TREAT_KICK)
        return true;
    uint64_t aor = user.n ? location_hash(&c->cfg.hash_key, user) : 0;
    return ban_of_party(b, cap, &l->flow.peer, aor, 0, number, c->now.wall, &v) &&
           v.treat == TREAT_KICK;
}

static bool call_kicked(const struct core *c, const struct call *k)
{
    return !k->emergency &&
           (kicked(c, k->a, k->user, k->number) || (k->b && kicked(c, k->b, k->b->aor, 0)));
}

/* While anybody is banned, every engine looks through its calls, some at a time: 1000 within a
 * second. Calls for help go on. */
void shield_tick(struct core *c)
{
    if (!c->env.bans_cap || !__atomic_load_n(&c->env.bans->used, __ATOMIC_RELAXED))
        return;
    for (unsigned i = 0; i < KICK_STEP; i++) {
        struct call *k = pool_next(&c->calls, &c->shield.kick_it);
        if (!k) {
            c->shield.kick_it = 0;
            return;
        }
        if (call_kicked(c, k)) {
            core_count(c, REASON_shield_kicked);
            call_end(k, REASON_shield_kicked, 403, 'g');
        }
    }
}

/* --- for people --- */

static void entity_put(const struct core *c, enum entity e, uint64_t hash, struct now now,
                       struct out *o)
{
    out_json_key(o, str_c(entity_name(e)));
    if (!guard_explain(c->shield.guard, e, hash, now, o))
        OUT_LIT(o, "null");
}

static void devices_put(const struct core *c, uint64_t source, uint64_t aor, struct now now,
                        struct out *o)
{
    out_json_key(o, STR("devices"));
    out_ch(o, '[');
    guard_devices(c->shield.guard, source, aor, EXPLAIN_DEVICES, now, o);
    out_ch(o, ']');
}

/* A name without a domain is a user's of ours. */
static uint64_t aor_of_name(const struct core *c, struct str name)
{
    char text[LOCATION_AOR_MAX];
    struct out o = out_of(text, sizeof text);
    out_put(&o, name);
    if (str_find(name, '@') == name.n) {
        out_ch(&o, '@');
        out_put(&o, policy_text(c->policy, c->policy->domains[0]));
    }
    return location_hash(&c->cfg.hash_key, o.full ? name : out_str(&o));
}

void core_explain_json(const struct core *c, const struct addr *a, struct str name, struct out *o,
                       struct now now)
{
    const struct guard *g = c->shield.guard;
    uint16_t country = a && a->family && c->env.geo ? geo_country(c->env.geo, a) : 0;
    char two[2] = {(char)(country >> 8), (char)(country & 0xff)};
    out_ch(o, '{');
    if (a && a->family) {
        enum tier t = shield_peer(c, a, UINT32_MAX) ? TIER_TRUNK : guard_tier(g, a, now.mono);
        out_json_kstr(o, STR("tier"), str_c(tier_name(t)));
        if (country)
            out_json_kstr(o, STR("country"), str_of(two, sizeof two));
        entity_put(c, ENTITY_SOURCE, guard_hash(g, a), now, o);
        devices_put(c, guard_hash(g, a), 0, now, o);
    }
    if (name.n) {
        entity_put(c, ENTITY_AOR, aor_of_name(c, name), now, o);
        entity_put(c, ENTITY_NUMBER, siphash(&c->cfg.hash_key, name), now, o);
        if (!a || !a->family)
            devices_put(c, 0, aor_of_name(c, name), now, o);
    }
    out_ch(o, '}');
}

void core_top_json(const struct core *c, unsigned n, struct out *o, struct now now)
{
    guard_top(c->shield.guard, n, now, o);
}
