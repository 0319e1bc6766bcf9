/* Questions of the control socket. SQLite makes the JSON of what lies in it. */
#include "app/store/store.h"
#include "io/clock.h"
#include "ipc/control.h"
#include <unistd.h>

#define ROOM          (16u * 1024) /* free space of the answer below which it is cut, and says so */
#define ROWS_MAX      100000u
#define QUERY_LONGEST DUR_MS(500) /* then it is answered with what was found, "truncated" */
#define TAIL_READ     (1024u * 1024)

#define SESSION_JSON                                                                               \
    "json_object('id',s.id,'engine',s.engine,'session',s.session,'from',s.from_uri,'to',s.to_uri," \
    "'user',s.user,"                                                                               \
    "'route',s.route,'start_us',s.start_us,'ring_us',nullif(s.ring_us,0),'answer_us',nullif(s."    \
    "answer_us,0),"                                                                                \
    "'end_us',s.end_us,'code',nullif(s.code,0),'reason',s.reason,'q850',nullif(s.q850,0),'ended_"  \
    "by',s.ended_by,"                                                                              \
    "'aborted',json(iif(s.aborted,'true','false')),'trace',s.trace,"                               \
    "'to_e164',b.e164,'class',b.class,'country',b.country,'role',b.role,'trunk',b.trunk,'shown',"  \
    "b.shown,'device',b.device,'seconds',b.seconds,'price_micro',b.micro,'currency',b.currency,"   \
    "'source_country',b.source_country,'attest',b.attest,'verstat',b.verstat,"                     \
    "'transferred_by',(SELECT t.transferred_by FROM transfers t WHERE t.id=s.id),"                 \
    "'other_session',(SELECT t.other_session FROM transfers t WHERE t.id=s.id),"                   \
    "'legs',(SELECT "                                                                              \
    "json_group_array(json_object("                                                                \
    "'call_id',l.call_id,'peer',l.peer,'transport',l.transport,'zone',l.zone,'peer_name',l.peer_"  \
    "name,"                                                                                        \
    "'user_agent',l.user_agent,'crypto',l.crypto,'codec',l.codec,'port',l.port,'packets',l."       \
    "packets,'octets',l.octets,"                                                                   \
    "'lost',l.lost,'discarded',l.discarded,'jitter_us',l.jitter_us,'max_jitter_us',l.max_jitter_"  \
    "us,"                                                                                          \
    "'one_way',json(iif(l.one_way,'true','false')),'latched',json(iif(l.latched,'true','false'))," \
    "'stream2',json(l.stream2)))"                                                                  \
    " FROM legs l WHERE l.id BETWEEN s.id*2 AND s.id*2+1))"
/* The Call-ID index lies in parts of 8192 rows (see db.c): each is asked, the newest first. */
#define PARTS(table)                                                                               \
    "WITH RECURSIVE part(n) AS (SELECT (SELECT max(id) FROM " table                                \
    ")>>13 UNION ALL SELECT n-1 FROM part WHERE n>0) "
#define BY_CALL(table) "part CROSS JOIN " table " ON id>>13=n AND call_hash=?1 AND call_id=?2"
static const char CDR_BY_CALL[] =
    PARTS("legs") "SELECT " SESSION_JSON
                  " FROM sessions s LEFT JOIN bills b ON b.id=s.id WHERE s.id IN (SELECT id/2 "
                  "FROM " BY_CALL("legs") ") ORDER BY s.id DESC LIMIT ?3";
static const char CDR_LATEST[] =
    "SELECT " SESSION_JSON " FROM sessions s LEFT JOIN bills b ON b.id=s.id WHERE (?1 IS NULL OR "
    "s.user=?1 OR instr(s.from_uri,?1)"
    " OR instr(s.to_uri,?1)) AND s.end_us>=?2 ORDER BY s.id DESC LIMIT ?3";
