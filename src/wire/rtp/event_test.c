#include "base/test.h"
#include "wire/rtp/event.h"

static unsigned hear(struct rtp_ear *e, uint32_t ts, uint8_t code, bool end, char ret[2])
{
    uint8_t p[4] = {code, (uint8_t)(10 | (end ? 0x80 : 0)), 3, 0x20};
    struct rtp_event ev;
    assert_ok(rtp_event_parse(p, sizeof p, &ev));
    assert_int_equal(ev.code, code);
    assert_int_equal(ev.end, end);
    assert_int_equal(ev.duration, 800);
    return rtp_ear_hear(e, ts, &ev, ret);
}

static void one_press_is_one_digit(void **state)
{
    (void)state;
    struct rtp_ear e = {0};
    char d[2];
    assert_int_equal(hear(&e, 100, 5, false, d), 0);
    assert_int_equal(hear(&e, 100, 5, false, d), 0);
    assert_int_equal(hear(&e, 100, 5, true, d), 1);
    assert_int_equal(d[0], '5');
    assert_int_equal(hear(&e, 100, 5, true, d), 0);
    assert_int_equal(hear(&e, 100, 5, true, d), 0);
    assert_int_equal(hear(&e, 900, 5, true, d), 1); /* pressed again */
    assert_int_equal(d[0], '5');
    assert_int_equal(hear(&e, 100, 5, true, d), 0); /* a late copy */
}

static void lost_ends_lose_no_digit(void **state)
{
    (void)state;
    struct rtp_ear e = {0};
    char d[2];
    assert_int_equal(hear(&e, 0xffffff00u, 1, false, d), 0);
    assert_int_equal(hear(&e, 0x100, 2, false, d), 1); /* the clock went round */
    assert_int_equal(d[0], '1');
    assert_int_equal(hear(&e, 0x900, 11, true, d), 2);
    assert_int_equal(d[0], '2');
    assert_int_equal(d[1], '#');
}

static void what_is_no_digit(void **state)
{
    (void)state;
    struct rtp_ear e = {0};
    struct rtp_event ev;
    char d[2];
    uint8_t p[8] = {0};
    for (size_t n = 0; n <= sizeof p; n++)
        assert_int_equal(rtp_event_parse(p, n, &ev) == OK, n == 4 || n == 8);
    assert_int_equal(rtp_event_digit(15), 'D');
    assert_int_equal(rtp_event_digit(16), 0);
    assert_int_equal(hear(&e, 1, 16, true, d), 0); /* hook flash */
    assert_int_equal(hear(&e, 2, 0, true, d), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_press_is_one_digit),
                                       cmocka_unit_test(lost_ends_lose_no_digit),
                                       cmocka_unit_test(what_is_no_digit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
