#include "call/fixture_test.h"
#include "identity/digest.h"

static struct policy p;
static uint64_t dir_mem[FIXTURE_DIRECTORY_BYTES / 8];
static struct gate_env e;
static struct rng rng;
static struct sip_msg m;
static struct request r;
static struct ask q;
static char text[4096];

static int setup(void **state)
{
    (void)state;
    uint8_t seed[32] = {9};
    fixture_policy(&p);
    rng_init(&rng, seed);
    e = (struct gate_env){.policy = &p,
                          .directory = fixture_directory(dir_mem),
                          .rng = &rng,
                          .nonce_key = {5, 6},
                          .hash_key = {7, 8},
                          .calls_cap = 100,
                          .trans_cap = 1000};
    e.rate = rate_init(test_calloc(1, rate_bytes(64)), 64);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    test_free(e.rate);
    return 0;
}

static void parse(const char *method, const char *uri, const char *user, const char *extra)
{
    int n = snprintf(
        text, sizeof text,
        "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;branch=z9hG4bKx;rport\r\nMax-Forwards: "
        "70\r\nFrom: <sip:%s@example.com>;tag=1\r\n"
        "To: <sip:%s@example.com>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\nContact: "
        "<sip:%s@203.0.113.5:9>\r\n%sContent-Length: 0\r\n\r\n",
        method, uri, user, user, method, user, extra);
    struct sip_error err;
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
}

static struct flow flow(int proto, int listener, const char *peer)
{
    return (struct flow){
        .proto = (uint8_t)proto, .listener = (uint8_t)listener, .peer = fixture_addr(peer)};
}

static struct verdict run_at(struct flow f, int64_t now_s)
{
    memset(&q, 0, sizeof q);
    request_init(&r, &m, &f, (struct now){{now_s * 1000000}, {now_s * 1000000}});
    return gates_run(&e, &r, &q);
}
static struct verdict run(struct flow f)
{
    return run_at(f, 1000);
}

#define EXPECT_VERDICT(v, k, g, why)                                                               \
    do {                                                                                           \
        assert_int_equal((v).kind, k);                                                             \
        assert_int_equal((v).gate, g);                                                             \
        assert_int_equal((v).reason, REASON_##why);                                                \
        assert_int_equal(r.trace.gate[g].reason, REASON_##why);                                    \
    } while (0)

static const char *PHONE = "203.0.113.5:9", *OLD = "203.0.113.6:9", *PBX = "192.0.2.10:5070";

static void unknown_sources(void **state)
{
    (void)state;
    parse("INVITE", "sip:alice@example.com", "alice", "");
    struct verdict v = run(flow(PROTO_UDP, 2, "203.0.113.9:1"));
    EXPECT_VERDICT(v, VERDICT_DROP, GATE_SOURCE, zone_unknown_source);
    v = run(flow(PROTO_TCP, 2, "203.0.113.9:1"));
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_SOURCE, zone_unknown_source);
    v = run(flow(PROTO_UDP, 2, "192.0.2.99:5070")); /* in the peers' zone, and no peer */
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_IDENTITY, zone_unknown_source);
}

static void plaintext_needs_a_live_waiver(void **state)
{
    (void)state;
    parse("INVITE", "sip:alice@example.com", "alice", "");
    struct verdict v = run_at(flow(PROTO_TCP, 1, OLD), 1999);
    EXPECT_VERDICT(v, VERDICT_CHALLENGE, GATE_IDENTITY, auth_required);
    v = run_at(flow(PROTO_TCP, 1, OLD), 2000);
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_SOURCE, waiver_expired);
    v = run_at(flow(PROTO_UDP, 1, OLD), 2000);
    EXPECT_VERDICT(v, VERDICT_DROP, GATE_SOURCE, waiver_expired);
    p.n_waivers = 0;
    v = run(flow(PROTO_TCP, 1, OLD));
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_SOURCE, zone_plaintext);
}

