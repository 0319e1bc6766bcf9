#include "crypto/tls_test.h"

static bool move(struct end *a, struct end *b, size_t chunk)
{
    struct str s = str_head(tls_take(a->t), chunk);
    if (s.n == 0)
        return vault(a);
    enum err e = tls_feed(b->t, s);
    if (b->e == OK)
        b->e = e;
    tls_sent(a->t, s.n);
    return true;
}

static void pump(struct end *a, struct end *b, size_t chunk)
{
    for (unsigned i = 0; i < 200000; i++) {
        bool ab = move(a, b, chunk), ba = move(b, a, chunk);
        if (!ab && !ba)
            return;
    }
    fail_msg("the ends never come to rest");
}

static struct tls_cfg client_cfg(void)
{
    return (struct tls_cfg){.ca_pem = text(&pki.ca), .verify = TLS_VERIFY_REQUIRED, .key = 7};
}

static void expect_data(struct end *a, struct end *b, size_t n)
{
    char *sent = malloc(n), *got = malloc(n + 1);
    size_t have = 0;
    for (size_t i = 0; i < n; i++)
        sent[i] = (char)(i * 7 + n);
    assert_ok(tls_write(a->t, str_of(sent, n)));
    pump(a, b, 1400);
    for (size_t k; (k = tls_read(b->t, got + have, MIN(n + 1 - have, 1000u))) > 0;)
        have += k;
    assert_int_equal(have, n);
    assert_memory_equal(sent, got, n);
    free(sent);
    free(got);
}

static void test_loopback(void **state)
{
    (void)state;
    static const size_t chunks[] = {1, 7, 1000, 1 << 20};
    for (unsigned i = 0; i < ARRAY_LEN(chunks); i++) {
        struct end s, c;
        struct str name;
        open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
        open_end(&c, client_cfg(), NULL, STR("example.com"));
        assert_err(tls_write(c.t, STR("early")), ERR_AGAIN);
        assert_false(tls_up(c.t));
        pump(&s, &c, chunks[i]);
        assert_ok(s.e);
        assert_ok(c.e);
        assert_true(tls_up(s.t) && tls_up(c.t));
        assert_int_equal(s.signs, 1);
        assert_str(str_c(tls_version(c.t)), "TLSv1.3");
        assert_str(str_c(tls_cipher(c.t)), "TLS_AES_128_GCM_SHA256");
        assert_true(tls_peer_verified(c.t));
        assert_false(tls_peer_verified(s.t));
        assert_true(tls_peer_name(c.t, 0, &name));
        assert_str(name, "sip:example.com");
        assert_false(tls_peer_name(c.t, 1, &name));
        assert_false(tls_peer_name(s.t, 0, &name));
        expect_data(&c, &s, 1);
        expect_data(&s, &c, 1200);
        expect_data(&s, &c, 100000);
        assert_int_equal(tls_take(s.t).n, 0);
        tls_close(c.t);
        assert_err(tls_write(c.t, STR("x")), ERR_STATE);
        pump(&c, &s, chunks[i]);
        assert_err(s.e, ERR_CLOSED);
        assert_err(tls_feed(s.t, STR("x")), ERR_CLOSED);
        close_end(&s);
        close_end(&c);
    }
}

/* The client's verdict on a server certificate, and that the server hears of it. */
static void client_judges(const struct pem *chain, struct key *key, const char *name, bool good)
{
    struct end s, c;
    struct tls_cfg sc = server_cfg(TLS_VERIFY_NONE);
    sc.chain_pem = text(chain);
    open_end(&s, sc, key, STR_NONE);
    open_end(&c, client_cfg(), NULL, str_c(name));
    pump(&s, &c, 1 << 20);
    assert_err(c.e, good ? OK : ERR_AUTH);
    assert_int_equal(tls_up(c.t), good);
    assert_int_equal(tls_peer_verified(c.t), good);
    if (!good) {
        assert_true(strlen(tls_error(c.t)) > 0);
        assert_err(s.e, ERR_SYNTAX);
    }
    close_end(&s);
    close_end(&c);
}

