/* What parsing a message costs: ns and instructions a message, ours beside libosip2 and Sofia-SIP
 * where they are installed. All are given the same bytes; what they allocate they free.
 * parse PARSER MESSAGE N parses one message N times and does nothing else: the difference between
 * two N under an instruction counter is the cost of the messages alone. */
#include "wire/sip/msg.h"
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_OSIP
#include <osipparser2/osip_parser.h>
#endif
#ifdef HAVE_SOFIA
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#define sip_method_name sofia_method_name /* both have one; theirs is not used */
#include <sofia-sip/msg.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_protos.h>
#undef sip_method_name
#pragma GCC diagnostic pop
#endif

#define SDP                                                                                        \
    "v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"                \
    "m=audio 49170 RTP/AVP 0 8\r\n"
static const struct {
    const char *name;
    struct str bytes;
} messages[] = {
#define M(s)                                                                                       \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }
    {"REGISTER, short",
     M("REGISTER sip:example.com SIP/2.0\r\n"
       "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9;rport\r\nMax-Forwards: 70\r\n"
       "From: <sip:alice@example.com>;tag=9fxced76sl\r\nTo: <sip:alice@example.com>\r\n"
       "Call-ID: 3848276298220188511@192.0.2.1\r\nCSeq: 1 REGISTER\r\n"
       "Contact: <sip:alice@192.0.2.1:5060>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n")},
    {"INVITE with SDP",
     M("INVITE sip:bob@example.com SIP/2.0\r\n"
       "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9;rport\r\nMax-Forwards: 70\r\n"
       "From: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\r\nTo: \"Bob\" <sip:bob@example.com>"
       "\r\nCall-ID: 3848276298220188511@192.0.2.1\r\nCSeq: 2 INVITE\r\n"
       "Contact: <sip:alice@192.0.2.1:5060;transport=udp>\r\n"
       "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK\r\nSupported: 100rel, timer\r\n"
       "Session-Expires: 1800;refresher=uac\r\nUser-Agent: Example/1.0\r\n"
       "Content-Type: application/sdp\r\nContent-Length: 94\r\n\r\n" SDP)},
    {"200, long",
     M("SIP/2.0 200 OK\r\n"
       "Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK1;received=198.51.100.1;rport=5060\r\n"
       "Via: SIP/2.0/TCP 198.51.100.2:5060;branch=z9hG4bK2d4790.1\r\n"
       "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9;received=192.0.2.9;rport=1024\r\n"
       "Record-Route: <sip:198.51.100.1;lr;ftag=9fxced76sl>\r\n"
       "Record-Route: <sip:198.51.100.2;transport=tcp;lr>\r\n"
       "From: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\r\n"
       "To: \"Bob\" <sip:bob@example.com>;tag=314159\r\n"
       "Call-ID: 3848276298220188511@192.0.2.1\r\nCSeq: 2 INVITE\r\n"
       "Contact: \"Bob\" <sip:bob@203.0.113.7:5062;transport=udp>;expires=3600\r\n"
       "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY, MESSAGE\r\n"
       "Supported: 100rel, timer, replaces, outbound, path, gruu\r\nRequire: timer\r\n"
       "Session-Expires: 1800;refresher=uas\r\nServer: Example Gateway/2.1 (documentation)\r\n"
       "Accept: application/sdp, multipart/mixed\r\nAccept-Language: en, de\r\n"
       "P-Asserted-Identity: \"Bob\" <sip:bob@example.com>, <tel:+15550100>\r\n"
       "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\nX-Trace: 6f1c9a50-0000-4000-8000-c0ffee000001\r\n"
       "Content-Type: application/sdp\r\nContent-Disposition: session\r\n"
       "Content-Length: 94\r\n\r\n" SDP)},
};

static struct sip_msg m;
static bool ours(struct str s)
{
    struct sip_error why;
    return sip_parse(s, true, &m, &why) == OK;
}
#ifdef HAVE_OSIP
static bool osip(struct str s)
{
    osip_message_t *msg;
    if (osip_message_init(&msg) != 0)
        return false;
    bool good = osip_message_parse(msg, s.p, s.n) == 0;
    osip_message_free(msg);
    return good;
}
#endif
#ifdef HAVE_SOFIA
static bool sofia(struct str s)
{
    msg_t *msg = msg_make(sip_default_mclass(), 0, s.p, (ssize_t)s.n);
    bool good = msg && sip_object(msg) && !sip_object(msg)->sip_error;
    if (msg)
        msg_destroy(msg);
    return good;
}
#endif
static const struct {
    const char *name;
    bool (*parse)(struct str);
} parsers[] = {
    {"ringwall", ours},
#ifdef HAVE_OSIP
    {"libosip2", osip},
#endif
#ifdef HAVE_SOFIA
    {"Sofia-SIP", sofia},
#endif
};

/* Counts instructions in user space; -1 where the kernel does not let us. */
static int counter_open(void)
{
    struct perf_event_attr a = {.type = PERF_TYPE_HARDWARE,
                                .size = sizeof(a),
                                .config = PERF_COUNT_HW_INSTRUCTIONS,
                                .disabled = 1,
                                .exclude_kernel = 1,
                                .exclude_hv = 1};
    return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void repeat(size_t p, size_t i, unsigned times)
{
    for (unsigned n = 0; n < times; n++)
        if (!parsers[p].parse(messages[i].bytes)) {
            (void)fprintf(stderr, "parse bench: %s refuses %s\n", parsers[p].name,
                          messages[i].name);
            exit(1);
        }
}

/* The parser and the message of these names. */
static int only(const char *parser, const char *message, unsigned times)
{
    for (size_t p = 0; p < ARRAY_LEN(parsers); p++)
        for (size_t i = 0; i < ARRAY_LEN(messages); i++)
            if (strcmp(parsers[p].name, parser) == 0 && strcmp(messages[i].name, message) == 0) {
                repeat(p, i, times);
                return 0;
            }
    (void)fprintf(stderr, "parse bench: no parser %s or no message %s here\n", parser, message);
    return 2;
}

#define ROUNDS 7
static void measure(size_t p, size_t i, int counter)
{
    const unsigned times = p == 0 ? 100000 : 20000;
    int64_t best = INT64_MAX;
    uint64_t count = 0, least = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        if (counter >= 0) {
            (void)ioctl(counter, PERF_EVENT_IOC_RESET, 0);
            (void)ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);
        }
        int64_t t0 = cpu_ns();
        repeat(p, i, times);
        best = MIN(best, cpu_ns() - t0);
        if (counter >= 0) {
            (void)ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
            if (read(counter, &count, sizeof(count)) == (ssize_t)sizeof(count))
                least = MIN(least, count);
        }
    }
    double ns = (double)best / times;
    (void)printf("%-18s %5zu  %-10s %9.0f %9.2f", messages[i].name, messages[i].bytes.n,
                 parsers[p].name, ns, (double)messages[i].bytes.n / ns);
    if (least != UINT64_MAX)
        (void)printf(" %13.0f\n", (double)least / times);
    else
        (void)printf(" %13s\n", "-");
}

int main(int argc, char **argv)
{
#ifdef HAVE_OSIP
    (void)parser_init();
#endif
    if (argc == 4)
        return only(argv[1], argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    int counter = counter_open();
    (void)printf("%-18s %5s  %-10s %9s %9s %13s\n", "message", "bytes", "parser", "ns", "GB/s",
                 "instructions");
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        for (size_t p = 0; p < ARRAY_LEN(parsers); p++)
            measure(p, i, counter);
    if (counter < 0)
        (void)printf("instructions: no hardware counter here\n");
    return 0;
}
