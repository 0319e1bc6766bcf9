/* Which of a rule's peers is tried first: those that answer before those that do not, then
 * priority, price, quality, and the order of the rule; and after which answers the next one is
 * tried. */
#include "call/core_int.h"
#include "call/payer.h"

struct rank {
    uint8_t peer, at;
    bool dead;
    uint8_t priority;
    int64_t minute;   /* its price; by class where no deck knows the number, which is dear */
    uint16_t failing; /* of lately's calls, thousandths in steps: chance makes no order */
};

static bool answers(struct core *c, uint8_t peer)
{
    for (uint8_t t = 0; t < peers_targets(c, peer); t++)
        if (peers_usable(c, peer, t))
            return true;
    return false;
}

static bool before(const struct rank *a, const struct rank *b)
{
    if (a->dead != b->dead)
        return b->dead;
    if (a->priority != b->priority)
        return a->priority < b->priority;
    if (a->minute != b->minute)
        return a->minute < b->minute;
    if (a->failing != b->failing)
        return a->failing < b->failing;
    return a->at < b->at;
}

static void put_in_order(struct call *k)
{
    struct core *c = k->core;
    const struct policy_route *r = &c->policy->routes[k->route];
    struct rank v[POLICY_ROUTE_PEERS];
    for (uint8_t i = 0; i < r->n_peers; i++) {
        uint8_t peer = r->peers[i];
        struct rank x = {.peer = peer,
                         .at = i,
                         .dead = !answers(c, peer),
                         .priority = c->policy->peers[peer].priority,
                         .minute = money_rate(&c->env, peer, &k->called, c->now.wall).minute_micro,
                         .failing = (uint16_t)(c->peers[peer].failing / 200)};
        uint8_t at = i;
        for (; at && before(&x, &v[at - 1]); at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
    for (uint8_t i = 0; i < r->n_peers; i++)
        k->order[i] = v[i].peer;
}

uint8_t choice_peer(struct call *k, unsigned nth)
{
    if (!nth && !k->next_target) /* the first try: from then on it stands */
        put_in_order(k);
    return k->order[nth];
}

/* Causes of Q.850 that speak of the way, not of who is called. */
static bool way_failed(struct str reason)
{
    static const uint32_t causes[] = {3, 25, 27, 34, 38, 41, 42, 44, 47, 58};
    size_t at = str_search(reason, STR("cause="));
    uint32_t cause = 0;
    if (!str_istarts(str_trim(reason), STR("q.850")) || at == reason.n)
        return false;
    for (struct str d = str_skip(reason, at + 6); d.n && ascii_digit(d.p[0]) && cause < 1000;
         d = str_skip(d, 1))
        cause = cause * 10 + (uint32_t)(d.p[0] - '0');
    for (size_t i = 0; i < ARRAY_LEN(causes); i++)
        if (causes[i] == cause)
            return true;
    return false;
}

bool choice_goes_on(const struct leg *b, const struct sip_msg *m)
{
    (void)b;
    switch (m->code) { /* 500 may well be about the request itself */
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return m->code >= 400 && m->code < 600 && way_failed(sip_get(m, HDR_REASON));
    }
}

void choice_heard(struct core *c, uint8_t peer, bool good)
{
    uint16_t *f = &c->peers[peer].failing;
    *f = (uint16_t)(*f - *f / 16 + (good ? 0 : 1000 / 16));
}
