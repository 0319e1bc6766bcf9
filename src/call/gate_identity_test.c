/* Identity, row by row: peers by address and certificate, users by digest and by certificate. */
#include "call/fixture_test.h"
#include "call/gate.h"
#include "identity/digest.h"

#define NOW_S INT64_C(1000)
#define DAY   INT64_C(86400)
#define HEX64 "0123456789012345678901234567890123456789012345678901234567890123"
enum { PHONES, OLD, PBXS };
static struct policy p;
static uint64_t memory[1024];
static struct directory *d;
static struct gate_env e;
static struct rng rng;
static struct sip_msg m;
static struct request r;
static struct ask q;
static struct proof proof;
static char text[4096];

/* alice, bob; dora must change her password, frank's ends now, gina's in a second. */
static void users(void)
{
    static const struct directory_room room = {.users = 5, .text = 160};
    static const struct {
        const char *aor;
        int64_t until_s;
        uint8_t flags;
    } row[] = {{"alice@example.com", 0, 0},
               {"bob@example.com", 0, 0},
               {"dora@example.com", 0, DIRECTORY_MUST_CHANGE},
               {"frank@example.com", NOW_S, 0},
               {"gina@example.com", NOW_S + 1, 0}};
    memset(memory, 0, sizeof memory);
    d = (struct directory *)(void *)memory;
    assert_true(directory_bytes_of(&room) <= sizeof memory);
    directory_begin_of(d, &room);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct directory_entry x = {.aor = str_c(row[i].aor),
                                    .role = STR("user"),
                                    .password_until = {row[i].until_s * 1000000},
                                    .flags = row[i].flags};
        assert_ok(directory_put(d, &x));
    }
}

static int begin(void **state)
{
    uint8_t seed[32] = {9};
    (void)state;
    fixture_policy(&p);
    users();
    rng_init(&rng, seed);
    memset(&proof, 0, sizeof proof);
    e = (struct gate_env){
        .policy = &p, .directory = d, .rng = &rng, .nonce_key = {5, 6}, .hash_key = {7, 8}};
    return 0;
}

/* A request as the gates before hand it on. more: header fields. */
static void request(uint8_t zone, const char *method, const char *from, const char *more)
{
    struct sip_error err;
    struct flow f = {.proto = zone == PHONES ? PROTO_TLS : PROTO_UDP,
                     .listener = zone,
                     .peer = fixture_addr(zone == PBXS ? "192.0.2.10:5070" : "203.0.113.5:9")};
    int n = snprintf(text, sizeof text,
                     "%s sip:100@example.com SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;"
                     "branch=z9hG4bKx\r\nFrom: <sip:%s@example.com>;tag=1\r\n"
                     "To: <sip:%s@example.com>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\n"
                     "%sContent-Length: 0\r\n\r\n",
                     method, from, from, method, more);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{1}, {NOW_S * 1000000}});
    r.zone = zone;
    r.peer = zone == PBXS ? 0 : POLICY_NONE;
    memset(&q, 0, sizeof q);
}

static void with_uri(const char *method, const char *from, const char *user, const char *uri,
                     int64_t age_s)
{
    char nonce[NONCE_CHARS], more[1024];
    nonce_mint(&e.nonce_key, (struct wall){(NOW_S - age_s) * 1000000}, &rng, nonce);
    (void)snprintf(more, sizeof more,
                   "Authorization: Digest username=\"%s\", realm=\"example.com\", nonce=\"%.*s\", "
                   "uri=\"%s\", response=\"" HEX64 "\", algorithm=SHA-256, cnonce=\"c\", "
                   "qop=auth, nc=00000001\r\n",
                   user, (int)sizeof nonce, nonce, uri);
    request(PHONES, method, from, more);
}

static void with(const char *method, const char *from, const char *user)
{
    with_uri(method, from, user, "sip:100@example.com", 1);
}

static struct verdict go(void)
{
    return gate_identity(&e, &r, &q);
}

