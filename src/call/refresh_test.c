/* Sessions of each leg for itself: when they are refreshed, by what, what becomes of the answer,
 * and when they have ended (RFC 4028). */
#include "call/exchange_test.h"
#include "call/trunks_test.h"

#define KEEP 480u /* bytes of a description that are kept */

static char at_alice[4096], at_pbx[4096];

static struct leg *leg(struct fixture *x, char side)
{
    uint32_t it = 0;
    struct leg *l;
    while ((l = pool_next(&x->g.core[0]->legs, &it)))
        if (l->side == side)
            return l;
    fail();
    return NULL;
}

/* alice and the PBX talk; nothing of what follows is due by itself. */
static struct leg *talks(struct fixture *x)
{
    call_up(x, at_alice, at_pbx, sizeof at_alice);
    struct core *c = x->g.core[0];
    timer_stop(&c->wheel, &leg(x, 'a')->session);
    timer_stop(&c->wheel, &leg(x, 'b')->session);
    return leg(x, 'b');
}

static int64_t due_ms(struct fixture *x, const struct leg *l)
{
    return timer_armed(&l->session) ? (l->session.due.us - x->g.now.mono.us) / 1000 : -1;
}

static void agree(struct leg *l, uint32_t interval, bool we, bool update)
{
    l->st = (struct stimer){.interval_s = interval, .we_refresh = we, .peer_supports = true};
    l->flags = (uint16_t)(l->flags & ~LEG_ALLOWS_UPDATE);
    if (update)
        l->flags |= LEG_ALLOWS_UPDATE;
}

/* The timer goes off now. */
static void turn(struct fixture *x, struct leg *l)
{
    timer_stop(&x->g.core[0]->wheel, &l->session);
    session_timer(x->g.core[0], &l->session);
    collect(x);
}

static void ended_for(struct fixture *x, enum reason why)
{
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const struct fact *)(const void *)x->text[i];
        if (x->got[i].kind == INTENT_FACT && f->kind == FACT_CALL_END)
            assert_int_equal(f->reason, why);
    }
}

static void what_is_kept(void **state)
{
    struct fixture *x = *state;
    struct leg *l = talks(x);
    char text[KEEP + 1], *was;
    static const size_t row[] = {1, 63, 64, 65, 300, 2, KEEP, KEEP - 1, KEEP};
    l->sdp_sent = STR_NONE;
    l->sdp_room = 0;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        memset(text, 'a' + (int)i, sizeof text);
        session_keep_sdp(l, str_of(text, row[i]));
        assert_int_equal(l->sdp_sent.n, row[i]);
        memset(text, '-', sizeof text); /* it is a copy */
        for (size_t k = 0; k < row[i]; k++)
            assert_int_equal(l->sdp_sent.p[k], 'a' + (int)i);
        assert_true(l->sdp_room >= row[i] && l->sdp_room <= KEEP);
    }
    size_t taken = l->call->text.taken_bytes;
    for (int i = 0; i < 1000; i++) /* again and again: in the same place */
        session_keep_sdp(l, str_of(text, KEEP));
    assert_int_equal(l->call->text.taken_bytes, taken);
    session_keep_sdp(l,
                     str_of(text, KEEP + 1)); /* half of it would be a lie, as would an old one */
    assert_int_equal(l->sdp_sent.n, 0);
    session_keep_sdp(l, str_of(text, 5));
    session_keep_sdp(l, STR_NONE);
    assert_int_equal(l->sdp_sent.n, 0);
    session_keep_sdp(l, str_of(text, KEEP));
    assert_int_equal(l->sdp_sent.n, KEEP);
    l->sdp_sent = STR_NONE;
    l->sdp_room = 0;
    session_keep_sdp(l, str_of(text, 40));
    while ((was = arena_take(&l->call->text, 16))) /* the call's memory is used up */
        memset(was, 0, 16);
    session_keep_sdp(l, str_of(text, 65));
    assert_int_equal(l->sdp_sent.n, 0);
    session_keep_sdp(l, str_of(text, 64));
    assert_int_equal(l->sdp_sent.n, 64);
}

