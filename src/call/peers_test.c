/* Peers by name: what the board says is what calls do, and calls that run do not mind. */
#include "call/core_fixture.h"

#define ONE   "198.51.100.10:5060" /* PBX of the fixture */
#define TWO   "198.51.100.21:5062"
#define THREE "198.51.100.22:5062"

static struct targets_board board;
static struct policy policy;

static struct core *core_of(struct fixture *x)
{
    return x->g.core[0];
}

static void put(struct fixture *x, enum targets_state state, const char *a, const char *b)
{
    struct targets_row r = {.state = (uint8_t)state, .secure = true, .until = {7}, .asked = {5}};
    assert_true(targets_ask(&policy, 0, &r.ask));
    const char *const all[] = {a, b};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]) {
            r.entry[r.n].a = test_addr(all[i]);
            r.entry[r.n].group = (uint8_t)i;
            r.entry[r.n++].priority = (uint16_t)(10 * i);
        }
    if (state == TARGETS_FAILED)
        r.why = REASON_dns_no_name;
    targets_put(&board, 9, &r);
    pass_ms(x, 1);
}

/* Peer "pbx" has a name now, and nothing is known of it. */
static int named(void **state)
{
    assert_int_equal(setup(state), 0);
    struct fixture *x = *state;
    memset(&board, 0, sizeof board);
    assert_ok(targets_attach(&board, sizeof board));
    core_of(x)->cfg.targets = &board;
    core_of(x)->cfg.targets_bytes = sizeof board;
    policy = x->g.policy;
    policy.peers[0].n_targets = 0;
    policy.peers[0].host = test_text(&policy, "pbx.example.net");
    assert_ok(policy_valid(&policy, sizeof policy));
    core_policy(core_of(x), &policy, x->g.now);
    return 0;
}

static void dial(struct fixture *x, const char *id)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=f1", to[] = "<sip:1234@example.com>",
                      uri[] = "sip:1234@example.com";
    char auth[1400];
    message(x, &fa,
            request("INVITE", uri, from, to, id, 1, "Contact: <sip:a@203.0.113.5>\r\n", SDP_A));
    (void)snprintf(auth, sizeof auth, "Contact: <sip:a@203.0.113.5>\r\n%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
    message(x, &fa, request("INVITE", uri, from, to, id, 2, auth, SDP_A));
    vault(x, REASON_NONE);
}

static void test_unresolved(void **state)
{
    struct fixture *x = *state;
    uint64_t before = counters_get(&x->g.counters[0], REASON_route_peer_unresolved);
    dial(x, "u1");
    assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
    put(x, TARGETS_FAILED, NULL, NULL);
    dial(x, "u2");
    assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
    assert_true(counters_get(&x->g.counters[0], REASON_route_peer_unresolved) > before);
    assert_int_equal(core_usage(core_of(x)).peers_up, 0);
    char json[1024];
    struct out o = out_of(json, sizeof json);
    core_peers_json(core_of(x), &o, x->g.now);
    assert_str(out_str(&o), "[{\"name\":\"pbx\",\"kind\":\"pbx\",\"up\":false,\"host\":\"pbx."
                            "example.net\",\"name_state\":\"unresolved\",\"secure\":false,"
                            "\"asked_us\":5,\"until_us\":7,\"name_error\":\"dns_no_name\","
                            "\"targets\":[]}]");
    nothing_left(x);
}

