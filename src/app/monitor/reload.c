/* Reload: the new file is judged whole; what cannot change while serving is named; only then the
 * new snapshot goes out. */
#include "app/monitor/lists.h"
#include "app/monitor/notify.h"
#include "app/monitor/rules.h"
#include "app/monitor/shield.h"
#include "crypto/cert.h"
#include "crypto/hash.h"
#include "io/clock.h"
#include "io/file.h"
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

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
    if (a->policy.guard.kernel != b->policy.guard.kernel)
        return "what enforces bans (guard.kernel)";
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

/* -- certificates: a bad one would take TLS away at the next handshake -- */

enum { FITS = 0, NO_KEY, NO_P256_KEY, FITS_NOT, NOT_KNOWN };

/* Keys belong to the vault: a child that ends at once looks at this one for us. */
static int key_fits(const struct monitor *m, const struct config_cert *c, struct str chain)
{
    char path[CONFIG_PATH + CONFIG_NAME + 32];
    static char pem[CHAIN_MAX];
    size_t n = 0;
    int st = 0;
    struct key *k = NULL;
    (void)snprintf(path, sizeof path, "%s/vault/keys/%s.pem", m->state, c->key);
    pid_t pid = fork();
    if (pid == 0) {
        if (file_read(path, pem, sizeof pem, &n) != OK)
            _exit(NO_KEY);
        if (key_load(str_of(pem, n), &k) != OK)
            _exit(NO_P256_KEY);
        _exit(cert_fits(chain, k) == OK ? FITS : FITS_NOT);
    }
    if (pid < 0 || waitpid(pid, &st, 0) != pid || !WIFEXITED(st))
        return NOT_KNOWN;
    return WEXITSTATUS(st);
}

/* The line of the file that names the certificate. */
static uint32_t line_of(const struct monitor *m, const struct config_cert *c)
{
    char *text = malloc(CONFIG_BYTES);
    size_t n = 0;
    uint32_t line = 0, found = 0;
    bool section = false;
    struct str rest = STR_NONE;
    char name[CONFIG_NAME + 2];
    (void)snprintf(name, sizeof name, "%s:", c->name);
    if (text && file_read(m->cfg->config, text, CONFIG_BYTES, &n) == OK)
        rest = str_of(text, n);
    while (rest.n && !found) {
        struct str l = str_head(rest, str_find(rest, '\n'));
        rest = str_skip(rest, l.n + 1);
        line++;
        section = section || str_starts(l, STR("certificates:"));
        if (section && str_search(l, str_c(name)) < l.n)
            found = line;
    }
    free(text);
    return found;
}

static void cert_problem(struct monitor *m, const struct config_cert *c, const char *hint,
                         const char *fmt, ...) PRINTF(4, 5);
static void cert_problem(struct monitor *m, const struct config_cert *c, const char *hint,
                         const char *fmt, ...)
{
    struct config_errors *e = m->errors;
    if (e->n == CONFIG_PROBLEMS)
        return;
    struct config_problem *p = &e->at[e->n++];
    *p = (struct config_problem){.line = line_of(m, c), .column = 1};
    int at = snprintf(p->text, sizeof p->text, "certificate \"%s\": ", c->name);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(p->text + at, sizeof p->text - (size_t)at, fmt, ap);
    va_end(ap);
    (void)snprintf(p->hint, sizeof p->hint, "%s", hint);
    e->n_errors++;
}

static void cert_judge(struct monitor *m, const struct config_cert *c)
{
    static char pem[CHAIN_MAX];
    size_t n = 0;
    struct cert_facts f;
    struct wall now = clock_now().wall;
    if (file_read(c->chain, pem, sizeof pem, &n) != OK || cert_read(str_of(pem, n), &f) != OK) {
        cert_problem(m, c, "it must hold the server's certificate first, in PEM",
                     "there is no certificate in %.120s", c->chain);
        return;
    }
    if (f.until.us <= now.us || f.from.us > now.us)
        cert_problem(m, c, "put one there that is valid today, and look at this machine's clock",
                     "%.120s is %s", c->chain, f.until.us <= now.us ? "expired" : "not valid yet");
    int fits = key_fits(m, c, str_of(pem, n));
    if (fits == FITS)
        return;
    static const char *const why[] = {
        [NO_KEY] = "there is no such key in vault/keys of the state folder",
        [NO_P256_KEY] = "that file is no ECDSA key on P-256 without passphrase",
        [FITS_NOT] = "the chain does not belong to it",
        [NOT_KNOWN] = "it cannot be looked at",
    };
    cert_problem(m, c,
                 fits == FITS_NOT ? "replace both files, chain and key, and reload again"
                                  : "put the key there, owned by the vault's user",
                 "key %.63s: %s", c->key, why[MIN((unsigned)fits, (unsigned)NOT_KNOWN)]);
}

