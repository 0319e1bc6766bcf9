/* TCP and TLS connections: accepted from phones, opened to peers by the monitor. A connection is
 * one flow; messages are framed here and handed to the core whole. */
#include "app/engine/engine.h"
#include <stdlib.h>
#include <unistd.h>

static struct str chain_of(struct engine *e, unsigned key)
{
    const struct child_map *m = &e->child.chain[key < CHILD_CHAINS ? key : 0];
    return str_of((const char *)m->p, m->p ? m->n : 0);
}

void conn_free(struct conn *c)
{
    struct engine *e = c->e;
    timer_stop(&e->wheel, &c->timer);
    if (c->stream.fd >= 0) {
        loop_del(&e->loop, c->stream.fd);
        stream_close(&c->stream);
    }
    if (c->tls)
        tls_free(c->tls);
    e->n_signing -= c->signing;
    e->partial_bytes -= c->in_cap;
    free(c->in);
    free(c->early);
    free(c->recent);
    free(c->proof);
    crowd_leave(c);
    pool_free(&e->conns, c);
    stat_set(e->child.stats, STAT_connections, e->conns.used);
}

/* What waits for an outgoing connection to open: messages with the transactions they belong to. */
struct early_head {
    struct sent owner;
    uint32_t n;
};

static uint32_t recent_cap(const struct conn *c)
{
    return c->incoming ? CONN_RECENT_PHONE : CONN_RECENT;
}

static void recent_add(struct conn *c, struct sent owner)
{
    if (!handle_is(owner.ref))
        return;
    if (!c->recent)
        c->recent = calloc(recent_cap(c), sizeof *c->recent);
    if (c->recent) /* without memory only the haste is lost: transactions time out */
        c->recent[c->n_recent++ % recent_cap(c)] = owner;
}

/* Ends a connection and tells the core. why REASON_NONE: in good order. */
void conn_end(struct conn *c, enum reason why)
{
    struct engine *e = c->e;
    struct flow f = c->flow;
    uint8_t *early = c->early;
    uint32_t early_n = c->early_n;
    struct sent *recent = c->recent;
    uint32_t n_recent = recent ? MIN(c->n_recent, recent_cap(c)) : 0;
    if (why != REASON_NONE)
        core_refused(e->core, why, &f.peer, e->loop.now);
    c->early = NULL;
    c->recent = NULL;
    conn_free(c);
    struct early_head h;
    for (uint32_t at = 0; at + sizeof h <= early_n; at += (uint32_t)sizeof h + h.n) {
        memcpy(&h, early + at, sizeof h);
        tell_owner(e, h.owner, false);
    }
    free(early);
    for (uint32_t i = 0; i < n_recent; i++)
        tell_owner(e, recent[i], true);
    free(recent);
    core_flow_closed(e->core, &f, e->loop.now);
}

/* A descriptor that is watched stays watched: the kernel refuses no change of its events. */
static void conn_watch(struct conn *c)
{
    uint32_t out = stream_wants_out(&c->stream) ? (uint32_t)EPOLLOUT : 0;
    bool ok = loop_mod(&c->e->loop, c->stream.fd, EPOLLIN | EPOLLRDHUP | out) == OK;
    (void)EXPECT(ok);
}

static enum err conn_pump(struct conn *c) /* what TLS wants on the wire */
{
    if (!c->tls)
        return OK;
    for (;;) {
        struct str s = tls_take(c->tls);
        if (!s.n)
            break;
        enum err r = stream_write(&c->stream, s);
        if (r != OK)
            return r;
        tls_sent(c->tls, s.n);
    }
    conn_watch(c);
    return OK;
}

static enum err conn_write(struct conn *c, struct str plain)
{
    if (c->tls) {
        enum err r = tls_write(c->tls, plain);
        return r != OK ? r : conn_pump(c);
    }
    enum err r = stream_write(&c->stream, plain);
    if (r != OK)
        return r;
    conn_watch(c);
    return OK;
}

/* A message that has begun must be whole in time, however many bytes trickle in meanwhile; and who
 * has not proved himself gains no time by anything but whole messages. */
