/* A third party is asked before a call leaves by a trunk: by SIP and by HTTP, what counts as a yes,
 * a no and as nothing, and who does not wait. */
#include "call/trunks_test.h"

#define JUDGE "198.51.100.50:5060"
#define LOCAL "sip:030123456@example.com"
enum { BY_SIP, BY_HTTP };

static void judged(struct policy *p, int how, bool fails_open)
{
    struct policy_peer *x = &p->peers[p->n_peers];
    *x = p->peers[0];
    x->name = test_text(p, "judge");
    x->targets[0] = test_addr(JUDGE);
    x->trunk = 0;
    x->has_secret = false;
    p->consult = (struct policy_consult){
        .on = true, .fails_open = fails_open, .peer = p->n_peers++, .wait_ms = 800};
    if (how == BY_HTTP) {
        p->consult.peer = POLICY_NONE;
        p->consult.url = test_text(p, "https://judge.example.net/");
    }
    assert_ok(policy_valid(p, sizeof *p));
}

static int consult_setup(void **state)
{
    (void)setup(state);
    struct fixture *x = *state;
    trunks(&x->g.policy, 2);
    return 0;
}

static uint64_t counted(const struct fixture *x, enum reason r)
{
    return x->g.counters[0].n[r];
}

/* The call has gone on to a trunk, and ends there. */
static void goes(struct fixture *x)
{
    char inv[4096];
    assert_int_equal(who_is_called(x, inv, sizeof inv), 0);
    answer_from(x, PBX, inv, 486, "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 486 "));
}

static void refused(struct fixture *x)
{
    char inv[4096];
    assert_int_equal(who_is_called(x, inv, sizeof inv), -1);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
}

/* --- by SIP --- */

static const struct {
    unsigned code;
    char means; /* y, n, or - for nothing */
} SAID[] = {{302, 'y'}, {300, 'y'}, {305, 'y'}, {603, 'n'}, {600, 'n'},
            {403, 'n'}, {404, 'n'}, {486, 'n'}, {401, '-'}, {407, '-'},
            {408, '-'}, {480, '-'}, {500, '-'}, {503, '-'}, {200, '-'}};

static void sip_answers(void **state)
{
    struct fixture *x = *state;
    judged(&x->g.policy, BY_SIP, false);
    for (unsigned open = 0; open < 2; open++)
        for (size_t i = 0; i < ARRAY_LEN(SAID); i++) {
            char q[4096], id[32];
            uint64_t no = counted(x, REASON_fraud_asked), none = counted(x, REASON_consult_failed);
            bool yes = SAID[i].means == 'y' || (SAID[i].means == '-' && open);
            x->g.policy.consult.fails_open = open;
            (void)snprintf(id, sizeof id, "s%u-%zu", open, i);
            dial_to(x, id, LOCAL);
            const char *inv = sent(x, JUDGE, "INVITE sip:030123456@");
            assert_non_null(inv);
            (void)snprintf(q, sizeof q, "%s", inv);
            assert_int_equal(who_is_called(x, id, sizeof id), -1);
            answer_from(x, JUDGE, q, 100, "");
            assert_null(sent(x, ALICE, "SIP/2.0 1"));
            answer_from(x, JUDGE, q, SAID[i].code, SAID[i].code == 200 ? SDP_P : "");
            assert_non_null(sent(x, JUDGE, "ACK "));
            if (SAID[i].code == 200) /* it was asked, not called */
                assert_non_null(sent(x, JUDGE, "BYE "));
            (yes ? goes : refused)(x);
            assert_int_equal(counted(x, REASON_fraud_asked) - no, !yes);
            assert_int_equal(counted(x, REASON_consult_failed) - none, SAID[i].means == '-');
        }
    nothing_left(x);
}

static void nobody_waits_for_ever(void **state)
{
    struct fixture *x = *state;
    judged(&x->g.policy, BY_SIP, true);
    dial_to(x, "w1", LOCAL);
    assert_non_null(sent(x, JUDGE, "INVITE "));
    pass_ms(x, 799);
    assert_null(sent(x, PBX, "INVITE "));
    pass_ms(x, 1);
    goes(x);
    assert_int_equal(counted(x, REASON_consult_failed), 1);
    /* It counts as down then, and the next call does not wait at all. */
    dial_to(x, "w2", LOCAL);
    assert_null(sent(x, JUDGE, "INVITE "));
    goes(x);
    x->g.policy.consult.fails_open = false;
    dial_to(x, "w3", LOCAL);
    assert_null(sent(x, JUDGE, "INVITE "));
    refused(x);
    assert_int_equal(counted(x, REASON_consult_failed), 3);
    nothing_left(x);
}

/* --- who is not asked about --- */

