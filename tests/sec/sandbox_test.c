/* What each role cannot do once sandbox_enter has succeeded. Every trial runs in a process of its
 * own that enters the very sandbox of the real program, tries, and tells how it ended; beside each
 * refusal stands what must still work, so that a sandbox that breaks everything does not pass. */
#include "base/test.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/sandbox.h"
#include "io/sock.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DONE   200 /* the thing tried was done */
#define KILLED 201 /* the kernel ended the process for trying */
#define NO_BOX 202 /* sandbox_enter failed */

static char folder[64];
static int outside = -1; /* port of a TCP listener on loopback */
static const char *const outside_file = "/etc/passwd";

typedef int trial(void); /* DONE, or the errno of the refusal */

static int of(long r)
{
    return r >= 0 ? DONE : errno;
}

static const char *folder_of(enum role r)
{
    return r == ROLE_ENGINE || r == ROLE_FETCH ? NULL : folder;
}

static int run(enum role role, trial *t)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox_report report;
        const char *why = "";
        if (sandbox_enter(role, folder_of(role), &report, &why) != OK)
            _exit(NO_BOX);
        _exit(t());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
    return WEXITSTATUS(status);
}

#define REFUSED(role, t)                                                                           \
    do {                                                                                           \
        int got_ = run(role, t);                                                                   \
        if (got_ == DONE || got_ == NO_BOX || got_ < 0)                                            \
            fail_msg("%s: %s gave %d", role_name(role), #t, got_);                                 \
    } while (0)
#define ALL_REFUSE(t)                                                                              \
    for (int r_ = 0; r_ < ROLE_COUNT; r_++)                                                        \
    REFUSED((enum role)r_, t)
#define ALL_GIVE(t, want)                                                                          \
    for (int r_ = 0; r_ < ROLE_COUNT; r_++)                                                        \
    assert_int_equal(run((enum role)r_, t), want)

static int t_nothing(void)
{
    return DONE;
}
static int t_read_file(void)
{
    return of(open(outside_file, O_RDONLY));
}
static int t_read_by_old_call(void)
{
    return of(syscall(SYS_open, outside_file, O_RDONLY));
}
static int t_openat2(void)
{
    uint64_t how[3] = {O_RDONLY, 0, 0};
    return of(syscall(SYS_openat2, AT_FDCWD, outside_file, how, sizeof how));
}
static int t_create_file(void)
{
    return of(open("/tmp/ringwall-sandbox-escape", O_WRONLY | O_CREAT, 0600));
}
static int t_own_memory(void)
{
    return of(open("/proc/self/mem", O_RDWR));
}
static int t_list_root(void)
{
    return of(open("/", O_RDONLY | O_DIRECTORY));
}
static int t_exec(void)
{
    char *argv[] = {NULL};
    return of(execve("/bin/true", argv, argv));
}
static int t_execveat(void)
{
    char *argv[] = {NULL};
    return of(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv, 0));
}
static int t_fork(void)
{
    long r = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (r == 0)
        _exit(0);
    return of(r);
}
static int t_tcp_socket(void)
{
    return of(socket(AF_INET, SOCK_STREAM, 0));
}
static int t_raw_socket(void)
{
    return of(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}
static int t_unix_socket(void)
{
    return of(socket(AF_UNIX, SOCK_STREAM, 0));
}
static int t_netlink_socket(void)
{
    return of(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int t_udp_socket(void)
{
    return of(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}
static int t_udp_works(void)
{
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}}, me;
    int fd;
    if (sock_udp(&a, false, &fd) != OK || sock_local(fd, &me) != OK)
        return errno;
    sock_buffers(fd, 65536, 65536);
    sock_dscp(fd, ADDR_V4, 46);
    union sock_addr to;
    socklen_t n = sock_from_addr(&me, &to);
    char c;
    return sendto(fd, "x", 1, 0, &to.sa, n) == 1 && recv(fd, &c, 1, 0) == 1 ? DONE : errno;
}
/* Descriptor 3 is the one that survives: a ready TCP socket, so that connect() itself is what is
 * judged. */
static int t_connect(void)
{
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}, .port = (uint16_t)outside};
    union sock_addr to;
    socklen_t n = sock_from_addr(&a, &to);
    return of(connect(SANDBOX_CHANNEL_FD, &to.sa, n));
}
static int t_listen(void)
{
    return of(listen(SANDBOX_CHANNEL_FD, 1));
}
static int t_accept(void)
{
    int r = of(accept4(SANDBOX_CHANNEL_FD, NULL, NULL, SOCK_NONBLOCK));
    return r == EINVAL ? DONE : r; /* it does not listen, but the call was made */
}
static int t_dial(void)
{
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}, .port = (uint16_t)outside};
    union sock_addr to;
    socklen_t n = sock_from_addr(&a, &to);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    return connect(fd, &to.sa, n) == 0 || errno == EINPROGRESS ? DONE : errno;
}
static int t_bind_tcp(void)
{
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}, .port = 47111};
    union sock_addr at;
    socklen_t n = sock_from_addr(&a, &at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? errno : of(bind(fd, &at.sa, n));
}
static int t_name_service(void)
{
    return of(open("/etc/resolv.conf", O_RDONLY));
}
static int t_fast_open(void)
{
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}, .port = (uint16_t)outside};
    union sock_addr to;
    socklen_t n = sock_from_addr(&a, &to);
    int r = of(sendto(SANDBOX_CHANNEL_FD, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT, &to.sa, n));
    return r == EINPROGRESS ? DONE : r;
}
static int t_filter(void)
{
    int one = 1;
    return of(setsockopt(SANDBOX_CHANNEL_FD, SOL_SOCKET, SO_ATTACH_BPF, &one, sizeof one));
}
static int t_mmap_exec(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? errno
               : DONE;
}
static int t_mprotect_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NO_BOX;
    return of(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int t_pkey_mprotect_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return of(syscall(SYS_pkey_mprotect, p, 4096, PROT_READ | PROT_EXEC, -1));
}
static int t_io_uring(void)
{
    uint8_t params[120] = {0};
    return of(syscall(SYS_io_uring_setup, 1, params));
}
static int t_ptrace(void)
{
    return of(syscall(SYS_ptrace, 16 /* ATTACH */, getppid(), 0, 0));
}
static int t_other_memory(void)
{
    char c;
    struct iovec l = {&c, 1}, r = {&c, 1};
    return of(syscall(SYS_process_vm_readv, getppid(), &l, 1, &r, 1, 0));
}
static int t_bpf(void)
{
    return of(syscall(SYS_bpf, 0, NULL, 0));
}
static int t_namespace(void)
{
    return of(syscall(SYS_unshare, 0x10000000));
}
static int t_keyring(void)
{
    return of(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}
static int t_kill_parent(void)
{
    return of(kill(getppid(), 0));
}
static int t_setuid(void)
{
    return of(syscall(SYS_setuid, 0));
}
static int t_chmod(void)
{
    return of(syscall(SYS_chmod, folder, 0777));
}
static int t_ioctl_terminal(void)
{
    return of(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"));
}
static int t_seccomp(void)
{
    return of(syscall(SYS_seccomp, 0, 0, NULL));
}
static int t_prctl(void)
{
    return of(syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static int t_raise_limit(void)
{
    struct rlimit l = {4096, 4096};
    return of(syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &l, NULL));
}
static int
t_old_machine(void) /* the 32-bit entry has other numbers: the filter must not read them by ours */
{
#if defined(__x86_64__)
    long r;
    __asm__ volatile("int $0x80"
                     : "=a"(r)
                     : "a"(20L /* getpid there */)
                     : "memory", "r8", "r9", "r10", "r11");
    return r > 0 ? DONE : ENOSYS;
#else
    return ENOSYS;
#endif
}

/* -- what must still work -- */

static int t_file_below(void)
{
    size_t n = 0;
    char buf[8];
    enum err e = file_write("inside.txt", "hello", 5, 0600);
    if (e == OK)
        e = file_read("inside.txt", buf, sizeof buf, &n);
    return e == OK && n == 5 ? DONE : errno;
}
static int t_parent_folder(void)
{
    return of(open("../", O_RDONLY | O_DIRECTORY));
}
static int t_climb(void)
{
    return of(open("../../../etc/passwd", O_RDONLY));
}
static int t_by_link(void)
{
    return of(open("link", O_RDONLY));
}
static int t_make_device(void)
{
    return of(syscall(SYS_mknod, "device", S_IFIFO | 0600, 0));
}
static int t_memory_and_clock(void)
{
    int fd;
    void *p;
    if (clock_now().wall.us <= 0 || memfd_sealed("t", "abc", 3, &fd) != OK ||
        mem_map(fd, 3, false, true, &p) != OK)
        return errno;
    void *big = malloc(8u << 20);
    bool ok = big && memcmp(p, "abc", 3) == 0;
    free(big);
    return ok ? DONE : ENOMEM;
}
static int t_state(void) /* no capability, no dumps, no new privileges, no core, no processes */
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    memset(d, 0, sizeof d);
    struct rlimit core = {1, 1};
    (void)h;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
        return 1;
    return DONE;
}

static void refused_to_all(void **state)
{
    (void)state;
    ALL_GIVE(t_nothing, DONE);
    ALL_REFUSE(t_read_file);
    ALL_REFUSE(t_read_by_old_call);
    ALL_REFUSE(t_openat2);
    ALL_REFUSE(t_create_file);
    ALL_REFUSE(t_own_memory);
    ALL_REFUSE(t_list_root);
    ALL_REFUSE(t_fork);
    ALL_REFUSE(t_raw_socket);
    ALL_REFUSE(t_unix_socket);
    ALL_REFUSE(t_netlink_socket);
    for (int r = 0; r < ROLE_COUNT; r++) { /* fetch alone dials */
        if (r != ROLE_ENGINE)
            REFUSED((enum role)r, t_accept);
        if (r == ROLE_FETCH)
            continue;
        REFUSED((enum role)r, t_tcp_socket);
        /* by the filter (Landlock would say EACCES): it must hold on kernels without Landlock too
         */
        assert_int_equal(run((enum role)r, t_connect), EPERM);
    }
    ALL_REFUSE(t_listen);
    ALL_GIVE(t_fast_open, EPERM);
    ALL_REFUSE(t_filter);
    ALL_REFUSE(t_mmap_exec);
    ALL_REFUSE(t_mprotect_exec);
    ALL_REFUSE(t_kill_parent);
    ALL_REFUSE(t_setuid);
    ALL_REFUSE(t_chmod);
    ALL_REFUSE(t_ioctl_terminal);
    ALL_REFUSE(t_seccomp);
    ALL_REFUSE(t_prctl);
    ALL_REFUSE(t_raise_limit);
}

static void deadly_to_all(void **state)
{
    (void)state;
    ALL_GIVE(t_exec, KILLED);
    ALL_GIVE(t_execveat, KILLED);
    ALL_GIVE(t_io_uring, KILLED);
    ALL_GIVE(t_ptrace, KILLED);
    ALL_GIVE(t_other_memory, KILLED);
    ALL_GIVE(t_bpf, KILLED);
    ALL_GIVE(t_namespace, KILLED);
    ALL_GIVE(t_keyring, KILLED);
    ALL_GIVE(t_pkey_mprotect_exec, KILLED);
#if defined(__x86_64__)
    ALL_REFUSE(t_old_machine);
#endif
}

static void refused_by_role(void **state)
{
    (void)state;
    REFUSED(ROLE_VAULT, t_udp_socket);
    REFUSED(ROLE_STORE, t_udp_socket);
    assert_int_equal(run(ROLE_ENGINE, t_file_below), EPERM); /* not even Landlock is asked */
    assert_int_equal(run(ROLE_ENGINE, t_read_file), EPERM);
    assert_int_equal(run(ROLE_FETCH, t_file_below), EPERM);
    assert_int_equal(run(ROLE_FETCH, t_read_file), EPERM);
    assert_int_equal(run(ROLE_FETCH, t_name_service), EPERM); /* its text is handed to it */
    if (syscall(444, NULL, 0, 1) >= 4)
        REFUSED(ROLE_FETCH, t_bind_tcp); /* and without a port to listen at there is no listen() */
    for (int r = ROLE_VAULT; r <= ROLE_STORE; r++) {
        REFUSED((enum role)r, t_parent_folder);
        REFUSED((enum role)r, t_climb);
        REFUSED((enum role)r, t_by_link);
        REFUSED((enum role)r, t_make_device);
    }
}

static void works(void **state)
{
    (void)state;
    assert_int_equal(run(ROLE_ENGINE, t_udp_works), DONE);
    assert_int_equal(run(ROLE_FETCH, t_udp_works), DONE);
    assert_int_equal(run(ROLE_FETCH, t_dial), DONE);
    assert_int_equal(run(ROLE_VAULT, t_file_below), DONE);
    assert_int_equal(run(ROLE_STORE, t_file_below), DONE);
    ALL_GIVE(t_memory_and_clock, DONE);
    ALL_GIVE(t_state, DONE);
}

/* Without the sandbox the trials succeed: what refuses them above is the sandbox and not this
 * machine. */
static void trials_can_fail(void **state)
{
    (void)state;
    assert_int_equal(t_read_file(), DONE);
    assert_int_equal(t_tcp_socket(), DONE);
    assert_int_equal(t_unix_socket(), DONE);
    assert_int_equal(t_mmap_exec(), DONE);
    assert_int_equal(t_mprotect_exec(), DONE);
    assert_int_equal(t_connect(), DONE);
    assert_int_equal(t_bind_tcp(), DONE);
    assert_int_equal(t_name_service(), DONE);
}

static void report(void **state)
{
    (void)state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    for (int r = 0; r < ROLE_COUNT; r++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct sandbox_report rep = {0};
            const char *why = "";
            (void)dup2(p[1], SANDBOX_CHANNEL_FD);
            if (sandbox_enter((enum role)r, folder_of((enum role)r), &rep, &why) != OK)
                _exit(1);
            _exit(write(SANDBOX_CHANNEL_FD, &rep, sizeof rep) == sizeof rep ? 0 : 2);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        struct sandbox_report rep;
        assert_int_equal(read(p[0], &rep, sizeof rep), sizeof rep);
        assert_int_equal(rep.seccomp, 1);
        long abi = syscall(444, NULL, 0, 1);
        assert_int_equal(rep.landlock, abi > 0 ? abi : 0);
        uint32_t uid, gid;
        assert_int_equal(rep.ids, geteuid() != 0                           ? SANDBOX_IDS_NOT_ROOT
                                  : sandbox_user((enum role)r, &uid, &gid) ? SANDBOX_IDS_SWITCHED
                                                                           : SANDBOX_IDS_NO_USER);
        if (geteuid() == 0)
            assert_int_equal(rep.caps, 1);
    }
    (void)close(p[0]);
    (void)close(p[1]);
}

/* A step that cannot be taken ends in an error, never in a looser sandbox. */
static void fails_closed(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox_report rep;
        const char *why = "";
        enum err e = sandbox_enter(ROLE_STORE, "/nonexistent/folder", &rep, &why);
        _exit(e == ERR_SYSTEM && strcmp(why, "entering its folder") == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int prepare(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/ringwall-sec-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    uint32_t uid, gid;
    if (sandbox_user(ROLE_STORE, &uid, &gid) && chmod(folder, 0777) != 0)
        return -1;
    char link[96];
    (void)snprintf(link, sizeof link, "%s/link", folder);
    if (symlink(outside_file, link) != 0)
        return -1;
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}}, me;
    int fd, tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (tcp < 0 || sock_listen(&a, false, 16, &fd) != OK || sock_local(fd, &me) != OK)
        return -1;
    outside = me.port;
    /* the listener lives on elsewhere; descriptor 3 is the ready socket */
    if (fd == SANDBOX_CHANNEL_FD)
        fd = dup(fd);
    return dup2(tcp, SANDBOX_CHANNEL_FD) == SANDBOX_CHANNEL_FD && fd > SANDBOX_CHANNEL_FD ? 0 : -1;
}

static int clean(void **state)
{
    (void)state;
    char path[96];
    const char *const names[] = {"link", "inside.txt", "inside.txt.new"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_to_all),  cmocka_unit_test(deadly_to_all),
        cmocka_unit_test(refused_by_role), cmocka_unit_test(works),
        cmocka_unit_test(report),          cmocka_unit_test(fails_closed),
        cmocka_unit_test(trials_can_fail),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
