#include "base/test.h"
#include "media/rig.h"
#include "wire/rtp/rtcp.h"

#define SDP(who, ip, port, proto, more)                                                            \
    "v=0\r\no=" who " 1 1 IN IP4 " ip "\r\ns=-\r\nc=IN IP4 " ip "\r\nt=0 0\r\nm=audio " port       \
    " " proto " 8\r\n" more
#define ALICE "192.0.2.10"
#define BOB   "198.51.100.20"
#define EVE   "203.0.113.66"
#define CM80                                                                                       \
    "a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNk\r\n"

static struct rig r;
static uint8_t buf[PKT_MAX];
static uint16_t port_a, port_b; /* ours */

static uint64_t hits(enum reason why)
{
    return counters_get(&r.counters, why);
}

/* A plain call; sdp texts may differ in what the row wants to show. */
static void call(struct media_policy a, struct media_policy b, const char *sdp_a, const char *sdp_b)
{
    rig_open(&r, 8, 64);
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &b, 2);
    assert_int_equal(rig_offer(&r, true, str_c(sdp_a)), REASON_NONE);
    assert_int_equal(rig_answer(&r, true, str_c(sdp_b)), REASON_NONE);
    port_a = rig_port(r.said_a);
    port_b = rig_port(r.said_b);
}

static void plain_call(bool symmetric)
{
    call(rig_policy(false, true, false, symmetric), rig_policy(false, true, false, symmetric),
         SDP("a", ALICE, "4000", "RTP/AVP", ""), SDP("b", BOB, "5000", "RTP/AVP", ""));
}

static struct pkt from(const char *ip, uint16_t source, uint16_t to, size_t len)
{
    return (struct pkt){
        .data = buf, .len = (uint16_t)len, .port = to, .peer = rig_addr(ip, source)};
}

static bool rtp_from(const char *ip, uint16_t source, uint16_t to, uint16_t seq)
{
    struct pkt pk = from(ip, source, to, rig_rtp(buf, 7, seq, 160));
    return rig_turn(&r, &pk) > 0;
}

static size_t rr(uint8_t *p)
{
    static const uint8_t text[] = {0x80, 201, 0, 1, 0,   0,   0,   7,   0x81, 202, 0,   4, 0, 0,
                                   0,    7,   1, 7, 'a', '@', '1', '0', '.',  '0', '.', 0, 0, 0};
    memcpy(p, text, sizeof text);
    return sizeof text;
}

static void plain_packets_cross(void **state)
{
    (void)state;
    plain_call(false);
    struct pkt pk = from(ALICE, 4000, port_a, rig_rtp(buf, 7, 1, 160));
    assert_int_equal(rig_turn(&r, &pk), 172);
    struct addr bob = rig_addr(BOB, 5000);
    assert_true(addr_eq(&pk.peer, &bob));
    assert_int_equal(pk.port, port_b);
    uint8_t same[172];
    rig_rtp(same, 7, 1, 160);
    assert_memory_equal(buf, same, 172);
    pk = from(BOB, 5000, port_b, rig_rtp(buf, 9, 1, 160));
    assert_int_equal(rig_turn(&r, &pk), 172);
    struct addr alice = rig_addr(ALICE, 4000);
    assert_true(addr_eq(&pk.peer, &alice));
    assert_int_equal(pk.port, port_a);
    /* RTCP by the odd ports. */
    pk = from(ALICE, 4001, (uint16_t)(port_a + 1), rr(buf));
    assert_int_equal(rig_turn(&r, &pk), 28);
    assert_int_equal(pk.port, port_b + 1);
    assert_int_equal(pk.peer.port, 5001);
    assert_int_equal(str_search(str_of((char *)buf, 28), STR("a@10.0")), 28); /* CNAME hidden */
    rig_close(&r);
}

