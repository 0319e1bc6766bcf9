/* What is told to who judges behaviour, at home or to the engine that is; what another engine tells
 * and what of it is believed; and what becomes of a verdict. */
#include "call/exchange_test.h"
#include "call/money.h"
#include "call/trunks_test.h"

#define ENGINES 2u
#define RANGED  "004319123456" /* of ill repute */
#define PLAIN   "004318123456"
#define ALICES  STR("alice@example.com")
#define BOBS    STR("bob@example.com")

struct news { /* as it travels */
    struct fraud_event e;
    uint8_t kind, act, who_n, pad[5];
};
enum { EVENT = 1, CUT };

static struct fraud_shard *shard[ENGINES];
static struct sipkey key;

static uint64_t identity(struct str who)
{
    return ledger_key_of(&key, LEDGER_IDENTITY, who);
}

/* Only that range is a sign; what it leads to. */
static void judges(struct fraud_policy *f, enum fraud_act act)
{
    fraud_policy_default(f);
    memset(f->level, 0, sizeof f->level);
    f->level[act] = 1;
    f->seed_off = true;
    f->off_signs = ((1u << SIGN_COUNT) - 1) & ~(1u << SIGN_RANGE);
    assert_ok(fraud_range_add(f, STR("4319"), 100));
}

static struct core *core(struct fixture *x)
{
    return x->g.core[0];
}

/* From now on. */
static void level(struct fixture *x, enum fraud_act act)
{
    judges(&x->g.policy.fraud, act);
    fraud_policy_set(core(x)->fraud, &x->g.policy.fraud);
}

/* In the shard where a registration of his would be. */
static void bobs_phone(struct fixture *x, const char *at)
{
    struct location_shard *first = x->g.shards[0];
    x->g.shards[0] = x->g.shards[siphash(&x->g.cfg[0].hash_key, BOBS) % ENGINES];
    bind_phone(x, "bob", at, 500);
    x->g.shards[0] = first;
}

/* alice and bob are both at home in that engine. */
static int begin(void **state, uint8_t home)
{
    struct fixture *x = calloc(1, sizeof *x);
    size_t bytes = fraud_shard_bytes(64);
    gateway_init(&x->g, ENGINES, 1);
    trunks(&x->g.policy, 2);
    x->g.policy.zones[ZONE_PHONES].redirect = true;
    judges(&x->g.policy.fraud, FRAUD_LOG);
    for (unsigned i = 0; i < ENGINES; i++) {
        shard[i] = calloc(1, bytes);
        fraud_shard_begin(shard[i], bytes);
    }
    key = (struct sipkey){0, 1};
    do { /* until it hashes so */
        key.k0++;
        for (unsigned i = 0; i < ENGINES; i++) {
            struct core_cfg *c = &x->g.cfg[i];
            c->ledger_key = key;
            c->fraud_own = shard[i];
            c->fraud_shard_bytes = bytes;
            memcpy(c->fraud_shards, shard, sizeof shard);
            memset(x->g.mem[i], 0, core_bytes(c));
            memset(x->g.ports, 0, sizeof x->g.ports);
            intents_reset(&x->g.intents[i]);
            x->g.core[i] = core_init(x->g.mem[i], c, x->g.now);
            test_open_ports(x->g.core[i], i);
        }
    } while (fraud_home(core(x)->fraud, identity(ALICES)) != home ||
             fraud_home(core(x)->fraud, identity(BOBS)) != home);
    bobs_phone(x, BOB);
    *state = x;
    return 0;
}

static int here(void **state)
{
    return begin(state, 0);
}

static int elsewhere(void **state)
{
    return begin(state, 1);
}

static int end(void **state)
{
    for (unsigned i = 0; i < ENGINES; i++)
        free(shard[i]);
    return teardown(state);
}

/* The nth thing of that kind that came out; NULL: there is none. */
static const void *got(struct fixture *x, enum intent_kind kind, unsigned nth)
{
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == kind && !nth--)
            return x->text[i];
    return NULL;
}

static const struct fact *money(struct fixture *x)
{
    for (unsigned i = 0; i < x->n_got; i++) {
        const struct fact *f = got(x, INTENT_FACT, i);
        if (f && f->kind == FACT_MONEY)
            return f;
    }
    return NULL;
}

