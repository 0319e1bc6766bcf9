/* Detectors of what comes before anybody is known (scans, enumeration, guesses, floods): what makes
 * each fire, and its twin that must not. */
#include "guard/detect_test.h"

/* -- scans -- */

static void scan(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        struct obs o = request(ATTACKER, SIP_OPTIONS, REASON_zone_unknown_source, 0);
        scene_do(&sc, &o);
        scene_wait(&sc, 100);
    }
    assert_int_not_equal(sc.fired[DET_scan], 0);
    assert_int_equal(sc.last.scope, BAN_SOURCE);
    assert_int_equal(sc.last.treat, TREAT_BAN);
    assert_true(sc.last.forgeable);
    assert_int_equal(sc.last.until.us - sc.last.since.us, sc.policy.spoof_s * INT64_C(1000000));
}

static void scan_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 600; i++) { /* a PBX that never registers and proves each call */
        struct obs o = request(ATTACKER + 1, SIP_INVITE, REASON_auth_required, 0);
        o.aor = name_of(2);
        scene_do(&sc, &o);
        o = request(ATTACKER + 1, SIP_INVITE, REASON_NONE, OBS_PROVEN | OBS_USER);
        o.aor = name_of(2);
        scene_do(&sc, &o);
        scene_wait(&sc, 1000);
    }
    /* a monitor that asks every 30 s for a day */
    for (unsigned i = 0; i < 2880; i++) {
        struct obs o = request(ATTACKER, SIP_OPTIONS, REASON_auth_required, 0);
        o.aor = name_of(1);
        scene_do(&sc, &o);
        scene_wait(&sc, 30000);
    }
    quiet();
}

static void scan_slow(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 24; i++) {
        struct obs o = request(ATTACKER, SIP_INVITE, REASON_right_no_route, OBS_PROVEN);
        o.number = name_of(1000 + i);
        scene_do(&sc, &o);
        scene_wait(&sc, 15 * 60000);
    }
    assert_int_not_equal(sc.asked[DET_scan_slow], 0);
    assert_int_equal(sc.fired[DET_scan], 0);
    assert_false(sc.last.forgeable);
}

static void scan_slow_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) { /* the same number again and again */
        struct obs o = request(ATTACKER, SIP_INVITE, REASON_right_no_route, OBS_PROVEN);
        o.number = name_of(1000 + i % 5);
        scene_do(&sc, &o);
        scene_wait(&sc, 15 * 60000);
    }
    quiet();
}

static void wide_sources(unsigned n, enum sip_method m, enum reason why, unsigned flags, bool sum)
{
    for (unsigned i = 0; i < n; i++) {
        struct obs o = request(ATTACKER + i * 65, m, why, flags);
        o.aor = name_of(5000 + (sum ? i : 0));
        scene_do(&sc, &o);
        scene_wait(&sc, 50);
    }
}

static void scan_wide(void **state)
{
    (void)state;
    wide_sources(300, SIP_OPTIONS, REASON_zone_unknown_source, 0, false);
    assert_in_range(sc.fired[DET_scan_wide], 200, 300);
    assert_in_range(sc.asked[DET_scan_wide], 180, 260);
    assert_int_equal(sc.by_scope[BAN_SOURCE], sc.asked[DET_scan_wide]);
    assert_true(sc.last.forgeable);
}

/* A flood of first requests that never answer the challenge, little from each. */
static void scan_wide_mute(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        struct obs o = request(ATTACKER + i % 500 * 65, SIP_REGISTER, REASON_auth_required, 0);
        o.aor = name_of(3);
        scene_do(&sc, &o);
        scene_wait(&sc, 10);
    }
    assert_in_range(sc.by_scope[BAN_SOURCE], 400, 500);
    assert_int_equal(sc.asked[DET_scan_wide], sc.by_scope[BAN_SOURCE]);
    assert_true(sc.last.forgeable);
}

/* Phones that never answer are there too, but few; the others answer. */
static void scan_wide_mute_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t from = ATTACKER + i % 400 * 65;
        struct obs o = request(from, SIP_REGISTER, REASON_auth_required, 0);
        o.aor = name_of(from);
        scene_do(&sc, &o);
        o.flags = OBS_PROVEN;
        o.reason = REASON_auth_unavailable; /* the vault is slow: nobody is registered yet */
        if (i % 400 >= 8)
            scene_do(&sc, &o);
        scene_wait(&sc, 25);
    }
    quiet();
}

