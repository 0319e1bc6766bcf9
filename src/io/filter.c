#include "io/filter.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALL_ROLES (1u << ROLE_ENGINE | 1u << ROLE_VAULT | 1u << ROLE_STORE | 1u << ROLE_FETCH)
#define ENGINE    (1u << ROLE_ENGINE)
#define FILES     (1u << ROLE_VAULT | 1u << ROLE_STORE)
#define STORE     (1u << ROLE_STORE)
#define FETCH     (1u << ROLE_FETCH)
#define NET       (ENGINE | FETCH)

/* One system call with at most two comparisons of its arguments. */
struct rule {
    int call;
    unsigned roles;
    unsigned n_args;
    struct {
        unsigned index;
        uint64_t mask, value; /* (argument & mask) == value */
    } arg[2];
};
#define ANY UINT64_MAX
#define CALL(c, r)                                                                                 \
    {                                                                                              \
        SCMP_SYS(c), (r), 0,                                                                       \
        {                                                                                          \
            {0, 0, 0},                                                                             \
            {                                                                                      \
                0, 0, 0                                                                            \
            }                                                                                      \
        }                                                                                          \
    }
#define CALL1(c, r, i, m, v)                                                                       \
    {                                                                                              \
        SCMP_SYS(c), (r), 1,                                                                       \
        {                                                                                          \
            {(i), (m), (v)},                                                                       \
            {                                                                                      \
                0, 0, 0                                                                            \
            }                                                                                      \
        }                                                                                          \
    }
#define CALL2(c, r, i, m, v, j, n, w)                                                              \
    {                                                                                              \
        SCMP_SYS(c), (r), 2,                                                                       \
        {                                                                                          \
            {(i), (m), (v)},                                                                       \
            {                                                                                      \
                (j), (n), (w)                                                                      \
            }                                                                                      \
        }                                                                                          \
    }
/* int arguments: the kernel looks at the low 32 bits only, so do we. */
#define INT                  UINT64_C(0xffffffff)
#define OPTION(level, name)  CALL2(setsockopt, ENGINE, 1, INT, (level), 2, INT, (name))
#define FETCHES(level, name) CALL2(setsockopt, FETCH, 1, INT, (level), 2, INT, (name))

/* SOCK_DGRAM with or without the two flags. Streams come connected or accepted: the engine cannot
 * dial. */
#define SOCKET(roles, family, type)                                                                \
    CALL2(socket, (roles), 0, INT, (family), 1, INT & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC),   \
          (type))

