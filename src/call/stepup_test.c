/* Codes by telephone: who is asked, what counts as given, how long it may take, how it ends. */
#include "call/stepup_test.h"

/* --- the description --- */

struct offer {
    const char *sdp, *want; /* NULL: it has no G.711 */
    uint8_t event;
};
static const struct offer offers[] = {
    {"v=0\r\nm=audio 4 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
     "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n",
     "v=0\r\nm=audio 4 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
     "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n",
     101},
    {"m=audio 4 RTP/SAVP 9 8 96\na=rtpmap:96 Telephone-Event/8000\na=crypto:1 x\n",
     "m=audio 4 RTP/SAVP 8 96\r\na=rtpmap:96 Telephone-Event/8000\r\na=crypto:1 x\r\n", 96},
    {"m=audio 4 RTP/AVP 8\r\n", "m=audio 4 RTP/AVP 8\r\n", 255},
    {"m=audio 4 RTP/AVP 8 96 18\r\na=foobar:96 telephone-event/8000\r\na=fmtp:18 annexb=no\r\n",
     "m=audio 4 RTP/AVP 8\r\na=foobar:96 telephone-event/8000\r\n", 255},
    {"m=audio 4 RTP/AVP 9\r\nm=audio 6 RTP/AVP 8\r\n", NULL, 255}, /* the first that is offered */
    {"m=audio 4 RTP/AVP 9 18\r\n", NULL, 255},
    {"m=audio 4 RTP/AVP 80 08x\r\n", NULL, 255},
    {"m=audio 4 RTP/AVP\r\n", NULL, 255},
    {"m=audio 4\r\n", NULL, 255},
    {"m=audio 0 RTP/AVP 8\r\n", NULL, 255},
    {"m=video 4 RTP/AVP 8\r\n", NULL, 255},
    {"", NULL, 255},
    {"m=audio 4 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/16000\r\n", "m=audio 4 RTP/AVP 8\r\n",
     255},
    {"m=audio 4 RTP/AVP 8 127\r\na=rtpmap:128 telephone-event/8000\r\n"
     "a=rtpmap:127 telephone-event/8000\r\n",
     "m=audio 4 RTP/AVP 8 127\r\na=rtpmap:127 telephone-event/8000\r\n", 127},
    {"m=audio 0 RTP/AVP 8\r\na=x\r\nm=video 5 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
     "m=audio 6 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\na=y\r\n"
     "m=audio 7 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=z\r\n",
     "m=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\nm=audio 6 RTP/AVP 8 96\r\n"
     "a=rtpmap:96 telephone-event/8000\r\na=y\r\nm=audio 0 RTP/AVP 0\r\n",
     96},
    {"m=audio 4 RTP/AVP 8\r\nm=audio 6 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\n",
     "m=audio 4 RTP/AVP 8\r\nm=audio 0 RTP/AVP 8 96\r\n", 255}};

static void one_codec_and_events(void **state)
{
    (void)state;
    char text[1024], twice[1024];
    uint8_t event;
    for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
        struct out o = out_of(text, sizeof text);
        bool good = stepup_reduce(str_c(offers[i].sdp), &o, &event);
        assert_int_equal(good, offers[i].want != NULL);
        if (!good)
            continue;
        assert_str_eq(out_str(&o), str_c(offers[i].want));
        assert_int_equal(event, offers[i].event);
        struct out again = out_of(twice, sizeof twice), small = out_of(twice, o.n - 1);
        assert_true(stepup_reduce(out_str(&o), &again, &event));
        assert_str_eq(out_str(&again), out_str(&o)); /* there is no less */
        assert_false(stepup_reduce(out_str(&o), &small, &event));
    }
    struct str all = STR(SDP_CODE);
    for (size_t n = 0; n <= all.n;
         n++) { /* cut anywhere: what comes out is one codec, or nothing */
        struct out o = out_of(text, sizeof text);
        struct str cut = str_head(all, n);
        if (stepup_reduce(cut, &o, &event))
            assert_true(o.n <= n + 8 && str_search(out_str(&o), STR(" 9 ")) == o.n);
    }
}

/* --- whom nobody can ask --- */

