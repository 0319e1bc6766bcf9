#include "base/err.h"
#include "base/test.h"

/* Each error has a word of its own: logs and tests tell them apart by nothing else. */
static void words(void **state)
{
    (void)state;
    for (int i = OK; i <= ERR_SYSTEM; i++) {
        const char *w = err_name((enum err)i);
        assert_string_not_equal(w, "unknown");
        assert_true(strlen(w) >= 2 && strlen(w) <= 16);
        assert_int_equal(strspn(w, "abcdefghijklmnopqrstuvwxyz-"), strlen(w));
        for (int k = OK; k < i; k++)
            assert_string_not_equal(w, err_name((enum err)k));
    }
    assert_string_equal(err_name(OK), "ok");
    assert_string_equal(err_name(ERR_SYNTAX), "syntax");
    assert_string_equal(err_name(ERR_NOT_FOUND), "not-found");
    assert_string_equal(err_name(ERR_SYSTEM), "system");
}

static void beyond(void **state)
{
    (void)state;
    assert_string_equal(err_name((enum err)(ERR_SYSTEM + 1)), "unknown");
    assert_string_equal(err_name((enum err)0x7fffffff), "unknown");
}

/* A caller that only asks whether it went well may compare with 0. */
static void ok_is_zero(void **state)
{
    (void)state;
    assert_int_equal(OK, 0);
    assert_true(ERR_SYNTAX > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words), cmocka_unit_test(beyond),
                                       cmocka_unit_test(ok_is_zero)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
