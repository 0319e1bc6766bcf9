/* Client connections over TLS 1.3, no resumption: each handshake is a full one. */
#include "bench/load/load.h"
#include "crypto/openssl.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#define IN_CAP 65536u
struct conn {
    int fd;
    SSL *ssl;
    bool up, dead;
    char local[32];
    char *out; /* waits for the handshake or for room */
    size_t out_n, out_cap;
    char *in;
    size_t in_n;
    struct call *owner;
    struct conn *next_dead;
};
static SSL_CTX *ctx;
static int ep;
static uint32_t up;
static struct conn *dead;

void conns_init(void)
{
    static char groups[] = "X25519"; /* the macro casts const away */
    ep = epoll_create1(EPOLL_CLOEXEC);
    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || ep < 0 || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(ctx, groups) != 1)
        die("no TLS", "");
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* it measures, it does not trust */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

bool conn_local(const struct conn *c, char ret_text[32])
{
    memcpy(ret_text, c->local, sizeof c->local);
    return c->local[0] != 0;
}

static void watch(struct conn *c, uint32_t events, int op)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (epoll_ctl(ep, op, c->fd, &ev) != 0)
        die("epoll_ctl", strerror(errno));
}

static struct conn *shared;

struct conn *conn_open(struct call *owner)
{
    if (!L.per_call && shared)
        return shared;
    struct conn *c = calloc(1, sizeof *c);
    struct sockaddr_in at = L.uac, me;
    socklen_t n = sizeof me;
    int on = 1;
    at.sin_port = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    /* Closing sends a reset: ports are not kept waiting, whatever the rate. */
    struct linger no = {1, 0};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &no, sizeof no);
    if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        (connect(c->fd, (struct sockaddr *)&L.gw, sizeof L.gw) != 0 && errno != EINPROGRESS))
        die("cannot connect", strerror(errno));
    if (getsockname(c->fd, (struct sockaddr *)&me, &n) == 0)
        (void)snprintf(c->local, sizeof c->local, "%s:%u", inet_ntoa(me.sin_addr),
                       ntohs(me.sin_port));
    c->ssl = SSL_new(ctx);
    c->in = malloc(IN_CAP);
    if (!c->ssl || !c->in || SSL_set_fd(c->ssl, c->fd) != 1)
        die("no memory", "");
    SSL_set_connect_state(c->ssl);
    c->owner = owner;
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
    if (!L.per_call)
        shared = c;
    return c;
}

void conn_close(struct conn *c)
{
    if (c->dead)
        return;
    c->dead = true;
    c->next_dead = dead;
    dead = c;
}

static void bury(void)
{
    for (struct conn *c; (c = dead);) {
        dead = c->next_dead;
        if (c->up) {
            up--;
            (void)SSL_shutdown(c->ssl);
        }
        SSL_free(c->ssl);
        (void)close(c->fd);
        free(c->in);
        free(c->out);
        free(c);
    }
}

static void push(struct conn *c)
{
    while (c->up && c->out_n) {
        int n = SSL_write(c->ssl, c->out, (int)c->out_n);
        if (n <= 0)
            return;
        c->out_n -= (size_t)n;
        memmove(c->out, c->out + n, c->out_n);
    }
    if (c->up)
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

void conn_send(struct conn *c, struct str s)
{
    if (c->out_n + s.n > c->out_cap) {
        c->out_cap = (c->out_n + s.n) * 2;
        c->out = realloc(c->out, c->out_cap);
        if (!c->out)
            die("no memory", "");
    }
    memcpy(c->out + c->out_n, s.p, s.n);
    c->out_n += s.n;
    if (c->up) {
        push(c);
        if (c->out_n)
            watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
}

static void broken(struct conn *c)
{
    if (L.per_call && c->owner && c->owner->conn == c && c->owner->state != CALL_DONE) {
        c->owner->conn = NULL;
        c->owner->state = CALL_DONE;
        L.fail++;
    } else if (!L.per_call) {
        die("the gateway closed the connection", "");
    }
    conn_close(c);
}

static void pull(struct conn *c)
{
    for (;;) {
        int n = SSL_read(c->ssl, c->in + c->in_n, (int)(IN_CAP - c->in_n));
        if (n <= 0) {
            int e = SSL_get_error(c->ssl, n);
            if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
                broken(c);
            return;
        }
        c->in_n += (size_t)n;
        size_t at = 0, k;
        while (at < c->in_n && (k = frame_bytes(c->in + at, c->in_n - at)) > 0) {
            on_caller(str_of(c->in + at, k), NULL);
            at += k;
            if (c->dead)
                return;
        }
        c->in_n -= at;
        memmove(c->in, c->in + at, c->in_n);
        if (c->in_n == IN_CAP)
            die("message too long", "");
    }
}

void conns_turn(void)
{
    struct epoll_event ev[64];
    int n = epoll_wait(ep, ev, 64, 0);
    for (int i = 0; i < n; i++) {
        struct conn *c = ev[i].data.ptr;
        if (c->dead)
            continue;
        ERR_clear_error();
        if (!c->up) {
            int r = SSL_do_handshake(c->ssl);
            if (r == 1) {
                c->up = true;
                up++;
                push(c);
            } else {
                int e = SSL_get_error(c->ssl, r);
                if (e == SSL_ERROR_WANT_READ)
                    watch(c, EPOLLIN, EPOLL_CTL_MOD);
                else if (e != SSL_ERROR_WANT_WRITE)
                    broken(c);
                continue;
            }
        }
        if (ev[i].events & EPOLLOUT)
            push(c);
        if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            pull(c);
    }
    bury();
}

uint32_t conns_up(void)
{
    return up;
}
