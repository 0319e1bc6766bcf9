/* What was gathered becomes a blob: rules in the order they are judged in, patterns with their
 * users, the plain scanner's chains, the library's databases. */
#include "app/rules/build.h"
#include "app/rules/lib.h"

#define ALIGN 64u

struct rules_build *rules_build_new(void)
{
    struct rules_build *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->rules.size = sizeof(struct rules_rule);
    b->conds.size = sizeof(struct rules_cond);
    b->nets.size = sizeof(struct rules_net);
    b->ports.size = sizeof(struct rules_port);
    b->exprs.size = sizeof(struct rules_expr);
    b->fasts.size = sizeof(struct fast);
    b->where.size = sizeof(struct origin);
    b->text.size = 1;
    static const char *const vars[] = {"HOME_NET", "EXTERNAL_NET", "SIP_SERVERS", "SIP_PORTS"};
    for (size_t i = 0; i < ARRAY_LEN(vars); i++) {
        b->vars[b->n_vars].name = vars[i];
        b->vars[b->n_vars++].value = "any";
    }
    return b;
}

void rules_build_free(struct rules_build *b)
{
    if (!b)
        return;
    struct vec *all[] = {&b->rules, &b->conds, &b->nets,  &b->ports,
                         &b->exprs, &b->fasts, &b->where, &b->text};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]->p);
    free(b);
}

enum err rules_build_var(struct rules_build *b, const char *name, const char *value)
{
    uint32_t i = 0;
    while (i < b->n_vars && strcmp(b->vars[i].name, name) != 0)
        i++;
    if (i == RULES_VARS)
        return ERR_FULL;
    b->n_vars = MAX(b->n_vars, i + 1);
    b->vars[i].name = name;
    b->vars[i].value = value;
    return OK;
}

/* -- patterns -- */

struct maker {
    struct rules_build *b;
    uint32_t *order;    /* rules: place in the blob -> place in the build */
    uint32_t *place;    /* the other way */
    struct fast **fast; /* sorted */
    struct rules_pattern *pattern;
    uint32_t *user, *always, *head;
    uint64_t *map;
    uint32_t n_pattern, n_sip, n_user, n_always;
    void *lib[2];
    size_t lib_n[2];
    struct vec expr_lib; /* bytes */
};

static struct str fast_text(const struct rules_build *b, const struct fast *f)
{
    return str_of((const char *)b->text.p + f->text, f->text_n);
}

static int by_pattern(const void *a, const void *b, void *ctx)
{
    const struct fast *x = *(struct fast *const *)a, *y = *(struct fast *const *)b;
    if (x->rtp != y->rtp)
        return x->rtp ? 1 : -1;
    if ((x->text_n < 3) != (y->text_n < 3)) /* short ones first: as the plain scanner wants it */
        return x->text_n < 3 ? -1 : 1;
    if (x->nocase != y->nocase)
        return x->nocase ? 1 : -1;
    int c = str_cmp(fast_text(ctx, x), fast_text(ctx, y));
    return c ? c : x->rule < y->rule ? -1 : 1;
}

static int by_order(const void *a, const void *b, void *ctx)
{
    const struct rules_build *build = ctx;
    const struct rules_rule *all = build->rules.p;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    const struct rules_rule *x = &all[i], *y = &all[k];
    int pass = (y->action == RULE_PASS) - (x->action == RULE_PASS);
    int asks =
        ((x->bits_isset | x->bits_isnotset) != 0) - ((y->bits_isset | y->bits_isnotset) != 0);
    int mild = x->severity - y->severity;
    return pass ? pass : asks ? asks : mild ? mild : i < k ? -1 : 1;
}

