/* The control socket (ipc/control.h): few clients, one request each, answered here or by a child.
 */
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
#define DOCUMENT_MAX      (512u << 10)
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

/* head and text now; a body in a memfd follows from the socket's events. body is taken. */
static void answer(struct monitor *m, struct client *c, uint32_t code, struct str text, int body,
                   uint64_t n_body)
{
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

static void answer_document(struct monitor *m, struct client *c,
                            void (*put)(const struct monitor *, struct out *))
{
    char *text = malloc(DOCUMENT_MAX);
    struct out o = out_of(text, text ? DOCUMENT_MAX : 0);
    if (text)
        put(m, &o);
    if (!text || o.full)
        answer_error(m, c, CONTROL_FAILED, STR("the answer does not fit into memory"));
    else
        answer(m, c, CONTROL_OK, out_str(&o), -1, 0);
    free(text);
}

/* -- commands of the monitor itself -- */

static void cmd_status(struct monitor *m, struct client *c, struct str req)
{
    (void)req;
    answer_document(m, c, status_put);
}

static void cmd_metrics(struct monitor *m, struct client *c, struct str req)
{
    (void)req;
    answer_document(m, c, metrics_put);
}

static void reload_failed_put(const struct monitor *m, struct out *o)
{
    out_ch(o, '{');
    out_json_kstr(o, STR("error"), str_c(m->reload_problem));
    out_json_ku64(o, STR("generation"), m->generation);
    if (m->errors->n) {
        OUT_LIT(o, ",\"problems\":");
        config_errors_json(o, m->errors);
    }
    out_ch(o, '}');
}

static void reloaded_put(const struct monitor *m, struct out *o)
{
    out_ch(o, '{');
    out_json_ku64(o, STR("generation"), m->generation);
    out_ch(o, '}');
}

static void cmd_reload(struct monitor *m, struct client *c, struct str req)
{
    (void)req;
    if (monitor_reload(m) == OK) {
        answer_document(m, c, reloaded_put);
        return;
    }
    char *text = malloc(DOCUMENT_MAX);
    struct out o = out_of(text, text ? DOCUMENT_MAX : 0);
    if (text)
        reload_failed_put(m, &o);
    answer(m, c, CONTROL_REFUSED, out_str(&o), -1, 0);
    free(text);
}

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

static void cmd_vault(struct monitor *m, struct client *c, struct str req)
{
    forward(m, c, req, VAULT_SLOT, VAULT_SLOT + 1);
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
    const char *name; /* with a '-' at its end: all that begin so */
    void (*run)(struct monitor *, struct client *, struct str);
} commands[] = {
    {"status", cmd_status},   {"metrics", cmd_metrics}, {"reload", cmd_reload},
    {"drain", cmd_drain},     {"stop", cmd_stop},       {"user-", cmd_vault},
    {"peer-", cmd_vault},     {"key-", cmd_vault},      {"vault-", cmd_vault},
    {"cdr", cmd_store},       {"explain", cmd_store},   {"bindings", cmd_store},
    {"events", cmd_store},    {"facts", cmd_store},     {"store-", cmd_store},
    {"calls", cmd_engines},   {"peers", cmd_engines},   {"transactions", cmd_engines},
    {"engine-", cmd_engines}, {"bans", cmd_bans},       {"bans-", cmd_bans},
    {"shield-", cmd_engines}, {"alerts", cmd_store},    {"evidence", cmd_store},
};

static void run(struct monitor *m, struct client *c, struct str req)
{
    struct str cmd = control_member(req, "cmd");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct str name = str_c(commands[i].name);
        bool family = name.p[name.n - 1] == '-';
        if (family ? str_starts(cmd, name) : str_eq(cmd, name)) {
            commands[i].run(m, c, req);
            return;
        }
    }
    answer_error(m, c, CONTROL_BAD_REQUEST, STR("no such command"));
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

/* The folder and mode of the socket keep others out; this is the second look. */
static bool may_ask(int fd)
{
    struct ucred cred;
    socklen_t n = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
        return false;
    const struct group *g = getgrnam(ADMIN_GROUP);
    if (cred.uid == 0 || cred.uid == geteuid() || (g && cred.gid == g->gr_gid))
        return true;
    gid_t groups[64];
    n = sizeof groups;
    if (!g || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) != 0)
        return false;
    for (size_t i = 0; i < n / sizeof groups[0]; i++)
        if (groups[i] == g->gr_gid)
            return true;
    return false;
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
    struct monitor *m = ctx;
    (void)events;
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer < 0)
        return;
    struct client *c = NULL;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX && !c; i++)
        c = m->client[i].fd < 0 ? &m->client[i] : NULL;
    char *in = c && may_ask(peer) ? malloc(CONTROL_REQUEST_MAX) : NULL;
    if (!in || loop_add(&m->loop, peer, EPOLLIN, on_client, m) != OK) {
        free(in);
        (void)close(peer);
        return;
    }
    *c = (struct client){
        .fd = peer, .body = -1, .in = in, .due = instant_add(m->loop.now.mono, READ_LIMIT)};
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
    if (ok && loop_add(&m->loop, m->control_fd, EPOLLIN, on_socket, m) == OK)
        return OK;
    monitor_log(m, SEV_ALERT, "control socket %s: %s", a.sun_path, strerror(errno));
    return ERR_SYSTEM;
}

void clients_turn(struct monitor *m)
{
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
