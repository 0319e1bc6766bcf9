/* Who pays, by which caps and prices. */
#include "call/fixture_test.h"
#include "call/payer.h"

#define DAY INT64_C(86400)
static struct policy p;
static struct gate_env e;

static struct wall at(int64_t s) /* since Thursday 1970-01-01 */
{
    return (struct wall){s * 1000000};
}

static int setup(void **state)
{
    static uint8_t mem[FIXTURE_DIRECTORY_BYTES] __attribute__((aligned(64)));
    (void)state;
    fixture_policy(&p);
    struct directory *d = fixture_directory(mem);
    p.n_sites = 2;
    p.sites[0].name = fixture_text(&p, "berlin");
    p.sites[1].name = fixture_text(&p, "york");
    p.sites[1].n_week = 1; /* Monday to Wednesday */
    p.sites[1].week[0].to = 3 * 1440;
    assert_ok(directory_put(d, &(struct directory_entry){.aor = STR("eve@example.com"),
                                                         .role = STR("internal"),
                                                         .site = STR("york")}));
    assert_ok(directory_put(d, &(struct directory_entry){.aor = STR("odd@example.com"),
                                                         .role = STR("gone"),
                                                         .site = STR("gone")}));
    e = (struct gate_env){.policy = &p, .directory = d};
    return 0;
}

static void who(void **state)
{
    (void)state;
    struct payer x = money_payer(&e, STR("eve@example.com"), at(0));
    assert_true(x.user && x.off_hours); /* a Thursday */
    assert_int_equal(x.role, 1);
    assert_ptr_equal(x.site, &p.sites[1]);
    assert_false(money_payer(&e, STR("eve@example.com"), at(4 * DAY)).off_hours); /* Monday */
    x = money_payer(&e, STR("pbx"), at(0));
    assert_false(x.user || x.off_hours);
    assert_int_equal(x.role, POLICY_NONE);
    assert_ptr_equal(x.site, &p.sites[0]);
    /* who was taken out of the directory while he talks, or has a role that is gone: the first one,
     * and never no caps at all */
    x = money_payer(&e, STR("nobody@example.com"), at(0));
    assert_true(x.user);
    assert_int_equal(x.role, 0);
    x = money_payer(&e, STR("odd@example.com"), at(0));
    assert_int_equal(x.role, 0);
    assert_ptr_equal(x.site, &p.sites[0]);
    x = money_payer(&e, STR_NONE, at(0));
    assert_false(x.user);
    assert_non_null(x.site);
}

static void whose_caps(void **state)
{
    struct payer x = {.role = 1, .user = true};
    (void)state;
    assert_ptr_equal(money_caps(&p, &x, LEDGER_IDENTITY, 0, 0), &p.roles[1].caps);
    x.off_hours = true;
    assert_ptr_equal(money_caps(&p, &x, LEDGER_IDENTITY, 0, 0), &p.roles[1].off_caps);
    assert_ptr_equal(money_caps(&p, &x, LEDGER_ROLE, 0, 0), &p.roles[1].whole);
    assert_ptr_equal(money_caps(&p, &x, LEDGER_DEVICE, 0, 0), &p.roles[1].device);
    assert_ptr_equal(money_caps(&p, &x, LEDGER_CLASS, CLASS_PREMIUM, 0),
                     &p.class_caps[CLASS_PREMIUM]);
    assert_null(money_caps(&p, &x, LEDGER_CLASS, CLASS_COUNT, 0));
    assert_ptr_equal(money_caps(&p, &x, LEDGER_TRUNK, 0, 0), &p.peers[0].caps);
    assert_null(money_caps(&p, &x, LEDGER_TRUNK, 0, p.n_peers));
    assert_ptr_equal(money_caps(&p, &x, LEDGER_SYSTEM, 0, POLICY_NONE), &p.system);
    assert_null(money_caps(&p, &x, LEDGER_COUNTRY, 0, 0));
    assert_null(money_caps(&p, &x, LEDGER_PREFIX, 0, 0));
    x.role = POLICY_NONE; /* a peer's are the trunk's */
    assert_null(money_caps(&p, &x, LEDGER_IDENTITY, 0, 0));
    assert_null(money_caps(&p, &x, LEDGER_ROLE, 0, 0));
    assert_null(money_caps(&p, &x, LEDGER_DEVICE, 0, 0));
    assert_false(money_outside(&p, 0, CLASS_INTERNAL));
    assert_true(money_outside(&p, 0, CLASS_LOCAL));
    assert_false(money_outside(&p, POLICY_NONE, CLASS_LOCAL));
    p.peers[0].trunk = 1;
    assert_true(money_outside(&p, 0, CLASS_INTERNAL));
}

