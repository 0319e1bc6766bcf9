/* The low-level SHA1 interface is deprecated in favour of EVP, which copies a provider context
 * (heap) for every packet: measured 6 times the cost of copying this struct. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/mac.h"
#include "crypto/openssl.h"

_Static_assert(sizeof(SHA_CTX) <= sizeof(((struct hmac_sha1 *)0)->inner), "room for SHA_CTX");

static void state_save(uint64_t *to, const SHA_CTX *c)
{
    memcpy(to, c, sizeof *c);
}

static void key_state(uint64_t *to, const uint8_t key[64], uint8_t pad)
{
    uint8_t block[64];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    SHA_CTX c;
    SHA1_Init(&c);
    SHA1_Update(&c, block, sizeof block);
    state_save(to, &c);
    mem_wipe(block, sizeof block);
    mem_wipe(&c, sizeof c);
}

void hmac_sha1_key(struct hmac_sha1 *h, const uint8_t *key, size_t key_bytes)
{
    uint8_t k[64] = {0};
    if (key_bytes > sizeof k)
        SHA1(key, key_bytes, k);
    else
        memcpy(k, key, key_bytes);
    key_state(h->inner, k, 0x36);
    key_state(h->outer, k, 0x5c);
    mem_wipe(k, sizeof k);
}

void hmac_sha1_tag(const struct hmac_sha1 *h, const uint8_t *p, size_t n, const uint8_t *tail,
                   size_t tail_n, uint8_t ret_tag[HMAC_SHA1_BYTES])
{
    SHA_CTX c;
    uint8_t inner[SHA_DIGEST_LENGTH];
    memcpy(&c, h->inner, sizeof c);
    SHA1_Update(&c, p, n);
    if (tail_n > 0)
        SHA1_Update(&c, tail, tail_n);
    SHA1_Final(inner, &c);
    memcpy(&c, h->outer, sizeof c);
    SHA1_Update(&c, inner, sizeof inner);
    SHA1_Final(ret_tag, &c);
}
