/* What sip_parse takes and what it refuses, with the reason, on messages of our own. */
#include "base/out.h"
#include "base/test.h"
#include "wire/sip/grammar.h"
#include <time.h>

#define LINE    "OPTIONS sip:bob@example.com SIP/2.0\r\n"
#define VIA     "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport\r\n"
#define FROM    "From: \"Alice\" <sip:alice@example.com>;tag=1a\r\n"
#define TO      "To: <sip:bob@example.com>\r\n"
#define CALL_ID "Call-ID: abc@192.0.2.1\r\n"
#define CSEQ    "CSeq: 7 OPTIONS\r\n"
#define REST    VIA FROM TO CALL_ID CSEQ
#define HEAD    LINE REST
#define END     "\r\n"
#define M(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static struct sip_msg m;
static struct sip_error why;
static char text[SIP_MSG_MAX + 64];

static void request(void **state)
{
    (void)state;
    assert_ok(sip_parse(STR("\r\n" HEAD "Max-Forwards: 70\r\nl: 2\r\nX-A: b\r\n c\r\n"
                            "Contact: <sip:alice@192.0.2.1>\r\n" END "hiIGNORED"),
                        false, &m, &why));
    assert_true(m.is_request);
    assert_int_equal(m.method, SIP_OPTIONS);
    assert_str(sip_text(&m, m.method_text), "OPTIONS");
    assert_str(sip_text(&m, m.uri), "sip:bob@example.com");
    assert_str(sip_text(&m, m.via_host), "192.0.2.1");
    assert_str(sip_text(&m, m.via_branch), "z9hG4bKa");
    assert_str(sip_text(&m, m.via_transport), "UDP");
    assert_int_equal(m.via_port, 5070);
    assert_true(m.via_rport);
    assert_str(sip_text(&m, m.from_uri), "sip:alice@example.com");
    assert_str(sip_text(&m, m.from_tag), "1a");
    assert_str(sip_text(&m, m.to_uri), "sip:bob@example.com");
    assert_int_equal(m.to_tag.len, 0);
    assert_str(sip_text(&m, m.call_id), "abc@192.0.2.1");
    assert_int_equal(m.cseq, 7);
    assert_int_equal(m.max_forwards, 70);
    assert_int_equal(m.content_length, 2);
    assert_str(sip_text(&m, m.body), "hi");
    assert_int_equal(m.n_fields, 9);
    assert_int_equal(m.fields[7].id, HDR_OTHER);
    assert_str(sip_text(&m, m.fields[7].name), "X-A");
    assert_str(sip_text(&m, m.fields[7].value), "b\r\n c");
}

static void response(void **state)
{
    (void)state;
    assert_ok(sip_parse(STR("SIP/2.0 486 Busy \xc3\xa4 Here\r\n" REST END), false, &m, &why));
    assert_false(m.is_request);
    assert_int_equal(m.code, 486);
    assert_int_equal(m.method, SIP_OPTIONS);
    assert_str(sip_text(&m, m.reason), "Busy \xc3\xa4 Here");
    assert_int_equal(m.max_forwards, 255);
    assert_int_equal(m.content_length, UINT32_MAX);
    assert_ok(sip_parse(STR("sip/2.0 100 \r\n" REST END), false, &m, &why));
    assert_int_equal(m.reason.len, 0);
}

