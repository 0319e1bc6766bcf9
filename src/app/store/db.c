/* The SQLite file: schema, prepared statements, batches. One connection writes and checkpoints (the
 * WAL-reset defect of SQLite 3.40 needs that). A file that is no database is put aside, never
 * overwritten. */
#include "app/store/store.h"
#include "base/siphash.h"
#include <unistd.h>

static const char SCHEMA[] =
    "CREATE TABLE IF NOT EXISTS sessions("
    " id INTEGER PRIMARY KEY, session INTEGER, engine INTEGER, start_us INTEGER, ring_us INTEGER, "
    "answer_us INTEGER,"
    " end_us INTEGER, from_uri TEXT, to_uri TEXT, user TEXT, route TEXT, code INTEGER, reason "
    "TEXT, q850 INTEGER,"
    " ended_by TEXT, aborted INTEGER, trace TEXT);"
    "CREATE TABLE IF NOT EXISTS legs(" /* id = 2 * session row + (0: caller's, 1: callee's) */
    " id INTEGER PRIMARY KEY, call_id TEXT, call_hash INTEGER, peer TEXT, transport TEXT, zone "
    "TEXT, peer_name TEXT,"
    " user_agent TEXT, crypto TEXT, codec TEXT, port INTEGER, packets INTEGER, octets INTEGER, "
    "lost INTEGER,"
    " discarded INTEGER, jitter_us INTEGER, max_jitter_us INTEGER, one_way INTEGER, latched "
    "INTEGER, stream2 TEXT);"
    /* Random keys over the whole table would dirty a page for each leg; in parts of 8192 legs they
       stay on few pages. */
    "CREATE INDEX IF NOT EXISTS legs_call ON legs(id>>13, call_hash);"
    "CREATE TABLE IF NOT EXISTS verdicts("
    " id INTEGER PRIMARY KEY, time_us INTEGER, engine INTEGER, call_id TEXT, call_hash INTEGER, "
    "method TEXT, from_uri TEXT,"
    " to_uri TEXT, user TEXT, source TEXT, transport TEXT, code INTEGER, reason TEXT, trace TEXT);"
    "CREATE INDEX IF NOT EXISTS verdicts_call ON verdicts(id>>13, call_hash);"
    /* of the few sessions that were transferred or redirected; id of the session's row */
    "CREATE TABLE IF NOT EXISTS transfers("
    " id INTEGER PRIMARY KEY, transferred_by TEXT, other_session INTEGER);"
    /* of the sessions that left by a peer or came by one; id of the session's row; micro NULL: free
     */
    "CREATE TABLE IF NOT EXISTS bills("
    " id INTEGER PRIMARY KEY, e164 TEXT, class TEXT, country TEXT, role TEXT, trunk TEXT, shown "
    "TEXT, device TEXT, micro INTEGER, seconds INTEGER, currency TEXT, source_country TEXT, "
    "attest TEXT, verstat TEXT);"
    "CREATE TABLE IF NOT EXISTS places(source INTEGER PRIMARY KEY, place INTEGER);"
    "CREATE TABLE IF NOT EXISTS bindings("
    " id INTEGER PRIMARY KEY, aor TEXT, contact TEXT, instance INTEGER, expires_us INTEGER, cseq "
    "INTEGER, call_id_hash INTEGER,"
    " q INTEGER, flags INTEGER, transport INTEGER, listener INTEGER, peer TEXT);"
    "CREATE UNIQUE INDEX IF NOT EXISTS bindings_key ON bindings(aor, instance, contact);"
    "CREATE TABLE IF NOT EXISTS bans(" /* ended_us 0: as far as we know in force */
    " id INTEGER PRIMARY KEY, until_us INTEGER, ended_us INTEGER, act INTEGER, key INTEGER, "
    "detector TEXT, reason TEXT, ban BLOB);"
    "CREATE TABLE IF NOT EXISTS alerts("
    " id INTEGER PRIMARY KEY, time_us INTEGER, engine INTEGER, gid INTEGER, sid INTEGER, rev "
    "INTEGER, severity INTEGER, score INTEGER, level INTEGER, dry INTEGER, evidence INTEGER, code "
    "INTEGER, ip TEXT, source TEXT, dest TEXT, transport TEXT, detector TEXT, treat TEXT, action "
    "TEXT, reason TEXT, message TEXT, class TEXT, method TEXT, call_id TEXT, from_uri TEXT, to_uri "
    "TEXT, user_agent TEXT);"
    "CREATE TABLE IF NOT EXISTS evidence("
    " n INTEGER PRIMARY KEY, id INTEGER, time_us INTEGER, whole INTEGER, message BLOB);"
    "CREATE INDEX IF NOT EXISTS evidence_id ON evidence(id);"
    "CREATE TABLE IF NOT EXISTS logs(name TEXT PRIMARY KEY, seq INTEGER, hash TEXT) WITHOUT ROWID;"
    "PRAGMA user_version=1;";

