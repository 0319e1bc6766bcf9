/* Bearer tokens at the gate: offered, believed, and refused in each of the ways they can be. */
#include "call/fixture_test.h"
#include "call/gate.h"
#include "crypto/openssl.h"

#define T0   INT64_C(1700000000)
#define HEAD "{\"alg\":\"EdDSA\",\"kid\":\"k1\"}"
#define FOR(aud, sub, exp)                                                                         \
    "{\"iss\":\"https://id.example.com\",\"aud\":\"" aud "\",\"sub\":\"" sub "\",\"exp\":" exp "}"
#define ALICES FOR("sip.example.com", "alice@example.com", "1700000600")
#define ELSEWHERE                                                                                  \
    "{\"iss\":\"https://id.example.net\",\"aud\":\"sip.example.com\",\"sub\":\"alice\","           \
    "\"exp\":1700000600}"
static struct policy p;
static uint64_t dir_mem[FIXTURE_DIRECTORY_BYTES / 8];
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static struct proof proof;
static char text[8192];
static EVP_PKEY *key, *other;

static EVP_PKEY *key_of(uint8_t first)
{
    const uint8_t seed[32] = {first, 1, 4, 1, 5};
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
}

static int begin(void **state)
{
    (void)state;
    fixture_policy(&p);
    token_policy_default(&p.tokens);
    p.tokens.bearer = true;
    p.tokens.issuer = fixture_text(&p, "https://id.example.com");
    p.tokens.audience = fixture_text(&p, "sip.example.com");
    p.tokens.n_keys = 1;
    p.tokens.keys[0] = (struct token_key){.alg = JWT_EDDSA, .kid_n = 2, .kid = "k1"};
    key = key_of(3);
    other = key_of(4);
    size_t n = JWK_BYTES;
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, p.tokens.keys[0].bytes, &n), 1);
    p.tokens.keys[0].n = (uint16_t)n;
    memset(&proof, 0, sizeof proof);
    e = (struct gate_env){.policy = &p,
                          .directory = fixture_directory(dir_mem),
                          .nonce_key = {5, 6},
                          .hash_key = {7, 8}};
    return 0;
}

static int done(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

/* header.claims.signature, terminated */
static const char *minted(EVP_PKEY *by, const char *header, const char *claims)
{
    static char token[JWT_TOKEN_MAX + 1];
    uint8_t sig[64];
    size_t n = base64url_encode((const uint8_t *)header, strlen(header), token), k = sizeof sig;
    token[n++] = '.';
    n += base64url_encode((const uint8_t *)claims, strlen(claims), token + n);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(c, NULL, NULL, NULL, by), 1);
    assert_int_equal(EVP_DigestSign(c, sig, &k, (const uint8_t *)token, n), 1);
    EVP_MD_CTX_free(c);
    token[n++] = '.';
    n += base64url_encode(sig, k, token + n);
    token[n] = 0;
    return token;
}

static void request(const char *from, const char *field, const char *scheme, const char *token)
{
    struct sip_error err;
    struct flow f = {.proto = PROTO_TLS, .peer = fixture_addr("203.0.113.5:9")};
    int n = snprintf(text, sizeof text,
                     "INVITE sip:100@example.com SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;"
                     "branch=z9hG4bKx\r\nFrom: <sip:%s@example.com>;tag=1\r\n"
                     "To: <sip:100@example.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n"
                     "%s%s%s%s%sContent-Length: 0\r\n\r\n",
                     from, field, *field ? ": " : "", scheme, token, *field ? "\r\n" : "");
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{1}, {(T0 + 1) * 1000000}});
    r.zone = 0;
    r.peer = POLICY_NONE;
}

/* alice brings that one. */
static void brings(const char *token)
{
    request("alice", "Authorization", "Bearer ", token);
}

static bool go(struct verdict *ret_v)
{
    struct ask q = {0};
    *ret_v = (struct verdict){.kind = VERDICT_WAIT};
    bool took = gate_bearer(&e, &r, &q, ret_v);
    assert_int_equal(q.kind, 0); /* nobody is asked */
    return took;
}

static void expect(uint8_t kind, enum reason why)
{
    struct verdict v;
    assert_true(go(&v));
    assert_int_equal(v.kind, kind);
    assert_int_equal(v.reason, why);
    assert_int_equal(r.ident, kind == VERDICT_PASS ? IDENT_USER : IDENT_NONE);
}

static void believed(void **state)
{
    (void)state;
    brings(minted(key, HEAD, ALICES));
    expect(VERDICT_PASS, REASON_NONE);
    assert_str(str_of(r.user, r.user_n), "alice@example.com");
    assert_ptr_equal(r.known, directory_find(e.directory, STR("alice"), STR("example.com")));
    request("alice", "Proxy-Authorization", "bearer   ", minted(key, HEAD, ALICES));
    expect(VERDICT_PASS, REASON_NONE);
    brings(minted(key, HEAD, FOR("sip.example.com", "alice", "1700000600")));
    expect(VERDICT_PASS, REASON_NONE);
}

