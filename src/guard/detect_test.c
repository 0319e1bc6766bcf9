/* Each detector: what makes it fire, and its twin that must not. Each scene is played with one
 * engine and with four. */
#include "base/test.h"
#include "guard/scene.h"

static struct scene sc;

static int open1(void **state)
{
    (void)state;
    scene_open(&sc, 1, 4096);
    return 0;
}
static int open4(void **state)
{
    (void)state;
    scene_open(&sc, 4, 4096);
    return 0;
}
static int shut(void **state)
{
    (void)state;
    scene_close(&sc);
    return 0;
}

static void quiet(void)
{
    for (unsigned d = 0; d < DET_COUNT; d++)
        if (sc.fired[d] || sc.asked[d])
            fail_msg("%s fired %u times, asked %u", detector_name((enum detector)d), sc.fired[d],
                     sc.asked[d]);
}

#define TWICE(name)                                                                                \
    cmocka_unit_test_setup_teardown(name, open1, shut),                                            \
        cmocka_unit_test_setup_teardown(name, open4, shut)

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

/* -- users and calls -- */

static void hijack(void **state)
{
    (void)state;
    scene_register(&sc, OFFICE, 1, 0x4445, 11);
    scene_register(&sc, OFFICE, 1, 0x4445, 12);
    quiet();
    scene_register(&sc, ATTACKER, 1, 0x5858, 99);
    assert_int_equal(sc.asked[DET_hijack], 1);
    assert_int_equal(sc.last.scope, BAN_AOR);
    assert_int_equal(sc.last.treat, TREAT_CHALLENGE);
    assert_int_equal(sc.last.key, name_of(1));
}

static void hijack_twin(void **state)
{
    (void)state;
    scene_register(&sc, OFFICE, 1, 0x4445, 11);
    scene_register(&sc, OFFICE, 1, 0x4154, 11);     /* travels with his phone */
    scene_register(&sc, OFFICE + 1, 1, 0x4445, 12); /* buys a new one at home */
    scene_register(&sc, OFFICE + 2, 1, 0, 13);      /* from where no country is known */
    scene_register(&sc, OFFICE + 3, 2, 0x5858, 14); /* another user's first */
    quiet();
}

static void teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        struct obs o =
            request(ATTACKER, i % 2 ? SIP_BYE : SIP_CANCEL,
                    i % 2 ? REASON_sip_no_dialog : REASON_sip_token_forged, OBS_IN_DIALOG);
        scene_do(&sc, &o);
        scene_wait(&sc, 500);
    }
    assert_int_not_equal(sc.asked[DET_teardown], 0);
    assert_int_equal(sc.last.scope, BAN_SOURCE);
}

static void slowly(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 90; i++) {
        struct obs o = request(ATTACKER, SIP_BYE, REASON_sip_no_dialog, OBS_IN_DIALOG | OBS_PROVEN);
        scene_do(&sc, &o);
        o = request(ATTACKER + 1, SIP_INVITE, REASON_sip_header_duplicate, OBS_PROVEN);
        scene_do(&sc, &o);
        scene_wait(&sc, 2 * 60000);
    }
    assert_int_not_equal(sc.asked[DET_teardown], 0);
    assert_int_not_equal(sc.asked[DET_malformed], 0);
}

static void teardown_twin(void **state)
{
    (void)state;
    scene_known(&sc, OFFICE);
    for (unsigned i = 0; i < 40; i++) { /* after a restart phones hang up calls that are gone */
        struct obs o = request(OFFICE, SIP_BYE, REASON_sip_no_dialog, OBS_IN_DIALOG);
        scene_do(&sc, &o);
    }
    for (unsigned i = 0; i < 5; i++) {
        struct obs o = request(ATTACKER, SIP_BYE, REASON_sip_no_dialog, OBS_IN_DIALOG);
        scene_do(&sc, &o);
    }
    quiet();
}

