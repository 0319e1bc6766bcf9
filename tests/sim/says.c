/* What agents say besides calls: messages, and subscriptions on either side. Every request must
 * have its answer (ua_timeout), and what begins must end: nothing is left in the engines. */
#include "sim.h"

#define EVENT "Event: dialog\r\n"

static void send(struct sim *s, struct dlg *d, const char *method, const char *extra,
                 const char *body)
{
    (void)snprintf(d->replaces, sizeof d->replaces, "%s", extra); /* for credentials */
    msg_request(s, d, tx_client(s, d->ua, d, method), extra, body);
}

void ua_says(struct sim *s, void *who, int64_t arg)
{
    static const char *const to[] = {"bob", "carol", "alice", "1234", "nobody"};
    struct ua *u = who;
    struct dlg *d = dlg_new(s, u);
    char extra[128];
    (void)arg;
    d->says = d->dead = d->caller = true;
    const char *user = to[sim_rand(s, u->pbx ? 3 : ARRAY_LEN(to))];
    (void)snprintf(d->uri, 64, "sip:%.20s@example.com", user);
    (void)snprintf(d->remote, sizeof d->remote, "<sip:%s@example.com>", user);
    if (u->pbx)
        (void)snprintf(d->local, sizeof d->local, "<sip:200@198.51.100.10>");
    else
        (void)snprintf(d->local, sizeof d->local, "<sip:%s@example.com>", u->user);
    if (sim_chance(s, 50)) {
        s->said++;
        d->ctype = "text/plain";
        send(s, d, "MESSAGE", "", "hello");
        return;
    }
    (void)snprintf(extra, sizeof extra, EVENT "Expires: %u\r\n",
                   sim_chance(s, 15) ? 0 : 60 + sim_rand(s, 120));
    send(s, d, "SUBSCRIBE", extra, "");
}

/* --- who subscribed --- */

static void refresh(struct sim *s, void *who, int64_t seconds)
{
    struct dlg *d = who;
    char extra[128];
    if (d->state != DLG_EARLY)
        return;
    (void)snprintf(extra, sizeof extra, EVENT "Expires: %u\r\n", (unsigned)seconds);
    send(s, d, "SUBSCRIBE", extra, "");
}

static void subscribed(struct sim *s, struct dlg *d, const struct sip_msg *m)
{
    struct sip_nameaddr na;
    struct str tag = sip_text(m, m->to_tag);
    if (*d->rtag && !str_eq(str_c(d->rtag), tag))
        sim_fail(s, "a second tag in the subscriber's dialog", m->bytes);
    (void)snprintf(d->rtag, sizeof d->rtag, STR_FMT, STR_ARG(tag));
    if (sip_nameaddr_parse(sip_get(m, HDR_CONTACT), &na) == OK)
        (void)snprintf(d->target, sizeof d->target, STR_FMT, STR_ARG(na.uri));
    s->watched += d->state == DLG_NEW;
    if (d->state == DLG_NEW)
        d->state = DLG_EARLY;
    if (++d->reoffers < 3)
        sim_at(s, sim_rand(s, 40000), refresh, d, sim_chance(s, 50) ? 0 : 90);
}

void says_final(struct sim *s, struct tx *t, const struct sip_msg *m)
{
    struct dlg *d = t->d;
    char extra[1400];
    if (m->code == 401 && !d->ua->pbx && ++d->nc < 8) {
        const char *uri = *d->target ? d->target : d->uri;
        (void)snprintf(extra, sizeof extra, "%s%s", d->replaces,
                       msg_credentials(s, d, m, t->method, uri));
        msg_request(s, d, tx_client(s, d->ua, d, t->method), extra, d->ctype ? "hello" : "");
    } else if (strcmp(t->method, "MESSAGE") == 0) {
        s->heard += m->code == 200;
    } else if (strcmp(t->method, "SUBSCRIBE") == 0 && m->code < 300) {
        subscribed(s, d, m);
    } else if (m->code == 481) {
        d->state = DLG_DONE;
    }
}

/* --- the notifier --- */

