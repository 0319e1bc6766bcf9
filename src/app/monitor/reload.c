/* Reload: the new file is judged whole; what cannot change while serving is named; only then the
 * new snapshot goes out. */
#include "app/monitor/state.h"
#include "io/clock.h"
#include "io/file.h"
#include <stdarg.h>

static bool same_text(const struct policy *a, struct span x, const struct policy *b, struct span y)
{
    return str_eq(policy_text(a, x), policy_text(b, y));
}

static bool same_dns(const struct config *a, const struct config *b)
{
    const struct policy_dns *x = &a->policy.dns, *y = &b->policy.dns;
    bool same = strcmp(a->trust_anchor, b->trust_anchor) == 0 && x->n_servers == y->n_servers &&
                x->n_plain == y->n_plain;
    for (uint32_t i = 0; same && i < x->n_servers; i++)
        same = addr_eq(&x->servers[i], &y->servers[i]);
    for (uint32_t i = 0; same && i < x->n_plain; i++)
        same = same_text(&a->policy, x->plain[i], &b->policy, y->plain[i]);
    return same;
}

static bool same_listeners(const struct policy *a, const struct policy *b)
{
    if (a->n_listeners != b->n_listeners)
        return false;
    for (uint32_t i = 0; i < a->n_listeners; i++) {
        const struct policy_listener *x = &a->listeners[i], *y = &b->listeners[i];
        if (x->proto != y->proto || !addr_eq(&x->bind, &y->bind) ||
            !same_text(a, x->name, b, y->name))
            return false;
    }
    return true;
}

/* What needs a restart, in words; NULL if nothing that changed does. */
static const char *cold(const struct config *a, const struct config *b)
{
    const struct policy_limits *x = &a->policy.limits, *y = &b->policy.limits;
    if (strcmp(a->state, b->state) != 0)
        return "the state folder";
    if (!same_text(&a->policy, a->policy.domains[0], &b->policy, b->policy.domains[0]))
        return "the first domain (the realm of all users)";
    if (a->policy.engines != b->policy.engines)
        return "the number of engines";
    if (!same_listeners(&a->policy, &b->policy))
        return "the listeners (number, order, name, protocol or address)";
    if (a->policy.rtp_min != b->policy.rtp_min || a->policy.rtp_max != b->policy.rtp_max ||
        !addr_eq(&a->policy.media_ip, &b->policy.media_ip))
        return "the range or address of media ports";
    if (!same_dns(a, b))
        return "how names are looked up (dns)";
    if (x->calls != y->calls || x->bindings != y->bindings || x->transactions != y->transactions ||
        x->connections != y->connections)
        return "the limits that size tables (calls, bindings, transactions, connections)";
    return NULL;
}

static enum err refuse(struct monitor *m, enum err e, const char *fmt, ...) PRINTF(3, 4);
static enum err refuse(struct monitor *m, enum err e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(m->reload_problem, sizeof m->reload_problem, fmt, ap);
    va_end(ap);
    monitor_log(m, SEV_ALERT, "reload refused, generation %u stays in force: %s",
                (unsigned)m->generation, m->reload_problem);
    monitor_fact(m, NULL, 0, 0, "reload refused");
    return e;
}

/* Everything is made before anything is replaced. */
static enum err swap(struct monitor *m)
{
    struct shared chain[CONFIG_CERTS], ca, names, policy = {-1, sizeof m->next->policy};
    enum err e = boot_certs(m, m->next, chain, &ca, &names);
    if (e != OK)
        return e;
    e = memfd_sealed("ringwall-policy", &m->next->policy, sizeof m->next->policy, &policy.fd);
    if (e != OK) {
        for (uint32_t i = 0; i < CONFIG_CERTS; i++)
            shared_close(&chain[i]);
        shared_close(&ca);
        shared_close(&names);
        return e;
    }
    struct config *old = m->conf;
    m->conf = m->next;
    m->next = old;
    shared_close(&m->policy);
    shared_close(&m->ca);
    shared_close(&m->key_names);
    m->policy = policy;
    m->ca = ca;
    m->key_names = names;
    for (uint32_t i = 0; i < CONFIG_CERTS; i++) {
        shared_close(&m->chain[i]);
        m->chain[i] = chain[i];
    }
    return OK;
}

/* The policy last: it names the certificates. */
static void tell(struct monitor *m)
{
    supply_all(m, ATTACH_KEYS, 0);
    supply_all(m, ATTACH_CA, 0);
    for (uint8_t i = 0; i < m->conf->n_certs; i++)
        supply_all(m, ATTACH_CHAIN, i);
    supply_all(m, ATTACH_POLICY, 0);
}

enum err monitor_reload(struct monitor *m)
{
    struct config_opts o = {.now = clock_now().wall,
                            .state = m->cfg->state,
                            .generation = m->generation + 1,
                            .cpus = m->conf->policy.engines}; /* "auto" stays what it was */
    enum err e = config_load(m->cfg->config, &o, m->next, m->errors);
    if (e != OK) {
        static char text[CONFIG_PROBLEMS * 512];
        struct out all = out_of(text, sizeof text);
        config_errors_put(&all, m->errors);
        (void)fwrite(text, 1, all.n, stderr);
        return refuse(m, e, "%s: %u error%s; first: line %u: %s", m->cfg->config,
                      (unsigned)m->errors->n_errors, m->errors->n_errors == 1 ? "" : "s",
                      m->errors->n ? (unsigned)m->errors->at[0].line : 0,
                      m->errors->n ? m->errors->at[0].text : "cannot be read");
    }
    const char *what = cold(m->conf, m->next);
    if (what)
        return refuse(m, ERR_STATE, "%s cannot change while serving; restart for it", what);
    e = swap(m);
    if (e != OK)
        return refuse(m, e, "certificates or memory: see the lines above");
    m->generation = m->conf->policy.generation;
    m->reload_problem[0] = 0;
    tell(m);
    monitor_log(m, SEV_NOTICE, "reloaded %s: generation %u", m->cfg->config,
                (unsigned)m->generation);
    monitor_fact(m, NULL, 0, (int32_t)m->generation, "reloaded");
    return OK;
}
