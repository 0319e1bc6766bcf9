/* What is written down of calls: once for each, whatever became of it. */
#include "call/core_fixture.h"

/* RFC 3398 7.2.4.1 and what we add. */
static void causes(void **state)
{
    static const struct {
        uint16_t code, cause;
        enum reason why;
    } row[] = {
        {200, 16, REASON_NONE},
        {200, 111, REASON_sip_no_dialog},
        {200, 102, REASON_sip_ack_missing},
        {200, 102, REASON_sip_session_expired},
        {200, 102, REASON_call_too_long},
        {200, 31, REASON_media_timeout},
        {200, 16, REASON_call_transferred},
        {0, 16, REASON_NONE},
        {404, 1, REASON_route_user_unknown},
        {485, 1, REASON_NONE},
        {604, 1, REASON_NONE},
        {486, 17, REASON_NONE},
        {600, 17, REASON_NONE},
        {487, 16, REASON_NONE},
        {480, 18, REASON_NONE},
        {403, 21, REASON_right_denied},
        {603, 21, REASON_NONE},
        {488, 65, REASON_NONE},
        {606, 65, REASON_NONE},
        {408, 102, REASON_sip_timeout},
        {503, 41, REASON_capacity_calls},
        {410, 22, REASON_NONE},
        {484, 28, REASON_NONE},
        {302, 31, REASON_NONE},
        {499, 31, REASON_NONE},
        {699, 31, REASON_NONE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        if (cdr_q850(row[i].code, row[i].why) != row[i].cause)
            fail_msg("row %zu: %u gives %u", i, row[i].code, cdr_q850(row[i].code, row[i].why));
    for (uint16_t code = 300; code < 700; code++) { /* a cause for each, and a cause there is */
        uint16_t q = cdr_q850(code, REASON_NONE);
        assert_true(q >= 1 && q <= 127);
    }
}

/* The only fact of that kind; NULL: there is none. */
static const struct fact *only(struct fixture *x, enum fact_kind kind)
{
    const struct fact *found = NULL;
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const void *)x->text[i];
        if (x->got[i].kind != INTENT_FACT || f->kind != kind)
            continue;
        assert_null(found);
        assert_ok(fact_valid(f, f->bytes));
        found = f;
    }
    return found;
}

#define TEXT_OF(t) str_of((const char *)(t).p, (t).n)
static void answered(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096];
    register_alice(x);
    ring_alice(x, a, sizeof a);
    const struct fact *f = only(x, FACT_CALL_START);
    assert_non_null(f);
    uint64_t session = f->u.start.session;
    assert_str(TEXT_OF(f->u.start.call_id_a), "id-of-pbx");
    assert_null(only(x, FACT_CALL_END));
    pass_ms(x, 3000);
    message(x, &fa, answer(a, 180, "a1", "alice@203.0.113.5", ""));
    pass_ms(x, 4000);
    message(x, &fa, answer(a, 200, "a1", "alice@203.0.113.5", SDP_A));
    (void)snprintf(p, sizeof p, "%s", sent(x, PBX, "SIP/2.0 200 "));
    message(x, &fp,
            request("ACK", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 1, "", ""));
    pass_ms(x, 61000);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    f = only(x, FACT_CALL_END);
    assert_non_null(f);
    assert_int_equal(f->u.end.session, session);
    assert_int_equal(f->reason, REASON_NONE);
    assert_int_equal(f->u.end.q850, 16);
    assert_int_equal(f->u.end.ended_by, 'a');
    assert_int_equal(f->u.end.refused, 0);
    assert_int_equal(f->u.end.ring_us - f->u.end.start_us, 3000000);
    assert_int_equal(f->u.end.answer_us - f->u.end.ring_us, 4000000);
    assert_int_equal(f->u.end.end_us - f->u.end.answer_us, 61000000);
    assert_str(TEXT_OF(f->u.end.from), "sip:200@198.51.100.10"); /* as they came: for our eyes */
    assert_str(TEXT_OF(f->u.end.route), "people");
    assert_int_equal(f->u.end.n_legs, 2);
    const struct fact_leg *l = f->u.end.leg;
    assert_str(TEXT_OF(l[0].call_id), "id-of-pbx");
    assert_str(TEXT_OF(l[0].peer_name), "pbx");
    assert_str(TEXT_OF(l[0].zone_name), "pbx");
    assert_str(TEXT_OF(l[0].user_agent), "secret/2");
    assert_str_eq(TEXT_OF(l[1].call_id), field(a, "Call-ID"));
    assert_str(TEXT_OF(l[1].zone_name), "phones");
    assert_int_equal(l[1].peer_name.n, 0);
    assert_true(l[0].stream[0].used && l[1].stream[0].used && !l[0].stream[1].used);
    assert_int_not_equal(l[0].stream[0].local_port, l[1].stream[0].local_port);
    assert_string_equal(l[0].stream[0].codec, "PCMA/8000");
    assert_true(f->u.end.bill.used); /* it came from outside */
    assert_false(f->u.end.bill.priced);
    nothing_left(x);
}

static void refused_by_the_callee(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096];
    register_alice(x);
    ring_alice(x, a, sizeof a);
    message(x, &fa, answer(a, 486, "a1", "alice@203.0.113.5", ""));
    const struct fact *f = only(x, FACT_CALL_END);
    assert_non_null(f);
    assert_int_equal(f->code, 486);
    assert_int_equal(f->u.end.q850, 17);
    assert_int_equal(f->u.end.ended_by, 'b');
    assert_int_equal(f->u.end.answer_us, 0);
    assert_int_equal(f->u.end.refused, 0);
    nothing_left(x);
}

