#include "base/test.h"
#include "media/suite.h"

/* RFC 4568 6.2, 6188, 7714 14.2: name, and octets of master key and salt. */
static const struct {
    enum srtp_suite suite;
    const char *name;
    size_t bytes;
} SUITES[] = {
    {SUITE_AES_CM_128_80, "AES_CM_128_HMAC_SHA1_80", 16 + 14},
    {SUITE_AES_CM_128_32, "AES_CM_128_HMAC_SHA1_32", 16 + 14},
    {SUITE_AES_256_CM_80, "AES_256_CM_HMAC_SHA1_80", 32 + 14},
    {SUITE_AES_256_CM_32, "AES_256_CM_HMAC_SHA1_32", 32 + 14},
    {SUITE_GCM_128, "AEAD_AES_128_GCM", 16 + 12},
    {SUITE_GCM_256, "AEAD_AES_256_GCM", 32 + 12},
};

static void names(void **state)
{
    static const char *const none[] = {"",
                                       "none",
                                       "AES_CM_128_HMAC_SHA1_8",
                                       "F8_128_HMAC_SHA1_80",
                                       "AES_CM_128_HMAC_SHA1_800",
                                       "AEAD_AES_128_GCM_8",
                                       " "};
    (void)state;
    assert_int_equal(ARRAY_LEN(SUITES), SUITE_COUNT - 1);
    for (size_t i = 0; i < ARRAY_LEN(SUITES); i++) {
        char low[32];
        struct str name = str_c(SUITES[i].name);
        for (size_t k = 0; k < name.n; k++)
            low[k] = ascii_lower(name.p[k]);
        assert_string_equal(srtp_suite_name(SUITES[i].suite), SUITES[i].name);
        assert_int_equal(srtp_key_bytes(SUITES[i].suite), SUITES[i].bytes);
        assert_true(SUITES[i].bytes <= SRTP_KEY_MAX);
        assert_int_equal(suite_by_name(name), SUITES[i].suite);
        assert_int_equal(suite_by_name(str_of(low, name.n)), SUITES[i].suite);
    }
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_int_equal(suite_by_name(str_c(none[i])), SUITE_NONE);
    assert_int_equal(suite_by_name(STR_NONE), SUITE_NONE);
    assert_string_equal(srtp_suite_name(SUITE_NONE), "none");
    assert_string_equal(srtp_suite_name(SUITE_COUNT), "none");
    assert_int_equal(srtp_key_bytes(SUITE_NONE), 0);
    assert_int_equal(srtp_key_bytes(SUITE_COUNT), 0);
}

static void preference(void **state)
{
    enum { N = SUITE_NONE, A = SUITE_AES_CM_128_80, B = SUITE_GCM_256, C = SUITE_AES_CM_128_32 };
    static const struct {
        uint8_t suites[SUITE_COUNT];
        unsigned n;
    } rows[] = {
        {{A}, 1},
        {{A, B}, 2},
        {{A, B, N, C}, 2}, /* what follows the end is no part of it */
        {{A, B, SUITE_COUNT, C}, 2},
        {{SUITE_COUNT, A}, 0},
        {{255, A}, 0},
        {{A, B, C, A, B, C, A}, 7}, /* full, without an end */
    };
    static const enum srtp_suite standard[] = {SUITE_GCM_256,       SUITE_GCM_128,
                                               SUITE_AES_256_CM_80, SUITE_AES_CM_128_80,
                                               SUITE_AES_256_CM_32, SUITE_AES_CM_128_32};
    struct media_policy p = {.plain_allowed = true};
    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(suite_preferred(&p, i),
                         i < ARRAY_LEN(standard) ? standard[i] : SUITE_NONE);
    assert_int_equal(suite_preferred(&p, UINT32_MAX), SUITE_NONE);
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        memcpy(p.suites, rows[r].suites, sizeof p.suites);
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(suite_preferred(&p, i), i < rows[r].n ? rows[r].suites[i] : N);
    }
}

