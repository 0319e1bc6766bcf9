#include "app/monitor/monitor.h"
#include "app/monitor/lists.h"
#include "app/monitor/notify.h"
#include "app/monitor/shield.h"
#include "io/clock.h"
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STOP_LIMIT DUR_S(8) /* then children are killed */
#define IMPATIENT                                                                                  \
    DUR_S(1) /* two signals nearer than this are one: a terminal and a wrapper both send it */

static void on_signal(void *ctx, int fd, uint32_t events)
{
    struct monitor *m = ctx;
    struct signalfd_siginfo s;
    (void)events;
    while (read(fd, &s, sizeof s) == sizeof s) {
        if (s.ssi_signo == SIGHUP) {
            struct text_digest of;
            struct reload_word none = {0};
            (void)monitor_reload(m, &none, &of);
            continue;
        }
        bool again = m->stopping && m->stop_due.us != INT64_MAX;
        if (again && instant_sub(m->stop_due, m->loop.now.mono).us < STOP_LIMIT.us - IMPATIENT.us)
            m->stop_due = m->loop.now.mono; /* asked twice: wait for nobody */
        if (!again)
            monitor_log(m, SEV_NOTICE, "stopping (signal %u)", (unsigned)s.ssi_signo);
        m->stopping = true;
    }
}

static enum err signals(struct monitor *m)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return ERR_SYSTEM;
    m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return m->signal_fd < 0 ? ERR_SYSTEM : loop_add(&m->loop, m->signal_fd, EPOLLIN, on_signal, m);
}

/* Engines take their descriptor limit from here. */
static void raise_files(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return;
    rlim_t had = lim.rlim_max;
    if (geteuid() == 0 && lim.rlim_max < (1u << 20)) {
        lim.rlim_cur = lim.rlim_max = 1u << 20;
        if (setrlimit(RLIMIT_NOFILE, &lim) == 0)
            return;
        lim.rlim_max = had;
    }
    lim.rlim_cur = lim.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &lim);
}

/* After the sockets are bound: what is still needed is to start children (which switch ids and drop
 * all) and to end them; and what the shield in the kernel needs, if it is in use: XDP to write its
 * maps and to follow interfaces, nf_tables to run nft, which must then inherit it. */
