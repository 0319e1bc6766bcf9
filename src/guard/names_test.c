#include "base/test.h"
#include "guard/guard_int.h"

static void detectors(void **state)
{
    (void)state;
    for (unsigned d = 0; d < DET_COUNT; d++) {
        const char *name = detector_name((enum detector)d);
        assert_int_equal(detector_by_name(str_c(name)), d);
        assert_true(strlen(name) > 2 && strlen(detector_text((enum detector)d)) > 10);
        assert_true(detector_entity((enum detector)d) < ENTITY_COUNT);
    }
    assert_int_equal(detector_by_name(STR("scan")), DET_scan);
    assert_int_equal(detector_by_name(STR("scam")), DET_COUNT);
    assert_int_equal(detector_by_name(STR_NONE), DET_COUNT);
    assert_string_equal(detector_name(DET_COUNT), "none");
    assert_string_equal(detector_text(DET_COUNT), "");
    assert_int_equal(detector_entity(DET_COUNT), ENTITY_COUNT);
}

/* Every detector has a row, for the entity that its list says, except the one that cannot yet. */
static void every_detector_has_a_row(void **state)
{
    (void)state;
    for (unsigned d = 0; d < DET_COUNT; d++) {
        unsigned n = 0;
        for (unsigned i = 0; i < guard_rows_n; i++) {
            const struct guard_row *r = &guard_rows[i];
            if (r->detector != d)
                continue;
            n++;
            assert_int_equal(r->entity, detector_entity((enum detector)d));
            assert_true(r->kinds && r->threshold && r->window_s);
            assert_true((r->need & r->none) == 0);
        }
        assert_int_equal(n > 0, d != DET_dtls_race);
    }
}

/* No two rows write into one gauge or set. */
static void nothing_is_counted_twice(void **state)
{
    (void)state;
    for (unsigned i = 0; i < guard_rows_n; i++) {
        const struct guard_row *a = &guard_rows[i];
        bool set = a->measure >= M_NAMES && a->measure <= M_SOURCES;
        unsigned most = a->entity == ENTITY_ALL      ? BIGS
                        : a->entity == ENTITY_SOURCE ? (set ? SETS_SOURCE : GAUGES_SOURCE)
                        : a->entity == ENTITY_AOR    ? (set ? SETS_AOR : GAUGES_AOR)
                        : a->entity == ENTITY_DEVICE ? (set ? SETS_DEVICE : GAUGES_DEVICE)
                                                     : (set ? SETS_NUMBER : GAUGES_NUMBER);
        assert_true(a->index < most);
        for (unsigned k = 0; k < i; k++) {
            const struct guard_row *b = &guard_rows[k];
            bool set_b = b->measure >= M_NAMES && b->measure <= M_SOURCES;
            if (a->measure == M_EACH || b->measure == M_EACH || a->detector == DET_hijack ||
                b->detector == DET_hijack)
                continue;
            assert_false(a->entity == b->entity && set == set_b && a->index == b->index);
        }
    }
}

static void treats(void **state)
{
    (void)state;
    for (unsigned t = 0; t < TREAT_COUNT; t++)
        assert_int_equal(treat_by_name(str_c(treat_name((enum treat)t))), t);
    assert_int_equal(treat_by_name(STR("Ban")), TREAT_COUNT);
    assert_string_equal(treat_name(TREAT_COUNT), "none");
    assert_string_equal(entity_name(ENTITY_SOURCE), "source");
    assert_string_equal(entity_name(ENTITY_ALL), "all");
    assert_string_equal(entity_name(ENTITY_COUNT), "none");
}

static void the_default(void **state)
{
    (void)state;
    struct guard_policy p;
    memset(&p, 0xff, sizeof p);
    guard_policy_default(&p);
    assert_false(p.dry_run);
    for (unsigned i = 1; i < p.n_steps; i++)
        assert_true(p.steps[i].score > p.steps[i - 1].score &&
                    p.steps[i].treat > p.steps[i - 1].treat);
    assert_int_equal(p.steps[p.n_steps - 1].treat, TREAT_BAN);
    assert_true(p.spoof_s < p.ban_s && p.ban_s < p.ban_max_s);
    assert_true(p.source_rate && p.source_rate < p.known_rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detectors),
        cmocka_unit_test(every_detector_has_a_row),
        cmocka_unit_test(nothing_is_counted_twice),
        cmocka_unit_test(treats),
        cmocka_unit_test(the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
