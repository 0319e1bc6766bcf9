/* What a leg tells of the other side's SDP, line by line; calls as a whole are in nego_test.c. */
#include "base/test.h"
#include "media/rig.h"
#include "media/state.h"

#define HEAD "v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=Alice\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
#define A    "m=audio 4000 RTP/AVP 8 96\r\n"

/* A leg with a stream for each of two m-lines, at 20000 and 20002. */
static struct {
    struct media *m;
    struct media_leg leg;
    struct stream streams[3];
    struct secure keys[2];
    struct rng rng;
    struct sdp sdp;
    struct body b;
    char text[SDP_TEXT_MAX], said[MEDIA_SDP_MAX + 64];
    struct out o;
} w;

static int setup(void **state)
{
    static const uint8_t seed[32] = "body";
    (void)state;
    memset(&w, 0, sizeof w);
    w.m = calloc(1, sizeof *w.m);
    assert_non_null(w.m);
    rng_init(&w.rng, seed);
    w.m->cfg.rng = &w.rng;
    w.m->streams = w.streams;
    w.m->streams_cap = 2;
    w.leg.policy = rig_policy(true, true, false, false);
    w.leg.media = w.m;
    for (unsigned i = 0; i < 2; i++) {
        w.leg.streams[i] = i + 1;
        w.streams[i + 1] = (struct stream){.port = (uint16_t)(20000 + 2 * i),
                                           .keys = &w.keys[i],
                                           .offered_kind = LINE_AUDIO,
                                           .leg = &w.leg};
        w.streams[i + 1].next = (struct remote){.on = true, .kind = LINE_AUDIO};
    }
    w.b.mask = 3;
    for (unsigned i = 0; i < MEDIA_STREAMS; i++)
        w.b.keep[i] = FORMATS_ALL;
    return 0;
}

static int gone(void **state)
{
    (void)state;
    free(w.m);
    return 0;
}

static enum err tell_all(struct str text, size_t cap)
{
    if (sdp_parse(text, &w.sdp) != OK)
        fail_msg("not SDP: " STR_FMT, STR_ARG(text));
    w.b.sdp = &w.sdp;
    w.b.text = text;
    w.o = out_of(w.said, cap);
    return body_write(w.m, &w.leg, &w.b, &w.o);
}

/* The body told, from "t=0 0" (or a b= before it) on. */
static struct str tell(const char *session, const char *lines)
{
    struct out o = out_of(w.text, sizeof w.text);
    OUT_LIT(&o, "v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=Alice\r\nc=IN IP4 192.0.2.10\r\n");
    out_put(&o, str_c(session));
    OUT_LIT(&o, "t=0 0\r\n");
    out_put(&o, str_c(lines));
    assert_ok(tell_all(out_str(&o), sizeof w.said));
    struct str s = out_str(&w.o), c = STR("c=IN IP4 203.0.113.1\r\n");
    return str_skip(s, str_search(s, c) + c.n);
}

#define END "a=rtcp-mux\r\na=sendrecv\r\n"

/* Attributes that pass, and those that do not: hosts, candidates, what nobody has read. */
static void attributes(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: it is dropped */
    } rows[] = {
        {"rtpmap:96 opus/48000/2", ""},
        {"RTPMAP:8 PCMA/8000", ""},
        {"rtpmap:97 opus/48000", NULL}, /* not a format of this line */
        {"rtpmap:96", NULL},
        {"rtpmap:", NULL},
        {"rtpmap", NULL},
        {"fmtp:96 useinbandfec=1", ""},
        {"fmtp:9 x=1", NULL},
        {"fmtp:96", NULL},
        {"fmtp:* x=1", NULL},
        {"framesize:96 176-144", ""},
        {"imageattr:96 send [x=1]", ""},
        {"imageattr:* send [x=1]", ""},
        {"imageattr:97 send [x=1]", NULL},
        {"rtcp-fb:96 nack", NULL}, /* no feedback in RTP/AVP */
        {"ptime:20", ""},
        {"ptime:2.5", ""},
        {"ptime: 20", ""},
        {"ptime:20 192.0.2.10", NULL},
        {"ptime:x", NULL},
        {"ptime:1 2", NULL},
        {"ptime: ", NULL},
        {"ptime:", NULL},
        {"ptime:-1", NULL},
        {"maxptime:123456789012", ""}, /* twelve */
        {"maxptime:1234567890123", NULL},
        {"minptime:10", ""},
        {"framerate:29.97", ""},
        {"quality:10", ""},
        {"content:slides", ""},
        {"content:", NULL},
        {"silenceSupp:on 1 0 - -", ""},
        {"silenceSupp:64______10________20________30________40________50________60____", ""},
        {"silenceSupp:65______10________20________30________40________50________60_____", NULL},
        {"rtcp:4001 IN IP4 192.0.2.10", NULL},
        {"candidate:1 1 UDP 1 192.0.2.10 4000 typ host", NULL},
        {"fingerprint:sha-256 AA:BB", NULL},
        {"ice-ufrag:abcd", NULL},
        {"ssrc:1 cname:alice@192.0.2.10", NULL},
        {"crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x", NULL},
        {"label:1", NULL},
        {"mid:0", NULL},
        {"x-route:192.0.2.10", NULL},
        {"setup:actpass", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[256], want[256];
        (void)snprintf(in, sizeof in, A "a=%s\r\n", rows[i].in);
        (void)snprintf(want, sizeof want, "t=0 0\r\nm=audio 20000 RTP/AVP 8 96\r\n%s%s%s" END,
                       rows[i].out ? "a=" : "", rows[i].out ? rows[i].in : "",
                       rows[i].out ? "\r\n" : "");
        assert_str_eq(tell("", in), str_c(want));
    }
}

