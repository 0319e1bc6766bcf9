/* `ringwall top`: the running gateway once a second. A frame is made of plain lines, by the same
 * code for a terminal and for --once; texts of peers are in them only as put_safe lets them. */
#include "app/cli/cli.h"
#include "base/reasons.h"
#include "ipc/control.h"
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <time.h>
#include <unistd.h>

#define HEAD_LINES  4u
#define REASONS_MAX 128u
#define ROWS_MAX    1000u
#define RATES_SHOWN 6u
#define ONCE_LINES  40u
#define CTRL_L      12
enum pane { PANE_CALLS, PANE_PHONES, PANE_ATTACKERS, PANE_BANS, PANES };
static const char *const PANE_NAMES[PANES] = {"calls", "registrations", "attackers", "bans"};

struct docs { /* NULL: it was not to be had */
    json_t *status, *calls, *phones, *attackers, *bans;
};
struct before { /* counters of the frame before, for rates */
    int64_t us;
    json_t *status;
};
struct top {
    struct cli *c;
    struct docs d;
    struct before was;
    int64_t us;
    unsigned pane, marked, first, n_rows;
    bool paused, help, wide;
    int64_t ids[ROWS_MAX]; /* of bans, by row */
    char names[ROWS_MAX][64];
    char said[160]; /* last line, until the next key */
};

/* -- asking -- */

static int64_t clock_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* NULL without a word: an older gateway does not know each command. */
static json_t *ask(const struct cli *c, struct str request, uint32_t *ret_code)
{
    char path[600], *text = NULL;
    size_t n = 0;
    uint32_t code = CONTROL_UNAVAILABLE;
    json_t *doc = NULL;
    int len = snprintf(path, sizeof path, "%s/run/control.sock", c->state);
    if (len > 0 && (size_t)len < sizeof path && control_ask(path, request, &code, &text, &n) == OK)
        doc = json_loadb(text, n, JSON_ALLOW_NUL, NULL);
    free(text);
    if (ret_code)
        *ret_code = code;
    if (code != CONTROL_OK && !ret_code) {
        json_decref(doc);
        doc = NULL;
    }
    return doc;
}

static void docs_done(struct docs *d)
{
    json_decref(d->status);
    json_decref(d->calls);
    json_decref(d->phones);
    json_decref(d->attackers);
    json_decref(d->bans);
    memset(d, 0, sizeof *d);
}

static bool refresh_docs(struct top *t)
{
    json_t *status = ask(t->c, STR("{\"cmd\":\"status\"}"), NULL);
    if (!status)
        return false;
    json_decref(t->was.status);
    t->was.status = json_incref(t->d.status);
    t->was.us = t->us;
    docs_done(&t->d);
    t->us = clock_us();
    t->d.status = status;
    t->d.calls = ask(t->c, STR("{\"cmd\":\"calls\"}"), NULL);
    t->d.phones = ask(t->c, STR("{\"cmd\":\"bindings\",\"last\":200}"), NULL);
    t->d.attackers = ask(t->c, STR("{\"cmd\":\"shield-top\"}"), NULL);
    t->d.bans = ask(t->c, STR("{\"cmd\":\"bans\"}"), NULL);
    return true;
}

/* -- the head -- */

/* A second's worth of a counter; -1: not known yet. */
static double rate(const struct top *t, const char *group, const char *name)
{
    const json_t *was = json_object_get(t->was.status, group);
    double s = (double)(t->us - t->was.us) / 1e6;
    if (!was || s <= 0)
        return -1;
    int64_t now = number(json_object_get(t->d.status, group), name), old = number(was, name);
    return now < old ? 0 : (double)(now - old) / s; /* a program began anew */
}

static void put_rate(FILE *to, const char *what, double v)
{
    if (v < 0)
        (void)fprintf(to, "  %s -", what);
    else
        (void)fprintf(to, v < 10 ? "  %s %.1f/s" : "  %s %.0f/s", what, v);
}

static void head_gateway(const struct top *t, FILE *to)
{
    const json_t *d = t->d.status, *s = json_object_get(d, "stats");
    char up[24];
    span_text(number(d, "uptime_s"), up);
    (void)fprintf(to, "ringwall ");
    put_safe(to, str_c(member(d, "version")));
    (void)fprintf(to, " ");
    put_safe(to, str_c(member(d, "state")));
    (void)fprintf(to, " %s  calls %lld  phones %lld", up, (long long)number(s, "calls"),
                  (long long)number(s, "bindings"));
    put_rate(to, "SIP in", rate(t, "stats", "sip_in"));
    put_rate(to, "RTP in", rate(t, "stats", "rtp_in"));
    (void)fputc('\n', to);
}

