#include "base/test.h"
#include "wire/pcap/dissect.h"

/* Ethernet, IPv4 198.51.100.7:5060 -> 192.0.2.1:5062, UDP with 4 bytes. */
static const uint8_t UDP4[] = {2,    0,    0,    0,  0,   1,  2,   0,   0,   0,  0,    2,
                               0x08, 0x00, 0x45, 0,  0,   32, 0,   1,   0,   0,  64,   17,
                               0,    0,    198,  51, 100, 7,  192, 0,   2,   1,  0x13, 0xc4,
                               0x13, 0xc6, 0,    12, 0,   0,  'a', 'b', 'c', 'd'};

static void put4(uint8_t *p, size_t n, uint8_t proto, uint16_t frag, size_t total)
{
    memcpy(p, UDP4 + 14, 20);
    p[9] = proto;
    be16_put(p + 2, (uint16_t)total);
    be16_put(p + 6, frag);
    (void)n;
}

static void udp_over_ethernet(void **state)
{
    (void)state;
    struct frame f;
    char text[ADDR_TEXT_MAX];
    frame_dissect(LINK_ETHERNET, UDP4, sizeof UDP4, &f);
    assert_int_equal(f.kind, FRAME_UDP);
    assert_str(str_of((const char *)f.data, f.len), "abcd");
    struct out o = out_of(text, sizeof text);
    addr_put(&o, &f.src);
    assert_str(out_str(&o), "198.51.100.7:5060");
    o = out_of(text, sizeof text);
    addr_put(&o, &f.dst);
    assert_str(out_str(&o), "192.0.2.1:5062");
    assert_false(f.cut);
}

/* Every shorter capture is cut, never read beyond its end, and never called wrong. */
static void every_cut(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof UDP4; n++) {
        struct frame f;
        uint8_t *p = malloc(n ? n : 1); /* exact: ASan sees the byte behind it */
        memcpy(p, UDP4, n);
        frame_dissect(LINK_ETHERNET, p, n, &f);
        if (n < 42)
            assert_int_equal(f.kind, FRAME_CUT);
        else
            assert_true(f.kind == FRAME_UDP && f.cut && f.len == n - 42);
        free(p);
    }
}

static void links(void **state)
{
    (void)state;
    static const struct {
        uint32_t link;
        size_t n;
        uint8_t head[24];
    } rows[] = {
        {LINK_RAW, 0, {0}},
        {LINK_RAW_BSD, 0, {0}},
        {LINK_IPV4, 0, {0}},
        {LINK_NULL, 4, {2, 0, 0, 0}},
        {LINK_LOOP, 4, {0, 0, 0, 2}},
        {LINK_PPP, 4, {0xff, 3, 0, 0x21}},
        {LINK_PPP, 2, {0, 0x21}},
        {LINK_SLL, 16, {0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}},
        {LINK_SLL2, 20, {8, 0, 0, 0, 0, 0, 0, 1}},
        {LINK_ETHERNET, 18, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 5, 8, 0}},
        {LINK_ETHERNET, 22, {0, 0,    0,    0, 0, 0,    0, 0, 0, 0, 0,
                             0, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0}},
        {LINK_ETHERNET, 22, {0, 0,    0,    0,    0, 0, 0, 0, 0,  0, 0,
                             0, 0x88, 0x64, 0x11, 0, 0, 1, 0, 34, 0, 0x21}},
        {LINK_ETHERNET, 18, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x47, 0, 0, 1, 64}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t p[128];
        struct frame f;
        memcpy(p, rows[i].head, rows[i].n);
        memcpy(p + rows[i].n, UDP4 + 14, sizeof UDP4 - 14);
        assert_true(link_known(rows[i].link));
        frame_dissect(rows[i].link, p, rows[i].n + sizeof UDP4 - 14, &f);
        assert_int_equal(f.kind, FRAME_UDP);
        assert_str(str_of((const char *)f.data, f.len), "abcd");
    }
    struct frame f;
    assert_false(link_known(105));
    frame_dissect(105, UDP4, sizeof UDP4, &f);
    assert_int_equal(f.kind, FRAME_NOT_IP);
    uint8_t arp[60] = {[12] = 8, [13] = 6};
    frame_dissect(LINK_ETHERNET, arp, sizeof arp, &f);
    assert_int_equal(f.kind, FRAME_NOT_IP);
}

static void wrong_headers(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t v;
        uint8_t kind;
    } rows[] = {
        {14, 0x44, FRAME_WRONG},                      /* header of 16 bytes */
        {14, 0x65, FRAME_WRONG},                      /* version 6 as IPv4 */
        {17, 19, FRAME_WRONG},                        /* total below the header */
        {39, 7, FRAME_WRONG},                         /* UDP length below its header */
        {39, 13, FRAME_WRONG},                        /* UDP length beyond IP's */
        {39, 12, FRAME_UDP},     {39, 11, FRAME_UDP}, /* shorter: the rest is filling */
        {39, 0, FRAME_UDP},      {23, 1, FRAME_IP_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t p[sizeof UDP4];
        struct frame f;
        memcpy(p, UDP4, sizeof p);
        p[rows[i].at] = rows[i].v;
        frame_dissect(LINK_ETHERNET, p, sizeof p, &f);
        assert_int_equal(f.kind, rows[i].kind);
    }
}

