#include "base/test.h"
#include "media/rig.h"

#define HEAD_A                                                                                     \
    "v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=Alice's phone\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
#define HEAD_B                                                                                     \
    "v=0\r\no=bob 1 1 IN IP4 198.51.100.20\r\ns=Bob\r\nc=IN IP4 198.51.100.20\r\nt=0 0\r\n"
#define PLAIN_A                                                                                    \
    HEAD_A "m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 "                   \
           "telephone-event/8000\r\na=fmtp:101 0-15\r\n"
#define PLAIN_B HEAD_B "m=audio 5000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
#define K30     "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNk" /* 30 octets */
#define K30B    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNE"
#define K28     "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYg=="
#define CM80    "AES_CM_128_HMAC_SHA1_80 inline:" K30
#define SRTP_A                                                                                     \
    HEAD_A "m=audio 4000 RTP/SAVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=crypto:5 " CM80 "\r\n"

static struct rig r;

static void legs(struct media_policy a, struct media_policy b)
{
    rig_open(&r, 8, 64);
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &b, 2);
    assert_non_null(r.a);
    assert_non_null(r.b);
}

static void plain_legs(void)
{
    legs(rig_policy(false, true, false, false), rig_policy(false, true, false, false));
}

static void assert_has(struct str body, const char *text)
{
    if (str_search(body, str_c(text)) == body.n && strlen(text) > 0)
        fail_msg("no \"%s\" in\n" STR_FMT, text, STR_ARG(body));
}

static void assert_lacks(struct str body, const char *text)
{
    if (str_search(body, str_c(text)) != body.n)
        fail_msg("\"%s\" in\n" STR_FMT, text, STR_ARG(body));
}

static void assert_why(enum reason got, enum reason want)
{
    if (got != want)
        fail_msg("%s, not %s", reason_info(got)->name.p, reason_info(want)->name.p);
}

static void plain_call_hides_both_sides(void **state)
{
    (void)state;
    plain_legs();
    assert_why(
        rig_offer(
            &r, true,
            STR(PLAIN_A
                "a=ptime:20\r\na=label:x\r\na=candidate:1 1 UDP 1 192.0.2.10 4000 typ host\r\n"
                "a=ssrc:1 cname:alice@192.0.2.10\r\na=rtcp:4001 IN IP4 192.0.2.10\r\n"
                "a=fingerprint:sha-1 00\r\na=ice-ufrag:x\r\na=fmtp:99 x=192.0.2.10\r\n"
                "b=AS:64\r\nb=X-secret:1\r\n")),
        REASON_NONE);
    assert_lacks(r.said_b, "192.0.2.10");
    assert_lacks(r.said_b, "lice");
    assert_lacks(r.said_b, "4000");
    assert_lacks(r.said_b, "4001");
    assert_lacks(r.said_b, "candidate");
    assert_lacks(r.said_b, "fingerprint");
    assert_lacks(r.said_b, "ufrag");
    assert_lacks(r.said_b, "ssrc");
    assert_lacks(r.said_b, "label");
    assert_lacks(r.said_b, "fmtp:99");
    assert_lacks(r.said_b, "X-secret");
    assert_has(r.said_b, "c=IN IP4 203.0.113.1\r\n");
    assert_has(r.said_b, "s=-\r\n");
    assert_has(r.said_b, "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n");
    assert_has(r.said_b, "b=AS:64\r\n");
    assert_has(r.said_b, "a=sendrecv\r\n");
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    assert_lacks(r.said_a, "198.51");
    assert_lacks(r.said_a, "ob");
    assert_lacks(r.said_a, "5000");
    assert_has(r.said_a, " RTP/AVP 8\r\n");
    assert_lacks(r.said_a, "rtcp-mux"); /* alice did not offer it */
    assert_int_not_equal(rig_port(r.said_a), rig_port(r.said_b));
    struct media_view v;
    assert_true(media_leg_view(r.b, 0, &v));
    assert_string_equal(v.codec, "PCMA/8000");
    assert_string_equal(v.kind, "audio");
    assert_int_equal(v.remote.port, 5000);
    assert_int_equal(v.suite, SUITE_NONE);
    assert_false(media_leg_view(r.b, 1, &v));
    assert_false(media_leg_view(r.b, MEDIA_STREAMS, &v));
    rig_close(&r);
}