static void strict_sources(void **state)
{
    (void)state;
    plain_call(false);
    assert_false(rtp_from(EVE, 4000, port_a, 1));
    assert_false(rtp_from(ALICE, 4002, port_a, 1));
    assert_false(rtp_from(ALICE, 5000, port_b, 1));
    assert_int_equal(hits(REASON_rtp_source), 3);
    struct pkt pk = from(EVE, 4001, (uint16_t)(port_a + 1), rr(buf));
    assert_int_equal(rig_turn(&r, &pk), 0);
    pk = from(ALICE, 4003, (uint16_t)(port_a + 1), rr(buf));
    assert_int_equal(rig_turn(&r, &pk), 0);
    assert_int_equal(hits(REASON_rtp_source), 5);
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_int_equal(v.in.packets, 0);
    assert_int_equal(v.in.discarded, 4);
    assert_false(v.latched);
    assert_true(rtp_from(ALICE, 4000, port_a, 1));
    assert_false(rtp_from(EVE, 4000, port_a, 2));
    rig_close(&r);
}

static void public_sdp_latches_only_a_port(void **state)
{
    (void)state;
    plain_call(true);
    assert_false(rtp_from(EVE, 4000, port_a, 1)); /* faster than alice, and still nothing */
    assert_true(rtp_from(ALICE, 61000, port_a, 1));
    assert_false(rtp_from(ALICE, 4000, port_a, 2)); /* frozen */
    assert_false(rtp_from(ALICE, 61001, port_a, 2));
    assert_false(rtp_from(EVE, 61000, port_a, 2));
    assert_true(rtp_from(ALICE, 61000, port_a, 2));
    struct pkt pk = from(BOB, 5000, port_b, rig_rtp(buf, 9, 1, 160));
    assert_int_equal(rig_turn(&r, &pk), 172);
    assert_int_equal(pk.peer.port, 61000);
    rig_close(&r);
}

static void private_sdp_latches_once(void **state)
{
    (void)state;
    call(rig_policy(false, true, false, true), rig_policy(false, true, false, true),
         SDP("a", "10.1.2.3", "4000", "RTP/AVP", ""), SDP("b", BOB, "5000", "RTP/AVP", ""));
    struct pkt pk = from("192.0.2.77", 4001, (uint16_t)(port_a + 1), rr(buf));
    assert_int_equal(rig_turn(&r, &pk), 0); /* RTCP never latches first */
    buf[0] = 0;
    pk = from(EVE, 9, port_a, 172);
    memset(buf, 0x55, 172);
    assert_int_equal(rig_turn(&r, &pk), 0); /* junk latches nothing */
    assert_int_equal(hits(REASON_rtp_malformed), 1);
    assert_true(rtp_from("192.0.2.77", 33000, port_a, 1));
    assert_false(rtp_from(EVE, 33000, port_a, 2));
    assert_false(rtp_from("10.1.2.3", 4000, port_a, 2));
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_true(v.latched);
    struct addr nat = rig_addr("192.0.2.77", 33000);
    assert_true(addr_eq(&v.remote, &nat));
    pk = from("192.0.2.77", 33555, (uint16_t)(port_a + 1), rr(buf));
    assert_true(rig_turn(&r, &pk) > 0); /* its RTCP: same address, one port, once */
    pk = from("192.0.2.77", 33556, (uint16_t)(port_a + 1), rr(buf));
    assert_int_equal(rig_turn(&r, &pk), 0);
    pk = from(BOB, 5001, (uint16_t)(port_b + 1), rr(buf));
    assert_true(rig_turn(&r, &pk) > 0);
    assert_int_equal(pk.peer.port, 33555);
    /* A re-INVITE that says the same keeps the latch; one with another address opens it again. */
    assert_int_equal(rig_offer(&r, true, STR(SDP("a", "10.1.2.3", "4000", "RTP/AVP", ""))),
                     REASON_NONE);
    assert_false(rtp_from(EVE, 1, port_a, 3)); /* also not while the offer is open */
    assert_int_equal(rig_answer(&r, true, STR(SDP("b", BOB, "5000", "RTP/AVP", ""))), REASON_NONE);
    assert_false(rtp_from(EVE, 33000, port_a, 3));
    assert_int_equal(rig_offer(&r, true, STR(SDP("a", "10.1.2.4", "4000", "RTP/AVP", ""))),
                     REASON_NONE);
    assert_int_equal(rig_answer(&r, true, STR(SDP("b", BOB, "5000", "RTP/AVP", ""))), REASON_NONE);
    assert_true(rtp_from("192.0.2.78", 12000, port_a, 4));
    rig_close(&r);
}

