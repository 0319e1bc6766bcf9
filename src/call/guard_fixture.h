/* For tests only: attackers before one or more cores, and the monitor played by the test: what is
 * asked for stands on the board at once. */
#ifndef CALL_GUARD_FIXTURE_H
#define CALL_GUARD_FIXTURE_H
#include "call/core_fixture.h"

#define MALLORY "203.0.113.66:5060"
#define OFFICE  "203.0.113.100"
struct scene {
    struct fixture x;
    struct ban asked[64];
    struct fact alerts[64];
    unsigned n_asked, n_alerts, n_evidence, n_observed;
    char evidence[2048];
    uint64_t evidence_id;
    bool quiet; /* nobody plays the monitor */
};

static inline struct flow stream_of(const char *peer)
{
    struct flow f = {.proto = PROTO_TLS, .listener = LISTEN_OUT_TLS, .peer = test_addr(peer)};
    f.conn = (struct handle){1u + f.peer.port, 1};
    return f;
}

static inline void board_put(struct scene *s, const struct ban *b)
{
    uint32_t slot;
    assert_ok(ban_put(s->x.g.bans, TEST_BANS, b, &slot));
}

static inline struct ban ban_on(const char *source, enum treat t)
{
    struct ban b = {.scope = BAN_SOURCE, .treat = (uint8_t)t, .times = 1, .by = BY_ADMIN};
    b.net = (struct prefix){test_addr(source), 32};
    b.net.a.port = 0;
    return b;
}

static inline void monitor(struct scene *s)
{
    struct fixture *x = &s->x;
    size_t n = x->n_got;
    for (size_t i = 0; i < n; i++) {
        const struct fact *f = (const void *)x->text[i];
        if (x->got[i].kind == INTENT_OBSERVE)
            s->n_observed++;
        if (x->got[i].kind == INTENT_BAN && s->n_asked < ARRAY_LEN(s->asked)) {
            struct ban *b = &s->asked[s->n_asked++];
            memcpy(b, x->text[i], sizeof *b);
            assert_ok(ban_valid(b, sizeof *b));
            if (!s->quiet)
                board_put(s, b);
        }
        if (x->got[i].kind != INTENT_FACT)
            continue;
        assert_ok(fact_valid(f, f->bytes));
        if (f->kind == FACT_ALERT && s->n_alerts < ARRAY_LEN(s->alerts))
            s->alerts[s->n_alerts] = *f;
        s->n_alerts += f->kind == FACT_ALERT;
        if (f->kind == FACT_EVIDENCE) {
            s->n_evidence++;
            s->evidence_id = f->u.evidence.id;
            memcpy(s->evidence, f->u.evidence.p, f->u.evidence.n);
            s->evidence[f->u.evidence.n] = 0;
        }
    }
}

/* One message, and what the shield makes of it. */
static inline void hit(struct scene *s, const struct flow *f, const char *text)
{
    message(&s->x, f, text);
    monitor(s);
}

static inline void says(struct scene *s, enum reason r)
{
    vault(&s->x, r);
    monitor(s);
}

static inline unsigned alerts_of(const struct scene *s, enum detector d)
{
    unsigned n = 0;
    for (unsigned i = 0; i < MIN(s->n_alerts, (unsigned)ARRAY_LEN(s->alerts)); i++)
        n += s->alerts[i].u.alert.detector == d && s->alerts[i].u.alert.by == BY_DETECTOR;
    return n;
}

static inline int scene_setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    gateway_init(&s->x.g, 1, 1);
    *state = s;
    return 0;
}

static inline int scene_done(void **state)
{
    struct scene *s = *state;
    gateway_done(&s->x.g);
    free(s);
    return 0;
}

/* Anybody's request outside of a dialog. */
static inline const char *stranger(const char *method, const char *uri, const char *who,
                                   const char *more)
{
    static unsigned n;
    static char contact[2048];
    char from[200], to[200], id[40];
    (void)snprintf(from, sizeof from, "<sip:%s@example.com>;tag=m%u", who, n);
    bool own = strcmp(method, "REGISTER") == 0;
    (void)snprintf(to, sizeof to, "<sip:%s@example.com>", own ? who : "somebody");
    (void)snprintf(id, sizeof id, "stranger%u", n++);
    (void)snprintf(contact, sizeof contact, "Contact: <sip:%s@203.0.113.66>\r\n%s", who, more);
    return request(method, uri, from, to, id, 1, contact,
                   strcmp(method, "INVITE") == 0 ? SDP_A : "");
}

/* The password that somebody tries. */
static inline const char *tries(const char *challenge, const char *user, const char *uri)
{
    static char buf[1024];
    const char *n = strstr(challenge, "nonce=\"") + 7;
    (void)snprintf(buf, sizeof buf,
                   "Authorization: Digest username=\"%s\", realm=\"example.com\", "
                   "nonce=\"%.*s\", uri=\"%s\", algorithm=SHA-256, qop=auth, nc=00000001, "
                   "cnonce=\"abc\", response=\"%064d\"\r\n",
                   user, (int)(strchr(n, '"') - n), n, uri, 7);
    return buf;
}

/* A REGISTER with credentials, and what the vault says. false: it is not even challenged. */
static inline bool registers(struct scene *s, const struct flow *f, const char *user,
                             enum reason verdict)
{
    char from[ADDR_TEXT_MAX + 1] = "", auth[1400];
    struct out o = out_of(from, sizeof from - 1);
    addr_put(&o, &f->peer);
    hit(s, f, stranger("REGISTER", "sip:example.com", user, ""));
    const char *r = sent(&s->x, from, "SIP/2.0 401 ");
    if (!r)
        return false;
    (void)snprintf(auth, sizeof auth, "%s", tries(r, user, "sip:example.com"));
    hit(s, f, stranger("REGISTER", "sip:example.com", user, auth));
    for (size_t i = 0; i < s->x.n_got; i++)
        if (s->x.got[i].kind == INTENT_ASK) {
            says(s, verdict);
            return true;
        }
    return false;
}
#endif
