#include "base/test.h"
#include "wire/sip/build.h"

#define VIA2 "Via: SIP/2.0/TCP 198.51.100.1;branch=z9hG4bKb;rport\r\n"
#define REST                                                                                       \
    "From: \"A\" <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: a@b\r\n"   \
    "CSeq: 7 OPTIONS\r\n"
static struct sip_msg m;
static struct sip_error why;
static char buf[2048];

static void whole_request(void **state)
{
    (void)state;
    struct out o = out_of(buf, sizeof(buf));
    sip_request_line(&o, STR("INVITE"), STR("sip:bob@example.com"));
    sip_put(&o, HDR_VIA, STR("SIP/2.0/UDP 192.0.2.1"));
    sip_put_u32(&o, HDR_MAX_FORWARDS, 70);
    sip_put_u32(&o, HDR_EXPIRES, UINT32_MAX);
    sip_put_cseq(&o, 1, STR("INVITE"));
    sip_put_named(&o, STR("X-Y"), STR("z"));
    sip_begin(&o, HDR_SUBJECT);
    sip_piece(&o, STR("a"));
    sip_piece(&o, STR("\tb"));
    sip_eol(&o);
    sip_end(&o, STR("text/plain"), STR("a\r\n\0b"));
    assert_false(o.full);
    assert_str(out_str(&o),
               "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n"
               "Max-Forwards: 70\r\nExpires: 4294967295\r\nCSeq: 1 INVITE\r\nX-Y: z\r\n"
               "Subject: a\tb\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\na\r\n\0b");
    o = out_of(buf, sizeof(buf));
    sip_status_line(&o, 200, STR_NONE);
    sip_end(&o, STR("text/plain"), STR_NONE);
    assert_str(out_str(&o), "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void phrases(void **state)
{
    (void)state;
    assert_str(sip_phrase(100), "Trying");
    assert_str(sip_phrase(486), "Busy Here");
    assert_str(sip_phrase(608), "Rejected");
    assert_str(sip_phrase(499), "Request Failure");
    assert_str(sip_phrase(199), "Early Dialog Terminated");
    assert_str(sip_phrase(101), "Progress");
    assert_str(sip_phrase(699), "Global Failure");
    assert_str(sip_phrase(99), "Unknown");
    assert_str(sip_phrase(700), "Unknown");
}

enum call { LINE, STATUS, PUT, NAME, NAMED, CSEQ, PIECE, TYPE, CALLS };
static void one(struct out *o, enum call c, struct str s)
{
    switch (c) {
    case LINE:
        sip_request_line(o, s, STR("sip:a"));
        break;
    case STATUS:
        sip_status_line(o, 200, s);
        break;
    case PUT:
        sip_put(o, HDR_SUBJECT, s);
        break;
    case NAME:
        sip_put_named(o, s, STR("a"));
        break;
    case NAMED:
        sip_put_named(o, STR("Z"), s);
        break;
    case CSEQ:
        sip_put_cseq(o, 1, s);
        break;
    case PIECE:
        sip_piece(o, s);
        break;
    case TYPE:
        sip_end(o, s, STR("body"));
        break;
    case CALLS:
        break;
    }
}

static void no_line_is_smuggled(void **state)
{
    (void)state;
    static const struct str bad[] = {{"a\rb", 3},   {"a\nb", 3}, {"a\0b", 3},
                                     {"a\r\nb", 4}, {"\n", 1},   {"a\r", 2}};
    static const struct str words[] = {{"", 0}, {"a b", 3}, {"a\tb", 3}};
    for (int c = 0; c < CALLS; c++) {
        struct out o = out_of(buf, sizeof(buf));
        one(&o, (enum call)c, STR("good"));
        assert_false(o.full);
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            o = out_of(buf, sizeof(buf));
            one(&o, (enum call)c, bad[i]);
            assert_true(o.full);
        }
        bool word = c == LINE || c == NAME || c == CSEQ;
        for (size_t i = 0; i < ARRAY_LEN(words) && word; i++) {
            o = out_of(buf, sizeof(buf));
            one(&o, (enum call)c, words[i]);
            assert_true(o.full);
        }
    }
    struct out o = out_of(buf, sizeof(buf));
    sip_request_line(&o, STR("ACK"), STR("sip:a b"));
    assert_true(o.full);
    o = out_of(buf, sizeof(buf));
    sip_put_named(&o, STR("a:b"), STR("c"));
    assert_true(o.full);
    o = out_of(buf, sizeof(buf));
    sip_put(&o, HDR_OTHER, STR("c"));
    assert_true(o.full);
    static const unsigned codes[] = {0, 99, 700, 4294967295u};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        o = out_of(buf, sizeof(buf));
        sip_status_line(&o, codes[i], STR("a"));
        assert_true(o.full);
    }
}

/* The room is never overrun, and what does not fit says so. */
static void small_rooms(void **state)
{
    (void)state;
    const struct str want = STR("Subject: abc\r\nContent-Length: 2\r\n\r\nhi");
    for (size_t cap = 0; cap <= want.n; cap++) {
        char *own = malloc(cap + 1);
        struct out o = out_of(own, cap);
        sip_put(&o, HDR_SUBJECT, STR("abc"));
        sip_end(&o, STR_NONE, STR("hi"));
        assert_int_equal(o.full, cap < want.n);
        free(own);
    }
}

