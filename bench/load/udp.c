#include "bench/load/load.h"

int udp_socket(const struct sockaddr_in *at)
{
    int big = 64 << 20, s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        die("no socket", "");
    if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big) != 0)
        (void)setsockopt(s, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    if (setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big) != 0)
        (void)setsockopt(s, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    if (bind(s, (const struct sockaddr *)at, sizeof *at) != 0)
        die("cannot bind (address in use?)", "");
    return s;
}

struct udp *udp_new(const struct sockaddr_in *at)
{
    struct udp *u = calloc(1, sizeof *u);
    if (!u)
        die("no memory", "");
    u->fd = udp_socket(at);
    return u;
}

void udp_flush(struct udp *u)
{
    for (uint32_t k = 0; k < u->n;) {
        int r = sendmmsg(u->fd, u->hdr + k, u->n - k, 0);
        if (r > 0)
            k += (uint32_t)r;
    }
    u->n = 0;
}

struct out udp_slot(struct udp *u)
{
    if (u->n == BATCH)
        udp_flush(u);
    return out_of(u->text[u->n], MSG_CAP - 1);
}

void udp_push(struct udp *u, const struct out *o, const struct sockaddr_in *to)
{
    if (o->full)
        die("message too long", "");
    uint32_t i = u->n++;
    u->to[i] = *to;
    u->iov[i] = (struct iovec){u->text[i], o->n};
    u->hdr[i].msg_hdr = (struct msghdr){.msg_name = &u->to[i],
                                        .msg_namelen = sizeof u->to[i],
                                        .msg_iov = &u->iov[i],
                                        .msg_iovlen = 1};
}

uint32_t udp_drain(struct udp *u, dgram_fn *f)
{
    static char buf[BATCH][MSG_CAP];
    static struct sockaddr_in from[BATCH];
    struct iovec iov[BATCH];
    struct mmsghdr hdr[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){buf[i], MSG_CAP};
        hdr[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                         .msg_namelen = sizeof from[i],
                                         .msg_iov = &iov[i],
                                         .msg_iovlen = 1};
    }
    int n = recvmmsg(u->fd, hdr, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        f(str_of(buf[i], hdr[i].msg_len), &from[i]);
    return n > 0 ? (uint32_t)n : 0;
}
