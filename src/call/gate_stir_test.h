/* For tests only: a peer whose calls are verified, tokens for them, and a board of certificates. */
#ifndef CALL_GATE_STIR_TEST_H
#define CALL_GATE_STIR_TEST_H
#include "call/certs.h"
#include "call/fixture_test.h"
#include "call/gate.h"
#include "crypto/es256.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "identity/passport.h"

#define T0    INT64_C(1700000000)
#define DATE  "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
#define URL   "https://certs.example.net/a.pem"
#define BOBS  "4930123456" /* who calls */
#define FROM  "sip:+4930123456@example.net"
#define CALLS "sip:+4989654321@example.com"
#define TO_TN "4989654321"
static struct policy p;
static struct cert_board *board;
static struct certs_row row;
static EVP_PKEY *key, *other;
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static struct ask q;
static char text[16384], value[4000];

static inline struct certs_row row_of(const EVP_PKEY *k)
{
    struct certs_row x = {.has_spc = true,
                          .spc = "709J",
                          .generation = 7,
                          .fetched = {T0 * 1000000},
                          .until = {(T0 + 600) * 1000000}};
    unsigned char *point = NULL;
    (void)snprintf(x.url, sizeof x.url, URL);
    assert_int_equal(i2d_PublicKey(k, &point), CERTS_KEY);
    memcpy(x.key, point, CERTS_KEY);
    OPENSSL_free(point);
    return x;
}

static inline void place(struct certs_row x)
{
    certs_forget(board);
    certs_put(board, &x);
}

static inline int setup(void **state)
{
    (void)state;
    assert_ok(crypto_init());
    fixture_policy(&p);
    p.generation = 7;
    p.n_sites = 1;
    p.sites[0].country = 'D' << 8 | 'E';
    p.sites[0].area = fixture_text(&p, "30");
    p.sites[0].international = fixture_text(&p, "00");
    p.sites[0].national = fixture_text(&p, "0");
    p.peers[0].verify = true;
    stir_policy_default(&p.stir);
    p.stir.verify = p.stir.refuse_failed = p.stir.refuse_none = true;
    p.stir.allow[p.stir.n_allow++] = fixture_text(&p, "certs.example.net");
    board = test_calloc(1, sizeof *board);
    assert_ok(certs_attach(board, sizeof *board));
    key = EVP_EC_gen("P-256");
    other = EVP_EC_gen("P-256");
    row = row_of(key);
    place(row);
    e = (struct gate_env){.policy = &p, .certs = board};
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    test_free(board);
    return 0;
}

/* --- tokens --- */

static inline void sign_by(EVP_PKEY *k, struct str input, uint8_t ret_sig[PASSPORT_SIG])
{
    uint8_t der[80];
    size_t n = sizeof der;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, k), 1);
    assert_int_equal(EVP_DigestSign(c, der, &n, (const uint8_t *)input.p, input.n), 1);
    EVP_MD_CTX_free(c);
    assert_ok(es256_raw(str_of((const char *)der, n), ret_sig));
}

static inline struct passport shaken(void)
{
    return (struct passport){.x5u = STR(URL),
                             .ppt = STR("shaken"),
                             .orig_tn = STR(BOBS),
                             .n_tn = 1,
                             .dest_tn = {STR(TO_TN)},
                             .iat = T0,
                             .attest = 'A',
                             .origid = STR("123e4567-e89b-12d3-a456-426655440000")};
}

/* "Identity: ...\r\n", which stays until the next one is made. */
static inline const char *signed_by(EVP_PKEY *k, const struct passport *t)
{
    char input[PASSPORT_TEXT];
    uint8_t sig[PASSPORT_SIG];
    struct out in = out_of(input, sizeof input), o = out_of(value, sizeof value - 1);
    passport_put(&in, t);
    sign_by(k, out_str(&in), sig);
    OUT_LIT(&o, "Identity: ");
    identity_put(&o, out_str(&in), sig, t->x5u, t->ppt);
    OUT_LIT(&o, "\r\n");
    assert_false(in.full || o.full);
    value[o.n] = 0;
    return value;
}

/* The compact form of that: without header and claims. */
static inline const char *compact(EVP_PKEY *k, const struct passport *t)
{
    char *field = value + strlen("Identity: ");
    (void)signed_by(k, t);
    char *sig = strrchr(field, ';'), *dot = NULL;
    for (char *c = field; c < sig && *c != ';'; c++)
        dot = *c == '.' ? c : dot;
    assert_non_null(dot);
    memmove(field + 1, dot, strlen(dot) + 1);
    field[0] = '.';
    return value;
}

static inline const char *good(void)
{
    const struct passport t = shaken();
    return signed_by(key, &t);
}

static inline struct passport base(void)
{
    struct passport t = shaken();
    t.ppt = t.origid = STR_NONE;
    t.attest = 0;
    return t;
}

/* --- requests --- */

static inline void call(const char *uri, const char *from, const char *to, const char *more)
{
    struct sip_error err;
    struct flow f = {.proto = PROTO_UDP, .listener = 2, .peer = fixture_addr("192.0.2.10:5070")};
    int n = snprintf(text, sizeof text,
                     "INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5070;branch=z9hG4bKx\r\n"
                     "From: <%s>;tag=1\r\nTo: <%s>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n%s"
                     "Content-Length: 0\r\n\r\n",
                     uri, from, to, more);
    assert_true(n > 0 && (size_t)n < sizeof text);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{1}, {T0 * 1000000}});
    r.zone = 2;
    r.peer = 0;
    r.attest = 'x';
    r.verstat = REASON_COUNT;
}

static inline void brings(const char *more)
{
    call(CALLS, FROM, CALLS, more);
}
#endif
