/* What identity, right and money add to a call: the gates of an engine's core themselves, with its
 * directory, registrations, deck, ledger and behaviour, over an INVITE of a random user to a random
 * number, first without credentials, then with them; and what the call then holds in the ledger, to
 * its end. The vault judges the same questions beside it. Nothing is sent and nothing is parsed
 * within what is timed. gates USERS PREFIXES prints one pair only. */
#include "bench.h"
#include "call/core_int.h"
#include "call/gate.h"
#include "call/payer.h"
#include "gates_vault.h"
#include <stdio.h>

#define ENGINES 4u  /* whose ledgers are read; calls are those of the first */
#define BATCH   16u /* calls that take each step together: one reading of the clock for all */
#define ROUNDS  7u
#define CALLS   32000u /* a round */
#define LIVE    2048u  /* calls that are up meanwhile: what is released is in no cache any more */
#define BANS    4096u
#define BANNED  1000u
#define ABROAD  ((uint32_t)ARRAY_LEN(COUNTRY))

static const char ISO[] = "FRGBGRESNLBEHUCHPLDESENOJPCNINAU";
static const unsigned COUNTRY[] = {33, 44, 39, 34, 31, 32, 43, 41, 48, 49, 46, 47, 81, 86, 91, 61};

enum step {
    BEFORE,   /* source, rate, sanity, signature, emergency */
    ASKED,    /* identity: no credentials, a challenge goes out */
    QUESTION, /* identity: credentials, the vault is asked */
    ANSWERED, /* identity: it said yes */
    RIGHT,
    FRAUD,
    AFTER, /* capacity, route */
    RESERVE,
    TALK, /* answered: the next slice */
    RELEASE,
    HOME, /* what the caller's own engine is told of all that */
    VAULT,
    STEPS
};
static const char *const NAME[STEPS] = {"gates before: source to emergency",
                                        "identity: challenges",
                                        "identity: asks the vault",
                                        "identity: has its answer",
                                        "right",
                                        "fraud",
                                        "gates after: capacity, route",
                                        "ledger: reserves",
                                        "ledger: answered",
                                        "ledger: releases, learns",
                                        "behaviour: told at home",
                                        "vault, beside them"};

static struct {
    uint32_t users, prefixes;
    struct policy policy;
    struct directory *directory;
    struct rates *rates;
    struct location_shard *location[ENGINES];
    struct fraud_shard *fraud[ENGINES];
    struct ledger_shard *ledger[ENGINES];
    struct ban_board *bans;
    uint32_t ban_hits[BANS];
    struct counters counters;
    struct intents intents[ENGINES];
    struct core_cfg cfg;
    struct core *core, *cores[ENGINES]; /* core: the first */
    struct rng rng;
    uint32_t turn;
    size_t made, by_deck; /* calls, and those whose price the deck had */
    size_t wrong;         /* calls that did not go as they should */
} g;

struct
try {
    char text[2][1400];
    struct sip_msg m[2];
    struct request r[2];
    struct ask ask;
    struct answer answer;
};
struct up {
    struct call k;
    struct leg a, b;
    char kept[1024];
};
static struct try tries[BATCH];
static struct up ups[LIVE];

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "gates: %s\n", what);
    exit(1);
}

static uint64_t seed = 88172645463325252u;
static uint32_t chance(uint32_t n)
{
    return chance_of(&seed, n);
}

static struct str name_of(uint32_t user, char text[32])
{
    return str_of(text, (size_t)snprintf(text, 32, "u%06u@example.com", user));
}

/* The nth prefix of the deck: seven digits, of many countries. */
static unsigned prefix_of(uint32_t n)
{
    return COUNTRY[n % ABROAD] * 100000 + 20000 + n / ABROAD;
}

static struct addr phone_of(uint32_t user)
{
    return (struct addr){.family = ADDR_V4,
                         .port = 5060,
                         .ip = {10, (uint8_t)(user >> 16), (uint8_t)(user >> 8), (uint8_t)user}};
}

