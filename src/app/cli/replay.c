/* `ringwall replay`: a capture judged as the gateway would have judged it. */
#include "app/replay/replay.h"
#include "app/cli/cli.h"
#include "app/config/config.h"
#include "app/monitor/rules.h"
#include "app/rules/scanner.h"
#include "base/reasons.h"
#include <errno.h>
#include <time.h>
#include <unistd.h>

#define CALLS_SHOWN  50u
#define ALERTS_SHOWN 50u

static struct config loaded[REPLAY_JUDGES];
static struct config_errors problems;
static struct rules *rules[REPLAY_JUDGES];
static struct rules_scan *scans[REPLAY_JUDGES];

static void tell_problems(void)
{
    char text[16384];
    struct out e = out_of(text, sizeof text - 1);
    config_errors_put(&e, &problems);
    (void)fwrite(e.p, 1, e.n, stderr);
}

static bool load_rules(unsigned i, struct replay_opts *o)
{
    size_t n = 0;
    if (!loaded[i].policy.guard.n_rule_files)
        return true;
    if (rules_of_config(&loaded[i], &problems, &rules[i], &n) != OK ||
        !(scans[i] = rules_scan_new(rules[i], false))) {
        tell_problems();
        return false;
    }
    o->by[i].rules = rules[i];
    o->by[i].scanner = rules_scan_get(scans[i]);
    return true;
}

#define PACK     "ringwall/rules/ringwall.rules"
#define PACK_MAX 200u
/* The signatures that come with Ringwall: installed, or in a build tree. */
static bool pack_path(char ret[PACK_MAX])
{
    static const char *const WAYS[] = {"/../share/" PACK,
                                       "/../../../../packaging/rules/ringwall.rules"};
    char own[512], path[640];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[n > 0 ? n : 0] = 0;
    char *slash = strrchr(own, '/');
    if (slash)
        *slash = 0;
    for (size_t i = 0; i <= ARRAY_LEN(WAYS); i++) {
        if (i < ARRAY_LEN(WAYS))
            (void)snprintf(path, sizeof path, "%s%s", own, WAYS[i]);
        else
            (void)snprintf(path, sizeof path, "/usr/share/" PACK);
        if (strlen(path) >= PACK_MAX || strpbrk(path, "\"\\") || access(path, R_OK) != 0)
            continue;
        memcpy(ret, path, strlen(path) + 1);
        return true;
    }
    return false;
}

static struct str default_text(char *buf, size_t cap)
{
    char path[PACK_MAX];
    struct out o = out_of(buf, cap);
    out_put(&o, str_c(REPLAY_DEFAULT));
    if (pack_path(path)) {
        OUT_LIT(&o, "guard:\n  rules: [\"");
        out_put(&o, str_c(path));
        OUT_LIT(&o, "\"]\n");
    }
    return o.full ? str_c(REPLAY_DEFAULT) : out_str(&o);
}

static bool load(const char *path, unsigned i, struct replay_opts *o)
{
    char text[4096];
    struct config_opts c = {.now = {(int64_t)time(NULL) * 1000000}, .no_files = true};
    enum err err = path ? config_load(path, &c, &loaded[i], &problems)
                        : config_load_text(default_text(text, sizeof text), "the default of replay",
                                           &c, &loaded[i], &problems);
    o->by[i].policy = &loaded[i].policy;
    o->by[i].name = path ? path : "default";
    o->by[i].assumed = !path;
    if (err == OK)
        return load_rules(i, o);
    tell_problems();
    return false;
}

/* -- for people -- */

static const char *truth_text(const json_t *o, const char *key, const char *yes)
{
    return json_is_true(json_object_get(o, key)) ? yes : "";
}

static void words(FILE *to, const json_t *o)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        (void)fprintf(to, "  ");
        put_safe(to, str_c(key));
        (void)fprintf(to, " %lld", (long long)json_integer_value(v));
    }
    (void)fputc('\n', to);
}

static void above_zero(FILE *to, const char *what, const json_t *o)
{
    const char *key;
    json_t *v;
    (void)fprintf(to, "%s", what);
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        if (json_integer_value(v))
            (void)fprintf(to, "  %s %lld", key, (long long)json_integer_value(v));
    }
    (void)fputc('\n', to);
}

