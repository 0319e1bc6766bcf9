/* A rule as a whole: what contradicts itself, which conditions belong together, what the scan looks
 * for on its behalf. */
#include "app/rules/build.h"

#define FAST_BYTES 64u /* of a content are scanned for */

static void judge_content(struct parse *p, struct draft_cond *d)
{
    bool absolute = d->has_offset || d->has_depth, relative = d->has_distance || d->has_within,
         edge = d->c.flags & (CF_STARTS | CF_ENDS);
    if (absolute && relative)
        rule_problem(p, d->at,
                     "offset and depth count from the buffer's start, distance and within from "
                     "the last match",
                     "offset or depth together with distance or within");
    if (edge && (absolute || relative))
        rule_problem(p, d->at, NULL,
                     "startswith and endswith leave no room for offset, depth, distance or within");
    if (relative)
        d->c.flags |= CF_RELATIVE;
    if (d->c.flags & CF_NOCASE) {
        char *t = (char *)p->b->text.p + d->c.text;
        for (uint32_t i = 0; i < d->c.text_n; i++)
            t[i] = ascii_lower(t[i]);
    }
}

static void judge_buffers(struct parse *p)
{
    const uint64_t request = UINT64_C(1) << BUF_METHOD | UINT64_C(1) << BUF_URI |
                             UINT64_C(1) << BUF_REQUEST_LINE,
                   response = UINT64_C(1) << BUF_STAT_CODE | UINT64_C(1) << BUF_STAT_MSG |
                              UINT64_C(1) << BUF_RESPONSE_LINE;
    bool rtp = p->r.protos == RP_RTP;
    for (uint32_t i = 0; i < p->n_conds; i++)
        p->r.buffers |= UINT64_C(1) << p->conds[i].c.buffer;
    if ((p->r.buffers & request) && (p->r.buffers & response))
        rule_problem(p, 0, NULL, "asks for parts of a request and of a response: it can never fit");
    if (rtp && (p->r.buffers & ~(uint64_t)1))
        rule_problem(p, 0, "content, pcre, isdataat and dsize look at the packet",
                     "sticky buffers of SIP and SDP are not in packets of media");
    if (rtp && (p->r.flow || p->r.bits_set || p->r.bits_unset || p->r.bits_toggle ||
                p->r.bits_isset || p->r.bits_isnotset))
        rule_problem(p, 0, NULL, "flow and flowbits are not known for packets of media");
}

static void judge(struct parse *p)
{
    struct rules_build *b = p->b;
    if (p->r.sid == 0 && !p->cut)
        rule_problem(p, 0, "own rules take numbers from 1000000 on", "the rule has no sid");
    if (!p->severity_said)
        p->r.severity = p->severity_of_class ? p->severity_of_class : 3;
    if (p->r.weight == 0)
        p->r.weight = p->r.severity == 1   ? 40
                      : p->r.severity == 2 ? 20
                      : p->r.severity == 3 ? 10
                                           : 5;
    for (uint32_t i = 0; i < p->n_conds; i++)
        if (p->conds[i].c.kind == COND_CONTENT)
            judge_content(p, &p->conds[i]);
    judge_buffers(p);
    if (p->n_conds == 0 && p->r.size_op == SIZE_OPS && !p->bad &&
        !(p->r.bits_isset | p->r.bits_isnotset))
        rule_warning(p, 0, NULL, "the rule looks for nothing: it fits every message");
    for (size_t i = 0; p->r.sid && i < b->rules.n; i++) {
        const struct rules_rule *r = (const struct rules_rule *)b->rules.p + i;
        const struct origin *o = (const struct origin *)b->where.p + i;
        if (r->sid == p->r.sid && r->gid == p->r.gid) {
            rule_problem(p, 0, "give one of them another number", "sid %u is taken by %s:%u",
                         (unsigned)r->sid, b->files[o->file], (unsigned)o->line);
            break;
        }
    }
}

/* -- groups -- */

static bool same_group(const struct draft_cond *a, const struct draft_cond *b)
{
    return a->c.buffer == b->c.buffer && a->sequence == b->sequence;
}

/* Other places of a positive condition matter if a later one of its group counts from its end. */
static void mark_retried(struct rules_build *b, struct rules_cond *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        bool moves =
            (c[i].kind == COND_CONTENT || c[i].kind == COND_PCRE) && !(c[i].flags & CF_NEGATED);
        for (uint32_t k = i + 1; moves && k < n; k++) {
            if (c[k].flags & CF_RELATIVE) {
                c[i].flags |= CF_RETRIED;
                if (c[i].kind == COND_PCRE)
                    ((struct rules_expr *)b->exprs.p)[c[i].text].flags |= EXPR_FIND;
                break;
            }
            if ((c[k].kind == COND_CONTENT || c[k].kind == COND_PCRE) && !(c[k].flags & CF_NEGATED))
                break;
        }
    }
}

