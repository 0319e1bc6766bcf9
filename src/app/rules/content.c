/* What is looked for: contents with their modifiers, expressions, sizes. */
#include "app/rules/build.h"
#include "app/rules/pcre.h"

void rule_buffer_begin(struct parse *p, enum rules_buffer id)
{
    p->buffer = (uint8_t)id;
    p->sequence = rules_buffer_multi(id) ? p->sequence + 1 : 0;
    p->last = -1;
}

bool rule_unquote(struct parse *p, struct str v, struct str *ret)
{
    if (v.n < 2 || v.p[0] != '"' || v.p[v.n - 1] != '"') {
        rule_problem(p, rule_place(p, v), NULL, "the value must stand in quotes");
        return false;
    }
    *ret = str_of(v.p + 1, v.n - 2);
    return true;
}

static struct draft_cond *cond_new(struct parse *p, enum rules_cond_kind kind, struct str at)
{
    if (p->n_conds == RULES_CONDS_MAX) {
        rule_problem(p, rule_place(p, at), NULL, "a rule has at most %u conditions",
                     RULES_CONDS_MAX);
        return NULL;
    }
    struct draft_cond *d = &p->conds[p->n_conds++];
    *d = (struct draft_cond){.at = rule_place(p, at), .sequence = p->sequence};
    d->c.kind = (uint8_t)kind;
    d->c.buffer = p->buffer;
    return d;
}

static bool negation(struct str *v)
{
    bool negated = v->n && v->p[0] == '!';
    if (negated)
        *v = str_trim(str_skip(*v, 1));
    return negated;
}

/* "GET |0d 0a|" to bytes. */
static bool content_bytes(struct parse *p, struct str s, uint8_t *ret, size_t *ret_n)
{
    size_t n = 0;
    bool hex = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (n == RULES_LITERAL) {
            rule_problem(p, rule_place(p, s), NULL, "a content has at most %u bytes",
                         RULES_LITERAL);
            return false;
        }
        if (c == '|') {
            hex = !hex;
        } else if (hex && c == ' ') {
            continue;
        } else if (hex) {
            int high = hex_nibble(c), low = i + 1 < s.n ? hex_nibble(s.p[i + 1]) : -1;
            if (high < 0 || low < 0) {
                rule_problem(p, rule_place(p, s) + i, "two digits a byte: |0d 0a|",
                             "between bars stand hexadecimal digits only");
                return false;
            }
            ret[n++] = (uint8_t)(high << 4 | low);
            i++;
        } else if (c == '\\') {
            char next = i + 1 < s.n ? s.p[++i] : 0;
            if (!next || !strchr("\";:\\", next)) {
                rule_problem(p, rule_place(p, s) + i, "other bytes are written in hex: |5c|",
                             "only \\\" \\; \\: and \\\\ are escapes");
                return false;
            }
            ret[n++] = (uint8_t)next;
        } else {
            ret[n++] = (uint8_t)c;
        }
    }
    if (hex || n == 0) {
        rule_problem(p, rule_place(p, s), NULL,
                     hex ? "the bar that ends the bytes is missing" : "the content is empty");
        return false;
    }
    *ret_n = n;
    return true;
}

void opt_content(struct parse *p, struct str v)
{
    uint8_t bytes[RULES_LITERAL];
    struct rules_slice kept;
    size_t n;
    bool negated = negation(&v);
    struct str s;
    p->last = -1;
    p->content_bad = true;
    if (!rule_unquote(p, v, &s) || !content_bytes(p, s, bytes, &n))
        return;
    struct draft_cond *d = cond_new(p, COND_CONTENT, v);
    if (!d || !rule_keep_text(p->b, str_of((const char *)bytes, n), &kept))
        return;
    d->c.flags = negated ? CF_NEGATED : 0;
    d->c.text = kept.at;
    d->c.text_n = kept.n;
    p->last = (int)p->n_conds - 1;
    p->content_bad = false;
}

static struct draft_cond *modified(struct parse *p, const char *name)
{
    if (p->last >= 0)
        return &p->conds[p->last];
    if (!p->content_bad) /* else the content itself was the problem */
        rule_problem(p, p->key_at, "put it right behind the content it belongs to",
                     "%s without a content before it", name);
    return NULL;
}

