/* Capacity and route: new calls while there is room and a way; an emergency call may use the last
 * tenth of the call table. */
#include "call/called.h"
#include "call/gate.h"

struct verdict gate_capacity(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    if (r->in_dialog || r->m->method != SIP_INVITE)
        return gate_pass();
    if (e->draining && !r->emergency)
        return gate_refuse(REASON_draining);
    uint32_t cap = r->emergency ? e->calls_cap : e->calls_cap - e->calls_cap / 10;
    if (e->calls_used >= cap)
        return gate_refuse(REASON_capacity_calls);
    if (e->trans_used >= e->trans_cap - (r->emergency ? 0 : e->trans_cap / 10))
        return gate_refuse(REASON_capacity_transactions);
    return gate_pass();
}

/* Whatever the right gate routed to our users, calls and all else. Who exists is told to those
 * alone that the identity gate let pass: before it, both kinds of names are challenged alike. */
struct verdict gate_route(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    if (r->in_dialog || !r->route || r->route->to != ROUTE_USERS)
        return gate_pass();
    char text[64], user[128];
    size_t n;
    struct out o = out_of(user, sizeof user);
    if (!dialled_of_uri(sip_text(r->m, r->m->uri), text, sizeof text, &n))
        return gate_refuse(REASON_route_user_unknown);
    out_put(&o, policy_text(e->policy, r->route->prefix)); /* as fork.c does it */
    out_put(&o, str_skip(str_of(text, n), r->route->strip));
    if (!o.full && called_owner(e->policy, e->directory, r->peer, out_str(&o)).n)
        return gate_pass();
    if (o.full ||
        !directory_find(e->directory, out_str(&o), policy_text(e->policy, e->policy->domains[0])))
        return gate_refuse(REASON_route_user_unknown);
    return gate_pass();
}
