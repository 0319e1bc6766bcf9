/* Connections to peers: the monitor opens them by name, because an engine may not connect. */
#include "app/engine/engine.h"
#include <stdlib.h>
#include <unistd.h>

/* The peer's slot with a connection to the flow's address, else a free one; NULL: none. Whether the
 * address is the peer's is the monitor's to judge. */
static struct handle *slot_of(struct engine *e, const struct flow *f)
{
    struct handle *free_slot = NULL;
    if (!f->peer_id || f->peer_id > e->policy->n_peers)
        return NULL;
    for (unsigned i = 0; i < OUT_MAX; i++) {
        struct handle *h = &e->out[f->peer_id - 1][i];
        const struct conn *c = pool_get(&e->conns, *h);
        if (!c)
            free_slot = free_slot ? free_slot : h;
        else if (addr_eq(&c->flow.peer, &f->peer) && c->flow.proto == f->proto)
            return h;
    }
    return free_slot;
}

/* The open, opening or newly begun connection to a peer's target. */
struct conn *connect_out(struct engine *e, const struct flow *f)
{
    struct handle h;
    struct handle *known = slot_of(e, f);
    if (!known)
        return NULL;
    struct conn *c = pool_get(&e->conns, *known);
    if (c)
        return c;
    c = pool_new(&e->conns, &h);
    if (!c && crowd_make_room(e))
        c = pool_new(&e->conns, &h);
    if (!c) {
        core_refused(e->core, REASON_capacity_connections, &f->peer, e->loop.now);
        return NULL;
    }
    c->e = e;
    c->flow = *f;
    c->flow.conn = h;
    c->flow.engine = e->index;
    c->stream.fd = -1;
    c->state = CONN_CONNECTING;
    c->req = ++e->connect_next;
    timer_arm(&e->wheel, &c->timer, instant_add(e->loop.now.mono, DUR_S(CONN_HANDSHAKE_S)));
    struct str name = policy_text(e->policy, e->policy->peers[f->peer_id - 1].tls_name);
    if ((f->proto == PROTO_TLS && (!e->client || tls_new(e->client, name, &c->tls) != OK)) ||
        child_connect(&e->child, c->req, (uint8_t)(f->peer_id - 1), &f->peer,
                      e->policy->generation) != OK) {
        conn_free(c);
        return NULL;
    }
    *known = h;
    return c;
}

void streams_connected(struct engine *e, const struct msg_connected *m, int fd)
{
    uint32_t it = 0;
    struct conn *c = NULL;
    while ((c = pool_next(&e->conns, &it)) &&
           !(c->state == CONN_CONNECTING && c->req == m->req && c->stream.fd < 0))
        ;
    if (!c) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    if (m->error || fd < 0) {
        conn_end(c, REASON_sip_transport_failed);
        return;
    }
    stream_init(&c->stream, fd, CONN_QUEUE_MAX);
    if (loop_add(&e->loop, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, conn_event, c) != OK)
        conn_end(c, REASON_capacity_connections);
}
