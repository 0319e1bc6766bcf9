/* Caps of everybody who pays for a call, from both sides, the lock, behaviour, and what is never
 * asked. What is reached by itself, by which price: payer_test.c. */
#include "call/fixture_test.h"
#include "call/gate.h"
#include "call/payer.h"

#define DAY    INT64_C(86400)
#define NOW    (1000 * DAY + 40)
#define ROWS   64u
#define BANS   64u
#define ALICE  "alice@example.com"
#define NUMBER "+4930123456"
#define CHEAP  100                /* the first second by deck 1 */
#define DEAR   900                /* and by deck 2 */
#define DEVICE "1122334455667788" /* its bytes as they stand in memory */
enum { PBX, TRUNK, TRUNK2 };

static struct policy p;
static uint64_t dir_mem[FIXTURE_DIRECTORY_BYTES / 8];
static ALIGNED(64) uint8_t rates_mem[4096];
static struct gate_env e;
static struct ledger ledger;
static struct ledger_shard *shard;
static struct ban_board *bans;
static struct fraud *fraud;
static struct sip_msg m;
static struct request r;
static char text[2048];

static struct wall at(int64_t s)
{
    return (struct wall){s * 1000000};
}

static void empty_ledger(void)
{
    memset(shard, 0, ledger_bytes(ROWS));
    ledger_begin(shard, ROWS, &e.ledger_key);
}

static void peers(void)
{
    static const char *const name[] = {"trunk", "trunk2"};
    for (uint8_t i = TRUNK; i <= TRUNK2; i++) {
        p.peers[i] = p.peers[PBX];
        p.peers[i].name = fixture_text(&p, name[i - 1]);
        p.peers[i].trunk = true;
        p.peers[i].deck = i;
    }
    p.n_peers = 3;
    p.routes[1].peers[0] = TRUNK;
    p.routes[1].peers[1] = TRUNK2;
}

static void prices(void)
{
    static const int64_t micro[] = {0, CHEAP, DEAR, CHEAP};
    struct rates_entry v[4];
    size_t bad;
    memset(v, 0, sizeof v);
    for (uint8_t i = 0; i < 4; i++) { /* a call, however long; +49800 is for nothing */
        memcpy(v[i].prefix, i ? "4930" : "49800", i ? 5 : 6);
        v[i].deck = MAX(i, 1);
        v[i].rate = (struct rate){.setup_micro = micro[i], .minimum_s = 1, .increment_s = 1};
    }
    assert_ok(rates_build(v, 4, rates_mem, sizeof rates_mem, &bad));
    e.rates = (const struct rates *)(const void *)rates_mem;
}

static void parse(const char *method, const char *more)
{
    struct sip_error err;
    int n = snprintf(text, sizeof text,
                     "%s sip:030123456@example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/TLS 203.0.113.5:9;branch=z9hG4bKx\r\n"
                     "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:030123456@example.com>\r\n"
                     "Call-ID: c1\r\nCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n",
                     method, method, more);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
}

/* As the gates before leave it. */
static void alice_calls(const char *number, uint8_t class)
{
    struct flow f = {.proto = PROTO_TLS, .peer = fixture_addr("203.0.113.5:9")};
    request_init(&r, &m, &f, (struct now){{1}, at(NOW)});
    r.zone = r.role = 0;
    r.ident = IDENT_USER;
    r.user_n = sizeof ALICE - 1;
    memcpy(r.user, ALICE, r.user_n);
    r.known = directory_find(e.directory, STR("alice"), STR("example.com"));
    assert_non_null(r.known);
    r.site = &p.sites[0];
    assert_ok(hex_decode(STR(DEVICE), (uint8_t *)&r.device_id, sizeof r.device_id));
    r.route = &p.routes[1];
    r.number_to.kind = class;
    r.number_to.country = 'D' << 8 | 'E';
    r.number_to.n = (uint8_t)strlen(number);
    memcpy(r.number_to.e164, number, r.number_to.n);
}