static struct verdict vault_says(enum reason why)
{
    struct answer a = {.id = 1, .kind = ASK_VERIFY, .reason = (uint16_t)why};
    return gate_identity_answer(&e, &r, &a);
}

/* Asked, and the vault says yes. */
static struct verdict proved(const char *from, const char *user)
{
    with("INVITE", from, user);
    assert_int_equal(go().kind, VERDICT_WAIT);
    return vault_says(REASON_NONE);
}

static void a_peer_by_its_address(void **state)
{
    (void)state;
    request(PBXS, "INVITE", "200", "");
    assert_int_equal(go().kind, VERDICT_PASS);
    assert_int_equal(r.ident, IDENT_PEER);
    assert_int_equal(r.user_n, 0);
    request(PBXS, "INVITE", "200", "");
    r.peer = POLICY_NONE; /* in its zone, and nobody */
    struct verdict v = go();
    assert_int_equal(v.kind, VERDICT_REFUSE);
    assert_int_equal(v.reason, REASON_zone_unknown_source);
    assert_int_equal(r.ident, IDENT_NONE);
    r.in_dialog = true;
    assert_int_equal(go().reason, REASON_zone_unknown_source);
    r.dialog_authenticated = true; /* an address that its name had when the call began */
    assert_int_equal(go().kind, VERDICT_PASS);
    r.in_dialog = false;
    assert_int_equal(go().reason, REASON_zone_unknown_source);
}

static void a_peer_by_its_certificate(void **state)
{
    (void)state;
    p.zones[PBXS].client_cert = 2;
    request(PBXS, "OPTIONS", "200", "");
    assert_int_equal(go().kind, VERDICT_PASS); /* by an address, without a name for TLS */
    p.peers[0].tls_name = fixture_text(&p, "pbx.example.net");
    request(PBXS, "OPTIONS", "200", "");
    assert_int_equal(go().reason, REASON_auth_cert);
    r.proof = &proof;
    assert_int_equal(go().reason, REASON_auth_cert);
    proof_add_domain(&proof, STR("dns:other.example.net"));
    assert_int_equal(go().reason, REASON_auth_cert);
    proof_add(&proof, STR("sip:bob@pbx.example.net")); /* a phone's */
    assert_int_equal(go().reason, REASON_auth_cert);
    assert_int_equal(r.ident, IDENT_NONE);
    proof_add_domain(&proof, STR("dns:PBX.example.net"));
    assert_int_equal(go().kind, VERDICT_PASS);
    assert_int_equal(r.ident, IDENT_PEER);
    memset(&proof, 0, sizeof proof);
    p.zones[PBXS].client_cert = 1; /* not demanded */
    assert_int_equal(go().kind, VERDICT_PASS);
}

static void the_vault_is_asked(void **state)
{
    (void)state;
    request(PHONES, "INVITE", "alice", "");
    struct verdict v = go();
    assert_int_equal(v.kind, VERDICT_CHALLENGE);
    assert_int_equal(v.reason, REASON_auth_required);
    assert_int_equal(v.code, 401);
    assert_false(r.stale);
    with("INVITE", "alice", "alice@example.com");
    assert_int_equal(go().kind, VERDICT_WAIT);
    struct str all = str_of(q.text, q.n);
    char ha2[DIGEST_HEX_MAX];
    assert_ok(
        digest_ha2(DIGEST_SHA256, STR("INVITE"), STR("sip:100@example.com"), false, STR_NONE, ha2));
    assert_int_equal(q.kind, ASK_VERIFY);
    assert_int_equal(q.alg, DIGEST_SHA256);
    assert_str(span_str(all, q.user), "alice");
    assert_str(span_str(all, q.realm), "example.com");
    assert_str(span_str(all, q.cnonce), "c");
    assert_str(span_str(all, q.qop), "auth");
    assert_str(span_str(all, q.response), HEX64);
    assert_true(str_eq(span_str(all, q.ha2), str_of(ha2, 64)));
    assert_int_equal(r.ident, IDENT_NONE); /* not before the answer */
    assert_int_equal(vault_says(REASON_NONE).kind, VERDICT_PASS);
    assert_int_equal(r.ident, IDENT_USER);
    assert_str(str_of(r.user, r.user_n), "alice@example.com");
    assert_ptr_equal(r.known, directory_find(d, STR("alice"), STR("example.com")));
    assert_int_equal(r.role, 0);
}