/* Pages for the export, oldest first. */
static const char CDR_PAGE[] =
    "SELECT " SESSION_JSON
    " FROM sessions s LEFT JOIN bills b ON b.id=s.id WHERE s.id>?1 AND (?2 IS NULL OR s.user=?2)"
    " AND s.end_us>=?3 AND s.end_us<?4 ORDER BY s.id LIMIT ?5";
static const char CALLER_ID[] =
    PARTS("legs") "SELECT a.call_id FROM legs a WHERE a.id IN (SELECT id/2*2 FROM " BY_CALL(
        "legs") ") LIMIT 1";
static const char VERDICTS[] =
    PARTS("verdicts") "SELECT "
                      "json_object('time_us',time_us,'engine',engine,'method',method,'from',from_"
                      "uri,'to',to_uri,"
                      "'user',user,'source',source,'transport',transport,'code',nullif(code,0),'"
                      "reason',reason,'trace',trace) FROM " BY_CALL(
                          "verdicts") " WHERE time_us<?3 ORDER BY id LIMIT 100";

static uint32_t sorry(struct out *o, uint32_t code, const char *text)
{
    o->n = 0;
    o->full = false;
    out_ch(o, '{');
    out_json_kstr(o, STR("error"), str_c(text));
    out_ch(o, '}');
    return code;
}

/* Call-IDs hold quotes and backslashes: they come as hex, or plain where a person asks by hand. */
static struct str call_id_of(struct str request, char buf[256])
{
    struct str hex = control_member(request, "call_id_hex");
    if (hex.n && hex.n <= 510 && hex.n % 2 == 0 && hex_decode(hex, (uint8_t *)buf, hex.n / 2) == OK)
        return str_head(str_of(buf, hex.n / 2), FACT_ID - 1); /* facts hold no more */
    return str_head(control_member(request, "call_id"), FACT_ID - 1);
}

static uint32_t count_of(struct str request, const char *key, uint32_t otherwise, uint32_t max)
{
    uint32_t v;
    struct str s = control_member(request, key);
    return s.n && str_u32(s, UINT32_MAX, &v) == OK ? MIN(v, max) : otherwise;
}

/* Rows of one JSON column as elements; false when the answer had to be cut. */
static bool rows_put(sqlite3_stmt *st, struct out *o, bool *first)
{
    int r;
    while ((r = sqlite3_step(st)) == SQLITE_ROW) {
        struct str row =
            str_of((const char *)sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0));
        if (!row.p)
            continue;
        if (o->cap - o->n < row.n + ROOM)
            return false;
        if (!*first)
            out_ch(o, ',');
        *first = false;
        out_put(o, row);
    }
    return r == SQLITE_DONE;
}

static sqlite3_stmt *prepared(struct store *s, const char *sql)
{
    sqlite3_stmt *st = NULL;
    if (s->db.h && sqlite3_prepare_v2(s->db.h, sql, -1, &st, NULL) == SQLITE_OK)
        return st;
    (void)sqlite3_finalize(st);
    return NULL;
}

static void bind(sqlite3_stmt *st, int i, struct str v)
{
    if (v.n)
        (void)sqlite3_bind_text(st, i, v.p, (int)v.n, SQLITE_TRANSIENT);
}

static bool sessions_by_call(struct store *s, struct str call_id, struct out *o)
{
    bool first = true;
    sqlite3_stmt *st = prepared(s, CDR_BY_CALL);
    if (!st)
        return false;
    (void)sqlite3_bind_int64(st, 1, call_hash(call_id));
    bind(st, 2, call_id);
    (void)sqlite3_bind_int(st, 3, 100);
    bool whole = rows_put(st, o, &first);
    (void)sqlite3_finalize(st);
    return whole;
}

