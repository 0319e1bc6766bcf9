/* Files to rules: lines that a backslash joins, comments, and where in the file a problem is. */
#include "app/rules/build.h"
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

void *rule_vec_add(struct vec *v, size_t n)
{
    if (!v->p || v->n + n > v->cap) {
        size_t cap = MAX(v->cap * 2, v->n + n + 64);
        void *p = realloc(v->p, cap * v->size);
        if (!p)
            return NULL;
        v->p = p;
        v->cap = cap;
    }
    void *at = (char *)v->p + v->n * v->size;
    memset(at, 0, n * v->size);
    v->n += n;
    return at;
}

bool rule_keep_text(struct rules_build *b, struct str s, struct rules_slice *ret)
{
    size_t at = b->text.n;
    char *p = rule_vec_add(&b->text, s.n);
    if (!p || b->text.n > UINT32_MAX) {
        b->no_memory = true;
        return false;
    }
    if (s.n)
        memcpy(p, s.p, s.n);
    *ret = (struct rules_slice){(uint32_t)at, (uint32_t)s.n};
    return true;
}

/* -- problems -- */

static void printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
            *s = '?';
}

static void put_problem(struct rules_build *b, struct rules_problem *at, const char *hint,
                        const char *fmt, va_list ap) PRINTF(4, 0);
static void put_problem(struct rules_build *b, struct rules_problem *at, const char *hint,
                        const char *fmt, va_list ap)
{
    if (b->n_problems == RULES_PROBLEMS) {
        b->n_lost++;
    } else {
        struct rules_problem *q = &b->problems[b->n_problems++];
        *q = *at;
        (void)vsnprintf(q->text, sizeof q->text, fmt, ap);
        (void)snprintf(q->hint, sizeof q->hint, "%s", hint ? hint : "");
        printable(q->text);
        printable(q->hint);
    }
    b->n_errors += !at->warning;
}

static struct rules_problem locate(const struct parse *p, size_t at)
{
    size_t raw = p->n == 0 ? 0 : p->map[MIN(at, p->n - 1)] + (at >= p->n);
    struct rules_problem q = {.file = p->file, .line = 1, .column = 1};
    for (size_t i = 0; i < raw && i < p->raw.n; i++) {
        q.column = p->raw.p[i] == '\n' ? 1 : q.column + 1;
        q.line += p->raw.p[i] == '\n';
    }
    return q;
}

void rule_problem(struct parse *p, size_t at, const char *hint, const char *fmt, ...)
{
    struct rules_problem q = locate(p, at);
    va_list ap;
    va_start(ap, fmt);
    put_problem(p->b, &q, hint, fmt, ap);
    va_end(ap);
    p->bad = true;
}

void rule_warning(struct parse *p, size_t at, const char *hint, const char *fmt, ...)
{
    struct rules_problem q = locate(p, at);
    va_list ap;
    q.warning = true;
    va_start(ap, fmt);
    put_problem(p->b, &q, hint, fmt, ap);
    va_end(ap);
}

void rule_file_problem(struct rules_build *b, uint32_t file, const char *fmt, ...)
{
    struct rules_problem q = {.file = file};
    va_list ap;
    va_start(ap, fmt);
    put_problem(b, &q, "", fmt, ap);
    va_end(ap);
}

/* -- small readers -- */

static bool space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}
void rule_space(struct parse *p)
{
    while (p->at < p->n && space(p->t[p->at]))
        p->at++;
}
struct str rule_part(const struct parse *p, size_t from, size_t to)
{
    while (from < to && space(p->t[from]))
        from++;
    while (to > from && space(p->t[to - 1]))
        to--;
    return str_of(p->t + from, to - from);
}
size_t rule_place(const struct parse *p, struct str s)
{
    bool inside = s.p >= p->t && s.p <= p->t + p->n;
    return inside ? (size_t)(s.p - p->t) : p->at;
}
bool rule_number(struct parse *p, struct str s, int64_t min, int64_t max, int64_t *ret_v)
{
    bool minus = s.n && s.p[0] == '-';
    uint64_t v = 0;
    enum err e = str_u64(minus ? str_skip(s, 1) : s, INT32_MAX, &v);
    int64_t n = minus ? -(int64_t)v : (int64_t)v;
    if (e == OK && n >= min && n <= max) {
        *ret_v = n;
        return true;
    }
    rule_problem(p, rule_place(p, s), "names of byte_extract are not served",
                 "\"" STR_FMT "\" is not a number from %lld to %lld", (int)MIN(s.n, 40u), s.p,
                 (long long)min, (long long)max);
    return false;
}