/* --- the house --- */

static struct span text_of(struct policy *p, const char *s)
{
    struct span sp = {(uint16_t)p->text_n, (uint16_t)strlen(s)};
    memcpy(p->text + p->text_n, s, strlen(s));
    p->text_n += (uint32_t)strlen(s);
    return sp;
}

/* Every cap is set, none is reached. */
static struct caps wide(void)
{
    return (struct caps){.calls = UINT16_MAX,
                         .attempts_min = UINT16_MAX,
                         .call_s = 4 * 3600,
                         .call_micro = INT64_MAX / 4,
                         .seconds = {UINT32_MAX, UINT32_MAX, UINT32_MAX},
                         .micro = {INT64_MAX / 4, INT64_MAX / 4, INT64_MAX / 4}};
}

static void network(struct policy *p)
{
    p->domains[p->n_domains++] = text_of(p, "example.com");
    p->n_listeners = 2;
    for (unsigned i = 0; i < 2; i++) {
        struct policy_listener *l = &p->listeners[i];
        l->proto = PROTO_UDP;
        must(addr_parse(i ? STR("192.0.2.200:5060") : STR("192.0.2.1:5060"), &l->bind) == OK,
             "address");
        l->advertise = l->bind;
        struct policy_zone *z = &p->zones[p->n_zones++];
        *z = (struct policy_zone){.listeners = 1u << i,
                                  .n_sources = 1,
                                  .media = ZONE_RTP,
                                  .registration = i == 0,
                                  .authenticate = i == 0 ? AUTH_DIGEST : AUTH_NO,
                                  .rate_per_source = 1000000};
        must(prefix_parse(i ? STR("198.51.100.0/24") : STR("10.0.0.0/8"), &z->sources[0]) == OK,
             "network");
        p->waivers[p->n_waivers++] = (struct policy_waiver){
            .zone = (uint8_t)i, .allow = WAIVE_PLAIN_SIGNALLING, .expires = {INT64_MAX}};
    }
    struct policy_peer *x = &p->peers[p->n_peers++];
    *x = (struct policy_peer){.name = text_of(p, "trunk"),
                              .trunk = 1,
                              .zone = 1,
                              .listener = 1,
                              .n_targets = 1,
                              .deck = 1,
                              .caps = wide()};
    must(addr_parse(STR("198.51.100.10:5060"), &x->targets[0]) == OK, "trunk");
}

/* Behaviour is judged at every step and never acted on: these callers know no habits. */
static void money(struct policy *p)
{
    struct policy_role *o = &p->roles[p->n_roles++];
    *o = (struct policy_role){
        .name = text_of(p, "user"), .outbound = true, .caps = wide(), .off_caps = wide()};
    o->whole = o->device = wide();
    o->rights = (struct rights_role){.classes = (1u << CLASS_COUNT) - 1,
                                     .off_classes = (1u << CLASS_COUNT) - 1,
                                     .n_countries = RIGHTS_ALL,
                                     .features = UINT32_MAX};
    p->n_sites = 1;
    p->sites[0] = (struct rights_site){.name = text_of(p, "berlin"),
                                       .country = 'D' << 8 | 'E',
                                       .area = text_of(p, "30"),
                                       .international = text_of(p, "00"),
                                       .national = text_of(p, "0"),
                                       .n_week = 1};
    p->sites[0].week[0].to = 5 * 1440;
    p->n_decks = 1;
    p->decks[0] = text_of(p, "deck");
    p->currency = text_of(p, "EUR");
    p->system = wide();
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        p->class_caps[i] = wide();
    for (unsigned i = 0; i < ABROAD; i++)
        p->places[p->n_places++] = (struct policy_place){
            .country = (uint16_t)(ISO[2 * i] << 8 | ISO[2 * i + 1]), .caps = wide()};
    fraud_policy_default(&p->fraud);
    memset(p->fraud.level, 0, sizeof p->fraud.level);
}