static void offers_that_leave_no_way(void **state)
{
    static const char *const bad[] = {
        "", WORDS "m=audio 4000 RTP/AVP 9 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        WORDS "m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n",
        WORDS "m=audio 0 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"};
    struct fixture *x = *state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct dial d = {.uri = MOBILE, .sdp = bad[i]};
        dials(x, &d);
        assert_non_null(sent(x, ALICE, "SIP/2.0 488 "));
        assert_null(sent(x, PBX, "INVITE "));
        assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    }
    struct dial parts = {
        .uri = MOBILE,
        .sdp = "--x\r\nContent-Type: application/sdp\r\n\r\n" SDP_CODE "\r\n--x--\r\n",
        .type = "multipart/mixed;boundary=x"}; /* could not be made less in its place */
    dials(x, &parts);
    assert_non_null(sent(x, ALICE, "SIP/2.0 488 "));
    struct dial home = {.uri = HOME, .sdp = bad[2]}; /* where no code is asked for */
    dials(x, &home);
    assert_null(sent(x, ALICE, "SIP/2.0 200 "));
    goes_out(x);
    nothing_left(x);
}

static void no_memory_left(void **state)
{
    struct fixture *x = *state;
    struct blocks *large = &x->g.core[0]->large;
    for (unsigned leave = 0; leave < 2; leave++) {
        struct dial d = {.uri = MOBILE, .sdp = SDP_CODE};
        struct arena all;
        invites(x, &d);
        arena_init_blocks(&all, large, SIZE_MAX);
        while (large->count - large->used > leave)
            assert_non_null(arena_take(&all, LARGE_BLOCK - 64));
        vault(x, REASON_NONE);
        assert_null(sent(x, PBX, "INVITE "));
        if (leave) {
            answered(x, &d);
            within(x, &d, "BYE", 3);
            ended(x, REASON_call_cancelled);
        } else {
            assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
            assert_int_equal(core_usage(x->g.core[0]).calls, 0);
        }
        arena_reset(&all);
    }
    nothing_left(x);
}

static void nobody_can_be_asked(void **state)
{
    struct fixture *x = *state;
    struct pool *p = &x->g.core[0]->pendings;
    struct dial d = {.uri = MOBILE};
    static void *taken[4096];
    struct handle h;
    struct ask q;
    size_t n = 0;
    asked(x, &d);
    while (n < ARRAY_LEN(taken) && (taken[n] = pool_new(p, &h)))
        n++;
    press(x, &d, "864209");
    said_us = x->g.now.mono.us;
    assert_false(asks(x, ASK_OTP, &q));
    assert_false(kept(x, "864209"));
    hears(x, NO);
    while (n)
        pool_free(p, taken[--n]);
    rings_off(x, REASON_capacity_transactions);
    nothing_left(x);
}

/* --- right codes --- */

static void a_right_code_lets_the_call_out(void **state)
{
    struct fixture *x = *state;
    struct dial d = {.uri = MOBILE};
    struct ask q;
    char inv[4096];
    asked(x, &d);
    assert_int_equal(counted(x, REASON_right_step_up), 1);
    assert_null(strstr(d.ok, "G722"));
    assert_non_null(strstr(d.ok, " RTP/AVP 8 101\r\n"));
    press(x, &d, "12345");
    assert_false(asks(x, ASK_OTP, &q));
    press(x, &d, "*#12#34*");
    press(x, &d, "56#789");
    assert_false(asks(x, ASK_OTP, &q)); /* begun anew */
    press(x, &d, "0");
    code_is(x, &q, "alice@example.com", "567890");
    assert_int_equal(q.key, 0);
    assert_int_equal(q.nonce.len, 0);
    press(x, &d, "111111"); /* nobody listens while the vault is asked */
    assert_false(asks(x, ASK_OTP, &q));
    q.kind = ASK_OTP;
    says(x, &q, REASON_NONE);
    hears(x, CALLED);
    assert_true(called_at(x, 0, inv, sizeof inv));
    const struct call *k = only_call(x);
    assert_int_equal(k->trace.gate[GATE_RIGHT].verdict, VERDICT_PASS); /* the record says so */
    assert_int_equal(k->trace.gate[GATE_RIGHT].reason, REASON_NONE);
    assert_int_equal(k->called.kind, CLASS_MOBILE);
    assert_non_null(strstr(inv, " RTP/AVP 8 101\r\n")); /* what she was answered with */
    assert_null(strstr(inv, "G722"));
    press(x, &d, "111111");
    assert_false(asks(x, ASK_OTP, &q));
    answer_from(x, PBX, inv, 180, "");
    assert_null(sent(x, ALICE, "SIP/2.0 1"));
    answer_from(x, PBX, inv, 200, SDP_P);
    assert_non_null(sent(x, PBX, "ACK "));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    assert_null(k->step);
    assert_null(k->a->held);
    assert_int_equal(k->state, CALL_UP);
    assert_false(k->a->media->voice.on);
    pass_ms(x, 60000); /* no time of ours runs any more */
    assert_null(sent(x, ALICE, "BYE "));
    within(x, &d, "BYE", 3);
    assert_non_null(sent(x, PBX, "BYE "));
    ended(x, REASON_NONE);
    nothing_left(x);
}