static const char *const SQL[DB_COUNT] = {
    [DB_BEGIN] = "BEGIN IMMEDIATE",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",
    [DB_SESSION] =
        "INSERT INTO sessions VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
    [DB_LEG] = "INSERT INTO legs "
               "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)",
    [DB_VERDICT] = "INSERT INTO verdicts VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
    [DB_BINDING_PUT] =
        "INSERT OR REPLACE INTO "
        "bindings(aor,contact,instance,expires_us,cseq,call_id_hash,q,flags,transport,"
        "listener,peer) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    [DB_BINDING_DEL] = "DELETE FROM bindings WHERE id=?1",
    [DB_BINDING_PURGE] = "DELETE FROM bindings WHERE expires_us<?1",
    [DB_PLACE] = "INSERT OR REPLACE INTO places VALUES(?1,?2)",
    [DB_TRANSFER] = "INSERT INTO transfers VALUES(?1,?2,?3)",
    [DB_BILL] = "INSERT INTO bills VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
    [DB_LOG_STATE] = "INSERT OR REPLACE INTO logs VALUES(?1,?2,?3)",
    [DB_BAN] = "INSERT OR REPLACE INTO bans VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
    [DB_ALERT] = "INSERT INTO alerts VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,"
                 "?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27)",
    [DB_EVIDENCE] = "INSERT INTO evidence VALUES(?1,?2,?3,?4,?5)",
    [DB_ALERT_TRIM] = "DELETE FROM alerts WHERE id<=?1",
    [DB_ALERT_OLD] =
        "DELETE FROM alerts WHERE id<(SELECT id FROM alerts WHERE time_us>=?1 ORDER BY "
        "id LIMIT 1)",
    [DB_EVIDENCE_TRIM] = "DELETE FROM evidence WHERE n<=?1",
    [DB_EVIDENCE_OLD] = "DELETE FROM evidence WHERE n<(SELECT n FROM evidence WHERE time_us>=?1 "
                        "ORDER BY n LIMIT 1)",
    [DB_BAN_TRIM] = "DELETE FROM bans WHERE ended_us>0 AND id<=(SELECT max(id) FROM bans)-?1",
    [DB_BAN_OLD] = "DELETE FROM bans WHERE ended_us>0 AND ended_us<?1 AND id<(SELECT max(id) FROM "
                   "bans)",
/* The oldest of the records, a part at a time. */
#define CDR_OLD                                                                                    \
    "(SELECT ifnull(max(id),0) FROM (SELECT id,end_us FROM sessions ORDER BY id LIMIT 2000) "      \
    "WHERE "                                                                                       \
    "end_us<?1 AND id<(SELECT max(id) FROM sessions))"
    [DB_LEGS_OLD] = "DELETE FROM legs WHERE id<=1+2*" CDR_OLD,
    [DB_BILLS_OLD] = "DELETE FROM bills WHERE id<=" CDR_OLD,
    [DB_TRANSFERS_OLD] = "DELETE FROM transfers WHERE id<=" CDR_OLD,
    [DB_SESSIONS_OLD] = "DELETE FROM sessions WHERE id<=" CDR_OLD,
    [DB_VERDICT_TRIM] = "DELETE FROM verdicts WHERE id<=?1",
};