static void policy_make(struct policy *p)
{
    memset(p, 0, sizeof *p);
    *p = (struct policy){
        .magic = POLICY_MAGIC, .version = POLICY_VERSION, .bytes = sizeof *p, .engines = 1};
    network(p);
    money(p);
    p->routes[p->n_routes++] = (struct policy_route){.name = text_of(p, "out"),
                                                     .from_zone = POLICY_NONE,
                                                     .from_peer = POLICY_NONE,
                                                     .role = POLICY_NONE,
                                                     .pattern = text_of(p, "X."),
                                                     .to = ROUTE_PEERS,
                                                     .n_peers = 1};
    guard_policy_default(&p->guard);
    p->guard.aor_rate = p->guard.device_rate = UINT32_MAX; /* one user may make all calls */
    p->limits = (struct policy_limits){.calls = 1000, .bindings = g.users, .transactions = 1000};
    must(policy_valid(p, sizeof *p) == OK, "policy");
}

static void deck_make(void)
{
    struct rates_entry *v = zeroed(sizeof *v * g.prefixes);
    size_t bad, bytes = rates_bytes(g.prefixes);
    for (uint32_t i = 0; i < g.prefixes; i++) {
        v[i].deck = 1;
        v[i].rate = (struct rate){.minute_micro = 100 + i, .minimum_s = 1, .increment_s = 1};
        (void)snprintf(v[i].prefix, sizeof v[i].prefix, "%u", prefix_of(i));
    }
    g.rates = zeroed(bytes);
    must(rates_build(v, g.prefixes, g.rates, bytes, &bad) == OK, "deck");
    free(v);
}

static void user_make(uint32_t i, struct wall now)
{
    char text[32], contact[64];
    struct str aor = name_of(i, text);
    struct binding b = {.aor_hash = location_hash(&g.cfg.hash_key, aor),
                        .expires = {now.us + INT64_C(86400000000)},
                        .flow = {.proto = PROTO_UDP, .peer = phone_of(i)},
                        .instance = i + UINT64_C(1),
                        .device = i + UINT64_C(1),
                        .aor_len = (uint8_t)aor.n};
    int n = snprintf(contact, sizeof contact, "sip:u%06u@10.0.0.1", i);
    memcpy(b.aor, aor.p, aor.n);
    b.contact_len = (uint8_t)n;
    memcpy(b.contact, contact, (size_t)n);
    must(location_put(g.location[siphash(&g.cfg.hash_key, aor) % ENGINES], &b) == OK,
         "registration");
    must(directory_put(g.directory, &(struct directory_entry){.aor = aor,
                                                              .role = STR("user"),
                                                              .site = STR("berlin")}) == OK,
         "directory");
    must(house_vault_user(aor), "vault");
}

static void boards_make(struct now now)
{
    uint32_t rows = (g.users * 2 + MIN(g.prefixes, 600000u)) * 8 / 5 + 65536;
    size_t text = g.users * 24u + 64;
    g.directory = zeroed(directory_bytes(g.users, text));
    directory_begin(g.directory, g.users, text);
    g.cfg.fraud_shard_bytes = fraud_shard_bytes(g.users);
    for (unsigned i = 0; i < ENGINES; i++) {
        g.location[i] = zeroed(location_bytes(g.users));
        must(location_attach(g.location[i], g.users) == OK, "registrations");
        g.cfg.shards[i] = location_own(g.location[i]);
        g.fraud[i] = zeroed(g.cfg.fraud_shard_bytes);
        fraud_shard_begin(g.fraud[i], g.cfg.fraud_shard_bytes);
        g.cfg.fraud_shards[i] = g.fraud[i];
        g.ledger[i] = zeroed(ledger_bytes(rows));
        ledger_begin(g.ledger[i], rows, &g.cfg.ledger_key);
        g.cfg.ledger.shard[i] = g.ledger[i];
        g.cfg.ledger.bytes[i] = ledger_bytes(rows);
    }
    g.cfg.ledger.n = ENGINES;
    g.bans = zeroed(ban_bytes(BANS));
    ban_init(g.bans, BANS);
    for (uint32_t i = 0; i < BANNED; i++) {
        uint32_t slot;
        struct ban b = {.scope = BAN_SOURCE, .treat = TREAT_BAN, .times = 1, .since = now.wall};
        b.net = (struct prefix){phone_of(i), 32};
        b.net.a.ip[0] = 11;
        b.net.a.port = 0;
        must(ban_put(g.bans, BANS, &b, &slot) == OK, "ban");
    }
}

