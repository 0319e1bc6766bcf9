/* The blob of rules: one block of bytes without pointers. app/rules/compile.c writes it,
 * rules_valid checks every number in it once, the other files of guard/rules*.c read it after that.
 * Parts are arrays; `at` counts bytes from the start of the blob. */
#ifndef GUARD_RULES_BLOB_H
#define GUARD_RULES_BLOB_H
#include "guard/rules.h"

#define RULES_MAGIC      0x31535552u
#define RULES_VERSION    1u
#define RULES_MAX        65536u /* rules of a blob */
#define RULES_CONDS_MAX  48u    /* conditions of one rule */
#define RULES_NETS_MAX   256u   /* addresses or ports of one side of a rule */
#define RULES_BITS       64u    /* names of flowbits of a blob */
#define RULES_LITERAL    1024u  /* bytes of a content */
#define RULES_BYTES_MAX  (256u << 20)
#define RULES_GRAMS      32768u /* heads of the plain scanner's chains */
#define RULES_NO_PATTERN UINT32_MAX
#define RULES_NOT_RUN    0xffffu

enum rules_part_id {
    PART_RULE,
    PART_COND,
    PART_NET,
    PART_PORT,
    PART_PATTERN, /* what is scanned for; those of SIP first, then those of RTP */
    PART_USER,    /* rules of a pattern: u32 each */
    PART_ALWAYS,  /* rules that no pattern can call: u32 each */
    PART_EXPR,
    PART_TEXT, /* bytes */
    PART_HEAD, /* plain scanner: u32 RULES_GRAMS each for SIP and RTP, or none */
    PART_MAP,  /* the same as a bit each, u64: small enough to stay in the nearest cache */
    PART_LIB,  /* two databases of the library that scans (SIP, RTP), bytes; may be empty */
    PART_COUNT
};
struct rules_slice {
    uint32_t at;
    uint32_t n;
};
struct rules_part {
    uint32_t at, n; /* n: elements */
};
struct rules {
    uint32_t magic, version;
    uint64_t bytes;
    uint64_t salt[2]; /* of the hashes in the tables of thresholds */
    struct rules_part part[PART_COUNT];
    uint32_t sip_patterns; /* of PART_PATTERN; the rest is RTP's */
    uint32_t pad;
    struct rules_slice lib[2]; /* databases in PART_LIB: SIP, RTP */
    uint32_t n_limits;         /* rules with threshold or detection_filter */
    uint32_t n_bits;           /* flowbits */
    uint32_t n_rtp;            /* rules for packets of media */
    uint32_t n_disabled;       /* in the files, commented out */
};

