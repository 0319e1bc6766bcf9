#include "crypto/cipher.h"
#include "base/cur.h"
#include "crypto/openssl.h"

/* Keystream is made a batch at a time; 12 blocks hold a 20 ms G.711 packet. */
#define CTR_BATCH 12u

void *crypto_zalloc(size_t n)
{
    return OPENSSL_zalloc(n);
}

void crypto_free(void *p, size_t n)
{
    OPENSSL_clear_free(p, n);
}

/* Counter mode is built over ECB, because a new IV for EVP's own CTR (a provider call with
 * parameters) costs more than the encryption of a voice packet. */
struct aes_ctr {
    EVP_CIPHER_CTX *evp;
};

static EVP_CIPHER_CTX *ctx_new(const char *name, const uint8_t *key, int seal)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool ok = cipher != NULL && c != NULL &&
              EVP_CipherInit_ex2(c, cipher, key, NULL, seal, NULL) == 1 &&
              EVP_CIPHER_CTX_set_padding(c, 0) == 1;
    EVP_CIPHER_free(cipher);
    if (!ok) {
        EVP_CIPHER_CTX_free(c);
        return NULL;
    }
    return c;
}

struct aes_ctr *aes_ctr_new(const uint8_t *key, size_t key_bytes)
{
    const char *name = key_bytes == 16   ? "AES-128-ECB"
                       : key_bytes == 24 ? "AES-192-ECB"
                       : key_bytes == 32 ? "AES-256-ECB"
                                         : NULL;
    struct aes_ctr *c = name == NULL ? NULL : crypto_zalloc(sizeof *c);
    if (c == NULL)
        return NULL;
    c->evp = ctx_new(name, key, 1);
    if (c->evp == NULL) {
        crypto_free(c, sizeof *c);
        return NULL;
    }
    return c;
}

void aes_ctr_free(struct aes_ctr *c)
{
    if (c == NULL)
        return;
    EVP_CIPHER_CTX_free(c->evp); /* wipes its key schedule */
    crypto_free(c, sizeof *c);
}

static void xor_bytes(uint8_t *p, const uint8_t *q, size_t n)
{
    for (; n >= 8; n -= 8, p += 8, q += 8) {
        uint64_t a, b;
        memcpy(&a, p, 8);
        memcpy(&b, q, 8);
        a ^= b;
        memcpy(p, &a, 8);
    }
    for (; n > 0; n--)
        *p++ ^= *q++;
}

enum err aes_ctr_xor(struct aes_ctr *c, const uint8_t iv[16], uint8_t *p, size_t n)
{
    uint8_t block[CTR_BATCH * 16];
    uint32_t counter = be32(iv + 12);
    while (n > 0) {
        size_t take = MIN(n, sizeof block);
        int len = (int)((take + 15) & ~(size_t)15), got = 0;
        for (int i = 0; i < len; i += 16) {
            memcpy(block + i, iv, 12);
            be32_put(block + i + 12, counter++);
        }
        if (EVP_EncryptUpdate(c->evp, block, &got, block, len) != 1 || got != len)
            return ERR_SYSTEM;
        xor_bytes(p, block, take);
        p += take;
        n -= take;
    }
    return OK;
}

struct aes_gcm {
    EVP_CIPHER_CTX *evp;
};

struct aes_gcm *aes_gcm_new(const uint8_t *key, size_t key_bytes, bool seal)
{
    const char *name = key_bytes == 16 ? "AES-128-GCM" : key_bytes == 32 ? "AES-256-GCM" : NULL;
    struct aes_gcm *c = name == NULL ? NULL : crypto_zalloc(sizeof *c);
    if (c == NULL)
        return NULL;
    c->evp = ctx_new(name, key, seal ? 1 : 0);
    if (c->evp == NULL) {
        crypto_free(c, sizeof *c);
        return NULL;
    }
    return c;
}

void aes_gcm_free(struct aes_gcm *c)
{
    if (c == NULL)
        return;
    EVP_CIPHER_CTX_free(c->evp);
    crypto_free(c, sizeof *c);
}

static bool gcm_start(EVP_CIPHER_CTX *e, const struct gcm_in *in, int seal)
{
    int got = 0;
    return EVP_CipherInit_ex2(e, NULL, NULL, in->iv, seal, NULL) == 1 &&
           (in->aad_n == 0 || EVP_CipherUpdate(e, NULL, &got, in->aad, (int)in->aad_n) == 1) &&
           (in->aad2_n == 0 || EVP_CipherUpdate(e, NULL, &got, in->aad2, (int)in->aad2_n) == 1);
}

enum err aes_gcm_seal(struct aes_gcm *c, const struct gcm_in *in, uint8_t *p, size_t n,
                      uint8_t ret_tag[GCM_TAG])
{
    int got = 0;
    if (!gcm_start(c->evp, in, 1) ||
        (n > 0 && EVP_EncryptUpdate(c->evp, p, &got, p, (int)n) != 1) ||
        EVP_EncryptFinal_ex(c->evp, p + n, &got) != 1 ||
        EVP_CIPHER_CTX_ctrl(c->evp, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, ret_tag) != 1)
        return ERR_SYSTEM;
    return OK;
}

enum err aes_gcm_open(struct aes_gcm *c, const struct gcm_in *in, uint8_t *p, size_t n,
                      const uint8_t tag[GCM_TAG])
{
    int got = 0;
    uint8_t want[GCM_TAG];
    memcpy(want, tag, sizeof want);
    if (!gcm_start(c->evp, in, 0) ||
        EVP_CIPHER_CTX_ctrl(c->evp, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, want) != 1 ||
        (n > 0 && EVP_DecryptUpdate(c->evp, p, &got, p, (int)n) != 1))
        return ERR_SYSTEM;
    return EVP_DecryptFinal_ex(c->evp, p + n, &got) == 1 ? OK : ERR_AUTH;
}