static void filling_of_ethernet_goes(void **state)
{
    (void)state;
    uint8_t p[60] = {0};
    struct frame f;
    memcpy(p, UDP4, sizeof UDP4);
    frame_dissect(LINK_ETHERNET, p, sizeof p, &f);
    assert_int_equal(f.len, 4);
}

static void tcp_segments(void **state)
{
    (void)state;
    uint8_t p[48] = {0};
    struct frame f;
    put4(p, sizeof p, 6, 0, 43);
    be16_put(p + 20, 5060);
    be16_put(p + 22, 40000);
    be32_put(p + 24, 0x01020304);
    p[32] = 5 << 4;
    p[33] = TCP_ACK;
    memcpy(p + 40, "xyz", 3);
    frame_dissect(LINK_RAW, p, 43, &f);
    assert_int_equal(f.kind, FRAME_TCP);
    assert_int_equal(f.tcp_seq, 0x01020304);
    assert_int_equal(f.tcp_flags, TCP_ACK);
    assert_str(str_of((const char *)f.data, f.len), "xyz");
    p[32] = 4 << 4;
    frame_dissect(LINK_RAW, p, 43, &f);
    assert_int_equal(f.kind, FRAME_WRONG);
    p[32] = 6 << 4; /* options that are not there */
    frame_dissect(LINK_RAW, p, 43, &f);
    assert_int_equal(f.kind, FRAME_WRONG);
}

static size_t put6(uint8_t *p, uint8_t next, size_t n)
{
    memset(p, 0, 40);
    p[0] = 0x60;
    be16_put(p + 4, (uint16_t)n);
    p[6] = next;
    p[8] = 0x20, p[9] = 1, p[10] = 0x0d, p[11] = 0xb8, p[23] = 1;
    p[24] = 0x20, p[25] = 1, p[26] = 0x0d, p[27] = 0xb8, p[39] = 2;
    return 40;
}

static void ipv6_extensions(void **state)
{
    (void)state;
    uint8_t p[128];
    struct frame f;
    size_t n = put6(p, 0, 8 + 16 + 12);
    memset(p + n, 0, 24);
    p[n] = 60, p[n + 1] = 0;     /* hop by hop, then */
    p[n + 8] = 17, p[n + 9] = 1; /* destination options of 16 bytes, then UDP */
    memcpy(p + n + 24, UDP4 + 34, 12);
    frame_dissect(LINK_RAW, p, n + 36, &f);
    assert_int_equal(f.kind, FRAME_UDP);
    assert_int_equal(f.src.family, ADDR_V6);
    assert_str(str_of((const char *)f.data, f.len), "abcd");
    p[n + 9] = 200; /* longer than the packet */
    frame_dissect(LINK_RAW, p, n + 36, &f);
    assert_int_equal(f.kind, FRAME_WRONG);
    for (unsigned i = 0; i < 9; i++) /* a chain without end */
        p[n + 8 * i] = 60, p[n + 8 * i + 1] = 0;
    be16_put(p + 4, 80);
    frame_dissect(LINK_RAW, p, n + 80, &f);
    assert_int_equal(f.kind, FRAME_WRONG);
}

static void fragments_are_told(void **state)
{
    (void)state;
    uint8_t p[128] = {0};
    struct frame f;
    put4(p, sizeof p, 17, 0x2000 | 3, 36);
    frame_dissect(LINK_RAW, p, 36, &f);
    assert_int_equal(f.kind, FRAME_FRAGMENT);
    assert_int_equal(f.frag_off, 24);
    assert_true(f.frag_more);
    assert_int_equal(f.len, 16);
    put4(p, sizeof p, 17, 0x1fff, 36); /* ends beyond 65535 */
    frame_dissect(LINK_RAW, p, 36, &f);
    assert_int_equal(f.kind, FRAME_WRONG);
    size_t n = put6(p, 44, 8 + 8);
    memset(p + n, 0, 16);
    p[n] = 17;
    be16_put(p + n + 2, 8 | 1);
    be32_put(p + n + 4, 77);
    frame_dissect(LINK_RAW, p, n + 16, &f);
    assert_int_equal(f.kind, FRAME_FRAGMENT);
    assert_int_equal(f.frag_id, 77);
    assert_int_equal(f.frag_off, 8);
    be16_put(p + n + 2, 0); /* a fragment that is the whole */
    memcpy(p + n + 8, UDP4 + 34, 8);
    be16_put(p + n + 12, 8);
    frame_dissect(LINK_RAW, p, n + 16, &f);
    assert_int_equal(f.kind, FRAME_UDP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(udp_over_ethernet),
                                       cmocka_unit_test(every_cut),
                                       cmocka_unit_test(links),
                                       cmocka_unit_test(wrong_headers),
                                       cmocka_unit_test(filling_of_ethernet_goes),
                                       cmocka_unit_test(tcp_segments),
                                       cmocka_unit_test(ipv6_extensions),
                                       cmocka_unit_test(fragments_are_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
