#include "base/test.h"
#include "crypto/sti.h"

#define DER(lit) STR(lit)

static void test_numbers(void **s)
{
    struct sti_facts f = {0};
    (void)s;
    assert_int_equal(sti_numbers(DER("\x30\x08\xa0\x06\x16\x04"
                                     "709J"),
                                 &f),
                     OK);
    assert_true(f.has_spc && str_eq(str_c(f.spc), STR("709J")) && f.n_ranges == 0);
    f = (struct sti_facts){0};
    assert_int_equal(sti_numbers(DER("\x30\x15\xa1\x0c\x30\x0a\x16\x05"
                                     "49300"
                                     "\x02\x01\x64\xa2\x05\x16\x03"
                                     "491"),
                                 &f),
                     OK);
    assert_true(!f.has_spc && f.n_ranges == 2);
    assert_true(f.range[0].first == 49300 && f.range[0].count == 100 && f.range[0].digits == 5);
    assert_true(f.range[1].first == 491 && f.range[1].count == 1 && f.range[1].digits == 3);
}

static void test_refused(void **s)
{
    static const struct str rows[] = {
        {"", 0},
        {"\x30\x00", 2}, /* empty */
        {"\x30\x08\xa0\x06\x16\x04"
         "709",
         9}, /* cut */
        {"\x30\x08\xa0\x06\x16\x04"
         "709Jx",
         11}, /* leftover */
        {"\x30\x08\xa3\x06\x16\x04"
         "709J",
         10}, /* no such choice */
        {"\x30\x08\xa0\x06\x0c\x04"
         "709J",
         10},                            /* UTF8String */
        {"\x30\x04\xa0\x02\x16\x00", 6}, /* empty code */
        {"\x30\x07\xa2\x05\x16\x03"
         "4a1",
         9}, /* no number */
        {"\x30\x80\xa2\x05\x16\x03"
         "491\0\0",
         11}, /* indefinite length */
        {"\x30\x0e\xa1\x0c\x30\x0a\x16\x05"
         "49300"
         "\x02\x01\x01",
         16}, /* a range of one */
        {"\x30\x0e\xa1\x0c\x30\x0a\x16\x05"
         "49300"
         "\x02\x01\x82",
         16}, /* negative */
        {"\x30\x0b\xa1\x09\x30\x07\x16\x05"
         "49300",
         13}, /* no count */
    };
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sti_facts f = {0};
        if (sti_numbers(rows[i], &f) != ERR_SYNTAX)
            fail_msg("row %zu", i);
    }
}

static void test_too_many(void **s)
{
    char der[4 + 7 * (STI_RANGES + 1)];
    struct sti_facts f = {0};
    (void)s;
    for (unsigned n = STI_RANGES; n <= STI_RANGES + 1; n++) {
        struct out o = out_of(der, sizeof der);
        size_t body = 7u * n;
        out_put(&o, STR("\x30\x81"));
        out_ch(&o, (char)body);
        for (unsigned i = 0; i < n; i++)
            out_put(&o, STR("\xa2\x05\x16\x03"
                            "491"));
        f = (struct sti_facts){0};
        assert_int_equal(sti_numbers(out_str(&o), &f), n > STI_RANGES ? ERR_LIMIT : OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_too_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
