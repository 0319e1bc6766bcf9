/* Registrations that we make ourselves (RFC 3261 10.2): users of a zone that a PBX fronts, at that
 * PBX, for as long as one of their phones is registered here; and this gateway at trunks that know
 * it by an account. One pool; each entry has one timer, which says when to look at it again.
 *
 * A phone's refreshes cost nothing upstream: they only show that the entry is still wanted. What
 * the server sees is one Contact of ours and one Call-ID for each user, which is the same after an
 * engine was restarted, with a CSeq that grows by the clock. */
#include "call/upstream_int.h"

#define EXPIRES_S     600 /* asked for a phone's user: how long a PBX that lost its memory stays so */
#define BACKOFF_S     30
#define BACKOFF_MAX_S 1800
#define LEAVE_MS      1000 /* a phone that changes its registration goes and comes in one breath */
#define LEAVE_RATE    2000 /* a second, when the engine stops */
#define WALK_MS       50   /* pace at which all bindings are looked at: after restart and reload */
#define WALK_N        32u
#define SOON_MS       1

enum { TIMER_REG, TIMER_WALK };

struct upstream {
    struct pool regs;
    struct map map;
    struct timer walk;
    uint32_t cursor;
    bool again;   /* bindings came while it was under way */
    bool leaving; /* for good */
    uint8_t n_names;
    struct text_short names[POLICY_PEERS]; /* of the policy that the entries' indices mean */
};

static uint32_t cap_of(const struct core_cfg *cfg)
{
    return cfg->policy->limits.bindings / cfg->engines + 1 + POLICY_PEERS;
}

size_t upstream_bytes(const struct core_cfg *cfg)
{
    return sizeof(struct upstream) + 64 + pool_bytes(sizeof(struct reg), cap_of(cfg)) +
           map_bytes(cap_of(cfg));
}

struct upstream *upstream_init(void *mem, struct core *c)
{
    struct upstream *u = mem;
    uint32_t cap = cap_of(&c->cfg);
    uint8_t *at = (uint8_t *)mem + ((sizeof *u + 15) & ~(size_t)15);
    pool_init(&u->regs, at, sizeof(struct reg), cap);
    at += (pool_bytes(sizeof(struct reg), cap) + 15) & ~(size_t)15;
    map_init(&u->map, at, cap);
    u->walk.owner = OWNER_UPSTREAM;
    u->walk.kind = TIMER_WALK;
    if (c->cfg.service_own) /* what an engine before us kept */
        __atomic_store_n(&c->cfg.service_own->regs, 0, __ATOMIC_RELEASE);
    return u;
}

static struct str peer_name(const struct core *c, uint8_t peer)
{
    return policy_text(c->policy, c->policy->peers[peer].name);
}

/* --- the table --- */

uint64_t reg_hash(const struct core *c, uint8_t peer, struct str aor)
{
    char text[LOCATION_AOR_MAX + 40];
    struct out o = out_of(text, sizeof text);
    out_put(&o, peer_name(c, peer));
    out_ch(&o, ' '); /* in no name of a peer */
    out_put(&o, aor);
    return siphash(&c->cfg.hash_key, out_str(&o));
}

static struct reg *reg_at(const struct upstream *u, uint32_t index)
{
    uint32_t it = index - 1;
    return pool_next(&u->regs, &it);
}

static struct reg *find(const struct core *c, uint8_t peer, struct str aor)
{
    const struct upstream *u = c->upstream;
    uint64_t hash = reg_hash(c, peer, aor);
    uint32_t it = 0, index;
    while ((index = map_find(&u->map, hash, &it))) {
        struct reg *r = reg_at(u, index);
        if (r->peer == peer && str_eq(reg_aor(r), aor))
            return r;
    }
    return NULL;
}

static void plan(struct core *c, struct reg *r, int64_t ms)
{
    timer_arm(&c->wheel, &r->timer, instant_add(c->now.mono, DUR_MS(ms)));
}

