#include "app/fetch/web.h"
#include "crypto/openssl.h"
#include "io/clock.h"
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define HEADERS_MAX 16384
#define QUESTIONS   8u /* look-ups under way, late ones of earlier times included */

enum stage { IDLE, NAMES, BEGIN, DIALLED, ANSWERED };
struct question {
    struct resolver_question r; /* first */
    struct web *w;
    uint32_t serial;
    enum dns_type type;
    bool used;
};
struct web {
    struct event_base *base;
    web_resolve_fn *resolve;
    void *resolver;
    web_fn *fn;
    void *ctx;
    struct web_ask ask;
    char *ca;
    char url[FEED_URL_MAX + 1]; /* where the redirects have led */
    struct feed_url u;
    enum stage stage;
    uint32_t serial; /* of the look-up */
    unsigned hops, waiting;
    unsigned n_addr, at_addr;
    struct addr addr[WEB_ADDRESSES];
    struct addr refused; /* an address of the name that lies inside */
    struct instant due;
    struct evhttp_connection *con;
    SSL_CTX *ctx_tls;
    SSL *ssl;
    enum evhttp_request_error error;
    bool failed;
    struct question question[QUESTIONS];
    struct dns_msg msg;
    struct web_answer answer;
    char etag[WEB_TAG], modified[WEB_TAG], cache[WEB_TAG];
};

struct web *web_new(struct event_base *base, web_resolve_fn *resolve, void *resolver)
{
    struct web *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->base = base;
    w->resolve = resolve;
    w->resolver = resolver;
    return w;
}

bool web_busy(const struct web *w)
{
    return w->stage != IDLE;
}

static void hang_up(struct web *w)
{
    if (w->con)
        evhttp_connection_free(w->con);
    SSL_free(w->ssl);
    w->con = NULL;
    w->ssl = NULL;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    hang_up(w);
    SSL_CTX_free(w->ctx_tls);
    free(w->ca);
    free(w);
}

static void give_up(struct web *w, const char *fmt, ...) PRINTF(2, 3);
static void give_up(struct web *w, const char *fmt, ...)
{
    va_list ap;
    memset(&w->answer, 0, sizeof w->answer);
    w->answer.cache = "";
    va_start(ap, fmt);
    (void)vsnprintf(w->answer.why, sizeof w->answer.why, fmt, ap);
    va_end(ap);
    w->stage = ANSWERED;
}

/* -- where to -- */

static void add_address(struct web *w, const struct addr *a)
{
    if (feed_inside(a) && !w->ask.inside)
        w->refused = *a;
    else if (w->n_addr < WEB_ADDRESSES)
        w->addr[w->n_addr++] = *a;
}

static void addresses_known(struct web *w)
{
    char text[ADDR_TEXT_MAX + 1];
    struct out o = out_of(text, sizeof text - 1);
    addr_put_ip(&o, &w->refused);
    text[o.n] = 0;
    w->at_addr = 0;
    if (w->n_addr)
        w->stage = BEGIN;
    else if (w->refused.family)
        give_up(w, "%.60s is %s, an address inside: say private: yes, if that is meant", w->url,
                text);
    else
        give_up(w, "the name %.*s has no address", (int)MIN(w->u.host.n, 60u), w->u.host.p);
}

static void named(void *arg, const void *packet, size_t n, bool secure, bool bogus)
{
    struct question *q = arg;
    struct web *w = q->w;
    (void)secure;
    q->used = false;
    if (w->stage != NAMES || q->serial != w->serial)
        return;
    w->waiting--;
    if (packet && !bogus && dns_parse(packet, n, q->type, &w->msg) == OK)
        for (uint32_t i = 0; i < w->msg.n; i++)
            add_address(w, &w->msg.rr[i].addr);
    if (!w->waiting)
        addresses_known(w);
}

static bool ask_name(struct web *w, const struct dns_name *name, enum dns_type type)
{
    struct question *q = NULL;
    for (size_t i = 0; i < QUESTIONS && !q; i++)
        q = w->question[i].used ? NULL : &w->question[i];
    if (!q)
        return false;
    *q =
        (struct question){.r = {named, q}, .w = w, .serial = w->serial, .type = type, .used = true};
    w->waiting++;
    if (w->resolve(w->resolver, name, type, &q->r) == OK)
        return true; /* it may be answered by now */
    q->used = false;
    w->waiting--;
    return false;
}