static void spray_redirects_nothing(void **state)
{
    (void)state;
    plain_call(true);
    assert_true(rtp_from(ALICE, 4000, port_a, 1));
    assert_true(rtp_from(BOB, 5000, port_b, 1));
    unsigned passed = 0;
    for (unsigned port = 19990; port < 20140; port++)
        for (unsigned k = 0; k < 4; k++) {
            struct pkt pk = from(EVE, (uint16_t)(1000 + k), (uint16_t)port,
                                 k == 3 ? rr(buf) : rig_rtp(buf, 7, (uint16_t)(2 + k), 20));
            passed += rig_turn(&r, &pk) > 0;
        }
    assert_int_equal(passed, 0);
    struct pkt pk = from(BOB, 5000, port_b, rig_rtp(buf, 9, 2, 160));
    assert_int_equal(rig_turn(&r, &pk), 172);
    assert_int_equal(pk.peer.port, 4000);
    assert_true(hits(REASON_rtp_no_session) > 500);
    rig_close(&r);
}

static void mux_and_demux(void **state)
{
    (void)state;
    call(rig_policy(false, true, false, false), rig_policy(false, true, false, false),
         SDP("a", ALICE, "4000", "RTP/AVP", "a=rtcp-mux\r\n"),
         SDP("b", BOB, "5000", "RTP/AVP", ""));
    assert_true(str_search(r.said_a, STR("a=rtcp-mux")) < r.said_a.n);
    struct pkt pk = from(ALICE, 4000, port_a, rr(buf));
    assert_true(rig_turn(&r, &pk) > 0);
    assert_int_equal(pk.port, port_b + 1);
    assert_int_equal(pk.peer.port, 5001);
    pk = from(BOB, 5001, (uint16_t)(port_b + 1), rr(buf));
    assert_true(rig_turn(&r, &pk) > 0);
    assert_int_equal(pk.port, port_a);
    assert_int_equal(pk.peer.port, 4000);
    pk = from(ALICE, 4001, (uint16_t)(port_a + 1), rr(buf));
    assert_int_equal(rig_turn(&r, &pk), 0); /* closed by mux */
    /* On bob's side the port is RTP's alone: what looks like RTCP there is payload type 73. */
    pk = from(BOB, 5000, port_b, rr(buf));
    assert_true(rig_turn(&r, &pk) > 0);
    pk = from(BOB, 5001, (uint16_t)(port_b + 1), rig_rtp(buf, 7, 1, 100));
    assert_int_equal(rig_turn(&r, &pk), 0);
    rig_close(&r);
}

static void a_rtcp_names_the_port_only(void **state)
{
    (void)state;
    call(rig_policy(false, true, false, false), rig_policy(false, true, false, false),
         SDP("a", ALICE, "4000", "RTP/AVP", "a=rtcp:4444 IN IP4 " EVE "\r\n"),
         SDP("b", BOB, "5000", "RTP/AVP", ""));
    struct pkt pk = from(BOB, 5001, (uint16_t)(port_b + 1), rr(buf));
    assert_true(rig_turn(&r, &pk) > 0);
    struct addr to = rig_addr(ALICE, 4444);
    assert_true(addr_eq(&pk.peer, &to));
    rig_close(&r);
}

static void bad_packets(void **state)
{
    (void)state;
    plain_call(false);
    static const size_t lens[] = {0, 1, 11};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        rig_rtp(buf, 7, 1, 160);
        struct pkt pk = from(ALICE, 4000, port_a, lens[i]);
        assert_int_equal(rig_turn(&r, &pk), 0);
    }
    struct pkt pk = from(ALICE, 4000, port_a, rig_rtp(buf, 7, 1, 160));
    buf[0] = 0x40;
    assert_int_equal(rig_turn(&r, &pk), 0);
    pk = from(ALICE, 4000, port_a, rig_rtp(buf, 7, 1, 160));
    buf[0] |= 0x20; /* padding longer than the payload */
    buf[171] = 161;
    assert_int_equal(rig_turn(&r, &pk), 0);
    pk = from(ALICE, 4000, port_a, rig_rtp(buf, 7, 1, 160));
    buf[0] |= 0x10;
    be16_put(buf + 14, 500); /* extension longer than the packet */
    assert_int_equal(rig_turn(&r, &pk), 0);
    assert_int_equal(hits(REASON_rtp_malformed), 6);
    rig_close(&r);
}

