/* The table as a whole: forged and stray responses, limits, accounts, and a lossy conversation. */
#include "base/test.h"
#include "sip/harness.h"

static void branch_leads_home(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    char branch[BRANCH_CHARS];
    struct token tok;
    struct handle h = trans_client(r->t, SIP_OPTIONS, 1, branch);
    assert_true(str_starts(str_of(branch, BRANCH_CHARS), STR("z9hG4bK")));
    assert_ok(token_open(&r->keys, str_of(branch + 7, TOKEN_CHARS), TOKEN_BRANCH, &tok));
    assert_true(handle_eq(tok.handle, h));
    assert_int_equal(tok.engine, RIG_ENGINE);
    bool forged;
    assert_false(rig_answer_to(r, branch, 200, "OPTIONS", "t", &forged)); /* nothing was sent yet */
    assert_false(forged);
    trans_drop(r->t, h);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void strays_and_forgeries(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = rig_client(r, SIP_INVITE, false, 1);
    bool forged;
    char branch[BRANCH_CHARS];
    memcpy(branch, r->branch, sizeof branch);
    branch[12] = branch[12] == 'a' ? 'b' : 'a';
    assert_false(rig_answer_to(r, branch, 200, "INVITE", "t", &forged));
    assert_true(forged);
    memcpy(branch, "z9hG4bK-000000000000000000000000-", BRANCH_CHARS);
    assert_false(rig_answer_to(r, branch, 200, "INVITE", "t", &forged));
    assert_false(forged); /* a peer's own shape */
    token_mint(&r->keys, (struct token){TOKEN_TAG, RIG_ENGINE, h}, branch + 7);
    assert_false(rig_answer_to(r, branch, 200, "INVITE", "t", &forged));
    assert_true(forged); /* ours, but no branch */
    token_mint(&r->keys, (struct token){TOKEN_BRANCH, RIG_ENGINE + 1, h}, branch + 7);
    assert_false(rig_answer_to(r, branch, 200, "INVITE", "t", &forged));
    assert_false(forged); /* another engine's */
    token_mint(&r->keys, (struct token){TOKEN_BRANCH, RIG_ENGINE, {h.index, h.gen + 1}},
               branch + 7);
    assert_false(rig_answer_to(r, branch, 200, "INVITE", "t", &forged));
    assert_false(rig_answer(r, 200, "BYE")); /* method of CSeq: 17.1.3 */
    assert_false(rig_answer(r, 200, "CANCEL"));
    assert_int_equal(r->n_told, 0);
    for (unsigned i = 0; i < BRANCH_CHARS; i++) /* case may be lost on the way */
        branch[i] =
            (char)(r->branch[i] >= 'a' && r->branch[i] <= 'z' ? r->branch[i] - 32 : r->branch[i]);
    assert_true(rig_answer_to(r, branch, 180, "INVITE", "t", &forged));
    rig_request(r, (struct rig_request){.method = "INFO", .branch = "z9hG4bKs"});
    struct handle s = rig_server(r, false, 1);
    token_mint(&r->keys, (struct token){TOKEN_BRANCH, RIG_ENGINE, s}, branch + 7);
    assert_false(
        rig_answer_to(r, branch, 200, "INFO", "t", &forged)); /* leads to a server: never sent */
    trans_drop(r->t, h);
    trans_drop(r->t, s);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void full_table(void **state)
{
    (void)state;
    struct rig *r = rig_new(2, 16, 512);
    struct handle a = rig_client(r, SIP_BYE, true, 1), b = rig_client(r, SIP_BYE, true, 2);
    char branch[BRANCH_CHARS];
    assert_false(handle_is(trans_client(r->t, SIP_BYE, 3, branch)));
    rig_request(r, (struct rig_request){.method = "INFO", .branch = "z9hG4bKs"});
    assert_false(handle_is(rig_server(r, false, 1)));
    assert_int_equal(counters_get(&r->counters, REASON_capacity_transactions), 2);
    assert_int_equal(trans_used(r->t), 2);
    trans_drop(r->t, a);
    trans_drop(r->t, a);
    assert_true(handle_is(rig_server(r, false, 1)));
    trans_drop(r->t, b);
    rig_request(r, (struct rig_request){.method = "INFO", .branch = "z9hG4bKs"});
    struct handle found;
    assert_int_equal(rig_match(r, 1, &found), MATCH_ABSORBED);
    trans_drop(r->t, found);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void dead_handles(void **state)
{
    (void)state;
    struct rig *r = rig_new(2, 16, 512);
    struct handle h = rig_client(r, SIP_INVITE, true, 1);
    struct flow f = rig_flow(false, 1);
    assert_err(trans_send(r->t, h, &f, STR("x"), r->now), ERR_STATE);
    assert_err(trans_respond(r->t, h, 200, STR("x"), r->now), ERR_NOT_FOUND);
    assert_int_equal(trans_flow(r->t, h)->proto, PROTO_TCP);
    trans_drop(r->t, h);
    assert_err(trans_send(r->t, h, &f, STR("x"), r->now), ERR_NOT_FOUND);
    assert_err(trans_respond(r->t, h, 200, STR("x"), r->now), ERR_NOT_FOUND);
    assert_err(trans_cancel(r->t, h, STR_NONE, r->now), ERR_NOT_FOUND);
    assert_null(trans_flow(r->t, h));
    trans_transport_failed(r->t, h, r->now);
    trans_set_user(r->t, h, 1);
    assert_int_equal(trans_user_of(r->t, h), 0);
    trans_drop(r->t, h);
    h = rig_client(r, SIP_BYE, true, 1);
    assert_err(trans_cancel(r->t, h, STR_NONE, r->now), ERR_NOT_FOUND); /* only an INVITE */
    trans_drop(r->t, h);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void sizes_and_codes(void **state)
{
    (void)state;
    struct rig *r = rig_new(2, 200, 512);
    char branch[BRANCH_CHARS];
    static char big[SIP_MSG_MAX + 1];
    struct flow f = rig_flow(false, 1);
    struct handle h = trans_client(r->t, SIP_MESSAGE, 1, branch);
    assert_err(trans_send(r->t, h, &f, STR_NONE, r->now), ERR_LIMIT);
    assert_err(trans_send(r->t, h, &f, str_of(big, sizeof big), r->now), ERR_LIMIT);
    memset(big, 'x', sizeof big);
    assert_ok(trans_send(r->t, h, &f, str_of(big, SIP_MSG_MAX), r->now));
    rig_wait(r, 500);
    assert_int_equal(r->n_sent, 2);
    assert_memory_equal(r->sent[1].text, big, RIG_TEXT);
    trans_drop(r->t, h);
    rig_request(r, (struct rig_request){.method = "INFO", .branch = "z9hG4bKs"});
    h = rig_server(r, false, 1);
    trans_set_user(r->t, h, 99);
    assert_int_equal(trans_user_of(r->t, h), 99);
    assert_err(trans_respond(r->t, h, 99, STR("x"), r->now), ERR_RANGE);
    assert_err(trans_respond(r->t, h, 700, STR("x"), r->now), ERR_RANGE);
    assert_err(trans_respond(r->t, h, 200, STR_NONE, r->now), ERR_LIMIT);
    assert_ok(trans_respond(r->t, h, 200, STR("x"), r->now));
    rig_wait(r, 32000);
    assert_int_equal(r->told[0].user, 99);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* Lingering records at their size: what a second of calls costs for 32 s. */
static void lingering_is_small(void **state)
{
    (void)state;
    struct rig *r = rig_new(64, 64, 512);
    for (unsigned i = 0; i < 16; i++) {
        char branch[32];
        (void)snprintf(branch, sizeof branch, "z9hG4bK%u", i);
        rig_request(r, (struct rig_request){.method = "INVITE", .branch = branch, .to_tag = "x"});
        assert_ok(rig_respond(r, rig_server(r, false, 1), 200));
        (void)rig_client(r, SIP_INVITE, false, 1);
        assert_true(rig_answer(r, 200, "INVITE"));
        (void)rig_client(r, SIP_BYE, false, 1);
        assert_true(rig_answer(r, 200, "BYE"));
    }
    assert_int_equal(trans_used(r->t), 48);
    assert_int_equal(blocks_used(&r->blocks), 0);
    for (unsigned i = 0; i < 8; i++) {
        char branch[32];
        (void)snprintf(branch, sizeof branch, "z9hG4bKb%u", i);
        rig_request(r, (struct rig_request){.method = "BYE", .branch = branch, .to_tag = "x"});
        assert_ok(rig_respond(r, rig_server(r, false, 1), 200));
    }
    assert_int_equal(blocks_used(&r->blocks), 8);
    rig_check(r);
    rig_wait(r, 32000);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* Two tables speak over a network that loses, doubles and delays: each side has one outcome, the
 * same unless the last words were lost, and nothing is left over. */
struct packet {
    struct instant due;
    size_t n;
    bool to_server;
    char text[1024];
};
struct wire {
    struct rig *client, *server;
    struct packet queue[256];
    unsigned n, seen_client, seen_server;
    uint64_t random;
};

static unsigned dice(struct wire *w, unsigned bound)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((w->random >> 33) % bound);
}

static void post(struct wire *w, const struct rig_sent *s, bool to_server)
{
    for (unsigned copies = dice(w, 10) < 3 ? 0 : 1 + (dice(w, 10) == 0); copies > 0 && w->n < 256;
         copies--) {
        struct packet *p = &w->queue[w->n++];
        p->due = instant_add(w->client->now, DUR_MS(1 + dice(w, 80)));
        p->to_server = to_server;
        p->n = s->n;
        assert_true(s->n <= sizeof p->text);
        memcpy(p->text, s->text, s->n);
    }
}

static void collect(struct wire *w)
{
    for (unsigned i = w->seen_client; i < MIN(w->client->n_sent, RIG_LOG); i++)
        post(w, &w->client->sent[i], true);
    for (unsigned i = w->seen_server; i < MIN(w->server->n_sent, RIG_LOG); i++)
        post(w, &w->server->sent[i], false);
    w->seen_client = w->client->n_sent;
    w->seen_server = w->server->n_sent;
    assert_true(w->seen_client < RIG_LOG && w->seen_server < RIG_LOG);
}

static void deliver(struct wire *w, const struct packet *p, unsigned code)
{
    struct rig *to = p->to_server ? w->server : w->client;
    struct handle h;
    bool forged;
    rig_parse(to, str_of(p->text, p->n));
    struct flow f = rig_flow(false, 1);
    if (!to->msg.is_request) {
        (void)trans_response(to->t, &to->msg, &f, to->now, &forged);
        return;
    }
    if (rig_match(to, 1, &h) != MATCH_NEW)
        return;
    h = rig_server(to, false, 1);
    if (to->msg.method == SIP_INVITE)
        assert_ok(rig_respond(to, h, 180));
    assert_ok(rig_respond(to, h, code));
}

static void converse(uint64_t seed, enum sip_method method, unsigned code)
{
    struct wire *w = calloc(1, sizeof *w);
    w->random = seed;
    w->client = rig_new(4, 16, 512);
    w->server = rig_new(16, 32, 512);
    (void)rig_client(w->client, method, false, 1);
    for (unsigned ms = 0; ms < 150000; ms++) {
        collect(w);
        for (unsigned i = 0; i < w->n; i++)
            if (!instant_before(w->client->now, w->queue[i].due)) {
                struct packet p = w->queue[i];
                w->queue[i--] = w->queue[--w->n];
                deliver(w, &p, code);
            }
        rig_wait(w->client, 1);
        rig_wait(w->server, 1);
    }
    unsigned finals = 0, failures = 0;
    for (unsigned i = 0; i < w->client->n_told; i++) {
        finals += w->client->told[i].what == 'r' && w->client->told[i].code >= 200;
        failures += w->client->told[i].what == 'f';
    }
    assert_int_equal(finals + failures, 1);
    if (finals)
        assert_true(w->server->n_told >= 1);
    assert_true(rig_clean(w->client) && rig_clean(w->server));
    rig_free(w->client);
    rig_free(w->server);
    free(w);
}

static void lossy_network(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        converse(seed, SIP_INVITE, 486);
        converse(seed, SIP_BYE, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branch_leads_home), cmocka_unit_test(strays_and_forgeries),
        cmocka_unit_test(full_table),        cmocka_unit_test(dead_handles),
        cmocka_unit_test(sizes_and_codes),   cmocka_unit_test(lingering_is_small),
        cmocka_unit_test(lossy_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
