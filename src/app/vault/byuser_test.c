#include "app/vault/byuser.h"
#include "base/test.h"

#define MAX_ROWS 200u
struct thing {
    char aor[BY_USER_AOR + 1];
    uint32_t what;
};
static const struct sipkey key = {3, 4};
static struct by_user t;
#define ALICE STR("alice@example.com")
#define BOB   STR("bob@example.com")

static int fresh(void **state)
{
    (void)state;
    by_user_init(&t, sizeof(struct thing), MAX_ROWS, &key);
    return 0;
}

static int done(void **state)
{
    (void)state;
    by_user_done(&t);
    return 0;
}

static struct thing *add(struct str aor, uint32_t what)
{
    void *row = NULL;
    assert_ok(by_user_add(&t, aor, &row));
    struct thing *x = row;
    assert_int_equal(x->what, 0);
    x->what = what;
    return x;
}

/* How many rows that user has, and the sum of them. */
static unsigned rows_of(struct str aor, uint32_t *ret_sum)
{
    uint32_t it = 0;
    unsigned n = 0;
    const struct thing *x;
    for (*ret_sum = 0; (x = by_user_next(&t, aor, &it)) != NULL; n++)
        *ret_sum += x->what;
    return n;
}

static void rows_are_found_by_their_user(void **state)
{
    (void)state;
    uint32_t sum;
    assert_int_equal(rows_of(ALICE, &sum), 0);
    for (uint32_t i = 1; i <= 70; i++) /* beyond the first room */
        (void)add(i % 7 ? ALICE : BOB, i);
    assert_int_equal(rows_of(ALICE, &sum), 60);
    assert_int_equal(sum, 70 * 71 / 2 - 7 * 55);
    assert_int_equal(rows_of(BOB, &sum), 10);
    assert_int_equal(sum, 7 * 55);
    assert_int_equal(rows_of(STR("alice@example.co"), &sum), 0);
}

static void one_goes_and_the_others_stay(void **state)
{
    (void)state;
    uint32_t sum;
    for (uint32_t i = 1; i <= 5; i++)
        (void)add(i % 2 ? ALICE : BOB, i);
    by_user_drop(&t, by_user_at(&t, 0)); /* the last one moves to its place */
    assert_int_equal(t.n, 4);
    assert_int_equal(rows_of(ALICE, &sum), 2);
    assert_int_equal(sum, 3 + 5);
    assert_int_equal(rows_of(BOB, &sum), 2);
    by_user_drop(&t, by_user_at(&t, 3)); /* itself the last */
    assert_int_equal(t.n, 3);
    while (t.n)
        by_user_drop(&t, by_user_at(&t, 0));
    assert_int_equal(rows_of(ALICE, &sum) + rows_of(BOB, &sum), 0);
    (void)add(ALICE, 9);
    assert_int_equal(rows_of(ALICE, &sum), 1);
    assert_int_equal(sum, 9);
}

static void bounds(void **state)
{
    (void)state;
    char text[BY_USER_AOR + 2];
    void *row;
    memset(text, 'a', sizeof text);
    assert_err(by_user_add(&t, STR_NONE, &row), ERR_LIMIT);
    assert_err(by_user_add(&t, str_of(text, BY_USER_AOR + 1), &row), ERR_LIMIT);
    (void)add(str_of(text, BY_USER_AOR), 1);
    for (uint32_t i = 1; i < MAX_ROWS; i++)
        (void)add(ALICE, i);
    assert_err(by_user_add(&t, BOB, &row), ERR_FULL);
    by_user_drop(&t, by_user_at(&t, 7));
    (void)add(BOB, 1);
}

static void texts_are_cut_and_cleaned(void **state)
{
    (void)state;
    char to[5];
    by_user_text(to, 4,
                 STR("a\tb\x7f"
                     "cdef"));
    assert_string_equal(to, "abcd");
    by_user_text(to, 4, STR_NONE);
    assert_string_equal(to, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_found_by_their_user, fresh, done),
        cmocka_unit_test_setup_teardown(one_goes_and_the_others_stay, fresh, done),
        cmocka_unit_test_setup_teardown(bounds, fresh, done),
        cmocka_unit_test(texts_are_cut_and_cleaned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
