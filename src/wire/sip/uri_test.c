#include "base/test.h"
#include "wire/sip/uri.h"

static struct sip_uri u;
static char text[8192];

static void parts(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        enum uri_scheme scheme;
        const char *user, *password, *host, *params, *headers;
        uint16_t port;
        int family;
    } rows[] = {
        {"sip:example.com", URI_SIP, "", "", "example.com", "", "", 0, ADDR_NONE},
        {"SIP:alice@example.com", URI_SIP, "alice", "", "example.com", "", "", 0, ADDR_NONE},
        {"sips:bob:s%20e@example.com:5061", URI_SIPS, "bob", "s%20e", "example.com", "", "", 5061,
         ADDR_NONE},
        {"sip:a;b=c?d@example.com", URI_SIP, "a;b=c?d", "", "example.com", "", "", 0, ADDR_NONE},
        {"sip:+15550100;phone-context=x@example.com;user=phone;lr", URI_SIP,
         "+15550100;phone-context=x", "", "example.com", "user=phone;lr", "", 0, ADDR_NONE},
        {"sip:192.0.2.1:65535;transport=tcp?a=b&c=", URI_SIP, "", "", "192.0.2.1", "transport=tcp",
         "a=b&c=", 65535, ADDR_V4},
        {"sip:alice@[2001:db8::1]:1", URI_SIP, "alice", "", "2001:db8::1", "", "", 1, ADDR_V6},
        {"sip:[2001:db8::10:5070]", URI_SIP, "", "", "2001:db8::10:5070", "", "", 0, ADDR_V6},
        {"sip:[::ffff:192.0.2.1]", URI_SIP, "", "", "::ffff:192.0.2.1", "", "", 0, ADDR_V4},
        {"sip:a%00b@my_host-1.test.", URI_SIP, "a%00b", "", "my_host-1.test.", "", "", 0,
         ADDR_NONE},
        {"sip:1.2.3.x", URI_SIP, "", "", "1.2.3.x", "", "", 0, ADDR_NONE},
        {"sip:a:@example.com", URI_SIP, "a", "", "example.com", "", "", 0, ADDR_NONE},
        {"tel:+1-555-0100;ext=22", URI_TEL, "+1-555-0100", "", "", "ext=22", "", 0, ADDR_NONE},
        {"tel:911", URI_TEL, "911", "", "", "", "", 0, ADDR_NONE},
        {"tel:*67#", URI_TEL, "*67#", "", "", "", "", 0, ADDR_NONE},
        {"urn:service:sos.police", URI_URN, "service:sos.police", "", "", "", "", 0, ADDR_NONE},
        {"urn:uuid:00000000-0000-1000-8000-aabbccddeeff", URI_URN,
         "uuid:00000000-0000-1000-8000-aabbccddeeff", "", "", "", "", 0, ADDR_NONE},
        {"https://example.com/a?b#c", URI_OTHER, "", "", "", "", "", 0, ADDR_NONE},
        {"x+y.z-1:a", URI_OTHER, "", "", "", "", "", 0, ADDR_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_ok(sip_uri_parse(str_c(rows[i].uri), &u));
        assert_str_eq(u.text, str_c(rows[i].uri));
        assert_int_equal(u.scheme, rows[i].scheme);
        assert_str_eq(u.user, str_c(rows[i].user));
        assert_str_eq(u.password, str_c(rows[i].password));
        assert_str_eq(u.host, str_c(rows[i].host));
        assert_str_eq(u.params, str_c(rows[i].params));
        assert_str_eq(u.headers, str_c(rows[i].headers));
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(u.ip.family, rows[i].family);
    }
}

