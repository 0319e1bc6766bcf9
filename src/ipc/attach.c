/* What a program is given by descriptor, put in its place: one row a kind, who may have it and what
 * it has to be. */
#include "ipc/attach.h"
#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err attach_map(struct child_map *m, const struct msg_attach *a, int fd, bool sealed)
{
    void *p = NULL;
    if (a->bytes == 0 || a->bytes > UINT64_C(1) << 40)
        return ERR_RANGE;
    enum err e = mem_map(fd, (size_t)a->bytes, false, sealed, &p);
    if (e != OK)
        return e;
    mem_unmap(m->p, m->n);
    *m = (struct child_map){p, (size_t)a->bytes};
    return OK;
}

static enum err attach_ring(struct child_ring *r, const struct msg_attach *a, int fd, bool producer,
                            int *wake)
{
    uint32_t size = a->ring_size;
    if (size < 4096 || size & (size - 1) || a->bytes != ring_bytes(size))
        return ERR_RANGE;
    void *p = NULL;
    struct ring ring;
    enum err e = mem_map(fd, (size_t)a->bytes, true, false, &p);
    if (e != OK)
        return e;
    ring_attach_anyhow(&ring, p, size, producer); /* the other side may be a captured engine */
    mem_unmap(r->mem, r->n);
    *r = (struct child_ring){
        .ring = ring, .mem = p, .n = (size_t)a->bytes, .producer = producer, .wake = wake};
    return OK;
}

/* Shards: one an engine, its own to write. */
static enum err attach_shard(struct child *c, struct child_map *map, void **own_slot,
                             const struct msg_attach *a, int fd)
{
    bool own = c->ch.role == ROLE_ENGINE && a->a == c->setup.engine;
    if (!own)
        return attach_map(&map[a->a], a, fd, false);
    void *p = NULL;
    if (*own_slot || a->bytes == 0)
        return ERR_STATE; /* handlers keep pointers into it: never replaced */
    enum err e = mem_map(fd, (size_t)a->bytes, true, false, &p);
    if (e != OK)
        return e;
    *own_slot = p;
    map[a->a] = (struct child_map){p, (size_t)a->bytes};
    return OK;
}

/* The writer's own stays where it is; readers keep pointers into theirs, too. */
static enum err attach_board(struct child *c, struct child_map *map, void **ret_own,
                             const struct msg_attach *a, int fd)
{
    bool own = c->ch.role == ROLE_FETCH;
    if ((!own && c->ch.role != ROLE_ENGINE) || map->p)
        return ERR_STATE;
    if (!own)
        return attach_map(map, a, fd, false);
    void *p = NULL;
    if (a->bytes == 0 || a->bytes > 1u << 24)
        return ERR_RANGE;
    enum err e = mem_map(fd, (size_t)a->bytes, true, false, &p);
    if (e != OK)
        return e;
    *ret_own = p;
    *map = (struct child_map){p, (size_t)a->bytes};
    return OK;
}

static enum err attach_stats(struct child *c, const struct msg_attach *a, int fd)
{
    void *p = NULL;
    if (c->stats || a->bytes < sizeof(struct stats))
        return ERR_STATE;
    enum err e = mem_map(fd, sizeof(struct stats), true, false, &p);
    if (e == OK)
        c->stats = p;
    return e;
}

/* Memory that an engine writes and that stays where it is. */
static enum err attach_own(struct child *c, void **slot, const struct msg_attach *a, int fd,
                           uint64_t most)
{
    if (c->ch.role != ROLE_ENGINE || *slot || a->bytes == 0 || a->bytes > most)
        return ERR_STATE;
    return mem_map(fd, (size_t)a->bytes, true, false, slot);
}

/* Bytes by media port: a memfd, or a map of the kernel's shield. A map has no seals, and its size
 * is fixed for good; it is no file of any kind, so what has a kind must be sealed. */
