/* Names of certificates, as a list of SANs in the order the peer wrote them. */
#include "base/test.h"

#include "crypto/x509_in.h"

enum { URI = GEN_URI, DNS = GEN_DNS, IP = GEN_IPADD, MAIL = GEN_EMAIL };
struct san {
    int type;
    struct str v;
};
#define S(lit)   STR(lit)
#define SANS_MAX 4

static GENERAL_NAMES *names_of(const struct san *v)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (unsigned i = 0; i < SANS_MAX && v[i].v.p; i++) {
        GENERAL_NAME *g = GENERAL_NAME_new();
        ASN1_STRING *s =
            ASN1_STRING_type_new(v[i].type == IP ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
        assert_true(names && g && s && ASN1_STRING_set(s, v[i].v.p, (int)v[i].v.n) == 1);
        GENERAL_NAME_set0_value(g, v[i].type, s);
        assert_true(sk_GENERAL_NAME_push(names, g) > 0);
    }
    return names;
}

/* No more of a certificate than its SANs and a common name, which counts for nothing. */
static X509 *cert(const struct san *v)
{
    X509 *x = X509_new();
    assert_non_null(x);
    assert_int_equal(X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName,
                                                MBSTRING_UTF8, (const unsigned char *)"example.com",
                                                -1, -1, 0),
                     1);
    GENERAL_NAMES *names = names_of(v);
    if (v[0].v.p)
        assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT),
                         1);
    GENERAL_NAMES_free(names);
    return x;
}

