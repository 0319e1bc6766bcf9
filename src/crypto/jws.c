#include "crypto/jws.h"
#include "crypto/es256.h"
#include "crypto/openssl.h"
#include <openssl/core_names.h>
#include <openssl/param_build.h>

static EVP_PKEY *rsa_key(struct str n, const uint8_t e[4])
{
    EVP_PKEY *k = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    BIGNUM *mod = BN_bin2bn((const uint8_t *)n.p, (int)n.n, NULL), *exp = BN_bin2bn(e, 4, NULL);
    OSSL_PARAM *p = NULL;
    if (c && b && mod && exp && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, mod) == 1 &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, exp) == 1)
        p = OSSL_PARAM_BLD_to_param(b);
    if (!p || EVP_PKEY_fromdata_init(c) != 1 ||
        EVP_PKEY_fromdata(c, &k, EVP_PKEY_PUBLIC_KEY, p) != 1)
        k = NULL;
    OSSL_PARAM_free(p);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_CTX_free(c);
    BN_free(mod);
    BN_free(exp);
    return k;
}

static enum err verify(EVP_PKEY *k, const EVP_MD *md, struct str text, struct str sig)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    enum err e = !k ? ERR_SYNTAX : c ? ERR_AUTH : ERR_SYSTEM;
    if (k && c && EVP_DigestVerifyInit(c, NULL, md, NULL, k) == 1 &&
        EVP_DigestVerify(c, (const uint8_t *)sig.p, sig.n, (const uint8_t *)text.p, text.n) == 1)
        e = OK;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(k);
    ERR_clear_error();
    return e;
}

enum err jws_verify(enum jws_kind kind, struct str key, const uint8_t e[4], struct str text,
                    struct str sig)
{
    uint8_t point[ES256_KEY] = {4};
    switch (kind) {
    case JWS_RS256:
        if (key.n < 256 || key.n > 512)
            return ERR_SYNTAX;
        return sig.n == key.n ? verify(rsa_key(key, e), EVP_sha256(), text, sig) : ERR_AUTH;
    case JWS_ES256:
        if (key.n != 64)
            return ERR_SYNTAX;
        memcpy(point + 1, key.p, 64);
        return sig.n == ES256_SIG ? es256_verify(point, text, (const uint8_t *)sig.p) : ERR_AUTH;
    case JWS_EDDSA:
        if (key.n != 32)
            return ERR_SYNTAX;
        return sig.n != 64 ? ERR_AUTH
                           : verify(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
                                                                (const uint8_t *)key.p, 32),
                                    NULL, text, sig);
    default:
        return ERR_SYNTAX;
    }
}
