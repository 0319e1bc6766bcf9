/* What leaves for single requests: the fields that pass, made anew, and nothing else. */
#include "call/subscription_test.h"

/* All that a phone might say of itself, or of somebody else. */
#define CHATTER                                                                                    \
    "Contact: <sip:alice@203.0.113.5>\r\nUser-Agent: secret/1\r\nRoute: <sip:192.0.2.1;lr>\r\n"    \
    "Record-Route: <sip:203.0.113.5;lr>\r\nSubject: secret\r\nOrganization: secret\r\n"            \
    "Reply-To: <sip:alice@203.0.113.5>\r\nCall-Info: <http://203.0.113.5/secret>\r\n"              \
    "P-Asserted-Identity: <sip:secret@example.com>\r\nX-Secret: 203.0.113.5\r\n"                   \
    "P-Preferred-Identity: <sip:alice@example.com>\r\nRemote-Party-ID: <sip:secret@a.invalid>\r\n" \
    "Proxy-Authorization: Digest username=\"secret\", realm=\"pbx\", nonce=\"n\", uri=\"sip:a\", " \
    "response=\"0\"\r\n"
static const char *const OF_ALICE[] = {"203.0.113.5", "secret",       "alice.invalid",
                                       "response=",   "host.invalid", "Digest",
                                       "cnonce",      "nonce",        "tag=a1"};

/* Every field of it is one of those; a space before and after each. */
static void only(const char *msg, const char *names)
{
    const char *end = strstr(msg, "\r\n\r\n");
    assert_non_null(end);
    for (const char *line = strstr(msg, "\r\n") + 2; line < end; line = strstr(line, "\r\n") + 2) {
        char name[64];
        (void)snprintf(name, sizeof name, " %.*s ", (int)strcspn(line, ":"), line);
        if (!strstr(names, name))
            fail_msg("%s passes", name);
    }
}

static void nothing_of_alice(const char *msg)
{
    for (size_t i = 0; i < ARRAY_LEN(OF_ALICE); i++)
        if (strstr(msg, OF_ALICE[i]))
            fail_msg("%s passes", OF_ALICE[i]);
}

static void a_message_to_a_phone(void **state)
{
    struct fixture *x = *state;
    struct say s = to_bob;
    s.more = CHATTER "Expires: 60\r\nMax-Breadth: 24\r\n";
    alice_says(x, s);
    const char *m = sent(x, BOB, "MESSAGE ");
    assert_non_null(m);
    nothing_of_alice(m);
    only(m, " Via Max-Forwards From To Call-ID CSeq Max-Breadth Expires Content-Type "
            "Content-Length Allow Supported ");
    assert_true(str_starts(field(m, "Via"), STR("SIP/2.0/UDP " TEST_OUTSIDE)));
    assert_true(str_starts(field(m, "From"), STR("\"Alice\" <sip:alice@example.com>;tag=")));
    assert_str(field(m, "Max-Forwards"), "19");
    assert_str(field(m, "Max-Breadth"), "3"); /* shared among all phones that there may be */
    assert_str(field(m, "Expires"), "60");
    assert_str(field(m, "Content-Length"), "9");
    assert_non_null(strstr(m, "\r\n\r\nhello bob"));
    none_left(x);
}

static void a_message_to_a_peer(void **state)
{
    struct fixture *x = *state;
    static const char PAI[] = "\r\nP-Asserted-Identity: ";
    for (int trusted = 0; trusted < 2; trusted++) {
        struct say s = to_pbx();
        s.id = trusted ? "t1@alice.invalid" : "t0@alice.invalid";
        s.more = CHATTER "Max-Breadth: 24\r\n";
        x->g.policy.peers[0].trust_identity = trusted;
        alice_says(x, s);
        const char *m = sent(x, PBX, "MESSAGE ");
        assert_non_null(m);
        nothing_of_alice(m);
        only(m, " Via Max-Forwards From To Call-ID CSeq Max-Breadth Content-Type "
                "Content-Length Allow Supported P-Asserted-Identity ");
        assert_str(field(m, "Max-Breadth"), "24");
        assert_int_equal(strstr(m, PAI) != NULL, trusted);
        if (trusted) /* who was proved, not what was asserted */
            assert_str(field(m, "P-Asserted-Identity"), "<sip:alice@example.com>");
    }
    none_left(x);
}