static void what_the_vault_answers(void **state)
{
    (void)state;
    static const struct {
        enum reason vault, told;
        uint8_t kind;
        uint16_t code;
        bool stale;
    } row[] = {
        {REASON_auth_failed, REASON_auth_failed, VERDICT_REFUSE, 403, false},
        {REASON_auth_limited, REASON_auth_limited, VERDICT_REFUSE, 403, false},
        {REASON_auth_unavailable, REASON_auth_unavailable, VERDICT_REFUSE, 503, false},
        {REASON_auth_stale, REASON_auth_stale, VERDICT_CHALLENGE, 401, true},
        {REASON_auth_replay, REASON_auth_replay, VERDICT_CHALLENGE, 401, false},
        {REASON_sip_timeout, REASON_auth_failed, VERDICT_REFUSE, 403, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        with("INVITE", "alice", "alice");
        assert_int_equal(go().kind, VERDICT_WAIT);
        struct verdict v = vault_says(row[i].vault);
        if (v.kind != row[i].kind || v.reason != row[i].told || v.code != row[i].code ||
            r.stale != row[i].stale || r.ident != IDENT_NONE || r.user_n)
            fail_msg("row %zu: %u %.*s", i, v.kind, STR_ARG(reason_info(v.reason)->name));
    }
    with("INVITE", "alice", "alice");
    assert_int_equal(go().kind, VERDICT_WAIT);
    r.locked = true; /* whatever the password */
    assert_int_equal(vault_says(REASON_NONE).reason, REASON_shield_party);
    assert_int_equal(vault_says(REASON_auth_failed).reason, REASON_shield_party);
}

static void nonces_and_uris(void **state)
{
    (void)state;
    static const char OURS[] = "sip:100@example.com";
    with_uri("INVITE", "alice", "alice", OURS, NONCE_LIFE_S);
    assert_int_equal(go().kind, VERDICT_WAIT);
    with_uri("INVITE", "alice", "alice", OURS, NONCE_LIFE_S + 1);
    assert_int_equal(go().reason, REASON_auth_stale);
    assert_true(r.stale);
    with("INVITE", "alice", "alice");
    e.nonce_key.k0++;
    assert_int_equal(go().reason, REASON_auth_nonce_forged);
    assert_false(r.stale);
    static const struct {
        const char *uri;
        bool good;
    } row[] = {{"sip:example.com", true},   {"sips:example.com", true},
               {"sip:7@EXAMPLE.com", true}, {"sip:100@example.net", false},
               {"tel:100", false},          {"", false}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        with_uri("INVITE", "alice", "alice", row[i].uri, 1);
        if ((go().kind == VERDICT_WAIT) != row[i].good)
            fail_msg("%s", row[i].uri);
    }
}

/* Whoever does not exist is asked for in the same words, and refused as a wrong password is. */
static void unknown_users(void **state)
{
    (void)state;
    request(PHONES, "INVITE", "alice", "");
    struct verdict there = go();
    request(PHONES, "INVITE", "nobody", "");
    struct verdict none = go();
    assert_int_equal(there.kind, none.kind);
    assert_int_equal(there.reason, none.reason);
    assert_int_equal(there.code, none.code);
    struct verdict said[2];
    for (int i = 0; i < 2; i++) {
        const char *who = i ? "nobody" : "alice";
        with("INVITE", who, who);
        assert_int_equal(go().kind, VERDICT_WAIT);
        assert_true(str_eq(span_str(str_of(q.text, q.n), q.user), str_c(who)));
        said[i] = vault_says(REASON_auth_failed);
    }
    assert_int_equal(said[0].kind, said[1].kind);
    assert_int_equal(said[0].reason, said[1].reason);
    assert_int_equal(said[0].code, said[1].code);
    assert_int_equal(proved("nobody", "nobody").reason, REASON_auth_failed);
    assert_int_equal(r.ident, IDENT_NONE);
    char name[66];
    memset(name, 'x', 65);
    name[65] = 0;
    with("INVITE", "alice", name);
    assert_int_equal(go().reason, REASON_auth_syntax);
    name[64] = 0;
    with("INVITE", "alice", name);
    assert_int_equal(go().kind, VERDICT_WAIT);
}

static void somebody_elses_name(void **state)
{
    (void)state;
    static const struct {
        const char *from, *user;
        enum reason why;
    } row[] = {{"alice", "alice", REASON_NONE},
               {"bob", "alice", REASON_auth_identity_mismatch},
               {"alice", "bob", REASON_auth_identity_mismatch},
               {"alicea", "alice", REASON_auth_identity_mismatch},
               {"Alice", "alice", REASON_auth_identity_mismatch},
               {"%61lice", "alice", REASON_NONE},
               {"anonymous", "alice", REASON_NONE}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct verdict v = proved(row[i].from, row[i].user);
        if (v.reason != row[i].why || (r.ident == IDENT_USER) != (row[i].why == REASON_NONE))
            fail_msg("%s as %s: %.*s", row[i].user, row[i].from,
                     STR_ARG(reason_info(v.reason)->name));
    }
}

static void old_passwords(void **state)
{
    (void)state;
    assert_int_equal(proved("alice", "alice").kind, VERDICT_PASS);
    assert_int_equal(proved("dora", "dora").reason, REASON_right_password_old);
    assert_int_equal(proved("frank", "frank").reason, REASON_right_password_old);
    assert_int_equal(proved("gina", "gina").kind, VERDICT_PASS); /* a second is left */
    p.password_grace_days = 1;
    assert_int_equal(proved("frank", "frank").kind, VERDICT_PASS);
    assert_int_equal(proved("dora", "dora").reason, REASON_right_password_old);
    with("INVITE", "frank", "frank");
    assert_int_equal(go().kind, VERDICT_WAIT);
    r.now.wall.us += DAY * 1000000 - 1;
    assert_int_equal(vault_says(REASON_NONE).kind, VERDICT_PASS);
    r.now.wall.us += 1;
    assert_int_equal(vault_says(REASON_NONE).reason, REASON_right_password_old);
    r.emergency = true;
    assert_int_equal(vault_says(REASON_NONE).kind, VERDICT_PASS);
    assert_int_equal(r.unproven, REASON_NONE);
}

/* A certificate instead of a password. */
static void by_certificate_alone(void **state)
{
    (void)state;
    static const struct {
        const char *san, *from;
        enum reason why;
    } row[] = {{"sip:alice@example.com", "alice", REASON_NONE},
               {"sip:alice@EXAMPLE.com", "alice", REASON_NONE},
               {"sip:dora@example.com", "dora", REASON_NONE}, /* no password was used */
               {"sip:alice@example.com", "anonymous", REASON_NONE},
               {"sip:alice@example.com", "bob", REASON_auth_cert},
               {"sip:alice@example.net", "alice", REASON_auth_cert}, /* a foreign one */
               {"sip:alic@example.com", "alice", REASON_auth_cert},
               {"dns:example.com", "alice", REASON_auth_cert},
               {"sip:nobody@example.com", "nobody", REASON_auth_failed}};
    p.zones[PHONES].authenticate = AUTH_CERT;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        memset(&proof, 0, sizeof proof);
        proof_add(&proof, str_c(row[i].san));
        request(PHONES, "INVITE", row[i].from, "");
        r.proof = &proof;
        struct verdict v = go();
        if (v.reason != row[i].why ||
            v.kind != (row[i].why == REASON_NONE ? VERDICT_PASS : VERDICT_REFUSE))
            fail_msg("%s for %s: %.*s", row[i].san, row[i].from,
                     STR_ARG(reason_info(v.reason)->name));
    }
    with("INVITE", "alice", "alice"); /* a password does not help */
    assert_int_equal(go().reason, REASON_auth_cert);
}

