/* Look-ups against a zone in memory and a clock of our own. */
#include "app/fetch/names.h"
#include "base/test.h"

static struct targets_board board;
static struct counters counters;
static struct policy p;
static struct names n;
static struct now now;
static struct dns_msg msg;
static unsigned asked, noted;

static struct {
    enum { NONE, ADDRESS, NO_NAME, FAILS, BOGUS, SILENT } is;
    const char *ip[4];
    uint32_t ttl;
    bool secure;
} zone;
static struct names_question late; /* the last that was left without an answer */

static void answer(const struct names_question *q)
{
    struct locate_reply r = {LOCATE_REPLY, zone.secure, &msg};
    memset(&msg, 0, sizeof msg);
    msg.negative_s = 7;
    if (zone.is == FAILS || zone.is == BOGUS)
        r = (struct locate_reply){zone.is == BOGUS ? LOCATE_BOGUS : LOCATE_FAILED, false, NULL};
    msg.rcode = zone.is == NO_NAME ? DNS_NXDOMAIN : DNS_NOERROR;
    for (size_t i = 0; zone.is == ADDRESS && i < 4 && zone.ip[i]; i++)
        assert_ok(addr_parse_ip(str_c(zone.ip[i]), &msg.rr[msg.n++].addr));
    msg.ttl_s = zone.ttl;
    names_reply(&n, q, &r, now);
}

static bool ask(void *ctx, const struct names_question *q, const struct dns_name *name,
                enum dns_type type)
{
    (void)ctx;
    asked++;
    assert_str(dns_name_str(name), "pbx.example.net");
    assert_int_equal(type, DNS_A);
    if (zone.is == SILENT)
        late = *q;
    else if (zone.is == NONE)
        return false;
    else
        answer(q);
    return true;
}

static void note(void *ctx, enum severity sev, const struct targets_row *row)
{
    (void)ctx, (void)sev, (void)row;
    noted++;
}

static void host(uint8_t peer, const char *name)
{
    p.peers[peer] = (struct policy_peer){.proto = PROTO_UDP, .host_port = 5070};
    p.peers[peer].host = (struct span){(uint16_t)p.text_n, (uint16_t)strlen(name)};
    memcpy(p.text + p.text_n, name, strlen(name));
    p.text_n += (uint32_t)strlen(name);
}

static int prepare(void **state)
{
    (void)state;
    memset(&board, 0, sizeof board);
    memset(&p, 0, sizeof p);
    memset(&zone, 0, sizeof zone);
    memset(&counters, 0, sizeof counters);
    asked = noted = 0;
    now = (struct now){{1000000}, {INT64_C(1700000000000000)}};
    assert_ok(addr_parse(STR("192.0.2.1:5060"), &p.listeners[0].bind));
    p.listeners[0].advertise = p.listeners[0].bind;
    p.n_listeners = p.n_zones = p.n_peers = 1;
    p.limits.call_max_s = 3600;
    host(0, "pbx.example.net");
    assert_ok(targets_attach(&board, sizeof board));
    names_init(&n, &board, &counters, ask, note, NULL);
    names_policy(&n, &p, now);
    return 0;
}

static void pass(uint32_t s)
{
    now.mono = instant_add(now.mono, DUR_S(s));
    now.wall.us += DUR_S(s).us;
    names_turn(&n, now);
}

static struct targets_row row(void)
{
    struct targets_row r;
    assert_ok(targets_get(&board, sizeof board, &p, 0, &r));
    return r;
}

static uint32_t next_s(void)
{
    return (uint32_t)(instant_sub(names_next(&n), now.mono).us / 1000000);
}

/* Until the next look-up. */
static void pass_next(void)
{
    pass(next_s());
}

