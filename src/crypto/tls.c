/* Connections. libssl sees one small BIO: reads come from the bytes the caller is feeding, writes
 * go to a buffer that exists only while it holds something, so that an idle connection holds none.
 */
#include "base/addr.h"
#include "crypto/tls_in.h"
#include "crypto/x509_in.h"
#include <openssl/async.h>

#define PENDING_MAX (256u * 1024) /* bytes waiting for the network */
#define PLAIN_MAX   (256u * 1024) /* plain text the caller has not read */
#define REST_MAX    (64u * 1024)  /* network bytes that wait for a signature */
#define NAME_MAX_   255u

struct buf {
    uint8_t *p;
    uint32_t off, n, cap; /* the content is p[off..n) */
};
/* On the stack of the paused handshake. */
struct want {
    uint8_t digest[64];
    uint8_t der[160];
    uint8_t digest_n, der_n;
    bool told, answered;
};
struct tls {
    SSL *ssl;
    struct tls_ctx *ctx;
    struct want *want;
    struct str in; /* what libssl may read now */
    struct buf out, plain, rest;
    char *name;    /* expected of the peer, until the handshake is done */
    char *words;   /* last error or last name told */
    enum err over; /* not OK: the connection is over */
    long judged;   /* what tls_still found */
    bool up, closing;
    bool again; /* the peer wanted to renegotiate and was told no */
};

static bool buf_add(struct buf *b, const void *p, size_t n, size_t max)
{
    if (n == 0)
        return true;
    if (n > max || b->n - b->off > max - n)
        return false;
    if (n > b->cap - b->n) {
        uint32_t held = b->n - b->off;
        uint32_t cap = MAX(held + (uint32_t)n, held * 2);
        uint8_t *q = malloc(cap);
        if (!q)
            return false;
        if (held > 0)
            memcpy(q, b->p + b->off, held);
        free(b->p);
        *b = (struct buf){q, 0, held, cap};
    }
    memcpy(b->p + b->n, p, n);
    b->n += (uint32_t)n;
    return true;
}

static struct str buf_str(const struct buf *b)
{
    return b->p ? str_of((const char *)b->p + b->off, b->n - b->off) : STR_NONE;
}

static void buf_drop(struct buf *b, size_t n)
{
    b->off += (uint32_t)MIN(n, (size_t)(b->n - b->off));
    if (b->off == b->n) {
        free(b->p);
        *b = (struct buf){NULL, 0, 0, 0};
    }
}

static int bio_write(BIO *b, const char *p, int n)
{
    struct tls *t = BIO_get_data(b);
    return n > 0 && buf_add(&t->out, p, (size_t)n, PENDING_MAX) ? n : -1;
}

static int bio_read(BIO *b, char *p, int n)
{
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->in.n == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    size_t take = MIN(t->in.n, (size_t)MAX(n, 0));
    memcpy(p, t->in.p, take);
    t->in = str_skip(t->in, take);
    return (int)take;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

/* libssl answers a renegotiation with an alert and goes on; we do not. */
void tls_told(const SSL *ssl, int where, int what)
{
    struct tls *t = ((const struct tls_ctx *)SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->running;
    if (t && (where & SSL_CB_ALERT) && (where & SSL_CB_WRITE) &&
        (what & 0xff) == SSL_AD_NO_RENEGOTIATION)
        t->again = true;
}

BIO_METHOD *tls_bio_method(void)
{
    static BIO_METHOD *m; /* one a process, shared by every connection */
    if (m)
        return m;
    m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x7f, "engine");
    if (m && !(BIO_meth_set_write(m, bio_write) && BIO_meth_set_read(m, bio_read) &&
               BIO_meth_set_ctrl(m, bio_ctrl))) {
        BIO_meth_free(m);
        m = NULL;
    }
    return m;
}

size_t tls_sign_remote(void *ctx, struct str digest, uint8_t *ret_der, size_t cap)
{
    struct tls *t = ((struct tls_ctx *)ctx)->running;
    struct want w = {.answered = false};
    if (!t || digest.n > sizeof(w.digest) || !ASYNC_get_current_job())
        return 0;
    memcpy(w.digest, digest.p, digest.n);
    w.digest_n = (uint8_t)digest.n;
    t->want = &w;
    while (!w.answered)
        if (ASYNC_pause_job() != 1)
            break;
    t->want = NULL;
    if (w.der_n == 0 || w.der_n > cap)
        return 0;
    memcpy(ret_der, w.der, w.der_n);
    return w.der_n;
}

bool tls_wanted_name(const struct tls_ctx *c, X509 *x)
{
    return c->running && c->running->name && tls_name_match(x, str_c(c->running->name));
}

static void say(struct tls *t, const char *a, const char *b)
{
    size_t n = strlen(a) + strlen(b) + 3;
    char *w = malloc(n);
    free(t->words);
    t->words = w;
    if (w)
        (void)snprintf(w, n, "%s%s%s", a, *b ? ": " : "", b);
}

/* The connection is over; says why. */
static enum err fail(struct tls *t)
{
    unsigned long code = ERR_peek_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    long verify = SSL_get_verify_result(t->ssl);
    bool missing = ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
    bool cert = t->ctx->verify != TLS_VERIFY_NONE && (verify != X509_V_OK || missing);
    say(t, why ? why : "connection broke",
        cert && verify != X509_V_OK ? X509_verify_cert_error_string(verify) : "");
    ERR_clear_error();
    t->over = cert ? ERR_AUTH : ERR_SYNTAX;
    return t->over;
}

static enum err handshake(struct tls *t)
{
    ERR_clear_error();
    t->ctx->running = t;
    int r = SSL_do_handshake(t->ssl);
    t->ctx->running = NULL;
    if (r == 1) {
        t->up = true;
        SSL_clear_mode(t->ssl, SSL_MODE_ASYNC);
        free(t->name);
        t->name = NULL;
        return OK;
    }
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_ASYNC:
        return OK;
    default:
        return fail(t);
    }
}

