/* Engines: who judges whom, and that four say what one says. */
#include "base/test.h"
#include "guard/scene.h"

static struct scene one, four;
static int open_both(void **state)
{
    (void)state;
    scene_open(&one, 1, 8192);
    scene_open(&four, 4, 8192);
    return 0;
}
static int shut(void **state)
{
    (void)state;
    scene_close(&one);
    scene_close(&four);
    return 0;
}

static void owners(void **state)
{
    (void)state;
    unsigned n[4] = {0};
    for (unsigned i = 0; i < 4000; i++) {
        uint8_t e = guard_owner(four.g[0], name_of(i));
        assert_in_range(e, 0, 3);
        assert_int_equal(guard_owner(four.g[3], name_of(i)), e);
        n[e]++;
    }
    for (unsigned e = 0; e < 4; e++)
        assert_in_range(n[e], 900, 1100);
    assert_int_equal(guard_owner(one.g[0], name_of(1)), 0);
}

static uint32_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Users, attackers and bystanders by chance. Floods and what looks at all sources together are left
 * out: those are judged where they arrive, and by shares. */
static void some_obs(uint64_t *seed, struct obs *o)
{
    static const enum reason WHY[] = {
        REASON_NONE,       REASON_auth_required,   REASON_auth_failed, REASON_route_user_unknown,
        REASON_sdp_syntax, REASON_sip_no_dialog,   REASON_sip_not_sip, REASON_zone_unknown_source,
        REASON_auth_stale, REASON_sip_token_forged};
    static const unsigned FLAGS[] = {
        0,        OBS_PROVEN,   OBS_PROVEN | OBS_USER, OBS_MISSING, OBS_PROVEN | OBS_MISSING,
        OBS_PEER, OBS_IN_DIALOG};
    *o = request(ATTACKER + next(seed) % 40, (enum sip_method)(next(seed) % SIP_METHOD_COUNT),
                 WHY[next(seed) % ARRAY_LEN(WHY)], FLAGS[next(seed) % ARRAY_LEN(FLAGS)]);
    static const uint8_t KINDS[] = {OBS_REQUEST,  OBS_REQUEST, OBS_REQUEST, OBS_CALL,
                                    OBS_RESPONSE, OBS_BELOW,   OBS_RULE,    OBS_FEED};
    o->kind = KINDS[next(seed) % ARRAY_LEN(KINDS)];
    o->aor = name_of(next(seed) % 60);
    o->number = name_of(100 + next(seed) % 60);
    o->seconds = next(seed) % 60;
    o->weight = (uint8_t)(next(seed) % 5);
    if (o->kind == OBS_RESPONSE)
        o->code = 401;
}

static void four_say_what_one_says(void **state)
{
    (void)state;
    uint64_t seed = 42;
    static const enum detector OFF[] = {DET_scan_wide,    DET_enumeration_wide, DET_guess_wide,
                                        DET_flood_invite, DET_flood_options,    DET_flood_register,
                                        DET_flood_other};
    for (unsigned i = 0; i < ARRAY_LEN(OFF); i++)
        one.policy.detectors[OFF[i]].off = four.policy.detectors[OFF[i]].off = 1;
    scene_known(&one, ATTACKER + 3);
    scene_known(&four, ATTACKER + 3);
    for (unsigned i = 0; i < 40000; i++) {
        struct obs o;
        some_obs(&seed, &o);
        scene_do(&one, &o);
        scene_at(&four, next(&seed) % 4, &o); /* wherever it arrives */
        scene_wait(&one, 100);
        scene_wait(&four, 100);
        if (memcmp(one.asked, four.asked, sizeof one.asked) != 0 ||
            memcmp(one.fired, four.fired, sizeof one.fired) != 0)
            fail_msg("they differ after %u", i);
    }
    unsigned sum = 0, kinds = 0;
    for (unsigned d = 0; d < DET_COUNT; d++) {
        sum += one.asked[d];
        kinds += one.fired[d] > 0;
    }
    assert_in_range(sum, 50, 100000); /* or it says nothing */
    assert_in_range(kinds, 8, DET_COUNT);
    assert_true(four.forwards > 10000);
}

static void hears_only_what_concerns_him(void **state)
{
    (void)state;
    struct guard_out out;
    struct obs o = request(OFFICE, SIP_INVITE, REASON_NONE, OBS_PROVEN | OBS_USER);
    o.aor = name_of(1);
    for (unsigned e = 0; e < 4; e++) { /* a good request of a user: nobody else's business */
        guard_observe(four.g[e], &o, false, four.now, &out);
        assert_int_equal(out.n_to, 0);
    }
    o.number = name_of(2); /* but the callee's judge counts his callers */
    uint8_t judge = guard_owner(four.g[0], o.number);
    for (unsigned e = 0; e < 4; e++) {
        guard_observe(four.g[e], &o, false, four.now, &out);
        assert_int_equal(out.n_to, e != judge);
        assert_true(e == judge || out.to[0] == judge);
    }
}

static void nonsense_is_ignored(void **state)
{
    (void)state;
    struct obs o = request(ATTACKER, SIP_INVITE, REASON_auth_required, OBS_DECOY | OBS_PROVEN);
    struct guard_out out;
    o.kind = OBS_KIND_COUNT;
    guard_observe(one.g[0], &o, true, one.now, &out);
    assert_int_equal(out.n_events + out.n_to, 0);
    o.kind = OBS_REQUEST;
    o.source.family = ADDR_NONE; /* nobody */
    guard_observe(one.g[0], &o, true, one.now, &out);
    assert_int_equal(out.n_events + out.n_to, 0);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(tier_name(TIER_TRUNK), "trunk");
    assert_string_equal(tier_name(TIER_REGISTERED), "registered");
    assert_string_equal(tier_name(TIER_UNKNOWN), "unknown");
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_both, shut)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(owners),
        T(four_say_what_one_says),
        T(hears_only_what_concerns_him),
        T(nonsense_is_ignored),
        T(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
