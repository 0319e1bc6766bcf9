/* Attacks on calls and registrations, and by those who have an account. */
#include "tests/detect/attack.h"

struct phone lines[LINES];

/* An account in bad hands: several lines of one user at one address. */
static void account(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct addr a = at("192.0.2.67:5060");
        a.port = (uint16_t)(5060 + i);
        phone_init(w, &lines[i], w->n_phones, at("192.0.2.67:5060"));
        phone_move(w, &lines[i], a);
        lines[i].index += i;
        lines[i].a.label = BAD;
        (void)snprintf(lines[i].reg_id, sizeof lines[i].reg_id, "line%u@bad", i);
    }
    (void)snprintf(w->insider, sizeof w->insider, "%u@", lines[0].number);
    world_at(w, MINUTE, phone_register, &lines[0], 0);
}

/* Honest until the attack begins. */
static void honest(struct world *w, void *unused, int64_t arg)
{
    (void)unused, (void)arg;
    w->began = false;
    w->bad_packets = 0;
}

void insider_attacks(struct world *w, unsigned n, int64_t every, shot_fn *shot)
{
    account(w, n);
    world_at(w, BEFORE - 1, honest, NULL, 0);
    attack(w, 1, every, shot, NULL);
}

/* --- registration --- */

static void hijack_hears(struct world *w, struct agent *a, char *msg)
{
    struct thug *t = (struct thug *)a;
    char buf[1024];
    if (code_of(msg) != 401)
        return;
    (void)snprintf(t->nonce, sizeof t->nonce, "%s",
                   within(part(msg, "WWW-Authenticate"), "nonce=\"", "\""));
    digest_for(t->user, PASSWORD, t->nonce, 1, "REGISTER", "sip:example.com", buf, sizeof buf);
    world_say(w, a,
              stranger(t, "REGISTER", "sip:example.com", t->user,
                       say("User-Agent: other/1\r\n%s", buf), ""));
}
static void hijack_shot(struct world *w, struct thug *t, unsigned n)
{
    (void)snprintf(t->user, sizeof t->user, "%u", EXT + 25 + n % 3);
    world_say(w, &t->a,
              stranger(t, "REGISTER", "sip:example.com", t->user, "User-Agent: other/1\r\n", ""));
}
void hijack(struct world *w, int level)
{
    attack(w, 1, pace(HOUR, MINUTE, SECOND)[level], hijack_shot, hijack_hears);
    thug_moves(w, &thugs[0], at("198.19.7.7:5060"));
    (void)snprintf(w->victim, sizeof w->victim, "10"); /* all of the office are attacked */
}

/* --- calls of others --- */

static struct phone *in_call(struct world *w)
{
    for (unsigned i = 0; i < w->n_phones; i++) {
        struct phone *p = &w->phones[any(w, w->n_phones)];
        if (p->call.up)
            return p;
    }
    return NULL;
}
static void teardown_shot(struct world *w, struct thug *t, unsigned n)
{
    static const char *const methods[] = {"BYE", "CANCEL", "INVITE"};
    const char *m = methods[n % 3];
    struct phone *p = in_call(w);
    t->sent++;
    if (p && n % 4 < 2) /* what a listener on the wire has seen */
        world_say(w, &t->a,
                  say("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKd%u;rport\r\n"
                      "Max-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n"
                      "Contact: <sip:x@10.1.1.1>\r\nContent-Length: 0\r\n\r\n",
                      m, p->call.target, n, p->call.mine, p->call.theirs, p->call.id,
                      p->call.cseq + 1, m));
    else
        world_say(
            w, &t->a,
            say("%s sip:1003@" OUTSIDE " SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1;branch="
                "z9hG4bKd%u;rport\r\nMax-Forwards: 70\r\nFrom: <sip:1003@example.com>;tag=%u\r\n"
                "To: <sip:1004@example.com>;tag=%u\r\nCall-ID: %u@10.1.1.1\r\nCSeq: 2 %s\r\n"
                "Contact: <sip:x@10.1.1.1>\r\nContent-Length: 0\r\n\r\n",
                m, n, any(w, 1u << 30), any(w, 1u << 30), any(w, 1u << 30), m));
}
void teardown(struct world *w, int level)
{
    attack(w, 1, pace(2 * MINUTE, 2 * SECOND, 20 * MS)[level], teardown_shot, NULL);
}

