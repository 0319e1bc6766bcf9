/* What is left, and for whom. The last tenth of every table is kept for what must go on when the
 * rest is full: requests within dialogs, and emergency calls. New work is refused before it takes
 * anything, so that what is refused costs no memory. */
#include "call/core_int.h"

static bool scarce(size_t used, size_t cap)
{
    return used + MAX(cap / 10, (size_t)1) >= cap;
}

/* A call takes two pairs of ports, so at least that many are kept. Pairs that are not open yet are
 * opened ahead of need, so that 128 are ready while more can be had: what is kept must stay below
 * that, else calls would be refused that the next turn has ports for. */
#define PORTS_KEPT 32u
static bool ports_scarce(const struct ports *p)
{
    return p->n_taken + MAX(MIN(p->n_open / 10, PORTS_KEPT), 2u) + 2 > p->n_open;
}

enum reason room_for(const struct core *c, const struct request *r)
{
    if (r->in_dialog || r->emergency)
        return REASON_NONE;
    if (scarce(trans_used(c->trans), c->cfg.trans_cap) || scarce(c->pendings.used, c->pendings.cap))
        return REASON_capacity_transactions;
    if (scarce(c->small.used, c->small.count) || scarce(c->large.used, c->large.count))
        return REASON_capacity_memory;
    if (r->m->method == SIP_INVITE && ports_scarce(c->ports))
        return REASON_capacity_ports;
    return REASON_NONE;
}

void room_refuse(struct core *c, struct incoming *in, enum reason why)
{
    struct verdict v = {VERDICT_REFUSE, GATE_CAPACITY, why, reason_info(why)->code};
    in->r->trace.gate[GATE_CAPACITY].verdict = VERDICT_REFUSE;
    in->r->trace.gate[GATE_CAPACITY].reason = (uint16_t)why;
    if (!in->r->in_dialog)
        fact_verdict(c, in->r, &v);
    shield_request(c, in->r, &v); /* it may be why there is no room */
    reply_reason(c, in, why);
}
