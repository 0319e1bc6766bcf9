#include "app/vault/otp.h"
#include "base/test.h"

static const struct sipkey key = {1, 2};
static struct otps o;
static struct now at;

static struct otp_seed seed(char c)
{
    struct otp_seed s = {.alg = OTP_SHA1, .digits = 6, .n = 20};
    memset(s.seed, c, s.n);
    return s;
}

static int fresh(void **state)
{
    (void)state;
    struct otp_seed dummy = seed('d');
    otps_init(&o, &key, &dummy);
    at = (struct now){{INT64_C(1000000000)}, {INT64_C(1800000000000000)}};
    return 0;
}

static int done(void **state)
{
    (void)state;
    otps_done(&o);
    return 0;
}

static enum otp_verdict try_of(const char *who, const struct otp_seed *s, int step)
{
    char code[OTP_DIGITS_MAX + 1];
    uint64_t now = (uint64_t)(at.wall.us / 1000000) / OTP_STEP_S;
    assert_ok(otp_code(s, (uint64_t)((int64_t)now + step), code));
    return otps_check(&o, str_c(who), str_c(code), at);
}

static void each_step_once(void **state)
{
    (void)state;
    struct otp_seed a = seed('a');
    assert_ok(otps_put(&o, STR("alice@example.com"), &a, at.wall, 0));
    assert_int_equal(try_of("alice@example.com", &a, 0), OTP_RIGHT);
    assert_true(o.changed);
    assert_int_equal(try_of("alice@example.com", &a, 0), OTP_WRONG);
    assert_int_equal(try_of("alice@example.com", &a, -1), OTP_WRONG); /* older than a used one */
    assert_int_equal(try_of("alice@example.com", &a, 1), OTP_RIGHT);
}

/* Known and unknown: the same answers after the same number of tries. */
static void five_tries_whoever_it_is(void **state)
{
    (void)state;
    struct otp_seed a = seed('a');
    assert_ok(otps_put(&o, STR("alice@example.com"), &a, at.wall, 0));
    static const char *const who[] = {"alice@example.com", "nobody@example.com"};
    for (int w = 0; w < 2; w++) {
        for (int i = 0; i < OTP_TRIES; i++)
            assert_int_equal(otps_check(&o, str_c(who[w]), STR("00000x"), at), OTP_WRONG);
        assert_int_equal(otps_check(&o, str_c(who[w]), STR("00000x"), at), OTP_LIMITED);
    }
    assert_int_equal(try_of("alice@example.com", &a, 0), OTP_LIMITED);
    at.mono.us += (int64_t)OTP_REFILL_S * 1000000;
    assert_int_equal(try_of("alice@example.com", &a, 0), OTP_RIGHT);
    struct otp_seed dummy = seed('d'); /* the dummy's own code opens nothing */
    assert_int_equal(try_of("nobody@example.com", &dummy, 0), OTP_WRONG);
}

static void file_there_and_back(void **state)
{
    (void)state;
    static char text[65536];
    struct otp_seed s = seed('a');
    char who[32];
    for (int i = 0; i < 200; i++) {
        (void)snprintf(who, sizeof who, "u%d@example.com", i);
        assert_ok(otps_put(&o, str_c(who), &s, at.wall, (uint64_t)i));
    }
    assert_true(otps_del(&o, STR("u7@example.com")));
    assert_false(otps_del(&o, STR("u7@example.com")));
    struct out out = out_of(text, sizeof text);
    assert_true(otps_bytes(&o) <= sizeof text);
    assert_ok(otps_print(&o, &out));
    uint32_t line;
    const char *why;
    struct str file = out_str(&out);
    done(NULL);
    fresh(NULL);
    assert_ok(otps_parse(&o, file, &line, &why));
    assert_int_equal(o.n, 199);
    assert_null(otps_find(&o, STR("u7@example.com")));
    assert_int_equal(otps_find(&o, STR("u199@example.com"))->used, 199);
    text[100]++;
    done(NULL);
    fresh(NULL);
    assert_err(otps_parse(&o, file, &line, &why), ERR_SYNTAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
    const struct CMUnitTest tests[] = {T(each_step_once), T(five_tries_whoever_it_is),
                                       T(file_there_and_back)};
    assert_ok(otp_init());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
