/* Registrations that we make ourselves: phones' at a PBX that we front, ours at trunks. Not served
 * yet. */
#include "call/core_int.h"

struct upstream {
    uint32_t used;
};

size_t upstream_bytes(const struct core_cfg *cfg)
{
    (void)cfg;
    return sizeof(struct upstream);
}

struct upstream *upstream_init(void *mem, struct core *c)
{
    (void)c;
    return mem;
}

void upstream_policy(struct core *c)
{
    (void)c;
}

void upstream_registered(struct core *c, uint8_t zone, struct str aor)
{
    (void)c;
    (void)zone;
    (void)aor;
}

void upstream_response(struct core *c, uint64_t user, struct handle t, const struct sip_msg *m)
{
    (void)user;
    (void)t;
    (void)m;
    core_count(c, REASON_sip_response_stray);
}

void upstream_failed(struct core *c, uint64_t user, struct handle t, enum reason why)
{
    (void)user;
    (void)t;
    core_count(c, why);
}

void upstream_timer(struct core *c, struct timer *t)
{
    (void)c;
    (void)t;
}

uint32_t upstream_used(const struct core *c)
{
    return c->upstream->used;
}
