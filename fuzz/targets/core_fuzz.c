/* One core behind a script: each step of the input is a message (with $-words for tokens of ours),
 * an answer of the vault, a pause, or RTP. Whatever comes: no intent is lost, every fact and
 * question is valid, and when all is quiet nothing is left.
 *
 * Step: one byte (kind and source), two bytes length, that many bytes. */
#include "call/core_int.h"
#include <stdlib.h>

#define FUZZ_MEM (256u << 20)

static struct policy policy;
static struct counters counters;
static struct intents intents;
static struct intent intent_v[4096];
static struct location_shard *shard;
static uint8_t *mem, *arena_mem;
static struct directory *dir;
static char last_branch[64], last_tag[64], last_id[128], last_nonce[64];

static struct span text(const char *s)
{
    struct span sp = {(uint16_t)policy.text_n, (uint16_t)strlen(s)};
    memcpy(policy.text + policy.text_n, s, strlen(s));
    policy.text_n += (uint32_t)strlen(s);
    return sp;
}

static struct addr address(uint8_t d, uint16_t port)
{
    return (struct addr){.family = ADDR_V4, .port = port, .ip = {192, 0, 2, d}};
}

static void zone(const char *name, uint8_t d, bool phones)
{
    policy.waivers[policy.n_waivers++] =
        (struct policy_waiver){.zone = policy.n_zones, .allow = 3, .expires = {INT64_MAX}};
    struct policy_zone *z = &policy.zones[policy.n_zones++];
    *z = (struct policy_zone){.listeners = 1,
                              .n_sources = 1,
                              .media = ZONE_EITHER,
                              .registration = phones,
                              .authenticate = phones,
                              .rate_per_source = 1000000};
    z->name = text(name);
    z->sources[0] = (struct prefix){address(d, 0), 32};
}

static void policy_make(void)
{
    policy = (struct policy){.magic = POLICY_MAGIC,
                             .version = POLICY_VERSION,
                             .bytes = sizeof policy,
                             .engines = 1,
                             .rtp_min = 20000,
                             .rtp_max = 29999};
    guard_policy_default(&policy.guard);
    policy.domains[policy.n_domains++] = text("example.com");
    policy.n_listeners = 1;
    policy.listeners[0].bind = policy.listeners[0].advertise = address(1, 5060);
    zone("phones", 10, true);
    zone("pbx", 20, false);
    policy.n_peers = 1;
    policy.peers[0] = (struct policy_peer){.zone = 1, .n_targets = 1, .has_secret = true};
    policy.peers[0].name = text("pbx");
    policy.peers[0].username = text("gateway");
    policy.peers[0].targets[0] = address(20, 5060);
    policy.n_roles = 1;
    policy.roles[0].outbound = true;
    rights_role_default(&policy.roles[0].rights);
    policy.roles[0].name = text("user");
    static const char *const patterns[] = {"X.", "*"};
    for (uint8_t i = 0; i < 2; i++) {
        struct policy_route *r = &policy.routes[policy.n_routes++];
        *r = (struct policy_route){.from_zone = POLICY_NONE,
                                   .from_peer = POLICY_NONE,
                                   .role = POLICY_NONE,
                                   .to = i ? ROUTE_USERS : ROUTE_PEERS,
                                   .n_peers = !i};
        r->pattern = text(patterns[i]);
    }
    policy.limits = (struct policy_limits){.calls = 16,
                                           .bindings = 16,
                                           .transactions = 256,
                                           .contacts_per_user = 4,
                                           .register_min_s = 60,
                                           .register_max_s = 3600,
                                           .register_default_s = 600,
                                           .ring_s = 30,
                                           .call_max_s = 300,
                                           .session_expires_s = 90,
                                           .media_timeout_s = 60};
    CHECK(policy_valid(&policy, sizeof policy) == OK);
}

static struct core *start(struct now now)
{
    if (!mem) {
        mem = aligned_alloc(64, FUZZ_MEM);
        arena_mem = malloc(8u << 20);
        shard = calloc(1, location_bytes(16));
        dir = calloc(1, directory_bytes(1, 64));
        policy_make();
        directory_begin(dir, 1, 64);
        CHECK(directory_add(dir, STR("alice@example.com"), STR("user"), (struct wall){0}) == OK);
    }
    struct core_cfg cfg = {.engines = 1,
                           .policy = &policy,
                           .directory = dir,
                           .shards = {{shard, 16}},
                           .own = shard,
                           .token_keys = {{1, 2}, {3, 4}},
                           .hash_key = {5, 6},
                           .nonce_key = {7, 8},
                           .calls_cap = 16,
                           .trans_cap = 256,
                           .pending_cap = 16,
                           .ports_cap_pairs = 64,
                           .blocks_bytes = 2u << 20,
                           .counters = &counters,
                           .intents = &intents};
    memset(shard, 0, location_bytes(16));
    CHECK(location_attach(shard, 16) == OK && core_bytes(&cfg) <= FUZZ_MEM);
    memset(mem, 0, core_bytes(&cfg));
    intents_init(&intents, intent_v, 4096, arena_mem, 8u << 20);
    struct core *c = core_init(mem, &cfg, now);
    CHECK(c);
    for (uint16_t p = 20000; p < 20128; p = (uint16_t)(p + 2))
        CHECK(ports_add(core_ports(c), p) == OK);
    return c;
}

