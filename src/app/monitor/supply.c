/* What children are given: shared memory, rings, pipes to wake by, sockets. One ring has one writer
 * and one reader; when either starts (again) the ring is made anew and told to the other end, so
 * that nothing a dead program left is ever read as a fresh one's. */
#include "app/monitor/lists.h"
#include "base/ring.h"
#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING_SMALL        (256u << 10)
#define RING_LARGE        (4u << 20)
#define RESOLVER_TEXT_MAX (64u << 10)

static uint32_t ring_size(enum attach_kind k)
{
    return k == ATTACH_RING_FACT   ? RING_LARGE
           : k == ATTACH_RING_PEER ? RING_LARGE / 4
           : k == ATTACH_RING_ASK  ? RING_SMALL * 4
                                   : RING_SMALL;
}

void shared_close(struct shared *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    *s = (struct shared){-1, 0};
}

static enum err give(struct monitor *m, struct program *p, struct msg_attach a, int fd)
{
    return program_send(m, p, MSG_ATTACH, str_of((const char *)&a, sizeof a), STR_NONE, fd);
}

static enum err give_shared(struct monitor *m, struct program *p, enum attach_kind k, uint8_t a,
                            const struct shared *s)
{
    if (s->fd < 0)
        return OK;
    return give(m, p, (struct msg_attach){(uint8_t)k, a, 0, 0, 0, s->n}, s->fd);
}

static enum err give_ring(struct monitor *m, struct program *p, enum attach_kind k, uint8_t a,
                          uint8_t b, const struct shared *s)
{
    if (s->fd < 0)
        return OK;
    return give(m, p, (struct msg_attach){(uint8_t)k, a, b, 0, ring_size(k), s->n}, s->fd);
}

static bool can_attach(const struct program *p)
{
    return p->state == PROGRAM_SETUP || p->state == PROGRAM_RUNNING;
}

static enum err renew(struct shared *s, enum attach_kind k)
{
    shared_close(s);
    size_t n = ring_bytes(ring_size(k));
    enum err e = memfd_new("ringwall-ring", n, &s->fd);
    s->n = e == OK ? n : 0;
    return e;
}

static struct shared *star_ring(struct monitor *m, enum attach_kind k, uint32_t e)
{
    return k == ATTACH_RING_ASK      ? &m->ask[e]
           : k == ATTACH_RING_ANSWER ? &m->answer[e]
           : k == ATTACH_RING_FACT   ? &m->fact[e]
                                     : &m->restore[e];
}

/* Facts outlive their writer and their reader: what a dead engine said is still read, and a store
 * that starts again finds what it had not committed. Only a ring whose indexes are nonsense goes.
 */
static bool keeps_facts(const struct shared *s, enum attach_kind k)
{
    void *view = NULL;
    struct ring r;
    if (k != ATTACH_RING_FACT || s->fd < 0 ||
        mem_map(s->fd, (size_t)s->n, false, false, &view) != OK)
        return false;
    bool sound = ring_attach(&r, view, ring_size(k), true) == OK &&
                 ring_attach(&r, view, ring_size(k), false) == OK;
    mem_unmap(view, (size_t)s->n);
    return sound;
}

/* The ring between engine e and the hub, made anew (facts: unless it is sound); the other end gets
 * its side if it lives. */
static enum err renew_star(struct monitor *m, const struct program *p, enum attach_kind k,
                           uint32_t e)
{
    struct shared *s = star_ring(m, k, e);
    if (keeps_facts(s, k))
        return OK;
    enum err err = renew(s, k);
    if (err != OK)
        return err;
    bool vault = k == ATTACH_RING_ASK || k == ATTACH_RING_ANSWER;
    struct program *hub = &m->program[vault ? VAULT_SLOT : STORE_SLOT],
                   *engine = &m->program[ENGINE_SLOT(e)];
    struct program *other = p == hub ? engine : hub;
    if (can_attach(other))
        (void)give_ring(m, other, k, (uint8_t)e, 0,
                        s); /* a failure has killed that other one, not us */
    return OK;
}