static void offers_judged_by_policy(void **state)
{
    (void)state;
    static const struct {
        const char *sdp;
        bool tls, plain;
        enum reason want;
    } rows[] = {
        {PLAIN_A, false, true, REASON_NONE},
        {PLAIN_A, true, true, REASON_NONE},
        {PLAIN_A, false, false, REASON_media_plaintext},
        {PLAIN_A, true, false, REASON_media_plaintext},
        {SRTP_A, true, false, REASON_NONE},
        {SRTP_A, true, true, REASON_NONE},
        {SRTP_A, false, true, REASON_media_key_exposed},
        {SRTP_A, false, false, REASON_media_key_exposed},
        {PLAIN_A "a=crypto:1 " CM80 "\r\n", false, true, REASON_NONE}, /* taken as plain */
        {PLAIN_A "a=crypto:1 " CM80 "\r\n", true, true, REASON_NONE},
        {PLAIN_A "a=crypto:1 " CM80 "\r\n", false, false, REASON_media_key_exposed},
        {PLAIN_A "a=crypto:1 " CM80 "\r\n", true, false, REASON_media_plaintext},
        {HEAD_A "m=audio 4000 RTP/SAVP 8\r\n", true, true, REASON_media_crypto_unsupported},
        {HEAD_A "m=audio 4000 RTP/SAVP 8\r\n", false, true, REASON_media_crypto_unsupported},
        {HEAD_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:" K30 "\r\n",
         true, true, REASON_media_crypto_unsupported},
        {HEAD_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 " CM80 "|2^20|1:4\r\n", true, true,
         REASON_media_crypto_unsupported},
        {HEAD_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 " CM80 "|2^31 WSH=128\r\n", true, true,
         REASON_NONE},
        {HEAD_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 " CM80 " UNENCRYPTED_SRTP\r\n", true, true,
         REASON_media_crypto_unsupported},
        {HEAD_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" K28 "\r\n",
         true, true, REASON_media_crypto_unsupported},
        {HEAD_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 " CM80 "|1:4\r\na=crypto:2 " CM80 "\r\n",
         true, true, REASON_NONE},
        {HEAD_A "m=audio 4000 RTP/SAVPF 8\r\na=crypto:1 " CM80 "\r\n", true, false, REASON_NONE},
        {HEAD_A "m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n", true, true, REASON_media_not_acceptable},
        {HEAD_A "m=message 4000 TCP/MSRP *\r\n", true, true, REASON_media_not_acceptable},
        {HEAD_A "m=image 4000 udptl t38\r\n", true, true, REASON_media_not_acceptable},
        {HEAD_A "m=audio 0 RTP/AVP 8\r\n", true, true, REASON_media_not_acceptable},
        {HEAD_A, true, true, REASON_media_not_acceptable},
        {HEAD_A "m=audio 4000/2 RTP/AVP 8\r\n", true, true, REASON_media_not_acceptable},
        {HEAD_A "m=audio 4000 RTP/AVP 128\r\n", true, true, REASON_sdp_syntax},
        {HEAD_A "m=audio 4000 RTP/AVP x\r\n", true, true, REASON_sdp_syntax},
        {HEAD_A "m=audio 4000 RTP/AVP 8\r\na=rtcp:x\r\n", true, true, REASON_sdp_syntax},
        {HEAD_A "m=audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::1\r\n", true, true,
         REASON_media_not_acceptable},
        {HEAD_A "m=audio 4000 RTP/AVP 8\r\nc=IN IP4 host.example.com\r\n", true, true,
         REASON_media_not_acceptable},
        {HEAD_A "m=audio 4000 RTP/AVP 8\r\nc=IN IP4 224.0.0.1\r\n", true, true,
         REASON_media_not_acceptable},
        {HEAD_A "m=audio 4000 RTP/AVP 8\r\nc=IN IP4 255.255.255.255\r\n", true, true,
         REASON_media_not_acceptable},
        {"not sdp", true, true, REASON_sdp_syntax},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        legs(rig_policy(rows[i].tls, rows[i].plain, false, false),
             rig_policy(false, true, false, false));
        enum reason got = media_offer_in(r.m, r.a, str_c(rows[i].sdp));
        if (got != rows[i].want)
            fail_msg("row %zu: %s, not %s", i, reason_info(got)->name.p,
                     reason_info(rows[i].want)->name.p);
        if (got != REASON_NONE)
            assert_int_equal(media_usage(r.m).ports_taken, 0);
        rig_close(&r);
    }
}

