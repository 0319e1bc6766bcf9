/* The program for the kernel, run by the kernel on frames of ours (BPF_PROG_TEST_RUN): each reason
 * to drop with a packet that fires it and a twin that passes. Needs root; skipped by name without.
 */
#include "base/test.h"
#include "io/clock.h"
#include "io/xdp.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define INVITE(to) "INVITE " to " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\n\r\n"
#define SOUND      "OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\n\r\n"
#define RTP        "\x80\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03 sound"
#define UDP        17
#define TCP        6

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

static void put16(struct frame *f, size_t v)
{
    f->b[f->n++] = (uint8_t)(v >> 8);
    f->b[f->n++] = (uint8_t)v;
}
static void put(struct frame *f, const void *p, size_t n)
{
    if (n)
        memcpy(f->b + f->n, p, n);
    f->n += n;
}
static void zero(struct frame *f, size_t n)
{
    memset(f->b + f->n, 0, n);
    f->n += n;
}

static void net6(struct frame *f, const struct shape *s, size_t inner)
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

static void net4(struct frame *f, const struct shape *s, size_t inner)
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

static struct frame make(struct shape s)
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

static void configure(struct xdp *x, const struct xdp_cfg *c)
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

static struct xdp *start(const char *pins)
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

static uint64_t counted(const struct xdp *x, enum xdp_count what)
{
    uint64_t n[XDP_COUNTS];
    xdp_counts(x, n);
    return n[what];
}

/* The verdict on it, and that it was counted for that. XDP_COUNTS: passed and not counted at all.
 */
static void expect_n(struct xdp *x, struct shape s, enum xdp_count what, uint32_t times, int line)
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

static struct prefix net_of(const char *text)
{
    struct prefix p;
    assert_ok(prefix_parse(str_c(text), &p));
    return p;
}
static void ban(struct xdp *x, const char *text)
{
    struct prefix p = net_of(text);
    assert_ok(xdp_ban(x, &p, DUR_US(0), clock_now().mono));
}
static void release(struct xdp *x, const char *text)
{
    struct prefix p = net_of(text);
    xdp_release(x, &p);
}

static void test_others_untouched(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    ban(x, "192.0.2.9");
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    EXPECT_IS(XDP_COUNTS, .port = 53,
              .payload = STR(SOUND)); /* other services, even of a banned source */
    EXPECT_IS(XDP_COUNTS, .port = 22, .proto = TCP, .tcp_flags = 2);
    EXPECT_IS(XDP_COUNTS, .port = 5061, .payload = STR("junk")); /* TLS only: this is not ours */
    EXPECT_IS(XDP_COUNTS, .elsewhere = true, .payload = STR("junk")); /* passing through */
    EXPECT_IS(XDP_COUNTS, .v6 = true, .elsewhere = true, .payload = STR("junk"));
    EXPECT_IS(XDP_COUNTS, .proto = 47, .payload = STR(SOUND));
    EXPECT_IS(XDP_COUNTS, .later = true,
              .payload = STR("the rest of something")); /* no ports to see */
    EXPECT_IS(XDP_COUNTS, .later = true, .v6 = true, .payload = STR("the rest of something"));
    EXPECT_IS(XDP_COUNTS, .port = 19999, .payload = STR(RTP));
    EXPECT_IS(XDP_COUNTS, .port = 20100, .payload = STR(RTP));
    struct xdp_cfg c = plain;
    c.flags = XDP_ANY_LOCAL;
    assert_ok(xdp_set(x, &c));
    EXPECT_IS(XDP_BANNED, .elsewhere = true, .payload = STR(SOUND));
    xdp_close(x, true);
}

static void test_short_frames_pass(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    struct frame f = make((struct shape){.proto = UDP, .port = 5060, .payload = STR("junk")});
    uint32_t ns;
    for (size_t n = 14; n < 14 + 20 + 8; n++) { /* cut anywhere before the end of the headers */
        bool dropped = true;
        if (xdp_run(x, f.b, n, 1, &dropped, &ns) == OK) /* the kernel itself wants some bytes */
            assert_false(dropped);
    }
    bool dropped = false;
    assert_ok(xdp_run(x, f.b, f.n, 1, &dropped, &ns));
    assert_true(dropped);
    xdp_close(x, true);
}

