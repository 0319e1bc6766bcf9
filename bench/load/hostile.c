/* Messages and connections that ought to be refused: what does each cost the gateway? */
#include "bench/load/load.h"
#include "crypto/openssl.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

static const char *const KINDS[] = {"scan", "bad", "forged", "wrong", "door", "hello"};
enum kind { SCAN, BAD, FORGED, WRONG, DOOR, HELLO };
#define IN_FLIGHT 64u

static enum kind kind_of(const char *s)
{
    for (unsigned i = 0; i < ARRAY_LEN(KINDS); i++)
        if (s && strcmp(s, KINDS[i]) == 0)
            return (enum kind)i;
    die("-k: scan, bad, forged, wrong, door or hello", "");
}

/* -- windows: warm, then measured -- */

struct window {
    int64_t start, m0, m1, c0, c1;
    uint64_t n0, n;
};
static bool open_until(struct window *w, const struct span_s *s, uint64_t done)
{
    int64_t t = now_ns();
    if (!w->start)
        w->start = t;
    double el = (double)(t - w->start) * 1e-9;
    if (!w->m0 && el >= s->warm)
        w->m0 = t, w->c0 = cpu_ns(), w->n0 = done;
    if (el < s->warm + s->seconds)
        return true;
    w->m1 = t, w->c1 = cpu_ns(), w->n = done - w->n0;
    return false;
}

static void report(const struct window *w, uint64_t answers, uint64_t lost)
{
    double ns = (double)(w->m1 - w->m0), cpu = (double)(w->c1 - w->c0), n = (double)MAX(w->n, 1u);
    printf("{\"done_s\":%.0f,\"answers\":%llu,\"last_code\":%llu,\"lost\":%llu,\"fail_pct\":%.4f,"
           "\"server_us\":%.3f,\"core_pct\":%.1f}\n",
           (double)w->n * 1e9 / ns, (unsigned long long)answers, (unsigned long long)L.last_code,
           (unsigned long long)lost, 100.0 * (double)lost / n, cpu / 1e3 / n, cpu / ns * 100);
}

/* Datagrams that the kernel dropped because a socket was full: the gateway never saw those. */
static uint64_t dropped(void)
{
    char line[512];
    unsigned long long v[8] = {0};
    FILE *f = fopen("/proc/net/snmp", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "Udp: ", 5) == 0 && line[5] >= '0' && line[5] <= '9')
            (void)sscanf(line, "Udp: %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4]);
    if (f)
        (void)fclose(f);
    return v[4];
}

/* -- messages -- */

static uint64_t answers;
static struct msg challenge;
static char challenge_text[MSG_CAP];

static void on_answer(struct str s, const struct sockaddr_in *from)
{
    struct msg m;
    (void)from;
    answers++;
    if (!msg_read(s, &m))
        return;
    L.last_code = (uint64_t)m.code;
    if (m.code == 401 && !challenge.n_chal && s.n < sizeof challenge_text) {
        memcpy(challenge_text, s.p, s.n);
        (void)msg_read(str_of(challenge_text, s.n), &challenge);
    }
}

static void put_from_to(struct out *o, uint64_t id, bool reg)
{
    OUT_LIT(o, "From: <sip:");
    if (reg)
        put_user(o, (uint32_t)(id % L.users));
    else
        OUT_LIT(o, "100");
    out_ch(o, '@');
    out_put(o, str_c(L.domain));
    OUT_LIT(o, ">;tag=");
    out_u64(o, id);
    OUT_LIT(o, "\r\nTo: <sip:");
    if (reg)
        put_user(o, (uint32_t)(id % L.users));
    else
        OUT_LIT(o, "100");
    out_ch(o, '@');
    out_put(o, str_c(L.domain));
    OUT_LIT(o, ">\r\nCall-ID: ");
    out_u64(o, id);
    out_ch(o, '@');
    out_put(o, str_c(L.uac_s));
    OUT_LIT(o, "\r\nCSeq: 1 ");
    out_put(o, reg ? STR("REGISTER") : STR("OPTIONS"));
    OUT_LIT(o, "\r\n");
}

/* Credentials as a forger makes them: a nonce of nobody, or the right one with a guessed response.
 */
static void put_forged(struct out *o, enum kind k, uint64_t id)
{
    OUT_LIT(o, "Authorization: Digest username=\"");
    put_user(o, (uint32_t)(id % L.users));
    OUT_LIT(o, "\", realm=\"");
    out_put(o, str_c(L.domain));
    OUT_LIT(o, "\", nonce=\"");
    out_put(o, k == WRONG ? param(challenge.chal[0], STR("nonce="))
                          : STR("AAAAAGkhQ1v0000000000000000000000000000000000000"));
    OUT_LIT(o, "\", uri=\"sip:");
    out_put(o, str_c(L.domain));
    OUT_LIT(o, "\", response=\"");
    for (unsigned i = 0; i < 64; i++)
        out_ch(o, '0');
    OUT_LIT(o, "\", algorithm=SHA-256, qop=auth, cnonce=\"0a4f113b\", nc=");
    static const char hex[] = "0123456789abcdef";
    for (int s = 28; s >= 0; s -= 4)
        out_ch(o, hex[(id + 1) >> s & 15]);
    OUT_LIT(o, "\r\n");
}

