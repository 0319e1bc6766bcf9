#include "call/subscription_test.h"

static void hidden(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_null(strstr(text, words[i]));
}

/* From the first SUBSCRIBE to the notifier's last word. */
static void test_whole(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    char n[4096];
    static const char *const of_alice[] = {"203.0.113", "secret", "s1@", "a1", "id=7", "x="};
    static const char *const of_pbx[] = {"198.51.100", "secret", "p1", "vm@"};
    ask(x, &d, to_mail);
    hidden(d.ask, of_alice, ARRAY_LEN(of_alice));
    assert_str(field(d.ask, "Event"), "message-summary");
    assert_str(field(d.ask, "Expires"), "600");
    assert_str(field(d.ask, "Accept"), MWI_TYPE);
    assert_str(field(d.ask, "Max-Forwards"), "19");
    assert_str(field(d.ask, "To"), "<sip:100@example.com>");
    assert_str(field(d.ask, "P-Asserted-Identity"), "<sip:alice@example.com>");
    accept_with(x, &d, "Expires: 300\r\n");
    hidden(d.ok, of_pbx, ARRAY_LEN(of_pbx));
    assert_str(field(d.ok, "Expires"), "300");
    assert_non_null(strstr(field(d.ok, "Contact").p, "@" TEST_OUTSIDE ":5060>"));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 1);
    notify(x, &d, "active;expires=290;x=198.51.100.10", 1, n, sizeof n);
    hidden(n, of_pbx, ARRAY_LEN(of_pbx));
    assert_str(field(n, "Event"), "message-summary;id=7");
    assert_str(field(n, "Subscription-State"), "active;expires=290");
    assert_true(str_eq(field(n, "From"), str_c(d.from)));
    assert_str(field(n, "To"), "<sip:alice@example.com>;tag=a1");
    assert_str(field(n, "Call-ID"), "s1@alice.invalid");
    assert_non_null(strstr(n, "\r\n\r\nMessages-Waiting: yes\r\n"
                              "Message-Account: sip:alice@example.com\r\n"));
    take_notify(x, n);
    /* Refresh. */
    struct say s = alice_again(&d, 500, 10);
    message(x, &fa, said(&s));
    const char *r = sent(x, PBX, "SUBSCRIBE sip:vm@198.51.100.10:5060 ");
    assert_non_null(r);
    assert_str(field(r, "Expires"), "500");
    assert_true(str_eq(field(r, "Call-ID"), field(d.ask, "Call-ID")));
    assert_true(str_eq(field(r, "From"), field(d.ask, "From")));
    message(x, &fp, answered(r, "200 OK", "p1", "Expires: 400\r\n"));
    assert_str(field(sent(x, ALICE, "SIP/2.0 200 "), "Expires"), "400");
    /* The end. */
    s = alice_again(&d, 0, 11);
    message(x, &fa, said(&s));
    r = sent(x, PBX, "SUBSCRIBE ");
    assert_str(field(r, "Expires"), "0");
    message(x, &fp, answered(r, "200 OK", "p1", "Expires: 0\r\n"));
    assert_str(field(sent(x, ALICE, "SIP/2.0 200 "), "Expires"), "0");
    notify(x, &d, "terminated;reason=timeout", 2, n, sizeof n);
    assert_str(field(n, "Subscription-State"), "terminated;reason=timeout");
    take_notify(x, n);
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    /* Nothing is left to be spoken to. */
    s = alice_again(&d, 500, 12);
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 481 "));
    s = pbx_says(&d, "active", 3, MWI_BODY);
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    none_left(x);
}

/* The NOTIFY is quicker than the answer. */
static void test_notify_first(void **state)
{
    struct fixture *x = *state;
    struct sides d;
    char n[4096];
    ask(x, &d, to_mail);
    notify(x, &d, "active;expires=600", 1, n, sizeof n);
    take_notify(x, n);
    accept_with(x, &d, "Expires: 600\r\n");
    assert_true(str_eq(field(n, "From"), str_c(d.from)));
    /* Somebody else's tag is another subscription, which we did not make. */
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    (void)snprintf(d.other, sizeof d.other, "%s;tag=p2", field(d.ask, "To").p);
    struct say s = pbx_says(&d, "active", 2, MWI_BODY);
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    assert_null(sent(x, ALICE, "NOTIFY "));
    none_left(x);
}

