/* Who pays for a call, by which caps and prices, and whether he is locked. */
#include "call/payer.h"

#define LOCK_SALT UINT64_C(0x6d6f6e65796c6f63)

uint64_t money_lock_key(const struct sipkey *hash_key, struct str who)
{
    return (location_hash(hash_key, who) ^ LOCK_SALT) | 1;
}

bool money_locked(const struct gate_env *e, struct str who, struct wall now)
{
    static const struct addr nowhere;
    struct ban_view v;
    return e->bans_cap && who.n &&
           ban_of_party(e->bans, e->bans_cap, &nowhere, money_lock_key(&e->hash_key, who), 0, 0,
                        now, &v) &&
           v.treat == TREAT_LOCK;
}

struct payer money_payer(const struct gate_env *e, struct str who, struct wall now)
{
    const struct policy *p = e->policy;
    struct payer x = {.who = who, .role = POLICY_NONE, .site = policy_site(p, STR_NONE)};
    struct str user, host = str_cut(who, '@', &user);
    const struct directory_user *u = host.n ? directory_find(e->directory, user, host) : NULL;
    if (!host.n)
        return x; /* a peer: its own caps are the trunk's */
    x.user = true;
    x.role = 0;
    if (!u)
        return x;
    x.site = policy_site(p, str_c(u->site_name));
    for (uint8_t i = 0; i < p->n_roles; i++)
        if (str_eq(policy_text(p, p->roles[i].name), str_c(u->role_name)))
            x.role = i;
    x.off_hours = !rights_open(x.site, now);
    return x;
}

const struct caps *money_caps(const struct policy *p, const struct payer *x, uint8_t kind,
                              uint8_t number_class, uint8_t peer)
{
    switch ((enum ledger_kind)kind) {
    case LEDGER_IDENTITY:
        if (x->role >= p->n_roles)
            return NULL;
        return x->off_hours ? &p->roles[x->role].off_caps : &p->roles[x->role].caps;
    case LEDGER_ROLE:
        return x->role < p->n_roles ? &p->roles[x->role].whole : NULL;
    case LEDGER_CLASS:
        return number_class < CLASS_COUNT ? &p->class_caps[number_class] : NULL;
    case LEDGER_TRUNK:
        return peer < p->n_peers ? &p->peers[peer].caps : NULL;
    case LEDGER_SYSTEM:
        return &p->system;
    case LEDGER_DEVICE:
        return x->role < p->n_roles ? &p->roles[x->role].device : NULL;
    case LEDGER_COUNTRY:
    case LEDGER_PREFIX:
    case LEDGER_KINDS:
        break;
    }
    return NULL; /* money_country_caps, money_place */
}

const struct caps *money_country_caps(const struct policy *p, uint16_t country)
{
    for (unsigned i = 0; country && i < p->n_places; i++)
        if (p->places[i].country == country)
            return &p->places[i].caps;
    return NULL;
}

const struct policy_place *money_place(const struct policy *p, struct str number)
{
    const struct policy_place *best = NULL;
    for (unsigned i = 0; number.n && i < p->n_places; i++) {
        const struct policy_place *x = &p->places[i];
        if (x->prefix_n && (!best || x->prefix_n > best->prefix_n) &&
            str_starts(str_skip(number, 1), str_of(x->prefix, x->prefix_n)))
            best = x;
    }
    return best;
}

struct bill_keys {
    const struct sipkey *hash;
    bool capped;
    uint8_t n;
    struct ledger_key *v;
};

static void key_add(struct bill_keys *x, enum ledger_kind kind, struct str name,
                    const struct caps *c)
{
    static const struct caps none;
    bool any = c && memcmp(c, &none, sizeof none) != 0;
    if (name.n && (any || !x->capped))
        x->v[x->n++] = (struct ledger_key){ledger_key_of(x->hash, kind, name), c, (uint8_t)kind};
}

