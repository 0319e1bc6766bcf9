#include "base/test.h"
#include "media/rig.h"

#define SDP(ip, port, proto, more)                                                                 \
    "v=0\r\no=x 1 1 IN IP4 " ip "\r\ns=-\r\nc=IN IP4 " ip "\r\nt=0 0\r\nm=audio " port " " proto   \
    " 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n" more
#define KEY80 "AES_CM_128_HMAC_SHA1_80 inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNk"

static const uint8_t key80[30] = "abcdefghijklmnopqrstuvwxyzabcd";
static struct rig r;
static uint8_t buf[PKT_MAX];
static uint16_t port_a, port_b; /* our ports towards alice and bob */

/* Plain legs: alice at 192.0.2.10:4000, bob at 198.51.100.20:5000. */
static void plain(bool symmetric_a, const char *offer)
{
    struct media_policy a = rig_policy(false, true, false, symmetric_a),
                        b = rig_policy(false, true, false, false);
    rig_open(&r, 8, 64);
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &b, 2);
    assert_int_equal(rig_offer(&r, true, str_c(offer)), REASON_NONE);
    assert_int_equal(rig_answer(&r, true, STR(SDP("198.51.100.20", "5000", "RTP/AVP", ""))),
                     REASON_NONE);
    port_a = rig_port(r.said_a);
    port_b = rig_port(r.said_b);
}

/* Alice over SRTP; ret_ours: the key that we send to her with. */
static void secure(uint8_t ret_ours[SRTP_KEY_MAX])
{
    struct media_policy a = rig_policy(true, false, true, true),
                        b = rig_policy(false, true, false, false);
    uint32_t tag;
    rig_open(&r, 8, 64);
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &b, 2);
    assert_int_equal(
        rig_offer(&r, true, STR(SDP("192.0.2.10", "4000", "RTP/SAVP", "a=crypto:1 " KEY80 "\r\n"))),
        REASON_NONE);
    assert_int_equal(rig_answer(&r, true, STR(SDP("198.51.100.20", "5000", "RTP/AVP", ""))),
                     REASON_NONE);
    port_a = rig_port(r.said_a);
    port_b = rig_port(r.said_b);
    assert_int_equal(rig_key(r.said_a, SUITE_NONE, &tag, ret_ours), SUITE_AES_CM_128_80);
}

static struct pkt packet(const char *from, uint16_t from_port, uint16_t to_port, size_t n)
{
    return (struct pkt){
        .data = buf, .len = (uint16_t)n, .port = to_port, .peer = rig_addr(from, from_port)};
}

/* An RTP packet of alice or whoever says so; true if it went on to bob. */
static bool says(const char *from, uint16_t from_port, uint16_t seq)
{
    struct pkt pk = packet(from, from_port, port_a, rig_rtp(buf, 7, seq, 160));
    if (rig_turn(&r, &pk) == 0)
        return false;
    struct addr bob = rig_addr("198.51.100.20", 5000);
    assert_true(addr_eq(&pk.peer, &bob));
    assert_int_equal(pk.port, port_b);
    return true;
}

static uint64_t counted(enum reason why)
{
    return counters_get(&r.counters, why);
}

static int teardown(void **state)
{
    (void)state;
    rig_close(&r);
    return 0;
}

