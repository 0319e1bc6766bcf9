#include "crypto/cert.h"
#include "base/addr.h"
#include "crypto/x509_in.h"

static X509 *first_cert(struct str pem, unsigned *ret_count)
{
    BIO *b = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    X509 *first = b ? pem_next_cert(b) : NULL;
    unsigned n = first ? 1 : 0;
    for (X509 *x; first && (x = pem_next_cert(b)) != NULL; n++)
        X509_free(x);
    BIO_free(b);
    ERR_clear_error();
    if (ret_count)
        *ret_count = n;
    return first;
}

static bool san_safe(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0 && s.n <= 255;
}

static GENERAL_NAME *ip_name(struct str text)
{
    struct addr a;
    if (addr_parse_ip(text, &a) != OK)
        return NULL;
    GENERAL_NAME *g = GENERAL_NAME_new();
    ASN1_OCTET_STRING *o = ASN1_OCTET_STRING_new();
    if (!g || !o || !ASN1_OCTET_STRING_set(o, a.ip, a.family == ADDR_V4 ? 4 : 16)) {
        GENERAL_NAME_free(g);
        ASN1_OCTET_STRING_free(o);
        return NULL;
    }
    GENERAL_NAME_set0_value(g, GEN_IPADD, o);
    return g;
}

static GENERAL_NAME *text_name(int type, struct str text)
{
    GENERAL_NAME *g = GENERAL_NAME_new();
    ASN1_IA5STRING *s = ASN1_IA5STRING_new();
    if (!g || !s || !ASN1_STRING_set(s, text.p, (int)text.n)) {
        GENERAL_NAME_free(g);
        ASN1_IA5STRING_free(s);
        return NULL;
    }
    GENERAL_NAME_set0_value(g, type, s);
    return g;
}

static GENERAL_NAME *san(struct str s)
{
    if (!san_safe(s))
        return NULL;
    if (str_starts(s, STR("ip:")))
        return ip_name(str_skip(s, 3));
    if (str_starts(s, STR("dns:")) && s.n > 4)
        return text_name(GEN_DNS, str_skip(s, 4));
    if (str_starts(s, STR("uri:")) && s.n > 4)
        return text_name(GEN_URI, str_skip(s, 4));
    return NULL;
}

static enum err add_sans(X509 *x, const struct cert_spec *spec)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    enum err e = names ? OK : ERR_SYSTEM;
    if (spec->n_sans > CERT_SANS_MAX)
        e = ERR_LIMIT;
    for (unsigned i = 0; e == OK && i < spec->n_sans; i++) {
        GENERAL_NAME *g = san(spec->sans[i]);
        if (!g)
            e = ERR_SYNTAX;
        else if (!sk_GENERAL_NAME_push(names, g))
            e = ERR_SYSTEM;
    }
    if (e == OK && spec->n_sans > 0 &&
        X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        e = ERR_SYSTEM;
    GENERAL_NAMES_free(names);
    return e;
}

