#include "app/rules/scanner.h"
#include "app/rules/lib.h"
#include "app/rules/pcre.h"
#include "guard/rules_blob.h"
#include "guard/scan.h"

struct expr {
    struct rules_pcre *pcre; /* NULL: the library does it */
    struct rules_db *db;
};
struct rules_scan {
    struct rules_scanner s, plain;
    const struct rules *r;
    struct rules_lib *lib;
    struct rules_db *set[2]; /* SIP, RTP; NULL: none to look for, or by the plain scanner */
    struct expr *expr;
    uint32_t n_expr, sip_patterns;
};
struct shifted { /* the RTP database counts its patterns from 0 */
    rules_hit_fn *hit;
    void *ctx;
    uint32_t by;
};

static void shift(void *ctx, uint32_t pattern)
{
    struct shifted *h = ctx;
    h->hit(h->ctx, pattern + h->by);
}

/* A scan that fails is done again by the other scanner: a message is never let by unseen. */
static bool sip(void *ctx, struct str s, rules_hit_fn *hit, void *hit_ctx)
{
    struct rules_scan *c = ctx;
    return (c->set[0] && rules_lib_scan(c->lib, c->set[0], s, hit, hit_ctx)) ||
           c->plain.scan(c->plain.ctx, s, hit, hit_ctx);
}

static bool rtp(void *ctx, struct str s, rules_hit_fn *hit, void *hit_ctx)
{
    struct rules_scan *c = ctx;
    struct shifted h = {hit, hit_ctx, c->sip_patterns};
    return (c->set[1] && rules_lib_scan(c->lib, c->set[1], s, shift, &h)) ||
           c->plain.scan_rtp(c->plain.ctx, s, hit, hit_ctx);
}

static bool find(void *ctx, uint32_t expression, struct str s, size_t from, size_t *ret_first,
                 size_t *ret_end)
{
    struct rules_scan *c = ctx;
    return expression < c->n_expr && c->expr[expression].pcre &&
           rules_pcre_find(c->expr[expression].pcre, s, from, ret_first, ret_end);
}

static bool match(void *ctx, uint32_t expression, struct str s)
{
    struct rules_scan *c = ctx;
    size_t first, end;
    if (expression < c->n_expr && c->expr[expression].db)
        return rules_lib_fits(c->lib, c->expr[expression].db, s);
    return find(ctx, expression, s, 0, &first, &end);
}

static bool expr_open(struct rules_scan *c, uint32_t i)
{
    const struct rules_expr *x = rules_expr_at(c->r, i);
    struct str bytes = rules_expr_lib(c->r, i);
    char why[120];
    size_t at;
    if (c->lib && bytes.n)
        c->expr[i].db = rules_lib_add(c->lib, bytes);
    if (c->expr[i].db && !(x->flags & EXPR_FIND))
        return true;
    c->expr[i].pcre =
        rules_pcre_new(rules_text(c->r, x->text.at, x->text.n), x->flags, why, sizeof why, &at);
    return c->expr[i].pcre || c->expr[i].db || !rules_pcre_there();
}

struct rules_scan *rules_scan_new(const struct rules *r, bool plain)
{
    struct rules_scan *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct rules_scan){.r = r, .sip_patterns = r->sip_patterns};
    scan_plain(r, &c->plain);
    c->lib = plain ? NULL : rules_lib_new();
    for (unsigned i = 0; c->lib && i < 2; i++)
        if (rules_lib(r, i).n)
            c->set[i] = rules_lib_add(c->lib, rules_lib(r, i));
    c->n_expr = r->part[PART_EXPR].n;
    c->expr = calloc(c->n_expr + 1u, sizeof *c->expr);
    bool good = c->expr != NULL;
    for (uint32_t i = 0; good && i < c->n_expr; i++)
        good = expr_open(c, i);
    if (!good) {
        rules_scan_free(c);
        return NULL;
    }
    c->s = (struct rules_scanner){
        .ctx = c, .scan = sip, .match = match, .find = find, .scan_rtp = rtp};
    return c;
}

void rules_scan_free(struct rules_scan *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; c->expr && i < c->n_expr; i++)
        rules_pcre_free(c->expr[i].pcre);
    free(c->expr);
    rules_lib_free(c->lib);
    free(c);
}

const struct rules_scanner *rules_scan_get(const struct rules_scan *c)
{
    return &c->s;
}
const char *rules_scan_kind(const struct rules_scan *c)
{
    return c->set[0] || c->set[1] ? "hyperscan" : "plain";
}
