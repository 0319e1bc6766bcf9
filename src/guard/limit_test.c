/* Limits before and after parsing, who is known, and the emergency lane. */
#include "base/test.h"
#include "guard/scene.h"

static struct scene sc;
static struct ban_board *board;
#define BOARD 64u

static int open1(void **state)
{
    (void)state;
    scene_open(&sc, 1, 4096);
    board = calloc(1, ban_bytes(BOARD));
    assert_non_null(board);
    ban_init(board, BOARD);
    return 0;
}
static int shut(void **state)
{
    (void)state;
    scene_close(&sc);
    free(board);
    return 0;
}

static enum reason before(uint32_t source, bool peer, const char *bytes)
{
    struct addr a = ip4(source);
    struct ban_view v;
    return guard_before(sc.g[0], &a, peer, str_c(bytes), sc.now, &v);
}

static unsigned passed(uint32_t source, unsigned n, const char *bytes)
{
    unsigned ok = 0;
    for (unsigned i = 0; i < n; i++)
        ok += before(source, false, bytes) == REASON_NONE;
    return ok;
}

static void strangers(void **state)
{
    (void)state;
    assert_int_equal(passed(ATTACKER, 500, "OPTIONS sip:a SIP/2.0"), 200); /* twice the rate */
    assert_int_equal(before(ATTACKER, false, "OPTIONS "), REASON_shield_rate);
    assert_int_equal(passed(ATTACKER + 1, 500, "OPTIONS "), 200); /* each for himself */
    scene_wait(&sc, 1000);
    assert_in_range(passed(ATTACKER, 500, "OPTIONS "), 99, 101);
}

static void registered(void **state)
{
    (void)state;
    struct addr a = ip4(OFFICE);
    assert_int_equal(guard_tier(sc.g[0], &a, sc.now.mono), TIER_UNKNOWN);
    guard_known(sc.g[0], &a, instant_add(sc.now.mono, DUR_S(60)));
    assert_int_equal(guard_tier(sc.g[0], &a, sc.now.mono), TIER_REGISTERED);
    a.port = 4711; /* a source has no port */
    assert_int_equal(guard_tier(sc.g[0], &a, sc.now.mono), TIER_REGISTERED);
    assert_int_equal(passed(OFFICE, 5000, "REGISTER "), 2200); /* as a stranger, and as known */
    scene_wait(&sc, 61000);
    assert_int_equal(guard_tier(sc.g[0], &a, sc.now.mono), TIER_UNKNOWN);
    guard_known(sc.g[0], &a, (struct instant){INT64_MAX}); /* no wrap */
    assert_int_equal(guard_tier(sc.g[0], &a, sc.now.mono), TIER_REGISTERED);
    guard_known(sc.g[0], &a, sc.now.mono); /* an older word does not end it */
    assert_int_equal(guard_tier(sc.g[0], &a, sc.now.mono), TIER_REGISTERED);
}

static void peers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(before(OFFICE, true, "INVITE "), REASON_NONE);
}

static void v6_is_one_source_a_64(void **state)
{
    (void)state;
    struct addr a, b, c;
    assert_ok(addr_parse(STR("[2001:db8:1:2:3:4:5:6]:5060"), &a));
    assert_ok(addr_parse(STR("[2001:db8:1:2:ffff::1]:9"), &b));
    assert_ok(addr_parse(STR("[2001:db8:1:3::1]:9"), &c));
    assert_true(guard_hash(sc.g[0], &a) == guard_hash(sc.g[0], &b));
    assert_false(guard_hash(sc.g[0], &a) == guard_hash(sc.g[0], &c));
    struct addr s = guard_source(&a);
    assert_int_equal(s.port, 0);
    assert_int_equal(s.ip[7], 2);
    assert_int_equal(s.ip[8], 0);
}