static void a_subscribe(void **state)
{
    struct fixture *x = *state;
    struct say s = to_mail;
    s.more = CHATTER "Event: message-summary;id=7;x=203.0.113.5\r\nExpires: 600\r\n"
                     "SIP-If-Match: secret\r\n";
    s.type = "application/simple-filter+xml";
    s.body = "secret";
    alice_says(x, s);
    const char *m = sent(x, PBX, "SUBSCRIBE ");
    assert_non_null(m);
    nothing_of_alice(m);
    only(m, " Via Max-Forwards From To Call-ID CSeq Contact Event Expires Accept Max-Breadth "
            "Content-Length Allow Supported P-Asserted-Identity Allow-Events ");
    assert_str(field(m, "Event"), "message-summary");
    assert_str(field(m, "Expires"), "600");
    assert_str(field(m, "Content-Length"), "0");
    assert_non_null(strstr(field(m, "Contact").p, "@" TEST_INSIDE));
    none_left(x);
}

/* --- line by line --- */

static char text[2048], buf[2048];

static void parsed(struct sip_msg *m, const char *from, const char *more)
{
    struct sip_error bad;
    (void)snprintf(text, sizeof text,
                   "PUBLISH sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.5;"
                   "branch=z9hG4bKx\r\nFrom: %s;tag=1\r\nTo: <sip:bob@example.com>\r\n"
                   "Call-ID: c\r\nCSeq: 1 PUBLISH\r\n%sContent-Length: 0\r\n\r\n",
                   from, more);
    assert_ok(sip_parse(str_c(text), false, m, &bad));
}