static void test_bans(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    for (int v6 = 0; v6 < 2; v6++) {
        const char *one = v6 ? "2001:db8:9:9::/64" : "192.0.2.9",
                   *one_whole = v6 ? "2001:db8:9:9::7/128" : NULL,
                   *net = v6 ? "2001:db8:9::/48" : "192.0.2.0/28";
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = STR(SOUND));
        ban(x, one);
        EXPECT_IS(XDP_BANNED, .v6 = v6, .payload = STR(SOUND));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .tagged = true, .payload = STR(SOUND));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .tagged = true, .tagged2 = true, .payload = STR(SOUND));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .extended = true, .payload = STR(SOUND));
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .source = 10, .payload = STR(SOUND));
        struct prefix p = net_of(one);
        assert_int_equal(xdp_hits(x, &p), 4);
        ban(x, one); /* longer: its hits stay */
        assert_int_equal(xdp_hits(x, &p), 4);
        release(x, one);
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = STR(SOUND));
        ban(x, net);
        EXPECT_IS(XDP_BANNED, .v6 = v6, .payload = STR(SOUND));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .source = 10, .payload = STR(SOUND));
        if (!v6)
            EXPECT_IS(XDP_PASS_SIP, .source = 77, .payload = STR(SOUND));
        release(x, net);
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .source = 10, .payload = STR(SOUND));
        if (one_whole) {
            ban(x, one_whole);
            EXPECT_IS(XDP_BANNED, .v6 = true, .payload = STR(SOUND));
            release(x, one_whole);
            EXPECT_IS(XDP_PASS_SIP, .v6 = true, .payload = STR(SOUND));
        }
    }
    xdp_close(x, true);
}

static void test_ban_expires(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    struct prefix p = net_of("192.0.2.9");
    assert_ok(xdp_ban(x, &p, DUR_MS(300), clock_now().mono));
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    (void)usleep(1500000);
    EXPECT_IS(XDP_PASS_SIP, .payload = STR(SOUND)); /* without anybody's doing */
    xdp_close(x, true);
}

/* So many that lines are full: those in second lines are found by the kernel, too. */
static void test_bans_in_second_lines(void **state)
{
    (void)state;
    struct xdp *x = start(NULL); /* 4096 lines of 4 */
    struct prefix p = {{ADDR_V4, 0, 0, {10, 0, 0, 0}}, 32};
    char who[16];
    for (unsigned i = 0; i < 9000; i++) {
        p.a.ip[2] = (uint8_t)(i >> 8);
        p.a.ip[3] = (uint8_t)i;
        assert_ok(xdp_ban(x, &p, DUR_US(0), clock_now().mono));
    }
    for (unsigned i = 1; i < 255; i++) {
        (void)snprintf(who, sizeof who, "192.0.2.%u", i);
        EXPECT_IS(XDP_PASS_SIP, .source = (uint8_t)i, .payload = STR(SOUND));
        ban(x, who);
    }
    for (unsigned i = 1; i < 255; i++) {
        EXPECT_IS(XDP_BANNED, .source = (uint8_t)i, .payload = STR(SOUND));
        (void)snprintf(who, sizeof who, "192.0.2.%u", i);
        p = net_of(who);
        assert_int_equal(xdp_hits(x, &p), 1);
        release(x, who);
        EXPECT_IS(XDP_PASS_SIP, .source = (uint8_t)i, .payload = STR(SOUND));
        EXPECT_IS(XDP_PASS_SIP, .v6 = true, .upper = 1, .payload = STR(SOUND));
        EXPECT_IS(XDP_PASS_SIP, .v6 = true, .upper = 2, .payload = STR(SOUND));
    }
    xdp_close(x, true);
}

static void test_ban_board_full(void **state)
{
    (void)state;
    struct xdp *x = start(NULL); /* 4096 lines of 4 */
    struct prefix p = {{ADDR_V4, 0, 0, {10, 0, 0, 0}}, 32};
    unsigned n = 0;
    enum err e = OK;
    for (; n < 20000 && e == OK; n++) {
        p.a.ip[2] = (uint8_t)(n >> 8);
        p.a.ip[3] = (uint8_t)n;
        e = xdp_ban(x, &p, DUR_US(0), clock_now().mono);
    }
    assert_err(e, ERR_FULL);
    assert_true(n > 4096 * 2);                      /* what it was made for, with much to spare */
    EXPECT_IS(XDP_PASS_SIP, .payload = STR(SOUND)); /* fails open */
    xdp_close(x, true);
}

