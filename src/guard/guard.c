#include "guard/guard.h"

struct guard {
    struct guard_cfg cfg;
};
size_t guard_bytes(const struct guard_cfg *cfg)
{
    (void)cfg;
    return sizeof(struct guard);
}
struct guard *guard_init(void *mem, const struct guard_cfg *cfg, struct now now)
{
    struct guard *g = mem;
    (void)now;
    g->cfg = *cfg;
    return g;
}
void guard_set_policy(struct guard *g, const struct guard_policy *p)
{
    g->cfg.policy = p;
}
void guard_set_bans(struct guard *g, const struct ban_board *bans, uint32_t cap)
{
    g->cfg.bans = bans;
    g->cfg.bans_cap = cap;
}
struct addr guard_source(const struct addr *a)
{
    struct addr s = *a;
    s.port = 0;
    if (s.family == ADDR_V6)
        memset(s.ip + 8, 0, 8);
    return s;
}
uint64_t guard_hash(const struct guard *g, const struct addr *a)
{
    struct addr s = guard_source(a);
    return addr_hash(&g->cfg.key, &s);
}
const char *tier_name(enum tier t)
{
    return t == TIER_TRUNK ? "trunk" : t == TIER_REGISTERED ? "registered" : "unknown";
}
void guard_known(struct guard *g, const struct addr *source, struct instant until)
{
    (void)g, (void)source, (void)until;
}
enum tier guard_tier(const struct guard *g, const struct addr *source, struct instant now)
{
    (void)g, (void)source, (void)now;
    return TIER_UNKNOWN;
}
enum reason guard_before(struct guard *g, const struct addr *source, bool peer, struct str bytes,
                         struct now now, struct ban_view *ret_ban)
{
    (void)g, (void)source, (void)peer, (void)bytes, (void)now, (void)ret_ban;
    return REASON_NONE;
}
bool guard_maybe_emergency(struct str bytes)
{
    (void)bytes;
    return false;
}
enum reason guard_after(struct guard *g, uint64_t aor, uint64_t device, struct instant now)
{
    (void)g, (void)aor, (void)device, (void)now;
    return REASON_NONE;
}
void guard_observe(struct guard *g, const struct obs *o, bool forwarded, struct now now,
                   struct guard_out *ret_o)
{
    (void)g, (void)o, (void)forwarded, (void)now;
    memset(ret_o, 0, sizeof *ret_o);
}
uint8_t guard_owner(const struct guard *g, uint64_t hash)
{
    return (uint8_t)(hash % g->cfg.engines);
}
bool guard_explain(const struct guard *g, enum entity e, uint64_t hash, struct now now,
                   struct out *o)
{
    (void)g, (void)e, (void)hash, (void)now, (void)o;
    return false;
}
void guard_top(const struct guard *g, unsigned n, struct now now, struct out *o)
{
    (void)g, (void)n, (void)now, (void)o;
}
