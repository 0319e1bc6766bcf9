#include "base/test.h"
#include "io/clock.h"
#include "io/loop.h"
#include <fcntl.h>
#include <unistd.h>

struct probe {
    struct loop *l;
    int calls, last_fd, close_fd;
    uint32_t events;
};

static void hit(void *ctx, int fd, uint32_t events)
{
    struct probe *p = ctx;
    p->calls++;
    p->last_fd = fd;
    p->events = events;
    if (p->close_fd >= 0) {
        loop_del(p->l, p->close_fd);
        (void)close(p->close_fd);
        p->close_fd = -1;
    }
}

static void calls_back(void **state)
{
    (void)state;
    struct loop l;
    int fd[2];
    uint32_t n = 9;
    assert_ok(loop_init(&l, 0));
    assert_int_equal(pipe(fd), 0);
    struct probe p = {&l, 0, -1, -1, 0};
    assert_ok(loop_add(&l, fd[0], EPOLLIN, hit, &p));
    assert_ok(loop_turn(&l, DUR_US(0), &n));
    assert_int_equal(n, 0);
    assert_int_equal(write(fd[1], "x", 1), 1);
    assert_ok(loop_turn(&l, DUR_S(5), &n));
    assert_int_equal(n, 1);
    assert_int_equal(p.last_fd, fd[0]);
    assert_true(p.events & EPOLLIN);
    assert_ok(loop_turn(&l, DUR_US(0), &n)); /* level-triggered: still there */
    assert_int_equal(p.calls, 2);
    assert_ok(loop_mod(&l, fd[0], 0));
    assert_ok(loop_turn(&l, DUR_US(0), &n));
    assert_int_equal(p.calls, 2);
    assert_ok(loop_mod(&l, fd[0], EPOLLIN));
    loop_del(&l, fd[0]);
    loop_del(&l, fd[0]); /* twice is harmless */
    assert_ok(loop_turn(&l, DUR_US(0), &n));
    assert_int_equal(p.calls, 2);
    assert_int_equal(l.n, 0);
    (void)close(fd[0]);
    (void)close(fd[1]);
    loop_done(&l);
}

/* Two are ready; the first callback closes the second, whose number is used again at once: no event
 * of the old one may reach the new. */
static void stale_events_are_dropped(void **state)
{
    (void)state;
    struct loop l;
    int a[2], b[2];
    uint32_t n = 0;
    assert_ok(loop_init(&l, 64));
    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    struct probe pa = {&l, 0, -1, b[0], 0}, pb = {&l, 0, -1, a[0], 0};
    assert_ok(loop_add(&l, a[0], EPOLLIN, hit, &pa));
    assert_ok(loop_add(&l, b[0], EPOLLIN, hit, &pb));
    assert_int_equal(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
    assert_ok(loop_turn(&l, DUR_S(1), &n));
    assert_int_equal(n, 1);
    assert_int_equal(pa.calls + pb.calls, 1);
    /* a batch of events that names the same number of an earlier life */
    int gone = pa.calls ? b[0] : a[0];
    struct epoll_event old = {.events = EPOLLIN, .data.u64 = (uint32_t)gone};
    int again = fcntl(a[1], F_DUPFD, gone);
    assert_int_equal(again, gone);
    struct probe pc = {&l, 0, -1, -1, 0};
    assert_ok(loop_add(&l, again, EPOLLOUT, hit, &pc));
    assert_int_equal(loop_call(&l, &old, 1), 0);
    assert_int_equal(pc.calls, 0);
    loop_done(&l);
    (void)close(again);
    (void)close(pa.calls ? a[0] : b[0]);
    (void)close(a[1]);
    (void)close(b[1]);
}

static void limits(void **state)
{
    (void)state;
    struct loop l;
    int fd[2];
    uint32_t n;
    struct probe p = {&l, 0, -1, -1, 0};
    assert_int_equal(pipe(fd), 0);
    assert_ok(loop_init(&l, (uint32_t)fd[1]));
    assert_err(loop_add(&l, fd[1], EPOLLOUT, hit, &p), ERR_FULL);
    assert_ok(loop_add(&l, fd[0], EPOLLIN, hit, &p));
    struct now before = clock_now();
    assert_ok(loop_turn(&l, DUR_US(1500), &n)); /* rounds up, never spins */
    assert_true(instant_sub(clock_now().mono, before.mono).us >= 1500);
    assert_true(l.now.mono.us >= before.mono.us);
    loop_done(&l);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_back),
                                       cmocka_unit_test(stale_events_are_dropped),
                                       cmocka_unit_test(limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