static void hold_address_sends_nowhere(void **state)
{
    (void)state;
    plain_call(false);
    assert_int_equal(rig_offer(&r, true, STR(SDP("a", "0.0.0.0", "4000", "RTP/AVP", ""))),
                     REASON_NONE);
    assert_int_equal(rig_answer(&r, true, STR(SDP("b", BOB, "5000", "RTP/AVP", "a=recvonly\r\n"))),
                     REASON_NONE);
    assert_false(rtp_from(BOB, 5000, port_b, 1));
    assert_int_equal(hits(REASON_rtp_no_route), 1);
    assert_false(rtp_from(EVE, 4000, port_a, 1));
    rig_close(&r);
}

/* --- SRTP --- */

struct phone {
    struct srtp *tx, *rx;
};

static struct phone phone_of(struct str our_body, enum srtp_suite suite, const uint8_t *its_key)
{
    uint8_t key[SRTP_KEY_MAX];
    uint32_t tag;
    assert_int_equal(rig_key(our_body, suite, &tag, key), suite);
    struct phone p = {srtp_new(suite, its_key), srtp_new(suite, key)};
    assert_non_null(p.tx);
    assert_non_null(p.rx);
    return p;
}

static void phone_end(struct phone *p)
{
    srtp_free(p->tx);
    srtp_free(p->rx);
    *p = (struct phone){0};
}

static const uint8_t key_a[] = "abcdefghijklmnopqrstuvwxyzabcd";

static struct phone srtp_call(void)
{
    call(rig_policy(true, false, true, false), rig_policy(false, true, false, false),
         SDP("a", ALICE, "4000", "RTP/SAVP", CM80), SDP("b", BOB, "5000", "RTP/AVP", ""));
    return phone_of(r.said_a, SUITE_AES_CM_128_80, key_a);
}

static bool srtp_from(struct phone *p, const char *ip, uint16_t source, uint32_t ssrc, uint16_t seq)
{
    size_t n = rig_rtp(buf, ssrc, seq, 160);
    assert_ok(srtp_protect(p->tx, buf, &n, sizeof buf));
    struct pkt pk = from(ip, source, port_a, n);
    return rig_turn(&r, &pk) > 0;
}

static bool heard(struct phone *p, uint32_t ssrc, uint16_t seq)
{
    struct pkt pk = from(BOB, 5000, port_b, rig_rtp(buf, ssrc, seq, 160));
    size_t n = rig_turn(&r, &pk);
    if (n == 0)
        return false;
    uint8_t clear[172];
    rig_rtp(clear, ssrc, seq, 160);
    assert_memory_not_equal(buf + 12, clear + 12, 160);
    if (srtp_unprotect(p->rx, buf, &n) != OK)
        return false;
    assert_int_equal(n, 172);
    assert_memory_equal(buf, clear, n);
    return true;
}

static void srtp_to_rtp_and_back(void **state)
{
    (void)state;
    struct phone alice = srtp_call();
    for (unsigned i = 0; i < 70000; i += i < 200 || i > 65400 ? 1 : 50) {
        assert_true(srtp_from(&alice, ALICE, 4000, 7, (uint16_t)i));
        assert_true(heard(&alice, 9, (uint16_t)i));
    }
    size_t n = rr(buf);
    assert_ok(srtcp_protect(alice.tx, buf, &n, sizeof buf));
    struct pkt pk = from(ALICE, 4001, (uint16_t)(port_a + 1), n);
    assert_int_equal(rig_turn(&r, &pk), 28);
    assert_ok(rtcp_check(buf, 28));
    pk = from(BOB, 5001, (uint16_t)(port_b + 1), rr(buf));
    n = rig_turn(&r, &pk);
    assert_true(n > 28);
    assert_ok(srtcp_unprotect(alice.rx, buf, &n));
    assert_int_equal(n, 28);
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_true(v.latched);
    assert_int_equal(v.in.discarded, 0);
    phone_end(&alice);
    rig_close(&r);
}