static void scan_wide_twin(void **state)
{
    (void)state;
    /* a gateway starts anew and all phones come: challenged, some with nonces from before */
    for (unsigned i = 0; i < 2000; i++) {
        enum reason why = i % 3 == 0   ? REASON_auth_required
                          : i % 3 == 1 ? REASON_auth_stale
                                       : REASON_auth_nonce_forged;
        struct obs o = request(OFFICE + i, i % 2 ? SIP_REGISTER : SIP_SUBSCRIBE, why, 0);
        o.aor = name_of(i);
        scene_do(&sc, &o);
        scene_wait(&sc, 10);
    }
    quiet();
}

/* -- enumeration -- */

static void enumeration(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        struct obs o = request(ATTACKER, SIP_REGISTER, REASON_auth_required, OBS_MISSING);
        o.aor = name_of(i);
        scene_do(&sc, &o);
        scene_wait(&sc, 10);
    }
    assert_int_not_equal(sc.asked[DET_enumeration], 0);
    assert_int_equal(sc.last.treat, TREAT_BAN);
}

static void enumeration_twin(void **state)
{
    (void)state;
    /* a user who dials five wrong numbers, and a phone whose account is gone, for hours */
    for (unsigned i = 0; i < 40; i++) {
        struct obs o = request(OFFICE, SIP_INVITE, REASON_route_user_unknown,
                               OBS_PROVEN | OBS_USER | OBS_MISSING);
        o.aor = name_of(1);
        o.number = name_of(100 + i % 5);
        scene_do(&sc, &o);
        o = request(OFFICE, SIP_REGISTER, REASON_auth_required, OBS_MISSING);
        o.aor = name_of(2);
        scene_do(&sc, &o);
        scene_wait(&sc, 60000);
    }
    quiet();
}

static void enumeration_wide(void **state)
{
    (void)state;
    wide_sources(200, SIP_REGISTER, REASON_auth_required, OBS_MISSING, true);
    assert_in_range(sc.asked[DET_enumeration_wide] + sc.asked[DET_scan_wide], 130, 200);
    assert_int_not_equal(sc.asked[DET_enumeration_wide], 0);
}

static void enumeration_wide_twin(void **state)
{
    (void)state;
    wide_sources(20, SIP_REGISTER, REASON_auth_required, OBS_MISSING, true);
    scene_wait(&sc, 30 * 60000);
    wide_sources(20, SIP_REGISTER, REASON_auth_required, OBS_MISSING, true);
    if (sc.engines == 1) /* the share of one of four is too small for that few */
        quiet();
}

/* -- guessing -- */

static void guess_source(void **state)
{
    (void)state;
    unsigned tries = 0;
    for (; tries < 300 && !sc.by_scope[BAN_SOURCE]; tries++) {
        scene_guess(&sc, ATTACKER, 1);
        scene_wait(&sc, 50);
    }
    assert_int_equal(tries, 8);
    assert_int_not_equal(sc.asked[DET_guess_source], 0);
    assert_false(sc.last.forgeable);
}

static void guess_source_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) { /* a user mistypes his new password, and again tomorrow */
        scene_guess(&sc, OFFICE, 1);
        scene_wait(&sc, 5000);
    }
    scene_register(&sc, OFFICE, 1, 0, 1);
    for (unsigned i = 0; i < 5; i++)
        scene_guess(&sc, OFFICE, 1);
    quiet();
}

static void guess_user(void **state)
{
    (void)state;
    /* one phone of an office has a wrong password for hours; 59 others do not */
    for (unsigned i = 1; i < 60; i++)
        scene_register(&sc, OFFICE, i, 0, i);
    for (unsigned i = 0; i < 240; i++) {
        scene_guess(&sc, OFFICE, 0);
        scene_wait(&sc, 60000);
    }
    assert_int_not_equal(sc.by_scope[BAN_PAIR], 0);
    assert_int_equal(sc.by_scope[BAN_SOURCE], 0);
    assert_int_equal(sc.by_scope[BAN_AOR], 0);
    assert_int_equal(sc.last.key, name_of(0));
    assert_int_equal(sc.last.net.a.ip[0], 198);
    assert_int_equal(sc.last.net.bits, 32);
}

