/* What a child counts, in a page of shared memory: it alone writes, the monitor reads. Survives the
 * child's death. */
#ifndef IPC_STATS_H
#define IPC_STATS_H
#include "base/reasons.h"

/* Gauges are levels, tallies only grow. */
/* clang-format off */
#define STATS_LIST(X)                                                                              \
    X(calls)                                                                                       \
    X(calls_total) X(calls_answered) X(transactions) X(connections) X(bindings) X(ports_taken)     \
        X(ports_open) X(sip_in) X(sip_out) X(sip_bytes_in) X(sip_bytes_out) X(rtp_in) X(rtp_out)   \
            X(rtp_bytes_in) X(rtp_bytes_out) X(asks) X(answers) X(signs) X(facts) X(facts_lost)    \
                X(turns) X(cpu_us) X(memory_bytes) X(strangers)
/* clang-format on */
enum stat_id {
#define X(name) STAT_##name,
    STATS_LIST(X)
#undef X
        STAT_COUNT
};
extern const char *const stat_names[STAT_COUNT];
struct stats {
    struct counters reasons;
    uint64_t n[STAT_COUNT];
};
static inline void stat_add(struct stats *s, enum stat_id i, uint64_t by)
{
    __atomic_store_n(&s->n[i], s->n[i] + by, __ATOMIC_RELAXED);
}
static inline void stat_set(struct stats *s, enum stat_id i, uint64_t v)
{
    __atomic_store_n(&s->n[i], v, __ATOMIC_RELAXED);
}
static inline uint64_t stat_get(const struct stats *s, enum stat_id i)
{
    return __atomic_load_n(&s->n[i], __ATOMIC_RELAXED);
}
#endif
