/* Offers before the answer (RFC 3262 5, 3311 5.2), and offers that come late: in a 2xx, in an ACK.
 */
#include "call/core_fixture.h"

#define CALLER "<sip:200@198.51.100.10>;tag=p1"
#define REL    "Require: 100rel\r\nRSeq: 7\r\nAllow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE\r\n"

static void from_pbx(struct fixture *x, const char *method, const char *to, int cseq,
                     const char *more, const char *sdp)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f, request(method, "sip:x@" TEST_INSIDE, CALLER, to, "id-of-pbx", cseq, more, sdp));
}

/* The answer with further fields. */
static void from_alice(struct fixture *x, const char *req, unsigned code, const char *more,
                       const char *sdp)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char text[4096], rest[4096], *at;
    (void)snprintf(text, sizeof text, "%s", answer(req, code, "a1", "alice@203.0.113.5", sdp));
    at = strstr(text, "Server: ");
    (void)snprintf(rest, sizeof rest, "%s", at);
    (void)snprintf(at, sizeof text - (size_t)(at - text), "%s%s", more, rest);
    message(x, &f, text);
}

/* Alice's phone offers in her dialog, which is early. */
static void alice_updates(struct fixture *x, const char *invite, int cseq)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char from[512], to[512], id[512];
    (void)snprintf(from, sizeof from, "%s;tag=a1", field(invite, "To").p);
    (void)snprintf(to, sizeof to, "%s", field(invite, "From").p);
    (void)snprintf(id, sizeof id, "%s", field(invite, "Call-ID").p);
    message(x, &f,
            request("UPDATE", "sip:x@" TEST_OUTSIDE, from, to, id, cseq,
                    "Contact: <sip:alice@203.0.113.5>\r\n", SDP_A));
}

/* Ringing, with alice's answer taken reliably on both sides. ret_to: To of the PBX's dialog. */
static void ring_reliably(struct fixture *x, char *invite, size_t cap, char *ret_to, size_t to_cap)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    register_alice(x);
    message(x, &f,
            request("INVITE", "sip:alice@" TEST_INSIDE, CALLER, "<sip:alice@" TEST_INSIDE ">",
                    "id-of-pbx", 1,
                    "Contact: <sip:200@198.51.100.10>\r\nRequire: 100rel\r\n"
                    "Allow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE\r\n",
                    SDP_P));
    (void)snprintf(invite, cap, "%s", sent(x, ALICE, "INVITE "));
    from_alice(x, invite, 183, REL, SDP_A);
    const char *ringing = sent(x, PBX, "SIP/2.0 183 ");
    assert_non_null(ringing);
    assert_non_null(strstr(ringing, "m=audio "));
    (void)snprintf(ret_to, to_cap, "%s", field(ringing, "To").p);
    char prack[4096];
    (void)snprintf(prack, sizeof prack, "%s", sent(x, ALICE, "PRACK "));
    /* RFC 3311 5.2 while the answer is not settled. */
    from_pbx(x, "UPDATE", ret_to, 2, "Contact: <sip:200@198.51.100.10>\r\n", SDP_P);
    assert_non_null(strstr(sent(x, PBX, "SIP/2.0 500 "), "Retry-After: "));
    char rack[128];
    (void)snprintf(rack, sizeof rack, "%s", field(ringing, "RSeq").p);
    from_alice(x, prack, 200, "", "");
}

static void prack(struct fixture *x, const char *ringing, const char *to, int cseq, const char *sdp)
{
    char more[128];
    (void)snprintf(more, sizeof more, "RAck: %s 1 INVITE\r\n", ringing);
    from_pbx(x, "PRACK", to, cseq, more, sdp);
}

static void hang_up(struct fixture *x, const char *to, int cseq)
{
    from_pbx(x, "BYE", to, cseq, "", "");
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    nothing_left(x);
}

/* An UPDATE with an offer before any answer: 500 to who offered first, 491 to who has our offer. */
static void test_update_before_answer(void **state)
{
    struct fixture *x = *state;
    char invite[4096], to[512];
    register_alice(x);
    ring_alice(x, invite, sizeof invite);
    from_alice(x, invite, 180, "Allow: INVITE, UPDATE\r\n", "");
    (void)snprintf(to, sizeof to, "%s", field(sent(x, PBX, "SIP/2.0 180 "), "To").p);
    from_pbx(x, "UPDATE", to, 2, "Contact: <sip:200@198.51.100.10>\r\n", SDP_P);
    const char *busy = sent(x, PBX, "SIP/2.0 500 ");
    assert_non_null(busy);
    assert_true(strtol(field(busy, "Retry-After").p, NULL, 10) <= 10);
    alice_updates(x, invite, 1);
    assert_non_null(sent(x, ALICE, "SIP/2.0 491 "));
    hang_up(x, to, 3);
}

