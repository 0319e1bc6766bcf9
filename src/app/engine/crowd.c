/* Who may hold a connection. Those that have proved themselves (a peer's address, a verified
 * certificate, a request with good credentials) stay. Sources from which somebody is registered may
 * come back when the table is nearly full. All others are strangers: they get half of the table and
 * half of the handshakes at most, little time, and when there is no room the oldest of them goes.
 */
#include "app/engine/engine.h"
#include <sys/resource.h>
#include <unistd.h>

#define KNOWN_SLOTS   (1u << 16)
#define KNOWN_S       3700u /* a registration's default life and some */
#define BOARD_STEP    512u  /* bindings looked at each time */
#define RATE_SOURCES  (1u << 15)
#define RATE_DEFAULT  50u /* connections a second, where the zone says nothing */
#define STRANGERS_MIN 8u
#define BANNED_S      1u /* connections a second of who is banned: he may call for help */
#define BANNED_MOST   3u
#define BANNED_SALT   UINT64_C(0x85ebca6bc2b2ae35)
#define PAUSE_MS      200

/* A source is one IPv4 address or one IPv6 /64: nobody has just one address of the latter. */
static uint64_t source_hash(const struct engine *e, const struct addr *peer)
{
    struct addr a = *peer;
    a.port = 0;
    if (a.family == ADDR_V6)
        memset(a.ip + 8, 0, 8);
    return addr_hash(&e->child.setup.hash, &a);
}

static uint32_t slot_of(uint64_t hash)
{
    return (uint32_t)hash & (SOURCE_SLOTS - 1);
}

enum err crowd_init(struct engine *e)
{
    e->known = calloc(KNOWN_SLOTS, sizeof *e->known); /* pages come when touched */
    void *mem = calloc(1, rate_bytes(RATE_SOURCES));
    if (!e->known || !mem)
        return ERR_FULL;
    e->pace = rate_init(mem, RATE_SOURCES);
    crowd_limits(e);
    return OK;
}

/* --- sources from which somebody is registered --- */

static uint32_t seconds(const struct engine *e)
{
    return (uint32_t)(e->loop.now.mono.us / 1000000) + 1;
}

static void known_add(struct engine *e, const struct addr *peer)
{
    uint64_t h = source_hash(e, peer);
    e->known[h & (KNOWN_SLOTS - 1)] = (struct known){(uint32_t)(h >> 32), seconds(e) + KNOWN_S};
}

static bool known_is(const struct engine *e, const struct addr *peer)
{
    uint64_t h = source_hash(e, peer);
    const struct known *k = &e->known[h & (KNOWN_SLOTS - 1)];
    return k->until_s > seconds(e) && k->tag == (uint32_t)(h >> 32);
}

/* Registrations are taken from the boards of all engines, a part at a time: a phone comes back to
 * whichever engine accepts it, and bindings that the store gave back count too. */
static void known_look(struct engine *e)
{
    const struct child *c = &e->child;
    struct binding b;
    for (uint32_t n = 0; n < BOARD_STEP; n++) {
        struct location_view v = {c->location[e->board].p, c->setup.location_cap};
        if (e->board_slot >= location_fresh(v)) {
            e->board_slot = 0;
            e->board = (uint8_t)((e->board + 1) % c->setup.engines);
            return;
        }
        if (!location_slot(v, e->board_slot++, &b))
            continue;
        core_known(e->core, &b.flow.peer, instant_add(e->loop.now.mono, DUR_S(KNOWN_S)));
        if (b.flow.proto != PROTO_UDP)
            known_add(e, &b.flow.peer);
    }
}

/* --- strangers, in the order they came --- */

static void stranger_add(struct conn *c)
{
    struct engine *e = c->e;
    c->stranger = true;
    c->older = e->newest;
    *(c->older ? &c->older->newer : &e->oldest) = c;
    e->newest = c;
    e->strangers[c->source]++;
    stat_set(e->child.stats, STAT_strangers, ++e->n_strangers);
}

static void stranger_del(struct conn *c)
{
    struct engine *e = c->e;
    if (!c->stranger)
        return;
    *(c->older ? &c->older->newer : &e->oldest) = c->newer;
    *(c->newer ? &c->newer->older : &e->newest) = c->older;
    c->older = c->newer = NULL;
    c->stranger = false;
    e->strangers[c->source]--;
    stat_set(e->child.stats, STAT_strangers, --e->n_strangers);
}

bool crowd_make_room(struct engine *e)
{
    if (!e->oldest)
        return false;
    conn_end(e->oldest, REASON_stream_crowded);
    return true;
}

void crowd_proved(struct conn *c)
{
    if (!c->incoming || c->proved)
        return;
    stranger_del(c);
    c->proved = true;
    known_add(c->e, &c->flow.peer);
}

void crowd_leave(struct conn *c)
{
    struct engine *e = c->e;
    stranger_del(c);
    if (c->incoming && e->sources[c->source])
        e->sources[c->source]--;
}

/* --- who is let in --- */

static enum reason too_many(struct engine *e, const struct addr *peer, const struct newcomer *n)
{
    uint32_t most = e->policy->limits.connections_per_source;
    if (e->sources[n->source] >= most)
        return REASON_capacity_connections_source;
    if (core_banned(e->core, peer, e->loop.now) &&
        !rate_take(e->pace, n->hash ^ BANNED_SALT, BANNED_S, BANNED_MOST, e->loop.now.mono))
        return REASON_shield_banned;
    if (n->standing != STRANGER)
        return REASON_NONE;
    if (e->strangers[n->source] >= MAX(most / 2, STRANGERS_MIN))
        return REASON_capacity_connections_source;
    uint32_t per_s = e->policy->zones[n->zone].rate_per_source;
    per_s = per_s ? per_s : RATE_DEFAULT;
    return rate_take(e->pace, n->hash, per_s, per_s * 2, e->loop.now.mono)
               ? REASON_NONE
               : REASON_rate_connections;
}