/* What a condition looks at. Order: those of the message line first. */
enum rules_buffer {
#define B(id, name, legacy, multi) BUF_##id,
#include "guard/rules_buffers.def"
#undef B
    BUF_COUNT
};
enum rules_cond_kind { COND_CONTENT, COND_PCRE, COND_DATA_AT, COND_SIZE, COND_KINDS };
enum rules_cond_flag {
    CF_NEGATED = 1,
    CF_NOCASE = 2, /* the text is stored in lower case */
    CF_RELATIVE = 4,
    CF_WITHIN = 8, /* limit counts: within (relative) or depth */
    CF_STARTS = 16,
    CF_ENDS = 32,
    CF_FIRST = 64,   /* begins a group: conditions that hold for one and the same buffer */
    CF_RETRIED = 128 /* a later one is relative to it: its other places may have to be tried */
};
enum rules_size_op { SIZE_EQ, SIZE_NE, SIZE_LT, SIZE_GT, SIZE_LE, SIZE_GE, SIZE_BETWEEN, SIZE_OPS };
struct rules_cond {
    uint8_t kind, flags, buffer, op; /* op: SIZE */
    int32_t offset;                  /* offset or distance; DATA_AT, SIZE: the number */
    uint32_t limit; /* depth (counted from offset) or within; SIZE_BETWEEN: upper */
    uint32_t text;  /* CONTENT: in PART_TEXT; PCRE: number of PART_EXPR */
    uint32_t text_n;
};
struct rules_net {
    uint8_t family, negated, pad[2];
    uint8_t lo[16], hi[16]; /* IPv4 in the first four bytes */
};
struct rules_port {
    uint16_t lo, hi;
    uint8_t negated, pad[3];
};
enum rules_proto_bit { RP_UDP = 1, RP_TCP = 2, RP_TLS = 4, RP_RTP = 8 };
enum rules_flow_bit { RF_TO_SERVER = 1, RF_TO_CLIENT = 2, RF_EST = 4, RF_NOT_EST = 8 };
enum rules_limit_type { LIMIT_NONE, LIMIT_LIMIT, LIMIT_THRESHOLD, LIMIT_BOTH, LIMIT_FILTER };
enum rules_track { TRACK_SRC, TRACK_DST, TRACK_BOTH, TRACK_RULE, TRACK_FLOW, TRACKS };
struct rules_limit {
    uint8_t type, track, pad[2];
    uint32_t count, seconds;
};
struct rules_rule {
    uint32_t sid, rev, gid;
    struct rules_slice msg, classtype; /* PART_TEXT */
    struct rules_slice conds, src, dst, sport, dport;
    uint8_t action, severity, weight, protos;
    uint8_t flow, both_ways, noalert, size_op;
    uint32_t size_a, size_b;     /* dsize; size_op SIZE_OPS: none */
    struct rules_limit limit[2]; /* detection_filter and threshold */
    uint64_t buffers;            /* those that must be there, a bit each */
    uint64_t bits_set, bits_unset, bits_toggle, bits_isset, bits_isnotset;
};
struct rules_pattern {
    uint32_t text;
    uint16_t text_n;
    uint8_t nocase, gram; /* gram: where in it the plain scanner's three bytes are */
    uint32_t next;        /* in its chain; above its own number */
    struct rules_slice users;
};
enum rules_expr_flag {
    EXPR_I = 1,
    EXPR_M = 2,
    EXPR_S = 4,
    EXPR_X = 8,
    EXPR_A = 16,
    EXPR_E = 32,
    EXPR_G = 64,
    EXPR_FIND = 128
};
struct rules_expr {
    struct rules_slice text;
    uint32_t flags;         /* FIND: where it ends is asked for */
    struct rules_slice lib; /* in PART_LIB: a database of its own; n 0: none */
};

/* -- reading; only after rules_valid -- */
size_t rules_part_size(enum rules_part_id p); /* bytes of an element */
static inline const void *rules_at(const struct rules *r, enum rules_part_id p)
{
    return (const uint8_t *)r + r->part[p].at;
}
static inline const struct rules_rule *rules_rule_at(const struct rules *r, uint32_t i)
{
    return (const struct rules_rule *)rules_at(r, PART_RULE) + i;
}
static inline const struct rules_pattern *rules_pattern_at(const struct rules *r, uint32_t i)
{
    return (const struct rules_pattern *)rules_at(r, PART_PATTERN) + i;
}
static inline const struct rules_expr *rules_expr_at(const struct rules *r, uint32_t i)
{
    return (const struct rules_expr *)rules_at(r, PART_EXPR) + i;
}
static inline struct str rules_text(const struct rules *r, uint32_t at, uint32_t n)
{
    return str_of((const char *)rules_at(r, PART_TEXT) + at, n);
}
/* Bytes of a database of the library: 0 SIP, 1 RTP; or of an expression. */
struct str rules_lib(const struct rules *r, unsigned set);
struct str rules_expr_lib(const struct rules *r, uint32_t expression);

uint32_t rules_gram(const char *p); /* of three bytes, letters without case; below RULES_GRAMS */
const char *rules_buffer_name(enum rules_buffer b);
const char *rules_buffer_legacy(enum rules_buffer b); /* or "" */
bool rules_buffer_multi(enum rules_buffer b);         /* a message may have several of them */
#endif