static struct obs response(uint32_t source, uint16_t code, enum reason why, unsigned flags)
{
    struct obs o = request(source, SIP_INVITE, why, flags);
    o.kind = OBS_RESPONSE;
    o.code = code;
    return o;
}

static void digest_leak(void **state)
{
    (void)state;
    struct obs o = response(ATTACKER, 407, REASON_NONE, OBS_PROVEN);
    scene_do(&sc, &o);
    assert_int_equal(sc.fired[DET_digest_leak], 1);
    for (unsigned i = 0; i < 4; i++)
        scene_do(&sc, &o);
    assert_int_equal(sc.last.treat, TREAT_BAN);
}

static void digest_leak_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct obs o = response(OFFICE, 401, REASON_NONE, OBS_PEER); /* a trunk wants ours */
        scene_do(&sc, &o);
        o = response(OFFICE, 486, REASON_NONE, OBS_PROVEN);
        scene_do(&sc, &o);
    }
    quiet();
}

static void sdp(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct obs o = request(ATTACKER, SIP_INVITE, REASON_sdp_limit, OBS_PROVEN);
        scene_do(&sc, &o);
        scene_wait(&sc, 1000);
    }
    assert_int_not_equal(sc.asked[DET_sdp], 0);
}

static void sdp_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct obs o = request(ATTACKER, SIP_INVITE, REASON_sdp_syntax, OBS_PROVEN);
        scene_do(&sc, &o);
        o = request(ATTACKER, SIP_INVITE, REASON_media_not_acceptable, OBS_PROVEN);
        o.aor = name_of(1);
        scene_do(&sc, &o);
    }
    quiet();
}

static void wangiri(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        scene_call(&sc, ATTACKER, 1, 3000 + i, 2, false);
        scene_wait(&sc, 5000);
    }
    assert_int_not_equal(sc.asked[DET_wangiri], 0);
    assert_int_equal(sc.last.scope, BAN_AOR);
    assert_false(sc.last.forgeable);
}

static void wangiri_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) { /* a secretary: some misdials, most calls talk */
        scene_call(&sc, OFFICE, 1, 3000 + i, i % 5 ? 90 : 3, i % 5 != 0);
        scene_call(&sc, OFFICE, 2, 7, 3, false); /* one number that is never reached */
        struct obs busy = request(OFFICE, SIP_INVITE, REASON_NONE, OBS_PROVEN | OBS_USER);
        busy.kind = OBS_CALL;
        busy.aor = name_of(3);
        busy.number = name_of(5000 + i % 30); /* a list of numbers, all of them busy */
        busy.code = 486;
        scene_do(&sc, &busy);
        scene_wait(&sc, 120000);
    }
    quiet();
}

static void robocall(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 90; i++) {
        scene_call(&sc, ATTACKER, 1, 3000 + i, 8, i % 3 != 0);
        scene_wait(&sc, 10000);
    }
    assert_int_not_equal(sc.asked[DET_robocall], 0);
    assert_int_equal(sc.fired[DET_wangiri], 0);
}

static void robocall_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) { /* a call centre: half of them talk for minutes */
        scene_call(&sc, OFFICE, 1, 3000 + i, i % 2 ? 180 : 20, i % 2 != 0);
        scene_wait(&sc, 20000);
    }
    quiet();
}

static void ring_number(unsigned callers, unsigned calls, int64_t every_ms)
{
    for (unsigned i = 0; i < calls; i++) {
        struct obs o = request(OFFICE, SIP_INVITE, REASON_NONE, OBS_PEER);
        o.aor = name_of(9000 + i % callers);
        o.number = name_of(1);
        scene_do(&sc, &o);
        scene_wait(&sc, every_ms);
    }
}

