/* Commands that ask the running gateway; users and peers' passwords also without one. */
#include "app/cli/cli.h"
#include "app/config/config.h"
#include "app/config/values.h"
#include "ipc/control.h"
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX 4096u

int cmd_status(struct cli *c)
{
    return ask_and_show(c, STR("{\"cmd\":\"status\"}"), show_status);
}

int cmd_calls(struct cli *c)
{
    return ask_and_show(c, STR("{\"cmd\":\"calls\"}"), show_calls);
}

int cmd_peers(struct cli *c)
{
    return ask_and_show(c, STR("{\"cmd\":\"peers\"}"), show_peers);
}

static int too_long(void)
{
    (void)fprintf(stderr, "ringwall: the words are too long\n");
    return EXIT_USAGE;
}

static int send_off(struct cli *c, struct out *o, show_fn *show)
{
    out_ch(o, '}');
    return o->full ? too_long() : ask_and_show(c, out_str(o), show);
}

/* false and told if it is not a number. */
static bool put_last(const struct cli *c, struct out *o)
{
    uint32_t n;
    if (!c->last)
        return true;
    if (str_u32(str_c(c->last), UINT32_MAX, &n) != OK || n == 0) {
        (void)fprintf(stderr, "ringwall %s: --last wants a number from 1\n", c->command);
        return false;
    }
    out_json_ku64(o, STR("last"), n);
    return true;
}

static void put_hex(struct out *o, const char *key, const char *v)
{
    out_json_key(o, str_c(key));
    out_ch(o, '"');
    out_hex(o, (const uint8_t *)v, MIN(strlen(v), (size_t)255));
    out_ch(o, '"');
}

int cmd_bindings(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    request_begin(&o, "bindings");
    request_str(&o, "aor", c->aor ? c->aor : c->n_words ? c->words[0] : NULL);
    if (!put_last(c, &o))
        return EXIT_USAGE;
    return send_off(c, &o, show_bindings);
}

/* {"cdrs":[...],"truncated":...}: the store's sessions, only aborted ones where asked. */
static void json_cdr(FILE *to, const struct cli *c, const json_t *doc)
{
    json_t *list = json_array(), *s;
    size_t i;
    json_array_foreach(json_object_get(doc, "sessions"), i, s)
    {
        if (!c->aborted || json_is_true(json_object_get(s, "aborted")))
            (void)json_array_append(list, s);
    }
    json_t *ret = json_pack("{s:o,s:b}", "cdrs", list, "truncated",
                            json_is_true(json_object_get(doc, "truncated")));
    print_json(to, ret);
    json_decref(ret);
}

void show_cdr_as_asked(FILE *to, const struct cli *c, const json_t *doc)
{
    if (c->json)
        json_cdr(to, c, doc);
    else
        show_cdr(to, c, doc);
}

int cmd_cdr(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    int64_t since;
    if (c->n_words) {
        if (strcmp(c->words[0], "export") == 0)
            return cdr_export(c);
        (void)fprintf(stderr, "ringwall cdr: \"%s\" is not known; there is \"export\"\n",
                      c->words[0]);
        return EXIT_USAGE;
    }
    request_begin(&o, "cdr");
    if (c->call_id)
        put_hex(&o, "call_id_hex", c->call_id);
    request_str(&o, "user", c->user);
    if (!put_last(c, &o))
        return EXIT_USAGE;
    if (c->since) {
        if (!since_parse(c->since, (int64_t)time(NULL) * 1000000, &since)) {
            (void)fprintf(
                stderr,
                "ringwall cdr: --since wants 2h, 30m, 2026-11-18 or \"2026-11-18 10:15\"\n");
            return EXIT_USAGE;
        }
        out_json_ki64(&o, STR("since_us"), since < 0 ? 0 : since);
    }
    return send_off(c, &o, show_cdr_as_asked);
}

/* A word that is no address may be a Call-ID, which a user's name or a number can look like, too.
 */
