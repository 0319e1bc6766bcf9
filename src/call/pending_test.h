/* For tests only: a request on its way to the vault, and the vault's word. */
#ifndef CALL_PENDING_TEST_H
#define CALL_PENDING_TEST_H
#include "call/exchange_test.h"

static struct sip_msg msg;

static inline struct core *core_at(struct fixture *x)
{
    struct core *c = x->g.core[0];
    c->now = x->g.now;
    return c;
}

static inline uint32_t waiting(struct fixture *x)
{
    return core_usage(x->g.core[0]).pending;
}

static inline void parse(const char *text)
{
    struct sip_error e;
    assert_ok(sip_parse(str_c(text), false, &msg, &e));
}

/* The last question; kind 0: none. */
static inline struct ask asked(struct fixture *x)
{
    struct ask q = {0};
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK) {
            memcpy(&q, x->text[i], MIN(sizeof q, sizeof x->text[i]));
            assert_ok(ask_valid(&q, x->got[i].bytes.n));
        }
    return q;
}

static inline void says(struct fixture *x, uint32_t id, enum ask_kind kind, enum reason why)
{
    struct answer a = {.id = id, .kind = (uint8_t)kind, .reason = (uint16_t)why};
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
}

/* Alice registers or calls, as far as the question to the vault. */
static inline uint32_t begins(struct fixture *x, const char *method, const char *id,
                              const char *uri)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=r1",
                      contact[] = "Contact: <sip:alice@203.0.113.5:5060>\r\n";
    bool invite = strcmp(method, "INVITE") == 0;
    const char *to = invite ? "<sip:200@example.com>" : "<sip:alice@example.com>";
    char more[1400];
    message(x, &f, request(method, uri, from, to, id, 1, contact, invite ? SDP_A : ""));
    (void)snprintf(more, sizeof more, "%s%s", contact,
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
    message(x, &f, request(method, uri, from, to, id, 2, more, invite ? SDP_A : ""));
    assert_int_equal(sent(x, ALICE, "SIP/2.0 100 ") != NULL, invite);
    assert_int_equal(asked(x).kind, ASK_VERIFY);
    return asked(x).id;
}
#endif
