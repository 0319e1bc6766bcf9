#include "crypto/es256.h"
#include "crypto/openssl.h"
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

static EVP_PKEY *public_key(const uint8_t key[ES256_KEY])
{
    char group[] = "prime256v1";
    uint8_t point[ES256_KEY];
    EVP_PKEY *k = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    memcpy(point, key, sizeof point);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group - 1),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end()};
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params) != 1)
        k = NULL;
    EVP_PKEY_CTX_free(ctx);
    return k;
}

/* r and s to DER. */
static int der_of(const uint8_t sig[ES256_SIG], unsigned char **ret_der)
{
    int n = 0;
    ECDSA_SIG *s = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, 32, NULL), *t = BN_bin2bn(sig + 32, 32, NULL);
    if (s && r && t && ECDSA_SIG_set0(s, r, t) == 1) {
        n = i2d_ECDSA_SIG(s, ret_der);
    } else {
        BN_free(r);
        BN_free(t);
    }
    ECDSA_SIG_free(s);
    return n;
}

enum err es256_verify(const uint8_t key[ES256_KEY], struct str text, const uint8_t sig[ES256_SIG])
{
    unsigned char *der = NULL;
    EVP_PKEY *k = key[0] == 4 ? public_key(key) : NULL;
    enum err e = k ? ERR_AUTH : ERR_SYNTAX;
    int n = k ? der_of(sig, &der) : 0;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c && n > 0 && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, k) == 1 &&
        EVP_DigestVerify(c, der, (size_t)n, (const unsigned char *)text.p, text.n) == 1)
        e = OK;
    EVP_MD_CTX_free(c);
    OPENSSL_free(der);
    EVP_PKEY_free(k);
    ERR_clear_error();
    return e;
}
