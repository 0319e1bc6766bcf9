/* Inside of the ledger: a shard's memory. Eight keys fill a cache line, their rows follow; a key
 * lives in one of two such buckets. Every field of a row is written by itself, in an order in which
 * a reader at any moment sees too much rather than too little: what moves from reserved to spent is
 * added there before it is taken here, and read here before there. Nothing waits for a writer that
 * died in the middle. */
#ifndef GUARD_LEDGER_INT_H
#define GUARD_LEDGER_INT_H
#include "guard/ledger.h"

#define LEDGER_MAGIC 0x5257474cu
#define LEDGER_WAYS  8u
#define ROW_NONE     UINT32_MAX

struct ledger_row {
    uint32_t minute; /* of the latest write, since 1970: which windows its sums belong to */
    uint32_t calls;
    uint16_t attempts, tick; /* in that minute, its lower 16 bits */
    uint32_t reserved_s;
    uint32_t seconds[SPAN_COUNT];
    uint8_t kind, pad[3];
    int64_t reserved_micro;
    int64_t micro[SPAN_COUNT]; /* spent */
};
struct ledger_bucket {
    uint64_t key[LEDGER_WAYS]; /* 0: free */
    struct ledger_row row[LEDGER_WAYS];
};
struct ledger_shard {
    uint32_t magic, buckets;
    uint32_t used, sweep; /* the writer's */
    uint64_t salt;
    uint32_t latest, writes; /* the writer's: the latest minute it has seen; how often it wrote */
    uint64_t pad[4];
    ALIGNED(64) struct ledger_bucket bucket[];
};

/* The minute, and in which minute the hour, day and month of it began. The ledger's time does not
 * go back when the clock does (by up to a day): windows that have begun stay. The minute of
 * attempts is the clock's. */
struct ledger_clock {
    uint32_t minute, start[SPAN_COUNT];
    uint16_t tick;
};
struct ledger_clock ledger_clock_of(const struct ledger_shard *own,
                                    struct wall now); /* own: NULL */
struct ledger_clock ledger_clock_move(struct ledger_shard *own, struct wall now);

#define ATOM_GET(p)      __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ATOM_PUT(p, v)   __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define ATOM_ADD32(p, d) ATOM_PUT(p, ledger_add32(ATOM_GET(p), (d)))
#define ATOM_ADD64(p, d) ATOM_PUT(p, ledger_add64(ATOM_GET(p), (d)))

/* Saturate; never below 0. */
static inline uint16_t ledger_add16(uint16_t a, int d)
{
    int v = a + d;
    return (uint16_t)(v < 0 ? 0 : v > UINT16_MAX ? UINT16_MAX : v);
}
static inline uint32_t ledger_add32(uint32_t a, int64_t d)
{
    int64_t v = (int64_t)a + d;
    return v < 0 ? 0 : v > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}
static inline int64_t ledger_add64(int64_t a, int64_t d)
{
    int64_t v;
    if (__builtin_add_overflow(a, d, &v))
        return d < 0 ? 0 : INT64_MAX;
    return MAX(v, 0);
}

static inline struct ledger_row *ledger_row_at(struct ledger_shard *s, uint32_t i)
{
    return &s->bucket[i / LEDGER_WAYS].row[i % LEDGER_WAYS];
}
/* Row number, or ROW_NONE. Writer's. */
uint32_t ledger_find(const struct ledger_shard *s, uint32_t buckets, uint8_t kind, uint64_t key);
/* Finds or makes; ROW_NONE: both buckets are full of rows that must stay. */
uint32_t ledger_take(struct ledger_shard *s, uint8_t kind, uint64_t key,
                     const struct ledger_clock *c);
/* Empties what has run out, before the row is written at c. */
void ledger_roll(struct ledger_row *r, const struct ledger_clock *c);
void ledger_sweep(struct ledger_shard *s, const struct ledger_clock *c); /* a step */
struct ledger_sum ledger_sum_at(const struct ledger *l, uint8_t kind, uint64_t key,
                                const struct ledger_clock *c);
void ledger_ahead(const struct ledger *l, uint64_t key); /* prefetches */
#endif
