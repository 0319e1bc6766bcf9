/* Agents that call: registrations, INVITE with or without offer, CANCEL, PRACK, and what goes on in
 * a dialog that is up (either side). */
#include "sim.h"

static const char *const numbers[] = {"sip:bob@example.com",   "sip:carol@example.com",
                                      "sip:alice@example.com", "sip:1234@example.com",
                                      "sip:5551@example.com",  "sip:nobody@example.com"};

void ua_register(struct sim *s, void *who, int64_t arg)
{
    struct ua *u = who;
    (void)arg;
    struct dlg *d = u->reg = dlg_new(s, u);
    d->caller = true;
    (void)snprintf(d->local, sizeof d->local, "<sip:%s@example.com>", u->user);
    (void)snprintf(d->remote, sizeof d->remote, "<sip:%s@example.com>", u->user);
    (void)snprintf(d->uri, sizeof d->uri, "sip:example.com");
    msg_request(s, d, tx_client(s, u, d, "REGISTER"), "Expires: 3600\r\n", "");
}

static void invite(struct sim *s, struct dlg *d, const char *authorization)
{
    char extra[1700];
    struct tx *t = tx_client(s, d->ua, d, "INVITE");
    d->invite = t;
    (void)snprintf(extra, sizeof extra, "%s%s%s%s", d->replaces,
                   d->reliable ? "Require: 100rel\r\n" : "",
                   (d->script & 1) ? "Supported: timer\r\n" : "", authorization);
    msg_request(s, d, t, extra, d->late ? "" : msg_sdp(s, d));
}

static void call(struct sim *s, struct ua *u, const char *replaces)
{
    struct dlg *d = dlg_new(s, u);
    s->calls_made++;
    (void)snprintf(d->replaces, sizeof d->replaces, "%s", replaces);
    d->caller = true;
    d->late = sim_chance(s, 12);
    d->reliable = !d->late && sim_chance(s, 15);
    d->script = sim_rand(s, 1u << 30);
    d->cancel_due = sim_chance(s, 12);
    if (sim_chance(s, 7))
        d->acks_to_ignore = sim_chance(s, 30) ? 1000 : 1 + sim_rand(s, 3);
    const char *uri = numbers[sim_rand(s, u->pbx ? 3 : ARRAY_LEN(numbers))];
    (void)snprintf(d->uri, sizeof d->uri, "%s", uri);
    (void)snprintf(d->remote, sizeof d->remote, "<%s>", uri);
    if (u->pbx)
        (void)snprintf(d->local, sizeof d->local, "\"Two\" <sip:200@198.51.100.10>");
    else
        (void)snprintf(d->local, sizeof d->local, "<sip:%s@example.com>", u->user);
    invite(s, d, "");
}

void ua_call(struct sim *s, void *who, int64_t arg)
{
    (void)arg;
    call(s, who, "");
}

static void cancel(struct sim *s, void *who, int64_t arg)
{
    struct dlg *d = who;
    (void)arg;
    if (d->cancelled || !d->invite || !d->invite->done || d->invite->code >= 200 ||
        d->state == DLG_DONE)
        return;
    d->cancelled = true;
    s->calls_cancelled++;
    msg_cancel(s, d);
}

static void copy_tag(struct dlg *d, const struct sip_msg *m)
{
    (void)snprintf(d->rtag, sizeof d->rtag, STR_FMT, STR_ARG(sip_text(m, m->to_tag)));
}

static void copy_target(struct dlg *d, const struct sip_msg *m)
{
    struct sip_nameaddr na;
    if (sip_has(m, HDR_CONTACT) && sip_nameaddr_parse(sip_get(m, HDR_CONTACT), &na) == OK)
        (void)snprintf(d->target, sizeof d->target, STR_FMT, STR_ARG(na.uri));
}

