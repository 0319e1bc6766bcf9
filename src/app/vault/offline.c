#include "app/vault/offline.h"
#include "app/vault/admin.h"
#include "app/vault/import.h"
#include "app/vault/offline_show.h"
#include "app/vault/setup.h"
#include "crypto/hash.h"
#include "crypto/password.h"
#include "io/clock.h"
#include "io/rand.h"
#include <getopt.h>
#include <jansson.h>
#include <time.h>
#include <unistd.h>

#define USERS_AT_INIT 16u
#define REQUEST_MAX   4096u

static const char HELP[] =
    "Usage: ringwall-vault --state DIR [OPTION...] COMMAND\n"
    "\n"
    "Users, keys and peers' passwords of a Ringwall that is not running.\n"
    "(While it runs, the same commands of `ringwall` ask the vault itself.)\n"
    "\n"
    "  init                      folders, a local authority, a server certificate, --user "
    "accounts\n"
    "  cert                      a new server certificate for --domain and --name\n"
    "  user add USER             prints a fresh password once, unless --password-stdin\n"
    "  user passwd USER          the same for a user who is there\n"
    "  user set USER             with --role, --site, --number, --must-change, --second-factor\n"
    "  user role USER ROLE\n"
    "  user md5 USER             with --md5-*: waiver and a new password; without: ends the "
    "waiver\n"
    "  user del USER\n"
    "  user list [TEXT]\n"
    "  user import FILE          - is standard input; --format csv, asterisk, kamailio\n"
    "  peer-secret PEER          password from standard input\n"
    "  peer-del PEER\n"
    "  peer-list\n"
    "  query                     one JSON request from standard input, as the control socket "
    "takes it\n"
    "\n"
    "  --state DIR               the gateway's state folder\n"
    "  --domain D                domain of users without @, and of the certificate\n"
    "  --name N                  init, cert: one more host name or IP address (repeat)\n"
    "  --user USER               init: make this user (repeat)\n"
    "  --role R                  user add, import\n"
    "  --site S                  user add, set\n"
    "  --number +49...           user add, set: a number of the user (repeat; none: no number)\n"
    "  --must-change yes|no      user add, set: emergency calls only until passwd\n"
    "  --second-factor yes|no    user add, set\n"
    "  --password-stdin          one line instead of a fresh password\n"
    "  --min-length N --breach-list FILE   what a typed password must be (FILE in DIR/vault)\n"
    "  --any-password            import: also weak ones (benchmarks)\n"
    "  --md5-until YYYY-MM-DD --md5-owner WHO --md5-reason WHY\n"
    "                            lets this user authenticate by MD5 until then\n"
    "  --json                    the reply as JSON\n"
    "\n"
    "Exit: 0 done, 1 failed or refused, 2 usage, 3 no such user or peer, 4 the gateway is "
    "running.\n"
    "      `ringwall-vault --service FOLDER` is for the monitor only.\n";

struct args {
    const char *state, *domain, *role, *until, *owner, *reason, *site, *must_change, *factor;
    const char *format, *out_file, *days; /* of import and cert */
    const char *min, *breach;             /* what the configuration wants of passwords */
    const char *users[USERS_AT_INIT], *numbers[USER_NUMBERS];
    unsigned n_users, n_numbers;
    struct setup setup;
    bool password_stdin, any_password, regenerate, json;
    char **words;
    int n_words;
};
/* The open vault. */
struct desk {
    const struct args *args;
    struct disk disk;
    struct users users;
    struct peers peers;
    struct rng rng;
    struct admin admin;
    char folder[512];
};

static int usage(const char *what, const char *which)
{
    (void)fprintf(stderr, "ringwall-vault: %s%s%s (see --help)\n", what, *which ? ": " : "", which);
    return OFFLINE_USAGE;
}

static int failed(const char *why)
{
    (void)fprintf(stderr, "ringwall-vault: %s\n", why);
    return OFFLINE_FAILED;
}

/* -- words -- */

