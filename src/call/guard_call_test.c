/* Calls that somebody else would end or lead astray, passwords that somebody asks for, calls that
 * the shield ends, and the ports that it opens. */
#include "call/guard_fixture.h"

struct up {
    char a[4096], p[4096]; /* INVITE to alice, 200 to the PBX */
    char to[512], from[512], id[256];
};

static void up(struct scene *s, struct up *u)
{
    call_up(&s->x, u->a, u->p, sizeof u->a);
    monitor(s);
    (void)snprintf(u->to, sizeof u->to, "%s;tag=a1", field(u->a, "To").p);
    (void)snprintf(u->from, sizeof u->from, "%s", field(u->a, "From").p);
    (void)snprintf(u->id, sizeof u->id, "%s", field(u->a, "Call-ID").p);
}

static unsigned calls(struct scene *s)
{
    return core_usage(s->x.g.core[0]).calls;
}

/* Call-ID and tags that somebody makes up. */
static void guessed(void **state)
{
    struct scene *s = *state;
    struct up u;
    static const char *const methods[] = {"BYE", "UPDATE", "INVITE", "CANCEL", "INFO"};
    struct flow f = stream_of(MALLORY);
    up(s, &u);
    unsigned refused = 0;
    for (unsigned i = 0; i < 60 && !s->n_asked; i++) {
        char to[200];
        (void)snprintf(to, sizeof to, "<sip:alice@example.com>;tag=guess%u", i);
        pass_ms(&s->x, 100);
        hit(s, &f,
            request(methods[i % 5], "sip:x@" TEST_OUTSIDE, "<sip:200@example.com>;tag=x1", to, u.id,
                    (int)i + 1, "", ""));
        refused += sent(&s->x, MALLORY, "SIP/2.0 481 ") != NULL;
    }
    assert_true(refused >= 5);
    assert_true(s->n_asked > 0);
    assert_int_equal(s->asked[0].detector, DET_teardown);
    assert_int_equal(calls(s), 1);
}

/* Real ones, from another address: it must prove itself, and must then be the one whose call it is.
 */
static void stolen(void **state)
{
    struct scene *s = *state;
    struct up u;
    static const char *const methods[] = {"BYE", "UPDATE", "INVITE"};
    struct flow f = stream_of(MALLORY), udp = flow_of(MALLORY, LISTEN_OUT_UDP);
    up(s, &u);
    for (int i = 0; i < 3; i++) {
        const char *more = "Contact: <sip:x@203.0.113.66>\r\n";
        char auth[1400];
        hit(s, &udp,
            request(methods[i], "sip:x@" TEST_OUTSIDE, u.to, u.from, u.id, 2 * i + 1, more, ""));
        assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 401 "));
        hit(s, &f,
            request(methods[i], "sip:x@" TEST_OUTSIDE, u.to, u.from, u.id, 2 * i + 1, more, ""));
        const char *r = sent(&s->x, MALLORY, "SIP/2.0 401 ");
        assert_non_null(r);
        (void)snprintf(auth, sizeof auth, "%s%s", more, tries(r, "bob", "sip:x@example.com"));
        hit(s, &f,
            request(methods[i], "sip:x@" TEST_OUTSIDE, "<sip:bob@example.com>;tag=a1", u.from, u.id,
                    2 * i + 2, auth, ""));
        says(s, REASON_NONE); /* bob he is, but not alice */
        assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 403 "));
        assert_int_equal(calls(s), 1);
        assert_null(sent(&s->x, PBX, methods[i]));
    }
    assert_int_equal(s->x.g.counters[0].n[REASON_auth_identity_mismatch], 3);
    /* The From tag of alice with the Call-ID of another call is no call of ours. */
    hit(s, &f, request("BYE", "sip:x@" TEST_OUTSIDE, u.to, u.from, "other", 9, "", ""));
    assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 481 "));
    assert_int_equal(calls(s), 1);
}

