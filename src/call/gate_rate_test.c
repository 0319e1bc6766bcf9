/* Requests a second of a source, what calls for help have beyond that, and a peer's own limit. */
#include "call/fixture_test.h"
#include "call/gate.h"

static struct policy p;
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static char text[2048];

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    e = (struct gate_env){.policy = &p, .hash_key = {7, 8}};
    e.rate = rate_init(test_calloc(1, rate_bytes(64)), 64);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_free(e.rate);
    return 0;
}

static void parse(const char *method, const char *uri)
{
    struct sip_error err;
    int n = snprintf(text, sizeof text,
                     "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;branch=z9hG4bKx\r\n"
                     "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:100@example.com>\r\n"
                     "Call-ID: c1\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
                     method, uri, method);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
}

static void from(const char *source, int proto, int64_t ms)
{
    struct flow f = {.proto = (uint8_t)proto, .peer = fixture_addr(source)};
    request_init(&r, &m, &f, (struct now){{ms * 1000}, {1}});
    r.zone = 0;
}

static void expect(uint8_t kind, enum reason why)
{
    struct verdict v = gate_rate(&e, &r, NULL);
    assert_int_equal(v.kind, kind);
    assert_int_equal(v.reason, why);
    assert_int_equal(v.code, kind == VERDICT_REFUSE ? reason_info(why)->code : 0);
}

static void passes(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        expect(VERDICT_PASS, REASON_NONE);
}

#define OVER expect(VERDICT_REFUSE, REASON_rate_source)

/* Two seconds' worth at once, then as many as time brings. */
static void reached_and_recovered(void **state)
{
    (void)state;
    static const struct {
        uint32_t set, per_s;
    } row[] = {{0, 50}, {1, 1}, {5, 5}, {100, 100}};
    parse("OPTIONS", "sip:example.com");
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char source[32];
        (void)snprintf(source, sizeof source, "203.0.113.%zu:9", 10 + i);
        p.zones[0].rate_per_source = row[i].set;
        from(source, PROTO_TLS, 1000);
        passes(2 * row[i].per_s);
        OVER;
        from(source, PROTO_TLS, 2000);
        passes(row[i].per_s);
        OVER;
        from(source, PROTO_TLS, 60000); /* never more than at first */
        passes(2 * row[i].per_s);
        OVER;
    }
}

/* Not by UDP: whoever wrote that source into it need not be there. */
static void silence_over_udp(void **state)
{
    (void)state;
    p.zones[0].rate_per_source = 1;
    parse("OPTIONS", "sip:example.com");
    from("203.0.113.5:9", PROTO_UDP, 1000);
    passes(2);
    expect(VERDICT_DROP, REASON_rate_source);
    from("203.0.113.5:9", PROTO_TCP, 1000);
    OVER;
    assert_int_equal(reason_info(REASON_rate_source)->code, 503);
}

static void what_is_one_source(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool same;
    } row[] = {{"203.0.113.5:9", "203.0.113.5:10", true},
               {"203.0.113.5:9", "203.0.113.6:9", false},
               {"[2001:db8:0:1::1]:9", "[2001:db8:0:1:ffff::2]:7", true},
               {"[2001:db8:0:1::1]:9", "[2001:db8:0:2::1]:9", false}};
    parse("OPTIONS", "sip:example.com");
    p.zones[0].rate_per_source = 1;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t ms = 100000 * (int64_t)(i + 1);
        from(row[i].first, PROTO_TLS, ms);
        passes(2);
        OVER;
        from(row[i].second, PROTO_TLS, ms);
        if (row[i].same)
            OVER;
        else
            passes(1);
    }
}

static void inside_a_dialog(void **state)
{
    (void)state;
    p.zones[0].rate_per_source = 1;
    parse("BYE", "sip:100@example.com");
    from("203.0.113.5:9", PROTO_TLS, 1000);
    r.in_dialog = true;
    passes(20); /* and takes nothing from what is outside */
    r.in_dialog = false;
    passes(2);
    OVER;
    r.in_dialog = true;
    passes(1);
}