static enum err drain(struct tls *t)
{
    while (t->in.n > 0 || SSL_has_pending(t->ssl)) {
        ERR_clear_error();
        t->ctx->running = t;
        int n = SSL_read(t->ssl, t->ctx->scratch, sizeof(t->ctx->scratch));
        t->ctx->running = NULL;
        if (n > 0) {
            if (!buf_add(&t->plain, t->ctx->scratch, (size_t)n, PLAIN_MAX)) {
                say(t, "plain text is not read", "");
                return t->over = ERR_LIMIT;
            }
            continue;
        }
        if (t->again) {
            say(t, "renegotiation", "");
            return t->over = ERR_STATE;
        }
        int why = SSL_get_error(t->ssl, n);
        if (why == SSL_ERROR_WANT_READ)
            return OK;
        return why == SSL_ERROR_ZERO_RETURN ? (t->over = ERR_CLOSED) : fail(t);
    }
    return OK;
}

/* Moves on with everything there is to read. */
static enum err step(struct tls *t)
{
    enum err e = t->up ? OK : handshake(t);
    return e == OK && t->up ? drain(t) : e;
}

enum err tls_feed(struct tls *t, struct str bytes)
{
    if (t->over != OK)
        return t->over;
    if (t->want || t->rest.n > 0) {
        if (!buf_add(&t->rest, bytes.p, bytes.n, REST_MAX))
            return t->over = ERR_LIMIT;
        if (t->want)
            return OK;
        bytes = buf_str(&t->rest);
    }
    t->in = bytes;
    enum err e = step(t);
    struct str left = t->in;
    t->in = STR_NONE;
    if (t->rest.n > 0)
        buf_drop(&t->rest, t->rest.n - t->rest.off - left.n);
    else if (e == OK && left.n > 0 && !buf_add(&t->rest, left.p, left.n, REST_MAX))
        return t->over = ERR_LIMIT;
    return e;
}

bool tls_sign_want(struct tls *t, struct str *ret_digest, uint16_t *ret_key)
{
    if (!t->want || t->want->told || t->want->answered)
        return false;
    t->want->told = true;
    *ret_digest = str_of((const char *)t->want->digest, t->want->digest_n);
    *ret_key = t->ctx->key;
    return true;
}

enum err tls_signed(struct tls *t, struct str der_signature)
{
    if (!t->want || t->want->answered)
        return ERR_STATE;
    if (der_signature.n > sizeof(t->want->der))
        return ERR_LIMIT;
    if (der_signature.n > 0)
        memcpy(t->want->der, der_signature.p, der_signature.n);
    t->want->der_n = (uint8_t)der_signature.n;
    t->want->answered = true;
    /* Bytes that came during the pause go on being read where they lie. */
    t->in = buf_str(&t->rest);
    enum err e = step(t);
    struct str left = t->in;
    t->in = STR_NONE;
    if (t->rest.n > 0)
        buf_drop(&t->rest, t->rest.n - t->rest.off - left.n);
    return e;
}

static void start(struct tls *t)
{
    BIO *b = BIO_new(t->ctx->bio);
    if (!b)
        return;
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    SSL_set_bio(t->ssl, b, b);
}

static enum err start_client(struct tls *t, struct str name)
{
    struct addr ip;
    if (name.n > NAME_MAX_ || memchr(name.p ? name.p : "", 0, name.n))
        return ERR_RANGE;
    if (t->ctx->verify != TLS_VERIFY_NONE && name.n == 0)
        return ERR_RANGE;
    t->name = strndup(name.n ? name.p : "", name.n);
    if (!t->name)
        return ERR_SYSTEM;
    if (name.n > 0 && addr_parse_ip(name, &ip) != OK &&
        SSL_set_tlsext_host_name(t->ssl, t->name) != 1)
        return ERR_SYSTEM;
    SSL_set_connect_state(t->ssl);
    return step(t);
}

