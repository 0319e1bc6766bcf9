/* Digests and HMAC over libcrypto. Algorithms are fetched once a process (crypto_init). */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H
#include "base/str.h"

enum hash_alg { HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_SHA512_256, HASH_SHA384, HASH_COUNT };
#define HASH_MAX 64u
size_t hash_bytes(enum hash_alg a);
MUST_CHECK enum err crypto_init(void); /* once a process, before anything else of crypto/ */
/* Hash of the parts one after the other; n_parts any. ERR_SYSTEM if the library refuses. */
MUST_CHECK enum err hash_parts(enum hash_alg a, const struct str *parts, size_t n_parts,
                               uint8_t *ret);
MUST_CHECK enum err hmac_bytes(enum hash_alg a, struct str key, struct str data, uint8_t *ret);
#endif
