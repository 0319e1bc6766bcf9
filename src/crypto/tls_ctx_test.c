/* What a context lets be used and whom it believes; handshakes are in tls_test.c. */
#include "crypto/tls_in.h"
#include "crypto/tls_test.h"
#include "crypto/x509_in.h"

#define HOUR (DAY / 24)

/* Texts in one: certificates, lists and what people write between them. */
struct bundle {
    char text[400000];
    struct out o;
};
static struct bundle bundle;

static struct str one_text(const struct str *v, size_t n, unsigned times)
{
    bundle.o = out_of(bundle.text, sizeof bundle.text);
    for (unsigned i = 0; i < times; i++)
        for (size_t k = 0; k < n; k++)
            out_put(&bundle.o, v[k]);
    assert_ok(out_err(&bundle.o));
    return out_str(&bundle.o);
}
#define TEXT(...)                                                                                  \
    one_text((const struct str[]){__VA_ARGS__},                                                    \
             sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str), 1)

/* A certificate of any kind of key, as others make them: issuer NULL = signed by itself. */
static X509 *foreign(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *by, bool authority)
{
    static long serial;
    X509 *x = X509_new();
    assert_true(x && X509_set_version(x, X509_VERSION_3) == 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial), 1);
    X509_NAME *n = X509_get_subject_name(x);
    (void)X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1, 0);
    (void)X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : n);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_EXTENSION *e =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, authority ? "CA:TRUE" : "CA:FALSE");
    assert_true(X509_set_pubkey(x, key) == 1 && e && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
    assert_true(X509_sign(x, by ? by : key, EVP_sha256()) > 0);
    return x;
}

static struct str pem_of(X509 *x, struct pem *p)
{
    char *t = NULL;
    BIO *b = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(b, x), 1);
    long n = BIO_get_mem_data(b, &t);
    p->o = out_of(p->text, sizeof p->text);
    out_put(&p->o, str_of(t, (size_t)n));
    BIO_free(b);
    return text(p);
}

static X509 *read_cert(struct str pem)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *x = pem_next_cert(b);
    BIO_free(b);
    assert_non_null(x);
    return x;
}

static enum err make_ctx(bool server, enum tls_verify v, struct str chain, struct str ca)
{
    struct tls_cfg cfg = {
        .server = server, .chain_pem = chain, .ca_pem = ca, .verify = v, .key = 7};
    struct tls_ctx *c = NULL;
    enum err e = tls_ctx_new(&cfg, &c);
    assert_int_equal(c != NULL, e == OK);
    tls_ctx_free(c);
    assert_int_equal(ERR_peek_error(), 0);
    return e;
}

/* RFC 9325 in each context, whatever its side and however it verifies. */
static void expect_rules(const struct tls_ctx *c, int verify)
{
    SSL_CTX *s = c->ssl;
    STACK_OF(SSL_CIPHER) *v = SSL_CTX_get_ciphers(s);
    const uint64_t must = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                          SSL_OP_CIPHER_SERVER_PREFERENCE;
    assert_int_equal(SSL_CTX_get_min_proto_version(s), TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_get_max_proto_version(s), TLS1_3_VERSION);
    assert_int_equal(SSL_CTX_get_options(s) & must, must);
    assert_int_equal(SSL_CTX_get_security_level(s), 2);
    assert_int_equal(SSL_CTX_get_verify_mode(s), verify);
    assert_int_equal(SSL_CTX_get_verify_depth(s), 4);
    assert_int_equal(SSL_CTX_get_session_cache_mode(s), SSL_SESS_CACHE_OFF);
    assert_int_equal(SSL_CTX_get_max_cert_list(s), 32768);
    assert_int_equal(SSL_CTX_get_num_tickets(s), 0);
    assert_int_equal(SSL_CTX_get_max_early_data(s), 0);
    assert_true(SSL_CTX_get_mode(s) & SSL_MODE_NO_AUTO_CHAIN);
    assert_int_equal(!!(SSL_CTX_get_mode(s) & SSL_MODE_ASYNC), c->remote != NULL);
    assert_true(SSL_CTX_get_info_callback(s) == tls_told);
    assert_int_equal(sk_SSL_CIPHER_num(v), 9);
    for (int i = 0; i < sk_SSL_CIPHER_num(v); i++) {
        const SSL_CIPHER *x = sk_SSL_CIPHER_value(v, i);
        int kx = SSL_CIPHER_get_kx_nid(x);
        assert_int_equal(SSL_CIPHER_is_aead(x), 1);
        assert_true(kx == NID_kx_ecdhe || kx == NID_kx_any);
        assert_true(SSL_CIPHER_get_bits(x, NULL) >= 128);
    }
}

