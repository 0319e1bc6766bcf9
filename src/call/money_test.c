/* What calls hold in the ledger: taken once, given back however they end, cut when a cap is
 * reached. */
#include "call/payer.h"
#include "call/trunks_test.h"

#define ROWS 256u

static struct ledger_shard *shard;
static const struct sipkey ledger_key = {11, 12};

static int money_setup(void **state)
{
    (void)setup(state);
    struct fixture *x = *state;
    struct gateway *g = &x->g;
    struct core_cfg *c = &g->cfg[0];
    size_t bytes = ledger_bytes(ROWS);
    trunks(&g->policy, 2);
    shard = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    memset(shard, 0, bytes);
    ledger_begin(shard, ROWS, &ledger_key);
    c->ledger = (struct ledger){.own = shard, .shard = {shard}, .bytes = {bytes}, .n = 1};
    c->ledger_key = ledger_key;
    memset(g->mem[0], 0, core_bytes(c));
    memset(g->ports, 0, sizeof g->ports);
    intents_reset(&g->intents[0]);
    g->core[0] = core_init(g->mem[0], c, g->now);
    assert_non_null(g->core[0]);
    test_open_ports(g->core[0], 0);
    return 0;
}

static int money_teardown(void **state)
{
    free(shard);
    return teardown(state);
}

static struct ledger_sum sum(struct fixture *x, enum ledger_kind k, const char *name)
{
    return ledger_sum(&x->g.cfg[0].ledger, k, ledger_key_of(&ledger_key, k, str_c(name)),
                      x->g.now.wall);
}

static struct ledger_sum alices(struct fixture *x)
{
    return sum(x, LEDGER_IDENTITY, "alice@example.com");
}

static struct caps *caps(struct fixture *x)
{
    x->g.policy.roles[0].off_caps = x->g.policy.roles[0].caps;
    return &x->g.policy.roles[0].caps;
}

#define NUMBER "004930123456"
static struct rate rate_of(struct fixture *x)
{
    struct dial_plan plan = policy_plan(&x->g.policy, &x->g.policy.sites[0]);
    struct number n;
    assert_ok(number_of(&plan, STR(NUMBER), &n));
    return rate_of_class(n.kind);
}

/* It was told; there is one. */
__attribute__((returns_nonnull)) static const struct fact *fact(struct fixture *x,
                                                                enum fact_kind kind)
{
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const struct fact *)(const void *)x->text[i];
        if (x->got[i].kind == INTENT_FACT && f->kind == kind)
            return f;
    }
    fail();
    abort();
}

static void dial(struct fixture *x, const char *id)
{
    dial_to(x, id, "sip:" NUMBER "@example.com");
}

struct outside {
    char invite[4096], ok[4096]; /* to the trunk; to alice */
    int cseq;
};

static void answered(struct fixture *x, struct outside *o, const char *id)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    o->cseq = 3;
    dial(x, id);
    const char *inv = sent(x, PBX, "INVITE ");
    assert_non_null(inv);
    (void)snprintf(o->invite, sizeof o->invite, "%s", inv);
    answer_from(x, PBX, o->invite, 200, SDP_P);
    const char *ok = sent(x, ALICE, "SIP/2.0 200 ");
    assert_non_null(ok);
    (void)snprintf(o->ok, sizeof o->ok, "%s", ok);
    message(x, &f,
            request("ACK", "sip:x@" TEST_OUTSIDE, "<sip:alice@example.com>;tag=d1",
                    field(o->ok, "To").p, id, 2, "", ""));
}

static void says(struct fixture *x, struct outside *o, const char *id, const char *method,
                 const char *more)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    message(x, &f,
            request(method, "sip:x@" TEST_OUTSIDE, "<sip:alice@example.com>;tag=d1",
                    field(o->ok, "To").p, id, o->cseq++, more, ""));
}