/* {"cmd":"cdr","after":N}: those behind that id, the oldest first. */
static bool sessions_page(struct store *s, struct str request, uint64_t after, uint64_t since,
                          struct out *o)
{
    bool first = true;
    uint64_t until = INT64_MAX;
    struct str until_text = control_member(request, "until_us");
    sqlite3_stmt *st = prepared(s, CDR_PAGE);
    if (!st || (until_text.n && str_u64(until_text, INT64_MAX, &until) != OK)) {
        (void)sqlite3_finalize(st);
        return false;
    }
    (void)sqlite3_bind_int64(st, 1, (int64_t)after);
    bind(st, 2, control_member(request, "user"));
    (void)sqlite3_bind_int64(st, 3, (int64_t)since);
    (void)sqlite3_bind_int64(st, 4, (int64_t)until);
    (void)sqlite3_bind_int64(st, 5, count_of(request, "last", 500, ROWS_MAX));
    bool whole = rows_put(st, o, &first);
    (void)sqlite3_finalize(st);
    return whole;
}

static uint32_t query_cdr(struct store *s, struct str request, struct out *o)
{
    char buf[256];
    struct str call_id = call_id_of(request, buf);
    bool whole, first = true;
    uint64_t since = 0, after = 0;
    struct str after_text = control_member(request, "after"),
               since_text = control_member(request, "since_us");
    if (since_text.n && str_u64(since_text, INT64_MAX, &since) != OK)
        return sorry(o, CONTROL_BAD_REQUEST, "since_us is not a time");
    if (after_text.n && str_u64(after_text, INT64_MAX, &after) != OK)
        return sorry(o, CONTROL_BAD_REQUEST, "after is not the number of a record");
    OUT_LIT(o, "{\"sessions\":[");
    if (after_text.n) {
        whole = sessions_page(s, request, after, since, o);
    } else if (call_id.n) {
        whole = sessions_by_call(s, call_id, o);
    } else {
        sqlite3_stmt *st = prepared(s, CDR_LATEST);
        if (!st)
            return sorry(o, CONTROL_FAILED, "the database does not answer");
        bind(st, 1, control_member(request, "user"));
        (void)sqlite3_bind_int64(st, 2, (int64_t)since);
        (void)sqlite3_bind_int64(st, 3, count_of(request, "last", 20, ROWS_MAX));
        whole = rows_put(st, o, &first);
        (void)sqlite3_finalize(st);
    }
    OUT_LIT(o, "],\"truncated\":");
    out_put(o, whole ? STR("false}") : STR("true}"));
    return CONTROL_OK;
}

static void verdict_put(struct out *o, const struct fact *f)
{
    out_ch(o, '{');
    out_json_ki64(o, STR("time_us"), f->wall_us);
    out_json_ku64(o, STR("engine"), f->engine);
    out_json_kstr(o, STR("method"), TEXT_STR(f->u.verdict.method));
    out_json_kstr(o, STR("from"), TEXT_STR(f->u.verdict.from));
    out_json_kstr(o, STR("to"), TEXT_STR(f->u.verdict.to));
    out_json_kstr(o, STR("user"), TEXT_STR(f->u.verdict.user));
    put_addr(o, STR("source"), &f->u.verdict.source);
    out_json_kstr(o, STR("transport"),
                  proto_param((enum sip_proto)MIN(f->u.verdict.proto, (uint8_t)PROTO_TLS)));
    if (f->code)
        out_json_ku64(o, STR("code"), f->code);
    if (f->reason)
        out_json_kstr(o, STR("reason"), reason_info((enum reason)f->reason)->name);
    out_json_key(o, STR("trace"));
    out_ch(o, '"');
    put_trace(o, &f->u.verdict.trace);
    OUT_LIT(o, "\"}");
}

