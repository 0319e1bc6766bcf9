#include "base/test.h"
#include "crypto/es256.h"
#include "crypto/hash.h"
#include "identity/passport.h"
#include <stdio.h>
#include <stdlib.h>

static char mem[PASSPORT_BYTES], text[8192];

static struct str b64(const char *json, char *buf)
{
    return str_of(buf, base64url_encode((const uint8_t *)json, strlen(json), buf));
}

static enum err parse(const char *header, const char *claims, struct passport *p)
{
    static char h[4096], c[8192];
    return passport_parse(b64(header, h), b64(claims, c), mem, p);
}

#define HEAD                                                                                       \
    "{\"alg\":\"ES256\",\"ppt\":\"shaken\",\"typ\":\"passport\",\"x5u\":\"https://"                \
    "cert.example.com/a.pem\"}"
#define BASE "{\"alg\":\"ES256\",\"typ\":\"passport\",\"x5u\":\"https://cert.example.com/a.pem\"}"
#define CLAIMS                                                                                     \
    "{\"attest\":\"A\",\"dest\":{\"tn\":[\"4930111\"]},\"iat\":1700000000,\"orig\":{\"tn\":"       \
    "\"4930222\"},\"origid\":\"123e4567\"}"

static void test_round(void **s)
{
    struct passport p;
    (void)s;
    assert_int_equal(parse(HEAD, CLAIMS, &p), OK);
    assert_int_equal(p.attest, 'A');
    assert_true(str_eq(p.orig_tn, STR("4930222")) && str_eq(p.dest_tn[0], STR("4930111")));
    assert_true(p.iat == 1700000000 && str_eq(p.origid, STR("123e4567")));
    struct out o = out_of(text, sizeof text);
    passport_header_put(&o, &p);
    assert_true(str_eq(out_str(&o), STR(HEAD)));
    o = out_of(text, sizeof text);
    passport_claims_put(&o, &p);
    assert_true(str_eq(out_str(&o), STR(CLAIMS)));
}

static void test_blanks_and_order_do_not_matter(void **s)
{
    struct passport p;
    (void)s;
    assert_int_equal(parse(" { \"x5u\" : \"https:\\/\\/c.example\\/a\" , "
                           "\"typ\":\"passport\",\"alg\":\"ES256\" } ",
                           "{\"x\":[1,{\"y\":[]},{}],\"orig\":{\"tn\":\"1\"},\"iat\":0,\"dest\":{"
                           "\"uri\":[\"sip:a@example.com\"],\"tn\":[\"2\",\"3\"]}}",
                           &p),
                     OK);
    assert_true(str_eq(p.x5u, STR("https://c.example/a")) && p.n_tn == 2 && p.n_uri == 1 &&
                !p.attest);
}

static void test_refused(void **s)
{
    static const struct {
        const char *h, *c;
        enum err e;
    } rows[] = {
        {"{\"alg\":\"none\",\"typ\":\"passport\",\"x5u\":\"u\"}", CLAIMS, ERR_UNSUPPORTED},
        {"{\"alg\":\"HS256\",\"typ\":\"passport\",\"x5u\":\"u\"}", CLAIMS, ERR_UNSUPPORTED},
        {"{\"alg\":\"ES256\",\"typ\":\"jwt\",\"x5u\":\"u\"}", CLAIMS, ERR_UNSUPPORTED},
        {"{\"alg\":\"ES256\",\"typ\":\"passport\",\"ppt\":\"div\",\"x5u\":\"u\"}", CLAIMS,
         ERR_UNSUPPORTED},
        {"{\"alg\":\"ES256\",\"typ\":\"passport\",\"crit\":[\"b64\"],\"x5u\":\"u\"}", CLAIMS,
         ERR_UNSUPPORTED},
        {"{\"alg\":\"ES256\",\"alg\":\"ES256\",\"typ\":\"passport\",\"x5u\":\"u\"}", CLAIMS,
         ERR_SYNTAX},
        {"{\"alg\":\"ES256\",\"typ\":\"passport\"}", CLAIMS, ERR_SYNTAX},
        {HEAD "x", CLAIMS, ERR_SYNTAX},
        {HEAD, CLAIMS "{}", ERR_SYNTAX},
        {HEAD, "", ERR_SYNTAX},
        {HEAD, "{}", ERR_SYNTAX},
        {HEAD, "[]", ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":\"{\\\"tn\\\":\\\"1\\\"}\",\"iat\":1,\"orig\":{\"tn\":\"1\"},"
         "\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"orig\":\"{\\\"tn\\\":\\\"1\\\"}"
         "\",\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":\"1\"},\"iat\":1,\"orig\":{\"tn\":\"1\"},\"origid\":"
         "\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":[]},\"iat\":1,\"orig\":{\"tn\":\"1\"},\"origid\":"
         "\"r\"}",
         ERR_SYNTAX},
        {HEAD, "{\"attest\":\"A\",\"dest\":{},\"iat\":1,\"orig\":{\"tn\":\"1\"},\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"D\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"orig\":{\"tn\":\"1\"},\"origid\":"
         "\"r\"}",
         ERR_SYNTAX},
        {HEAD, "{\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"orig\":{\"tn\":\"1\"},\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD, "{\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"orig\":{\"tn\":\"1\"}}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":\"1\",\"orig\":{\"tn\":\"1\"},"
         "\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":-1,\"orig\":{\"tn\":\"1\"},"
         "\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1e9,\"orig\":{\"tn\":\"1\"},"
         "\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"orig\":{\"tn\":\"+1\"},"
         "\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"orig\":{\"tn\":\"1\",\"uri\":"
         "\"sip:a@b\"},\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"iat\":2,\"orig\":{\"tn\":\"1\"},"
         "\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"a\":[[[[[[1]]]]]],\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"orig\":{"
         "\"tn\":\"1\"},\"origid\":\"r\"}",
         ERR_SYNTAX},
        {HEAD,
         "{\"a\":\"\\u0000\",\"attest\":\"A\",\"dest\":{\"tn\":[\"1\"]},\"iat\":1,\"orig\":{\"tn\":"
         "\"1\"},\"origid\":\"r\"}",
         ERR_SYNTAX},
    };
    (void)s;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct passport p;
        enum err e = parse(rows[i].h, rows[i].c, &p);
        if (e != rows[i].e)
            fail_msg("row %zu: %s", i, err_name(e));
    }
}

