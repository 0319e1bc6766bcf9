/* What is told of a call that nobody makes: who, where to, what each gate says, what it costs and
 * which line of the configuration decides. */
#include "call/trunks_test.h"

#define HOME   "030123456"
#define ABROAD "004315808"
static char text[8192];

static int setup_explain(void **state)
{
    (void)setup(state);
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    trunks(p, 2);
    p->sites[0].name = test_text(p, "berlin");
    p->currency = test_text(p, "EUR");
    return 0;
}

static const char *explain_at(struct fixture *x, const char *user, const char *to, struct wall at)
{
    struct out o = out_of(text, sizeof text - 1);
    core_explain_call(x->g.core[0], str_c(user), str_c(to), at, &o);
    assert_false(o.full);
    text[out_str(&o).n] = 0;
    return text;
}

static const char *explain(struct fixture *x, const char *user, const char *to)
{
    return explain_at(x, user, to, x->g.now.wall);
}

static void says(const char *json, const char *part)
{
    if (!strstr(json, part))
        fail_msg("no %s in %s", part, json);
}

static void silent(const char *json, const char *part)
{
    if (strstr(json, part))
        fail_msg("%s in %s", part, json);
}

#define GATES_PASS                                                                                 \
    "\"gates\":[{\"gate\":\"emergency\",\"verdict\":\"pass\"},"                                    \
    "{\"gate\":\"right\",\"verdict\":\"pass\"},{\"gate\":\"fraud\",\"verdict\":\"pass\"},"         \
    "{\"gate\":\"route\",\"verdict\":\"pass\"}],"
#define BY_TRUNKS(dialled)                                                                         \
    "\"route\":{\"name\":\"numbers\",\"to\":\"peers\",\"peers\":[\"pbx\",\"trunk2\"],"             \
    "\"leaves_as\":\"" dialled "\"},\"passed_over\":[],"

static void decides(const char *json, const char *section, const char *entry, const char *key)
{
    char want[128];
    (void)snprintf(want, sizeof want,
                   "\"decides\":{\"section\":\"%s\",\"entry\":\"%s\",\"key\":\"%s\"}}", section,
                   entry, key);
    says(json, want);
}

static void refused(const char *json, const char *gate, enum reason why)
{
    char want[512];
    struct str name = reason_info(why)->name, words = reason_info(why)->text;
    (void)snprintf(want, sizeof want,
                   "\"verdict\":\"refuse\",\"reason\":\"%.*s\",\"text\":\"%.*s\",\"code\":%u,",
                   STR_ARG(name), STR_ARG(words), reason_info(why)->code);
    says(json, want);
    (void)snprintf(
        want, sizeof want, /* and no gate behind it was asked */
        "{\"gate\":\"%s\",\"verdict\":\"refuse\",\"reason\":\"%.*s\",\"text\":\"%.*s\"}]", gate,
        STR_ARG(name), STR_ARG(words));
    says(json, want);
}

/* All of it, to the letter. */
static void it_goes(void **state)
{
    struct fixture *x = *state;
    char want[2048];
    (void)snprintf(
        want, sizeof want,
        "{\"as\":\"alice@example.com\",\"to\":\"" HOME "\",\"at_us\":1700000000000000,"
        "\"role\":\"user\",\"site\":\"berlin\",\"open\":true,\"zone\":\"phones\","
        "\"emergency\":false,\"class\":\"local\",\"number\":\"+4930123456\",\"country\":\"DE\","
        "\"numbers_by\":\"%.*s\",\"verdict\":\"pass\"," GATES_PASS BY_TRUNKS(
            HOME) "\"price\":{\"paid\":true,\"currency\":\"EUR\",\"setup_micro\":0,\"minute_"
                  "micro\":%lld,"
                  "\"minimum_s\":60,\"increment_s\":60,\"by_class\":true},"
                  "\"caps\":{\"off_hours\":false,\"calls\":0,\"calls_now\":0,\"longest_s\":0,"
                  "\"call_micro\":0,\"hour_micro\":0,\"hour_used_micro\":0,\"day_micro\":0,"
                  "\"day_used_micro\":0,\"month_micro\":0,\"month_used_micro\":0},"
                  "\"decides\":{\"section\":\"roles\",\"entry\":\"user\",\"key\":\"dial\"}}",
        STR_ARG(number_source()), (long long)rate_of_class(CLASS_LOCAL).minute_micro);
    assert_string_equal(explain(x, "alice", HOME), want);
    assert_string_equal(explain(x, "alice@example.com", HOME), want);
}

