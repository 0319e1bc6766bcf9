#include "io/dgram.h"
#include <errno.h>

/* The kernel reports ICMP errors of earlier sends on the next call of an unconnected socket only in
 * odd cases; a handful is skipped, so that no peer can keep us in the loop. */
#define SKIP_ERRORS 8

void dgram_rx_init(struct dgram_rx *rx, void *mem, uint32_t n_slots, size_t slot_bytes)
{
    CHECK(n_slots >= 1 && n_slots <= DGRAM_BATCH);
    memset(rx, 0, sizeof *rx);
    rx->n_slots = n_slots;
    rx->slot_bytes = slot_bytes;
    for (uint32_t i = 0; i < n_slots; i++) {
        rx->iov[i] = (struct iovec){(uint8_t *)mem + i * slot_bytes, slot_bytes};
        rx->d[i].p = rx->iov[i].iov_base;
        rx->hdr[i].msg_hdr = (struct msghdr){.msg_name = &rx->name[i],
                                             .msg_namelen = sizeof rx->name[i],
                                             .msg_iov = &rx->iov[i],
                                             .msg_iovlen = 1};
    }
}

static bool skip_error(int e)
{
    return e == ECONNREFUSED || e == EHOSTUNREACH || e == ENETUNREACH || e == EMSGSIZE ||
           e == EINTR;
}

uint32_t dgram_recv(struct dgram_rx *rx, int fd, uint32_t max)
{
    int n = -1;
    for (int tries = 0; n < 0 && tries < SKIP_ERRORS; tries++) {
        n = recvmmsg(fd, rx->hdr, MIN(max, rx->n_slots), MSG_DONTWAIT, NULL);
        if (n < 0 && !skip_error(errno))
            return 0;
    }
    for (int i = 0; i < n; i++) {
        struct dgram *d = &rx->d[i];
        d->n = rx->hdr[i].msg_len;
        d->cut = (rx->hdr[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
        sock_to_addr(&rx->name[i], &d->from);
        rx->hdr[i].msg_hdr.msg_namelen = sizeof rx->name[i];
    }
    return n > 0 ? (uint32_t)n : 0;
}

ptrdiff_t dgram_recv_one(int fd, void *ret, size_t cap, struct addr *ret_from, bool *ret_cut)
{
    union sock_addr s;
    for (int tries = 0; tries < SKIP_ERRORS; tries++) {
        socklen_t len = sizeof s;
        ssize_t n = recvfrom(fd, ret, cap, MSG_DONTWAIT | MSG_TRUNC, &s.sa, &len);
        if (n >= 0) {
            *ret_cut = (size_t)n > cap;
            sock_to_addr(&s, ret_from);
            return *ret_cut ? (ptrdiff_t)cap : n;
        }
        if (!skip_error(errno))
            return -1;
    }
    return -1;
}

void dgram_tx_init(struct dgram_tx *tx)
{
    memset(tx, 0, sizeof *tx);
    for (uint32_t i = 0; i < DGRAM_BATCH; i++)
        tx->hdr[i].msg_hdr =
            (struct msghdr){.msg_name = &tx->name[i], .msg_iov = &tx->iov[i], .msg_iovlen = 1};
}

bool dgram_queue(struct dgram_tx *tx, const struct addr *to, struct str bytes)
{
    if (tx->n == DGRAM_BATCH)
        return false;
    uint32_t i = tx->n;
    socklen_t len = sock_from_addr(to, &tx->name[i]);
    if (len == 0)
        return true; /* to nowhere: gone, as a datagram may be */
    tx->hdr[i].msg_hdr.msg_namelen = len;
    tx->iov[i] = (struct iovec){(void *)(uintptr_t)bytes.p, bytes.n};
    tx->n++;
    return true;
}

uint32_t dgram_flush(struct dgram_tx *tx, int fd)
{
    uint32_t at = 0, refused = 0;
    while (at < tx->n) {
        int n = sendmmsg(fd, tx->hdr + at, tx->n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            at += (uint32_t)n;
        } else if (n == 0 || errno != EINTR) {
            refused++; /* the first one of the rest is the one it means */
            at++;
        }
    }
    tx->n = 0;
    return refused;
}

enum err dgram_send_one(int fd, const struct addr *to, struct str bytes)
{
    union sock_addr s;
    socklen_t len = sock_from_addr(to, &s);
    if (len == 0)
        return ERR_RANGE;
    if (sendto(fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL, &s.sa, len) < 0)
        return sock_err(errno);
    return OK;
}

union pktinfo {
    struct cmsghdr align;
    char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
    char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void pktinfo_set(struct msghdr *m, union pktinfo *c, const struct addr *from)
{
    memset(c, 0, sizeof *c);
    m->msg_control = c;
    if (from->family == ADDR_V4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, from->ip, 4);
        m->msg_controllen = sizeof c->v4;
        c->align = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO};
        memcpy(CMSG_DATA(&c->align), &info, sizeof info);
    } else {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, from->ip, 16);
        m->msg_controllen = sizeof c->v6;
        c->align = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO};
        memcpy(CMSG_DATA(&c->align), &info, sizeof info);
    }
}

enum err dgram_send_from(int fd, const struct addr *from, const struct addr *to, struct str bytes)
{
    if (from->family == ADDR_NONE)
        return dgram_send_one(fd, to, bytes);
    union sock_addr s;
    union pktinfo control;
    struct iovec v = {(char *)(uintptr_t)bytes.p, bytes.n};
    struct msghdr m = {
        .msg_name = &s, .msg_namelen = sock_from_addr(to, &s), .msg_iov = &v, .msg_iovlen = 1};
    if (m.msg_namelen == 0 || from->family != to->family)
        return ERR_RANGE;
    pktinfo_set(&m, &control, from);
    return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? sock_err(errno) : OK;
}
