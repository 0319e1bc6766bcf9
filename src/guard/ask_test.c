/* What is asked: the ladder, once while it stands, forged evidence, dry runs, the exempt. */
#include "base/test.h"
#include "guard/scene.h"

static struct scene sc;
static int open1(void **state)
{
    (void)state;
    scene_open(&sc, 1, 1024);
    return 0;
}
static int shut(void **state)
{
    (void)state;
    scene_close(&sc);
    return 0;
}

static void points(unsigned weight, unsigned flags)
{
    struct obs o = request(ATTACKER, SIP_INVITE, REASON_auth_required, flags);
    o.kind = OBS_RULE;
    o.weight = (uint8_t)weight;
    o.aor = name_of(3);
    o.evidence = 4711;
    memcpy(o.who, "alice@example.com", 17);
    o.who_n = 17;
    scene_do(&sc, &o);
}

static void the_ladder(void **state)
{
    (void)state;
    static const enum treat WANT[] = {TREAT_CHALLENGE, TREAT_TARPIT, TREAT_REFUSE, TREAT_BAN};
    points(30, OBS_PROVEN);
    assert_int_equal(sc.asked[DET_rule], 0);
    for (unsigned i = 0; i < 4; i++) {
        points(i ? 20 : 10, OBS_PROVEN);
        assert_int_equal(sc.asked[DET_rule], i + 1);
        assert_int_equal(sc.last.treat, WANT[i]);
    }
    const struct ban *b = &sc.last;
    assert_int_equal(b->scope, BAN_SOURCE);
    assert_int_equal(b->by, BY_RULE);
    assert_int_equal(b->detector, DET_rule);
    assert_int_equal(b->reason, REASON_auth_required);
    assert_int_equal(b->score, 100);
    assert_int_equal(b->times, 1);
    assert_int_equal(b->evidence, 4711);
    assert_int_equal(b->net.bits, 32);
    assert_int_equal(b->net.a.port, 0);
    assert_true(b->since.us == sc.now.wall.us);
    assert_int_equal(b->until.us - b->since.us, 3600 * INT64_C(1000000));
    assert_str(str_of(b->who, b->who_n), "alice@example.com");
    assert_str(str_of(b->why, b->why_n), "rule");
    assert_false(b->forgeable || b->dry);
    assert_int_equal(sc.event.entity, ENTITY_SOURCE);
    assert_int_equal(sc.event.score, 100);
    assert_ok(ban_valid(b, sizeof *b));
}

static void once_while_it_stands(void **state)
{
    (void)state;
    points(100, OBS_PROVEN);
    assert_int_equal(sc.asked[DET_rule], 1);
    for (unsigned i = 0; i < 3500; i++) {
        points(1, OBS_PROVEN);
        scene_wait(&sc, 1000);
    }
    assert_int_equal(sc.asked[DET_rule], 1);
    scene_wait(&sc, 101000); /* its end; and it goes on */
    points(100, OBS_PROVEN);
    assert_int_equal(sc.asked[DET_rule], 2);
    assert_int_equal(sc.last.times, 1); /* the monitor escalates */
}

static void an_old_score_alone_asks_nothing(void **state)
{
    (void)state;
    points(100, OBS_PROVEN);
    scene_wait(&sc, 3700000);
    points(1, OBS_PROVEN);
    assert_int_equal(sc.asked[DET_rule], 1);
}

static void forged_evidence(void **state)
{
    (void)state;
    points(100, 0);
    assert_int_equal(sc.asked[DET_rule], 1);
    assert_true(sc.last.forgeable);
    assert_int_equal(sc.last.until.us - sc.last.since.us, 60 * INT64_C(1000000));
    points(30, OBS_PROVEN); /* what is certain is judged alone */
    assert_int_equal(sc.asked[DET_rule], 1);
    points(70, OBS_PROVEN);
    assert_int_equal(sc.asked[DET_rule], 2);
    assert_false(sc.last.forgeable);
    scene_clear(&sc);
    scene_wait(&sc, 86400000);
    scene_known(&sc, ATTACKER); /* nobody is shut out by what others send in his name */
    for (unsigned i = 0; i < 10; i++)
        points(100, 0);
    assert_int_equal(sc.asked[DET_rule], 0);
    points(100, OBS_PROVEN); /* proven, but which of those behind that address? */
    assert_int_equal(sc.last.scope, BAN_PAIR);
    assert_int_equal(sc.last.key, name_of(3));
}

static void a_user_is_banned_as_a_pair(void **state)
{
    (void)state;
    scene_known(&sc, ATTACKER);
    points(100, OBS_PROVEN | OBS_USER);
    assert_int_equal(sc.last.scope, BAN_PAIR);
    assert_int_equal(sc.last.key, name_of(3));
    assert_int_equal(sc.last.net.a.ip[0], 203);
}

static void dry(void **state)
{
    (void)state;
    sc.policy.dry_run = true;
    points(100, OBS_PROVEN);
    assert_int_equal(sc.asked[DET_rule], 1);
    assert_true(sc.event.dry && sc.last.dry);
    assert_int_equal(sc.event.treat, TREAT_BAN);
}

static void exempt(void **state)
{
    (void)state;
    assert_ok(prefix_parse(STR("203.0.113.0/24"), &sc.policy.exempt[0]));
    sc.policy.n_exempt = 1;
    struct prefix net = {ip4(ATTACKER), 32};
    if (!ban_exempt(&sc.policy, &net))
        skip();
    points(100, OBS_PROVEN);
    assert_int_equal(sc.asked[DET_rule], 0);
}