static void who_asks(void **state)
{
    struct fixture *x = *state;
    static const char ANON[] = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    static const struct {
        const char *from, *more, *phone, *peer; /* NULL: as towards a phone */
    } row[] = {
        {"<sip:alice@203.0.113.5>", "", "<sip:alice@example.com>", NULL},
        {"\"Al\" <sip:alice@a.invalid;x=y>", "", "\"Al\" <sip:alice@example.com>", NULL},
        {"\"alice@a.invalid\" <sip:alice@a.invalid>", "", "<sip:alice@example.com>", NULL},
        {"\"203.0.113.5\" <sip:alice@a.invalid>", "", "<sip:alice@example.com>", NULL},
        {"<sip:a.invalid>", "", "<sip:anonymous@example.com>", NULL},
        {"<tel:+4930;x=y>", "", "<sip:+4930@example.com>", NULL},
        {"<sip:alice@a.invalid>", "Privacy: none\r\n", "<sip:alice@example.com>", NULL},
        {"<sip:alice@a.invalid>", "Privacy: id\r\n", ANON, "<sip:alice@example.com>"},
        {"<sip:alice@a.invalid>", "Privacy: header; x\r\n", ANON, "<sip:alice@example.com>"},
        {"<sip:alice@a.invalid>", "Privacy: x; USER\r\n", ANON, NULL},
        {"<sip:anonymous@anonymous.invalid>", "", ANON, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        for (int peer = 0; peer < 2; peer++) {
            struct sip_msg m;
            const char *want = peer && row[i].peer ? row[i].peer : row[i].phone;
            struct out o = out_of(buf, sizeof buf);
            parsed(&m, row[i].from, row[i].more);
            from_put(x->g.core[0], &m, peer ? 0 : POLICY_NONE, &o);
            if (!str_eq(out_str(&o), str_c(want)))
                fail_msg("%s, %d: %.*s", row[i].from, peer, STR_ARG(out_str(&o)));
        }
}

static void towards_whom(void **state)
{
    struct fixture *x = *state;
    const struct core *c = x->g.core[0];
    assert_str(host_towards(c, POLICY_NONE), "example.com");
    assert_str(host_towards(c, 0), "example.com");
    x->g.policy.peers[0].realm_host = test_text(&x->g.policy, "trunk.example.net");
    assert_str(host_towards(c, 0), "trunk.example.net");
    assert_str(host_towards(c, POLICY_NONE), "example.com");
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    struct out o = out_of(buf, sizeof buf);
    contact_put(c, &f, STR("token"), &o);
    assert_str(out_str(&o), "Contact: <sip:token@" TEST_OUTSIDE ":5060>\r\n");
    f.proto = PROTO_TLS;
    f.listener = LISTEN_OUT_TLS;
    o = out_of(buf, sizeof buf);
    contact_put(c, &f, STR("token"), &o);
    assert_str(out_str(&o), "Contact: <sip:token@" TEST_OUTSIDE ":5061;transport=tls>\r\n");
    o = out_of(buf, sizeof buf);
    event_put(EVENT_MWI, STR_NONE, &o);
    event_put(EVENT_PRESENCE, STR("7"), &o);
    assert_str(out_str(&o), "Event: message-summary\r\nEvent: presence;id=7\r\n");
}

static void numbers_and_tags(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        uint32_t seconds;
    } row[] = {{"", 42},
               {"Expires: 0\r\n", 0},
               {"Expires: 4294967295\r\n", UINT32_MAX},
               {"Expires: -1\r\n", 42},
               {"Expires: 6x\r\n", 42},
               {"Expires:\r\n", 42}};
    struct sip_msg m;
    char tag[66], more[128];
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        parsed(&m, "<sip:a@b>", row[i].more);
        assert_int_equal(expires_of(&m, 42), row[i].seconds);
    }
    for (size_t n = 64; n <= 65; n++) {
        memset(tag, 't', n);
        tag[n] = 0;
        (void)snprintf(more, sizeof more, "SIP-If-Match: %s\r\n", tag);
        parsed(&m, "<sip:a@b>", more);
        struct out o = out_of(buf, sizeof buf);
        etag_put(&m, HDR_SIP_IF_MATCH, &o);
        assert_true(str_eq(out_str(&o), n == 64 ? str_c(more) : STR_NONE));
    }
    parsed(&m, "<sip:a@b>", "SIP-If-Match: a<b>\r\n");
    struct out o = out_of(buf, sizeof buf);
    etag_put(&m, HDR_SIP_IF_MATCH, &o);
    assert_int_equal(o.n, 0);
}

static void what_is_told(void **state)
{
    (void)state;
    static const struct {
        uint8_t method, peer;
        uint16_t came, told;
    } row[] = {
        {SIP_MESSAGE, POLICY_NONE, 486, 486}, {SIP_MESSAGE, POLICY_NONE, 489, 489},
        {SIP_SUBSCRIBE, 0, 423, 423},         {SIP_PUBLISH, 0, 412, 412},
        {SIP_MESSAGE, 0, 412, 500},           {SIP_MESSAGE, POLICY_NONE, 401, 502},
        {SIP_MESSAGE, 0, 407, 502},           {SIP_MESSAGE, POLICY_NONE, 503, 480},
        {SIP_MESSAGE, 0, 503, 502},           {SIP_MESSAGE, 0, 302, 480},
        {SIP_MESSAGE, 0, 399, 480},           {SIP_MESSAGE, 0, 699, 699},
        {SIP_MESSAGE, 0, 700, 500},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        static struct exchange x;
        enum reason why = REASON_NONE;
        x.method = row[i].method;
        x.peer = row[i].peer;
        uint16_t told = exchange_told(&x, row[i].came, &why);
        if (told != row[i].told || why == REASON_NONE)
            fail_msg("row %zu: %u", i, told);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_services, teardown)
    const struct CMUnitTest tests[] = {
        T(a_message_to_a_phone),
        T(a_message_to_a_peer),
        T(a_subscribe),
        T(who_asks),
        T(towards_whom),
        cmocka_unit_test(numbers_and_tags),
        cmocka_unit_test(what_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
