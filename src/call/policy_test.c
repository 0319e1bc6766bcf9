#include "call/fixture_test.h"

static struct policy p;

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    return 0;
}

static void fixture_is_valid(void **state)
{
    (void)state;
    assert_ok(policy_valid(&p, sizeof p));
}

static void damaged_snapshots_are_refused(void **state)
{
    (void)state;
    p.guard.n_feeds = p.guard.n_exempt = p.zones[0].n_access = 1;
    p.guard.n_steps = 2;
    p.guard.steps[0] = (struct guard_step){10, TREAT_LOG};
    p.guard.steps[1] = (struct guard_step){20, TREAT_BAN};
    p.guard.feeds[0] = (struct guard_feed){
        .name = p.domains[0], .url = p.domains[0], .refresh_s = 60, .expires_s = 61};
    assert_ok(prefix_parse(STR("192.0.2.0/24"), &p.guard.exempt[0]));
    p.zones[0].access[0] = (struct access_rule){.by_prefix = true, .net = p.guard.exempt[0]};
    assert_ok(policy_valid(&p, sizeof p));
    struct policy good = p;
#define BAD(change)                                                                                \
    do {                                                                                           \
        p = good;                                                                                  \
        change;                                                                                    \
        assert_int_not_equal(policy_valid(&p, sizeof p), OK);                                      \
    } while (0)
    BAD(p.magic++);
    BAD(p.version++);
    BAD(p.bytes--);
    BAD(p.n_zones = POLICY_ZONES + 1);
    BAD(p.n_roles = 0);
    BAD(p.text_n = POLICY_TEXT + 1);
    BAD(p.domains[0].len = 60000);
    BAD(p.zones[1].n_sources = POLICY_ZONE_SOURCES + 1);
    BAD(p.zones[1].suites[0] = SUITE_COUNT);
    BAD(p.waivers[0].zone = 3);
    BAD(p.peers[0].listener = 3);
    BAD(p.peers[0].n_targets = 0);
    BAD(p.routes[1].peers[0] = 1);
    BAD(p.routes[1].from_peer = 1);
    BAD(p.routes[1].to = ROUTE_REFUSE + 1);
    BAD(p.routes[1].when = WHEN_CLOSED + 1);
    BAD(p.routes[1].when = WHEN_OPEN);
    BAD(p.n_sites = 1; p.routes[1].when = WHEN_OPEN; p.routes[1].when_site = 1);
    BAD(p.consult.on = true; p.consult.peer = 1);
    BAD(p.consult.on = true; p.consult.peer = POLICY_NONE);
    BAD(p.consult.url.off = 60000);
    BAD(p.rtp_min = p.rtp_max + 1);
    BAD(p.guard.kernel = KERNEL_NONE + 1);
    BAD(p.guard.n_interfaces = GUARD_INTERFACES + 1);
    BAD(p.guard.n_exempt = GUARD_EXEMPT + 1);
    BAD(p.guard.n_decoys = GUARD_DECOYS + 1);
    BAD(p.guard.n_feeds = GUARD_FEEDS + 1);
    BAD(p.guard.n_rule_files = GUARD_RULE_FILES + 1);
    BAD(p.guard.n_steps = GUARD_STEPS + 1);
    BAD(p.guard.geo.len = 60000);
    BAD(p.guard.exempt[0].bits = 33);
    BAD(p.guard.exempt[0].a.family = 5);
    BAD(p.guard.feeds[0].ca.off = 60000);
    BAD(p.guard.feeds[0].file = p.domains[0]);
    BAD(p.guard.feeds[0].url.len = 0);
    BAD(p.guard.feeds[0].expires_s = 60);
    BAD(p.guard.feeds[0].refresh_s = 0);
    BAD(p.guard.steps[1].score = 10);
    BAD(p.guard.steps[0].treat = TREAT_COUNT);
    BAD(p.guard.detectors[DET_COUNT - 1].treat = TREAT_COUNT);
    BAD(p.guard.n_interfaces = 1; p.guard.interfaces[0].len = 60000);
    BAD(p.guard.n_decoys = 1; p.guard.decoys[0].len = 60000);
    BAD(p.guard.n_rule_files = 1; p.guard.rule_files[0].len = 60000);
    BAD(p.zones[0].n_access = ACCESS_RULES + 1);
    BAD(p.zones[0].access[0].net.bits = 33);
    BAD(p.zones[0].access[0].protos = 1 << (PROTO_TLS + 1));
    p = good;
    assert_int_not_equal(policy_valid(&p, sizeof p - 1), OK);
#undef BAD
}

