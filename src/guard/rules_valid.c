/* Every number of a blob inside its bounds: what everybody does before he believes one. */
#include "guard/rules_int.h"

static const uint8_t size_of[PART_COUNT] = {[PART_RULE] = sizeof(struct rules_rule),
                                            [PART_COND] = sizeof(struct rules_cond),
                                            [PART_NET] = sizeof(struct rules_net),
                                            [PART_PORT] = sizeof(struct rules_port),
                                            [PART_PATTERN] = sizeof(struct rules_pattern),
                                            [PART_USER] = 4,
                                            [PART_ALWAYS] = 4,
                                            [PART_EXPR] = sizeof(struct rules_expr),
                                            [PART_TEXT] = 1,
                                            [PART_HEAD] = 4,
                                            [PART_MAP] = 8,
                                            [PART_LIB] = 1};
_Static_assert(sizeof(struct rules_rule) < 256, "fits size_of");

size_t rules_part_size(enum rules_part_id p)
{
    return p < PART_COUNT ? size_of[p] : 0;
}

static bool in_part(const struct rules *r, enum rules_part_id p, struct rules_slice s)
{
    return s.at <= r->part[p].n && s.n <= r->part[p].n - s.at;
}

static bool parts_valid(const struct rules *r, size_t bytes)
{
    for (int i = 0; i < PART_COUNT; i++) {
        const struct rules_part *p = &r->part[i];
        uint64_t end = (uint64_t)p->at + (uint64_t)p->n * size_of[i];
        if (p->at < sizeof *r || p->at % 8 || end > bytes)
            return false;
    }
    uint32_t heads = r->part[PART_HEAD].n;
    return r->part[PART_RULE].n <= RULES_MAX && (heads == 0 || heads == 2 * RULES_GRAMS) &&
           r->part[PART_MAP].n == heads / 64 && r->sip_patterns <= r->part[PART_PATTERN].n &&
           in_part(r, PART_LIB, r->lib[0]) && in_part(r, PART_LIB, r->lib[1]) &&
           r->n_bits <= RULES_BITS && r->n_limits <= RULES_MAX && r->n_rtp <= RULES_MAX;
}

static bool cond_valid(const struct rules *r, const struct rules_cond *c, bool rtp)
{
    if (c->kind >= COND_KINDS || c->buffer >= BUF_COUNT || (rtp && c->buffer != BUF_PKT))
        return false;
    if (c->kind == COND_CONTENT)
        return c->text_n > 0 && c->text_n <= RULES_LITERAL && c->limit <= INT32_MAX &&
               in_part(r, PART_TEXT, (struct rules_slice){c->text, c->text_n});
    if (c->kind == COND_PCRE)
        return c->text < r->part[PART_EXPR].n;
    return c->kind != COND_SIZE || c->op < SIZE_OPS;
}

static bool conds_valid(const struct rules *r, const struct rules_rule *u)
{
    const struct rules_cond *c = (const struct rules_cond *)rules_at(r, PART_COND) + u->conds.at;
    if (u->conds.n > RULES_CONDS_MAX || (u->conds.n && !(c->flags & CF_FIRST)))
        return false;
    for (uint32_t i = 0; i < u->conds.n; i++) {
        if (!cond_valid(r, &c[i], u->protos == RP_RTP))
            return false;
        if (!(c[i].flags & CF_FIRST) && c[i].buffer != c[i - 1].buffer)
            return false;
    }
    return true;
}

static bool limit_valid(const struct rules *r, const struct rules_limit *l)
{
    return l->type <= LIMIT_FILTER && l->track < TRACKS &&
           (l->type == LIMIT_NONE || (r->n_limits && l->seconds && l->count));
}

static bool rule_valid(const struct rules *r, const struct rules_rule *u)
{
    uint64_t known = (UINT64_C(1) << BUF_COUNT) - 1,
             bits = u->bits_set | u->bits_unset | u->bits_toggle | u->bits_isset | u->bits_isnotset;
    return in_part(r, PART_TEXT, u->msg) && in_part(r, PART_TEXT, u->classtype) &&
           in_part(r, PART_COND, u->conds) && in_part(r, PART_NET, u->src) &&
           in_part(r, PART_NET, u->dst) && in_part(r, PART_PORT, u->sport) &&
           in_part(r, PART_PORT, u->dport) && u->action <= RULE_REJECT && u->severity >= 1 &&
           u->size_op <= SIZE_OPS && !(u->buffers & ~known) && (!bits || r->n_bits) &&
           (!(u->protos & RP_RTP) || (u->protos == RP_RTP && r->n_rtp)) &&
           limit_valid(r, &u->limit[0]) && limit_valid(r, &u->limit[1]) && conds_valid(r, u);
}

/* Chains go upwards, so they end. */
static bool pattern_valid(const struct rules *r, uint32_t i)
{
    const struct rules_pattern *p = rules_pattern_at(r, i);
    bool rtp = i >= r->sip_patterns;
    uint32_t end = rtp ? r->part[PART_PATTERN].n : r->sip_patterns;
    return p->text_n > 0 && in_part(r, PART_TEXT, (struct rules_slice){p->text, p->text_n}) &&
           in_part(r, PART_USER, p->users) && p->gram + 3u <= MAX(p->text_n, (uint16_t)3) &&
           (p->next == RULES_NO_PATTERN || (p->next > i && p->next < end));
}

static bool heads_valid(const struct rules *r)
{
    const uint32_t *h = rules_at(r, PART_HEAD);
    for (uint32_t i = 0; i < r->part[PART_HEAD].n; i++) {
        bool rtp = i >= RULES_GRAMS;
        uint32_t low = rtp ? r->sip_patterns : 0,
                 end = rtp ? r->part[PART_PATTERN].n : r->sip_patterns;
        if (h[i] != RULES_NO_PATTERN && (h[i] < low || h[i] >= end))
            return false;
    }
    return true;
}

static bool numbers_valid(const struct rules *r, enum rules_part_id p)
{
    const uint32_t *v = rules_at(r, p);
    for (uint32_t i = 0; i < r->part[p].n; i++)
        if (v[i] >= r->part[PART_RULE].n)
            return false;
    return true;
}

enum err rules_valid(const struct rules *r, size_t bytes)
{
    if (!r || (uintptr_t)r % 8 || bytes < sizeof *r || bytes > RULES_BYTES_MAX ||
        r->magic != RULES_MAGIC || r->version != RULES_VERSION || r->bytes != bytes ||
        !parts_valid(r, bytes))
        return ERR_SYNTAX;
    for (uint32_t i = 0; i < r->part[PART_RULE].n; i++)
        if (!rule_valid(r, rules_rule_at(r, i)))
            return ERR_SYNTAX;
    for (uint32_t i = 0; i < r->part[PART_PATTERN].n; i++)
        if (!pattern_valid(r, i))
            return ERR_SYNTAX;
    for (uint32_t i = 0; i < r->part[PART_EXPR].n; i++)
        if (!in_part(r, PART_TEXT, rules_expr_at(r, i)->text) ||
            !in_part(r, PART_LIB, rules_expr_at(r, i)->lib))
            return ERR_SYNTAX;
    return heads_valid(r) && numbers_valid(r, PART_USER) && numbers_valid(r, PART_ALWAYS)
               ? OK
               : ERR_SYNTAX;
}
