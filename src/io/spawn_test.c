#include "base/test.h"
#include "io/spawn.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static int end_of(struct spawned *s)
{
    int status = 12345;
    struct pollfd p = {s->pidfd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_ok(spawn_reap(s, &status));
    assert_int_equal(s->pidfd, -1);
    return status;
}

static void says_over_the_channel(void **state)
{
    (void)state;
    int fd[2];
    struct spawned s;
    char buf[256];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
    int leak =
        fcntl(fd[0], F_DUPFD, 40); /* not close-on-exec: must not reach the child all the same */
    assert_true(leak >= 40);
    const char *argv[] = {"/bin/sh", "-c",
                          "echo $A$HOME >&3; ls /proc/self/fd | tr '\\n' ' ' >&3; exit 7", NULL};
    const char *env[] = {"A=b", "PATH=/usr/bin:/bin", NULL};
    assert_ok(spawn(argv, env, fd[1], &s));
    assert_int_equal(end_of(&s), 7);
    ssize_t n = recv(fd[0], buf, sizeof buf, MSG_DONTWAIT);
    assert_str(str_of(buf, (size_t)n), "b\n"); /* environment: what was given, no more */
    n = recv(fd[0], buf, sizeof buf, MSG_DONTWAIT);
    assert_true(n > 0);
    assert_int_equal(str_search(str_of(buf, (size_t)n), STR(" 40 ")), (size_t)n);
    assert_true(str_starts(str_of(buf, (size_t)n), STR("0 1 2 ")));
    (void)close(leak);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

static void failures(void **state)
{
    (void)state;
    int fd[2], status = 0;
    struct spawned s = {0, -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
    const char *absent[] = {"/nonexistent/program", NULL}, *sleeper[] = {"/bin/sleep", "60", NULL};
    const char *env[] = {NULL};
    assert_err(spawn(absent, env, fd[1], &s), ERR_SYSTEM);
    assert_int_equal(s.pidfd, -1);
    assert_ok(spawn(sleeper, env, fd[1], &s));
    assert_err(spawn_reap(&s, &status), ERR_AGAIN);
    spawn_signal(&s, SIGKILL);
    assert_int_equal(end_of(&s), -SIGKILL);
    spawn_signal(&s, SIGKILL); /* nobody: nothing */
    (void)close(fd[0]);
    (void)close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_over_the_channel),
                                       cmocka_unit_test(failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
