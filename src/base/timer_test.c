#include "base/rng.h"
#include "base/test.h"
#include "base/timer.h"

static struct wheel w;

static struct instant ms(int64_t v)
{
    return (struct instant){v * 1000};
}

static void never_early(void **state)
{
    (void)state;
    struct timer t = {0};
    wheel_init(&w, ms(1000));
    assert_int_equal(wheel_next(&w).us, INSTANT_NEVER.us);
    timer_arm(&w, &t, (struct instant){1005001});
    assert_true(timer_armed(&t));
    assert_int_equal(wheel_next(&w).us, 1006000);
    assert_null(wheel_pop(&w, (struct instant){1005999}));
    assert_ptr_equal(wheel_pop(&w, ms(1006)), &t);
    assert_false(timer_armed(&t));
    assert_null(wheel_pop(&w, ms(1006)));
    timer_arm(&w, &t, ms(1007)); /* a whole millisecond is due at once then */
    assert_ptr_equal(wheel_pop(&w, ms(1007)), &t);
    timer_arm(&w, &t, ms(3)); /* long past */
    assert_int_equal(wheel_next(&w).us, 1007000);
    assert_ptr_equal(wheel_pop(&w, ms(1007)), &t);
    assert_null(wheel_pop(&w, ms(2000)));
    timer_arm(&w, &t, ms(2010));
    assert_null(wheel_pop(&w, ms(500))); /* a clock that goes back changes nothing */
    assert_ptr_equal(wheel_pop(&w, ms(2010)), &t);
}

static void stop_and_rearm(void **state)
{
    (void)state;
    struct timer a = {0}, b = {0};
    wheel_init(&w, ms(0));
    timer_arm(&w, &a, ms(10));
    timer_arm(&w, &b, ms(10));
    timer_arm(&w, &a, ms(20));
    assert_int_equal(w.armed, 2);
    timer_stop(&w, &b);
    timer_stop(&w, &b);
    assert_int_equal(w.armed, 1);
    assert_int_equal(wheel_next(&w).us, 20000);
    assert_null(wheel_pop(&w, ms(19)));
    assert_ptr_equal(wheel_pop(&w, ms(1000000)), &a);
    assert_int_equal(w.armed, 0);
}

static void same_tick_in_order(void **state)
{
    (void)state;
    struct timer t[4] = {{0}};
    wheel_init(&w, ms(0));
    for (int i = 0; i < 4; i++)
        timer_arm(&w, &t[i], ms(5000));
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(wheel_pop(&w, ms(5000)), &t[i]);
}

/* Each side of every level's reach, and beyond the last. */
static void levels(void **state)
{
    (void)state;
    for (int level = 1; level <= WHEEL_LEVELS; level++) {
        for (int64_t d = -2; d <= 2; d++) {
            for (int64_t from = 0; from < 200; from += 63) {
                int64_t due = from + (INT64_C(1) << (WHEEL_BITS * level)) + d;
                struct timer t = {0};
                wheel_init(&w, ms(from));
                timer_arm(&w, &t, ms(due));
                assert_true(wheel_next(&w).us <= due * 1000);
                assert_null(wheel_pop(&w, ms(due - 1)));
                assert_ptr_equal(wheel_pop(&w, ms(due)), &t);
            }
        }
    }
    struct timer far = {0};
    wheel_init(&w, ms(1));
    timer_arm(&w, &far, ms(INT64_C(1) << 40));
    assert_null(wheel_pop(&w, ms((INT64_C(1) << 40) - 1)));
    assert_ptr_equal(wheel_pop(&w, ms(INT64_C(1) << 40)), &far);
    timer_arm(&w, &far, INSTANT_NEVER);
    assert_null(wheel_pop(&w, ms(INT64_C(1) << 41)));
    timer_stop(&w, &far);
}

enum { TIMERS = 200 };
struct model {
    struct timer t[TIMERS];
    int64_t due_ms[TIMERS]; /* rounded up; -1 = not armed */
    int64_t now_us;
};

static int64_t model_first(const struct model *m)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < TIMERS; i++) {
        if (m->due_ms[i] >= 0)
            best = MIN(best, m->due_ms[i]);
    }
    return best;
}

static void model_drain(struct model *m)
{
    struct instant now = {m->now_us};
    int64_t before = INT64_MIN;
    for (struct timer *t; (t = wheel_pop(&w, now));) {
        int64_t *due = &m->due_ms[t - m->t];
        assert_true(*due >= 0 && *due * 1000 <= m->now_us);
        assert_true(*due >= before); /* in order of ticks */
        before = *due;
        *due = -1;
    }
    int64_t first = model_first(m);
    assert_true(first == INT64_MAX || first * 1000 > m->now_us);
    int64_t next = wheel_next(&w).us;
    assert_true(next > m->now_us || next == INSTANT_NEVER.us);
    assert_true(first == INT64_MAX ? next == INSTANT_NEVER.us : next <= first * 1000);
    if (first != INT64_MAX && first >> WHEEL_BITS == m->now_us / 1000 >> WHEEL_BITS)
        assert_int_equal(next, first * 1000);
}

static void against_model(void **state)
{
    (void)state;
    static struct model m;
    static const uint8_t seed[32] = {11};
    struct rng r;
    rng_init(&r, seed);
    m.now_us = 123456789;
    wheel_init(&w, (struct instant){m.now_us});
    for (int i = 0; i < TIMERS; i++)
        m.due_ms[i] = -1;
    for (int step = 0; step < 30000; step++) {
        int i = (int)rng_below(&r, TIMERS);
        if (rng_below(&r, 4) == 0) {
            timer_stop(&w, &m.t[i]);
            m.due_ms[i] = -1;
        } else {
            int64_t ahead = (int64_t)rng_below(&r, 1u << (6 + rng_below(&r, 26)));
            int64_t due = MAX(m.now_us + ahead * (rng_below(&r, 2) ? 1 : 1000), 0);
            timer_arm(&w, &m.t[i], (struct instant){due});
            /* What is due already counts from the tick that the wheel stands at. */
            m.due_ms[i] = MAX((due + 999) / 1000, m.now_us / 1000);
        }
        if (rng_below(&r, 3) == 0) {
            m.now_us += rng_below(&r, 1u << rng_below(&r, 32));
            model_drain(&m);
        } else if (rng_below(&r, 50) == 0 && w.armed) { /* exactly when the wheel says */
            m.now_us = MAX(wheel_next(&w).us, m.now_us);
            model_drain(&m);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_early),        cmocka_unit_test(stop_and_rearm),
        cmocka_unit_test(same_tick_in_order), cmocka_unit_test(levels),
        cmocka_unit_test(against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
