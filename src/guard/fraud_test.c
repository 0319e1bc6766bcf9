#include "base/test.h"
#include "guard/fraud_int.h"
#include <stdlib.h>

#define DE 0x4445
#define FR 0x4652
#define LV 0x4c56

struct rig {
    struct fraud *f;
    struct fraud_policy p;
    struct sipkey k;
    int64_t now_us;
};

static int setup(void **st)
{
    struct rig *g = calloc(1, sizeof *g);
    g->k = (struct sipkey){1, 2};
    fraud_policy_default(&g->p);
    g->f = fraud_init(calloc(1, fraud_bytes(64)), 64, &g->p, &g->k);
    g->now_us = INT64_C(1700000000000000) / DAY_US * DAY_US + 10 * HOUR_US; /* ten in the morning */
    *st = g;
    return 0;
}

static int teardown(void **st)
{
    struct rig *g = *st;
    free(g->f);
    free(g);
    return 0;
}

static struct fraud_verdict step(struct rig *g, enum fraud_what what, const char *number,
                                 uint8_t kind, uint16_t country, uint32_t seconds)
{
    struct fraud_event e = {.at = {g->now_us},
                            .identity = 7,
                            .seconds = seconds,
                            .code = 200,
                            .country = country,
                            .kind = kind,
                            .what = (uint8_t)what};
    struct fraud_verdict v;
    memcpy(e.number, number, MIN(strlen(number), sizeof e.number - 1));
    fraud_step(g->f, &e, &v);
    return v;
}

static struct fraud_verdict call(struct rig *g, const char *number, uint8_t kind, uint16_t country,
                                 uint32_t seconds)
{
    struct fraud_verdict v = step(g, FRAUD_ATTEMPT, number, kind, country, 0);
    if (v.act < FRAUD_REFUSE) {
        step(g, FRAUD_ANSWERED, number, kind, country, 0);
        g->now_us += (int64_t)seconds * 1000000;
        step(g, FRAUD_ENDED, number, kind, country, seconds);
    }
    return v;
}

/* Some weeks of office days with calls in the country and to one customer abroad. */
static void settle(struct rig *g)
{
    for (int day = 0; day < 28; day++, g->now_us += DAY_US)
        for (int i = 0; i < 6 && day % 7 < 5; i++) {
            int64_t was = g->now_us;
            g->now_us += i * HOUR_US;
            struct fraud_verdict v = call(g, "+4930123456", CLASS_NATIONAL, DE, 120);
            assert_true(v.act <= FRAUD_LOG);
            v = call(g, "+33140123456", CLASS_INTERNATIONAL, FR, 300);
            assert_true(v.act <= FRAUD_LOG);
            g->now_us = was;
        }
}

static void work_as_usual_is_quiet(void **st)
{
    settle(*st);
}

static void one_call_to_a_new_country_is_noted_only(void **st)
{
    struct rig *g = *st;
    settle(g);
    struct fraud_verdict v = call(g, "+46812345678", CLASS_INTERNATIONAL, 0x5345, 200);
    assert_true(v.signs >> SIGN_DESTINATION & 1);
    assert_true(v.act < FRAUD_STEP_UP);
    v = call(g, "+46812345678", CLASS_INTERNATIONAL, 0x5345, 200);
    assert_false(v.signs >> SIGN_DESTINATION & 1);
}

static void calls_at_night_to_an_ill_range_lock(void **st)
{
    struct rig *g = *st;
    settle(g);
    g->now_us += 16 * HOUR_US;
    uint8_t worst = 0;
    for (int i = 0; i < 3; i++)
        worst = MAX(worst, call(g, "+24700112233", CLASS_INTERNATIONAL, 0x4143, 600).act);
    assert_int_equal(worst, FRAUD_LOCK);
}

static void a_call_back_is_refused_but_nobody_locked(void **st)
{
    struct rig *g = *st;
    settle(g);
    step(g, FRAUD_INBOUND, "+23222123456", CLASS_INTERNATIONAL, 0x534c, 0);
    struct fraud_verdict v = step(g, FRAUD_ATTEMPT, "+23222123456", CLASS_INTERNATIONAL, 0x534c, 0);
    assert_true(v.signs >> SIGN_CALL_BACK & 1);
    assert_int_equal(v.act, FRAUD_REFUSE);
    v = call(g, "+33140123456", CLASS_INTERNATIONAL, FR, 30);
    assert_true(v.act < FRAUD_STEP_UP);
}

/* A long talk a day, always to the same country that nobody here knows: each is usual for its day.
 */
