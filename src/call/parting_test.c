/* A trunk challenges our BYE: the second one bears credentials, though the call has gone. */
#include "call/core_fixture.h"

static const char CHALLENGE[] = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", "
                                "algorithm=SHA-256, qop=\"auth\"\r\n";

/* Alice hangs up; the PBX's 401 to the BYE that it gets. ret_bye: that BYE. */
static void challenge(struct fixture *x, char *ret_bye, size_t cap)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    char a[4096], p[4096], from[512], text[4096], rest[4096];
    call_up(x, a, p, sizeof a);
    (void)snprintf(from, sizeof from, "%s;tag=a1", field(a, "To").p);
    message(x, &fa,
            request("BYE", "sip:x@" TEST_OUTSIDE, from, field(a, "From").p, field(a, "Call-ID").p,
                    3, "", ""));
    (void)snprintf(ret_bye, cap, "%s", sent(x, PBX, "BYE "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    (void)snprintf(text, sizeof text, "%s", answer(ret_bye, 401, "", "x@198.51.100.10", ""));
    char *at = strstr(text, "Server: ");
    (void)snprintf(rest, sizeof rest, "%s", at);
    (void)snprintf(at, sizeof text - (size_t)(at - text), "%s%s", CHALLENGE, rest);
    message(x, &fp, text);
}

static struct ask asked(struct fixture *x)
{
    struct ask q = {0};
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK)
            memcpy(&q, x->text[i], MIN(sizeof q, sizeof x->text[i]));
    return q;
}

static void test_answered(void **state)
{
    struct fixture *x = *state;
    char bye[4096], text[4096];
    challenge(x, bye, sizeof bye);
    struct ask q = asked(x);
    assert_int_equal(q.kind, ASK_RESPOND);
    struct answer a = {.id = q.id, .kind = ASK_RESPOND, .n = 64};
    memset(a.bytes, 'd', 64);
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
    const char *again = sent(x, PBX, "BYE ");
    assert_non_null(again);
    assert_non_null(strstr(again, "Authorization: Digest username=\"gateway\""));
    assert_string_equal(field(again, "Call-ID").p, field(bye, "Call-ID").p);
    assert_string_equal(field(again, "From").p, field(bye, "From").p);
    assert_string_equal(field(again, "To").p, field(bye, "To").p);
    assert_int_equal(strtol(field(again, "CSeq").p, NULL, 10),
                     strtol(field(bye, "CSeq").p, NULL, 10) + 1);
    assert_true(strcmp(field(again, "Via").p, field(bye, "Via").p) != 0);
    /* Not even so: that was all. */
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    (void)snprintf(text, sizeof text, "%s", again);
    message(x, &fp, answer(text, 401, "", "x@198.51.100.10", ""));
    assert_null(sent(x, PBX, "BYE "));
    nothing_left(x);
}

static void test_vault_silent(void **state)
{
    struct fixture *x = *state;
    char bye[4096];
    challenge(x, bye, sizeof bye);
    assert_int_equal(asked(x).kind, ASK_RESPOND);
    pass_ms(x, 2100);
    assert_null(sent(x, PBX, "BYE "));
    nothing_left(x);
}

/* The peer has lost its secret meanwhile. */
static void test_other_policy(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096], from[512], bye[4096];
    call_up(x, a, p, sizeof a);
    (void)snprintf(from, sizeof from, "%s;tag=a1", field(a, "To").p);
    message(x, &fa,
            request("BYE", "sip:x@" TEST_OUTSIDE, from, field(a, "From").p, field(a, "Call-ID").p,
                    3, "", ""));
    (void)snprintf(bye, sizeof bye, "%s", sent(x, PBX, "BYE "));
    x->g.policy.peers[0].has_secret = false;
    message(x, &fp, answer(bye, 401, "", "x@198.51.100.10", ""));
    assert_int_equal(asked(x).kind, 0);
    nothing_left(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_policy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