static int64_t drops_of(const json_t *status)
{
    json_t *v, *drops = json_object_get(json_object_get(status, "shield"), "drops");
    const char *key;
    int64_t sum = 0;
    json_object_foreach(drops, key, v)
    {
        sum += (int64_t)json_integer_value(v);
    }
    return sum;
}

/* What is in force, what the kernel dropped, and how many are banned. */
static void head_shield(const struct top *t, FILE *to)
{
    const json_t *s = json_object_get(t->d.status, "shield"), *total;
    const char *key;
    json_t *v;
    double seconds = (double)(t->us - t->was.us) / 1e6;
    int64_t drops = drops_of(t->d.status), old = drops_of(t->was.status);
    (void)fprintf(to, "shield: ");
    put_safe(to, str_c(member(s, "in_force") ? member(s, "in_force") : "nothing told"));
    if (json_is_true(json_object_get(s, "dry_run")))
        (void)fprintf(to, "  DRY RUN");
    if ((total = json_object_get(t->d.bans, "total")) != NULL)
        (void)fprintf(to, "  bans %lld", (long long)json_integer_value(total));
    (void)fprintf(to, "  kernel drops %lld", (long long)drops);
    if (t->was.status && seconds > 0 && drops > old)
        (void)fprintf(to, " (%.0f/s)", (double)(drops - old) / seconds);
    json_object_foreach(json_object_get(s, "drops"), key, v)
    {
        if (json_integer_value(v) == 0)
            continue;
        (void)fprintf(to, "  ");
        put_safe(to, str_c(key));
        (void)fprintf(to, " %lld", (long long)json_integer_value(v));
    }
    if (member(s, "why") && *member(s, "why")) {
        (void)fprintf(to, "  ");
        put_safe(to, str_c(member(s, "why")));
    }
    (void)fputc('\n', to);
}

struct rated {
    const char *name;
    double per_s;
    int64_t n;
};

static int by_rate(const void *a, const void *b)
{
    const struct rated *x = a, *y = b;
    return x->per_s != y->per_s ? (x->per_s < y->per_s ? 1 : -1)
                                : (x->n != y->n ? (x->n < y->n ? 1 : -1) : 0);
}

static void head_reasons(const struct top *t, FILE *to)
{
    struct rated list[REASONS_MAX];
    unsigned n = 0;
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(t->d.status, "reasons"), key, v)
    {
        if (n < REASONS_MAX)
            list[n++] =
                (struct rated){key, rate(t, "reasons", key), (int64_t)json_integer_value(v)};
    }
    qsort(list, n, sizeof list[0], by_rate);
    (void)fprintf(to, "reasons:");
    for (unsigned i = 0; i < n && i < RATES_SHOWN; i++) {
        (void)fprintf(to, "  ");
        put_safe(to, str_c(list[i].name));
        (void)fprintf(to, " %lld", (long long)list[i].n);
        if (list[i].per_s > 0)
            (void)fprintf(to, " (%.1f/s)", list[i].per_s);
    }
    (void)fprintf(to, n ? "\n" : " none\n");
}

static void head_panes(const struct top *t, FILE *to)
{
    for (unsigned i = 0; i < PANES; i++)
        (void)fprintf(to, t->pane == i ? "[%u %s] " : " %u %s  ", i + 1, PANE_NAMES[i]);
    (void)fprintf(to, "%s\n", t->paused ? "  PAUSED" : "");
}

/* -- the panes: a heading and rows -- */

static const json_t *engine_list(const json_t *e, const char *name)
{
    return json_is_array(e) ? e : json_object_get(e, name);
}