static void ttl_is_kept_in_bounds(void **state)
{
    static const struct {
        uint32_t ttl, want;
    } rows[] = {{0, 5}, {4, 5}, {5, 5}, {6, 6}, {3600, 3600}, {3601, 3600}, {INT32_MAX, 3600}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        prepare(NULL);
        assert_int_equal(row().state, TARGETS_UNKNOWN);
        zone.is = ADDRESS;
        zone.ip[0] = "192.0.2.30";
        zone.ttl = rows[i].ttl;
        pass(0);
        assert_int_equal(asked, 1);
        assert_int_equal(row().state, TARGETS_GOOD);
        assert_int_equal(row().entry[0].a.port, 5070);
        assert_int_equal(next_s(), rows[i].want + 1);
        assert_int_equal(row().until.us - now.wall.us, DUR_S(rows[i].want).us);
        pass(rows[i].want);
        assert_int_equal(asked, 1);
        pass(1);
        assert_int_equal(asked, 2);
        assert_int_equal(noted, 1); /* no news */
    }
}

static void a_change_is_taken_and_the_past_kept(void **state)
{
    (void)state;
    zone.is = ADDRESS;
    zone.ip[0] = "192.0.2.30";
    zone.ip[1] = "192.0.2.31";
    zone.ttl = 60;
    zone.secure = true;
    pass(0);
    assert_int_equal(row().n, 2);
    assert_true(row().secure);
    zone.ip[0] = "192.0.2.32";
    pass_next();
    struct targets_row r = row();
    struct addr gone;
    assert_ok(addr_parse(STR("192.0.2.30:5070"), &gone));
    assert_int_equal(noted, 2);
    assert_int_equal(targets_find(&r, &gone), -1);
    assert_int_equal(r.n_past, 1);
    assert_true(targets_was(&r, &gone, now.wall));
    zone.ip[0] = "192.0.2.30"; /* back again: no longer of the past */
    pass_next();
    r = row();
    assert_true(targets_find(&r, &gone) >= 0);
    assert_int_equal(r.n_past, 1); /* .32 */
    for (unsigned i = 0; i < 61; i++)
        pass_next();
    assert_int_equal(row().n_past, 0); /* no call is that old */
}

static void silence_keeps_the_last_answer_for_a_while(void **state)
{
    (void)state;
    zone.is = ADDRESS;
    zone.ip[0] = "192.0.2.30";
    zone.ttl = 60;
    pass(0);
    zone.is = FAILS;
    pass_next();
    assert_int_equal(row().state, TARGETS_STALE);
    assert_int_equal(row().why, REASON_dns_failed);
    assert_int_equal(row().n, 1);
    static const uint32_t steps[] = {5, 10, 20, 40, 60, 60};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_int_equal(next_s(), steps[i] + 1);
        pass_next();
    }
    int64_t forget = row().forget.us;
    while (now.wall.us + DUR_S(61).us < forget) {
        pass_next();
        assert_int_equal(row().state, TARGETS_STALE);
    }
    pass_next();
    assert_int_equal(row().state, TARGETS_FAILED);
    assert_int_equal(row().n, 0);
    zone.is = ADDRESS;
    pass_next();
    assert_int_equal(row().state, TARGETS_GOOD);
    assert_int_equal(noted, 4);
}

static void what_the_zone_says_counts_at_once(void **state)
{
    (void)state;
    zone.is = ADDRESS;
    zone.ip[0] = "192.0.2.30";
    zone.ttl = 60;
    pass(0);
    zone.is = NO_NAME;
    pass_next();
    assert_int_equal(row().state, TARGETS_FAILED);
    assert_int_equal(row().why, REASON_dns_no_name);
    assert_int_equal(counters_get(&counters, REASON_dns_no_name), 1);
    assert_int_equal(row().n, 0);
    assert_int_equal(row().n_past, 1);
    assert_int_equal(next_s(), 8); /* the zone's own negative TTL */
}

static void refused_addresses(void **state)
{
    (void)state;
    zone.is = ADDRESS;
    zone.ttl = 60;
    zone.ip[0] = "127.0.0.1";
    zone.ip[1] = "224.0.0.1";
    pass(0);
    assert_int_equal(row().state, TARGETS_FAILED);
    assert_int_equal(row().why, REASON_dns_address_refused);
    zone.ip[2] = "192.0.2.30";
    pass_next();
    assert_int_equal(row().state, TARGETS_GOOD);
    assert_int_equal(row().n, 1);
    assert_int_equal(counters_get(&counters, REASON_dns_address_refused), 3);
}

