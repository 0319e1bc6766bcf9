#include "call/upstream_test.h"

#define PBX2 "198.51.100.11:5060"

static unsigned counted(const struct fixture *x, enum reason r)
{
    return (unsigned)x->g.counters[0].n[r];
}

static bool json_has(struct fixture *x, const char *what)
{
    static char text[8192];
    struct out o = out_of(text, sizeof text - 1);
    core_peers_json(x->g.core[0], &o, x->g.now);
    assert_false(o.full);
    text[o.n] = 0;
    return strstr(text, what) != NULL;
}

static void a_phone_is_registered_at_the_pbx(void **state)
{
    struct fixture *x = *state;
    x->g.policy.peers[0].realm_host = test_text(&x->g.policy, "pbx.test");
    front(x);
    register_alice(x);
    const char *m = keep(wait_register(x, PBX, 500, NULL));
    assert_true(str_starts(str_c(m), STR("REGISTER sip:pbx.test SIP/2.0\r\n")));
    assert_str(field(m, "To"), "<sip:alice@pbx.test>");
    assert_true(str_starts(field(m, "From"), STR("<sip:alice@pbx.test>;tag=")));
    assert_str(field(m, "Contact"), "<sip:alice@" TEST_INSIDE ":5060>");
    assert_str(field(m, "Expires"), "600");
    assert_null(strstr(m, "203.0.113")); /* nothing of the phone */
    assert_null(strstr(m, TEST_OUTSIDE));
    assert_null(strstr(m, "reg1"));
    assert_true(json_has(x, "\"fronted\":1,\"fronted_registered\":0"));
    answered(x, m, 200, "Contact: <sip:alice@" TEST_INSIDE ":5060>;expires=300\r\n");
    const struct fact *f = fact_of(x);
    assert_non_null(f);
    assert_int_equal(f->reason, REASON_NONE);
    assert_str(TEXT_STR(f->u.upstream.aor), "alice@example.com");
    assert_str(TEXT_STR(f->u.upstream.peer), "pbx");
    assert_true(f->u.upstream.expires_us == x->g.now.wall.us + INT64_C(300000000));
    assert_true(json_has(x, "\"fronted\":1,\"fronted_registered\":1"));
    assert_int_equal(core_usage(x->g.core[0]).upstream, 1);
}

static void refreshes_of_the_phone_cost_nothing_upstream(void **state)
{
    struct fixture *x = *state;
    int64_t ms;
    alice_fronted(x, "Contact: <sip:alice@" TEST_INSIDE ":5060>;expires=400\r\n");
    char id[64], cseq[64];
    (void)snprintf(id, sizeof id, "%s", field(kept, "Call-ID").p);
    (void)snprintf(cseq, sizeof cseq, "%s", field(kept, "CSeq").p);
    for (int i = 0; i < 6; i++) {
        alice_again(x, 10 + 2 * i, "Contact: <sip:alice@203.0.113.5:5060>\r\n");
        assert_null(sent(x, PBX, "REGISTER "));
        assert_null(wait_register(x, PBX, 20000, NULL));
    }
    const char *m = wait_register(x, PBX, 400000, &ms);
    assert_non_null(m);
    assert_true(ms + 120000 >= 200000 && ms + 120000 <= 361000); /* 50 to 90 % of 400 s */
    assert_string_equal(field(m, "Call-ID").p, id);
    assert_true(strcmp(field(m, "CSeq").p, cseq) > 0);
}

static void other_zones_are_not_registered(void **state)
{
    struct fixture *x = *state;
    x->g.policy.peers[0].fronts = 1u << ZONE_PBX;
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    register_alice(x);
    assert_null(wait_register(x, PBX, 5000, NULL));
    assert_int_equal(core_usage(x->g.core[0]).upstream, 0);
}

/* A user of our second domain is another one than that of the first. */
static void second_domain(void **state)
{
    struct fixture *x = *state;
    char aor[LOCATION_AOR_MAX];
    size_t n;
    struct binding b = {.aor_len = 17, .contact_len = 5, .expires = {INT64_MAX}, .flow = alice()};
    x->g.policy.domains[x->g.policy.n_domains++] = test_text(&x->g.policy, "example.net");
    memcpy(b.aor, "alice@example.net", 17);
    memcpy(b.contact, "sip:x", 5);
    core_restore(x->g.core[0], &b, 1, x->g.now);
    front(x);
    const char *m = wait_register(x, PBX, 500, NULL);
    assert_non_null(m);
    assert_str(field(m, "To"), "<sip:alice@example.net>");
    assert_str(field(m, "Contact"), "<sip:alice@" TEST_INSIDE ":5060;domain=example.net>");
    assert_true(aor_of_uri(&x->g.policy, STR("sip:alice@" TEST_INSIDE ":5060;domain=example.net"),
                           aor, sizeof aor, &n));
    assert_str(str_of(aor, n), "alice@example.net");
    assert_true(aor_of_uri(&x->g.policy, STR("sip:alice@" TEST_INSIDE ";domain=elsewhere.test"),
                           aor, sizeof aor, &n));
    assert_str(str_of(aor, n), "alice@example.com");
}

