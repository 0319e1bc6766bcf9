/* Requests that are kept while somebody else is asked: copies, numbers, time, and what becomes of
 * them. */
#include "call/pending_test.h"

#define MALLORY "203.0.113.66:5060"
static uint32_t registers(struct fixture *x, const char *id)
{
    return begins(x, "REGISTER", id, "sip:example.com");
}

/* --- copies --- */

static void a_copy_of_its_own(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    struct request r;
    static char text[4096];
    (void)snprintf(text, sizeof text, "%s",
                   request("OPTIONS", "sip:bob@example.com", "<sip:a@example.com>;tag=1",
                           "<sip:b@example.com>", "held", 7, "", "v=0"));
    size_t n = strlen(text), used = c->large.used;
    parse(text);
    request_init(&r, &msg, &f, x->g.now);
    struct incoming in = {.r = &r, .m = &msg, .t = {3, 4}};
    assert_ok(incoming_hold(c, &in));
    const struct held *was = in.held;
    assert_int_equal(c->large.used, used + 1);
    assert_ok(incoming_hold(c, &in)); /* it is */
    assert_ptr_equal(in.held, was);
    assert_int_equal(c->large.used, used + 1);
    memset(text, '#', n);
    memset(&msg, 0xee, sizeof msg);
    assert_ptr_equal(in.m, in.held->m);
    assert_ptr_equal(r.m, in.held->m);
    assert_int_equal(in.m->bytes.n, n);
    assert_str(sip_text(in.m, in.m->call_id), "held");
    assert_str(sip_text(in.m, in.m->uri), "sip:bob@example.com");
    assert_int_equal(in.m->cseq, 7);
    assert_true(handle_eq(in.held->t, (struct handle){3, 4}));
    assert_true(addr_eq(&in.held->flow.peer, &f.peer));
    assert_null(in.held->answer.p);
    assert_int_equal(in.held->again_code, 0);
    held_free(&in.held);
    assert_null(in.held);
    held_free(&in.held); /* none */
    assert_int_equal(c->large.used, used);
}

/* Up to the end of one block, and not a byte more; without a block not at all. */
static void longest_copy(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    struct held *h = NULL;
    struct sip_msg m = {0};
    static char text[LARGE_BLOCK + 1];
    size_t most = 0, used = c->large.used;
    for (size_t n = 1; n < sizeof text; n++) {
        m.bytes = str_of(text, n);
        enum err e = held_new(c, &m, &f, HANDLE_NONE, &h);
        assert_int_equal(e, most + 1 == n && e == OK ? OK : ERR_LIMIT);
        assert_int_equal(c->large.used, used + (e == OK));
        assert_int_equal(h != NULL, e == OK);
        if (e == OK)
            most = n;
        held_free(&h);
    }
    size_t least = LARGE_BLOCK - sizeof *h - sizeof m - 64;
    assert_in_range(most, least, LARGE_BLOCK - sizeof *h - sizeof m);
    struct arena all;
    arena_init_blocks(&all, &c->large, SIZE_MAX);
    while (arena_take(&all, LARGE_BLOCK / 2))
        ;
    m.bytes = str_of(text, 1);
    struct request r = {.m = &m, .flow = f};
    struct incoming in = {.r = &r, .m = &m};
    assert_err(held_new(c, &m, &f, HANDLE_NONE, &h), ERR_FULL);
    assert_err(incoming_hold(c, &in), ERR_FULL);
    assert_null(h);
    assert_null(in.held);
    assert_ptr_equal(in.m, &m);
    arena_reset(&all);
    assert_int_equal(c->large.used, used);
}

/* --- what is told of a verdict --- */

static unsigned verdicts(struct fixture *x, const struct request *r, struct verdict v, unsigned n)
{
    unsigned told = 0;
    for (unsigned i = 0; i < n; i++) {
        fact_verdict(core_at(x), r, &v);
        collect(x);
        told += count_facts(x, FACT_VERDICT);
    }
    return told;
}

