#include "base/test.h"

#include "crypto/password.h"

static void test_make(void **state)
{
    (void)state;
    struct rng rng;
    const uint8_t seed[32] = {3};
    char a[PASSWORD_CHARS], b[PASSWORD_CHARS];
    unsigned seen[256] = {0}, different = 0;
    rng_init(&rng, seed);
    password_make(&rng, b);
    for (unsigned i = 0; i < 500; i++) {
        password_make(&rng, a);
        assert_memory_not_equal(a, b, sizeof(a));
        memcpy(b, a, sizeof(a));
        assert_ok(password_fit(str_of(a, sizeof(a))));
        for (unsigned k = 0; k < PASSWORD_CHARS; k++) {
            assert_null(memchr("0OolI15S", a[k], 8));
            assert_true((a[k] >= '2' && a[k] <= '9') || (a[k] >= 'A' && a[k] <= 'Z') ||
                        (a[k] >= 'a' && a[k] <= 'z'));
            seen[(uint8_t)a[k]]++;
        }
    }
    for (unsigned i = 0; i < 256; i++) {
        different += seen[i] > 0;
        assert_true(seen[i] == 0 || (seen[i] > 120 && seen[i] < 350)); /* about 222 each */
    }
    assert_int_equal(different, 54);
}

static void test_fit(void **state)
{
    (void)state;
    char big[PASSWORD_MAX + 1];
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)('a' + i % 26);
    static const struct {
        const char *p;
        enum err e;
    } rows[] = {{"abcdefg", ERR_RANGE},
                {"abcdefgh", OK},
                {"", ERR_RANGE},
                {"aaaabbbb", ERR_RANGE},
                {"aaaabbcd", ERR_RANGE},
                {"aaabbcde", OK},
                {"abcdefg\n", ERR_SYNTAX},
                {"abcdefg\x7f", ERR_SYNTAX},
                {"caf\xc3\xa9 au lait", OK}};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        assert_err(password_fit(str_c(rows[i].p)), rows[i].e);
    assert_ok(password_fit(str_of(big, PASSWORD_MAX)));
    assert_err(password_fit(str_of(big, PASSWORD_MAX + 1)), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_make), cmocka_unit_test(test_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
