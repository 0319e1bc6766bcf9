#include "bench/load/load.h"
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char HELP[] =
    "rwload -m call|reg|rtp|conn|hostile|flood -t GATEWAY -a CALLER -b ANSWERER (each IP:PORT)\n"
    "  -r N      calls or registrations a second (1000); rtp: set-ups a second\n"
    "  -d N -w N seconds measured (5) and before (1)\n"
    "  -H N      call: milliseconds a call is held (100)\n"
    "  -u N      users u000000... with passwords pw000000... (1000); -D DOMAIN (bench)\n"
    "  -n N      rtp, conn: calls or connections (100)\n"
    "  -R N      rtp: packets a second in all (100 a call); -g N: packets a burst (8)\n"
    "  -T        over TLS: a connection a call; rtp: one connection\n"
    "  -s SUITE  SDES suite of the caller's leg, e.g. AEAD_AES_128_GCM\n"
    "  -S        rtp, conn, reg: when all is set up say \"up\" and wait for a line on standard "
    "input\n"
    "  -k KIND   hostile: scan, bad, forged, wrong; flood: door, hello\n"
    "  -c WHAT   CPU of the gateway: file of nanoseconds, or pid:N (repeat)\n"
    "One line of JSON on standard output. Exit 0 measured, 2 not.\n";

struct args {
    double rate, seconds, warm, packets;
    uint32_t n;
    unsigned burst;
    bool stay;
    const char *kind;
};
static struct args A = {1000, 5, 1, 0, 100, 8, false, NULL};

static bool turn(void)
{
    udp_flush(L.a);
    uint32_t n = udp_drain(L.b, on_answerer);
    udp_flush(L.b);
    if (L.tls)
        conns_turn();
    n += udp_drain(L.a, on_caller);
    udp_flush(L.a);
    return n > 0;
}

static void rest(void)
{
    struct timespec z = {0, 50000};
    (void)nanosleep(&z, NULL);
}

static void stay(void)
{
    char line[8];
    if (!A.stay)
        return;
    printf("up\n");
    (void)fflush(stdout);
    ssize_t n = read(0, line, sizeof line);
    (void)n;
}

static void report(int64_t ns, int64_t server, int64_t own, uint64_t started, uint64_t total)
{
    double s = (double)ns / 1e9, ok = (double)MAX(L.ok_measured, 1u);
    printf("{\"offered\":%.0f,\"started_s\":%.0f,\"done_s\":%.0f,\"total\":%llu,\"failed\":%llu,"
           "\"fail_pct\":%.4f,\"refused\":%llu,\"last_code\":%llu,\"server_us\":%.2f,"
           "\"core_pct\":%.1f,\"gen_us\":%.2f,\"p50_us\":%llu,\"p99_us\":%llu,\"gap_ms\":%.1f}\n",
           A.rate, (double)started / s, (double)L.ok_measured / s, (unsigned long long)total,
           (unsigned long long)(total - L.ok), 100.0 * (double)(total - L.ok) / (double)total,
           (unsigned long long)L.refused, (unsigned long long)L.last_code,
           (double)server / 1e3 / ok, (double)server / (double)ns * 100, (double)own / 1e3 / ok,
           (unsigned long long)hist_at(&L.answer, .5), (unsigned long long)hist_at(&L.answer, .99),
           (double)L.gap / 1e6);
}

static void run_calls(void)
{
    uint64_t total = (uint64_t)(A.rate * (A.seconds + A.warm)), started = 0;
    int64_t start = now_ns(), m0 = 0, m1 = 0, c0 = 0, c1 = 0, g0 = 0, g1 = 0;
    double warm = A.warm * 1e9, whole = (A.warm + A.seconds) * 1e9;
    for (;;) {
        int64_t t = now_ns();
        double el = (double)(t - start);
        if (!m0 && el >= warm) {
            L.measuring = true;
            m0 = t, c0 = cpu_ns(), g0 = own_cpu_ns(), started = L.started;
        }
        if (L.measuring && el >= whole) {
            L.measuring = false;
            m1 = t, c1 = cpu_ns(), g1 = own_cpu_ns(), started = L.started - started;
        }
        uint64_t due = MIN((uint64_t)(el * 1e-9 * A.rate), total);
        for (int k = 0; L.started < due && k < 16; k++)
            call_start();
        byes_due(t);
        if (!turn())
            rest();
        if (L.started == total && !L.measuring && m1 &&
            (L.ok + L.fail >= total || el > whole + 4e9 + L.hold_ms * 1e6))
            break;
    }
    report(m1 - m0, c1 - c0, g1 - g0, started, total);
    stay();
}

/* Sets up n calls or registrations that stay. */
static uint32_t set_up(uint32_t n)
{
    int64_t start = now_ns();
    uint32_t open = 0;
    while (now_ns() - start < (int64_t)(n / A.rate * 1e9) + 5000000000) {
        uint64_t due = MIN((uint64_t)((double)(now_ns() - start) * 1e-9 * A.rate), (uint64_t)n);
        for (int k = 0; L.started < due && k < 16; k++)
            call_start();
        if (!turn())
            rest();
        open = 0;
        if (L.started < n)
            continue;
        for (uint32_t i = 0; i < n; i++)
            open += L.calls[i].state == CALL_ANSWERED;
        if (open == n)
            break;
    }
    return open;
}

