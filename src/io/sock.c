#include "io/sock.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

socklen_t sock_from_addr(const struct addr *a, union sock_addr *ret)
{
    if (a->family == ADDR_V4) {
        ret->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&ret->in.sin_addr, a->ip, 4);
        return sizeof ret->in;
    }
    if (a->family == ADDR_V6) {
        ret->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
        memcpy(&ret->in6.sin6_addr, a->ip, 16);
        return sizeof ret->in6;
    }
    return 0;
}

void sock_to_addr(const union sock_addr *s, struct addr *ret_a)
{
    *ret_a = (struct addr){0};
    if (s->sa.sa_family == AF_INET) {
        ret_a->family = ADDR_V4;
        ret_a->port = ntohs(s->in.sin_port);
        memcpy(ret_a->ip, &s->in.sin_addr, 4);
    } else if (s->sa.sa_family == AF_INET6) {
        ret_a->family = ADDR_V6;
        ret_a->port = ntohs(s->in6.sin6_port);
        memcpy(ret_a->ip, &s->in6.sin6_addr, 16);
        addr_fold(ret_a);
    }
}

enum err sock_err(int e)
{
    switch (e) {
    case 0:
        return OK;
    case EAGAIN:
    case EINTR:
    case EINPROGRESS:
        return ERR_AGAIN;
    case EADDRINUSE:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_AUTH;
    case EADDRNOTAVAIL:
        return ERR_NOT_FOUND;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return ERR_FULL;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case ENOTCONN:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_CLOSED;
    default:
        return ERR_SYSTEM;
    }
}

enum err sock_local(int fd, struct addr *ret_a)
{
    union sock_addr s;
    socklen_t n = sizeof s;
    if (getsockname(fd, &s.sa, &n) != 0)
        return sock_err(errno);
    sock_to_addr(&s, ret_a);
    return OK;
}

enum err sock_peer(int fd, struct addr *ret_a)
{
    union sock_addr s;
    socklen_t n = sizeof s;
    if (getpeername(fd, &s.sa, &n) != 0)
        return sock_err(errno);
    sock_to_addr(&s, ret_a);
    return OK;
}

static void set_int(int fd, int level, int opt, int v)
{
    (void)setsockopt(fd, level, opt, &v, sizeof v);
}

/* Closes on failure, keeping errno for the caller's message. */
static enum err give_up(int fd)
{
    int e = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = e;
    return sock_err(e);
}

static int open_socket(const struct addr *a, int type)
{
    int fd =
        socket(a->family == ADDR_V6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && a->family == ADDR_V6)
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    return fd;
}

enum err sock_udp(const struct addr *bind_to, bool reuseport, int *ret_fd)
{
    union sock_addr s;
    socklen_t n = sock_from_addr(bind_to, &s);
    int fd = n ? open_socket(bind_to, SOCK_DGRAM) : -1;
    if (fd < 0)
        return n ? sock_err(errno) : ERR_RANGE;
    if (reuseport)
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (bind(fd, &s.sa, n) != 0)
        return give_up(fd);
    *ret_fd = fd;
    return OK;
}

enum err sock_listen(const struct addr *bind_to, bool reuseport, int backlog, int *ret_fd)
{
    union sock_addr s;
    socklen_t n = sock_from_addr(bind_to, &s);
    int fd = n ? open_socket(bind_to, SOCK_STREAM) : -1;
    if (fd < 0)
        return n ? sock_err(errno) : ERR_RANGE;
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (reuseport)
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (bind(fd, &s.sa, n) != 0 || listen(fd, backlog) != 0)
        return give_up(fd);
    *ret_fd = fd;
    return OK;
}

enum err sock_connect(const struct addr *local, const struct addr *peer, int *ret_fd)
{
    union sock_addr s, from;
    socklen_t n = sock_from_addr(peer, &s);
    int fd = n ? open_socket(peer, SOCK_STREAM) : -1;
    if (fd < 0)
        return n ? sock_err(errno) : ERR_RANGE;
    if (local && local->family == peer->family && !addr_any(local)) {
        struct addr a = *local;
        a.port = 0;
        socklen_t m = sock_from_addr(&a, &from);
        set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        if (bind(fd, &from.sa, m) != 0)
            return give_up(fd);
    }
    sock_nodelay(fd);
    if (connect(fd, &s.sa, n) != 0 && errno != EINPROGRESS)
        return give_up(fd);
    *ret_fd = fd;
    return OK;
}

int sock_error(int fd)
{
    int e = 0;
    socklen_t n = sizeof e;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) != 0)
        return errno;
    return e;
}

/* FORCE passes rmem_max and wants a capability; without it the plain option gives what it can. */
void sock_buffers(int fd, int bytes_in, int bytes_out)
{
    if (bytes_in && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes_in, sizeof bytes_in) != 0)
        set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes_in);
    if (bytes_out && setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes_out, sizeof bytes_out) != 0)
        set_int(fd, SOL_SOCKET, SO_SNDBUF, bytes_out);
}

void sock_dscp(int fd, uint8_t family, uint8_t dscp)
{
    if (family == ADDR_V6)
        set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, dscp << 2);
    else
        set_int(fd, IPPROTO_IP, IP_TOS, dscp << 2);
}

void sock_nodelay(int fd)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void sock_reset(int fd)
{
    struct linger no = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &no, sizeof no);
}

void sock_keepalive(int fd, uint32_t idle_s)
{
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle_s);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}
