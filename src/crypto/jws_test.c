#include "base/test.h"
#include "crypto/jws.h"

/* RFC 8037 A.4, RFC 7515 A.3: keys and signatures in base64url. */
static void vectors(void **state)
{
    static const struct {
        enum jws_kind kind;
        const char *key[2], *input, *sig;
    } row[] = {
        {JWS_EDDSA,
         {"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", ""},
         "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
         "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
        {JWS_ES256,
         {"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
          "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
         "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
         "LmNvbS9pc19yb290Ijp0cnVlfQ",
         "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    };
    static const uint8_t e[4];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint8_t k[128], sig[128];
        size_t n = 0, all = 0, sig_n = 0;
        for (unsigned j = 0; j < 2 && row[i].key[j][0]; j++, all += n)
            assert_ok(base64url_decode(str_c(row[i].key[j]), k + all, sizeof k - all, &n));
        assert_ok(base64url_decode(str_c(row[i].sig), sig, sizeof sig, &sig_n));
        struct str whose = str_of((const char *)k, all), s = str_of((const char *)sig, sig_n);
        assert_ok(jws_verify(row[i].kind, whose, e, str_c(row[i].input), s));
        assert_err(jws_verify(row[i].kind, whose, e, str_skip(str_c(row[i].input), 1), s),
                   ERR_AUTH);
        sig[sig_n - 1] ^= 1;
        assert_err(jws_verify(row[i].kind, whose, e, str_c(row[i].input), s), ERR_AUTH);
        assert_int_not_equal(
            jws_verify(row[i].kind, str_head(whose, all - 1), e, str_c(row[i].input), s), OK);
    }
}

static void no_keys(void **state)
{
    static const uint8_t e[4] = {0, 1, 0, 1};
    char zeros[512] = {0};
    (void)state;
    static const enum jws_kind kind[] = {JWS_RS256, JWS_ES256, JWS_EDDSA};
    for (size_t i = 0; i < ARRAY_LEN(kind); i++) {
        assert_err(jws_verify(kind[i], STR_NONE, e, STR("a"), str_of(zeros, 64)), ERR_SYNTAX);
        assert_int_not_equal(jws_verify(kind[i], str_of(zeros, 64), e, STR("a"), str_of(zeros, 64)),
                             OK);
        assert_int_not_equal(jws_verify(kind[i], str_of(zeros, 32), e, STR("a"), str_of(zeros, 64)),
                             OK);
        assert_int_not_equal(jws_verify(kind[i], str_of(zeros, 256), e, STR("a"), STR_NONE), OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(no_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