static void test_server_names(void **state)
{
    (void)state;
    struct pem p;
    client_judges(&pki.server, pki.key, "example.com", true);
    client_judges(&pki.server, pki.key, "EXAMPLE.com", true);
    client_judges(&pki.server, pki.key, "example.net", false);
    client_judges(&pki.server, pki.key, "sub.example.com", false);
    static const struct {
        const char *san, *name;
        bool good;
    } rows[] = {
        {"dns:example.com", "example.com", true},
        {"dns:*.example.com", "a.example.com", false}, /* RFC 5922 7.2: no wildcard */
        {"dns:example.com", "com", false},
        {"uri:sip:alice@example.com", "example.com", false}, /* names a user, not a domain */
        {"uri:sip:example.com:5061", "example.com", false},
        {"uri:sips:example.com", "example.com", false},
        {"uri:https:example.com", "example.com", false},
        {"ip:192.0.2.1", "192.0.2.1", true},
        {"ip:192.0.2.1", "192.0.2.2", false},
        {"ip:2001:db8::1", "2001:db8::1", true},
        {"dns:192.0.2.1", "192.0.2.1", false},
        {NULL, "example", false}, /* the common name counts for nothing */
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        make(&p, rows[i].san, pki.key, -1, 30);
        client_judges(&p, pki.key, rows[i].name, rows[i].good);
    }
}

static void test_sip_uri_outweighs_dns(void **state)
{
    (void)state;
    struct pem p;
    const struct str sans[] = {STR("dns:example.com"), STR("uri:sip:example.net")};
    struct cert_spec spec = {.name = STR("two"),
                             .sans = sans,
                             .n_sans = 2,
                             .from = {now_wall().us - DAY},
                             .until = {now_wall().us + DAY}};
    p.o = out_of(p.text, sizeof(p.text));
    assert_ok(cert_make(&spec, pki.key, text(&pki.ca), pki.ca_key, &p.o));
    client_judges(&p, pki.key, "example.net", true);
    client_judges(&p, pki.key, "example.com", false);
}

static void test_server_validity(void **state)
{
    (void)state;
    struct pem p;
    make(&p, "dns:example.com", pki.key, -3, -1);
    client_judges(&p, pki.key, "example.com", false); /* expired */
    make(&p, "dns:example.com", pki.key, 1, 3);
    client_judges(&p, pki.key, "example.com", false); /* not yet */
    struct str san = STR("dns:example.com");
    struct cert_spec alone = {.name = STR("alone"),
                              .sans = &san,
                              .n_sans = 1,
                              .from = {now_wall().us - DAY},
                              .until = {now_wall().us + DAY}};
    p.o = out_of(p.text, sizeof(p.text));
    assert_ok(cert_make(&alone, pki.key, STR_NONE, pki.key, &p.o));
    client_judges(&p, pki.key, "example.com", false); /* self-signed, not an anchor */
}

/* A signature by another key than the certificate's. */
static void test_wrong_key(void **state)
{
    (void)state;
    struct end s, c;
    open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.alice_key, STR_NONE);
    open_end(&c, client_cfg(), NULL, STR("example.com"));
    pump(&s, &c, 1 << 20);
    assert_err(c.e, ERR_SYNTAX);
    assert_false(tls_up(c.t));
    close_end(&s);
    close_end(&c);
}

static void server_judges(enum tls_verify v, const struct pem *chain, struct key *key, bool good,
                          bool verified)
{
    struct end s, c;
    struct tls_cfg cc = client_cfg();
    if (chain)
        cc.chain_pem = text(chain);
    open_end(&s, server_cfg(v), pki.key, STR_NONE);
    open_end(&c, cc, key, STR("example.com"));
    pump(&s, &c, 1 << 20);
    assert_err(s.e, good ? OK : ERR_AUTH);
    assert_int_equal(tls_up(s.t), good);
    assert_int_equal(tls_peer_verified(s.t), verified);
    if (verified) {
        struct str name;
        assert_true(tls_peer_name(s.t, 0, &name));
        assert_str(name, "sip:alice@example.com");
        assert_int_equal(c.signs, 1);
        expect_data(&s, &c, 500);
        expect_data(&c, &s, 500);
    }
    close_end(&s);
    close_end(&c);
}

