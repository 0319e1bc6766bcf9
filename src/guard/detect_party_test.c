/* Detectors of users, calls and media: what makes each fire, and its twin that must not. */
#include "guard/detect_test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
