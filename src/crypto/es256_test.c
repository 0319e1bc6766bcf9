#include "base/test.h"

#include "crypto/es256.h"
#include "crypto/openssl.h"

/* The key of RFC 6979 A.2.5. */
#define X "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
#define Y "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define N                                                                                          \
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551" /* order of the curve */
#define P    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff" /* its field */
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"

static const struct {
    const char *text, *sig;
} SIGNED[] = {
    /* RFC 6979 A.2.5, SHA-256. */
    {"sample", "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
               "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
    {"test", "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
             "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"},
    /* The same key with small nonces: numbers that are shorter in DER than in JOSE. */
    {"short r", "00f909ebbc5335e5e9dfea6672f753e90db9e56dd1f0c6cae42c928710b141a2"
                "e61069c140bb75fb7384aae6ae289011c3e44f1bd9a6d481dd0ac33db4d6124e"},
    {"short s", "f57d4a680c2e97a6fd2e290ae440fc2c503cbb26f751f00a20974a2553c6981a"
                "00087fd2cf046707b296cd282fb3b618de05ab57d3a6688ce4df18404057082e"},
    {"", "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
         "3cdfbb552e08d0da51c1f6ccbf0236277df8962e75dd8bc74eaf1081ad3441d7"},
};

static void bytes(const char *hex, uint8_t *ret, size_t n)
{
    assert_ok(hex_decode(str_c(hex), ret, n));
}

static enum err verify(const char *key, struct str text, const char *sig)
{
    uint8_t k[ES256_KEY], s[ES256_SIG];
    bytes(key, k, sizeof k);
    bytes(sig, s, sizeof s);
    enum err e = es256_verify(k, text, s);
    assert_int_equal(ERR_peek_error(), 0); /* nothing left for whoever asks libcrypto next */
    return e;
}

static void vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SIGNED); i++) {
        assert_ok(verify("04" X Y, str_c(SIGNED[i].text), SIGNED[i].sig));
        for (size_t j = 0; j < ARRAY_LEN(SIGNED); j++)
            if (i != j)
                assert_err(verify("04" X Y, str_c(SIGNED[j].text), SIGNED[i].sig), ERR_AUTH);
    }
    assert_ok(verify("04" X Y, STR_NONE, SIGNED[4].sig));
    assert_err(verify("04" X Y, STR_NONE, SIGNED[0].sig), ERR_AUTH);
    /* Bytes, not a C string. */
    assert_err(verify("04" X Y, STR("sample\0"), SIGNED[0].sig), ERR_AUTH);
    assert_err(verify("04" X Y, STR("\0"), SIGNED[4].sig), ERR_AUTH);
    assert_err(verify("04" X Y, STR("sampl"), SIGNED[0].sig), ERR_AUTH);
}

/* One bit anywhere in the signature, the text or the key. */
static void one_bit(void **state)
{
    uint8_t key[ES256_KEY], sig[ES256_SIG];
    char text[] = "sample";
    struct str t = str_of(text, sizeof text - 1);
    (void)state;
    bytes("04" X Y, key, sizeof key);
    bytes(SIGNED[0].sig, sig, sizeof sig);
    for (size_t i = 0; i < sizeof sig; i++) {
        sig[i] ^= (uint8_t)(1u << i % 8);
        assert_err(es256_verify(key, t, sig), ERR_AUTH);
        sig[i] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t i = 0; i < t.n; i++) {
        text[i] ^= 1;
        assert_err(es256_verify(key, t, sig), ERR_AUTH);
        text[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof key; i++) { /* off the curve, or another form of point */
        key[i] ^= (uint8_t)(1u << i % 8);
        assert_err(es256_verify(key, t, sig), ERR_SYNTAX);
        key[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_ok(es256_verify(key, t, sig));
}

static void no_signature(void **state)
{
    static const char *const rows[] = {
        ZERO ZERO,
        ZERO "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" ZERO,
        N N,
        N "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" N,
        /* s and r, the wrong way round */
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t j = 0; j < ARRAY_LEN(SIGNED); j++)
            assert_err(verify("04" X Y, str_c(SIGNED[j].text), rows[i]), ERR_AUTH);
}

static void keys(void **state)
{
    static const struct {
        const char *key;
        enum err want;
    } rows[] = {
        {"04" X Y, OK},
        /* The other point with that x, and the generator: keys, but not this one. */
        {"04" X "86fc01eef74743675be51616a9d7439b0d0e4df4d28160ae885c3d6b2bb9dd66", ERR_AUTH},
        {"046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
         "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
         ERR_AUTH},
        {"04" Y X, ERR_SYNTAX},       /* not on the curve */
        {"04" ZERO ZERO, ERR_SYNTAX}, /* nor is this */
        {"00" ZERO ZERO, ERR_SYNTAX}, /* infinity, with bytes behind it */
        {"00" X Y, ERR_SYNTAX},
        {"02" X Y, ERR_SYNTAX}, /* compressed, */
        {"03" X Y, ERR_SYNTAX},
        {"06" X Y, ERR_SYNTAX}, /* hybrid, */
        {"07" X Y, ERR_SYNTAX}, /* which libcrypto would take */
        {"05" X Y, ERR_SYNTAX},
        {"84" X Y, ERR_SYNTAX},
        {"04" P Y, ERR_SYNTAX}, /* not in the field */
        {"04" P P, ERR_SYNTAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_err(verify(rows[i].key, STR("sample"), SIGNED[0].sig), rows[i].want);
}

/* What another caller left in libcrypto's queue is no verdict here. */
static void stale_errors(void **state)
{
    (void)state;
    ERR_raise(ERR_LIB_USER, 1);
    assert_ok(verify("04" X Y, STR("sample"), SIGNED[0].sig));
    ERR_raise(ERR_LIB_USER, 1);
    assert_err(verify("02" X Y, STR("sample"), SIGNED[0].sig), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors), cmocka_unit_test(one_bit),      cmocka_unit_test(no_signature),
        cmocka_unit_test(keys),    cmocka_unit_test(stale_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
