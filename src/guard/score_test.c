/* Scores and their decay; slots and who loses his when there are too many. */
#include "base/test.h"
#include "guard/scene.h"

static struct scene sc;
static int open1(void **state)
{
    (void)state;
    scene_open(&sc, 1, 4096);
    return 0;
}
static int shut(void **state)
{
    (void)state;
    scene_close(&sc);
    return 0;
}

static void halves(void **state)
{
    (void)state;
    uint32_t at = 1000, half = 1600;
    assert_int_equal(score_decay(100 << 8, &at, half, 1000), 100 << 8);
    assert_int_equal(score_decay(100 << 8, &at, half, 1099), 100 << 8); /* under a sixteenth */
    assert_int_equal(at, 1000);
    assert_in_range(score_decay(100 << 8, &at, half, 1100), 95 << 8, 96 << 8);
    assert_int_equal(at, 1100);
    assert_int_equal(score_decay(100 << 8, &at, half, 2700), 50 << 8);
    assert_int_equal(score_decay(100 << 8, &at, half, 2700 + 10 * 1600), 25);
    at = 0;
    assert_int_equal(score_decay(UINT32_MAX, &at, half, 40 * 1600), 0);
}

static void in_small_steps_as_in_one(void **state)
{
    (void)state;
    uint32_t at = 0, v = 1000 << 8;
    for (uint32_t now = 0; now <= 16000; now += 7)
        v = score_decay(v, &at, 1600, now);
    assert_in_range(v, 240, 256); /* 1000 / 1024 points, less what rounding took */
}

static uint32_t score_of(uint32_t source, enum proof p)
{
    struct addr a = ip4(source);
    const struct slot *s = table_get(&sc.g[0]->sources, person_key(guard_hash(sc.g[0], &a), p, 0));
    return s ? slot_score(sc.g[0], s, tick_of(sc.now.mono)) : 0;
}

static void touch(uint32_t source, unsigned flags)
{
    struct obs o = request(source, SIP_OPTIONS, REASON_auth_required, flags);
    scene_do(&sc, &o);
}

static void of_a_source(void **state)
{
    (void)state;
    touch(ATTACKER, OBS_DECOY | OBS_PROVEN);
    assert_int_equal(score_of(ATTACKER, PROOF_PROVEN), 100);
    assert_int_equal(score_of(ATTACKER, PROOF_CLAIMED), 0); /* another person */
    scene_wait(&sc, 600000);
    assert_in_range(score_of(ATTACKER, PROOF_PROVEN), 49, 51);
    scene_wait(&sc, 3600000);
    assert_in_range(score_of(ATTACKER, PROOF_PROVEN), 0, 1);
    for (unsigned i = 0; i < 100; i++)
        touch(ATTACKER, OBS_DECOY | OBS_PROVEN);
    assert_int_equal(score_of(ATTACKER, PROOF_PROVEN), 1000); /* and no more */
    assert_in_range(sc.asked[DET_decoy], 2, 3);
}

/* -- tables -- */

/* What guard.h promises. */
static void sizes(void **state)
{
    (void)state;
    assert_int_equal(sc.g[0]->sources.slot_bytes, 440);
    assert_int_equal(sc.g[0]->aors.slot_bytes, 360);
    assert_int_equal(sc.g[0]->numbers.slot_bytes, 168);
    assert_int_equal(sizeof(struct bucket), 16);
    assert_int_equal(sizeof(struct known_source), 16);
}

static void slots_are_found_again(void **state)
{
    (void)state;
    struct table t = {.n_sets = 1, .n_gauges = 1};
    size_t bytes = table_bytes(&t, 100);
    void *mem = calloc(1, bytes);
    assert_non_null(mem);
    assert_true((uint8_t *)table_init(&t, mem, 100) == (uint8_t *)mem + bytes);
    assert_int_equal(t.sets * WAYS, 128);
    for (uint64_t k = 1; k <= 60; k++) {
        struct slot *s = table_take(&t, mix64(k), PROOF_PROVEN, 100, 5);
        assert_non_null(s);
        slot_gauge(&t, s, 0)->v = (uint32_t)k;
    }
    for (uint64_t k = 1; k <= 60; k++) {
        struct slot *s = table_get(&t, mix64(k));
        if (s) {
            assert_int_equal(slot_gauge(&t, s, 0)->v, k);
            assert_ptr_equal(table_take(&t, mix64(k), PROOF_CLAIMED, 100, 6), s);
        }
    }
    assert_null(table_get(&t, mix64(61)));
    free(mem);
}

