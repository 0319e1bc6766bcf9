/* One engine's core: its memory, its clock, its policy, and what it tells about itself. */
#include "call/core_int.h"

#define SWEEP_MS   200
#define SWEEP_N    256u
#define LEGS_OF(n) (3 * (n) + 64) /* a call that forks has more than two for a while */

static size_t round64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

/* Sources remembered: in step with what the engine is sized for. */
static uint32_t rate_cap(const struct core_cfg *cfg)
{
    return MIN(MAX(cfg->trans_cap, 1024u), 65536u);
}

static uint32_t fraud_identities(const struct core_cfg *cfg)
{
    if (cfg->fraud_own)
        return 0;
    return cfg->fraud_identities ? cfg->fraud_identities : 64;
}

static uint32_t pending_cap(const struct core_cfg *cfg)
{
    return MIN(cfg->pending_cap, 65535u); /* 16 bits of an ask's id */
}

static struct media_cfg media_cfg_of(struct core *c, const struct core_cfg *cfg)
{
    return (struct media_cfg){.legs_cap = LEGS_OF(cfg->calls_cap),
                              .rng = c ? &c->rng : NULL,
                              .ports = c ? c->ports : NULL,
                              .counters = cfg->counters};
}

size_t core_bytes(const struct core_cfg *cfg)
{
    struct media_cfg mc = media_cfg_of(NULL, cfg);
    uint32_t legs = LEGS_OF(cfg->calls_cap);
    return round64(sizeof(struct core)) + round64(trans_bytes(cfg->trans_cap)) +
           round64(pool_bytes(sizeof(struct call), cfg->calls_cap)) +
           round64(pool_bytes(sizeof(struct leg), legs)) +
           round64(pool_bytes(sizeof(struct pending), pending_cap(cfg))) +
           round64(parting_bytes()) + round64(4 * legs * sizeof(struct ended)) +
           round64(cfg->trans_cap * sizeof(uint64_t)) +
           round64(pending_cap(cfg) * sizeof(uint32_t)) + round64(media_bytes(&mc)) +
           round64(sizeof(struct ports)) + round64(ports_bytes(cfg->ports_cap_pairs)) +
           round64(rate_bytes(rate_cap(cfg))) + round64(exchange_bytes(cfg)) +
           round64(upstream_bytes(cfg)) + round64(quiet_bytes()) + round64(shield_bytes(cfg)) +
           round64(fraud_bytes(fraud_identities(cfg))) + round64(cfg->blocks_bytes / 2) * 2 + 64;
}

static void *carve(uint8_t **at, size_t bytes)
{
    void *p = *at;
    *at += round64(bytes);
    return p;
}

static bool fraud_sound(const struct core_cfg *cfg)
{
    for (unsigned i = 0; cfg->fraud_own && i < cfg->engines; i++)
        if (i >= FRAUD_SHARDS || !cfg->fraud_shards[i])
            return false;
    return !cfg->fraud_own || fraud_shard_valid(cfg->fraud_own, cfg->fraud_shard_bytes) == OK;
}

static bool sound(const struct core_cfg *cfg)
{
    return cfg->engines && cfg->engine < cfg->engines && cfg->engines <= ARRAY_LEN(cfg->shards) &&
           cfg->policy && cfg->counters && cfg->intents && cfg->own &&
           cfg->shards[cfg->engine].s == cfg->own && fraud_sound(cfg) && cfg->calls_cap &&
           cfg->trans_cap && cfg->pending_cap && cfg->blocks_bytes >= 4 * LARGE_BLOCK;
}

/* --- what the transactions tell --- */

static void on_send(void *ctx, const struct flow *f, struct str bytes, struct handle t)
{
    core_send(ctx, f, bytes, t);
}

static void on_response(void *ctx, uint64_t user, struct handle t, const struct sip_msg *m,
                        const struct flow *f)
{
    struct core *c = ctx;
    if (m->code == 401 || m->code == 407) { /* from where it went: it knows our branch */
        const struct flow *to = trans_flow(c->trans, t);
        shield_response(c, m, f, REASON_NONE, to && addr_eq_ip(&to->peer, &f->peer));
    }
    switch (user >> 48) {
    case USER_PEER:
        peers_response(c, user, m);
        return;
    case USER_EXCHANGE:
        exchange_response(c, user, t, m);
        return;
    case USER_UPSTREAM:
        upstream_response(c, user, t, m);
        return;
    case USER_PARTING:
        parting_response(c, user, m);
        return;
    }
    struct leg *l = user >> 48 == USER_LEG ? pool_get(&c->legs, handle_unpack(user)) : NULL;
    if (!l) {
        if (m->method == SIP_INVITE && m->code / 100 == 2)
            stray_answer(c, m, f);
        return;
    }
    if (m->code >= 200 && handle_eq(l->notify, t))
        l->notify = HANDLE_NONE;
    if (l->ict_for == FOR_CALL && handle_eq(l->ict, t))
        fork_response(l, m);
    else
        relay_response(l, t, m);
}

