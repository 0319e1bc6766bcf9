#include "io/file.h"
#include "ipc/attach.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEND_WAIT_MS 1000

static enum err send_waiting(struct child *c, enum msg_type t, struct str head, struct str tail,
                             int fd)
{
    enum err e = channel_send2(&c->ch, t, head, tail, fd);
    if (e != ERR_AGAIN)
        return e;
    struct pollfd p = {c->ch.fd, POLLOUT, 0};
    (void)poll(&p, 1, SEND_WAIT_MS);
    return channel_send2(&c->ch, t, head, tail, fd);
}

static struct str bytes_of(const void *p, size_t n)
{
    return str_of(p, n);
}

/* -- life -- */

static enum err setup_check(const struct child *c, const struct msg_setup *s)
{
    bool ok = s->role == c->ch.role && s->engines >= 1 && s->engines <= IPC_ENGINES_MAX &&
              s->engine < s->engines && s->media_min <= s->media_max;
    return ok ? OK : ERR_RANGE;
}

static enum err setup(struct child *c)
{
    bool told = false;
    for (;;) {
        enum err e = channel_recv(&c->ch, &c->msg, false);
        if (e != OK)
            return e;
        if (c->msg.type == MSG_SETUP && !told) {
            c->setup = c->msg.u.setup;
            mem_wipe(&c->msg.u.setup, sizeof c->msg.u.setup);
            e = setup_check(c, &c->setup);
            told = true;
        } else if (c->msg.type == MSG_ATTACH && told) {
            e = attach_take(c);
        } else if (c->msg.type == MSG_SETUP_DONE && told) {
            return c->stats && c->wake >= 0 ? OK : ERR_STATE;
        } else {
            e = c->msg.type == MSG_STOP ? ERR_CLOSED : ERR_STATE;
        }
        if (e != OK)
            return e;
    }
}

enum err child_start(struct child *c, enum role role, const char *folder)
{
    memset(c, 0, sizeof *c);
    channel_init(&c->ch, SANDBOX_CHANNEL_FD, role, false);
    c->wake = -1;
    for (size_t r = 0; r < ROLE_COUNT; r++)
        for (size_t i = 0; i < IPC_ENGINES_MAX; i++)
            c->wake_of[r][i] = -1;
    for (size_t i = 0; i < CHILD_LISTENERS; i++)
        c->listener[i] = -1;
    for (size_t i = 0; i < ARRAY_LEN(c->feed); i++)
        c->feed[i] = -1;
    const char *why = "";
    enum err e = fcntl(SANDBOX_CHANNEL_FD, F_SETFD, FD_CLOEXEC) == 0 ? OK : ERR_SYSTEM;
    if (e != OK) {
        (void)fprintf(stderr, "%s: has no channel: it is started by `ringwall run`, not by hand\n",
                      role_program(role));
        return e;
    }
    e = sandbox_enter(role, folder, &c->report, &why);
    if (e != OK) {
        (void)fprintf(stderr, "%s: not safe to run: %s: %s\n", role_program(role), why,
                      strerror(errno));
        return e;
    }
    struct msg_locked locked = {c->report, (int32_t)getpid()};
    e = channel_send(&c->ch, MSG_LOCKED, bytes_of(&locked, sizeof locked), -1);
    if (e == OK)
        e = setup(c);
    if (e == OK && fcntl(c->ch.fd, F_SETFL, O_NONBLOCK) != 0)
        e = ERR_SYSTEM;
    if (e != OK && e != ERR_CLOSED)
        (void)fprintf(stderr, "%s: set-up failed: %s\n", role_program(role), err_name(e));
    return e;
}

enum err child_running(struct child *c)
{
    return send_waiting(c, MSG_RUNNING, STR_NONE, STR_NONE, -1);
}

/* 0: answered inside, go on. */
static int event_of(enum msg_type t)
{
    switch (t) {
    case MSG_ATTACH:
        return CHILD_ATTACHED;
    case MSG_QUERY:
        return CHILD_QUERY;
    case MSG_CONNECTED:
        return CHILD_CONNECTED;
    case MSG_FACT:
        return CHILD_FACT;
    case MSG_NOTIFY:
        return CHILD_NOTIFY;
    case MSG_CERT_GET:
        return CHILD_CERT_GET;
    case MSG_CERT_GOT:
        return CHILD_CERT_GOT;
    case MSG_CONSULT_GET:
        return CHILD_CONSULT_GET;
    case MSG_CONSULT_GOT:
        return CHILD_CONSULT_GOT;
    case MSG_DRAIN:
        return CHILD_DRAIN;
    case MSG_STOP:
        return CHILD_STOP;
    case MSG_NONE:
    case MSG_LOCKED:
    case MSG_RUNNING:
    case MSG_NOTE:
    case MSG_REPLY:
    case MSG_DIRECTORY:
    case MSG_CONNECT:
    case MSG_BAN:
    case MSG_BANS:
    case MSG_FEED:
    case MSG_NOTIFIED:
    case MSG_TELL:
    case MSG_CERT_ASK:
    case MSG_CERT_DONE:
    case MSG_CONSULT_ASK:
    case MSG_CONSULT_DONE:
    case MSG_DRAINED:
    case MSG_PONG:
    case MSG_SETUP:
    case MSG_SETUP_DONE:
    case MSG_PING:
    case MSG_COUNT:
    default:
        return -1;
    }
}

