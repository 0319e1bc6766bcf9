/* The program for the kernel, run by the kernel on frames of ours (BPF_PROG_TEST_RUN): each reason
 * to drop with a packet that fires it and a twin that passes. Needs root; skipped by name without.
 */
#include "io/xdp_test.h"
#include <errno.h>
#include <sys/mman.h>

#define INVITE(to) "INVITE " to " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\n\r\n"
#define RTP        "\x80\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03 sound"

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