static void a_talk_a_day_adds_up(void **st)
{
    struct rig *g = *st;
    settle(g);
    fraud_release(g->f, 7);
    g->f->acted[FRAUD_LOCK] = 0;
    uint8_t worst = 0;
    uint32_t days = 0;
    for (; days < 15 && worst < FRAUD_LOCK; days++, g->now_us += DAY_US) {
        worst = MAX(worst, call(g, "+35569123456", CLASS_INTERNATIONAL, 0x414c, 450).act);
        if (g->f->acted[FRAUD_LOCK]) /* when its end is told */
            worst = FRAUD_LOCK;
    }
    assert_in_range(days, 4, 14);
    g->f->acted[FRAUD_LOCK] = 0; /* and short ones do not */
    fraud_release(g->f, 7);
    for (days = 0; days < 15; days++, g->now_us += DAY_US)
        call(g, "+21671123456", CLASS_INTERNATIONAL, 0x544e, 120);
    assert_int_equal(g->f->acted[FRAUD_LOCK], 0);
}

static void two_places_at_once(void **st)
{
    struct rig *g = *st;
    struct fraud_event e = {
        .at = {g->now_us}, .identity = 7, .what = FRAUD_REGISTERED, .source_country = DE};
    struct fraud_verdict v;
    for (int i = 0; i < 3; i++, e.at.us += DAY_US)
        fraud_step(g->f, &e, &v);
    assert_int_equal(v.signs, 0);
    e.at.us += HOUR_US - DAY_US;
    e.source_country = LV;
    fraud_step(g->f, &e, &v);
    assert_true(v.signs >> SIGN_TWO_PLACES & 1);
    e.at.us += 60000000;
    fraud_step(g->f, &e, &v);
    assert_int_equal(v.signs, 0);
}

static void signs_that_are_off_do_not_score(void **st)
{
    struct rig *g = *st;
    g->p.off_signs = (1u << SIGN_COUNT) - 1;
    assert_int_equal(fraud_policy_valid(&g->p), OK);
    fraud_policy_set(g->f, &g->p);
    for (int i = 0; i < 100; i++)
        assert_int_equal(call(g, "+24700112233", CLASS_INTERNATIONAL, 0x4143, 600).score, 0);
    g->p.off_signs = 1u << SIGN_COUNT;
    assert_int_equal(fraud_policy_valid(&g->p), ERR_RANGE);
}

static void dry_run_says_so(void **st)
{
    struct rig *g = *st;
    g->p.dry_run = true;
    fraud_policy_set(g->f, &g->p);
    bool locked = false;
    for (int i = 0; i < 10; i++) {
        struct fraud_verdict v =
            step(g, FRAUD_ATTEMPT, "+24700112233", CLASS_INTERNATIONAL, 0x4143, 0);
        assert_true(v.dry);
        locked |= v.act == FRAUD_LOCK;
    }
    assert_true(locked);
}

static void what_was_held_fades_and_is_released(void **st)
{
    struct rig *g = *st;
    uint16_t score = step(g, FRAUD_ATTEMPT, "+24700112233", CLASS_INTERNATIONAL, 0x4143, 0).score;
    assert_true(score >= 60);
    g->now_us += 12 * HOUR_US;
    uint16_t later = step(g, FRAUD_ATTEMPT, "+4930123456", CLASS_NATIONAL, DE, 0).score;
    assert_in_range(later, score / 2 - 2, score / 2 + 16); /* one more odd hour at most */
    fraud_release(g->f, 7);
    g->now_us += 60000000;
    assert_int_equal(step(g, FRAUD_ATTEMPT, "+4930123456", CLASS_NATIONAL, DE, 0).score, 0);
}

