/* Agents that are called: what they answer and when. */
#include "sim.h"

static struct sip_msg again;

static const struct sip_msg *request_of(struct tx *t)
{
    struct sip_error e;
    if (sip_parse(str_of(t->req, t->req_n), false, &again, &e) != OK)
        abort();
    return &again;
}

static void finish(struct sim *s, void *who, int64_t arg);

static void answer(struct sim *s, struct dlg *d, unsigned code)
{
    struct tx *t = d->invite;
    const struct sip_msg *m = request_of(t);
    char extra[256] = "";
    if (code == 401)
        (void)snprintf(extra, sizeof extra,
                       "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n%u\", algorithm=SHA-256, "
                       "qop=\"auth\"\r\n",
                       s->branch++);
    if (code == 422)
        (void)snprintf(extra, sizeof extra, "Min-SE: 3600\r\n");
    if (code == 302)
        (void)snprintf(extra, sizeof extra, "Reason: SIP;cause=302\r\n%s",
                       sim_chance(s, 70) ? "Contact: <sip:carol@example.com>;q=0.3, "
                                           "<sip:5552@example.com>;q=0.8\r\n"
                                         : "Contact: <sip:bob@example.com>\r\n");
    if (code / 100 == 2 && (d->script & 1) && sip_has(m, HDR_SESSION_EXPIRES))
        (void)snprintf(extra, sizeof extra,
                       "Require: timer\r\nSession-Expires: 90;refresher=uac\r\n");
    bool sdp = code < 300 && !(d->reliable && d->prack_ok && d->rel_sent && code == 200 && 0);
    if (code / 100 == 2)
        d->state = DLG_UP;
    else
        d->state = DLG_DONE;
    msg_reply(s, d, t, m, code, extra, sdp ? msg_sdp(s, d) : "");
    s->challenges += code == 401 && d->ua->pbx;
    if (code / 100 == 2 && d->second_fork) { /* another phone behind the PBX was as quick */
        struct dlg *f = dlg_new(s, d->ua);
        s->second_forks++;
        char tag[40];
        memcpy(tag, f->ltag, sizeof tag);
        struct dlg *next = f->next;
        *f = *d;
        f->next = next;
        memcpy(f->ltag, tag, sizeof tag);
        f->second_fork = false;
        f->is_fork = d->is_fork = true; /* either may be the one that is taken */
        f->invite = tx_server(s, d->ua, f, m);
        (void)snprintf(f->invite->method, sizeof f->invite->method, "INVITE");
        f->invite->branch[0] = 'x'; /* not found by retransmissions of the INVITE */
        msg_reply(s, f, f->invite, request_of(t), 200, extra, msg_sdp(s, f));
    }
}

static void reliable_again(struct sim *s, void *who, int64_t arg)
{
    struct dlg *d = who;
    (void)arg;
    if (!d->invite || d->prack_ok || d->state == DLG_DONE)
        return;
    if (++d->rel_sent > 20)
        sim_fail(s, "a reliable response was never acknowledged", str_c(d->id));
    sim_to_gateway(s, d->ua, str_of(d->invite->bytes, d->invite->n));
    sim_at(s, 500, reliable_again, d, 0);
}

static void ring(struct sim *s, struct dlg *d)
{
    const struct sip_msg *m = request_of(d->invite);
    char extra[128] = "";
    unsigned how = (d->script >> 3) & 3;
    bool sdp = how == 1 && sdp_of(m, &(enum reason){0}).n;
    if (how == 3)
        return;
    d->reliable = sip_list_has(m, HDR_SUPPORTED, STR("100rel")) && ((d->script >> 5) & 3) == 0;
    if (d->reliable) {
        d->rseq = 1 + sim_rand(s, 1000);
        (void)snprintf(extra, sizeof extra, "Require: 100rel\r\nRSeq: %u\r\n", d->rseq);
    }
    d->state = DLG_EARLY;
    msg_reply(s, d, d->invite, m, how == 1 ? 183 : 180, extra, sdp ? msg_sdp(s, d) : "");
    if (d->reliable)
        sim_at(s, 500, reliable_again, d, 0);
}

static void finish(struct sim *s, void *who, int64_t arg)
{
    struct dlg *d = who;
    (void)arg;
    if (!d->invite || d->invite->code >= 200 || d->state == DLG_DONE || d->state == DLG_UP)
        return;
    if (d->reliable && !d->prack_ok) {
        sim_at(s, 200, finish, d, 0);
        return;
    }
    if (d->plan_code)
        answer(s, d, d->plan_code);
}

