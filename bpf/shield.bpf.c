/* The shield's part in the kernel: an XDP program on the public interfaces. It looks only at
 * packets to our own SIP ports and media ports; everything else of the host passes untouched, and
 * so does what it cannot read. What it drops it counts by reason. An exempt source is never
 * dropped, and what an emergency call needs has a slow lane past bans and rates. Maps:
 * src/io/xdp_map.h; their owner: src/io/xdp.c. */
#include "io/xdp_map.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define INLINE     static __always_inline
#define VLANS      2
#define EXTENSIONS 6 /* IPv6 extension headers looked through; more: passed */

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct xdp_cfg);
} cfg SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __uint(value_size, 65536); /* enum xdp_port by port */
} sip SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __uint(value_size, 65536); /* by port; engines write it */
} media SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __uint(key_size, 16); /* own address; IPv4 as ::ffff:a.b.c.d */
    __type(value, __u8);
} local SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct xdp_line);
} bans SEC(".maps"); /* as many lines as its owner says */
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 65536);
    __type(key, struct xdp_lpm4);
    __type(value, struct xdp_ban);
} nets4 SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 65536);
    __type(key, struct xdp_lpm6);
    __type(value, struct xdp_ban);
} nets6 SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 2048);
    __type(key, struct xdp_lpm4);
    __type(value, __u32);
} exempt4 SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 2048);
    __type(key, struct xdp_lpm6);
    __type(value, __u32);
} exempt6 SEC(".maps");
struct cells {
    __u64 at[XDP_CELLS];
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct cells);
} rates SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, XDP_COUNTS);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");

struct bytes65536 {
    __u8 at[65536];
};

struct pkt {
    __u8 *l4, *end;
    __u32 n; /* bytes of layer 4 by the IP header */
    __u8 proto, v6, fragment;
    __u32 src4; /* as on the wire */
    __u64 key;  /* of the source: IPv4 address, or /64 */
    struct xdp_lpm6 src;
    __u8 dst[16];
};

INLINE void count(__u32 what)
{
    __u64 *n = bpf_map_lookup_elem(&counts, &what);
    if (n)
        *n += 1;
}

/* Functions that are not inlined are verified by the kernel once, by themselves. */
#define APART __attribute__((noinline))

/* -- rates -- */

/* One cell: false when it is too far ahead. */
INLINE int cell_take(struct cells *t, __u32 i, __u64 now, __u64 gap, __u64 slack)
{
    if (i >= XDP_CELLS)
        return 1;
    __u64 at = t->at[i];
    if (at > now + slack)
        return 0;
    t->at[i] = (at > now ? at : now) + gap;
    return 1;
}

APART int rate_over(__u64 key, __u32 base, __u32 row, __u64 gap, __u64 slack)
{
    __u32 zero = 0;
    struct cells *t = bpf_map_lookup_elem(&rates, &zero);
    if (!t)
        return 0;
    __u64 now = bpf_ktime_get_coarse_ns(), h = xdp_mix(key);
    int one = cell_take(t, base + ((__u32)h & (row - 1)), now, gap, slack);
    int two = cell_take(t, base + row + ((__u32)(h >> 32) & (row - 1)), now, gap, slack);
    return !one && !two;
}

INLINE __u64 rate_key(const struct pkt *p, const struct xdp_cfg *c)
{
    return p->key ^ c->seed;
}

INLINE int source_over(const struct pkt *p, const struct xdp_cfg *c)
{
    return c->rate_gap && rate_over(rate_key(p, c), 0, XDP_RATE_CELLS, c->rate_gap, c->rate_slack);
}

#define LANE(p, c, k, hz, burst)                                                                   \
    (!rate_over(rate_key((p), (c)), XDP_LANE_AT(k), XDP_LANE_CELLS, 1000000000ull / (hz),          \
                1000000000ull / (hz) * (burst)))

/* -- who -- */

