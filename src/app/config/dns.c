/* dns: how names of peers are looked up. */
#include "app/config/values.h"
#include "app/config/yaml.h"
#include <unistd.h>

#define PORT_DNS 53u

static void rd_servers(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_dns *d = &l->p->dns;
    void *it = NULL;
    (void)dst;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && d->n_servers < POLICY_RESOLVERS;) {
        struct addr a = {0};
        rd_addr(l, f, e, &a);
        if (!a.family)
            continue;
        if (addr_any(&a))
            problem(l, pos_of(e), NULL, "%s: a wildcard is no address of a server", f->key);
        a.port = a.port ? a.port : PORT_DNS;
        d->servers[d->n_servers++] = a;
    }
}

static void rd_unsigned(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_dns *d = &l->p->dns;
    void *it = NULL;
    (void)dst;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && d->n_plain < POLICY_UNSIGNED;)
        rd_host(l, f, e, &d->plain[d->n_plain++]);
}

/* A file by its whole name, or none at all. */
static void rd_anchor(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    char path[CONFIG_PATH] = "";
    rd_chars(l, f, n, path);
    if (!path[0])
        return;
    if (path[0] != '/')
        problem(l, pos_of(n), "begin it with /", "%s: \"%s\" is not an absolute path", f->key,
                path);
    else if (!l->o->no_files && access(path, R_OK) != 0)
        problem(l, pos_of(n), NULL, "%s: %s cannot be read", f->key, path);
    memcpy(dst, path, sizeof path);
}

void read_dns(struct load *l, struct fy_node *n)
{
    static const struct field DNS[] = {
        {"servers", rd_servers, 0, false, 0, POLICY_RESOLVERS, NULL},
        {"trust_anchor", rd_anchor, offsetof(struct config, trust_anchor), false, 1,
         CONFIG_PATH - 1, NULL},
        {"unsigned", rd_unsigned, 0, false, 0, POLICY_UNSIGNED, NULL},
    };
    l->dns_at = pos_of(n);
    (void)map_read(l, n, "dns", DNS, ARRAY_LEN(DNS), l->c);
}

/* The root's key, where the system keeps it. */
void dns_default(struct load *l)
{
    static const char *const KEYS[] = {"/usr/share/dns/root.key", "/var/lib/unbound/root.key"};
    char *anchor = l->c->trust_anchor;
    for (unsigned i = 0; i < ARRAY_LEN(KEYS) && !anchor[0] && !l->o->no_files; i++)
        if (access(KEYS[i], R_OK) == 0)
            memcpy(anchor, KEYS[i], strlen(KEYS[i]) + 1);
}