static enum err attach_ports(struct child *c, const struct msg_attach *a, int fd)
{
    struct stat st;
    if (c->ch.role != ROLE_ENGINE || c->ports || a->bytes != 1u << 16)
        return ERR_STATE;
    if (fstat(fd, &st) != 0)
        return ERR_SYSTEM;
    if ((st.st_mode & S_IFMT) != 0)
        return attach_own(c, (void **)&c->ports, a, fd, 1u << 16);
    void *p = mmap(NULL, 1u << 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return ERR_SYSTEM;
    c->ports = p;
    return OK;
}

/* Keeps the descriptor itself. */
static enum err keep_fd(int *slot, int *fd)
{
    if (*slot >= 0)
        (void)close(*slot);
    *slot = *fd;
    *fd = -1;
    return OK;
}

static enum err attach_wake(struct child *c, const struct msg_attach *a, int *fd)
{
    if (a->a >= ROLE_COUNT || a->b >= IPC_ENGINES_MAX)
        return ERR_RANGE;
    bool own = a->a == c->ch.role && (c->ch.role != ROLE_ENGINE || a->b == c->setup.engine);
    return keep_fd(own ? &c->wake : &c->wake_of[a->a][a->b], fd);
}

static enum err attach_peer_ring(struct child *c, const struct msg_attach *a, int fd)
{
    if (c->ch.role != ROLE_ENGINE || a->b >= IPC_ENGINES_MAX || a->a == a->b)
        return ERR_RANGE;
    if (a->a == c->setup.engine)
        return attach_ring(&c->to[a->b], a, fd, true, &c->wake_of[ROLE_ENGINE][a->b]);
    if (a->b == c->setup.engine)
        return attach_ring(&c->from[a->a], a, fd, false, NULL);
    return ERR_RANGE;
}

/* A ring between engine a and the vault or store; the engine's side must be its own. */
static enum err attach_star_ring(struct child *c, struct child_ring *r, const struct msg_attach *a,
                                 int fd, enum role hub, bool engine_writes)
{
    bool engine = c->ch.role == ROLE_ENGINE;
    if (engine ? a->a != c->setup.engine : c->ch.role != hub)
        return ERR_RANGE;
    bool producer = engine == engine_writes;
    int *wake = !producer ? NULL : engine ? &c->wake_of[hub][0] : &c->wake_of[ROLE_ENGINE][a->a];
    return attach_ring(r, a, fd, producer, wake);
}

/* What belongs to the shield, and to money. */
static enum err attach_shield(struct child *c, const struct msg_attach *a, int *fd)
{
    bool engine = c->ch.role == ROLE_ENGINE;
    switch (a->kind) {
    case ATTACH_BANS:
        return engine ? attach_map(&c->bans, a, *fd, false) : ERR_STATE;
    case ATTACH_BAN_HITS:
        return attach_own(c, (void **)&c->ban_hits, a, *fd, 1u << 24);
    case ATTACH_PORTS:
        return attach_ports(c, a, *fd);
    case ATTACH_GEO:
        return engine ? attach_map(&c->geo, a, *fd, true) : ERR_STATE;
    case ATTACH_RULES:
        return engine ? attach_map(&c->rules, a, *fd, true) : ERR_STATE;
    case ATTACH_LEDGER: /* readers keep pointers, too: never replaced */
        return engine && !c->ledger[a->a].p ? attach_shard(c, c->ledger, &c->ledger_own, a, *fd)
                                            : ERR_STATE;
    case ATTACH_FRAUD:
        return engine && !c->fraud[a->a].p ? attach_shard(c, c->fraud, &c->fraud_own, a, *fd)
                                           : ERR_STATE;
    case ATTACH_RATES:
        return engine ? attach_map(&c->rates, a, *fd, true) : ERR_STATE;
    case ATTACH_FEED:
        return c->ch.role == ROLE_FETCH && a->a < ARRAY_LEN(c->feed) ? keep_fd(&c->feed[a->a], fd)
                                                                     : ERR_STATE;
    default:
        return ERR_RANGE;
    }
}

static enum err attach_keys(struct child *c, const struct msg_attach *a, int fd)
{
    bool fits = c->ch.role == ROLE_VAULT && a->bytes % IPC_KEY_NAME == 0;
    return fits ? attach_map(&c->keys, a, fd, true) : ERR_STATE;
}

static enum err attach_resolver(struct child *c, const struct msg_attach *a, int fd)
{
    bool fits = c->ch.role == ROLE_FETCH && a->a < ARRAY_LEN(c->resolver);
    return fits ? attach_map(&c->resolver[a->a], a, fd, true) : ERR_STATE;
}

/* The rings between an engine and the vault or the store. */
static enum err attach_star(struct child *c, const struct msg_attach *a, int fd)
{
    enum attach_kind k = (enum attach_kind)a->kind;
    struct child_ring *r = k == ATTACH_RING_ASK      ? &c->ask[a->a]
                           : k == ATTACH_RING_ANSWER ? &c->answer[a->a]
                           : k == ATTACH_RING_FACT   ? &c->fact[a->a]
                                                     : &c->restore[a->a];
    bool vault = k == ATTACH_RING_ASK || k == ATTACH_RING_ANSWER;
    return attach_star_ring(c, r, a, fd, vault ? ROLE_VAULT : ROLE_STORE,
                            k == ATTACH_RING_ASK || k == ATTACH_RING_FACT);
}

/* Boards that the fetch program alone writes. */
static enum err attach_fetched(struct child *c, const struct msg_attach *a, int fd)
{
    return a->kind == ATTACH_CERTS ? attach_board(c, &c->certs, &c->certs_own, a, fd)
                                   : attach_board(c, &c->targets, &c->targets_own, a, fd);
}

/* fd becomes -1 if it is kept. */
static enum err attach(struct child *c, const struct msg_attach *a, int *fd)
{
    bool engine = c->ch.role == ROLE_ENGINE;
    if (a->a >= IPC_ENGINES_MAX)
        return ERR_RANGE;
    switch ((enum attach_kind)a->kind) {
    case ATTACH_WAKE:
        return attach_wake(c, a, fd);
    case ATTACH_POLICY:
        return attach_map(&c->policy, a, *fd, true);
    case ATTACH_DIRECTORY:
    case ATTACH_CA:
        return engine ? attach_map(a->kind == ATTACH_CA ? &c->ca : &c->directory, a, *fd, true)
                      : ERR_STATE;
    case ATTACH_STATS:
        return attach_stats(c, a, *fd);
    case ATTACH_LOCATION:
        return attach_shard(c, c->location, &c->location_own, a, *fd);
    case ATTACH_LISTENER:
        return engine && a->a < CHILD_LISTENERS ? keep_fd(&c->listener[a->a], fd) : ERR_RANGE;
    case ATTACH_CHAIN:
        return engine && a->a < CHILD_CHAINS ? attach_map(&c->chain[a->a], a, *fd, true)
                                             : ERR_RANGE;
    case ATTACH_KEYS:
        return attach_keys(c, a, *fd);
    case ATTACH_RING_ASK:
    case ATTACH_RING_ANSWER:
    case ATTACH_RING_FACT:
    case ATTACH_RING_RESTORE:
        return attach_star(c, a, *fd);
    case ATTACH_RING_PEER:
        return attach_peer_ring(c, a, *fd);
    case ATTACH_TARGETS:
    case ATTACH_CERTS:
        return attach_fetched(c, a, *fd);
    case ATTACH_RESOLVER:
        return attach_resolver(c, a, *fd);
    case ATTACH_BANS:
    case ATTACH_BAN_HITS:
    case ATTACH_PORTS:
    case ATTACH_GEO:
    case ATTACH_RULES:
    case ATTACH_FEED:
    case ATTACH_LEDGER:
    case ATTACH_FRAUD:
    case ATTACH_RATES:
        return attach_shield(c, a, fd);
    case ATTACH_KIND_COUNT:
    default:
        return ERR_RANGE;
    }
}

enum err attach_take(struct child *c)
{
    enum err e = attach(c, &c->msg.u.attach, &c->msg.fds[0]);
    msg_close(&c->msg);
    return e;
}
