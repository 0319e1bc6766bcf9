/* Running calls: what is known of them, so that each gets a CDR even if its engine, or everything,
 * dies. Kept in memory; those older than STORE_OPEN_AFTER also in the database. */
#include "app/store/store.h"
#include "base/siphash.h"

#define BUCKETS (STORE_OPEN * 2) /* a power of two */
#define NONE    UINT32_MAX

static uint32_t bucket_of(uint8_t engine, uint64_t session)
{
    uint64_t h = (session + ((uint64_t)engine << 56)) *
                 UINT64_C(0x9e3779b97f4a7c15); /* both are ours, not a peer's */
    return (uint32_t)(h >> 40) & (BUCKETS - 1);
}

enum err open_init(struct store *s)
{
    s->open = calloc(STORE_OPEN, sizeof *s->open);
    s->open_bucket = malloc(BUCKETS * sizeof *s->open_bucket);
    s->open_chain = malloc(STORE_OPEN * sizeof *s->open_chain);
    if (!s->open || !s->open_bucket || !s->open_chain)
        return ERR_SYSTEM;
    memset(s->open_bucket, 0xff, BUCKETS * sizeof *s->open_bucket);
    for (uint32_t i = 0; i < STORE_OPEN; i++)
        s->open_chain[i] = i + 1 < STORE_OPEN ? i + 1 : NONE;
    s->open_free = 0;
    s->open_cursor = 0;
    return OK;
}

static uint32_t find(const struct store *s, uint8_t engine, uint64_t session)
{
    uint32_t i = s->open_bucket[bucket_of(engine, session)];
    while (i != NONE && (s->open[i].session != session || s->open[i].engine != engine))
        i = s->open_chain[i];
    return i;
}

const struct open_call *open_find(const struct store *s, uint8_t engine, uint64_t session)
{
    uint32_t i = find(s, engine, session);
    return i == NONE ? NULL : &s->open[i];
}

static struct open_call *take(struct store *s, uint8_t engine, uint64_t session)
{
    uint32_t i = s->open_free;
    if (i == NONE)
        return NULL;
    s->open_free = s->open_chain[i];
    uint32_t b = bucket_of(engine, session);
    s->open_chain[i] = s->open_bucket[b];
    s->open_bucket[b] = i;
    s->open_n++;
    struct open_call *c = &s->open[i];
    *c = (struct open_call){.used = 1, .engine = engine, .session = session};
    return c;
}

bool open_put(struct store *s, const struct fact *f)
{
    open_del(s, f->engine, f->u.start.session);
    struct open_call *c = take(s, f->engine, f->u.start.session);
    if (!c)
        return false;
    c->start_us = f->wall_us;
    c->call_id = f->u.start.call_id_a;
    c->from = f->u.start.from;
    c->to = f->u.start.to;
    c->user = f->u.start.user;
    c->source = f->u.start.source;
    return true;
}

static void row_del(struct store *s, uint8_t engine, uint64_t session)
{
    if (!db_begin(s))
        return;
    db_int(&s->db, DB_OPEN_DEL, 1, engine);
    db_int(&s->db, DB_OPEN_DEL, 2, (int64_t)session);
    (void)db_run(s, DB_OPEN_DEL);
}

void open_del(struct store *s, uint8_t engine, uint64_t session)
{
    uint32_t *link = &s->open_bucket[bucket_of(engine, session)];
    while (*link != NONE && (s->open[*link].session != session || s->open[*link].engine != engine))
        link = &s->open_chain[*link];
    uint32_t i = *link;
    if (i == NONE)
        return;
    if (s->open[i].written)
        row_del(s, engine, session);
    *link = s->open_chain[i];
    s->open[i].used = 0;
    s->open_chain[i] = s->open_free;
    s->open_free = i;
    s->open_n--;
}