/* Who is called may answer before her ACK has come. */
static void ack_comes_late(void **state)
{
    struct fixture *x = *state;
    struct dial d = {.uri = MOBILE, .sdp = SDP_CODE};
    char inv[4096];
    dials(x, &d);
    reached(x, &d);
    pass_ms(x, 500);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 ")); /* once more */
    types(x, &d, "864209", REASON_NONE);
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 200, SDP_P);
    assert_int_equal(only_call(x)->a->state, LEG_UP);
    pass_ms(x, 4000);
    assert_null(sent(x, ALICE, "SIP/2.0 200 "));
    within(x, &d, "ACK", 2);
    assert_int_equal(only_call(x)->state, CALL_UP);
    within(x, &d, "BYE", 3);
    ended(x, REASON_NONE);
    nothing_left(x);
}

static void nobody_there_behind_it(void **state)
{
    struct fixture *x = *state;
    for (unsigned silent = 0; silent < 2; silent++) {
        struct dial d = {.uri = MOBILE};
        char inv[4096];
        x->g.policy.step_up_s = 0;
        asked(x, &d);
        types(x, &d, "864209", REASON_NONE);
        assert_true(called_at(x, 0, inv, sizeof inv));
        if (silent) {
            answer_from(x, PBX, inv, 180, "");
            pass_ms(x, 59000); /* policy: 60 s */
            assert_null(sent(x, ALICE, "BYE "));
            pass_ms(x, 1000);
            assert_non_null(sent(x, PBX, "CANCEL "));
        } else {
            answer_from(x, PBX, inv, 486, "");
        }
        assert_non_null(sent(x, ALICE, "BYE "));
        ended(x, silent ? REASON_call_no_answer : REASON_peer_refused);
    }
    nothing_left(x);
}

/* --- wrong ones --- */

static void wrong_codes_are_limited(void **state)
{
    struct fixture *x = *state;
    struct dial d = {.uri = MOBILE};
    struct ask q;
    asked(x, &d);
    types(x, &d, "111111", REASON_auth_otp);
    hears(x, AGAIN);
    types(x, &d, "222222", REASON_auth_otp);
    hears(x, AGAIN);
    types(x, &d, "333333", REASON_auth_otp);
    hears(x, NO);
    assert_int_equal(counted(x, REASON_auth_otp), 3);
    press(x, &d, "444444");
    assert_false(asks(x, ASK_OTP, &q));
    rings_off(x, REASON_auth_otp);
    d = (struct dial){.uri = MOBILE}; /* the last one counts as much as the first */
    asked(x, &d);
    types(x, &d, "111111", REASON_auth_otp);
    types(x, &d, "222222", REASON_auth_otp);
    types(x, &d, "333333", REASON_NONE);
    hears(x, CALLED);
    goes_out(x);
    nothing_left(x);
}

/* What the shield knows of her address. */
static const char *known(struct fixture *x, char text[2048])
{
    struct out o = out_of(text, 2047);
    struct addr a = test_addr(ALICE);
    core_explain_json(x->g.core[0], &a, STR_NONE, &o, x->g.now);
    text[o.n] = 0;
    return text;
}

static void what_ends_at_once(void **state)
{
    static const enum reason why[] = {REASON_auth_limited, REASON_auth_unavailable};
    struct fixture *x = *state;
    for (size_t i = 0; i < ARRAY_LEN(why); i++) {
        struct dial d = {.uri = MOBILE};
        asked(x, &d);
        char before[2048], after[2048];
        (void)known(x, before);
        types(x, &d, "111111", why[i]);
        hears(x, NO); /* a vault that is not there is not her doing */
        assert_int_equal(strcmp(before, known(x, after)) != 0, why[i] != REASON_auth_unavailable);
        assert_int_equal(counted(x, why[i]), 1);
        rings_off(x, why[i]);
    }
    struct dial d = {.uri = MOBILE}; /* a vault that says nothing */
    struct ask q;
    asked(x, &d);
    press(x, &d, "864209");
    assert_true(asks(x, ASK_OTP, &q));
    pass_ms(x, ASK_LIFE_MS - 1);
    hears(x, ASKED);
    pass_ms(x, 1);
    hears(x, NO);
    says(x, &q, REASON_NONE); /* too late */
    hears(x, NO);
    rings_off(x, REASON_auth_unavailable);
    nothing_left(x);
}