enum option_id {
    O_STATE = 1,
    O_DOMAIN,
    O_NAME,
    O_USER,
    O_ROLE,
    O_STDIN,
    O_ANY,
    O_UNTIL,
    O_OWNER,
    O_REASON,
    O_JSON,
    O_HELP,
    O_VERSION,
    O_SITE,
    O_NUMBER,
    O_MUST_CHANGE,
    O_FACTOR,
    O_REGENERATE,
    O_FORMAT,
    O_OUT,
    O_DAYS,
    O_MIN,
    O_BREACH
};
static const struct option OPTIONS[] = {{"state", required_argument, NULL, O_STATE},
                                        {"domain", required_argument, NULL, O_DOMAIN},
                                        {"name", required_argument, NULL, O_NAME},
                                        {"user", required_argument, NULL, O_USER},
                                        {"role", required_argument, NULL, O_ROLE},
                                        {"password-stdin", no_argument, NULL, O_STDIN},
                                        {"any-password", no_argument, NULL, O_ANY},
                                        {"md5-until", required_argument, NULL, O_UNTIL},
                                        {"md5-owner", required_argument, NULL, O_OWNER},
                                        {"md5-reason", required_argument, NULL, O_REASON},
                                        {"json", no_argument, NULL, O_JSON},
                                        {"site", required_argument, NULL, O_SITE},
                                        {"number", required_argument, NULL, O_NUMBER},
                                        {"must-change", required_argument, NULL, O_MUST_CHANGE},
                                        {"second-factor", required_argument, NULL, O_FACTOR},
                                        {"regenerate", no_argument, NULL, O_REGENERATE},
                                        {"format", required_argument, NULL, O_FORMAT},
                                        {"out", required_argument, NULL, O_OUT},
                                        {"days", required_argument, NULL, O_DAYS},
                                        {"min-length", required_argument, NULL, O_MIN},
                                        {"breach-list", required_argument, NULL, O_BREACH},
                                        {"help", no_argument, NULL, O_HELP},
                                        {"version", no_argument, NULL, O_VERSION},
                                        {NULL, 0, NULL, 0}};

static bool take_fact(struct args *a, int o)
{
    const char **const at = o == O_SITE          ? &a->site
                            : o == O_MUST_CHANGE ? &a->must_change
                            : o == O_FACTOR      ? &a->factor
                            : o == O_FORMAT      ? &a->format
                            : o == O_OUT         ? &a->out_file
                            : o == O_DAYS        ? &a->days
                            : o == O_MIN         ? &a->min
                            : o == O_BREACH      ? &a->breach
                                                 : NULL;
    if (at)
        *at = optarg;
    else if (o == O_REGENERATE)
        a->regenerate = true;
    else if (o == O_NUMBER && a->n_numbers < USER_NUMBERS)
        a->numbers[a->n_numbers++] = optarg;
    else
        return false;
    return true;
}

static bool take_option(struct args *a, int o)
{
    switch (o) {
    case O_STATE:
        a->state = optarg;
        return true;
    case O_DOMAIN:
        a->domain = optarg;
        return true;
    case O_NAME:
        if (a->setup.n_names >= SETUP_NAMES_MAX)
            return false;
        a->setup.names[a->setup.n_names++] = str_c(optarg);
        return true;
    case O_USER:
        if (a->n_users >= USERS_AT_INIT)
            return false;
        a->users[a->n_users++] = optarg;
        return true;
    case O_ROLE:
        a->role = optarg;
        return true;
    case O_STDIN:
        return a->password_stdin = true;
    case O_ANY:
        return a->any_password = true;
    case O_UNTIL:
        a->until = optarg;
        return true;
    case O_OWNER:
        a->owner = optarg;
        return true;
    case O_REASON:
        a->reason = optarg;
        return true;
    case O_JSON:
        return a->json = true;
    default:
        return take_fact(a, o);
    }
}

/* -- requests and replies -- */

static bool put_md5(const struct args *a, struct out *o)
{
    int64_t until = 0;
    if (!a->until || !a->owner || !a->reason || !offline_date(a->until, &until))
        return false;
    out_json_key(o, STR("md5"));
    out_ch(o, '{');
    out_json_ki64(o, STR("until"), until);
    out_json_kstr(o, STR("owner"), str_c(a->owner));
    out_json_kstr(o, STR("reason"), str_c(a->reason));
    out_ch(o, '}');
    return true;
}

static bool put_flag(struct out *o, const char *key, const char *v)
{
    if (v && strcmp(v, "yes") != 0 && strcmp(v, "no") != 0)
        return false;
    if (v)
        out_json_kbool(o, str_c(key), *v == 'y');
    return true;
}

