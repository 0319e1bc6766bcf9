/* Does a rule fit a message: its header, then its conditions. The conditions of a group hold
 * together for one buffer; contents of a group that are relative to one another are tried at all
 * their places (a search with a bounded amount of work). */
#include "guard/rules_int.h"

bool rules_size_fits(uint8_t op, uint64_t x, uint64_t a, uint64_t b)
{
    switch ((enum rules_size_op)op) {
    case SIZE_EQ:
        return x == a;
    case SIZE_NE:
        return x != a;
    case SIZE_LT:
        return x < a;
    case SIZE_GT:
        return x > a;
    case SIZE_LE:
        return x <= a;
    case SIZE_GE:
        return x >= a;
    case SIZE_BETWEEN:
        return x > a && x < b;
    case SIZE_OPS:
    default:
        return true;
    }
}

/* -- header -- */

/* What we do not know (no address, a wildcard) fits all: a listener's own address often is 0.0.0.0.
 * A list of negations alone means all others. */
static bool net_fits(const struct rules *r, struct rules_slice run, const struct addr *a)
{
    const struct rules_net *n = (const struct rules_net *)rules_at(r, PART_NET) + run.at;
    bool any = true, fits = false;
    if (run.n == 0 || a->family == ADDR_NONE || addr_any(a))
        return true;
    size_t bytes = a->family == ADDR_V4 ? 4 : 16;
    for (uint32_t i = 0; i < run.n; i++) {
        bool in = n[i].family == a->family && memcmp(a->ip, n[i].lo, bytes) >= 0 &&
                  memcmp(a->ip, n[i].hi, bytes) <= 0;
        if (n[i].negated && in)
            return false;
        any = any && n[i].negated;
        fits = fits || (!n[i].negated && in);
    }
    return any || fits;
}

static bool port_fits(const struct rules *r, struct rules_slice run, uint16_t port)
{
    const struct rules_port *p = (const struct rules_port *)rules_at(r, PART_PORT) + run.at;
    bool any = true, fits = false;
    if (run.n == 0 || port == 0)
        return true;
    for (uint32_t i = 0; i < run.n; i++) {
        bool in = port >= p[i].lo && port <= p[i].hi;
        if (p[i].negated && in)
            return false;
        any = any && p[i].negated;
        fits = fits || (!p[i].negated && in);
    }
    return any || fits;
}

static bool ends_fit(const struct rules *r, const struct rules_rule *u, const struct addr *from,
                     const struct addr *to)
{
    return net_fits(r, u->src, from) && port_fits(r, u->sport, from->port) &&
           net_fits(r, u->dst, to) && port_fits(r, u->dport, to->port);
}

bool rules_header_fits(const struct rules *r, const struct rules_rule *u,
                       const struct rules_input *in)
{
    unsigned proto = !in->m ? RP_RTP : in->proto < 3 ? 1u << in->proto : RP_TCP;
    if (!(u->protos & proto) ||
        (u->size_op != SIZE_OPS && !rules_size_fits(u->size_op, in->bytes.n, u->size_a, u->size_b)))
        return false;
    if (((u->flow & RF_TO_SERVER) && !in->to_server) ||
        ((u->flow & RF_TO_CLIENT) && in->to_server) || ((u->flow & RF_EST) && !in->established) ||
        ((u->flow & RF_NOT_EST) && in->established))
        return false;
    return ends_fit(r, u, &in->source, &in->dest) ||
           (u->both_ways && ends_fit(r, u, &in->dest, &in->source));
}

/* -- conditions -- */

static bool same_lower(const char *p, const char *lower, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ascii_lower(p[i]) != lower[i])
            return false;
    return true;
}

static size_t next_of(struct str s, size_t at, size_t end, char c)
{
    return at + str_find(str_of(s.p + at, end - at), c);
}

/* Place of the text in s[from..to), or to. */
static size_t find(struct str s, size_t from, size_t to, struct str text, bool nocase)
{
    if (text.n == 0 || text.n > to - from)
        return to;
    if (!nocase) {
        const char *at = memmem(s.p + from, to - from, text.p, text.n);
        return at ? (size_t)(at - s.p) : to;
    }
    char low = text.p[0], high = low >= 'a' && low <= 'z' ? (char)(low - 32) : low;
    size_t end = to - text.n + 1; /* of the places where it may begin */
    size_t a = next_of(s, from, end, low), b = next_of(s, from, end, high);
    while (MIN(a, b) < end) {
        size_t i = MIN(a, b);
        if (same_lower(s.p + i, text.p, text.n))
            return i;
        if (a == i)
            a = next_of(s, i + 1, end, low);
        if (b == i)
            b = next_of(s, i + 1, end, high);
    }
    return to;
}