static void notify(struct sim *s, void *who, int64_t last)
{
    struct dlg *d = who;
    char extra[160];
    if (d->state != DLG_EARLY)
        return;
    if (last)
        d->state = DLG_DONE;
    d->ctype = "application/dialog-info+xml";
    (void)snprintf(extra, sizeof extra, EVENT "Subscription-State: %s\r\n",
                   last ? "terminated;reason=noresource" : "active;expires=60");
    send(s, d, "NOTIFY", extra,
         d->ua->pbx ? "<dialog-info entity=\"sip:1234@198.51.100.10\"/>"
                    : "<dialog-info entity=\"sip:bob@203.0.113.6\"/>");
}

static void plan(struct sim *s, struct dlg *d)
{
    unsigned n = 1 + sim_rand(s, 3);
    if (sim_chance(s, 10)) /* accepts and never says a word */
        return;
    for (unsigned i = 0; i < n; i++)
        sim_at(s, i ? 500 * sim_rand(s, 60) : sim_rand(s, 200), notify, d, 0);
    if (sim_chance(s, 60))
        sim_at(s, sim_rand(s, 60000), notify, d, 1);
}

static void watched(struct sim *s, struct ua *u, const struct sip_msg *m)
{
    static const unsigned short codes[] = {200, 200, 200, 200, 200, 200, 403, 489, 503, 423};
    struct dlg *d = dlg_new(s, u);
    struct sip_nameaddr na;
    char extra[96];
    unsigned code = codes[sim_rand(s, ARRAY_LEN(codes))];
    bool fetch = str_eq(sip_get(m, HDR_EXPIRES), STR("0"));
    d->says = d->dead = true;
    (void)snprintf(d->id, sizeof d->id, STR_FMT, STR_ARG(sip_text(m, m->call_id)));
    (void)snprintf(d->rtag, sizeof d->rtag, STR_FMT, STR_ARG(sip_text(m, m->from_tag)));
    (void)snprintf(d->local, sizeof d->local, "<" STR_FMT ">", STR_ARG(sip_text(m, m->to_uri)));
    (void)snprintf(d->remote, sizeof d->remote, "<" STR_FMT ">", STR_ARG(sip_text(m, m->from_uri)));
    if (sip_nameaddr_parse(sip_get(m, HDR_CONTACT), &na) == OK)
        (void)snprintf(d->target, sizeof d->target, STR_FMT, STR_ARG(na.uri));
    struct tx *t = tx_server(s, u, d, m);
    if (code == 200) {
        d->state = DLG_EARLY;
        if (fetch)
            sim_at(s, sim_rand(s, 300), notify, d, 1);
        else
            plan(s, d);
    }
    if (sim_chance(s, 4)) /* says nothing at all to it */
        return;
    (void)snprintf(extra, sizeof extra, "Min-Expires: 90\r\nExpires: %s\r\n", fetch ? "0" : "60");
    msg_reply(s, d, t, m, code, extra, "");
}

bool says_request(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m)
{
    if (m->method != SIP_MESSAGE && m->method != SIP_SUBSCRIBE && m->method != SIP_NOTIFY)
        return false;
    if (m->to_tag.len && (!d || !d->says))
        return false;
    if (!m->to_tag.len && m->method == SIP_SUBSCRIBE) {
        watched(s, u, m);
        return true;
    }
    if (sim_chance(s, 4))
        return true; /* and its sender waits */
    struct tx *t = tx_server(s, u, d, m);
    bool ended = d && d->state == DLG_DONE;
    if (m->method == SIP_NOTIFY && d && !ended) {
        s->noted++;
        if (str_starts(sip_get(m, HDR_SUBSCRIPTION_STATE), STR("terminated")))
            d->state = DLG_DONE;
    }
    if (m->method == SIP_SUBSCRIBE && d && !ended)
        sim_at(s, sim_rand(s, 500), notify, d, str_eq(sip_get(m, HDR_EXPIRES), STR("0")));
    msg_reply(s, d, t, m,
              ended                                           ? 481
              : m->method == SIP_MESSAGE && sim_chance(s, 10) ? 486
                                                              : 200,
              m->method == SIP_SUBSCRIBE ? "Expires: 60\r\n" : "", "");
    return true;
}