static void unauthenticated_moves_nothing(void **state)
{
    (void)state;
    struct phone alice = srtp_call();
    for (unsigned i = 0; i < 100; i++) {
        size_t n = rig_rtp(buf, 7, (uint16_t)(i * 600), 160) + 10;
        struct pkt pk = from(i & 1 ? EVE : ALICE, i & 1 ? 1 : 4000, port_a, n);
        assert_int_equal(rig_turn(&r, &pk), 0);
    }
    assert_int_equal(hits(REASON_rtp_auth), 100);
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_int_equal(v.in.packets, 0);
    assert_false(v.latched);
    struct addr said = rig_addr(ALICE, 4000);
    assert_true(addr_eq(&v.remote, &said));
    /* The true packet from a NAT address latches, and then only that address counts. */
    assert_true(srtp_from(&alice, "192.0.2.99", 7777, 7, 1));
    assert_false(srtp_from(&alice, ALICE, 4000, 7, 2));
    assert_int_equal(hits(REASON_rtp_source), 1);
    assert_true(srtp_from(&alice, "192.0.2.99", 7777, 7, 3));
    phone_end(&alice);
    rig_close(&r);
}

static void replay_is_dropped(void **state)
{
    (void)state;
    struct phone alice = srtp_call();
    uint8_t copy[PKT_MAX];
    size_t n = rig_rtp(buf, 7, 1, 160);
    assert_ok(srtp_protect(alice.tx, buf, &n, sizeof buf));
    memcpy(copy, buf, n);
    struct pkt pk = from(ALICE, 4000, port_a, n);
    assert_true(rig_turn(&r, &pk) > 0);
    memcpy(buf, copy, n);
    pk = from(ALICE, 4000, port_a, n);
    assert_int_equal(rig_turn(&r, &pk), 0);
    assert_int_equal(hits(REASON_rtp_replay), 1);
    for (uint32_t s = 0; s + 1 < SRTP_SSRCS; s++)
        assert_true(srtp_from(&alice, ALICE, 4000, 100 + s, 1));
    srtp_free(alice.tx);
    alice.tx = srtp_new(SUITE_AES_CM_128_80, key_a);
    assert_false(srtp_from(&alice, ALICE, 4000, 999, 1));
    assert_int_equal(hits(REASON_rtp_ssrc_limit), 1);
    phone_end(&alice);
    rig_close(&r);
}

static void rekey_by_reinvite(void **state)
{
    (void)state;
    struct phone alice = srtp_call();
    for (unsigned i = 0; i < 70000; i += 100) /* past a wrap: the roll-over counter is 1 */
        assert_true(srtp_from(&alice, ALICE, 4000, 7, (uint16_t)i) &&
                    heard(&alice, 9, (uint16_t)i));
    /* The same key again: state stays, on both ways. */
    assert_int_equal(rig_offer(&r, true, STR(SDP("a", ALICE, "4000", "RTP/SAVP", CM80))),
                     REASON_NONE);
    assert_int_equal(rig_answer(&r, true, STR(SDP("b", BOB, "5000", "RTP/AVP", ""))), REASON_NONE);
    assert_true(srtp_from(&alice, ALICE, 4000, 7, 4500));
    assert_true(heard(&alice, 9, 4500));
    /* A new key: the old one counts until the answer, then the new one, and ours is new too. */
    assert_int_equal(rig_offer(&r, true,
                               STR(SDP("a", ALICE, "4000", "RTP/SAVP",
                                       "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
                                       "inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNE\r\n"))),
                     REASON_NONE);
    assert_true(srtp_from(&alice, ALICE, 4000, 7, 4501));
    assert_int_equal(rig_answer(&r, true, STR(SDP("b", BOB, "5000", "RTP/AVP", ""))), REASON_NONE);
    assert_false(srtp_from(&alice, ALICE, 4000, 7, 4502));
    struct phone fresh =
        phone_of(r.said_a, SUITE_AES_CM_128_80, (const uint8_t *)"ABCDEFGHIJKLMNOPQRSTUVWXYZABCD");
    assert_true(srtp_from(&fresh, ALICE, 4000, 7, 4503));
    assert_true(heard(&fresh, 9, 4503));
    assert_false(heard(&alice, 9, 4504));
    assert_int_equal(media_usage(r.m).srtp_contexts, 2);
    phone_end(&alice);
    phone_end(&fresh);
    /* To plain RTP: the contexts end. */
    media_leg_close(r.m, r.a, r.now);
    r.a = NULL;
    assert_int_equal(media_usage(r.m).srtp_contexts, 0);
    rig_close(&r);
}

