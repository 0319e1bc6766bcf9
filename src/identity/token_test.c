#include "base/test.h"
#include "crypto/openssl.h"
#include "identity/token.h"

#define T0   INT64_C(1700000000)
#define TEXT "https://id.example.com sip.example.com voice nick https://id2.example.com"
static const struct span ISS = {0, 22}, AUD = {23, 15}, SCOPE = {39, 5}, CLAIM = {45, 4};
static EVP_PKEY *key;

static size_t raw_public(const EVP_PKEY *k, uint8_t *ret, size_t cap)
{
    size_t n = cap;
    assert_int_equal(EVP_PKEY_get_raw_public_key(k, ret, &n), 1);
    return n;
}

static int setup(void **state)
{
    static const uint8_t seed[32] = {3, 1, 4, 1, 5};
    (void)state;
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    return key ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    return 0;
}

static struct token_policy policy(void)
{
    struct token_policy p;
    token_policy_default(&p);
    p.bearer = true;
    p.issuer = ISS;
    p.audience = AUD;
    p.n_keys = 1;
    p.keys[0] = (struct token_key){.alg = JWT_EDDSA, .kid_n = 2, .kid = "k1"};
    p.keys[0].n = (uint16_t)raw_public(key, p.keys[0].bytes, JWK_BYTES);
    return p;
}

/* header.claims.signature */
static struct str minted(const char *header, const char *claims)
{
    static char text[JWT_TOKEN_MAX];
    uint8_t sig[64];
    size_t n = base64url_encode((const uint8_t *)header, strlen(header), text), m = sizeof sig;
    text[n++] = '.';
    n += base64url_encode((const uint8_t *)claims, strlen(claims), text + n);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(c, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(c, sig, &m, (const uint8_t *)text, n), 1);
    EVP_MD_CTX_free(c);
    text[n++] = '.';
    n += base64url_encode(sig, m, text + n);
    return str_of(text, n);
}

#define HEAD    "{\"alg\":\"EdDSA\",\"kid\":\"k1\"}"
#define ISS_AUD "\"iss\":\"https://id.example.com\",\"aud\":\"sip.example.com\","
#define GOOD    "{" ISS_AUD "\"sub\":\"alice@example.com\",\"iat\":1700000000,\"exp\":1700000600}"
static enum reason judge(const struct token_policy *p, struct str token, int64_t at_s)
{
    static char mem[JWT_TOKEN_MAX];
    struct str user = STR_NONE, host = STR_NONE;
    enum reason why =
        token_judge(p, STR(TEXT), token, (struct wall){at_s * 1000000}, mem, &user, &host);
    if (why == REASON_NONE) {
        assert_str(user, "alice");
        assert_true(!host.n || str_eq(host, STR("example.com")));
    }
    return why;
}

static void believed(void **state)
{
    struct token_policy p = policy();
    (void)state;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0 + 1), REASON_NONE);
    assert_int_equal(judge(&p, minted("{\"alg\":\"EdDSA\"}", GOOD), T0 + 1), REASON_NONE);
    p.bearer = false;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0 + 1), REASON_auth_token);
    p.bearer = true;
    p.n_keys = 0;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0 + 1), REASON_auth_token);
}

/* What the claims say decides, each from both sides. */
static void claims(void **state)
{
#define WITH(x) "{" ISS_AUD x "\"exp\":1700000600}"
    static const struct {
        const char *claims;
        bool good;
    } row[] = {
        {WITH("\"sub\":\"alice\","), true},
        {WITH("\"sub\":\"sip:alice@example.com\","), true},
        {WITH("\"sub\":\"@example.com\","), false},
        {WITH("\"sub\":\"\","), false},
        {WITH("\"sub\":17,"), false},
        {WITH(""), false},
        {"{\"iss\":\"https://id2.example.com\",\"aud\":\"sip.example.com\",\"sub\":\"alice\","
         "\"exp\":1700000600}",
         false},
        {"{\"aud\":\"sip.example.com\",\"sub\":\"alice\",\"exp\":1700000600}", false},
        {"{\"iss\":\"https://id.example.com\",\"aud\":[\"web\",\"sip.example.com\"],\"sub\":"
         "\"alice\",\"exp\":1700000600}",
         true},
        {"{\"iss\":\"https://id.example.com\",\"aud\":[\"web\"],\"sub\":\"alice\",\"exp\":"
         "1700000600}",
         false},
        {"{\"iss\":\"https://id.example.com\",\"sub\":\"alice\",\"exp\":1700000600}", false},
        {"{" ISS_AUD "\"sub\":\"alice\"}", false}, /* for ever */
        {WITH("\"sub\":\"alice\",\"nbf\":1700000061,"), true},
        {WITH("\"sub\":\"alice\",\"nbf\":1700000062,"), false},
        {WITH("\"sub\":\"alice\",\"iat\":1700000061,"), true},
        {WITH("\"sub\":\"alice\",\"iat\":1700000062,"), false},
    };
    struct token_policy p = policy();
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        enum reason why = judge(&p, minted(HEAD, row[i].claims), T0 + 1);
        if (why != (row[i].good ? REASON_NONE : REASON_auth_token))
            fail_msg("row %zu: %s", i, row[i].claims);
    }
    p.scope = SCOPE;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0), REASON_auth_token);
    assert_int_equal(
        judge(&p, minted(HEAD, WITH("\"sub\":\"alice\",\"scope\":\"mail voice\",")), T0),
        REASON_NONE);
    assert_int_equal(
        judge(&p, minted(HEAD, WITH("\"sub\":\"alice\",\"scope\":\"mail voices\",")), T0),
        REASON_auth_token);
    p = policy();
    p.claim = CLAIM;
    assert_int_equal(judge(&p, minted(HEAD, WITH("\"nick\":\"alice\",\"sub\":\"bob\",")), T0),
                     REASON_NONE);
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0), REASON_auth_token);
}

