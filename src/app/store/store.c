#include "app/store/store.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SYNC_EVERY DUR_S(5)
#define TRIM_EVERY DUR_S(60)
#define AGAIN_FOR  DUR_S(30) /* facts that come again are here long before */

static struct str hex_text(char buf[2 * CHAINLOG_HASH], const uint8_t *hash)
{
    hex_encode(hash, CHAINLOG_HASH, buf);
    return str_of(buf, 2 * CHAINLOG_HASH);
}

/* The database remembers where each log was: a log that ends earlier has lost lines, by a crash of
 * the machine or by hand. */
static void log_compare(struct store *s, const struct chainlog *l)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db.h, "SELECT seq FROM logs WHERE name=?1", -1, &st, NULL) !=
        SQLITE_OK)
        return;
    (void)sqlite3_bind_text(st, 1, l->name, -1, SQLITE_STATIC);
    uint64_t seq = sqlite3_step(st) == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    (void)sqlite3_finalize(st);
    if (seq <= l->seq && l->torn_bytes == 0)
        return;
    struct out *o = chainlog_begin(&s->events);
    out_json_ki64(o, STR("time_us"), s->now.wall.us);
    out_json_kstr(o, STR("event"), STR("log-damaged"));
    out_json_kstr(o, STR("log"), str_c(l->name));
    out_json_ku64(o, STR("lines_missing"), seq > l->flushed_seq ? seq - l->flushed_seq : 0);
    out_json_ku64(o, STR("torn_bytes"), l->torn_bytes);
    chainlog_end(&s->events, s->dir);
}

/* The facts of a batch that was written to the logs and not committed come again: what they say
 * stands there. (Not when the gateway starts: then nothing comes again.) */
static void log_resume(struct store *s, struct chainlog *l)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db.h, "SELECT seq FROM logs WHERE name=?1", -1, &st, NULL) !=
        SQLITE_OK)
        return;
    (void)sqlite3_bind_text(st, 1, l->name, -1, SQLITE_STATIC);
    if (sqlite3_step(st) == SQLITE_ROW) {
        int64_t id = chainlog_again(l, (uint64_t)sqlite3_column_int64(st, 0));
        s->db.next_session = MAX(s->db.next_session, id + 1);
    }
    (void)sqlite3_finalize(st);
    s->again_us = instant_add(s->now.mono, AGAIN_FOR).us;
}

static void places_load(struct store *s, bool fresh)
{
    sqlite3_stmt *st = NULL;
    if (fresh) {
        (void)sqlite3_exec(s->db.h, "DELETE FROM places", NULL, NULL, NULL);
        return;
    }
    if (sqlite3_prepare_v2(s->db.h, "SELECT source,place FROM places", -1, &st, NULL) != SQLITE_OK)
        return;
    while (sqlite3_step(st) == SQLITE_ROW) {
        int64_t source = sqlite3_column_int64(st, 0);
        if (source >= 0 && source < (int64_t)STORE_PLACES)
            s->place[source] = s->placed[source] = (uint64_t)sqlite3_column_int64(st, 1);
    }
    (void)sqlite3_finalize(st);
}

static enum err logs_open(struct store *s, const struct store_cfg *cfg, const char **ret_why)
{
    uint64_t bytes = cfg->log_bytes ? cfg->log_bytes : UINT64_C(64) << 20;
    enum err e = chainlog_open(&s->events, s->dir, "events", bytes,
                               cfg->events_files ? cfg->events_files : 64);
    enum err c = chainlog_open(&s->cdrs, s->dir, "cdr", bytes, 0);
    *ret_why = "the logs cannot be opened";
    if ((e != OK && e != ERR_SYNTAX) || (c != OK && c != ERR_SYNTAX))
        return ERR_SYSTEM;
    return eve_open(&s->eve, s->dir, bytes, cfg->events_files ? cfg->events_files : 16);
}

