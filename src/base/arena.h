/* Arenas: memory that ends together. Two kinds with one interface: a fixed arena over the caller's
 * buffer, and a block arena that grows by blocks of a shared source up to its cap. Taken memory is
 * 16-byte aligned and not zeroed unless said. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/str.h"

/* Blocks of one size over the caller's memory, kept in a free list. */
struct blocks {
    uint8_t *mem;
    size_t block_bytes, count, used, fresh;
    void *free_list;
    size_t peak;
};
/* keeps mem for its life; block_bytes is a multiple of 16 and >= 64. */
void blocks_init(struct blocks *b, void *mem, size_t mem_bytes, size_t block_bytes);
static inline size_t blocks_used(const struct blocks *b)
{
    return b->used;
}

struct arena {
    struct blocks *src; /* NULL: fixed buffer */
    uint8_t *p, *end;   /* room left in the current block */
    void *head;         /* newest block of a block arena; the buffer of a fixed one */
    size_t taken_bytes; /* blocks held, or bytes used of a fixed one */
    size_t cap_bytes;
};
void arena_init_fixed(struct arena *a, void *mem, size_t bytes);         /* keeps mem */
void arena_init_blocks(struct arena *a, struct blocks *src, size_t cap); /* keeps src */
void *arena_take(struct arena *a, size_t bytes); /* NULL when over the cap, or bytes > block room */
void *arena_take_zero(struct arena *a, size_t bytes);
/* Copies s; STR_NONE with p NULL when there is no room (an empty s gives a non-NULL p). */
struct str arena_str(struct arena *a, struct str s);
void arena_reset(struct arena *a); /* gives every block back; everything taken ends */
#endif
