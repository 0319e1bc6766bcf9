/* Transfers: blind, attended, by INVITE with Replaces; refused, failing, overtaken by hang-ups. */
#include "call/core_fixture.h"

#define BOB "203.0.113.6:5060"
#define SDP_B                                                                                      \
    "v=0\r\no=- 5 1 IN IP4 203.0.113.6\r\ns=bob\r\nc=IN IP4 203.0.113.6\r\nt=0 0\r\n"              \
    "m=audio 4400 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
#define CALLER "<sip:200@198.51.100.10>;tag=p1"

static void register_bob(struct fixture *x)
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

static void scene(struct fixture *x, struct scene *s)
{
    memset(s, 0, sizeof *s);
    x->g.policy.zones[ZONE_PHONES].services = SERVICE_TRANSFER;
    call_up(x, s->a, s->p, sizeof s->a);
    (void)snprintf(s->from, sizeof s->from, "%s;tag=a1", field(s->a, "To").p);
    register_bob(x);
    s->cseq = 6;
}

/* From alice, in her dialog. */
static void alice(struct fixture *x, struct scene *s, const char *method, const char *more)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    message(x, &f,
            request(method, "sip:x@" TEST_OUTSIDE, s->from, field(s->a, "From").p,
                    field(s->a, "Call-ID").p, s->cseq++, more, ""));
}

static void pbx(struct fixture *x, struct scene *s, const char *method, int cseq)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f,
            request(method, "sip:x@" TEST_INSIDE, CALLER, field(s->p, "To").p, "id-of-pbx", cseq,
                    "", ""));
}

static void answer_from(struct fixture *x, const char *who, const char *req, unsigned code,
                        const char *sdp)
{
    struct flow f = flow_of(who, str_eq(str_c(who), STR(PBX)) ? LISTEN_IN_UDP : LISTEN_OUT_UDP);
    char contact[64];
    (void)snprintf(contact, sizeof contact, "x@%s", who);
    message(x, &f, answer(req, code, "t9", contact, sdp));
}

/* REFER to bob: accepted, and he is called in the PBX caller's name with what that one can do. */
static void refer(struct fixture *x, struct scene *s, const char *more)
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

static void notified(struct fixture *x, const char *status, const char *state)
{
    const char *n = sent(x, ALICE, "NOTIFY ");
    assert_non_null(n);
    assert_non_null(strstr(n, status));
    assert_non_null(strstr(n, state));
    assert_non_null(strstr(n, "Content-Type: message/sipfrag;version=2.0"));
    assert_str(field(n, "Event"), "refer");
}

/* The target answers; the caller at the PBX is asked and agrees. */
static void join(struct fixture *x, struct scene *s)
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

/* Alice answers the NOTIFY that came last: only then does the BYE behind it leave. */
static void bye_behind_notify(struct fixture *x, unsigned code)
{
    char n[4096];
    (void)snprintf(n, sizeof n, "%s", sent(x, ALICE, "NOTIFY "));
    assert_null(sent(x, ALICE, "BYE "));
    answer_from(x, ALICE, n, code, "");
    const char *bye = sent(x, ALICE, "BYE ");
    assert_non_null(bye);
    assert_string_equal(field(bye, "Call-ID").p, field(n, "Call-ID").p);
    assert_int_equal(strtol(field(bye, "CSeq").p, NULL, 10),
                     strtol(field(n, "CSeq").p, NULL, 10) + 1);
}

static void test_blind(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    notified(x, "SIP/2.0 100 ", "Subscription-State: active");
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
    answer_from(x, BOB, s.far, 180, "");
    notified(x, "SIP/2.0 180 ", "Subscription-State: active");
    join(x, &s);
    notified(x, "SIP/2.0 200 ", "Subscription-State: terminated;reason=noresource");
    assert_int_equal(count_facts(x, FACT_TRANSFER), 1);
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    bye_behind_notify(x, 200);
    struct core_usage u = core_usage(x->g.core[0]);
    assert_int_equal(u.calls, 1);
    assert_int_equal(u.legs, 2);
    assert_int_equal(u.media.legs, 2);
    /* What comes now from the PBX is bob's. */
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, CALLER, field(s.p, "To").p, "id-of-pbx", 2,
                    "Contact: <sip:200@198.51.100.10>\r\n", SDP_P));
    const char *hold = sent(x, BOB, "INVITE ");
    assert_non_null(hold);
    (void)snprintf(s.far, sizeof s.far, "%s", hold);
    answer_from(x, BOB, s.far, 200, SDP_B);
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    pbx(x, &s, "ACK", 2);
    pbx(x, &s, "BYE", 3);
    assert_non_null(sent(x, BOB, "BYE "));
    nothing_left(x);
}

