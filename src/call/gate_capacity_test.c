/* Room for new calls, the last tenth that only calls for help may use, and whom they are for. */
#include "call/fixture_test.h"
#include "call/gate.h"

static struct policy p;
static uint64_t dir_mem[FIXTURE_DIRECTORY_BYTES / 8];
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static char text[2048];

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    e = (struct gate_env){
        .policy = &p, .directory = fixture_directory(dir_mem), .calls_cap = 100, .trans_cap = 1000};
    return 0;
}

static void ask_for(const char *method, const char *uri)
{
    struct sip_error err;
    struct flow f = {.proto = PROTO_TLS, .peer = fixture_addr("203.0.113.5:9")};
    int n = snprintf(text, sizeof text,
                     "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;branch=z9hG4bKx\r\n"
                     "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:100@example.com>\r\n"
                     "Call-ID: c1\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
                     method, uri, method);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{1}, {1}});
}

static void expect(gate_fn *gate, enum reason why, uint16_t code)
{
    struct verdict v = gate(&e, &r, NULL);
    assert_int_equal(v.kind, why == REASON_NONE ? VERDICT_PASS : VERDICT_REFUSE);
    assert_int_equal(v.reason, why);
    assert_int_equal(v.code, code);
}

static void tables_at_their_edges(void **state)
{
    (void)state;
    static const struct {
        uint32_t calls, trans;
        enum reason why, urgent; /* to a call, and to one for help */
    } row[] = {{0, 0, REASON_NONE, REASON_NONE},
               {89, 899, REASON_NONE, REASON_NONE},
               {90, 899, REASON_capacity_calls, REASON_NONE},
               {89, 900, REASON_capacity_transactions, REASON_NONE},
               {90, 900, REASON_capacity_calls, REASON_NONE},
               {99, 999, REASON_capacity_calls, REASON_NONE},
               {100, 999, REASON_capacity_calls, REASON_capacity_calls},
               {99, 1000, REASON_capacity_calls, REASON_capacity_transactions},
               {UINT32_MAX, UINT32_MAX, REASON_capacity_calls, REASON_capacity_calls}};
    ask_for("INVITE", "sip:100@example.com");
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        e.calls_used = row[i].calls;
        e.trans_used = row[i].trans;
        r.emergency = false;
        expect(gate_capacity, row[i].why, row[i].why ? 503 : 0);
        r.emergency = true;
        expect(gate_capacity, row[i].urgent, row[i].urgent ? 503 : 0);
    }
}

/* A table of less than ten has no tenth to keep. */
static void small_tables(void **state)
{
    (void)state;
    e.calls_cap = 9;
    ask_for("INVITE", "sip:100@example.com");
    e.calls_used = 8;
    expect(gate_capacity, REASON_NONE, 0);
    e.calls_used = 9;
    expect(gate_capacity, REASON_capacity_calls, 503);
    e.calls_cap = e.calls_used = 0;
    r.emergency = true;
    expect(gate_capacity, REASON_capacity_calls, 503);
}

static void what_is_no_new_call(void **state)
{
    (void)state;
    static const char *const methods[] = {"REGISTER", "OPTIONS", "BYE", "ACK", "CANCEL", "MESSAGE"};
    e.calls_used = 100;
    e.trans_used = 1000;
    e.draining = true;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        ask_for(methods[i], "sip:100@example.com");
        expect(gate_capacity, REASON_NONE, 0);
    }
    ask_for("INVITE", "sip:100@example.com");
    expect(gate_capacity, REASON_draining, reason_info(REASON_draining)->code);
    r.in_dialog = true;
    expect(gate_capacity, REASON_NONE, 0);
}

static void draining(void **state)
{
    (void)state;
    e.draining = true;
    ask_for("INVITE", "sip:100@example.com");
    expect(gate_capacity, REASON_draining, 503);
    r.emergency = true;
    expect(gate_capacity, REASON_NONE, 0);
    e.calls_used = 100;
    expect(gate_capacity, REASON_capacity_calls, 503);
}

static void users_of_ours(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *prefix;
        uint8_t strip;
        bool there;
    } row[] = {{"sip:bob@example.com", "", 0, true},    {"sip:bo%62@example.com", "", 0, true},
               {"sip:bo@example.com", "", 0, false},    {"sip:bobb@example.com", "", 0, false},
               {"sip:00bob@example.com", "", 2, true},  {"sip:00bob@example.com", "", 1, false},
               {"sip:b@example.com", "bo", 0, true},    {"sip:ob@example.com", "b", 0, true},
               {"sip:xxob@example.com", "b", 2, true},  {"sip:bob@example.com", "", 3, false},
               {"sip:bob@example.com", "", 200, false}, {"sip:example.com", "", 0, false},
               {"urn:service:sos.police", "", 0, false}};
    struct policy_route *to = &p.routes[3];
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        ask_for("INVITE", row[i].uri);
        r.route = to;
        to->prefix = fixture_text(&p, row[i].prefix);
        to->strip = row[i].strip;
        enum reason why = row[i].there ? REASON_NONE : REASON_route_user_unknown;
        expect(gate_route, why, row[i].there ? 0 : 404);
    }
    r.in_dialog = true; /* the dialog has its own way */
    expect(gate_route, REASON_NONE, 0);
    r.in_dialog = false;
    r.route = &p.routes[1]; /* to a peer: whom it serves is its own business */
    expect(gate_route, REASON_NONE, 0);
    r.route = NULL;
    expect(gate_route, REASON_NONE, 0);
}

/* Prefix and number together fit into 128 bytes; beyond, the prefix alone is not who is meant. */
static void names_that_do_not_fit(void **state)
{
    (void)state;
    char prefix[101], aor[128], uri[128];
    static const int digits[] = {1, 28, 29, 60};
    memset(prefix, 'a', sizeof prefix - 1);
    prefix[100] = 0;
    (void)snprintf(aor, sizeof aor, "%s@example.com", prefix);
    assert_ok(directory_add((struct directory *)(void *)dir_mem, str_c(aor), STR("user"),
                            (struct wall){0}));
    p.routes[3].prefix = fixture_text(&p, prefix);
    for (size_t i = 0; i < ARRAY_LEN(digits); i++) {
        (void)snprintf(uri, sizeof uri, "sip:%0*d@example.com", digits[i], 0);
        ask_for("INVITE", uri);
        r.route = &p.routes[3];
        p.routes[3].strip = 0;
        expect(gate_route, REASON_route_user_unknown, 404);
        p.routes[3].strip = (uint8_t)digits[i];
        expect(gate_route, REASON_NONE, 0);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {T(tables_at_their_edges), T(small_tables),
                                       T(what_is_no_new_call),   T(draining),
                                       T(users_of_ours),         T(names_that_do_not_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
