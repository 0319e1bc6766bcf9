/* What a call costs, from set-up to its end, in the ledger. Each leg to the outside carries what it
 * holds there, so that it is given back wherever the leg ends (leg_free), and moves where it moves:
 * a transfer changes nothing of who pays. A leg that takes the place of one that failed takes over
 * what that one held: one attempt, one call at once, however many trunks are tried. */
#include "call/money.h"
#include "call/called.h"
#include "media/leg.h"

#define SOON_MS 250 /* a call ends that much before the second that would be charged besides */
#define TONE_HZ 425
#define TONE_MS 400
static const uint32_t warn_s[MONEY_TONES] = {20, 5};

static struct str payer_of(const struct call *k)
{
    const struct policy *p = k->core->policy;
    if (k->payer.n || k->user.n)
        return k->payer.n ? k->payer : k->user;
    return k->a->peer != POLICY_NONE ? policy_text(p, p->peers[k->a->peer].name) : STR("nobody");
}

/* --- keys --- */

struct keys {
    struct ledger_key v[LEDGER_KEYS];
    uint8_t n;
};

static const struct caps *caps_of(const struct leg *b, const struct payer *who,
                                  const struct ledger_key *v)
{
    const struct core *c = b->call->core;
    if (v->kind == LEDGER_COUNTRY)
        return money_country_caps(c->policy, b->pay.country);
    if (v->kind != LEDGER_PREFIX)
        return money_caps(c->policy, who, v->kind, b->pay.kind, b->peer);
    /* What it holds there may have begun under other prefixes. */
    const struct policy_place *x = money_place(c->policy, str_c(b->pay.number));
    bool same = x && ledger_key_of(&c->cfg.ledger_key, LEDGER_PREFIX,
                                   str_of(x->prefix, x->prefix_n)) == v->key;
    return same ? &x->caps : NULL;
}

/* Caps as they are now; an emergency call has none. */
static void cap_all(struct keys *x, const struct leg *b, const struct payer *who)
{
    for (uint8_t i = 0; i < x->n; i++)
        x->v[i].caps = b->pay.emergency ? NULL : caps_of(b, who, &x->v[i]);
}

static void keys_of(const struct leg *b, const struct payer *who, const struct rate *r,
                    struct keys *ret_x)
{
    const struct call *k = b->call;
    const struct core *c = k->core;
    const struct money_bill bill = {.by = who,
                                    .device = k->payer.n ? 0 : k->device_id,
                                    .number = str_c(b->pay.number),
                                    .country = b->pay.country,
                                    .kind = b->pay.kind,
                                    .rate_prefix_n = r->prefix_n,
                                    .peer = b->peer};
    ret_x->n = money_keys(c->policy, &c->cfg.ledger_key, &bill, false, ret_x->v);
    if (b->pay.emergency)
        for (uint8_t i = 0; i < ret_x->n; i++)
            ret_x->v[i].caps = NULL;
}

/* Of a leg that holds something: the names behind them are not needed again. */
static void keys_held(const struct leg *b, const struct payer *who, struct keys *ret_x)
{
    ret_x->n = MIN(b->pay.hold.n, LEDGER_KEYS);
    for (uint8_t i = 0; i < ret_x->n; i++)
        ret_x->v[i] = (struct ledger_key){.kind = b->pay.hold.kind[i], .key = b->pay.hold.key[i]};
    cap_all(ret_x, b, who);
}

/* --- telling --- */

static void tell(const struct leg *b, enum money_act act, enum reason why,
                 const struct ledger_refusal *at)
{
    struct core *c = b->call->core;
    const struct policy *p = c->policy;
    struct fact *f = fact_begin(c, FACT_MONEY, why, reason_info(why)->code);
    f->u.money.act = (uint8_t)act;
    f->u.money.session = b->call->session;
    f->u.money.number_class = b->pay.kind;
    f->u.money.country = b->pay.country;
    TEXT_SET(f->u.money.who, b->pay.who);
    TEXT_SET(f->u.money.to, str_c(b->pay.number));
    if (b->peer != POLICY_NONE)
        TEXT_SET(f->u.money.trunk, policy_text(p, p->peers[b->peer].name));
    f->u.money.cap_kind = at ? at->kind : LEDGER_KINDS;
    f->u.money.used = at ? at->used : b->pay.hold.spent_micro;
    f->u.money.cap = at ? at->cap : 0;
    fact_end(c);
}

/* --- set-up --- */

static struct leg *loose(const struct call *k)
{
    for (struct leg *b = k->forks; b; b = b->next)
        if (b->pay.on && b->pay.loose)
            return b;
    return NULL;
}

