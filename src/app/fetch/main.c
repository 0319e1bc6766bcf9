/* ringwall-fetch: started by the monitor while something of the policy is elsewhere: peers with
 * names, feeds, signers' certificates, who is asked about calls, who is told. Looks names up and
 * writes what it finds on boards that engines read; gives the monitor what feeds name and what it
 * was answered. It keeps no secret and opens no file; what it parses comes from strangers. */
#include "app/fetch/consult.h"
#include "app/fetch/feeds.h"
#include "app/fetch/names.h"
#include "app/fetch/notify.h"
#include "app/fetch/resolver.h"
#include "app/fetch/x5u.h"
#include "io/clock.h"
#include "ipc/child.h"
#include <stdlib.h>
#include <unistd.h>

#define QUESTIONS 512u /* under way at once, late ones included */

struct question {
    struct resolver_question r; /* first */
    struct names_question n;
    enum dns_type type;
    bool used;
};
struct program {
    struct child child;
    struct names names;
    struct feeds feeds;
    struct web *web;
    struct x5u *x5u;
    struct consult *consult;
    struct notify *notify;
    struct resolver resolver;
    struct event_base *base;
    struct event *timer;
    struct question question[QUESTIONS];
    struct dns_msg msg;
    bool stop;
};
static struct program program;

/* -- the resolver -- */

static void answered(void *arg, const void *packet, size_t n, bool secure, bool bogus)
{
    struct question *q = arg;
    struct program *p = &program;
    struct locate_reply r = {bogus ? LOCATE_BOGUS : LOCATE_FAILED, secure, &p->msg};
    q->used = false;
    if (packet && !bogus) {
        if (dns_parse(packet, n, q->type, &p->msg) == OK)
            r.outcome = LOCATE_REPLY;
        else
            counters_hit(&p->child.stats->reasons, REASON_dns_malformed);
    }
    names_reply(&p->names, &q->n, &r, clock_now());
}

static bool ask(void *ctx, const struct names_question *nq, const struct dns_name *name,
                enum dns_type type)
{
    struct program *p = ctx;
    struct question *q = NULL;
    for (size_t i = 0; i < QUESTIONS && !q; i++)
        q = p->question[i].used ? NULL : &p->question[i];
    if (!q)
        return false;
    *q = (struct question){.r = {answered, q}, .n = *nq, .type = type, .used = true};
    stat_add(p->child.stats, STAT_asks, 1);
    if (resolver_ask(&p->resolver, name, type, &q->r) == OK)
        return true; /* it may be answered by now */
    q->used = false;
    return false;
}

/* Whoever calls from an address outside the zone's sources is a stranger, name or not. */
static void note_sources(struct program *p, const struct targets_row *row)
{
    const struct policy *pol = p->names.policy;
    struct locate_ask ask;
    char at[ADDR_TEXT_MAX];
    for (uint8_t i = 0; i < pol->n_peers; i++) {
        const struct policy_peer *r = &pol->peers[i];
        if (!targets_ask(pol, i, &ask) || !targets_same(&ask, &row->ask))
            continue;
        for (unsigned k = 0; k < row->n; k++) {
            struct out o = out_of(at, sizeof at);
            if (policy_zone_of(pol, r->listener, &row->entry[k].a) == r->zone)
                continue;
            addr_put(&o, &row->entry[k].a);
            child_note(&p->child, SEV_WARN,
                       "peer " STR_FMT ": " STR_FMT " lies in no source of zone " STR_FMT
                       ", so its own calls are refused",
                       STR_ARG(policy_text(pol, r->name)), STR_ARG(out_str(&o)),
                       STR_ARG(policy_text(pol, pol->zones[r->zone].name)));
        }
    }
}

static void note(void *ctx, enum severity sev, const struct targets_row *row)
{
    struct program *p = ctx;
    char text[ADDR_TEXT_MAX * LOCATE_ENTRIES + 64];
    struct out o = out_of(text, sizeof text);
    struct str host = dns_name_str(&row->ask.host);
    const struct reason_info *why = reason_info((enum reason)row->why);
    for (unsigned i = 0; i < row->n; i++) {
        if (i)
            OUT_LIT(&o, ", ");
        addr_put(&o, &row->entry[i].a);
    }
    if (row->state == TARGETS_GOOD)
        child_note(&p->child, (uint8_t)sev, STR_FMT " is " STR_FMT "%s", STR_ARG(host),
                   STR_ARG(out_str(&o)), row->secure ? " (signed)" : "");
    if (row->state == TARGETS_GOOD)
        note_sources(p, row);
    else
        child_note(&p->child, (uint8_t)sev, STR_FMT ": " STR_FMT " (" STR_FMT ")%s", STR_ARG(host),
                   STR_ARG(why->text), STR_ARG(why->name),
                   row->state == TARGETS_STALE ? "; the last answer stays in use" : "");
}

