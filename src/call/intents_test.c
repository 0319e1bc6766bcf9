/* The list of what the core wants done: its order, whose memory holds what, and where it is full.
 */
#include "call/core_fixture.h"

#define MEM 8192u
static ALIGNED(16) uint8_t mem[MEM + SIP_MSG_MAX];
static struct intent v[9];
static struct intents list;

/* The core writes into a list of cap places and so many bytes. */
static struct core *with(struct fixture *x, size_t cap, size_t bytes)
{
    struct core *c = x->g.core[0];
    intents_init(&list, v, cap, mem, bytes);
    c->out = &list;
    c->now = x->g.now;
    return c;
}

static uint64_t counted(const struct fixture *x, enum reason r)
{
    return counters_get(&x->g.counters[0], r);
}

static const struct flow TO = {.proto = PROTO_TLS, .listener = 1, .conn = {3, 4}};
static const struct request PROVED = {.flow = {.proto = PROTO_TLS, .conn = {8, 9}},
                                      .ident = IDENT_USER};

/* The n-th of what the core can want. */
#define KINDS 8u
static const uint8_t KIND[KINDS] = {INTENT_SEND, INTENT_FORWARD, INTENT_PROVED, INTENT_ASK,
                                    INTENT_BAN,  INTENT_OBSERVE, INTENT_FRAUD,  INTENT_FACT};
static void want(struct core *c, unsigned n)
{
    struct ask q = {.id = 7, .kind = ASK_VERIFY, .n = 3, .text = "abc"};
    struct ban b = {.scope = BAN_AOR, .score = 41};
    struct obs o = {.kind = OBS_BELOW, .value = 12};
    char text[] = "hello";
    switch (n) {
    case 0:
        core_send(c, &TO, str_c(text), (struct handle){5, 6});
        break;
    case 1:
        core_forward(c, 3, &TO, str_c(text), false);
        break;
    case 2:
        core_proved(c, &PROVED);
        break;
    case 3:
        core_ask(c, &q);
        break;
    case 4:
        core_ban(c, &b);
        break;
    case 5:
        core_observe_at(c, 9, &o);
        break;
    case 6:
        core_fraud_at(c, 8, str_c(text));
        break;
    default:
        (void)fact_begin(c, FACT_PEER_STATE, REASON_sip_loop, 482);
        fact_end(c);
    }
    memset(&q, 0xee, sizeof q); /* what was said is the caller's no more than ours */
    memset(&b, 0xee, sizeof b);
    memset(&o, 0xee, sizeof o);
    memset(text, 'x', 5);
}

static void in_order_and_each_whole(void **state)
{
    struct core *c = with(*state, 9, MEM);
    for (unsigned i = 0; i < KINDS; i++)
        want(c, i);
    memset(&c->fact, 0, sizeof c->fact);
    assert_int_equal(list.n, KINDS);
    assert_int_equal(list.lost, 0);
    for (unsigned i = 0; i < KINDS; i++) {
        assert_int_equal(v[i].kind, KIND[i]);
        assert_in_range((uintptr_t)v[i].bytes.p, (uintptr_t)mem, (uintptr_t)mem + MEM);
        assert_int_equal((uintptr_t)v[i].bytes.p % 16, 0);
        assert_false(v[i].verified);
        assert_null(v[i].proof);
        assert_int_equal(v[i].flow.conn.index, i < 2 ? 3 : i == 2 ? 8 : 0);
        assert_int_equal(v[i].engine, i == 1 ? 3 : i == 5 ? 9 : i == 6 ? 8 : 0);
        assert_int_equal(v[i].ref.index, i == 0 ? 5 : 0);
    }
    assert_str(v[0].bytes, "hello");
    assert_int_equal(v[0].ref.gen, 6);
    assert_str(v[1].bytes, "hello");
    assert_int_equal(v[2].bytes.n, 0);
    const struct ask *q = (const void *)v[3].bytes.p;
    assert_ok(ask_valid(q, v[3].bytes.n)); /* no byte more than its text */
    assert_int_equal(q->id, 7);
    assert_str(str_of(q->text, q->n), "abc");
    assert_int_equal(v[4].bytes.n, sizeof(struct ban));
    assert_int_equal(((const struct ban *)(const void *)v[4].bytes.p)->score, 41);
    assert_int_equal(v[5].bytes.n, sizeof(struct obs));
    assert_int_equal(((const struct obs *)(const void *)v[5].bytes.p)->value, 12);
    assert_str(v[6].bytes, "hello");
    assert_int_equal(v[7].bytes.n, fact_size(FACT_PEER_STATE));
    assert_ok(fact_valid(v[7].bytes.p, v[7].bytes.n));
}