static bool patterns(struct maker *k)
{
    struct rules_build *b = k->b;
    struct fast *all = b->fasts.p;
    for (size_t i = 0; i < b->fasts.n; i++)
        k->fast[i] = &all[i];
    qsort_r(k->fast, b->fasts.n, sizeof(struct fast *), by_pattern, b);
    for (size_t i = 0; i < b->fasts.n; i++) {
        const struct fast *f = k->fast[i], *before = i ? k->fast[i - 1] : NULL;
        bool same = before && before->rtp == f->rtp && before->nocase == f->nocase &&
                    str_eq(fast_text(b, before), fast_text(b, f));
        struct rules_pattern *p = &k->pattern[k->n_pattern - (same ? 1 : 0)];
        if (!same) {
            *p = (struct rules_pattern){.text = f->text,
                                        .text_n = (uint16_t)f->text_n,
                                        .nocase = f->nocase,
                                        .next = RULES_NO_PATTERN,
                                        .users = {k->n_user, 0}};
            k->n_pattern++;
            k->n_sip += !f->rtp;
        }
        k->user[k->n_user++] = k->place[f->rule];
        p->users.n++;
    }
    return true;
}

static void always(struct maker *k)
{
    size_t n = k->b->rules.n;
    for (uint32_t i = 0; i < n; i++)
        k->always[i] = 1;
    for (uint32_t i = 0; i < k->n_user; i++)
        k->always[k->user[i]] = 0;
    for (uint32_t i = 0; i < n; i++)
        if (k->always[i])
            k->always[k->n_always++] = i;
}

/* -- the plain scanner's tables -- */

/* Three bytes that ordinary messages do not hold, of a chain that is short. */
static uint8_t gram_of(const struct maker *k, const struct rules_pattern *p, const uint32_t *uses,
                       const uint8_t *ordinary)
{
    const char *t = (const char *)k->b->text.p + p->text;
    uint32_t best = 0, least = UINT32_MAX;
    for (uint32_t i = 0; i + 3 <= p->text_n; i++) {
        uint32_t g = rules_gram(t + i), cost = uses[g] + (ordinary[g] ? 1000 : 0);
        if (cost < least) {
            least = cost;
            best = i;
        }
    }
    return (uint8_t)best;
}

static void chains(struct maker *k, uint32_t *uses, uint8_t *ordinary)
{
    for (uint32_t i = 0; i < 2 * RULES_GRAMS; i++)
        k->head[i] = RULES_NO_PATTERN;
    for (size_t i = 0; i + 3 <= RULE_ORDINARY.n; i++)
        ordinary[rules_gram(RULE_ORDINARY.p + i)] = 1;
    for (uint32_t i = k->n_pattern; i-- > 0;) {
        struct rules_pattern *p = &k->pattern[i];
        if (p->text_n < 3)
            continue;
        p->gram = gram_of(k, p, uses, ordinary);
        uint32_t g = rules_gram((const char *)k->b->text.p + p->text + p->gram);
        uint32_t *head = &k->head[g + (i >= k->n_sip ? RULES_GRAMS : 0)];
        uses[g]++;
        k->map[(head - k->head) / 64] |= UINT64_C(1) << ((head - k->head) % 64);
        p->next = *head;
        *head = i;
    }
}

/* -- the library -- */

static bool databases(struct maker *k)
{
    struct rules_literal *l = calloc(k->n_pattern + 1u, sizeof *l);
    if (!l)
        return false;
    for (uint32_t i = 0; i < k->n_pattern; i++)
        l[i] = (struct rules_literal){
            str_of((const char *)k->b->text.p + k->pattern[i].text, k->pattern[i].text_n),
            k->pattern[i].nocase};
    for (unsigned set = 0; set < 2; set++) {
        uint32_t first = set ? k->n_sip : 0, n = set ? k->n_pattern - k->n_sip : k->n_sip;
        if (n && rules_lib_literals(l + first, n, &k->lib[set], &k->lib_n[set]) != OK)
            k->lib_n[set] = 0; /* the plain scanner does it */
    }
    free(l);
    for (size_t i = 0; i < k->b->exprs.n; i++) {
        struct rules_expr *x = (struct rules_expr *)k->b->exprs.p + i;
        struct str s = str_of((const char *)k->b->text.p + x->text.at, x->text.n);
        void *p = NULL;
        size_t n = 0;
        if ((x->flags & EXPR_FIND) || rules_lib_expr(s, x->flags, &p, &n) != OK)
            continue;
        size_t at = k->expr_lib.n;
        uint8_t *to = rule_vec_add(&k->expr_lib, (n + 63) & ~(size_t)63);
        if (to)
            memcpy(to, p, n);
        free(p);
        if (!to)
            return false;
        x->lib = (struct rules_slice){(uint32_t)at, (uint32_t)n};
    }
    return true;
}

