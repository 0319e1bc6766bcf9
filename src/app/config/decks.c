#include "app/config/decks.h"
#include "app/config/values.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define COLUMNS_MAX 32u
#define DAY_US      INT64_C(86400000000)
#define MONEY_MAX   INT64_C(1000000)

enum column {
    COL_IGNORED,
    COL_PREFIX,
    COL_PRICE,
    COL_SETUP,
    COL_MINIMUM,
    COL_INCREMENT,
    COL_FROM,
    COL_UNTIL,
    COL_COUNT
};
static const struct {
    const char *word;
    enum column is;
} WORDS[] = {
    {"prefix", COL_PREFIX},   {"price", COL_PRICE},         {"setup", COL_SETUP},
    {"minimum", COL_MINIMUM}, {"increment", COL_INCREMENT}, {"from", COL_FROM},
    {"until", COL_UNTIL},     {"description", COL_IGNORED},
};

struct reading {
    const char *name;
    uint32_t line;
    char sep;
    uint8_t deck;
    unsigned n_columns;
    enum column column[COLUMNS_MAX];
    const struct config_deck *d;
    struct deck_rows *rows;
    struct deck_report *r;
};

static void tell(struct deck_report *r, const char *file, uint32_t line, const char *fmt, ...)
    PRINTF(4, 5);
