/* Rate: requests a second of one source. Configured peers are known and carry many users' calls. */
#include "call/gate.h"

#define RATE_DEFAULT 50u

struct verdict gate_rate(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    if (r->peer != POLICY_NONE || r->in_dialog)
        return gate_pass();
    struct addr a = r->flow.peer;
    a.port = 0;
    if (a.family == ADDR_V6)
        memset(a.ip + 8, 0, 8);
    uint32_t per_s = e->policy->zones[r->zone].rate_per_source;
    if (!per_s)
        per_s = RATE_DEFAULT;
    if (!rate_take(e->rate, addr_hash(&e->hash_key, &a), per_s, per_s * 2, r->now.mono))
        return r->flow.proto == PROTO_UDP ? gate_drop(REASON_rate_source)
                                          : gate_refuse(REASON_rate_source);
    return gate_pass();
}
