/* The rule files that come with Ringwall: every rule fires on its example and on no benign one, by
 * the library and by the plain scanner alike. */
#include "app/rules/examples.h"
#include "app/rules/help_test.h"

static const char *const files[] = {SOURCE_ROOT "/packaging/rules/ringwall.rules",
                                    SOURCE_ROOT "/packaging/rules/ringwall-rtp.rules"};

static struct rules *pack(bool plain)
{
    struct rules_build *b = rules_build_new();
    struct rules_build_opts o = {.plain = plain};
    struct rules *r = NULL;
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        assert_ok(rules_build_file(b, files[i]));
    if (rules_build_end(b, &o, &r, &n) != OK)
        fail_msg("%s", problems_of(b));
    rules_build_free(b);
    return r;
}

static void each_has_examples_that_hold(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        static char text[64 << 10];
        struct rules *r = pack(plain);
        struct out o = out_of(text, sizeof text);
        struct examples_told t;
        examples_test(r, files, ARRAY_LEN(files), &o, &t);
        if (t.failed || t.missing)
            print_error("%.*s", (int)o.n, o.p);
        assert_int_equal(t.failed, 0);
        assert_int_equal(t.missing, 0);
        assert_int_equal(t.examples, 2 * rules_count(r));
        assert_true(rules_count(r) >= 60);
        free(r);
    }
}

/* A rule without an example, and one whose example does not hold, are told. */
static void what_does_not_hold_is_told(void **state)
{
    (void)state;
    char dir[] = "/tmp/ringwall-rules-XXXXXX", path[64], examples[64], text[4096];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/a.rules", dir);
    (void)snprintf(examples, sizeof examples, "%s/a.examples", dir);
    FILE *f = fopen(path, "w");
    (void)fputs("alert sip any any -> any any (content:\"INVITE\"; sid:1;)\n"
                "alert sip any any -> any any (content:\"ghost\"; sid:2;)\n",
                f);
    (void)fclose(f);
    f = fopen(examples, "w");
    (void)fputs("== 1 fire\nhello\n== 1 pass\nINVITE sip:bob@example.com SIP/2.0\n"
                "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nFrom: <sip:a@example.com>;tag=1\n"
                "To: <sip:b@example.com>\nCall-ID: 1\nCSeq: 1 INVITE\nMax-Forwards: 70\n",
                f);
    (void)fclose(f);
    struct rules_build *b = rules_build_new();
    struct rules_build_opts opts = {.plain = true};
    struct rules *r = NULL;
    size_t n;
    assert_ok(rules_build_file(b, path));
    assert_ok(rules_build_end(b, &opts, &r, &n));
    rules_build_free(b);
    struct out o = out_of(text, sizeof text - 1);
    struct examples_told t;
    const char *paths[] = {path};
    examples_test(r, paths, 1, &o, &t);
    text[o.n] = 0;
    assert_int_equal(t.examples, 2);
    assert_int_equal(t.failed, 2);
    assert_int_equal(t.missing, 1);
    assert_non_null(strstr(text, "a.examples:1: 1 fire: it is no message"));
    assert_non_null(strstr(text, "a.examples:3: 1 pass: rule 1 fires"));
    assert_non_null(strstr(text, "rule 2 has no example on which it fires"));
    free(r);
    (void)remove(path);
    (void)remove(examples);
    (void)remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_examples_that_hold),
        cmocka_unit_test(what_does_not_hold_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