static void add(struct core *c, uint8_t peer, struct str aor)
{
    struct upstream *u = c->upstream;
    struct handle h;
    struct reg *r = pool_new(&u->regs, &h);
    uint64_t hash = reg_hash(c, peer, aor);
    if (!r || map_put(&u->map, hash, h.index) != OK) {
        core_count(c, REASON_capacity_upstream);
        if (r)
            pool_free(&u->regs, r);
        return;
    }
    r->timer.owner = OWNER_UPSTREAM;
    r->timer.kind = TIMER_REG;
    r->hash = hash;
    r->peer = peer;
    r->wanted = true;
    r->cseq = (uint32_t)(c->now.wall.us / 1000000) & 0x7fffffff;
    r->ask_s = aor.n ? EXPIRES_S : c->policy->peers[peer].register_s;
    r->aor_n = (uint8_t)aor.n;
    memcpy(r->aor, aor.p ? aor.p : "", aor.n);
    reg_count(c);
    plan(c, r, SOON_MS);
}

static void drop(struct core *c, struct reg *r)
{
    reg_route_del(c, r);
    struct upstream *u = c->upstream;
    timer_stop(&c->wheel, &r->timer);
    trans_drop(c->trans, r->t);
    arena_reset(&r->line);
    EXPECT(map_del(&u->map, r->hash, pool_handle(&u->regs, r).index));
    pool_free(&u->regs, r);
    reg_count(c);
}

/* --- what is wanted --- */

static bool fronted(const struct core *c, uint8_t peer, const struct flow *f)
{
    uint8_t z = policy_zone_of(c->policy, f->listener, &f->peer);
    return z != POLICY_NONE && (c->policy->peers[peer].fronts >> z & 1);
}

static bool has_phone(const struct core *c, uint8_t peer, struct str aor)
{
    struct binding b;
    uint32_t it = 0;
    uint64_t hash = location_hash(&c->cfg.hash_key, aor);
    while (location_next(location_own(c->registrar.own), hash, aor, c->now.wall, &it, &b))
        if (fronted(c, peer, &b.flow))
            return true;
    return false;
}

static bool is_wanted(const struct core *c, uint8_t peer, struct str aor)
{
    const struct policy_peer *p = &c->policy->peers[peer];
    if (c->env.draining || c->upstream->leaving)
        return false;
    return aor.n ? p->fronts && has_phone(c, peer, aor) : p->register_s && p->username.len;
}

/* Once more whether that user should be registered there; does nothing if all is as it was. many:
 * it is one of all, which do not leave in one moment. */
static void look(struct core *c, uint8_t peer, struct str aor, bool many)
{
    struct reg *r = find(c, peer, aor);
    bool want = is_wanted(c, peer, aor);
    if (!r) {
        if (want)
            add(c, peer, aor);
        return;
    }
    if (r->wanted == want)
        return;
    r->wanted = want;
    if (r->busy)
        return; /* its answer decides what comes next */
    uint32_t others = many ? c->upstream->regs.used / WALK_N * WALK_MS : 0;
    if (!want)
        plan(c, r, LEAVE_MS + rng_below(&c->rng, others + 1));
    else if (reg_up(c, r) && instant_before(c->now.mono, r->refresh))
        timer_arm(&c->wheel, &r->timer, r->refresh);
    else
        plan(c, r, SOON_MS);
}

static void look_all(struct core *c, struct str aor)
{
    for (uint8_t i = 0; i < c->policy->n_peers; i++)
        if (c->policy->peers[i].fronts)
            look(c, i, aor, false);
}

void upstream_registered(struct core *c, uint8_t zone, struct str aor)
{
    (void)zone; /* which of the phones are left decides, not the one that came or went */
    look_all(c, aor);
}

/* --- the request --- */

static struct flow flow_to(const struct core *c, const struct reg *r)
{
    const struct policy_peer *p = &c->policy->peers[r->peer];
    return (struct flow){.proto = p->proto,
                         .listener = p->listener,
                         .engine = c->cfg.engine,
                         .peer_id = (uint8_t)(r->peer + 1),
                         .peer = r->to};
}

static enum reason ask_server(struct core *c, struct reg *r, struct str authorization)
{
    char branch[BRANCH_CHARS];
    struct handle h = pool_handle(&c->upstream->regs, r);
    struct handle t = trans_client(c->trans, SIP_REGISTER, USER(USER_UPSTREAM, h), branch);
    if (!handle_is(t))
        return REASON_capacity_transactions;
    struct out o = intents_room(c->out);
    struct flow f = flow_to(c, r);
    reg_put(c, r, str_of(branch, sizeof branch), authorization, &o);
    timer_stop(&c->wheel, &r->timer);
    r->t = t;
    r->busy = true;
    if (!o.full && trans_send(c->trans, t, &f, out_str(&o), c->now.mono) == OK)
        return REASON_NONE;
    trans_drop(c->trans, t);
    r->t = HANDLE_NONE;
    r->busy = false;
    return REASON_capacity_memory;
}