/* Another fork answers than the one whose NOTIFY came: that one stays. */
static void test_other_fork_answers(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    char n[4096];
    ask(x, &d, to_mail);
    notify(x, &d, "active", 1, n, sizeof n);
    take_notify(x, n);
    message(
        x, &fp,
        answered(d.ask, "200 OK", "p2", "Contact: <sip:other@198.51.100.10>\r\nExpires: 600\r\n"));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    notify(x, &d, "active", 2, n, sizeof n);
    take_notify(x, n);
    none_left(x);
}

/* A fetch: the notifier's only word may come before its answer. */
static void test_fetch(void **state)
{
    struct fixture *x = *state;
    for (int before = 0; before < 2; before++) {
        struct sides d;
        char n[4096];
        struct say s = to_mail;
        s.more = more_of("message-summary", 0);
        s.id = before ? "f1" : "f2";
        ask(x, &d, s);
        assert_str(field(d.ask, "Expires"), "0");
        if (!before)
            accept_with(x, &d, "Expires: 0\r\n");
        notify(x, &d, "terminated;reason=timeout", 1, n, sizeof n);
        if (before)
            accept_with(x, &d, "Expires: 0\r\n");
        assert_true(str_eq(field(n, "From"), str_c(d.from)));
        take_notify(x, n);
        assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    }
    none_left(x);
}

/* The last NOTIFY overtakes another one that nobody has answered yet. */
static void test_over(void **state)
{
    struct fixture *x = *state;
    struct sides d;
    char n[4096], last[4096];
    up(x, &d);
    notify(x, &d, "active", 2, n, sizeof n);
    notify(x, &d, "terminated;reason=noresource", 3, last, sizeof last);
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 3);
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct say s = alice_again(&d, 600, 10);
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 481 "));
    s = pbx_says(&d, "active", 4, "");
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    take_notify(x, last);
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 2);
    message(x, &fa, answered(n, "481 Gone", "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    /* And before the SUBSCRIBE itself has an answer, which then fails. */
    for (int bad = 0; bad < 3; bad++) {
        struct say q = to_mail;
        q.id = fmt("over%d", bad);
        char id[16];
        keep(id, sizeof id, q.id);
        q.id = id;
        ask(x, &d, q);
        notify(x, &d, "terminated", 1, n, sizeof n);
        take_notify(x, n);
        assert_int_equal(core_usage(x->g.core[0]).exchanges, 2);
        static const char *const lines[] = {"500 No", "200 OK"};
        if (bad < 2)
            message(x, &fp, answered(d.ask, lines[bad], "p1", "")); /* 200 without Contact */
        for (int i = 0; bad == 2 && !sent(x, ALICE, "SIP/2.0 408 "); i++) {
            assert_true(i < 290);
            pass_ms(x, 100);
        }
        assert_non_null(sent(x, ALICE,
                             bad == 0   ? "SIP/2.0 500 "
                             : bad == 1 ? "SIP/2.0 "
                                        : "SIP/2.0 408 "));
        assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    }
    none_left(x);
}

static void test_refused(void **state)
{
    static const struct {
        const char *line, *want;
    } rows[] = {
        {"403 No", "SIP/2.0 403 "},    {"404 Who", "SIP/2.0 404 "},  {"489 Event", "SIP/2.0 489 "},
        {"423 Brief", "SIP/2.0 423 "}, {"481 Gone", "SIP/2.0 500 "}, {"302 There", "SIP/2.0 480 "},
        {"407 Who", "SIP/2.0 502 "},   {"603 No", "SIP/2.0 603 "},
    };
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sides d;
        struct say s = to_mail;
        char id[16];
        (void)snprintf(id, sizeof id, "row%zu", i);
        s.id = id;
        ask(x, &d, s);
        message(x, &fp, answered(d.ask, rows[i].line, "p", "Min-Expires: 900\r\n"));
        const char *r = sent(x, ALICE, rows[i].want);
        assert_non_null(r);
        if (strstr(rows[i].line, "423"))
            assert_str(field(r, "Min-Expires"), "900");
        if (strstr(rows[i].line, "489"))
            assert_str(field(r, "Allow-Events"), "message-summary, dialog, presence");
        assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    }
    none_left(x);
}

