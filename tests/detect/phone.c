/* Phones as they are: they register, refresh with the nonce they have, call, hold, transfer, hang
 * up and try again when nothing comes back. And the PBX before which they stand. */
#include "identity/digest.h"
#include "tests/detect/detect.h"

#define PBX_LEGS 256u

static const char *user_of(const struct phone *p)
{
    return say("%u", p->number);
}

static const char *sdp_of(const struct phone *p, const char *way)
{
    return say(
        "v=0\r\no=- %u %u IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %u RTP/AVP 8\r\n"
        "a=rtpmap:8 PCMA/8000\r\na=%s\r\n",
        p->number, p->cseq + 1, p->host, p->host, 40000 + p->index * 2, way);
}

static const char *head(struct phone *p, const char *method, const char *uri, const char *from,
                        const char *to, const char *id, unsigned cseq, const char *more,
                        const char *body)
{
    bool old = p->index % 3 == 1; /* a third of the phones has no name of its own */
    const char *type = !body[0]                         ? ""
                       : strcmp(method, "MESSAGE") == 0 ? "Content-Type: text/plain\r\n"
                                                        : "Content-Type: application/sdp\r\n";
    return say("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bKp%u.%u;rport\r\n"
               "Max-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n"
               "Contact: <sip:%s@%s:5060>%s\r\nUser-Agent: Deskphone 7/%u.2\r\n%s%sContent-Length: "
               "%zu\r\n\r\n%s",
               method, uri, p->host, p->index, ++p->serial, from, to, id, cseq, method, user_of(p),
               p->host, old ? "" : say(";+sip.instance=\"<urn:uuid:0-%u>\"", p->number),
               p->index % 5, more, type, strlen(body), body);
}

/* Credentials with the nonce at hand; "" without one. */
static const char *credentials(struct phone *p, const char *method, const char *uri)
{
    static char buf[1024];
    buf[0] = 0;
    if (p->nonce[0])
        digest_for(user_of(p), p->password, p->nonce, ++p->nc, method, uri, buf, sizeof buf);
    return buf;
}

static void learn_nonce(struct phone *p, const char *msg)
{
    (void)snprintf(p->nonce, sizeof p->nonce, "%s",
                   within(part(msg, "WWW-Authenticate"), "nonce=\"", "\""));
    p->nc = 0;
}

/* --- registration --- */

static void send_register(struct world *w, struct phone *p)
{
    const char *me = say("<sip:%u@example.com>", p->number);
    world_say(w, &p->a,
              head(p, "REGISTER", "sip:example.com", say("%s;tag=r%u", me, p->index), me, p->reg_id,
                   ++p->cseq,
                   say("Expires: 600\r\n%s", credentials(p, "REGISTER", "sip:example.com")), ""));
}

static void no_answer(struct world *w, void *phone, int64_t cseq)
{
    struct phone *p = phone;
    if (!p->on || p->last_answer >= cseq || p->cseq != cseq)
        return;
    p->registered = false;
    p->nonce[0] = 0;
    if (!p->pbx)
        phone_register(w, p, 0);
}

void phone_register(struct world *w, void *phone, int64_t arg)
{
    struct phone *p = phone;
    (void)arg;
    if (!p->on)
        return;
    if (!p->keeps_nonce)
        p->nonce[0] = 0;
    send_register(w, p);
    world_at(w, 15 * SECOND + any(w, 3000000), no_answer, p, p->cseq);
}

static void registered(struct world *w, struct phone *p, const char *msg)
{
    unsigned code = code_of(msg);
    p->last_answer = p->cseq;
    if (code == 401 && p->tries++ < 2) {
        learn_nonce(p, msg);
        send_register(w, p);
        world_at(w, 15 * SECOND, no_answer, p, p->cseq);
        return;
    }
    p->registered = code == 200;
    p->nonce[0] = code == 200 ? p->nonce[0] : 0;
    if (code != 200 && p->a.label == GOOD && strcmp(p->password, PASSWORD) == 0)
        p->services_failed++;
    int64_t wait = code == 200 ? p->refresh_s : p->retry_s;
    p->tries = 0;
    if (!p->no_refresh)
        world_at(w, wait * SECOND + any(w, 20) * SECOND, phone_register, p, 0);
}

/* --- calls --- */

