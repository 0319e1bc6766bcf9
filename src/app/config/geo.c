#include "app/config/geo.h"
#include <maxminddb.h>

#define VISITS_SPARE 100000u
#define CACHE        4096u /* leaves by offset of their record: many share one */

struct range {
    uint64_t first, last;
    uint16_t country;
};
struct ranges {
    struct range *at;
    uint32_t n, cap;
    bool full;
};
struct walk {
    MMDB_s db;
    struct ranges v4, v6;
    struct ranges *now;
    unsigned bits; /* of the family: 32, or 64 */
    uint64_t visits, visits_max;
    const char *why;
    struct {
        uint32_t offset;
        uint16_t country;
        bool used;
    } cache[CACHE];
};

/* Where nobody has a country. Addresses for documentation are not here: no file names them by
 * chance, and a test may. */
struct hole {
    uint64_t first, last;
};
static const struct hole HOLES4[] = {
    {0x00000000, 0x00ffffff}, /* 0/8 */
    {0x0a000000, 0x0affffff}, /* 10/8 */
    {0x64400000, 0x647fffff}, /* 100.64/10 */
    {0x7f000000, 0x7fffffff}, /* 127/8 */
    {0xa9fe0000, 0xa9feffff}, /* 169.254/16 */
    {0xac100000, 0xac1fffff}, /* 172.16/12 */
    {0xc0000000, 0xc00000ff}, /* 192.0.0/24 */
    {0xc0a80000, 0xc0a8ffff}, /* 192.168/16 */
    {0xc6120000, 0xc613ffff}, /* 198.18/15 */
    {0xe0000000, 0xffffffff}, /* multicast, reserved */
};
/* Upper halves. Files often show the IPv4 tree below Teredo and 6to4 again. */
static const struct hole HOLES6[] = {
    {0x0000000000000000, 0x1fffffffffffffff}, /* beyond 2000::/3 */
    {0x2001000000000000, 0x200101ffffffffff}, /* 2001::/23 */
    {0x2002000000000000, 0x2002ffffffffffff}, /* 2002::/16 */
    {0x4000000000000000, 0xffffffffffffffff},
};

static void push(struct ranges *r, uint64_t first, uint64_t last, uint16_t country)
{
    if (r->n && r->at[r->n - 1].country == country && r->at[r->n - 1].last + 1 == first) {
        r->at[r->n - 1].last = last;
        return;
    }
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 4096;
        struct range *more = r->n < GEO_RANGES_MAX ? realloc(r->at, cap * sizeof *more) : NULL;
        if (!more) {
            r->full = true;
            return;
        }
        r->at = more;
        r->cap = cap;
    }
    r->at[r->n++] = (struct range){first, last, country};
}

/* The range without its holes, in order. */
static void add(struct walk *w, uint64_t first, uint64_t last, uint16_t country)
{
    bool v4 = w->now == &w->v4;
    const struct hole *h = v4 ? HOLES4 : HOLES6;
    size_t n = v4 ? ARRAY_LEN(HOLES4) : ARRAY_LEN(HOLES6);
    for (size_t i = 0; i < n; i++) {
        if (h[i].last < first || h[i].first > last)
            continue;
        if (h[i].first > first)
            push(w->now, first, h[i].first - 1, country);
        if (h[i].last >= last)
            return;
        first = h[i].last + 1;
    }
    push(w->now, first, last, country);
}

static bool holed(const struct walk *w, uint64_t first, uint64_t last)
{
    bool v4 = w->now == &w->v4;
    const struct hole *h = v4 ? HOLES4 : HOLES6;
    size_t n = v4 ? ARRAY_LEN(HOLES4) : ARRAY_LEN(HOLES6);
    for (size_t i = 0; i < n; i++)
        if (h[i].first <= first && last <= h[i].last)
            return true;
    return false;
}

static uint16_t letters(const MMDB_entry_data_s *d)
{
    if (!d->has_data || d->type != MMDB_DATA_TYPE_UTF8_STRING || d->data_size != 2)
        return 0;
    char a = d->utf8_string[0], b = d->utf8_string[1];
    bool ok = a >= 'A' && a <= 'Z' && b >= 'A' && b <= 'Z';
    return ok ? (uint16_t)((unsigned)a << 8 | (unsigned)b) : 0;
}

static uint16_t country_of(struct walk *w, MMDB_entry_s *e)
{
    static const char *const PATHS[][3] = {
        {"country", "iso_code", NULL},
        {"registered_country", "iso_code", NULL},
        {"country_code", NULL, NULL},
        {"country", NULL, NULL},
    };
    size_t slot = e->offset % CACHE;
    if (w->cache[slot].used && w->cache[slot].offset == e->offset)
        return w->cache[slot].country;
    uint16_t c = 0;
    for (size_t i = 0; i < ARRAY_LEN(PATHS) && !c; i++) {
        MMDB_entry_data_s d;
        if (MMDB_aget_value(e, &d, PATHS[i]) == MMDB_SUCCESS)
            c = letters(&d);
    }
    w->cache[slot].used = true;
    w->cache[slot].offset = e->offset;
    w->cache[slot].country = c;
    return c;
}

struct place { /* a record of the tree, and what it stands for */
    uint8_t type;
    uint64_t record;
    MMDB_entry_s entry;
    uint64_t first;
    unsigned depth;
};

static uint64_t last_of(const struct walk *w, const struct place *p)
{
    unsigned rest = w->bits - p->depth;
    return p->first | (rest == 64 ? UINT64_MAX : (UINT64_C(1) << rest) - 1);
}