static void look_up(struct web *w)
{
    struct dns_name name;
    if (dns_name_of(w->u.host, &name) != OK) {
        give_up(w, "the host of %.60s is no name", w->url);
        return;
    }
    w->stage = NAMES;
    w->serial++;
    w->waiting = 1; /* ours, so that an answer at once does not end it */
    bool any = ask_name(w, &name, DNS_A);
    any = ask_name(w, &name, DNS_AAAA) || any;
    if (--w->waiting == 0 && w->stage == NAMES)
        addresses_known(w);
    (void)any;
}

/* A new place: the first, or where a redirect leads. */
static void go(struct web *w)
{
    const char *why = "";
    struct addr a;
    w->n_addr = 0;
    memset(&w->refused, 0, sizeof w->refused);
    if (feed_url_parse(str_c(w->url), &w->u, &why) != OK) {
        give_up(w, "%.40s: %s", w->url, why);
        return;
    }
    if (w->ask.may && !w->ask.may(w->ask.may_ctx, str_c(w->url), &why)) {
        give_up(w, "%.40s: %s", w->url, why);
        return;
    }
    bool literal = addr_parse_ip(w->u.host, &a) == OK;
    bool local = str_ieq(w->u.host, STR("localhost"));
    if (local && addr_parse_ip(STR("127.0.0.1"), &a) != OK)
        return;
    if (w->u.plain && !w->ask.plain && !((literal || local) && addr_loopback(&a))) {
        give_up(w, "%.40s is not https", w->url);
        return;
    }
    if (literal || local) {
        add_address(w, &a);
        addresses_known(w);
        return;
    }
    look_up(w);
}

/* To read all the world's authorities takes longer than to ask. */
static bool trusted_already(const struct web *w, struct str pem)
{
    return w->ca && str_eq(w->ask.ca_pem, pem);
}

enum err web_get(struct web *w, const struct web_ask *a, web_fn *fn, void *ctx)
{
    if (w->stage != IDLE)
        return ERR_STATE;
    if (!trusted_already(w, a->ca_pem)) {
        char *ca = malloc(a->ca_pem.n + 1);
        if (!ca)
            return ERR_FULL;
        if (a->ca_pem.n)
            memcpy(ca, a->ca_pem.p, a->ca_pem.n);
        free(w->ca);
        SSL_CTX_free(w->ctx_tls);
        w->ctx_tls = NULL;
        w->ca = ca;
    }
    w->ask = *a;
    w->ask.ca_pem = str_of(w->ca, a->ca_pem.n);
    w->fn = fn;
    w->ctx = ctx;
    w->hops = 0;
    w->due = instant_add(clock_now().mono, a->limit_ms ? DUR_MS(a->limit_ms) : DUR_S(WEB_LIMIT_S));
    memcpy(w->url, a->url, sizeof w->url);
    go(w);
    return OK;
}

/* -- TLS -- */

static unsigned trust(SSL_CTX *c, struct str pem)
{
    unsigned n = 0;
    BIO *b = BIO_new_mem_buf(pem.p, (int)MIN(pem.n, (size_t)1 << 24));
    X509 *x;
    while (b && (x = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(SSL_CTX_get_cert_store(c), x) == 1;
        X509_free(x);
    }
    BIO_free(b);
    ERR_clear_error(); /* the end of the text */
    return n;
}

static bool verify_by(SSL *s, const struct web *w)
{
    char host[256];
    struct addr a;
    X509_VERIFY_PARAM *p = SSL_get0_param(s);
    if (w->u.host.n >= sizeof host)
        return false;
    memcpy(host, w->u.host.p, w->u.host.n);
    host[w->u.host.n] = 0;
    if (addr_parse_ip(w->u.host, &a) == OK)
        return X509_VERIFY_PARAM_set1_ip(p, a.ip, a.family == ADDR_V4 ? 4 : 16) == 1;
    X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(p, host, 0) == 1 && SSL_set_tlsext_host_name(s, host) == 1;
}

/* Authorities, for this question and the next ones that name the same. */
static bool believe(struct web *w)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    bool ok = c && SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1;
    if (!ok)
        give_up(w, "TLS cannot be set up");
    else if (!trust(c, w->ask.ca_pem))
        give_up(w, "there is no certificate authority to verify by: name one in ca");
    else
        w->ctx_tls = c;
    if (!w->ctx_tls) {
        SSL_CTX_free(c);
        return false;
    }
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    return true;
}

static bool tls_ready(struct web *w)
{
    if (!w->ctx_tls && !believe(w))
        return false;
    w->ssl = SSL_new(w->ctx_tls);
    if (w->ssl && verify_by(w->ssl, w) && SSL_up_ref(w->ssl) == 1)
        return true; /* one for us, one for the buffer */
    give_up(w, "TLS cannot be set up for this name");
    return false;
}

/* -- HTTP -- */

