/* Things that break: engines, the gateway, the store in the middle of a commit, the disk. */
#include "app/store/store_test.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void dead_engine_aborts_its_calls(void **state)
{
    (void)state;
    open_store(true);
    for (uint64_t i = 1; i <= 3; i++) {
        struct fact s = start_of(i, i == 1 ? "one" : i == 2 ? "two" : "three");
        s.engine = i == 3 ? 2 : 1;
        put(&s);
    }
    struct fact e = end_of(1, "one");
    put(&e);
    store_engine_died(&store, 1, now.wall, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions WHERE aborted"), 1);
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"call_id\":\"two\"}");
    have("\"aborted\":true");
    assert_int_equal(store.open_n, 1); /* engine 2 lives */
    done();
}

static void calls_survive_the_gateway(void **state)
{
    (void)state;
    open_store(true);
    struct fact s = start_of(5, "long");
    put(&s);
    commit();
    done();
    open_store(false); /* only the store was gone: the call may still run */
    assert_non_null(open_find(&store, 1, 5));
    assert_int_equal(number("SELECT count(*) FROM sessions"), 0);
    struct fact e = end_of(5, "long");
    put(&e);
    commit();
    assert_null(open_find(&store, 1, 5));
    assert_int_equal(number("SELECT count(*) FROM sessions WHERE aborted"), 0);
    later(1000);
    s = start_of(5, "long");
    put(&s);
    commit();
    done();
    open_store(true); /* everything was gone */
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions WHERE aborted"), 1);
    done();
    open_store(true); /* and only once */
    assert_int_equal(store.open_n, 0);
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions WHERE aborted"), 1);
    done();
}

/* An engine that starts again counts its calls anew: the old one of that number must not vanish. */
static void same_number_again(void **state)
{
    (void)state;
    open_store(true);
    struct fact a = start_of(64, "first");
    put(&a);
    put(&a); /* the same fact again is the same call */
    assert_int_equal(store.n.aborted, 0);
    later(500);
    struct fact b = start_of(64, "second");
    put(&b);
    assert_int_equal(store.n.aborted, 1);
    assert_int_equal(store.open_n, 1);
    store_engine_died(&store, 1, (struct wall){b.wall_us - 1},
                      now); /* told late: of the one before */
    assert_int_equal(store.open_n, 1);
    commit();
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"call_id\":\"first\"}");
    have("\"aborted\":true");
    done();
}

/* As if it were killed: nothing of what is closed in order. */
static void killed(void)
{
    store.events.out.n = store.cdrs.out.n = 0;
    if (store.db.in_batch)
        (void)sqlite3_exec(store.db.h, "ROLLBACK", NULL, NULL, NULL);
    store.db.in_batch = false;
    memset(store.open_dirty, 0, STORE_OPEN / 8);
    store_close(&store);
}

static uint64_t lines_of(const char *name, const char *what)
{
    char cmd[256];
    (void)snprintf(cmd, sizeof cmd, "grep -c '%s' %s/%s.jsonl", what, folder, name);
    FILE *f = popen(cmd, "r");
    unsigned long long n = 0;
    assert_int_equal(fscanf(f, "%llu", &n), 1);
    (void)pclose(f);
    return n;
}

/* Killed before, between and after the steps of a commit: the same facts come again, and each
 * call has one CDR in each place. */
static void killed_in_a_commit(void **state)
{
    (void)state;
    for (int where = 0; where < 4; where++) {
        const char *why;
        char id[32];
        uint64_t place = 0;
        (void)snprintf(id, sizeof id, "kill-%d", where);
        open_store(true);
        struct fact s = start_of(7, id), e, v = verdict_of(id, REASON_zone_unknown_source);
        put(&s);
        store_place(&store, 1, 100);
        commit();
        later(100);
        e = end_of(7, id);
        put(&v);
        put(&e);
        store_place(&store, 1, 200);
        if (where >= 1)
            assert_ok(chainlog_flush(&store.events, store.dir));
        if (where >= 2)
            assert_ok(chainlog_flush(&store.cdrs, store.dir));
        if (where >= 3)
            assert_true(store_commit(&store, now, &why));
        killed();
        open_store(false);
        assert_true(store_placed(&store, 1, &place));
        assert_int_equal(place, where >= 3 ? 200 : 100);
        if (where < 3) { /* the ring still has them */
            put(&v);
            put(&e);
        }
        commit();
        assert_int_equal(store.open_n, 0);
        char sql[128];
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM legs WHERE call_id='%s'", id);
        assert_int_equal(number(sql), 1);
        assert_int_equal(lines_of("cdr", id), 1);
        assert_int_equal(lines_of("events", id), 1);
        done();
    }
    assert_int_equal(lines_of("events", "log-damaged"), 0);
}

