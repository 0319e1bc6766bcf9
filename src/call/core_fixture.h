/* For tests only: one core, alice's phone and a PBX, message by message. */
#ifndef CALL_CORE_FIXTURE_H
#define CALL_CORE_FIXTURE_H
#include "call/core_test.h"

struct fixture {
    struct gateway g;
    struct intent got[64];
    size_t n_got;
    char text[64][4096];
};

static inline struct flow flow_of(const char *peer, uint8_t listener)
{
    return (struct flow){.proto = PROTO_UDP, .listener = listener, .peer = test_addr(peer)};
}

static inline void collect(struct fixture *x)
{
    struct intents *i = &x->g.intents[0];
    x->n_got = 0;
    for (size_t k = 0; k < i->n && x->n_got < 64; k++) {
        x->got[x->n_got] = i->v[k];
        size_t n = MIN(i->v[k].bytes.n, sizeof x->text[0] - 1);
        memcpy(x->text[x->n_got], i->v[k].bytes.p, n);
        x->text[x->n_got][n] = 0;
        x->n_got++;
    }
    assert_int_equal(i->lost, 0);
    intents_reset(i);
}

static inline void message(struct fixture *x, const struct flow *f, const char *text)
{
    core_message(x->g.core[0], f, str_c(text), false, x->g.now);
    collect(x);
}

static inline void pass_ms(struct fixture *x, int64_t ms)
{
    x->g.now.mono.us += ms * 1000;
    x->g.now.wall.us += ms * 1000;
    core_tick(x->g.core[0], x->g.now);
    collect(x);
}

/* The n-th message to that peer whose first line starts so; NULL if there is none. */
static inline const char *sent(struct fixture *x, const char *peer, const char *start)
{
    struct addr a = test_addr(peer);
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_SEND && addr_eq(&x->got[i].flow.peer, &a) &&
            strncmp(x->text[i], start, strlen(start)) == 0)
            return x->text[i];
    return NULL;
}

static inline struct str field(const char *msg, const char *name)
{
    static char buf[8][1024];
    static int turn;
    char key[64];
    (void)snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *p = strstr(msg, key);
    assert_non_null(p);
    p += strlen(key);
    size_t n = (size_t)(strstr(p, "\r\n") - p);
    turn = (turn + 1) % 8;
    memcpy(buf[turn], p, n);
    buf[turn][n] = 0;
    return str_of(buf[turn], n);
}

#define ALICE "203.0.113.5:5060"
#define PBX   "198.51.100.10:5060"
#define SDP_A                                                                                      \
    "v=0\r\no=- 77 1 IN IP4 203.0.113.5\r\ns=alice\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n"           \
    "m=audio 4000 RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\n"
#define SDP_P                                                                                      \
    "v=0\r\no=pbx 99 1 IN IP4 198.51.100.10\r\ns=pbx\r\nc=IN IP4 198.51.100.10\r\nt=0 0\r\n"       \
    "m=audio 6000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"

__attribute__((format(printf, 1, 2))) static inline const char *fmt(const char *f, ...)
{
    static char line[8192];
    va_list ap;
    va_start(ap, f);
    (void)vsnprintf(line, sizeof line, f, ap);
    va_end(ap);
    return line;
}

/* An answer of a peer to what we sent it. */
static inline const char *answer(const char *req, unsigned code, const char *tag,
                                 const char *contact, const char *sdp)
{
    struct str to = field(req, "To");
    bool has = strstr(to.p, ";tag=") != NULL;
    return fmt("SIP/2.0 %u X\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
               "Contact: <sip:%s>\r\nServer: secret/1.0\r\nContent-Type: application/sdp\r\n"
               "Content-Length: %zu\r\n\r\n%s",
               code, field(req, "Via").p, field(req, "From").p, to.p,
               has ? "" : ";tag=", has ? "" : tag, field(req, "Call-ID").p, field(req, "CSeq").p,
               contact, strlen(sdp), sdp);
}

static inline const char *request(const char *method, const char *uri, const char *from,
                                  const char *to, const char *id, int cseq, const char *more,
                                  const char *sdp)
{
    static int branch;
    return fmt("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP host.invalid:5060;branch=z9hG4bKb%d;rport\r\n"
               "Max-Forwards: 20\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n%s"
               "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
               method, uri, ++branch, from, to, id, cseq, method, more, strlen(sdp), sdp);
}

static inline int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    gateway_init(&x->g, 1, 1);
    *state = x;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *x = *state;
    gateway_done(&x->g);
    free(x);
    return 0;
}

/* Everything is given back, once the transactions have lingered. */
static inline void nothing_left(struct fixture *x)
{
    for (int i = 0; i < 700; i++)
        pass_ms(x, 100);
    struct core_usage u = core_usage(x->g.core[0]);
    assert_int_equal(u.calls, 0);
    assert_int_equal(u.legs, 0);
    assert_int_equal(u.transactions, 0);
    assert_int_equal(u.pending, 0);
    assert_int_equal(u.blocks_used, 0);
    assert_int_equal(u.media.legs, 0);
    assert_int_equal(u.media.ports_taken, 0);
}

