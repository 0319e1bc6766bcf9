#include "base/out.h"
#include "base/test.h"

static void sticky(void **state)
{
    (void)state;
    char buf[5];
    memset(buf, 'z', sizeof buf);
    struct out o = out_of(buf, 4);
    OUT_LIT(&o, "abc");
    OUT_LIT(&o, "de");
    assert_true(o.full);
    assert_err(out_err(&o), ERR_FULL);
    out_ch(&o, 'd'); /* would fit, but comes after the loss */
    OUT_LIT(&o, "");
    assert_str(out_str(&o), "abc");
    assert_int_equal(buf[3], 'z');
    o = out_of(buf, 4);
    OUT_LIT(&o, "abcd");
    assert_ok(out_err(&o));
    out_ch(&o, 'e');
    assert_err(out_err(&o), ERR_FULL);
    assert_int_equal(buf[4], 'z');
    o = out_of(NULL, 0);
    out_put(&o, STR_NONE);
    assert_ok(out_err(&o));
    out_fmt(&o, "%d", 1);
    assert_err(out_err(&o), ERR_FULL);
}

static void typed(void **state)
{
    (void)state;
    char buf[256];
    struct out o = out_of(buf, sizeof buf);
    out_u64(&o, 0);
    out_ch(&o, ' ');
    out_u64(&o, UINT64_MAX);
    out_ch(&o, ' ');
    out_i64(&o, INT64_MIN);
    out_ch(&o, ' ');
    out_i64(&o, -7);
    out_ch(&o, ' ');
    out_i64(&o, INT64_MAX);
    out_ch(&o, ' ');
    out_hex(&o, (const uint8_t *)"\x00\xfe", 2);
    out_ch(&o, ' ');
    out_b64(&o, (const uint8_t *)"foob", 4);
    out_fmt(&o, " %s-%u", "x", 5u);
    assert_str(out_str(&o), "0 18446744073709551615 -9223372036854775808 -7 9223372036854775807 "
                            "00fe Zm9vYg== x-5");
}

static void exact_room(void **state)
{
    (void)state;
    char buf[8];
    struct out o = out_of(buf, 4);
    out_hex(&o, (const uint8_t *)"ab", 2);
    assert_str(out_str(&o), "6162");
    o = out_of(buf, 3);
    out_hex(&o, (const uint8_t *)"ab", 2);
    assert_err(out_err(&o), ERR_FULL);
    o = out_of(buf, 4);
    out_b64(&o, (const uint8_t *)"a", 1);
    assert_str(out_str(&o), "YQ==");
    o = out_of(buf, 3);
    out_b64(&o, (const uint8_t *)"a", 1);
    assert_err(out_err(&o), ERR_FULL);
    o = out_of(buf, 2);
    out_i64(&o, -1);
    assert_str(out_str(&o), "-1");
    o = out_of(buf, 1);
    out_i64(&o, -1);
    assert_int_equal(o.n, 0);
    o = out_of(buf, 4);
    out_fmt(&o, "%s", "abc");
    assert_str(out_str(&o), "abc");
    o = out_of(buf, 4);
    out_fmt(&o, "%s", "abcd"); /* the byte that the header speaks of */
    assert_err(out_err(&o), ERR_FULL);
}

static void json(void **state)
{
    (void)state;
    char buf[256];
    struct out o = out_of(buf, sizeof buf);
    out_ch(&o, '{');
    out_json_kstr(&o, STR("a"), STR("x\"y\\z\n\x7f"));
    out_json_ku64(&o, STR("b"), 1);
    out_json_ki64(&o, STR("c"), -1);
    out_json_key(&o, STR("d"));
    OUT_LIT(&o, "[{");
    out_json_kbool(&o, STR("e"), true);
    OUT_LIT(&o, "},{");
    out_json_kbool(&o, STR("f"), false);
    OUT_LIT(&o, "}]}");
    assert_str(out_str(&o), "{\"a\":\"x\\\"y\\\\z\\u000a\\u007f\",\"b\":1,\"c\":-1,"
                            "\"d\":[{\"e\":true},{\"f\":false}]}");
}

static void utf8(void **state)
{
    (void)state;
    static const struct {
        struct str in, want;
    } rows[] = {
        {{"\xc3\xbc", 2}, {"\"\xc3\xbc\"", 4}},
        {{"\xe2\x82\xac", 3}, {"\"\xe2\x82\xac\"", 5}},
        {{"\xf4\x8f\xbf\xbf", 4}, {"\"\xf4\x8f\xbf\xbf\"", 6}},
        {{"\xf4\x90\x80\x80", 4}, {"\"\\u00f4\\u0090\\u0080\\u0080\"", 26}}, /* past U+10FFFF */
        {{"\xed\xa0\x80", 3}, {"\"\\u00ed\\u00a0\\u0080\"", 20}},            /* surrogate */
        {{"\xed\x9f\xbf", 3}, {"\"\xed\x9f\xbf\"", 5}},
        {{"\xc0\xaf", 2}, {"\"\\u00c0\\u00af\"", 14}}, /* overlong */
        {{"\xe0\x9f\xbf", 3}, {"\"\\u00e0\\u009f\\u00bf\"", 20}},
        {{"\xe0\xa0\x80", 3}, {"\"\xe0\xa0\x80\"", 5}},
        {{"\xf0\x8f\xbf\xbf", 4}, {"\"\\u00f0\\u008f\\u00bf\\u00bf\"", 26}},
        {{"\xe2\x82", 2}, {"\"\\u00e2\\u0082\"", 14}}, /* cut short */
        {{"\xe2\x82"
          "a",
          3},
         {"\"\\u00e2\\u0082a\"", 15}},
        {{"\x80", 1}, {"\"\\u0080\"", 8}},
        {{"\0", 1}, {"\"\\u0000\"", 8}},
        {{"", 0}, {"\"\"", 2}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char buf[64];
        struct out o = out_of(buf, sizeof buf);
        out_json_str(&o, rows[i].in);
        assert_str_eq(out_str(&o), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sticky), cmocka_unit_test(typed), cmocka_unit_test(exact_room),
        cmocka_unit_test(json),   cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
