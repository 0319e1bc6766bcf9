/* What signatures cost a message: ns for no rule, 200 and 2,000 rules as people write them (made up
 * from syllables, so that they hit almost nothing), and for the rule files that are named, by the
 * library and by the plain scanner. The messages are parsed before; a run scans and judges.
 * rules [FILE...] */
#include "app/rules/compile.h"
#include "app/rules/scanner.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VIA                                                                                        \
    "Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK74bf9;rport\r\nMax-Forwards: 70\r\n"            \
    "From: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\r\n"
#define SDP                                                                                        \
    "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n"       \
    "t=0 0\r\nm=audio 49170 RTP/SAVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"  \
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\na=ptime:20\r\n"         \
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
static const struct {
    const char *name;
    struct str bytes;
} messages[] = {
#define M(s)                                                                                       \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }
    {"REGISTER, digest",
     M("REGISTER sip:example.com SIP/2.0\r\n" VIA "To: <sip:alice@example.com>\r\n"
       "Call-ID: 3848276298220188511@192.0.2.1\r\nCSeq: 2 REGISTER\r\n"
       "Contact: <sip:alice@192.0.2.1:5061;transport=tls>\r\nExpires: 3600\r\n"
       "User-Agent: Example Phone 4.2\r\nAuthorization: Digest username=\"alice\", "
       "realm=\"example.com\", nonce=\"84a4cc6f3082121f32b42a2187831a9e\", "
       "uri=\"sip:example.com\", response=\"7587245234b3434cc3412213e5f113a5432a8c0a75b1f0cbe49ab"
       "77d8be1c2aa\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"0a4f113b\"\r\n"
       "Content-Length: 0\r\n\r\n")},
    {"INVITE with SDP",
     M("INVITE sip:bob@example.com SIP/2.0\r\n" VIA "To: \"Bob\" <sip:bob@example.com>\r\n"
       "Call-ID: 3848276298220188511@192.0.2.1\r\nCSeq: 2 INVITE\r\n"
       "Contact: <sip:alice@192.0.2.1:5061;transport=tls>\r\n"
       "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK\r\nSupported: 100rel, timer\r\n"
       "Session-Expires: 1800;refresher=uac\r\nUser-Agent: Example Phone 4.2\r\n"
       "Content-Type: application/sdp\r\n\r\n" SDP)},
    {"OPTIONS, short", M("OPTIONS sip:100@192.0.2.1 SIP/2.0\r\n" VIA "To: <sip:100@192.0.2.1>\r\n"
                         "Call-ID: 1@192.0.2.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")},
};