/* A value of 1024 bytes, and of one more. */
static void long_values(void **state)
{
    char in[1200];
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        struct out o = out_of(in, sizeof in);
        OUT_LIT(&o, A "a=fmtp:96 ");
        for (unsigned i = 0; i < 1021 + more; i++)
            out_ch(&o, 'x');
        OUT_LIT(&o, "\r\n");
        in[o.n] = '\0';
        struct str said = tell("", in);
        assert_int_equal(str_search(said, STR("a=fmtp")) < said.n, more == 0);
    }
}

/* One name for a payload type, the one it was judged by; only of formats that are told. */
static void formats(void **state)
{
    (void)state;
    assert_str(tell("", A "a=rtpmap:96 opus/48000\r\na=rtpmap:96 evil/8000\r\n"),
               "t=0 0\r\nm=audio 20000 RTP/AVP 8 96\r\na=rtpmap:96 opus/48000\r\n" END);
    w.b.keep[0] = 1;
    assert_str(tell("", A "a=rtpmap:96 opus/48000\r\na=fmtp:96 x=1\r\na=fmtp:8 y=1\r\n"
                          "a=imageattr:* z\r\n"),
               "t=0 0\r\nm=audio 20000 RTP/AVP 8\r\na=fmtp:8 y=1\r\na=imageattr:* z\r\n" END);
    w.b.keep[0] = 2;
    assert_str(tell("", A "a=rtpmap:96 opus/48000\r\n"),
               "t=0 0\r\nm=audio 20000 RTP/AVP 96\r\na=rtpmap:96 opus/48000\r\n" END);
    /* The session's attributes are nobody's. */
    assert_str(tell("a=ptime:20\r\na=tool:192.0.2.10\r\n", A),
               "t=0 0\r\nm=audio 20000 RTP/AVP 96\r\n" END);
}

static void feedback(void **state)
{
    static const char fb[] = "m=audio 4000 RTP/AVPF 8 96\r\na=rtcp-fb:96 nack\r\n"
                             "a=rtcp-fb:* ccm fir\r\na=rtcp-fb:9 nack\r\na=rtcp-fb:96\r\n";
    (void)state;
    assert_str(tell("", fb), "t=0 0\r\nm=audio 20000 RTP/AVPF 8 96\r\na=rtcp-fb:96 nack\r\n"
                             "a=rtcp-fb:* ccm fir\r\n" END);
    /* In an answer the offer's profile counts, and its rtcp-mux. */
    w.b.answer = true;
    assert_str(tell("", fb), "t=0 0\r\nm=audio 20000 RTP/AVP 8 96\r\na=sendrecv\r\n");
    w.streams[1].next.feedback = w.streams[1].next.mux = true;
    assert_str(tell("", A "a=rtcp-fb:96 nack\r\n"),
               "t=0 0\r\nm=audio 20000 RTP/AVPF 8 96\r\na=rtcp-fb:96 nack\r\n" END);
}

