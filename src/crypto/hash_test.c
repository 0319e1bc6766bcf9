#include "base/test.h"
#include "crypto/hash.h"

static void assert_digest(const uint8_t *got, size_t n, const char *want)
{
    char text[2 * HASH_MAX];
    hex_encode(got, n, text);
    assert_str_eq(str_of(text, 2 * n), str_c(want));
}

/* "abc": RFC 1321, FIPS 180-4 examples. */
static void digests_of_abc(void **state)
{
    (void)state;
    static const struct {
        enum hash_alg alg;
        const char *want;
    } rows[] = {
        {HASH_MD5, "900150983cd24fb0d6963f7d28e17f72"},
        {HASH_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {HASH_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {HASH_SHA512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"},
        {HASH_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                      "8086072ba1e7cc2358baeca134c825a7"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t whole[HASH_MAX], parts[HASH_MAX];
        struct str abc = STR("abc"), cut[4] = {STR("a"), STR_NONE, STR("b"), STR("c")};
        assert_ok(hash_parts(rows[i].alg, &abc, 1, whole));
        assert_digest(whole, hash_bytes(rows[i].alg), rows[i].want);
        assert_ok(hash_parts(rows[i].alg, cut, 4, parts));
        assert_memory_equal(whole, parts, hash_bytes(rows[i].alg));
    }
    uint8_t none[HASH_MAX];
    assert_err(hash_parts(HASH_COUNT, NULL, 0, none), ERR_SYSTEM);
    assert_ok(hash_parts(HASH_MD5, NULL, 0, none));
    assert_digest(none, 16, "d41d8cd98f00b204e9800998ecf8427e");
}

/* RFC 2202 and RFC 4231: test cases 2, and the key longer than a block. */
static void keyed(void **state)
{
    (void)state;
    uint8_t tag[HASH_MAX], key[131];
    memset(key, 0xaa, sizeof key);
    struct str jefe = STR("Jefe"), text = STR("what do ya want for nothing?");
    assert_ok(hmac_bytes(HASH_MD5, jefe, text, tag));
    assert_digest(tag, 16, "750c783e6ab0b503eaa86e310a5db738");
    assert_ok(hmac_bytes(HASH_SHA1, jefe, text, tag));
    assert_digest(tag, 20, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_ok(hmac_bytes(HASH_SHA256, jefe, text, tag));
    assert_digest(tag, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_ok(hmac_bytes(HASH_SHA384, jefe, text, tag));
    assert_digest(tag, 48,
                  "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                  "8e2240ca5e69e2c78b3239ecfab21649");
    struct str longer = str_of((const char *)key, sizeof key);
    assert_ok(hmac_bytes(HASH_SHA256, longer,
                         STR("Test Using Larger Than Block-Size Key - Hash Key First"), tag));
    assert_digest(tag, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_err(hmac_bytes(HASH_COUNT, jefe, text, tag), ERR_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_of_abc),
        cmocka_unit_test(keyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