static void remember(char *to, size_t cap, struct str s)
{
    size_t n = MIN(s.n, cap - 1);
    memcpy(to, s.p, n);
    to[n] = 0;
}

/* What went out is a message, a question or a fact that its reader accepts; ids in it are kept for
 * the $-words of later steps. */
static void check_out(struct core *c, uint32_t *ask_id)
{
    static struct sip_msg m;
    struct sip_error e;
    for (size_t i = 0; i < intents.n; i++) {
        const struct intent *x = &intents.v[i];
        if (x->kind == INTENT_ASK) {
            struct ask q;
            memcpy(&q, x->bytes.p, MIN(x->bytes.n, sizeof q));
            CHECK(ask_valid(&q, x->bytes.n) == OK);
            *ask_id = q.id;
        } else if (x->kind == INTENT_FACT) {
            CHECK(fact_valid(x->bytes.p, x->bytes.n) == OK);
        } else if (x->kind == INTENT_SEND && sip_parse(x->bytes, true, &m, &e) == OK) {
            if (m.is_request)
                remember(last_branch, sizeof last_branch, sip_text(&m, m.via_branch));
            remember(last_tag, sizeof last_tag, sip_text(&m, m.is_request ? m.from_tag : m.to_tag));
            remember(last_id, sizeof last_id, sip_text(&m, m.call_id));
            struct sip_auth a;
            if (sip_has(&m, HDR_WWW_AUTHENTICATE) &&
                sip_auth_parse(sip_get(&m, HDR_WWW_AUTHENTICATE), &a) == OK)
                remember(last_nonce, sizeof last_nonce, a.nonce);
        }
    }
    CHECK(intents.lost == 0 && c);
    intents_reset(&intents);
}

/* $B branch, $T tag, $C Call-ID, $N nonce that we sent last. */
static struct str expand(const uint8_t *p, size_t n, char *buf, size_t cap)
{
    struct out o = out_of(buf, cap);
    for (size_t i = 0; i < n; i++) {
        const char *w = NULL;
        if (p[i] == '$' && i + 1 < n)
            w = p[i + 1] == 'B'   ? last_branch
                : p[i + 1] == 'T' ? last_tag
                : p[i + 1] == 'C' ? last_id
                : p[i + 1] == 'N' ? last_nonce
                                  : NULL;
        if (w)
            i++;
        if (w)
            out_put(&o, str_c(w));
        else
            out_ch(&o, (char)p[i]);
    }
    return out_str(&o);
}

static void tick(struct core *c, struct now *now, int64_t ms, uint32_t *ask_id)
{
    now->mono.us += ms * 1000;
    now->wall.us += ms * 1000;
    core_tick(c, *now);
    check_out(c, ask_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct now now = {{1000000000}, {1700000000000000}};
    struct core *c = start(now);
    static char buf[65536];
    uint32_t ask_id = 0;
    for (unsigned step = 0; step < 40 && n >= 3; step++) {
        uint8_t op = p[0];
        size_t len = MIN((size_t)(p[1] << 8 | p[2]), n - 3);
        struct flow f = {.proto = op & 32 ? PROTO_TCP : PROTO_UDP,
                         .peer = address(op & 16 ? 20 : 10, 5060)};
        if ((op & 15) < 12) {
            core_message(c, &f, expand(p + 3, len, buf, sizeof buf), false, now);
        } else if ((op & 15) < 14) {
            struct answer a = {.id = ask_id, .kind = op & 1 ? ASK_RESPOND : ASK_VERIFY};
            a.reason = len ? REASON_auth_failed : REASON_NONE;
            a.n = op & 1 ? 64 : 0;
            memset(a.bytes, 'a', 64);
            core_answer(c, &a, now);
        } else {
            tick(c, &now, (int64_t)len * 10, &ask_id);
        }
        check_out(c, &ask_id);
        p += 3 + len;
        n -= 3 + len;
    }
    for (int i = 0; i < 500; i++) /* longer than the longest call and what lingers behind it */
        tick(c, &now, 1000, &ask_id);
    struct core_usage u = core_usage(c);
    CHECK(!u.calls && !u.legs && !u.transactions && !u.pending && !u.blocks_used);
    CHECK(!u.media.legs && !u.media.ports_taken && !u.media.srtp_contexts);
    return 0;
}