static bool put_facts(const struct args *a, struct out *o)
{
    if (a->role)
        out_json_kstr(o, STR("role"), str_c(a->role));
    if (a->site)
        out_json_kstr(o, STR("site"), str_c(a->site));
    if (a->n_numbers > 0) {
        out_json_key(o, STR("numbers"));
        out_ch(o, '[');
        for (unsigned i = 0; i < a->n_numbers && strcmp(a->numbers[i], "none") != 0; i++) {
            if (i > 0)
                out_ch(o, ',');
            out_json_str(o, str_c(a->numbers[i]));
        }
        out_ch(o, ']');
    }
    return put_flag(o, "must_change", a->must_change) && put_flag(o, "second_factor", a->factor);
}

static int show(const struct args *a, const struct admin_reply *r)
{
    static const int codes[] = {[CONTROL_OK] = OFFLINE_OK,
                                [CONTROL_BAD_REQUEST] = OFFLINE_USAGE,
                                [CONTROL_NOT_FOUND] = OFFLINE_NOT_FOUND,
                                [CONTROL_REFUSED] = OFFLINE_FAILED,
                                [CONTROL_UNAVAILABLE] = OFFLINE_FAILED,
                                [CONTROL_FAILED] = OFFLINE_FAILED};
    if (a->json) {
        printf(STR_FMT "\n", (int)r->n, r->text);
        return codes[r->code];
    }
    json_t *j = json_loadb(r->text, r->n, 0, NULL);
    const char *error = json_string_value(json_object_get(j, "error"));
    if (error)
        (void)fprintf(stderr, "ringwall-vault: %s\n", error);
    else
        offline_people(j);
    json_decref(j);
    return codes[r->code];
}

static int ask(struct desk *d, struct out *o)
{
    struct admin_reply r;
    out_ch(o, '}');
    if (o->full)
        return usage("the words are too long", "");
    admin_do(&d->admin, out_str(o), &r);
    int code = show(d->args, &r);
    admin_reply_done(&r);
    mem_wipe(o->p, o->cap);
    return code;
}

/* -- commands -- */

static int user_command(struct desk *d, const char *verb, const char *user, const char *more)
{
    const struct args *a = d->args;
    char text[REQUEST_MAX], cmd[32], typed[PASSWORD_MAX + 2];
    struct out o = out_of(text, sizeof(text));
    struct str password;
    bool sets = strcmp(verb, "add") == 0 || strcmp(verb, "passwd") == 0;
    bool md5 = strcmp(verb, "md5") == 0;
    struct out c = out_of(cmd, sizeof(cmd));
    OUT_LIT(&c, "user-");
    out_put(&c, str_c(verb));
    out_ch(&o, '{');
    out_json_kstr(&o, STR("cmd"), out_str(&c));
    out_json_kstr(&o, strcmp(verb, "list") == 0 ? STR("match") : STR("user"), str_c(user));
    if (more)
        out_json_kstr(&o, STR("role"), str_c(more));
    else if ((strcmp(verb, "add") == 0 || strcmp(verb, "set") == 0) && !put_facts(a, &o))
        return usage("--must-change and --second-factor want yes or no", "");
    bool waiver = a->until || a->owner || a->reason;
    if (md5 && !waiver)
        OUT_LIT(&o, ",\"md5\":null");
    else if (waiver && !put_md5(a, &o))
        return usage("an MD5 waiver wants --md5-until YYYY-MM-DD, --md5-owner and --md5-reason",
                     "");
    if ((sets || (md5 && waiver)) && a->password_stdin) {
        if (!offline_password(typed, &password))
            return usage("no password on standard input", "");
        out_json_kstr(&o, STR("password"), password);
        mem_wipe(typed, sizeof(typed));
    }
    return ask(d, &o);
}

static int peer_command(struct desk *d, const char *cmd, const char *peer)
{
    char text[REQUEST_MAX], typed[PASSWORD_MAX + 2];
    struct out o = out_of(text, sizeof(text));
    struct str password;
    out_ch(&o, '{');
    out_json_kstr(&o, STR("cmd"), str_c(cmd));
    if (peer)
        out_json_kstr(&o, STR("peer"), str_c(peer));
    if (strcmp(cmd, "peer-secret") == 0) {
        if (!offline_password(typed, &password))
            return usage("no password on standard input", "");
        out_json_kstr(&o, STR("password"), password);
        mem_wipe(typed, sizeof(typed));
    }
    return ask(d, &o);
}