static void call(void)
{
    alice_calls(NUMBER, CLASS_LOCAL);
}

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    p.n_sites = 1;
    p.places[0].country = 'D' << 8 | 'E';
    p.places[1] = (struct policy_place){.prefix = "4930", .prefix_n = 4};
    p.n_places = 2;
    e = (struct gate_env){.policy = &p,
                          .directory = fixture_directory(dir_mem),
                          .hash_key = {5, 6},
                          .ledger = &ledger,
                          .ledger_key = {11, 12}};
    peers();
    prices();
    size_t bytes = (ledger_bytes(ROWS) + 63) & ~(size_t)63;
    shard = aligned_alloc(64, bytes);
    empty_ledger();
    ledger = (struct ledger){.own = shard, .shard = {shard}, .bytes = {ledger_bytes(ROWS)}, .n = 1};
    bans = calloc(1, ban_bytes(BANS));
    ban_init(bans, BANS);
    fraud = calloc(1, fraud_bytes(64));
    parse("INVITE", "");
    call();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(shard);
    free(bans);
    free(fraud);
    return 0;
}

static void expect(enum reason why)
{
    struct verdict v = gate_fraud(&e, &r, NULL);
    if (v.reason != why)
        fail_msg("%.*s, not %.*s", STR_ARG(reason_info(v.reason)->name),
                 STR_ARG(reason_info(why)->name));
    assert_int_equal(v.kind, why == REASON_NONE ? VERDICT_PASS : VERDICT_REFUSE);
    assert_int_equal(v.code, why == REASON_NONE ? 0 : reason_info(why)->code);
}

/* What is asked of each: the ledger's key and where its caps stand. */
static const struct holder {
    enum ledger_kind kind;
    const char *name;
    struct caps *caps;
} holders[] = {{LEDGER_IDENTITY, ALICE, &p.roles[0].caps},
               {LEDGER_ROLE, "user", &p.roles[0].whole},
               {LEDGER_CLASS, "local", &p.class_caps[CLASS_LOCAL]},
               {LEDGER_TRUNK, "trunk", &p.peers[TRUNK].caps},
               {LEDGER_SYSTEM, "system", &p.system},
               {LEDGER_DEVICE, DEVICE, &p.roles[0].device},
               {LEDGER_COUNTRY, "DE", &p.places[0].caps},
               {LEDGER_PREFIX, "4930", &p.places[1].caps}};

static uint64_t key_of(const struct holder *h)
{
    return ledger_key_of(&e.ledger_key, h->kind, str_c(h->name));
}

/* So many calls of it at once, each an attempt. */
static void running(const struct holder *h, unsigned n)
{
    const struct ledger_key k = {.key = key_of(h), .kind = (uint8_t)h->kind};
    const struct rate nothing = {.minimum_s = 1, .increment_s = 1};
    for (unsigned i = 0; i < n; i++) {
        struct ledger_hold hold = {0};
        struct ledger_refusal no;
        assert_int_equal(ledger_reserve(&ledger, &k, 1, &nothing, at(NOW), &hold, &no),
                         REASON_NONE);
    }
}

/* That was used of it in that span, and the others. */
static void used(const struct holder *h, uint32_t seconds, int64_t micro)
{
    struct ledger_seed s = {.key = key_of(h), .kind = (uint8_t)h->kind};
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        s.seconds[i] = seconds;
        s.micro[i] = micro;
    }
    assert_ok(ledger_plant(&ledger, &s, at(NOW)));
}

static void refused_by(const struct holder *h, enum reason why, int64_t of, int64_t cap)
{
    call();
    expect(why);
    assert_int_equal(r.cap.kind, h->kind);
    assert_int_equal(r.cap.key, key_of(h));
    assert_int_equal(r.cap.used, of);
    assert_int_equal(r.cap.cap, cap);
}

static void passes(void)
{
    call();
    expect(REASON_NONE);
    assert_int_equal(r.cap.cap, 0);
}

static void each_holder(void (*row)(const struct holder *h))
{
    p.routes[1].n_peers = 1;
    for (size_t i = 0; i < ARRAY_LEN(holders); i++) {
        empty_ledger();
        passes();
        row(&holders[i]);
        *holders[i].caps = (struct caps){0};
        passes(); /* only counted */
    }
}

static void calls_of(const struct holder *h)
{
    running(h, 3);
    h->caps->calls = 4;
    passes();
    h->caps->calls = 3;
    refused_by(h, REASON_fraud_calls, 3, 3);
    h->caps->calls = 2;
    refused_by(h, REASON_fraud_calls, 3, 2);
}

static void attempts_of(const struct holder *h)
{
    running(h, 3);
    h->caps->attempts_min = 4;
    passes();
    h->caps->attempts_min = 3;
    refused_by(h, REASON_fraud_attempts, 3, 3);
    call();
    r.now.wall = at(NOW + 120);
    expect(REASON_NONE);
}

