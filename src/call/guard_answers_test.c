/* What answers tell: nothing. The same bytes for users who exist and who do not, whatever is asked;
 * and answers that come late, or never. */
#include "call/guard_fixture.h"

static const char *const METHODS[] = {"REGISTER", "INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE",
                                      "PUBLISH",  "REFER",  "INFO",    "NOTIFY",  "BYE",
                                      "UPDATE",   "PRACK",  "JOIN"};
static const char *const USERS[] = {"alice", "carol", "zzzzz",
                                    "00000"}; /* two exist; all as long */

/* One answer with what must differ taken out: values, and nothing but values, of the same length.
 */
static size_t masked(const char *text, char ret[4096])
{
    static const char *const vary[] = {"tag=", "nonce=\"", "branch=z9hG4bK", "Call-ID: "};
    size_t n = strlen(text);
    memcpy(ret, text, n + 1);
    for (size_t v = 0; v < ARRAY_LEN(vary); v++)
        for (char *p = ret; (p = strstr(p, vary[v])) != NULL;)
            for (p += strlen(vary[v]); *p && !strchr("\";\r,", *p); p++)
                *p = '#';
    for (size_t u = 0; u < ARRAY_LEN(USERS); u++)
        for (char *p = ret; (p = strstr(p, USERS[u])) != NULL;)
            memset(p, '#', strlen(USERS[u]));
    return n;
}

/* A request of constant length whoever is named. */
static const char *ask(const char *method, const char *user, const char *more)
{
    static unsigned n;
    static char from[100], to[100], id[40], uri[100];
    (void)snprintf(from, sizeof from, "<sip:%s@example.com>;tag=m%06u", user, n);
    (void)snprintf(to, sizeof to, "<sip:%s@example.com>", user);
    (void)snprintf(id, sizeof id, "asked%06u", n++);
    (void)snprintf(uri, sizeof uri, "sip:%s%sexample.com",
                   strcmp(method, "REGISTER") == 0 ? "" : user,
                   strcmp(method, "REGISTER") == 0 ? "" : "@");
    static unsigned branch = 1000000;
    static char text[4096];
    (void)snprintf(text, sizeof text,
                   "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP h.invalid:5060;branch=z9hG4bK%u;rport\r\n"
                   "Max-Forwards: 20\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 %s\r\n"
                   "Contact: <sip:x@203.0.113.66>\r\nEvent: presence\r\n"
                   "Refer-To: <sip:x@example.com>\r\n%sContent-Length: 0\r\n\r\n",
                   method, uri, branch++, from, to, id, method, more);
    return text;
}

static void header_says_nothing(const char *answer)
{
    assert_null(strstr(answer, "\r\nServer:"));
    assert_null(strstr(answer, "\r\nUser-Agent:"));
    assert_null(strstr(answer, "ingwall"));
}

static void same_answers(struct scene *s, enum reason wrong)
{
    struct flow f = stream_of(MALLORY);
    static char first[4096], other[4096];
    for (size_t m = 0; m < ARRAY_LEN(METHODS); m++)
        for (unsigned creds = 0; creds < 2; creds++) {
            size_t n = 0;
            for (size_t u = 0; u < ARRAY_LEN(USERS); u++) {
                pass_ms(&s->x, 1000);
                message(&s->x, &f, ask(METHODS[m], USERS[u], ""));
                const char *r = sent(&s->x, MALLORY, "SIP/2.0 ");
                if (creds && r && strncmp(r, "SIP/2.0 401 ", 12) == 0) {
                    char auth[1400];
                    (void)snprintf(auth, sizeof auth, "%s", tries(r, USERS[u], "sip:example.com"));
                    message(&s->x, &f, ask(METHODS[m], USERS[u], auth));
                    vault(&s->x, wrong);
                    r = sent(&s->x, MALLORY, "SIP/2.0 4");
                }
                char *into = u ? other : first;
                size_t got = r ? masked(r, into) : 0;
                if (r)
                    header_says_nothing(r);
                if (!u) {
                    n = got;
                    continue;
                }
                assert_int_equal(got, n);
                assert_memory_equal(first, other, n);
            }
        }
}

static void wrong_password(void **state)
{
    same_answers(*state, REASON_auth_failed);
}
static void too_many_tries(void **state)
{
    same_answers(*state, REASON_auth_limited);
}

