/* Answers that are held back, and requests that get none: who, how long, how many, in which order.
 */
#include "call/core_fixture.h"

static struct sip_msg m;
static char text[4096];

/* A request of its own transaction, in the core's scratch, of one who is in the pit. */
static struct request *from(struct fixture *x, const char *method, uint8_t proto)
{
    static unsigned n;
    struct core *c = x->g.core[0];
    struct sip_error e;
    struct flow f = flow_of(ALICE, proto == PROTO_UDP ? LISTEN_OUT_UDP : LISTEN_OUT_TLS);
    char id[32];
    f.proto = proto;
    f.conn = proto == PROTO_UDP ? HANDLE_NONE : (struct handle){1, 1};
    (void)snprintf(id, sizeof id, "pit%u", n++);
    (void)snprintf(text, sizeof text, "%s",
                   request(method, "sip:example.com", "<sip:x@example.com>;tag=1",
                           "<sip:example.com>", id, 1, "", ""));
    assert_ok(sip_parse(str_c(text), false, &m, &e));
    c->now = x->g.now;
    request_init(&c->req, &m, &f, x->g.now);
    c->req.treat = TREAT_TARPIT;
    return &c->req;
}

static struct request *udp(struct fixture *x)
{
    return from(x, "OPTIONS", PROTO_UDP);
}

static struct shield *shield(struct fixture *x)
{
    return &x->g.core[0]->shield;
}

static bool holds(struct fixture *x, const struct request *r, unsigned code, const char *bytes)
{
    return shield_holds(x->g.core[0], r, &r->flow, HANDLE_NONE, code, str_c(bytes));
}

static uint32_t open_now(struct fixture *x)
{
    return trans_used(x->g.core[0]->trans);
}

static uint64_t counted(struct fixture *x, enum reason r)
{
    return counters_get(&x->g.counters[0], r);
}

/* Nothing but what shield_timer itself does, so many microseconds later. */
static void later(struct fixture *x, int64_t us)
{
    x->g.now.mono.us += us;
    x->g.core[0]->now = x->g.now;
    shield_timer(x->g.core[0]);
    collect(x);
}

static int64_t wait_us(struct fixture *x)
{
    return (int64_t)x->g.policy.guard.tarpit_ms * 1000;
}

static void who_waits(void **state)
{
    struct fixture *x = *state;
    static const unsigned codes[] = {200, 202, 302, 401, 404, 503, 603}, now[] = {100, 180, 199};
    unsigned n = 0;
    for (unsigned t = 0; t < TREAT_COUNT; t++) {
        struct request *r = udp(x);
        r->treat = (uint8_t)t;
        assert_int_equal(holds(x, r, 401, "a"), t == TREAT_TARPIT);
        r->emergency = true;
        assert_false(holds(x, r, 401, "a"));
    }
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        assert_true(holds(x, udp(x), codes[i], "a"));
    for (size_t i = 0; i < ARRAY_LEN(now); i++)
        assert_false(holds(x, udp(x), now[i], "a"));
    n = 1 + (unsigned)ARRAY_LEN(codes);
    assert_int_equal(shield(x)->tarpit_n, n);
    assert_int_equal(open_now(x), n); /* so that copies are absorbed */
    later(x, wait_us(x));
    assert_int_equal(x->n_got, n);
    assert_int_equal(counted(x, REASON_shield_tarpit_full), 0);
    nothing_left(x);
}

static void late_and_in_order(void **state)
{
    struct fixture *x = *state;
    char answer_text[] = "one";
    assert_true(holds(x, udp(x), 401, answer_text));
    memset(answer_text, 'x', 3); /* it is kept */
    later(x, 1000);
    assert_true(holds(x, udp(x), 403, "two"));
    assert_true(holds(x, from(x, "OPTIONS", PROTO_TLS), 404, "three"));
    later(x, wait_us(x) - 1001);
    assert_int_equal(x->n_got, 0);
    later(x, 1);
    assert_int_equal(x->n_got, 1);
    assert_string_equal(x->text[0], "one");
    later(x, 999);
    assert_int_equal(x->n_got, 0);
    later(x, 1);
    assert_int_equal(x->n_got, 2);
    assert_string_equal(x->text[0], "two");
    assert_string_equal(x->text[1], "three");
    assert_int_equal(x->got[1].flow.proto, PROTO_TLS);
    assert_int_equal(x->got[1].flow.conn.index, 1);
    later(x, 100 * wait_us(x));
    assert_int_equal(x->n_got, 0);
    assert_int_equal(shield(x)->tarpit_n, 0);
}