static void outgoing_profile_follows_policy(void **state)
{
    (void)state;
    static const struct {
        bool tls, plain, srtp;
        const char *in, *out;
        enum reason want;
    } rows[] = {
        {false, true, false, "RTP/AVP", " RTP/AVP 8", REASON_NONE},
        {false, true, false, "RTP/AVPF", " RTP/AVPF 8", REASON_NONE},
        {true, true, true, "RTP/AVP", " RTP/SAVP 8", REASON_NONE},
        {true, true, false, "RTP/AVP", " RTP/AVP 8", REASON_NONE},
        {true, false, false, "RTP/AVPF", " RTP/SAVPF 8", REASON_NONE}, /* plain is not allowed */
        {false, false, true, "RTP/AVP", NULL, REASON_media_plaintext},
        {false, true, true, "RTP/AVP", " RTP/AVP 8", REASON_NONE}, /* keys need secure signalling */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        legs(rig_policy(false, true, false, false),
             rig_policy(rows[i].tls, rows[i].plain, rows[i].srtp, false));
        char text[512];
        struct out o = out_of(text, sizeof text);
        OUT_LIT(&o, HEAD_A "m=audio 4000 ");
        out_put(&o, str_c(rows[i].in));
        OUT_LIT(&o, " 8\r\na=rtcp-fb:* nack\r\na=rtcp-fb:9 nack\r\n");
        assert_why(rig_offer(&r, true, out_str(&o)), rows[i].want);
        if (rows[i].out != NULL) {
            assert_has(r.said_b, rows[i].out);
            bool secure = str_search(r.said_b, STR("SAVP")) < r.said_b.n;
            if (secure)
                assert_has(r.said_b, "a=crypto:6 ");
            else
                assert_lacks(r.said_b, "crypto");
            if (str_ends(str_c(rows[i].in), STR("F")))
                assert_has(r.said_b, "a=rtcp-fb:* nack\r\n");
            else
                assert_lacks(r.said_b, "rtcp-fb");
            assert_lacks(r.said_b, "rtcp-fb:9");
        }
        rig_close(&r);
    }
}

static void sdes_both_ways(void **state)
{
    (void)state;
    legs(rig_policy(true, false, true, false), rig_policy(true, false, true, false));
    assert_why(rig_offer(&r, true, STR(SRTP_A)), REASON_NONE);
    assert_lacks(r.said_b, K30);
    uint8_t keys[SUITE_COUNT][SRTP_KEY_MAX];
    uint32_t tag;
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        assert_int_equal(rig_key(r.said_b, s, &tag, keys[s]), s);
        for (enum srtp_suite t = SUITE_NONE + 1; t < s; t++)
            assert_memory_not_equal(keys[s], keys[t], 16); /* a key of its own for each suite */
    }
    assert_int_equal(rig_key(r.said_b, SUITE_GCM_128, &tag, keys[0]), SUITE_GCM_128);
    assert_int_equal(tag, 2);
    assert_why(
        rig_answer(&r, true,
                   STR(HEAD_B "m=audio 5000 RTP/SAVP 8\r\na=crypto:2 AEAD_AES_128_GCM inline:" K28
                              "\r\n")),
        REASON_NONE);
    assert_lacks(r.said_a, K28);
    assert_has(r.said_a, "a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:");
    assert_has(r.said_a, " RTP/SAVP 8\r\n");
    uint8_t own[SRTP_KEY_MAX];
    assert_int_equal(rig_key(r.said_a, SUITE_NONE, &tag, own), SUITE_AES_CM_128_80);
    assert_memory_not_equal(own, keys[SUITE_AES_CM_128_80], 16); /* nor the other leg's */
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_int_equal(v.suite, SUITE_AES_CM_128_80);
    assert_true(media_leg_view(r.b, 0, &v));
    assert_int_equal(v.suite, SUITE_GCM_128);
    assert_int_equal(media_usage(r.m).srtp_contexts, 4);
    rig_close(&r);
}