/* One early dialog and one answer, whatever happens behind the gateway. */
static void check_tag(struct sim *s, struct dlg *d, const struct sip_msg *m)
{
    struct str tag = sip_text(m, m->to_tag);
    if (*d->rtag && tag.n && !str_eq(str_c(d->rtag), tag))
        sim_fail(s, "a second tag in the caller's dialog", m->bytes);
}

static void prack(struct sim *s, struct dlg *d, const struct sip_msg *m)
{
    char extra[128];
    uint32_t rseq;
    if (!sip_has(m, HDR_RSEQ) || str_u32(sip_get(m, HDR_RSEQ), UINT32_MAX, &rseq) != OK)
        return;
    if (rseq <= d->rseq) /* came again, or late */
        return;
    d->rseq = rseq;
    struct tx *t = tx_client(s, d->ua, d, "PRACK");
    (void)snprintf(extra, sizeof extra, "RAck: %u %u INVITE\r\n", rseq, m->cseq);
    msg_request(s, d, t, extra, "");
}

static void early(struct sim *s, struct dlg *d, const struct sip_msg *m)
{
    if (d->cancel_due && !d->cancelled) {
        d->cancel_due = false;
        sim_at(s, sim_rand(s, 6000), cancel, d, 0);
    }
    if (m->code == 100 || d->state == DLG_UP)
        return;
    check_tag(s, d, m);
    d->state = DLG_EARLY;
    copy_tag(d, m);
    copy_target(d, m);
    if (d->reliable && !sip_has(m, HDR_RSEQ))
        sim_fail(s, "a provisional response is not reliable", m->bytes);
    prack(s, d, m);
}

static void ack_2xx(struct sim *s, struct dlg *d, const struct sip_msg *m, bool late)
{
    if (d->acks_to_ignore) {
        d->acks_to_ignore--;
        return;
    }
    char branch[96];
    (void)snprintf(branch, sizeof branch, "z9hG4bKack%s%u", d->id, m->cseq);
    msg_ack(s, d, m->cseq, branch, d->target, d->rtag, late && m->body.len ? msg_sdp(s, d) : "");
}

static void invite_done(struct sim *s, struct tx *t, const struct sip_msg *m)
{
    struct dlg *d = t->d;
    d->finals++;
    if (m->code >= 300) {
        s->calls_refused++;
        d->state = DLG_DONE;
        d->invite = NULL;
        return;
    }
    s->calls_up++;
    check_tag(s, d, m);
    copy_tag(d, m);
    copy_target(d, m);
    d->state = DLG_UP;
    if (!d->late && !m->body.len && !d->reliable)
        sim_fail(s, "2xx without answer", m->bytes);
    if (d->late && !m->body.len)
        sim_fail(s, "2xx without offer", m->bytes);
    ack_2xx(s, d, m, d->late);
    d->invite = NULL;
    if (d->acks_to_ignore < 1000)
        ua_live(s, d);
}

static void reoffer_done(struct sim *s, struct tx *t, const struct sip_msg *m)
{
    struct dlg *d = t->d;
    d->invite = NULL;
    if (m->code < 300)
        ack_2xx(s, d, m, t->bytes && str_search(str_of(t->bytes, t->n), STR("v=0")) == t->n);
    else if (m->code == 481 || m->code == 408)
        d->state = DLG_DONE;
}

static void challenged(struct sim *s, struct tx *t, const struct sip_msg *m)
{
    struct dlg *d = t->d;
    if (++d->nc > 4) {
        d->dead = true;
        return;
    }
    char auth[1024];
    (void)snprintf(auth, sizeof auth, "%s", msg_credentials(s, d, m, t->method, d->uri));
    if (t->invite)
        invite(s, d, auth);
    else {
        (void)strncat(auth, "Expires: 3600\r\n", sizeof auth - strlen(auth) - 1);
        msg_request(s, d, tx_client(s, d->ua, d, "REGISTER"), auth, "");
    }
}

