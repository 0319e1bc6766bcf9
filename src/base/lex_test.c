#include "base/lex.h"
#include "base/test.h"

static void sets(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        bool digit = i >= '0' && i <= '9';
        bool alpha = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
        bool hex = digit || (i >= 'a' && i <= 'f') || (i >= 'A' && i <= 'F');
        bool token = digit || alpha || (i && strchr("-.!%*_+`'~", i));
        assert_int_equal(lex_in(&LEX_DIGIT, c), digit);
        assert_int_equal(lex_in(&LEX_ALPHA, c), alpha);
        assert_int_equal(lex_in(&LEX_ALNUM, c), alpha || digit);
        assert_int_equal(lex_in(&LEX_HEX, c), hex);
        assert_int_equal(lex_in(&LEX_TOKEN, c), token);
        assert_int_equal(lex_in(&LEX_WSP, c), i == ' ' || i == '\t');
    }
}

static void reads_like_grammar(void **state)
{
    (void)state;
    struct lex l = lex_of(STR("SIP/2.0/UDP host:5060;rport"));
    assert_true(lex_have_istr(&l, STR("sip")));
    lex_need(&l, '/');
    assert_int_equal(lex_num(&l, 9, 1), 2);
    assert_false(lex_have_str(&l, STR(".0/u")));
    assert_true(lex_have_str(&l, STR(".0/")));
    assert_str(lex_run(&l, &LEX_TOKEN, 1, 8), "UDP");
    lex_sws(&l, 1);
    assert_str(lex_until(&l, ';', 16), "host:5060");
    assert_int_equal(lex_peek(&l), ';');
    assert_true(lex_have(&l, ';'));
    assert_str(lex_rest(&l), "rport");
    assert_str(lex_until(&l, '=', 5), "rport");
    assert_true(lex_end(&l));
    assert_true(lex_ok(&l));
    assert_int_equal(lex_peek(&l), 0);
}

static void run_limits(void **state)
{
    (void)state;
    struct lex l = lex_of(STR("123x"));
    assert_str(lex_run(&l, &LEX_DIGIT, 3, 3), "123");
    l = lex_of(STR("123x"));
    assert_int_equal(lex_run(&l, &LEX_DIGIT, 0, 2).n, 0);
    assert_err(l.err, ERR_LIMIT);
    assert_ptr_equal(l.p, l.start);
    l = lex_of(STR("123x"));
    assert_int_equal(lex_run(&l, &LEX_DIGIT, 4, 9).n, 0);
    assert_err(l.err, ERR_SYNTAX);
    l = lex_of(STR("x"));
    assert_int_equal(lex_run(&l, &LEX_DIGIT, 0, 9).n, 0);
    assert_true(lex_ok(&l));
    l = lex_of(STR_NONE);
    assert_int_equal(lex_run(&l, &LEX_DIGIT, 0, 0).n, 0);
    assert_true(lex_ok(&l) && lex_end(&l));
}

static void until_limits(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t max;
        enum err e;
        size_t n;
    } rows[] = {{"abc;d", 3, OK, 3}, {"abcd;", 3, ERR_LIMIT, 0},
                {"abc", 3, OK, 3},   {"abcd", 3, ERR_LIMIT, 0},
                {";", 0, OK, 0},     {"a", 0, ERR_LIMIT, 0},
                {"", 0, OK, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lex l = lex_of(str_c(rows[i].in));
        assert_int_equal(lex_until(&l, ';', rows[i].max).n, rows[i].n);
        assert_err(l.err, rows[i].e);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        uint64_t max, v;
        size_t digits;
        enum err e;
    } rows[] = {
        {"0", 0, 0, 1, OK},
        {"65535;", 65535, 65535, 5, OK},
        {"65536", 65535, 0, 5, ERR_LIMIT},
        {"00001", 9, 1, 5, OK},
        {"000001", 9, 0, 5, ERR_LIMIT},
        {"", 9, 0, 5, ERR_SYNTAX},
        {"x", 9, 0, 5, ERR_SYNTAX},
        {"-1", 9, 0, 5, ERR_SYNTAX},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, 20, OK},
        {"18446744073709551616", UINT64_MAX, 0, 20, ERR_LIMIT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lex l = lex_of(str_c(rows[i].in));
        assert_int_equal(lex_num(&l, rows[i].max, rows[i].digits), rows[i].v);
        assert_err(l.err, rows[i].e);
    }
}