static void test_not_served(void **state)
{
    static const struct {
        const char *event, *want;
        uint8_t services;
        unsigned expires;
    } rows[] = {
        {"message-summary", "SIP/2.0 403 ", SERVICE_DIALOG, 600},
        {"dialog", "SIP/2.0 403 ", SERVICE_MWI, 600},
        {"presence", "SIP/2.0 403 ", SERVICE_MWI | SERVICE_DIALOG | SERVICE_MESSAGE, 600},
        {"reg", "SIP/2.0 489 ", ALL_SERVICES, 600},
        {"presence.winfo", "SIP/2.0 489 ", ALL_SERVICES, 600},
        {"dialog", "SIP/2.0 423 ", ALL_SERVICES, 59},
        {"dialog", NULL, SERVICE_DIALOG, 60},
        {"presence", NULL, SERVICE_PRESENCE, 600},
    };
    struct fixture *x = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct say s = to_mail;
        char id[16];
        (void)snprintf(id, sizeof id, "row%zu", i);
        s.id = id;
        s.more = more_of(rows[i].event, rows[i].expires);
        x->g.policy.zones[ZONE_PHONES].services = rows[i].services;
        alice_says(x, s);
        assert_true(!rows[i].want == !!sent(x, PBX, "SUBSCRIBE "));
        if (rows[i].want)
            assert_non_null(sent(x, ALICE, rows[i].want));
        if (rows[i].expires == 59)
            assert_str(field(sent(x, ALICE, rows[i].want), "Min-Expires"), "60");
    }
    struct say s = to_mail;
    s.more = "Event: message-summary\r\n"; /* without Contact no dialog */
    s.id = "no-contact";
    x->g.policy.zones[ZONE_PHONES].services = ALL_SERVICES;
    alice_says(x, s);
    assert_non_null(sent(x, ALICE, "SIP/2.0 400 "));
    none_left(x);
}

/* The longest that is asked for, whatever the phone wishes. */
static void test_long(void **state)
{
    struct fixture *x = *state;
    struct sides d;
    struct say s = to_mail;
    s.more = more_of("message-summary", 999999);
    ask(x, &d, s);
    assert_str(field(d.ask, "Expires"), "3600");
    accept_with(x, &d, "Expires: 7200\r\n"); /* more than was asked */
    assert_str(field(d.ok, "Expires"), "3600");
    s.more = "Contact: <sip:alice@203.0.113.5>\r\nEvent: message-summary\r\n";
    s.id = "s2";
    ask(x, &d, s);
    assert_str(field(d.ask, "Expires"), "3600");
    accept_with(x, &d, "");
    assert_str(field(d.ok, "Expires"), "3600");
    none_left(x);
}

