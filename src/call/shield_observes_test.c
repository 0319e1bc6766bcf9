/* Registrations, calls and responses that are observed, and what comes of it; what signatures do to
 * answers and media; and whom a silent zone does not even challenge. */
#include "call/shield_test.h"

static void a_registration(void **state)
{
    struct fixture *x = *state;
    for (unsigned new = 0; new < 2; new ++) {
        struct request *r = a_request(x, "REGISTER", "sip:example.com");
        memcpy(r->user, "alice@example.com", r->user_n = 17);
        memcpy(r->who, "other", r->who_n = 5);
        r->aor_hash = 11;
        r->device = 12;
        shield_registered(core_at(x), r, new);
        const struct obs *o = only();
        assert_int_equal(o->kind, OBS_REGISTERED);
        assert_int_equal(o->flags, OBS_PROVEN | OBS_USER | (new ? OBS_NEW : 0));
        assert_int_equal(o->code, 200);
        assert_int_equal(o->reason, REASON_NONE);
        assert_true(o->aor == 11 && o->device == 12);
        assert_str(str_of(o->who, o->who_n), "alice@example.com");
        assert_true(addr_eq(&g.known, &r->flow.peer));
        assert_int_equal(g.until.us, x->g.now.mono.us + INT64_C(3700000000));
    }
}

static struct call call;
static struct leg leg_a;
static struct call *a_call(struct fixture *x)
{
    memset(&call, 0, sizeof call);
    memset(&leg_a, 0, sizeof leg_a);
    leg_a.flow = flow_of(MALLORY, LISTEN_OUT_UDP);
    leg_a.zone = ZONE_PHONES;
    leg_a.peer = POLICY_NONE;
    leg_a.d.remote_uri = STR("sip:200@example.net");
    call.core = core_at(x);
    call.a = &leg_a;
    call.dialled = STR("0301234");
    call.start_us = x->g.now.wall.us - 90999999;
    return &call;
}

/* For how long: since the answer, else the ringing, else the beginning. */
static void how_long_a_call_was(void **state)
{
    struct fixture *x = *state;
    static const struct {
        int64_t ring_s, answer_s; /* ago; 0: never */
        uint32_t seconds;
        uint16_t flags;
    } row[] = {{0, 0, 90, 0},
               {60, 0, 60, 0},
               {60, 30, 30, OBS_ANSWERED},
               {0, -1, 0, OBS_ANSWERED}, /* the clock was set */
               {0, INT64_C(1) << 33, UINT32_MAX, OBS_ANSWERED}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct call *k = a_call(x);
        k->core->now.wall.us = INT64_C(1) << 60;
        k->start_us += k->core->now.wall.us - x->g.now.wall.us;
        k->ring_us = row[i].ring_s ? k->core->now.wall.us - row[i].ring_s * 1000000 : 0;
        k->answer_us = row[i].answer_s ? k->core->now.wall.us - row[i].answer_s * 1000000 : 0;
        shield_call(k, 486);
        assert_int_equal(only()->seconds, row[i].seconds);
        assert_int_equal(only()->flags, row[i].flags);
        assert_int_equal(only()->code, 486);
    }
}

static void whose_call_it_was(void **state)
{
    struct fixture *x = *state;
    const struct sipkey *key = &x->g.cfg[0].hash_key;
    for (unsigned i = 0; i < 4; i++) {
        struct call *k = a_call(x);
        if (i == 1)
            k->user = STR("alice@example.com");
        leg_a.peer = i == 2 ? 0 : POLICY_NONE;
        if (i == 3) {
            k->aor_hash = 5;
            k->number = 6;
            k->emergency = true;
        }
        shield_call(k, 200);
        const struct obs *o = only();
        struct str who = i == 1 ? STR("alice@example.com") : STR("sip:200@example.net");
        assert_int_equal(o->kind, OBS_CALL);
        assert_int_equal(o->method, SIP_INVITE);
        assert_int_equal(o->zone, ZONE_PHONES);
        assert_int_equal(o->flags, i == 1   ? OBS_USER | OBS_PROVEN
                                   : i == 2 ? OBS_PEER
                                   : i == 3 ? OBS_EMERGENCY
                                            : 0);
        assert_int_equal(o->aor, i == 3 ? 5 : location_hash(key, who));
        assert_int_equal(o->number, i == 3 ? 6 : siphash(key, STR("0301234")));
        assert_str_eq(str_of(o->who, o->who_n), who);
        assert_int_equal(o->value, 0); /* no packets */
        assert_true(addr_eq(&o->source, &leg_a.flow.peer));
    }
}

