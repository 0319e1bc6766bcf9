/* Documents of the gateway as text for people. */
#include "app/cli/cli.h"
#include "base/reasons.h"
#include <time.h>

const char *member(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

int64_t number(const json_t *o, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(o, key));
}

static bool truth(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static void line(FILE *to, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    (void)fprintf(to, "%-15s ", name);
    put_safe(to, str_c(value));
    (void)fputc('\n', to);
}

static const char *reason_text(const char *name)
{
    enum reason r = name ? reason_by_name(str_c(name)) : REASON_NONE;
    return r == REASON_NONE ? NULL : reason_info(r)->text.p;
}

/* -- status -- */

static void show_programs(FILE *to, const json_t *list)
{
    static const char *const HEAD[] = {"PROGRAM",  "PID", "STATE",    "UP",
                                       "RESTARTS", "IDS", "LANDLOCK", "SECCOMP"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    size_t i;
    const json_t *p;
    json_array_foreach(list, i, p)
    {
        const json_t *box = json_object_get(p, "sandbox");
        char up[24];
        span_text(number(p, "uptime_s"), up);
        table_text(t, member(p, "name"));
        table_fmt(t, "%lld", (long long)number(p, "pid"));
        table_text(t, member(p, "state"));
        table_text(t, up);
        table_fmt(t, "%lld", (long long)number(p, "restarts"));
        table_text(t, member(box, "ids"));
        table_fmt(t, number(box, "landlock") ? "ABI %lld" : "none",
                  (long long)number(box, "landlock"));
        table_text(t, truth(box, "seccomp") ? "on" : "OFF");
    }
    table_print(t, to);
}

static void show_listeners(FILE *to, const json_t *list)
{
    static const char *const HEAD[] = {"LISTENER", "TRANSPORT", "ADDRESS", "ADVERTISED"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    size_t i;
    const json_t *l;
    json_array_foreach(list, i, l)
    {
        table_text(t, member(l, "name"));
        table_text(t, member(l, "proto"));
        table_text(t, member(l, "bind"));
        table_text(t, member(l, "advertise"));
    }
    table_print(t, to);
}

static void show_waivers(FILE *to, const json_t *list)
{
    static const char *const HEAD[] = {"WAIVER", "ZONE", "ALLOWS", "UNTIL", "OWNER", "REASON"};
    if (json_array_size(list) == 0)
        return;
    (void)fputc('\n', to);
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    size_t i;
    const json_t *w;
    json_array_foreach(list, i, w)
    {
        bool sig = truth(w, "plain_signalling"), med = truth(w, "plain_media");
        char until[24];
        time_text(number(w, "expires_us") - 1, until);
        table_text(t, member(w, "name"));
        table_text(t, member(w, "zone"));
        table_text(t, sig && med ? "plain signalling and media"
                      : sig      ? "plain signalling"
                                 : "plain media");
        table_fmt(t, "%.10s%s", until, truth(w, "expired") ? " EXPIRED" : "");
        table_text(t, member(w, "owner"));
        table_text(t, member(w, "reason"));
    }
    table_print(t, to);
}

/* What drops in the kernel: "XDP (native) on eth0, pinned; self-test passed ...", and how much. */
static void show_shield(FILE *to, const json_t *s)
{
    const char *force = member(s, "in_force"), *name;
    const json_t *i;
    json_t *n;
    size_t k, some = 0;
    if (!force)
        return;
    (void)fprintf(to, "\nshield: %s",
                  strcmp(force, "xdp-native") == 0    ? "in the kernel by XDP, native"
                  : strcmp(force, "xdp-generic") == 0 ? "in the kernel by XDP, generic"
                  : strcmp(force, "nftables") == 0    ? "in the kernel by nf_tables"
                                                      : "in the gateway's own programs");
    json_array_foreach(json_object_get(s, "interfaces"), k, i)
    {
        (void)fprintf(to, k ? ", " : ", on ");
        put_safe(to, str_c(member(i, "name")));
    }
    (void)fprintf(to, "%s%s", truth(s, "pinned") ? ", pinned" : "",
                  truth(s, "dry_run") ? ", DRY RUN: nothing is dropped" : "");
    if (member(s, "selftest") && *member(s, "selftest")) {
        (void)fprintf(to, "; self-test ");
        put_safe(to, str_c(member(s, "selftest")));
    }
    (void)fputc('\n', to);
    line(to, "        because", member(s, "why"));
    json_object_foreach((json_t *)(uintptr_t)json_object_get(s, "drops"), name, n)
    {
        if (json_integer_value(n) == 0)
            continue;
        (void)fprintf(to, "%s%s %lld", some++ ? ", " : "        dropped there: ", name,
                      (long long)json_integer_value(n));
    }
    if (some)
        (void)fputc('\n', to);
}

static void show_feeds(FILE *to, const json_t *list)
{
    static const char *const HEAD[] = {"FEED",    "NAMES", "LINES",  "BAD",
                                       "GOOD AT", "FROM",  "PROBLEM"};
    size_t i;
    const json_t *f;
    if (json_array_size(list) == 0)
        return;
    (void)fputc('\n', to);
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(list, i, f)
    {
        char good[24] = "never";
        const char *error = member(f, "error") ? member(f, "error") : member(f, "file_error");
        if (number(f, "good_s"))
            time_text(number(f, "good_s") * 1000000, good);
        table_text(t, member(f, "name"));
        table_fmt(t, "%lld", (long long)number(f, "entries"));
        table_fmt(t, "%lld", (long long)number(f, "lines"));
        table_fmt(t, "%lld", (long long)number(f, "bad"));
        table_text(t, good);
        table_text(t, member(f, "from"));
        table_text(t, error ? error : "-");
    }
    table_print(t, to);
}

static void show_counts(FILE *to, const json_t *reasons)
{
    static const char *const HEAD[] = {"REFUSED OR DROPPED", "TIMES", "MEANING"};
    const char *name;
    json_t *n;
    if (json_object_size(reasons) == 0)
        return;
    (void)fputc('\n', to);
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_object_foreach((json_t *)(uintptr_t)reasons, name, n)
    {
        table_text(t, name);
        table_fmt(t, "%lld", (long long)json_integer_value(n));
        table_text(t, reason_text(name));
    }
    table_print(t, to);
}

void show_status(FILE *to, const struct cli *c, const json_t *doc)
{
    const json_t *s = json_object_get(doc, "stats");
    char up[24];
    (void)c;
    span_text(number(doc, "uptime_s"), up);
    (void)fprintf(to, "ringwall ");
    put_safe(to, str_c(member(doc, "version")));
    (void)fprintf(to, " is ");
    put_safe(to, str_c(member(doc, "state")));
    (void)fprintf(to, " (pid %lld) for %s, configuration %lld\n", (long long)number(doc, "pid"), up,
                  (long long)number(doc, "generation"));
    if (member(doc, "config_error"))
        line(to, "REFUSED RELOAD", member(doc, "config_error"));
    if (json_is_object(json_object_get(doc, "break_glass")))
        line(to, "THE GLASS WAS BROKEN by", member(json_object_get(doc, "break_glass"), "who"));
    if (json_is_true(json_object_get(doc, "spent_unknown")))
        line(to, "WHAT WAS SPENT IS NOT KNOWN", "see ringwall fraud accept");
    if (json_array_size(json_object_get(doc, "approvals")) > 0)
        line(to, "WAITS FOR A SECOND PERSON", "see ringwall approvals");
    (void)fprintf(
        to, "calls %lld now, %lld in all   bindings %lld   connections %lld   transactions %lld\n",
        (long long)number(s, "calls"), (long long)number(s, "calls_total"),
        (long long)number(s, "bindings"), (long long)number(s, "connections"),
        (long long)number(s, "transactions"));
    (void)fprintf(
        to,
        "SIP %lld in, %lld out   RTP %lld in, %lld out   ports taken %lld   records lost %lld\n\n",
        (long long)number(s, "sip_in"), (long long)number(s, "sip_out"),
        (long long)number(s, "rtp_in"), (long long)number(s, "rtp_out"),
        (long long)number(s, "ports_taken"), (long long)number(s, "facts_lost"));
    show_programs(to, json_object_get(doc, "programs"));
    (void)fputc('\n', to);
    show_listeners(to, json_object_get(doc, "listeners"));
    show_waivers(to, json_object_get(doc, "waivers"));
    show_shield(to, json_object_get(doc, "shield"));
    show_feeds(to, json_object_get(doc, "feeds"));
    show_counts(to, json_object_get(doc, "reasons"));
}

/* -- calls, peers, bindings, events -- */

static void call_row(struct table *t, const json_t *call, size_t engine)
{
    const json_t *legs = json_object_get(call, "legs");
    char age[24];
    span_text(number(call, "age_s"), age);
    table_fmt(t, "%zu", engine);
    table_text(t, age);
    table_text(t, member(call, "state"));
    table_text(t, member(call, "from"));
    table_text(t, member(call, "to"));
    for (size_t i = 0; i < 2; i++) {
        const json_t *leg = json_array_get(legs, i),
                     *m = json_array_get(json_object_get(leg, "media"), 0);
        table_fmt(t, "%s %s", leg && member(leg, "transport") ? member(leg, "transport") : "-",
                  m && member(m, "suite") ? member(m, "suite") : "");
    }
    const json_t *m = json_array_get(json_object_get(json_array_get(legs, 0), "media"), 0);
    table_text(t, member(m, "codec"));
    table_text(t, truth(call, "one_way") ? "ONE WAY" : "");
}

void show_calls(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const HEAD[] = {"ENGINE",       "AGE",          "STATE", "FROM", "TO",
                                       "CALLER'S LEG", "CALLEE'S LEG", "CODEC", "NOTE"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *e, *call;
    size_t i, k, n = 0;
    (void)c;
    json_array_foreach(json_object_get(doc, "engines"), i, e)
    {
        json_array_foreach(json_object_get(e, "calls"), k, call)
        {
            call_row(t, call, i);
            n++;
        }
    }
    table_print(t, to);
    (void)fprintf(to, "%zu call%s\n", n, n == 1 ? "" : "s");
}

/* Our registrations at a peer, which every engine knows its own part of. */
static void registrations_text(const json_t *doc, const char *name, char *buf, size_t cap)
{
    const json_t *e, *p, *own = NULL;
    const char *why = NULL;
    long long users = 0, up = 0;
    size_t i, k;
    json_array_foreach(json_object_get(doc, "engines"), i, e)
    {
        json_array_foreach(json_is_object(e) ? json_object_get(e, "peers") : e, k, p)
        {
            const char *of = member(p, "name");
            if (!of || !name || strcmp(of, name) != 0)
                continue;
            users += (long long)number(p, "fronted");
            up += (long long)number(p, "fronted_registered");
            own = json_object_get(p, "registered") ? p : own;
            why = member(p, "register_reason") ? member(p, "register_reason") : why;
        }
    }
    struct out o = out_of(buf, cap - 1);
    if (own)
        out_put(&o, truth(own, "registered") ? STR("account") : STR("ACCOUNT NOT REGISTERED"));
    if (users) {
        out_put(&o, own ? STR(", ") : STR_NONE);
        out_i64(&o, up);
        OUT_LIT(&o, " of ");
        out_i64(&o, users);
        OUT_LIT(&o, " users");
    }
    if (why && (own || users)) {
        OUT_LIT(&o, ": ");
        out_put(&o, str_c(why));
    }
    buf[o.n] = 0;
}

void show_peers(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const HEAD[] = {"PEER", "KIND", "ADDRESS", "STATE", "REGISTERED THERE"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *list = json_array_get(json_object_get(doc, "engines"), 0), *p, *target;
    size_t i, k;
    (void)c;
    if (json_is_object(list))
        list = json_object_get(list, "peers");
    json_array_foreach(list, i, p)
    {
        const char *host = member(p, "host"), *why = member(p, "name_error");
        char regs[128];
        registrations_text(doc, member(p, "name"), regs, sizeof regs);
        json_array_foreach(json_object_get(p, "targets"), k, target)
        {
            table_text(t, member(p, "name"));
            table_text(t, member(p, "kind"));
            table_fmt(t, "%s%s%s", member(target, "address"), host ? " " : "", host ? host : "");
            table_fmt(t, "%s%s%s%s", truth(target, "up") ? "up" : "DOWN",
                      truth(p, "secure") ? ", signed" : "", why ? ", old: " : "", why ? why : "");
            table_text(t, k ? "" : regs);
        }
        if (host && !json_array_size(json_object_get(p, "targets"))) {
            table_text(t, member(p, "name"));
            table_text(t, member(p, "kind"));
            table_text(t, host);
            table_fmt(t, "UNRESOLVED%s%s", why ? ": " : "", why ? why : "");
            table_text(t, regs);
        }
    }
    table_print(t, to);
}

void show_bindings(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const HEAD[] = {"USER",       "TRANSPORT", "FROM",
                                       "EXPIRES IN", "CONTACT",   "NOTE"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *b;
    size_t i;
    int64_t now_s = (int64_t)time(NULL);
    (void)c;
    json_array_foreach(json_object_get(doc, "bindings"), i, b)
    {
        char left[24];
        span_text(number(b, "expires_us") / 1000000 - now_s, left);
        table_text(t, member(b, "aor"));
        table_text(t, member(b, "transport"));
        table_text(t, member(b, "source"));
        table_text(t, left);
        table_text(t, member(b, "contact"));
        table_fmt(t, "%s%s", truth(b, "nat") ? "NAT " : "", truth(b, "restored") ? "restored" : "");
    }
    table_print(t, to);
    (void)fprintf(to, "%lld of %lld\n", (long long)number(doc, "shown"),
                  (long long)number(doc, "total"));
}

void show_events(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const SKIP[] = {"seq", "time_us", "event", "hash", "prev", "fact", "engine"};
    const json_t *e;
    size_t i;
    (void)c;
    json_array_foreach(json_object_get(doc, "events"), i, e)
    {
        char when[24];
        const char *key;
        json_t *v;
        time_text(number(e, "time_us"), when);
        (void)fprintf(to, "%s  ", when);
        put_safe(to, str_c(member(e, "event")));
        json_object_foreach((json_t *)(uintptr_t)e, key, v)
        {
            bool skip = false;
            for (size_t k = 0; k < ARRAY_LEN(SKIP); k++)
                skip = skip || strcmp(key, SKIP[k]) == 0;
            char *text = skip ? NULL
                         : json_is_string(v)
                             ? NULL
                             : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
            if (skip)
                continue;
            (void)fprintf(to, "  ");
            put_safe(to, str_c(key));
            (void)fputc(0x3d, to);
            put_safe(to, str_c(text ? text : json_string_value(v)));
            free(text);
        }
        (void)fputc('\n', to);
    }
}

/* -- records of calls -- */

static const char *outcome(const json_t *s, char buf[64])
{
    if (truth(s, "aborted"))
        return "aborted";
    if (number(s, "answer_us"))
        return "answered";
    (void)snprintf(buf, 64, "%lld %.40s", (long long)number(s, "code"),
                   member(s, "reason") ? member(s, "reason") : "");
    return buf;
}

void show_cdr(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const HEAD[] = {"STARTED",      "TALKED",     "FROM",
                                       "TO",           "OUTCOME",    "ENDED BY",
                                       "CRYPTO A / B", "LOST A / B", "CALL-ID"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    const json_t *s, *list = json_object_get(doc, "sessions");
    size_t i, n = 0;
    json_array_foreach(list, i, s)
    {
        const json_t *a = json_array_get(json_object_get(s, "legs"), 0),
                     *b = json_array_get(json_object_get(s, "legs"), 1);
        char when[24], talked[24], buf[64];
        if (c->aborted && !truth(s, "aborted"))
            continue;
        time_text(number(s, "start_us"), when);
        span_text(number(s, "answer_us") ? (number(s, "end_us") - number(s, "answer_us")) / 1000000
                                         : 0,
                  talked);
        table_text(t, when);
        table_text(t, number(s, "answer_us") ? talked : "-");
        table_text(t, member(s, "from"));
        table_text(t, member(s, "to"));
        table_text(t, outcome(s, buf));
        table_text(t, member(s, "ended_by"));
        table_fmt(t, "%s / %s", member(a, "crypto") ? member(a, "crypto") : "-",
                  member(b, "crypto") ? member(b, "crypto") : "-");
        table_fmt(t, "%lld / %lld", (long long)number(a, "lost"), (long long)number(b, "lost"));
        table_text(t, member(a, "call_id"));
        n++;
    }
    table_print(t, to);
    (void)fprintf(to, "%zu call%s%s\n", n, n == 1 ? "" : "s",
                  truth(doc, "truncated") ? " (cut: narrow the question)" : "");
}

/* "source=pass identity=refuse:auth_failed" gate by gate. */
static void show_trace(FILE *to, const char *trace)
{
    for (struct str rest = str_c(trace), word, name; rest.n;) {
        rest = str_cut(rest, ' ', &word);
        struct str verdict, reason = str_cut(str_cut(word, '=', &name), ':', &verdict);
        enum reason r = reason.n ? reason_by_name(reason) : REASON_NONE;
        (void)fprintf(to, "    %-11.*s ", (int)MIN(name.n, 20u), name.p);
        put_safe(to, verdict);
        if (r != REASON_NONE) {
            (void)fprintf(to, "  ");
            put_safe(to, reason);
            (void)fprintf(to, ": %s", reason_info(r)->text.p);
        }
        (void)fputc('\n', to);
    }
}

static void show_verdict(FILE *to, const json_t *v)
{
    char when[24];
    time_text(number(v, "time_us"), when);
    (void)fprintf(to, "%s  ", when);
    put_safe(to, str_c(member(v, "method")));
    (void)fprintf(to, " from ");
    put_safe(to, str_c(member(v, "source")));
    (void)fprintf(to, " by ");
    put_safe(to, str_c(member(v, "transport")));
    if (number(v, "code"))
        (void)fprintf(to, ", answered %lld", (long long)number(v, "code"));
    (void)fputc('\n', to);
    line(to, "  from", member(v, "from"));
    line(to, "  to", member(v, "to"));
    line(to, "  user", member(v, "user"));
    show_trace(to, member(v, "trace") ? member(v, "trace") : "");
    if (reason_text(member(v, "reason")))
        line(to, "  because", reason_text(member(v, "reason")));
}

static void show_leg(FILE *to, const json_t *l, const char *which)
{
    (void)fprintf(to, "  %s leg: ", which);
    put_safe(to, str_c(member(l, "transport") ? member(l, "transport") : "?"));
    (void)fprintf(to, " ");
    put_safe(to, str_c(member(l, "peer") ? member(l, "peer") : "?"));
    if (member(l, "zone")) {
        (void)fprintf(to, ", zone ");
        put_safe(to, str_c(member(l, "zone")));
    }
    if (member(l, "peer_name")) {
        (void)fprintf(to, ", peer ");
        put_safe(to, str_c(member(l, "peer_name")));
    }
    (void)fputc('\n', to);
    line(to, "    Call-ID", member(l, "call_id"));
    line(to, "    phone", member(l, "user_agent"));
    if (!member(l, "crypto"))
        return;
    (void)fprintf(to, "    media       crypto %s, codec ", member(l, "crypto"));
    put_safe(to, str_c(member(l, "codec") ? member(l, "codec") : "?"));
    (void)fprintf(to, ", received %lld packets, %lld lost, jitter %lld.%lld ms%s%s\n",
                  (long long)number(l, "packets"), (long long)number(l, "lost"),
                  (long long)number(l, "jitter_us") / 1000,
                  (long long)number(l, "jitter_us") / 100 % 10,
                  truth(l, "latched") ? ", latched to its source" : "",
                  truth(l, "one_way") ? ", ONE WAY" : "");
}

static void show_session(FILE *to, const json_t *s)
{
    static const char *const WHICH[] = {"caller's", "callee's"};
    char when[24], buf[64], span[24];
    const json_t *l;
    size_t i;
    time_text(number(s, "start_us"), when);
    (void)fprintf(to, "%s  call: %s", when, outcome(s, buf));
    span_text((number(s, "end_us") - number(s, "start_us")) / 1000000, span);
    (void)fprintf(to, ", %s in all", span);
    if (number(s, "answer_us")) {
        span_text((number(s, "end_us") - number(s, "answer_us")) / 1000000, span);
        (void)fprintf(to, ", talked %s", span);
    }
    if (member(s, "ended_by"))
        (void)fprintf(to, ", ended by the %s", member(s, "ended_by"));
    (void)fputc('\n', to);
    line(to, "  from", member(s, "from"));
    line(to, "  to", member(s, "to"));
    line(to, "  user", member(s, "user"));
    line(to, "  route", member(s, "route"));
    show_trace(to, member(s, "trace") ? member(s, "trace") : "");
    if (reason_text(member(s, "reason")))
        line(to, "  because", reason_text(member(s, "reason")));
    json_array_foreach(json_object_get(s, "legs"), i, l)
    {
        show_leg(to, l, WHICH[i & 1]);
    }
}

void show_explain(FILE *to, const struct cli *c, const json_t *doc)
{
    const json_t *x;
    size_t i;
    (void)c;
    (void)fprintf(to, "Call-ID ");
    put_safe(to, str_c(member(doc, "call_id")));
    (void)fprintf(to, "\n");
    json_array_foreach(json_object_get(doc, "verdicts"), i, x)
    {
        (void)fputc('\n', to);
        show_verdict(to, x);
    }
    json_array_foreach(json_object_get(doc, "running"), i, x)
    {
        char when[24];
        time_text(number(x, "start_us"), when);
        (void)fprintf(to, "\n%s  the call is running on engine %lld; see `ringwall calls`\n", when,
                      (long long)number(x, "engine"));
    }
    json_array_foreach(json_object_get(doc, "sessions"), i, x)
    {
        (void)fputc('\n', to);
        show_session(to, x);
    }
}