static void refused(void **state)
{
    (void)state;
    static const struct str rows[] = {
#define X(s) {s, sizeof(s) - 1}
        X(""),
        X(":"),
        X("sip"),
        X("sip:"),
        X("sip:@example.com"),
        X("sip::pw@example.com"),
        X("sip:alice@"),
        X("sip:alice@@example.com"),
        X("sip:a@b@example.com"),
        X("sip:al ice@example.com"),
        X("sip:a%zz@example.com"),
        X("sip:a%4@example.com"),
        X("sip:a\"b@example.com"),
        X("sip:a<b@example.com"),
        X("sip:a:p%@example.com"),
        X("sip:a:p:q@example.com"),
        X("sip:example.com:"),
        X("sip:example.com:0"),
        X("sip:example.com:65536"),
        X("sip:example.com:x"),
        X("sip:example.com:-1"),
        X("sip:example..com"),
        X("sip:.example.com"),
        X("sip:-example.com"),
        X("sip:192.0.2.256"),
        X("sip:192.0.2"),
        X("sip:192.0.2.1.5"),
        X("sip:2001:db8::1"),
        X("sip:[2001:db8::1"),
        X("sip:[192.0.2.1]"),
        X("sip:[2001:db8::1]x"),
        X("sip:[]"),
        X("sip:[2001:::db8:::1]"),
        X("sip:[::::1]"),
        X("sip:example.com;"),
        X("sip:example.com;;lr"),
        X("sip:example.com;lr;LR"),
        X("sip:a1;t=udp;b;t=tcp"),
        X("sip:example.com;=x"),
        X("sip:example.com;a="),
        X("sip:example.com;a=b=c"),
        X("sip:example.com;a%2"),
        X("sip:example.com?"),
        X("sip:example.com?a"),
        X("sip:example.com?=b"),
        X("sip:example.com?a=b&"),
        X("sip:example.com?a=b=c"),
        X("sip:example.com?a=%0"),
        X("sip:example.com "),
        X(" sip:example.com"),
        X("sip:exa\0mple.com"),
        X("sip:exa\nmple.com"),
        X("<sip:example.com>"),
        X("sip:ex\xc3\xa4mple.com"),
        X("tel:"),
        X("tel:+"),
        X("tel:--"),
        X("tel:alice"),
        X("tel:1;"),
        X("tel:1;a="),
        X("tel:1?a=b"),
        X("urn:"),
        X("urn:x:y"),
        X("urn:-ab:y"),
        X("urn:ab"),
        X("urn:ab:"),
        X("urn:ab:c d"),
        X("urn:a+b:c"),
        X("1x:a"),
        X("+x:a"),
        X("x:"),
        X("x:a b"),
        X("x:a\x7f"),
        X("x:a\"")};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        u.port = 4711;
        if (sip_uri_parse(rows[i], &u) != ERR_SYNTAX)
            fail_msg("\"" STR_FMT "\" is not refused", STR_ARG(rows[i]));
        assert_int_equal(u.port, 4711); /* nothing written */
    }
    assert_err(sip_uri_parse(STR_NONE, &u), ERR_SYNTAX);
}

/* head, then n times piece, then tail. */
static struct str repeated(const char *head, const char *piece, size_t n, const char *tail)
{
    struct out o = out_of(text, sizeof(text));
    out_put(&o, str_c(head));
    for (size_t i = 0; i < n; i++)
        out_put(&o, str_c(piece));
    out_put(&o, str_c(tail));
    assert_false(o.full);
    return out_str(&o);
}

static void limits(void **state)
{
    (void)state;
    const size_t fixed = strlen("sip:@example.com");
    assert_ok(sip_uri_parse(repeated("sip:", "a", URI_MAX - fixed, "@example.com"), &u));
    assert_err(sip_uri_parse(repeated("sip:", "a", URI_MAX + 1 - fixed, "@example.com"), &u),
               ERR_LIMIT);
    assert_ok(sip_uri_parse(repeated("sip:", "a", 255, ""), &u));
    assert_err(sip_uri_parse(repeated("sip:", "a", 256, ""), &u), ERR_SYNTAX);
    struct out o = out_of(text, sizeof(text));
    OUT_LIT(&o, "sip:a");
    for (unsigned i = 0; i < 32; i++)
        out_fmt(&o, ";p%u", i);
    assert_ok(sip_uri_parse(out_str(&o), &u));
    OUT_LIT(&o, ";q");
    assert_err(sip_uri_parse(out_str(&o), &u), ERR_SYNTAX);
    assert_ok(sip_uri_parse(repeated("sip:a?", "b=&", 31, "b="), &u));
    assert_err(sip_uri_parse(repeated("sip:a?", "b=&", 32, "b="), &u), ERR_SYNTAX);
    assert_ok(sip_uri_parse(repeated("urn:", "a", 32, ":b"), &u));
    assert_err(sip_uri_parse(repeated("urn:", "a", 33, ":b"), &u), ERR_SYNTAX);
}

