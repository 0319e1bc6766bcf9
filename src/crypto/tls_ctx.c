/* Contexts: what a listener or an outgoing policy allows. */
#include "crypto/tls_in.h"
#include "crypto/x509_in.h"

/* RFC 9325: AEAD and ephemeral keys only. ECDSA first: own keys are P-256. */
#define SUITES_12                                                                                  \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"   \
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/* Not const: libssl takes them through a char pointer. */
static char SIGALGS[] =
    "ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384";
static char GROUPS[] = "X25519:P-256";
#define PEER_CHAIN_MAX 32768 /* bytes of certificates a peer may send */
#define PEER_DEPTH_MAX 4

X509 *pem_next_cert(BIO *pem)
{
    return PEM_read_bio_X509(pem, NULL, NULL, NULL);
}

bool cert_strong(X509 *x)
{
    EVP_PKEY *p = X509_get0_pubkey(x);
    return p && EVP_PKEY_get_security_bits(p) >= 112;
}

/* Called by libssl for each certificate of the peer's chain, from the anchor down. */
static int on_verify(int ok, X509_STORE_CTX *s)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(s, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct tls_ctx *c = ssl ? SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) : NULL;
    X509 *x = X509_STORE_CTX_get_current_cert(s);
    if (!ok && X509_STORE_CTX_get_error(s) == X509_V_ERR_UNABLE_TO_GET_CRL) {
        X509_STORE_CTX_set_error(s, X509_V_OK); /* an authority that gives no list */
        ok = 1;
    }
    if (!ok)
        return 0;
    if (!x || !cert_strong(x)) {
        X509_STORE_CTX_set_error(s, X509_V_ERR_EE_KEY_TOO_SMALL);
        return 0;
    }
    if (X509_STORE_CTX_get_error_depth(s) == 0 && c && !c->server && !tls_wanted_name(c, x)) {
        X509_STORE_CTX_set_error(s, X509_V_ERR_HOSTNAME_MISMATCH);
        return 0;
    }
    return 1;
}

static enum err load_chain(struct tls_ctx *c, struct str pem)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    enum err e = b ? OK : ERR_SYSTEM;
    unsigned n = 0;
    for (X509 *x; e == OK && (x = pem_next_cert(b)) != NULL; n++) {
        if (n >= PEER_DEPTH_MAX)
            e = ERR_LIMIT;
        else if (!cert_strong(x))
            e = ERR_UNSUPPORTED;
        else if (n > 0)
            e = SSL_CTX_add1_chain_cert(c->ssl, x) == 1 ? OK : ERR_SYSTEM;
        else if (SSL_CTX_use_certificate(c->ssl, x) != 1)
            e = ERR_SYSTEM;
        else if (!(c->remote = key_remote_new(X509_get0_pubkey(x), tls_sign_remote, c)))
            e = ERR_UNSUPPORTED;
        X509_free(x);
    }
    BIO_free(b);
    ERR_clear_error(); /* the end of a PEM text is an error to libcrypto */
    if (e != OK)
        return e;
    if (n == 0)
        return ERR_SYNTAX;
    if (SSL_CTX_use_PrivateKey(c->ssl, c->remote) != 1)
        return ERR_SYSTEM;
    SSL_CTX_set_mode(c->ssl, SSL_MODE_ASYNC);
    return OK;
}

/* Revocation lists among the authorities. */
static enum err load_lists(X509_STORE *store, struct str pem)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    enum err e = b ? OK : ERR_SYSTEM;
    unsigned n = 0;
    for (X509_CRL *l; e == OK && (l = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL)) != NULL; n++) {
        if (n >= TLS_CA_MAX)
            e = ERR_LIMIT;
        else if (X509_STORE_add_crl(store, l) != 1)
            e = ERR_SYSTEM;
        X509_CRL_free(l);
    }
    BIO_free(b);
    ERR_clear_error();
    if (n > 0)
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return e;
}

