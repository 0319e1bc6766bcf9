/* Commands that need no running gateway: init, check, run, selftest, reasons, verify-log. */
#include "app/cli/cli.h"
#include "app/config/config.h"
#include "app/monitor/monitor.h"
#include "app/monitor/rules.h"
#include "app/store/chainlog.h"
#include "base/reasons.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* -- programs -- */

bool find_program(const struct cli *c, const char *name, const char *folder, char *ret, size_t cap)
{
    static const char *const WAYS[] = {"", "/../libexec/ringwall", "/../lib/ringwall"};
    char own[512];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[n > 0 ? n : 0] = 0;
    char *slash = strrchr(own, '/');
    if (slash)
        *slash = 0;
    if (c->programs) {
        (void)snprintf(ret, cap, "%s/%s", c->programs, name);
        return access(ret, X_OK) == 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(WAYS); i++) {
        (void)snprintf(ret, cap, "%s%s/%s", own, WAYS[i], name);
        if (access(ret, X_OK) == 0)
            return true;
    }
    (void)snprintf(ret, cap, "%s/../%s/%s", own, folder, name); /* a build tree */
    if (access(ret, X_OK) == 0)
        return true;
    (void)fprintf(
        stderr,
        "ringwall: the program %s is not found beside %s/ringwall nor in ../libexec/ringwall\n",
        name, own);
    return false;
}

int run_program(const char *const argv[])
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        return 127;
    if (pid == 0) {
        char *const *args = (char *const *)(uintptr_t)argv; /* execv does not write to them */
        (void)execv(argv[0], args);
        (void)fprintf(stderr, "ringwall: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

/* -- init -- */

static struct wall wall_now(void)
{
    return (struct wall){(int64_t)time(NULL) * 1000000};
}

/* The address that this machine would use towards others; connecting a datagram socket sends
 * nothing. */
static void own_address(char ret[64])
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(9),
                             .sin_addr = {htonl(0xc0000201)}},
                       own;
    socklen_t n = sizeof own;
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        getsockname(fd, (struct sockaddr *)&own, &n) == 0)
        memcpy(a.ip, &own.sin_addr, 4);
    if (fd >= 0)
        (void)close(fd);
    struct out o = out_of(ret, 63);
    addr_put_ip(&o, &a);
    ret[o.n] = 0;
}

static int vault_init(const struct cli *c, const char *domain, const char *ip)
{
    char path[600], host[256] = "";
    const char *argv[12 + 2 * CLI_LIST];
    unsigned n = 0;
    if (!find_program(c, "ringwall-vault", "vault", path, sizeof path))
        return EXIT_REFUSED;
    const char *const fixed[] = {path,     "--state", c->state, "--domain", domain,
                                 "--name", ip,        "--name", "127.0.0.1"};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        argv[n++] = fixed[i];
    for (unsigned i = 0; i < c->n_names && i < CLI_LIST - 4; i++) {
        argv[n++] = "--name";
        argv[n++] = c->names[i];
    }
    if (gethostname(host, sizeof host - 1) == 0 && host[0] && strcmp(host, "localhost") != 0) {
        argv[n++] = "--name";
        argv[n++] = host;
    }
    argv[n++] = "init";
    argv[n] = NULL;
    return run_program(argv) == 0 ? EXIT_OK : EXIT_REFUSED;
}

static int make_users(struct cli *c, const char *domain)
{
    static const char *const TRIAL[] = {"alice", "bob"};
    bool trial = !c->domain && c->n_users == 0;
    unsigned n = trial ? ARRAY_LEN(TRIAL) : c->n_users;
    for (unsigned i = 0; i < n; i++) {
        char path[600];
        if (!find_program(c, "ringwall-vault", "vault", path, sizeof path))
            return EXIT_REFUSED;
        const char *argv[] = {path,   "--state", c->state, "--domain",
                              domain, "user",    "add",    trial ? TRIAL[i] : c->users[i],
                              NULL};
        if (run_program(argv) != 0)
            return EXIT_REFUSED;
    }
    return EXIT_OK;
}

