#include "base/test.h"
#include "wire/sdp/sdes.h"

#define KEY "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj" /* the one of RFC 4568 section 9 */

static void good_lines(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint32_t tag;
        uint64_t lifetime;
        bool mki, several, odd;
    } rows[] = {
        {"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY, 1, 0, false, false, false},
        {"999999999 AEAD_AES_256_GCM inline:" KEY "|2^31", 999999999, UINT64_C(1) << 31, false,
         false, false},
        {"2 F8_128_HMAC_SHA1_80 inline:" KEY "|1048576|1:4", 2, 1048576, true, false, false},
        {"2 X inline:" KEY "|1:4", 2, 0, true, false, false},
        {"1 X inline:" KEY "|2^20|1:4;inline:" KEY "|2^20|2:4", 1, 1 << 20, true, true, false},
        {"1 X inline:" KEY " KDR=1", 1, 0, false, false, true},
        {"1 X inline:" KEY " UNENCRYPTED_SRTP", 1, 0, false, false, true},
        {"1 X inline:" KEY " UNAUTHENTICATED_SRTP WSH=64", 1, 0, false, false, true},
        {"1 X inline:" KEY " WSH=64 -future=1", 1, 0, false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sdes c;
        assert_ok(sdes_parse(str_c(rows[i].value), &c));
        assert_int_equal(c.tag, rows[i].tag);
        assert_true(c.lifetime == rows[i].lifetime);
        assert_int_equal(c.mki, rows[i].mki);
        assert_int_equal(c.several_keys, rows[i].several);
        assert_int_equal(c.odd_params, rows[i].odd);
        assert_str(c.key, KEY);
    }
}

static void bad_lines(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "1",
        "1 X",
        "x X inline:" KEY,
        "1000000000 X inline:" KEY,
        "1 X inline:",
        "1 X uri:" KEY,
        "1 X inline:" KEY "|2^49",
        "1 X inline:" KEY "|0",
        "1 X inline:" KEY "|1:1|2^20",
        "1 X inline:" KEY "|2^20|1:1|3",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sdes c;
        if (sdes_parse(str_c(rows[i]), &c) == OK)
            fail_msg("accepted: %s", rows[i]);
    }
    static char big[600];
    memset(big, 'x', sizeof big);
    struct sdes c;
    assert_err(sdes_parse(str_of(big, 513), &c), ERR_LIMIT);
}

static void written_line(void **state)
{
    (void)state;
    uint8_t key[30];
    char text[128];
    size_t n;
    assert_ok(base64_decode(STR(KEY), key, sizeof key, &n));
    struct out o = out_of(text, sizeof text);
    sdes_put(&o, 7, STR("AES_CM_128_HMAC_SHA1_80"), key, n);
    assert_str(out_str(&o), "a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:" KEY "\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lines),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(written_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