static void within_and_of_a_peer(void **state)
{
    struct fixture *x = *state;
    const char *j = explain(x, "alice", "bob");
    says(j, "\"class\":\"internal\",");
    says(j, "\"verdict\":\"pass\"," GATES_PASS);
    says(j, "\"route\":{\"name\":\"people\",\"to\":\"users\"},");
    silent(j, "\"price\"");
    decides(j, "routes", "people", "pattern");
    refused(explain(x, "alice", "nobody"), "route", REASON_route_user_unknown);
    j = explain(x, "pbx", HOME);
    says(j, "{\"as\":\"pbx\",\"to\":\"" HOME "\",");
    says(j, "\"zone\":\"pbx\",");
    says(j, "\"verdict\":\"pass\"," GATES_PASS);
    silent(j, "\"role\"");
    silent(j, "\"caps\"");
    decides(j, "routes", "numbers", "pattern");
}

static void no_right(void **state)
{
    struct fixture *x = *state;
    struct policy_role *role = &x->g.policy.roles[0];
    role->rights.classes = 1u << CLASS_INTERNAL;
    const char *j = explain(x, "alice", HOME);
    refused(j, "right", REASON_right_class);
    says(j, BY_TRUNKS(HOME));
    decides(j, "roles", "user", "dial");
    role->rights.classes |= 1u << CLASS_INTERNATIONAL;
    role->rights.n_countries = 0;
    j = explain(x, "alice", ABROAD);
    refused(j, "right", REASON_right_country);
    says(j, "\"number\":\"+4315808\",\"country\":\"AT\",");
    decides(j, "roles", "user", "countries");
    role->outbound = false;
    j = explain(x, "alice", HOME);
    refused(j, "right", REASON_right_denied);
    decides(j, "roles", "user", "outbound");
    x->g.policy.routes[0].to = ROUTE_REFUSE;
    j = explain(x, "alice", HOME);
    refused(j, "right", REASON_right_barred);
    says(j, "\"route\":{\"name\":\"numbers\",\"to\":\"refuse\"}");
    decides(j, "routes", "numbers", "pattern");
    x->g.policy.n_routes = 0;
    j = explain(x, "alice", HOME);
    refused(j, "right", REASON_right_no_route);
    silent(j, "\"route\":{");
    says(j, "\"decides\":{\"section\":\"routes\"}}");
}

/* The site is open on the day of the question alone. */
static void by_hours(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    struct wall next = {x->g.now.wall.us + INT64_C(86400000000)};
    int64_t day = x->g.now.wall.us / INT64_C(86400000000);
    p->sites[0].n_week = 1;
    p->sites[0].week[0].from = (uint16_t)((day + 3) % 7 * 1440);
    p->sites[0].week[0].to = (uint16_t)(p->sites[0].week[0].from + 1440);
    p->roles[0].rights.off_classes = 0;
    says(explain(x, "alice", HOME), "\"open\":true,");
    says(text, "\"verdict\":\"pass\",");
    const char *j = explain_at(x, "alice", HOME, next);
    says(j, "\"open\":false,");
    says(j, "\"at_us\":1700086400000000,");
    says(j, "\"caps\":{\"off_hours\":true,");
    refused(j, "right", REASON_right_hours);
    decides(j, "roles", "user", "off_hours");
    p->roles[0].rights.off_classes = p->roles[0].rights.classes;
    p->roles[0].off_caps.call_micro = 1;
    says(explain(x, "alice", HOME), "\"verdict\":\"pass\",");
    j = explain_at(x, "alice", HOME, next);
    refused(j, "fraud", REASON_fraud_call_money);
    decides(j, "roles", "user", "off_caps");
    p->routes[0].when = WHEN_OPEN;
    says(explain(x, "alice", HOME), "\"site\":\"berlin\",\"when\":\"open\"}");
    decides(explain(x, "pbx", HOME), "routes", "numbers", "when");
    says(explain_at(x, "alice", HOME, next),
         "\"passed_over\":[{\"name\":\"numbers\",\"why\":\"when\",\"site\":\"berlin\","
         "\"wants\":\"open\"}],");
    p->routes[0].when = WHEN_ALWAYS;
    p->routes[0].from_zone = ZONE_PBX;
    says(explain(x, "alice", HOME), "\"passed_over\":[{\"name\":\"numbers\",\"why\":\"from\"}],");
}

