/* Deprecated calls of libcrypto live here and nowhere else: without a provider of our own, an
 * EC_KEY_METHOD is the one way to let another process sign. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/key.h"
#include "crypto/x509_in.h"
#include <openssl/ec.h>

struct key {
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *sign; /* set up once: a set-up costs libcrypto 3 as much as a hash */
};

void key_room(void)
{
    (void)CRYPTO_secure_malloc_init(1u << 17, 32);
}

static enum err adopt(EVP_PKEY *p, struct key **ret_k)
{
    struct key *k = calloc(1, sizeof(*k));
    if (k)
        k->sign = EVP_PKEY_CTX_new_from_pkey(NULL, p, NULL);
    if (!k || !k->sign || EVP_PKEY_sign_init(k->sign) != 1) {
        if (k)
            EVP_PKEY_CTX_free(k->sign);
        free(k);
        EVP_PKEY_free(p);
        return ERR_SYSTEM;
    }
    k->pkey = p;
    *ret_k = k;
    return OK;
}

enum err key_new(struct key **ret_k)
{
    EVP_PKEY *p = EVP_EC_gen("P-256");
    return p ? adopt(p, ret_k) : ERR_SYSTEM;
}

static int no_passphrase(char *buf, int size, int rwflag, void *u)
{
    (void)buf, (void)size, (void)rwflag, (void)u;
    return -1;
}

enum err key_load(struct str pem, struct key **ret_k)
{
    char group[32];
    if (pem.n > INT32_MAX)
        return ERR_SYNTAX;
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *p = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
    BIO_free(b);
    if (!p)
        return ERR_SYNTAX;
    if (EVP_PKEY_get_base_id(p) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(p, group, sizeof(group), NULL) != 1 ||
        !str_eq(str_c(group), STR("prime256v1"))) {
        EVP_PKEY_free(p);
        return ERR_UNSUPPORTED;
    }
    return adopt(p, ret_k);
}

void key_free(struct key *k)
{
    if (!k)
        return;
    EVP_PKEY_CTX_free(k->sign);
    EVP_PKEY_free(k->pkey);
    free(k);
}

enum err key_pem(const struct key *k, struct out *o)
{
    char *text = NULL;
    BIO *b = BIO_new(BIO_s_secmem());
    enum err e = ERR_SYSTEM;
    if (b && PEM_write_bio_PKCS8PrivateKey(b, k->pkey, NULL, NULL, 0, NULL, NULL) == 1) {
        long n = BIO_get_mem_data(b, &text);
        if (n > 0) {
            out_put(o, str_of(text, (size_t)n));
            e = out_err(o);
        }
    }
    BIO_free(b);
    return e;
}

enum err key_sign(struct key *k, struct str digest, uint8_t ret[KEY_SIGNATURE_MAX], size_t *ret_n)
{
    size_t n = KEY_SIGNATURE_MAX;
    if (digest.n < 20 || digest.n > 64)
        return ERR_RANGE;
    if (EVP_PKEY_sign(k->sign, ret, &n, (const uint8_t *)digest.p, digest.n) != 1)
        return ERR_SYSTEM;
    *ret_n = n;
    return OK;
}

enum err key_verify(struct key *k, struct str digest, struct str signature)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    int r = 0;
    if (c && EVP_PKEY_verify_init(c) == 1)
        r = EVP_PKEY_verify(c, (const uint8_t *)signature.p, signature.n, (const uint8_t *)digest.p,
                            digest.n);
    EVP_PKEY_CTX_free(c);
    return r == 1 ? OK : ERR_AUTH;
}

EVP_PKEY *key_evp(const struct key *k)
{
    return k->pkey;
}

struct remote {
    key_remote_fn *fn;
    void *arg;
};
static int remote_index = -1;
static EC_KEY_METHOD *remote_method;

static int remote_sign(int type, const unsigned char *dgst, int dlen, unsigned char *sig,
                       unsigned int *siglen, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
    const struct remote *m = EC_KEY_get_ex_data(ec, remote_index);
    int cap = ECDSA_size(ec);
    (void)type, (void)kinv, (void)r;
    if (!m || dlen <= 0 || cap <= 0)
        return 0;
    size_t n = m->fn(m->arg, str_of((const char *)dgst, (size_t)dlen), sig, (size_t)cap);
    *siglen = (unsigned)n;
    return n > 0;
}

static void remote_gone(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    free(ptr);
}

static bool remote_ready(void)
{
    if (remote_method)
        return true;
    remote_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, remote_gone);
    if (remote_index < 0)
        return false;
    remote_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    if (remote_method)
        EC_KEY_METHOD_set_sign(remote_method, remote_sign, NULL, NULL);
    return remote_method != NULL;
}

EVP_PKEY *key_remote_new(EVP_PKEY *pub, key_remote_fn *fn, void *arg)
{
    EVP_PKEY *ret = NULL;
    struct remote *m = malloc(sizeof(*m));
    EC_KEY *shared = EVP_PKEY_get_base_id(pub) == EVP_PKEY_EC ? EVP_PKEY_get1_EC_KEY(pub) : NULL;
    EC_KEY *ec = shared ? EC_KEY_dup(shared) : NULL;
    EC_KEY_free(shared);
    if (m && ec && remote_ready() && EC_KEY_set_method(ec, remote_method) == 1 &&
        EC_KEY_set_ex_data(ec, remote_index, m) == 1) {
        *m = (struct remote){fn, arg};
        m = NULL; /* the key's now */
        ret = EVP_PKEY_new();
        if (ret && EVP_PKEY_set1_EC_KEY(ret, ec) != 1) {
            EVP_PKEY_free(ret);
            ret = NULL;
        }
    }
    EC_KEY_free(ec);
    free(m);
    return ret;
}