static void client_certificates(void **state)
{
    (void)state;
    p.zones[0].client_cert = 2;
    parse("INVITE", "sip:alice@example.com", "alice", "");
    struct verdict v = run(flow(PROTO_TLS, 0, PHONE));
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_SOURCE, tls_client_cert_missing);
    struct flow f = flow(PROTO_TLS, 0, PHONE);
    request_init(&r, &m, &f, (struct now){{1}, {1}});
    r.tls_verified = true;
    v = gates_run(&e, &r, &q);
    EXPECT_VERDICT(v, VERDICT_CHALLENGE, GATE_IDENTITY, auth_required);
}

static void rate_of_a_source_and_not_of_peers(void **state)
{
    (void)state;
    parse("OPTIONS", "sip:example.com", "alice", "");
    p.zones[0].rate_per_source = 5;
    struct verdict v = {0};
    for (int i = 0; i < 10; i++)
        v = run(flow(PROTO_TLS, 0, PHONE));
    assert_int_equal(v.reason, REASON_auth_required);
    v = run(flow(PROTO_TLS, 0, "203.0.113.5:777")); /* another port is the same source */
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_RATE, rate_source);
    /* a call for help still gets through, but not as many as one likes */
    parse("INVITE", "sip:112@example.com", "alice", "");
    for (int i = 0; i < 10; i++)
        assert_int_equal(run(flow(PROTO_TLS, 0, PHONE)).reason, REASON_auth_required);
    v = run(flow(PROTO_TLS, 0, PHONE));
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_RATE, rate_source);
    parse("OPTIONS", "sip:example.com", "alice", "");
    p.zones[2].rate_per_source = 1;
    for (int i = 0; i < 50; i++)
        assert_int_equal(run(flow(PROTO_UDP, 2, PBX)).kind, VERDICT_PASS);
}

static void sanity(void **state)
{
    (void)state;
    struct flow f = flow(PROTO_TLS, 0, PHONE);
    parse("INVITE", "http://example.com", "alice", "");
    struct verdict v = run(f);
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_SANITY, sip_uri_scheme);
    assert_int_equal(v.code, 416);
    parse("INVITE", "sip:alice@example.com", "alice", "Require: 100rel, magic\r\n");
    v = run(f);
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_SANITY, sip_extension_required);
    char buf[256];
    struct out o = out_of(buf, sizeof buf);
    gates_answer_put(&e, &r, &v, &o);
    assert_str(out_str(&o), "Unsupported: magic\r\n");
    parse("INVITE", "sip:alice@example.com", "alice", "Content-Encoding: gzip\r\n");
    v = run(f);
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_SANITY, sip_body_type);
}

static void sanity_outside_of_a_dialog(void **state)
{
    (void)state;
    static const struct {
        const char *method, *extra;
        enum reason why;
        int code;
    } row[] = {
        {"INVITE", "Accept: text/plain\r\n", REASON_sip_not_acceptable, 406},
        {"INVITE", "Accept:\r\n", REASON_sip_not_acceptable, 406},
        {"INVITE", "Accept: text/plain, Application/SDP;level=1\r\n", REASON_NONE, 0},
        {"INVITE", "Accept: */*\r\n", REASON_NONE, 0},
        {"INVITE", "Accept: text/plain\r\nAccept: application/*;q=0.2\r\n", REASON_NONE, 0},
        {"OPTIONS", "Accept: text/plain\r\n", REASON_NONE, 0},
        {"INVITE", "Privacy: id;critical\r\n", REASON_NONE, 0},
        {"INVITE", "Privacy: id; magic\r\n", REASON_NONE, 0},
        {"INVITE", "Privacy: magic;critical\r\n", REASON_sip_privacy, 500},
        {"MESSAGE", "Privacy: Critical; magic\r\n", REASON_sip_privacy, 500},
        {"INVITE", "Max-Breadth: 1\r\n", REASON_NONE, 0},
        {"INVITE", "Max-Breadth: 0\r\n", REASON_sip_max_breadth, 440},
        {"INVITE", "Max-Breadth: -1\r\n", REASON_sip_header_syntax, 400},
        {"OPTIONS", "Max-Breadth: 0\r\n", REASON_NONE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        parse(row[i].method, "sip:alice@example.com", "alice", row[i].extra);
        struct verdict v = run(flow(PROTO_TLS, 0, PHONE));
        assert_int_equal(v.reason, row[i].why ? row[i].why : REASON_auth_required);
        if (row[i].why) {
            assert_int_equal(v.gate, GATE_SANITY);
            assert_int_equal(v.code, row[i].code);
        }
    }
}

static void hops_used_up(void **state)
{
    (void)state;
    static const char *const methods[] = {"INVITE", "OPTIONS", "REGISTER", "MESSAGE",
                                          "NOTIFY", "REFER",   "PUBLISH",  "SUBSCRIBE"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        parse(methods[i], "sip:alice@example.com", "alice", "");
        m.max_forwards = 0;
        struct verdict v = run(flow(PROTO_TLS, 0, PHONE));
        EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_SANITY, sip_max_forwards);
        assert_int_equal(v.code, 483);
        m.max_forwards = 1;
        v = run(flow(PROTO_TLS, 0, PHONE));
        EXPECT_VERDICT(v, VERDICT_CHALLENGE, GATE_IDENTITY, auth_required);
    }
}