/* The table beside a plain list: what was put is there, what was released is not, whatever moved.
 */
static void test_table(void **state)
{
    enum { LINES = 64, KEYS = 200 };
    static struct xdp_line t[LINES];
    static bool in[KEYS];
    uint64_t r = 1;
    (void)state;
    memset(t, 0, sizeof t);
    for (int step = 0; step < 20000; step++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(r >> 33) % KEYS;
        if (r >> 63) {
            enum err e = xdp_table_put(t, LINES, 42, i + 1, 0, 3);
            in[i] = in[i] || e == OK;
            assert_true(e == OK || e == ERR_FULL);
        } else {
            struct xdp_cell *c = xdp_table_find(t, LINES, 42, i + 1);
            assert_int_equal(c != NULL, in[i]);
            if (c)
                xdp_table_free(t, c);
            in[i] = false;
        }
    }
    for (unsigned i = 0; i < KEYS; i++) {
        const struct xdp_cell *c = xdp_table_find(t, LINES, 42, i + 1);
        assert_int_equal(c != NULL, in[i]);
        if (!c)
            continue;
        uint64_t h = xdp_mix((i + 1) ^ 42u);
        const struct xdp_line *first = &t[(uint32_t)h & (LINES - 1)];
        bool there = false, open = false; /* a second line only where the first has no empty cell */
        for (unsigned k = 0; k < XDP_WAYS; k++) {
            there = there || first->cell[k].key == i + 1;
            open = open || first->cell[k].key == 0;
        }
        assert_true(there || !open);
    }
    assert_err(xdp_table_put(t, LINES, 42, 0, 0, 0), ERR_RANGE);
    assert_err(xdp_table_put(t, LINES, 42, XDP_GONE, 0, 0), ERR_RANGE);
}

static void test_not_sip(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    static const struct {
        struct str p;
        bool good;
    } row[] = {
        {STR(SOUND), true},
        {STR("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\r\n"), true},
        {STR("\r\n\r\n" SOUND), true},
        {STR("x-Own.Method!%*_+`'~09 sip:a@example.com SIP/2.0\r\n\r\n......"), true},
        {STR("ABCDEFGHIJKLMNOPQRSTUVWX sip:a@example.com SIP/2.0\r\n\r\n"), true}, /* 24 */
        {STR("ABCDEFGHIJKLMNOPQRSTUVWXY sip:a@example.com SIP/2.0\r\n\r\n"), false},
        {STR("SIP/3.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\r\n"), false},
        {STR("SIP/2.0200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\r\n"), false},
        {STR(" INVITE sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9"), false},
        {STR("INVITE  sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9"), false},
        {STR("INV@TE sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9"), false},
        {STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello by datagram ......."),
         false},
        {STR("\x00\x01\x00\x08\x21\x12\xa4\x42 a STUN binding that nobody serves here ...."),
         false},
        {STR("\x80\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03 sound sound sound sound ...."),
         false},
        {STR("........................................................."), false},
    };
    for (int v6 = 0; v6 < 2; v6++)
        for (size_t i = 0; i < ARRAY_LEN(row); i++)
            EXPECT_IS(row[i].good ? XDP_PASS_SIP : XDP_NOT_SIP, .v6 = v6, .payload = row[i].p);
    xdp_close(x, true);
}

static void test_sizes(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    static char text[1500];
    memset(text, 'a', sizeof text);
    memcpy(text, SOUND, sizeof SOUND - 1);
    for (int v6 = 0; v6 < 2; v6++) {
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = str_of(text, XDP_HEAD));
        EXPECT_IS(XDP_SHORT, .v6 = v6, .payload = str_of(text, XDP_HEAD - 1));
        EXPECT_IS(XDP_SHORT, .v6 = v6, .payload = STR_NONE);
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = str_of(text, 1400));
        EXPECT_IS(XDP_LONG, .v6 = v6, .payload = str_of(text, 1401));
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = STR("\r\n")); /* keep-alives */
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = STR("\r\n\r\n"));
        EXPECT_IS(XDP_SHORT, .v6 = v6, .payload = STR("\r\n\r\n\r\n"));
        EXPECT_IS(XDP_SHORT, .v6 = v6, .payload = STR("x\r\n"));
        EXPECT_IS(XDP_SHORT, .v6 = v6, .udp_len = 7, .payload = str_of(text, 100)); /* a lie */
    }
    xdp_close(x, true);
}

