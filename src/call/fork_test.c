/* Legs B before the answer: phones at once, trunks one after the other, and how the race ends. */
#include "call/exchange_test.h"
#include "call/trunks_test.h"

#define BOBS  "sip:bob@example.com"
#define LOCAL "sip:030123456@example.com"
static char inv[2][4096]; /* what bob's phones got */
static const char *const PHONE_AT[2] = {BOB, BOB2};

static int begin(void **state)
{
    (void)setup(state);
    struct fixture *x = *state;
    trunks(&x->g.policy, TRUNKS);
    bind_phone(x, "bob", BOB, 500);
    bind_phone(x, "bob", BOB2, 500);
    return 0;
}

/* alice calls bob, whose phones both ring. */
static void ring(struct fixture *x, const char *id)
{
    dial_to(x, id, BOBS);
    for (int i = 0; i < 2; i++)
        keep(inv[i], sizeof inv[i], sent(x, PHONE_AT[i], "INVITE sip:bob@"));
    for (int i = 0; i < 2; i++) {
        answer_from(x, PHONE_AT[i], inv[i], 180, "");
        assert_non_null(sent(x, ALICE, "SIP/2.0 180 "));
    }
}

static void phone_says(struct fixture *x, int i, unsigned code, const char *sdp)
{
    answer_from(x, PHONE_AT[i], inv[i], code, sdp);
}

