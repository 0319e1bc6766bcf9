/* One frame of `ringwall top`. */
#include "app/cli/top.h"
#include <time.h>

#define REASONS_MAX 128u
#define RATES_SHOWN 6u

const char *const TOP_PANES[PANES] = {"calls", "registrations", "attackers", "bans"};

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
        (void)fprintf(to, t->pane == i ? "[%u %s] " : " %u %s  ", i + 1, TOP_PANES[i]);
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

char *top_frame(struct top *t)
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