/* The clock of the core itself wakes it, whichever of the two queues is due first. */
static void woken(void **state)
{
    struct fixture *x = *state;
    shield_hush(x->g.core[0], udp(x), HANDLE_NONE);
    pass_ms(x, HUSH_MS - 10);
    assert_int_equal(shield(x)->hush_n, 1);
    pass_ms(x, 20);
    assert_int_equal(shield(x)->hush_n, 0);
    shield_hush(x->g.core[0], udp(x), HANDLE_NONE);
    assert_true(holds(x, udp(x), 401, "one"));
    assert_int_equal(open_now(x), 2);
    pass_ms(x, x->g.policy.guard.tarpit_ms - 10);
    assert_int_equal(x->n_got, 0);
    pass_ms(x, 20);
    assert_int_equal(x->n_got, 1);
    assert_int_equal(shield(x)->hush_n, 1);
    shield_hush(x->g.core[0], udp(x), HANDLE_NONE);
    pass_ms(x, HUSH_MS - x->g.policy.guard.tarpit_ms - 20);
    assert_int_equal(shield(x)->hush_n, 2);
    pass_ms(x, 20);
    assert_int_equal(shield(x)->hush_n, 1);
    pass_ms(x, x->g.policy.guard.tarpit_ms);
    assert_int_equal(shield(x)->hush_n, 0);
    nothing_left(x);
}

/* The transaction that there is; a new one where nobody needs the room; else none. */
static void in_which_transaction(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct request *r = udp(x);
    struct handle t = trans_server(c->trans, &m, &r->flow, 0, c->now.mono);
    assert_true(shield_holds(c, r, &r->flow, t, 401, STR("mine")));
    assert_int_equal(open_now(x), 1);
    later(x, wait_us(x));
    assert_int_equal(x->n_got, 1);
    assert_true(handle_eq(x->got[0].ref, t) || !handle_is(x->got[0].ref));
    assert_err(trans_respond(c->trans, t, 200, STR("x"), c->now.mono), ERR_STATE); /* answered */
    /* It went away meanwhile: nothing is sent, and that is counted. */
    r = udp(x);
    t = trans_server(c->trans, &m, &r->flow, 0, c->now.mono);
    assert_true(shield_holds(c, r, &r->flow, t, 401, STR("mine")));
    trans_drop(c->trans, t);
    later(x, wait_us(x));
    assert_int_equal(x->n_got, 0);
    assert_int_equal(counted(x, REASON_sip_no_transaction), 1);
    /* An ACK has none, and so has whoever finds the table full. */
    uint32_t before = open_now(x), cap = c->cfg.trans_cap;
    assert_true(holds(x, from(x, "ACK", PROTO_UDP), 481, "of an ACK"));
    assert_int_equal(open_now(x), before);
    c->cfg.trans_cap = before + 1;
    struct flow there = flow_of(PBX, LISTEN_IN_UDP); /* where its answers go */
    r = udp(x);
    assert_true(shield_holds(c, r, &there, HANDLE_NONE, 401, STR("without")));
    shield_hush(c, udp(x), HANDLE_NONE);
    assert_int_equal(open_now(x), before);
    assert_int_equal(shield(x)->hush_n, 0);
    c->cfg.trans_cap = cap;
    later(x, wait_us(x));
    assert_int_equal(x->n_got, 2);
    assert_string_equal(x->text[1], "without");
    assert_true(addr_eq(&x->got[1].flow.peer, &there.peer));
    assert_int_equal(counted(x, REASON_sip_no_transaction), 1);
}

static void too_long_an_answer(void **state)
{
    struct fixture *x = *state;
    static char longest[TARPIT_BYTES + 2];
    memset(longest, 'a', TARPIT_BYTES);
    assert_true(holds(x, udp(x), 401, longest));
    assert_int_equal(shield(x)->tarpit_n, 1);
    longest[TARPIT_BYTES] = 'b';
    assert_true(holds(x, udp(x), 401, longest));
    assert_int_equal(shield(x)->tarpit_n, 1); /* swallowed */
    assert_int_equal(shield(x)->hush_n, 1);   /* and its copies with it */
    assert_int_equal(counted(x, REASON_shield_tarpit_full), 1);
    later(x, wait_us(x));
    assert_int_equal(x->n_got, 1);
    assert_int_equal(x->got[0].bytes.n, TARPIT_BYTES);
    nothing_left(x);
}

/* To the last slot, in order, wherever in the ring it begins. */
static void full_pit(void **state)
{
    struct fixture *x = *state;
    struct intents *i = &x->g.intents[0];
    char word[16];
    for (unsigned turn = 0; turn < 3; turn++) {
        unsigned n = turn ? TARPIT_SLOTS : 200;
        for (unsigned k = 0; k < n; k++) {
            (void)snprintf(word, sizeof word, "%u", k);
            assert_true(holds(x, udp(x), 401, word));
        }
        assert_int_equal(counted(x, REASON_shield_tarpit_full), turn ? turn - 1 : 0);
        assert_int_equal(shield(x)->tarpit_n, n);
        if (turn) {
            assert_true(holds(x, udp(x), 401, "one more"));
            assert_int_equal(counted(x, REASON_shield_tarpit_full), turn);
            assert_int_equal(shield(x)->tarpit_n, n);
        }
        x->g.now.mono.us += wait_us(x);
        x->g.core[0]->now = x->g.now;
        shield_timer(x->g.core[0]);
        assert_int_equal(i->n, n);
        for (unsigned k = 0; k < n; k++) {
            (void)snprintf(word, sizeof word, "%u", k);
            assert_str_eq(i->v[k].bytes, str_c(word));
        }
        intents_reset(i);
    }
    nothing_left(x);
}

