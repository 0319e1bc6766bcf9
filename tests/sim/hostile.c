/* Those who mean harm, with luck of their own so that everybody else lives as without them: sweeps,
 * names tried, passwords guessed, calls of others ended, junk; in their own name or in somebody
 * else's. What the shield asks for stands on the board at once, and nobody else may suffer. */
#include "sim.h"

static unsigned luck(struct sim *s, unsigned below)
{
    return rng_below(&s->bad_luck, below);
}

void hostile_heard(struct sim *s, struct str bytes)
{
    static const struct str key = {"nonce=\"", 7};
    struct str nonce;
    size_t at = str_search(bytes, key);
    s->hostile_answers++;
    if (at >= bytes.n)
        return;
    str_cut(str_skip(bytes, at + key.n), '"', &nonce);
    (void)snprintf(s->nonce, sizeof s->nonce, "%.*s", (int)MIN(nonce.n, sizeof s->nonce - 1),
                   nonce.p);
}

static void credentials(struct sim *s, const char *user, const char *uri, char *ret, size_t n)
{
    ret[0] = 0;
    if (!*s->nonce)
        return;
    (void)snprintf(ret, n,
                   "Authorization: Digest username=\"%s\", realm=\"example.com\", nonce=\"%s\", "
                   "uri=\"%s\", algorithm=SHA-256, qop=auth, nc=%08x, cnonce=\"x\", "
                   "response=\"%064x\"\r\n",
                   user, s->nonce, uri, luck(s, 1000), luck(s, 1000000));
}

static int write_one(struct sim *s, char *buf, size_t cap)
{
    static const char *const methods[] = {"OPTIONS", "REGISTER", "INVITE", "BYE", "CANCEL",
                                          "UPDATE",  "MESSAGE",  "REFER",  "ACK", "XYZ"};
    static const char *const users[] = {"alice", "bob", "carol", "100", "admin", "200"};
    const char *method = methods[luck(s, 10)], *user = users[luck(s, 6)];
    unsigned n = s->hostile_sent++;
    char uri[64], auth[600] = "", tag[40] = "";
    if (luck(s, 20) == 0) {
        size_t len = 1 + luck(s, 200);
        for (size_t i = 0; i < len; i++)
            buf[i] = (char)luck(s, 256);
        return (int)len;
    }
    (void)snprintf(uri, sizeof uri, "sip:%s@%s", user, luck(s, 2) ? "example.com" : TEST_OUTSIDE);
    if (luck(s, 2) && strcmp(method, "INVITE") != 0) /* a right guess at a password is no test */
        credentials(s, user, uri, auth, sizeof auth);
    if (luck(s, 3) == 0)
        (void)snprintf(tag, sizeof tag, ";tag=%s%u", luck(s, 2) ? "t" : "aaaaaaaa", luck(s, 400));
    return snprintf(buf, cap,
                    "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP evil.invalid;branch=z9hG4bKevil%u;rport\r\n"
                    "Max-Forwards: %u\r\nFrom: <sip:%s@example.com>;tag=e%u\r\n"
                    "To: <%s>%s\r\nCall-ID: %s%u\r\nCSeq: %u %s\r\n%sUser-Agent: scan\r\n"
                    "Contact: <sip:%s@203.0.113.66>\r\nContent-Length: 0\r\n\r\n",
                    method, uri, n, luck(s, 3) ? 70 : 0, user, n, uri, tag,
                    luck(s, 2) ? "fone-" : "evil", luck(s, 300), luck(s, 9), method, auth, user);
}

/* What engines learn by walking over each other's boards. */
static void known(struct sim *s)
{
    for (unsigned e = 0; e < s->g.n; e++)
        for (unsigned i = 0; i < s->n_ua; i++)
            if (s->ua[i].registered)
                core_known(s->g.core[e], &s->ua[i].addr, instant_add(s->g.now.mono, DUR_S(3600)));
}

void hostile_acts(struct sim *s, void *who, int64_t arg)
{
    static const char *const mine[] = {"203.0.113.66:5060", "203.0.113.77:6000"};
    char buf[4096];
    (void)who;
    (void)arg;
    known(s);
    int n = write_one(s, buf, sizeof buf);
    struct flow f = {.proto = PROTO_UDP, .listener = LISTEN_OUT_UDP};
    f.peer = test_addr(mine[luck(s, 2)]);
    if (luck(s, 10) == 0 && strncmp(buf, "ACK", 3) != 0 && strncmp(buf, "CANCEL", 6) != 0) {
        struct ua *u = &s->ua[luck(s, 4)]; /* in a phone's name; a call of its own he can end so */
        f.peer = u->addr;
        if (strstr(buf, "fone-"))
            return;
    }
    core_message(s->g.core[luck(s, s->g.n)], &f, str_of(buf, (size_t)n), false, s->g.now);
}

void hostile_ban(struct sim *s, struct str bytes)
{
    struct ban b;
    uint32_t slot;
    if (bytes.n != sizeof b)
        sim_fail(s, "a ban of another size", STR_NONE);
    memcpy(&b, bytes.p, sizeof b);
    if (ban_valid(&b, sizeof b) != OK)
        sim_fail(s, "ban is not valid", STR_NONE);
    s->bans++;
    for (unsigned i = 0; i < s->n_ua; i++)
        if ((b.scope == BAN_SOURCE || b.scope == BAN_PAIR) && prefix_has(&b.net, &s->ua[i].addr))
            sim_fail(s, "somebody harmless is banned", str_of(b.why, b.why_n));
    if (b.scope == BAN_AOR)
        sim_fail(s, "a user is locked", str_of(b.who, b.who_n));
    if (ban_put(s->g.bans, TEST_BANS, &b, &slot) != OK)
        sim_fail(s, "the board is full", STR_NONE);
}

struct carried {
    struct obs o;
};

static void observed(struct sim *s, void *who, int64_t engine)
{
    struct carried *x = who;
    core_observe(s->g.core[engine], &x->o, s->g.now);
    free(x);
}

void hostile_observe(struct sim *s, const struct intent *i)
{
    struct carried *x = malloc(sizeof *x);
    memcpy(&x->o, i->bytes.p, sizeof x->o);
    if (obs_valid(&x->o, i->bytes.n) != OK)
        sim_fail(s, "observation is not valid", STR_NONE);
    sim_at(s, 0, observed, x, i->engine);
}

bool hostile_event(const struct event *e)
{
    return e->fn == observed;
}