static void pane_calls(struct top *t, FILE *to)
{
    static const char *const HEAD[] = {"AGE", "STATE", "FROM", "TO", "CODEC", "LEGS"};
    struct table *tab = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *e, *call;
    size_t i, k;
    json_array_foreach(json_object_get(t->d.calls, "engines"), i, e)
    {
        json_array_foreach(engine_list(e, "calls"), k, call)
        {
            const json_t *legs = json_object_get(call, "legs"), *a = json_array_get(legs, 0),
                         *b = json_array_get(legs, 1),
                         *m = json_array_get(json_object_get(a, "media"), 0);
            char age[24];
            span_text(number(call, "age_s"), age);
            table_text(tab, age);
            table_text(tab, member(call, "state"));
            table_text(tab, member(call, "from"));
            table_text(tab, member(call, "to"));
            table_text(tab, member(m, "codec"));
            table_fmt(tab, "%s / %s%s", a && member(a, "transport") ? member(a, "transport") : "-",
                      b && member(b, "transport") ? member(b, "transport") : "-",
                      json_is_true(json_object_get(call, "one_way")) ? "  ONE WAY" : "");
        }
    }
    table_print(tab, to);
}

static void pane_phones(struct top *t, FILE *to)
{
    static const char *const HEAD[] = {"USER", "BY", "FROM", "ENDS IN", "CONTACT"};
    struct table *tab = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *b;
    size_t i;
    int64_t now_s = (int64_t)time(NULL);
    json_array_foreach(json_object_get(t->d.phones, "bindings"), i, b)
    {
        char left[24];
        span_text(number(b, "expires_us") / 1000000 - now_s, left);
        table_text(tab, member(b, "aor"));
        table_text(tab, member(b, "transport"));
        table_text(tab, member(b, "source"));
        table_text(tab, left);
        table_text(tab, member(b, "contact"));
    }
    table_print(tab, to);
}

static void fired(const json_t *x, char *buf, size_t cap)
{
    const json_t *list = json_object_get(x, "fired"), *f;
    struct out o = out_of(buf, cap - 1);
    size_t i;
    json_array_foreach(list, i, f)
    {
        if (o.n)
            out_ch(&o, ' ');
        out_put(&o, str_c(json_string_value(f)));
    }
    if (!o.n && member(x, "last"))
        out_put(&o, str_c(member(x, "last")));
    buf[o.n] = 0;
}

static void pane_attackers(struct top *t, FILE *to)
{
    static const char *const HEAD[] = {"SCORE", "WHAT", "WHO",    "STANDS AS",
                                       "FIRED", "IDLE", "REASON", "DONE"};
    struct table *tab = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *e, *x;
    size_t i, k;
    json_array_foreach(json_object_get(t->d.attackers, "engines"), i, e)
    {
        json_array_foreach(engine_list(e, "top"), k, x)
        {
            char names[160], idle[24];
            const json_t *p = json_object_get(x, "person");
            const json_t *in = p ? p : x;
            fired(in, names, sizeof names);
            span_text(number(in, "idle_s"), idle);
            table_fmt(tab, "%lld", (long long)number(in, "score"));
            table_text(tab, member(x, "entity"));
            table_text(tab, member(x, "address") ? member(x, "address") : member(x, "who"));
            table_text(tab, member(x, "tier") ? member(x, "tier") : member(in, "proof"));
            table_text(tab, names);
            table_text(tab, idle);
            table_text(tab, member(in, "reason"));
            table_text(tab, member(in, "asked"));
        }
    }
    table_print(tab, to);
}

static const char *first_of(const json_t *o, const char *a, const char *b)
{
    return member(o, a) ? member(o, a) : member(o, b);
}

static void pane_bans(struct top *t, FILE *to)
{
    static const char *const HEAD[] = {"ID",   "BAN",  "WHOM", "DONE",
                                       "LEFT", "HITS", "BY",   "BECAUSE OF"};
    struct table *tab = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *b;
    size_t i;
    int64_t now_s = (int64_t)time(NULL);
    json_array_foreach(json_object_get(t->d.bans, "bans"), i, b)
    {
        char left[24];
        const char *net = first_of(b, "address", "net"), *who = member(b, "who");
        int64_t until = number(b, "until_us");
        span_text(until / 1000000 - now_s, left);
        if (i < ROWS_MAX) {
            t->ids[i] = number(b, "id");
            (void)snprintf(t->names[i], sizeof t->names[i], "%s",
                           net && *net ? net
                           : who       ? who
                                       : "?");
        }
        table_fmt(tab, "%lld", (long long)number(b, "id"));
        table_text(tab, member(b, "scope"));
        table_fmt(tab, "%s%s%s", net ? net : "", net && *net && who && *who ? " " : "",
                  who ? who : "");
        table_text(tab, first_of(b, "treat", "do"));
        table_text(tab, until ? left : "for good");
        table_fmt(tab, "%lld", (long long)number(b, "hits"));
        table_text(tab, member(b, "by"));
        table_text(tab, first_of(b, "reason", "detector"));
    }
    table_print(tab, to);
}