static void suite_chosen_by_our_order(void **state)
{
    (void)state;
    struct media_policy p = rig_policy(true, false, true, false);
    legs(p, rig_policy(false, true, false, false));
    assert_why(rig_offer(&r, true,
                         STR(HEAD_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 " CM80 "\r\n"
                                    "a=crypto:9 AEAD_AES_128_GCM inline:" K28 "\r\n")),
               REASON_NONE);
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    assert_has(r.said_a, "a=crypto:9 AEAD_AES_128_GCM inline:");
    assert_lacks(r.said_a, "a=crypto:1");
    rig_close(&r);
    p.suites[0] = SUITE_AES_CM_128_80;
    p.suites[1] = SUITE_AES_CM_128_32;
    legs(p, p);
    assert_why(
        rig_offer(&r, true,
                  STR(HEAD_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:9 AEAD_AES_128_GCM inline:" K28
                             "\r\n")),
        REASON_media_crypto_unsupported);
    assert_why(rig_offer(&r, true, STR(SRTP_A)), REASON_NONE);
    assert_has(r.said_b, "a=crypto:1 AES_CM_128_HMAC_SHA1_80");
    assert_has(r.said_b, "a=crypto:2 AES_CM_128_HMAC_SHA1_32");
    assert_lacks(r.said_b, "a=crypto:3");
    rig_close(&r);
}

static void answers_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *sdp;
        enum reason want;
    } rows[] = {
        {PLAIN_B, REASON_media_answer_bad}, /* downgrade */
        {HEAD_B "m=audio 5000 RTP/SAVP 8\r\n", REASON_media_answer_bad},
        {HEAD_B "m=audio 5000 RTP/SAVP 8\r\na=crypto:7 " CM80 "\r\n",
         REASON_media_answer_bad}, /* tag not offered */
        {HEAD_B "m=audio 5000 RTP/SAVP 8\r\na=crypto:0 " CM80 "\r\n", REASON_media_answer_bad},
        {HEAD_B "m=audio 5000 RTP/SAVP 8\r\na=crypto:1 " CM80 "\r\n",
         REASON_media_answer_bad}, /* tag 1 is GCM */
        {HEAD_B "m=audio 5000 RTP/SAVP 8\r\na=crypto:4 " CM80 "\r\na=crypto:4 " CM80 "\r\n",
         REASON_media_answer_bad},
        {HEAD_B "m=audio 5000 RTP/SAVP 8\r\na=crypto:4 " CM80 "|1:1\r\n",
         REASON_media_crypto_unsupported},
        {HEAD_B "m=audio 5000 RTP/SAVP 8\r\na=crypto:x\r\n", REASON_media_answer_bad},
        {HEAD_B "m=audio 5000 RTP/SAVP 8\r\na=crypto:4 " CM80 "\r\nm=audio 1 RTP/AVP 0\r\n",
         REASON_media_answer_bad},
        {HEAD_B, REASON_media_answer_bad},
        {"junk", REASON_sdp_syntax},
        {HEAD_B "m=audio 5000 RTP/SAVPF 8\r\na=crypto:4 " CM80 "\r\n", REASON_NONE},
        {HEAD_B "m=audio 0 RTP/SAVP 8\r\n", REASON_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        legs(rig_policy(false, true, false, false), rig_policy(true, false, true, false));
        assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE);
        enum reason got = rig_answer(&r, true, str_c(rows[i].sdp));
        if (got != rows[i].want)
            fail_msg("row %zu: %s", i, reason_info(got)->name.p);
        rig_close(&r);
    }
    /* Our own key sent back. */
    legs(rig_policy(false, true, false, false), rig_policy(true, false, true, false));
    assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE);
    uint8_t key[SRTP_KEY_MAX];
    uint32_t tag = 0;
    rig_key(r.said_b, SUITE_AES_CM_128_80, &tag, key);
    char text[1024];
    struct out o = out_of(text, sizeof text);
    OUT_LIT(&o, HEAD_B "m=audio 5000 RTP/SAVP 8\r\n");
    sdes_put(&o, tag, STR("AES_CM_128_HMAC_SHA1_80"), key, 30);
    assert_why(rig_answer(&r, true, out_str(&o)), REASON_media_answer_bad);
    /* An answer to nothing. */
    assert_why(media_answer_in(r.m, r.a, STR(PLAIN_B)), REASON_media_answer_bad);
    rig_close(&r);
}

