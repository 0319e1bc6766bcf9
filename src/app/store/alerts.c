/* Alerts and the messages that they are about: rows, bounded by number and age, and questions. */
#include "app/store/store.h"
#include "crypto/hash.h"
#include "guard/rules.h"
#include "sip/flow.h"

#define LAST_MAX 10000u
#define ROOM     (16u * 1024)

static struct str transport(uint8_t proto)
{
    return proto <= PROTO_TLS ? proto_param((enum sip_proto)proto) : STR("");
}

static struct str addr_text(const struct addr *a, bool port, char buf[ADDR_TEXT_MAX])
{
    struct out o = out_of(buf, ADDR_TEXT_MAX);
    if (a->family == ADDR_NONE)
        return STR_NONE;
    if (port)
        addr_put(&o, a);
    else
        addr_put_ip(&o, a);
    return out_str(&o);
}

static struct str action_name(uint8_t a)
{
    static const char *const names[] = {"alert", "pass", "drop", "reject"};
    return a < ARRAY_LEN(names) ? str_c(names[a]) : STR("");
}

static const char *alert_name(const struct fact *f)
{
    return f->u.alert.by == BY_DETECTOR ? detector_name((enum detector)f->u.alert.detector) : "";
}

static void alert_row(struct store *s, const struct fact *f)
{
    struct db *d = &s->db;
    char source[ADDR_TEXT_MAX], dest[ADDR_TEXT_MAX], ip[ADDR_TEXT_MAX];
    bool rule = f->u.alert.by == BY_RULE;
    const int64_t n[] = {d->next_alert,
                         f->wall_us,
                         f->engine,
                         rule ? f->u.alert.gid : 0,
                         rule ? f->u.alert.sid : 0,
                         rule ? f->u.alert.rev : 0,
                         f->u.alert.severity,
                         f->u.alert.score,
                         f->u.alert.level,
                         f->u.alert.dry,
                         (int64_t)f->u.alert.evidence,
                         f->code};
    const struct str t[] = {addr_text(&f->u.alert.source, false, ip),
                            addr_text(&f->u.alert.source, true, source),
                            addr_text(&f->u.alert.dest, true, dest),
                            transport(f->u.alert.proto),
                            str_c(alert_name(f)),
                            str_c(treat_name((enum treat)f->u.alert.treat)),
                            rule ? action_name(f->u.alert.action) : STR_NONE,
                            f->reason ? reason_info((enum reason)f->reason)->name : STR_NONE,
                            TEXT_STR(f->u.alert.message),
                            TEXT_STR(f->u.alert.classtype),
                            TEXT_STR(f->u.alert.method),
                            TEXT_STR(f->u.alert.call_id),
                            TEXT_STR(f->u.alert.from),
                            TEXT_STR(f->u.alert.to),
                            TEXT_STR(f->u.alert.user_agent)};
    if (!db_begin(s))
        return;
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        db_int(d, DB_ALERT, (int)i + 1, n[i]);
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        db_text(d, DB_ALERT, (int)(ARRAY_LEN(n) + i) + 1, t[i]);
    if (db_run(s, DB_ALERT))
        d->next_alert++;
}

/* A flood of attackers must not fill the disk: so many a second are written, the rest counted. */
static bool fits(struct store *s)
{
    int64_t second = s->now.wall.us / 1000000;
    if (second != s->alert_second) {
        s->alert_second = second;
        s->alerts = 0;
    }
    if (s->alerts++ < STORE_ALERTS_S)
        return true;
    s->n.alerts_skipped++;
    return false;
}

void write_alert(struct store *s, const struct fact *f)
{
    if (f->u.alert.by > BY_RULE || f->u.alert.treat >= TREAT_COUNT ||
        (f->u.alert.by == BY_DETECTOR && f->u.alert.detector >= DET_COUNT)) {
        s->n.bad++;
        return;
    }
    if (!fits(s))
        return;
    s->n.alerts++;
    alert_row(s, f);
    write_event(s, f);
    eve_alert(&s->eve, s->dir, f);
}