static bool exec(sqlite3 *h, const char *sql)
{
    return sqlite3_exec(h, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int64_t max_id(sqlite3 *h, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t v = 0;
    if (sqlite3_prepare_v2(h, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        v = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    return v;
}

static enum err prepare(struct db *d, const char **ret_why)
{
    *ret_why = "the database cannot be set up";
    if (!exec(d->h, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; "
                    "PRAGMA cache_size=-8192;"
                    "PRAGMA wal_autocheckpoint=8000;"
                    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;") ||
        !exec(d->h, SCHEMA))
        return ERR_SYSTEM;
    for (unsigned i = 0; i < DB_COUNT; i++) {
        if (sqlite3_prepare_v3(d->h, SQL[i], -1, SQLITE_PREPARE_PERSISTENT, &d->st[i], NULL) !=
            SQLITE_OK) {
            *ret_why = "the database has another form than this program's";
            return ERR_SYNTAX;
        }
    }
    d->next_session = max_id(d->h, "SELECT max(id) FROM sessions") + 1;
    d->next_verdict = max_id(d->h, "SELECT max(id) FROM verdicts") + 1;
    d->next_alert = max_id(d->h, "SELECT max(id) FROM alerts") + 1;
    d->next_evidence = max_id(d->h, "SELECT max(n) FROM evidence") + 1;
    return OK;
}

enum err db_open(struct db *d, const char *folder, const char **ret_why)
{
    char path[512];
    int n = snprintf(path, sizeof path, "%s/ringwall.db", folder);
    memset(d, 0, sizeof *d);
    *ret_why = "the database cannot be opened";
    if (n < 0 || (size_t)n >= sizeof path ||
        sqlite3_open_v2(path, &d->h,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                            SQLITE_OPEN_NOFOLLOW,
                        NULL) != SQLITE_OK) {
        db_close(d);
        return ERR_SYSTEM;
    }
    (void)sqlite3_db_config(d->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_busy_timeout(d->h, 2000); /* only a reader from outside could hold it */
    enum err e = prepare(d, ret_why);
    if (e != OK)
        db_close(d);
    return e;
}

void db_close(struct db *d)
{
    for (unsigned i = 0; i < DB_COUNT; i++)
        (void)sqlite3_finalize(d->st[i]);
    (void)sqlite3_close(d->h);
    memset(d, 0, sizeof *d);
}

bool db_begin(struct store *s)
{
    if (s->db.h && !s->db.in_batch)
        s->db.in_batch = db_run(s, DB_BEGIN);
    return s->db.in_batch;
}

bool db_run(struct store *s, enum db_stmt st)
{
    if (!s->db.h)
        return false;
    int r = sqlite3_step(s->db.st[st]);
    (void)sqlite3_reset(s->db.st[st]);
    if (r == SQLITE_DONE || r == SQLITE_ROW)
        return true;
    s->n.write_errors++;
    return false;
}

/* Length of the well-formed UTF-8 sequence at p, 0 if there is none; cheap test, no over-long check
 * beyond C0, C1. */
static size_t utf8_at(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80                   ? 1
                 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                 : p[0] < 0xf5 && p[0] >= 0xf0 ? 4
                                               : 0;
    if (len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

void db_text(struct db *d, enum db_stmt st, int i, struct str s)
{
    char clean[1024];
    bool ascii = true;
    for (size_t k = 0; k < s.n; k++)
        ascii = ascii && (unsigned char)s.p[k] < 0x80;
    if (s.n == 0) {
        (void)sqlite3_bind_null(d->st[st], i);
        return;
    }
    if (ascii) { /* borrowed until the statement is run */
        (void)sqlite3_bind_text(d->st[st], i, s.p, (int)MIN(s.n, (size_t)8192), SQLITE_STATIC);
        return;
    }
    size_t n = MIN(s.n, sizeof clean);
    memcpy(clean, s.p, n);
    for (size_t k = 0; k < n;) {
        size_t len = utf8_at((unsigned char *)clean + k, n - k);
        if (!len)
            clean[k] = '?';
        k += len ? len : 1;
    }
    (void)sqlite3_bind_text(d->st[st], i, clean, (int)n, SQLITE_TRANSIENT);
}

void db_int(struct db *d, enum db_stmt st, int i, int64_t v)
{
    (void)sqlite3_bind_int64(d->st[st], i, v);
}

int64_t call_hash(struct str call_id)
{
    static const struct sipkey KEY = {0, 0}; /* must outlive us: kept in the index */
    return (int64_t)siphash(&KEY, call_id);
}
