/* The gateway in memory and what stands around it: clock, network, vault, monitor. */
#include "identity/ask.h"
#include "tests/detect/detect.h"

uint32_t any(struct world *w, uint32_t below)
{
    return rng_below(&w->rng, below);
}

struct addr at(const char *text)
{
    struct addr a = {0};
    if (addr_parse(str_c(text), &a) != OK)
        abort();
    return a;
}

struct addr at_nth(unsigned net, unsigned n, uint16_t port)
{
    return (struct addr){
        ADDR_V4, 0, port, {198, (uint8_t)(18 + net / 256), (uint8_t)net, (uint8_t)n}};
}

/* --- the heap of what is to come --- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

void world_at(struct world *w, int64_t in_us, event_fn *fn, void *who, int64_t arg)
{
    if (w->n_heap == w->heap_cap) {
        w->heap_cap = w->heap_cap ? w->heap_cap * 2 : 4096;
        w->heap = realloc(w->heap, w->heap_cap * sizeof *w->heap);
    }
    size_t i = w->n_heap++;
    struct event e = {w->now.mono.us + in_us, w->serial++, fn, who, arg};
    for (; i && sooner(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = e;
}

static struct event take(struct world *w)
{
    struct event e = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < w->n_heap; i = k) {
        k += k + 1 < w->n_heap && sooner(&w->heap[k + 1], &w->heap[k]);
        if (!sooner(&w->heap[k], &last))
            break;
        w->heap[i] = w->heap[k];
    }
    w->heap[i] = last;
    return e;
}

/* --- who is where --- */

static const struct sipkey HERE = {21, 22};

static struct agent **chain(struct world *w, const struct addr *a)
{
    struct addr ip = *a;
    ip.port = 0;
    return &w->chains[addr_hash(&HERE, &ip) % ARRAY_LEN(w->chains)];
}

void world_join(struct world *w, struct agent *a)
{
    struct agent **c = chain(w, &a->flow.peer);
    a->next = *c;
    *c = a;
}

void world_leave(struct world *w, struct agent *a)
{
    for (struct agent **c = chain(w, &a->flow.peer); *c; c = &(*c)->next)
        if (*c == a) {
            *c = a->next;
            return;
        }
}

static bool lives_there(struct world *w, const struct prefix *net, enum label label)
{
    for (size_t i = 0; i < ARRAY_LEN(w->chains); i++)
        for (struct agent *a = w->chains[i]; a; a = a->next)
            if (a->label == label && prefix_has(net, &a->flow.peer))
                return true;
    return false;
}

static bool lives_at(struct world *w, const struct addr *where, enum label label)
{
    for (struct agent *a = *chain(w, where); a; a = a->next)
        if (a->label == label && addr_eq_ip(&a->flow.peer, where))
            return true;
    return false;
}

/* --- the network --- */

struct packet {
    struct agent *to;
    struct flow flow;
    uint8_t engine;
    size_t n;
    char bytes[];
};

static struct packet *packet_of(const struct flow *f, struct str b)
{
    struct packet *p = malloc(sizeof *p + b.n + 1);
    *p = (struct packet){.flow = *f, .n = b.n};
    memcpy(p->bytes, b.p, b.n);
    p->bytes[b.n] = 0;
    return p;
}

static void arrive_gateway(struct world *w, void *who, int64_t arg)
{
    struct packet *p = who;
    (void)arg;
    core_message(w->core[p->engine], &p->flow, str_of(p->bytes, p->n), false, w->now);
    free(p);
}

void world_bad(struct world *w)
{
    if (!w->began)
        w->bad_since = w->now.mono.us;
    w->began = true;
    w->bad_packets++;
}

void world_bytes(struct world *w, const struct agent *a, const void *b, size_t n)
{
    struct packet *p = packet_of(&a->flow, str_of(b, n));
    if (a->label == BAD)
        world_bad(w);
    /* The kernel spreads datagrams by their addresses. */
    p->engine = (uint8_t)(addr_hash(&HERE, &a->flow.peer) / 7 % ENGINES);
    if (a->flow.proto != PROTO_UDP)
        p->engine = a->flow.engine;
    world_at(w, 5 * MS + any(w, 3000), arrive_gateway, p, 0);
}

