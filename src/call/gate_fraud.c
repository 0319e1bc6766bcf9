/* Fraud: caps of calls, attempts, minutes and money, and behaviour, of calls that somebody is paid
 * for. The ledger is written when the call is made (money.c); here it is only looked at, so that
 * what would be refused there is refused before anything rings. Whoever wants to look without being
 * seen (explain) gives an environment without `fraud`. */
#include "call/gate.h"
#include "call/payer.h"

static struct str who_of(const struct gate_env *e, const struct request *r)
{
    if (r->user_n)
        return str_of(r->user, r->user_n);
    return r->peer != POLICY_NONE ? policy_text(e->policy, e->policy->peers[r->peer].name)
                                  : STR_NONE;
}

/* As money_payer, of what the gates before this one have found. */
static struct payer payer_of(const struct gate_env *e, const struct request *r)
{
    if (!r->user_n || !r->known || r->role >= e->policy->n_roles || !r->site)
        return money_payer(e, who_of(e, r), r->now.wall);
    return (struct payer){.who = who_of(e, r),
                          .site = r->site,
                          .role = r->role,
                          .user = true,
                          .off_hours = !rights_open(r->site, r->now.wall)};
}

/* first: the least that the call would cost. */
static enum reason look(const struct gate_env *e, struct request *r, const struct ledger_key *k,
                        int64_t first)
{
    struct ledger_sum s = ledger_sum(e->ledger, (enum ledger_kind)k->kind, k->key, r->now.wall);
    struct ledger_refusal at = {.kind = k->kind, .key = k->key};
    enum reason why = money_reached(&s, k->caps, first, &at);
    if (why != REASON_NONE)
        r->cap = at;
    return why;
}

static enum reason caps(const struct gate_env *e, struct request *r, const struct payer *who,
                        const struct rate *price)
{
    struct ledger_key v[LEDGER_KEYS];
    const struct money_bill b = {.by = who,
                                 .device = r->device_id,
                                 .number = str_of(r->number_to.e164, r->number_to.n),
                                 .country = r->number_to.country,
                                 .kind = r->number_to.kind,
                                 .rate_prefix_n = price->prefix_n,
                                 .peer = POLICY_NONE};
    enum reason why = REASON_NONE;
    uint8_t n = money_keys(e->policy, &e->ledger_key, &b, true, v);
    for (uint8_t i = 0; i < n && why == REASON_NONE; i++)
        why = look(e, r, &v[i], rate_price(price, 1));
    return why;
}

/* One trunk with room left is enough. price: that of the first. */
static enum reason trunks(const struct gate_env *e, struct request *r, const struct rate *price)
{
    static const struct caps none;
    const struct policy *p = e->policy;
    enum reason first = REASON_NONE;
    for (uint8_t i = 0; i < r->route->n_peers; i++) {
        uint8_t peer = r->route->peers[i];
        if (peer >= p->n_peers)
            continue;
        const struct caps *c = &p->peers[peer].caps;
        if (memcmp(c, &none, sizeof none) == 0)
            return REASON_NONE;
        struct rate own = i ? money_rate(e, peer, &r->number_to, r->now.wall) : *price;
        struct ledger_key k = {
            ledger_key_of(&e->ledger_key, LEDGER_TRUNK, policy_text(p, p->peers[peer].name)), c,
            LEDGER_TRUNK};
        enum reason why = look(e, r, &k, rate_price(&own, 1));
        if (why == REASON_NONE)
            return why;
        first = first == REASON_NONE ? why : first;
    }
    return first;
}

struct fraud_event gate_fraud_event(const struct gate_env *e, const struct request *r,
                                    const struct payer *who, const struct rate *price)
{
    uint8_t peer = r->route->peers[0];
    struct fraud_event x = {.at = r->now.wall,
                            .what = FRAUD_ATTEMPT,
                            .identity = ledger_key_of(&e->ledger_key, LEDGER_IDENTITY, who->who),
                            .trunk =
                                ledger_key_of(&e->ledger_key, LEDGER_TRUNK,
                                              policy_text(e->policy, e->policy->peers[peer].name)),
                            .micro = rate_price(price, 60),
                            .country = r->number_to.country,
                            .source_country = r->country,
                            .kind = r->number_to.kind,
                            .off_hours = who->off_hours};
    memcpy(x.number, r->number_to.e164, MIN(r->number_to.n, sizeof x.number - 1));
    return x;
}

static struct verdict behaves(const struct gate_env *e, struct request *r, const struct payer *who,
                              const struct rate *price)
{
    struct fraud_event x = gate_fraud_event(e, r, who, price);
    fraud_step(e->fraud, &x, &r->fraud);
    /* A PBX or a trunk is many people: what they do together is told, and held by caps. */
    if (r->fraud.dry || r->fraud.act <= FRAUD_NOTIFY || !who->user)
        return gate_pass();
    /* Who has no code to give cannot be asked for one. */
    if (r->fraud.act == FRAUD_STEP_UP && r->known && r->known->flags & DIRECTORY_SECOND_FACTOR)
        return r->stepped_up ? gate_pass() : gate_step_up(REASON_right_step_up);
    return gate_refuse(r->fraud.act == FRAUD_LOCK ? REASON_fraud_locked : REASON_fraud_behaviour);
}

struct verdict gate_fraud(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    const struct policy_route *t = r->route;
    if (r->in_dialog || r->m->method != SIP_INVITE || gate_joins(r) || r->emergency || !t ||
        t->to != ROUTE_PEERS || !t->n_peers ||
        !money_outside(e->policy, t->peers[0], r->number_to.kind))
        return gate_pass();
    struct payer who = payer_of(e, r);
    if (money_locked(e, who.who, r->now.wall))
        return gate_refuse(REASON_fraud_locked);
    struct rate price = money_rate(e, t->peers[0], &r->number_to, r->now.wall);
    enum reason why = money_unknown(e->policy, &price, r->now.wall);
    if (why == REASON_NONE && e->ledger) {
        why = caps(e, r, &who, &price);
        if (why == REASON_NONE)
            why = trunks(e, r, &price);
    }
    if (why != REASON_NONE)
        return gate_refuse(why);
    return e->fraud ? behaves(e, r, &who, &price) : gate_pass();
}
