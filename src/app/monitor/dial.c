/* Connections that the monitor opens for engines, and the rates that bound what children may ask.
 */
#include "app/monitor/state.h"
#include "io/sock.h"
#include <errno.h>
#include <unistd.h>

#define DIAL_PER_S 64

/* So many a second, and so many at once. */
bool tokens_take(struct tokens *t, struct instant now, int64_t rate)
{
    int64_t earned = instant_sub(now, t->at).us * rate / 1000000;
    if (earned > 0) {
        t->n = MIN(t->n + earned, rate);
        t->at = now;
    }
    return t->n > 0 && t->n-- > 0;
}

/* An address of the policy, or one that fetch found for the peer's name (or had found: a call that
 * runs may need it again). */
static bool is_target(const struct monitor *m, uint8_t peer, const struct addr *a)
{
    const struct policy *pol = &m->conf->policy;
    struct targets_row row;
    for (uint32_t i = 0; i < pol->peers[peer].n_targets; i++)
        if (addr_eq(&pol->peers[peer].targets[i], a))
            return true;
    if (!pol->peers[peer].host.len ||
        targets_get(m->board, sizeof *m->board, pol, peer, &row) != OK)
        return false;
    for (uint32_t i = 0; i < row.n_past; i++)
        if (addr_eq(&row.past[i].a, a))
            return true;
    return targets_find(&row, a) >= 0;
}

/* The engine cannot dial; it names a peer and an address of it and gets a socket. So a captured
 * engine reaches nobody else by TCP. */
static int dial(struct monitor *m, struct program *p, const struct msg_connect *c, int *ret_fd)
{
    const struct policy *pol = &m->conf->policy;
    if (c->generation != m->generation)
        return ESTALE;
    if (c->peer >= pol->n_peers || !is_target(m, c->peer, &c->target))
        return EACCES;
    const struct policy_peer *peer = &pol->peers[c->peer];
    if ((peer->proto != PROTO_TCP && peer->proto != PROTO_TLS) ||
        peer->listener >= pol->n_listeners)
        return EACCES;
    if (!tokens_take(&p->dial, m->loop.now.mono, DIAL_PER_S))
        return EAGAIN;
    if (sock_connect(&pol->listeners[peer->listener].bind, &c->target, ret_fd) == OK)
        return 0;
    return errno ? errno : EIO;
}

void connect_for(struct monitor *m, struct program *p)
{
    int fd = -1;
    struct msg_connected r = {m->msg.u.connect.req, 0};
    r.error = dial(m, p, &m->msg.u.connect, &fd);
    (void)program_send(m, p, MSG_CONNECTED, str_of((const char *)&r, sizeof r), STR_NONE,
                       r.error ? -1 : fd);
    if (fd >= 0)
        (void)close(fd);
}
