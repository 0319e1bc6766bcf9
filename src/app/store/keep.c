/* Bindings over a restart: the location boards are walked a part at a time; what changed is
 * written, what went is deleted. New bindings go first; refreshes, which only move the expiry, are
 * written at a bounded rate. */
#include "app/store/store.h"

#define WALK_SLOTS   8192u /* slots looked at in one part */
#define WALK_NEW     1000u /* rows written in one part for bindings not yet in the database */
#define WALK_REFRESH 100u  /* rows written in one part for known ones */

enum err store_watch(struct store *s, uint8_t engine, const struct location_shard *shard,
                     uint32_t cap)
{
    if (engine >= STORE_SHARDS || cap == 0)
        return ERR_RANGE;
    struct shard_watch *w = &s->shard[engine];
    if (w->slots && w->v.cap == cap) { /* the same shard again */
        w->v.s = shard;
        w->clean = 0;
        return OK;
    }
    struct seen_slot *slots = calloc(cap, sizeof *slots);
    if (!slots)
        return ERR_SYSTEM;
    free(w->slots);
    *w = (struct shard_watch){.v = {shard, cap}, .slots = slots};
    return OK;
}

static void binding_row(struct store *s, const struct binding *b, struct seen_slot *seen)
{
    struct db *d = &s->db;
    char peer[ADDR_TEXT_MAX];
    struct out o = out_of(peer, sizeof peer);
    addr_put(&o, &b->flow.peer);
    db_text(d, DB_BINDING_PUT, 1, str_of(b->aor, b->aor_len));
    db_text(d, DB_BINDING_PUT, 2, str_of(b->contact, b->contact_len));
    const int64_t n[] = {
        (int64_t)b->instance, b->expires.us,   b->cseq, b->call_id_hash, b->q, b->flags,
        b->flow.proto,        b->flow.listener};
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        db_int(d, DB_BINDING_PUT, 3 + (int)i, n[i]);
    db_text(d, DB_BINDING_PUT, 11, out_str(&o));
    if (!db_run(s, DB_BINDING_PUT))
        return;
    seen->row = sqlite3_last_insert_rowid(d->h);
    seen->version = b->version;
    s->n.bindings_written++;
}

static void binding_gone(struct store *s, struct seen_slot *seen)
{
    db_int(&s->db, DB_BINDING_DEL, 1, seen->row);
    if (db_run(s, DB_BINDING_DEL))
        s->n.bindings_deleted++;
    *seen = (struct seen_slot){0};
}

/* An engine keeps registrations of its own users alone: what it writes of others' is not taken, and
 * cannot replace or remove theirs in the database, which knows bindings by user and Contact. */
static bool at_home(const struct store *s, const struct shard_watch *w, const struct binding *b)
{
    struct str aor = str_of(b->aor, b->aor_len);
    return location_hash(&s->hash, aor) == b->aor_hash &&
           (!s->engines || siphash(&s->hash, aor) % s->engines == (uint64_t)(w - s->shard));
}

/* One slot; false if it is as it was. */
static bool slot_keep(struct store *s, const struct shard_watch *w, uint32_t i, uint32_t *fresh,
                      uint32_t *refresh)
{
    struct binding b;
    struct seen_slot *seen = &w->slots[i];
    bool live = location_slot(w->v, i, &b) && at_home(s, w, &b) && b.expires.us > s->now.wall.us;
    if (live ? seen->row && seen->version == b.version : !seen->row)
        return false;
    uint32_t *budget = seen->row && live ? refresh : fresh;
    if (*budget == 0 || !db_begin(s))
        return true;
    (*budget)--;
    if (!live)
        binding_gone(s, seen);
    else
        binding_row(s, &b, seen);
    return true;
}

static void shard_walk(struct store *s, struct shard_watch *w)
{
    uint32_t epoch = location_epoch(w->v);
    uint32_t fresh = WALK_NEW, refresh = WALK_REFRESH;
    if (epoch != w->epoch) {
        w->epoch = epoch;
        w->clean = 0;
    }
    for (uint32_t k = 0; k < WALK_SLOTS && w->clean < w->v.cap; k++) {
        if (slot_keep(s, w, w->cursor, &fresh, &refresh))
            w->clean = 0;
        else
            w->clean++;
        w->cursor = (w->cursor + 1) % w->v.cap;
    }
}

void store_bindings(struct store *s, struct now now)
{
    s->now = now;
    for (unsigned e = 0; e < STORE_SHARDS && s->db.h; e++)
        if (s->shard[e].v.s)
            shard_walk(s, &s->shard[e]);
}

void bindings_again(struct store *s)
{
    for (unsigned e = 0; e < STORE_SHARDS; e++) {
        struct shard_watch *w = &s->shard[e];
        w->clean = 0;
        for (uint32_t i = 0; w->slots && i < w->v.cap; i++)
            w->slots[i].version = 0;
    }
}

static bool row_binding(struct store *s, sqlite3_stmt *st, struct binding *b)
{
    memset(b, 0, sizeof *b);
    struct str aor =
        str_of((const char *)sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    struct str contact =
        str_of((const char *)sqlite3_column_text(st, 1), (size_t)sqlite3_column_bytes(st, 1));
    struct str peer =
        str_of((const char *)sqlite3_column_text(st, 10), (size_t)sqlite3_column_bytes(st, 10));
    if (!aor.p || !contact.p || aor.n > sizeof b->aor || contact.n > sizeof b->contact || !peer.p ||
        addr_parse(peer, &b->flow.peer) != OK)
        return false;
    memcpy(b->aor, aor.p, aor.n);
    b->aor_len = (uint8_t)aor.n;
    memcpy(b->contact, contact.p, contact.n);
    b->contact_len = (uint8_t)contact.n;
    b->instance = (uint64_t)sqlite3_column_int64(st, 2);
    b->expires.us = sqlite3_column_int64(st, 3);
    b->cseq = (uint32_t)sqlite3_column_int64(st, 4);
    b->call_id_hash = (uint32_t)sqlite3_column_int64(st, 5);
    b->q = (uint16_t)sqlite3_column_int(st, 6);
    b->flags = (uint8_t)(sqlite3_column_int(st, 7) | BINDING_RESTORED);
    b->flow.proto = (uint8_t)sqlite3_column_int(st, 8);
    b->flow.listener = (uint8_t)sqlite3_column_int(st, 9);
    b->aor_hash = location_hash(&s->hash, aor);
    return b->flow.proto <= PROTO_TLS;
}

enum err store_restore(struct store *s, struct now now,
                       bool (*fn)(void *ctx, const struct binding *b), void *ctx)
{
    sqlite3_stmt *st = NULL;
    if (!s->db.h ||
        sqlite3_prepare_v2(
            s->db.h,
            "SELECT "
            "aor,contact,instance,expires_us,cseq,call_id_hash,q,flags,transport,listener,peer "
            "FROM bindings WHERE expires_us>?1",
            -1, &st, NULL) != SQLITE_OK)
        return ERR_SYSTEM;
    (void)sqlite3_bind_int64(st, 1, now.wall.us);
    bool more = true;
    while (more && sqlite3_step(st) == SQLITE_ROW) {
        struct binding b;
        if (row_binding(s, st, &b))
            more = fn(ctx, &b);
    }
    (void)sqlite3_finalize(st);
    return OK;
}