static void tdos(void **state)
{
    (void)state;
    ring_number(100, 100, 300);
    assert_int_equal(sc.fired[DET_tdos], 1);
    assert_int_equal(sc.asked[DET_tdos], 0); /* who is called is not to blame */
    scene_wait(&sc, 3600000);
    scene_clear(&sc);
    ring_number(3, 200, 100); /* few callers, again and again */
    assert_int_equal(sc.fired[DET_tdos], 1);
    scene_wait(&sc, 3600000);
    scene_clear(&sc);
    sc.policy.detectors[DET_tdos].treat = TREAT_REFUSE;
    ring_number(100, 100, 300);
    assert_int_equal(sc.asked[DET_tdos], 1);
    assert_int_equal(sc.last.scope, BAN_NUMBER);
    assert_int_equal(sc.last.key, name_of(1));
}

static void tdos_twin(void **state)
{
    (void)state;
    ring_number(500, 1000, 3600);         /* a hotline: a thousand calls an hour */
    for (unsigned i = 0; i < 1000; i++) { /* and what never rings it */
        struct obs o =
            request(ATTACKER, SIP_INVITE, i % 2 ? REASON_shield_refused : REASON_auth_required,
                    OBS_PROVEN | OBS_USER);
        o.number = name_of(1);
        o.aor = name_of(i);
        scene_do(&sc, &o);
    }
    quiet();
}

/* -- media, grammar, verdicts -- */

static void media(void **state)
{
    (void)state;
    static const struct {
        enum reason why;
        enum detector d;
        unsigned fires, not ;
    } ROWS[] = {
        {REASON_rtp_source, DET_rtp_inject, 300, 5},
        {REASON_rtp_auth, DET_rtp_inject, 300, 5},
        {REASON_rtp_ssrc_limit, DET_rtp_inject, 300, 5},
        {REASON_rtp_malformed, DET_rtp_inject, 300, 5},
        {REASON_rtp_rate, DET_rtp_flood, 2000, 300},
        {REASON_rtp_no_session, DET_media_stray, 2000, 100},
    };
    for (unsigned i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct obs o = below(ATTACKER + i, ROWS[i].why, ROWS[i].not );
        scene_clear(&sc);
        for (unsigned k = 0; k < 20; k++) { /* a phone that moved, or hung up late, now and then */
            scene_do(&sc, &o);
            scene_wait(&sc, 30000);
        }
        quiet();
        o.n = ROWS[i].fires;
        for (unsigned k = 0; k < 5; k++) {
            scene_do(&sc, &o);
            scene_wait(&sc, 1000);
        }
        assert_int_not_equal(sc.fired[ROWS[i].d], 0);
        assert_true(!sc.last.scope || sc.last.forgeable);
    }
}

static void malformed(void **state)
{
    (void)state;
    struct obs o = below(ATTACKER, REASON_sip_not_sip, 1);
    for (unsigned i = 0; i < 20; i++)
        scene_do(&sc, &o);
    assert_int_not_equal(sc.asked[DET_malformed], 0);
    scene_clear(&sc);
    for (unsigned i = 0; i < 8; i++) {
        o = request(ATTACKER + 1, SIP_INVITE, REASON_sip_header_smuggling, OBS_PROVEN);
        scene_do(&sc, &o);
    }
    assert_int_not_equal(sc.asked[DET_malformed], 0);
    assert_false(sc.last.forgeable);
}

static void malformed_twin(void **state)
{
    (void)state;
    scene_known(&sc, OFFICE);
    for (unsigned i = 0; i < 600; i++) {
        struct obs o = below(OFFICE, REASON_sip_empty, 1); /* keep-alives */
        scene_do(&sc, &o);
        if (i % 10 == 0) { /* a phone that writes one header badly */
            o = request(OFFICE, SIP_REGISTER, REASON_sip_header_syntax, OBS_PROVEN);
            scene_do(&sc, &o);
        }
        scene_wait(&sc, 15000);
    }
    quiet();
}

