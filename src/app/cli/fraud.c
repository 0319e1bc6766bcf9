/* `ringwall fraud`: what calls have cost against their caps, who is locked, and what behaviour
 * would have said of a history. */
#include "app/cli/cli.h"
#include "app/config/config.h"
#include "app/config/decks.h"
#include "app/fraud/history.h"
#include "ipc/control.h"
#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX 2048u
#define CSV_MAX     (INT64_C(4) << 30)
#define SHOWN       40u

static double money(const json_t *o, const char *key)
{
    return (double)number(o, key) / 1e6;
}

/* --- the running gateway --- */

/* A cap and what is left of it; "-" twice: there is none. */
static void cap_cells(struct table *t, int64_t cap, int64_t used, double unit, int digits)
{
    if (!cap) {
        table_text(t, NULL);
        table_text(t, NULL);
        return;
    }
    table_fmt(t, "%.*f", digits, (double)cap / unit);
    table_fmt(t, "%.*f", digits, (double)(cap > used ? cap - used : 0) / unit);
}

static void cap_line(struct table *t, const char *what, const json_t *r)
{
    static const char *const SPANS[] = {"hour", "day", "month"};
    if (!json_is_object(r))
        return;
    for (unsigned i = 0; i < ARRAY_LEN(SPANS); i++) {
        const json_t *s = json_object_get(r, SPANS[i]);
        table_text(t, what);
        table_text(t, SPANS[i]);
        table_fmt(t, "%.2f", money(s, "micro"));
        cap_cells(t, number(s, "micro_cap"), number(s, "micro"), 1e6, 2);
        table_fmt(t, "%lld", (long long)number(s, "seconds") / 60);
        cap_cells(t, number(s, "seconds_cap"), number(s, "seconds"), 60, 0);
        table_fmt(t, "%lld", (long long)number(r, "calls"));
        cap_cells(t, number(r, "calls_cap"), number(r, "calls"), 1, 0);
    }
}

static void counts(FILE *to, const char *what, const json_t *o)
{
    const char *key;
    json_t *v;
    bool any = false;
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        if (!json_integer_value(v))
            continue;
        (void)fprintf(to, "%s %s %lld", any ? "" : what, key, (long long)json_integer_value(v));
        any = true;
    }
    if (any)
        (void)fputc('\n', to);
}

static void behaviour_put(FILE *to, const json_t *b)
{
    const json_t *s;
    size_t i;
    if (json_object_get(b, "acts")) {
        counts(to, "signs:", json_object_get(b, "signs"));
        counts(to, "acts:", json_object_get(b, "acts"));
        return;
    }
    if (!json_is_true(json_object_get(b, "known")))
        return;
    (void)fprintf(to, "score %lld, %lld days with calls, %lld countries; last signs:",
                  (long long)number(b, "score"), (long long)number(b, "days"),
                  (long long)number(b, "countries"));
    json_array_foreach(json_object_get(b, "signs"), i, s)(void)
        fprintf(to, " %s", json_string_value(s));
    (void)fputc('\n', to);
}

static void top_put(struct table *t, const char *what, const json_t *list)
{
    const json_t *s;
    size_t i;
    json_array_foreach(list, i, s)
    {
        table_text(t, what);
        table_text(t, member(s, "name") ? member(s, "name") : "(nobody of that name is left)");
        table_fmt(t, "%.2f", money(s, "micro"));
        table_fmt(t, "%lld", (long long)number(s, "seconds") / 60);
        table_fmt(t, "%lld", (long long)number(s, "calls"));
        if (json_object_get(s, "percent"))
            table_fmt(t, "%lld %%", (long long)number(s, "percent"));
        else
            table_text(t, NULL);
    }
}

