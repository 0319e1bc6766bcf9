#include "base/seq.h"
#include "base/test.h"
#include <pthread.h>
#include <sched.h>

static struct {
    uint32_t seq;
    uint64_t v[8];
} board;

static void one_thread(void **state)
{
    (void)state;
    uint64_t copy[8] = {0};
    board.seq = 0;
    seq_write_begin(&board.seq);
    board.v[0] = 7;
    assert_int_equal(board.seq & 1, 1);
    assert_false(
        seq_read(&board.seq, copy, board.v, sizeof copy)); /* never hangs on a dead writer */
    seq_write_end(&board.seq);
    assert_int_equal(board.seq, 2);
    assert_true(seq_read(&board.seq, copy, board.v, sizeof copy));
    assert_int_equal(copy[0], 7);
    board.seq = 5; /* a writer died inside; its successor mends it */
    seq_write_begin(&board.seq);
    seq_write_end(&board.seq);
    assert_true(seq_read(&board.seq, copy, board.v, sizeof copy));
}

static bool stop;

/* The race is the point of a sequence lock, so ThreadSanitizer is told not to look at the writer.
 */
__attribute__((no_sanitize("thread"))) static void *writer(void *arg)
{
    (void)arg;
    for (uint64_t n = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {
        seq_write_begin(&board.seq);
        for (size_t i = 0; i < ARRAY_LEN(board.v); i++)
            __atomic_store_n(&board.v[i], n, __ATOMIC_RELAXED);
        seq_write_end(&board.seq);
        if (n % 64 == 0)
            (void)sched_yield();
    }
    return NULL;
}

static void two_threads(void **state)
{
    (void)state;
    pthread_t t;
    uint64_t copy[8], last = 0, good = 0;
    memset(&board, 0, sizeof board);
    stop = false;
    assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
    while (good < 20000) {
        if (!seq_read(&board.seq, copy, board.v, sizeof copy)) {
            (void)sched_yield();
            continue;
        }
        for (size_t i = 1; i < ARRAY_LEN(copy); i++)
            assert_int_equal(copy[i], copy[0]);
        assert_true(copy[0] >= last);
        last = copy[0];
        good++;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(t, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread), cmocka_unit_test(two_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