/* The vault says yes to what was asked. */
static inline void vault(struct fixture *x, enum reason r)
{
    struct ask q;
    size_t i = 0;
    while (i < x->n_got && x->got[i].kind != INTENT_ASK)
        i++;
    assert_true(i < x->n_got);
    memcpy(&q, x->text[i], MIN(sizeof q, sizeof x->text[i]));
    struct answer a = {.id = q.id, .kind = q.kind, .reason = (uint16_t)r};
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
}

static inline const char *credentials(const char *challenge, const char *uri)
{
    static char buf[1024];
    const char *n = strstr(challenge, "nonce=\"") + 7;
    (void)snprintf(buf, sizeof buf,
                   "Authorization: Digest username=\"alice\", realm=\"example.com\", "
                   "nonce=\"%.*s\", uri=\"%s\", algorithm=SHA-256, qop=auth, nc=00000001, "
                   "cnonce=\"abc\", response=\"%064d\"\r\n",
                   (int)(strchr(n, '"') - n), n, uri, 0);
    return buf;
}

static inline void register_alice(struct fixture *x)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=r1", to[] = "<sip:alice@example.com>";
    message(x, &f,
            request("REGISTER", "sip:example.com", from, to, "reg1", 1,
                    "Contact: <sip:alice@203.0.113.5:5060>\r\n", ""));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    char auth[1280];
    (void)snprintf(auth, sizeof auth, "Contact: <sip:alice@203.0.113.5:5060>\r\n%s",
                   credentials(r, "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg1", 2, auth, ""));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    vault(x, REASON_NONE);
    r = sent(x, ALICE, "SIP/2.0 200 ");
    assert_non_null(r);
    assert_non_null(strstr(r, "Contact: <sip:alice@203.0.113.5:5060>;expires=600"));
    assert_int_equal(core_usage(x->g.core[0]).bindings, 1);
}

/* The PBX calls alice. */
static inline void ring_alice(struct fixture *x, char *ret_invite, size_t cap)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f,
            request("INVITE", "sip:alice@" TEST_INSIDE, "\"Bob\" <sip:200@198.51.100.10>;tag=p1",
                    "<sip:alice@" TEST_INSIDE ">", "id-of-pbx", 1,
                    "Contact: <sip:200@198.51.100.10:5060>\r\nUser-Agent: secret/2\r\n"
                    "X-Secret: 198.51.100.10\r\nP-Asserted-Identity: <sip:200@198.51.100.10>\r\n",
                    SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 100 "));
    const char *inv = sent(x, ALICE, "INVITE sip:alice@203.0.113.5:5060 SIP/2.0");
    assert_non_null(inv);
    assert_null(strstr(inv, "198.51.100"));
    assert_null(strstr(inv, "secret"));
    assert_null(strstr(inv, "id-of-pbx"));
    assert_null(strstr(inv, TEST_INSIDE));
    assert_str(field(inv, "Max-Forwards"), "19");
    assert_true(str_starts(field(inv, "From"), STR("\"Bob\" <sip:200@example.com>;tag=")));
    (void)snprintf(ret_invite, cap, "%s", inv);
}

static inline void call_up(struct fixture *x, char *to_alice, char *to_pbx, size_t cap)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    char invite[4096];
    register_alice(x);
    ring_alice(x, invite, sizeof invite);
    message(x, &fa, answer(invite, 180, "a1", "alice@203.0.113.5", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 180 "));
    message(x, &fa, answer(invite, 200, "a1", "alice@203.0.113.5", SDP_A));
    const char *ok = sent(x, PBX, "SIP/2.0 200 "), *ack = sent(x, ALICE, "ACK ");
    assert_non_null(ok);
    assert_non_null(ack);
    assert_null(strstr(ok, "203.0.113"));
    assert_null(strstr(ok, "secret"));
    assert_non_null(strstr(ok, "c=IN IP4 " TEST_INSIDE));
    (void)snprintf(to_pbx, cap, "%s", ok);
    (void)snprintf(to_alice, cap, "%s", invite);
    message(x, &fp,
            request("ACK", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    field(to_pbx, "To").p, "id-of-pbx", 1, "", ""));
    struct core_usage u = core_usage(x->g.core[0]);
    assert_int_equal(u.calls, 1);
    assert_int_equal(u.legs, 2);
}

static inline unsigned count_facts(struct fixture *x, enum fact_kind k)
{
    unsigned n = 0;
    for (size_t i = 0; i < x->n_got; i++)
        n += x->got[i].kind == INTENT_FACT &&
             ((const struct fact *)(const void *)x->text[i])->kind == k;
    return n;
}

#endif
