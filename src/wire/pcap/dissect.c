#include "wire/pcap/dissect.h"

enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd, ETHER_PPPOE = 0x8864, ETHER_MPLS = 0x8847 };
enum {
    PROTO_HOPOPTS = 0,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_AH = 51,
    PROTO_DSTOPTS = 60
};
enum { IP_TCP = 6, IP_UDP = 17 };

bool link_known(uint32_t link)
{
    static const uint16_t KNOWN[] = {LINK_NULL, LINK_ETHERNET, LINK_PPP,  LINK_RAW_BSD, LINK_RAW,
                                     LINK_LOOP, LINK_SLL,      LINK_IPV4, LINK_IPV6,    LINK_SLL2};
    for (size_t i = 0; i < ARRAY_LEN(KNOWN); i++)
        if (KNOWN[i] == link)
            return true;
    return false;
}

/* Kernels with segmentation offload hand on packets with length 0 in the header: what was captured
 * counts then. */
static void udp(struct frame *f, const uint8_t *p, size_t n)
{
    if (n < 8) {
        f->kind = f->cut ? FRAME_CUT : FRAME_WRONG;
        return;
    }
    size_t len = be16(p + 4);
    f->src.port = be16(p);
    f->dst.port = be16(p + 2);
    if (len == 0)
        len = n;
    if (len < 8 || (len > n && !f->cut)) {
        f->kind = FRAME_WRONG;
        return;
    }
    f->kind = FRAME_UDP;
    f->data = p + 8;
    f->len = (uint32_t)(MIN(len, n) - 8);
}

static void tcp(struct frame *f, const uint8_t *p, size_t n)
{
    size_t head = n >= 20 ? 4u * (p[12] >> 4) : 0;
    if (n < 20 || head > n) {
        f->kind = f->cut ? FRAME_CUT : FRAME_WRONG;
        return;
    }
    if (head < 20) {
        f->kind = FRAME_WRONG;
        return;
    }
    f->kind = FRAME_TCP;
    f->src.port = be16(p);
    f->dst.port = be16(p + 2);
    f->tcp_seq = be32(p + 4);
    f->tcp_flags = p[13];
    f->data = p + head;
    f->len = (uint32_t)(n - head);
}

void frame_transport(struct frame *f, const uint8_t *p, size_t n)
{
    if (f->proto == IP_UDP) {
        udp(f, p, n);
    } else if (f->proto == IP_TCP) {
        tcp(f, p, n);
    } else {
        f->kind = FRAME_IP_OTHER;
        f->data = p;
        f->len = (uint32_t)MIN(n, (size_t)UINT16_MAX);
    }
}

static void fragment(struct frame *f, uint32_t off, bool more, uint32_t id, struct str bytes)
{
    f->kind = off + bytes.n > UINT16_MAX ? FRAME_WRONG : f->cut ? FRAME_CUT : FRAME_FRAGMENT;
    f->frag_off = (uint16_t)off;
    f->frag_more = more;
    f->frag_id = id;
    f->data = (const uint8_t *)bytes.p;
    f->len = (uint32_t)bytes.n;
}

static void ipv4(struct frame *f, const uint8_t *p, size_t n)
{
    size_t head = n >= 20 ? 4u * (p[0] & 15u) : 0;
    if (n < 20 || head > n) {
        f->kind = FRAME_CUT;
        return;
    }
    size_t total = be16(p + 2);
    if (total == 0)
        total = n;
    if (p[0] >> 4 != 4 || head < 20 || total < head) {
        f->kind = FRAME_WRONG;
        return;
    }
    f->cut = total > n;
    n = MIN(n, total); /* what Ethernet added to reach its least length goes */
    f->src.family = f->dst.family = ADDR_V4;
    memcpy(f->src.ip, p + 12, 4);
    memcpy(f->dst.ip, p + 16, 4);
    f->proto = p[9];
    uint16_t frag = be16(p + 6);
    uint32_t off = 8u * (frag & 0x1fffu);
    if (off || (frag & 0x2000))
        fragment(f, off, frag & 0x2000, be16(p + 4), str_of((const char *)p + head, n - head));
    else
        frame_transport(f, p + head, n - head);
}

/* Behind the extension headers; false if the packet has been told (fragment, cut, wrong). */
static bool extensions(struct frame *f, const uint8_t **p, size_t *n, uint8_t next)
{
    for (unsigned i = 0; i < LAYERS_MAX; i++) {
        bool options = next == PROTO_HOPOPTS || next == PROTO_ROUTING || next == PROTO_DSTOPTS;
        if (!options && next != PROTO_FRAGMENT && next != PROTO_AH) {
            f->proto = next;
            return true;
        }
        size_t len = *n < 8                   ? 0
                     : next == PROTO_FRAGMENT ? 8
                     : next == PROTO_AH       ? 4u * ((size_t)(*p)[1] + 2)
                                              : 8u * ((size_t)(*p)[1] + 1);
        if (len == 0 || len > *n) {
            f->kind = f->cut ? FRAME_CUT : FRAME_WRONG;
            return false;
        }
        const uint8_t *h = *p;
        uint8_t was = next;
        next = h[0];
        *p += len;
        *n -= len;
        if (was != PROTO_FRAGMENT)
            continue;
        uint16_t frag = be16(h + 2);
        if (!(frag & 0xfff9)) /* a fragment that is the whole (RFC 6946) */
            continue;
        f->proto = next;
        fragment(f, frag & 0xfff8u, frag & 1, be32(h + 4), str_of((const char *)*p, *n));
        return false;
    }
    f->kind = FRAME_WRONG;
    return false;
}

