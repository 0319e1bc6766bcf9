/* Behaviour: what becomes of calls is told to guard/fraud.h, and what it says of somebody is told
 * and done: cut, lock. A lock is asked of the monitor, as bans are, and outlives restarts.
 *
 * What is usual for somebody is written by one engine, their home (fraud_home). An engine that has
 * a call of theirs judges it by a copy and tells home, which judges once more: calls that two
 * engines let in at the same moment meet there, and their lock. */
#include "call/money.h"

enum news { NEWS_EVENT = 1, NEWS_CUT };
struct fraud_news { /* from engine to engine; who follows */
    struct fraud_event e;
    uint8_t kind; /* enum news */
    uint8_t act;  /* that was taken already */
    uint8_t who_n, pad[5];
};
_Static_assert(sizeof(struct fraud_news) % 8 == 0, "no hole at its end");

static void tell_engine(struct core *c, uint8_t engine, enum news kind, const struct fraud_event *e,
                        uint8_t act, struct str who)
{
    uint8_t mem[sizeof(struct fraud_news) + REQUEST_USER_MAX] = {0};
    struct fraud_news n = {.kind = (uint8_t)kind, .act = act, .who_n = (uint8_t)who.n};
    if (who.n > REQUEST_USER_MAX)
        return;
    if (e)
        n.e = *e;
    memcpy(mem, &n, sizeof n);
    memcpy(mem + sizeof n, who.p, who.n);
    core_fraud_at(c, engine, str_of((const char *)mem, sizeof n + who.n));
}

/* Their calls to the outside end at the next turn of the clock: whoever asks may be in the midst of
 * one of them. */
static void cut_all(struct core *c, struct str who)
{
    uint32_t it = 0;
    struct leg *l;
    while ((l = pool_next(&c->legs, &it)))
        if (l->pay.on && !l->pay.emergency && str_eq(l->pay.who, who)) {
            l->pay.cut = true;
            timer_arm(&c->wheel, &l->call->timer, c->now.mono);
        }
}

static void lock(struct core *c, struct str who, const struct fraud_verdict *v)
{
    struct ban b = {.scope = BAN_AOR,
                    .treat = TREAT_LOCK,
                    .by = BY_RULE,
                    .reason = REASON_fraud_locked,
                    .score = v->score,
                    .times = 1,
                    .key = money_lock_key(&c->cfg.hash_key, who),
                    .since = c->now.wall};
    struct out why = out_of(b.why, BAN_WHY);
    b.who_n = (uint8_t)MIN(who.n, BAN_WHO);
    memcpy(b.who, who.p, b.who_n);
    OUT_LIT(&why, "fraud:");
    for (unsigned i = 0; i < SIGN_COUNT; i++)
        if (v->signs >> i & 1) {
            out_ch(&why, ' ');
            out_put(&why, fraud_sign_name((enum fraud_sign)i));
        }
    b.why_n = (uint8_t)why.n;
    core_ban(c, &b);
}

/* Score enough to be told? */
static bool worth(const struct core *c, const struct fraud_verdict *v)
{
    uint16_t log = c->policy->fraud.level[FRAUD_LOG];
    return v->act > FRAUD_LOG || (v->signs && log && v->score >= log);
}

static struct fact *fact_of(struct core *c, const struct fraud_verdict *v, enum reason why,
                            struct str who)
{
    struct fact *f = fact_begin(c, FACT_MONEY, why, reason_info(why)->code);
    f->u.money.act = v->dry                    ? MONEY_NOTED
                     : v->again                ? MONEY_REFUSED
                     : v->act == FRAUD_LOCK    ? MONEY_LOCKED
                     : v->act == FRAUD_CUT     ? MONEY_CUT
                     : v->act >= FRAUD_STEP_UP ? MONEY_REFUSED
                                               : MONEY_NOTED;
    f->u.money.cap_kind = LEDGER_KINDS;
    f->u.money.fraud_act = v->act;
    f->u.money.dry = v->dry;
    f->u.money.score = v->score;
    f->u.money.signs = v->signs;
    TEXT_SET(f->u.money.who, who);
    return f;
}