static const char *header(struct evhttp_request *r, const char *name)
{
    const char *v = evhttp_find_header(evhttp_request_get_input_headers(r), name);
    return v ? v : "";
}

/* A header that we send back as it is. */
static void keep(char ret[WEB_TAG], const char *v)
{
    bool ok = strnlen(v, WEB_TAG) < WEB_TAG;
    for (const char *p = v; ok && *p; p++)
        ok = *p >= ' ' && *p <= '~';
    (void)snprintf(ret, WEB_TAG, "%s", ok ? v : "");
}

static void redirected(struct web *w, const char *to)
{
    if (w->ask.post.n) {
        give_up(w, "it is redirected, and a question is not sent on");
        return;
    }
    char next[FEED_URL_MAX + 1];
    int n = -1;
    unsigned most = w->ask.may ? w->ask.redirects : WEB_REDIRECTS;
    if (++w->hops > most) {
        give_up(w, "it is redirected more than %u times", most);
        return;
    }
    size_t origin = (size_t)(w->u.target.p - w->url);
    if (to[0] == '/' && to[1] != '/')
        n = snprintf(next, sizeof next, "%.*s%s", (int)origin, w->url, to);
    else if (strstr(to, "://"))
        n = snprintf(next, sizeof next, "%s", to);
    if (n < 0 || (size_t)n >= sizeof next) {
        give_up(w, "it is redirected to where we do not follow");
        return;
    }
    memcpy(w->url, next, sizeof next);
    w->stage = BEGIN; /* by the next turn */
    w->at_addr = WEB_ADDRESSES;
}

static uint32_t most_of(const struct web *w)
{
    return w->ask.most ? w->ask.most : FEED_BYTES;
}

static void why_failed(struct web *w)
{
    long cert = w->ssl ? SSL_get_verify_result(w->ssl) : X509_V_OK;
    if (cert != X509_V_OK)
        give_up(w, "its certificate is not good: %s", X509_verify_cert_error_string(cert));
    else if (w->failed && w->error == EVREQ_HTTP_DATA_TOO_LONG)
        give_up(w, most_of(w) >> 20 ? "it is longer than %u MiB" : "it is longer than %u KiB",
                most_of(w) >> 20 ? most_of(w) >> 20 : most_of(w) >> 10);
    else if (w->failed && w->error == EVREQ_HTTP_TIMEOUT)
        give_up(w, "nothing came for %u s", WEB_STALL_S);
    else if (w->failed && w->error == EVREQ_HTTP_INVALID_HEADER)
        give_up(w, "it does not speak HTTP");
    else
        give_up(w, "the connection cannot be made, or broke");
}

static void done(struct evhttp_request *r, void *ctx)
{
    struct web *w = ctx;
    int status = r ? evhttp_request_get_response_code(r) : 0;
    if (w->stage != DIALLED)
        return;
    if (!status && !w->failed && w->at_addr + 1 < w->n_addr) {
        w->at_addr++;
        w->stage = BEGIN;
        return;
    }
    if (!status || w->failed) {
        why_failed(w);
        return;
    }
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
        redirected(w, header(r, "Location"));
        return;
    }
    bool same = status == 304 && (w->ask.etag[0] || w->ask.modified[0]);
    if (status != 200 && !same && !w->ask.post.n) {
        give_up(w, "its server answers %d", status);
        return;
    }
    const char *coding = header(r, "Content-Encoding");
    if (coding[0] && strcasecmp(coding, "identity") != 0) {
        give_up(w, "it is packed (%.20s), which was not asked for", coding);
        return;
    }
    struct evbuffer *b = evhttp_request_get_input_buffer(r);
    size_t n = evbuffer_get_length(b);
    keep(w->etag, header(r, "ETag"));
    keep(w->modified, header(r, "Last-Modified"));
    keep(w->cache, header(r, "Cache-Control"));
    w->answer = (struct web_answer){
        .status = (unsigned)status, .etag = w->etag, .modified = w->modified, .cache = w->cache};
    const unsigned char *p = n ? evbuffer_pullup(b, -1) : NULL;
    if (status != 304 && p)
        w->answer.body = str_of((const char *)p, n);
    web_fn *fn = w->fn;
    w->stage = ANSWERED;
    w->fn = NULL; /* told; the rest is cleared away by the next turn */
    fn(w->ctx, &w->answer);
    w->answer.body = STR_NONE;
}

static void on_error(enum evhttp_request_error e, void *ctx)
{
    struct web *w = ctx;
    w->error = e;
    w->failed = true;
}