/* Depth first, left before right, so that ranges come in order. A pair of records a level waits. */
static enum err walk(struct walk *w, struct place start)
{
    struct place stack[130];
    unsigned n = 0;
    stack[n++] = start;
    while (n) {
        struct place p = stack[--n];
        uint64_t last = p.depth <= w->bits ? last_of(w, &p) : p.first;
        if (p.type == MMDB_RECORD_TYPE_DATA) {
            uint16_t c = country_of(w, &p.entry);
            if (c)
                add(w, p.first, last, c);
            if (w->now->full)
                return ERR_LIMIT;
            continue;
        }
        if (p.type == MMDB_RECORD_TYPE_INVALID)
            return ERR_SYNTAX;
        if (p.type != MMDB_RECORD_TYPE_SEARCH_NODE || holed(w, p.first, last))
            continue;
        MMDB_search_node_s node;
        if (++w->visits > w->visits_max)
            return ERR_LIMIT;
        if (p.depth >= w->bits) /* finer than a /64: one source has one country */
            continue;
        if (p.record > UINT32_MAX ||
            MMDB_read_node(&w->db, (uint32_t)p.record, &node) != MMDB_SUCCESS)
            return ERR_SYNTAX;
        unsigned d = p.depth + 1;
        stack[n++] =
            (struct place){node.right_record_type, node.right_record, node.right_record_entry,
                           p.first | UINT64_C(1) << (w->bits - d), d};
        stack[n++] = (struct place){node.left_record_type, node.left_record, node.left_record_entry,
                                    p.first, d};
    }
    return OK;
}

static struct place root(const struct walk *w, uint32_t record)
{
    struct place p = {.type = MMDB_RECORD_TYPE_SEARCH_NODE, .record = record};
    uint32_t nodes = w->db.metadata.node_count;
    if (record == nodes)
        p.type = MMDB_RECORD_TYPE_EMPTY;
    if (record > nodes) { /* all of IPv4 is one record; the data follow the tree and 16 bytes */
        p.type = MMDB_RECORD_TYPE_DATA;
        p.entry = (MMDB_entry_s){.mmdb = &w->db, .offset = record - nodes - 16};
    }
    return p;
}

static enum err walk_all(struct walk *w)
{
    bool six = w->db.metadata.ip_version == 6;
    w->visits_max = UINT64_C(4) * w->db.metadata.node_count + VISITS_SPARE;
    w->now = &w->v4;
    w->bits = 32;
    enum err e = walk(w, root(w, six ? w->db.ipv4_start_node.node_value : 0));
    if (e != OK || !six)
        return e;
    w->now = &w->v6;
    w->bits = 64;
    return walk(w, root(w, 0));
}

static enum err made(const struct walk *w, struct geo **ret_g, size_t *ret_bytes)
{
    size_t n = geo_bytes(w->v4.n, w->v6.n);
    struct geo *g = calloc(1, n);
    if (!g)
        return ERR_SYSTEM;
    g->magic = GEO_MAGIC;
    g->n4 = w->v4.n;
    g->n6 = w->v6.n;
    g->built_us = (int64_t)MIN(w->db.metadata.build_epoch, UINT64_C(1) << 40) * 1000000;
    struct geo6 *six = (struct geo6 *)(void *)g->data;
    struct geo4 *four = (struct geo4 *)(void *)(g->data + (size_t)g->n6 * sizeof *six);
    for (uint32_t i = 0; i < g->n6; i++)
        six[i] = (struct geo6){w->v6.at[i].first, w->v6.at[i].last, w->v6.at[i].country, {0}};
    for (uint32_t i = 0; i < g->n4; i++)
        four[i] = (struct geo4){(uint32_t)w->v4.at[i].first, (uint32_t)w->v4.at[i].last,
                                w->v4.at[i].country, 0};
    *ret_g = g;
    *ret_bytes = n;
    return OK;
}

static enum err opened(const char *path, MMDB_s *db, const char **ret_why)
{
    int r = MMDB_open(path, MMDB_MODE_MMAP, db);
    if (r == MMDB_SUCCESS)
        return OK;
    *ret_why = r == MMDB_FILE_OPEN_ERROR || r == MMDB_IO_ERROR ? "it cannot be read"
                                                               : "it is not a MaxMind DB file";
    return r == MMDB_FILE_OPEN_ERROR || r == MMDB_IO_ERROR ? ERR_SYSTEM : ERR_SYNTAX;
}

enum err geo_file_built(const char *path, struct wall *ret_built, const char **ret_why)
{
    MMDB_s db;
    enum err e = opened(path, &db, ret_why);
    if (e != OK)
        return e;
    ret_built->us = (int64_t)MIN(db.metadata.build_epoch, UINT64_C(1) << 40) * 1000000;
    MMDB_close(&db);
    return OK;
}

enum err geo_file_read(const char *path, struct geo **ret_g, size_t *ret_bytes,
                       const char **ret_why)
{
    struct walk *w = calloc(1, sizeof *w);
    if (!w)
        return ERR_SYSTEM;
    enum err e = opened(path, &w->db, ret_why);
    if (e == OK) {
        e = walk_all(w);
        if (e == OK && !w->v4.n && !w->v6.n)
            e = ERR_NOT_FOUND;
        if (e == OK)
            e = made(w, ret_g, ret_bytes);
        if (e != OK)
            *ret_why = e == ERR_NOT_FOUND ? "it holds no country"
                       : e == ERR_LIMIT   ? "its tree is too large or does not end"
                       : e == ERR_SYNTAX  ? "its tree is broken"
                                          : "out of memory";
        MMDB_close(&w->db);
    }
    free(w->v4.at);
    free(w->v6.at);
    free(w);
    return e;
}
