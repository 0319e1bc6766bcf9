/* What registrars want to see as Route in requests on behalf of a registration (RFC 3608): kept by
 * the engine that registered, on its board, and read there by all. */
#include "call/upstream_int.h"

static uint64_t route_key(uint64_t hash)
{
    return hash ? hash : 1;
}

void reg_route_del(struct core *c, struct reg *r)
{
    if (c->cfg.service_own)
        service_del(c->cfg.service_own, c->cfg.service_cap, route_key(r->hash));
    r->routed = false;
}

uint8_t reg_owner(const struct core *c, uint8_t peer, struct str aor)
{
    uint64_t hash = aor.n ? siphash(&c->cfg.hash_key, aor) : reg_hash(c, peer, aor);
    return (uint8_t)(hash % c->cfg.engines);
}

static struct str route_of(const struct core *c, uint8_t peer, struct str aor,
                           char ret[SERVICE_ROUTE_MAX])
{
    const struct service_board *b = c->cfg.service[reg_owner(c, peer, aor)];
    return b ? service_get(b, c->cfg.service_cap, route_key(reg_hash(c, peer, aor)), c->now.wall,
                           ret)
             : STR_NONE;
}

struct str upstream_route(const struct core *c, uint8_t peer, struct str user,
                          char ret[SERVICE_ROUTE_MAX])
{
    const struct policy_peer *p = &c->policy->peers[peer];
    struct str route = STR_NONE;
    if (p->fronts && user.n && user.n <= LOCATION_AOR_MAX)
        route = route_of(c, peer, user, ret);
    return route.n || !p->register_s ? route : route_of(c, peer, STR_NONE, ret);
}

/* Its Service-Route as the value of our Route: loose routes, nothing but their URIs. Empty: it
 * names none. */
static enum reason route_read(const struct sip_msg *m, struct out *o)
{
    struct sip_list it = {0};
    struct str v, lr;
    struct sip_nameaddr na;
    struct sip_uri u;
    while (sip_list_next(m, HDR_SERVICE_ROUTE, &it, &v)) {
        if (sip_nameaddr_parse(v, &na) != OK || sip_uri_parse(na.uri, &u) != OK ||
            (u.scheme != URI_SIP && u.scheme != URI_SIPS) || !sip_param(u.params, STR("lr"), &lr))
            return REASON_upstream_service_route;
        if (o->n)
            out_ch(o, ',');
        out_ch(o, '<');
        sip_piece(o, na.uri);
        out_ch(o, '>');
    }
    return o->full ? REASON_upstream_service_route : REASON_NONE;
}

/* What the newest 2xx says counts: without a Service-Route there is none any more (RFC 3608 5). */
void reg_route_keep(struct core *c, struct reg *r, const struct sip_msg *m)
{
    char text[SERVICE_ROUTE_MAX];
    struct out o = out_of(text, sizeof text);
    enum reason why = route_read(m, &o), was = (enum reason)r->route_why;
    struct service_board *b = c->cfg.service_own;
    if (why == REASON_NONE && o.n && b &&
        service_put(b, c->cfg.service_cap, route_key(r->hash), out_str(&o), r->until,
                    c->now.wall) != OK)
        why = REASON_capacity_upstream;
    if (why != REASON_NONE || !o.n)
        reg_route_del(c, r);
    else
        r->routed = b != NULL;
    r->route_why = (uint16_t)why;
    if (why == REASON_NONE)
        return;
    core_count(c, why);
    if (why != was)
        reg_tell(c, r, why, m->code);
}

/* --- how many there are, for a stop --- */

void reg_count(const struct core *c)
{
    if (c->cfg.service_own)
        __atomic_store_n(&c->cfg.service_own->regs, upstream_used(c), __ATOMIC_RELEASE);
}

bool upstream_left(const struct core *c)
{
    bool left = !upstream_used(c);
    for (unsigned i = 0; i < c->cfg.engines && left; i++)
        left = !c->cfg.service[i] || !__atomic_load_n(&c->cfg.service[i]->regs, __ATOMIC_ACQUIRE);
    return left;
}
