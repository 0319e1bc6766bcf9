#include "call/called.h"
#include "call/gate.h"

#define EXTENSION_DIGITS                                                                           \
    6u /* longest number that is a PBX's own wherever outside calls take none                      \
          of their own */

bool called_trunk(const struct policy *p, const struct policy_route *route)
{
    for (unsigned i = 0; route->to == ROUTE_PEERS && i < route->n_peers; i++)
        if (p->peers[route->peers[i]].trunk)
            return true;
    return false;
}

/* May a PBX take that for one of its own? Without any site nobody knows how calls leave, except
 * that all the world writes 00 or '+' before the number of another country. */
static bool inside(const struct dial_plan *plan, struct str dialled)
{
    struct str abroad = plan->country ? plan->international : STR("00");
    for (size_t i = 0; i < dialled.n; i++)
        if (!ascii_digit(dialled.p[i]))
            return dialled.p[0] != '+';
    if (abroad.n && str_starts(dialled, abroad))
        return false;
    if (!plan->country)
        return true;
    if (plan->outside.n)
        return !str_starts(dialled, plan->outside);
    return dialled.n <= EXTENSION_DIGITS;
}

static struct number of_plan(const struct dial_plan *plan, struct str dialled)
{
    struct number n;
    return number_of(plan, dialled, &n) == OK ? n : (struct number){.kind = CLASS_UNKNOWN};
}

/* Is b more than a may be opened for? Nothing becomes free, or a call for help, by what a rule
 * makes of it. */
static bool more(uint8_t b, uint8_t a)
{
    static const uint8_t rank[CLASS_COUNT] = {
        [CLASS_LOCAL] = 1,         [CLASS_NATIONAL] = 2,    [CLASS_INTERNAL] = 2,
        [CLASS_EMERGENCY] = 2,     [CLASS_TOLL_FREE] = 2,   [CLASS_MOBILE] = 3,
        [CLASS_INTERNATIONAL] = 4, [CLASS_SHARED_COST] = 5, [CLASS_PREMIUM] = 6,
        [CLASS_SATELLITE] = 7};
    bool paid = b == CLASS_NATIONAL || b == CLASS_MOBILE || b >= CLASS_INTERNATIONAL;
    return paid && rank[b] > rank[a];
}

/* What leaves, if that is known to be dearer than what was dialled, or all that is known. */
static struct number dearer(const struct policy *p, const struct dial_plan *plan,
                            const struct policy_route *route, struct str dialled, struct number n)
{
    char text[128];
    struct out o = out_of(text, sizeof text);
    if (!route->strip && !route->prefix.len)
        return n;
    out_put(&o, policy_text(p, route->prefix));
    out_put(&o, str_skip(dialled, route->strip));
    struct number left = of_plan(plan, out_str(&o));
    if (o.full || left.kind == CLASS_UNKNOWN)
        return n;
    return n.kind == CLASS_UNKNOWN || more(left.kind, n.kind) ? left : n;
}

struct number called_number(const struct policy *p, const struct directory *d,
                            const struct rights_site *s, const struct policy_route *route,
                            struct str dialled)
{
    struct dial_plan plan = policy_plan(p, s);
    struct number own = {.kind = CLASS_INTERNAL};
    if (route->to == ROUTE_USERS)
        return own;
    bool trunk = called_trunk(p, route);
    if (!trunk && directory_find(d, dialled, policy_text(p, p->domains[0])))
        return own;
    struct number n = dearer(p, &plan, route, dialled, of_plan(&plan, dialled));
    bool cheap = n.kind == CLASS_UNKNOWN || n.kind == CLASS_LOCAL || n.kind == CLASS_NATIONAL;
    return !trunk && cheap && inside(&plan, dialled) ? own : n;
}

bool called_private(const struct sip_msg *m)
{
    bool asks = sip_has(m, HDR_PRIVACY) && !str_ieq(sip_get(m, HDR_PRIVACY), STR("none"));
    return asks || gate_anonymous(sip_text(m, m->from_uri));
}

struct str called_owner(const struct policy *p, const struct directory *d, uint8_t from_peer,
                        struct str dialled)
{
    struct str site = from_peer < p->n_peers ? policy_text(p, p->peers[from_peer].site) : STR_NONE;
    struct dial_plan plan = policy_plan(p, policy_site(p, site));
    struct number x;
    if (!d || number_of(&plan, dialled, &x) != OK || !x.n)
        return STR_NONE;
    const struct directory_user *u = directory_number(d, str_of(x.e164, x.n));
    return u ? directory_aor(d, u) : STR_NONE;
}