/* The whole frame as text; gives: free. */
static char *frame(struct top *t)
{
    typedef void pane_fn(struct top *, FILE *);
    static pane_fn *const SHOW[PANES] = {pane_calls, pane_phones, pane_attackers, pane_bans};
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    if (!to)
        return NULL;
    head_gateway(t, to);
    head_shield(t, to);
    head_reasons(t, to);
    head_panes(t, to);
    SHOW[t->pane](t, to);
    (void)fclose(to);
    return text;
}

/* -- plain text -- */

static int once(struct top *t)
{
    if (!refresh_docs(t))
        return EXIT_LATE;
    for (t->pane = 0; t->pane < PANES; t->pane++) {
        char *text = frame(t), *at = text;
        for (unsigned i = 0; at && *at && i < ONCE_LINES + HEAD_LINES; i++) {
            size_t n = strcspn(at, "\n");
            bool head = i < HEAD_LINES - 1;
            if (i == HEAD_LINES - 1)
                printf("%s%s:\n", t->pane ? "\n" : "\n", PANE_NAMES[t->pane]);
            else if (!head || t->pane == 0)
                printf("%.*s\n", (int)n, at);
            at += n + (at[n] == '\n');
        }
        free(text);
    }
    return EXIT_OK;
}

/* -- the terminal -- */

/* At most cols characters of a line; without UTF-8 what is not ASCII becomes '?'. */
static void draw(const struct top *t, int y, const char *s, size_t n, int cols)
{
    int x = 0;
    (void)move(y, 0);
    for (size_t i = 0; i < n && x < cols;) {
        unsigned char b = (unsigned char)s[i];
        size_t len = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
        len = MIN(len, n - i);
        if (len > 1 && !t->wide)
            (void)addch('?');
        else
            (void)addnstr(s + i, (int)len);
        i += len;
        x++;
    }
    (void)clrtoeol();
}

static unsigned lines_of(const char *s)
{
    unsigned n = 0;
    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void draw_help(void)
{
    static const char *const TEXT[] = {"1-4, Tab   calls, registrations, attackers, bans",
                                       "up, down   mark a row; Page up, Page down",
                                       "p          pause and go on",
                                       "r          release the marked ban (asks first)",
                                       "?          this text",
                                       "q          quit"};
    for (unsigned i = 0; i < ARRAY_LEN(TEXT); i++) {
        (void)mvaddstr((int)(HEAD_LINES + 1 + i), 2, TEXT[i]);
        (void)clrtoeol();
    }
}

static void draw_rows(struct top *t, const char *at, int rows, int cols)
{
    unsigned room = rows > (int)HEAD_LINES + 2 ? (unsigned)rows - HEAD_LINES - 2 : 1;
    if (t->n_rows && t->marked >= t->n_rows)
        t->marked = t->n_rows - 1;
    if (t->marked < t->first)
        t->first = t->marked;
    if (t->marked >= t->first + room)
        t->first = t->marked - room + 1;
    for (unsigned row = 0; *at; row++) {
        size_t n = strcspn(at, "\n");
        bool shown = row >= t->first && row < t->first + room;
        if (shown && row == t->marked)
            (void)attron(A_REVERSE);
        if (shown)
            draw(t, (int)(HEAD_LINES + 1 + row - t->first), at, n, cols);
        (void)attroff(A_REVERSE);
        at += n + (at[n] == '\n');
    }
}

static void show(struct top *t)
{
    char *text = frame(t);
    int rows, cols;
    getmaxyx(stdscr, rows, cols);
    (void)erase();
    const char *at = text ? text : "";
    unsigned lines = lines_of(at);
    t->n_rows = lines > HEAD_LINES + 1 ? lines - HEAD_LINES - 1 : 0;
    for (unsigned i = 0; *at && i <= HEAD_LINES; i++) {
        size_t n = strcspn(at, "\n");
        attr_t how = i == HEAD_LINES ? A_BOLD : i == HEAD_LINES - 1 ? A_UNDERLINE : A_NORMAL;
        (void)attron(how);
        if ((int)i < rows)
            draw(t, (int)i, at, n, cols);
        (void)attroff(how);
        at += n + (at[n] == '\n');
    }
    if (t->help)
        draw_help();
    else
        draw_rows(t, at, rows, cols);
    const char *foot =
        t->said[0] ? t->said : "q quit  1-4 Tab panes  arrows  p pause  r release  ? help";
    (void)attron(A_DIM);
    draw(t, rows - 1, foot, strlen(foot), cols);
    (void)attroff(A_DIM);
    (void)refresh();
    free(text);
}

static void say_safe(struct top *t, const char *before, const char *what, const char *after)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    if (!to)
        return;
    (void)fprintf(to, "%s", before);
    put_safe(to, str_c(what));
    (void)fprintf(to, "%s", after);
    (void)fclose(to);
    (void)snprintf(t->said, sizeof t->said, "%s", text);
    free(text);
}