static void when_it_is_due(void **state)
{
    struct fixture *x = *state;
    static const struct {
        uint32_t interval;
        bool we, update, kept;
        int64_t s; /* -1: never */
    } row[] = {
        {1800, true, true, false, 900},    {1800, true, false, true, 900},
        {1800, true, false, false, -1}, /* there is no way */
        {1800, false, false, false, 1768}, {96, false, true, false, 64},
        {90, false, false, true, 60},      {90, true, true, true, 45},
        {0, true, true, true, -1},         {0, false, true, true, -1},
    };
    struct leg *l = talks(x);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        agree(l, row[i].interval, row[i].we, row[i].update);
        session_keep_sdp(l, row[i].kept ? STR(SDP_P) : STR_NONE);
        timer_arm(&x->g.core[0]->wheel, &l->session, instant_add(x->g.now.mono, DUR_S(1)));
        session_arm(l);
        assert_int_equal(due_ms(x, l), row[i].s < 0 ? -1 : row[i].s * 1000);
    }
}

static const char *answer_of(const char *req, unsigned code, const char *fields)
{
    char line[16];
    (void)snprintf(line, sizeof line, "%u X", code);
    return answered(req, line, "a1", fields);
}

static void by_update(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    struct leg *l = talks(x);
    char up[4096];
    agree(l, 200, true, true);
    session_arm(l);
    pass_ms(x, 99000);
    assert_null(sent(x, ALICE, "UPDATE "));
    pass_ms(x, 1100);
    keep(up, sizeof up, sent(x, ALICE, "UPDATE sip:alice@203.0.113.5"));
    assert_str(field(up, "Session-Expires"), "200;refresher=uac");
    assert_str(field(up, "Min-SE"), "90");
    assert_str(field(up, "Supported"), "timer");
    assert_str(field(up, "Content-Length"), "0");
    assert_null(strstr(up, "Content-Type"));
    assert_non_null(strstr(field(up, "Allow").p, "UPDATE"));
    assert_non_null(strstr(field(up, "Contact").p, TEST_OUTSIDE));
    assert_null(sent(x, PBX, "UPDATE "));
    assert_int_equal(due_ms(x, l), -1);
    message(x, &fa, answer_of(up, 200, "Session-Expires: 120;refresher=uac\r\n"));
    assert_int_equal(due_ms(x, l), 60000);
    turn(x, l);
    keep(up, sizeof up, sent(x, ALICE, "UPDATE "));
    assert_str(field(up, "Session-Expires"), "120;refresher=uac");
    message(x, &fa, answer_of(up, 200, "Require: timer\r\nSession-Expires: 120;refresher=uas\r\n"));
    assert_int_equal(due_ms(x, l), 88000); /* now it is the phone's to do, */
    assert_null(sent(x, PBX, "BYE "));
    pass_ms(x, 88001); /* and it does not */
    assert_int_equal(counted(x, REASON_sip_session_expired), 1);
    assert_non_null(sent(x, PBX, "BYE "));
    assert_str(field(sent(x, ALICE, "BYE "), "Reason"), "Q.850;cause=102");
    ended_for(x, REASON_sip_session_expired);
    nothing_left(x);
}

static void by_invite(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    struct leg *l = talks(x);
    char inv[4096];
    agree(l, 200, true, false);
    session_keep_sdp(l, STR(SDP_P));
    turn(x, l);
    keep(inv, sizeof inv, sent(x, ALICE, "INVITE sip:alice@203.0.113.5"));
    assert_string_equal(strstr(inv, "v=0"), SDP_P);
    assert_str(field(inv, "Content-Type"), "application/sdp");
    assert_str(field(inv, "Session-Expires"), "200;refresher=uac");
    message(x, &fa, answer(inv, 200, "a1", "alice@203.0.113.5", SDP_A));
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_null(sent(x, PBX, "INVITE ")); /* nothing changes at the other end */
    assert_int_equal(due_ms(x, l), 100000);
    session_keep_sdp(l, STR_NONE); /* nothing to say: it is put off */
    turn(x, l);
    assert_null(sent(x, ALICE, ""));
    assert_int_equal(due_ms(x, l), 10000);
}

