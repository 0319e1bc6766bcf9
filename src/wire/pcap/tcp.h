/* One direction of each TCP connection that carries SIP, put in order again (RFC 9293), with what a
 * capture does to it: segments twice, out of order, lost, or the beginning missing. A fixed number
 * of directions, each with a window; the one idle longest gives way. Directions whose first bytes
 * are no SIP are remembered and passed by. Memory is the caller's, touched as it is used. */
#ifndef WIRE_PCAP_TCP_H
#define WIRE_PCAP_TCP_H
#include "base/instant.h"
#include "base/map.h"
#include "wire/pcap/dissect.h"
#include "wire/sip/frame.h"

#define TCP_FLOWS   1024u
#define TCP_WINDOW  (SIP_MSG_MAX + 1u + 32768u)
#define TCP_RANGES  8u
#define TCP_HOLE_US INT64_C(3000000) /* what has not come by then is lost to the capture */
enum tcp_carries { TCP_UNKNOWN, TCP_SIP, TCP_OTHER };
struct tcp_range {
    uint32_t from, to; /* offsets from base */
};
struct tcp_flow {
    struct addr src, dst;
    uint64_t hash;
    uint32_t base, n, taken;  /* sequence number of data[0]; bytes in order; given away of them */
    uint8_t carries;          /* enum tcp_carries */
    bool used, torn, touched; /* torn: bytes are missing before data; wait for a start line */
    uint8_t n_ranges;
    struct tcp_range ranges[TCP_RANGES]; /* what came out of order, ascending */
    int64_t hole_us;
    struct sip_frame_scan scan;
    uint8_t *data; /* TCP_WINDOW bytes */
};
struct tcp_table {
    uint64_t again, reordered, holes, evicted; /* segments; holes given up */
    struct sipkey key;
    struct map index;
    uint32_t hand; /* looks for a direction that may give way */
    struct tcp_flow flow[TCP_FLOWS];
};
size_t tcp_bytes(void);
struct tcp_table *tcp_init(void *mem, const struct sipkey *key); /* keeps mem, zeroed */
/* f is a FRAME_TCP. The flow if it carries SIP and there may be messages to take, else NULL. */
struct tcp_flow *tcp_push(struct tcp_table *t, const struct frame *f, struct instant now);
/* The next message of it, or bytes that cannot be framed: then *ret_why says so and the rest is
 * thrown away. false: nothing more. Borrowed until the next call of tcp_next or tcp_push. */
bool tcp_next(struct tcp_flow *t, struct str *ret_msg, enum reason *ret_why);
/* Does that look like the start line of a SIP message? O(1). */
bool sip_looks(struct str s);
#endif
