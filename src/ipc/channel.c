#include "ipc/channel.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { UP, DOWN };
enum { E = 1 << ROLE_ENGINE, V = 1 << ROLE_VAULT, S = 1 << ROLE_STORE, F = 1 << ROLE_FETCH };
enum { L = 1 << PHASE_LOCKING, U = 1 << PHASE_SETUP, R = 1 << PHASE_RUNNING };
struct rule {
    const char *name;
    uint8_t dir, roles, phases, fds_min, fds_max;
    uint32_t min, max;
};
static const struct rule rules[MSG_COUNT] = {
    [MSG_NONE] = {"NONE", 0, 0, 0, 0, 0, 0, 0},
#define M(name, dir, roles, phases, min, max, fds_min, fds_max)                                    \
    [MSG_##name] = {#name, dir, roles, phases, fds_min, fds_max, min, max},
#include "ipc/messages.def"
#undef M
};

const char *msg_name(enum msg_type t)
{
    return t > MSG_NONE && t < MSG_COUNT ? rules[t].name : "NONE";
}

void channel_init(struct channel *c, int fd, enum role role, bool monitor)
{
    *c = (struct channel){fd, role, PHASE_LOCKING, monitor};
}

enum err channel_pair(int *ret_monitor, int *ret_child)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
        return ERR_SYSTEM;
    int bytes = 1 << 20; /* room for a set-up of many engines; the kernel may give less */
    for (int i = 0; i < 2; i++)
        if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
            (void)setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (fcntl(fd[0], F_SETFL, O_NONBLOCK) != 0) {
        (void)close(fd[0]);
        (void)close(fd[1]);
        return ERR_SYSTEM;
    }
    *ret_monitor = fd[0];
    *ret_child = fd[1];
    return OK;
}

static enum err judge(const struct channel *c, uint32_t t, bool up, size_t n, uint32_t n_fds)
{
    if (t <= MSG_NONE || t >= MSG_COUNT)
        return ERR_SYNTAX;
    const struct rule *r = &rules[t];
    if ((r->dir == UP) != up || !(r->roles & 1u << c->role) || !(r->phases & 1u << c->phase))
        return ERR_STATE;
    if (n < r->min || n > r->max || n_fds < r->fds_min || n_fds > r->fds_max)
        return ERR_LIMIT;
    return OK;
}

static void move_phase(struct channel *c, enum msg_type t)
{
    if (t == MSG_LOCKED)
        c->phase = PHASE_SETUP;
    else if (t == MSG_RUNNING)
        c->phase = PHASE_RUNNING;
}

enum err channel_judge(struct channel *c, const void *datagram, size_t n, uint32_t n_fds,
                       enum msg_type *ret_t)
{
    struct msg_head h;
    if (n < sizeof h || n > sizeof h + IPC_BODY_MAX)
        return ERR_LIMIT;
    memcpy(&h, datagram, sizeof h);
    if (h.version != IPC_VERSION || h.n != n - sizeof h)
        return ERR_SYNTAX;
    enum err e = judge(c, h.type, c->monitor, h.n, n_fds);
    if (e != OK)
        return e;
    *ret_t = (enum msg_type)h.type;
    move_phase(c, *ret_t);
    return OK;
}

enum err channel_send2(struct channel *c, enum msg_type t, struct str head, struct str tail, int fd)
{
    enum err e = judge(c, t, !c->monitor, head.n + tail.n, fd >= 0);
    if (e != OK)
        return e;
    struct msg_head h = {(uint16_t)t, IPC_VERSION, (uint32_t)(head.n + tail.n)};
    struct iovec iov[3] = {
        {&h, sizeof h}, {(void *)(uintptr_t)head.p, head.n}, {(void *)(uintptr_t)tail.p, tail.n}};
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 3};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
        *cm = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(cm), &fd, sizeof fd);
    }
    /* What an engine tells on the way of a call waits for no reader. */
    int flags = MSG_NOSIGNAL | (t == MSG_BAN || t == MSG_NOTE ? MSG_DONTWAIT : 0);
    ssize_t n;
    do
        n = sendmsg(c->fd, &m, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN                         ? ERR_AGAIN
               : errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED
                                                       : ERR_SYSTEM;
    move_phase(c, t);
    return OK;
}

enum err channel_send(struct channel *c, enum msg_type t, struct str body, int fd)
{
    return channel_send2(c, t, body, STR_NONE, fd);
}

static void take_fds(struct msghdr *m, struct msg *ret_m)
{
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(m); cm; cm = CMSG_NXTHDR(m, cm)) {
        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS ||
            cm->cmsg_len < CMSG_LEN(0))
            continue;
        size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cm) + i * sizeof fd, sizeof fd);
            if (ret_m->n_fds < IPC_FDS_MAX)
                ret_m->fds[ret_m->n_fds++] = fd;
            else
                (void)close(fd);
        }
    }
}

void msg_close(struct msg *m)
{
    for (uint32_t i = 0; i < m->n_fds; i++)
        if (m->fds[i] >= 0)
            (void)close(m->fds[i]);
    m->n_fds = 0;
}

enum err channel_recv(struct channel *c, struct msg *ret_m, bool dont_wait)
{
    struct {
        struct msg_head h;
        uint8_t body[IPC_BODY_MAX];
    } in;
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {&in, sizeof in};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do
        n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | (dont_wait ? MSG_DONTWAIT : 0));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ERR_AGAIN : errno == ECONNRESET ? ERR_CLOSED : ERR_SYSTEM;
    ret_m->n_fds = 0;
    take_fds(&m, ret_m);
    enum err e = n == 0 ? ERR_CLOSED : m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? ERR_LIMIT : OK;
    if (e == OK)
        e = channel_judge(c, &in, (size_t)n, ret_m->n_fds, &ret_m->type);
    if (e != OK) {
        msg_close(ret_m);
        return e;
    }
    ret_m->n = (size_t)n - sizeof in.h;
    memcpy(ret_m->u.body, in.body, ret_m->n);
    return OK;
}