/* The newest in memory, what is older from the database. */
static unsigned verdicts_put(struct store *s, struct str call_id, struct out *o)
{
    uint32_t held = MIN(s->recent_at, STORE_RECENT);
    int64_t oldest = held ? recent_get(s, s->recent_at - held)->wall_us : INT64_MAX;
    bool first = true;
    unsigned n = 0;
    sqlite3_stmt *st = prepared(s, VERDICTS);
    if (st) {
        (void)sqlite3_bind_int64(st, 1, call_hash(call_id));
        bind(st, 2, call_id);
        (void)sqlite3_bind_int64(st, 3, oldest);
        (void)rows_put(st, o, &first);
        (void)sqlite3_finalize(st);
    }
    for (uint32_t k = s->recent_at - held; k != s->recent_at && n < 100; k++) {
        const struct fact *f = recent_get(s, k);
        if (!str_eq(TEXT_STR(f->u.verdict.call_id), call_id))
            continue;
        if (!first)
            out_ch(o, ',');
        first = false;
        verdict_put(o, f);
        n++;
    }
    return n + !first;
}

static unsigned running_put(struct store *s, struct str call_id, struct out *o)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < STORE_OPEN && n < 16; i++) {
        const struct open_call *c = &s->open[i];
        if (!c->used || !str_eq(TEXT_STR(c->call_id), call_id))
            continue;
        if (n++)
            out_ch(o, ',');
        out_ch(o, '{');
        out_json_ku64(o, STR("engine"), c->engine);
        out_json_ku64(o, STR("session"), c->session);
        out_json_ki64(o, STR("start_us"), c->start_us);
        out_json_kstr(o, STR("from"), TEXT_STR(c->from));
        out_json_kstr(o, STR("to"), TEXT_STR(c->to));
        out_json_kstr(o, STR("user"), TEXT_STR(c->user));
        out_ch(o, '}');
    }
    return n;
}

/* The caller's Call-ID of a finished call, also when asked by that of the callee's leg. */
static struct str caller_id(struct store *s, struct str call_id, char buf[256])
{
    struct str found = call_id;
    sqlite3_stmt *st = prepared(s, CALLER_ID);
    if (!st)
        return found;
    (void)sqlite3_bind_int64(st, 1, call_hash(call_id));
    bind(st, 2, call_id);
    if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) <= 256) {
        found = str_of(buf, (size_t)sqlite3_column_bytes(st, 0));
        if (found.n)
            memcpy(buf, sqlite3_column_text(st, 0), found.n);
    }
    (void)sqlite3_finalize(st);
    return found;
}

static uint32_t query_explain(struct store *s, struct str request, struct out *o)
{
    char buf[256], other[256];
    struct str call_id = call_id_of(request, buf);
    if (!call_id.n)
        return sorry(o, CONTROL_BAD_REQUEST, "no Call-ID is given");
    out_ch(o, '{');
    out_json_kstr(o, STR("call_id"), call_id);
    out_json_key(o, STR("sessions"));
    out_ch(o, '[');
    size_t at = o->n;
    (void)sessions_by_call(s, call_id, o);
    bool found = o->n > at;
    struct str caller = caller_id(s, call_id, other);
    OUT_LIT(o, "],\"verdicts\":[");
    found = verdicts_put(s, caller, o) > 0 || found;
    OUT_LIT(o, "],\"running\":[");
    found = running_put(s, caller, o) > 0 || found;
    OUT_LIT(o, "]}");
    return found ? CONTROL_OK
                 : sorry(o, CONTROL_NOT_FOUND, "no request with this Call-ID is on record");
}

static void binding_put(struct out *o, const struct binding *b, unsigned engine)
{
    out_ch(o, '{');
    out_json_kstr(o, STR("aor"), str_of(b->aor, b->aor_len));
    out_json_kstr(o, STR("contact"), str_of(b->contact, b->contact_len));
    out_json_ki64(o, STR("expires_us"), b->expires.us);
    out_json_kstr(o, STR("transport"),
                  proto_param((enum sip_proto)MIN(b->flow.proto, (uint8_t)PROTO_TLS)));
    put_addr(o, STR("source"), &b->flow.peer);
    out_json_ku64(o, STR("engine"), engine);
    out_json_ku64(o, STR("q"), b->q);
    out_json_kbool(o, STR("nat"), b->flags & BINDING_NAT);
    out_json_kbool(o, STR("restored"), b->flags & BINDING_RESTORED);
    out_ch(o, '}');
}