static void dearest_of(const struct holder *h)
{
    h->caps->call_micro = CHEAP;
    passes();
    h->caps->call_micro = CHEAP - 1;
    refused_by(h, REASON_fraud_call_money, CHEAP, CHEAP - 1);
}

static const int64_t over[SPAN_COUNT] = {3600, DAY, 31 * DAY};

static void minutes_of(const struct holder *h)
{
    used(h, 100, 0);
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        *h->caps = (struct caps){0};
        h->caps->seconds[i] = 101;
        passes();
        h->caps->seconds[i] = 100;
        refused_by(h, REASON_fraud_minutes, 100, 100);
        call();
        r.now.wall = at(NOW + over[i]);
        expect(REASON_NONE);
    }
}

static void money_of(const struct holder *h)
{
    used(h, 0, 5000);
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        *h->caps = (struct caps){0};
        h->caps->micro[i] = 5000 + CHEAP;
        passes();
        h->caps->micro[i] = 5000 + CHEAP - 1;
        refused_by(h, REASON_fraud_money, 5000, 5000 + CHEAP - 1);
        call();
        r.now.wall = at(NOW + over[i]);
        expect(REASON_NONE);
    }
}

static void each_cap_of_each(void **state)
{
    static void (*const row[])(const struct holder *) = {calls_of, attempts_of, dearest_of,
                                                         minutes_of, money_of};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        each_holder(row[i]);
}

/* Another user, role, class or trunk has its own. */
static void caps_of_others(void **state)
{
    static const struct holder other[] = {{LEDGER_IDENTITY, "bob@example.com", NULL},
                                          {LEDGER_ROLE, "internal", NULL},
                                          {LEDGER_CLASS, "national", NULL},
                                          {LEDGER_TRUNK, "pbx", NULL},
                                          {LEDGER_DEVICE, ALICE, NULL},
                                          {LEDGER_COUNTRY, "AT", NULL},
                                          {LEDGER_PREFIX, "493", NULL}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(holders); i++)
        holders[i].caps->calls = 1;
    p.roles[1].caps.calls = p.roles[1].whole.calls = p.peers[PBX].caps.calls = 1;
    p.class_caps[CLASS_NATIONAL].calls = 1;
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        running(&other[i], 2);
    passes();
    running(&holders[4], 1);
    refused_by(&holders[4], REASON_fraud_calls, 1, 1);
}

static void one_trunk_with_room(void **state)
{
    const struct holder second = {LEDGER_TRUNK, "trunk2", &p.peers[TRUNK2].caps};
    (void)state;
    p.routes[1].n_peers = 2;
    p.peers[TRUNK].caps.calls = p.peers[TRUNK2].caps.attempts_min = 1;
    passes();
    running(&holders[3], 1);
    call();
    expect(REASON_NONE);
    running(&second, 1);
    expect(REASON_fraud_calls); /* what the first one says */
    p.peers[TRUNK].caps.calls = 2;
    expect(REASON_NONE);
    p.peers[TRUNK].caps.calls = 1;
    p.peers[TRUNK2].caps = (struct caps){0};
    expect(REASON_NONE);
    p.peers[TRUNK2].caps.call_micro = DEAR; /* by its own price */
    expect(REASON_NONE);
    p.peers[TRUNK2].caps.call_micro = DEAR - 1;
    expect(REASON_fraud_calls);
    p.routes[1].peers[1] = p.n_peers;
    expect(REASON_fraud_calls);
}

static void priced_by_the_first(void **state)
{
    (void)state;
    p.routes[1].n_peers = 2;
    p.roles[0].caps.call_micro = DEAR - 1;
    passes();
    p.routes[1].peers[0] = TRUNK2;
    p.routes[1].peers[1] = TRUNK;
    refused_by(&holders[0], REASON_fraud_call_money, DEAR, DEAR - 1);
    p.roles[0].caps.call_micro = DEAR;
    passes();
}

