/* Right: what the routing rules and the caller's role allow; nothing is allowed that no rule names.
 */
#include "call/gate.h"

static struct verdict may_call(const struct gate_env *e, struct request *r)
{
    char text[64];
    size_t n;
    struct str uri = sip_text(r->m, r->m->uri);
    struct sip_uri u;
    if (sip_uri_parse(uri, &u) != OK)
        return gate_refuse(REASON_sip_uri_syntax);
    bool sip = u.scheme == URI_SIP || u.scheme == URI_SIPS;
    if (sip && !policy_domain(e->policy, u.host))
        return gate_refuse(REASON_right_no_route);
    if (!dialled_of_uri(uri, text, sizeof text, &n))
        return gate_refuse(REASON_route_user_unknown);
    r->route = policy_route(e->policy, r->zone, r->peer, r->role, str_of(text, n));
    if (!r->route)
        return gate_refuse(REASON_right_no_route);
    if (r->route->to == ROUTE_REFUSE)
        return gate_refuse(REASON_right_barred);
    if (r->route->to == ROUTE_PEERS && r->ident == IDENT_USER &&
        (r->role == POLICY_NONE || !e->policy->roles[r->role].outbound))
        return gate_refuse(REASON_right_denied);
    return gate_pass();
}

struct verdict gate_right(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    if (r->in_dialog)
        return gate_pass();
    if (r->m->method == SIP_REGISTER)
        return r->ident == IDENT_USER && e->policy->zones[r->zone].registration
                   ? gate_pass()
                   : gate_refuse(REASON_right_denied);
    return r->m->method == SIP_INVITE ? may_call(e, r) : gate_pass();
}
