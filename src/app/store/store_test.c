#include "app/store/store.h"
#include "base/test.h"
#include "crypto/hash.h"
#include "ipc/control.h"
#include "sip/flow.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store store;
static char folder[64], text[1 << 20];
static struct now now;
static const struct sipkey KEY = {1, 2};

static int setup(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/ringwall-store-XXXXXX", 27);
    now = (struct now){{INT64_C(1000000)}, {INT64_C(1795000000) * 1000000}};
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    char cmd[128];
    (void)state;
    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
    return system(cmd);
}

static void open_store(bool fresh)
{
    struct store_cfg cfg = {.folder = folder, .fresh = fresh, .hash = KEY};
    const char *why = "";
    memset(&store, 0, sizeof store);
    if (store_open(&store, &cfg, now, &why) != OK)
        fail_msg("store_open: %s", why);
}

static void later(int64_t ms)
{
    now.mono.us += ms * 1000;
    now.wall.us += ms * 1000;
}

static void commit(void)
{
    const char *why = "";
    later(200);
    if (!store_commit(&store, now, &why))
        fail_msg("store_commit: %s", why);
}

static struct fact fact_of(enum fact_kind k)
{
    struct fact f = {.bytes = (uint16_t)fact_size(k),
                     .kind = (uint8_t)k,
                     .engine = 1,
                     .seq = 7,
                     .wall_us = now.wall.us};
    return f;
}

static void put(const struct fact *f)
{
    store_fact(&store, f, f->bytes, now);
}

static struct fact verdict_of(const char *call_id, enum reason r)
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

static struct fact start_of(uint64_t session, const char *call_id)
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

static struct fact end_of(uint64_t session, const char *call_id)
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

static const char *ask(uint32_t want, const char *request)
{
    struct out o = out_of(text, sizeof text - 1);
    assert_int_equal(store_query(&store, str_c(request), now, &o), want);
    assert_false(o.full);
    text[o.n] = 0;
    return text;
}

static void have(const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in %s", part, text);
}

static void have_not(const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in %s", part, text);
}

static int64_t number(const char *sql)
{
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(store.db.h, sql, -1, &st, NULL), SQLITE_OK);
    int64_t v = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    (void)sqlite3_finalize(st);
    return v;
}

/* Every line that was written is JSON by another's judgement. */
static void lines_are_json(const char *log)
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

static void done(void)
{
    const char *why;
    (void)store_commit(&store, now, &why);
    lines_are_json("events");
    lines_are_json("cdr");
    store_close(&store);
}

static void call_becomes_cdr(void **state)
{
    (void)state;
    open_store(true);
    struct fact v = verdict_of("c1", REASON_NONE), s = start_of(9, "c1"), e = end_of(9, "c1");
    put(&v);
    put(&s);
    (void)ask(CONTROL_OK, "{\"cmd\":\"explain\",\"call_id\":\"c1\"}");
    have("\"running\":[{\"engine\":1,\"session\":9");
    put(&e);
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions"), 1);
    assert_int_equal(number("SELECT count(*) FROM legs"), 2);
    assert_int_equal(number("SELECT count(*) FROM verdicts"),
                     0); /* accepted: its trace is in the session */
    assert_int_equal(
        number("SELECT packets FROM legs WHERE crypto='AEAD_AES_256_GCM' AND codec='PCMA/8000'"),
        150);
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"call_id\":\"c1\"}");
    have("\"trace\":\"source=pass route=pass\"");
    have("\"crypto\":\"AEAD_AES_256_GCM\"");
    have("\"user_agent\":\"Phone \\\"1\\\"\"");
    have("\"aborted\":false");
    have("\"truncated\":false");
    (void)ask(CONTROL_OK,
              "{\"cmd\":\"explain\",\"call_id_hex\":\"622d6331\"}"); /* b-c1: the callee's leg */
    have("\"verdicts\":[{\"time_us\":");
    have("\"running\":[]");
    (void)ask(CONTROL_NOT_FOUND, "{\"cmd\":\"explain\",\"call_id\":\"nope\"}");
    (void)ask(CONTROL_BAD_REQUEST, "{\"cmd\":\"explain\"}");
    (void)ask(CONTROL_BAD_REQUEST, "{\"cmd\":\"drop table\"}");
    done();
}

