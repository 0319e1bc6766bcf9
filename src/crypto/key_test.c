#include "base/test.h"

#include "crypto/key.h"

static void test_round_trip(void **state)
{
    (void)state;
    struct key *k = NULL, *again = NULL, *other = NULL;
    char pem[2048];
    uint8_t sig[KEY_SIGNATURE_MAX];
    size_t n = 0;
    struct out o = out_of(pem, sizeof(pem));
    struct str digest = STR("0123456789abcdef0123456789abcdef");
    assert_ok(key_new(&k));
    assert_ok(key_new(&other));
    assert_ok(key_pem(k, &o));
    assert_true(str_starts(out_str(&o), STR("-----BEGIN PRIVATE KEY-----")));
    assert_ok(key_load(out_str(&o), &again));
    for (unsigned i = 0; i < 50; i++) {
        assert_ok(key_sign(again, digest, sig, &n));
        assert_in_range(n, 8, 72);
        assert_ok(key_verify(k, digest, str_of((const char *)sig, n)));
    }
    assert_err(key_verify(other, digest, str_of((const char *)sig, n)), ERR_AUTH);
    assert_err(key_verify(k, STR("0123456789abcdef0123456789abcdeF"), str_of((const char *)sig, n)),
               ERR_AUTH);
    sig[n - 1] ^= 1;
    assert_err(key_verify(k, digest, str_of((const char *)sig, n)), ERR_AUTH);
    assert_err(key_verify(k, digest, STR_NONE), ERR_AUTH);
    key_free(k);
    key_free(again);
    key_free(other);
    key_free(NULL);
}

static void test_digest_lengths(void **state)
{
    (void)state;
    struct key *k = NULL;
    uint8_t sig[KEY_SIGNATURE_MAX];
    char digest[65] = {0};
    size_t n = 4242;
    assert_ok(key_new(&k));
    assert_err(key_sign(k, str_of(digest, 19), sig, &n), ERR_RANGE);
    assert_err(key_sign(k, str_of(digest, 65), sig, &n), ERR_RANGE);
    assert_int_equal(n, 4242);
    assert_ok(key_sign(k, str_of(digest, 20), sig, &n));
    assert_ok(key_sign(k, str_of(digest, 64), sig, &n));
    key_free(k);
}

/* Made with `openssl genpkey` for this test: P-384, and a P-256 key in the older SEC1 form. */
static const char P384[] = "-----BEGIN PRIVATE KEY-----\n"
                           "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDsVWHk/o3unRX2memj\n"
                           "kefoBXqnEeqiTm9xioLpcyI5m5L8pVilHFsg4SKigKAaLYChZANiAARORk3Uewvd\n"
                           "SMu9Wc2H70ycSSpO1nu7Gb8C8M539PeKdATPMZqsXK2K9ETvNhPSIQKr+imtUoGA\n"
                           "JlRNbcRBbFE8AJQrQTrXHfuIC69h+ayEzIIYcyms0X9SpQ55NaYsUEE=\n"
                           "-----END PRIVATE KEY-----\n";
static const char SEC1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                           "MHcCAQEEIDZ/Ow9DFdQFd9JrewMybhWEz9uk6HEAGBiXqQWy8iSVoAoGCCqGSM49\n"
                           "AwEHoUQDQgAEE6npXGfp3Rj4WJ/FggJmb0+yheoM1R8j6f2jhQJQrVcgL6UOui5/\n"
                           "7j3HK659SB6kXTY+W7GlWQX3qfLeuhh+mg==\n"
                           "-----END EC PRIVATE KEY-----\n";

static void test_load(void **state)
{
    (void)state;
    struct key *k = NULL;
    static const char *const bad[] = {
        "", "rubbish", "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(key_load(str_c(bad[i]), &k), ERR_SYNTAX);
    assert_err(key_load(str_c(P384), &k), ERR_UNSUPPORTED);
    assert_null(k);
    assert_ok(key_load(str_c(SEC1), &k));
    key_free(k);
}

static void test_no_room(void **state)
{
    (void)state;
    struct key *k = NULL;
    char small[100];
    struct out o = out_of(small, sizeof(small));
    assert_ok(key_new(&k));
    assert_err(key_pem(k, &o), ERR_FULL);
    key_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_digest_lengths),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