/* What counts is what was dialled, by the rules of now. */
static void other_rules_meanwhile(void **state)
{
    struct fixture *x = *state;
    struct dial d = {.uri = MOBILE};
    asked(x, &d);
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    types(x, &d, "864209", REASON_NONE);
    hears(x, NO);
    assert_int_equal(counted(x, REASON_right_denied), 1);
    rings_off(x, REASON_right_denied);
    d = (struct dial){.uri = AUSTRIA};
    asked(x, &d);
    x->g.policy.roles[0].rights.n_countries = 0; /* the gates are asked once more */
    types(x, &d, "864209", REASON_NONE);
    hears(x, NO);
    rings_off(x, REASON_right_country);
    struct rights_site *site = &x->g.policy.sites[0]; /* and at the hour of the code */
    x->g.policy.roles[0].rights.off_classes = 0;
    site->n_week = 1;
    site->week[0].from = 0;
    site->week[0].to = (uint16_t)((x->g.now.wall.us / SECOND / 60 + 3 * 1440) % (7 * 1440) + 1);
    x->g.policy.roles[0].rights.step_up |= 1u << CLASS_NATIONAL;
    d = (struct dial){.uri = "sip:089123456@example.com"};
    asked(x, &d);
    int64_t left = 60 - x->g.now.wall.us / SECOND % 60;
    x->g.now.wall.us += left * SECOND;
    types(x, &d, "864209", REASON_NONE);
    rings_off(x, REASON_right_hours);
    nothing_left(x);
}

/* --- time --- */

static void time_to_give_one(void **state)
{
    struct fixture *x = *state;
    for (unsigned asking = 0; asking < 3; asking++) {
        struct dial d = {.uri = MOBILE};
        struct ask q = {0};
        asked(x, &d);
        int64_t begun = x->g.now.mono.us;
        if (asking == 1) { /* a wrong one brings no more time */
            pass_ms(x, 20000);
            types(x, &d, "111111", REASON_auth_otp);
        } else if (asking == 2) { /* nor does one that came in the last moment */
            pass_ms(x, 29000);
            press(x, &d, "864209");
            assert_true(asks(x, ASK_OTP, &q));
        }
        pass_ms(x, (begun + 30 * SECOND - x->g.now.mono.us) / 1000 - 1);
        assert_null(sent(x, ALICE, "BYE "));
        pass_ms(x, 1);
        assert_non_null(sent(x, ALICE, "BYE "));
        ended(x, REASON_auth_otp_time);
        assert_int_equal(counted(x, REASON_auth_otp_time), asking + 1);
        if (asking == 2)
            says(x, &q, REASON_NONE); /* the call has gone */
        assert_null(sent(x, PBX, "INVITE "));
    }
    nothing_left(x);
}

/* --- cut in the middle --- */

static void cut_anywhere(void **state)
{
    enum { BEFORE_ACK, ASKING, DIGITS, WAITING, WRONG, ENDING, CALLING, PLACES };
    struct fixture *x = *state;
    x->g.policy.step_up_s = 0;
    for (unsigned at = 0; at < PLACES; at++) {
        struct dial d = {.uri = MOBILE, .sdp = SDP_CODE};
        struct ask q = {0};
        char inv[4096] = "";
        dials(x, &d);
        if (at == BEFORE_ACK)
            reached(x, &d);
        else
            answered(x, &d);
        if (at == DIGITS)
            press(x, &d, "97531");
        if (at == WAITING) {
            press(x, &d, "864209");
            assert_true(asks(x, ASK_OTP, &q));
        }
        if (at == WRONG || at == ENDING)
            types(x, &d, "111111", at == WRONG ? REASON_auth_otp : REASON_auth_limited);
        if (at == CALLING) {
            types(x, &d, "864209", REASON_NONE);
            assert_true(called_at(x, 0, inv, sizeof inv));
            answer_from(x, PBX, inv, 180, "");
        }
        within(x, &d, "BYE", 3);
        assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
        assert_int_equal(sent(x, PBX, "CANCEL ") != NULL, at == CALLING);
        ended(x, REASON_call_cancelled);
        assert_false(kept(x, "97531"));
        if (at == WAITING)
            says(x, &q, REASON_NONE);
        assert_null(sent(x, PBX, "INVITE "));
        if (at == CALLING)
            answer_from(x, PBX, inv, 487, "");
    }
    nothing_left(x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stepup_setup, teardown)
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_codec_and_events),
                                       T(offers_that_leave_no_way),
                                       T(no_memory_left),
                                       T(nobody_can_be_asked),
                                       T(a_right_code_lets_the_call_out),
                                       T(ack_comes_late),
                                       T(nobody_there_behind_it),
                                       T(wrong_codes_are_limited),
                                       T(what_ends_at_once),
                                       T(other_rules_meanwhile),
                                       T(time_to_give_one),
                                       T(cut_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