static void test_judge(void **s)
{
    struct passport p;
    (void)s;
    struct passport_want w = {STR("4930222"),
                              STR("4930111"),
                              STR("https://cert.example.com/a.pem"),
                              {INT64_C(1700000060) * 1000000},
                              60};
    assert_int_equal(parse(HEAD, CLAIMS, &p), OK);
    assert_int_equal(passport_judge(&p, &w), REASON_NONE);
    w.now.us += 1000000;
    assert_int_equal(passport_judge(&p, &w), REASON_stir_stale);
    w.now.us = INT64_C(1699999940) * 1000000;
    assert_int_equal(passport_judge(&p, &w), REASON_NONE);
    w.now.us -= 1000000;
    assert_int_equal(passport_judge(&p, &w), REASON_stir_stale);
    w.now.us = INT64_C(1700000000) * 1000000;
    w.orig = STR("4930223");
    assert_int_equal(passport_judge(&p, &w), REASON_stir_invalid);
    w.orig = STR_NONE;
    assert_int_equal(passport_judge(&p, &w), REASON_stir_invalid);
    w.orig = STR("4930222");
    w.dest = STR("4930112");
    assert_int_equal(passport_judge(&p, &w), REASON_stir_invalid);
    w.dest = STR_NONE;
    assert_int_equal(passport_judge(&p, &w), REASON_stir_invalid);
    w.dest = STR("4930111");
    w.info = STR("https://cert.example.com/b.pem");
    assert_int_equal(passport_judge(&p, &w), REASON_stir_invalid);
}