INLINE int exempt(const struct pkt *p, const struct xdp_cfg *c)
{
    if (!(c->flags & XDP_EXEMPT))
        return 0;
    if (p->v6)
        return bpf_map_lookup_elem(&exempt6, &p->src) != 0;
    struct xdp_lpm4 k = {32, {0}};
    __builtin_memcpy(k.ip, &p->src4, 4);
    return bpf_map_lookup_elem(&exempt4, &k) != 0;
}

/* A ban in force: where its hits are counted. */
struct found {
    __u64 cell;  /* of the table: line and way, from 1; 0: not there */
    __u64 *hits; /* of a trie */
};

/* The way of the key in that line, from 1; 0: not there. */
INLINE __u32 way_of(const struct xdp_line *l, __u64 key)
{
    __u32 way = 0;
    for (__u32 i = 0; i < XDP_WAYS; i++)
        way = l->cell[i].key == key ? i + 1 : way;
    return way;
}

APART __u64 cell_of(__u64 key, __u64 seed, __u32 lines)
{
    __u64 h = xdp_mix(key ^ seed);
    __u32 i = (__u32)h & (lines - 1);
    if (key == 0 || key == XDP_GONE) /* what free cells hold */
        return 0;
    const struct xdp_line *l = bpf_map_lookup_elem(&bans, &i);
    __u32 way = l ? way_of(l, key) : 0;
    if (l && !way && !way_of(l, 0)) {
        i = (__u32)(h >> 32) & (lines - 1);
        l = bpf_map_lookup_elem(&bans, &i);
        way = l ? way_of(l, key) : 0;
    }
    if (!l || !way)
        return 0;
    __u32 until = l->cell[(way - 1) & (XDP_WAYS - 1)].until & XDP_UNTIL_MAX;
    if (until && bpf_ktime_get_coarse_ns() >= until * 1000000000ull)
        return 0;
    return (__u64)i * XDP_WAYS + way;
}

APART int cell_hit(__u64 cell)
{
    __u32 i = (__u32)((cell - 1) / XDP_WAYS);
    struct xdp_line *l = bpf_map_lookup_elem(&bans, &i);
    if (l)
        __sync_fetch_and_add(&l->cell[(cell - 1) & (XDP_WAYS - 1)].hits, 1);
    return 0;
}

INLINE int net_of(const struct pkt *p, const struct xdp_cfg *c, struct found *ret_f)
{
    struct xdp_ban *b = 0;
    if (p->v6) {
        if (c->flags & XDP_NETS6)
            b = bpf_map_lookup_elem(&nets6, &p->src);
    } else if (c->flags & XDP_NETS4) {
        struct xdp_lpm4 k = {32, {0}};
        __builtin_memcpy(k.ip, &p->src4, 4);
        b = bpf_map_lookup_elem(&nets4, &k);
    }
    if (!b || (b->until && bpf_ktime_get_coarse_ns() >= b->until))
        return 0;
    ret_f->hits = &b->hits;
    return 1;
}

INLINE int banned(const struct pkt *p, const struct xdp_cfg *c, struct found *ret_f)
{
    ret_f->cell = cell_of(p->key, c->bans_seed, c->lines);
    return ret_f->cell || net_of(p, c, ret_f);
}

/* -- SIP over UDP: what the first bytes say -- */

struct head { /* no message is shorter */
    __u8 at[XDP_HEAD];
    __u64 emergency[XDP_NUMBERS];
};

INLINE int token(__u8 ch) /* RFC 3261 25.1: a bit for each character */
{
    __u64 set = ch < 64 ? 0x03ff6ca200000000ull : ch < 128 ? 0x47ffffff87fffffeull : 0;
    return set >> (ch & 63) & 1;
}

/* What any message begins with: a method, a space and a scheme; "SIP/2.0 "; or line ends before it.
 * Methods are any token; longer ones than 24 bytes begin none. */
