#include "app/vault/devices.h"
#include "base/test.h"

static const struct sipkey key = {1, 2};
static struct devices d;
#define ALICE STR("alice@example.com")

static int fresh(void **state)
{
    (void)state;
    devices_init(&d, &key);
    return 0;
}

static int done(void **state)
{
    (void)state;
    devices_done(&d);
    return 0;
}

static enum err see(struct str who, uint64_t id)
{
    return devices_seen(&d, who, id, DEVICE_BY_PLACE, STR("Phone\t\033[31m1"),
                        (struct wall){(int64_t)id});
}

static void seen_decided_and_told_apart(void **state)
{
    (void)state;
    assert_ok(see(ALICE, 5));
    assert_err(see(ALICE, 5), ERR_EXISTS);
    assert_ok(see(STR("bob@example.com"), 5));
    struct device *x = devices_find(&d, ALICE, 5);
    assert_int_equal(x->state, DEVICE_NEW);
    assert_string_equal(x->name, "Phone[31m1"); /* nothing that steers a terminal or the file */
    assert_ok(devices_decide(&d, x, DEVICE_APPROVED, STR("carol"), (struct wall){9}));
    assert_int_equal(d.n_known, 1);
    assert_ok(devices_decide(&d, x, DEVICE_REVOKED, STR("carol"), (struct wall){10}));
    assert_int_equal(d.n_known, 1);
    assert_int_equal(devices_find(&d, STR("bob@example.com"), 5)->state, DEVICE_NEW);
    assert_ok(device_rename(x, STR("red one")));
    assert_err(device_rename(x, STR("a\tb")), ERR_SYNTAX);
    assert_err(device_rename(x, STR("")), ERR_SYNTAX);
    devices_forget(&d, ALICE);
    assert_null(devices_find(&d, ALICE, 5));
    assert_int_equal(d.n_known, 0);
    assert_int_equal(d.rows.n, 1);
}

static void inventions_do_not_fill_the_table(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        assert_ok(see(ALICE, i));
    assert_int_equal(d.rows.n, DEVICES_NEW_MAX);
    assert_null(devices_find(&d, ALICE, 92));
    assert_non_null(devices_find(&d, ALICE, 93));
    for (uint64_t i = 0; i < DIRECTORY_DEVICES; i++) {
        (void)!see(ALICE, 1000 + i);
        assert_ok(devices_decide(&d, devices_find(&d, ALICE, 1000 + i), DEVICE_APPROVED, STR("x"),
                                 (struct wall){1}));
    }
    assert_ok(see(ALICE, 2000));
    assert_err(devices_decide(&d, devices_find(&d, ALICE, 2000), DEVICE_APPROVED, STR("x"),
                              (struct wall){1}),
               ERR_LIMIT);
}

static void file_there_and_back(void **state)
{
    (void)state;
    static char text[65536];
    uint32_t line;
    const char *why;
    for (uint64_t i = 1; i <= 20; i++)
        assert_ok(see(i % 2 ? ALICE : STR("bob@example.com"), i));
    assert_ok(devices_decide(&d, devices_find(&d, ALICE, 19), DEVICE_REVOKED, STR("carol"),
                             (struct wall){77}));
    struct out o = out_of(text, sizeof text);
    assert_true(devices_bytes(&d) <= sizeof text);
    assert_ok(devices_print(&d, &o));
    uint32_t n = d.rows.n;
    done(NULL);
    fresh(NULL);
    assert_ok(devices_parse(&d, out_str(&o), &line, &why));
    assert_int_equal(d.rows.n, n);
    assert_int_equal(d.n_known, 1);
    assert_false(d.changed);
    const struct device *x = devices_find(&d, ALICE, 19);
    assert_int_equal(x->state, DEVICE_REVOKED);
    assert_int_equal(x->decided.us, 77);
    assert_string_equal(x->approved_by, "carol");
    text[60] ^= 1;
    done(NULL);
    fresh(NULL);
    assert_err(devices_parse(&d, out_str(&o), &line, &why), ERR_SYNTAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
    const struct CMUnitTest tests[] = {T(seen_decided_and_told_apart),
                                       T(inventions_do_not_fill_the_table), T(file_there_and_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
