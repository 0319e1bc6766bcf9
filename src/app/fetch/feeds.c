#include "app/fetch/feeds.h"
#include "io/file.h"
#include <errno.h>
#include <unistd.h>

void feeds_init(struct feeds *f, feeds_get_fn *get, feeds_tell_fn *tell, feeds_note_fn *note,
                void *ctx)
{
    memset(f, 0, offsetof(struct feeds, room));
    f->get = get;
    f->tell = tell;
    f->note = note;
    f->ctx = ctx;
    f->asked = -1;
    for (unsigned i = 0; i < GUARD_FEEDS; i++)
        f->v[i].good = -1;
}

static void forget(struct feed_state *s)
{
    if (s->good >= 0)
        (void)close(s->good);
    free(s->ca);
    memset(s, 0, sizeof *s);
    s->good = -1;
}

void feeds_done(struct feeds *f)
{
    for (unsigned i = 0; i < GUARD_FEEDS; i++)
        forget(&f->v[i]);
}

static void note(struct feeds *f, uint8_t severity, const char *fmt, ...) PRINTF(3, 4);
static void note(struct feeds *f, uint8_t severity, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    f->note(f->ctx, severity, text);
}

/* -- which feeds -- */

static void identity(const struct policy *p, const struct guard_feed *g, struct feed_state *s)
{
    struct str from = policy_text(p, g->url.len ? g->url : g->file), name = policy_text(p, g->name);
    memset(s, 0, sizeof *s);
    memcpy(s->name, name.p, MIN(name.n, sizeof s->name - 1));
    memcpy(s->from, from.p, MIN(from.n, sizeof s->from - 1));
    s->json = g->json;
    s->good = -1;
    s->used = true;
}

static bool same(const struct feed_state *a, const struct feed_state *b)
{
    return a->used && b->used && a->json == b->json && strcmp(a->name, b->name) == 0 &&
           strcmp(a->from, b->from) == 0;
}

static void tell_last(struct feeds *f, unsigned i)
{
    struct feed_state *s = &f->v[i];
    s->last.feed = (uint8_t)i;
    s->last.generation = f->policy->generation;
    f->tell(f->ctx, &s->last, s->good);
}

void feeds_policy(struct feeds *f, const struct policy *p, struct instant now)
{
    struct feed_state old[GUARD_FEEDS];
    memcpy(old, f->v, sizeof old);
    f->policy = p;
    f->moved = f->asked >= 0;
    for (unsigned i = 0; i < GUARD_FEEDS; i++) {
        struct feed_state *s = &f->v[i];
        memset(s, 0, sizeof *s);
        s->good = -1;
        if (i >= p->guard.n_feeds)
            continue;
        identity(p, &p->guard.feeds[i], s);
        s->due = now;
        for (unsigned k = 0; k < GUARD_FEEDS; k++)
            if (same(&old[k], s)) {
                *s = old[k];
                free(s->ca); /* another may be meant */
                s->ca = NULL;
                s->n_ca = 0;
                memset(&old[k], 0, sizeof old[k]);
                old[k].good = -1;
            }
        if (s->has)
            tell_last(f, i);
    }
    for (unsigned k = 0; k < GUARD_FEEDS; k++)
        forget(&old[k]);
}

/* -- what a text names -- */

static struct prefix whole(const struct addr *a)
{
    return (struct prefix){*a, a->family == ADDR_V4 ? 32 : 128};
}

/* Ours, our peers', and what the operator has exempted: nobody else's list says a word of them. */
static bool ours(const struct policy *p, const struct prefix *x)
{
    const struct guard_policy *g = &p->guard;
    for (unsigned i = 0; i < g->n_exempt; i++)
        if (feed_overlap(&g->exempt[i], x))
            return true;
    for (unsigned i = 0; i < p->n_listeners; i++) {
        struct prefix b = whole(&p->listeners[i].bind), a = whole(&p->listeners[i].advertise);
        if ((!addr_any(&b.a) && feed_overlap(&b, x)) || feed_overlap(&a, x))
            return true;
    }
    for (unsigned i = 0; i < p->n_peers; i++)
        for (unsigned k = 0; k < p->peers[i].n_targets; k++) {
            struct prefix t = whole(&p->peers[i].targets[k]);
            if (feed_overlap(&t, x))
                return true;
        }
    return false;
}

