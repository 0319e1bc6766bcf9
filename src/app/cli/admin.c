/* What administrators are told of each other: approvals, the glass, the audit, notifications. */
#include "app/cli/cli.h"

static int usage(const char *command, const char *usage_text)
{
    (void)fprintf(stderr, "usage: ringwall %s %s\n", command, usage_text);
    return EXIT_USAGE;
}

static int send_off(struct cli *c, struct out *o, show_fn *show)
{
    out_ch(o, '}');
    if (o->full) {
        (void)fprintf(stderr, "ringwall: the words are too long\n");
        return EXIT_USAGE;
    }
    return ask_and_show(c, out_str(o), show);
}

static bool put_number(struct out *o, const char *key, const char *word)
{
    uint32_t n;
    if (str_u32(str_c(word), UINT32_MAX, &n) != OK || n == 0) {
        (void)fprintf(stderr, "ringwall: \"%s\" is no number from 1\n", word);
        return false;
    }
    out_json_ku64(o, str_c(key), n);
    return true;
}

/* -- approvals -- */

static void show_approvals(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const HEAD[] = {"ID", "WHO", "ROLE", "COMMAND", "UNTIL", "WHY", "WHAT"};
    const json_t *list = json_object_get(doc, "approvals"), *a;
    size_t i;
    (void)c;
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(list, i, a)
    {
        char until[24];
        time_text(number(a, "until_us"), until);
        table_fmt(t, "%lld", (long long)number(a, "id"));
        table_text(t, member(a, "who"));
        table_text(t, member(a, "role"));
        table_text(t, member(a, "cmd"));
        table_text(t, until);
        table_text(t, member(a, "why"));
        table_text(t, member(a, "what"));
    }
    table_print(t, to);
    if (json_array_size(list) == 0)
        (void)fprintf(to, "nothing waits for a second person\n");
}

static void show_done(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)c;
    if (json_object_get(doc, "generation"))
        (void)fprintf(to, "done: configuration %lld is in force\n",
                      (long long)number(doc, "generation"));
    else
        (void)fprintf(to, "done\n");
}

int cmd_approvals(struct cli *c)
{
    char text[1024];
    struct out o = out_of(text, sizeof text);
    const char *verb = c->n_words ? c->words[0] : "list";
    if (strcmp(verb, "list") == 0 && c->n_words <= 1)
        return ask_and_show(c, STR("{\"cmd\":\"approvals\"}"), show_approvals);
    bool approve = strcmp(verb, "approve") == 0;
    if ((!approve && strcmp(verb, "deny") != 0) || c->n_words != 2)
        return usage("approvals", "[list | approve ID | deny ID]");
    request_begin(&o, approve ? "approvals-approve" : "approvals-deny");
    return put_number(&o, "id", c->words[1]) ? send_off(c, &o, show_done) : EXIT_USAGE;
}

int cmd_break_glass(struct cli *c)
{
    char text[1024];
    struct out o = out_of(text, sizeof text);
    if (!c->reason)
        return usage("break-glass", "[ID] --reason TEXT");
    request_begin(&o, "break-glass");
    if (c->n_words && !put_number(&o, "id", c->words[0]))
        return EXIT_USAGE;
    return send_off(c, &o, show_done);
}

/* -- audit -- */

static void part(FILE *to, const char *before, const char *v)
{
    if (!v || !*v)
        return;
    (void)fprintf(to, "%s", before);
    put_safe(to, str_c(v));
}

static void show_audit(FILE *to, const struct cli *c, const json_t *doc)
{
    const json_t *a;
    size_t i;
    (void)c;
    json_array_foreach(json_object_get(doc, "acts"), i, a)
    {
        char when[24];
        time_text(number(a, "time_us"), when);
        (void)fprintf(to, "%s  ", when);
        put_safe(to, str_c(member(a, "who") ? member(a, "who") : "?"));
        part(to, " (", member(a, "role"));
        (void)fprintf(to, ")  ");
        put_safe(to, str_c(member(a, "act") ? member(a, "act") : "?"));
        part(to, " ", member(a, "what"));
        part(to, ": ", member(a, "outcome"));
        part(to, "\n    reason  ", member(a, "reason"));
        part(to, "\n    why     ", member(a, "why"));
        part(to, "\n    before  ", member(a, "before"));
        part(to, "\n    after   ", member(a, "after"));
        part(to, "\n    from    ", member(a, "from"));
        (void)fputc('\n', to);
    }
}

int cmd_audit(struct cli *c)
{
    char text[1024];
    struct out o = out_of(text, sizeof text);
    request_begin(&o, "audit");
    if (c->last && !put_number(&o, "last", c->last))
        return EXIT_USAGE;
    return send_off(c, &o, show_audit);
}

/* -- notify -- */

static void show_notify(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const HEAD[] = {"TARGET", "KIND",   "SENT",      "WAIT",
                                       "LOST",   "SUMMED", "LAST ERROR"};
    const json_t *t0;
    size_t i;
    (void)c;
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(json_object_get(doc, "targets"), i, t0)
    {
        table_text(t, member(t0, "name"));
        table_text(t, member(t0, "kind"));
        table_fmt(t, "%lld", (long long)number(t0, "sent"));
        table_fmt(t, "%lld", (long long)number(t0, "waiting"));
        table_fmt(t, "%lld", (long long)number(t0, "lost"));
        table_fmt(t, "%lld", (long long)number(t0, "summed"));
        table_text(t, member(t0, "error"));
    }
    table_print(t, to);
}

int cmd_notify(struct cli *c)
{
    char text[256];
    struct out o = out_of(text, sizeof text);
    if (c->n_words && strcmp(c->words[0], "test") != 0)
        return usage("notify", "[test]");
    request_begin(&o, c->n_words ? "notify-test" : "notify");
    return send_off(c, &o, show_notify);
}
