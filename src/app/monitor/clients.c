/* The control socket (ipc/control.h): few clients, one request each, answered here or by a child.
 */
#include "app/monitor/lists.h"
#include "app/monitor/notify.h"
#include "app/monitor/shield.h"
#include <errno.h>
#include <grp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ADMIN_GROUP       "ringwall-admin"
#define BANS_DOCUMENT_MAX (64u << 20)
#define READ_LIMIT        DUR_S(5)
#define ANSWER_LIMIT      DUR_S(CONTROL_TIMEOUT_S)

static void on_client(void *ctx, int fd, uint32_t events);

static void client_free(struct monitor *m, struct client *c)
{
    loop_del(&m->loop, c->fd);
    (void)close(c->fd);
    if (c->body >= 0)
        (void)close(c->body);
    if (c->in)
        mem_wipe(c->in, CONTROL_REQUEST_MAX); /* may hold a password */
    free(c->in);
    free(c->out);
    for (size_t i = 0; i < PROGRAMS_MAX; i++)
        free(c->part[i].p);
    *c = (struct client){.fd = -1, .body = -1};
}

/* -- answering -- */

static void push(struct monitor *m, struct client *c)
{
    while (c->sent < c->n_out) {
        ssize_t n = send(c->fd, c->out + c->sent, c->n_out - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            client_free(m, c);
            return;
        }
        c->sent += (size_t)n;
    }
    while (c->body_sent < c->n_body) {
        off_t at = (off_t)c->body_sent;
        ssize_t n =
            sendfile(c->fd, c->body, &at, (size_t)MIN(c->n_body - c->body_sent, UINT64_C(1) << 20));
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { /* shorter than its child said, or the client went */
            client_free(m, c);
            return;
        }
        c->body_sent += (uint64_t)n;
    }
    client_free(m, c);
}

/* The audit's line of a changing command, whoever answered it. A program may say in its answer what
 * was and what is. */
static void act_done(struct monitor *m, struct client *c, uint32_t code, struct str text)
{
    if (!c->command || !(c->command->changes || code == CONTROL_FORBIDDEN) || c->act.told)
        return;
    struct str before = control_member(text, "before"), after = control_member(text, "after");
    if (before.n)
        (void)snprintf(c->act.before, sizeof c->act.before, "%.*s", (int)MIN(before.n, 190u),
                       before.p);
    if (after.n)
        (void)snprintf(c->act.after, sizeof c->act.after, "%.*s", (int)MIN(after.n, 190u), after.p);
    c->act.told = true;
    enum reason why = code == CONTROL_FORBIDDEN                      ? REASON_admin_right
                      : code == CONTROL_WAITS                        ? REASON_admin_second
                      : strcmp(c->command->name, "break-glass") == 0 ? REASON_admin_break_glass
                                                                     : REASON_NONE;
    act_tell(m, &c->by, &c->act, c->command->name, code, why);
}

/* head and text now; a body in a memfd follows from the socket's events. body is taken. */
static void answer(struct monitor *m, struct client *c, uint32_t code, struct str text, int body,
                   uint64_t n_body)
{
    act_done(m, c, code, text);
    char head[48];
    uint64_t n = body >= 0 ? n_body : text.n;
    int len = snprintf(head, sizeof head, "%u %llu\n",
                       (unsigned)(code < 256 ? code : CONTROL_FAILED), (unsigned long long)n);
    size_t all = (size_t)len + (body >= 0 ? 0 : text.n);
    c->out = malloc(all);
    c->id = 0;
    c->body = body;
    c->n_body = body >= 0 ? n_body : 0;
    if (!c->out) {
        client_free(m, c);
        return;
    }
    memcpy(c->out, head, (size_t)len);
    if (body < 0 && text.n)
        memcpy(c->out + len, text.p, text.n);
    c->n_out = all;
    c->due = instant_add(m->loop.now.mono, ANSWER_LIMIT);
    if (loop_mod(&m->loop, c->fd, EPOLLOUT) != OK)
        client_free(m, c);
    else
        push(m, c);
}