static const struct rule rules[] = {
    /* the hot ones, without arguments to check: the kernel answers them from a bitmap */
    CALL(epoll_wait, ALL_ROLES),
    CALL(epoll_pwait, ALL_ROLES),
    CALL(epoll_pwait2, ALL_ROLES),
    CALL(epoll_ctl, ALL_ROLES),
    CALL(recvmmsg, ENGINE),
    CALL(recvfrom, NET),
    CALL(recvmsg, ALL_ROLES),
    CALL(read, ALL_ROLES),
    CALL(write, ALL_ROLES),
    CALL(clock_gettime, ALL_ROLES),
    CALL(futex, ALL_ROLES),
    CALL(accept4, ENGINE),
    CALL(close, ALL_ROLES),
    CALL(readv, ALL_ROLES),
    CALL(writev, ALL_ROLES),
    /* MSG_FASTOPEN would dial without connect(), past Landlock too */
    CALL1(sendmmsg, ENGINE, 3, MSG_FASTOPEN, 0),
    CALL1(sendto, NET, 3, MSG_FASTOPEN, 0),
    CALL1(sendmsg, ALL_ROLES & ~FETCH, 2, MSG_FASTOPEN, 0),
    CALL(sendmsg, FETCH), /* which may dial, and whose library does so */
    /* memory: never executable */
    CALL1(mmap, ALL_ROLES, 2, PROT_EXEC, 0),
    CALL1(mprotect, ALL_ROLES, 2, PROT_EXEC, 0),
    CALL(munmap, ALL_ROLES),
    CALL(mremap, ALL_ROLES),
    CALL(madvise, ALL_ROLES),
    CALL(brk, ALL_ROLES),
    CALL(memfd_create, ALL_ROLES),
    CALL(ftruncate, ALL_ROLES),
    CALL(msync, FILES),
    /* itself */
    CALL(rt_sigaction, ALL_ROLES),
    CALL(rt_sigprocmask, ALL_ROLES),
    CALL(rt_sigreturn, ALL_ROLES),
    CALL(sigaltstack, ALL_ROLES),
    CALL(exit, ALL_ROLES),
    CALL(exit_group, ALL_ROLES),
    CALL(restart_syscall, ALL_ROLES),
    CALL(getpid, ALL_ROLES),
    CALL(gettid, ALL_ROLES),
    CALL(getuid, ALL_ROLES),
    CALL(geteuid, ALL_ROLES),
    CALL(getgid, ALL_ROLES),
    CALL(getegid, ALL_ROLES),
    CALL(getrandom, ALL_ROLES),
    CALL(gettimeofday, ALL_ROLES),
    CALL(clock_getres, ALL_ROLES),
    CALL(nanosleep, ALL_ROLES),
    CALL(clock_nanosleep, ALL_ROLES),
    CALL(sched_yield, ALL_ROLES),
    CALL(sched_getaffinity, ALL_ROLES),
    CALL(getcpu, ALL_ROLES),
    CALL(getrusage, ALL_ROLES),
    CALL(sysinfo, ALL_ROLES),
    CALL(uname, ALL_ROLES),
    CALL(set_robust_list, ALL_ROLES),
    CALL(rseq, ALL_ROLES),
    CALL(membarrier, ALL_ROLES),
    CALL2(prlimit64, ALL_ROLES, 0, INT, 0, 2, ANY, 0),
    /* descriptors it has */
    CALL(poll, ALL_ROLES),
    CALL(ppoll, ALL_ROLES),
    CALL(epoll_create1, ALL_ROLES),
    CALL(fstat, ALL_ROLES),
    CALL(newfstatat, FILES),
    CALL(lseek, ALL_ROLES),
    CALL(pread64, ALL_ROLES),
    CALL(pwrite64, ALL_ROLES),
    CALL1(fcntl, ALL_ROLES, 1, INT, F_GETFL),
    CALL1(fcntl, ALL_ROLES, 1, INT, F_SETFL),
    CALL1(fcntl, ALL_ROLES, 1, INT, F_GETFD),
    CALL1(fcntl, ALL_ROLES, 1, INT, F_SETFD),
    CALL1(fcntl, ALL_ROLES, 1, INT, F_ADD_SEALS),
    CALL1(fcntl, ALL_ROLES, 1, INT, F_GET_SEALS),
    CALL1(fcntl, ALL_ROLES, 1, INT, F_DUPFD_CLOEXEC),
    CALL1(fcntl, FILES, 1, INT, F_SETLK),
    CALL1(fcntl, FILES, 1, INT, F_GETLK),
    CALL1(fcntl, FILES, 1, INT, F_SETLKW),
    CALL1(fcntl, FILES, 1, INT, F_OFD_SETLK),
    /* the engine's sockets */
    SOCKET(NET, AF_INET, SOCK_DGRAM),
    SOCKET(NET, AF_INET6, SOCK_DGRAM),
    CALL(bind, NET),
    CALL(getsockname, NET),
    CALL(getpeername, NET),
    CALL2(getsockopt, NET, 1, INT, SOL_SOCKET, 2, INT, SO_ERROR),
    CALL2(getsockopt, ENGINE, 1, INT, SOL_SOCKET, 2, INT, SO_TYPE),
    CALL2(getsockopt, ENGINE, 1, INT, SOL_SOCKET, 2, INT, SO_RCVBUF),
    CALL1(getsockopt, ENGINE, 1, INT, IPPROTO_TCP),
    OPTION(SOL_SOCKET, SO_RCVBUF),
    OPTION(SOL_SOCKET, SO_SNDBUF),
    OPTION(SOL_SOCKET, SO_RCVBUFFORCE),
    OPTION(SOL_SOCKET, SO_SNDBUFFORCE),
    OPTION(SOL_SOCKET, SO_KEEPALIVE),
    OPTION(SOL_SOCKET, SO_LINGER),
    OPTION(SOL_SOCKET, SO_PRIORITY),
    OPTION(SOL_SOCKET, SO_BUSY_POLL),
    OPTION(IPPROTO_TCP, TCP_NODELAY),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
    OPTION(IPPROTO_TCP, TCP_KEEPINTVL),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT),
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(IPPROTO_TCP, TCP_QUICKACK),
    OPTION(IPPROTO_TCP, TCP_CORK),
    OPTION(IPPROTO_IP, IP_TOS),
    OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
    OPTION(IPPROTO_IP, IP_RECVERR),
    OPTION(IPPROTO_IPV6, IPV6_TCLASS),
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY),
    OPTION(IPPROTO_IPV6, IPV6_RECVERR),
    OPTION(IPPROTO_UDP, 103 /* UDP_SEGMENT */),
    OPTION(IPPROTO_UDP, 104 /* UDP_GRO */),
    /* fetch dials name servers. A filter sees no address: which ones is the network's to say */
    SOCKET(FETCH, AF_INET, SOCK_STREAM),
    SOCKET(FETCH, AF_INET6, SOCK_STREAM),
    CALL(connect, FETCH),
    CALL(pipe2, FETCH), /* its event loop makes one for itself */
    FETCHES(SOL_SOCKET, SO_RCVBUF),
    FETCHES(SOL_SOCKET, SO_SNDBUF),
    FETCHES(SOL_SOCKET, SO_REUSEADDR),
    FETCHES(IPPROTO_TCP, TCP_MAXSEG),
    FETCHES(IPPROTO_IP, IP_MTU_DISCOVER),
    FETCHES(IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */),
    FETCHES(IPPROTO_IPV6, IPV6_V6ONLY),
    FETCHES(IPPROTO_IPV6, IPV6_MTU),
    FETCHES(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
    /* files: which ones is Landlock's to say */
    CALL(openat, FILES),
    CALL(stat, FILES),
    CALL(lstat, FILES),
    CALL(statx, FILES),
    CALL(access, FILES),
    CALL(faccessat, FILES),
    CALL(faccessat2, FILES),
    CALL(readlink, FILES),
    CALL(readlinkat, FILES),
    CALL(getcwd, FILES),
    CALL(getdents64, FILES),
    CALL(unlink, FILES),
    CALL(unlinkat, FILES),
    CALL(rename, FILES),
    CALL(renameat, FILES),
    CALL(renameat2, FILES),
    CALL(fsync, FILES),
    CALL(fdatasync, FILES),
    CALL(fchmod, FILES),
    CALL(fchown, FILES),
    CALL(lchown, FILES),
    CALL(flock, FILES),
    CALL(fallocate, FILES),
    CALL(fadvise64, FILES),
    CALL(mkdir, FILES),
    CALL(mkdirat, FILES),
    CALL(umask, FILES),
    CALL(statfs, STORE),
    CALL(fstatfs, STORE),
    CALL(utimensat, STORE),
    CALL(open, FILES),
    CALL(sync_file_range, STORE),
};