void write_evidence(struct store *s, const struct fact *f)
{
    struct db *d = &s->db;
    if (!fits(s) || !db_begin(s))
        return;
    db_int(d, DB_EVIDENCE, 1, d->next_evidence);
    db_int(d, DB_EVIDENCE, 2, (int64_t)f->u.evidence.id);
    db_int(d, DB_EVIDENCE, 3, f->wall_us);
    db_int(d, DB_EVIDENCE, 4, f->u.evidence.whole);
    (void)sqlite3_bind_blob(d->st[DB_EVIDENCE], 5, f->u.evidence.p, f->u.evidence.n, SQLITE_STATIC);
    if (db_run(s, DB_EVIDENCE))
        d->next_evidence++;
    write_event(s, f);
}

/* -- members of the event log -- */

static void text(struct out *o, struct str key, struct str v)
{
    if (v.n)
        out_json_kstr(o, key, v);
}

void alert_members(struct out *o, const struct fact *f)
{
    put_addr(o, STR("source"), &f->u.alert.source);
    put_addr(o, STR("dest"), &f->u.alert.dest);
    text(o, STR("transport"), transport(f->u.alert.proto));
    if (f->u.alert.by == BY_RULE) {
        out_json_ku64(o, STR("gid"), f->u.alert.gid);
        out_json_ku64(o, STR("sid"), f->u.alert.sid);
        out_json_ku64(o, STR("rev"), f->u.alert.rev);
        text(o, STR("action"), action_name(f->u.alert.action));
    }
    text(o, STR("detector"), str_c(alert_name(f)));
    text(o, STR("treat"), str_c(treat_name((enum treat)f->u.alert.treat)));
    out_json_ku64(o, STR("priority"), f->u.alert.severity);
    out_json_ku64(o, STR("score"), f->u.alert.score);
    out_json_ku64(o, STR("level"), f->u.alert.level);
    if (f->u.alert.dry)
        out_json_kbool(o, STR("dry_run"), true);
    text(o, STR("message"), TEXT_STR(f->u.alert.message));
    text(o, STR("class"), TEXT_STR(f->u.alert.classtype));
    text(o, STR("method"), TEXT_STR(f->u.alert.method));
    text(o, STR("call_id"), TEXT_STR(f->u.alert.call_id));
    text(o, STR("from"), TEXT_STR(f->u.alert.from));
    text(o, STR("to"), TEXT_STR(f->u.alert.to));
    text(o, STR("user_agent"), TEXT_STR(f->u.alert.user_agent));
    if (f->u.alert.evidence)
        out_json_ku64(o, STR("evidence"), f->u.alert.evidence);
}

/* The message itself stands in the database; the chain holds what proves that it was this one. */
void evidence_members(struct out *o, const struct fact *f)
{
    uint8_t hash[32];
    struct str parts[] = {str_of(f->u.evidence.p, f->u.evidence.n)};
    out_json_ku64(o, STR("evidence"), f->u.evidence.id);
    out_json_ku64(o, STR("bytes"), f->u.evidence.n);
    out_json_ku64(o, STR("whole"), f->u.evidence.whole);
    if (hash_parts(HASH_SHA256, parts, 1, hash) != OK)
        return;
    out_json_key(o, STR("sha256"));
    out_ch(o, '"');
    out_hex(o, hash, sizeof hash);
    out_ch(o, '"');
}

/* -- questions -- */

static const char ALERTS[] =
    "SELECT json_object('id',id,'time_us',time_us,'engine',engine,'gid',nullif(gid,0),"
    "'sid',nullif(sid,0),'rev',nullif(rev,0),'severity',severity,'score',score,'level',level,"
    "'dry_run',json(iif(dry,'true','false')),'evidence',nullif(evidence,0),'code',nullif(code,0),"
    "'source',source,'dest',dest,'transport',transport,'detector',detector,'treat',treat,"
    "'action',action,'reason',reason,'message',message,'class',class,'method',method,"
    "'call_id',call_id,'from',from_uri,'to',to_uri,'user_agent',user_agent) FROM alerts "
    "WHERE (?1 IS NULL OR ip=?1) AND (?2 IS NULL OR instr(from_uri,?2) OR instr(to_uri,?2)) "
    "AND (?3 IS NULL OR detector=?3) AND (?4 IS NULL OR sid=?4) AND (?5 IS NULL OR call_id=?5) "
    "ORDER BY id DESC LIMIT ?6";

