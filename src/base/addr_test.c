#include "base/addr.h"
#include "base/test.h"

static void ip_texts(void **state)
{
    (void)state;
    /* NULL: must not parse. RFC 5952 section 4 for the spelling, RFC 5118 for the colons. */
    static const char *const rows[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:0DB8:0:0:0:0:0:0001", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"fe80:0:0:0:0:0:0:0", "fe80::"},
        {"2001:db8::192.0.2.1", "2001:db8::c000:201"},
        {"[2001:db8:::192.0.2.1]", "2001:db8::c000:201"},
        {":::192.0.2.1", "::c000:201"},
        {"::ffff:192.0.2.128", "192.0.2.128"},
        {"[::ffff:c000:280]", "192.0.2.128"},
        {"1111:2222:3333:4444:5555:6666:123.123.123.123",
         "1111:2222:3333:4444:5555:6666:7b7b:7b7b"},
        {"", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.01", NULL},
        {"192.0.2.1.", NULL},
        {" 192.0.2.1", NULL},
        {"192.0.2.1 ", NULL},
        {"0x7f.0.0.1", NULL},
        {"2130706433", NULL},
        {"[192.0.2.1]", NULL},
        {"[2001:db8::1", NULL},
        {"2001:db8::1]", NULL},
        {"[]", NULL},
        {"[[::1]]", NULL},
        {"2001:db8:::1", NULL},
        {":::", NULL},
        {":::1.2.3", NULL},
        {"2001:db8::::192.0.2.1", NULL},
        {"1::2::3", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"12345::", NULL},
        {"fe80::1%eth0", NULL},
        {"example.com", NULL},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr a = {.port = 9};
        char buf[ADDR_TEXT_MAX];
        struct out o = out_of(buf, sizeof buf);
        enum err e = addr_parse_ip(str_c(rows[i][0]), &a);
        assert_err(e, rows[i][1] ? OK : ERR_SYNTAX);
        if (e != OK)
            continue;
        assert_int_equal(a.port, 0);
        addr_put_ip(&o, &a);
        assert_str_eq(out_str(&o), str_c(rows[i][1]));
    }
    struct addr a;
    assert_err(addr_parse_ip(STR("192.0.2.1\0"), &a), ERR_SYNTAX);
    assert_err(addr_parse_ip(STR_NONE, &a), ERR_SYNTAX);
}

static void with_port(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"192.0.2.1:5060", "192.0.2.1:5060"},
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:0", "192.0.2.1"},
        {"[::1]:5060", "[::1]:5060"},
        {"[2001:db8::9:1]", "[2001:db8::9:1]"},
        {"2001:db8::9:1", "[2001:db8::9:1]"},
        {"192.0.2.1:65535", "192.0.2.1:65535"},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:", NULL},
        {"[::1]:", NULL},
        {"[::1]5060", NULL},
        {"[::1]:x", NULL},
        {":5060", NULL},
        {"::1:", NULL},
        {"192.0.2.1:-1", NULL},
        {"192.0.2.1:5060:1", NULL},
        {"[::ffff:192.0.2.1]:7", "192.0.2.1:7"},
        {":", NULL},
        {"[", NULL},
        {"", NULL},
        {"[:", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr a;
        char buf[ADDR_TEXT_MAX];
        struct out o = out_of(buf, sizeof buf);
        enum err e = addr_parse(str_c(rows[i][0]), &a);
        assert_err(e, rows[i][1] ? OK : ERR_SYNTAX);
        if (e != OK)
            continue;
        addr_put(&o, &a);
        assert_str_eq(out_str(&o), str_c(rows[i][1]));
    }
}

static struct addr at(const char *text)
{
    struct addr a = {0};
    assert_ok(addr_parse(str_c(text), &a));
    return a;
}