uint8_t money_keys(const struct policy *p, const struct sipkey *k, const struct money_bill *b,
                   bool capped, struct ledger_key ret_v[LEDGER_KEYS])
{
    struct bill_keys x = {k, capped, 0, ret_v};
    const struct payer *by = b->by;
    char device[16], country[2] = {(char)(b->country >> 8), (char)b->country};
    const struct policy_place *place = money_place(p, b->number);
    size_t prefix_n = place ? place->prefix_n : b->rate_prefix_n;
    hex_encode((const uint8_t *)&b->device, sizeof b->device, device);
    key_add(&x, LEDGER_IDENTITY, by->who, money_caps(p, by, LEDGER_IDENTITY, b->kind, b->peer));
    key_add(&x, LEDGER_DEVICE, str_of(device, b->device ? sizeof device : 0),
            money_caps(p, by, LEDGER_DEVICE, b->kind, b->peer));
    if (by->role < p->n_roles)
        key_add(&x, LEDGER_ROLE, policy_text(p, p->roles[by->role].name),
                &p->roles[by->role].whole);
    key_add(&x, LEDGER_CLASS, number_class_name((enum number_class)b->kind),
            money_caps(p, by, LEDGER_CLASS, b->kind, b->peer));
    key_add(&x, LEDGER_COUNTRY, str_of(country, b->country ? sizeof country : 0),
            money_country_caps(p, b->country));
    key_add(&x, LEDGER_PREFIX, str_head(str_skip(b->number, 1), prefix_n),
            place ? &place->caps : NULL);
    if (b->peer < p->n_peers)
        key_add(&x, LEDGER_TRUNK, policy_text(p, p->peers[b->peer].name), &p->peers[b->peer].caps);
    key_add(&x, LEDGER_SYSTEM, STR("system"), &p->system);
    return x.n;
}

bool money_outside(const struct policy *p, uint8_t peer, uint8_t number_class)
{
    return peer < p->n_peers && (p->peers[peer].trunk || number_class != CLASS_INTERNAL);
}

struct rate money_rate(const struct gate_env *e, uint8_t peer, const struct number *to,
                       struct wall now)
{
    struct rate r;
    uint8_t deck = e->policy->peers[peer].deck;
    if (deck && to->n && e->rates && rates_find(e->rates, deck, str_of(to->e164, to->n), now, &r))
        return r;
    return rate_of_class(to->kind);
}

static enum reason at_cap(struct ledger_refusal *ret, enum reason why, int64_t used, int64_t cap)
{
    ret->used = used;
    ret->cap = cap;
    return why;
}

enum reason money_unknown(const struct policy *p, const struct rate *r, struct wall now)
{
    bool unknown = p->spent_unknown.us && ledger_same_window(SPAN_MONTH, p->spent_unknown, now);
    return unknown && rate_price(r, 1) > 0 ? REASON_fraud_unknown : REASON_NONE;
}

enum reason money_reached(const struct ledger_sum *s, const struct caps *c, int64_t first,
                          struct ledger_refusal *ret)
{
    if (c->calls && s->calls >= c->calls)
        return at_cap(ret, REASON_fraud_calls, s->calls, c->calls);
    if (c->attempts_min && s->attempts_min >= c->attempts_min)
        return at_cap(ret, REASON_fraud_attempts, s->attempts_min, c->attempts_min);
    if (c->call_micro && first > c->call_micro)
        return at_cap(ret, REASON_fraud_call_money, first, c->call_micro);
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        if (c->seconds[i] && s->seconds[i] >= c->seconds[i])
            return at_cap(ret, REASON_fraud_minutes, s->seconds[i], c->seconds[i]);
        if (c->micro[i] && (s->micro[i] >= c->micro[i] || first > c->micro[i] - s->micro[i]))
            return at_cap(ret, REASON_fraud_money, s->micro[i], c->micro[i]);
    }
    return REASON_NONE;
}
