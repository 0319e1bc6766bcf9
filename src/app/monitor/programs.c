/* The children: starting, setting up, judging what they say, restarting, stopping. */
#include "app/monitor/lists.h"
#include "app/monitor/notify.h"
#include "app/monitor/shield.h"
#include "io/clock.h"
#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define BACKOFF_FIRST   DUR_MS(50)
#define BACKOFF_LONGEST DUR_S(5)
#define HEALTHY_AFTER                                                                              \
    DUR_S(2) /* running so long, a death counts as the first again: one crash in 2 s costs less    \
                than standing still */
#define SETUP_LIMIT   DUR_S(30)
#define PING_EVERY    DUR_S(2)
#define SILENT_LIMIT  DUR_S(15)
#define SEND_WAIT_MS  250
#define START_TRIES   3u
#define DIAL_PER_S    64
#define NOTES_PER_S   50
#define DIRECTORY_MAX (256u << 20)

static struct instant now_of(const struct monitor *m)
{
    return m->loop.now.mono;
}

static void watch(void *ctx, int fd, uint32_t events);
static void ended(void *ctx, int fd, uint32_t events);

/* A callback gets the monitor; the program is the one with that descriptor. */
static struct program *by_fd(struct monitor *m, int fd)
{
    for (uint32_t i = 0; i < m->n_programs; i++)
        if (m->program[i].ch.fd == fd || m->program[i].proc.pidfd == fd)
            return &m->program[i];
    return NULL;
}

static uint32_t slot_of(const struct monitor *m, const struct program *p)
{
    return (uint32_t)(p - m->program);
}

/* What outlives the program: others keep its pipe, and what it counted must not be lost. */
static enum err make_lasting(struct program *p)
{
    int fd[2];
    if (pipe2(fd, O_NONBLOCK | O_CLOEXEC) != 0)
        return ERR_SYSTEM;
    p->wake_in = fd[0];
    p->wake_out = fd[1];
    enum err e = memfd_new("ringwall-stats", sizeof(struct stats), &p->stats_fd);
    void *view = NULL;
    if (e == OK)
        e = mem_map(p->stats_fd, sizeof(struct stats), false, false, &view);
    if (e == OK)
        p->stats = view;
    return e;
}

enum err program_init(struct monitor *m, uint32_t slot, enum role role, uint8_t engine)
{
    m->program[slot] = (struct program){.role = role,
                                        .engine = engine,
                                        .proc = {0, -1},
                                        .ch = {.fd = -1},
                                        .due = now_of(m),
                                        .backoff = BACKOFF_FIRST,

                                        .wake_in = -1,
                                        .wake_out = -1,
                                        .stats_fd = -1};
    return make_lasting(&m->program[slot]);
}

/* -- sending and killing -- */

static void drop_channel(struct monitor *m, struct program *p)
{
    if (p->ch.fd < 0)
        return;
    loop_del(&m->loop, p->ch.fd);
    (void)close(p->ch.fd);
    p->ch.fd = -1;
}

void program_kill(struct monitor *m, struct program *p, const char *why)
{
    if (p->proc.pid == 0 || p->state == PROGRAM_DOWN)
        return;
    char label[24];
    program_label(p, label);
    monitor_log(m, SEV_ALERT, "%s (pid %d) is killed: %s", label, (int)p->proc.pid, why);
    spawn_signal(&p->proc, SIGKILL);
    drop_channel(m, p);
    p->state = PROGRAM_DOWN; /* its end is noticed by ended(), which arms the restart */
    p->due = INSTANT_NEVER;
}

enum err program_send(struct monitor *m, struct program *p, enum msg_type t, struct str head,
                      struct str tail, int fd)
{
    if (p->ch.fd < 0)
        return ERR_CLOSED;
    enum err e = channel_send2(&p->ch, t, head, tail, fd);
    if (e == ERR_AGAIN) { /* a child that works empties its channel at once */
        struct pollfd w = {p->ch.fd, POLLOUT, 0};
        (void)poll(&w, 1, SEND_WAIT_MS);
        e = channel_send2(&p->ch, t, head, tail, fd);
    }
    if (e == ERR_AGAIN)
        program_kill(m, p, "it does not read its channel");
    else if (e != OK && e != ERR_CLOSED) {
        char why[96];
        (void)snprintf(why, sizeof why, "%s cannot be sent to it (%s)", msg_name(t), err_name(e));
        program_kill(m, p, why);
    }
    return e;
}

