/* Packets of a capture: first byte the link type, then packets of 1 length byte (times 8) each.
 * Whatever is told lies inside the packet or the datagram put together; what a stream gives is
 * bytes that it was given; nothing is given without end. */
#include "base/siphash.h"
#include "wire/pcap/frag.h"
#include "wire/pcap/tcp.h"
#include <stdlib.h>

static struct frags frags;
static void *mem;
static struct tcp_table *tcp;

static bool inside(const void *p, size_t n, const void *of, size_t bytes)
{
    uintptr_t a = (uintptr_t)p, b = (uintptr_t)of;
    return n == 0 || (a >= b && n <= bytes && a - b <= bytes - n);
}

static void one(uint32_t link, const uint8_t *p, size_t n, int64_t us)
{
    struct frame f;
    struct instant now = {us};
    frame_dissect(link, p, n, &f);
    CHECK(f.kind < FRAME_KINDS);
    bool told = f.kind <= FRAME_IP_OTHER;
    CHECK(!told || (f.src.family != ADDR_NONE && f.src.family == f.dst.family) ||
          f.src.family != ADDR_NONE);
    CHECK(!told || (f.len <= UINT16_MAX && inside(f.data, f.len, p, n)));
    if (f.kind == FRAME_FRAGMENT) {
        CHECK(f.frag_off % 8 == 0 && f.frag_off + f.len <= UINT16_MAX);
        if (!frag_push(&frags, &f, now))
            return;
        CHECK(f.kind != FRAME_FRAGMENT);
        told = f.kind <= FRAME_IP_OTHER;
        CHECK(!told || inside(f.data, f.len, frags.slot, sizeof frags.slot));
    }
    if (f.kind != FRAME_TCP)
        return;
    struct tcp_flow *w = tcp_push(tcp, &f, now);
    struct str msg;
    enum reason why;
    size_t given = 0;
    CHECK(!w || (w->n <= TCP_WINDOW && w->n_ranges <= TCP_RANGES));
    for (unsigned i = 0; w && i < w->n_ranges; i++)
        CHECK(w->ranges[i].from < w->ranges[i].to && w->ranges[i].to <= TCP_WINDOW &&
              w->ranges[i].from > (i ? w->ranges[i - 1].to : w->n));
    while (w && tcp_next(w, &msg, &why)) {
        CHECK(msg.n > 0 && inside(msg.p, msg.n, w->data, w->n));
        given += msg.n;
        CHECK(given <= TCP_WINDOW);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t LINKS[] = {LINK_ETHERNET, LINK_RAW, LINK_NULL, LINK_SLL,
                                     LINK_SLL2,     LINK_PPP, LINK_IPV6, LINK_LOOP};
    static const struct sipkey KEY = {1, 2};
    if (size < 2)
        return 0;
    if (!mem)
        mem = calloc(1, tcp_bytes());
    CHECK(mem);
    /* the windows behind them may hold what they like */
    memset(mem, 0, tcp_bytes() - (size_t)TCP_FLOWS * TCP_WINDOW);
    tcp = tcp_init(mem, &KEY);
    for (unsigned i = 0; i < FRAG_SLOTS; i++)
        frags.slot[i].used = false;
    uint32_t link = LINKS[data[0] % ARRAY_LEN(LINKS)];
    int64_t us = 1;
    for (size_t at = 1; at < size;) {
        size_t n = MIN((size_t)data[at] * 8, size - at - 1);
        uint8_t *copy = malloc(n ? n : 1); /* exact, so that a byte too far is seen */
        memcpy(copy, data + at + 1, n);
        one(link, copy, n, us);
        free(copy);
        us += 500000;
        at += n + 1;
    }
    return 0;
}
