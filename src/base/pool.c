#include "base/pool.h"

#define GEN_MASK 0xffffffu

/* Before every element; gen is 0 until the first use, so zeroed memory needs no set-up. */
struct head {
    uint32_t gen;
    uint32_t live;
    uint32_t next; /* index of the next free one; 0 = last */
    uint32_t pad;
};
_Static_assert(sizeof(struct head) == 16, "elements stay 16-aligned behind their header");

static uint32_t round16(size_t n)
{
    CHECK(n > 0 && n <= UINT32_MAX - 15);
    return ((uint32_t)n + 15u) & ~15u;
}

static size_t stride(const struct pool *p)
{
    return sizeof(struct head) + (size_t)p->elem_bytes;
}

static struct head *head_at(const struct pool *p, uint32_t index)
{
    return (struct head *)(void *)(p->mem + (index - 1) * stride(p));
}

/* The header of e, checked to be an element of this pool and alive. */
static struct head *head_of(const struct pool *p, const void *e)
{
    uintptr_t off = (uintptr_t)e - (uintptr_t)p->mem - sizeof(struct head);
    CHECK(off % stride(p) == 0 && off / stride(p) < p->fresh);
    struct head *h = head_at(p, (uint32_t)(off / stride(p)) + 1);
    CHECK(h->live);
    return h;
}

static uint32_t index_of(const struct pool *p, const struct head *h)
{
    return (uint32_t)((size_t)((const uint8_t *)h - p->mem) / stride(p)) + 1;
}

size_t pool_bytes(size_t elem_bytes, uint32_t cap)
{
    CHECK(cap <= GEN_MASK);
    return (sizeof(struct head) + round16(elem_bytes)) * (size_t)cap;
}

void pool_init(struct pool *p, void *mem, size_t elem_bytes, uint32_t cap)
{
    CHECK(cap <= GEN_MASK && (uintptr_t)mem % 16 == 0);
    *p = (struct pool){.mem = mem, .elem_bytes = round16(elem_bytes), .cap = cap};
}

void *pool_new(struct pool *p, struct handle *ret_h)
{
    uint32_t index = p->free_head;
    struct head *h;
    if (index) {
        h = head_at(p, index);
        p->free_head = h->next;
        memset(h + 1, 0, p->elem_bytes);
    } else if (p->fresh < p->cap) {
        index = ++p->fresh;
        h = head_at(p, index);
        h->gen = 1;
    } else {
        return NULL;
    }
    h->live = 1;
    p->used++;
    p->peak = MAX(p->peak, p->used);
    if (ret_h)
        *ret_h = (struct handle){index, h->gen};
    return h + 1;
}

void *pool_get(const struct pool *p, struct handle h)
{
    if (h.index == 0 || h.index > p->fresh)
        return NULL;
    struct head *e = head_at(p, h.index);
    return e->live && e->gen == h.gen ? e + 1 : NULL;
}

struct handle pool_handle(const struct pool *p, const void *e)
{
    const struct head *h = head_of(p, e);
    return (struct handle){index_of(p, h), h->gen};
}

void pool_free(struct pool *p, void *e)
{
    struct head *h = head_of(p, e);
    h->live = 0;
    h->gen = (h->gen + 1) & GEN_MASK;
    if (h->gen == 0) /* so that no live handle packs to a small number */
        h->gen = 1;
    h->next = p->free_head;
    p->free_head = index_of(p, h);
    p->used--;
}

void *pool_next(const struct pool *p, uint32_t *it)
{
    while (*it < p->fresh) {
        struct head *h = head_at(p, ++*it);
        if (h->live)
            return h + 1;
    }
    return NULL;
}
