/* The store: facts into SQLite (CDRs, verdicts, bindings) and into two chained JSON logs
 * (events.jsonl, cdr.jsonl), and answers to questions about them. Transport-free: main.c feeds it
 * from rings. Facts are applied at once inside an open transaction; store_commit, every 200 ms,
 * writes the logs and commits. Nothing here waits for an engine, and no engine waits for it: what
 * cannot be written is counted and dropped. Single thread. */
#ifndef APP_STORE_STORE_H
#define APP_STORE_STORE_H
#include "app/store/chainlog.h"
#include "call/facts.h"
#include "call/location.h"
#include <sqlite3.h>

#define STORE_RECENT 16384u /* newest verdicts kept in memory, accepted ones too */
#define STORE_OPEN   65536u /* running calls known for aborted CDRs */
#define STORE_REFUSALS_S                                                                           \
    2000u /* refusals a second that are written; more are counted and summed up */
#define STORE_VERDICTS   1000000 /* rows of refusals kept in the database */
#define STORE_ALERTS_S   1000u /* alerts and messages a second that are written; more are counted */
#define STORE_ALERTS     200000 /* rows kept, newest first; */
#define STORE_EVIDENCE   20000  /* and messages, each under 2 KB */
#define STORE_BANS       100000 /* rows of bans that have ended */
#define STORE_ALERTS_AGE DUR_S(30 * 86400)
#define STORE_BANS_AGE   DUR_S(8 * 86400) /* ended bans that the monitor is given, to escalate */
#define STORE_PLACES     256u             /* sources of facts: engines by number, and the monitor */
#define STORE_MONITOR    UINT8_MAX

enum db_stmt {
    DB_BEGIN,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_SESSION,
    DB_LEG,
    DB_VERDICT,
    DB_BINDING_PUT,
    DB_BINDING_DEL,
    DB_BINDING_PURGE,
    DB_LOG_STATE,
    DB_PLACE,
    DB_TRANSFER,
    DB_BILL,
    DB_LEGS_OLD,
    DB_BILLS_OLD,
    DB_TRANSFERS_OLD,
    DB_SESSIONS_OLD, /* last: the others ask it */
    DB_VERDICT_TRIM,
    DB_BAN,
    DB_ALERT,
    DB_EVIDENCE,
    DB_ALERT_TRIM,
    DB_ALERT_OLD,
    DB_EVIDENCE_TRIM,
    DB_EVIDENCE_OLD,
    DB_BAN_TRIM,
    DB_BAN_OLD,
    DB_COUNT
};
struct db {
    sqlite3 *h;
    sqlite3_stmt *st[DB_COUNT];
    bool in_batch;
    int64_t next_session, next_verdict, next_alert, next_evidence;
};
struct eve { /* eve.c */
    int fd;
    uint64_t bytes, max_bytes, lost, lines;
    uint32_t keep_files;
    char *buf;
    size_t n;
};
struct open_call { /* what an aborted CDR needs; also a record of the file open.calls */
    uint8_t used, engine;
    uint8_t written; /* stands in the file */
    int64_t start_us;
    uint64_t session;
    struct text_id call_id;
    struct text_uri from, to;
    struct text_short user;
    struct addr source;
};
struct store_counts {
    uint64_t facts, bad, sessions, aborted, verdicts, refusals_skipped, bindings_written,
        bindings_deleted, write_errors, dropped;
    uint64_t alerts, alerts_skipped;
    uint64_t sessions_lost; /* in the log or the database, whichever lost more */
};
struct seen_slot { /* of a location board */
    uint32_t version;
    int64_t row; /* 0: not in the database */
};
struct shard_watch {
    struct location_view v;
    uint32_t cursor, epoch, clean; /* clean: slots in a row that were as before */
    struct seen_slot *slots;
};
#define STORE_SHARDS 32u
struct store {
    int dir;
    struct db db;
    struct chainlog events, cdrs;
    struct eve eve;
    struct store_counts n;
    struct now now;
    uint32_t cdr_keep_s; /* 0: records of calls stay for ever */
    uint64_t write_error_shown;
    uint64_t committed, log_lost; /* sessions of batches so far; lines that cdr.jsonl lost */
    /* newest verdicts */
    uint8_t *recent; /* records of RECENT_BYTES */
    uint32_t recent_at;
    /* running calls: slots, free list, chains by session, and where the walk for old ones goes on
     */
    struct open_call *open;
    uint32_t *open_bucket;
    uint32_t *open_chain;
    uint32_t open_free, open_n;
    uint32_t open_ended; /* ended since the last commit: their slots are not used again before it */
    uint64_t *open_dirty; /* bit a slot: the file has it otherwise */
    int open_fd;
    /* Up to where each source's facts have been taken, and were when we last committed. */
    uint64_t place[STORE_PLACES], placed[STORE_PLACES];
    /* refusals this second */
    int64_t second;
    uint32_t refusals;
    uint32_t skipped[REASON_COUNT];
    uint32_t skipped_n;
    int64_t alert_second; /* and the alerts in it */
    uint32_t alerts;
    struct shard_watch shard[STORE_SHARDS];
    struct sipkey hash;
    uint8_t engines;
    int64_t sync_us, trim_us, again_us;
};
struct store_cfg {
    const char *folder;    /* opened relative to the working folder; "." after the sandbox */
    uint64_t log_bytes;    /* size at which a log file is closed; 0 = 64 MiB */
    uint32_t events_files; /* closed event files kept; 0 = 64 */
    bool fresh; /* the gateway starts (not only the store): calls left open are aborted now */
    struct sipkey hash; /* of AORs in the location boards */
    uint8_t engines;    /* an AOR is kept by engine hash % engines; 0: by any */
};
/* s zeroed by the caller (large). ret_why: static text for the operator when not OK. */
MUST_CHECK enum err store_open(struct store *s, const struct store_cfg *cfg, struct now now,
                               const char **ret_why);
