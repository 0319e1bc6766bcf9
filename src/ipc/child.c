#include "ipc/child.h"
#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEND_WAIT_MS 1000

static enum err send_waiting(struct child *c, enum msg_type t, struct str head, struct str tail,
                             int fd)
{
    enum err e = channel_send2(&c->ch, t, head, tail, fd);
    if (e != ERR_AGAIN)
        return e;
    struct pollfd p = {c->ch.fd, POLLOUT, 0};
    (void)poll(&p, 1, SEND_WAIT_MS);
    return channel_send2(&c->ch, t, head, tail, fd);
}

static struct str bytes_of(const void *p, size_t n)
{
    return str_of(p, n);
}

/* -- attaching -- */

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
        return a->kind == ATTACH_CERTS ? attach_board(c, &c->certs, &c->certs_own, a, *fd)
                                       : attach_board(c, &c->targets, &c->targets_own, a, *fd);
    case ATTACH_RESOLVER:
        return c->ch.role == ROLE_FETCH && a->a < ARRAY_LEN(c->resolver)
                   ? attach_map(&c->resolver[a->a], a, *fd, true)
                   : ERR_STATE;
    case ATTACH_BANS:
    case ATTACH_BAN_HITS:
    case ATTACH_PORTS:
    case ATTACH_GEO:
    case ATTACH_RULES:
    case ATTACH_FEED:
    case ATTACH_LEDGER:
    case ATTACH_RATES:
        return attach_shield(c, a, fd);
    case ATTACH_KIND_COUNT:
    default:
        return ERR_RANGE;
    }
}

static enum err attach_msg(struct child *c)
{
    enum err e = attach(c, &c->msg.u.attach, &c->msg.fds[0]);
    msg_close(&c->msg);
    return e;
}

/* -- life -- */

static enum err setup_check(const struct child *c, const struct msg_setup *s)
{
    bool ok = s->role == c->ch.role && s->engines >= 1 && s->engines <= IPC_ENGINES_MAX &&
              s->engine < s->engines && s->media_min <= s->media_max;
    return ok ? OK : ERR_RANGE;
}

static enum err setup(struct child *c)
{
    bool told = false;
    for (;;) {
        enum err e = channel_recv(&c->ch, &c->msg, false);
        if (e != OK)
            return e;
        if (c->msg.type == MSG_SETUP && !told) {
            c->setup = c->msg.u.setup;
            mem_wipe(&c->msg.u.setup, sizeof c->msg.u.setup);
            e = setup_check(c, &c->setup);
            told = true;
        } else if (c->msg.type == MSG_ATTACH && told) {
            e = attach_msg(c);
        } else if (c->msg.type == MSG_SETUP_DONE && told) {
            return c->stats && c->wake >= 0 ? OK : ERR_STATE;
        } else {
            e = c->msg.type == MSG_STOP ? ERR_CLOSED : ERR_STATE;
        }
        if (e != OK)
            return e;
    }
}

enum err child_start(struct child *c, enum role role, const char *folder)
{
    memset(c, 0, sizeof *c);
    channel_init(&c->ch, SANDBOX_CHANNEL_FD, role, false);
    c->wake = -1;
    for (size_t r = 0; r < ROLE_COUNT; r++)
        for (size_t i = 0; i < IPC_ENGINES_MAX; i++)
            c->wake_of[r][i] = -1;
    for (size_t i = 0; i < CHILD_LISTENERS; i++)
        c->listener[i] = -1;
    for (size_t i = 0; i < ARRAY_LEN(c->feed); i++)
        c->feed[i] = -1;
    const char *why = "";
    enum err e = fcntl(SANDBOX_CHANNEL_FD, F_SETFD, FD_CLOEXEC) == 0 ? OK : ERR_SYSTEM;
    if (e != OK) {
        (void)fprintf(stderr, "%s: has no channel: it is started by `ringwall run`, not by hand\n",
                      role_program(role));
        return e;
    }
    e = sandbox_enter(role, folder, &c->report, &why);
    if (e != OK) {
        (void)fprintf(stderr, "%s: not safe to run: %s: %s\n", role_program(role), why,
                      strerror(errno));
        return e;
    }
    struct msg_locked locked = {c->report, (int32_t)getpid()};
    e = channel_send(&c->ch, MSG_LOCKED, bytes_of(&locked, sizeof locked), -1);
    if (e == OK)
        e = setup(c);
    if (e == OK && fcntl(c->ch.fd, F_SETFL, O_NONBLOCK) != 0)
        e = ERR_SYSTEM;
    if (e != OK && e != ERR_CLOSED)
        (void)fprintf(stderr, "%s: set-up failed: %s\n", role_program(role), err_name(e));
    return e;
}