static void bogus_and_unsigned(void **state)
{
    (void)state;
    zone.is = BOGUS;
    pass(0);
    assert_int_equal(row().why, REASON_dns_bogus);
    prepare(NULL);
    p.peers[0].dnssec = true;
    names_policy(&n, &p, now);
    zone.is = ADDRESS;
    zone.ip[0] = "192.0.2.30";
    zone.ttl = 60;
    pass(0);
    assert_int_equal(row().why, REASON_dns_unsigned);
    zone.secure = true;
    pass_next();
    assert_int_equal(row().state, TARGETS_GOOD);
}

static void no_answer_at_all(void **state)
{
    (void)state;
    zone.is = SILENT;
    pass(0);
    assert_int_equal(next_s(), NAMES_LOOKUP_S);
    pass(NAMES_LOOKUP_S);
    assert_int_equal(row().why, REASON_dns_failed);
    struct names_question old = late;
    zone.is = ADDRESS;
    zone.ip[0] = "192.0.2.30";
    zone.ttl = 60;
    answer(&old); /* too late: nobody waits for it */
    assert_int_equal(row().state, TARGETS_FAILED);
    zone.is = NONE; /* it cannot even be sent */
    pass_next();
    assert_int_equal(row().state, TARGETS_FAILED);
    zone.is = SILENT;
    pass_next();
    struct names_question young = late;
    assert_int_not_equal(young.serial, old.serial);
    zone.is = ADDRESS;
    answer(&old);
    assert_int_equal(row().state, TARGETS_FAILED);
    answer(&young);
    assert_int_equal(row().state, TARGETS_GOOD);
}

static void policy_changes(void **state)
{
    (void)state;
    zone.is = ADDRESS;
    zone.ip[0] = "192.0.2.30";
    zone.ttl = 600;
    pass(0);
    /* the peer moved in the list: its answer stays, and nothing is asked */
    p.peers[3] = p.peers[0];
    p.peers[0] = (struct policy_peer){.n_targets = 0};
    p.n_peers = 4;
    names_policy(&n, &p, now);
    names_turn(&n, now);
    struct targets_row r;
    assert_ok(targets_get(&board, sizeof board, &p, 3, &r));
    assert_int_equal(r.n, 1);
    assert_int_equal(asked, 1);
    /* gone: so is the row, and nothing is due */
    p.peers[3].host.len = 0;
    names_policy(&n, &p, now);
    for (unsigned i = 0; i < POLICY_PEERS; i++)
        assert_int_equal(board.slot[i].row.ask.host.n, 0);
    assert_int_equal(names_next(&n).us, INT64_MAX);
}

static void a_new_life_keeps_the_board(void **state)
{
    (void)state;
    zone.is = ADDRESS;
    zone.ip[0] = "192.0.2.30";
    zone.ttl = 600;
    pass(0);
    assert_ok(targets_attach(&board, sizeof board));
    names_init(&n, &board, &counters, ask, note, NULL);
    names_policy(&n, &p, now);
    assert_int_equal(row().n, 1);
    zone.is = FAILS;
    pass(1);
    assert_int_equal(asked, 2);
    assert_int_equal(row().state, TARGETS_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ttl_is_kept_in_bounds, prepare),
        cmocka_unit_test_setup(a_change_is_taken_and_the_past_kept, prepare),
        cmocka_unit_test_setup(silence_keeps_the_last_answer_for_a_while, prepare),
        cmocka_unit_test_setup(what_the_zone_says_counts_at_once, prepare),
        cmocka_unit_test_setup(refused_addresses, prepare),
        cmocka_unit_test_setup(bogus_and_unsigned, prepare),
        cmocka_unit_test_setup(no_answer_at_all, prepare),
        cmocka_unit_test_setup(policy_changes, prepare),
        cmocka_unit_test_setup(a_new_life_keeps_the_board, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