static void of_places(void **state)
{
    (void)state;
    assert_null(money_place(&p, STR("+4930123456")));
    p.places[0] = (struct policy_place){.country = 'A' << 8 | 'T'};
    p.places[1] = (struct policy_place){.prefix = "49", .prefix_n = 2};
    p.places[2] = (struct policy_place){.prefix = "4930", .prefix_n = 4};
    p.places[3] = (struct policy_place){.prefix = "493", .prefix_n = 3};
    p.n_places = 4;
    assert_ptr_equal(money_country_caps(&p, 'A' << 8 | 'T'), &p.places[0].caps);
    assert_null(money_country_caps(&p, 'D' << 8 | 'E'));
    assert_null(money_country_caps(&p, 0)); /* a prefix has none */
    assert_ptr_equal(money_place(&p, STR("+4930123456")), &p.places[2]);
    assert_ptr_equal(money_place(&p, STR("+4931")), &p.places[3]);
    assert_ptr_equal(money_place(&p, STR("+49")), &p.places[1]);
    assert_null(money_place(&p, STR("+4")));
    assert_null(money_place(&p, STR_NONE));
    p.n_places = 0;
}

static void has(const struct ledger_key *v, uint8_t n, enum ledger_kind kind, const char *name,
                const struct caps *c)
{
    const struct sipkey k = {1, 2};
    for (uint8_t i = 0; i < n; i++)
        if (v[i].kind == kind) {
            assert_int_equal(v[i].key, ledger_key_of(&k, kind, str_c(name)));
            assert_ptr_equal(v[i].caps, c);
            return;
        }
    fail_msg("no key for %s", name);
}

/* Each thing that a call counts for, once, with the caps that stand there. */
static void what_it_counts_for(void **state)
{
    const struct sipkey k = {1, 2};
    const struct payer who = {.who = STR("eve@example.com"), .role = 1, .user = true};
    const struct payer pbx = {.who = STR("pbx"), .role = POLICY_NONE};
    struct money_bill b = {.by = &who,
                           .number = STR("+4930123456"),
                           .country = 'D' << 8 | 'E',
                           .kind = CLASS_LOCAL,
                           .rate_prefix_n = 3};
    struct ledger_key v[LEDGER_KEYS];
    (void)state;
    uint8_t n = money_keys(&p, &k, &b, false, v);
    assert_int_equal(n, LEDGER_KEYS - 1); /* no device */
    has(v, n, LEDGER_IDENTITY, "eve@example.com", &p.roles[1].caps);
    has(v, n, LEDGER_ROLE, "internal", &p.roles[1].whole);
    has(v, n, LEDGER_CLASS, "local", &p.class_caps[CLASS_LOCAL]);
    has(v, n, LEDGER_COUNTRY, "DE", NULL);
    has(v, n, LEDGER_PREFIX, "493", NULL);
    has(v, n, LEDGER_TRUNK, "pbx", &p.peers[0].caps);
    has(v, n, LEDGER_SYSTEM, "system", &p.system);
    assert_int_equal(money_keys(&p, &k, &b, true, v), 0); /* no cap anywhere */
    p.places[0] = (struct policy_place){.country = 'D' << 8 | 'E', .caps.calls = 1};
    p.places[1] = (struct policy_place){.prefix = "4930", .prefix_n = 4};
    p.n_places = 2;
    p.roles[1].device.calls = 1;
    memset(&b.device, 0x11, sizeof b.device);
    n = money_keys(&p, &k, &b, false, v);
    assert_int_equal(n, LEDGER_KEYS);
    has(v, n, LEDGER_DEVICE, "1111111111111111", &p.roles[1].device);
    has(v, n, LEDGER_PREFIX, "4930", &p.places[1].caps);
    n = money_keys(&p, &k, &b, true, v);
    assert_int_equal(n, 2);
    has(v, n, LEDGER_DEVICE, "1111111111111111", &p.roles[1].device);
    has(v, n, LEDGER_COUNTRY, "DE", &p.places[0].caps);
    b = (struct money_bill){
        .by = &pbx, .kind = CLASS_UNKNOWN, .rate_prefix_n = 3, .peer = POLICY_NONE};
    n = money_keys(&p, &k, &b, false, v);
    assert_int_equal(n, 3);
    has(v, n, LEDGER_IDENTITY, "pbx", NULL);
    has(v, n, LEDGER_CLASS, "unknown", &p.class_caps[CLASS_UNKNOWN]);
    p.places[0] = (struct policy_place){0};
    p.n_places = 0;
    p.roles[1].device.calls = 0;
}

static void prices(void **state)
{
    static uint8_t mem[4096] __attribute__((aligned(64)));
    struct rates_entry v[2] = {{.prefix = "43", .deck = 1}, {.prefix = "431", .deck = 2}};
    struct number to = {.n = 10, .e164 = "+431580580", .kind = CLASS_INTERNATIONAL};
    size_t bad;
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        v[i].rate = (struct rate){.minute_micro = 60 + i, .minimum_s = 1, .increment_s = 1};
    assert_ok(rates_build(v, 2, mem, sizeof mem, &bad));
    e.rates = (const struct rates *)(const void *)mem;
    assert_true(money_rate(&e, 0, &to, at(0)).builtin); /* that peer has no deck */
    p.peers[0].deck = 1;
    assert_int_equal(money_rate(&e, 0, &to, at(0)).minute_micro, 60);
    p.peers[0].deck = 2;
    assert_int_equal(money_rate(&e, 0, &to, at(0)).minute_micro, 61);
    memcpy(to.e164, "+441580580", 10);
    struct rate r = money_rate(&e, 0, &to, at(0)); /* no deck knows it: never for nothing */
    assert_true(r.builtin && r.minute_micro == rate_of_class(CLASS_INTERNATIONAL).minute_micro);
    to = (struct number){.kind = CLASS_UNKNOWN};
    assert_true(money_rate(&e, 0, &to, at(0)).minute_micro >=
                rate_of_class(CLASS_SATELLITE).minute_micro);
    e.rates = NULL;
    assert_true(money_rate(&e, 0, &to, at(0)).builtin);
}