int cmd_explain(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    struct reply r;
    if (c->as || c->to || c->at)
        return explain_call(c);
    if (!c->n_words) {
        (void)fprintf(stderr, "ringwall explain: what? A Call-ID, an address, a user or a number, "
                              "or --as and --to\n");
        return EXIT_USAGE;
    }
    if (is_address(c->words[0]))
        return explain_who(c, c->words[0]);
    request_begin(&o, "explain");
    put_hex(&o, "call_id_hex", c->words[0]);
    out_ch(&o, '}');
    int e = o.full ? too_long() : gateway_ask(c, out_str(&o), &r);
    if (e != EXIT_OK)
        return e;
    bool unknown = r.code == CONTROL_NOT_FOUND;
    e = unknown ? EXIT_OK : reply_judge(&r);
    if (!unknown && c->json)
        print_json(stdout, r.doc);
    else if (!unknown && e == EXIT_OK)
        show_explain(stdout, c, r.doc);
    reply_done(&r);
    return unknown ? explain_who(c, c->words[0]) : e;
}

int cmd_events(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    request_begin(&o, "events");
    if (!put_last(c, &o))
        return EXIT_USAGE;
    return send_off(c, &o, show_events);
}

/* -- users and peers -- */

static void show_people(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const HEAD[] = {"USER", "ROLE", "SITE", "NUMBERS", "PASSWORD", "MD5 WAIVER"};
    const json_t *users = json_object_get(doc, "users"), *u;
    const char *user = member(doc, "user"), *password = member(doc, "password");
    size_t i;
    if (json_is_array(json_object_get(doc, "peers"))) {
        json_array_foreach(json_object_get(doc, "peers"), i, u)
        {
            put_safe(to, str_c(json_string_value(u)));
            (void)fputc('\n', to);
        }
        return;
    }
    if (!json_is_array(users)) {
        put_safe(to, str_c(user ? user : c->n_words ? c->words[c->n_words - 1] : ""));
        (void)fprintf(to, password ? "   password: %s   (shown this once)\n" : ": done\n",
                      password ? password : "");
        return;
    }
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    json_array_foreach(users, i, u)
    {
        const json_t *md5 = json_object_get(u, "md5");
        char made[24], until[24];
        const json_t *numbers = json_object_get(u, "numbers");
        const char *first = json_string_value(json_array_get(numbers, 0));
        size_t more = json_array_size(numbers);
        time_text(number(u, "changed") * 1000000, made);
        time_text(number(md5, "until") * 1000000, until);
        table_text(t, member(u, "user"));
        table_text(t, member(u, "role"));
        table_text(t, member(u, "site"));
        if (more > 1)
            table_fmt(t, "%.17s and %u more", first ? first : "", (unsigned)more - 1);
        else
            table_text(t, first);
        table_fmt(t, "%.10s%s", made,
                  json_is_true(json_object_get(u, "must_change")) ? ", must change" : "");
        if (md5)
            table_fmt(t, "until %.10s%s, %.60s: %.100s", until,
                      json_is_false(json_object_get(md5, "live")) ? " EXPIRED" : "",
                      member(md5, "owner") ? member(md5, "owner") : "?",
                      member(md5, "reason") ? member(md5, "reason") : "?");
        else
            table_text(t, "");
    }
    table_print(t, to);
}

/* One line of standard input; on a terminal asked for and not shown. */
bool read_password(char ret[PASSWORD_LINE], const char *whose)
{
    struct termios old, quiet;
    bool tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &old) == 0;
    if (tty) {
        (void)fprintf(stderr, "password for %s: ", whose);
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool ok = fgets(ret, PASSWORD_LINE, stdin) != NULL;
    if (tty) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        (void)fputc('\n', stderr);
    }
    if (ok)
        ret[strcspn(ret, "\r\n")] = 0;
    if (!ok || !ret[0])
        (void)fprintf(stderr, "ringwall: no password on standard input\n");
    return ok && ret[0];
}

static bool put_md5(const struct cli *c, struct out *o)
{
    struct wall end;
    if (!c->md5_owner || !c->md5_reason || !c->md5_expires ||
        value_date(str_c(c->md5_expires), &end) != OK) {
        (void)fprintf(
            stderr,
            "ringwall user: an MD5 waiver wants --md5-waiver-owner, --md5-waiver-reason and "
            "--md5-waiver-expires YEAR-MONTH-DAY\n");
        return false;
    }
    out_json_key(o, STR("md5"));
    out_ch(o, '{');
    out_json_ki64(o, STR("until"), end.us / 1000000 - 1);
    out_json_kstr(o, STR("owner"), str_c(c->md5_owner));
    out_json_kstr(o, STR("reason"), str_c(c->md5_reason));
    out_ch(o, '}');
    return true;
}

