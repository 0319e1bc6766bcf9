/* Media sockets: opened ahead of need, two a pair, watched for as long as they are open, so that a
 * packet to a port without a call is read, counted and dropped, and a call costs no system call to
 * set up. */
#include "app/engine/engine.h"
#include <unistd.h>

#define PORTS_LOW      128u /* pairs kept ready */
#define PORTS_PER_TURN 16u

static void media_in(void *ctx, int fd, uint32_t events)
{
    struct engine *e = (struct engine *)ctx;
    (void)events;
    struct pkt *p = &e->pkts[e->n_pkts];
    bool cut;
    ptrdiff_t n = dgram_recv_one(fd, p->data, PKT_MAX, &p->peer, &cut);
    if (n < 0)
        return;
    p->len = cut ? 0 : (uint16_t)n;
    p->port = e->fd_port[fd];
    stat_add(e->child.stats, STAT_rtp_in, 1);
    stat_add(e->child.stats, STAT_rtp_bytes_in, (uint64_t)n);
    if (++e->n_pkts == MEDIA_BATCH)
        media_io_flush(e);
}

void media_io_flush(struct engine *e)
{
    if (!e->n_pkts)
        return;
    core_rtp(e->core, e->pkts, e->n_pkts, e->loop.now);
    for (uint32_t i = 0; i < e->n_pkts; i++) {
        struct pkt *p = &e->pkts[i];
        if (!p->len)
            continue;
        if (dgram_send_from(e->port_fd[p->port], &p->from, &p->peer,
                            str_of((const char *)p->data, p->len)) == OK) {
            stat_add(e->child.stats, STAT_rtp_out, 1);
            stat_add(e->child.stats, STAT_rtp_bytes_out, p->len);
        } else {
            counters_hit(&e->child.stats->reasons, REASON_rtp_send_failed);
        }
    }
    e->n_pkts = 0;
}

static int open_port(struct engine *e, uint16_t port)
{
    int family = e->v6 ? AF_INET6 : AF_INET, off = 0;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (fd >= (int)ARRAY_LEN(e->fd_port) ||
        (e->v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0)) {
        (void)close(fd);
        return -1;
    }
    struct addr any = e->policy->media_ip;
    if (any.family == ADDR_NONE || addr_any(&any))
        any = (struct addr){.family = e->v6 ? ADDR_V6 : ADDR_V4};
    any.port = port;
    union sock_addr sa;
    socklen_t n = sock_from_addr(&any, &sa);
    if (bind(fd, &sa.sa, n) != 0 || loop_add(&e->loop, fd, EPOLLIN, media_in, e) != OK) {
        (void)close(fd);
        return -1;
    }
    e->fd_port[fd] = port;
    return fd;
}

static bool open_pair(struct engine *e, uint16_t even)
{
    int a = open_port(e, even);
    if (a < 0)
        return false;
    int b = open_port(e, (uint16_t)(even + 1));
    if (b < 0 || ports_add(core_ports(e->core), even) != OK) {
        loop_del(&e->loop, a);
        (void)close(a);
        if (b >= 0) {
            loop_del(&e->loop, b);
            (void)close(b);
        }
        return false;
    }
    e->port_fd[even] = a;
    e->port_fd[even + 1] = b;
    return true;
}

/* Opens what is missing to keep some pairs ready, a few a turn. Pairs that rest do not count: at a
 * high rate of calls all that were opened so far may be resting. A pair that some other program
 * holds is passed over. */
void media_io_top_up(struct engine *e)
{
    uint32_t want = MIN(ports_want(core_ports(e->core), PORTS_LOW), PORTS_PER_TURN);
    while (want && e->port_at + 1 <= e->port_max) {
        uint16_t even = (uint16_t)e->port_at;
        e->port_at += 2;
        if (open_pair(e, even)) {
            stat_add(e->child.stats, STAT_ports_open, 2);
            want--;
        }
    }
}

enum err media_io_init(struct engine *e)
{
    e->pkt_mem = malloc((size_t)MEDIA_BATCH * PKT_MAX);
    if (!e->pkt_mem)
        return ERR_FULL;
    for (unsigned i = 0; i < MEDIA_BATCH; i++)
        e->pkts[i].data = e->pkt_mem + (size_t)i * PKT_MAX;
    for (size_t i = 0; i < ARRAY_LEN(e->port_fd); i++)
        e->port_fd[i] = -1;
    e->port_min = e->child.setup.media_min;
    e->port_max = e->child.setup.media_max;
    e->port_at = e->port_min;
    e->v6 = e->policy->media_ip.family == ADDR_V6;
    for (unsigned i = 0; i < e->policy->n_listeners && !e->v6; i++)
        e->v6 |= e->policy->listeners[i].advertise.family == ADDR_V6;
    for (unsigned i = 0; i < PORTS_LOW / PORTS_PER_TURN; i++)
        media_io_top_up(e);
    return core_ports(e->core)->n_open ? OK : ERR_NOT_FOUND;
}
