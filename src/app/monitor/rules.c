#include "app/monitor/rules.h"
#include "app/monitor/state.h"
#include "app/rules/compile.h"
#include "io/file.h"
#include "io/rand.h"

static void tell_problem(struct config_errors *e, const struct rules_build *b,
                         const struct rules_problem *p)
{
    e->n_errors += !p->warning;
    e->n_warnings += p->warning;
    if (e->n == CONFIG_PROBLEMS) {
        e->n_lost++;
        return;
    }
    const char *file = rules_build_file_name(b, p->file);
    size_t n = strlen(file), room = 48; /* of a long path the end */
    struct config_problem *q = &e->at[e->n++];
    *q = (struct config_problem){.warning = p->warning};
    (void)snprintf(q->text, sizeof q->text, "%s%.48s:%u:%u: %.110s", n > room ? "..." : "",
                   file + (n > room ? n - room : 0), (unsigned)p->line, (unsigned)p->column,
                   p->text);
    (void)snprintf(q->hint, sizeof q->hint, "%s", p->hint);
}

/* ZONE_PHONES: "[192.0.2.0/24,2001:db8::/32]". */
static bool zone_var(const struct policy *p, const struct policy_zone *z, char name[72],
                     struct out *value)
{
    struct str s = policy_text(p, z->name);
    size_t n = 0;
    (void)snprintf(name, 72, "ZONE_");
    for (size_t i = 0; i < s.n && i < 64; i++) {
        char c = s.p[i];
        c = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
        name[5 + n++] = (c >= 'A' && c <= 'Z') || ascii_digit(c) ? c : '_';
    }
    name[5 + n] = 0;
    out_ch(value, '[');
    for (uint32_t i = 0; i < z->n_sources; i++) {
        if (i)
            out_ch(value, ',');
        addr_put_ip(value, &z->sources[i].a);
        out_fmt(value, "/%u", (unsigned)z->sources[i].bits);
    }
    out_ch(value, ']');
    out_ch(value, 0);
    return z->n_sources && !value->full;
}

struct zone_vars {
    char name[POLICY_ZONES][72], value[POLICY_ZONES][2048];
};

static enum err vars(struct rules_build *b, const struct policy *p, struct zone_vars *v)
{
    enum err e = OK;
    for (uint32_t i = 0; i < p->n_zones && e == OK; i++) {
        struct out o = out_of(v->value[i], sizeof v->value[i]);
        if (zone_var(p, &p->zones[i], v->name[i], &o))
            e = rules_build_var(b, v->name[i], v->value[i]);
    }
    return e;
}

static enum err compile(const struct config *c, struct rules_build *b, struct rules **ret_r,
                        size_t *ret_n)
{
    struct rules_build_opts o = {.plain = false};
    char path[CONFIG_PATH];
    enum err e = rand_bytes(o.salt, sizeof o.salt);
    for (uint32_t i = 0; i < c->policy.guard.n_rule_files && e == OK; i++) {
        (void)snprintf(path, sizeof path, STR_FMT,
                       STR_ARG(policy_text(&c->policy, c->policy.guard.rule_files[i])));
        e = rules_build_file(b, path);
    }
    return e == OK ? rules_build_end(b, &o, ret_r, ret_n) : e;
}

enum err rules_of_config(const struct config *c, struct config_errors *e, struct rules **ret_r,
                         size_t *ret_n)
{
    struct rules_build *b = rules_build_new();
    struct zone_vars *v = calloc(1, sizeof *v);
    enum err r = b && v ? vars(b, &c->policy, v) : ERR_FULL;
    uint32_t n = 0, errors, lost = 0;
    if (r == OK)
        r = compile(c, b, ret_r, ret_n);
    const struct rules_problem *p = b ? rules_build_problems(b, &n, &errors, &lost) : NULL;
    for (uint32_t i = 0; i < n; i++)
        tell_problem(e, b, &p[i]);
    e->n_lost += lost;
    rules_build_free(b);
    free(v);
    return r;
}

static enum err seal(struct monitor *m, const struct config *c, struct shared *ret_s)
{
    struct rules *r = NULL;
    size_t n = 0;
    enum err e = rules_of_config(c, m->errors, &r, &n);
    if (e != OK)
        return e;
    *ret_s = (struct shared){-1, n};
    e = memfd_sealed("ringwall-rules", r, n, &ret_s->fd);
    if (e == OK && c->policy.guard.n_rule_files)
        monitor_log(m, SEV_INFO, "rules: %u in force, %zu KiB", (unsigned)rules_count(r), n >> 10);
    free(r);
    return e;
}

enum err monitor_rules_boot(struct monitor *m)
{
    return seal(m, m->conf, &m->rules);
}

static struct shared next = {-1, 0}; /* judged, not yet in force */

enum err monitor_rules_judge(struct monitor *m)
{
    shared_close(&next);
    return seal(m, m->next, &next);
}

void monitor_rules_swap(struct monitor *m)
{
    shared_close(&m->rules);
    m->rules = next;
    next = (struct shared){-1, 0};
    supply_all(m, ATTACH_RULES, 0);
}
