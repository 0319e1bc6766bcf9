#include "base/test.h"

#include "crypto/secret.h"

static void test_secret(void **state)
{
    (void)state;
    struct secret x = {0}, zero = {0};
    char big[SECRET_MAX + 1] = {0};
    assert_ok(secret_set(&x, STR("hunter2 hunter3")));
    assert_true(secret_is(&x, STR("hunter2 hunter3")));
    assert_false(secret_is(&x, STR("hunter2 hunter4")));
    assert_false(secret_is(&x, STR("hunter2 hunter")));
    assert_false(secret_is(&x, STR_NONE));
    assert_err(secret_set(&x, str_of(big, sizeof(big))), ERR_LIMIT);
    assert_true(secret_is(&x, STR("hunter2 hunter3"))); /* unchanged */
    assert_ok(secret_set(&x, STR("short")));
    for (unsigned i = 5; i < SECRET_MAX; i++) /* nothing of the longer one is left */
        assert_int_equal(x.b[i], 0);
    assert_ok(secret_set(&x, str_of(big, SECRET_MAX)));
    assert_int_equal(x.n, SECRET_MAX);
    secret_wipe(&x);
    assert_memory_equal(&x, &zero, sizeof(x));
    assert_true(secret_is(&x, STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_secret)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