static void off_hours(void **state)
{
    (void)state;
    p.sites[0].n_week = 1; /* the day of the week of NOW + 1 day alone: 1970 began on a Thursday */
    p.sites[0].week[0].from = (uint16_t)((1000 + 1 + 3) % 7 * 1440);
    p.sites[0].week[0].to = (uint16_t)(p.sites[0].week[0].from + 1440);
    p.roles[0].caps.call_micro = CHEAP;
    p.roles[0].off_caps.call_micro = CHEAP - 1;
    call();
    expect(REASON_fraud_call_money);
    r.now.wall = at(NOW + DAY);
    expect(REASON_NONE);
    r.known = NULL; /* as his name says */
    expect(REASON_NONE);
    r.now.wall = at(NOW);
    expect(REASON_fraud_call_money);
}

/* A PBX's calls: no identity's or role's caps, but everybody's. */
static void of_a_peer(void **state)
{
    (void)state;
    p.roles[0].caps.call_micro = p.roles[0].whole.call_micro = 1;
    call();
    expect(REASON_fraud_call_money);
    r.user_n = 0;
    r.known = NULL;
    r.role = POLICY_NONE;
    r.peer = PBX;
    expect(REASON_NONE);
    p.class_caps[CLASS_LOCAL].call_micro = 1;
    expect(REASON_fraud_call_money);
    p.class_caps[CLASS_LOCAL].call_micro = 0;
    p.system.call_micro = 1;
    expect(REASON_fraud_call_money);
}

static void spending_unknown(void **state)
{
    (void)state;
    p.spent_unknown = at(NOW);
    call();
    expect(REASON_fraud_unknown);
    e.ledger = NULL;
    expect(REASON_fraud_unknown);
    r.now.wall = at(NOW + 31 * DAY);
    expect(REASON_NONE);
    alice_calls("+498001234", CLASS_TOLL_FREE);
    expect(REASON_NONE); /* costs nothing */
    call();
    p.spent_unknown = at(0);
    expect(REASON_NONE);
}

static void without_a_ledger(void **state)
{
    (void)state;
    p.system.call_micro = 1;
    refused_by(&holders[4], REASON_fraud_call_money, CHEAP, 1);
    e.ledger = NULL;
    expect(REASON_NONE);
}

static void lock(const char *who)
{
    struct ban x = {.scope = BAN_AOR, .treat = TREAT_LOCK, .times = 1, .id = 2};
    uint32_t slot;
    x.key = money_lock_key(&e.hash_key, str_c(who));
    x.until = at(NOW + 10);
    assert_ok(ban_put(bans, BANS, &x, &slot));
    e.bans = bans;
    e.bans_cap = BANS;
}

static void locked(void **state)
{
    (void)state;
    lock("bob@example.com");
    call();
    expect(REASON_NONE);
    lock(ALICE);
    expect(REASON_fraud_locked);
    r.now.wall = at(NOW + 9);
    expect(REASON_fraud_locked);
    r.now.wall = at(NOW + 11);
    expect(REASON_NONE);
    call();
    r.user_n = 0;
    r.peer = PBX;
    expect(REASON_NONE);
    lock("pbx");
    expect(REASON_fraud_locked);
}

/* All of it says no, and is not asked. */
static void what_passes(void **state)
{
    (void)state;
    lock(ALICE);
    p.spent_unknown = at(NOW);
    p.system.call_micro = 1;
#define ONCE(change)                                                                               \
    do {                                                                                           \
        call();                                                                                    \
        expect(REASON_fraud_locked);                                                               \
        change;                                                                                    \
        expect(REASON_NONE);                                                                       \
    } while (0)
    ONCE(r.in_dialog = true);
    ONCE(r.emergency = true);
    ONCE(r.route = NULL);
    ONCE(r.route = &p.routes[2]); /* to users */
    ONCE(p.routes[1].n_peers = 0);
    p.routes[1].n_peers = 1;
    ONCE(parse("MESSAGE", ""));
    parse("INVITE", "");
    ONCE(parse("INVITE", "Replaces: x;to-tag=1;from-tag=2\r\n"));
    parse("INVITE", "");
    call();
    r.number_to.kind = CLASS_INTERNAL; /* a trunk is paid for that as well, */
    expect(REASON_fraud_locked);
    p.routes[1].peers[0] = PBX; /* and a PBX of ours is not */
    expect(REASON_NONE);
    r.number_to.kind = CLASS_LOCAL;
    expect(REASON_fraud_locked);
}