static struct config loaded;
static struct config_errors problems;

/* Before anything is made: what the words of the command line make of the file. */
static bool default_is_good(const struct config_default *d)
{
    static char text[8192], said[CONFIG_PROBLEMS * 512];
    struct config_opts opts = {.now = d->now, .no_files = true};
    struct out o = out_of(text, sizeof text), e = out_of(said, sizeof said);
    config_default_text(&o, "/state", d);
    if (!o.full && config_load_text(out_str(&o), "ringwall.yaml", &opts, &loaded, &problems) == OK)
        return true;
    config_errors_put(&e, &problems);
    (void)fprintf(
        stderr,
        "ringwall init: the words of the command line make no good configuration:\n" STR_FMT,
        STR_ARG(out_str(&e)));
    return false;
}

int cmd_init(struct cli *c)
{
    char ip[64];
    const char *domain = c->domain ? c->domain : "localhost";
    own_address(ip);
    char rules[512];
    struct config_default d = {.domain = domain,
                               .pbx = c->pbx,
                               .now = wall_now(),
                               .owner = c->owner,
                               .public_ip = ip,
                               .country = c->country};
    d.rules = rules_pack(rules, sizeof rules) ? rules : NULL;
    if (access(c->config_buf, F_OK) == 0) {
        (void)fprintf(stderr, "ringwall: %s is there already; nothing was changed\n",
                      c->config_buf);
        return EXIT_REFUSED;
    }
    if (!default_is_good(&d))
        return EXIT_USAGE;
    int e = vault_init(c, domain, ip);
    if (e == EXIT_OK)
        e = make_users(c, domain);
    if (e != EXIT_OK)
        return e;
    enum err r = config_default_write(c->state, &d);
    if (r != OK) {
        (void)fprintf(stderr, "ringwall: %s: %s\n", c->config_buf,
                      r == ERR_EXISTS ? "is there already" : strerror(errno));
        return EXIT_REFUSED;
    }
    printf("%s: phones by TLS on %s:5061, PBX %s in plain by a waiver of 90 days\n", c->config_buf,
           ip, c->pbx ? c->pbx : "127.0.0.1:5070");
    return EXIT_OK;
}

/* -- check, run, selftest -- */

int cmd_check(struct cli *c)
{
    static char text[CONFIG_PROBLEMS * 512];
    const char *path = c->n_words ? c->words[0] : c->config;
    struct config_opts opts = {.now = wall_now(), .state = c->state};
    enum err e = config_load(path, &opts, &loaded, &problems);
    struct out o = out_of(text, sizeof text);
    struct rules *rules = NULL;
    size_t n = 0;
    if (e == OK)
        e = rules_of_config(&loaded, &problems, &rules, &n);
    free(rules);
    if (c->json) {
        config_errors_json(&o, &problems);
        out_ch(&o, '\n');
    } else {
        config_errors_put(&o, &problems);
        if (e == OK)
            out_fmt(&o, "%s: good%s\n", path, problems.n_warnings ? ", with warnings" : "");
    }
    (void)fwrite(o.p, 1, o.n, stdout);
    return e == OK ? EXIT_OK : EXIT_REFUSED;
}

int cmd_run(struct cli *c)
{
    uint32_t fd = 0;
    if (c->ready_fd && str_u32(str_c(c->ready_fd), 1023, &fd) != OK) {
        (void)fprintf(stderr, "ringwall run: --ready-fd is not a descriptor\n");
        return EXIT_USAGE;
    }
    bool beside = c->config == c->config_buf; /* the file lies in the folder */
    struct monitor_cfg m = {.config = c->config,
                            .state = c->state_said || beside ? c->state : NULL,
                            .programs = c->programs,
                            .quiet = c->quiet,
                            .ready_fd = c->ready_fd ? (int)fd : -1};
    return monitor_main(&m) == MONITOR_OK ? EXIT_OK : EXIT_REFUSED;
}

