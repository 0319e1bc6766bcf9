/* The store's side of a captured engine: any bytes as records of a ring. Each record: one byte of
 * kind, the rest its body, put into a header that passes, so that the fuzzer reaches the texts and
 * numbers inside. Afterwards the logs must still be JSON lines of an unbroken chain, and the store
 * must still answer. */
#include "app/store/store.h"
#include "crypto/hash.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct store store;
static struct now now = {{1000000}, {INT64_C(1795000000) * 1000000}};

static void open_once(void)
{
    static char folder[] = "/tmp/ringwall-fuzz-XXXXXX";
    struct store_cfg cfg = {.folder = folder, .fresh = true};
    const char *why;
    if (store.db.h)
        return;
    CHECK(crypto_init() == OK && mkdtemp(folder) && store_open(&store, &cfg, now, &why) == OK);
    char path[64];
    static const char *const FILES[] = {"ringwall.db", "ringwall.db-wal", "ringwall.db-shm",
                                        "events.jsonl", "cdr.jsonl"};
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) { /* nothing stays behind */
        (void)snprintf(path, sizeof path, "%s/%s", folder, FILES[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static void lines_are_json(const struct chainlog *l)
{
    static sqlite3_stmt *st;
    if (!st)
        CHECK(sqlite3_prepare_v2(store.db.h, "SELECT json_valid(?1)", -1, &st, NULL) == SQLITE_OK);
    for (struct str rest = out_str(&l->out), line; rest.n;) {
        rest = str_cut(rest, '\n', &line);
        (void)sqlite3_bind_text(st, 1, line.p, (int)line.n, SQLITE_STATIC);
        CHECK(sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 0) == 1);
        (void)sqlite3_reset(st);
    }
}

static void ask(const char *request)
{
    static char text[1 << 20];
    struct out o = out_of(text, sizeof text);
    (void)store_query(&store, str_c(request), now, &o);
    CHECK(!o.full && o.n > 1 && text[0] == '{' && text[o.n - 1] == '}');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    union {
        struct fact f;
        uint8_t bytes[sizeof(struct fact)];
    } rec;
    open_once();
    store_fact(&store, data, size, now); /* as it is */
    while (size > 1) {
        memset(&rec, 0, sizeof rec);
        uint8_t kind = (uint8_t)(1 + data[0] % (FACT_KIND_COUNT - 1));
        size_t n = MIN(size - 1, fact_size((enum fact_kind)kind));
        memcpy(rec.bytes, data + 1, n);
        rec.f.kind = kind;
        rec.f.bytes = (uint16_t)fact_size((enum fact_kind)kind);
        store_fact(&store, rec.bytes, rec.f.bytes, now);
        data += 1 + n;
        size -= 1 + n;
    }
    store_engine_died(&store, 1, now.wall, now);
    lines_are_json(&store.events);
    lines_are_json(&store.cdrs);
    ask("{\"cmd\":\"cdr\",\"last\":5}");
    ask("{\"cmd\":\"explain\",\"call_id_hex\":\"00\"}");
    ask("{\"cmd\":\"facts\"}");
    now.wall.us += 1000000; /* the next input has its own allowance of refusals */
    store.events.out.n = store.cdrs.out.n = 0;
    memset(&store.recent_at, 0, sizeof store.recent_at);
    CHECK(store.db.in_batch == (sqlite3_get_autocommit(store.db.h) == 0));
    if (store.db.in_batch)
        (void)sqlite3_exec(store.db.h, "ROLLBACK", NULL, NULL, NULL);
    store.db.in_batch = false;
    return 0;
}
