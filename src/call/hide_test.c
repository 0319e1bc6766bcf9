/* What passes from one side to the other, field by field. */
#include "call/core_fixture.h"
#include "call/gate.h"
#include "call/hide.h"

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
        {"<tel:#31#4930>;tag=12", "<sip:%2331%234930@example.com>;tag="},
        {"<sip:198.51.100.10>;tag=7", "<sip:anonymous@example.com>;tag="},
        {"<sip:;x=y@pbx.test>;tag=8", "<sip:anonymous@example.com>;tag="},
        {"<sip:200%40198.51.100.10@pbx.test>;tag=9", "<sip:200@example.com>;tag="},
        {"<sip:198.51.100.10@pbx.test>;tag=10", "<sip:anonymous@example.com>;tag="},
        {"<sip:%40pbx.test@pbx.test>;tag=11", "<sip:anonymous@example.com>;tag="},
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
                          "Reason: SIP;cause=302;text=\"198.51.100.10\", preemption;cause=1\r\n");
    assert_null(strstr(inv, "Subject"));
    assert_null(strstr(inv, "Priority"));
    assert_str(field(inv, "Reason"), "SIP;cause=302");
    assert_null(strstr(inv, "text"));
    assert_null(strstr(inv, "preemption"));
    nothing_left(x);
}

static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"Reason: Q.850;cause=16;text=\"pbx.test\"\r\n", "Reason: Q.850;cause=16\r\n"},
        {"Reason: SIP;cause=600, Q.850;cause=21\r\n", "Reason: SIP;cause=600, Q.850;cause=21\r\n"},
        {"Reason: SIP;text=\"x\"\r\nReason: x;cause=1\r\nReason: SIP;cause=1;cause=2\r\n", ""},
        {"Reason: Q.850;cause=1,Q.850;cause=2,Q.850;cause=3,Q.850;cause=4,Q.850;cause=5\r\n",
         "Reason: Q.850;cause=1, Q.850;cause=2, Q.850;cause=3, Q.850;cause=4\r\n"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char buf[512];
        struct out o = out_of(buf, sizeof buf);
        struct sip_msg m;
        struct sip_error e;
        const char *bye =
            request("BYE", "sip:x", "<sip:a>;tag=1", "<sip:b>;tag=2", "c", 1, rows[i].in, "");
        assert_ok(sip_parse(str_c(bye), false, &m, &e));
        hide_reasons_put(&m, &o);
        assert_true(str_eq(out_str(&o), str_c(rows[i].out)));
    }
}

/* A hang-up says why, on the other leg too, but in no words. */
static void test_reason_of_bye(void **state)
{
    struct fixture *x = *state;
    char to_alice[4096], to_pbx[4096];
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    call_up(x, to_alice, to_pbx, sizeof to_pbx);
    message(x, &f,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    field(to_pbx, "To").p, "id-of-pbx", 2,
                    "Reason: Q.850;cause=31;text=\"pbx.test\"\r\n", ""));
    const char *bye = sent(x, ALICE, "BYE ");
    assert_non_null(bye);
    assert_str(field(bye, "Reason"), "Q.850;cause=31");
    assert_null(strstr(bye, "pbx.test"));
    nothing_left(x);
}

/* The same from one trusted PBX to another, which here is itself. */
static const char *across(struct fixture *x, const char *from, const char *more)
{
    static int n;
    char id[32];
    (void)snprintf(id, sizeof id, "across-%d", n++);
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f,
            request("INVITE", "sip:300@" TEST_INSIDE, from, "<sip:300@example.com>", id, 1, more,
                    SDP_P));
    const char *inv = sent(x, PBX, "INVITE ");
    assert_non_null(inv);
    return inv;
}

/* Alice calls the PBX. */
static const char *outward(struct fixture *x, const char *from, const char *more)
{
    static int n;
    char id[32], fields[2048];
    (void)snprintf(id, sizeof id, "out-%d", n++);
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char contact[] = "Contact: <sip:alice@203.0.113.5:5060>\r\n";
    (void)snprintf(fields, sizeof fields, "%s%s", contact, more);
    message(x, &f,
            request("INVITE", "sip:300@example.com", from, "<sip:300@example.com>", id, 1, fields,
                    SDP_A));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(fields, sizeof fields, "%s%s%s", contact, more,
                   credentials(r, "sip:300@example.com"));
    message(x, &f,
            request("INVITE", "sip:300@example.com", from, "<sip:300@example.com>", id, 2, fields,
                    SDP_A));
    vault(x, REASON_NONE);
    const char *inv = sent(x, PBX, "INVITE ");
    assert_non_null(inv);
    return inv;
}

#define BOB       "\"Bob\" <sip:200@198.51.100.10>;tag=1"
#define NOBODY    "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="
#define ASSERTED  "P-Asserted-Identity: \"Bob\" <sip:200@198.51.100.10>\r\n"
#define PRIVATE_Q "\"Bob\" <sip:200@example.com>"

