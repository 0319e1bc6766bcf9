/* Running calls: what is known of them, so that each gets a CDR even if its engine, or the store,
 * or everything, dies. Kept in memory and, from the first commit that sees them, as records of the
 * file open.calls: a call that began is written before its batch is committed and taken off after
 * the batch with its end was, so that wherever a kill falls it stands in the file, in the database,
 * or in the ring. Whoever stands in both of the first has ended. */
#include "app/store/store.h"
#include "base/siphash.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BUCKETS (STORE_OPEN * 2) /* a power of two */
#define NONE    UINT32_MAX
#define MAGIC   0x4f575231u /* "1RWO" */
#define RECENT  16384 /* newest CDRs that are compared with the file: more than a batch holds */

struct head {
    uint32_t magic, record;
    uint8_t rest[56];
};

static uint32_t bucket_of(uint8_t engine, uint64_t session)
{
    uint64_t h = (session + ((uint64_t)engine << 56)) *
                 UINT64_C(0x9e3779b97f4a7c15); /* both are ours, not a peer's */
    return (uint32_t)(h >> 40) & (BUCKETS - 1);
}

enum err open_init(struct store *s)
{
    s->open_fd = -1;
    s->open = calloc(STORE_OPEN, sizeof *s->open);
    s->open_bucket = malloc(BUCKETS * sizeof *s->open_bucket);
    s->open_chain = malloc(STORE_OPEN * sizeof *s->open_chain);
    s->open_dirty = calloc(STORE_OPEN / 64, sizeof *s->open_dirty);
    if (!s->open || !s->open_bucket || !s->open_chain || !s->open_dirty)
        return ERR_SYSTEM;
    memset(s->open_bucket, 0xff, BUCKETS * sizeof *s->open_bucket);
    s->open_free = s->open_ended = NONE;
    return OK;
}

static bool dirty(const struct store *s, uint32_t i)
{
    return s->open_dirty[i / 64] >> i % 64 & 1;
}

static void dirty_set(struct store *s, uint32_t i, bool on)
{
    uint64_t bit = UINT64_C(1) << i % 64;
    s->open_dirty[i / 64] = on ? s->open_dirty[i / 64] | bit : s->open_dirty[i / 64] & ~bit;
}

static uint32_t find(const struct store *s, uint8_t engine, uint64_t session)
{
    uint32_t i = s->open_bucket[bucket_of(engine, session)];
    while (i != NONE && (s->open[i].session != session || s->open[i].engine != engine))
        i = s->open_chain[i];
    return i;
}

const struct open_call *open_find(const struct store *s, uint8_t engine, uint64_t session)
{
    uint32_t i = find(s, engine, session);
    return i == NONE ? NULL : &s->open[i];
}

static void link_slot(struct store *s, uint32_t i)
{
    uint32_t b = bucket_of(s->open[i].engine, s->open[i].session);
    s->open_chain[i] = s->open_bucket[b];
    s->open_bucket[b] = i;
    s->open_n++;
}

/* Before a call of the same number that another start of the engine left: that one has ended, and
 * nobody said so. */
static void succeed(struct store *s, const struct fact *f)
{
    const struct open_call *had = open_find(s, f->engine, f->u.start.session);
    if (had && (had->start_us != f->wall_us ||
                !str_eq(TEXT_STR(had->call_id), TEXT_STR(f->u.start.call_id_a))))
        abort_call(s, had, f->wall_us);
    open_del(s, f->engine, f->u.start.session);
}

bool open_put(struct store *s, const struct fact *f)
{
    succeed(s, f);
    uint32_t i = s->open_free;
    if (i == NONE)
        return false;
    s->open_free = s->open_chain[i];
    struct open_call *c = &s->open[i];
    *c = (struct open_call){.used = 1,
                            .engine = f->engine,
                            .start_us = f->wall_us,
                            .session = f->u.start.session,
                            .call_id = f->u.start.call_id_a,
                            .from = f->u.start.from,
                            .to = f->u.start.to,
                            .user = f->u.start.user,
                            .source = f->u.start.source};
    link_slot(s, i);
    dirty_set(s, i, true);
    return true;
}

/* The slot rests until the commit: until then the file must not get another call in its place. */
void open_del(struct store *s, uint8_t engine, uint64_t session)
{
    uint32_t *link = &s->open_bucket[bucket_of(engine, session)];
    while (*link != NONE && (s->open[*link].session != session || s->open[*link].engine != engine))
        link = &s->open_chain[*link];
    uint32_t i = *link;
    if (i == NONE)
        return;
    *link = s->open_chain[i];
    s->open[i].used = 0;
    s->open_chain[i] = s->open_ended;
    s->open_ended = i;
    s->open_n--;
    dirty_set(s, i, s->open[i].written);
}

/* -- the file -- */

static off_t at(uint32_t i)
{
    return (off_t)(sizeof(struct head) + (size_t)i * sizeof(struct open_call));
}

static bool write_run(struct store *s, uint32_t from, uint32_t n)
{
    size_t bytes = n * sizeof *s->open;
    if (s->open_fd < 0 || pwrite(s->open_fd, &s->open[from], bytes, at(from)) != (ssize_t)bytes) {
        s->n.write_errors++;
        return false;
    }
    for (uint32_t i = from; i < from + n; i++)
        dirty_set(s, i, false);
    return true;
}

