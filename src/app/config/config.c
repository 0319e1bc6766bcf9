#include "app/config/config.h"
#include "app/config/values.h"
#include "app/config/yaml.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#define STATE_DEFAULT "/var/lib/ringwall"

struct top { /* the file's keys; NULL: not there */
    struct fy_node *domains, *state, *engines, *media, *certificates, *listeners, *zones, *waivers,
        *peers, *roles, *routes, *limits, *dns, *guard, *sites, *rates, *fraud, *consult, *stir,
        *tokens, *passwords, *second_factor, *authority, *administrators, *notify;
};
#define KEY(k)                                                                                     \
    {                                                                                              \
#k, rd_node, offsetof(struct top, k), false, 0, 0, NULL                                    \
    }
#define KEY_MUST(k)                                                                                \
    {                                                                                              \
#k, rd_node, offsetof(struct top, k), true, 0, 0, NULL                                     \
    }
static const struct field TOP[] = {
    KEY_MUST(domains), KEY(state),         KEY(engines),   KEY(media),          KEY(certificates),
    KEY(listeners),    KEY(zones),         KEY(peers),     KEY(roles),          KEY(routes),
    KEY(waivers),      KEY(limits),        KEY(dns),       KEY(guard),          KEY(sites),
    KEY(rates),        KEY(fraud),         KEY(consult),   KEY(stir),           KEY(tokens),
    KEY(passwords),    KEY(second_factor), KEY(authority), KEY(administrators), KEY(notify)};

static void read_state(struct load *l, struct fy_node *n)
{
    static const struct field F = {"state", rd_chars, 0, false, 0, CONFIG_PATH - 1, NULL};
    char path[CONFIG_PATH] = "";
    rd_chars(l, &F, n, path);
    if (path[0] == '/')
        memcpy(l->c->state, path, sizeof path);
    else if (path[0])
        problem(l, pos_of(n), "begin it with /", "state: \"%s\" is not an absolute path", path);
}

static uint16_t cpus_here(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return (uint16_t)MAX(n, 1);
}

static void read_engines(struct load *l, struct fy_node *n)
{
    static const struct field F = {"engines", rd_u16, 0, false, 1, CONFIG_ENGINES, NULL};
    struct str s = STR_NONE;
    size_t len = 0;
    if (fy_node_is_scalar(n))
        s.p = fy_node_get_scalar(n, &len);
    s.n = s.p ? len : 0;
    if (!str_eq(s, STR("auto")))
        rd_u16(l, &F, n, &l->p->engines);
}

static void read_sections(struct load *l, const struct top *t)
{
    static const struct {
        size_t off;
        void (*read)(struct load *, struct fy_node *);
    } ORDER[] = {
        {offsetof(struct top, state), read_state},
        {offsetof(struct top, domains), read_domains},
        {offsetof(struct top, engines), read_engines},
        {offsetof(struct top, media), read_media},
        {offsetof(struct top, limits), read_limits},
        {offsetof(struct top, certificates), read_certificates},
        {offsetof(struct top, listeners), read_listeners},
        {offsetof(struct top, zones), read_zones},
        {offsetof(struct top, sites), read_sites},
        {offsetof(struct top, rates), read_rates},
        {offsetof(struct top, peers), read_peers},
        {offsetof(struct top, waivers), read_waivers},
        {offsetof(struct top, roles), read_roles},
        {offsetof(struct top, routes), read_routes},
        {offsetof(struct top, dns), read_dns},
        {offsetof(struct top, guard), read_guard},
        {offsetof(struct top, consult), read_consult},
        {offsetof(struct top, fraud), read_fraud},
        {offsetof(struct top, stir), read_stir},
        {offsetof(struct top, tokens), read_tokens},
        {offsetof(struct top, passwords), read_passwords},
        {offsetof(struct top, second_factor), read_second_factor},
        {offsetof(struct top, authority), read_authority},
        {offsetof(struct top, administrators), read_administrators},
        {offsetof(struct top, notify), read_notify},
    };
    for (unsigned i = 0; i < ARRAY_LEN(ORDER); i++) {
        struct fy_node *n;
        memcpy(&n, (const char *)t + ORDER[i].off, sizeof n);
        if (n)
            ORDER[i].read(l, n);
        if (ORDER[i].read == read_roles)
            role_user_first(l);
    }
}

static void defaults(struct load *l)
{
    struct policy *p = l->p;
    p->magic = POLICY_MAGIC;
    p->version = POLICY_VERSION;
    p->bytes = sizeof *p;
    p->generation = l->o->generation;
    p->rtp_min = 20000;
    p->rtp_max = 29999;
    p->media_ip.family = ADDR_V4;
    uint16_t cpus = l->o->cpus ? l->o->cpus : cpus_here();
    p->engines = MIN(cpus, (uint16_t)CONFIG_ENGINES);
    limits_default(&p->limits);
    guard_policy_default(&p->guard);
    fraud_policy_default(&p->fraud);
    stir_policy_default(&p->stir);
    token_policy_default(&p->tokens);
    p->password_min = 10;
    const char *state = l->o->state ? l->o->state : STATE_DEFAULT;
    memcpy(l->c->state, state, strnlen(state, CONFIG_PATH - 1));
}