static void after_its_answer(void **state)
{
    struct fixture *x = *state;
    static const struct {
        unsigned code;
        enum reason ends; /* NONE: the call goes on */
        const char *fields;
        int64_t ms;        /* until the next */
        uint32_t interval; /* from then on */
    } row[] = {
        {200, REASON_NONE, "", 100000, 200},
        {500, REASON_NONE, "", 10000, 200},
        {491, REASON_NONE, "", 10000, 200},
        {401, REASON_NONE, "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n", 10000, 200},
        {422, REASON_NONE, "Min-SE: 400\r\n", 10000, 400},
        {408, REASON_sip_timeout, "", 0, 0},
        {481, REASON_sip_no_dialog, "", 0, 0},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(row); i++) {
        struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
        bool update = i % 2;
        unsigned n = (unsigned)i / 2;
        char req[4096];
        (void)teardown(state);
        (void)setup(state);
        x = *state;
        struct leg *l = talks(x);
        agree(l, 200, true, update);
        session_keep_sdp(l, STR(SDP_P));
        turn(x, l);
        keep(req, sizeof req, sent(x, ALICE, update ? "UPDATE " : "INVITE "));
        message(x, &fa, answer_of(req, row[n].code, row[n].fields));
        assert_int_equal(core_usage(x->g.core[0]).calls, row[n].ends == REASON_NONE);
        if (row[n].ends != REASON_NONE) {
            assert_int_equal(counted(x, row[n].ends), 1);
            ended_for(x, row[n].ends);
            assert_non_null(sent(x, PBX, "BYE "));
            nothing_left(x);
            continue;
        }
        assert_int_equal(due_ms(x, l), row[n].ms);
        assert_int_equal(l->st.interval_s, row[n].interval);
        pass_ms(x, row[n].ms + 1); /* and it is done again */
        assert_non_null(sent(x, ALICE, update ? "UPDATE " : "INVITE "));
    }
}