static const struct {
    struct san san[SANS_MAX];
    struct str host;
    bool want;
} MATCH[] = {
    {{{URI, S("sip:example.com")}}, S("example.com"), true},
    {{{URI, S("SIP:Example.COM")}}, S("eXample.com"), true},
    {{{DNS, S("example.com")}}, S("example.com"), true},
    {{{DNS, S("EXAMPLE.com")}}, S("example.COM"), true},
    {{{DNS, S("pbx-1.example.com")}}, S("pbx-1.example.com"), true},
    {{{URI, S("sip:pbx-1.example.com")}}, S("pbx-1.example.com"), true},
    /* Any of several, first or last. */
    {{{DNS, S("a.test")}, {DNS, S("example.com")}, {DNS, S("b.test")}}, S("example.com"), true},
    {{{URI, S("sip:a.test")}, {URI, S("sip:example.com")}}, S("a.test"), true},
    {{{URI, S("sip:a.test")}, {URI, S("sip:example.com")}}, S("example.com"), true},
    {{{DNS, S("a.test")}, {DNS, S("example.com")}}, S("c.test"), false},
    /* A SIP domain is the whole truth (RFC 5922 7.1), wherever it stands. */
    {{{URI, S("sip:a.test")}, {DNS, S("example.com")}}, S("example.com"), false},
    {{{DNS, S("example.com")}, {URI, S("sip:a.test")}}, S("example.com"), false},
    {{{DNS, S("example.com")}, {URI, S("sip:a.test")}}, S("a.test"), true},
    /* What is no SIP domain leaves the word to DNS. */
    {{{URI, S("sip:alice@example.net")}, {DNS, S("example.com")}}, S("example.com"), true},
    {{{URI, S("https://example.net/")}, {DNS, S("example.com")}}, S("example.com"), true},
    {{{URI, S("sip:")}, {DNS, S("example.com")}}, S("example.com"), true},
    {{{MAIL, S("example.com")}}, S("example.com"), false},
    /* Not domains. */
    {{{URI, S("sip:alice@example.com")}}, S("example.com"), false},
    {{{URI, S("sip:example.com@example.net")}}, S("example.com"), false},
    {{{URI, S("sip:example.com:5061")}}, S("example.com"), false},
    {{{URI, S("sip:example.com:5061")}}, S("example.com:5061"), false},
    {{{URI, S("sip:example.com;transport=tls")}}, S("example.com"), false},
    {{{URI, S("sip:example.com?a=b")}}, S("example.com"), false},
    {{{URI, S("sip:example.com/")}}, S("example.com"), false},
    {{{URI, S("sips:example.com")}}, S("example.com"), false},
    {{{URI, S("example.com")}}, S("example.com"), false},
    {{{URI, S("dns:example.com")}}, S("example.com"), false},
    {{{DNS, S("sip:example.com")}}, S("example.com"), false},
    /* No wildcard, no part of a name, no dot more or less. */
    {{{DNS, S("*.example.com")}}, S("a.example.com"), false},
    {{{URI, S("sip:*.example.com")}}, S("a.example.com"), false},
    {{{DNS, S("*")}}, S("example"), false},
    {{{DNS, S("example.com")}}, S("a.example.com"), false},
    {{{DNS, S("a.example.com")}}, S("example.com"), false},
    {{{DNS, S("example.com.")}}, S("example.com"), false},
    {{{DNS, S(".example.com")}}, S("a.example.com"), false},
    /* Bytes behind a NUL. */
    {{{DNS, S("example.com\0.test")}}, S("example.com"), false},
    {{{URI, S("sip:example.com\0.test")}}, S("example.com"), false},
    {{{DNS, S("example.com\0")}}, S("example.com"), false},
    /* Nobody. */
    {{{DNS, S("")}}, S(""), false},
    {{{DNS, S("example.com")}}, S(""), false},
    {{{URI, S("sip:")}}, S(""), false},
    {{{0, {0}}}, S("example.com"), false}, /* the common name */
    /* Addresses: by an IP SAN alone. */
    {{{IP, S("\xc0\x00\x02\x01")}}, S("192.0.2.1"), true},
    {{{IP, S("\xc0\x00\x02\x01")}}, S("192.0.2.2"), false},
    {{{IP, S("\xc0\x00\x02\x02")}, {IP, S("\xc0\x00\x02\x01")}}, S("192.0.2.1"), true},
    {{{IP, S("\xc0\x00\x02\x01")}, {IP, S("\xc0\x00\x02\x02")}}, S("192.0.2.1"), true},
    {{{URI, S("sip:a.test")}, {IP, S("\xc0\x00\x02\x01")}}, S("192.0.2.1"), true},
    {{{IP, S(" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01")}}, S("2001:db8::1"), true},
    {{{IP, S(" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01")}}, S("[2001:db8::1]"), true},
    {{{IP, S(" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01")}}, S("2001:db8::2"), false},
    {{{DNS, S("192.0.2.1")}}, S("192.0.2.1"), false},
    {{{URI, S("sip:192.0.2.1")}}, S("192.0.2.1"), false},
    {{{DNS, S("2001:db8::1")}}, S("2001:db8::1"), false},
    /* Octets that are no address of that family. */
    {{{IP, S("\xc0\x00\x02")}}, S("192.0.2.1"), false},
    {{{IP, S("\xc0\x00\x02\x01\x00")}}, S("192.0.2.1"), false},
    {{{IP, S("")}}, S("192.0.2.1"), false},
    {{{IP, S("\xc0\x00\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0")}}, S("192.0.2.1"), false},
    {{{IP, S(" \x01\x0d\xb8")}}, S("2001:db8::"), false},
    {{{IP, S("example.com")}}, S("example.com"), false},
};

static void match(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(MATCH); i++) {
        X509 *x = cert(MATCH[i].san);
        if (tls_name_match(x, MATCH[i].host) != MATCH[i].want)
            fail_msg("row %zu: " STR_FMT, i, STR_ARG(MATCH[i].host));
        X509_free(x);
    }
}