/* The next trunk of the same call: what the one before it held passes on. */
static bool take_over(struct leg *b, const struct keys *x, const struct rate *r,
                      enum reason *ret_why)
{
    struct leg *was = loose(b->call);
    struct core *c = b->call->core;
    if (!was || !was->pay.hold.n)
        return false;
    if (!str_eq(was->pay.who, b->pay.who) ||
        !str_eq(str_c(was->pay.number), str_c(b->pay.number))) {
        money_leg_end(was, 0);
        return false;
    }
    struct rate old = was->pay.hold.rate;
    was->pay.hold.rate = *r; /* what is held besides is asked for when it is answered */
    *ret_why = ledger_move(&c->cfg.ledger, &was->pay.hold, x->v, x->n, c->now.wall);
    if (*ret_why != REASON_NONE) {
        was->pay.hold.rate = old;
        return true;
    }
    b->pay.hold = was->pay.hold;
    was->pay = (struct pay){0};
    return true;
}

/* A trunk that is known to take no more is passed over without an attempt: it would count for who
 * calls. */
static enum reason trunk_full(const struct core *c, const struct keys *x, const struct rate *r,
                              struct ledger_refusal *ret_at)
{
    for (uint8_t i = 0; i < x->n; i++) {
        if (x->v[i].kind != LEDGER_TRUNK || !x->v[i].caps)
            continue;
        struct ledger_sum s = ledger_sum(&c->cfg.ledger, LEDGER_TRUNK, x->v[i].key, c->now.wall);
        *ret_at = (struct ledger_refusal){.kind = LEDGER_TRUNK, .key = x->v[i].key};
        return money_reached(&s, x->v[i].caps, rate_price(r, 1), ret_at);
    }
    return REASON_NONE;
}

static void broke(struct leg *b, enum reason why, const struct ledger_refusal *at)
{
    b->call->broke = !at || at->kind != LEDGER_TRUNK;
    tell(b, MONEY_REFUSED, why, at);
    b->pay = (struct pay){0};
}

enum reason money_begin(struct leg *b)
{
    struct call *k = b->call;
    struct core *c = k->core;
    if (!money_outside(c->policy, b->peer, k->called.kind))
        return REASON_NONE;
    struct rate r = money_rate(&c->env, b->peer, &k->called, c->now.wall);
    struct str who_text = arena_str(&k->text, payer_of(k)); /* a peer's name goes with a reload */
    if (!who_text.p)
        return REASON_capacity_memory;
    b->pay = (struct pay){.who = who_text,
                          .kind = k->called.kind,
                          .country = k->called.country,
                          .emergency = k->emergency,
                          .on = true};
    memcpy(b->pay.number, k->called.e164, MIN(k->called.n, NUMBER_MAX));
    b->pay.hold.rate = r;
    k->priced = true;
    if (!c->cfg.ledger.own)
        return REASON_NONE;
    struct payer who = money_payer(&c->env, b->pay.who, c->now.wall);
    struct ledger_refusal at = {.kind = LEDGER_TRUNK};
    enum reason why = REASON_NONE;
    struct keys x;
    keys_of(b, &who, &r, &x);
    if (!take_over(b, &x, &r, &why)) {
        why = k->emergency ? REASON_NONE : money_unknown(c->policy, &r, c->now.wall);
        if (why == REASON_NONE)
            why = trunk_full(c, &x, &r, &at);
        if (why == REASON_NONE)
            why = ledger_reserve(&c->cfg.ledger, x.v, x.n, &r, c->now.wall, &b->pay.hold, &at);
        if (why == REASON_capacity_ledger && k->emergency)
            why = REASON_NONE;
    }
    if (why != REASON_NONE)
        broke(b, why, &at);
    return why;
}

void money_dialled(struct call *k, const struct policy_route *route, struct str dialled)
{
    const struct core *c = k->core;
    struct payer who = money_payer(&c->env, payer_of(k), c->now.wall);
    k->broke = false;
    k->called = called_number(c->policy, c->env.directory, who.site, route, dialled);
}

/* --- while it runs --- */

static uint32_t talked(const struct leg *l)
{
    int64_t us = l->pay.up ? instant_sub(l->call->core->now.mono, l->pay.at).us : 0;
    return (uint32_t)((us + 999999) / 1000000);
}

static void warn(struct leg *l, uint32_t left)
{
    struct core *c = l->call->core;
    struct leg *to = leg_other(l);
    bool due = false;
    while (l->pay.warned < MONEY_TONES && left <= warn_s[l->pay.warned]) {
        l->pay.warned++;
        due = true;
    }
    if (!due)
        return;
    if (to && to->media)
        media_warn(c->media, to->media, TONE_HZ, TONE_MS);
    if (l->pay.warned == 1 || left <= warn_s[MONEY_TONES - 1])
        tell(l, MONEY_WARNED, (enum reason)l->pay.end_why, NULL);
}

