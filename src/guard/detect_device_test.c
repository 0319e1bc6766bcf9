/* Detectors of devices, and what holds for all of them: calls for help, peers, detectors that are
 * off. */
#include "guard/detect_test.h"

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
