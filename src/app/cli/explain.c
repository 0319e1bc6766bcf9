/* `ringwall explain --as WHO --to NUMBER [--at TIME]`: asks an engine, and looks up which line of
 * the configuration decides. */
#include "app/cli/cli.h"
#include "app/config/config.h"
#include "ipc/control.h"
#include <time.h>

#define REQUEST_MAX 1024u

static bool word_ok(const char *s)
{
    return s && *s && !strpbrk(s, "\"\\") && strlen(s) < 200;
}

static struct str word_of(const json_t *o, const char *key)
{
    const char *s = member(o, key);
    return s ? str_c(s) : STR_NONE;
}

static void place(const struct cli *c, json_t *doc)
{
    json_t *by = json_object_get(doc, "decides");
    const struct config_where w = {word_of(by, "section"), word_of(by, "entry"), word_of(by, "key"),
                                   0};
    uint32_t line = w.section.n && c->config ? config_line(c->config, &w) : 0;
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
