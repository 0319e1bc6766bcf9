#include "base/test.h"

#include "wire/jose/jwt.h"

static void test_json(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } rows[] = {{"{}", true},
                {" [ ] ", true},
                {"{\"a\":1,\"b\":[true,false,null,{\"c\":\"x\\u00e9\"}]}", true},
                {"-0.5e+10", true},
                {"\"\"", true},
                {"", false},
                {"{", false},
                {"{]", false},
                {"[}", false},
                {"{\"a\"}", false},
                {"{\"a\":}", false},
                {"{\"a\":1,}", false},
                {"[1,]", false},
                {"[1 2]", false},
                {"01", false},
                {"1.", false},
                {"1e", false},
                {"+1", false},
                {"tru", false},
                {"\"\\x\"", false},
                {"\"\\u12g4\"", false},
                {"\"a", false},
                {"\"\t\"", false},
                {"{\"\\u0061\":1}", false},
                {"{} {}", false},
                {"[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", true},
                {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", false}};
    struct json v;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if ((json_read(str_c(rows[i].text), &v) == OK) != rows[i].good)
            fail_msg("%s", rows[i].text);
    assert_err(json_read(STR("[[[[[[[[[[[[[[[[[1"), &v), ERR_LIMIT);
}

static void test_members(void **state)
{
    (void)state;
    struct json o, v;
    int64_t n = 0;
    size_t at = 0;
    assert_ok(json_read(
        STR("{\"a\":\"x\",\"n\": 17 ,\"l\":[ \"p\", 2 ,{}],\"a2\":\"\\n\",\"t\":1,\"t\":2}"), &o));
    assert_str(json_text(&o, STR("a")), "x");
    assert_int_equal(json_text(&o, STR("a2")).n, 0); /* escapes */
    assert_int_equal(json_text(&o, STR("n")).n, 0);
    assert_ok(json_seconds(&o, STR("n"), &n));
    assert_int_equal(n, 17);
    assert_err(json_get(&o, STR("t"), &v), ERR_SYNTAX);
    assert_err(json_get(&o, STR("z"), &v), ERR_NOT_FOUND);
    assert_err(json_seconds(&o, STR("a"), &n), ERR_SYNTAX);
    assert_ok(json_get(&o, STR("l"), &v));
    struct json one;
    unsigned count = 0;
    while (json_each(&v, &at, &one))
        count++;
    assert_int_equal(count, 3);
    assert_int_equal(one.kind, JOSE_OBJECT);
    assert_err(json_get(&v, STR("a"), &one), ERR_SYNTAX);
}

static void test_b64(void **state)
{
    (void)state;
    uint8_t out[8];
    size_t n = 0;
    assert_ok(b64url_decode(STR("-_8"), out, sizeof out, &n));
    assert_int_equal(n, 2);
    assert_int_equal(out[0], 0xfb);
    assert_int_equal(out[1], 0xff);
    assert_ok(b64url_decode(STR(""), out, sizeof out, &n));
    assert_int_equal(n, 0);
    static const char *const bad[] = {"A", "+A", "AA==", "AB", "A A", "AAAAA", "-_9"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(b64url_decode(str_c(bad[i]), out, sizeof out, &n), ERR_SYNTAX);
    assert_ok(b64url_decode(STR("AAAAAAAAAAA"), out, 8, &n));
    assert_err(b64url_decode(STR("AAAAAAAAAAA"), out, 7, &n), ERR_LIMIT);
}

/* eyJhbGciOiJSUzI1NiJ9 = {"alg":"RS256"}, eyJleHAiOjF9 = {"exp":1} */
static void test_tokens(void **state)
{
    (void)state;
    char mem[JWT_TOKEN_MAX], big[JWT_TOKEN_MAX + 8];
    struct jwt t;
    assert_ok(jwt_parse(STR("eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9.AAAA"), mem, &t));
    assert_int_equal(t.alg, JWT_RS256);
    assert_int_equal(t.exp, 1);
    assert_int_equal(t.sig_n, 3);
    assert_str(t.input, "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9");
    static const struct {
        const char *token;
        enum err e;
    } rows[] = {
        {"eyJhbGciOiJub25lIn0.eyJleHAiOjF9.AAAA", ERR_UNSUPPORTED},  /* none */
        {"eyJhbGciOiJub25lIn0.eyJleHAiOjF9.", ERR_SYNTAX},           /* none, unsigned */
        {"eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.AAAA", ERR_UNSUPPORTED}, /* HS256 */
        {"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9", ERR_SYNTAX},           /* two parts */
        {"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9.AAAA.AAAA", ERR_SYNTAX}, /* four */
        {"eyJhbGciOiJSUzI1NiJ9.e30.AAAA", ERR_SYNTAX},               /* no exp */
        {"eyJhbGciOiJSUzI1NiJ9.W10.AAAA", ERR_SYNTAX},               /* a list */
        {"e30.eyJleHAiOjF9.AAAA", ERR_UNSUPPORTED},                  /* no alg */
        {"..", ERR_SYNTAX},
        {"", ERR_SYNTAX},
        {"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9.A*AA", ERR_SYNTAX},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        assert_err(jwt_parse(str_c(rows[i].token), mem, &t), rows[i].e);
    memset(big, 'A', sizeof big);
    assert_err(jwt_parse(str_of(big, JWT_TOKEN_MAX + 1), mem, &t), ERR_LIMIT);
    /* crit: {"alg":"ES256","crit":["x"]} */
    assert_err(jwt_parse(STR("eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ.eyJleHAiOjF9.AAAA"), mem, &t),
               ERR_UNSUPPORTED);
}

static void test_keys(void **state)
{
    (void)state;
    struct json o;
    struct jwk k;
#define X32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    static const struct {
        const char *text;
        enum err e;
        uint8_t alg;
    } rows[] = {
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X32 "\"}", OK, JWT_EDDSA},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}", OK, JWT_ES256},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X32 "\"}", ERR_SYNTAX, 0},
        {"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}", OK, 0},
        {"{\"kty\":\"oct\",\"k\":\"AAAA\"}", ERR_RANGE, 0},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"AA\"}", ERR_RANGE, 0},
        {"{\"kty\":\"RSA\",\"n\":\"" X32 "\",\"e\":\"AQAB\"}", ERR_RANGE, 0},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", ERR_SYNTAX, 0},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"use\":\"enc\",\"x\":\"" X32 "\"}", OK, 0},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"ES256\",\"x\":\"" X32 "\"}", OK, 0},
        {"{}", ERR_SYNTAX, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        assert_ok(json_read(str_c(rows[i].text), &o));
        assert_err(jwk_parse(&o, &k), rows[i].e);
        if (rows[i].e == OK)
            assert_int_equal(k.alg, rows[i].alg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),   cmocka_unit_test(test_members), cmocka_unit_test(test_b64),
        cmocka_unit_test(test_tokens), cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