/* Bindings that outlived us are registered again, without a phone's doing. */
static void after_a_restart(void **state)
{
    struct fixture *x = *state;
    char id[64], aor[32];
    alice_fronted(x, "Expires: 3600\r\n");
    (void)snprintf(id, sizeof id, "%s", field(kept, "Call-ID").p);
    unsigned long before = strtoul(field(kept, "CSeq").p, NULL, 10);
    for (int i = 0; i < 200; i++) {
        struct binding b = {.contact_len = 5, .expires = {INT64_MAX}, .flow = alice()};
        b.aor_len = (uint8_t)snprintf(aor, sizeof aor, "u%d@example.com", i);
        memcpy(b.aor, aor, b.aor_len);
        memcpy(b.contact, "sip:x", 5);
        b.aor_hash = location_hash(&x->g.cfg[0].hash_key, str_of(b.aor, b.aor_len));
        assert_ok(location_put(x->g.shards[0], &b));
    }
    x->g.now.mono.us += 10000000;
    x->g.now.wall.us += 10000000;
    memset(x->g.mem[0], 0, core_bytes(&x->g.cfg[0]));
    x->g.core[0] = core_init(x->g.mem[0], &x->g.cfg[0], x->g.now);
    collect(x);
    unsigned n = 0, most = 0;
    bool found = false;
    for (int i = 0; i < 10; i++) {
        pass_ms(x, 100);
        unsigned now = 0;
        for (size_t k = 0; k < x->n_got; k++) {
            bool reg = x->got[k].kind == INTENT_SEND && strncmp(x->text[k], "REGISTER", 8) == 0;
            now += reg;
            if (reg && strstr(x->text[k], id)) {
                found = true;
                assert_true(strtoul(field(x->text[k], "CSeq").p, NULL, 10) > before);
            }
        }
        n += now;
        most = MAX(most, now);
    }
    assert_true(found);
    assert_true(most <= 64);
    assert_true(n >= 192); /* those that fit the fixture */
}

static void refusals_are_named_and_tried_again_later(void **state)
{
    struct fixture *x = *state;
    int64_t ms, last = 0;
    front(x);
    register_alice(x);
    x->g.policy.limits.register_max_s = 3600;
    const char *m = keep(wait_register(x, PBX, 500, NULL));
    for (int i = 0; i < 8; i++) {
        unsigned was = counted(x, REASON_upstream_refused);
        answered(x, m, 403, "");
        assert_int_equal(counted(x, REASON_upstream_refused), was + 1);
        const struct fact *f = fact_of(x);
        assert_true((f != NULL) == (i == 0)); /* told once, not with each try */
        if (f) {
            assert_int_equal(f->reason, REASON_upstream_refused);
            assert_int_equal(f->code, 403);
        }
        assert_true(json_has(x, "\"register_reason\":\"upstream_refused\",\"register_code\":403"));
        if (i % 2 == 0) /* else the phone's own time is up */
            alice_again(x, 100 + 2 * i, "Contact: <sip:alice@203.0.113.5:5060>;expires=3600\r\n");
        m = keep(wait_register(x, PBX, 2000000, &ms));
        int64_t want = MIN(30000 << i, 1800000);
        assert_true(ms >= want / 2 && ms <= want + 200);
        last = ms;
    }
    assert_true(last >= 900000);
    answered(x, m, 200, "Expires: 60\r\n");
    assert_non_null(fact_of(x));
    assert_false(json_has(x, "register_reason"));
}

static void min_expires_is_followed_once(void **state)
{
    struct fixture *x = *state;
    front(x);
    register_alice(x);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 423, "Min-Expires: 1800\r\n");
    const char *m = keep(sent(x, PBX, "REGISTER "));
    assert_str(field(m, "Expires"), "1800");
    answered(x, m, 423, "Min-Expires: 3600\r\n");
    assert_null(sent(x, PBX, "REGISTER "));
    assert_int_equal(counted(x, REASON_upstream_refused), 1);
}