static void ipv6(struct frame *f, const uint8_t *p, size_t n)
{
    if (n < 40) {
        f->kind = FRAME_CUT;
        return;
    }
    if (p[0] >> 4 != 6) {
        f->kind = FRAME_WRONG;
        return;
    }
    size_t len = be16(p + 4);
    if (len == 0)
        len = n - 40;
    f->src.family = f->dst.family = ADDR_V6;
    memcpy(f->src.ip, p + 8, 16);
    memcpy(f->dst.ip, p + 24, 16);
    f->cut = len > n - 40;
    uint8_t next = p[6];
    p += 40;
    n = MIN(len, n - 40);
    if (!extensions(f, &p, &n, next))
        return;
    addr_fold(&f->src);
    addr_fold(&f->dst);
    frame_transport(f, p, n);
}

static void ip(struct frame *f, const uint8_t *p, size_t n)
{
    if (n == 0)
        f->kind = FRAME_CUT;
    else if (p[0] >> 4 == 6)
        ipv6(f, p, n);
    else if (p[0] >> 4 == 4)
        ipv4(f, p, n);
    else
        f->kind = FRAME_WRONG;
}

/* From an EtherType on: tags, PPPoE and MPLS are passed by. */
static void ether(struct frame *f, uint16_t type, const uint8_t *p, size_t n)
{
    for (unsigned i = 0; i < LAYERS_MAX; i++) {
        bool tag = type == 0x8100 || type == 0x88a8 || type == 0x9100;
        size_t len = tag ? 4 : type == ETHER_PPPOE ? 8 : type == ETHER_MPLS ? 4 : 0;
        if (len == 0)
            break;
        if (n < len) {
            f->kind = FRAME_CUT;
            return;
        }
        if (tag)
            type = be16(p + 2);
        else if (type == ETHER_PPPOE)
            type = be16(p + 6) == 0x0021 ? ETHER_IPV4 : be16(p + 6) == 0x0057 ? ETHER_IPV6 : 0;
        else if (p[2] & 1) /* the lowest label: the address family stands in what follows */
            type = n > 4 && p[4] >> 4 == 6 ? ETHER_IPV6 : ETHER_IPV4;
        p += len;
        n -= len;
    }
    if (type == ETHER_IPV4)
        ipv4(f, p, n);
    else if (type == ETHER_IPV6)
        ipv6(f, p, n);
}

/* The BSD loopback header is the address family in the byte order of the machine that captured. */
static void family(struct frame *f, const uint8_t *p, size_t n)
{
    if (n < 4)
        f->kind = FRAME_CUT;
    else
        ip(f, p + 4, n - 4);
}

static void linux_cooked(struct frame *f, const uint8_t *p, size_t n, size_t head, size_t type_at)
{
    if (n < head)
        f->kind = FRAME_CUT;
    else
        ether(f, be16(p + type_at), p + head, n - head);
}

void frame_dissect(uint32_t link, const uint8_t *p, size_t n, struct frame *ret_f)
{
    memset(ret_f, 0, sizeof *ret_f);
    ret_f->kind = FRAME_NOT_IP;
    switch (link) {
    case LINK_ETHERNET:
        if (LIKELY(n >= 14))
            ether(ret_f, be16(p + 12), p + 14, n - 14);
        else
            ret_f->kind = FRAME_CUT;
        return;
    case LINK_NULL:
    case LINK_LOOP:
        family(ret_f, p, n);
        return;
    case LINK_PPP: /* with or without the address and control bytes ff 03 */
        if (n >= 2 && p[0] == 0xff && p[1] == 3)
            p += 2, n -= 2;
        if (n < 2)
            ret_f->kind = FRAME_CUT;
        else if (be16(p) == 0x0021 || be16(p) == 0x0057)
            ip(ret_f, p + 2, n - 2);
        return;
    case LINK_RAW_BSD:
    case LINK_RAW:
    case LINK_IPV4:
    case LINK_IPV6:
        ip(ret_f, p, n);
        return;
    case LINK_SLL:
        linux_cooked(ret_f, p, n, 16, 14);
        return;
    case LINK_SLL2:
        linux_cooked(ret_f, p, n, 20, 0);
        return;
    default:
        return;
    }
}