static void bandwidths(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"AS:64", "b=AS:64\r\n"},
        {"AS:0", "b=AS:0\r\n"},
        {"AS:0064", "b=AS:64\r\n"},
        {"AS:100000", "b=AS:100000\r\n"},
        {"AS:100001", ""},
        {"CT:100000", "b=CT:100000\r\n"},
        {"CT:100001", ""},
        {"TIAS:100000000", "b=TIAS:100000000\r\n"},
        {"TIAS:100000001", ""},
        {"RS:100000000", "b=RS:100000000\r\n"},
        {"RR:100000001", ""},
        {"RR:0", "b=RR:0\r\n"},
        {"as:64", ""},
        {"X-Y:64", ""},
        {"XAS:64", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[64], want[128];
        (void)snprintf(in, sizeof in, "b=%s\r\n", rows[i].in);
        (void)snprintf(want, sizeof want, "%st=0 0\r\nm=audio 20000 RTP/AVP 8 96\r\n" END,
                       rows[i].out);
        assert_str_eq(tell(in, A), str_c(want));
        (void)snprintf(in, sizeof in, A "b=%s\r\n", rows[i].in);
        (void)snprintf(want, sizeof want, "t=0 0\r\nm=audio 20000 RTP/AVP 8 96\r\n%s" END,
                       rows[i].out);
        assert_str_eq(tell("", in), str_c(want));
    }
    assert_str(tell("b=AS:1\r\nb=CT:2\r\nb=AS:3\r\n", A "b=AS:900000\r\nb=AS:4\r\n"),
               "b=AS:1\r\nb=CT:2\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 96\r\nb=AS:4\r\n" END);
}

static void fax(void **state)
{
    static const struct {
        const char *in;
        bool passes;
    } rows[] = {
        {"T38FaxVersion:0", true},
        {"t38maxbitrate:14400", true},
        {"T38FaxTranscodingMMR", true}, /* without a value */
        {"T38FaxRateManagement:transferredTCF", true},
        {"T38FaxUdpEC:t38UDPRedundancy", true},
        {"T38FaxUdpEC:32_______10________20________30", false},
        {"T38FaxUdpEC:32xxxxxxxx10xxxxxxxx20xxxxxxxx30", true},
        {"T38FaxUdpEC:33xxxxxxxx10xxxxxxxx20xxxxxxxx30x", false},
        {"T38FaxVersion:192.0.2.10", false},
        {"T38FaxVersion:a b", false},
        {"T38VendorInfo:0", false},
        {"rtpmap:8 PCMA/8000", false},
        {"ptime:20", false},
    };
    (void)state;
    w.streams[1].offered_kind = LINE_T38;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[128], want[128];
        (void)snprintf(in, sizeof in, "m=image 4000 udptl t38\r\na=%s\r\n", rows[i].in);
        (void)snprintf(want, sizeof want, "t=0 0\r\nm=image 20000 udptl t38\r\n%s%s%s",
                       rows[i].passes ? "a=" : "", rows[i].passes ? rows[i].in : "",
                       rows[i].passes ? "\r\n" : "");
        assert_str_eq(tell("", in), str_c(want));
    }
    /* A direction only where it says something. */
    assert_str(tell("", "m=image 4000 udptl t38\r\na=sendonly\r\n"),
               "t=0 0\r\nm=image 20000 udptl t38\r\na=sendonly\r\n");
}

static void directions(void **state)
{
    static const char *const conn[] = {"", "c=IN IP4 0.0.0.0\r\n"};
    static const char *const dir[] = {"sendrecv", "sendonly", "recvonly", "inactive"};
    static const char *const want[2][4] = {{"sendrecv", "sendonly", "recvonly", "inactive"},
                                           {"sendonly", "sendonly", "inactive", "inactive"}};
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        char in[128], out[128];
        (void)snprintf(in, sizeof in, A "%sa=%s\r\n", conn[i / 4], dir[i % 4]);
        (void)snprintf(out, sizeof out,
                       "t=0 0\r\nm=audio 20000 RTP/AVP 8 96\r\na=rtcp-mux\r\na=%s\r\n",
                       want[i / 4][i % 4]);
        assert_str_eq(tell("", in), str_c(out));
    }
    assert_str(tell("a=recvonly\r\n", A), /* the session's */
               "t=0 0\r\nm=audio 20000 RTP/AVP 8 96\r\na=rtcp-mux\r\na=recvonly\r\n");
}

