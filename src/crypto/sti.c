#include "crypto/sti.h"
#include "crypto/x509_in.h"
#include <openssl/core_names.h>
#include <openssl/ec.h>

#define OID_TN_AUTH "1.3.6.1.5.5.7.1.26"

/* --- TNAuthorizationList (RFC 8226 9), tags explicit --- */

/* One element: its tag, its contents, and what follows. Definite lengths up to 64 KiB. */
static bool element(struct str *s, uint8_t tag, struct str *ret_in)
{
    const uint8_t *p = (const uint8_t *)s->p;
    size_t head = 2, n;
    if (s->n < 2 || p[0] != tag)
        return false;
    n = p[1];
    if (n == 0x81 && s->n >= 3 && p[2] >= 0x80) {
        head = 3;
        n = p[2];
    } else if (n == 0x82 && s->n >= 4 && p[2]) {
        head = 4;
        n = (size_t)p[2] << 8 | p[3];
    } else if (n >= 0x80) {
        return false;
    }
    if (s->n - head < n)
        return false;
    *ret_in = str_of(s->p + head, n);
    *s = str_skip(*s, head + n);
    return true;
}

static bool number(struct str s, struct sti_range *ret_g)
{
    uint64_t v;
    if (s.n > 15 || str_u64(s, UINT64_MAX, &v) != OK)
        return false;
    *ret_g = (struct sti_range){v, 1, (uint8_t)s.n};
    return true;
}

static enum err range_add(struct sti_facts *f, struct str start, struct str count)
{
    struct sti_range g;
    uint64_t n = 0;
    if (!number(start, &g) || count.n > 8 || (count.n && (uint8_t)count.p[0] >= 0x80))
        return ERR_SYNTAX;
    for (size_t i = 0; i < count.n; i++)
        n = n << 8 | (uint8_t)count.p[i];
    if (count.n && n < 2)
        return ERR_SYNTAX;
    if (f->n_ranges >= STI_RANGES)
        return ERR_LIMIT;
    g.count = count.n ? n : 1;
    f->range[f->n_ranges++] = g;
    return OK;
}

static enum err spc_add(struct sti_facts *f, struct str code)
{
    if (!code.n || code.n > STI_SPC)
        return ERR_SYNTAX;
    for (size_t i = 0; i < code.n; i++)
        if (code.p[i] < '!' || code.p[i] > '~')
            return ERR_SYNTAX;
    if (!f->has_spc)
        memcpy(f->spc, code.p, code.n);
    f->has_spc = true;
    return OK;
}

enum err sti_numbers(struct str der, struct sti_facts *io_f)
{
    struct str list, entry, in, start, count;
    enum err e = OK;
    if (!element(&der, 0x30, &list) || der.n || !list.n)
        return ERR_SYNTAX;
    while (list.n && e == OK) {
        if (element(&list, 0xa0, &entry)) {
            e = element(&entry, 0x16, &in) && !entry.n ? spc_add(io_f, in) : ERR_SYNTAX;
        } else if (element(&list, 0xa1, &entry)) {
            bool ok = element(&entry, 0x30, &in) && !entry.n && element(&in, 0x16, &start) &&
                      element(&in, 0x02, &count) && !in.n && count.n;
            e = ok ? range_add(io_f, start, count) : ERR_SYNTAX;
        } else if (element(&list, 0xa2, &entry)) {
            e = element(&entry, 0x16, &in) && !entry.n ? range_add(io_f, in, STR_NONE) : ERR_SYNTAX;
        } else {
            e = ERR_SYNTAX;
        }
    }
    return e;
}

/* --- the chain --- */

static X509_STORE *store_of(struct str pem)
{
    X509_STORE *s = X509_STORE_new();
    BIO *b = pem.n && pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    unsigned n = 0;
    for (X509 *x; s && b && (x = pem_next_cert(b)) != NULL; X509_free(x))
        n += X509_STORE_add_cert(s, x) == 1;
    BIO_free(b);
    ERR_clear_error();
    if (n)
        return s;
    X509_STORE_free(s);
    return NULL;
}

static struct wall wall_of(const ASN1_TIME *t)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return (struct wall){0};
    int64_t y = tm.tm_year + 1900, m = tm.tm_mon + 1;
    y -= m <= 2;
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + tm.tm_mday - 1;
    int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    return (struct wall){(days * 86400 + tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) * 1000000};
}

static bool chain_good(X509 *leaf, STACK_OF(X509) * links, X509_STORE *roots, struct wall now,
                       struct wall *ret_until, const char **ret_why)
{
    X509_STORE_CTX *c = X509_STORE_CTX_new();
    bool ok = false;
    if (c && X509_STORE_CTX_init(c, roots, leaf, links) == 1) {
        X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(c);
        X509_VERIFY_PARAM_set_time(p, (time_t)(now.us / 1000000));
        X509_VERIFY_PARAM_set_depth(p, (int)STI_CHAIN);
        X509_VERIFY_PARAM_set_auth_level(p, 2);
        (void)X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_X509_STRICT);
        ok = X509_verify_cert(c) == 1;
        *ret_why = ok ? "" : X509_verify_cert_error_string(X509_STORE_CTX_get_error(c));
        STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(c);
        struct wall until = {INT64_MAX};
        for (int i = 0; ok && i < sk_X509_num(chain); i++) {
            struct wall w = wall_of(X509_get0_notAfter(sk_X509_value(chain, i)));
            until = w.us < until.us ? w : until;
        }
        *ret_until = until;
    }
    X509_STORE_CTX_free(c);
    return ok;
}