/* The phone's port has changed: it proves itself and goes on from there; another user may not. */
static void test_phone_moves(void **state)
{
    struct fixture *x = *state;
    struct flow at = flow_of("203.0.113.5:6000", LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    char more[2048];
    up(x, &d);
    struct say s = alice_again(&d, 600, 10);
    message(x, &at, said(&s));
    const char *r = sent(x, "203.0.113.5:6000", "SIP/2.0 401 ");
    assert_non_null(r);
    assert_null(sent(x, PBX, "SUBSCRIBE "));
    (void)snprintf(more, sizeof more, "%s%s", s.more, credentials(r, s.uri));
    s.more = more;
    s.cseq = 11;
    message(x, &at, said(&s));
    vault(x, REASON_NONE);
    r = sent(x, PBX, "SUBSCRIBE ");
    assert_non_null(r);
    message(x, &fp, answered(r, "200 OK", "p1", "Expires: 600\r\n"));
    assert_non_null(sent(x, "203.0.113.5:6000", "SIP/2.0 200 "));
    s = pbx_says(&d, "active", 2, MWI_BODY);
    message(x, &fp, said(&s));
    assert_non_null(sent(x, "203.0.113.5:6000", "NOTIFY "));
    none_left(x);
}

/* The PBX says what is long over TCP. */
static void test_peer_by_tcp(void **state)
{
    struct fixture *x = *state;
    struct flow tcp = flow_of("198.51.100.10:40000", LISTEN_IN_UDP),
                other = flow_of("198.51.100.66:40000", LISTEN_IN_UDP);
    struct sides d;
    char n[4096];
    up(x, &d);
    tcp.proto = other.proto = PROTO_TCP;
    tcp.conn = other.conn = (struct handle){1, 1};
    struct say s = pbx_says(&d, "active", 2, MWI_BODY);
    message(x, &other, said(&s));
    assert_non_null(sent(x, "198.51.100.66:40000", "SIP/2.0 403 "));
    s.cseq = 3;
    message(x, &tcp, said(&s));
    keep(n, sizeof n, sent(x, ALICE, "NOTIFY "));
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    message(x, &fa, answered(n, "200 OK", "", ""));
    assert_non_null(sent(x, "198.51.100.10:40000", "SIP/2.0 200 "));
    s = alice_again(&d, 600, 10);
    message(x, &fa, said(&s));
    assert_non_null(sent(x, PBX, "SUBSCRIBE ")); /* where it always lived */
    none_left(x);
}

/* One user gets an eighth of the table, peers and others the rest; what ends is free again. */
static void test_caps(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    unsigned mine = 0, theirs = 0;
    char id[16];
    for (int i = 0; i < 40; i++) {
        struct say s = to_mail;
        (void)snprintf(id, sizeof id, "cap%d", i);
        s.id = id;
        alice_says(x, s);
        mine += sent(x, PBX, "SUBSCRIBE ") != NULL;
        assert_true(!!sent(x, PBX, "SUBSCRIBE ") != !!sent(x, ALICE, "SIP/2.0 503 "));
    }
    assert_int_equal(mine, 257 / 8);
    for (int i = 0; i < 300; i++) {
        struct say s = {.method = "SUBSCRIBE",
                        .uri = "sip:bob@" TEST_INSIDE,
                        .from = "<sip:200@198.51.100.10>;tag=p1",
                        .to = "<sip:bob@" TEST_INSIDE ">",
                        .more = "Contact: <sip:200@198.51.100.10>\r\nEvent: dialog\r\n",
                        .cseq = 1};
        (void)snprintf(id, sizeof id, "pbx%d", i);
        s.id = id;
        message(x, &fp, said(&s));
        theirs += sent(x, BOB, "SUBSCRIBE ") != NULL;
    }
    assert_int_equal(mine + theirs, 257);
    assert_int_equal(counted(x, REASON_capacity_subscriptions), 8 + 75);
    none_left(x);
    alice_says(x, to_mail);
    assert_non_null(sent(x, PBX, "SUBSCRIBE "));
    none_left(x);
}

/* A PBX watches a phone's line: the phone is the notifier, and one phone only is asked. */
static void test_pbx_watches_phone(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fb = flow_of(BOB, LISTEN_OUT_UDP);
    bind_phone(x, "bob", BOB2, 400);
    struct say s = {.method = "SUBSCRIBE",
                    .uri = "sip:bob@" TEST_INSIDE,
                    .from = "<sip:200@198.51.100.10>;tag=p1",
                    .to = "<sip:bob@" TEST_INSIDE ">",
                    .id = "w1",
                    .more = "Contact: <sip:200@198.51.100.10>\r\nEvent: dialog\r\n",
                    .cseq = 1};
    message(x, &fp, said(&s));
    char q[4096], ok[4096];
    keep(q, sizeof q, sent(x, BOB, "SUBSCRIBE "));
    assert_null(sent(x, BOB2, "SUBSCRIBE "));
    assert_null(strstr(q, "198.51.100"));
    message(x, &fb, answered(q, "200 OK", "b1", "Contact: <sip:bob@203.0.113.6>\r\n"));
    keep(ok, sizeof ok, sent(x, PBX, "SIP/2.0 200 "));
    struct say n = {.method = "NOTIFY",
                    .uri = "sip:x@" TEST_OUTSIDE,
                    .from = "<sip:bob@example.com>;tag=b1",
                    .more = "Contact: <sip:bob@203.0.113.6>\r\nEvent: dialog\r\n"
                            "Subscription-State: active;expires=60\r\n",
                    .type = "application/dialog-info+xml",
                    .body = "<dialog-info entity=\"sip:bob@203.0.113.6\"><dialog id=\"1\" "
                            "call-id=\"a@203.0.113.6\"><state>confirmed</state></dialog>"
                            "</dialog-info>",
                    .cseq = 1};
    char to[256], id[64];
    keep(to, sizeof to, field(q, "From").p);
    keep(id, sizeof id, field(q, "Call-ID").p);
    n.to = to;
    n.id = id;
    message(x, &fb, said(&n));
    const char *r = sent(x, PBX, "NOTIFY ");
    assert_non_null(r);
    assert_null(strstr(r, "203.0.113"));
    assert_null(strstr(r, "call-id"));
    assert_non_null(strstr(r, "entity=\"sip:bob@example.com\""));
    message(x, &fp, answered(r, "200 OK", "", ""));
    assert_non_null(sent(x, BOB, "SIP/2.0 200 "));
    /* The phones' zone serves it no more. */
    x->g.policy.zones[ZONE_PHONES].services = 0;
    n.cseq = 2;
    message(x, &fb, said(&n));
    assert_non_null(sent(x, BOB, "SIP/2.0 403 "));
    assert_non_null(sent(x, PBX, "NOTIFY "));
    assert_non_null(sent(x, BOB, "SUBSCRIBE "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    none_left(x);
}

/* Where the PBX fronts the phones' zone, their state is its business, not another phone's. */
static void test_front(void **state)
{
    struct fixture *x = *state;
    x->g.policy.peers[0].fronts = 1u << ZONE_PHONES;
    struct say s = to_mail;
    s.uri = "sip:bob@example.com";
    s.to = "<sip:bob@example.com>";
    alice_says(x, s);
    assert_non_null(sent(x, PBX, "SUBSCRIBE sip:bob@198.51.100.10:5060 "));
    assert_null(sent(x, BOB, "SUBSCRIBE "));
    none_left(x);
}

/* A reload renumbers peers by name; one that is gone ends what it served. */
static void test_reload(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    static struct policy p, none;
    struct sides d;
    char n[4096];
    up(x, &d);
    p = x->g.policy;
    p.peers[1] = p.peers[0];
    p.peers[0].name = test_text(&p, "new");
    p.peers[0].targets[0] = p.peers[0].targets[1] = test_addr("198.51.100.77:5060");
    p.n_peers = 2;
    core_policy(x->g.core[0], &p, x->g.now);
    notify(x, &d, "active;expires=100", 2, n, sizeof n);
    take_notify(x, n);
    struct say s = alice_again(&d, 600, 10);
    message(x, &fa, said(&s));
    message(x, &fp, answered(sent(x, PBX, "SUBSCRIBE "), "200 OK", "p1", "Expires: 600\r\n"));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    none = p;
    none.n_peers = 1;
    core_policy(x->g.core[0], &none, x->g.now);
    s = alice_again(&d, 600, 11);
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    none_left(x);
}

/* Requests in its dialogs belong to the engine that has it. */
static void test_owner(void **state)
{
    (void)state;
    struct fixture *x = test_calloc(1, sizeof *x);
    gateway_init(&x->g, 2, 1);
    for (unsigned i = 0; i < x->g.policy.n_zones; i++)
        x->g.policy.zones[i].services = ALL_SERVICES;
    struct sides d;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct say s = to_mail;
    char id[16];
    for (int i = 0;; i++) { /* a Call-ID of engine 0 */
        assert_true(i < 64);
        (void)snprintf(id, sizeof id, "own%d", i);
        s.id = id;
        if (siphash(&x->g.cfg[0].hash_key, str_c(id)) % 2 == 0)
            break;
    }
    ask(x, &d, s);
    accept_with(x, &d, "Expires: 300\r\n");
    struct say n = pbx_says(&d, "active", 1, MWI_BODY);
    core_message(x->g.core[1], &fp, str_c(said(&n)), false, x->g.now);
    struct intents *out = &x->g.intents[1];
    assert_int_equal(out->n, 1);
    assert_int_equal(out->v[0].kind, INTENT_FORWARD);
    assert_int_equal(out->v[0].engine, 0);
    intents_reset(out);
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    struct say r = alice_again(&d, 300, 10);
    core_message(x->g.core[1], &fa, str_c(said(&r)), false, x->g.now);
    assert_int_equal(out->n, 1);
    assert_int_equal(out->v[0].kind, INTENT_FORWARD);
    intents_reset(out);
    none_left(x);
    gateway_done(&x->g);
    test_free(x);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_services, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_whole), T(test_notify_first),      T(test_other_fork_answers),
        T(test_fetch), T(test_refused),           T(test_not_served),
        T(test_long),  T(test_phone_moves),       T(test_caps),
        T(test_front), T(test_pbx_watches_phone), T(test_reload),
        T(test_over),  T(test_peer_by_tcp),       cmocka_unit_test(test_owner),
    };
    return cmocka_run_group_tests_name("subscription", tests, NULL, NULL);
}