static void test_client_certificates(void **state)
{
    (void)state;
    struct pem old, foreign;
    make(&old, "uri:sip:alice@example.com", pki.alice_key, -3, -1);
    struct cert_spec alone = {
        .name = STR("mallory"), .from = {now_wall().us - DAY}, .until = {now_wall().us + DAY}};
    foreign.o = out_of(foreign.text, sizeof(foreign.text));
    assert_ok(cert_make(&alone, pki.alice_key, STR_NONE, pki.alice_key, &foreign.o));

    server_judges(TLS_VERIFY_NONE, NULL, NULL, true, false);
    server_judges(TLS_VERIFY_OPTIONAL, NULL, NULL, true, false);
    server_judges(TLS_VERIFY_REQUIRED, NULL, NULL, false, false);
    server_judges(TLS_VERIFY_OPTIONAL, &pki.alice, pki.alice_key, true, true);
    server_judges(TLS_VERIFY_REQUIRED, &pki.alice, pki.alice_key, true, true);
    server_judges(TLS_VERIFY_OPTIONAL, &old, pki.alice_key, false, false);
    server_judges(TLS_VERIFY_REQUIRED, &old, pki.alice_key, false, false);
    server_judges(TLS_VERIFY_REQUIRED, &foreign, pki.alice_key, false, false);
}

static void test_vault_refuses(void **state)
{
    (void)state;
    struct end s, c;
    open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
    open_end(&c, client_cfg(), NULL, STR("example.com"));
    s.how = SIGN_REFUSE;
    pump(&s, &c, 1 << 20);
    assert_err(s.e, ERR_SYNTAX);
    assert_err(c.e, ERR_SYNTAX);
    assert_int_equal(s.signs, 1);
    close_end(&s);
    close_end(&c);
}

/* Many handshakes wait for the vault at once; some go away while they wait. */
static void test_many_wait(void **state)
{
    (void)state;
    enum { N = 60 };
    struct tls_cfg sc = server_cfg(TLS_VERIFY_NONE), cc = client_cfg();
    struct end s[N], c[N];
    struct tls_ctx *server, *client;
    assert_ok(tls_ctx_new(&sc, &server));
    assert_ok(tls_ctx_new(&cc, &client));
    for (unsigned i = 0; i < N; i++) {
        s[i] = (struct end){.key = pki.key, .how = SIGN_LATER};
        c[i] = (struct end){.how = SIGN_RIGHT};
        assert_ok(tls_new(server, STR_NONE, &s[i].t));
        assert_ok(tls_new(client, STR("example.com"), &c[i].t));
        pump(&s[i], &c[i], 1 << 20);
        assert_ok(tls_feed(s[i].t, STR_NONE));
        assert_false(tls_up(s[i].t));
    }
    assert_err(tls_signed(c[0].t, STR("x")), ERR_STATE);
    tls_ctx_free(server); /* a reload brings new ones: connections go on with theirs */
    tls_ctx_free(client);
    for (unsigned i = 0; i < N; i++) {
        s[i].how = SIGN_RIGHT;
        if (i % 3 == 0)
            continue; /* freed below while it waits */
        pump(&s[i], &c[i], 1 << 20);
        assert_ok(s[i].e);
        assert_ok(c[i].e);
        assert_true(tls_up(s[i].t) && tls_up(c[i].t));
    }
    for (unsigned i = 0; i < N; i++) {
        tls_free(s[i].t);
        tls_free(c[i].t);
    }
}

