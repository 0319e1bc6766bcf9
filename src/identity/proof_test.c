#include "base/test.h"
#include "identity/proof.h"

static struct proof of(const char *const san[], size_t n)
{
    struct proof p = {0};
    for (size_t i = 0; i < n; i++)
        proof_add(&p, str_c(san[i]));
    return p;
}

/* Who is named is named in whole: name exactly, host in any case. */
static void users(void **state)
{
    static const char *const san[] = {"sip:alice@Example.COM", "SIP:b.o+b@example.net",
                                      "sip:*97#@example.com"};
    struct proof p = of(san, ARRAY_LEN(san));
    (void)state;
    assert_str(proof_text(&p), "alice@example.com b.o+b@example.net *97#@example.com");
    assert_true(proof_names(&p, STR("alice"), STR("example.com")));
    assert_true(proof_names(&p, STR("alice"), STR("EXAMPLE.com")));
    assert_true(proof_names(&p, STR("b.o+b"), STR("example.net")));
    assert_true(proof_names(&p, STR("*97#"), STR("example.com")));
    assert_false(proof_names(&p, STR("Alice"), STR("example.com")));
    assert_false(proof_names(&p, STR("alice"), STR("example.net")));
    assert_false(proof_names(&p, STR("alic"), STR("example.com")));
    assert_false(proof_names(&p, STR("alice"), STR("example.co")));
    assert_false(proof_names(&p, STR_NONE, STR("example.com")));
    assert_false(proof_names(&p, STR("alice@example.com b.o+b"), STR("example.net")));
}

/* RFC 5922 7.1: a domain alone is nobody's name; blanks would make two names of one. */
static void no_users(void **state)
{
    static const char *const san[] = {"sip:example.com",
                                      "sip:@example.com",
                                      "sip:alice@",
                                      "sips:alice@example.com",
                                      "mailto:alice@example.com",
                                      "dns:example.com",
                                      "sip:al ice@example.com",
                                      "sip:alice@example.com bob@example.com",
                                      "sip:alice@example.com;transport=tls",
                                      "sip:alice:secret@example.com",
                                      "sip:alice@bob@example.com",
                                      "sip:alice@exam_ple.com",
                                      "sip:%61lice@example.com",
                                      ""};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(san); i++) {
        struct proof p = of(&san[i], 1);
        if (p.n)
            fail_msg("row %zu names %.*s", i, STR_ARG(proof_text(&p)));
    }
    struct proof none = {0};
    proof_add(&none, str_of("sip:al\0ice@example.com", 22));
    assert_int_equal(none.n, 0);
}

static void domains(void **state)
{
    struct proof p = {0};
    (void)state;
    proof_add_domain(&p, STR("sip:Example.net"));
    proof_add_domain(&p, STR("dns:pbx.example.net"));
    proof_add_domain(&p, STR("dns:*.example.org")); /* no wildcards: RFC 5922 7.2 */
    proof_add_domain(&p, STR("sip:alice@example.com"));
    proof_add_domain(&p, STR("sip:"));
    proof_add_domain(&p, STR("example.com"));
    proof_add_domain(&p, STR("sip:a b"));
    assert_true(proof_domain(&p, STR("example.NET")));
    assert_true(proof_domain(&p, STR("pbx.example.net")));
    assert_false(proof_domain(&p, STR("a.example.org")));
    assert_false(proof_domain(&p, STR("*.example.org")));
    assert_false(proof_domain(&p, STR("example.com")));
    assert_false(proof_domain(&p, STR("xample.net")));
    assert_false(proof_domain(&p, STR("a")));
    assert_false(proof_domain(&p, STR_NONE));
    assert_int_equal(p.n, 0);
}

/* Names fill the room to its last byte; one that does not fit is left out, a shorter one after it
 * is not. */
static void room(void **state)
{
    char san[PROOF_NAMES + 16] = "sip:";
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct proof p = {0};
        size_t user = PROOF_NAMES - strlen("@e.example") + over;
        memset(san + 4, 'a', user);
        (void)snprintf(san + 4 + user, sizeof san - 4 - user, "@e.example");
        proof_add(&p, str_c(san));
        assert_int_equal(p.n, over ? 0 : PROOF_NAMES);
        assert_int_equal(proof_names(&p, str_of(san + 4, user), STR("e.example")), !over);
        proof_add(&p, STR("sip:b@e.example"));
        assert_int_equal(proof_names(&p, STR("b"), STR("e.example")), over);

        struct proof d = {0};
        size_t host = PROOF_NAMES - 1 + over; /* and its space */
        memset(san + 4, 'h', host);
        san[4 + host] = 0;
        proof_add_domain(&d, str_c(san));
        assert_int_equal(proof_domain(&d, str_of(san + 4, host)), !over);
        proof_add_domain(&d, STR("dns:b"));
        assert_int_equal(proof_domain(&d, STR("b")), over);
    }
}

/* Lengths that nobody of us wrote are not believed. */
static void wild(void **state)
{
    struct proof p;
    (void)state;
    memset(&p, 'a', sizeof p);
    p.n = p.domains_n = UINT16_MAX;
    assert_false(proof_names(&p, STR("a"), STR("example.com")));
    assert_false(proof_domain(&p, STR("example.com")));
    proof_add(&p, STR("sip:alice@example.com"));
    proof_add_domain(&p, STR("sip:example.com"));
    assert_int_equal(p.n, UINT16_MAX);
    assert_int_equal(p.domains_n, UINT16_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(users), cmocka_unit_test(no_users),
                                       cmocka_unit_test(domains), cmocka_unit_test(room),
                                       cmocka_unit_test(wild)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
