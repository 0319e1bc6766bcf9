#include "app/config/values.h"
#include "base/test.h"

static void seconds(void **state)
{
    static const struct {
        const char *text;
        enum err e;
        uint32_t s;
    } ROWS[] = {
        {"0s", OK, 0},
        {"30s", OK, 30},
        {"5m", OK, 300},
        {"1h", OK, 3600},
        {"2d", OK, 172800},
        {"1h30m", OK, 5400},
        {"1d1h1m1s", OK, 90061},
        {"3660d", OK, 316224000},
        {"3661d", ERR_RANGE, 0},
        {"99999999999s", ERR_SYNTAX, 0},
        {"", ERR_SYNTAX, 0},
        {"30", ERR_SYNTAX, 0},
        {"s", ERR_SYNTAX, 0},
        {"30 s", ERR_SYNTAX, 0},
        {"30m1h", ERR_SYNTAX, 0},
        {"1m1m", ERR_SYNTAX, 0},
        {"-1s", ERR_SYNTAX, 0},
        {"1.5h", ERR_SYNTAX, 0},
        {"30sec", ERR_SYNTAX, 0},
        {"30S", ERR_SYNTAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        uint32_t s = 7;
        assert_err(value_seconds(str_c(ROWS[i].text), &s), ROWS[i].e);
        assert_int_equal(s, ROWS[i].e == OK ? ROWS[i].s : 7);
    }
}

static void dates(void **state)
{
    static const struct {
        const char *text;
        enum err e;
        int64_t end_s;
    } ROWS[] = {
        {"2027-06-30", OK, 1814400000},
        {"2000-01-01", OK, 946771200},
        {"2028-02-29", OK, 1835481600},
        {"2199-12-31", OK, 7258118400},
        {"2027-02-29", ERR_RANGE, 0},
        {"2100-02-29", ERR_RANGE, 0},
        {"2027-13-01", ERR_RANGE, 0},
        {"2027-00-01", ERR_RANGE, 0},
        {"2027-01-00", ERR_RANGE, 0},
        {"2027-04-31", ERR_RANGE, 0},
        {"1999-12-31", ERR_RANGE, 0},
        {"2200-01-01", ERR_RANGE, 0},
        {"2027-6-30", ERR_SYNTAX, 0},
        {"30.06.2027", ERR_SYNTAX, 0},
        {"2027-06-30T0", ERR_SYNTAX, 0},
        {"2027/06/30", ERR_SYNTAX, 0},
        {"", ERR_SYNTAX, 0},
        {"+027-06-30", ERR_SYNTAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct wall w = {7};
        assert_err(value_date(str_c(ROWS[i].text), &w), ROWS[i].e);
        assert_int_equal(w.us, ROWS[i].e == OK ? ROWS[i].end_s * 1000000 : 7);
    }
}

static void date_text_is_the_inverse(void **state)
{
    (void)state;
    for (int64_t day = value_days(2000, 1, 1); day < value_days(2200, 1, 1); day++) {
        char text[VALUE_DATE_TEXT];
        struct wall end;
        value_date_text((struct wall){day * INT64_C(86400000000)}, text);
        assert_ok(value_date(str_c(text), &end));
        assert_int_equal(end.us, (day + 1) * INT64_C(86400000000));
    }
    char text[VALUE_DATE_TEXT];
    value_date_text((struct wall){-1}, text);
    assert_string_equal(text, "1969-12-31");
}

static void ports(void **state)
{
    uint16_t a = 0, b = 0;
    (void)state;
    assert_ok(value_ports(STR("20000-29999"), &a, &b));
    assert_int_equal(a, 20000);
    assert_int_equal(b, 29999);
    assert_ok(value_ports(STR("1024-65535"), &a, &b));
    assert_err(value_ports(STR("1023-65535"), &a, &b), ERR_RANGE);
    assert_err(value_ports(STR("1024-65536"), &a, &b), ERR_RANGE);
    assert_err(value_ports(STR("3000-3000"), &a, &b), ERR_RANGE);
    assert_err(value_ports(STR("3000-2000"), &a, &b), ERR_RANGE);
    assert_err(value_ports(STR("3000"), &a, &b), ERR_SYNTAX);
    assert_err(value_ports(STR("3000-"), &a, &b), ERR_SYNTAX);
    assert_err(value_ports(STR("3000-4000-5000"), &a, &b), ERR_SYNTAX);
    assert_err(value_ports(STR("3000 - 4000"), &a, &b), ERR_SYNTAX);
}

static void hosts(void **state)
{
    char longest[254], label[65];
    (void)state;
    assert_true(value_host(STR("example.com")));
    assert_true(value_host(STR("a-b.c9")));
    assert_true(value_host(STR("localhost")));
    assert_true(value_host(STR("192.0.2.1")));
    assert_true(value_host(STR("2001:db8::1")));
    assert_false(value_host(STR("")));
    assert_false(value_host(STR("a..b")));
    assert_false(value_host(STR(".a")));
    assert_false(value_host(STR("a.")));
    assert_false(value_host(STR("-a.b")));
    assert_false(value_host(STR("a-.b")));
    assert_false(value_host(STR("a_b.c")));
    assert_false(value_host(STR("a b")));
    memset(label, 'x', sizeof label);
    assert_true(value_host(str_of(label, 63)));
    assert_false(value_host(str_of(label, 64)));
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 2 ? '.' : 'x';
    assert_true(value_host(str_of(longest, 253)));
    assert_false(value_host(str_of(longest, 254)));
}

static void texts(void **state)
{
    (void)state;
    assert_int_equal(value_text(STR("")), 0);
    assert_int_equal(value_text(STR("a\tb\r\n")), 5);
    assert_int_equal(
        value_text(STR("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")),
        18);
    assert_int_equal(value_text(STR("a\x1b[")), 1);
    assert_int_equal(value_text(STR("ab\x7f")), 2);
    assert_int_equal(value_text(STR("a\0b")), 1);
    assert_int_equal(value_text(STR("a\x80")), 1);
    assert_int_equal(value_text(STR("a\xc1\xbf")), 1);
    assert_int_equal(value_text(STR("a\xe0\x9f\xbf")), 1);
    assert_int_equal(value_text(STR("a\xed\xa0\x80")), 1);
    assert_int_equal(value_text(STR("a\xf4\x90\x80\x80")), 1);
    assert_int_equal(value_text(STR("a\xf0\xf0")), 1);
    assert_int_equal(value_text(STR("a\xe2\x82")), 1);
}

static void distances(void **state)
{
    (void)state;
    assert_int_equal(value_distance(STR("zones"), STR("zones")), 0);
    assert_int_equal(value_distance(STR("Zones"), STR("zones")), 0);
    assert_int_equal(value_distance(STR("zoness"), STR("zones")), 1);
    assert_int_equal(value_distance(STR("zone"), STR("zones")), 1);
    assert_int_equal(value_distance(STR("tsl"), STR("tls")), 1);
    assert_int_equal(value_distance(STR("kitten"), STR("sitting")), 3);
    assert_int_equal(value_distance(STR(""), STR("abc")), 3);
    assert_int_equal(value_distance(STR("abc"), STR("")), 3);
    assert_int_equal(value_distance(STR("0123456789012345678901234567890123"), STR("a")), 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds),
        cmocka_unit_test(dates),
        cmocka_unit_test(date_text_is_the_inverse),
        cmocka_unit_test(ports),
        cmocka_unit_test(hosts),
        cmocka_unit_test(distances),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
