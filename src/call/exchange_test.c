#include "call/exchange_test.h"

static void test_message_user(void **state)
{
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    alice_says(x, to_bob);
    const char *m = sent(x, BOB, "MESSAGE sip:bob@" BOB " SIP/2.0");
    assert_non_null(m);
    static const char *const hidden[] = {"203.0.113.5",   "secret",       "m1@",
                                         "alice.invalid", "X-Secret",     "host.invalid",
                                         "Contact:",      "Authorization"};
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
        assert_null(strstr(m, hidden[i]));
    assert_str(field(m, "Max-Forwards"), "19");
    assert_str(field(m, "Content-Type"), "text/plain;charset=UTF-8");
    assert_str(field(m, "Expires"), "60");
    assert_str(field(m, "To"), "<sip:bob@example.com>");
    assert_true(str_starts(field(m, "From"), STR("\"Alice\" <sip:alice@example.com>;tag=")));
    assert_non_null(strstr(m, "\r\n\r\nhello bob"));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 1);
    message(x, &fb, answered(m, "202 Later", "b1", "Contact: <sip:bob@203.0.113.6>\r\n"));
    const char *r = sent(x, ALICE, "SIP/2.0 202 Accepted");
    assert_non_null(r);
    assert_null(strstr(r, "secret"));
    assert_null(strstr(r, "203.0.113.6"));
    assert_null(strstr(r, "b1\r\n"));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    none_left(x);
}

static void test_message_refused(void **state)
{
    static const struct {
        const char *line, *want;
    } rows[] = {
        {"486 Busy", "SIP/2.0 486 "},  {"603 No", "SIP/2.0 603 "},   {"401 Who", "SIP/2.0 502 "},
        {"302 There", "SIP/2.0 480 "}, {"503 Full", "SIP/2.0 480 "}, {"423 Brief", "SIP/2.0 423 "},
        {"412 Not", "SIP/2.0 500 "},   {"415 Type", "SIP/2.0 415 "}, {"405 Method", "SIP/2.0 500 "},
        {"481 Gone", "SIP/2.0 500 "},
    };
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct say s = to_bob;
        char id[16];
        (void)snprintf(id, sizeof id, "row%zu", i);
        s.id = id;
        alice_says(x, s);
        const char *m = sent(x, BOB, "MESSAGE ");
        assert_non_null(m);
        message(x, &fb, answered(m, rows[i].line, "b", "Min-Expires: 77\r\n"));
        assert_non_null(sent(x, ALICE, rows[i].want));
        assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    }
    none_left(x);
}