/* Calls that only an intruder makes. */
static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(bpf),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(personality),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(shmat),
    SCMP_SYS(pkey_mprotect),
    SCMP_SYS(remap_file_pages),
};

static int add_rules(scmp_filter_ctx ctx, enum role role)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        if (!(r->roles & 1u << role))
            continue;
        struct scmp_arg_cmp cmp[2];
        for (unsigned k = 0; k < r->n_args; k++)
            cmp[k] = (struct scmp_arg_cmp){r->arg[k].index, SCMP_CMP_MASKED_EQ, r->arg[k].mask,
                                           r->arg[k].value};
        int e = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->call, r->n_args, cmp);
        if (e != 0)
            return e;
    }
    /* fstat() of glibc is newfstatat(fd, "", ..., AT_EMPTY_PATH); without the flag a path would be
     * looked up. */
    if (role == ROLE_ENGINE || role == ROLE_FETCH) {
        struct scmp_arg_cmp empty = {3, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH};
        int e = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, &empty);
        if (e != 0)
            return e;
    }
    /* abort() */
    struct scmp_arg_cmp self = {0, SCMP_CMP_MASKED_EQ, INT, (uint64_t)getpid()};
    return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
}

static int add_deadly(scmp_filter_ctx ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++) {
        int e = seccomp_rule_add_array(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0, NULL);
        if (e != 0 && e != -EDOM) /* -EDOM: not a call of this machine */
            return e;
    }
    /* glibc falls back to calls that are refused by EPERM */
    return seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
}

enum err filter_enter(enum role role)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!ctx) {
        errno = ENOMEM;
        return ERR_SYSTEM;
    }
    int e = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (e == 0)
        e = add_rules(ctx, role);
    if (e == 0)
        e = add_deadly(ctx);
    if (e == 0)
        e = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (e == 0)
        e = seccomp_attr_set(
            ctx, SCMP_FLTATR_CTL_SSB,
            1); /* no code of strangers runs here: keep the machine's speculation policy */
    if (e == 0)
        e = seccomp_load(ctx);
    seccomp_release(ctx);
    if (e != 0) {
        errno = -e;
        return ERR_SYSTEM;
    }
    return OK;
}