static void carry_out(struct core *c, struct str who, const struct fraud_verdict *v)
{
    if (v->dry || v->act < FRAUD_CUT || str_find(who, '@') == who.n) /* a peer is many people */
        return;
    cut_all(c, who);
    for (uint8_t i = 0; i < c->cfg.engines; i++)
        if (i != c->cfg.engine)
            tell_engine(c, i, NEWS_CUT, NULL, v->act, who);
    if (v->act == FRAUD_LOCK)
        lock(c, who, v);
}

void money_judged(struct core *c, const struct request *r, enum reason why)
{
    struct str who = str_of(r->user, r->user_n);
    if (!r->user_n && r->peer != POLICY_NONE)
        who = policy_text(c->policy, c->policy->peers[r->peer].name);
    bool told = worth(c, &r->fraud), capped = r->cap.cap != 0;
    if (r->fraud.elsewhere) {
        struct payer payer = money_payer(&c->env, who, r->now.wall);
        struct rate price = money_rate(&c->env, r->route->peers[0], &r->number_to, r->now.wall);
        struct fraud_event x = gate_fraud_event(&c->env, r, &payer, &price);
        tell_engine(c, r->fraud.home, NEWS_EVENT, &x, r->fraud.act, payer.who);
    }
    if (!told && !capped)
        return;
    carry_out(c, who, &r->fraud);
    if (!quiet_share_of(c, &r->flow.peer, QUIET_PROVEN)) {
        core_count(c, REASON_log_share);
        return;
    }
    struct fact *f = fact_of(c, &r->fraud, told ? REASON_fraud_behaviour : why, who);
    f->u.money.number_class = r->number_to.kind;
    f->u.money.country = r->number_to.country;
    TEXT_SET(f->u.money.to, str_of(r->number_to.e164, r->number_to.n));
    if (capped) {
        f->u.money.act = MONEY_REFUSED;
        f->u.money.cap_kind = r->cap.kind;
        f->u.money.used = r->cap.used;
        f->u.money.cap = r->cap.cap;
    }
    fact_end(c);
}

/* --- learning --- */

static void said(struct core *c, const struct fraud_event *x, struct str who,
                 const struct addr *source, const struct fraud_verdict *v)
{
    if (!worth(c, v))
        return;
    if (x->what != FRAUD_ENDED || v->act == FRAUD_LOCK)
        carry_out(c, who, v);
    if (!quiet_share_of(c, source, QUIET_PROVEN)) {
        core_count(c, REASON_log_share);
        return;
    }
    struct fact *f = fact_of(c, v, REASON_fraud_behaviour, who);
    f->u.money.number_class = x->kind;
    f->u.money.country = x->country;
    f->u.money.session = x->session;
    TEXT_SET(f->u.money.to, str_c(x->number));
    fact_end(c);
}

static const struct addr nowhere;

static void step(struct core *c, struct fraud_event *x, struct str who, const struct call *k)
{
    struct fraud_verdict v;
    x->at = c->now.wall;
    x->identity = ledger_key_of(&c->cfg.ledger_key, LEDGER_IDENTITY, who);
    if (k && c->env.geo)
        x->source_country = geo_country(c->env.geo, &k->a->flow.peer);
    fraud_step(c->env.fraud, x, &v);
    if (v.elsewhere)
        tell_engine(c, v.home, NEWS_EVENT, x, FRAUD_LOG, who);
    else
        said(c, x, who, k ? &k->a->flow.peer : &nowhere, &v);
}

static bool news_sound(const struct fraud_news *n)
{
    size_t len = 0;
    while (len < sizeof n->e.number && n->e.number[len])
        len++;
    for (size_t i = 0; i < len; i++)
        if (!ascii_digit(n->e.number[i]) && (i || n->e.number[i] != '+'))
            return false;
    return len < sizeof n->e.number && n->e.what <= FRAUD_INBOUND && n->act < FRAUD_LEVELS &&
           n->e.kind < CLASS_COUNT && n->e.micro >= 0;
}

static void news_event(struct core *c, struct fraud_news *n, struct str who)
{
    struct fraud_verdict v;
    n->e.at = c->now.wall;
    fraud_step(c->env.fraud, &n->e, &v);
    if (v.elsewhere) /* not at home here: they do not know where they are */
        core_count(c, REASON_ipc_malformed);
    else if (n->e.what != FRAUD_ATTEMPT || (v.act >= FRAUD_CUT && v.act > n->act))
        said(c, &n->e, who, &nowhere, &v);
}

