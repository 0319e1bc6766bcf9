/* What is usual for whom, over crashes and restarts: shards of guard/fraud.h in memory of ours that
 * engines write, made before any of them with what the file in the state folder says, and written
 * there every few minutes, a slice a turn, and at the end. Nothing in a shard is believed; of the
 * file everything is checked before anything counts, and what is not ours is put aside. */
#include "app/monitor/lists.h"
#include "guard/fraud.h"
#include "io/clock.h"
#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDENTITIES                                                                                 \
    (1u << 16) /* rows of a kilobyte a shard; pages that nobody uses cost nothing                  \
                */
#define KEEP_EVERY  DUR_S(300)
#define SLICE_PAUSE DUR_MS(50)
#define SLICE_SHARE 20   /* writing takes at most one part in so many of the time */
#define SLICE_ROWS  256u /* in a block */
#define BLOCK_MAGIC UINT64_C(0x3156414852574752)

enum block_kind { BLOCK_ALL = 1, BLOCK_ROWS, BLOCK_END };
struct block { /* n records of so many bytes follow */
    uint64_t magic, index;
    struct wall at; /* of the file: blocks of two files do not mix */
    uint32_t layout, kind, n, bytes;
    uint64_t check; /* siphash of head, with 0 here, and records */
};
struct habits {
    const struct fraud_shard *view[IPC_ENGINES_MAX]; /* read-only once engines run */
    size_t bytes;
    struct block *block; /* room for a head and SLICE_ROWS rows or one of all */
    struct instant due;
    int fd; /* -1: nothing is being written */
    uint64_t index, rows;
    struct wall at;
    uint32_t shard, it;
    bool head_done; /* BLOCK_ALL of this shard is written */
    bool failed;
};

static void path_of(const struct monitor *m, const char *name, char ret[CONFIG_PATH + 32])
{
    (void)snprintf(ret, CONFIG_PATH + 32, "%s/%s", m->state, name);
}

static size_t room(void)
{
    return sizeof(struct block) + MAX(SLICE_ROWS * fraud_row_bytes(), fraud_all_bytes());
}

static size_t block_bytes(const struct block *b)
{
    return sizeof *b + (size_t)b->n * b->bytes;
}

static uint64_t check_of(const struct monitor *m, struct block *b)
{
    uint64_t was = b->check;
    b->check = 0;
    uint64_t h = siphash(&m->keys.ledger, str_of((const char *)b, block_bytes(b)));
    b->check = was;
    return h;
}

/* --- reading --- */

static bool read_all(int fd, void *p, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t r = read(fd, (uint8_t *)p + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        got += (size_t)r;
    }
    return true;
}

/* NULL: sound; else what is wrong with it. */
static const char *block_read(const struct monitor *m, int fd, uint64_t index, struct wall at)
{
    struct block *b = m->habits->block;
    if (!read_all(fd, b, sizeof *b))
        return "ends before its end";
    size_t record = b->kind == BLOCK_ALL ? fraud_all_bytes() : fraud_row_bytes();
    uint32_t most = b->kind == BLOCK_ALL ? 1 : b->kind == BLOCK_ROWS ? SLICE_ROWS : 0;
    if (b->magic != BLOCK_MAGIC || b->index != index || b->kind > BLOCK_END || !b->kind)
        return "is damaged";
    if (b->layout != FRAUD_LAYOUT || b->bytes != record)
        return "is of another version";
    if (b->n > most || (index && b->at.us != at.us))
        return "is damaged";
    if (b->n && !read_all(fd, b + 1, b->n * record))
        return "ends before its end";
    return check_of(m, b) == b->check ? NULL : "is damaged";
}

static const char *plant(struct monitor *m, struct fraud_shard *const *v, uint64_t *rows,
                         uint64_t *full)
{
    struct habits *h = m->habits;
    const struct block *b = h->block;
    const uint8_t *rec = (const uint8_t *)(b + 1);
    if (b->kind == BLOCK_ALL && b->n)
        return fraud_all_put(v[h->shard++ % m->n_engines], rec) == OK ? NULL : "makes no sense";
    for (uint32_t i = 0; i < b->n; i++) {
        enum err e = fraud_row_put(v, h->bytes, (uint8_t)m->n_engines, &m->keys.ledger,
                                   rec + i * fraud_row_bytes());
        if (e != OK && e != ERR_FULL)
            return "makes no sense";
        *rows += e == OK;
        *full += e != OK;
    }
    return NULL;
}