static int import_command(struct desk *d, const char *path)
{
    const struct args *a = d->args;
    struct password_rules rules = {.min = d->admin.password_min, .breach_fd = -1};
    struct import_job job = {.users = &d->users,
                             .domain = d->admin.domain,
                             .role = a->role,
                             .now = d->admin.now,
                             .any_password = a->any_password,
                             .rules = &rules,
                             .fresh = a->regenerate ? &d->rng : NULL,
                             .tell = stderr,
                             .progress = isatty(2) == 1};
    if (a->format && !import_format(a->format, &job.format))
        return usage("--format is csv, asterisk or kamailio", "");
    if (d->admin.breach_list.n > 0 && !a->any_password &&
        password_list_open(d->folder, d->admin.breach_list, &rules.breach_fd) != OK)
        return failed("the list of known passwords cannot be read: put it into DIR/vault");
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!f) {
        perror(path);
        return OFFLINE_FAILED;
    }
    enum err e = import_file(&job, f);
    if (f != stdin)
        (void)fclose(f);
    if (rules.breach_fd >= 0)
        (void)close(rules.breach_fd);
    if (e != OK) {
        (void)fprintf(stderr, "ringwall-vault: %s, line %u: %s; nothing was changed\n", path,
                      job.line, job.why);
        return OFFLINE_FAILED;
    }
    if (disk_users_save(&d->disk, &d->users) != OK)
        return failed(d->disk.why);
    printf("%u users added, %u given a new password, %u in all\n", job.added, job.replaced,
           d->users.n);
    return OFFLINE_OK;
}

static int init_users(struct desk *d)
{
    int code = OFFLINE_OK;
    for (unsigned i = 0; i < d->args->n_users && code == OFFLINE_OK; i++) {
        struct str host, name, whole = str_c(d->args->users[i]);
        host = str_cut(whole, '@', &name);
        if (users_find(&d->users, name, host.n > 0 ? host : str_c(d->admin.domain)))
            printf("%s is there already\n", d->args->users[i]);
        else
            code = user_command(d, "add", d->args->users[i], NULL);
    }
    return code;
}

static int certs_command(struct args *a, bool renew)
{
    struct setup *s = &a->setup;
    s->state = a->state;
    s->domain = a->domain ? a->domain : "localhost";
    s->renew = renew;
    s->now = clock_now().wall;
    enum err e = setup_folders(s);
    if (e == OK)
        e = setup_certs(s);
    if (e != OK) {
        (void)failed(s->why);
        return e == ERR_EXISTS ? OFFLINE_RUNNING : OFFLINE_FAILED;
    }
    if (!a->json && s->made_ca)
        printf("%s/ca.pem: a new authority of this gateway; give it to the phones\n", a->state);
    if (!a->json && s->made_server)
        printf("%s/server.pem: a new certificate for %s\n", a->state, s->domain);
    return OFFLINE_OK;
}

/* Where users name no domain: --domain, else the one that the users have. */
static void default_domain(struct desk *d)
{
    struct str domain = STR_NONE;
    if (d->args->domain)
        domain = str_c(d->args->domain);
    else if (d->users.n > 0)
        domain = user_domain(d->users.v[0]);
    (void)snprintf(d->admin.domain, sizeof(d->admin.domain), STR_FMT, STR_ARG(domain));
}