static struct str json_row(sqlite3_stmt *st)
{
    return str_of((const char *)sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0));
}

static void bind_text(sqlite3_stmt *st, int i, struct str v)
{
    if (v.n)
        (void)sqlite3_bind_text(st, i, v.p, (int)v.n, SQLITE_TRANSIENT);
}

bool alerts_put(struct store *s, const struct alerts_ask *ask, struct out *o)
{
    sqlite3_stmt *st = NULL;
    bool first = true;
    int r = SQLITE_ERROR;
    if (!s->db.h || sqlite3_prepare_v2(s->db.h, ALERTS, -1, &st, NULL) != SQLITE_OK)
        return false;
    bind_text(st, 1, ask->ip);
    bind_text(st, 2, ask->aor);
    bind_text(st, 3, ask->detector);
    if (ask->sid)
        (void)sqlite3_bind_int64(st, 4, ask->sid);
    bind_text(st, 5, ask->call_id);
    (void)sqlite3_bind_int64(st, 6, MIN(ask->last, LAST_MAX));
    while ((r = sqlite3_step(st)) == SQLITE_ROW) {
        struct str row = json_row(st);
        if (!row.p || o->cap - o->n < row.n + ROOM)
            break;
        if (!first)
            out_ch(o, ',');
        first = false;
        out_put(o, row);
    }
    (void)sqlite3_finalize(st);
    return r == SQLITE_DONE;
}

/* The text of a message with every byte that is not printable ASCII or a line break as \xNN: safe
 * in JSON and on a terminal. */
static void message_put(struct out *o, const uint8_t *p, size_t n)
{
    out_json_key(o, STR("text"));
    out_ch(o, '"');
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\r' && i + 1 < n && p[i + 1] == '\n')
            continue;
        if (p[i] == '\n')
            OUT_LIT(o, "\\n");
        else if (p[i] == '"')
            OUT_LIT(o, "\\\"");
        else if (p[i] == '\\')
            OUT_LIT(o, "\\\\");
        else if (p[i] >= 0x20 && p[i] < 0x7f)
            out_ch(o, (char)p[i]);
        else {
            OUT_LIT(o, "\\\\x");
            out_hex(o, &p[i], 1);
        }
    }
    out_ch(o, '"');
}

bool evidence_put(struct store *s, uint64_t id, struct out *o)
{
    sqlite3_stmt *st = NULL;
    if (!s->db.h || sqlite3_prepare_v2(
                        s->db.h, "SELECT time_us,whole,message FROM evidence WHERE id=?1 LIMIT 1",
                        -1, &st, NULL) != SQLITE_OK)
        return false;
    (void)sqlite3_bind_int64(st, 1, (int64_t)id);
    bool found = sqlite3_step(st) == SQLITE_ROW;
    if (found) {
        out_ch(o, '{');
        out_json_ku64(o, STR("evidence"), id);
        out_json_ki64(o, STR("time_us"), sqlite3_column_int64(st, 0));
        out_json_ki64(o, STR("whole"), sqlite3_column_int64(st, 1));
        out_json_ku64(o, STR("bytes"), (uint64_t)sqlite3_column_bytes(st, 2));
        message_put(o, sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2));
        out_ch(o, '}');
    }
    (void)sqlite3_finalize(st);
    return found;
}

/* Once a minute. */
void alerts_trim(struct store *s)
{
    int64_t old = s->now.wall.us - STORE_ALERTS_AGE.us;
    const struct {
        enum db_stmt st;
        int64_t v;
    } steps[] = {{DB_ALERT_TRIM, s->db.next_alert - 1 - STORE_ALERTS},
                 {DB_ALERT_OLD, old},
                 {DB_EVIDENCE_TRIM, s->db.next_evidence - 1 - STORE_EVIDENCE},
                 {DB_EVIDENCE_OLD, old},
                 {DB_BAN_TRIM, 0},
                 {DB_BAN_OLD, old}};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (i < 4)
            db_int(&s->db, steps[i].st, 1, steps[i].v);
        else
            db_int(&s->db, steps[i].st, 1, i == 4 ? STORE_BANS : steps[i].v);
        (void)db_run(s, steps[i].st);
    }
}