static void guess_user_locks(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) { /* a hundred sources try one user, once each */
        scene_guess(&sc, ATTACKER + i * 77, 1);
        scene_wait(&sc, 1000);
    }
    assert_int_equal(sc.by_scope[BAN_AOR], 1);
    assert_in_range(sc.by_scope[BAN_PAIR], 192, 194); /* from the eighth on nobody has a second */
}

/* Few tries a day for each user, from sources that come back seldom. */
static void guess_user_spread(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 720; i++) {
        scene_guess(&sc, ATTACKER + i % 300 * 77, i % 30);
        scene_wait(&sc, 120000);
    }
    assert_in_range(sc.asked[DET_guess_wide], 200, 600);
    assert_int_equal(sc.by_scope[BAN_PAIR], sc.asked[DET_guess_wide]);
}

/* The phone of the victim registers again and again beside the one who guesses. */
static void guess_user_inside(void **state)
{
    (void)state;
    scene_known(&sc, OFFICE);
    for (unsigned i = 0; i < 30; i++) {
        struct obs o = request(OFFICE, SIP_REGISTER, REASON_NONE, OBS_PROVEN | OBS_USER | OBS_NEW);
        o.kind = OBS_REGISTERED;
        o.aor = name_of(1);
        scene_do(&sc, &o);
        scene_guess(&sc, OFFICE, 1);
        scene_wait(&sc, 300000);
    }
    assert_in_range(sc.by_scope[BAN_PAIR], 1, 2);
    assert_int_equal(sc.by_scope[BAN_SOURCE], 0);
}

static void guess_user_twin(void **state)
{
    (void)state;
    scene_guess(&sc, OFFICE + 1, 1);
    for (unsigned i = 0; i < 30; i++) { /* many users, a mistake each, right after it */
        scene_guess(&sc, OFFICE, i);
        scene_guess(&sc, OFFICE, i);
        scene_register(&sc, OFFICE, i, 0, i);
        scene_wait(&sc, 60000);
    }
    assert_int_equal(sc.by_scope[BAN_PAIR] + sc.by_scope[BAN_AOR], 0);
    assert_int_equal(sc.by_scope[BAN_SOURCE], 0);
}

static void guess_many(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) { /* a try every two hours, another user each time */
        scene_guess(&sc, ATTACKER, i);
        scene_wait(&sc, 2 * 3600000);
    }
    assert_int_not_equal(sc.asked[DET_guess_many], 0);
    assert_int_equal(sc.last.scope, BAN_SOURCE);
    scene_clear(&sc);
    scene_register(&sc, OFFICE, 500, 0, 1); /* who has an account is not free to guess others' */
    for (unsigned i = 0; i < 40; i++)
        scene_guess(&sc, OFFICE, i);
    assert_int_not_equal(sc.asked[DET_guess_many], 0);
    assert_int_equal(sc.last.scope, BAN_SOURCE);
}

static void guess_many_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++)
        scene_register(&sc, OFFICE, i, 0, i);
    for (unsigned i = 0; i < 60; i++) /* all passwords of the office are changed at once */
        scene_guess(&sc, OFFICE, i);
    assert_int_equal(sc.fired[DET_guess_many], 0);
    assert_int_equal(sc.by_scope[BAN_SOURCE], 0);
}

static void guess_wide(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 400; i++) {
        scene_guess(&sc, ATTACKER + i * 77, i);
        scene_wait(&sc, 1000);
    }
    assert_in_range(sc.asked[DET_guess_wide], 250, 390);
    assert_int_equal(sc.last.scope, BAN_SOURCE);
}

static void guess_wide_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 400; i++) { /* the passwords of all registered users expire */
        scene_known(&sc, OFFICE + i);
        scene_guess(&sc, OFFICE + i, i);
        scene_wait(&sc, 1000);
    }
    quiet();
}

/* -- floods -- */

