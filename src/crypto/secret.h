/* Short secrets: no printer, constant-time compare, wiped. */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H
#include "base/str.h"

#define SECRET_MAX 128u
struct secret {
    uint8_t n;
    uint8_t b[SECRET_MAX];
};
/* ERR_LIMIT when s is longer than SECRET_MAX. */
MUST_CHECK enum err secret_set(struct secret *x, struct str s);
/* Constant time in the bytes, not in the lengths. */
bool secret_is(const struct secret *x, struct str s);
void secret_wipe(struct secret *x);
#endif