/* What a call of alice's holds: one more is over, and its questions add nothing. */
static void over_a_cap(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    struct ledger *l = &x->g.cfg[0].ledger;
    struct ledger_key k = {.kind = LEDGER_IDENTITY};
    struct rate price = rate_of_class(CLASS_LOCAL);
    struct ledger_hold h = {0};
    struct ledger_refusal no;
    k.key = ledger_key_of(&TEST_LEDGER_KEY, LEDGER_IDENTITY, STR("alice@example.com"));
    assert_int_equal(ledger_reserve(l, &k, 1, &price, x->g.now.wall, &h, &no), REASON_NONE);
    p->roles[0].caps = (struct caps){.calls = 2, .call_s = 600, .micro = {1, 2, 3}};
    for (unsigned i = 0; i < SPAN_COUNT; i++)
        p->roles[0].caps.micro[i] += 2 * price.minute_micro;
    const char *j = explain(x, "alice", HOME);
    says(j, "\"verdict\":\"pass\",");
    says(j, "\"caps\":{\"off_hours\":false,\"calls\":2,\"calls_now\":1,\"longest_s\":600,"
            "\"call_micro\":0,\"hour_micro\":100001,\"hour_used_micro\":50000,"
            "\"day_micro\":100002,\"day_used_micro\":50000,\"month_micro\":100003,"
            "\"month_used_micro\":50000},");
    p->roles[0].caps.calls = 1;
    j = explain(x, "alice", HOME);
    refused(j, "fraud", REASON_fraud_calls);
    decides(j, "roles", "user", "caps");
    says(explain(x, "bob", HOME), "\"verdict\":\"pass\",");
    p->roles[0].caps = (struct caps){.micro = {0, 2 * price.minute_micro - 1, 0}};
    refused(explain(x, "alice", HOME), "fraud", REASON_fraud_money);
    p->roles[0].caps = (struct caps){0};
    p->roles[0].whole.call_micro = 1;
    j = explain(x, "alice", HOME);
    refused(j, "fraud", REASON_fraud_call_money);
    decides(j, "roles", "user", "whole");
    p->roles[0].whole = (struct caps){0};
    const struct {
        struct caps *caps;
        const char *section, *entry, *key;
    } at[] = {{&p->class_caps[CLASS_LOCAL], "rates", "class_caps", "local"},
              {&p->places[0].caps, "rates", "places", "DE"},
              {&p->places[1].caps, "rates", "places", "+4930"},
              {&p->peers[0].caps, "peers", "pbx", "caps"}};
    p->places[0].country = 'D' << 8 | 'E';
    p->places[1] = (struct policy_place){.prefix = "4930", .prefix_n = 4};
    p->n_places = 2;
    p->routes[0].n_peers = 1;
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        says(explain(x, "alice", HOME), "\"verdict\":\"pass\",");
        at[i].caps->call_micro = 1;
        j = explain(x, "alice", HOME);
        refused(j, "fraud", REASON_fraud_call_money);
        decides(j, at[i].section, at[i].entry, at[i].key);
        *at[i].caps = (struct caps){0};
    }
    p->peers[0].caps.call_micro = 1; /* who has no role */
    decides(explain(x, "pbx", HOME), "peers", "pbx", "caps");
    p->peers[0].caps.call_micro = 0;
    p->system.call_micro = 1;
    says(explain(x, "alice", HOME), "\"decides\":{\"section\":\"rates\",\"key\":\"caps\"}}");
    p->system.call_micro = 0;
    p->spent_unknown = x->g.now.wall;
    j = explain(x, "alice", HOME);
    refused(j, "fraud", REASON_fraud_unknown);
    says(j, "\"decides\":{\"state\":\"ledger\",\"remedy\":\"ringwall fraud accept\"}}");
    p->spent_unknown.us = 0;
    struct ledger_sum s = ledger_sum(l, LEDGER_IDENTITY, k.key, x->g.now.wall);
    assert_true(s.calls == 1 && s.attempts_min == 1);
    collect(x);
    assert_int_equal(x->n_got, 0);
}

static void other_countries(void **state)
{
    static uint64_t mem[1024];
    static const uint16_t open[] = {'A' << 8 | 'T'};
    static const struct directory_room room = {.users = 3, .countries = 3, .text = 128};
    struct fixture *x = *state;
    struct directory *d = (struct directory *)(void *)mem;
    struct directory_entry u = {.aor = STR("alice@example.com"), .role = STR("user")};
    memset(mem, 0, sizeof mem);
    assert_true(directory_bytes_of(&room) <= sizeof mem);
    directory_begin_of(d, &room);
    assert_ok(directory_put(d, &u));
    u.aor = STR("carol@example.com");
    u.flags = DIRECTORY_SECOND_FACTOR;
    assert_ok(directory_put(d, &u));
    u.aor = STR("bob@example.com");
    u.flags = 0;
    u.n_countries = 1;
    u.countries = open;
    assert_ok(directory_put(d, &u));
    x->g.core[0]->env.directory = d;
    silent(explain(x, "alice", ABROAD), "\"abroad\"");
    x->g.policy.roles[0].rights.step_up_country = true;
    const char *j = explain(x, "alice", ABROAD);
    refused(j, "right", REASON_right_country_first);
    says(j, "\"abroad\":{\"country\":\"AT\",\"allowed\":false},");
    decides(j, "roles", "user", "step_up");
    j = explain(x, "carol", ABROAD);
    says(j, "\"verdict\":\"step-up\",\"reason\":\"right_country_first\",");
    says(j, "{\"gate\":\"right\",\"verdict\":\"step-up\",\"reason\":\"right_country_first\",");
    silent(j, "\"code\"");
    decides(j, "roles", "user", "step_up");
    j = explain(x, "bob", ABROAD);
    says(j, "\"verdict\":\"pass\",");
    says(j, "\"abroad\":{\"country\":\"AT\",\"allowed\":true},");
    refused(explain(x, "bob", "0041446681800"), "right", REASON_right_country_first);
    silent(explain(x, "alice", HOME), "\"abroad\"");
}

