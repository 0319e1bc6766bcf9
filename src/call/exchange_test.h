/* For tests only: the fixture's gateway with every service, phones of alice, bob and carol, and
 * single requests and subscriptions among them and a PBX. */
#ifndef CALL_EXCHANGE_TEST_H
#define CALL_EXCHANGE_TEST_H
#include "call/core_fixture.h"
#include "call/exchange.h"

#define BOB  "203.0.113.6:5060"
#define BOB2 "203.0.113.7:5060"
#define PBX2 "198.51.100.11:5060"
#define ALL_SERVICES                                                                               \
    (SERVICE_MESSAGE | SERVICE_MWI | SERVICE_DIALOG | SERVICE_PRESENCE | SERVICE_PUBLISH)

/* A binding without the way to it. */
static inline void bind_phone(struct fixture *x, const char *user, const char *at, uint16_t q)
{
    struct binding b = {.flow = flow_of(at, LISTEN_OUT_UDP), .q = q};
    char aor[64], contact[96];
    (void)snprintf(aor, sizeof aor, "%s@example.com", user);
    (void)snprintf(contact, sizeof contact, "sip:%s@%s", user, at);
    b.aor_len = (uint8_t)strlen(aor);
    memcpy(b.aor, aor, strlen(aor));
    b.contact_len = (uint8_t)strlen(contact);
    memcpy(b.contact, contact, strlen(contact));
    b.aor_hash = location_hash(&x->g.cfg[0].hash_key, str_c(aor));
    b.expires.us = x->g.now.wall.us + 3600 * 1000000ll;
    assert_ok(location_put(x->g.shards[0], &b));
}

static inline int setup_services(void **state)
{
    (void)setup(state);
    struct fixture *x = *state;
    for (unsigned i = 0; i < x->g.policy.n_zones; i++)
        x->g.policy.zones[i].services = ALL_SERVICES;
    bind_phone(x, "bob", BOB, 500);
    return 0;
}

struct say {
    const char *method, *uri, *from, *to, *id, *more, *type, *body;
    int cseq;
};
static inline const char *said(const struct say *s)
{
    static int branch;
    static char line[8192];
    (void)snprintf(line, sizeof line,
                   "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP host.invalid:5060;branch=z9hG4bKe%d;rport\r\n"
                   "Max-Forwards: 20\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"
                   "%s%s%s%sContent-Length: %zu\r\n\r\n%s",
                   s->method, s->uri, ++branch, s->from, s->to, s->id, s->cseq, s->method,
                   s->more ? s->more : "", s->type ? "Content-Type: " : "", s->type ? s->type : "",
                   s->type ? "\r\n" : "", s->body ? strlen(s->body) : 0, s->body ? s->body : "");
    return line;
}

/* alice says it, is asked who she is, proves it. What came of it lies in x->got. */
static inline void alice_says(struct fixture *x, struct say s)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char more[2048];
    message(x, &f, said(&s));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(more, sizeof more, "%s%s", s.more ? s.more : "", credentials(r, s.uri));
    s.more = more;
    s.cseq++;
    message(x, &f, said(&s));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    vault(x, REASON_NONE);
}

/* And the answer begins so. */
static inline void alice_hears(struct fixture *x, struct say s, const char *start)
{
    alice_says(x, s);
    assert_non_null(sent(x, ALICE, start));
}

/* An answer without body. */
static inline const char *answered(const char *req, const char *line, const char *tag,
                                   const char *fields)
{
    struct str to = field(req, "To");
    bool has = strstr(to.p, ";tag=") != NULL;
    return fmt("SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
               "Server: secret/1.0\r\n%sContent-Length: 0\r\n\r\n",
               line, field(req, "Via").p, field(req, "From").p, to.p,
               has ? "" : ";tag=", has ? "" : tag, field(req, "Call-ID").p, field(req, "CSeq").p,
               fields);
}

static inline uint64_t counted(struct fixture *x, enum reason r)
{
    return x->g.counters[0].n[r];
}

static inline void keep(char *to, size_t cap, const char *text)
{
    assert_non_null(text);
    (void)snprintf(to, cap, "%s", text);
}

static inline void none_left(struct fixture *x)
{
    for (int i = 0; i < 3700 && core_usage(x->g.core[0]).exchanges; i++)
        pass_ms(x, 1000); /* until the last subscription has ended */
    nothing_left(x);
    assert_int_equal(core_usage(x->g.core[0]).exchanges, 0);
}

#define FROM_ALICE "\"Alice\" <sip:alice@example.com>;tag=a1"

static const struct say to_bob = {.method = "MESSAGE",
                                  .uri = "sip:bob@example.com",
                                  .from = FROM_ALICE,
                                  .to = "<sip:bob@example.com>",
                                  .id = "m1@alice.invalid",
                                  .more =
                                      "Contact: <sip:alice@203.0.113.5>\r\nUser-Agent: secret\r\n"
                                      "X-Secret: 203.0.113.5\r\nExpires: 60\r\n",
                                  .type = "text/plain;charset=UTF-8",
                                  .body = "hello bob",
                                  .cseq = 1};

static inline struct say to_pbx(void)
{
    struct say s = to_bob;
    s.uri = "sip:200@example.com";
    s.to = "<sip:200@example.com>";
    return s;
}

static inline struct say from_pbx(const char *method, const char *more, const char *type,
                                  const char *body)
{
    return (struct say){.method = method,
                        .uri = "sip:bob@" TEST_INSIDE,
                        .from = "<sip:200@198.51.100.10>;tag=p1",
                        .to = "<sip:bob@" TEST_INSIDE ">",
                        .id = "id-of-pbx",
                        .more = more,
                        .type = type,
                        .body = body,
                        .cseq = 1};
}
#endif