static const struct row {
    struct str text;
    enum reason want;
    bool answerable;
} rows[] = {
    {M(HEAD END), REASON_NONE, false},
    {M("FOO-BAR sip:a SIP/2.0\r\n" VIA FROM TO CALL_ID "CSeq: 0 FOO-BAR\r\n" END), REASON_NONE, 0},
    {M(HEAD "Subject \t: x\r\n" END), REASON_NONE, 0}, /* HCOLON may begin with white space */
    {M(HEAD "X: \"a\\\x01z\"\r\n" END), REASON_NONE, 0},
    {M(HEAD "X:\r\n" END), REASON_NONE, 0},
    {M(HEAD "X: \r\n \r\n\t\r\n" END), REASON_NONE, 0},
    /* smuggling */
    {M(HEAD "Sub ject: x\r\n" END), REASON_sip_header_smuggling, true},
    {M(HEAD "Subject\r\n : x\r\n" END), REASON_sip_header_smuggling, true},
    {M(HEAD "Sub\r\n ject: x\r\n" END), REASON_sip_header_smuggling, true},
    {M(LINE " X: y\r\n" REST END), REASON_sip_header_smuggling, false},
    {M(HEAD "X: a\0b\r\n" END), REASON_sip_header_smuggling, true},
    {M(HEAD "X\0: b\r\n" END), REASON_sip_header_smuggling, true},
    {M(HEAD "X: a\rb\r\n" END), REASON_sip_header_smuggling, true},
    {M(HEAD "X: a\nY: b\r\n" END), REASON_sip_header_smuggling, true},
    {M(HEAD "X: a\r\r\n" END), REASON_sip_header_smuggling, true},
    {M(HEAD "X: a\n\r\n" END), REASON_sip_header_smuggling, true},
    {M(HEAD "X: \"a\\\nY: b\"\r\n" END), REASON_sip_header_smuggling, true},
    {M("OPTIONS sip:bob@example.com SIP/2.0\n" REST END), REASON_sip_header_smuggling, false},
    {M("OPTIONS sip:b\0b SIP/2.0\r\n" REST END), REASON_sip_header_smuggling, false},
    {M("OPTIONS sip:b\n" REST END), REASON_sip_header_smuggling, false},
    {M("NOTHING sip:b\n" REST END), REASON_sip_not_sip, false},
    {M("OPTIONS sip:b SIP/2.0\r" REST END), REASON_sip_header_smuggling, false},
    /* lines */
    {M(HEAD "Subject\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD ": x\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Sub@ject: x\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "X: a\x01z\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "X: \x7f\r\n" END), REASON_NONE, 0},
    {M(HEAD), REASON_sip_header_syntax, true},
    {M(HEAD "X: y"), REASON_sip_header_syntax, true},
    {M(HEAD "\r"), REASON_sip_header_syntax, true},
    {M(LINE), REASON_sip_header_syntax, false},
    /* start lines */
    {M(""), REASON_sip_empty, false},
    {M("\r\n\r\n"), REASON_sip_empty, false},
    {M("\0\0\0\0"), REASON_sip_empty, false},
    {M("\0\0\0\0\0"), REASON_sip_not_sip, false},
    {M("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), REASON_sip_not_sip, false},
    {M("\x16\x03\x01\x02\0\x01"), REASON_sip_not_sip, false},
    {M("OPTIONS\r\n" REST END), REASON_sip_not_sip, false},
    {M("OPTIONS  sip:bob@example.com SIP/2.0\r\n" REST END), REASON_sip_start_line, true},
    {M("OPTIONS sip:bob@example.com  SIP/2.0\r\n" REST END), REASON_sip_start_line, true},
    {M("OPTIONS sip:bob@example.com SIP/2.0 \r\n" REST END), REASON_sip_start_line, true},
    {M("OPTIONS\tsip:bob@example.com SIP/2.0\r\n" REST END), REASON_sip_not_sip, false},
    {M("OPTIONS sip:bob@example.com\r\n" REST END), REASON_sip_start_line, true},
    {M("OPTIONS sip:bob@example.com SIP/2\r\n" REST END), REASON_sip_start_line, true},
    {M("OPTIONS sip:bob@example.com SIP/2.\r\n" REST END), REASON_sip_start_line, true},
    {M("OPTIONS sip:bob@example.com SIP/2.01\r\n" REST END), REASON_sip_version, true},
    {M("OPTIONS sip:bob@example.com SIP/3.0\r\n" REST END), REASON_sip_version, true},
    {M("OPTIONS <sip:bob@example.com> SIP/2.0\r\n" REST END), REASON_sip_uri_syntax, true},
    {M("OPTIONS sip:bob@example.com?a=b SIP/2.0\r\n" REST END), REASON_sip_uri_syntax, true},
    {M("OPTIONS bob SIP/2.0\r\n" REST END), REASON_sip_uri_syntax, true},
    {M("SIP/2.0 099 A\r\n" REST END), REASON_sip_start_line, false},
    {M("SIP/2.0 100 A\r\n" REST END), REASON_NONE, false},
    {M("SIP/2.0 699 A\r\n" REST END), REASON_NONE, false},
    {M("SIP/2.0 700 A\r\n" REST END), REASON_sip_start_line, false},
    {M("SIP/2.0 200\r\n" REST END), REASON_sip_start_line, false},
    {M("SIP/2.0  200 A\r\n" REST END), REASON_sip_start_line, false},
    {M("SIP/2.0 2000 A\r\n" REST END), REASON_sip_start_line, false},
    {M("SIP/2.0 20 A\r\n" REST END), REASON_sip_start_line, false},
    {M("SIP/7.0 200 A\r\n" REST END), REASON_sip_version, false},
    {M("SIP/2.0\r\n" REST END), REASON_sip_start_line, false},
    /* missing */
    {M(LINE FROM TO CALL_ID CSEQ END), REASON_sip_header_missing, false},
    {M(LINE VIA TO CALL_ID CSEQ END), REASON_sip_header_missing, false},
    {M(LINE VIA FROM CALL_ID CSEQ END), REASON_sip_header_missing, false},
    {M(LINE VIA FROM TO CSEQ END), REASON_sip_header_missing, false},
    {M(LINE VIA FROM TO CALL_ID END), REASON_sip_header_missing, false},
    /* Via */
    {M(LINE "Via: x\r\n" FROM TO CALL_ID CSEQ END), REASON_sip_header_syntax, false},
    {M(LINE "Via:\r\n" FROM TO CALL_ID CSEQ END), REASON_sip_header_syntax, false},
    {M(HEAD "Via: x\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Via: SIP/2.0/UDP a,\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Via: SIP/2.0/UDP a;branch=z9hg4BK\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Via: SIP/2.0/UDP a;branch=z9hG4bKb, SIP/2.0/TCP b\r\n" END), REASON_NONE, false},
    /* From and To */
    {M(LINE VIA "From: *\r\n" TO CALL_ID CSEQ END), REASON_sip_header_syntax, true},
    {M(LINE VIA "From:\r\n" TO CALL_ID CSEQ END), REASON_sip_header_syntax, true},
    {M(LINE VIA "From: <sip:a>;tag=1;tag=2\r\n" TO CALL_ID CSEQ END), REASON_sip_header_syntax, 1},
    {M(LINE VIA "From: <sip:a>, <sip:b>\r\n" TO CALL_ID CSEQ END), REASON_sip_header_syntax, true},
    {M(LINE VIA FROM "To: sip:a?b=c\r\n" CALL_ID CSEQ END), REASON_sip_header_syntax, true},
    /* Contact */
    {M(HEAD "Contact: *\r\n" END), REASON_NONE, false},
    {M(HEAD "Contact: *\r\nContact: <sip:a>\r\n" END), REASON_NONE, false},
    {M(HEAD "Contact: <sip:a>\r\nContact: *\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Contact: <sip:a>,\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Contact: sip:a?b=c\r\n" END), REASON_sip_header_syntax, true},
    /* Call-ID, CSeq, Max-Forwards, Date */
    {M(LINE VIA FROM TO "Call-ID:\r\n" CSEQ END), REASON_sip_header_syntax, true},
    {M(LINE VIA FROM TO "Call-ID: a b\r\n" CSEQ END), REASON_sip_header_syntax, true},
    {M(LINE VIA FROM TO "Call-ID: a;b\r\n" CSEQ END), REASON_sip_header_syntax, true},
    {M(LINE VIA FROM TO CALL_ID "CSeq: 2147483647 OPTIONS\r\n" END), REASON_NONE, false},
    {M(LINE VIA FROM TO CALL_ID "CSeq: 2147483648 OPTIONS\r\n" END), REASON_sip_header_syntax, 1},
    {M(LINE VIA FROM TO CALL_ID "CSeq: -1 OPTIONS\r\n" END), REASON_sip_header_syntax, true},
    {M(LINE VIA FROM TO CALL_ID "CSeq: 1OPTIONS\r\n" END), REASON_sip_header_syntax, true},
    {M(LINE VIA FROM TO CALL_ID "CSeq: 1\r\n" END), REASON_sip_header_syntax, true},
    {M(LINE VIA FROM TO CALL_ID "CSeq: 1 OPTIONS x\r\n" END), REASON_sip_header_syntax, true},
    {M(LINE VIA FROM TO CALL_ID "CSeq: 1 INVITE\r\n" END), REASON_sip_method_mismatch, true},
    {M(LINE VIA FROM TO CALL_ID "CSeq: 1 options\r\n" END), REASON_sip_method_mismatch, true},
    {M("FOO sip:a SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ END), REASON_sip_method_unknown, true},
    {M(HEAD "Max-Forwards: 255\r\n" END), REASON_NONE, false},
    {M(HEAD "Max-Forwards: 256\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Max-Forwards: x\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Max-Forwards:\r\n" END), REASON_sip_header_syntax, true},
    {M(HEAD "Date: tomorrow\r\n" END), REASON_sip_header_syntax, true},
    /* Content-Length */
    {M(HEAD "Content-Length: 3\r\n" END "abc"), REASON_NONE, false},
    {M(HEAD "Content-Length: 4\r\n" END "abc"), REASON_sip_content_length, true},
    {M(HEAD "Content-Length: -1\r\n" END), REASON_sip_content_length, true},
    {M(HEAD "Content-Length: 0x0\r\n" END), REASON_sip_content_length, true},
    {M(HEAD "Content-Length: 0 0\r\n" END), REASON_sip_content_length, true},
    {M(HEAD "Content-Length: 0,0\r\n" END), REASON_sip_content_length, true},
    {M(HEAD "Content-Length:\r\n" END), REASON_sip_content_length, true},
    {M(HEAD "Content-Length: 4294967295\r\n" END), REASON_sip_content_length, true},
    {M(HEAD "Content-Length: 18446744073709551616\r\n" END), REASON_sip_content_length, true},
    {M(HEAD "Content-Length: 0\r\nl: 0\r\n" END), REASON_sip_header_duplicate, true},
    /* an ACK is never answered */
    {M("ACK sip:b SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ END), REASON_sip_method_mismatch, false},
};

static void each_rule(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        /* a copy of its own, so that the sanitizer sees one byte too many */
        char *own = malloc(rows[i].text.n + 1);
        assert_non_null(own);
        struct str s = str_of(own + 1, rows[i].text.n);
        memcpy(own + 1, rows[i].text.p, s.n);
        enum err e = sip_parse(s, false, &m, &why);
        if (why.reason != rows[i].want || why.answerable != rows[i].answerable ||
            (e == OK) != (rows[i].want == REASON_NONE) || why.at > s.n) {
            print_error("row %zu: " STR_FMT ", answerable %d\n%s\n", i,
                        STR_ARG(reason_info(why.reason)->name), why.answerable, rows[i].text.p);
            wrong++;
        }
        free(own);
    }
    assert_int_equal(wrong, 0);
}

static void streams(void **state)
{
    (void)state;
    assert_ok(sip_parse(STR(HEAD "Content-Length: 1\r\n" END "a"), true, &m, &why));
    assert_err(sip_parse(STR(HEAD "Content-Length: 1\r\n" END "ab"), true, &m, &why), ERR_SYNTAX);
    assert_int_equal(why.reason, REASON_sip_content_length);
    assert_err(sip_parse(STR(HEAD END), true, &m, &why), ERR_SYNTAX);
    assert_int_equal(why.reason, REASON_sip_header_missing);
    assert_ok(sip_parse(STR(HEAD END "whole"), false, &m, &why));
    assert_str(sip_text(&m, m.body), "whole");
}

static void error_says_where(void **state)
{
    (void)state;
    struct str s = STR(HEAD "X: a\0b\r\n" END);
    assert_err(sip_parse(s, false, &m, &why), ERR_SYNTAX);
    assert_int_equal(why.at, str_find(s, '\0'));
    assert_err(sip_parse(STR("OPTIONS sip:b SIP/9.0\r\n" REST END), false, &m, &why),
               ERR_UNSUPPORTED);
    assert_int_equal(why.at, 14);
    s = STR(HEAD "Max-Forwards: x\r\nY: a\rb\r\n" END); /* smuggling is the worse of two */
    assert_err(sip_parse(s, false, &m, &why), ERR_SYNTAX);
    assert_int_equal(why.reason, REASON_sip_header_smuggling);
    assert_err(sip_parse(STR_NONE, false, &m, &why), ERR_SYNTAX);
    assert_int_equal(why.reason, REASON_sip_empty);
}

/* Every header that must be single, given twice; every other one, given twice. */
static void duplicates(void **state)
{
    (void)state;
    static const enum sip_hdr there[] = {HDR_FROM, HDR_TO, HDR_CALL_ID, HDR_CSEQ};
    unsigned single = 0;
    for (unsigned h = 1; h < HDR_COUNT; h++) {
        struct str value = STR("7");
        if (h == HDR_VIA)
            value = STR("SIP/2.0/UDP a");
        else if (h == HDR_CONTACT || h == HDR_FROM || h == HDR_TO)
            value = STR("<sip:a>");
        else if (h == HDR_DATE)
            value = STR("Sat, 13 Nov 2010 23:29:00 GMT");
        else if (h == HDR_CONTENT_LENGTH)
            value = STR("0");
        else if (h == HDR_CSEQ)
            value = STR("7 OPTIONS");
        struct out o = out_of(text, sizeof(text));
        OUT_LIT(&o, HEAD);
        bool already = false;
        for (size_t i = 0; i < ARRAY_LEN(there); i++)
            already = already || there[i] == (enum sip_hdr)h;
        for (int i = already; i < 2; i++) {
            out_put(&o, sip_hdr_name((enum sip_hdr)h));
            OUT_LIT(&o, " : ");
            out_put(&o, value);
            OUT_LIT(&o, "\r\n");
        }
        OUT_LIT(&o, END);
        enum err e = sip_parse(out_str(&o), false, &m, &why);
        bool must = sip_hdr_flags[h] & HDR_SINGLE;
        assert_int_equal(e, must ? ERR_SYNTAX : OK);
        assert_int_equal(why.reason, must ? REASON_sip_header_duplicate : REASON_NONE);
        single += must;
    }
    assert_true(single > 30);
}

/* HEAD, then n times piece, then tail; as a message. */
static enum err many(const char *head, const char *piece, size_t n, const char *tail)
{
    struct out o = out_of(text, sizeof(text));
    out_put(&o, str_c(head));
    for (size_t i = 0; i < n; i++)
        out_put(&o, str_c(piece));
    out_put(&o, str_c(tail));
    assert_false(o.full);
    return sip_parse(out_str(&o), false, &m, &why);
}

static void limits(void **state)
{
    (void)state;
    static const struct {
        const char *head, *piece, *tail;
        size_t most;
        enum reason beyond;
    } edges[] = {
        {HEAD, "Z: y\r\n", END, 123, REASON_sip_header_limit},
        {HEAD "X: ", "a", "\r\n" END, 8189, REASON_sip_header_limit},
        {HEAD "X: a\r\n", " b\r\n", "\r\n", 2047, REASON_sip_header_limit},
        {HEAD, "N", ": x\r\n" END, 128, REASON_sip_header_limit},
        {HEAD, "Via: SIP/2.0/UDP a\r\n", END, 69, REASON_sip_header_limit},
        {HEAD "Via: SIP/2.0/UDP a", ",SIP/2.0/UDP a", "\r\n" END, 68, REASON_sip_header_limit},
        {HEAD, "m: <sip:a>\r\n", END, 32, REASON_sip_header_limit},
        {HEAD "m: <sip:a>", ",<sip:a>", "\r\n" END, 31, REASON_sip_header_limit},
        {"OPTIONS sip:", "a", "@b SIP/2.0\r\n" REST END, 2042, REASON_sip_uri_too_long},
        {HEAD "Contact: <sip:", "a", "@b>\r\n" END, 2042, REASON_sip_header_syntax},
        {"SIP/2.0 200 ", "a", "\r\n" REST END, 8180, REASON_sip_start_line},
        {HEAD END, "b", "", SIP_MSG_MAX - sizeof(HEAD END) + 1, REASON_sip_too_large},
    };
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        size_t n = edges[i].most;
        if (many(edges[i].head, edges[i].piece, n, edges[i].tail) != OK)
            fail_msg("row %zu: " STR_FMT, i, STR_ARG(reason_info(why.reason)->text));
        if (many(edges[i].head, edges[i].piece, n + 1, edges[i].tail) == OK)
            fail_msg("row %zu is not refused", i);
        assert_int_equal(why.reason, edges[i].beyond);
    }
    static char method[1][66];
    for (size_t n = 64; n <= 65; n++) {
        memset(method[0], 'M', n);
        (void)snprintf(text, sizeof(text),
                       "%s sip:a SIP/2.0\r\n" VIA FROM TO CALL_ID "CSeq: 1 %s\r\n" END, method[0],
                       method[0]);
        assert_int_equal(sip_parse(str_c(text), false, &m, &why), n == 64 ? OK : ERR_SYNTAX);
    }
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The best of some tries of parsing HEAD and one field made of so many bytes of the piece. */
static int64_t cost(const char *field, const char *piece, size_t bytes)
{
    int64_t best = INT64_MAX;
    for (int try = 0; try < 15; try++) {
        struct out o = out_of(text, sizeof(text));
        OUT_LIT(&o, HEAD);
        out_put(&o, str_c(field));
        for (size_t at = o.n; o.n < at + bytes;)
            out_put(&o, str_c(piece));
        OUT_LIT(&o, "\r\n\r\n");
        int64_t t0 = cpu_ns();
        struct sip_list it = {0};
        struct str e;
        struct sip_auth a;
        unsigned good = sip_parse(out_str(&o), false, &m, &why) == OK;
        while (sip_list_next(&m, HDR_SUPPORTED, &it, &e))
            good += sip_auth_parse(e, &a) == OK;
        assert_true(good <= bytes);
        best = MIN(best, cpu_ns() - t0);
    }
    return best;
}

/* Eight times the bytes take about eight times the work; the square would be 64 times. */
static void linear_cost(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"Supported: ", "a,"},
        {"Supported: ", "\"\\"},
        {"Supported: ", "\\\","},
        {"Supported: ", "<"},
        {"Supported: ", "<,"},
        {"Supported: ", ", "},
        {"Supported: \"", "\\\x01"},
        {"Supported: ", "\\\x01"},
        {"Supported: ", "\r\n "},
        {"Via: SIP/2.0/UDP a", ";b"},
        {"Contact: \"", "\\\""},
        {"Contact: <sip:a>", ";b=\"\""},
        {"X: ", ":"},
        {"", "X "},
        {"Contact: ", "a "},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t small = cost(bad[i][0], bad[i][1], 1000), large = cost(bad[i][0], bad[i][1], 8000);
        if (large > 24 * small + 2000)
            fail_msg("row %zu: %lld ns, then %lld ns", i, (long long)small, (long long)large);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request), cmocka_unit_test(response),         cmocka_unit_test(each_rule),
        cmocka_unit_test(streams), cmocka_unit_test(error_says_where), cmocka_unit_test(duplicates),
        cmocka_unit_test(limits),  cmocka_unit_test(linear_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