static void rules(void **state)
{
    static const struct {
        enum tls_verify v;
        int mode;
    } rows[] = {
        {TLS_VERIFY_NONE, SSL_VERIFY_NONE},
        {TLS_VERIFY_OPTIONAL, SSL_VERIFY_PEER},
        {TLS_VERIFY_REQUIRED, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows) * 2; i++) {
        struct tls_cfg cfg = server_cfg(rows[i / 2].v);
        struct tls_ctx *c = NULL;
        cfg.server = i % 2;
        if (!cfg.server)
            cfg.chain_pem = STR_NONE;
        assert_ok(tls_ctx_new(&cfg, &c));
        expect_rules(c, rows[i / 2].mode);
        assert_int_equal(c->held, 1);
        assert_int_equal(c->key, 7);
        assert_int_equal(c->remote != NULL, cfg.server);
        assert_ptr_equal(SSL_CTX_get_app_data(c->ssl), c);
        /* A server tells whose certificates it takes. */
        int told = rows[i / 2].v != TLS_VERIFY_NONE && cfg.server;
        assert_int_equal(MAX(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(c->ssl)), 0), told);
        tls_ctx_free(c);
    }
    tls_ctx_free(NULL);
}

static void own_chain(void **state)
{
    struct str own = text(&pki.server), ca = text(&pki.ca), note = STR("# of the authority\n");
    struct out key = out_of((char[512]){0}, 512);
    (void)state;
    assert_ok(key_pem(pki.key, &key));
    assert_ok(make_ctx(true, TLS_VERIFY_NONE, TEXT(own), STR_NONE));
    assert_ok(make_ctx(true, TLS_VERIFY_NONE, TEXT(note, own, note, ca), STR_NONE));
    assert_ok(make_ctx(false, TLS_VERIFY_NONE, STR_NONE, STR_NONE));
    assert_ok(make_ctx(false, TLS_VERIFY_NONE, TEXT(own), STR_NONE));
    assert_err(make_ctx(true, TLS_VERIFY_NONE, STR_NONE, STR_NONE), ERR_NOT_FOUND);
    assert_err(make_ctx(true, TLS_VERIFY_NONE, note, STR_NONE), ERR_SYNTAX);
    assert_err(make_ctx(false, TLS_VERIFY_NONE, note, STR_NONE), ERR_SYNTAX);
    assert_err(make_ctx(true, TLS_VERIFY_NONE, out_str(&key), STR_NONE), ERR_SYNTAX);
    assert_err(make_ctx(true, TLS_VERIFY_NONE, str_head(own, own.n / 2), STR_NONE), ERR_SYNTAX);
    /* Four certificates at most. */
    assert_ok(make_ctx(true, TLS_VERIFY_NONE, TEXT(own, ca, ca, ca), STR_NONE));
    assert_err(make_ctx(true, TLS_VERIFY_NONE, TEXT(own, ca, ca, ca, ca), STR_NONE), ERR_LIMIT);
    struct str huge = {own.p, (size_t)INT32_MAX + 1}; /* not read */
    assert_err(make_ctx(true, TLS_VERIFY_NONE, huge, STR_NONE), ERR_LIMIT);
    assert_err(make_ctx(true, TLS_VERIFY_NONE, own, huge), ERR_LIMIT);
    mem_wipe(key.p, key.n);
}

