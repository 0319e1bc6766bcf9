#include "io/sandbox.h"
#include "io/filter.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock's numbers, as the kernel's documentation gives them; the system's header may be older
 * than the kernel. */
#define LL_CREATE_RULESET 444
#define LL_ADD_RULE       445
#define LL_RESTRICT_SELF  446
#define LL_VERSION        1u
#define LL_PATH_BENEATH   1
struct ll_ruleset {
    uint64_t fs, net, scoped;
};
struct ll_beneath {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));
#define LL_FS_WRITE_FILE  (UINT64_C(1) << 1)
#define LL_FS_READ_FILE   (UINT64_C(1) << 2)
#define LL_FS_READ_DIR    (UINT64_C(1) << 3)
#define LL_FS_REMOVE_DIR  (UINT64_C(1) << 4)
#define LL_FS_REMOVE_FILE (UINT64_C(1) << 5)
#define LL_FS_MAKE_DIR    (UINT64_C(1) << 7)
#define LL_FS_MAKE_REG    (UINT64_C(1) << 8)
#define LL_FS_TRUNCATE    (UINT64_C(1) << 14)
#define LL_NET_BIND       (UINT64_C(1) << 0)
#define LL_NET_CONNECT    (UINT64_C(1) << 1)
#define LL_FS_FOLDER                                                                               \
    (LL_FS_WRITE_FILE | LL_FS_READ_FILE | LL_FS_READ_DIR | LL_FS_REMOVE_DIR | LL_FS_REMOVE_FILE |  \
     LL_FS_MAKE_DIR | LL_FS_MAKE_REG | LL_FS_TRUNCATE)

static const struct {
    const char *name, *program, *user;
    uint64_t file_bytes; /* RLIMIT_FSIZE; bounds memfds too */
} role_of[ROLE_COUNT] = {
    [ROLE_ENGINE] = {"engine", "ringwall-engine", "ringwall", UINT64_C(1) << 30},
    [ROLE_VAULT] = {"vault", "ringwall-vault", "ringwall-vault", UINT64_C(1) << 30},
    [ROLE_STORE] = {"store", "ringwall-store", "ringwall-store", UINT64_MAX},
    [ROLE_FETCH] = {"fetch", "ringwall-fetch", "ringwall-fetch", UINT64_C(1) << 30},
};

const char *role_name(enum role r)
{
    return role_of[r].name;
}
const char *role_program(enum role r)
{
    return role_of[r].program;
}
const char *role_user(enum role r)
{
    return role_of[r].user;
}

bool sandbox_user(enum role role, uint32_t *ret_uid, uint32_t *ret_gid)
{
    struct passwd pw, *found = NULL;
    char buf[4096];
    if (geteuid() != 0 || getpwnam_r(role_user(role), &pw, buf, sizeof buf, &found) != 0 ||
        !found || found->pw_uid == 0)
        return false;
    *ret_uid = found->pw_uid;
    *ret_gid = found->pw_gid;
    return true;
}

/* AddressSanitizer: its leak search at exit needs ptrace and threads, which the sandbox refuses,
 * and its reports read /proc/self/maps, which it can keep beforehand. Nothing in the filter is
 * wider for it. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
static bool caged;
int __lsan_is_turned_off(void);
void __sanitizer_sandbox_on_notify(void *args);
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
    return caged;
}
static void sanitizer_prepare(void)
{
    caged = true;
    __sanitizer_sandbox_on_notify(NULL);
}
#else
static void sanitizer_prepare(void)
{
}
#endif

struct step {
    enum role role;
    const char *folder;
    int folder_fd;
    bool switch_ids;
    uint32_t uid, gid;
    struct sandbox_report *report;
};

static bool close_descriptors(struct step *s)
{
    (void)s;
    /* 3 is the channel; a program started without one has nothing there. */
    return close_range(SANDBOX_CHANNEL_FD + 1, ~0u, 0) == 0;
}

static bool enter_folder(struct step *s)
{
    s->folder_fd = -1;
    (void)umask(077);
    if (!s->folder)
        return chdir("/") == 0;
    s->folder_fd = open(s->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return s->folder_fd >= 0 && fchdir(s->folder_fd) == 0;
}

static bool have_cap(unsigned cap)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{0, 0, 0}, {0, 0, 0}};
    return syscall(SYS_capget, &h, d) == 0 && (d[cap / 32].effective & 1u << cap % 32);
}

static bool drop_bounding(struct step *s)
{
    (void)s;
    if (!have_cap(CAP_SETPCAP))
        return true; /* nothing to drop with; the final look says what is left */
    for (unsigned long cap = 0; cap < 64; cap++) {
        int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (has < 0)
            break; /* past the kernel's last */
        if (has > 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return false;
    }
    return prctl(PR_SET_SECUREBITS,
                 SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
                 0, 0, 0) == 0;
}

static bool switch_ids(struct step *s)
{
    if (geteuid() != 0) {
        s->report->ids = SANDBOX_IDS_NOT_ROOT;
        return true;
    }
    if (!s->switch_ids) {
        s->report->ids = SANDBOX_IDS_NO_USER;
        return true;
    }
    if (setgroups(0, NULL) != 0 || setresgid(s->gid, s->gid, s->gid) != 0 ||
        setresuid(s->uid, s->uid, s->uid) != 0)
        return false;
    if (setresuid(0, 0, 0) == 0 || getuid() != s->uid || geteuid() != s->uid ||
        getegid() != s->gid) {
        errno = EPERM;
        return false;
    }
    s->report->ids = SANDBOX_IDS_SWITCHED;
    return true;
}

static bool drop_caps(struct step *s)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{0, 0, 0}, {0, 0, 0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
        syscall(SYS_capset, &h, d) != 0)
        return false;
    if (syscall(SYS_capget, &h, d) != 0)
        return false;
    bool none = !(d[0].effective | d[0].permitted | d[0].inheritable | d[1].effective |
                  d[1].permitted | d[1].inheritable);
    if (!none) {
        errno = EPERM;
        return false;
    }
    for (unsigned long cap = 0; cap < 64 && none; cap++)
        none = prctl(PR_CAPBSET_READ, cap, 0, 0, 0) <= 0;
    s->report->caps = none;
    return true;
}

