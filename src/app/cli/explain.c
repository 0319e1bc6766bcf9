/* `ringwall explain --as WHO --to NUMBER [--at TIME]`: asks an engine, and looks up which line of
 * the configuration decides. */
#include "app/cli/cli.h"
#include "ipc/control.h"
#include <time.h>

#define REQUEST_MAX 1024u

static bool word_ok(const char *s)
{
    return s && *s && !strpbrk(s, "\"\\") && strlen(s) < 200;
}

/* The line where that entry of a section begins, and within it the key's if it has one. 0: not
 * found. By the text alone: a file written in another way than one entry after the other is told
 * without lines. */
static long line_of(const char *path, const char *section, const char *entry, const char *key)
{
    char line[4096];
    long at = 0, found = 0;
    bool in = false;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        char name[2][256];
        at++;
        if (line[0] != ' ' && line[0] != '-' && line[0] != '#' && line[0] != '\n')
            in = strncmp(line, section, strlen(section)) == 0 && line[strlen(section)] == ':';
        (void)snprintf(name[0], sizeof name[0], "%s:", key ? key : "");
        (void)snprintf(name[1], sizeof name[1], "name: %s", entry);
        const char *n = in ? strstr(line, name[1]) : NULL;
        bool whole = n && !isalnum((unsigned char)n[strlen(name[1])]) &&
                     !memchr("_-.", n[strlen(name[1])] ? n[strlen(name[1])] : ' ', 3);
        if (whole)
            found = at;
        else if (in && found && strstr(line, "name:"))
            break;
        if (!in && found)
            break;
        if (found && key && at > found && strstr(line, name[0])) {
            found = at;
            break;
        }
    }
    if (f)
        (void)fclose(f);
    return found;
}

static void place(const struct cli *c, json_t *doc)
{
    json_t *by = json_object_get(doc, "decides");
    const char *section = member(by, "section"), *entry = member(by, "entry");
    long line =
        section && entry && c->config ? line_of(c->config, section, entry, member(by, "key")) : 0;
    if (!line)
        return;
    (void)json_object_set_new(by, "file", json_string(c->config));
    (void)json_object_set_new(by, "line", json_integer(line));
}

static bool time_of(const struct cli *c, int64_t *ret_us)
{
    *ret_us = (int64_t)time(NULL) * 1000000;
    return !c->at || since_parse(c->at, *ret_us, ret_us);
}

int explain_call(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    struct reply r;
    int64_t at;
    if (!word_ok(c->as) || !word_ok(c->to) || c->n_words) {
        (void)fprintf(stderr, "ringwall explain: --as USER and --to NUMBER belong together\n");
        return EXIT_USAGE;
    }
    if (!time_of(c, &at)) {
        (void)fprintf(stderr, "ringwall explain: --at wants \"2026-11-18 22:15\"\n");
        return EXIT_USAGE;
    }
    request_begin(&o, "explain-call");
    request_str(&o, "user", c->as);
    request_str(&o, "to", c->to);
    out_json_ki64(&o, STR("at_us"), at);
    out_json_ku64(&o, STR("engine"), 0);
    out_ch(&o, '}');
    int e = gateway_ask(c, out_str(&o), &r);
    if (e != EXIT_OK)
        return e;
    e = reply_judge(&r);
    json_t *doc = json_array_get(json_object_get(r.doc, "engines"), 0);
    const char *error = member(doc, "error");
    if (e == EXIT_OK && (!doc || error)) {
        (void)fprintf(stderr, "ringwall explain: %s\n", error ? error : "no engine answers");
        e = error ? EXIT_NOT_FOUND : EXIT_LATE;
    } else if (e == EXIT_OK) {
        place(c, doc);
        if (c->json)
            print_json(stdout, doc);
        else
            show_explain_call(stdout, c, doc);
    }
    reply_done(&r);
    return e;
}
