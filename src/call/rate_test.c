#include "call/fixture_test.h"

static struct rate_table *t;

static int setup(void **state)
{
    (void)state;
    t = rate_init(test_calloc(1, rate_bytes(64)), 64);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    test_free(t);
    return 0;
}

static unsigned burst(uint64_t who, int64_t at_us, unsigned tries)
{
    unsigned ok = 0;
    for (unsigned i = 0; i < tries; i++)
        ok += rate_take(t, who, 10, 20, (struct instant){at_us});
    return ok;
}

static void burst_then_rate(void **state)
{
    (void)state;
    assert_int_equal(burst(1, 1000000, 30), 20);
    assert_int_equal(burst(1, 1099999, 5), 0);
    assert_int_equal(burst(1, 1100000, 5), 1);
    assert_int_equal(burst(1, 9000000, 30), 20);
}

static void sources_do_not_share(void **state)
{
    (void)state;
    assert_int_equal(burst(1, 1, 30), 20);
    assert_int_equal(burst(2, 1, 30), 20);
}

static void the_longest_idle_is_forgotten(void **state)
{
    (void)state;
    assert_int_equal(burst(16, 1000, 30), 20);
    for (uint64_t i = 2; i < 6; i++) /* same set: multiples of 16 */
        assert_int_equal(burst(i * 16, (int64_t)i * 1000, 30), 20);
    assert_int_equal(burst(16, 7000, 30), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(burst_then_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(sources_do_not_share, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_idle_is_forgotten, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