void opt_nocase(struct parse *p, struct str v)
{
    (void)v;
    struct draft_cond *d = modified(p, "nocase");
    if (d)
        d->c.flags |= CF_NOCASE;
}
void opt_startswith(struct parse *p, struct str v)
{
    (void)v;
    struct draft_cond *d = modified(p, "startswith");
    if (d)
        d->c.flags |= CF_STARTS;
}
void opt_endswith(struct parse *p, struct str v)
{
    (void)v;
    struct draft_cond *d = modified(p, "endswith");
    if (d)
        d->c.flags |= CF_ENDS;
}
void opt_rawbytes(struct parse *p, struct str v)
{
    (void)v;
    (void)modified(p, "rawbytes"); /* there are no others than raw bytes */
}

static void set_offset(struct parse *p, struct str v, const char *name, bool relative)
{
    int64_t n;
    struct draft_cond *d = modified(p, name);
    if (!d || !rule_number(p, v, relative ? -65535 : 0, 65535, &n))
        return;
    if (relative ? d->has_distance : d->has_offset)
        rule_problem(p, rule_place(p, v), NULL, "%s is said twice", name);
    d->c.offset = (int32_t)n;
    d->has_distance = d->has_distance || relative;
    d->has_offset = d->has_offset || !relative;
}
static void set_limit(struct parse *p, struct str v, const char *name, bool relative)
{
    int64_t n;
    struct draft_cond *d = modified(p, name);
    if (!d || !rule_number(p, v, 1, 65535, &n))
        return;
    if (relative ? d->has_within : d->has_depth)
        rule_problem(p, rule_place(p, v), NULL, "%s is said twice", name);
    if ((uint32_t)n < d->c.text_n)
        rule_problem(p, rule_place(p, v), NULL, "%s %lld is less than the content's %u bytes", name,
                     (long long)n, (unsigned)d->c.text_n);
    d->c.limit = (uint32_t)n;
    d->c.flags |= CF_WITHIN;
    d->has_within = d->has_within || relative;
    d->has_depth = d->has_depth || !relative;
}
void opt_offset(struct parse *p, struct str v)
{
    set_offset(p, v, "offset", false);
}
void opt_distance(struct parse *p, struct str v)
{
    set_offset(p, v, "distance", true);
}
void opt_depth(struct parse *p, struct str v)
{
    set_limit(p, v, "depth", false);
}
void opt_within(struct parse *p, struct str v)
{
    set_limit(p, v, "within", true);
}

void opt_fast_pattern(struct parse *p, struct str v)
{
    struct draft_cond *d = modified(p, "fast_pattern");
    struct str first, second;
    int64_t off, n;
    if (!d)
        return;
    if (d->c.flags & CF_NEGATED)
        rule_problem(p, d->at, "choose a content that must be there",
                     "a negated content cannot be the fast pattern");
    for (uint32_t i = 0; i < p->n_conds; i++)
        if (p->conds[i].fast)
            rule_problem(p, d->at, NULL, "fast_pattern is said twice");
    d->fast = true;
    if (v.n == 0 || str_eq(v, STR("only")))
        return;
    second = str_trim(str_cut(v, ',', &first));
    if (!rule_number(p, str_trim(first), 0, d->c.text_n - 1, &off) ||
        !rule_number(p, second, 1, (int64_t)d->c.text_n - off, &n))
        return;
    d->fast_off = (uint16_t)off;
    d->fast_n = (uint16_t)n;
}

/* -- sizes -- */

/* "10", "<10", ">=10", "!10", "10<>20". */
static bool size_of(struct parse *p, struct str v, uint8_t *op, uint32_t *a, uint32_t *b)
{
    static const struct {
        const char *sign;
        uint8_t op;
    } signs[] = {{"<=", SIZE_LE}, {">=", SIZE_GE}, {"<", SIZE_LT},
                 {">", SIZE_GT},  {"!", SIZE_NE},  {"=", SIZE_EQ}};
    int64_t x, y = 0;
    size_t mid = str_search(v, STR("<>"));
    *op = SIZE_EQ;
    if (mid < v.n && mid > 0) {
        if (!rule_number(p, str_trim(str_head(v, mid)), 0, 65535, &x) ||
            !rule_number(p, str_trim(str_skip(v, mid + 2)), 0, 65535, &y))
            return false;
        if (y <= x + 1)
            rule_problem(p, rule_place(p, v), "a<>b means more than a and less than b",
                         "no size lies between");
        *op = SIZE_BETWEEN;
    } else {
        for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
            if (!str_starts(v, str_c(signs[i].sign)))
                continue;
            *op = signs[i].op;
            v = str_trim(str_skip(v, strlen(signs[i].sign)));
            break;
        }
        if (!rule_number(p, v, 0, 65535, &x))
            return false;
    }
    *a = (uint32_t)x;
    *b = (uint32_t)y;
    return true;
}

