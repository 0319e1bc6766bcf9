/* Transfers: blind, attended, by INVITE with Replaces; refused, failing, overtaken by hang-ups. */
#include "call/transfer_test.h"

/* Alice answers the NOTIFY that came last: only then does the BYE behind it leave. */
static void bye_behind_notify(struct fixture *x, unsigned code)
{
    char n[4096];
    (void)snprintf(n, sizeof n, "%s", sent(x, ALICE, "NOTIFY "));
    assert_null(sent(x, ALICE, "BYE "));
    answer_from(x, ALICE, n, code, "");
    const char *bye = sent(x, ALICE, "BYE ");
    assert_non_null(bye);
    assert_string_equal(field(bye, "Call-ID").p, field(n, "Call-ID").p);
    assert_int_equal(strtol(field(bye, "CSeq").p, NULL, 10),
                     strtol(field(n, "CSeq").p, NULL, 10) + 1);
}

static void test_blind(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    notified(x, "SIP/2.0 100 ", "Subscription-State: active");
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
    answer_from(x, BOB, s.far, 180, "");
    notified(x, "SIP/2.0 180 ", "Subscription-State: active");
    join(x, &s);
    notified(x, "SIP/2.0 200 ", "Subscription-State: terminated;reason=noresource");
    assert_int_equal(count_facts(x, FACT_TRANSFER), 1);
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    bye_behind_notify(x, 200);
    struct core_usage u = core_usage(x->g.core[0]);
    assert_int_equal(u.calls, 1);
    assert_int_equal(u.legs, 2);
    assert_int_equal(u.media.legs, 2);
    /* What comes now from the PBX is bob's. */
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, CALLER, field(s.p, "To").p, "id-of-pbx", 2,
                    "Contact: <sip:200@198.51.100.10>\r\n", SDP_P));
    const char *hold = sent(x, BOB, "INVITE ");
    assert_non_null(hold);
    (void)snprintf(s.far, sizeof s.far, "%s", hold);
    answer_from(x, BOB, s.far, 200, SDP_B);
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    pbx(x, &s, "ACK", 2);
    pbx(x, &s, "BYE", 3);
    assert_non_null(sent(x, BOB, "BYE "));
    nothing_left(x);
}

/* Who transfers hangs up at once (RFC 5589 6.1): the caller waits for bob. */
static void test_blind_bye_first(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    alice(x, &s, "BYE", "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_null(sent(x, PBX, "BYE "));
    assert_null(sent(x, BOB, "CANCEL "));
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP); /* who waits cannot hold who has gone */
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, CALLER, field(s.p, "To").p, "id-of-pbx", 2,
                    "Contact: <sip:200@198.51.100.10>\r\n", SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 491 "));
    pbx(x, &s, "ACK", 2);
    join(x, &s);
    assert_non_null(sent(x, ALICE, "NOTIFY "));
    assert_null(sent(x, ALICE, "BYE "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pbx(x, &s, "BYE", 3);
    assert_non_null(sent(x, BOB, "BYE "));
    nothing_left(x);
}

/* ... and if bob does not come there is nobody left for the caller. */
static void test_blind_bye_then_busy(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    alice(x, &s, "BYE", "");
    answer_from(x, BOB, s.far, 486, "");
    assert_non_null(sent(x, PBX, "BYE "));
    assert_null(sent(x, ALICE, "BYE "));
    nothing_left(x);
}

static void test_target_busy(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 486, "");
    notified(x, "SIP/2.0 486 ", "terminated;reason=noresource");
    assert_int_equal(count_facts(x, FACT_TRANSFER), 1);
    still_up(x, &s);
}

static void test_no_answer(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 180, "");
    for (int i = 0; i < 601 && !count_facts(x, FACT_TRANSFER); i++)
        pass_ms(x, 100);
    notified(x, "SIP/2.0 480 ", "terminated;reason=noresource");
    assert_non_null(sent(x, BOB, "CANCEL "));
    still_up(x, &s);
}