/* -- starting -- */

bool program_wanted(const struct monitor *m, const struct program *p)
{
    const struct policy *pol = &m->conf->policy;
    for (uint32_t i = 0; p->role == ROLE_FETCH && i < pol->n_peers; i++)
        if (pol->peers[i].host.len)
            return true;
    if (p->role == ROLE_FETCH &&
        (pol->guard.n_feeds || pol->stir.verify || pol->consult.url.len || notify_wanted(m->conf)))
        return true;
    return p->role != ROLE_FETCH;
}

/* The order of the first start; later everyone comes back by itself. */
static bool may_start(const struct monitor *m, const struct program *p)
{
    if (!program_wanted(m, p))
        return false;
    bool vault = m->program[VAULT_SLOT].once, store = m->program[STORE_SLOT].once;
    return p->role == ROLE_VAULT || (vault && (p->role == ROLE_STORE || store));
}

static const char *const *child_env(void)
{
    static const char *const names[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
    static char text[ARRAY_LEN(names)][512];
    static const char *env[ARRAY_LEN(names) + 1];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *v = getenv(names[i]);
        if (v && snprintf(text[n], sizeof text[n], "%s=%s", names[i], v) < (int)sizeof text[n]) {
            env[n] = text[n];
            n++;
        }
    }
    env[n] = NULL;
    return env;
}

static enum err start(struct monitor *m, struct program *p)
{
    int ours = -1, theirs = -1;
    char folder[CONFIG_PATH + 16], index[8];
    (void)snprintf(folder, sizeof folder, "%s/%s", m->state, role_name(p->role));
    (void)snprintf(index, sizeof index, "%u", (unsigned)p->engine);
    const char *argv[] = {m->program_path[p->role], p->role == ROLE_ENGINE ? index : folder, NULL,
                          NULL};
    if (p->role == ROLE_FETCH)
        argv[1] = NULL;
    if (p->role == ROLE_VAULT) { /* the same program also serves the CLI while no gateway runs */
        argv[1] = "--service";
        argv[2] = folder;
    }
    enum err e = channel_pair(&ours, &theirs);
    if (e == OK)
        e = spawn(argv, child_env(), theirs, &p->proc);
    if (theirs >= 0)
        (void)close(theirs);
    if (e != OK) {
        if (ours >= 0)
            (void)close(ours);
        return e;
    }
    channel_init(&p->ch, ours, p->role, true);
    p->state = PROGRAM_LOCKING;
    p->since = now_of(m);
    p->due = instant_add(p->since, SETUP_LIMIT);
    p->last_pid = p->proc.pid;
    p->drained = p->told_stop = false;
    memset(&p->report, 0, sizeof p->report);
    e = loop_add(&m->loop, ours, EPOLLIN, watch, m);
    if (e == OK)
        e = loop_add(&m->loop, p->proc.pidfd, EPOLLIN, ended, m);
    if (e == OK)
        e = supply_rings(m, p);
    if (e != OK)
        program_kill(m, p, "the monitor has no descriptors or memory left");
    return OK;
}

static void try_start(struct monitor *m, struct program *p)
{
    if (m->stopping || p->proc.pid != 0 || !may_start(m, p))
        return;
    enum err e = start(m, p);
    if (e == OK)
        return;
    char label[24];
    program_label(p, label);
    monitor_log(m, SEV_ALERT, "%s cannot be started (%s): %s", label, m->program_path[p->role],
                strerror(errno));
    p->due = instant_add(now_of(m), p->backoff);
    p->backoff = DUR_US(MIN(p->backoff.us * 2, BACKOFF_LONGEST.us));
    p->restarts++;
    if (!p->once && p->restarts >= START_TRIES)
        m->failed = true;
}

/* -- ending -- */

