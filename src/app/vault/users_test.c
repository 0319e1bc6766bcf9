#include "base/test.h"

#include "app/vault/sealed.h"
#include "app/vault/users.h"
#include "crypto/hash.h"

static const struct sipkey KEY = {1, 2};
static const struct wall NOW = {INT64_C(1700000000000000)};

static struct user *fresh(const char *aor, const char *password)
{
    struct user *x = NULL;
    assert_ok(user_new(str_c(aor), &x));
    assert_ok(user_password(x, str_c(password)));
    x->created = NOW;
    return x;
}

static void add(struct users *u, struct user *x)
{
    struct user *old = NULL;
    assert_ok(users_put(u, x, &old));
    assert_null(old);
}

static void test_names(void **state)
{
    (void)state;
    struct user *x = NULL;
    static const char *const bad[] = {
        "",       "@",         "alice",          "@example.com",
        "alice@", "a b@c.com", "a@b@c",          "al\tice@example.com",
        "a/b@c",  "a@b/c",     "\xc3\xa4@b.com", "a@b c"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(user_new(str_c(bad[i]), &x), ERR_SYNTAX);
    char name[140];
    memset(name, 'a', sizeof(name));
    name[64] = '@';
    assert_ok(user_new(str_of(name, USER_AOR_MAX), &x));
    user_free(x);
    assert_err(user_new(str_of(name, USER_AOR_MAX + 1), &x), ERR_LIMIT);
    name[64] = 'a';
    name[65] = '@';
    assert_err(user_new(str_of(name, 80), &x), ERR_LIMIT);
    assert_ok(user_new(STR("+4930-1.2_3~*#@Example.COM"), &x));
    assert_str(str_c(x->aor), "+4930-1.2_3~*#@example.com");
    assert_str(user_name(x), "+4930-1.2_3~*#");
    assert_str(user_domain(x), "example.com");
    user_free(x);
}

static void test_table(void **state)
{
    (void)state;
    enum { N = 3000 };
    struct users u;
    char aor[64];
    users_init(&u, &KEY);
    assert_null(users_find(&u, STR("a"), STR("b")));
    assert_null(users_take(&u, STR("a"), STR("b")));
    for (unsigned i = 0; i < N; i++) {
        struct user *x = NULL;
        (void)snprintf(aor, sizeof(aor), "u%u@example.com", i);
        assert_ok(user_new(str_c(aor), &x));
        add(&u, x);
    }
    assert_int_equal(u.n, N);
    for (unsigned i = 0; i < N; i += 3) {
        (void)snprintf(aor, sizeof(aor), "u%u", i);
        struct user *x = users_take(&u, str_c(aor), STR("EXAMPLE.com"));
        assert_non_null(x);
        user_free(x);
    }
    size_t bytes = 0;
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(aor, sizeof(aor), "u%u", i);
        const struct user *x = users_find(&u, str_c(aor), STR("example.COM"));
        assert_int_equal(x != NULL, i % 3 != 0);
        if (x) {
            assert_str_eq(user_name(x), str_c(aor));
            bytes += strlen(x->aor);
        }
        aor[0] = 'U'; /* names are exact */
        assert_null(users_find(&u, str_c(aor), STR("example.com")));
    }
    assert_int_equal(u.aor_bytes, bytes);
    assert_null(users_find(&u, STR("u1"), STR("example.net")));
    users_done(&u);
}

static void test_replace(void **state)
{
    (void)state;
    struct users u;
    struct user *a = fresh("alice@example.com", "first password"), *old = NULL;
    struct user *b = fresh("alice@EXAMPLE.com", "second password");
    users_init(&u, &KEY);
    add(&u, a);
    assert_ok(users_put(&u, b, &old));
    assert_ptr_equal(old, a);
    assert_int_equal(u.n, 1);
    assert_ptr_equal(users_find(&u, STR("alice"), STR("example.com")), b);
    assert_memory_not_equal(a->ha1[0], b->ha1[0], USER_HA1_BYTES);
    user_free(old);
    users_done(&u);
}