static void expect(struct fixture *x, unsigned calls, unsigned attempts)
{
    struct ledger_sum s = alices(x);
    assert_int_equal(s.calls, calls);
    assert_int_equal(s.attempts_min, attempts);
    assert_int_equal(sum(x, LEDGER_SYSTEM, "system").calls, calls);
    assert_int_equal(sum(x, LEDGER_ROLE, "user").calls, calls);
}

static void test_bye(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    answered(x, &o, "one");
    expect(x, 1, 1);
    assert_int_equal(sum(x, LEDGER_TRUNK, "pbx").calls, 1);
    int64_t reserved = alices(x).micro[SPAN_DAY];
    assert_true(reserved > 0);
    pass_ms(x, 59900);
    pass_ms(x, 100500 - 59900);
    says(x, &o, "one", "BYE", "");
    assert_non_null(sent(x, PBX, "BYE "));
    const struct fact *f = fact(x, FACT_CALL_END);
    assert_true(f->u.end.bill.priced);
    assert_int_equal(f->u.end.bill.seconds, 101); /* what has begun is paid for */
    assert_true(f->u.end.bill.micro > reserved);
    expect(x, 0, 0); /* the minute of the attempt is over */
    assert_int_equal(alices(x).micro[SPAN_DAY], f->u.end.bill.micro);
    assert_int_equal(sum(x, LEDGER_TRUNK, "pbx").micro[SPAN_MONTH], f->u.end.bill.micro);
    assert_int_equal(alices(x).seconds[SPAN_HOUR], 101);
    nothing_left(x);
}

static void test_cancel(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char text[2048];
    dial(x, "two");
    expect(x, 1, 1);
    assert_non_null(sent(x, PBX, "INVITE "));
    /* The CANCEL bears the branch of the INVITE: that of the last request written. */
    (void)snprintf(text, sizeof text, "%s",
                   request("CANCEL", "sip:" NUMBER "@example.com", "<sip:alice@example.com>;tag=d1",
                           "<sip:" NUMBER "@example.com>", "two", 2, "", ""));
    char *b = strstr(text, "z9hG4bKb");
    int n = atoi(b + 8);
    char was[16], is[16];
    (void)snprintf(was, sizeof was, "Kb%d;", n);
    (void)snprintf(is, sizeof is, "Kb%d;", n - 1);
    if (strlen(was) == strlen(is))
        memcpy(strstr(text, was), is, strlen(is));
    message(x, &f, text);
    assert_non_null(sent(x, ALICE, "SIP/2.0 487 "));
    expect(x, 0, 1);
    assert_int_equal(alices(x).micro[SPAN_MONTH], 0);
    nothing_left(x);
}

static void test_refused_outside(void **state)
{
    static const unsigned codes[] = {486, 603, 404};
    struct fixture *x = *state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char id[8], text[4096];
        (void)snprintf(id, sizeof id, "r%zu", i);
        dial(x, id);
        (void)snprintf(text, sizeof text, "%s", sent(x, PBX, "INVITE "));
        expect(x, 1, (unsigned)i + 1);
        answer_from(x, PBX, text, codes[i], "");
        assert_non_null(sent(x, ALICE, "SIP/2.0 "));
        expect(x, 0, (unsigned)i + 1);
        assert_int_equal(alices(x).micro[SPAN_HOUR], 0);
    }
    nothing_left(x);
}

static void test_nobody_answers(void **state)
{
    struct fixture *x = *state;
    char text[4096];
    dial(x, "ring");
    (void)snprintf(text, sizeof text, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, text, 180, "");
    for (int i = 0; i < 620; i++)
        pass_ms(x, 100);
    assert_int_equal(alices(x).calls, 0);
    assert_int_equal(alices(x).micro[SPAN_MONTH], 0);
    nothing_left(x);
}

