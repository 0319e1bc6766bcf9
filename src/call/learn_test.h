/* For tests only: two engines, one of which hears of alice's and bob's calls while they are at home
 * in it or in the other. */
#ifndef CALL_LEARN_TEST_H
#define CALL_LEARN_TEST_H
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

static inline uint64_t identity(struct str who)
{
    return ledger_key_of(&key, LEDGER_IDENTITY, who);
}

/* Only that range is a sign; what it leads to. */
static inline void judges(struct fraud_policy *f, enum fraud_act act)
{
    fraud_policy_default(f);
    memset(f->level, 0, sizeof f->level);
    f->level[act] = 1;
    f->seed_off = true;
    f->off_signs = ((1u << SIGN_COUNT) - 1) & ~(1u << SIGN_RANGE);
    assert_ok(fraud_range_add(f, STR("4319"), 100));
}

static inline struct core *core(struct fixture *x)
{
    return x->g.core[0];
}

/* From now on. */
static inline void level(struct fixture *x, enum fraud_act act)
{
    judges(&x->g.policy.fraud, act);
    fraud_policy_set(core(x)->fraud, &x->g.policy.fraud);
}

/* alice and bob are both at home in that engine; their calls come to us all the same. */
static inline int begin(void **state, uint8_t home)
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
    core(x)->cfg.engines = 1;
    bind_phone(x, "bob", BOB, 500);
    *state = x;
    return 0;
}

static inline int here(void **state)
{
    return begin(state, 0);
}

static inline int elsewhere(void **state)
{
    return begin(state, 1);
}

static inline int end(void **state)
{
    for (unsigned i = 0; i < ENGINES; i++)
        free(shard[i]);
    return teardown(state);
}

/* The nth thing of that kind that came out; NULL: there is none. */
static inline const void *got(struct fixture *x, enum intent_kind kind, unsigned nth)
{
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == kind && !nth--)
            return x->text[i];
    return NULL;
}

static inline const struct fact *money(struct fixture *x)
{
    for (unsigned i = 0; i < x->n_got; i++) {
        const struct fact *f = got(x, INTENT_FACT, i);
        if (f && f->kind == FACT_MONEY)
            return f;
    }
    return NULL;
}

/* The only news, about that one and for the other engine. */
static inline struct news news_of(struct fixture *x, struct str who)
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

/* That call of theirs, or to them, and that range. */
static inline void about(const struct news *n, enum fraud_what what, struct str who)
{
    assert_true(n->kind == EVENT && n->e.what == what && n->e.identity == identity(who));
    assert_true(n->e.kind == CLASS_INTERNATIONAL && n->e.country == ('A' << 8 | 'T'));
    assert_string_equal(n->e.number, "+4319123456");
}

static inline struct leg *leg_that_pays(struct fixture *x)
{
    uint32_t it = 0;
    struct leg *l;
    while ((l = pool_next(&core(x)->legs, &it)))
        if (l->pay.on)
            return l;
    fail();
    return NULL;
}

static inline const char *fresh(void)
{
    static unsigned n;
    static char id[16];
    (void)snprintf(id, sizeof id, "id%u", n++);
    return id;
}

/* alice's call to the outside; its leg there. */
static inline struct leg *talks(struct fixture *x)
{
    static char inv[4096];
    dial_to(x, fresh(), "sip:" PLAIN "@example.com");
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 200, SDP_P);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    return leg_that_pays(x);
}

static inline struct request asked(struct fixture *x, struct str user)
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

static inline void judged(struct fixture *x, const struct request *r, enum reason why)
{
    core(x)->cfg.engines = ENGINES;
    money_judged(core(x), r, why);
    core(x)->cfg.engines = 1;
    collect(x);
}
#endif