static bool contains(struct out *o, const char *word)
{
    return str_search(out_str(o), str_c(word)) < o->n;
}

static void challenges_by_user_and_never_tell_who_exists(void **state)
{
    (void)state;
    char buf[2048], name[16];
    struct out o = out_of(buf, sizeof buf);
    parse("REGISTER", "sip:example.com", "alice", "");
    struct verdict v = run(flow(PROTO_TLS, 0, PHONE));
    gates_answer_put(&e, &r, &v, &o);
    assert_true(contains(&o, "algorithm=SHA-256,") && contains(&o, "algorithm=SHA-512-256,") &&
                !contains(&o, "MD5"));
    parse("REGISTER", "sip:example.com", "old", "");
    (void)run(flow(PROTO_TLS, 0, PHONE));
    o = out_of(buf, sizeof buf);
    gates_answer_put(&e, &r, &v, &o);
    assert_true(contains(&o, "MD5") && !contains(&o, "SHA"));
    (void)run_at(flow(PROTO_TLS, 0, PHONE), 2001); /* the waiver has ended */
    o = out_of(buf, sizeof buf);
    gates_answer_put(&e, &r, &v, &o);
    assert_true(!contains(&o, "MD5"));
    int md5 = 0;
    for (int i = 0; i < 400;
         i++) { /* one of four users has a waiver: so do one of four strangers */
        (void)snprintf(name, sizeof name, "x%d", i);
        parse("REGISTER", "sip:example.com", name, "");
        (void)run(flow(PROTO_TLS, 0, PHONE));
        o = out_of(buf, sizeof buf);
        gates_challenge_put(&e, &r, &o);
        bool first = contains(&o, "MD5");
        o = out_of(buf, sizeof buf);
        gates_challenge_put(&e, &r, &o);
        assert_int_equal(first, contains(&o, "MD5"));
        md5 += first;
    }
    assert_in_range(md5, 60, 140);
}

/* Credentials for a fresh nonce of ours; the vault is this test. */
static void with_auth(const char *method, const char *uri, const char *from, const char *user,
                      const char *alg, const char *qop, int64_t nonce_age_s)
{
    char nonce[NONCE_CHARS], extra[1024];
    nonce_mint(&e.nonce_key, (struct wall){(1000 - nonce_age_s) * 1000000}, &rng, nonce);
    const char *hex = "0123456789012345678901234567890123456789012345678901234567890123";
    int n = strcmp(alg, "MD5") ? 64 : 32;
    (void)snprintf(extra, sizeof extra,
                   "Authorization: Digest username=\"%s\", realm=\"example.com\", nonce=\"%.*s\", "
                   "uri=\"%s\", response=\"%.*s\", algorithm=%s, cnonce=\"c\", %snc=00000001\r\n",
                   user, (int)sizeof nonce, nonce, uri, n, hex, alg, qop);
    parse(method, uri, from, extra);
}

static struct verdict answer(enum reason why)
{
    struct answer a = {.id = 1, .kind = ASK_VERIFY, .reason = (uint16_t)why};
    return gates_resume(&e, &r, &a);
}

