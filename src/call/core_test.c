/* One core, one call at a time: what goes in and what comes out, message by message. */
#include "call/core_test.h"

struct fixture {
    struct gateway g;
    struct intent got[64];
    size_t n_got;
    char text[64][4096];
};

static struct flow flow_of(const char *peer, uint8_t listener)
{
    return (struct flow){.proto = PROTO_UDP, .listener = listener, .peer = test_addr(peer)};
}

static void collect(struct fixture *x)
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

static void message(struct fixture *x, const struct flow *f, const char *text)
{
    core_message(x->g.core[0], f, str_c(text), false, x->g.now);
    collect(x);
}

static void pass_ms(struct fixture *x, int64_t ms)
{
    x->g.now.mono.us += ms * 1000;
    x->g.now.wall.us += ms * 1000;
    core_tick(x->g.core[0], x->g.now);
    collect(x);
}

/* The n-th message to that peer whose first line starts so; NULL if there is none. */
static const char *sent(struct fixture *x, const char *peer, const char *start)
{
    struct addr a = test_addr(peer);
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_SEND && addr_eq(&x->got[i].flow.peer, &a) &&
            strncmp(x->text[i], start, strlen(start)) == 0)
            return x->text[i];
    return NULL;
}

static struct str field(const char *msg, const char *name)
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

static char line[8192];
static const char *fmt(const char *f, ...) __attribute__((format(printf, 1, 2)));
static const char *fmt(const char *f, ...)
{
    va_list ap;
    va_start(ap, f);
    (void)vsnprintf(line, sizeof line, f, ap);
    va_end(ap);
    return line;
}

/* An answer of a peer to what we sent it. */
static const char *answer(const char *req, unsigned code, const char *tag, const char *contact,
                          const char *sdp)
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

static const char *request(const char *method, const char *uri, const char *from, const char *to,
                           const char *id, int cseq, const char *more, const char *sdp)
{
    static int branch;
    return fmt("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP host.invalid:5060;branch=z9hG4bKb%d;rport\r\n"
               "Max-Forwards: 20\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n%s"
               "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
               method, uri, ++branch, from, to, id, cseq, method, more, strlen(sdp), sdp);
}

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    gateway_init(&x->g, 1, 1);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;
    gateway_done(&x->g);
    free(x);
    return 0;
}

/* Everything is given back, once the transactions have lingered. */
static void nothing_left(struct fixture *x)
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
static void vault(struct fixture *x, enum reason r)
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

static const char *credentials(const char *challenge, const char *uri)
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

static void register_alice(struct fixture *x)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=r1", to[] = "<sip:alice@example.com>";
    message(x, &f,
            request("REGISTER", "sip:example.com", from, to, "reg1", 1,
                    "Contact: <sip:alice@203.0.113.5:5060>\r\n", ""));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    char auth[1024];
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

static void test_register(void **state)
{
    struct fixture *x = *state;
    register_alice(x);
    nothing_left(x);
}

static void test_register_refused(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=r1", to[] = "<sip:alice@example.com>";
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg1", 1, "", ""));
    char auth[1024];
    (void)snprintf(auth, sizeof auth, "%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg1", 2, auth, ""));
    vault(x, REASON_auth_failed);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_int_equal(x->g.counters[0].n[REASON_auth_failed], 1);
    /* A vault that says nothing. */
    (void)snprintf(auth, sizeof auth, "%s", "");
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg2", 1, "", ""));
    (void)snprintf(auth, sizeof auth, "%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "reg2", 2, auth, ""));
    pass_ms(x, 2100);
    assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
    nothing_left(x);
}

/* The PBX calls alice. */
static void ring_alice(struct fixture *x, char *ret_invite, size_t cap)
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

static void call_up(struct fixture *x, char *to_alice, char *to_pbx, size_t cap)
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

static unsigned count_facts(struct fixture *x, enum fact_kind k)
{
    unsigned n = 0;
    for (size_t i = 0; i < x->n_got; i++)
        n += x->got[i].kind == INTENT_FACT &&
             ((const struct fact *)(const void *)x->text[i])->kind == k;
    return n;
}

