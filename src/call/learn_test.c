/* What becomes of a verdict on behaviour; and what of calls is told to the engine where their
 * payers are at home, event for event. */
#include "call/learn_test.h"

/* --- verdicts --- */

static void each_verdict(void **state)
{
    struct fixture *x = *state;
    static const struct {
        struct fraud_verdict v;
        uint16_t log; /* level that is told */
        int told;     /* enum money_act; -1: nothing */
        bool cut, lock;
    } row[] = {
        {{.score = 19, .signs = 1}, 20, -1, false, false},
        {{.score = 20, .signs = 1}, 20, MONEY_NOTED, false, false},
        {{.score = 20}, 20, -1, false, false},
        {{.score = 20, .signs = 1}, 0, -1, false, false},
        {{.score = 1, .signs = 1, .act = FRAUD_NOTIFY}, 20, MONEY_NOTED, false, false},
        {{.score = 1, .signs = 1, .act = FRAUD_STEP_UP}, 0, MONEY_REFUSED, false, false},
        {{.score = 1, .signs = 1, .act = FRAUD_REFUSE}, 0, MONEY_REFUSED, false, false},
        {{.score = 1, .signs = 1, .act = FRAUD_CUT}, 0, MONEY_CUT, true, false},
        {{.score = 77, .signs = 1, .act = FRAUD_LOCK}, 0, MONEY_LOCKED, true, true},
        {{.score = 77, .signs = 1, .act = FRAUD_LOCK, .again = true}, 0, MONEY_REFUSED, true, true},
        {{.score = 77, .signs = 1, .act = FRAUD_CUT, .dry = true}, 0, MONEY_NOTED, false, false},
        {{.score = 77, .signs = 1, .act = FRAUD_LOCK, .dry = true}, 0, MONEY_NOTED, false, false},
    };
    struct leg *l = talks(x);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct request r = asked(x, ALICES);
        r.fraud = row[i].v;
        l->pay.cut = false;
        x->g.policy.fraud.level[FRAUD_LOG] = row[i].log;
        judged(x, &r, REASON_fraud_calls);
        const struct fact *f = money(x);
        assert_int_equal(f ? f->u.money.act : -1, row[i].told);
        assert_int_equal(l->pay.cut, row[i].cut);
        assert_int_equal(got(x, INTENT_BAN, 0) != NULL, row[i].lock);
        assert_int_equal(got(x, INTENT_FRAUD, 0) != NULL, row[i].cut);
        if (!f)
            continue;
        assert_int_equal(f->reason, REASON_fraud_behaviour);
        assert_int_equal(f->u.money.cap_kind, LEDGER_KINDS);
        assert_int_equal(f->u.money.fraud_act, row[i].v.act);
        assert_int_equal(f->u.money.dry, row[i].v.dry);
        assert_int_equal(f->u.money.score, row[i].v.score);
        assert_int_equal(f->u.money.signs, 1);
        assert_int_equal(f->u.money.number_class, CLASS_INTERNATIONAL);
        assert_int_equal(f->u.money.country, 'A' << 8 | 'T');
        assert_str(TEXT_STR(f->u.money.who), "alice@example.com");
        assert_str(TEXT_STR(f->u.money.to), "+4319123456");
    }
}

static void the_lock(void **state)
{
    struct fixture *x = *state;
    struct ban b;
    struct request r = asked(x, ALICES);
    r.fraud = (struct fraud_verdict){
        .score = 123, .act = FRAUD_LOCK, .signs = 1u << SIGN_RANGE | 1u << SIGN_SPEND};
    judged(x, &r, REASON_NONE);
    assert_non_null(got(x, INTENT_BAN, 0));
    assert_null(got(x, INTENT_BAN, 1));
    memcpy(&b, got(x, INTENT_BAN, 0), sizeof b);
    assert_true(b.scope == BAN_AOR && b.treat == TREAT_LOCK && b.by == BY_RULE && !b.dry);
    assert_int_equal(b.reason, REASON_fraud_locked);
    assert_int_equal(b.score, 123);
    assert_int_equal(b.key, money_lock_key(&x->g.cfg[0].hash_key, ALICES));
    assert_true(b.since.us == x->g.now.wall.us && b.until.us == 0 && b.times == 1);
    assert_str(str_of(b.who, b.who_n), "alice@example.com");
    assert_str(str_of(b.why, b.why_n), "fraud: range spend");
    struct news n = news_of(x, ALICES);
    assert_true(n.kind == CUT && n.act == FRAUD_LOCK);
    char name[REQUEST_USER_MAX]; /* the longest: its ban shows what there is room for */
    memset(name, 'a', sizeof name);
    name[100] = '@';
    r = asked(x, str_of(name, sizeof name));
    r.fraud = (struct fraud_verdict){.act = FRAUD_LOCK, .signs = (1u << SIGN_COUNT) - 1};
    judged(x, &r, REASON_NONE);
    memcpy(&b, got(x, INTENT_BAN, 0), sizeof b);
    assert_true(b.who_n == BAN_WHO && b.why_n <= BAN_WHY);
    (void)news_of(x, str_of(name, sizeof name));
}