/* A user who is locked: with whatever password he looks like one whose password is wrong. */
static void locked(void **state)
{
    struct scene *s = *state;
    static char first[4096], other[4096];
    struct flow f = stream_of(MALLORY);
    struct ban b = {.scope = BAN_AOR, .treat = TREAT_LOCK, .times = 1, .by = BY_ADMIN};
    b.key = location_hash(&s->x.g.cfg[0].hash_key, STR("alice@example.com"));
    board_put(s, &b);
    same_answers(s, REASON_auth_failed);
    for (unsigned i = 0; i < 3; i++) { /* locked and right, locked and wrong, open and wrong */
        char auth[1400];
        const char *who = i < 2 ? "alice" : "carol";
        message(&s->x, &f, ask("REGISTER", who, ""));
        (void)snprintf(auth, sizeof auth, "%s",
                       tries(sent(&s->x, MALLORY, "SIP/2.0 401 "), who, "sip:example.com"));
        message(&s->x, &f, ask("REGISTER", who, auth));
        vault(&s->x, i ? REASON_auth_failed : REASON_NONE);
        const char *r = sent(&s->x, MALLORY, "SIP/2.0 403 ");
        assert_non_null(r);
        size_t n = masked(r, i ? other : first);
        if (i)
            assert_memory_equal(first, other, n + 1);
    }
}

static void reload(struct scene *s)
{
    core_policy(s->x.g.core[0], &s->x.g.policy, s->x.g.now);
}

/* A silent zone: nothing for who does not know its name, the usual for who does. */
static void silent(void **state)
{
    struct scene *s = *state;
    s->x.g.policy.zones[ZONE_PHONES].silent = true;
    reload(s);
    for (unsigned udp = 0; udp < 2; udp++) {
        struct flow f = udp ? flow_of(MALLORY, LISTEN_OUT_UDP) : stream_of(MALLORY);
        hit(s, &f, stranger("OPTIONS", "sip:100@" TEST_OUTSIDE, "100", ""));
        assert_null(sent(&s->x, MALLORY, "SIP"));
        hit(s, &f, stranger("OPTIONS", "sip:100@example.com", "100", ""));
        assert_null(sent(&s->x, MALLORY, "SIP"));
        hit(s, &f, stranger("REGISTER", "sip:" TEST_OUTSIDE, "alice", ""));
        assert_null(sent(&s->x, MALLORY, "SIP"));
        hit(s, &f, stranger("INVITE", "sip:100@other.test", "100", ""));
        assert_null(sent(&s->x, MALLORY, "SIP"));
        hit(s, &f, "JUNK\r\n\r\n");
        hit(s, &f,
            request("BYE", "sip:x@" TEST_OUTSIDE, "<sip:a@b.test>;tag=1", "<sip:c@d.test>;tag=2",
                    "x", 1, "", ""));
        assert_null(sent(&s->x, MALLORY, "SIP"));
        hit(s, &f, stranger("REGISTER", "sip:example.com", "zzzzz", ""));
        assert_non_null(sent(&s->x, MALLORY, "SIP/2.0 401 "));
        pass_ms(&s->x, 2000);
    }
    assert_true(s->x.g.counters[0].n[REASON_shield_silent] >= 8);
    register_alice(&s->x); /* a phone works as ever */
}

/* The wrong password in a silent zone: no answer, and the copies that a phone sends by UDP for half
 * a minute are one try, not eleven. */
static void silent_copies(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
    static char text[4096];
    s->x.g.policy.zones[ZONE_PHONES].silent = true;
    reload(s);
    hit(s, &f, ask("REGISTER", "alice", ""));
    char auth[1400];
    (void)snprintf(auth, sizeof auth, "%s",
                   tries(sent(&s->x, MALLORY, "SIP/2.0 401 "), "alice", "sip:example.com"));
    (void)snprintf(text, sizeof text, "%s", ask("REGISTER", "alice", auth));
    hit(s, &f, text);
    says(s, REASON_auth_failed);
    for (unsigned i = 0; i < 10; i++) {
        assert_null(sent(&s->x, MALLORY, "SIP"));
        pass_ms(&s->x, 3000);
        hit(s, &f, text);
        for (size_t k = 0; k < s->x.n_got; k++)
            assert_int_not_equal(s->x.got[k].kind, INTENT_ASK);
    }
    assert_int_equal(s->x.g.counters[0].n[REASON_auth_failed], 1);
    assert_int_equal(s->n_asked, 0);
    nothing_left(&s->x);
}