/* RSeq of our reliable response. */
static void rseq_of(struct fixture *x, char *ret, size_t cap, const char *invite)
{
    from_alice(x, invite, 183, REL, SDP_A);
    for (int i = 0; i < 40 && !sent(x, PBX, "SIP/2.0 183 "); i++)
        pass_ms(x, 100);
    (void)snprintf(ret, cap, "%s", field(sent(x, PBX, "SIP/2.0 183 "), "RSeq").p);
}

static void test_prack_offer(void **state)
{
    struct fixture *x = *state;
    char invite[4096], to[512], rseq[64], update[4096];
    ring_reliably(x, invite, sizeof invite, to, sizeof to);
    rseq_of(x, rseq, sizeof rseq, invite);
    prack(x, rseq, to, 3, SDP_P);
    const char *u = sent(x, ALICE, "UPDATE ");
    assert_non_null(u);
    assert_non_null(strstr(u, "m=audio "));
    assert_null(strstr(u, "198.51.100"));
    (void)snprintf(update, sizeof update, "%s", u);
    /* Alice answers the call before the UPDATE: the 2xx waits for the PRACK's answer. */
    from_alice(x, invite, 200, "", "");
    assert_null(sent(x, PBX, "SIP/2.0 200 "));
    from_alice(x, update, 200, "", SDP_A);
    const char *ok = sent(x, PBX, "SIP/2.0 200 ");
    assert_non_null(ok);
    assert_str(field(ok, "CSeq"), "3 PRACK");
    assert_non_null(strstr(ok, "m=audio "));
    unsigned twos = 0;
    for (size_t i = 0; i < x->n_got; i++)
        twos += strncmp(x->text[i], "SIP/2.0 200 ", 12) == 0;
    assert_int_equal(twos, 2);
    from_pbx(x, "ACK", to, 1, "", "");
    hang_up(x, to, 4);
}

static void test_prack_offer_refused(void **state)
{
    struct fixture *x = *state;
    char invite[4096], to[512], rseq[64], update[4096];
    ring_reliably(x, invite, sizeof invite, to, sizeof to);
    rseq_of(x, rseq, sizeof rseq, invite);
    prack(x, rseq, to, 3, SDP_P);
    (void)snprintf(update, sizeof update, "%s", sent(x, ALICE, "UPDATE "));
    from_alice(x, update, 488, "", "");
    assert_non_null(sent(x, PBX, "SIP/2.0 488 "));
    from_alice(x, invite, 200, "", "");
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    from_pbx(x, "ACK", to, 1, "", "");
    hang_up(x, to, 4);
}

/* An early UPDATE of either side once the first answer is settled. */
static void test_early_update(void **state)
{
    struct fixture *x = *state;
    char invite[4096], to[512], rseq[64], update[4096];
    ring_reliably(x, invite, sizeof invite, to, sizeof to);
    rseq_of(x, rseq, sizeof rseq, invite);
    prack(x, rseq, to, 3, "");
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    from_pbx(x, "UPDATE", to, 4, "Contact: <sip:200@198.51.100.10>\r\n", SDP_P);
    (void)snprintf(update, sizeof update, "%s", sent(x, ALICE, "UPDATE "));
    from_pbx(x, "UPDATE", to, 5, "Contact: <sip:200@198.51.100.10>\r\n", SDP_P);
    assert_non_null(sent(x, PBX, "SIP/2.0 500 "));
    alice_updates(x, invite, 1);
    assert_non_null(sent(x, ALICE, "SIP/2.0 491 "));
    from_alice(x, update, 200, "", SDP_A);
    assert_non_null(strstr(sent(x, PBX, "SIP/2.0 200 "), "m=audio "));
    alice_updates(x, invite, 2);
    const char *u = sent(x, PBX, "UPDATE ");
    assert_non_null(u);
    (void)snprintf(update, sizeof update, "%s", u);
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f, answer(update, 200, "", "200@198.51.100.10", SDP_P));
    assert_non_null(strstr(sent(x, ALICE, "SIP/2.0 200 "), "m=audio "));
    hang_up(x, to, 6);
}

