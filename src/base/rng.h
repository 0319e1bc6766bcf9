/* Random numbers for the pure floors: ChaCha20 (RFC 8439) with fast key erasure over a seed that
 * the platform gives (getrandom) or a simulator chooses. Not shared between threads. */
#ifndef BASE_RNG_H
#define BASE_RNG_H
#include "base/str.h"

struct rng {
    uint8_t key[32];
    uint8_t buf[256];
    uint32_t left;
};
void rng_init(struct rng *r, const uint8_t seed[32]);
void rng_bytes(struct rng *r, void *ret, size_t n);
uint64_t rng_u64(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t bound); /* unbiased; bound >= 1 */
/* One block, exposed for its test vectors. */
void chacha20_block(const uint8_t key[32], uint32_t counter, const uint8_t nonce[12],
                    uint8_t ret[64]);
#endif
