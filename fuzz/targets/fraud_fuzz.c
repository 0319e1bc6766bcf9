/* Behaviour over random events: the score is of signs that are judged, acts follow the score, what
 * is off says nothing, and a clock that jumps harms nothing. */
#include "guard/fraud.h"
#include "wire/tel/number.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct fraud_policy policy;
    static const struct sipkey key = {1, 2};
    void *mem = calloc(1, fraud_bytes(8));
    if (!mem || n < 2) {
        free(mem);
        return 0;
    }
    fraud_policy_default(&policy);
    policy.off_signs = (uint16_t)((p[0] | (unsigned)p[1] << 8) & ((1u << SIGN_COUNT) - 1));
    policy.dry_run = p[0] & 1;
    CHECK(fraud_policy_valid(&policy) == OK);
    struct fraud *f = fraud_init(mem, 8, &policy, &key);
    int64_t now = INT64_C(1700000000000000);
    for (size_t i = 2; i + 12 <= n; i += 12) {
        const uint8_t *b = p + i;
        struct fraud_event e = {.what = b[0] % 6,
                                .kind = b[1] % CLASS_COUNT,
                                .identity = b[2] % 32u,
                                .trunk = b[2] / 32u,
                                .country = (uint16_t)(b[3] << 8 | b[4]),
                                .source_country = (uint16_t)(b[5] << 8 | b[6]),
                                .seconds = b[7] == 255 ? UINT32_MAX : b[7] * 40u,
                                .micro = b[8] == 255 ? INT64_MAX : (b[8] - 4) * INT64_C(1000000),
                                .off_hours = b[9] & 1};
        now += (b[10] - 20) * INT64_C(60000000) * (b[11] % 8 ? 1 : 2000);
        e.at.us = now;
        for (unsigned k = 0; k < sizeof e.number; k++) /* need not even end */
            e.number[k] = (char)(k ? '0' + (b[11] * k + b[4]) % 11 : '+');
        struct fraud_verdict v;
        fraud_step(f, &e, &v);
        CHECK(!(v.signs & policy.off_signs) && v.act < FRAUD_LEVELS);
        CHECK(v.dry == policy.dry_run || !e.identity || now <= 0);
        CHECK(v.act == FRAUD_LOG || v.signs);
        CHECK(v.act == FRAUD_LOG || v.score >= policy.level[v.act]);
    }
    char text[2048];
    struct out o = out_of(text, sizeof text);
    fraud_explain_json(f, 1, (struct wall){now}, &o);
    CHECK(!o.full);
    free(mem);
    return 0;
}
