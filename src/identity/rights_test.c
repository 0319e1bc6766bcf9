#include "base/test.h"
#include "identity/rights.h"

#define ISO(a, b)   ((uint16_t)((a) << 8 | (b)))
#define BIT(c)      ((uint16_t)(1u << (c)))
#define AT(s)       ((struct wall){(int64_t)(s)*1000000})
#define SPRING_2027 INT64_C(1806195600) /* Sunday 2027-03-28 01:00 UTC: Berlin goes to +2 */
#define AUTUMN_2027 INT64_C(1824944400) /* Sunday 2027-10-31 01:00 UTC: back to +1 */
#define MONDAY(d)   ((uint16_t)((d)*1440))

/* Berlin, Monday to Friday 8-18 */
static struct rights_site office(void)
{
    struct rights_site s = {.country = ISO('D', 'E'), .n_shifts = 3};
    s.shifts[0].from_us = AT(AUTUMN_2027 - 364 * 86400).us;
    s.shifts[0].offset_s = 3600;
    s.shifts[1].from_us = AT(SPRING_2027).us;
    s.shifts[1].offset_s = 7200;
    s.shifts[2].from_us = AT(AUTUMN_2027).us;
    s.shifts[2].offset_s = 3600;
    for (unsigned d = 0; d < 5; d++) {
        s.week[s.n_week].from = (uint16_t)(MONDAY(d) + 8 * 60);
        s.week[s.n_week++].to = (uint16_t)(MONDAY(d) + 18 * 60);
    }
    return s;
}

static void hours_over_shifts(void **st)
{
    (void)st;
    struct rights_site s = office();
    assert_ok(rights_site_valid(&s));
    int64_t friday = SPRING_2027 - 2 * 86400 - 3600; /* 0:00 UTC */
    int64_t monday = SPRING_2027 + 86400 - 3600;
    /* 8:00 is 7:00 UTC in winter and 6:00 in summer */
    assert_false(rights_open(&s, AT(friday + 7 * 3600 - 1)));
    assert_true(rights_open(&s, AT(friday + 7 * 3600)));
    assert_true(rights_open(&s, AT(friday + 17 * 3600 - 1)));
    assert_false(rights_open(&s, AT(friday + 17 * 3600)));
    assert_false(rights_open(&s, AT(monday + 6 * 3600 - 1)));
    assert_true(rights_open(&s, AT(monday + 6 * 3600)));
    assert_false(rights_open(&s, AT(monday + 16 * 3600)));
    assert_false(rights_open(&s, AT(SPRING_2027 + 11 * 3600))); /* a Sunday */
    monday = AUTUMN_2027 + 86400 - 3600;
    assert_false(rights_open(&s, AT(monday + 6 * 3600)));
    assert_true(rights_open(&s, AT(monday + 7 * 3600)));
    /* The shift itself: the hour from 2 to 3 exists once, and twice. */
    s.n_week = 1;
    s.week[0].from = (uint16_t)(MONDAY(6) + 120);
    s.week[0].to = (uint16_t)(MONDAY(6) + 180);
    assert_false(rights_open(&s, AT(SPRING_2027)));
    assert_false(rights_open(&s, AT(SPRING_2027 - 1)));
    assert_true(rights_open(&s, AT(AUTUMN_2027 - 1)));
    assert_true(rights_open(&s, AT(AUTUMN_2027)));
    assert_false(rights_open(&s, AT(AUTUMN_2027 + 3600)));
}

static void holidays_by_local_date(void **st)
{
    (void)st;
    struct rights_site s = office();
    s.n_week = 0;
    s.n_holidays = 1;
    s.holidays[0] = (int32_t)((SPRING_2027 + 82800) / 86400); /* Monday the 29th */
    assert_true(rights_open(&s, AT(s.holidays[0] * INT64_C(86400) - 7201)));
    assert_false(rights_open(&s, AT(s.holidays[0] * INT64_C(86400) - 7200)));
    assert_false(rights_open(&s, AT(s.holidays[0] * INT64_C(86400) + 86400 - 7201)));
    assert_true(rights_open(&s, AT(s.holidays[0] * INT64_C(86400) + 86400 - 7200)));
    s.n_shifts = 0;
    s.n_holidays = 0;
    assert_true(rights_open(&s, AT(-5)));
}

#define OPEN_AT  (SPRING_2027 + 86400 + 10 * 3600)
#define NIGHT_AT (SPRING_2027 + 86400 + 22 * 3600)

