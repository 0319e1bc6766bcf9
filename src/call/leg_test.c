/* One leg: whose it is, what is noted of its peer, its 2xx and ACK, what it answers within its
 * dialog, and what is due when it ends. */
#include "call/exchange_test.h"
#include "call/transfer_test.h"

static char at_alice[4096], at_pbx[4096]; /* INVITE; 2xx */
static struct leg *a, *b;                 /* of the PBX; of alice */

static void find(struct fixture *x)
{
    uint32_t it = 0;
    a = b = NULL;
    for (struct leg *l; (l = pool_next(&x->g.core[0]->legs, &it));)
        *(l->side == 'a' ? &a : &b) = l;
    assert_true(a && b);
}

static int up(void **state)
{
    (void)setup(state);
    call_up(*state, at_alice, at_pbx, sizeof at_alice);
    find(*state);
    return 0;
}

static struct fixture *anew(void **state, int (*how)(void **))
{
    (void)teardown(state);
    (void)how(state);
    return *state;
}

/* alice rings; the PBX offered what is in sdp. */
static void rings(struct fixture *x, const char *sdp)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    register_alice(x);
    message(x, &f,
            request("INVITE", "sip:alice@" TEST_INSIDE, CALLER, "<sip:alice@" TEST_INSIDE ">",
                    "id-of-pbx", 1, "Contact: <sip:200@198.51.100.10:5060>\r\n", sdp));
    keep(at_alice, sizeof at_alice, sent(x, ALICE, "INVITE "));
    find(x);
}

static void alice_answers(struct fixture *x, unsigned code, const char *sdp)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    message(x, &f, answer(at_alice, code, "a1", "alice@203.0.113.5", sdp));
    if (code == 200)
        keep(at_pbx, sizeof at_pbx, sent(x, PBX, "SIP/2.0 200 "));
}

/* Within the dialog. */
static void pbx_says(struct fixture *x, const char *method, int cseq, const char *more,
                     const char *type, const char *body)
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
                    .cseq = cseq};
    message(x, &f, said(&s));
}

static void alice_asks(struct fixture *x, const char *method, int cseq)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char from[512];
    (void)snprintf(from, sizeof from, "%s;tag=a1", field(at_alice, "To").p);
    message(x, &f,
            request(method, "sip:x@" TEST_OUTSIDE, from, field(at_alice, "From").p,
                    field(at_alice, "Call-ID").p, cseq, "", ""));
}