static void the_64_of_a_56_share(void **state)
{
    (void)state;
    unsigned ok = 0;
    struct ban_view v;
    for (unsigned i = 0; i < 20000; i++) {
        struct addr a = {.family = ADDR_V6,
                         .ip = {0x20, 1, 0xd, 0xb8, 0, 0, 1, (uint8_t)i, (uint8_t)(i >> 8)}};
        ok += guard_before(sc.g[0], &a, false, STR("OPTIONS "), sc.now, &v) == REASON_NONE;
    }
    assert_int_equal(ok, 1600); /* eight times twice the rate */
    struct addr other = {.family = ADDR_V6, .ip = {0x20, 1, 0xd, 0xb8, 0, 0, 2, 1}};
    assert_int_equal(guard_before(sc.g[0], &other, false, STR("OPTIONS "), sc.now, &v),
                     REASON_NONE);
    struct addr known = {.family = ADDR_V6, .ip = {0x20, 1, 0xd, 0xb8, 0, 0, 1, 1}};
    guard_known(sc.g[0], &known, instant_add(sc.now.mono, DUR_S(60)));
    assert_int_equal(guard_before(sc.g[0], &known, false, STR("OPTIONS "), sc.now, &v),
                     REASON_NONE);
}

/* The board is the monitor's; here it is written as its contract says. */
static bool ban(uint32_t source, enum treat t)
{
    uint32_t slot;
    struct ban b = {.id = 1,
                    .scope = BAN_SOURCE,
                    .treat = (uint8_t)t,
                    .times = 1,
                    .net = {ip4(source), 32},
                    .since = sc.now.wall,
                    .until = {sc.now.wall.us + INT64_C(3600000000)}};
    b.net.a.port = 0;
    guard_set_bans(sc.g[0], board, BOARD);
    return ban_put(board, BOARD, &b, &slot) == OK;
}

static void banned(void **state)
{
    (void)state;
    struct addr a = ip4(ATTACKER);
    struct ban_view v;
    guard_known(sc.g[0], &a, instant_add(sc.now.mono, DUR_S(600)));
    if (!ban(ATTACKER, TREAT_BAN))
        skip();
    assert_int_equal(before(ATTACKER, false, "REGISTER sip:a"), REASON_shield_banned);
    assert_int_equal(before(ATTACKER, true, "REGISTER sip:a"), REASON_NONE);
    assert_int_equal(before(ATTACKER + 1, false, "REGISTER sip:a"), REASON_NONE);
    assert_int_equal(guard_tier(sc.g[0], &a, sc.now.mono), TIER_UNKNOWN); /* demoted */
    assert_int_equal(passed(ATTACKER, 100, "INVITE sip:112@example.com SIP/2.0\r\n"), 10);
    scene_wait(&sc, 2000);
    assert_in_range(passed(ATTACKER, 100, "ACK sip:112@example.com SIP/2.0\r\n"), 3, 5);
    assert_int_equal(guard_before(sc.g[0], &a, false, STR("INVITE sip:1"), sc.now, &v),
                     REASON_shield_banned);
    assert_int_equal(v.treat, TREAT_BAN);
    scene_wait(&sc, 3600000);
    assert_int_equal(before(ATTACKER, false, "REGISTER sip:a"), REASON_NONE);
}

static void milder_treatments_go_on(void **state)
{
    (void)state;
    struct addr a = ip4(ATTACKER);
    struct ban_view v;
    if (!ban(ATTACKER, TREAT_TARPIT))
        skip();
    assert_int_equal(guard_before(sc.g[0], &a, false, STR("REGISTER "), sc.now, &v), REASON_NONE);
    assert_int_equal(v.scope, BAN_SOURCE);
    assert_int_equal(v.treat, TREAT_TARPIT);
}

static void the_lane_is_beside_the_limit(void **state)
{
    (void)state;
    assert_int_equal(passed(ATTACKER, 500, "OPTIONS sip:a SIP/2.0"), 200);
    assert_int_equal(passed(ATTACKER, 100, "INVITE urn:service:sos SIP/2.0"), 10);
    assert_int_equal(passed(ATTACKER, 100, "INVITE sip:112@example.com SIP/2.0"), 0);
}

static void a_dry_run_refuses_no_rate(void **state)
{
    (void)state;
    sc.policy.dry_run = true;
    sc.policy.aor_rate = 1;
    assert_int_equal(passed(ATTACKER, 500, "OPTIONS sip:a SIP/2.0"), 500);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(guard_after(sc.g[0], 5, 6, sc.now.mono), REASON_NONE);
}

