#include "base/test.h"

#include "app/vault/passwords.h"
#include "crypto/hash.h"
#include <unistd.h>

static char path[64];

static int list_of(const char *text)
{
    (void)snprintf(path, sizeof(path), "/tmp/ringwall-breach-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(unlink(path), 0);
    return fd;
}

static bool good(const struct password_rules *r, const char *name, const char *password)
{
    char why[PASSWORD_WHY] = "";
    bool ok = password_good(r, str_c(name), STR("example.com"), str_c(password), why);
    assert_int_equal(ok, why[0] == '\0');
    assert_true(ok || !strstr(why, password));
    return ok;
}

static void test_policy(void **state)
{
    (void)state;
    static const struct {
        const char *name, *password;
        bool good;
    } rows[] = {
        {"alice", "violet-Tramway-88", true}, {"alice", "Test-alice-7h3k2q9z", true},
        {"alice", "wonderland-77", true},     {"alice", "too-shor1", false},
        {"alice", "ten-charsX", true},        {"alice", "alice-1234", false},
        {"alice", "1234-ecilA", false},       {"alice", "alicealicealice", false},
        {"2001", "2001200120012001", false},  {"alice", "example.com7", false},
        {"alice", "example-77", false},       {"alice", "1234567890", false},
        {"alice", "0987654321", false},       {"alice", "147258369147", false},
        {"alice", "2580258025", false},       {"alice", "7777777777", false},
        {"alice", "abcdefghij", false},       {"alice", "qwertzuiop", false},
        {"alice", "9581736204", false},       {"alice", "95817362048162937405", true},
        {"alice", "xy7xy7xy7xy7", false},
    };
    struct password_rules r = {.breach_fd = -1};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (good(&r, rows[i].name, rows[i].password) != rows[i].good)
            fail_msg("%s", rows[i].password);
    char big[PASSWORD_WHY + 100];
    for (unsigned i = 0; i < 257; i++)
        big[i] = "xQ7-kd3Wn"[i * 7 % 9];
    big[257] = 0;
    assert_false(good(&r, "alice", big));
    r.min = 20;
    assert_false(good(&r, "alice", "violet-Tramway-88"));
}

/* Every line of a sorted list is found, at both ends and with odd line ends, and nothing else. */
static void test_hashes(void **state)
{
    (void)state;
    enum { N = 64 };
    char lines[N][48], text[N * 60], word[40];
    for (unsigned i = 0; i < N; i++) {
        uint8_t md[HASH_MAX];
        (void)snprintf(word, sizeof(word), "known-Word-%u-kx", i);
        struct str s = str_c(word);
        assert_ok(hash_parts(HASH_SHA1, &s, 1, md));
        for (unsigned k = 0; k < 20; k++)
            (void)snprintf(lines[i] + 2 * k, 3, "%02X", md[k]);
    }
    for (unsigned i = 0; i < N; i++)
        for (unsigned k = i + 1; k < N; k++)
            if (strcmp(lines[i], lines[k]) > 0) {
                char t[48];
                memcpy(t, lines[i], sizeof(t));
                memcpy(lines[i], lines[k], sizeof(t));
                memcpy(lines[k], t, sizeof(t));
            }
    for (unsigned n = 1; n <= N; n = n == 1 ? N : N + 1) {
        text[0] = 0;
        for (unsigned i = 0; i < n; i++)
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s:%u%s", lines[i],
                           i * i * i, i + 1 < n ? i % 2 ? "\r\n" : "\n" : "");
        struct password_rules r = {.breach_fd = list_of(text)};
        unsigned found = 0;
        for (unsigned i = 0; i < 2 * N; i++) {
            (void)snprintf(word, sizeof(word), "known-Word-%u-kx", i);
            found += !good(&r, "alice", word);
        }
        assert_int_equal(found, n);
        assert_int_equal(close(r.breach_fd), 0);
    }
}

static void test_plain_list(void **state)
{
    (void)state;
    struct password_rules r = {.breach_fd =
                                   list_of("one-Known-word\r\nanother-Known-w\nlast-Known-word")};
    assert_false(good(&r, "alice", "one-Known-word"));
    assert_false(good(&r, "alice", "another-Known-w"));
    assert_false(good(&r, "alice", "last-Known-word"));
    assert_true(good(&r, "alice", "other-Known-word"));
    assert_int_equal(close(r.breach_fd), 0);
    struct password_rules none = {.breach_fd = list_of("")};
    assert_true(good(&none, "alice", "one-Known-word"));
    assert_int_equal(close(none.breach_fd), 0);
    int fd = -1;
    assert_err(password_list_open("/tmp", STR("../etc/passwd"), &fd), ERR_SYNTAX);
    assert_err(password_list_open("/tmp", STR(".hidden"), &fd), ERR_SYNTAX);
    assert_err(password_list_open("/tmp", STR("ringwall-not-there"), &fd), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_plain_list),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