/* Bytes that come while the signature is awaited are read afterwards, in order; too many end it. */
static void test_bytes_during_pause(void **state)
{
    (void)state;
    struct end s, c;
    char junk[1000] = {0};
    open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
    open_end(&c, client_cfg(), NULL, STR("example.com"));
    s.how = SIGN_LATER;
    pump(&c, &s, 1 << 20);
    assert_ok(tls_feed(s.t, str_of(junk, sizeof(junk))));
    s.how = SIGN_RIGHT;
    assert_true(vault(&s));
    assert_err(s.e, ERR_SYNTAX); /* the junk is no record */
    close_end(&s);
    close_end(&c);

    open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
    open_end(&c, client_cfg(), NULL, STR("example.com"));
    s.how = SIGN_LATER;
    pump(&c, &s, 1 << 20);
    enum err e = OK;
    for (unsigned i = 0; i < 66 && e == OK; i++)
        e = tls_feed(s.t, str_of(junk, sizeof(junk)));
    assert_err(e, ERR_LIMIT);
    close_end(&s);
    close_end(&c);
}

static void test_garbage(void **state)
{
    (void)state;
    static const char *const rows[] = {"GET / HTTP/1.1\r\n\r\n", "OPTIONS sip:example.com SIP/2.0",
                                       "\x16\x03\x01\xff\xff", "\x80\x2e\x01\x00\x02"};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct end s;
        char pad[64] = {0};
        open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
        enum err e = tls_feed(s.t, str_c(rows[i]));
        if (e == OK)
            e = tls_feed(s.t, str_of(pad, sizeof(pad)));
        assert_err(e, ERR_SYNTAX);
        assert_true(strlen(tls_error(s.t)) > 0);
        assert_err(tls_feed(s.t, STR("more")), ERR_SYNTAX);
        assert_err(tls_write(s.t, STR("x")), ERR_SYNTAX);
        close_end(&s);
    }
}

static void test_write_limit(void **state)
{
    (void)state;
    struct end s, c;
    char block[16000] = {0};
    open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
    open_end(&c, client_cfg(), NULL, STR("example.com"));
    pump(&s, &c, 1 << 20);
    unsigned n = 0;
    enum err e = OK;
    while (n < 100 && (e = tls_write(s.t, str_of(block, sizeof(block)))) == OK)
        n++;
    assert_err(e, ERR_FULL);
    assert_in_range(n, 8, 32);
    pump(&s, &c, 1 << 20);
    assert_ok(c.e); /* and all of that arrives */
    assert_ok(tls_write(s.t, STR("again")));
    close_end(&s);
    close_end(&c);
}

static void test_ctx_refusals(void **state)
{
    (void)state;
    struct tls_ctx *c = NULL;
    struct tls_cfg cfg = server_cfg(TLS_VERIFY_NONE);
    cfg.chain_pem = STR_NONE;
    assert_err(tls_ctx_new(&cfg, &c), ERR_NOT_FOUND);
    cfg.chain_pem = STR("no certificate");
    assert_err(tls_ctx_new(&cfg, &c), ERR_SYNTAX);
    cfg = client_cfg();
    cfg.ca_pem = STR("-----BEGIN NOTHING-----\n");
    assert_err(tls_ctx_new(&cfg, &c), ERR_SYNTAX);
    struct tls_cfg ok = client_cfg();
    struct tls *t = NULL;
    assert_ok(tls_ctx_new(&ok, &c));
    assert_err(tls_new(c, STR_NONE, &t), ERR_RANGE); /* verifies, but whom? */
    assert_err(tls_new(c, STR("a\0b"), &t), ERR_RANGE);
    tls_ctx_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_server_names),
        cmocka_unit_test(test_sip_uri_outweighs_dns),
        cmocka_unit_test(test_server_validity),
        cmocka_unit_test(test_wrong_key),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_vault_refuses),
        cmocka_unit_test(test_many_wait),
        cmocka_unit_test(test_bytes_during_pause),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_write_limit),
        cmocka_unit_test(test_ctx_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
