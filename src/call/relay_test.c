/* Requests within a call from end to end: what may pass and when, as what it arrives, what is told
 * of the answer, and that a refusal leaves everything as it was. */
#include "call/exchange_test.h"
#include "call/transfer_test.h"

#define CONTACT "Contact: <sip:200@198.51.100.10:5060>\r\n"

static char at_alice[4096], at_pbx[4096]; /* INVITE; 2xx */
static struct leg *a, *b;                 /* of the PBX; of alice */
static int cseq;
static char last[8192]; /* of the PBX */

static int up(void **state)
{
    uint32_t it = 0;
    (void)setup(state);
    struct fixture *x = *state;
    call_up(x, at_alice, at_pbx, sizeof at_alice);
    for (struct leg *l; (l = pool_next(&x->g.core[0]->legs, &it));)
        *(l->side == 'a' ? &a : &b) = l;
    cseq = 10;
    return 0;
}

static struct fixture *anew(void **state)
{
    (void)teardown(state);
    (void)up(state);
    return *state;
}

static void pbx_says(struct fixture *x, const char *method, const char *more, const char *type,
                     const char *body)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    struct say s = {.method = method,
                    .uri = "sip:x@" TEST_INSIDE,
                    .from = CALLER,
                    .to = field(at_pbx, "To").p,
                    .id = "id-of-pbx",
                    .more = more,
                    .type = type,
                    .body = body,
                    .cseq = cseq++};
    keep(last, sizeof last, said(&s));
    message(x, &f, last);
}

static void offers(struct fixture *x, const char *method)
{
    pbx_says(x, method, CONTACT "User-Agent: secret\r\nX-Secret: 198.51.100.10\r\n",
             "application/sdp", SDP_P);
}

static void alice_answers(struct fixture *x, const char *req, unsigned code, const char *sdp)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    message(x, &f, answer(req, code, "a1", "alice@203.0.113.5", sdp));
}

/* The request that alice got, copied. */
static const char *got(struct fixture *x, const char *method)
{
    static char req[4096];
    keep(req, sizeof req, sent(x, ALICE, method));
    return req;
}

static void told(struct fixture *x, unsigned code)
{
    char want[32];
    (void)snprintf(want, sizeof want, "SIP/2.0 %u ", code);
    if (!sent(x, PBX, want))
        fail_msg("no %u but %s", code, x->n_got ? x->text[0] : "nothing");
}

/* Nothing is under way, and the next offer passes. */
static void unharmed(struct fixture *x)
{
    assert_true(!a->held && !a->ask && !handle_is(b->ict) && !handle_is(b->nict));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    offers(x, "INVITE");
    alice_answers(x, got(x, "INVITE "), 200, SDP_A);
    told(x, 200);
    cseq--;
    pbx_says(x, "ACK", "", NULL, NULL);
    assert_false(a->held);
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
}

static uint32_t ports(struct fixture *x)
{
    return core_usage(x->g.core[0]).media.ports_taken;
}

static void info(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *type, *body;
        bool passes;
    } row[] = {
        {NULL, NULL, true},
        {"application/dtmf-relay", "Signal=1\r\nDuration=160\r\n", true},
        {"application/dtmf", "5", true},
        {"Application/DTMF;x=y", "5", true},
        {"application/dtmfx", "5", false},
        {"text/dtmf", "5", false},
        {"application/sdp", SDP_P, false},
        {"multipart/mixed;boundary=b", "--b\r\n\r\n5\r\n--b--\r\n", false},
        {"application", "5", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint64_t before = counted(x, REASON_sip_body_type);
        pbx_says(x, "INFO", CONTACT "X-Secret: 1\r\n", row[i].type, row[i].body);
        assert_int_equal(counted(x, REASON_sip_body_type) - before, !row[i].passes);
        if (!row[i].passes) {
            told(x, 415);
            assert_null(sent(x, ALICE, ""));
            continue;
        }
        const char *req = got(x, "INFO sip:alice@203.0.113.5 SIP/2.0");
        assert_null(strstr(req, "Secret"));
        assert_null(strstr(req, "Contact"));
        assert_null(strstr(req, "Session-Expires"));
        assert_string_equal(strstr(req, "\r\n\r\n") + 4, row[i].body ? row[i].body : "");
        if (row[i].body)
            assert_str_eq(field(req, "Content-Type"), str_c(row[i].type));
        pbx_says(x, "INFO", "", NULL, NULL); /* one at a time */
        told(x, 500);
        alice_answers(x, req, 100, ""); /* not yet */
        assert_int_equal(x->n_got, 0);
        alice_answers(x, req, 200, SDP_A);
        told(x, 200);
        assert_null(strstr(sent(x, PBX, "SIP/2.0 200 "), "v=0")); /* whatever it says */
    }
    unharmed(x);
}