void world_say(struct world *w, struct agent *a, const char *msg)
{
    world_bytes(w, a, msg, strlen(msg));
}

static void arrive_agent(struct world *w, void *who, int64_t arg)
{
    struct packet *p = who;
    (void)arg;
    for (struct agent *a = *chain(w, &p->flow.peer); a; a = a->next)
        if (addr_eq(&a->flow.peer, &p->flow.peer)) {
            if (a->label == BAD && code_of(p->bytes) < 700)
                w->to_bad[code_of(p->bytes)]++;
            if (a->recv)
                a->recv(w, a, p->bytes);
            break;
        }
    free(p);
}

void world_rtp(struct world *w, const struct addr *from, uint16_t port, const void *b, size_t n,
               enum label label)
{
    uint8_t room[PKT_MAX];
    struct pkt p = {
        .data = room, .len = (uint16_t)MIN(n, sizeof room), .port = port, .peer = *from};
    memcpy(room, b, p.len);
    if (label == BAD)
        world_bad(w);
    core_rtp(w->core[port < 20000 ? 0 : (port - 20000u) / 2048 % ENGINES], &p, 1, w->now);
}

/* --- the vault --- */

static bool has_tries(struct world *w, struct str user, bool take_one)
{
    size_t i = siphash(&HERE, user) % ARRAY_LEN(w->tries);
    int64_t *t = &w->tries[i].tokens, *f = &w->tries[i].filled;
    if (!*f)
        *t = 10 * 6 * SECOND;
    *t = MIN(*t + w->now.mono.us - *f, 10 * 6 * SECOND);
    *f = w->now.mono.us;
    if (*t < 6 * SECOND)
        return false;
    *t -= take_one ? 6 * SECOND : 0;
    return true;
}

static void vault_verify(struct world *w, const struct ask *q, struct answer *a)
{
    struct str t = str_of(q->text, q->n), user = span_str(t, q->user);
    char ha1[DIGEST_HEX_MAX], want[DIGEST_HEX_MAX];
    enum digest_alg alg = (enum digest_alg)q->alg;
    bool known = directory_find(w->directory, user, STR("example.com")) != NULL;
    bool right = digest_ha1(alg, user, span_str(t, q->realm), STR(PASSWORD), ha1) == OK &&
                 digest_response(alg, str_of(ha1, digest_hex_chars(alg)), span_str(t, q->nonce),
                                 span_str(t, q->nc), span_str(t, q->cnonce), span_str(t, q->qop),
                                 span_str(t, q->ha2), want) == OK &&
                 str_eq(str_of(want, digest_hex_chars(alg)), span_str(t, q->response));
    a->reason = !has_tries(w, user, !(known && right)) ? REASON_auth_limited
                : known && right                       ? REASON_NONE
                                                       : REASON_auth_failed;
}

struct asked {
    struct ask q;
    unsigned boots;
};

static void vault_answers(struct world *w, void *who, int64_t engine)
{
    struct asked *x = who;
    struct answer a = {.id = x->q.id, .kind = x->q.kind, .reason = REASON_auth_unavailable};
    if (x->q.kind == ASK_VERIFY)
        vault_verify(w, &x->q, &a);
    if (x->boots == w->boots)
        core_answer(w->core[engine], &a, w->now);
    free(x);
}

/* --- the monitor, and who was right --- */

static bool named(const char *what, const char *text, size_t n)
{
    return what[0] && str_search(str_of(text, n), str_c(what)) < n;
}

static void wrong(struct world *w, uint32_t *count, const char *what, enum detector d,
                  const char *t, size_t n)
{
    if (!(*count)++ && !w->first_false[0])
        (void)snprintf(w->first_false, sizeof w->first_false, "%s by %s at %.1f s: %.*s", what,
                       detector_name(d), (double)w->now.mono.us / 1e6, (int)n, t);
}

