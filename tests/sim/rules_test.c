/* Signatures before the whole core: what they stop, what they tell, and whom they spare. */
#include "app/rules/help_test.h"
#include "call/guard_fixture.h"

static const char RULES[] =
    "drop sip any any -> any any (msg:\"scanner\"; sip.user_agent; content:\"friendly-scanner\"; "
    "sid:1; rev:2;)\n"
    "reject sip any any -> any any (msg:\"no\"; sip.user_agent; content:\"rejected\"; sid:2;)\n"
    "alert sip any any -> any any (msg:\"odd\"; sip.user_agent; content:\"oddity\"; sid:3;)\n"
    "pass sip any any -> any any (msg:\"ours\"; sip.user_agent; content:\"passed\"; sid:4;)\n"
    "drop rtp any any -> any any (msg:\"beep\"; content:\"BEEP\"; sid:5;)\n"
    "alert rtp any any -> any any (msg:\"hum\"; content:\"HUM\"; sid:6;)\n"
    "alert sip any any -> any any (msg:\"pot\"; flow:to_client; sip.stat_code; content:\"418\"; "
    "sid:7;)\n"
    "drop sip any any -> any any (msg:\"evil\"; sip.stat_msg; content:\"Evil\"; sid:8;)\n";

struct act {
    struct scene s;
    struct ruled rules;
    struct rules_scanner scanner;
};

static int act_setup(void **state)
{
    struct act *a = calloc(1, sizeof *a);
    gateway_init(&a->s.x.g, 1, 1);
    a->rules = ruled(RULES);
    a->scanner = *rules_scan_get(a->rules.scan);
    memset(a->rules.state, 0, rules_state_bytes(a->rules.r));
    core_rules(a->s.x.g.core[0], a->rules.r, &a->scanner, a->rules.state);
    *state = a;
    return 0;
}

static int act_done(void **state)
{
    struct act *a = *state;
    gateway_done(&a->s.x.g);
    ruled_done(&a->rules);
    free(a);
    return 0;
}

static unsigned told(const struct scene *s, uint32_t sid)
{
    unsigned n = 0;
    for (unsigned i = 0; i < MIN(s->n_alerts, 64u); i++)
        n += s->alerts[i].u.alert.by == BY_RULE && s->alerts[i].u.alert.sid == sid;
    return n;
}

static void actions(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    hit(s, &f, stranger("OPTIONS", "sip:example.com", "x", "User-Agent: friendly-scanner\r\n"));
    assert_null(sent(&s->x, MALLORY, "SIP"));
    assert_int_equal(told(s, 1), 1);
    assert_int_equal(s->alerts[0].u.alert.rev, 2);
    assert_int_not_equal(s->alerts[0].u.alert.evidence, 0);
    assert_int_equal(s->n_evidence, 1);
    hit(s, &f, stranger("OPTIONS", "sip:example.com", "x", "User-Agent: rejected\r\n"));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 403 "));
    hit(s, &f, stranger("OPTIONS", "sip:example.com", "x", "User-Agent: oddity\r\n"));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 401 "));
    assert_int_equal(told(s, 3), 1);
    unsigned n = s->n_alerts;
    hit(s, &f, stranger("OPTIONS", "sip:example.com", "x", "User-Agent: passed\r\n"));
    hit(s, &f, stranger("OPTIONS", "sip:example.com", "x", "User-Agent: phone\r\n"));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 401 "));
    assert_int_equal(s->n_alerts, n);
}

static void help_passes(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    hit(s, &f, stranger("INVITE", "sip:112@example.com", "x", "User-Agent: friendly-scanner\r\n"));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 401 "));
    hit(s, &f, stranger("INVITE", "sip:112@example.com", "x", "User-Agent: rejected\r\n"));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 401 "));
    hit(s, &f, stranger("INVITE", "sip:113@example.com", "x", "User-Agent: rejected\r\n"));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 403 "));
}

/* A hit is told of the request that it is in, while that waits for the vault; nobody who comes next
 * has anything to do with it. */
static void whose_hit(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY), other = flow_of("198.18.0.1:5060", LISTEN_OUT_UDP);
    char auth[1400];
    hit(s, &f, stranger("REGISTER", "sip:example.com", "alice", ""));
    (void)snprintf(auth, sizeof auth, "User-Agent: oddity\r\n%s",
                   tries(sent(&s->x, MALLORY, "SIP/2.0 401 "), "alice", "sip:example.com"));
    hit(s, &f, stranger("REGISTER", "sip:example.com", "alice", auth));
    assert_int_equal(told(s, 3), 1);
    struct addr m = test_addr(MALLORY);
    assert_true(addr_eq(&s->alerts[0].u.alert.source, &m));
    char ask_text[4096];
    size_t k = 0;
    while (s->x.got[k].kind != INTENT_ASK)
        k++;
    memcpy(ask_text, s->x.text[k], sizeof ask_text);
    hit(s, &other, stranger("OPTIONS", "sip:example.com", "x", ""));
    struct ask q;
    memcpy(&q, ask_text, MIN(sizeof q, sizeof ask_text));
    struct answer a = {.id = q.id, .kind = q.kind, .reason = REASON_auth_failed};
    core_answer(s->x.g.core[0], &a, s->x.g.now);
    collect(&s->x);
    monitor(s);
    assert_int_equal(told(s, 3), 1);
}