/* When an offer may not pass: its place is taken, here or at the other end. */
static void not_now(void **state)
{
    struct fixture *x = *state;
    static struct held held;
    struct call *k = a->call;
    static const struct handle some = {77, 77};
#define NO(set, code, reset)                                                                       \
    do {                                                                                           \
        static const char *const methods[] = {"INVITE", "UPDATE"};                                 \
        for (size_t i = 0; i < 2; i++) {                                                           \
            set;                                                                                   \
            offers(x, methods[i]);                                                                 \
            told(x, code);                                                                         \
            assert_null(sent(x, ALICE, ""));                                                       \
            reset;                                                                                 \
        }                                                                                          \
    } while (0)
    NO(a->held = &held, 500, a->held = NULL);
    NO(a->ask = &held, 500, a->ask = NULL);
    held.again_code = 200; /* it has its answer, and not its ACK */
    NO(a->held = &held, 491, a->held = NULL);
    NO(a->ict = some, 491, a->ict = HANDLE_NONE);
    NO(a->nict = some, 491, a->nict = HANDLE_NONE);
    NO(b->held = &held, 491, b->held = NULL);
    NO(b->ask = &held, 491, b->ask = NULL);
    NO(b->ict = some, 491, b->ict = HANDLE_NONE);
    NO(k->state = CALL_ANSWERED, 491, k->state = CALL_UP);
    NO(k->x.step = TRANSFER_FAR, 491, k->x.step = TRANSFER_NONE);
    NO(k->origin = some, 491, k->origin = HANDLE_NONE);
    NO(b->flags |= LEG_GONE, 491, b->flags &= (uint16_t)~LEG_GONE);
    assert_int_equal(counted(x, REASON_transfer_busy), 6);
    pbx_says(x, "UPDATE", CONTACT, "text/plain", "hi");
    told(x, 415);
    k->x.step = TRANSFER_CALLING; /* the target only rings */
    offers(x, "INVITE");
    alice_answers(x, got(x, "INVITE "), 488, "");
    k->x.step = TRANSFER_NONE;
    k->state = CALL_ANSWERED;
    pbx_says(x, "INFO", "", NULL, NULL);
    told(x, 500);
    k->state = CALL_UP;
    a->ask = &held;
    pbx_says(x, "INFO", "", NULL, NULL);
    told(x, 500);
    a->ask = NULL;
    b->nict = some; /* our refresh does not meet an offer, but a request of the same kind */
    pbx_says(x, "INFO", "", NULL, NULL);
    told(x, 500);
    b->nict = HANDLE_NONE;
    unharmed(x);
}