static void release(struct top *t)
{
    char request[128];
    uint32_t code = 0;
    if (t->pane != PANE_BANS || t->marked >= t->n_rows || t->marked >= ROWS_MAX)
        return;
    int64_t id = t->ids[t->marked];
    say_safe(t, "release ", t->names[t->marked], "? y or n");
    show(t);
    timeout(-1);
    int key = getch();
    timeout(1000);
    if (key != 'y' && key != 'Y') {
        t->said[0] = 0;
        return;
    }
    struct out o = out_of(request, sizeof request);
    request_begin(&o, "bans-release");
    out_json_ki64(&o, STR("id"), id);
    out_ch(&o, '}');
    json_t *doc = ask(t->c, out_str(&o), &code);
    const char *error = member(doc, "error");
    if (code == CONTROL_OK)
        say_safe(t, "released: ", t->names[t->marked], "");
    else
        say_safe(t, "not released: ", error ? error : "no answer", "");
    json_decref(doc);
    (void)refresh_docs(t);
}

static void move_mark(struct top *t, int by)
{
    int at = (int)t->marked + by;
    t->marked = at < 0 ? 0 : (unsigned)at;
    if (t->n_rows && t->marked >= t->n_rows)
        t->marked = t->n_rows - 1;
}

/* false: quit. */
static bool key_taken(struct top *t, int key)
{
    t->said[0] = key == ERR ? t->said[0] : 0;
    switch (key) {
    case 'q':
        return false;
    case '1':
    case '2':
    case '3':
    case '4':
    case '\t':
        t->pane = key == '\t' ? (t->pane + 1) % PANES : (unsigned)(key - '1');
        t->marked = t->first = 0;
        break;
    case KEY_UP:
    case KEY_DOWN:
        move_mark(t, key == KEY_UP ? -1 : 1);
        break;
    case KEY_PPAGE:
    case KEY_NPAGE:
        move_mark(t, key == KEY_PPAGE ? -10 : 10);
        break;
    case CTRL_L:
        (void)clearok(curscr, TRUE);
        break;
    case 'p':
        t->paused = !t->paused;
        break;
    case '?':
        t->help = !t->help;
        break;
    case 'r':
        release(t);
        break;
    default:
        break;
    }
    return true;
}

static int live(struct top *t)
{
    (void)setlocale(LC_CTYPE, "");
    t->wide = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!newterm(NULL, stdout, stdin))
        return once(t);
    (void)cbreak();
    (void)noecho();
    (void)keypad(stdscr, TRUE);
    (void)curs_set(0);
    timeout(1000);
    bool on = true, lost = false;
    for (int64_t due = 0; on;) {
        if (!t->paused && clock_us() >= due) {
            lost = !refresh_docs(t);
            due = clock_us() + 1000000;
        }
        if (lost)
            (void)snprintf(t->said, sizeof t->said, "the gateway does not answer");
        show(t);
        on = key_taken(t, getch());
    }
    (void)endwin();
    return lost ? EXIT_LATE : EXIT_OK;
}

int cmd_top(struct cli *c)
{
    static struct top t; /* large */
    struct reply r;
    int e = gateway_ask(c, STR("{\"cmd\":\"status\"}"), &r); /* tells why not */
    if (e != EXIT_OK)
        return e;
    e = reply_judge(&r);
    reply_done(&r);
    if (e != EXIT_OK)
        return e;
    t.c = c;
    if (c->json || c->once || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        e = refresh_docs(&t) ? once(&t) : EXIT_LATE;
    else
        e = live(&t);
    docs_done(&t.d);
    json_decref(t.was.status);
    return e;
}