/* One thing at a time, on both legs. */
static void not_now(void **state)
{
    struct fixture *x = *state;
    struct leg *b = talks(x), *a = leg(x, 'a');
    static struct held held;
    struct leg *legs[] = {a, b};
#define LATER(l, set, reset)                                                                       \
    do {                                                                                           \
        set;                                                                                       \
        turn(x, l);                                                                                \
        if (x->n_got || due_ms(x, l) != 10000)                                                     \
            fail_msg("%s", #set);                                                                  \
        reset;                                                                                     \
    } while (0)
    for (size_t i = 0; i < 2; i++) {
        struct leg *l = legs[i], *y = legs[1 - i];
        agree(l, 200, true, true);
        LATER(l, l->nict = ((struct handle){5, 5}), l->nict = HANDLE_NONE);
        LATER(l, l->ict = ((struct handle){5, 5}), l->ict = HANDLE_NONE);
        LATER(l, l->held = &held, l->held = NULL);
        LATER(l, l->ask = &held, l->ask = NULL);
        LATER(l, y->held = &held, y->held = NULL);
        LATER(l, y->ask = &held, y->ask = NULL);
    }
    LATER(a, a->call->b = NULL, a->call->b = b);
    struct core *c = x->g.core[0];
    static struct handle t[8192];
    char branch[BRANCH_CHARS];
    size_t n = 0;
    while (n < ARRAY_LEN(t) && handle_is(t[n] = trans_client(c->trans, SIP_UPDATE, 0, branch)))
        n++;
    LATER(a, assert_true(n > 0 && n < ARRAY_LEN(t)), (void)0); /* the table is full */
    while (n--)
        trans_drop(c->trans, t[n]);
    assert_false(handle_is(a->nict));
    turn(x, a);
    assert_non_null(sent(x, PBX, "UPDATE "));
    assert_true(handle_is(a->nict) && a->nict_for == FOR_REFRESH && !handle_is(a->ict));
    turn(x, b); /* another leg's does not disturb */
    assert_non_null(sent(x, ALICE, "UPDATE "));
    LATER(b, (void)0, (void)0);
}

/* Whoever is to refresh and does not has gone. */
static void expires(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    (void)talks(x);
    struct leg *a = leg(x, 'a');
    agree(a, 90, false, true);
    session_arm(a);
    pass_ms(x, 59000);
    message(x, &fp,
            request("UPDATE", "sip:x@" TEST_INSIDE, CALLER, field(at_pbx, "To").p, "id-of-pbx", 2,
                    "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n"
                    "Contact: <sip:200@198.51.100.10:5060>\r\n",
                    ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    assert_int_equal(due_ms(x, a), 60000);
    pass_ms(x, 59999);
    assert_int_equal(counted(x, REASON_sip_session_expired), 0);
    pass_ms(x, 2);
    assert_int_equal(counted(x, REASON_sip_session_expired), 1);
    assert_non_null(sent(x, ALICE, "BYE "));
    assert_non_null(sent(x, PBX, "BYE "));
    nothing_left(x);
}

/* Before the answer: who says nothing is passed over while somebody is left; who has said something
 * is not, nor is the last one. */
static void no_first_word(void **state)
{
    struct fixture *x = *state;
    char inv[4096], late[4096];
    trunks(&x->g.policy, 3);
    dial_to(x, "silent", "sip:030123456@example.com");
    keep(late, sizeof late, sent(x, PBX, "INVITE "));
    pass_ms(x, 3990);
    assert_null(sent(x, TRUNK2, "INVITE "));
    pass_ms(x, 20);
    keep(inv, sizeof inv, sent(x, TRUNK2, "INVITE "));
    answer_from(x, PBX, late, 100, ""); /* it may not ring on */
    assert_non_null(sent(x, PBX, "CANCEL "));
    assert_null(sent(x, TRUNK3, "INVITE "));
    answer_from(x, TRUNK2, inv, 100, "");
    for (int i = 0; i < 10; i++) {
        pass_ms(x, 1000);
        assert_null(sent(x, TRUNK3, "INVITE "));
    }
    answer_from(x, TRUNK2, inv, 503, "");
    assert_non_null(sent(x, TRUNK3, "INVITE "));
    pass_ms(x, 4010);
    assert_null(sent(x, ALICE, "SIP/2.0 4"));
    keep(inv, sizeof inv, sent(x, TRUNK3, "INVITE ") ?: late);
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pass_ms(x, 10000); /* nobody else is left: it is waited for, up to the transaction's end */
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    answer_from(x, PBX, late, 200, SDP_P); /* too late */
    assert_non_null(sent(x, PBX, "BYE "));
    assert_null(sent(x, ALICE, "SIP/2.0 2"));
    pass_ms(x, 20000);
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

/* Targets of one peer count as well, and a call to people has no next one. */
static void the_next_target(void **state)
{
    struct fixture *x = *state;
    dial_to(x, "silent", "sip:200@example.com");
    assert_non_null(sent(x, PBX, "INVITE "));
    struct leg *b = leg(x, 'b');
    struct call *k = b->call;
    uint8_t route = k->route;
    struct handle ict = b->ict;
    k->route = POLICY_NONE;
    turn(x, b);
    assert_int_equal(x->n_got, 0);
    k->route = route;
    b->ict = HANDLE_NONE; /* it waits for something else */
    turn(x, b);
    assert_int_equal(x->n_got, 0);
    b->ict = ict;
    b->state = LEG_EARLY;
    turn(x, b);
    assert_non_null(sent(x, PBX2, "INVITE "));
    assert_int_equal(counted(x, REASON_sip_timeout), 1);
    b = leg(x, 'b');
    turn(x, b); /* that was the last */
    assert_int_equal(x->n_got, 0);
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(what_is_kept), T(when_it_is_due),   T(by_update),
                                       T(by_invite),    T(after_its_answer), T(not_now),
                                       T(expires),      T(no_first_word),    T(the_next_target)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