static void digest_asks_the_vault_and_goes_on(void **state)
{
    (void)state;
    struct flow f = flow(PROTO_TLS, 0, PHONE);
    with_auth("INVITE", "sip:100@example.com", "alice", "alice", "SHA-256", "qop=auth, ", 1);
    struct verdict v = run(f);
    assert_int_equal(v.kind, VERDICT_WAIT);
    assert_int_equal(q.kind, ASK_VERIFY);
    assert_str(span_str(str_of(q.text, q.n), q.user), "alice");
    assert_str(span_str(str_of(q.text, q.n), q.nc), "00000001");
    v = answer(REASON_NONE);
    assert_int_equal(v.kind, VERDICT_PASS);
    assert_str(str_of(r.user, r.user_n), "alice@example.com");
    assert_ptr_equal(r.route, &p.routes[1]);
    for (unsigned g = 0; g < GATE_COUNT; g++)
        assert_int_equal(r.trace.gate[g].verdict, VERDICT_PASS);
}

static void answers_of_the_vault(void **state)
{
    (void)state;
    static const struct {
        enum reason vault;
        int kind;
        enum reason told;
    } row[] = {{REASON_auth_failed, VERDICT_REFUSE, REASON_auth_failed},
               {REASON_auth_replay, VERDICT_CHALLENGE, REASON_auth_replay},
               {REASON_auth_limited, VERDICT_REFUSE, REASON_auth_limited},
               {REASON_auth_algorithm, VERDICT_CHALLENGE, REASON_auth_algorithm},
               {REASON_auth_unavailable, VERDICT_REFUSE, REASON_auth_unavailable},
               {REASON_sip_timeout, VERDICT_REFUSE, REASON_auth_failed}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        with_auth("INVITE", "sip:100@example.com", "alice", "alice", "SHA-256", "qop=auth, ", 1);
        assert_int_equal(run(flow(PROTO_TLS, 0, PHONE)).kind, VERDICT_WAIT);
        struct verdict v = answer(row[i].vault);
        assert_int_equal(v.kind, row[i].kind);
        assert_int_equal(v.reason, row[i].told);
        assert_int_equal(r.ident, IDENT_NONE);
    }
}

static void bad_credentials_never_reach_the_vault(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *user, *alg, *qop;
        int64_t age;
        int kind;
        enum reason why;
    } row[] = {
        {"sip:100@example.com", "alice", "SHA-256", "", 1, VERDICT_REFUSE, REASON_auth_syntax},
        {"sip:100@example.com", "alice", "SHA-1", "qop=auth, ", 1, VERDICT_CHALLENGE,
         REASON_auth_algorithm},
        {"sip:100@example.com", "alice", "SHA-256", "qop=auth, ", NONCE_LIFE_S + 1,
         VERDICT_CHALLENGE, REASON_auth_stale},
        {"sip:100@example.com", "alice@example.net", "SHA-256", "qop=auth, ", 1, VERDICT_REFUSE,
         REASON_auth_syntax}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        with_auth("INVITE", row[i].uri, "alice", row[i].user, row[i].alg, row[i].qop, row[i].age);
        struct verdict v = run(flow(PROTO_TLS, 0, PHONE));
        assert_int_equal(v.kind, row[i].kind);
        assert_int_equal(v.reason, row[i].why);
    }
    assert_int_equal(row[2].why == REASON_auth_stale, 1);
    with_auth("INVITE", "sip:100@example.com", "alice", "alice", "SHA-256", "qop=auth, ", 1);
    e.nonce_key.k0++; /* another boot's nonce */
    struct verdict v = run(flow(PROTO_TLS, 0, PHONE));
    EXPECT_VERDICT(v, VERDICT_CHALLENGE, GATE_IDENTITY, auth_nonce_forged);
}

static void from_must_be_who_proved_itself(void **state)
{
    (void)state;
    with_auth("INVITE", "sip:100@example.com", "bob", "alice", "SHA-256", "qop=auth, ", 1);
    assert_int_equal(run(flow(PROTO_TLS, 0, PHONE)).kind, VERDICT_WAIT);
    struct verdict v = answer(REASON_NONE);
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_IDENTITY, auth_identity_mismatch);
}