enum err store_open(struct store *s, const struct store_cfg *cfg, struct now now,
                    const char **ret_why)
{
    s->now = now;
    s->hash = cfg->hash;
    s->engines = cfg->engines;
    s->dir = open(cfg->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_why = "the folder cannot be opened";
    if (s->dir < 0)
        return ERR_SYSTEM;
    s->recent = calloc(STORE_RECENT, RECENT_BYTES);
    *ret_why = "no memory";
    if (!s->recent || open_init(s) != OK)
        return ERR_SYSTEM;
    *ret_why = "open.calls cannot be opened";
    enum err e = open_lock(s);
    if (e == OK)
        e = db_open(&s->db, cfg->folder, ret_why);
    if (e == OK)
        e = logs_open(s, cfg, ret_why);
    if (e != OK)
        return e;
    log_compare(s, &s->events);
    log_compare(s, &s->cdrs);
    if (!cfg->fresh) {
        log_resume(s, &s->events);
        log_resume(s, &s->cdrs);
    }
    places_load(s, cfg->fresh);
    *ret_why = "running calls cannot be read";
    return open_load(s, cfg->fresh);
}

void store_close(struct store *s)
{
    const char *why;
    (void)store_commit(s, s->now, &why);
    chainlog_close(&s->events, s->dir);
    chainlog_close(&s->cdrs, s->dir);
    eve_close(&s->eve);
    db_close(&s->db);
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        free(s->shard[i].slots);
    free(s->recent);
    open_close(s);
    if (s->dir >= 0)
        (void)close(s->dir);
}

/* -- facts -- */

/* Refusals of this second that were only counted, as one line. */
static void skipped_line(struct store *s)
{
    if (!s->skipped_n)
        return;
    struct out *o = chainlog_begin(&s->events);
    out_json_ki64(o, STR("time_us"), s->now.wall.us);
    out_json_kstr(o, STR("event"), STR("refusals-summed"));
    out_json_ku64(o, STR("times"), s->skipped_n);
    out_json_key(o, STR("reasons"));
    out_ch(o, '{');
    for (unsigned r = 0; r < REASON_COUNT; r++)
        if (s->skipped[r])
            out_json_ku64(o, reason_info((enum reason)r)->name, s->skipped[r]);
    out_ch(o, '}');
    chainlog_end(&s->events, s->dir);
    memset(s->skipped, 0, sizeof s->skipped);
    s->skipped_n = 0;
}

/* A flood must not fill the disk: so many refusals a second are written, the others counted by
 * reason. */
static bool refusal_fits(struct store *s, const struct fact *f)
{
    int64_t second = s->now.wall.us / 1000000;
    if (second != s->second) {
        skipped_line(s);
        s->second = second;
        s->refusals = 0;
    }
    if (s->refusals++ < STORE_REFUSALS_S)
        return true;
    s->skipped[f->reason]++;
    s->skipped_n++;
    s->n.refusals_skipped++;
    return false;
}

/* The first 401 of every registration is no news. */
static bool refused(const struct fact *f)
{
    return f->reason != REASON_NONE && f->reason != REASON_auth_required &&
           f->reason != REASON_auth_stale;
}

static void on_verdict(struct store *s, const struct fact *f)
{
    memcpy(s->recent + s->recent_at++ % STORE_RECENT * RECENT_BYTES, f, f->bytes);
    if (!refused(f) || !refusal_fits(s, f))
        return;
    write_verdict(s, f);
    write_event(s, f);
}

static void apply(struct store *s, const struct fact *f)
{
    switch ((enum fact_kind)f->kind) {
    case FACT_VERDICT:
        on_verdict(s, f);
        break;
    case FACT_CALL_START:
        if (!open_put(s, f))
            s->n.dropped++;
        break;
    case FACT_CALL_END:
        open_del(s, f->engine, f->u.end.session);
        write_session(s, f, false);
        break;
    case FACT_REFUSED:
        if (refusal_fits(s, f))
            write_event(s, f);
        break;
    case FACT_REGISTERED:
    case FACT_UNREGISTERED:
    case FACT_EXPIRED:
    case FACT_PEER_STATE:
    case FACT_PROCESS:
    case FACT_UPSTREAM:
    case FACT_TRANSFER:
    case FACT_MONEY:
    case FACT_ADMIN:
        write_event(s, f);
        break;
    case FACT_ALERT:
        write_alert(s, f);
        break;
    case FACT_BAN:
        write_ban(s, f);
        break;
    case FACT_EVIDENCE:
        write_evidence(s, f);
        break;
    case FACT_KIND_COUNT:
        break;
    }
}

void store_fact(struct store *s, const void *rec, size_t n, struct now now)
{
    s->now = now;
    s->n.facts++;
    if (fact_valid(rec, n) != OK) {
        s->n.bad++;
        return;
    }
    apply(s, rec);
}

void store_place(struct store *s, uint8_t source, uint64_t place)
{
    s->place[source] = place;
}

bool store_placed(const struct store *s, uint8_t source, uint64_t *ret_place)
{
    *ret_place = s->placed[source];
    return s->placed[source] != 0;
}

void store_engine_died(struct store *s, uint8_t engine, struct wall at, struct now now)
{
    s->now = now;
    for (uint32_t i = 0; i < STORE_OPEN; i++) {
        if (!s->open[i].used || s->open[i].engine != engine || s->open[i].start_us > at.us)
            continue;
        abort_call(s, &s->open[i], at.us);
        open_del(s, engine, s->open[i].session);
    }
}

/* -- batches -- */

static void log_state(struct store *s, const struct chainlog *l)
{
    char hash[2 * CHAINLOG_HASH];
    db_text(&s->db, DB_LOG_STATE, 1, str_c(l->name));
    db_int(&s->db, DB_LOG_STATE, 2, (int64_t)l->flushed_seq);
    db_text(&s->db, DB_LOG_STATE, 3, hex_text(hash, l->flushed_hash));
    (void)db_run(s, DB_LOG_STATE);
}

static void housekeeping(struct store *s)
{
    if (s->now.mono.us < s->trim_us)
        return;
    s->trim_us = instant_add(s->now.mono, TRIM_EVERY).us;
    if (!db_begin(s))
        return;
    db_int(&s->db, DB_BINDING_PURGE, 1, s->now.wall.us);
    (void)db_run(s, DB_BINDING_PURGE);
    if (s->db.next_verdict > STORE_VERDICTS) {
        db_int(&s->db, DB_VERDICT_TRIM, 1, s->db.next_verdict - 1 - STORE_VERDICTS);
        (void)db_run(s, DB_VERDICT_TRIM);
    }
    alerts_trim(s);
    sessions_trim(s);
}

static void place_row(struct store *s, unsigned source)
{
    db_int(&s->db, DB_PLACE, 1, source);
    db_int(&s->db, DB_PLACE, 2, (int64_t)s->place[source]);
    (void)db_run(s, DB_PLACE);
    s->placed[source] = s->place[source];
}

static bool db_commit(struct store *s)
{
    if (!s->db.in_batch)
        return true;
    log_state(s, &s->events);
    log_state(s, &s->cdrs);
    for (unsigned i = 0; i < STORE_PLACES; i++)
        if (s->place[i] != s->placed[i])
            place_row(s, i);
    s->db.in_batch = false;
    if (sqlite3_get_autocommit(s->db.h)) /* an error took the whole batch back */
        return false;
    if (db_run(s, DB_COMMIT))
        return true;
    (void)sqlite3_exec(s->db.h, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

bool store_commit(struct store *s, struct now now, const char **ret_why)
{
    s->now = now;
    if (now.wall.us / 1000000 != s->second)
        skipped_line(s);
    if (!s->db.h)
        return true;
    if (s->now.mono.us >= s->again_us)
        chainlog_no_more(&s->events), chainlog_no_more(&s->cdrs);
    bool files = open_write(s);
    housekeeping(s);
    bool logs = chainlog_flush(&s->events, s->dir) == OK;
    logs = (chainlog_flush(&s->cdrs, s->dir) == OK) && logs;
    logs = eve_flush(&s->eve, s->dir) && logs;
    if (s->now.mono.us >= s->sync_us) {
        s->sync_us = instant_add(s->now.mono, SYNC_EVERY).us;
        logs = (chainlog_sync(&s->events) == OK) && logs;
        logs = (chainlog_sync(&s->cdrs) == OK) && logs;
    }
    bool db = db_commit(s) && s->n.write_errors == s->write_error_shown;
    files = open_forget(s) && files;
    uint64_t batch = s->n.sessions - s->committed, lines = s->cdrs.lost - s->log_lost;
    if (!db)
        bindings_again(s);
    s->n.sessions_lost += MAX(db ? 0 : batch, lines);
    s->committed = s->n.sessions;
    s->log_lost = s->cdrs.lost;
    if (!logs)
        s->n.write_errors++;
    s->write_error_shown = s->n.write_errors;
    if (!logs || !db || !files)
        *ret_why = !logs    ? "a log cannot be written"
                   : !files ? "the file of running calls cannot be written"
                            : "the database cannot be written";
    return logs && db && files;
}