APART int may_be_sip(const struct head *h)
{
    if (!h)
        return 0;
    if (h->at[0] == '\r' || h->at[0] == '\n')
        return 1;
    if (h->at[0] == 'S' && h->at[1] == 'I' && h->at[2] == 'P' && h->at[3] == '/')
        return h->at[4] == '2' && h->at[5] == '.' && h->at[6] == '0' && h->at[7] == ' ';
    for (int i = 0; i < 25; i++) {
        __u8 ch = h->at[i];
        if (ch == ' ') {
            __u8 scheme = h->at[i + 1] | 0x20;
            return i > 0 && scheme >= 'a' && scheme <= 'z';
        }
        if (!token(ch))
            return 0;
    }
    return 0;
}

/* Eight bytes as they lie in memory; of a literal, those that it has. */
INLINE __u64 word(const __u8 *q)
{
    __u64 w;
    __builtin_memcpy(&w, q, 8);
    return w;
}
#define BYTE(s, i)                                                                                 \
    ((i) < sizeof(s) - 1 ? (__u64)(__u8)(s)[(i) < sizeof(s) ? (i) : 0] << (8 * (i)) : 0)
#define WORD(s)                                                                                    \
    (BYTE(s, 0) | BYTE(s, 1) | BYTE(s, 2) | BYTE(s, 3) | BYTE(s, 4) | BYTE(s, 5) | BYTE(s, 6) |    \
     BYTE(s, 7))
#define IS(w, s)  (((w) & ~0ull >> (64 - 8 * (sizeof(s) - 1))) == WORD(s))
#define NO_CASE   0x2020202020202020ull
#define ISI(w, s) IS((w) | NO_CASE, s) /* s in lower case; bytes below 0x40 lose bit 5, too */

APART int urgent_number(const struct head *h, __u32 from)
{
    __u64 digits = 0;
    __u32 n = 0;
    if (!h || from > 16)
        return 0;
    if (h->at[from] == '+')
        from++;
    for (n = 0; n < 9; n++) {
        __u8 ch = h->at[from + n];
        if (ch < '0' || ch > '9')
            break;
        if (n == 8)
            return 0;
        digits |= (__u64)ch << (8 * n);
    }
    for (int i = 0; i < (int)XDP_NUMBERS && n; i++)
        if (h->emergency[i] == digits)
            return 1;
    return 0;
}

/* An INVITE to an emergency number or to urn:service:sos; or what belongs to a call that is there.
 * Looks at few bytes: the engines judge, and of banned ones let through emergency calls only. */
APART int urgent(const struct head *h)
{
    if (!h)
        return 0;
    __u64 w = word(h->at), u = word(h->at + 7), v = word(h->at + 15);
    if (IS(w, "SIP/2.0 ") || IS(w, "ACK ") || IS(w, "BYE ") || IS(w, "CANCEL ") || IS(w, "PRACK "))
        return 1;
    if (!IS(w, "INVITE "))
        return 0;
    if (ISI(u, "urn:serv"))
        return ISI(v, "ice:sos");
    if (ISI(u, "sip:") || ISI(u, "tel:"))
        return urgent_number(h, 11);
    return ISI(u, "sips:") ? urgent_number(h, 12) : 0;
}

/* -- verdicts: enum xdp_count -- */