/* No place, or no memory: each is lost, and counted under the name of what is full. */
static void full(void **state)
{
    struct fixture *x = *state;
    for (unsigned small = 0; small < 2; small++)
        for (unsigned i = 0; i < KINDS; i++) {
            if (small && KIND[i] == INTENT_PROVED) /* says nothing, so it takes nothing */
                continue;
            struct core *c = with(x, small ? 9 : 1, small ? 16 : MEM);
            uint64_t memory = counted(x, REASON_capacity_memory),
                     ring = counted(x, REASON_ring_full);
            core_send(c, &TO, STR("0123456789abcdef"), HANDLE_NONE);
            assert_int_equal(list.n, 1);
            assert_int_equal(list.lost, 0);
            want(c, i);
            assert_int_equal(list.n, 1);
            assert_int_equal(list.lost, 1);
            bool fact = KIND[i] == INTENT_FACT, proved = KIND[i] == INTENT_PROVED;
            assert_int_equal(counted(x, REASON_ring_full) - ring, fact);
            assert_int_equal(counted(x, REASON_capacity_memory) - memory, !fact && !proved);
            assert_str(v[0].bytes, "0123456789abcdef");
            intents_reset(&list);
            assert_int_equal(list.n, 0);
            assert_int_equal(list.lost, 1); /* stays told */
            want(c, 0);
            assert_int_equal(list.n, 1);
            assert_str(v[0].bytes, "hello");
        }
}

/* Up to the last byte; what is too long leaves room for what is not. */
static void to_the_last_byte(void **state)
{
    struct core *c = with(*state, 9, 64);
    static const char text[64] = "0123456789abcdef0123456789abcdef0123456789abcdef";
    core_send(c, &TO, str_of(text, 48), HANDLE_NONE);
    core_send(c, &TO, str_of(text, 17), HANDLE_NONE);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.lost, 1);
    core_send(c, &TO, str_of(text, 16), HANDLE_NONE);
    assert_int_equal(list.n, 2);
    core_send(c, &TO, str_of(text, 1), HANDLE_NONE);
    assert_int_equal(list.n, 2);
    assert_int_equal(list.lost, 2);
    assert_int_equal(intents_room(&list).cap, 0);
    assert_memory_equal(v[0].bytes.p, text, 48);
    assert_memory_equal(v[1].bytes.p, text, 16);
}

/* What is built behind everything else is not copied, and nothing is written over it. */
static void built_in_place(void **state)
{
    struct core *c = with(*state, 9, MEM);
    core_send(c, &TO, STR("before"), HANDLE_NONE);
    struct out o = intents_room(&list);
    assert_int_equal(o.cap, MEM - 16);
    assert_ptr_equal(o.p, mem + 16);
    OUT_LIT(&o, "built in its place");
    core_send(c, &TO, out_str(&o), HANDLE_NONE);
    assert_ptr_equal(v[1].bytes.p, mem + 16);
    core_send(c, &TO, STR("behind"), HANDLE_NONE);
    assert_int_equal(intents_room(&list).cap, MEM - 16 - 32 - 16);
    struct out empty = intents_room(&list), copy = empty;
    core_send(c, &TO, out_str(&empty), HANDLE_NONE); /* nothing was written */
    OUT_LIT(&copy, "later");
    core_forward(c, 1, &TO, out_str(&copy), false);
    assert_str(v[0].bytes, "before");
    assert_str(v[1].bytes, "built in its place");
    assert_str(v[2].bytes, "behind");
    assert_int_equal(v[3].bytes.n, 0);
    assert_str(v[4].bytes, "later");
    assert_int_equal(list.lost, 0);
}

/* Never more than a message may have, though there is more. */
static void room_of_one_message(void **state)
{
    (void)with(*state, 9, sizeof mem);
    assert_int_equal(intents_room(&list).cap, SIP_MSG_MAX);
    (void)with(*state, 9, SIP_MSG_MAX);
    assert_int_equal(intents_room(&list).cap, SIP_MSG_MAX);
    (void)with(*state, 9, SIP_MSG_MAX - 1);
    assert_int_equal(intents_room(&list).cap, SIP_MSG_MAX - 1);
}

