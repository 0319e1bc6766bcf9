/* 3xx: followed where the policy says so, with the rights of who redirects. */
#include "call/core_fixture.h"

#define BOB    "203.0.113.6:5060"
#define CALLER "<sip:200@198.51.100.10>;tag=p1"

/* The PBX calls bob, who answers 302 to `contact`. */
static void redirected(struct fixture *x, const char *contact)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char invite[4096], text[4096];
    ring_alice(x, invite, sizeof invite);
    (void)snprintf(text, sizeof text, "%s", answer(invite, 302, "a1", "CONTACT", ""));
    char *at = strstr(text, "Contact: <sip:CONTACT>"), rest[4096];
    (void)snprintf(rest, sizeof rest, "%s", at + strlen("Contact: <sip:CONTACT>"));
    (void)snprintf(at, sizeof text - (size_t)(at - text), "Contact: %s%s", contact, rest);
    message(x, &fa, text);
}

static void refused_by(struct fixture *x, const char *peer, const char *inv, unsigned code)
{
    struct flow f = flow_of(peer, LISTEN_IN_UDP);
    char text[4096];
    (void)snprintf(text, sizeof text, "%s", inv);
    message(x, &f, answer(text, code, "z1", "x@198.51.100.10", ""));
}

static void follow(struct fixture *x)
{
    x->g.policy.zones[ZONE_PHONES].redirect = true;
    register_alice(x);
}

static void test_follow(void **state)
{
    struct fixture *x = *state;
    follow(x);
    redirected(x, "<sip:carol@example.com>;q=0.2, <tel:5552>;q=0.3, <sip:5551@example.com>;q=0.9");
    assert_null(sent(x, PBX, "SIP/2.0 4"));
    const char *inv = sent(x, PBX, "INVITE sip:5551@");
    assert_non_null(inv);
    assert_int_equal(count_facts(x, FACT_TRANSFER), 1);
    refused_by(x, PBX, inv, 486);
    inv = sent(x, PBX, "INVITE sip:5552@");
    assert_non_null(inv);
    refused_by(x, PBX, inv, 486); /* carol has no phone: that was the last */
    assert_non_null(sent(x, PBX, "SIP/2.0 480 ") ?: sent(x, PBX, "SIP/2.0 486 "));
    nothing_left(x);
}

static void test_answered(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char text[4096];
    follow(x);
    redirected(x, "<sip:5551@example.com>");
    (void)snprintf(text, sizeof text, "%s", sent(x, PBX, "INVITE sip:5551@"));
    message(x, &fp, answer(text, 200, "z1", "x@198.51.100.10", SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    (void)snprintf(text, sizeof text, "%s", sent(x, PBX, "SIP/2.0 200 "));
    message(
        x, &fp,
        request("ACK", "sip:x@" TEST_INSIDE, CALLER, field(text, "To").p, "id-of-pbx", 1, "", ""));
    message(
        x, &fp,
        request("BYE", "sip:x@" TEST_INSIDE, CALLER, field(text, "To").p, "id-of-pbx", 2, "", ""));
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const struct fact *)(const void *)x->text[i];
        if (x->got[i].kind == INTENT_FACT && f->kind == FACT_CALL_END)
            assert_str(TEXT_STR(f->u.end.transferred_by), "alice@example.com");
    }
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    nothing_left(x);
}

static void test_refused(void **state)
{
    static const struct {
        const char *contact;
        bool follow, outbound;
    } rows[] = {{"<sip:5551@example.com>", false, true},
                {"<sip:5551@example.com>", true, false}, /* alice may not call out */
                {"<sip:alice@example.com>", true, true}, /* a circle */
                {"<sip:alice@203.0.113.77>", true, true},
                {"<sip:nobody@example.com>", true, true},
                {"<mailto:x@example.com>", true, true},
                {"<sip:5551@example.com?Subject=x>", true, true},
                {"*", true, true}};
    struct fixture *x = *state;
    register_alice(x);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        x->g.policy.zones[ZONE_PHONES].redirect = rows[i].follow;
        x->g.policy.roles[0].outbound = rows[i].outbound;
        redirected(x, rows[i].contact);
        if (!sent(x, PBX, "SIP/2.0 480 ") || sent(x, PBX, "INVITE "))
            fail_msg("row %zu", i);
        assert_int_equal(core_usage(x->g.core[0]).calls, 0);
        for (int t = 0; t < 700; t++)
            pass_ms(x, 100);
    }
    nothing_left(x);
}

/* However many are named, five are called, and nobody twice. */
static void test_bound(void **state)
{
    struct fixture *x = *state;
    char text[2048];
    size_t n = 0;
    follow(x);
    for (int i = 0; i < 12; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s<sip:%d@example.com>", i ? ", " : "",
                              9000 + i / 2);
    redirected(x, text);
    unsigned called = 0;
    const char *inv;
    char last[4096] = "";
    while ((inv = sent(x, PBX, "INVITE sip:90")) != NULL) {
        assert_true(strcmp(last, inv) != 0);
        (void)snprintf(last, sizeof last, "%s", inv);
        called++;
        refused_by(x, PBX, inv, 486);
    }
    assert_int_equal(called, 3); /* five contacts, of which two came twice */
    nothing_left(x);
}

/* A PBX names its extensions by its own address. */
static void test_peer(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=f1", to[] = "<sip:1234@example.com>",
                      uri[] = "sip:1234@example.com";
    x->g.policy.zones[ZONE_PBX].redirect = true;
    char auth[1400], text[4096];
    message(x, &fa,
            request("INVITE", uri, from, to, "m1", 1, "Contact: <sip:a@203.0.113.5>\r\n", SDP_A));
    (void)snprintf(auth, sizeof auth, "Contact: <sip:a@203.0.113.5>\r\n%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
    message(x, &fa, request("INVITE", uri, from, to, "m1", 2, auth, SDP_A));
    vault(x, REASON_NONE);
    (void)snprintf(text, sizeof text, "%s", sent(x, PBX, "INVITE sip:1234@"));
    message(x, &fp, answer(text, 302, "z", "5551@198.51.100.10:5060", ""));
    const char *inv = sent(x, PBX, "INVITE sip:5551@");
    assert_non_null(inv);
    (void)snprintf(text, sizeof text, "%s", inv);
    message(x, &fp, answer(text, 302, "z", "1234@198.51.100.10", "")); /* and back: a circle */
    assert_non_null(sent(x, ALICE, "SIP/2.0 480 "));
    nothing_left(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
