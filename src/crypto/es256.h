/* ES256 as JOSE has it (RFC 7518 3.4): ECDSA over P-256 and SHA-256, r and s of 32 bytes each. */
#ifndef CRYPTO_ES256_H
#define CRYPTO_ES256_H
#include "base/str.h"

#define ES256_KEY 65u /* a point, uncompressed */
#define ES256_SIG 64u
/* OK: it is signed by that key. ERR_AUTH: it is not; ERR_SYNTAX: no point of the curve. About 100
 * us. */
MUST_CHECK enum err es256_verify(const uint8_t key[ES256_KEY], struct str text,
                                 const uint8_t sig[ES256_SIG]);
#endif