/* The branch of somebody's INVITE, from elsewhere. */
static void cancelled_by_others(void **state)
{
    struct scene *s = *state;
    char invite[4096];
    register_alice(&s->x);
    ring_alice(&s->x, invite, sizeof invite);
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), f = flow_of("198.51.100.77:5060", LISTEN_IN_UDP);
    char text[4096], *branch;
    (void)snprintf(text, sizeof text, "%s",
                   request("CANCEL", "sip:alice@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                           "<sip:alice@" TEST_INSIDE ">", "id-of-pbx", 1, "", ""));
    branch = strstr(text, "z9hG4bKb");
    assert_non_null(branch);
    int n = (int)strtol(branch + 8, NULL, 10);
    char *end = strchr(branch, ';');
    char tail[4096];
    (void)snprintf(tail, sizeof tail, "%s", end);
    (void)snprintf(branch, sizeof text - (size_t)(branch - text), "z9hG4bKb%d%s", n - 1, tail);
    hit(s, &f, text);
    assert_null(sent(&s->x, ALICE, "CANCEL "));
    assert_null(sent(&s->x, PBX, "SIP/2.0 487 "));
    assert_int_equal(calls(s), 1);
    hit(s, &fp, text);
    assert_non_null(sent(&s->x, PBX, "SIP/2.0 200 "));
}

/* Both hang up at once, or one changes the call while the other ends it: nobody is an attacker. */
static void crossing(void **state)
{
    struct scene *s = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    for (int i = 0; i < 1; i++) {
        struct up u;
        up(s, &u);
        hit(s, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    field(u.p, "To").p, "id-of-pbx", 2, "", ""));
        char bye[4096];
        (void)snprintf(bye, sizeof bye, "%s", sent(&s->x, ALICE, "BYE "));
        hit(s, &fa, answer(bye, 200, "", "alice@203.0.113.5", ""));
        for (int k = 0; k < 40; k++) {
            const char *m = k % 2 ? "BYE" : "INFO";
            hit(s, &fa, request(m, "sip:x@" TEST_OUTSIDE, u.to, u.from, u.id, k + 1, "", ""));
            assert_non_null(sent(&s->x, ALICE, k % 2 ? "SIP/2.0 200 " : "SIP/2.0 481 "));
        }
    }
    assert_int_equal(s->n_asked, 0);
    assert_int_equal(s->n_alerts, 0);
}

/* RFC 3261 22: a challenge is answered with our own secret at that peer, or not at all. Nobody who
 * is called gets a caller's credentials out of us, and who tries is told of. */
static void digest_leak(void **state)
{
    struct scene *s = *state;
    char invite[4096];
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    register_alice(&s->x);
    monitor(s);
    for (int proxy = 0; proxy < 2; proxy++) {
        ring_alice(&s->x, invite, sizeof invite);
        char text[4096];
        (void)snprintf(text, sizeof text, "%s",
                       answer(invite, proxy ? 407 : 401, "a1", "alice@203.0.113.5", ""));
        char *at = strstr(text, "Content-Type");
        char tail[2048];
        (void)snprintf(tail, sizeof tail, "%s", at);
        (void)snprintf(at, sizeof text - (size_t)(at - text),
                       "%s: Digest realm=\"example.com\", nonce=\"abc\", algorithm=SHA-256, "
                       "qop=\"auth\"\r\n%s",
                       proxy ? "Proxy-Authenticate" : "WWW-Authenticate", tail);
        hit(s, &fa, text);
        for (size_t i = 0; i < s->x.n_got; i++)
            assert_int_not_equal(s->x.got[i].kind, INTENT_ASK);
        const char *r = sent(&s->x, PBX, "SIP/2.0 ");
        assert_non_null(r);
        assert_null(strstr(r, "Authenticate")); /* nor is the caller asked */
        assert_true(strncmp(r, "SIP/2.0 502 ", 12) == 0);
        for (int i = 0; i < 330; i++) {
            pass_ms(&s->x, 100);
            monitor(s);
            assert_null(sent(&s->x, ALICE, "INVITE "));
        }
    }
    assert_true(s->x.g.counters[0].n[REASON_peer_challenge] > 0);
}

