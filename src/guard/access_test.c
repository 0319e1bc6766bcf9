#include "base/test.h"
#include "guard/access.h"

#define DE (uint16_t)('D' << 8 | 'E')
#define AT (uint16_t)('A' << 8 | 'T')
#define FR (uint16_t)('F' << 8 | 'R')

static struct addr ip(const char *s)
{
    struct addr a = {0};
    assert_ok(addr_parse_ip(str_c(s), &a));
    return a;
}

static struct prefix net(const char *s)
{
    struct prefix p = {0};
    assert_ok(prefix_parse(str_c(s), &p));
    return p;
}

/* Ranges with gaps and neighbours. */
static ALIGNED(16) uint8_t room[4096];
static struct geo *table(void)
{
    static const struct geo6 SIX[] = {
        {UINT64_C(0x20010db800000000), UINT64_C(0x20010db80000ffff), DE, {0}},
        {UINT64_C(0x20010db800010000), UINT64_C(0x20010db800010000), FR, {0}},
    };
    static const struct geo4 FOUR[] = {
        {0xc0000200, 0xc00002ff, DE, 0},
        {0xc6336400, 0xc633647f, AT, 0},
        {0xc6336480, 0xc63364ff, FR, 0},
    };
    struct geo *g = (struct geo *)(void *)room;
    memset(room, 0, sizeof room);
    g->magic = GEO_MAGIC;
    g->n6 = ARRAY_LEN(SIX);
    g->n4 = ARRAY_LEN(FOUR);
    memcpy(g->data, SIX, sizeof SIX);
    memcpy(g->data + sizeof SIX, FOUR, sizeof FOUR);
    return g;
}

static void countries_by_range(void **state)
{
    static const struct {
        const char *ip;
        uint16_t country;
    } ROWS[] = {
        {"192.0.1.255", 0},
        {"192.0.2.0", DE},
        {"192.0.2.255", DE},
        {"192.0.3.0", 0},
        {"198.51.99.255", 0},
        {"198.51.100.0", AT},
        {"198.51.100.127", AT},
        {"198.51.100.128", FR},
        {"198.51.100.255", FR},
        {"198.51.101.0", 0},
        {"0.0.0.0", 0},
        {"255.255.255.255", 0},
        {"2001:db8::1", DE},
        {"2001:db8:0:ffff:ffff::", DE},
        {"2001:db8:1::", FR},
        {"2001:db8:1::ffff", FR},
        {"2001:db8:1:1::", 0},
        {"2001:db7:ffff:ffff::", 0},
        {"::1", 0},
        {"::ffff:192.0.2.1", DE},
    };
    (void)state;
    const struct geo *g = table();
    assert_ok(geo_valid(g, geo_bytes(3, 2)));
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct addr a = ip(ROWS[i].ip);
        if (geo_country(g, &a) != ROWS[i].country)
            print_error("%s\n", ROWS[i].ip);
        assert_int_equal(geo_country(g, &a), ROWS[i].country);
        assert_int_equal(geo_country(NULL, &a), 0);
    }
    struct addr none = {0};
    assert_int_equal(geo_country(g, &none), 0);
}

/* The search against a look at every range, for tables of every small size. */
static void search_is_a_scan(void **state)
{
    (void)state;
    struct geo *g = (struct geo *)(void *)room;
    struct geo4 *r = (struct geo4 *)(void *)g->data;
    for (uint32_t n = 0; n < 40; n++) {
        memset(room, 0, sizeof room);
        g->magic = GEO_MAGIC;
        g->n4 = n;
        for (uint32_t i = 0; i < n; i++)
            r[i] = (struct geo4){5 + i * 3, 5 + i * 3 + i % 3, (uint16_t)(1 + i), 0};
        for (uint32_t v = 0; v < 140; v++) {
            struct addr a = {.family = ADDR_V4, .ip = {0, 0, 0, (uint8_t)v}};
            uint16_t want = 0;
            for (uint32_t i = 0; i < n; i++)
                want = r[i].first <= v && v <= r[i].last ? r[i].country : want;
            assert_int_equal(geo_country(g, &a), want);
        }
    }
}

static void bounds_are_checked(void **state)
{
    (void)state;
    struct geo *g = table();
    assert_err(geo_valid(g, geo_bytes(3, 2) - 1), ERR_SYNTAX);
    assert_err(geo_valid(g, sizeof *g - 1), ERR_SYNTAX);
    g->n4 = UINT32_MAX;
    assert_err(geo_valid(g, sizeof room), ERR_SYNTAX);
    g = table();
    g->n6 = UINT32_MAX;
    assert_err(geo_valid(g, sizeof room), ERR_SYNTAX);
    g = table();
    g->magic++;
    assert_err(geo_valid(g, sizeof room), ERR_SYNTAX);
}

static void first_rule_that_fits(void **state)
{
    (void)state;
    const struct access_rule RULES[] = {
        {.allow = true, .by_prefix = true, .net = net("203.0.113.7")},
        {.by_prefix = true, .net = net("203.0.113.0/24")},
        {.allow = true, .country = DE, .protos = 1u << 2},
        {.country = FR},
        {.allow = true, .by_prefix = true, .net = net("2001:db8::/32"), .country = AT},
    };
    static const struct {
        const char *ip;
        uint16_t country;
        uint8_t proto, n;
        bool deny_else, allow_else; /* with fallback false, and true */
    } ROWS[] = {
        {"203.0.113.7", FR, 0, 5, true, true},  {"203.0.113.8", DE, 2, 5, false, false},
        {"192.0.2.1", DE, 2, 5, true, true},    {"192.0.2.1", DE, 1, 5, false, true},
        {"192.0.2.1", FR, 2, 5, false, false},  {"192.0.2.1", 0, 2, 5, false, true},
        {"2001:db8::1", AT, 0, 5, true, true},  {"2001:db8::1", 0, 0, 5, false, true},
        {"2001:db9::1", AT, 0, 5, false, true}, {"203.0.113.8", DE, 2, 1, false, true},
        {"203.0.113.8", DE, 2, 0, false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct addr a = ip(ROWS[i].ip);
        assert_int_equal(access_allows(RULES, ROWS[i].n, false, &a, ROWS[i].country, ROWS[i].proto),
                         ROWS[i].deny_else);
        assert_int_equal(access_allows(RULES, ROWS[i].n, true, &a, ROWS[i].country, ROWS[i].proto),
                         ROWS[i].allow_else);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(countries_by_range),
        cmocka_unit_test(search_is_a_scan),
        cmocka_unit_test(bounds_are_checked),
        cmocka_unit_test(first_rule_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
