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

static bool any_cap(const struct caps *c)
{
    static const struct caps none;
    return c && memcmp(c, &none, sizeof none) != 0;
}

/* first: the least that the call would cost by that peer. */
static enum reason look(const struct gate_env *e, struct request *r, const struct payer *who,
                        enum ledger_kind kind, struct str name, uint8_t peer, int64_t first)
{
    const struct caps *c = money_caps(e->policy, who, (uint8_t)kind, r->number_to.kind, peer);
    if (!any_cap(c) || !name.n)
        return REASON_NONE;
    uint64_t key = ledger_key_of(&e->ledger_key, kind, name);
    struct ledger_sum s = ledger_sum(e->ledger, kind, key, r->now.wall);
    struct ledger_refusal at = {.kind = (uint8_t)kind, .key = key};
    enum reason why = money_reached(&s, c, first, &at);
    if (why != REASON_NONE)
        r->cap = at;
    return why;
}

static enum reason caps(const struct gate_env *e, struct request *r, const struct payer *who,
                        const struct rate *price)
{
    const struct policy *p = e->policy;
    uint8_t peer = r->route->peers[0];
    int64_t first = rate_price(price, 1);
    struct str class = number_class_name((enum number_class)r->number_to.kind);
    enum reason why = look(e, r, who, LEDGER_IDENTITY, who->who, peer, first);
    if (why == REASON_NONE && who->role < p->n_roles)
        why = look(e, r, who, LEDGER_ROLE, policy_text(p, p->roles[who->role].name), peer, first);
    if (why == REASON_NONE)
        why = look(e, r, who, LEDGER_CLASS, class, peer, first);
    if (why == REASON_NONE)
        why = look(e, r, who, LEDGER_SYSTEM, STR("system"), peer, first);
    return why;
}

/* One trunk with room left is enough. price: that of the first. */
static enum reason trunks(const struct gate_env *e, struct request *r, const struct payer *who,
                          const struct rate *price)
{
    const struct policy *p = e->policy;
    enum reason first = REASON_NONE;
    for (uint8_t i = 0; i < r->route->n_peers; i++) {
        uint8_t peer = r->route->peers[i];
        if (peer >= p->n_peers)
            continue;
        struct rate own = *price;
        if (i && any_cap(&p->peers[peer].caps))
            own = money_rate(e, peer, &r->number_to, r->now.wall);
        enum reason why = look(e, r, who, LEDGER_TRUNK, policy_text(p, p->peers[peer].name), peer,
                               rate_price(&own, 1));
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
            why = trunks(e, r, &who, &price);
    }
    if (why != REASON_NONE)
        return gate_refuse(why);
    return e->fraud ? behaves(e, r, &who, &price) : gate_pass();
}
