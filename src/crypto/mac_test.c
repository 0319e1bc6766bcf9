#include "base/test.h"
#include "crypto/hash.h"
#include "crypto/mac.h"

/* RFC 2202 cases 2 and 6 are hash_test's; here the kept key must say what the plain HMAC says, for
 * every length and every cut between packet and tail, and serve again and again. */
static void same_as_the_plain_hmac(void **state)
{
    (void)state;
    uint8_t key[100], text[400], want[HASH_MAX], got[HMAC_SHA1_BYTES];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 13);
    static const size_t keys[] = {0, 1, 20, 63, 64, 65, 100};
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        struct hmac_sha1 h;
        hmac_sha1_key(&h, key, keys[k]);
        for (size_t n = 0; n <= sizeof text; n++) {
            size_t tail = n < 4 ? n : 4;
            assert_ok(hmac_bytes(HASH_SHA1, str_of((const char *)key, keys[k]),
                                 str_of((const char *)text, n), want));
            hmac_sha1_tag(&h, text, n - tail, text + n - tail, tail, got);
            assert_memory_equal(got, want, sizeof got);
            hmac_sha1_tag(&h, text, n, NULL, 0, got);
            assert_memory_equal(got, want, sizeof got);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_the_plain_hmac)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