static void told_within_a_share(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
    struct request r;
    parse(request("INVITE", "sip:1@example.com", "<sip:mallory@example.com>;tag=1",
                  "<sip:2@example.com>", "verdict", 1, "", ""));
    request_init(&r, &msg, &f, x->g.now);
    const struct verdict no = {VERDICT_REFUSE, GATE_SOURCE, REASON_shield_refused, 403},
                         yes = {VERDICT_PASS, GATE_ROUTE, REASON_NONE, 200},
                         drop = {VERDICT_DROP, GATE_SOURCE, REASON_shield_banned, 403};
    r.zone = 1;
    assert_int_equal(verdicts(x, &r, no, 1), 1);
    const struct fact *t = (const void *)x->text[0];
    assert_ok(fact_valid(t, t->bytes));
    assert_int_equal(t->reason, REASON_shield_refused);
    assert_int_equal(t->code, 403);
    assert_str(TEXT_STR(t->u.verdict.call_id), "verdict");
    assert_str(TEXT_STR(t->u.verdict.from), "sip:mallory@example.com");
    assert_str(TEXT_STR(t->u.verdict.to), "sip:2@example.com");
    assert_str(TEXT_STR(t->u.verdict.method), "INVITE");
    assert_str(TEXT_STR(t->u.verdict.user), "");
    assert_true(addr_eq(&t->u.verdict.source, &f.peer));
    assert_int_equal(t->u.verdict.zone, 1);
    assert_int_equal(t->u.verdict.proto, PROTO_UDP);
    assert_int_equal(verdicts(x, &r, no, 100), 39);
    assert_int_equal(counted(x, REASON_log_share), 61);
    assert_int_equal(x->g.core[0]->quiet.sum[REASON_shield_refused].n, 61);
    assert_int_equal(verdicts(x, &r, yes, 100), 100); /* what passes always is */
    assert_int_equal(((const struct fact *)(const void *)x->text[0])->code, 0);
    r.ident = IDENT_USER; /* and so is whatever somebody known does */
    memcpy(r.user, "bob@x", 5);
    r.user_n = 5;
    assert_int_equal(verdicts(x, &r, drop, 100), 100);
    t = (const void *)x->text[0];
    assert_int_equal(t->code, 0); /* no answer has none */
    assert_str(TEXT_STR(t->u.verdict.user), "bob@x");
    assert_int_equal(counted(x, REASON_log_share), 61);
}

/* --- numbers of questions --- */

/* Answers that nobody waits for any more, or never did, change nothing. */
static void answers_that_fit_nothing(void **state)
{
    struct fixture *x = *state;
    uint32_t one = registers(x, "one"), two = registers(x, "two");
    assert_int_not_equal(one, two);
    assert_int_equal(waiting(x), 2);
    const uint32_t ids[] = {0,
                            one + 2,          /* never asked */
                            one & 0xffff0000, /* no place */
                            one | 0xffff,     /* beyond the table */
                            one ^ 0x10000,    /* who was there before */
                            513,
                            UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        says(x, ids[i], ASK_VERIFY, REASON_NONE);
    for (unsigned k = 0; k < ASK_KIND_COUNT + 1; k++)
        if (k != ASK_VERIFY)
            says(x, one, (enum ask_kind)k, REASON_NONE);
    assert_int_equal(waiting(x), 2);
    says(x, two, ASK_VERIFY, REASON_auth_failed);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    says(x, two, ASK_VERIFY, REASON_NONE); /* twice */
    assert_int_equal(x->n_got, 0);
    assert_int_equal(core_usage(x->g.core[0]).bindings, 0);
    uint32_t three = registers(x, "three"); /* in the same place */
    assert_int_equal(two & 0xffff, three & 0xffff);
    assert_int_not_equal(two, three);
    says(x, two, ASK_VERIFY, REASON_NONE);
    assert_int_equal(waiting(x), 2);
    says(x, three, ASK_VERIFY, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_str(field(sent(x, ALICE, "SIP/2.0 200 "), "Call-ID"), "three");
    says(x, one, ASK_VERIFY, REASON_NONE);
    assert_str(field(sent(x, ALICE, "SIP/2.0 200 "), "Call-ID"), "one");
    nothing_left(x);
}

/* --- time --- */

static void how_long_each_waits(void **state)
{
    struct fixture *x = *state;
    static const struct {
        enum ask_kind kind;
        enum serves what;
        int64_t ms;
    } row[] = {{ASK_OTP, FOR_CODE, ASK_LIFE_MS},
               {ASK_STIR, FOR_STIR, ASK_LIFE_MS},
               {ASK_RESPOND, FOR_UPSTREAM, ASK_LIFE_MS},
               {ASK_CONSULT, FOR_CONSULT, 700}};
    x->g.policy.consult.wait_ms = 700;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct ask q = {.kind = (uint8_t)row[i].kind};
        assert_int_equal(pending_ask(core_at(x), &q, row[i].what, HANDLE_NONE), REASON_NONE);
        assert_int_equal(x->g.intents[0].n, 1);
        assert_int_equal(((const struct ask *)(const void *)x->g.intents[0].v[0].bytes.p)->id,
                         q.id);
        pass_ms(x, row[i].ms - 2);
        assert_int_equal(waiting(x), 1);
        pass_ms(x, 3);
        assert_int_equal(waiting(x), 0);
    }
    struct ask q = {.kind = ASK_STIR};
    for (uint32_t i = 0; i < 300; i++) { /* in one place, one after the other */
        assert_int_equal(pending_ask(core_at(x), &q, FOR_STIR, HANDLE_NONE), REASON_NONE);
        says(x, q.id, ASK_STIR, REASON_NONE);
        assert_int_equal(waiting(x), 0);
    }
    for (uint32_t i = 0; i < x->g.cfg[0].pending_cap; i++)
        assert_int_equal(pending_ask(core_at(x), &q, FOR_STIR, HANDLE_NONE), REASON_NONE);
    intents_reset(&x->g.intents[0]);
    assert_int_equal(pending_ask(core_at(x), &q, FOR_STIR, HANDLE_NONE),
                     REASON_capacity_transactions);
    assert_int_equal(x->g.intents[0].n, 0); /* nobody is asked */
    pass_ms(x, ASK_LIFE_MS + 1);
    nothing_left(x);
}

static void the_vault_is_silent(void **state)
{
    struct fixture *x = *state;
    uint32_t id = registers(x, "late");
    pass_ms(x, ASK_LIFE_MS - 2);
    assert_null(sent(x, ALICE, "SIP/2.0 "));
    pass_ms(x, 3);
    const char *no = sent(x, ALICE, "SIP/2.0 503 ");
    assert_non_null(no);
    assert_str(field(no, "Retry-After"), "5");
    assert_int_equal(count_facts(x, FACT_VERDICT), 1);
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const void *)x->text[i];
        if (x->got[i].kind != INTENT_FACT || f->kind != FACT_VERDICT)
            continue;
        assert_int_equal(f->reason, REASON_auth_unavailable);
        assert_int_equal(f->code, 503);
        assert_int_equal(f->u.verdict.trace.gate[GATE_IDENTITY].verdict, VERDICT_REFUSE);
        assert_int_equal(f->u.verdict.trace.gate[GATE_IDENTITY].reason, REASON_auth_unavailable);
    }
    assert_int_equal(counted(x, REASON_auth_unavailable), 1);
    says(x, id, ASK_VERIFY, REASON_NONE); /* too late */
    assert_int_equal(x->n_got, 0);
    assert_int_equal(core_usage(x->g.core[0]).bindings, 0);
    nothing_left(x);
}

