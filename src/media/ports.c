#include "media/ports.h"
#include "base/cc.h"

enum { PAIR_ABSENT, PAIR_FREE, PAIR_TAKEN, PAIR_RESTING };

size_t ports_bytes(uint32_t cap_pairs)
{
    return (size_t)cap_pairs * (sizeof *((struct ports *)0)->resting + sizeof(uint16_t));
}

void ports_init(struct ports *p, void *mem, uint32_t cap_pairs)
{
    memset(p, 0, sizeof *p);
    p->cap = cap_pairs;
    p->resting = mem;
    p->free_list = (uint16_t *)(void *)((uint8_t *)mem + (size_t)cap_pairs * sizeof *p->resting);
}

static void map_set(struct ports *p, uint16_t even, uint8_t v)
{
    if (!p->map)
        return;
    __atomic_store_n(&p->map[even], v, __ATOMIC_RELAXED);
    __atomic_store_n(&p->map[even + 1], v, __ATOMIC_RELAXED);
}

static void map_clear(const struct ports *p)
{
    for (uint32_t i = 0; p->map && i < 65536; i++)
        if (__atomic_load_n(&p->map[i], __ATOMIC_RELAXED) == p->mark)
            __atomic_store_n(&p->map[i], 0, __ATOMIC_RELAXED);
}

void ports_map(struct ports *p, uint8_t *map, uint8_t engine)
{
    p->map = map;
    p->mark = (uint8_t)(engine + 1);
    map_clear(p);
}

void ports_unmap(struct ports *p)
{
    map_clear(p);
    p->map = NULL;
}

bool ports_rests(const struct ports *p, uint16_t port)
{
    return p->state[port / 2] == PAIR_RESTING;
}

enum err ports_add(struct ports *p, uint16_t even)
{
    if ((even & 1) != 0 || even == 0)
        return ERR_RANGE;
    if (p->state[even / 2] != PAIR_ABSENT)
        return ERR_EXISTS;
    if (p->n_open == p->cap)
        return ERR_FULL;
    map_set(p, even, 0);
    p->state[even / 2] = PAIR_FREE;
    p->free_list[p->n_free++] = even;
    p->n_open++;
    return OK;
}

static void wake(struct ports *p, struct instant now)
{
    while (p->n_resting > 0 && !instant_before(now, p->resting[p->rest_head].until)) {
        uint16_t even = p->resting[p->rest_head].port;
        p->rest_head = p->rest_head + 1 == p->cap ? 0 : p->rest_head + 1;
        p->n_resting--;
        p->state[even / 2] = PAIR_FREE;
        p->free_list[p->n_free++] = even;
    }
}

enum err ports_take(struct ports *p, struct rng *rng, struct instant now, uint16_t *ret_even)
{
    wake(p, now);
    if (p->n_free == 0)
        wake(p, instant_add(now, DUR_MS(PORTS_REST_MS - PORTS_REST_MIN_MS)));
    if (p->n_free == 0)
        return ERR_FULL;
    uint32_t at = rng_below(rng, p->n_free);
    uint16_t even = p->free_list[at];
    p->free_list[at] = p->free_list[--p->n_free];
    p->state[even / 2] = PAIR_TAKEN;
    map_set(p, even, p->mark);
    p->n_taken++;
    *ret_even = even;
    return OK;
}

void ports_give(struct ports *p, uint16_t even, struct instant now)
{
    CHECK(p->state[even / 2] == PAIR_TAKEN);
    uint32_t at = p->rest_head + p->n_resting;
    at = at >= p->cap ? at - p->cap : at;
    p->resting[at].port = even;
    p->resting[at].until = instant_add(now, DUR_MS(PORTS_REST_MS));
    p->state[even / 2] = PAIR_RESTING;
    map_set(p, even, 0);
    p->n_resting++;
    p->n_taken--;
}

uint32_t ports_want(const struct ports *p, uint32_t low)
{
    return p->n_free >= low ? 0 : MIN(low - p->n_free, p->cap - p->n_open);
}