static void test_fragments(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    for (int v6 = 0; v6 < 2; v6++) {
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .payload = STR(INVITE("sip:a@example.com")));
        EXPECT_IS(XDP_FRAGMENT, .v6 = v6, .fragment = true,
                  .payload = STR(INVITE("sip:a@example.com")));
        EXPECT_IS(XDP_FRAGMENT, .v6 = v6, .fragment = true, .extended = true,
                  .payload = STR(SOUND));
        EXPECT_IS(XDP_PASS_LANE, .v6 = v6, .fragment = true,
                  .payload = STR(INVITE("sip:112@example.com")));
    }
    xdp_close(x, true);
}

static void test_rate(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    struct xdp_cfg c = plain;
    c.rate_gap = 2000000000; /* one in two seconds, burst 200 */
    c.rate_slack = 400000000000;
    assert_ok(xdp_set(x, &c));
    for (int v6 = 0; v6 < 2; v6++) {
        uint64_t before = counted(x, XDP_PASS_SIP);
        EXPECT_N(XDP_RATE, 1000, .v6 = v6, .payload = STR(SOUND));
        uint64_t passed = counted(x, XDP_PASS_SIP) - before;
        assert_true(passed >= 200 && passed < 210); /* a busy machine takes its time */
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .source = 10, .payload = STR(SOUND)); /* each its own */
        EXPECT_IS(XDP_PASS_LANE, .v6 = v6, .payload = STR(INVITE("sip:112@example.com")));
        EXPECT_N(XDP_PASS_LANE, 10, .v6 = v6, .proto = TCP, .tcp_flags = 2, .payload = STR_NONE);
        EXPECT_N(XDP_RATE, 60, .v6 = v6, .proto = TCP, .tcp_flags = 2, .payload = STR_NONE);
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .proto = TCP, .tcp_flags = 18,
                  .payload = STR_NONE); /* answered */
        EXPECT_IS(XDP_PASS_SIP, .v6 = v6, .proto = TCP, .tcp_flags = 16,
                  .payload = STR_NONE); /* running */
    }
    (void)usleep(2100000);
    EXPECT_IS(XDP_PASS_SIP, .payload = STR(SOUND)); /* it decays */
    xdp_close(x, true);
}

/* The office after a power cut: 60 phones behind one address, some messages each at once. */
static void test_rate_of_an_office(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    struct xdp_cfg c = plain;
    c.rate_gap = 1000000; /* 1000 a second, burst 2000: the default */
    c.rate_slack = 2000000000;
    assert_ok(xdp_set(x, &c));
    EXPECT_N(XDP_PASS_SIP, 60 * 20, .payload = STR(SOUND));
    assert_int_equal(counted(x, XDP_RATE), 0);
    xdp_close(x, true);
}

