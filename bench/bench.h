/* What micro benchmarks share. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H
#include "base/cc.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Whole cache lines; there is memory. */
static inline void *zeroed(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);
    if (!p)
        exit(1);
    return memset(p, 0, n);
}

/* xorshift: the same numbers in every run. */
static inline uint32_t chance_of(uint64_t *seed, uint32_t n)
{
    *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 33) % n;
}
#endif