static uint32_t query_bindings(struct store *s, struct str request, struct out *o)
{
    struct str aor = control_member(request, "aor");
    uint32_t shown = 0, total = 0, last = count_of(request, "last", ROWS_MAX, 1000000);
    OUT_LIT(o, "{\"bindings\":[");
    for (unsigned e = 0; e < STORE_SHARDS; e++) {
        for (uint32_t i = 0; i < location_fresh(s->shard[e].v); i++) {
            struct binding b;
            if (!location_slot(s->shard[e].v, i, &b) || b.expires.us <= s->now.wall.us)
                continue;
            if (aor.n && str_search(str_of(b.aor, b.aor_len), aor) == b.aor_len)
                continue;
            total++;
            if (shown >= last || o->cap - o->n < ROOM)
                continue;
            if (shown++)
                out_ch(o, ',');
            binding_put(o, &b, e);
        }
    }
    OUT_LIT(o, "],");
    out_json_ku64(o, STR("shown"), shown);
    out_json_ku64(o, STR("total"), total);
    out_ch(o, '}');
    return CONTROL_OK;
}

/* The newest lines of the event log as they stand in the file. */
static uint32_t query_events(struct store *s, struct str request, struct out *o)
{
    uint32_t last = count_of(request, "last", 50, ROWS_MAX), n = 0;
    size_t want = (size_t)MIN(s->events.bytes, (uint64_t)TAIL_READ);
    char *buf = malloc(want + 1);
    ssize_t got = buf ? pread(s->events.fd, buf, want, (off_t)(s->events.bytes - want)) : -1;
    if (got < 0) {
        free(buf);
        return sorry(o, CONTROL_FAILED, "the event log cannot be read");
    }
    struct str text = str_of(buf, (size_t)got);
    size_t from = text.n; /* of the first line that is shown */
    for (size_t at = text.n ? text.n - 1 : 0; at > 0 && n < last; n++) {
        size_t lf = str_rfind(str_head(text, at), '\n');
        if (lf == at && want < s->events.bytes)
            break; /* the first piece may be half a line */
        from = lf == at ? 0 : lf + 1;
        at = lf == at ? 0 : lf;
    }
    OUT_LIT(o, "{\"events\":[");
    bool first = true;
    for (struct str rest = str_skip(text, from), line; rest.n && o->cap - o->n > ROOM;) {
        rest = str_cut(rest, '\n', &line);
        if (!first)
            out_ch(o, ',');
        first = false;
        out_put(o, line);
    }
    OUT_LIT(o, "]}");
    free(buf);
    return CONTROL_OK;
}

/* What administrators did: their lines of the newest file of the log, which a flood of other
 * events in it does not hide. */
static uint32_t query_audit(struct store *s, struct str request, struct out *o)
{
    static const struct str MARK = STR(",\"event\":\"admin-act\"");
    uint32_t last = count_of(request, "last", 50, ROWS_MAX), n = 0;
    size_t size = (size_t)s->events.bytes, at = size;
    char *buf = malloc(size + 1);
    ssize_t got = buf ? pread(s->events.fd, buf, size, 0) : -1;
    if (got < 0) {
        free(buf);
        return sorry(o, CONTROL_FAILED, "the event log cannot be read");
    }
    struct str text = str_of(buf, (size_t)got);
    bool first = true;
    OUT_LIT(o, "{\"acts\":[");
    for (at = text.n; at > 0 && n < last && o->cap - o->n > ROOM;) { /* newest first */
        size_t end = text.p[at - 1] == '\n' ? at - 1 : at;
        size_t lf = str_rfind(str_head(text, end), '\n');
        size_t from = lf == end ? 0 : lf + 1;
        struct str line = str_of(text.p + from, end - from);
        at = from;
        if (str_search(str_head(line, 160), MARK) >= MIN(line.n, (size_t)160))
            continue;
        if (!first)
            out_ch(o, ',');
        first = false;
        out_put(o, line);
        n++;
    }
    OUT_LIT(o, "]}");
    free(buf);
    return CONTROL_OK;
}

