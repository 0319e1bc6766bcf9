#include "app/vault/countries.h"
#include "base/test.h"
#include "identity/rights.h"

static const struct sipkey key = {1, 2};
static struct countries c;
#define ALICE    STR("alice@example.com")
#define BOB      STR("bob@example.com")
#define CC(a, b) ((uint16_t)((a) << 8 | (b)))

static int fresh(void **state)
{
    (void)state;
    countries_init(&c, &key);
    return 0;
}

static int done(void **state)
{
    (void)state;
    countries_done(&c);
    return 0;
}

static enum err allow(struct str who, uint16_t code)
{
    return countries_allow(&c, who, code, STR("car\tol\033"), (struct wall){7});
}

static void codes(void **state)
{
    (void)state;
    char text[COUNTRY_TEXT];
    assert_int_equal(country_code(STR("at")), CC('A', 'T'));
    assert_int_equal(country_code(STR("XX")), RIGHTS_NO_COUNTRY);
    assert_int_equal(country_code(STR("ZZ")), 0);
    assert_int_equal(country_code(STR("A")), 0);
    assert_int_equal(country_code(STR("AUT")), 0);
    assert_int_equal(country_code(STR("")), 0);
    country_text(CC('C', 'H'), text);
    assert_string_equal(text, "CH");
}

static void allowed_forgotten_and_told_apart(void **state)
{
    (void)state;
    assert_null(countries_find(&c, ALICE, CC('A', 'T')));
    assert_false(countries_forget(&c, ALICE, CC('A', 'T')));
    assert_ok(allow(ALICE, CC('A', 'T')));
    assert_true(c.changed);
    const struct country *x = countries_find(&c, ALICE, CC('A', 'T'));
    assert_string_equal(x->by, "carol"); /* nothing that steers a terminal or the file */
    assert_int_equal(x->when.us, 7);
    assert_err(countries_allow(&c, ALICE, CC('A', 'T'), STR("bob"), (struct wall){9}), ERR_EXISTS);
    assert_string_equal(countries_find(&c, ALICE, CC('A', 'T'))->by, "carol");
    assert_null(countries_find(&c, BOB, CC('A', 'T')));
    assert_ok(allow(BOB, CC('A', 'T')));
    assert_ok(allow(ALICE, RIGHTS_NO_COUNTRY));
    assert_err(allow(ALICE, CC('Z', 'Z')), ERR_SYNTAX);
    assert_err(allow(ALICE, 0), ERR_SYNTAX);
    assert_err(allow(STR(""), CC('A', 'T')), ERR_LIMIT);
    assert_true(countries_forget(&c, ALICE, CC('A', 'T')));
    assert_null(countries_find(&c, ALICE, CC('A', 'T')));
    assert_non_null(countries_find(&c, ALICE, RIGHTS_NO_COUNTRY));
    assert_non_null(countries_find(&c, BOB, CC('A', 'T')));
    countries_forget_user(&c, ALICE);
    assert_null(countries_find(&c, ALICE, RIGHTS_NO_COUNTRY));
    assert_int_equal(c.rows.n, 1);
}

static unsigned fill(struct str who)
{
    unsigned n = 0;
    for (char a = 'A'; a <= 'Z'; a++)
        for (char b = 'A'; b <= 'Z'; b++) {
            const char two[] = {a, b};
            uint16_t code = country_code(str_of(two, 2));
            if (code && n < DIRECTORY_COUNTRIES) {
                assert_ok(allow(who, code));
                n++;
            }
        }
    return n;
}

static void a_user_has_so_many(void **state)
{
    (void)state;
    assert_int_equal(fill(ALICE), DIRECTORY_COUNTRIES);
    assert_err(allow(ALICE, CC('Z', 'W')), ERR_LIMIT);
    assert_ok(allow(BOB, CC('Z', 'W')));
    assert_true(countries_forget(&c, ALICE, CC('A', 'T')));
    assert_ok(allow(ALICE, CC('Z', 'W')));
    assert_err(allow(ALICE, CC('A', 'T')), ERR_LIMIT);
    uint32_t it = 0, n = 0;
    while (countries_next(&c, ALICE, &it))
        n++;
    assert_int_equal(n, DIRECTORY_COUNTRIES);
}

static void file_there_and_back(void **state)
{
    (void)state;
    static char text[65536];
    uint32_t line;
    const char *why;
    (void)fill(ALICE);
    (void)fill(BOB);
    struct out o = out_of(text, sizeof text);
    assert_true(countries_bytes(&c) <= sizeof text);
    assert_ok(countries_print(&c, &o));
    uint32_t n = c.rows.n;
    done(NULL);
    fresh(NULL);
    assert_ok(countries_parse(&c, out_str(&o), &line, &why));
    assert_int_equal(c.rows.n, n);
    assert_false(c.changed);
    assert_int_equal(countries_find(&c, BOB, CC('A', 'T'))->when.us, 7);
    assert_string_equal(countries_find(&c, ALICE, CC('A', 'T'))->by, "carol");
    text[60] ^= 1;
    done(NULL);
    fresh(NULL);
    assert_err(countries_parse(&c, out_str(&o), &line, &why), ERR_SYNTAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
    const struct CMUnitTest tests[] = {T(codes), T(allowed_forgotten_and_told_apart),
                                       T(a_user_has_so_many), T(file_there_and_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
