#include "base/test.h"

static void slices(void **state)
{
    (void)state;
    struct str left, s = STR("a=b=c");
    struct str right = str_cut(s, '=', &left);
    assert_str(left, "a");
    assert_str(right, "b=c");
    right = str_cut(STR("none"), '=', &left);
    assert_str(left, "none");
    assert_int_equal(right.n, 0);
    right = str_cut(STR("end="), '=', &left);
    assert_str(left, "end");
    assert_int_equal(right.n, 0);
    assert_str(str_skip(s, 4), "c");
    assert_str(str_skip(s, 5), "");
    assert_str(str_skip(s, 99), "");
    assert_str(str_head(s, 0), "");
    assert_str(str_head(s, 99), "a=b=c");
    assert_str(str_trim(STR(" \t\r\n x y \r\n")), "x y");
    assert_str(str_trim(STR(" \t ")), "");
    assert_null(str_skip(STR_NONE, 3).p);
    assert_int_equal(str_trim(STR_NONE).n, 0);
    assert_str(str_c("abc"), "abc");
    assert_null(str_c(NULL).p);
}

static void comparisons(void **state)
{
    (void)state;
    assert_true(str_eq(STR("a\0b"), str_of("a\0b", 3)));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("ab"), STR("abc")));
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_ieq(STR("Via-@[`{"), STR("vIA-@[`{")));
    assert_false(str_ieq(STR("@"), STR("`"))); /* one bit apart, not letters */
    assert_false(str_ieq(STR("["), STR("{")));
    assert_true(str_starts(STR("sip:x"), STR("sip:")));
    assert_false(str_starts(STR("sip"), STR("sip:")));
    assert_false(str_starts(STR("SIP:x"), STR("sip:")));
    assert_true(str_istarts(STR("SIP:x"), STR("sip:")));
    assert_true(str_ends(STR("a.wav"), STR(".wav")));
    assert_false(str_ends(STR("wav"), STR(".wav")));
    assert_true(str_starts(STR_NONE, STR_NONE));
    assert_int_equal(str_cmp(STR("a"), STR("b")), -1);
    assert_int_equal(str_cmp(STR("b"), STR("a")), 1);
    assert_int_equal(str_cmp(STR("a"), STR("aa")), -1);
    assert_int_equal(str_cmp(STR("aa"), STR("a")), 1);
    assert_int_equal(str_cmp(STR("aa"), STR("aa")), 0);
    assert_int_equal(str_cmp(STR_NONE, STR("a")), -1);
    assert_int_equal(str_cmp(STR("\x80"), STR("\x7f")), 1); /* bytes, not signed chars */
}

static void finds(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("a:b:c"), ':'), 1);
    assert_int_equal(str_rfind(STR("a:b:c"), ':'), 3);
    assert_int_equal(str_find(STR("abc"), ':'), 3);
    assert_int_equal(str_rfind(STR("abc"), ':'), 3);
    assert_int_equal(str_find(STR_NONE, ':'), 0);
    assert_int_equal(str_rfind(STR_NONE, ':'), 0);
    assert_int_equal(str_search(STR("aab"), STR("ab")), 1);
    assert_int_equal(str_search(STR("aab"), STR("abc")), 3);
    assert_int_equal(str_search(STR("ab"), STR("abc")), 2);
    assert_int_equal(str_search(STR("ab"), STR("")), 0);
}

static void spans(void **state)
{
    (void)state;
    struct str whole = STR("INVITE sip:bob@example.com");
    struct span sp = str_span(whole, str_skip(whole, 7));
    assert_int_equal(sp.off, 7);
    assert_str(span_str(whole, sp), "sip:bob@example.com");
    sp = str_span(whole, str_skip(whole, whole.n));
    assert_int_equal(sp.off, whole.n);
    assert_int_equal(sp.len, 0);
    sp = str_span(whole, STR_NONE);
    assert_int_equal(sp.off + sp.len, 0);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        uint64_t max;
        enum err e;
        uint64_t v;
    } rows[] = {
        {{"0", 1}, 9, OK, 0},
        {{"007", 3}, 7, OK, 7},
        {{"008", 3}, 7, ERR_RANGE, 0},
        {{"18446744073709551615", 20}, UINT64_MAX, OK, UINT64_MAX},
        {{"18446744073709551616", 20}, UINT64_MAX, ERR_RANGE, 0},
        {{"99999999999999999999999", 23}, UINT64_MAX, ERR_RANGE, 0},
        {{"000000000000000000000000001", 27}, 1, OK, 1},
        {{"", 0}, 9, ERR_SYNTAX, 0},
        {{"-1", 2}, 9, ERR_SYNTAX, 0},
        {{"+1", 2}, 9, ERR_SYNTAX, 0},
        {{" 1", 2}, 9, ERR_SYNTAX, 0},
        {{"1x", 2}, 9, ERR_SYNTAX, 0},
        {{"1\0", 2}, 9, ERR_SYNTAX, 0},
        {{"0x1", 3}, 9, ERR_SYNTAX, 0},
        {{"99999999999999999999999x", 24}, 9, ERR_SYNTAX, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t v = 77;
        assert_err(str_u64(rows[i].in, rows[i].max, &v), rows[i].e);
        assert_int_equal(v, rows[i].e == OK ? rows[i].v : 77);
    }
    uint32_t w = 5;
    assert_ok(str_u32(STR("4294967295"), UINT32_MAX, &w));
    assert_int_equal(w, UINT32_MAX);
    assert_err(str_u32(STR("4294967296"), UINT32_MAX, &w), ERR_RANGE);
    assert_int_equal(w, UINT32_MAX);
}