static void shed_caps(const struct monitor *m)
{
    if (geteuid() != 0)
        return;
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{0, 0, 0}, {0, 0, 0}};
    const uint64_t net = UINT64_C(1) << CAP_NET_ADMIN, bpf = UINT64_C(1) << CAP_BPF;
    enum force f = shield_force(m);
    bool nft = f == FORCE_NFT, xdp = f == FORCE_XDP_GENERIC || f == FORCE_XDP_NATIVE;
    uint64_t bound = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID |
                     UINT64_C(1) << CAP_SETPCAP | UINT64_C(1) << CAP_KILL |
                     UINT64_C(1) << CAP_DAC_OVERRIDE | (nft ? net : 0);
    uint64_t keep = bound | (xdp ? net | bpf : 0);
    if (syscall(SYS_capget, &h, d) != 0)
        return;
    for (size_t i = 0; i < 2; i++) {
        d[i].permitted &= (uint32_t)(keep >> 32 * i);
        d[i].effective = d[i].permitted;
        d[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &h, d) != 0)
        monitor_log(m, SEV_WARN, "capabilities of the monitor stay: %s", strerror(errno));
    for (unsigned long cap = 0; cap < 64;
         cap++) /* bounds what an exec of root gets: the children */
        if (!(bound & UINT64_C(1) << cap) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static void nothing_open(struct monitor *m)
{
    struct shared none = {-1, 0};
    m->lock_fd = m->signal_fd = m->control_fd = -1;
    m->bans_board = m->bans_ro = m->ports = m->geo = m->rules = m->rates = none;
    m->certs = m->certs_ro = m->targets = m->targets_ro = m->policy = m->directory = m->ca =
        m->key_names = none;
    for (size_t i = 0; i < CONFIG_CERTS; i++)
        m->chain[i] = none;
    for (size_t i = 0; i < IPC_ENGINES_MAX; i++) {
        m->location[i] = m->location_ro[i] = m->ask[i] = m->answer[i] = m->fact[i] = m->restore[i] =
            none;
        m->ban_hits[i] = m->ledger[i] = m->ledger_ro[i] = none;
        m->fraud[i] = m->fraud_ro[i] = none;
        for (size_t k = 0; k < IPC_ENGINES_MAX; k++)
            m->peer[i][k] = none;
        for (size_t k = 0; k < POLICY_LISTENERS; k++)
            m->listener[i][k] = -1;
    }
}

static struct dur until(struct monitor *m)
{
    struct instant due = programs_due(m), other = clients_due(m);
    if (instant_before(other, due))
        due = other;
    other = bans_due(m);
    if (instant_before(other, due))
        due = other;
    if (instant_before(m->ledger_due, due))
        due = m->ledger_due;
    if (m->stopping && instant_before(m->stop_due, due))
        due = m->stop_due;
    int64_t us = due.us == INT64_MAX ? INT64_C(1000000) : instant_sub(due, m->loop.now.mono).us;
    return DUR_US(MIN(MAX(us, 0), INT64_C(1000000)));
}

static void stop_turn(struct monitor *m)
{
    if (!m->stopping)
        return;
    if (m->stop_due.us == INT64_MAX) {
        m->stop_due = instant_add(m->loop.now.mono, STOP_LIMIT);
        monitor_fact(m, NULL, (int32_t)m->pid, 0, "stopping");
    }
    programs_stop(m);
    if (instant_before(m->loop.now.mono, m->stop_due))
        return;
    for (uint32_t i = 0; i < m->n_programs; i++)
        if (m->program[i].proc.pid)
            spawn_signal(&m->program[i].proc, SIGKILL);
    m->stop_due = instant_add(m->loop.now.mono, STOP_LIMIT);
}

static void serve(struct monitor *m)
{
    while (!(m->stopping && programs_gone(m))) {
        uint32_t calls = 0;
        if (m->failed)
            m->stopping = true;
        programs_turn(m);
        bans_turn(m);
        feeds_turn(m);
        shield_turn(m);
        ledger_turn(m);
        habits_turn(m);
        stop_turn(m);
        if (loop_turn(&m->loop, until(m), &calls) != OK) {
            m->failed = m->stopping = true;
            m->stop_due = m->loop.now.mono;
        }
        clients_turn(m);
        notify_turn(m);
    }
    for (int i = 0; i < 20; i++) { /* the last answer ({"stopping":true}) on its way */
        uint32_t calls = 0;
        bool open = false;
        for (size_t k = 0; k < CONTROL_CLIENTS_MAX; k++)
            open = open || (m->client[k].fd >= 0 && m->client[k].out);
        if (!open || loop_turn(&m->loop, DUR_MS(50), &calls) != OK)
            return;
    }
}

static enum err prepare(struct monitor *m)
{
    enum err e = boot_config(m);
    if (e != OK)
        return e;
    raise_files();
    e = loop_init(&m->loop, 0);
    if (e != OK) {
        monitor_log(m, SEV_ALERT, "event loop: %s", strerror(errno));
        return e;
    }
    m->started = m->loop.now.mono;
    m->started_wall = m->loop.now.wall;
    e = boot_all(m);
    if (e == OK) {
        geo_policy(m);
        rates_policy(m);
        e = bans_open(m);
    }
    if (e == OK)
        shield_open(m);
    if (e == OK)
        e = notify_open(m);
    if (e == OK)
        approvals_open(m);
    if (e == OK)
        e = clients_open(m);
    if (e == OK)
        e = signals(m);
    if (e == OK)
        shed_caps(m);
    return e;
}

int monitor_main(const struct monitor_cfg *cfg)
{
    struct monitor *m = calloc(1, sizeof *m);
    if (!m)
        return MONITOR_FAILED;
    m->cfg = cfg;
    m->pid = getpid();
    m->starting = true;
    m->stop_due = INSTANT_NEVER;
    m->loop.ep = -1;
    nothing_open(m);
    enum err e = prepare(m);
    if (e == OK)
        serve(m);
    ledger_keep(m); /* once more, with nobody left who writes */
    habits_keep(m);
    ledger_keep(m); /* both copies */
    int ret = e == ERR_SYNTAX ? MONITOR_CONFIG : e != OK || m->failed ? MONITOR_FAILED : MONITOR_OK;
    clients_close(m);
    notify_close(m);
    shield_close(m);
    bans_close(m);
    if (m->signal_fd >= 0)
        (void)close(m->signal_fd);
    boot_undo(m);
    if (m->loop.ep >= 0)
        loop_done(&m->loop);
    if (e == OK)
        monitor_log(m, SEV_NOTICE, "stopped");
    free(m);
    return ret;
}
