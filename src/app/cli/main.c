/* The words of the command line, and the help. */
#include "app/cli/cli.h"
#include <getopt.h>
#include <unistd.h>

#define STATE_DEFAULT "/var/lib/ringwall"

enum opt {
    O_STATE = 1,
    O_CONFIG,
    O_JSON,
    O_HELP,
    O_LAST,
    O_CALL_ID,
    O_USER,
    O_SINCE,
    O_UNTIL,
    O_AOR,
    O_ROLE,
    O_MD5_OWNER,
    O_MD5_REASON,
    O_MD5_EXPIRES,
    O_DOMAIN,
    O_PBX,
    O_OWNER,
    O_NAME,
    O_PROGRAMS,
    O_READY_FD,
    O_STDIN,
    O_ANY,
    O_OFF,
    O_QUIET,
    O_LIVE,
    O_ABORTED,
    O_NO_WAIT,
    O_DRAIN,
    O_VERBOSE,
    O_VERSION,
    O_AGAINST,
    O_EVE,
    O_ONCE,
    O_SCOPE,
    O_BY,
    O_FOR,
    O_WHY,
    O_TREAT,
    O_SID,
    O_DETECTOR,
    O_SITE,
    O_NUMBER,
    O_MUST_CHANGE,
    O_FACTOR,
    O_REGENERATE,
    O_FORMAT,
    O_OUT,
    O_DAYS,
    O_OVERLAP,
    O_REASON,
    O_AS,
    O_TO,
    O_AT,
    O_COUNTRY
};
static const struct option OPTIONS[] = {
    {"state", required_argument, NULL, O_STATE},
    {"config", required_argument, NULL, O_CONFIG},
    {"json", no_argument, NULL, O_JSON},
    {"help", no_argument, NULL, O_HELP},
    {"last", required_argument, NULL, O_LAST},
    {"call-id", required_argument, NULL, O_CALL_ID},
    {"user", required_argument, NULL, O_USER},
    {"since", required_argument, NULL, O_SINCE},
    {"until", required_argument, NULL, O_UNTIL},
    {"aor", required_argument, NULL, O_AOR},
    {"role", required_argument, NULL, O_ROLE},
    {"md5-waiver-owner", required_argument, NULL, O_MD5_OWNER},
    {"md5-waiver-reason", required_argument, NULL, O_MD5_REASON},
    {"md5-waiver-expires", required_argument, NULL, O_MD5_EXPIRES},
    {"domain", required_argument, NULL, O_DOMAIN},
    {"pbx", required_argument, NULL, O_PBX},
    {"owner", required_argument, NULL, O_OWNER},
    {"name", required_argument, NULL, O_NAME},
    {"programs", required_argument, NULL, O_PROGRAMS},
    {"ready-fd", required_argument, NULL, O_READY_FD},
    {"password-stdin", no_argument, NULL, O_STDIN},
    {"any-password", no_argument, NULL, O_ANY},
    {"off", no_argument, NULL, O_OFF},
    {"quiet", no_argument, NULL, O_QUIET},
    {"live", no_argument, NULL, O_LIVE},
    {"aborted", no_argument, NULL, O_ABORTED},
    {"no-wait", no_argument, NULL, O_NO_WAIT},
    {"drain", no_argument, NULL, O_DRAIN},
    {"verbose", no_argument, NULL, O_VERBOSE},
    {"version", no_argument, NULL, O_VERSION},
    {"against", required_argument, NULL, O_AGAINST},
    {"eve", required_argument, NULL, O_EVE},
    {"once", no_argument, NULL, O_ONCE},
    {"scope", required_argument, NULL, O_SCOPE},
    {"by", required_argument, NULL, O_BY},
    {"for", required_argument, NULL, O_FOR},
    {"why", required_argument, NULL, O_WHY},
    {"treat", required_argument, NULL, O_TREAT},
    {"sid", required_argument, NULL, O_SID},
    {"detector", required_argument, NULL, O_DETECTOR},
    {"site", required_argument, NULL, O_SITE},
    {"number", required_argument, NULL, O_NUMBER},
    {"must-change", required_argument, NULL, O_MUST_CHANGE},
    {"second-factor", required_argument, NULL, O_FACTOR},
    {"regenerate", no_argument, NULL, O_REGENERATE},
    {"format", required_argument, NULL, O_FORMAT},
    {"out", required_argument, NULL, O_OUT},
    {"days", required_argument, NULL, O_DAYS},
    {"overlap", required_argument, NULL, O_OVERLAP},
    {"reason", required_argument, NULL, O_REASON},
    {"as", required_argument, NULL, O_AS},
    {"to", required_argument, NULL, O_TO},
    {"at", required_argument, NULL, O_AT},
    {"country", required_argument, NULL, O_COUNTRY},
    {NULL, 0, NULL, 0}};
