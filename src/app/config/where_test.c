/* The line that says something, in the ways in which a file can be written. */
#include "app/config/config.h"
#include "base/test.h"
#include <stdlib.h>
#include <unistd.h>

static const char TEXT[] = "# a comment: roles\n"                    /* 1 */
                           "domains: [example.com]\n"                /* 2 */
                           "roles:\n"                                /* 3 */
                           "  - {name: user, outbound: yes}\n"       /* 4 */
                           "  - outbound: yes\n"                     /* 5 */
                           "    name: \"user.b\"\n"                  /* 6 */
                           "    caps:\n"                             /* 7 */
                           "      calls: 2\n"                        /* 8 */
                           "    # off_caps: none\n"                  /* 9 */
                           "rates:\n"                                /* 10 */
                           "  places:\n"                             /* 11 */
                           "    - {country: AT, caps: {calls: 1}}\n" /* 12 */
                           "    - prefix: \"+8816\"\n"               /* 13 */
                           "      caps: {calls: 1}\n"                /* 14 */
                           "  class_caps: {mobile: {calls: 3}}\n"    /* 15 */
                           "  caps: {calls: 9}\n";                   /* 16 */

static uint32_t line_in(const char *text, size_t n, const char *section, const char *entry,
                        const char *key)
{
    char path[] = "/tmp/ringwall-where-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    close(fd);
    const struct config_where w = {str_c(section), str_c(entry), str_c(key), 77};
    uint32_t line = config_line(path, &w);
    assert_int_equal(unlink(path), 0);
    return line;
}

static uint32_t line(const char *section, const char *entry, const char *key)
{
    return line_in(TEXT, sizeof TEXT - 1, section, entry, key);
}

static void entries(void **state)
{
    (void)state;
    assert_int_equal(line("roles", "user", "outbound"), 4);
    assert_int_equal(line("roles", "user", ""), 4);
    assert_int_equal(line("roles", "user", "caps"), 4); /* not there: the entry that lacks it */
    assert_int_equal(line("roles", "user.b", "caps"), 7);
    assert_int_equal(line("roles", "user.b", "outbound"), 5);
    assert_int_equal(line("roles", "user.b", "off_caps"), 6);
    assert_int_equal(line("roles", "user.", "caps"), 0);
    assert_int_equal(line("routes", "user", "caps"), 0);
    assert_int_equal(line("domains", "example.com", ""), 0);
}

static void maps_and_places(void **state)
{
    (void)state;
    assert_int_equal(line("rates", "", "caps"), 16);
    assert_int_equal(line("rates", "", "decks"), 0);
    assert_int_equal(line("rates", "class_caps", "mobile"), 15);
    assert_int_equal(line("rates", "places", "AT"), 12);
    assert_int_equal(line("rates", "places", "+8816"), 13);
    assert_int_equal(line("rates", "places", "DE"), 11);
}

static void no_such_file(void **state)
{
    (void)state;
    const struct config_where w = {STR("roles"), STR("user"), STR("caps"), 77};
    assert_int_equal(config_line("/nonexistent/ringwall.yaml", &w), 0);
    assert_int_equal(line_in("", 0, "roles", "user", "caps"), 0);
    assert_int_equal(line_in("roles: [", 8, "roles", "user", "caps"), 0);
    assert_int_equal(line_in("roles: \xff", 8, "roles", "user", "caps"), 0);
    assert_int_equal(line_in("roles: 1\n", 9, "roles", "user", "caps"), 0);
    assert_int_equal(line_in("- roles\n", 8, "roles", "user", "caps"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(entries), cmocka_unit_test(maps_and_places),
                                       cmocka_unit_test(no_such_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