/* --- no answer at all --- */

static void hushed(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct request *r = udp(x);
    struct handle t =
        trans_server(c->trans, &m, &r->flow, USER(USER_PENDING, HANDLE_NONE) | 1, c->now.mono);
    shield_hush(c, r, t);
    assert_int_equal(open_now(x), 1);
    assert_int_equal(trans_user_of(c->trans, t), 0); /* nobody waits for it any more */
    later(x, 1000000);
    shield_hush(c, udp(x), HANDLE_NONE);
    assert_int_equal(open_now(x), 2);
    later(x, HUSH_MS * 1000 - 1000001);
    assert_int_equal(open_now(x), 2);
    later(x, 1);
    assert_int_equal(open_now(x), 1);
    assert_err(trans_respond(c->trans, t, 200, STR("x"), c->now.mono), ERR_NOT_FOUND);
    later(x, 999999);
    assert_int_equal(open_now(x), 1);
    later(x, 1);
    assert_int_equal(open_now(x), 0);
    assert_int_equal(x->n_got, 0); /* without a word */
}

/* A stream brings no copies: nothing is kept. */
static void hushed_on_a_stream(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    for (uint8_t proto = PROTO_TCP; proto <= PROTO_TLS; proto++) {
        struct request *r = from(x, "OPTIONS", proto);
        shield_hush(c, r, HANDLE_NONE);
        assert_int_equal(open_now(x), 0);
        struct handle t = trans_server(c->trans, &m, &r->flow, 0, c->now.mono);
        assert_int_equal(open_now(x), 1);
        shield_hush(c, r, t);
        assert_int_equal(open_now(x), 0);
        assert_int_equal(shield(x)->hush_n, 0);
    }
    shield_hush(c, from(x, "ACK", PROTO_UDP), HANDLE_NONE);
    assert_int_equal(open_now(x), 0);
}

/* The oldest makes room, and no other. */
static void hushed_without_end(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct handle t[HUSH_SLOTS + 300];
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct request *r = udp(x);
        t[i] = trans_server(c->trans, &m, &r->flow, 1, c->now.mono);
        shield_hush(c, r, t[i]);
        assert_int_equal(open_now(x), MIN(i + 1, HUSH_SLOTS));
        if (i >= HUSH_SLOTS) { /* a dead one knows no answer, a live one has no user */
            assert_err(trans_respond(c->trans, t[i - HUSH_SLOTS], 200, STR("x"), c->now.mono),
                       ERR_NOT_FOUND);
            trans_set_user(c->trans, t[i - HUSH_SLOTS + 1], 7);
            assert_int_equal(trans_user_of(c->trans, t[i - HUSH_SLOTS + 1]), 7);
        }
    }
    assert_int_equal(shield(x)->hush_n, HUSH_SLOTS);
    later(x, HUSH_MS * 1000);
    assert_int_equal(open_now(x), 0);
    assert_int_equal(shield(x)->hush_n, 0);
}

/* Both queues lie side by side in what was asked for. */
static void memory(void **state)
{
    (void)state;
    static struct shield s;
    size_t n = tarpit_bytes();
    uint8_t *mem = aligned_alloc(64, n);
    assert_int_equal(n % 64, 0);
    tarpit_init(&s, mem);
    memset(s.tarpit, 1, TARPIT_SLOTS * sizeof *s.tarpit);
    memset(s.hush, 2, HUSH_SLOTS * sizeof *s.hush);
    assert_ptr_equal(s.tarpit, mem);
    assert_int_equal(((uint8_t *)(s.tarpit + TARPIT_SLOTS))[-1], 1);
    assert_int_equal((uintptr_t)s.hush % 64, 0);
    assert_int_equal(s.timer.owner, OWNER_SHIELD);
    free(mem);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(who_waits),
                                       T(late_and_in_order),
                                       T(woken),
                                       T(in_which_transaction),
                                       T(too_long_an_answer),
                                       T(full_pit),
                                       T(hushed),
                                       T(hushed_on_a_stream),
                                       T(hushed_without_end),
                                       cmocka_unit_test(memory)};
    return cmocka_run_group_tests_name("tarpit", tests, NULL, NULL);
}