static void filters(void **state)
{
    (void)state;
    open_store(true);
    for (uint64_t i = 0; i < 30; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "f%llu", (unsigned long long)i);
        struct fact e = end_of(i, id);
        if (i == 3)
            TEXT_SET(e.u.end.user, STR("carol@example.com"));
        put(&e);
        later(1000);
    }
    commit();
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"last\":2}");
    have("\"call_id\":\"f29\"");
    have("\"call_id\":\"f28\"");
    have_not("\"call_id\":\"f27\"");
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"user\":\"carol@example.com\"}");
    have("\"call_id\":\"f3\"");
    have_not("\"call_id\":\"f4\"");
    char req[96];
    (void)snprintf(req, sizeof req, "{\"cmd\":\"cdr\",\"since_us\":%lld,\"last\":100}",
                   (long long)(now.wall.us - 3300000));
    (void)ask(CONTROL_OK, req);
    have("\"call_id\":\"f27\"");
    have_not("\"call_id\":\"f20\"");
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"user\":\"x' OR 1=1 --\"}");
    assert_string_equal(text, "{\"sessions\":[],\"truncated\":false}");
    done();
}

static void refusals(void **state)
{
    (void)state;
    open_store(true);
    struct fact first = verdict_of("r0", REASON_auth_required),
                bad = verdict_of("r1", REASON_auth_failed);
    TEXT_SET(bad.u.verdict.from, STR("sip:\xff\xfe<script>@example.com"));
    put(&first);
    put(&bad);
    commit();
    assert_int_equal(number("SELECT count(*) FROM verdicts"), 1); /* a first 401 is no news */
    (void)ask(CONTROL_OK, "{\"cmd\":\"explain\",\"call_id\":\"r0\"}");
    have("auth_required");
    (void)ask(CONTROL_OK, "{\"cmd\":\"events\"}");
    have("\"event\":\"request-refused\"");
    have("\"trace\":\"source=pass identity=refuse:auth_failed\"");
    have("\\u00ff");
    /* After a restart only the database knows. */
    done();
    open_store(false);
    (void)ask(CONTROL_OK, "{\"cmd\":\"explain\",\"call_id\":\"r1\"}");
    have("\"from\":\"sip:?\?<script>@example.com\"");
    have("\"reason\":\"auth_failed\"");
    (void)ask(CONTROL_NOT_FOUND, "{\"cmd\":\"explain\",\"call_id\":\"r0\"}");
    done();
}

static void flood_is_summed_up(void **state)
{
    (void)state;
    open_store(true);
    struct fact bad = verdict_of("flood", REASON_zone_unknown_source);
    for (unsigned i = 0; i < STORE_REFUSALS_S + 500; i++)
        put(&bad);
    later(1000);
    commit();
    assert_int_equal(number("SELECT count(*) FROM verdicts"), STORE_REFUSALS_S);
    (void)ask(CONTROL_OK, "{\"cmd\":\"events\",\"last\":1}");
    have("\"event\":\"refusals-summed\",\"times\":500,\"reasons\":{\"zone_unknown_source\":500}");
    assert_int_equal(store.n.refusals_skipped, 500);
    done();
}

static void dead_engine_aborts_its_calls(void **state)
{
    (void)state;
    open_store(true);
    for (uint64_t i = 1; i <= 3; i++) {
        struct fact s = start_of(i, i == 1 ? "one" : i == 2 ? "two" : "three");
        s.engine = i == 3 ? 2 : 1;
        put(&s);
    }
    struct fact e = end_of(1, "one");
    put(&e);
    store_engine_died(&store, 1, now.wall, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions WHERE aborted"), 1);
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"call_id\":\"two\"}");
    have("\"aborted\":true");
    assert_int_equal(store.open_n, 1); /* engine 2 lives */
    done();
}