static void unknown_sums(void **state)
{
    const struct rate dear = {.minute_micro = 1, .minimum_s = 60, .increment_s = 60},
                      none = {.minimum_s = 60, .increment_s = 60};
    (void)state;
    assert_int_equal(money_unknown(&p, &dear, at(DAY)), REASON_NONE);
    p.spent_unknown = at(DAY);
    assert_int_equal(money_unknown(&p, &dear, at(DAY)), REASON_fraud_unknown);
    assert_int_equal(money_unknown(&p, &dear, at(31 * DAY - 1)), REASON_fraud_unknown);
    assert_int_equal(money_unknown(&p, &dear, at(31 * DAY)), REASON_NONE); /* February */
    assert_int_equal(money_unknown(&p, &none, at(DAY)), REASON_NONE);
}

/* Each cap from both sides. */
static void reached(void **state)
{
    struct ledger_sum s = {.calls = 2, .attempts_min = 5};
    struct ledger_refusal r = {0};
    struct caps c = {0};
    (void)state;
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        s.seconds[i] = 100 * (i + 1);
        s.micro[i] = 1000 * (i + 1);
    }
    assert_int_equal(money_reached(&s, &c, INT64_MAX, &r), REASON_NONE); /* no caps */
    c.calls = 3;
    c.attempts_min = 6;
    c.call_micro = 50;
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        c.seconds[i] = s.seconds[i] + 1;
        c.micro[i] = s.micro[i] + 50;
    }
    assert_int_equal(money_reached(&s, &c, 50, &r), REASON_NONE);
    const struct caps wide = c;
    c.calls = 2;
    assert_int_equal(money_reached(&s, &c, 50, &r), REASON_fraud_calls);
    assert_true(r.used == 2 && r.cap == 2);
    c = wide;
    c.attempts_min = 5;
    assert_int_equal(money_reached(&s, &c, 50, &r), REASON_fraud_attempts);
    c = wide;
    c.call_micro = 49;
    assert_int_equal(money_reached(&s, &c, 50, &r), REASON_fraud_call_money);
    assert_true(r.used == 50 && r.cap == 49);
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        c = wide;
        c.seconds[i] = s.seconds[i];
        assert_int_equal(money_reached(&s, &c, 50, &r), REASON_fraud_minutes);
        c = wide;
        c.micro[i] = s.micro[i] + 49; /* the first increment would pass it */
        assert_int_equal(money_reached(&s, &c, 50, &r), REASON_fraud_money);
        assert_true(r.used == s.micro[i] && r.cap == c.micro[i]);
        c.micro[i] = s.micro[i];
        assert_int_equal(money_reached(&s, &c, 0, &r), REASON_fraud_money);
        s.micro[i] = INT64_MAX; /* and nothing overflows */
        assert_int_equal(money_reached(&s, &c, INT64_MAX, &r), REASON_fraud_call_money);
        c.call_micro = 0;
        assert_int_equal(money_reached(&s, &c, INT64_MAX, &r), REASON_fraud_money);
        s.micro[i] = 1000 * (i + 1);
    }
}

/* A lock for fraud is one of its own: no other ban of that user is taken for it, nor hides it. */
static void locks(void **state)
{
    enum { BANS = 64 };
    struct ban_board *b = calloc(1, ban_bytes(BANS));
    struct ban x = {.scope = BAN_AOR, .treat = TREAT_LOCK, .times = 1, .since = at(1)};
    uint32_t slot;
    (void)state;
    ban_init(b, BANS);
    e.hash_key = (struct sipkey){5, 6};
    e.bans = b;
    e.bans_cap = BANS;
    struct str alice = STR("alice@example.com");
    x.key = location_hash(&e.hash_key, alice);
    assert_ok(ban_put(b, BANS, &x, &slot));
    assert_false(money_locked(&e, alice, at(10)));
    x.key = money_lock_key(&e.hash_key, alice);
    x.until = at(20);
    x.id = 2;
    assert_ok(ban_put(b, BANS, &x, &slot));
    assert_true(money_locked(&e, alice, at(19)));
    assert_false(money_locked(&e, alice, at(21)));
    assert_false(money_locked(&e, STR("bob@example.com"), at(19)));
    assert_false(money_locked(&e, STR_NONE, at(19)));
    e.bans_cap = 0;
    assert_false(money_locked(&e, alice, at(19)));
    free(b);
}

#define T(f) cmocka_unit_test_setup(f, setup)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(who),    T(whose_caps),   T(of_places), T(what_it_counts_for),
        T(prices), T(unknown_sums), T(reached),   T(locks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
