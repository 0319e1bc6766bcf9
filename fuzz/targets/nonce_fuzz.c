/* Nonces and their counts. Text that we did not mint never passes; and whatever the order of
 * nonces, counts and time, no pair of nonce and count is accepted twice. */
#include "identity/digest.h"

#define NONCES 12u
#define COUNTS 256u
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct sipkey KEY = {3, 4};

static void counts(const uint8_t *data, size_t n)
{
    static uint64_t table[1024];
    static bool used[NONCES][COUNTS];
    const uint8_t seed[32] = {1};
    struct rng rng;
    uint64_t id[NONCES];
    int64_t minted[NONCES] = {0}, ms = INT64_C(1700000000000);
    rng_init(&rng, seed);
    memset(used, 0, sizeof(used));
    CHECK(nc_bytes(8) <= sizeof(table));
    struct nc_table *t = nc_init(table, 8);
    for (size_t i = 0; i + 2 < n; i += 3) {
        unsigned who = data[i] % NONCES;
        uint32_t nc = data[i + 1];
        char text[NONCE_CHARS];
        ms += data[i + 2] * 40;
        struct wall now = {ms * 1000};
        if (minted[who] == 0 || ms - minted[who] > NONCE_LIFE_S * 1000) {
            nonce_mint(&KEY, now, &rng, text);
            CHECK(nonce_check(&KEY, str_of(text, NONCE_CHARS), now, &id[who]) == OK);
            minted[who] = ms;
            memset(used[who], 0, sizeof(used[who]));
        }
        if (nc_use(t, id[who], nc, now) != OK)
            continue;
        CHECK(nc != 0 && !used[who][nc]);
        used[who][nc] = true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t id = 0;
    struct wall now = {INT64_C(1700000000000000)};
    CHECK(nonce_check(&KEY, str_of((const char *)data, n), now, &id) != OK && id == 0);
    counts(data, n);
    return 0;
}