/* Then digest is what counts. */
static void not_one(void **state)
{
    (void)state;
    struct verdict v;
    request("alice", "", "", "");
    assert_false(go(&v));
    request("alice", "Authorization", "Digest ", "username=\"alice\"");
    assert_false(go(&v));
    request("alice", "Authorization", "Bearerx ", minted(key, HEAD, ALICES));
    assert_false(go(&v));
    request("alice", "Proxy-Authenticate", "Bearer ", minted(key, HEAD, ALICES));
    assert_false(go(&v));
    brings(minted(key, HEAD, ALICES));
    p.tokens.bearer = false; /* disabled */
    assert_false(go(&v));
    assert_int_equal(v.kind, VERDICT_WAIT); /* untouched */
    assert_int_equal(r.ident, IDENT_NONE);
    p.tokens.bearer = true;
    assert_true(go(&v));
}

static void not_believed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        FOR("sip.example.net", "alice@example.com", "1700000600"), /* another audience */
        FOR("sip.example.co", "alice@example.com", "1700000600"),
        FOR("sip.example.com", "alice@example.net", "1700000600"), /* of another domain */
        FOR("sip.example.com", "", "1700000600"),
        ELSEWHERE,
        "{\"iss\":\"https://id.example.com\",\"aud\":\"sip.example.com\",\"sub\":\"alice\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        brings(minted(key, HEAD, bad[i]));
        expect(VERDICT_CHALLENGE, REASON_auth_token);
    }
    brings(minted(other, HEAD, ALICES)); /* another signed it */
    expect(VERDICT_CHALLENGE, REASON_auth_token);
    brings(minted(key, "{\"alg\":\"EdDSA\",\"kid\":\"k2\"}", ALICES)); /* a key nobody knows */
    expect(VERDICT_CHALLENGE, REASON_auth_token);
    brings(minted(key, "{\"alg\":\"none\",\"kid\":\"k1\"}", ALICES));
    expect(VERDICT_CHALLENGE, REASON_auth_token);
    brings("no.token.atall");
    expect(VERDICT_CHALLENGE, REASON_auth_token);
    p.tokens.n_keys = 0;
    brings(minted(key, HEAD, ALICES));
    expect(VERDICT_CHALLENGE, REASON_auth_token);
}

static void its_end(void **state)
{
    (void)state;
    brings(minted(key, HEAD, ALICES));
    r.now.wall.us = (T0 + 600 + TOKEN_SKEW_S - 1) * 1000000;
    expect(VERDICT_PASS, REASON_NONE);
    brings(minted(key, HEAD, ALICES));
    r.now.wall.us = (T0 + 600 + TOKEN_SKEW_S + 1) * 1000000;
    expect(VERDICT_CHALLENGE, REASON_auth_token_expired);
}

/* A token that is right makes nobody another, and helps no one who is locked. */
static void whose_it_is(void **state)
{
    (void)state;
    request("bob", "Authorization", "Bearer ", minted(key, HEAD, ALICES));
    expect(VERDICT_REFUSE, REASON_auth_identity_mismatch);
    request("zoe", "Authorization", "Bearer ",
            minted(key, HEAD, FOR("sip.example.com", "zoe@example.com", "1700000600")));
    expect(VERDICT_REFUSE, REASON_auth_failed);
    brings(minted(key, HEAD, ALICES));
    r.locked = true;
    expect(VERDICT_REFUSE, REASON_shield_party);
    r.emergency = true;
    expect(VERDICT_PASS, REASON_NONE);
}

static void beside_a_certificate(void **state)
{
    (void)state;
    brings(minted(key, HEAD, ALICES));
    r.proof = &proof; /* names nobody */
    expect(VERDICT_PASS, REASON_NONE);
    brings(minted(key, HEAD, ALICES));
    r.proof = &proof;
    proof_add(&proof, STR("sip:bob@example.com"));
    expect(VERDICT_REFUSE, REASON_auth_cert);
    proof_add(&proof, STR("sip:alice@example.com"));
    expect(VERDICT_PASS, REASON_NONE);
    p.zones[0].authenticate = AUTH_BOTH;
    brings(minted(key, HEAD, ALICES));
    expect(VERDICT_REFUSE, REASON_auth_cert);
}

static struct str offer(void)
{
    static char buf[512];
    struct out o = out_of(buf, sizeof buf);
    gate_bearer_put(&e, &r, &o);
    assert_false(o.full);
    return out_str(&o);
}

static void offered(void **state)
{
    (void)state;
    request("alice", "", "", "");
    assert_str(offer(), "WWW-Authenticate: Bearer realm=\"example.com\"\r\n");
    p.tokens.authz_server = fixture_text(&p, "https://id.example.com/a");
    assert_str(offer(), "WWW-Authenticate: Bearer realm=\"example.com\", "
                        "authz_server=\"https://id.example.com/a\"\r\n");
    p.tokens.scope = fixture_text(&p, "voice");
    brings("no.token.atall");
    assert_str(offer(), "WWW-Authenticate: Bearer realm=\"example.com\", "
                        "authz_server=\"https://id.example.com/a\", scope=\"voice\", "
                        "error=\"invalid_token\"\r\n");
    p.tokens.bearer = false;
    assert_str(offer(), "");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, done)
    const struct CMUnitTest tests[] = {
        T(believed), T(not_one),    T(not_believed), T(its_end), T(beside_a_certificate),
        T(offered),  T(whose_it_is)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