static void final(struct sim *s, struct tx *t, const struct sip_msg *m)
{
    struct dlg *d = t->d;
    if (d->says) {
        says_final(s, t, m);
        return;
    }
    if (m->code == 401 && (d->state == DLG_NEW || d->state == DLG_EARLY) &&
        (t->invite || d == d->ua->reg)) {
        challenged(s, t, m);
    } else if (t->invite && d->finals == 0) {
        invite_done(s, t, m);
    } else if (t->invite) {
        reoffer_done(s, t, m);
    } else if (d == d->ua->reg) {
        d->ua->registered = m->code == 200;
        if (m->code == 503) { /* the vault died */
            d->dead = true;
            ua_register(s, d->ua, 0);
        }
    } else if (strcmp(t->method, "BYE") == 0 && m->code != 200 && !d->is_fork) {
        sim_fail(s, "BYE was refused", m->bytes);
    } else if (strcmp(t->method, "BYE") == 0 ||
               (m->code == 481 && strcmp(t->method, "CANCEL") != 0)) {
        d->state = DLG_DONE;
        d->sent_bye = true;
    }
}

static void response(struct sim *s, struct ua *u, const struct sip_msg *m)
{
    char method[12];
    (void)snprintf(method, sizeof method, STR_FMT, STR_ARG(sip_method_name(m->method)));
    struct tx *t = tx_find(s, u, m, method, false);
    if (!t || m->cseq != t->cseq) {
        sim_fail(s, "a response to nothing", m->bytes);
        return;
    }
    struct dlg *d = t->d;
    if (m->code < 200) {
        if (t->code >= 200)
            return;
        if (t->invite)
            t->done = true; /* no repetition after a 1xx; the gateway bounds the wait */
        if (t->invite)
            early(s, d, m);
        return;
    }
    if (t->invite && m->code >= 300) {
        char tag[64];
        (void)snprintf(tag, sizeof tag, STR_FMT, STR_ARG(sip_text(m, m->to_tag)));
        const char *uri = d->finals && *d->target && d->state == DLG_UP ? d->target : d->uri;
        msg_ack(s, d, t->cseq, t->branch, uri, tag, "");
    }
    if (t->code) {
        if (t->code != m->code)
            sim_fail(s, "two different final responses", m->bytes);
        if (t->invite && m->code < 300 && d->state == DLG_UP)
            ack_2xx(s, d, m, d->late && d->finals == 1);
        return;
    }
    t->code = m->code;
    t->done = true;
    final(s, t, m);
}

void ua_timeout(struct sim *s, struct tx *t)
{
    if (t->d->state == DLG_DONE || strcmp(t->method, "BYE") == 0)
        return;
    /* A challenge is not repeated by itself: seven tries, each lost on one way or the other,
     * happen. */
    if (t->invite && t->d->finals == 0 && t->d->nc == 0 && s->loss) {
        t->d->dead = true;
        return;
    }
    /* A 408 of the other side's silence comes late, when few tries are left to ask for it again. */
    bool carried = strcmp(t->method, "SUBSCRIBE") == 0 || strcmp(t->method, "MESSAGE") == 0;
    if (carried && s->loss) {
        t->d->dead = true;
        return;
    }
    sim_fail(s, "no answer to a request", str_of(t->bytes, t->n));
}

void ua_message(struct sim *s, struct ua *u, const struct sip_msg *m)
{
    if (!m->is_request) {
        response(s, u, m);
        return;
    }
    struct dlg *d = s->dlgs;
    while (d && !(d->ua == u && str_eq(str_c(d->id), sip_text(m, m->call_id)) &&
                  (!m->to_tag.len || str_eq(str_c(d->ltag), sip_text(m, m->to_tag)))))
        d = d->next;
    callee_request(s, u, d, m);
}

/* --- in a dialog --- */