/* Whose certificate it is travels with the message, if it was verified. */
static void forwarded_with_its_proof(void **state)
{
    struct core *c = with(*state, 9, MEM);
    struct proof p = {.n = 3, .names = "abc"};
    core_forward(c, 1, &TO, STR("m"), true);
    c->proof = &p;
    core_forward(c, 1, &TO, STR("m"), false);
    core_forward(c, 2, &TO, STR("m"), true);
    memset(&p, 0xee, sizeof p);
    assert_int_equal(list.n, 3);
    assert_true(v[0].verified);
    assert_null(v[0].proof);
    assert_false(v[1].verified);
    assert_null(v[1].proof);
    assert_true(v[2].verified);
    assert_non_null(v[2].proof);
    assert_ptr_not_equal(v[2].proof, &p);
    assert_str(proof_text(v[2].proof), "abc");
    /* No room for it: the message goes on, and proves less. */
    for (size_t more = 0; more < 2; more++) {
        c = with(*state, 9, 16 + ((sizeof p + 15) & ~(size_t)15) - 1 + more);
        c->proof = &p;
        core_forward(c, 2, &TO, STR("m"), true);
        assert_int_equal(list.n, 1);
        assert_true(v[0].verified);
        assert_int_equal(v[0].proof != NULL, more);
        assert_int_equal(list.lost, 0);
    }
    c->proof = NULL;
}

/* A datagram has no connection that could last, and who has proved nothing is nobody. */
static void who_is_proved(void **state)
{
    static const struct {
        uint8_t proto, ident;
        bool told;
    } row[] = {{PROTO_UDP, IDENT_USER, false}, {PROTO_UDP, IDENT_PEER, false},
               {PROTO_TCP, IDENT_NONE, false}, {PROTO_TLS, IDENT_NONE, false},
               {PROTO_TCP, IDENT_USER, true},  {PROTO_TLS, IDENT_USER, true},
               {PROTO_TLS, IDENT_PEER, true}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct core *c = with(*state, 9, MEM);
        struct request r = PROVED;
        r.flow.proto = row[i].proto;
        r.ident = row[i].ident;
        core_proved(c, &r);
        assert_int_equal(list.n, row[i].told);
        assert_int_equal(list.lost, 0);
    }
}

/* Numbered without a gap, stamped, and without anything of the one before. */
static void facts(void **state)
{
    struct fixture *x = *state;
    struct core *c = with(x, 9, MEM);
    uint64_t seq = c->fact_seq;
    c->cfg.engine = 5;
    for (unsigned k = 1; k < FACT_KIND_COUNT; k++) {
        memset(&c->fact, 0xee, sizeof c->fact);
        intents_reset(&list);
        const struct fact *f = fact_begin(c, (enum fact_kind)k, REASON_sip_loop, 482);
        const uint8_t *p = (const uint8_t *)f;
        assert_int_equal(f->bytes, fact_size((enum fact_kind)k));
        assert_int_equal(f->kind, k);
        assert_int_equal(f->engine, 5);
        assert_int_equal(f->reason, REASON_sip_loop);
        assert_int_equal(f->code, 482);
        assert_int_equal(f->seq, ++seq);
        assert_int_equal(f->wall_us, x->g.now.wall.us);
        for (size_t i = offsetof(struct fact, u); i < f->bytes; i++)
            assert_int_equal(p[i], 0);
        assert_int_equal(list.n, 0); /* not yet */
        fact_end(c);
        assert_int_equal(list.n, 1);
        assert_int_equal(v[0].bytes.n, f->bytes);
        assert_memory_equal(v[0].bytes.p, f, f->bytes);
    }
    c->cfg.engine = 0;
}

static void counting(void **state)
{
    struct fixture *x = *state;
    struct core *c = with(x, 9, MEM);
    core_count(c, REASON_NONE);
    assert_int_equal(counted(x, REASON_NONE), 0);
    core_count(c, REASON_sip_loop);
    core_count(c, REASON_sip_loop);
    core_count(c, (enum reason)(REASON_COUNT - 1));
    assert_int_equal(counted(x, REASON_sip_loop), 2);
    assert_int_equal(counted(x, (enum reason)(REASON_COUNT - 1)), 1);
    assert_int_equal(list.n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(in_order_and_each_whole),
                                       T(full),
                                       T(to_the_last_byte),
                                       T(built_in_place),
                                       T(room_of_one_message),
                                       T(forwarded_with_its_proof),
                                       T(who_is_proved),
                                       T(facts),
                                       T(counting)};
    return cmocka_run_group_tests_name("intents", tests, NULL, NULL);
}
