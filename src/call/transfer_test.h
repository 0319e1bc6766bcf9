/* For tests only: a call between the PBX and alice, and bob, to whom she transfers it. */
#ifndef CALL_TRANSFER_TEST_H
#define CALL_TRANSFER_TEST_H
#include "call/core_fixture.h"

#define BOB "203.0.113.6:5060"
#define SDP_B                                                                                      \
    "v=0\r\no=- 5 1 IN IP4 203.0.113.6\r\ns=bob\r\nc=IN IP4 203.0.113.6\r\nt=0 0\r\n"              \
    "m=audio 4400 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
#define CALLER "<sip:200@198.51.100.10>;tag=p1"

static inline void register_bob(struct fixture *x)
{
    struct flow f = flow_of(BOB, LISTEN_OUT_UDP);
    static const char from[] = "<sip:bob@example.com>;tag=r2", to[] = "<sip:bob@example.com>";
    char auth[1280], who[1024];
    message(x, &f,
            request("REGISTER", "sip:example.com", from, to, "reg2", 1,
                    "Contact: <sip:bob@203.0.113.6:5060>\r\n", ""));
    (void)snprintf(who, sizeof who, "%s",
                   credentials(sent(x, BOB, "SIP/2.0 401 "), "sip:example.com"));
    memcpy(strstr(who, "\"alice\""), "\"bob\"  ", 7);
    (void)snprintf(auth, sizeof auth, "Contact: <sip:bob@203.0.113.6:5060>\r\n%s", who);
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg2", 2, auth, ""));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, BOB, "SIP/2.0 200 "));
}

struct scene {
    char a[4096], p[4096]; /* INVITE to alice; 200 to the PBX */
    char near[4096], far[4096], notify[4096];
    char from[512]; /* alice in her dialog */
    int cseq;
};

static inline void scene(struct fixture *x, struct scene *s)
{
    memset(s, 0, sizeof *s);
    x->g.policy.zones[ZONE_PHONES].services = SERVICE_TRANSFER;
    call_up(x, s->a, s->p, sizeof s->a);
    (void)snprintf(s->from, sizeof s->from, "%s;tag=a1", field(s->a, "To").p);
    register_bob(x);
    s->cseq = 6;
}

/* From alice, in her dialog. */
static inline void alice(struct fixture *x, struct scene *s, const char *method, const char *more)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    message(x, &f,
            request(method, "sip:x@" TEST_OUTSIDE, s->from, field(s->a, "From").p,
                    field(s->a, "Call-ID").p, s->cseq++, more, ""));
}

static inline void pbx(struct fixture *x, struct scene *s, const char *method, int cseq)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f,
            request(method, "sip:x@" TEST_INSIDE, CALLER, field(s->p, "To").p, "id-of-pbx", cseq,
                    "", ""));
}

static inline void answer_from(struct fixture *x, const char *who, const char *req, unsigned code,
                               const char *sdp)
{
    struct flow f = flow_of(who, str_eq(str_c(who), STR(PBX)) ? LISTEN_IN_UDP : LISTEN_OUT_UDP);
    char contact[64];
    (void)snprintf(contact, sizeof contact, "x@%s", who);
    message(x, &f, answer(req, code, "t9", contact, sdp));
}

/* REFER to bob: accepted, and he is called in the PBX caller's name with what that one can do. */
static inline void refer(struct fixture *x, struct scene *s, const char *more)
{
    alice(x, s, "REFER", more);
    assert_non_null(sent(x, ALICE, "SIP/2.0 202 "));
    const char *inv = sent(x, BOB, "INVITE sip:bob@203.0.113.6:5060 SIP/2.0");
    assert_non_null(inv);
    assert_non_null(strstr(inv, "From: \"Bob\" <sip:200@example.com>") ?: strstr(inv, "<sip:200@"));
    assert_non_null(strstr(inv, "m=audio "));
    assert_null(strstr(inv, "198.51.100"));
    assert_null(strstr(inv, "203.0.113.5"));
    (void)snprintf(s->far, sizeof s->far, "%s", inv);
}

static inline void notified(struct fixture *x, const char *status, const char *state)
{
    const char *n = sent(x, ALICE, "NOTIFY ");
    assert_non_null(n);
    assert_non_null(strstr(n, status));
    assert_non_null(strstr(n, state));
    assert_non_null(strstr(n, "Content-Type: message/sipfrag;version=2.0"));
    assert_str(field(n, "Event"), "refer");
}

/* The target answers; the caller at the PBX is asked and agrees. */
static inline void join(struct fixture *x, struct scene *s)
{
    answer_from(x, BOB, s->far, 200, SDP_B);
    assert_non_null(sent(x, BOB, "ACK "));
    const char *re = sent(x, PBX, "INVITE ");
    assert_non_null(re);
    assert_non_null(strstr(re, "m=audio "));
    assert_null(strstr(re, "203.0.113"));
    (void)snprintf(s->near, sizeof s->near, "%s", re);
    answer_from(x, PBX, s->near, 200, SDP_P);
    assert_non_null(sent(x, PBX, "ACK "));
}

static inline void still_up(struct fixture *x, struct scene *s)
{
    pass_ms(x, 1);
    struct core_usage u = core_usage(x->g.core[0]);
    assert_int_equal(u.calls, 1);
    assert_int_equal(u.legs, 2);
    assert_null(sent(x, PBX, "BYE "));
    assert_null(sent(x, ALICE, "BYE "));
    alice(x, s, "BYE", "");
    assert_non_null(sent(x, PBX, "BYE "));
    nothing_left(x);
}
#endif