/* Behind a peer are many people. */
static void of_a_peer(void **state)
{
    struct fixture *x = *state;
    struct request r = asked(x, STR(""));
    r.peer = 0;
    r.fraud = (struct fraud_verdict){.score = 90, .signs = 1, .act = FRAUD_LOCK};
    judged(x, &r, REASON_NONE);
    assert_non_null(money(x));
    assert_str(TEXT_STR(money(x)->u.money.who), "pbx");
    assert_null(got(x, INTENT_BAN, 0));
    assert_null(got(x, INTENT_FRAUD, 0));
    r = asked(x, ALICES); /* who proved himself is himself, wherever he comes from */
    r.peer = 0;
    r.fraud = (struct fraud_verdict){.score = 90, .signs = 1, .act = FRAUD_LOCK};
    judged(x, &r, REASON_NONE);
    assert_str(TEXT_STR(money(x)->u.money.who), "alice@example.com");
    assert_non_null(got(x, INTENT_BAN, 0));
}

static void a_cap(void **state)
{
    struct fixture *x = *state;
    struct request r = asked(x, ALICES);
    judged(x, &r, REASON_fraud_calls);
    assert_null(money(x));
    r.cap = (struct ledger_refusal){.kind = LEDGER_ROLE, .used = 5, .cap = 4};
    judged(x, &r, REASON_fraud_calls);
    const struct fact *f = money(x);
    assert_non_null(f);
    assert_int_equal(f->reason, REASON_fraud_calls);
    assert_true(f->u.money.act == MONEY_REFUSED && f->u.money.cap_kind == LEDGER_ROLE);
    assert_true(f->u.money.used == 5 && f->u.money.cap == 4);
    r.fraud = (struct fraud_verdict){.signs = 1, .act = FRAUD_LOCK};
    judged(x, &r, REASON_fraud_calls);
    f = money(x);
    assert_int_equal(f->reason, REASON_fraud_behaviour);
    assert_true(f->u.money.act == MONEY_REFUSED && f->u.money.cap == 4);
    assert_non_null(got(x, INTENT_BAN, 0));
}

/* The log has its share for one source; what is done has not. */
static void told_in_measure(void **state)
{
    struct fixture *x = *state;
    struct request r = asked(x, ALICES);
    unsigned told = 0;
    r.fraud = (struct fraud_verdict){.signs = 1, .act = FRAUD_LOCK};
    for (int i = 0; i < 40; i++) {
        judged(x, &r, REASON_NONE);
        told += money(x) != NULL;
        assert_non_null(got(x, INTENT_BAN, 0));
    }
    assert_true(told && told < 40);
    assert_int_equal(counted(x, REASON_log_share), 40 - told);
    r.flow = flow_of("203.0.113.200:5060", LISTEN_OUT_UDP);
    judged(x, &r, REASON_NONE);
    assert_non_null(money(x));
}

/* What is up ends, on both sides; another's does not, nor does a call for help. */
static void the_cut(void **state)
{
    struct fixture *x = *state;
    struct request r = asked(x, BOBS);
    struct leg *l = talks(x);
    r.fraud = (struct fraud_verdict){.signs = 1, .act = FRAUD_CUT};
    judged(x, &r, REASON_NONE);
    assert_false(l->pay.cut);
    l->pay.emergency = true;
    r = asked(x, ALICES);
    r.fraud = (struct fraud_verdict){.signs = 1, .act = FRAUD_CUT};
    judged(x, &r, REASON_NONE);
    assert_false(l->pay.cut);
    l->pay.emergency = false;
    judged(x, &r, REASON_NONE);
    assert_true(l->pay.cut);
    pass_ms(x, 10);
    assert_non_null(sent(x, PBX, "BYE "));
    assert_int_equal(counted(x, REASON_fraud_cut), 1);
}

