/* What an authority hands out besides certificates: revocation lists, files for phones. */
#include "crypto/cert.h"
#include "crypto/x509_in.h"
#include <openssl/pkcs12.h>

#define ROUNDS 100000

static X509 *cert_of(struct str pem)
{
    BIO *b = pem.n > 0 && pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    X509 *x = b ? pem_next_cert(b) : NULL;
    BIO_free(b);
    ERR_clear_error();
    return x;
}

bool cert_serial_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_digit(s.p[i]) && !(ascii_lower(s.p[i]) >= 'a' && ascii_lower(s.p[i]) <= 'f'))
            return false;
    return s.n >= 20 && s.n <= CERT_SERIAL_MAX && s.n % 2 == 0;
}

static enum err add_revoked(X509_CRL *l, const struct cert_revoked *r)
{
    BIGNUM *bn = NULL;
    size_t n = strlen(r->serial);
    if (n == 0 || n > CERT_SERIAL_MAX || BN_hex2bn(&bn, r->serial) != (int)n) {
        BN_free(bn);
        return ERR_SYNTAX;
    }
    X509_REVOKED *v = X509_REVOKED_new();
    ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(bn, NULL);
    ASN1_TIME *at = ASN1_TIME_set(NULL, r->at.us / 1000000);
    bool ok = v && serial && at && X509_REVOKED_set_serialNumber(v, serial) == 1 &&
              X509_REVOKED_set_revocationDate(v, at) == 1 && X509_CRL_add0_revoked(l, v) == 1;
    if (!ok)
        X509_REVOKED_free(v);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(at);
    BN_free(bn);
    return ok ? OK : ERR_SYSTEM;
}

static bool add_number(X509_CRL *l, X509 *by, uint64_t number)
{
    X509V3_CTX ctx;
    ASN1_INTEGER *n = ASN1_INTEGER_new();
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, by, NULL, NULL, l, 0);
    X509_EXTENSION *id = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid");
    bool ok = n && id && X509_CRL_add_ext(l, id, -1) == 1 && ASN1_INTEGER_set_uint64(n, number) &&
              X509_CRL_add1_ext_i2d(l, NID_crl_number, n, 0, 0) == 1;
    X509_EXTENSION_free(id);
    ASN1_INTEGER_free(n);
    return ok;
}

static bool dates(X509_CRL *l, struct wall from, struct wall until)
{
    ASN1_TIME *a = ASN1_TIME_set(NULL, from.us / 1000000);
    ASN1_TIME *b = ASN1_TIME_set(NULL, until.us / 1000000);
    bool ok = a && b && X509_CRL_set1_lastUpdate(l, a) == 1 && X509_CRL_set1_nextUpdate(l, b) == 1;
    ASN1_TIME_free(a);
    ASN1_TIME_free(b);
    return ok;
}

static enum err crl_text(X509_CRL *l, struct out *o)
{
    char *text = NULL;
    BIO *b = BIO_new(BIO_s_mem());
    enum err e = ERR_SYSTEM;
    if (b && PEM_write_bio_X509_CRL(b, l) == 1) {
        long n = BIO_get_mem_data(b, &text);
        out_put(o, str_of(text, n > 0 ? (size_t)n : 0));
        e = out_err(o);
    }
    BIO_free(b);
    return e;
}

enum err cert_crl(struct str issuer_pem, const struct key *issuer, const struct cert_revoked *v,
                  size_t n, struct wall from, struct wall until, uint64_t number,
                  struct out *ret_pem)
{
    X509 *by = cert_of(issuer_pem);
    X509_CRL *l = X509_CRL_new();
    enum err e = !by ? ERR_SYNTAX : l ? OK : ERR_SYSTEM;
    if (e == OK && X509_check_private_key(by, key_evp(issuer)) != 1)
        e = ERR_AUTH;
    if (e == OK && !(X509_CRL_set_version(l, 1) == 1 &&
                     X509_CRL_set_issuer_name(l, X509_get_subject_name(by)) == 1 &&
                     dates(l, from, until) && add_number(l, by, number)))
        e = ERR_SYSTEM;
    for (size_t i = 0; e == OK && i < n; i++)
        e = add_revoked(l, &v[i]);
    if (e == OK && (X509_CRL_sort(l) != 1 || X509_CRL_sign(l, key_evp(issuer), EVP_sha256()) <= 0))
        e = ERR_SYSTEM;
    if (e == OK)
        e = crl_text(l, ret_pem);
    X509_CRL_free(l);
    X509_free(by);
    ERR_clear_error();
    return e;
}

enum err cert_p12(struct str cert_pem, const struct key *key, struct str ca_pem,
                  const char *passphrase, const char *name, uint8_t *ret, size_t cap, size_t *ret_n)
{
    X509 *x = cert_of(cert_pem), *ca = cert_of(ca_pem);
    STACK_OF(X509) *more = sk_X509_new_null();
    enum err e = x && ca && more && sk_X509_push(more, ca) > 0 ? OK : ERR_SYNTAX;
    PKCS12 *p =
        e == OK ? PKCS12_create(passphrase, name, key_evp(key), x, more, 0, 0, ROUNDS, ROUNDS, 0)
                : NULL;
    int n = p ? i2d_PKCS12(p, NULL) : -1;
    if (e == OK && n <= 0)
        e = ERR_SYSTEM;
    if (e == OK && (size_t)n > cap)
        e = ERR_LIMIT;
    if (e == OK) {
        unsigned char *at = ret;
        *ret_n = (size_t)i2d_PKCS12(p, &at);
    }
    PKCS12_free(p);
    sk_X509_free(more);
    X509_free(x);
    X509_free(ca);
    ERR_clear_error();
    return e;
}
