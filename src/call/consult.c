/* A third party is asked before a call leaves by a trunk: an INVITE as such services take it, whose
 * answer is 302 (let it go) or 603 and other refusals (do not). Nothing of the call goes on until
 * then, and it waits no longer than consult.wait. */
#include "call/target.h"

enum { CONSULT_NOT, CONSULT_WAITS, CONSULT_DONE };

static bool leaves(const struct call *k)
{
    const struct policy *p = k->core->policy;
    const struct policy_route *r = &p->routes[k->route];
    for (uint8_t i = 0; r->to == ROUTE_PEERS && i < r->n_peers; i++)
        if (p->peers[r->peers[i]].trunk)
            return true;
    return false;
}

bool consult_due(const struct call *k)
{
    return k->core->policy->consult.on && k->consult == CONSULT_NOT && !k->emergency && leaves(k);
}

bool consult_is(const struct leg *b)
{
    return b->call->consult == CONSULT_WAITS && b->peer == b->call->core->policy->consult.peer;
}

enum reason consult_begin(struct call *k, struct target *ret_g)
{
    struct core *c = k->core;
    uint8_t peer = c->policy->consult.peer;
    k->consult = CONSULT_WAITS;
    for (uint8_t n = 0; n < peers_targets(c, peer); n++) {
        uint8_t t = peers_pick(c, peer, k->session, n);
        if (peers_usable(c, peer, t))
            return target_peer(c, peer, t, k->user, k->dialled, ret_g);
    }
    return REASON_route_peer_down;
}

void consult_timer(struct leg *b)
{
    struct core *c = b->call->core;
    timer_arm(&c->wheel, &b->session, instant_add(c->now.mono, DUR_MS(c->policy->consult.wait_ms)));
}

bool consult_lets(struct call *k, uint16_t code)
{
    struct core *c = k->core;
    k->consult = CONSULT_DONE;
    if (code / 100 == 3)
        return true;
    if (code / 100 == 4 || code / 100 == 6) {
        if (code != 408 && code != 401 && code != 407 && code != 480)
            return false;
    }
    core_count(c, REASON_consult_failed);
    return c->policy->consult.fails_open;
}