/* One attempt and one call at once, whichever trunk has it. */
static void test_failover(void **state)
{
    struct fixture *x = *state;
    char text[4096];
    caps(x)->calls = 1;
    caps(x)->attempts_min = 1;
    caps(x);
    dial(x, "fail");
    (void)snprintf(text, sizeof text, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, text, 503, "");
    const char *inv = sent(x, TRUNK2, "INVITE ");
    assert_non_null(inv);
    expect(x, 1, 1);
    assert_int_equal(sum(x, LEDGER_TRUNK, "pbx").calls, 0);
    assert_int_equal(sum(x, LEDGER_TRUNK, "trunk2").calls, 1);
    (void)snprintf(text, sizeof text, "%s", inv);
    answer_from(x, TRUNK2, text, 486, "");
    expect(x, 0, 1);
    assert_int_equal(sum(x, LEDGER_TRUNK, "trunk2").calls, 0);
    nothing_left(x);
}

static void refused(struct fixture *x, const char *id, enum reason why)
{
    dial(x, id);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_null(sent(x, PBX, "INVITE "));
    assert_int_equal(x->g.counters[0].n[why], 1);
    const struct fact *f = fact(x, FACT_MONEY);
    assert_int_equal(f->u.money.act, MONEY_REFUSED);
    assert_int_equal(f->reason, why);
    assert_str(TEXT_STR(f->u.money.who), "alice@example.com");
}

static void test_cap_calls(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    caps(x)->calls = 1;
    caps(x);
    answered(x, &o, "first");
    refused(x, "second", REASON_fraud_calls);
    expect(x, 1, 1);
    says(x, &o, "first", "BYE", "");
    dial(x, "third");
    assert_non_null(sent(x, PBX, "INVITE "));
}

static void test_cap_attempts(void **state)
{
    struct fixture *x = *state;
    char text[4096];
    caps(x)->attempts_min = 2;
    caps(x);
    for (int i = 0; i < 2; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "a%d", i);
        dial(x, id);
        (void)snprintf(text, sizeof text, "%s", sent(x, PBX, "INVITE "));
        answer_from(x, PBX, text, 486, "");
    }
    refused(x, "third", REASON_fraud_attempts);
    for (int i = 0; i < 1200; i++)
        pass_ms(x, 100);
    dial(x, "later");
    assert_non_null(sent(x, PBX, "INVITE "));
}

static void test_cap_money(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    struct rate r = rate_of(x);
    x->g.policy.system.micro[SPAN_DAY] = rate_price(&r, 30);
    answered(x, &o, "dear");
    pass_ms(x, 1000);
    says(x, &o, "dear", "BYE", ""); /* at least a second was used of it */
    x->g.policy.system.micro[SPAN_DAY] = 1;
    refused(x, "more", REASON_fraud_money);
    x->g.policy.system = (struct caps){.seconds = {1, 0, 0}};
    refused(x, "minutes", REASON_fraud_minutes);
    x->g.policy.system = (struct caps){.call_micro = 1};
    refused(x, "call", REASON_fraud_call_money);
}

/* The trunk's own: the other one takes the call, until that has enough, too. */
static void test_cap_trunk(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    x->g.policy.peers[0].caps.calls = x->g.policy.peers[1].caps.calls = 1;
    answered(x, &o, "t1");
    dial(x, "t2");
    assert_null(sent(x, PBX, "INVITE "));
    assert_non_null(sent(x, TRUNK2, "INVITE "));
    dial(x, "t3");
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    expect(x, 2, 2);
}

static void pass_s(struct fixture *x, unsigned s, const char **ret_bye)
{
    static char bye[4096];
    for (unsigned i = 0; i < s * 10; i++) {
        pass_ms(x, 100);
        const char *b = sent(x, ALICE, "BYE ");
        if (b && ret_bye && !*ret_bye) {
            (void)snprintf(bye, sizeof bye, "%s", b);
            *ret_bye = bye;
            return;
        }
    }
}