static void several_mlines_keep_their_places(void **state)
{
    (void)state;
    plain_legs();
    assert_why(
        rig_offer(&r, true,
                  STR(HEAD_A
                      "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\n"
                      "m=audio 4000 RTP/AVP 8\r\nm=audio 4010 RTP/SAVP 8\r\n"
                      "m=video 4020 RTP/AVP 31\r\nb=AS:256\r\n")),
        REASON_NONE);
    assert_has(r.said_b, "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nm=audio 2");
    assert_has(r.said_b, "m=audio 0 RTP/SAVP 8\r\n");
    assert_has(r.said_b, "m=video 2");
    assert_int_equal(media_usage(r.m).ports_taken, 4);
    assert_why(
        rig_answer(
            &r, true,
            STR(HEAD_B
                "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                "m=audio 5000 RTP/AVP 8\r\nm=audio 0 RTP/SAVP 8\r\nm=video 0 RTP/AVP 31\r\n")),
        REASON_NONE);
    assert_has(r.said_a, "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nm=audio 2");
    assert_has(r.said_a, "m=video 0 RTP/AVP 31\r\n");
    assert_int_equal(media_usage(r.m).ports_taken, 2);
    /* A port for what was offered as zero. */
    assert_why(rig_offer(&r, true,
                         STR(HEAD_A "m=application 0 X x\r\nm=audio 4000 RTP/AVP 8\r\nm=audio 0 "
                                    "RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\n")),
               REASON_NONE);
    assert_why(rig_answer(&r, true,
                          STR(HEAD_B "m=application 0 X x\r\nm=audio 5000 RTP/AVP 8\r\nm=audio "
                                     "7000 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\n")),
               REASON_media_answer_bad);
    /* Fewer m-lines than before. */
    assert_why(media_offer_in(r.m, r.a, STR(PLAIN_A)), REASON_media_not_acceptable);
    rig_close(&r);
}

static void more_mlines_than_streams(void **state)
{
    (void)state;
    plain_legs();
    assert_why(
        rig_offer(
            &r, true,
            STR(HEAD_A
                "m=audio 4000 RTP/AVP 8\r\nm=audio 4002 RTP/AVP 8\r\nm=audio 4004 RTP/AVP 8\r\n"
                "m=audio 4006 RTP/AVP 8\r\nm=video 4008 RTP/AVP 31\r\n")),
        REASON_NONE);
    assert_has(r.said_b, "m=video 0 RTP/AVP 31\r\n");
    assert_int_equal(media_usage(r.m).ports_taken, 8);
    assert_why(
        rig_answer(&r, true,
                   STR(HEAD_B
                       "m=audio 5000 RTP/AVP 8\r\nm=audio 0 RTP/AVP 8\r\nm=audio 0 RTP/AVP 8\r\n"
                       "m=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\n")),
        REASON_NONE);
    assert_int_equal(media_usage(r.m).ports_taken, 2);
    rig_close(&r);
}

static void origin_is_stable_and_counts_changes(void **state)
{
    (void)state;
    plain_legs();
    assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE);
    char first[512];
    size_t n = r.said_b.n;
    assert_true(n < sizeof first);
    memcpy(first, r.said_b.p, n);
    assert_has(r.said_b, " 1 IN IP4 203.0.113.1\r\ns=-");
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE); /* refresh: not a byte differs */
    assert_str_eq(r.said_b, str_of(first, n));
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    assert_has(r.said_a, " 1 IN IP4 203.0.113.1\r\ns=-");
    assert_why(rig_offer(&r, true, STR(PLAIN_A "a=sendonly\r\n")), REASON_NONE);
    assert_has(r.said_b, " 2 IN IP4 203.0.113.1\r\ns=-");
    assert_has(r.said_b, "a=sendonly\r\n");
    assert_why(rig_answer(&r, true, STR(PLAIN_B "a=recvonly\r\n")), REASON_NONE);
    assert_has(r.said_a, "a=recvonly\r\n");
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_true(v.held);
    assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE);
    assert_has(r.said_b, " 3 IN IP4 203.0.113.1\r\ns=-");
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    assert_true(media_leg_view(r.a, 0, &v));
    assert_false(v.held);
    rig_close(&r);
}

static void old_hold_becomes_sendonly(void **state)
{
    (void)state;
    plain_legs();
    assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE);
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    assert_why(rig_offer(&r, true,
                         STR("v=0\r\no=a 1 2 IN IP4 x\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 "
                             "0\r\nm=audio 4000 RTP/AVP 8\r\n")),
               REASON_NONE);
    assert_has(r.said_b, "a=sendonly\r\n");
    assert_has(r.said_b, "c=IN IP4 203.0.113.1\r\n");
    assert_lacks(r.said_b, "0.0.0.0");
    rig_close(&r);
}