void opt_dsize(struct parse *p, struct str v)
{
    (void)size_of(p, v, &p->r.size_op, &p->r.size_a, &p->r.size_b);
}

void opt_bsize(struct parse *p, struct str v)
{
    uint32_t a;
    if (p->buffer == BUF_PKT)
        rule_problem(p, rule_place(p, v), "the whole message's size is dsize",
                     "bsize needs a sticky buffer before it");
    struct draft_cond *d = cond_new(p, COND_SIZE, v);
    if (d && size_of(p, v, &d->c.op, &a, &d->c.limit))
        d->c.offset = (int32_t)a;
}

void opt_isdataat(struct parse *p, struct str v)
{
    int64_t n;
    bool negated = negation(&v);
    struct str first, rest = str_cut(v, ',', &first);
    struct draft_cond *d = cond_new(p, COND_DATA_AT, v);
    if (!d || !rule_number(p, str_trim(first), 0, 65535, &n))
        return;
    d->c.offset = (int32_t)n;
    d->c.flags = negated ? CF_NEGATED : 0;
    while (rest.n) {
        struct str w;
        rest = str_cut(rest, ',', &w);
        w = str_trim(w);
        if (str_eq(w, STR("relative")))
            d->c.flags |= CF_RELATIVE;
        else if (!str_eq(w, STR("rawbytes")))
            rule_problem(p, rule_place(p, w), "relative or rawbytes",
                         "\"" STR_FMT "\" does not belong here", (int)MIN(w.n, 40u), w.p);
    }
}

/* -- pcre:"/expression/flags" -- */

static bool pcre_flags(struct parse *p, struct str s, uint32_t *flags, bool *relative)
{
    static const struct {
        char c;
        uint32_t flag;
    } known[] = {{'i', EXPR_I}, {'m', EXPR_M}, {'s', EXPR_S}, {'x', EXPR_X},
                 {'A', EXPR_A}, {'E', EXPR_E}, {'G', EXPR_G}, {'O', 0}};
    for (size_t i = 0; i < s.n; i++) {
        size_t k = 0;
        if (s.p[i] == 'R') {
            *relative = true;
            continue;
        }
        while (k < ARRAY_LEN(known) && known[k].c != s.p[i])
            k++;
        if (k == ARRAY_LEN(known)) {
            bool http = strchr("UIPHDMCSYVWQKNTB", s.p[i]) != NULL;
            rule_problem(p, rule_place(p, s) + i,
                         http ? "put a sticky buffer before the pcre instead"
                              : "flags: i m s x A E G R",
                         "flag %c is not served", s.p[i]);
            return false;
        }
        *flags |= known[k].flag;
    }
    return true;
}

void opt_pcre(struct parse *p, struct str v)
{
    bool negated = negation(&v), relative = false;
    struct str s;
    uint32_t flags = 0;
    char why[120];
    size_t at = 0;
    p->last = -1;
    if (!rule_unquote(p, v, &s))
        return;
    size_t end = str_rfind(s, '/');
    if (s.n < 2 || s.p[0] != '/' || end == 0 || end == s.n) {
        rule_problem(p, rule_place(p, v), NULL, "an expression is written \"/.../flags\"");
        return;
    }
    struct str expression = str_of(s.p + 1, end - 1);
    if (!pcre_flags(p, str_skip(s, end + 1), &flags, &relative))
        return;
    if (!rules_pcre_there()) {
        rule_problem(p, rule_place(p, v), "build it with libpcre2-dev",
                     "this program was built without pcre");
        return;
    }
    struct rules_pcre *x = rules_pcre_new(expression, flags, why, sizeof why, &at);
    if (!x) {
        rule_problem(p, rule_place(p, expression) + at, NULL, "expression: %s", why);
        return;
    }
    rules_pcre_free(x);
    struct draft_cond *d = cond_new(p, COND_PCRE, v);
    struct rules_expr *e = d ? rule_vec_add(&p->b->exprs, 1) : NULL;
    if (!e || !rule_keep_text(p->b, expression, &e->text))
        return;
    e->flags = flags;
    d->c.flags = (uint8_t)((negated ? CF_NEGATED : 0) | (relative ? CF_RELATIVE : 0));
    d->c.text = (uint32_t)p->b->exprs.n - 1;
}