/* An UPDATE without offer is that leg's own business. */
static void refresh_of_one(void **state)
{
    struct fixture *x = *state;
    pbx_says(x, "UPDATE", CONTACT "Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n",
             NULL, NULL);
    const char *r = sent(x, PBX, "SIP/2.0 200 ");
    assert_non_null(r);
    assert_null(sent(x, ALICE, ""));
    assert_str(field(r, "Session-Expires"), "300;refresher=uac");
    assert_str(field(r, "Require"), "timer");
    assert_str(field(r, "Supported"), SUPPORTED);
    assert_str(field(r, "Allow"), ALLOW);
    assert_non_null(strstr(field(r, "Contact").p, TEST_INSIDE));
    assert_int_equal(a->session.due.us - x->g.now.mono.us, 268 * 1000000);
    pbx_says(x, "UPDATE", CONTACT "Supported: timer\r\nSession-Expires: 89\r\n", NULL, NULL);
    assert_non_null(sent(x, PBX, "SIP/2.0 422 "));
    assert_str(field(sent(x, PBX, "SIP/2.0 422 "), "Min-SE"), "90");
    assert_int_equal(counted(x, REASON_sip_session_interval), 1);
    assert_int_equal(a->st.interval_s, 300);
    offers(x, "INVITE"); /* while an offer is under way, too */
    const char *req = got(x, "INVITE ");
    pbx_says(x, "UPDATE", CONTACT, NULL, NULL);
    told(x, 200);
    alice_answers(x, req, 488, "");
    told(x, 488);
    unharmed(x);
}

/* As what an offer arrives, by what its asker and the other end know. */
static void as_what(void **state)
{
    struct fixture *x;
    static const struct {
        const char *method, *arrives;
        bool updates;
    } row[] = {{"INVITE", "INVITE ", false},
               {"INVITE", "INVITE ", true},
               {"UPDATE", "INVITE ", false},
               {"UPDATE", "UPDATE ", true}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        x = anew(state);
        bool invite = strcmp(row[i].method, "INVITE") == 0, as = row[i].arrives[0] == 'I';
        b->flags |= row[i].updates ? LEG_ALLOWS_UPDATE : 0;
        x->g.policy.zones[ZONE_PHONES].services = SERVICE_TRANSFER;
        pbx_says(x, row[i].method,
                 CONTACT "Supported: timer\r\nX-Secret: 198.51.100.10\r\nAllow: UPDATE\r\n",
                 "application/sdp", SDP_P);
        assert_int_equal(sent(x, PBX, "SIP/2.0 100 ") != NULL, invite);
        const char *req = got(x, row[i].arrives);
        assert_null(strstr(req, "198.51.100"));
        assert_non_null(strstr(req, "c=IN IP4 " TEST_OUTSIDE));
        assert_non_null(strstr(field(req, "Contact").p, TEST_OUTSIDE));
        assert_true(str_starts(field(req, "Session-Expires"), STR("1800")));
        assert_true(a->flags & LEG_ALLOWS_UPDATE);
        session_keep_sdp(b, STR_NONE); /* as of one that was too long to keep */
        timer_stop(&x->g.core[0]->wheel, &a->session);
        timer_stop(&x->g.core[0]->wheel, &b->session);
        alice_answers(x, req, 200, SDP_A);
        assert_int_equal(sent(x, ALICE, "ACK ") != NULL, as);
        const char *ok = sent(x, PBX, "SIP/2.0 200 ");
        assert_non_null(ok);
        assert_null(strstr(ok, "203.0.113"));
        assert_non_null(strstr(ok, "c=IN IP4 " TEST_INSIDE));
        assert_non_null(strstr(field(ok, "Contact").p, TEST_INSIDE));
        assert_true(str_starts(field(ok, "Session-Expires"), STR("1800")));
        assert_true(a->words && b->words);
        assert_true(timer_armed(&a->session) && timer_armed(&b->session));
        assert_int_equal(b->sdp_sent.n != 0, !row[i].updates); /* for refreshes by INVITE */
        if (invite) {
            cseq--;
            pbx_says(x, "ACK", "", NULL, NULL);
        }
        unharmed(x);
    }
}