static void talk(struct world *w, void *phone, int64_t left)
{
    struct phone *p = phone;
    uint8_t pkt[172] = {0x80, 8, 0, (uint8_t)left};
    if (!p->call.up || !p->call.port)
        return;
    struct addr from = p->a.flow.peer;
    from.port = (uint16_t)(40000 + p->index * 2);
    pkt[11] = (uint8_t)p->index;
    world_rtp(w, &from, p->call.port, pkt, sizeof pkt, GOOD);
    if (left > 1)
        world_at(w, 20 * MS, talk, p, left - 1);
}

static void up(struct world *w, struct phone *p, const char *msg)
{
    const char *port = within(msg, "\r\nm=audio ", " ");
    if (port[0])
        p->call.port = (uint16_t)strtoul(port, NULL, 10);
    if (p->call.up)
        return;
    p->call.up = true;
    p->calls_up++;
    world_at(w, 20 * MS, talk, p, 8);
}

static void in_call(struct world *w, struct phone *p, const char *method, const char *more,
                    const char *body)
{
    world_say(w, &p->a,
              head(p, method, p->call.target, p->call.mine, p->call.theirs, p->call.id,
                   ++p->call.cseq, more, body));
}

void phone_hang_up(struct world *w, void *phone, int64_t serial)
{
    struct phone *p = phone;
    if (p->call.role == CALL_NONE || !p->call.up || p->call.serial != serial)
        return;
    in_call(w, p, "BYE", "", "");
    p->call.role = CALL_NONE;
    p->call.up = false;
}

static void hold(struct world *w, void *phone, int64_t serial)
{
    struct phone *p = phone;
    if (p->call.up && p->call.serial == serial)
        in_call(w, p, "INVITE", "", sdp_of(p, p->hold++ % 2 ? "sendrecv" : "sendonly"));
}

static void transfer(struct world *w, void *phone, int64_t serial)
{
    struct phone *p = phone;
    if (p->call.up && p->call.serial == serial)
        in_call(w, p, "REFER", say("Refer-To: <sip:%u@example.com>\r\n", EXT + any(w, w->n_phones)),
                "");
}

void phone_cancel(struct world *w, void *phone, int64_t serial)
{
    struct phone *p = phone;
    if (p->call.role != CALL_CALLER || p->call.up || p->call.serial != serial)
        return;
    const char *m = head(p, "CANCEL", p->call.target, p->call.mine, p->call.theirs, p->call.id,
                         p->call.cseq, "", "");
    const char *branch = strstr(m, "branch=z9hG4bK");
    const char *end = strchr(branch, ';');
    world_say(w, &p->a, say("%.*sbranch=%s%s", (int)(branch - m), m, p->call.invite_cseq, end));
}

static void invite(struct world *w, struct phone *p)
{
    const char *m =
        head(p, "INVITE", p->call.target, p->call.mine, p->call.theirs, p->call.id, ++p->call.cseq,
             credentials(p, "INVITE", p->call.target), sdp_of(p, "sendrecv"));
    (void)snprintf(p->call.invite_cseq, sizeof p->call.invite_cseq, "%s",
                   within(m, ";branch=", ";"));
    world_say(w, &p->a, m);
}

/* A call that nobody answers is given up by the caller. */
static void given_up(struct world *w, void *phone, int64_t serial)
{
    struct phone *p = phone;
    if (p->call.role == CALL_CALLER && !p->call.up && p->call.serial == serial) {
        phone_cancel(w, p, serial);
        p->call.role = CALL_NONE;
    }
}

void phone_dial(struct world *w, struct phone *p, const char *user)
{
    if (p->call.role != CALL_NONE || !p->on || (!p->registered && p->a.label == GOOD))
        return;
    p->call = (struct leg_of){.role = CALL_CALLER, .serial = ++p->calls_made};
    (void)snprintf(p->call.target, sizeof p->call.target, "sip:%s@example.com", user);
    (void)snprintf(p->call.theirs, sizeof p->call.theirs, "<%s>", p->call.target);
    (void)snprintf(p->call.mine, sizeof p->call.mine, "<sip:%u@example.com>;tag=c%u.%u", p->number,
                   p->index, p->calls_made);
    (void)snprintf(p->call.id, sizeof p->call.id, "c%u.%u.%u@%s", p->index, p->calls_made, w->boots,
                   p->host);
    invite(w, p);
    world_at(w, 25 * SECOND, given_up, p, p->call.serial);
}

void phone_call(struct world *w, void *phone, int64_t number)
{
    struct phone *p = phone;
    if (number < 0)
        phone_dial(w, p, say("%u", 3000 + any(w, 6000))); /* no such extension */
    else if (number > 0)
        phone_dial(w, p, say("0%u", (unsigned)number));
    else if (any(w, 2))
        phone_dial(w, p, say("%u", EXT + any(w, w->n_phones)));
    else
        phone_dial(w, p, say("030%07u", any(w, 9999999)));
}