static enum err renew_peers(struct monitor *m, uint32_t e)
{
    for (uint32_t f = 0; f < m->n_engines; f++) {
        if (f == e)
            continue;
        struct program *other = &m->program[ENGINE_SLOT(f)];
        enum err err = renew(&m->peer[e][f], ATTACH_RING_PEER);
        if (err == OK)
            err = renew(&m->peer[f][e], ATTACH_RING_PEER);
        if (err != OK)
            return err;
        if (can_attach(other))
            (void)give_ring(m, other, ATTACH_RING_PEER, (uint8_t)e, (uint8_t)f, &m->peer[e][f]);
        if (can_attach(other))
            (void)give_ring(m, other, ATTACH_RING_PEER, (uint8_t)f, (uint8_t)e, &m->peer[f][e]);
    }
    return OK;
}

enum err supply_rings(struct monitor *m, struct program *p)
{
    static const enum attach_kind of_vault[] = {ATTACH_RING_ASK, ATTACH_RING_ANSWER},
                                  of_store[] = {ATTACH_RING_FACT, ATTACH_RING_RESTORE};
    enum err e = OK;
    if (p->role == ROLE_FETCH)
        return OK; /* reads and writes none */
    uint32_t first = p->role == ROLE_ENGINE ? p->engine : 0,
             last = p->role == ROLE_ENGINE ? p->engine + 1u : m->n_engines;
    for (uint32_t i = first; i < last; i++) {
        for (size_t k = 0; k < 2 && e == OK; k++) {
            if (p->role != ROLE_STORE)
                e = renew_star(m, p, of_vault[k], i);
            if (e == OK && p->role != ROLE_VAULT)
                e = renew_star(m, p, of_store[k], i);
        }
    }
    return e == OK && p->role == ROLE_ENGINE ? renew_peers(m, p->engine) : e;
}

/* -- one program's set-up -- */

static bool wants(enum role r, enum attach_kind k)
{
    switch (k) {
    case ATTACH_DIRECTORY:
    case ATTACH_CHAIN:
    case ATTACH_CA:
    case ATTACH_GEO:
    case ATTACH_RULES:
    case ATTACH_RATES:
        return r == ROLE_ENGINE;
    case ATTACH_KEYS:
        return r == ROLE_VAULT;
    case ATTACH_POLICY:
        return true;
    case ATTACH_WAKE:
    case ATTACH_STATS:
    case ATTACH_LOCATION:
    case ATTACH_LISTENER:
    case ATTACH_RING_ASK:
    case ATTACH_RING_ANSWER:
    case ATTACH_RING_FACT:
    case ATTACH_RING_RESTORE:
    case ATTACH_RING_PEER:
    case ATTACH_TARGETS:
    case ATTACH_RESOLVER:
    case ATTACH_BANS:
    case ATTACH_BAN_HITS:
    case ATTACH_PORTS:
    case ATTACH_FEED:
    case ATTACH_LEDGER:
    case ATTACH_FRAUD:
    case ATTACH_CERTS:
    case ATTACH_KIND_COUNT:
    default:
        return false;
    }
}

static const struct shared *blob(const struct monitor *m, enum attach_kind k, uint8_t index)
{
    return k == ATTACH_DIRECTORY ? &m->directory
           : k == ATTACH_CHAIN   ? &m->chain[index]
           : k == ATTACH_CA      ? &m->ca
           : k == ATTACH_KEYS    ? &m->key_names
           : k == ATTACH_GEO     ? &m->geo
           : k == ATTACH_RULES   ? &m->rules
           : k == ATTACH_RATES   ? &m->rates
                                 : &m->policy;
}

void supply_all(struct monitor *m, enum attach_kind kind, uint8_t index)
{
    for (uint32_t i = 0; i < m->n_programs; i++) {
        struct program *p = &m->program[i];
        if (can_attach(p) && wants(p->role, kind))
            (void)give_shared(m, p, kind, index, blob(m, kind, index));
    }
}

static enum err give_blobs(struct monitor *m, struct program *p)
{
    static const enum attach_kind kinds[] = {ATTACH_KEYS, ATTACH_CA, ATTACH_POLICY,
                                             ATTACH_DIRECTORY};
    enum err e = OK;
    for (uint8_t i = 0; p->role == ROLE_ENGINE && i < m->conf->n_certs && e == OK; i++)
        e = give_shared(m, p, ATTACH_CHAIN, i, &m->chain[i]);
    for (size_t i = 0; i < ARRAY_LEN(kinds) && e == OK; i++)
        if (wants(p->role, kinds[i]))
            e = give_shared(m, p, kinds[i], 0, blob(m, kinds[i], 0));
    return e;
}

/* An end of a pipe of its own: what a captured child does to the flags of its end does not touch
 * anybody else's. */