/* --- what is learned --- */

static void of_a_call(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char inv[4096], ok[4096];
    const char *id = fresh();
    static const struct geo4 area = {0xcb007100, 0xcb0071ff, 'F' << 8 | 'R', 0};
    static uint8_t room[256] __attribute__((aligned(8)));
    struct geo *g = (struct geo *)(void *)room;
    *g = (struct geo){.magic = GEO_MAGIC, .n4 = 1};
    memcpy(g->data, &area, sizeof area);
    dial_to(x, id, "sip:" RANGED "@example.com");
    struct news n = news_of(x, ALICES);
    about(&n, FRAUD_ATTEMPT, ALICES);
    assert_int_equal(n.e.at.us, x->g.now.wall.us);
    assert_true(called_at(x, 0, inv, sizeof inv));
    core_geo(core(x), g);
    answer_from(x, PBX, inv, 200, SDP_P);
    keep(ok, sizeof ok, sent(x, ALICE, "SIP/2.0 200 "));
    n = news_of(x, ALICES);
    about(&n, FRAUD_ANSWERED, ALICES);
    assert_true(n.e.code == 200 && n.act == FRAUD_LOG && !n.e.off_hours);
    assert_int_equal(n.e.source_country, geo_country(g, &f.peer));
    assert_int_equal(n.e.source_country, 'F' << 8 | 'R');
    assert_true(n.e.session && !n.e.seconds && !n.e.micro);
    assert_true(n.e.trunk == ledger_key_of(&key, LEDGER_TRUNK, STR("pbx")));
    static const char from[] = "<sip:alice@example.com>;tag=d1", uri[] = "sip:x@" TEST_OUTSIDE;
    message(x, &f, request("ACK", uri, from, field(ok, "To").p, id, 2, "", ""));
    pass_ms(x, 7000);
    x->g.policy.sites[0].n_week = 1; /* one minute a week */
    x->g.policy.sites[0].week[0].to = 1;
    message(x, &f, request("BYE", uri, from, field(ok, "To").p, id, 3, "", ""));
    uint64_t session = n.e.session;
    n = news_of(x, ALICES);
    about(&n, FRAUD_ENDED, ALICES);
    assert_true(n.e.session == session && n.e.seconds == 7);
    assert_true(n.e.micro > 0 && n.e.off_hours && n.e.at.us == x->g.now.wall.us);
    answer_from(x, PBX, sent(x, PBX, "BYE "), 200, "");
    nothing_left(x);
}

static void of_no_answer(void **state)
{
    struct fixture *x = *state;
    char inv[4096];
    dial_to(x, fresh(), "sip:" RANGED "@example.com");
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 486, "");
    struct news n = news_of(x, ALICES);
    assert_true(n.e.what == FRAUD_ENDED && n.e.code == 486 && !n.e.seconds && !n.e.micro);
    dial_to(x, fresh(), "sip:112@example.com");
    assert_non_null(sent(x, PBX, "INVITE "));
    assert_null(got(x, INTENT_FRAUD, 0));
    answer_from(x, PBX, sent(x, PBX, "INVITE "), 486, "");
    assert_null(got(x, INTENT_FRAUD, 0));
    dial_to(x, fresh(), "sip:" RANGED "@example.com");
    core(x)->env.fraud = NULL; /* switched off */
    answer_from(x, PBX, sent(x, PBX, "INVITE "), 486, "");
    assert_null(got(x, INTENT_FRAUD, 0));
}

