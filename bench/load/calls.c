/* The caller and the answerer. */
#include "bench/load/load.h"
#include <unistd.h>

struct load L;

static uint32_t bye_id[CALLS_CAP];
static int64_t bye_at[CALLS_CAP];
static uint32_t bye_head, bye_n;

static struct call *slot_of(uint32_t id)
{
    return &L.calls[id % CALLS_CAP];
}

static void keep(char *ret, size_t cap, struct str s)
{
    size_t n = MIN(s.n, cap - 1);
    if (n)
        memcpy(ret, s.p, n);
    ret[n] = 0;
}

/* -- requests -- */

static void put_head(struct out *o, const struct call *c, struct str method, struct str uri,
                     struct str host, char branch)
{
    out_put(o, method);
    out_ch(o, ' ');
    out_put(o, uri);
    out_put(o, L.tls ? STR(" SIP/2.0\r\nVia: SIP/2.0/TLS ") : STR(" SIP/2.0\r\nVia: SIP/2.0/UDP "));
    out_put(o, host);
    OUT_LIT(o, ";branch=z9hG4bK");
    out_u64(o, (uint64_t)getpid());
    out_ch(o, '.');
    out_u64(o, c->id);
    out_ch(o, '-');
    out_u64(o, c->cseq);
    out_ch(o, branch);
    OUT_LIT(o, ";rport\r\nMax-Forwards: 70\r\n");
}

static void put_parties(struct out *o, const struct call *c, struct str method, bool reg, bool inv)
{
    uint32_t user = c->id % L.users;
    OUT_LIT(o, "From: \"Alice\" <sip:");
    put_user(o, user);
    out_ch(o, '@');
    out_put(o, str_c(L.domain));
    OUT_LIT(o, ">;tag=f");
    out_u64(o, c->id);
    OUT_LIT(o, "\r\nTo: ");
    if (reg || inv) {
        OUT_LIT(o, "<sip:");
        if (reg)
            put_user(o, user);
        else {
            OUT_LIT(o, "+4930");
            out_u64(o, c->id);
        }
        out_ch(o, '@');
        out_put(o, str_c(L.domain));
        out_ch(o, '>');
    } else {
        out_put(o, str_c(c->to));
    }
    OUT_LIT(o, "\r\nCall-ID: ");
    out_u64(o, c->id);
    out_ch(o, '-');
    out_u64(o, (uint64_t)getpid());
    OUT_LIT(o, "@load\r\nCSeq: ");
    out_u64(o, c->cseq);
    out_ch(o, ' ');
    out_put(o, method);
    OUT_LIT(o, "\r\n");
}

static void put_offer(struct out *o, const struct call *c)
{
    char ip[20];
    keep(ip, sizeof ip, str_head(str_c(L.uac_s), str_find(str_c(L.uac_s), ':')));
    struct sdp_want w = {ip, L.rtp_port[0], L.suite, NULL, L.key_n};
    static uint8_t any[KEY_CAP] = "a key that guards no secret at all"; /* filler */
    w.key = L.media ? L.media[c->id].key[0] : any;
    OUT_LIT(o, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY\r\n"
               "Supported: timer, 100rel, replaces\r\nSession-Expires: 1800\r\n");
    put_body(o, &w);
}

