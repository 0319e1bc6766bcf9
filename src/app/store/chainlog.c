#include "app/store/chainlog.h"
#include "base/siphash.h"
#include "crypto/hash.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL        (sizeof ",\"hash\":\"" - 1 + 2 * CHAINLOG_HASH + sizeof "\"}" - 1)
#define PATH_CAP    96u
#define AGAIN_BYTES (4u * CHAINLOG_BUFFER) /* more than one batch writes */

static enum err link_hash(const uint8_t before[CHAINLOG_HASH], struct str body,
                          uint8_t ret[CHAINLOG_HASH])
{
    const struct str parts[] = {str_of((const char *)before, CHAINLOG_HASH), body};
    return hash_parts(HASH_SHA256, parts, ARRAY_LEN(parts), ret);
}

/* Splits a line (without LF) into what is hashed and its hash. */
static bool line_split(struct str line, struct str *ret_body, uint8_t ret_hash[CHAINLOG_HASH])
{
    if (line.n < TAIL + 8)
        return false;
    struct str body = str_head(line, line.n - TAIL), tail = str_skip(line, line.n - TAIL);
    if (!str_starts(tail, STR(",\"hash\":\"")) || !str_ends(tail, STR("\"}")))
        return false;
    tail = str_of(tail.p + 9, 2 * CHAINLOG_HASH);
    *ret_body = body;
    return hex_decode(tail, ret_hash, CHAINLOG_HASH) == OK;
}

static bool line_seq(struct str body, uint64_t *ret_seq)
{
    struct str num;
    if (!str_starts(body, STR("{\"seq\":")))
        return false;
    struct str rest = str_skip(body, 7);
    size_t n = 0;
    while (n < rest.n && ascii_digit(rest.p[n]))
        n++;
    num = str_head(rest, n);
    return n < rest.n && rest.p[n] == ',' && str_u64(num, UINT64_MAX, ret_seq) == OK;
}

static bool line_prev(struct str body, uint8_t ret[CHAINLOG_HASH])
{
    size_t at = str_search(body, STR(",\"prev\":\""));
    if (at == body.n || body.n - at < 9 + 2 * CHAINLOG_HASH)
        return false;
    return hex_decode(str_of(body.p + at + 9, 2 * CHAINLOG_HASH), ret, CHAINLOG_HASH) == OK;
}

/* -- writing -- */

static void first_line(struct chainlog *l, int dirfd)
{
    struct out *o = chainlog_begin(l);
    out_json_kstr(o, STR("event"), STR("log-opened"));
    out_json_key(o, STR("prev"));
    out_ch(o, '"');
    out_hex(o, l->hash, CHAINLOG_HASH);
    out_ch(o, '"');
    chainlog_end(l, dirfd);
}

/* Closed files NAME.<12 digits>.jsonl: how many, and the first or last of them by name. */
static uint32_t closed_files(const struct chainlog *l, int dirfd, bool newest, char ret[PATH_CAP])
{
    char prefix[PATH_CAP];
    uint32_t n = 0;
    int len = snprintf(prefix, sizeof prefix, "%s.0", l->name);
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    ret[0] = 0;
    if (!d && fd >= 0)
        (void)close(fd);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (len < 0 || strncmp(e->d_name, prefix, (size_t)len) != 0 ||
            strlen(e->d_name) >= PATH_CAP)
            continue;
        n++;
        if (!ret[0] || (strcmp(e->d_name, ret) > 0) == newest)
            memcpy(ret, e->d_name, strlen(e->d_name) + 1);
    }
    if (d)
        (void)closedir(d);
    return n;
}

/* The last whole line of the file into the chain's state; cuts off an unfinished one. */
static enum err take_up(struct chainlog *l)
{
    char buf[CHAINLOG_LINE * 2 + 2];
    size_t want = MIN((size_t)l->bytes, sizeof buf);
    ssize_t got = pread(l->fd, buf, want, (off_t)(l->bytes - want));
    if (got < 0 || (size_t)got != want)
        return ERR_SYSTEM;
    struct str tail = str_of(buf, want);
    size_t lf = str_rfind(tail, '\n');
    if (lf == tail.n) {
        if (want < l->bytes)
            return ERR_SYNTAX;
        lf = (size_t)-1; /* a first line that was never finished */
    }
    l->torn_bytes = tail.n - (lf + 1);
    if (l->torn_bytes) {
        l->bytes -= l->torn_bytes;
        if (ftruncate(l->fd, (off_t)l->bytes) != 0)
            return ERR_SYSTEM;
    }
    if (l->bytes == 0)
        return OK;
    struct str line = str_head(tail, lf), body;
    size_t before = str_rfind(line, '\n');
    if (before < line.n)
        line = str_skip(line, before + 1);
    else if (want < l->bytes)
        return ERR_SYNTAX;
    return line_split(line, &body, l->hash) && line_seq(body, &l->seq) ? OK : ERR_SYNTAX;
}