__extension__ typedef unsigned __int128 options_t;
#define OPTIONS_MAX 128
#define BIT(o)      ((options_t)1 << (o))
#define ASKS        (BIT(O_STATE) | BIT(O_CONFIG) | BIT(O_JSON) | BIT(O_REASON))

struct command {
    const char *name;
    command_fn *run;
    unsigned min_words, max_words;
    options_t options;
    const char *usage, *what, *more; /* words after the name; one line; the rest of the help */
};
static const struct command COMMANDS[] = {
#include "app/cli/commands.def"
};

static const char EXITS[] =
    "Exit codes: 0 done, 1 refused or failed (bad configuration, log that does not verify), 2 "
    "wrong command line,\n"
    "3 the gateway is not running, 4 not permitted, 5 not found, 6 no answer in time.\n";

static void help_all(FILE *to)
{
    (void)fprintf(
        to,
        "Usage: ringwall COMMAND [WORDS] [OPTIONS]\n\nA security gateway for voice over IP.\n\n");
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        (void)fprintf(to, "  %-12s %s\n", COMMANDS[i].name, COMMANDS[i].what);
    (void)fprintf(to,
                  "  %-12s %s\n\n"
                  "`ringwall COMMAND --help` tells more. All commands take --state DIR, the "
                  "gateway's folder\n"
                  "(else $RINGWALL_STATE, else %s); those that print data take --json.\n\n%s",
                  "help", "this text, or help COMMAND", STATE_DEFAULT, EXITS);
}

static void help_one(const struct command *k)
{
    printf("Usage: ringwall %s %s\n\n%c%s.\n", k->name, k->usage,
           k->what[0] >= 'a' && k->what[0] <= 'z' ? k->what[0] - 32 : k->what[0], k->what + 1);
    if (k->more[0])
        printf("\n%s", k->more);
    printf("\n  --state DIR     the gateway's folder (else $RINGWALL_STATE, else %s)\n",
           STATE_DEFAULT);
    if (k->options & BIT(O_JSON))
        printf("  --json          print the data as JSON\n");
    printf("\n%s", EXITS);
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    return NULL;
}

static bool list_add(const char *list[CLI_LIST], unsigned *n)
{
    if (*n == CLI_LIST)
        return false;
    list[(*n)++] = optarg;
    return true;
}

static bool flag(struct cli *c, int o)
{
    bool *const at = o == O_JSON         ? &c->json
                     : o == O_STDIN      ? &c->password_stdin
                     : o == O_ANY        ? &c->any_password
                     : o == O_OFF        ? &c->off
                     : o == O_QUIET      ? &c->quiet
                     : o == O_LIVE       ? &c->live
                     : o == O_ABORTED    ? &c->aborted
                     : o == O_NO_WAIT    ? &c->no_wait
                     : o == O_DRAIN      ? &c->drain
                     : o == O_VERBOSE    ? &c->verbose
                     : o == O_ONCE       ? &c->once
                     : o == O_REGENERATE ? &c->regenerate
                                         : NULL;
    if (at)
        *at = true;
    return at != NULL;
}