static void whose_it_is(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct leg phone = {.call = b->call, .side = 'b', .peer = POLICY_NONE, .flow = b->flow}, peer;
    struct flow f = phone.flow;
#define IS(leg, change, want)                                                                      \
    do {                                                                                           \
        f = (leg)->flow;                                                                           \
        change;                                                                                    \
        if (leg_is_source(c, (leg), &f) != (want))                                                 \
            fail_msg("%s", #change);                                                               \
    } while (0)
    IS(&phone, (void)0, true);
    IS(&phone, f.proto = PROTO_TCP, false);
    IS(&phone, f.listener++, false);
    IS(&phone, f.peer = test_addr("203.0.113.5:5062"), false);
    IS(&phone, f.peer = test_addr("203.0.113.6:5060"), false);
    IS(&phone, f.engine = 3; f.conn = ((struct handle){1, 1}), true); /* UDP has none */
    phone.flow.conn = (struct handle){4, 5};
    IS(&phone, f.peer = test_addr("203.0.113.77:1"), false);
    phone.flow.proto = PROTO_TLS;
    phone.flow.engine = 1;
    IS(&phone, f.peer = test_addr("203.0.113.77:1"), true); /* the connection is the proof */
    IS(&phone, f.engine = 2, false);
    IS(&phone, f.conn.gen++, false);
    IS(&phone, f.conn.index++, false);
    phone.flow.conn = HANDLE_NONE; /* a leg that has none */
    IS(&phone, f.conn = ((struct handle){4, 5}), true);
    peer = *a;
    IS(&peer, (void)0, true);
    IS(&peer, f.peer = test_addr(PBX2), true); /* any address of that peer's */
    IS(&peer, f.peer = test_addr("198.51.100.12:5060"), false);
    peer.zone = ZONE_PHONES;
    IS(&peer, (void)0, false);
}

static void by_its_tag(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    enum reason why;
    struct handle h;
    char tag[TOKEN_CHARS] = {0};
    struct str t = str_of(tag, sizeof tag);
    token_mint(&c->cfg.token_keys, (struct token){TOKEN_TAG, 0, leg_handle(b)}, tag);
    assert_ptr_equal(leg_of_tag(c, t, &why, &h), b);
    assert_true(why == REASON_NONE && handle_eq(h, leg_handle(b)));
    tag[20] = tag[20] == 'b' ? 'c' : 'b';
    assert_null(leg_of_tag(c, t, &why, &h));
    assert_true(why == REASON_sip_token_forged && !handle_is(h));
    assert_null(leg_of_tag(c, STR("a1"), &why, &h)); /* somebody else's */
    assert_true(why == REASON_NONE && !handle_is(h));
    token_mint(&c->cfg.token_keys, (struct token){TOKEN_TAG, 1, leg_handle(b)}, tag);
    assert_null(leg_of_tag(c, t, &why, &h)); /* another engine's */
    assert_false(handle_is(h));
    token_mint(&c->cfg.token_keys, (struct token){TOKEN_BRANCH, 0, leg_handle(b)}, tag);
    assert_null(leg_of_tag(c, t, &why, &h)); /* no tag */
    struct handle gone = leg_handle(b);
    gone.gen++;
    token_mint(&c->cfg.token_keys, (struct token){TOKEN_TAG, 0, gone}, tag);
    assert_null(leg_of_tag(c, t, &why, &h)); /* ours, and over */
    assert_true(why == REASON_NONE && handle_eq(h, gone));
}

static struct sip_msg *parsed(const char *text)
{
    static struct sip_msg m;
    static char mem[8192];
    struct sip_error e;
    keep(mem, sizeof mem, text);
    assert_ok(sip_parse(str_c(mem), false, &m, &e));
    return &m;
}

static void what_is_noted(void **state)
{
    (void)state;
    char ok[4096];
    struct leg l = {.call = b->call, .flags = LEG_ALLOWS_UPDATE};
    struct say s = {.method = "INFO",
                    .uri = "sip:x@test",
                    .from = CALLER,
                    .to = "<sip:x@test>",
                    .id = "1",
                    .cseq = 1,
                    .more = ""};
    leg_note(&l, parsed(said(&s))); /* says nothing of it */
    assert_true(l.flags & LEG_ALLOWS_UPDATE && !l.agent.n);
    s.more = "Allow: INVITE, ACK\r\nUser-Agent: one\r\nServer: two\r\n";
    leg_note(&l, parsed(said(&s)));
    assert_false(l.flags & LEG_ALLOWS_UPDATE);
    assert_str(l.agent, "one");
    s.more = "Allow: INVITE\r\nAllow: UPDATE\r\nUser-Agent: three\r\n";
    leg_note(&l, parsed(said(&s)));
    assert_true(l.flags & LEG_ALLOWS_UPDATE);
    assert_str(l.agent, "one"); /* the first one counts */
    l.agent = STR_NONE;
    keep(ok, sizeof ok, answered(at_alice, "200 OK", "a1", "User-Agent: phone\r\n"));
    leg_note(&l, parsed(ok));
    assert_str(l.agent, "secret/1.0"); /* as of a response */
    memcpy(strstr(ok, "Server:"), "X-None:", 7);
    l.agent = STR_NONE;
    leg_note(&l, parsed(ok));
    assert_str(l.agent, "phone");
    char more[256], name[201];
    memset(name, 'n', 200);
    name[200] = 0;
    (void)snprintf(more, sizeof more, "User-Agent: %s\r\n", name);
    s.more = more;
    l.agent = STR_NONE;
    leg_note(&l, parsed(said(&s)));
    assert_int_equal(l.agent.n, sizeof(struct text_short) - 1);
    assert_ptr_not_equal(l.agent.p, more);
}

#define PARTS(type)                                                                                \
    "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: " type                      \
    "\r\n\r\nv=0\r\n\r\n--b--\r\n"
static void bodies(void **state)
{
    static const struct {
        const char *type, *body, *sdp;
        enum reason why;
    } row[] = {
        {NULL, NULL, "", REASON_NONE},
        {"application/sdp", "", "", REASON_NONE},
        {"application/sdp", "v=0\r\n", "v=0\r\n", REASON_NONE},
        {"text/plain", "v=0\r\n", "", REASON_sip_body_type},
        {"application/sdpx", "v=0\r\n", "", REASON_sip_body_type},
        {"multipart/mixed;boundary=b", PARTS("application/sdp"), "v=0\r\n", REASON_NONE},
        {"multipart/mixed;boundary=b", PARTS("text/html"), "", REASON_sip_body_type},
        {"multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\n\r\n--b--\r\n",
         "", REASON_sip_body_syntax},
        {"multipart/mixed", PARTS("application/sdp"), "", REASON_sip_body_syntax},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct say s = {.method = "INFO",
                        .uri = "sip:x@test",
                        .from = CALLER,
                        .to = "<sip:x@test>",
                        .id = "1",
                        .cseq = 1,
                        .type = row[i].type,
                        .body = row[i].body};
        enum reason why = REASON_NONE;
        struct str got = sdp_of(parsed(said(&s)), &why);
        if (!str_eq(got, str_c(row[i].sdp)) || why != row[i].why)
            fail_msg("row %zu: %zu bytes, reason %u", i, got.n, (unsigned)why);
    }
}

/* Into another call: all of its texts, or nothing. */
static void moved(void **state)
{
    (void)state;
    static char mem[8192];
    static struct call to;
    struct leg l = *b, was;
    static struct str route[] = {{"<sip:r1@test;lr>", 16}, {"<sip:r2@test;lr>", 16}};
    memcpy(l.d.routes, route, sizeof route);
    l.d.n_routes = 2;
    l.pay.who = STR("alice@example.com");
    session_keep_sdp(&l, STR(SDP_P));
    was = l;
    size_t need = sizeof mem;
    for (size_t cap = 0; cap <= sizeof mem; cap += 64) {
        arena_init_fixed(&to.text, mem, cap);
        enum err e = leg_copy(&l, &to);
        if (e == OK) {
            need = cap;
            break;
        }
        assert_err(e, ERR_FULL);
        assert_memory_equal(&l, &was, sizeof l);
    }
    assert_true(need > 100 && need < sizeof mem);
    const struct str v[] = {l.d.call_id,    l.d.local_tag,     l.d.remote_tag, l.d.local_uri,
                            l.d.remote_uri, l.d.remote_target, l.d.routes[0],  l.d.routes[1],
                            l.aor,          l.agent,           l.sdp_sent,     l.pay.who},
                     old[] = {was.d.call_id,   was.d.local_tag,  was.d.remote_tag,
                              was.d.local_uri, was.d.remote_uri, was.d.remote_target,
                              route[0],        route[1],         was.aor,
                              was.agent,       was.sdp_sent,     was.pay.who};
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        assert_str_eq(v[i], old[i]);
        assert_true(v[i].n && mem <= v[i].p && v[i].p + v[i].n <= mem + sizeof mem);
    }
    assert_int_equal(l.sdp_room, l.sdp_sent.n);
    l = *a; /* of a leg A the user is the call's */
    l.call->user = STR("carol@example.com");
    arena_init_fixed(&to.text, mem, sizeof mem);
    assert_ok(leg_copy(&l, &to));
    assert_str(l.aor, "carol@example.com");
    l.call->user = STR_NONE;
}