static void test_field(void **s)
{
    struct identity_field f;
    uint8_t sig[PASSPORT_SIG], back[PASSPORT_SIG];
    (void)s;
    for (unsigned i = 0; i < sizeof sig; i++)
        sig[i] = (uint8_t)(i * 7);
    struct out o = out_of(text, sizeof text);
    identity_put(&o, STR("aGVhZA.Y2xhaW1z"), sig, STR("https://c.example.com/a;b,c"),
                 STR("shaken"));
    assert_int_equal(identity_parse(out_str(&o), &f), OK);
    assert_true(str_eq(f.info, STR("https://c.example.com/a;b,c")) && str_eq(f.ppt, STR("shaken")));
    assert_true(!f.compact && str_eq(f.header, STR("aGVhZA")) && str_eq(f.claims, STR("Y2xhaW1z")));
    assert_int_equal(identity_signature(&f, back), OK);
    assert_memory_equal(sig, back, sizeof sig);
    assert_int_equal(identity_parse(STR("..AAAA;info=<https://c>"), &f), OK);
    assert_true(f.compact);
    assert_int_equal(identity_signature(&f, back), ERR_SYNTAX);
    assert_int_equal(identity_parse(STR("a.b.c;info=<https://c>;alg=RS256"), &f), ERR_UNSUPPORTED);
    static const char *const bad[] = {"",
                                      "a.b.c",
                                      "a.b;info=<u>",
                                      ".b.c;info=<u>",
                                      "a..c;info=<u>",
                                      "a.b.c.d;info=<u>",
                                      "a.b.c;info=u",
                                      "a.b.c;info=<u",
                                      "a.b.c;info=<u>x",
                                      "a.b.c;info=<u>;info=<v>",
                                      "a.b.c;info=<u>;alg=ES256;alg=ES256",
                                      "a+.b.c;info=<u>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (identity_parse(str_c(bad[i]), &f) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
}

static void test_date_and_der(void **s)
{
    int64_t t;
    uint8_t sig[PASSPORT_SIG];
    (void)s;
    assert_int_equal(sip_date_parse(STR("Sat, 13 Nov 2010 23:29:00 GMT"), &t), OK);
    assert_true(t == 1289690940);
    assert_int_equal(sip_date_parse(STR("Sat, 13 Nov 2010 23:29:00 CET"), &t), ERR_SYNTAX);
    assert_int_equal(sip_date_parse(STR("Sat, 13 Foo 2010 23:29:00 GMT"), &t), ERR_SYNTAX);
    assert_int_equal(es256_raw(STR("\x30\x07\x02\x01\x05\x02\x02\x00\x81"), sig), OK);
    assert_true(sig[31] == 5 && sig[63] == 0x81 && sig[0] == 0);
    assert_int_equal(es256_raw(STR("\x30\x06\x02\x01\x05\x02\x01\x81"), sig), ERR_SYNTAX);
    assert_int_equal(es256_raw(STR("\x30\x07\x02\x02\x00\x05\x02\x01\x01"), sig), ERR_SYNTAX);
    assert_int_equal(es256_raw(STR("\x30\x06\x02\x01\x05\x02\x01\x01\x00"), sig), ERR_SYNTAX);
}

/* --- other people's tokens --- */

static struct str corpus(const char *name)
{
    static char buf[16384];
    char path[512];
    const char *root = getenv("RINGWALL_CORPUS");
    (void)snprintf(path, sizeof path, "%s/stir/%s", root ? root : SOURCE_ROOT "/../shared/corpus",
                   name);
    FILE *f = fopen(path, "rb");
    if (!f)
        skip();
    size_t n = fread(buf, 1, sizeof buf, f);
    (void)fclose(f);
    return str_of(buf, n);
}

static struct str value_of(struct str t, const char *key)
{
    struct str v, k = str_c(key);
    t = str_skip(t, str_search(t, k) + k.n);
    t = str_skip(t, str_find(t, '"') + 1);
    (void)str_cut(t, '"', &v);
    return v;
}

static void test_rfc8225(void **s)
{
    (void)s;
    struct str t = value_of(corpus("rfc8225-appendix-a.json"), "\"passport\":"), h, c;
    struct passport p;
    struct str rest = str_cut(t, '.', &h);
    (void)str_cut(rest, '.', &c);
    assert_int_equal(passport_parse(h, c, mem, &p), OK);
    assert_true(str_eq(p.orig_tn, STR("12155551212")) && p.iat == 1471375418 && p.n_uri == 1);
    struct out o = out_of(text, sizeof text);
    passport_put(&o, &p);
    assert_true(str_eq(out_str(&o), str_head(t, h.n + 1 + c.n)));
}

static void test_rfc7515(void **s)
{
    (void)s;
    struct str all = corpus("rfc7515-a3.json"), jws = value_of(all, "\"jws\":"), sig;
    uint8_t key[ES256_KEY] = {4}, raw[ES256_SIG];
    size_t n = 0;
    assert_int_equal(base64url_decode(value_of(all, "\"x\":"), key + 1, 32, &n), OK);
    assert_int_equal(base64url_decode(value_of(all, "\"y\":"), key + 33, 32, &n), OK);
    size_t dot = str_rfind(jws, '.');
    sig = str_skip(jws, dot + 1);
    assert_int_equal(base64url_decode(sig, raw, sizeof raw, &n), OK);
    assert_int_equal(crypto_init(), OK);
    assert_int_equal(es256_verify(key, str_head(jws, dot), raw), OK);
    raw[5] ^= 1;
    assert_int_equal(es256_verify(key, str_head(jws, dot), raw), ERR_AUTH);
    raw[5] ^= 1;
    assert_int_equal(es256_verify(key, str_head(jws, dot - 1), raw), ERR_AUTH);
    key[9] ^= 1;
    assert_int_equal(es256_verify(key, str_head(jws, dot), raw), ERR_SYNTAX);
}

static void test_strings_with_json_inside(void **s)
{
    (void)s;
    struct str t = corpus("libstirshaken/sp/passport.txt"), h, c;
    struct passport p;
    t = str_trim(str_skip(t, str_search(t, STR("signed is:")) + 10));
    struct str rest = str_cut(t, '.', &h);
    (void)str_cut(rest, '.', &c);
    assert_int_equal(passport_parse(h, c, mem, &p), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_blanks_and_order_do_not_matter),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_field),
        cmocka_unit_test(test_date_and_der),
        cmocka_unit_test(test_rfc8225),
        cmocka_unit_test(test_rfc7515),
        cmocka_unit_test(test_strings_with_json_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
