/* For tests only: a small gateway in memory. Phones (203.0.113.0/24, digest) and a PBX
 * (198.51.100.0/24, by address) before one or more cores, with the vault played by the test. */
#ifndef CALL_CORE_TEST_H
#define CALL_CORE_TEST_H
#include "base/test.h"
#include "call/core_int.h"

#define TEST_ENGINES 4u
#define TEST_BANS    64u
#define TEST_ROWS    1024u
#define TEST_OUTSIDE "192.0.2.1"   /* our address towards phones */
#define TEST_INSIDE  "192.0.2.200" /* towards the PBX */
enum { LISTEN_OUT_UDP, LISTEN_OUT_TLS, LISTEN_IN_UDP };
enum { ZONE_PHONES, ZONE_PBX };

struct gateway {
    struct policy policy;
    struct directory *directory;
    struct core *core[TEST_ENGINES];
    struct intents intents[TEST_ENGINES];
    struct location_shard *shards[TEST_ENGINES];
    struct counters counters[TEST_ENGINES];
    struct core_cfg cfg[TEST_ENGINES];
    void *mem[TEST_ENGINES];
    struct ban_board *bans; /* the test plays the monitor */
    struct ledger_shard *ledger[TEST_ENGINES];
    uint32_t ban_hits[TEST_BANS];
    uint8_t ports[65536];
    unsigned n;
    struct now now;
};

static inline struct span test_text(struct policy *p, const char *s)
{
    struct span sp = {(uint16_t)p->text_n, (uint16_t)strlen(s)};
    memcpy(p->text + p->text_n, s, strlen(s));
    p->text_n += (uint32_t)strlen(s);
    return sp;
}

static inline struct addr test_addr(const char *s)
{
    struct addr a = {0};
    if (addr_parse(str_c(s), &a) != OK)
        abort();
    return a;
}

static inline void test_listener(struct policy *p, uint8_t proto, const char *name,
                                 const char *addr)
{
    struct policy_listener *l = &p->listeners[p->n_listeners++];
    l->name = test_text(p, name);
    l->proto = proto;
    l->bind = l->advertise = test_addr(addr);
}

static inline void test_zone(struct policy *p, const char *name, uint32_t listeners,
                             const char *source, bool phones)
{
    struct policy_waiver *w = &p->waivers[p->n_waivers++];
    *w = (struct policy_waiver){.zone = p->n_zones,
                                .allow = WAIVE_PLAIN_SIGNALLING | WAIVE_PLAIN_MEDIA,
                                .expires = {INT64_MAX}};
    w->name = test_text(p, "test");
    struct policy_zone *z = &p->zones[p->n_zones++];
    z->name = test_text(p, name);
    z->listeners = listeners;
    z->n_sources = 1;
    if (prefix_parse(str_c(source), &z->sources[0]) != OK)
        abort();
    z->media = phones ? ZONE_EITHER : ZONE_RTP;
    z->authenticate = z->registration = phones;
    z->rate_per_source = 1000000;
}

static inline void test_route(struct policy *p, const char *name, const char *pattern, uint8_t to)
{
    struct policy_route *r = &p->routes[p->n_routes++];
    *r = (struct policy_route){
        .from_zone = POLICY_NONE, .from_peer = POLICY_NONE, .role = POLICY_NONE, .to = to};
    r->name = test_text(p, name);
    r->pattern = test_text(p, pattern);
    if (to == ROUTE_PEERS)
        r->n_peers = 1;
}

static inline void test_policy(struct policy *p, unsigned engines)
{
    memset(p, 0, sizeof *p);
    p->magic = POLICY_MAGIC;
    p->version = POLICY_VERSION;
    p->bytes = sizeof *p;
    p->generation = 1;
    p->engines = (uint16_t)engines;
    p->domains[p->n_domains++] = test_text(p, "example.com");
    test_listener(p, PROTO_UDP, "out", TEST_OUTSIDE ":5060");
    test_listener(p, PROTO_TLS, "tls", TEST_OUTSIDE ":5061");
    test_listener(p, PROTO_UDP, "in", TEST_INSIDE ":5060");
    p->n_certs = 1;
    test_zone(p, "phones", 1u << LISTEN_OUT_UDP | 1u << LISTEN_OUT_TLS, "203.0.113.0/24", true);
    test_zone(p, "pbx", 1u << LISTEN_IN_UDP, "198.51.100.0/24", false);
    struct policy_peer *x = &p->peers[p->n_peers++];
    x->name = test_text(p, "pbx");
    x->username = test_text(p, "gateway");
    x->zone = ZONE_PBX;
    x->listener = LISTEN_IN_UDP;
    x->proto = PROTO_UDP;
    x->n_targets = 2;
    x->targets[0] = test_addr("198.51.100.10:5060");
    x->targets[1] = test_addr("198.51.100.11:5060");
    x->has_secret = x->trust_identity = true;
    struct policy_role *role = &p->roles[p->n_roles++];
    role->name = test_text(p, "user");
    role->outbound = true;
    rights_role_default(&role->rights);
    test_route(p, "numbers", "X.", ROUTE_PEERS);
    test_route(p, "people", "*", ROUTE_USERS);
    guard_policy_default(&p->guard);
    p->limits = (struct policy_limits){.calls = 1000,
                                       .bindings = 1000,
                                       .transactions = 10000,
                                       .contacts_per_user = 8,
                                       .register_min_s = 60,
                                       .register_max_s = 3600,
                                       .register_default_s = 600,
                                       .ring_s = 60,
                                       .call_max_s = 7200,
                                       .media_timeout_s = 0,
                                       .message_bytes = 65535,
                                       .session_expires_s = 1800};
    p->rtp_min = 20000;
    p->rtp_max = 29999;
    if (policy_valid(p, sizeof *p) != OK)
        abort();
}