/* Who transfers hangs up at once (RFC 5589 6.1): the caller waits for bob. */
static void test_blind_bye_first(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    alice(x, &s, "BYE", "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_null(sent(x, PBX, "BYE "));
    assert_null(sent(x, BOB, "CANCEL "));
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP); /* who waits cannot hold who has gone */
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, CALLER, field(s.p, "To").p, "id-of-pbx", 2,
                    "Contact: <sip:200@198.51.100.10>\r\n", SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 491 "));
    pbx(x, &s, "ACK", 2);
    join(x, &s);
    assert_non_null(sent(x, ALICE, "NOTIFY "));
    assert_null(sent(x, ALICE, "BYE "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pbx(x, &s, "BYE", 3);
    assert_non_null(sent(x, BOB, "BYE "));
    nothing_left(x);
}

/* ... and if bob does not come there is nobody left for the caller. */
static void test_blind_bye_then_busy(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    alice(x, &s, "BYE", "");
    answer_from(x, BOB, s.far, 486, "");
    assert_non_null(sent(x, PBX, "BYE "));
    assert_null(sent(x, ALICE, "BYE "));
    nothing_left(x);
}

static void still_up(struct fixture *x, struct scene *s)
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

static void test_target_busy(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 486, "");
    notified(x, "SIP/2.0 486 ", "terminated;reason=noresource");
    assert_int_equal(count_facts(x, FACT_TRANSFER), 1);
    still_up(x, &s);
}

static void test_no_answer(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 180, "");
    for (int i = 0; i < 601 && !count_facts(x, FACT_TRANSFER); i++)
        pass_ms(x, 100);
    notified(x, "SIP/2.0 480 ", "terminated;reason=noresource");
    assert_non_null(sent(x, BOB, "CANCEL "));
    still_up(x, &s);
}

/* The caller's phone does not take the re-INVITE: bob is let go, the call stays. */
static void test_near_refuses(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 488, "");
    assert_non_null(sent(x, BOB, "BYE "));
    notified(x, "SIP/2.0 488 ", "terminated;reason=noresource");
    still_up(x, &s);
}

