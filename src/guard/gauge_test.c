#include "base/test.h"
#include "guard/gauge.h"

static void ticks(void **state)
{
    (void)state;
    assert_int_equal(tick_of((struct instant){0}), 0);
    assert_int_equal(tick_of((struct instant){1000000}), TICKS_A_SECOND);
    assert_int_equal(ticks_of(60), 60 * TICKS_A_SECOND);
    assert_int_equal(ticks_of(UINT32_MAX), WINDOW_MAX_S * TICKS_A_SECOND); /* no overflow */
}

static void gauge_fills_and_leaks(void **state)
{
    (void)state;
    struct gauge g = {0};
    const uint32_t t = 10 * GAUGE_ONE, w = 1000;
    for (unsigned i = 1; i <= 10; i++)
        assert_int_equal(gauge_add(&g, GAUGE_ONE, t, w, 5000), i * GAUGE_ONE);
    assert_int_equal(gauge_add(&g, 0, t, w, 5000 + w / 2), t / 2);
    assert_int_equal(gauge_add(&g, 0, t, w, 5000 + w - 1), 1);
    assert_int_equal(gauge_add(&g, 0, t, w, 5000 + w), 0);
    assert_int_equal(gauge_add(&g, 0, t, w, 5000 + 100 * w), 0);
}

static void gauge_at_its_rate_never_fires(void **state)
{
    (void)state;
    struct gauge g = {0}, fast = {0};
    uint32_t most = 0, reached = 0;
    for (uint32_t now = 0; now < 100000; now += 100) /* just the threshold in a window */
    {
        uint32_t v = gauge_add(&g, GAUGE_ONE, 10 * GAUGE_ONE, 1000, now);
        most = MAX(most, v);
    }
    assert_true(most < 2 * GAUGE_ONE);
    for (uint32_t now = 0; now < 10000; now += 50) /* twice it */
    {
        uint32_t v = gauge_add(&fast, GAUGE_ONE, 10 * GAUGE_ONE, 1000, now);
        reached = MAX(reached, v);
    }
    assert_true(reached >= 10 * GAUGE_ONE);
}

static void gauge_keeps_what_leaks_in_part(void **state)
{
    (void)state;
    struct gauge g = {0};
    (void)gauge_add(&g, 100 * GAUGE_ONE, 7, 1000, 0);
    for (uint32_t now = 1; now <= 1000; now++) /* looked at each tick, it leaks as much */
        (void)gauge_add(&g, 0, 7, 1000, now);
    assert_int_equal(g.v, 100 * GAUGE_ONE - 7);
}

/* A flood asks many times within a tick: what leaks in one leaks once. */
static void gauge_leaks_once_a_tick(void **state)
{
    (void)state;
    struct gauge g = {0};
    const uint32_t t = 500 * GAUGE_ONE, w = 10 * TICKS_A_SECOND;
    uint32_t n = 0;
    for (uint32_t now = 100; n < 5000 && gauge_add(&g, GAUGE_ONE, t, w, now) < t; n++) {
        now += n % 16 == 15; /* 16 a tick, some 2000 a second; 50 of them leak */
        (void)gauge_add(&g, 0, t, w, now);
    }
    assert_in_range(n, 499, 520);
}

static void gauge_wraps_and_saturates(void **state)
{
    (void)state;
    struct gauge g = {.at = UINT32_MAX - 10, .v = 5 * GAUGE_ONE};
    assert_int_equal(gauge_add(&g, 0, 10 * GAUGE_ONE, 1000, 89), 4 * GAUGE_ONE);
    assert_int_equal(gauge_add(&g, UINT64_MAX, 1, 1, 89), INT32_MAX);
    assert_int_equal(gauge_add(&g, UINT64_MAX, 1, 1, 89), INT32_MAX);
}

static void set_counts_what_differs(void **state)
{
    (void)state;
    struct set s = {0};
    assert_int_equal(set_count(&s), 0);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(set_add(&s, mix64(7), 1000, 5), 1);
    static const unsigned SIZES[] = {5, 10, 20, 40, 80, 150, 250};
    for (unsigned k = 0; k < ARRAY_LEN(SIZES); k++) {
        uint64_t sum = 0;
        for (unsigned run = 0; run < 50; run++) {
            struct set x = {0};
            for (unsigned i = 0; i < SIZES[k]; i++)
                (void)set_add(&x, mix64(mix64(run * 1000 + i + 1)), 1000, 5);
            sum += set_count(&x);
        }
        assert_in_range(sum / 50, SIZES[k] * 94 / 100, SIZES[k] * 107 / 100 + 1);
    }
    for (unsigned i = 0; i < 100000; i++)
        (void)set_add(&s, mix64(i), 1000, 5);
    assert_int_equal(set_count(&s), SET_FULL);
}

static void set_forgets_after_two_windows(void **state)
{
    (void)state;
    struct set s = {0};
    for (unsigned i = 0; i < 10; i++)
        (void)set_add(&s, i, 1000, 100);
    s.fired = 9;
    assert_int_equal(set_add(&s, 63, 1000, 1099), 12); /* 11 bits of 128 */
    assert_int_equal(set_add(&s, 64, 1000, 1100), 13); /* the next window: the last still counts */
    assert_int_equal(set_add(&s, 64, 1000, 2100), 1);
    assert_int_equal(s.fired, 9);
    assert_int_equal(set_add(&s, 5, 1000, 9000), 1); /* long after: anew */
    assert_int_equal(s.fired, 0);
}

static void bigset_counts_thousands(void **state)
{
    (void)state;
    static struct bigset b;
    uint32_t n = 0;
    for (unsigned i = 0; i < 1000; i++)
        n = bigset_add(&b, mix64(mix64(i + 1)), 1000, 5);
    assert_in_range(n, 950, 1050);
    assert_int_equal(bigset_add(&b, mix64(mix64(1)), 1000, 5), n);
    n = bigset_add(&b, mix64(mix64(1)), 1000, 1005);
    assert_in_range(n, 950, 1050);
    n = bigset_add(&b, mix64(mix64(1)), 1000, 2005);
    assert_int_equal(n, 1);
    for (unsigned i = 0; i < 3000; i++)
        n = bigset_add(&b, mix64(mix64(i + 1)), 1000, 2006);
    assert_in_range(n, 2700, 3300);
    assert_int_equal(bigset_add(&b, 1, 1000, 900000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks),
        cmocka_unit_test(gauge_fills_and_leaks),
        cmocka_unit_test(gauge_at_its_rate_never_fires),
        cmocka_unit_test(gauge_keeps_what_leaks_in_part),
        cmocka_unit_test(gauge_leaks_once_a_tick),
        cmocka_unit_test(gauge_wraps_and_saturates),
        cmocka_unit_test(set_counts_what_differs),
        cmocka_unit_test(set_forgets_after_two_windows),
        cmocka_unit_test(bigset_counts_thousands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