/* Lines that do not pass keep their place, with nothing of the other side in them. */
static void rejected(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"m=audio 4000 RTP/AVP 8 96\r\na=ptime:20\r\nb=AS:64\r\n", "m=audio 0 RTP/AVP 8\r\n"},
        {"m=message 4000 TCP/TLS/MSRP *\r\n", "m=message 0 TCP/TLS/MSRP 0\r\n"},
        {"m=audio 4000 192.0.2.10 8\r\n", "m=audio 0 RTP/AVP 8\r\n"},
        {"m=a.b 4000 RTP/AVP host.example.com\r\n", "m=application 0 RTP/AVP 0\r\n"},
        {"m=audio 4000 RTP/AVP 8_8\r\n", "m=audio 0 RTP/AVP 0\r\n"},
    };
    (void)state;
    w.b.mask = 2;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[256], want[256];
        (void)snprintf(in, sizeof in, "%sm=audio 4010 RTP/AVP 8\r\n", rows[i].in);
        (void)snprintf(want, sizeof want, "t=0 0\r\n%sm=audio 20002 RTP/AVP 8\r\n" END,
                       rows[i].out);
        assert_str_eq(tell("", in), str_c(want));
    }
    /* In an answer with the profile of the offer, where the line was read; past the streams none.
     */
    w.b.answer = true;
    w.streams[1].next.secure = true;
    assert_str(tell("", A A "m=video 4020 RTP/AVP 31\r\n"),
               "t=0 0\r\nm=audio 0 RTP/SAVP 8\r\nm=audio 20002 RTP/AVP 8 96\r\na=sendrecv\r\n"
               "m=video 0 RTP/AVP 31\r\n");
    w.streams[1].next.kind = LINE_T38; /* it has no such profile: its own words */
    assert_str(tell("", "m=image 4000 udptl t38\r\n" A),
               "t=0 0\r\nm=image 0 udptl t38\r\nm=audio 20002 RTP/AVP 8 96\r\na=sendrecv\r\n");
    w.streams[1].next.kind = LINE_AUDIO;
    w.b.answer = false; /* an offer says what the other side said */
    assert_str(tell("", A A), "t=0 0\r\nm=audio 0 RTP/AVP 8\r\nm=audio 20002 RTP/AVP 8 96\r\n" END);
    w.b.answer = true;
    w.streams[1].next.on = false;
    w.b.mask = 0;
    assert_str(tell("", A), "t=0 0\r\nm=audio 0 RTP/AVP 8\r\n");
}

static unsigned count(struct str s, struct str what)
{
    unsigned n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += str_starts(str_skip(s, i), what);
    return n;
}

static void keys(void **state)
{
    (void)state;
    /* An offer: every suite of the policy, tags from 1, each with a key of its own. */
    w.streams[1].offered_secure = true;
    memset(w.keys[0].seed, 7, sizeof w.keys[0].seed);
    struct str s = tell("", A);
    assert_int_equal(count(s, STR("a=crypto:")), 6);
    assert_true(str_search(s, STR("m=audio 20000 RTP/SAVP 8 96\r\na=crypto:1 AEAD_AES_256_GCM ")) <
                s.n);
    assert_true(str_search(s, STR("\r\na=crypto:6 AES_CM_128_HMAC_SHA1_32 inline:")) < s.n);
    assert_ok(sdp_parse(out_str(&w.o), &w.sdp));
    uint16_t it = 0;
    const struct sdp_attr *a;
    while ((a = sdp_attr_next(&w.sdp, out_str(&w.o), &w.sdp.media[0].sec, STR("crypto"), &it))) {
        struct sdes line;
        enum srtp_suite suite;
        uint8_t key[SRTP_KEY_MAX], own[SRTP_KEY_MAX];
        assert_ok(sdes_parse(sdp_attr_value(out_str(&w.o), a), &line));
        assert_ok(suite_take(&line, &suite, key));
        assert_int_equal(suite, suite_preferred(&w.leg.policy, line.tag - 1));
        suite_own_key(w.keys[0].seed, suite, own);
        assert_memory_equal(key, own, srtp_key_bytes(suite));
    }
    w.leg.policy.suites[0] = SUITE_GCM_128;
    s = tell("", A);
    assert_int_equal(count(s, STR("a=crypto:")), 1);
    assert_true(str_search(s, STR("a=crypto:1 AEAD_AES_128_GCM inline:")) < s.n);
    /* An answer: the one that was chosen, with its tag, and not because of what we once offered. */
    w.b.answer = true;
    s = tell("", A);
    assert_int_equal(count(s, STR("a=crypto:")), 0);
    assert_int_equal(count(s, STR(" RTP/AVP 8 96\r\n")), 1);
    w.streams[1].next.secure = true;
    w.keys[0].next_suite = SUITE_AES_CM_128_80;
    w.keys[0].next_tag = 42;
    s = tell("", A);
    assert_int_equal(count(s, STR("a=crypto:")), 1);
    assert_true(str_search(s, STR("a=crypto:42 AES_CM_128_HMAC_SHA1_80 inline:")) < s.n);
}

