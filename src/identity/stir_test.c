#include "base/test.h"
#include "identity/stir.h"

#define TEXT "certs.example.com sti.example.net"
static struct stir_policy policy(void)
{
    struct stir_policy p;
    stir_policy_default(&p);
    p.verify = true;
    p.n_allow = 2;
    p.allow[0] = (struct span){0, 17};
    p.allow[1] = (struct span){18, 15};
    return p;
}

static void urls(void **state)
{
    static const struct {
        const char *url;
        bool may;
    } row[] = {
        {"https://certs.example.com/a.pem", true},
        {"HTTPS://Certs.Example.COM/a.pem?x=1", true},
        {"https://sti.example.net:443/", true},
        {"https://sti.example.net:8443/a/b", true},
        {"https://sti.example.net", false},
        {"https://sti.example.net?x/", false},
        {"https://sti.example.net:/a", false},
        {"https://sti.example.net:8444/a", false},
        {"https://sti.example.net:0443/a", false},
        {"https://sti.example.net:443:443/a", false},
        {"http://certs.example.com/a.pem", false},
        {"https://example.com/a.pem", false},
        {"https://x.certs.example.com/a.pem", false},
        {"https://certs.example.com.example.org/a", false},
        {"https://certs.example.com@example.org/a", false},
        {"https://alice@certs.example.com/a", false},
        {"https://example.org/https://certs.example.com/a", false},
        {"https://certs.example.com/a b", false},
        {"https://certs.example.com/a\r\nX: y", false},
        {"https://certs.example.com/a#b", false},
        {"https://certs.example.com\\a/b", false},
        {"https://certs.example.com/<a>", false},
        {"https://certs.example.com/\x7f", false},
        {"https://certs.example.com/\xc3\xa4", false},
        {"https:///a", false},
        {"https://", false},
        {"", false},
    };
    struct stir_policy p = policy();
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        if (stir_url_allowed(&p, STR(TEXT), str_c(row[i].url)) != row[i].may)
            fail_msg("row %zu: %s", i, row[i].url);
    p.n_allow = 1;
    assert_false(stir_url_allowed(&p, STR(TEXT), STR("https://sti.example.net/a")));
    p.n_allow = 0;
    assert_false(stir_url_allowed(&p, STR(TEXT), STR("https://certs.example.com/a")));
}

static void valid(void **state)
{
    struct stir_policy p = policy();
    (void)state;
    assert_int_equal(p.fresh_s, 60); /* RFC 8224 12.1 */
    assert_ok(stir_policy_valid(&p));
    p.n_allow = STIR_ALLOW;
    assert_ok(stir_policy_valid(&p));
    p.n_allow++;
    assert_err(stir_policy_valid(&p), ERR_RANGE);
    p.n_allow = 0;
    assert_err(stir_policy_valid(&p), ERR_RANGE);
    p.verify = false;
    assert_ok(stir_policy_valid(&p));
    p = policy();
    p.fresh_s = 3600;
    assert_ok(stir_policy_valid(&p));
    p.fresh_s = 3601;
    assert_err(stir_policy_valid(&p), ERR_RANGE);
    p.fresh_s = 0;
    assert_err(stir_policy_valid(&p), ERR_RANGE);
    p = policy();
    p.sign = true;
    assert_err(stir_policy_valid(&p), ERR_RANGE); /* nobody could verify that */
    p.x5u = p.allow[0];
    assert_ok(stir_policy_valid(&p));
    p.key = STIR_KEYS - 1;
    assert_ok(stir_policy_valid(&p));
    p.key = STIR_KEYS;
    assert_err(stir_policy_valid(&p), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(urls), cmocka_unit_test(valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
