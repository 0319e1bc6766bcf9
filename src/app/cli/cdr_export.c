/* `ringwall cdr export`: all records of calls, oldest first, as CSV or JSON lines, page by page.
 * The columns are a promise (docs/cdr.md): new ones come behind the last, none goes. */
#include "app/cli/cli.h"
#include <time.h>
#include <unistd.h>

#define PAGE "500"

enum column_kind { COL_TEXT, COL_TIME, COL_NUMBER, COL_BOOL, COL_LEG_TEXT };
struct column {
    const char *name, *key;
    enum column_kind kind;
    unsigned leg;
};
static const struct column COLUMNS[] = {
    {"id", "id", COL_NUMBER, 0},
    {"start", "start_us", COL_TIME, 0},
    {"answer", "answer_us", COL_TIME, 0},
    {"end", "end_us", COL_TIME, 0},
    {"user", "user", COL_TEXT, 0},
    {"device", "device", COL_TEXT, 0},
    {"role", "role", COL_TEXT, 0},
    {"from", "from", COL_TEXT, 0},
    {"to", "to", COL_TEXT, 0},
    {"to_e164", "to_e164", COL_TEXT, 0},
    {"class", "class", COL_TEXT, 0},
    {"country", "country", COL_TEXT, 0},
    {"trunk", "trunk", COL_TEXT, 0},
    {"shown", "shown", COL_TEXT, 0},
    {"seconds", "seconds", COL_NUMBER, 0},
    {"code", "code", COL_NUMBER, 0},
    {"reason", "reason", COL_TEXT, 0},
    {"q850", "q850", COL_NUMBER, 0},
    {"ended_by", "ended_by", COL_TEXT, 0},
    {"aborted", "aborted", COL_BOOL, 0},
    {"price_micro", "price_micro", COL_NUMBER, 0},
    {"currency", "currency", COL_TEXT, 0},
    {"source_country", "source_country", COL_TEXT, 0},
    {"transferred_by", "transferred_by", COL_TEXT, 0},
    {"attest", "attest", COL_TEXT, 0},
    {"verstat", "verstat", COL_TEXT, 0},
    {"session", "session", COL_NUMBER, 0},
    {"other_session", "other_session", COL_NUMBER, 0},
    {"source", "peer", COL_LEG_TEXT, 0},
    {"crypto_a", "crypto", COL_LEG_TEXT, 0},
    {"crypto_b", "crypto", COL_LEG_TEXT, 1},
    {"call_id", "call_id", COL_LEG_TEXT, 0},
};

/* RFC 4180; what a spreadsheet would take for a formula is told from one by a quote before it,
 * except numbers with a sign. */
static void csv_text(FILE *to, const char *s)
{
    bool formula = strchr("=@\t\r", *s) ||
                   ((*s == '+' || *s == '-') && strspn(s + 1, "0123456789") != strlen(s + 1));
    bool quote = formula || strpbrk(s, ",\"\r\n") || strchr(" ", *s);
    if (!*s)
        return;
    if (!quote) {
        (void)fputs(s, to);
        return;
    }
    (void)fputc('"', to);
    if (formula)
        (void)fputc('\'', to);
    for (; *s; s++) {
        if (*s == '"')
            (void)fputc('"', to);
        (void)fputc((unsigned char)*s < ' ' ? ' ' : *s, to);
    }
    (void)fputc('"', to);
}

/* "2026-11-18T10:15:02.123Z" */
static void csv_time(FILE *to, int64_t us)
{
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    if (us <= 0 || !gmtime_r(&t, &tm))
        return;
    (void)fprintf(to, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us % 1000000 / 1000));
}