static void decoy(void **state)
{
    (void)state;
    struct obs o = request(ATTACKER, SIP_REGISTER, REASON_auth_required, OBS_DECOY | OBS_PROVEN);
    o.aor = name_of(1);
    scene_do(&sc, &o);
    assert_int_equal(sc.asked[DET_decoy], 1);
    assert_int_equal(sc.last.treat, TREAT_BAN);
    assert_int_equal(sc.last.score, 100);
    assert_int_equal(sc.last.scope, BAN_SOURCE);
    scene_clear(&sc);
    scene_known(&sc, OFFICE); /* one of an office: he alone */
    o = request(OFFICE, SIP_INVITE, REASON_NONE, OBS_DECOY | OBS_PROVEN | OBS_USER);
    o.aor = name_of(2);
    scene_do(&sc, &o);
    assert_int_equal(sc.last.scope, BAN_PAIR);
    assert_int_equal(sc.last.key, name_of(2));
}

static void decoy_twin(void **state)
{
    (void)state;
    scene_known(&sc, OFFICE);
    struct obs o = request(OFFICE, SIP_INVITE, REASON_NONE, OBS_PROVEN | OBS_USER);
    o.aor = name_of(2);
    o.number = name_of(3);
    scene_do(&sc, &o);
    o.flags = OBS_DECOY | OBS_PEER; /* by a trunk: not the trunk's doing */
    scene_do(&sc, &o);
    quiet();
}

static void rule(void **state)
{
    (void)state;
    struct obs o = request(ATTACKER, SIP_OPTIONS, REASON_NONE, OBS_PROVEN);
    o.kind = OBS_RULE;
    o.value = 1000001;
    o.weight = 30;
    scene_do(&sc, &o);
    quiet(); /* the rule itself was told; 30 points are no step */
    for (unsigned i = 0; i < 3; i++)
        scene_do(&sc, &o);
    assert_int_equal(sc.last.treat, TREAT_BAN);
    assert_int_equal(sc.last.by, BY_RULE);
    assert_int_equal(sc.asked[DET_rule], 3); /* challenge, refuse, ban */
}

static void rule_twin(void **state)
{
    (void)state;
    struct obs o = request(ATTACKER, SIP_OPTIONS, REASON_NONE, OBS_PROVEN);
    o.kind = OBS_RULE;
    o.weight = 10;
    for (unsigned i = 0; i < 20; i++) {
        scene_do(&sc, &o);
        scene_wait(&sc, 600000);
    }
    quiet();
}

static void feed(void **state)
{
    (void)state;
    struct obs o = request(ATTACKER, SIP_OPTIONS, REASON_NONE, OBS_PROVEN);
    o.kind = OBS_FEED;
    o.value = 3;
    o.weight = 50;
    for (unsigned i = 0; i < 50; i++)
        scene_do(&sc, &o);
    assert_int_equal(sc.asked[DET_feed], 1); /* weighs once, whatever the source does */
    assert_int_equal(sc.last.treat, TREAT_CHALLENGE);
    assert_int_equal(sc.last.by, BY_FEED);
    assert_int_equal(sc.last.feed, 3);
}

static void feed_twin(void **state)
{
    (void)state;
    struct obs o = request(ATTACKER, SIP_OPTIONS, REASON_NONE, OBS_PROVEN);
    o.kind = OBS_FEED;
    o.weight = 30;
    for (unsigned i = 0; i < 50; i++) {
        scene_do(&sc, &o);
        scene_wait(&sc, 10000);
    }
    assert_int_equal(sc.by_scope[BAN_SOURCE], 0);
    assert_in_range(sc.fired[DET_feed], 1, 1);
}

/* -- all of them -- */

/* -- devices -- */

#define INSTANCE(n) device_hash(name_of(9000 + (n)), true)
#define MODEL       device_hash(name_of(8999), false)

static struct obs by_device(uint32_t source, uint64_t device, uint32_t aor, enum reason why,
                            unsigned flags)
{
    struct obs o = request(source, SIP_REGISTER, why, flags);
    o.aor = name_of(aor);
    o.device = device;
    return o;
}