static enum reason ask(const struct rights_role *r, unsigned kind, uint16_t country, int64_t at)
{
    struct rights_site s = office();
    struct number n = {.kind = (uint8_t)kind, .country = country};
    return rights_call(r, &s, &n, AT(at));
}

static void every_class(void **st)
{
    (void)st;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct rights_role none = {0}, one = {.classes = BIT(c), .off_classes = BIT(c)};
        enum reason shut = c == CLASS_EMERGENCY ? REASON_NONE : REASON_right_class;
        one.n_countries = RIGHTS_ALL;
        assert_int_equal(ask(&none, c, ISO('D', 'E'), OPEN_AT), shut);
        assert_int_equal(ask(&one, c, ISO('D', 'E'), OPEN_AT), REASON_NONE);
        assert_int_equal(ask(&one, c, ISO('D', 'E'), NIGHT_AT), REASON_NONE);
        one.off_classes = 0;
        assert_int_equal(ask(&one, c, ISO('D', 'E'), NIGHT_AT),
                         c == CLASS_EMERGENCY ? REASON_NONE : REASON_right_hours);
        one.classes = (uint16_t)~BIT(c);
        assert_int_equal(ask(&one, c, ISO('D', 'E'), OPEN_AT), shut);
        none.step_up = BIT(c);
        none.off_classes = BIT(c);
        none.n_countries = RIGHTS_ALL;
        assert_int_equal(ask(&none, c, ISO('D', 'E'), NIGHT_AT),
                         c == CLASS_EMERGENCY ? REASON_NONE : REASON_right_step_up);
    }
    struct rights_role all = {.classes = BIT(CLASS_UNKNOWN)};
    assert_int_equal(ask(&all, 200, 0, OPEN_AT), REASON_NONE); /* a wild kind is unknown */
}

static void countries(void **st)
{
    (void)st;
    struct rights_role r = {.classes = BIT(CLASS_INTERNATIONAL) | BIT(CLASS_PREMIUM),
                            .n_countries = 1};
    r.off_classes = r.classes;
    r.countries[0] = ISO('A', 'T');
    assert_int_equal(ask(&r, CLASS_INTERNATIONAL, ISO('A', 'T'), OPEN_AT), REASON_NONE);
    assert_int_equal(ask(&r, CLASS_INTERNATIONAL, ISO('C', 'H'), OPEN_AT), REASON_right_country);
    assert_int_equal(ask(&r, CLASS_INTERNATIONAL, 0, OPEN_AT), REASON_right_country);
    assert_int_equal(ask(&r, CLASS_PREMIUM, ISO('D', 'E'), OPEN_AT), REASON_NONE);
    assert_int_equal(ask(&r, CLASS_PREMIUM, ISO('A', 'T'), OPEN_AT), REASON_NONE);
    assert_int_equal(ask(&r, CLASS_PREMIUM, ISO('C', 'H'), OPEN_AT), REASON_right_country);
    r.classes = BIT(CLASS_PREMIUM);
    assert_int_equal(ask(&r, CLASS_PREMIUM, ISO('A', 'T'), OPEN_AT), REASON_right_class);
}

static void untouched(void **st)
{
    (void)st;
    struct rights_role r;
    rights_role_default(&r);
    assert_ok(rights_role_valid(&r));
    static const uint16_t open = BIT(CLASS_INTERNAL) | BIT(CLASS_EMERGENCY) | BIT(CLASS_LOCAL) |
                                 BIT(CLASS_NATIONAL) | BIT(CLASS_TOLL_FREE) | BIT(CLASS_MOBILE);
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        assert_int_equal(ask(&r, c, ISO('D', 'E'), NIGHT_AT),
                         open >> c & 1 ? REASON_NONE : REASON_right_class);
    struct number n = {.kind = CLASS_LOCAL};
    assert_int_equal(rights_call(&r, NULL, &n, AT(0)), REASON_NONE);
    assert_int_equal(r.features, 0);
}