/* No right, no cap and no country keeps anybody from it. */
static void for_help(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    p->roles[0].outbound = false;
    p->roles[0].rights = (struct rights_role){.step_up_country = true};
    p->roles[0].caps.call_micro = p->system.call_micro = 1;
    p->spent_unknown = x->g.now.wall;
    const char *j = explain(x, "alice", "112");
    says(j, "\"emergency\":true,\"class\":\"emergency\",");
    says(j, "\"verdict\":\"pass\"," GATES_PASS BY_TRUNKS("112") "\"price\":{\"paid\":false},");
    decides(j, "routes", "numbers", "pattern");
    says(explain(x, "alice", "1121"), "\"emergency\":false,");
    says(text, "\"verdict\":\"refuse\",");
    p->n_routes = 0;
    refused(explain(x, "alice", "112"), "right", REASON_emergency_unrouted);
}

static void priced_by_a_deck(void **state)
{
    static ALIGNED(64) uint8_t mem[4096];
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    struct rates_entry v = {.prefix = "4930", .deck = 2};
    size_t bad;
    v.rate = (struct rate){7, 600, 30, 6, false, 12, 2, 4};
    assert_ok(rates_build(&v, 1, mem, sizeof mem, &bad));
    x->g.core[0]->env.rates = (const struct rates *)(const void *)mem;
    p->decks[1] = test_text(p, "carrier");
    p->n_decks = 2;
    says(explain(x, "alice", HOME), "\"by_class\":true},");
    p->peers[0].deck = 2;
    says(explain(x, "alice", HOME),
         "\"setup_micro\":7,\"minute_micro\":600,\"minimum_s\":30,\"increment_s\":6,"
         "\"by_class\":false,\"deck\":\"carrier\",\"line\":12},");
    says(explain(x, "alice", ABROAD), "\"by_class\":true},"); /* the deck does not know it */
}

static void who_is_asked(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    silent(explain(x, "alice", HOME), "\"asks\"");
    p->consult.on = true;
    p->consult.peer = 1;
    says(explain(x, "alice", HOME), "\"asks\":{\"peer\":\"trunk2\",\"fails\":\"refuse\"},");
    p->consult.peer = POLICY_NONE;
    p->consult.url = test_text(p, "https://example.net/ask");
    p->consult.fails_open = true;
    says(explain(x, "alice", HOME),
         "\"asks\":{\"url\":\"https://example.net/ask\",\"fails\":\"pass\"},");
    silent(explain(x, "alice", "112"), "\"asks\"");
    silent(explain(x, "alice", "bob"), "\"asks\"");
}

static void as_it_leaves(void **state)
{
    struct fixture *x = *state;
    struct policy_route *t = &x->g.policy.routes[0];
    t->strip = 1;
    t->prefix = test_text(&x->g.policy, "+49");
    says(explain(x, "alice", HOME), "\"leaves_as\":\"+4930123456\"}");
    t->n_peers = 1;
    says(explain(x, "alice", HOME), "\"peers\":[\"pbx\"],");
}

static void what_cannot_be_asked(void **state)
{
    struct fixture *x = *state;
    static const char *const nobody[] = {"", "zoe", "alice@example.net", "trunk9", "pbx@"},
                             *const nothing[] = {
                                 "",          " ",
                                 "1 2",       "a@",
                                 "1;x=\"y\"", "1\r\nX: y",
                                 "<1",        "01234567890123456789012345678901234567890"};
    for (size_t i = 0; i < ARRAY_LEN(nobody); i++)
        assert_string_equal(explain(x, nobody[i], HOME),
                            "{\"error\":\"as: there is no such user or peer\"}");
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
        assert_string_equal(explain(x, "alice", nothing[i]),
                            "{\"error\":\"to: that cannot be dialled\"}");
    silent(explain(x, "alice", "0123456789012345678901234567890123456789"), "\"error\"");
    silent(explain(x, "alice", "a.b-c_d*1+Z"), "\"error\"");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_explain, teardown)
    const struct CMUnitTest tests[] = {T(it_goes),      T(within_and_of_a_peer), T(no_right),
                                       T(by_hours),     T(over_a_cap),           T(other_countries),
                                       T(for_help),     T(priced_by_a_deck),     T(who_is_asked),
                                       T(as_it_leaves), T(what_cannot_be_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
