/* What a detector remembers of somebody, in a few bytes: a count that leaks, a set that tells how
 * many different things it has seen, and a large such set for all sources together. Time is in
 * ticks of 2^13 us that wrap after 400 days. */
#ifndef GUARD_GAUGE_H
#define GUARD_GAUGE_H
#include "base/instant.h"
#include "base/str.h"

#define TICKS_A_SECOND 122u
#define WINDOW_MAX_S   (30u * 86400u)
static inline uint32_t tick_of(struct instant t)
{
    return (uint32_t)((uint64_t)t.us >> 13);
}
static inline uint32_t ticks_of(uint32_t seconds)
{
    return MIN(seconds, WINDOW_MAX_S) * TICKS_A_SECOND;
}
static inline uint64_t mix64(uint64_t x) /* of hashes that nobody can choose */
{
    x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

/* A bucket with a hole: threshold flows off in a window. In sixteenths. */
#define GAUGE_ONE 16u
struct gauge {
    uint32_t at, v;
};
/* threshold in sixteenths, window in ticks; both at least 1. Gives the level after it. */
uint32_t gauge_add(struct gauge *g, uint64_t add, uint32_t threshold, uint32_t window,
                   uint32_t now);

/* Linear counting over two windows of 128 bits: what was seen within one to two windows. Exact
 * within a few percent up to 100, a tenth up to 300, and no more than SET_FULL. */
#define SET_FULL 500u
struct set {
    uint64_t cur[2], prev[2];
    uint32_t at;
    uint16_t fired, pad; /* the level at which it fired last */
};
uint32_t set_add(struct set *s, uint64_t hash, uint32_t window, uint32_t now);
uint32_t set_count(const struct set *s);

/* The same of 4096 bits; up to about 5000. */
#define BIG_WORDS 64u
struct bigset {
    uint64_t cur[BIG_WORDS], prev[BIG_WORDS];
    uint32_t at, ones;
};
uint32_t bigset_add(struct bigset *b, uint64_t hash, uint32_t window, uint32_t now);
#endif