static void csv_cell(FILE *to, const struct column *c, const json_t *s)
{
    const json_t *of =
        c->kind == COL_LEG_TEXT ? json_array_get(json_object_get(s, "legs"), c->leg) : s;
    const json_t *v = json_object_get(of, c->key);
    if (!v || json_is_null(v))
        return;
    switch (c->kind) {
    case COL_TIME:
        csv_time(to, json_integer_value(v));
        return;
    case COL_NUMBER:
        (void)fprintf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return;
    case COL_BOOL:
        (void)fputs(json_is_true(v) ? "yes" : "no", to);
        return;
    case COL_TEXT:
    case COL_LEG_TEXT:
        csv_text(to, json_string_value(v) ? json_string_value(v) : "");
        return;
    }
}

static void csv_row(FILE *to, const json_t *s)
{
    for (unsigned i = 0; i < ARRAY_LEN(COLUMNS); i++) {
        if (i)
            (void)fputc(',', to);
        csv_cell(to, &COLUMNS[i], s);
    }
    (void)fputs("\r\n", to);
}

static void csv_head(FILE *to)
{
    for (unsigned i = 0; i < ARRAY_LEN(COLUMNS); i++)
        (void)fprintf(to, "%s%s", i ? "," : "", COLUMNS[i].name);
    (void)fputs("\r\n", to);
}

static bool instant(const struct cli *c, struct out *o, const char *key, const char *text)
{
    int64_t us;
    if (!text)
        return true;
    if (!since_parse(text, (int64_t)time(NULL) * 1000000, &us)) {
        (void)fprintf(stderr,
                      "ringwall %s: --since and --until want 2h, 30m, 2026-11-18 or "
                      "\"2026-11-18 10:15\"\n",
                      c->command);
        return false;
    }
    out_json_ki64(o, str_c(key), us < 0 ? 0 : us);
    return true;
}

/* One page behind *after. EXIT_OK: *ret_n records were written. */
static int page(const struct cli *c, FILE *to, int64_t *after, size_t *ret_n)
{
    char text[1024];
    struct out o = out_of(text, sizeof text);
    struct reply r;
    const json_t *s;
    size_t i;
    request_begin(&o, "cdr");
    out_json_ki64(&o, STR("after"), *after);
    request_str(&o, "last", PAGE);
    request_str(&o, "user", c->user);
    if (!instant(c, &o, "since_us", c->since) || !instant(c, &o, "until_us", c->until))
        return EXIT_USAGE;
    out_ch(&o, '}');
    int e = gateway_ask(c, out_str(&o), &r);
    if (e != EXIT_OK)
        return e;
    e = reply_judge(&r);
    const json_t *list = json_object_get(r.doc, "sessions");
    *ret_n = e == EXIT_OK ? json_array_size(list) : 0;
    json_array_foreach(list, i, s)
    {
        if (c->json) {
            (void)json_dumpf(s, to, JSON_COMPACT | JSON_ENSURE_ASCII);
            (void)fputc('\n', to);
        } else {
            csv_row(to, s);
        }
        *after = number(s, "id");
    }
    reply_done(&r);
    return e;
}

int cdr_export(struct cli *c)
{
    const char *name = c->n_words > 1 ? c->words[1] : "-";
    bool out = strcmp(name, "-") == 0;
    FILE *to = out ? stdout : fopen(name, "wxe");
    size_t n = 0, all = 0;
    int64_t after = 0;
    int e;
    if (!to) {
        (void)fprintf(stderr,
                      "ringwall cdr export: %s: %m (a file that is there is not written over)\n",
                      name);
        return EXIT_REFUSED;
    }
    if (!c->json)
        csv_head(to);
    do {
        e = page(c, to, &after, &n);
        all += n;
        if (!out && !c->quiet && isatty(STDERR_FILENO))
            (void)fprintf(stderr, "\r%zu records", all);
    } while (e == EXIT_OK && n);
    bool bad = ferror(to) || (out ? fflush(to) : fclose(to)) != 0;
    if (bad)
        (void)fprintf(stderr, "ringwall cdr export: %s: %m\n", name);
    if (!out && e == EXIT_OK)
        (void)fprintf(stderr, "%s%zu records in %s\n", isatty(STDERR_FILENO) ? "\r" : "", all,
                      name);
    return bad ? EXIT_REFUSED : e;
}