static void refusals(void **state)
{
    struct fixture *x;
    static const struct {
        unsigned code;
        enum reason ends; /* NONE: the call goes on */
    } row[] = {{488, REASON_NONE}, {302, REASON_NONE},        {491, REASON_NONE},
               {487, REASON_NONE}, {500, REASON_NONE},        {401, REASON_NONE},
               {603, REASON_NONE}, {408, REASON_sip_timeout}, {481, REASON_sip_no_dialog}};
    static const char *const methods[] = {"INVITE", "UPDATE", "INFO"};
    for (size_t i = 0; i < 3 * ARRAY_LEN(row); i++) {
        const char *method = methods[i % 3];
        unsigned code = row[i / 3].code;
        enum reason ends = row[i / 3].ends, why;
        x = anew(state);
        b->flags |= LEG_ALLOWS_UPDATE;
        if (i % 3 < 2)
            offers(x, method);
        else
            pbx_says(x, method, "", "application/dtmf", "1");
        alice_answers(x, got(x, method), code, "");
        unsigned want = code == 491 || code == 487 ? code : hide_code((uint16_t)code, true, &why);
        told(x, want);
        assert_null(strstr(sent(x, PBX, "SIP/2.0 "), "secret"));
        assert_int_equal(core_usage(x->g.core[0]).calls, ends == REASON_NONE);
        if (ends == REASON_NONE) {
            enum reason one = code == 491 ? REASON_sip_glare : REASON_peer_refused;
            assert_int_equal(counted(x, one), 1);
            unharmed(x);
            continue;
        }
        assert_int_equal(counted(x, ends), 1);
        assert_non_null(sent(x, PBX, "BYE "));
        nothing_left(x);
    }
}

/* What a refused offer took is given back; an INFO refused meanwhile takes nothing away. */
static void nothing_is_kept(void **state)
{
    struct fixture *x = *state;
    static const char two[] = SDP_P "m=audio 6002 RTP/AVP 0\r\n",
                      both[] = SDP_A "m=audio 4002 RTP/AVP 0\r\n";
    uint32_t before = ports(x);
    pbx_says(x, "INVITE", CONTACT, "application/sdp", two);
    char re[4096];
    keep(re, sizeof re, got(x, "INVITE "));
    assert_true(ports(x) > before);
    alice_answers(x, re, 488, "");
    assert_int_equal(ports(x), before);
    pbx_says(x, "INVITE", CONTACT, "application/sdp", two);
    keep(re, sizeof re, got(x, "INVITE "));
    uint32_t taken = ports(x);
    pbx_says(x, "INFO", "", NULL, NULL);
    alice_answers(x, got(x, "INFO "), 500, "");
    told(x, 500);
    assert_int_equal(ports(x), taken);
    alice_answers(x, re, 200, both);
    told(x, 200);
    assert_int_equal(ports(x), taken);
    cseq -= 2; /* of the INVITE */
    pbx_says(x, "ACK", "", NULL, NULL);
    assert_true(!a->held && core_usage(x->g.core[0]).calls == 1);
}

static void taken_back(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    char re[4096];
    offers(x, "INVITE");
    keep(re, sizeof re, got(x, "INVITE "));
    alice_answers(x, re, 100, "");
    message(x, &f,
            fmt("CANCEL sip:x@" TEST_INSIDE
                " SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\n"
                "To: %s\r\nCall-ID: id-of-pbx\r\nCSeq: %d CANCEL\r\nContent-Length: 0\r\n\r\n",
                field(last, "Via").p, CALLER, field(last, "To").p, cseq - 1));
    told(x, 200);
    assert_non_null(sent(x, ALICE, "CANCEL "));
    assert_null(sent(x, PBX, "SIP/2.0 487 ")); /* she says whether it was in time */
    alice_answers(x, re, 487, "");
    told(x, 487);
    unharmed(x);
}

/* It said yes and cannot be understood: it has changed, and the other end cannot follow. */
static void bad_answers(void **state)
{
    struct fixture *x;
    static const char *const methods[] = {"INVITE", "UPDATE"};
    for (size_t i = 0; i < 2; i++) {
        x = anew(state);
        b->flags |= LEG_ALLOWS_UPDATE;
        offers(x, methods[i]);
        alice_answers(x, got(x, methods[i]), 200, "");
        assert_int_equal(counted(x, REASON_media_answer_bad), 1);
        assert_null(sent(x, PBX, "SIP/2.0 200 "));
        assert_non_null(sent(x, PBX, "BYE "));
        assert_non_null(sent(x, ALICE, "BYE "));
        nothing_left(x);
    }
    x = anew(state); /* asked for an offer, it makes none */
    pbx_says(x, "INVITE", CONTACT, NULL, NULL);
    alice_answers(x, got(x, "INVITE "), 200, "");
    assert_int_equal(counted(x, REASON_media_answer_bad), 1);
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_non_null(sent(x, ALICE, "BYE "));
    nothing_left(x);
}