static struct core *engine_make(unsigned i, struct now now)
{
    struct core_cfg cfg = g.cfg;
    struct intents *x = &g.intents[i];
    intents_init(x, zeroed(1024 * sizeof(struct intent)), 1024, zeroed(1u << 20), 1u << 20);
    cfg.engine = (uint8_t)i;
    cfg.intents = x;
    cfg.own = g.location[i];
    cfg.ledger.own = g.ledger[i];
    cfg.fraud_own = g.fraud[i];
    struct core *c = core_init(zeroed(core_bytes(&cfg)), &cfg, now);
    must(c && ledger_valid(g.ledger[i], cfg.ledger.bytes[i]) == OK, "core");
    return c;
}

static void house_make(struct now now)
{
    static const uint8_t rng_seed[32] = {7};
    g.cfg = (struct core_cfg){.engines = ENGINES,
                              .policy = &g.policy,
                              .token_keys = {{1, 2}, {3, 4}},
                              .hash_key = {5, 6},
                              .nonce_key = {7, 8},
                              .ledger_key = {9, 10},
                              .calls_cap = 64,
                              .trans_cap = 1024,
                              .pending_cap = 64,
                              .ports_cap_pairs = 64,
                              .blocks_bytes = 1u << 20,
                              .counters = &g.counters};
    policy_make(&g.policy);
    boards_make(now);
    must(house_vault(&g.cfg.nonce_key), "vault");
    for (uint32_t i = 0; i < g.users; i++)
        user_make(i, now.wall);
    deck_make();
    rng_init(&g.rng, rng_seed);
    g.cfg.directory = g.directory;
    g.cfg.rates = g.rates;
    g.cfg.bans = g.bans;
    g.cfg.bans_cap = BANS;
    g.cfg.ban_hits = g.ban_hits;
    for (unsigned i = 0; i < ENGINES; i++)
        g.cores[i] = engine_make(i, now);
    g.core = g.cores[0];
    must(g.core->env.ledger && g.core->env.fraud && g.core->env.guard, "environment");
}

static void house_free(void)
{
    house_vault_free();
    free(g.rates);
    free(g.directory);
    free(g.bans);
    for (unsigned i = 0; i < ENGINES; i++) {
        free(g.cores[i]);
        free(g.intents[i].v);
        free(g.intents[i].arena.head);
        free(g.location[i]);
        free(g.ledger[i]);
        free(g.fraud[i]);
    }
    memset(&g, 0, sizeof g);
    memset(ups, 0, sizeof ups);
}

/* --- calls --- */

static size_t invite(char *text, size_t cap, uint32_t user, const char *dialled, const char *more)
{
    static unsigned id;
    id++;
    return (size_t)snprintf(
        text, cap,
        "INVITE sip:%s@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK%u;rport"
        "\r\nMax-Forwards: 70\r\nFrom: <sip:u%06u@example.com>;tag=%u\r\nTo: <sip:%s@example.com>"
        "\r\nCall-ID: %u@10.0.0.1\r\nCSeq: 1 INVITE\r\nContact: <sip:u%06u@10.0.0.1:5060>\r\n"
        "User-Agent: bench/1\r\n%sContent-Length: 0\r\n\r\n",
        dialled, id, user, id, dialled, id, user, more);
}