static void equality(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"sip:alice@example.com", "SIP:alice@EXAMPLE.com", true},
        {"sip:%61lice@example.com", "sip:alice@example.com", true},
        {"sip:a%3Bb@example.com", "sip:a;b@example.com", false},
        {"sip:a%3Bb@example.com", "sip:a%3bb@example.com", true},
        {"sip:a%00b@example.com", "sip:a@example.com", false},
        {"sip:alice@example.com", "sip:Alice@example.com", false},
        {"sip:alice@example.com", "sips:alice@example.com", false},
        {"sip:alice@example.com", "sip:alice@example.com:5060", false},
        {"sip:alice@example.com", "sip:example.com", false},
        {"sip:alice@example.com", "sip:alice:@example.com", false},
        {"sip:alice:x@example.com", "sip:alice:x@example.com", true},
        {"sip:alice:x@example.com", "sip:alice:X@example.com", false},
        {"sip:a@example.com;transport=TCP", "sip:a@example.com;Transport=tcp", true},
        {"sip:a@example.com;transport=udp", "sip:a@example.com", false},
        {"sip:a@example.com;maddr=192.0.2.1", "sip:a@example.com", false},
        {"sip:a@example.com;ttl=1", "sip:a@example.com", false},
        {"sip:a@example.com;user=ip", "sip:a@example.com", false},
        {"sip:a@example.com;method=INVITE", "sip:a@example.com", false},
        {"sip:a@example.com;new=5", "sip:a@example.com", true},
        {"sip:a@example.com;new=5", "sip:a@example.com;new=6", false},
        {"sip:a@example.com;x=1;y=2", "sip:a@example.com;y=2;x=1", true},
        {"sip:a@example.com?b=c&d=e", "sip:a@example.com?d=e&b=c", true},
        {"sip:a@example.com?b=c", "sip:a@example.com?b=C", false},
        {"sip:a@example.com?b=c", "sip:a@example.com", false},
        {"sip:a@example.com?b=c&b=c", "sip:a@example.com?b=c", false},
        {"sip:[2001:db8::1]", "sip:[2001:DB8:0::1]", true},
        {"sip:[2001:db8::1]", "sip:[2001:db8::2]", false},
        {"sip:[::ffff:192.0.2.1]", "sip:192.0.2.1", true},
        {"tel:+15550100", "tel:+15550100", true},
        {"tel:+15550100", "tel:+15550101", false},
        {"tel:1", "sip:a1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sip_uri a, b;
        assert_ok(sip_uri_parse(str_c(rows[i].a), &a));
        assert_ok(sip_uri_parse(str_c(rows[i].b), &b));
        if (sip_uri_equal(&a, &b) != rows[i].equal || sip_uri_equal(&b, &a) != rows[i].equal)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        assert_true(sip_uri_equal(&a, &a));
    }
}

static void parameters(void **state)
{
    (void)state;
    struct str it = STR(" lr ; a = b;c=\"d;e\" ;;f=\"g"), name, value;
    static const char *const want[][2] = {{"lr", ""}, {"a", "b"}, {"c", "d;e"}, {"f", "\"g"}};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(sip_param_next(&it, &name, &value));
        assert_str_eq(name, str_c(want[i][0]));
        assert_str_eq(value, str_c(want[i][1]));
    }
    assert_false(sip_param_next(&it, &name, &value));
    it = STR_NONE;
    assert_false(sip_param_next(&it, &name, &value));
    assert_true(sip_param(STR("a=1;LR;a=2"), STR("A"), &value));
    assert_str(value, "1");
    assert_true(sip_param(STR("a=1;LR"), STR("lr"), &value));
    assert_str(value, "");
    assert_false(sip_param(STR("lrx;a=lr"), STR("lr"), &value));
    assert_false(sip_param(STR_NONE, STR("lr"), &value));
}

static void escapes(void **state)
{
    (void)state;
    struct out o = out_of(text, sizeof(text));
    sip_unescape(&o, STR("a%00%41%zz%4"));
    assert_true(str_eq(out_str(&o), str_of("a\0A%zz%4", 8)));
    o = out_of(text, sizeof(text));
    sip_unescape(&o, STR_NONE);
    assert_int_equal(o.n, 0);
    sip_escape_user(&o, STR("a@b:c%\r\n \"<\xff;"));
    assert_str(out_str(&o), "a%40b%3Ac%25%0D%0A%20%22%3C%FF;");
    struct str escaped = out_str(&o);
    char back[64];
    struct out p = out_of(back, sizeof(back));
    sip_unescape(&p, escaped);
    assert_str(out_str(&p), "a@b:c%\r\n \"<\xff;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),    cmocka_unit_test(refused),    cmocka_unit_test(limits),
        cmocka_unit_test(equality), cmocka_unit_test(parameters), cmocka_unit_test(escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