static bool asked(const struct fixture *x, struct ask *ret_q)
{
    for (size_t i = 0; i < x->n_got; i++) {
        if (x->got[i].kind != INTENT_ASK)
            continue;
        memcpy(ret_q, x->text[i], MIN(sizeof *ret_q, sizeof x->text[i]));
        if (ret_q->kind == ASK_CONSULT) {
            assert_ok(ask_valid(ret_q, x->got[i].bytes.n));
            return true;
        }
    }
    return false;
}

static void not_about_these(void **state)
{
    struct fixture *x = *state;
    struct ask q;
    judged(&x->g.policy, BY_HTTP, false);
    dial_to(x, "help", "sip:112@example.com");
    assert_false(asked(x, &q));
    goes(x);
    x->g.policy.peers[0].trunk = x->g.policy.peers[1].trunk = 0;
    dial_to(x, "pbx", LOCAL);
    assert_false(asked(x, &q));
    goes(x);
    /* One trunk among them is enough. */
    x->g.policy.peers[1].trunk = 1;
    dial_to(x, "mixed", LOCAL);
    assert_true(asked(x, &q));
    pass_ms(x, 800);
    refused(x);
    x->g.policy.consult.on = false;
    dial_to(x, "off", LOCAL);
    assert_false(asked(x, &q));
    goes(x);
    nothing_left(x);
}

/* --- by HTTP --- */

static void say(struct fixture *x, const struct ask *q, enum reason r)
{
    struct answer a = {.id = q->id, .kind = ASK_CONSULT, .reason = (uint16_t)r};
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
}

static void what_is_asked(void **state)
{
    struct fixture *x = *state;
    struct ask q;
    char want[512];
    judged(&x->g.policy, BY_HTTP, false);
    dial_to(x, "q1", LOCAL);
    assert_true(asked(x, &q));
    assert_int_equal(q.sign, 800);
    uint32_t it = 0;
    const struct call *k = pool_next(&x->g.core[0]->calls, &it);
    assert_non_null(k);
    (void)snprintf(want, sizeof want,
                   "{\"session\":%llu,\"user\":\"alice@example.com\",\"dialled\":\"030123456\","
                   "\"callee\":\"+4930123456\",\"class\":\"local\",\"country\":\"DE\","
                   "\"trunks\":[\"pbx\",\"trunk2\"],\"at\":1700000000}",
                   (unsigned long long)k->session);
    struct str body = span_str(str_of(q.text, q.n), q.user);
    assert_true(str_eq(body, str_c(want)));
    say(x, &q, REASON_NONE);
    goes(x);
    nothing_left(x);
}

static void http_answers(void **state)
{
    static const enum reason said[] = {REASON_NONE, REASON_fraud_asked, REASON_consult_failed,
                                       REASON_auth_unavailable /* whatever else it may be */};
    struct fixture *x = *state;
    judged(&x->g.policy, BY_HTTP, false);
    for (unsigned i = 0; i < 2 * ARRAY_LEN(said); i++) {
        bool open = i & 1;
        enum reason r = said[i / 2];
        struct ask q;
        char id[16];
        uint64_t none = counted(x, REASON_consult_failed);
        x->g.policy.consult.fails_open = open;
        (void)snprintf(id, sizeof id, "h%u", i);
        dial_to(x, id, LOCAL);
        assert_true(asked(x, &q));
        assert_null(sent(x, PBX, "INVITE "));
        say(x, &q, r);
        bool decided = r == REASON_NONE || r == REASON_fraud_asked;
        (r == REASON_NONE || (!decided && open) ? goes : refused)(x);
        assert_int_equal(counted(x, REASON_consult_failed) - none, !decided);
        say(x, &q, REASON_NONE); /* once more: too late */
        assert_int_equal(x->n_got, 0);
    }
    nothing_left(x);
}

static void http_waits_so_long(void **state)
{
    struct fixture *x = *state;
    struct ask q;
    judged(&x->g.policy, BY_HTTP, false);
    dial_to(x, "t1", LOCAL);
    assert_true(asked(x, &q));
    pass_ms(x, 799);
    assert_null(sent(x, ALICE, "SIP/2.0 403 "));
    pass_ms(x, 1);
    refused(x);
    assert_int_equal(counted(x, REASON_consult_failed), 1);
    say(x, &q, REASON_NONE);
    assert_int_equal(x->n_got, 0);
    x->g.policy.consult.fails_open = true;
    dial_to(x, "t2", LOCAL);
    pass_ms(x, 800);
    goes(x);
    nothing_left(x);
}

