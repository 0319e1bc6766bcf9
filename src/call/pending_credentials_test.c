/* A peer wants credentials of us: which of its challenges is answered, with what line, what the
 * vault is asked, and what becomes of the request by its word. */
#include "call/pending_test.h"
#include "call/transfer_test.h"

/* CANCEL of the request in text, that waits. */
static void cancels(struct fixture *x, const char *text, const char *uri)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    message(x, &f,
            fmt("CANCEL %s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 20\r\nFrom: %s\r\nTo: %s\r\n"
                "Call-ID: %s\r\nCSeq: 2 CANCEL\r\nContent-Length: 0\r\n\r\n",
                uri, field(text, "Via").p, field(text, "From").p, field(text, "To").p,
                field(text, "Call-ID").p));
}

/* --- a peer wants credentials --- */

static char kept[2048];
static struct arena keep_in;

/* The challenge of those lines; what is asked, and in x->text[0] the line that waits for it. */
static enum reason wants(struct fixture *x, unsigned code, const char *lines, size_t room,
                         struct ask *ret_q)
{
    struct core *c = core_at(x);
    static char text[8192];
    (void)snprintf(text, sizeof text,
                   "SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n"
                   "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\n"
                   "Call-ID: w\r\nCSeq: 1 REGISTER\r\n%sContent-Length: 0\r\n\r\n",
                   code, lines);
    parse(text);
    arena_init_fixed(&keep_in, kept, room);
    const struct challenged q = {
        .what = FOR_UPSTREAM, .uri = STR("sip:pbx.example.net"), .keep = &keep_in};
    enum reason why = pending_credentials(c, &q, &msg);
    collect(x);
    *ret_q = asked(x);
    assert_int_equal(ret_q->kind, why == REASON_NONE ? ASK_RESPOND : 0);
    assert_int_equal(waiting(x), why == REASON_NONE);
    x->text[0][0] = 0;
    uint32_t it = 0;
    const struct pending *p = pool_next(&c->pendings, &it);
    if (p) {
        (void)snprintf(x->text[0], sizeof x->text[0], STR_FMT, STR_ARG(p->challenge));
        says(x, ret_q->id, ASK_RESPOND, REASON_auth_unavailable);
        (void)snprintf(x->text[0], sizeof x->text[0], STR_FMT, STR_ARG(p->challenge));
    }
    assert_int_equal(waiting(x), 0);
    return why;
}

#define D "Digest realm=\"pbx\", nonce=\"n\""
#define W "WWW-Authenticate: "
#define P "Proxy-Authenticate: "
#define N "\r\n"

static const struct {
    unsigned code;
    const char *lines;
    int alg; /* -1: none can be answered */
    bool qop;
} CHALLENGE[] = {
    {401, "", -1, false},
    {401, W D N, DIGEST_MD5, false},
    {401, W D ", algorithm=md5, qop=\"\"" N, DIGEST_MD5, false},
    {401, W D ", algorithm=SHA-256" N, DIGEST_SHA256, false},
    {401, W D ", algorithm=SHA-512-256, qop=auth" N, DIGEST_SHA512_256, true},
    {401, W D ", qop=\"auth\"" N, DIGEST_MD5, true},
    {401, W D ", qop=\"AUTH\"" N, DIGEST_MD5, true},
    {401, W D ", qop=\"auth-int, auth\"" N, DIGEST_MD5, true},
    {401, W D ", qop=\"auth-int,auth ,x\"" N, DIGEST_MD5, true},
    {401, W D ", qop=\"auth-int\"" N, -1, false},
    {401, W D ", qop=\"auth2,aut\"" N, -1, false},
    {401, W D ", qop=\",\"" N, -1, false},
    {401, W D ", algorithm=MD5-sess" N, -1, false},
    {401, W "Basic realm=\"pbx\"" N, -1, false},
    {401, W "Bearer x" N, -1, false},
    {401, W "Digest realm=\"pbx" N, -1, false},
    {401, P D N, -1, false},
    {407, W D N, -1, false},
    {407, P D N, DIGEST_MD5, false},
    /* the strongest, in whatever order; what is unknown or broken is passed over */
    {401, W D N W D ", algorithm=SHA-256" N, DIGEST_SHA256, false},
    {401, W D ", algorithm=SHA-256" N W D N, DIGEST_SHA256, false},
    {401, W D N W D ", qop=\"auth\"" N, DIGEST_MD5, false},
    {401, W D ", algorithm=SHA-512-256" N W D ", algorithm=SHA-256" N, DIGEST_SHA512_256, false},
    {401, W D ", algorithm=SHA-256" N W D ", algorithm=SHA-512-256, qop=\"auth\"" N W D N,
     DIGEST_SHA512_256, true},
    {401, W "Digest =" N W D ", algorithm=X" N W "Basic realm=\"a\"" N W D N, DIGEST_MD5, false},
};

