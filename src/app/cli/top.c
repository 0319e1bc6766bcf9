/* `ringwall top`: the running gateway once a second. A frame is made of plain lines, by the same
 * code for a terminal and for --once; texts of peers are in them only as put_safe lets them. */
#include "app/cli/top.h"
#include "ipc/control.h"
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <time.h>
#include <unistd.h>

#define ONCE_LINES 40u
#define CTRL_L     12

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

/* -- plain text -- */

static int once(struct top *t)
{
    if (!refresh_docs(t))
        return EXIT_LATE;
    for (t->pane = 0; t->pane < PANES; t->pane++) {
        char *text = top_frame(t), *at = text;
        for (unsigned i = 0; at && *at && i < ONCE_LINES + HEAD_LINES; i++) {
            size_t n = strcspn(at, "\n");
            bool head = i < HEAD_LINES - 1;
            if (i == HEAD_LINES - 1)
                printf("%s%s:\n", t->pane ? "\n" : "\n", TOP_PANES[t->pane]);
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
    char *text = top_frame(t);
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
