#include "guard/gauge.h"

uint32_t gauge_add(struct gauge *g, uint64_t add, uint32_t threshold, uint32_t window, uint32_t now)
{
    /* By the clock's own ticks, not by those since the last time: what is not whole at one of them
     * comes at a later one, so nothing leaks twice, however often it is asked. */
    uint64_t from = g->at, to = from + (uint32_t)(now - g->at);
    uint64_t leak = to * threshold / window - from * threshold / window;
    g->v -= (uint32_t)MIN(leak, (uint64_t)g->v);
    g->at = now;
    g->v = (uint32_t)MIN(g->v + MIN(add, UINT64_C(1) << 32), (uint64_t)INT32_MAX);
    return g->v;
}

static uint32_t estimate(unsigned ones)
{
    static const uint16_t EST[129] = {
        0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  12,  13,  14,  15,  16,  17,
        18,  19,  21,  22,  23,  24,  25,  27,  28,  29,  30,  32,  33,  34,  35,  37,  38,
        40,  41,  42,  44,  45,  47,  48,  49,  51,  52,  54,  55,  57,  59,  60,  62,  63,
        65,  67,  68,  70,  72,  74,  75,  77,  79,  81,  83,  85,  87,  89,  91,  93,  95,
        97,  99,  101, 104, 106, 108, 110, 113, 115, 118, 120, 123, 126, 128, 131, 134, 137,
        140, 143, 146, 149, 152, 155, 159, 162, 166, 170, 174, 177, 182, 186, 190, 195, 199,
        204, 209, 214, 220, 225, 231, 238, 244, 251, 258, 266, 274, 283, 293, 303, 314, 326,
        340, 355, 372, 392, 415, 444, 480, 500, 500, 500};
    return EST[MIN(ones, 128u)];
}

uint32_t set_count(const struct set *s)
{
    return estimate((unsigned)(__builtin_popcountll(s->cur[0] | s->prev[0]) +
                               __builtin_popcountll(s->cur[1] | s->prev[1])));
}

uint32_t set_add(struct set *s, uint64_t hash, uint32_t window, uint32_t now)
{
    uint32_t elapsed = now - s->at;
    if (elapsed >= 2 * window || !(s->cur[0] | s->cur[1] | s->prev[0] | s->prev[1])) {
        memset(s, 0, sizeof *s);
        s->at = now;
    } else if (elapsed >= window) {
        memcpy(s->prev, s->cur, sizeof s->prev);
        memset(s->cur, 0, sizeof s->cur);
        s->at += window;
    }
    s->cur[hash >> 6 & 1] |= UINT64_C(1) << (hash & 63);
    return set_count(s);
}

uint32_t bigset_add(struct bigset *b, uint64_t hash, uint32_t window, uint32_t now)
{
    uint32_t elapsed = now - b->at;
    if (elapsed >= 2 * window) {
        memset(b, 0, sizeof *b);
        b->at = now;
    } else if (elapsed >= window) {
        memcpy(b->prev, b->cur, sizeof b->prev);
        memset(b->cur, 0, sizeof b->cur);
        b->at += window;
        b->ones = 0;
        for (unsigned i = 0; i < BIG_WORDS; i++)
            b->ones += (uint32_t)__builtin_popcountll(b->prev[i]);
    }
    unsigned word = hash >> 6 & (BIG_WORDS - 1);
    uint64_t bit = UINT64_C(1) << (hash & 63);
    b->ones += !((b->cur[word] | b->prev[word]) & bit);
    b->cur[word] |= bit;
    /* -m ln(1 - x) by the first terms of its series, x = ones / m; generous above a half */
    uint64_t x = b->ones, m = BIG_WORDS * 64;
    return (uint32_t)(x + x * x / (2 * m) + x * x * x / (3 * m * m));
}
