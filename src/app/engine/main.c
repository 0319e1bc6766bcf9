/* ringwall-engine: started by the monitor, never by hand. */
#include "app/engine/engine.h"
#include "call/service.h"
#include "crypto/hash.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/rand.h"
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define GAUGES_MS 200

/* Whom an engine's shield remembers: about 29 MB and 9 MB if all are in use, taken page by page as
 * they come. Each source and user is judged by one engine, so more engines remember more. */
#define GUARD_SOURCES (1u << 16)
#define GUARD_PARTIES (1u << 14)

static struct engine engine; /* one a process */

static void *map_zero(size_t n)
{
    void *p =
        mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static uint32_t share(uint32_t whole, unsigned engines, uint32_t least)
{
    return MAX(whole / MAX(engines, 1u), least);
}

static const struct rates *rates_given(const struct engine *e)
{
    const struct rates *r = e->child.rates.p;
    return r && rates_valid(r, e->child.rates.n) == OK ? r : NULL;
}

/* The own shard may be one that a dead engine left. */
static enum err ledger_shards(struct engine *e, struct ledger *ret_l)
{
    const struct msg_setup *s = &e->child.setup;
    const struct child_map *m = e->child.ledger;
    struct ledger l = {.own = e->child.ledger_own};
    if (!l.own || s->engines > LEDGER_SHARDS)
        return ERR_STATE;
    size_t n = m[s->engine].n;
    if (ledger_valid(l.own, n) != OK) {
        child_note(&e->child, SEV_ALERT, "ledger: the shard was damaged: begun anew");
        memset(l.own, 0, n);
        ledger_begin(l.own, ledger_rows(n), &s->ledger);
    }
    if (s->restarts)
        ledger_adopt(l.own, e->loop.now.wall);
    for (; l.n < s->engines; l.n++) {
        l.shard[l.n] = m[l.n].p;
        l.bytes[l.n] = m[l.n].n;
    }
    *ret_l = l;
    return OK;
}

/* What is usual for whom; as the ledger. */
static enum err fraud_given(struct engine *e, struct core_cfg *cfg)
{
    const struct msg_setup *s = &e->child.setup;
    struct fraud_shard *own = e->child.fraud_own;
    size_t n = e->child.fraud[s->engine].n;
    if (!own || s->engines > FRAUD_SHARDS)
        return ERR_STATE;
    if (fraud_shard_valid(own, n) != OK) {
        child_note(&e->child, SEV_ALERT, "fraud: the shard was damaged: begun anew");
        memset(own, 0, n);
        fraud_shard_begin(own, n);
    }
    uint32_t lost = s->restarts ? fraud_shard_adopt(own) : 0;
    if (lost)
        child_note(&e->child, SEV_ALERT, "fraud: %u rows made no sense and are forgotten", lost);
    for (unsigned i = 0; i < s->engines; i++) {
        if (e->child.fraud[i].n != n)
            return ERR_STATE;
        cfg->fraud_shards[i] = e->child.fraud[i].p;
    }
    cfg->fraud_own = own;
    cfg->fraud_shard_bytes = n;
    return OK;
}

static enum err locations(struct engine *e, struct core_cfg *cfg)
{
    const struct msg_setup *s = &e->child.setup;
    for (unsigned i = 0; i < s->engines; i++) { /* others' are mapped read-only */
        const struct child_map *m = &e->child.location[i];
        if (!m->p)
            continue;
        if (m->n < service_end(s->location_cap))
            return ERR_RANGE;
        cfg->shards[i] = (struct location_view){m->p, s->location_cap};
        cfg->service[i] = (const void *)((const uint8_t *)m->p + service_at(s->location_cap));
    }
    return OK;
}

static enum err core_make(struct engine *e)
{
    const struct msg_setup *s = &e->child.setup;
    const struct policy_limits *l = &e->policy->limits;
    struct core_cfg cfg = {.engine = s->engine,
                           .engines = s->engines,
                           .policy = e->policy,
                           .directory = e->child.directory.p,
                           .targets = e->child.targets.p,
                           .targets_bytes = e->child.targets.n,
                           .certs = e->child.certs.p,
                           .certs_bytes = e->child.certs.n,
                           .bans = e->child.bans.p,
                           .bans_cap = e->child.bans.n >= ban_bytes(BAN_CAP) ? BAN_CAP : 0,
                           .ban_hits = e->child.ban_hits,
                           .ports_open = e->child.ports,
                           .guard_sources = GUARD_SOURCES,
                           .guard_parties = GUARD_PARTIES,
                           .token_keys = {s->token_seal, s->token_mask},
                           .ledger_key = s->ledger,
                           .rates = rates_given(e),
                           .hash_key = s->hash,
                           .nonce_key = s->nonce,
                           .calls_cap = share(l->calls, s->engines, 16),
                           .trans_cap = share(l->transactions, s->engines, 256),
                           .pending_cap = 8192,
                           .ports_cap_pairs = (uint32_t)(s->media_max - s->media_min + 1) / 2,
                           .counters = &e->child.stats->reasons,
                           .intents = &e->intents};
    cfg.blocks_bytes = (size_t)cfg.calls_cap * 8192 + (size_t)cfg.trans_cap * 1536 + (64u << 20);
    cfg.own = e->child.location_own;
    cfg.service_own = (void *)((uint8_t *)e->child.location_own + service_at(s->location_cap));
    cfg.service_cap = service_cap(s->location_cap);
    if (ledger_shards(e, &cfg.ledger) != OK || fraud_given(e, &cfg) != OK)
        return ERR_SYNTAX;
    if (locations(e, &cfg) != OK)
        return ERR_RANGE;
    if (rand_bytes(cfg.seed, sizeof cfg.seed) != OK)
        return ERR_SYSTEM;
    if (location_attach(e->child.location_own, s->location_cap) != OK)
        return ERR_SYNTAX;
    void *mem = map_zero(core_bytes(&cfg)), *iv = map_zero(INTENTS_CAP * sizeof(struct intent)),
         *im = map_zero(INTENTS_BYTES);
    e->scratch = map_zero(SCRATCH_BYTES * 2);
    if (!mem || !iv || !im || !e->scratch)
        return ERR_FULL;
    intents_init(&e->intents, iv, INTENTS_CAP, im, INTENTS_BYTES);
    e->core = core_init(mem, &cfg, e->loop.now);
    mem_wipe(cfg.seed, sizeof cfg.seed);
    return e->core ? OK : ERR_RANGE;
}

static void udp_in(void *ctx, int fd, uint32_t events)
{
    struct engine *e = (struct engine *)ctx;
    (void)events;
    uint8_t listener = 0;
    while (listener < e->policy->n_listeners && e->child.listener[listener] != fd)
        listener++;
    if (listener == e->policy->n_listeners)
        return;
    uint32_t n = dgram_recv(&e->rx, fd, SIP_BATCH);
    e->more |= n == SIP_BATCH;
    for (uint32_t i = 0; i < n; i++) {
        struct dgram *d = &e->rx.d[i];
        struct flow f = {
            .proto = PROTO_UDP, .listener = listener, .engine = e->index, .peer = d->from};
        stat_add(e->child.stats, STAT_sip_in, 1);
        stat_add(e->child.stats, STAT_sip_bytes_in, d->n);
        if (d->cut || d->n > e->policy->limits.message_bytes)
            counters_hit(&e->child.stats->reasons, REASON_sip_too_large);
        else
            core_message(e->core, &f, str_of((const char *)d->p, d->n), false, e->loop.now);
    }
    if (e->intents.n > INTENTS_CAP / 2)
        carry_out(e);
}

static void wake_in(void *ctx, int fd, uint32_t events)
{
    (void)ctx, (void)fd, (void)events; /* child_awake drains it */
}

/* The snapshot that a new one replaces is unmapped before we hear of it, but running calls are
 * renumbered from the one to the other: so both are copies of our own. */
static enum err policy_take(struct engine *e)
{
    const struct policy *p = e->child.policy.p;
    if (!p || policy_valid(p, e->child.policy.n) != OK)
        return ERR_SYNTAX;
    struct policy *mine = &e->snapshot[e->policy == &e->snapshot[0]];
    *mine = *p;
    e->policy = mine;
    return OK;
}

static void geo_attached(struct engine *e)
{
    const struct geo *g = e->child.geo.p;
    core_geo(e->core, g && geo_valid(g, e->child.geo.n) == OK ? g : NULL);
}

static void attached(struct engine *e)
{
    uint8_t kind = e->child.msg.u.attach.kind;
    if (kind == ATTACH_POLICY) {
        if (policy_take(e) != OK) {
            child_note(&e->child, SEV_ALERT, "policy snapshot is not valid: engine stops");
            e->stop = true;
            return;
        }
        core_policy(e->core, e->policy, e->loop.now);
        streams_contexts(e); /* chains and authorities of a reload came before it */
    } else if (kind == ATTACH_DIRECTORY) {
        const struct directory *d = e->child.directory.p;
        core_directory(e->core, directory_valid(d, e->child.directory.n) == OK ? d : NULL);
    } else if (kind == ATTACH_CA) {
        streams_contexts(e); /* a certificate was revoked, or a reload begins */
    } else if (kind == ATTACH_RULES) {
        engine_rules_attached(e);
    } else if (kind == ATTACH_GEO) {
        geo_attached(e);
    } else if (kind == ATTACH_RATES) {
        core_rates(e->core, rates_given(e));
    } else if (kind == ATTACH_RING_ASK) {
        streams_sign_again(e);
    }
}

static void fetched(struct engine *e, enum ask_kind kind, uint32_t id, uint16_t reason)
{
    struct answer a = {.id = id, .kind = (uint8_t)kind, .reason = reason};
    if (reason < REASON_COUNT)
        core_answer(e->core, &a, e->loop.now);
}

static void channel_in(void *ctx, int fd, uint32_t events)
{
    struct engine *e = (struct engine *)ctx;
    enum child_event ev;
    enum err r;
    (void)fd, (void)events;
    while ((r = child_next(&e->child, &ev)) == OK) {
        switch (ev) {
        case CHILD_ATTACHED:
            attached(e);
            break;
        case CHILD_QUERY:
            query_answer(e);
            break;
        case CHILD_CONNECTED: {
            int s = e->child.msg.fds[0];
            e->child.msg.fds[0] = -1;
            streams_connected(e, &e->child.msg.u.connected, e->child.msg.n_fds ? s : -1);
            break;
        }
        case CHILD_FACT:
        case CHILD_NOTIFY:
        case CHILD_CERT_GET:
        case CHILD_CONSULT_GET:
            break;
        case CHILD_CERT_GOT:
            fetched(e, ASK_CERT, e->child.msg.u.cert.id, e->child.msg.u.cert.reason);
            break;
        case CHILD_CONSULT_GOT:
            fetched(e, ASK_CONSULT, e->child.msg.u.consult.id, e->child.msg.u.consult.reason);
            break;
        case CHILD_DRAIN:
            e->draining = e->child.msg.u.drain.on != 0;
            e->drained_told = false;
            core_drain(e->core, e->draining);
            break;
        case CHILD_STOP:
            if (!e->leaving) {
                e->leaving = true;
                e->leave_end = instant_add(e->loop.now.mono, DUR_S(LEAVE_S));
                core_leave(e->core, e->loop.now);
            }
            break;
        }
    }
    if (r != ERR_AGAIN)
        e->stop = true;
}

static struct dur wait_for(struct engine *e)
{
    struct instant next = core_next(e->core), conns = wheel_next(&e->wheel);
    if (conns.us < next.us)
        next = conns;
    if (e->leaving && e->leave_end.us < next.us)
        next = e->leave_end;
    struct instant again = instant_add(e->loop.now.mono, DUR_MS(BACKLOG_RETRY_MS));
    if (e->bans_unsent.n && again.us < next.us)
        next = again;
    int64_t us = next.us == INT64_MAX ? 1000000 : next.us - clock_now().mono.us;
    return DUR_US(us < 0 ? 0 : MIN(us, (int64_t)1000000));
}

/* With many signalling messages and no media, a wake-up for each would cost more than the message:
 * a short nap gathers them, and the vault's answers with them. Signalling waits that much longer;
 * packets of media never do, because the first of them ends the napping. */
static void nap(struct engine *e)
{
    if (e->loop.now.mono.us >= e->window.us) {
        uint64_t sip = stat_get(e->child.stats, STAT_sip_in) - e->window_sip;
        uint64_t rtp = stat_get(e->child.stats, STAT_rtp_in) - e->window_rtp;
        e->brisk = rtp == 0 && sip >= NAP_FROM * NAP_WINDOW_MS / 1000;
        e->window = instant_add(e->loop.now.mono, DUR_MS(NAP_WINDOW_MS));
        e->window_sip += sip;
        e->window_rtp += rtp;
    }
    if (e->brisk && !e->more) /* a full batch says that more is there already */
        (void)nanosleep(&(struct timespec){0, NAP_US * 1000}, NULL);
}

static void turn(struct engine *e)
{
    uint32_t calls;
    nap(e);
    e->more = false;
    bool may_sleep = child_sleep(&e->child);
    if (loop_turn(&e->loop, may_sleep ? wait_for(e) : DUR_US(0), &calls) != OK)
        e->stop = true;
    child_awake(&e->child);
    (void)rings_in(e);
    media_io_flush(e);
    core_tick(e->core, e->loop.now);
    streams_tick(e);
    if (e->leaving)
        e->stop |= core_left(e->core) || e->loop.now.mono.us >= e->leave_end.us;
    media_io_top_up(e);
    carry_out(e);
    if (backlog_flush(&e->bans_unsent, &e->child.ch) == ERR_CLOSED)
        counters_hit(&e->child.stats->reasons, REASON_ban_unsent);
    child_flush(&e->child);
    stat_add(e->child.stats, STAT_turns, 1);
}

static void gauges(struct engine *e, struct instant *next)
{
    if (e->loop.now.mono.us < next->us)
        return;
    *next = instant_add(e->loop.now.mono, DUR_MS(GAUGES_MS));
    struct core_usage u = core_usage(e->core);
    crowd_tick(e);
    stat_set(e->child.stats, STAT_calls, u.calls);
    stat_set(e->child.stats, STAT_calls_total, u.calls_total);
    stat_set(e->child.stats, STAT_transactions, u.transactions);
    stat_set(e->child.stats, STAT_bindings, u.bindings);
    stat_set(e->child.stats, STAT_ports_taken, u.media.ports_taken);
    stat_set(e->child.stats, STAT_cpu_us, clock_cpu_us());
    if (e->draining && !u.calls && !e->drained_told)
        e->drained_told = child_drained(&e->child) == OK;
}

static enum err prepare(struct engine *e)
{
    e->index = e->child.setup.engine;
    if (policy_take(e) != OK || !e->child.location_own)
        return ERR_SYNTAX;
    if (e->child.directory.p && directory_valid(e->child.directory.p, e->child.directory.n) != OK)
        return ERR_SYNTAX;
    if (loop_init(&e->loop, ARRAY_LEN(e->fd_port)) != OK || core_make(e) != OK)
        return ERR_FULL;
    engine_rules_attached(e);
    geo_attached(e);
    uint8_t *slots = map_zero((size_t)SIP_BATCH * (SIP_MSG_MAX + 1));
    if (!slots)
        return ERR_FULL;
    dgram_rx_init(&e->rx, slots, SIP_BATCH, SIP_MSG_MAX + 1);
    if (streams_init(e, share(e->policy->limits.connections, e->child.setup.engines, 64)) != OK ||
        media_io_init(e) != OK)
        return ERR_FULL;
    for (unsigned i = 0; i < e->policy->n_listeners; i++) {
        dgram_tx_init(&e->tx[i]);
        if (e->policy->listeners[i].proto == PROTO_UDP && e->child.listener[i] >= 0 &&
            loop_add(&e->loop, e->child.listener[i], EPOLLIN, udp_in, e) != OK)
            return ERR_SYSTEM;
    }
    streams_listen(e);
    if (loop_add(&e->loop, e->child.ch.fd, EPOLLIN, channel_in, e) != OK ||
        loop_add(&e->loop, e->child.wake, EPOLLIN, wake_in, e) != OK)
        return ERR_SYSTEM;
    return OK;
}

int main(void)
{
    struct engine *e = &engine;
    if (child_start(&e->child, ROLE_ENGINE, NULL) != OK)
        return 1;
    enum err r = crypto_init();
    if (r == OK)
        r = prepare(e);
    if (r != OK) {
        child_note(&e->child, SEV_ALERT, "engine cannot start: %s", err_name(r));
        return 1;
    }
    if (child_running(&e->child) != OK)
        return 1;
    struct instant next_gauges = {0};
    while (!e->stop) {
        turn(e);
        gauges(e, &next_gauges);
    }
    carry_out(e);
    child_flush(&e->child);
    core_close(e->core);
    return 0;
}