static void request(struct call *c, struct str method, const struct msg *challenge)
{
    char uri[256], host[32], stream[MSG_CAP];
    bool reg = str_eq(method, STR("REGISTER")), inv = str_eq(method, STR("INVITE"));
    bool ack = str_eq(method, STR("ACK")), ack_refusal = ack && c->state == CALL_TRYING;
    struct out u = out_of(uri, sizeof uri);
    if (reg || inv || ack_refusal) {
        OUT_LIT(&u, "sip:");
        if (!reg) {
            OUT_LIT(&u, "+4930");
            out_u64(&u, c->id);
            out_ch(&u, '@');
        }
        out_put(&u, reg ? str_c(L.domain) : str_c(L.gw_s));
    } else {
        out_put(&u, str_c(c->target));
    }
    if (!c->conn || !conn_local(c->conn, host))
        keep(host, sizeof host, str_c(L.uac_s));
    struct out o = c->conn ? out_of(stream, sizeof stream) : udp_slot(L.a);
    put_head(&o, c, method, out_str(&u), str_c(host), inv || ack_refusal ? 'I' : method.p[0]);
    if (!inv && !reg && !ack_refusal)
        out_put(&o, str_c(c->route));
    put_parties(&o, c, method, reg, inv);
    if (challenge)
        put_credentials(&o, challenge, method, out_str(&u), c->id % L.users, challenge->proxy_chal);
    if (reg || inv) {
        OUT_LIT(&o, "Contact: <sip:");
        put_user(&o, c->id % L.users);
        out_ch(&o, '@');
        out_put(&o, str_c(host));
        out_put(&o, L.tls ? STR(";transport=tls>\r\nUser-Agent: rwload\r\n")
                          : STR(">\r\nUser-Agent: rwload\r\n"));
    }
    if (reg)
        OUT_LIT(&o, "Expires: 3600\r\n");
    if (inv)
        put_offer(&o, c);
    else
        OUT_LIT(&o, "Content-Length: 0\r\n\r\n");
    if (c->conn)
        conn_send(c->conn, out_str(&o));
    else
        udp_push(L.a, &o, &L.gw);
}

void call_start(void)
{
    struct call *c = slot_of((uint32_t)L.started);
    if (c->state != CALL_FREE && c->state != CALL_DONE)
        L.fail++;
    memset(c, 0, offsetof(struct call, to));
    c->to[0] = c->target[0] = c->route[0] = 0;
    c->id = (uint32_t)L.started++;
    c->state = CALL_TRYING;
    c->cseq = 1;
    c->t0 = now_ns();
    if (L.tls)
        c->conn = conn_open(c);
    request(c, L.mode == MODE_REG ? STR("REGISTER") : STR("INVITE"), NULL);
}

static void finish(struct call *c, bool good)
{
    L.ok += good;
    L.fail += !good;
    L.ok_measured += good && L.measuring;
    c->state = CALL_DONE;
    if (c->conn && L.per_call)
        conn_close(c->conn);
    c->conn = NULL;
}

void call_bye(struct call *c)
{
    if (c->state != CALL_ANSWERED)
        return;
    c->state = CALL_BYE;
    c->cseq++;
    request(c, STR("BYE"), NULL);
}

void byes_due(int64_t now)
{
    while (bye_n && bye_at[bye_head] <= now) {
        struct call *c = slot_of(bye_id[bye_head]);
        bye_head = (bye_head + 1) % CALLS_CAP;
        bye_n--;
        call_bye(c);
    }
}

static void answered(struct call *c, const struct msg *m)
{
    struct str target = between(m->contact, '<', '>');
    if (!target.n) {
        finish(c, false);
        return;
    }
    keep(c->target, sizeof c->target, target);
    keep(c->to, sizeof c->to, m->to);
    struct out o = out_of(c->route, sizeof c->route - 1);
    for (unsigned k = m->n_rr; k > 0; k--) {
        OUT_LIT(&o, "Route: ");
        out_put(&o, m->rr[k - 1]);
        OUT_LIT(&o, "\r\n");
    }
    c->route[o.n] = 0;
    c->state = CALL_ANSWERED;
    if (L.measuring)
        hist_add(&L.answer, now_ns() - c->t0);
    if (L.media && !sdp_read(m->body, &L.media[c->id].told[0]))
        die("answer without address", "");
    request(c, STR("ACK"), NULL);
    if (L.mode == MODE_RTP)
        return;
    uint32_t at = (bye_head + bye_n++) % CALLS_CAP;
    bye_id[at] = c->id;
    bye_at[at] = now_ns() + (int64_t)L.hold_ms * 1000000;
}