static void device_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        scene_register(&sc, OFFICE, i, 0x4445, INSTANCE(i));
    for (unsigned i = 0; i < 30; i++) { /* one of the forty, before anybody asks it who it is */
        struct obs o = by_device(OFFICE, INSTANCE(7), 5000 + i, REASON_auth_required,
                                 OBS_PROVEN | OBS_MISSING);
        if (sc.by_scope[BAN_DEVICE])
            o.reason = REASON_shield_party;
        scene_do(&sc, &o);
        scene_wait(&sc, 1000);
    }
    assert_int_equal(sc.asked[DET_device_names], 1);
    assert_int_equal(sc.by_scope[BAN_DEVICE], 1);
    assert_int_equal(sc.last.key, INSTANCE(7));
    assert_false(sc.last.forgeable);
    for (unsigned i = 0; i < 200; i++) { /* it goes on: the office is not to blame */
        struct obs o =
            by_device(OFFICE, INSTANCE(7), 6000 + i, REASON_shield_party, OBS_PROVEN | OBS_MISSING);
        scene_do(&sc, &o);
        scene_wait(&sc, 1000);
    }
    assert_int_equal(sc.by_scope[BAN_SOURCE], 0);
    assert_int_equal(sc.by_scope[BAN_PAIR], 0);
}

/* Each of forty people mistypes now and then; all their phones are of one model. */
static void device_names_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        scene_register(&sc, OFFICE, i, 0x4445, i % 2 ? INSTANCE(i) : MODEL);
    for (unsigned i = 0; i < 400; i++) {
        struct obs o = by_device(OFFICE, i % 40 % 2 ? INSTANCE(i % 40) : MODEL, i % 40,
                                 REASON_route_user_unknown, OBS_PROVEN | OBS_USER | OBS_MISSING);
        o.method = SIP_INVITE;
        o.number = name_of(20000 + i);
        scene_do(&sc, &o);
        scene_wait(&sc, 30000);
    }
    quiet();
}

static void device_guess(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        scene_register(&sc, OFFICE, i, 0x4445, INSTANCE(i));
    for (unsigned i = 0; i < 20 && !sc.by_scope[BAN_DEVICE]; i++) { /* two passwords for each */
        struct obs o =
            by_device(OFFICE, INSTANCE(3), i / 2, REASON_auth_failed, OBS_PROVEN | OBS_GUESS);
        scene_do(&sc, &o);
        scene_wait(&sc, 500);
    }
    assert_int_equal(sc.asked[DET_device_guess], 1);
    assert_int_equal(sc.last.scope, BAN_DEVICE);
    scene_wait(&sc, INT64_C(7) * 86400000);
    scene_clear(&sc);
    scene_known(&sc, OFFICE);
    for (unsigned i = 0; i < 16 && !sc.by_scope[BAN_DEVICE]; i++) { /* and one an hour */
        struct obs o =
            by_device(OFFICE, INSTANCE(5), i, REASON_auth_failed, OBS_PROVEN | OBS_GUESS);
        scene_do(&sc, &o);
        scene_wait(&sc, 3600000);
        scene_known(&sc, OFFICE);
    }
    assert_int_equal(sc.by_scope[BAN_DEVICE], 1);
    assert_int_equal(sc.by_scope[BAN_SOURCE], 0);
}

/* Who says the name of somebody's device elsewhere, or over UDP without proof, harms him nothing.
 */
static void device_framed(void **state)
{
    (void)state;
    scene_register(&sc, OFFICE, 1, 0x4445, INSTANCE(1));
    for (unsigned i = 0; i < 100; i++) {
        struct obs o =
            by_device(ATTACKER, INSTANCE(1), 100 + i, REASON_auth_failed, OBS_PROVEN | OBS_GUESS);
        scene_do(&sc, &o);
        o = by_device(OFFICE, INSTANCE(1), 100 + i, REASON_auth_required, OBS_MISSING);
        scene_do(&sc, &o);
        scene_wait(&sc, 100);
    }
    assert_int_equal(sc.by_scope[BAN_DEVICE], 0);
    assert_int_not_equal(sc.by_scope[BAN_SOURCE], 0); /* of the attacker */
}

