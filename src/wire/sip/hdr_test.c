#include "base/test.h"
#include "wire/sip/grammar.h"

static void via(void **state)
{
    (void)state;
    struct sip_via v;
    assert_ok(sip_via_parse(
        STR(" SIP / 2.0 / TLS [2001:db8::9] : 5061 ;a=\"b;c\";RPORT=9; branch = z9hG4bKx ;"
            "received=[2001:db8::9:255]"),
        &v));
    assert_str(v.transport, "TLS");
    assert_str(v.host, "2001:db8::9");
    assert_int_equal(v.port, 5061);
    assert_true(v.rport);
    assert_int_equal(v.rport_value, 9);
    assert_str(v.branch, "z9hG4bKx");
    assert_str(v.received, "[2001:db8::9:255]");
    assert_ok(sip_via_parse(STR("SIP/2.0/UDP a"), &v));
    assert_int_equal(v.port, 0);
    assert_false(v.rport);
    assert_int_equal(v.branch.n + v.params.n + v.received.n, 0);
    assert_ok(sip_via_parse(STR("SIP/2.0/UDP a;rport"), &v));
    assert_true(v.rport);
    assert_int_equal(v.rport_value, 0);
    static const char *const bad[] = {"",
                                      "SIP/2.0/UDP",
                                      "SIP/2.0/UDP ",
                                      "SIP/2.0 a",
                                      "SIP 2.0/UDP a",
                                      "/2.0/UDP a",
                                      "SIP/2.0/ a",
                                      "SIP/2.0/UDPa",
                                      "SIP/2.0/UDP a:",
                                      "SIP/2.0/UDP a:0",
                                      "SIP/2.0/UDP a:65536",
                                      "SIP/2.0/UDP a;",
                                      "SIP/2.0/UDP a;;b",
                                      "SIP/2.0/UDP a;=b",
                                      "SIP/2.0/UDP a;b=",
                                      "SIP/2.0/UDP a;branch",
                                      "SIP/2.0/UDP a;branch=x;branch=y",
                                      "SIP/2.0/UDP a;branch=x;BRANCH=x",
                                      "SIP/2.0/UDP a;rport;rport",
                                      "SIP/2.0/UDP a;rport=0",
                                      "SIP/2.0/UDP a;rport=65536",
                                      "SIP/2.0/UDP a;rport=x",
                                      "SIP/2.0/UDP a;received",
                                      "SIP/2.0/UDP a;received=b;received=b",
                                      "SIP/2.0/UDP a, SIP/2.0/UDP b",
                                      "SIP/2.0/UDP a b",
                                      "SIP/2.0/UDP a;b=\"c",
                                      "SIP/2.0/UDP a;b=\"c\\\"",
                                      "SIP/2.0/UDP 192.0.2.256",
                                      "SIP/2.0/UDP [192.0.2.1]",
                                      "SIP/2.0/UDP 2001:db8::1",
                                      "SIP/2.0/UDP ;branch=x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (sip_via_parse(str_c(bad[i]), &v) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    assert_err(sip_via_parse(STR_NONE, &v), ERR_SYNTAX);
}

static void name_addr(void **state)
{
    (void)state;
    static const struct {
        const char *text, *display, *uri, *params;
    } rows[] = {
        {"<sip:a@example.com>", "", "sip:a@example.com", ""},
        {"sip:a@example.com", "", "sip:a@example.com", ""},
        {"sip:a@example.com;tag=1", "", "sip:a@example.com", "tag=1"},
        {"<sip:a@example.com;lr?b=c>;tag=1", "", "sip:a@example.com;lr?b=c", "tag=1"},
        {"Alice B. <sip:a@example.com>", "Alice B.", "sip:a@example.com", ""},
        {"\"A, \\\"B\\\" <c>\"<sip:a@example.com>", "A, \\\"B\\\" <c>", "sip:a@example.com", ""},
        {"\"\" <tel:+15550100> ; a = \"b;c\" ;d", "", "tel:+15550100", " a = \"b;c\" ;d"},
        {"A\r\n <sip:a@example.com>", "A", "sip:a@example.com", ""},
        {"<sip:a,b@example.com>", "", "sip:a,b@example.com", ""},
    };
    struct sip_nameaddr a;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_ok(sip_nameaddr_parse(str_c(rows[i].text), &a));
        assert_str_eq(a.display, str_c(rows[i].display));
        assert_str_eq(a.uri, str_c(rows[i].uri));
        assert_str_eq(a.params, str_c(rows[i].params));
        assert_false(a.star);
    }
    assert_ok(sip_nameaddr_parse(STR("*"), &a));
    assert_true(a.star);
    static const char *const bad[] = {"",
                                      "alice",
                                      "<sip:a@example.com",
                                      "sip:a@example.com>",
                                      "<>",
                                      "<sip:>",
                                      "<alice>",
                                      "sip:a@example.com?b=c",
                                      "\"A <sip:a@example.com>",
                                      "\"A\" \"B\" <sip:a@example.com>",
                                      "A@B <sip:a@example.com>",
                                      "<sip:a@example.com> x",
                                      "<sip:a@example.com>;",
                                      "<sip:a@example.com>;=b",
                                      "<sip:a@example.com>;tag",
                                      "<sip:a@example.com>;tag=1;tag=1",
                                      "<sip:a@example.com>;tag=\"1\"",
                                      "<sip:a@example.com>;tag=",
                                      "*;a",
                                      "**",
                                      "<sip:a b@example.com>",
                                      "< sip:a@example.com>",
                                      "<sip:a@example.com>,<sip:b@example.com>",
                                      "<<sip:a@example.com>>",
                                      "<sip:a@example.com>;a=\"b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (sip_nameaddr_parse(str_c(bad[i]), &a) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    assert_err(sip_nameaddr_parse(STR_NONE, &a), ERR_SYNTAX);
}

static void rack(void **state)
{
    (void)state;
    struct sip_rack r;
    assert_ok(sip_rack_parse(STR(" 4294967295 \t2147483647 INVITE "), &r));
    assert_int_equal(r.rseq, UINT32_MAX);
    assert_int_equal(r.cseq, INT32_MAX);
    assert_str(r.method, "INVITE");
    static const char *const bad[] = {"",
                                      "1",
                                      "1 2",
                                      "1 2 ",
                                      "0 1 INVITE",
                                      "1 2INVITE",
                                      "4294967296 1 INVITE",
                                      "1 2147483648 INVITE",
                                      "-1 1 INVITE",
                                      "1 x INVITE",
                                      "1 1 INVITE X",
                                      "1 1 IN/VITE",
                                      "1,1 INVITE"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (sip_rack_parse(str_c(bad[i]), &r) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    assert_err(sip_rack_parse(STR_NONE, &r), ERR_SYNTAX);
}

static void session_expires(void **state)
{
    (void)state;
    struct sip_session_expires s;
    assert_ok(sip_session_expires_parse(STR("1800"), &s));
    assert_int_equal(s.seconds, 1800);
    assert_int_equal(s.refresher, 0);
    assert_ok(sip_session_expires_parse(STR(" 4294967295 ;x=y; Refresher = UAC "), &s));
    assert_int_equal(s.seconds, UINT32_MAX);
    assert_int_equal(s.refresher, 'a');
    assert_ok(sip_session_expires_parse(STR("90;refresher=uas"), &s));
    assert_int_equal(s.refresher, 's');
    static const char *const bad[] = {"",
                                      "x",
                                      "-1",
                                      "4294967296",
                                      "90;",
                                      "90;refresher",
                                      "90;refresher=me",
                                      "90;refresher=uac;refresher=uac",
                                      "90 91",
                                      "90,91"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (sip_session_expires_parse(str_c(bad[i]), &s) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    assert_err(sip_session_expires_parse(STR_NONE, &s), ERR_SYNTAX);
}

static void seconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err want;
        uint32_t v;
    } rows[] = {
        {"0", OK, 0},
        {"100", OK, 100},
        {" 100 ", OK, 100},
        {"5;a=b", OK, 5},
        {"5 (later)", OK, 5},
        {"101", ERR_RANGE, 7},
        {"", ERR_SYNTAX, 7},
        {"x", ERR_SYNTAX, 7},
        {"-1", ERR_SYNTAX, 7},
        {"1 2", ERR_SYNTAX, 7},
        {"99999999999999999999999", ERR_RANGE, 7},
    };
    uint32_t v;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        v = 7;
        assert_err(sip_seconds_parse(str_c(rows[i].text), 100, &v), rows[i].want);
        assert_int_equal(v, rows[i].v);
    }
    assert_err(sip_seconds_parse(STR_NONE, 100, &v), ERR_SYNTAX);
}

static void media_type(void **state)
{
    (void)state;
    struct sip_media_type t;
    assert_ok(sip_media_type_parse(STR(" application / sdp ; charset=\"x;y\" ;a=b"), &t));
    assert_str(t.type, "application");
    assert_str(t.subtype, "sdp");
    assert_str(t.params, " charset=\"x;y\" ;a=b");
    static const char *const bad[] = {"",
                                      "text",
                                      "text/",
                                      "/plain",
                                      "text plain",
                                      "text/plain x",
                                      "text/plain;",
                                      "text/plain;a",
                                      "text/plain,a/b",
                                      "text/plain;a=\"b",
                                      "te@t/plain"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (sip_media_type_parse(str_c(bad[i]), &t) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    assert_err(sip_media_type_parse(STR_NONE, &t), ERR_SYNTAX);
}

static void date(void **state)
{
    (void)state;
    assert_true(sip_date_valid(STR("Sat, 13 Nov 2010 23:29:00 GMT")));
    static const char *const bad[] = {"",
                                      "Sat, 13 Nov 2010 23:29:00 EST",
                                      "Sat, 13 Nov 2010 23:29:00 GMT ",
                                      "Xat, 13 Nov 2010 23:29:00 GMT",
                                      "Sat, 13 Xov 2010 23:29:00 GMT",
                                      "Sat, x3 Nov 2010 23:29:00 GMT",
                                      "Sat; 13 Nov 2010 23:29:00 GMT",
                                      "Sat, 13 Nov 2010 23:29:00 GM"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(sip_date_valid(str_c(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(via),
        cmocka_unit_test(name_addr),
        cmocka_unit_test(rack),
        cmocka_unit_test(seconds),
        cmocka_unit_test(media_type),
        cmocka_unit_test(date),
        cmocka_unit_test(session_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