static void conn_idle(struct conn *c)
{
    bool begun = c->in_n != 0, lasting = c->proved || !c->incoming;
    if (c->clock == CLOCK_MESSAGE ? begun || !lasting : c->clock == CLOCK_QUIET && !lasting)
        return;
    c->clock = begun ? CLOCK_MESSAGE : CLOCK_QUIET;
    int64_t s = begun ? CONN_MESSAGE_S : lasting ? CONN_IDLE_S : CONN_STRANGER_S;
    timer_arm(&c->e->wheel, &c->timer, instant_add(c->e->loop.now.mono, DUR_S(s)));
}

/* Memory for messages that are not whole is one purse for all; strangers may fill half of it. */
static bool conn_room(struct conn *c, size_t cap)
{
    struct engine *e = c->e;
    size_t most = c->stranger ? CONN_PARTIAL_MAX / 2 : CONN_PARTIAL_MAX;
    uint8_t *p = NULL;
    if (cap <= 4 * (size_t)SIP_MSG_MAX && e->partial_bytes - c->in_cap + cap <= most)
        p = realloc(c->in, cap);
    if (!p)
        return false;
    e->partial_bytes += cap - c->in_cap;
    c->in = p;
    c->in_cap = (uint32_t)cap;
    return true;
}

static bool conn_keep(struct conn *c, struct str rest)
{
    if (!rest.n) {
        c->e->partial_bytes -= c->in_cap;
        free(c->in);
        c->in = NULL;
        c->in_n = c->in_cap = 0;
        return true;
    }
    if (!c->in && !conn_room(c, MAX(rest.n * 2, (size_t)2048)))
        return false;
    if ((const char *)c->in != rest.p) /* else they lie where they should already */
        memmove(c->in, rest.p, rest.n);
    c->in_n = (uint32_t)rest.n;
    return true;
}

/* Takes messages off the front of data; false: the connection must end. */
static bool conn_frames(struct conn *c, struct str data)
{
    struct engine *e = c->e;
    unsigned line_ends = 0;
    bool ping = false;
    for (;;) {
        struct sip_frame f = sip_frame_next(&c->scan, data, e->policy->limits.message_bytes);
        if (f.kind == FRAME_MORE)
            break;
        if (f.kind == FRAME_BAD) {
            conn_end(c, f.reason);
            return false;
        }
        struct str msg = str_head(data, f.bytes);
        data = str_skip(data, f.bytes);
        memset(&c->scan, 0, sizeof c->scan);
        if (f.kind != FRAME_MESSAGE) {
            ping |= f.kind == FRAME_PING;
            if (++line_ends <= CONN_PINGS)
                continue;
            conn_end(c, REASON_stream_pings);
            return false;
        }
        c->clock = CLOCK_NONE;
        stat_add(e->child.stats, STAT_sip_in, 1);
        stat_add(e->child.stats, STAT_sip_bytes_in, msg.n);
        core_proof(e->core, c->proof);
        core_message(e->core, &c->flow, msg, c->verified, e->loop.now);
    }
    if (!conn_keep(c, data)) {
        conn_end(c, REASON_capacity_memory);
        return false;
    }
    /* RFC 5626 3.5.1; one answers all that came at once. */
    if (ping && conn_write(c, STR("\r\n")) != OK) {
        conn_end(c, REASON_stream_backlog);
        return false;
    }
    return true;
}

static bool conn_plain(struct conn *c, struct str bytes)
{
    if (!c->in_n)
        return conn_frames(c, bytes);
    size_t n = (size_t)c->in_n + bytes.n;
    if (n > c->in_cap && !conn_room(c, n * 2)) {
        conn_end(c, REASON_capacity_memory);
        return false;
    }
    memcpy(c->in + c->in_n, bytes.p, bytes.n);
    c->in_n += (uint32_t)bytes.n;
    return conn_frames(c, str_of((const char *)c->in, c->in_n));
}

/* A question that finds no room is lost like one to a dead vault: the handshake's deadline ends it.
 */