static void alert_seen(struct world *w, const struct fact *f)
{
    enum detector d = (enum detector)f->u.alert.detector;
    enum entity e = f->u.alert.by == BY_DETECTOR ? detector_entity(d) : ENTITY_SOURCE;
    struct str from = TEXT_STR(f->u.alert.from), to = TEXT_STR(f->u.alert.to);
    bool right = w->began;
    char text[ADDR_TEXT_MAX + 100];
    struct out o = out_of(text, sizeof text);
    addr_put(&o, &f->u.alert.source);
    out_ch(&o, ' ');
    out_put(&o, from);
    if (e == ENTITY_SOURCE || e == ENTITY_DEVICE)
        right = right && lives_at(w, &f->u.alert.source, BAD);
    else if (e != ENTITY_ALL)
        right = right && (named(w->victim, from.p, from.n) || named(w->insider, from.p, from.n) ||
                          named(w->victim, to.p, to.n));
    w->alerts++;
    if (w->verbose)
        printf("%10.3f alert %s treat %s score %u level %u %.*s -> %.*s%s\n",
               (double)w->now.mono.us / 1e6, detector_name(d),
               treat_name((enum treat)f->u.alert.treat), f->u.alert.score, f->u.alert.level,
               (int)o.n, o.p, (int)to.n, to.p, right ? "" : " FALSE");
    if (!right) {
        wrong(w, &w->false_alerts, "alert", d, o.p, o.n);
    } else if (!w->seen.alert) {
        w->seen.alert = true;
        w->seen.alert_by = (uint8_t)d;
        w->seen.alert_us = w->now.mono.us - w->bad_since;
        w->seen.alert_packets = w->bad_packets;
    }
}

/* The attacker's own, or that of the account in bad hands; no honest phone's. */
static bool bad_device(const struct world *w, const struct ban *b)
{
    const struct sipkey *key = &w->cfg[0].hash_key;
    for (unsigned i = 0; i < w->n_phones; i++) {
        const char *name = say("<urn:uuid:0-%u>", w->phones[i].number);
        if (w->phones[i].a.label == GOOD && b->key == device_hash(siphash(key, str_c(name)), true))
            return false;
    }
    return b->key == device_hash(siphash(key, STR(BAD_INSTANCE)), true) ||
           named(w->insider, b->who, b->who_n);
}

/* Did the shield mean somebody who deserves it? A source that good ones share is none. */
static bool deserved(struct world *w, const struct ban *b)
{
    if (!w->began)
        return false;
    if (b->scope == BAN_DEVICE)
        return bad_device(w, b);
    if (b->scope == BAN_SOURCE)
        return lives_there(w, &b->net, BAD) && !lives_there(w, &b->net, GOOD);
    if (named(w->insider, b->who, b->who_n))
        return true;
    if (b->scope == BAN_PAIR)
        return lives_there(w, &b->net, BAD);
    return named(w->victim, b->who, b->who_n);
}

static void ban_seen(struct world *w, const struct ban *b)
{
    char text[160];
    struct out o = out_of(text, sizeof text);
    bool right = deserved(w, b), hard = b->treat >= TREAT_REFUSE;
    addr_put(&o, &b->net.a);
    out_ch(&o, ' ');
    out_put(&o, str_of(b->who, b->who_n));
    w->bans++;
    if (w->verbose)
        printf("%10.3f ban %s scope %u treat %s score %u %s%.*s%s\n", (double)w->now.mono.us / 1e6,
               detector_name((enum detector)b->detector), b->scope,
               treat_name((enum treat)b->treat), b->score, b->forgeable ? "forgeable " : "",
               (int)o.n, o.p, right ? "" : " FALSE");
    if (!right) {
        wrong(w, hard ? &w->false_bans : &w->false_alerts, hard ? "ban" : "treatment",
              (enum detector)b->detector, o.p, o.n);
    } else if (b->treat >= TREAT_CHALLENGE && !w->seen.act && (hard || !w->seen.mild)) {
        w->seen.act = hard;
        w->seen.mild = !hard;
        w->seen.act_by = b->detector;
        w->seen.act_treat = b->treat;
        w->seen.act_scope = b->scope;
        w->seen.act_us = w->now.mono.us - w->bad_since;
        w->seen.act_packets = w->bad_packets;
    }
}

