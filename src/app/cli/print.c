#include "app/cli/cli.h"
#include "app/config/values.h"
#include <stdarg.h>
#include <time.h>

/* Bytes of the UTF-8 sequence at p (checked by value_text before), and what it encodes. */
static size_t decode(const unsigned char *p, uint32_t *ret_c)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fu);
    *ret_c = c;
    return n;
}

/* Controls (C0, DEL, C1), line separators, marks that turn or hide text. */
static bool steers(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

/* Next character of s as it may be shown: its bytes, or "?". */
static struct str next_safe(struct str *s)
{
    size_t good = value_text(str_head(*s, 4));
    uint32_t c = 0;
    size_t n = good ? decode((const unsigned char *)s->p, &c) : 1;
    if (good && n > good)
        n = 1, good = 0;
    struct str shown = !good || steers(c) ? STR("?") : str_head(*s, n);
    *s = str_skip(*s, n);
    return shown;
}

void put_safe(FILE *to, struct str s)
{
    while (s.n) {
        struct str c = next_safe(&s);
        (void)fwrite(c.p, 1, c.n, to);
    }
}

#define COLUMNS  12u
#define CELL_MAX 120u
struct table {
    unsigned columns, at;
    size_t width[COLUMNS];
    FILE *mem; /* cells, each ended by NUL */
    char *cells;
    size_t n_bytes, n_cells;
};

static void cell_width(struct table *t, size_t chars)
{
    if (chars > t->width[t->at])
        t->width[t->at] = chars;
    t->at = (t->at + 1) % t->columns;
    t->n_cells++;
}

void table_cell(struct table *t, struct str s)
{
    size_t chars = 0;
    if (!t)
        return;
    for (; s.n && chars < CELL_MAX; chars++) {
        struct str c = next_safe(&s);
        (void)fwrite(c.p, 1, c.n, t->mem);
    }
    (void)fputc(0, t->mem);
    cell_width(t, chars);
}

void table_text(struct table *t, const char *s)
{
    table_cell(t, s && *s ? str_c(s) : STR("-"));
}

void table_fmt(struct table *t, const char *fmt, ...)
{
    char buf[CELL_MAX * 4];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    table_text(t, n < 0 ? "" : buf);
}

struct table *table_new(const char *const *headings, unsigned n)
{
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    CHECK(n > 0 && n <= COLUMNS);
    t->columns = n;
    t->mem = open_memstream(&t->cells, &t->n_bytes);
    if (!t->mem) {
        free(t);
        return NULL;
    }
    for (unsigned i = 0; i < n; i++)
        table_text(t, headings[i]);
    return t;
}

static size_t chars_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void table_print(struct table *t, FILE *to)
{
    if (!t)
        return;
    (void)fclose(t->mem);
    const char *p = t->cells;
    for (size_t i = 0; p && i < t->n_cells; i++) {
        unsigned col = (unsigned)(i % t->columns);
        bool last = col + 1 == t->columns;
        size_t pad = last ? 0 : t->width[col] - chars_of(p) + 2;
        (void)fprintf(to, "%s%*s%s", p, (int)pad, "", last ? "\n" : "");
        p += strlen(p) + 1;
    }
    free(t->cells);
    free(t);
}

void time_text(int64_t us, char ret[24])
{
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    if (us == 0 || !localtime_r(&t, &tm) || strftime(ret, 24, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        memcpy(ret, "-", 2);
}

void span_text(int64_t seconds, char ret[24])
{
    int64_t s = seconds < 0 ? 0 : seconds;
    int64_t d = s / 86400, h = s / 3600 % 24, m = s / 60 % 60;
    if (d > 0)
        (void)snprintf(ret, 24, "%lldd%lldh", (long long)MIN(d, (int64_t)99999999), (long long)h);
    else if (h > 0)
        (void)snprintf(ret, 24, "%lldh%02lldm", (long long)h, (long long)m);
    else if (m > 0)
        (void)snprintf(ret, 24, "%lldm%02llds", (long long)m, (long long)(s % 60));
    else
        (void)snprintf(ret, 24, "%llds", (long long)s);
}

bool since_parse(const char *s, int64_t now_us, int64_t *ret_us)
{
    uint32_t ago;
    struct tm tm = {.tm_isdst = -1};
    if (value_seconds(str_c(s), &ago) == OK) {
        *ret_us = now_us - (int64_t)ago * 1000000;
        return true;
    }
    const char *end = strptime(s, "%Y-%m-%d", &tm);
    if (end && *end)
        end = strptime(end, " %H:%M", &tm);
    if (end && *end)
        end = strptime(end, ":%S", &tm);
    if (!end || *end)
        return false;
    tm.tm_isdst = -1;
    *ret_us = (int64_t)mktime(&tm) * 1000000;
    return true;
}
