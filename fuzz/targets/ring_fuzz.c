/* A reader over memory that a hostile writer filled: first bytes are head and tail, the rest is
 * laid over the ring, and between reads the input moves head and scribbles again. */
#include "base/cur.h"
#include "base/ring.h"

#define SIZE 4096u

static ALIGNED(64) uint8_t mem[sizeof(struct ring_shared) + SIZE];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t out[512];
    struct ring r;
    struct ring_shared *sh = (struct ring_shared *)(void *)mem;
    struct cur c = cur_of(data, size);
    memset(mem, 0, sizeof mem);
    sh->head = cur_u32(&c);
    sh->tail = cur_u32(&c);
    size_t n = MIN(cur_left(&c), (size_t)SIZE);
    if (n)
        memcpy(sh->data, data + c.at, n);
    ring_attach_anyhow(&r, mem, SIZE, false);
    if (r.dead)
        (void)ring_skip(&r);
    for (int turns = 0; turns < 1000; turns++) {
        size_t got = sizeof out + 1;
        uint32_t own = r.own;
        enum err e = ring_get(&r, out, sizeof out, &got);
        CHECK(e == OK || e == ERR_AGAIN || e == ERR_LIMIT || e == ERR_SYNTAX);
        CHECK(e != OK || got <= sizeof out);
        CHECK(r.own - own <= SIZE && (r.own == own) == (e == ERR_AGAIN || e == ERR_SYNTAX));
        if (e == ERR_SYNTAX)
            CHECK(ring_get(&r, out, sizeof out, &got) == ERR_SYNTAX);
        if (cur_left(&c) < 8)
            break;
        sh->head = cur_u32(&c);
        memcpy(sh->data + (cur_u16(&c) & (SIZE - 4)), data + c.at - 4, 4);
    }
    /* A writer whose reader lies about the tail: it may only fail, and stays in its memory. */
    struct ring w;
    ring_attach_anyhow(&w, mem, SIZE, true);
    for (size_t i = 0; i < 8; i++) {
        sh->tail = size > i ? (uint32_t)data[i] * 0x01010101u : 0;
        enum err e = ring_put(&w, out, i * 60);
        CHECK(e == OK || e == ERR_FULL);
    }
    return 0;
}
