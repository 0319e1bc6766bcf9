/* Slabs of one type with {index, generation} handles. Memory comes from the caller and is touched
 * only as elements come into use, so a large cap costs nothing until needed. */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include "base/str.h"

struct handle {
    uint32_t index; /* 1-based; 0 = none */
    uint32_t gen;
};
#define HANDLE_NONE ((struct handle){0, 0})
static inline bool handle_eq(struct handle a, struct handle b)
{
    return a.index == b.index && a.gen == b.gen;
}
static inline bool handle_is(struct handle h)
{
    return h.index != 0;
}
/* A handle packed into 48 bits for tokens: 24 bits of index, 24 of generation (pool generations
 * wrap at 24 bits so that nothing is lost). */
static inline uint64_t handle_pack(struct handle h)
{
    return ((uint64_t)h.gen << 24) | h.index;
}
static inline struct handle handle_unpack(uint64_t v)
{
    return (struct handle){(uint32_t)(v & 0xffffff), (uint32_t)((v >> 24) & 0xffffff)};
}

struct pool {
    uint8_t *mem;
    uint32_t elem_bytes,
        cap; /* elem_bytes is rounded up to 16, with an 16-byte header before each */
    uint32_t used, fresh, peak;
    uint32_t free_head;
};
size_t pool_bytes(size_t elem_bytes, uint32_t cap); /* what pool_init wants; cap <= 2^24 - 1 */
/* keeps mem (16-aligned, zeroed). */
void pool_init(struct pool *p, void *mem, size_t elem_bytes, uint32_t cap);
/* A zeroed element and its handle; NULL when full. */
void *pool_new(struct pool *p, struct handle *ret_h);
void *pool_get(const struct pool *p, struct handle h);          /* NULL if gone */
struct handle pool_handle(const struct pool *p, const void *e); /* e must be live */
void pool_free(struct pool *p, void *e);                        /* generation moves on */
/* Walks live elements: start with *it = 0; NULL at the end. Freeing the current one is allowed. */
void *pool_next(const struct pool *p, uint32_t *it);
#endif