static void which_challenge(void **state)
{
    struct fixture *x = *state;
    for (size_t i = 0; i < ARRAY_LEN(CHALLENGE); i++) {
        struct ask q;
        enum reason why = wants(x, CHALLENGE[i].code, CHALLENGE[i].lines, sizeof kept, &q);
        if (why != (CHALLENGE[i].alg < 0 ? REASON_peer_challenge : REASON_NONE))
            fail_msg("%s", CHALLENGE[i].lines);
        if (CHALLENGE[i].alg < 0)
            continue;
        assert_int_equal(q.alg, CHALLENGE[i].alg);
        struct str t = str_of(q.text, q.n);
        assert_str_eq(span_str(t, q.qop), CHALLENGE[i].qop ? STR("auth") : STR_NONE);
        assert_str_eq(span_str(t, q.nc), CHALLENGE[i].qop ? STR("00000001") : STR_NONE);
        assert_int_equal(q.cnonce.len, CHALLENGE[i].qop ? 16 : 0);
    }
    assert_int_equal(core_usage(x->g.core[0]).blocks_used, 0);
}

/* To the letter, and what is asked is what is written. */
static void what_is_written(void **state)
{
    struct fixture *x = *state;
    struct ask q;
    assert_int_equal(wants(x, 401, W D N, sizeof kept, &q), REASON_NONE);
    assert_string_equal(x->text[0],
                        "Authorization: Digest username=\"gateway\", realm=\"pbx\", nonce=\"n\", "
                        "uri=\"sip:pbx.example.net\", algorithm=MD5");
    struct str t = str_of(q.text, q.n);
    char ha2[DIGEST_HEX_MAX], want[512], cnonce[17], first[17];
    assert_str(span_str(t, q.user), "gateway");
    assert_str(span_str(t, q.realm), "pbx");
    assert_str(span_str(t, q.nonce), "n");
    assert_int_equal(q.key, 0);
    assert_ok(
        digest_ha2(DIGEST_MD5, STR("REGISTER"), STR("sip:pbx.example.net"), false, STR_NONE, ha2));
    assert_str_eq(span_str(t, q.ha2), str_of(ha2, 32));
    static const char lines[] = P "Digest realm=\"a\\\"b, c\", nonce=\"x=\\\\\", opaque=\"o\", "
                                  "algorithm=SHA-256, qop=\"auth\", stale=true" N;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(wants(x, 407, lines, sizeof kept, &q), REASON_NONE);
        t = str_of(q.text, q.n);
        assert_str(span_str(t, q.realm), "a\\\"b, c");
        assert_str(span_str(t, q.nonce), "x=\\\\");
        (void)snprintf(cnonce, sizeof cnonce, STR_FMT, STR_ARG(span_str(t, q.cnonce)));
        assert_int_equal(strspn(cnonce, "0123456789abcdef"), 16);
        (void)snprintf(want, sizeof want,
                       "Proxy-Authorization: Digest username=\"gateway\", realm=\"a\\\"b, c\", "
                       "nonce=\"x=\\\\\", uri=\"sip:pbx.example.net\", opaque=\"o\", "
                       "algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"%s\"",
                       cnonce);
        assert_string_equal(x->text[0], want);
        if (i)
            assert_string_not_equal(cnonce, first);
        memcpy(first, cnonce, sizeof first);
    }
}

static char *long_nonce(size_t n, const char *with)
{
    static char line[2048];
    int k = snprintf(line, sizeof line, W "Digest realm=\"pbx\", nonce=\"");
    memset(line + k, 'n', n);
    (void)snprintf(line + (size_t)k + n, sizeof line - (size_t)k - n, "%s\"" N, with);
    return line;
}