/* --- accounts in bad hands --- */

static void leak_shot(struct world *w, struct thug *t, unsigned n)
{
    struct phone *p = &w->phones[any(w, w->n_phones)];
    (void)t, (void)n;
    phone_dial(w, p, say("%u", lines[0].number));
}
void digest_leak(struct world *w, int level)
{
    insider_attacks(w, 1, pace(10 * MINUTE, 20 * SECOND, 2 * SECOND)[level], leak_shot);
    lines[0].plan = PLAN_LEAK;
}

static void sdp_hears(struct world *w, struct agent *a, char *msg)
{
    struct phone *p = (struct phone *)a;
    (void)w;
    if (code_of(msg) != 401)
        return;
    (void)snprintf(p->nonce, sizeof p->nonce, "%s",
                   within(part(msg, "WWW-Authenticate"), "nonce=\"", "\""));
    p->nc = 0;
}
static void sdp_shot(struct world *w, struct thug *t, unsigned n)
{
    static const char *const evil[] = {
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 22 "
        "RTP/AVP 8\r\n",
        "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 255.255.255.255\r\nt=0 0\r\nm=audio "
        "99999 "
        "RTP/AVP 8\r\n",
        "v=0\r\no=- 99999999999999999999999999 1 IN IP4 a\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/AVP "
        "8888888888888888\r\na=rtpmap:\r\n",
        "v=0\r\nv=0\r\nv=0\r\n\r\nm=\r\n",
    };
    struct phone *p = &lines[0];
    char buf[1024] = "";
    const char *uri = "sip:1003@example.com";
    (void)t;
    p->a.recv = sdp_hears;
    if (p->nonce[0])
        digest_for(say("%u", p->number), PASSWORD, p->nonce, ++p->nc, "INVITE", uri, buf,
                   sizeof buf);
    const char *body = evil[n % ARRAY_LEN(evil)];
    world_say(w, &p->a,
              say("INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKe%u;rport\r\n"
                  "Max-Forwards: 70\r\nFrom: <sip:%u@example.com>;tag=%u\r\nTo: <%s>\r\nCall-ID: "
                  "e%u@bad\r\nCSeq: 1 INVITE\r\nContact: <sip:x@10.1.1.1>\r\n%sContent-Type: "
                  "application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
                  uri, n, p->number, n, uri, n, buf, strlen(body), body));
}
void sdp(struct world *w, int level)
{
    insider_attacks(w, 1, pace(5 * MINUTE, 5 * SECOND, 100 * MS)[level], sdp_shot);
}

static void wangiri_shot(struct world *w, struct thug *t, unsigned n)
{
    struct phone *p = &lines[n % LINES];
    (void)t;
    p->registered = true;
    p->call.role = CALL_NONE;
    phone_dial(w, p, say("+88213%06u", any(w, 999999)));
    world_at(w, 1500 * MS, phone_cancel, p, p->call.serial);
}
void wangiri(struct world *w, int level)
{
    insider_attacks(w, LINES, pace(3 * MINUTE, 15 * SECOND, SECOND)[level], wangiri_shot);
}

static void robocall_shot(struct world *w, struct thug *t, unsigned n)
{
    struct phone *p = &lines[n % LINES];
    (void)t;
    p->registered = true;
    p->talk_s = 4;
    phone_dial(w, p, say("030%07u", any(w, 9999999)));
}
void robocall(struct world *w, int level)
{
    insider_attacks(w, LINES, pace(2 * MINUTE, 10 * SECOND, SECOND)[level], robocall_shot);
}

static void tdos_shot(struct world *w, struct thug *t, unsigned n)
{
    (void)t;
    world_bad(w);
    pbx_dial(w, EXT + 12, say("0%u%07u", 30 + n % 60, any(w, 9999999)));
}
void tdos(struct world *w, int level)
{
    (void)snprintf(w->victim, sizeof w->victim, "%d", EXT + 12);
    attack(w, 1, pace(30 * SECOND, 3 * SECOND, 100 * MS)[level], tdos_shot, NULL);
    thugs[0].a.label = GOOD; /* no address of theirs is ever seen */
}
