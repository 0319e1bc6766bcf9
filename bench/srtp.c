/* What protecting and believing one G.711 packet (172 bytes of RTP) costs, every suite, beside
 * libsrtp2; and what the relay adds to a packet in user space: plain to plain, and SRTP on one
 * side. One core, best of five. */
#include "media/srtp.h"
#include "crypto/hash.h"
#include "media/oracle_lib.h"
#include "media/rig.h"
#include <stdio.h>
#include <time.h>

enum { PACKETS = 60000, LEN = 172 };

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint8_t key[SRTP_KEY_MAX] = "a key of this benchmark, no secret to anybody", p[PKT_MAX];
static uint8_t ready[PACKETS][LEN + SRTP_TRAILER_MAX];
static size_t ready_n;

static double protect(enum srtp_suite s, bool lib)
{
    void *o = lib ? oracle_new((int)s, key, false) : NULL;
    struct srtp *c = srtp_new(s, key);
    int64_t t0 = now_ns();
    for (uint32_t i = 0; i < PACKETS; i++) {
        size_t n = rig_rtp(p, 7, (uint16_t)i, LEN - 12);
        CHECK(lib ? oracle_protect(o, p, &n, false) == 0 : srtp_protect(c, p, &n, sizeof p) == OK);
    }
    double ns = (double)(now_ns() - t0) / PACKETS;
    srtp_free(c);
    if (lib)
        oracle_free(o);
    return ns;
}

static double unprotect(enum srtp_suite s, bool lib)
{
    struct srtp *from = srtp_new(s, key), *c = srtp_new(s, key);
    void *o = lib ? oracle_new((int)s, key, true) : NULL;
    for (uint32_t i = 0; i < PACKETS; i++) {
        size_t n = rig_rtp(ready[i], 7, (uint16_t)i, LEN - 12);
        CHECK(srtp_protect(from, ready[i], &n, sizeof ready[i]) == OK);
        ready_n = n;
    }
    int64_t t0 = now_ns();
    for (uint32_t i = 0; i < PACKETS; i++) {
        size_t n = ready_n;
        CHECK(lib ? oracle_unprotect(o, ready[i], &n, false) == 0
                  : srtp_unprotect(c, ready[i], &n) == OK);
    }
    double ns = (double)(now_ns() - t0) / PACKETS;
    srtp_free(from);
    srtp_free(c);
    if (lib)
        oracle_free(o);
    return ns;
}

static double best(double (*f)(enum srtp_suite, bool), enum srtp_suite s, bool lib)
{
    double b = 1e9;
    for (int i = 0; i < 5; i++) {
        double v = f(s, lib);
        b = v < b ? v : b;
    }
    return b;
}

#define SDP(ip, port, proto, more)                                                                 \
    STR("v=0\r\no=x 1 1 IN IP4 " ip "\r\ns=-\r\nc=IN IP4 " ip "\r\nt=0 0\r\nm=audio " port         \
        " " proto " 8\r\n" more)

/* Packets of alice through media_turn in batches of 32. */
static double relay(enum srtp_suite s, bool secure)
{
    static struct rig r;
    static uint8_t bytes[32][PKT_MAX];
    struct media_policy a = rig_policy(secure, !secure, secure, false),
                        b = rig_policy(false, true, false, false);
    char offer[512], line[160];
    struct out o = out_of(line, sizeof line), f = out_of(offer, sizeof offer);
    sdes_put(&o, 1, str_c(srtp_suite_name(s)), key, srtp_key_bytes(s));
    out_put(&f, secure ? SDP("192.0.2.10", "4000", "RTP/SAVP", "")
                       : SDP("192.0.2.10", "4000", "RTP/AVP", ""));
    if (secure)
        out_put(&f, out_str(&o));
    rig_open(&r, 4, 16);
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &b, 2);
    CHECK(rig_offer(&r, true, out_str(&f)) == REASON_NONE);
    CHECK(rig_answer(&r, true, SDP("198.51.100.20", "5000", "RTP/AVP", "")) == REASON_NONE);
    uint16_t port = rig_port(r.said_a);
    struct srtp *alice = secure ? srtp_new(s, key) : NULL;
    int64_t spent = 0;
    for (uint32_t i = 0; i < PACKETS; i += 32) {
        struct pkt pk[32];
        for (uint32_t k = 0; k < 32; k++) {
            size_t n = rig_rtp(bytes[k], 7, (uint16_t)(i + k), LEN - 12);
            CHECK(!secure || srtp_protect(alice, bytes[k], &n, PKT_MAX) == OK);
            pk[k] = (struct pkt){.data = bytes[k],
                                 .len = (uint16_t)n,
                                 .port = port,
                                 .peer = rig_addr("192.0.2.10", 4000)};
        }
        int64_t t0 = now_ns();
        media_turn(r.m, pk, 32, r.now);
        spent += now_ns() - t0;
        CHECK(pk[31].len == LEN);
    }
    srtp_free(alice);
    rig_close(&r);
    return (double)spent / PACKETS;
}

int main(void)
{
    if (crypto_init() != OK)
        return 1;
    bool lib = oracle_open();
    printf("SRTP, ns a packet of %d bytes RTP (CPU, best of 5)\n", (int)LEN);
    printf("%-26s %10s %10s %10s %10s %14s\n", "suite", "protect", "libsrtp2", "unprotect",
           "libsrtp2", "relay to RTP");
    printf("%-26s %10s %10s %10s %10s %14.0f\n", "none (RTP to RTP)", "-", "-", "-", "-",
           best(relay, SUITE_NONE, false));
    for (enum srtp_suite s = SUITE_NONE + 1; s < SUITE_COUNT; s++) {
        double lp = lib ? best(protect, s, true) : 0, lu = lib ? best(unprotect, s, true) : 0;
        printf("%-26s %10.0f %10.0f %10.0f %10.0f %14.0f\n", srtp_suite_name(s),
               best(protect, s, false), lp, best(unprotect, s, false), lu, best(relay, s, true));
    }
    if (!lib)
        printf("libsrtp2 is not installed: its columns are empty\n");
    return 0;
}