INLINE __u32 sip_udp(const struct pkt *p, const struct xdp_cfg *c, int b)
{
    const __u8 *q = p->l4 + sizeof(struct udphdr);
    __u32 n = bpf_ntohs(((const struct udphdr *)p->l4)->len);
    struct head h;
    n = n >= 8 ? n - 8 : 0;
    if (q + XDP_HEAD > p->end) {
        if (b)
            return XDP_BANNED;
        if (n >= 2 && n <= 4 && q + 2 <= p->end && (q[0] == '\r' || q[0] == '\n') && !p->fragment)
            return source_over(p, c) ? XDP_RATE : XDP_PASS_SIP;
        return XDP_SHORT;
    }
    __builtin_memcpy(h.at, q, XDP_HEAD);
    __builtin_memcpy(h.emergency, c->emergency, sizeof h.emergency);
    __u32 why = b                   ? XDP_BANNED
                : p->fragment       ? XDP_FRAGMENT
                : n < c->sip_min    ? XDP_SHORT
                : n > c->sip_max    ? XDP_LONG
                : !may_be_sip(&h)   ? XDP_NOT_SIP
                : source_over(p, c) ? XDP_RATE
                                    : XDP_PASS_SIP;
    if ((why == XDP_BANNED || why == XDP_FRAGMENT || why == XDP_RATE) && urgent(&h) &&
        LANE(p, c, 0, XDP_LANE_UDP_HZ, XDP_LANE_UDP_BURST))
        return XDP_PASS_LANE;
    return why;
}

/* Connections carry what cannot be told apart here: a lane for all of it. */
INLINE __u32 sip_tcp(const struct pkt *p, const struct xdp_cfg *c, int b)
{
    const struct tcphdr *t = (const struct tcphdr *)p->l4;
    if ((const __u8 *)(t + 1) > p->end)
        return XDP_PASS_SIP;
    if (!b && !(t->syn && !t->ack && source_over(p, c)))
        return XDP_PASS_SIP;
    if (LANE(p, c, 1, XDP_LANE_TCP_HZ, XDP_LANE_TCP_BURST))
        return XDP_PASS_LANE;
    return b ? XDP_BANNED : XDP_RATE;
}

INLINE __u32 rtp(const struct pkt *p, const struct xdp_cfg *c, int b, __u16 port)
{
    __u32 zero = 0;
    const struct bytes65536 *open = bpf_map_lookup_elem(&media, &zero);
    const __u8 *q = p->l4 + sizeof(struct udphdr);
    __u8 state = open ? open->at[port] : XDP_OPEN | XDP_OPEN_ANY;
    if (b) /* an emergency call needs its sound, and only calls open ports */
        return state && LANE(p, c, 2, XDP_LANE_MEDIA_HZ, XDP_LANE_MEDIA_BURST) ? XDP_PASS_LANE
                                                                               : XDP_BANNED;
    if (!state)
        return XDP_NO_SESSION;
    if (!(state & XDP_OPEN_ANY) && (q + 8 > p->end || (q[0] & 0xc0) != 0x80))
        return XDP_NOT_RTP;
    return XDP_PASS_MEDIA;
}

INLINE int carry_out(const struct pkt *p, const struct xdp_cfg *c, const struct found *f,
                     __u32 verdict)
{
    if (verdict < XDP_DROPS && exempt(p, c))
        verdict = XDP_PASS_EXEMPT;
    count(verdict);
    if (verdict >= XDP_DROPS)
        return XDP_PASS;
    if (c->flags & XDP_DRY) {
        count(XDP_PASS_DRY);
        return XDP_PASS;
    }
    if (f->cell)
        cell_hit(f->cell);
    else if (f->hits)
        __sync_fetch_and_add(f->hits, 1);
    return XDP_DROP;
}

/* -- layers below -- */

INLINE int ours(const struct pkt *p, const struct xdp_cfg *c)
{
    return c->flags & XDP_ANY_LOCAL || bpf_map_lookup_elem(&local, p->dst) != 0;
}

INLINE int read4(struct pkt *p, __u8 *q)
{
    const struct iphdr *ip = (const struct iphdr *)q;
    if ((__u8 *)(ip + 1) > p->end || ip->version != 4 || ip->ihl < 5)
        return 0;
    __u16 frag = bpf_ntohs(ip->frag_off);
    if (frag & 0x1fff)
        return 0; /* has no ports; without its first part it comes to nothing */
    p->fragment = (frag & 0x2000) != 0;
    p->proto = ip->protocol;
    p->src4 = ip->saddr;
    p->key = xdp_key4(ip->saddr);
    __builtin_memset(p->dst, 0, 10);
    p->dst[10] = p->dst[11] = 0xff;
    __builtin_memcpy(p->dst + 12, &ip->daddr, 4);
    p->l4 = q + ip->ihl * 4u;
    return 1;
}

