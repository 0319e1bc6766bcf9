/* What of this host the shield in the kernel is about: interfaces, own addresses, ports. */
#include "app/monitor/shield_in.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void add_interface(struct shield_plan *p, struct str name)
{
    if (name.n == 0 || name.n >= XDP_NAME)
        return;
    for (unsigned i = 0; i < p->n_interfaces; i++)
        if (str_eq(str_c(p->interface[i]), name))
            return;
    if (p->n_interfaces == XDP_INTERFACES)
        return;
    (void)snprintf(p->interface[p->n_interfaces++], XDP_NAME, STR_FMT, STR_ARG(name));
}

static bool addr_of(const struct sockaddr *sa, struct addr *ret_a)
{
    struct addr a = {0};
    if (sa && sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        a.family = ADDR_V4;
        memcpy(a.ip, &in.sin_addr, 4);
    } else if (sa && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, sa, sizeof in);
        a.family = ADDR_V6;
        memcpy(a.ip, &in.sin6_addr, 16);
    }
    *ret_a = a;
    return a.family != ADDR_NONE;
}

static bool listens(const struct policy *p, const struct addr *a)
{
    for (uint32_t i = 0; i < p->n_listeners; i++) {
        const struct addr *b = &p->listeners[i].bind;
        if (addr_any(b) ? !addr_loopback(a) : addr_eq_ip(a, b))
            return true;
    }
    return false;
}

/* The interfaces that hold the listeners' addresses; loopback only if nothing else does. */
static void find_interfaces(const struct policy *p, struct shield_plan *ret_p)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return;
    for (int loopback = 0; loopback < 2 && ret_p->n_interfaces == 0; loopback++) {
        for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
            struct addr a;
            struct str name, label = str_c(i->ifa_name);
            (void)str_cut(label, ':', &name); /* "eth0:1" is an address of eth0 */
            bool lo = (i->ifa_flags & IFF_LOOPBACK) != 0;
            if (!(i->ifa_flags & IFF_UP) || lo != (loopback == 1))
                continue;
            /* all of 127/8 is on loopback, listed or not */
            if (lo ? true : addr_of(i->ifa_addr, &a) && listens(p, &a))
                add_interface(ret_p, name);
        }
        ret_p->loopback_only = loopback == 1 && ret_p->n_interfaces;
    }
    freeifaddrs(all);
}

static void add_local(struct shield_plan *p, const struct addr *a)
{
    if (a->family == ADDR_NONE || addr_any(a))
        return;
    for (unsigned i = 0; i < p->n_locals; i++)
        if (addr_eq_ip(&p->local[i], a))
            return;
    if (p->n_locals < SHIELD_LOCALS)
        p->local[p->n_locals++] = *a;
}

static void add_exempt(struct shield_plan *p, struct addr a)
{
    a.port = 0;
    if (a.family != ADDR_NONE && p->n_exempt < SHIELD_EXEMPT)
        p->exempt[p->n_exempt++] = (struct prefix){a, a.family == ADDR_V4 ? 32 : 128};
}

void shield_plan_exempt(const struct monitor *m, struct shield_plan *p)
{
    const struct policy *policy = &m->conf->policy;
    const struct guard_policy *g = &policy->guard;
    struct targets_row row;
    p->n_exempt = 0;
    for (uint32_t i = 0; i < g->n_exempt; i++)
        p->exempt[p->n_exempt++] = g->exempt[i];
    for (uint8_t i = 0; i < policy->n_peers; i++) {
        for (uint32_t k = 0; k < policy->peers[i].n_targets; k++)
            add_exempt(p, policy->peers[i].targets[k]);
        if (!m->board || targets_get(m->board, sizeof *m->board, policy, i, &row) != OK)
            continue;
        for (uint32_t k = 0; k < row.n; k++)
            add_exempt(p, row.entry[k].a);
        for (uint32_t k = 0; k < row.n_past; k++)
            if (row.past[k].until.us > m->loop.now.wall.us)
                add_exempt(p, row.past[k].a);
    }
}

void shield_plan(const struct monitor *m, struct shield_plan *ret_p)
{
    const struct policy *p = &m->conf->policy;
    const struct guard_policy *g = &p->guard;
    memset(ret_p, 0, sizeof *ret_p);
    for (uint32_t i = 0; i < g->n_interfaces; i++)
        add_interface(ret_p, policy_text(p, g->interfaces[i]));
    if (ret_p->n_interfaces == 0)
        find_interfaces(p, ret_p);
    for (uint32_t i = 0; i < p->n_listeners; i++) {
        const struct policy_listener *l = &p->listeners[i];
        ret_p->any_local = ret_p->any_local || addr_any(&l->bind);
        add_local(ret_p, &l->bind);
        add_local(ret_p, &l->advertise);
        ret_p->sip[l->bind.port] |= l->proto == PROTO_UDP ? XDP_UDP : XDP_TCP;
    }
    add_local(ret_p, &p->media_ip);
    shield_plan_exempt(m, ret_p);
    ret_p->media_min = p->rtp_min;
    ret_p->media_max = p->rtp_max;
    ret_p->rate = MAX(g->source_rate, g->known_rate);
    ret_p->sip_max = p->limits.message_bytes;
    ret_p->dry = g->dry_run;
}