static void show_head(FILE *to, const json_t *d)
{
    char first[24];
    const json_t *sip = json_object_get(d, "sip");
    time_text(number(d, "first_us"), first);
    put_safe(to, str_c(member(d, "file")));
    (void)fprintf(to, ": %lld packets, %lld bytes, from %s, %lld.%03lld s long\n",
                  (long long)number(d, "packets"), (long long)number(d, "bytes"), first,
                  (long long)(number(d, "last_us") - number(d, "first_us")) / 1000000,
                  (long long)(number(d, "last_us") - number(d, "first_us")) / 1000 % 1000);
    if (member(d, "error") && *member(d, "error")) {
        (void)fprintf(to, "DAMAGED ");
        put_safe(to, str_c(member(d, "error")));
        (void)fprintf(to, "; what was read before is judged\n");
    }
    above_zero(to, "packets  ", json_object_get(d, "layers"));
    (void)fprintf(to, "SIP        %lld messages, %lld malformed, %lld repeated\n",
                  (long long)number(sip, "messages"), (long long)number(sip, "malformed"),
                  (long long)number(sip, "repeated"));
    (void)fprintf(to, "requests ");
    words(to, json_object_get(sip, "requests"));
    (void)fprintf(to, "responses");
    words(to, json_object_get(sip, "responses"));
    above_zero(to, "media    ", json_object_get(d, "media"));
    if (json_object_size(json_object_get(d, "beyond_limits")))
        above_zero(to, "BEYOND LIMITS, not looked at: ", json_object_get(d, "beyond_limits"));
}

static void show_reasons(FILE *to, const json_t *j)
{
    static const char *const HEAD[] = {"REASON", "COUNT", "SEVERITY", "WHAT IT MEANS"};
    const json_t *r, *list = json_object_get(j, "reasons");
    size_t i;
    if (!json_array_size(list))
        return;
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(list, i, r)
    {
        table_text(t, member(r, "reason"));
        table_fmt(t, "%lld", (long long)number(r, "n"));
        table_text(t, member(r, "severity"));
        table_text(t, member(r, "text"));
    }
    (void)fputc('\n', to);
    table_print(t, to);
}

static void show_alerts(FILE *to, const json_t *list, bool diff)
{
    const char *const HEAD[] = {
        diff ? "ONLY" : "FIRST", "ALERT", "SOURCE", "TIMES", "SCORE", "DONE", "WHO", "WHAT"};
    const json_t *a;
    size_t i, n = json_array_size(list);
    if (!n)
        return;
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(list, i, a)
    {
        char when[24];
        if (i == ALERTS_SHOWN)
            break;
        time_text(number(a, "first_us"), when);
        table_text(t, diff ? member(a, "only") : when);
        if (json_object_get(a, "sid"))
            table_fmt(t, "rule %lld", (long long)number(a, "sid"));
        else
            table_text(t, member(a, "name"));
        table_text(t, member(a, "source"));
        table_fmt(t, "%lld", (long long)number(a, "n"));
        table_fmt(t, "%lld", (long long)number(a, "score"));
        table_fmt(t, "%s%s", member(a, "treat"), truth_text(a, "dry_run", " (dry run)"));
        table_text(t, member(a, "who"));
        table_text(t, member(a, "text"));
    }
    (void)fputc('\n', to);
    table_print(t, to);
    if (n > ALERTS_SHOWN)
        (void)fprintf(to, "and %zu more (--json shows all)\n", n - ALERTS_SHOWN);
}

static void show_bans_of(FILE *to, const json_t *list, bool diff)
{
    const char *const HEAD[] = {diff ? "ONLY" : "SINCE",
                                "BAN",
                                "WHOM",
                                "DONE",
                                "AFTER",
                                "MESSAGES",
                                "DROPPED",
                                "BECAUSE OF",
                                "FOR"};
    const json_t *b;
    size_t i, n = json_array_size(list);
    if (!n)
        return;
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(list, i, b)
    {
        char when[24], span[24];
        if (i == ALERTS_SHOWN)
            break;
        time_text(number(b, "since_us"), when);
        span_text((number(b, "until_us") - number(b, "since_us")) / 1000000, span);
        table_text(t, diff ? member(b, "only") : when);
        table_text(t, member(b, "scope"));
        table_fmt(t, "%s %s", member(b, "source"), member(b, "who"));
        table_text(t, member(b, "treat"));
        table_fmt(t, "%lld.%03lld s", (long long)number(b, "after_us") / 1000000,
                  (long long)number(b, "after_us") / 1000 % 1000);
        table_fmt(t, "%lld", (long long)number(b, "messages_before"));
        table_fmt(t, "%lld", (long long)number(b, "would_have_dropped"));
        table_fmt(t, "%s%s%s", member(b, "detector"), *member(b, "reason") ? ", " : "",
                  member(b, "reason"));
        table_text(t, span);
    }
    (void)fputc('\n', to);
    table_print(t, to);
    if (n > ALERTS_SHOWN)
        (void)fprintf(to, "and %zu more (--json shows all)\n", n - ALERTS_SHOWN);
}