static void answer_error(struct monitor *m, struct client *c, enum control_code code,
                         struct str why)
{
    char text[1024];
    struct out o = out_of(text, sizeof text);
    out_ch(&o, '{');
    out_json_kstr(&o, STR("error"), why);
    out_ch(&o, '}');
    answer(m, c, code, out_str(&o), -1, 0);
}

void client_answer(struct monitor *m, struct client *c, uint32_t code, struct str json)
{
    answer(m, c, code, json, -1, 0);
}

void client_sorry(struct monitor *m, struct client *c, enum control_code code, enum reason why,
                  const char *error)
{
    char text[RISKS_TEXT + 1024];
    struct out o = out_of(text, sizeof text);
    out_ch(&o, '{');
    out_json_kstr(&o, STR("error"), str_c(error));
    if (why != REASON_NONE)
        out_json_kstr(&o, STR("reason"), reason_info(why)->name);
    out_ch(&o, '}');
    answer(m, c, code, out_str(&o), -1, 0);
}

/* -- commands of the monitor itself -- */

static void cmd_bans(struct monitor *m, struct client *c, struct str req)
{
    char *text = malloc(BANS_DOCUMENT_MAX);
    struct out o = out_of(text, text ? BANS_DOCUMENT_MAX : 0);
    uint32_t code = text ? bans_command(m, req, &o) : CONTROL_FAILED;
    if (text && !o.full)
        answer(m, c, code, out_str(&o), -1, 0);
    else
        answer_error(m, c, CONTROL_FAILED, STR("the answer does not fit into memory"));
    free(text);
}

static void drain(struct monitor *m, bool off)
{
    struct msg_drain on = {!off};
    m->draining = !off;
    for (uint32_t i = 0; i < m->n_programs; i++) {
        struct program *p = &m->program[i];
        p->drained = false;
        if (p->role == ROLE_ENGINE && p->state == PROGRAM_RUNNING)
            (void)program_send(m, p, MSG_DRAIN, str_of((const char *)&on, sizeof on), STR_NONE, -1);
    }
    monitor_log(m, SEV_NOTICE, off ? "no longer draining" : "draining: no new calls");
    monitor_fact(m, NULL, 0, 0, off ? "drain off" : "draining");
    m->stop_drained = m->stop_drained && !off;
}

static void cmd_drain(struct monitor *m, struct client *c, struct str req)
{
    bool off = str_eq(control_member(req, "off"), STR("true"));
    drain(m, off);
    answer(m, c, CONTROL_OK, off ? STR("{\"draining\":false}") : STR("{\"draining\":true}"), -1, 0);
}

static void cmd_stop(struct monitor *m, struct client *c, struct str req)
{
    m->stop_drained = str_eq(control_member(req, "drain"), STR("true"));
    monitor_log(m, SEV_NOTICE,
                m->stop_drained ? "told to stop when no call is left" : "told to stop");
    if (m->stop_drained)
        drain(m, false);
    else
        m->stopping = true;
    answer(m, c, CONTROL_OK, STR("{\"stopping\":true}"), -1, 0);
}

/* -- commands of the children -- */

static void forward(struct monitor *m, struct client *c, struct str req, uint32_t from, uint32_t to)
{
    struct msg_query q = {++m->next_query ? m->next_query : ++m->next_query, 0};
    c->id = q.id;
    c->waiting = 0;
    c->due = instant_add(m->loop.now.mono, ANSWER_LIMIT);
    for (uint32_t i = from; i < to; i++) {
        struct program *p = &m->program[i];
        if (p->state == PROGRAM_RUNNING &&
            program_send(m, p, MSG_QUERY, str_of((const char *)&q, sizeof q), req, -1) == OK)
            c->waiting |= UINT64_C(1) << i;
    }
    if (!c->waiting)
        answer_error(m, c, CONTROL_UNAVAILABLE,
                     STR("the program that answers this is not running; see ringwall status"));
}

/* The reason is ours: the vault takes only members that it knows. Where it keeps who decided, that
 * is what the kernel says, and not what the request does. */