static struct str reply(const char *via, const char *source, struct str tag)
{
    static char request[1024];
    struct addr a;
    (void)snprintf(request, sizeof(request),
                   "OPTIONS sip:bob@example.com SIP/2.0\r\n%s" VIA2 REST "\r\n", via);
    assert_ok(sip_parse(str_c(request), false, &m, &why));
    if (source)
        assert_ok(addr_parse(str_c(source), &a));
    struct out o = out_of(buf, sizeof(buf));
    sip_reply(&o, &m, 404, STR_NONE, tag, source ? &a : NULL);
    assert_false(o.full);
    return out_str(&o);
}

static void replies(void **state)
{
    (void)state;
    static const struct {
        const char *via, *source, *want;
    } rows[] = {
        {"SIP/2.0/UDP 192.0.2.1;branch=x", "192.0.2.1:5060", "SIP/2.0/UDP 192.0.2.1;branch=x"},
        {"SIP/2.0/UDP 192.0.2.1;branch=x", "192.0.2.2:5060",
         "SIP/2.0/UDP 192.0.2.1;branch=x;received=192.0.2.2"},
        {"SIP/2.0/UDP pc.example.com", "192.0.2.2:1",
         "SIP/2.0/UDP pc.example.com;received=192.0.2.2"},
        {"SIP/2.0/UDP 192.0.2.1;rport;branch=x", "192.0.2.1:9",
         "SIP/2.0/UDP 192.0.2.1;branch=x;received=192.0.2.1;rport=9"},
        {"SIP/2.0/UDP a:5070;rport=7;a=\"b;rport\";received=198.51.100.9;branch=x",
         "192.0.2.2:65535",
         "SIP/2.0/UDP a:5070;a=\"b;rport\";branch=x;received=192.0.2.2;rport=65535"},
        {"SIP / 2.0 / TLS [2001:db8::1]:5061 ;rport", "[2001:db8::1]:2",
         "SIP / 2.0 / TLS [2001:db8::1]:5061;received=2001:db8::1;rport=2"},
        {"SIP/2.0/UDP 192.0.2.1, SIP/2.0/UDP b;rport", "192.0.2.9:5",
         "SIP/2.0/UDP 192.0.2.1;received=192.0.2.9, SIP/2.0/UDP b;rport"},
        {"SIP/2.0/UDP 192.0.2.1;rport", NULL, "SIP/2.0/UDP 192.0.2.1;rport"},
        {"SIP/2.0/UDP 192.0.2.1\r\n ;branch=x", NULL, "SIP/2.0/UDP 192.0.2.1 ;branch=x"},
    };
    char via[256], want[1024];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)snprintf(via, sizeof(via), "Via: %s\r\n", rows[i].via);
        (void)snprintf(want, sizeof(want),
                       "SIP/2.0 404 Not Found\r\nVia: %s\r\n" VIA2
                       "From: \"A\" <sip:alice@example.com>;tag=1\r\n"
                       "To: <sip:bob@example.com>;tag=t9\r\nCall-ID: a@b\r\nCSeq: 7 OPTIONS\r\n",
                       rows[i].want);
        assert_str_eq(reply(via, rows[i].source, STR("t9")), str_c(want));
    }
}

static void tag_of_the_request_stays(void **state)
{
    (void)state;
    assert_ok(sip_parse(STR("BYE sip:a SIP/2.0\r\n" VIA2 "f: <sip:a>;tag=1\r\nt: <sip:b>;tag=2\r\n"
                            "i: c\r\nCSeq: 2\r\n BYE\r\n\r\n"),
                        false, &m, &why));
    struct out o = out_of(buf, sizeof(buf));
    sip_reply(&o, &m, 200, STR("Fine"), STR("t9"), NULL);
    assert_str(out_str(&o),
               "SIP/2.0 200 Fine\r\n" VIA2 "From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n"
               "Call-ID: c\r\nCSeq: 2 BYE\r\n");
}

static void copies(void **state)
{
    (void)state;
    assert_ok(sip_parse(STR("OPTIONS sip:bob@example.com SIP/2.0\r\n" VIA2 REST
                            "s: a\r\nRoute: b\r\n  ,c\r\nwarning: 1\r\nRoute: d\r\n\r\n"),
                        false, &m, &why));
    struct out o = out_of(buf, sizeof(buf));
    sip_copy(&o, &m, HDR_ROUTE);
    sip_copy(&o, &m, HDR_SUBJECT);
    sip_copy(&o, &m, HDR_ALLOW);
    assert_str(out_str(&o), "Route: b ,c\r\nRoute: d\r\nSubject: a\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_request),
        cmocka_unit_test(phrases),
        cmocka_unit_test(no_line_is_smuggled),
        cmocka_unit_test(small_rooms),
        cmocka_unit_test(replies),
        cmocka_unit_test(tag_of_the_request_stays),
        cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
