/* Index from a 64-bit hash to 32-bit values, open addressing, fixed memory. Holds no keys: the
 * caller compares the real ones (a hash is never an identity). Keys that a peer chooses are hashed
 * with siphash under a per-boot key. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include "base/str.h"

struct map_slot {
    uint64_t hash;
    uint32_t value; /* 0 = empty */
};
struct map {
    struct map_slot *slots;
    uint32_t mask, used, cap;
};
size_t map_bytes(uint32_t cap); /* room for cap entries at half load */
void map_init(struct map *m, void *mem, uint32_t cap);
MUST_CHECK enum err map_put(struct map *m, uint64_t hash,
                            uint32_t value); /* value != 0; ERR_FULL */
/* Iterates the values under hash: start with *it = 0; returns 0 at the end. */
uint32_t map_find(const struct map *m, uint64_t hash, uint32_t *it);
bool map_del(struct map *m, uint64_t hash, uint32_t value); /* backward shift; false if absent */
#endif