void store_close(struct store *s);

/* One record from a ring; n bytes. Judged by fact_valid. */
void store_fact(struct store *s, const void *rec, size_t n, struct now now);
/* The engine has gone: those of its calls that began until then become aborted CDRs. Commit before
 * the next fact, so that they cannot be lost. */
void store_engine_died(struct store *s, uint8_t engine, struct wall at, struct now now);
/* Where its facts are taken to: an engine's ring by bytes, the monitor's by number. Kept with the
 * batch, so that a store that died knows which of the facts that stand there again it has. */
void store_place(struct store *s, uint8_t source, uint64_t place);
/* The place of the last commit before this start; false if there is none (or the gateway is new).
 */
bool store_placed(const struct store *s, uint8_t source, uint64_t *ret_place);
/* Ends the batch: logs, then database. false: something was lost (counted); *ret_why then names it.
 */
bool store_commit(struct store *s, struct now now, const char **ret_why);

/* A shard of the location board appeared: bindings are taken from it, a part each store_bindings.
 */
MUST_CHECK enum err store_watch(struct store *s, uint8_t engine, const struct location_shard *shard,
                                uint32_t cap);
void store_bindings(struct store *s, struct now now);
/* Bindings that outlived a restart of the gateway, live ones only, flags BINDING_RESTORED; fn false
 * ends the walk. */
MUST_CHECK enum err store_restore(struct store *s, struct now now,
                                  bool (*fn)(void *ctx, const struct binding *b), void *ctx);

/* The bans in force and those that ended lately, in a sealed memfd of struct ban; the first has no
 * scope, and the highest id ever given. The caller closes it. */
MUST_CHECK enum err store_bans(struct store *s, struct now now, int *ret_fd, uint64_t *ret_bytes);

/* Answers one request (JSON object) with a JSON document; ret: enum control_code. */
uint32_t store_query(struct store *s, struct str request, struct now now, struct out *o);

/* -- between the parts -- */
#define RECENT_BYTES                                                                               \
    ((sizeof(((struct fact *)0)->u.verdict) + offsetof(struct fact, u) + 7) & ~(size_t)7)
static inline const struct fact *recent_get(const struct store *s, uint32_t i)
{
    return (const struct fact *)(const void *)(s->recent + i % STORE_RECENT * RECENT_BYTES);
}
enum err db_open(struct db *d, const char *folder, const char **ret_why);
void db_close(struct db *d);
bool db_begin(struct store *s);                /* true if a batch is open */
bool db_run(struct store *s, enum db_stmt st); /* steps and resets; counts errors */
void db_text(struct db *d, enum db_stmt st, int i,
             struct str s); /* bytes that are no UTF-8 become '?' */
void db_int(struct db *d, enum db_stmt st, int i, int64_t v);
int64_t call_hash(struct str call_id); /* for the index only; the bytes are compared too */
void write_session(struct store *s, const struct fact *f, bool aborted);
void write_verdict(struct store *s, const struct fact *f);
void write_event(struct store *s, const struct fact *f);
void write_alert(struct store *s, const struct fact *f);
void write_evidence(struct store *s, const struct fact *f);
void write_ban(struct store *s, const struct fact *f);
void alert_members(struct out *o, const struct fact *f);
void evidence_members(struct out *o, const struct fact *f);
void ban_members(struct out *o, const struct fact *f);
struct alerts_ask { /* what is empty or 0 fits all */
    struct str ip, aor, detector, call_id;
    uint32_t sid, last;
};
bool alerts_put(struct store *s, const struct alerts_ask *ask, struct out *o); /* false: cut */
bool evidence_put(struct store *s, uint64_t id, struct out *o); /* false: there is none */
void alerts_trim(struct store *s);
void sessions_trim(struct store *s); /* those older than cdr_keep, 2000 at a time */
MUST_CHECK enum err eve_open(struct eve *e, int dir, uint64_t max_bytes, uint32_t keep_files);
void eve_close(struct eve *e); /* what was not flushed is lost */
bool eve_flush(struct eve *e, int dir);
void eve_alert(struct eve *e, int dir, const struct fact *f);
void eve_ban(struct eve *e, int dir, const struct fact *f);
void eve_text(struct out *o, struct str key, struct str v); /* a member in ASCII; none if empty */
void bindings_again(struct store *s); /* a batch was taken back: what it held is not there */
void put_trace(struct out *o,
               const struct trace *t); /* "source=pass identity=refuse:auth_failed" */
void put_addr(struct out *o, struct str key, const struct addr *a);
bool open_put(struct store *s, const struct fact *f);
void open_del(struct store *s, uint8_t engine, uint64_t session);
const struct open_call *open_find(const struct store *s, uint8_t engine, uint64_t session);
bool open_write(struct store *s);  /* before the commit: calls that began */
bool open_forget(struct store *s); /* after it: calls that ended */
void open_close(struct store *s);
void abort_call(struct store *s, const struct open_call *c, int64_t at_us);
MUST_CHECK enum err open_init(struct store *s);
/* Waits: one store at a time. That of a gateway that was killed may still be putting things away.
 */
MUST_CHECK enum err open_lock(struct store *s);
MUST_CHECK enum err open_load(struct store *s, bool fresh);
#endif