/* To a phone: never an identity, and a caller who wants to stay unknown does. */
static void test_privacy(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *from, *more;
        bool hidden;
        const char *privacy;
    } rows[] = {
        {BOB, ASSERTED, false, NULL},
        {BOB, ASSERTED "Privacy: id\r\n", true, "id"},
        {BOB, ASSERTED "Privacy: user\r\n", true, "id"},
        {BOB, ASSERTED "Privacy: header\r\n", true, "id"},
        {BOB, ASSERTED "Privacy: id;user;critical\r\n", true, "id;critical"},
        {BOB, ASSERTED "Privacy: none\r\n", false, NULL},
        {BOB, ASSERTED "Privacy: session\r\n", false, NULL},
        {BOB, ASSERTED "Privacy: 198.51.100.10\r\n", false, NULL},
        {"\"Bob\" <sip:anonymous@198.51.100.10>;tag=1", ASSERTED, true, "id"},
        {"<sip:x@anonymous.invalid>;tag=1", ASSERTED, true, "id"},
    };
    register_alice(x);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char more[512];
        (void)snprintf(more, sizeof more, CONTACT "%s", rows[i].more);
        const char *inv = through(x, rows[i].from, more);
        assert_int_equal(str_starts(field(inv, "From"), STR(NOBODY)), rows[i].hidden);
        assert_null(strstr(inv, "Asserted"));
        assert_null(strstr(inv, "198.51.100"));
        assert_int_equal(strstr(inv, "200@") != NULL, !rows[i].hidden);
        if (rows[i].privacy)
            assert_true(str_eq(field(inv, "Privacy"), str_c(rows[i].privacy)));
        else
            assert_null(strstr(inv, "Privacy"));
    }
    nothing_left(x);
}

/* To a trusted peer the identity goes with the wish to hide it. */
static void test_privacy_of_trusted(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *from, *more;
        bool hidden;
    } rows[] = {{BOB, ASSERTED, false},
                {BOB, ASSERTED "Privacy: id\r\n", false},
                {BOB, ASSERTED "Privacy: user\r\n", true},
                {NOBODY "1", ASSERTED "Privacy: id\r\n", true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char more[512];
        (void)snprintf(more, sizeof more, CONTACT "%s", rows[i].more);
        const char *inv = across(x, rows[i].from, more);
        assert_int_equal(str_starts(field(inv, "From"), STR(NOBODY)), rows[i].hidden);
        assert_str(field(inv, "P-Asserted-Identity"), PRIVATE_Q);
        assert_int_equal(strstr(inv, "Privacy: id\r\n") != NULL, i > 0);
        assert_null(strstr(inv, "198.51.100.10>"));
    }
    x->g.policy.peers[0].trust_identity = false;
    assert_null(strstr(across(x, BOB, CONTACT ASSERTED "Privacy: id\r\n"), "Asserted"));
    assert_null(strstr(across(x, BOB, CONTACT ASSERTED), "Asserted"));
    nothing_left(x);
}

/* A phone: what it proved, never what it asserts. */
static void test_identity_of_phones(void **state)
{
    struct fixture *x = *state;
    const char *inv = outward(x, "\"Al\" <sip:alice@example.com>;tag=1",
                              "P-Asserted-Identity: <sip:boss@example.com>\r\n"
                              "Diversion: <sip:boss@example.com>\r\n"
                              "History-Info: <sip:boss@example.com>;index=1\r\n");
    assert_str(field(inv, "P-Asserted-Identity"), "\"Al\" <sip:alice@example.com>");
    assert_null(strstr(inv, "boss"));
    inv = outward(x, "\"Al\" <sip:anonymous@anonymous.invalid>;tag=2", "Privacy: id\r\n");
    assert_true(str_starts(field(inv, "From"), STR(NOBODY)));
    assert_str(field(inv, "P-Asserted-Identity"), "<sip:alice@example.com>");
    assert_str(field(inv, "Privacy"), "id");
    x->g.policy.peers[0].trust_identity = false;
    inv = outward(x, "<sip:anonymous@anonymous.invalid>;tag=3",
                  "Privacy: id\r\nP-Preferred-Identity: <sip:alice@example.com>\r\n");
    assert_null(strstr(inv, "alice"));
    nothing_left(x);
}