static enum err leaf_facts(X509 *x, struct sti_facts *f, const char **ret_why)
{
    char group[32] = "";
    size_t n = 0;
    EVP_PKEY *k = X509_get0_pubkey(x);
    if (X509_check_ca(x) != 0 || !(X509_get_key_usage(x) & KU_DIGITAL_SIGNATURE) ||
        !(X509_get_extension_flags(x) & EXFLAG_KUSAGE)) {
        *ret_why = "it is not for signatures, or an authority's";
        return ERR_AUTH;
    }
    if (!k || EVP_PKEY_get_base_id(k) != EVP_PKEY_EC ||
        EVP_PKEY_get_utf8_string_param(k, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &n) !=
            1 ||
        strcmp(group, "prime256v1") != 0 ||
        EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, f->key, sizeof f->key, &n) !=
            1 ||
        n != sizeof f->key || f->key[0] != 4) {
        *ret_why = "its key is not of P-256";
        return ERR_AUTH;
    }
    ASN1_OBJECT *oid = OBJ_txt2obj(OID_TN_AUTH, 1);
    int at = oid ? X509_get_ext_by_OBJ(x, oid, -1) : -1;
    bool twice = at >= 0 && X509_get_ext_by_OBJ(x, oid, at) >= 0;
    ASN1_OBJECT_free(oid);
    *ret_why = at < 0 ? "it has no TNAuthList" : "its TNAuthList cannot be read";
    if (at < 0 || twice)
        return ERR_SYNTAX;
    const ASN1_OCTET_STRING *v = X509_EXTENSION_get_data(X509_get_ext(x, at));
    return sti_numbers(
        str_of((const char *)ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v)), f);
}

enum err sti_judge(struct str pem, struct str roots, struct wall now, struct sti_facts *ret_f,
                   const char **ret_why)
{
    struct sti_facts f = {0};
    BIO *b = pem.n && pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    STACK_OF(X509) *links = sk_X509_new_null();
    X509 *leaf = b ? pem_next_cert(b) : NULL;
    X509_STORE *store = store_of(roots);
    enum err e = leaf && links ? OK : ERR_SYNTAX;
    *ret_why = "there is no certificate in it";
    if (e == OK && !store) {
        e = ERR_AUTH;
        *ret_why = "no authority is trusted";
    }
    for (X509 *x; e == OK && (x = pem_next_cert(b)) != NULL;)
        if (sk_X509_num(links) >= (int)STI_CHAIN || !sk_X509_push(links, x)) {
            X509_free(x);
            *ret_why = "its chain is too long";
            e = ERR_AUTH;
        }
    if (e == OK && !chain_good(leaf, links, store, now, &f.until, ret_why))
        e = ERR_AUTH;
    if (e == OK)
        e = leaf_facts(leaf, &f, ret_why);
    if (e == OK)
        *ret_f = f;
    X509_free(leaf);
    sk_X509_pop_free(links, X509_free);
    X509_STORE_free(store);
    BIO_free(b);
    ERR_clear_error();
    return e;
}

/* --- our own --- */

static bool add_numbers(X509_REQ *r, struct str spc)
{
    uint8_t der[STI_SPC + 6];
    size_t n = spc.n;
    der[0] = 0x30;
    der[1] = (uint8_t)(n + 4);
    der[2] = 0xa0;
    der[3] = (uint8_t)(n + 2);
    der[4] = 0x16;
    der[5] = (uint8_t)n;
    memcpy(der + 6, spc.p, n);
    ASN1_OBJECT *oid = OBJ_txt2obj(OID_TN_AUTH, 1);
    ASN1_OCTET_STRING *v = ASN1_OCTET_STRING_new();
    X509_EXTENSION *x = NULL;
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    bool ok = oid && v && list && ASN1_OCTET_STRING_set(v, der, (int)(n + 6)) == 1 &&
              (x = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, v)) != NULL;
    if (ok && sk_X509_EXTENSION_push(list, x) > 0)
        ok = X509_REQ_add_extensions(r, list) == 1;
    else
        X509_EXTENSION_free(x), ok = false;
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    ASN1_OCTET_STRING_free(v);
    ASN1_OBJECT_free(oid);
    return ok;
}

enum err sti_request(const struct key *k, struct str name, struct str spc, struct out *o)
{
    if (!name.n || name.n > 64 || !spc.n || spc.n > STI_SPC)
        return ERR_RANGE;
    X509_REQ *r = X509_REQ_new();
    BIO *b = BIO_new(BIO_s_mem());
    char *text = NULL;
    enum err e = ERR_SYSTEM;
    if (r && b && X509_REQ_set_version(r, X509_REQ_VERSION_1) == 1 &&
        X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(r), NID_commonName, MBSTRING_UTF8,
                                   (const unsigned char *)name.p, (int)name.n, -1, 0) == 1 &&
        X509_REQ_set_pubkey(r, key_evp(k)) == 1 && add_numbers(r, spc) &&
        X509_REQ_sign(r, key_evp(k), EVP_sha256()) > 0 && PEM_write_bio_X509_REQ(b, r) == 1) {
        long n = BIO_get_mem_data(b, &text);
        out_put(o, str_of(text, n > 0 ? (size_t)n : 0));
        e = out_err(o);
    }
    X509_REQ_free(r);
    BIO_free(b);
    ERR_clear_error();
    return e;
}
