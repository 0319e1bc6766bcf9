/* AES in counter mode and GCM with a key set once and used for many packets; and memory for what
 * holds keys, wiped when it ends. Contexts are fetched at key time; a packet allocates nothing. */
#ifndef CRYPTO_CIPHER_H
#define CRYPTO_CIPHER_H
#include "base/str.h"

/* Zeroed; NULL when there is none. gives: crypto_free with the same n, which wipes; NULL is fine.
 */
void *crypto_zalloc(size_t n);
void crypto_free(void *p, size_t n);

/* Counter mode keystream (RFC 3711 section 4.1.1); key_bytes 16, 24 or 32. NULL: no memory. */
struct aes_ctr;
struct aes_ctr *aes_ctr_new(const uint8_t *key, size_t key_bytes);
void aes_ctr_free(struct aes_ctr *c);
/* p ^= keystream of the 16-byte counter iv, its last 32 bits counting up. */
MUST_CHECK enum err aes_ctr_xor(struct aes_ctr *c, const uint8_t iv[16], uint8_t *p, size_t n) HOT;

/* AES-GCM with 12-byte IV and 16-byte tag (RFC 5116, 7714); key_bytes 16 or 32. */
#define GCM_TAG 16u
#define GCM_IV  12u
struct aes_gcm;
struct aes_gcm *aes_gcm_new(const uint8_t *key, size_t key_bytes, bool seal);
void aes_gcm_free(struct aes_gcm *c);
/* Additional data in up to two parts (the second may have n 0). */
struct gcm_in {
    const uint8_t *iv;
    const uint8_t *aad, *aad2;
    size_t aad_n, aad2_n;
};
MUST_CHECK enum err aes_gcm_seal(struct aes_gcm *c, const struct gcm_in *in, uint8_t *p, size_t n,
                                 uint8_t ret_tag[GCM_TAG]) HOT;
/* In place: on ERR_AUTH the bytes at p are garbage. */
MUST_CHECK enum err aes_gcm_open(struct aes_gcm *c, const struct gcm_in *in, uint8_t *p, size_t n,
                                 const uint8_t tag[GCM_TAG]) HOT;
#endif