enum err child_next(struct child *c, enum child_event *ret_ev)
{
    msg_close(&c->msg); /* a descriptor that the owner did not take */
    for (;;) {
        enum err e = channel_recv(&c->ch, &c->msg, true);
        if (e != OK)
            return e;
        if (c->msg.type == MSG_PING) {
            struct msg_ping p = c->msg.u.ping;
            e = send_waiting(c, MSG_PONG, bytes_of(&p, sizeof p), STR_NONE, -1);
            if (e != OK)
                return e;
            continue;
        }
        int ev = event_of(c->msg.type);
        if (ev < 0)
            return ERR_STATE;
        if (c->msg.type == MSG_ATTACH)
            e = attach_take(c);
        if (e == OK && c->msg.type == MSG_CONNECTED &&
            (c->msg.u.connected.error == 0) != (c->msg.n_fds == 1)) {
            msg_close(&c->msg);
            e = ERR_SYNTAX;
        }
        if (e == OK)
            *ret_ev = (enum child_event)ev;
        return e;
    }
}

/* -- telling the monitor -- */

enum err child_reply_fd(struct child *c, uint32_t id, uint32_t code, int memfd, uint64_t bytes)
{
    struct msg_reply r = {id, code, bytes};
    return send_waiting(c, MSG_REPLY, bytes_of(&r, sizeof r), STR_NONE, memfd);
}

enum err child_reply(struct child *c, uint32_t id, uint32_t code, struct str json)
{
    if (json.n > REPLY_TEXT_MAX) {
        int fd = -1;
        enum err e = memfd_sealed("ringwall-reply", json.p, json.n, &fd);
        if (e != OK)
            return e;
        e = child_reply_fd(c, id, code, fd, json.n);
        (void)close(fd);
        return e;
    }
    struct msg_reply r = {id, code, 0};
    return send_waiting(c, MSG_REPLY, bytes_of(&r, sizeof r), json, -1);
}

void child_note(struct child *c, uint8_t severity, const char *fmt, ...)
{
    char text[NOTE_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    struct msg_note note = {severity, {0}};
    struct str s = str_of(text, MIN((size_t)n, sizeof text - 1));
    enum err e = channel_send2(&c->ch, MSG_NOTE, bytes_of(&note, sizeof note), s, -1);
    (void)e; /* a monitor that does not read loses lines, not us */
}

enum err child_connect(struct child *c, uint32_t req, uint8_t peer, const struct addr *target,
                       uint32_t generation)
{
    struct msg_connect m = {.req = req, .generation = generation, .target = *target, .peer = peer};
    return send_waiting(c, MSG_CONNECT, bytes_of(&m, sizeof m), STR_NONE, -1);
}

enum err child_directory(struct child *c, const void *blob, size_t n)
{
    int fd = -1;
    enum err e = memfd_sealed("ringwall-directory", blob, n, &fd);
    if (e != OK)
        return e;
    struct msg_blob m = {n};
    e = send_waiting(c, MSG_DIRECTORY, bytes_of(&m, sizeof m), STR_NONE, fd);
    (void)close(fd);
    return e;
}

enum err child_drained(struct child *c)
{
    return send_waiting(c, MSG_DRAINED, STR_NONE, STR_NONE, -1);
}

/* -- rings -- */

enum err child_put2(struct child_ring *r, struct str a, struct str b)
{
    if (!r->mem || !r->producer)
        return ERR_STATE;
    enum err e = ring_put2(&r->ring, a, b);
    r->put |= e == OK;
    return e;
}

enum err child_put(struct child_ring *r, const void *rec, size_t n)
{
    return child_put2(r, str_of(rec, n), STR_NONE);
}

enum err child_get(struct child_ring *r, void *ret, size_t cap, size_t *ret_n)
{
    if (!r->mem || r->producer || r->ring.dead)
        return ERR_AGAIN;
    enum err e = ring_get(&r->ring, ret, cap, ret_n);
    return e == ERR_SYNTAX ? ERR_STATE : e;
}

static void flush(struct child_ring *r)
{
    if (!r->put)
        return;
    r->put = false;
    if (!ring_want_wake(&r->ring) || *r->wake < 0)
        return;
    ssize_t n = write(*r->wake, "", 1);
    (void)n; /* a full pipe is a wake-up that was not taken yet */
}

void child_flush(struct child *c)
{
    for (size_t i = 0; i < c->setup.engines; i++) {
        flush(&c->ask[i]);
        flush(&c->answer[i]);
        flush(&c->fact[i]);
        flush(&c->restore[i]);
        flush(&c->to[i]);
    }
}

static bool reads(const struct child_ring *r)
{
    return r->mem && !r->producer && !r->ring.dead;
}

/* f for every ring that this child reads. */
static bool each_read(struct child *c, bool (*f)(struct child_ring *))
{
    for (size_t i = 0; i < c->setup.engines; i++) {
        struct child_ring *all[] = {&c->ask[i], &c->answer[i], &c->fact[i], &c->restore[i],
                                    &c->from[i]};
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            if (reads(all[k]) && !f(all[k]))
                return false;
    }
    return true;
}

static bool announce(struct child_ring *r)
{
    r->announced = ring_sleep(&r->ring);
    return r->announced;
}

bool child_sleep(struct child *c)
{
    return each_read(c, announce);
}

/* false: the announcement was taken, so somebody wrote into the pipe. */
static bool untouched(struct child_ring *r)
{
    return !r->announced || __atomic_load_n(&r->ring.sh->sleeping, __ATOMIC_ACQUIRE) != 0;
}

static bool take_back(struct child_ring *r)
{
    if (r->announced)
        ring_awake(&r->ring);
    r->announced = false;
    return true;
}

#define UNDRAINED_MAX 64u
void child_awake(struct child *c)
{
    uint8_t bytes[1024];
    bool woken = !each_read(c, untouched);
    (void)each_read(c, take_back);
    if (!woken && ++c->undrained < UNDRAINED_MAX)
        return;
    c->undrained = 0;
    while (read(c->wake, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        continue;
}