/* --- late offers --- */

/* Without offer from the PBX: alice offers in her 2xx, the PBX answers in its ACK. */
static void test_delayed_offer(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    char invite[4096], to[512];
    register_alice(x);
    message(x, &f,
            request("INVITE", "sip:alice@" TEST_INSIDE, CALLER, "<sip:alice@" TEST_INSIDE ">",
                    "id-of-pbx", 1, "Contact: <sip:200@198.51.100.10>\r\n", ""));
    (void)snprintf(invite, sizeof invite, "%s", sent(x, ALICE, "INVITE "));
    assert_null(strstr(invite, "m=audio "));
    from_alice(x, invite, 200, "", SDP_A);
    assert_null(sent(x, ALICE, "ACK "));
    const char *ok = sent(x, PBX, "SIP/2.0 200 ");
    assert_non_null(ok);
    assert_non_null(strstr(ok, "m=audio "));
    (void)snprintf(to, sizeof to, "%s", field(ok, "To").p);
    from_pbx(x, "ACK", to, 1, "", SDP_P);
    const char *ack = sent(x, ALICE, "ACK ");
    assert_non_null(ack);
    assert_non_null(strstr(ack, "m=audio "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    hang_up(x, to, 2);
}

static void test_delayed_offer_unanswered(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    char invite[4096], to[512];
    register_alice(x);
    message(x, &f,
            request("INVITE", "sip:alice@" TEST_INSIDE, CALLER, "<sip:alice@" TEST_INSIDE ">",
                    "id-of-pbx", 1, "Contact: <sip:200@198.51.100.10>\r\n", ""));
    (void)snprintf(invite, sizeof invite, "%s", sent(x, ALICE, "INVITE "));
    from_alice(x, invite, 200, "", SDP_A);
    (void)snprintf(to, sizeof to, "%s", field(sent(x, PBX, "SIP/2.0 200 "), "To").p);
    from_pbx(x, "ACK", to, 1, "", "");
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_non_null(sent(x, ALICE, "BYE "));
    assert_non_null(sent(x, PBX, "BYE "));
    nothing_left(x);
}

/* The same within the call, asked for by either side. */
static void test_offerless_reinvite(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    char a[4096], p[4096], re[4096], from[512];
    call_up(x, a, p, sizeof a);
    char to[512];
    (void)snprintf(to, sizeof to, "%s", field(p, "To").p);
    from_pbx(x, "INVITE", to, 2, "Contact: <sip:200@198.51.100.10>\r\n", "");
    (void)snprintf(re, sizeof re, "%s", sent(x, ALICE, "INVITE "));
    assert_null(strstr(re, "m=audio "));
    from_alice(x, re, 200, "", SDP_A);
    assert_non_null(strstr(sent(x, PBX, "SIP/2.0 200 "), "m=audio "));
    assert_null(sent(x, ALICE, "ACK "));
    from_pbx(x, "ACK", to, 2, "", SDP_P);
    assert_non_null(strstr(sent(x, ALICE, "ACK "), "m=audio "));
    /* And alice. */
    char of[512], id[512];
    (void)snprintf(from, sizeof from, "%s;tag=a1", field(a, "To").p);
    (void)snprintf(of, sizeof of, "%s", field(a, "From").p);
    (void)snprintf(id, sizeof id, "%s", field(a, "Call-ID").p);
    message(x, &fa,
            request("INVITE", "sip:x@" TEST_OUTSIDE, from, of, id, 7,
                    "Contact: <sip:alice@203.0.113.5>\r\n", ""));
    (void)snprintf(re, sizeof re, "%s", sent(x, PBX, "INVITE "));
    assert_null(strstr(re, "m=audio "));
    message(x, &fp, answer(re, 200, "", "200@198.51.100.10", SDP_P));
    assert_non_null(strstr(sent(x, ALICE, "SIP/2.0 200 "), "m=audio "));
    message(x, &fa, request("ACK", "sip:x@" TEST_OUTSIDE, from, of, id, 7, "", SDP_A));
    assert_non_null(strstr(sent(x, PBX, "ACK "), "m=audio "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    hang_up(x, to, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_update_before_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prack_offer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prack_offer_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_early_update, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delayed_offer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delayed_offer_unanswered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offerless_reinvite, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