/* The caller's side offers at the same time: asked again later. */
static void test_near_glare(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 491, "");
    assert_null(sent(x, BOB, "BYE "));
    for (int i = 0; i < 41 && !sent(x, PBX, "INVITE "); i++) {
        assert_true(i >= 20 || !sent(x, PBX, "INVITE "));
        pass_ms(x, 100);
    }
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 200, SDP_P);
    assert_non_null(strstr(sent(x, ALICE, "NOTIFY "), "SIP/2.0 200 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pbx(x, &s, "BYE", 2);
    nothing_left(x);
}

/* A trunk wants credentials for the re-INVITE. */
static void test_near_challenged(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    struct scene s;
    char text[4096], rest[4096];
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    (void)snprintf(text, sizeof text, "%s", answer(s.near, 401, "t9", "x@198.51.100.10", ""));
    char *at = strstr(text, "Server: ");
    (void)snprintf(rest, sizeof rest, "%s", at);
    (void)snprintf(at, sizeof text - (size_t)(at - text),
                   "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\", algorithm=SHA-256, "
                   "qop=\"auth\"\r\n%s",
                   rest);
    message(x, &fp, text);
    struct ask q = {0};
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK)
            memcpy(&q, x->text[i], MIN(sizeof q, sizeof x->text[i]));
    struct answer a = {.id = q.id, .kind = ASK_RESPOND, .n = 64};
    memset(a.bytes, 'd', 64);
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
    const char *re = sent(x, PBX, "INVITE ");
    assert_non_null(re);
    assert_non_null(strstr(re, "Authorization: Digest "));
    (void)snprintf(s.near, sizeof s.near, "%s", re);
    answer_from(x, PBX, s.near, 200, SDP_P);
    assert_non_null(sent(x, ALICE, "NOTIFY "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pbx(x, &s, "BYE", 2);
    nothing_left(x);
}

/* Bob hangs up while the caller is asked: its yes comes too late and it is led back to alice. */
static void test_target_leaves_in_between(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    char to[512];
    (void)snprintf(to, sizeof to, "%s;tag=t9", field(s.far, "To").p);
    message(x, &fb,
            request("BYE", "sip:x@" TEST_OUTSIDE, to, field(s.far, "From").p,
                    field(s.far, "Call-ID").p, 1, "", ""));
    assert_non_null(sent(x, BOB, "SIP/2.0 200 "));
    notified(x, "SIP/2.0 480 ", "terminated;reason=noresource");
    answer_from(x, PBX, s.near, 200, SDP_P);
    const char *back = sent(x, PBX, "INVITE ");
    assert_non_null(back);
    (void)snprintf(s.near, sizeof s.near, "%s", back);
    answer_from(x, PBX, s.near, 200, SDP_P);
    assert_null(sent(x, PBX, "INVITE "));
    still_up(x, &s);
}

/* The caller hangs up while bob rings. */
static void test_caller_leaves(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 180, "");
    pbx(x, &s, "BYE", 2);
    assert_non_null(sent(x, BOB, "CANCEL "));
    assert_non_null(strstr(sent(x, ALICE, "NOTIFY "), "SIP/2.0 487 "));
    bye_behind_notify(x, 481);
    nothing_left(x);
}

/* A phone that answers no NOTIFY gets its BYE when the NOTIFY has had its time; one that answered
 * before the call ends gets it at once. */
static void test_notify_unanswered(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char n[4096];
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 180, "");
    pbx(x, &s, "BYE", 2);
    (void)snprintf(n, sizeof n, "%s", sent(x, ALICE, "NOTIFY "));
    answer_from(x, ALICE, n, 100, ""); /* provisional: goes on waiting */
    assert_null(sent(x, ALICE, "BYE "));
    int ms = 0;
    while (!sent(x, ALICE, "BYE ")) {
        pass_ms(x, 100);
        assert_true((ms += 100) <= 33000);
    }
    assert_true(ms > 31000);
    nothing_left(x);
}

static void test_refused(void **state)
{
    static const struct {
        const char *to;
        const char *code;
        uint8_t services;
    } rows[] = {
        {"Refer-To: <sip:bob@example.com>\r\n", "SIP/2.0 603 ", 0},
        {"Refer-To: <sip:bob@example.com>\r\n", "SIP/2.0 202 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:bob@example.org>\r\n", "SIP/2.0 403 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:nobody@example.com>\r\n", "SIP/2.0 404 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:0900123@example.com>\r\n", "SIP/2.0 403 ", SERVICE_TRANSFER},
        {"Refer-To: <tel:0900123>\r\n", "SIP/2.0 403 ", SERVICE_TRANSFER},
        {"Refer-To: <mailto:bob@example.com>\r\n", "SIP/2.0 416 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:bob@example.com;method=BYE>\r\n", "SIP/2.0 400 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:bob@example.com?Replaces=x>\r\n", "SIP/2.0 400 ", SERVICE_TRANSFER},
        {"Refer-To: <sip:bob@example.com?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>\r\n",
         "SIP/2.0 404 ", SERVICE_TRANSFER},
        {"", "SIP/2.0 400 ", SERVICE_TRANSFER},
        {"Refer-To: %%%\r\n", "SIP/2.0 400 ", SERVICE_TRANSFER}};
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    struct policy *p = &x->g.policy;
    memmove(&p->routes[1], &p->routes[0], p->n_routes++ * sizeof p->routes[0]);
    p->routes[0].pattern = test_text(p, "0900.");
    p->routes[0].to = ROUTE_REFUSE;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        x->g.policy.zones[ZONE_PHONES].services = rows[i].services;
        alice(x, &s, "REFER", rows[i].to);
        if (!sent(x, ALICE, rows[i].code))
            fail_msg("row %zu: %.40s", i, x->text[0]);
        if (i == 1) { /* one at a time */
            (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
            alice(x, &s, "REFER", rows[i].to);
            assert_non_null(sent(x, ALICE, "SIP/2.0 491 "));
            answer_from(x, BOB, s.far, 486, "");
        }
        assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    }
    still_up(x, &s);
}

