/* `ringwall explain --as --to` for people: what would become of a call, and why. */
#include "app/cli/cli.h"

static void row(FILE *to, const char *head, const char *text)
{
    if (!text || !*text)
        return;
    (void)fprintf(to, "%-9s", head);
    put_safe(to, str_c(text));
    (void)fputc('\n', to);
}

static const char *money(int64_t micro, char ret[32])
{
    int64_t cent = micro / 10000;
    (void)snprintf(ret, 32, "%lld.%02lld", (long long)(cent / 100), (long long)(cent % 100));
    return ret;
}

static void number_show(FILE *to, const json_t *d)
{
    const char *e164 = member(d, "number"), *country = member(d, "country");
    char text[160];
    (void)snprintf(text, sizeof text, "%s%s%s%s%s (%s)", e164 ? e164 : "", e164 ? ", " : "",
                   member(d, "class") ? member(d, "class") : "?", country ? ", " : "",
                   country ? country : "", member(d, "numbers_by") ? member(d, "numbers_by") : "?");
    row(to, "number", text);
}

static void who_show(FILE *to, const json_t *d)
{
    const char *role = member(d, "role"), *site = member(d, "site"), *zone = member(d, "zone");
    char text[240];
    (void)snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s", member(d, "as") ? member(d, "as") : "?",
                   role ? ", role " : "", role ? role : "", site ? ", site " : "", site ? site : "",
                   !site                                      ? ""
                   : json_is_true(json_object_get(d, "open")) ? " (open)"
                                                              : " (closed)",
                   zone ? ", zone " : "", zone ? zone : "");
    row(to, "caller", text);
}

static void gates_show(FILE *to, const json_t *d)
{
    const json_t *g;
    size_t i;
    json_array_foreach(json_object_get(d, "gates"), i, g)
    {
        const char *why = member(g, "text"), *name = member(g, "reason");
        (void)fprintf(to, "  %-11s%s", member(g, "gate") ? member(g, "gate") : "?",
                      member(g, "verdict") ? member(g, "verdict") : "?");
        if (why && name)
            (void)fprintf(to, ": %s (%s)", why, name);
        (void)fputc('\n', to);
    }
}

static void route_show(FILE *to, const json_t *r)
{
    char text[400];
    const json_t *p;
    size_t i;
    if (!r)
        return;
    int n = snprintf(text, sizeof text, "%s, to %s", member(r, "name") ? member(r, "name") : "?",
                     member(r, "to") ? member(r, "to") : "?");
    json_array_foreach(json_object_get(r, "peers"), i, p)
    {
        if (n > 0 && (size_t)n < sizeof text && json_string_value(p))
            n += snprintf(text + n, sizeof text - (size_t)n, "%s %s", i ? "," : "",
                          json_string_value(p));
    }
    if (member(r, "leaves_as") && n > 0 && (size_t)n < sizeof text)
        n += snprintf(text + n, sizeof text - (size_t)n, ", as %s", member(r, "leaves_as"));
    if (member(r, "when") && n > 0 && (size_t)n < sizeof text)
        (void)snprintf(text + n, sizeof text - (size_t)n, ", while %s is %s",
                       member(r, "site") ? member(r, "site") : "?", member(r, "when"));
    row(to, "route", text);
}

static void passed_over_show(FILE *to, const json_t *d)
{
    char text[200];
    const json_t *r;
    size_t i;
    json_array_foreach(json_object_get(d, "passed_over"), i, r)
    {
        const char *name = member(r, "name") ? member(r, "name") : "?", *wants = member(r, "wants");
        if (wants)
            (void)snprintf(text, sizeof text, "%.60s: only while %.60s is %.10s", name,
                           member(r, "site") ? member(r, "site") : "?", wants);
        else
            (void)snprintf(text, sizeof text, "%.60s: not for this caller (from)", name);
        row(to, "not", text);
    }
}

static void asks_show(FILE *to, const json_t *a)
{
    char text[500];
    const char *who = a ? (member(a, "url") ? member(a, "url") : member(a, "peer")) : NULL;
    if (!who)
        return;
    (void)snprintf(text, sizeof text, "%.400s first; without an answer: %s", who,
                   member(a, "fails") ? member(a, "fails") : "?");
    row(to, "asks", text);
}