static uint64_t seed = 88172645463325252u;
static uint32_t next(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static void word(struct out *o, unsigned syllables)
{
    static const char *const of[] = {"ba",  "kor", "sip", "scan", "vox", "tel", "mi",  "ra",  "no",
                                     "per", "lin", "gat", "zen",  "dur", "pho", "ex",  "qui", "tro",
                                     "ma",  "sun", "fle", "dex",  "wal", "ost", "ung", "ril", "by"};
    for (unsigned i = 0; i < syllables; i++)
        out_put(o, str_c(of[next(ARRAY_LEN(of))]));
}

static void rule(struct out *o, unsigned sid)
{
    static const char *const methods[] = {"INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE"};
    unsigned kind = next(100);
    OUT_LIT(o, "alert sip any any -> any any (msg:\"bench\"; ");
    if (kind < 35) {
        OUT_LIT(o, "sip.user_agent; content:\"");
        word(o, 3 + next(3));
        OUT_LIT(o, "\"; nocase; ");
    } else if (kind < 50) {
        out_fmt(o, "sip.method; content:\"%s\"; sip.uri; content:\"", methods[next(4)]);
        out_fmt(o, "%u", next(1000000));
        word(o, 2);
        OUT_LIT(o, "\"; ");
    } else if (kind < 62) {
        OUT_LIT(o, "sip.from; content:\"sip|3a|");
        word(o, 2 + next(2));
        OUT_LIT(o, "\"; startswith; ");
    } else if (kind < 77) {
        out_fmt(o, "sip.method; content:\"%s\"; pkt_data; content:\"|0d 0a|X-", methods[next(4)]);
        word(o, 3);
        OUT_LIT(o, "|3a|\"; nocase; content:\"");
        word(o, 2);
        OUT_LIT(o, "\"; distance:0; within:80; ");
    } else if (kind < 87) {
        OUT_LIT(o, "content:\"");
        word(o, 2);
        OUT_LIT(o, "=\"; pcre:\"/");
        word(o, 2);
        OUT_LIT(o, "=[0-9a-f]{8,}/\"; ");
    } else if (kind < 93) {
        OUT_LIT(o, "sdp.session_name; content:\"");
        word(o, 3);
        OUT_LIT(o, "\"; ");
    } else {
        OUT_LIT(o, "sip.to; content:\"");
        out_fmt(o, "%u", 10000 + next(90000));
        word(o, 1);
        OUT_LIT(o, "\"; threshold:type limit, track by_src, count 1, seconds 60; ");
    }
    out_fmt(o, "sid:%u;)\n", sid);
}

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct rules *build(unsigned n, int argc, char **argv)
{
    size_t cap = 4096 + (size_t)n * 400, bytes;
    char *text = malloc(cap);
    struct out o = out_of(text, cap);
    struct rules_build *b = rules_build_new();
    struct rules *r = NULL;
    struct rules_build_opts opts = {.salt = {1, 2}};
    for (unsigned i = 0; i < n; i++)
        rule(&o, i + 1);
    enum err e = rules_build_text(b, "bench", out_str(&o));
    for (int i = 1; i < argc && e == OK && n == 0; i++)
        e = rules_build_file(b, argv[i]);
    double t = now_ns();
    if (e == OK)
        e = rules_build_end(b, &opts, &r, &bytes);
    if (e != OK) {
        struct out p = out_of(text, cap);
        rules_problems_put(&p, b);
        (void)fprintf(stderr, "%s\n%.*s", err_name(e), (int)p.n, text);
        exit(1);
    }
    printf("  %u rules: compiled in %.0f ms, %zu KiB, %u judged for every message\n",
           (unsigned)rules_count(r), (now_ns() - t) / 1e6, bytes >> 10,
           (unsigned)r->part[PART_ALWAYS].n);
    rules_build_free(b);
    free(text);
    return r;
}

/* The best of several rounds: what else the machine does only adds. */
static double measure(const struct rules *r, struct rules_state *state, struct rules_scan *s,
                      const struct rules_input *in, size_t *hits)
{
    struct rules_hit h[16];
    double best = 1e18;
    for (int round = 0; round < 15; round++) {
        const int n = 20000;
        double t = now_ns();
        for (int i = 0; i < n; i++)
            *hits = rules_run(r, state, rules_scan_get(s), in, (struct now){{i}, {i}}, h, 16);
        t = (now_ns() - t) / n;
        best = t < best ? t : best;
    }
    return best;
}

static void table(const struct rules *r, bool plain)
{
    static struct sip_msg m;
    struct rules_scan *s = rules_scan_new(r, plain);
    void *mem = s ? calloc(1, rules_state_bytes(r)) : NULL;
    if (!mem)
        exit(1);
    struct rules_state *state = rules_state_init(mem, r);
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        struct sip_error why;
        size_t hits = 0;
        struct rules_input in = {.m = &m, .bytes = messages[i].bytes, .to_server = true};
        if (sip_parse(messages[i].bytes, false, &m, &why) != OK)
            exit(1);
        double ns = measure(r, state, s, &in, &hits);
        printf("    %-18s %4zu bytes  %-9s %8.0f ns  %zu hits\n", messages[i].name,
               messages[i].bytes.n, rules_scan_kind(s), ns, hits);
    }
    rules_scan_free(s);
    free(mem);
}

int main(int argc, char **argv)
{
    static const unsigned sizes[] = {0, 200, 2000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct rules *r = build(sizes[i], 0, NULL);
        table(r, false);
        if (sizes[i])
            table(r, true);
        free(r);
    }
    if (argc > 1) {
        struct rules *r = build(0, argc, argv);
        table(r, false);
        table(r, true);
        free(r);
    }
    return 0;
}