/* -- feeds -- */

static void web_said(void *ctx, const struct web_answer *a)
{
    struct program *p = ctx;
    feeds_answer(&p->feeds, a, clock_now().mono);
}

static bool web_ask(void *ctx, const struct web_ask *ask)
{
    struct program *p = ctx;
    return web_get(p->web, ask, web_said, p) == OK;
}

static enum err web_name(void *ctx, const struct dns_name *name, enum dns_type type,
                         struct resolver_question *q)
{
    struct program *p = ctx;
    stat_add(p->child.stats, STAT_asks, 1);
    return resolver_ask(&p->resolver, name, type, q);
}

static void feed_told(void *ctx, const struct msg_feed *m, int fd)
{
    struct program *p = ctx;
    enum err e = channel_send(&p->child.ch, MSG_FEED, str_of((const char *)m, sizeof *m), fd);
    (void)e; /* a monitor that does not read hears of it at the next refresh */
}

static void feed_note(void *ctx, uint8_t severity, const char *text)
{
    struct program *p = ctx;
    child_note(&p->child, severity, "%s", text);
}

/* A descriptor that the monitor gave. */
static void feed_given(struct program *p, unsigned i)
{
    int *fd = &p->child.feed[i];
    if (i >= ARRAY_LEN(p->child.feed) || *fd < 0)
        return;
    feeds_file(&p->feeds, i, *fd);
    (void)close(*fd);
    *fd = -1;
}

/* -- certificates of signers -- */

static void cert_done(void *ctx, const struct msg_cert *m)
{
    struct program *p = ctx;
    enum err e = channel_send(&p->child.ch, MSG_CERT_DONE, str_of((const char *)m, sizeof *m), -1);
    (void)e; /* the engine's time-out answers the call then */
}

static void certs_policy(struct program *p)
{
    const struct child *c = &p->child;
    x5u_policy(p->x5u, c->policy.p, str_of(c->resolver[2].p, c->resolver[2].n),
               str_of(c->resolver[3].p, c->resolver[3].n));
    consult_policy(p->consult, c->policy.p, str_of(c->resolver[4].p, c->resolver[4].n));
}

static void cert_ask(struct program *p)
{
    struct msg_cert q = p->child.msg.u.cert;
    stat_add(p->child.stats, STAT_asks, 1);
    x5u_ask(p->x5u, &q, msg_text(&p->child.msg, sizeof q), clock_now());
}

/* -- questions about calls -- */

static void consulted(void *ctx, const struct msg_consult *m)
{
    struct program *p = ctx;
    enum err e =
        channel_send(&p->child.ch, MSG_CONSULT_DONE, str_of((const char *)m, sizeof *m), -1);
    (void)e; /* the engine's time-out answers the call then */
}

static void call_ask(struct program *p)
{
    struct msg_consult q = p->child.msg.u.consult;
    stat_add(p->child.stats, STAT_asks, 1);
    consult_ask(p->consult, &q, msg_text(&p->child.msg, sizeof q), clock_now());
}

static void notified(void *ctx, const struct msg_notified *m)
{
    struct program *p = ctx;
    enum err e = channel_send(&p->child.ch, MSG_NOTIFIED, str_of((const char *)m, sizeof *m), -1);
    (void)e; /* a monitor that does not hear of it sends the message again */
}

/* -- the monitor -- */

static void take_policy(struct program *p)
{
    const struct policy *pol = p->child.policy.p;
    if (!pol || policy_valid(pol, p->child.policy.n) != OK) {
        child_note(&p->child, SEV_ALERT, "policy snapshot is not valid: fetch stops");
        p->stop = true;
        return;
    }
    names_policy(&p->names, pol, clock_now());
    feeds_policy(&p->feeds, pol, clock_now().mono);
    certs_policy(p);
}

static void channel_in(evutil_socket_t fd, short what, void *ctx)
{
    struct program *p = ctx;
    enum child_event ev;
    enum err r;
    (void)fd, (void)what;
    while ((r = child_next(&p->child, &ev)) == OK) {
        if (ev == CHILD_ATTACHED && p->child.msg.u.attach.kind == ATTACH_POLICY)
            take_policy(p);
        if (ev == CHILD_ATTACHED && p->child.msg.u.attach.kind == ATTACH_FEED)
            feed_given(p, p->child.msg.u.attach.a);
        if (ev == CHILD_ATTACHED && p->child.msg.u.attach.kind == ATTACH_RESOLVER)
            certs_policy(p);
        if (ev == CHILD_CERT_GET)
            cert_ask(p);
        if (ev == CHILD_CONSULT_GET)
            call_ask(p);
        if (ev == CHILD_NOTIFY)
            notify_send(p->notify, &p->child.msg.u.notify,
                        msg_text(&p->child.msg, sizeof(struct msg_notify)),
                        p->child.msg.n_fds ? p->child.msg.fds[0] : -1, clock_now().mono);
        p->stop |= ev == CHILD_STOP;
    }
    p->stop |= r != ERR_AGAIN;
}