/* alice ends what was answered to her. */
static void hang_up(struct fixture *x, const char *ok, const char *id)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=d1", uri[] = "sip:x@" TEST_OUTSIDE;
    char to[512];
    keep(to, sizeof to, field(ok, "To").p);
    message(x, &fa, request("ACK", uri, from, to, id, 2, "", ""));
    message(x, &fa, request("BYE", uri, from, to, id, 3, "", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
}

static void one_answers(void **state)
{
    struct fixture *x = *state;
    char ok[4096];
    ring(x, "one");
    assert_false(str_eq(field(inv[0], "Call-ID"), field(inv[1], "Call-ID")) &&
                 str_eq(field(inv[0], "From"), field(inv[1], "From")));
    phone_says(x, 1, 200, SDP_B);
    keep(ok, sizeof ok, sent(x, ALICE, "SIP/2.0 200 "));
    assert_non_null(sent(x, BOB2, "ACK "));
    assert_null(sent(x, BOB2, "CANCEL "));
    const char *c = sent(x, BOB, "CANCEL ");
    assert_non_null(c);
    assert_true(str_eq(field(c, "Via"), field(inv[0], "Via")));
    assert_non_null(strstr(field(c, "Reason").p, "cause=200"));
    phone_says(x, 0, 487, "");
    assert_non_null(sent(x, BOB, "ACK "));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    assert_int_equal(core_usage(x->g.core[0]).legs, 2);
    hang_up(x, ok, "one");
    assert_non_null(sent(x, BOB2, "BYE "));
    message(x, &(struct flow){.proto = PROTO_UDP, .peer = test_addr(BOB2)},
            answered(sent(x, BOB2, "BYE "), "200 OK", "", ""));
    nothing_left(x);
}

/* Both answer at once: the second is told that it was not needed. */
static void two_answer(void **state)
{
    struct fixture *x = *state;
    char ok[4096];
    ring(x, "two");
    phone_says(x, 0, 200, SDP_B);
    keep(ok, sizeof ok, sent(x, ALICE, "SIP/2.0 200 "));
    phone_says(x, 1, 200, SDP_B);
    assert_null(sent(x, ALICE, "SIP/2.0"));
    assert_non_null(sent(x, BOB2, "ACK "));
    assert_non_null(sent(x, BOB2, "BYE "));
    hang_up(x, ok, "two");
    assert_non_null(sent(x, BOB, "BYE "));
    assert_null(sent(x, BOB2, "BYE "));
    nothing_left(x);
}

/* The best of what phones answer, in whatever order. */
static void the_best_code(void **state)
{
    struct fixture *x = *state;
    static const struct {
        unsigned first, second, told;
    } row[] = {
        {486, 486, 486}, {486, 404, 486}, {404, 486, 404}, {500, 486, 486}, {486, 500, 486},
        {480, 603, 603}, {500, 504, 500}, {503, 500, 480}, {401, 486, 486}, {302, 500, 480},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char id[16], want[24];
        (void)snprintf(id, sizeof id, "best%zu", i);
        (void)snprintf(want, sizeof want, "SIP/2.0 %u ", row[i].told);
        ring(x, id);
        phone_says(x, 0, row[i].first, "");
        assert_non_null(sent(x, BOB, "ACK "));
        assert_null(sent(x, ALICE, "SIP/2.0")); /* the other still rings */
        assert_null(sent(x, BOB2, "CANCEL "));
        phone_says(x, 1, row[i].second, "");
        if (!sent(x, ALICE, want))
            fail_msg("%u, %u", row[i].first, row[i].second);
        assert_int_equal(count_facts(x, FACT_CALL_END), 1);
        assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    }
    nothing_left(x);
}

/* 6xx ends it everywhere. */
static void nobody_wants_it(void **state)
{
    struct fixture *x = *state;
    ring(x, "six");
    phone_says(x, 0, 603, "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 603 "));
    assert_non_null(sent(x, BOB2, "CANCEL "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    phone_says(x, 1, 487, "");
    assert_null(sent(x, ALICE, "SIP/2.0"));
    nothing_left(x);
}

/* A phone that is gone counts less than one that is busy. */
static void silence(void **state)
{
    struct fixture *x = *state;
    dial_to(x, "quiet", BOBS);
    keep(inv[0], sizeof inv[0], sent(x, BOB, "INVITE "));
    assert_non_null(sent(x, BOB2, "INVITE "));
    phone_says(x, 0, 500, "");
    assert_null(sent(x, ALICE, "SIP/2.0"));
    const char *told = NULL;
    int ms = 0;
    for (; ms < 40000 && !told; ms += 100) {
        pass_ms(x, 100);
        told = sent(x, ALICE, "SIP/2.0 ");
    }
    assert_non_null(told);
    assert_true(strncmp(told, "SIP/2.0 500 ", 12) == 0);
    assert_in_range(ms, 31000, 33500); /* 64 * T1 */
    nothing_left(x);
}

/* alice gives up: each phone that rings is told, one that said nothing yet once it does. */
static void cancelled(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char via[256], cancel[2048];
    dial_to(x, "cancel", BOBS);
    for (int i = 0; i < 2; i++)
        keep(inv[i], sizeof inv[i], sent(x, PHONE_AT[i], "INVITE "));
    phone_says(x, 0, 180, "");
    keep(via, sizeof via, field(sent(x, ALICE, "SIP/2.0 180 "), "Via").p);
    (void)snprintf(cancel, sizeof cancel,
                   "CANCEL " BOBS " SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: "
                   "<sip:alice@example.com>;tag=d1\r\nTo: <" BOBS ">\r\nCall-ID: cancel\r\n"
                   "CSeq: 2 CANCEL\r\nContent-Length: 0\r\n\r\n",
                   via);
    message(x, &fa, cancel);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_non_null(sent(x, ALICE, "SIP/2.0 487 "));
    assert_non_null(sent(x, BOB, "CANCEL "));
    assert_null(sent(x, BOB2, "CANCEL "));
    phone_says(x, 1, 180, "");
    assert_null(sent(x, ALICE, "SIP/2.0"));
    assert_non_null(sent(x, BOB2, "CANCEL "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

static void how_many_at_once(void **state)
{
    struct fixture *x = *state;
    for (unsigned n = 3; n <= FORKS_MAX + 1; n++) { /* two are there */
        char at[32], id[16];
        unsigned got = 0;
        (void)snprintf(at, sizeof at, "203.0.113.%u:5060", 20 + n);
        (void)snprintf(id, sizeof id, "many%u", n);
        bind_phone(x, "bob", at, 500);
        dial_to(x, id, BOBS);
        for (size_t i = 0; i < x->n_got; i++)
            got += x->got[i].kind == INTENT_SEND && strncmp(x->text[i], "INVITE ", 7) == 0;
        assert_int_equal(got, MIN(n, FORKS_MAX));
    }
    dial_to(x, "none", "sip:carol@example.com");
    assert_non_null(sent(x, ALICE, "SIP/2.0 480 "));
}

/* Trunks: 503 and its like go on to the next, what is said of the callee does not. */
static void failover(void **state)
{
    struct fixture *x = *state;
    char one[4096], two[4096];
    dial_to(x, "next", LOCAL);
    assert_true(called_at(x, 0, one, sizeof one));
    assert_null(sent(x, TRUNK2, "INVITE "));
    answer_from(x, PBX, one, 503, "");
    assert_non_null(sent(x, PBX, "ACK "));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    assert_int_equal(who_is_called(x, two, sizeof two), 1);
    assert_false(str_eq(field(one, "Call-ID"), field(two, "Call-ID")));
    assert_str(field(two, "To"), "<sip:030123456@example.com>");
    answer_from(x, TRUNK2, two, 404, "");
    assert_int_equal(who_is_called(x, two, sizeof two), -1);
    assert_non_null(sent(x, ALICE, "SIP/2.0 404 "));
    nothing_left(x);
}

static void too_short_a_session(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    char one[4096], two[4096];
    dial_to(x, "short", LOCAL);
    assert_true(called_at(x, 0, one, sizeof one));
    message(x, &f, answered(one, "422 Short", "s", "Min-SE: 3600\r\n"));
    assert_true(called_at(x, 0, two, sizeof two));
    assert_true(str_starts(field(two, "Session-Expires"), STR("3600")));
    assert_true(str_eq(field(one, "Call-ID"), field(two, "Call-ID")));
    message(x, &f, answered(two, "422 Short", "s", "Min-SE: 7200\r\n")); /* once */
    assert_null(sent(x, PBX, "INVITE "));
    assert_non_null(sent(x, ALICE, "SIP/2.0 500 "));
    nothing_left(x);
}

/* One phone sends the call elsewhere: it is told the caller, or called beside the other that rings.
 */
static void redirected(void **state)
{
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    static const char there[] = "Contact: <sip:030555@example.com>\r\n";
    char out[4096];
    ring(x, "stays");
    message(x, &fb, answered(inv[0], "302 There", "r", there));
    assert_int_equal(who_is_called(x, out, sizeof out), -1);
    phone_says(x, 1, 486, "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 480 ")); /* it came first */
    assert_int_equal(who_is_called(x, out, sizeof out), -1);
    x->g.policy.zones[ZONE_PHONES].redirect = true;
    ring(x, "goes");
    message(x, &fb, answered(inv[0], "302 There", "r", there));
    assert_int_equal(who_is_called(x, out, sizeof out), 0);
    assert_non_null(strstr(out, "INVITE sip:030555@"));
    assert_null(sent(x, BOB2, "CANCEL "));
    phone_says(x, 1, 486, "");
    assert_null(sent(x, ALICE, "SIP/2.0")); /* the call goes on there */
    answer_from(x, PBX, out, 404, "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 486 "));
    nothing_left(x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, teardown)
    const struct CMUnitTest tests[] = {
        T(one_answers), T(two_answer), T(the_best_code),    T(nobody_wants_it),     T(silence),
        T(cancelled),   T(failover),   T(how_many_at_once), T(too_short_a_session), T(redirected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