/* --- how it ends --- */

void reg_tell(struct core *c, const struct reg *r, enum reason why, uint16_t code)
{
    struct fact *f = fact_begin(c, FACT_UPSTREAM, why, code);
    TEXT_SET(f->u.upstream.peer, peer_name(c, r->peer));
    TEXT_SET(f->u.upstream.aor, reg_aor(r));
    f->u.upstream.target = r->to;
    f->u.upstream.expires_us = reg_up(c, r) ? r->until.us : 0;
    fact_end(c);
}

static int64_t leave_ms(const struct core *c)
{
    return c->upstream->leaving ? SOON_MS : LEAVE_MS;
}

/* Half of ms at least: those that fail together come back one by one. */
static int64_t spread(struct core *c, int64_t ms)
{
    return ms / 2 + (int64_t)rng_below(&c->rng, (uint32_t)(ms / 2) + 1);
}

static void failed(struct core *c, struct reg *r, enum reason why, uint16_t code, uint32_t after_s)
{
    bool news = r->why != why || r->code != code;
    r->busy = false;
    r->why = (uint16_t)why;
    r->code = code;
    core_count(c, why);
    if (why == REASON_upstream_refused || why == REASON_upstream_auth)
        reg_route_del(c, r); /* silence proves nothing: then it runs out with the registration */
    if (r->leaving && !r->wanted) { /* the server forgets it by itself when its time is up */
        r->until.us = 0;
        reg_tell(c, r, why, code);
        drop(c, r);
        return;
    }
    r->leaving = false;
    if (news)
        reg_tell(c, r, why, code);
    int64_t s = BACKOFF_S;
    for (uint8_t i = 0; i < r->failures && s < BACKOFF_MAX_S; i++)
        s *= 2;
    s = MAX(MIN(s, BACKOFF_MAX_S), (int64_t)MIN(after_s, (uint32_t)BACKOFF_MAX_S));
    if (r->failures < 16)
        r->failures++;
    plan(c, r, r->wanted ? spread(c, s * 1000) : leave_ms(c));
}

/* To the next address that may be up, each once in a round. */
static void go(struct core *c, struct reg *r, enum reason why, uint16_t code)
{
    uint8_t n = peers_targets(c, r->peer);
    for (; r->tries < n; r->tries++) {
        uint8_t target = peers_pick(c, r->peer, r->hash, r->tries);
        if (!peers_usable(c, r->peer, target))
            continue;
        r->to = *peers_address(c, r->peer, target);
        enum reason bad = ask_server(c, r, STR_NONE);
        if (bad == REASON_NONE)
            return;
        why = bad;
        break;
    }
    failed(c, r, why, code, 0);
}

static void again(struct core *c, struct reg *r, enum reason why, uint16_t code)
{
    r->tries++;
    go(c, r, why, code);
}

/* The timer: time to register, to refresh or to leave. */
static void act(struct core *c, struct reg *r)
{
    r->wanted = is_wanted(c, r->peer, reg_aor(r));
    if (!r->wanted && !reg_up(c, r)) {
        drop(c, r);
        return;
    }
    r->leaving = !r->wanted;
    r->tries = 0;
    r->tried_auth = r->tried_423 = false;
    go(c, r, peers_none(c, r->peer), 0);
}

static void accepted(struct core *c, struct reg *r, const struct sip_msg *m)
{
    peers_heard_at(c, r->peer, &r->to, true, REASON_NONE);
    r->failures = 0;
    if (r->leaving) {
        r->until.us = 0;
        r->leaving = false;
        reg_route_del(c, r);
        reg_tell(c, r, REASON_NONE, m->code);
        if (r->wanted)
            plan(c, r, SOON_MS);
        else
            drop(c, r);
        return;
    }
    bool news = !reg_up(c, r) || r->why != REASON_NONE;
    int64_t ms = (int64_t)reg_granted(c, r, m) * 1000;
    r->until.us = c->now.wall.us + ms * 1000;
    r->why = REASON_NONE;
    r->code = 0;
    if (news)
        reg_tell(c, r, REASON_NONE, m->code);
    reg_route_keep(c, r, m);
    ms = ms / 2 + (int64_t)rng_below(&c->rng, (uint32_t)(ms * 4 / 10));
    r->refresh = instant_add(c->now.mono, DUR_MS(ms));
    plan(c, r, r->wanted ? ms : leave_ms(c));
}