/* By address, user, detector, rule or call; what is not named fits all. */
static uint32_t query_alerts(struct store *s, struct str request, struct out *o)
{
    char buf[256], ip[ADDR_TEXT_MAX];
    struct str address = control_member(request, "address");
    struct addr a;
    struct out t = out_of(ip, sizeof ip);
    struct alerts_ask ask = {.aor = control_member(request, "aor"),
                             .detector = control_member(request, "detector"),
                             .call_id = call_id_of(request, buf),
                             .sid = count_of(request, "sid", 0, UINT32_MAX),
                             .last = count_of(request, "last", 20, ROWS_MAX)};
    if (address.n && addr_parse_ip(address, &a) != OK)
        return sorry(o, CONTROL_BAD_REQUEST, "that is no address");
    if (address.n) {
        addr_put_ip(&t, &a);
        ask.ip = out_str(&t);
    }
    OUT_LIT(o, "{\"alerts\":[");
    bool whole = alerts_put(s, &ask, o);
    OUT_LIT(o, "],\"truncated\":");
    out_put(o, whole ? STR("false}") : STR("true}"));
    return CONTROL_OK;
}

static const char REFUSALS[] =
    "SELECT json_object('time_us',time_us,'engine',engine,'method',method,'from',from_uri,'to',"
    "to_uri,'user',user,'source',source,'transport',transport,'code',nullif(code,0),'reason',"
    "reason,'call_id',call_id,'trace',trace) FROM verdicts WHERE id>(SELECT max(id) FROM "
    "verdicts)-200000 AND ((?1 IS NOT NULL AND (source=?1 OR source LIKE ?1||':%')) OR (?2 IS NOT "
    "NULL AND (instr(from_uri,?2) OR instr(to_uri,?2) OR user=?2))) ORDER BY id DESC LIMIT 10";

/* Bindings of the user, or from the address. */
static void who_bindings(struct store *s, const struct addr *a, struct str aor, struct out *o)
{
    uint32_t shown = 0;
    for (unsigned e = 0; e < STORE_SHARDS; e++) {
        for (uint32_t i = 0; i < location_fresh(s->shard[e].v) && shown < 100; i++) {
            struct binding b;
            if (!location_slot(s->shard[e].v, i, &b) || b.expires.us <= s->now.wall.us)
                continue;
            if (a ? !addr_eq_ip(a, &b.flow.peer) : !str_starts(str_of(b.aor, b.aor_len), aor))
                continue;
            if (shown++)
                out_ch(o, ',');
            binding_put(o, &b, e);
        }
    }
}

/* What is on record of an address or a user: alerts, refusals, registrations. */
static uint32_t query_who(struct store *s, struct str request, struct out *o)
{
    char ip[ADDR_TEXT_MAX], host[ADDR_TEXT_MAX];
    struct str address = control_member(request, "address"), aor = control_member(request, "aor");
    struct addr a;
    struct out t = out_of(ip, sizeof ip), h = out_of(host, sizeof host);
    struct alerts_ask ask = {.aor = aor, .last = 10};
    bool first = true;
    if (address.n ? addr_parse_ip(address, &a) != OK : !aor.n)
        return sorry(o, CONTROL_BAD_REQUEST, "name an address or a user");
    if (address.n) {
        addr_put_ip(&t, &a);
        addr_put_host(&h, &a);
        ask.ip = out_str(&t);
    }
    OUT_LIT(o, "{\"alerts\":[");
    (void)alerts_put(s, &ask, o);
    OUT_LIT(o, "],\"refusals\":[");
    sqlite3_stmt *st = prepared(s, REFUSALS);
    if (st) {
        bind(st, 1, out_str(&h));
        bind(st, 2, aor);
        (void)rows_put(st, o, &first);
        (void)sqlite3_finalize(st);
    }
    OUT_LIT(o, "],\"bindings\":[");
    who_bindings(s, address.n ? &a : NULL, aor, o);
    OUT_LIT(o, "]}");
    return CONTROL_OK;
}

