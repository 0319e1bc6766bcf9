#include "guard/rules.h"

enum err rules_valid(const struct rules *r, size_t bytes)
{
    (void)r, (void)bytes;
    return ERR_SYNTAX;
}
uint32_t rules_count(const struct rules *r)
{
    (void)r;
    return 0;
}
size_t rules_state_bytes(const struct rules *r)
{
    (void)r;
    return 64;
}
struct rules_state *rules_state_init(void *mem, const struct rules *r)
{
    (void)r;
    return mem;
}
size_t rules_run(const struct rules *r, struct rules_state *s, const struct rules_scanner *scan,
                 const struct rules_input *in, struct now now, struct rules_hit *ret_hits,
                 size_t cap)
{
    (void)r, (void)s, (void)scan, (void)in, (void)now, (void)ret_hits, (void)cap;
    return 0;
}
bool rules_want_rtp(const struct rules *r)
{
    (void)r;
    return false;
}
