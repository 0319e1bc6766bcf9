#include "call/fixture_test.h"

static void sizes_and_checks(void **state)
{
    (void)state;
    for (unsigned k = 1; k < FACT_KIND_COUNT; k++) {
        struct fact f = {.kind = (uint8_t)k, .bytes = (uint16_t)fact_size((enum fact_kind)k)};
        assert_true(f.bytes > 0 && f.bytes <= sizeof f);
        if (k == FACT_BAN) /* nobody is banned by nothing */
            f.u.ban.ban = (struct ban){.scope = BAN_AOR, .treat = TREAT_LOCK, .key = 1, .times = 1};
        assert_ok(fact_valid(&f, f.bytes));
        assert_int_not_equal(fact_valid(&f, f.bytes - 1u), OK);
        f.reason = REASON_COUNT;
        assert_int_not_equal(fact_valid(&f, f.bytes), OK);
    }
    struct fact f = {.kind = FACT_KIND_COUNT, .bytes = 100};
    assert_int_not_equal(fact_valid(&f, 100), OK);
    assert_int_not_equal(fact_valid(&f, 3), OK);
}

static void texts_are_cut_and_cleaned(void **state)
{
    (void)state;
    struct text_short t;
    TEXT_SET(t, STR("a\nb\x1b[2J"));
    assert_str(TEXT_STR(t), "a?b?[2J");
    TEXT_SET(t, STR("0123456789012345678901234567890123456789"));
    assert_int_equal(t.n, sizeof t.p);
}

static void text_longer_than_its_room_is_refused(void **state)
{
    (void)state;
    struct fact f = {.kind = FACT_CALL_END, .bytes = (uint16_t)fact_size(FACT_CALL_END)};
    f.u.end.n_legs = 2;
    f.u.end.leg[1].user_agent.n = 200;
    assert_err(fact_valid(&f, f.bytes), ERR_RANGE);
    f.u.end.leg[1].user_agent.n = 31;
    assert_ok(fact_valid(&f, f.bytes));
    f.u.end.n_legs = 3;
    assert_err(fact_valid(&f, f.bytes), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_and_checks),
                                       cmocka_unit_test(texts_are_cut_and_cleaned),
                                       cmocka_unit_test(text_longer_than_its_room_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
