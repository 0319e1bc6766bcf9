#include "call/fixture_test.h"

static uint64_t mem[FIXTURE_DIRECTORY_BYTES / 8];

static void finds_by_user_exactly_and_host_without_case(void **state)
{
    (void)state;
    struct directory *d = fixture_directory(mem);
    const struct directory_user *u = directory_find(d, STR("ivan"), STR("Example.COM"));
    assert_non_null(u);
    assert_string_equal(u->role_name, "internal");
    assert_null(directory_find(d, STR("Ivan"), STR("example.com")));
    assert_null(directory_find(d, STR("ivan"), STR("example.net")));
    assert_null(directory_find(d, STR(""), STR("example.com")));
    assert_null(directory_find(NULL, STR("ivan"), STR("example.com")));
    assert_int_equal(d->n_md5, 1);
}

static void adding_has_limits(void **state)
{
    (void)state;
    struct directory *d = (struct directory *)(void *)mem;
    memset(mem, 0, sizeof mem);
    directory_begin(d, 1, 64);
    assert_err(directory_add(d, STR("noat"), STR("user"), (struct wall){0}), ERR_LIMIT);
    assert_err(directory_add(d, STR("a@b"), STR("a-role-name-that-is-long"), (struct wall){0}),
               ERR_LIMIT);
    assert_ok(directory_add(d, STR("a@b"), STR("user"), (struct wall){0}));
    assert_err(directory_add(d, STR("c@d"), STR("user"), (struct wall){0}), ERR_FULL);
}

static void twice_is_told(void **state)
{
    (void)state;
    struct directory *d = fixture_directory(mem);
    assert_err(directory_add(d, STR("alice@EXAMPLE.com"), STR("user"), (struct wall){0}),
               ERR_EXISTS);
}

static void many_users(void **state)
{
    (void)state;
    enum { N = 5000 };
    size_t bytes = directory_bytes(N, N * 24);
    struct directory *d = test_calloc(1, bytes);
    char aor[32];
    directory_begin(d, N, N * 24);
    for (int i = 0; i < N; i++) {
        int n = snprintf(aor, sizeof aor, "u%06d@example.com", i);
        assert_ok(directory_add(d, str_of(aor, (size_t)n), STR("user"), (struct wall){0}));
    }
    assert_ok(directory_valid(d, bytes));
    for (int i = 0; i < N; i++) {
        int n = snprintf(aor, sizeof aor, "u%06d", i);
        assert_non_null(directory_find(d, str_of(aor, (size_t)n), STR("example.com")));
    }
    assert_null(directory_find(d, STR("u005000"), STR("example.com")));
    test_free(d);
}

static void damaged_blobs_are_refused(void **state)
{
    (void)state;
    struct directory *d = fixture_directory(mem);
    struct directory good = *d;
    assert_int_not_equal(directory_valid(d, sizeof *d - 1), OK);
    d->n_slots--;
    assert_int_not_equal(directory_valid(d, sizeof mem), OK);
    *d = good;
    d->text_n = 1 << 20;
    assert_int_not_equal(directory_valid(d, sizeof mem), OK);
    *d = good;
    d->slots_off = d->bytes + 8;
    assert_int_not_equal(directory_valid(d, sizeof mem), OK);
    *d = good;
    ((struct directory_user *)(void *)((uint8_t *)d + d->users_off))->aor_len = 60000;
    assert_int_not_equal(directory_valid(d, sizeof mem), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_user_exactly_and_host_without_case),
        cmocka_unit_test(adding_has_limits), cmocka_unit_test(twice_is_told),
        cmocka_unit_test(many_users), cmocka_unit_test(damaged_blobs_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