enum err tls_new(struct tls_ctx *c, struct str name, struct tls **ret_t)
{
    struct tls *t = calloc(1, sizeof(*t));
    if (!t)
        return ERR_SYSTEM;
    t->ctx = c;
    c->held++;
    t->ssl = SSL_new(c->ssl);
    if (t->ssl)
        start(t);
    enum err e = t->ssl && SSL_get_rbio(t->ssl) ? OK : ERR_SYSTEM;
    if (e == OK && c->server)
        SSL_set_accept_state(t->ssl);
    else if (e == OK)
        e = start_client(t, name);
    if (e != OK) {
        tls_free(t);
        return e;
    }
    *ret_t = t;
    return OK;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    /* A paused handshake sits on a stack of its own: let it run to its failure. */
    CHECK(!t->want || (tls_signed(t, STR_NONE) != OK && !t->want));
    SSL_free(t->ssl);
    buf_drop(&t->out, UINT32_MAX);
    buf_drop(&t->plain, UINT32_MAX);
    buf_drop(&t->rest, UINT32_MAX);
    free(t->name);
    free(t->words);
    tls_ctx_free(t->ctx);
    free(t);
}

bool tls_up(const struct tls *t)
{
    return t->up;
}

size_t tls_read(struct tls *t, void *ret, size_t cap)
{
    struct str s = str_head(buf_str(&t->plain), cap);
    if (s.n == 0)
        return 0;
    memcpy(ret, s.p, s.n);
    buf_drop(&t->plain, s.n);
    return s.n;
}

enum err tls_write(struct tls *t, struct str plain)
{
    if (t->over != OK)
        return t->over;
    if (t->closing)
        return ERR_STATE;
    if (!t->up)
        return ERR_AGAIN;
    if (plain.n > PENDING_MAX / 2 || t->out.n - t->out.off > PENDING_MAX / 2)
        return ERR_FULL;
    if (plain.n == 0)
        return OK;
    ERR_clear_error();
    return SSL_write(t->ssl, plain.p, (int)plain.n) > 0 ? OK : fail(t);
}

struct str tls_take(struct tls *t)
{
    return buf_str(&t->out);
}

void tls_sent(struct tls *t, size_t n)
{
    buf_drop(&t->out, n);
}

void tls_close(struct tls *t)
{
    if (t->closing || !t->up || (t->over != OK && t->over != ERR_CLOSED))
        return;
    t->closing = true;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

const char *tls_version(const struct tls *t)
{
    return SSL_get_version(t->ssl);
}

const char *tls_cipher(const struct tls *t)
{
    return SSL_get_cipher_name(t->ssl);
}

bool tls_peer_verified(const struct tls *t)
{
    return t->up && t->ctx->verify != TLS_VERIFY_NONE && SSL_get0_peer_certificate(t->ssl) &&
           SSL_get_verify_result(t->ssl) == X509_V_OK;
}

bool tls_peer_name(const struct tls *t, unsigned index, struct str *ret_name)
{
    static char text[300];
    size_t n = 0;
    X509 *x = t->up ? SSL_get0_peer_certificate(t->ssl) : NULL;
    if (!x || !tls_name_at(x, index, text, sizeof(text), &n))
        return false;
    *ret_name = str_of(text, n);
    return true;
}

bool tls_peer_fingerprint(const struct tls *t, uint8_t ret_md[32])
{
    unsigned n = 0;
    X509 *x = t->up ? SSL_get0_peer_certificate(t->ssl) : NULL;
    return x && X509_digest(x, EVP_sha256(), ret_md, &n) == 1 && n == 32;
}

bool tls_peer_domain_only(const struct tls *t)
{
    X509 *x = t->up ? SSL_get0_peer_certificate(t->ssl) : NULL;
    EXTENDED_KEY_USAGE *u = x ? X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL) : NULL;
    ASN1_OBJECT *domain = OBJ_txt2obj("1.3.6.1.5.5.7.3.20", 1);
    bool found = false;
    for (int i = 0; u && domain && i < sk_ASN1_OBJECT_num(u); i++)
        found = found || OBJ_cmp(sk_ASN1_OBJECT_value(u, i), domain) == 0;
    EXTENDED_KEY_USAGE_free(u);
    ASN1_OBJECT_free(domain);
    return found;
}

enum tls_why tls_why(const struct tls *t)
{
    long why = t->judged != X509_V_OK ? t->judged : SSL_get_verify_result(t->ssl);
    if (why == X509_V_ERR_CERT_HAS_EXPIRED || why == X509_V_ERR_CERT_NOT_YET_VALID)
        return TLS_WHY_EXPIRED;
    return why == X509_V_ERR_CERT_REVOKED ? TLS_WHY_REVOKED : TLS_WHY_OTHER;
}

enum err tls_still(struct tls *t, struct tls_ctx *c)
{
    X509 *x = t->up ? SSL_get0_peer_certificate(t->ssl) : NULL;
    if (!x || c->verify == TLS_VERIFY_NONE)
        return OK;
    enum err e = tls_ctx_judge(c, x, SSL_get_peer_cert_chain(t->ssl), &t->judged);
    if (e == ERR_AUTH)
        say(t, "the certificate does not verify any more",
            X509_verify_cert_error_string(t->judged));
    return e;
}

const char *tls_error(const struct tls *t)
{
    return t->words ? t->words : "";
}