static void cmd_vault(struct monitor *m, struct client *c, struct str req)
{
    char text[CONTROL_REQUEST_MAX], named[CONTROL_REQUEST_MAX];
    struct out o = out_of(text, sizeof text), by = out_of(named, sizeof named);
    struct str name = control_member(req, "cmd");
    bool sound = control_without(req, "reason", &o);
    if (sound && (str_starts(name, STR("device-")) || str_starts(name, STR("country-")))) {
        sound = control_without(out_str(&o), "by", &by);
        by.n--; /* the brace */
        out_json_kstr(&by, STR("by"), str_c(c->by.name));
        out_ch(&by, '}');
        sound = sound && !by.full;
        o = by;
    }
    if (sound)
        forward(m, c, out_str(&o), VAULT_SLOT, VAULT_SLOT + 1);
    else
        answer_error(m, c, CONTROL_BAD_REQUEST, STR("the request is too long"));
    mem_wipe(text, sizeof text); /* may hold a password */
    mem_wipe(named, sizeof named);
}

static void cmd_store(struct monitor *m, struct client *c, struct str req)
{
    forward(m, c, req, STORE_SLOT, STORE_SLOT + 1);
}

static void cmd_engines(struct monitor *m, struct client *c, struct str req)
{
    struct str one = control_member(req, "engine");
    uint32_t e = 0;
    if (!one.p)
        forward(m, c, req, ENGINE_SLOT(0), m->n_programs);
    else if (str_u32(one, m->n_engines - 1, &e) == OK)
        forward(m, c, req, ENGINE_SLOT(e), ENGINE_SLOT(e) + 1);
    else
        answer_error(m, c, CONTROL_NOT_FOUND, STR("no such engine"));
}

static const struct command {
    const char *name;
    void (*run)(struct monitor *, struct client *, struct str);
} commands[] = {
    /* those of the monitor itself; rights.c has all */
    {"status", status_command},
    {"metrics", metrics_command},
    {"reload", approve_reload},
    {"drain", cmd_drain},
    {"stop", cmd_stop},
    {"bans", cmd_bans},
    {"bans-show", cmd_bans},
    {"bans-add", cmd_bans},
    {"bans-release", cmd_bans},
    {"approvals", approve_list},
    {"approvals-approve", approve_second},
    {"approvals-deny", approve_deny},
    {"break-glass", approve_glass},
    {"notify", notify_command},
    {"notify-test", notify_test_command},
    {"fraud-accept", ledger_accept},
    {"fraud-top", fraud_top},
};

void client_run(struct monitor *m, struct client *c, const struct admin_command *k, struct str req)
{
    switch ((enum admin_to)k->to) {
    case TO_VAULT:
        cmd_vault(m, c, req);
        return;
    case TO_STORE:
        cmd_store(m, c, req);
        return;
    case TO_ENGINES:
        cmd_engines(m, c, req);
        return;
    case TO_MONITOR:
        break;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, k->name) == 0) {
            commands[i].run(m, c, req);
            return;
        }
    answer_error(m, c, CONTROL_BAD_REQUEST, STR("no such command"));
}

/* The one place where a request meets the asker's role. */
static void run(struct monitor *m, struct client *c, struct str req)
{
    struct str name = control_member(req, "cmd");
    const struct admin_command *k = control_sound(req) ? admin_command(name) : NULL;
    if (!k) {
        answer_error(m, c, CONTROL_BAD_REQUEST,
                     control_sound(req) ? STR("no such command")
                                        : STR("the request is not one plain object"));
        return;
    }
    c->command = k;
    act_begin(c, req);
    if (!admin_may(c->by.role, k->right)) {
        char with[128], text[256];
        admin_roles_with(k->right, with, sizeof with);
        (void)snprintf(text, sizeof text, "%s is %s and may not \"%.*s\"; %s may", c->by.name,
                       admin_role_name(c->by.role), (int)MIN(name.n, 40u), name.p, with);
        client_sorry(m, c, CONTROL_FORBIDDEN, REASON_admin_right, text);
        return;
    }
    if (approval_gate(m, c, req))
        client_run(m, c, k, req);
}

/* -- replies -- */

static struct client *by_query(struct monitor *m, uint32_t id)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (m->client[i].fd >= 0 && m->client[i].id == id && id != 0)
            return &m->client[i];
    return NULL;
}