static void reoffer(struct sim *s, void *who, int64_t arg)
{
    struct dlg *d = who;
    if (d->state != DLG_UP || d->invite || d->sent_bye || d->got_bye)
        return;
    if (arg == 0 || !d->updates) {
        d->invite = tx_client(s, d->ua, d, "INVITE");
        msg_request(s, d, d->invite, "", sim_chance(s, 20) ? "" : msg_sdp(s, d));
        if (sim_chance(s, 5))
            sim_at(s, sim_rand(s, 50), cancel, d, 0);
    } else if (arg == 1) {
        msg_request(s, d, tx_client(s, d->ua, d, "UPDATE"), "",
                    sim_chance(s, 70) ? msg_sdp(s, d) : "");
    } else {
        static const char *const methods[] = {"INFO", "OPTIONS", "REFER", "MESSAGE"};
        msg_request(s, d, tx_client(s, d->ua, d, methods[sim_rand(s, 4)]),
                    "Refer-To: <sip:x@example.com>\r\n", "");
    }
}

void ua_bye(struct sim *s, void *who, int64_t arg)
{
    struct dlg *d = who;
    (void)arg;
    if (d->state != DLG_UP || d->sent_bye || d->got_bye)
        return;
    d->sent_bye = true;
    msg_request(s, d, tx_client(s, d->ua, d, "BYE"), "", "");
}

static bool live(const struct dlg *d)
{
    return d->state == DLG_UP && !d->sent_bye && !d->got_bye && !d->is_fork;
}

/* Blind, or attended with another call of the same agent; half of them hang up soon after. */
static void transfer(struct sim *s, void *who, int64_t arg)
{
    struct dlg *d = who;
    char extra[600], replaces[300] = "";
    (void)arg;
    if (!live(d))
        return;
    for (struct dlg *o = s->dlgs; o && sim_chance(s, 95); o = o->next)
        if (o != d && o->ua == d->ua && o != d->ua->reg && live(o))
            (void)snprintf(replaces, sizeof replaces,
                           "?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s", o->id, o->rtag,
                           o->ltag);
    (void)snprintf(extra, sizeof extra, "Refer-To: <%s%s>\r\n%s",
                   numbers[sim_rand(s, ARRAY_LEN(numbers))], replaces,
                   sim_chance(s, 20) ? "Refer-Sub: false\r\n" : "");
    msg_request(s, d, tx_client(s, d->ua, d, "REFER"), extra, "");
    if (sim_chance(s, 50))
        sim_at(s, sim_rand(s, 4000), ua_bye, d, 0);
}

/* Somebody of the same side steps into the call. */
static void step_in(struct sim *s, void *who, int64_t arg)
{
    struct dlg *d = who;
    char line[256];
    (void)arg;
    if (!live(d))
        return;
    (void)snprintf(line, sizeof line, "Replaces: %s;to-tag=%s;from-tag=%s%s\r\n", d->id, d->rtag,
                   d->ltag, sim_chance(s, 10) ? ";early-only" : "");
    call(s, sim_chance(s, 80) ? d->ua : &s->ua[sim_rand(s, s->n_ua)], line);
}

void ua_live(struct sim *s, struct dlg *d)
{
    unsigned n = sim_rand(s, 4);
    if (sim_chance(s, 25))
        sim_at(s, sim_rand(s, 12000), transfer, d, 0);
    if (sim_chance(s, 8))
        sim_at(s, sim_rand(s, 12000), step_in, d, 0);
    /* Often both at the same moment: glare. */
    for (unsigned i = 0; i < n; i++)
        sim_at(s, 2000 * (1 + sim_rand(s, 8)) + sim_rand(s, 20), reoffer, d, sim_rand(s, 3));
    sim_at(s, 250000, ua_bye, d, 0);            /* who called may have been transferred away */
    int64_t longer = sim_chance(s, 10) ? 8 : 1; /* long enough for session timers */
    if (d->caller || sim_chance(s, 50))
        sim_at(s, longer * 3000 * (1 + sim_rand(s, 8)) + sim_rand(s, 20), ua_bye, d, 0);
    if (sim_chance(s, 10)) /* in the very moment of the answer */
        sim_at(s, sim_rand(s, 30), ua_bye, d, 0);
}