static void offers(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 8; bits++) {
        bool tls = bits & 1, plain = bits & 2, srtp = bits & 4;
        struct media_policy p = rig_policy(tls, plain, srtp, false);
        assert_int_equal(leg_offers_srtp(&p), tls && (srtp || !plain));
    }
}

/* The version grows with the text and only then; a refused body changes nothing. */
static void versions(void **state)
{
    (void)state;
    (void)tell("", A);
    uint64_t id = w.leg.session_id;
    char line[64];
    assert_true(id != 0);
    assert_int_equal(w.leg.version, 1);
    (void)snprintf(line, sizeof line, "v=0\r\no=- %llu 1 IN IP4 203.0.113.1\r\ns=-\r\n",
                   (unsigned long long)id);
    assert_true(str_starts(out_str(&w.o), str_c(line)));
    (void)tell("", A);
    assert_int_equal(w.leg.version, 1);
    (void)tell("", A "a=ptime:20\r\n");
    assert_int_equal(w.leg.version, 2);
    (void)tell("", A "a=ptime:20\r\na=x-unknown:1\r\n"); /* nothing that is told */
    assert_int_equal(w.leg.version, 2);
    (void)tell("b=AS:64\r\n", A "a=ptime:20\r\n");
    assert_int_equal(w.leg.version, 3);
    (void)tell("", A "a=ptime:20\r\n");
    assert_int_equal(w.leg.version, 4);
    (void)snprintf(line, sizeof line, "v=0\r\no=- %llu 4 IN IP4", (unsigned long long)id);
    assert_true(str_starts(out_str(&w.o), str_c(line)));
    assert_int_equal(w.leg.session_id, id);
    w.streams[1].port += 2;
    (void)tell("", A "a=ptime:20\r\n");
    assert_int_equal(w.leg.version, 5);
    size_t whole = w.o.n;
    uint64_t hash = w.leg.body_hash;
    assert_err(tell_all(STR(HEAD A "a=ptime:30\r\n"), whole - 1), ERR_FULL);
    assert_true(w.leg.version == 5 && w.leg.body_hash == hash);
    assert_ok(tell_all(STR(HEAD A "a=ptime:30\r\n"), whole));
    assert_int_equal(w.leg.version, 6);
}

/* MEDIA_SDP_MAX bytes and no more, counted from where the body begins. */
static void longest(void **state)
{
    static char buf[2 * MEDIA_SDP_MAX];
    (void)state;
    size_t at = 0;
    for (unsigned extra = 0; extra < 2; extra++) {
        struct out o = out_of(w.text, sizeof w.text);
        OUT_LIT(&o, HEAD A);
        for (unsigned i = 0; i < 7; i++) {
            OUT_LIT(&o, "a=fmtp:96 ");
            for (unsigned k = 0; k < 1000; k++)
                out_ch(&o, 'x');
            OUT_LIT(&o, "\r\n");
        }
        assert_ok(tell_all(out_str(&o), sizeof w.said));
        size_t more = MEDIA_SDP_MAX - w.o.n + extra;
        OUT_LIT(&o, "a=fmtp:96 ");
        for (size_t k = STR("a=fmtp:96 \r\n").n; k < more; k++)
            out_ch(&o, 'y');
        OUT_LIT(&o, "\r\n");
        assert_ok(sdp_parse(out_str(&o), &w.sdp));
        w.b.sdp = &w.sdp;
        w.b.text = out_str(&o);
        w.leg.version = 0;
        for (at = 0; at <= 1000; at += 1000) { /* something else before it */
            struct out long_one = {buf, at, sizeof buf, false};
            assert_err(body_write(w.m, &w.leg, &w.b, &long_one), extra ? ERR_FULL : OK);
            if (!extra)
                assert_int_equal(long_one.n - at, MEDIA_SDP_MAX);
        }
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, gone)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(attributes), T(long_values), T(formats), T(feedback), T(bandwidths), T(fax),
        T(directions), T(rejected),    T(keys),    T(offers),   T(versions),   T(longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