static void on_failed(void *ctx, uint64_t user, struct handle t, enum reason why)
{
    struct core *c = ctx;
    switch (user >> 48) {
    case USER_PEER:
        peers_failed(c, user, why);
        return;
    case USER_EXCHANGE:
        exchange_failed(c, user, t, why);
        return;
    case USER_UPSTREAM:
        upstream_failed(c, user, t, why);
        return;
    case USER_PARTING:
        parting_failed(c, user, why);
        return;
    }
    struct leg *l = user >> 48 == USER_LEG ? pool_get(&c->legs, handle_unpack(user)) : NULL;
    if (!l)
        return;
    if (handle_eq(l->notify, t))
        l->notify = HANDLE_NONE;
    if (l->ict_for == FOR_CALL && handle_eq(l->ict, t))
        fork_failed(l, why);
    else
        relay_failed(l, t, why);
}

/* Nothing of ours waits for the end of a server transaction: a call repeats its 2xx itself. */
static void on_ended(void *ctx, uint64_t user, struct handle t, bool acked)
{
    (void)ctx;
    (void)user;
    (void)t;
    (void)acked;
}

/* Switched off, it costs nothing: nothing is judged and nothing learned. */
static void fraud_switch(struct core *c, const struct policy *p)
{
    c->env.fraud = fraud_off(&p->fraud) ? NULL : c->fraud;
}

static void memory_init(struct core *c, void *mem)
{
    const struct core_cfg *cfg = &c->cfg;
    uint8_t *at = (uint8_t *)mem + round64(sizeof *c);
    uint32_t legs = LEGS_OF(cfg->calls_cap);
    void *trans = carve(&at, trans_bytes(cfg->trans_cap));
    pool_init(&c->calls, carve(&at, pool_bytes(sizeof(struct call), cfg->calls_cap)),
              sizeof(struct call), cfg->calls_cap);
    pool_init(&c->legs, carve(&at, pool_bytes(sizeof(struct leg), legs)), sizeof(struct leg), legs);
    pool_init(&c->pendings, carve(&at, pool_bytes(sizeof(struct pending), pending_cap(cfg))),
              sizeof(struct pending), pending_cap(cfg));
    parting_init(c, carve(&at, parting_bytes()));
    c->ended_n = 4 * legs;
    c->ended = carve(&at, 4 * legs * sizeof(struct ended));
    c->pending_gen = carve(&at, pending_cap(cfg) * sizeof(uint32_t));
    c->ports = carve(&at, sizeof *c->ports);
    ports_init(c->ports, carve(&at, ports_bytes(cfg->ports_cap_pairs)), cfg->ports_cap_pairs);
    ports_map(c->ports, cfg->ports_open, cfg->engine);
    struct media_cfg mc = media_cfg_of(c, cfg);
    c->media = media_init(carve(&at, media_bytes(&mc)), &mc);
    c->env.rate = rate_init(carve(&at, rate_bytes(rate_cap(cfg))), rate_cap(cfg));
    c->exchanges = exchange_init(carve(&at, exchange_bytes(cfg)), c);
    c->upstream = upstream_init(carve(&at, upstream_bytes(cfg)), c);
    quiet_init(c, carve(&at, quiet_bytes()));
    shield_init(c, carve(&at, shield_bytes(cfg)));
    uint32_t rows = fraud_identities(cfg);
    c->fraud =
        fraud_init(carve(&at, fraud_bytes(rows)), rows, &cfg->policy->fraud, &cfg->ledger_key);
    if (cfg->fraud_own && fraud_shards(c->fraud, cfg->fraud_own, cfg->fraud_shards,
                                       cfg->fraud_shard_bytes, cfg->engines, cfg->engine) != OK)
        c->fraud = NULL; /* sound() has looked */
    fraud_switch(c, cfg->policy);
    size_t half = round64(cfg->blocks_bytes / 2);
    blocks_init(&c->small, carve(&at, half), cfg->blocks_bytes / 2, SMALL_BLOCK);
    blocks_init(&c->large, carve(&at, half), cfg->blocks_bytes / 2, LARGE_BLOCK);
    struct trans_cfg tc = {.cap = cfg->trans_cap,
                           .wheel = &c->wheel,
                           .blocks = &c->small,
                           .keys = &c->cfg.token_keys,
                           .hash_key = cfg->hash_key,
                           .engine = cfg->engine,
                           .counters = cfg->counters,
                           .timer_owner = OWNER_TRANS,
                           .user = {c, on_send, on_response, on_failed, on_ended}};
    c->trans = trans_init(trans, &tc);
}