static void settle(int64_t ns)
{
    for (int64_t t = now_ns(); now_ns() - t < ns;)
        if (!turn())
            rest();
}

static void run_rtp(void)
{
    L.media = calloc(A.n, sizeof *L.media);
    if (!L.media || A.n > 32767)
        die("no memory", "");
    for (uint32_t i = 0; i < A.n; i++)
        if (getrandom(L.media[i].key, sizeof L.media[i].key, 0) < 0)
            die("no randomness", "");
    rtp_init();
    uint32_t open = set_up(A.n);
    if (open != A.n) {
        (void)fprintf(stderr, "rwload: %u of %u calls came up, last refusal %llu\n", open, A.n,
                      (unsigned long long)L.last_code);
        exit(2);
    }
    settle(300000000);
    if (A.stay)
        stay();
    else
        rtp_run(A.n, A.packets > 0 ? A.packets : 100.0 * A.n, A.seconds, A.warm, A.burst);
    for (uint32_t i = 0; i < A.n; i++) {
        call_bye(&L.calls[i]);
        if (i % 32 == 31)
            (void)turn();
    }
    settle(500000000);
}

static void run_conns(void)
{
    int64_t start = now_ns();
    L.per_call = true;
    for (uint32_t i = 0; i < A.n; i++) {
        (void)conn_open(NULL);
        while (conns_up() + 32 < i && now_ns() - start < 60000000000)
            conns_turn();
    }
    while (conns_up() < A.n && now_ns() - start < 60000000000)
        conns_turn();
    if (conns_up() < A.n)
        die("not all connections came up", "");
    stay();
}

static uint32_t u32_arg(const char *s)
{
    uint32_t v;
    if (str_u32(str_c(s), UINT32_MAX, &v) != OK)
        die("not a number", s);
    return v;
}

static enum mode mode_arg(const char *s)
{
    static const char *const names[] = {"call", "reg", "rtp", "conn", "hostile", "flood"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(s, names[i]) == 0)
            return (enum mode)i;
    die("unknown mode", s);
}

static void set(int o, const char *v)
{
    switch (o) {
    case 'm':
        L.mode = mode_arg(v);
        break;
    case 't':
        addr_arg(v, &L.gw, L.gw_s);
        break;
    case 'a':
        addr_arg(v, &L.uac, L.uac_s);
        break;
    case 'b':
        addr_arg(v, &L.uas, L.uas_s);
        break;
    case 'r':
        A.rate = strtod(v, NULL);
        break;
    case 'd':
        A.seconds = strtod(v, NULL);
        break;
    case 'w':
        A.warm = strtod(v, NULL);
        break;
    case 'R':
        A.packets = strtod(v, NULL);
        break;
    case 'H':
        L.hold_ms = u32_arg(v);
        break;
    case 'u':
        L.users = u32_arg(v);
        break;
    case 'n':
        A.n = u32_arg(v);
        break;
    case 'g':
        A.burst = u32_arg(v);
        break;
    case 'D':
        (void)snprintf(L.domain, sizeof L.domain, "%s", v);
        break;
    case 'T':
        L.tls = true;
        break;
    case 'k':
        A.kind = v;
        break;
    case 's':
        L.suite = v;
        break;
    case 'S':
        A.stay = true;
        break;
    case 'c':
        cpu_add(v);
        break;
    default:
        (void)fputs(HELP, stderr);
        exit(2);
    }
}

static size_t key_bytes(const char *suite)
{
    bool gcm = strstr(suite, "GCM") != NULL, big = strstr(suite, "256") != NULL;
    return (big ? 32u : 16u) + (gcm ? 12u : 14u);
}

int main(int argc, char **argv)
{
    struct rlimit lim;
    L = (struct load){.users = 1000, .hold_ms = 100, .domain = "bench", .rtp_port = {40000, 40002}};
    for (int o; (o = getopt(argc, argv, "m:t:a:b:r:d:w:R:H:u:n:g:D:s:c:k:TSh")) != -1;)
        set(o, optarg);
    if (!L.gw.sin_port || !L.uac.sin_port || !L.uas.sin_port || !L.users || !A.burst ||
        A.burst > BATCH || A.rate <= 0)
        die("see -h", "");
    L.per_call = L.tls && L.mode != MODE_RTP;
    if (L.suite)
        L.key_n = key_bytes(L.suite);
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        lim.rlim_cur = lim.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &lim);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    text_init(L.users, L.domain);
    L.calls = calloc(CALLS_CAP, sizeof *L.calls);
    if (!L.calls)
        die("no memory", "");
    L.a = udp_new(&L.uac);
    L.b = udp_new(&L.uas);
    if (L.tls || L.mode == MODE_CONN)
        conns_init();
    if (L.mode == MODE_RTP)
        run_rtp();
    else if (L.mode == MODE_CONN)
        run_conns();
    else if (L.mode == MODE_HOSTILE)
        run_hostile(A.kind, A.rate, &(struct span_s){A.warm, A.seconds});
    else if (L.mode == MODE_FLOOD)
        run_flood(A.kind, A.rate, &(struct span_s){A.warm, A.seconds});
    else
        run_calls();
    return 0;
}
