/* For tests only: frames, and the program that judges them, run by the kernel. */
#ifndef IO_XDP_TEST_H
#define IO_XDP_TEST_H
#include "base/test.h"
#include "io/clock.h"
#include "io/xdp.h"
#include <unistd.h>

#define SOUND "OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\n\r\n"
#define UDP   17
#define TCP   6

struct shape {
    bool v6, fragment, later, tagged, tagged2, extended, elsewhere;
    uint8_t proto, source;    /* last byte of the address; 0: 9 */
    uint16_t port, udp_len;   /* 0: 5060; 0: as it is */
    uint8_t tcp_flags, upper; /* 1: of zeroes, 2: of ones */
    struct str payload;
};
struct frame {
    uint8_t b[2048];
    size_t n;
};

static inline void put16(struct frame *f, size_t v)
{
    f->b[f->n++] = (uint8_t)(v >> 8);
    f->b[f->n++] = (uint8_t)v;
}
static inline void put(struct frame *f, const void *p, size_t n)
{
    if (n)
        memcpy(f->b + f->n, p, n);
    f->n += n;
}
static inline void zero(struct frame *f, size_t n)
{
    memset(f->b + f->n, 0, n);
    f->n += n;
}

static inline void net6(struct frame *f, const struct shape *s, size_t inner)
{
    static const uint8_t dst[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    uint8_t src[16] = {0x20, 1, 0x0d, 0xb8, 0, 9, 0, s->source, 0, 0, 0, 0, 0, 0, 0, 7}, to[16];
    bool fragments = s->fragment || s->later;
    uint8_t last = s->proto, first = fragments ? 44 : last;
    if (s->upper) /* a source whose upper half free cells hold as their key */
        memset(src, s->upper == 1 ? 0 : 0xff, 8);
    memcpy(to, dst, 16);
    to[15] = s->elsewhere ? 99 : 1;
    put(f, "\x60\0\0", 4);
    put16(f, inner + (s->extended ? 16u : 0) + (fragments ? 8u : 0));
    f->b[f->n++] = s->extended ? 0 : first;
    f->b[f->n++] = 64;
    put(f, src, 16);
    put(f, to, 16);
    if (s->extended) { /* hop-by-hop, then destination options */
        uint8_t hop[8] = {60, 0}, dest[8] = {first, 0};
        put(f, hop, 8);
        put(f, dest, 8);
    }
    if (fragments) {
        uint8_t frag[8] = {last, 0, 0, s->later ? 0x80 : 1};
        put(f, frag, 8);
    }
}

static inline void net4(struct frame *f, const struct shape *s, size_t inner)
{
    uint8_t src[4] = {192, 0, 2, s->source}, dst[4] = {192, 0, 2, s->elsewhere ? 99 : 1};
    f->b[f->n++] = s->extended ? 0x47 : 0x45; /* options */
    f->b[f->n++] = 0;
    put16(f, (s->extended ? 28u : 20u) + inner);
    zero(f, 2);
    put16(f, s->later ? 0x0010 : s->fragment ? 0x2000 : 0x4000);
    f->b[f->n++] = 64;
    f->b[f->n++] = s->proto;
    zero(f, 2);
    put(f, src, 4);
    put(f, dst, 4);
    if (s->extended)
        zero(f, 8);
}

static inline struct frame make(struct shape s)
{
    struct frame f = {.n = 0};
    size_t inner = (s.proto == TCP ? 20u : 8u) + s.payload.n;
    zero(&f, 12);
    if (s.tagged2)
        put(&f, "\x88\xa8\x00\x05", 4);
    if (s.tagged)
        put(&f, "\x81\x00\x00\x07", 4);
    put16(&f, s.v6 ? 0x86dd : 0x0800);
    (s.v6 ? net6 : net4)(&f, &s, inner);
    put16(&f, 40000);
    put16(&f, s.port);
    if (s.proto == TCP) {
        zero(&f, 8);
        f.b[f.n++] = 5 << 4;
        f.b[f.n++] = s.tcp_flags;
        zero(&f, 6);
    } else {
        put16(&f, s.udp_len ? s.udp_len : inner);
        zero(&f, 2);
    }
    put(&f, s.payload.p, s.payload.n);
    return f;
}

/* -- the program -- */

static const struct xdp_cfg plain = {.sip_min = XDP_HEAD,
                                     .sip_max = 1400,
                                     .media_min = 20000,
                                     .media_max = 20099,
                                     .seed = 42,
                                     .emergency = {0x323131, 0x313139}}; /* "112", "911" */
static uint8_t ports[65536];

static inline void configure(struct xdp *x, const struct xdp_cfg *c)
{
    static const struct addr local[] = {
        {ADDR_V4, 0, 0, {192, 0, 2, 1}},
        {ADDR_V6, 0, 0, {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}};
    ports[5060] = XDP_UDP | XDP_TCP;
    ports[5061] = XDP_TCP;
    assert_ok(xdp_set_local(x, local, 2));
    assert_ok(xdp_set_sip(x, ports));
    assert_ok(xdp_set(x, c));
}

static inline struct xdp *start(const char *pins)
{
    char text[256];
    struct out why = out_of(text, sizeof text);
    struct xdp *x = NULL;
    struct xdp_opts o = {.pins = pins, .bans = 4096};
    if (geteuid() != 0 || !xdp_built()) {
        print_message("skipped: needs root, and clang at build time\n");
        skip();
    }
    if (xdp_open(&o, &x, &why) != OK) {
        print_message("skipped: %.*s\n", (int)why.n, text);
        skip();
    }
    configure(x, &plain);
    return x;
}

static inline uint64_t counted(const struct xdp *x, enum xdp_count what)
{
    uint64_t n[XDP_COUNTS];
    xdp_counts(x, n);
    return n[what];
}

/* The verdict on it, and that it was counted for that. XDP_COUNTS: passed and not counted at all.
 */
static inline void expect_n(struct xdp *x, struct shape s, enum xdp_count what, uint32_t times,
                            int line)
{
    s.proto = s.proto ? s.proto : UDP;
    s.port = s.port ? s.port : 5060;
    s.source = s.source ? s.source : 9;
    struct frame f = make(s);
    bool dropped = false;
    uint32_t ns;
    uint64_t before[XDP_COUNTS], after[XDP_COUNTS];
    xdp_counts(x, before);
    assert_ok(xdp_run(x, f.b, f.n, times, &dropped, &ns));
    xdp_counts(x, after);
    bool want = what < XDP_DROPS;
    uint64_t sum = 0;
    for (int i = 0; i < XDP_COUNTS; i++)
        sum += after[i] - before[i];
    bool right = dropped == want && (what == XDP_COUNTS ? sum == 0 : after[what] > before[what]);
    if (!right) {
        print_error("line %d: %s, want %d; counted:", line, dropped ? "dropped" : "passed", what);
        for (int i = 0; i < XDP_COUNTS; i++)
            print_error(" %llu", (unsigned long long)(after[i] - before[i]));
        print_error("\n");
        fail();
    }
}
#define EXPECT_N(what, times, ...)                                                                 \
    expect_n(x, (struct shape){__VA_ARGS__}, (what), (times), __LINE__)
#define EXPECT_IS(what, ...) EXPECT_N((what), 1, __VA_ARGS__)

static inline struct prefix net_of(const char *text)
{
    struct prefix p;
    assert_ok(prefix_parse(str_c(text), &p));
    return p;
}
static inline void ban(struct xdp *x, const char *text)
{
    struct prefix p = net_of(text);
    assert_ok(xdp_ban(x, &p, DUR_US(0), clock_now().mono));
}
static inline void release(struct xdp *x, const char *text)
{
    struct prefix p = net_of(text);
    xdp_release(x, &p);
}
#endif
