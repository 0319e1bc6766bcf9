/* Slots of somebody who is watched, in sets of eight; see guard.h for who goes when it is full. */
#ifndef GUARD_TABLE_H
#define GUARD_TABLE_H
#include "base/addr.h"
#include "guard/gauge.h"

#define WAYS     8u
#define SLOT_WHO 23u
enum proof { PROOF_CLAIMED, PROOF_PROVEN, PROOF_KNOWN, PROOF_USER };
struct slot {
    uint64_t key;                   /* 0: free */
    uint64_t hash;                  /* of the entity that it is a person of */
    uint64_t aor;                   /* PROOF_USER of a source */
    uint64_t evidence;              /* of the latest straw */
    uint64_t firing;                /* bit per row */
    uint32_t at;                    /* latest observation */
    uint32_t score, heat;           /* 1/256 points when true; heat: observations that matched */
    uint32_t score_at;              /* when both were */
    uint32_t asked_until;           /* what was asked stands until then */
    uint8_t asked;                  /* enum treat; 0: nothing */
    uint8_t proof, detector, who_n; /* enum proof; latest that fired */
    uint16_t reason, level, pad[2]; /* of the latest straw */
    struct addr source;             /* latest */
    char who[SLOT_WHO];
    uint8_t n_fired;
    uint64_t tail[]; /* sets, gauges, extra */
};
struct table {
    uint32_t sets, slot_bytes;
    uint8_t n_sets, n_gauges;
    uint16_t extra; /* bytes */
    uint32_t *tags; /* WAYS a set; 0: free */
    uint8_t *slots;
    uint64_t evicted, refused;
};
/* cap is rounded up to a power of two of sets. */
size_t table_bytes(struct table *t, uint32_t cap);          /* t: n_sets, n_gauges, extra are set */
void *table_init(struct table *t, void *mem, uint32_t cap); /* zeroed; gives the end */
struct slot *table_get(const struct table *t, uint64_t key);
/* Finds or makes; NULL: everybody in its set is worth more. key not 0. */
struct slot *table_take(struct table *t, uint64_t key, enum proof proof, uint32_t half_life,
                        uint32_t now);
struct slot *table_at(const struct table *t, uint32_t i); /* i < sets * WAYS */
static inline struct set *slot_set(struct slot *s, unsigned i)
{
    return (struct set *)s->tail + i;
}
static inline struct gauge *slot_gauge(const struct table *t, struct slot *s, unsigned i)
{
    return (struct gauge *)((struct set *)s->tail + t->n_sets) + i;
}
static inline void *slot_extra(const struct table *t, struct slot *s)
{
    return slot_gauge(t, s, t->n_gauges);
}
#endif