int cmd_selftest(struct cli *c)
{
    char path[600];
    const char *argv[9] = {path, "--state", c->state, "--config", c->config};
    unsigned n = 5;
    if (!find_program(c, "ringwall-selftest", "selftest", path, sizeof path))
        return EXIT_REFUSED;
    if (c->json)
        argv[n++] = "--json";
    if (c->verbose)
        argv[n++] = "--verbose";
    argv[n] = NULL;
    return run_program(argv);
}

int cmd_phone(struct cli *c)
{
    struct config_opts opts = {.now = wall_now(), .no_files = true};
    if (config_load(c->config, &opts, &loaded, &problems) != OK) {
        (void)fprintf(stderr, "ringwall: %s is not good; see: ringwall check\n", c->config);
        return EXIT_REFUSED;
    }
    const struct policy *p = &loaded.policy;
    struct str domain = policy_text(p, p->domains[0]);
    for (unsigned i = 0; i < p->n_listeners; i++) {
        char text[ADDR_TEXT_MAX];
        struct out o = out_of(text, sizeof text - 1);
        addr_put(&o, &p->listeners[i].advertise);
        text[o.n] = 0;
        if (p->listeners[i].proto == PROTO_TLS)
            printf("Attach a softphone: user NAME@" STR_FMT
                   ", outbound proxy sip:%s;transport=tls, media encryption SDES (SRTP),\n"
                   "trusted authority %s/ca.pem. NAME and password: as shown by `ringwall init` or "
                   "`ringwall user add`.\n",
                   STR_ARG(domain), text, c->state);
    }
    return EXIT_OK;
}

/* -- reasons, version -- */

static void reasons_json(const struct cli *c, const json_t *live)
{
    json_t *list = json_array();
    for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
        const struct reason_info *i = reason_info((enum reason)r);
        json_t *n = json_object_get(live, i->name.p);
        if ((c->live && !n) || (c->n_words && !str_eq(i->name, str_c(c->words[0]))))
            continue;
        json_t *o = json_pack("{s:s,s:s,s:i,s:i,s:s}", "name", i->name.p, "severity",
                              severity_name(i->severity), "hostile", (int)i->hostile, "code",
                              (int)i->code, "text", i->text.p);
        if (n)
            (void)json_object_set(o, "count", n);
        (void)json_array_append_new(list, o);
    }
    json_t *doc = json_pack("{s:o}", "reasons", list);
    print_json(stdout, doc);
    json_decref(doc);
}

static void reasons_table(const struct cli *c, const json_t *live)
{
    static const char *const HEAD[] = {"REASON", "SEVERITY", "HOSTILE",
                                       "ANSWER", "TIMES",    "MEANING"};
    struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
    for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
        const struct reason_info *i = reason_info((enum reason)r);
        const json_t *n = json_object_get(live, i->name.p);
        if ((c->live && !n) || (c->n_words && !str_eq(i->name, str_c(c->words[0]))))
            continue;
        table_cell(t, i->name);
        table_text(t, severity_name(i->severity));
        table_fmt(t, "%u", (unsigned)i->hostile);
        table_fmt(t, i->code ? "%u" : "none", (unsigned)i->code);
        table_fmt(t, n ? "%lld" : "-", (long long)json_integer_value(n));
        table_cell(t, i->text);
    }
    table_print(t, stdout);
}

int cmd_reasons(struct cli *c)
{
    struct reply r = {0, NULL};
    if (c->n_words && reason_by_name(str_c(c->words[0])) == REASON_NONE) {
        (void)fprintf(stderr, "ringwall: there is no reason named \"%s\"\n", c->words[0]);
        return EXIT_NOT_FOUND;
    }
    int e = c->live ? gateway_ask(c, STR("{\"cmd\":\"status\"}"), &r) : EXIT_OK;
    if (e == EXIT_OK) {
        const json_t *live = json_object_get(r.doc, "reasons");
        if (c->json)
            reasons_json(c, live);
        else
            reasons_table(c, live);
    }
    reply_done(&r);
    return e;
}

int cmd_version(struct cli *c)
{
    printf(c->json ? "{\"version\":\"%s\"}\n" : "ringwall %s\n", RINGWALL_VERSION);
    return EXIT_OK;
}