/* --- 2xx and ACK --- */

static unsigned repeats(struct fixture *x, int64_t ms, int64_t *at, unsigned cap)
{
    unsigned n = 0;
    for (int64_t t = 100; t <= ms; t += 100) {
        pass_ms(x, 100);
        if (sent(x, PBX, "SIP/2.0 200 ") && n < cap)
            at[n++] = t;
    }
    return n;
}

static void never_acknowledged(void **state)
{
    struct fixture *x = *state;
    static const int64_t want[] = {500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500};
    int64_t at[32];
    for (unsigned late = 0; late < 2; late++) {
        x = anew(state, setup);
        rings(x, late ? "" : SDP_P);
        alice_answers(x, 200, SDP_A);
        unsigned n = repeats(x, late ? 23900 : 31900, at, 32);
        assert_int_equal(n, late ? 8 : ARRAY_LEN(want));
        assert_memory_equal(at, want, n * sizeof at[0]);
        assert_int_equal(counted(x, REASON_sip_ack_missing), 0);
        pass_ms(x, 200);
        assert_int_equal(counted(x, REASON_sip_ack_missing), 1);
        assert_non_null(sent(x, PBX, "BYE "));
        assert_non_null(sent(x, ALICE, "BYE "));
        nothing_left(x);
    }
}