static void calls_survive_the_gateway(void **state)
{
    (void)state;
    open_store(true);
    struct fact s = start_of(5, "long");
    put(&s);
    commit();
    done();
    open_store(false); /* only the store was gone: the call may still run */
    assert_non_null(open_find(&store, 1, 5));
    assert_int_equal(number("SELECT count(*) FROM sessions"), 0);
    struct fact e = end_of(5, "long");
    put(&e);
    commit();
    assert_null(open_find(&store, 1, 5));
    assert_int_equal(number("SELECT count(*) FROM sessions WHERE aborted"), 0);
    later(1000);
    s = start_of(5, "long");
    put(&s);
    commit();
    done();
    open_store(true); /* everything was gone */
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions WHERE aborted"), 1);
    done();
    open_store(true); /* and only once */
    assert_int_equal(store.open_n, 0);
    commit();
    assert_int_equal(number("SELECT count(*) FROM sessions WHERE aborted"), 1);
    done();
}

/* An engine that starts again counts its calls anew: the old one of that number must not vanish. */
static void same_number_again(void **state)
{
    (void)state;
    open_store(true);
    struct fact a = start_of(64, "first");
    put(&a);
    put(&a); /* the same fact again is the same call */
    assert_int_equal(store.n.aborted, 0);
    later(500);
    struct fact b = start_of(64, "second");
    put(&b);
    assert_int_equal(store.n.aborted, 1);
    assert_int_equal(store.open_n, 1);
    store_engine_died(&store, 1, (struct wall){b.wall_us - 1},
                      now); /* told late: of the one before */
    assert_int_equal(store.open_n, 1);
    commit();
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"call_id\":\"first\"}");
    have("\"aborted\":true");
    done();
}

/* As if it were killed: nothing of what is closed in order. */
static void killed(void)
{
    store.events.out.n = store.cdrs.out.n = 0;
    if (store.db.in_batch)
        (void)sqlite3_exec(store.db.h, "ROLLBACK", NULL, NULL, NULL);
    store.db.in_batch = false;
    memset(store.open_dirty, 0, STORE_OPEN / 8);
    store_close(&store);
}

static uint64_t lines_of(const char *name, const char *what)
{
    char cmd[256];
    (void)snprintf(cmd, sizeof cmd, "grep -c '%s' %s/%s.jsonl", what, folder, name);
    FILE *f = popen(cmd, "r");
    unsigned long long n = 0;
    assert_int_equal(fscanf(f, "%llu", &n), 1);
    (void)pclose(f);
    return n;
}

/* Killed before, between and after the steps of a commit: the same facts come again, and each
 * call has one CDR in each place. */
static void killed_in_a_commit(void **state)
{
    (void)state;
    for (int where = 0; where < 4; where++) {
        const char *why;
        char id[32];
        uint64_t place = 0;
        (void)snprintf(id, sizeof id, "kill-%d", where);
        open_store(true);
        struct fact s = start_of(7, id), e, v = verdict_of(id, REASON_zone_unknown_source);
        put(&s);
        store_place(&store, 1, 100);
        commit();
        later(100);
        e = end_of(7, id);
        put(&v);
        put(&e);
        store_place(&store, 1, 200);
        if (where >= 1)
            assert_ok(chainlog_flush(&store.events, store.dir));
        if (where >= 2)
            assert_ok(chainlog_flush(&store.cdrs, store.dir));
        if (where >= 3)
            assert_true(store_commit(&store, now, &why));
        killed();
        open_store(false);
        assert_true(store_placed(&store, 1, &place));
        assert_int_equal(place, where >= 3 ? 200 : 100);
        if (where < 3) { /* the ring still has them */
            put(&v);
            put(&e);
        }
        commit();
        assert_int_equal(store.open_n, 0);
        char sql[128];
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM legs WHERE call_id='%s'", id);
        assert_int_equal(number(sql), 1);
        assert_int_equal(lines_of("cdr", id), 1);
        assert_int_equal(lines_of("events", id), 1);
        done();
    }
    assert_int_equal(lines_of("events", "log-damaged"), 0);
}