static void challenged(struct core *c, struct reg *r, const struct sip_msg *m)
{
    char uri[320];
    struct out o = out_of(uri, sizeof uri);
    enum reason why = REASON_upstream_auth;
    if (!c->policy->peers[r->peer].has_secret)
        why = REASON_peer_challenge;
    if (why == REASON_peer_challenge || r->tried_auth) {
        failed(c, r, why, m->code, 0);
        return;
    }
    reg_uri_put(c, r, &o);
    arena_init_blocks(&r->line, &c->small, SMALL_BLOCK);
    struct challenged x = {.what = FOR_UPSTREAM,
                           .who = pool_handle(&c->upstream->regs, r),
                           .peer = r->peer,
                           .uri = out_str(&o),
                           .keep = &r->line};
    r->tried_auth = true;
    why = o.full ? REASON_peer_challenge : pending_credentials(c, &x, m);
    if (why == REASON_NONE) {
        r->busy = true;
        return;
    }
    arena_reset(&r->line);
    failed(c, r, why, m->code, 0);
}

void upstream_retry(struct core *c, struct handle h, struct str authorization)
{
    struct reg *r = pool_get(&c->upstream->regs, h);
    enum reason why = REASON_auth_unavailable;
    if (!r)
        return;
    if (authorization.n)
        why = ask_server(c, r, authorization);
    arena_reset(&r->line);
    if (why != REASON_NONE)
        failed(c, r, why, 0, 0);
}

static void refused(struct core *c, struct reg *r, const struct sip_msg *m)
{
    uint32_t s = 0;
    switch (m->code) {
    case 401:
    case 407:
        challenged(c, r, m);
        return;
    case 423:
        if (!r->tried_423 &&
            sip_seconds_parse(sip_get(m, HDR_MIN_EXPIRES), REG_EXPIRES_MAX_S, &s) == OK && s) {
            r->tried_423 = true;
            r->ask_s = MAX(s, r->ask_s);
            enum reason why = ask_server(c, r, STR_NONE);
            if (why != REASON_NONE)
                failed(c, r, why, 423, 0);
            return;
        }
        break;
    case 408:
    case 503:
        peers_heard_at(c, r->peer, &r->to, m->code != 503, REASON_peer_refused);
        if (sip_seconds_parse(sip_get(m, HDR_RETRY_AFTER), UINT32_MAX, &s) != OK)
            s = 0;
        if (r->tries + 1 < peers_targets(c, r->peer))
            again(c, r, REASON_upstream_refused, m->code);
        else
            failed(c, r, REASON_upstream_refused, m->code, s);
        return;
    }
    failed(c, r, REASON_upstream_refused, m->code, 0);
}

static struct reg *reg_of(const struct core *c, uint64_t user, struct handle t)
{
    struct reg *r = pool_get(&c->upstream->regs, handle_unpack(user & 0xffffffffffff));
    return r && handle_eq(r->t, t) ? r : NULL;
}

void upstream_response(struct core *c, uint64_t user, struct handle t, const struct sip_msg *m)
{
    struct reg *r = reg_of(c, user, t);
    if (!r || m->code < 200)
        return;
    r->t = HANDLE_NONE;
    r->busy = false;
    if (m->code < 300)
        accepted(c, r, m);
    else
        refused(c, r, m);
}

void upstream_failed(struct core *c, uint64_t user, struct handle t, enum reason why)
{
    struct reg *r = reg_of(c, user, t);
    if (!r) {
        core_count(c, why);
        return;
    }
    r->t = HANDLE_NONE;
    r->busy = false;
    peers_heard_at(c, r->peer, &r->to, false, why);
    again(c, r, why, 0);
}

/* --- all of them --- */

/* A peer that was away may have lost what it knew. */
void upstream_peer_up(struct core *c, uint8_t peer)
{
    struct reg *r;
    uint32_t it = 0, n = 0;
    while ((r = pool_next(&c->upstream->regs, &it)))
        if (r->peer == peer && !r->busy && r->wanted) {
            r->failures = 0;
            plan(c, r, SOON_MS + (int64_t)(n++ / WALK_N) * WALK_MS + rng_below(&c->rng, WALK_MS));
        }
}

