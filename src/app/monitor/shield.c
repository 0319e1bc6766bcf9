/* Enforcement in the kernel: what is in force, and what waits to be told to it. */
#include "app/monitor/shield_in.h"
#include "io/clock.h"
#include <sys/eventfd.h>
#include <unistd.h>

static const char *force_name(enum force f)
{
    static const char *const names[] = {
        [FORCE_PROCESS] = "process",
        [FORCE_NFT] = "nftables",
        [FORCE_XDP_GENERIC] = "xdp-generic",
        [FORCE_XDP_NATIVE] = "xdp-native",
    };
    return names[f];
}

static void on_wake(void *ctx, int fd, uint32_t events)
{
    (void)ctx, (void)fd, (void)events; /* the turn does it */
}

/* -- choice -- */

static void choose(struct monitor *m, struct shield *s)
{
    uint8_t want = s->choice = m->conf->policy.guard.kernel;
    struct out why = out_of(s->why, sizeof s->why - 1);
    if (want == KERNEL_NONE)
        OUT_LIT(&why, "as the configuration says: guard: kernel: none");
    else if (geteuid() != 0)
        OUT_LIT(&why, "the gateway was not started by root");
    else if (s->plan.n_interfaces == 0)
        OUT_LIT(&why, "no interface holds an address of a listener");
    else if (want == KERNEL_AUTO && s->plan.loopback_only)
        OUT_LIT(&why,
                "listeners are on loopback only: name lo in guard.interfaces to have it there");
    if (why.n)
        return;
    if (want != KERNEL_NFT && shield_xdp_open(m, s, &why))
        why.n = 0;
    if (s->force == FORCE_PROCESS) {
        if (want != KERNEL_NFT)
            monitor_log(m, SEV_NOTICE, "shield: no XDP: %.*s", (int)why.n, why.p);
        if (why.n)
            OUT_LIT(&why, "; ");
        size_t before = why.n;
        if (shield_nft_open(m, s, &why))
            why.n = before > 2 ? before - 2 : 0;
    }
    s->why[why.n] = 0;
    if (s->xdp && !s->pinned)
        (void)snprintf(s->why, sizeof s->why,
                       "not pinned, ends with this program: /sys/fs/bpf is no BPF file system that "
                       "can be written");
    else if (s->force == FORCE_XDP_GENERIC)
        (void)snprintf(s->why, sizeof s->why, "not every driver takes it natively");
    else if (s->force == FORCE_NFT && want == KERNEL_NFT)
        (void)snprintf(s->why, sizeof s->why, "as the configuration says: guard: kernel: nftables");
}

static void tell(const struct monitor *m, const struct shield *s)
{
    char list[256];
    struct out o = out_of(list, sizeof list);
    for (unsigned i = 0; i < s->plan.n_interfaces && s->force != FORCE_PROCESS; i++)
        out_fmt(&o, "%s%s", i ? ", " : " on ", s->plan.interface[i]);
    monitor_log(m, SEV_NOTICE, "shield: %s%.*s%s%s%s%s%s", force_name(s->force), (int)o.n, list,
                s->plan.dry ? ", dry run" : "", s->taken_over ? ", taken over" : "",
                *s->tested ? "; self-test " : "", s->tested, "");
    if (*s->why)
        monitor_log(m, SEV_NOTICE, "shield: %s", s->why);
}

void shield_open(struct monitor *m)
{
    struct shield *s = calloc(1, sizeof *s);
    m->shield = s;
    if (!s)
        return;
    s->nft = (struct nft_run){0, -1, -1};
    s->nft_watch = -1;
    s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (s->wake >= 0 && loop_add(&m->loop, s->wake, EPOLLIN, on_wake, m) != OK) {
        (void)close(s->wake);
        s->wake = -1;
    }
    s->opened = s->counted = m->loop.now.mono;
    shield_plan(m, &s->plan);
    choose(m, s);
    tell(m, s);
}

void shield_close(struct monitor *m)
{
    struct shield *s = m->shield;
    if (!s)
        return;
    xdp_close(s->xdp, true);
    shield_nft_close(m, s);
    if (s->wake >= 0) {
        loop_del(&m->loop, s->wake);
        (void)close(s->wake);
    }
    free(s->job);
    free(s);
    m->shield = NULL;
}

enum force shield_force(const struct monitor *m)
{
    return m->shield ? m->shield->force : FORCE_PROCESS;
}

void shield_policy(struct monitor *m)
{
    struct shield *s = m->shield;
    if (s && s->choice != m->conf->policy.guard.kernel)
        monitor_log(m, SEV_WARN, "shield: guard.kernel changes with a restart; %s stays in force",
                    force_name(s->force));
    if (!s || s->force == FORCE_PROCESS)
        return;
    struct shield_plan *old = malloc(sizeof *old);
    if (!old)
        return;
    *old = s->plan;
    shield_plan(m, &s->plan);
    if (s->xdp)
        shield_xdp_policy(m, s, old);
    else
        shield_nft_policy(m, s);
    free(old);
}

/* -- jobs -- */

static bool grow(struct shield *s)
{
    size_t cap = s->cap ? s->cap * 2 : 1024;
    struct shield_job *all = cap <= 1u << 21 ? calloc(cap, sizeof *all) : NULL;
    if (!all)
        return false;
    for (size_t i = 0; i < s->n; i++)
        all[i] = s->job[(s->at + i) % s->cap];
    free(s->job);
    s->job = all;
    s->cap = cap;
    s->at = 0;
    return true;
}

