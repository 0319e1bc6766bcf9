#include "base/map.h"

static uint32_t slot_count(uint32_t cap)
{
    CHECK(cap > 0 && cap <= 1u << 30);
    uint32_t n = 2;
    while (n < 2 * cap)
        n *= 2;
    return n;
}

/* Fibonacci hashing, so that plain counters as hashes spread too. */
static uint32_t home(const struct map *m, uint64_t hash)
{
    return (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 32) & m->mask;
}

size_t map_bytes(uint32_t cap)
{
    return sizeof(struct map_slot) * (size_t)slot_count(cap);
}

void map_init(struct map *m, void *mem, uint32_t cap)
{
    *m = (struct map){.slots = mem, .mask = slot_count(cap) - 1, .cap = cap};
    memset(mem, 0, map_bytes(cap));
}

enum err map_put(struct map *m, uint64_t hash, uint32_t value)
{
    CHECK(value != 0);
    if (m->used == m->cap)
        return ERR_FULL;
    uint32_t i = home(m, hash);
    while (m->slots[i].value)
        i = (i + 1) & m->mask;
    m->slots[i] = (struct map_slot){hash, value};
    m->used++;
    return OK;
}

uint32_t map_find(const struct map *m, uint64_t hash, uint32_t *it)
{
    /* *it counts the slots already looked at; half load keeps an empty one at the end. */
    for (;;) {
        const struct map_slot *s = &m->slots[(home(m, hash) + *it) & m->mask];
        if (!s->value)
            return 0;
        ++*it;
        if (s->hash == hash)
            return s->value;
    }
}

bool map_del(struct map *m, uint64_t hash, uint32_t value)
{
    uint32_t i = home(m, hash);
    while (m->slots[i].value && (m->slots[i].hash != hash || m->slots[i].value != value))
        i = (i + 1) & m->mask;
    if (!m->slots[i].value)
        return false;
    /* Fill the gap with any later entry of the run whose home is not behind the gap. */
    for (uint32_t j = (i + 1) & m->mask; m->slots[j].value; j = (j + 1) & m->mask) {
        uint32_t walked = (j - home(m, m->slots[j].hash)) & m->mask;
        if (walked >= ((j - i) & m->mask)) {
            m->slots[i] = m->slots[j];
            i = j;
        }
    }
    m->slots[i].value = 0;
    m->used--;
    return true;
}
