/* The bans as the monitor told them, so that they outlive a restart with their ends. Only its word
 * counts: an engine's ring cannot ban anybody for good. */
#include "app/store/store.h"
#include "io/file.h"

#define BANS_MAX (1u << 18)

static const char *scope_name(uint8_t s)
{
    static const char *const names[] = {"none", "source", "pair", "aor", "device", "number"};
    return s < ARRAY_LEN(names) ? names[s] : "none";
}

static const char *by_name(uint8_t by)
{
    static const char *const names[] = {"detector", "rule", "feed", "admin"};
    return by < ARRAY_LEN(names) ? names[by] : "none";
}

static const char *act_name(uint8_t act)
{
    static const char *const names[] = {"added", "changed", "released", "expired", "exempted"};
    return act < ARRAY_LEN(names) ? names[act] : "none";
}

/* Texts are printable by ban_valid, or cut and cleaned by TEXT_SET: no more escaping is needed than
 * JSON's. */
void ban_members(struct out *o, const struct fact *f)
{
    const struct ban *b = &f->u.ban.ban;
    out_json_kstr(o, STR("act"), str_c(act_name(f->u.ban.act)));
    if (b->id)
        out_json_ku64(o, STR("id"), b->id);
    out_json_kstr(o, STR("scope"), str_c(scope_name(b->scope)));
    if (b->scope == BAN_SOURCE || b->scope == BAN_PAIR) {
        char text[ADDR_TEXT_MAX + 4];
        struct out a = out_of(text, sizeof text);
        addr_put_ip(&a, &b->net.a);
        out_ch(&a, '/');
        out_u64(&a, b->net.bits);
        out_json_kstr(o, STR("prefix"), out_str(&a));
    }
    eve_text(o, STR("who"), str_of(b->who, b->who_n));
    out_json_kstr(o, STR("treat"), str_c(treat_name((enum treat)b->treat)));
    out_json_kstr(o, STR("by"), str_c(by_name(b->by)));
    if (b->by == BY_DETECTOR)
        out_json_kstr(o, STR("detector"), str_c(detector_name((enum detector)b->detector)));
    eve_text(o, STR("why"), str_of(b->why, b->why_n));
    out_json_ku64(o, STR("score"), b->score);
    out_json_ku64(o, STR("times"), b->times);
    out_json_kbool(o, STR("forgeable"), b->forgeable);
    out_json_kbool(o, STR("dry_run"), b->dry);
    out_json_ki64(o, STR("since_us"), b->since.us);
    if (b->until.us)
        out_json_ki64(o, STR("until_us"), b->until.us);
    if (b->evidence)
        out_json_ku64(o, STR("evidence"), b->evidence);
    if (f->u.ban.act >= BAN_RELEASED)
        out_json_ku64(o, STR("hits"), b->hits);
    eve_text(o, f->u.ban.act == BAN_EXEMPTED ? STR("exempt") : STR("done_by"),
             TEXT_STR(f->u.ban.who));
}

/* Which key AORs and numbers are hashed with: under another one the bans of them mean nobody. */
static int64_t key_id(const struct store *s)
{
    return (int64_t)siphash(&s->hash, STR("ringwall ban key"));
}

void write_ban(struct store *s, const struct fact *f)
{
    struct db *d = &s->db;
    const struct ban *b = &f->u.ban.ban;
    bool in_force = f->u.ban.act == BAN_ADDED || f->u.ban.act == BAN_EXTENDED;
    if (f->engine != STORE_MONITOR) {
        s->n.bad++;
        return;
    }
    write_event(s, f);
    eve_ban(&s->eve, s->dir, f);
    if (!b->id || !db_begin(s))
        return;
    db_int(d, DB_BAN, 1, (int64_t)b->id);
    db_int(d, DB_BAN, 2, b->until.us);
    db_int(d, DB_BAN, 3, in_force ? 0 : f->wall_us);
    db_int(d, DB_BAN, 4, f->u.ban.act);
    db_int(d, DB_BAN, 5, key_id(s));
    db_text(d, DB_BAN, 6, str_c(detector_name((enum detector)b->detector)));
    db_text(d, DB_BAN, 7, b->reason ? reason_info((enum reason)b->reason)->name : STR_NONE);
    (void)sqlite3_bind_blob(d->st[DB_BAN], 8, b, sizeof *b, SQLITE_STATIC);
    (void)db_run(s, DB_BAN);
}

/* Detectors and reasons by name: a newer build may count them otherwise. */
static bool row_ban(const struct store *s, sqlite3_stmt *st, struct ban *b)
{
    struct str detector =
        str_of((const char *)sqlite3_column_text(st, 1), (size_t)sqlite3_column_bytes(st, 1));
    struct str reason =
        str_of((const char *)sqlite3_column_text(st, 2), (size_t)sqlite3_column_bytes(st, 2));
    if (sqlite3_column_bytes(st, 3) != (int)sizeof *b)
        return false;
    memcpy(b, sqlite3_column_blob(st, 3), sizeof *b);
    enum detector d = detector_by_name(detector);
    b->detector = (uint8_t)(d < DET_COUNT ? d : 0);
    b->reason = (uint16_t)(reason.n ? reason_by_name(reason) : REASON_NONE);
    if (b->scope != BAN_SOURCE && sqlite3_column_int64(st, 0) != key_id(s))
        return false;
    return ban_valid(b, sizeof *b) == OK;
}

static uint64_t highest(struct store *s)
{
    sqlite3_stmt *st = NULL;
    uint64_t v = 0;
    if (sqlite3_prepare_v2(s->db.h, "SELECT max(id) FROM bans", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        v = (uint64_t)sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    return v;
}

enum err store_bans(struct store *s, struct now now, int *ret_fd, uint64_t *ret_bytes)
{
    sqlite3_stmt *st = NULL;
    struct ban *v = calloc(BANS_MAX + 1, sizeof *v);
    uint32_t n = 1;
    if (!v)
        return ERR_SYSTEM;
    v[0].id = s->db.h ? highest(s) : 0;
    if (s->db.h &&
        sqlite3_prepare_v2(s->db.h,
                           "SELECT key,detector,reason,ban FROM bans WHERE (ended_us=0 AND "
                           "(until_us=0 OR until_us>?1)) OR act=?2 OR (ended_us=0 AND until_us>?3) "
                           "ORDER BY id DESC LIMIT ?4",
                           -1, &st, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_int64(st, 1, now.wall.us);
        (void)sqlite3_bind_int64(st, 2, BAN_EXPIRED);
        (void)sqlite3_bind_int64(st, 3, now.wall.us - STORE_BANS_AGE.us);
        (void)sqlite3_bind_int64(st, 4, BANS_MAX);
        while (n <= BANS_MAX && sqlite3_step(st) == SQLITE_ROW)
            n += row_ban(s, st, &v[n]);
    }
    (void)sqlite3_finalize(st);
    *ret_bytes = n * sizeof *v;
    enum err e = memfd_sealed("ringwall-bans", v, n * sizeof *v, ret_fd);
    free(v);
    return e;
}
