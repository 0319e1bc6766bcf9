/* Bans, alerts, evidence and EVE lines of the store. */
#include "app/store/store.h"
#include "base/test.h"
#include "guard/rules.h"
#include "io/file.h"
#include "ipc/control.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct store *store;
static struct now now = {{INT64_C(5000000)}, {INT64_C(1795000000000000)}};
static char answer[1 << 20];
static struct sipkey key = {7, 8};

static void reopen(uint64_t log_bytes, uint32_t files)
{
    const char *why = "";
    struct store_cfg cfg = {.folder = folder,
                            .fresh = true,
                            .hash = key,
                            .log_bytes = log_bytes,
                            .events_files = files};
    if (store) {
        store_close(store);
        free(store);
    }
    store = calloc(1, sizeof *store);
    assert_ok(store_open(store, &cfg, now, &why));
}

static int setup(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/ringwall-bans-XXXXXX", 26);
    assert_non_null(mkdtemp(folder));
    key = (struct sipkey){7, 8};
    store = NULL;
    reopen(0, 0);
    return 0;
}

static int teardown(void **state)
{
    char path[400];
    DIR *d;
    (void)state;
    store_close(store);
    free(store);
    store = NULL;
    d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        (void)unlink(path);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(folder);
    return 0;
}

static void commit(void)
{
    const char *why = "";
    now.mono.us += 200000;
    now.wall.us += 200000;
    if (!store_commit(store, now, &why))
        fail_msg("%s", why);
}

static size_t file_text(const char *name, char *buf, size_t cap)
{
    char path[200];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_true(test_read(path, buf, cap, &n));
    return n;
}

static struct ban ban_of(uint64_t id, uint8_t scope, int64_t until_us)
{
    struct ban b = {.id = id,
                    .scope = scope,
                    .treat = TREAT_REFUSE,
                    .by = BY_DETECTOR,
                    .detector = DET_COUNT - 1,
                    .reason = REASON_shield_rate,
                    .times = 1,
                    .score = 77,
                    .since = now.wall,
                    .until = {until_us}};
    if (scope <= BAN_PAIR) {
        b.net.a.family = ADDR_V4;
        b.net.a.ip[0] = 192;
        b.net.a.ip[3] = (uint8_t)id;
        b.net.bits = 32;
    }
    if (scope != BAN_SOURCE)
        b.key = 1000 + id;
    b.who_n = 5;
    memcpy(b.who, "alice", 5);
    return b;
}

static void tell(enum ban_act act, struct ban b, uint8_t engine)
{
    static uint64_t seq;
    struct fact f;
    memset(&f, 0, sizeof f);
    f.kind = FACT_BAN;
    f.bytes = (uint16_t)fact_size(FACT_BAN);
    f.engine = engine;
    f.seq = ++seq;
    f.wall_us = now.wall.us;
    f.u.ban.act = (uint8_t)act;
    f.u.ban.ban = b;
    store_fact(store, &f, f.bytes, now);
}

/* What the monitor would be given; *ret_n without the head. */
static const struct ban *given(uint64_t *ret_highest, size_t *ret_n)
{
    static struct ban all[64];
    uint64_t bytes = 0;
    int fd = -1;
    assert_ok(store_bans(store, now, &fd, &bytes));
    assert_int_equal(bytes % sizeof *all, 0);
    assert_true(bytes >= sizeof *all && bytes <= sizeof all);
    assert_int_equal(pread(fd, all, bytes, 0), bytes);
    assert_int_equal(ftruncate(fd, 0), -1); /* sealed */
    (void)close(fd);
    assert_int_equal(all[0].scope, 0);
    *ret_highest = all[0].id;
    *ret_n = bytes / sizeof *all - 1;
    return all + 1;
}

static const struct ban *by_id(const struct ban *v, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].id == id)
            return &v[i];
    return NULL;
}