static void zone_by_longest_prefix_of_the_listener(void **state)
{
    (void)state;
    struct addr near = fixture_addr("192.0.2.77:9"), far = fixture_addr("203.0.113.9:9");
    assert_int_equal(policy_zone_of(&p, 0, &near), 0);
    assert_int_equal(policy_zone_of(&p, 2, &near), 2);
    assert_int_equal(policy_zone_of(&p, 2, &far), POLICY_NONE);
    p.zones[2].listeners |= 1;
    assert_int_equal(policy_zone_of(&p, 0, &near), 2);
    assert_int_equal(policy_zone_of(&p, 0, &far), 0);
}

static void waivers_end(void **state)
{
    (void)state;
    struct wall before = {INT64_C(1999) * 1000000}, after = {INT64_C(2000) * 1000000};
    assert_int_equal(policy_waived(&p, 1, WAIVE_PLAIN_SIGNALLING, before), REASON_NONE);
    assert_int_equal(policy_waived(&p, 1, WAIVE_PLAIN_SIGNALLING, after), REASON_waiver_expired);
    assert_int_equal(policy_waived(&p, 0, WAIVE_PLAIN_SIGNALLING, before), REASON_zone_plaintext);
    assert_int_equal(policy_waived(&p, 0, WAIVE_PLAIN_MEDIA, before), REASON_media_plaintext);
    p.waivers[0].allow = WAIVE_PLAIN_SIGNALLING;
    assert_int_equal(policy_waived(&p, 1, WAIVE_PLAIN_MEDIA, before), REASON_media_plaintext);
}

static void media_rules_follow_zone_and_transport(void **state)
{
    (void)state;
    struct flow tls = {.proto = PROTO_TLS, .listener = 0},
                udp = {.proto = PROTO_UDP, .listener = 2};
    struct wall now = {0};
    struct media_policy m = policy_media(&p, 0, &tls, now);
    assert_true(m.signalling_secure && m.offer_srtp && !m.plain_allowed && m.symmetric);
    m = policy_media(&p, 2, &udp, now);
    assert_true(!m.signalling_secure && !m.offer_srtp && m.plain_allowed && !m.symmetric);
    assert_true(addr_eq_ip(&m.local_ip, &p.listeners[2].advertise) && m.local_ip.port == 0);
    p.waivers[1].expires.us = -1;
    m = policy_media(&p, 2, &udp, now);
    assert_false(m.plain_allowed);
}