static void show_judgement(FILE *to, const json_t *j)
{
    (void)fprintf(to, "\nconfiguration ");
    put_safe(to, str_c(member(j, "configuration")));
    if (json_is_true(json_object_get(j, "assumed")))
        (void)fprintf(to, ": private addresses are inside, all others outside; whom the capture's "
                          "server serves is believed; nothing is routed");
    else
        (void)fprintf(to, ": who proved himself is judged by what the capture's server answered");
    (void)fprintf(
        to,
        "\nrequests passed %lld, challenged %lld, refused %lld, dropped %lld   RTP of banned "
        "sources %lld   rules %lld%s\n",
        (long long)number(j, "passed"), (long long)number(j, "challenged"),
        (long long)number(j, "refused"), (long long)number(j, "dropped"),
        (long long)number(j, "rtp_dropped_by_bans"), (long long)number(j, "rules"),
        truth_text(j, "dry_run", "   DRY RUN"));
    show_reasons(to, j);
    show_alerts(to, json_object_get(j, "alerts"), false);
    show_bans_of(to, json_object_get(j, "bans"), false);
}

static void show_calls_of(FILE *to, const json_t *d)
{
    static const char *const HEAD[] = {"STARTED", "TALKED",    "FROM", "TO",
                                       "CODE",    "RTP A / B", "NOTE", "CALL-ID"};
    const json_t *k, *list = json_object_get(d, "calls");
    size_t i, n = json_array_size(list);
    if (!n)
        return;
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(list, i, k)
    {
        char when[24], talked[24];
        int64_t answer = number(k, "answer_us"), end = number(k, "end_us");
        if (i == CALLS_SHOWN)
            break;
        time_text(number(k, "start_us"), when);
        span_text((end - answer) / 1000000, talked);
        table_text(t, when);
        table_text(t, answer && end ? talked : answer ? "not ended" : "-");
        table_text(t, member(k, "from"));
        table_text(t, member(k, "to"));
        table_fmt(t, "%lld", (long long)number(k, "code"));
        table_fmt(t, "%lld / %lld", (long long)number(k, "packets_from_caller"),
                  (long long)number(k, "packets_from_callee"));
        table_fmt(t, "%s%s%s", truth_text(k, "one_way", "ONE WAY "),
                  truth_text(k, "keys_exposed", "KEYS EXPOSED "), truth_text(k, "srtp", "SRTP"));
        table_text(t, member(k, "call_id"));
    }
    (void)fputc('\n', to);
    table_print(t, to);
    if (n > CALLS_SHOWN)
        (void)fprintf(to, "and %zu more (--json shows all)\n", n - CALLS_SHOWN);
}

static void show_streams(FILE *to, const json_t *d)
{
    static const char *const HEAD[] = {"FROM", "TO",   "SSRC",         "CODEC", "PACKETS",
                                       "LOST", "LATE", "JITTER / MAX", "NOTE"};
    const json_t *s, *list = json_object_get(d, "streams");
    size_t i, n = json_array_size(list);
    if (!n)
        return;
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(list, i, s)
    {
        long long j = (long long)number(s, "jitter_us"), m = (long long)number(s, "max_jitter_us");
        if (i == CALLS_SHOWN)
            break;
        table_text(t, member(s, "source"));
        table_text(t, member(s, "destination"));
        table_text(t, member(s, "ssrc"));
        table_text(t, member(s, "codec"));
        table_fmt(t, "%lld", (long long)number(s, "packets"));
        table_fmt(t, "%lld", (long long)number(s, "lost"));
        table_fmt(t, "%lld", (long long)number(s, "late"));
        table_fmt(t, "%lld.%lld / %lld.%lld ms", j / 1000, j / 100 % 10, m / 1000, m / 100 % 10);
        table_fmt(t, "%s%s%s", *member(s, "call_id") ? "" : "no call ",
                  truth_text(s, "foreign", "FOREIGN "), truth_text(s, "srtp", "SRTP"));
    }
    (void)fputc('\n', to);
    table_print(t, to);
    if (n > CALLS_SHOWN)
        (void)fprintf(to, "and %zu more (--json shows all)\n", n - CALLS_SHOWN);
}

