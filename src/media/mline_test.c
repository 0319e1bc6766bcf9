/* One m-line by itself: what it says, whether its security fits, which of its keys is taken. */
#include "base/test.h"
#include "media/rig.h"

#define HEAD "v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=-\r\nt=0 0\r\nc=IN IP4 192.0.2.10\r\n"
#define K30  "inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNk"
#define K30B "inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNE"
#define K28  "inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYg=="

static char all[4096];
static struct sdp sdp;

/* The text behind a head, parsed; its first m-line. */
static const struct sdp_media *ml(const char *lines)
{
    struct out o = out_of(all, sizeof all);
    OUT_LIT(&o, HEAD);
    out_put(&o, str_c(lines));
    assert_ok(out_err(&o));
    all[o.n] = '\0';
    assert_ok(sdp_parse(out_str(&o), &sdp));
    return &sdp.media[0];
}

static void why(enum reason got, enum reason want, const char *what)
{
    if (got != want)
        fail_msg("%s: %s, not %s", what, reason_info(got)->name.p, reason_info(want)->name.p);
}

#define BAD REASON_media_not_acceptable
static const struct {
    const char *lines;
    enum reason want;
    uint8_t kind;
    bool secure, feedback, mux, held;
    uint16_t rtp, rtcp;
    uint8_t ptime;
} READ[] = {
    {"m=audio 4000 RTP/AVP 8\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 4000, 4001, 0},
    {"m=video 4000 RTP/AVPF 96\r\n", 0, LINE_VIDEO, 0, 1, 0, 0, 4000, 4001, 0},
    {"m=audio 4000 RTP/SAVP 8\r\n", 0, LINE_AUDIO, 1, 0, 0, 0, 4000, 4001, 0},
    {"m=AUDIO 4000 rtp/savpf 8\r\n", 0, LINE_AUDIO, 1, 1, 0, 0, 4000, 4001, 0},
    {"m=text 4000 RTP/AVP 98\r\n", 0, LINE_TEXT, 0, 0, 0, 0, 4000, 4001, 0},
    {"m=application 4000 RTP/AVP 98\r\n", 0, LINE_APPLICATION, 0, 0, 0, 0, 4000, 4001, 0},
    {"m=image 4000 udptl t38\r\n", 0, LINE_T38, 0, 0, 0, 0, 4000, 0, 0},
    {"m=audio 1 RTP/AVP 8\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 1, 2, 0},
    {"m=audio 4001 RTP/AVP 8\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 4001, 4002, 0},
    {"m=audio 65534 RTP/AVP 8\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 65534, 65535, 0},
    {"m=audio 65535 RTP/AVP 8\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 65535, 0, 0}, /* none */
    {"m=audio 4000 RTP/AVP 8\r\na=ptime:20\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 4000, 4001, 20},
    {"m=audio 4000 RTP/AVP 8\r\na=rtcp:4100\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 4000, 4100, 0},
    /* A third party's address behind the port does not count. */
    {"m=audio 4000 RTP/AVP 8\r\na=rtcp:4100 IN IP4 198.51.100.9\r\n", 0, LINE_AUDIO, 0, 0, 0, 0,
     4000, 4100, 0},
    {"m=audio 4000 RTP/AVP 8\r\na=rtcp-mux\r\n", 0, LINE_AUDIO, 0, 0, 1, 0, 4000, 4001, 0},
    {"m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n", 0, LINE_AUDIO, 0, 0, 0, 1, 4000, 4001, 0},
    {"m=audio 4000 RTP/AVP 8\r\na=recvonly\r\n", 0, LINE_AUDIO, 0, 0, 0, 1, 4000, 4001, 0},
    {"m=audio 4000 RTP/AVP 8\r\na=inactive\r\n", 0, LINE_AUDIO, 0, 0, 0, 1, 4000, 4001, 0},
    {"m=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 4000, 4001, 0},
    {"m=audio 4000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n", 0, LINE_AUDIO, 0, 0, 0, 1, 4000, 4001, 0},
    {"m=audio 4000 RTP/AVP 8\r\nc=IN IP6 ::\r\n", 0, LINE_AUDIO, 0, 0, 0, 1, 4000, 4001, 0},
    {"m=audio 4000 RTP/AVP 127\r\n", 0, LINE_AUDIO, 0, 0, 0, 0, 4000, 4001, 0},
    {"m=audio 0 RTP/AVP 8\r\n", BAD, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000/2 RTP/AVP 8\r\n", BAD, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 128\r\n", REASON_sdp_syntax, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 8 x\r\n", REASON_sdp_syntax, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 8 08\r\n", REASON_sdp_syntax, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 8\r\na=rtcp:x\r\n", REASON_sdp_syntax, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 8\r\na=rtcp:0\r\n", REASON_sdp_syntax, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 8\r\na=rtcp:4100 IN IP4 x\r\n", REASON_sdp_syntax, 0, 0, 0, 0, 0, 0, 0,
     0},
    {"m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n", REASON_media_transport, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=image 4000 RTP/AVP 8\r\n", REASON_media_kind, 0, 0, 0, 0, 0, 0, 0, 0},
    /* Where it is sent: not to everybody, not to a name, not in another family. */
    {"m=audio 4000 RTP/AVP 8\r\nc=IN IP4 255.255.255.255\r\n", BAD, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 8\r\nc=IN IP4 224.0.0.1/127\r\n", BAD, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 8\r\nc=IN IP4 alice.example.com\r\n", BAD, 0, 0, 0, 0, 0, 0, 0, 0},
    {"m=audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::1\r\n", BAD, 0, 0, 0, 0, 0, 0, 0, 0},
};

static void reads(void **state)
{
    (void)state;
    struct media_policy p = rig_policy(false, true, false, false);
    for (size_t i = 0; i < ARRAY_LEN(READ); i++) {
        struct remote r = {.ptime_ms = 99};
        const struct sdp_media *l = ml(READ[i].lines);
        why(mline_read(&sdp, str_c(all), l, &p, &r), READ[i].want, READ[i].lines);
        if (READ[i].want != REASON_NONE) {
            assert_true(!r.on && r.ptime_ms == 99); /* not touched */
            continue;
        }
        bool zero = str_search(str_c(READ[i].lines), STR("c=IN")) < strlen(READ[i].lines);
        struct addr ip = rig_addr(zero ? "0.0.0.0" : "192.0.2.10", 0);
        assert_true(r.on && r.kind == READ[i].kind);
        assert_true(r.secure == READ[i].secure && r.feedback == READ[i].feedback);
        assert_true(r.mux == READ[i].mux && r.held == READ[i].held);
        assert_int_equal(r.ptime_ms, READ[i].ptime);
        assert_true(addr_eq_ip(&r.rtp, &ip) && r.rtp.port == READ[i].rtp);
        assert_int_equal(r.rtcp.port, READ[i].rtcp);
        if (r.kind != LINE_T38)
            assert_true(addr_eq_ip(&r.rtcp, &ip));
    }
}

/* A leg of the other family: what was good is not, and the other way round. */
static void families(void **state)
{
    static const struct {
        const char *conn;
        enum reason v4, v6;
    } rows[] = {
        {"", REASON_NONE, BAD},
        {"c=IN IP6 2001:db8::1\r\n", BAD, REASON_NONE},
        {"c=IN IP4 0.0.0.0\r\n", REASON_NONE, REASON_NONE},
        {"c=IN IP6 ::\r\n", REASON_NONE, REASON_NONE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct media_policy p = rig_policy(false, true, false, false);
        struct remote r;
        char lines[128];
        (void)snprintf(lines, sizeof lines, "m=audio 4000 RTP/AVP 8\r\n%s", rows[i].conn);
        const struct sdp_media *l = ml(lines);
        why(mline_read(&sdp, str_c(all), l, &p, &r), rows[i].v4, lines);
        p.local_ip = rig_addr("2001:db8::99", 0);
        why(mline_read(&sdp, str_c(all), l, &p, &r), rows[i].v6, lines);
        if (rows[i].v6 == REASON_NONE)
            assert_int_equal(r.rtp.family, ADDR_V6);
    }
}

/* Every leg and every offer. */
static void security(void **state)
{
    (void)state;
    const struct sdp_media *l;
    for (unsigned bits = 0; bits < 32; bits++) {
        bool tls = bits & 1, plain = bits & 2, secure = bits & 4, keys = bits & 8, fax = bits & 16;
        struct media_policy p = rig_policy(tls, plain, false, false);
        struct remote r = {.secure = secure, .kind = fax ? LINE_T38 : LINE_AUDIO};
        l = ml(keys ? "m=audio 4000 RTP/AVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 " K30 "\r\n"
                    : "m=audio 4000 RTP/AVP 8\r\na=x-crypto:1\r\n");
        enum reason want = fax               ? REASON_NONE
                           : secure && !keys ? REASON_media_crypto_unsupported
                           : secure && tls   ? REASON_NONE
                           : secure          ? REASON_media_key_exposed
                           : plain           ? REASON_NONE
                           : keys && !tls    ? REASON_media_key_exposed
                                             : REASON_media_plaintext;
        char what[32];
        (void)snprintf(what, sizeof what, "bits %u", bits);
        why(mline_security(&sdp, str_c(all), l, &p, &r), want, what);
    }
}

#define SAVP       "m=audio 4000 RTP/SAVP 8\r\n"
#define C(t, s, k) "a=crypto:" t " " s " " k "\r\n"
#define CM80       "AES_CM_128_HMAC_SHA1_80"
#define CM32       "AES_CM_128_HMAC_SHA1_32"
#define GCM        "AEAD_AES_128_GCM"
#define NO         REASON_media_crypto_unsupported

static void choose(void **state)
{
    static const struct {
        const char *lines;
        uint8_t suites[SUITE_COUNT];
        enum reason want;
        enum srtp_suite suite;
        uint32_t tag;
        uint64_t life;
        char first; /* of the key */
    } rows[] = {
        {SAVP C("1", CM80, K30), {0}, 0, SUITE_AES_CM_128_80, 1, 0, 'a'},
        {SAVP C("7", CM80, K30 "|2^20"), {0}, 0, SUITE_AES_CM_128_80, 7, 1 << 20, 'a'},
        /* By our order, not by theirs. */
        {SAVP C("1", CM32, K30) C("2", CM80, K30B) C("3", GCM, K28),
         {0},
         0,
         SUITE_GCM_128,
         3,
         0,
         'a'},
        {SAVP C("1", CM32, K30) C("2", CM80, K30B), {0}, 0, SUITE_AES_CM_128_80, 2, 0, 'A'},
        {SAVP C("1", GCM, K28) C("2", CM32, K30B),
         {SUITE_AES_CM_128_32},
         0,
         SUITE_AES_CM_128_32,
         2,
         0,
         'A'},
        {SAVP C("1", CM80, K30) C("2", CM32, K30B),
         {SUITE_AES_CM_128_32, SUITE_AES_CM_128_80},
         0,
         SUITE_AES_CM_128_32,
         2,
         0,
         'A'},
        /* Of the same suite the first. */
        {SAVP C("1", CM80, K30) C("2", CM80, K30B), {0}, 0, SUITE_AES_CM_128_80, 1, 0, 'a'},
        /* What cannot be served is passed over, wherever it stands. */
        {SAVP C("1", "F8_128_HMAC_SHA1_80", K30) C("2", CM80, K30B),
         {0},
         0,
         SUITE_AES_CM_128_80,
         2,
         0,
         'A'},
        {SAVP C("1", GCM, K28 "|2^20|1:4") C("2", CM80, K30B),
         {0},
         0,
         SUITE_AES_CM_128_80,
         2,
         0,
         'A'},
        {SAVP C("1", GCM, K30) C("2", CM80, K30B), {0}, 0, SUITE_AES_CM_128_80, 2, 0, 'A'},
        {SAVP C("2", CM80, K30B) C("x", GCM, K28), {0}, 0, SUITE_AES_CM_128_80, 2, 0, 'A'},
        {SAVP C("1", CM80, K30 " UNENCRYPTED_SRTP"), {0}, NO, 0, 0, 0, 0},
        {SAVP C("1", CM80, K30), {SUITE_GCM_128}, NO, 0, 0, 0, 0},
        {SAVP C("1", CM80, K28), {0}, NO, 0, 0, 0, 0},
        {SAVP "a=crypto\r\n", {0}, NO, 0, 0, 0, 0},
        {SAVP, {0}, NO, 0, 0, 0, 0},
        /* Of this m-line only. */
        {SAVP "m=audio 4010 RTP/SAVP 8\r\n" C("1", CM80, K30), {0}, NO, 0, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct media_policy p = rig_policy(true, false, true, false);
        struct crypto_choice c = {.tag = 99};
        memcpy(p.suites, rows[i].suites, sizeof p.suites);
        const struct sdp_media *l = ml(rows[i].lines);
        why(mline_crypto_choose(&sdp, str_c(all), l, &p, &c), rows[i].want, rows[i].lines);
        assert_int_equal(c.tag, rows[i].want ? 99 : rows[i].tag);
        assert_int_equal(c.suite, rows[i].suite);
        assert_int_equal(c.life, rows[i].life);
        assert_int_equal(c.key[0], rows[i].first);
    }
}

/* Our offer: the standard order, tags from 1, so 4 is CM80 and 2 is GCM of 128. */
static void answers(void **state)
{
    static const struct {
        const char *lines;
        enum reason want;
        enum srtp_suite suite;
        uint32_t tag;
    } rows[] = {
        {SAVP C("4", CM80, K30), 0, SUITE_AES_CM_128_80, 4},
        {SAVP C("4", CM80, K30 "|2^31"), 0, SUITE_AES_CM_128_80, 4},
        {SAVP C("6", CM32, K30), 0, SUITE_AES_CM_128_32, 6},
        {SAVP C("2", GCM, K28), 0, SUITE_GCM_128, 2},
        {SAVP C("1", CM80, K30), REASON_media_answer_bad, 0, 0}, /* another one's tag */
        {SAVP C("3", CM80, K30), REASON_media_answer_bad, 0, 0},
        {SAVP C("5", CM80, K30), REASON_media_answer_bad, 0, 0},
        {SAVP C("0", CM80, K30), REASON_media_answer_bad, 0, 0},
        {SAVP C("7", CM80, K30), REASON_media_answer_bad, 0, 0}, /* nobody's */
        {SAVP C("999999999", CM80, K30), REASON_media_answer_bad, 0, 0},
        {SAVP C("x", CM80, K30), REASON_media_answer_bad, 0, 0},
        {SAVP C("4", CM80, K28), REASON_media_answer_bad, 0, 0}, /* no key of that suite */
        {SAVP C("4", CM80, K30) C("2", GCM, K28), REASON_media_answer_bad, 0, 0}, /* one, not two */
        {SAVP, REASON_media_answer_bad, 0, 0},
        {SAVP "a=crypto\r\n", REASON_media_answer_bad, 0, 0},
        {SAVP C("4", "F8_128_HMAC_SHA1_80", K30), NO, 0, 0},
        {SAVP C("4", CM80, K30 "|2^20|1:4"), NO, 0, 0},
        {SAVP C("4", CM80, K30 ";" K30B), NO, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct media_policy p = rig_policy(true, false, true, false);
        struct crypto_choice c = {.tag = 99};
        const struct sdp_media *l = ml(rows[i].lines);
        why(mline_crypto_answer(&sdp, str_c(all), l, &p, &c), rows[i].want, rows[i].lines);
        assert_int_equal(c.tag, rows[i].want ? 99 : rows[i].tag);
        assert_int_equal(c.suite, rows[i].suite);
        assert_int_equal(c.key[0], rows[i].want ? 0 : 'a');
        assert_int_equal(c.life, i == 1 ? INT64_C(1) << 31 : 0);
    }
    struct media_policy own = rig_policy(true, false, true, false);
    struct crypto_choice c;
    own.suites[0] = SUITE_AES_CM_128_32; /* the zone's own order moves the tags */
    own.suites[1] = SUITE_AES_CM_128_80;
    const struct sdp_media *l = ml(SAVP C("2", CM80, K30));
    why(mline_crypto_answer(&sdp, str_c(all), l, &own, &c), REASON_NONE, "own order");
    l = ml(SAVP C("4", CM80, K30));
    why(mline_crypto_answer(&sdp, str_c(all), l, &own, &c), REASON_media_answer_bad, "own order");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),  cmocka_unit_test(families), cmocka_unit_test(security),
        cmocka_unit_test(choose), cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