/* Refused before it leaves. */
static void bad_requests(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    static const struct {
        const char *more, *type, *body;
        unsigned code;
    } row[] = {
        {CONTACT "Supported: timer\r\nSession-Expires: 60\r\n", "application/sdp", SDP_P, 422},
        {"Contact: <sip:\r\n", "application/sdp", SDP_P, 400},
        {"Contact: *\r\n", "application/sdp", SDP_P, 400},
        {CONTACT, "text/plain", "hello", 415},
        {CONTACT, "application/sdp", "v=0\r\nm=\r\n", 400},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        pbx_says(x, "INVITE", row[i].more, row[i].type, row[i].body);
        told(x, row[i].code);
        assert_null(sent(x, ALICE, ""));
        assert_true(!a->held && !handle_is(b->ict));
        assert_true(i == 4 || !sent(x, PBX, "SIP/2.0 100 "));
    }
    static struct handle t[8192];
    char branch[BRANCH_CHARS];
    size_t n = 0;
    while (n < ARRAY_LEN(t) - 1 && handle_is(t[n] = trans_client(c->trans, SIP_BYE, 0, branch)))
        n++;
    trans_drop(c->trans, t[--n]); /* room for the request, and none to pass it on */
    uint32_t before = ports(x);
    pbx_says(x, "INVITE", CONTACT, "application/sdp", SDP_P "m=audio 6002 RTP/AVP 0\r\n");
    told(x, 503);
    assert_int_equal(ports(x), before);
    assert_null(sent(x, ALICE, ""));
    while (n--)
        trans_drop(c->trans, t[n]);
    unharmed(x);
}

/* Nobody answers: 408, and the call is over. */
static void silence(void **state)
{
    struct fixture *x;
    static const char *const methods[] = {"INVITE", "UPDATE", "INFO"};
    for (size_t i = 0; i < 3; i++) {
        bool heard = false;
        x = anew(state);
        b->flags |= LEG_ALLOWS_UPDATE;
        if (i < 2)
            offers(x, methods[i]);
        else
            pbx_says(x, methods[i], "", NULL, NULL);
        (void)got(x, methods[i]);
        for (int k = 0; k < 330 && core_usage(x->g.core[0]).calls; k++) {
            pass_ms(x, 100);
            heard = heard || sent(x, PBX, "SIP/2.0 408 ");
        }
        assert_true(heard);
        assert_int_equal(core_usage(x->g.core[0]).calls, 0);
        assert_int_equal(counted(x, REASON_sip_timeout), 1);
        nothing_left(x);
    }
}

/* Another 2xx to the call's first INVITE: of this dialog it was acknowledged, of another it ends.
 */
static void another_answer(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    alice_answers(x, at_alice, 200, SDP_A);
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_null(sent(x, ALICE, "BYE "));
    message(x, &f, answer(at_alice, 200, "a2", "alice@203.0.113.5", SDP_A));
    const char *bye = sent(x, ALICE, "BYE ");
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_non_null(bye);
    assert_true(str_ends(field(bye, "To"), STR(";tag=a2")));
    assert_null(sent(x, PBX, ""));
    offers(x, "INVITE");
    char re[4096];
    keep(re, sizeof re, got(x, "INVITE "));
    alice_answers(x, re, 100, "");
    alice_answers(x, re, 180, ""); /* nobody's business within a call */
    assert_null(sent(x, PBX, ""));
    alice_answers(x, re, 200, SDP_A);
    told(x, 200);
    alice_answers(x, re, 200, SDP_A); /* and again */
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_null(sent(x, PBX, "SIP/2.0"));
    alice_answers(x, at_alice, 200, SDP_A); /* the first one's, long done */
    assert_int_equal(x->n_got, 0);
    cseq--;
    pbx_says(x, "ACK", "", NULL, NULL);
    unharmed(x);
}