static void dry_run(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    s->x.g.policy.guard.dry_run = true;
    core_policy(s->x.g.core[0], &s->x.g.policy, s->x.g.now);
    hit(s, &f, stranger("OPTIONS", "sip:example.com", "x", "User-Agent: friendly-scanner\r\n"));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 401 "));
    assert_int_equal(told(s, 1), 1);
    assert_true(s->alerts[0].u.alert.dry);
}

/* However many messages fit: the store hears of a share of them. */
static void flood(void **state)
{
    struct scene *s = *state;
    s->quiet = true;
    for (unsigned i = 0; i < 5000; i++) {
        char from[40];
        (void)snprintf(from, sizeof from, "203.0.113.%u:%u", 50 + i % 200, 1024 + i);
        struct flow f = flow_of(from, LISTEN_OUT_UDP);
        hit(s, &f, stranger("OPTIONS", "sip:example.com", "x", "User-Agent: oddity\r\n"));
    }
    assert_in_range(s->n_alerts, 1, 200);
    assert_in_range(s->n_evidence, 1, 250);
    assert_true(s->x.g.counters[0].n[REASON_log_share] > 1000);
}

/* It scores: who goes on is banned. */
static void weight(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    unsigned n = 0;
    while (n++ < 100 && !s->n_asked)
        hit(s, &f, stranger("OPTIONS", "sip:example.com", "x", "User-Agent: friendly-scanner\r\n"));
    assert_true(s->n_asked > 0);
    assert_int_equal(s->asked[0].by, BY_RULE);
}

static const char *answers(const char *line)
{
    static char text[1024];
    (void)snprintf(text, sizeof text,
                   "SIP/2.0 %s\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\n"
                   "From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\n"
                   "Call-ID: stray\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
                   line);
    return text;
}

/* Answers of those whom we ask are looked at as well. */
static void responses(void **state)
{
    struct scene *s = *state;
    struct flow f = stream_of(MALLORY);
    uint64_t *n = s->x.g.counters[0].n;
    hit(s, &f, answers("200 OK"));
    assert_int_equal(s->n_alerts, 0);
    assert_int_equal(n[REASON_sip_response_stray], 1);
    hit(s, &f, answers("418 Teapot"));
    assert_int_equal(told(s, 7), 1);
    assert_int_equal(n[REASON_sip_response_stray], 2);
    hit(s, &f, answers("486 Evil"));
    assert_int_equal(told(s, 8), 1);
    assert_int_equal(n[REASON_shield_rule_drop], 1);
    assert_int_equal(n[REASON_sip_response_stray], 2); /* nothing after the rule has seen it */
    s->x.g.policy.guard.dry_run = true;
    core_policy(s->x.g.core[0], &s->x.g.policy, s->x.g.now);
    hit(s, &f, answers("486 Evil"));
    assert_int_equal(n[REASON_sip_response_stray], 3);
}

static size_t packet(struct pkt *p, uint8_t *data, const char *peer, uint16_t port, uint16_t seq,
                     const char *sound)
{
    uint8_t head[12] = {0x80, 8, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0, 0, 1, 2, 3, 4};
    memset(data, 'x', 172);
    memcpy(data, head, 12);
    memcpy(data + 20, sound, strlen(sound));
    *p = (struct pkt){.data = data, .len = 172, .port = port, .peer = test_addr(peer)};
    return 172;
}

static void media(void **state)
{
    struct scene *s = *state;
    static uint8_t data[8][PKT_MAX];
    struct pkt p[8];
    char a[4096], ok[4096];
    call_up(&s->x, a, ok, sizeof a);
    struct core *c = s->x.g.core[0];
    assert_true(core_wants_rtp_rules(c));
    uint16_t port = (uint16_t)strtol(strstr(a, "m=audio ") + 8, NULL, 10);
    const char *from = "203.0.113.5:4000";
    uint16_t seq = 1;
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned i = 0; i < 8; i++)
            (void)packet(&p[i], data[i], from, port, seq++,
                         i == 2 || i == 7 ? "BEEP"
                         : i == 4         ? "HUM"
                                          : "la");
        core_rtp(c, p, 8, s->x.g.now);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(p[i].len != 0, i != 2 && i != 7);
        collect(&s->x);
        monitor(s);
    }
    assert_int_equal(told(s, 5), 1); /* once a stream, not once a packet */
    assert_int_equal(told(s, 6), 1);
    assert_int_equal(s->x.g.counters[0].n[REASON_shield_rule_drop], 6);
    assert_int_equal(s->x.g.counters[0].n[REASON_rtp_malformed], 0);
    /* Without rules nothing is looked at. */
    core_rules(c, NULL, NULL, NULL);
    assert_false(core_wants_rtp_rules(c));
    (void)packet(&p[0], data[0], from, port, seq++, "BEEP");
    core_rtp(c, p, 1, s->x.g.now);
    assert_int_not_equal(p[0].len, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, act_setup, act_done)
    const struct CMUnitTest tests[] = {T(actions), T(help_passes), T(whose_hit), T(dry_run),
                                       T(flood),   T(weight),      T(responses), T(media)};
    return cmocka_run_group_tests_name("signatures", tests, NULL, NULL);
}