static void srtp_between_other_suites(void **state)
{
    (void)state;
    struct media_policy p = rig_policy(true, false, true, false);
    rig_open(&r, 8, 64);
    r.a = media_leg_open(r.m, &p, 1);
    r.b = media_leg_open(r.m, &p, 2);
    assert_int_equal(rig_offer(&r, true, STR(SDP("a", ALICE, "4000", "RTP/SAVP", CM80))),
                     REASON_NONE);
    uint8_t key_b[SRTP_KEY_MAX] = "forty-four octets of bob's own keys for GCM!";
    char text[1024];
    struct out o = out_of(text, sizeof text);
    OUT_LIT(&o, SDP("b", BOB, "5000", "RTP/SAVP", "a=rtcp-mux\r\n"));
    sdes_put(&o, 1, STR("AEAD_AES_256_GCM"), key_b, 44);
    struct phone bob = phone_of(r.said_b, SUITE_GCM_256, key_b);
    assert_int_equal(rig_answer(&r, true, out_str(&o)), REASON_NONE);
    struct phone alice = phone_of(r.said_a, SUITE_AES_CM_128_80, key_a);
    port_a = rig_port(r.said_a);
    port_b = rig_port(r.said_b);
    for (uint16_t i = 0; i < 200; i++) {
        size_t n = rig_rtp(buf, 7, i, 160);
        assert_ok(srtp_protect(alice.tx, buf, &n, sizeof buf));
        struct pkt pk = from(ALICE, 4000, port_a, n);
        n = rig_turn(&r, &pk);
        assert_int_equal(n, 188);
        assert_ok(srtp_unprotect(bob.rx, buf, &n));
        n = rr(buf);
        assert_ok(srtcp_protect(bob.tx, buf, &n, sizeof buf));
        pk = from(BOB, 5000, port_b, n); /* bob's leg is muxed */
        n = rig_turn(&r, &pk);
        assert_int_equal(pk.port, port_a + 1);
        assert_ok(srtcp_unprotect(alice.rx, buf, &n));
    }
    phone_end(&alice);
    phone_end(&bob);
    rig_close(&r);
}

static void close_in_a_call(void **state)
{
    (void)state;
    plain_call(false);
    media_leg_close(r.m, r.b, r.now);
    r.b = NULL;
    assert_false(rtp_from(ALICE, 4000, port_a, 1));
    assert_int_equal(hits(REASON_rtp_no_route), 1);
    assert_false(rtp_from(BOB, 5000, port_b, 1));
    assert_int_equal(hits(REASON_rtp_no_session), 1);
    rig_close(&r);
}

static void one_way_is_seen(void **state)
{
    (void)state;
    plain_call(false);
    assert_false(media_one_way(r.a, r.b, r.now));
    for (uint16_t i = 0; i < 300; i++) {
        r.now.us += 20000;
        assert_true(rtp_from(ALICE, 4000, port_a, i));
        assert_int_equal(media_one_way(r.a, r.b, r.now), i >= 250);
    }
    assert_true(media_silent_since(r.b, r.a).us == r.now.us);
    assert_true(rtp_from(BOB, 5000, port_b, 1));
    assert_false(media_one_way(r.a, r.b, r.now));
    r.now.us += 10000000;
    assert_false(media_one_way(r.a, r.b, r.now)); /* both silent */
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_packets_cross),
        cmocka_unit_test(strict_sources),
        cmocka_unit_test(public_sdp_latches_only_a_port),
        cmocka_unit_test(private_sdp_latches_once),
        cmocka_unit_test(spray_redirects_nothing),
        cmocka_unit_test(mux_and_demux),
        cmocka_unit_test(a_rtcp_names_the_port_only),
        cmocka_unit_test(bad_packets),
        cmocka_unit_test(hold_address_sends_nowhere),
        cmocka_unit_test(srtp_to_rtp_and_back),
        cmocka_unit_test(unauthenticated_moves_nothing),
        cmocka_unit_test(replay_is_dropped),
        cmocka_unit_test(rekey_by_reinvite),
        cmocka_unit_test(srtp_between_other_suites),
        cmocka_unit_test(close_in_a_call),
        cmocka_unit_test(one_way_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