static void calls_for_help(void **state)
{
    (void)state;
    static const struct {
        const char *method, *uri;
        bool help;
    } row[] = {
        {"INVITE", "sip:112@example.com", true},    {"INVITE", "urn:service:sos", true},
        {"INVITE", "urn:service:sos.police", true}, {"INVITE", "sip:1121@example.com", false},
        {"INVITE", "sip:100@example.com", false},   {"OPTIONS", "sip:example.com", false}};
    p.zones[0].rate_per_source = 1;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t ms = 100000 * (int64_t)(i + 1);
        parse(row[i].method, row[i].uri);
        from("203.0.113.5:9", PROTO_TLS, ms);
        passes(row[i].help ? 2 + 10 : 2);
        OVER;
        from("203.0.113.5:9", PROTO_TLS, ms + 1000);
        passes(row[i].help ? 1 + 2 : 1);
        OVER;
    }
}

/* Another source's calls for help are its own, and no other request takes from them. */
static void help_is_shared_with_nobody(void **state)
{
    (void)state;
    p.zones[0].rate_per_source = 1;
    parse("OPTIONS", "sip:example.com");
    from("203.0.113.5:9", PROTO_TLS, 1000);
    passes(2);
    for (unsigned i = 0; i < 30; i++)
        OVER;
    parse("INVITE", "sip:112@example.com");
    from("203.0.113.6:9", PROTO_TLS, 1000);
    passes(12);
    OVER;
    from("203.0.113.5:9", PROTO_TLS, 1000);
    passes(10);
    OVER;
}

static void of_a_peer(void **state)
{
    (void)state;
    static const struct {
        uint32_t a_minute, second; /* what a second brings back */
    } row[] = {{1, 1}, {59, 1}, {119, 1}, {120, 2}, {600, 10}};
    p.zones[0].rate_per_source = 1;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t ms = 1000000 * (int64_t)(i + 1);
        parse("INVITE", "sip:100@example.com");
        p.guard.trunk_rate = row[i].a_minute;
        from("192.0.2.10:5070", PROTO_UDP, ms);
        r.peer = 0;
        passes(row[i].a_minute);
        expect(VERDICT_REFUSE, REASON_shield_rate_trunk);
        r.in_dialog = true;
        passes(3);
        r.in_dialog = false;
        r.emergency = true;
        passes(3);
        r.emergency = false;
        expect(VERDICT_REFUSE, REASON_shield_rate_trunk);
        from("192.0.2.11:5070", PROTO_UDP, ms + 1000); /* by name, wherever it sends from */
        r.peer = 0;
        passes(row[i].second);
        expect(VERDICT_REFUSE, REASON_shield_rate_trunk);
    }
    p.guard.trunk_rate = 0; /* no limit */
    passes(500);
}

static void peers_apart(void **state)
{
    (void)state;
    p.n_peers = 2;
    p.peers[1] = p.peers[0];
    p.peers[1].name = fixture_text(&p, "trunk");
    p.guard.trunk_rate = 2;
    p.zones[0].rate_per_source = 1;
    parse("INVITE", "sip:100@example.com");
    from("192.0.2.10:5070", PROTO_UDP, 1000);
    r.peer = 0;
    passes(2);
    expect(VERDICT_REFUSE, REASON_shield_rate_trunk);
    r.peer = 1;
    passes(2);
    expect(VERDICT_REFUSE, REASON_shield_rate_trunk);
    r.peer = POLICY_NONE; /* nor did they take from the address */
    passes(2);
    expect(VERDICT_DROP, REASON_rate_source);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(reached_and_recovered),
                                       T(silence_over_udp),
                                       T(what_is_one_source),
                                       T(inside_a_dialog),
                                       T(calls_for_help),
                                       T(help_is_shared_with_nobody),
                                       T(of_a_peer),
                                       T(peers_apart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
