#include "call/target.h"
#include "call/called.h"
#include "call/gate.h"
#include "call/hide.h"

enum reason target_users(struct core *c, const struct sip_msg *m, uint8_t from_peer, struct str uri,
                         struct str dialled, size_t *ret_n)
{
    char aor[LOCATION_AOR_MAX], user[LOCATION_AOR_MAX];
    size_t n;
    struct out o = out_of(user, sizeof user);
    sip_unescape(&o, dialled);
    struct str who =
        o.full ? STR_NONE : called_owner(c->policy, c->env.directory, from_peer, out_str(&o));
    if (!who.n) {
        if (!aor_of_uri(c->policy, uri, aor, sizeof aor, &n))
            return REASON_route_user_unknown;
        out_put(&o, str_skip(str_of(aor, n), str_rfind(str_of(aor, n), '@')));
        if (o.full)
            return REASON_route_user_unknown;
        who = out_str(&o);
    }
    n = location_lookup(c->cfg.shards, c->cfg.engines, &c->cfg.hash_key, who, c->now.wall,
                        c->bindings, FORKS_MAX);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) /* phones in quarantine call nobody, and nobody calls them */
        if (device_reached(&c->env, &c->bindings[i]))
            c->bindings[kept++] = c->bindings[i];
    n = kept;
    *ret_n = MIN(n, hide_max_breadth(m));
    return *ret_n ? REASON_NONE : REASON_route_not_registered;
}

enum reason target_phone(const struct core *c, const struct binding *b, struct target *ret_g)
{
    uint8_t zone = policy_zone_of(c->policy, b->flow.listener, &b->flow.peer);
    if ((b->flags & BINDING_RESTORED) && flow_reliable(&b->flow))
        return REASON_route_flow_gone;
    if (zone == POLICY_NONE)
        return REASON_zone_unknown_source;
    *ret_g = (struct target){.flow = b->flow,
                             .uri = str_of(b->contact, b->contact_len),
                             .aor = str_of(b->aor, b->aor_len),
                             .path = binding_path(b),
                             .zone = zone,
                             .peer = POLICY_NONE,
                             .target = POLICY_NONE};
    return REASON_NONE;
}

static void peer_uri_put(const struct core *c, uint8_t peer, uint8_t target, struct str dialled,
                         struct out *o)
{
    const struct policy_peer *p = &c->policy->peers[peer];
    struct str realm = policy_text(c->policy, p->realm_host);
    OUT_LIT(o, "sip:");
    out_put(o, dialled);
    out_ch(o, '@');
    if (realm.n) {
        out_put(o, realm);
    } else if (p->host.len) { /* the name stays, whatever it means now (RFC 3263 4) */
        out_put(o, policy_text(c->policy, p->host));
        if (p->host_port) {
            out_ch(o, ':');
            out_u64(o, p->host_port);
        }
    } else {
        addr_put(o, peers_address(c, peer, target));
    }
    if (p->proto != PROTO_UDP) {
        OUT_LIT(o, ";transport=");
        out_put(o, proto_param((enum sip_proto)p->proto));
    }
}

enum reason target_peer(struct core *c, uint8_t peer, uint8_t target, struct str user,
                        struct str dialled, struct target *ret_g)
{
    struct out o = out_of(c->target_uri, sizeof c->target_uri);
    peer_uri_put(c, peer, target, dialled, &o);
    if (o.full)
        return REASON_sip_uri_too_long;
    *ret_g = (struct target){.flow = peers_flow(c, peer, target),
                             .uri = out_str(&o),
                             .path = upstream_route(c, peer, user, c->target_route),
                             .zone = c->policy->peers[peer].zone,
                             .peer = peer,
                             .target = target};
    return REASON_NONE;
}
