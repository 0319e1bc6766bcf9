/* One core, one call at a time: what goes in and what comes out, message by message. */
#include "call/core_fixture.h"

static void test_register(void **state)
{
    struct fixture *x = *state;
    register_alice(x);
    nothing_left(x);
}

static void test_register_refused(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=r1", to[] = "<sip:alice@example.com>";
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg1", 1, "", ""));
    char auth[1024];
    (void)snprintf(auth, sizeof auth, "%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg1", 2, auth, ""));
    vault(x, REASON_auth_failed);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_int_equal(x->g.counters[0].n[REASON_auth_failed], 1);
    /* A vault that says nothing. */
    (void)snprintf(auth, sizeof auth, "%s", "");
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg2", 1, "", ""));
    (void)snprintf(auth, sizeof auth, "%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg2", 2, auth, ""));
    pass_ms(x, 2100);
    assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
    nothing_left(x);
}

static void test_call_bye_by_caller(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096], bye[4096];
    call_up(x, a, p, sizeof a);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    assert_non_null(sent(x, ALICE, "BYE sip:alice@203.0.113.5 SIP/2.0"));
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    (void)snprintf(bye, sizeof bye, "%s", sent(x, ALICE, "BYE "));
    message(x, &fa, answer(bye, 200, "", "alice@203.0.113.5", ""));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

static void test_call_bye_by_callee(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096];
    call_up(x, a, p, sizeof a);
    char to[512];
    (void)snprintf(to, sizeof to, "%s;tag=a1", field(a, "To").p);
    /* From another address of the zone it must prove itself: 401, and the call stays. */
    struct flow other = flow_of("203.0.113.66:5060", LISTEN_OUT_UDP);
    message(x, &other,
            request("BYE", "sip:x@" TEST_OUTSIDE, to, field(a, "From").p, field(a, "Call-ID").p, 1,
                    "", ""));
    assert_non_null(sent(x, "203.0.113.66:5060", "SIP/2.0 401 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    message(x, &fa,
            request("BYE", "sip:x@" TEST_OUTSIDE, to, field(a, "From").p, field(a, "Call-ID").p, 2,
                    "", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_non_null(sent(x, PBX, "BYE sip:200@198.51.100.10:5060 SIP/2.0"));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    /* Both at once: the other side's BYE finds its leg just ended. */
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    nothing_left(x);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 3, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
}

static void test_call_refused_and_cancelled(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    char invite[4096];
    register_alice(x);
    ring_alice(x, invite, sizeof invite);
    message(x, &fa, answer(invite, 486, "a1", "alice@203.0.113.5", ""));
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_non_null(sent(x, PBX, "SIP/2.0 486 "));
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    nothing_left(x);
    /* Nobody answers: the ringing ends by itself. */
    ring_alice(x, invite, sizeof invite);
    message(x, &fa, answer(invite, 180, "a1", "alice@203.0.113.5", ""));
    bool told = false;
    for (int i = 0; i < 610 && !told; i++) {
        pass_ms(x, 100);
        told = sent(x, PBX, "SIP/2.0 480 ") != NULL;
    }
    assert_true(told);
    assert_non_null(sent(x, ALICE, "CANCEL "));
    (void)fp;
    nothing_left(x);
}

static void test_unknown_source(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of("198.18.0.1:5060", LISTEN_OUT_UDP);
    message(x, &f,
            request("INVITE", "sip:alice@example.com", "<sip:x@example.com>;tag=1",
                    "<sip:alice@example.com>", "u1", 1, "Contact: <sip:x@198.18.0.1>\r\n", SDP_A));
    assert_null(sent(x, "198.18.0.1:5060", "SIP"));
    assert_int_equal(x->g.counters[0].n[REASON_zone_unknown_source], 1);
    message(x, &f, "garbage\r\n\r\n");
    assert_null(sent(x, "198.18.0.1:5060", "SIP"));
    nothing_left(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_register, setup, teardown),
        cmocka_unit_test_setup_teardown(test_register_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_bye_by_caller, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_bye_by_callee, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_refused_and_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_source, setup, teardown),
    };
    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