static void leave_out_ours(const struct policy *p, struct feed_list *l)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (ours(p, &l->v[i]))
            l->inside++;
        else
            l->v[n++] = l->v[i];
    }
    l->n = n;
}

static void failed(struct feeds *f, unsigned i, const char *why)
{
    struct feed_state *s = &f->v[i];
    struct msg_feed m = {.feed = (uint8_t)i, .generation = f->policy->generation, .error = -1};
    (void)snprintf(m.text, sizeof m.text, "%s", why);
    if (strncmp(s->told, why, sizeof s->told - 1) != 0)
        note(f, SEV_WARN, "feed %s: %s%s", s->name, why,
             s->has ? "; what it named last stays until it expires" : "");
    (void)snprintf(s->told, sizeof s->told, "%s", why);
    s->fails++;
    f->tell(f->ctx, &m, -1);
}

/* What an operator wants to know of a list that was taken. */
static void say(struct feeds *f, struct feed_state *s, const struct feed_list *l)
{
    char wide[ADDR_TEXT_MAX + 8] = "";
    bool news = !s->has || s->told[0] || s->last.bad != l->bad ||
                s->last.bytes != (uint64_t)l->n * sizeof *l->v;
    struct out o = out_of(wide, sizeof wide - 1);
    addr_put_ip(&o, &l->wide_first.a);
    out_fmt(&o, "/%u", l->wide_first.bits);
    wide[o.n] = 0;
    if (news)
        note(f, SEV_INFO,
             "feed %s names %u; %u lines, %u not understood, %u of our own side left out", s->name,
             l->n, l->lines, l->bad, l->inside);
    if (news && l->wide)
        note(f, SEV_WARN, "feed %s: %u too wide to be meant, left out; the first is %s in line %u",
             s->name, l->wide, wide, l->wide_line);
    if (news && l->lost)
        note(f, SEV_WARN, "feed %s: more than %u: the last %u are left out", s->name, FEED_PREFIXES,
             l->lost);
    s->told[0] = 0;
}

static bool taken(struct feeds *f, unsigned i, struct str text)
{
    struct feed_state *s = &f->v[i];
    struct feed_list l = {.v = f->room, .cap = FEED_PREFIXES};
    char why[WEB_WHY];
    int fd = -1;
    enum err e = feed_read(text, s->json, &l);
    if (e != OK) {
        const char *what = s->json ? "it is no JSON list of addresses; see line"
                                   : "not one line of it was understood; the first is line";
        if (e == ERR_LIMIT)
            (void)snprintf(why, sizeof why, "it is longer than %u MiB", FEED_BYTES >> 20);
        else
            (void)snprintf(why, sizeof why, "%s %u", what, l.bad_line);
        failed(f, i, why);
        return false;
    }
    leave_out_ours(f->policy, &l);
    feed_settle(&l);
    if (l.n && memfd_sealed("ringwall-feed", l.v, l.n * sizeof *l.v, &fd) != OK) {
        failed(f, i, "there is no memory for it");
        return false;
    }
    say(f, s, &l);
    if (s->good >= 0)
        (void)close(s->good);
    s->good = fd;
    s->has = true;
    s->fails = 0;
    s->last =
        (struct msg_feed){.lines = l.lines, .bad = l.bad, .bytes = (uint64_t)l.n * sizeof *l.v};
    (void)snprintf(s->last.text, sizeof s->last.text,
                   "%u too wide, %u of our own side, %u beyond %u", l.wide, l.inside, l.lost,
                   FEED_PREFIXES);
    tell_last(f, i);
    return true;
}

/* -- files -- */