/* -- lines -- */

struct joined {
    char *t;
    uint32_t *map;
    size_t n;
};

static void rule(struct rules_build *b, uint32_t file, struct str raw, struct joined *j)
{
    static struct parse p; /* large */
    if (j->n == 0)
        return;
    p = (struct parse){
        .b = b, .file = file, .raw = raw, .t = j->t, .map = j->map, .n = j->n, .last = -1};
    p.r.gid = 1;
    p.r.rev = 0;
    p.r.size_op = SIZE_OPS;
    if (rule_header_parse(&p)) {
        rule_options_parse(&p);
        rule_draft_end(&p);
    }
    j->n = 0;
}

static bool is_disabled(struct str line)
{
    static const char *const actions[] = {"alert ", "drop ", "reject ", "pass "};
    line = str_trim(str_skip(line, 1));
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (str_starts(line, str_c(actions[i])))
            return true;
    return false;
}

enum err rules_build_text(struct rules_build *b, const char *name, struct str text)
{
    if (b->n_files == RULES_FILES || text.n > RULES_FILE_MAX)
        return ERR_LIMIT;
    uint32_t file = b->n_files++;
    (void)snprintf(b->files[file], sizeof b->files[file], "%s", name);
    printable(b->files[file]);
    struct joined j = {malloc(text.n + 1), malloc((text.n + 1) * sizeof(uint32_t)), 0};
    bool more = false;
    for (size_t at = 0; j.t && j.map && at < text.n;) {
        size_t n = str_find(str_skip(text, at), '\n');
        struct str line = str_of(text.p + at, n), bare = str_trim(line);
        bool comment = !more && bare.n && bare.p[0] == '#';
        b->n_disabled += comment && is_disabled(bare);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        more = !comment && line.n && line.p[line.n - 1] == '\\';
        line.n -= more;
        for (size_t i = 0; !comment && (j.n || bare.n) && i < line.n; i++) {
            j.map[j.n] = (uint32_t)(at + i);
            j.t[j.n++] = line.p[i];
        }
        if (!more)
            rule(b, file, text, &j);
        at += n + 1;
    }
    if (!j.t || !j.map)
        b->no_memory = true;
    else
        rule(b, file, text, &j);
    free(j.t);
    free(j.map);
    return b->no_memory ? ERR_FULL : OK;
}

enum err rules_build_file(struct rules_build *b, const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rbe");
    bool is_file = f && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode);
    size_t size =
        is_file && st.st_size >= 0 && st.st_size <= (off_t)RULES_FILE_MAX ? (size_t)st.st_size : 0;
    char *text = size ? malloc(size) : NULL;
    enum err e = OK;
    if (b->n_files == RULES_FILES) {
        e = ERR_LIMIT;
    } else if (!f || !is_file || (is_file && st.st_size > (off_t)RULES_FILE_MAX)) {
        const char *why = !f ? strerror(errno) : is_file ? "too large" : "not a file";
        (void)snprintf(b->files[b->n_files], sizeof b->files[0], "%s", path);
        printable(b->files[b->n_files]);
        rule_file_problem(b, b->n_files++, "cannot be read: %s", why);
    } else if (size && !text) {
        e = ERR_FULL;
    } else {
        size = size ? fread(text, 1, size, f) : 0;
        e = rules_build_text(b, path, str_of(text, size));
    }
    if (f)
        (void)fclose(f);
    free(text);
    return e;
}
