/* Calls that go wrong, or change, or are overtaken by a new policy. */
#include "call/core_fixture.h"

/* The caller gives up while the vault still thinks. */
static void test_cancel_before_the_vault(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=f1", to[] = "<sip:1234@example.com>",
                      uri[] = "sip:1234@example.com";
    message(x, &f,
            request("INVITE", uri, from, to, "k1", 1, "Contact: <sip:a@203.0.113.5>\r\n", SDP_A));
    char auth[1400], invite[4096], cancel[4096];
    (void)snprintf(auth, sizeof auth, "Contact: <sip:a@203.0.113.5>\r\n%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
    (void)snprintf(invite, sizeof invite, "%s",
                   request("INVITE", uri, from, to, "k1", 2, auth, SDP_A));
    message(x, &f, invite);
    assert_non_null(sent(x, ALICE, "SIP/2.0 100 "));
    (void)snprintf(cancel, sizeof cancel,
                   "CANCEL %s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\n"
                   "Call-ID: k1\r\nCSeq: 2 CANCEL\r\nContent-Length: 0\r\n\r\n",
                   uri, field(invite, "Via").p, from, to);
    struct ask q;
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK)
            memcpy(&q, x->text[i], sizeof x->text[i] < sizeof q ? sizeof x->text[i] : sizeof q);
    message(x, &f, cancel);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    assert_non_null(sent(x, ALICE, "SIP/2.0 487 "));
    /* The answer that comes now is for nobody. */
    struct answer a = {.id = q.id, .kind = q.kind};
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    assert_null(sent(x, PBX, "INVITE "));
    nothing_left(x);
}