static void timer_in(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what, (void)ctx; /* the turn looks */
}

static enum err prepare(struct program *p)
{
    struct child *c = &p->child;
    const char *why = "";
    struct targets_board *board = c->targets_own;
    const struct policy *pol = c->policy.p;
    if (!board || targets_attach(board, c->targets.n) != OK || !pol || !c->certs_own ||
        certs_attach(c->certs_own, c->certs.n) != OK || policy_valid(pol, c->policy.n) != OK)
        return ERR_SYNTAX;
    p->base = event_base_new();
    if (!p->base)
        return ERR_FULL;
    struct resolver_cfg cfg = {.base = p->base,
                               .policy = pol,
                               .anchors = str_of(c->resolver[0].p, c->resolver[0].n),
                               .resolv_conf = str_of(c->resolver[1].p, c->resolver[1].n)};
    enum err e = resolver_open(&p->resolver, &cfg, &why);
    if (e != OK)
        child_note(c, SEV_ALERT, "%s", why);
    if (e == ERR_SYSTEM)
        return e;
    p->timer = evtimer_new(p->base, timer_in, p);
    struct event *channel = event_new(p->base, c->ch.fd, EV_READ | EV_PERSIST, channel_in, p);
    if (!p->timer || !channel || event_add(channel, NULL) != 0)
        return ERR_FULL;
    names_init(&p->names, board, &c->stats->reasons, ask, note, p);
    names_policy(&p->names, pol, clock_now());
    p->web = web_new(p->base, web_name, p);
    feeds_init(&p->feeds, web_ask, feed_told, feed_note, p);
    const struct x5u_cfg certs = {.base = p->base,
                                  .resolve = web_name,
                                  .done = cert_done,
                                  .note = feed_note,
                                  .ctx = p,
                                  .board = c->certs_own};
    const struct consult_cfg third = {
        .base = p->base, .resolve = web_name, .done = consulted, .note = feed_note, .ctx = p};
    p->x5u = x5u_new(&certs);
    p->consult = consult_new(&third);
    if (!p->web || !p->x5u || !p->consult)
        return ERR_FULL;
    certs_policy(p);
    return OK;
}

static void turn(struct program *p)
{
    names_turn(&p->names, clock_now());
    web_turn(p->web, clock_now().mono); /* done with the last one */
    feeds_turn(&p->feeds, clock_now().mono);
    web_turn(p->web, clock_now().mono); /* begins the next */
    x5u_turn(p->x5u, clock_now());
    consult_turn(p->consult, clock_now());
    notify_turn(p->notify, clock_now().mono);
    int64_t us = MIN(names_next(&p->names).us, feeds_next(&p->feeds).us);
    us = MIN(us, MIN(x5u_next(p->x5u).us, consult_next(p->consult).us));
    us = MIN(us, notify_next(p->notify, clock_now().mono).us);
    us = us == INT64_MAX ? 1000000 : us - clock_now().mono.us;
    us = MIN(MAX(us, (int64_t)1000), (int64_t)1000000);
    struct timeval tv = {us / 1000000, us % 1000000};
    if (evtimer_add(p->timer, &tv) != 0 || event_base_loop(p->base, EVLOOP_ONCE) < 0)
        p->stop = true;
    stat_add(p->child.stats, STAT_turns, 1);
    stat_set(p->child.stats, STAT_cpu_us, clock_cpu_us());
}

int main(int argc, char **argv)
{
    struct program *p = &program;
    (void)argv;
    if (argc != 1) {
        (void)fprintf(stderr, "usage: ringwall-fetch (it is started by `ringwall run`)\n");
        return 2;
    }
    p->notify = notify_new(); /* its library reads its own files, once, before the door shuts */
    if (!p->notify || child_start(&p->child, ROLE_FETCH, NULL) != OK)
        return 1;
    notify_bind(p->notify, web_name, p, notified, p);
    enum err e = prepare(p);
    if (e != OK) {
        child_note(&p->child, SEV_ALERT, "fetch cannot start: %s", err_name(e));
        return 1;
    }
    if (child_running(&p->child) != OK)
        return 1;
    feeds_policy(&p->feeds, p->child.policy.p, clock_now().mono);
    for (unsigned i = 0; i < ARRAY_LEN(p->child.feed); i++)
        feed_given(p, i);
    while (!p->stop)
        turn(p);
    return 0;
}
