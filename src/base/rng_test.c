#include "base/rng.h"
#include "base/test.h"

static void block_is(const char *key, uint32_t counter, const char *nonce, const char *want)
{
    uint8_t k[32], n[12], got[64], w[64];
    assert_ok(hex_decode(str_c(key), k, 32));
    assert_ok(hex_decode(str_c(nonce), n, 12));
    assert_ok(hex_decode(str_c(want), w, 64));
    chacha20_block(k, counter, n, got);
    assert_memory_equal(got, w, 64);
}

static void chacha_vectors(void **state)
{
    (void)state;
    /* RFC 8439 section 2.3.2 and appendix A.1 number 1 */
    block_is("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1,
             "000000090000004a00000000",
             "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
             "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e");
    block_is("0000000000000000000000000000000000000000000000000000000000000000", 0,
             "000000000000000000000000",
             "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
             "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
}

static void stream(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {1, 2, 3}, nonce[12];
    uint8_t block[64], a[1000], b[1000];
    struct rng r, q;
    rng_init(&r, seed);
    rng_init(&q, seed);
    rng_bytes(&r, a, sizeof a);
    for (size_t i = 0; i < sizeof b; i += 8) /* cut up otherwise, the bytes are the same */
        rng_bytes(&q, b + i, 8);
    assert_memory_equal(a, b, sizeof a);
    chacha20_block(seed, 0, nonce, block); /* the first half became the key, the second is given */
    assert_memory_equal(a, block + 32, 32);
    assert_memory_not_equal(a, a + 224, 32); /* another key after the refill */
}

static void erases(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {9};
    uint8_t given[64];
    struct rng r;
    rng_init(&r, seed);
    rng_bytes(&r, given, sizeof given);
    assert_null(memmem(&r, sizeof r, given, 8));
    assert_null(memmem(&r, sizeof r, seed, sizeof seed));
    rng_bytes(&r, given, 0);
    assert_int_equal(r.left, 160);
}

static void below(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {3};
    struct rng r;
    uint32_t hits[6] = {0};
    rng_init(&r, seed);
    for (int i = 0; i < 60000; i++)
        hits[rng_below(&r, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(hits[i], 9600, 10400); /* four standard deviations are 365 */
    for (int i = 0; i < 100; i++)
        assert_int_equal(rng_below(&r, 1), 0);
    bool high = false;
    for (int i = 0; i < 100; i++) {
        uint32_t v = rng_below(&r, 0x80000001u);
        assert_true(v <= 0x80000000u);
        high |= v > 0x40000000u;
    }
    assert_true(high);
    assert_int_not_equal(rng_u64(&r), rng_u64(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chacha_vectors), cmocka_unit_test(stream),
                                       cmocka_unit_test(erases), cmocka_unit_test(below)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
