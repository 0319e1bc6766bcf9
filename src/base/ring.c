/* Indexes count bytes for ever and wrap at 2^32; their low bits are the place in data. A record is
 * a u32 length and its bytes, padded to 8; MARK instead of a length says that the rest of the ring
 * is unused and the record lies at its start. */
#include "base/ring.h"

#define MARK UINT32_MAX
#define HEAD 4u

static uint32_t padded(size_t n)
{
    return ((uint32_t)n + HEAD + 7u) & ~7u;
}

static void length_put(struct ring *r, uint32_t at, uint32_t v)
{
    __atomic_store_n((uint32_t *)(void *)(r->sh->data + at), v, __ATOMIC_RELAXED);
}

static uint32_t length_get(const struct ring *r, uint32_t at)
{
    return __atomic_load_n((const uint32_t *)(const void *)(r->sh->data + at), __ATOMIC_RELAXED);
}

size_t ring_bytes(uint32_t size)
{
    return sizeof(struct ring_shared) + size;
}

enum err ring_attach(struct ring *r, void *mem, uint32_t size, bool producer)
{
    CHECK(size >= 4096 && (size & (size - 1)) == 0 && (uintptr_t)mem % 64 == 0);
    struct ring_shared *sh = mem;
    /* Our own index first: the other side only moves towards or away from it within bounds. */
    uint32_t own = __atomic_load_n(producer ? &sh->head : &sh->tail, __ATOMIC_ACQUIRE);
    uint32_t other = __atomic_load_n(producer ? &sh->tail : &sh->head, __ATOMIC_ACQUIRE);
    uint32_t filled = producer ? own - other : other - own;
    if (filled > size || own % 8 || filled % 8)
        return ERR_SYNTAX;
    *r = (struct ring){.sh = sh, .size = size, .own = own};
    return OK;
}

void ring_attach_anyhow(struct ring *r, void *mem, uint32_t size, bool producer)
{
    if (ring_attach(r, mem, size, producer) == OK)
        return;
    struct ring_shared *sh = mem;
    uint32_t own = __atomic_load_n(producer ? &sh->head : &sh->tail, __ATOMIC_ACQUIRE);
    /* Records begin at multiples of 8: none then crosses the end of data. */
    *r = (struct ring){.sh = sh, .size = size, .own = own & ~7u, .dead = !producer};
}

enum err ring_put2(struct ring *r, struct str a, struct str b)
{
    if (a.n > RING_RECORD_MAX || b.n > RING_RECORD_MAX - a.n)
        return ERR_LIMIT;
    uint32_t n = (uint32_t)(a.n + b.n), need = padded(n);
    if (need > r->size / 2)
        return ERR_LIMIT;
    uint32_t at = r->own & (r->size - 1), skip = need > r->size - at ? r->size - at : 0;
    uint32_t filled = r->own - __atomic_load_n(&r->sh->tail, __ATOMIC_ACQUIRE);
    /* A tail that lies only makes the ring look full. */
    if (filled > r->size || skip + need > r->size - filled) {
        __atomic_store_n(&r->sh->lost, r->sh->lost + 1, __ATOMIC_RELAXED);
        return ERR_FULL;
    }
    if (skip) {
        length_put(r, at, MARK);
        at = 0;
    }
    length_put(r, at, n);
    if (a.n)
        memcpy(r->sh->data + at + HEAD, a.p, a.n);
    if (b.n)
        memcpy(r->sh->data + at + HEAD + a.n, b.p, b.n);
    r->own += skip + need;
    __atomic_store_n(&r->sh->head, r->own, __ATOMIC_RELEASE);
    return OK;
}

enum err ring_put(struct ring *r, const void *rec, size_t n)
{
    return ring_put2(r, str_of(rec, n), STR_NONE);
}

static enum err broken(struct ring *r)
{
    r->dead = true;
    return ERR_SYNTAX;
}

enum err ring_get(struct ring *r, void *ret, size_t cap, size_t *ret_n)
{
    if (r->dead)
        return ERR_SYNTAX;
    uint32_t avail = __atomic_load_n(&r->sh->head, __ATOMIC_ACQUIRE) - r->own;
    if (avail == 0)
        return ERR_AGAIN;
    if (avail > r->size || avail % 8)
        return broken(r);
    /* Every length is loaded once: the writer may change it after the check. */
    uint32_t at = r->own & (r->size - 1), skip = 0, n = length_get(r, at);
    if (n == MARK) {
        skip = r->size - at;
        if (skip >= avail)
            return broken(r);
        at = 0;
        n = length_get(r, 0);
    }
    if (n > RING_RECORD_MAX || padded(n) > avail - skip || padded(n) > r->size - at)
        return broken(r);
    bool fits = n <= cap;
    if (fits && n)
        memcpy(ret, r->sh->data + at + HEAD, n);
    r->own += skip + padded(n);
    if (!r->hold)
        ring_release(r);
    if (!fits)
        return ERR_LIMIT;
    *ret_n = n;
    return OK;
}

void ring_release(struct ring *r)
{
    __atomic_store_n(&r->sh->tail, r->own, __ATOMIC_RELEASE);
}

uint32_t ring_held(const struct ring *r)
{
    return r->own - __atomic_load_n(&r->sh->tail, __ATOMIC_RELAXED);
}

uint32_t ring_skip(struct ring *r)
{
    uint32_t left = __atomic_load_n(&r->sh->head, __ATOMIC_ACQUIRE) - r->own;
    r->own += left & ~7u; /* a head that lies is found out by the next ring_get */
    r->dead = false;
    ring_release(r);
    return left;
}

/* Both sides exchange the same word, so one of the two exchanges comes second and sees the other:
 * either the producer sees the announcement, or the consumer sees the record. */
bool ring_want_wake(struct ring *r)
{
    return __atomic_exchange_n(&r->sh->sleeping, 0, __ATOMIC_ACQ_REL) == 1;
}

bool ring_sleep(struct ring *r)
{
    (void)__atomic_exchange_n(&r->sh->sleeping, 1, __ATOMIC_ACQ_REL);
    if (__atomic_load_n(&r->sh->head, __ATOMIC_ACQUIRE) == r->own)
        return true;
    ring_awake(r);
    return false;
}

void ring_awake(struct ring *r)
{
    __atomic_store_n(&r->sh->sleeping, 0, __ATOMIC_RELAXED);
}