static void compares(void **state)
{
    (void)state;
    struct sipkey k = {1, 2};
    struct addr a = at("192.0.2.1:5060"), b = at("192.0.2.1:5061"), c = at("[2001:db8::1]:5060");
    struct addr none = {0};
    assert_true(addr_eq(&a, &a));
    assert_false(addr_eq(&a, &b));
    assert_true(addr_eq_ip(&a, &b));
    assert_false(addr_eq_ip(&a, &c));
    assert_int_equal(addr_hash(&k, &a), addr_hash(&k, &a));
    assert_int_not_equal(addr_hash(&k, &a), addr_hash(&k, &b));
    assert_int_not_equal(addr_hash(&k, &a), addr_hash(&k, &c));
    b = a;
    b.ip[9] = 1; /* bytes past an IPv4 address say nothing */
    assert_true(addr_eq(&a, &b));
    assert_int_equal(addr_hash(&k, &a), addr_hash(&k, &b));
    static const struct {
        const char *text;
        bool any, loop;
    } rows[] = {{"0.0.0.0", true, false},    {"::", true, false},
                {"127.0.0.1", false, true},  {"127.255.0.9", false, true},
                {"128.0.0.1", false, false}, {"::1", false, true},
                {"::2", false, false},       {"::ffff:127.0.0.1", false, true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        a = at(rows[i].text);
        assert_int_equal(addr_any(&a), rows[i].any);
        assert_int_equal(addr_loopback(&a), rows[i].loop);
    }
    assert_false(addr_any(&none));
    assert_false(addr_loopback(&none));
}

static void prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *in, *out;
        int bits;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255", "11.0.0.0", 8},
        {"10.9.9.9/8", "10.0.0.0", "9.255.255.255", 8},
        {"192.0.2.128/25", "192.0.2.255", "192.0.2.127", 25},
        {"192.0.2.7", "192.0.2.7", "192.0.2.6", 32},
        {"192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.8", 32},
        {"0.0.0.0/0", "203.0.113.1", "2001:db8::1", 0},
        {"::/0", "2001:db8::1", "203.0.113.1", 0},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1", 33},
        {"2001:db8::1/128", "2001:db8::1", "2001:db8::2", 128},
        {"[2001:db8::1]", "2001:db8::1", "2001:db8::2", 128},
        {"::ffff:10.0.0.0/104", "10.1.1.1", "11.0.0.1", 8},
        {"::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2", 32},
    };
    struct prefix p;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr in = at(rows[i].in), out = at(rows[i].out), none = {0};
        assert_ok(prefix_parse(str_c(rows[i].prefix), &p));
        assert_int_equal(p.bits, rows[i].bits);
        assert_true(prefix_has(&p, &in));
        assert_false(prefix_has(&p, &out));
        assert_false(prefix_has(&p, &none));
    }
    struct addr mapped = {.family = ADDR_V6, .ip = {[10] = 0xff, 0xff, 10, 0, 0, 1}};
    assert_ok(prefix_parse(STR("10.0.0.0/8"), &p));
    assert_true(prefix_has(&p, &mapped)); /* not a way round an IPv4 rule */
    static const char *const bad[] = {"10.0.0.0/33",        "10.0.0.0/",    "/8",
                                      "10.0.0.0/-1",        "::/129",       "10.0.0.0/8/8",
                                      "::ffff:10.0.0.0/95", "10.0.0.0/08x", ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(prefix_parse(str_c(bad[i]), &p), ERR_SYNTAX);
}

static void bounded(void **state)
{
    (void)state;
    struct addr a = {.family = ADDR_V6, .port = 65535};
    memset(a.ip, 0xfd, 16);
    char buf[ADDR_TEXT_MAX];
    struct out o = out_of(buf, sizeof buf);
    addr_put(&o, &a);
    assert_str(out_str(&o), "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:65535");
    o = out_of(buf, 10);
    addr_put_ip(&o, &a);
    assert_true(o.full);
    assert_int_equal(o.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ip_texts), cmocka_unit_test(with_port), cmocka_unit_test(compares),
        cmocka_unit_test(prefixes), cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