static void put_hostile(enum kind k, uint64_t id)
{
    struct out o = udp_slot(L.a);
    bool reg = k == FORGED || k == WRONG;
    out_put(&o, reg        ? STR("REGISTER sip:")
                : k == BAD ? STR("INVITE sip:100@")
                           : STR("OPTIONS sip:100@"));
    out_put(&o, str_c(reg ? L.domain : L.gw_s));
    OUT_LIT(&o, " SIP/2.0\r\nVia: SIP/2.0/UDP ");
    out_put(&o, str_c(L.uac_s));
    OUT_LIT(&o, ";branch=z9hG4bK-");
    out_u64(&o, id);
    OUT_LIT(&o, ";rport\r\nMax-Forwards: 70\r\n");
    if (k != BAD)
        put_from_to(&o, id, reg);
    OUT_LIT(&o, "Contact: <sip:100@");
    out_put(&o, str_c(L.uac_s));
    OUT_LIT(&o, ">\r\nUser-Agent: ");
    out_put(&o, k == SCAN ? STR("friendly-scanner\r\n") : STR("bench/1.0\r\n"));
    if (reg && (k != WRONG || challenge.n_chal))
        put_forged(&o, k, id);
    OUT_LIT(&o, "Accept: application/sdp\r\nContent-Length: 0\r\n\r\n");
    udp_push(L.a, &o, &L.gw);
}

static void turn(void)
{
    udp_flush(L.a);
    if (!udp_drain(L.a, on_answer)) {
        struct timespec z = {0, 50000};
        (void)nanosleep(&z, NULL);
    }
}

void run_hostile(const char *what, double rate, const struct span_s *s)
{
    enum kind k = kind_of(what);
    uint64_t n = 0, lost = dropped();
    if (k == WRONG) {
        put_hostile(WRONG, n++);
        for (int i = 0; i < 1000 && !challenge.n_chal; i++)
            turn();
        if (!challenge.n_chal)
            die("no challenge", "");
    }
    struct window w = {0};
    while (open_until(&w, s, n)) {
        double el = (double)(now_ns() - w.start) * 1e-9;
        for (int i = 0; i < 64 && (double)n < el * rate; i++)
            put_hostile(k, n++);
        turn();
    }
    report(&w, answers, dropped() - lost);
}

/* -- connections -- */

struct knock {
    int fd;
    bool said;
};
static struct knock knocks[IN_FLIGHT];
static uint8_t hello[2048];
static int hello_n, ep;
static uint64_t served;

static void make_hello(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!ssl || !in || !out)
        die("no TLS", "");
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    (void)SSL_do_handshake(ssl);
    hello_n = BIO_read(out, hello, sizeof hello);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void knock(struct knock *k)
{
    struct sockaddr_in at = L.uac;
    struct linger no = {1, 0};
    int on = 1;
    at.sin_port = 0;
    k->said = false;
    k->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)setsockopt(k->fd, SOL_SOCKET, SO_LINGER, &no, sizeof no);
    (void)setsockopt(k->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (k->fd < 0 || bind(k->fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        (connect(k->fd, (struct sockaddr *)&L.gw, sizeof L.gw) != 0 && errno != EINPROGRESS))
        die("cannot connect", strerror(errno));
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = k};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, k->fd, &ev) != 0)
        die("epoll_ctl", strerror(errno));
}

/* true: it is over. An answer to the greeting ends it too: we leave then. */
static bool over(struct knock *k, uint32_t events)
{
    char buf[8192];
    if (events & (EPOLLERR | EPOLLHUP))
        return true;
    if ((events & EPOLLOUT) && !k->said) {
        k->said = true;
        if (send(k->fd, hello, (size_t)hello_n, MSG_NOSIGNAL) < 0)
            return true;
    }
    if (!(events & EPOLLIN))
        return false;
    ssize_t n = recv(k->fd, buf, sizeof buf, 0);
    served += n > 0;
    return n >= 0 || errno != EAGAIN;
}

void run_flood(const char *what, double rate, const struct span_s *s)
{
    struct epoll_event ev[IN_FLIGHT];
    enum kind k = kind_of(what);
    uint64_t begun = 0, done = 0;
    ep = epoll_create1(EPOLL_CLOEXEC);
    make_hello();
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        knocks[i].fd = -1;
    struct window w = {0};
    while (open_until(&w, s, done)) {
        double el = (double)(now_ns() - w.start) * 1e-9;
        for (unsigned i = 0; i < IN_FLIGHT && (double)begun < el * rate; i++)
            if (knocks[i].fd < 0)
                knock(&knocks[i]), begun++;
        int n = epoll_wait(ep, ev, IN_FLIGHT, 1);
        for (int i = 0; i < n; i++) {
            struct knock *x = ev[i].data.ptr;
            if (!over(x, ev[i].events))
                continue;
            (void)close(x->fd);
            x->fd = -1;
            done++;
        }
    }
    /* at the door nobody should be served but the few that its rate allows */
    report(&w, served, k == DOOR && served * 20 > done ? served : 0);
}
