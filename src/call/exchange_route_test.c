/* Where single requests go: to all phones, to the next target, to nobody, and what zones and roles
 * allow. */
#include "call/exchange_test.h"

/* All phones get it, the first that takes it decides, late answers change nothing. */
static void test_message_fork(void **state)
{
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP), fc = flow_of(BOB2, LISTEN_OUT_UDP);
    char one[4096], two[4096];
    bind_phone(x, "bob", BOB2, 400);
    alice_says(x, to_bob);
    keep(one, sizeof one, sent(x, BOB, "MESSAGE "));
    keep(two, sizeof two, sent(x, BOB2, "MESSAGE "));
    assert_false(str_eq(field(one, "Call-ID"), field(two, "Call-ID")));
    message(x, &fb, answered(one, "486 Busy", "b", ""));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    message(x, &fc, answered(two, "200 OK", "c", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 OK"));
    none_left(x);
}

/* RFC 5393: no more branches than are left, and their shares are no more than what came. */
static void test_breadth(void **state)
{
    struct fixture *x = *state;
    bind_phone(x, "bob", BOB2, 400);
    struct say s = to_bob;
    s.more = "Max-Breadth: 1\r\n";
    alice_says(x, s);
    assert_str(field(sent(x, BOB, "MESSAGE "), "Max-Breadth"), "1");
    assert_null(sent(x, BOB2, "MESSAGE "));
    s.id = "m2";
    s.more = "";
    alice_says(x, s);
    assert_str(field(sent(x, BOB, "MESSAGE "), "Max-Breadth"), "7");
    assert_str(field(sent(x, BOB2, "MESSAGE "), "Max-Breadth"), "7");
    s = to_pbx();
    s.id = "m3";
    s.more = "Max-Breadth: 9\r\n";
    alice_says(x, s);
    assert_str(field(sent(x, PBX, "MESSAGE "), "Max-Breadth"), "9");
    none_left(x);
}

/* A 6xx ends it, whatever the other phone may say. */
static void test_message_6xx(void **state)
{
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP), fc = flow_of(BOB2, LISTEN_OUT_UDP);
    char two[4096];
    bind_phone(x, "bob", BOB2, 400);
    alice_says(x, to_bob);
    keep(two, sizeof two, sent(x, BOB2, "MESSAGE "));
    message(x, &fb, answered(sent(x, BOB, "MESSAGE "), "603 No", "b", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 603 "));
    message(x, &fc, answered(two, "200 OK", "c", ""));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    none_left(x);
}

static void test_message_silence(void **state)
{
    struct fixture *x = *state;
    alice_says(x, to_bob);
    assert_non_null(sent(x, BOB, "MESSAGE "));
    int ms = 0;
    while (!sent(x, ALICE, "SIP/2.0 408 ")) {
        pass_ms(x, 100);
        assert_true((ms += 100) <= 28100);
    }
    assert_true(ms >= 28000);
    none_left(x);
}

static void test_message_nobody(void **state)
{
    struct fixture *x = *state;
    struct say s = to_bob;
    s.uri = "sip:carol@example.com";
    s.to = "<sip:carol@example.com>";
    alice_hears(x, s, "SIP/2.0 480 ");
    s.uri = "sip:mallory@example.com";
    s.to = "<sip:mallory@example.com>";
    s.id = "m2";
    alice_hears(x, s, "SIP/2.0 404 ");
    none_left(x);
}

/* The first target is silent for 4 s, or refuses with 503: the second serves. */
static void test_pbx_failover(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), f2 = flow_of(PBX2, LISTEN_IN_UDP);
    alice_says(x, to_pbx());
    char m[4096];
    keep(m, sizeof m, sent(x, PBX, "MESSAGE "));
    assert_null(sent(x, PBX2, "MESSAGE "));
    message(x, &fp, answered(m, "503 Full", "p", ""));
    keep(m, sizeof m, sent(x, PBX2, "MESSAGE "));
    message(x, &f2, answered(m, "200 OK", "q", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    pass_ms(x, 31000); /* the first one is hoped for again */
    struct say s = to_pbx();
    s.id = "second";
    alice_says(x, s);
    assert_non_null(sent(x, PBX, "MESSAGE "));
    int ms = 0;
    while (!sent(x, PBX2, "MESSAGE ")) {
        pass_ms(x, 100);
        assert_true((ms += 100) <= 4100);
    }
    keep(m, sizeof m, sent(x, PBX2, "MESSAGE "));
    message(x, &f2, answered(m, "200 OK", "q", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    /* Both are silent: in the end the sender hears of it. */
    pass_ms(x, 31000);
    s.id = "third";
    alice_says(x, s);
    ms = 0;
    while (!sent(x, ALICE, "SIP/2.0 408 ")) {
        pass_ms(x, 100);
        assert_true((ms += 100) <= 28100);
    }
    none_left(x);
}

/* What the zones do not serve: of the sender, and of the receiver if a peer asks. */
static void test_services(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct policy_zone *z = x->g.policy.zones;
    z[ZONE_PHONES].services = 0;
    alice_hears(x, to_bob, "SIP/2.0 403 ");
    assert_null(sent(x, BOB, "MESSAGE "));
    assert_int_equal(counted(x, REASON_right_service), 1);
    struct say s = from_pbx("MESSAGE", "", "text/plain", "hi");
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 403 "));
    assert_int_equal(counted(x, REASON_right_service), 2);
    z[ZONE_PHONES].services = SERVICE_MESSAGE;
    s.id = "other";
    message(x, &fp, said(&s));
    const char *m = sent(x, BOB, "MESSAGE ");
    assert_non_null(m);
    assert_true(str_starts(field(m, "From"), STR("<sip:200@example.com>;tag=")));
    z[ZONE_PBX].services = 0;
    s.id = "third";
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 403 "));
    z[ZONE_PBX].services = SERVICE_MESSAGE;
    s.uri = "sip:300@" TEST_INSIDE; /* from peer to peer: nobody is asserted */
    s.id = "fifth";
    message(x, &fp, said(&s));
    m = sent(x, PBX, "MESSAGE sip:300@");
    assert_non_null(m);
    assert_null(strstr(m, "P-Asserted-Identity"));
    z[ZONE_PBX].services = 0;
    /* A user's message to the PBX: its own zone decides. */
    struct say p = to_pbx();
    p.id = "fourth";
    alice_says(x, p);
    assert_non_null(sent(x, PBX, "MESSAGE "));
    none_left(x);
}

static void test_rights(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    /* Wrong password. */
    message(x, &fa, said(&to_bob));
    struct say s = to_bob;
    char more[2048];
    (void)snprintf(more, sizeof more, "%s", credentials(sent(x, ALICE, "SIP/2.0 401 "), s.uri));
    s.more = more;
    s.cseq = 2;
    message(x, &fa, said(&s));
    vault(x, REASON_auth_failed);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_null(sent(x, BOB, "MESSAGE "));
    /* In somebody else's name. */
    s = to_bob;
    s.from = "<sip:carol@example.com>;tag=c";
    s.id = "m2";
    alice_hears(x, s, "SIP/2.0 403 ");
    /* A role that may not use trunks. */
    x->g.policy.roles[0].outbound = false;
    s = to_pbx();
    s.id = "m3";
    alice_hears(x, s, "SIP/2.0 403 ");
    assert_null(sent(x, PBX, "MESSAGE "));
    /* A host that is not ours. */
    s.id = "m4";
    s.uri = "sip:bob@example.net";
    message(x, &fa, said(&s));
    (void)snprintf(more, sizeof more, "%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), "sip:bob@example.com"));
    s.more = more;
    s.cseq = 2;
    message(x, &fa, said(&s));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    /* Every method is asked for credentials. */
    static const char *const methods[] = {"MESSAGE", "SUBSCRIBE", "PUBLISH", "NOTIFY", "INFO"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        s = to_bob;
        s.method = methods[i];
        s.id = methods[i];
        message(x, &fa, said(&s));
        assert_non_null(sent(x, ALICE, "SIP/2.0 401 "));
    }
    none_left(x);
}

static void test_hops(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct say s = from_pbx("MESSAGE", "", "text/plain", "hi");
    char text[8192];
    keep(text, sizeof text, said(&s));
    char *mf = strstr(text, "Max-Forwards: 20");
    mf[14] = ' ';
    mf[15] = '0';
    message(x, &fp, text);
    assert_non_null(sent(x, PBX, "SIP/2.0 483 "));
    assert_null(sent(x, BOB, "MESSAGE "));
    none_left(x);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_services, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_message_fork),    T(test_breadth),        T(test_message_6xx),
        T(test_message_silence), T(test_message_nobody), T(test_pbx_failover),
        T(test_services),        T(test_rights),         T(test_hops),
    };
    return cmocka_run_group_tests_name("exchange_route", tests, NULL, NULL);
}