static void kept_over_a_restart(void **state)
{
    uint64_t highest;
    size_t n;
    (void)state;
    int64_t later = now.wall.us + DUR_S(3600).us;
    assert_int_equal((given(&highest, &n), n), 0);
    assert_int_equal(highest, 0);
    struct ban longer = ban_of(3, BAN_SOURCE, later);
    tell(BAN_ADDED, ban_of(1, BAN_SOURCE, later), STORE_MONITOR);
    tell(BAN_ADDED, ban_of(2, BAN_AOR, 0), STORE_MONITOR);
    tell(BAN_ADDED, longer, STORE_MONITOR);
    longer.until.us += 5;
    longer.treat = TREAT_BAN;
    tell(BAN_EXTENDED, longer, STORE_MONITOR);
    tell(BAN_ADDED, ban_of(4, BAN_SOURCE, later), STORE_MONITOR);
    tell(BAN_EXPIRED, ban_of(4, BAN_SOURCE, now.wall.us), STORE_MONITOR);
    tell(BAN_ADDED, ban_of(9, BAN_SOURCE, later), STORE_MONITOR);
    tell(BAN_RELEASED, ban_of(9, BAN_SOURCE, later), STORE_MONITOR);
    commit();
    reopen(0, 0);
    const struct ban *v = given(&highest, &n);
    assert_int_equal(highest, 9);
    assert_int_equal(n, 4); /* 4 has ended: for the next time that it would be */
    struct ban want = ban_of(1, BAN_SOURCE, later);
    want.since = by_id(v, n, 1)->since;
    assert_memory_equal(by_id(v, n, 1), &want, sizeof want);
    assert_int_equal(by_id(v, n, 2)->until.us, 0);
    assert_int_equal(by_id(v, n, 3)->until.us, later + 5);
    assert_int_equal(by_id(v, n, 3)->treat, TREAT_BAN);
    assert_int_equal(by_id(v, n, 4)->until.us <= now.wall.us, 1);
    assert_null(by_id(v, n, 9));
    key.k0++; /* another installation's: hashes mean nobody here */
    reopen(0, 0);
    v = given(&highest, &n);
    assert_null(by_id(v, n, 2));
    assert_non_null(by_id(v, n, 1));
}

/* A captured engine can write what it likes into its ring. */
static void only_the_monitor_bans(void **state)
{
    uint64_t highest;
    size_t n;
    (void)state;
    tell(BAN_ADDED, ban_of(1, BAN_SOURCE, 0), 0);
    commit();
    (void)given(&highest, &n);
    assert_int_equal(n + highest, 0);
    assert_int_equal(store->n.bad, 1);
    assert_int_equal(store->eve.bytes, 0);
}

static struct fact alert(uint8_t by, const char *from)
{
    struct fact f;
    memset(&f, 0, sizeof f);
    f.kind = FACT_ALERT;
    f.bytes = (uint16_t)fact_size(FACT_ALERT);
    f.engine = 1;
    f.wall_us = now.wall.us;
    f.reason = REASON_shield_rule_drop;
    f.u.alert.by = by;
    f.u.alert.treat = TREAT_BAN;
    f.u.alert.action = RULE_DROP;
    f.u.alert.severity = 2;
    f.u.alert.gid = 1;
    f.u.alert.sid = 4711;
    f.u.alert.rev = 3;
    f.u.alert.score = 60;
    f.u.alert.evidence = 77;
    f.u.alert.source = (struct addr){.family = ADDR_V4, .port = 5062, .ip = {192, 0, 2, 9}};
    f.u.alert.dest = (struct addr){.family = ADDR_V4, .port = 5060, .ip = {198, 51, 100, 1}};
    TEXT_SET(f.u.alert.message, STR("a scanner"));
    TEXT_SET(f.u.alert.classtype, STR("attempted-recon"));
    TEXT_SET(f.u.alert.method, STR("OPTIONS"));
    TEXT_SET(f.u.alert.from, str_c(from));
    TEXT_SET(f.u.alert.to, STR("sip:100@example.com"));
    TEXT_SET(f.u.alert.call_id, STR("c1@192.0.2.9"));
    return f;
}