/* All engines have answered or are gone: one document of their documents. */
static void join(struct monitor *m, struct client *c)
{
    size_t n = 64;
    for (uint32_t i = ENGINE_SLOT(0); i < m->n_programs; i++)
        n += c->part[i].n + 8;
    char *text = malloc(n);
    struct out o = out_of(text, text ? n : 0);
    OUT_LIT(&o, "{\"engines\":[");
    for (uint32_t i = ENGINE_SLOT(0); i < m->n_programs; i++) {
        if (i > ENGINE_SLOT(0))
            out_ch(&o, ',');
        out_put(&o, c->part[i].p ? str_of(c->part[i].p, c->part[i].n) : STR("null"));
    }
    OUT_LIT(&o, "]}");
    if (text && !o.full)
        answer(m, c, CONTROL_OK, out_str(&o), -1, 0);
    else
        answer_error(m, c, CONTROL_FAILED, STR("the answer does not fit into memory"));
    free(text);
}

static void keep_part(struct client *c, uint32_t slot, const struct msg *reply)
{
    struct str text = msg_text(reply, sizeof(struct msg_reply));
    uint64_t n = reply->n_fds ? reply->u.reply.blob_bytes : text.n;
    char *p = n <= PART_MAX ? malloc((size_t)n + 1) : NULL;
    if (!p)
        return;
    if (!reply->n_fds) {
        memcpy(p, text.p, text.n);
    } else {
        uint64_t got = 0;
        ssize_t more = 1;
        while (got < n && more > 0) {
            more = pread(reply->fds[0], p + got, (size_t)(n - got), (off_t)got);
            got += more > 0 ? (uint64_t)more : 0;
        }
        n = got == n ? n : 0;
    }
    if (n == 0) {
        free(p);
        return;
    }
    c->part[slot].p = p;
    c->part[slot].n = (size_t)n;
}

void clients_reply(struct monitor *m, uint32_t slot, struct msg *reply)
{
    struct client *c = by_query(m, reply->u.reply.id);
    if (slot == VAULT_SLOT && notify_secret(m, reply))
        return;
    if (reply->n_fds && reply->u.reply.blob_bytes > REPLY_BLOB_MAX) {
        program_kill(m, &m->program[slot], "its reply is too long");
        return;
    }
    if (!c || !(c->waiting & UINT64_C(1) << slot))
        return; /* the client has gone, or time was up */
    c->waiting &= ~(UINT64_C(1) << slot);
    if (m->program[slot].role == ROLE_ENGINE) {
        keep_part(c, slot, reply);
        if (!c->waiting)
            join(m, c);
        return;
    }
    int body = reply->n_fds ? reply->fds[0] : -1;
    if (reply->n_fds)
        reply->fds[0] = -1;
    answer(m, c, reply->u.reply.code, msg_text(reply, sizeof(struct msg_reply)), body,
           reply->u.reply.blob_bytes);
}

void clients_lost(struct monitor *m, uint32_t slot)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *c = &m->client[i];
        if (c->fd < 0 || !(c->waiting & UINT64_C(1) << slot))
            continue;
        c->waiting &= ~(UINT64_C(1) << slot);
        if (m->program[slot].role != ROLE_ENGINE)
            answer_error(m, c, CONTROL_UNAVAILABLE,
                         STR("the program that answers this died meanwhile"));
        else if (!c->waiting)
            join(m, c);
    }
}

/* -- the socket -- */

static void read_request(struct monitor *m, struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->n_in, CONTROL_REQUEST_MAX - c->n_in, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_free(m, c);
        return;
    }
    c->n_in += (size_t)n;
    size_t line = str_find(str_of(c->in, c->n_in), '\n');
    if (line == c->n_in) {
        if (c->n_in == CONTROL_REQUEST_MAX)
            answer_error(m, c, CONTROL_BAD_REQUEST, STR("request is too long"));
        return;
    }
    c->asked = true;
    if (loop_mod(&m->loop, c->fd, EPOLLRDHUP) != OK)
        client_free(m, c);
    else
        run(m, c, str_of(c->in, line));
}