/* Keys of one set. */
static uint64_t same_set(unsigned i)
{
    return (uint64_t)(i + 1) << 32;
}

static void the_least_suspicious_goes(void **state)
{
    (void)state;
    struct table t = {.n_sets = 1};
    size_t bytes = table_bytes(&t, 32);
    void *mem = calloc(1, bytes);
    assert_non_null(mem);
    table_init(&t, mem, 32);
    for (unsigned i = 0; i < WAYS; i++) {
        struct slot *s = table_take(&t, same_set(2 * i), PROOF_PROVEN, 1000, 10 + i);
        s->score = i == 3 ? 0 : i << 8;
    }
    assert_int_equal(t.evicted, 0);
    /* 0 and 3 have no score; 0 is idle longer */
    assert_non_null(table_take(&t, same_set(100), PROOF_PROVEN, 1000, 20));
    assert_null(table_get(&t, same_set(0)));
    assert_non_null(table_take(&t, same_set(102), PROOF_PROVEN, 1000, 20));
    assert_null(table_get(&t, same_set(6)));
    assert_int_equal(t.evicted, 2);
    /* forged ones take no place of the proven */
    assert_null(table_take(&t, same_set(200), PROOF_CLAIMED, 1000, 30));
    assert_int_equal(t.refused, 1);
    /* users take those of strangers, and strangers never theirs */
    for (unsigned i = 0; i < WAYS; i++)
        assert_non_null(table_take(&t, same_set(300 + 2 * i), PROOF_USER, 1000, 40));
    assert_null(table_take(&t, same_set(400), PROOF_KNOWN, 1000, 50));
    assert_non_null(table_take(&t, same_set(402), PROOF_USER, 1000, 50));
    free(mem);
}

/* A million forged addresses, each doing what raises a score: the known attacker and the office
 * keep theirs. */
static void a_million_forged(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 59; i++)
        scene_register(&sc, OFFICE, i, 0x4445, i);
    for (unsigned i = 0; i < 4; i++)
        scene_guess(&sc, OFFICE, 100);
    for (unsigned i = 0; i < 4; i++) /* half of what it takes */
        scene_guess(&sc, ATTACKER, i);
    touch(ATTACKER + 1, OBS_DECOY | OBS_PROVEN);
    scene_clear(&sc);
    for (uint32_t i = 0; i < 1000000; i++) {
        touch(0x0a000000u + i, i % 16 ? 0 : OBS_DECOY);
        if (i % 10000 == 0)
            scene_wait(&sc, 10);
    }
    struct guard_usage u;
    guard_usage(sc.g[0], &u);
    assert_int_equal(u.sources, 4096);
    assert_true(u.evicted > 900000);
    assert_in_range(score_of(ATTACKER + 1, PROOF_PROVEN), 95, 100);
    assert_in_range(sc.fired[DET_scan_wide], 1, 1000000); /* it was seen all the same */
    assert_in_range(sc.by_scope[BAN_SOURCE], 400, 800);   /* and did not drown the monitor */
    scene_clear(&sc);
    for (unsigned i = 4; i < 8; i++)
        scene_guess(&sc, ATTACKER, i);
    assert_true(sc.asked[DET_guess_source] + sc.asked[DET_guess_many] > 0);
    for (unsigned i = 0; i < 60; i++) /* and the office is still one of many users */
        scene_guess(&sc, OFFICE, 200 + i);
    assert_int_equal(sc.fired[DET_guess_source] > 1, 0);
    const struct slot *s;
    struct addr a = ip4(OFFICE);
    s = table_get(&sc.g[0]->sources, person_key(guard_hash(sc.g[0], &a), PROOF_KNOWN, 0));
    assert_non_null(s);
    assert_int_equal(s->asked, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open1, shut)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves),
        cmocka_unit_test(in_small_steps_as_in_one),
        T(of_a_source),
        T(sizes),
        cmocka_unit_test(slots_are_found_again),
        cmocka_unit_test(the_least_suspicious_goes),
        T(a_million_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