/* An offer that is asked for: alice's ACK waits for the answer, however often she says it. */
static void asked_for(void **state)
{
    struct fixture *x = *state;
    x->g.policy.zones[ZONE_PHONES].services = SERVICE_TRANSFER;
    pbx_says(x, "INVITE", CONTACT, NULL, NULL);
    char re[4096];
    keep(re, sizeof re, got(x, "INVITE "));
    assert_null(strstr(re, "m=audio"));
    for (int i = 0; i < 2; i++) {
        alice_answers(x, re, 200, SDP_A);
        assert_int_equal(sent(x, PBX, "SIP/2.0 200 ") != NULL, !i);
        assert_null(sent(x, ALICE, "ACK "));
    }
    assert_true(b->flags & LEG_ACK_WAITS && a->flags & LEG_LATE && b->words);
    cseq--;
    pbx_says(x, "ACK", "", "application/sdp", SDP_P);
    assert_non_null(strstr(sent(x, ALICE, "ACK "), "m=audio"));
    assert_false(b->flags & LEG_ACK_WAITS || a->flags & LEG_LATE);
    unharmed(x);
}

/* A trunk is given credentials once, a phone never. */
static void challenges(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    static const char ask[] =
        "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"\r\n";
    char no[32];
    enum reason why;
    (void)snprintf(no, sizeof no, "SIP/2.0 %u ", hide_code(401, true, &why));
    for (int secret = 0; secret < 2; secret++) {
        x = anew(state);
        x->g.policy.peers[0].has_secret = secret;
        char from[512], req[4096];
        (void)snprintf(from, sizeof from, "%s;tag=a1", field(at_alice, "To").p);
        message(x, &fa,
                request("INVITE", "sip:x@" TEST_OUTSIDE, from, field(at_alice, "From").p,
                        field(at_alice, "Call-ID").p, 5, "Contact: <sip:alice@203.0.113.5>\r\n",
                        SDP_A));
        keep(req, sizeof req, sent(x, PBX, "INVITE "));
        message(x, &fp, answered(req, "401 Who", "", ask));
        assert_int_equal(sent(x, ALICE, no) != NULL, !secret);
        if (!secret)
            continue;
        vault(x, REASON_NONE);
        keep(req, sizeof req, sent(x, PBX, "INVITE "));
        assert_non_null(strstr(req, "\r\nAuthorization: Digest "));
        assert_non_null(strstr(req, "m=audio "));
        message(x, &fp, answered(req, "401 Who", "", ask)); /* not good enough */
        assert_non_null(sent(x, ALICE, no));
        assert_null(sent(x, PBX, "INVITE "));
        assert_false(b->held || a->held || handle_is(a->ict));
        assert_int_equal(core_usage(x->g.core[0]).calls, 1);
        message(x, &fa, /* another request, another chance */
                request("INFO", "sip:x@" TEST_OUTSIDE, from, field(at_alice, "From").p,
                        field(at_alice, "Call-ID").p, 6, "", ""));
        keep(req, sizeof req, sent(x, PBX, "INFO "));
        message(x, &fp, answered(req, "401 Who", "", ask));
        assert_null(sent(x, ALICE, "SIP/2.0"));
        vault(x, REASON_NONE);
        assert_non_null(strstr(sent(x, PBX, "INFO "), "\r\nAuthorization: Digest "));
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, teardown)
    const struct CMUnitTest tests[] = {
        T(info),           T(not_now),      T(refresh_of_one), T(as_what),         T(refusals),
        T(bad_answers),    T(bad_requests), T(silence),        T(nothing_is_kept), T(taken_back),
        T(another_answer), T(asked_for),    T(challenges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