static void sign_put(struct engine *e, const struct sign *sg)
{
    struct ask q = {.id = sg->id, .kind = ASK_SIGN, .key = sg->key};
    if (!ask_add(&q, str_of((const char *)sg->digest, sg->n), &q.ha2) ||
        child_put(&e->child.ask[e->index], &q, ask_size(&q)) != OK)
        counters_hit(&e->child.stats->reasons, REASON_ring_full);
    stat_add(e->child.stats, STAT_signs, 1);
}

/* Half of the signatures that may be under way are kept for those who are no strangers. false: no
 * room. */
static bool sign_ask(struct conn *c)
{
    struct engine *e = c->e;
    struct str digest;
    uint16_t key;
    if (c->signing || !tls_sign_want(c->tls, &digest, &key) || digest.n > HASH_MAX)
        return true;
    if (e->n_signing >= (c->stranger ? SIGN_SLOTS / 2 : SIGN_SLOTS))
        return false;
    uint32_t slot = e->sign_next++ & (SIGN_SLOTS - 1);
    struct sign *sg = &e->sign[slot];
    *sg = (struct sign){.conn = pool_handle(&e->conns, c), .key = key, .n = (uint8_t)digest.n};
    sg->id = ((e->sign_next / SIGN_SLOTS) << 10) | slot; /* told from the core's by its kind */
    memcpy(sg->digest, digest.p, digest.n);
    c->sign_id = sg->id;
    c->signing = true;
    e->n_signing++;
    sign_put(e, sg);
    return true;
}

void streams_sign_again(struct engine *e)
{
    for (uint32_t i = 0; i < SIGN_SLOTS; i++) {
        const struct conn *c = pool_get(&e->conns, e->sign[i].conn);
        if (c && c->signing && c->sign_id == e->sign[i].id)
            sign_put(e, &e->sign[i]);
    }
}

static bool conn_opened(struct conn *c) /* TCP connected, or TLS up */
{
    struct engine *e = c->e;
    c->state = CONN_UP;
    c->verified = c->tls && tls_peer_verified(c->tls);
    if (c->verified && c->incoming)
        certs_proof(c);
    c->clock = CLOCK_NONE;
    if (c->verified)
        crowd_proved(c);
    conn_idle(c);
    if (!c->early_n)
        return true;
    uint8_t *early = c->early;
    uint32_t early_n = c->early_n;
    struct early_head h;
    enum err r = OK;
    c->early = NULL;
    c->early_n = 0;
    for (uint32_t at = 0; r == OK && at + sizeof h <= early_n; at += (uint32_t)sizeof h + h.n) {
        memcpy(&h, early + at, sizeof h);
        r = conn_write(c, str_of((const char *)early + at + sizeof h, h.n));
        recent_add(c, h.owner);
        stat_add(e->child.stats, STAT_sip_out, 1);
    }
    free(early);
    if (r != OK) {
        conn_end(c, REASON_stream_backlog);
        return false;
    }
    return true;
}

static bool tls_progress(struct conn *c, enum err fed)
{
    if (!sign_ask(c)) {
        conn_end(c, REASON_capacity_handshakes);
        return false;
    }
    enum err sent = conn_pump(c);
    if (fed != OK || sent != OK) {
        conn_end(c, fed == ERR_CLOSED  ? REASON_NONE
                    : fed == ERR_AUTH  ? certs_reason(c)
                    : fed == ERR_STATE ? REASON_tls_renegotiation
                    : fed != OK
                        ? (c->state == CONN_UP ? REASON_stream_framing : REASON_tls_handshake)
                        : REASON_stream_backlog);
        return false;
    }
    if (c->state == CONN_HANDSHAKE && tls_up(c->tls))
        return conn_opened(c);
    return true;
}

/* The first byte of a connection that should be TLS: until then it has cost us no TLS object, and
 * what does not begin a handshake never does. */
static bool conn_greets(struct conn *c, struct str bytes)
{
    struct engine *e = c->e;
    struct tls_ctx *ctx = e->server[c->flow.listener];
    if (bytes.p[0] == 0x16 && ctx && tls_new(ctx, STR_NONE, &c->tls) == OK)
        return true;
    conn_end(c, REASON_tls_handshake);
    return false;
}

