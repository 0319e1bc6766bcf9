/* Subscriptions that fail: silence, refusals, forgeries, and what is over before it began. */
#include "call/subscription_test.h"

/* Waits until alice is told that it is over. */
static int until_over(struct fixture *x, int most_ms)
{
    int ms = 0;
    const char *n;
    while (!(n = sent(x, ALICE, "NOTIFY "))) {
        pass_ms(x, 100);
        assert_true((ms += 100) <= most_ms);
    }
    assert_str(field(n, "Subscription-State"), "terminated;reason=timeout");
    assert_non_null(strstr(n, "Content-Length: 0\r\n"));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    return ms;
}

/* Nobody refreshes: it ends a little after the time that was told. */
static void test_expiry(void **state)
{
    struct fixture *x = *state;
    struct sides d;
    up(x, &d);
    assert_true(until_over(x, 306000) >= 300000);
    none_left(x);
}

/* The notifier accepts and never says anything. */
static void test_silent_notifier(void **state)
{
    struct fixture *x = *state;
    struct sides d;
    ask(x, &d, to_mail);
    accept_with(x, &d, "Expires: 600\r\n");
    assert_true(until_over(x, 33000) >= 32000);
    assert_non_null(sent(x, PBX, "SUBSCRIBE ")); /* with its end */
    assert_str(field(sent(x, PBX, "SUBSCRIBE "), "Expires"), "0");
    assert_int_equal(counted(x, REASON_sip_notify_missing), 1);
    none_left(x);
}

static void test_silent_after_unsubscribe(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    up(x, &d);
    struct say s = alice_again(&d, 0, 10);
    message(x, &fa, said(&s));
    message(x, &fp, answered(sent(x, PBX, "SUBSCRIBE "), "200 OK", "p1", "Expires: 0\r\n"));
    (void)until_over(x, 33000);
    none_left(x);
}

/* The phone does not know it any more: the notifier is told, everything ends. */
static void test_phone_forgot(void **state)
{
    static const char *const lines[] = {"481 Gone", "405 No", "489 Event"};
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct sides d;
        char n[4096], id[16];
        struct say s = to_mail;
        (void)snprintf(id, sizeof id, "row%zu", i);
        s.id = id;
        ask(x, &d, s);
        accept_with(x, &d, "Expires: 300\r\n");
        notify(x, &d, "active", 1, n, sizeof n);
        message(x, &fa, answered(n, lines[i], "", ""));
        assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
        assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    }
    none_left(x);
}