static void a_response(void)
{
    parse("SIP/2.0 401 X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
          "To: <sip:to@example.com>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
          "Content-Length: 0\r\n\r\n");
}

static void responses(void **state)
{
    struct fixture *x = *state;
    a_response();
    for (unsigned i = 0; i < 3; i++) {
        struct flow f = flow_of(i == 1 ? PBX : MALLORY, i == 1 ? LISTEN_IN_UDP : LISTEN_OUT_UDP);
        enum reason why = i ? REASON_NONE : REASON_sip_response_stray;
        shield_response(core_at(x), &msg, &f, why, i == 2);
        const struct obs *o = only();
        assert_int_equal(o->kind, OBS_RESPONSE);
        assert_int_equal(o->method, SIP_INVITE);
        assert_int_equal(o->code, 401);
        assert_int_equal(o->reason, why);
        assert_int_equal(o->zone, i == 1 ? ZONE_PBX : ZONE_PHONES);
        assert_int_equal(o->flags, i == 1 ? OBS_PEER : i == 2 ? OBS_PROVEN : 0);
        assert_str(str_of(o->who, o->who_n), "sip:to@example.com");
    }
}

static unsigned kinds(struct fixture *x, enum intent_kind k)
{
    unsigned n = 0;
    for (size_t i = 0; i < x->n_got; i++)
        n += x->got[i].kind == k;
    return n;
}

/* What was observed here goes to those who judge it, once; what came from them goes nowhere. What
 * they decide is told in both cases. */
static void from_engine_to_engine(void **state)
{
    struct fixture *x = *state;
    const struct guard_out says = {
        .n_to = 2,
        .to = {7, 9},
        .n_events = 2,
        .events = {{.detector = DET_scan, .treat = TREAT_BAN, .ban = {.scope = BAN_AOR}},
                   {.detector = DET_decoy, .treat = TREAT_LOG}}};
    struct obs o = {.kind = OBS_REGISTERED, .n = 1, .source = test_addr(MALLORY), .aor = 3};
    for (unsigned here = 0; here < 2; here++)
        for (unsigned kind = OBS_REQUEST; kind <= OBS_REGISTERED; kind++) {
            rest(x);
            struct core *c = core_at(x);
            memset(&g.known, 0, sizeof g.known);
            g.says = says;
            o.kind = (uint8_t)kind;
            if (here)
                shield_below(c, REASON_sip_start_line, NULL, &o.source, 1, STR_NONE);
            else
                core_observe(c, &o, x->g.now);
            collect(x);
            assert_int_equal(g.forwarded[0], !here);
            assert_int_equal(kinds(x, INTENT_OBSERVE), here ? 2 : 0);
            assert_int_equal(kinds(x, INTENT_FACT), 2);
            assert_int_equal(kinds(x, INTENT_BAN), 1);
            assert_int_equal(g.known.family != ADDR_NONE, !here && kind == OBS_REGISTERED);
            if (!here && kind == OBS_REGISTERED)
                assert_int_equal(g.until.us, x->g.now.mono.us + INT64_C(3700000000));
            if (!here) {
                assert_memory_equal(&g.seen[0], &o, sizeof o);
                continue;
            }
            assert_int_equal(x->got[0].engine, 7);
            assert_int_equal(x->got[1].engine, 9);
            assert_memory_equal(x->text[0], &g.seen[0], sizeof o);
        }
}

/* --- signatures --- */

static const char PLAIN[] = "p", MEDIA[] = "r"; /* two sets of rules; one is for packets, too */
static void with_rules(struct core *c, const char *rules)
{
    static char state[16];
    core_rules(c, (const void *)rules, NULL, state);
}

static void fires(size_t n, const struct rules_hit *hits)
{
    g.n_hits = n;
    memcpy(g.hits, hits, n * sizeof *hits);
}

static void rules_come_and_go(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    assert_false(core_wants_rtp_rules(c));
    c->shield.hits.n = 3;
    with_rules(c, PLAIN);
    assert_int_equal(c->shield.hits.n, 0); /* of those before */
    assert_non_null(c->env.rules_state);
    assert_false(core_wants_rtp_rules(c));
    with_rules(c, MEDIA);
    assert_true(core_wants_rtp_rules(c));
    with_rules(c, NULL);
    assert_null(c->env.rules_state);
    assert_false(core_wants_rtp_rules(c));
}

