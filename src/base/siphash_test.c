#include "base/cur.h"
#include "base/siphash.h"
#include "base/test.h"

/* Key 00 01 .. 0f of the paper's appendix A. */
static const struct sipkey key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static void vectors(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t be; /* the hash's bytes in their order; all lengths agree with OpenSSL's SipHash */
        const char *long_hash;
    } rows[] = {
        {0, UINT64_C(0x310e0edd47db6f72), "a3817f04ba25a8e66df67214c7550293"},
        {1, UINT64_C(0xfd67dc93c539f874), "da87c1d86b99af44347659119b22fc45"},
        {7, UINT64_C(0x37d1018bf50002ab), "a1f1ebbed8dbc153c0b84aa61ff08239"},
        {8, UINT64_C(0x6224939a79f5f593), "3b62a9ba6258f5610f83e264f31497b4"},
        {15, UINT64_C(0xe545be4961ca29a1), "5493e99933b0a8117e08ec0f97cfc3d9"},
        {16, UINT64_C(0xdb9bc2577fcc2a3f), "6ee2a4ca67b054bbfd3315bf85230577"},
        {63, UINT64_C(0x724506eb4c328a95), "5150d1772f50834a503e069a973fbd7c"},
    };
    char in[64];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (char)i;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t got[16], want[16];
        assert_int_equal(siphash(&key, str_of(in, rows[i].n)), __builtin_bswap64(rows[i].be));
        siphash128(&key, str_of(in, rows[i].n), got);
        assert_ok(hex_decode(str_c(rows[i].long_hash), want, 16));
        assert_memory_equal(got, want, 16);
    }
    assert_int_equal(siphash(&key, STR_NONE), siphash(&key, STR("")));
}

static void folded(void **state)
{
    (void)state;
    assert_int_equal(siphash_i(&key, STR("Alice@EXAMPLE.com")),
                     siphash(&key, STR("alice@example.com")));
    for (int c = 0; c < 256; c++) { /* each byte, inside a word and in the rest */
        char raw[9], low[9];
        memset(raw, c, sizeof raw);
        memset(low, ascii_lower((char)c), sizeof low);
        assert_int_equal(siphash_i(&key, str_of(raw, 9)), siphash(&key, str_of(low, 9)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(folded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