static uint32_t query_evidence(struct store *s, struct str request, struct out *o)
{
    uint64_t id;
    if (str_u64(control_member(request, "id"), INT64_MAX, &id) != OK)
        return sorry(o, CONTROL_BAD_REQUEST, "evidence is named by its number");
    return evidence_put(s, id, o)
               ? CONTROL_OK
               : sorry(o, CONTROL_NOT_FOUND, "no message of that number is kept (any more)");
}

static uint32_t query_facts(struct store *s, struct out *o)
{
    const struct store_counts *n = &s->n;
    out_ch(o, '{');
    out_json_ku64(o, STR("facts"), n->facts);
    out_json_ku64(o, STR("malformed"), n->bad);
    out_json_ku64(o, STR("sessions"), n->sessions);
    out_json_ku64(o, STR("aborted"), n->aborted);
    out_json_ku64(o, STR("running"), s->open_n);
    out_json_ku64(o, STR("running_not_noted"), n->dropped);
    out_json_ku64(o, STR("refusals_written"), n->verdicts);
    out_json_ku64(o, STR("refusals_only_counted"), n->refusals_skipped);
    out_json_ku64(o, STR("bindings_written"), n->bindings_written);
    out_json_ku64(o, STR("bindings_deleted"), n->bindings_deleted);
    out_json_ku64(o, STR("write_errors"), n->write_errors);
    out_json_ku64(o, STR("alerts"), n->alerts);
    out_json_ku64(o, STR("alerts_only_counted"), n->alerts_skipped);
    out_json_ku64(o, STR("log_lines_lost"), s->events.lost + s->cdrs.lost + s->eve.lost);
    out_ch(o, '}');
    return CONTROL_OK;
}

static int late(void *until)
{
    return clock_now().mono.us > *(const int64_t *)until;
}

static uint32_t answer(struct store *s, struct str request, struct out *o)
{
    struct str cmd = control_member(request, "cmd");
    if (str_eq(cmd, STR("cdr")))
        return query_cdr(s, request, o);
    if (str_eq(cmd, STR("explain")))
        return query_explain(s, request, o);
    if (str_eq(cmd, STR("bindings")))
        return query_bindings(s, request, o);
    if (str_eq(cmd, STR("events")))
        return query_events(s, request, o);
    if (str_eq(cmd, STR("audit")))
        return query_audit(s, request, o);
    if (str_eq(cmd, STR("alerts")))
        return query_alerts(s, request, o);
    if (str_eq(cmd, STR("evidence")))
        return query_evidence(s, request, o);
    if (str_eq(cmd, STR("store-who")))
        return query_who(s, request, o);
    if (str_eq(cmd, STR("facts")))
        return query_facts(s, o);
    return sorry(o, CONTROL_BAD_REQUEST, "the store does not know this command");
}

/* Facts pile up in the rings while a question is answered: a long one is cut short. */
uint32_t store_query(struct store *s, struct str request, struct now now, struct out *o)
{
    int64_t until = instant_add(clock_now().mono, QUERY_LONGEST).us;
    s->now = now;
    if (s->db.h)
        sqlite3_progress_handler(s->db.h, 10000, late, &until);
    uint32_t code = answer(s, request, o);
    if (s->db.h)
        sqlite3_progress_handler(s->db.h, 0, NULL, NULL);
    return code;
}
