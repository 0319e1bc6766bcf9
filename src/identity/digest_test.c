#include "base/test.h"

#include "crypto/hash.h"
#include "identity/digest.h"

struct row {
    enum digest_alg alg;
    const char *user, *realm, *password, *method, *uri, *nonce, *nc, *cnonce, *qop, *body;
    const char *response;
};

static void check(const struct row *r)
{
    char ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX], got[DIGEST_HEX_MAX];
    size_t n = digest_hex_chars(r->alg);
    bool whole = strcmp(r->qop, "auth-int") == 0;
    assert_ok(digest_ha1(r->alg, str_c(r->user), str_c(r->realm), str_c(r->password), ha1));
    assert_ok(digest_ha2(r->alg, str_c(r->method), str_c(r->uri), whole, str_c(r->body), ha2));
    assert_ok(digest_response(r->alg, str_of(ha1, n), str_c(r->nonce), str_c(r->nc),
                              str_c(r->cnonce), str_c(r->qop), str_of(ha2, n), got));
    assert_str_eq(str_of(got, n), str_c(r->response));
}

#define RFC7616                                                                                    \
    "Mufasa", "http-auth@example.org", "Circle of Life", "GET", "/dir/index.html",                 \
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "00000001",                                \
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "auth", ""
#define ALICE(qop, method, uri, body)                                                              \
    "alice", "example.com", "wonderland-77", method, uri, "N0nce", "0000000a", "cn", qop, body