static void walk(struct core *c)
{
    struct upstream *u = c->upstream;
    struct location_view v = location_own(c->registrar.own);
    struct binding b;
    uint32_t fresh = location_fresh(v);
    for (uint32_t i = 0; i < WALK_N && u->cursor < fresh; i++, u->cursor++)
        if (location_slot(v, u->cursor, &b) && b.expires.us > c->now.wall.us)
            look_all(c, str_of(b.aor, b.aor_len));
    if (u->cursor >= fresh && !u->again)
        return;
    u->again = u->again && u->cursor < fresh;
    u->cursor = u->cursor < fresh ? u->cursor : 0;
    timer_arm(&c->wheel, &u->walk, instant_add(c->now.mono, DUR_MS(WALK_MS)));
}

static void walk_start(struct core *c)
{
    struct upstream *u = c->upstream;
    bool any = false;
    for (uint8_t i = 0; i < c->policy->n_peers; i++)
        any |= c->policy->peers[i].fronts != 0;
    if (!any)
        return;
    u->again = timer_armed(&u->walk);
    if (u->again)
        return;
    u->cursor = 0;
    timer_arm(&c->wheel, &u->walk, instant_add(c->now.mono, DUR_MS(WALK_MS)));
}

void upstream_restored(struct core *c)
{
    walk_start(c);
}

/* One that asks just now goes when it has its answer. */
void upstream_leave(struct core *c)
{
    struct upstream *u = c->upstream;
    struct reg *r;
    uint32_t it = 0, n = 0;
    u->leaving = true;
    while ((r = pool_next(&u->regs, &it))) {
        r->wanted = false;
        if (!r->busy && reg_up(c, r))
            plan(c, r, SOON_MS + (int64_t)n++ * 1000 / LEAVE_RATE);
        else if (!r->busy)
            drop(c, r);
    }
}

static uint8_t renamed(const struct core *c, struct str name)
{
    for (uint8_t i = 0; i < c->policy->n_peers; i++)
        if (str_eq(peer_name(c, i), name))
            return i;
    return POLICY_NONE;
}

void upstream_policy(struct core *c)
{
    struct upstream *u = c->upstream;
    struct reg *r;
    uint32_t it = 0;
    while ((r = pool_next(&u->regs, &it))) {
        r->peer = r->peer < u->n_names ? renamed(c, TEXT_STR(u->names[r->peer])) : POLICY_NONE;
        if (r->peer == POLICY_NONE) {
            drop(c, r); /* of a peer that is gone */
            continue;
        }
        if (!r->aor_n && c->policy->peers[r->peer].register_s)
            r->ask_s = c->policy->peers[r->peer].register_s;
        look(c, r->peer, reg_aor(r), true);
    }
    u->n_names = c->policy->n_peers;
    for (uint8_t i = 0; i < c->policy->n_peers; i++) {
        TEXT_SET(u->names[i], peer_name(c, i));
        if (reg_owner(c, i, STR_NONE) == c->cfg.engine)
            look(c, i, STR_NONE, false);
    }
    walk_start(c);
}

void upstream_timer(struct core *c, struct timer *t)
{
    if (t->kind == TIMER_WALK)
        walk(c);
    else
        act(c, (struct reg *)(void *)((char *)t - offsetof(struct reg, timer)));
}

uint32_t upstream_used(const struct core *c)
{
    return c->upstream->regs.used;
}

/* --- for people --- */

void upstream_json(const struct core *c, uint8_t peer, struct out *o)
{
    const struct policy_peer *p = &c->policy->peers[peer];
    uint32_t it = 0, n = 0, up = 0;
    const struct reg *r, *own = NULL, *bad = NULL;
    while ((r = pool_next(&c->upstream->regs, &it))) {
        if (r->peer != peer)
            continue;
        own = r->aor_n ? own : r;
        n += r->aor_n != 0;
        up += r->aor_n && reg_up(c, r);
        bad = r->why != REASON_NONE ? r : bad;
    }
    if (p->fronts) {
        out_json_ku64(o, STR("fronted"), n);
        out_json_ku64(o, STR("fronted_registered"), up);
    }
    if (own) {
        out_json_kbool(o, STR("registered"), reg_up(c, own));
        out_json_ki64(o, STR("registered_until_us"), own->until.us);
        out_json_kbool(o, STR("service_route"), own->routed);
    }
    if (bad) {
        out_json_kstr(o, STR("register_reason"), reason_info((enum reason)bad->why)->name);
        out_json_ku64(o, STR("register_code"), bad->code);
    }
}