static unsigned answers(struct scene *s, const char *peer)
{
    unsigned n = 0;
    struct addr a = test_addr(peer);
    for (size_t i = 0; i < s->x.n_got; i++)
        n += s->x.got[i].kind == INTENT_SEND && addr_eq(&s->x.got[i].flow.peer, &a);
    return n;
}

static void pit(struct scene *s)
{
    struct ban b = ban_on("203.0.113.66:0", TREAT_TARPIT);
    board_put(s, &b);
}

/* Late, in order, once; copies are absorbed meanwhile, and get the answer afterwards. */
static void tarpit(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP), g = stream_of("203.0.113.66:6000");
    uint32_t ms = s->x.g.policy.guard.tarpit_ms;
    static char one[4096], two[4096], three[4096];
    pit(s);
    (void)snprintf(one, sizeof one, "%s", ask("OPTIONS", "alice", ""));
    (void)snprintf(two, sizeof two, "%s", ask("REGISTER", "alice", ""));
    (void)snprintf(three, sizeof three, "%s", ask("REGISTER", "alice", ""));
    hit(s, &f, one);
    hit(s, &f, two);
    hit(s, &g, three);
    for (unsigned i = 0; i < 3; i++) {
        hit(s, &f, one);
        assert_int_equal(answers(s, MALLORY), 0);
    }
    pass_ms(&s->x, ms - 10);
    assert_int_equal(answers(s, MALLORY), 0);
    pass_ms(&s->x, 20);
    assert_int_equal(answers(s, MALLORY), 2);
    assert_int_equal(answers(s, "203.0.113.66:6000"), 1);
    const char *r = sent(&s->x, MALLORY, "SIP/2.0 401 ");
    assert_non_null(r);
    assert_true(str_eq(field(r, "Call-ID"), field(one, "Call-ID"))); /* the first comes first */
    hit(s, &f, two);
    assert_int_equal(answers(s, MALLORY), 1);
    nothing_left(&s->x);
    /* Others are answered at once. */
    struct flow h = flow_of("203.0.113.67:5060", LISTEN_OUT_UDP);
    hit(s, &h, ask("OPTIONS", "alice", ""));
    assert_int_equal(answers(s, "203.0.113.67:5060"), 1);
}

/* A full pit swallows what comes; it holds no more than its room, and nothing waits for ever. */
static void full_pit(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
    uint32_t most = TARPIT_SLOTS + 50, got = 0;
    pit(s);
    for (uint32_t i = 0; i < most; i++)
        message(&s->x, &f, ask("REGISTER", "alice", ""));
    assert_int_equal(s->x.g.counters[0].n[REASON_shield_tarpit_full], 50);
    for (uint32_t i = 0; i < 300; i++) {
        pass_ms(&s->x, 10);
        got += answers(s, MALLORY);
    }
    assert_in_range(got, 64, TARPIT_SLOTS); /* what collect has room for a turn */
    nothing_left(&s->x);
    message(&s->x, &f, ask("REGISTER", "alice", ""));
    pass_ms(&s->x, s->x.g.policy.guard.tarpit_ms + 10);
    assert_int_equal(answers(s, MALLORY), 1);
}

/* The engine leaves while answers wait: it does not wait for them. */
static void pit_at_the_end(void **state)
{
    struct scene *s = *state;
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
    pit(s);
    hit(s, &f, ask("REGISTER", "alice", ""));
    core_leave(s->x.g.core[0], s->x.g.now);
    assert_true(core_left(s->x.g.core[0]));
    core_close(s->x.g.core[0]);
}

/* Nothing that we send names us, in whichever direction. */
static void no_name(void **state)
{
    struct scene *s = *state;
    char a[4096], p[4096];
    call_up(&s->x, a, p, sizeof a);
    header_says_nothing(a);
    header_says_nothing(p);
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    hit(s, &fp, stranger("OPTIONS", "sip:" TEST_INSIDE, "200", "User-Agent: x\r\n"));
    const char *r = sent(&s->x, PBX, "SIP/2.0 200 ");
    assert_non_null(r);
    header_says_nothing(r);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_done)
    const struct CMUnitTest tests[] = {T(wrong_password), T(too_many_tries), T(locked),
                                       T(silent),         T(silent_copies),  T(tarpit),
                                       T(full_pit),       T(pit_at_the_end), T(no_name)};
    return cmocka_run_group_tests_name("guard_answers", tests, NULL, NULL);
}