/* The only news, about that one and for the other engine. */
static struct news news_of(struct fixture *x, struct str who)
{
    struct news n = {0};
    const char *p = got(x, INTENT_FRAUD, 0);
    assert_non_null(p);
    assert_null(got(x, INTENT_FRAUD, 1));
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_FRAUD) {
            assert_int_equal(x->got[i].engine, 1);
            assert_int_equal(x->got[i].bytes.n, sizeof n + who.n);
        }
    memcpy(&n, p, sizeof n);
    assert_int_equal(n.who_n, who.n);
    assert_str_eq(str_of(p + sizeof n, who.n), who);
    return n;
}

static struct leg *leg_that_pays(struct fixture *x)
{
    uint32_t it = 0;
    struct leg *l;
    while ((l = pool_next(&core(x)->legs, &it)))
        if (l->pay.on)
            return l;
    fail();
    return NULL;
}

/* The Call-ID of a call that is this engine's. */
static const char *fresh(const struct fixture *x)
{
    static unsigned n;
    static char id[16];
    do
        (void)snprintf(id, sizeof id, "id%u", n++);
    while (siphash(&x->g.cfg[0].hash_key, str_c(id)) % ENGINES);
    return id;
}

/* alice's call to the outside; its leg there. */
static struct leg *talks(struct fixture *x)
{
    static char inv[4096];
    dial_to(x, fresh(x), "sip:" PLAIN "@example.com");
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 200, SDP_P);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    return leg_that_pays(x);
}

static struct request asked(struct fixture *x, struct str user)
{
    struct request r = {.flow = flow_of(ALICE, LISTEN_OUT_UDP),
                        .now = x->g.now,
                        .peer = POLICY_NONE,
                        .user_n = (uint16_t)user.n,
                        .number_to = {.n = 11,
                                      .e164 = "+4319123456",
                                      .kind = CLASS_INTERNATIONAL,
                                      .country = 'A' << 8 | 'T'}};
    memcpy(r.user, user.p, user.n);
    return r;
}

static void judged(struct fixture *x, const struct request *r, enum reason why)
{
    money_judged(core(x), r, why);
    collect(x);
}

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
    r.peer = POLICY_NONE;
    judged(x, &r, REASON_NONE);
    assert_int_equal(money(x)->u.money.who.n, 0);
    assert_null(got(x, INTENT_BAN, 0));
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

/* --- what is learned: by the engine that is told, event for event --- */

static void of_a_call(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char inv[4096], ok[4096];
    const char *id = fresh(x);
    dial_to(x, id, "sip:" RANGED "@example.com");
    struct news n = news_of(x, ALICES);
    assert_int_equal(n.kind, EVENT);
    assert_true(n.e.what == FRAUD_ATTEMPT && n.e.kind == CLASS_INTERNATIONAL);
    assert_true(n.e.identity == identity(ALICES) && n.e.at.us == x->g.now.wall.us);
    assert_string_equal(n.e.number, "+4319123456");
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 200, SDP_P);
    keep(ok, sizeof ok, sent(x, ALICE, "SIP/2.0 200 "));
    n = news_of(x, ALICES);
    assert_true(n.kind == EVENT && n.e.what == FRAUD_ANSWERED && n.e.code == 200);
    assert_int_equal(n.act, FRAUD_LOG);
    assert_true(n.e.identity == identity(ALICES) && n.e.session && !n.e.seconds && !n.e.micro);
    assert_true(n.e.trunk == ledger_key_of(&key, LEDGER_TRUNK, STR("pbx")));
    assert_true(n.e.kind == CLASS_INTERNATIONAL && n.e.country == ('A' << 8 | 'T'));
    assert_string_equal(n.e.number, "+4319123456");
    assert_int_equal(n.e.off_hours, 0);
    static const char from[] = "<sip:alice@example.com>;tag=d1", uri[] = "sip:x@" TEST_OUTSIDE;
    message(x, &f, request("ACK", uri, from, field(ok, "To").p, id, 2, "", ""));
    pass_ms(x, 7000);
    x->g.policy.sites[0].n_week = 1; /* one minute a week */
    x->g.policy.sites[0].week[0].to = 1;
    message(x, &f, request("BYE", uri, from, field(ok, "To").p, id, 3, "", ""));
    uint64_t session = n.e.session;
    n = news_of(x, ALICES);
    assert_true(n.e.what == FRAUD_ENDED && n.e.session == session && n.e.seconds == 7);
    assert_true(n.e.micro > 0 && n.e.off_hours && n.e.at.us == x->g.now.wall.us);
    assert_string_equal(n.e.number, "+4319123456");
    answer_from(x, PBX, sent(x, PBX, "BYE "), 200, "");
    nothing_left(x);
}

