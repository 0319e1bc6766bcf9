#include "app/monitor/lists.h"
#include "guard/feed.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where systems keep the authorities that they trust, in one file. */
static const char *const AUTHORITIES[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
};

/* A plain file, and no waiting for one that is something else. */
static int open_plain(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        (void)close(fd);
        errno = EINVAL;
        fd = -1;
    }
    return fd;
}

static int open_named(const struct policy *p, struct span sp)
{
    char path[CONFIG_PATH] = "";
    struct str s = policy_text(p, sp);
    if (!s.n || s.n >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, s.p, s.n);
    return open_plain(path);
}

static int open_authorities(void)
{
    int fd = -1;
    for (size_t i = 0; i < ARRAY_LEN(AUTHORITIES) && fd < 0; i++)
        fd = open_plain(AUTHORITIES[i]);
    return fd >= 0 ? fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* A missing file is told once, and once when it is there again. */
static void tell(struct monitor *m, unsigned i, const struct guard_feed *f, int error)
{
    const struct policy *p = &m->conf->policy;
    struct str name = policy_text(p, f->name), file = policy_text(p, f->url.len ? f->ca : f->file);
    if (m->feed_error[i] == error)
        return;
    m->feed_error[i] = error;
    if (error)
        monitor_log(m, SEV_WARN, "feed " STR_FMT ": " STR_FMT ": %s", STR_ARG(name), STR_ARG(file),
                    strerror(error));
}

static enum err give_one(struct monitor *m, struct program *p, unsigned i)
{
    const struct policy *pol = &m->conf->policy;
    const struct guard_feed *f = &pol->guard.feeds[i];
    bool url = f->url.len > 0;
    struct msg_attach a = {.kind = ATTACH_FEED, .a = (uint8_t)i};
    int fd = url && !f->ca.len ? open_authorities() : open_named(pol, url ? f->ca : f->file);
    m->feed_due[i] = url ? INSTANT_NEVER : instant_add(m->loop.now.mono, DUR_S(f->refresh_s));
    tell(m, i, f, fd < 0 ? errno : 0);
    if (fd < 0)
        return OK; /* what it named before stays until it expires */
    enum err e = program_send(m, p, MSG_ATTACH, str_of((const char *)&a, sizeof a), STR_NONE, fd);
    (void)close(fd);
    return e;
}

enum err feeds_give(struct monitor *m, struct program *p)
{
    enum err e = OK;
    for (unsigned i = 0; i < m->conf->policy.guard.n_feeds && e == OK; i++)
        e = give_one(m, p, i);
    return e;
}

void feeds_policy_changed(struct monitor *m)
{
    struct program *p = &m->program[FETCH_SLOT];
    memset(m->feed_error, 0, sizeof m->feed_error);
    memset(m->feed_news, 0, sizeof m->feed_news); /* fetch tells it again */
    if ((p->state == PROGRAM_SETUP || p->state == PROGRAM_RUNNING) && feeds_give(m, p) != OK)
        return; /* it has been killed, and is given them when it starts again */
}

void feeds_turn(struct monitor *m)
{
    struct program *p = &m->program[FETCH_SLOT];
    for (unsigned i = 0; p->state == PROGRAM_RUNNING && i < m->conf->policy.guard.n_feeds; i++)
        if (!instant_before(m->loop.now.mono, m->feed_due[i]) && give_one(m, p, i) != OK)
            return;
}

bool feeds_told(struct monitor *m, struct program *p)
{
    const struct msg_feed *f = &m->msg.u.feed;
    bool has = m->msg.n_fds == 1;
    if (f->generation != m->conf->policy.generation)
        return false; /* it will be told again */
    if (f->feed >= m->conf->policy.guard.n_feeds || f->bytes % sizeof(struct prefix) ||
        f->bytes > (uint64_t)FEED_PREFIXES * sizeof(struct prefix) ||
        has != (f->error == 0 && f->bytes > 0) || !memchr(f->text, 0, sizeof f->text)) {
        program_kill(m, p, "what it says of a feed is not sound");
        return false;
    }
    struct feed_news *n = &m->feed_news[f->feed];
    n->tried = m->loop.now.wall;
    memcpy(n->text, f->text, sizeof n->text);
    if (f->error)
        return true;
    n->good = n->tried;
    n->entries = (uint32_t)(f->bytes / sizeof(struct prefix));
    n->lines = f->lines;
    n->bad = f->bad;
    return true;
}

void feeds_put(const struct monitor *m, struct out *o)
{
    const struct policy *p = &m->conf->policy;
    out_ch(o, '[');
    for (unsigned i = 0; i < p->guard.n_feeds; i++) {
        const struct guard_feed *f = &p->guard.feeds[i];
        const struct feed_news *n = &m->feed_news[i];
        bool bad = n->tried.us > n->good.us;
        out_put(o, i ? STR(",{") : STR("{"));
        out_json_kstr(o, STR("name"), policy_text(p, f->name));
        out_json_kstr(o, STR("from"), policy_text(p, f->url.len ? f->url : f->file));
        out_json_kbool(o, STR("ban"), f->ban);
        out_json_ku64(o, STR("weight"), f->ban ? 0 : f->weight);
        out_json_ku64(o, STR("entries"), n->entries);
        out_json_ku64(o, STR("lines"), n->lines);
        out_json_ku64(o, STR("bad"), n->bad);
        out_json_ki64(o, STR("good_s"), n->good.us / 1000000);
        out_json_ki64(o, STR("tried_s"), n->tried.us / 1000000);
        out_json_kstr(o, bad ? STR("error") : STR("left_out"), str_c(n->text));
        if (m->feed_error[i])
            out_json_kstr(o, STR("file_error"), str_c(strerror(m->feed_error[i])));
        out_ch(o, '}');
    }
    out_ch(o, ']');
}
