/* What an expression cannot do without: a few literals, one of which every match holds, without
 * regard to case. Careful rather than clever: what is not understood gives none, and the rule is
 * judged for every message. */
#include "app/rules/build.h"

struct reader {
    struct str s;
    size_t at;
    bool lost; /* not understood */
    int depth;
};

static void set_none(struct literals *l)
{
    l->n = 0;
}

static int weakest(const struct literals *l)
{
    int least = l->n ? INT32_MAX : INT32_MIN;
    for (uint32_t i = 0; i < l->n; i++)
        least = MIN(least, rule_rarity(str_of(l->at[i].bytes, l->at[i].n)));
    return least;
}

static void keep_better(struct literals *best, const struct literals *other)
{
    int a = weakest(best), b = weakest(other);
    if (b > a || (b == a && other->n < best->n))
        *best = *other;
}

static void set_join(struct literals *l, const struct literals *more)
{
    if (l->n + more->n > LITERALS)
        set_none(l);
    else
        for (uint32_t i = 0; i < more->n; i++)
            l->at[l->n++] = more->at[i];
}

/* Behind the class that begins at r->at. */
static void class_skip(struct reader *r)
{
    size_t i = r->at + 1;
    i += i < r->s.n && r->s.p[i] == '^';
    i += i < r->s.n && r->s.p[i] == ']'; /* a first ] is a byte of the class */
    for (; i < r->s.n && r->s.p[i] != ']'; i++) {
        if (r->s.p[i] == '[' && i + 1 < r->s.n && strchr(":.=", r->s.p[i + 1]))
            r->lost = true; /* [:alpha:] */
        if (r->s.p[i] != '\\')
            continue;
        i++;
        if (i < r->s.n && strchr("QE", r->s.p[i]))
            r->lost = true;
    }
    r->lost = r->lost || i >= r->s.n;
    r->at = i + 1;
}

/* An escape: its byte, or -1 for a class or a place. */
static int escape(struct reader *r)
{
    static const char plain[] = {'r', '\r', 'n', '\n',   't', '\t',
                                 'f', '\f', 'e', '\x1b', 'a', '\a'};
    struct str s = r->s;
    size_t i = r->at;
    char c = i + 1 < s.n ? s.p[i + 1] : 0;
    r->at = i + 2;
    if (c == 'x' && i + 3 < s.n && hex_nibble(s.p[i + 2]) >= 0 && hex_nibble(s.p[i + 3]) >= 0) {
        r->at = i + 4;
        return hex_nibble(s.p[i + 2]) * 16 + hex_nibble(s.p[i + 3]);
    }
    for (size_t k = 0; k < sizeof plain; k += 2)
        if (c == plain[k])
            return (uint8_t)plain[k + 1];
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || ascii_digit(c);
    if (word && !strchr("dDsSwWbBhHvVRAzZ123456789", c))
        r->lost = true; /* \Q, \p{..}, \K and others change what follows */
    r->lost = r->lost || c == 0;
    return word || c == 0 ? -1 : (uint8_t)c;
}

/* A quantifier, if there is one: may what is before it be missing? */
static bool optional(struct reader *r, bool *ret_repeated)
{
    struct str s = r->s;
    *ret_repeated = r->at < s.n && strchr("?*+{", s.p[r->at]);
    if (!*ret_repeated)
        return false;
    bool none = s.p[r->at] == '?' || s.p[r->at] == '*';
    if (s.p[r->at] == '{') {
        size_t end = r->at + str_find(str_skip(s, r->at), '}');
        if (end >= s.n || !ascii_digit(s.p[r->at + 1]))
            r->lost = true; /* {,n} and a brace that is meant */
        none = end >= s.n || s.p[r->at + 1] == '0';
        r->at = MIN(end, s.n - 1);
    }
    r->at++;
    if (r->at < s.n && (s.p[r->at] == '?' || s.p[r->at] == '+'))
        r->at++;
    return none;
}

static void alternatives(struct reader *r, struct literals *ret);

/* (...): what it holds, none for what only looks. */
static void group(struct reader *r, struct literals *ret)
{
    struct str s = r->s;
    bool looks = false;
    r->at++;
    if (r->at < s.n && s.p[r->at] == '*')
        r->lost = true;
    if (r->at < s.n && s.p[r->at] == '?') {
        char c = r->at + 1 < s.n ? s.p[r->at + 1] : 0;
        looks = c == '=' || c == '!' || c == '<';
        r->lost = r->lost || !(c == ':' || looks) ||
                  (c == '<' && (r->at + 2 >= s.n || !strchr("=!", s.p[r->at + 2])));
        r->at += c == '<' ? 3 : 2;
    }
    if (++r->depth > 20)
        r->lost = true;
    if (!r->lost)
        alternatives(r, ret);
    r->depth--;
    r->lost = r->lost || r->at >= s.n || s.p[r->at] != ')';
    r->at++;
    if (looks)
        set_none(ret);
}

static void run_end(struct literals *best, struct literal *run)
{
    struct literals one = {.n = run->n > 0, .at = {*run}};
    keep_better(best, &one);
    run->n = 0;
}

/* One branch: the best of its literal runs and groups. */
static void branch(struct reader *r, struct literals *ret)
{
    struct literal run = {0};
    set_none(ret);
    while (!r->lost && r->at < r->s.n && r->s.p[r->at] != '|' && r->s.p[r->at] != ')') {
        struct literals inner = {0};
        char c = r->s.p[r->at];
        int byte = -1;
        bool repeated;
        if (c == '(')
            group(r, &inner);
        else if (c == '[')
            class_skip(r);
        else if (c == '\\')
            byte = escape(r);
        else if (r->at++, !strchr("^$.", c))
            byte = (uint8_t)c;
        if (r->lost)
            return;
        bool gone = optional(r, &repeated);
        if (byte >= 0 && !gone && byte != 0)
            run.bytes[run.n++] = ascii_lower((char)byte);
        if (byte <= 0 || gone || repeated || run.n == sizeof run.bytes)
            run_end(ret, &run);
        if (!gone)
            keep_better(ret, &inner);
    }
    run_end(ret, &run);
}

static void alternatives(struct reader *r, struct literals *ret)
{
    bool all = true;
    set_none(ret);
    for (;;) {
        struct literals one;
        branch(r, &one);
        all = all && one.n;
        if (all) {
            set_join(ret, &one);
            all = ret->n > 0;
        }
        if (r->lost || r->at >= r->s.n || r->s.p[r->at] != '|')
            break;
        r->at++;
    }
    if (!all || r->lost)
        set_none(ret);
}

void rule_literals_of(struct str expression, struct literals *ret)
{
    struct reader r = {.s = expression};
    set_none(ret);
    if (memchr(expression.p, 0, expression.n))
        return;
    alternatives(&r, ret);
    if (r.lost || r.at < expression.n)
        set_none(ret);
}