/* Each suite of each stream has its own key, the same each time it is asked for. */
static void own_keys(void **state)
{
    uint8_t seed[2][SUITE_SEED_BYTES] = {{1}, {2}}, key[2 * SUITE_COUNT][SRTP_KEY_MAX] = {{0}};
    uint8_t again[SRTP_KEY_MAX];
    static const uint8_t zeros[8];
    (void)state;
    for (unsigned i = 0; i < 2 * SUITE_COUNT; i++) {
        suite_own_key(seed[i % 2], (enum srtp_suite)(i / 2), key[i]);
        suite_own_key(seed[i % 2], (enum srtp_suite)(i / 2), again);
        assert_memory_equal(key[i], again, sizeof again);
        for (unsigned at = 0; at + 8 <= SRTP_KEY_MAX; at += 8)
            assert_memory_not_equal(key[i] + at, zeros, 8);
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(key[i], key[k], 16);
    }
}

static struct sdes line(const char *suite, const char *key, size_t n)
{
    return (struct sdes){.tag = 1, .suite = str_c(suite), .key = str_of(key, n)};
}

static void take(void **state)
{
    uint8_t raw[SRTP_KEY_MAX + 8], key[SRTP_KEY_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < ARRAY_LEN(SUITES); i++)
        for (size_t n = 0; n <= sizeof raw; n++) {
            char text[128];
            enum srtp_suite s = SUITE_NONE;
            struct sdes c = line(SUITES[i].name, text, base64_encode(raw, n, text));
            memset(key, 0xee, sizeof key);
            enum err e = suite_take(&c, &s, key);
            assert_err(e, n == SUITES[i].bytes ? OK : ERR_SYNTAX);
            assert_int_equal(s, e == OK ? SUITES[i].suite : SUITE_NONE);
            for (size_t k = 0; k < sizeof key; k++)
                assert_int_equal(key[k], e != OK ? 0xee : k < n ? k + 1 : 0);
        }
}

static void not_served(void **state)
{
    static const char K30[] = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNk";
    static const struct {
        const char *suite, *key;
        bool mki, several, odd;
        enum err want;
    } rows[] = {
        {"AES_CM_128_HMAC_SHA1_80", K30, 0, 0, 0, OK},
        {"aes_cm_128_hmac_sha1_32", K30, 0, 0, 0, OK},
        {"F8_128_HMAC_SHA1_80", K30, 0, 0, 0, ERR_UNSUPPORTED},
        {"", K30, 0, 0, 0, ERR_UNSUPPORTED},
        {"AES_CM_128_HMAC_SHA1_80", K30, 1, 0, 0, ERR_UNSUPPORTED},
        {"AES_CM_128_HMAC_SHA1_80", K30, 0, 1, 0, ERR_UNSUPPORTED},
        {"AES_CM_128_HMAC_SHA1_80", K30, 0, 0, 1, ERR_UNSUPPORTED},
        {"AES_CM_128_HMAC_SHA1_80", "", 0, 0, 0, ERR_SYNTAX},
        {"AES_CM_128_HMAC_SHA1_80", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmN!", 0, 0, 0,
         ERR_SYNTAX},
        {"AES_CM_128_HMAC_SHA1_80", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmN", 0, 0, 0, ERR_SYNTAX},
        /* Longer than any key: not cut to one. */
        {"AES_CM_128_HMAC_SHA1_80",
         "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNk", 0, 0,
         0, ERR_SYNTAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sdes c = line(rows[i].suite, rows[i].key, strlen(rows[i].key));
        enum srtp_suite s = SUITE_GCM_256;
        uint8_t key[SRTP_KEY_MAX] = {7};
        c.mki = rows[i].mki;
        c.several_keys = rows[i].several;
        c.odd_params = rows[i].odd;
        assert_err(suite_take(&c, &s, key), rows[i].want);
        assert_int_equal(s == SUITE_GCM_256 && key[0] == 7, rows[i].want != OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(preference), cmocka_unit_test(own_keys),
        cmocka_unit_test(take),  cmocka_unit_test(not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