static void credentials(uint32_t user, const char *uri, const struct addr *source, char *ret,
                        size_t cap)
{
    char nonce[NONCE_CHARS], ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX], answer[DIGEST_HEX_MAX];
    char name[32];
    struct str who;
    (void)str_cut(name_of(user, name), '@', &who);
    nonce_mint_for(&g.cfg.nonce_key, g.core->now.wall, &g.rng, gate_mark(&g.core->env, source),
                   nonce);
    must(digest_ha1(DIGEST_SHA256, who, STR("example.com"), STR(PASSWORD), ha1) == OK &&
             digest_ha2(DIGEST_SHA256, STR("INVITE"), str_c(uri), false, STR_NONE, ha2) == OK &&
             digest_response(DIGEST_SHA256, str_of(ha1, 64), str_of(nonce, NONCE_CHARS),
                             STR("00000001"), STR("abcdef01"), STR("auth"), str_of(ha2, 64),
                             answer) == OK,
         "digest");
    (void)snprintf(ret, cap,
                   "Authorization: Digest username=\"u%06u\", realm=\"example.com\", "
                   "nonce=\"%.*s\", uri=\"%s\", algorithm=SHA-256, qop=auth, nc=00000001, "
                   "cnonce=\"abcdef01\", response=\"%.64s\"\r\n",
                   user, (int)NONCE_CHARS, nonce, uri, answer);
}

static void try_make(struct try *t)
{
    char dialled[32], uri[64], more[600];
    uint32_t user = chance(g.users);
    struct flow f = {.proto = PROTO_UDP, .peer = phone_of(user)};
    struct sip_error e;
    (void)snprintf(dialled, sizeof dialled, "00%u%04u", prefix_of(chance(g.prefixes)),
                   chance(10000));
    (void)snprintf(uri, sizeof uri, "sip:%s@example.com", dialled);
    credentials(user, uri, &f.peer, more, sizeof more);
    for (unsigned i = 0; i < 2; i++) {
        size_t n = invite(t->text[i], sizeof t->text[i], user, dialled, i ? more : "");
        must(n < sizeof t->text[i] && sip_parse(str_of(t->text[i], n), false, &t->m[i], &e) == OK,
             "message");
        request_init(&t->r[i], &t->m[i], &f, g.core->now);
    }
    t->answer = (struct answer){.kind = ASK_VERIFY};
}

/* The call as call_new and fork.c have it when its leg to the trunk is made. */
static void up_make(struct up *u, const struct request *r)
{
    memset(u, 0, sizeof *u);
    arena_init_fixed(&u->k.text, u->kept, sizeof u->kept);
    u->k.core = g.core;
    u->k.a = &u->a;
    u->k.b = u->k.forks = &u->b;
    u->k.user = arena_str(&u->k.text, str_of(r->user, r->user_n));
    u->k.device_id = r->device_id;
    u->k.called = r->number_to;
    u->a.call = u->b.call = &u->k;
    u->a.flow = r->flow;
    u->a.peer = POLICY_NONE;
}

static struct verdict before(struct request *r)
{
    const struct gate_env *e = &g.core->env;
    struct verdict v = gate_source(e, r, NULL);
    if (v.kind == VERDICT_PASS)
        v = gate_rate(e, r, NULL);
    if (v.kind == VERDICT_PASS)
        v = gate_sanity(e, r, NULL);
    if (v.kind == VERDICT_PASS)
        v = gate_signature(e, r, NULL);
    return v.kind == VERDICT_PASS ? gate_emergency(e, r, NULL) : v;
}

static struct verdict challenged(struct try *t)
{
    struct out o = out_of(g.core->fields, sizeof g.core->fields);
    struct verdict v = gate_identity(&g.core->env, &t->r[0], &t->ask);
    if (v.kind == VERDICT_CHALLENGE)
        gates_challenge_put(&g.core->env, &t->r[0], &o);
    return v;
}

/* And what the core makes of it when the gates are done. */
static struct verdict judged(struct request *r)
{
    struct verdict v = gate_fraud(&g.core->env, r, NULL);
    money_judged(g.core, r, v.reason);
    return v;
}