/* The ledger is asked for the next slice. REASON_NONE: the call goes on. */
static enum reason slice(struct leg *l)
{
    struct core *c = l->call->core;
    struct pay *y = &l->pay;
    uint32_t s = talked(l), next = UINT32_MAX;
    if (!y->hold.n) {
        y->next_s = y->end_s = UINT32_MAX;
        return REASON_NONE;
    }
    struct keys x = {.n = 0};
    if (!ledger_holds(&y->hold, s)) { /* only then are caps looked at */
        struct payer who = money_payer(&c->env, y->who, c->now.wall);
        keys_held(l, &who, &x);
    }
    enum reason why = ledger_run(&c->cfg.ledger, x.v, x.n, &y->hold, s, c->now.wall, &next);
    y->end_why = (uint16_t)why;
    y->end_s = why != REASON_NONE ? next : y->hold.left_s;
    y->next_s = MAX(next, s + 1);
    if (why != REASON_NONE && next <= s) {
        tell(l, MONEY_CUT, why, NULL);
        return REASON_fraud_cut;
    }
    if (y->end_s != UINT32_MAX)
        warn(l, y->end_s - MIN(s, y->end_s));
    if (y->warned < MONEY_TONES && y->end_s != UINT32_MAX && y->end_s > warn_s[y->warned] + s)
        y->next_s = MIN(y->next_s, y->end_s - warn_s[y->warned]);
    return REASON_NONE;
}

static struct leg *paid_first(const struct call *k)
{
    return k->a->pay.up ? k->a : k->forks;
}

static struct leg *paid_next(const struct call *k, const struct leg *l)
{
    return l == k->a ? k->forks : l->next;
}

void money_answered(struct call *k)
{
    struct core *c = k->core;
    struct leg *b = k->b;
    if (!b || !b->pay.on || b->pay.up)
        return;
    b->pay.up = true;
    b->pay.at = c->now.mono;
    b->pay.loose = false;
    if (slice(b) != REASON_NONE)
        b->pay.next_s = 0; /* the timer cuts it, once the caller has its answer */
    money_learn(b, FRAUD_ANSWERED, 0, 0, 200);
}

struct instant money_next(const struct call *k)
{
    struct instant next = INSTANT_NEVER;
    for (const struct leg *l = paid_first(k); l; l = paid_next(k, l)) {
        if (!l->pay.up || l->pay.next_s == UINT32_MAX)
            continue;
        struct instant due = instant_add(l->pay.at, DUR_S((int64_t)l->pay.next_s));
        due = instant_add(due, DUR_MS(-SOON_MS));
        if (instant_before(due, next))
            next = due;
    }
    return next;
}

bool money_cut(const struct call *k)
{
    for (const struct leg *b = k->forks; b; b = b->next)
        if (b->pay.cut)
            return true;
    return false;
}

enum reason money_timer(struct call *k)
{
    struct core *c = k->core;
    for (struct leg *l = paid_first(k); l; l = paid_next(k, l)) {
        if (!l->pay.up || l->pay.emergency)
            continue;
        if (l->pay.cut || money_locked(&c->env, l->pay.who, c->now.wall)) {
            tell(l, MONEY_CUT, REASON_fraud_locked, NULL);
            return REASON_fraud_cut;
        }
        enum reason why = slice(l);
        if (why != REASON_NONE)
            return why;
    }
    return REASON_NONE;
}

/* --- its end --- */

void money_leg_end(struct leg *l, uint16_t code)
{
    struct call *k = l->call;
    struct core *c = k->core;
    struct pay *y = &l->pay;
    if (!y->on)
        return;
    uint32_t s = talked(l);
    struct rate r = y->hold.rate;
    int64_t cost =
        y->hold.n ? ledger_release(&c->cfg.ledger, &y->hold, s, c->now.wall) : rate_price(&r, s);
    k->cost_micro += cost - y->told_micro;
    k->cost_s += s - MIN(s, y->told_s);
    money_learn(l, FRAUD_ENDED, s, cost, code);
    *y = (struct pay){0};
}

void money_end(struct call *k, uint16_t code)
{
    for (struct leg *b = k->forks; b; b = b->next)
        money_leg_end(b, code);
    money_leg_end(k->a, code);
}

void money_moves(struct leg *t)
{
    struct call *k = t->call;
    struct pay *y = &t->pay;
    if (k->a != t)
        money_leg_end(k->a, 200);
    for (struct leg *b = k->forks; b; b = b->next)
        if (b != t)
            money_leg_end(b, 200);
    if (!y->on)
        return;
    /* What it has cost until now stands in the record of the call that it leaves. */
    uint32_t s = talked(t);
    int64_t cost = rate_price(&y->hold.rate, s);
    k->cost_micro += cost - y->told_micro;
    k->cost_s += s - MIN(s, y->told_s);
    y->told_micro = cost;
    y->told_s = s;
}