/* What the gates found out is of the old policy: alice is asked once more, and need not be told
 * that her password was wrong. */
static void another_policy_meanwhile(void **state)
{
    struct fixture *x = *state;
    uint32_t id = registers(x, "reload");
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    says(x, id, ASK_VERIFY, REASON_NONE);
    const char *again = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(again);
    assert_non_null(strstr(again, "stale=true"));
    assert_int_equal(core_usage(x->g.core[0]).bindings, 0);
    says(x, registers(x, "then"), ASK_VERIFY, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    nothing_left(x);
}

/* What the gates said of the one request that they judged. */
static unsigned verdict(struct fixture *x)
{
    unsigned code = 0;
    assert_int_equal(count_facts(x, FACT_VERDICT), 1);
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const void *)x->text[i];
        if (x->got[i].kind == INTENT_FACT && f->kind == FACT_VERDICT)
            code = f->code;
    }
    return code;
}

/* Time goes on while somebody waits: a registration begins when it is accepted. */
static void of_now(void **state)
{
    struct fixture *x = *state;
    struct binding b[2];
    uint32_t id = registers(x, "then");
    pass_ms(x, 1500);
    says(x, id, ASK_VERIFY, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_int_equal(location_all(x->g.cfg[0].shards, 1, &x->g.cfg[0].hash_key,
                                  STR("alice@example.com"), x->g.now.wall, b, 2),
                     1);
    assert_int_equal(b[0].expires.us, x->g.now.wall.us + INT64_C(600000000));
}

/* --- certificates of callers --- */

/* The PBX calls bob, and its signer's certificate is waited for. */
static uint32_t certificate(struct fixture *x, const char *id)
{
    struct core *c = core_at(x);
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    struct incoming in = {.r = &c->req, .m = &msg};
    static char text[4096];
    (void)snprintf(text, sizeof text, "%s",
                   request("INVITE", "sip:bob@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                           "<sip:bob@" TEST_INSIDE ">", id, 1,
                           "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P));
    parse(text);
    request_init(&c->req, &msg, &f, x->g.now);
    c->req.zone = ZONE_PBX;
    c->req.peer = 0;
    c->req.ident = IDENT_PEER;
    memset(&c->ask, 0, sizeof c->ask);
    c->ask.kind = ASK_CERT;
    assert_true(ask_add(&c->ask, STR("https://example.net/c.pem"), &c->ask.user));
    pending_wait(c, &in, &c->ask);
    collect(x);
    assert_non_null(sent(x, PBX, "SIP/2.0 100 "));
    assert_int_equal(waiting(x), 1);
    return asked(x).id;
}

static void no_certificate_in_time(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    bind_phone(x, "bob", BOB, 500);
    (void)certificate(x, "in-vain");
    pass_ms(x, CERT_LIFE_MS - 2);
    assert_null(sent(x, BOB, "INVITE "));
    pass_ms(x, 3);
    assert_non_null(sent(x, BOB, "INVITE ")); /* the policy lets it pass */
    assert_int_equal(waiting(x), 0);
    p->stir.refuse_none = true;
    for (unsigned reload = 0; reload < 2; reload++)
        for (unsigned silent = 0; silent < 2; silent++) {
            uint32_t id = certificate(x, silent ? "no" : "nobody");
            if (reload)
                core_policy(x->g.core[0], p, x->g.now);
            if (silent)
                pass_ms(x, CERT_LIFE_MS + 1);
            else
                says(x, id, ASK_CERT, REASON_NONE);
            assert_int_equal(verdict(x), reload ? 503 : 428); /* nobody can be asked again */
            assert_non_null(sent(x, PBX, reload ? "SIP/2.0 503 " : "SIP/2.0 428 "));
            assert_int_equal(core_usage(x->g.core[0]).calls, 1); /* the one before */
        }
    pass_ms(x, 65000);
    nothing_left(x);
}

/* --- the caller, or the call, has gone --- */

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

static void cancelled(void **state)
{
    struct fixture *x = *state;
    static const char uri[] = "sip:200@example.com";
    uint32_t it = 0, id = begins(x, "INVITE", "gone", uri);
    const struct pending *p = pool_next(&core_at(x)->pendings, &it);
    static char invite[4096];
    (void)snprintf(invite, sizeof invite, STR_FMT, STR_ARG(p->held->m->bytes));
    cancels(x, invite, uri);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_non_null(sent(x, ALICE, "SIP/2.0 487 "));
    assert_int_equal(waiting(x), 0);
    says(x, id, ASK_VERIFY, REASON_NONE);
    assert_int_equal(x->n_got, 0); /* nobody is called */
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

/* Alice hangs up from another address, where she must prove that it is she. */
static uint32_t hangs_up_elsewhere(struct fixture *x, const char *invite, int cseq)
{
    struct flow f = flow_of(MALLORY, LISTEN_OUT_UDP);
    static const char uri[] = "sip:x@" TEST_OUTSIDE;
    char from[512], to[512], id[256];
    (void)snprintf(from, sizeof from, "%s;tag=a1", field(invite, "To").p);
    (void)snprintf(to, sizeof to, "%s", field(invite, "From").p);
    (void)snprintf(id, sizeof id, "%s", field(invite, "Call-ID").p);
    message(x, &f, request("BYE", uri, from, to, id, cseq, "", ""));
    const char *r = sent(x, MALLORY, "SIP/2.0 401 ");
    assert_non_null(r);
    char auth[1400];
    (void)snprintf(auth, sizeof auth, "%s", credentials(r, uri));
    message(x, &f, request("BYE", uri, from, to, id, cseq + 1, auth, ""));
    return asked(x).id;
}

/* The vault is silent, or there is no place to wait in: that is answered, the call goes on, and
 * nothing is said of gates. Then it is she. */
static void within_a_call(void **state)
{
    struct fixture *x = *state;
    char a[4096], p[4096];
    call_up(x, a, p, sizeof a);
    (void)hangs_up_elsewhere(x, a, 1);
    assert_int_equal(waiting(x), 1);
    pass_ms(x, ASK_LIFE_MS + 1);
    assert_non_null(sent(x, MALLORY, "SIP/2.0 503 "));
    assert_int_equal(count_facts(x, FACT_VERDICT), 0);
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    struct ask q = {.kind = ASK_STIR};
    while (pending_ask(core_at(x), &q, FOR_STIR, HANDLE_NONE) == REASON_NONE)
        ;
    intents_reset(&x->g.intents[0]);
    assert_int_equal(hangs_up_elsewhere(x, a, 3), 0);
    assert_non_null(sent(x, MALLORY, "SIP/2.0 503 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pass_ms(x, ASK_LIFE_MS + 1);
    says(x, hangs_up_elsewhere(x, a, 5), ASK_VERIFY, REASON_NONE);
    assert_non_null(sent(x, MALLORY, "SIP/2.0 200 "));
    assert_non_null(sent(x, PBX, "BYE "));
    nothing_left(x);
}

/* The other side hangs up meanwhile: there is no call that an answer could be for, and nobody whose
 * password could be wrong. */
static void the_call_has_gone(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char a[4096], p[4096];
    call_up(x, a, p, sizeof a);
    uint32_t id = hangs_up_elsewhere(x, a, 1);
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    says(x, id, ASK_VERIFY, REASON_auth_failed);
    assert_non_null(sent(x, MALLORY, "SIP/2.0 481 "));
    nothing_left(x);
}

/* Questions that are given up, by whichever side, are requests like others: one is too many here of
 * somebody whose address is real. */
static void given_up_is_observed(void **state)
{
    struct fixture *x = *state;
    static char invite[4096];
    uint32_t it = 0;
    x->g.policy.guard.detectors[DET_flood_invite].threshold = 1;
    x->g.policy.guard.detectors[DET_flood_register].threshold = 1;
    core_policy(core_at(x), &x->g.policy, x->g.now);
    (void)begins(x, "INVITE", "hung", "sip:200@example.com");
    const struct pending *p = pool_next(&x->g.core[0]->pendings, &it);
    (void)snprintf(invite, sizeof invite, STR_FMT, STR_ARG(p->held->m->bytes));
    assert_int_equal(count_facts(x, FACT_ALERT), 0);
    cancels(x, invite, "sip:200@example.com");
    assert_int_equal(count_facts(x, FACT_ALERT), 1);
    (void)registers(x, "late");
    assert_int_equal(count_facts(x, FACT_ALERT), 0);
    pass_ms(x, ASK_LIFE_MS + 1);
    assert_int_equal(count_facts(x, FACT_ALERT), 1);
    nothing_left(x);
}

/* --- no room for the copy --- */

static unsigned waits_in_vain(struct fixture *x, const char *body)
{
    struct core *c = core_at(x);
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    struct incoming in = {.r = &c->req, .m = &msg};
    static char text[LARGE_BLOCK + 4096];
    static int n;
    size_t used = c->large.used;
    (void)snprintf(text, sizeof text,
                   "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKv%d\r\n"
                   "Max-Forwards: 20\r\nFrom: <sip:alice@example.com>;tag=1\r\n"
                   "To: <sip:b@example.com>\r\nCall-ID: vain\r\nCSeq: 1 OPTIONS\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   n++, strlen(body), body);
    parse(text);
    request_init(&c->req, &msg, &f, x->g.now);
    memset(&c->ask, 0, sizeof c->ask);
    c->ask.kind = ASK_VERIFY;
    pending_wait(c, &in, &c->ask);
    collect(x);
    assert_int_equal(waiting(x), 0);
    assert_int_equal(asked(x).kind, 0);
    assert_int_equal(c->large.used, used);
    assert_null(in.held);
    const char *r = sent(x, ALICE, "SIP/2.0 ");
    assert_non_null(r);
    return (unsigned)strtoul(r + 8, NULL, 10);
}

static void no_room(void **state)
{
    struct fixture *x = *state;
    struct core *c = core_at(x);
    struct arena all;
    static char body[LARGE_BLOCK + 1];
    memset(body, 'b', LARGE_BLOCK);
    assert_int_equal(waits_in_vain(x, body), reason_info(REASON_sip_too_large)->code);
    assert_int_equal(counted(x, REASON_sip_too_large), 1);
    arena_init_blocks(&all, &c->large, SIZE_MAX);
    while (arena_take(&all, LARGE_BLOCK / 2))
        ;
    assert_int_equal(waits_in_vain(x, ""), 503);
    assert_int_equal(counted(x, REASON_capacity_memory), 1);
    arena_reset(&all);
    nothing_left(x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(a_copy_of_its_own),
                                       T(longest_copy),
                                       T(told_within_a_share),
                                       T(answers_that_fit_nothing),
                                       T(how_long_each_waits),
                                       T(the_vault_is_silent),
                                       T(another_policy_meanwhile),
                                       T(no_certificate_in_time),
                                       T(cancelled),
                                       T(of_now),
                                       T(within_a_call),
                                       T(the_call_has_gone),
                                       T(given_up_is_observed),
                                       T(no_room)};
    return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