static void tell(struct deck_report *r, const char *file, uint32_t line, const char *fmt, ...)
{
    r->n_all++;
    if (r->n == DECK_PROBLEMS)
        return;
    struct deck_problem *p = &r->at[r->n++];
    p->line = line;
    (void)snprintf(p->file, sizeof p->file, "%s", file);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(p->text, sizeof p->text, fmt, ap);
    va_end(ap);
    for (char *c = p->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

void deck_rows_free(struct deck_rows *r)
{
    free(r->v);
    *r = (struct deck_rows){0};
}

/* -- values -- */

enum err deck_money(struct str s, bool comma, int64_t *ret_micro)
{
    struct str whole, frac;
    uint64_t v = 0, part = 0;
    frac = str_cut(s, comma && str_find(s, '.') == s.n ? ',' : '.', &whole);
    bool point = whole.n < s.n;
    if ((whole.n == 0 && frac.n == 0) || (point && frac.n == 0))
        return ERR_SYNTAX;
    for (size_t i = 0; i < whole.n; i++)
        if (!ascii_digit(whole.p[i]))
            return ERR_SYNTAX;
    for (size_t i = 0; i < frac.n; i++)
        if (!ascii_digit(frac.p[i]) || (i >= 6 && frac.p[i] != '0'))
            return ERR_SYNTAX;
    if (whole.n && str_u64(whole, MONEY_MAX, &v) != OK)
        return ERR_RANGE;
    for (size_t i = 0; i < 6; i++)
        part = part * 10 + (i < frac.n ? (uint64_t)(frac.p[i] - '0') : 0);
    if (v == MONEY_MAX && part)
        return ERR_RANGE;
    *ret_micro = (int64_t)(v * 1000000 + part);
    return OK;
}

static bool put_prefix(struct rates_entry *e, struct str s)
{
    s = str_starts(s, STR("+")) ? str_skip(s, 1) : s;
    if (s.n == 0 || s.n > sizeof e->prefix - 1)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_digit(s.p[i]))
            return false;
    memcpy(e->prefix, s.p, s.n);
    return true;
}

static bool put_seconds(uint16_t *ret, struct str s)
{
    uint32_t v;
    if (str_u32(s, 3600, &v) != OK || v == 0)
        return false;
    *ret = (uint16_t)v;
    return true;
}

/* Empty fields are as if their column were not there. */
static void put(struct reading *x, struct rates_entry *e, enum column c, struct str s)
{
    static const char *const WHAT[COL_COUNT] = {
        [COL_PREFIX] = "prefix: 1 to 15 digits",
        [COL_PRICE] = "price: an amount a minute, at most six decimals",
        [COL_SETUP] = "setup: an amount, at most six decimals",
        [COL_MINIMUM] = "minimum: 1 to 3600 seconds",
        [COL_INCREMENT] = "increment: 1 to 3600 seconds",
        [COL_FROM] = "from: a date as 2026-01-31",
        [COL_UNTIL] = "until: a date as 2026-01-31",
    };
    bool comma = x->sep == ';', good = true;
    struct wall end;
    if (s.n == 0 && c != COL_PREFIX && c != COL_PRICE)
        return;
    switch (c) {
    case COL_PREFIX:
        good = put_prefix(e, s);
        break;
    case COL_PRICE:
        good = deck_money(s, comma, &e->rate.minute_micro) == OK;
        break;
    case COL_SETUP:
        good = deck_money(s, comma, &e->rate.setup_micro) == OK;
        break;
    case COL_MINIMUM:
        good = put_seconds(&e->rate.minimum_s, s);
        break;
    case COL_INCREMENT:
        good = put_seconds(&e->rate.increment_s, s);
        break;
    case COL_FROM:
        good = value_date(s, &end) == OK;
        e->from.us = good ? end.us - DAY_US : 0;
        break;
    case COL_UNTIL:
        good = value_date(s, &e->until) == OK;
        break;
    case COL_IGNORED:
    case COL_COUNT:
    default:
        return;
    }
    if (!good)
        tell(x->r, x->name, x->line, "\"%.*s\" is not a %s", (int)MIN(s.n, 40u), s.p, WHAT[c]);
}

/* -- lines -- */

/* The next field of a line; quotes are taken off, doubled ones in it are left (no column that is
 * read has any). false: at the end. */
static bool field(struct str *rest, char sep, bool *more, struct str *ret_s)
{
    if (!*more)
        return false;
    if (rest->n && rest->p[0] == '"') {
        size_t i = 1;
        while (i < rest->n && (rest->p[i] != '"' || (i + 1 < rest->n && rest->p[i + 1] == '"')))
            i += rest->p[i] == '"' ? 2 : 1;
        *ret_s = str_of(rest->p + 1, MIN(i, rest->n) - 1);
        *rest = str_skip(*rest, i + 1);
        struct str junk;
        *more = str_find(*rest, sep) < rest->n;
        *rest = str_cut(*rest, sep, &junk);
    } else {
        *more = str_find(*rest, sep) < rest->n;
        *rest = str_cut(*rest, sep, ret_s);
    }
    *ret_s = str_trim(*ret_s);
    return true;
}

static void header(struct reading *x, struct str line)
{
    bool more = true, seen[COL_COUNT] = {false};
    struct str s;
    x->sep = str_find(line, ';') < line.n ? ';' : ',';
    while (field(&line, x->sep, &more, &s)) {
        size_t w = 0;
        while (w < ARRAY_LEN(WORDS) && !str_ieq(s, str_c(WORDS[w].word)))
            w++;
        if (w == ARRAY_LEN(WORDS) || x->n_columns == COLUMNS_MAX) {
            tell(x->r, x->name, x->line,
                 "\"%.*s\" is no column: prefix, price, setup, minimum, increment, from, until, "
                 "description",
                 (int)MIN(s.n, 40u), s.p);
            return;
        }
        enum column c = WORDS[w].is;
        if (c != COL_IGNORED && seen[c])
            tell(x->r, x->name, x->line, "column \"%s\" is there twice", WORDS[w].word);
        seen[c] = true;
        x->column[x->n_columns++] = c;
    }
    if (!seen[COL_PREFIX] || !seen[COL_PRICE])
        tell(x->r, x->name, x->line, "the first line must name the columns prefix and price");
}

static enum err room(struct deck_rows *r)
{
    if (r->n < r->cap)
        return OK;
    if (r->n >= DECK_LINES_MAX)
        return ERR_LIMIT;
    size_t cap = r->cap ? r->cap * 2 : 1024;
    struct rates_entry *v = realloc(r->v, cap * sizeof *v);
    if (!v)
        return ERR_SYSTEM;
    r->v = v;
    r->cap = cap;
    return OK;
}

static enum err row(struct reading *x, struct str line)
{
    enum err err = room(x->rows);
    if (err != OK)
        return err;
    struct rates_entry *e = &x->rows->v[x->rows->n];
    uint32_t had = x->r->n_all;
    unsigned n = 0;
    bool more = true;
    struct str s;
    *e = (struct rates_entry){.deck = x->deck,
                              .rate = {.minimum_s = x->d->minimum_s,
                                       .increment_s = x->d->increment_s,
                                       .line = x->line,
                                       .deck = x->deck}};
    for (; field(&line, x->sep, &more, &s); n++)
        if (n < x->n_columns)
            put(x, e, x->column[n], s);
    if (n != x->n_columns)
        tell(x->r, x->name, x->line, "%u fields, but the first line names %u columns", n,
             x->n_columns);
    else if (e->until.us && e->until.us <= e->from.us)
        tell(x->r, x->name, x->line, "until lies before from");
    if (x->r->n_all == had) {
        x->rows->n++;
        x->r->rows++;
    }
    return OK;
}

enum err deck_read_text(struct str text, const char *name, uint8_t deck,
                        const struct config_deck *d, struct deck_rows *rows, struct deck_report *r)
{
    struct reading x = {.name = name, .deck = deck, .d = d, .rows = rows, .r = r};
    uint32_t had = r->n_all;
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_skip(text, 3);
    if (memchr(text.p ? text.p : "", 0, text.n)) {
        tell(r, name, 0, "it is not a text file");
        return ERR_SYNTAX;
    }
    while (text.n) {
        struct str line = str_head(text, str_find(text, '\n'));
        text = str_skip(text, line.n + 1);
        x.line++;
        if (str_trim(line).n == 0)
            continue;
        if (x.n_columns == 0) {
            header(&x, line);
            if (r->n_all > had)
                return ERR_SYNTAX; /* without columns every line would be wrong */
        } else if (row(&x, line) != OK) {
            tell(r, name, x.line, "more than %u lines, or no memory for them", DECK_LINES_MAX);
            return ERR_LIMIT;
        }
    }
    if (x.n_columns == 0)
        tell(r, name, 0, "it is empty");
    return r->n_all > had ? ERR_SYNTAX : OK;
}

static enum err whole(const char *path, struct str *ret_text, const char **ret_why)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    *ret_why = "";
    if (fd < 0 || fstat(fd, &st) != 0)
        goto failed;
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)DECK_BYTES_MAX) {
        *ret_why = S_ISREG(st.st_mode) ? "longer than 512 MiB" : "not a regular file";
        goto failed;
    }
    size_t n = 0, cap = (size_t)st.st_size + 1;
    char *p = malloc(cap);
    ssize_t got = 0;
    while (p && n < cap && (got = read(fd, p + n, cap - n)) > 0)
        n += (size_t)got;
    if (!p || got < 0) {
        free(p);
        goto failed;
    }
    (void)close(fd);
    *ret_text = str_of(p, n);
    return OK;
