#include "base/out.h"
#include "base/test.h"
#include "wire/sip/hdr.h"

static struct sip_auth a;

static void credentials(void **state)
{
    (void)state;
    assert_ok(sip_auth_parse(
        STR("Digest username=\"alice\", REALM=\"example.com\",\r\n nonce=\"a\\\"b\" ,"
            "uri=\"sip:example.com\",response=\"00ff\",algorithm=SHA-256, cnonce=\"c,d\","
            "opaque=\"\",qop=auth,nc=00000001,stale=FALSE,other=x"),
        &a));
    assert_str(a.scheme, "Digest");
    assert_str(a.username, "alice");
    assert_str(a.realm, "example.com");
    assert_str(a.nonce, "a\\\"b");
    assert_str(a.uri, "sip:example.com");
    assert_str(a.response, "00ff");
    assert_str(a.algorithm, "SHA-256");
    assert_str(a.cnonce, "c,d");
    assert_str(a.opaque, "");
    assert_non_null(a.opaque.p);
    assert_str(a.qop, "auth");
    assert_str(a.nc, "00000001");
    assert_str(a.stale, "FALSE");
}

static void other_schemes(void **state)
{
    (void)state;
    assert_ok(sip_auth_parse(STR(" Bearer  abc.def== "), &a));
    assert_str(a.scheme, "Bearer");
    assert_str(a.rest, "abc.def==");
    assert_null(a.realm.p);
    assert_ok(sip_auth_parse(STR("dIGEST realm=x"), &a));
    assert_str(a.realm, "x");
}

static void refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "Digest",
                                      "Digest ",
                                      "=x",
                                      "Digest realm",
                                      "Digest realm=",
                                      "Digest =\"x\"",
                                      "Digest realm=\"x",
                                      "Digest realm=\"x\\\"",
                                      "Digest realm=\"x\"nonce=\"y\"",
                                      "Digest realm=\"x\";nonce=\"y\"",
                                      "Digest realm=\"x\",",
                                      "Digest ,realm=\"x\"",
                                      "Digest realm=\"x\",,nonce=\"y\"",
                                      "Digest realm=\"x\",realm=\"x\"",
                                      "Digest nonce=1,realm=\"x\",NONCE=2",
                                      "Digest username=a,username=b",
                                      "Digest response=\"\",response=\"\"",
                                      "Digest realm=x y"};
    memset(&a, 0, sizeof(a));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (sip_auth_parse(str_c(bad[i]), &a) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    assert_null(a.scheme.p);
    assert_err(sip_auth_parse(STR_NONE, &a), ERR_SYNTAX);
}

static void limits(void **state)
{
    (void)state;
    static char text[16384];
    for (unsigned n = 32; n <= 33; n++) {
        struct out o = out_of(text, sizeof(text));
        OUT_LIT(&o, "Digest p=1");
        for (unsigned i = 1; i < n; i++)
            OUT_LIT(&o, ",p=1");
        assert_err(sip_auth_parse(out_str(&o), &a), n <= 32 ? OK : ERR_LIMIT);
    }
    memset(text, 'a', sizeof(text));
    memcpy(text, "Bearer ", 7);
    assert_ok(sip_auth_parse(str_of(text, 8192), &a));
    assert_err(sip_auth_parse(str_of(text, 8193), &a), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials),
        cmocka_unit_test(other_schemes),
        cmocka_unit_test(refused),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