static bool add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool add_rights(X509 *x, X509 *issuer, bool authority, bool user)
{
    bool ok = add_ext(x, issuer, NID_subject_key_identifier, "hash") &&
              add_ext(x, issuer, NID_authority_key_identifier, "keyid");
    if (authority)
        return ok && add_ext(x, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
               add_ext(x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    /* A gateway is a client of its trunks as well. */
    return ok && add_ext(x, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_ext(x, issuer, NID_key_usage, "critical,digitalSignature") &&
           add_ext(x, issuer, NID_ext_key_usage, user ? "clientAuth" : "serverAuth,clientAuth");
}

static bool add_identity(X509 *x, const struct cert_spec *spec, X509 *issuer)
{
    uint8_t serial[16];
    X509_NAME *name = X509_get_subject_name(x);
    if (RAND_bytes(serial, sizeof(serial)) != 1)
        return false;
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive and of full length */
    BIGNUM *bn = BN_bin2bn(serial, sizeof(serial), NULL);
    bool ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) &&
              X509_set_version(x, X509_VERSION_3) == 1 &&
              X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                         (const unsigned char *)spec->name.p, (int)spec->name.n, -1,
                                         0) == 1 &&
              X509_set_issuer_name(x, issuer == x ? name : X509_get_subject_name(issuer)) == 1 &&
              ASN1_TIME_set(X509_getm_notBefore(x), spec->from.us / 1000000) &&
              ASN1_TIME_set(X509_getm_notAfter(x), spec->until.us / 1000000);
    BN_free(bn);
    return ok;
}

static enum err write_pem(X509 *x, struct out *o)
{
    char *text = NULL;
    BIO *b = BIO_new(BIO_s_mem());
    enum err e = ERR_SYSTEM;
    if (b && PEM_write_bio_X509(b, x) == 1) {
        long n = BIO_get_mem_data(b, &text);
        out_put(o, str_of(text, n > 0 ? (size_t)n : 0));
        e = out_err(o);
    }
    BIO_free(b);
    return e;
}

enum err cert_make(const struct cert_spec *spec, const struct key *key, struct str issuer_pem,
                   const struct key *issuer, struct out *ret_pem)
{
    if (spec->name.n == 0 || spec->name.n > 64 || spec->until.us <= spec->from.us)
        return ERR_RANGE;
    X509 *by = issuer_pem.n > 0 ? first_cert(issuer_pem, NULL) : NULL;
    X509 *x = X509_new();
    enum err e = x ? OK : ERR_SYSTEM;
    if (issuer_pem.n > 0 && !by)
        e = ERR_SYNTAX;
    else if (by ? X509_check_private_key(by, key_evp(issuer)) != 1 : issuer != key)
        e = ERR_AUTH;
    X509 *from = by ? by : x;
    if (e == OK && !(add_identity(x, spec, from) && X509_set_pubkey(x, key_evp(key)) == 1 &&
                     add_rights(x, from, spec->authority, spec->user)))
        e = ERR_SYSTEM;
    if (e == OK)
        e = add_sans(x, spec);
    if (e == OK && X509_sign(x, key_evp(issuer), EVP_sha256()) <= 0)
        e = ERR_SYSTEM;
    if (e == OK)
        e = write_pem(x, ret_pem);
    X509_free(by);
    X509_free(x);
    ERR_clear_error();
    return e;
}

static struct wall to_wall(const ASN1_TIME *t)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return (struct wall){0};
    return (struct wall){(int64_t)timegm(&tm) * 1000000};
}

static void put_sans(X509 *x, char *ret, size_t cap)
{
    struct out o = out_of(ret, cap - 1);
    char one[300];
    size_t n = 0;
    for (unsigned i = 0; tls_name_at(x, i, one, sizeof(one), &n) && o.n + n + 1 <= o.cap; i++) {
        if (i > 0)
            out_ch(&o, ' ');
        out_put(&o, str_of(one, n));
    }
    ret[o.n] = '\0';
}

enum err cert_read(struct str pem, struct cert_facts *ret_f)
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct cert_facts f = {.in_chain = 0};
    X509 *x = first_cert(pem, &f.in_chain);
    if (!x)
        return ERR_SYNTAX;
    f.from = to_wall(X509_get0_notBefore(x));
    f.until = to_wall(X509_get0_notAfter(x));
    f.authority = X509_check_ca(x) > 0;
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, f.subject,
                                    sizeof(f.subject));
    for (char *c = f.subject; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    put_sans(x, f.sans, sizeof(f.sans));
    if (X509_digest(x, EVP_sha256(), md, &n) == 1 && n == 32)
        hex_encode(md, n, f.sha256);
    BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = bn ? BN_bn2hex(bn) : NULL;
    for (size_t i = 0; hex && hex[i] && i < CERT_SERIAL_MAX; i++)
        f.serial[i] = ascii_lower(hex[i]);
    OPENSSL_free(hex);
    BN_free(bn);
    X509_free(x);
    *ret_f = f;
    return OK;
}

enum err cert_fits(struct str pem, const struct key *k)
{
    X509 *x = first_cert(pem, NULL);
    if (!x)
        return ERR_SYNTAX;
    int r = X509_check_private_key(x, key_evp(k));
    X509_free(x);
    ERR_clear_error();
    return r == 1 ? OK : ERR_AUTH;
}