/* Whoever calls that range is at that act at once. */
static void judges(enum fraud_act act, bool dry)
{
    struct fraud_policy f;
    fraud_policy_default(&f);
    memset(f.level, 0, sizeof f.level);
    f.level[act] = 1;
    f.dry_run = dry;
    f.seed_off = true;
    f.off_signs = ((1u << SIGN_COUNT) - 1) & ~(1u << SIGN_RANGE);
    assert_ok(fraud_range_add(&f, STR("4319"), 100));
    memset(fraud, 0, fraud_bytes(64));
    e.fraud = fraud_init(fraud, 64, &f, &e.hash_key);
    alice_calls("+4319123456", CLASS_INTERNATIONAL);
}

static void behaviour(void **state)
{
    (void)state;
    static const struct {
        enum fraud_act act;
        enum reason why;
    } row[] = {{FRAUD_LOG, REASON_NONE},
               {FRAUD_NOTIFY, REASON_NONE},
               {FRAUD_STEP_UP, REASON_fraud_behaviour}, /* he has no code to give */
               {FRAUD_REFUSE, REASON_fraud_behaviour},
               {FRAUD_CUT, REASON_fraud_behaviour},
               {FRAUD_LOCK, REASON_fraud_locked}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        judges(row[i].act, false);
        expect(row[i].why);
        assert_int_equal(r.fraud.signs, 1u << SIGN_RANGE);
        assert_int_equal(r.fraud.act, row[i].act);
        judges(row[i].act, true); /* dry run: only told */
        expect(REASON_NONE);
        assert_true(r.fraud.dry);
        assert_int_equal(r.fraud.signs, 1u << SIGN_RANGE);
        assert_int_equal(r.fraud.act, row[i].act);
        judges(row[i].act, false);
        alice_calls("+4318123456", CLASS_INTERNATIONAL);
        expect(REASON_NONE);
        assert_int_equal(r.fraud.signs, 0);
        judges(row[i].act, false); /* of a peer: only told */
        r.user_n = 0;
        r.peer = PBX;
        expect(REASON_NONE);
        assert_int_equal(r.fraud.act, row[i].act);
    }
}

static void behaviour_by_code(void **state)
{
    struct directory_user with;
    (void)state;
    judges(FRAUD_STEP_UP, false);
    with = *r.known;
    with.flags |= DIRECTORY_SECOND_FACTOR;
    r.known = &with;
    struct verdict v = gate_fraud(&e, &r, NULL);
    assert_int_equal(v.kind, VERDICT_STEP_UP);
    assert_int_equal(v.reason, REASON_right_step_up);
    judges(FRAUD_STEP_UP, false);
    r.known = &with;
    r.stepped_up = true;
    expect(REASON_NONE);
    judges(FRAUD_REFUSE, false); /* no code helps against that */
    r.known = &with;
    r.stepped_up = true;
    expect(REASON_fraud_behaviour);
}

/* Who is over a cap teaches behaviour nothing. */
static void caps_before_behaviour(void **state)
{
    (void)state;
    judges(FRAUD_LOCK, false);
    p.system.call_micro = 1;
    expect(REASON_fraud_call_money);
    assert_int_equal(r.fraud.signs, 0);
    p.system.call_micro = 0;
    expect(REASON_fraud_locked);
}

static void the_event(void **state)
{
    (void)state;
    call();
    const struct payer who = {.who = STR(ALICE), .off_hours = true};
    const struct rate price = {.minute_micro = 600, .minimum_s = 1, .increment_s = 1};
    r.country = 'A' << 8 | 'T';
    struct fraud_event x = gate_fraud_event(&e, &r, &who, &price);
    assert_int_equal(x.what, FRAUD_ATTEMPT);
    assert_int_equal(x.identity, key_of(&holders[0]));
    assert_int_equal(x.trunk, key_of(&holders[3]));
    assert_int_equal(x.at.us, at(NOW).us);
    assert_int_equal(x.micro, 600);
    assert_int_equal(x.source_country, 'A' << 8 | 'T');
    assert_true(x.country == ('D' << 8 | 'E') && x.kind == CLASS_LOCAL);
    assert_true(x.off_hours && strcmp(x.number, NUMBER) == 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(each_cap_of_each),      T(caps_of_others),   T(one_trunk_with_room),
        T(priced_by_the_first),   T(off_hours),        T(of_a_peer),
        T(spending_unknown),      T(without_a_ledger), T(locked),
        T(what_passes),           T(behaviour),        T(behaviour_by_code),
        T(caps_before_behaviour), T(the_event)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
