/* What becomes of the rules' hits. Here the rules themselves are the test's: rules_run is played.
 */
#include "call/fixture_test.h"
#include "call/gate.h"

static struct policy p;
static struct gate_env e;
static struct gate_hits found;
static struct sip_msg m;
static struct request r;
static char text[1024];
static struct rules_input asked;
static unsigned runs;
static size_t n_fires;
static enum rule_action fires[GATE_HITS];

size_t rules_run(const struct rules *rules, struct rules_state *s, const struct rules_scanner *scan,
                 const struct rules_input *in, struct now now, struct rules_hit *ret_hits,
                 size_t cap)
{
    assert_non_null(rules);
    assert_ptr_equal(s, NULL);
    assert_ptr_equal(scan, NULL);
    assert_int_equal(now.wall.us, 7);
    assert_int_equal(cap, GATE_HITS);
    runs++;
    asked = *in;
    for (size_t i = 0; i < n_fires; i++)
        ret_hits[i] = (struct rules_hit){.sid = (uint32_t)i + 1, .action = (uint8_t)fires[i]};
    return n_fires;
}

static int setup(void **state)
{
    (void)state;
    struct sip_error err;
    struct flow f = {.proto = PROTO_UDP, .listener = 2, .peer = fixture_addr("203.0.113.5:9")};
    static const char invite[] =
        "INVITE sip:100@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.5:9;branch=z9hG4bKx\r\n"
        "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:100@example.com>\r\n"
        "Call-ID: c1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    fixture_policy(&p);
    memcpy(text, invite, sizeof invite);
    assert_ok(sip_parse(str_c(text), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{1}, {7}});
    found = (struct gate_hits){.n = 0};
    /* only whether there are any matters to the gate */
    e = (struct gate_env){
        .policy = &p, .hash_key = {7, 8}, .rules = (const void *)&p, .hits = &found};
    runs = 0;
    n_fires = 0;
    return 0;
}

static void expect(int kind, enum reason why, uint16_t code)
{
    struct verdict v = gate_signature(&e, &r, NULL);
    assert_int_equal(v.kind, kind);
    assert_int_equal(v.reason, why);
    assert_int_equal(v.code, code);
}

static void actions(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        enum rule_action v[GATE_HITS];
        int kind;
        enum reason why;
        uint16_t code;
    } row[] = {{0, {0}, VERDICT_PASS, REASON_NONE, 0},
               {1, {RULE_ALERT}, VERDICT_PASS, REASON_NONE, 0},
               {1, {RULE_PASS}, VERDICT_PASS, REASON_NONE, 0},
               {1, {RULE_DROP}, VERDICT_DROP, REASON_shield_rule_drop, 0},
               {1, {RULE_REJECT}, VERDICT_REFUSE, REASON_shield_rule_reject, 403},
               {2, {RULE_ALERT, RULE_REJECT}, VERDICT_REFUSE, REASON_shield_rule_reject, 403},
               {2, {RULE_DROP, RULE_REJECT}, VERDICT_DROP, REASON_shield_rule_drop, 0},
               {2, {RULE_REJECT, RULE_DROP}, VERDICT_REFUSE, REASON_shield_rule_reject, 403},
               {8, {[7] = RULE_DROP}, VERDICT_DROP, REASON_shield_rule_drop, 0}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        n_fires = row[i].n;
        memcpy(fires, row[i].v, sizeof fires);
        expect(row[i].kind, row[i].why, row[i].code);
        assert_int_equal(found.n, row[i].n); /* for the core, who tells them all */
        assert_int_equal(row[i].n ? found.v[row[i].n - 1].sid : 0, row[i].n);
    }
    assert_int_equal(runs, ARRAY_LEN(row));
}

/* Told, and not done: to a call for help, and in a dry run. */
static void whom_rules_do_not_stop(void **state)
{
    (void)state;
    n_fires = 2;
    fires[0] = RULE_REJECT;
    fires[1] = RULE_DROP;
    r.emergency = true;
    expect(VERDICT_PASS, REASON_NONE, 0);
    assert_int_equal(found.n, 2);
    r.emergency = false;
    p.guard.dry_run = true;
    found.n = 0;
    expect(VERDICT_PASS, REASON_NONE, 0);
    assert_int_equal(found.n, 2);
    p.guard.dry_run = false;
    expect(VERDICT_REFUSE, REASON_shield_rule_reject, 403);
}

static void without_rules(void **state)
{
    (void)state;
    n_fires = 1;
    fires[0] = RULE_DROP;
    e.rules = NULL;
    expect(VERDICT_PASS, REASON_NONE, 0);
    e.rules = (const void *)&p;
    e.hits = NULL;
    expect(VERDICT_PASS, REASON_NONE, 0);
    assert_int_equal(runs, 0);
    e.hits = &found;
    expect(VERDICT_DROP, REASON_shield_rule_drop, 0);
}

static void what_rules_are_given(void **state)
{
    (void)state;
    expect(VERDICT_PASS, REASON_NONE, 0);
    assert_ptr_equal(asked.m, &m);
    assert_true(str_eq(asked.bytes, str_c(text)));
    assert_true(addr_eq(&asked.source, &r.flow.peer));
    assert_true(addr_eq(&asked.dest, &p.listeners[2].bind));
    assert_int_equal(asked.proto, PROTO_UDP);
    assert_true(asked.to_server);
    assert_false(asked.established);
    uint64_t flow = asked.flow;
    r.in_dialog = true;
    r.flow.peer.port++; /* another connection is another flow */
    expect(VERDICT_PASS, REASON_NONE, 0);
    assert_true(asked.established);
    assert_true(asked.flow != flow);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {T(actions), T(whom_rules_do_not_stop), T(without_rules),
                                       T(what_rules_are_given)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
