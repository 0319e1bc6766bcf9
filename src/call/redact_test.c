#include "base/test.h"
#include "call/redact.h"

static char got[4096];
static struct str redacted(const char *text)
{
    return str_of(got, redact(str_c(text), got, sizeof got));
}
static bool has(struct str s, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, what, n) == 0)
            return true;
    return false;
}

static void credentials_go(void **state)
{
    (void)state;
    struct str s = redacted("REGISTER sip:example.com SIP/2.0\r\nFrom: <sip:alice@example.com>\r\n"
                            "Authorization : Digest username=\"alice\",\r\n response=\"5ecre7\"\r\n"
                            "proxy-authorization: Basic 5ecre7\r\nCSeq: 1 REGISTER\r\n\r\n");
    assert_false(has(s, "5ecre7"));
    assert_true(has(s, "[redacted]"));
    assert_true(has(s, "From: <sip:alice@example.com>\r\n"));
    assert_true(has(s, "CSeq: 1 REGISTER\r\n"));
    assert_false(has(redacted("X: a\rAuthorization: 5ecre7\r\r"), "5ecre7"));
}

static void keys_go(void **state)
{
    (void)state;
    struct str s =
        redacted("INVITE sip:bob@example.com SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n"
                 "v=0\r\nk=clear:5ecre7\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ecre7\r\n"
                 "a=key-mgmt:mikey 5ecre7\r\na=sendrecv\r\n");
    assert_false(has(s, "5ecre7"));
    assert_true(has(s, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 [redacted]\r\n"));
    assert_true(has(s, "a=sendrecv\r\n"));
}

static void other_bodies_go(void **state)
{
    (void)state;
    struct str s = redacted("MESSAGE sip:bob@example.com SIP/2.0\r\n\r\nI love you");
    assert_false(has(s, "love"));
    assert_true(has(s, "[body of 10 bytes]"));
}

static void bytes_that_are_no_sip(void **state)
{
    (void)state;
    char junk[3000];
    memset(junk, 'A', sizeof junk - 1);
    junk[sizeof junk - 1] = 0;
    assert_true(redacted(junk).n > 1000);
    assert_int_equal(redacted("").n, 0);
    char small[8];
    assert_int_equal(redact(STR("OPTIONS sip:a"), small, sizeof small), 8);
    assert_memory_equal(small, "OPTIONS ", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_go),
        cmocka_unit_test(keys_go),
        cmocka_unit_test(other_bodies_go),
        cmocka_unit_test(bytes_that_are_no_sip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
