#include "guard/guard_int.h"

static uint32_t sets_for(uint32_t cap)
{
    uint32_t n = 4;
    while (n < 1u << 21 && n * WAYS < cap)
        n *= 2;
    return n;
}

size_t table_bytes(struct table *t, uint32_t cap)
{
    t->sets = sets_for(cap);
    t->slot_bytes = (uint32_t)(sizeof(struct slot) + t->n_sets * sizeof(struct set) +
                               t->n_gauges * sizeof(struct gauge) + t->extra);
    return (size_t)t->sets * WAYS * (t->slot_bytes + sizeof(uint32_t));
}

void *table_init(struct table *t, void *mem, uint32_t cap)
{
    size_t n = table_bytes(t, cap);
    t->slots = mem;
    t->tags = (uint32_t *)(void *)(t->slots + (size_t)t->sets * WAYS * t->slot_bytes);
    return t->slots + n;
}

struct slot *table_at(const struct table *t, uint32_t i)
{
    CHECK(i < t->sets * WAYS);
    return (struct slot *)(void *)(t->slots + (size_t)i * t->slot_bytes);
}

static uint32_t tag_of(uint64_t key)
{
    return (uint32_t)(key >> 32) | 1;
}

static uint32_t base_of(const struct table *t, uint64_t key)
{
    return (uint32_t)(key & (t->sets - 1)) * WAYS;
}

struct slot *table_get(const struct table *t, uint64_t key)
{
    uint32_t base = base_of(t, key), tag = tag_of(key);
    for (uint32_t i = base; i < base + WAYS; i++)
        if (t->tags[i] == tag && table_at(t, i)->key == key)
            return table_at(t, i);
    return NULL;
}

/* Less is given up first. */
static bool less(const struct slot *a, uint32_t worth_a, const struct slot *b, uint32_t worth_b,
                 uint32_t now)
{
    if (a->proof != b->proof)
        return a->proof < b->proof;
    if (worth_a != worth_b)
        return worth_a < worth_b;
    return now - a->at > now - b->at;
}

struct slot *table_take(struct table *t, uint64_t key, enum proof proof, uint32_t half,
                        uint32_t now)
{
    uint32_t base = base_of(t, key), tag = tag_of(key), it = base, it_worth = 0;
    struct slot *s = table_get(t, key);
    if (s)
        return s;
    for (uint32_t i = base; i < base + WAYS; i++) {
        if (!t->tags[i]) {
            it = i;
            break;
        }
        struct slot *x = table_at(t, i);
        uint32_t at = x->score_at, worth = score_decay(x->score + x->heat, &at, half, now);
        if (i == base || less(x, worth, table_at(t, it), it_worth, now)) {
            it = i;
            it_worth = worth;
        }
    }
    s = table_at(t, it);
    if (t->tags[it] && s->proof > proof) {
        t->refused++;
        return NULL;
    }
    t->evicted += t->tags[it] != 0;
    memset(s, 0, t->slot_bytes);
    t->tags[it] = tag;
    s->key = key;
    s->proof = (uint8_t)proof;
    s->at = s->score_at = now;
    return s;
}
