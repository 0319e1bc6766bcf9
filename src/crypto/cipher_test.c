#include "base/test.h"
#include "crypto/cipher.h"

/* Keystreams of RFC 3711 and 6188 and packets of RFC 7714 are tested in media/srtp. */
static void keystream_is_one_stream_for_every_length(void **state)
{
    (void)state;
    static const uint8_t key[32] = "thirty-two octets of a test key";
    static const size_t sizes[] = {16, 24, 32};
    uint8_t iv[16] = {1, 2, 3}, whole[700], part[700];
    iv[15] = 0xfe; /* the counter carries within the first blocks */
    for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
        struct aes_ctr *c = aes_ctr_new(key, sizes[k]);
        assert_non_null(c);
        memset(whole, 0, sizeof whole);
        assert_ok(aes_ctr_xor(c, iv, whole, sizeof whole));
        for (size_t n = 0; n <= sizeof part; n += 7) {
            memset(part, 0, sizeof part);
            assert_ok(aes_ctr_xor(c, iv, part, n));
            assert_memory_equal(part, whole, n);
            for (size_t i = n; i < sizeof part; i++)
                assert_int_equal(part[i], 0);
        }
        assert_ok(aes_ctr_xor(c, iv, whole, sizeof whole));
        for (size_t i = 0; i < sizeof whole; i++)
            assert_int_equal(whole[i], 0);
        aes_ctr_free(c);
    }
    assert_null(aes_ctr_new(key, 17));
    assert_null(aes_gcm_new(key, 24, true));
    aes_ctr_free(NULL);
    aes_gcm_free(NULL);
}

/* Test cases 3 and 4 of the GCM specification (McGrew, Viega 2005). */
static void gcm_vectors_and_flips(void **state)
{
    (void)state;
    uint8_t key[16], iv[GCM_IV], aad[20], p[64], want[64], tag[GCM_TAG], good[GCM_TAG];
    assert_ok(hex_decode(STR("feffe9928665731c6d6a8f9467308308"), key, sizeof key));
    assert_ok(hex_decode(STR("cafebabefacedbaddecaf888"), iv, sizeof iv));
    assert_ok(hex_decode(STR("feedfacedeadbeeffeedfacedeadbeefabaddad2"), aad, sizeof aad));
    assert_ok(hex_decode(STR("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                             "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"),
                         p, sizeof p));
    assert_ok(hex_decode(STR("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                             "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"),
                         want, sizeof want));
    struct aes_gcm *c = aes_gcm_new(key, sizeof key, true);
    assert_non_null(c);
    struct gcm_in none = {.iv = iv};
    assert_ok(aes_gcm_seal(c, &none, p, 64, tag));
    assert_memory_equal(p, want, 64);
    assert_ok(hex_decode(STR("4d5c2af327cd64a62cf35abd2ba6fab4"), good, sizeof good));
    assert_memory_equal(tag, good, sizeof tag);
    assert_ok(aes_gcm_open(c, &none, p, 64, tag));
    struct gcm_in in = {.iv = iv, .aad = aad, .aad_n = 12, .aad2 = aad + 12, .aad2_n = 8};
    assert_ok(aes_gcm_seal(c, &in, p, 60, tag));
    assert_ok(hex_decode(STR("5bc94fbc3221a5db94fae95ae7121a47"), good, sizeof good));
    assert_memory_equal(tag, good, sizeof tag);
    for (unsigned bit = 0; bit < 128; bit++) {
        uint8_t copy[64];
        memcpy(copy, p, sizeof copy);
        tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_err(aes_gcm_open(c, &in, copy, 60, tag), ERR_AUTH);
        tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    aad[19] ^= 1;
    uint8_t copy[64];
    memcpy(copy, p, sizeof copy);
    assert_err(aes_gcm_open(c, &in, copy, 60, tag), ERR_AUTH);
    aad[19] ^= 1;
    assert_ok(aes_gcm_open(c, &in, p, 60, tag));
    aes_gcm_free(c);
}

static void memory_comes_zeroed(void **state)
{
    (void)state;
    uint8_t *p = crypto_zalloc(100);
    assert_non_null(p);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    crypto_free(p, 100);
    crypto_free(NULL, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keystream_is_one_stream_for_every_length),
        cmocka_unit_test(gcm_vectors_and_flips),
        cmocka_unit_test(memory_comes_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