static bool has_md5(const struct cli *c)
{
    return c->md5_owner || c->md5_reason || c->md5_expires;
}

/* "yes" or "no" as a member; false and told if it is neither. */
static bool put_flag(struct out *o, const char *key, const char *v)
{
    if (v && strcmp(v, "yes") != 0 && strcmp(v, "no") != 0) {
        (void)fprintf(stderr, "ringwall user: --must-change and --second-factor want yes or no\n");
        return false;
    }
    if (v)
        out_json_kbool(o, str_c(key), *v == 'y');
    return true;
}

static bool put_facts(const struct cli *c, struct out *o)
{
    request_str(o, "site", c->site);
    if (c->n_numbers > 0) {
        out_json_key(o, STR("numbers"));
        out_ch(o, '[');
        for (unsigned i = 0; i < c->n_numbers && strcmp(c->numbers[i], "none") != 0; i++) {
            if (i > 0)
                out_ch(o, ',');
            out_json_str(o, str_c(c->numbers[i]));
        }
        out_ch(o, ']');
    }
    return put_flag(o, "must_change", c->must_change) &&
           put_flag(o, "second_factor", c->second_factor);
}

/* By the running gateway. */
static int user_online(struct cli *c, const char *verb)
{
    char text[REQUEST_MAX], password[PASSWORD_LINE], cmd[32];
    struct out o = out_of(text, sizeof text);
    bool sets = strcmp(verb, "add") == 0 || strcmp(verb, "passwd") == 0,
         md5 = strcmp(verb, "md5") == 0;
    (void)snprintf(cmd, sizeof cmd, "user-%s", verb);
    request_begin(&o, cmd);
    request_str(&o, strcmp(verb, "list") == 0 ? "match" : "user",
                c->n_words > 1 ? c->words[1] : NULL);
    request_str(&o, "role",
                c->n_words > 2                                         ? c->words[2]
                : strcmp(verb, "add") == 0 || strcmp(verb, "set") == 0 ? c->role
                                                                       : NULL);
    if ((strcmp(verb, "add") == 0 || strcmp(verb, "set") == 0) && !put_facts(c, &o))
        return EXIT_USAGE;
    if (md5 && !has_md5(c))
        OUT_LIT(&o, ",\"md5\":null");
    else if (has_md5(c) && !put_md5(c, &o))
        return EXIT_USAGE;
    if (c->password_stdin && (sets || md5)) {
        if (!read_password(password, c->words[1]))
            return EXIT_USAGE;
        out_json_kstr(&o, STR("password"), str_c(password));
        mem_wipe(password, sizeof password);
    }
    int e = send_off(c, &o, show_people);
    mem_wipe(text, sizeof text);
    return e;
}

static struct config loaded;
static struct config_errors problems;

/* First domain of the configuration; NULL if it cannot be read. */
static const char *domain_of(const struct cli *c, char buf[256])
{
    struct config_opts o = {.now = {(int64_t)time(NULL) * 1000000}, .no_files = true};
    if (c->domain)
        return c->domain;
    if (config_load(c->config, &o, &loaded, &problems) != OK)
        return NULL;
    struct str d = policy_text(&loaded.policy, loaded.policy.domains[0]);
    memcpy(buf, d.p, d.n);
    buf[d.n] = 0;
    return buf;
}

/* What the configuration wants of passwords, if it can be read. */
static void password_rules(const struct cli *c, char min[16], char list[72])
{
    struct config_opts o = {.now = {(int64_t)time(NULL) * 1000000}, .no_files = true};
    if (config_load(c->config, &o, &loaded, &problems) != OK)
        return;
    struct str s = policy_text(&loaded.policy, loaded.policy.breach_list);
    (void)snprintf(min, 16, "%u", (unsigned)loaded.policy.password_min);
    (void)snprintf(list, 72, STR_FMT, STR_ARG(s));
}

