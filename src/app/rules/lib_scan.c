#include "app/rules/lib.h"
#include <hs_runtime.h>

struct rules_db {
    hs_database_t *db;
    struct rules_db *next;
};
struct rules_lib {
    hs_scratch_t *scratch;
    struct rules_db *all;
};
struct heard {
    rules_hit_fn *hit;
    void *ctx;
    bool any;
};

struct rules_lib *rules_lib_new(void)
{
    return hs_valid_platform() == HS_SUCCESS ? calloc(1, sizeof(struct rules_lib)) : NULL;
}

void rules_lib_free(struct rules_lib *l)
{
    if (!l)
        return;
    for (struct rules_db *d = l->all, *next; d; d = next) {
        next = d->next;
        (void)hs_free_database(d->db);
        free(d);
    }
    (void)hs_free_scratch(l->scratch);
    free(l);
}

struct rules_db *rules_lib_add(struct rules_lib *l, struct str bytes)
{
    struct rules_db *d = calloc(1, sizeof *d);
    if (!d || hs_deserialize_database(bytes.p, bytes.n, &d->db) != HS_SUCCESS) {
        free(d);
        return NULL;
    }
    if (hs_alloc_scratch(d->db, &l->scratch) != HS_SUCCESS) {
        (void)hs_free_database(d->db);
        free(d);
        return NULL;
    }
    d->next = l->all;
    l->all = d;
    return d;
}

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *ctx)
{
    struct heard *h = ctx;
    (void)from, (void)to, (void)flags;
    h->any = true;
    if (!h->hit)
        return 1;
    h->hit(h->ctx, id);
    return 0;
}

bool rules_lib_scan(struct rules_lib *l, const struct rules_db *d, struct str s, rules_hit_fn *hit,
                    void *ctx)
{
    struct heard h = {hit, ctx, false};
    return hs_scan(d->db, s.n ? s.p : "", (unsigned)s.n, 0, l->scratch, on_match, &h) == HS_SUCCESS;
}

bool rules_lib_fits(struct rules_lib *l, const struct rules_db *d, struct str s)
{
    struct heard h = {NULL, NULL, false};
    (void)hs_scan(d->db, s.n ? s.p : "", (unsigned)s.n, 0, l->scratch, on_match, &h);
    return h.any;
}
