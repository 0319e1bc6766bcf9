/* Bans, alerts and what is known of somebody, as text for people. */
#include "app/cli/cli.h"
#include "base/reasons.h"
#include <time.h>

static bool truth(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static void line(FILE *to, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    (void)fprintf(to, "  %-12s ", name);
    put_safe(to, str_c(value));
    (void)fputc('\n', to);
}

static const char *reason_text(const char *name)
{
    enum reason r = name ? reason_by_name(str_c(name)) : REASON_NONE;
    return r == REASON_NONE ? NULL : reason_info(r)->text.p;
}

static const char *of(const json_t *o, const char *key)
{
    const char *v = member(o, key);
    return v ? v : "";
}

static void who_cell(struct table *t, const json_t *b)
{
    const char *address = of(b, "address"), *who = of(b, "who");
    bool source = strcmp(of(b, "scope"), "source") == 0;
    if (source || !*who)
        table_text(t, *address ? address : of(b, "scope"));
    else
        table_fmt(t, "%s%s%s", who, *address ? " at " : "", address);
}

static void left_text(const json_t *b, char ret[24])
{
    if (!json_object_get(b, "until_us"))
        (void)snprintf(ret, 24, "until released");
    else
        span_text(number(b, "left_s"), ret);
}

static const char *because(const json_t *b)
{
    return member(b, "detector") ? member(b, "detector")
           : member(b, "feed")   ? member(b, "feed")
                                 : member(b, "why");
}

static void bans_table(FILE *to, const json_t *list)
{
    static const char *const HEAD[] = {"BAN", "WHO",  "HOW",   "LEFT", "BY",
                                       "WHY", "HITS", "SINCE", "NOTE"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *b;
    size_t i;
    json_array_foreach(list, i, b)
    {
        char left[24], since[24];
        left_text(b, left);
        time_text(number(b, "since_us"), since);
        if (number(b, "id"))
            table_fmt(t, "%lld", (long long)number(b, "id"));
        else
            table_text(t, "-");
        who_cell(t, b);
        table_text(t, member(b, "treat"));
        table_text(t, left);
        table_text(t, member(b, "by"));
        table_text(t, because(b));
        table_fmt(t, "%lld", (long long)number(b, "hits"));
        table_text(t, since);
        table_fmt(t, "%s%s%s", truth(b, "dry_run") ? "DRY RUN " : "",
                  truth(b, "forgeable") ? "forgeable " : "", number(b, "times") > 1 ? "again" : "");
    }
    table_print(t, to);
}

void show_bans(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)c;
    bans_table(to, json_object_get(doc, "bans"));
    (void)fprintf(to, "%lld of %lld", (long long)number(doc, "shown"),
                  (long long)number(doc, "total"));
    if (number(doc, "of_feeds"))
        (void)fprintf(to, "; feeds name %lld more", (long long)number(doc, "of_feeds"));
    (void)fprintf(to, "%s\n", truth(doc, "dry_run") ? "; dry run: nobody is banned" : "");
}

static void message_show(FILE *to, const json_t *e)
{
    const char *text = member(e, "text");
    if (!text)
        return;
    (void)fprintf(to, "\n  the message (%lld bytes%s):\n", (long long)number(e, "whole"),
                  number(e, "bytes") < number(e, "whole") ? ", the first of them" : "");
    for (struct str rest = str_c(text), l; rest.n;) {
        rest = str_cut(rest, '\n', &l);
        (void)fprintf(to, "    ");
        put_safe(to, l);
        (void)fputc('\n', to);
    }
}

void show_ban(FILE *to, const struct cli *c, const json_t *doc)
{
    const json_t *b = json_object_get(doc, "ban");
    char since[24], until[24], left[24], text[96];
    (void)c;
    (void)fprintf(to, "ban %lld: ", (long long)number(b, "id"));
    if (member(b, "address")) {
        put_safe(to, str_c(member(b, "address")));
        (void)fprintf(to, strcmp(of(b, "scope"), "pair") == 0 ? " as " : "");
    }
    if (member(b, "who") && strcmp(of(b, "scope"), "source") != 0)
        put_safe(to, str_c(member(b, "who")));
    (void)fputc('\n', to);
    line(to, "scope", member(b, "scope"));
    line(to, "how", member(b, "treat"));
    line(to, "by", member(b, "by"));
    line(to, "detector", member(b, "detector"));
    line(to, "feed", member(b, "feed"));
    line(to, "why", member(b, "why"));
    line(to, "last straw", reason_text(member(b, "reason")));
    time_text(number(b, "since_us"), since);
    line(to, "since", since);
    if (json_object_get(b, "until_us")) {
        time_text(number(b, "until_us"), until);
        span_text(number(b, "left_s"), left);
        (void)snprintf(text, sizeof text, "%s (%s left)", until, left);
    } else {
        (void)snprintf(text, sizeof text, "released: ringwall bans release %lld",
                       (long long)number(b, "id"));
    }
    line(to, "until", text);
    (void)fprintf(to, "  %-12s %lld\n  %-12s %lld\n", "hits", (long long)number(b, "hits"), "times",
                  (long long)number(b, "times"));
    if (truth(b, "forgeable"))
        line(to, "note", "its evidence can be forged: brief, and never longer for doing it again");
    if (truth(b, "dry_run"))
        line(to, "note", "dry run: nothing is done");
    message_show(to, json_object_get(doc, "evidence"));
}

static void alerts_table(FILE *to, const json_t *list)
{
    static const char *const HEAD[] = {"TIME",    "SEV", "FROM", "WHAT",
                                       "MESSAGE", "WHO", "DONE", "EVIDENCE"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *a;
    size_t i;
    json_array_foreach(list, i, a)
    {
        char when[24];
        time_text(number(a, "time_us"), when);
        table_text(t, when);
        table_fmt(t, "%lld", (long long)number(a, "severity"));
        table_text(t, member(a, "source"));
        if (member(a, "detector"))
            table_text(t, member(a, "detector"));
        else
            table_fmt(t, "rule %lld", (long long)number(a, "sid"));
        table_text(t, member(a, "message"));
        table_text(t, member(a, "from"));
        table_fmt(t, "%s%s", truth(a, "dry_run") ? "would " : "",
                  member(a, "action") ? member(a, "action") : of(a, "treat"));
        if (number(a, "evidence"))
            table_fmt(t, "%lld", (long long)number(a, "evidence"));
        else
            table_text(t, "-");
    }
    table_print(t, to);
}

void show_alert_list(FILE *to, const struct cli *c, const json_t *doc)
{
    size_t n = json_array_size(json_object_get(doc, "alerts"));
    (void)c;
    alerts_table(to, json_object_get(doc, "alerts"));
    (void)fprintf(to, "%zu alert%s%s\n", n, n == 1 ? "" : "s",
                  truth(doc, "truncated") ? " (cut: narrow the question)" : "");
}

void show_evidence(FILE *to, const struct cli *c, const json_t *doc)
{
    char when[24];
    (void)c;
    time_text(number(doc, "time_us"), when);
    (void)fprintf(to, "evidence %lld, %s\n", (long long)number(doc, "evidence"), when);
    message_show(to, doc);
}

/* -- somebody -- */

static void entity_show(FILE *to, const json_t *x, size_t engine)
{
    const json_t *p, *d;
    size_t i, k;
    json_array_foreach(json_object_get(x, "persons"), i, p)
    {
        (void)fprintf(to, "  engine %zu: ", engine);
        put_safe(to, str_c(of(x, "entity")));
        (void)fprintf(to, ", ");
        put_safe(to, str_c(of(p, "proof")));
        (void)fprintf(to, ": score %lld", (long long)number(p, "score"));
        json_array_foreach(json_object_get(p, "fired"), k, d)
        {
            (void)fprintf(to, k ? ", " : "; fires: ");
            put_safe(to, str_c(json_string_value(d)));
        }
        if (member(p, "last")) {
            (void)fprintf(to, "; last ");
            put_safe(to, str_c(member(p, "last")));
            (void)fprintf(to, " (");
            put_safe(to, str_c(of(p, "reason")));
            (void)fprintf(to, ")");
        }
        (void)fputc('\n', to);
    }
}

static void device_show(FILE *to, const json_t *x, size_t engine)
{
    const json_t *p = json_object_get(x, "person");
    (void)fprintf(to, "  engine %zu: device of ", engine);
    put_safe(to, str_c(of(x, "who")));
    (void)fprintf(to, " at ");
    put_safe(to, str_c(of(x, "address")));
    (void)fprintf(to, " (by ");
    put_safe(to, str_c(of(x, "known_by")));
    (void)fprintf(to, "), ");
    put_safe(to, str_c(of(p, "proof")));
    (void)fprintf(to, ": score %lld", (long long)number(p, "score"));
    if (member(p, "last")) {
        (void)fprintf(to, "; last ");
        put_safe(to, str_c(member(p, "last")));
    }
    (void)fputc('\n', to);
}

static void engines_show(FILE *to, const json_t *list)
{
    const json_t *e;
    const json_t *d;
    const char *tier = NULL, *country = NULL;
    size_t i, k;
    json_array_foreach(list, i, e)
    {
        const char *t = member(e, "tier");
        if (t && (!tier || strcmp(t, "unknown") != 0))
            tier = t;
        country = member(e, "country") ? member(e, "country") : country;
    }
    line(to, "stands as", tier);
    line(to, "country", country);
    json_array_foreach(list, i, e)
    {
        entity_show(to, json_object_get(e, "source"), i);
        entity_show(to, json_object_get(e, "aor"), i);
        entity_show(to, json_object_get(e, "number"), i);
        json_array_foreach(json_object_get(e, "devices"), k, d) device_show(to, d, i);
    }
}

static void refusals_show(FILE *to, const json_t *list)
{
    static const char *const HEAD[] = {"TIME", "METHOD", "FROM", "TO", "SOURCE", "CODE", "BECAUSE"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *v;
    size_t i;
    json_array_foreach(list, i, v)
    {
        char when[24];
        time_text(number(v, "time_us"), when);
        table_text(t, when);
        table_text(t, member(v, "method"));
        table_text(t, member(v, "from"));
        table_text(t, member(v, "to"));
        table_text(t, member(v, "source"));
        table_fmt(t, "%lld", (long long)number(v, "code"));
        table_text(t, reason_text(member(v, "reason")));
    }
    table_print(t, to);
}

void show_who(FILE *to, const struct cli *c, const json_t *doc)
{
    const char *user = member(doc, "user");
    const json_t *bans = json_object_get(doc, "bans"), *alerts = json_object_get(doc, "alerts"),
                 *refusals = json_object_get(doc, "refusals"),
                 *bindings = json_object_get(doc, "bindings"), *b;
    size_t i;
    (void)c;
    put_safe(to, str_c(member(doc, "address") ? member(doc, "address") : of(doc, "name")));
    if (user) {
        (void)fprintf(to, " (");
        put_safe(to, str_c(user));
        (void)fprintf(to, ")");
    }
    (void)fputc('\n', to);
    engines_show(to, json_object_get(doc, "engines"));
    (void)fprintf(to, "\n%s\n", json_array_size(bans) ? "Bans:" : "Not banned.");
    if (json_array_size(bans))
        bans_table(to, bans);
    if (json_array_size(bindings))
        (void)fprintf(to, "\nRegistered:\n");
    json_array_foreach(bindings, i, b)
    {
        (void)fprintf(to, "  ");
        put_safe(to, str_c(of(b, "aor")));
        (void)fprintf(to, " from ");
        put_safe(to, str_c(of(b, "source")));
        (void)fprintf(to, " by ");
        put_safe(to, str_c(of(b, "transport")));
        (void)fputc('\n', to);
    }
    if (json_array_size(alerts)) {
        (void)fprintf(to, "\nNewest alerts:\n");
        alerts_table(to, alerts);
    }
    if (json_array_size(refusals)) {
        (void)fprintf(to, "\nNewest refusals:\n");
        refusals_show(to, refusals);
    }
}
