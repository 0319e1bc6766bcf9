/* Binary reader and writer, big endian, sticky error: read on, check cur.bad once at the end.
 * A read past the end yields zero and sets bad. */
#ifndef BASE_CUR_H
#define BASE_CUR_H
#include "base/str.h"

struct cur {
    const uint8_t *p;
    size_t n, at;
    bool bad;
};
static inline struct cur cur_of(const void *p, size_t n)
{
    return (struct cur){(const uint8_t *)p, n, 0, false};
}
uint8_t cur_u8(struct cur *c);
uint16_t cur_u16(struct cur *c);
uint32_t cur_u24(struct cur *c);
uint32_t cur_u32(struct cur *c);
uint64_t cur_u64(struct cur *c);
struct str cur_take(struct cur *c, size_t n); /* borrows; STR_NONE if short */
void cur_skip(struct cur *c, size_t n);
static inline size_t cur_left(const struct cur *c)
{
    return c->bad ? 0 : c->n - c->at;
}

/* Loads and stores without alignment or order trouble. */
uint16_t be16(const void *p);
uint32_t be32(const void *p);
uint64_t be64(const void *p);
void be16_put(void *p, uint16_t v);
void be32_put(void *p, uint32_t v);
void be64_put(void *p, uint64_t v);
#endif
