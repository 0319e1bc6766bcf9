/* What another engine tells of those who are at home here, and what of it is believed. */
#include "call/learn_test.h"

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
    core(x)->cfg.engines = ENGINES;
    core_fraud(core(x), str_of(mem, sizeof *n + who.n), x->g.now);
    core(x)->cfg.engines = 1;
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
    struct news n = attempt(ALICES); /* and what shows nothing is not told */
    n.e.what = FRAUD_ANSWERED;
    hears(x, &n, ALICES);
    assert_null(money(x));
    assert_int_equal(counted(x, REASON_ipc_malformed), 0);
}

/* What a call cost cuts nobody: it is over. It may lock. */
static void ends_only_lock(void **state)
{
    struct fixture *x = *state;
    struct leg *l = talks(x);
    struct news n = attempt(ALICES);
    n.e.what = FRAUD_ENDED;
    n.act = FRAUD_LOCK; /* was taken as it began */
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
    n.kind = CUT;
    n.who_n = 0;
    refused(x, &n, STR(""), "nobody");
    char name[REQUEST_USER_MAX + 1];
    memset(name, '@', sizeof name);
    n.who_n = sizeof name;
    refused(x, &n, str_of(name, sizeof name), "too long");
    char *less = malloc(sizeof good - 1);
    memcpy(less, &good, sizeof good - 1);
    core_fraud(core(x), str_of(less, sizeof good - 1), x->g.now);
    free(less);
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
    const struct CMUnitTest tests[] = {HERE(home_judges), HERE(ends_only_lock), HERE(told_to_cut),
                                       HERE(bad_news),    ELSE(not_at_home),    HERE(released)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