static void by_certificate_and_password(void **state)
{
    (void)state;
    with("INVITE", "alice", "alice");
    r.proof = &proof; /* names nobody: speaks for nobody */
    assert_int_equal(go().kind, VERDICT_WAIT);
    proof_add(&proof, STR("sip:bob@example.com"));
    assert_int_equal(go().reason, REASON_auth_cert);
    proof_add(&proof, STR("sip:alice@example.com"));
    assert_int_equal(go().kind, VERDICT_WAIT);
    p.zones[PHONES].authenticate = AUTH_BOTH;
    assert_int_equal(go().kind, VERDICT_WAIT);
    r.proof = NULL;
    assert_int_equal(go().reason, REASON_auth_cert);
    memset(&proof, 0, sizeof proof);
    r.proof = &proof;
    assert_int_equal(go().reason, REASON_auth_cert);
}

/* Who tried to prove himself and could not calls for help as nobody. */
static void calls_for_help(void **state)
{
    (void)state;
    static const enum reason no[] = {REASON_auth_failed, REASON_auth_limited,
                                     REASON_auth_unavailable};
    request(PHONES, "INVITE", "alice", "");
    r.emergency = true;
    assert_int_equal(go().kind, VERDICT_CHALLENGE); /* asked once */
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        with("INVITE", "alice", "alice");
        r.emergency = true;
        assert_int_equal(go().kind, VERDICT_WAIT);
        assert_int_equal(vault_says(no[i]).kind, VERDICT_PASS);
        assert_int_equal(r.unproven, no[i]);
        assert_int_equal(r.ident, IDENT_NONE);
        assert_int_equal(r.user_n, 0);
        r.in_dialog = true; /* of a call that is up: no call for help */
        assert_int_equal(vault_says(no[i]).kind, VERDICT_REFUSE);
    }
    with("INVITE", "alice", "alice");
    r.emergency = r.locked = true;
    assert_int_equal(go().kind, VERDICT_WAIT);
    assert_int_equal(vault_says(REASON_NONE).kind, VERDICT_PASS);
    request(PHONES, "INVITE", "alice", "Authorization: Digest username\r\n");
    assert_int_equal(go().reason, REASON_auth_syntax);
    assert_int_equal(go().kind, VERDICT_REFUSE);
    r.emergency = true;
    assert_int_equal(go().kind, VERDICT_PASS);
    assert_int_equal(r.unproven, REASON_auth_syntax);
}

static void within_a_dialog(void **state)
{
    (void)state;
    request(PHONES, "BYE", "alice", "");
    r.in_dialog = true;
    assert_int_equal(go().kind, VERDICT_CHALLENGE);
    r.dialog_authenticated = true;
    assert_int_equal(go().kind, VERDICT_PASS);
    r.in_dialog = false;
    assert_int_equal(go().kind, VERDICT_CHALLENGE);
    request(PHONES, "ACK", "alice", "");
    assert_int_equal(go().kind, VERDICT_PASS);
    request(PHONES, "CANCEL", "alice", "");
    assert_int_equal(go().kind, VERDICT_PASS);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, begin)
    const struct CMUnitTest tests[] = {T(a_peer_by_its_address), T(a_peer_by_its_certificate),
                                       T(the_vault_is_asked),    T(what_the_vault_answers),
                                       T(nonces_and_uris),       T(unknown_users),
                                       T(somebody_elses_name),   T(old_passwords),
                                       T(by_certificate_alone),  T(by_certificate_and_password),
                                       T(calls_for_help),        T(within_a_dialog)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
