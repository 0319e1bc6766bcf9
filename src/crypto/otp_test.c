#include "base/test.h"
#include "crypto/otp.h"
#include <stdlib.h>

static struct otp_seed seed_of(const char *text, enum otp_alg alg, uint8_t digits)
{
    struct otp_seed s = {.alg = (uint8_t)alg, .digits = digits, .n = (uint8_t)strlen(text)};
    memcpy(s.seed, text, strlen(text));
    return s;
}

static size_t corpus(char *ret, size_t cap)
{
    char path[512];
    const char *env = getenv("RINGWALL_CORPUS");
    (void)snprintf(path, sizeof path, "%s/crypto-vectors/otp.json",
                   env ? env : SOURCE_ROOT "/../shared/corpus");
    FILE *f = fopen(path, "r");
    if (!f) {
        print_message("corpus is not there: crypto-vectors/otp.json\n");
        skip();
    }
    size_t n = fread(ret, 1, cap - 1, f);
    (void)fclose(f);
    ret[n] = '\0';
    return n;
}

/* The rows {"time": T, "SHA1": "...", "SHA256": "..."} of the file. */
static void rfc_6238_appendix_b(void **state)
{
    (void)state;
    static char text[8192];
    (void)corpus(text, sizeof text);
    struct otp_seed sha1 = seed_of("12345678901234567890", OTP_SHA1, 8),
                    sha256 = seed_of("12345678901234567890123456789012", OTP_SHA256, 8);
    int rows = 0;
    for (char *p = strstr(text, "\"time\":"); p; p = strstr(p + 1, "\"time\":"), rows++) {
        unsigned long long t = strtoull(p + 7, NULL, 10);
        char code[OTP_DIGITS_MAX + 1];
        const char *a = strstr(strstr(p, "\"SHA1\":") + 7, "\"") + 1;
        const char *b = strstr(strstr(p, "\"SHA256\":") + 9, "\"") + 1;
        assert_ok(otp_code(&sha1, t / OTP_STEP_S, code));
        assert_memory_equal(code, a, 8);
        assert_ok(otp_code(&sha256, t / OTP_STEP_S, code));
        assert_memory_equal(code, b, 8);
    }
    assert_int_equal(rows, 6);
}

static void the_window_is_one_step_each_way(void **state)
{
    (void)state;
    struct otp_seed s = seed_of("12345678901234567890", OTP_SHA1, 6);
    char code[OTP_DIGITS_MAX + 1];
    uint64_t step = 1000000;
    assert_ok(otp_code(&s, step, code));
    for (int at = -3; at <= 3; at++) {
        struct wall now = {((int64_t)step + at) * OTP_STEP_S * 1000000};
        uint64_t want = at >= -1 && at <= 1 ? step : 0;
        assert_int_equal(otp_check(&s, str_c(code), now, 0), want);
    }
    struct wall now = {(int64_t)step * OTP_STEP_S * 1000000};
    assert_int_equal(otp_check(&s, str_c(code), now, step - 1), step);
    assert_int_equal(otp_check(&s, str_c(code), now, step), 0); /* used */
    assert_int_equal(otp_check(&s, str_of(code, 5), now, 0), 0);
    assert_int_equal(otp_check(&s, STR(""), now, 0), 0);
    assert_int_equal(otp_check(&s, STR("123456789"), now, 0), 0);
    code[5] = code[5] == '9' ? '0' : (char)(code[5] + 1);
    assert_int_equal(otp_check(&s, str_c(code), now, 0), 0);
}

static void what_cannot_be_a_seed(void **state)
{
    (void)state;
    char code[OTP_DIGITS_MAX + 1];
    struct otp_seed s = seed_of("12345678901234567890", OTP_SHA1, 5);
    assert_err(otp_code(&s, 1, code), ERR_RANGE);
    s.digits = 9;
    assert_err(otp_code(&s, 1, code), ERR_RANGE);
    s.digits = 6;
    s.n = 15;
    assert_err(otp_code(&s, 1, code), ERR_RANGE);
    s.n = 20;
    s.alg = OTP_ALGS;
    assert_err(otp_code(&s, 1, code), ERR_RANGE);
}

static void uri_for_phones(void **state)
{
    (void)state;
    char text[512];
    struct out o = out_of(text, sizeof text);
    struct otp_seed s = seed_of("12345678901234567890", OTP_SHA1, 6);
    otp_uri(&s, STR("Ring wall"), STR("alice@example.com"), &o);
    assert_str(out_str(&o), "otpauth://totp/Ring%20wall:alice%40example.com?secret="
                            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Ring%20wall"
                            "&algorithm=SHA1&digits=6&period=30");
    o = out_of(text, sizeof text);
    otp_base32((const uint8_t *)"foob", 4, &o); /* RFC 4648 section 10 */
    assert_str(out_str(&o), "MZXW6YQ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_6238_appendix_b), cmocka_unit_test(the_window_is_one_step_each_way),
        cmocka_unit_test(what_cannot_be_a_seed), cmocka_unit_test(uri_for_phones)};
    assert_ok(otp_init());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
