/* Our end against libssl itself as the client, with its own defaults. */
#include "crypto/tls_test.h"

/* libssl itself as the client, with its own defaults. */
struct raw {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    int r;
};

static void raw_open(struct raw *x, int min, int max, const char *suites)
{
    x->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(x->ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(x->ctx, min), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(x->ctx, max), 1);
    if (suites)
        assert_int_equal(SSL_CTX_set_cipher_list(x->ctx, suites), 1);
    x->ssl = SSL_new(x->ctx);
    x->in = BIO_new(BIO_s_mem());
    x->out = BIO_new(BIO_s_mem());
    SSL_set_bio(x->ssl, x->in, x->out);
    SSL_set_connect_state(x->ssl);
}

static void raw_close(struct raw *x)
{
    SSL_free(x->ssl);
    SSL_CTX_free(x->ctx);
}

static void raw_pump(struct raw *x, struct end *s)
{
    for (unsigned i = 0; i < 20; i++) {
        char buf[20000];
        x->r = SSL_do_handshake(x->ssl);
        ERR_clear_error();
        int n = BIO_read(x->out, buf, sizeof(buf));
        if (n > 0) {
            enum err e = tls_feed(s->t, str_of(buf, (size_t)n));
            if (s->e == OK)
                s->e = e;
        }
        (void)vault(s);
        struct str t = tls_take(s->t);
        if (t.n > 0)
            assert_int_equal(BIO_write(x->in, t.p, (int)t.n), t.n);
        tls_sent(s->t, t.n);
    }
}

static void raw_case(int min, int max, const char *suites, const char *version, const char *cipher)
{
    struct raw x;
    struct end s;
    open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
    raw_open(&x, min, max, suites);
    raw_pump(&x, &s);
    assert_int_equal(tls_up(s.t), version != NULL);
    assert_int_equal(x.r == 1, version != NULL);
    if (version) {
        assert_ok(s.e);
        assert_str_eq(str_c(tls_version(s.t)), str_c(version));
        assert_str_eq(str_c(tls_cipher(s.t)), str_c(cipher));
    } else {
        assert_err(s.e, ERR_SYNTAX);
    }
    raw_close(&x);
    close_end(&s);
}

static void test_libssl_client(void **state)
{
    (void)state;
    raw_case(TLS1_2_VERSION, TLS1_3_VERSION, NULL, "TLSv1.3", "TLS_AES_128_GCM_SHA256");
    raw_case(TLS1_2_VERSION, TLS1_2_VERSION, NULL, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256");
    raw_case(TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2",
             "ECDHE-ECDSA-CHACHA20-POLY1305");
    raw_case(TLS1_VERSION, TLS1_1_VERSION, NULL, NULL, NULL);
    raw_case(TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", NULL, NULL);
    raw_case(TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", NULL, NULL);
    raw_case(TLS1_2_VERSION, TLS1_2_VERSION, "AES128-GCM-SHA256", NULL, NULL);
    raw_case(TLS1_2_VERSION, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", NULL, NULL);
}

static void test_renegotiation(void **state)
{
    (void)state;
    struct raw x;
    struct end s;
    open_end(&s, server_cfg(TLS_VERIFY_NONE), pki.key, STR_NONE);
    raw_open(&x, TLS1_2_VERSION, TLS1_2_VERSION, NULL);
    raw_pump(&x, &s);
    assert_true(tls_up(s.t));
    unsigned signs = s.signs;
    (void)SSL_renegotiate(x.ssl);
    raw_pump(&x, &s);
    assert_int_equal(s.signs, signs);
    assert_int_not_equal(x.r, 1);
    raw_close(&x);
    close_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_libssl_client),
        cmocka_unit_test(test_renegotiation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