/* Each that is to be told is told, with the one message that they are all about. */
static void of_a_request(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct request *r = a_request(x, "OPTIONS", "sip:1@example.com");
    struct gate_hits *h = &c->shield.hits;
    shield_rules(c, r);
    assert_int_equal(g.n, 0);
    *h = (struct gate_hits){5,
                            {{.sid = 1, .action = RULE_ALERT, .weight = 10},
                             {.sid = 2, .action = RULE_PASS},
                             {.sid = 3, .action = RULE_DROP, .quiet = true},
                             {.sid = 4, .action = RULE_DROP, .weight = 40},
                             {.sid = 5, .action = RULE_REJECT}}};
    shield_rules(c, r);
    collect(x);
    static const unsigned sids[] = {1, 4, 5}, weights[] = {10, 40, 0};
    assert_int_equal(g.n, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(g.seen[i].kind, OBS_RULE);
        assert_int_equal(g.seen[i].value, sids[i]);
        assert_int_equal(g.seen[i].weight, weights[i]);
        assert_int_equal(g.seen[i].evidence, r->evidence);
        assert_int_equal(g.seen[i].method, SIP_OPTIONS);
        assert_int_equal(g.seen[i].reason, REASON_NONE);
    }
    assert_int_not_equal(r->evidence, 0);
    assert_int_equal(count_facts(x, FACT_EVIDENCE), 1);
    assert_int_equal(count_facts(x, FACT_ALERT), 3);
    assert_int_equal(h->n, 0); /* once */
    shield_rules(core_at(x), r);
    assert_int_equal(g.n, 0);
}

static const struct {
    struct rules_hit hit;
    bool passes, told;
} RULE[] = {{{.sid = 9, .action = RULE_ALERT, .weight = 7}, true, true},
            {{.sid = 9, .action = RULE_PASS}, true, false},
            {{.sid = 9, .action = RULE_DROP}, false, true},
            {{.sid = 9, .action = RULE_REJECT}, false, true},
            {{.sid = 9, .action = RULE_ALERT, .quiet = true}, true, false},
            {{.sid = 9, .action = RULE_DROP, .quiet = true}, false, false},
            {{.sid = 9, .action = RULE_REJECT, .quiet = true}, false, false}};

static void of_an_answer(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    uint64_t dropped = 0;
    a_response();
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP), p = flow_of(PBX, LISTEN_IN_UDP);
    fires(1, &RULE[2].hit);
    assert_true(shield_answer(c, &msg, &f)); /* there are none */
    for (size_t i = 0; i < 4 * ARRAY_LEN(RULE); i++) {
        const struct rules_hit *hit = &RULE[i / 4].hit;
        bool dry = i % 2, peer = i / 2 % 2, passes = RULE[i / 4].passes || dry;
        rest(x);
        c = core_at(x);
        with_rules(c, PLAIN);
        fires(1, hit);
        x->g.policy.guard.dry_run = dry;
        assert_int_equal(shield_answer(c, &msg, peer ? &p : &f), passes);
        dropped += !passes;
        assert_int_equal(counted(x, REASON_shield_rule_drop), dropped);
        assert_int_equal(g.n, RULE[i / 4].told);
        collect(x);
        assert_int_equal(count_facts(x, FACT_ALERT), g.n);
        assert_int_equal(count_facts(x, FACT_EVIDENCE), g.n);
        if (!g.n)
            continue;
        assert_int_equal(only()->kind, OBS_RULE);
        assert_int_equal(only()->value, 9);
        assert_int_equal(only()->weight, hit->weight);
        assert_int_equal(only()->code, 401);
        assert_int_equal(only()->flags, peer ? OBS_PEER : 0);
        assert_int_equal(only()->zone, peer ? ZONE_PBX : ZONE_PHONES);
        assert_int_not_equal(only()->evidence, 0);
        assert_str(str_of(only()->who, only()->who_n), "sip:to@example.com");
    }
    assert_ptr_equal(g.input.m, &msg);
    assert_str_eq(g.input.bytes, msg.bytes);
    assert_true(addr_eq(&g.input.source, &p.peer));
    assert_true(addr_eq(&g.input.dest, &x->g.policy.listeners[LISTEN_IN_UDP].bind));
    assert_true(g.input.established && !g.input.to_server); /* the way of our request back */
}

