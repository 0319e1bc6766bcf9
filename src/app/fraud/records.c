#include "app/fraud/records.h"
#include <stdlib.h>

#define COLUMNS 64u

enum column {
    C_START,
    C_ANSWER,
    C_USER,
    C_ROLE,
    C_TO,
    C_E164,
    C_CLASS,
    C_TRUNK,
    C_SECONDS,
    C_CODE,
    C_PRICE,
    C_SOURCE,
    C_BY,
    C_LABEL,
    C_COUNT
};
static const char *const NAMES[C_COUNT] = {
    "start",       "answer",         "user",           "role",    "to",
    "to_e164",     "class",          "trunk",          "seconds", "code",
    "price_micro", "source_country", "transferred_by", "label"};

struct text {
    char *p;
    size_t n, at;
    uint32_t line; /* of at */
    bool last;     /* the field before at was the last of its record */
    bool open;     /* and its quote does not end */
};

/* One field, quotes taken out in place; at then is behind its comma or at its line's end. */
static struct str field(struct text *t)
{
    char *p = t->p;
    size_t n = t->n;
    size_t i = t->at, w = i, from = i;
    bool quoted = i < n && p[i] == '"';
    i += quoted;
    while (i < n) {
        if (quoted && p[i] == '"') {
            if (i + 1 >= n || p[i + 1] != '"') {
                quoted = false;
                i++;
                continue;
            }
            i++;
        } else if (!quoted && (p[i] == ',' || p[i] == '\n')) {
            break;
        }
        t->line += p[i] == '\n';
        p[w++] = p[i++];
    }
    t->open = quoted;
    t->last = i >= n || p[i] == '\n';
    t->line += i < n && p[i] == '\n';
    t->at = i < n ? i + 1 : n;
    struct str s = str_trim(str_of(p + from, w - from));
    return s.n > 1 && s.p[0] == '\'' && strchr("=+-@", s.p[1]) ? str_skip(s, 1) : s;
}

static bool digits(struct str s, size_t at, size_t n, int64_t *ret)
{
    uint32_t v;
    if (s.n < at + n || str_u32(str_of(s.p + at, n), 99999, &v) != OK)
        return false;
    *ret = v;
    return true;
}