static void say_death(struct monitor *m, const struct program *p, pid_t pid, int status,
                      bool wanted)
{
    char label[24];
    program_label(p, label);
    if (status < 0)
        monitor_log(m, SEV_ALERT, "%s (pid %d) died of signal %d (%s)", label, (int)pid, -status,
                    strsignal(-status));
    else
        monitor_log(m, wanted ? SEV_INFO : SEV_ALERT, "%s (pid %d) ended with status %d", label,
                    (int)pid, status);
    monitor_fact(m, p, (int32_t)pid, status, wanted ? "stopped" : status < 0 ? "crashed" : "ended");
}

/* Records that the dead one left in rings and told nobody about. */
static void wake_others(const struct monitor *m, const struct program *dead)
{
    for (uint32_t i = 0; i < m->n_programs; i++)
        if (&m->program[i] != dead && write(m->program[i].wake_out, "", 1) < 0)
            continue; /* full: it has not taken earlier wake-ups yet */
}

static void ended(void *ctx, int fd, uint32_t events)
{
    struct monitor *m = ctx;
    struct program *p = by_fd(m, fd);
    (void)events;
    if (!p)
        return;
    pid_t pid = p->proc.pid;
    int status = 0;
    if (spawn_reap(&p->proc, &status) != OK)
        return; /* lives after all: level-triggered, we come back */
    loop_del(&m->loop, fd);
    bool wanted = (m->stopping || (p->role == ROLE_FETCH && p->told_stop)) && status == 0;
    bool healthy =
        p->state == PROGRAM_RUNNING && instant_sub(now_of(m), p->since).us >= HEALTHY_AFTER.us;
    drop_channel(m, p);
    p->state = PROGRAM_DOWN;
    p->since = now_of(m);
    p->died = true;
    p->last_status = status;
    p->backoff = healthy ? BACKOFF_FIRST : p->backoff;
    p->due = instant_add(now_of(m), p->backoff);
    p->backoff = DUR_US(MIN(p->backoff.us * 2, BACKOFF_LONGEST.us));
    if (!m->stopping && !wanted)
        p->restarts++;
    say_death(m, p, pid, status, wanted);
    wake_others(m, p);
    clients_lost(m, slot_of(m, p));
    bool needed = p->role != ROLE_FETCH || m->starting; /* else only its names are unknown */
    if (!p->once && p->restarts >= START_TRIES && !m->stopping && needed) {
        monitor_log(m, SEV_ALERT, "%s cannot be brought up; giving up", role_program(p->role));
        m->failed = true;
    }
}

/* -- what they say -- */

static void say_ready(struct monitor *m)
{
    for (uint32_t i = 0; i < m->n_programs; i++)
        if (!m->program[i].once && program_wanted(m, &m->program[i]))
            return;
    if (!m->starting)
        return;
    m->starting = false;
    monitor_log(m, SEV_INFO, "serving: %u engine%s, generation %u", (unsigned)m->n_engines,
                m->n_engines == 1 ? "" : "s", (unsigned)m->generation);
    if (m->cfg->ready_fd >= 0) {
        ssize_t n = write(m->cfg->ready_fd, "\n", 1);
        (void)n;
        (void)close(m->cfg->ready_fd);
    }
}

static void on_locked(struct monitor *m, struct program *p)
{
    if (m->msg.u.locked.report.seccomp != 1) {
        program_kill(m, p, "it says itself that it is not locked in");
        return;
    }
    p->report = m->msg.u.locked.report;
    p->state = PROGRAM_SETUP;
    if (supply_setup(m, p) != OK)
        program_kill(m, p, "it could not be set up");
}