/* Who has spent most today. */
static void show_top(FILE *to, const json_t *top)
{
    static const char *const HEAD[] = {"TODAY", "WHO", "MONEY", "MINUTES", "CALLS", "OF CAP"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    top_put(t, "identity", json_object_get(top, "identities"));
    top_put(t, "country", json_object_get(top, "countries"));
    top_put(t, "trunk", json_object_get(top, "trunks"));
    table_print(t, to);
}

static void show_ledger(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const HEAD[] = {"OF",  "IN",   "MONEY", "CAP", "LEFT", "MINUTES",
                                       "CAP", "LEFT", "CALLS", "CAP", "LEFT"};
    static const char *const ROWS[] = {"identity", "role", "trunk", "system"};
    const json_t *all = json_object_get(doc, "engines"), *e;
    const json_t *first = json_is_array(all) ? json_array_get(all, 0) : doc;
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    size_t i;
    (void)c;
    for (unsigned k = 0; k < ARRAY_LEN(ROWS); k++)
        cap_line(t, ROWS[k], json_object_get(first, ROWS[k]));
    table_print(t, to);
    if (json_object_get(doc, "top"))
        show_top(to, json_object_get(doc, "top"));
    if (json_is_true(json_object_get(first, "locked")))
        (void)fprintf(to, "locked: no calls to the outside; `ringwall fraud release`\n");
    if (!json_is_array(all))
        behaviour_put(to, json_object_get(doc, "behaviour"));
    if (json_is_true(json_object_get(first, "spent_unknown")))
        (void)fprintf(to, "what was spent is not known: calls that cost money are refused; "
                          "`ringwall fraud accept`\n");
    json_array_foreach(all, i, e)
    {
        const json_t *b = json_object_get(e, "behaviour");
        if (i == 0 || json_object_get(b, "acts")) /* what is known of somebody they all say */
            behaviour_put(to, b);
    }
}

static bool plain_name(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '"' || *s == '\\')
            return false;
    return true;
}

static int ask_ledger(struct cli *c, const char *cmd, const char *name)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    if (name && !plain_name(name)) {
        (void)fprintf(stderr, "ringwall fraud: that is no name\n");
        return EXIT_USAGE;
    }
    request_begin(&o, cmd);
    request_str(&o, "name", name ? name : "");
    out_ch(&o, '}');
    return ask_and_show(c, out_str(&o), show_ledger);
}

/* Of the engines what caps and signs there are, of the monitor who spent most. */
static int status(struct cli *c)
{
    struct reply r, top;
    int e = gateway_ask(c, STR("{\"cmd\":\"fraud-status\",\"name\":\"\"}"), &r);
    if (e != EXIT_OK)
        return e;
    e = reply_judge(&r);
    if (e == EXIT_OK) {
        e = gateway_ask(c, STR("{\"cmd\":\"fraud-top\"}"), &top);
        if (e == EXIT_OK) {
            e = reply_judge(&top);
            (void)json_object_set(r.doc, "top", top.doc);
            reply_done(&top);
        }
    }
    if (c->json)
        print_json(stdout, r.doc);
    else if (e == EXIT_OK)
        show_ledger(stdout, c, r.doc);
    reply_done(&r);
    return e;
}

static bool is_lock(const json_t *b)
{
    const char *why = member(b, "reason");
    return why && strcmp(why, "fraud_locked") == 0;
}

static json_t *locks_of(const struct cli *c, int *ret_exit)
{
    struct reply r;
    *ret_exit = gateway_ask(c, STR("{\"cmd\":\"bans\",\"scope\":\"aor\"}"), &r);
    if (*ret_exit != EXIT_OK)
        return NULL;
    *ret_exit = reply_judge(&r);
    json_t *v = json_array();
    const json_t *b;
    size_t i;
    json_array_foreach(json_object_get(r.doc, "bans"), i, b) if (is_lock(b))(void)
        json_array_append(v, (json_t *)(uintptr_t)b);
    reply_done(&r);
    return v;
}

static int locks(struct cli *c)
{
    static const char *const HEAD[] = {"ID", "WHO", "SINCE", "UNTIL", "SCORE", "WHY"};
    int code;
    json_t *v = locks_of(c, &code);
    const json_t *b;
    size_t i;
    if (!v)
        return code;
    if (c->json) {
        json_t *doc = json_pack("{s:O}", "locks", v);
        print_json(stdout, doc);
        json_decref(doc);
    } else {
        struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
        json_array_foreach(v, i, b)
        {
            char since[24], until[24];
            time_text(number(b, "since_us"), since);
            time_text(number(b, "until_us"), until);
            table_fmt(t, "%lld", (long long)number(b, "id"));
            table_text(t, member(b, "who"));
            table_text(t, since);
            table_text(t, number(b, "until_us") ? until : "released");
            table_fmt(t, "%lld", (long long)number(b, "score"));
            table_text(t, member(b, "why"));
        }
        table_print(t, stdout);
    }
    json_decref(v);
    return code;
}

