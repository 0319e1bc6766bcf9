/* Two things. Any bytes as a file of rules: either problems, or a blob that readers believe, and
 * the same again; it is run over two messages and a packet. And a blob that something has damaged:
 * what rules_valid lets pass can be run without harm, whatever it says. */
#include "app/rules/compile.h"
#include "app/rules/scanner.h"
#include "base/cur.h"
#include "guard/scan.h"
#include <stdlib.h>

static const char INVITE[] =
    "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    "v: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK2\r\nFrom: \"Alice\" <sip:alice@example.com>;tag=1\r\n"
    "To: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
    "User-Agent: friendly aab\r\nContent-Type: application/sdp\r\n\r\n"
    "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 "
    "192.0.2.1\r\na=x\r\n";
static const char ANSWER[] =
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: "
    "<sip:a@example.com>;tag=1"
    "\r\nTo: <sip:b@example.com>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n";
static const char SEEDS[] =
    "alert sip [192.0.2.0/24,!192.0.2.9] any -> any [5060,:1023] (msg:\"a\"; content:\"friendly\"; "
    "nocase; content:\"aab\"; distance:0; within:9; threshold:type limit, track by_src, count 1, "
    "seconds 5; sid:1;)\n"
    "drop tcp any any <> any any (sip.uri; content:\"bob\"; startswith; bsize:>3; flowbits:set,x; "
    "classtype:attempted-admin; sid:2;)\n"
    "pass sip any any -> any any (sip.via; content:\"127.\"; isdataat:!3,relative; "
    "flowbits:isset,x;"
    " detection_filter:track by_dst, count 2, seconds 9; sid:3;)\n"
    "reject sip any any -> any any (sdp.attribute; content:\"x\"; pcre:\"/a(b)?/\"; dsize:1<>9; "
    "sid:4;)\n"
    "alert rtp any any -> any any (content:\"|90|\"; sid:5;)\n";

static bool no_match(void *ctx, uint32_t expression, struct str s)
{
    (void)ctx;
    return (expression + s.n) & 1;
}
static bool odd_find(void *ctx, uint32_t expression, struct str s, size_t from, size_t *ret_first,
                     size_t *ret_end)
{
    (void)ctx;
    *ret_first = from + (expression & 3);
    *ret_end = *ret_first + 1;
    return *ret_end <= s.n;
}

static void run(const struct rules *r, const struct rules_scanner *scan, struct str bytes, bool rtp)
{
    static struct sip_msg m;
    struct sip_error why;
    struct rules_hit hits[8];
    struct rules_input in = {
        .m = rtp ? NULL : &m, .bytes = bytes, .to_server = true, .flow = 7, .proto = 0};
    if (!rtp && sip_parse(bytes, false, &m, &why) != OK)
        return;
    CHECK(addr_parse(STR("192.0.2.1:5060"), &in.source) == OK);
    void *mem = calloc(1, rules_state_bytes(r));
    CHECK(mem);
    struct rules_state *s = rules_state_init(mem, r);
    for (int64_t i = 0; i < 3; i++) {
        size_t n = rules_run(r, s, scan, &in, (struct now){{i * 1000000}, {0}}, hits, 8);
        CHECK(n <= 8);
        for (size_t k = 0; k < n; k++) {
            CHECK(k == 0 || hits[k - 1].severity <= hits[k].severity);
            CHECK(hits[k].action != RULE_PASS);
        }
    }
    free(mem);
}

static void run_all(const struct rules *r, const struct rules_scanner *scan)
{
    run(r, scan, str_of(INVITE, sizeof INVITE - 1), false);
    run(r, scan, str_of(ANSWER, sizeof ANSWER - 1), false);
    run(r, scan, STR("\x80\x00\x00\x01\x90\x90 packet /bin/sh"), true);
}

static struct rules *build(struct str text, size_t *ret_n)
{
    static char said[RULES_PROBLEMS * 1024];
    struct rules_build *b = rules_build_new();
    struct rules_build_opts o = {.salt = {3, 4}, .plain = true};
    struct rules *r = NULL;
    uint32_t n, errors, lost;
    CHECK(b && rules_build_text(b, "f", text) == OK);
    enum err e = rules_build_end(b, &o, &r, ret_n);
    (void)rules_build_problems(b, &n, &errors, &lost);
    CHECK((e == OK) == (errors == 0));
    CHECK(e == OK || e == ERR_SYNTAX);
    struct out w = out_of(said, sizeof said);
    rules_problems_put(&w, b);
    CHECK(!w.full);
    for (size_t i = 0; i < w.n; i++)
        CHECK(w.p[i] == '\n' || ((unsigned char)w.p[i] >= 0x20 && (unsigned char)w.p[i] < 0x7f));
    rules_build_free(b);
    return e == OK ? r : NULL;
}

static void as_text(struct str text)
{
    size_t n, m;
    struct rules *r = build(text, &n);
    if (!r)
        return;
    CHECK(rules_valid(r, n) == OK);
    struct rules *again = build(text, &m);
    CHECK(again && n == m && memcmp(r, again, n) == 0);
    struct rules_scan *s = rules_scan_new(r, true);
    CHECK(s);
    run_all(r, rules_scan_get(s));
    rules_scan_free(s);
    free(again);
    free(r);
}

/* Edits of four bytes: where (in the part before the plain scanner's tables, mostly), and what. */
static void as_damage(struct cur c)
{
    static struct rules *whole;
    static size_t n;
    if (!whole)
        whole = build(str_of(SEEDS, sizeof SEEDS - 1), &n);
    CHECK(whole);
    struct rules *r = aligned_alloc(64, n);
    CHECK(r);
    memcpy(r, whole, n);
    while (cur_left(&c) >= 5) {
        uint32_t where = cur_u16(&c), how = cur_u8(&c), what = cur_u16(&c);
        uint32_t at = (how & 1 ? where : where % 4096) * 4 % (uint32_t)(n - 4), v;
        memcpy(&v, (uint8_t *)r + at, 4);
        v = how & 2 ? v + what : how & 4 ? what << 16 : how & 8 ? v ^ (1u << (what & 31)) : what;
        memcpy((uint8_t *)r + at, &v, 4);
    }
    if (rules_valid(r, n) == OK) {
        struct rules_scanner s;
        scan_plain(r, &s);
        s.match = no_match;
        s.find = odd_find;
        run_all(r, &s);
    }
    free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 16384)
        return 0;
    if (data[0] == '!')
        as_damage(cur_of(data + 1, size - 1));
    else
        as_text(str_of((const char *)data, size));
    return 0;
}