static bool set_limit(int what, uint64_t v)
{
    struct rlimit lim;
    if (getrlimit((__rlimit_resource_t)what, &lim) != 0)
        return false;
    if (lim.rlim_max != RLIM_INFINITY && lim.rlim_max < v)
        v = lim.rlim_max;
    lim.rlim_cur = lim.rlim_max = v == UINT64_MAX ? RLIM_INFINITY : v;
    return setrlimit((__rlimit_resource_t)what, &lim) == 0;
}

static bool set_limits(struct step *s)
{
    uint64_t files = s->role == ROLE_ENGINE ? UINT64_C(1) << 20 : 512;
    struct rlimit lim;
    bool ok = set_limit(RLIMIT_CORE, 0) && set_limit(RLIMIT_NPROC, 0) &&
              set_limit(RLIMIT_NOFILE, files) && set_limit(RLIMIT_MEMLOCK, 0) &&
              set_limit(RLIMIT_MSGQUEUE, 0) && set_limit(RLIMIT_FSIZE, role_of[s->role].file_bytes);
    if (!ok || getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return false;
    s->report->nofile = (uint32_t)lim.rlim_cur;
    return true;
}

static bool no_new_privs(struct step *s)
{
    (void)s;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* The store is left to finish what it holds when the monitor dies: it sees the channel close. The
 * id switch forgot the signal. */
static bool not_dumpable(struct step *s)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           prctl(PR_SET_PDEATHSIG, s->role == ROLE_STORE ? 0 : SIGKILL) == 0;
}

static bool landlock(struct step *s)
{
    long abi = syscall(LL_CREATE_RULESET, NULL, 0, LL_VERSION);
    if (abi <= 0) { /* absent or switched off at boot */
        s->report->landlock = 0;
        return errno == ENOSYS || errno == EOPNOTSUPP;
    }
    struct ll_ruleset rs = {.fs = (UINT64_C(1) << 13) - 1};
    size_t size = sizeof rs.fs;
    if (abi >= 2)
        rs.fs |= UINT64_C(1) << 13;
    if (abi >= 3)
        rs.fs |= LL_FS_TRUNCATE;
    if (abi >= 4) { /* no rule follows: no TCP port may be bound or, but by fetch, connected to */
        rs.net = s->role == ROLE_FETCH ? LL_NET_BIND : LL_NET_BIND | LL_NET_CONNECT;
        size = 2 * sizeof rs.fs;
    }
    if (abi >= 5)
        rs.fs |= UINT64_C(1) << 15;
    if (abi >= 6) { /* no abstract sockets, no signals outside */
        rs.scoped = 3;
        size = sizeof rs;
    }
    int fd = (int)syscall(LL_CREATE_RULESET, &rs, size, 0);
    if (fd < 0)
        return false;
    bool ok = true;
    if (s->folder_fd >= 0) {
        struct ll_beneath below = {LL_FS_FOLDER & rs.fs, s->folder_fd};
        ok = syscall(LL_ADD_RULE, fd, LL_PATH_BENEATH, &below, 0) == 0;
    }
    ok = ok && syscall(LL_RESTRICT_SELF, fd, 0) == 0;
    int e = errno;
    (void)close(fd);
    errno = e;
    s->report->landlock = (uint8_t)MIN(abi, 255);
    return ok;
}

/* The folder must be usable by whom we have become: better now, in words, than at the first write.
 */
static bool check_folder(struct step *s)
{
    if (s->folder_fd < 0)
        return true;
    bool ok = access(".", R_OK | W_OK | X_OK) == 0;
    int e = errno;
    (void)close(s->folder_fd);
    errno = e;
    return ok;
}

static bool filter_calls(struct step *s)
{
    sanitizer_prepare();
    if (filter_enter(s->role) != OK)
        return false;
    s->report->seccomp = 1;
    return true;
}

static const struct {
    bool (*take)(struct step *);
    const char *why;
} steps[] = {
    {close_descriptors, "closing inherited descriptors"},
    {enter_folder, "entering its folder"},
    {drop_bounding, "dropping the capability bounding set"},
    {switch_ids, "switching to its own user"},
    {drop_caps, "dropping capabilities"},
    {set_limits, "setting resource limits"},
    {no_new_privs, "setting no-new-privs"},
    {not_dumpable, "forbidding dumps"},
    {landlock, "closing the file system (Landlock)"},
    {check_folder, "its folder is not usable by its user"},
    {filter_calls, "filtering system calls (seccomp)"},
};

enum err sandbox_enter(enum role role, const char *folder, struct sandbox_report *ret_report,
                       const char **ret_why)
{
    struct sandbox_report report = {0};
    struct step s = {.role = role, .folder = folder, .folder_fd = -1, .report = &report};
    s.switch_ids = sandbox_user(role, &s.uid, &s.gid);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (!steps[i].take(&s)) {
            *ret_why = steps[i].why;
            return ERR_SYSTEM;
        }
    }
    report.uid = (uint32_t)getuid();
    *ret_report = report;
    return OK;
}