static void dial(struct fixture *x, const char *id, const char *uri)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=d1",
                      contact[] = "Contact: <sip:alice@203.0.113.5:5060>\r\n";
    char to[128], more[1400];
    (void)snprintf(to, sizeof to, "<%s>", uri);
    message(x, &f, request("INVITE", uri, from, to, id, 1, contact, SDP_A));
    const char *no = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(no);
    assert_null(only(x, FACT_CALL_END)); /* who has not said who he is has no record */
    (void)snprintf(more, sizeof more, "%sUser-Agent: phone/1\r\n%s", contact, credentials(no, uri));
    message(x, &f, request("INVITE", uri, from, to, id, 2, more, SDP_A));
}

/* What the gates refuse to somebody known has a record, and never began. */
static void refused_by_the_gates(void **state)
{
    struct fixture *x = *state;
    dial(x, "one", "sip:nobody@example.com");
    vault(x, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 404 "));
    assert_null(only(x, FACT_CALL_START));
    const struct fact *f = only(x, FACT_CALL_END);
    assert_non_null(f);
    uint64_t first = f->u.end.session;
    assert_int_equal(f->reason, REASON_route_user_unknown);
    assert_int_equal(f->code, 404);
    assert_int_equal(f->u.end.q850, 1);
    assert_int_equal(f->u.end.refused, 1);
    assert_int_equal(f->u.end.ended_by, 'g');
    assert_int_equal(f->u.end.start_us, f->u.end.end_us);
    assert_int_equal(f->u.end.answer_us, 0);
    assert_int_equal(f->u.end.n_legs, 1);
    assert_str(TEXT_OF(f->u.end.user), "alice@example.com");
    assert_str(TEXT_OF(f->u.end.bill.role), "user");
    assert_str(TEXT_OF(f->u.end.leg[0].call_id), "one");
    assert_str(TEXT_OF(f->u.end.leg[0].user_agent), "phone/1");
    assert_str(TEXT_OF(f->u.end.leg[0].zone_name), "phones");
    assert_int_equal(f->u.end.trace.gate[GATE_ROUTE].verdict, VERDICT_REFUSE);
    assert_int_equal(f->u.end.trace.gate[GATE_IDENTITY].verdict, VERDICT_PASS);
    dial(x, "two", "sip:nobody@example.com");
    vault(x, REASON_NONE);
    f = only(x, FACT_CALL_END);
    assert_non_null(f);
    assert_int_not_equal(f->u.end.session, first);
    dial(x, "three", "sip:nobody@example.com"); /* and a stranger with a name has none */
    vault(x, REASON_auth_failed);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_null(only(x, FACT_CALL_END));
    nothing_left(x);
}

/* An extension behind the PBX costs nothing and is accounted all the same. */
static void to_the_pbx(void **state)
{
    struct fixture *x = *state;
    char inv[4096];
    dial(x, "one", "sip:200@example.com");
    vault(x, REASON_NONE);
    assert_non_null(sent(x, PBX, "INVITE "));
    (void)snprintf(inv, sizeof inv, "%s", sent(x, PBX, "INVITE "));
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp, answer(inv, 603, "p1", "200@198.51.100.10", ""));
    const struct fact *f = only(x, FACT_CALL_END);
    assert_non_null(f);
    assert_int_equal(f->u.end.q850, 21);
    assert_true(f->u.end.bill.used);
    assert_false(f->u.end.bill.priced);
    assert_str(TEXT_OF(f->u.end.bill.trunk), "pbx");
    assert_str(TEXT_OF(f->u.end.bill.role), "user");
    assert_int_equal(f->u.end.bill.kind, CLASS_INTERNAL);
    assert_int_equal(f->u.end.bill.micro, 0);
    nothing_left(x);
}

static bool has(const char *text, const char *what)
{
    return strstr(text, what) != NULL;
}

static void live_calls(void **state)
{
    struct fixture *x = *state;
    static char text[20000];
    struct out o = out_of(text, sizeof text - 1);
    uint32_t it = 0;
    char a[4096], p[4096];
    assert_false(core_calls_json(x->g.core[0], &it, &o, x->g.now));
    assert_int_equal(o.n, 0);
    call_up(x, a, p, sizeof a);
    pass_ms(x, 5000);
    assert_true(core_calls_json(x->g.core[0], &it, &o, x->g.now));
    assert_false(core_calls_json(x->g.core[0], &it, &o, x->g.now));
    assert_int_equal(it, 0);
    text[o.n] = 0;
    assert_true(text[0] == '{' && text[o.n - 1] == '}');
    assert_true(has(text, "\"state\":\"up\""));
    assert_true(has(text, "\"answered_s\":5,"));
    assert_true(has(text, "\"route\":\"people\""));
    assert_true(has(text, "\"emergency\":false"));
    assert_true(has(text, "\"call_id\":\"id-of-pbx\""));
    assert_true(has(text, "\"peer\":\"pbx\""));
    assert_true(has(text, "\"zone\":\"phones\""));
    assert_true(has(text, "\"codec\":\"PCMA/8000\""));
    assert_false(has(text, "transferred_by"));
    /* No room for a whole one: it waits for the next page, and nothing is cut. */
    struct out small = out_of(text, 8191);
    assert_false(core_calls_json(x->g.core[0], &it, &small, x->g.now));
    assert_int_equal(small.n, 0);
    struct out enough = out_of(text, 8192);
    assert_true(core_calls_json(x->g.core[0], &it, &enough, x->g.now));
    assert_false(enough.full);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(causes), T(answered),   T(refused_by_the_callee),
        T(refused_by_the_gates),  T(to_the_pbx), T(live_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
