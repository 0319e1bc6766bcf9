/* How much of the log strangers may fill. Who has proved nothing gets some lines in full and then
 * one now and then, all strangers together not many more; what is not told in full is counted by
 * log_share and told in a sum by reason, with the source that came last. A flood so costs neither
 * the store's time nor the disk. */
#include "call/core_int.h"

#define SOURCES     8192u
#define SOURCE_S    1u  /* lines a second of one source */
#define SOURCE_MOST 40u /* at once */
#define ALL_S       50u /* of all sources: whoever forges sources has no more */
#define ALL_MOST    400u
#define SUM_MS      10000

size_t quiet_bytes(void)
{
    return rate_bytes(SOURCES);
}

void quiet_init(struct core *c, void *mem)
{
    c->quiet.sources = rate_init(mem, SOURCES);
}

bool quiet_share(struct core *c, const struct addr *source)
{
    struct addr a = *source;
    a.port = 0;
    if (a.family == ADDR_V6)
        memset(a.ip + 8, 0, 8);
    struct rate_table *t = c->quiet.sources;
    return rate_take(t, addr_hash(&c->cfg.hash_key, &a), SOURCE_S, SOURCE_MOST, c->now.mono) &&
           rate_take(t, c->cfg.hash_key.k0 | 1, ALL_S, ALL_MOST, c->now.mono);
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
    shield_below(c, why, source, 1, true, STR_NONE); /* connections, whose source is real */
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
