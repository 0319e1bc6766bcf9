#include "app/store/chainlog.h"
#include "base/test.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int dir;
static char folder[64];

static int setup(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/ringwall-log-XXXXXX", 25);
    assert_non_null(mkdtemp(folder));
    dir = open(folder, O_RDONLY | O_DIRECTORY);
    return dir < 0;
}

static int teardown(void **state)
{
    char cmd[128];
    (void)state;
    (void)close(dir);
    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
    return system(cmd);
}

static void line(struct chainlog *l, const char *text)
{
    struct out *o = chainlog_begin(l);
    out_json_kstr(o, STR("text"), str_c(text));
    chainlog_end(l, dir);
}

static size_t slurp(const char *name, char *buf, size_t cap)
{
    int fd = openat(dir, name, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, buf, cap);
    assert_true(n >= 0 && (size_t)n < cap);
    (void)close(fd);
    return (size_t)n;
}

static void spill(const char *name, const char *buf, size_t n)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, buf, n) == (ssize_t)n);
    (void)close(fd);
}

static enum err verify(const char *name, const struct chain_verdict *before,
                       struct chain_verdict *v)
{
    int fd = openat(dir, name, O_RDONLY);
    assert_true(fd >= 0);
    enum err e = chainlog_verify(fd, before, v);
    (void)close(fd);
    return e;
}

static void write_ten(void)
{
    struct chainlog l;
    assert_ok(chainlog_open(&l, dir, "x", 1 << 20, 0));
    for (int i = 0; i < 9; i++)
        line(&l, i % 2 ? "odd \"quoted\"\n" : "even");
    chainlog_close(&l, dir);
}

static void sound_log_verifies(void **state)
{
    struct chain_verdict v;
    struct chainlog l;
    (void)state;
    write_ten();
    assert_ok(verify("x.jsonl", NULL, &v));
    assert_int_equal(v.lines, 10); /* one that opens the file */
    assert_int_equal(v.first_seq, 1);
    assert_int_equal(v.last_seq, 10);
    assert_ok(chainlog_open(&l, dir, "x", 1 << 20, 0)); /* goes on where it was */
    assert_int_equal(l.seq, 10);
    line(&l, "more");
    chainlog_close(&l, dir);
    assert_ok(verify("x.jsonl", NULL, &v));
    assert_int_equal(v.last_seq, 11);
}

static void every_bit_counts(void **state)
{
    static char buf[8192];
    struct chain_verdict v;
    (void)state;
    write_ten();
    size_t n = slurp("x.jsonl", buf, sizeof buf);
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit += 3) {
            buf[i] = (char)(buf[i] ^ (1 << bit));
            spill("y.jsonl", buf, n);
            if (verify("y.jsonl", NULL, &v) != ERR_AUTH)
                fail_msg("bit %d of byte %zu flipped and not found", bit, i);
            assert_true(v.bad_line > 0 && v.why);
            buf[i] = (char)(buf[i] ^ (1 << bit));
        }
    }
    spill("y.jsonl", buf, n);
    assert_ok(verify("y.jsonl", NULL, &v));
}

/* Start of line k, from 0; n at the end. */
static size_t at_line(const char *buf, size_t n, unsigned k)
{
    size_t at = 0;
    for (; k && at < n; at++)
        if (buf[at] == '\n')
            k--;
    return at;
}

static void lines_out_of_place_are_found(void **state)
{
    static char buf[8192], other[8192];
    struct chain_verdict v;
    (void)state;
    write_ten();
    size_t n = slurp("x.jsonl", buf, sizeof buf), a = at_line(buf, n, 4), b = at_line(buf, n, 5),
           c = at_line(buf, n, 6);
    memcpy(other, buf, a); /* line 5 taken out */
    memcpy(other + a, buf + b, n - b);
    spill("y.jsonl", other, n - (b - a));
    assert_err(verify("y.jsonl", NULL, &v), ERR_AUTH);
    assert_int_equal(v.bad_line, 5);
    memcpy(other + a, buf + b, c - b); /* lines 5 and 6 exchanged */
    memcpy(other + a + (c - b), buf + a, b - a);
    memcpy(other + c, buf + c, n - c);
    spill("y.jsonl", other, n);
    assert_err(verify("y.jsonl", NULL, &v), ERR_AUTH);
    assert_int_equal(v.bad_line, 5);
    memcpy(other, buf, b); /* line 5 twice */
    memcpy(other + b, buf + a, n - a);
    spill("y.jsonl", other, n + (b - a));
    assert_err(verify("y.jsonl", NULL, &v), ERR_AUTH);
    assert_int_equal(v.bad_line, 6);
    spill("y.jsonl", buf, n - 1); /* the end cut off inside a line */
    assert_err(verify("y.jsonl", NULL, &v), ERR_AUTH);
    assert_true(v.torn);
    spill("y.jsonl", buf + at_line(buf, n, 1), n - at_line(buf, n, 1)); /* the first line */
    assert_err(verify("y.jsonl", NULL, &v), ERR_AUTH);
    assert_int_equal(v.bad_line, 1);
}

