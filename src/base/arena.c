#include "base/arena.h"

/* At the start of every block that an arena holds. */
struct block {
    struct block *next;
    uint64_t pad; /* keeps what follows 16-aligned */
};

static size_t round16(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

void blocks_init(struct blocks *b, void *mem, size_t mem_bytes, size_t block_bytes)
{
    CHECK(block_bytes >= 64 && block_bytes % 16 == 0 && (uintptr_t)mem % 16 == 0);
    *b = (struct blocks){.mem = mem, .block_bytes = block_bytes, .count = mem_bytes / block_bytes};
}

static struct block *block_take(struct blocks *b)
{
    struct block *blk = b->free_list;
    if (blk)
        b->free_list = blk->next;
    else if (b->fresh < b->count)
        blk = (struct block *)(void *)(b->mem + b->block_bytes * b->fresh++);
    else
        return NULL;
    b->used++;
    b->peak = MAX(b->peak, b->used);
    return blk;
}

static void block_give(struct blocks *b, struct block *blk)
{
    CHECK(b->used > 0);
    blk->next = b->free_list;
    b->free_list = blk;
    b->used--;
}

void arena_init_fixed(struct arena *a, void *mem, size_t bytes)
{
    uint8_t *p = mem;
    size_t skip = (16 - (uintptr_t)mem % 16) % 16;
    skip = MIN(skip, bytes);
    *a = (struct arena){
        .p = p + skip, .end = p + bytes, .head = p + skip, .cap_bytes = bytes - skip};
}

void arena_init_blocks(struct arena *a, struct blocks *src, size_t cap)
{
    *a = (struct arena){.src = src, .cap_bytes = cap};
}

static bool arena_grow(struct arena *a)
{
    if (!a->src || a->src->block_bytes > a->cap_bytes - a->taken_bytes)
        return false;
    struct block *blk = block_take(a->src);
    if (!blk)
        return false;
    blk->next = a->head;
    a->head = blk;
    a->taken_bytes += a->src->block_bytes;
    a->p = (uint8_t *)blk + sizeof *blk;
    a->end = (uint8_t *)blk + a->src->block_bytes;
    return true;
}

void *arena_take(struct arena *a, size_t bytes)
{
    size_t n = round16(MAX(bytes, (size_t)1));
    if (n < bytes || (a->src && n > a->src->block_bytes - sizeof(struct block)))
        return NULL;
    if (n > (size_t)(a->end - a->p) && !arena_grow(a))
        return NULL;
    void *p = a->p;
    a->p += n;
    if (!a->src)
        a->taken_bytes += n;
    return p;
}

void *arena_take_zero(struct arena *a, size_t bytes)
{
    void *p = arena_take(a, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_take(a, s.n);
    if (!p)
        return STR_NONE;
    if (s.n)
        memcpy(p, s.p, s.n);
    return str_of(p, s.n);
}

void arena_reset(struct arena *a)
{
    if (!a->src) {
        arena_init_fixed(a, a->head, a->cap_bytes);
        return;
    }
    while (a->head) {
        struct block *blk = a->head;
        a->head = blk->next;
        block_give(a->src, blk);
    }
    arena_init_blocks(a, a->src, a->cap_bytes);
}