static void test_call_bye_by_caller(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096], bye[4096];
    call_up(x, a, p, sizeof a);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    assert_non_null(sent(x, ALICE, "BYE sip:alice@203.0.113.5 SIP/2.0"));
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    (void)snprintf(bye, sizeof bye, "%s", sent(x, ALICE, "BYE "));
    message(x, &fa, answer(bye, 200, "", "alice@203.0.113.5", ""));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

static void test_call_bye_by_callee(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096];
    call_up(x, a, p, sizeof a);
    char to[512];
    (void)snprintf(to, sizeof to, "%s;tag=a1", field(a, "To").p);
    /* From another address of the zone it must prove itself: 401, and the call stays. */
    struct flow other = flow_of("203.0.113.66:5060", LISTEN_OUT_UDP);
    message(x, &other,
            request("BYE", "sip:x@" TEST_OUTSIDE, to, field(a, "From").p, field(a, "Call-ID").p, 1,
                    "", ""));
    assert_non_null(sent(x, "203.0.113.66:5060", "SIP/2.0 401 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    message(x, &fa,
            request("BYE", "sip:x@" TEST_OUTSIDE, to, field(a, "From").p, field(a, "Call-ID").p, 2,
                    "", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_non_null(sent(x, PBX, "BYE sip:200@198.51.100.10:5060 SIP/2.0"));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    /* Both at once: the other side's BYE finds its leg just ended. */
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    nothing_left(x);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 3, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
}

static void test_call_refused_and_cancelled(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    char invite[4096];
    register_alice(x);
    ring_alice(x, invite, sizeof invite);
    message(x, &fa, answer(invite, 486, "a1", "alice@203.0.113.5", ""));
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_non_null(sent(x, PBX, "SIP/2.0 486 "));
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    nothing_left(x);
    /* Nobody answers: the ringing ends by itself. */
    ring_alice(x, invite, sizeof invite);
    message(x, &fa, answer(invite, 180, "a1", "alice@203.0.113.5", ""));
    bool told = false;
    for (int i = 0; i < 610 && !told; i++) {
        pass_ms(x, 100);
        told = sent(x, PBX, "SIP/2.0 480 ") != NULL;
    }
    assert_true(told);
    assert_non_null(sent(x, ALICE, "CANCEL "));
    (void)fp;
    nothing_left(x);
}

static void test_unknown_source(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of("198.18.0.1:5060", LISTEN_OUT_UDP);
    message(x, &f,
            request("INVITE", "sip:alice@example.com", "<sip:x@example.com>;tag=1",
                    "<sip:alice@example.com>", "u1", 1, "Contact: <sip:x@198.18.0.1>\r\n", SDP_A));
    assert_null(sent(x, "198.18.0.1:5060", "SIP"));
    assert_int_equal(x->g.counters[0].n[REASON_zone_unknown_source], 1);
    message(x, &f, "garbage\r\n\r\n");
    assert_null(sent(x, "198.18.0.1:5060", "SIP"));
    nothing_left(x);
}

/* Every cell of the call's table: set cells lead to a state that exists, and the unset ones are the
 * ones that we know. */
static void test_cells(void **state)
{
    (void)state;
    static const char *const want[CALL_STATES] = {
        [CALL_FREE] = "--------",     [CALL_TRYING] = "xxxx-xxx", [CALL_EARLY] = "xxxx-xxx",
        [CALL_ANSWERED] = "----xxxx", [CALL_UP] = "-----xxx",     [CALL_CLOSING] = "----xx-x"};
    for (uint8_t s = 0; s < CALL_STATES; s++)
        for (unsigned e = 0; e < CALL_EVENTS; e++) {
            uint8_t next = 99;
            bool set = call_cell(s, (enum call_event)e, &next);
            assert_int_equal(want[s][e] == 'x', set);
            assert_true(!set || next < CALL_STATES);
            assert_true(*call_state_name(s) != '?');
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_register, setup, teardown),
        cmocka_unit_test_setup_teardown(test_register_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_bye_by_caller, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_bye_by_callee, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_refused_and_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_source, setup, teardown),
        cmocka_unit_test(test_cells),
    };
    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