/* RFC 3323: who wants to stay unknown to the other side proves itself to us all the same. */
static void anonymous_callers(void **state)
{
    (void)state;
    static const struct {
        const char *method, *from, *preferred;
        enum reason why;
    } row[] = {{"INVITE", "sip:anonymous@anonymous.invalid", "", REASON_NONE},
               {"INVITE", "sip:Anonymous@example.com", "", REASON_NONE},
               {"INVITE", "sip:anonymous@anonymous.invalid",
                "P-Preferred-Identity: <sip:alice@example.com>\r\n", REASON_NONE},
               {"INVITE", "sip:anonymous@anonymous.invalid",
                "P-Preferred-Identity: <sip:bob@example.com>\r\n", REASON_auth_identity_mismatch},
               {"INVITE", "sip:bob@example.com",
                "P-Preferred-Identity: <sip:alice@example.com>\r\n", REASON_auth_identity_mismatch},
               {"REGISTER", "sip:anonymous@anonymous.invalid", "", REASON_auth_identity_mismatch}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char auth[1024], from[128];
        const char *uri = "sip:100@example.com";
        with_auth(row[i].method, uri, "alice", "alice", "SHA-256", "qop=auth, ", 1);
        struct str a = sip_get(&m, HDR_AUTHORIZATION);
        (void)snprintf(auth, sizeof auth, "Authorization: %.*s\r\n%s", (int)a.n, a.p,
                       row[i].preferred);
        (void)snprintf(from, sizeof from, "%s", row[i].from);
        int n = snprintf(text, sizeof text,
                         "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;branch=z9hG4bKx\r\n"
                         "From: <%s>;tag=1\r\nTo: <%s>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\n"
                         "%sContent-Length: 0\r\n\r\n",
                         row[i].method, uri, from, from, row[i].method, auth);
        struct sip_error err;
        assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
        assert_int_equal(run(flow(PROTO_TLS, 0, PHONE)).kind, VERDICT_WAIT);
        struct verdict v = answer(REASON_NONE);
        assert_int_equal(v.reason, row[i].why);
        if (row[i].why == REASON_NONE)
            assert_str(str_of(r.user, r.user_n), "alice@example.com");
    }
}

static void routes_and_roles(void **state)
{
    (void)state;
    static const struct {
        const char *user, *uri;
        enum reason why;
    } row[] = {{"alice", "sip:100@example.com", REASON_NONE},
               {"ivan", "sip:100@example.com", REASON_right_denied},
               {"alice", "sip:0900555@example.com", REASON_right_barred},
               {"alice", "sip:zoe@example.com", REASON_right_no_route},
               {"alice", "sip:100@example.net", REASON_right_no_route},
               {"ivan", "sip:bob@example.com", REASON_NONE},
               {"alice", "sip:brandy@example.com", REASON_route_user_unknown},
               {"alice", "tel:+100", REASON_right_no_route},
               {"alice", "tel:1-00", REASON_NONE}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        with_auth("INVITE", row[i].uri, row[i].user, row[i].user, "SHA-256", "qop=auth, ", 1);
        assert_int_equal(run(flow(PROTO_TLS, 0, PHONE)).kind, VERDICT_WAIT);
        struct verdict v = answer(REASON_NONE);
        assert_int_equal(v.reason, row[i].why);
    }
}

/* Who has proved itself learns that there is no such user, whatever it asks for; who has not is
 * challenged for those that exist and those that do not, in the very same words. */
