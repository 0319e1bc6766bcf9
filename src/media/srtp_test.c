#include "base/test.h"
#include "crypto/cipher.h"
#include "media/srtp.h"
#include "wire/rtp/rtp.h"

static size_t hex(const char *text, uint8_t *ret)
{
    size_t n = 0;
    for (int high = -1; *text != 0; text++) {
        int v = hex_nibble(*text);
        if (v < 0)
            continue;
        if (high < 0) {
            high = v;
        } else {
            ret[n++] = (uint8_t)(high << 4 | v);
            high = -1;
        }
    }
    return n;
}

static void assert_hex(const uint8_t *got, size_t n, const char *want)
{
    uint8_t bytes[256];
    assert_int_equal(hex(want, bytes), n);
    assert_memory_equal(got, bytes, n);
}

/* RFC 3711 B.2, RFC 6188 section 7 */
static void keystreams(void **state)
{
    (void)state;
    static const struct {
        const char *key, *counter, *want;
    } rows[] = {
        {"2B7E151628AED2A6ABF7158809CF4F3C", "0000",
         "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB"
         "41E95B3BB0A2E8DD477901E4FCA894C0"},
        {"2B7E151628AED2A6ABF7158809CF4F3C", "FEFF",
         "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE"
         "6A2CC3787889374FBEB4C81B17BA6C44"},
        {"EAB234764E517B2D3D160D587D8C86219740F65F99B6BCF7", "0000",
         "35096CBA4610028DC1B57503804CE37C 5DE986291DCCE161D5165EC4568F5C9A"},
        {"57F82FE3613FD170A85EC93C40B1F0922EC4CB0DC025B58272147CC438944A98", "0000",
         "92BDD28A93C3F52511C677D08B5515A4 9DA71B2378A854F67050756DED165BAC"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t key[32], iv[16], p[64] = {0};
        size_t n = hex(rows[i].key, key);
        hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD", iv);
        hex(rows[i].counter, iv + 14);
        struct aes_ctr *c = aes_ctr_new(key, n);
        assert_non_null(c);
        uint8_t want[64];
        n = hex(rows[i].want, want);
        assert_ok(aes_ctr_xor(c, iv, p, n));
        assert_memory_equal(p, want, n);
        aes_ctr_free(c);
    }
}

/* RFC 3711 B.3: the authentication key of the RFC is longer; ours is its first 20 octets. */
static void key_derivation(void **state)
{
    (void)state;
    uint8_t master[SRTP_KEY_MAX];
    struct srtp_session rtp, rtcp;
    hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6", master);
    assert_ok(srtp_derive(SUITE_AES_CM_128_80, master, &rtp, &rtcp));
    assert_hex(rtp.key, 16, "C61E7A93744F39EE10734AFE3FF7A087");
    assert_hex(rtp.salt, 14, "30CBBC08863D8C85D49DB34A9AE1");
    assert_hex(rtp.auth, 20, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
    assert_memory_not_equal(rtcp.key, rtp.key, 16);
}

#define GALLIA                                                                                     \
    "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070"    \
    "61727465 73207472 6573"
#define REPORT                                                                                     \
    "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef"    \
    "deadbeef deadbeef deadbeef"

static struct srtp *gcm_of_rfc7714(enum srtp_suite suite)
{
    struct srtp_session k = {0};
    for (unsigned i = 0; i < 32; i++)
        k.key[i] = (uint8_t)i;
    memcpy(k.salt, "Quid pro quo", 12);
    struct srtp *s = srtp_new_session(suite, &k, &k);
    assert_non_null(s);
    return s;
}

/* RFC 7714 sections 16.1.1, 16.1.2, 16.2.1, 17.1, 17.2 */
static void gcm_packets(void **state)
{
    (void)state;
    static const struct {
        enum srtp_suite suite;
        const char *rtp, *rtcp;
    } rows[] = {
        {SUITE_GCM_128,
         "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a"
         "51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
         "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda"
         "4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4"},
        {SUITE_GCM_256,
         "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02"
         "76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
         "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be"
         "8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t p[128];
        struct srtp *tx = gcm_of_rfc7714(rows[i].suite), *rx = gcm_of_rfc7714(rows[i].suite);
        size_t n = hex(GALLIA, p);
        assert_ok(srtp_protect(tx, p, &n, sizeof p));
        assert_hex(p, n, rows[i].rtp);
        assert_ok(srtp_unprotect(rx, p, &n));
        assert_hex(p, n, GALLIA);
        srtp_seek(tx, 0x4d617273, 0, 0x5d3);
        n = hex(REPORT, p);
        assert_ok(srtcp_protect(tx, p, &n, sizeof p));
        assert_hex(p, n, rows[i].rtcp);
        assert_ok(srtcp_unprotect(rx, p, &n));
        assert_hex(p, n, REPORT);
        srtp_free(tx);
        srtp_free(rx);
    }
}

static uint8_t master[SRTP_KEY_MAX] = "a master key and a master salt, 46 octets long";

static size_t packet(uint8_t *p, uint32_t ssrc, uint16_t seq)
{
    struct rtp r = {.ssrc = ssrc, .seq = seq, .ts = seq * 160u, .pt = 8};
    rtp_put(p, &r);
    memset(p + 12, (int)(seq & 0xff), 160);
    return 172;
}

static enum err pass(struct srtp *tx, struct srtp *rx, uint32_t ssrc, uint16_t seq)
{
    uint8_t p[256], clear[256];
    size_t n = packet(p, ssrc, seq), was = n;
    memcpy(clear, p, n);
    enum err e = srtp_protect(tx, p, &n, sizeof p);
    if (e == OK && rx != NULL)
        e = srtp_unprotect(rx, p, &n);
    if (e == OK && rx != NULL) {
        assert_int_equal(n, was);
        assert_memory_equal(p, clear, n);
    }
    return e;
}

static void every_suite_round(void **state)
{
    (void)state;
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        struct srtp *tx = srtp_new(s, master), *rx = srtp_new(s, master);
        for (unsigned i = 0; i < 200000; i += i < 300 || (i & 0xffff) > 65400 ? 1 : 100)
            assert_ok(pass(tx, rx, 7, (uint16_t)(i + 65000))); /* three wraps */
        for (unsigned i = 0; i < 100; i++) {
            uint8_t p[64] = {0x80, 201, 0, 1, 0, 0, 0, 7};
            size_t n = 8;
            assert_ok(srtcp_protect(tx, p, &n, sizeof p));
            assert_true(n > 8);
            assert_ok(srtcp_unprotect(rx, p, &n));
            assert_int_equal(n, 8);
        }
        srtp_free(tx);
        srtp_free(rx);
    }
    assert_null(srtp_new(SUITE_NONE, master));
    assert_null(srtp_new(SUITE_COUNT, master));
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        struct srtp *tx = srtp_new(s, master), *rx = srtp_new(s, master);
        uint8_t p[256], good[256], bad[256];
        size_t n = packet(p, 7, 100);
        assert_ok(srtp_protect(tx, p, &n, sizeof p));
        memcpy(good, p, n);
        for (size_t bit = 0; bit < n * 8; bit += bit < 96 || bit > n * 8 - 160 ? 1 : 37) {
            memcpy(bad, good, n);
            bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
            size_t len = n;
            assert_true(srtp_unprotect(rx, bad, &len) != OK);
        }
        for (size_t len = 0; len < n; len++) {
            memcpy(bad, good, n);
            size_t cut = len;
            assert_true(srtp_unprotect(rx, bad, &cut) != OK);
        }
        /* None of that moved the window: the true packet is still fresh, once. */
        size_t len = n;
        memcpy(bad, good, n);
        assert_ok(srtp_unprotect(rx, bad, &len));
        len = n;
        memcpy(bad, good, n);
        assert_err(srtp_unprotect(rx, bad, &len), ERR_REPLAY);
        srtp_free(tx);
        srtp_free(rx);
    }
}

static void rtcp_flips_and_replay(void **state)
{
    (void)state;
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        struct srtp *tx = srtp_new(s, master), *rx = srtp_new(s, master);
        uint8_t good[64] = {0x80, 201, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4}, bad[64];
        size_t n = 12;
        assert_ok(srtcp_protect(tx, good, &n, sizeof good));
        for (size_t bit = 0; bit < n * 8; bit++) {
            memcpy(bad, good, n);
            bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
            size_t len = n;
            assert_true(srtcp_unprotect(rx, bad, &len) != OK);
        }
        memcpy(bad, good, n);
        size_t len = n;
        assert_ok(srtcp_unprotect(rx, bad, &len));
        memcpy(bad, good, n);
        len = n;
        assert_err(srtcp_unprotect(rx, bad, &len), ERR_REPLAY);
        srtp_free(tx);
        srtp_free(rx);
    }
}