static void on_running(struct monitor *m, struct program *p)
{
    char label[24];
    program_label(p, label);
    if (p->role == ROLE_VAULT && m->directory.fd < 0) {
        program_kill(m, p, "it gave no directory of users");
        return;
    }
    p->state = PROGRAM_RUNNING;
    p->once = true;
    p->since = p->answered = now_of(m);
    p->due = instant_add(now_of(m), PING_EVERY);
    monitor_log(m, SEV_INFO, "%s runs (pid %d%s)", label, (int)p->proc.pid,
                p->restarts ? ", restarted" : "");
    if (p->role == ROLE_STORE) {
        facts_again(m);
    }
    monitor_fact(m, p, (int32_t)p->proc.pid, 0, p->restarts ? "restarted" : "started");
    struct msg_drain on = {1};
    if (p->role == ROLE_ENGINE && m->draining)
        (void)program_send(m, p, MSG_DRAIN, str_of((const char *)&on, sizeof on), STR_NONE, -1);
    for (uint32_t i = 0; m->starting && i < m->n_programs; i++)
        m->program[i].due = m->program[i].proc.pid ? m->program[i].due : now_of(m);
    say_ready(m);
}

static void on_note(struct monitor *m, struct program *p)
{
    if (!tokens_take(&p->notes, now_of(m), NOTES_PER_S)) {
        p->notes_lost++;
        return;
    }
    if (p->notes_lost) {
        char text[64];
        int n = snprintf(text, sizeof text, "%u lines were too many and are lost",
                         (unsigned)p->notes_lost);
        monitor_log_from(m, p, SEV_ALERT, str_of(text, (size_t)n));
        p->notes_lost = 0;
    }
    uint8_t sev = m->msg.u.note.severity;
    monitor_log_from(m, p, sev <= SEV_ALERT ? (enum severity)sev : SEV_ALERT,
                     msg_text(&m->msg, sizeof(struct msg_note)));
}

static void on_directory(struct monitor *m, struct program *p)
{
    void *view = NULL;
    uint64_t n = m->msg.u.blob.bytes;
    if (n == 0 || n > DIRECTORY_MAX ||
        mem_map(m->msg.fds[0], (size_t)n, false, true, &view) != OK) {
        program_kill(m, p, "its directory is not a sealed memory");
        return;
    }
    mem_unmap(view, (size_t)n);
    shared_close(&m->directory);
    m->directory = (struct shared){m->msg.fds[0], n};
    m->msg.fds[0] = -1;
    supply_all(m, ATTACH_DIRECTORY, 0);
    struct shared ca = {-1, 0};
    if (boot_revoked(m) && boot_authorities(m, m->conf, &ca) == OK) { /* the vault revoked */
        shared_close(&m->ca);
        m->ca = ca;
        supply_all(m, ATTACH_CA, 0);
    }
}

/* What the fetch program brings, and what others want of it. */
static void on_fetch(struct monitor *m, struct program *p)
{
    if (m->msg.type == MSG_CERT_ASK)
        certs_asked(m, p);
    else if (m->msg.type == MSG_CERT_DONE)
        certs_done(m, p);
    else if (m->msg.type == MSG_CONSULT_ASK)
        consult_asked(m, p);
    else if (m->msg.type == MSG_CONSULT_DONE)
        consult_done(m, p);
    else if (m->msg.type == MSG_NOTIFIED)
        notify_told(m, p);
    else if (m->msg.type == MSG_TELL)
        notify_passed(m, p);
    else if (feeds_told(m, p))
        bans_feed(m, p);
}

static void on_reply(struct monitor *m, struct program *p)
{
    clients_reply(m, slot_of(m, p), &m->msg);
}

static void on_drained(struct monitor *m, struct program *p)
{
    (void)m;
    p->drained = true;
}

static void on_pong(struct monitor *m, struct program *p)
{
    if (m->msg.u.ping.id == p->pings)
        p->answered = now_of(m);
}

/* What a child may say; nothing else is a child's. */
static void (*const ON[MSG_COUNT])(struct monitor *m, struct program *p) = {
    [MSG_LOCKED] = on_locked,     [MSG_RUNNING] = on_running,    [MSG_NOTE] = on_note,
    [MSG_REPLY] = on_reply,       [MSG_CONNECT] = connect_for,   [MSG_DIRECTORY] = on_directory,
    [MSG_BAN] = bans_asked,       [MSG_BANS] = bans_restored,    [MSG_CERT_ASK] = on_fetch,
    [MSG_CERT_DONE] = on_fetch,   [MSG_FEED] = on_fetch,         [MSG_NOTIFIED] = on_fetch,
    [MSG_CONSULT_ASK] = on_fetch, [MSG_CONSULT_DONE] = on_fetch, [MSG_TELL] = on_fetch,
    [MSG_DRAINED] = on_drained,   [MSG_PONG] = on_pong,
};

