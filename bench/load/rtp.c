/* G.711 on every call, both ways, at one fixed overall rate. Packet p of the run belongs to flow
 * p % 2N and has sequence number p / 2N, so that the loss in the measured window is exact. Every
 * flow of one side shares a socket: the gateway has its ports, the load is cheap. */
#include "bench/load/load.h"
#include "media/srtp.h"
#include "media/suite.h"
#include <errno.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define RTP_BYTES 172u
#define SLOTS     256u /* send times kept per flow */
static int fds[2];
static struct srtp *(*keys)[2]; /* by call: send, receive, of the caller's leg */
static int64_t (*sent)[SLOTS];
static uint8_t pattern[256];
static uint32_t N,
    run; /* run: in the SSRC's upper half, so that a former run's packets are known */
static uint64_t first, last; /* measured packets */
static struct hist late;
static struct rtp_result R;

void rtp_init(void)
{
    for (int side = 0; side < 2; side++) {
        struct sockaddr_in at = side ? L.uas : L.uac;
        int on = 1;
        at.sin_port = htons(L.rtp_port[side]);
        fds[side] = udp_socket(&at);
        (void)setsockopt(fds[side], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    }
    for (unsigned i = 0; i < 256; i++)
        pattern[i] = (uint8_t)(0x55 + i * 37);
}

static int64_t real_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8),
    p[3] = (uint8_t)v;
}

static size_t make(uint8_t *b, uint32_t flow, uint32_t seq)
{
    uint32_t id = flow % N;
    size_t n = RTP_BYTES;
    put32(b, 0x80000000u | (seq & 0xffff));
    put32(b + 4, seq * 160);
    put32(b + 8, run << 16 | flow);
    memcpy(b + 12, pattern + (id & 63), 160);
    if (flow < N && keys && srtp_protect(keys[id][0], b, &n, RTP_BYTES + 32) != OK)
        die("cannot protect", "");
    return n;
}

/* n packets from p on, all of one side. */
static void send_run(uint64_t p, uint32_t n)
{
    static uint8_t buf[BATCH][RTP_BYTES + 32];
    static struct iovec iov[BATCH];
    static struct mmsghdr hdr[BATCH];
    unsigned side = p % (2 * N) >= N;
    int64_t t = real_ns();
    for (uint32_t i = 0; i < n; i++, p++) {
        uint32_t flow = (uint32_t)(p % (2 * N)), seq = (uint32_t)(p / (2 * N));
        sent[flow][seq % SLOTS] = t;
        iov[i] = (struct iovec){buf[i], make(buf[i], flow, seq)};
        hdr[i].msg_hdr = (struct msghdr){.msg_name = &L.media[flow % N].told[side].at,
                                         .msg_namelen = sizeof(struct sockaddr_in),
                                         .msg_iov = &iov[i],
                                         .msg_iovlen = 1};
    }
    for (uint32_t k = 0; k < n;) {
        int r = sendmmsg(fds[side], hdr + k, n - k, 0);
        if (r > 0)
            k += (uint32_t)r;
        else if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR && errno != ECONNREFUSED)
            die("sendmmsg", strerror(errno));
    }
}