static void bounds(void **st)
{
    (void)st;
    struct rights_role r = {.n_countries = RIGHTS_COUNTRIES};
    assert_ok(rights_role_valid(&r));
    r.n_countries++;
    assert_int_equal(rights_role_valid(&r), ERR_RANGE);
    r.n_countries = RIGHTS_ALL;
    assert_ok(rights_role_valid(&r));
    r.off_classes = BIT(CLASS_COUNT);
    assert_int_equal(rights_role_valid(&r), ERR_RANGE);
    struct rights_site s = office();
    s.week[1].to = s.week[1].from;
    assert_int_equal(rights_site_valid(&s), ERR_RANGE);
    s = office();
    s.week[4].to = 10080;
    assert_ok(rights_site_valid(&s));
    s.week[4].to = 10081;
    assert_int_equal(rights_site_valid(&s), ERR_RANGE);
    s = office();
    s.shifts[1].from_us = s.shifts[0].from_us;
    assert_int_equal(rights_site_valid(&s), ERR_RANGE);
    s = office();
    s.shifts[1].offset_s = 86401;
    assert_int_equal(rights_site_valid(&s), ERR_RANGE);
    s = office();
    s.n_week = RIGHTS_WEEK + 1;
    assert_int_equal(rights_site_valid(&s), ERR_RANGE);
    s = office();
    s.n_holidays = RIGHTS_HOLIDAYS + 1;
    assert_int_equal(rights_site_valid(&s), ERR_RANGE);
    s = office();
    s.n_shifts = RIGHTS_ZONE_SHIFTS + 1;
    assert_int_equal(rights_site_valid(&s), ERR_RANGE);
}

static void other_countries(void **st)
{
    (void)st;
    const struct rights_site s = office(), nowhere = {0};
    static const struct {
        uint8_t kind, n;
        uint16_t country, from_berlin, from_nowhere;
    } row[] = {
        {CLASS_INTERNATIONAL, 9, ISO('A', 'T'), ISO('A', 'T'), ISO('A', 'T')},
        {CLASS_PREMIUM, 9, ISO('A', 'T'), ISO('A', 'T'), ISO('A', 'T')},
        {CLASS_SHARED_COST, 9, ISO('A', 'T'), ISO('A', 'T'), ISO('A', 'T')},
        {CLASS_PREMIUM, 9, ISO('D', 'E'), 0, ISO('D', 'E')},
        {CLASS_PREMIUM, 0, ISO('D', 'E'), 0, ISO('D', 'E')}, /* a short one */
        {CLASS_UNKNOWN, 9, ISO('D', 'E'), 0, ISO('D', 'E')},
        {CLASS_UNKNOWN, 9, ISO('U', 'S'), ISO('U', 'S'), ISO('U', 'S')},
        {CLASS_UNKNOWN, 9, 0, RIGHTS_NO_COUNTRY, RIGHTS_NO_COUNTRY},
        {CLASS_UNKNOWN, 0, 0, 0, 0}, /* digits that no plan makes a number */
        {CLASS_SATELLITE, 9, 0, RIGHTS_NO_COUNTRY, RIGHTS_NO_COUNTRY},
        {CLASS_PREMIUM, 9, 0, RIGHTS_NO_COUNTRY, RIGHTS_NO_COUNTRY}, /* 979 */
        {CLASS_TOLL_FREE, 9, 0, 0, 0},
        {CLASS_TOLL_FREE, 9, ISO('U', 'S'), 0, 0},
        {CLASS_LOCAL, 9, ISO('D', 'E'), 0, 0},
        {CLASS_NATIONAL, 9, ISO('D', 'E'), 0, 0},
        {CLASS_MOBILE, 9, ISO('D', 'E'), 0, 0},
        {CLASS_INTERNAL, 0, 0, 0, 0},
        {CLASS_EMERGENCY, 0, 0, 0, 0},
        {CLASS_EMERGENCY, 9, ISO('A', 'T'), 0, 0},
        {CLASS_COUNT, 9, ISO('A', 'T'), 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct number to = {.kind = row[i].kind, .n = row[i].n, .country = row[i].country};
        if (rights_abroad(&s, &to) != row[i].from_berlin ||
            rights_abroad(NULL, &to) != row[i].from_nowhere ||
            rights_abroad(&nowhere, &to) != row[i].from_nowhere)
            fail_msg("row %zu", i);
    }
}

int main(void)
{
    static const struct CMUnitTest t[] = {
        cmocka_unit_test(other_countries),
        cmocka_unit_test(hours_over_shifts),
        cmocka_unit_test(holidays_by_local_date),
        cmocka_unit_test(every_class),
        cmocka_unit_test(countries),
        cmocka_unit_test(untouched),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(t, NULL, NULL);
}