static void show_differences(FILE *to, const json_t *d)
{
    static const char *const HEAD[] = {"SOURCE", "REQUEST", "COUNT", "FIRST SAYS", "SECOND SAYS"};
    const json_t *o = json_object_get(d, "differences"), *v;
    const json_t *list = json_object_get(o, "verdicts"), *bans = json_object_get(o, "bans"),
                 *alerts = json_object_get(o, "alerts");
    size_t i;
    if (!o)
        return;
    (void)fprintf(to, "\ndifferences: %zu kinds of verdict, %zu bans, %zu alerts\n",
                  json_array_size(list), json_array_size(bans), json_array_size(alerts));
    if (json_array_size(list)) {
        struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
        json_array_foreach(list, i, v)
        {
            const json_t *a = json_object_get(v, "first"), *b = json_object_get(v, "second");
            table_text(t, member(v, "source"));
            table_text(t, member(v, "method"));
            table_fmt(t, "%lld", (long long)number(v, "n"));
            table_fmt(t, "%s %s", member(a, "verdict"), member(a, "reason"));
            table_fmt(t, "%s %s", member(b, "verdict"), member(b, "reason"));
        }
        (void)fputc('\n', to);
        table_print(t, to);
    }
    show_bans_of(to, bans, true);
    show_alerts(to, alerts, true);
}

static void show_replay(FILE *to, const json_t *d, bool quiet)
{
    const json_t *j;
    size_t i;
    show_head(to, d);
    json_array_foreach(json_object_get(d, "judgements"), i, j)
    {
        show_judgement(to, j);
    }
    if (!quiet) {
        show_calls_of(to, d);
        show_streams(to, d);
    }
    show_differences(to, d);
    (void)fprintf(to, "\n%lld packets a second\n", (long long)number(d, "packets_per_s"));
}

static int report(const struct cli *c, struct replay *r, enum replay_end end)
{
    if (end == REPLAY_UNREADABLE) {
        (void)fprintf(stderr, "ringwall replay: ");
        if (!str_starts(str_c(replay_error(r)), str_c(c->words[0]))) {
            put_safe(stderr, str_c(c->words[0]));
            (void)fprintf(stderr, ": ");
        }
        put_safe(stderr, str_c(replay_error(r)));
        (void)fputc('\n', stderr);
        return EXIT_NOT_FOUND;
    }
    json_t *d = replay_report(r);
    if (c->json)
        print_json(stdout, d);
    else
        show_replay(stdout, d, c->quiet);
    json_decref(d);
    if (end == REPLAY_WHOLE)
        return EXIT_OK;
    (void)fprintf(stderr, "ringwall replay: the capture is damaged %s\n", replay_error(r));
    return EXIT_REFUSED;
}

int cmd_replay(struct cli *c)
{
    struct replay_opts o = {.file = c->words[0],
                            .n = c->against ? 2 : 1,
                            .progress = !c->quiet && isatty(STDERR_FILENO)};
    if (!load(c->config_said ? c->config : NULL, 0, &o) || (c->against && !load(c->against, 1, &o)))
        return EXIT_USAGE;
    if (c->eve && !(o.eve = fopen(c->eve, "we"))) {
        (void)fprintf(stderr, "ringwall replay: %s: %s\n", c->eve, strerror(errno));
        return EXIT_USAGE;
    }
    struct replay *r = replay_new(&o);
    int e = EXIT_REFUSED;
    if (r)
        e = report(c, r, replay_run(r));
    else
        (void)fprintf(stderr, "ringwall replay: not enough memory\n");
    replay_free(r);
    for (unsigned i = 0; i < REPLAY_JUDGES; i++) {
        rules_scan_free(scans[i]);
        free(rules[i]);
    }
    if (o.eve && fclose(o.eve) != 0) {
        (void)fprintf(stderr, "ringwall replay: %s: %s\n", c->eve, strerror(errno));
        return EXIT_REFUSED;
    }
    return e;
}