static void ban_asked(struct world *w, struct str bytes)
{
    struct ban b;
    uint32_t slot;
    memcpy(&b, bytes.p, MIN(bytes.n, sizeof b));
    if (bytes.n != sizeof b || ban_valid(&b, bytes.n) != OK)
        abort();
    bool net = b.scope == BAN_SOURCE || b.scope == BAN_PAIR;
    if (net && ban_exempt(&w->policy.guard, &b.net))
        return;
    ban_seen(w, &b);
    if (b.dry)
        return;
    b.id = ++w->next_ban;
    b.times = 1;
    b.since = w->now.wall;
    b.until.us = b.since.us + ban_seconds(&w->policy.guard, 1, b.forgeable) * SECOND;
    if (ban_put(w->board, BAN_CAP >> 8, &b, &slot) != OK)
        w->refused++;
}

static void carry_one(struct world *w, unsigned e, const struct intent *i)
{
    static struct fact f;
    static struct obs o;
    if (i->kind == INTENT_SEND) {
        world_at(w, 5 * MS + any(w, 3000), arrive_agent, packet_of(&i->flow, i->bytes), 0);
    } else if (i->kind == INTENT_ASK) {
        struct asked *x = calloc(1, sizeof *x);
        memcpy(&x->q, i->bytes.p, i->bytes.n);
        x->boots = w->boots;
        world_at(w, 500, vault_answers, x, e);
    } else if (i->kind == INTENT_FACT) {
        memcpy(&f, i->bytes.p, i->bytes.n);
        if (fact_valid(&f, i->bytes.n) != OK)
            abort();
        if (f.kind == FACT_ALERT)
            alert_seen(w, &f);
    } else if (i->kind == INTENT_BAN) {
        ban_asked(w, i->bytes);
    } else if (i->kind == INTENT_OBSERVE) {
        memcpy(&o, i->bytes.p, sizeof o);
        core_observe(w->core[i->engine], &o, w->now);
    } else if (i->kind == INTENT_FORWARD) {
        struct packet *p = packet_of(&i->flow, i->bytes);
        p->engine = i->engine;
        world_at(w, 20, arrive_gateway, p, 0);
    }
}

static void carry(struct world *w)
{
    bool more = true;
    for (unsigned turn = 0; more && turn < 8; turn++) {
        more = false;
        for (unsigned e = 0; e < ENGINES; e++) {
            struct intents *in = &w->intents[e];
            for (size_t k = 0; k < in->n; k++)
                carry_one(w, e, &in->v[k]);
            more |= in->n > 0;
            if (in->lost)
                abort();
            intents_reset(in);
        }
    }
}

/* What app/engine does by walking over the location boards of the others. */
static void walk(struct world *w, void *who, int64_t arg)
{
    (void)who, (void)arg;
    for (unsigned i = 0; i < w->n_phones; i++)
        for (unsigned e = 0; w->phones[i].registered && e < ENGINES; e++)
            core_known(w->core[e], &w->phones[i].a.flow.peer, instant_add(w->now.mono, DUR_S(600)));
    world_at(w, 30 * SECOND, walk, NULL, 0);
}

void world_run(struct world *w, int64_t until_us, bool (*enough)(const struct world *w))
{
    until_us += w->now.mono.us;
    while (!enough || !enough(w)) {
        int64_t next = w->n_heap ? w->heap[0].at : INT64_MAX;
        for (unsigned e = 0; e < ENGINES; e++)
            next = MIN(next, core_next(w->core[e]).us);
        if (next > until_us)
            break;
        int64_t step = MAX(next - w->now.mono.us, 0);
        w->now.mono.us += step;
        w->now.wall.us += step;
        for (unsigned e = 0; e < ENGINES; e++)
            if (core_next(w->core[e]).us <= w->now.mono.us)
                core_tick(w->core[e], w->now);
        carry(w);
        while (w->n_heap && w->heap[0].at <= w->now.mono.us) {
            struct event ev = take(w);
            ev.fn(w, ev.who, ev.arg);
            carry(w);
        }
    }
}

/* --- making it --- */