static void who_exists_is_told_to_known_ones_alone(void **state)
{
    (void)state;
    static const char *const methods[] = {"INVITE", "MESSAGE", "PUBLISH", "SUBSCRIBE"};
    static const char *const users[] = {"sip:bob@example.com", "sip:brandy@example.com"};
    p.zones[0].services = p.zones[2].services = UINT8_MAX;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct trace seen[2];
        for (size_t k = 0; k < 2; k++) {
            enum reason want = k ? REASON_route_user_unknown : REASON_NONE;
            char auth[1024];
            parse(methods[i], users[k], "alice", "Event: presence\r\n");
            struct verdict v = run(flow(PROTO_TLS, 0, PHONE));
            EXPECT_VERDICT(v, VERDICT_CHALLENGE, GATE_IDENTITY, auth_required);
            seen[k] = r.trace;
            with_auth(methods[i], users[k], "alice", "alice", "SHA-256", "qop=auth, ", 1);
            struct str line = sip_get(&m, HDR_AUTHORIZATION);
            (void)snprintf(auth, sizeof auth, "Authorization: %.*s\r\nEvent: presence\r\n",
                           (int)line.n, line.p);
            parse(methods[i], users[k], "alice", auth);
            assert_int_equal(run(flow(PROTO_TLS, 0, PHONE)).kind, VERDICT_WAIT);
            v = answer(REASON_NONE);
            assert_int_equal(v.reason, want);
            assert_int_equal(v.code, k ? 404 : 0);
            parse(methods[i], k ? "sip:brandy@192.0.2.1" : "sip:bob@192.0.2.1", "alice",
                  "Event: presence\r\n");
            assert_int_equal(run(flow(PROTO_UDP, 2, PBX)).reason, want); /* a peer */
        }
        assert_memory_equal(&seen[0], &seen[1], sizeof seen[0]);
    }
}

static void peers_need_no_digest(void **state)
{
    (void)state;
    parse("INVITE", "sip:alice@192.0.2.1", "alice", "");
    struct verdict v = run(flow(PROTO_UDP, 2, PBX));
    assert_int_equal(v.kind, VERDICT_PASS);
    assert_int_equal(r.ident, IDENT_PEER);
    parse("REGISTER", "sip:example.com", "alice", "");
    v = run(flow(PROTO_UDP, 2, PBX));
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_RIGHT, right_denied);
}

static void full_tables_refuse_all_but_emergency(void **state)
{
    (void)state;
    parse("INVITE", "sip:alice@192.0.2.1", "alice", "");
    e.calls_used = 89;
    assert_int_equal(run(flow(PROTO_UDP, 2, PBX)).kind, VERDICT_PASS);
    e.calls_used = 90;
    struct verdict v = run(flow(PROTO_UDP, 2, PBX));
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_CAPACITY, capacity_calls);
    assert_int_equal(v.code, 503);
    e.draining = true;
    e.calls_used = 0;
    v = run(flow(PROTO_UDP, 2, PBX));
    EXPECT_VERDICT(v, VERDICT_REFUSE, GATE_CAPACITY, draining);
    p.routes[2].pattern = fixture_text(&p, "1*");
    p.routes[2].to = ROUTE_PEERS;
    p.routes[2].n_peers = 1;
    parse("INVITE", "sip:112@192.0.2.1", "alice", "");
    e.calls_used = 95;
    v = run(flow(PROTO_UDP, 2, PBX));
    assert_int_equal(v.kind, VERDICT_PASS);
    assert_true(r.emergency);
}

static void in_dialog_requests(void **state)
{
    (void)state;
    struct flow f = flow(PROTO_TLS, 0, PHONE);
    parse("BYE", "sip:token@198.51.100.1", "alice", "");
    request_init(&r, &m, &f, (struct now){{1}, {1}});
    r.in_dialog = r.dialog_authenticated = true;
    assert_int_equal(gates_run(&e, &r, &q).kind, VERDICT_PASS);
    request_init(&r, &m, &f, (struct now){{1}, {1}});
    r.in_dialog = true; /* from somewhere else than the leg's peer */
    struct verdict v = gates_run(&e, &r, &q);
    EXPECT_VERDICT(v, VERDICT_CHALLENGE, GATE_IDENTITY, auth_required);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(unknown_sources),
                                       T(plaintext_needs_a_live_waiver),
                                       T(client_certificates),
                                       T(rate_of_a_source_and_not_of_peers),
                                       T(sanity),
                                       T(sanity_outside_of_a_dialog),
                                       T(hops_used_up),
                                       T(anonymous_callers),
                                       T(challenges_by_user_and_never_tell_who_exists),
                                       T(digest_asks_the_vault_and_goes_on),
                                       T(answers_of_the_vault),
                                       T(bad_credentials_never_reach_the_vault),
                                       T(from_must_be_who_proved_itself),
                                       T(routes_and_roles),
                                       T(peers_need_no_digest),
                                       T(who_exists_is_told_to_known_ones_alone),
                                       T(full_tables_refuse_all_but_emergency),
                                       T(in_dialog_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
