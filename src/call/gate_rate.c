/* Rate: requests a second of one source. Configured peers are known and carry many users' calls.
 * Whoever calls for help has a few requests of his own beyond that, and shares them with nobody. */
#include "call/gate.h"

#define RATE_DEFAULT   50u
#define EMERGENCY_S    2u
#define EMERGENCY_MOST 10u
#define EMERGENCY_SALT UINT64_C(0x9e3779b97f4a7c15)

static uint64_t source_hash(const struct gate_env *e, const struct addr *source)
{
    struct addr a = *source;
    a.port = 0;
    if (a.family == ADDR_V6)
        memset(a.ip + 8, 0, 8);
    return addr_hash(&e->hash_key, &a);
}

bool gate_rate_left(const struct gate_env *e, uint8_t zone, const struct addr *source,
                    struct instant now)
{
    uint32_t per_s = e->policy->zones[zone].rate_per_source;
    if (!per_s)
        per_s = RATE_DEFAULT;
    return rate_take(e->rate, source_hash(e, source), per_s, per_s * 2, now);
}

/* A peer carries many users' calls: a limit of its own, a minute's worth at once. */
static struct verdict of_trunk(const struct gate_env *e, const struct request *r)
{
    uint32_t a_minute = e->policy->guard.trunk_rate;
    bool ok =
        !a_minute || r->in_dialog || r->emergency ||
        rate_take(e->rate,
                  siphash(&e->hash_key, policy_text(e->policy, e->policy->peers[r->peer].name)),
                  MAX(a_minute / 60, 1u), a_minute, r->now.mono);
    return ok ? gate_pass() : gate_refuse(REASON_shield_rate_trunk);
}

struct verdict gate_rate(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    const struct addr *from = &r->flow.peer;
    if (r->peer != POLICY_NONE)
        return of_trunk(e, r);
    if (r->in_dialog || gate_rate_left(e, r->zone, from, r->now.mono))
        return gate_pass();
    if (gate_dials_emergency(r->m) && rate_take(e->rate, source_hash(e, from) ^ EMERGENCY_SALT,
                                                EMERGENCY_S, EMERGENCY_MOST, r->now.mono))
        return gate_pass();
    return r->flow.proto == PROTO_UDP ? gate_drop(REASON_rate_source)
                                      : gate_refuse(REASON_rate_source);
}
