#include "base/cur.h"

uint16_t be16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] << 8 | b[1]);
}

uint32_t be32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

uint64_t be64(const void *p)
{
    return (uint64_t)be32(p) << 32 | be32((const uint8_t *)p + 4);
}

void be16_put(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)(v >> 8);
    b[1] = (uint8_t)v;
}

void be32_put(void *p, uint32_t v)
{
    be16_put(p, (uint16_t)(v >> 16));
    be16_put((uint8_t *)p + 2, (uint16_t)v);
}

void be64_put(void *p, uint64_t v)
{
    be32_put(p, (uint32_t)(v >> 32));
    be32_put((uint8_t *)p + 4, (uint32_t)v);
}

static const uint8_t *cur_step(struct cur *c, size_t n)
{
    if (c->bad || n > c->n - c->at) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *p = c->n ? c->p + c->at : c->p;
    c->at += n;
    return p;
}

uint8_t cur_u8(struct cur *c)
{
    const uint8_t *p = cur_step(c, 1);
    return p ? *p : 0;
}

uint16_t cur_u16(struct cur *c)
{
    const uint8_t *p = cur_step(c, 2);
    return p ? be16(p) : 0;
}

uint32_t cur_u24(struct cur *c)
{
    const uint8_t *p = cur_step(c, 3);
    return p ? (uint32_t)p[0] << 16 | be16(p + 1) : 0;
}

uint32_t cur_u32(struct cur *c)
{
    const uint8_t *p = cur_step(c, 4);
    return p ? be32(p) : 0;
}

uint64_t cur_u64(struct cur *c)
{
    const uint8_t *p = cur_step(c, 8);
    return p ? be64(p) : 0;
}

struct str cur_take(struct cur *c, size_t n)
{
    const uint8_t *p = cur_step(c, n);
    return p ? str_of((const char *)p, n) : STR_NONE;
}

void cur_skip(struct cur *c, size_t n)
{
    (void)cur_step(c, n);
}