/* The order of the board; 503 goes on to the next; the Request-URI keeps the name. */
static void test_failover(void **state)
{
    struct fixture *x = *state;
    struct flow f2 = flow_of(TWO, LISTEN_IN_UDP), f3 = flow_of(THREE, LISTEN_IN_UDP);
    char inv[4096];
    put(x, TARGETS_GOOD, TWO, THREE);
    dial(x, "f1");
    const char *out = sent(x, TWO, "INVITE sip:1234@pbx.example.net SIP/2.0");
    assert_non_null(out);
    (void)snprintf(inv, sizeof inv, "%s", out);
    message(x, &f2, answer(inv, 503, "t2", "x@198.51.100.21", ""));
    out = sent(x, THREE, "INVITE sip:1234@pbx.example.net SIP/2.0");
    assert_non_null(out);
    (void)snprintf(inv, sizeof inv, "%s", out);
    message(x, &f3, answer(inv, 486, "t3", "x@198.51.100.22", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 486 "));
    /* what is known of an address stays known when the list is written anew in another order */
    put(x, TARGETS_STALE, THREE, TWO);
    assert_true(peers_usable(core_of(x), 0, 0));
    assert_false(peers_usable(core_of(x), 0, 1));
    put(x, TARGETS_GOOD, TWO, NULL);
    assert_false(peers_usable(core_of(x), 0, 0));
    dial(x, "f2");
    assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
    nothing_left(x);
}

/* The peer calls alice, moves, and hangs up from where it was. */
static void test_a_move_within_a_call(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(ONE, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096];
    put(x, TARGETS_GOOD, ONE, NULL);
    call_up(x, a, p, sizeof a);
    struct targets_row r;
    assert_ok(targets_get(&board, sizeof board, &policy, 0, &r));
    r.past[r.n_past++] = (struct targets_past){r.entry[0].a, {INT64_MAX}};
    r.entry[0].a = test_addr(TWO);
    targets_put(&board, 9, &r);
    pass_ms(x, 1);
    /* no new call from there */
    message(x, &fp,
            request("INVITE", "sip:alice@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p7",
                    "<sip:alice@" TEST_INSIDE ">", "new", 1,
                    "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P));
    assert_null(sent(x, ALICE, "INVITE "));
    assert_int_equal(core_usage(core_of(x)).calls, 1);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    assert_non_null(sent(x, ONE, "SIP/2.0 200 "));
    const char *bye = sent(x, ALICE, "BYE ");
    assert_non_null(bye);
    message(x, &fa, answer(bye, 200, "", "alice@203.0.113.5", ""));
    nothing_left(x);
}

static void test_a_move_past_its_time(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(ONE, LISTEN_IN_UDP);
    char a[4096], p[4096];
    put(x, TARGETS_GOOD, ONE, NULL);
    call_up(x, a, p, sizeof a);
    put(x, TARGETS_GOOD, TWO, NULL); /* nothing of the past */
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    assert_null(sent(x, ONE, "SIP/2.0 200 "));
    assert_int_equal(core_usage(core_of(x)).calls, 1);
}

/* OPTIONS go to where the name leads; what an address said that is gone changes nothing. */
static void test_health(void **state)
{
    struct fixture *x = *state;
    struct flow f2 = flow_of(TWO, LISTEN_IN_UDP);
    static struct policy p;
    char ask[4096] = "";
    p = policy;
    p.peers[0].options_s = 60;
    core_policy(core_of(x), &p, x->g.now);
    put(x, TARGETS_GOOD, TWO, NULL);
    for (int i = 0; i < 20 && !*ask; i++) {
        pass_ms(x, 100);
        const char *q = sent(x, TWO, "OPTIONS sip:198.51.100.21:5062 SIP/2.0");
        if (q)
            (void)snprintf(ask, sizeof ask, "%s", q);
    }
    assert_true(*ask);
    put(x, TARGETS_GOOD, THREE, NULL);
    message(x, &f2, answer(ask, 503, "h", "x@198.51.100.21", ""));
    assert_int_equal(core_usage(core_of(x)).peers_up, 1);
    unsigned down = 0;
    for (int i = 0; i < 1000 && !down; i++) { /* THREE keeps silent */
        pass_ms(x, 100);
        down += count_facts(x, FACT_PEER_STATE);
    }
    assert_int_equal(down, 1);
    assert_int_equal(core_usage(core_of(x)).peers_up, 0);
    core_policy(core_of(x), &x->g.policy, x->g.now);
    nothing_left(x);
}

/* A board that breaks its contract is counted and changes nothing. */
static void test_hostile_board(void **state)
{
    struct fixture *x = *state;
    put(x, TARGETS_GOOD, TWO, NULL);
    assert_int_equal(peers_targets(core_of(x), 0), 1);
    put(x, TARGETS_GOOD, "224.0.0.1:5060", NULL);
    assert_int_equal(peers_targets(core_of(x), 0), 1);
    assert_true(addr_eq(peers_address(core_of(x), 0, 0), &(struct addr){0}) == false);
    assert_int_equal(counters_get(&x->g.counters[0], REASON_ipc_malformed), 1);
    board.slot[9].seq |= 1; /* its writer died inside */
    __atomic_store_n(&board.changes, board.changes + 1, __ATOMIC_RELEASE);
    pass_ms(x, 1);
    assert_int_equal(peers_targets(core_of(x), 0), 1);
    /* indices from before */
    assert_int_equal(peers_address(core_of(x), 0, 1)->family, ADDR_NONE);
    assert_int_equal(peers_address(core_of(x), 0, POLICY_NONE)->family, ADDR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unresolved, named, teardown),
        cmocka_unit_test_setup_teardown(test_failover, named, teardown),
        cmocka_unit_test_setup_teardown(test_a_move_within_a_call, named, teardown),
        cmocka_unit_test_setup_teardown(test_a_move_past_its_time, named, teardown),
        cmocka_unit_test_setup_teardown(test_health, named, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_board, named, teardown),
    };
    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
