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

static struct directory *of_two(void *memory, size_t bytes)
{
    static const struct directory_device devices[] = {{7, DEVICE_APPROVED, {0}},
                                                      {9, DEVICE_REVOKED, {0}}};
    static const uint16_t countries[] = {'A' << 8 | 'T', 'X' << 8 | 'X'};
    struct directory *d = memory;
    static const struct directory_room room = {
        .users = 3, .devices = 2, .numbers = 4, .countries = 3, .text = 128};
    assert_true(directory_bytes_of(&room) <= bytes);
    memset(d, 0, bytes);
    directory_begin_of(d, &room);
    assert_ok(directory_put(d, &(struct directory_entry){.aor = STR("alice@example.com"),
                                                         .role = STR("user"),
                                                         .site = STR("berlin"),
                                                         .numbers = STR("+49301230 +49301231"),
                                                         .password_until = {5},
                                                         .flags = DIRECTORY_SECOND_FACTOR,
                                                         .n_devices = 2,
                                                         .devices = devices,
                                                         .n_countries = 2,
                                                         .countries = countries}));
    assert_ok(directory_put(d, &(struct directory_entry){.aor = STR("bob@example.com"),
                                                         .role = STR("user"),
                                                         .numbers = STR("+49301232 ")}));
    return d;
}

static void devices_numbers_and_site_of_a_user(void **state)
{
    (void)state;
    struct directory *d = of_two(mem, sizeof mem);
    assert_ok(directory_valid(d, sizeof mem));
    const struct directory_user *a = directory_find(d, STR("alice"), STR("example.com"));
    const struct directory_user *b = directory_find(d, STR("bob"), STR("example.com"));
    assert_non_null(a);
    assert_non_null(b);
    assert_str(directory_aor(d, a), "alice@example.com");
    assert_string_equal(a->site_name, "berlin");
    assert_string_equal(b->site_name, "");
    assert_int_equal(a->flags, DIRECTORY_SECOND_FACTOR);
    assert_int_equal(a->password_until.us, 5);
    assert_int_equal(directory_device(d, a, 7), DEVICE_APPROVED);
    assert_int_equal(directory_device(d, a, 9), DEVICE_REVOKED);
    assert_int_equal(directory_device(d, a, 8), 0);
    assert_int_equal(directory_device(d, b, 7), 0); /* somebody else's */
    assert_true(directory_country(d, a, 'A' << 8 | 'T'));
    assert_true(directory_country(d, a, 'X' << 8 | 'X'));
    assert_false(directory_country(d, a, 'C' << 8 | 'H'));
    assert_false(directory_country(d, b, 'A' << 8 | 'T'));
    assert_false(directory_country(d, NULL, 'A' << 8 | 'T'));
    assert_ptr_equal(directory_number(d, STR("+49301231")), a);
    assert_ptr_equal(directory_number(d, STR("+49301232")), b);
    assert_null(directory_number(d, STR("+4930123")));
    assert_null(directory_number(d, STR("+49301231 ")));
    assert_null(directory_number(NULL, STR("+49301231")));
    assert_str(directory_number_of(d, a, 0), "+49301230");
    assert_str(directory_number_of(d, a, 1), "+49301231");
    assert_int_equal(directory_number_of(d, a, 2).n, 0);
    assert_int_equal(directory_number_of(d, b, 1).n, 0);
}

static void a_number_has_one_owner(void **state)
{
    (void)state;
    struct directory *d = of_two(mem, sizeof mem);
    struct directory_entry e = {
        .aor = STR("carol@example.com"), .role = STR("user"), .numbers = STR("+1 +49301232")};
    assert_err(directory_put(d, &e), ERR_EXISTS);
    e.numbers = STR("+1 +1");
    assert_err(directory_put(d, &e), ERR_EXISTS);
    assert_null(directory_find(d, STR("carol"), STR("example.com")));
    assert_null(directory_number(d, STR("+1")));
    e.numbers = STR("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17");
    assert_err(directory_put(d, &e), ERR_LIMIT);
    e.numbers = STR("+1");
    e.n_devices = DIRECTORY_DEVICES + 1;
    assert_err(directory_put(d, &e), ERR_LIMIT);
    e.n_devices = 1;
    assert_err(directory_put(d, &e), ERR_FULL);
    e.n_devices = 0;
    e.n_countries = DIRECTORY_COUNTRIES + 1;
    assert_err(directory_put(d, &e), ERR_LIMIT);
    e.n_countries = 2;
    assert_err(directory_put(d, &e), ERR_FULL);
    e.n_countries = 0;
    e.site = STR("a-site-name-too-long-x");
    assert_err(directory_put(d, &e), ERR_LIMIT);
    e.site = STR_NONE;
    assert_ok(directory_put(d, &e));
    assert_ok(directory_valid(d, sizeof mem));
}

static void every_index_of_a_blob_is_judged(void **state)
{
    (void)state;
    struct directory *d = of_two(mem, sizeof mem);
    const struct directory good = *d;
    struct directory_user *u = (struct directory_user *)(void *)((uint8_t *)d + d->users_off);
    const struct directory_user was = *u;
#define BAD(change, back)                                                                          \
    do {                                                                                           \
        change;                                                                                    \
        assert_int_not_equal(directory_valid(d, sizeof mem), OK);                                  \
        back;                                                                                      \
        assert_ok(directory_valid(d, sizeof mem));                                                 \
    } while (0)
    BAD(u->devices_at = 1, *u = was);
    BAD(u->n_devices = 3, *u = was);
    BAD(u->numbers_off = 4000, *u = was);
    BAD(u->numbers_len = 60000, *u = was);
    BAD(u->n_numbers = 200, *u = was);
    BAD(u->countries_at = 1, *u = was);
    BAD(u->n_countries = 3, *u = was);
    BAD(u->n_countries = DIRECTORY_COUNTRIES + 1, *u = was);
    BAD(d->countries_cap++, *d = good);
    BAD(d->countries_cap = UINT32_MAX, *d = good);
    BAD(d->countries_off -= 2, *d = good);
    BAD(d->n_countries = 4, *d = good);
    BAD(memset(u->site_name, 'x', sizeof u->site_name), *u = was);
    BAD(d->devices_cap++, *d = good);
    BAD(d->n_devices = 3, *d = good);
    BAD(d->number_slots = 8, *d = good);
    BAD(d->numbers_off -= 8, *d = good);
    BAD(d->users_cap = 1, *d = good);
    BAD(d->version = 1, *d = good);
    struct directory_device *v = (struct directory_device *)(void *)((uint8_t *)d + d->devices_off);
    BAD(v[1].state = 3, v[1].state = DEVICE_REVOKED);
    struct directory_number *n = (struct directory_number *)(void *)((uint8_t *)d + d->numbers_off);
    const struct directory_number slot = n[0];
    BAD(n[0] = ((struct directory_number){4, 0, 1}), n[0] = slot);
    BAD(n[0] = ((struct directory_number){1, 120, 9}), n[0] = slot);
#undef BAD
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_user_exactly_and_host_without_case),
        cmocka_unit_test(adding_has_limits),
        cmocka_unit_test(twice_is_told),
        cmocka_unit_test(many_users),
        cmocka_unit_test(devices_numbers_and_site_of_a_user),
        cmocka_unit_test(a_number_has_one_owner),
        cmocka_unit_test(every_index_of_a_blob_is_judged),
        cmocka_unit_test(damaged_blobs_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