static void flood(enum sip_method m, enum detector d, unsigned per_s)
{
    for (unsigned i = 0; i < 30 * per_s && !sc.by_scope[BAN_SOURCE]; i++) {
        struct obs o = request(ATTACKER, m, REASON_NONE, OBS_PROVEN);
        scene_do(&sc, &o);
        scene_wait(&sc, 1000 / per_s);
    }
    assert_int_not_equal(sc.fired[d], 0);
    assert_int_equal(sc.by_scope[BAN_SOURCE], 1);
}

static void floods(void **state)
{
    (void)state;
    flood(SIP_REGISTER, DET_flood_register, 200);
    scene_wait(&sc, 86400000);
    scene_clear(&sc);
    flood(SIP_INVITE, DET_flood_invite, 100);
    scene_wait(&sc, 86400000);
    scene_clear(&sc);
    flood(SIP_MESSAGE, DET_flood_other, 100);
    scene_wait(&sc, 86400000);
    scene_clear(&sc);
    struct obs o = below(ATTACKER, REASON_shield_rate, 20000);
    scene_do(&sc, &o);
    assert_int_equal(sc.fired[DET_flood_other], 1);
}

static void flood_options(void **state)
{
    (void)state;
    sc.policy.detectors[DET_scan].off = 1;
    flood(SIP_OPTIONS, DET_flood_options, 100);
}

static void floods_twin(void **state)
{
    (void)state;
    /* sixty phones come back after a power cut: first request, old nonce, then right, three times
     */
    scene_known(&sc, OFFICE);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 60; i++) {
            struct obs o = request(OFFICE, SIP_REGISTER, REASON_auth_required, 0);
            o.aor = name_of(i);
            scene_do(&sc, &o);
            o = request(OFFICE, SIP_REGISTER, i % 2 ? REASON_auth_stale : REASON_auth_nonce_forged,
                        0);
            o.aor = name_of(i);
            scene_do(&sc, &o);
            scene_register(&sc, OFFICE, i, 0x4445, i);
            o = request(OFFICE, SIP_REGISTER, REASON_NONE, OBS_PROVEN | OBS_USER);
            o.aor = name_of(i);
            scene_do(&sc, &o);
        }
        scene_wait(&sc, 30000);
    }
    for (unsigned i = 0; i < 600; i++) { /* and call, ten a second, and ask for their state */
        struct obs o = request(OFFICE, i % 2 ? SIP_INVITE : SIP_SUBSCRIBE, REASON_auth_required, 0);
        o.aor = name_of(i % 60);
        o.number = name_of(100 + i % 30);
        scene_do(&sc, &o);
        o.reason = REASON_NONE;
        o.flags = OBS_PROVEN | OBS_USER;
        scene_do(&sc, &o);
        scene_wait(&sc, 100);
    }
    quiet();
}

/* The same office, and nobody knows it yet: a new site, or a gateway whose store is gone. */
static void office_unknown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        struct obs o = request(OFFICE, SIP_REGISTER, REASON_auth_required, 0);
        o.aor = name_of(i);
        scene_do(&sc, &o);
        o.reason = REASON_auth_nonce_forged;
        scene_do(&sc, &o);
    }
    for (unsigned i = 0; i < 60; i++)
        scene_register(&sc, OFFICE, i, 0x4445, i);
    quiet();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWICE(scan),
        TWICE(scan_twin),
        TWICE(scan_slow),
        TWICE(scan_slow_twin),
        TWICE(scan_wide),
        TWICE(scan_wide_mute),
        TWICE(scan_wide_mute_twin),
        TWICE(scan_wide_twin),
        TWICE(enumeration),
        TWICE(enumeration_twin),
        TWICE(enumeration_wide),
        TWICE(enumeration_wide_twin),
        TWICE(guess_source),
        TWICE(guess_source_twin),
        TWICE(guess_user),
        TWICE(guess_user_locks),
        TWICE(guess_user_spread),
        TWICE(guess_user_inside),
        TWICE(guess_user_twin),
        TWICE(guess_many),
        TWICE(guess_many_twin),
        TWICE(guess_wide),
        TWICE(guess_wide_twin),
        TWICE(floods),
        TWICE(flood_options),
        TWICE(floods_twin),
        TWICE(office_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