/* What does not fit, or would break the line, is not answered, and nobody is asked. */
static void what_cannot_be_written(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct ask q;
    assert_int_equal(wants(x, 401, W D N, sizeof kept, &q), REASON_NONE);
    size_t fixed = strlen(x->text[0]) - 1;
    assert_int_equal(wants(x, 401, long_nonce(480 - fixed, ""), sizeof kept, &q), REASON_NONE);
    assert_int_equal(strlen(x->text[0]), 480);
    assert_int_equal(wants(x, 401, long_nonce(481 - fixed, ""), sizeof kept, &q),
                     REASON_peer_challenge);
    assert_int_equal(wants(x, 401, long_nonce(1, "\r\n X"), sizeof kept, &q),
                     REASON_peer_challenge);
    assert_int_equal(wants(x, 401, W D N, 16, &q), REASON_peer_challenge); /* where it is kept */
    arena_init_fixed(&keep_in, kept, sizeof kept);
    for (uint8_t peer = 0; peer < 2; peer++) { /* no peer of ours: no secret of ours */
        const struct challenged y = {.what = FOR_UPSTREAM,
                                     .peer = peer ? POLICY_NONE : x->g.policy.n_peers,
                                     .uri = STR("sip:x"),
                                     .keep = &keep_in};
        assert_int_equal(pending_credentials(c, &y, &msg), REASON_peer_challenge);
    }
    struct ask o = {.kind = ASK_STIR};
    while (pending_ask(c, &o, FOR_STIR, HANDLE_NONE) == REASON_NONE)
        ;
    intents_reset(&x->g.intents[0]);
    const struct challenged y = {.what = FOR_UPSTREAM, .uri = STR("sip:x"), .keep = &keep_in};
    arena_init_fixed(&keep_in, kept, sizeof kept);
    assert_int_equal(pending_credentials(c, &y, &msg), REASON_capacity_transactions);
    assert_int_equal(x->g.intents[0].n, 0);
}

/* --- what the vault says to it, of a call and within one --- */

static const char *challenge(const char *req)
{
    return answered(req, "401 Who", "p9",
                    W "Digest realm=\"pbx\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"" N);
}

enum says { YES, NO, SILENT };

static void vault_answers(struct fixture *x, enum says how)
{
    struct answer a = {.id = asked(x).id, .kind = ASK_RESPOND, .n = 64};
    assert_int_equal(asked(x).kind, ASK_RESPOND);
    memset(a.bytes, 'd', 64);
    if (how == NO)
        a.reason = REASON_auth_unavailable;
    if (how == SILENT)
        pass_ms(x, ASK_LIFE_MS + 1);
    else
        core_answer(x->g.core[0], &a, x->g.now);
    if (how != SILENT)
        collect(x);
}

static void a_call_is_challenged(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char inv[4096];
    for (enum says how = YES; how <= SILENT; how++) {
        char id[16];
        (void)snprintf(id, sizeof id, "call%d", (int)how);
        says(x, begins(x, "INVITE", id, "sip:200@example.com"), ASK_VERIFY, REASON_NONE);
        keep(inv, sizeof inv, sent(x, PBX, "INVITE "));
        message(x, &fp, challenge(inv));
        assert_null(sent(x, ALICE, "SIP/2.0"));
        vault_answers(x, how);
        const char *again = sent(x, PBX, "INVITE ");
        assert_int_equal(again != NULL, how == YES);
        assert_int_equal(core_usage(x->g.core[0]).calls, how == YES);
        if (how != YES) {
            assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
            continue;
        }
        struct str auth = field(again, "Authorization");
        assert_int_equal(auth.p[auth.n - 1], '"');
        assert_non_null(strstr(auth.p, "\", response=\"dddddddd"));
        message(x, &fp, answered(again, "486 Busy", "p9", ""));
        assert_non_null(sent(x, ALICE, "SIP/2.0 486 "));
    }
    nothing_left(x);
}

/* alice's INFO to the PBX, which wants to know who we are. */
static void info(struct fixture *x, enum says how)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    char from[512], a[4096], p[4096], first[4096];
    call_up(x, a, p, sizeof a);
    (void)snprintf(from, sizeof from, "%s;tag=a1", field(a, "To").p);
    message(x, &fa,
            request("INFO", "sip:x@" TEST_OUTSIDE, from, field(a, "From").p, field(a, "Call-ID").p,
                    5, "", ""));
    keep(first, sizeof first, sent(x, PBX, "INFO "));
    message(x, &fp, challenge(first));
    assert_null(sent(x, ALICE, "SIP/2.0"));
    vault_answers(x, how);
    const char *again = sent(x, PBX, "INFO ");
    assert_int_equal(again != NULL, how == YES);
    if (again) {
        assert_non_null(strstr(again, "Authorization: Digest username=\"gateway\""));
        message(x, &fp, answered(again, "200 OK", "", ""));
    }
    assert_non_null(sent(x, ALICE, how == YES ? "SIP/2.0 200 " : "SIP/2.0 5"));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1); /* it goes on */
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    nothing_left(x);
}