static const char *read_file(struct monitor *m, int fd, struct fraud_shard *const *v,
                             uint64_t *rows, uint64_t *full)
{
    struct habits *h = m->habits;
    struct wall at = {0};
    uint8_t more;
    for (uint64_t i = 0;; i++) {
        const char *why = block_read(m, fd, i, at);
        if (why)
            return why;
        at = h->block->at;
        if (h->block->kind == BLOCK_END)
            return read(fd, &more, 1) == 0 ? NULL : "goes on behind its end";
        why = plant(m, v, rows, full);
        if (why)
            return why;
    }
}

/* What the file says, or shards begun anew. */
static void take_file(struct monitor *m, struct fraud_shard *const *v)
{
    struct habits *h = m->habits;
    char path[CONFIG_PATH + 32], aside[CONFIG_PATH + 32];
    uint64_t rows = 0, full = 0;
    path_of(m, "fraud", path);
    path_of(m, "fraud.aside", aside);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return;
    const char *why = fd < 0 ? strerror(errno) : read_file(m, fd, v, &rows, &full);
    if (fd >= 0)
        (void)close(fd);
    h->shard = 0;
    if (!why) {
        monitor_log(m, SEV_INFO, "fraud: what is usual for %llu identities is known",
                    (unsigned long long)rows);
        if (full)
            monitor_log(m, SEV_ALERT, "fraud: %llu rows more do not fit: limits.bindings is small",
                        (unsigned long long)full);
        return;
    }
    for (uint32_t i = 0; i < m->n_engines; i++) {
        memset(v[i], 0, h->bytes);
        fraud_shard_begin(v[i], h->bytes);
    }
    bool moved = rename(path, aside) == 0;
    monitor_log(m, SEV_ALERT, "%s %s: what is usual for whom is learned anew%s", path, why,
                moved ? "; it is fraud.aside now" : "");
}

enum err habits_open(struct monitor *m)
{
    struct fraud_shard *v[IPC_ENGINES_MAX] = {0};
    struct habits *h = calloc(1, sizeof *h);
    enum err e = OK;
    if (!h)
        return ERR_SYSTEM;
    m->habits = h;
    h->fd = -1;
    h->due = instant_add(m->loop.now.mono, KEEP_EVERY);
    h->bytes = fraud_shard_bytes(MIN(MAX(m->conf->policy.limits.bindings, 1000u), IDENTITIES));
    h->block = malloc(room());
    if (!h->block)
        return ERR_SYSTEM;
    for (uint32_t i = 0; i < m->n_engines && e == OK; i++) {
        void *p = NULL;
        e = memfd_new("ringwall-fraud", h->bytes, &m->fraud[i].fd);
        m->fraud[i].n = m->fraud_ro[i].n = h->bytes;
        if (e == OK)
            e = memfd_readonly(m->fraud[i].fd, &m->fraud_ro[i].fd);
        if (e == OK)
            e = mem_map(m->fraud[i].fd, h->bytes, true, false, &p);
        v[i] = p;
        if (e == OK)
            fraud_shard_begin(v[i], h->bytes);
    }
    if (e == OK)
        take_file(m, v);
    for (uint32_t i = 0; i < m->n_engines; i++) { /* from here on engines write */
        void *p = NULL;
        if (v[i])
            mem_unmap(v[i], h->bytes);
        if (e == OK)
            e = mem_map(m->fraud_ro[i].fd, h->bytes, false, false, &p);
        h->view[i] = p;
    }
    return e;
}

/* --- writing --- */

static bool write_block(struct monitor *m, enum block_kind kind, uint32_t n, size_t record)
{
    struct habits *h = m->habits;
    struct block *b = h->block;
    *b = (struct block){.magic = BLOCK_MAGIC,
                        .index = h->index++,
                        .at = h->at,
                        .layout = FRAUD_LAYOUT,
                        .kind = kind,
                        .n = n,
                        .bytes = (uint32_t)record};
    b->check = check_of(m, b);
    const uint8_t *p = (const uint8_t *)b;
    for (size_t left = block_bytes(b); left;) {
        ssize_t w = write(h->fd, p, left);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        p += w;
        left -= (size_t)w;
    }
    return true;
}

static void gave_up(struct monitor *m, const char *what)
{
    struct habits *h = m->habits;
    if (!h->failed)
        monitor_log(m, SEV_ALERT, "%s/fraud.new: %s: %s: what is learned now is lost at a restart",
                    m->state, what, strerror(errno));
    h->failed = true;
    if (h->fd >= 0)
        (void)close(h->fd);
    h->fd = -1;
}