static void window_has_its_width(void **state)
{
    (void)state;
    struct srtp *tx = srtp_new(SUITE_GCM_128, master), *rx = srtp_new(SUITE_GCM_128, master);
    uint8_t old[2][256];
    size_t n[2];
    for (unsigned i = 0; i < 2; i++) {
        n[i] = packet(old[i], 7, (uint16_t)(1000 + i));
        assert_ok(srtp_protect(tx, old[i], &n[i], 256));
    }
    for (uint16_t seq = 1002; seq <= 1128; seq++)
        assert_ok(pass(tx, rx, 7, seq));
    assert_err(srtp_unprotect(rx, old[0], &n[0]), ERR_REPLAY); /* 128 behind */
    assert_ok(srtp_unprotect(rx, old[1], &n[1]));              /* 127 behind */
    srtp_free(tx);
    srtp_free(rx);
}

static void sender_never_uses_an_index_twice(void **state)
{
    (void)state;
    struct srtp *tx = srtp_new(SUITE_AES_CM_128_80, master);
    assert_ok(pass(tx, NULL, 7, 500));
    assert_err(pass(tx, NULL, 7, 500), ERR_REPLAY);
    assert_ok(pass(tx, NULL, 7, 499));
    assert_err(pass(tx, NULL, 7, 499), ERR_REPLAY);
    assert_ok(pass(tx, NULL, 8, 500));
    srtp_free(tx);
}