/* Both sides change the call at once: one of the two is told 491, and the one under way goes on. */
static void test_glare(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    char a[4096], p[4096], to[512], re[4096];
    call_up(x, a, p, sizeof a);
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    field(p, "To").p, "id-of-pbx", 2, "Contact: <sip:200@198.51.100.10>\r\n",
                    SDP_P));
    assert_non_null(sent(x, ALICE, "INVITE sip:alice@203.0.113.5 SIP/2.0"));
    (void)snprintf(re, sizeof re, "%s", sent(x, ALICE, "INVITE "));
    (void)snprintf(to, sizeof to, "%s;tag=a1", field(a, "To").p);
    message(x, &fa,
            request("INVITE", "sip:x@" TEST_OUTSIDE, to, field(a, "From").p, field(a, "Call-ID").p,
                    7, "Contact: <sip:alice@203.0.113.5>\r\n", SDP_A));
    assert_non_null(sent(x, ALICE, "SIP/2.0 491 "));
    assert_null(sent(x, PBX, "INVITE "));
    /* A second one of the same side: busy, with Retry-After. */
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    field(p, "To").p, "id-of-pbx", 3, "Contact: <sip:200@198.51.100.10>\r\n",
                    SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 500 "));
    assert_non_null(strstr(sent(x, PBX, "SIP/2.0 500 "), "Retry-After: "));
    /* The far side refuses: 488 passes, and the call goes on as it was. */
    message(x, &fa, answer(re, 488, "", "alice@203.0.113.5", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 488 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    message(x, &fp,
            request("REFER", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    field(p, "To").p, "id-of-pbx", 4, "Refer-To: <sip:x@example.com>\r\n", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 603 "));
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 5, "", ""));
    nothing_left(x);
}

/* 401 of the PBX: the vault's answer goes into a second INVITE; never for a phone. */
static void test_peer_challenge(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=f1", to[] = "<sip:1234@example.com>",
                      uri[] = "sip:1234@example.com";
    message(x, &fa,
            request("INVITE", uri, from, to, "m1", 1, "Contact: <sip:a@203.0.113.5>\r\n", SDP_A));
    char auth[1400], inv[4096], text[4096];
    (void)snprintf(auth, sizeof auth, "Contact: <sip:a@203.0.113.5>\r\n%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
    message(x, &fa, request("INVITE", uri, from, to, "m1", 2, auth, SDP_A));
    vault(x, REASON_NONE);
    const char *out = sent(x, PBX, "INVITE sip:1234@198.51.100.10:5060 SIP/2.0");
    assert_non_null(out);
    assert_null(strstr(out, "203.0.113"));
    assert_null(strstr(out, "Authorization"));
    (void)snprintf(inv, sizeof inv, "%s", out);
    (void)snprintf(text, sizeof text, "%s", answer(inv, 401, "p9", "x@198.51.100.10", ""));
    char *at = strstr(text, "Server: ");
    char rest[4096];
    (void)snprintf(rest, sizeof rest, "%s", at);
    (void)snprintf(at, sizeof text - (size_t)(at - text),
                   "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5, "
                   "qop=\"auth\"\r\nWWW-Authenticate: Digest realm=\"pbx\", nonce=\"n2\", "
                   "algorithm=SHA-256, qop=\"auth\"\r\n%s",
                   rest);
    message(x, &fp, text);
    struct ask q = {0};
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK)
            memcpy(&q, x->text[i], sizeof q < sizeof x->text[i] ? sizeof q : sizeof x->text[i]);
    assert_int_equal(q.kind, ASK_RESPOND);
    assert_int_equal(q.alg, DIGEST_SHA256);
    struct answer a = {.id = q.id, .kind = ASK_RESPOND, .n = 64};
    memset(a.bytes, 'd', 64);
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
    out = sent(x, PBX, "INVITE ");
    assert_non_null(out);
    assert_non_null(strstr(out, "Authorization: Digest username=\"gateway\", realm=\"pbx\", "
                                "nonce=\"n2\""));
    assert_non_null(strstr(out, "response=\"dddd"));
    (void)snprintf(inv, sizeof inv, "%s", out);
    (void)snprintf(text, sizeof text, "%s", answer(inv, 407, "p8", "x@198.51.100.10", ""));
    message(x, &fp, text); /* not content even so: no third try */
    assert_non_null(sent(x, ALICE, "SIP/2.0 502 "));
    nothing_left(x);
}

/* The first target of the PBX keeps silent: the second one is tried, and its failure is told. */
static void test_failover(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP),
                f2 = flow_of("198.51.100.11:5060", LISTEN_IN_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=f1", to[] = "<sip:1234@example.com>",
                      uri[] = "sip:1234@example.com";
    message(x, &fa,
            request("INVITE", uri, from, to, "n1", 1, "Contact: <sip:a@203.0.113.5>\r\n", SDP_A));
    char auth[1400], inv[4096];
    (void)snprintf(auth, sizeof auth, "Contact: <sip:a@203.0.113.5>\r\n%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
    message(x, &fa, request("INVITE", uri, from, to, "n1", 2, auth, SDP_A));
    vault(x, REASON_NONE);
    const char *second = NULL;
    for (int i = 0; i < 50 && !second; i++) {
        pass_ms(x, 100);
        second = sent(x, "198.51.100.11:5060", "INVITE ");
    }
    assert_non_null(second);
    (void)snprintf(inv, sizeof inv, "%s", second);
    message(x, &f2, answer(inv, 404, "z", "x@198.51.100.11", ""));
    assert_non_null(sent(x, ALICE, "SIP/2.0 404 "));
    assert_int_equal(count_facts(x, FACT_CALL_END), 1);
    nothing_left(x);
}

/* A new policy in the middle of everything: calls go on under new numbers, and a request that waits
 * for the vault is asked again. */
static void test_reload(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP), fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096];
    call_up(x, a, p, sizeof a);
    static const char from[] = "<sip:alice@example.com>;tag=r9", to[] = "<sip:alice@example.com>";
    message(x, &fa, request("REGISTER", "sip:example.com", from, to, "reg9", 1, "", ""));
    char auth[1024];
    (void)snprintf(auth, sizeof auth, "%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), "sip:example.com"));
    message(x, &fa, request("REGISTER", "sip:example.com", from, to, "reg9", 2, auth, ""));
    struct fixture keep = {0};
    keep.n_got = x->n_got;
    memcpy(keep.got, x->got, sizeof x->got);
    memcpy(keep.text, x->text, sizeof x->text);
    static struct policy other;
    other = x->g.policy;
    struct policy_zone swap = other.zones[0];
    other.zones[0] = other.zones[1];
    other.zones[1] = swap;
    other.waivers[0].zone = 1;
    other.waivers[1].zone = 0;
    other.peers[0].zone = 0;
    other.generation++;
    core_policy(x->g.core[0], &other, x->g.now);
    collect(x);
    memcpy(x->got, keep.got, sizeof x->got);
    memcpy(x->text, keep.text, sizeof x->text);
    x->n_got = keep.n_got;
    vault(x, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 401 "));
    assert_non_null(strstr(sent(x, ALICE, "SIP/2.0 401 "), "stale=true"));
    message(x, &fp,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1", field(p, "To").p,
                    "id-of-pbx", 2, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    assert_non_null(sent(x, ALICE, "BYE "));
    nothing_left(x);
}

/* Neither side takes UPDATE: the session is refreshed by an INVITE that repeats our description,
 * and a side that has gone ends the call. */
static void test_refresh_by_invite(void **state)
{
    struct fixture *x = *state;
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    char a[4096], p[4096], re[4096];
    call_up(x, a, p, sizeof a);
    const char *inv = NULL;
    for (int i = 0; i < 910 && !inv; i++) {
        pass_ms(x, 1000);
        inv = sent(x, ALICE, "INVITE ");
    }
    assert_non_null(inv);
    (void)snprintf(re, sizeof re, "%s", inv);
    assert_string_equal(strstr(re, "v=0"), strstr(a, "v=0"));
    assert_non_null(strstr(re, "refresher=uac"));
    message(x, &fa, answer(re, 200, "", "alice@203.0.113.5", SDP_A));
    assert_non_null(sent(x, ALICE, "ACK "));
    assert_null(sent(x, PBX, "INVITE "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    /* The PBX, whose leg is refreshed too, answers nothing any more. */
    for (int i = 0; i < 60 && core_usage(x->g.core[0]).calls; i++)
        pass_ms(x, 1000);
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

/* OPTIONS find out that a target is dead, calls pass it over, and an answer brings it back. */
static void test_peer_health(void **state)
{
    struct fixture *x = *state;
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    static struct policy p;
    p = x->g.policy;
    p.peers[0].options_s = 60;
    p.peers[0].n_targets = 1;
    core_policy(x->g.core[0], &p, x->g.now);
    unsigned down = 0, up = 0;
    char ask[4096] = "";
    for (int i = 0; i < 500 && !down; i++) {
        pass_ms(x, 100);
        down += count_facts(x, FACT_PEER_STATE);
    }
    assert_int_equal(down, 1);
    assert_int_equal(core_usage(x->g.core[0]).peers_up, 0);
    char json[1024];
    struct out o = out_of(json, sizeof json);
    core_peers_json(x->g.core[0], &o, x->g.now);
    assert_str(out_str(&o), "[{\"name\":\"pbx\",\"kind\":\"pbx\",\"up\":false,\"targets\":[{"
                            "\"address\":\"198.51.100.10:5060\",\"up\":false}]}]");
    for (int i = 0; i < 900 && !*ask; i++) {
        pass_ms(x, 100);
        const char *q = sent(x, PBX, "OPTIONS sip:198.51.100.10:5060 SIP/2.0");
        if (q)
            (void)snprintf(ask, sizeof ask, "%s", q);
    }
    message(x, &fp, answer(ask, 404, "h", "x@198.51.100.10", ""));
    up += count_facts(x, FACT_PEER_STATE);
    assert_int_equal(up, 1);
    assert_int_equal(core_usage(x->g.core[0]).peers_up, 1);
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    nothing_left(x);
}

/* A sender without rport lives at the port of its Via. */
static void test_no_rport(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of("198.51.100.10:40000", LISTEN_IN_UDP);
    message(x, &f,
            "OPTIONS sip:" TEST_INSIDE " SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 198.51.100.10:5070;branch=z9hG4bKq\r\n"
            "Max-Forwards: 70\r\nFrom: <sip:p@198.51.100.10>;tag=1\r\nTo: <sip:" TEST_INSIDE
            ">\r\nCall-ID: q1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n");
    assert_non_null(sent(x, "198.51.100.10:5070", "SIP/2.0 200 "));
    nothing_left(x);
}

/* Every cell of the call's table: set cells lead to a state that exists, and the unset ones are the
 * ones that we know. */
static void test_cells(void **state)
{
    (void)state;
    static const char *const want[CALL_STATES] = {
        [CALL_FREE] = "---------",     [CALL_TRYING] = "xxxx-xxxx", [CALL_EARLY] = "xxxx-xx-x",
        [CALL_ANSWERED] = "----xxxxx", [CALL_UP] = "-----xxxx",     [CALL_CLOSING] = "----xx--x"};
    for (uint8_t s = 0; s < CALL_STATES; s++)
        for (unsigned e = 0; e < CALL_EVENTS; e++) {
            uint8_t next = 99;
            bool set = call_cell(s, (enum call_event)e, &next);
            assert_int_equal(want[s][e] == 'x', set);
            assert_true(!set || next < CALL_STATES);
            assert_true(*call_state_name(s) != '?');
        }
}

/* No packets: the call ends after the policy's time, unless it is held. One that is held with its
 * first line alone is judged by the second. */
static void test_silence(void **state)
{
    static const struct {
        const char *audio, *video;
        bool ends;
    } rows[] = {{"sendrecv", "sendrecv", true},
                {"sendonly", "sendrecv", true},
                {"sendrecv", "sendonly", true},
                {"sendonly", "sendonly", false}};
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *x = *state;
        x->g.policy.limits.media_timeout_s = 30;
        for (unsigned z = 0; z < x->g.policy.n_zones; z++)
            x->g.policy.zones[z].kinds = LINE_AUDIO | LINE_VIDEO;
        char a[4096], p[4096], re[4096], offer[512], taken[512];
        call_up(x, a, p, sizeof a);
        (void)snprintf(offer, sizeof offer, "%sa=%s\r\nm=video 4010 RTP/AVP 31\r\na=%s\r\n", SDP_P,
                       rows[i].audio, rows[i].video);
        (void)snprintf(taken, sizeof taken, "%sm=video 4010 RTP/AVP 31\r\n", SDP_A);
        message(x, &fp,
                request("INVITE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                        field(p, "To").p, "id-of-pbx", 2, "Contact: <sip:200@198.51.100.10>\r\n",
                        offer));
        (void)snprintf(re, sizeof re, "%s", sent(x, ALICE, "INVITE "));
        message(x, &fa, answer(re, 200, "a1", "alice@203.0.113.5", taken));
        assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
        message(x, &fp,
                request("ACK", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                        field(p, "To").p, "id-of-pbx", 2, "", ""));
        bool ended = false;
        for (int s = 0; s < 60 && !ended; s++) {
            pass_ms(x, 1000);
            ended = sent(x, PBX, "BYE ") != NULL;
            assert_true(!ended || s >= 29);
        }
        assert_int_equal(ended, rows[i].ends);
        assert_int_equal(counters_get(&x->g.counters[0], REASON_media_timeout), rows[i].ends);
        if (!ended)
            message(x, &fp,
                    request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                            field(p, "To").p, "id-of-pbx", 3, "", ""));
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cancel_before_the_vault, setup, teardown),
        cmocka_unit_test_setup_teardown(test_glare, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_challenge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failover, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_rport, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_health, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refresh_by_invite, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
        cmocka_unit_test(test_cells),
    };
    return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