static void plan(struct sim *s, struct dlg *d, const struct sip_msg *m)
{
    static const unsigned short codes[] = {200, 200, 200, 200, 200, 200, 200, 200, 486, 603,
                                           404, 503, 302, 500, 0,   401, 422, 480, 200, 200};
    d->plan_code = codes[sim_rand(s, ARRAY_LEN(codes))];
    bool authorised = sip_has(m, HDR_AUTHORIZATION);
    if (authorised || (d->plan_code == 422 && sip_has(m, HDR_MIN_SE) && sim_chance(s, 50)))
        d->plan_code = 200;
    d->script = sim_rand(s, 1u << 30);
    d->second_fork = d->ua->pbx && sim_chance(s, 10);
    d->ignores_cancel = sim_chance(s, 25);
}

static void check_auth(struct sim *s, const struct sip_msg *m)
{
    struct sip_auth a;
    char ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX], r[DIGEST_HEX_MAX];
    if (!sip_has(m, HDR_AUTHORIZATION))
        return;
    if (sip_auth_parse(sip_get(m, HDR_AUTHORIZATION), &a) != OK ||
        digest_ha1(DIGEST_SHA256, a.username, a.realm, STR("secret"), ha1) != OK ||
        digest_ha2(DIGEST_SHA256, sip_method_name(m->method), a.uri, false, STR_NONE, ha2) != OK ||
        digest_response(DIGEST_SHA256, str_of(ha1, 64), a.nonce, a.nc, a.cnonce, a.qop,
                        str_of(ha2, 64), r) != OK ||
        !str_eq(str_of(r, 64), a.response) || !str_eq(a.uri, sip_text(m, m->uri)))
        sim_fail(s, "the gateway's credentials are wrong", m->bytes);
    s->credentials++;
}

static void new_call(struct sim *s, struct ua *u, const struct sip_msg *m)
{
    struct dlg *d = dlg_new(s, u);
    struct sip_nameaddr na;
    check_auth(s, m);
    (void)snprintf(d->id, sizeof d->id, STR_FMT, STR_ARG(sip_text(m, m->call_id)));
    (void)snprintf(d->rtag, sizeof d->rtag, STR_FMT, STR_ARG(sip_text(m, m->from_tag)));
    (void)snprintf(d->local, sizeof d->local, "<" STR_FMT ">", STR_ARG(sip_text(m, m->to_uri)));
    (void)snprintf(d->remote, sizeof d->remote, "<" STR_FMT ">", STR_ARG(sip_text(m, m->from_uri)));
    if (sip_nameaddr_parse(sip_get(m, HDR_CONTACT), &na) == OK)
        (void)snprintf(d->target, sizeof d->target, STR_FMT, STR_ARG(na.uri));
    d->finals = 1; /* INVITEs of ours are re-INVITEs */
    d->invite = tx_server(s, u, d, m);
    plan(s, d, m);
    if (sim_chance(s, 4)) { /* says nothing at all */
        d->state = DLG_DONE;
        return;
    }
    if (sim_chance(s, 50))
        msg_reply(s, d, d->invite, m, 100, "", "");
    ring(s, d);
    sim_at(s, sim_chance(s, 30) ? sim_rand(s, 30) : sim_rand(s, 8000), finish, d, 0);
}

static void on_cancel(struct sim *s, struct ua *u, const struct sip_msg *m)
{
    struct tx *t = tx_find(s, u, m, "CANCEL", true);
    if (t) {
        sim_to_gateway(s, u, str_of(t->bytes, t->n));
        return;
    }
    t = tx_server(s, u, NULL, m);
    struct tx *inv = tx_find(s, u, m, "INVITE", true);
    msg_reply(s, NULL, t, m, inv ? 200 : 481, "", "");
    if (!inv || inv->code >= 200 || inv->d->state == DLG_DONE)
        return;
    struct dlg *d = inv->d;
    if (d->ignores_cancel && d->state != DLG_UP) { /* the answer was on its way */
        answer(s, d, 200);
        return;
    }
    if (d->state != DLG_UP)
        d->state = DLG_DONE;
    d->invite = d->state == DLG_UP ? NULL : inv;
    msg_reply(s, d, inv, request_of(inv), 487, "", "");
}

static void on_ack(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m)
{
    struct tx *t = tx_find(s, u, m, "INVITE", true);
    if (t && t->code >= 300) {
        t->done = t->acked = true;
        return;
    }
    if (!d || !d->invite || !d->invite->server || d->invite->cseq != m->cseq ||
        d->invite->code / 100 != 2)
        return;
    const struct sip_msg *inv = request_of(d->invite);
    if (!inv->body.len && !m->body.len && !d->sent_bye && !d->got_bye && !d->invite->acked)
        d->empty_ack_us = s->g.now.mono.us; /* no answer to a late offer: the call must end */
    bool first = !d->invite->acked;
    d->invite->done = d->invite->acked = true;
    d->invite = NULL;
    if (first && d->reoffers++ == 0)
        ua_live(s, d);
}

