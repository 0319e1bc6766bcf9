/* How much of the log strangers may fill. Who has proved nothing gets some lines in full and then
 * one now and then, all strangers together not many more; what is not told in full is counted by
 * log_share and told in a sum by reason, with the source that came last. A flood so costs neither
 * the store's time nor the disk. */
#include "call/core_int.h"

#define SOURCES 8192u
#define SUM_MS  10000
static const struct {
    uint64_t salt;
    uint32_t source_s, source_most; /* a second, and at once, of one source */
    uint32_t all_s, all_most;       /* of all: whoever forges sources has no more */
} SHARES[] = {
    [QUIET_LINE] = {0, 1, 40, 50, 400},
    [QUIET_CLAIMED] = {UINT64_C(0x9e3779b97f4a7c15), 1, 10, 10, 100},
    [QUIET_PROVEN] = {UINT64_C(0xc2b2ae3d27d4eb4f), 2, 20, 30, 300},
    [QUIET_EVIDENCE] = {UINT64_C(0x165667b19e3779f9), 1, 10, 20, 200}, /* 1.7 kB each */
};

size_t quiet_bytes(void)
{
    return rate_bytes(SOURCES);
}

void quiet_init(struct core *c, void *mem)
{
    c->quiet.sources = rate_init(mem, SOURCES);
}

bool quiet_share_of(struct core *c, const struct addr *source, enum quiet_kind kind)
{
    struct addr a = guard_source(source);
    struct rate_table *t = c->quiet.sources;
    uint64_t salt = SHARES[kind].salt;
    return rate_take(t, addr_hash(&c->cfg.hash_key, &a) ^ salt, SHARES[kind].source_s,
                     SHARES[kind].source_most, c->now.mono) &&
           rate_take(t, (c->cfg.hash_key.k0 | 1) ^ salt << 1, SHARES[kind].all_s,
                     SHARES[kind].all_most, c->now.mono);
}

bool quiet_share(struct core *c, const struct addr *source)
{
    return quiet_share_of(c, source, QUIET_LINE);
}

void quiet_add(struct core *c, enum reason why, const struct addr *source)
{
    struct quiet *q = &c->quiet;
    if (why >= REASON_COUNT)
        return;
    q->sum[why].n++;
    q->sum[why].last = *source;
    q->any = true;
}

void core_refused(struct core *c, enum reason why, const struct addr *source, struct now now)
{
    c->now = now;
    core_count(c, why);
    quiet_add(c, why, source);
    struct flow stream = {.proto = PROTO_TCP, .listener = UINT8_MAX}; /* its source is real */
    shield_below(c, why, &stream, source, 1, STR_NONE);
}

/* A first 401 is no news, and neither is a line end. */
static bool news(enum reason r)
{
    return r != REASON_auth_required && r != REASON_auth_stale && r != REASON_sip_empty;
}

void quiet_tick(struct core *c)
{
    struct quiet *q = &c->quiet;
    if (!q->any || c->now.mono.us < q->next.us)
        return;
    q->any = false;
    q->next = instant_add(c->now.mono, DUR_MS(SUM_MS));
    for (unsigned r = 1; r < REASON_COUNT; r++) {
        if (q->sum[r].n && news((enum reason)r)) {
            struct fact *f = fact_begin(c, FACT_REFUSED, (enum reason)r, 0);
            f->u.refused.source = q->sum[r].last;
            f->u.refused.n = q->sum[r].n;
            TEXT_SET(f->u.refused.what, reason_info((enum reason)r)->text);
            fact_end(c);
        }
        q->sum[r].n = 0;
    }
}
