/* What the XDP program (bpf/shield.bpf.c) and its owner (xdp.c) share: the layout of its maps.
 * Included by both, so the kernel's types only. XDP_LAYOUT changes whenever anything here does:
 * pins of another layout are replaced, never read. */
#ifndef IO_XDP_MAP_H
#define IO_XDP_MAP_H
#include <linux/types.h>

#define XDP_LAYOUT 3u

/* Why a packet was dropped, or passed although something spoke against it. */
enum xdp_count {
    XDP_BANNED,
    XDP_RATE,       /* over its source's rate */
    XDP_FRAGMENT,   /* to a SIP port */
    XDP_SHORT,      /* to a SIP port */
    XDP_LONG,       /* to a SIP port */
    XDP_NOT_SIP,    /* first bytes that begin no SIP message */
    XDP_NO_SESSION, /* to a media port that nobody has now */
    XDP_NOT_RTP,    /* to a media port in use */
    XDP_DROPS,      /* how many of the above */
    XDP_PASS_SIP = XDP_DROPS,
    XDP_PASS_MEDIA,
    XDP_PASS_LANE,   /* would have been dropped: may belong to an emergency call */
    XDP_PASS_EXEMPT, /* would have been dropped: exempt */
    XDP_PASS_DRY,    /* would have been dropped: dry run */
    XDP_COUNTS
};

enum xdp_flag {
    XDP_ANY_LOCAL = 1, /* every destination is ours: a listener on the wildcard address */
    XDP_DRY = 2,
    XDP_EXEMPT = 4, /* there are exempt prefixes */
    XDP_NETS4 = 8,  /* there are banned prefixes other than /32 */
    XDP_NETS6 = 16, /* and other than /64 */
};
enum xdp_port { XDP_UDP = 1, XDP_TCP = 2 }; /* bits by SIP port */
/* By media port: 0 without a session, else who has it (an engine's mark), and */
#define XDP_OPEN     1u
#define XDP_OPEN_ANY 0x80u /* not RTP and RTCP alone: STUN, DTLS */

#define XDP_HEAD    40u /* bytes of a SIP message that are looked at: none is shorter */
#define XDP_NUMBERS 8u
struct xdp_cfg {
    __u32 layout, flags;
    __u64 seed;       /* of the table of rates */
    __u64 rate_gap;   /* ns between packets of a source at its rate; 0: no limit */
    __u64 rate_slack; /* ns that it may be ahead: burst times gap */
    __u32 sip_min, sip_max;
    __u16 media_min, media_max;
    __u32 lines; /* of bans; a power of two */
    __u32 turn;  /* of the owner, below 16 */
    __u32 pad;
    __u64 bans_seed;              /* of their hash; stays while the table does */
    __u64 emergency[XDP_NUMBERS]; /* up to eight digits each as they lie in memory, zero-padded */
};

/* Bans of prefixes other than /32 and /64: in tries, which are slow and mostly empty. */
struct xdp_ban {
    __u64 until; /* CLOCK_MONOTONIC ns; 0: until released */
    __u64 hits;
    __u32 turn; /* start of the owner that put it: what an earlier one left is found by it */
    __u32 pad;
};
/* Bans of an IPv4 address or an IPv6 /64: a table of cache lines, so that a packet of a banned
 * source costs one miss however many are banned, its count of hits included. A key lies in the line
 * that its hash names, or, when that one has no empty cell, in a second one. A line that was full
 * once stays so (cells are given free as XDP_GONE), or what lies in second lines would be lost. The
 * owner writes through a mapping: first the rest of a cell, then its key. */
#define XDP_GONE       0xffffffffffffffffull /* a free cell that was taken once */
#define XDP_TURN_SHIFT 28u                   /* of until: the turn above, seconds below */
#define XDP_UNTIL_MAX  ((1u << XDP_TURN_SHIFT) - 1)
struct xdp_cell {
    __u64 key;   /* xdp_key4 or 6; 0: empty */
    __u32 until; /* CLOCK_MONOTONIC s, 0: until released; and the owner's turn, 4 bits */
    __u32 hits;
};
#define XDP_WAYS 4u
struct xdp_line {
    struct xdp_cell cell[XDP_WAYS];
} __attribute__((aligned(64)));

static inline __attribute__((always_inline)) __u64 xdp_mix(__u64 h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ull;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ull;
    return h ^ h >> 32;
}
/* Of the four bytes as they lie in the packet: like nobody's /64. */
static inline __attribute__((always_inline)) __u64 xdp_key4(__u32 wire)
{
    return (__u64)wire << 32 | 0xffff0000u;
}

struct xdp_lpm4 {
    __u32 bits;
    __u8 ip[4];
};
struct xdp_lpm6 {
    __u32 bits;
    __u8 ip[16];
};

/* The slow lanes of those who are banned or over their rate, for what an emergency call needs:
 * packets a second of one source, and burst. */
#define XDP_LANE_UDP_HZ      5u
#define XDP_LANE_UDP_BURST   20u
#define XDP_LANE_TCP_HZ      10u
#define XDP_LANE_TCP_BURST   30u
#define XDP_LANE_MEDIA_HZ    120u
#define XDP_LANE_MEDIA_BURST 60u

/* Rates are kept in a table of fixed size, whatever number of sources there is: a source has a cell
 * in each of two rows, and is over its rate when both are. Cells hold the time at which the source
 * will be level again (GCRA), so they decay by themselves, and a race loses a packet's worth. */
#define XDP_RATE_CELLS 65536u /* a row */
#define XDP_LANE_CELLS 8192u
#define XDP_CELLS      (2u * XDP_RATE_CELLS + 3u * 2u * XDP_LANE_CELLS)
#define XDP_LANE_AT(k) (2u * XDP_RATE_CELLS + (k)*2u * XDP_LANE_CELLS)
#endif