struct core *core_init(void *mem, const struct core_cfg *cfg, struct now now)
{
    struct core *c = mem;
    if (!sound(cfg))
        return NULL;
    c->cfg = *cfg;
    c->now = now;
    c->out = cfg->intents;
    c->policy = cfg->policy;
    rng_init(&c->rng, cfg->seed);
    wheel_init(&c->wheel, now.mono);
    c->env = (struct gate_env){.policy = cfg->policy,
                               .directory = cfg->directory,
                               .named = c->named,
                               .rng = &c->rng,
                               .nonce_key = cfg->nonce_key,
                               .hash_key = cfg->hash_key,
                               .ledger = cfg->ledger.own ? &c->cfg.ledger : NULL,
                               .ledger_key = cfg->ledger_key,
                               .rates = cfg->rates,
                               .certs = cfg->certs,
                               .shards = c->cfg.shards,
                               .n_shards = cfg->engines,
                               .calls_cap = cfg->calls_cap,
                               .trans_cap = cfg->trans_cap,
                               .engine = cfg->engine};
    memory_init(c, mem);
    c->registrar =
        (struct registrar){.own = cfg->own, .policy = cfg->policy, .hash_key = cfg->hash_key};
    /* Sessions grow with time over restarts, and differ between engines. */
    c->session_next = ((uint64_t)now.wall.us << 6) | cfg->engine;
    c->sweep.owner = OWNER_SWEEP;
    timer_arm(&c->wheel, &c->sweep, instant_add(now.mono, DUR_MS(SWEEP_MS)));
    peers_start(c);
    upstream_policy(c);
    return c;
}

static void sweep(struct core *c)
{
    struct binding b;
    for (uint32_t budget = SWEEP_N;
         location_sweep(c->registrar.own, c->now.wall, &c->sweep_cursor, &budget, &b);) {
        struct fact *f = fact_begin(c, FACT_EXPIRED, REASON_NONE, 0);
        TEXT_SET(f->u.reg.aor, str_of(b.aor, b.aor_len));
        TEXT_SET(f->u.reg.contact, str_of(b.contact, b.contact_len));
        f->u.reg.source = b.flow.peer;
        f->u.reg.proto = b.flow.proto;
        f->u.reg.expires_us = b.expires.us;
        fact_end(c);
        upstream_registered(c, POLICY_NONE, str_of(b.aor, b.aor_len));
    }
    quiet_tick(c);
    shield_tick(c);
    timer_arm(&c->wheel, &c->sweep, instant_add(c->now.mono, DUR_MS(SWEEP_MS)));
}

static void timer_run(struct core *c, struct timer *t)
{
    switch ((enum timer_owner)t->owner) {
    case OWNER_TRANS:
        trans_timer(c->trans, t, c->now.mono);
        return;
    case OWNER_CALL:
        call_timer(c, t);
        return;
    case OWNER_RESEND:
        leg_resend(c, t);
        return;
    case OWNER_SESSION:
        session_timer(c, t);
        return;
    case OWNER_PENDING:
        pending_timer(c, t);
        return;
    case OWNER_PEER:
        peers_timer(c, t);
        return;
    case OWNER_SWEEP:
        sweep(c);
        return;
    case OWNER_EXCHANGE:
        exchange_timer(c, t);
        return;
    case OWNER_UPSTREAM:
        upstream_timer(c, t);
        return;
    case OWNER_SHIELD:
        shield_timer(c);
        return;
    }
}

void core_tick(struct core *c, struct now now)
{
    struct timer *t;
    c->now = now;
    peers_look(c);
    while ((t = wheel_pop(&c->wheel, now.mono)))
        timer_run(c, t);
}

struct instant core_next(const struct core *c)
{
    return wheel_next(&c->wheel);
}

void core_send_failed(struct core *c, struct handle ref, struct now now)
{
    c->now = now;
    if (handle_is(ref))
        trans_transport_failed(c->trans, ref, now.mono);
}

void core_flow_lost(struct core *c, struct handle ref, struct now now)
{
    c->now = now;
    if (handle_is(ref))
        trans_flow_lost(c->trans, ref, now.mono);
}

/* What was under way on that connection is told by core_send_failed; calls on it go on, because
 * their media does, and a phone that comes back proves itself again (dispatch.c). */
void core_flow_closed(struct core *c, const struct flow *f, struct now now)
{
    (void)f;
    c->now = now;
}

/* --- policy --- */