static bool conn_bytes(struct conn *c, struct str bytes)
{
    struct engine *e = c->e;
    if (!c->tls && c->state == CONN_HANDSHAKE && !conn_greets(c, bytes))
        return false;
    if (!c->tls)
        return conn_plain(c, bytes);
    if (!tls_progress(c, tls_feed(c->tls, bytes)))
        return false;
    uint8_t *plain = e->scratch + SCRATCH_BYTES;
    for (;;) {
        size_t n = tls_read(c->tls, plain, SCRATCH_BYTES);
        if (!n)
            return true;
        if (!conn_plain(c, str_of((const char *)plain, n)))
            return false;
    }
}

void conn_event(void *ctx, int fd, uint32_t events)
{
    struct conn *c = (struct conn *)ctx;
    struct engine *e = c->e;
    if (c->state == CONN_CONNECTING) {
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return;
        if (sock_error(fd) != 0) {
            conn_end(c, REASON_sip_transport_failed);
            return;
        }
        sock_nodelay(fd);
        c->state = CONN_HANDSHAKE;
        if (c->tls ? !tls_progress(c, tls_feed(c->tls, STR_NONE)) : !conn_opened(c))
            return;
        conn_watch(c);
        return;
    }
    if (events & EPOLLOUT) {
        enum err r = stream_flush(&c->stream);
        if (r != OK && r != ERR_AGAIN) {
            conn_end(c, REASON_NONE);
            return;
        }
        conn_watch(c);
    }
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        return;
    size_t n;
    enum err r = stream_read(&c->stream, e->scratch, SCRATCH_BYTES, &n);
    if (r == ERR_AGAIN)
        return;
    if (r != OK) {
        conn_end(c, REASON_NONE);
        return;
    }
    if (conn_bytes(c, str_of((const char *)e->scratch, n)) && c->state == CONN_UP)
        conn_idle(c);
    if (e->intents.n > INTENTS_CAP / 2)
        carry_out(e);
}

struct conn *conn_new(struct engine *e, int fd, const struct flow *f)
{
    struct handle h;
    struct conn *c = pool_new(&e->conns, &h);
    if (!c) {
        counters_hit(&e->child.stats->reasons, REASON_capacity_connections);
        (void)close(fd);
        return NULL;
    }
    c->e = e;
    c->flow = *f;
    c->flow.conn = h;
    c->flow.engine = e->index;
    stream_init(&c->stream, fd, CONN_QUEUE_MAX);
    if (loop_add(&e->loop, fd, EPOLLIN | EPOLLRDHUP, conn_event, c) != OK) {
        counters_hit(&e->child.stats->reasons, REASON_capacity_connections);
        stream_close(&c->stream);
        pool_free(&e->conns, c);
        return NULL;
    }
    stat_set(e->child.stats, STAT_connections, e->conns.used);
    return c;
}

static void make_contexts(struct engine *e)
{
    struct str ca = str_of((const char *)e->child.ca.p, e->child.ca.p ? e->child.ca.n : 0);
    for (unsigned i = 0; i < e->policy->n_listeners; i++) {
        const struct policy_listener *l = &e->policy->listeners[i];
        if (l->proto != PROTO_TLS)
            continue;
        struct tls_cfg cfg = {.server = true,
                              .chain_pem = chain_of(e, l->key),
                              .ca_pem = ca,
                              .verify = (enum tls_verify)l->client_cert,
                              /* the vault keeps the keys of the configuration before */
                              .key = (uint16_t)(l->key | (e->policy->generation & 0xff) << 8)};
        struct tls_ctx *fresh;
        if (tls_ctx_new(&cfg, &fresh) != OK) {
            child_note(&e->child, SEV_ALERT,
                       "listener " STR_FMT ": certificate cannot be used, TLS is refused there",
                       STR_ARG(policy_text(e->policy, l->name)));
            continue;
        }
        if (e->server[i])
            tls_ctx_free(e->server[i]);
        e->server[i] = fresh;
    }
    struct tls_cfg cfg = {.chain_pem = chain_of(e, 0),
                          .ca_pem = ca,
                          .verify = TLS_VERIFY_REQUIRED,
                          .key = (uint16_t)((e->policy->generation & 0xff) << 8)};
    struct tls_ctx *fresh;
    if (tls_ctx_new(&cfg, &fresh) != OK)
        return;
    if (e->client)
        tls_ctx_free(e->client);
    e->client = fresh;
}

