/* What the simulated agents write. */
#include "sim.h"

struct dlg *dlg_new(struct sim *s, struct ua *u)
{
    struct dlg *d = calloc(1, sizeof *d);
    d->next = s->dlgs;
    s->dlgs = d;
    d->ua = u;
    unsigned n = s->branch++;
    (void)snprintf(d->id, sizeof d->id, "%s%u", u->pbx ? "pbx-" : "fone-", n);
    (void)snprintf(d->ltag, sizeof d->ltag, "t%u", n);
    d->cseq = 1 + sim_rand(s, 1000);
    d->updates = sim_chance(s, 70);
    return d;
}

static void addr_text(const struct ua *u, char *buf, size_t n)
{
    struct out o = out_of(buf, n - 1);
    addr_put(&o, &u->addr);
    buf[o.n] = 0;
}

static void common(struct sim *s, struct dlg *d, struct out *o, const char *extra, const char *sdp)
{
    char a[ADDR_TEXT_MAX];
    (void)s;
    addr_text(d->ua, a, sizeof a);
    out_fmt(o, "Contact: <sip:%s@%s>\r\n", d->ua->pbx ? "200" : d->ua->user, a);
    out_fmt(o, "%s: Secret-%s/1 (%s)\r\n", d->caller ? "User-Agent" : "Server",
            d->ua->pbx ? "PBX" : "Phone", a);
    out_fmt(o, "Allow: INVITE, ACK, BYE, CANCEL, PRACK, INFO%s\r\nWarning: 399 %s \"hm\"\r\n",
            d->updates ? ", UPDATE" : "", a);
    out_put(o, str_c(extra));
    sip_end(o, *sdp ? str_c(d->ctype ? d->ctype : "application/sdp") : STR_NONE, str_c(sdp));
}

static void parties(struct dlg *d, struct out *o, const char *rtag)
{
    out_fmt(o, "From: %s;tag=%s\r\nTo: %s%s%s\r\nCall-ID: %s\r\n", d->local, d->ltag, d->remote,
            *rtag ? ";tag=" : "", rtag, d->id);
}

static void head(struct dlg *d, struct out *o, const char *method, const char *uri,
                 const char *branch)
{
    char a[ADDR_TEXT_MAX];
    addr_text(d->ua, a, sizeof a);
    out_fmt(o, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\n",
            method, uri, a, branch);
}

void msg_request(struct sim *s, struct dlg *d, struct tx *t, const char *extra, const char *sdp)
{
    char buf[8192];
    struct out o = out_of(buf, sizeof buf);
    head(d, &o, t->method, *d->target ? d->target : d->uri, t->branch);
    parties(d, &o, d->rtag);
    out_fmt(&o, "CSeq: %u %s\r\n", t->cseq, t->method);
    common(s, d, &o, extra, sdp);
    tx_send(s, t, out_str(&o));
}

void msg_reply(struct sim *s, struct dlg *d, struct tx *t, const struct sip_msg *m, unsigned code,
               const char *extra, const char *sdp)
{
    char buf[8192];
    struct out o = out_of(buf, sizeof buf);
    sip_reply(&o, m, code, STR_NONE, code > 100 && d ? str_c(d->ltag) : STR_NONE, NULL);
    if (d && code > 100) {
        common(s, d, &o, extra, sdp);
    } else {
        out_put(&o, str_c(extra));
        sip_end(&o, STR_NONE, STR_NONE);
    }
    tx_respond(s, t, code, out_str(&o));
}

void msg_ack(struct sim *s, struct dlg *d, uint32_t cseq, const char *branch, const char *uri,
             const char *rtag, const char *sdp)
{
    char buf[4096];
    struct out o = out_of(buf, sizeof buf);
    head(d, &o, "ACK", uri, branch);
    parties(d, &o, rtag);
    out_fmt(&o, "CSeq: %u ACK\r\n", cseq);
    sip_end(&o, *sdp ? STR("application/sdp") : STR_NONE, str_c(sdp));
    sim_to_gateway(s, d->ua, out_str(&o));
}

void msg_cancel(struct sim *s, struct dlg *d)
{
    char buf[4096];
    struct out o = out_of(buf, sizeof buf);
    struct tx *t = tx_client(s, d->ua, d, "CANCEL");
    d->cseq--;
    t->cseq = d->invite->cseq;
    memcpy(t->branch, d->invite->branch, sizeof t->branch);
    head(d, &o, "CANCEL", *d->target ? d->target : d->uri, t->branch);
    parties(d, &o, d->state == DLG_UP ? d->rtag : "");
    out_fmt(&o, "CSeq: %u CANCEL\r\n", t->cseq);
    sip_end(&o, STR_NONE, STR_NONE);
    tx_send(s, t, out_str(&o));
}

const char *msg_sdp(struct sim *s, struct dlg *d)
{
    static char buf[1024];
    char a[ADDR_TEXT_MAX];
    struct out o = out_of(a, sizeof a - 1);
    addr_put_ip(&o, &d->ua->addr);
    a[o.n] = 0;
    d->sdp_version++;
    (void)snprintf(buf, sizeof buf,
                   "v=0\r\no=Secret-%s 1 %u IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
                   "m=audio %u RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
                   "a=rtpmap:101 telephone-event/8000\r\n%s",
                   d->ua->pbx ? "PBX" : "Phone", d->sdp_version, a, a,
                   10000 + 2 * sim_rand(s, 5000), sim_chance(s, 15) ? "a=sendonly\r\n" : "");
    return buf;
}

const char *msg_credentials(struct sim *s, struct dlg *d, const struct sip_msg *m,
                            const char *method, const char *uri)
{
    static char buf[1024];
    char ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX], r[DIGEST_HEX_MAX], nc[9], cn[16];
    struct sip_auth a;
    if (sip_auth_parse(sip_get(m, HDR_WWW_AUTHENTICATE), &a) != OK) {
        sim_fail(s, "challenge does not parse", m->bytes);
        return "";
    }
    (void)snprintf(nc, sizeof nc, "%08x", 1);
    (void)snprintf(cn, sizeof cn, "c%u", s->branch++);
    if (digest_ha1(DIGEST_SHA256, str_c(d->ua->user), a.realm, STR("secret"), ha1) != OK ||
        digest_ha2(DIGEST_SHA256, str_c(method), str_c(uri), false, STR_NONE, ha2) != OK ||
        digest_response(DIGEST_SHA256, str_of(ha1, 64), a.nonce, str_c(nc), str_c(cn), STR("auth"),
                        str_of(ha2, 64), r) != OK)
        abort();
    (void)snprintf(buf, sizeof buf,
                   "Authorization: Digest username=\"%s\", realm=\"" STR_FMT "\", nonce=\"" STR_FMT
                   "\", uri=\"%s\", algorithm=SHA-256, qop=auth, nc=%s, cnonce=\"%s\", "
                   "response=\"%.64s\"\r\n",
                   d->ua->user, STR_ARG(a.realm), STR_ARG(a.nonce), uri, nc, cn, r);
    return buf;
}
