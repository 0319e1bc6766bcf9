/* What people are told that a name has used of its caps: which rows a name has, whose caps stand in
 * them, and that all engines' shards are added up. */
#include "call/payer.h"
#include "call/trunks_test.h"

#define ENGINES 2u
static char text[8192];

static struct core *core(struct fixture *x)
{
    return x->g.core[0];
}

static int begin(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    struct policy *p = &x->g.policy;
    gateway_init(&x->g, ENGINES, 1);
    trunks(p, 2);
    p->currency = test_text(p, "EUR");
    *state = x;
    return 0;
}

static const char *tell(struct fixture *x, struct str name)
{
    struct out o = out_of(text, sizeof text - 1);
    core_ledger_json(core(x), name, &o, x->g.now);
    assert_false(o.full);
    text[o.n] = 0;
    assert_true(text[0] == '{' && text[o.n - 1] == '}');
    return text;
}

static void says(struct fixture *x, const char *name, const char *part)
{
    if (!strstr(tell(x, str_c(name)), part))
        fail_msg("no %s in %s", part, text);
}

static void silent(struct fixture *x, const char *name, const char *part)
{
    if (strstr(tell(x, str_c(name)), part))
        fail_msg("%s in %s", part, text);
}

static struct ledger view(const struct fixture *x, unsigned engine)
{
    struct ledger l = x->g.cfg[engine].ledger;
    l.own = x->g.ledger[engine];
    return l;
}

/* Was used in that engine, of each span of time. */
static void used(struct fixture *x, unsigned engine, enum ledger_kind kind, const char *name,
                 const uint32_t s[SPAN_COUNT], const int64_t micro[SPAN_COUNT])
{
    struct ledger l = view(x, engine);
    struct ledger_seed v = {.key = ledger_key_of(&TEST_LEDGER_KEY, kind, str_c(name)),
                            .kind = (uint8_t)kind};
    memcpy(v.seconds, s, sizeof v.seconds);
    memcpy(v.micro, micro, sizeof v.micro);
    assert_ok(ledger_plant(&l, &v, x->g.now.wall));
}

/* So many seconds, everywhere: enough to know a row by. */
static void marked(struct fixture *x, enum ledger_kind kind, const char *name, uint32_t s)
{
    used(x, 0, kind, name, (uint32_t[]){s, s, s}, (int64_t[]){0, 0, 0});
}

static void calls(struct fixture *x, unsigned engine, enum ledger_kind kind, const char *name)
{
    struct ledger l = view(x, engine);
    struct ledger_hold h;
    struct ledger_refusal r;
    struct rate none = {.minimum_s = 1, .increment_s = 1};
    struct ledger_key k = {.key = ledger_key_of(&TEST_LEDGER_KEY, kind, str_c(name)),
                           .kind = (uint8_t)kind};
    assert_int_equal(ledger_reserve(&l, &k, 1, &none, x->g.now.wall, &h, &r), REASON_NONE);
}

/* A row that has that mark and that cap of calls. */
static void row(struct fixture *x, const char *name, const char *key, uint32_t s, unsigned cap)
{
    char want[256];
    (void)snprintf(want, sizeof want,
                   "\"%s\":{\"calls\":0,\"calls_cap\":%u,\"attempts_min\":0,\"attempts_cap\":0,"
                   "\"hour\":{\"seconds\":%u,",
                   key, cap, s);
    says(x, name, want);
}

/* Besides that of the system, which stands in each answer. */
static unsigned rows(struct fixture *x, const char *name)
{
    unsigned n = 0;
    says(x, name, "\"currency\":\"EUR\",\"system\":{\"calls\":");
    for (const char *p = text; (p = strstr(p, "\"calls_cap\":")); p++)
        n++;
    return n - 1;
}