static void acknowledged(void **state)
{
    struct fixture *x = *state;
    int64_t at[32];
    rings(x, SDP_P);
    alice_answers(x, 200, SDP_A);
    pbx_says(x, "ACK", 2, "", NULL, NULL); /* of something else */
    assert_int_equal(a->state, LEG_ANSWERED);
    assert_int_equal(repeats(x, 600, at, 32), 1);
    pbx_says(x, "ACK", 1, "", NULL, NULL);
    assert_true(a->state == LEG_UP && !a->held && !timer_armed(&a->resend));
    assert_int_equal(a->call->state, CALL_UP);
    assert_int_equal(count_facts(x, FACT_CALL_START) + count_facts(x, FACT_CALL_END), 0);
    pbx_says(x, "ACK", 1, "", NULL, NULL); /* and again */
    assert_int_equal(x->n_got, 0);
    assert_int_equal(repeats(x, 10000, at, 32), 0);
}

/* The same ACK for each copy of the 2xx, with what it held. */
static void acknowledges(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char ack[4096];
    for (unsigned late = 0; late < 2; late++) {
        x = anew(state, setup);
        rings(x, late ? "" : SDP_P);
        alice_answers(x, 200, SDP_A);
        if (late) {
            assert_null(sent(x, ALICE, "ACK "));
            assert_true(b->flags & LEG_ACK_WAITS);
            pbx_says(x, "ACK", 1, "", "application/sdp", SDP_P);
        }
        keep(ack, sizeof ack, sent(x, ALICE, "ACK sip:alice@203.0.113.5"));
        assert_int_equal(strstr(ack, "m=audio ") != NULL, late);
        assert_int_equal(atoi(field(ack, "CSeq").p), atoi(field(at_alice, "CSeq").p));
        assert_false(b->flags & LEG_ACK_WAITS);
        assert_true(timer_armed(&b->session) && b->sdp_sent.n); /* it is to be refreshed */
        for (int i = 0; i < 2; i++) {
            message(x, &fa, answer(at_alice, 200, "a1", "alice@203.0.113.5", SDP_A));
            assert_int_equal(x->n_got, 1);
            assert_string_equal(sent(x, ALICE, "ACK "), ack);
        }
        assert_int_equal(b->kept != NULL, late);
    }
}

/* Its INVITE has its answer: there is no other one. */
static void ends_before_the_ack(void **state)
{
    struct fixture *x = *state;
    rings(x, SDP_P);
    alice_answers(x, 200, SDP_A);
    leg_part(a, false, REASON_NONE, 486);
    collect(x);
    assert_null(sent(x, PBX, "SIP/2.0"));
    assert_non_null(sent(x, PBX, "BYE "));
}

/* A late offer has to be answered in the ACK. */
static void late_answers(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *type, *body;
        enum reason why;
    } row[] = {{NULL, NULL, REASON_media_answer_bad},
               {"text/plain", SDP_P, REASON_sip_body_type},
               {"application/sdp", "v=0\r\nm=\r\n", REASON_NONE}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        x = anew(state, setup);
        rings(x, "");
        alice_answers(x, 200, SDP_A);
        pbx_says(x, "ACK", 1, "", row[i].type, row[i].body);
        if (row[i].why != REASON_NONE)
            assert_int_equal(counted(x, row[i].why), 1);
        const char *ack = sent(x, ALICE, "ACK ");
        assert_non_null(ack);
        assert_null(strstr(ack, "m=audio "));
        assert_non_null(sent(x, ALICE, "BYE "));
        assert_non_null(sent(x, PBX, "BYE "));
        nothing_left(x);
    }
}