static void price_show(FILE *to, const json_t *p)
{
    char text[240], a[32], b[32];
    const char *deck = p ? member(p, "deck") : NULL, *cur = p ? member(p, "currency") : NULL;
    if (!p || !json_is_true(json_object_get(p, "paid")))
        return;
    (void)snprintf(text, sizeof text, "%s %s a minute, %s a call, %lld/%lld s, ",
                   money(number(p, "minute_micro"), a), cur ? cur : "",
                   money(number(p, "setup_micro"), b), (long long)number(p, "minimum_s"),
                   (long long)number(p, "increment_s"));
    (void)fprintf(to, "%-9s", "price");
    put_safe(to, str_c(text));
    if (deck)
        (void)fprintf(to, "deck %s line %lld\n", deck, (long long)number(p, "line"));
    else
        (void)fprintf(to, "by class\n");
}

static void cap_show(FILE *to, const json_t *k, const char *word, const char *cap, const char *used)
{
    char a[32], b[32];
    if (number(k, cap))
        (void)fprintf(to, ", %s of %s a %s", money(number(k, used), a), money(number(k, cap), b),
                      word);
}

static void caps_show(FILE *to, const json_t *k)
{
    if (!k)
        return;
    (void)fprintf(to, "%-9s%lld of %lld calls", "caps", (long long)number(k, "calls_now"),
                  (long long)number(k, "calls"));
    cap_show(to, k, "hour", "hour_micro", "hour_used_micro");
    cap_show(to, k, "day", "day_micro", "day_used_micro");
    cap_show(to, k, "month", "month_micro", "month_used_micro");
    (void)fprintf(to, "%s\n", json_is_true(json_object_get(k, "off_hours")) ? " (off hours)" : "");
}

static void abroad_show(FILE *to, const json_t *d)
{
    const json_t *a = json_object_get(d, "abroad");
    const char *country = member(a, "country");
    if (!country)
        return;
    (void)fprintf(to, "%-9s", "abroad");
    put_safe(to, str_c(country));
    if (json_is_true(json_object_get(a, "allowed"))) {
        (void)fprintf(to, ", which the user was let call\n");
        return;
    }
    (void)fprintf(to, ", for the first time: by a one-time code, or ringwall country allow ");
    put_safe(to, str_c(member(d, "as") ? member(d, "as") : "USER"));
    (void)fprintf(to, " ");
    put_safe(to, str_c(country));
    (void)fprintf(to, "\n");
}

void show_explain_call(FILE *to, const struct cli *c, const json_t *d)
{
    const char *v = member(d, "verdict"), *why = member(d, "text");
    const json_t *by = json_object_get(d, "decides");
    char when[24];
    (void)c;
    time_text(number(d, "at_us"), when);
    (void)fprintf(to, "%s: ", when);
    put_safe(to, str_c(member(d, "to") ? member(d, "to") : "?"));
    if (v && strcmp(v, "pass") == 0)
        (void)fprintf(to, " would go%s\n",
                      json_is_true(json_object_get(d, "emergency")) ? ": an emergency call" : "");
    else if (v && strcmp(v, "step-up") == 0)
        (void)fprintf(to, " would go after a one-time code\n");
    else
        (void)fprintf(to, " would be refused: %s (%s, %lld)\n", why ? why : "?",
                      member(d, "reason") ? member(d, "reason") : "?",
                      (long long)number(d, "code"));
    who_show(to, d);
    number_show(to, d);
    abroad_show(to, d);
    gates_show(to, d);
    route_show(to, json_object_get(d, "route"));
    passed_over_show(to, d);
    asks_show(to, json_object_get(d, "asks"));
    price_show(to, json_object_get(d, "price"));
    caps_show(to, json_object_get(d, "caps"));
    if (!by)
        return;
    if (member(by, "state")) {
        (void)fprintf(to, "%-9sno line of the configuration, but a state: %s\n", "decides",
                      member(by, "remedy") ? member(by, "remedy") : "?");
        return;
    }
    (void)fprintf(to, "%-9s%s", "decides", member(by, "section") ? member(by, "section") : "?");
    if (member(by, "entry"))
        (void)fprintf(to, ".%s", member(by, "entry"));
    if (member(by, "key"))
        (void)fprintf(to, ".%s", member(by, "key"));
    if (number(by, "line")) {
        (void)fprintf(to, "  ");
        put_safe(to, str_c(member(by, "file") ? member(by, "file") : ""));
        (void)fprintf(to, ":%lld", (long long)number(by, "line"));
    }
    (void)fputc('\n', to);
}
