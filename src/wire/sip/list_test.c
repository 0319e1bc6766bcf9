#include "base/out.h"
#include "base/test.h"
#include "wire/sip/msg.h"

#define HEAD                                                                                       \
    "OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n"                        \
    "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: a\r\n"           \
    "CSeq: 1 OPTIONS\r\n"
static struct sip_msg m;
static struct sip_error why;

static void parsed(struct str s)
{
    assert_ok(sip_parse(s, false, &m, &why));
}

static void fields_of_one_name(void **state)
{
    (void)state;
    parsed(STR(HEAD "X: 1\r\nWarning: a\r\nY: 2\r\nWARNING: b\r\nwarning:\r\n\r\n"));
    static const char *const want[] = {"a", "b", ""};
    uint16_t it = 0;
    struct str v;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(sip_next(&m, HDR_WARNING, &it, &v));
        assert_str_eq(v, str_c(want[i]));
    }
    assert_false(sip_next(&m, HDR_WARNING, &it, &v));
    assert_false(sip_next(&m, HDR_WARNING, &it, &v));
    it = 0;
    assert_false(sip_next(&m, HDR_ROUTE, &it, &v));
    assert_str(sip_get(&m, HDR_WARNING), "a");
    assert_null(sip_get(&m, HDR_ROUTE).p);
    assert_true(sip_has(&m, HDR_WARNING));
    assert_false(sip_has(&m, HDR_ROUTE));
}

static void elements(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *want[5];
    } rows[] = {
#define M(s) {HEAD s "\r\n", sizeof(HEAD s "\r\n") - 1}
        {M(""), {NULL}},
        {M("Route:\r\n"), {NULL}},
        {M("Route: ,, ,\r\n"), {NULL}},
        {M("Route: a\r\n"), {"a"}},
        {M("Route: a , b\r\nX: y\r\nRoute:,c,\r\n"), {"a", "b", "c"}},
        {M("Route: a\r\n ,\r\n b\r\n"), {"a", "b"}},
        {M("Route: <sip:a,b>,<sip:c>;d=\"e,f\\\",g\" , h\r\n"),
         {"<sip:a,b>", "<sip:c>;d=\"e,f\\\",g\"", "h"}},
        {M("Route: \"a>,<\" <b,c>,d\r\n"), {"\"a>,<\" <b,c>", "d"}},
        /* what never closes takes the rest of its field, not the next one */
        {M("Route: a,\"b,c\r\nRoute: d\r\n"), {"a", "\"b,c", "d"}},
        {M("Route: a,<b,c\r\nRoute: d\r\n"), {"a", "<b,c", "d"}},
        {M("Route: a,\"b\\\",c\r\n"), {"a", "\"b\\\",c"}},
        {M("Route: a,\"b\\\r\nRoute: d\r\n"), {"a", "\"b\\", "d"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sip_list it = {0};
        struct str e;
        parsed(rows[i].text);
        for (size_t k = 0; rows[i].want[k]; k++) {
            assert_true(sip_list_next(&m, HDR_ROUTE, &it, &e));
            assert_str_eq(e, str_c(rows[i].want[k]));
        }
        assert_false(sip_list_next(&m, HDR_ROUTE, &it, &e));
    }
}

static void tokens(void **state)
{
    (void)state;
    parsed(STR(HEAD "k: 100rel , Timer\r\nSupported:path\r\nRequire: \"a,b\", c\r\n\r\n"));
    assert_true(sip_list_has(&m, HDR_SUPPORTED, STR("100REL")));
    assert_true(sip_list_has(&m, HDR_SUPPORTED, STR("timer")));
    assert_true(sip_list_has(&m, HDR_SUPPORTED, STR("path")));
    assert_false(sip_list_has(&m, HDR_SUPPORTED, STR("100re")));
    assert_false(sip_list_has(&m, HDR_SUPPORTED, STR("")));
    assert_false(sip_list_has(&m, HDR_REQUIRE, STR("b")));
    assert_false(sip_list_has(&m, HDR_ALLOW, STR("path")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_one_name),
        cmocka_unit_test(elements),
        cmocka_unit_test(tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