/* "2026-11-18T10:15:02.123Z", also with a space and without the fraction; or microseconds. */
static bool instant(struct str s, int64_t *ret_us)
{
    int64_t y, mo, d, h, mi, sec, ms = 0;
    uint64_t us;
    if (str_u64(s, INT64_MAX / 4, &us) == OK) {
        *ret_us = (int64_t)us;
        return true;
    }
    if (!digits(s, 0, 4, &y) || !digits(s, 5, 2, &mo) || !digits(s, 8, 2, &d) ||
        !digits(s, 11, 2, &h) || !digits(s, 14, 2, &mi) || !digits(s, 17, 2, &sec) || y < 1970 ||
        y > 9000 || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || sec > 60)
        return false;
    if (s.n >= 23 && s.p[19] == '.' && !digits(s, 20, 3, &ms))
        return false;
    y -= mo <= 2; /* days of the civil calendar, years beginning in March */
    int64_t era = y / 400, yoe = y - era * 400,
            doy = (153 * (mo + (mo > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    *ret_us = (((days * 24 + h) * 60 + mi) * 60 + sec) * 1000000 + ms * 1000;
    return true;
}

static const char *const WRONG[C_COUNT] = {[C_START] = "the time of start",
                                           [C_ANSWER] = "the time of answer",
                                           [C_SECONDS] = "seconds",
                                           [C_PRICE] = "price_micro",
                                           [C_CODE] = "code"};

/* C_COUNT, or the column that cannot be read. */
static enum column record(const struct str f[C_COUNT], struct record *x)
{
    uint64_t v;
    if (!instant(f[C_START], &x->start_us))
        return C_START;
    if (f[C_ANSWER].n && !instant(f[C_ANSWER], &x->answer_us))
        return C_ANSWER;
    if (f[C_SECONDS].n && str_u32(f[C_SECONDS], 10000000, &x->seconds) != OK)
        return C_SECONDS;
    if (f[C_PRICE].n) {
        if (str_u64(f[C_PRICE], INT64_MAX / 1024, &v) != OK)
            return C_PRICE;
        x->price_micro = (int64_t)v;
        x->priced = true;
    }
    if (f[C_CODE].n) {
        if (str_u64(f[C_CODE], 699, &v) != OK)
            return C_CODE;
        x->code = (uint16_t)v;
    }
    struct str l = f[C_LABEL];
    x->label = !l.n ? 0 : str_ieq(l, STR("fraud")) || str_eq(l, STR("1")) ? 2 : 1;
    x->user = f[C_USER];
    x->role = f[C_ROLE];
    x->to = f[C_TO];
    x->to_e164 = f[C_E164];
    x->kind = f[C_CLASS];
    x->trunk = f[C_TRUNK];
    x->source_country = f[C_SOURCE];
    x->transferred_by = f[C_BY];
    return C_COUNT;
}

static bool head(struct text *t, uint8_t ret_map[COLUMNS], bool *ret_labels)
{
    bool have[C_COUNT] = {false};
    memset(ret_map, C_COUNT, COLUMNS);
    for (unsigned i = 0; !t->last && i < COLUMNS; i++) {
        struct str s = field(t);
        for (unsigned k = 0; k < C_COUNT; k++)
            if (str_ieq(s, str_c(NAMES[k]))) {
                ret_map[i] = (uint8_t)k;
                have[k] = true;
            }
    }
    *ret_labels = have[C_LABEL];
    return t->last && !t->open && have[C_START] && (have[C_TO] || have[C_E164]);
}

static int by_start(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    if (x->start_us != y->start_us)
        return x->start_us < y->start_us ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static bool push(struct records *r, const struct record *x)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 1024;
        struct record *v = realloc(r->v, cap * sizeof *v);
        if (!v)
            return false;
        r->v = v;
        r->cap = cap;
    }
    r->v[r->n++] = *x;
    return true;
}

static void wrong(struct records *r, uint32_t line, uint32_t column, const char *why)
{
    if (r->bad++)
        return;
    r->bad_line = line;
    r->bad_column = column;
    r->bad_why = why;
}

/* The next record's fields by column; false: an empty line. */
static bool fields(struct text *t, const uint8_t map[COLUMNS], struct str ret_f[C_COUNT])
{
    bool any = false;
    t->last = false;
    for (unsigned i = 0; !t->last; i++) {
        struct str s = field(t);
        any |= s.n > 0;
        if (i < COLUMNS && map[i] < C_COUNT)
            ret_f[map[i]] = s;
    }
    return any;
}

static uint32_t place_of(const uint8_t map[COLUMNS], enum column c)
{
    for (uint32_t i = 0; i < COLUMNS; i++)
        if (map[i] == c)
            return i + 1;
    return 0;
}

enum err records_read(char *text, size_t n, struct records *ret_r, FILE *progress)
{
    struct records r = {0};
    uint8_t map[COLUMNS];
    struct text t = {.p = text, .n = n, .line = 1};
    t.at = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (!head(&t, map, &r.labels))
        return ERR_SYNTAX;
    for (uint64_t count = 1; t.at < n; count++) {
        struct str f[C_COUNT] = {{0}};
        struct record x = {.line = t.line};
        if (!fields(&t, map, f))
            continue;
        enum column bad = t.open ? C_COUNT : record(f, &x);
        if (t.open) {
            wrong(&r, x.line, 0, "the end of a quote");
        } else if (bad != C_COUNT) {
            wrong(&r, x.line, place_of(map, bad), WRONG[bad]);
        } else if (!push(&r, &x)) {
            records_free(&r);
            return ERR_SYSTEM;
        }
        if (progress && count % 100000 == 0)
            (void)fprintf(progress, "\r%llu records", (unsigned long long)count);
    }
    if (r.n)
        qsort(r.v, r.n, sizeof *r.v, by_start);
    *ret_r = r;
    return OK;
}

void records_free(struct records *r)
{
    free(r->v);
    *r = (struct records){0};
}
