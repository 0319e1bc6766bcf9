/* Junk to a gateway's SIP port as fast as one core writes it to an interface, each datagram from
 * another address: xdp_flood INTERFACE MAC_TO ADDRESS_TO SECONDS. Prints how many a second, and us
 * of processor time for one: the receiving side's work in the kernel is done in it. */
#include "base/str.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64

static uint16_t sum16(const uint8_t *b, size_t n)
{
    uint32_t s = 0;
    for (size_t i = 0; i < n; i += 2)
        s += (uint32_t)b[i] << 8 | b[i + 1];
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return (uint16_t)~s;
}

static double now_s(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t frame(uint8_t *b, const uint8_t mac[6], struct in_addr to, uint32_t i)
{
    static const char junk[] =
        "\xff...............................................................";
    uint8_t *ip = b + 14;
    uint32_t source = 0xc6120000u | ((i * 2654435761u) >> 15); /* 198.18.0.0/15 */
    memset(b, 0, 42);
    memcpy(b, mac, 6);
    b[6] = 2, b[12] = 8;
    ip[0] = 0x45, ip[3] = 20 + 8 + 64, ip[8] = 64, ip[9] = 17;
    for (int k = 0; k < 4; k++)
        ip[12 + k] = (uint8_t)(source >> (24 - 8 * k));
    memcpy(ip + 16, &to, 4);
    uint16_t s = sum16(ip, 20);
    ip[10] = (uint8_t)(s >> 8), ip[11] = (uint8_t)s;
    ip[20] = 0x9c, ip[21] = 0x40, ip[22] = 19, ip[23] = 196, ip[25] = 8 + 64; /* 40000 to 5060 */
    memcpy(ip + 28, junk, 64);
    return 14 + 20 + 8 + 64;
}

int main(int argc, char **argv)
{
    static uint8_t b[BATCH][128];
    struct mmsghdr m[BATCH] = {0};
    struct iovec v[BATCH];
    uint8_t mac[6];
    struct in_addr to;
    if (argc != 5 ||
        sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
               &mac[4], &mac[5]) != 6 ||
        inet_pton(AF_INET, argv[3], &to) != 1)
        return 2;
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        perror("xdp_flood");
        return 1;
    }
    (void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    double start = now_s(CLOCK_MONOTONIC), end = start + strtod(argv[4], NULL);
    uint64_t n = 0;
    while (now_s(CLOCK_MONOTONIC) < end) {
        for (uint32_t k = 0; k < BATCH; k++) {
            v[k] = (struct iovec){b[k], frame(b[k], mac, to, (uint32_t)n + k)};
            m[k].msg_hdr.msg_iov = &v[k];
            m[k].msg_hdr.msg_iovlen = 1;
        }
        int sent = sendmmsg(fd, m, BATCH, 0);
        n += sent > 0 ? (uint64_t)sent : 0;
    }
    printf("%.0f %.4f\n", (double)n / (now_s(CLOCK_MONOTONIC) - start),
           now_s(CLOCK_PROCESS_CPUTIME_ID) * 1e6 / (double)n);
    return 0;
}
