/* SipHash-2-4 (Aumasson, Bernstein 2012): keyed hashing of anything a peer chooses. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H
#include "base/str.h"

struct sipkey {
    uint64_t k0, k1;
};
uint64_t siphash(const struct sipkey *key, struct str data);
void siphash128(const struct sipkey *key, struct str data, uint8_t ret[16]);
uint64_t siphash_i(const struct sipkey *key,
                   struct str data); /* ASCII letters folded to lower case */
#endif