static bool room_for(struct engine *e, enum standing s)
{
    uint32_t cap = e->conns.cap;
    if (s != STRANGER)
        return e->conns.used < cap || crowd_make_room(e);
    return (e->n_strangers < MAX(cap / 2, 1u) && e->conns.used < cap - cap / 10) ||
           crowd_make_room(e);
}

enum reason crowd_admit(struct engine *e, uint8_t listener, const struct addr *peer,
                        struct newcomer *ret)
{
    struct newcomer n = {.hash = source_hash(e, peer),
                         .zone = policy_zone_of(e->policy, listener, peer)};
    if (n.zone == POLICY_NONE)
        return REASON_zone_unknown_source;
    n.source = slot_of(n.hash);
    if (policy_peer_of(e->policy, n.zone, peer) != POLICY_NONE)
        n.standing = PROVED;
    else
        n.standing = known_is(e, peer) ? KNOWN : STRANGER;
    enum reason why = too_many(e, peer, &n);
    if (why == REASON_NONE && !room_for(e, n.standing))
        why = REASON_capacity_connections;
    *ret = n;
    return why;
}

void crowd_enter(struct conn *c, const struct newcomer *n)
{
    struct engine *e = c->e;
    c->incoming = true;
    c->source = n->source;
    e->sources[n->source]++;
    c->proved = n->standing == PROVED;
    if (n->standing == STRANGER)
        stranger_add(c);
}

/* --- no descriptors --- */

static void listeners_watch(struct engine *e, uint32_t events)
{
    for (unsigned i = 0; i < e->policy->n_listeners; i++)
        if (e->policy->listeners[i].proto != PROTO_UDP && e->child.listener[i] >= 0)
            (void)!loop_mod(&e->loop, e->child.listener[i], events);
}

/* A listener that cannot be served would wake us for ever: those who knock wait in the kernel. */
void crowd_pause(struct engine *e)
{
    if (e->paused)
        return;
    e->paused = true;
    e->pause_end = instant_add(e->loop.now.mono, DUR_MS(PAUSE_MS));
    listeners_watch(e, 0);
}

/* --- the door --- */

/* A reset, so that who floods us fills no table of the kernel either. */
static void turn_away(struct engine *e, int fd, const struct addr *peer, enum reason why)
{
    sock_reset(fd);
    (void)close(fd);
    core_refused(e->core, why, peer, e->loop.now);
}

static void accept_one(struct engine *e, uint8_t listener, int fd, const struct addr *peer)
{
    const struct policy_listener *l = &e->policy->listeners[listener];
    struct flow f = {.proto = l->proto, .listener = listener, .peer = *peer};
    struct newcomer n;
    enum reason why = crowd_admit(e, listener, peer, &n);
    if (why != REASON_NONE) {
        turn_away(e, fd, peer, why);
        return;
    }
    struct conn *c = conn_new(e, fd, &f);
    if (!c)
        return;
    sock_nodelay(fd);
    crowd_enter(c, &n);
    c->state = l->proto == PROTO_TLS ? CONN_HANDSHAKE : CONN_UP;
    timer_arm(&e->wheel, &c->timer, instant_add(e->loop.now.mono, DUR_S(CONN_HANDSHAKE_S)));
}

static void listener_event(void *ctx, int fd, uint32_t events)
{
    struct engine *e = (struct engine *)ctx;
    (void)events;
    uint8_t listener = 0;
    while (listener < e->policy->n_listeners && e->child.listener[listener] != fd)
        listener++;
    for (unsigned burst = 0; burst < 32 && listener < e->policy->n_listeners; burst++) {
        struct addr peer;
        int s;
        enum err r = stream_accept(fd, &s, &peer);
        if (r == OK && s < e->fd_top) {
            accept_one(e, listener, s, &peer);
            continue;
        }
        if (r != OK && r != ERR_FULL)
            return;
        if (r == OK)
            turn_away(e, s, &peer, REASON_capacity_descriptors);
        else
            core_refused(e->core, REASON_capacity_descriptors, &(struct addr){0}, e->loop.now);
        if (!crowd_make_room(e)) {
            crowd_pause(e);
            return;
        }
    }
}

void streams_listen(struct engine *e)
{
    for (unsigned i = 0; i < e->policy->n_listeners; i++)
        if (e->policy->listeners[i].proto != PROTO_UDP && e->child.listener[i] >= 0 &&
            loop_add(&e->loop, e->child.listener[i], EPOLLIN, listener_event, e) != OK)
            child_note(&e->child, SEV_ALERT, "listener %u cannot be watched", i);
}

void crowd_limits(struct engine *e)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0)
        e->fd_top = (int)MIN(lim.rlim_cur, (rlim_t)ARRAY_LEN(e->fd_port)) - FD_SPARE;
}

void crowd_tick(struct engine *e)
{
    crowd_limits(e);
    known_look(e);
    if (e->paused && e->loop.now.mono.us >= e->pause_end.us) {
        e->paused = false;
        listeners_watch(e, EPOLLIN);
    }
}