static void within_a_call(void **state)
{
    info(*state, YES);
}
static void within_a_call_in_vain(void **state)
{
    info(*state, NO);
}
static void within_a_call_unanswered(void **state)
{
    info(*state, SILENT);
}

/* The call ends before the vault answers: its word is for nobody. */
static void the_call_ends_meanwhile(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    static char invite[4096], inv[4096];
    uint32_t it = 0, id = begins(x, "INVITE", "ends", "sip:200@example.com");
    const struct pending *p = pool_next(&core_at(x)->pendings, &it);
    (void)snprintf(invite, sizeof invite, STR_FMT, STR_ARG(p->held->m->bytes));
    says(x, id, ASK_VERIFY, REASON_NONE);
    keep(inv, sizeof inv, sent(x, PBX, "INVITE "));
    message(x, &fp, challenge(inv));
    struct answer a = {.id = asked(x).id, .kind = ASK_RESPOND, .n = 64};
    memset(a.bytes, 'd', 64);
    cancels(x, invite, "sip:200@example.com");
    assert_non_null(sent(x, ALICE, "SIP/2.0 487 "));
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
    assert_int_equal(x->n_got, 0);
    assert_int_equal(waiting(x), 0);
    nothing_left(x);
}

/* The PBX's leg goes to another call before the vault answers: what was asked for in the call that
 * is over has no place in this one, whoever asks the PBX for something there. */
static void the_leg_has_moved(void **state, enum says how)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fb = flow_of(BOB, LISTEN_OUT_UDP);
    struct scene s;
    char info[4096], from[512];
    scene(x, &s);
    refer(x, &s, "Refer-To: <sip:bob@example.com>\r\n");
    answer_from(x, BOB, s.far, 200, SDP_B);
    keep(s.near, sizeof s.near, sent(x, PBX, "INVITE "));
    alice(x, &s, "INFO", "");
    keep(info, sizeof info, sent(x, PBX, "INFO "));
    message(x, &fp, challenge(info));
    struct answer a = {.id = asked(x).id, .kind = ASK_RESPOND, .n = 64};
    memset(a.bytes, 'd', 64);
    answer_from(x, PBX, s.near, 200, SDP_P);
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    (void)snprintf(from, sizeof from, "%s;tag=t9", field(s.far, "To").p);
    message(x, &fb,
            request("INFO", "sip:x@" TEST_OUTSIDE, from, field(s.far, "From").p,
                    field(s.far, "Call-ID").p, 7, "", ""));
    keep(info, sizeof info, sent(x, PBX, "INFO "));
    if (how == SILENT)
        pass_ms(x, ASK_LIFE_MS + 1);
    if (how == NO)
        a.reason = REASON_auth_unavailable;
    if (how != SILENT) {
        core_answer(x->g.core[0], &a, x->g.now);
        collect(x);
    }
    assert_null(strstr(sent(x, PBX, "INFO ") ?: "", "Authorization"));
    assert_null(sent(x, BOB, "SIP/2.0"));
    message(x, &fp, answered(info, "200 OK", "", ""));
    assert_non_null(sent(x, BOB, "SIP/2.0 200 "));
    pbx(x, &s, "BYE", 2);
    nothing_left(x);
}

static void moved(void **state)
{
    the_leg_has_moved(state, YES);
}
static void moved_in_vain(void **state)
{
    the_leg_has_moved(state, NO);
}
static void moved_unanswered(void **state)
{
    the_leg_has_moved(state, SILENT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(which_challenge),
                                       T(what_is_written),
                                       T(what_cannot_be_written),
                                       T(a_call_is_challenged),
                                       T(within_a_call),
                                       T(within_a_call_in_vain),
                                       T(within_a_call_unanswered),
                                       T(the_call_ends_meanwhile),
                                       T(moved),
                                       T(moved_in_vain),
                                       T(moved_unanswered)};
    return cmocka_run_group_tests_name("pending_credentials", tests, NULL, NULL);
}