/* Also said where the file itself is sound: it names files that changed. */
static enum err certs_judge(struct monitor *m)
{
    for (uint32_t i = 0; i < m->next->n_certs; i++)
        cert_judge(m, &m->next->certs[i]);
    return m->errors->n_errors ? ERR_SYNTAX : OK;
}

/* Everything is made before anything is replaced. */
static enum err swap(struct monitor *m)
{
    struct shared chain[CONFIG_CERTS], ca, names, policy = {-1, sizeof m->next->policy};
    m->next->policy.spent_unknown = m->ledger_unknown;
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
    monitor_rules_swap(m);
    supply_all(m, ATTACH_POLICY, 0);
    geo_policy(m);
    rates_policy(m);
    feeds_policy_changed(m);
    certs_policy_changed(m);
    bans_policy(m);
    shield_policy(m);
    clients_policy(m);
    notify_policy(m);
}

enum err monitor_policy_again(struct monitor *m)
{
    struct shared policy = {-1, sizeof m->conf->policy};
    enum err e =
        memfd_sealed("ringwall-policy", &m->conf->policy, sizeof m->conf->policy, &policy.fd);
    if (e != OK)
        return e;
    shared_close(&m->policy);
    m->policy = policy;
    supply_all(m, ATTACH_POLICY, 0);
    return OK;
}

static enum err refuse_file(struct monitor *m, enum err e)
{
    static char text[CONFIG_PROBLEMS * 512];
    struct out all = out_of(text, sizeof text);
    const struct config_problem *first = NULL;
    config_errors_put(&all, m->errors);
    (void)fwrite(text, 1, all.n, stderr);
    for (uint32_t i = m->errors->n; i-- > 0;)
        first = m->errors->at[i].warning ? first : &m->errors->at[i];
    return refuse(m, e, "%s: %u error%s; first: line %u: %s", m->cfg->config,
                  (unsigned)m->errors->n_errors, m->errors->n_errors == 1 ? "" : "s",
                  first ? (unsigned)first->line : 0, first ? first->text : "cannot be read");
}

/* The text that is judged is the text that is read once, so that an approval means the same. */
static enum err take_text(struct monitor *m, const struct config_opts *o, struct text_digest *ret_d)
{
    char *text = malloc(CONFIG_BYTES + 2);
    size_t n = 0;
    enum err e = text ? file_read(m->cfg->config, text, CONFIG_BYTES + 1, &n) : ERR_FULL;
    *ret_d = (struct text_digest){0};
    if (e == OK) {
        struct str all = str_of(text, n);
        e = crypto_init();
        if (e == OK)
            e = hash_parts(HASH_SHA256, &all, 1, ret_d->sha256);
        ret_d->n = sizeof ret_d->sha256;
        if (e == OK)
            e = config_load_text(all, m->cfg->config, o, m->next, m->errors);
    } else {
        e = config_load(m->cfg->config, o, m->next, m->errors); /* it says why */
    }
    free(text);
    return e;
}

static enum err risks_judge(struct monitor *m, const struct reload_word *w,
                            const struct text_digest *of)
{
    risks_find(m->conf, m->next, &m->risks);
    if (m->risks.n == 0)
        return OK;
    if (!w->reason)
        return refuse(m, ERR_AUTH,
                      "risky, and nobody gave a reason (ringwall reload --reason TEXT): %.150s",
                      m->risks.text);
    if (!w->second)
        return refuse(m, ERR_AUTH, "it waits for a second person (ringwall approvals): %.150s",
                      m->risks.text);
    if (w->of.n && memcmp(w->of.sha256, of->sha256, sizeof of->sha256) != 0)
        return refuse(m, ERR_STATE,
                      "the file has changed since its approval was asked for; "
                      "reload it again");
    return OK;
}

enum err monitor_reload(struct monitor *m, const struct reload_word *w,
                        struct text_digest *ret_digest)
{
    struct config_opts o = {.now = clock_now().wall,
                            .state = m->cfg->state,
                            .generation = m->generation + 1,
                            .cpus = m->conf->policy.engines}; /* "auto" stays what it was */
    m->risks = (struct risks){0};
    enum err e = take_text(m, &o, ret_digest);
    if (e != OK)
        return refuse_file(m, e);
    const char *what = cold(m->conf, m->next);
    if (what)
        return refuse(m, ERR_STATE, "%s cannot change while serving; restart for it", what);
    e = certs_judge(m);
    if (e == OK)
        e = monitor_rules_judge(m);
    if (e != OK)
        return refuse_file(m, e);
    e = risks_judge(m, w, ret_digest);
    if (e != OK)
        return e;
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
