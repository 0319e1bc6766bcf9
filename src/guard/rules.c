/* One scan marks the candidates; each is judged in the order of the blob: pass first, those that
 * set flowbits before those that ask for them, the severe before the mild. */
#include "guard/rules.h"
#include "guard/rules_int.h"

uint32_t rules_count(const struct rules *r)
{
    return r->part[PART_RULE].n;
}
bool rules_want_rtp(const struct rules *r)
{
    return r->n_rtp > 0;
}
struct str rules_lib(const struct rules *r, unsigned set)
{
    const struct rules_slice *l = &r->lib[set & 1];
    return str_of((const char *)rules_at(r, PART_LIB) + l->at, l->n);
}
struct str rules_expr_lib(const struct rules *r, uint32_t expression)
{
    const struct rules_expr *x = rules_expr_at(r, expression);
    return str_of((const char *)rules_at(r, PART_LIB) + x->lib.at, x->lib.n);
}

static size_t words_of(const struct rules *r)
{
    return (r->part[PART_RULE].n + 63u) / 64u;
}

size_t rules_state_bytes(const struct rules *r)
{
    size_t words = words_of(r);
    return sizeof(struct rules_state) + 8 * (words + (words + 63) / 64) +
           (r->n_limits ? LIMIT_SLOTS * sizeof(struct limit_slot) : 0) +
           (r->n_bits ? BITS_SLOTS * sizeof(struct bits_slot) : 0);
}

struct rules_state *rules_state_init(void *mem, const struct rules *r)
{
    struct rules_state *s = mem;
    uint8_t *p = (uint8_t *)mem + sizeof *s;
    size_t words = words_of(r);
    *s = (struct rules_state){.r = r, .n_words = (uint32_t)words};
    s->mark = (uint64_t *)(void *)p;
    s->dirty = s->mark + words;
    p += 8 * (words + (words + 63) / 64);
    if (r->n_limits) {
        s->limits = (struct limit_slot *)(void *)p;
        p += LIMIT_SLOTS * sizeof(struct limit_slot);
    }
    if (r->n_bits)
        s->bits = (struct bits_slot *)(void *)p;
    return s;
}

static inline void mark(struct rules_state *s, uint32_t rule)
{
    s->mark[rule >> 6] |= UINT64_C(1) << (rule & 63);
    s->dirty[rule >> 12] |= UINT64_C(1) << ((rule >> 6) & 63);
}

static void found(void *ctx, uint32_t pattern)
{
    struct rules_state *s = ctx;
    if (pattern >= s->r->part[PART_PATTERN].n)
        return;
    const struct rules_pattern *p = rules_pattern_at(s->r, pattern);
    const uint32_t *user = (const uint32_t *)rules_at(s->r, PART_USER) + p->users.at;
    for (uint32_t i = 0; i < p->users.n; i++)
        mark(s, user[i]);
}

struct hits {
    struct rules_hit *at;
    size_t n, cap;
    bool pass;
};

static void hit_add(struct hits *h, const struct rules *r, const struct rules_rule *u, bool quiet)
{
    size_t i = h->n;
    if (h->n == h->cap && (h->cap == 0 || h->at[h->cap - 1].severity <= u->severity))
        return;
    if (h->n < h->cap)
        h->n++;
    else
        i--;
    for (; i > 0 && h->at[i - 1].severity > u->severity; i--)
        h->at[i] = h->at[i - 1];
    h->at[i] = (struct rules_hit){.sid = u->sid,
                                  .rev = u->rev,
                                  .gid = u->gid,
                                  .action = u->action,
                                  .severity = u->severity,
                                  .weight = quiet ? 0 : u->weight,
                                  .msg = rules_text(r, u->msg.at, u->msg.n),
                                  .classtype = rules_text(r, u->classtype.at, u->classtype.n),
                                  .quiet = quiet};
}

static void judge(struct rules_state *s, struct rules_eval *e, uint32_t rule, struct now now,
                  struct hits *h)
{
    const struct rules_rule *u = rules_rule_at(s->r, rule);
    uint64_t flow = e->in->flow;
    if (!rules_header_fits(s->r, u, e->in) || !rules_buffers_have(&e->buf, u->buffers))
        return;
    if (u->bits_isset | u->bits_isnotset) {
        uint64_t bits = rules_bits_of(s, flow, now);
        if ((bits & u->bits_isset) != u->bits_isset || (bits & u->bits_isnotset))
            return;
    }
    if (!rules_conds_fit(e, u))
        return;
    if (u->bits_set | u->bits_unset | u->bits_toggle) {
        uint64_t bits = rules_bits_of(s, flow, now);
        rules_bits_put(s, flow, ((bits | u->bits_set) & ~u->bits_unset) ^ u->bits_toggle, now);
    }
    enum limit_verdict v = rules_limit_ask(s, rule, e->in, now); /* of what is told, not of bits */
    if (v == HOLDS)
        return;
    if (u->action == RULE_PASS)
        h->pass = true;
    else if (!u->noalert && (v == FIRES || u->action != RULE_ALERT))
        hit_add(h, s->r, u, v == QUIET);
}

size_t rules_run(const struct rules *r, struct rules_state *s, const struct rules_scanner *scan,
                 const struct rules_input *in, struct now now, struct rules_hit *ret_hits,
                 size_t cap)
{
    struct rules_eval e;
    struct hits h = {ret_hits, 0, cap, false};
    const uint32_t *always = rules_at(r, PART_ALWAYS);
    bool (*sweep)(void *, struct str, rules_hit_fn *, void *) = !scan   ? NULL
                                                                : in->m ? scan->scan
                                                                        : scan->scan_rtp;
    if (!in->m && !r->n_rtp)
        return 0;
    e.r = r;
    e.scan = scan;
    e.in = in;
    if (sweep)
        (void)sweep(scan->ctx, in->bytes, found, s);
    for (uint32_t i = 0; i < r->part[PART_ALWAYS].n; i++)
        mark(s, always[i]);
    bool begun = false;
    for (uint32_t g = 0; g * 64 < s->n_words; g++) {
        for (uint64_t d = s->dirty[g]; d; d &= d - 1) {
            uint32_t w = g * 64 + (uint32_t)__builtin_ctzll(d);
            for (uint64_t c = s->mark[w]; c && !h.pass; c &= c - 1) {
                if (!begun)
                    rules_buffers_init(&e.buf, in);
                begun = true;
                judge(s, &e, w * 64 + (uint32_t)__builtin_ctzll(c), now, &h);
            }
            s->mark[w] = 0;
        }
        s->dirty[g] = 0;
    }
    return h.pass ? 0 : h.n;
}