static void row_put(struct store *s, struct open_call *c)
{
    struct db *d = &s->db;
    char source[ADDR_TEXT_MAX];
    struct out o = out_of(source, sizeof source);
    if (!db_begin(s))
        return;
    if (c->source.family)
        addr_put(&o, &c->source);
    db_int(d, DB_OPEN_PUT, 1, c->engine);
    db_int(d, DB_OPEN_PUT, 2, (int64_t)c->session);
    db_int(d, DB_OPEN_PUT, 3, c->start_us);
    db_text(d, DB_OPEN_PUT, 4, TEXT_STR(c->call_id));
    db_text(d, DB_OPEN_PUT, 5, TEXT_STR(c->from));
    db_text(d, DB_OPEN_PUT, 6, TEXT_STR(c->to));
    db_text(d, DB_OPEN_PUT, 7, TEXT_STR(c->user));
    db_text(d, DB_OPEN_PUT, 8, out_str(&o));
    c->written = db_run(s, DB_OPEN_PUT);
}

/* A walk over the table in small parts: at most so many slots a commit, so that a full table is
 * seen once in 3 s. */
void open_write_old(struct store *s)
{
    int64_t before = s->now.wall.us - STORE_OPEN_AFTER.us;
    uint32_t from = s->open_cursor;
    uint32_t n = s->open_n ? STORE_OPEN / 16 : 0;
    for (uint32_t k = 0; k < n; k++) {
        struct open_call *c = &s->open[(from + k) % STORE_OPEN];
        if (c->used && !c->written && c->start_us < before)
            row_put(s, c);
    }
    s->open_cursor = (from + n) % STORE_OPEN;
}

void abort_call(struct store *s, const struct open_call *c, int64_t at_us)
{
    struct fact f = {.kind = FACT_CALL_END, .engine = c->engine, .wall_us = at_us};
    f.bytes = (uint16_t)fact_size(FACT_CALL_END);
    f.u.end.session = c->session;
    f.u.end.from = c->from;
    f.u.end.to = c->to;
    f.u.end.user = c->user;
    f.u.end.start_us = c->start_us;
    f.u.end.end_us = at_us;
    f.u.end.n_legs = 1;
    f.u.end.leg[0].call_id = c->call_id;
    f.u.end.leg[0].peer = c->source;
    f.u.end.leg[0].proto = UINT8_MAX; /* not known */
    s->n.aborted++;
    write_session(s, &f, true);
}

static struct str column(sqlite3_stmt *st, int i)
{
    const char *p = (const char *)sqlite3_column_text(st, i);
    return p ? str_of(p, (size_t)sqlite3_column_bytes(st, i)) : STR_NONE;
}

static void row_load(sqlite3_stmt *st, struct open_call *c)
{
    c->start_us = sqlite3_column_int64(st, 2);
    TEXT_SET(c->call_id, column(st, 3));
    TEXT_SET(c->from, column(st, 4));
    TEXT_SET(c->to, column(st, 5));
    TEXT_SET(c->user, column(st, 6));
    if (addr_parse(column(st, 7), &c->source) != OK)
        c->source = (struct addr){0};
    c->written = 1;
}

/* fresh: nothing of them can still run. Their end is not known: the newest moment that this
 * database has seen is the best. */
enum err open_load(struct store *s, bool fresh)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(
            s->db.h,
            "SELECT engine,session,start_us,call_id,from_uri,to_uri,user,source FROM open_calls",
            -1, &st, NULL) != SQLITE_OK)
        return ERR_SYSTEM;
    while (sqlite3_step(st) == SQLITE_ROW) {
        uint8_t engine = (uint8_t)sqlite3_column_int(st, 0);
        uint64_t session = (uint64_t)sqlite3_column_int64(st, 1);
        struct open_call *c = find(s, engine, session) == NONE ? take(s, engine, session) : NULL;
        if (c)
            row_load(st, c);
    }
    (void)sqlite3_finalize(st);
    for (uint32_t i = 0; fresh && i < STORE_OPEN; i++) {
        if (!s->open[i].used)
            continue;
        abort_call(s, &s->open[i], s->now.wall.us);
        open_del(s, s->open[i].engine, s->open[i].session);
    }
    return OK;
}
