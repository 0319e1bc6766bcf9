#include "base/test.h"

#include "crypto/cert.h"

#define DAY INT64_C(86400000000)
static const struct wall FROM = {INT64_C(1700000000000000)};

static struct cert_spec authority(void)
{
    return (struct cert_spec){.name = STR("Test authority"),
                              .authority = true,
                              .from = FROM,
                              .until = {FROM.us + 100 * DAY}};
}

static void test_chain(void **state)
{
    (void)state;
    struct key *ca_key = NULL, *key = NULL;
    char ca_text[4096], text[8192];
    struct out ca = out_of(ca_text, sizeof(ca_text)), o = out_of(text, sizeof(text));
    struct cert_spec spec = authority();
    struct cert_facts f;
    assert_ok(key_new(&ca_key));
    assert_ok(key_new(&key));
    assert_ok(cert_make(&spec, ca_key, STR_NONE, ca_key, &ca));
    assert_ok(cert_read(out_str(&ca), &f));
    assert_true(f.authority);
    assert_int_equal(f.in_chain, 1);
    assert_str(str_c(f.subject), "Test authority");
    assert_str(str_c(f.sans), "");
    assert_int_equal(f.from.us, FROM.us);
    assert_int_equal(f.until.us, FROM.us + 100 * DAY);
    assert_int_equal(strlen(f.sha256), 64);

    const struct str sans[] = {STR("uri:sip:example.com"), STR("dns:pbx.example.com"),
                               STR("ip:192.0.2.1"), STR("ip:2001:db8::1")};
    spec = (struct cert_spec){.name = STR("example.com"),
                              .sans = sans,
                              .n_sans = ARRAY_LEN(sans),
                              .from = FROM,
                              .until = {FROM.us + DAY}};
    assert_ok(cert_make(&spec, key, out_str(&ca), ca_key, &o));
    out_put(&o, out_str(&ca));
    assert_ok(cert_read(out_str(&o), &f));
    assert_false(f.authority);
    assert_int_equal(f.in_chain, 2);
    assert_str(str_c(f.sans), "sip:example.com dns:pbx.example.com");
    assert_ok(cert_fits(out_str(&o), key));
    assert_err(cert_fits(out_str(&o), ca_key), ERR_AUTH);
    assert_err(cert_fits(STR("none"), key), ERR_SYNTAX);
    key_free(ca_key);
    key_free(key);
}

static void test_refusals(void **state)
{
    (void)state;
    struct key *a = NULL, *b = NULL;
    char text[4096], ca_text[4096];
    struct out o = out_of(text, sizeof(text)), ca = out_of(ca_text, sizeof(ca_text));
    struct cert_spec spec = authority();
    assert_ok(key_new(&a));
    assert_ok(key_new(&b));
    assert_ok(cert_make(&spec, a, STR_NONE, a, &ca));
    assert_err(cert_make(&spec, b, out_str(&ca), b, &o), ERR_AUTH); /* not the authority's key */
    assert_err(cert_make(&spec, a, STR_NONE, b, &o), ERR_AUTH);
    assert_err(cert_make(&spec, a, STR("rubbish"), a, &o), ERR_SYNTAX);
    spec.name = STR_NONE;
    assert_err(cert_make(&spec, a, STR_NONE, a, &o), ERR_RANGE);
    spec = authority();
    spec.until = spec.from;
    assert_err(cert_make(&spec, a, STR_NONE, a, &o), ERR_RANGE);
    static const char *const bad[] = {
        "example.com", "dns:",         "uri:", "ip:300.0.2.1", "ip:",         "dns:a b.com",
        "dns:a\nb",    "dns:\xc3\xa4", "",     "email:a@b",    "ip:host.test"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct str san = str_c(bad[i]);
        spec = (struct cert_spec){
            .name = STR("x"), .sans = &san, .n_sans = 1, .from = FROM, .until = {FROM.us + DAY}};
        assert_err(cert_make(&spec, a, STR_NONE, a, &o), ERR_SYNTAX);
    }
    assert_int_equal(o.n, 0);
    struct out small = out_of(text, 100);
    spec = authority();
    assert_err(cert_make(&spec, a, STR_NONE, a, &small), ERR_FULL);
    struct cert_facts f;
    assert_err(cert_read(STR_NONE, &f), ERR_SYNTAX);
    key_free(a);
    key_free(b);
}

static void test_many_sans(void **state)
{
    (void)state;
    struct key *k = NULL;
    char names[CERT_SANS_MAX + 1][64], text[8192];
    struct str sans[CERT_SANS_MAX + 1];
    struct out o = out_of(text, sizeof(text));
    struct cert_facts f;
    for (unsigned i = 0; i <= CERT_SANS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "dns:a-rather-long-name-%u.example.com", i);
        sans[i] = str_c(names[i]);
    }
    struct cert_spec spec = {.name = STR("x"),
                             .sans = sans,
                             .n_sans = CERT_SANS_MAX + 1,
                             .from = FROM,
                             .until = {FROM.us + DAY}};
    assert_ok(key_new(&k));
    assert_err(cert_make(&spec, k, STR_NONE, k, &o), ERR_LIMIT);
    spec.n_sans--;
    assert_ok(cert_make(&spec, k, STR_NONE, k, &o));
    assert_ok(cert_read(out_str(&o), &f));
    assert_true(strlen(f.sans) < sizeof(f.sans)); /* cut at a whole name */
    assert_true(str_ends(str_c(f.sans), STR(".example.com")));
    key_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_many_sans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