/* No new calls, no transfers to one; joining those that are there goes on. */
static void test_draining(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    core_drain(x->g.core[0], true);
    alice(x, &s, "REFER", "Refer-To: <sip:bob@example.com>\r\n");
    assert_non_null(strstr(sent(x, ALICE, "SIP/2.0 503 "), "Retry-After: "));
    still_up(x, &s);
}

/* RFC 4488: no subscription was wanted. The second REFER is named in its notifications. */
static void test_quiet_and_named(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    alice(x, &s, "REFER", "Refer-To: <sip:bob@example.com>\r\nRefer-Sub: false\r\n");
    assert_non_null(strstr(sent(x, ALICE, "SIP/2.0 202 "), "Refer-Sub: false"));
    assert_null(sent(x, ALICE, "NOTIFY "));
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s.far, 486, "");
    assert_null(sent(x, ALICE, "NOTIFY "));
    alice(x, &s, "REFER", "Refer-To: <sip:bob@example.com>\r\n");
    assert_str(field(sent(x, ALICE, "NOTIFY "), "Event"), "refer;id=7");
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s.far, 486, "");
    still_up(x, &s);
}

/* Outside of a call nobody is called for anybody. */
static void test_outside(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    x->g.policy.zones[ZONE_PBX].services = SERVICE_TRANSFER;
    message(x, &fp,
            request("REFER", "sip:alice@" TEST_INSIDE, CALLER, "<sip:alice@" TEST_INSIDE ">", "r1",
                    1, "Refer-To: <sip:bob@example.com>\r\nContact: <sip:x@198.51.100.10>\r\n",
                    ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 403 "));
    nothing_left(x);
}

/* --- attended --- */

/* Alice calls bob, beside her call with the PBX. s->far: what bob got; ret_replaces names it. */
static void consult(struct fixture *x, struct scene *s, char *ret_replaces, size_t cap)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=c1", to[] = "<sip:bob@example.com>",
                      uri[] = "sip:bob@example.com";
    char auth[1400], ok[4096];
    message(
        x, &fa,
        request("INVITE", uri, from, to, "c1@a", 1, "Contact: <sip:alice@203.0.113.5>\r\n", SDP_A));
    (void)snprintf(auth, sizeof auth, "Contact: <sip:alice@203.0.113.5>\r\n%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
    message(x, &fa, request("INVITE", uri, from, to, "c1@a", 2, auth, SDP_A));
    vault(x, REASON_NONE);
    (void)snprintf(s->far, sizeof s->far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s->far, 200, SDP_B);
    (void)snprintf(ok, sizeof ok, "%s", sent(x, ALICE, "SIP/2.0 200 "));
    message(x, &fa,
            request("ACK", "sip:x@" TEST_OUTSIDE, from, field(ok, "To").p, "c1@a", 2, "", ""));
    struct str tag = field(ok, "To");
    const char *at = strstr(tag.p, ";tag=") + 5;
    (void)snprintf(
        ret_replaces, cap,
        "Refer-To: <sip:bob@example.com?Replaces=c1%%40a%%3Bto-tag%%3D%s%%3Bfrom-tag%%3Dc1>"
        "\r\n",
        at);
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
}

static void test_attended(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char to[512];
    scene(x, &s);
    consult(x, &s, to, sizeof to);
    alice(x, &s, "REFER", to);
    assert_non_null(sent(x, ALICE, "SIP/2.0 202 "));
    notified(x, "SIP/2.0 100 ", "active");
    const char *re = sent(x, BOB, "INVITE ");
    assert_non_null(re);
    (void)snprintf(s.far, sizeof s.far, "%s", re);
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 200, SDP_P);
    notified(x, "SIP/2.0 200 ", "terminated;reason=noresource");
    unsigned byes = 0;
    for (size_t i = 0; i < x->n_got; i++)
        byes += strncmp(x->text[i], "BYE ", 4) == 0;
    assert_int_equal(byes, 1); /* alice's of the second call; that of the first waits */
    char n[4096];
    (void)snprintf(n, sizeof n, "%s", sent(x, ALICE, "NOTIFY "));
    answer_from(x, ALICE, n, 200, "");
    assert_non_null(sent(x, ALICE, "BYE "));
    struct core_usage u = core_usage(x->g.core[0]);
    assert_int_equal(u.calls, 1);
    assert_int_equal(u.legs, 2);
    pbx(x, &s, "BYE", 2);
    assert_non_null(sent(x, BOB, "BYE "));
    nothing_left(x);
}

/* The first of the two refuses; or the second, and the first is led back. */
static void test_attended_refused(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char to[512];
    scene(x, &s);
    consult(x, &s, to, sizeof to);
    alice(x, &s, "REFER", to);
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s.far, 488, "");
    notified(x, "SIP/2.0 488 ", "terminated");
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
    alice(x, &s, "REFER", to);
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 488, "");
    assert_non_null(strstr(sent(x, ALICE, "NOTIFY "), "SIP/2.0 488 "));
    const char *back = sent(x, BOB, "INVITE ");
    assert_non_null(back);
    (void)snprintf(s.far, sizeof s.far, "%s", back);
    answer_from(x, BOB, s.far, 200, SDP_B);
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
    /* Bob ends the consultation, then alice the other. */
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    char who[512];
    (void)snprintf(who, sizeof who, "%s%s", field(s.far, "To").p, "");
    message(x, &fb,
            request("BYE", "sip:x@" TEST_OUTSIDE, who, field(s.far, "From").p,
                    field(s.far, "Call-ID").p, 1, "", ""));
    assert_non_null(sent(x, ALICE, "BYE "));
    answer_from(x, ALICE, sent(x, ALICE, "BYE "), 200, "");
    still_up(x, &s);
}

