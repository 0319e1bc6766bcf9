/* What passes from one side to the other, field by field. */
#include "call/core_fixture.h"

static void test_codes(void **state)
{
    (void)state;
    static const struct {
        uint16_t in;
        bool peer;
        uint16_t out;
        enum reason why;
    } rows[] = {{486, false, 486, REASON_peer_refused},   {404, true, 404, REASON_peer_refused},
                {603, false, 603, REASON_peer_refused},   {302, true, 480, REASON_peer_redirect},
                {399, false, 480, REASON_peer_redirect},  {401, true, 502, REASON_peer_challenge},
                {407, false, 502, REASON_peer_challenge}, {481, true, 500, REASON_peer_refused},
                {422, true, 500, REASON_peer_refused},    {503, true, 502, REASON_peer_refused},
                {503, false, 480, REASON_peer_refused},   {699, true, 699, REASON_peer_refused},
                {488, true, 488, REASON_peer_refused},    {700, true, 500, REASON_peer_refused}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum reason why = REASON_NONE;
        assert_int_equal(hide_code(rows[i].in, rows[i].peer, &why), rows[i].out);
        assert_int_equal(why, rows[i].why);
    }
}

static void test_reason_field(void **state)
{
    (void)state;
    assert_true(hide_reason_ok(STR("SIP;cause=200")));
    assert_true(hide_reason_ok(STR("Q.850 ;cause=16")));
    assert_true(hide_reason_ok(STR("q.850;cause=0")));
    assert_false(hide_reason_ok(STR("SIP")));
    assert_false(hide_reason_ok(STR("SIP;cause=1000")));
    assert_false(hide_reason_ok(STR("SIP;cause=x")));
    assert_false(hide_reason_ok(STR("SIP;cause=200;text=\"10.0.0.1\"")));
    assert_false(hide_reason_ok(STR("preemption;cause=1")));
    assert_false(hide_reason_ok(STR("")));
}

/* An INVITE of the PBX with these fields, as alice gets it. */
static const char *through(struct fixture *x, const char *from, const char *more)
{
    static int n;
    char id[32];
    (void)snprintf(id, sizeof id, "hide-%d", n++);
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f,
            request("INVITE", "sip:alice@" TEST_INSIDE, from, "<sip:alice@" TEST_INSIDE ">", id, 1,
                    more, SDP_P));
    const char *inv = sent(x, ALICE, "INVITE ");
    assert_non_null(inv);
    return inv;
}

#define CONTACT "Contact: <sip:200@198.51.100.10:5060>\r\n"

static void test_parties(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *from, *want;
    } rows[] = {
        {"\"Bob\" <sip:200@198.51.100.10>;tag=1", "\"Bob\" <sip:200@example.com>;tag="},
        {"<sip:b%20b@198.51.100.10:5070;x=y>;tag=2", "<sip:b%20b@example.com>;tag="},
        {"\"bob@198.51.100.10\" <sip:200@pbx.test>;tag=3", "<sip:200@example.com>;tag="},
        {"\"198.51.100.10\" <sip:200@pbx.test>;tag=4", "<sip:200@example.com>;tag="},
        {"\"J. R.\" <sip:200@pbx.test>;tag=5", "\"J. R.\" <sip:200@example.com>;tag="},
        {"<tel:+4930123;phone-context=pbx.test>;tag=6", "<sip:+4930123@example.com>;tag="},
        {"<sip:198.51.100.10>;tag=7", "<sip:anonymous@example.com>;tag="},
    };
    register_alice(x);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *inv = through(x, rows[i].from, CONTACT);
        assert_true(str_starts(field(inv, "From"), str_c(rows[i].want)));
        assert_null(strstr(inv, "198.51.100"));
        assert_null(strstr(inv, "pbx.test"));
    }
    nothing_left(x);
}

static void test_fields(void **state)
{
    struct fixture *x = *state;
    static const char *const never[] = {
        "Via: SIP/2.0/UDP 198",  "Record-Route",  "X-Private",           "Warning", "Call-Info",
        "Organization",          "Alert-Info",    "User-Agent",          "Server",  "In-Reply-To",
        "History-Info",          "Diversion",     "Remote-Party-ID",     "Path",    "Route:",
        "P-Access-Network-Info", "Proxy-Require", "P-Asserted-Identity", "secret"};
    register_alice(x);
    const char *inv = through(
        x, "<sip:200@198.51.100.10>;tag=1",
        CONTACT "Record-Route: <sip:198.51.100.9;lr>\r\nX-Private: secret\r\n"
                "Warning: 399 198.51.100.10 \"secret\"\r\nCall-Info: <http://198.51.100.10/>\r\n"
                "Organization: secret\r\nAlert-Info: <http://198.51.100.10/>\r\n"
                "User-Agent: secret\r\nIn-Reply-To: secret@198.51.100.10\r\n"
                "History-Info: <sip:secret@198.51.100.10>;index=1\r\n"
                "Diversion: <sip:secret@198.51.100.10>\r\n"
                "Remote-Party-ID: <sip:secret@198.51.100.10>\r\n"
                "P-Access-Network-Info: secret\r\nP-Asserted-Identity: <sip:secret@pbx.test>\r\n"
                "Subject: lunch\r\nPriority: urgent\r\nReason: SIP;cause=302\r\n"
                "Expires: 60\r\n");
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_null(strstr(inv, never[i]));
    assert_str(field(inv, "Subject"), "lunch");
    assert_str(field(inv, "Priority"), "urgent");
    assert_str(field(inv, "Reason"), "SIP;cause=302");
    assert_str(field(inv, "Expires"), "60");
    /* The same, with values that say too much. */
    inv = through(x, "<sip:200@198.51.100.10>;tag=2",
                  CONTACT "Subject: call 198.51.100.10 back\r\nPriority: a b@c\r\n"
                          "Reason: SIP;cause=302;text=\"198.51.100.10\"\r\n");
    assert_null(strstr(inv, "Subject"));
    assert_null(strstr(inv, "Priority"));
    assert_null(strstr(inv, "Reason"));
    nothing_left(x);
}

static void test_privacy(void **state)
{
    struct fixture *x = *state;
    register_alice(x);
    const char *inv =
        through(x, "\"Bob\" <sip:200@198.51.100.10>;tag=1", CONTACT "Privacy: id\r\n");
    assert_true(str_starts(field(inv, "From"),
                           STR("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=")));
    nothing_left(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_reason_field),
        cmocka_unit_test_setup_teardown(test_parties, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_privacy, setup, teardown),
    };
    return cmocka_run_group_tests_name("hide", tests, NULL, NULL);
}