static void white_space(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t max;
        enum err e;
        const char *rest;
    } rows[] = {
        {" \t x", 9, OK, "x"},      {"x", 0, OK, "x"},
        {"\r\n x", 3, OK, "x"},     {"\r\n x", 2, ERR_LIMIT, ""},
        {"  \r\n\t y", 6, OK, "y"}, {"\r\nx", 9, OK, "\r\nx"}, /* the line ends here */
        {" \r x", 9, OK, "\r x"},   {" \n x", 9, OK, "\n x"},
        {"   ", 3, OK, ""},         {"   ", 2, ERR_LIMIT, ""},
        {"\r\n", 9, OK, "\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lex l = lex_of(str_c(rows[i].in));
        lex_sws(&l, rows[i].max);
        assert_err(l.err, rows[i].e);
        assert_str_eq(lex_rest(&l), str_c(rows[i].rest));
    }
}

static void quoted(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        size_t max;
        enum err e;
        struct str want, rest;
    } rows[] = {
        {{"\"bob\" <", 7}, 3, OK, {"bob", 3}, {" <", 2}},
        {{"\"bob\"", 5}, 2, ERR_LIMIT, {"", 0}, {"", 0}},
        {{"\"\"x", 3}, 0, OK, {"", 0}, {"x", 1}},
        {{"\"a\\\"b\"", 6}, 9, OK, {"a\\\"b", 4}, {"", 0}},
        {{"\"a\\\\\"b\"", 7}, 9, OK, {"a\\\\", 3}, {"b\"", 2}},
        {{"\"a\r\n b\"", 7}, 9, OK, {"a\r\n b", 5}, {"", 0}},
        {{"\"\xc3\xbc\"", 4}, 9, OK, {"\xc3\xbc", 2}, {"", 0}},
        {{"\"\\\0\"", 4}, 9, OK, {"\\\0", 2}, {"", 0}}, /* quoted-pair may hide NUL */
        {{"\"a\0b\"", 5}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"a\x7f\"", 4}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"a\r\nb\"", 6}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"a\nb\"", 5}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"a\\\r\n b\"", 8}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"a\\\x80\"", 5}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"a", 2}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"a\\\"", 4}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"a\\", 3}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"\"", 1}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"", 0}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
        {{"bob", 3}, 9, ERR_SYNTAX, {"", 0}, {"", 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lex l = lex_of(rows[i].in);
        assert_str_eq(lex_quoted(&l, rows[i].max), rows[i].want);
        assert_err(l.err, rows[i].e);
        assert_str_eq(lex_rest(&l), rows[i].rest);
    }
}

static void first_error_stays(void **state)
{
    (void)state;
    struct lex l = lex_of(STR("abc"));
    lex_need(&l, 'x');
    lex_fail(&l, ERR_LIMIT);
    assert_err(l.err, ERR_SYNTAX);
    assert_false(lex_have(&l, 'a'));
    assert_false(lex_have_str(&l, STR("")));
    assert_int_equal(lex_peek(&l), 0);
    assert_int_equal(lex_until(&l, 'b', 9).n, 0);
    assert_int_equal(lex_quoted(&l, 9).n, 0);
    assert_int_equal(lex_num(&l, 9, 9), 0);
    lex_sws(&l, 9);
    assert_ptr_equal(l.p, l.start);
    assert_true(lex_end(&l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets),       cmocka_unit_test(reads_like_grammar),
        cmocka_unit_test(run_limits), cmocka_unit_test(until_limits),
        cmocka_unit_test(numbers),    cmocka_unit_test(white_space),
        cmocka_unit_test(quoted),     cmocka_unit_test(first_error_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