static void the_caller_leaves(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    struct ask q;
    char cancel[2048];
    uint32_t it = 0;
    judged(&x->g.policy, BY_HTTP, true);
    dial_to(x, "c1", LOCAL);
    assert_true(asked(x, &q));
    const struct call *k = pool_next(&x->g.core[0]->calls, &it);
    assert_non_null(k);
    struct str via = sip_get(k->a->held->m, HDR_VIA);
    (void)snprintf(cancel, sizeof cancel,
                   "CANCEL " LOCAL " SIP/2.0\r\nVia: %.*s\r\nMax-Forwards: 70\r\nFrom: "
                   "<sip:alice@example.com>;tag=d1\r\nTo: <" LOCAL ">\r\nCall-ID: c1\r\n"
                   "CSeq: 2 CANCEL\r\nContent-Length: 0\r\n\r\n",
                   (int)via.n, via.p);
    message(x, &f, cancel);
    assert_non_null(sent(x, ALICE, "SIP/2.0 487 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    say(x, &q, REASON_NONE);
    assert_int_equal(x->n_got, 0);
    nothing_left(x);
}

/* The PBX calls alice, who names two numbers. */
static void sent_on(struct fixture *x)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char invite[4096], text[4096], rest[4096];
    judged(&x->g.policy, BY_HTTP, false);
    x->g.policy.zones[ZONE_PHONES].redirect = true;
    register_alice(x);
    ring_alice(x, invite, sizeof invite);
    (void)snprintf(text, sizeof text, "%s", answer(invite, 302, "a1", "0301111@example.com", ""));
    char *second = strstr(text, "Contact: <sip:0301111@example.com>");
    assert_non_null(second);
    (void)snprintf(rest, sizeof rest, "%s", second);
    (void)snprintf(second, sizeof text - (size_t)(second - text),
                   "Contact: <sip:0302222@example.com>;q=0.5\r\n%s", rest);
    message(x, &f, text);
}

static void asked_about(struct fixture *x, struct ask *q, const char *number)
{
    char want[64];
    assert_true(asked(x, q));
    struct str body = span_str(str_of(q->text, q->n), q->user);
    (void)snprintf(want, sizeof want, "\"dialled\":\"%s\"", number);
    assert_true(str_search(body, str_c(want)) < body.n);
    assert_true(str_search(body, STR("\"peer\":\"pbx\",")) < body.n);
    assert_true(str_search(body, STR("\"by\":\"alice@example.com\"")) < body.n);
}

/* Each number is asked about, and who is to blame is said. */
static void where_it_is_sent_on(void **state)
{
    struct fixture *x = *state;
    struct ask q;
    char text[4096];
    sent_on(x);
    asked_about(x, &q, "0301111");
    say(x, &q, REASON_NONE);
    const char *inv = sent(x, PBX, "INVITE sip:0301111@");
    assert_non_null(inv);
    (void)snprintf(text, sizeof text, "%s", inv);
    answer_from(x, PBX, text, 486, "");
    asked_about(x, &q, "0302222");
    say(x, &q, REASON_fraud_asked);
    assert_null(sent(x, PBX, "INVITE "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

/* A no to one number is not one to the next. */
static void a_no_to_the_first(void **state)
{
    struct fixture *x = *state;
    struct ask q;
    char text[4096];
    sent_on(x);
    asked_about(x, &q, "0301111");
    say(x, &q, REASON_fraud_asked);
    asked_about(x, &q, "0302222");
    say(x, &q, REASON_NONE);
    const char *inv = sent(x, PBX, "INVITE sip:0302222@");
    assert_non_null(inv);
    (void)snprintf(text, sizeof text, "%s", inv);
    answer_from(x, PBX, text, 486, "");
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

/* A new snapshot while the question is out: its rules and its word for silence count. */
static void a_new_policy(void **state)
{
    static struct policy other;
    struct fixture *x = *state;
    struct ask q;
    judged(&x->g.policy, BY_HTTP, true);
    dial_to(x, "p1", LOCAL);
    assert_true(asked(x, &q));
    other = x->g.policy;
    other.consult = (struct policy_consult){.peer = POLICY_NONE};
    core_policy(x->g.core[0], &other, x->g.now);
    collect(x);
    say(x, &q, REASON_NONE);
    goes(x);
    x->g.policy.consult.fails_open = true;
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    dial_to(x, "p2", LOCAL);
    assert_true(asked(x, &q));
    core_policy(x->g.core[0], &other, x->g.now);
    collect(x);
    pass_ms(x, 800);
    refused(x);
    nothing_left(x);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, consult_setup, teardown)
    const struct CMUnitTest tests[] = {
        T(sip_answers),         T(nobody_waits_for_ever), T(not_about_these),
        T(what_is_asked),       T(http_answers),          T(http_waits_so_long),
        T(where_it_is_sent_on), T(a_no_to_the_first),     T(the_caller_leaves),
        T(a_new_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