static void call_answered(struct world *w, struct phone *p, const char *msg, unsigned code)
{
    struct leg_of *c = &p->call;
    const char *cseq = part(msg, "CSeq");
    if (strcmp(part(msg, "Call-ID"), c->id) != 0 || !strstr(cseq, " INVITE") || code < 180)
        return;
    if (code < 300) {
        (void)snprintf(c->theirs, sizeof c->theirs, "%s", part(msg, "To"));
        if (code < 200)
            return;
        (void)snprintf(c->target, sizeof c->target, "%s", within(part(msg, "Contact"), "<", ">"));
        world_say(w, &p->a,
                  head(p, "ACK", c->target, c->mine, c->theirs, c->id,
                       (unsigned)strtoul(cseq, NULL, 10), "", ""));
        bool first = !c->up;
        up(w, p, msg);
        if (!first)
            return;
        int64_t s = p->talk_s ? p->talk_s : 20 + (int64_t)any(w, 120);
        world_at(w, s * SECOND, phone_hang_up, p, c->serial);
        if (p->a.label == GOOD && any(w, 6) == 0) {
            world_at(w, 5 * SECOND, hold, p, c->serial);
            world_at(w, 12 * SECOND, hold, p, c->serial);
        } else if (p->a.label == GOOD && any(w, 20) == 0) {
            world_at(w, 8 * SECOND, transfer, p, c->serial);
        }
        return;
    }
    const char *m = head(p, "ACK", c->target, c->mine, part(msg, "To"), c->id,
                         (unsigned)strtoul(cseq, NULL, 10), "", "");
    const char *branch = strstr(m, "branch=z9hG4bK");
    world_say(w, &p->a,
              say("%.*sbranch=%s%s", (int)(branch - m), m, c->invite_cseq, strchr(branch, ';')));
    if (code == 401 && p->tries++ < 2) {
        learn_nonce(p, msg);
        invite(w, p);
        return;
    }
    p->tries = 0;
    if (!c->up)
        c->role = CALL_NONE;
    p->calls_failed += code != 404 && code != 486 && code != 480 && code != 487;
}

/* --- being called --- */

static const char *reply(struct phone *p, const char *msg, unsigned code, const char *more,
                         const char *body)
{
    const char *to = part(msg, "To");
    return say("SIP/2.0 %u X\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
               "Contact: <sip:%u@%s:5060>\r\n%s%sContent-Length: %zu\r\n\r\n%s",
               code, part(msg, "Via"), part(msg, "From"), to,
               strstr(to, ";tag=") ? "" : say(";tag=u%u", p->index), part(msg, "Call-ID"),
               part(msg, "CSeq"), p->number, p->host, more,
               body[0] ? "Content-Type: application/sdp\r\n" : "", strlen(body), body);
}

struct late {
    struct phone *p;
    uint32_t serial;
    char msg[TEXT_MAX];
};

void phone_picks_up(struct world *w, void *who, int64_t arg)
{
    struct late *l = who;
    struct phone *p = l->p;
    (void)arg;
    if (p->pbx || (p->call.role == CALL_CALLEE && p->call.serial == l->serial)) {
        world_say(w, &p->a, reply(p, l->msg, 200, "", sdp_of(p, "sendrecv")));
        if (!p->pbx)
            up(w, p, l->msg);
        if (p->plan == PLAN_LEAK)
            world_at(w, 3 * SECOND, phone_hang_up, p, -1);
    }
    free(l);
}

static void later(struct world *w, struct phone *p, const char *msg, int64_t us)
{
    struct late *l = malloc(sizeof *l);
    l->p = p;
    l->serial = p->call.serial;
    (void)snprintf(l->msg, sizeof l->msg, "%s", msg);
    world_at(w, us, phone_picks_up, l, 0);
}

