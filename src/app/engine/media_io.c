/* Media sockets: opened ahead of need, two a pair, watched for as long as they are open, so that a
 * packet to a port without a call is read, counted and dropped, and a call costs no system call to
 * set up. */
#include "app/engine/engine.h"
#include <errno.h>
#include <unistd.h>

#define PORTS_LOW      128u /* pairs kept ready */
#define PORTS_PER_TURN 16u
#define PORTS_PAUSE_MS 500 /* without descriptors */
#define PORTS_ROUND_S  10  /* after all were tried, those that others held are tried again */

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

/* ERR_FULL: no descriptor or memory for it now. Others: somebody else has the port. */
static enum err open_port(struct engine *e, uint16_t port, int *ret_fd)
{
    int family = e->v6 ? AF_INET6 : AF_INET, off = 0;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_FULL;
    struct addr any = e->policy->media_ip;
    if (any.family == ADDR_NONE || addr_any(&any))
        any = (struct addr){.family = e->v6 ? ADDR_V6 : ADDR_V4};
    any.port = port;
    union sock_addr sa;
    socklen_t n = sock_from_addr(&any, &sa);
    enum err r = OK;
    if (fd >= e->fd_top)
        r = ERR_FULL;
    else if (e->v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0)
        r = ERR_SYSTEM;
    else if (bind(fd, &sa.sa, n) != 0)
        r = sock_err(errno);
    else if (loop_add(&e->loop, fd, EPOLLIN, media_in, e) != OK)
        r = ERR_FULL;
    if (r != OK) {
        (void)close(fd);
        return r;
    }
    e->fd_port[fd] = port;
    *ret_fd = fd;
    return OK;
}

static void close_port(struct engine *e, int fd)
{
    loop_del(&e->loop, fd);
    (void)close(fd);
}

static enum err open_pair(struct engine *e, uint16_t even)
{
    int a, b;
    enum err r = open_port(e, even, &a);
    if (r != OK)
        return r;
    r = open_port(e, (uint16_t)(even + 1), &b);
    if (r != OK) {
        close_port(e, a);
        return r;
    }
    r = ports_add(core_ports(e->core), even);
    if (r != OK) {
        close_port(e, a);
        close_port(e, b);
        return r;
    }
    e->port_fd[even] = a;
    e->port_fd[even + 1] = b;
    return OK;
}

/* Opens what is missing to keep some pairs ready, a few a turn. Pairs that rest do not count: at a
 * high rate of calls all that were opened so far may be resting. A pair that some other program
 * holds is passed over until the next round; without descriptors the same pair is tried again a
 * little later. */
void media_io_top_up(struct engine *e)
{
    uint32_t want = MIN(ports_want(core_ports(e->core), PORTS_LOW), PORTS_PER_TURN);
    if (!want || e->loop.now.mono.us < e->port_again.us)
        return;
    for (unsigned tries = 0; want && tries < 2 * PORTS_PER_TURN; tries++) {
        if (e->port_at + 1 > e->port_max) {
            e->port_at = e->port_min;
            e->port_again = instant_add(e->loop.now.mono, DUR_S(PORTS_ROUND_S));
            return;
        }
        uint16_t even = (uint16_t)e->port_at;
        enum err r = e->port_fd[even] < 0 ? open_pair(e, even) : ERR_EXISTS;
        if (r == ERR_FULL) {
            core_refused(e->core, REASON_capacity_descriptors, &(struct addr){0}, e->loop.now);
            e->port_again = instant_add(e->loop.now.mono, DUR_MS(PORTS_PAUSE_MS));
            return;
        }
        e->port_at += 2;
        if (r == OK) {
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