static void on_client(void *ctx, int fd, uint32_t events)
{
    struct monitor *m = ctx;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *c = &m->client[i];
        if (c->fd != fd)
            continue;
        if (c->out)
            push(m, c);
        else if (!c->asked && (events & EPOLLIN))
            read_request(m, c);
        else if (events & (EPOLLHUP | EPOLLERR))
            client_free(m, c);
        else if (events & EPOLLRDHUP && loop_mod(&m->loop, fd, 0) != OK)
            client_free(m, c); /* half closed: it still reads; else stop hearing of it */
        return;
    }
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
    struct monitor *m = ctx;
    (void)events;
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer < 0)
        return;
    struct client *c = NULL;
    struct asker by;
    if (!asker_of(m, peer, &by) || by.role == ADMIN_NONE) {
        asker_turn_away(m, peer, &by);
        return;
    }
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX && !c; i++)
        c = m->client[i].fd < 0 ? &m->client[i] : NULL;
    char *in = c ? malloc(CONTROL_REQUEST_MAX) : NULL;
    if (!in || loop_add(&m->loop, peer, EPOLLIN, on_client, m) != OK) {
        free(in);
        (void)close(peer);
        return;
    }
    *c = (struct client){.fd = peer,
                         .by = by,
                         .body = -1,
                         .in = in,
                         .due = instant_add(m->loop.now.mono, READ_LIMIT)};
}

/* Where the file names who may ask, everybody may knock: the kernel says who it is. Else the mode
 * of the socket keeps others out, and this program looks again. */
void clients_policy(struct monitor *m)
{
    char path[CONFIG_PATH + 32];
    (void)snprintf(path, sizeof path, "%s/run/control.sock", m->state);
    if (m->control_fd >= 0 && chmod(path, m->conf->admins.said ? 0666 : 0660) != 0)
        monitor_log(m, SEV_WARN, "mode of %s: %s", path, strerror(errno));
}

enum err clients_open(struct monitor *m)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof a.sun_path, "%s/run/control.sock", m->state);
    if (n < 0 || (size_t)n >= sizeof a.sun_path) {
        monitor_log(m, SEV_ALERT,
                    "path of the state folder %s is too long for a socket (%zu characters at most)",
                    m->state, sizeof a.sun_path - sizeof "/run/control.sock");
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        m->client[i] = (struct client){.fd = -1, .body = -1};
    (void)unlink(a.sun_path); /* ours by the lock; left by one that was killed */
    m->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t old = umask(0117);
    bool ok = m->control_fd >= 0 && bind(m->control_fd, (const struct sockaddr *)&a, sizeof a) == 0;
    (void)umask(old);
    const struct group *g = getgrnam(ADMIN_GROUP);
    if (ok && g && geteuid() == 0)
        ok = lchown(a.sun_path, 0, g->gr_gid) == 0;
    ok = ok && listen(m->control_fd, 16) == 0;
    clients_policy(m);
    if (ok && loop_add(&m->loop, m->control_fd, EPOLLIN, on_socket, m) == OK)
        return OK;
    monitor_log(m, SEV_ALERT, "control socket %s: %s", a.sun_path, strerror(errno));
    return ERR_SYSTEM;
}

void clients_turn(struct monitor *m)
{
    approvals_turn(m);
    if (m->stop_drained && !m->stopping && status_drained(m))
        m->stopping = true;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *c = &m->client[i];
        if (c->fd < 0 || instant_before(m->loop.now.mono, c->due))
            continue;
        if (c->id && !c->out)
            answer_error(m, c, CONTROL_UNAVAILABLE, STR("no answer in time; see ringwall status"));
        else
            client_free(m, c);
    }
}

struct instant clients_due(const struct monitor *m)
{
    struct instant first = INSTANT_NEVER;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (m->client[i].fd >= 0 && instant_before(m->client[i].due, first))
            first = m->client[i].due;
    return first;
}

void clients_close(struct monitor *m)
{
    if (m->control_fd < 0)
        return;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (m->client[i].fd >= 0)
            client_free(m, &m->client[i]);
    loop_del(&m->loop, m->control_fd);
    (void)close(m->control_fd);
    m->control_fd = -1;
    char path[CONFIG_PATH + 32];
    (void)snprintf(path, sizeof path, "%s/run/control.sock", m->state);
    (void)unlink(path);
}