/* The dirty slots that are used, or those that are not, neighbours in one go. */
static bool write_dirty(struct store *s, uint8_t used)
{
    bool ok = true;
    for (uint32_t w = 0; w < STORE_OPEN / 64; w++) {
        if (!s->open_dirty[w])
            continue;
        for (uint32_t i = w * 64, n; i < w * 64 + 64; i += MAX(n, 1u)) {
            for (n = 0; i + n < w * 64 + 64 && dirty(s, i + n) && s->open[i + n].used == used; n++)
                s->open[i + n].written = used;
            ok = (!n || write_run(s, i, n)) && ok;
        }
    }
    return ok;
}

bool open_write(struct store *s)
{
    return write_dirty(s, 1);
}

bool open_forget(struct store *s)
{
    bool ok = write_dirty(s, 0);
    while (s->open_ended != NONE) {
        uint32_t i = s->open_ended;
        s->open_ended = s->open_chain[i];
        s->open_chain[i] = s->open_free;
        s->open_free = i;
    }
    return ok;
}

enum err open_lock(struct store *s)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct head h = {.magic = MAGIC, .record = sizeof(struct open_call)}, had;
    s->open_fd = openat(s->dir, "open.calls", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->open_fd < 0)
        return ERR_SYSTEM;
    while (fcntl(s->open_fd, F_SETLKW, &lock) != 0)
        if (errno != EINTR)
            return ERR_SYSTEM;
    bool ours = pread(s->open_fd, &had, sizeof had, 0) == sizeof had && had.magic == h.magic &&
                had.record == h.record;
    if (ours)
        return OK;
    if (ftruncate(s->open_fd, 0) != 0 || pwrite(s->open_fd, &h, sizeof h, 0) != sizeof h)
        return ERR_SYSTEM;
    return OK;
}

static bool record_sound(const struct open_call *c)
{
    return c->used == 1 && c->start_us > 0 && c->call_id.n <= sizeof c->call_id.p &&
           c->from.n <= sizeof c->from.p && c->to.n <= sizeof c->to.p &&
           c->user.n <= sizeof c->user.p;
}

static void file_read(struct store *s)
{
    size_t got = 0;
    ssize_t n = 1;
    while (n > 0 && got < STORE_OPEN * sizeof *s->open) {
        n = pread(s->open_fd, (char *)s->open + got, STORE_OPEN * sizeof *s->open - got,
                  at(0) + (off_t)got);
        got += n > 0 ? (size_t)n : 0;
    }
    if (got % sizeof *s->open) /* a last record that was never whole */
        memset((char *)s->open + got - got % sizeof *s->open, 0, sizeof *s->open);
    for (uint32_t i = STORE_OPEN; i-- > 0;) {
        struct open_call *c = &s->open[i];
        if (record_sound(c) && find(s, c->engine, c->session) == NONE) {
            c->written = 1;
            link_slot(s, i);
            continue;
        }
        dirty_set(s, i, c->used != 0);
        *c = (struct open_call){.written = c->used != 0};
        s->open_chain[i] = s->open_free;
        s->open_free = i;
    }
}

/* Calls that have their CDR and were not taken off any more. */
static enum err leave_out_ended(struct store *s)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db.h, "SELECT engine,session,end_us FROM sessions WHERE id>?1", -1,
                           &st, NULL) != SQLITE_OK)
        return ERR_SYSTEM;
    (void)sqlite3_bind_int64(st, 1, s->db.next_session - 1 - RECENT);
    while (s->open_n && sqlite3_step(st) == SQLITE_ROW) {
        uint8_t engine = (uint8_t)sqlite3_column_int(st, 0);
        uint64_t session = (uint64_t)sqlite3_column_int64(st, 1);
        uint32_t i = find(s, engine, session);
        if (i != NONE && s->open[i].start_us <= sqlite3_column_int64(st, 2))
            open_del(s, engine, session);
    }
    (void)sqlite3_finalize(st);
    return OK;
}

/* fresh: nothing of them can still run. When they ended is not known: now is the latest. */
enum err open_load(struct store *s, bool fresh)
{
    file_read(s);
    enum err e = leave_out_ended(s);
    for (uint32_t i = 0; fresh && i < STORE_OPEN; i++) {
        if (!s->open[i].used)
            continue;
        abort_call(s, &s->open[i], s->now.wall.us);
        open_del(s, s->open[i].engine, s->open[i].session);
    }
    return e;
}

void open_close(struct store *s)
{
    if (s->open_fd >= 0)
        (void)close(s->open_fd);
    s->open_fd = -1;
    free(s->open);
    free(s->open_bucket);
    free(s->open_chain);
    free(s->open_dirty);
}

void abort_call(struct store *s, const struct open_call *c, int64_t at_us)
{
    struct fact f = {.kind = FACT_CALL_END, .engine = c->engine, .wall_us = at_us};
    f.bytes = (uint16_t)fact_size(FACT_CALL_END);
    f.u.end.session = c->session;
    f.u.end.from = c->from;
    f.u.end.to = c->to;
    f.u.end.user = c->user;
    f.u.end.start_us = c->start_us;
    f.u.end.end_us = at_us;
    f.u.end.n_legs = 1;
    f.u.end.leg[0].call_id = c->call_id;
    f.u.end.leg[0].peer = c->source;
    f.u.end.leg[0].proto = UINT8_MAX; /* not known */
    s->n.aborted++;
    write_session(s, &f, true);
}