/* To the second, both sides, with its reason; and never more than the cap is spent. */
static void test_cut(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    const char *bye = NULL;
    caps(x)->call_s = 90;
    caps(x);
    answered(x, &o, "long");
    int64_t up = x->g.now.mono.us;
    pass_s(x, 100, &bye);
    assert_non_null(bye);
    assert_in_range((uint64_t)(x->g.now.mono.us - up), 89500000, 90000000);
    assert_non_null(sent(x, PBX, "BYE "));
    assert_non_null(strstr(bye, "Reason: Q.850;cause="));
    const struct fact *f = fact(x, FACT_CALL_END);
    assert_int_equal(f->reason, REASON_fraud_cut);
    assert_int_equal(f->u.end.bill.seconds, 90);
    (void)fact(x, FACT_MONEY);
    expect(x, 0, 0);
    assert_int_equal(alices(x).seconds[SPAN_DAY], 90);
}

static void test_cut_by_money(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    const char *bye = NULL;
    struct rate r = rate_of(x);
    int64_t cap = rate_price(&r, 240) + 1;
    caps(x)->micro[SPAN_DAY] = cap;
    caps(x);
    answered(x, &o, "long");
    pass_s(x, 400, &bye);
    assert_non_null(bye);
    assert_true(alices(x).micro[SPAN_DAY] <= cap);
    assert_true(alices(x).micro[SPAN_DAY] > cap / 2);
    assert_int_equal(x->g.counters[0].n[REASON_fraud_cut], 1);
}

/* Who transfers pays on, though he has gone. */
static void test_transfer_outside_leg(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    char far[4096], near[4096], from[512];
    x->g.policy.zones[ZONE_PHONES].services = SERVICE_TRANSFER;
    register_bob(x);
    answered(x, &o, "blind");
    pass_ms(x, 5000);
    says(x, &o, "blind", "REFER", "Refer-To: <sip:bob@example.com>\r\n");
    const char *inv = sent(x, BOB, "INVITE ");
    assert_non_null(inv);
    (void)snprintf(far, sizeof far, "%s", inv);
    answer_from(x, BOB, far, 200, SDP_B);
    const char *re = sent(x, PBX, "INVITE ");
    assert_non_null(re);
    (void)snprintf(near, sizeof near, "%s", re);
    answer_from(x, PBX, near, 200, SDP_P);
    const struct fact *f = fact(x, FACT_CALL_END);
    int64_t before = f->u.end.bill.micro;
    assert_int_equal(f->u.end.bill.seconds, 5);
    assert_int_equal(alices(x).calls, 1);
    pass_ms(x, 5000);
    assert_int_equal(alices(x).calls, 1);
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    (void)snprintf(from, sizeof from, "%s;tag=t9", field(far, "To").p);
    message(x, &fb,
            request("BYE", "sip:x@" TEST_OUTSIDE, from, field(far, "From").p,
                    field(far, "Call-ID").p, 7, "", ""));
    f = fact(x, FACT_CALL_END);
    assert_int_equal(f->u.end.bill.seconds, 5); /* the rest: together as the trunk counts it */
    assert_int_equal(alices(x).calls, 0);
    assert_int_equal(alices(x).micro[SPAN_DAY], before + f->u.end.bill.micro);
}

/* The one who is called redirects outside: it is his money. */
static void test_redirect(void **state)
{
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    char text[4096], out[8192];
    x->g.policy.zones[ZONE_PHONES].redirect = true;
    register_bob(x);
    dial_to(x, "fwd", "sip:bob@example.com");
    expect(x, 0, 0);
    (void)snprintf(text, sizeof text, "%s", sent(x, BOB, "INVITE "));
    (void)snprintf(out, sizeof out, "%s", answer(text, 302, "f1", "5551@example.com", ""));
    message(x, &fb, out);
    assert_non_null(sent(x, PBX, "INVITE sip:5551@"));
    assert_int_equal(alices(x).calls, 0);
    assert_int_equal(sum(x, LEDGER_IDENTITY, "bob@example.com").calls, 1);
    (void)snprintf(text, sizeof text, "%s", sent(x, PBX, "INVITE sip:5551@"));
    answer_from(x, PBX, text, 486, "");
    assert_int_equal(sum(x, LEDGER_IDENTITY, "bob@example.com").calls, 0);
    nothing_left(x);
}