/* "alice" means alice of the first domain; the lines of an import may say less than they need. */
static bool wants_domain(const struct cli *c, const char *const *words, unsigned n_words)
{
    bool people = strcmp(words[0], "user") == 0 || strcmp(words[0], "cert") == 0 ||
                  strcmp(words[0], "token") == 0;
    if (n_words < 3 || !people || strcmp(words[1], "list") == 0)
        return false;
    return strcmp(words[1], "import") == 0 ? access(c->config, F_OK) == 0 : !strchr(words[2], '@');
}

/* As `ringwall check` says it; text goes to standard error, where no password is looked for. */
static int config_refused(const struct cli *c)
{
    static char text[CONFIG_PROBLEMS * 512];
    struct out o = out_of(text, sizeof text);
    if (c->json) {
        config_errors_json(&o, &problems);
        out_ch(&o, '\n');
    } else {
        config_errors_put(&o, &problems);
        OUT_LIT(&o, "ringwall user: the domain is taken from the configuration, which is not good; "
                    "nothing was changed\n");
    }
    (void)fwrite(o.p, 1, o.n, c->json ? stdout : stderr);
    return EXIT_REFUSED;
}

/* At most 2 * CLI_LIST + 4 words; how many. */
static unsigned push_flags(const struct cli *c, const char **argv)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_numbers; i++) {
        argv[n++] = "--number";
        argv[n++] = c->numbers[i];
    }
    if (c->regenerate)
        argv[n++] = "--regenerate";
    if (c->password_stdin)
        argv[n++] = "--password-stdin";
    if (c->any_password)
        argv[n++] = "--any-password";
    if (c->json)
        argv[n++] = "--json";
    return n;
}

/* By the vault program itself. */
int vault_offline(struct cli *c, const char *const *words, unsigned n_words)
{
    static const int EXITS[] = {EXIT_OK, EXIT_REFUSED, EXIT_USAGE, EXIT_NOT_FOUND, EXIT_LATE};
    char path[600], domain[256];
    const char *argv[40 + 2 * CLI_LIST];
    unsigned n = 0;
    if (!find_program(c, "ringwall-vault", "vault", path, sizeof path))
        return EXIT_REFUSED;
    char min[16] = "", list[72] = "";
    const char *first = domain_of(c, domain);
    password_rules(c, min, list);
    if (!first && wants_domain(c, words, n_words))
        return config_refused(c);
    const struct {
        const char *name, *value;
    } pairs[] = {{"--state", c->state},
                 {"--domain", first},
                 {"--role", c->role},
                 {"--md5-owner", c->md5_owner},
                 {"--md5-reason", c->md5_reason},
                 {"--md5-until", c->md5_expires},
                 {"--site", c->site},
                 {"--must-change", c->must_change},
                 {"--second-factor", c->second_factor},
                 {"--format", c->format},
                 {"--out", c->out_file},
                 {"--days", c->days},
                 {"--min-length", *min ? min : NULL},
                 {"--breach-list", *list ? list : NULL}};
    argv[n++] = path;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (!pairs[i].value)
            continue;
        argv[n++] = pairs[i].name;
        argv[n++] = pairs[i].value;
    }
    n += push_flags(c, argv + n);
    argv[n++] = "--";
    for (unsigned i = 0; i < n_words; i++)
        argv[n++] = words[i];
    argv[n] = NULL;
    int e = run_program(argv);
    return e >= 0 && e < (int)ARRAY_LEN(EXITS) ? EXITS[e] : EXIT_REFUSED;
}

int cmd_user(struct cli *c)
{
    static const struct {
        const char *verb;
        unsigned min, max;
        bool online;
    } VERBS[] = {{"add", 2, 2, true},  {"set", 2, 2, true},    {"passwd", 2, 2, true},
                 {"del", 2, 2, true},  {"role", 3, 3, true},   {"md5", 2, 2, true},
                 {"list", 1, 2, true}, {"import", 2, 2, false}};
    for (size_t i = 0; i < ARRAY_LEN(VERBS); i++) {
        if (strcmp(VERBS[i].verb, c->words[0]) != 0)
            continue;
        if (c->n_words < VERBS[i].min || c->n_words > VERBS[i].max)
            break;
        if (VERBS[i].online && gateway_runs(c))
            return user_online(c, VERBS[i].verb);
        const char *words[4] = {"user"};
        for (unsigned k = 0; k < c->n_words; k++)
            words[k + 1] = c->words[k];
        return vault_offline(c, words, c->n_words + 1);
    }
    (void)fprintf(stderr, "usage: ringwall user add|set|passwd|del|md5 USER, role USER ROLE, list "
                          "[TEXT], import FILE (see --help)\n");
    return EXIT_USAGE;
}

