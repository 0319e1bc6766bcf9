/* Thresholds and flowbits of one engine: fixed tables, four slots a set. Where a set is full the
 * oldest of it goes: under a flood of new keys a count may begin anew, and memory never grows. */
#include "guard/rules_int.h"

static struct limit_slot *limit_slot(struct rules_state *s, uint64_t key, struct now now)
{
    struct limit_slot *set = &s->limits[(key % (LIMIT_SLOTS / SLOT_WAYS)) * SLOT_WAYS], *best = set;
    for (uint32_t i = 0; i < SLOT_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (best->key && (!set[i].key || set[i].start_us < best->start_us))
            best = &set[i];
    }
    *best = (struct limit_slot){.key = key, .start_us = now.mono.us};
    return best;
}

static uint64_t limit_key(const struct rules *r, uint32_t rule, unsigned which, uint8_t track,
                          const struct rules_input *in)
{
    struct {
        uint32_t rule, which;
        uint8_t src[16], dst[16];
        uint64_t flow;
    } k = {.rule = rule, .which = which};
    if (track == TRACK_SRC || track == TRACK_BOTH)
        memcpy(k.src, in->source.ip, 16);
    if (track == TRACK_DST || track == TRACK_BOTH)
        memcpy(k.dst, in->dest.ip, 16);
    if (track == TRACK_FLOW)
        k.flow = in->flow;
    struct sipkey key = {r->salt[0], r->salt[1]};
    return siphash(&key, str_of((const char *)&k, sizeof k)) | 1;
}

static enum limit_verdict limit_one(struct rules_state *s, const struct rules_limit *l,
                                    uint64_t key, struct now now)
{
    struct limit_slot *t = limit_slot(s, key, now);
    if (now.mono.us - t->start_us >= (int64_t)l->seconds * 1000000) {
        t->start_us = now.mono.us;
        t->count = 0;
    }
    if (t->count < UINT32_MAX)
        t->count++;
    switch ((enum rules_limit_type)l->type) {
    case LIMIT_LIMIT:
        return t->count <= l->count ? FIRES : QUIET;
    case LIMIT_THRESHOLD:
        if (t->count < l->count)
            return HOLDS;
        t->count = 0;
        return FIRES;
    case LIMIT_BOTH:
        return t->count < l->count ? HOLDS : t->count == l->count ? FIRES : QUIET;
    case LIMIT_FILTER:
        return t->count > l->count ? FIRES : HOLDS;
    case LIMIT_NONE:
    default:
        return FIRES;
    }
}

enum limit_verdict rules_limit_ask(struct rules_state *s, uint32_t rule,
                                   const struct rules_input *in, struct now now)
{
    const struct rules_rule *u = rules_rule_at(s->r, rule);
    for (unsigned i = 0; i < 2; i++) {
        if (u->limit[i].type == LIMIT_NONE || !s->limits)
            continue;
        enum limit_verdict v =
            limit_one(s, &u->limit[i], limit_key(s->r, rule, i, u->limit[i].track, in), now);
        if (v != FIRES)
            return v;
    }
    return FIRES;
}

static struct bits_slot *bits_find(const struct rules_state *s, uint64_t flow, bool make)
{
    uint64_t h = flow ^ s->r->salt[0];
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    struct bits_slot *set = &s->bits[(h % (BITS_SLOTS / SLOT_WAYS)) * SLOT_WAYS], *best = set;
    for (uint32_t i = 0; i < SLOT_WAYS; i++) {
        if (set[i].flow == flow)
            return &set[i];
        if (best->flow && (!set[i].flow || set[i].used_us < best->used_us))
            best = &set[i];
    }
    if (!make)
        return NULL;
    *best = (struct bits_slot){.flow = flow};
    return best;
}

uint64_t rules_bits_of(const struct rules_state *s, uint64_t flow, struct now now)
{
    struct bits_slot *b = s->bits && flow ? bits_find(s, flow, false) : NULL;
    return b && now.mono.us - b->used_us < BITS_LIFE_US ? b->bits : 0;
}

void rules_bits_put(struct rules_state *s, uint64_t flow, uint64_t bits, struct now now)
{
    struct bits_slot *b = s->bits && flow ? bits_find(s, flow, bits != 0) : NULL;
    if (!b)
        return;
    b->bits = bits;
    b->used_us = now.mono.us;
    if (!bits)
        b->flow = 0;
}
