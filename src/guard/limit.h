/* Token buckets and who is known, in fixed memory; both O(1) and a cache line or two. */
#ifndef GUARD_LIMIT_H
#define GUARD_LIMIT_H
#include "guard/gauge.h"

struct bucket {
    uint64_t key;
    uint32_t at, left; /* tick; microseconds' worth of tokens */
};
struct buckets { /* sets of 4, the longest idle goes */
    uint32_t sets;
    struct bucket *b;
};
size_t buckets_bytes(uint32_t cap);
void *buckets_init(struct buckets *t, void *mem, uint32_t cap);
/* Takes a token of key's bucket of burst tokens, each of which comes back in cost_us (at most a
 * minute). */
bool buckets_take(struct buckets *t, uint64_t key, uint32_t cost_us, uint32_t burst, uint32_t now);

struct known_source {
    uint64_t key;
    uint32_t until, pad; /* tick */
};
struct known { /* sets of 8, the one that ends first goes: only the proven come in */
    uint32_t sets;
    struct known_source *k;
};
size_t known_bytes(uint32_t cap);
void *known_init(struct known *t, void *mem, uint32_t cap);
void known_put(struct known *t, uint64_t key, uint32_t until, uint32_t now);
bool known_has(const struct known *t, uint64_t key, uint32_t now);
#endif
