/* The way of a message before it belongs to anybody: whose it is, and answers that need no call. */
#include "call/core_fixture.h"

#define STRANGER "203.0.113.66:5060"
static uint64_t counted(const struct fixture *x, enum reason r)
{
    return x->g.counters[0].n[r];
}

static void keep(char *to, size_t cap, const char *text)
{
    assert_non_null(text);
    (void)snprintf(to, cap, "%s", text);
}

/* Another token, whose last bits stay 0. */
static void forge(char *tag)
{
    char *c = &tag[strlen(tag) - 4];
    *c = *c == 'b' ? 'c' : 'b';
}

/* RFC 3261 8.2.7, RFC 2543's tags: an answer without a dialog has a tag, the same for each copy of
 * the request, another one for another call. */
static void tags(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char first[256], again[256], other[256];
    static const char from[] = "<sip:200@198.51.100.10>;tag=p1";
    const char *to = "<sip:gw@" TEST_INSIDE ">";
    for (unsigned i = 0; i < 3; i++) {
        message(x, &fp,
                request("OPTIONS", "sip:gw@" TEST_INSIDE, from, to, i < 2 ? "o1" : "o2", (int)i + 1,
                        "", ""));
        struct str t = field(sent(x, PBX, "SIP/2.0 200 "), "To");
        keep(i == 0 ? first : i == 1 ? again : other, sizeof first, t.p);
    }
    assert_non_null(strstr(first, ";tag="));
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    nothing_left(x);
}

static void options(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp,
            request("OPTIONS", "sip:" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    "<sip:" TEST_INSIDE ">", "o1", 1, "", ""));
    const char *r = sent(x, PBX, "SIP/2.0 200 ");
    assert_non_null(r);
    assert_true(str_search(field(r, "Allow"), STR("INVITE")) < field(r, "Allow").n);
    assert_str(field(r, "Supported"), SUPPORTED);
    assert_str(field(r, "Accept"), "application/sdp");
    assert_true(field(r, "Allow-Events").n > 0);
    assert_null(strstr(r, "Server:"));
    nothing_left(x);
}

/* Requests that belong to nothing. */
static void nobodys(void **state)
{
    static const struct {
        const char *method;
        unsigned code;
        enum reason why;
    } row[] = {
        {"BYE", 481, REASON_sip_no_dialog},       {"PRACK", 481, REASON_sip_no_dialog},
        {"UPDATE", 481, REASON_sip_no_dialog},    {"INFO", 481, REASON_sip_no_dialog},
        {"JUMP", 501, REASON_sip_method_unknown}, {"CANCEL", 481, REASON_sip_no_transaction}};
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char start[32];
        uint64_t before = counted(x, row[i].why);
        (void)snprintf(start, sizeof start, "SIP/2.0 %u ", row[i].code);
        message(x, &fp,
                request(row[i].method, "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                        "<sip:x@" TEST_INSIDE ">", "n1", (int)i + 1, "", ""));
        if (!sent(x, PBX, start) || counted(x, row[i].why) != before + 1)
            fail_msg("row %zu: %s", i, row[i].method);
    }
    /* An ACK is never answered. */
    message(x, &fp,
            request("ACK", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    "<sip:x@" TEST_INSIDE ">;tag=none", "n1", 9, "", ""));
    assert_null(sent(x, PBX, "SIP/2.0"));
    nothing_left(x);
}

/* A tag that we have not given, in a dialog that there never was. */
static void forged_dialog(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char a[4096], p[4096], to[256];
    call_up(x, a, p, sizeof a);
    keep(to, sizeof to, field(p, "To").p);
    message(x, &fp, /* its own tag is another */
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p2", to, "id-of-pbx",
                    2, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    message(x, &fp, /* another call */
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", to, "other", 2,
                    "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    forge(to);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", to, "id-of-pbx",
                    2, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    assert_null(sent(x, ALICE, "BYE "));
}

/* RFC 3261 8.2.2.2: the same request by two ways rings once. */
static void merged(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char invite[4096];
    register_alice(x);
    ring_alice(x, invite, sizeof invite);
    message(x, &fp,
            request("INVITE", "sip:alice@" TEST_INSIDE, "\"Bob\" <sip:200@198.51.100.10>;tag=p1",
                    "<sip:alice@" TEST_INSIDE ">", "id-of-pbx", 1,
                    "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 482 "));
    assert_null(sent(x, ALICE, "INVITE "));
    assert_int_equal(counted(x, REASON_sip_merged), 1);
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
}

static void stray_responses(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    static const char not_ours[] =
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " TEST_INSIDE ":5060;branch=z9hG4bKnone\r\n"
        "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\nCall-ID: s\r\n"
        "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    message(x, &fp, not_ours);
    assert_int_equal(counted(x, REASON_sip_response_stray) + counted(x, REASON_sip_token_forged),
                     1);
    for (size_t i = 0; i < x->n_got; i++) /* nobody hears of it */
        assert_int_not_equal(x->got[i].kind, INTENT_SEND);
    nothing_left(x);
}

/* What claims to be a request from outside of all zones is dropped unread once its source has had
 * its share of the log; an answer is read always. */
static void not_worth_reading(void **state)
{
    struct fixture *x = *state;
    static const char far[] = "192.0.2.99:5060";
    struct flow f = flow_of(far, LISTEN_IN_UDP);
    unsigned facts = 0;
    for (unsigned i = 0; i < 200; i++) {
        message(x, &f,
                request("OPTIONS", "sip:" TEST_INSIDE, "<sip:s@example.net>;tag=1",
                        "<sip:" TEST_INSIDE ">", "far", (int)i + 1, "", ""));
        assert_null(sent(x, far, ""));
        facts += count_facts(x, FACT_VERDICT);
    }
    assert_int_equal(counted(x, REASON_zone_unknown_source), 200);
    assert_true(counted(x, REASON_log_share) > 100);
    assert_true(facts < 100);
}

/* Broken ones are answered where they can be, and only in zones that may speak. */
static void broken(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    static const char no_cseq[] =
        "OPTIONS sip:" TEST_INSIDE " SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.10;branch=z9hG4bK1\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:200@198.51.100.10>;tag=p1\r\nTo: <sip:" TEST_INSIDE ">\r\n"
        "Call-ID: broken\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    message(x, &fp, no_cseq);
    assert_non_null(sent(x, PBX, "SIP/2.0 400 "));
    x->g.policy.zones[ZONE_PBX].silent = true;
    message(x, &fp, no_cseq);
    assert_null(sent(x, PBX, ""));
    x->g.policy.zones[ZONE_PBX].silent = false;
    x->g.policy.waivers[ZONE_PBX].expires.us = 1; /* plain signalling is not allowed any more */
    message(x, &fp, no_cseq);
    assert_null(sent(x, PBX, ""));
    nothing_left(x);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(tags),   T(options),         T(nobodys),           T(forged_dialog),
        T(merged), T(stray_responses), T(not_worth_reading), T(broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