/* Kinds of content and sizes. */
static void test_message_body(void **state)
{
    struct fixture *x = *state;
    static char big[1400];
    static const struct {
        const char *type;
        size_t n;
        const char *want;
    } rows[] = {
        {"text/plain", 1300, NULL},
        {"text/plain", 1301, "SIP/2.0 513 "},
        {"text/html", 5, "SIP/2.0 415 "},
        {"message/cpim", 5, "SIP/2.0 415 "},
        {"application/im-iscomposing+xml", 5, NULL},
        {NULL, 5, "SIP/2.0 415 "},
        {"text/plain", 0, "SIP/2.0 415 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct say s = to_bob;
        char id[16];
        (void)snprintf(id, sizeof id, "row%zu", i);
        memset(big, 'x', rows[i].n);
        big[rows[i].n] = 0;
        s.id = id;
        s.type = rows[i].type;
        s.body = big;
        alice_says(x, s);
        assert_true(!rows[i].want == !!sent(x, BOB, "MESSAGE "));
        if (!rows[i].want)
            continue;
        const char *r = sent(x, ALICE, rows[i].want);
        assert_non_null(r);
        if (strstr(rows[i].want, "415"))
            assert_str(field(r, "Accept"), "text/plain, application/im-iscomposing+xml");
    }
    none_left(x);
}

static void test_message_pbx(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    alice_says(x, to_pbx());
    const char *m = sent(x, PBX, "MESSAGE sip:200@198.51.100.10:5060 SIP/2.0");
    assert_non_null(m);
    assert_str(field(m, "P-Asserted-Identity"), "<sip:alice@example.com>");
    assert_null(strstr(m, "203.0.113"));
    assert_null(strstr(m, TEST_OUTSIDE));
    message(x, &fp, answered(m, "200 OK", "p", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    none_left(x);
}

/* The PBX wants to know who we are: the vault answers, once. */
static void test_pbx_challenge(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    static const char ask[] = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\", "
                              "algorithm=SHA-256\r\n";
    for (int again = 0; again < 2; again++) {
        struct say s = to_pbx();
        s.id = again ? "c2" : "c1";
        alice_says(x, s);
        char first[4096], second[4096];
        keep(first, sizeof first, sent(x, PBX, "MESSAGE "));
        message(x, &fp, answered(first, "401 Who", "p", ask));
        assert_null(sent(x, ALICE, "SIP/2.0"));
        vault(x, REASON_NONE);
        keep(second, sizeof second, sent(x, PBX, "MESSAGE "));
        assert_true(str_eq(field(first, "Call-ID"), field(second, "Call-ID")));
        assert_non_null(strstr(second, "\r\nAuthorization: Digest username=\"gateway\""));
        message(x, &fp, answered(second, again ? "401 Who" : "200 OK", "p", again ? ask : ""));
        assert_non_null(sent(x, ALICE, again ? "SIP/2.0 502 " : "SIP/2.0 200 "));
    }
    struct say s = to_pbx();
    s.id = "c3";
    alice_says(x, s);
    message(x, &fp, answered(sent(x, PBX, "MESSAGE "), "401 Who", "p", ask));
    vault(x, REASON_auth_unavailable);
    assert_non_null(sent(x, ALICE, "SIP/2.0 502 "));
    none_left(x);
}

static void test_privacy(void **state)
{
    struct fixture *x = *state;
    struct say s = to_bob;
    s.more = "Privacy: id\r\n";
    alice_says(x, s);
    const char *m = sent(x, BOB, "MESSAGE ");
    assert_non_null(m);
    assert_null(strstr(m, "alice"));
    assert_null(strstr(m, "Alice"));
    s = to_pbx();
    s.more = "Privacy: id\r\n";
    s.id = "m2";
    alice_says(x, s);
    m = sent(x, PBX, "MESSAGE ");
    assert_non_null(m);
    assert_true(str_starts(field(m, "From"), STR("\"Alice\" <sip:alice@example.com>")));
    /* Anonymous by its own From: the PBX that is trusted hears who it was, apart from that. */
    s = to_pbx();
    s.from = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=a3";
    s.id = "m3";
    alice_says(x, s);
    m = sent(x, PBX, "MESSAGE ");
    assert_non_null(m);
    assert_true(str_starts(field(m, "From"), STR("\"Anonymous\" <sip:anonymous@anonymous.inv")));
    assert_str(field(m, "P-Asserted-Identity"), "<sip:alice@example.com>");
    none_left(x);
}

#define SUMMARY "application/simple-message-summary"
/* A PBX that tells of voice mail unasked. */
static void test_unsolicited(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fb = flow_of(BOB, LISTEN_OUT_UDP),
                fa = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char mail[] =
        "Messages-Waiting: yes\r\nMessage-Account: sip:bob@198.51.100.10\r\n";
    bind_phone(x, "bob", BOB2, 400);
    struct say s = from_pbx(
        "NOTIFY", "Event: message-summary\r\nContact: <sip:p@198.51.100.10>\r\n", SUMMARY, mail);
    message(x, &fp, said(&s));
    const char *m = sent(x, BOB, "NOTIFY sip:bob@" BOB " SIP/2.0");
    assert_non_null(m);
    assert_non_null(sent(x, BOB2, "NOTIFY "));
    assert_null(strstr(m, "198.51.100"));
    assert_str(field(m, "Event"), "message-summary");
    assert_str(field(m, "Subscription-State"), "active");
    assert_non_null(strstr(m, "Message-Account: sip:bob@example.com\r\n"));
    message(x, &fb, answered(m, "200 OK", "b", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    /* Its body is not what it says. */
    s.id = "n2";
    s.type = "text/plain";
    message(x, &fp, said(&s));
    const char *r = sent(x, PBX, "SIP/2.0 415 ");
    assert_non_null(r);
    assert_str(field(r, "Accept"), SUMMARY);
    /* Another package, a zone that has no voice mail, a user who says so. */
    s.id = "n3";
    s.more = "Event: dialog\r\nSubscription-State: active\r\n";
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    s.more = "Event: message-summary\r\n";
    s.type = SUMMARY;
    s.id = "n4";
    x->g.policy.zones[ZONE_PHONES].services &= (uint8_t)~SERVICE_MWI;
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 403 "));
    x->g.policy.zones[ZONE_PHONES].services = ALL_SERVICES;
    x->g.policy.zones[ZONE_PBX].services &= (uint8_t)~SERVICE_MWI;
    s.id = "n5";
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 403 "));
    x->g.policy.zones[ZONE_PBX].services = ALL_SERVICES;
    s.id = "n6"; /* to a peer, not to a phone */
    s.uri = "sip:200@" TEST_INSIDE;
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    struct say a = to_bob;
    a.method = "NOTIFY";
    a.more = "Event: message-summary\r\n";
    a.type = SUMMARY;
    a.body = mail;
    alice_says(x, a);
    assert_non_null(sent(x, ALICE, "SIP/2.0 481 "));
    /* A tag that nobody gave. */
    a.to = "<sip:bob@example.com>;tag=made-up";
    message(x, &fa, said(&a));
    assert_non_null(sent(x, ALICE, "SIP/2.0 481 "));
    assert_null(sent(x, BOB, "NOTIFY "));
    none_left(x);
}

static void test_publish(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct say s = to_bob;
    s.method = "PUBLISH";
    s.uri = "sip:alice@example.com";
    s.to = "<sip:alice@example.com>";
    s.more = "Event: presence\r\nExpires: 1800\r\nSIP-If-Match: tag.1\r\n";
    s.type = "application/pidf+xml";
    s.body = "<presence entity=\"sip:alice@203.0.113.5\"/>";
    alice_hears(x, s, "SIP/2.0 403 "); /* no phone keeps another's state */
    x->g.policy.peers[0].fronts = 1u << ZONE_PHONES;
    s.id = "p2";
    alice_says(x, s);
    const char *m = sent(x, PBX, "PUBLISH sip:alice@198.51.100.10:5060 SIP/2.0");
    assert_non_null(m);
    assert_str(field(m, "Event"), "presence");
    assert_str(field(m, "Expires"), "1800");
    assert_str(field(m, "SIP-If-Match"), "tag.1");
    assert_non_null(strstr(m, "<presence entity=\"sip:alice@example.com\"/>"));
    message(x, &fp, answered(m, "200 OK", "p", "SIP-ETag: tag.2\r\nExpires: 900\r\n"));
    const char *r = sent(x, ALICE, "SIP/2.0 200 ");
    assert_non_null(r);
    assert_str(field(r, "SIP-ETag"), "tag.2");
    assert_str(field(r, "Expires"), "900");
    s.id = "p3";
    alice_says(x, s);
    message(x, &fp, answered(sent(x, PBX, "PUBLISH "), "412 Stale", "p", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 412 "));
    s.id = "p4";
    alice_says(x, s);
    message(x, &fp, answered(sent(x, PBX, "PUBLISH "), "423 Brief", "p", "Min-Expires: 2000\r\n"));
    assert_str(field(sent(x, ALICE, "SIP/2.0 423 "), "Min-Expires"), "2000");
    s.id = "p5";
    s.more = "Event: reg\r\n";
    alice_says(x, s);
    assert_str(field(sent(x, ALICE, "SIP/2.0 489 "), "Allow-Events"),
               "message-summary, dialog, presence");
    s.id = "p6";
    s.more = "";
    alice_hears(x, s, "SIP/2.0 400 ");
    s.id = "p7";
    s.more = "Event: presence\r\n";
    s.body = "<!DOCTYPE x>";
    alice_hears(x, s, "SIP/2.0 400 ");
    none_left(x);
}

static void test_info(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct say s = from_pbx("INFO", "", "application/dtmf-relay", "Signal=1");
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    none_left(x);
}

/* Within a call, both ways, and where it may not. */
static void test_in_call(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    char a[4096], p[4096], to[256], from[256], id[64], ours[256];
    for (unsigned i = 0; i < x->g.policy.n_zones; i++)
        x->g.policy.zones[i].services = ALL_SERVICES;
    call_up(x, a, p, sizeof a);
    struct say s = {.method = "MESSAGE",
                    .uri = "sip:x@" TEST_INSIDE,
                    .from = "<sip:200@198.51.100.10>;tag=p1",
                    .id = "id-of-pbx",
                    .type = "text/plain",
                    .body = "in the call",
                    .cseq = 5};
    keep(ours, sizeof ours, field(p, "To").p);
    s.to = ours;
    message(x, &fp, said(&s));
    const char *m = sent(x, ALICE, "MESSAGE sip:alice@203.0.113.5");
    assert_non_null(m);
    assert_true(str_eq(field(m, "Call-ID"), field(a, "Call-ID")));
    assert_true(str_eq(field(m, "From"), field(a, "From")));
    assert_non_null(strstr(m, "\r\n\r\nin the call"));
    assert_null(strstr(m, "198.51.100"));
    message(x, &fa, answered(m, "200 OK", "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    (void)snprintf(from, sizeof from, "%s;tag=a1", field(a, "To").p);
    keep(to, sizeof to, field(a, "From").p);
    keep(id, sizeof id, field(a, "Call-ID").p);
    s = (struct say){.method = "MESSAGE",
                     .uri = "sip:x@" TEST_OUTSIDE,
                     .from = from,
                     .to = to,
                     .id = id,
                     .type = "text/plain",
                     .body = "and back",
                     .cseq = 7};
    message(x, &fa, said(&s));
    m = sent(x, PBX, "MESSAGE ");
    assert_non_null(m);
    message(x, &fp, answered(m, "401 Who", "", "WWW-Authenticate: Digest realm=\"p\"\r\n"));
    assert_non_null(sent(x, ALICE, "SIP/2.0 502 "));
    s.cseq++;
    s.type = "text/html";
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 415 "));
    s.cseq++;
    s.type = "text/plain";
    x->g.policy.zones[ZONE_PHONES].services = 0;
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    x->g.policy.zones[ZONE_PHONES].services = ALL_SERVICES;
    /* The call ends before the answer comes. */
    s.cseq++;
    message(x, &fa, said(&s));
    char last[4096];
    keep(last, sizeof last, sent(x, PBX, "MESSAGE "));
    s.method = "BYE";
    s.cseq++;
    s.type = NULL;
    s.body = "";
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    message(x, &fp, answered(sent(x, PBX, "BYE "), "200 OK", "", ""));
    message(x, &fp, answered(last, "200 OK", "", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    none_left(x);
}

/* The table is full: refused with 503, and free again when answers have come. */
static void test_full(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    unsigned took = 0, refused = 0;
    char id[16];
    for (int i = 0; i < 2200; i++) {
        struct say s = from_pbx("MESSAGE", "", "text/plain", "hi");
        (void)snprintf(id, sizeof id, "full%d", i);
        s.id = id;
        message(x, &fp, said(&s));
        took += sent(x, BOB, "MESSAGE ") != NULL;
        const char *r = sent(x, PBX, "SIP/2.0 503 ");
        refused += r != NULL;
        if (r)
            assert_non_null(strstr(r, "\r\nRetry-After: "));
    }
    assert_int_equal(took + refused, 2200);
    assert_int_equal(took, 384); /* three quarters of the blocks */
    assert_true(refused > 0);
    assert_int_equal(core_usage(x->g.core[0]).exchanges, took);
    none_left(x);
    struct say s = from_pbx("MESSAGE", "", "text/plain", "hi");
    message(x, &fp, said(&s));
    assert_non_null(sent(x, BOB, "MESSAGE "));
    none_left(x);
}

/* A reload while a message waits. */
static void test_reload(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    static struct policy p;
    alice_says(x, to_pbx());
    char m[4096];
    keep(m, sizeof m, sent(x, PBX, "MESSAGE "));
    p = x->g.policy;
    p.n_peers = 0;
    p.routes[0].to = ROUTE_REFUSE;
    core_policy(x->g.core[0], &p, x->g.now);
    message(x, &fp, answered(m, "503 Full", "p", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 502 "));
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    /* A challenge of a peer that may be another one by now. */
    struct say s = to_pbx();
    s.id = "m2";
    alice_says(x, s);
    keep(m, sizeof m, sent(x, PBX, "MESSAGE "));
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    message(x, &fp,
            answered(m, "401 Who", "p",
                     "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"\r\n"));
    assert_non_null(sent(x, ALICE, "SIP/2.0 502 "));
    none_left(x);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_services, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_message_user),  T(test_message_refused),
        T(test_message_body),  T(test_message_pbx),
        T(test_pbx_challenge), T(test_privacy),
        T(test_unsolicited),   T(test_publish),
        T(test_info),          T(test_full),
        T(test_reload),        cmocka_unit_test_setup_teardown(test_in_call, setup, teardown),
    };
    return cmocka_run_group_tests_name("exchange", tests, NULL, NULL);
}