static void of_no_answer(void **state)
{
    struct fixture *x = *state;
    char inv[4096];
    dial_to(x, fresh(x), "sip:" RANGED "@example.com");
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 486, "");
    struct news n = news_of(x, ALICES);
    assert_true(n.e.what == FRAUD_ENDED && n.e.code == 486 && !n.e.seconds && !n.e.micro);
    dial_to(x, fresh(x), "sip:112@example.com");
    assert_non_null(sent(x, PBX, "INVITE "));
    assert_null(got(x, INTENT_FRAUD, 0));
    keep(inv, sizeof inv, sent(x, PBX, "INVITE "));
    answer_from(x, PBX, inv, 486, "");
    assert_null(got(x, INTENT_FRAUD, 0));
    core(x)->env.fraud = NULL; /* switched off */
    dial_to(x, fresh(x), "sip:" RANGED "@example.com");
    assert_null(got(x, INTENT_FRAUD, 0));
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 486, "");
    assert_null(got(x, INTENT_FRAUD, 0));
}

static void calls_bob(struct fixture *x, const char *who)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    const char *id = fresh(x);
    char from[128];
    (void)snprintf(from, sizeof from, "<sip:%s@198.51.100.10>;tag=p%s", who, id);
    message(x, &f,
            request("INVITE", "sip:bob@" TEST_INSIDE, from, "<sip:bob@" TEST_INSIDE ">", id, 1,
                    "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P));
    assert_non_null(sent(x, BOB, "INVITE "));
}

static void of_callers(void **state)
{
    struct fixture *x = *state;
    calls_bob(x, RANGED);
    struct news n = news_of(x, BOBS);
    assert_true(n.kind == EVENT && n.e.what == FRAUD_INBOUND && n.e.session);
    assert_true(n.e.kind == CLASS_INTERNATIONAL && n.e.country == ('A' << 8 | 'T'));
    assert_true(n.e.identity == identity(BOBS));
    assert_true(n.e.trunk == ledger_key_of(&key, LEDGER_TRUNK, STR("pbx")));
    assert_string_equal(n.e.number, "+4319123456");
    calls_bob(x, "anonymous");
    n = news_of(x, BOBS);
    assert_true(n.e.kind == CLASS_UNKNOWN && !n.e.country && !n.e.number[0]);
    bobs_phone(x, BOB2);
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
    dial_to(x, fresh(x), "sip:bob@example.com");
    assert_non_null(sent(x, BOB, "INVITE "));
    assert_null(got(x, INTENT_FRAUD, 0));
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
    dial_to(x, fresh(x), "sip:bob@example.com");
    keep(inv, sizeof inv, sent(x, BOB, "INVITE "));
    keep(out, sizeof out, answer(inv, 302, "f1", RANGED "@example.com", ""));
    message(x, &fb, out);
    assert_non_null(sent(x, PBX, "INVITE "));
    bool seen = false;
    for (unsigned i = 0; got(x, INTENT_FRAUD, i); i++) {
        struct news n;
        memcpy(&n, got(x, INTENT_FRAUD, i), sizeof n);
        assert_true(n.e.identity == identity(BOBS));
        if (n.e.what != FRAUD_FORWARDED)
            continue;
        assert_false(seen);
        seen = true;
        assert_true(n.e.session && n.e.kind == CLASS_INTERNATIONAL);
        assert_int_equal(n.e.country, 'A' << 8 | 'T');
        assert_string_equal(n.e.number, "+4319123456");
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

/* --- news of another engine --- */

static struct news attempt(struct str who)
{
    return (struct news){.e = {.identity = identity(who),
                               .session = 7,
                               .country = 'A' << 8 | 'T',
                               .what = FRAUD_ATTEMPT,
                               .kind = CLASS_INTERNATIONAL,
                               .number = "+4319123456"},
                         .kind = EVENT,
                         .who_n = (uint8_t)who.n};
}

static void hears(struct fixture *x, const struct news *n, struct str who)
{
    char mem[sizeof *n + 256];
    memcpy(mem, n, sizeof *n);
    memcpy(mem + sizeof *n, who.p, who.n);
    core_fraud(core(x), str_of(mem, sizeof *n + who.n), x->g.now);
    collect(x);
}

/* Home judges once more; what was done already is not done again. */
static void home_judges(void **state)
{
    struct fixture *x = *state;
    struct leg *l = talks(x);
    static const struct {
        enum fraud_act level;
        uint8_t taken;
        bool told, cut, lock;
    } row[] = {
        {FRAUD_NOTIFY, FRAUD_LOG, false, false, false},
        {FRAUD_REFUSE, FRAUD_LOG, false, false, false},
        {FRAUD_CUT, FRAUD_REFUSE, true, true, false},
        {FRAUD_CUT, FRAUD_CUT, false, false, false},
        {FRAUD_LOCK, FRAUD_CUT, true, true, true},
        {FRAUD_LOCK, FRAUD_LOCK, false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct news n = attempt(ALICES);
        level(x, row[i].level);
        n.act = row[i].taken;
        l->pay.cut = false;
        hears(x, &n, ALICES);
        assert_int_equal(money(x) != NULL, row[i].told);
        assert_int_equal(l->pay.cut, row[i].cut);
        assert_int_equal(got(x, INTENT_BAN, 0) != NULL, row[i].lock);
        if (!row[i].told)
            continue;
        const struct fact *f = money(x);
        assert_int_equal(f->u.money.session, 7);
        assert_int_equal(f->u.money.signs, 1u << SIGN_RANGE);
        assert_str(TEXT_STR(f->u.money.who), "alice@example.com");
        assert_str(TEXT_STR(f->u.money.to), "+4319123456");
        assert_true(f->u.money.number_class == CLASS_INTERNATIONAL);
        n = news_of(x, ALICES);
        assert_true(n.kind == CUT && n.act == row[i].level);
    }
    assert_int_equal(counted(x, REASON_ipc_malformed), 0);
}

/* What a call cost cuts nobody: it is over. It may lock. */
static void ends_only_lock(void **state)
{
    struct fixture *x = *state;
    struct leg *l = talks(x);
    struct news n = attempt(ALICES);
    n.e.what = FRAUD_ENDED;
    n.e.seconds = 600;
    n.e.micro = INT64_C(100000) * 1000000;
    level(x, FRAUD_CUT);
    x->g.policy.fraud.off_signs = 0;
    fraud_policy_set(core(x)->fraud, &x->g.policy.fraud);
    hears(x, &n, ALICES);
    assert_non_null(money(x));
    assert_false(l->pay.cut);
    assert_null(got(x, INTENT_FRAUD, 0));
    level(x, FRAUD_LOCK);
    x->g.policy.fraud.off_signs = 0;
    fraud_policy_set(core(x)->fraud, &x->g.policy.fraud);
    n.e.micro *= 10;
    hears(x, &n, ALICES);
    assert_non_null(got(x, INTENT_BAN, 0));
    assert_true(l->pay.cut);
}

static void told_to_cut(void **state)
{
    struct fixture *x = *state;
    struct leg *l = talks(x);
    struct news n = {.kind = CUT, .act = FRAUD_CUT, .who_n = (uint8_t)BOBS.n};
    hears(x, &n, BOBS);
    assert_false(l->pay.cut);
    n.who_n = (uint8_t)ALICES.n;
    hears(x, &n, ALICES);
    assert_true(l->pay.cut);
    assert_null(got(x, INTENT_BAN, 0));
    assert_null(got(x, INTENT_FRAUD, 0)); /* who tells tells all */
    pass_ms(x, 10);
    assert_non_null(sent(x, PBX, "BYE "));
    assert_int_equal(counted(x, REASON_ipc_malformed), 0);
}

static void refused(struct fixture *x, const struct news *n, struct str who, const char *what)
{
    static uint64_t before;
    before = counted(x, REASON_ipc_malformed);
    hears(x, n, who);
    if (counted(x, REASON_ipc_malformed) != before + 1)
        fail_msg("%s", what);
    assert_null(money(x));
    assert_null(got(x, INTENT_BAN, 0));
    assert_null(got(x, INTENT_FRAUD, 0));
    assert_false(leg_that_pays(x)->pay.cut);
}

/* Nothing in it is believed. */
static void bad_news(void **state)
{
    struct fixture *x = *state;
    const struct news good = attempt(ALICES);
    struct news n;
    (void)talks(x);
    level(x, FRAUD_LOCK);
#define BAD(change)                                                                                \
    do {                                                                                           \
        n = good;                                                                                  \
        change;                                                                                    \
        refused(x, &n, ALICES, #change);                                                           \
    } while (0)
    BAD(n.kind = 0);
    BAD(n.kind = CUT + 1);
    BAD(n.act = FRAUD_LEVELS);
    BAD(n.who_n--);
    BAD(n.who_n++);
    BAD(n.e.identity++);
    BAD(n.e.identity = identity(BOBS));
    BAD(n.e.identity = 0);
    BAD(n.e.what = FRAUD_INBOUND + 1);
    BAD(n.e.kind = CLASS_COUNT);
    BAD(n.e.micro = -1);
    BAD(memset(n.e.number, '1', sizeof n.e.number)); /* has no end */
    BAD(n.e.number[3] = 'x');
    BAD(n.e.number[3] = '+');
    BAD(n.e.number[0] = '-');
    BAD(n.kind = CUT; n.e.number[1] = '\r');
    n = good;
    n.who_n = 0;
    refused(x, &n, STR(""), "nobody");
    char name[REQUEST_USER_MAX + 1];
    memset(name, '@', sizeof name);
    n = good;
    n.kind = CUT;
    n.who_n = sizeof name;
    refused(x, &n, str_of(name, sizeof name), "too long");
    core_fraud(core(x), str_of((const char *)&good, sizeof good - 1), x->g.now);
    assert_int_equal(counted(x, REASON_ipc_malformed), 19);
    n = good; /* each of these is the last that is good */
    memset(n.e.number + 1, '9', sizeof n.e.number - 2);
    n.e.what = FRAUD_INBOUND;
    n.e.kind = CLASS_COUNT - 1;
    n.act = FRAUD_LEVELS - 1;
    hears(x, &n, ALICES);
    assert_int_equal(counted(x, REASON_ipc_malformed), 19);
    core(x)->env.fraud = NULL; /* switched off: not even looked at */
    core_fraud(core(x), STR("x"), x->g.now);
    assert_int_equal(counted(x, REASON_ipc_malformed), 19);
}

/* They are at home elsewhere: whoever told us does not know where they are. */
static void not_at_home(void **state)
{
    struct fixture *x = *state;
    struct news n = attempt(ALICES);
    (void)talks(x);
    level(x, FRAUD_LOCK);
    refused(x, &n, ALICES, "elsewhere");
    n.e.what = FRAUD_ENDED;
    refused(x, &n, ALICES, "elsewhere");
    assert_false(core_fraud_release(core(x), ALICES, x->g.now));
}

static void released(void **state)
{
    struct fixture *x = *state;
    struct news n = attempt(ALICES);
    level(x, FRAUD_LOG);
    assert_false(core_fraud_release(core(x), ALICES, x->g.now)); /* nothing is known */
    hears(x, &n, ALICES);
    assert_true(core_fraud_release(core(x), ALICES, x->g.now));
    assert_false(core_fraud_release(core(x), BOBS, x->g.now));
    assert_false(core_fraud_release(core(x), STR_NONE, x->g.now));
    core(x)->env.fraud = NULL; /* switched off, what was held is still there */
    assert_true(core_fraud_release(core(x), ALICES, x->g.now));
    core(x)->fraud = NULL;
    assert_false(core_fraud_release(core(x), ALICES, x->g.now));
}

int main(void)
{
#define HERE(f) cmocka_unit_test_setup_teardown(f, here, end)
#define ELSE(f) cmocka_unit_test_setup_teardown(f, elsewhere, end)
    const struct CMUnitTest tests[] = {
        HERE(each_verdict),    HERE(the_lock),      HERE(of_a_peer),      HERE(a_cap),
        HERE(told_in_measure), HERE(the_cut),       ELSE(of_a_call),      ELSE(of_no_answer),
        ELSE(of_callers),      ELSE(of_forwarding), ELSE(of_registering), HERE(home_judges),
        HERE(ends_only_lock),  HERE(told_to_cut),   HERE(bad_news),       ELSE(not_at_home),
        HERE(released)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