/* The caller's phone does not take the re-INVITE: bob is let go, the call stays. */
static void test_near_refuses(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 488, "");
    assert_non_null(sent(x, BOB, "BYE "));
    notified(x, "SIP/2.0 488 ", "terminated;reason=noresource");
    still_up(x, &s);
}

/* The caller's side offers at the same time: asked again later. */
static void test_near_glare(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 491, "");
    assert_null(sent(x, BOB, "BYE "));
    for (int i = 0; i < 41 && !sent(x, PBX, "INVITE "); i++) {
        assert_true(i >= 20 || !sent(x, PBX, "INVITE "));
        pass_ms(x, 100);
    }
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 200, SDP_P);
    assert_non_null(strstr(sent(x, ALICE, "NOTIFY "), "SIP/2.0 200 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pbx(x, &s, "BYE", 2);
    nothing_left(x);
}

/* A trunk wants credentials for the re-INVITE. */
static void test_near_challenged(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct scene s;
    char text[4096], rest[4096];
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    (void)snprintf(text, sizeof text, "%s", answer(s.near, 401, "t9", "x@198.51.100.10", ""));
    char *at = strstr(text, "Server: ");
    (void)snprintf(rest, sizeof rest, "%s", at);
    (void)snprintf(at, sizeof text - (size_t)(at - text),
                   "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\", algorithm=SHA-256, "
                   "qop=\"auth\"\r\n%s",
                   rest);
    message(x, &fp, text);
    struct ask q = {0};
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK)
            memcpy(&q, x->text[i], MIN(sizeof q, sizeof x->text[i]));
    struct answer a = {.id = q.id, .kind = ASK_RESPOND, .n = 64};
    memset(a.bytes, 'd', 64);
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
    const char *re = sent(x, PBX, "INVITE ");
    assert_non_null(re);
    assert_non_null(strstr(re, "Authorization: Digest "));
    (void)snprintf(s.near, sizeof s.near, "%s", re);
    answer_from(x, PBX, s.near, 200, SDP_P);
    assert_non_null(sent(x, ALICE, "NOTIFY "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pbx(x, &s, "BYE", 2);
    nothing_left(x);
}

/* Bob hangs up while the caller is asked: its yes comes too late and it is led back to alice. */
static void test_target_leaves_in_between(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    char to[512];
    (void)snprintf(to, sizeof to, "%s;tag=t9", field(s.far, "To").p);
    message(x, &fb,
            request("BYE", "sip:x@" TEST_OUTSIDE, to, field(s.far, "From").p,
                    field(s.far, "Call-ID").p, 1, "", ""));
    assert_non_null(sent(x, BOB, "SIP/2.0 200 "));
    notified(x, "SIP/2.0 480 ", "terminated;reason=noresource");
    answer_from(x, PBX, s.near, 200, SDP_P);
    const char *back = sent(x, PBX, "INVITE ");
    assert_non_null(back);
    (void)snprintf(s.near, sizeof s.near, "%s", back);
    answer_from(x, PBX, s.near, 200, SDP_P);
    assert_null(sent(x, PBX, "INVITE "));
    still_up(x, &s);
}

/* The caller hangs up while bob rings. */
static void test_caller_leaves(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 180, "");
    pbx(x, &s, "BYE", 2);
    assert_non_null(sent(x, BOB, "CANCEL "));
    assert_non_null(strstr(sent(x, ALICE, "NOTIFY "), "SIP/2.0 487 "));
    bye_behind_notify(x, 481);
    nothing_left(x);
}

/* A phone that answers no NOTIFY gets its BYE when the NOTIFY has had its time; one that answered
 * before the call ends gets it at once. */
static void test_notify_unanswered(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char n[4096];
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 180, "");
    pbx(x, &s, "BYE", 2);
    (void)snprintf(n, sizeof n, "%s", sent(x, ALICE, "NOTIFY "));
    answer_from(x, ALICE, n, 100, ""); /* provisional: goes on waiting */
    assert_null(sent(x, ALICE, "BYE "));
    int ms = 0;
    while (!sent(x, ALICE, "BYE ")) {
        pass_ms(x, 100);
        assert_true((ms += 100) <= 33000);
    }
    assert_true(ms > 31000);
    nothing_left(x);
}