/* The same from a phone nobody knows yet fires at once; a trunk that wants our secret does not. */
static void digest_leak_is_told(void **state)
{
    struct scene *s = *state;
    struct core *c = s->x.g.core[0];
    struct sip_error e;
    static struct sip_msg m;
    static const char text[] =
        "SIP/2.0 401 X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    assert_ok(sip_parse(str_c(text), false, &m, &e));
    c->now = s->x.g.now;
    struct flow trunk = flow_of(PBX, LISTEN_IN_UDP), f = flow_of(MALLORY, LISTEN_OUT_UDP);
    for (int i = 0; i < 20; i++)
        shield_response(c, &m, &trunk, REASON_NONE, true);
    collect(&s->x);
    monitor(s);
    assert_int_equal(s->n_alerts, 0);
    for (int i = 0; i < 3; i++)
        shield_response(c, &m, &f, REASON_NONE, true);
    collect(&s->x);
    monitor(s);
    assert_true(alerts_of(s, DET_digest_leak) >= 1);
}

/* --- calls that end because the board says so --- */

static void kick_on(struct scene *s, const struct ban *b, bool ends)
{
    struct up u;
    up(s, &u);
    board_put(s, b);
    pass_ms(&s->x, 250);
    const char *bye = sent(&s->x, ALICE, "BYE ");
    assert_int_equal(bye != NULL, ends);
    assert_int_equal(sent(&s->x, PBX, "BYE ") != NULL, ends);
    assert_int_equal(calls(s), !ends);
    assert_int_equal(s->x.g.counters[0].n[REASON_shield_kicked], ends);
}

static void kicked_source(void **state)
{
    struct ban b = ban_on("203.0.113.5:0", TREAT_KICK);
    kick_on(*state, &b, true);
}
static void banned_is_not_kicked(void **state)
{
    struct ban b = ban_on("203.0.113.5:0", TREAT_BAN);
    kick_on(*state, &b, false);
}
static void kicked_neighbour(void **state)
{
    struct ban b = ban_on("203.0.113.6:0", TREAT_KICK);
    kick_on(*state, &b, false);
}
static void kicked_trunk(void **state) /* peers are not */
{
    struct ban b = ban_on("198.51.100.10:0", TREAT_KICK);
    kick_on(*state, &b, false);
}
static void kicked_user(void **state)
{
    struct scene *s = *state;
    struct ban b = {.scope = BAN_AOR, .treat = TREAT_KICK, .times = 1, .by = BY_ADMIN};
    b.key = location_hash(&s->x.g.cfg[0].hash_key, STR("alice@example.com"));
    kick_on(s, &b, true);
}
static void kicked_help(void **state)
{
    struct scene *s = *state;
    struct up u;
    uint32_t it = 0;
    up(s, &u);
    struct call *k = pool_next(&s->x.g.core[0]->calls, &it);
    k->emergency = true;
    struct ban b = ban_on("203.0.113.5:0", TREAT_KICK);
    board_put(s, &b);
    pass_ms(&s->x, 250);
    assert_int_equal(calls(s), 1);
}

/* --- who must prove himself anew --- */

static const char *bye(const struct up *u, const char *who, int cseq, const char *auth)
{
    char to[600];
    (void)snprintf(to, sizeof to, "<sip:%s@example.com>;tag=a1", who);
    return request("BYE", "sip:x@" TEST_OUTSIDE, to, u->from, u->id, cseq, auth, "");
}

/* Neither address nor connection is believed: each request within the call is challenged, and only
 * he whose call it is may answer. */
static void challenged(struct scene *s, const struct ban *b, bool help, bool asks)
{
    struct up u;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char auth[1400];
    uint32_t it = 0;
    up(s, &u);
    ((struct call *)pool_next(&s->x.g.core[0]->calls, &it))->emergency = help;
    board_put(s, b);
    hit(s, &f, bye(&u, "alice", 1, ""));
    const char *r = sent(&s->x, ALICE, "SIP/2.0 401 ");
    assert_int_equal(r != NULL, asks);
    assert_int_equal(calls(s), asks);
    if (!asks)
        return;
    (void)snprintf(auth, sizeof auth, "%s", tries(r, "bob", "sip:x@example.com"));
    hit(s, &f, bye(&u, "bob", 2, auth));
    says(s, REASON_NONE);
    assert_non_null(sent(&s->x, ALICE, "SIP/2.0 403 "));
    assert_int_equal(calls(s), 1);
    hit(s, &f, bye(&u, "alice", 3, ""));
    (void)snprintf(auth, sizeof auth, "%s",
                   tries(sent(&s->x, ALICE, "SIP/2.0 401 "), "alice", "sip:x@example.com"));
    hit(s, &f, bye(&u, "alice", 4, auth));
    says(s, REASON_NONE);
    assert_non_null(sent(&s->x, ALICE, "SIP/2.0 200 "));
    assert_int_equal(calls(s), 0);
}