/* No ACK came: whoever answered hangs up. */
void ua_ack_missing(struct sim *s, struct tx *t)
{
    sim_fail(s, "the gateway never acknowledged a 2xx", str_of(t->bytes, t->n));
}

static void on_prack(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m)
{
    struct sip_rack r;
    struct tx *t = tx_server(s, u, d, m);
    bool ok = d->reliable && sip_rack_parse(sip_get(m, HDR_RACK), &r) == OK && r.rseq == d->rseq &&
              d->invite && r.cseq == d->invite->cseq;
    d->prack_ok |= ok;
    msg_reply(s, d, t, m, ok ? 200 : 481, "", "");
}

static void reinvited(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m)
{
    struct tx *t = tx_server(s, u, d, m);
    if (d->invite) {
        msg_reply(s, d, t, m, d->invite->server ? 500 : 491, "", "");
        return;
    }
    unsigned r = sim_rand(s, 20);
    check_auth(s, m);
    if (u->pbx && !sip_has(m, HDR_AUTHORIZATION) && sim_chance(s, 10)) {
        s->challenges++;
        msg_reply(s, d, t, m, 401,
                  "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"again\", "
                  "algorithm=SHA-256, qop=\"auth\"\r\n",
                  "");
        return;
    }
    if (r < 2) {
        msg_reply(s, d, t, m, r ? 488 : 603, "", "");
        return;
    }
    d->invite = t;
    msg_reply(s, d, t, m, 200, "", msg_sdp(s, d));
}

static void in_dialog(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m)
{
    struct tx *t;
    if (d->state == DLG_DONE && m->method != SIP_BYE) {
        t = tx_server(s, u, d, m);
        msg_reply(s, d, t, m, 481, "", "");
        return;
    }
    switch ((int)m->method) {
    case SIP_PRACK:
        on_prack(s, u, d, m);
        return;
    case SIP_INVITE:
        reinvited(s, u, d, m);
        return;
    case SIP_BYE:
        t = tx_server(s, u, d, m);
        check_auth(s, m);
        d->got_bye = true;
        if (d->empty_ack_us && s->g.now.mono.us - d->empty_ack_us > 8000000)
            sim_fail(s, "a late offer was not answered and the call went on", m->bytes);
        if (d->invite && d->invite->server) {
            d->invite->done = true;
            if (d->invite->code < 200)
                msg_reply(s, d, d->invite, request_of(d->invite), 487, "", "");
        }
        d->state = DLG_DONE;
        if (u->pbx && !sip_has(m, HDR_AUTHORIZATION) && sim_chance(s, 10)) {
            s->challenges++;
            msg_reply(s, d, t, m, 401,
                      "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"last\", "
                      "algorithm=SHA-256, qop=\"auth\"\r\n",
                      "");
            return;
        }
        msg_reply(s, d, t, m, 200, "", "");
        return;
    case SIP_UPDATE:
        t = tx_server(s, u, d, m);
        if (m->body.len && d->invite)
            msg_reply(s, d, t, m, 491, "", "");
        else
            msg_reply(s, d, t, m, 200, "", m->body.len ? msg_sdp(s, d) : "");
        return;
    default:
        t = tx_server(s, u, d, m);
        msg_reply(s, d, t, m, 200, "", "");
        return;
    }
}

void callee_request(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m)
{
    char method[12];
    (void)snprintf(method, sizeof method, STR_FMT, STR_ARG(sip_text(m, m->method_text)));
    if (m->method == SIP_ACK) {
        on_ack(s, u, d, m);
        return;
    }
    if (m->method == SIP_CANCEL) {
        on_cancel(s, u, m);
        return;
    }
    struct tx *t = tx_find(s, u, m, method, true);
    if (t) { /* came again */
        if (t->bytes)
            sim_to_gateway(s, u, str_of(t->bytes, t->n));
    } else if (says_request(s, u, d, m)) {
        return;
    } else if (m->to_tag.len && d) {
        in_dialog(s, u, d, m);
    } else if (!m->to_tag.len && m->method == SIP_INVITE) {
        new_call(s, u, m);
    } else {
        t = tx_server(s, u, NULL, m);
        msg_reply(s, NULL, t, m, m->method == SIP_OPTIONS && !m->to_tag.len ? 200 : 481, "", "");
    }
}