static struct verdict after(struct request *r)
{
    struct verdict v = gate_capacity(&g.core->env, r, NULL);
    return v.kind == VERDICT_PASS ? gate_route(&g.core->env, r, NULL) : v;
}

static struct verdict reserved(struct up *u)
{
    enum reason why = money_begin(&u->b);
    g.by_deck += !u->b.pay.hold.rate.builtin;
    return why == REASON_NONE ? gate_pass() : gate_refuse(why);
}

static struct verdict released(struct up *u)
{
    u->b.pay.at.us = g.core->now.mono.us - 47 * INT64_C(1000000); /* so long it has talked */
    if (u->b.pay.on)
        money_leg_end(&u->b, 200);
    return gate_pass();
}

static struct verdict asked(struct try *t)
{
    house_vault_answer(&t->ask, g.core->now, &t->answer);
    return gate_pass();
}

static struct verdict step_of(enum step s, struct try *t, struct up *u)
{
    const struct gate_env *e = &g.core->env;
    struct request *r = &t->r[1];
    switch (s) {
    case BEFORE:
        (void)before(&t->r[0]);
        return before(r);
    case ASKED:
        return challenged(t);
    case QUESTION:
        return gate_identity(e, r, &t->ask);
    case VAULT:
        return asked(t);
    case ANSWERED:
        return gate_identity_answer(e, r, &t->answer);
    case RIGHT:
        return gate_right(e, r, NULL);
    case FRAUD:
        return judged(r);
    case AFTER:
        return after(r);
    case RESERVE:
        return reserved(u);
    case TALK:
        money_answered(&u->k);
        return gate_pass();
    case RELEASE:
        return released(u);
    case HOME:
    case STEPS:
        break;
    }
    return gate_pass();
}

static uint8_t wanted(enum step s)
{
    return s == ASKED ? VERDICT_CHALLENGE : s == QUESTION ? VERDICT_WAIT : VERDICT_PASS;
}

static void went(enum step s, struct verdict v)
{
    if (v.kind == wanted(s))
        return;
    if (!g.wrong++)
        (void)fprintf(stderr, "gates: %s: %s\n", NAME[s], reason_info(v.reason)->name.p);
}

/* The calls that a step is about: those that begin, were answered, or end now. */
static struct up *up_of(enum step s, uint32_t turn, unsigned i)
{
    uint32_t before = s == TALK ? LIVE / 4 : s == RELEASE ? LIVE : 0;
    return &ups[(turn * BATCH + i - before) % LIVE];
}

static void tell_home(const struct intent *x)
{
    if (x->kind == INTENT_FRAUD)
        core_fraud(g.cores[x->engine], x->bytes, g.core->now);
}

static void batch(int64_t spent[STEPS], int64_t clock_ns)
{
    static const enum step ORDER[] = {RELEASE, BEFORE, ASKED, QUESTION, VAULT, ANSWERED,
                                      RIGHT,   FRAUD,  AFTER, RESERVE,  TALK};
    g.core->now.mono.us += 20000;
    g.core->now.wall.us += 20000;
    for (unsigned i = 0; i < BATCH; i++)
        try_make(&tries[i]);
    for (unsigned s = 0; s < ARRAY_LEN(ORDER); s++) {
        if (ORDER[s] == RESERVE)
            for (unsigned i = 0; i < BATCH; i++)
                up_make(up_of(RESERVE, g.turn, i), &tries[i].r[1]);
        int64_t t = cpu_ns();
        for (unsigned i = 0; i < BATCH; i++)
            went(ORDER[s], step_of(ORDER[s], &tries[i], up_of(ORDER[s], g.turn, i)));
        spent[ORDER[s]] += cpu_ns() - t - clock_ns;
    }
    int64_t t = cpu_ns();
    for (size_t i = 0; i < g.intents[0].n; i++)
        tell_home(&g.intents[0].v[i]);
    spent[HOME] += cpu_ns() - t - clock_ns;
    g.turn++;
    g.made += BATCH;
    for (unsigned i = 0; i < ENGINES; i++) {
        g.wrong += g.intents[i].lost > 0;
        intents_reset(&g.intents[i]);
    }
}