/* -- the blob -- */

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void counts(struct rules *r, const struct rules_build *b)
{
    const struct rules_rule *all = b->rules.p;
    for (size_t i = 0; i < b->rules.n; i++) {
        r->n_limits += all[i].limit[0].type || all[i].limit[1].type;
        r->n_rtp += all[i].protos == RP_RTP;
    }
    r->n_bits = b->n_bits;
    r->n_disabled = b->n_disabled;
}

/* Their databases lie behind those of the literals. */
static void shift_exprs(struct rules_build *b, uint32_t by)
{
    struct rules_expr *x = b->exprs.p;
    for (size_t i = 0; i < b->exprs.n; i++)
        x[i].lib.at += x[i].lib.n ? by : 0;
}

static void put_libs(const struct maker *k, struct rules *r, size_t lib0, size_t lib1)
{
    uint8_t *lib = (uint8_t *)r + r->part[PART_LIB].at;
    for (unsigned i = 0; i < 2; i++)
        if (k->lib_n[i])
            memcpy(lib + (i ? lib0 : 0), k->lib[i], k->lib_n[i]);
    if (k->expr_lib.n)
        memcpy(lib + lib0 + lib1, k->expr_lib.p, k->expr_lib.n);
}

static void *zeroed(size_t bytes)
{
    void *p = bytes <= RULES_BYTES_MAX ? aligned_alloc(ALIGN, bytes) : NULL;
    return p ? memset(p, 0, bytes) : NULL;
}

static struct rules_rule *rules_sorted(const struct maker *k)
{
    const struct rules_rule *all = k->b->rules.p;
    struct rules_rule *sorted = calloc(k->b->rules.n + 1, sizeof *sorted);
    for (size_t i = 0; sorted && i < k->b->rules.n; i++)
        sorted[i] = all[k->order[i]];
    return sorted;
}

static enum err assemble(struct maker *k, const struct rules_build_opts *o, struct rules **ret_blob,
                         size_t *ret_bytes)
{
    struct rules_build *b = k->b;
    size_t lib0 = round_up(k->lib_n[0]), lib1 = round_up(k->lib_n[1]);
    struct rules_rule *sorted = rules_sorted(k);
    if (!sorted)
        return ERR_FULL;
    shift_exprs(b, (uint32_t)(lib0 + lib1));
    const struct {
        const void *p;
        size_t n;
    } parts[PART_COUNT] = {[PART_RULE] = {sorted, b->rules.n},
                           [PART_COND] = {b->conds.p, b->conds.n},
                           [PART_NET] = {b->nets.p, b->nets.n},
                           [PART_PORT] = {b->ports.p, b->ports.n},
                           [PART_PATTERN] = {k->pattern, k->n_pattern},
                           [PART_USER] = {k->user, k->n_user},
                           [PART_ALWAYS] = {k->always, k->n_always},
                           [PART_EXPR] = {b->exprs.p, b->exprs.n},
                           [PART_TEXT] = {b->text.p, b->text.n},
                           [PART_HEAD] = {k->head, k->n_pattern ? 2 * RULES_GRAMS : 0},
                           [PART_MAP] = {k->map, k->n_pattern ? 2 * RULES_GRAMS / 64 : 0},
                           [PART_LIB] = {NULL, lib0 + lib1 + k->expr_lib.n}};
    size_t bytes = round_up(sizeof(struct rules));
    for (int i = 0; i < PART_COUNT; i++)
        bytes = round_up(bytes + parts[i].n * rules_part_size((enum rules_part_id)i));
    struct rules *r = zeroed(bytes);
    if (!r) {
        free(sorted);
        return ERR_FULL;
    }
    *r = (struct rules){
        .magic = RULES_MAGIC,
        .version = RULES_VERSION,
        .bytes = bytes,
        .salt = {o->salt[0], o->salt[1]},
        .sip_patterns = k->n_sip,
        .lib = {{0, (uint32_t)k->lib_n[0]}, {(uint32_t)lib0, (uint32_t)k->lib_n[1]}}};
    counts(r, b);
    size_t at = round_up(sizeof *r);
    for (int i = 0; i < PART_COUNT; i++) {
        size_t n = parts[i].n * rules_part_size((enum rules_part_id)i);
        r->part[i] = (struct rules_part){(uint32_t)at, (uint32_t)parts[i].n};
        if (parts[i].p && n)
            memcpy((uint8_t *)r + at, parts[i].p, n);
        at = round_up(at + n);
    }
    put_libs(k, r, lib0, lib1);
    free(sorted);
    *ret_blob = r;
    *ret_bytes = bytes;
    return OK;
}