static void test_locked(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    const char *bye = NULL;
    uint32_t unused;
    struct ban b = {.scope = BAN_AOR,
                    .treat = TREAT_LOCK,
                    .reason = REASON_fraud_locked,
                    .key = money_lock_key(&x->g.cfg[0].hash_key, STR("alice@example.com"))};
    answered(x, &o, "live");
    assert_ok(ban_put(x->g.bans, TEST_BANS, &b, &unused));
    dial(x, "no");
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_int_equal(x->g.counters[0].n[REASON_fraud_locked], 1);
    register_bob(x);
    dial_to(x, "within", "sip:bob@example.com");
    assert_non_null(sent(x, BOB, "INVITE "));
    pass_s(x, 60, &bye);
    assert_non_null(bye); /* the one that was up */
    assert_int_equal(x->g.counters[0].n[REASON_fraud_cut], 1);
}

static void test_emergency(void **state)
{
    struct fixture *x = *state;
    struct outside o;
    caps(x)->calls = caps(x)->attempts_min = 1;
    x->g.policy.system = (struct caps){.calls = 1, .attempts_min = 1, .micro = {1, 1, 1}};
    caps(x);
    x->g.policy.system.micro[0] = x->g.policy.system.micro[1] = x->g.policy.system.micro[2] = 0;
    answered(x, &o, "one");
    dial_to(x, "help", "sip:112@example.com");
    assert_non_null(sent(x, PBX, "INVITE "));
    assert_int_equal(sum(x, LEDGER_SYSTEM, "system").calls, 2);
}

/* What was spent this month is not known: nothing that costs goes out, calls for help do; the month
 * after it does not matter. */
static void test_unknown(void **state)
{
    struct fixture *x = *state;
    struct rate free_ = {.minimum_s = 60, .increment_s = 60};
    x->g.policy.spent_unknown = x->g.now.wall;
    dial(x, "one");
    assert_null(sent(x, PBX, "INVITE "));
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_int_equal(x->g.counters[0].n[REASON_fraud_unknown], 1);
    expect(x, 0, 0);
    dial_to(x, "help", "sip:112@example.com");
    assert_non_null(sent(x, PBX, "INVITE "));
    assert_int_equal(money_unknown(&x->g.policy, &free_, x->g.now.wall), REASON_NONE);
    struct rate dear = rate_of(x);
    assert_int_equal(money_unknown(&x->g.policy, &dear, x->g.now.wall), REASON_fraud_unknown);
    struct wall later = {x->g.now.wall.us + INT64_C(32) * 86400 * 1000000};
    assert_int_equal(money_unknown(&x->g.policy, &dear, later), REASON_NONE);
    x->g.policy.spent_unknown.us = 0;
    dial(x, "two");
    assert_non_null(sent(x, PBX, "INVITE "));
    assert_int_equal(alices(x).calls, 2); /* and the call for help */
}

#define MONEY(t) cmocka_unit_test_setup_teardown(t, money_setup, money_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        MONEY(test_bye),
        MONEY(test_cancel),
        MONEY(test_refused_outside),
        MONEY(test_nobody_answers),
        MONEY(test_failover),
        MONEY(test_cap_calls),
        MONEY(test_cap_attempts),
        MONEY(test_cap_money),
        MONEY(test_cap_trunk),
        MONEY(test_cut),
        MONEY(test_cut_by_money),
        MONEY(test_transfer_outside_leg),
        MONEY(test_redirect),
        MONEY(test_locked),
        MONEY(test_emergency),
        MONEY(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
