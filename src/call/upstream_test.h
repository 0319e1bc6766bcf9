/* For tests only: alice's phone here, and the PBX at which we register her. */
#ifndef CALL_UPSTREAM_TEST_H
#define CALL_UPSTREAM_TEST_H
#include "call/core_fixture.h"

#define AOR "<sip:alice@example.com>"

static inline struct flow alice(void)
{
    return flow_of(ALICE, LISTEN_OUT_UDP);
}

static inline struct flow pbx(void)
{
    return flow_of(PBX, LISTEN_IN_UDP);
}

static inline void front(struct fixture *x)
{
    x->g.policy.peers[0].fronts = 1u << ZONE_PHONES;
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    collect(x);
}

static inline void own(struct fixture *x, uint32_t seconds)
{
    x->g.policy.peers[0].register_s = seconds;
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    collect(x);
}

/* alice once more, with these header lines; leaves the answer in x. */
static inline void alice_again(struct fixture *x, int cseq, const char *lines)
{
    static const char from[] = "<sip:alice@example.com>;tag=r1";
    struct flow f = alice();
    char auth[1400];
    message(x, &f, request("REGISTER", "sip:example.com", from, AOR, "reg1", cseq, lines, ""));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(auth, sizeof auth, "%s%s", lines, credentials(r, "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, AOR, "reg1", cseq + 1, auth, ""));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
}

/* An answer to a REGISTER of ours. */
static inline void answered(struct fixture *x, const char *req, unsigned code, const char *more)
{
    struct flow f = pbx();
    message(x, &f,
            fmt("SIP/2.0 %u X\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=p\r\nCall-ID: %s\r\nCSeq: %s\r\n"
                "%sContent-Length: 0\r\n\r\n",
                code, field(req, "Via").p, field(req, "From").p, field(req, "To").p,
                field(req, "Call-ID").p, field(req, "CSeq").p, more));
}

/* Time in steps until a REGISTER goes to that peer; NULL if none did. Everything else is let pass.
 */
static inline const char *wait_register(struct fixture *x, const char *to, int64_t most_ms,
                                        int64_t *ret_ms)
{
    const char *m = NULL;
    int64_t ms = 0;
    for (; ms < most_ms && !m; ms += 100) {
        pass_ms(x, 100);
        m = sent(x, to, "REGISTER ");
    }
    if (ret_ms)
        *ret_ms = ms;
    return m;
}

static char kept[4096];
static inline const char *keep(const char *m)
{
    assert_non_null(m);
    (void)snprintf(kept, sizeof kept, "%s", m);
    return kept;
}

static inline const struct fact *fact_of(struct fixture *x)
{
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const struct fact *)(const void *)x->text[i];
        if (x->got[i].kind == INTENT_FACT && f->kind == FACT_UPSTREAM)
            return f;
    }
    return NULL;
}

/* alice is registered here and there; kept holds our REGISTER. */
static inline void alice_fronted(struct fixture *x, const char *granted)
{
    front(x);
    register_alice(x);
    keep(wait_register(x, PBX, 500, NULL));
    answered(x, kept, 200, granted);
    assert_non_null(fact_of(x));
}
#endif