static void calls_bob(struct fixture *x, const char *who)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    const char *id = fresh();
    char from[128];
    (void)snprintf(from, sizeof from, "<sip:%s@198.51.100.10>;tag=p%s", who, id);
    message(x, &f,
            request("INVITE", "sip:bob@" TEST_INSIDE, from, "<sip:bob@" TEST_INSIDE ">", id, 1,
                    "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P));
    assert_non_null(sent(x, BOB, "INVITE "));
}

static void inbound(struct fixture *x, const struct leg *b, bool told)
{
    money_inbound(b);
    collect(x);
    assert_int_equal(got(x, INTENT_FRAUD, 0) != NULL, told);
}

static void of_callers(void **state)
{
    struct fixture *x = *state;
    calls_bob(x, RANGED);
    struct news n = news_of(x, BOBS);
    about(&n, FRAUD_INBOUND, BOBS);
    assert_true(n.e.session && n.e.trunk == ledger_key_of(&key, LEDGER_TRUNK, STR("pbx")));
    calls_bob(x, "anonymous");
    n = news_of(x, BOBS);
    assert_true(n.e.kind == CLASS_UNKNOWN && !n.e.country && !n.e.number[0]);
    bind_phone(x, "bob", BOB2, 500);
    calls_bob(x, RANGED); /* both phones ring: it is one call */
    assert_non_null(sent(x, BOB2, "INVITE "));
    (void)news_of(x, BOBS);
    x->g.policy.peers[0].trunk = 0; /* a PBX of ours: its calls are calls within */
    calls_bob(x, RANGED);
    for (unsigned i = 0; got(x, INTENT_FRAUD, i); i++) {
        const struct fraud_event *e = got(x, INTENT_FRAUD, i);
        assert_int_not_equal(e->what, FRAUD_INBOUND);
    }
    x->g.policy.peers[0].trunk = 1;
    dial_to(x, fresh(), "sip:bob@example.com");
    assert_non_null(sent(x, BOB, "INVITE "));
    assert_null(got(x, INTENT_FRAUD, 0));
    struct leg *b = NULL; /* as of the first phone of another call */
    uint32_t it = 0;
    while ((b = pool_next(&core(x)->legs, &it)) && (b->side != 'b' || b->call->a->peer))
        continue;
    assert_non_null(b);
    b->call->n_forks = 0;
    inbound(x, b, true);
    b->call->emergency = true;
    inbound(x, b, false);
    b->call->emergency = false;
    b->aor = STR_NONE; /* on to another trunk: that is nobody's call */
    inbound(x, b, false);
    core(x)->env.fraud = NULL;
    calls_bob(x, RANGED);
    assert_null(got(x, INTENT_FRAUD, 0));
}

/* bob leads a call to the outside: that is his doing. */
static void of_forwarding(void **state)
{
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    char inv[4096], out[8192];
    dial_to(x, fresh(), "sip:bob@example.com");
    keep(inv, sizeof inv, sent(x, BOB, "INVITE "));
    keep(out, sizeof out, answer(inv, 302, "f1", RANGED "@example.com", ""));
    message(x, &fb, out);
    assert_non_null(sent(x, PBX, "INVITE "));
    bool seen = false;
    for (unsigned i = 0; got(x, INTENT_FRAUD, i); i++) {
        struct news n;
        memcpy(&n, got(x, INTENT_FRAUD, i), sizeof n);
        if (n.e.what != FRAUD_FORWARDED)
            continue;
        assert_false(seen);
        seen = true;
        about(&n, FRAUD_FORWARDED, BOBS);
        assert_int_not_equal(n.e.session, 0);
    }
    assert_true(seen);
    struct call *k = leg_that_pays(x)->call;
    k->emergency = true;
    money_forwarded(k, BOBS);
    collect(x);
    assert_null(got(x, INTENT_FRAUD, 0));
    k->emergency = false;
    core(x)->env.fraud = NULL;
    money_forwarded(k, BOBS);
    collect(x);
    assert_null(got(x, INTENT_FRAUD, 0));
}

static void of_registering(void **state)
{
    struct fixture *x = *state;
    struct request r = asked(x, BOBS);
    r.country = 'F' << 8 | 'R';
    money_registered(core(x), &r);
    collect(x);
    struct news n = news_of(x, BOBS);
    assert_true(n.e.what == FRAUD_REGISTERED && n.e.source_country == r.country);
    r.user_n = 0;
    money_registered(core(x), &r);
    r.user_n = (uint16_t)BOBS.n;
    core(x)->env.fraud = NULL;
    money_registered(core(x), &r);
    collect(x);
    assert_null(got(x, INTENT_FRAUD, 0));
}

int main(void)
{
#define HERE(f) cmocka_unit_test_setup_teardown(f, here, end)
#define ELSE(f) cmocka_unit_test_setup_teardown(f, elsewhere, end)
    const struct CMUnitTest tests[] = {HERE(each_verdict),  HERE(the_lock),        HERE(of_a_peer),
                                       HERE(a_cap),         HERE(told_in_measure), HERE(the_cut),
                                       ELSE(of_a_call),     ELSE(of_no_answer),    ELSE(of_callers),
                                       ELSE(of_forwarding), ELSE(of_registering)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
