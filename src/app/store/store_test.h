/* For tests only: a store in a folder of its own, facts for it, and questions to it. */
#ifndef APP_STORE_STORE_TEST_H
#define APP_STORE_STORE_TEST_H
#include "app/store/store.h"
#include "base/test.h"
#include "crypto/hash.h"
#include "ipc/control.h"
#include "sip/flow.h"

static struct store store;
static char folder[64], text[1 << 20];
static struct now now;
static const struct sipkey KEY = {1, 2};

static inline int setup(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/ringwall-store-XXXXXX", 27);
    now = (struct now){{INT64_C(1000000)}, {INT64_C(1795000000) * 1000000}};
    return mkdtemp(folder) == NULL;
}

static inline int teardown(void **state)
{
    char cmd[128];
    (void)state;
    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
    return system(cmd);
}

static inline void open_store(bool fresh)
{
    struct store_cfg cfg = {.folder = folder, .fresh = fresh, .hash = KEY};
    const char *why = "";
    memset(&store, 0, sizeof store);
    if (store_open(&store, &cfg, now, &why) != OK)
        fail_msg("store_open: %s", why);
}

static inline void later(int64_t ms)
{
    now.mono.us += ms * 1000;
    now.wall.us += ms * 1000;
}

static inline void commit(void)
{
    const char *why = "";
    later(200);
    if (!store_commit(&store, now, &why))
        fail_msg("store_commit: %s", why);
}

static inline struct fact fact_of(enum fact_kind k)
{
    struct fact f = {.bytes = (uint16_t)fact_size(k),
                     .kind = (uint8_t)k,
                     .engine = 1,
                     .seq = 7,
                     .wall_us = now.wall.us};
    return f;
}

static inline void put(const struct fact *f)
{
    store_fact(&store, f, f->bytes, now);
}

static inline struct fact verdict_of(const char *call_id, enum reason r)
{
    struct fact f = fact_of(FACT_VERDICT);
    TEXT_SET(f.u.verdict.call_id, str_c(call_id));
    TEXT_SET(f.u.verdict.from, STR("sip:alice@example.com"));
    TEXT_SET(f.u.verdict.to, STR("sip:bob@example.com"));
    TEXT_SET(f.u.verdict.method, STR("INVITE"));
    TEXT_SET(f.u.verdict.user, STR("alice@example.com"));
    assert_ok(addr_parse(STR("192.0.2.1:5061"), &f.u.verdict.source));
    f.u.verdict.proto = PROTO_TLS;
    f.u.verdict.trace.gate[GATE_SOURCE].verdict = VERDICT_PASS;
    f.u.verdict.trace.gate[GATE_IDENTITY].verdict = r ? VERDICT_REFUSE : VERDICT_PASS;
    f.u.verdict.trace.gate[GATE_IDENTITY].reason = (uint16_t)r;
    f.reason = (uint16_t)r;
    f.code = reason_info(r)->code;
    return f;
}

static inline struct fact start_of(uint64_t session, const char *call_id)
{
    struct fact f = fact_of(FACT_CALL_START);
    f.u.start.session = session;
    TEXT_SET(f.u.start.call_id_a, str_c(call_id));
    TEXT_SET(f.u.start.from, STR("sip:alice@example.com"));
    TEXT_SET(f.u.start.to, STR("sip:2001@example.com"));
    TEXT_SET(f.u.start.user, STR("alice@example.com"));
    assert_ok(addr_parse(STR("192.0.2.1:5061"), &f.u.start.source));
    return f;
}

static inline struct fact end_of(uint64_t session, const char *call_id)
{
    struct fact f = fact_of(FACT_CALL_END);
    f.code = 200;
    f.u.end.session = session;
    TEXT_SET(f.u.end.from, STR("sip:alice@example.com"));
    TEXT_SET(f.u.end.to, STR("sip:2001@example.com"));
    TEXT_SET(f.u.end.user, STR("alice@example.com"));
    TEXT_SET(f.u.end.route, STR("numbers-to-pbx"));
    f.u.end.start_us = now.wall.us - 5000000;
    f.u.end.answer_us = now.wall.us - 3000000;
    f.u.end.end_us = now.wall.us;
    f.u.end.ended_by = 'a';
    f.u.end.q850 = 16;
    f.u.end.n_legs = 2;
    f.u.end.trace.gate[GATE_SOURCE].verdict = VERDICT_PASS;
    f.u.end.trace.gate[GATE_ROUTE].verdict = VERDICT_PASS;
    struct fact_leg *a = &f.u.end.leg[0], *b = &f.u.end.leg[1];
    TEXT_SET(a->call_id, str_c(call_id));
    char other[64];
    (void)snprintf(other, sizeof other, "b-%s", call_id);
    TEXT_SET(b->call_id, str_c(other));
    assert_ok(addr_parse(STR("192.0.2.1:5061"), &a->peer));
    assert_ok(addr_parse(STR("127.0.0.1:5070"), &b->peer));
    a->proto = PROTO_TLS;
    TEXT_SET(a->zone_name, STR("phones"));
    TEXT_SET(b->zone_name, STR("pbx"));
    TEXT_SET(b->peer_name, STR("pbx"));
    TEXT_SET(a->user_agent, STR("Phone \"1\""));
    a->stream[0].used = b->stream[0].used = 1;
    a->stream[0].suite = SUITE_GCM_256;
    memcpy(a->stream[0].codec, "PCMA/8000", 10);
    memcpy(b->stream[0].codec, "PCMA/8000", 10);
    a->stream[0].in.packets = 150;
    a->stream[0].in.lost = 3;
    b->stream[0].in.jitter_us = 1200;
    return f;
}

static inline const char *ask(uint32_t want, const char *request)
{
    struct out o = out_of(text, sizeof text - 1);
    assert_int_equal(store_query(&store, str_c(request), now, &o), want);
    assert_false(o.full);
    text[o.n] = 0;
    return text;
}

static inline void have(const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in %s", part, text);
}

static inline int64_t number(const char *sql)
{
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(store.db.h, sql, -1, &st, NULL), SQLITE_OK);
    int64_t v = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    (void)sqlite3_finalize(st);
    return v;
}

/* Every line that was written is JSON by another's judgement. */
static inline void lines_are_json(const char *log)
{
    char path[96];
    size_t n = 0;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(store.db.h, "SELECT json_valid(?1)", -1, &st, NULL),
                     SQLITE_OK);
    (void)snprintf(path, sizeof path, "%s/%s.jsonl", folder, log);
    assert_true(test_read(path, text, sizeof text, &n));
    for (struct str rest = str_of(text, n), line; rest.n;) {
        rest = str_cut(rest, '\n', &line);
        (void)sqlite3_bind_text(st, 1, line.p, (int)line.n, SQLITE_STATIC);
        if (sqlite3_step(st) != SQLITE_ROW || sqlite3_column_int(st, 0) != 1)
            fail_msg("no JSON: %.*s", (int)line.n, line.p);
        (void)sqlite3_reset(st);
    }
    (void)sqlite3_finalize(st);
}

static inline void done(void)
{
    const char *why;
    (void)store_commit(&store, now, &why);
    lines_are_json("events");
    lines_are_json("cdr");
    store_close(&store);
}
#endif
