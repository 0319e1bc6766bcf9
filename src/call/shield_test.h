/* For tests only: the guard and the rules are the test's. What they are told is noted, what they
 * say is played. */
#ifndef CALL_SHIELD_TEST_H
#define CALL_SHIELD_TEST_H
#include "call/exchange_test.h"

#define MALLORY "203.0.113.66:5060"
static struct {
    struct guard_cfg cfg;
    const struct guard_policy *policy;
    struct obs seen[32];
    bool forwarded[32];
    unsigned n;
    struct guard_out says; /* of the next observation */
    struct addr known;
    struct instant until;
    unsigned asked; /* guard_before_at */
    uint32_t least;
    enum reason before;
    struct ban_view view;
    struct rules_input input;
    struct rules_hit hits[GATE_HITS];
    size_t n_hits;
} g;

size_t guard_bytes(const struct guard_cfg *cfg)
{
    g.cfg = *cfg;
    return 128;
}
struct guard *guard_init(void *mem, const struct guard_cfg *cfg, struct now now)
{
    (void)now;
    g.cfg = *cfg;
    g.policy = cfg->policy;
    return mem;
}
void guard_set_policy(struct guard *x, const struct guard_policy *p)
{
    (void)x;
    g.policy = p;
}
struct addr guard_source(const struct addr *a)
{
    struct addr s = *a;
    s.port = 0;
    return s;
}
uint64_t guard_hash(const struct guard *x, const struct addr *a)
{
    (void)x, (void)a;
    return 1;
}
const char *tier_name(enum tier t)
{
    return t ? "known" : "unknown";
}
void guard_known(struct guard *x, const struct addr *source, struct instant until)
{
    (void)x;
    g.known = *source;
    g.until = until;
}
enum tier guard_tier(const struct guard *x, const struct addr *source, struct instant now)
{
    (void)x, (void)source, (void)now;
    return TIER_UNKNOWN;
}
enum reason guard_before_at(struct guard *x, const struct addr *source, uint32_t least,
                            struct str bytes, struct now now, struct ban_view *ret_ban)
{
    (void)x, (void)source, (void)bytes, (void)now;
    g.asked++;
    g.least = least;
    *ret_ban = g.view;
    return g.before;
}
enum reason guard_after(struct guard *x, uint64_t aor, uint64_t device, struct instant now)
{
    (void)x, (void)aor, (void)device, (void)now;
    return REASON_NONE;
}
void guard_observe(struct guard *x, const struct obs *o, bool forwarded, struct now now,
                   struct guard_out *ret_o)
{
    (void)x, (void)now;
    assert_ok(obs_valid(o, sizeof *o));
    assert_true(g.n < ARRAY_LEN(g.seen));
    g.forwarded[g.n] = forwarded;
    g.seen[g.n++] = *o;
    *ret_o = g.says;
    g.says = (struct guard_out){0};
}
bool guard_explain(const struct guard *x, enum entity e, uint64_t hash, struct now now,
                   struct out *o)
{
    (void)x, (void)e, (void)hash, (void)now, (void)o;
    return false;
}
void guard_devices(const struct guard *x, uint64_t source, uint64_t aor, unsigned n, struct now now,
                   struct out *o)
{
    (void)x, (void)source, (void)aor, (void)n, (void)now, (void)o;
}
void guard_top(const struct guard *x, unsigned n, struct now now, struct out *o)
{
    (void)x, (void)n, (void)now, (void)o;
}
size_t rules_run(const struct rules *r, struct rules_state *s, const struct rules_scanner *scan,
                 const struct rules_input *in, struct now now, struct rules_hit *ret_hits,
                 size_t cap)
{
    (void)r, (void)s, (void)scan, (void)now;
    assert_int_equal(cap, GATE_HITS);
    g.input = *in;
    memcpy(ret_hits, g.hits, sizeof g.hits);
    return g.n_hits;
}
struct rules_state *rules_state_init(void *mem, const struct rules *r)
{
    assert_non_null(r);
    return mem;
}
bool rules_want_rtp(const struct rules *r)
{
    return *(const char *)r == 'r';
}

static struct sip_msg msg;
static struct request req;

static inline int begin(void **state)
{
    memset(&g, 0, sizeof g);
    return setup(state);
}

static inline struct core *core_at(struct fixture *x)
{
    x->g.core[0]->now = x->g.now;
    g.n = 0;
    return x->g.core[0];
}

static inline void parse(const char *text)
{
    static char kept[4096];
    struct sip_error e;
    (void)snprintf(kept, sizeof kept, "%s", text);
    assert_ok(sip_parse(str_c(kept), false, &msg, &e));
}

/* A stranger's request by UDP that no gate has said anything of. */
static inline struct request *a_request(struct fixture *x, const char *method, const char *uri)
{
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
    parse(request(method, uri, "<sip:from@example.com>;tag=1", "<sip:to@example.com>", "shield", 1,
                  "", ""));
    request_init(&req, &msg, &f, x->g.now);
    req.zone = ZONE_PHONES;
    req.peer = POLICY_NONE;
    return &req;
}

static inline const struct obs *only(void)
{
    assert_int_equal(g.n, 1);
    return &g.seen[0];
}

/* A minute passes: shares of the log are full again. */
static inline void rest(struct fixture *x)
{
    x->g.now.mono.us += 60000000;
    x->g.now.wall.us += 60000000;
    intents_reset(&x->g.intents[0]);
}
#endif
