#include "call/rate.h"

/* Four-way sets: a source either has an entry or takes the one that was idle longest, so memory is
 * fixed and a flood of forged sources can only make the table forget, never grow. */
#define WAYS 4u
struct rate_entry {
    uint64_t hash;
    int64_t at_us;    /* when the level below was true */
    int64_t level_us; /* tokens left, as time: 1 token = 1 s / rate */
};
struct rate_table {
    uint32_t sets;
    struct rate_entry e[];
};

static uint32_t sets_for(uint32_t cap)
{
    uint32_t n = 16;
    while (n * WAYS < cap)
        n *= 2;
    return n;
}

size_t rate_bytes(uint32_t cap)
{
    return sizeof(struct rate_table) + (size_t)sets_for(cap) * WAYS * sizeof(struct rate_entry);
}

struct rate_table *rate_init(void *mem, uint32_t cap)
{
    struct rate_table *t = mem;
    t->sets = sets_for(cap);
    return t;
}

bool rate_take(struct rate_table *t, uint64_t hash, uint32_t per_s, uint32_t burst,
               struct instant now)
{
    struct rate_entry *set = &t->e[(hash & (t->sets - 1)) * WAYS], *e = &set[0];
    hash |= 1;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].hash == hash) {
            e = &set[i];
            break;
        }
        if (set[i].at_us < e->at_us)
            e = &set[i];
    }
    int64_t cost = 1000000 / (int64_t)MAX(per_s, 1u), full = cost * (int64_t)burst;
    if (e->hash != hash)
        *e = (struct rate_entry){hash, now.us, full};
    e->level_us = MIN(full, e->level_us + (now.us - e->at_us));
    e->at_us = now.us;
    if (e->level_us < cost)
        return false;
    e->level_us -= cost;
    return true;
}