static void show_released(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)c;
    (void)fprintf(to, "%lld lock%s released\n", (long long)number(doc, "released"),
                  number(doc, "released") == 1 ? "" : "s");
}

static int release(struct cli *c)
{
    char text[REQUEST_MAX], id[24] = "";
    struct out o = out_of(text, sizeof text);
    int code;
    const json_t *b;
    size_t i;
    if (!c->words[1] || !c->reason) {
        (void)fprintf(stderr, "ringwall fraud: release NAME --reason TEXT\n");
        return EXIT_USAGE;
    }
    json_t *v = locks_of(c, &code);
    if (!v)
        return code;
    json_array_foreach(v, i, b) if (member(b, "who") &&
                                    strcasecmp(member(b, "who"), c->words[1]) == 0)(void)
        snprintf(id, sizeof id, "%lld", (long long)number(b, "id"));
    json_decref(v);
    if (!id[0]) {
        (void)fprintf(stderr, "ringwall fraud: nobody of that name is locked\n");
        return EXIT_REFUSED;
    }
    request_begin(&o, "bans-release");
    request_str(&o, "id", id);
    out_ch(&o, '}');
    return ask_and_show(c, out_str(&o), show_released);
}

/* --- history --- */

static struct config loaded;
static struct config_errors problems;

static bool load(const char *path, void **ret_rates)
{
    struct config_opts o = {.now = {(int64_t)time(NULL) * 1000000}};
    struct deck_report *why = calloc(1, sizeof *why);
    size_t bytes = 0;
    enum err e = path ? config_load(path, &o, &loaded, &problems)
                      : config_load_text(STR("domains: [localhost]\n"), "the default", &o, &loaded,
                                         &problems);
    *ret_rates = NULL;
    if (e != OK) {
        static char text[16384];
        struct out x = out_of(text, sizeof text - 1);
        config_errors_put(&x, &problems);
        (void)fwrite(x.p, 1, x.n, stderr);
    } else if (why && loaded.policy.n_decks && decks_load(&loaded, ret_rates, &bytes, why) != OK) {
        (void)fprintf(stderr, "%s:%u: %s\n", why->at[0].file, why->at[0].line, why->at[0].text);
        e = ERR_SYNTAX;
    }
    free(why);
    return e == OK;
}

static char *file_text(const char *path, size_t *ret_n)
{
    struct stat st;
    FILE *f = fopen(path, "re");
    char *p = NULL;
    size_t n = 0;
    if (f && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && st.st_size < CSV_MAX) {
        p = malloc((size_t)st.st_size + 1);
        n = p ? fread(p, 1, (size_t)st.st_size, f) : 0;
    }
    if (!p)
        (void)fprintf(stderr, "ringwall fraud: %s: %s\n", path,
                      errno ? strerror(errno) : "not a file of at most 4 GiB");
    if (f)
        (void)fclose(f);
    *ret_n = n;
    return p;
}

static void history_show(FILE *to, const json_t *d, const char *name)
{
    static const char *const HEAD[] = {"TIME", "USER", "TO", "WHAT", "REASON", "SAVED"};
    const json_t *x, *l = json_object_get(d, "labels");
    char at[24];
    size_t i;
    (void)fprintf(
        to,
        "%s: %lld records, %lld calls to the outside: %lld refused, %lld cut; %.2f spent, "
        "%.2f of it saved%s\n",
        name, (long long)number(d, "records"), (long long)number(d, "outside"),
        (long long)number(d, "refused"), (long long)number(d, "cut"), money(d, "spent_micro"),
        money(d, "saved_micro"),
        json_is_true(json_object_get(d, "dry_run")) ? "; behaviour is only watched" : "");
    if (number(d, "bad_lines"))
        (void)fprintf(to, "%lld lines could not be read\n", (long long)number(d, "bad_lines"));
    counts(to, "reasons", json_object_get(d, "by_reason"));
    if (l)
        (void)fprintf(to,
                      "labels: %lld of %lld calls of fraud stopped; %lld of %lld honest ones too\n",
                      (long long)number(l, "fraud_stopped"), (long long)number(l, "fraud"),
                      (long long)number(l, "false_alarms"), (long long)number(l, "honest"));
    json_array_foreach(json_object_get(d, "locks"), i, x)
    {
        time_text(number(x, "at_us"), at);
        (void)fprintf(to, "locked %s: ", at);
        put_safe(to, str_c(member(x, "user")));
        (void)fprintf(to, " (score %lld)\n", (long long)number(x, "score"));
    }
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(json_object_get(d, "calls"), i, x)
    {
        if (i == SHOWN)
            break;
        time_text(number(x, "at_us"), at);
        table_text(t, at);
        table_text(t, member(x, "user"));
        table_text(t, member(x, "to"));
        table_text(t, member(x, "what"));
        table_text(t, member(x, "reason"));
        table_fmt(t, "%.2f", money(x, "saved_micro"));
    }
    table_print(t, to);
    if (json_array_size(json_object_get(d, "calls")) > SHOWN)
        (void)fprintf(to, "... more with --json\n");
}