/* Short buffers are judged before the whole message. */
static bool conds_keep(struct parse *p)
{
    uint32_t n = 0;
    struct rules_cond *out = rule_vec_add(&p->b->conds, p->n_conds);
    if (!out)
        return false;
    p->r.conds = (struct rules_slice){(uint32_t)(p->b->conds.n - p->n_conds), p->n_conds};
    for (int whole = 0; whole < 2; whole++) {
        for (uint32_t i = 0; i < p->n_conds; i++) {
            uint32_t first = n;
            if (p->conds[i].done || (p->conds[i].c.buffer == BUF_PKT) != whole)
                continue;
            for (uint32_t k = i; k < p->n_conds; k++) {
                if (p->conds[k].done || !same_group(&p->conds[i], &p->conds[k]))
                    continue;
                p->conds[k].done = true;
                out[n++] = p->conds[k].c;
            }
            out[first].flags |= CF_FIRST;
            mark_retried(p->b, out + first, n - first);
        }
    }
    return true;
}

/* -- what the scan looks for -- */

static int strength(uint8_t buffer, struct str s)
{
    char low[FAST_BYTES];
    size_t n = MIN(s.n, sizeof low);
    for (size_t i = 0; i < n; i++)
        low[i] = ascii_lower(s.p[i]);
    int v = rule_rarity(str_of(low, n));
    bool few = buffer == BUF_METHOD || buffer == BUF_PROTOCOL || buffer == BUF_STAT_CODE;
    return few && v > 0 ? v / 8 : v; /* what stands there is one of a few words */
}

static struct str literal_text(const struct literal *l)
{
    return str_of(l->bytes, l->n);
}

/* A set of literals, one of which must be there; a content is a set of one. */
struct choice {
    int strength;
    bool nocase;
    struct rules_slice content; /* n 0: the literals */
    struct literals set;
};

static void choice_content(struct parse *p, const struct draft_cond *d, struct choice *best)
{
    struct rules_slice s = {d->c.text, d->c.text_n};
    if (d->fast && d->fast_n)
        s = (struct rules_slice){d->c.text + d->fast_off, d->fast_n};
    int v = strength(d->c.buffer, str_of((const char *)p->b->text.p + s.at, s.n)) +
            (d->fast ? 10000 : 0);
    if (v <= best->strength)
        return;
    best->strength = v;
    best->nocase = d->c.flags & CF_NOCASE;
    best->content = s;
}

static void choice_pcre(struct parse *p, const struct draft_cond *d, struct choice *best)
{
    const struct rules_expr *x = (const struct rules_expr *)p->b->exprs.p + d->c.text;
    struct literals set;
    int least = 1000;
    if (x->flags & EXPR_X)
        return;
    rule_literals_of(str_of((const char *)p->b->text.p + x->text.at, x->text.n), &set);
    for (uint32_t i = 0; i < set.n; i++)
        least = MIN(least, strength(d->c.buffer, literal_text(&set.at[i])));
    if (set.n == 0 || least - (int)set.n <= best->strength)
        return;
    best->strength = least - (int)set.n;
    best->nocase = true;
    best->content.n = 0;
    best->set = set;
}

static bool fast_add(struct parse *p, struct rules_slice text, bool nocase)
{
    struct fast *f = rule_vec_add(&p->b->fasts, 1);
    if (!f)
        return false;
    *f = (struct fast){text.at, MIN(text.n, FAST_BYTES), nocase, p->r.protos == RP_RTP,
                       (uint32_t)p->b->rules.n};
    return true;
}

/* None: the rule is judged for every message. */
static bool fast_choose(struct parse *p)
{
    struct choice best = {.strength = -1};
    for (uint32_t i = 0; i < p->n_conds; i++) {
        const struct draft_cond *d = &p->conds[i];
        if (d->c.flags & CF_NEGATED)
            continue;
        if (d->c.kind == COND_CONTENT)
            choice_content(p, d, &best);
        else if (d->c.kind == COND_PCRE)
            choice_pcre(p, d, &best);
    }
    if (best.strength < 0)
        return true;
    if (best.content.n)
        return fast_add(p, best.content, best.nocase);
    for (uint32_t i = 0; i < best.set.n; i++) {
        struct rules_slice kept;
        if (!rule_keep_text(p->b, literal_text(&best.set.at[i]), &kept) || !fast_add(p, kept, true))
            return false;
    }
    return true;
}

void rule_draft_end(struct parse *p)
{
    struct rules_build *b = p->b;
    judge(p);
    if (p->bad)
        return;
    if (b->rules.n == RULES_MAX) {
        rule_problem(p, 0, NULL, "there are more than %u rules", RULES_MAX);
        return;
    }
    uint32_t line = 1;
    for (size_t i = 0; i < p->map[0]; i++)
        line += p->raw.p[i] == '\n';
    if (!fast_choose(p) || (p->n_conds && !conds_keep(p))) {
        b->no_memory = true;
        return;
    }
    struct rules_rule *r = rule_vec_add(&b->rules, 1);
    struct origin *o = rule_vec_add(&b->where, 1);
    if (!r || !o) {
        b->no_memory = true;
        return;
    }
    *r = p->r;
    *o = (struct origin){p->file, line};
}
