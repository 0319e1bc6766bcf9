/* The shield by XDP (io/xdp.h): configuration, self-test, batches. */
#include "app/monitor/shield_in.h"
#include "io/rand.h"
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>

/* -- the self-test: frames of a source that nobody can have -- */

struct frame {
    uint8_t b[256];
    size_t n;
};
struct trial {
    const struct shield_plan *plan;
    struct addr source, dest;
    uint16_t sip;
    bool tcp;
};

static void be16(uint8_t *at, size_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void frame_make(const struct trial *t, uint16_t port, bool tcp, struct str payload,
                       struct frame *ret_f)
{
    uint8_t *b = ret_f->b;
    bool v6 = t->dest.family == ADDR_V6;
    size_t ip = 14, l4 = ip + (v6 ? 40u : 20u), head = tcp ? 20 : 8, inner = head + payload.n;
    memset(ret_f, 0, sizeof *ret_f);
    be16(b + 12, v6 ? ETH_P_IPV6 : ETH_P_IP);
    if (v6) {
        b[ip] = 0x60;
        be16(b + ip + 4, inner);
        b[ip + 6] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
        b[ip + 7] = 64;
        memcpy(b + ip + 8, t->source.ip, 16);
        memcpy(b + ip + 24, t->dest.ip, 16);
    } else {
        b[ip] = 0x45;
        be16(b + ip + 2, 20 + inner);
        b[ip + 8] = 64;
        b[ip + 9] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
        memcpy(b + ip + 12, t->source.ip, 4);
        memcpy(b + ip + 16, t->dest.ip, 4);
    }
    be16(b + l4, 5060);
    be16(b + l4 + 2, port);
    if (tcp) {
        b[l4 + 12] = 5 << 4;
        b[l4 + 13] = 2; /* SYN */
    } else {
        be16(b + l4 + 4, inner);
    }
    if (payload.n)
        memcpy(b + l4 + head, payload.p, payload.n);
    ret_f->n = l4 + inner;
}

/* Whether the program, on the last of so many of these, does what it should. */
static bool does(const struct xdp *x, const struct frame *f, uint32_t times, bool drop)
{
    bool dropped = !drop;
    uint32_t ns;
    return xdp_run(x, f->b, f->n, times, &dropped, &ns) == OK && dropped == drop;
}

#define SOUND                                                                                      \
    STR("OPTIONS sip:selftest@invalid SIP/2.0\r\nVia: SIP/2.0/UDP selftest.invalid\r\n\r\n")
#define JUNK STR("\x16\x03\x01 these bytes begin no SIP message at all ........")

/* Says which of the steps failed; NULL: all went well. */
static const char *try_all(struct xdp *x, const struct trial *t)
{
    struct frame sound, junk, rtp;
    struct prefix source = {t->source, t->source.family == ADDR_V4 ? 32 : 64};
    uint32_t many = t->tcp ? 2 * XDP_LANE_TCP_BURST : 1; /* past the slow lane */
    frame_make(t, t->sip, t->tcp, t->tcp ? STR_NONE : SOUND, &sound);
    frame_make(t, t->sip, false, JUNK, &junk);
    frame_make(t, t->plan->media_min, false, JUNK, &rtp);
    if (!does(x, &sound, 1, false))
        return "a sound packet did not pass";
    struct now now = {{1}, {1}};
    if (xdp_ban(x, &source, DUR_US(0), now.mono) != OK || !does(x, &sound, many, true))
        return "a banned source was not dropped";
    xdp_release(x, &source);
    if (!does(x, &sound, 1, false))
        return "a released source did not pass";
    if (!t->tcp && !does(x, &junk, 1, true))
        return "bytes that are not SIP were not dropped";
    if (t->plan->media_min && !t->plan->sip[t->plan->media_min] && !does(x, &rtp, 1, true))
        return "a media port without a session was open";
    return NULL;
}

static const char *self_test(const struct monitor *m, struct xdp *x, const struct shield_plan *plan)
{
    const struct policy *p = &m->conf->policy;
    struct trial t = {.plan = plan};
    uint64_t keep[XDP_COUNTS];
    if (p->n_listeners == 0)
        return "there is no listener";
    for (uint32_t i = p->n_listeners; i-- > 0;) { /* UDP if there is one, it shows more */
        const struct policy_listener *l = &p->listeners[i];
        if (i + 1u < p->n_listeners && l->proto != PROTO_UDP && t.sip)
            continue;
        t.dest = l->bind;
        t.sip = l->bind.port;
        t.tcp = l->proto != PROTO_UDP;
        if (!t.tcp)
            break;
    }
    t.source.family = t.dest.family; /* 240.0.0.1, 100::1: reserved, discarded */
    t.source.ip[0] = t.dest.family == ADDR_V4 ? 240 : 1;
    t.source.ip[t.dest.family == ADDR_V4 ? 3 : 15] = 1;
    if (addr_any(&t.dest))
        t.dest.ip[0] = 10;
    xdp_counts(x, keep);
    const char *bad = try_all(x, &t);
    xdp_counts_set(x, keep);
    return bad;
}

/* -- configuration -- */

static enum err configure(struct xdp *x, const struct shield_plan *p, bool dry)
{
    struct xdp_cfg c = {
        .flags = (p->any_local ? XDP_ANY_LOCAL : 0u) | (dry ? XDP_DRY : 0u),
        .rate_gap = p->rate ? UINT64_C(1000000000) / p->rate : 0,
        .rate_slack = UINT64_C(2000000000),
        .sip_min = XDP_HEAD,
        .sip_max = p->sip_max ? p->sip_max : 65535,
        .media_min = p->media_min,
        .media_max = p->media_max,
    };
    static const char *const numbers[] = {"112", "911"}; /* as gate_dials_emergency */
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        memcpy(&c.emergency[i], numbers[i], MIN(strlen(numbers[i]), 8u));
    enum err e = rand_bytes(&c.seed, sizeof c.seed);
    if (e == OK)
        e = xdp_set_local(x, p->local, p->n_locals);
    if (e == OK)
        e = xdp_set_exempt(x, p->exempt, p->n_exempt);
    if (e == OK)
        e = xdp_set_sip(x, p->sip);
    return e == OK ? xdp_set(x, &c) : e;
}

static void pin_path(const struct monitor *m, struct shield *s)
{
    static const struct sipkey key = {0x72696e6777616c6c, 0};
    char full[4096];
    const char *path = realpath(m->state, full) ? full : m->state;
    (void)snprintf(s->pins, sizeof s->pins, "/sys/fs/bpf/ringwall-%016llx",
                   (unsigned long long)siphash(&key, str_c(path)));
}

/* All interfaces that it can be attached to; none: false. */
static bool attach_all(struct monitor *m, struct shield *s, struct out *why)
{
    unsigned n = 0, native = 0;
    for (unsigned i = 0; i < s->plan.n_interfaces; i++) {
        const char *name = s->plan.interface[i];
        char text[160];
        struct out said = out_of(text, sizeof text);
        enum err e = xdp_attach(s->xdp, name, &s->native[i], &said);
        bool ok = e == OK && xdp_attached(s->xdp, name);
        if (said.n || !ok)
            monitor_log(m, SEV_WARN, "shield: %.*s", (int)said.n, text);
        if (!ok && !why->n)
            out_put(why, said.n ? out_str(&said) : STR("the kernel does not show it attached"));
        n += ok;
        native += ok && s->native[i];
        if (!ok) { /* not shown as shielded */
            s->plan.n_interfaces--;
            memmove(s->plan.interface[i], s->plan.interface[i + 1],
                    (s->plan.n_interfaces - i) * sizeof s->plan.interface[0]);
            i--;
        }
    }
    xdp_detach_others(s->xdp);
    s->force = native && native == n ? FORCE_XDP_NATIVE : FORCE_XDP_GENERIC;
    return n > 0;
}

static void give_ports(struct monitor *m, const struct shield *s)
{
    m->ports.fd = fcntl(xdp_media_fd(s->xdp), F_DUPFD_CLOEXEC, 0);
    m->ports.n = m->ports.fd >= 0 ? 65536 : 0;
}

bool shield_xdp_open(struct monitor *m, struct shield *s, struct out *why)
{
    struct xdp_opts o = {.pins = s->pins, .bans = 0};
    const char *bad = NULL;
    pin_path(m, s);
    if (xdp_open(&o, &s->xdp, why) != OK) {
        s->xdp = NULL;
        return false;
    }
    s->taken_over = xdp_taken_over(s->xdp);
    s->pinned = xdp_pinned(s->xdp);
    xdp_media_clear(s->xdp);
    if (configure(s->xdp, &s->plan, false) != OK)
        bad = "its tables cannot be written";
    if (!bad)
        bad = self_test(m, s->xdp, &s->plan);
    if (!bad && s->plan.dry && configure(s->xdp, &s->plan, true) != OK)
        bad = "its tables cannot be written";
    if (bad)
        out_fmt(why, "self-test: %s", bad);
    if (bad || !attach_all(m, s, why)) {
        xdp_close(s->xdp, true);
        s->xdp = NULL;
        s->force = FORCE_PROCESS;
        s->pinned = s->taken_over = false;
        shield_plan(m, &s->plan); /* with all of its interfaces, for the next choice */
        return false;
    }
    (void)snprintf(s->tested, sizeof s->tested, "passed: drops a banned source, junk%s",
                   s->plan.media_min ? " and media without a session" : "");
    give_ports(m, s);
    return true;
}

void shield_xdp_policy(struct monitor *m, struct shield *s, const struct shield_plan *old)
{
    char text[200];
    struct out why = out_of(text, sizeof text);
    if (configure(s->xdp, &s->plan, s->plan.dry) != OK)
        monitor_log(m, SEV_ALERT, "shield: the kernel does not take the new configuration");
    for (unsigned i = 0; i < old->n_interfaces; i++) {
        bool stays = false;
        for (unsigned k = 0; k < s->plan.n_interfaces; k++)
            stays = stays || strcmp(old->interface[i], s->plan.interface[k]) == 0;
        if (!stays)
            xdp_detach(s->xdp, old->interface[i]);
    }
    if (!attach_all(m, s, &why))
        monitor_log(m, SEV_ALERT, "shield: on no interface now: %.*s", (int)why.n, text);
}

void shield_xdp_exempt(struct monitor *m, struct shield *s)
{
    if (xdp_set_exempt(s->xdp, s->plan.exempt, s->plan.n_exempt) != OK)
        monitor_log(m, SEV_WARN, "shield: the kernel does not take all that are exempt");
}

void shield_xdp_do(struct monitor *m, struct shield *s, const struct shield_job *j)
{
    int64_t left = j->until.us ? MAX(j->until.us - m->loop.now.wall.us, 1) : 0;
    if (!j->add)
        xdp_release(s->xdp, &j->net);
    else if (xdp_ban(s->xdp, &j->net, DUR_US(left), m->loop.now.mono) != OK)
        s->refused++;
}

void shield_xdp_turn(struct monitor *m, struct shield *s)
{
    for (unsigned k = 0; k < SHIELD_BATCH && s->n; k++) {
        shield_xdp_do(m, s, &s->job[s->at]);
        s->at = (s->at + 1) % s->cap;
        s->n--;
    }
    s->at_once = 0;
    if (instant_sub(m->loop.now.mono, s->counted).us >= 1000000) {
        xdp_counts(s->xdp, s->count);
        s->reads++;
        s->counted = m->loop.now.mono;
    }
    if (!s->swept && s->n == 0 && instant_sub(m->loop.now.mono, s->opened).us >= SHIELD_SETTLED.us)
        s->swept = xdp_sweep(s->xdp, SHIELD_BATCH);
}