static void kinds_codecs_and_fax_follow_the_zone(void **state)
{
    (void)state;
    struct flow tls = {.proto = PROTO_TLS, .listener = 0};
    struct wall now = {0};
    struct media_policy m = policy_media(&p, 0, &tls, now);
    assert_int_equal(m.codecs.n, 0);
    assert_false(m.t38_plain); /* no waiver, whatever the kinds are */
    p.zones[0].kinds = KIND_AUDIO | KIND_T38;
    p.zones[0].n_codecs = 1;
    p.zones[0].codecs[0] = p.domains[0];
    m = policy_media(&p, 0, &tls, now);
    assert_int_equal(m.kinds, LINE_AUDIO | LINE_T38);
    assert_int_equal(m.codecs.n, 1);
    assert_true(str_eq(span_str(m.codecs.text, m.codecs.names[0]), STR("example.com")));
    /* A waiver that a zone with SRTP has is for its fax alone. */
    p.waivers[0].zone = 0;
    p.waivers[0].allow = WAIVE_PLAIN_MEDIA;
    m = policy_media(&p, 0, &tls, now);
    assert_true(m.t38_plain && !m.plain_allowed);
    p.waivers[0].expires.us = -1;
    assert_false(policy_media(&p, 0, &tls, now).t38_plain);
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *dialled;
        bool fits;
    } row[] = {
        {"X.", "12", true},     {"X.", "1", false},       {"X.", "a1", false},
        {"*", "", true},        {"*", "anything", true},  {"+49*", "+49", true},
        {"+49.", "+49", false}, {"NXX", "199", false},    {"NXX", "299", true},
        {"NXX", "2999", false}, {"alice", "alice", true}, {"alice", "alicE", false},
        {"a*b", "a*b", true},   {"a*b", "axb", false},    {"", "", true},
        {"", "1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        assert_int_equal(policy_pattern(str_c(row[i].pattern), str_c(row[i].dialled)), row[i].fits);
}

static void first_route_that_fits_decides(void **state)
{
    (void)state;
    struct policy_caller by = {.peer = POLICY_NONE}, other = {.zone = 1, .peer = POLICY_NONE};
    assert_ptr_equal(policy_route(&p, &by, STR("0900123")), &p.routes[0]);
    assert_ptr_equal(policy_route(&p, &by, STR("100")), &p.routes[1]);
    assert_null(policy_route(&p, &other, STR("100")));
    assert_null(policy_route(&p, &by, STR("zoe")));
    p.routes[2].role = 1;
    assert_null(policy_route(&p, &by, STR("alice")));
    assert_int_equal(policy_route_fit(&p, &p.routes[2], &by, STR("alice")), ROUTE_NOT_CALLER);
    assert_int_equal(policy_route_fit(&p, &p.routes[2], &by, STR("100")), ROUTE_NOT_NUMBER);
}

#define MINUTE_US INT64_C(60000000)
static struct policy_caller at_minute(int64_t m) /* since Monday 1970-01-05, 0:00 UTC */
{
    return (struct policy_caller){.peer = POLICY_NONE, .now = {(4 * 1440 + m) * MINUTE_US}};
}

/* Open on Mondays from 8:00 to 18:00; and the second site, where it is an hour later. */
static void with_hours(void)
{
    p.n_sites = 2;
    for (unsigned i = 0; i < 2; i++) {
        p.sites[i].n_week = 1;
        p.sites[i].week[0].from = 480;
        p.sites[i].week[0].to = 1080;
    }
    p.sites[1].n_shifts = 1;
    p.sites[1].shifts[0].offset_s = 3600;
    p.routes[0] = p.routes[1];
    p.routes[0].when = WHEN_OPEN;
    p.routes[2].when = WHEN_CLOSED;
}

static void a_route_holds_by_the_hour(void **state)
{
    (void)state;
    with_hours();
    assert_ok(policy_valid(&p, sizeof p));
    static const struct {
        int64_t minute;
        uint8_t site;
        bool open;
    } row[] = {{479, 0, false},  {480, 0, true},   {1079, 0, true},
               {1080, 0, false}, {419, 1, false},  {420, 1, true},
               {1019, 1, true},  {1020, 1, false}, {1440 + 600, 0, false}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct policy_caller by = at_minute(row[i].minute);
        p.routes[0].when_site = p.routes[2].when_site = row[i].site;
        assert_ptr_equal(policy_route(&p, &by, STR("100")), &p.routes[row[i].open ? 0 : 1]);
        assert_int_equal(policy_route_fit(&p, &p.routes[0], &by, STR("100")),
                         row[i].open ? ROUTE_HOLDS : ROUTE_NOT_NOW);
        assert_ptr_equal(policy_route(&p, &by, STR("alice")), row[i].open ? NULL : &p.routes[2]);
    }
    p.sites[0].n_holidays = 1;
    p.sites[0].holidays[0] = 4;
    p.routes[0].when_site = 0;
    struct policy_caller by = at_minute(600);
    assert_ptr_equal(policy_route(&p, &by, STR("100")), &p.routes[1]);
}

static void no_hour_keeps_a_call_for_help(void **state)
{
    (void)state;
    with_hours();
    struct policy_caller night = at_minute(60), day = at_minute(600);
    night.emergency = day.emergency = true;
    p.routes[1].pattern = fixture_text(&p, "*");
    p.routes[1].to = ROUTE_USERS;
    /* The only way out is closed: it is taken all the same, not the wildcard to users. */
    assert_ptr_equal(policy_route(&p, &night, STR("112")), &p.routes[0]);
    /* Another way out that holds now is the better one. */
    p.routes[1].to = ROUTE_PEERS;
    assert_ptr_equal(policy_route(&p, &night, STR("112")), &p.routes[1]);
    assert_ptr_equal(policy_route(&p, &day, STR("112")), &p.routes[0]);
    /* Whoever answers the same number at other hours is meant to. */
    p.routes[1].to = ROUTE_USERS;
    p.routes[1].pattern = p.routes[0].pattern;
    assert_ptr_equal(policy_route(&p, &night, STR("112")), &p.routes[1]);
    /* Refused by the hour: not what is for help. */
    p.routes[0].to = ROUTE_REFUSE;
    p.routes[0].when = WHEN_CLOSED;
    assert_ptr_equal(policy_route(&p, &night, STR("112")), &p.routes[1]);
    night.emergency = false;
    assert_ptr_equal(policy_route(&p, &night, STR("112")), &p.routes[0]);
    night.emergency = true;
    p.routes[0].when = WHEN_ALWAYS;
    assert_ptr_equal(policy_route(&p, &night, STR("112")), &p.routes[0]);
}

static void peers_by_address(void **state)
{
    (void)state;
    struct addr exact = fixture_addr("192.0.2.10:5070"), other_port = fixture_addr("192.0.2.10:1"),
                no = fixture_addr("192.0.2.11:5070");
    assert_int_equal(policy_peer_of(&p, 2, &exact), 0);
    assert_int_equal(policy_peer_of(&p, 2, &other_port), 0);
    assert_int_equal(policy_peer_of(&p, 2, &no), POLICY_NONE);
    assert_int_equal(policy_peer_of(&p, 1, &exact), POLICY_NONE);
}

static void domains_and_own_addresses(void **state)
{
    (void)state;
    assert_true(policy_domain(&p, STR("EXAMPLE.com")));
    assert_true(policy_domain(&p, STR("198.51.100.1")));
    assert_false(policy_domain(&p, STR("example.net")));
    assert_false(policy_domain(&p, STR("203.0.113.1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(fixture_is_valid, setup),
        cmocka_unit_test_setup(damaged_snapshots_are_refused, setup),
        cmocka_unit_test_setup(zone_by_longest_prefix_of_the_listener, setup),
        cmocka_unit_test_setup(waivers_end, setup),
        cmocka_unit_test_setup(media_rules_follow_zone_and_transport, setup),
        cmocka_unit_test_setup(kinds_codecs_and_fax_follow_the_zone, setup),
        cmocka_unit_test_setup(patterns, setup),
        cmocka_unit_test_setup(first_route_that_fits_decides, setup),
        cmocka_unit_test_setup(a_route_holds_by_the_hour, setup),
        cmocka_unit_test_setup(no_hour_keeps_a_call_for_help, setup),
        cmocka_unit_test_setup(peers_by_address, setup),
        cmocka_unit_test_setup(domains_and_own_addresses, setup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