static int64_t stamp(struct msghdr *h)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    struct timespec t = {0};
    if (!c || c->cmsg_type != SCM_TIMESTAMPNS)
        return 0;
    memcpy(&t, CMSG_DATA(c), sizeof t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void take(unsigned side, uint8_t *b, size_t n, int64_t at)
{
    if (n < RTP_BYTES) {
        R.bad++;
        return;
    }
    if (((uint32_t)b[8] << 8 | b[9]) != run)
        return;
    uint32_t flow = (uint32_t)b[10] << 8 | b[11];
    uint32_t seq = (uint32_t)b[2] << 8 | b[3];
    if (flow >= 2 * N || (flow >= N) == side ||
        (side == 0 && keys && srtp_unprotect(keys[flow % N][1], b, &n) != OK) || n != RTP_BYTES ||
        memcmp(b + 12, pattern + (flow % N & 63), 160) != 0) {
        R.bad++;
        return;
    }
    uint64_t p = (uint64_t)seq * 2 * N + flow;
    int64_t *s = &sent[flow][seq % SLOTS];
    if (p < first || p >= last)
        return;
    if (*s == 0) {
        R.twice++;
        return;
    }
    R.got++;
    if (at)
        hist_add(&late, at - *s);
    *s = 0;
}

static void drain(unsigned side)
{
    static uint8_t buf[BATCH][256];
    static char ctl[BATCH][64];
    static struct iovec iov[BATCH];
    static struct mmsghdr hdr[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){buf[i], sizeof buf[i]};
        hdr[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i],
                                         .msg_iovlen = 1,
                                         .msg_control = ctl[i],
                                         .msg_controllen = sizeof ctl[i]};
    }
    int n = recvmmsg(fds[side], hdr, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        take(side, buf[i], hdr[i].msg_len, stamp(&hdr[i].msg_hdr));
}

static void contexts(void)
{
    enum srtp_suite s = suite_by_name(str_c(L.suite));
    keys = calloc(N, sizeof *keys);
    for (uint32_t i = 0; keys && i < N; i++) {
        if (L.media[i].told[0].key_n != L.key_n)
            die("the answer has no key of the suite that was offered", "");
        keys[i][0] = srtp_new(s, L.media[i].key[0]);
        keys[i][1] = srtp_new(s, L.media[i].told[0].key);
    }
}

static void report(void)
{
    double want = (double)R.sent;
    printf("{\"calls\":%u,\"sent_s\":%.0f,\"got_s\":%.0f,\"loss_pct\":%.4f,\"bad\":%llu,\"twice\":%"
           "llu,"
           "\"p50_us\":%llu,\"p99_us\":%llu,\"p999_us\":%llu,\"max_us\":%llu,\"server_ns\":%.0f,"
           "\"core_pct\":%.1f,\"gen_pct\":%.1f}\n",
           N, want / R.seconds, (double)R.got / R.seconds, 100 * (want - (double)R.got) / want,
           (unsigned long long)R.bad, (unsigned long long)R.twice,
           (unsigned long long)hist_at(&late, .5), (unsigned long long)hist_at(&late, .99),
           (unsigned long long)hist_at(&late, .999), (unsigned long long)late.max,
           R.got ? R.server_ns / (double)R.got : 0.0, R.core, R.gen);
}

void rtp_run(uint32_t n, double rate, double seconds, double warm, unsigned burst)
{
    N = n;
    run = (uint32_t)getpid() & 0xffff;
    sent = calloc((size_t)2 * N, sizeof *sent);
    if (!sent || rate * (seconds + warm) / (2.0 * N) > 65000)
        die("too many packets for so few calls", "");
    if (L.suite)
        contexts();
    uint64_t p = 0, total = (uint64_t)(rate * (seconds + warm));
    int64_t start = now_ns(), m0 = 0, c0 = 0, g0 = 0;
    first = (uint64_t)(rate * warm);
    last = total;
    while (p < total) {
        int64_t t = now_ns() - start;
        uint64_t due = MIN((uint64_t)((double)t * 1e-9 * rate), total);
        if (p >= first && !m0)
            m0 = t, c0 = cpu_ns(), g0 = own_cpu_ns();
        if (due >= p + burst || (due > p && due == total)) {
            uint64_t f = p % (2 * N), left = f < N ? N - f : 2 * N - f;
            uint32_t k = (uint32_t)MIN(MIN(due - p, left), (uint64_t)burst);
            send_run(p, k);
            p += k;
        }
        drain(0);
        drain(1);
    }
    R.seconds = (double)(now_ns() - start - m0) / 1e9;
    R.server_ns = (double)(cpu_ns() - c0);
    R.core = R.server_ns / R.seconds / 1e7;
    R.gen = (double)(own_cpu_ns() - g0) / R.seconds / 1e7;
    R.sent = last - first;
    for (int64_t t = now_ns(); now_ns() - t < 500000000;)
        drain(0), drain(1);
    report();
}