static void test_diversion(void **state)
{
    struct fixture *x = *state;
    static const char many[] =
        "Diversion: \"R\" <sip:301@198.51.100.10:5070;x=y>;reason=unconditional;counter=1;"
        "privacy=full;screen=no;limit=5;secret=pbx.test, "
        "<tel:+4930555>;reason=\"198.51.100.10\"\r\n"
        "Diversion: \"302@198.51.100.10\" <sip:302@pbx.test>;reason=no-answer\r\n"
        "Diversion: <nonsense>\r\n";
    char more[2048];
    (void)snprintf(more, sizeof more, CONTACT "%s", many);
    const char *inv = across(x, BOB, more);
    assert_non_null(strstr(inv, "\r\nDiversion: \"R\" <sip:301@example.com>;reason=unconditional;"
                                "counter=1;privacy=full;screen=no;limit=5\r\n"
                                "Diversion: <sip:+4930555@example.com>\r\n"
                                "Diversion: <sip:302@example.com>;reason=no-answer\r\n"));
    assert_null(strstr(inv, "198.51.100.10>"));
    assert_null(strstr(inv, "5070"));
    assert_null(strstr(inv, "pbx.test"));
    assert_null(strstr(inv, "nonsense"));
    size_t n = (size_t)snprintf(more, sizeof more, CONTACT "Diversion: <sip:1@pbx.test>");
    for (unsigned i = 0; i < 14; i++)
        n += (size_t)snprintf(more + n, sizeof more - n, ",<sip:1%u@pbx.test>", i);
    (void)snprintf(more + n, sizeof more - n, "\r\n");
    inv = across(x, BOB, more);
    unsigned entries = 0;
    for (const char *p = inv; (p = strstr(p, "\r\nDiversion: ")) != NULL; p++)
        entries++;
    assert_int_equal(entries, HIDE_ENTRIES_MAX);
    x->g.policy.peers[0].trust_identity = false;
    (void)snprintf(more, sizeof more, CONTACT "%s", many);
    assert_null(strstr(across(x, BOB, more), "Diversion"));
    nothing_left(x);
}

static void test_history(void **state)
{
    struct fixture *x = *state;
    static const char history[] =
        CONTACT "History-Info: <sip:301@198.51.100.10?Reason=SIP%3Bcause%3D302%3Btext%3D%22pbx."
                "test%22&Privacy=history&Route=%3Csip%3Apbx.test%3E>;index=1;x=pbx.test, "
                "<sip:302@198.51.100.10;cause=408;maddr=198.51.100.10>;index=1.1;rc=1\r\n"
                "Privacy: history\r\n";
    const char *inv = across(x, BOB, history);
    assert_non_null(strstr(
        inv, "\r\nHistory-Info: <sip:301@example.com?Reason=SIP%3Bcause%3D302&Privacy=history>"
             ";index=1\r\nHistory-Info: <sip:302@example.com;cause=408>;index=1.1;rc=1\r\n"));
    assert_str(field(inv, "Privacy"), "history");
    assert_null(strstr(inv, "pbx.test"));
    assert_null(strstr(inv, "maddr"));
    register_alice(x);
    assert_null(strstr(through(x, BOB, history), "History"));
    nothing_left(x);
}

/* The parameters of our Via, from its branch on. */
static const char *mark_of(const char *inv)
{
    static char via[128];
    const char *p = strstr(inv, ";branch=");
    assert_non_null(p);
    (void)snprintf(via, sizeof via, "%.*s", (int)strcspn(p, "\r"), p);
    assert_non_null(strstr(via, ";" ROUTE_MARK_NAME "="));
    return via;
}

/* A proxy sends our own INVITE back: to the same decision, which is a loop, or to another one. */
static void test_loop(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    char via[256], other[128];
    (void)snprintf(other, sizeof other, "%s", mark_of(across(x, BOB, CONTACT)));
    (void)snprintf(via, sizeof via, CONTACT "Via: SIP/2.0/UDP " TEST_INSIDE "%s\r\n",
                   mark_of(across(x, BOB, CONTACT)));
    assert_null(strstr(via, strstr(other, ROUTE_MARK_NAME))); /* two calls of one way differ */
    static const struct {
        const char *uri;
        bool loop;
    } rows[] = {{"sip:300@" TEST_INSIDE, true},
                {"sip:301@" TEST_INSIDE, false},
                {"sip:300@example.com", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "loop-%zu", i);
        message(x, &f,
                request("INVITE", rows[i].uri, BOB, "<sip:300@example.com>", id, 1, via, SDP_P));
        assert_int_equal(sent(x, PBX, "SIP/2.0 482 ") != NULL, rows[i].loop);
        assert_int_equal(sent(x, PBX, "INVITE ") == NULL, rows[i].loop);
    }
    nothing_left(x);
}

/* Hops and branches that an INVITE has left grow fewer, and at none it ends. */
static void test_hops(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *in, *to_peer, *to_phone;
    } rows[] = {{"", "60", "7"},
                {"Max-Breadth: 60\r\n", "60", "7"},
                {"Max-Breadth: 16\r\n", "16", "2"},
                {"Max-Breadth: 1\r\n", "1", "1"}};
    register_alice(x);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char more[256];
        (void)snprintf(more, sizeof more, CONTACT "%s", rows[i].in);
        const char *inv = across(x, BOB, more);
        assert_true(str_eq(field(inv, "Max-Breadth"), str_c(rows[i].to_peer)));
        assert_str(field(inv, "Max-Forwards"), "19");
        inv = through(x, BOB, more);
        assert_true(str_eq(field(inv, "Max-Breadth"), str_c(rows[i].to_phone)));
    }
    nothing_left(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_reason_field),
        cmocka_unit_test_setup_teardown(test_parties, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test_setup_teardown(test_reason_of_bye, setup, teardown),
        cmocka_unit_test_setup_teardown(test_privacy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_privacy_of_trusted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity_of_phones, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diversion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hops, setup, teardown),
    };
    return cmocka_run_group_tests_name("hide", tests, NULL, NULL);
}