static void send(struct fact f)
{
    store_fact(store, &f, f.bytes, now);
}

static struct str ask(const char *request)
{
    struct out o = out_of(answer, sizeof answer);
    uint32_t code = store_query(store, str_c(request), now, &o);
    if (code != CONTROL_OK)
        o.n = 0;
    return out_str(&o);
}

static unsigned times(struct str s, const char *what)
{
    unsigned n = 0;
    for (size_t at; (at = str_search(s, str_c(what))) < s.n; n++)
        s = str_skip(s, at + 1);
    return n;
}

static void alerts_are_found(void **state)
{
    (void)state;
    struct fact d = alert(BY_DETECTOR, "sip:bob@example.com");
    d.u.alert.source.ip[3] = 10;
    send(alert(BY_RULE, "sip:alice@example.com"));
    send(d);
    d.u.alert.detector = DET_COUNT; /* not one */
    send(d);
    commit();
    reopen(0, 0);
    assert_int_equal(times(ask("{\"cmd\":\"alerts\"}"), "\"time_us\""), 2);
    assert_int_equal(times(ask("{\"cmd\":\"alerts\",\"last\":1}"), "bob"), 1);
    assert_int_equal(times(ask("{\"cmd\":\"alerts\",\"address\":\"192.0.2.9\"}"), "alice"), 1);
    assert_int_equal(times(ask("{\"cmd\":\"alerts\",\"address\":\"192.0.2.1\"}"), "time_us"), 0);
    assert_int_equal(times(ask("{\"cmd\":\"alerts\",\"sid\":4711}"), "time_us"), 1);
    assert_int_equal(times(ask("{\"cmd\":\"alerts\",\"sid\":4712}"), "time_us"), 0);
    assert_int_equal(times(ask("{\"cmd\":\"alerts\",\"aor\":\"bob@\"}"), "time_us"), 1);
    assert_int_equal(times(ask("{\"cmd\":\"alerts\",\"call_id\":\"c1@192.0.2.9\"}"), "time_us"), 2);
    struct str who = ask("{\"cmd\":\"store-who\",\"address\":\"192.0.2.10\"}");
    assert_int_equal(times(who, "bob"), 1);
    assert_int_equal(times(who, "alice"), 0);
    assert_int_equal(ask("{\"cmd\":\"store-who\"}").n, 0);
}

static void evidence_is_shown(void **state)
{
    struct fact f;
    (void)state;
    memset(&f, 0, sizeof f);
    f.kind = FACT_EVIDENCE;
    f.bytes = (uint16_t)fact_size(FACT_EVIDENCE);
    f.u.evidence.id = UINT64_C(1) << 56 | 5;
    f.u.evidence.whole = 2000;
    static const char M[] = "OPTIONS sip:x SIP/2.0\r\nFrom: \"\\\x1b[2J\"\xff\r\n\r\n";
    f.u.evidence.n = sizeof M - 1;
    memcpy(f.u.evidence.p, M, sizeof M - 1);
    send(f);
    commit();
    struct str s = ask("{\"cmd\":\"evidence\",\"id\":72057594037927941}");
    assert_true(
        str_search(s, STR("OPTIONS sip:x SIP/2.0\\nFrom: \\\"\\\\\\\\x1b[2J\\\"\\\\xff\\n")) < s.n);
    assert_true(str_search(s, STR("\"whole\":2000")) < s.n);
    assert_int_equal(ask("{\"cmd\":\"evidence\",\"id\":6}").n, 0);
    char text[8192];
    size_t n = file_text("events.jsonl", text, sizeof text);
    assert_int_equal(times(str_of(text, n), "\"sha256\":\""), 1);
}

