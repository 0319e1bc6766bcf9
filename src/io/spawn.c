#include "io/spawn.h"
#include "io/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* After fork: only system calls. Tells errno through the pipe if exec does not happen. */
static _Noreturn void become(const char *const argv[], const char *const env[], int channel,
                             int report, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    for (int sig = 1; sig < 65; sig++)
        (void)signal(sig, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid(); /* Ctrl-C is the parent's to hear: it ends its children in order */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int keep = fcntl(report, F_DUPFD_CLOEXEC, 16);
    bool ok =
        null >= 0 && keep >= 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
    ok = ok && dup2(null, 0) >= 0;
    if (channel == SANDBOX_CHANNEL_FD)
        ok = ok && fcntl(channel, F_SETFD, 0) == 0;
    else
        ok = ok && dup2(channel, SANDBOX_CHANNEL_FD) >= 0;
    if (ok) {
        (void)close_range(SANDBOX_CHANNEL_FD + 1, (unsigned)keep - 1, 0);
        (void)close_range((unsigned)keep + 1, ~0u, 0);
        (void)execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
    }
    int e = errno ? errno : ECHILD;
    ssize_t n = write(keep >= 0 ? keep : report, &e, sizeof e);
    _exit(n > 0 ? 126 : 127);
}

enum err spawn(const char *const argv[], const char *const env[], int channel,
               struct spawned *ret_s)
{
    int pipe_fd[2];
    if (pipe2(pipe_fd, O_CLOEXEC) != 0)
        return ERR_SYSTEM;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(argv, env, channel, pipe_fd[1], parent);
    int e = errno;
    (void)close(pipe_fd[1]);
    if (pid > 0) {
        e = 0;
        ssize_t n;
        do
            n = read(pipe_fd[0], &e, sizeof e);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
            e = 0;
    }
    (void)close(pipe_fd[0]);
    int pidfd = pid > 0 && e == 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0) {
        e = e ? e : errno;
        if (pid > 0) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
        }
        errno = e;
        return ERR_SYSTEM;
    }
    *ret_s = (struct spawned){pid, pidfd};
    return OK;
}

enum err spawn_reap(struct spawned *s, int *ret_status)
{
    int status = 0;
    pid_t got = waitpid(s->pid, &status, WNOHANG);
    if (got == 0)
        return ERR_AGAIN;
    *ret_status = got < 0 ? 0 : WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    (void)close(s->pidfd);
    *s = (struct spawned){0, -1};
    return OK;
}

void spawn_signal(const struct spawned *s, int sig)
{
    if (s->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, s->pidfd, sig, NULL, 0);
}