static void challenged_source(void **state)
{
    struct ban b = ban_on("203.0.113.5:0", TREAT_CHALLENGE);
    challenged(*state, &b, false, true);
}
static void challenged_user(void **state)
{
    struct scene *s = *state;
    struct ban b = {.scope = BAN_AOR, .treat = TREAT_CHALLENGE, .times = 1, .by = BY_ADMIN};
    b.key = location_hash(&s->x.g.cfg[0].hash_key, STR("alice@example.com"));
    challenged(s, &b, false, true);
}
static void challenged_help(void **state)
{
    struct ban b = ban_on("203.0.113.5:0", TREAT_CHALLENGE);
    challenged(*state, &b, true, false);
}
static void challenged_other(void **state)
{
    struct ban b = ban_on("203.0.113.6:0", TREAT_CHALLENGE);
    challenged(*state, &b, false, false);
}

/* --- who they are, for people --- */

static void explained(void **state)
{
    struct scene *s = *state;
    char text[4096];
    struct addr pbx = test_addr("198.51.100.10:0"), alice = test_addr(ALICE),
                m = test_addr(MALLORY);
    register_alice(&s->x);
    const struct {
        const struct addr *a;
        const char *tier;
    } rows[] = {{&pbx, "\"tier\":\"trunk\""},
                {&alice, "\"tier\":\"registered\""},
                {&m, "\"tier\":\"unknown\""}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct out o = out_of(text, sizeof text - 1);
        core_explain_json(s->x.g.core[0], rows[i].a, STR_NONE, &o, s->x.g.now);
        text[o.n] = 0;
        assert_non_null(strstr(text, rows[i].tier));
    }
}

/* --- the map of media ports --- */

static unsigned ports_marked(const struct scene *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 65536; i++)
        n += s->x.g.ports[i] != 0;
    return n;
}

static void ports_of_calls(void **state)
{
    struct scene *s = *state;
    struct up u;
    assert_int_equal(ports_marked(s), 0);
    up(s, &u);
    struct core_usage use = core_usage(s->x.g.core[0]);
    assert_true(use.media.ports_taken > 0);
    assert_int_equal(ports_marked(s), 2 * use.media.ports_taken); /* RTP and RTCP */
    core_close(s->x.g.core[0]);
    assert_int_equal(ports_marked(s), 0);
}

static void ports_of_the_dead(void **state)
{
    struct scene *s = *state;
    struct up u;
    up(s, &u);
    unsigned n = ports_marked(s);
    s->x.g.ports[40000] = 9; /* another engine's */
    struct core *c = s->x.g.core[0];
    core_ports(c)->map = NULL; /* it dies without a word */
    assert_int_equal(ports_marked(s), n + 1);
    memset(s->x.g.mem[0], 0, core_bytes(&s->x.g.cfg[0]));
    s->x.g.core[0] = core_init(s->x.g.mem[0], &s->x.g.cfg[0], s->x.g.now);
    assert_int_equal(ports_marked(s), 1);
    assert_int_equal(s->x.g.ports[40000], 9);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_done)
    const struct CMUnitTest tests[] = {T(guessed),
                                       T(stolen),
                                       T(cancelled_by_others),
                                       T(crossing),
                                       T(digest_leak),
                                       T(digest_leak_is_told),
                                       T(kicked_source),
                                       T(banned_is_not_kicked),
                                       T(kicked_neighbour),
                                       T(kicked_trunk),
                                       T(kicked_user),
                                       T(kicked_help),
                                       T(challenged_source),
                                       T(challenged_user),
                                       T(challenged_help),
                                       T(challenged_other),
                                       T(explained),
                                       T(ports_of_calls),
                                       T(ports_of_the_dead)};
    return cmocka_run_group_tests_name("guard_call", tests, NULL, NULL);
}