static void eve_lines(void **state)
{
    static char text[65536];
    (void)state;
    send(alert(BY_RULE, "sip:\"\\\xc2\x9b\xe2\x80\xae\xff\xf0\x9f\x98\x80@example.com"));
    struct fact dry = alert(BY_DETECTOR, "x");
    dry.u.alert.dry = 1;
    send(dry);
    tell(BAN_ADDED, ban_of(5, BAN_SOURCE, 0), STORE_MONITOR);
    commit();
    struct str s = str_of(text, file_text("eve.json", text, sizeof text)), line;
    for (size_t i = 0; i < s.n; i++)
        assert_true(s.p[i] == '\n' || (s.p[i] >= 0x20 && s.p[i] < 0x7f));
    s = str_cut(s, '\n', &line);
    assert_true(str_starts(line, STR("{\"timestamp\":\"20")));
    static const char *const MEMBERS[] = {
        "+0000\",\"flow_id\":",
        "\"event_type\":\"alert\"",
        "\"src_ip\":\"192.0.2.9\",\"src_port\":5062",
        "\"dest_ip\":\"198.51.100.1\",\"dest_port\":5060",
        "\"proto\":\"UDP\"",
        "\"app_proto\":\"sip\"",
        "\"action\":\"blocked\",\"gid\":1,\"signature_id\":4711,\"rev\":3",
        "\"signature\":\"a scanner\"",
        "\"category\":\"attempted-recon\",\"severity\":2",
        "\"method\":\"OPTIONS\"",
        "\"uri\":\"sip:100@example.com\"",
        "\"evidence\":77",
        "\"from\":\"sip:\\\"\\\\\\u009b\\u202e\\u00ff\\ud83d\\ude00@example.com\""};
    for (size_t i = 0; i < ARRAY_LEN(MEMBERS); i++)
        if (str_search(line, str_c(MEMBERS[i])) == line.n)
            fail_msg("no %s in %.*s", MEMBERS[i], (int)line.n, line.p);
    s = str_cut(s, '\n', &line);
    assert_true(str_search(line, STR("\"action\":\"allowed\",\"gid\":200,")) < line.n);
    assert_true(str_search(line, STR("\"dry_run\":true")) < line.n);
    s = str_cut(s, '\n', &line);
    assert_true(str_search(line, STR("\"event_type\":\"ringwall_ban\",\"src_ip\":\"192.0.0.5\"")) <
                line.n);
    assert_int_equal(s.n, 0);
}

static void eve_is_closed_by_size(void **state)
{
    (void)state;
    reopen(4096, 2);
    for (int i = 0; i < 60; i++) {
        send(alert(BY_RULE, "sip:alice@example.com"));
        commit();
    }
    unsigned closed = 0;
    uint64_t bytes = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        char path[400];
        if (!str_starts(str_c(e->d_name), STR("eve.")))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        assert_int_equal(stat(path, &st), 0);
        closed += strcmp(e->d_name, "eve.json") != 0;
        bytes += (uint64_t)st.st_size;
    }
    (void)closedir(d);
    assert_int_equal(closed, 2);
    assert_true(bytes > 8192 && bytes < 4 * 4096);
}

/* What a crash left half is no line of the next start. */
static void eve_torn_line(void **state)
{
    char path[200], text[8192];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/eve.json", folder);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "{\"timest", 8), 8);
    (void)close(fd);
    reopen(0, 0);
    send(alert(BY_RULE, "x"));
    commit();
    size_t n = file_text("eve.json", text, sizeof text);
    assert_true(str_starts(str_of(text, n), STR("{\"timest\n{\"timestamp\"")));
}

static void a_flood_is_counted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STORE_ALERTS_S + 500; i++)
        send(alert(BY_RULE, "x"));
    commit();
    assert_int_equal(store->n.alerts, STORE_ALERTS_S);
    assert_int_equal(store->n.alerts_skipped, 500);
    now.wall.us += 1000000;
    send(alert(BY_RULE, "x"));
    assert_int_equal(store->n.alerts, STORE_ALERTS_S + 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(kept_over_a_restart), TEST(only_the_monitor_bans),
                                       TEST(alerts_are_found),    TEST(evidence_is_shown),
                                       TEST(eve_lines),           TEST(eve_is_closed_by_size),
                                       TEST(eve_torn_line),       TEST(a_flood_is_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
