/* Junk from many sources as fast as asked, straight into an interface: for bench/flood.py, in a
 * network namespace of its own (needs CAP_NET_RAW). One line of JSON on standard output.
 * flood -t ADDRESS -k sip|junk|rtp [-f FIRST] [-n SOURCES] [-r RATE (0: all it can)] [-d SECONDS]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64u
#define BYTES 700u

struct packet {
    struct iphdr ip;
    struct udphdr udp;
    char payload[BYTES];
} __attribute__((packed));
static struct packet packets[BATCH];
static struct mmsghdr heads[BATCH];
static struct iovec parts[BATCH];
static struct sockaddr_in to;

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint16_t sum_of(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint32_t s = 0;
    for (size_t i = 0; i < n; i += 2)
        s += (uint32_t)b[i] << 8 | b[i + 1];
    s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t) ~((s & 0xffff) + (s >> 16)));
}

static size_t payload(char *p, const char *kind, uint64_t i)
{
    int n;
    if (strcmp(kind, "sip") == 0) {
        n = snprintf(
            p, BYTES,
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK%llu"
            ";rport\r\nMax-Forwards: 70\r\nFrom: <sip:%llu@192.0.2.1>;tag=%llu\r\nTo: "
            "<sip:%llu@192.0.2.1>\r\nCall-ID: %llu@flood\r\nCSeq: 1 REGISTER\r\n"
            "Contact: <sip:x@10.0.0.1>\r\nContent-Length: 0\r\n\r\n",
            (unsigned long long)i, (unsigned long long)i % 9000, (unsigned long long)i,
            (unsigned long long)i % 9000, (unsigned long long)i);
        return (size_t)n;
    }
    memset(p, (int)(i % 31), 200);
    if (strcmp(kind, "rtp") == 0)
        p[0] = (char)0x80;
    return 200;
}

static void make(struct packet *x, struct iovec *v, uint32_t source, const char *kind, uint64_t i)
{
    bool rtp = strcmp(kind, "rtp") == 0;
    size_t n = payload(x->payload, kind, i);
    uint16_t port = rtp ? (uint16_t)(20000 + i * 2 % 4000) : 5060;
    memset(&x->ip, 0, sizeof x->ip + sizeof x->udp);
    x->ip.version = 4;
    x->ip.ihl = 5;
    x->ip.ttl = 60;
    x->ip.protocol = IPPROTO_UDP;
    x->ip.tot_len = htons((uint16_t)(sizeof x->ip + sizeof x->udp + n));
    x->ip.saddr = htonl(source);
    x->ip.daddr = to.sin_addr.s_addr;
    x->ip.check = sum_of(&x->ip, sizeof x->ip);
    x->udp.source = htons((uint16_t)(1024 + i % 50000));
    x->udp.dest = htons(port);
    x->udp.len = htons((uint16_t)(sizeof x->udp + n));
    *v = (struct iovec){x, sizeof x->ip + sizeof x->udp + n};
}

static int usage(void)
{
    (void)fprintf(stderr,
                  "flood -t ADDRESS -k sip|junk|rtp [-f FIRST] [-n SOURCES] [-r RATE] [-d S]\n");
    return 2;
}

struct args {
    const char *kind, *first;
    uint32_t sources;
    double rate, seconds;
};

static bool args_read(struct args *a, int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "t:k:f:n:r:d:")) != -1;) {
        if (c == 't')
            to.sin_addr.s_addr = inet_addr(optarg);
        else if (c == 'k')
            a->kind = optarg;
        else if (c == 'f')
            a->first = optarg;
        else if (c == 'n')
            a->sources = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'r')
            a->rate = strtod(optarg, NULL);
        else if (c == 'd')
            a->seconds = strtod(optarg, NULL);
        else
            return false;
    }
    to.sin_family = AF_INET;
    return to.sin_addr.s_addr && a->sources;
}

/* How many were sent; UINT64_MAX if none can be. */
static uint64_t burst(int fd, const struct args *a, uint32_t from, uint64_t made)
{
    for (unsigned i = 0; i < BATCH; i++, made++) {
        make(&packets[i], &parts[i], from + (uint32_t)(made * 7919 % a->sources), a->kind, made);
        heads[i].msg_hdr = (struct msghdr){
            .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int n = sendmmsg(fd, heads, BATCH, 0);
    if (n < 0 && errno != ENOBUFS && errno != EAGAIN)
        return UINT64_MAX;
    return n > 0 ? (uint64_t)n : 0;
}

int main(int argc, char **argv)
{
    struct args a = {"sip", "198.18.1.1", 256, 0, 5};
    if (!args_read(&a, argc, argv))
        return usage();
    uint32_t from = ntohl(inet_addr(a.first));
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    if (fd < 0) {
        perror("flood: raw socket");
        return 2;
    }
    int64_t start = now_ns(), end = start + (int64_t)(a.seconds * 1e9), t = start;
    uint64_t sent = 0, made = 0;
    for (; t < end; t = now_ns()) {
        if (a.rate > 0 && (double)sent > (double)(t - start) * 1e-9 * a.rate) {
            struct timespec z = {0, 100000};
            (void)nanosleep(&z, NULL);
            continue;
        }
        uint64_t n = burst(fd, &a, from, made);
        if (n == UINT64_MAX) {
            perror("flood: sendmmsg");
            return 2;
        }
        made += BATCH;
        sent += n;
    }
    printf("{\"sent\":%llu,\"sent_s\":%.0f}\n", (unsigned long long)sent,
           (double)sent / ((double)(t - start) * 1e-9));
    return 0;
}
