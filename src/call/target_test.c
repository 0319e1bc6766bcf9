/* What a registrar's Service-Route (RFC 3608) does to requests that go there. */
#include "call/core_fixture.h"
#include "call/service.h"

#define CALLER "<sip:alice@example.com>;tag=a1"
#define NUMBER "sip:4711@example.com"

static struct flow alice(void)
{
    return flow_of(ALICE, LISTEN_OUT_UDP);
}

static int boards(void **state)
{
    setup(state);
    struct fixture *x = *state;
    struct core_cfg *cfg = &x->g.cfg[0];
    cfg->service_cap = 100;
    cfg->service_own = calloc(1, service_bytes(cfg->service_cap));
    cfg->service[0] = cfg->service_own;
    for (unsigned i = 0; i < x->g.policy.n_zones; i++)
        x->g.policy.zones[i].services = SERVICE_MESSAGE | SERVICE_MWI;
    memset(x->g.mem[0], 0, core_bytes(cfg));
    x->g.core[0] = core_init(x->g.mem[0], cfg, x->g.now);
    for (unsigned port = 0; port < 64; port++)
        if (ports_add(core_ports(x->g.core[0]), (uint16_t)(20000 + 2 * port)) != OK)
            return -1;
    collect(x);
    return 0;
}

static int boards_done(void **state)
{
    struct fixture *x = *state;
    free(x->g.cfg[0].service_own);
    return teardown(state);
}

static char kept[4096];
static const char *keep(const char *m)
{
    assert_non_null(m);
    (void)snprintf(kept, sizeof kept, "%s", m);
    return kept;
}

static void policy(struct fixture *x, bool fronts, uint32_t register_s)
{
    x->g.policy.peers[0].fronts = fronts ? 1u << ZONE_PHONES : 0;
    x->g.policy.peers[0].register_s = register_s;
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    collect(x);
}

/* The next REGISTER of ours for that user is answered. */
static void registrar_says(struct fixture *x, const char *user, unsigned code, const char *more)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    const char *m = NULL;
    char to[64];
    (void)snprintf(to, sizeof to, "\r\nTo: <sip:%s@", user);
    for (int i = 0; i < 40000 && !(m && strstr(m, to)); i++) {
        pass_ms(x, 100);
        m = sent(x, PBX, "REGISTER ");
    }
    keep(m);
    assert_null(strstr(m, "\r\nRoute: ")); /* never that of the one before */
    message(x, &f,
            fmt("SIP/2.0 %u X\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=p\r\nCall-ID: %s\r\nCSeq: %s\r\n"
                "%sContent-Length: 0\r\n\r\n",
                code, field(kept, "Via").p, field(kept, "From").p, field(kept, "To").p,
                field(kept, "Call-ID").p, field(kept, "CSeq").p, more));
}

static const char *typed(const char *m)
{
    static char text[4096];
    const char *sdp = strncmp(m, "MESSAGE", 7) == 0 ? strstr(m, "application/sdp") : NULL;
    if (!sdp)
        return m;
    (void)snprintf(text, sizeof text, "%.*stext/plain%s", (int)(sdp - m), m,
                   sdp + strlen("application/sdp"));
    return text;
}

/* alice's request to that number, proved: what goes to the PBX, kept. */
static const char *asks(struct fixture *x, const char *method, const char *more, const char *body)
{
    static int n;
    char id[16], lines[1600], auth[1024];
    struct flow f = alice();
    (void)snprintf(id, sizeof id, "id%d", n++);
    message(x, &f, typed(request(method, NUMBER, CALLER, "<" NUMBER ">", id, 1, more, body)));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(auth, sizeof auth, "%s", credentials(r, NUMBER));
    (void)snprintf(lines, sizeof lines, "%s%s", more, auth);
    message(x, &f, typed(request(method, NUMBER, CALLER, "<" NUMBER ">", id, 2, lines, body)));
    vault(x, REASON_NONE);
    char start[32];
    (void)snprintf(start, sizeof start, "%s ", method);
    return keep(sent(x, PBX, start));
}

static const char *calls(struct fixture *x)
{
    return asks(x, "INVITE", "Contact: <sip:alice@203.0.113.5:5060>\r\n", SDP_A);
}

static unsigned counted(const struct fixture *x, enum reason r)
{
    return (unsigned)x->g.counters[0].n[r];
}

static bool told(struct fixture *x, enum reason why)
{
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const struct fact *)(const void *)x->text[i];
        if (x->got[i].kind == INTENT_FACT && f->kind == FACT_UPSTREAM && f->reason == why)
            return true;
    }
    return false;
}

static void front_alice(struct fixture *x, const char *more)
{
    policy(x, true, 0);
    register_alice(x);
    registrar_says(x, "alice", 200, more);
}

static void a_call_carries_the_route_of_its_user(void **state)
{
    struct fixture *x = *state;
    front_alice(x,
                "Service-Route: <sip:orig@edge.test;lr>;x=1, <sip:core.test:5070;transport=udp;lr>"
                "\r\nService-Route: \"Last\" <sip:198.51.100.10;lr>\r\n");
    const char *m = calls(x);
    assert_str(field(m, "Route"), "<sip:orig@edge.test;lr>,<sip:core.test:5070;transport=udp;lr>,"
                                  "<sip:198.51.100.10;lr>");
    assert_true(str_starts(str_c(m), STR("INVITE sip:4711@198.51.100.10:5060 SIP/2.0\r\n")));
    /* And so does what belongs to that INVITE. */
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f, answer(kept, 486, "p", "x@198.51.100.10", ""));
    m = sent(x, PBX, "ACK ");
    assert_non_null(m);
    assert_true(str_starts(field(m, "Route"), STR("<sip:orig@edge.test;lr>,")));
}

