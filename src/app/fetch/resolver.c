#include "app/fetch/resolver.h"
#include <unbound-event.h>
#include <unbound.h>

#define ANCHOR_LINE 4096u
#define PORT_DNS    53u

uint32_t resolv_conf_servers(struct str text, struct addr *ret_a, uint32_t cap)
{
    uint32_t n = 0;
    struct str line, word;
    while (text.n && n < cap) {
        text = str_cut(text, '\n', &line);
        size_t blank = 0;
        line = str_trim(line);
        while (blank < line.n && line.p[blank] != ' ' && line.p[blank] != '\t')
            blank++;
        word = str_head(line, blank);
        line = str_trim(str_skip(line, blank));
        if (str_eq(word, STR("nameserver")) && addr_parse_ip(line, &ret_a[n]) == OK)
            ret_a[n++].port = PORT_DNS;
    }
    return n;
}

/* Lines of the file as records; what follows a ';' is a comment. */
static enum err anchors(struct resolver *r, struct str text)
{
    char one[ANCHOR_LINE];
    struct str line;
    while (text.n) {
        text = str_cut(text, '\n', &line);
        struct str record;
        (void)str_cut(line, ';', &record);
        record = str_trim(record);
        if (!record.n)
            continue;
        if (record.n >= sizeof one)
            return ERR_LIMIT;
        memcpy(one, record.p, record.n);
        one[record.n] = 0;
        if (ub_ctx_add_ta(r->ctx, one) != 0)
            return ERR_SYNTAX;
        r->anchors++;
    }
    return OK;
}

static bool option(struct resolver *r, const char *name, const char *value)
{
    return ub_ctx_set_option(r->ctx, name, value) == 0;
}

static bool options(struct resolver *r)
{
    static const char *const OPTIONS[][2] = {
        {"do-not-query-localhost:", "no"}, /* a resolver of this machine is the usual case */
        {"module-config:", "validator iterator"},
        {"cache-max-ttl:", "3600"},
        {"cache-max-negative-ttl:", "60"},
        {"val-bogus-ttl:", "10"},
        {"infra-host-ttl:", "30"}, /* a server that came back is soon asked again */
        {"infra-keep-probing:", "yes"},
        {"edns-buffer-size:", "1232"},
        {"msg-cache-size:", "1m"},
        {"rrset-cache-size:", "2m"},
        {"key-cache-size:", "1m"},
    };
    for (size_t i = 0; i < ARRAY_LEN(OPTIONS); i++)
        if (!option(r, OPTIONS[i][0], OPTIONS[i][1]))
            return false;
    return true;
}

static bool plain(struct resolver *r, const struct policy *p)
{
    char name[DNS_NAME_MAX + 1];
    for (uint32_t i = 0; i < p->dns.n_plain; i++) {
        struct str s = policy_text(p, p->dns.plain[i]);
        if (s.n > DNS_NAME_MAX)
            return false;
        memcpy(name, s.p, s.n);
        name[s.n] = 0;
        if (!option(r, "domain-insecure:", name))
            return false;
    }
    return true;
}

/* The library answers for these names itself, that they do not exist. Whether they do is our
 * servers' to say (RFC 6761, RFC 8375). Ends the time of options. */
static bool reserved(struct resolver *r)
{
    return ub_ctx_zone_add(r->ctx, "test.", "transparent") == 0 &&
           ub_ctx_zone_add(r->ctx, "home.arpa.", "transparent") == 0;
}

static enum err servers(struct resolver *r, const struct resolver_cfg *cfg)
{
    struct addr list[POLICY_RESOLVERS];
    uint32_t n = cfg->policy->dns.n_servers;
    memcpy(list, cfg->policy->dns.servers, sizeof list);
    if (!n)
        n = resolv_conf_servers(cfg->resolv_conf, list, POLICY_RESOLVERS);
    for (uint32_t i = 0; i < n; i++) {
        char text[ADDR_TEXT_MAX + 8];
        struct out o = out_of(text, sizeof text - 1);
        addr_put_ip(&o, &list[i]);
        out_ch(&o, '@');
        out_u64(&o, list[i].port);
        text[o.n] = 0;
        if (ub_ctx_set_fwd(r->ctx, text) != 0)
            return ERR_SYSTEM;
    }
    r->servers = n;
    return n ? OK : ERR_NOT_FOUND;
}

enum err resolver_open(struct resolver *r, const struct resolver_cfg *cfg, const char **ret_why)
{
    *r = (struct resolver){.ctx = ub_ctx_create_event(cfg->base)};
    *ret_why = "the resolver library cannot be set up";
    if (!r->ctx || ub_ctx_debugout(r->ctx, NULL) != 0 || !options(r) || !plain(r, cfg->policy))
        return ERR_SYSTEM;
    *ret_why = "the file of trust anchors cannot be understood";
    if (anchors(r, cfg->anchors) != OK)
        return ERR_SYSTEM;
    *ret_why = "no name server is known: neither dns.servers nor /etc/resolv.conf names one";
    enum err e = servers(r, cfg);
    if (e == OK && !reserved(r)) {
        *ret_why = "the resolver library cannot begin: are the trust anchors DS or DNSKEY records?";
        e = ERR_SYSTEM;
    }
    return e;
}

static void answered(void *arg, int rcode, void *packet, int n, int sec, char *why, int limited)
{
    const struct resolver_question *q = arg;
    bool whole = rcode == 0 && packet && n > 0;
    (void)why, (void)limited;
    q->fn(q->arg, whole ? packet : NULL, whole ? (size_t)n : 0, sec == 2, sec == 1);
}

enum err resolver_ask(struct resolver *r, const struct dns_name *name, enum dns_type type,
                      struct resolver_question *q)
{
    char text[DNS_NAME_MAX + 2];
    if (!r->servers) /* the library would ask the root's servers by itself */
        return ERR_STATE;
    memcpy(text, name->text, name->n);
    text[name->n] = '.'; /* no search list */
    text[name->n + 1] = 0;
    return ub_resolve_event(r->ctx, text, (int)type, 1, q, answered, NULL) == 0 ? OK : ERR_SYSTEM;
}