/* Under, at and over a cap, and without one. */
static void a_row(void **state)
{
    struct fixture *x = *state;
    struct caps *c = &x->g.policy.roles[0].caps;
    *c = (struct caps){
        .calls = 3, .attempts_min = 5, .seconds = {100, 200, 250}, .micro = {5000, 6000, 0}};
    used(x, 0, LEDGER_IDENTITY, "alice@example.com", (uint32_t[]){10, 150, 290},
         (int64_t[]){600, 5000, 6000});
    used(x, 1, LEDGER_IDENTITY, "alice@example.com", (uint32_t[]){20, 50, 10},
         (int64_t[]){400, 1000, 1000});
    says(x, "alice@example.com",
         "},\"identity\":{\"calls\":0,\"calls_cap\":3,\"attempts_min\":0,\"attempts_cap\":5,"
         "\"hour\":{\"seconds\":30,\"seconds_cap\":100,\"micro\":1000,\"micro_cap\":5000,"
         "\"seconds_left\":70,\"micro_left\":4000},"
         "\"day\":{\"seconds\":200,\"seconds_cap\":200,\"micro\":6000,\"micro_cap\":6000,"
         "\"seconds_left\":0,\"micro_left\":0},"
         "\"month\":{\"seconds\":300,\"seconds_cap\":250,\"micro\":7000,\"micro_cap\":0,"
         "\"seconds_left\":0}},"
         "\"locked\":false,\"off_hours\":false,\"behaviour\":{\"known\":false}}");
    c->seconds[SPAN_HOUR] = 0;
    c->micro[SPAN_DAY] = 5999; /* spent more than is allowed now */
    c->micro[SPAN_MONTH] = 7001;
    says(x, "alice@example.com",
         "\"micro_cap\":5000,\"micro_left\":4000},\"day\":{\"seconds\":200,\"seconds_cap\":200,"
         "\"micro\":6000,\"micro_cap\":5999,\"seconds_left\":0,\"micro_left\":0},");
    says(x, "alice@example.com", "\"micro_cap\":7001,\"seconds_left\":0,\"micro_left\":1}}");
    calls(x, 0, LEDGER_IDENTITY, "alice@example.com");
    calls(x, 1, LEDGER_IDENTITY, "alice@example.com");
    says(x, "alice@example.com",
         "{\"calls\":2,\"calls_cap\":3,\"attempts_min\":2,\"attempts_cap\":5,");
    x->g.now.wall.us += INT64_C(121) * 1000000; /* they still talk */
    says(x, "alice@example.com",
         "{\"calls\":2,\"calls_cap\":3,\"attempts_min\":0,\"attempts_cap\":5,");
    x->g.now.wall.us += INT64_C(86400) * 40 * 1000000; /* the month after that one */
    says(x, "alice@example.com", "\"month\":{\"seconds\":0,");
}

static void of_users(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    p->roles[0].caps.calls = 3;
    p->roles[0].off_caps.calls = 2;
    marked(x, LEDGER_IDENTITY, "alice@example.com", 41);
    marked(x, LEDGER_IDENTITY, "alice@example.net", 42);
    marked(x, LEDGER_IDENTITY, "alice", 43);
    row(x, "alice@example.com", "identity", 41, 3);
    row(x, "alice", "identity", 41, 3); /* of the first domain */
    says(x, "alice", "{\"name\":\"alice\",");
    row(x, "alice@example.net", "identity", 42, 3); /* who has gone: what was used counts on */
    assert_int_equal(rows(x, "alice"), 1);
    assert_int_equal(rows(x, "dave"), 0);
    silent(x, "dave", "locked");
    silent(x, "dave", "off_hours");
    silent(x, "dave", "behaviour");
    p->sites[0].n_week = 1; /* a minute a week */
    p->sites[0].week[0].to = 1;
    row(x, "alice", "identity", 41, 2);
    says(x, "alice", "\"off_hours\":true");
    uint32_t slot;
    struct ban b = {.scope = BAN_AOR,
                    .treat = TREAT_LOCK,
                    .times = 1,
                    .key = money_lock_key(&x->g.cfg[0].hash_key, STR("alice@example.com"))};
    assert_ok(ban_put(x->g.bans, TEST_BANS, &b, &slot));
    says(x, "alice", "\"locked\":true");
    says(x, "bob", "\"locked\":false");
}