static void the_next_address_is_tried(void **state)
{
    struct fixture *x = *state;
    front(x);
    register_alice(x);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 503, "Retry-After: 100\r\n");
    assert_non_null(sent(x, PBX2, "REGISTER sip:198.51.100.11:5060 SIP/2.0"));
    /* That one says nothing: both are out, and then it is time to wait. */
    assert_null(wait_register(x, PBX, 31000, NULL));
    assert_null(wait_register(x, PBX, 2000, NULL));
    assert_true(json_has(x, "\"register_reason\":\"sip_timeout\""));
    assert_non_null(wait_register(x, PBX, 31000, NULL));
}

static void a_peer_that_comes_back_may_have_forgotten(void **state)
{
    struct fixture *x = *state;
    alice_fronted(x, "Expires: 3600\r\n");
    struct flow f = pbx();
    x->g.policy.peers[0].options_s = 30;
    x->g.policy.peers[0].n_targets = 1;
    front(x);
    bool down = false, asked = false;
    for (int i = 0; i < 700; i++) { /* nobody answers OPTIONS */
        pass_ms(x, 100);
        assert_null(sent(x, PBX, "REGISTER "));
        down |= count_facts(x, FACT_PEER_STATE) > 0;
    }
    assert_true(down);
    for (int i = 0; i < 400 && !asked; i++) {
        pass_ms(x, 100);
        const char *o = sent(x, PBX, "OPTIONS ");
        if (!o)
            continue;
        message(x, &f, answer(keep(o), 200, "p", "pbx@198.51.100.10", ""));
        asked = wait_register(x, PBX, 1000, NULL) != NULL;
    }
    assert_true(asked);
}

/* --- ours at a trunk --- */

static const char CHALLENGE[] = "WWW-Authenticate: Digest realm=\"trunk\", nonce=\"n1\", "
                                "algorithm=MD5, qop=\"auth\"\r\n";

static void vault_says(struct fixture *x, enum reason r, const char *response)
{
    struct ask q;
    size_t i = 0;
    while (i < x->n_got && x->got[i].kind != INTENT_ASK)
        i++;
    assert_true(i < x->n_got);
    memcpy(&q, x->text[i], MIN(sizeof q, sizeof x->text[i]));
    assert_int_equal(q.kind, ASK_RESPOND);
    assert_int_equal(q.key, 0);
    assert_str(span_str(str_of(q.text, q.n), q.user), "gateway");
    struct answer a = {.id = q.id, .kind = q.kind, .reason = (uint16_t)r};
    a.n = (uint16_t)strlen(response);
    memcpy(a.bytes, response, a.n);
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
}

static void our_account_at_a_trunk(void **state)
{
    struct fixture *x = *state;
    int64_t ms;
    own(x, 1800);
    const char *m = keep(wait_register(x, PBX, 500, NULL));
    assert_str(field(m, "To"), "<sip:gateway@198.51.100.10>");
    assert_str(field(m, "Contact"), "<sip:gateway@" TEST_INSIDE ":5060>");
    assert_str(field(m, "Expires"), "1800");
    assert_null(strstr(m, "Authorization"));
    answered(x, m, 401, CHALLENGE);
    vault_says(x, REASON_NONE, "c0ffee");
    m = keep(sent(x, PBX, "REGISTER "));
    assert_non_null(strstr(m, "Authorization: Digest username=\"gateway\", realm=\"trunk\", "
                              "nonce=\"n1\", uri=\"sip:198.51.100.10:5060\", algorithm=MD5, "
                              "qop=auth, nc=00000001, cnonce=\""));
    assert_non_null(strstr(m, "response=\"c0ffee\"\r\n"));
    answered(x, m, 200, "Contact: <sip:gateway@" TEST_INSIDE ":5060>;expires=100\r\n");
    assert_true(json_has(x, "\"registered\":true"));
    keep(wait_register(x, PBX, 90100, &ms));
    assert_true(ms >= 50000);
    own(x, 0); /* while it is under way */
    answered(x, kept, 200, "");
    m = keep(wait_register(x, PBX, 2000, NULL));
    assert_str(field(m, "Expires"), "0");
    answered(x, m, 200, "");
    nothing_left(x);
}

