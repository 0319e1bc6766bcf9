/* sites and roles: what becomes of them, and every way to write them wrong. */
#include "app/config/config_test.h"
#include "app/config/zone.h"

#define BIT(c) (1u << (c))
#define SITE(more)                                                                                 \
    D "sites: [{name: berlin, country: DE, area: \"30\", timezone: Europe/Berlin" more "}]\n"
#define ROLE(more) D "roles: [{name: user, outbound: yes" more "}]\n"

static void a_site(void **st)
{
    (void)st;
    assert_ok(load(SITE(", hours: [mon-fri 08:00-18:00, \"sat 09:00-24:00\"], "
                        "holidays: [2027-01-01, 2026-12-25]")));
    const struct policy *p = &cfg.policy;
    const struct rights_site *s = &p->sites[0];
    assert_int_equal(p->n_sites, 1);
    assert_int_equal(s->country, 'D' << 8 | 'E');
    assert_true(str_eq(policy_text(p, s->area), STR("30")));
    assert_true(str_eq(policy_text(p, s->international), STR("00")));
    assert_true(str_eq(policy_text(p, s->national), STR("0")));
    assert_int_equal(s->outside.len, 0);
    assert_int_equal(s->n_week, 6);
    assert_int_equal(s->week[0].from, 480);
    assert_int_equal(s->week[4].to, 4 * 1440 + 1080);
    assert_int_equal(s->week[5].to, 6 * 1440);
    assert_int_equal(s->n_holidays, 2);
    assert_int_equal(s->holidays[0], 20819);
    assert_true(s->n_shifts >= 20);
    struct wall summer = {INT64_C(1814400000) * 1000000}; /* 2027-07-01 00:00 UTC, a Thursday */
    assert_false(rights_open(s, summer));
    summer.us += INT64_C(6) * 3600 * 1000000; /* 8:00 in Berlin */
    assert_true(rights_open(s, summer));
    summer.us -= 1;
    assert_false(rights_open(s, summer));
    struct wall newyear = {INT64_C(1798797600) * 1000000}; /* 2027-01-01 10:00 UTC, a Friday */
    assert_false(rights_open(s, newyear));
    newyear.us += INT64_C(3) * 86400 * 1000000;
    assert_true(rights_open(s, newyear));
}