static char *read_all(int fd, size_t most, size_t *ret_n)
{
    char *p = malloc(most + 1);
    size_t n = 0;
    ssize_t got = 1;
    while (p && n <= most && got > 0) {
        got = pread(fd, p + n, most + 1 - n, (off_t)n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (!p || got < 0) {
        free(p);
        return NULL;
    }
    *ret_n = n;
    return p;
}

void feeds_file(struct feeds *f, unsigned i, int fd)
{
    size_t n = 0;
    if (i >= GUARD_FEEDS || !f->v[i].used)
        return;
    struct feed_state *s = &f->v[i];
    bool url = f->policy->guard.feeds[i].url.len > 0;
    char *text = read_all(fd, url ? FEEDS_CA_MAX : FEED_BYTES, &n);
    if (!url) {
        if (text)
            (void)taken(f, i, str_of(text, n));
        else
            failed(f, i, "its file cannot be read");
        free(text);
        return;
    }
    free(s->ca);
    s->ca = text;
    s->n_ca = text && n <= FEEDS_CA_MAX ? n : 0;
}

/* -- urls -- */

static struct dur wait_of(const struct feeds *f, unsigned i)
{
    const struct feed_state *s = &f->v[i];
    uint32_t refresh = f->policy->guard.feeds[i].refresh_s;
    uint32_t retry = FEEDS_RETRY_S << MIN(s->fails ? s->fails - 1 : 0, 10u);
    return DUR_S(s->fails ? MIN(retry, refresh) : refresh);
}

void feeds_answer(struct feeds *f, const struct web_answer *a, struct instant now)
{
    int i = f->asked;
    bool moved = f->moved;
    f->asked = -1;
    f->moved = false;
    if (i < 0 || moved || !f->v[i].used)
        return;
    struct feed_state *s = &f->v[i];
    if (a->status == 304 && s->has) {
        s->fails = 0;
        s->told[0] = 0;
        tell_last(f, (unsigned)i);
    } else if (a->status == 200) {
        if (taken(f, (unsigned)i, a->body)) {
            (void)snprintf(s->etag, sizeof s->etag, "%s", a->etag);
            (void)snprintf(s->modified, sizeof s->modified, "%s", a->modified);
        }
    } else {
        s->etag[0] = s->modified[0] = 0;
        failed(f, (unsigned)i,
               a->status ? "it says that nothing changed, and we have nothing" : a->why);
    }
    s->due = instant_add(now, wait_of(f, (unsigned)i));
}

/* The monitor gives every url its authorities, or an empty file of them. */
static bool is_url(const struct feeds *f, unsigned i)
{
    return f->v[i].used && f->v[i].ca && f->policy->guard.feeds[i].url.len > 0;
}

void feeds_turn(struct feeds *f, struct instant now)
{
    if (f->asked >= 0 || !f->policy)
        return;
    int first = -1;
    for (unsigned i = 0; i < f->policy->guard.n_feeds; i++)
        if (is_url(f, i) && !instant_before(now, f->v[i].due) &&
            (first < 0 || instant_before(f->v[i].due, f->v[first].due)))
            first = (int)i;
    if (first < 0)
        return;
    const struct guard_feed *g = &f->policy->guard.feeds[first];
    struct feed_state *s = &f->v[first];
    struct web_ask ask = {.inside = g->inside, .plain = g->plain, .ca_pem = str_of(s->ca, s->n_ca)};
    memcpy(ask.url, s->from, sizeof ask.url);
    memcpy(ask.etag, s->etag, sizeof ask.etag);
    memcpy(ask.modified, s->modified, sizeof ask.modified);
    f->asked = first;
    f->moved = false;
    if (!f->get(f->ctx, &ask)) {
        f->asked = -1;
        s->due = instant_add(now, DUR_S(1));
    }
}

struct instant feeds_next(const struct feeds *f)
{
    struct instant first = INSTANT_NEVER;
    for (unsigned i = 0; f->policy && f->asked < 0 && i < f->policy->guard.n_feeds; i++)
        if (is_url(f, i) && instant_before(f->v[i].due, first))
            first = f->v[i].due;
    return first;
}