static void device_guess_twin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        scene_register(&sc, OFFICE, i, 0x4445, INSTANCE(1));
    for (unsigned i = 0; i < 8; i++) { /* an adapter of eight lines, all with an old password */
        struct obs o =
            by_device(OFFICE, INSTANCE(1), i, REASON_auth_failed, OBS_PROVEN | OBS_GUESS);
        scene_do(&sc, &o);
        scene_wait(&sc, 15000);
        o.evidence = 0;
        scene_do(&sc, &o);
    }
    quiet();
}

static void device_flood(void **state)
{
    (void)state;
    scene_register(&sc, OFFICE, 1, 0x4445, INSTANCE(1));
    for (unsigned i = 0; i < 1000 && !sc.by_scope[BAN_DEVICE]; i++) {
        struct obs o =
            by_device(OFFICE, INSTANCE(1), i % 24, REASON_shield_rate_user, OBS_PROVEN | OBS_USER);
        scene_do(&sc, &o);
        scene_wait(&sc, 5);
    }
    assert_int_not_equal(sc.fired[DET_device_flood], 0);
    assert_int_equal(sc.last.scope, BAN_DEVICE);
    assert_int_equal(sc.by_scope[BAN_SOURCE], 0);
}

static void device_flood_twin(void **state)
{
    (void)state;
    scene_register(&sc, OFFICE, 1, 0x4445, INSTANCE(1));
    for (unsigned i = 0; i < 2000; i++) { /* somewhat above its limit for a long time */
        struct obs o =
            by_device(OFFICE, INSTANCE(1), i % 8, REASON_shield_rate_user, OBS_PROVEN | OBS_USER);
        scene_do(&sc, &o);
        scene_wait(&sc, 250);
    }
    quiet();
}

static void emergencies_are_no_evidence(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        struct obs o = request(ATTACKER, SIP_INVITE, REASON_auth_required,
                               OBS_EMERGENCY | OBS_MISSING | OBS_DECOY);
        o.number = name_of(i);
        scene_do(&sc, &o);
    }
    quiet();
}

static void peers_are_never_asked_for(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct obs o = request(OFFICE, i % 2 ? SIP_INVITE : SIP_OPTIONS,
                               i % 3 ? REASON_auth_failed : REASON_sip_header_smuggling,
                               OBS_PEER | OBS_MISSING | OBS_DECOY);
        o.aor = name_of(i);
        o.number = name_of(i + 1);
        scene_do(&sc, &o);
    }
    assert_int_equal(sc.by_scope[BAN_SOURCE] + sc.by_scope[BAN_PAIR], 0);
}

static void a_detector_can_be_off(void **state)
{
    (void)state;
    sc.policy.detectors[DET_decoy].off = 1;
    struct obs o = request(ATTACKER, SIP_REGISTER, REASON_auth_required, OBS_DECOY | OBS_PROVEN);
    scene_do(&sc, &o);
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
        TWICE(hijack),
        TWICE(hijack_twin),
        TWICE(teardown),
        TWICE(slowly),
        TWICE(teardown_twin),
        TWICE(digest_leak),
        TWICE(digest_leak_twin),
        TWICE(sdp),
        TWICE(sdp_twin),
        TWICE(wangiri),
        TWICE(wangiri_twin),
        TWICE(robocall),
        TWICE(robocall_twin),
        TWICE(tdos),
        TWICE(tdos_twin),
        TWICE(media),
        TWICE(malformed),
        TWICE(malformed_twin),
        TWICE(decoy),
        TWICE(decoy_twin),
        TWICE(rule),
        TWICE(rule_twin),
        TWICE(feed),
        TWICE(feed_twin),
        TWICE(device_names),
        TWICE(device_names_twin),
        TWICE(device_guess),
        TWICE(device_guess_twin),
        TWICE(device_framed),
        TWICE(device_flood),
        TWICE(device_flood_twin),
        TWICE(emergencies_are_no_evidence),
        TWICE(peers_are_never_asked_for),
        TWICE(a_detector_can_be_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