static void hostile_records_are_counted(void **state)
{
    (void)state;
    open_store(true);
    struct fact e = end_of(1, "x");
    store_fact(&store, &e, e.bytes - 1u, now);
    store_fact(&store, &e, 3, now);
    e.u.end.n_legs = 3;
    put(&e);
    e.u.end.n_legs = 2;
    e.u.end.leg[1].call_id.n = 255;
    put(&e);
    assert_int_equal(store.n.bad, 4);
    assert_int_equal(store.n.sessions, 0);
    e = end_of(1, "x");
    e.u.end.leg[0].stream[0].suite = 200; /* numbers that no enum has */
    e.u.end.leg[0].proto = 77;
    memset(e.u.end.leg[0].stream[0].codec, 'c', 24);
    e.u.end.trace.gate[0].reason = 60000;
    e.u.end.trace.gate[1].verdict = 99;
    put(&e);
    struct fact p = fact_of(FACT_PROCESS), g = fact_of(FACT_REGISTERED),
                d = fact_of(FACT_PEER_STATE), r = fact_of(FACT_REFUSED);
    p.engine = UINT8_MAX;
    put(&p);
    put(&g);
    put(&d);
    r.reason = REASON_tls_handshake;
    put(&r);
    commit();
    assert_int_equal(store.n.sessions, 1);
    done();
}

/* -- bindings -- */

static void bind_phone(struct location_shard *shard, const char *aor, const char *contact,
                       int64_t for_s, uint32_t cseq)
{
    struct binding b = {
        .expires = {now.wall.us + for_s * 1000000}, .cseq = cseq, .q = 1000, .flags = BINDING_NAT};
    b.aor_hash = location_hash(&KEY, str_c(aor));
    b.aor_len = (uint8_t)strlen(aor);
    b.contact_len = (uint8_t)strlen(contact);
    memcpy(b.aor, aor, b.aor_len);
    memcpy(b.contact, contact, b.contact_len);
    b.flow.proto = PROTO_TLS;
    b.flow.listener = 2;
    assert_ok(addr_parse(STR("192.0.2.1:40000"), &b.flow.peer));
    assert_ok(location_put(shard, &b));
}

static unsigned restored_n;
static struct binding restored[8];
static bool keep(void *ctx, const struct binding *b)
{
    (void)ctx;
    assert_true(restored_n < ARRAY_LEN(restored));
    restored[restored_n++] = *b;
    return true;
}