static void test_slow_lane(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    static const struct {
        struct str p;
        bool urgent;
    } row[] = {
        {STR(INVITE("sip:112@example.com")), true},
        {STR(INVITE("SIPS:911@example.com")), true},
        {STR(INVITE("sip:+112@example.com")), true},
        {STR(INVITE("tel:112;phone-context=example.com")), true},
        {STR(INVITE("urn:service:sos")), true},
        {STR(INVITE("URN:Service:SOS.police")), true},
        {STR(INVITE("sip:1122@example.com")), false},
        {STR(INVITE("sip:11@example.com")), false},
        {STR(INVITE("sip:00112@example.com")), false},
        {STR(INVITE("sip:11200000000@example.com")), false},
        {STR(INVITE("urn:service:counseling")), false},
        {STR(INVITE("sip:alice@example.com")), false},
        {STR("ACK sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9"), true},
        {STR("BYE sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9"), true},
        {STR("CANCEL sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2"), true},
        {STR("PRACK sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2."), true},
        {STR("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"), true},
        {STR("REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2"), false},
        {STR("BYEBYE sip:112@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0"), false},
        {STR(SOUND), false},
    };
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
            char who[40];
            (void)snprintf(who, sizeof who, v6 ? "2001:db8:9:%zx::/64" : "192.0.2.%zu", i + 100);
            ban(x, who);
            EXPECT_IS(row[i].urgent ? XDP_PASS_LANE : XDP_BANNED, .v6 = v6,
                      .source = (uint8_t)(i + 100), .payload = row[i].p);
        }
        ban(x, v6 ? "2001:db8:9:9::/64" : "192.0.2.9");
        uint64_t before = counted(x, XDP_PASS_LANE);
        EXPECT_N(XDP_BANNED, 200, .v6 = v6, .payload = STR(INVITE("sip:112@example.com")));
        uint64_t passed = counted(x, XDP_PASS_LANE) - before;
        assert_true(passed >= XDP_LANE_UDP_BURST && passed <= XDP_LANE_UDP_BURST + 8);
        before = counted(x, XDP_PASS_LANE);
        EXPECT_N(XDP_BANNED, 200, .v6 = v6, .proto = TCP, .tcp_flags = 16,
                 .payload = STR("anything"));
        passed = counted(x, XDP_PASS_LANE) - before;
        assert_true(passed >= XDP_LANE_TCP_BURST && passed <= XDP_LANE_TCP_BURST + 8);
    }
    xdp_close(x, true);
}

static void test_media(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    uint8_t *open = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, xdp_media_fd(x), 0);
    assert_ptr_not_equal(open, MAP_FAILED);
    for (int v6 = 0; v6 < 2; v6++) {
        const char *who = v6 ? "2001:db8:9:9::/64" : "192.0.2.9";
        EXPECT_IS(XDP_NO_SESSION, .v6 = v6, .port = 20010, .payload = STR(RTP));
        open[20010] = XDP_OPEN; /* as an engine writes it */
        EXPECT_IS(XDP_PASS_MEDIA, .v6 = v6, .port = 20010, .payload = STR(RTP));
        EXPECT_IS(XDP_NO_SESSION, .v6 = v6, .port = 20011, .payload = STR(RTP));
        EXPECT_IS(XDP_NOT_RTP, .v6 = v6, .port = 20010, .payload = STR(SOUND));
        EXPECT_IS(XDP_NOT_RTP, .v6 = v6, .port = 20010, .payload = STR("\x80\x00\x00"));
        open[20010] = 32; /* the mark of another engine */
        EXPECT_IS(XDP_PASS_MEDIA, .v6 = v6, .port = 20010, .payload = STR(RTP));
        EXPECT_IS(XDP_NOT_RTP, .v6 = v6, .port = 20010, .payload = STR(SOUND));
        open[20010] = XDP_OPEN | XDP_OPEN_ANY;
        EXPECT_IS(XDP_PASS_MEDIA, .v6 = v6, .port = 20010, .payload = STR("\x16 a DTLS hello"));
        open[20010] = XDP_OPEN;
        ban(x, who); /* its emergency call has sound, a flood has not */
        EXPECT_IS(XDP_PASS_LANE, .v6 = v6, .port = 20010, .payload = STR(RTP));
        EXPECT_N(XDP_BANNED, 400, .v6 = v6, .port = 20010, .payload = STR(RTP));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .port = 20011, .payload = STR(RTP));
        release(x, who);
        open[20010] = 0;
        EXPECT_IS(XDP_NO_SESSION, .v6 = v6, .port = 20010, .payload = STR(RTP));
    }
    open[20020] = XDP_OPEN;
    xdp_media_clear(x);
    assert_int_equal(open[20020], 0);
    (void)munmap(open, 65536);
    xdp_close(x, true);
}

