#include "base/reasons.h"
#include "base/test.h"

/* The rules that the head of reasons.def states, over every line of it. */
static void list_is_sound(void **state)
{
    (void)state;
    for (unsigned i = 1; i < REASON_COUNT; i++) {
        const struct reason_info *r = reason_info((enum reason)i);
        bool bad = r->hostile > 100 || r->text.n == 0 || r->text.n > 80 || r->name.n > 40 ||
                   (r->code && (r->code < 300 || r->code > 699)) ||
                   (r->severity == SEV_INFO && r->hostile > 20);
        if (bad)
            fail_msg("%.*s breaks a rule", STR_ARG(r->name));
        assert_int_equal(reason_by_name(r->name), i); /* fails for a name given twice, too */
        for (size_t k = 0; k < r->name.n; k++)
            assert_true(r->name.p[k] == '_' || ascii_digit(r->name.p[k]) ||
                        (r->name.p[k] >= 'a' && r->name.p[k] <= 'z'));
    }
}

static void look_ups(void **state)
{
    (void)state;
    assert_int_equal(reason_by_name(STR("auth_failed")), REASON_auth_failed);
    assert_int_equal(reason_by_name(STR("AUTH_FAILED")), REASON_NONE);
    assert_int_equal(reason_by_name(STR("none")), REASON_NONE);
    assert_int_equal(reason_by_name(STR_NONE), REASON_NONE);
    assert_str(reason_info(REASON_NONE)->name, "none");
    assert_ptr_equal(reason_info(REASON_COUNT), reason_info(REASON_NONE));
    assert_ptr_equal(reason_info((enum reason)0x7fffffff), reason_info(REASON_NONE));
    assert_int_equal(reason_info(REASON_auth_failed)->code, 403);
    assert_string_equal(severity_name(SEV_ALERT), "alert");
    assert_string_equal(severity_name((enum severity)9), "unknown");
}

static void counts(void **state)
{
    (void)state;
    static struct counters c;
    counters_hit(&c, REASON_rtp_replay);
    counters_hit(&c, REASON_rtp_replay);
    assert_int_equal(counters_get(&c, REASON_rtp_replay), 2);
    assert_int_equal(counters_get(&c, REASON_rtp_auth), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(list_is_sound), cmocka_unit_test(look_ups),
                                       cmocka_unit_test(counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