static bool text_option(struct cli *c, int o)
{
    const struct {
        int o;
        const char **at;
    } TEXTS[] = {{O_STATE, &c->state},
                 {O_REASON, &c->reason},
                 {O_AS, &c->as},
                 {O_TO, &c->to},
                 {O_AT, &c->at},
                 {O_COUNTRY, &c->country},
                 {O_CONFIG, &c->config},
                 {O_LAST, &c->last},
                 {O_CALL_ID, &c->call_id},
                 {O_SINCE, &c->since},
                 {O_UNTIL, &c->until},
                 {O_AOR, &c->aor},
                 {O_ROLE, &c->role},
                 {O_MD5_OWNER, &c->md5_owner},
                 {O_MD5_REASON, &c->md5_reason},
                 {O_MD5_EXPIRES, &c->md5_expires},
                 {O_DOMAIN, &c->domain},
                 {O_PBX, &c->pbx},
                 {O_OWNER, &c->owner},
                 {O_PROGRAMS, &c->programs},
                 {O_READY_FD, &c->ready_fd},
                 {O_AGAINST, &c->against},
                 {O_EVE, &c->eve},
                 {O_SCOPE, &c->scope},
                 {O_BY, &c->by},
                 {O_FOR, &c->lasts},
                 {O_WHY, &c->why},
                 {O_TREAT, &c->treat},
                 {O_SID, &c->sid},
                 {O_DETECTOR, &c->detector},
                 {O_SITE, &c->site},
                 {O_MUST_CHANGE, &c->must_change},
                 {O_FACTOR, &c->second_factor},
                 {O_FORMAT, &c->format},
                 {O_OUT, &c->out_file},
                 {O_DAYS, &c->days},
                 {O_OVERLAP, &c->overlap}};
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        if (TEXTS[i].o == o) {
            *TEXTS[i].at = optarg;
            return true;
        }
    }
    return false;
}

static bool take_option(struct cli *c, int o)
{
    if (o == O_NAME)
        return list_add(c->names, &c->n_names);
    if (o == O_NUMBER)
        return list_add(c->numbers, &c->n_numbers);
    if (o == O_USER) {
        c->user = optarg;
        return list_add(c->users, &c->n_users);
    }
    return flag(c, o) || text_option(c, o);
}

static const char *option_name(int o)
{
    for (size_t i = 0; OPTIONS[i].name; i++)
        if (OPTIONS[i].val == o)
            return OPTIONS[i].name;
    return "?";
}

/* -1: go on. */
static int parse(struct cli *c, const struct command *k, int argc, char **argv)
{
    for (int o; (o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (o == O_HELP) {
            help_one(k);
            return EXIT_OK;
        }
        if (o == '?') {
            (void)fprintf(stderr, "see: ringwall %s --help\n", k->name);
            return EXIT_USAGE;
        }
        if (o >= OPTIONS_MAX || !(k->options & BIT(o)) || !take_option(c, o)) {
            (void)fprintf(stderr, "ringwall %s: --%s does not belong here (see --help)\n", k->name,
                          option_name(o));
            return EXIT_USAGE;
        }
    }
    while (optind < argc && c->n_words < CLI_WORDS)
        c->words[c->n_words++] = argv[optind++];
    if (optind < argc || c->n_words < k->min_words || c->n_words > k->max_words) {
        (void)fprintf(stderr, "usage: ringwall %s %s\n", k->name, k->usage);
        return EXIT_USAGE;
    }
    return -1;
}

static void folders(struct cli *c)
{
    const char *env = getenv("RINGWALL_STATE");
    c->state_said = c->state || (env && *env);
    c->config_said = c->config != NULL;
    if (!c->state)
        c->state = env && *env ? env : STATE_DEFAULT;
    (void)snprintf(c->config_buf, sizeof c->config_buf, "%s/ringwall.yaml", c->state);
    if (c->config)
        return;
    c->config = c->config_buf;
    if (access(c->config_buf, F_OK) != 0 && access("/etc/ringwall/ringwall.yaml", F_OK) == 0)
        c->config = "/etc/ringwall/ringwall.yaml";
}

static int help(int argc, char **argv)
{
    const struct command *k = argc > 2 ? command_find(argv[2]) : NULL;
    if (k)
        help_one(k);
    else
        help_all(stdout);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    static struct cli c;
    if (argc < 2) {
        help_all(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc, argv);
    if (strcmp(argv[1], "--version") == 0)
        return cmd_version(&c);
    const struct command *k = command_find(argv[1]);
    if (!k) {
        (void)fprintf(stderr, "ringwall: there is no command \"%s\" (see: ringwall help)\n",
                      argv[1]);
        return EXIT_USAGE;
    }
    c.command = k->name;
    int e = parse(&c, k, argc - 1, argv + 1);
    if (e >= 0)
        return e;
    folders(&c);
    e = k->run(&c);
    if (fflush(stdout) != 0 && e == EXIT_OK)
        e = EXIT_REFUSED; /* the disk that took our output is full */
    return e;
}