static void test_md5(void **state)
{
    (void)state;
    struct user *x = fresh("alice@example.com", "wonderland-77");
    static const uint8_t zero[USER_HA1_BYTES];
    char hex[DIGEST_HEX_MAX];
    char big[USER_REASON_MAX + 1];
    memset(big, 'r', sizeof(big));
    assert_memory_equal(x->ha1[DIGEST_MD5], zero, sizeof(zero));
    assert_false(user_md5_live(x, NOW));
    struct wall until = {NOW.us + 1000000};
    assert_err(user_md5_waive(x, until, STR_NONE, STR("old phone")), ERR_SYNTAX);
    assert_err(user_md5_waive(x, until, STR("ops"), STR_NONE), ERR_SYNTAX);
    assert_err(user_md5_waive(x, until, STR("ops"), STR("a\tb")), ERR_SYNTAX);
    assert_err(user_md5_waive(x, until, STR("ops"), str_of(big, sizeof(big))), ERR_LIMIT);
    assert_err(user_md5_waive(x, (struct wall){-5}, STR("ops"), STR("why")), ERR_SYNTAX);
    assert_null(x->md5);
    assert_ok(user_md5_waive(x, until, STR("ops"), str_of(big, USER_REASON_MAX)));
    assert_ok(user_password(x, STR("wonderland-77")));
    hex_encode(x->ha1[DIGEST_MD5], 16, hex);
    assert_str(str_of(hex, 32), "eb57fe6f45240306f87cbc8b7ed16dd3");
    assert_true(user_md5_live(x, NOW));
    assert_true(user_md5_live(x, (struct wall){until.us - 1}));
    assert_false(user_md5_live(x, until));
    assert_ok(user_md5_waive(x, (struct wall){0}, STR_NONE, STR_NONE));
    assert_memory_equal(x->ha1[DIGEST_MD5], zero, sizeof(zero));
    user_free(x);
}

static void test_roles(void **state)
{
    (void)state;
    struct user *x = fresh("alice@example.com", "wonderland-77");
    assert_str(str_c(x->role), "user");
    assert_err(user_role(x, STR_NONE), ERR_SYNTAX);
    assert_err(user_role(x, STR("a b")), ERR_SYNTAX);
    assert_err(user_role(x, STR("abcdefghijklmnopqrstu")), ERR_LIMIT);
    assert_ok(user_role(x, STR("abcdefghijklmnopqrst")));
    assert_ok(user_role(x, STR("Night-shift_2")));
    assert_str(str_c(x->role), "Night-shift_2");
    user_free(x);
}

static struct str print(const struct users *u, char **ret)
{
    size_t cap = users_bytes(u);
    *ret = malloc(cap);
    struct out o = out_of(*ret, cap);
    assert_ok(users_print(u, &o));
    return out_str(&o);
}

static void fill(struct users *u)
{
    users_init(u, &KEY);
    struct user *x = fresh("bob@example.com", "builders-99");
    assert_ok(user_md5_waive(x, (struct wall){NOW.us + 5000000}, STR("ops"), STR("desk phone")));
    assert_ok(user_password(x, STR("builders-99")));
    assert_ok(user_role(x, STR("admin")));
    add(u, fresh("alice@example.com", "wonderland-77"));
    add(u, x);
    add(u, fresh("carol@example.net", "christmas-12"));
}

static void test_file_round_trip(void **state)
{
    (void)state;
    struct users u, v;
    char *a = NULL, *b = NULL;
    uint32_t line = 0;
    const char *why = NULL;
    fill(&u);
    struct str one = print(&u, &a);
    assert_true(str_search(one, STR("wonderland")) == one.n); /* digests only */
    users_init(&v, &KEY);
    assert_ok(users_parse(&v, one, &line, &why));
    assert_int_equal(v.n, 3);
    const struct user *x = users_find(&v, STR("bob"), STR("example.com"));
    assert_non_null(x);
    assert_str(str_c(x->role), "admin");
    assert_str(str_c(x->md5->reason), "desk phone");
    assert_int_equal(x->created.us, NOW.us);
    struct str two = print(&v, &b);
    assert_str_eq(one, two);
    users_done(&u);
    users_done(&v);
    free(a);
    free(b);
}