static bool begin(struct monitor *m)
{
    struct habits *h = m->habits;
    char path[CONFIG_PATH + 32];
    path_of(m, "fraud.new", path);
    (void)unlink(path); /* of a writer that died; never followed: O_EXCL below */
    h->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    h->index = h->rows = 0;
    h->shard = h->it = 0;
    h->head_done = false;
    h->at = clock_now().wall;
    if (h->fd < 0)
        gave_up(m, "it cannot be made");
    return h->fd >= 0;
}

static bool end(struct monitor *m)
{
    struct habits *h = m->habits;
    char path[CONFIG_PATH + 32], to[CONFIG_PATH + 32];
    path_of(m, "fraud.new", path);
    path_of(m, "fraud", to);
    if (!write_block(m, BLOCK_END, 0, fraud_row_bytes()) || fsync(h->fd) != 0 ||
        rename(path, to) != 0) {
        gave_up(m, "it cannot be written");
        return false;
    }
    (void)close(h->fd);
    h->fd = -1;
    h->failed = false;
    int folder = open(m->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        (void)fsync(folder);
        (void)close(folder);
    }
    return true;
}

/* The next block. False: the file is whole, or given up. */
static bool slice(struct monitor *m)
{
    struct habits *h = m->habits;
    uint8_t *rec = (uint8_t *)(h->block + 1);
    uint32_t n = 0;
    if (h->shard == m->n_engines) {
        (void)end(m);
        return false;
    }
    const struct fraud_shard *s = h->view[h->shard];
    bool all = !h->head_done;
    if (all)
        fraud_all_get(s, rec);
    while (!all && n < SLICE_ROWS &&
           fraud_row_next(s, h->bytes, &h->it, rec + n * fraud_row_bytes()))
        n++;
    h->head_done = all || n == SLICE_ROWS;
    h->rows += n;
    if (!all && n < SLICE_ROWS) {
        h->shard++;
        h->it = 0;
    }
    size_t record = all ? fraud_all_bytes() : fraud_row_bytes();
    if ((all || n) && !write_block(m, all ? BLOCK_ALL : BLOCK_ROWS, all ? 1 : n, record)) {
        gave_up(m, "it cannot be written");
        return false;
    }
    return true;
}

void habits_turn(struct monitor *m)
{
    struct habits *h = m->habits;
    struct instant began = clock_now().mono;
    if (instant_before(began, h->due))
        return;
    bool more = (h->fd >= 0 || begin(m)) && slice(m);
    if (more)
        (void)fdatasync(h->fd); /* a little now rather than much at the end */
    struct instant now = clock_now().mono;
    int64_t took = instant_sub(now, began).us;
    int64_t pause = more ? SLICE_PAUSE.us : KEEP_EVERY.us;
    h->due = instant_add(now, DUR_US(MAX(pause, took * SLICE_SHARE)));
}

void habits_keep(struct monitor *m)
{
    struct habits *h = m->habits;
    if (!h || !h->view[0])
        return;
    if (h->fd >= 0)
        (void)close(h->fd);
    if (begin(m))
        while (slice(m))
            ;
}

/* Nobody waits for the answers. */
void habits_released(struct monitor *m, struct str who)
{
    char text[512];
    struct out o = out_of(text, sizeof text);
    struct msg_query q = {++m->next_query ? m->next_query : ++m->next_query, 0};
    OUT_LIT(&o, "{\"cmd\":\"fraud-release\"");
    out_json_kstr(&o, STR("name"), who);
    out_ch(&o, '}');
    for (uint32_t i = ENGINE_SLOT(0); i < m->n_programs && !o.full; i++) {
        struct program *p = &m->program[i];
        if (p->state == PROGRAM_RUNNING)
            (void)program_send(m, p, MSG_QUERY, str_of((const char *)&q, sizeof q), out_str(&o),
                               -1);
    }
}

void habits_close(struct monitor *m)
{
    struct habits *h = m->habits;
    for (uint32_t i = 0; i < IPC_ENGINES_MAX; i++) {
        if (h && h->view[i])
            mem_unmap(h->view[i], h->bytes);
        shared_close(&m->fraud[i]);
        shared_close(&m->fraud_ro[i]);
    }
    if (h)
        free(h->block);
    free(h);
    m->habits = NULL;
}