static json_t *judged(const struct records *r, const char *config, bool progress)
{
    void *rates = NULL;
    if (!load(config, &rates))
        return NULL;
    struct history_opts o = {&loaded.policy, rates, progress ? stderr : NULL};
    json_t *d = history_judge(r, &o);
    free(rates);
    if (d)
        (void)json_object_set_new(d, "config", json_string(config ? config : "default"));
    return d;
}

static int replay(struct cli *c)
{
    size_t n;
    struct records r;
    bool progress = !c->quiet && !c->json && isatty(STDERR_FILENO);
    const char *config = c->config_said ? c->config : NULL;
    errno = 0;
    char *text = c->words[1] ? file_text(c->words[1], &n) : NULL;
    if (!c->words[1])
        (void)fprintf(stderr, "ringwall fraud: replay CDRS.csv [--config FILE] [--against FILE]\n");
    if (!text)
        return c->words[1] ? EXIT_REFUSED : EXIT_USAGE;
    if (records_read(text, n, &r, progress ? stderr : NULL) != OK) {
        (void)fprintf(
            stderr,
            "ringwall fraud: %s: no head with the columns start and to_e164 (docs/cdr.md)\n",
            c->words[1]);
        free(text);
        return EXIT_REFUSED;
    }
    if (r.bad)
        (void)fprintf(stderr,
                      "ringwall fraud: %s:%u: %s (column %u) cannot be read; %llu such lines\n",
                      c->words[1], r.bad_line, r.bad_why, r.bad_column, (unsigned long long)r.bad);
    json_t *a = judged(&r, config, progress), *b = NULL;
    if (a && c->against)
        b = judged(&r, c->against, progress);
    bool ok = a && (b || !c->against);
    if (ok && c->json) {
        if (b)
            (void)json_object_set(a, "against", b);
        print_json(stdout, a);
    } else if (ok) {
        history_show(stdout, a, config ? config : "default");
        if (b)
            history_show(stdout, b, c->against);
    }
    json_decref(a);
    json_decref(b);
    records_free(&r);
    free(text);
    return ok ? EXIT_OK : EXIT_USAGE;
}

static void show_accepted(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)c;
    (void)doc;
    (void)fprintf(to, "spending is counted from what is known; calls that cost money go out\n");
}

static int accept_unknown(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    if (!c->reason) {
        (void)fprintf(stderr, "ringwall fraud: accept --reason TEXT\n");
        return EXIT_USAGE;
    }
    request_begin(&o, "fraud-accept");
    out_ch(&o, '}');
    return ask_and_show(c, out_str(&o), show_accepted);
}

int cmd_fraud(struct cli *c)
{
    const char *w = c->words[0];
    if (!w || strcmp(w, "status") == 0)
        return status(c);
    if (strcmp(w, "caps") == 0)
        return ask_ledger(c, "fraud-caps", c->words[1]);
    if (strcmp(w, "explain") == 0 && c->words[1])
        return ask_ledger(c, "fraud-explain", c->words[1]);
    if (strcmp(w, "locks") == 0)
        return locks(c);
    if (strcmp(w, "release") == 0)
        return release(c);
    if (strcmp(w, "accept") == 0)
        return accept_unknown(c);
    if (strcmp(w, "replay") == 0)
        return replay(c);
    (void)fprintf(stderr,
                  "ringwall fraud: status, caps, explain, locks, release, accept or replay\n");
    return EXIT_USAGE;
}
