/* Revocation lists and files for phones, read back by libcrypto. */
#include "base/test.h"

#include "crypto/cert.h"
#include "crypto/x509_in.h"
#include <openssl/pkcs12.h>

#define DAY INT64_C(86400000000)
static const struct wall FROM = {INT64_C(1700000000000000)};
static const struct wall UNTIL = {INT64_C(1700000000000000) + 7 * DAY};

static struct {
    struct key *ca_key, *key;
    char ca_text[2048], text[2048];
    struct out ca, cert;
} pki;

static int set_up(void **state)
{
    (void)state;
    struct cert_spec ca = {.name = STR("Test authority"),
                           .authority = true,
                           .from = FROM,
                           .until = {FROM.us + 100 * DAY}};
    struct str san = STR("uri:sip:alice@example.com");
    struct cert_spec alice = {.name = STR("alice"),
                              .user = true,
                              .sans = &san,
                              .n_sans = 1,
                              .from = FROM,
                              .until = {FROM.us + DAY}};
    pki.ca = out_of(pki.ca_text, sizeof pki.ca_text);
    pki.cert = out_of(pki.text, sizeof pki.text);
    assert_ok(key_new(&pki.ca_key));
    assert_ok(key_new(&pki.key));
    assert_ok(cert_make(&ca, pki.ca_key, STR_NONE, pki.ca_key, &pki.ca));
    assert_ok(cert_make(&alice, pki.key, out_str(&pki.ca), pki.ca_key, &pki.cert));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    key_free(pki.ca_key);
    key_free(pki.key);
    return 0;
}

static X509 *read_cert(const struct out *o)
{
    BIO *b = BIO_new_mem_buf(o->p, (int)o->n);
    X509 *x = b ? pem_next_cert(b) : NULL;
    BIO_free(b);
    assert_non_null(x);
    return x;
}

static X509_CRL *read_list(const struct out *o)
{
    BIO *b = BIO_new_mem_buf(o->p, (int)o->n);
    X509_CRL *l = b ? PEM_read_bio_X509_CRL(b, NULL, NULL, NULL) : NULL;
    BIO_free(b);
    assert_non_null(l);
    return l;
}

static enum err list(const struct cert_revoked *v, size_t n, uint64_t number, struct out *o)
{
    enum err e = cert_crl(out_str(&pki.ca), pki.ca_key, v, n, FROM, UNTIL, number, o);
    assert_int_equal(ERR_peek_error(), 0);
    return e;
}

static int64_t us_of(const ASN1_TIME *t)
{
    struct tm tm;
    assert_int_equal(ASN1_TIME_to_tm(t, &tm), 1);
    return (int64_t)timegm(&tm) * 1000000;
}

/* Issuer, signature, version, dates and number of a list. */
static void expect_head(X509_CRL *l, uint64_t number)
{
    X509 *ca = read_cert(&pki.ca);
    uint64_t n = 0;
    assert_int_equal(X509_CRL_get_version(l), 1); /* v2 */
    assert_int_equal(X509_NAME_cmp(X509_CRL_get_issuer(l), X509_get_subject_name(ca)), 0);
    assert_int_equal(X509_CRL_verify(l, X509_get0_pubkey(ca)), 1);
    assert_int_equal(X509_CRL_get_signature_nid(l), NID_ecdsa_with_SHA256);
    assert_int_equal(us_of(X509_CRL_get0_lastUpdate(l)), FROM.us);
    assert_int_equal(us_of(X509_CRL_get0_nextUpdate(l)), UNTIL.us);
    ASN1_INTEGER *i = X509_CRL_get_ext_d2i(l, NID_crl_number, NULL, NULL);
    AUTHORITY_KEYID *id = X509_CRL_get_ext_d2i(l, NID_authority_key_identifier, NULL, NULL);
    assert_true(i && id && id->keyid && ASN1_INTEGER_get_uint64(&n, i) == 1);
    assert_int_equal(n, number);
    assert_int_equal(ASN1_OCTET_STRING_cmp(id->keyid, X509_get0_subject_key_id(ca)), 0);
    ASN1_INTEGER_free(i);
    AUTHORITY_KEYID_free(id);
    X509_free(ca);
}