static enum err give_wake(struct monitor *m, struct program *p, const struct program *q)
{
    char path[40];
    bool own = p == q;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", own ? q->wake_in : q->wake_out);
    int fd = open(path, (own ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return ERR_SYSTEM;
    enum err e =
        give(m, p, (struct msg_attach){ATTACH_WAKE, (uint8_t)q->role, q->engine, 0, 0, 0}, fd);
    (void)close(fd);
    return e;
}

static enum err give_wakes(struct monitor *m, struct program *p)
{
    enum err e = OK;
    for (uint32_t i = 0; i < m->n_programs && e == OK; i++) {
        const struct program *q = &m->program[i];
        bool other = p->role != ROLE_FETCH && q->role != ROLE_FETCH;
        if (p == q || (other && (p->role == ROLE_ENGINE || q->role == ROLE_ENGINE)))
            e = give_wake(m, p, q);
    }
    return e;
}

static enum err give_locations(struct monitor *m, struct program *p)
{
    enum err e = OK;
    bool reads = p->role == ROLE_ENGINE || p->role == ROLE_STORE;
    for (uint8_t i = 0; reads && i < m->n_engines && e == OK; i++) {
        bool own = p->role == ROLE_ENGINE && p->engine == i;
        e = give_shared(m, p, ATTACH_LOCATION, i, own ? &m->location[i] : &m->location_ro[i]);
    }
    return e;
}

static enum err give_money(struct monitor *m, struct program *p)
{
    enum err e = OK;
    if (p->role != ROLE_ENGINE)
        return OK;
    for (uint8_t i = 0; i < m->n_engines && e == OK; i++)
        e = give_shared(m, p, ATTACH_LEDGER, i, p->engine == i ? &m->ledger[i] : &m->ledger_ro[i]);
    for (uint8_t i = 0; i < m->n_engines && e == OK; i++)
        e = give_shared(m, p, ATTACH_FRAUD, i, p->engine == i ? &m->fraud[i] : &m->fraud_ro[i]);
    return e == OK ? give_shared(m, p, ATTACH_RATES, 0, &m->rates) : e;
}

/* As the file is now: a fetch that starts again reads it afresh. Without the file nothing. */
static enum err give_text(struct monitor *m, struct program *p, uint8_t what, const char *path)
{
    static char text[RESOLVER_TEXT_MAX];
    size_t n = 0;
    struct shared s = {-1, 0};
    enum err e = *path ? file_read(path, text, sizeof text, &n) : ERR_NOT_FOUND;
    if (e != OK && e != ERR_NOT_FOUND)
        monitor_log(m, SEV_WARN, "%s: %s", path, e == ERR_LIMIT ? "too large" : strerror(errno));
    if (e != OK || n == 0)
        return OK;
    e = memfd_sealed("ringwall-resolver", text, n, &s.fd);
    s.n = n;
    if (e == OK)
        e = give_shared(m, p, ATTACH_RESOLVER, what, &s);
    shared_close(&s);
    return e;
}

static enum err give_targets(struct monitor *m, struct program *p)
{
    bool reads = p->role == ROLE_ENGINE;
    if (!reads && p->role != ROLE_FETCH)
        return OK;
    enum err e = give_shared(m, p, ATTACH_CERTS, 0, reads ? &m->certs_ro : &m->certs);
    if (e == OK)
        e = give_shared(m, p, ATTACH_TARGETS, 0, reads ? &m->targets_ro : &m->targets);
    if (e != OK || reads)
        return e;
    e = certs_give(m, p);
    if (e == OK)
        e = give_text(m, p, 0, m->conf->trust_anchor);
    if (e == OK)
        e = give_text(m, p, 1, "/etc/resolv.conf");
    return e == OK ? feeds_give(m, p) : e;
}

/* What the shield shares: who is banned, the count of hits, the ports with a session. */
static enum err give_shield(struct monitor *m, struct program *p)
{
    enum err e = OK;
    if (p->role != ROLE_ENGINE)
        return OK;
    if (m->bans_ro.fd >= 0)
        e = give_shared(m, p, ATTACH_BANS, 0, &m->bans_ro);
    if (e == OK && m->ban_hits[p->engine].fd >= 0)
        e = give_shared(m, p, ATTACH_BAN_HITS, 0, &m->ban_hits[p->engine]);
    if (e == OK && m->ports.fd >= 0)
        e = give_shared(m, p, ATTACH_PORTS, 0, &m->ports);
    if (e == OK && m->geo.fd >= 0)
        e = give_shared(m, p, ATTACH_GEO, 0, &m->geo);
    if (e == OK && m->rules.fd >= 0)
        e = give_shared(m, p, ATTACH_RULES, 0, &m->rules);
    return e;
}

static enum err give_rings(struct monitor *m, struct program *p)
{
    enum err e = OK;
    for (uint8_t i = 0; i < m->n_engines && e == OK; i++) {
        if (p->role == ROLE_ENGINE && i != p->engine) {
            e = give_ring(m, p, ATTACH_RING_PEER, p->engine, i, &m->peer[p->engine][i]);
            if (e == OK)
                e = give_ring(m, p, ATTACH_RING_PEER, i, p->engine, &m->peer[i][p->engine]);
            continue;
        }
        for (int k = ATTACH_RING_ASK; k <= ATTACH_RING_RESTORE && e == OK; k++) {
            enum role hub = k <= ATTACH_RING_ANSWER ? ROLE_VAULT : ROLE_STORE;
            if (p->role == ROLE_ENGINE || p->role == hub)
                e = give_ring(m, p, (enum attach_kind)k, i, 0,
                              star_ring(m, (enum attach_kind)k, i));
        }
    }
    return e;
}

/* The socket may have been through the hands of a captured engine: its flag is set again, and it
 * listens again. */
static enum err give_listeners(struct monitor *m, struct program *p)
{
    enum err e = OK;
    for (uint8_t i = 0; p->role == ROLE_ENGINE && i < m->conf->policy.n_listeners && e == OK; i++) {
        int fd = m->listener[p->engine][i];
        bool ready =
            fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
            (m->conf->policy.listeners[i].proto == PROTO_UDP || listen(fd, LISTEN_BACKLOG) == 0);
        e = ready ? give(m, p, (struct msg_attach){ATTACH_LISTENER, i, 0, 0, 0, 0}, fd)
                  : ERR_SYSTEM;
    }
    return e;
}

/* An engine's part of the RTP range: whole pairs, the rest unused. */
static void media_part(const struct monitor *m, uint8_t engine, uint16_t *ret_min,
                       uint16_t *ret_max)
{
    uint32_t low = (m->conf->policy.rtp_min + 1u) & ~1u,
             pairs = (m->conf->policy.rtp_max + 1u - low) / 2u, each = pairs / m->n_engines;
    *ret_min = (uint16_t)(low + 2u * each * engine);
    *ret_max = (uint16_t)(low + 2u * each * (engine + 1u) - 1u);
}

enum err supply_setup(struct monitor *m, struct program *p)
{
    struct msg_setup s = {.role = (uint8_t)p->role,
                          .engine = p->engine,
                          .engines = (uint8_t)m->n_engines,
                          .location_cap = m->location_cap,
                          .restarts = p->restarts};
    if (p->role == ROLE_ENGINE) {
        media_part(m, p->engine, &s.media_min, &s.media_max);
        s.token_seal = m->keys.token_seal;
        s.token_mask = m->keys.token_mask;
        s.ledger = m->keys.ledger;
    }
    if (p->role == ROLE_ENGINE || p->role == ROLE_STORE)
        s.hash = m->keys.hash;
    if (p->role == ROLE_ENGINE || p->role == ROLE_VAULT)
        s.nonce = m->keys.nonce;
    enum err e = program_send(m, p, MSG_SETUP, str_of((const char *)&s, sizeof s), STR_NONE, -1);
    mem_wipe(&s, sizeof s);
    if (e == OK)
        e = give(m, p, (struct msg_attach){ATTACH_STATS, 0, 0, 0, 0, sizeof(struct stats)},
                 p->stats_fd);
    if (e == OK)
        e = give_wakes(m, p);
    if (e == OK)
        e = give_blobs(m, p);
    if (e == OK)
        e = give_locations(m, p);
    if (e == OK)
        e = give_targets(m, p);
    if (e == OK)
        e = give_money(m, p);
    if (e == OK)
        e = give_shield(m, p);
    if (e == OK)
        e = give_rings(m, p);
    if (e == OK)
        e = give_listeners(m, p);
    if (e == OK)
        e = program_send(m, p, MSG_SETUP_DONE, STR_NONE, STR_NONE, -1);
    return e;
}