static uint8_t zone_by_name(const struct policy *p, struct str name)
{
    for (uint8_t i = 0; i < p->n_zones; i++)
        if (str_eq(policy_text(p, p->zones[i].name), name))
            return i;
    return POLICY_NONE;
}

static uint8_t peer_by_name(const struct policy *p, struct str name)
{
    for (uint8_t i = 0; i < p->n_peers; i++)
        if (str_eq(policy_text(p, p->peers[i].name), name))
            return i;
    return POLICY_NONE;
}

static uint8_t route_by_name(const struct policy *p, struct str name)
{
    for (uint8_t i = 0; i < p->n_routes; i++)
        if (str_eq(policy_text(p, p->routes[i].name), name))
            return i;
    return POLICY_NONE;
}

/* Indices that calls keep are those of the snapshot in force: a new one renumbers by name. */
static void renumber(struct core *c, const struct policy *p)
{
    uint32_t it = 0;
    struct leg *l;
    struct call *k;
    const struct policy *was = c->policy;
    while ((l = pool_next(&c->legs, &it))) {
        if (l->zone != POLICY_NONE)
            l->zone = zone_by_name(p, policy_text(was, was->zones[l->zone].name));
        if (l->peer != POLICY_NONE)
            l->peer = peer_by_name(p, policy_text(was, was->peers[l->peer].name));
    }
    it = 0;
    while ((k = pool_next(&c->calls, &it)))
        if (k->route != POLICY_NONE)
            k->route = route_by_name(p, policy_text(was, was->routes[k->route].name));
}

void core_policy(struct core *c, const struct policy *p, struct now now)
{
    c->now = now;
    renumber(c, p);
    c->policies++;
    c->policy = c->env.policy = c->registrar.policy = p;
    shield_policy(c);
    if (c->fraud)
        fraud_policy_set(c->fraud, &p->fraud);
    fraud_switch(c, p);
    peers_start(c);
    upstream_policy(c);
}

void core_rates(struct core *c, const struct rates *r)
{
    c->env.rates = r;
}

void core_directory(struct core *c, const struct directory *d)
{
    c->env.directory = d;
    stepup_directory(c);
}

void core_drain(struct core *c, bool on)
{
    c->env.draining = on;
    upstream_policy(c);
}

void core_leave(struct core *c, struct now now)
{
    c->now = now;
    c->env.draining = true;
    upstream_leave(c);
}

bool core_left(const struct core *c)
{
    return upstream_left(c);
}

void core_restore(struct core *c, const struct binding *b, size_t n, struct now now)
{
    c->now = now;
    for (size_t i = 0; i < n; i++) {
        struct binding x = b[i];
        struct str aor = str_of(x.aor, MIN(x.aor_len, LOCATION_AOR_MAX));
        if (siphash(&c->cfg.hash_key, aor) % c->cfg.engines != c->cfg.engine)
            continue;
        x.aor_hash = location_hash(&c->cfg.hash_key, aor);
        x.flags |= BINDING_RESTORED;
        if (location_put(c->registrar.own, &x) != OK)
            core_count(c, REASON_capacity_bindings);
    }
    upstream_restored(c);
}

/* --- media --- */

/* Packets that signatures drop are left out: what lies between them is relayed. */
static void relay_allowed(struct core *c, struct pkt *pkts, size_t n)
{
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (!pkts[i].len || shield_packet(c, &pkts[i]))
            continue;
        media_turn(c->media, pkts + from, i - from, c->now.mono);
        pkts[i].len = 0;
        from = i + 1;
    }
    media_turn(c->media, pkts + from, n - from, c->now.mono);
}

void core_rtp(struct core *c, struct pkt *pkts, size_t n, struct now now)
{
    c->now = now;
    if (c->env.rules && rules_want_rtp(c->env.rules))
        relay_allowed(c, pkts, n);
    else
        media_turn(c->media, pkts, n, now.mono);
    shield_media(c);
    stepup_digits(c);
}

void core_close(struct core *c)
{
    ports_unmap(c->ports);
}

struct ports *core_ports(struct core *c)
{
    return c->ports;
}

struct core_usage core_usage(const struct core *c)
{
    return (struct core_usage){.calls = c->calls.used,
                               .legs = c->legs.used,
                               .transactions = trans_used(c->trans),
                               .pending = c->pendings.used,
                               .bindings = c->registrar.own->used,
                               .exchanges = exchange_used(c),
                               .upstream = upstream_used(c),
                               .peers_up = peers_up(c),
                               .blocks_used = blocks_used(&c->small) + blocks_used(&c->large),
                               .media = media_usage(c->media),
                               .calls_total = c->calls_total,
                               .registrations_total = c->registrations_total};
}
