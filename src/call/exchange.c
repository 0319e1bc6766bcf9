/* Single requests and subscriptions, end to end. Not served yet: refused by name. */
#include "call/core_int.h"

struct exchanges {
    uint32_t used;
};

size_t exchange_bytes(const struct core_cfg *cfg)
{
    (void)cfg;
    return sizeof(struct exchanges);
}

struct exchanges *exchange_init(void *mem, struct core *c)
{
    (void)c;
    return mem;
}

void exchange_request(struct core *c, struct incoming *in)
{
    reply_reason(c, in, REASON_sip_method_not_allowed);
}

void exchange_response(struct core *c, uint64_t user, struct handle t, const struct sip_msg *m)
{
    (void)user;
    (void)t;
    (void)m;
    core_count(c, REASON_sip_response_stray);
}

void exchange_failed(struct core *c, uint64_t user, struct handle t, enum reason why)
{
    (void)user;
    (void)t;
    core_count(c, why);
}

void exchange_timer(struct core *c, struct timer *t)
{
    (void)c;
    (void)t;
}

uint32_t exchange_used(const struct core *c)
{
    return c->exchanges->used;
}