void core_fraud(struct core *c, struct str news, struct now now)
{
    struct fraud_news n;
    c->now = now;
    if (!c->env.fraud)
        return;
    if (news.n < sizeof n) {
        core_count(c, REASON_ipc_malformed);
        return;
    }
    memcpy(&n, news.p, sizeof n);
    struct str who = str_skip(news, sizeof n);
    bool mine = ledger_key_of(&c->cfg.ledger_key, LEDGER_IDENTITY, who) == n.e.identity;
    if (who.n != n.who_n || !who.n || who.n > REQUEST_USER_MAX || !news_sound(&n))
        core_count(c, REASON_ipc_malformed);
    else if (n.kind == NEWS_CUT)
        cut_all(c, who);
    else if (n.kind == NEWS_EVENT && mine)
        news_event(c, &n, who);
    else
        core_count(c, REASON_ipc_malformed);
}

bool core_fraud_release(struct core *c, struct str name, struct now now)
{
    c->now = now;
    return c->fraud && name.n &&
           fraud_release(c->fraud, ledger_key_of(&c->cfg.ledger_key, LEDGER_IDENTITY, name));
}

void money_learn(struct leg *l, enum fraud_what what, uint32_t seconds, int64_t micro,
                 uint16_t code)
{
    const struct call *k = l->call;
    struct core *c = k->core;
    if (!c->env.fraud || l->pay.emergency)
        return;
    struct payer who = money_payer(&c->env, l->pay.who, c->now.wall);
    struct fraud_event x = {.what = (uint8_t)what,
                            .session = k->session,
                            .seconds = seconds,
                            .micro = micro,
                            .code = code,
                            .country = l->pay.country,
                            .kind = l->pay.kind,
                            .off_hours = who.off_hours};
    if (l->peer != POLICY_NONE)
        x.trunk = ledger_key_of(&c->cfg.ledger_key, LEDGER_TRUNK,
                                policy_text(c->policy, c->policy->peers[l->peer].name));
    memcpy(x.number, l->pay.number, sizeof x.number - 1);
    step(c, &x, who.who, k);
}

/* Who calls as that URI. */
static void number_from(const struct core *c, struct str uri, struct number *ret_n)
{
    char text[DIALLED_MAX];
    size_t n;
    struct dial_plan plan = policy_plan(c->policy, policy_site(c->policy, STR_NONE));
    if (!dialled_of_uri(uri, text, sizeof text, &n) ||
        number_of(&plan, str_of(text, n), ret_n) != OK)
        *ret_n = (struct number){.kind = CLASS_UNKNOWN};
}

void money_inbound(const struct leg *b)
{
    struct call *k = b->call;
    struct core *c = k->core;
    uint8_t peer = k->a->peer;
    if (!c->env.fraud || peer == POLICY_NONE || !c->policy->peers[peer].trunk || !b->aor.n ||
        k->n_forks || k->emergency)
        return;
    struct number from;
    const struct sip_msg *m = k->a->held->m;
    number_from(c, sip_text(m, m->from_uri), &from);
    struct fraud_event x = {.what = FRAUD_INBOUND,
                            .session = k->session,
                            .country = from.country,
                            .kind = from.kind,
                            .trunk =
                                ledger_key_of(&c->cfg.ledger_key, LEDGER_TRUNK,
                                              policy_text(c->policy, c->policy->peers[peer].name))};
    memcpy(x.number, from.e164, MIN(from.n, sizeof x.number - 1));
    step(c, &x, b->aor, k);
}

void money_forwarded(struct call *k, struct str by)
{
    struct core *c = k->core;
    struct fraud_event x = {.what = FRAUD_FORWARDED,
                            .session = k->session,
                            .country = k->called.country,
                            .kind = k->called.kind};
    if (!c->env.fraud || k->emergency)
        return;
    memcpy(x.number, k->called.e164, MIN(k->called.n, sizeof x.number - 1));
    step(c, &x, by, k);
}

void money_registered(struct core *c, const struct request *r)
{
    struct fraud_event x = {.what = FRAUD_REGISTERED, .source_country = r->country};
    if (c->env.fraud && r->user_n)
        step(c, &x, str_of(r->user, r->user_n), NULL);
}
