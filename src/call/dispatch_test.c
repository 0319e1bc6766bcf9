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

/* -- several engines -- */

static struct intents *put(struct gateway *g, unsigned engine, const struct flow *f,
                           const char *text)
{
    intents_reset(&g->intents[engine]);
    core_message(g->core[engine], f, str_c(text), false, g->now);
    return &g->intents[engine];
}

/* The engine that a message is handed to; that which got it if it is its own. */
static unsigned owner(struct gateway *g, unsigned engine, const struct flow *f, const char *text)
{
    const struct intents *i = put(g, engine, f, text);
    for (size_t k = 0; k < i->n; k++)
        if (i->v[k].kind == INTENT_FORWARD) {
            assert_int_equal(i->n, 1); /* and nothing else was done */
            assert_str_eq(i->v[k].bytes, str_c(text));
            assert_true(addr_eq(&i->v[k].flow.peer, &f->peer));
            return i->v[k].engine;
        }
    return engine;
}

static void owners(void **state)
{
    struct gateway *g = calloc(1, sizeof *g);
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    unsigned seen[TEST_ENGINES] = {0};
    char id[32], text[4096], to[256];
    (void)state;
    gateway_init(g, TEST_ENGINES, 7);
    for (unsigned n = 0; n < 64; n++) { /* one Call-ID, one engine, whichever has received it */
        unsigned first = TEST_ENGINES;
        (void)snprintf(id, sizeof id, "call-%u", n);
        for (unsigned e = 0; e < TEST_ENGINES; e++) {
            unsigned o =
                owner(g, e, &fp,
                      request("OPTIONS", "sip:" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                              "<sip:" TEST_INSIDE ">", id, (int)(1 + e), "", ""));
            first = e ? first : o;
            assert_int_equal(o, first);
        }
        seen[first]++;
    }
    for (unsigned e = 0; e < TEST_ENGINES; e++)
        assert_true(seen[e] > 4);
    /* REGISTER: by the user, whatever the Call-ID and however it is spelt */
    unsigned home = TEST_ENGINES;
    for (unsigned n = 0; n < 16; n++) {
        (void)snprintf(id, sizeof id, "reg-%u", n);
        const char *uri = n % 2 ? "<sip:alice@EXAMPLE.com>" : "<sip:alice@example.com>";
        unsigned o = owner(g, n % TEST_ENGINES, &fa,
                           request("REGISTER", "sip:example.com", "<sip:alice@example.com>;tag=1",
                                   uri, id, 1, "", ""));
        home = n ? home : o;
        assert_int_equal(o, home);
    }
    assert_int_equal(home, siphash(&g->cfg[0].hash_key, STR("alice@example.com")) % TEST_ENGINES);
    /* What bears a tag of ours goes where that was made, whatever its Call-ID. */
    for (unsigned e = 0; e < TEST_ENGINES; e++) {
        char tag[TOKEN_CHARS];
        tag_of(g->core[e], (struct handle){5, 5}, tag);
        (void)snprintf(to, sizeof to, "<sip:" TEST_INSIDE ">;tag=%.*s", (int)sizeof tag, tag);
        for (unsigned by = 0; by < TEST_ENGINES; by++) {
            (void)snprintf(id, sizeof id, "tagged-%u", by);
            (void)snprintf(text, sizeof text, "%s",
                           request("BYE", "sip:" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", to,
                                   id, 2, "", ""));
            assert_int_equal(owner(g, by, &fp, text), e);
        }
    }
    /* One that only looks like it does not: it goes by the Call-ID. */
    forge(to);
    unsigned o = owner(g, 0, &fp,
                       request("BYE", "sip:" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", to,
                               "call-0", 2, "", ""));
    assert_int_equal(o, siphash(&g->cfg[0].hash_key, STR("call-0")) % TEST_ENGINES);
    gateway_done(g);
    free(g);
}

/* Calls of a phone go where its user is at home, so that what he spends lies in one engine, or
 * where its address says if it does not tell who that is; those of a peer by the Call-ID. */
static void callers_home(void **state)
{
    static const char *const from[] = {"<sip:alice@example.com>;tag=1",
                                       "\"A\" <sip:alice@EXAMPLE.com:5060>;tag=2"},
                             *const stranger = "<sip:anonymous@anonymous.invalid>;tag=1";
    struct gateway *g = calloc(1, sizeof *g);
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    unsigned home, peers = 0, strangers = 0, options = 0;
    char id[32];
    (void)state;
    gateway_init(g, TEST_ENGINES, 7);
    unsigned by_place = (unsigned)(addr_hash(&g->cfg[0].hash_key, &fa.peer) % TEST_ENGINES);
    home = siphash(&g->cfg[0].hash_key, STR("alice@example.com")) % TEST_ENGINES;
    for (unsigned n = 0; n < 32; n++) {
        const char *method = n % 2 ? "INVITE" : "CANCEL", *to = "<sip:200@example.com>";
        (void)snprintf(id, sizeof id, "call-%u", n);
        unsigned by_id = siphash(&g->cfg[0].hash_key, str_c(id)) % TEST_ENGINES;
        unsigned e = n % TEST_ENGINES;
#define OWNER(flow, method, from)                                                                  \
    owner(g, e, flow, request(method, "sip:200@example.com", from, to, id, 1, "", ""))
        assert_int_equal(OWNER(&fa, method, from[n / 2 % 2]), home);
        peers += OWNER(&fp, method, from[0]) == by_id;
        strangers += OWNER(&fa, method, stranger) == by_place;
        options += OWNER(&fa, "OPTIONS", from[0]) == by_id;
    }
    assert_true(peers == 32 && strangers == 32 && options == 32);
    /* Whoever is handed one keeps it: two engines with policies of two ages would hand it on for
     * ever. */
    for (unsigned e = 0; e < TEST_ENGINES; e++) {
        intents_reset(&g->intents[e]);
        core_forwarded(g->core[e], &fa,
                       str_c(request("INVITE", "sip:200@example.com", from[0],
                                     "<sip:200@example.com>", "handed", 1, "", "")),
                       false, g->now);
        for (size_t k = 0; k < g->intents[e].n; k++)
            assert_int_not_equal(g->intents[e].v[k].kind, INTENT_FORWARD);
        assert_true(g->intents[e].n > 0);
    }
    gateway_done(g);
    free(g);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(tags),
                                       T(options),
                                       T(nobodys),
                                       T(forged_dialog),
                                       T(merged),
                                       T(stray_responses),
                                       T(not_worth_reading),
                                       T(broken),
                                       cmocka_unit_test(owners),
                                       cmocka_unit_test(callers_home)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