static void test_exempt(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    struct prefix list[] = {net_of("192.0.2.8/29"), net_of("2001:db8:9:8::/61")};
    assert_ok(xdp_set_exempt(x, list, 2));
    ban(x, "192.0.2.0/24");
    ban(x, "2001:db8:9::/48");
    for (int v6 = 0; v6 < 2; v6++) {
        EXPECT_IS(XDP_PASS_EXEMPT, .v6 = v6, .payload = STR(SOUND));
        EXPECT_IS(XDP_PASS_EXEMPT, .v6 = v6, .payload = STR("junk"));
        EXPECT_IS(XDP_PASS_EXEMPT, .v6 = v6, .port = 20010, .payload = STR(RTP));
        EXPECT_IS(XDP_BANNED, .v6 = v6, .source = 77, .payload = STR(SOUND));
    }
    assert_ok(xdp_set_exempt(x, list, 1));
    EXPECT_IS(XDP_PASS_EXEMPT, .payload = STR(SOUND));
    EXPECT_IS(XDP_BANNED, .v6 = true, .payload = STR(SOUND));
    assert_ok(xdp_set_exempt(x, NULL, 0));
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    xdp_close(x, true);
}

static void test_dry_run(void **state)
{
    (void)state;
    struct xdp *x = start(NULL);
    struct xdp_cfg c = plain;
    c.flags = XDP_DRY;
    assert_ok(xdp_set(x, &c));
    ban(x, "192.0.2.9");
    EXPECT_IS(XDP_PASS_DRY, .payload = STR(SOUND));
    EXPECT_IS(XDP_PASS_DRY, .source = 10, .payload = STR("junk"));
    assert_int_equal(counted(x, XDP_BANNED), 1); /* would have */
    assert_int_equal(counted(x, XDP_SHORT), 1);
    assert_ok(xdp_set(x, &plain));
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    xdp_close(x, true);
}

/* -- pins -- */

static void test_pins(void **state)
{
    (void)state;
    char dir[64];
    (void)snprintf(dir, sizeof dir, "/sys/fs/bpf/ringwall-test-%d", (int)getpid());
    struct xdp *x = start(dir);
    if (!xdp_pinned(x)) {
        xdp_close(x, true);
        print_message("skipped: no BPF file system\n");
        skip();
    }
    assert_false(xdp_taken_over(x));
    ban(x, "192.0.2.9");
    ban(x, "192.0.2.10");
    ban(x, "192.0.2.64/26");
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    xdp_close(x, false); /* as when its owner dies */

    char text[256];
    struct out why = out_of(text, sizeof text);
    struct xdp_opts o = {.pins = dir, .bans = 4096};
    assert_ok(xdp_open(&o, &x, &why));
    assert_true(xdp_taken_over(x));
    configure(x, &plain);
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    EXPECT_IS(XDP_BANNED, .source = 70, .payload = STR(SOUND));
    struct prefix p = net_of("192.0.2.9");
    assert_int_equal(xdp_hits(x, &p), 2);
    ban(x, "192.0.2.9"); /* is still to be banned; the others are not */
    while (!xdp_sweep(x, 1))
        ;
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    EXPECT_IS(XDP_PASS_SIP, .source = 10, .payload = STR(SOUND));
    EXPECT_IS(XDP_PASS_SIP, .source = 70, .payload = STR(SOUND));
    xdp_close(x, false);

    o.bans = 8192; /* other layout: made anew */
    assert_ok(xdp_open(&o, &x, &why));
    assert_false(xdp_taken_over(x));
    configure(x, &plain);
    EXPECT_IS(XDP_PASS_SIP, .payload = STR(SOUND));
    xdp_close(x, true);
    assert_int_not_equal(access(dir, F_OK), 0);
    assert_false(xdp_remove_pins(dir));
}

static void test_no_bpf_file_system(void **state)
{
    (void)state;
    struct xdp *x = start("/tmp/ringwall-test-no-such");
    assert_false(xdp_pinned(x));
    ban(x, "192.0.2.9");
    EXPECT_IS(XDP_BANNED, .payload = STR(SOUND));
    xdp_close(x, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_untouched),
        cmocka_unit_test(test_short_frames_pass),
        cmocka_unit_test(test_bans),
        cmocka_unit_test(test_ban_expires),
        cmocka_unit_test(test_bans_in_second_lines),
        cmocka_unit_test(test_ban_board_full),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_not_sip),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_of_an_office),
        cmocka_unit_test(test_slow_lane),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_exempt),
        cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_no_bpf_file_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