static bool request(struct web *w)
{
    char host[300], target[FEED_URL_MAX + 2];
    bool six = str_find(w->u.host, ':') < w->u.host.n;
    bool usual = w->u.port == (w->u.plain ? 80 : 443);
    int n = snprintf(host, sizeof host, "%s%.*s%s", six ? "[" : "", (int)w->u.host.n, w->u.host.p,
                     six ? "]" : "");
    if (!usual && n > 0)
        (void)snprintf(host + n, sizeof host - (size_t)n, ":%u", w->u.port);
    bool slash = w->u.target.n && w->u.target.p[0] == '/';
    (void)snprintf(target, sizeof target, "%s%.*s", slash ? "" : "/", (int)w->u.target.n,
                   w->u.target.p ? w->u.target.p : "");
    struct evhttp_request *r = evhttp_request_new(done, w);
    if (!r)
        return false;
    evhttp_request_set_error_cb(r, on_error);
    struct evkeyvalq *h = evhttp_request_get_output_headers(r);
    bool ok = evhttp_add_header(h, "Host", host) == 0 &&
              evhttp_add_header(h, "User-Agent", "ringwall") == 0 &&
              evhttp_add_header(h, "Accept", "text/plain, application/json, */*;q=0.1") == 0 &&
              evhttp_add_header(h, "Accept-Encoding", "identity") == 0 &&
              evhttp_add_header(h, "Connection", "close") == 0;
    if (ok && w->ask.etag[0])
        ok = evhttp_add_header(h, "If-None-Match", w->ask.etag) == 0;
    if (ok && w->ask.modified[0])
        ok = evhttp_add_header(h, "If-Modified-Since", w->ask.modified) == 0;
    if (ok && w->ask.post.n)
        ok = evhttp_add_header(h, "Content-Type", "application/json") == 0 &&
             evbuffer_add(evhttp_request_get_output_buffer(r), w->ask.post.p, w->ask.post.n) == 0;
    if (!ok) {
        evhttp_request_free(r);
        return false;
    }
    return evhttp_make_request(w->con, r, w->ask.post.n ? EVHTTP_REQ_POST : EVHTTP_REQ_GET,
                               target) == 0;
}

static void dial(struct web *w)
{
    const struct addr *a = &w->addr[w->at_addr];
    char text[ADDR_TEXT_MAX + 1];
    struct out o = out_of(text, sizeof text - 1);
    hang_up(w);
    w->failed = false;
    addr_put_ip(&o, a);
    text[o.n] = 0;
    if (!w->u.plain && !tls_ready(w))
        return;
    struct bufferevent *b =
        w->u.plain ? bufferevent_socket_new(w->base, -1, BEV_OPT_CLOSE_ON_FREE)
                   : bufferevent_openssl_socket_new(w->base, -1, w->ssl, BUFFEREVENT_SSL_CONNECTING,
                                                    BEV_OPT_CLOSE_ON_FREE);
    if (!b && w->ssl)
        SSL_free(w->ssl); /* the buffer's */
    w->con = b ? evhttp_connection_base_bufferevent_new(w->base, NULL, b, text, w->u.port) : NULL;
    if (!w->con) {
        if (b)
            bufferevent_free(b);
        give_up(w, "out of memory");
        return;
    }
    evhttp_connection_set_family(w->con, a->family == ADDR_V4 ? AF_INET : AF_INET6);
    evhttp_connection_set_timeout(w->con, WEB_STALL_S);
    evhttp_connection_set_max_headers_size(w->con, HEADERS_MAX);
    evhttp_connection_set_max_body_size(w->con, (ev_ssize_t)most_of(w));
    w->stage = DIALLED;
    if (!request(w) && w->stage == DIALLED)
        give_up(w, "the request cannot be sent");
}

void web_turn(struct web *w, struct instant now)
{
    if (w->stage == IDLE)
        return;
    if (w->stage != ANSWERED && !instant_before(now, w->due))
        give_up(w,
                w->ask.limit_ms % 1000 ? "it takes longer than %u ms" : "it takes longer than %u s",
                w->ask.limit_ms % 1000 ? w->ask.limit_ms
                : w->ask.limit_ms      ? w->ask.limit_ms / 1000
                                       : WEB_LIMIT_S);
    if (w->stage == BEGIN && w->at_addr == WEB_ADDRESSES) {
        hang_up(w);
        go(w);
    }
    if (w->stage == BEGIN)
        dial(w);
    if (w->stage != ANSWERED)
        return;
    web_fn *fn = w->fn;
    struct web_answer a = w->answer;
    hang_up(w);
    w->stage = IDLE;
    w->serial++;
    w->fn = NULL;
    if (fn)
        fn(w->ctx, &a);
}