/* A 2xx that nobody waits for is acknowledged and its dialog ended. */
static void stray(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char ok[4096];
    static const char contact[] = "Contact: <sip:late@203.0.113.5:5099>\r\n",
                      routes[] = "Record-Route: <sip:p2@test;lr>, <sip:p1@test;lr>\r\n"
                                 "Contact: <sip:late@203.0.113.5:5099>\r\n";
    keep(ok, sizeof ok, answered(at_alice, "200 OK", "zz", contact));
    stray_answer(c, parsed(ok), &fa);
    collect(x);
    const char *ack = sent(x, ALICE, "ACK sip:late@203.0.113.5:5099 SIP/2.0"),
               *bye = sent(x, ALICE, "BYE sip:late@203.0.113.5:5099 SIP/2.0");
    assert_true(ack && bye);
    int cseq = atoi(field(at_alice, "CSeq").p);
    assert_int_equal(atoi(field(ack, "CSeq").p), cseq);
    assert_int_equal(atoi(field(bye, "CSeq").p), cseq + 65); /* beyond its PRACKs */
    assert_str_eq(field(ack, "To"), field(ok, "To"));
    assert_true(str_ends(field(at_alice, "From"), field(bye, "From")));
    assert_str_eq(field(bye, "Call-ID"), field(at_alice, "Call-ID"));
    keep(ok, sizeof ok, answered(at_alice, "200 OK", "zz", routes));
    stray_answer(c, parsed(ok), &fa);
    collect(x);
    bye = sent(x, ALICE, "BYE ");
    assert_non_null(strstr(bye, "<sip:p1@test;lr>"));
    assert_true(strstr(bye, "<sip:p1@test;lr>") < strstr(bye, "<sip:p2@test;lr>"));
    keep(ok, sizeof ok, answered(at_alice, "200 OK", "zz", "")); /* where to? */
    stray_answer(c, parsed(ok), &fa);
    collect(x);
    assert_int_equal(x->n_got, 0);
    static struct handle t[8192];
    char branch[BRANCH_CHARS];
    size_t n = 0;
    while (n < ARRAY_LEN(t) && handle_is(t[n] = trans_client(c->trans, SIP_BYE, 0, branch)))
        n++;
    keep(ok, sizeof ok, answered(at_alice, "200 OK", "zz", contact));
    stray_answer(c, parsed(ok), &fa);
    collect(x);
    assert_non_null(sent(x, ALICE, "ACK ")); /* so much is left */
    assert_null(sent(x, ALICE, "BYE "));
    while (n--)
        trans_drop(c->trans, t[n]);
}

static void methods(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *method;
        unsigned code;
    } row[] = {{"NOTIFY", 405},   {"SUBSCRIBE", 405}, {"PUBLISH", 405},
               {"REGISTER", 405}, {"FOO", 501},       {"OPTIONS", 200}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "SIP/2.0 %u ", row[i].code);
        pbx_says(x, row[i].method, (int)i + 2, "", NULL, NULL);
        if (!sent(x, PBX, want))
            fail_msg("%s: %s", row[i].method, x->text[0]);
        assert_null(sent(x, ALICE, ""));
    }
    const char *r = sent(x, PBX, "SIP/2.0 200 ");
    assert_str(field(r, "Accept"), "application/sdp");
    assert_str(field(r, "Supported"), SUPPORTED);
    assert_str(field(r, "Allow"), ALLOW);
    pbx_says(x, "BYE", 6, "", NULL, NULL); /* older than the last: a copy from the past */
    assert_non_null(sent(x, PBX, "SIP/2.0 500 "));
    assert_int_equal(counted(x, REASON_sip_cseq_order), 1);
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pbx_says(x, "BYE", 8, "", NULL, NULL);
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    assert_non_null(sent(x, ALICE, "BYE "));
    alice_asks(x, "BYE", 9); /* both at once */
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    alice_asks(x, "OPTIONS", 10);
    assert_non_null(sent(x, ALICE, "SIP/2.0 481 "));
    pass_ms(x, ENDED_MS + 1);
    alice_asks(x, "BYE", 11);
    assert_non_null(sent(x, ALICE, "SIP/2.0 481 "));
    nothing_left(x);
    assert_false(timer_armed(&a->session) || timer_armed(&b->session)); /* where they were */
}

/* A phone that hangs up while it rings, or after its race is lost, ends nothing. */
static void not_its_call(void **state)
{
    struct fixture *x = *state;
    rings(x, SDP_P);
    alice_answers(x, 180, "");
    keep(at_pbx, sizeof at_pbx, sent(x, PBX, "SIP/2.0 180 "));
    pbx_says(x, "ACK", 1, "", NULL, NULL); /* of nothing yet */
    assert_true(a->state == LEG_EARLY && a->held && a->call->state == CALL_EARLY);
    alice_asks(x, "BYE", 5);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_null(sent(x, PBX, "SIP/2.0"));
    alice_answers(x, 200, SDP_A);
    pbx_says(x, "ACK", 1, "", NULL, NULL);
    assert_int_equal(a->call->state, CALL_UP);
    b->flags |= LEG_GONE; /* it hung up before */
    alice_asks(x, "BYE", 6);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_null(sent(x, PBX, "BYE "));
}