static void crl_empty(void **state)
{
    static const uint64_t numbers[] = {0, 1, 255, 1700000000, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        char text[2048];
        struct out o = out_of(text, sizeof text);
        assert_ok(list(NULL, 0, numbers[i], &o));
        assert_true(str_starts(out_str(&o), STR("-----BEGIN X509 CRL-----\n")));
        assert_true(str_ends(out_str(&o), STR("-----END X509 CRL-----\n")));
        X509_CRL *l = read_list(&o);
        expect_head(l, numbers[i]);
        assert_null(X509_CRL_get_REVOKED(l));
        X509_CRL_free(l);
    }
}

/* What cert_read tells of a certificate takes just that one back; each entry has its date. */
static void crl_entries(void **state)
{
    struct cert_facts f;
    char text[4096];
    struct out o = out_of(text, sizeof text);
    (void)state;
    assert_ok(cert_read(out_str(&pki.cert), &f));
    assert_true(cert_serial_text(str_c(f.serial)));
    const struct cert_revoked v[] = {
        {"7f00000000000000000000000000000000000001", {FROM.us - 3 * DAY}},
        {f.serial, {FROM.us - DAY}},
        {"01", {FROM.us - 2 * DAY}},
        {"FE", {FROM.us + 999999}}, /* whole seconds */
    };
    assert_ok(list(v, ARRAY_LEN(v), 7, &o));
    X509_CRL *l = read_list(&o);
    X509 *x = read_cert(&pki.cert), *ca = read_cert(&pki.ca);
    X509_REVOKED *r = NULL;
    expect_head(l, 7);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(l)), 4);
    static const int order[] = {2, 3, 1, 0}; /* by number */
    for (int i = 0; i < 4; i++)
        assert_int_equal(us_of(X509_REVOKED_get0_revocationDate(
                             sk_X509_REVOKED_value(X509_CRL_get_REVOKED(l), i))),
                         v[order[i]].at.us / 1000000 * 1000000);
    assert_int_equal(X509_CRL_get0_by_cert(l, &r, x), 1);
    assert_int_equal(us_of(X509_REVOKED_get0_revocationDate(r)), FROM.us - DAY);
    assert_int_equal(X509_CRL_get0_by_cert(l, &r, ca), 0);
    X509_free(x);
    X509_free(ca);
    X509_CRL_free(l);
}