failed:
    if (!**ret_why)
        *ret_why = strerror(errno);
    if (fd >= 0)
        (void)close(fd);
    return ERR_SYSTEM;
}

enum err deck_read(uint8_t deck, const struct config_deck *d, struct deck_rows *rows,
                   struct deck_report *r)
{
    struct str text;
    const char *why;
    enum err e = whole(d->file, &text, &why);
    if (e != OK) {
        tell(r, d->file, 0, "it cannot be read: %s", why);
        return e;
    }
    e = deck_read_text(text, d->file, deck, d, rows, r);
    void *p = NULL;
    memcpy(&p, &text.p, sizeof p);
    free(p);
    return e;
}

/* -- the blob -- */

enum err deck_blob(const struct deck_rows *rows, const struct config_deck *decks, void **ret_blob,
                   size_t *ret_bytes, struct deck_report *r)
{
    size_t bytes = rates_bytes(rows->n), bad = 0;
    void *blob = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!blob) {
        tell(r, "rates", 0, "no memory for %zu prefixes", rows->n);
        return ERR_SYSTEM;
    }
    enum err e = rates_build(rows->v, rows->n, blob, bytes, &bad);
    if (e == OK) {
        *ret_blob = blob;
        *ret_bytes = bytes;
        return OK;
    }
    free(blob);
    const struct rates_entry *x = bad < rows->n ? &rows->v[bad] : NULL;
    tell(r, x ? decks[x->deck - 1].file : "rates", x ? x->rate.line : 0,
         e == ERR_EXISTS  ? "prefix %s is there twice from the same day on"
         : e == ERR_LIMIT ? "prefix %s has too many periods"
                          : "prefix %s is not sound",
         x ? x->prefix : "");
    return e;
}

enum err decks_load(const struct config *c, void **ret_blob, size_t *ret_bytes,
                    struct deck_report *r)
{
    struct deck_rows rows = {0};
    enum err e = OK;
    memset(r, 0, sizeof *r);
    for (uint8_t i = 0; i < c->policy.n_decks; i++) {
        enum err one = deck_read((uint8_t)(i + 1), &c->decks[i], &rows, r);
        e = e == OK ? one : e;
    }
    if (e == OK)
        e = deck_blob(&rows, c->decks, ret_blob, ret_bytes, r);
    deck_rows_free(&rows);
    return e;
}