static void on_msg(struct monitor *m, struct program *p)
{
    enum msg_type t = m->msg.type;
    if (t < MSG_COUNT && ON[t])
        ON[t](m, p);
    else
        program_kill(m, p, "it sent a message that is not a child's");
}

#define MSGS_A_TURN 64 /* so that one talkative child does not keep the others waiting */
static void watch(void *ctx, int fd, uint32_t events)
{
    struct monitor *m = ctx;
    struct program *p = by_fd(m, fd);
    (void)events;
    for (int i = 0; p && i < MSGS_A_TURN && p->ch.fd == fd; i++) {
        enum err e = channel_recv(&p->ch, &m->msg, true);
        if (e == ERR_AGAIN)
            return;
        if (e == ERR_CLOSED) { /* it ends; the pidfd tells how */
            drop_channel(m, p);
            return;
        }
        if (e != OK) {
            char why[96];
            (void)snprintf(why, sizeof why, "it broke the contract of its channel (%s)",
                           err_name(e));
            program_kill(m, p, why);
            return;
        }
        on_msg(m, p);
        msg_close(&m->msg);
    }
}

/* -- time -- */

static void ping(struct monitor *m, struct program *p)
{
    if (instant_sub(now_of(m), p->answered).us > SILENT_LIMIT.us) {
        program_kill(m, p, "it hangs");
        return;
    }
    struct msg_ping q = {++p->pings};
    p->due = instant_add(now_of(m), PING_EVERY);
    (void)program_send(m, p, MSG_PING, str_of((const char *)&q, sizeof q), STR_NONE, -1);
}

void programs_turn(struct monitor *m)
{
    facts_send(m);
    for (uint32_t i = 0; i < m->n_programs; i++) {
        struct program *p = &m->program[i];
        if (p->state == PROGRAM_RUNNING && !p->told_stop && !program_wanted(m, p)) {
            p->told_stop = true;
            (void)program_send(m, p, MSG_STOP, STR_NONE, STR_NONE, -1);
        }
        if (instant_before(now_of(m), p->due))
            continue;
        if (p->state == PROGRAM_DOWN)
            try_start(m, p);
        else if (p->state == PROGRAM_RUNNING)
            ping(m, p);
        else
            program_kill(m, p, "it was not ready in time");
    }
}

struct instant programs_due(const struct monitor *m)
{
    struct instant first = INSTANT_NEVER;
    for (uint32_t i = 0; i < m->n_programs; i++) {
        const struct program *p = &m->program[i];
        bool waits =
            p->state == PROGRAM_DOWN && (p->proc.pid != 0 || m->stopping || !may_start(m, p));
        if (!waits && instant_before(p->due, first))
            first = p->due;
    }
    return first;
}

/* Engines first, so that their last facts and questions still find the others. */
void programs_stop(struct monitor *m)
{
    bool engines_gone = true;
    for (uint32_t i = 0; i < m->n_programs; i++)
        engines_gone =
            engines_gone && (m->program[i].role != ROLE_ENGINE || m->program[i].proc.pid == 0);
    for (uint32_t i = 0; i < m->n_programs; i++) {
        struct program *p = &m->program[i];
        if (p->proc.pid == 0 || p->told_stop || (p->role != ROLE_ENGINE && !engines_gone))
            continue;
        p->told_stop = true;
        if (p->state == PROGRAM_LOCKING || p->state == PROGRAM_DOWN)
            spawn_signal(&p->proc, SIGKILL);
        else
            (void)program_send(m, p, MSG_STOP, STR_NONE, STR_NONE, -1);
    }
}

bool programs_gone(const struct monitor *m)
{
    for (uint32_t i = 0; i < m->n_programs; i++)
        if (m->program[i].proc.pid != 0)
            return false;
    return true;
}