static void a_treatment_of_its_own(void **state)
{
    (void)state;
    sc.policy.detectors[DET_digest_leak].treat = TREAT_KICK;
    struct obs o = request(ATTACKER, SIP_INVITE, REASON_NONE, OBS_PROVEN);
    o.kind = OBS_RESPONSE;
    o.code = 401;
    scene_do(&sc, &o);
    assert_int_equal(sc.last.treat, TREAT_KICK); /* at once, whatever the score */
    assert_int_equal(sc.event.score, 40);
}

static void what_the_policy_says_of_a_detector(void **state)
{
    (void)state;
    struct guard_detector *d = &sc.policy.detectors[DET_guess_source];
    d->threshold = 3;
    d->window_s = 10;
    d->weight = 45;
    for (unsigned i = 0; i < 9; i++) {
        scene_guess(&sc, ATTACKER, 1);
        scene_wait(&sc, 5000);
    }
    assert_int_equal(sc.fired[DET_guess_source], 0); /* too slow for that window */
    for (unsigned i = 0; i < 3; i++)
        scene_guess(&sc, ATTACKER, 1);
    assert_int_equal(sc.fired[DET_guess_source], 1);
    assert_int_equal(sc.last.treat, TREAT_CHALLENGE);
}

/* Alerts: when it begins, and again after it was quiet. */
static void one_alert_a_time(void **state)
{
    (void)state;
    sc.policy.n_steps = 0;
    for (unsigned round = 1; round <= 3; round++) {
        for (unsigned i = 0; i < 100; i++) {
            struct obs o = request(ATTACKER, SIP_OPTIONS, REASON_zone_unknown_source, 0);
            scene_do(&sc, &o);
            scene_wait(&sc, 500);
        }
        assert_int_equal(sc.fired[DET_scan], round);
        scene_wait(&sc, 120000);
    }
    assert_int_equal(sc.asked[DET_scan], 0);
}

static void v6_is_banned_by_64(void **state)
{
    (void)state;
    struct obs o = request(ATTACKER, SIP_REGISTER, REASON_auth_required, OBS_DECOY | OBS_PROVEN);
    assert_ok(addr_parse(STR("[2001:db8:1:2:3:4:5:6]:5060"), &o.source));
    scene_do(&sc, &o);
    assert_int_equal(sc.last.net.bits, 64);
    assert_int_equal(sc.last.net.a.family, ADDR_V6);
    assert_int_equal(sc.last.net.a.ip[15], 0);
}

static void touch64(unsigned net56, unsigned net64)
{
    struct obs o = request(ATTACKER, SIP_REGISTER, REASON_auth_required, OBS_DECOY | OBS_PROVEN);
    o.source = (struct addr){.family = ADDR_V6,
                             .port = 5060,
                             .ip = {0x20, 1, 0xd, 0xb8, 0, 0, (uint8_t)net56, (uint8_t)net64, 7}};
    scene_do(&sc, &o);
}

static void many_64_cost_the_56(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 7; i++)
        touch64(1, i);
    assert_int_equal(sc.asked[DET_decoy], 7);
    assert_int_equal(sc.last.net.bits, 64);
    for (unsigned i = 7; i < 40 && sc.last.net.bits != 56; i++)
        touch64(1, i);
    assert_int_equal(sc.last.net.bits, 56);
    assert_int_equal(sc.last.net.a.ip[6], 1);
    assert_int_equal(sc.last.net.a.ip[7], 0);
    assert_ok(ban_valid(&sc.last, sizeof sc.last));
    scene_clear(&sc);
    for (unsigned i = 50; i < 90; i++) { /* once; its /64 are still asked for each */
        touch64(1, i);
        assert_int_equal(sc.last.net.bits, 64);
    }
    struct addr home = {.family = ADDR_V6, .ip = {0x20, 1, 0xd, 0xb8, 0, 0, 2, 99, 1}};
    guard_known(sc.g[0], &home, instant_add(sc.now.mono, DUR_S(600)));
    for (unsigned i = 0; i < 40; i++) { /* where somebody is registered it is not */
        touch64(2, i);
        assert_int_equal(sc.last.net.bits, 64);
    }
}

/* An attacker who guesses behind the address of a user must not lock him by forging it. */
static void forged_guesses_lock_nobody(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        struct obs o = request(ATTACKER + i % 100, SIP_REGISTER, REASON_auth_syntax, OBS_GUESS);
        o.aor = name_of(1);
        scene_do(&sc, &o);
    }
    assert_int_equal(sc.by_scope[BAN_AOR], 0);
}

static void forged_bans_are_few(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        struct obs o = request(0x0a000000u + i, SIP_OPTIONS, REASON_auth_required, OBS_DECOY);
        scene_do(&sc, &o);
    }
    assert_int_equal(sc.asked[DET_decoy] + sc.asked[DET_scan_wide], 400);
    assert_in_range(sc.fired[DET_decoy] + sc.fired[DET_scan_wide], 450, 452);
    scene_wait(&sc, 1000);
    for (unsigned i = 0; i < 10000; i++) {
        struct obs o = request(0x0b000000u + i, SIP_OPTIONS, REASON_auth_required, OBS_DECOY);
        scene_do(&sc, &o);
    }
    assert_in_range(sc.by_scope[BAN_SOURCE], 597, 602);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open1, shut)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_ladder),
        T(once_while_it_stands),
        T(an_old_score_alone_asks_nothing),
        T(forged_evidence),
        T(a_user_is_banned_as_a_pair),
        T(dry),
        T(exempt),
        T(a_treatment_of_its_own),
        T(what_the_policy_says_of_a_detector),
        T(one_alert_a_time),
        T(v6_is_banned_by_64),
        T(many_64_cost_the_56),
        T(forged_guesses_lock_nobody),
        T(forged_bans_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
