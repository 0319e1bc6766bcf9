/* Source: a request must come from a zone of its listener, encrypted or under a live waiver. */
#include "call/gate.h"

struct verdict gate_source(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    bool stream = r->flow.proto != PROTO_UDP;
    r->zone = policy_zone_of(e->policy, r->flow.listener, &r->flow.peer);
    if (r->zone == POLICY_NONE) /* a UDP source can be forged: no answer to be reflected */
        return stream ? gate_refuse(REASON_zone_unknown_source)
                      : gate_drop(REASON_zone_unknown_source);
    r->peer = targets_peer_of(e->policy, e->named, r->zone, &r->flow.peer);
    r->proven = stream;
    gate_keys(e, r);
    struct verdict banned = gate_ban_source(e, r);
    if (banned.kind != VERDICT_PASS)
        return banned;
    if (r->flow.proto != PROTO_TLS) {
        enum reason why = policy_waived(e->policy, r->zone, WAIVE_PLAIN_SIGNALLING, r->now.wall);
        if (why == REASON_waiver_expired)
            return stream ? (struct verdict){.kind = VERDICT_REFUSE, .reason = why, .code = 403}
                          : gate_drop(why);
        if (why != REASON_NONE)
            return stream ? gate_refuse(why) : gate_drop(why);
    }
    if (e->policy->zones[r->zone].client_cert == 2 && !r->tls_verified)
        return gate_refuse(REASON_tls_client_cert_missing);
    return gate_pass();
}