int cmd_peer_secret(struct cli *c)
{
    char text[REQUEST_MAX], password[PASSWORD_LINE];
    const char *cmd = c->n_words == 0 ? "peer-list" : c->off ? "peer-del" : "peer-secret";
    if (!gateway_runs(c)) {
        const char *words[] = {cmd, c->n_words ? c->words[0] : NULL};
        return vault_offline(c, words, 1 + c->n_words);
    }
    struct out o = out_of(text, sizeof text);
    request_begin(&o, cmd);
    request_str(&o, "peer", c->n_words ? c->words[0] : NULL);
    if (strcmp(cmd, "peer-secret") == 0) {
        if (!read_password(password, c->words[0]))
            return EXIT_USAGE;
        out_json_kstr(&o, STR("password"), str_c(password));
        mem_wipe(password, sizeof password);
    }
    int e = send_off(c, &o, show_people);
    mem_wipe(text, sizeof text);
    return e;
}

/* -- reload, drain, stop -- */

static void show_problems(const json_t *doc)
{
    const json_t *found = json_object_get(doc, "problems"), *p;
    size_t i;
    json_array_foreach(json_object_get(found, "problems"), i, p)
    {
        put_safe(stderr, str_c(member(found, "file")));
        (void)fprintf(stderr, ":%lld:%lld: ", (long long)number(p, "line"),
                      (long long)number(p, "column"));
        put_safe(stderr, str_c(member(p, "level")));
        (void)fprintf(stderr, ": ");
        put_safe(stderr, str_c(member(p, "text")));
        if (member(p, "hint") && *member(p, "hint")) {
            (void)fprintf(stderr, "; ");
            put_safe(stderr, str_c(member(p, "hint")));
        }
        (void)fputc('\n', stderr);
    }
}

int cmd_reload(struct cli *c)
{
    struct reply r;
    int e = gateway_ask(c, STR("{\"cmd\":\"reload\"}"), &r);
    if (e != EXIT_OK)
        return e;
    show_problems(r.doc);
    e = reply_judge(&r);
    if (c->json)
        print_json(stdout, r.doc);
    else if (e == EXIT_OK)
        printf("configuration %lld is in force\n", (long long)number(r.doc, "generation"));
    else
        (void)fprintf(stderr, "ringwall: the old configuration stays in force\n");
    reply_done(&r);
    return e == EXIT_OK || e == EXIT_NOT_PERMITTED || e == EXIT_WAITS ? e : EXIT_REFUSED;
}

static void show_drain(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)c;
    (void)fprintf(to, json_is_true(json_object_get(doc, "draining"))
                          ? "no new calls are taken; running ones end by themselves\n"
                          : "calls are taken again\n");
}

int cmd_drain(struct cli *c)
{
    return ask_and_show(
        c, c->off ? STR("{\"cmd\":\"drain\",\"off\":true}") : STR("{\"cmd\":\"drain\"}"),
        show_drain);
}

static void show_stop(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)doc;
    if (c->no_wait)
        (void)fprintf(to, c->drain ? "stopping when no call is left\n" : "stopping\n");
}

int cmd_stop(struct cli *c)
{
    int e = ask_and_show(
        c, c->drain ? STR("{\"cmd\":\"stop\",\"drain\":true}") : STR("{\"cmd\":\"stop\"}"),
        show_stop);
    if (e != EXIT_OK || c->no_wait)
        return e;
    for (int i = 0; i < 300; i += !c->drain) {
        if (!gateway_runs(c)) {
            if (!c->json)
                printf("stopped\n");
            return EXIT_OK;
        }
        (void)usleep(100000);
    }
    (void)fprintf(stderr, "ringwall: the gateway still runs after 30 s\n");
    return EXIT_LATE;
}