static void plain_rtp_goes_both_ways_from_the_named_addresses_only(void **state)
{
    (void)state;
    plain(false, SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    assert_true(says("192.0.2.10", 4000, 1));
    assert_int_equal(buf[12 + 159], 1); /* the payload as it was */
    assert_false(says("192.0.2.10", 4001, 2));
    assert_false(says("192.0.2.66", 4000, 3));
    assert_int_equal(counted(REASON_rtp_source), 2);
    struct pkt pk = packet("198.51.100.20", 5000, port_b, rig_rtp(buf, 9, 1, 160));
    assert_int_equal(rig_turn(&r, &pk), 172);
    struct addr alice = rig_addr("192.0.2.10", 4000);
    assert_true(addr_eq(&pk.peer, &alice));
    assert_int_equal(pk.port, port_a);
}

static void behind_nat_one_latch_then_frozen(void **state)
{
    (void)state;
    plain(true, SDP("10.1.2.3", "4000", "RTP/AVP", ""));
    struct pkt junk = packet("203.0.113.66", 666, port_a, 5);
    memset(buf, 0xff, 5);
    assert_int_equal(rig_turn(&r, &junk), 0); /* no RTP: moves nothing */
    assert_true(says("203.0.113.7", 33333, 1));
    assert_false(says("203.0.113.8", 4000, 2));
    assert_false(says("203.0.113.7", 33334, 3));
    assert_false(says("10.1.2.3", 4000, 4)); /* not even what SDP says, once latched */
    assert_true(says("203.0.113.7", 33333, 5));
    struct pkt pk = packet("198.51.100.20", 5000, port_b, rig_rtp(buf, 9, 1, 160));
    assert_int_equal(rig_turn(&r, &pk), 172);
    struct addr latched = rig_addr("203.0.113.7", 33333);
    assert_true(addr_eq(&pk.peer, &latched));
}

static void a_public_address_lets_only_its_port_move(void **state)
{
    (void)state;
    plain(true, SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    assert_false(says("203.0.113.66", 4000, 1));
    assert_true(says("192.0.2.10", 4444, 2));
    assert_false(says("192.0.2.10", 4000, 3));
}

/* Strangers with well-formed RTP at every port, 4000 packets: none is sent on, no address moves. */
static void spray_over_all_ports_redirects_nothing(void **state)
{
    (void)state;
    plain(false, SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    assert_true(says("192.0.2.10", 4000, 1));
    for (unsigned i = 0; i < 4000; i++) {
        struct pkt pk = packet("203.0.113.66", (uint16_t)(1024 + i), (uint16_t)(20000 + i % 128),
                               rig_rtp(buf, i, (uint16_t)i, 160));
        assert_int_equal(rig_turn(&r, &pk), 0);
    }
    assert_int_equal(counted(REASON_rtp_source) + counted(REASON_rtp_no_session) +
                         counted(REASON_rtp_malformed),
                     4000);
    assert_true(says("192.0.2.10", 4000, 2));
    struct pkt pk = packet("198.51.100.20", 5000, port_b, rig_rtp(buf, 9, 1, 160));
    assert_int_equal(rig_turn(&r, &pk), 172);
    struct addr alice = rig_addr("192.0.2.10", 4000);
    assert_true(addr_eq(&pk.peer, &alice));
}

static void what_is_not_rtp_is_named(void **state)
{
    (void)state;
    plain(false, SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    for (size_t n = 0; n <= 12; n++) { /* header only is RTP with nothing to say */
        (void)rig_rtp(buf, 7, 1, 160);
        struct pkt pk = packet("192.0.2.10", 4000, port_a, n);
        assert_int_equal(rig_turn(&r, &pk) != 0, n == 12);
    }
    assert_int_equal(counted(REASON_rtp_malformed), 12);
    (void)rig_rtp(buf, 7, 1, 160);
    buf[0] = 0x40; /* version 1 */
    struct pkt pk = packet("192.0.2.10", 4000, port_a, 172);
    assert_int_equal(rig_turn(&r, &pk), 0);
    pk = packet("192.0.2.10", 4000, 20100, rig_rtp(buf, 7, 1, 160));
    assert_int_equal(rig_turn(&r, &pk), 0);
    assert_int_equal(counted(REASON_rtp_no_session), 1);
}

static void telephone_events_pass_as_they_are(void **state)
{
    (void)state;
    static const uint8_t event[4] = {5, 0x8a, 0x03, 0xc0};
    plain(false, SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    struct rtp h = {.ssrc = 7, .seq = 9, .ts = 1600, .pt = 101, .marker = true};
    rtp_put(buf, &h);
    memcpy(buf + 12, event, 4);
    uint8_t copy[16];
    memcpy(copy, buf, 16);
    struct pkt pk = packet("192.0.2.10", 4000, port_a, 16);
    assert_int_equal(rig_turn(&r, &pk), 16);
    assert_memory_equal(buf, copy, 16);
}

static void srtp_is_verified_before_anything_moves(void **state)
{
    (void)state;
    uint8_t ours[SRTP_KEY_MAX];
    secure(ours);
    struct srtp *alice = srtp_new(SUITE_AES_CM_128_80, key80),
                *from_us = srtp_new(SUITE_AES_CM_128_80, ours);
    struct pkt pk = packet("203.0.113.66", 666, port_a, rig_rtp(buf, 7, 100, 160)); /* no tag */
    assert_int_equal(rig_turn(&r, &pk), 0);
    size_t n = rig_rtp(buf, 7, 60000, 160);
    assert_ok(srtp_protect(alice, buf, &n, sizeof buf));
    uint8_t good[200];
    memcpy(good, buf, n);
    buf[n - 1] ^= 1;
    pk = packet("203.0.113.66", 666, port_a, n);
    assert_int_equal(rig_turn(&r, &pk), 0);
    assert_int_equal(counted(REASON_rtp_auth), 2);
    memcpy(buf, good, n); /* the real one, from elsewhere: the tag decides */
    pk = packet("203.0.113.7", 33333, port_a, n);
    assert_int_equal(rig_turn(&r, &pk), 172);
    memcpy(buf, good, n);
    pk = packet("203.0.113.7", 33333, port_a, n);
    assert_int_equal(rig_turn(&r, &pk), 0);
    assert_int_equal(counted(REASON_rtp_replay), 1);
    pk = packet("198.51.100.20", 5000, port_b, rig_rtp(buf, 9, 1, 160));
    assert_int_equal(rig_turn(&r, &pk), 182);
    struct addr latched = rig_addr("203.0.113.7", 33333);
    assert_true(addr_eq(&pk.peer, &latched));
    n = pk.len;
    assert_ok(srtp_unprotect(from_us, buf, &n));
    assert_int_equal(n, 172);
    srtp_free(alice);
    srtp_free(from_us);
}

/* Two and a half turns of the sequence number, with losses and swaps. */
static void long_calls_wrap(void **state)
{
    (void)state;
    uint8_t ours[SRTP_KEY_MAX];
    secure(ours);
    struct srtp *alice = srtp_new(SUITE_AES_CM_128_80, key80);
    unsigned ok = 0, sent = 0;
    for (uint32_t i = 0; i < 160000; i++) {
        size_t n = rig_rtp(buf, 7, (uint16_t)(65000 + i), 20);
        assert_ok(srtp_protect(alice, buf, &n, sizeof buf));
        if (i % 97 == 5)
            continue;
        struct pkt pk = packet("192.0.2.10", 4000, port_a, n);
        ok += rig_turn(&r, &pk) == 32;
        sent++;
    }
    assert_int_equal(ok, sent);
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_int_equal(v.in.packets, sent);
    assert_int_equal(v.in.lost, 160000 - sent);
    assert_int_equal(v.suite, SUITE_AES_CM_128_80);
    assert_true(v.latched);
    srtp_free(alice);
}

static void another_ssrc_is_another_start_up_to_a_limit(void **state)
{
    (void)state;
    uint8_t ours[SRTP_KEY_MAX];
    secure(ours);
    struct srtp *alice = srtp_new(SUITE_AES_CM_128_80, key80),
                *more = srtp_new(SUITE_AES_CM_128_80, key80);
    for (uint32_t ssrc = 1; ssrc <= SRTP_SSRCS + 1; ssrc++) {
        size_t n = rig_rtp(buf, ssrc, 5, 160);
        assert_ok(srtp_protect(ssrc <= SRTP_SSRCS ? alice : more, buf, &n, sizeof buf));
        struct pkt pk = packet("192.0.2.10", 4000, port_a, n);
        assert_int_equal(rig_turn(&r, &pk) != 0, ssrc <= SRTP_SSRCS);
    }
    assert_int_equal(counted(REASON_rtp_ssrc_limit), 1);
    srtp_free(alice);
    srtp_free(more);
}

/* A new key in a re-INVITE counts from its answer on. */
static void rekey(void **state)
{
    (void)state;
    static const uint8_t next[30] = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCD";
    uint8_t ours[SRTP_KEY_MAX];
    secure(ours);
    struct srtp *old = srtp_new(SUITE_AES_CM_128_80, key80),
                *fresh = srtp_new(SUITE_AES_CM_128_80, next);
    for (int phase = 0; phase < 3; phase++) {
        if (phase == 1)
            assert_int_equal(
                rig_offer(&r, true,
                          STR(SDP("192.0.2.10", "4000", "RTP/SAVP",
                                  "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
                                  "inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNE\r\n"))),
                REASON_NONE);
        if (phase == 2)
            assert_int_equal(rig_answer(&r, true, STR(SDP("198.51.100.20", "5000", "RTP/AVP", ""))),
                             REASON_NONE);
        for (int with_new = 0; with_new < 2; with_new++) {
            size_t n = rig_rtp(buf, 7, (uint16_t)(10 + phase), 160);
            assert_ok(srtp_protect(with_new ? fresh : old, buf, &n, sizeof buf));
            struct pkt pk = packet("192.0.2.10", 4000, port_a, n);
            assert_int_equal(rig_turn(&r, &pk) != 0, with_new == (phase == 2));
        }
    }
    srtp_free(old);
    srtp_free(fresh);
}

/* A sender report with one block, and an SDES packet whose CNAME shows an address. */
static size_t report(uint8_t *p)
{
    static const uint8_t sr[52] = {0x81, 200, 0, 12, [7] = 7, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t sdes[24] = {0x81, 202, 0,   5,   0,   0,   0,   7,   1,   12,  'a',
                                     '@',  '1', '9', '2', '.', '0', '.', '2', '.', '1', '0'};
    memcpy(p, sr, sizeof sr);
    memcpy(p + sizeof sr, sdes, sizeof sdes);
    return sizeof sr + sizeof sdes;
}

static void rtcp_has_its_port_and_tells_no_names(void **state)
{
    (void)state;
    plain(false, SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    struct pkt pk = packet("192.0.2.10", 4001, (uint16_t)(port_a + 1), report(buf));
    assert_int_equal(rig_turn(&r, &pk), 76);
    assert_int_equal(pk.port, port_b + 1);
    assert_int_equal(pk.peer.port, 5001);
    assert_null(memmem(buf, 76, "192.0.2", 7));
    pk = packet("203.0.113.66", 4001, (uint16_t)(port_a + 1), report(buf));
    assert_int_equal(rig_turn(&r, &pk), 0);
    pk = packet("192.0.2.10", 4001, (uint16_t)(port_a + 1), 3);
    assert_int_equal(rig_turn(&r, &pk), 0);
}

static void one_way_is_seen(void **state)
{
    (void)state;
    plain(false, SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    for (uint16_t i = 0; i < 300; i++) {
        r.now = instant_add(r.now, DUR_MS(20));
        assert_true(says("192.0.2.10", 4000, i));
        if (i == 200)
            assert_false(media_one_way(r.a, r.b, r.now));
    }
    assert_true(media_one_way(r.a, r.b, r.now));
    assert_int_equal(media_silent_since(r.a, r.b).us, r.now.us);
}

static void jitter_of_a_known_pattern(void **state)
{
    (void)state;
    struct media_view v;
    plain(false, SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    for (uint16_t i = 0; i < 2000; i++) { /* every other packet 4 ms late: |D| is always 4 ms */
        struct instant at = r.now;
        r.now = instant_add(r.now, DUR_MS(i % 2 ? 4 : 0));
        assert_true(says("192.0.2.10", 4000, i));
        r.now = instant_add(at, DUR_MS(20));
    }
    assert_true(media_leg_view(r.a, 0, &v));
    assert_in_range(v.in.jitter_us, 3700, 4100); /* RFC 3550 A.8 tends to 4 ms */
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
    const struct CMUnitTest tests[] = {T(plain_rtp_goes_both_ways_from_the_named_addresses_only),
                                       T(behind_nat_one_latch_then_frozen),
                                       T(a_public_address_lets_only_its_port_move),
                                       T(spray_over_all_ports_redirects_nothing),
                                       T(what_is_not_rtp_is_named),
                                       T(telephone_events_pass_as_they_are),
                                       T(srtp_is_verified_before_anything_moves),
                                       T(long_calls_wrap),
                                       T(another_ssrc_is_another_start_up_to_a_limit),
                                       T(rekey),
                                       T(rtcp_has_its_port_and_tells_no_names),
                                       T(one_way_is_seen),
                                       T(jitter_of_a_known_pattern)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