INLINE int read6(struct pkt *p, __u8 *q)
{
    const struct ipv6hdr *ip = (const struct ipv6hdr *)q;
    if ((__u8 *)(ip + 1) > p->end || ip->version != 6)
        return 0;
    p->v6 = 1;
    __builtin_memcpy(&p->key, &ip->saddr, 8);
    __builtin_memcpy(p->src.ip, &ip->saddr, 16);
    p->src.bits = 128;
    __builtin_memcpy(p->dst, &ip->daddr, 16);
    __u8 next = ip->nexthdr;
    q += sizeof *ip;
    for (int i = 0; i < EXTENSIONS; i++) {
        if (next == IPPROTO_UDP || next == IPPROTO_TCP)
            break;
        if (q + 8 > p->end)
            return 0;
        if (next == IPPROTO_FRAGMENT) {
            __u16 off = (__u16)(q[2] << 8 | q[3]);
            if (off & 0xfff8)
                return 0;
            p->fragment = p->fragment || (off & 1);
            next = q[0];
            q += 8;
        } else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
            next = q[0];
            q += (q[1] + 1u) * 8u;
        } else {
            return 0;
        }
    }
    p->proto = next;
    p->l4 = q;
    return 1;
}

INLINE __u8 *link_end(struct pkt *p, __u8 *q, __u16 *ret_type)
{
    const struct ethhdr *eth = (const struct ethhdr *)q;
    if ((__u8 *)(eth + 1) > p->end)
        return 0;
    __u16 type = eth->h_proto;
    q = (__u8 *)(eth + 1);
    for (int i = 0; i < VLANS; i++) {
        if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
            break;
        if (q + 4 > p->end)
            return 0;
        __builtin_memcpy(&type, q + 2, 2);
        q += 4;
    }
    *ret_type = type;
    return q;
}

INLINE int shield(struct xdp_md *ctx)
{
    struct pkt p = {0};
    __u16 type = 0;
    __u32 zero = 0;
    p.end = (__u8 *)(long)ctx->data_end;
    __u8 *q = link_end(&p, (__u8 *)(long)ctx->data, &type);
    if (!q)
        return XDP_PASS;
    if (type == bpf_htons(ETH_P_IP) ? !read4(&p, q)
                                    : type != bpf_htons(ETH_P_IPV6) || !read6(&p, q))
        return XDP_PASS;
    if ((p.proto != IPPROTO_UDP && p.proto != IPPROTO_TCP) || p.l4 + sizeof(struct udphdr) > p.end)
        return XDP_PASS;
    __u16 port = bpf_ntohs(((const struct udphdr *)p.l4)->dest);
    const struct bytes65536 *by_port = bpf_map_lookup_elem(&sip, &zero);
    const struct xdp_cfg *c = bpf_map_lookup_elem(&cfg, &zero);
    if (!by_port || !c)
        return XDP_PASS;
    __u8 want = p.proto == IPPROTO_UDP ? XDP_UDP : XDP_TCP;
    int is_sip = (by_port->at[port] & want) != 0;
    int is_media = want == XDP_UDP && port >= c->media_min && port <= c->media_max;
    if ((!is_sip && !is_media) || !ours(&p, c))
        return XDP_PASS;
    struct found f = {0};
    int b = banned(&p, c, &f);
    __u32 verdict = !is_sip           ? rtp(&p, c, b, port)
                    : want == XDP_UDP ? sip_udp(&p, c, b)
                                      : sip_tcp(&p, c, b);
    return carry_out(&p, c, &f, verdict);
}

#ifndef SHIELD_BENCH
SEC("xdp")
int ringwall(struct xdp_md *ctx)
{
    return shield(ctx);
}
#endif
char _license[] SEC("license") = "Apache-2.0";