/* The parser's own complaints; it stops at its first. */
static void parser_problems(struct load *l, struct fy_diag *diag)
{
    void *it = NULL;
    for (struct fy_diag_error *e; (e = fy_diag_errors_iterate(diag, &it));) {
        struct pos at = {(uint32_t)MAX(e->line, 0), (uint32_t)MAX(e->column, 0)};
        if (e->type < FYET_ERROR)
            continue;
        problem(l, at, NULL, "not YAML: %s", e->msg ? e->msg : "unreadable");
    }
    if (l->e->n_errors == 0)
        problem(l, (struct pos){0, 0}, NULL, "not YAML");
}

static void read_document(struct load *l, struct fy_document *doc)
{
    struct top top = {0};
    struct fy_node *root = doc ? fy_document_root(doc) : NULL;
    if (!root || (fy_node_is_scalar(root) && pos_of(root).line == 0)) {
        problem(l, (struct pos){0, 0}, "a smallest file is: \"domains: [example.com]\"",
                "the file is empty");
        return;
    }
    if (l->o->where) {
        l->o->where->line = where_line(root, l->o->where);
        return;
    }
    (void)map_read(l, root, "the file", TOP, ARRAY_LEN(TOP), &top);
    read_sections(l, &top);
    dns_default(l);
    factor_default(l);
    if (l->e->n_errors == 0)
        judge(l);
    if (l->e->n_errors == 0 && policy_valid(l->p, sizeof *l->p) != OK)
        problem(l, (struct pos){0, 0}, "report this as a defect",
                "the snapshot made from this file contradicts itself");
}

static void read_stream(struct load *l, struct fy_parser *parser, struct fy_diag *diag)
{
    struct fy_document *doc = fy_parse_load_document(parser);
    struct fy_document *more = doc ? fy_parse_load_document(parser) : NULL;
    bool broken = fy_parser_get_stream_error(parser);
    if (broken)
        parser_problems(l, diag);
    else if (more)
        problem(l, pos_of(fy_document_root(more)), "keep one document in the file",
                "a second YAML document (after \"---\")");
    else
        read_document(l, doc);
    fy_parse_document_destroy(parser, more);
    fy_parse_document_destroy(parser, doc);
}

static bool parse(struct load *l, struct str text)
{
    struct fy_diag_cfg dc;
    fy_diag_cfg_default(&dc);
    dc.fp = NULL;
    dc.output_fn = NULL;
    struct fy_diag *diag = fy_diag_create(&dc);
    if (!diag)
        return false;
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg pc = {.flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE |
                                       FYPCF_ALLOW_DUPLICATE_KEYS /* map_read names them */,
                              .diag = diag};
    struct fy_parser *parser = fy_parser_create(&pc);
    bool ok = parser && fy_parser_set_string(parser, text.n ? text.p : "", text.n) == 0;
    if (ok)
        read_stream(l, parser, diag);
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return ok;
}

/* What the YAML parser must never see: it can loop on broken UTF-8. */
static bool text_sound(struct load *l, struct str text)
{
    struct pos at = {1, 1};
    size_t bad = value_text(text);
    if (text.n > CONFIG_BYTES) {
        problem(l, (struct pos){0, 0}, NULL, "longer than %u bytes", CONFIG_BYTES);
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (i == bad) {
            problem(l, at, "is it a text file in UTF-8?", "the byte 0x%02x does not belong here",
                    (unsigned char)text.p[i]);
            return false;
        }
        if (text.p[i] == '%' && at.column == 1)
            problem(l, at, "take the line out", "YAML directives (%%) are not read");
        at.column++;
        if (text.p[i] == '\n')
            at = (struct pos){at.line + 1, 1};
    }
    return l->e->n_errors == 0;
}

enum err config_load_text(struct str text, const char *name, const struct config_opts *o,
                          struct config *ret_c, struct config_errors *ret_e)
{
    struct config *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_SYSTEM;
    struct load l = {.c = c, .p = &c->policy, .e = ret_e, .o = o};
    memset(ret_e, 0, sizeof *ret_e);
    memcpy(ret_e->file, name, strnlen(name, sizeof ret_e->file - 1));
    defaults(&l);
    bool ran = true;
    if (text_sound(&l, text))
        ran = parse(&l, text);
    problems_sort(ret_e);
    enum err e = !ran ? ERR_SYSTEM : ret_e->n_errors ? ERR_SYNTAX : OK;
    if (e == OK)
        memcpy(ret_c, c, sizeof *c);
    free(c);
    return e;
}

static enum err unreadable(const char *path, const struct config_opts *o,
                           struct config_errors *ret_e)
{
    struct load l = {.e = ret_e, .o = o};
    int why = errno;
    memset(ret_e, 0, sizeof *ret_e);
    memcpy(ret_e->file, path, strnlen(path, sizeof ret_e->file - 1));
    problem(&l, (struct pos){0, 0}, why == ENOENT ? "`ringwall init` writes a first one" : NULL,
            "cannot be read: %s", strerror(why));
    return ERR_SYSTEM;
}

enum err config_load(const char *path, const struct config_opts *o, struct config *ret_c,
                     struct config_errors *ret_e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return unreadable(path, o, ret_e);
    char *text = malloc(CONFIG_BYTES + 2);
    size_t n = 0;
    ssize_t got = 1;
    while (text && n <= CONFIG_BYTES && (got = read(fd, text + n, CONFIG_BYTES + 1 - n)) > 0)
        n += (size_t)got;
    enum err e = !text || got < 0 ? unreadable(path, o, ret_e)
                                  : config_load_text(str_of(text, n), path, o, ret_c, ret_e);
    close(fd);
    free(text);
    return e;
}