static void open_requests(void **state)
{
    struct fixture *x = *state;
    pbx_says(x, "INVITE", 2, "Contact: <sip:200@198.51.100.10>\r\n", "application/sdp", SDP_P);
    assert_non_null(sent(x, ALICE, "INVITE "));
    alice_asks(x, "BYE", 5);
    assert_non_null(sent(x, PBX, "SIP/2.0 487 "));
    assert_non_null(sent(x, PBX, "BYE "));
    nothing_left(x);
    x = anew(state, up);
    pbx_says(x, "INFO", 2, "", "application/dtmf", "1");
    assert_non_null(sent(x, ALICE, "INFO "));
    alice_asks(x, "BYE", 5);
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    assert_non_null(sent(x, PBX, "BYE "));
    nothing_left(x);
    x = anew(state, up);
    pbx_says(x, "INVITE", 2, "Contact: <sip:200@198.51.100.10>\r\n", "application/sdp", SDP_P);
    leg_part(a, false, REASON_NONE, 503); /* of the call, not of this request */
    collect(x);
    assert_non_null(sent(x, PBX, "SIP/2.0 487 "));
}

static void first_answers(void **state)
{
    static const struct {
        uint16_t code, told;
        enum reason why;
        const char *has;
    } row[] = {
        {486, 486, REASON_peer_refused, NULL},
        {503, 503, REASON_NONE, "\r\nRetry-After: 5\r\n"},
        {422, 422, REASON_sip_session_interval, "\r\nMin-SE: 90\r\n"},
        {415, 415, REASON_sip_body_type, "\r\nAccept: application/sdp\r\n"},
        {300, 300, REASON_NONE, NULL},
        {299, 500, REASON_NONE, NULL}, /* never a 2xx by mistake */
        {0, 500, REASON_NONE, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct fixture *x = anew(state, setup);
        char want[32];
        rings(x, SDP_P);
        (void)snprintf(want, sizeof want, "SIP/2.0 %u ", row[i].told);
        leg_part(a, false, row[i].why, row[i].code);
        collect(x);
        const char *r = sent(x, PBX, want);
        assert_non_null(r);
        assert_null(sent(x, PBX, "BYE "));
        for (size_t k = 0; k < ARRAY_LEN(row); k++) /* that, and nothing of the others */
            if (row[k].has)
                assert_int_equal(strstr(r, row[k].has) != NULL, k == i);
        call_end(a->call, REASON_peer_refused, 486, 'g');
    }
}

static void who_hears_of_it(void **state)
{
    struct fixture *x = *state;
    leg_part(b, true, REASON_NONE, 0);
    b->flags |= LEG_GONE;
    leg_part(b, false, REASON_NONE, 0);
    b->flags = LEG_STANDIN;
    leg_part(b, false, REASON_NONE, 0);
    collect(x);
    assert_int_equal(x->n_got, 0);
    b->flags = LEG_ACK_WAITS;
    leg_part(b, false, REASON_media_timeout, 0);
    collect(x);
    assert_non_null(sent(x, ALICE, "ACK ")); /* RFC 3261 15: no BYE before it */
    const char *bye = sent(x, ALICE, "BYE ");
    char want[64];
    (void)snprintf(want, sizeof want, "Q.850;cause=%u", cdr_q850(200, REASON_media_timeout));
    assert_string_equal(field(bye, "Reason").p, want);
    assert_false(b->flags & LEG_ACK_WAITS);
    b->flags = 0;
    leg_part(b, false, REASON_NONE, 0);
    collect(x);
    assert_null(sent(x, ALICE, "ACK "));
    assert_null(strstr(sent(x, ALICE, "BYE "), "Reason"));
    b->state = LEG_EARLY; /* there is nothing to end yet */
    leg_part(b, false, REASON_NONE, 0);
    collect(x);
    assert_int_equal(x->n_got, 0);
}

int main(void)
{
#define UP(f)  cmocka_unit_test_setup_teardown(f, up, teardown)
#define NEW(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        UP(whose_it_is),    UP(by_its_tag),    UP(what_is_noted),
        UP(bodies),         UP(moved),         NEW(never_acknowledged),
        NEW(acknowledged),  NEW(acknowledges), NEW(ends_before_the_ack),
        NEW(late_answers),  UP(stray),         UP(methods),
        NEW(not_its_call),  UP(open_requests), NEW(first_answers),
        UP(who_hears_of_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