enum err child_running(struct child *c)
{
    return send_waiting(c, MSG_RUNNING, STR_NONE, STR_NONE, -1);
}

/* 0: answered inside, go on. */
static int event_of(enum msg_type t)
{
    switch (t) {
    case MSG_ATTACH:
        return CHILD_ATTACHED;
    case MSG_QUERY:
        return CHILD_QUERY;
    case MSG_CONNECTED:
        return CHILD_CONNECTED;
    case MSG_FACT:
        return CHILD_FACT;
    case MSG_NOTIFY:
        return CHILD_NOTIFY;
    case MSG_CERT_GET:
        return CHILD_CERT_GET;
    case MSG_CERT_GOT:
        return CHILD_CERT_GOT;
    case MSG_DRAIN:
        return CHILD_DRAIN;
    case MSG_STOP:
        return CHILD_STOP;
    case MSG_NONE:
    case MSG_LOCKED:
    case MSG_RUNNING:
    case MSG_NOTE:
    case MSG_REPLY:
    case MSG_DIRECTORY:
    case MSG_CONNECT:
    case MSG_BAN:
    case MSG_BANS:
    case MSG_FEED:
    case MSG_NOTIFIED:
    case MSG_TELL:
    case MSG_CERT_ASK:
    case MSG_CERT_DONE:
    case MSG_DRAINED:
    case MSG_PONG:
    case MSG_SETUP:
    case MSG_SETUP_DONE:
    case MSG_PING:
    case MSG_COUNT:
    default:
        return -1;
    }
}

enum err child_next(struct child *c, enum child_event *ret_ev)
{
    msg_close(&c->msg); /* a descriptor that the owner did not take */
    for (;;) {
        enum err e = channel_recv(&c->ch, &c->msg, true);
        if (e != OK)
            return e;
        if (c->msg.type == MSG_PING) {
            struct msg_ping p = c->msg.u.ping;
            e = send_waiting(c, MSG_PONG, bytes_of(&p, sizeof p), STR_NONE, -1);
            if (e != OK)
                return e;
            continue;
        }
        int ev = event_of(c->msg.type);
        if (ev < 0)
            return ERR_STATE;
        if (c->msg.type == MSG_ATTACH)
            e = attach_msg(c);
        if (e == OK && c->msg.type == MSG_CONNECTED &&
            (c->msg.u.connected.error == 0) != (c->msg.n_fds == 1)) {
            msg_close(&c->msg);
            e = ERR_SYNTAX;
        }
        if (e == OK)
            *ret_ev = (enum child_event)ev;
        return e;
    }
}

/* -- telling the monitor -- */

enum err child_reply_fd(struct child *c, uint32_t id, uint32_t code, int memfd, uint64_t bytes)
{
    struct msg_reply r = {id, code, bytes};
    return send_waiting(c, MSG_REPLY, bytes_of(&r, sizeof r), STR_NONE, memfd);
}

enum err child_reply(struct child *c, uint32_t id, uint32_t code, struct str json)
{
    if (json.n > REPLY_TEXT_MAX) {
        int fd = -1;
        enum err e = memfd_sealed("ringwall-reply", json.p, json.n, &fd);
        if (e != OK)
            return e;
        e = child_reply_fd(c, id, code, fd, json.n);
        (void)close(fd);
        return e;
    }
    struct msg_reply r = {id, code, 0};
    return send_waiting(c, MSG_REPLY, bytes_of(&r, sizeof r), json, -1);
}