static enum err load_anchors(struct tls_ctx *c, struct str pem)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    enum err e = b ? OK : ERR_SYSTEM;
    unsigned n = 0;
    for (X509 *x; e == OK && (x = pem_next_cert(b)) != NULL; n++) {
        if (n >= TLS_CA_MAX)
            e = ERR_LIMIT;
        else if (X509_STORE_add_cert(store, x) != 1)
            e = ERR_SYSTEM;
        else if (c->server && SSL_CTX_add_client_CA(c->ssl, x) != 1)
            e = ERR_SYSTEM;
        X509_free(x);
    }
    BIO_free(b);
    ERR_clear_error();
    if (e == OK && n == 0)
        return ERR_SYNTAX;
    /* An anchor need not be a root: a peer's own certificate can be pinned. */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return e == OK ? load_lists(store, pem) : e;
}

enum err tls_ctx_judge(struct tls_ctx *c, X509 *x, STACK_OF(X509) * chain, long *reterr_why)
{
    X509_STORE_CTX *s = X509_STORE_CTX_new();
    enum err e = s && X509_STORE_CTX_init(s, SSL_CTX_get_cert_store(c->ssl), x, chain) == 1
                     ? OK
                     : ERR_SYSTEM;
    if (e == OK) {
        X509_STORE_CTX_set_default(s, c->server ? "ssl_client" : "ssl_server");
        X509_STORE_CTX_set_verify_cb(s, on_verify);
        X509_STORE_CTX_set_depth(s, PEER_DEPTH_MAX);
        e = X509_verify_cert(s) == 1 ? OK : ERR_AUTH;
        *reterr_why = X509_STORE_CTX_get_error(s);
    }
    X509_STORE_CTX_free(s);
    ERR_clear_error();
    return e;
}

static enum err set_rules(struct tls_ctx *c)
{
    SSL_CTX *s = c->ssl;
    SSL_CTX_set_app_data(s, c);
    SSL_CTX_set_info_callback(s, tls_told);
    SSL_CTX_set_security_level(s, 2);
    SSL_CTX_set_options(s, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(s, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(s, PEER_CHAIN_MAX);
    SSL_CTX_set_verify_depth(s, PEER_DEPTH_MAX);
    int want = c->verify == TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    if (c->verify == TLS_VERIFY_REQUIRED)
        want |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(s, want, on_verify);
    bool ok = SSL_CTX_set_min_proto_version(s, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(s, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_cipher_list(s, SUITES_12) == 1 &&
              SSL_CTX_set_ciphersuites(s, SUITES_13) == 1 &&
              SSL_CTX_set1_groups_list(s, GROUPS) == 1 &&
              SSL_CTX_set1_sigalgs_list(s, SIGALGS) == 1 && SSL_CTX_set_num_tickets(s, 0) == 1;
    return ok ? OK : ERR_SYSTEM;
}

enum err tls_ctx_new(const struct tls_cfg *cfg, struct tls_ctx **ret_c)
{
    if (cfg->chain_pem.n > INT32_MAX || cfg->ca_pem.n > INT32_MAX)
        return ERR_LIMIT;
    if (cfg->server && cfg->chain_pem.n == 0)
        return ERR_NOT_FOUND;
    struct tls_ctx *c = calloc(1, sizeof(*c));
    if (!c)
        return ERR_SYSTEM;
    c->held = 1;
    c->server = cfg->server;
    c->verify = cfg->verify;
    c->key = cfg->key;
    c->bio = tls_bio_method();
    c->ssl = SSL_CTX_new(cfg->server ? TLS_server_method() : TLS_client_method());
    enum err e = c->ssl && c->bio ? set_rules(c) : ERR_SYSTEM;
    if (e == OK && cfg->chain_pem.n > 0)
        e = load_chain(c, cfg->chain_pem);
    if (e == OK && cfg->ca_pem.n > 0)
        e = load_anchors(c, cfg->ca_pem);
    if (e != OK) {
        tls_ctx_free(c);
        return e;
    }
    *ret_c = c;
    return OK;
}

void tls_ctx_free(struct tls_ctx *c)
{
    if (!c || --c->held)
        return;
    SSL_CTX_free(c->ssl);
    EVP_PKEY_free(c->remote);
    free(c);
}
