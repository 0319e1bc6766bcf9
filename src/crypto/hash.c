#include "crypto/hash.h"
#include "crypto/openssl.h"

#define HMAC_BLOCK_MAX 128u

static const struct {
    const char *name;
    uint8_t bytes, block_bytes;
} algs[HASH_COUNT] = {
    [HASH_MD5] = {"MD5", 16, 64},        [HASH_SHA1] = {"SHA1", 20, 64},
    [HASH_SHA256] = {"SHA256", 32, 64},  [HASH_SHA512_256] = {"SHA512-256", 32, 128},
    [HASH_SHA384] = {"SHA384", 48, 128},
};
static EVP_MD *mds[HASH_COUNT];
static EVP_MD_CTX *shared_ctx; /* one a process: every program here has one thread */

size_t hash_bytes(enum hash_alg a)
{
    return a < HASH_COUNT ? algs[a].bytes : 0;
}

enum err crypto_init(void)
{
    for (unsigned a = 0; a < HASH_COUNT; a++) {
        if (mds[a] == NULL)
            mds[a] = EVP_MD_fetch(NULL, algs[a].name, NULL);
        if (mds[a] == NULL)
            return ERR_SYSTEM;
    }
    if (shared_ctx == NULL)
        shared_ctx = EVP_MD_CTX_new();
    return shared_ctx == NULL ? ERR_SYSTEM : OK;
}

static bool ready(enum hash_alg a)
{
    return a < HASH_COUNT && ((mds[a] != NULL && shared_ctx != NULL) || crypto_init() == OK);
}

enum err hash_parts(enum hash_alg a, const struct str *parts, size_t n_parts, uint8_t *ret)
{
    if (!ready(a) || EVP_DigestInit_ex2(shared_ctx, mds[a], NULL) != 1)
        return ERR_SYSTEM;
    for (size_t i = 0; i < n_parts; i++)
        if (parts[i].n > 0 && EVP_DigestUpdate(shared_ctx, parts[i].p, parts[i].n) != 1)
            return ERR_SYSTEM;
    unsigned len = 0;
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(shared_ctx, digest, &len) != 1 || len != algs[a].bytes)
        return ERR_SYSTEM;
    memcpy(ret, digest, len);
    mem_wipe(digest, sizeof digest);
    return OK;
}

/* RFC 2104 by hand: EVP_MAC costs more to set up than the hashing of a short key and text. */
enum err hmac_bytes(enum hash_alg a, struct str key, struct str data, uint8_t *ret)
{
    if (a >= HASH_COUNT)
        return ERR_SYSTEM;
    size_t block = algs[a].block_bytes, n = algs[a].bytes;
    uint8_t k[HMAC_BLOCK_MAX] = {0}, pad[HMAC_BLOCK_MAX], inner[HASH_MAX];
    enum err e = OK;
    if (key.n > block)
        e = hash_parts(a, &key, 1, k);
    else if (key.n > 0)
        memcpy(k, key.p, key.n);
    for (size_t i = 0; i < block; i++)
        pad[i] = k[i] ^ 0x36;
    struct str parts[2] = {str_of((const char *)pad, block), data};
    if (e == OK)
        e = hash_parts(a, parts, 2, inner);
    for (size_t i = 0; i < block; i++)
        pad[i] = k[i] ^ 0x5c;
    parts[1] = str_of((const char *)inner, n);
    if (e == OK)
        e = hash_parts(a, parts, 2, ret);
    mem_wipe(k, sizeof k);
    mem_wipe(pad, sizeof pad);
    mem_wipe(inner, sizeof inner);
    return e;
}