static void wrong_credentials_are_named(void **state)
{
    struct fixture *x = *state;
    own(x, 1800);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 401, CHALLENGE);
    vault_says(x, REASON_NONE, "bad");
    answered(x, keep(sent(x, PBX, "REGISTER ")), 401, CHALLENGE);
    assert_null(sent(x, PBX, "REGISTER "));
    assert_int_equal(counted(x, REASON_upstream_auth), 1);
    assert_true(json_has(x, "\"registered\":false"));
    assert_true(json_has(x, "\"register_reason\":\"upstream_auth\",\"register_code\":401"));
    /* Next time from the start, with a new answer. */
    answered(x, keep(wait_register(x, PBX, 31000, NULL)), 401, CHALLENGE);
    vault_says(x, REASON_auth_unavailable, "");
    assert_true(json_has(x, "\"register_reason\":\"auth_unavailable\""));
    /* A vault that says nothing at all. */
    answered(x, keep(wait_register(x, PBX, 61000, NULL)), 401, CHALLENGE);
    assert_null(wait_register(x, PBX, 3000, NULL));
    assert_non_null(wait_register(x, PBX, 121000, NULL));
}

static void without_credentials_a_challenge_is_a_failure(void **state)
{
    struct fixture *x = *state;
    x->g.policy.peers[0].has_secret = false;
    front(x);
    register_alice(x);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 401, CHALLENGE);
    assert_int_equal(counted(x, REASON_peer_challenge), 1);
    assert_int_equal(fact_of(x)->reason, REASON_peer_challenge);
}

static void a_new_policy_renumbers_by_name(void **state)
{
    struct fixture *x = *state;
    static struct policy p;
    own(x, 1800);
    answered(x, keep(wait_register(x, PBX, 500, NULL)), 200, "");
    p = x->g.policy;
    p.peers[1] = p.peers[0];
    p.peers[0].name = test_text(&p, "other");
    p.peers[0].register_s = 0;
    p.peers[0].targets[0] = test_addr("198.51.100.77:5060");
    p.n_peers = 2;
    core_policy(x->g.core[0], &p, x->g.now);
    assert_null(wait_register(x, PBX, 5000, NULL)); /* as it was */
    assert_int_equal(core_usage(x->g.core[0]).upstream, 1);
    p.peers[1].name = test_text(&p, "renamed");
    p.peers[1].register_s = 0;
    core_policy(x->g.core[0], &p, x->g.now); /* nobody is left to take leave of */
    assert_int_equal(core_usage(x->g.core[0]).upstream, 0);
    x->g.policy = p;
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
}

static void only_one_engine_keeps_an_account(void **state)
{
    struct gateway *g = calloc(1, sizeof *g);
    (void)state;
    gateway_init(g, 2, 3);
    g->policy.peers[0].register_s = 600;
    for (unsigned i = 0; i < 2; i++) {
        core_policy(g->core[i], &g->policy, g->now);
        assert_int_equal(core_usage(g->core[i]).upstream, i == 0);
    }
    gateway_done(g);
    free(g);
}

static void the_table_is_bounded_and_says_so(void **state)
{
    struct fixture *x = *state;
    char aor[32];
    x->g.policy.limits.bindings = 10; /* sizes the table at the next start only */
    memset(x->g.mem[0], 0, core_bytes(&x->g.cfg[0]));
    x->g.policy.peers[0].fronts = 1u << ZONE_PHONES;
    x->g.core[0] = core_init(x->g.mem[0], &x->g.cfg[0], x->g.now);
    for (int i = 0; i < 100; i++) {
        struct binding b = {.contact_len = 5, .expires = {INT64_MAX}, .flow = alice()};
        b.aor_len = (uint8_t)snprintf(aor, sizeof aor, "u%d@example.com", i);
        memcpy(b.aor, aor, b.aor_len);
        memcpy(b.contact, "sip:x", 5);
        core_restore(x->g.core[0], &b, 1, x->g.now);
    }
    for (int i = 0; i < 5; i++)
        pass_ms(x, 100);
    assert_int_equal(core_usage(x->g.core[0]).upstream, 10 + 1 + POLICY_PEERS);
    assert_true(counted(x, REASON_capacity_upstream) >= 100 - 11 - POLICY_PEERS);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(a_phone_is_registered_at_the_pbx),
                                       T(refreshes_of_the_phone_cost_nothing_upstream),
                                       T(other_zones_are_not_registered),
                                       T(second_domain),
                                       T(after_a_restart),
                                       T(refusals_are_named_and_tried_again_later),
                                       T(min_expires_is_followed_once),
                                       T(the_next_address_is_tried),
                                       T(a_peer_that_comes_back_may_have_forgotten),
                                       T(our_account_at_a_trunk),
                                       T(wrong_credentials_are_named),
                                       T(without_credentials_a_challenge_is_a_failure),
                                       T(a_new_policy_renumbers_by_name),
                                       cmocka_unit_test(only_one_engine_keeps_an_account),
                                       T(the_table_is_bounded_and_says_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