static void test_responses(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* RFC 2617 3.5, RFC 7616 3.9.1 */
        {DIGEST_MD5, "Mufasa", "testrealm@host.com", "Circle Of Life", "GET", "/dir/index.html",
         "dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b", "auth", "",
         "6629fae49393a05397450978507c4ef1"},
        {DIGEST_MD5, RFC7616, "8ca523f5e9506fed4657c9700eebdbec"},
        {DIGEST_SHA256, RFC7616,
         "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
        /* own, computed by Python's hashlib */
        {DIGEST_SHA512_256, ALICE("auth", "REGISTER", "sip:example.com", ""),
         "190307ef4a919159913b5689ab3fbb7ce822c12a0872b993b315f34a082aaaec"},
        {DIGEST_SHA256, ALICE("auth", "REGISTER", "sip:example.com", ""),
         "9b8a2be0ff021d91fd35a420f4c8734bb6b4343c12a75e3a1874a302dc038635"},
        {DIGEST_MD5, ALICE("auth", "REGISTER", "sip:example.com", ""),
         "4b821523481184d456fa1993dc4a2fb6"},
        {DIGEST_SHA512_256, ALICE("auth-int", "INVITE", "sip:bob@example.com", "v=0\r\n"),
         "cf81c1d0b07745655ab5000352e708d1765511f00c4926b7917d3e57030c04db"},
        {DIGEST_SHA256, ALICE("auth-int", "INVITE", "sip:bob@example.com", "v=0\r\n"),
         "8e82f1fe6189ec2c25779fd5ca993adc109fe17430ef7b6afa33bb98194afbb7"},
        {DIGEST_MD5, ALICE("auth-int", "INVITE", "sip:bob@example.com", "v=0\r\n"),
         "6191edccac3e8666cb51f686b301ba27"},
        /* no qop: RFC 2069 */
        {DIGEST_SHA256, ALICE("", "REGISTER", "sip:example.com", ""),
         "749d7333e24b49d1a2462e0bdf7aa535ea4539795d713efca11eefefd61438aa"},
        {DIGEST_MD5, ALICE("", "REGISTER", "sip:example.com", ""),
         "b18ac5ade07cb6c27cccc71405a42757"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(&rows[i]);
}

/* The text of member key in the object that begins at p; objects of the corpus are flat. */
static bool corpus_member(const char *p, const char *key, char *ret, size_t cap)
{
    char pattern[64];
    const char *end = strchr(p, '}');
    (void)snprintf(pattern, sizeof(pattern), "\"%s\": \"", key);
    const char *at = strstr(p, pattern);
    if (!at || !end || at > end)
        return false;
    at += strlen(pattern);
    size_t n = strcspn(at, "\"");
    if (n >= cap)
        return false;
    memcpy(ret, at, n);
    ret[n] = '\0';
    return true;
}

static void test_corpus_vectors(void **state)
{
    (void)state;
    char path[512];
    static char file[16384];
    size_t n = 0;
    unsigned cases = 0;
    if (!test_corpus(path, sizeof(path), "crypto-vectors/digest-auth.json"))
        skip();
    assert_true(test_read(path, file, sizeof(file) - 1, &n));
    for (const char *p = strchr(file + 1, '{'); p; p = strchr(p + 1, '{')) {
        char v[11][128];
        static const char *const keys[] = {"username", "realm",    "password", "method",
                                           "uri",      "nonce",    "nc",       "cnonce",
                                           "qop",      "response", "algorithm"};
        for (unsigned k = 0; k < ARRAY_LEN(keys); k++)
            assert_true(corpus_member(p, keys[k], v[k], sizeof(v[k])));
        struct row r = {DIGEST_MD5, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], "", v[9]};
        assert_ok(digest_alg_parse(str_c(v[10]), &r.alg));
        check(&r);
        cases++;
    }
    assert_true(cases >= 3);
}

static void test_algorithms(void **state)
{
    (void)state;
    enum digest_alg a = DIGEST_SHA256;
    for (unsigned i = 0; i < DIGEST_ALG_COUNT; i++) {
        assert_ok(digest_alg_parse(digest_alg_name((enum digest_alg)i), &a));
        assert_int_equal(a, i);
        assert_int_equal(digest_hex_chars(a), a == DIGEST_MD5 ? 32 : 64);
    }
    assert_ok(digest_alg_parse(STR("sha-256"), &a));
    assert_int_equal(a, DIGEST_SHA256);
    assert_ok(digest_alg_parse(STR_NONE, &a));
    assert_int_equal(a, DIGEST_MD5);
    static const char *const others[] = {"SHA-256-sess", "MD5-sess", "SHA-512",
                                         "SHA256",       "SHA-25",   "MD5 "};
    for (unsigned i = 0; i < ARRAY_LEN(others); i++)
        assert_err(digest_alg_parse(str_c(others[i]), &a), ERR_UNSUPPORTED);
    assert_int_equal(a, DIGEST_MD5); /* errors write nothing */
    assert_int_equal(digest_hex_chars(DIGEST_ALG_COUNT), 0);
    char hex[DIGEST_HEX_MAX];
    assert_err(digest_ha1(DIGEST_ALG_COUNT, STR("a"), STR("b"), STR("c"), hex), ERR_UNSUPPORTED);
}

/* Every part counts: moving one byte over a colon changes the digest. */
static void test_parts(void **state)
{
    (void)state;
    char a[DIGEST_HEX_MAX], b[DIGEST_HEX_MAX];
    assert_ok(digest_ha1(DIGEST_SHA256, STR("alice"), STR("r"), STR("pw"), a));
    assert_ok(digest_ha1(DIGEST_SHA256, STR("alic"), STR("er"), STR("pw"), b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_ok(digest_ha1(DIGEST_SHA256, STR("alice"), STR("r"), STR("pw "), b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_ok(digest_ha2(DIGEST_SHA256, STR("INVITE"), STR("sip:a"), false, STR("body"), a));
    assert_ok(digest_ha2(DIGEST_SHA256, STR("INVITE"), STR("sip:a"), false, STR_NONE, b));
    assert_memory_equal(a, b, sizeof(a));
    assert_ok(digest_ha2(DIGEST_SHA256, STR("INVITE"), STR("sip:a"), true, STR("body"), b));
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_corpus_vectors),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_parts),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