/* Legs of others are not hers to join, nor is the far side of her own call. */
static void test_attended_of_others(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char to[512], other[512];
    scene(x, &s);
    consult(x, &s, to, sizeof to);
    (void)snprintf(other, sizeof other,
                   "Refer-To: <sip:bob@example.com?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3Dt9>"
                   "\r\n",
                   field(s.far, "Call-ID").p, strstr(field(s.far, "From").p, ";tag=") + 5);
    alice(x, &s, "REFER", other);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    (void)snprintf(other, sizeof other,
                   "Refer-To: <sip:200@example.com?Replaces=id-of-pbx%%3Bto-tag%%3D%s"
                   "%%3Bfrom-tag%%3Dp1>\r\n",
                   strstr(field(s.p, "To").p, ";tag=") + 5);
    alice(x, &s, "REFER", other);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
    pbx(x, &s, "BYE", 2);
    answer_from(x, ALICE, sent(x, ALICE, "BYE "), 200, "");
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    char who[512];
    (void)snprintf(who, sizeof who, "%s;tag=t9", field(s.far, "To").p);
    message(x, &fb,
            request("BYE", "sip:x@" TEST_OUTSIDE, who, field(s.far, "From").p,
                    field(s.far, "Call-ID").p, 1, "", ""));
    nothing_left(x);
}