static bool maker_init(struct maker *k, struct rules_build *b)
{
    size_t n = b->rules.n + 1, f = b->fasts.n + 1;
    *k = (struct maker){.b = b,
                        .order = calloc(n, 4),
                        .place = calloc(n, 4),
                        .always = calloc(n, 4),
                        .fast = calloc(f, sizeof(struct fast *)),
                        .pattern = calloc(f, sizeof(struct rules_pattern)),
                        .user = calloc(f, 4),
                        .head = calloc(2 * RULES_GRAMS, 4),
                        .map = calloc(2 * RULES_GRAMS / 64, 8)};
    k->expr_lib.size = 1;
    return k->order && k->place && k->always && k->fast && k->pattern && k->user && k->head &&
           k->map;
}

static void maker_done(struct maker *k)
{
    free(k->order);
    free(k->place);
    free(k->always);
    free(k->fast);
    free(k->pattern);
    free(k->user);
    free(k->head);
    free(k->map);
    free(k->lib[0]);
    free(k->lib[1]);
    free(k->expr_lib.p);
}

static enum err make(struct maker *k, const struct rules_build_opts *o, struct rules **ret_blob,
                     size_t *ret_bytes)
{
    struct rules_build *b = k->b;
    uint32_t *uses = calloc(RULES_GRAMS, 4);
    uint8_t *ordinary = calloc(RULES_GRAMS, 1);
    bool good = uses && ordinary;
    for (uint32_t i = 0; i < b->rules.n; i++)
        k->order[i] = i;
    qsort_r(k->order, b->rules.n, 4, by_order, b);
    for (uint32_t i = 0; i < b->rules.n; i++)
        k->place[k->order[i]] = i;
    if (good) {
        good = patterns(k);
        always(k);
        chains(k, uses, ordinary);
    }
    free(uses);
    free(ordinary);
    if (good && !o->plain && rules_lib_can_make())
        good = databases(k);
    return good ? assemble(k, o, ret_blob, ret_bytes) : ERR_FULL;
}

enum err rules_build_end(struct rules_build *b, const struct rules_build_opts *o,
                         struct rules **ret_blob, size_t *ret_bytes)
{
    struct maker k;
    if (b->no_memory)
        return ERR_FULL;
    if (b->n_errors)
        return ERR_SYNTAX;
    enum err e = maker_init(&k, b) ? make(&k, o, ret_blob, ret_bytes) : ERR_FULL;
    maker_done(&k);
    if (e == OK && rules_valid(*ret_blob, *ret_bytes) != OK) {
        free(*ret_blob); /* cannot happen: readers would refuse it */
        e = ERR_STATE;
    }
    return e;
}
