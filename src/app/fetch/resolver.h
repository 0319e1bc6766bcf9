/* libunbound behind one door: it forwards to the given servers and validates by the given trust
 * anchors, in this process and this thread, driven by a libevent base. It opens no file: all texts
 * are given. */
#ifndef APP_FETCH_RESOLVER_H
#define APP_FETCH_RESOLVER_H
#include "call/policy.h"
#include "wire/dns/dns.h"
#include <event2/event.h>

struct ub_ctx;
struct resolver {
    struct ub_ctx *ctx;
    uint32_t anchors, servers;
};
struct resolver_cfg {
    struct event_base *base;     /* keeps */
    const struct policy *policy; /* its dns section; borrows */
    struct str anchors;          /* text of DS or DNSKEY records, one a line; may be empty */
    struct str resolv_conf;      /* text; used when the policy names no server; may be empty */
};
/* ERR_NOT_FOUND: no server is known; ERR_SYSTEM: ret_why. */
MUST_CHECK enum err resolver_open(struct resolver *r, const struct resolver_cfg *cfg,
                                  const char **ret_why);
/* packet is NULL when there is no answer. bogus: signatures do not verify. Called once, maybe
 * before resolver_ask returns; not at all when that fails. */
typedef void resolver_fn(void *arg, const void *packet, size_t n, bool secure, bool bogus);
struct resolver_question { /* stays until fn was called */
    resolver_fn *fn;
    void *arg;
};
MUST_CHECK enum err resolver_ask(struct resolver *r, const struct dns_name *name,
                                 enum dns_type type, struct resolver_question *q);
/* Addresses of "nameserver" lines; returns how many, at most cap. */
uint32_t resolv_conf_servers(struct str text, struct addr *ret_a, uint32_t cap);
#endif