/* -- things that break -- */

static void killed_without_warning(void **state)
{
    (void)state;
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* writes calls until it is killed; tells each commit */
        open_store(true);
        for (uint64_t i = 1;; i++) {
            char id[24];
            const char *why;
            (void)snprintf(id, sizeof id, "k%llu", (unsigned long long)i);
            struct fact e = end_of(i, id);
            put(&e);
            if (i % 10 == 0 &&
                (!store_commit(&store, now, &why) || write(pipe_fd[1], &i, sizeof i) != sizeof i))
                _exit(1);
        }
    }
    uint64_t told = 0, n = 0;
    while (n < 50 && read(pipe_fd[0], &told, sizeof told) == sizeof told)
        n++;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(pipe_fd[1]);
    while (read(pipe_fd[0], &told, sizeof told) == sizeof told)
        continue;
    (void)close(pipe_fd[0]);
    assert_true(told >= 500);
    open_store(true);
    assert_true(number("SELECT count(*) FROM sessions") >= (int64_t)told);
    assert_int_equal(
        number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check='ok'"), 1);
    assert_true(store.cdrs.seq > told);
    commit();
    done();
    struct chain_verdict v;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/cdr.jsonl", folder);
    int fd = open(path, O_RDONLY);
    assert_ok(chainlog_verify(fd, NULL, &v));
    (void)close(fd);
    assert_true(v.lines > told);
}

static void lines_cut_off_the_log_are_noticed(void **state)
{
    char path[96];
    (void)state;
    open_store(true);
    for (uint64_t i = 0; i < 5; i++) {
        struct fact e = end_of(i, "x");
        put(&e);
    }
    commit();
    done();
    (void)snprintf(path, sizeof path, "%s/cdr.jsonl", folder);
    size_t n = 0;
    assert_true(test_read(path, text, sizeof text, &n));
    size_t lf = str_rfind(str_of(text, n - 1), '\n');
    assert_int_equal(truncate(path, (off_t)lf + 1), 0);
    open_store(true);
    commit();
    (void)ask(CONTROL_OK, "{\"cmd\":\"events\",\"last\":1}");
    have("\"event\":\"log-damaged\",\"log\":\"cdr\",\"lines_missing\":1");
    done();
}

static void full_disk_loses_and_recovers(void **state)
{
    struct rlimit old, tight;
    const char *why = "";
    (void)state;
    open_store(true);
    struct fact e = end_of(1, "before");
    put(&e);
    commit();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    tight = old;
    tight.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (uint64_t i = 0; i < 200; i++) {
        e = end_of(i, "during");
        put(&e);
    }
    later(200);
    bool ok = store_commit(&store, now, &why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(ok);
    assert_true(strlen(why) > 0);
    assert_true(store.cdrs.lost >= 1);
    assert_in_range(store.n.sessions_lost, store.cdrs.lost, 200);
    uint64_t lost = store.n.sessions_lost;
    e = end_of(7, "after");
    put(&e);
    commit();
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"call_id\":\"after\"}");
    have("\"session\":7");
    assert_int_equal(store.n.sessions_lost, lost);
    done();
}

static void not_a_database(void **state)
{
    char path[96];
    struct store_cfg cfg = {.folder = folder, .fresh = true};
    const char *why = "";
    (void)state;
    (void)snprintf(path, sizeof path, "%s/ringwall.db", folder);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is no database ", f);
    (void)fclose(f);
    memset(&store, 0, sizeof store);
    assert_int_not_equal(store_open(&store, &cfg, now, &why), OK);
    assert_true(strlen(why) > 0);
    store_close(&store);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(dead_engine_aborts_its_calls),
        T(calls_survive_the_gateway),
        T(same_number_again),
        T(killed_in_a_commit),
        T(killed_without_warning),
        T(lines_cut_off_the_log_are_noticed),
        T(full_disk_loses_and_recovers),
        T(not_a_database),
    };
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