static void what_may_be_a_call_for_help(void **state)
{
    (void)state;
    static const char *const YES[] = {
        "INVITE sip:112@example.com SIP/2.0\r\nVia:",
        "INVITE sip:911@192.0.2.1;user=phone SIP/2.0",
        "INVITE sips:112@example.com SIP/2.0",
        "INVITE tel:112 SIP/2.0",
        "INVITE tel:9-1-1;phone-context=example.com SIP/2.0",
        "INVITE urn:service:sos SIP/2.0",
        "INVITE urn:service:sos.fire SIP/2.0",
        "INVITE URN:SERVICE:SOS SIP/2.0",
        "INVITE sip:112;phone-context=x@example.com SIP/2.0",
        "ACK sip:x",
        "BYE sip:x",
        "CANCEL sip:x",
        "PRACK sip:x",
        "SIP/2.0 200 OK",
    };
    static const char *const NO[] = {
        "",
        "INVITE",
        "INVITE ",
        "INVITE sip:",
        "INVITE sip:1120@example.com SIP/2.0",
        "INVITE sip:11@example.com SIP/2.0",
        "INVITE sip:0112@example.com SIP/2.0",
        "INVITE sip:+112@example.com SIP/2.0",
        "INVITE sip:alice@112 SIP/2.0",
        "INVITE http:112@example.com SIP/2.0",
        "OPTIONS sip:112@example.com SIP/2.0",
        "REGISTER urn:service:sos SIP/2.0",
        "invite sip:112@example.com SIP/2.0",
        "INVITE urn:service:counseling SIP/2.0",
        "BYEBYE sip:x",
        "SIP/3.0 200 OK",
    };
    for (unsigned i = 0; i < ARRAY_LEN(YES); i++)
        if (!guard_maybe_emergency(str_c(YES[i])))
            fail_msg("%s", YES[i]);
    for (unsigned i = 0; i < ARRAY_LEN(NO); i++)
        if (guard_maybe_emergency(str_c(NO[i])))
            fail_msg("%s", NO[i]);
    assert_false(guard_maybe_emergency(STR_NONE));
}

static void users_and_devices(void **state)
{
    (void)state;
    unsigned ok = 0;
    sc.policy.aor_rate = 60;
    sc.policy.device_rate = 100;
    for (unsigned i = 0; i < 500; i++)
        ok += guard_after(sc.g[0], 5, 6, sc.now.mono) == REASON_NONE;
    assert_int_equal(ok, 60);
    assert_int_equal(guard_after(sc.g[0], 5, 6, sc.now.mono), REASON_shield_rate_user);
    for (ok = 0; ok < 500 && guard_after(sc.g[0], 100 + 2 * ok, 7, sc.now.mono) == REASON_NONE;)
        ok++;
    assert_int_equal(ok, 100); /* one device, many users */
    scene_wait(&sc, 1100);
    assert_int_equal(guard_after(sc.g[0], 5, 0, sc.now.mono), REASON_NONE);
    assert_int_equal(guard_after(sc.g[0], 5, 0, sc.now.mono), REASON_shield_rate_user);
    for (unsigned i = 0; i < 500; i++) /* nobody known: nothing to count */
        assert_int_equal(guard_after(sc.g[0], 0, 0, sc.now.mono), REASON_NONE);
}

/* A million forged addresses neither lift the limit of one that goes on, nor make a known one a
 * stranger. */
static void forged_sources(void **state)
{
    (void)state;
    unsigned ok = 0, tries = 0;
    scene_known(&sc, OFFICE);
    for (uint32_t i = 0; i < 1000000; i++) {
        (void)before(0x0a000000u + i, false, "OPTIONS ");
        if (i % 50 == 0) { /* 20,000 in ten seconds, where 100 a second may pass */
            tries++;
            ok += before(ATTACKER, false, "OPTIONS ") == REASON_NONE;
        }
        if (i % 100 == 0)
            scene_wait(&sc, 1);
    }
    assert_int_equal(tries, 20000);
    assert_in_range(ok, 1100, 1500);
    struct addr a = ip4(OFFICE);
    assert_int_equal(guard_tier(sc.g[0], &a, sc.now.mono), TIER_REGISTERED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open1, shut)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(strangers),
        T(registered),
        T(peers),
        T(v6_is_one_source_a_64),
        T(the_64_of_a_56_share),
        T(banned),
        T(milder_treatments_go_on),
        T(the_lane_is_beside_the_limit),
        T(a_dry_run_refuses_no_rate),
        T(what_may_be_a_call_for_help),
        T(users_and_devices),
        T(forged_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