/* Any changed byte and any cut end is found. */
static void test_file_damage(void **state)
{
    (void)state;
    struct users u, v;
    char *text = NULL;
    uint32_t line = 0;
    const char *why = NULL;
    fill(&u);
    struct str file = print(&u, &text);
    for (size_t i = 0; i < file.n; i++) {
        text[i] ^= 4;
        users_init(&v, &KEY);
        assert_err(users_parse(&v, file, &line, &why), ERR_SYNTAX);
        assert_true(strlen(why) > 0);
        users_done(&v);
        text[i] ^= 4;
        users_init(&v, &KEY);
        assert_err(users_parse(&v, str_head(file, i), &line, &why), ERR_SYNTAX);
        users_done(&v);
    }
    users_done(&u);
    free(text);
}

/* Rows whose checksum is right and whose contents are not. */
static void test_file_rows(void **state)
{
    (void)state;
#define D2 "\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\t-"
#define D1 "79023dc7ee769e1368a41ea07d7faea695e70b22e52d741c454c706b26071d2b"
    static const struct {
        const char *lines;
        uint32_t n;
        bool good;
        uint32_t line;
    } rows[] = {
        {"", 0, true, 0},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\t-\n", 1, true, 0},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\t-\n", 2, false, 2},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\t-\n", 0, false, 2},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\n", 1, false, 2},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\t-\t-\n", 1, false, 2},
        {"a\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\t-\n", 1, false, 2},
        {"a@b\tus er\t1\t" D1 "\t" D1 "\t-\t0\t-\t-\n", 1, false, 2},
        {"a@b\tuser\t-1\t" D1 "\t" D1 "\t-\t0\t-\t-\n", 1, false, 2},
        {"a@b\tuser\t99999999999999999999\t" D1 "\t" D1 "\t-\t0\t-\t-\n", 1, false, 2},
        {"a@b\tuser\t1\t" D1 "\tabcd\t-\t0\t-\t-\n", 1, false, 2},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t-\t5\t-\t-\n", 1, false, 2},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t0123456789abcdef0123456789abcdef\t0\to\tr\n", 1, false, 2},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t0123456789abcdef0123456789abcdef\t5\to\tr\n", 1, true, 0},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t0123456789abcdef\t5\to\tr\n", 1, false, 2},
        {"a@b\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\t-\na@B\tuser\t1\t" D1 "\t" D1 "\t-\t0\t-\t-\n", 2,
         false, 3},
        {"\n", 1, false, 2},
        {"a@b" D2 "\t-\t7\t0\t-\n", 1, true, 0},
        {"a@b" D2 "\tberlin\t7\t3\t+4930123 +4930124\n", 1, true, 0},
        {"a@b" D2 "\tberlin\t7\t4\t-\n", 1, false, 2},
        {"a@b" D2 "\tber lin\t7\t0\t-\n", 1, false, 2},
        {"a@b" D2 "\t\t7\t0\t-\n", 1, false, 2},
        {"a@b" D2 "\t-\t-7\t0\t-\n", 1, false, 2},
        {"a@b" D2 "\t-\t7\t0\t4930123\n", 1, false, 2},
        {"a@b" D2 "\t-\t7\t0\t+4930123 +4930123\n", 1, false, 2},
        {"a@b" D2 "\t-\t7\t0\t+4930123\nc@b" D2 "\t-\t7\t0\t+4930123\n", 2, false, 3},
        {"a@b" D2 "\t-\t7\t0\n", 1, false, 2},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char text[2048];
        struct out o = out_of(text, sizeof(text));
        struct users u;
        uint32_t line = 0;
        const char *why = NULL;
        sealed_head(&o, STR("users"));
        out_put(&o, str_c(rows[i].lines));
        assert_ok(sealed_tail(&o, rows[i].n));
        users_init(&u, &KEY);
        assert_err(users_parse(&u, out_str(&o), &line, &why), rows[i].good ? OK : ERR_SYNTAX);
        assert_int_equal(line, rows[i].line);
        users_done(&u);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    struct users u;
    struct user *x = NULL, *old = NULL;
    static const char *const bad[] = {"",          "+",       "+49",
                                      "+0301234",  "4930123", "+49 301",
                                      "+4930123x", "++493",   "+1234567890123456"};
    char text[USER_NUMBERS_TEXT];
    struct out o = out_of(text, sizeof(text));
    users_init(&u, &KEY);
    assert_ok(user_new(STR("alice@example.com"), &x));
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(user_number(x, str_c(bad[i])), ERR_SYNTAX);
    assert_ok(user_number(x, STR("+123")));
    assert_err(user_number(x, STR("+123")), ERR_EXISTS);
    for (unsigned i = 1; i < USER_NUMBERS; i++) {
        char one[32];
        (void)snprintf(one, sizeof(one), "+493012345678%02u", 10 + i);
        assert_ok(user_number(x, str_c(one)));
    }
    assert_err(user_number(x, STR("+4412345")), ERR_LIMIT);
    user_numbers_put(x, &o);
    assert_ok(out_err(&o));
    add(&u, x);
    assert_ptr_equal(users_number(&u, STR("+123")), x);
    assert_null(users_number(&u, STR("+124")));
    assert_null(users_number(&u, STR("123")));
    struct user *y = NULL, *z = user_copy(x);
    assert_ok(user_new(STR("bob@example.com"), &y));
    assert_ok(user_numbers(y, STR("+4412345 +123")));
    assert_err(users_put(&u, y, &old), ERR_EXISTS);
    assert_null(users_number(&u, STR("+4412345")));
    assert_ok(user_numbers(z, STR("+4930")));
    assert_ok(users_put(&u, z, &old)); /* gives +123 up */
    assert_ptr_equal(old, x);
    user_free(old);
    add(&u, y);
    assert_ptr_equal(users_number(&u, STR("+123")), y);
    assert_ptr_equal(users_number(&u, STR("+4930")), z);
    user_free(users_take(&u, STR("bob"), STR("example.com")));
    assert_null(users_number(&u, STR("+123")));
    users_done(&u);
}

