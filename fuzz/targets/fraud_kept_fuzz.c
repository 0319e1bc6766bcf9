/* Any bytes as what a file keeps of people: what is taken can be judged by, written again the same,
 * and is what an engine that takes the shard over accepts. */
#include "guard/fraud.h"
#include "wire/tel/number.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Bytes of the input at places that it names, in a record of zeroes. */
static size_t mix(uint8_t *rec, size_t bytes, const uint8_t *p, size_t n)
{
    size_t used = 0;
    memset(rec, 0, bytes);
    rec[8] = 1; /* a key */
    while (used + 3 <= n && p[used] != 0xff) {
        rec[((size_t)p[used] << 8 | p[used + 1]) % bytes] = p[used + 2];
        used += 3;
    }
    return used + (used < n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct fraud_policy policy;
    static const struct sipkey key = {1, 2};
    size_t bytes = fraud_shard_bytes(16);
    struct fraud_shard *s = calloc(1, bytes);
    void *mem = calloc(1, fraud_bytes(0));
    uint8_t *rec = malloc(MAX(fraud_row_bytes(), fraud_all_bytes())),
            *back = malloc(fraud_row_bytes());
    if (s && mem && rec && back) {
        uint32_t taken = 0, it = 0, found = 0;
        fraud_policy_default(&policy);
        fraud_shard_begin(s, bytes);
        for (unsigned i = 0; i < 8 && n > 3; i++) {
            bool all = p[0] & 1;
            size_t used = mix(rec, all ? fraud_all_bytes() : fraud_row_bytes(), p + 1, n - 1) + 1;
            p += MIN(used, n);
            n -= MIN(used, n);
            if (all)
                (void)!fraud_all_put(s, rec);
            else
                taken += fraud_row_put(&s, bytes, 1, &key, rec) == OK;
        }
        while (fraud_row_next(s, bytes, &it, back)) {
            struct fraud_shard *again = calloc(1, bytes);
            found++;
            if (!again)
                break;
            fraud_shard_begin(again, bytes);
            CHECK(fraud_row_put(&again, bytes, 1, &key, back) == OK);
            free(again);
        }
        CHECK(found == taken);
        CHECK(fraud_shard_valid(s, bytes) == OK && fraud_shard_adopt(s) == 0);
        const struct fraud_shard *v[1] = {s};
        struct fraud *f = fraud_init(mem, 0, &policy, &key);
        CHECK(fraud_shards(f, s, v, bytes, 1, 0) == OK);
        for (uint8_t what = 0; what < 6; what++) {
            struct fraud_event e = {.at = {INT64_C(1700000000000000)},
                                    .identity = 1,
                                    .trunk = 64,
                                    .seconds = 600,
                                    .micro = 1000000,
                                    .country = 'F' << 8 | 'R',
                                    .kind = CLASS_INTERNATIONAL,
                                    .what = what,
                                    .number = "+33140123456"};
            struct fraud_verdict x;
            fraud_step(f, &e, &x);
            CHECK(x.act < FRAUD_LEVELS && !x.elsewhere);
        }
    }
    free(s);
    free(mem);
    free(rec);
    free(back);
    return 0;
}