static void ends_of_life(void **state)
{
    (void)state;
    struct srtp *tx = srtp_new(SUITE_GCM_256, master);
    srtp_seek(tx, 7, (UINT64_C(1) << 48) - 2, 0x7ffffffe);
    assert_ok(pass(tx, NULL, 7, 65535));
    assert_err(pass(tx, NULL, 7, 0), ERR_LIMIT);
    uint8_t p[256] = {0x80, 201, 0, 1, 0, 0, 0, 7};
    size_t n = 8;
    assert_ok(srtcp_protect(tx, p, &n, sizeof p));
    n = 8;
    p[0] = 0x80;
    assert_err(srtcp_protect(tx, p, &n, sizeof p), ERR_LIMIT);
    for (uint32_t i = 1; i < SRTP_SSRCS; i++)
        assert_ok(pass(tx, NULL, 100 + i, 1));
    assert_err(pass(tx, NULL, 99, 1), ERR_FULL);
    assert_ok(pass(tx, NULL, 101, 2));
    n = packet(p, 101, 3) > 0 ? 40 : 0;
    assert_err(srtp_protect(tx, p, &n, 55), ERR_RANGE);
    n = 40;
    assert_ok(srtp_protect(tx, p, &n, 56));
    srtp_free(tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keystreams),
        cmocka_unit_test(key_derivation),
        cmocka_unit_test(gcm_packets),
        cmocka_unit_test(every_suite_round),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(rtcp_flips_and_replay),
        cmocka_unit_test(window_has_its_width),
        cmocka_unit_test(sender_never_uses_an_index_twice),
        cmocka_unit_test(ends_of_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