static void called(struct world *w, struct phone *p, const char *msg)
{
    bool inside = strstr(part(msg, "To"), ";tag=") != NULL;
    if (p->plan == PLAN_LEAK && !inside) {
        world_say(w, &p->a,
                  reply(p, msg, 401,
                        "WWW-Authenticate: Digest realm=\"example.com\", "
                        "nonce=\"0a1b2c3d\", algorithm=MD5, qop=\"auth\"\r\n",
                        ""));
        return;
    }
    if (inside) {
        world_say(w, &p->a, reply(p, msg, 200, "", sdp_of(p, "sendrecv")));
        return;
    }
    if (p->call.role != CALL_NONE || p->plan == PLAN_BUSY) {
        world_say(w, &p->a, reply(p, msg, 486, "", ""));
        return;
    }
    p->call = (struct leg_of){.role = CALL_CALLEE, .serial = ++p->calls_made};
    (void)snprintf(p->call.id, sizeof p->call.id, "%s", part(msg, "Call-ID"));
    (void)snprintf(p->call.mine, sizeof p->call.mine, "%s;tag=u%u", part(msg, "To"), p->index);
    (void)snprintf(p->call.theirs, sizeof p->call.theirs, "%s", part(msg, "From"));
    (void)snprintf(p->call.target, sizeof p->call.target, "%s",
                   within(part(msg, "Contact"), "<", ">"));
    world_say(w, &p->a, reply(p, msg, 180, "", ""));
    if (p->plan == PLAN_ANSWER && any(w, 8))
        later(w, p, msg, (1 + any(w, 6)) * SECOND);
}

static void asked(struct world *w, struct phone *p, const char *msg)
{
    bool mine = strcmp(part(msg, "Call-ID"), p->call.id) == 0;
    if (strncmp(msg, "INVITE ", 7) == 0) {
        called(w, p, msg);
        return;
    }
    if (strncmp(msg, "ACK ", 4) == 0)
        return;
    if (strncmp(msg, "BYE ", 4) == 0 && p->plan == PLAN_LEAK) {
        world_say(w, &p->a,
                  reply(p, msg, 407,
                        "Proxy-Authenticate: Digest realm=\"example.com\", "
                        "nonce=\"0a1b2c3d\", algorithm=MD5, qop=\"auth\"\r\n",
                        ""));
        p->call.role = CALL_NONE;
        return;
    }
    world_say(w, &p->a, reply(p, msg, 200, "", ""));
    if (strncmp(msg, "CANCEL ", 7) == 0 && mine && p->call.role == CALL_CALLEE && !p->call.up) {
        char *m = (char *)(uintptr_t)say("%s", msg), *c = strstr(m, "\r\nCSeq: ");
        char *e = c ? strstr(c, "CANCEL") : NULL;
        if (e)
            memcpy(e, "INVITE", 6);
        world_say(w, &p->a, reply(p, m, 487, "", ""));
        p->call.role = CALL_NONE;
    }
    if (strncmp(msg, "BYE ", 4) == 0 && mine)
        p->call = (struct leg_of){.serial = p->call.serial};
}

static void phone_hears(struct world *w, struct agent *a, char *msg)
{
    struct phone *p = (struct phone *)a;
    unsigned code = code_of(msg);
    if (!p->on)
        return;
    if (!code) {
        asked(w, p, msg);
    } else if (code >= 200 && strstr(part(msg, "CSeq"), " REGISTER")) {
        if (strtoul(part(msg, "CSeq"), NULL, 10) == p->cseq)
            registered(w, p, msg);
    } else if (strstr(part(msg, "CSeq"), " INVITE")) {
        call_answered(w, p, msg, code);
    } else if (code == 401) { /* MESSAGE, SUBSCRIBE: the nonce is for the next one */
        learn_nonce(p, msg);
    }
}

static void outside_call(struct world *w, struct phone *p, const char *method, const char *to,
                         const char *more, const char *body)
{
    const char *uri = say("sip:%s@example.com", to);
    const char *id = say("x%u.%u@%s", p->index, ++p->calls_made, p->host);
    if (!p->on || !p->registered)
        return;
    world_say(w, &p->a,
              head(p, method, uri, say("<sip:%u@example.com>;tag=x%u", p->number, p->calls_made),
                   say("<%s>", uri), id, ++p->cseq, say("%s%s", more, credentials(p, method, uri)),
                   body));
}

void phone_message(struct world *w, void *phone, int64_t arg)
{
    struct phone *p = phone;
    (void)arg;
    outside_call(w, p, "MESSAGE", say("%u", EXT + any(w, w->n_phones)), "", "lunch?");
}

void phone_watch(struct world *w, void *phone, int64_t arg)
{
    struct phone *p = phone;
    (void)arg;
    outside_call(
        w, p, "SUBSCRIBE", user_of(p),
        "Event: message-summary\r\nExpires: 3600\r\nAccept: application/simple-message-summary\r\n",
        "");
    world_at(w, 3000 * SECOND, phone_watch, p, 0);
}