void on_caller(struct str s, const struct sockaddr_in *from)
{
    struct msg m;
    (void)from;
    int64_t t = now_ns();
    if (L.measuring && L.heard)
        L.gap = MAX(L.gap, t - L.heard);
    L.heard = t;
    if (!msg_read(s, &m) || m.code < 200)
        return;
    struct call *c = slot_of(number_at(m.call_id, 10));
    if (c->id != number_at(m.call_id, 10) || c->state == CALL_FREE || c->state == CALL_DONE ||
        number_at(m.cseq, 10) != c->cseq)
        return;
    struct str method = str_skip(m.cseq, str_find(m.cseq, ' ') + 1);
    if (c->state == CALL_BYE) {
        if (str_eq(method, STR("BYE")))
            finish(c, m.code == 200);
        return;
    }
    if (c->state != CALL_TRYING)
        return;
    bool reg = str_eq(method, STR("REGISTER"));
    bool stale = m.n_chal && str_ieq(param(m.chal[0], STR("stale=")), STR("true"));
    if ((m.code == 401 || m.code == 407) && (!c->authed || stale) && c->cseq < 4 && m.n_chal) {
        c->authed = true;
        if (!reg) {
            keep(c->to, sizeof c->to, m.to);
            request(c, STR("ACK"), NULL);
        }
        c->cseq++;
        request(c, method, &m);
        return;
    }
    if (m.code != 200) {
        L.refused++;
        L.last_code = (uint64_t)m.code;
        finish(c, false);
        return;
    }
    if (reg)
        finish(c, true);
    else
        answered(c, &m);
}

/* -- the answerer keeps nothing: everything is copied from the request -- */

static void put_copies(struct out *o, const char *name, const struct str *v, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        out_put(o, str_c(name));
        out_put(o, v[k]);
        OUT_LIT(o, "\r\n");
    }
}

static void reply(const struct msg *m, struct str status, bool sdp, const struct sockaddr_in *to)
{
    struct out o = udp_slot(L.b);
    OUT_LIT(&o, "SIP/2.0 ");
    out_put(&o, status);
    OUT_LIT(&o, "\r\n");
    put_copies(&o, "Via: ", m->via, m->n_via);
    put_copies(&o, "Record-Route: ", m->rr, m->n_rr);
    put_copies(&o, "From: ", &m->from, 1);
    OUT_LIT(&o, "To: ");
    out_put(&o, m->to);
    if (str_search(m->to, STR("tag=")) == m->to.n)
        OUT_LIT(&o, ";tag=a1");
    OUT_LIT(&o, "\r\n");
    put_copies(&o, "Call-ID: ", &m->call_id, 1);
    put_copies(&o, "CSeq: ", &m->cseq, 1);
    OUT_LIT(&o, "Contact: <sip:answerer@");
    out_put(&o, str_c(L.uas_s));
    OUT_LIT(&o, ">\r\n");
    if (sdp) {
        char ip[20];
        keep(ip, sizeof ip, str_head(str_c(L.uas_s), str_find(str_c(L.uas_s), ':')));
        struct sdp_want w = {ip, L.rtp_port[1], NULL, NULL, 0};
        put_body(&o, &w);
    } else {
        OUT_LIT(&o, "Content-Length: 0\r\n\r\n");
    }
    udp_push(L.b, &o, to);
}

void on_answerer(struct str s, const struct sockaddr_in *from)
{
    struct msg m;
    if (!msg_read(s, &m) || m.code || str_eq(m.method, STR("ACK")))
        return;
    if (!str_eq(m.method, STR("INVITE"))) {
        reply(&m, STR("200 OK"), false, from);
        return;
    }
    if (L.media) {
        uint32_t id = number_at(str_skip(m.uri, str_search(m.uri, STR("+4930")) + 5), 10);
        if (!str_starts(m.uri, STR("sip:+4930")) || id >= L.started ||
            !sdp_read(m.body, &L.media[id].told[1]))
            die("unknown INVITE at the answerer", "");
    }
    reply(&m, STR("180 Ringing"), false, from);
    reply(&m, STR("200 OK"), true, from);
}