static void names(void **state)
{
    struct token_policy p = policy();
    char text[256], mem[JWT_TOKEN_MAX];
    struct str user, host;
    (void)state;
    for (unsigned n = 64; n <= 65; n++) {
        (void)snprintf(text, sizeof text, "{" ISS_AUD "\"sub\":\"%.*s\",\"exp\":1700000600}",
                       (int)n,
                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert_int_equal(token_judge(&p, STR(TEXT), minted(HEAD, text), (struct wall){T0 * 1000000},
                                     mem, &user, &host),
                         n == 64 ? REASON_NONE : REASON_auth_token);
    }
}

static void time_runs_out(void **state)
{
    struct token_policy p = policy();
    (void)state;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0 + 600 + TOKEN_SKEW_S - 1), REASON_NONE);
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0 + 600 + TOKEN_SKEW_S),
                     REASON_auth_token_expired);
    p.life_s = 600;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0), REASON_NONE);
    p.life_s = 599;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0), REASON_auth_token);
    p.life_s = 600; /* who does not say when it began may not say how long */
    assert_int_equal(judge(&p, minted(HEAD, WITH("\"sub\":\"alice\",")), T0), REASON_auth_token);
    /* One that has ended and was never signed is not told that it has ended. */
    p = policy();
    p.keys[0].bytes[0] ^= 1;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0 + 10000), REASON_auth_token);
}

static void signatures(void **state)
{
    struct token_policy p = policy();
    (void)state;
    struct str t = minted(HEAD, GOOD);
    for (size_t i = 0; i < t.n; i += 7) { /* any character changed: it is nobody's */
        char copy[JWT_TOKEN_MAX];
        memcpy(copy, t.p, t.n);
        copy[i] = copy[i] == 'A' ? 'Q' : 'A';
        assert_int_equal(judge(&p, str_of(copy, t.n), T0), REASON_auth_token);
    }
    assert_int_equal(judge(&p, str_head(t, t.n - 2), T0), REASON_auth_token);
    assert_int_equal(judge(&p, STR_NONE, T0), REASON_auth_token);
    /* no algorithm, a shared secret made of the public key, or another's name */
    assert_int_equal(judge(&p, minted("{\"alg\":\"none\"}", GOOD), T0), REASON_auth_token);
    assert_int_equal(judge(&p, minted("{\"alg\":\"HS256\"}", GOOD), T0), REASON_auth_token);
    assert_int_equal(judge(&p, minted("{\"alg\":\"ES256\"}", GOOD), T0), REASON_auth_token);
    assert_int_equal(judge(&p, minted("{\"alg\":\"EdDSA\",\"kid\":\"k2\"}", GOOD), T0),
                     REASON_auth_token);
    p.keys[1] = p.keys[0]; /* the second key of that name is tried, too */
    p.n_keys = 2;
    p.keys[0].bytes[5] ^= 1;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0), REASON_NONE);
    p.keys[1].alg = JWT_ES256;
    assert_int_equal(judge(&p, minted(HEAD, GOOD), T0), REASON_auth_token);
}

static void policies(void **state)
{
    struct token_policy p;
    (void)state;
    token_policy_default(&p);
    assert_ok(token_policy_valid(&p));
    assert_int_equal(p.hmac_life_s, 86400);
    p = policy();
    assert_ok(token_policy_valid(&p));
    p.issuer.len = 0;
    assert_err(token_policy_valid(&p), ERR_RANGE);
    p = policy();
    p.audience.len = 0;
    assert_err(token_policy_valid(&p), ERR_RANGE);
    p = policy();
    p.keys[0].kid_n = JWK_KID;
    p.keys[0].n = JWK_BYTES;
    p.n_keys = TOKEN_KEYS;
    assert_ok(token_policy_valid(&p));
    p.keys[0].kid_n++;
    assert_err(token_policy_valid(&p), ERR_RANGE);
    p = policy();
    p.keys[0].n = JWK_BYTES + 1;
    assert_err(token_policy_valid(&p), ERR_RANGE);
    p = policy();
    p.keys[0].alg = JWT_EDDSA + 1;
    assert_err(token_policy_valid(&p), ERR_RANGE);
    p = policy();
    p.n_keys = TOKEN_KEYS + 1;
    assert_err(token_policy_valid(&p), ERR_RANGE);
}

static void web_names(void **state)
{
    static const struct {
        const char *name;
        int64_t end; /* -1: no such name */
        const char *user;
    } row[] = {{"1767225600:alice", 1767225600, "alice"},
               {"1767225600:alice@example.com", 1767225600, "alice@example.com"},
               {"0:a", 0, "a"},
               {"999999999999:a", 999999999999, "a"},
               {"1000000000000:a", -1, ""},
               {"0000000000001:a", -1, ""},
               {"1767225600:", -1, ""},
               {":alice", -1, ""},
               {"alice", -1, ""},
               {"17x:alice", -1, ""},
               {"-1:alice", -1, ""},
               {"", -1, ""}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t end = -1;
        struct str user;
        bool is = token_hmac_name(str_c(row[i].name), &end, &user);
        if (is != (row[i].end >= 0) ||
            (is && (end != row[i].end || !str_eq(user, str_c(row[i].user)))))
            fail_msg("row %zu: %s", i, row[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(believed),      cmocka_unit_test(claims),     cmocka_unit_test(names),
        cmocka_unit_test(time_runs_out), cmocka_unit_test(signatures), cmocka_unit_test(policies),
        cmocka_unit_test(web_names)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