static void of_things(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    p->peers[0].caps.calls = 11;
    p->peers[1].caps.calls = 12;
    p->roles[0].whole.calls = 13;
    p->roles[0].caps.calls = 99;
    p->class_caps[CLASS_PREMIUM].calls = 14;
    p->system.calls = 15;
    marked(x, LEDGER_TRUNK, "pbx", 1);
    marked(x, LEDGER_TRUNK, "trunk2", 2);
    marked(x, LEDGER_ROLE, "user", 3);
    marked(x, LEDGER_CLASS, "premium", 4);
    marked(x, LEDGER_SYSTEM, "system", 5);
    row(x, "pbx", "trunk", 1, 11);
    row(x, "trunk2", "trunk", 2, 12);
    row(x, "Trunk2", "trunk", 2, 12);
    row(x, "user", "role", 3, 13);
    row(x, "USER", "role", 3, 13);
    row(x, "premium", "class", 4, 14);
    row(x, "system", "system", 5, 15);
    static const char *const one[] = {"pbx", "trunk2", "user", "premium", "system", "toll-free"};
    for (size_t i = 0; i < ARRAY_LEN(one); i++) {
        assert_int_equal(rows(x, one[i]), strcmp(one[i], "system") != 0);
        silent(x, one[i], "\"identity\"");
        silent(x, one[i], "\"locked\"");
    }
    static const char *const none[] = {"trunk", "trunk22", "use", "Premium", "class", "*", " pbx"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        if (rows(x, none[i]))
            fail_msg("%s", text);
    p->peers[1].name = p->roles[0].name; /* one name for two things: both */
    assert_int_equal(rows(x, "user"), 2);
    row(x, "user", "role", 3, 13);
    row(x, "user", "trunk", 0, 12);
}

static void of_places(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    p->places[0] = (struct policy_place){.country = 'A' << 8 | 'T', .caps.calls = 21};
    p->places[1] = (struct policy_place){.prefix = "8816", .prefix_n = 4, .caps.calls = 22};
    p->n_places = 2;
    marked(x, LEDGER_COUNTRY, "AT", 1);
    marked(x, LEDGER_PREFIX, "8816", 2);
    marked(x, LEDGER_PREFIX, "88161", 3);
    row(x, "AT", "country", 1, 21);
    row(x, "DE", "country", 0, 0);
    row(x, "+8816", "prefix", 2, 22);
    row(x, "+88161", "prefix", 3, 0); /* counted for itself, and without a cap of its own */
    row(x, "+881", "prefix", 0, 0);
    row(x, "+43", "prefix", 0, 0);
    static const char *const none[] = {"8816", "XX", "ATX", "A"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        if (rows(x, none[i]))
            fail_msg("%s", text);
}

static void of_all(void **state)
{
    struct fixture *x = *state;
    x->g.policy.system.calls = 15;
    calls(x, 1, LEDGER_SYSTEM, "system");
    says(x, "",
         "{\"name\":\"system\",\"currency\":\"EUR\",\"system\":{\"calls\":1,\"calls_cap\":15,");
    says(x, "", "\"behaviour\":{\"signs\":{");
    assert_int_equal(rows(x, ""), 0);
    assert_ptr_equal(strstr(tell(x, STR_NONE), "\"locked\""), NULL);
    silent(x, "system", "behaviour"); /* that name is a name */
    x->g.policy.peers[1].name = x->g.policy.roles[0].name =
        (struct span){0, 0}; /* nor is nothing one */
    assert_int_equal(rows(x, ""), 0);
}

/* Without behaviour, without a ledger, and when what was spent is not known. */
static void what_is_missing(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    silent(x, "alice", "spent_unknown");
    p->spent_unknown = x->g.now.wall;
    says(x, "alice", "\"currency\":\"EUR\",\"spent_unknown\":true,\"system\":{");
    says(x, "", "\"spent_unknown\":true");
    p->spent_unknown.us -= INT64_C(86400) * 62 * 1000000; /* another month */
    silent(x, "alice", "spent_unknown");
    core(x)->env.fraud = NULL;
    silent(x, "alice", "behaviour");
    silent(x, "", "behaviour");
    core(x)->cfg.ledger.own = NULL;
    static const char *const names[] = {"", "system", "alice", "pbx", "user", "AT", "+43", "local"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        silent(x, names[i], "calls_cap");
    says(x, "alice", "\"locked\":false,\"off_hours\":false}");
    says(x, "pbx", "{\"name\":\"pbx\",\"currency\":\"EUR\"}");
}

static void behaves(void **state)
{
    struct fixture *x = *state;
    struct fraud_event e = {
        .at = x->g.now.wall,
        .what = FRAUD_ATTEMPT,
        .identity = ledger_key_of(&TEST_LEDGER_KEY, LEDGER_IDENTITY, STR("alice@example.com"))};
    struct fraud_verdict v;
    fraud_step(core(x)->fraud, &e, &v);
    says(x, "alice@example.com", "\"behaviour\":{\"known\":true,");
    says(x, "alice", "\"behaviour\":{\"known\":true,");
    says(x, "bob", "\"behaviour\":{\"known\":false}");
}

/* Whatever somebody types, it is one JSON object, and stays within its bounds. */
static void odd_names(void **state)
{
    struct fixture *x = *state;
    static const struct str odd[] = {
        {"\"}", 2},   {"\\", 1},  {"\r\n\0\x7f", 4}, {"\xff@\xfe", 3}, {"@", 1},   {"+", 1},
        {"a@b@c", 5}, {"+\"", 2}, {"alice@", 6},     {"@x.y", 4},      {"\xc3", 1}};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        const char *s = tell(x, odd[i]);
        bool quoted = false;
        int depth = 0;
        for (; *s; s++) {
            assert_true(*s >= 0x20 && *s < 0x7f);
            if (quoted && *s == '\\')
                s++;
            else if (*s == '"')
                quoted = !quoted;
            else if (!quoted)
                depth += (*s == '{') - (*s == '}');
            assert_true(depth > 0 || !s[1]);
        }
        assert_true(!quoted && depth == 0);
    }
    char name[1000], *little = malloc(100);
    memset(name, 'a', sizeof name);
    says(x, "\"}", "{\"name\":\"\\\"}\",");
    (void)tell(x, str_of(name, sizeof name));
    name[500] = '@';
    (void)tell(x, str_of(name, sizeof name));
    struct out o = out_of(little, 100);
    core_ledger_json(core(x), STR("alice"), &o, x->g.now);
    assert_true(o.full);
    free(little);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, teardown)
    const struct CMUnitTest tests[] = {T(a_row),  T(of_users),        T(of_things), T(of_places),
                                       T(of_all), T(what_is_missing), T(behaves),   T(odd_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