static void torn_end_is_cut_and_the_chain_goes_on(void **state)
{
    static char buf[8192];
    struct chain_verdict v;
    struct chainlog l;
    (void)state;
    write_ten();
    size_t n = slurp("x.jsonl", buf, sizeof buf);
    spill("x.jsonl", buf, n - 7);
    assert_ok(chainlog_open(&l, dir, "x", 1 << 20, 0));
    assert_int_equal(l.seq, 9);
    assert_true(l.torn_bytes > 0);
    line(&l, "after");
    chainlog_close(&l, dir);
    assert_ok(verify("x.jsonl", NULL, &v));
    assert_int_equal(v.last_seq, 10);
}

static void foreign_file_is_put_aside(void **state)
{
    struct chain_verdict v;
    struct chainlog l;
    (void)state;
    spill("x.jsonl", "hello\nworld\n", 12);
    assert_err(chainlog_open(&l, dir, "x", 1 << 20, 0), ERR_SYNTAX);
    line(&l, "new");
    chainlog_close(&l, dir);
    assert_ok(verify("x.jsonl", NULL, &v));
    assert_int_equal(faccessat(dir, "x.broken.000000000012.jsonl", F_OK, 0), 0);
}

static void files_chain_and_old_ones_go(void **state)
{
    struct chain_verdict a, b, c;
    struct chainlog l;
    (void)state;
    assert_ok(chainlog_open(&l, dir, "x", 1000, 2));
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 8; k++)
            line(&l, "some text that is long enough to fill a file soon");
        assert_ok(chainlog_flush(&l, dir));
    }
    chainlog_close(&l, dir);
    /* 1 opening line and 8 each: files begin at 1, 10, 19, 28, 37, 46; two closed ones are kept */
    assert_int_not_equal(faccessat(dir, "x.000000000019.jsonl", F_OK, 0), 0);
    assert_ok(verify("x.000000000028.jsonl", NULL, &a));
    assert_ok(verify("x.000000000037.jsonl", &a, &b));
    assert_ok(verify("x.jsonl", &b, &c));
    assert_err(verify("x.jsonl", &a, &c), ERR_AUTH); /* a whole file taken out */
    spill("x.jsonl", "", 0); /* a crash between closing a file and the first line of the next */
    assert_ok(chainlog_open(&l, dir, "x", 1000, 2));
    chainlog_close(&l, dir);
    assert_ok(verify("x.jsonl", &b, &c));
}

static void full_disk_loses_lines_but_not_order(void **state)
{
    struct chain_verdict v;
    struct chainlog l;
    struct rlimit old, tight;
    (void)state;
    assert_ok(chainlog_open(&l, dir, "x", 1 << 20, 0));
    line(&l, "one");
    assert_ok(chainlog_flush(&l, dir));
    uint64_t size = l.bytes;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = size + 100; /* half a line fits */
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    line(&l, "two, lost");
    line(&l, "three, lost");
    enum err e = chainlog_flush(&l, dir);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_err(e, ERR_SYSTEM);
    assert_int_equal(l.lost, 2);
    line(&l, "four");
    chainlog_close(&l, dir);
    assert_ok(verify("x.jsonl", NULL, &v));
    assert_int_equal(v.last_seq, 3);
}

static void too_long_a_line_is_dropped(void **state)
{
    static char text[CHAINLOG_LINE];
    struct chain_verdict v;
    struct chainlog l;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_ok(chainlog_open(&l, dir, "x", 1 << 20, 0));
    line(&l, text);
    assert_int_equal(l.lost, 1);
    line(&l, "short");
    for (int i = 0; i < 3000; i++) { /* more than the buffer holds: flushes by itself */
        text[1000] = 0;
        line(&l, text);
    }
    chainlog_close(&l, dir);
    assert_ok(verify("x.jsonl", NULL, &v));
    assert_true(v.first_seq > 1);
    assert_int_equal(v.last_seq, 3000 + 3 + 1); /* three opening lines, the short one */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(sound_log_verifies),
        T(every_bit_counts),
        T(lines_out_of_place_are_found),
        T(torn_end_is_cut_and_the_chain_goes_on),
        T(foreign_file_is_put_aside),
        T(files_chain_and_old_ones_go),
        T(full_disk_loses_lines_but_not_order),
        T(too_long_a_line_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
