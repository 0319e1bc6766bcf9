#include "io/nft.h"
#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

const char *nft_program(void)
{
    static const char *const paths[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft",
                                        "/usr/local/sbin/nft"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (access(paths[i], X_OK) == 0)
            return paths[i];
    return NULL;
}

static _Noreturn void become(const char *path, int in, int out, int err, pid_t parent)
{
    static const char *const argv[] = {"nft", "-f", "-", NULL};
    static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
    sigset_t none;
    (void)sigemptyset(&none);
    for (int sig = 1; sig < 65; sig++)
        (void)signal(sig, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && dup2(in, 0) >= 0 &&
        dup2(out, 1) >= 0 && dup2(err, 2) >= 0 && close_range(3, ~0u, 0) == 0)
        (void)execve(path, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
    _exit(127);
}

static void close_run(struct nft_run *r)
{
    if (r->out >= 0)
        (void)close(r->out);
    if (r->err >= 0)
        (void)close(r->err);
    *r = (struct nft_run){0, -1, -1};
}

enum err nft_start(struct nft_run *r, struct str script)
{
    const char *path = nft_program();
    int in = -1;
    if (r->pid)
        return ERR_STATE;
    if (!path)
        return ERR_NOT_FOUND;
    enum err e = memfd_sealed("nft-script", script.p, script.n, &in);
    if (e != OK)
        return e;
    r->out = memfd_create("nft-out", MFD_CLOEXEC);
    r->err = memfd_create("nft-err", MFD_CLOEXEC);
    pid_t parent = getpid();
    bool ready = r->out >= 0 && r->err >= 0 && lseek(in, 0, SEEK_SET) == 0;
    pid_t pid = ready ? fork() : -1;
    if (pid == 0)
        become(path, in, r->out, r->err, parent);
    (void)close(in);
    if (pid < 0) {
        close_run(r);
        return ERR_SYSTEM;
    }
    r->pid = pid;
    return OK;
}

static void take(int fd, struct out *ret_said)
{
    char buf[4096];
    off_t at = 0;
    for (ssize_t n; !ret_said->full && (n = pread(fd, buf, sizeof buf, at)) > 0; at += n)
        out_put(ret_said, str_of(buf, MIN((size_t)n, ret_said->cap - ret_said->n)));
}

enum err nft_end(struct nft_run *r, bool wait, struct out *ret_said)
{
    int status = 0;
    if (!r->pid)
        return ERR_STATE;
    pid_t got;
    do
        got = waitpid(r->pid, &status, wait ? 0 : WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return ERR_AGAIN;
    bool ok = got == r->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    take(ok ? r->out : r->err, ret_said);
    close_run(r);
    return ok ? OK : ERR_SYSTEM;
}

void nft_kill(struct nft_run *r)
{
    if (!r->pid)
        return;
    (void)kill(r->pid, SIGKILL);
    (void)waitpid(r->pid, NULL, 0);
    close_run(r);
}