static void single_requests_and_subscriptions_carry_it_too(void **state)
{
    struct fixture *x = *state;
    front_alice(x, "Service-Route: <sip:edge.test;lr>\r\n");
    const char *m = asks(x, "MESSAGE", "", "hello");
    assert_str(field(m, "Route"), "<sip:edge.test;lr>");
    m = asks(x, "SUBSCRIBE",
             "Contact: <sip:alice@203.0.113.5:5060>\r\nEvent: message-summary\r\nExpires: 600\r\n",
             "");
    assert_str(field(m, "Route"), "<sip:edge.test;lr>");
}

static void the_newest_answer_counts(void **state)
{
    struct fixture *x = *state;
    front_alice(x, "Expires: 300\r\nService-Route: <sip:a.test;lr>\r\n");
    assert_str(field(calls(x), "Route"), "<sip:a.test;lr>");
    registrar_says(x, "alice", 200, "Expires: 300\r\nService-Route: <sip:b.test;lr>\r\n");
    assert_str(field(calls(x), "Route"), "<sip:b.test;lr>");
    registrar_says(x, "alice", 200, "Expires: 300\r\n");
    assert_null(strstr(calls(x), "\r\nRoute:"));
}

static void it_goes_with_the_registration(void **state)
{
    struct fixture *x = *state;
    policy(x, false, 1800);
    registrar_says(x, "gateway", 200, "Expires: 300\r\nService-Route: <sip:a.test;lr>\r\n");
    assert_str(field(calls(x), "Route"), "<sip:a.test;lr>");
    registrar_says(x, "gateway", 403, "");
    assert_null(strstr(calls(x), "\r\nRoute:"));
    registrar_says(x, "gateway", 200, "Expires: 300\r\nService-Route: <sip:b.test;lr>\r\n");
    assert_str(field(calls(x), "Route"), "<sip:b.test;lr>");
    policy(x, false, 0);
    registrar_says(x, "gateway", 200, ""); /* taken back */
    policy(x, false, 1800);
    assert_null(strstr(calls(x), "\r\nRoute:"));
    registrar_says(x, "gateway", 200, "Expires: 60\r\nService-Route: <sip:c.test;lr>\r\n");
    x->g.now.wall.us += 61000000; /* nobody refreshed it */
    assert_null(strstr(calls(x), "\r\nRoute:"));
}

/* A user's own, else that of our account there; nobody else's. */
static void whose_route_it_is(void **state)
{
    struct fixture *x = *state;
    policy(x, true, 1800);
    registrar_says(x, "gateway", 200, "Expires: 3600\r\nService-Route: <sip:account.test;lr>\r\n");
    assert_str(field(calls(x), "Route"), "<sip:account.test;lr>");
    register_alice(x);
    registrar_says(x, "alice", 200, "Expires: 3600\r\nService-Route: <sip:alice.test;lr>\r\n");
    assert_str(field(calls(x), "Route"), "<sip:alice.test;lr>");
    policy(x, false, 1800); /* no longer fronted: alice calls as anybody */
    assert_str(field(calls(x), "Route"), "<sip:account.test;lr>");
}

static void unusable_ones_are_named_and_not_used(void **state)
{
    struct fixture *x = *state;
    char longest[512];
    static const char *const bad[] = {
        "Service-Route: <sip:strict.test>\r\n", "Service-Route: <tel:+49301234;lr>\r\n",
        "Service-Route: <sip:a.test;lr>, nonsense\r\n", "Service-Route: <sip:a.test;lr\r\n"};
    policy(x, false, 1800);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        unsigned was = counted(x, REASON_upstream_service_route);
        registrar_says(x, "gateway", 200, "Expires: 300\r\nService-Route: <sip:a.test;lr>\r\n");
        (void)snprintf(longest, sizeof longest, "Expires: 300\r\n%s", bad[i]);
        registrar_says(x, "gateway", 200, longest);
        assert_int_equal(counted(x, REASON_upstream_service_route), was + 1);
        assert_true(told(x, REASON_upstream_service_route));
        registrar_says(x, "gateway", 200, longest);
        assert_false(told(x, REASON_upstream_service_route)); /* once */
        assert_null(strstr(calls(x), "\r\nRoute:"));
    }
    for (int n = 200; n <= 201; n++) { /* both sides of the bound: <sip:HOST;lr> */
        (void)snprintf(longest, sizeof longest,
                       "Expires: 300\r\nService-Route: <sip:%0*d.test;lr>\r\n", n - 14, 0);
        registrar_says(x, "gateway", 200, longest);
        const char *m = calls(x);
        assert_true((strstr(m, "\r\nRoute: <sip:000") != NULL) == (n == 200));
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, boards, boards_done)
    const struct CMUnitTest tests[] = {T(a_call_carries_the_route_of_its_user),
                                       T(single_requests_and_subscriptions_carry_it_too),
                                       T(the_newest_answer_counts),
                                       T(it_goes_with_the_registration),
                                       T(whose_route_it_is),
                                       T(unusable_ones_are_named_and_not_used)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