static void enqueue(struct monitor *m, const struct ban *b, bool add)
{
    struct shield *s = m->shield;
    struct shield_job j = {add, b->net, b->until};
    if (!s || s->force == FORCE_PROCESS || b->scope != BAN_SOURCE)
        return;
    if (add && b->dry)
        return;
    if (s->xdp && s->n == 0 && s->at_once++ < SHIELD_BATCH) {
        shield_xdp_do(m, s, &j);
        return;
    }
    if (s->n == s->cap && !grow(s)) {
        s->refused++;
        return;
    }
    s->job[(s->at + s->n) % s->cap] = j;
    s->n++;
}

void shield_add(struct monitor *m, const struct ban *b)
{
    enqueue(m, b, true);
}
void shield_del(struct monitor *m, const struct ban *b)
{
    enqueue(m, b, false);
}

/* The loop comes round at once while jobs are left. */
static void stay_awake(struct shield *s, bool on)
{
    uint64_t v = 1;
    if (s->wake < 0 || on == s->awake)
        return;
    ssize_t n = on ? write(s->wake, &v, sizeof v) : read(s->wake, &v, sizeof v);
    s->awake = n == (ssize_t)sizeof v ? on : s->awake;
}

/* Names of peers mean other addresses now. */
static void follow_peers(struct monitor *m, struct shield *s)
{
    uint32_t now = m->board ? __atomic_load_n(&m->board->changes, __ATOMIC_ACQUIRE) : 0;
    if (now == s->peers_seen)
        return;
    s->peers_seen = now;
    struct shield_plan *old = malloc(sizeof *old);
    if (!old)
        return;
    *old = s->plan;
    shield_plan_exempt(m, &s->plan);
    bool same = old->n_exempt == s->plan.n_exempt;
    for (unsigned i = 0; same && i < old->n_exempt; i++)
        same = old->exempt[i].bits == s->plan.exempt[i].bits &&
               addr_eq_ip(&old->exempt[i].a, &s->plan.exempt[i].a);
    free(old);
    if (same)
        return;
    s->exempt_new = true;
    if (s->xdp)
        shield_xdp_exempt(m, s);
}

void shield_turn(struct monitor *m)
{
    struct shield *s = m->shield;
    if (!s || s->force == FORCE_PROCESS)
        return;
    follow_peers(m, s);
    if (s->xdp)
        shield_xdp_turn(m, s);
    else
        shield_nft_turn(m, s);
    stay_awake(s, s->xdp && s->n > 0);
    if (s->refused && !s->told_full)
        monitor_log(m, SEV_WARN, "shield: the kernel's table of bans is full; engines go on alone");
    s->told_full = s->refused > 0;
}

uint64_t shield_hits(const struct monitor *m, const struct ban *b)
{
    const struct shield *s = m->shield;
    if (!s || b->scope != BAN_SOURCE || s->force == FORCE_PROCESS)
        return 0;
    if (s->xdp)
        return xdp_hits(s->xdp, &b->net);
    for (size_t i = 0; i < s->n_hits; i++)
        if (s->hit[i].net.bits == b->net.bits && addr_eq_ip(&s->hit[i].net.a, &b->net.a))
            return s->hit[i].n;
    return 0;
}

/* -- status -- */

static void counts_put(const struct shield *s, struct out *o)
{
    static const char *const names[XDP_COUNTS] = {
        [XDP_BANNED] = "banned",         [XDP_RATE] = "over_rate",
        [XDP_FRAGMENT] = "fragment",     [XDP_SHORT] = "too_short",
        [XDP_LONG] = "too_long",         [XDP_NOT_SIP] = "not_sip",
        [XDP_NO_SESSION] = "no_session", [XDP_NOT_RTP] = "not_rtp",
        [XDP_PASS_SIP] = "sip",          [XDP_PASS_MEDIA] = "media",
        [XDP_PASS_LANE] = "slow_lane",   [XDP_PASS_EXEMPT] = "exempt",
        [XDP_PASS_DRY] = "dry_run",
    };
    OUT_LIT(o, ",\"drops\":{");
    for (int i = 0; i < XDP_COUNTS; i++) {
        if (i == XDP_DROPS)
            OUT_LIT(o, "},\"passed\":{");
        out_json_ku64(o, str_c(names[i]), s->count[i]);
    }
    out_ch(o, '}');
}

void shield_put(const struct monitor *m, struct out *o)
{
    const struct shield *s = m->shield;
    out_json_kstr(o, STR("in_force"), str_c(force_name(shield_force(m))));
    if (!s)
        return;
    out_json_kbool(o, STR("dry_run"), s->plan.dry);
    out_json_kbool(o, STR("pinned"), s->pinned && s->xdp);
    out_json_kbool(o, STR("taken_over"), s->taken_over);
    out_json_kstr(o, STR("why"), str_c(s->why));
    out_json_kstr(o, STR("selftest"), str_c(s->tested));
    OUT_LIT(o, ",\"interfaces\":[");
    for (unsigned i = 0; i < s->plan.n_interfaces && s->force != FORCE_PROCESS; i++) {
        if (i)
            out_ch(o, ',');
        out_ch(o, '{');
        out_json_kstr(o, STR("name"), str_c(s->plan.interface[i]));
        out_json_kstr(o, STR("mode"),
                      !s->xdp        ? STR("nftables")
                      : s->native[i] ? STR("native")
                                     : STR("generic"));
        out_ch(o, '}');
    }
    out_ch(o, ']');
    out_json_ku64(o, STR("waiting"), s->n);
    out_json_ku64(o, STR("refused"), s->refused);
    out_json_ku64(o, STR("reads"), s->reads);
    counts_put(s, o);
}