static void shifts_of_zones(void **st)
{
    (void)st;
    struct rights_site s = {0};
    assert_ok(zone_shifts(STR("Europe/Berlin"), OPTS.now, &s));
    assert_int_equal(s.shifts[0].offset_s, 7200 - 3600); /* November of the year before */
    bool spring = false, autumn = false;
    for (unsigned i = 0; i < s.n_shifts; i++) {
        spring |=
            s.shifts[i].from_us == INT64_C(1806195600) * 1000000 && s.shifts[i].offset_s == 7200;
        autumn |=
            s.shifts[i].from_us == INT64_C(1824944400) * 1000000 && s.shifts[i].offset_s == 3600;
    }
    assert_true(spring && autumn);
    assert_ok(rights_site_valid(&s));
    assert_ok(zone_shifts(STR("Asia/Kolkata"), OPTS.now, &s));
    assert_int_equal(s.n_shifts, 1);
    assert_int_equal(s.shifts[0].offset_s, 19800);
    static const char *const BAD[] = {
        "", "Europe/Bonn", "../../../etc/passwd", "/etc/localtime", "Europe", "Europe/Ber lin"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        assert_int_equal(zone_shifts(str_c(BAD[i]), OPTS.now, &s), ERR_SYNTAX);
}

static void roles(void **st)
{
    (void)st;
    const struct policy *p = &cfg.policy;
    struct rights_role untouched;
    struct caps caps, off;
    rights_role_default(&untouched);
    caps_default(&caps, &off);
    assert_ok(load(ROLE("")));
    assert_memory_equal(&p->roles[0].rights, &untouched, sizeof untouched);
    assert_int_equal(p->roles[0].caps.calls, caps.calls);
    assert_int_equal(p->roles[0].off_caps.micro[SPAN_DAY], off.micro[SPAN_DAY]);
    assert_ok(load(D)); /* "user" is made */
    assert_memory_equal(&p->roles[0].rights, &untouched, sizeof untouched);
    assert_ok(load(ROLE(", dial: [internal, international], countries: [at, CH], step_up: "
                        "[premium, new-country], off_hours: [internal], features: [transfer-out, "
                        "anonymous], second_factor: yes, password_days: 90, caps: {calls: 4, "
                        "attempts: 30, longest: 2h, call_money: 12.5, minutes: {day: 300}, money: "
                        "{hour: 5, day: 20.05, month: 0}}, off_caps: {calls: 1}, whole: {calls: "
                        "30}")));
    const struct policy_role *r = &p->roles[0];
    assert_int_equal(r->rights.classes, BIT(CLASS_INTERNAL) | BIT(CLASS_INTERNATIONAL));
    assert_int_equal(r->rights.step_up, BIT(CLASS_PREMIUM));
    assert_true(r->rights.step_up_country && r->rights.second_factor);
    assert_int_equal(r->rights.off_classes, BIT(CLASS_INTERNAL));
    assert_int_equal(r->rights.n_countries, 2);
    assert_int_equal(r->rights.countries[0], 'A' << 8 | 'T');
    assert_int_equal(r->rights.features, FEATURE_TRANSFER_OUT | FEATURE_ANONYMOUS);
    assert_int_equal(r->rights.password_days, 90);
    assert_int_equal(r->caps.calls, 4);
    assert_int_equal(r->caps.attempts_min, 30);
    assert_int_equal(r->caps.call_s, 7200);
    assert_int_equal(r->caps.call_micro, 12500000);
    assert_int_equal(r->caps.seconds[SPAN_DAY], 18000);
    assert_int_equal(r->caps.micro[SPAN_HOUR], 5000000);
    assert_int_equal(r->caps.micro[SPAN_DAY], 20050000);
    assert_int_equal(r->caps.micro[SPAN_MONTH], 0);
    assert_int_equal(r->off_caps.calls, 1);
    assert_int_equal(r->off_caps.call_s, off.call_s); /* what is not named stays */
    assert_int_equal(r->whole.calls, 30);
    assert_int_equal(r->whole.attempts_min, 0);
    assert_ok(load(ROLE(", dial: [local], caps: {calls: 7}, step_up: none")));
    assert_int_equal(r->off_caps.calls, 7);
    assert_int_equal(r->rights.off_classes, BIT(CLASS_LOCAL));
    assert_ok(load(ROLE(", dial: [local], off_hours: [emergency]")));
    assert_int_equal(r->rights.off_classes, BIT(CLASS_EMERGENCY));
    assert_ok(load(ROLE(", dial: [local], caps: {calls: 7}, step_up: none")));
    assert_false(r->rights.step_up_country);
    assert_ok(load(ROLE(", dial: [international], countries: all")));
    assert_int_equal(r->rights.n_countries, RIGHTS_ALL);
}

static void mistakes(void **st)
{
    (void)st;
    static const struct {
        const char *text, *says;
    } ROWS[] = {
        {D "sites: [{name: b}]\n", "f:2:10: error: site: \"country\" is missing"},
        {D "sites: [{name: b, country: XX}]\n", "error: country: \"XX\" is no country"},
        {D "sites: [{name: b, country: DE, area: 3a}]\n", "area: \"3a\": up to 6 digits"},
        {D "sites: [{name: b, country: DE, outside: \"99999\"}]\n", "outside: \"99999\": up to 4"},
        {D "sites: [{name: b, country: DE, timezone: Europe/Bonn}]\n",
         "timezone: \"Europe/Bonn\" is no time zone known here; a name of the time zone database"},
        {D "sites: [{name: b, country: DE, hours: [mon 08:00-18:00]}]\n",
         "hours and holidays need a \"timezone\""},
        {SITE(", hours: [mon 18:00-08:00]"), "are no hours"},
        {SITE(", hours: [fri-mon 08:00-18:00]"), "are no hours"},
        {SITE(", hours: [mon 8:00-18:00]"), "are no hours"},
        {SITE(", hours: [mon 08:00-24:01]"), "are no hours"},
        {SITE(", hours: [monday 08:00-18:00]"), "are no hours"},
        {SITE(", hours: [mon-sun 08:00-12:00, mon-sun 13:00-18:00, mon 19:00-20:00]"),
         "more than 14 spans in a week"},
        {SITE(", holidays: [2027-02-30]"), "holidays: "},
        {SITE(", prefix: 0"), "\"prefix\""},
        {ROLE(", dial: [cheap]"), "dial: \"cheap\" is no class of numbers; internal, emergency"},
        {ROLE(", step_up: [often]"), "step_up: \"often\""},
        {ROLE(", dial: [international]"), "role: international calls need \"countries\""},
        {ROLE(", countries: [AT]"), "countries: the role may not call abroad at all"},
        {ROLE(", dial: [local], off_hours: [premium]"), "off_hours: has classes that are closed"},
        {ROLE(", features: [fly]"), "features: "},
        {ROLE(", caps: {money: {day: 1.2.3}}"), "day: \"1.2.3\" is no amount"},
        {ROLE(", caps: {money: {day: -1}}"), "day: \"-1\" is no amount"},
        {ROLE(", caps: {money: {day: 1.0000001}}"), "is no amount"},
        {ROLE(", caps: {minutes: {week: 1}}"), "\"week\""},
        {ROLE(", caps: {call: 1}"), "did you mean \"calls\"?"},
        {D "roles: [{name: user, dial: [local]}]\n", "\"dial\" has no effect without outbound"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(load(ROWS[i].text), ERR_SYNTAX);
        if (!strstr(said, ROWS[i].says))
            fail_msg("%s\n%s", ROWS[i].text, said);
    }
}

int main(void)
{
    static const struct CMUnitTest t[] = {
        cmocka_unit_test(a_site),
        cmocka_unit_test(shifts_of_zones),
        cmocka_unit_test(roles),
        cmocka_unit_test(mistakes),
    };
    return cmocka_run_group_tests(t, NULL, NULL);
}