void child_note(struct child *c, uint8_t severity, const char *fmt, ...)
{
    char text[NOTE_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    struct msg_note note = {severity, {0}};
    struct str s = str_of(text, MIN((size_t)n, sizeof text - 1));
    enum err e = channel_send2(&c->ch, MSG_NOTE, bytes_of(&note, sizeof note), s, -1);
    (void)e; /* a monitor that does not read loses lines, not us */
}

enum err child_connect(struct child *c, uint32_t req, uint8_t peer, const struct addr *target,
                       uint32_t generation)
{
    struct msg_connect m = {.req = req, .generation = generation, .target = *target, .peer = peer};
    return send_waiting(c, MSG_CONNECT, bytes_of(&m, sizeof m), STR_NONE, -1);
}

enum err child_directory(struct child *c, const void *blob, size_t n)
{
    int fd = -1;
    enum err e = memfd_sealed("ringwall-directory", blob, n, &fd);
    if (e != OK)
        return e;
    struct msg_blob m = {n};
    e = send_waiting(c, MSG_DIRECTORY, bytes_of(&m, sizeof m), STR_NONE, fd);
    (void)close(fd);
    return e;
}

enum err child_drained(struct child *c)
{
    return send_waiting(c, MSG_DRAINED, STR_NONE, STR_NONE, -1);
}

/* -- rings -- */

enum err child_put2(struct child_ring *r, struct str a, struct str b)
{
    if (!r->mem || !r->producer)
        return ERR_STATE;
    enum err e = ring_put2(&r->ring, a, b);
    r->put |= e == OK;
    return e;
}

enum err child_put(struct child_ring *r, const void *rec, size_t n)
{
    return child_put2(r, str_of(rec, n), STR_NONE);
}

enum err child_get(struct child_ring *r, void *ret, size_t cap, size_t *ret_n)
{
    if (!r->mem || r->producer || r->ring.dead)
        return ERR_AGAIN;
    enum err e = ring_get(&r->ring, ret, cap, ret_n);
    return e == ERR_SYNTAX ? ERR_STATE : e;
}

static void flush(struct child_ring *r)
{
    if (!r->put)
        return;
    r->put = false;
    if (!ring_want_wake(&r->ring) || *r->wake < 0)
        return;
    ssize_t n = write(*r->wake, "", 1);
    (void)n; /* a full pipe is a wake-up that was not taken yet */
}

void child_flush(struct child *c)
{
    for (size_t i = 0; i < c->setup.engines; i++) {
        flush(&c->ask[i]);
        flush(&c->answer[i]);
        flush(&c->fact[i]);
        flush(&c->restore[i]);
        flush(&c->to[i]);
    }
}

static bool reads(const struct child_ring *r)
{
    return r->mem && !r->producer && !r->ring.dead;
}

/* f for every ring that this child reads. */
static bool each_read(struct child *c, bool (*f)(struct child_ring *))
{
    for (size_t i = 0; i < c->setup.engines; i++) {
        struct child_ring *all[] = {&c->ask[i], &c->answer[i], &c->fact[i], &c->restore[i],
                                    &c->from[i]};
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            if (reads(all[k]) && !f(all[k]))
                return false;
    }
    return true;
}

static bool announce(struct child_ring *r)
{
    r->announced = ring_sleep(&r->ring);
    return r->announced;
}

bool child_sleep(struct child *c)
{
    return each_read(c, announce);
}

/* false: the announcement was taken, so somebody wrote into the pipe. */
static bool untouched(struct child_ring *r)
{
    return !r->announced || __atomic_load_n(&r->ring.sh->sleeping, __ATOMIC_ACQUIRE) != 0;
}

static bool take_back(struct child_ring *r)
{
    if (r->announced)
        ring_awake(&r->ring);
    r->announced = false;
    return true;
}

#define UNDRAINED_MAX 64u
void child_awake(struct child *c)
{
    uint8_t bytes[1024];
    bool woken = !each_read(c, untouched);
    (void)each_read(c, take_back);
    if (!woken && ++c->undrained < UNDRAINED_MAX)
        return;
    c->undrained = 0;
    while (read(c->wake, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        continue;
}