static void test_phone_busy(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    struct sides d;
    char n[4096];
    up(x, &d);
    notify(x, &d, "active;expires=200", 2, n, sizeof n);
    message(x, &fa, answered(n, "500 Later", "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 500 "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 1);
    notify(x, &d, "active;expires=200", 3, n, sizeof n);
    take_notify(x, n);
    none_left(x);
}

static void test_phone_silent(void **state)
{
    struct fixture *x = *state;
    struct sides d;
    char n[4096];
    up(x, &d);
    notify(x, &d, "active;expires=300", 2, n, sizeof n);
    int ms = 0;
    while (!sent(x, PBX, "SIP/2.0 481 ")) {
        pass_ms(x, 100);
        assert_true((ms += 100) <= 28100);
    }
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    none_left(x);
}

/* Refreshes that fail: for good, and for now. */
static void test_refresh_refused(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    up(x, &d);
    struct say s = alice_again(&d, 600, 10);
    message(x, &fa, said(&s));
    message(x, &fp, answered(sent(x, PBX, "SUBSCRIBE "), "500 Later", "p1", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 500 "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 1);
    s = alice_again(&d, 600, 10); /* not higher, not lower */
    s = alice_again(&d, 600, 9);
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 500 "));
    assert_null(sent(x, PBX, "SUBSCRIBE "));
    s = alice_again(&d, 30, 11);
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 423 "));
    s = alice_again(&d, 600, 12);
    s.more = more_of("dialog", 600);
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 489 "));
    s = alice_again(&d, 600, 13);
    s.method = "NOTIFY"; /* the wrong way round */
    message(x, &fa, said(&s));
    assert_non_null(sent(x, ALICE, "SIP/2.0 405 "));
    s = alice_again(&d, 600, 14);
    message(x, &fa, said(&s));
    message(x, &fp, answered(sent(x, PBX, "SUBSCRIBE "), "481 Gone", "p1", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 481 "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    none_left(x);
}

/* The PBX wants credentials for the first SUBSCRIBE and for a refresh. */
static void test_challenge(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    static const char who[] = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\", "
                              "algorithm=SHA-256\r\n";
    struct sides d;
    char n[4096], first[4096];
    ask(x, &d, to_mail);
    message(x, &fp, answered(d.ask, "401 Who", "p0", who));
    vault(x, REASON_NONE);
    keep(first, sizeof first, d.ask);
    keep(d.ask, sizeof d.ask, sent(x, PBX, "SUBSCRIBE "));
    assert_non_null(strstr(d.ask, "\r\nAuthorization: Digest username=\"gateway\""));
    assert_true(str_eq(field(first, "From"), field(d.ask, "From")));
    assert_true(str_eq(field(first, "Call-ID"), field(d.ask, "Call-ID")));
    assert_false(str_eq(field(first, "CSeq"), field(d.ask, "CSeq")));
    accept_with(x, &d, "Expires: 300\r\n");
    notify(x, &d, "active", 1, n, sizeof n);
    take_notify(x, n);
    struct say s = alice_again(&d, 600, 10);
    message(x, &fa, said(&s));
    message(x, &fp, answered(sent(x, PBX, "SUBSCRIBE "), "401 Who", "p1", who));
    vault(x, REASON_NONE);
    const char *r = sent(x, PBX, "SUBSCRIBE ");
    assert_non_null(r);
    assert_non_null(strstr(r, "\r\nAuthorization: Digest username=\"gateway\""));
    assert_non_null(strstr(field(r, "To").p, ";tag=p1"));
    message(x, &fp, answered(r, "200 OK", "p1", "Expires: 600\r\n"));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    none_left(x);
}

/* Requests with the right tags from the wrong place. */
static void test_spoofed(void **state)
{
    struct fixture *x = *state;
    struct flow out = flow_of("203.0.113.66:5060", LISTEN_OUT_UDP),
                in = flow_of("198.51.100.66:5060", LISTEN_IN_UDP),
                fa = flow_of(ALICE, LISTEN_OUT_UDP);
    struct sides d;
    up(x, &d);
    /* A stranger in the PBX's zone, and a phone, with the notifier's dialog. */
    struct say s = pbx_says(&d, "terminated", 2, "");
    message(x, &in, said(&s));
    assert_non_null(sent(x, "198.51.100.66:5060", "SIP/2.0 403 "));
    message(x, &out, said(&s));
    assert_non_null(sent(x, "203.0.113.66:5060", "SIP/2.0 401 "));
    s.from = "<sip:alice@example.com>;tag=p1";
    message(x, &fa, said(&s));
    char more[2048];
    (void)snprintf(more, sizeof more, "%s%s", s.more,
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), "sip:x@" TEST_OUTSIDE));
    s.more = more;
    s.cseq = 3;
    message(x, &fa, said(&s));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_null(sent(x, ALICE, "NOTIFY "));
    /* A forged token, and another dialog's Call-ID. */
    s = pbx_says(&d, "active", 2, "");
    s.id = "another";
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    s = pbx_says(&d, "active", 2, "");
    char to[256];
    keep(to, sizeof to, s.to);
    char *t = strstr(to, ";tag=") + 5;
    *t = *t == 'a' ? 'b' : 'a';
    s.to = to;
    message(x, &fp, said(&s));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 1);
    none_left(x);
}

/* It ends while the vault thinks. */
static void test_gone_meanwhile(void **state)
{
    struct fixture *x = *state;
    struct flow at = flow_of("203.0.113.5:6000", LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    char more[2048], n[4096];
    up(x, &d);
    struct say s = alice_again(&d, 600, 10);
    message(x, &at, said(&s));
    (void)snprintf(more, sizeof more, "%s%s", s.more,
                   credentials(sent(x, "203.0.113.5:6000", "SIP/2.0 401 "), s.uri));
    s.more = more;
    s.cseq = 11;
    message(x, &at, said(&s));
    struct intent question = x->got[0];
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK)
            question = x->got[i];
    assert_int_equal(question.kind, INTENT_ASK);
    struct ask q;
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK)
            memcpy(&q, x->text[i], offsetof(struct ask, text));
    struct say p = pbx_says(&d, "terminated;reason=noresource", 2, "");
    message(x, &fp, said(&p));
    keep(n, sizeof n, sent(x, ALICE, "NOTIFY "));
    take_notify(x, n);
    struct answer a = {.id = q.id, .kind = q.kind, .reason = REASON_NONE};
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
    assert_non_null(sent(x, "203.0.113.5:6000", "SIP/2.0 481 "));
    none_left(x);
}

/* NOTIFYs that may not pass. */
static void test_bad_notify(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    up(x, &d);
    static const struct {
        const char *more, *type, *body, *want;
    } rows[] = {
        {"Event: message-summary\r\n", NULL, "", "SIP/2.0 400 "},
        {"Event: message-summary\r\nSubscription-State: odd\r\n", NULL, "", "SIP/2.0 400 "},
        {"Event: dialog\r\nSubscription-State: active\r\n", NULL, "", "SIP/2.0 489 "},
        {"Subscription-State: active\r\n", NULL, "", "SIP/2.0 400 "},
        {"Event: message-summary\r\nSubscription-State: active\r\n", "text/plain", "x",
         "SIP/2.0 415 "},
        {"Event: message-summary\r\nSubscription-State: active\r\n", MWI_TYPE, "a: \x01",
         "SIP/2.0 400 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct say s = pbx_says(&d, "active", 2 + (int)i, "");
        s.more = rows[i].more;
        s.type = rows[i].type;
        s.body = rows[i].body;
        message(x, &fp, said(&s));
        assert_non_null(sent(x, PBX, rows[i].want));
        assert_null(sent(x, ALICE, "NOTIFY "));
    }
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 1);
    /* More than can be under way at once. */
    unsigned refused = 0;
    for (int i = 0; i < 12; i++) {
        struct say s = pbx_says(&d, "active", 20 + i, "");
        message(x, &fp, said(&s));
        refused += sent(x, PBX, "SIP/2.0 503 ") != NULL;
    }
    assert_int_equal(refused, 4);
    none_left(x);
}

/* First target silent: the second one gets a dialog of its own. */
static void test_failover(void **state)
{
    struct fixture *x = *state;
    struct flow f2 = flow_of(PBX2, LISTEN_IN_UDP);
    struct sides d;
    char second[4096];
    ask(x, &d, to_mail);
    for (int i = 0; i < 50 && !sent(x, PBX2, "SUBSCRIBE "); i++)
        pass_ms(x, 100);
    keep(second, sizeof second, sent(x, PBX2, "SUBSCRIBE "));
    assert_false(str_eq(field(d.ask, "Call-ID"), field(second, "Call-ID")));
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp, answered(d.ask, "200 OK", "late", "Contact: <sip:vm@198.51.100.10>\r\n"));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    message(x, &f2, answered(second, "200 OK", "q1", "Contact: <sip:vm@198.51.100.11>\r\n"));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    none_left(x);
}

/* An answer without Contact makes no dialog. */
static void test_bad_answer(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct sides d;
    ask(x, &d, to_mail);
    message(x, &fp, answered(d.ask, "200 OK", "p1", "Expires: 600\r\n"));
    assert_non_null(sent(x, ALICE, "SIP/2.0 502 "));
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
    none_left(x);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_services, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_expiry),
        T(test_silent_notifier),
        T(test_phone_forgot),
        T(test_phone_busy),
        T(test_phone_silent),
        T(test_refresh_refused),
        T(test_challenge),
        T(test_spoofed),
        T(test_gone_meanwhile),
        T(test_bad_notify),
        T(test_failover),
        T(test_bad_answer),
        T(test_silent_after_unsubscribe),
    };
    return cmocka_run_group_tests_name("subscription_fails", tests, NULL, NULL);
}
