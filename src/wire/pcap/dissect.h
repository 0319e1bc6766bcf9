/* A captured packet taken apart: link header, IPv4 (RFC 791) or IPv6 (RFC 8200) with its extension
 * headers, UDP or TCP. Views borrow the packet; nothing is believed beyond the captured bytes. Cost
 * O(headers): at most LAYERS_MAX of each kind. */
#ifndef WIRE_PCAP_DISSECT_H
#define WIRE_PCAP_DISSECT_H
#include "base/addr.h"
#include "base/cur.h"

/* Link types as capture files number them. */
enum link_type {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_PPP = 9,
    LINK_RAW_BSD = 12,
    LINK_RAW = 101,
    LINK_LOOP = 108,
    LINK_SLL = 113,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_SLL2 = 276,
};
bool link_known(uint32_t link);

#define LAYERS_MAX 8u /* tags before IP, and extension headers of IPv6 */
enum frame_kind {
    FRAME_UDP,
    FRAME_TCP,
    FRAME_FRAGMENT, /* src, dst, proto, frag_...; data are the fragment's bytes */
    FRAME_IP_OTHER, /* another protocol over IP */
    FRAME_NOT_IP,   /* ARP and the like */
    FRAME_CUT,      /* the capture kept too little of it to be told */
    FRAME_WRONG,    /* lengths or header fields that disagree */
    FRAME_KINDS
};
enum tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
struct frame {
    uint8_t kind;  /* enum frame_kind */
    uint8_t proto; /* of IP: 6, 17 ... */
    uint8_t tcp_flags;
    bool frag_more;
    bool cut;          /* fewer bytes were captured than were sent */
    uint16_t frag_off; /* bytes, a multiple of 8 */
    uint32_t frag_id, tcp_seq;
    struct addr src, dst;
    const uint8_t *data;
    uint32_t len; /* of data, as captured: at most 65535 */
};
/* Any link type; one that is not link_known gives FRAME_NOT_IP. */
void frame_dissect(uint32_t link, const uint8_t *p, size_t n, struct frame *ret_f) HOT;
/* The payload of IP, whole (put together from fragments): fills kind and ports of f, whose src, dst
 * and proto stand. */
void frame_transport(struct frame *f, const uint8_t *p, size_t n);
#endif