static void ranges_go_by_the_longest(void **st)
{
    struct rig *g = *st;
    struct fraud_policy *p = &g->p;
    assert_int_equal(fraud_range_add(p, STR("+49301"), 50), OK);
    assert_int_equal(fraud_range_add(p, STR("4930123"), 0), OK);
    assert_int_equal(fraud_range_add(p, STR("4930123"), 7), ERR_EXISTS);
    assert_int_equal(fraud_range_add(p, STR("24700"), 200), OK);
    assert_int_equal(fraud_range_add(p, STR("123456789"), 250), OK);
    assert_int_equal(fraud_range_add(p, STR("1234567890"), 1), ERR_SYNTAX);
    assert_int_equal(fraud_range_add(p, STR("+"), 1), ERR_SYNTAX);
    assert_int_equal(fraud_range_add(p, STR("12a"), 1), ERR_SYNTAX);
    assert_int_equal(fraud_range_add(p, STR("12"), 251), ERR_RANGE);
    assert_int_equal(fraud_policy_valid(p), OK);
    fraud_policy_set(g->f, p);
    assert_int_equal(fraud_range_weight(g->f, STR("+4930199")), 50);
    assert_int_equal(fraud_range_weight(g->f, STR("+49301234")), 0);
    assert_int_equal(fraud_range_weight(g->f, STR("+247001")), 200);
    assert_int_equal(fraud_range_weight(g->f, STR("+247011")), 150); /* built in */
    assert_int_equal(fraud_range_weight(g->f, STR("+123456789")), 250);
    assert_int_equal(fraud_range_weight(g->f, STR("")), 0);
    p->seed_off = true;
    fraud_policy_set(g->f, p);
    assert_int_equal(fraud_range_weight(g->f, STR("+247011")), 0);
    static const struct fraud_range more[] = {{44, 2, 9}, {4930199, 7, 11}};
    assert_int_equal(fraud_ranges_valid(more, sizeof more), OK);
    assert_int_equal(fraud_ranges_valid(more, sizeof more - 1), ERR_SYNTAX);
    fraud_ranges_set(g->f, more, sizeof more);
    assert_int_equal(fraud_range_weight(g->f, STR("+4930199")), 11);
    assert_int_equal(fraud_range_weight(g->f, STR("+4420")), 9);
    struct fraud_range bad[] = {{44, 2, 9}, {43, 2, 9}, {100, 2, 1}};
    assert_int_equal(fraud_ranges_valid(bad, 2 * sizeof bad[0]), ERR_SYNTAX);
    assert_int_equal(fraud_ranges_valid(bad + 2, sizeof bad[0]), ERR_RANGE);
}

static void the_built_in_ranges_are_sound(void **st)
{
    (void)st;
    uint8_t w;
    const char *why, *s;
    uint32_t n = 0;
    struct fraud_policy *p = calloc(1, sizeof *p);
    while ((s = fraud_seed_at(n, &w, &why))) {
        assert_int_equal(fraud_range_add(p, str_c(s), w), OK);            /* no digits twice */
        assert_true(w && strlen(why) > 3 && why[strlen(why) - 1] == ']'); /* who says so */
        n++;
    }
    assert_true(n > 40);
    free(p);
}

static void more_identities_than_rows(void **st)
{
    struct rig *g = *st;
    struct fraud_verdict v;
    for (uint64_t i = 1; i < 5000; i++) {
        struct fraud_event e = {.at = {g->now_us + (int64_t)i},
                                .identity = i,
                                .what = FRAUD_ATTEMPT,
                                .kind = CLASS_NATIONAL,
                                .country = DE,
                                .number = "+4930123456"};
        fraud_step(g->f, &e, &v);
        assert_true(v.act <= FRAUD_LOG);
    }
}

static void it_explains(void **st)
{
    struct rig *g = *st;
    char text[1024];
    struct out o = out_of(text, sizeof text);
    fraud_explain_json(g->f, 7, (struct wall){g->now_us}, &o);
    assert_true(str_eq(out_str(&o), STR("{\"known\":false}")));
    call(g, "+24700112233", CLASS_INTERNATIONAL, 0x4143, 60);
    o = out_of(text, sizeof text);
    fraud_explain_json(g->f, 7, (struct wall){g->now_us}, &o);
    assert_true(str_search(out_str(&o), STR("\"signs\":[\"destination\",\"range\"]")) < o.n);
    o = out_of(text, sizeof text);
    fraud_counts_json(g->f, &o);
    assert_true(str_search(out_str(&o), STR("\"range\":1")) < o.n);
}

static void names_and_weights(void **st)
{
    (void)st;
    for (unsigned i = 0; i < SIGN_COUNT; i++) {
        assert_true(fraud_sign_name((enum fraud_sign)i).n > 3);
        assert_true(fraud_weight_default((enum fraud_sign)i));
    }
    assert_true(str_eq(fraud_act_name(FRAUD_LOCK), STR("lock")));
    assert_true(str_eq(fraud_act_name(FRAUD_LOG), STR("log")));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(work_as_usual_is_quiet),
        T(one_call_to_a_new_country_is_noted_only),
        T(calls_at_night_to_an_ill_range_lock),
        T(a_call_back_is_refused_but_nobody_locked),
        T(a_talk_a_day_adds_up),
        T(two_places_at_once),
        T(signs_that_are_off_do_not_score),
        T(dry_run_says_so),
        T(what_was_held_fades_and_is_released),
        T(ranges_go_by_the_longest),
        T(the_built_in_ranges_are_sound),
        T(more_identities_than_rows),
        T(it_explains),
        T(names_and_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