void phone_init(struct world *w, struct phone *p, unsigned index, struct addr where)
{
    *p = (struct phone){.number = EXT + index,
                        .index = index,
                        .password = PASSWORD,
                        .on = true,
                        .keeps_nonce = index % 4 != 0,
                        .refresh_s = 280,
                        .retry_s = 60};
    p->a = (struct agent){.flow = {.proto = PROTO_UDP, .listener = LISTEN_UDP, .peer = where},
                          .recv = phone_hears,
                          .label = GOOD};
    if (where.port != 5060)
        (void)snprintf(p->host, sizeof p->host, "192.168.1.%u", index % 250 + 2);
    else
        phone_move(w, p, where);
    (void)snprintf(p->reg_id, sizeof p->reg_id, "reg%u@%.40s", index, p->host);
    if (where.port != 5060)
        world_join(w, &p->a);
}

/* To another address (once it lives somewhere, out of the old one). */
void phone_move(struct world *w, struct phone *p, struct addr where)
{
    struct out o = out_of(p->host, sizeof p->host - 1);
    world_leave(w, &p->a);
    p->a.flow.peer = where;
    addr_put_host(&o, &where);
    p->host[o.n] = 0;
    world_join(w, &p->a);
}

/* --- the PBX: it takes what comes by the last digit, and calls phones --- */

static struct phone legs[PBX_LEGS];
static unsigned turn;

static void pbx_hears(struct world *w, struct agent *a, char *msg)
{
    struct phone *p = (struct phone *)a;
    unsigned code = code_of(msg);
    const char *id = part(msg, "Call-ID");
    if (strncmp(id, "pbx-", 4) == 0) {
        struct phone *l = &legs[strtoul(id + 4, NULL, 10) % PBX_LEGS];
        if (code) {
            call_answered(w, l, msg, code);
        } else if (strcmp(id, l->call.id) == 0) {
            world_say(w, a, reply(l, msg, 200, "", ""));
            l->call.role = CALL_NONE;
            l->call.up = false;
        }
        return;
    }
    if (code || strncmp(msg, "ACK ", 4) == 0)
        return;
    if (strncmp(msg, "INVITE ", 7) == 0 && !strstr(part(msg, "To"), ";tag=")) {
        const char *number = within(msg, "sip:", "@");
        char last = number[0] ? number[strlen(number) - 1] : '0';
        world_say(w, a, reply(p, msg, last == '7' ? 486 : 180, "", ""));
        if (last != '7' && last != '9')
            later(w, p, msg, 2 * SECOND);
        return;
    }
    bool sdp = strncmp(msg, "INVITE ", 7) == 0 || strncmp(msg, "UPDATE ", 7) == 0;
    world_say(w, a, reply(p, msg, 200, "", sdp ? sdp_of(p, "sendrecv") : ""));
}

void pbx_dial(struct world *w, unsigned number, const char *from)
{
    struct phone *l = &legs[turn % PBX_LEGS];
    uint32_t made = l->calls_made + 1;
    *l = w->pbx;
    l->calls_made = made;
    l->index = 300 + turn % PBX_LEGS;
    l->serial = turn * 1000;
    l->call = (struct leg_of){.role = CALL_CALLER, .serial = made};
    (void)snprintf(l->call.id, sizeof l->call.id, "pbx-%u", turn++);
    (void)snprintf(l->call.target, sizeof l->call.target, "sip:%u@" INSIDE, number);
    (void)snprintf(l->call.theirs, sizeof l->call.theirs, "<sip:%u@" INSIDE ">", number);
    (void)snprintf(l->call.mine, sizeof l->call.mine, "<sip:%s@198.51.100.10>;tag=p%u", from, turn);
    invite(w, l);
    world_at(w, 20 * SECOND, given_up, l, made);
}

void pbx_call(struct world *w, void *unused, int64_t number)
{
    (void)unused;
    pbx_dial(w, number ? (unsigned)number : EXT + any(w, w->n_phones),
             say("030%07u", any(w, 9999999)));
}

void pbx_init(struct world *w)
{
    struct phone *p = &w->pbx;
    memset(legs, 0, sizeof legs);
    turn = 0;
    *p = (struct phone){.index = 299, .on = true, .pbx = true, .talk_s = 40};
    p->a = (struct agent){.flow = {.proto = PROTO_UDP, .listener = LISTEN_LAN, .peer = at(PBX_AT)},
                          .recv = pbx_hears,
                          .label = GOOD};
    (void)snprintf(p->host, sizeof p->host, "198.51.100.10");
    world_join(w, &p->a);
}