static void crl_serials(void **state)
{
    static const struct {
        const char *serial;
        enum err want;
    } rows[] = {
        {"0123456789abcdefABCDEF", OK},
        {"1234567890123456789012345678901234567890", OK},          /* CERT_SERIAL_MAX */
        {"12345678901234567890123456789012345678901", ERR_SYNTAX}, /* and one more */
        {"", ERR_SYNTAX},
        {"g1", ERR_SYNTAX},
        {"1g", ERR_SYNTAX},
        {"0x12", ERR_SYNTAX},
        {" 12", ERR_SYNTAX},
        {"12 ", ERR_SYNTAX},
        {"12\n", ERR_SYNTAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[2048];
        struct out o = out_of(text, sizeof text);
        /* The good one before does not save the list. */
        const struct cert_revoked v[] = {{"01", FROM}, {rows[i].serial, FROM}};
        assert_err(list(v, 2, 1, &o), rows[i].want);
        assert_int_equal(o.n > 0, rows[i].want == OK);
    }
}

static void crl_refusals(void **state)
{
    char text[2048];
    struct out o = out_of(text, sizeof text);
    const struct cert_revoked v = {"01", FROM};
    (void)state;
    assert_err(cert_crl(STR_NONE, pki.ca_key, &v, 1, FROM, UNTIL, 1, &o), ERR_SYNTAX);
    assert_err(cert_crl(STR("rubbish"), pki.ca_key, &v, 1, FROM, UNTIL, 1, &o), ERR_SYNTAX);
    assert_err(
        cert_crl(str_head(out_str(&pki.ca), pki.ca.n / 2), pki.ca_key, &v, 1, FROM, UNTIL, 1, &o),
        ERR_SYNTAX);
    assert_err(cert_crl(out_str(&pki.ca), pki.key, &v, 1, FROM, UNTIL, 1, &o), ERR_AUTH);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(o.n, 0);
    /* The room for the text, from both sides. */
    assert_ok(list(&v, 1, 1, &o));
    struct out small = out_of(text, 100);
    assert_err(list(&v, 1, 1, &small), ERR_FULL);
}

static enum err phone(const char *pass, uint8_t *ret, size_t cap, size_t *ret_n)
{
    enum err e = cert_p12(out_str(&pki.cert), pki.key, out_str(&pki.ca), pass, "alice's phone", ret,
                          cap, ret_n);
    assert_int_equal(ERR_peek_error(), 0);
    return e;
}

static void p12_file(void **state)
{
    uint8_t file[4096];
    size_t n = 0;
    EVP_PKEY *k = NULL;
    X509 *x = NULL, *want = read_cert(&pki.cert), *ca = read_cert(&pki.ca);
    STACK_OF(X509) *more = NULL;
    int len = 0;
    (void)state;
    assert_ok(phone("open sesame", file, sizeof file, &n));
    const uint8_t *at = file;
    PKCS12 *p = d2i_PKCS12(NULL, &at, (long)n);
    assert_non_null(p);
    assert_ptr_equal(at, file + n);
    assert_int_equal(PKCS12_verify_mac(p, "open sesame", -1), 1);
    assert_int_equal(PKCS12_verify_mac(p, "open sesam", -1), 0);
    assert_int_equal(PKCS12_verify_mac(p, "", 0), 0);
    assert_int_equal(PKCS12_parse(p, "open sesame", &k, &x, &more), 1);
    assert_int_equal(X509_cmp(x, want), 0);
    assert_int_equal(EVP_PKEY_eq(k, key_evp(pki.key)), 1);
    assert_int_equal(sk_X509_num(more), 1);
    assert_int_equal(X509_cmp(sk_X509_value(more, 0), ca), 0);
    assert_string_equal(X509_alias_get0(x, &len), "alice's phone");
    EVP_PKEY_free(k);
    X509_free(x);
    X509_free(want);
    X509_free(ca);
    sk_X509_pop_free(more, X509_free);
    PKCS12_free(p);
    ERR_clear_error();
}

static bool holds(const uint8_t *file, size_t n, const char *oid)
{
    uint8_t der[32];
    ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
    uint8_t *end = der;
    int len = i2d_ASN1_OBJECT(o, &end);
    ASN1_OBJECT_free(o);
    assert_in_range(len, 3, 32);
    struct str all = str_of((const char *)file, n);
    return str_search(all, str_of((const char *)der, (size_t)len)) < n;
}

/* PBES2 with PBKDF2 and AES-256-CBC; nothing of the old PBE families, nothing bare. */
static void p12_ciphers(void **state)
{
    uint8_t file[4096], again[4096];
    char serial[CERT_SERIAL_MAX / 2];
    struct cert_facts f;
    size_t n = 0, m = 0;
    (void)state;
    assert_ok(phone("open sesame", file, sizeof file, &n));
    assert_true(holds(file, n, "1.2.840.113549.1.5.13"));
    assert_true(holds(file, n, "1.2.840.113549.1.5.12"));
    assert_true(holds(file, n, "2.16.840.1.101.3.4.1.42"));
    assert_false(holds(file, n, "1.2.840.113549.1.12.1.3")); /* 3DES */
    assert_false(holds(file, n, "1.2.840.113549.1.12.1.6")); /* RC2-40 */
    struct str all = str_of((const char *)file, n);
    unsigned rounds = 0; /* 100000 of them: certificates, key, and the tag over all */
    for (size_t i = 0; i < n; i++)
        rounds += str_starts(str_skip(all, i), STR("\x02\x03\x01\x86\xa0"));
    assert_int_equal(rounds, 3);
    assert_int_equal(str_search(all, STR("alice")), n); /* its certificate is not in the clear */
    assert_ok(cert_read(out_str(&pki.cert), &f));
    size_t half = strlen(f.serial) / 2;
    assert_ok(hex_decode(str_c(f.serial), (uint8_t *)serial, half));
    assert_int_equal(str_search(all, str_of(serial, half)), n);
    assert_ok(phone("open sesame", again, sizeof again, &m)); /* fresh salt each time */
    assert_false(str_eq(all, str_of((const char *)again, m)));
}

static void p12_refusals(void **state)
{
    uint8_t file[4096] = {0};
    size_t n = 0, other = 77;
    struct str c = out_str(&pki.cert), ca = out_str(&pki.ca);
    (void)state;
    assert_err(cert_p12(STR_NONE, pki.key, ca, "x", "a", file, sizeof file, &other), ERR_SYNTAX);
    assert_err(cert_p12(STR("no"), pki.key, ca, "x", "a", file, sizeof file, &other), ERR_SYNTAX);
    assert_err(cert_p12(c, pki.key, STR_NONE, "x", "a", file, sizeof file, &other), ERR_SYNTAX);
    assert_err(cert_p12(c, pki.key, STR("no"), "x", "a", file, sizeof file, &other), ERR_SYNTAX);
    assert_err(cert_p12(c, pki.ca_key, ca, "x", "a", file, sizeof file, &other), ERR_SYSTEM);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(file[0], 0);
    assert_ok(phone("x", file, sizeof file, &n));
    /* A salt of fixed length: its size is the same each time. */
    memset(file, 0, sizeof file);
    assert_err(phone("x", file, n - 1, &other), ERR_LIMIT);
    assert_err(phone("x", file, 0, &other), ERR_LIMIT);
    assert_int_equal(file[0], 0);
    assert_int_equal(other, 77);
    assert_ok(phone("x", file, n, &other));
    assert_int_equal(other, n);
    assert_int_equal(file[n], 0);
}

static void serial_text(void **state)
{
    static const struct {
        const char *s;
        bool want;
    } rows[] = {
        {"0123456789abcdefABCDEF", true},
        {"00000000000000000000", true}, /* 20 */
        {"000000000000000000", false},
        {"000000000000000000000", false}, /* odd */
        {"1234567890123456789012345678901234567890", true},
        {"123456789012345678901234567890123456789012", false},
        {"0123456789abcdef012g", false},
        {"g123456789abcdef0123", false},
        {"0123456789abcdef 123", false},
        {"0x23456789abcdef0123", false},
        {"01:23:45:67:89:ab:cd", false},
        {"-123456789abcdef0123", false},
        {"`123456789abcdef0123", false}, /* beside a, 0 and 9 */
        {"/123456789abcdef0123", false},
        {":123456789abcdef0123", false},
        {"", false},
        {"alice.example.com.pem", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (cert_serial_text(str_c(rows[i].s)) != rows[i].want)
            fail_msg("%s", rows[i].s);
    assert_false(cert_serial_text(STR_NONE));
    assert_false(cert_serial_text(STR("0123456789abcdef012\0")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crl_empty),    cmocka_unit_test(crl_entries),
        cmocka_unit_test(crl_serials),  cmocka_unit_test(crl_refusals),
        cmocka_unit_test(p12_file),     cmocka_unit_test(p12_ciphers),
        cmocka_unit_test(p12_refusals), cmocka_unit_test(serial_text),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