static int open_desk(struct desk *d, const struct args *a)
{
    uint8_t seed[32];
    struct sipkey key;
    *d = (struct desk){.args = a};
    int n = snprintf(d->folder, sizeof(d->folder), "%s/vault", a->state);
    if (n < 0 || (size_t)n >= sizeof(d->folder))
        return failed("the path of the state folder is too long");
    if (access(d->folder, F_OK) != 0) {
        (void)fprintf(stderr, "ringwall-vault: there is no %s; `init` makes it\n", d->folder);
        return OFFLINE_FAILED;
    }
    if (rand_bytes(seed, sizeof(seed)) != OK)
        return failed("no random numbers");
    rng_init(&d->rng, seed);
    mem_wipe(seed, sizeof(seed));
    rng_bytes(&d->rng, &key, sizeof(key));
    users_init(&d->users, &key);
    enum err e = disk_open(&d->disk, d->folder);
    if (e == OK &&
        (disk_users_load(&d->disk, &d->users) != OK || disk_peers_load(&d->disk, &d->peers) != OK))
        e = ERR_SYNTAX;
    if (e != OK) {
        (void)failed(d->disk.why);
        return e == ERR_EXISTS ? OFFLINE_RUNNING : OFFLINE_FAILED;
    }
    d->admin = (struct admin){.users = &d->users,
                              .peers = &d->peers,
                              .disk = &d->disk,
                              .rng = &d->rng,
                              .now = clock_now().wall};
    uint32_t min = 0;
    if (a->min && str_u32(str_c(a->min), PASSWORD_MAX, &min) == OK)
        d->admin.password_min = min;
    d->admin.breach_list = a->breach ? str_c(a->breach) : STR_NONE;
    default_domain(d);
    return OFFLINE_OK;
}

static void close_desk(struct desk *d)
{
    users_done(&d->users);
    disk_close(&d->disk);
    mem_wipe(d, sizeof(*d));
}

static int user_words(struct desk *d, char **w, int n)
{
    static const struct {
        const char *verb;
        int words; /* after "user" and the verb */
    } verbs[] = {{"add", 1}, {"set", 1}, {"passwd", 1}, {"md5", 1}, {"del", 1}, {"role", 2}};
    int code = -1;
    if (n >= 2 && n <= 3 && strcmp(w[1], "list") == 0)
        return user_command(d, "list", n == 3 ? w[2] : "", NULL);
    if (n == 3 && strcmp(w[1], "import") == 0)
        return import_command(d, w[2]);
    for (unsigned i = 0; n >= 2 && i < ARRAY_LEN(verbs); i++)
        if (strcmp(w[1], verbs[i].verb) == 0 && n == 2 + verbs[i].words)
            code = user_command(d, w[1], w[2], n == 4 ? w[3] : NULL);
    if (code == OFFLINE_OK && strcmp(w[1], "del") == 0 && offline_forget(&d->disk, &d->rng) != OK)
        return failed(d->disk.why);
    if (code >= 0)
        return code;
    return usage("user add|set|passwd|md5|del USER, role USER ROLE, list [TEXT], import FILE", "");
}

static int run(struct args *a)
{
    static struct desk d;
    char **w = a->words;
    bool init = strcmp(w[0], "init") == 0, cert = strcmp(w[0], "cert") == 0 && a->n_words == 1;
    if (init && a->n_words != 1)
        return usage("too many words after", w[0]);
    int code = init || cert ? certs_command(a, cert) : OFFLINE_OK;
    if (cert || code != OFFLINE_OK)
        return code;
    code = open_desk(&d, a);
    if (code == OFFLINE_OK) {
        if (init)
            code = init_users(&d);
        else if (strcmp(w[0], "user") == 0)
            code = user_words(&d, w, a->n_words);
        else if (a->n_words == 1 && strcmp(w[0], "peer-list") == 0)
            code = peer_command(&d, w[0], NULL);
        else if (a->n_words == 2 && (!strcmp(w[0], "peer-secret") || !strcmp(w[0], "peer-del")))
            code = peer_command(&d, w[0], w[1]);
        else
            code = usage("no such command", w[0]);
    }
    close_desk(&d);
    return code;
}

int offline_main(int argc, char **argv)
{
    static struct args a;
    int o;
    opterr = 0;
    while ((o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (o == O_HELP)
            return fputs(HELP, stdout) < 0;
        if (o == O_VERSION)
            return printf("ringwall-vault %s\n", RINGWALL_VERSION) < 0;
        if (!take_option(&a, o))
            return usage("unknown, incomplete or too many of option", argv[optind - 1]);
    }
    a.words = argv + optind;
    a.n_words = argc - optind;
    if (a.n_words == 0)
        return usage("no command", "");
    if (!a.state)
        return usage("--state DIR is missing", "");
    if (crypto_init() != OK)
        return failed("libcrypto does not work");
    if (a.n_words == 1 && strcmp(a.words[0], "query") == 0)
        return query_main(a.state, a.domain);
    return run(&a);
}