/* Two lists of names, or one that cannot be read: none at all. */
static void broken(void **state)
{
    static const struct san one[SANS_MAX] = {{DNS, S("example.com")}};
    static const struct san two[SANS_MAX] = {{DNS, S("a.test")}};
    char text[64];
    size_t n = 99;
    (void)state;
    X509 *x = cert(one);
    assert_true(tls_name_match(x, STR("example.com")));
    GENERAL_NAMES *more = names_of(two);
    assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, more, 0, X509V3_ADD_APPEND), 1);
    GENERAL_NAMES_free(more);
    assert_false(tls_name_match(x, STR("example.com")));
    assert_false(tls_name_match(x, STR("a.test")));
    assert_false(tls_name_at(x, 0, text, sizeof text, &n));
    X509_free(x);

    x = X509_new();
    ASN1_OCTET_STRING *junk = ASN1_OCTET_STRING_new();
    assert_true(x && junk && ASN1_OCTET_STRING_set(junk, (const uint8_t *)"\x30\x05\x82", 3) == 1);
    X509_EXTENSION *e = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, junk);
    assert_true(e && X509_add_ext(x, e, -1) == 1);
    assert_false(tls_name_match(x, STR("example.com")));
    assert_false(tls_name_at(x, 0, text, sizeof text, &n));
    assert_int_equal(n, 99);
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(junk);
    X509_free(x);
    ERR_clear_error();
}

static const struct {
    struct san san[SANS_MAX];
    struct str told[SANS_MAX + 1];
} TOLD[] = {
    {{{URI, S("sip:alice@example.com")}, {DNS, S("pbx.example.com")}, {URI, S("sip:example.com")}},
     {S("sip:alice@example.com"), S("dns:pbx.example.com"), S("sip:example.com")}},
    /* Addresses and mail are passed over, and do not count. */
    {{{MAIL, S("alice@example.com")},
      {IP, S("\xc0\x00\x02\x01")},
      {DNS, S("a.test")},
      {URI, S("sip:b.test")}},
     {S("dns:a.test"), S("sip:b.test")}},
    /* Just printable, and one beyond on each side. */
    {{{DNS, S("!~")}, {DNS, S("a b")}, {DNS, S("a\x7f")}, {DNS, S("c")}},
     {S("dns:!~"), S("dns:c")}},
    {{{DNS, S("a\0b")}, {URI, S("sip:\xc3\xa4.test")}, {URI, S("sip:a\n")}, {DNS, S("c")}},
     {S("dns:c")}},
    {{{DNS, S("")}, {URI, S("")}, {DNS, S("c")}}, {S("dns:c")}},
    /* A URI (RFC 4501) that would be taken for a DNS name. */
    {{{URI, S("dns:example.com")}, {URI, S("DNS:example.com")}, {DNS, S("a.test")}},
     {S("dns:a.test")}},
    {{{0, {0}}}, {{0}}},
};

static void at(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TOLD); i++) {
        X509 *x = cert(TOLD[i].san);
        char text[64];
        size_t n = 0;
        unsigned k = 0;
        for (; tls_name_at(x, k, text, sizeof text, &n); k++)
            assert_str_eq(str_of(text, n), TOLD[i].told[k]);
        assert_null(TOLD[i].told[k].p);
        assert_false(tls_name_at(x, k + 1, text, sizeof text, &n));
        assert_false(tls_name_at(x, UINT32_MAX, text, sizeof text, &n));
        X509_free(x);
    }
}

/* The room for a name, from both sides. */
static void room(void **state)
{
    static const struct san v[SANS_MAX] = {{DNS, S("example.com")}, {URI, S("sip:example.com")}};
    char text[15];
    size_t n = 99;
    (void)state;
    X509 *x = cert(v);
    for (unsigned i = 0; i < 2; i++, n = 99) {
        assert_false(tls_name_at(x, i, text, sizeof text - 1, &n));
        assert_false(tls_name_at(x, i, text, 0, &n));
        assert_int_equal(n, 99);
        assert_true(tls_name_at(x, i, text, sizeof text, &n));
        assert_int_equal(n, 15);
    }
    X509_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match),
        cmocka_unit_test(broken),
        cmocka_unit_test(at),
        cmocka_unit_test(room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