/* --- figures --- */

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median(const int64_t v[ROUNDS])
{
    int64_t s[ROUNDS];
    memcpy(s, v, sizeof s);
    qsort(s, ROUNDS, sizeof s[0], by_size);
    return s[ROUNDS / 2];
}

static int64_t clock_cost(void)
{
    int64_t least = INT64_MAX;
    for (unsigned i = 0; i < 1000; i++) {
        int64_t t = cpu_ns();
        t = cpu_ns() - t;
        least = MIN(least, t);
    }
    return least;
}

static void print(const int64_t ns[STEPS][ROUNDS])
{
    int64_t m[STEPS], identity, gates, ledger;
    for (unsigned s = 0; s < STEPS; s++)
        m[s] = median(ns[s]);
    identity = m[ASKED] + m[QUESTION] + m[ANSWERED];
    gates = identity + m[RIGHT] + m[FRAUD];
    ledger = m[RESERVE] + m[TALK] + m[RELEASE] + m[HOME];
    (void)printf(
        "%u users, %u prefixes, %u engines: ns of CPU a call (%.0f %% of them priced by deck)\n",
        g.users, g.prefixes, ENGINES, 100.0 * (double)g.by_deck / (double)g.made);
    for (unsigned s = 0; s < STEPS; s++)
        (void)printf("    %-36s %6lld\n", NAME[s], (long long)m[s]);
    (void)printf("    %-36s %6lld\n    %-36s %6lld\n    %-36s %6lld\n", "identity, right and fraud",
                 (long long)gates, "ledger to the end of the call", (long long)ledger, "together",
                 (long long)(gates + ledger));
    (void)printf("gates-json {\"users\":%u,\"prefixes\":%u,\"identity_ns\":%lld,\"right_ns\":%lld,"
                 "\"fraud_ns\":%lld,\"gates_ns\":%lld,\"ledger_ns\":%lld,\"vault_ns\":%lld}\n",
                 g.users, g.prefixes, (long long)identity, (long long)m[RIGHT], (long long)m[FRAUD],
                 (long long)gates, (long long)ledger, (long long)m[VAULT]);
    (void)fflush(stdout);
}

static void run(uint32_t users, uint32_t prefixes)
{
    static int64_t ns[STEPS][ROUNDS];
    struct now now = {{1000000000}, {INT64_C(1790000000000000)}};
    g.users = users;
    g.prefixes = prefixes;
    house_make(now);
    int64_t clock_ns = clock_cost(), none[STEPS] = {0};
    for (uint32_t n = 0; n < 2 * g.users + 1000; n += BATCH) /* everybody is known */
        batch(none, clock_ns);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t spent[STEPS] = {0};
        for (uint32_t n = 0; n < CALLS; n += BATCH)
            batch(spent, clock_ns);
        for (unsigned s = 0; s < STEPS; s++)
            ns[s][round] = spent[s] / CALLS;
    }
    for (unsigned i = 0; i < LIVE; i++)
        (void)released(&ups[i]);
    must(g.wrong == 0, "calls did not go as they should");
    must(ledger_sum(&g.cfg.ledger, LEDGER_SYSTEM,
                    ledger_key_of(&g.cfg.ledger_key, LEDGER_SYSTEM, STR("system")),
                    g.core->now.wall)
                 .calls == 0,
         "calls are still up");
    print(ns);
    house_free();
}

int main(int argc, char **argv)
{
    static const uint32_t pairs[][2] = {{1, 1000},       {1, 1000000},   {1000, 1000},
                                        {1000, 1000000}, {100000, 1000}, {100000, 1000000}};
    if (argc == 3) {
        run((uint32_t)strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        run(pairs[i][0], pairs[i][1]);
    return 0;
}