static void test_refused(void **state)
{
    static const struct {
        const char *to;
        const char *code;
        uint8_t services;
    } rows[] = {
        {"Refer-To: <sip:bob@example.com>\r\n", "SIP/2.0 603 ", 0},
        {"Refer-To: <sip:bob@example.com>\r\n", "SIP/2.0 202 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:bob@example.org>\r\n", "SIP/2.0 403 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:nobody@example.com>\r\n", "SIP/2.0 404 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:0900123@example.com>\r\n", "SIP/2.0 403 ", SERVICE_TRANSFER},
        {"Refer-To: <tel:0900123>\r\n", "SIP/2.0 403 ", SERVICE_TRANSFER},
        {"Refer-To: <mailto:bob@example.com>\r\n", "SIP/2.0 416 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:bob@example.com;method=BYE>\r\n", "SIP/2.0 400 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:bob@example.com?Replaces=x>\r\n", "SIP/2.0 400 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:bob@example.com?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>\r\n",
         "SIP/2.0 404 ", SERVICE_TRANSFER},
        {"", "SIP/2.0 400 ", SERVICE_TRANSFER},
        {"Refer-To: %%%\r\n", "SIP/2.0 400 ", SERVICE_TRANSFER}};
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    struct policy *p = &x->g.policy;
    memmove(&p->routes[1], &p->routes[0], p->n_routes++ * sizeof p->routes[0]);
    p->routes[0].pattern = test_text(p, "0900.");
    p->routes[0].to = ROUTE_REFUSE;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        x->g.policy.zones[ZONE_PHONES].services = rows[i].services;
        alice(x, &s, "REFER", rows[i].to);
        if (!sent(x, ALICE, rows[i].code))
            fail_msg("row %zu: %.40s", i, x->text[0]);
        if (i == 1) { /* one at a time */
            (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
            alice(x, &s, "REFER", rows[i].to);
            assert_non_null(sent(x, ALICE, "SIP/2.0 491 "));
            answer_from(x, BOB, s.far, 486, "");
        }
        assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    }
    still_up(x, &s);
}

/* No new calls, no transfers to one; joining those that are there goes on. */
static void test_draining(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    core_drain(x->g.core[0], true);
    alice(x, &s, "REFER", "Refer-To: <sip:bob@example.com>\r\n");
    assert_non_null(strstr(sent(x, ALICE, "SIP/2.0 503 "), "Retry-After: "));
    still_up(x, &s);
}

/* RFC 4488: no subscription was wanted. The second REFER is named in its notifications. */
static void test_quiet_and_named(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    alice(x, &s, "REFER", "Refer-To: <sip:bob@example.com>\r\nRefer-Sub: false\r\n");
    assert_non_null(strstr(sent(x, ALICE, "SIP/2.0 202 "), "Refer-Sub: false"));
    assert_null(sent(x, ALICE, "NOTIFY "));
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s.far, 486, "");
    assert_null(sent(x, ALICE, "NOTIFY "));
    alice(x, &s, "REFER", "Refer-To: <sip:bob@example.com>\r\n");
    assert_str(field(sent(x, ALICE, "NOTIFY "), "Event"), "refer;id=7");
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s.far, 486, "");
    still_up(x, &s);
}

/* Outside of a call nobody is called for anybody. */
static void test_outside(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    x->g.policy.zones[ZONE_PBX].services = SERVICE_TRANSFER;
    message(x, &fp,
            request("REFER", "sip:alice@" TEST_INSIDE, CALLER, "<sip:alice@" TEST_INSIDE ">", "r1",
                    1, "Refer-To: <sip:bob@example.com>\r\nContact: <sip:x@198.51.100.10>\r\n",
                    ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 403 "));
    nothing_left(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blind_bye_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blind_bye_then_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_target_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_glare, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_challenged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_target_leaves_in_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caller_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notify_unanswered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_draining, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quiet_and_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outside, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