static inline void test_open_ports(struct core *c, unsigned engine)
{
    for (unsigned port = 0; port < 1024; port++)
        if (ports_add(core_ports(c), (uint16_t)(20000 + 2048 * engine + 2 * port)) != OK)
            abort();
}

static const struct sipkey TEST_LEDGER_KEY = {21, 22};
static inline void test_boards(struct gateway *g, unsigned engines)
{
    for (unsigned i = 0; i < engines; i++) {
        g->shards[i] = calloc(1, location_bytes(1000));
        if (location_attach(g->shards[i], 1000) != OK)
            abort();
    }
    for (unsigned i = 0; i < engines; i++) { /* no caps: all is only counted */
        g->ledger[i] = aligned_alloc(64, (ledger_bytes(TEST_ROWS) + 63) & ~(size_t)63);
        memset(g->ledger[i], 0, ledger_bytes(TEST_ROWS));
        ledger_begin(g->ledger[i], TEST_ROWS, &TEST_LEDGER_KEY);
    }
}

static inline void test_ledger_of(const struct gateway *g, struct core_cfg *c, unsigned i,
                                  unsigned engines)
{
    c->ledger.own = g->ledger[i];
    c->ledger.n = (uint8_t)engines;
    c->ledger_key = TEST_LEDGER_KEY;
    for (unsigned k = 0; k < engines; k++) {
        c->ledger.shard[k] = g->ledger[k];
        c->ledger.bytes[k] = ledger_bytes(TEST_ROWS);
    }
}

static inline void gateway_init(struct gateway *g, unsigned engines, uint8_t seed)
{
    static const char *const users[] = {"alice@example.com", "bob@example.com",
                                        "carol@example.com"};
    memset(g, 0, sizeof *g);
    g->n = engines;
    g->now = (struct now){{1000000000}, {1700000000000000}};
    test_policy(&g->policy, engines);
    g->directory = calloc(1, directory_bytes(3, 256));
    directory_begin(g->directory, 3, 256);
    for (size_t i = 0; i < 3; i++)
        if (directory_add(g->directory, str_c(users[i]), STR("user"), (struct wall){0}) != OK)
            abort();
    test_boards(g, engines);
    g->bans = calloc(1, ban_bytes(TEST_BANS));
    ban_init(g->bans, TEST_BANS);
    for (unsigned i = 0; i < engines; i++) {
        struct core_cfg *c = &g->cfg[i];
        *c = (struct core_cfg){.engine = (uint8_t)i,
                               .engines = (uint8_t)engines,
                               .policy = &g->policy,
                               .directory = g->directory,
                               .bans = g->bans,
                               .bans_cap = TEST_BANS,
                               .ban_hits = g->ban_hits,
                               .ports_open = g->ports,
                               .token_keys = {{1, 2}, {3, 4}},
                               .hash_key = {5, 6},
                               .nonce_key = {7, 8},
                               .calls_cap = 512,
                               .trans_cap = 8192,
                               .pending_cap = 512,
                               .ports_cap_pairs = 2048,
                               .blocks_bytes = 16u << 20,
                               .counters = &g->counters[i],
                               .intents = &g->intents[i]};
        for (unsigned k = 0; k < engines; k++)
            c->shards[k] = location_own(g->shards[k]);
        c->own = g->shards[i];
        test_ledger_of(g, c, i, engines);
        c->seed[0] = seed;
        c->seed[1] = (uint8_t)i;
        intents_init(&g->intents[i], calloc(8192, sizeof(struct intent)), 8192, malloc(8u << 20),
                     8u << 20);
        g->mem[i] = aligned_alloc(64, (core_bytes(c) + 63) & ~(size_t)63);
        memset(g->mem[i], 0, core_bytes(c));
        g->core[i] = core_init(g->mem[i], c, g->now);
        test_open_ports(g->core[i], i);
    }
}

static inline void gateway_done(struct gateway *g)
{
    for (unsigned i = 0; i < g->n; i++) {
        free(g->mem[i]);
        free(g->intents[i].v);
        free(g->intents[i].arena.head);
        free(g->shards[i]);
        free(g->ledger[i]);
    }
    free(g->directory);
    free(g->bans);
}
#endif