/* Keys of the chain, first and further ones; own keys are of a curve, as the vault's are. */
static void chain_keys(void **state)
{
    static const struct {
        const char *curve; /* NULL: RSA */
        unsigned bits;
        bool strong, own;
    } rows[] = {
        {"P-256", 0, true, true},       {"P-384", 0, true, true},  {"P-192", 0, false, false},
        {"secp160r1", 0, false, false}, {NULL, 2048, true, false}, {NULL, 1900, false, false},
        {NULL, 1024, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pem p;
        EVP_PKEY *k = rows[i].curve ? EVP_EC_gen(rows[i].curve) : EVP_RSA_gen(rows[i].bits);
        X509 *x = foreign(k, "x", NULL, NULL, false);
        assert_int_equal(cert_strong(x), rows[i].strong);
        assert_err(make_ctx(true, TLS_VERIFY_NONE, pem_of(x, &p), STR_NONE),
                   rows[i].own ? OK : ERR_UNSUPPORTED);
        assert_err(make_ctx(true, TLS_VERIFY_NONE, TEXT(text(&pki.server), text(&p)), STR_NONE),
                   rows[i].strong ? OK : ERR_UNSUPPORTED);
        X509_free(x);
        EVP_PKEY_free(k);
    }
    X509 *bare = X509_new();
    assert_false(cert_strong(bare)); /* no key at all */
    X509_free(bare);
    ERR_clear_error();
}

/* Does our server come as far as its signature with a client that offers just that? */
static bool offered(char *groups, char *sigalgs)
{
    struct end s;
    char hello[4096];
    struct str digest;
    uint16_t key = 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(ctx, 0);
    if (sigalgs[0]) /* in 1.3 the hash goes with the curve */
        assert_int_equal(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION), 1);
    assert_true(!groups[0] || SSL_CTX_set1_groups_list(ctx, groups) == 1);
    assert_true(!sigalgs[0] || SSL_CTX_set1_sigalgs_list(ctx, sigalgs) == 1);
    SSL *c = SSL_new(ctx);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(c, BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(c);
    assert_int_equal(SSL_do_handshake(c), -1);
    int n = BIO_read(out, hello, sizeof hello);
    assert_true(n > 0);
    open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
    enum err e = tls_feed(s.t, str_of(hello, (size_t)n));
    bool asked = tls_sign_want(s.t, &digest, &key);
    assert_err(e, asked ? OK : ERR_SYNTAX);
    close_end(&s);
    SSL_free(c);
    SSL_CTX_free(ctx);
    return asked;
}

static void offers(void **state)
{
    static struct { /* not const: libssl takes them through a char pointer */
        char groups[12], sigalgs[20];
        bool want;
    } rows[] = {
        {"X25519", "", true},        {"P-256", "", true},        {"P-384", "", false},
        {"P-521", "", false},        {"X448", "", false},        {"ffdhe2048", "", false},
        {"", "ECDSA+SHA256", true},  {"", "ECDSA+SHA384", true}, {"", "ECDSA+SHA512", false},
        {"", "ECDSA+SHA224", false}, {"", "ECDSA+SHA1", false},  {"", "RSA-PSS+SHA256", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (offered(rows[i].groups, rows[i].sigalgs) != rows[i].want)
            fail_msg("row %zu", i);
}

/* A list of the authority, with alice on it or only somebody else. */
static struct str list(struct pem *p, bool alice, const struct key *by, int64_t until)
{
    struct cert_facts f;
    struct wall now = now_wall();
    assert_ok(cert_read(text(&pki.alice), &f));
    struct cert_revoked v = {alice ? f.serial : "4242424242424242424242", {now.us - HOUR}};
    p->o = out_of(p->text, sizeof p->text);
    struct cert_spec other = {.name = STR("Test authority"),
                              .authority = true,
                              .from = {now.us - DAY},
                              .until = {now.us + DAY}};
    struct pem fake;
    fake.o = out_of(fake.text, sizeof fake.text);
    if (by != pki.ca_key)
        assert_ok(cert_make(&other, by, STR_NONE, by, &fake.o));
    assert_ok(cert_crl(by == pki.ca_key ? text(&pki.ca) : text(&fake), by, &v, 1,
                       (struct wall){now.us - 2 * HOUR}, (struct wall){now.us + until}, 1, &p->o));
    return text(p);
}

static void anchors(void **state)
{
    struct str own = text(&pki.server), ca = text(&pki.ca);
    struct pem crl;
    (void)state;
    struct str l = list(&crl, true, pki.ca_key, HOUR);
    assert_ok(make_ctx(true, TLS_VERIFY_OPTIONAL, own, one_text(&ca, 1, TLS_CA_MAX)));
    assert_err(make_ctx(true, TLS_VERIFY_OPTIONAL, own, one_text(&ca, 1, TLS_CA_MAX + 1)),
               ERR_LIMIT);
    const struct str pair[] = {ca, l}, two[] = {l, l};
    assert_ok(make_ctx(true, TLS_VERIFY_OPTIONAL, own, one_text(pair, 2, TLS_CA_MAX)));
    (void)one_text(two, 2, TLS_CA_MAX / 2);
    out_put(&bundle.o, ca);
    assert_ok(make_ctx(true, TLS_VERIFY_OPTIONAL, own, out_str(&bundle.o)));
    out_put(&bundle.o, l);
    assert_err(make_ctx(true, TLS_VERIFY_OPTIONAL, own, out_str(&bundle.o)), ERR_LIMIT);
    /* A list alone is nobody to trust. */
    assert_err(make_ctx(true, TLS_VERIFY_OPTIONAL, own, l), ERR_SYNTAX);
    assert_err(make_ctx(false, TLS_VERIFY_REQUIRED, STR_NONE, STR("nobody")), ERR_SYNTAX);
}

static long judge(bool server, struct str ca, X509 *x, STACK_OF(X509) * more)
{
    struct tls_cfg cfg = server_cfg(TLS_VERIFY_REQUIRED);
    struct tls_ctx *c = NULL;
    long why = -1;
    cfg.server = server;
    cfg.ca_pem = ca;
    assert_ok(tls_ctx_new(&cfg, &c));
    enum err e = tls_ctx_judge(c, x, more, &why);
    assert_err(e, why == X509_V_OK ? OK : ERR_AUTH);
    assert_int_equal(ERR_peek_error(), 0);
    tls_ctx_free(c);
    return why;
}

static long judge_pem(bool server, struct str ca, const struct pem *p)
{
    X509 *x = read_cert(text(p));
    long why = judge(server, ca, x, NULL);
    X509_free(x);
    return why;
}

static void believed(void **state)
{
    struct str ca = text(&pki.ca), san = STR("uri:sip:bob@example.com");
    struct wall now = now_wall();
    struct pem old, early, user;
    (void)state;
    make(&old, "dns:example.com", pki.key, -3, -1);
    make(&early, "dns:example.com", pki.key, 1, 3);
    struct cert_spec spec = {.name = STR("bob"),
                             .user = true,
                             .sans = &san,
                             .n_sans = 1,
                             .from = {now.us - DAY},
                             .until = {now.us + DAY}};
    user.o = out_of(user.text, sizeof user.text);
    assert_ok(cert_make(&spec, pki.key, ca, pki.ca_key, &user.o));
    for (unsigned server = 0; server < 2; server++) {
        assert_int_equal(judge_pem(server, ca, &pki.alice), X509_V_OK);
        assert_int_equal(judge_pem(server, ca, &old), X509_V_ERR_CERT_HAS_EXPIRED);
        assert_int_equal(judge_pem(server, ca, &early), X509_V_ERR_CERT_NOT_YET_VALID);
        /* Pinned, without its authority; then nobody else of that authority. */
        assert_int_equal(judge_pem(server, text(&pki.alice), &pki.alice), X509_V_OK);
        assert_int_not_equal(judge_pem(server, text(&pki.alice), &pki.server), X509_V_OK);
        assert_int_not_equal(judge_pem(server, STR_NONE, &pki.alice), X509_V_OK);
    }
    /* A person's is good for clients only. */
    assert_int_equal(judge_pem(true, ca, &user), X509_V_OK);
    assert_int_equal(judge_pem(false, ca, &user), X509_V_ERR_INVALID_PURPOSE);
}

static void lists(void **state)
{
    struct str ca = text(&pki.ca);
    struct pem crl, other;
    struct key *k = NULL;
    struct wall now = now_wall();
    (void)state;
    assert_ok(key_new(&k));
    for (unsigned server = 0; server < 2; server++) {
        struct str l = list(&crl, true, pki.ca_key, HOUR);
        assert_int_equal(judge_pem(server, TEXT(ca, l), &pki.alice), X509_V_ERR_CERT_REVOKED);
        assert_int_equal(judge_pem(server, TEXT(l, ca), &pki.alice), X509_V_ERR_CERT_REVOKED);
        assert_int_equal(judge_pem(server, TEXT(ca, l), &pki.server), X509_V_OK);
        l = list(&crl, false, pki.ca_key, HOUR);
        assert_int_equal(judge_pem(server, TEXT(ca, l), &pki.alice), X509_V_OK);
        l = list(&crl, false, pki.ca_key, -HOUR); /* out of date: it says nothing any more */
        assert_int_equal(judge_pem(server, TEXT(ca, l), &pki.alice), X509_V_ERR_CRL_HAS_EXPIRED);
        l = list(&crl, true, k, HOUR); /* of an authority of the same name, with another key */
        assert_int_equal(judge_pem(server, TEXT(ca, l), &pki.alice), X509_V_OK);
    }
    /* An authority that gives no list, beside one that does. */
    struct cert_spec spec = {.name = STR("Other authority"),
                             .authority = true,
                             .from = {now.us - DAY},
                             .until = {now.us + DAY}},
                     carol = {.name = STR("carol"), .from = spec.from, .until = spec.until};
    struct pem leaf;
    other.o = out_of(other.text, sizeof other.text);
    leaf.o = out_of(leaf.text, sizeof leaf.text);
    assert_ok(cert_make(&spec, k, STR_NONE, k, &other.o));
    assert_ok(cert_make(&carol, pki.key, text(&other), k, &leaf.o));
    struct str l = list(&crl, true, pki.ca_key, HOUR);
    assert_int_equal(judge_pem(true, TEXT(ca, text(&other), l), &leaf), X509_V_OK);
    assert_int_equal(judge_pem(true, TEXT(ca, l), &leaf),
                     X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
    key_free(k);
}

/* A peer's keys: its own, and each of those above it. */
static void peer_keys(void **state)
{
    static const unsigned bits[] = {0, 2048, 1024};
    (void)state;
    EVP_PKEY *root = EVP_EC_gen("P-256");
    X509 *anchor = foreign(root, "root", NULL, NULL, true);
    struct pem p;
    struct str ca = pem_of(anchor, &p);
    for (unsigned i = 0; i < 2 * ARRAY_LEN(bits); i++) {
        bool above = i % 2;
        EVP_PKEY *k = bits[i / 2] ? EVP_RSA_gen(bits[i / 2]) : EVP_EC_gen("P-256");
        X509 *x = foreign(k, "one", anchor, root, above), *leaf = NULL;
        STACK_OF(X509) *more = sk_X509_new_null();
        if (above) {
            leaf = foreign(root, "leaf", x, k, false);
            assert_true(sk_X509_push(more, x) > 0);
        }
        assert_int_equal(judge(true, ca, leaf ? leaf : x, more),
                         bits[i / 2] == 1024 ? X509_V_ERR_EE_KEY_TOO_SMALL : X509_V_OK);
        sk_X509_free(more);
        X509_free(leaf);
        X509_free(x);
        EVP_PKEY_free(k);
    }
    X509_free(anchor);
    EVP_PKEY_free(root);
}

/* Authorities between a peer and its anchor: four, not five. */
static void depth(void **state)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *v[7];
    struct pem p;
    (void)state;
    v[0] = foreign(k, "root", NULL, NULL, true);
    struct str ca = pem_of(v[0], &p);
    STACK_OF(X509) *more = sk_X509_new_null();
    for (unsigned i = 1; i < ARRAY_LEN(v); i++) {
        char name[] = "level 0";
        name[6] = (char)('0' + i);
        v[i] = foreign(k, name, v[i - 1], k, true);
        /* v[i] has i - 1 authorities between it and the anchor */
        assert_int_equal(judge(true, ca, v[i], more),
                         i - 1 <= 4 ? X509_V_OK : X509_V_ERR_CERT_CHAIN_TOO_LONG);
        if (i > 1)
            assert_int_not_equal(judge(true, ca, v[i], NULL), X509_V_OK); /* a link is missing */
        assert_true(sk_X509_push(more, v[i]) > 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(v); i++)
        X509_free(v[i]);
    sk_X509_free(more);
    EVP_PKEY_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),   cmocka_unit_test(own_chain), cmocka_unit_test(chain_keys),
        cmocka_unit_test(anchors), cmocka_unit_test(believed),  cmocka_unit_test(lists),
        cmocka_unit_test(offers),  cmocka_unit_test(peer_keys), cmocka_unit_test(depth),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