static void bindings_survive(void **state)
{
    enum { CAP = 64 };
    (void)state;
    struct location_shard *shard = calloc(1, location_bytes(CAP));
    assert_ok(location_attach(shard, CAP));
    open_store(true);
    assert_ok(store_watch(&store, 0, shard, CAP));
    bind_phone(shard, "alice@example.com", "sip:a@192.0.2.1", 3600, 1);
    bind_phone(shard, "bob@example.com", "sip:b@192.0.2.2", 3600, 1);
    bind_phone(shard, "carol@example.com", "sip:c@192.0.2.3", 2, 1);
    store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings"), 3);
    uint64_t written = store.n.bindings_written;
    store_bindings(&store, now);
    assert_int_equal(store.n.bindings_written, written); /* nothing new, nothing written */
    /* A batch that the database takes back (disk full) is written again. */
    bind_phone(shard, "dora@example.com", "sip:d@192.0.2.4", 2, 1);
    store_bindings(&store, now);
    const char *why = "";
    assert_int_equal(sqlite3_exec(store.db.h, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_false(store_commit(&store, now, &why));
    assert_int_equal(number("SELECT count(*) FROM bindings"), 3);
    for (int i = 0; i < 8; i++)
        store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings"), 4);
    bind_phone(shard, "alice@example.com", "sip:a@192.0.2.1", 7200, 2);
    struct binding gone = {
        .aor_hash = location_hash(&KEY, STR("bob@example.com")), .aor_len = 15, .contact_len = 15};
    memcpy(gone.aor, "bob@example.com", 15);
    memcpy(gone.contact, "sip:b@192.0.2.2", 15);
    assert_true(location_del(shard, &gone));
    store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings"), 3);
    (void)ask(CONTROL_OK, "{\"cmd\":\"bindings\",\"aor\":\"alice\"}");
    have("\"aor\":\"alice@example.com\",\"contact\":\"sip:a@192.0.2.1\"");
    have("\"shown\":1,\"total\":1");
    done();
    later(5000); /* carol's has run out meanwhile */
    open_store(true);
    restored_n = 0;
    assert_ok(store_restore(&store, now, keep, NULL));
    assert_int_equal(restored_n, 1);
    assert_int_equal(restored[0].cseq, 2);
    assert_int_equal(restored[0].flags, BINDING_NAT | BINDING_RESTORED);
    assert_int_equal(restored[0].aor_hash, location_hash(&KEY, STR("alice@example.com")));
    assert_int_equal(restored[0].flow.listener, 2);
    assert_int_equal(restored[0].flow.peer.port, 40000);
    /* Given back to the board, it is the same row again. */
    memset(shard, 0, location_bytes(CAP));
    assert_ok(location_attach(shard, CAP));
    assert_ok(location_put(shard, &restored[0]));
    assert_ok(store_watch(&store, 0, shard, CAP));
    store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings WHERE aor='alice@example.com'"), 1);
    done();
    free(shard);
}

/* What a captured engine writes of a user who is not its own neither comes into the database nor
 * takes the place of what stands there, which goes by user and Contact. */
static void bindings_of_others_users(void **state)
{
    enum { CAP = 8 };
    (void)state;
    struct location_shard *shard[2];
    unsigned home = (unsigned)(siphash(&KEY, STR("alice@example.com")) % 2);
    for (int i = 0; i < 2; i++) {
        shard[i] = calloc(1, location_bytes(CAP));
        assert_ok(location_attach(shard[i], CAP));
    }
    open_store(true);
    store.engines = 2;
    for (uint8_t i = 0; i < 2; i++)
        assert_ok(store_watch(&store, i, shard[i], CAP));
    bind_phone(shard[home], "alice@example.com", "sip:a@192.0.2.1", 3600, 1);
    bind_phone(shard[!home], "alice@example.com", "sip:a@192.0.2.1", 3600, 7);
    bind_phone(shard[!home], "alice@example.com", "sip:a@192.0.2.66", 3600, 8);
    /* And one whose hash is not that of its name. */
    struct binding b = {
        .aor_hash = 5, .aor_len = 1, .contact_len = 5, .expires = {now.wall.us + 3600 * 1000000ll}};
    memcpy(b.aor, "x", 1);
    memcpy(b.contact, "sip:x", 5);
    assert_ok(location_put(shard[home], &b));
    store_bindings(&store, now);
    commit();
    assert_int_equal(number("SELECT count(*) FROM bindings"), 1);
    assert_int_equal(number("SELECT cseq FROM bindings"), 1);
    done();
    free(shard[0]);
    free(shard[1]);
}

/* -- things that break -- */

static void killed_without_warning(void **state)
{
    (void)state;
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* writes calls until it is killed; tells each commit */
        open_store(true);
        for (uint64_t i = 1;; i++) {
            char id[24];
            const char *why;
            (void)snprintf(id, sizeof id, "k%llu", (unsigned long long)i);
            struct fact e = end_of(i, id);
            put(&e);
            if (i % 10 == 0 &&
                (!store_commit(&store, now, &why) || write(pipe_fd[1], &i, sizeof i) != sizeof i))
                _exit(1);
        }
    }
    uint64_t told = 0, n = 0;
    while (n < 50 && read(pipe_fd[0], &told, sizeof told) == sizeof told)
        n++;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(pipe_fd[1]);
    while (read(pipe_fd[0], &told, sizeof told) == sizeof told)
        continue;
    (void)close(pipe_fd[0]);
    assert_true(told >= 500);
    open_store(true);
    assert_true(number("SELECT count(*) FROM sessions") >= (int64_t)told);
    assert_int_equal(
        number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check='ok'"), 1);
    assert_true(store.cdrs.seq > told);
    commit();
    done();
    struct chain_verdict v;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/cdr.jsonl", folder);
    int fd = open(path, O_RDONLY);
    assert_ok(chainlog_verify(fd, NULL, &v));
    (void)close(fd);
    assert_true(v.lines > told);
}

static void lines_cut_off_the_log_are_noticed(void **state)
{
    char path[96];
    (void)state;
    open_store(true);
    for (uint64_t i = 0; i < 5; i++) {
        struct fact e = end_of(i, "x");
        put(&e);
    }
    commit();
    done();
    (void)snprintf(path, sizeof path, "%s/cdr.jsonl", folder);
    size_t n = 0;
    assert_true(test_read(path, text, sizeof text, &n));
    size_t lf = str_rfind(str_of(text, n - 1), '\n');
    assert_int_equal(truncate(path, (off_t)lf + 1), 0);
    open_store(true);
    commit();
    (void)ask(CONTROL_OK, "{\"cmd\":\"events\",\"last\":1}");
    have("\"event\":\"log-damaged\",\"log\":\"cdr\",\"lines_missing\":1");
    done();
}

static void full_disk_loses_and_recovers(void **state)
{
    struct rlimit old, tight;
    const char *why = "";
    (void)state;
    open_store(true);
    struct fact e = end_of(1, "before");
    put(&e);
    commit();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    tight = old;
    tight.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (uint64_t i = 0; i < 200; i++) {
        e = end_of(i, "during");
        put(&e);
    }
    later(200);
    bool ok = store_commit(&store, now, &why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(ok);
    assert_true(strlen(why) > 0);
    assert_true(store.cdrs.lost >= 1);
    assert_in_range(store.n.sessions_lost, store.cdrs.lost, 200);
    uint64_t lost = store.n.sessions_lost;
    e = end_of(7, "after");
    put(&e);
    commit();
    (void)ask(CONTROL_OK, "{\"cmd\":\"cdr\",\"call_id\":\"after\"}");
    have("\"session\":7");
    assert_int_equal(store.n.sessions_lost, lost);
    done();
}

static void not_a_database(void **state)
{
    char path[96];
    struct store_cfg cfg = {.folder = folder, .fresh = true};
    const char *why = "";
    (void)state;
    (void)snprintf(path, sizeof path, "%s/ringwall.db", folder);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is no database ", f);
    (void)fclose(f);
    memset(&store, 0, sizeof store);
    assert_int_not_equal(store_open(&store, &cfg, now, &why), OK);
    assert_true(strlen(why) > 0);
    store_close(&store);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(call_becomes_cdr),
        T(filters),
        T(refusals),
        T(flood_is_summed_up),
        T(dead_engine_aborts_its_calls),
        T(calls_survive_the_gateway),
        T(same_number_again),
        T(killed_in_a_commit),
        T(hostile_records_are_counted),
        T(bindings_survive),
        T(bindings_of_others_users),
        T(killed_without_warning),
        T(lines_cut_off_the_log_are_noticed),
        T(full_disk_loses_and_recovers),
        T(not_a_database),
    };
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