static enum err open_current(struct chainlog *l, int dirfd)
{
    char path[PATH_CAP];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s.jsonl", l->name);
    l->fd = openat(dirfd, path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (l->fd < 0 || fstat(l->fd, &st) != 0)
        return ERR_SYSTEM;
    l->bytes = (uint64_t)st.st_size;
    return OK;
}

static enum err put_aside(struct chainlog *l, int dirfd, const char *kind, uint64_t n)
{
    char from[PATH_CAP], to[PATH_CAP];
    (void)snprintf(from, sizeof from, "%s.jsonl", l->name);
    (void)snprintf(to, sizeof to, "%s.%s%012llu.jsonl", l->name, kind, (unsigned long long)n);
    (void)close(l->fd);
    l->fd = -1;
    if (renameat(dirfd, from, dirfd, to) != 0)
        return ERR_SYSTEM;
    return open_current(l, dirfd);
}

/* A crash just after a file was closed leaves an empty new one: the chain goes on from the closed
 * one. */
static enum err take_up_closed(struct chainlog *l, int dirfd)
{
    char path[PATH_CAP];
    struct stat st;
    if (closed_files(l, dirfd, true, path) == 0)
        return OK;
    struct chainlog old = {.fd = openat(dirfd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    if (old.fd < 0 || fstat(old.fd, &st) != 0)
        return ERR_SYSTEM;
    old.bytes = (uint64_t)st.st_size;
    enum err e = old.bytes ? take_up(&old) : OK;
    (void)close(old.fd);
    if (e == OK) {
        l->seq = old.seq;
        memcpy(l->hash, old.hash, CHAINLOG_HASH);
    }
    return e == ERR_SYNTAX ? OK : e; /* verify will say so */
}

enum err chainlog_open(struct chainlog *l, int dirfd, const char *name, uint64_t max_bytes,
                       uint32_t keep_files)
{
    memset(l, 0, sizeof *l);
    memcpy(l->name, name, strnlen(name, sizeof l->name - 1));
    l->max_bytes = max_bytes;
    l->keep_files = keep_files;
    l->fd = -1;
    l->buf = malloc(CHAINLOG_BUFFER);
    if (!l->buf)
        return ERR_SYSTEM;
    l->out = out_of(l->buf, CHAINLOG_BUFFER);
    enum err e = open_current(l, dirfd);
    if (e == OK)
        e = l->bytes ? take_up(l) : OK;
    if (e == OK && l->bytes == 0)
        e = take_up_closed(l, dirfd);
    bool broken = e == ERR_SYNTAX;
    if (broken) {
        l->seq = 0;
        memset(l->hash, 0, sizeof l->hash);
        e = put_aside(l, dirfd, "broken.", l->bytes);
    }
    if (e != OK)
        return e;
    memcpy(l->flushed_hash, l->hash, CHAINLOG_HASH);
    l->flushed_seq = l->seq;
    if (l->bytes == 0)
        first_line(l, dirfd);
    return broken ? ERR_SYNTAX : OK;
}

/* -- lines that come again -- */

/* What a line says: behind {"seq":N and, where there is one, behind ,"id":N. */
static struct str content(struct str body, int64_t *ret_id)
{
    uint64_t id = 0;
    size_t comma = str_find(body, ',');
    struct str rest = str_skip(body, comma);
    *ret_id = 0;
    if (!str_starts(rest, STR(",\"id\":")))
        return rest;
    rest = str_skip(rest, 6);
    comma = str_find(rest, ',');
    if (str_u64(str_head(rest, comma), INT64_MAX, &id) == OK)
        *ret_id = (int64_t)id;
    return str_skip(rest, comma);
}

static uint64_t content_hash(struct str body, int64_t *ret_id)
{
    static const struct sipkey KEY = {0x636861696e, 0x6c6f67}; /* our own words: no secret */
    return siphash(&KEY, content(body, ret_id));
}

static int64_t lines_again(struct chainlog *l, struct str file, uint64_t after_seq)
{
    int64_t most = 0;
    for (size_t lf; (lf = str_find(file, '\n')) < file.n; file = str_skip(file, lf + 1)) {
        struct str body;
        uint8_t hash[CHAINLOG_HASH];
        uint64_t seq;
        if (!line_split(str_head(file, lf), &body, hash) || !line_seq(body, &seq) ||
            seq <= after_seq)
            continue;
        struct chainlog_line *more = realloc(l->again, (l->n_again + 1) * sizeof *more);
        if (!more)
            return most;
        l->again = more;
        struct chainlog_line *x = &l->again[l->n_again++];
        x->hash = content_hash(body, &x->id);
        most = MAX(most, x->id);
    }
    return most;
}

int64_t chainlog_again(struct chainlog *l, uint64_t after_seq)
{
    size_t n = (size_t)MIN(l->bytes, (uint64_t)AGAIN_BYTES);
    char *buf = l->seq > after_seq ? malloc(n) : NULL;
    int64_t most = 0;
    if (buf && pread(l->fd, buf, n, (off_t)(l->bytes - n)) == (ssize_t)n)
        most = lines_again(l, str_of(buf, n), after_seq);
    free(buf);
    return most;
}

void chainlog_no_more(struct chainlog *l)
{
    free(l->again);
    l->again = NULL;
    l->n_again = 0;
}

static bool stands_there(struct chainlog *l, struct str body)
{
    int64_t id;
    l->id_again = 0;
    uint64_t h = l->n_again ? content_hash(body, &id) : 0;
    for (uint32_t i = 0; i < l->n_again; i++) {
        if (l->again[i].hash != h)
            continue;
        l->id_again = l->again[i].id;
        l->again[i] = l->again[--l->n_again];
        return true;
    }
    return false;
}

struct out *chainlog_begin(struct chainlog *l)
{
    struct out *o = &l->out;
    DCHECK(o->cap - o->n >= CHAINLOG_LINE); /* end() flushes in time */
    l->line_at = o->n;
    o->cap = MIN(l->out.n + CHAINLOG_LINE - TAIL - 1, (size_t)CHAINLOG_BUFFER);
    OUT_LIT(o, "{\"seq\":");
    out_u64(o, l->seq + 1);
    return o;
}

void chainlog_end(struct chainlog *l, int dirfd)
{
    struct out *o = &l->out;
    size_t start = l->line_at;
    bool full = o->full;
    o->full = false;
    o->cap = CHAINLOG_BUFFER;
    uint8_t h[CHAINLOG_HASH];
    if (!full && stands_there(l, str_of(o->p + start, o->n - start))) {
        o->n = start;
        return;
    }
    if (full || link_hash(l->hash, str_of(o->p + start, o->n - start), h) != OK) {
        o->n = start;
        l->lost++;
        return;
    }
    OUT_LIT(o, ",\"hash\":\"");
    out_hex(o, h, CHAINLOG_HASH);
    OUT_LIT(o, "\"}\n");
    memcpy(l->hash, h, sizeof h);
    l->seq++;
    if (o->cap - o->n < CHAINLOG_LINE && chainlog_flush(l, dirfd) != OK)
        return; /* counted there */
}

static void forget_oldest(struct chainlog *l, int dirfd)
{
    char oldest[PATH_CAP];
    if (closed_files(l, dirfd, false, oldest) > l->keep_files)
        (void)unlinkat(dirfd, oldest, 0);
}

static uint64_t file_first_seq(const struct chainlog *l)
{
    char head[64];
    uint64_t seq = 0;
    ssize_t n = pread(l->fd, head, sizeof head, 0);
    return n > 0 && line_seq(str_of(head, (size_t)n), &seq) ? seq : l->seq;
}

static bool write_all(struct chainlog *l)
{
    size_t at = 0;
    while (at < l->out.n) {
        ssize_t n = write(l->fd, l->out.p + at, l->out.n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (at == l->out.n)
        return true;
    int why = errno;
    if (at && ftruncate(l->fd, (off_t)l->bytes) != 0) /* half a batch would break the chain */
        why = EIO;
    errno = why;
    return false;
}

static enum err write_out(struct chainlog *l)
{
    bool ok = l->fd >= 0 && write_all(l);
    if (ok) {
        l->bytes += l->out.n;
        l->dirty = true;
        l->flushed_seq = l->seq;
        memcpy(l->flushed_hash, l->hash, CHAINLOG_HASH);
    } else {
        l->lost += l->seq - l->flushed_seq;
        l->seq = l->flushed_seq;
        memcpy(l->hash, l->flushed_hash, CHAINLOG_HASH);
    }
    l->out.n = 0;
    l->out.full = false;
    return ok ? OK : ERR_SYSTEM;
}

static enum err rotate(struct chainlog *l, int dirfd)
{
    enum err e = OK;
    if (put_aside(l, dirfd, "", file_first_seq(l)) != OK && open_current(l, dirfd) != OK)
        return ERR_SYSTEM;
    if (l->bytes == 0) {
        first_line(l, dirfd);
        e = write_out(l);
    }
    if (l->keep_files)
        forget_oldest(l, dirfd);
    return e;
}

enum err chainlog_flush(struct chainlog *l, int dirfd)
{
    if (l->out.n == 0)
        return OK;
    if (l->fd < 0 && open_current(l, dirfd) != OK)
        l->fd = -1;
    enum err e = write_out(l);
    return e == OK && l->bytes >= l->max_bytes ? rotate(l, dirfd) : e;
}

enum err chainlog_sync(struct chainlog *l)
{
    if (!l->dirty || l->fd < 0)
        return OK;
    l->dirty = false;
    return fdatasync(l->fd) == 0 ? OK : ERR_SYSTEM;
}

void chainlog_close(struct chainlog *l, int dirfd)
{
    if (l->buf && chainlog_flush(l, dirfd) != OK)
        l->lost++;
    if (l->fd >= 0) {
        (void)fdatasync(l->fd);
        (void)close(l->fd);
    }
    l->fd = -1;
    free(l->buf);
    l->buf = NULL;
    chainlog_no_more(l);
}

/* -- checking -- */

static const char *line_judge(struct chain_verdict *v, struct str line,
                              const struct chain_verdict *before)
{
    struct str body;
    uint8_t said[CHAINLOG_HASH], want[CHAINLOG_HASH], prev[CHAINLOG_HASH];
    uint64_t seq;
    if (!line_split(line, &body, said) || !line_seq(body, &seq))
        return "is not a line of this log";
    if (v->lines == 0) {
        if (!line_prev(body, prev))
            return "the first line names no line before it";
        if (before &&
            (!mem_equal_ct(prev, before->hash, CHAINLOG_HASH) || seq != before->last_seq + 1))
            return "does not follow the file before it";
        memcpy(v->hash, prev, CHAINLOG_HASH);
        v->first_seq = seq;
    } else if (seq != v->last_seq + 1) {
        return "a line before it is missing, moved or doubled";
    }
    if (link_hash(v->hash, body, want) != OK || !mem_equal_ct(said, want, CHAINLOG_HASH))
        return "was changed";
    memcpy(v->hash, want, CHAINLOG_HASH);
    v->last_seq = seq;
    v->lines++;
    return NULL;
}

static enum err file_judge(int fd, char *buf, size_t cap, struct chain_verdict *v,
                           const struct chain_verdict *before)
{
    size_t have = 0;
    for (;;) {
        ssize_t n = read(fd, buf + have, cap - have);
        if (n < 0)
            return ERR_SYSTEM;
        have += (size_t)n;
        struct str rest = str_of(buf, have);
        for (size_t lf; (lf = str_find(rest, '\n')) < rest.n; rest = str_skip(rest, lf + 1)) {
            v->why = line_judge(v, str_head(rest, lf), before);
            if (v->why) {
                v->bad_line = v->lines + 1;
                return ERR_AUTH;
            }
        }
        if (rest.n == cap) {
            v->why = "is longer than any line of this log";
            v->bad_line = v->lines + 1;
            return ERR_AUTH;
        }
        memmove(buf, rest.p, rest.n);
        have = rest.n;
        if (n == 0)
            break;
    }
    v->torn = have > 0;
    if (v->torn) {
        v->why = "has no end: a crash while writing, or lines cut off";
        v->bad_line = v->lines + 1;
    }
    return v->torn ? ERR_AUTH : OK;
}

enum err chainlog_verify(int fd, const struct chain_verdict *before, struct chain_verdict *ret_v)
{
    size_t cap = 4 * CHAINLOG_LINE;
    char *buf = malloc(cap);
    memset(ret_v, 0, sizeof *ret_v);
    if (!buf)
        return ERR_SYSTEM;
    enum err e = file_judge(fd, buf, cap, ret_v, before);
    free(buf);
    return e;
}