static void of_a_packet(void **state)
{
    struct fixture *x = *state;
    uint8_t data[] = "rtp";
    struct pkt p = {.data = data, .len = 3, .port = 20002, .peer = test_addr(MALLORY)};
    uint64_t dropped = 0;
    for (size_t i = 0; i < 4 * ARRAY_LEN(RULE); i++) {
        const struct rules_hit *hit = &RULE[i / 4].hit;
        bool dry = i % 2, peer = i / 2 % 2, passes = RULE[i / 4].passes || dry;
        rest(x);
        struct core *c = core_at(x);
        with_rules(c, MEDIA);
        fires(1, hit);
        x->g.policy.guard.dry_run = dry;
        p.peer = test_addr(peer ? PBX : MALLORY);
        assert_int_equal(shield_packet(c, &p), passes);
        dropped += !passes;
        assert_int_equal(counted(x, REASON_shield_rule_drop), dropped);
        assert_int_equal(g.n, RULE[i / 4].told);
        collect(x);
        assert_int_equal(count_facts(x, FACT_ALERT), g.n);
        assert_int_equal(count_facts(x, FACT_EVIDENCE), 0); /* no SIP */
        if (!g.n)
            continue;
        assert_int_equal(only()->kind, OBS_RULE);
        assert_int_equal(only()->value, 9);
        assert_int_equal(only()->weight, hit->weight);
        assert_int_equal(only()->flags, peer ? OBS_PEER : 0);
        assert_int_equal(only()->listener, UINT32_MAX);
    }
    struct addr here = x->g.policy.media_ip;
    here.port = 20002;
    assert_null(g.input.m);
    assert_str(g.input.bytes, "rtp");
    assert_true(addr_eq(&g.input.source, &p.peer));
    assert_true(addr_eq(&g.input.dest, &here));
    assert_true(g.input.established && g.input.to_server);
}

/* A stream has thousands of packets: what one rule says of it is told once a minute. */
static void told_once_a_minute(void **state)
{
    struct fixture *x = *state;
    struct pkt p = {.data = (uint8_t[]){0}, .len = 1, .port = 20002, .peer = test_addr(MALLORY)};
    struct rules_hit hit = {.sid = 9, .action = RULE_DROP};
    rest(x);
    x->g.now.mono.us -= x->g.now.mono.us % 60000000;
    with_rules(core_at(x), MEDIA);
    fires(1, &hit);
    for (unsigned i = 0; i < 10; i++)
        assert_false(shield_packet(x->g.core[0], &p)); /* each of them, but not each is told */
    assert_int_equal(g.n, 1);
    p.port = 20004;
    (void)shield_packet(x->g.core[0], &p);
    assert_int_equal(g.n, 2);
    hit.sid = 10;
    fires(1, &hit);
    (void)shield_packet(x->g.core[0], &p);
    assert_int_equal(g.n, 3);
    p.peer.port++;
    (void)shield_packet(x->g.core[0], &p);
    assert_int_equal(g.n, 4);
    (void)shield_packet(x->g.core[0], &p);
    x->g.now.mono.us += 59999999;
    x->g.core[0]->now = x->g.now;
    (void)shield_packet(x->g.core[0], &p);
    assert_int_equal(g.n, 4);
    x->g.now.mono.us++;
    x->g.core[0]->now = x->g.now;
    (void)shield_packet(x->g.core[0], &p);
    assert_int_equal(g.n, 5);
}

/* --- silent zones --- */

static void who_hears_nothing(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *method, *uri;
        bool silent;
    } row[] = {{"OPTIONS", "sip:example.com", true}, /* phones do not ask so */
               {"REGISTER", "sip:example.com", false},
               {"REGISTER", "sip:EXAMPLE.com", false},
               {"INVITE", "sip:alice@example.com:5060", false},
               {"REGISTER", "sip:" TEST_OUTSIDE, true}, /* ours, but it is no name */
               {"REGISTER", "sip:[2001:db8::1]", true},
               {"INVITE", "sip:alice@example.net", true},
               {"INVITE", "sip:example.com@example.net", true},
               {"INVITE", "sip:alice@xexample.com", true},
               {"INVITE", "tel:+49301234", true},
               {"INVITE", "http://example.com", true}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        for (unsigned but = 0; but < 7; but++) {
            struct core *c = core_at(x);
            struct request *r = a_request(x, row[i].method, row[i].uri);
            x->g.policy.zones[ZONE_PHONES].silent = but != 1;
            r->zone = but == 2 ? POLICY_NONE : ZONE_PHONES;
            r->emergency = but == 3;
            r->in_dialog = but == 4;
            r->ident = but == 5 ? IDENT_USER : IDENT_NONE;
            r->peer = but == 6 ? 0 : POLICY_NONE;
            if (shield_silent(c, r) != (!but && row[i].silent))
                fail_msg("%s %s %u", row[i].method, row[i].uri, but);
        }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, teardown)
    const struct CMUnitTest tests[] = {
        T(a_registration),        T(how_long_a_call_was), T(whose_call_it_was), T(responses),
        T(from_engine_to_engine), T(rules_come_and_go),   T(of_a_request),      T(of_an_answer),
        T(of_a_packet),           T(told_once_a_minute),  T(who_hears_nothing)};
    return cmocka_run_group_tests_name("shield_observes", tests, NULL, NULL);
}
