/* Right: what the routing rules and the caller's role allow; nothing is allowed that no rule names.
 */
#include "call/called.h"
#include "call/event.h"
#include "call/gate.h"

/* A caller that is nobody reaches what he dialled, and no other number that a rule makes of it. */
static bool as_dialled(const struct policy *p, const struct policy_route *route)
{
    return !route->strip && (route->to != ROUTE_USERS || !policy_text(p, route->prefix).n);
}

/* A code helps who has one. */
static struct verdict by_code(const struct request *r, enum reason asked, enum reason refused)
{
    if (r->stepped_up)
        return gate_pass();
    bool can =
        r->m->method == SIP_INVITE && r->known && (r->known->flags & DIRECTORY_SECOND_FACTOR) != 0;
    return can ? gate_step_up(asked) : gate_refuse(refused);
}

/* What the role opens by a code alone, and countries that the user was not let call yet: a right
 * code makes the vault remember those. */
static struct verdict may_dial(const struct gate_env *e, struct request *r,
                               const struct rights_role *role)
{
    enum reason why = rights_call(role, r->site, &r->number_to, r->now.wall);
    if (why != REASON_NONE && why != REASON_right_step_up)
        return gate_refuse(why);
    uint16_t abroad = role->step_up_country ? rights_abroad(r->site, &r->number_to) : 0;
    if (abroad && !directory_country(e->directory, r->known, abroad))
        r->first_country = abroad;
    if (why == REASON_right_step_up)
        return by_code(r, REASON_right_step_up, REASON_right_class);
    return r->first_country ? by_code(r, REASON_right_country_first, REASON_right_country_first)
                            : gate_pass();
}

/* A user's call to a peer: what his role says of that class of numbers, country and hour. */
static struct verdict may_leave(const struct gate_env *e, struct request *r)
{
    const struct policy *p = e->policy;
    if (r->role >= p->n_roles || !p->roles[r->role].outbound)
        return gate_refuse(REASON_right_denied);
    const struct rights_role *role = &p->roles[r->role].rights;
    if (r->m->method != SIP_INVITE && r->m->method != SIP_MESSAGE)
        return gate_pass();
    if (called_trunk(p, r->route) && !(role->features & FEATURE_ANONYMOUS) && called_private(r->m))
        return gate_refuse(REASON_right_anonymous);
    return may_dial(e, r, role);
}

static const struct rights_site *site_of(const struct policy *p, const struct request *r)
{
    if (r->known)
        return policy_site(p, str_c(r->known->site_name));
    return policy_site(p, r->peer < p->n_peers ? policy_text(p, p->peers[r->peer].site) : STR_NONE);
}

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
    const struct policy_caller by = {r->zone, r->peer, r->role, r->emergency, r->now.wall};
    r->route = policy_route(e->policy, &by, str_of(text, n));
    if (!r->route)
        return gate_refuse(r->emergency ? REASON_emergency_unrouted : REASON_right_no_route);
    if (r->route->to == ROUTE_REFUSE)
        return gate_refuse(REASON_right_barred);
    if (r->unproven && !as_dialled(e->policy, r->route))
        return gate_refuse(REASON_emergency_unrouted);
    r->site = site_of(e->policy, r);
    r->number_to = called_number(e->policy, e->directory, r->site, r->route, str_of(text, n));
    if (r->emergency)
        r->number_to = (struct number){.kind = CLASS_EMERGENCY};
    if (r->route->to == ROUTE_PEERS && r->ident == IDENT_USER && !r->emergency)
        return may_leave(e, r);
    return gate_pass();
}

/* Outside of calls: what the zone serves, then where the routing rules lead. A NOTIFY belongs to a
 * subscription; only a PBX that tells of voice mail unasked (RFC 3842 4) may send one without. */
static struct verdict may_ask(const struct gate_env *e, struct request *r)
{
    struct str id;
    if (r->m->method == SIP_NOTIFY && (r->ident != IDENT_PEER || event_of(r->m, &id) != EVENT_MWI))
        return gate_refuse(REASON_sip_no_dialog);
    enum reason why = event_right(e->policy, r->zone, r->m);
    if (why != REASON_NONE)
        return gate_refuse(why);
    struct verdict v = may_call(e, r);
    if (v.kind == VERDICT_PASS && r->m->method == SIP_NOTIFY && r->route->to != ROUTE_USERS)
        return gate_refuse(REASON_sip_no_dialog);
    return v;
}

struct verdict gate_right(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    if (r->in_dialog || gate_joins(r))
        return gate_pass();
    if (e->guard && r->ident == IDENT_USER && !r->emergency &&
        guard_after(e->guard, r->aor_hash, r->device, r->now.mono) != REASON_NONE)
        return gate_refuse(REASON_shield_rate_user);
    if (r->m->method == SIP_REGISTER)
        return r->ident == IDENT_USER && e->policy->zones[r->zone].registration
                   ? gate_pass()
                   : gate_refuse(REASON_right_denied);
    enum sip_method m = r->m->method;
    if (m == SIP_MESSAGE || m == SIP_SUBSCRIBE || m == SIP_NOTIFY || m == SIP_PUBLISH)
        return may_ask(e, r);
    return m == SIP_INVITE ? may_call(e, r) : gate_pass();
}