/* Numbers that go round among many users, as their owners come and go. */
static void test_numbers_move(void **state)
{
    (void)state;
    struct users u;
    users_init(&u, &KEY);
    for (unsigned i = 0; i < 5000; i++) {
        struct user *x = NULL, *old = NULL;
        char aor[32], number[32];
        (void)snprintf(aor, sizeof(aor), "u%u@example.com", i % 37);
        (void)snprintf(number, sizeof(number), "+4930%u", 100 + i * 7 % 500);
        assert_ok(user_new(str_c(aor), &x));
        assert_ok(user_number(x, str_c(number)));
        const struct user *before = users_number(&u, str_c(number));
        bool taken = before && strcmp(before->aor, aor) != 0;
        assert_err(users_put(&u, x, &old), taken ? ERR_EXISTS : OK);
        if (taken)
            user_free(x);
        else
            assert_ptr_equal(users_number(&u, str_c(number)), x);
        user_free(old);
        if (i % 5 == 0)
            user_free(users_take(&u, user_name(u.v[0]), user_domain(u.v[0])));
        uint32_t live = 0;
        for (uint32_t k = 0; k < u.n; k++)
            live += u.v[k]->n_numbers;
        assert_int_equal(live, u.n_owned);
        assert_true(u.cap_owned <= 256);
    }
    users_done(&u);
}

static void test_file_kinds(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "\n",
                                       "ringwall peers 1\n",
                                       "ringwall users 2\n",
                                       "ringwall users 1",
                                       "ringwall users 1\n",
                                       "ringwall users 1\nend 0 00\n",
                                       "<html>",
                                       "\0\0\0"};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct users u;
        uint32_t line = 0;
        const char *why = NULL;
        users_init(&u, &KEY);
        assert_err(users_parse(&u, str_c(rows[i]), &line, &why), ERR_SYNTAX);
        assert_int_equal(line, 1);
        users_done(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_table),
        cmocka_unit_test(test_replace),      cmocka_unit_test(test_md5),
        cmocka_unit_test(test_roles),        cmocka_unit_test(test_file_round_trip),
        cmocka_unit_test(test_file_damage),  cmocka_unit_test(test_file_rows),
        cmocka_unit_test(test_file_kinds),   cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_move),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