/* Alice leaves both calls before they are one, and bob then goes away: nobody is left over. */
static void test_attended_byes(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char to[512];
    scene(x, &s);
    consult(x, &s, to, sizeof to);
    alice(x, &s, "REFER", to);
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    alice(x, &s, "BYE", "");
    answer_from(x, BOB, s.far, 408, "");
    assert_non_null(sent(x, PBX, "BYE "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

/* --- INVITE with Replaces --- */

static const char *replacing(const struct scene *s, const char *more)
{
    static char text[1024];
    struct str call = field(s->a, "Call-ID"), from = field(s->a, "From");
    const char *tag = strstr(from.p, ";tag=") + 5;
    (void)snprintf(text, sizeof text,
                   "Contact: <sip:210@198.51.100.10>\r\nReplaces: %s;to-tag=%s;from-tag=a1%s\r\n",
                   call.p, tag, more);
    return text;
}

static void replace(struct fixture *x, const struct scene *s, int cseq, const char *more,
                    const char *sdp)
{
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char id[16];
    (void)snprintf(id, sizeof id, "id-%d", cseq);
    message(x, &fp,
            request("INVITE", "sip:anything@" TEST_INSIDE, "<sip:210@198.51.100.10>;tag=q1",
                    "<sip:alice@" TEST_INSIDE ">", id, cseq, replacing(s, more), sdp));
}

/* The PBX takes over alice's side of the call with its own caller 200. */
static void test_replaces(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    replace(x, &s, 1, "", SDP_P);
    assert_non_null(sent(x, PBX, "SIP/2.0 603 ")); /* its zone may not */
    x->g.policy.zones[ZONE_PBX].services = SERVICE_TRANSFER;
    replace(x, &s, 2, ";early-only", SDP_P);
    assert_non_null(sent(x, PBX, "SIP/2.0 486 "));
    replace(x, &s, 3, "", "");
    assert_non_null(sent(x, PBX, "SIP/2.0 488 "));
    replace(x, &s, 4, "", SDP_P);
    assert_null(sent(x, PBX, "SIP/2.0 4"));
    const char *re = sent(x, PBX, "INVITE ");
    assert_non_null(re);
    (void)snprintf(s.near, sizeof s.near, "%s", re);
    answer_from(x, PBX, s.near, 200, SDP_P);
    const char *ok = sent(x, PBX, "SIP/2.0 200 ");
    assert_non_null(ok);
    char to[512];
    (void)snprintf(to, sizeof to, "%s", field(ok, "To").p);
    assert_non_null(strstr(ok, "m=audio "));
    assert_non_null(sent(x, ALICE, "BYE "));
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp,
            request("ACK", "sip:x@" TEST_INSIDE, "<sip:210@198.51.100.10>;tag=q1", to, "id-4", 4,
                    "", ""));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    assert_int_equal(core_usage(x->g.core[0]).legs, 2);
    replace(x, &s, 5, "", SDP_P); /* that leg has gone */
    assert_non_null(sent(x, PBX, "SIP/2.0 603 "));
    pbx(x, &s, "BYE", 2);
    assert_non_null(sent(x, PBX, "BYE "));
    nothing_left(x);
}

static void test_replaces_refused(void **state)
{
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct scene s;
    scene(x, &s);
    x->g.policy.zones[ZONE_PBX].services = SERVICE_TRANSFER;
    /* Bob has no part in that call. */
    static const char from[] = "<sip:bob@example.com>;tag=b1", to[] = "<sip:x@example.com>",
                      uri[] = "sip:x@example.com";
    char auth[2400], who[1024];
    message(x, &fb, request("INVITE", uri, from, to, "k1", 1, replacing(&s, ""), SDP_B));
    (void)snprintf(who, sizeof who, "%s", credentials(sent(x, BOB, "SIP/2.0 401 "), uri));
    memcpy(strstr(who, "\"alice\""), "\"bob\"  ", 7);
    (void)snprintf(auth, sizeof auth, "%s%s", replacing(&s, ""), who);
    message(x, &fb, request("INVITE", uri, from, to, "k1", 2, auth, SDP_B));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, BOB, "SIP/2.0 403 "));
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, "<sip:210@198.51.100.10>;tag=q1",
                    "<sip:x@" TEST_INSIDE ">", "k2", 1,
                    "Contact: <sip:210@198.51.100.10>\r\n"
                    "Replaces: none;to-tag=a;from-tag=b\r\n",
                    SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, "<sip:210@198.51.100.10>;tag=q1",
                    "<sip:x@" TEST_INSIDE ">", "k3", 1,
                    "Contact: <sip:210@198.51.100.10>\r\nReplaces: none;to-tag=a\r\n", SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 400 "));
    /* The one that would be kept refuses. */
    replace(x, &s, 4, "", SDP_P);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 488, "");
    assert_non_null(sent(x, PBX, "SIP/2.0 488 "));
    still_up(x, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blind_bye_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blind_bye_then_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_target_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_glare, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_challenged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_target_leaves_in_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caller_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notify_unanswered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_draining, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quiet_and_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attended_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attended_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attended_byes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaces_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