/* Where a content may lie; false: nowhere. */
static bool range(const struct rules_cond *c, size_t n, size_t prev, size_t *ret_from,
                  size_t *ret_to)
{
    int64_t base = c->flags & CF_RELATIVE ? (int64_t)prev : 0, from = base + c->offset,
            to = (int64_t)n;
    if (c->flags & CF_WITHIN)
        to = MIN(to, from + (int64_t)c->limit);
    if (c->flags & CF_STARTS)
        to = MIN(to, (int64_t)c->text_n);
    from = MAX(from, 0);
    if (c->flags & CF_ENDS)
        from = MAX(from, (int64_t)n - (int64_t)c->text_n);
    if (from > to || to - from < (int64_t)c->text_n)
        return false;
    *ret_from = (size_t)from;
    *ret_to = (size_t)to;
    return true;
}

static bool pay(struct rules_eval *e, size_t amount)
{
    if (e->work < amount) {
        e->work = 0;
        return false;
    }
    e->work -= (uint32_t)amount;
    return true;
}

static bool fit(struct rules_eval *e, const struct rules_cond *c, const struct rules_cond *end,
                struct str s, size_t prev);

static bool content_fits(struct rules_eval *e, const struct rules_cond *c,
                         const struct rules_cond *end, struct str s, size_t prev)
{
    struct str text = rules_text(e->r, c->text, c->text_n);
    size_t from, to;
    bool negated = c->flags & CF_NEGATED;
    if (!range(c, s.n, prev, &from, &to))
        return negated && fit(e, c + 1, end, s, prev);
    for (;;) {
        size_t at = find(s, from, to, text, c->flags & CF_NOCASE);
        bool found = at != to;
        if (!pay(e, at - from + 32))
            return false;
        if (negated)
            return !found && fit(e, c + 1, end, s, prev);
        if (!found)
            return false;
        if (fit(e, c + 1, end, s, at + text.n))
            return true;
        if (!(c->flags & CF_RETRIED))
            return false;
        from = at + 1;
    }
}

static bool pcre_fits(struct rules_eval *e, const struct rules_cond *c,
                      const struct rules_cond *end, struct str s, size_t prev)
{
    size_t base = c->flags & CF_RELATIVE ? prev : 0, from = 0, first, last;
    struct str sub = str_skip(s, base);
    if (!e->scan || !e->scan->match || !pay(e, sub.n + 256))
        return false;
    if (!(c->flags & CF_RETRIED) || (c->flags & CF_NEGATED)) {
        bool found = e->scan->match(e->scan->ctx, c->text, sub);
        return found != ((c->flags & CF_NEGATED) != 0) && fit(e, c + 1, end, s, prev);
    }
    while (e->scan->find && from <= sub.n &&
           e->scan->find(e->scan->ctx, c->text, sub, from, &first, &last) && last <= sub.n &&
           first >= from) {
        if (fit(e, c + 1, end, s, base + last))
            return true;
        from = first + 1;
        if (!pay(e, sub.n + 256))
            return false;
    }
    return false;
}

static bool fit(struct rules_eval *e, const struct rules_cond *c, const struct rules_cond *end,
                struct str s, size_t prev)
{
    for (; c < end; c++) {
        bool negated = c->flags & CF_NEGATED, holds;
        if (c->kind == COND_CONTENT)
            return content_fits(e, c, end, s, prev);
        if (c->kind == COND_PCRE)
            return pcre_fits(e, c, end, s, prev);
        if (c->kind == COND_SIZE)
            holds = rules_size_fits(c->op, s.n, (uint32_t)c->offset, c->limit);
        else if (c->flags & CF_RELATIVE)
            holds = (int64_t)prev + c->offset <= (int64_t)s.n;
        else
            holds = c->offset < (int64_t)s.n;
        if (holds == negated)
            return false;
    }
    return true;
}

bool rules_conds_fit(struct rules_eval *e, const struct rules_rule *rule)
{
    const struct rules_cond *c = (const struct rules_cond *)rules_at(e->r, PART_COND) +
                                 rule->conds.at,
                            *all = c + rule->conds.n, *end;
    e->work = RULES_WORK;
    for (; c < all; c = end) {
        struct str s;
        bool fits = false;
        for (end = c + 1; end < all && !(end->flags & CF_FIRST);)
            end++;
        for (uint32_t i = 0;
             !fits && rules_buffer_get(&e->buf, (enum rules_buffer)c->buffer, i, &s); i++)
            fits = fit(e, c, end, s, 0);
        if (!fits)
            return false;
    }
    return true;
}