static void rollback_leaves_what_is_in_force(void **state)
{
    (void)state;
    plain_legs();
    assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE);
    assert_int_equal(media_usage(r.m).ports_taken, 2);
    media_rollback(r.m, r.a);
    media_rollback(r.m, r.b);
    assert_int_equal(media_usage(r.m).ports_taken, 0);
    assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE);
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    uint16_t port = rig_port(r.said_a);
    assert_why(rig_offer(&r, true, STR(PLAIN_A "m=video 4100 RTP/AVP 31\r\n")), REASON_NONE);
    assert_int_equal(media_usage(r.m).ports_taken, 4);
    media_rollback(r.m, r.a);
    media_rollback(r.m, r.b);
    assert_int_equal(media_usage(r.m).ports_taken, 2);
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_int_equal(v.local_port, port);
    assert_int_equal(v.remote.port, 4000);
    assert_why(rig_offer(&r, true, STR(PLAIN_A)), REASON_NONE); /* one m-line is still right */
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    assert_int_equal(rig_port(r.said_a), port);
    rig_close(&r);
}

static void late_offer_and_repeated_answers(void **state)
{
    (void)state;
    plain_legs();
    assert_why(rig_offer(&r, false, STR(PLAIN_B)), REASON_NONE);  /* in bob's 200 */
    assert_why(rig_answer(&r, false, STR(PLAIN_A)), REASON_NONE); /* in alice's ACK */
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_int_equal(v.remote.port, 4000);
    char first[512];
    size_t n = r.said_b.n;
    memcpy(first, r.said_b.p, n);
    assert_why(rig_answer(&r, false, STR(PLAIN_A)), REASON_NONE);
    assert_str_eq(r.said_b, str_of(first, n));
    rig_close(&r);
}

static void full_tables_are_named(void **state)
{
    (void)state;
    rig_open(&r, 1, 1);
    struct media_policy p = rig_policy(false, true, false, false);
    r.a = media_leg_open(r.m, &p, 1);
    assert_non_null(r.a);
    assert_null(media_leg_open(r.m, &p, 2));
    assert_why(media_offer_in(r.m, r.a, STR(PLAIN_A "m=video 4100 RTP/AVP 31\r\n")),
               REASON_capacity_ports);
    assert_int_equal(media_usage(r.m).ports_taken, 0);
    /* The port rests first. */
    assert_why(media_offer_in(r.m, r.a, STR(PLAIN_A)), REASON_capacity_ports);
    r.now.us += PORTS_REST_MS * 1000;
    struct pkt none = {.port = 1};
    media_turn(r.m, &none, 1, r.now);
    assert_why(media_offer_in(r.m, r.a, STR(PLAIN_A)), REASON_NONE);
    struct out o = out_of(r.to_a, 64);
    assert_why(media_answer_out(r.m, r.a, STR(PLAIN_B), r.now, &o), REASON_sdp_limit);
    rig_close(&r);
}

static void ipv6_leg(void **state)
{
    (void)state;
    struct media_policy six = rig_policy(false, true, false, false);
    six.local_ip = rig_addr("2001:db8::1", 0);
    legs(six, rig_policy(false, true, false, false));
    assert_why(rig_offer(&r, true,
                         STR("v=0\r\no=a 1 2 IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP6 "
                             "2001:db8::9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n")),
               REASON_NONE);
    assert_has(r.said_b, "c=IN IP4 203.0.113.1\r\n");
    assert_lacks(r.said_b, "2001:db8");
    assert_why(rig_answer(&r, true, STR(PLAIN_B)), REASON_NONE);
    assert_has(r.said_a, "c=IN IP6 2001:db8::1\r\n");
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_call_hides_both_sides),
        cmocka_unit_test(offers_judged_by_policy),
        cmocka_unit_test(outgoing_profile_follows_policy),
        cmocka_unit_test(sdes_both_ways),
        cmocka_unit_test(suite_chosen_by_our_order),
        cmocka_unit_test(answers_that_do_not_fit),
        cmocka_unit_test(several_mlines_keep_their_places),
        cmocka_unit_test(more_mlines_than_streams),
        cmocka_unit_test(origin_is_stable_and_counts_changes),
        cmocka_unit_test(old_hold_becomes_sendonly),
        cmocka_unit_test(rollback_leaves_what_is_in_force),
        cmocka_unit_test(late_offer_and_repeated_answers),
        cmocka_unit_test(full_tables_are_named),
        cmocka_unit_test(ipv6_leg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