enum err streams_init(struct engine *e, uint32_t cap)
{
    size_t n = pool_bytes(sizeof(struct conn), cap);
    void *mem = calloc(1, n); /* large: pages come when touched */
    if (!mem)
        return ERR_FULL;
    pool_init(&e->conns, mem, sizeof(struct conn), cap);
    wheel_init(&e->wheel, e->loop.now.mono);
    make_contexts(e);
    return crowd_init(e);
}

void streams_contexts(struct engine *e)
{
    make_contexts(e);
    certs_judge(e);
}

static bool early_add(struct conn *c, const struct intent *i, struct sent owner)
{
    struct early_head h = {owner, (uint32_t)i->bytes.n};
    size_t n = c->early_n + sizeof h + i->bytes.n;
    uint8_t *p = n <= CONN_EARLY_MAX ? realloc(c->early, n) : NULL;
    if (!p)
        return false;
    memcpy(p + c->early_n, &h, sizeof h);
    memcpy(p + c->early_n + sizeof h, i->bytes.p, i->bytes.n);
    c->early = p;
    c->early_n = (uint32_t)n;
    return true;
}

void streams_send(struct engine *e, const struct intent *i, uint8_t origin)
{
    struct sent owner = {i->ref, origin};
    struct conn *c =
        handle_is(i->flow.conn) ? pool_get(&e->conns, i->flow.conn) : connect_out(e, &i->flow);
    if (!c) {
        counters_hit(&e->child.stats->reasons, REASON_route_flow_gone);
        tell_owner(e, owner, false);
        return;
    }
    if (c->state != CONN_UP) {
        if (!early_add(c, i, owner))
            tell_owner(e, owner, false);
        return;
    }
    if (conn_write(c, i->bytes) != OK) {
        conn_end(c, REASON_stream_backlog);
        tell_owner(e, owner, false);
        return;
    }
    recent_add(c, owner);
    stat_add(e->child.stats, STAT_sip_out, 1);
    stat_add(e->child.stats, STAT_sip_bytes_out, i->bytes.n);
}

void streams_close(struct engine *e, const struct flow *f)
{
    struct conn *c = pool_get(&e->conns, f->conn);
    if (!c)
        return;
    if (c->tls) {
        tls_close(c->tls);
        (void)conn_pump(c);
    }
    conn_end(c, REASON_NONE);
}

void streams_signed(struct engine *e, const struct answer *a)
{
    struct conn *c = pool_get(&e->conns, e->sign[a->id & (SIGN_SLOTS - 1)].conn);
    if (!c || !c->signing || c->sign_id != a->id || !c->tls)
        return;
    c->signing = false;
    e->n_signing--;
    struct str sig = str_of((const char *)a->bytes, a->reason == REASON_NONE ? a->n : 0);
    if (!tls_progress(c, tls_signed(c->tls, sig)))
        return;
    uint8_t *plain = e->scratch + SCRATCH_BYTES; /* data that came with the client's last flight */
    for (size_t n; (n = tls_read(c->tls, plain, SCRATCH_BYTES));)
        if (!conn_plain(c, str_of((const char *)plain, n)))
            return;
}

void streams_proved(struct engine *e, const struct flow *f)
{
    struct conn *c = pool_get(&e->conns, f->conn);
    if (!c || c->proved || !c->incoming)
        return;
    crowd_proved(c);
    c->clock = CLOCK_NONE;
    conn_idle(c);
}

static enum reason late(const struct conn *c)
{
    if (c->state != CONN_UP)
        return c->incoming ? REASON_tls_handshake : REASON_sip_transport_failed;
    return c->proved || !c->incoming || c->clock == CLOCK_MESSAGE ? REASON_stream_timeout
                                                                  : REASON_stream_unproved;
}

void streams_tick(struct engine *e)
{
    for (struct timer *t; (t = wheel_pop(&e->wheel, e->loop.now.mono));) {
        struct conn *c = (struct conn *)(void *)((char *)t - offsetof(struct conn, timer));
        conn_end(c, late(c));
    }
}