static void hex(void **state)
{
    (void)state;
    uint8_t b[3] = {0};
    char text[6];
    assert_ok(hex_decode(STR("00fFa9"), b, 3));
    hex_encode(b, 3, text);
    assert_str(str_of(text, 6), "00ffa9");
    assert_err(hex_decode(STR("00ff"), b, 3), ERR_SYNTAX);
    assert_err(hex_decode(STR("00ffa9bb"), b, 3), ERR_SYNTAX);
    assert_err(hex_decode(STR("00ffa"), b, 3), ERR_SYNTAX);
    b[0] = 0x55;
    assert_err(hex_decode(STR("11ffag"), b, 3), ERR_SYNTAX);
    assert_int_equal(b[0], 0x55); /* outputs are written on OK only */
    assert_ok(hex_decode(STR(""), b, 0));
    for (int c = 0; c < 256; c++) {
        bool digit = strchr("0123456789abcdefABCDEF", c) && c;
        assert_int_equal(hex_nibble((char)c) >= 0, digit);
    }
}

static void base64(void **state)
{
    (void)state;
    /* RFC 4648 section 10 */
    static const struct {
        const char *plain, *text;
    } rows[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"}};
    char text[16];
    uint8_t bytes[8];
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str plain = str_c(rows[i].plain);
        size_t k = base64_encode((const uint8_t *)plain.p, plain.n, text);
        assert_str_eq(str_of(text, k), str_c(rows[i].text));
        assert_ok(base64_decode(str_c(rows[i].text), bytes, plain.n, &n));
        assert_str_eq(str_of((char *)bytes, n), plain);
        k = base64url_encode((const uint8_t *)plain.p, plain.n, text);
        assert_ok(base64url_decode(str_of(text, k), bytes, sizeof bytes, &n));
        assert_str_eq(str_of((char *)bytes, n), plain);
    }
    assert_err(base64_decode(STR("Zm9vYg=="), bytes, 3, &n), ERR_LIMIT);
    assert_ok(base64_decode(STR("+/+/"), bytes, 3, &n));
    assert_err(base64_decode(STR("-_-_"), bytes, 3, &n), ERR_SYNTAX);
    assert_ok(base64url_decode(STR("-_-_"), bytes, 3, &n));
    assert_err(base64url_decode(STR("+/+/"), bytes, 3, &n), ERR_SYNTAX);
    static const char *const bad[] = {"Z",      "Zg",   "Zg=",     "Zh==",     "Zm9=",
                                      "=",      "====", "Z===",    "Zg==Zg==", "Zm 9",
                                      "Zm9v\n", "Zg=a", "Zm9vYg=a"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(base64_decode(str_c(bad[i]), bytes, sizeof bytes, &n), ERR_SYNTAX);
    assert_err(base64url_decode(STR("Zg=="), bytes, sizeof bytes, &n), ERR_SYNTAX);
    assert_err(base64url_decode(STR("Zh"), bytes, sizeof bytes, &n), ERR_SYNTAX);
}

static void memory(void **state)
{
    (void)state;
    uint8_t a[3] = {1, 2, 3}, b[3] = {1, 2, 3};
    assert_true(mem_equal_ct(a, b, 3));
    for (int i = 0; i < 3; i++) {
        b[i] ^= 0x80;
        assert_false(mem_equal_ct(a, b, 3));
        b[i] ^= 0x80;
    }
    assert_true(mem_equal_ct(a, b, 0));
    mem_wipe(a, 2);
    assert_int_equal(a[0] | a[1], 0);
    assert_int_equal(a[2], 3);
}

static void names(void **state)
{
    (void)state;
    for (int e = OK; e <= ERR_SYSTEM; e++) {
        assert_string_not_equal(err_name((enum err)e), "unknown");
        for (int f = OK; f < e; f++)
            assert_string_not_equal(err_name((enum err)e), err_name((enum err)f));
    }
    assert_string_equal(err_name((enum err)99), "unknown");
    uint64_t before = expect_failed;
    assert_true(EXPECT(1 == 1));
    assert_false(EXPECT(1 == 2));
    assert_int_equal(expect_failed, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices), cmocka_unit_test(comparisons), cmocka_unit_test(finds),
        cmocka_unit_test(spans),  cmocka_unit_test(numbers),     cmocka_unit_test(hex),
        cmocka_unit_test(base64), cmocka_unit_test(memory),      cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