static void core_begin(struct world *w, unsigned e)
{
    struct core_cfg *c = &w->cfg[e];
    *c = (struct core_cfg){.engine = (uint8_t)e,
                           .engines = ENGINES,
                           .policy = &w->policy,
                           .directory = w->directory,
                           .bans = w->board,
                           .bans_cap = BAN_CAP >> 8,
                           .ban_hits = w->ban_hits,
                           .guard_sources = 8192,
                           .guard_parties = 4096,
                           .token_keys = {{1, 2 + w->boots}, {3, 4 + w->boots}},
                           .hash_key = {5, 6},
                           .nonce_key = {7, 8 + w->boots},
                           .calls_cap = 512,
                           .trans_cap = 16384,
                           .pending_cap = 512,
                           .ports_cap_pairs = 2048,
                           .blocks_bytes = 32u << 20,
                           .counters = &w->counters[e],
                           .intents = &w->intents[e]};
    for (unsigned k = 0; k < ENGINES; k++)
        c->shards[k] = location_own(w->shards[k]);
    c->own = w->shards[e];
    c->seed[0] = (uint8_t)(1 + w->boots);
    c->seed[1] = (uint8_t)e;
    w->mem[e] = aligned_alloc(64, (core_bytes(c) + 63) & ~(size_t)63);
    memset(w->mem[e], 0, core_bytes(c));
    w->core[e] = core_init(w->mem[e], c, w->now);
    core_geo(w->core[e], w->geo);
    for (unsigned port = 0; port < 1024; port++)
        if (ports_add(core_ports(w->core[e]), (uint16_t)(20000 + 2048 * e + 2 * port)) != OK)
            abort();
}

static void begin(struct world *w)
{
    w->boots++;
    for (unsigned e = 0; e < ENGINES; e++) {
        w->shards[e] = calloc(1, location_bytes(2000));
        if (location_attach(w->shards[e], 2000) != OK)
            abort();
    }
    for (unsigned e = 0; e < ENGINES; e++)
        core_begin(w, e);
}

static void end(struct world *w)
{
    for (unsigned e = 0; e < ENGINES; e++) {
        free(w->mem[e]);
        free(w->shards[e]);
        intents_reset(&w->intents[e]);
    }
}

void world_restart(struct world *w)
{
    end(w);
    begin(w);
}

static void directory(struct world *w, unsigned users)
{
    w->directory = calloc(1, directory_bytes(users, users * 24));
    directory_begin(w->directory, users, users * 24);
    for (unsigned i = 0; i < users; i++) {
        char aor[40];
        int n = snprintf(aor, sizeof aor, "%u@example.com", EXT + i);
        if (directory_add(w->directory, str_of(aor, (size_t)n), STR("user"), (struct wall){0}) !=
            OK)
            abort();
    }
}

struct world *world_new(uint64_t seed, unsigned phones, unsigned behind_nat)
{
    struct world *w = calloc(1, sizeof *w);
    uint8_t key[32] = {0};
    memcpy(key, &seed, sizeof seed);
    rng_init(&w->rng, key);
    w->now = (struct now){{1000000000}, {1700000000000000}};
    house_policy(&w->policy);
    w->geo = house_countries();
    w->board = aligned_alloc(64, (ban_bytes(BAN_CAP >> 8) + 63) & ~(size_t)63);
    memset(w->board, 0, ban_bytes(BAN_CAP >> 8));
    ban_init(w->board, BAN_CAP >> 8);
    directory(w, phones + 2);
    for (unsigned e = 0; e < ENGINES; e++)
        intents_init(&w->intents[e], calloc(8192, sizeof(struct intent)), 8192, malloc(8u << 20),
                     8u << 20);
    begin(w);
    w->phones = calloc(PHONES_MAX, sizeof *w->phones);
    w->n_phones = phones;
    for (unsigned i = 0; i < phones; i++) {
        struct addr a = at("203.0.113.9:5060");
        if (i < behind_nat)
            a.port = (uint16_t)(10000 + i * 7);
        else
            a.ip[3] = (uint8_t)(20 + i - behind_nat);
        phone_init(w, &w->phones[i], i, a);
    }
    pbx_init(w);
    walk(w, NULL, 0);
    return w;
}

void world_free(struct world *w)
{
    while (w->n_heap) {
        struct event e = take(w);
        if (e.fn == arrive_gateway || e.fn == arrive_agent || e.fn == vault_answers ||
            e.fn == phone_picks_up)
            free(e.who);
    }
    end(w);
    for (unsigned e = 0; e < ENGINES; e++) {
        free(w->intents[e].v);
        free(w->intents[e].arena.head);
    }
    free(w->board);
    free(w->geo);
    free(w->directory);
    free(w->phones);
    free(w->heap);
    free(w);
}
