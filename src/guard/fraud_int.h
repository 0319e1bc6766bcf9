/* Inside of guard/fraud: the rows and what is added up in them. An identity's row lies in the shard
 * of one engine, its home (fraud_home), which alone writes it; others read it under its sequence
 * number, and what is said of all identities is the sum over the shards. */
#ifndef GUARD_FRAUD_INT_H
#define GUARD_FRAUD_INT_H
#include "base/seq.h"
#include "guard/fraud.h"
#include "wire/tel/number.h"

#define WAYS         8u    /* rows that a key may be in */
#define SLOTS        84u   /* two hours each, over the week */
#define COUNTRIES    16u   /* remembered of an identity */
#define PREFIXES     24u   /* of six digits, remembered of an identity */
#define PLACES       6u    /* countries that somebody calls or registers from */
#define BAITS        6u    /* calls that came in from unusual places */
#define RANGES_HOT   4u    /* ranges talked to most of a day */
#define SYSTEM_SLOTS 1024u /* prefixes, over all identities */
#define HOUR_US      INT64_C(3600000000)
#define DAY_US       (24 * HOUR_US)
#define MONEY_UNIT   INT64_C(1000000)

struct country_seen {
    uint16_t country;
    uint16_t day;     /* of the first call that was answered */
    uint16_t last;    /* day of the last one */
    uint16_t told;    /* steps that have scored */
    uint32_t seconds; /* while it is new */
};
struct hot { /* talked to one prefix today */
    uint32_t prefix, seconds;
    uint16_t day, told; /* steps that have scored */
};
struct usual { /* counts of a span that runs, and what was usual: per span with calls, in 1/16 */
    uint32_t span, now, mean, peak;
};
struct row {
    uint32_t seq;
    uint32_t open_min;                 /* minute of the last change of open */
    uint64_t key;                      /* from here on emptied when somebody else gets the row */
    int64_t seen_us, heat_us, lock_us; /* lock: the last one */
    uint32_t heat, slow; /* points in 1/16; half is lost in 12 hours, and in 10 days */
    uint32_t days, day;  /* days with calls; the last of them */
    struct usual calls, dear, mobile, mobile_d, spend_h,
        spend_d; /* spend: thousandths of the unit of money */
    uint32_t spend_told, spend_day_told, level_told, dear_told, mobile_told, mobile_day_told;
    uint8_t slot[SLOTS];      /* weeks in which there were calls then */
    uint16_t slot_day[SLOTS]; /* the last day that counted */
    struct country_seen countries[COUNTRIES];
    uint32_t prefixes[PREFIXES];
    uint8_t next_prefix, next_bait, open, open_dear;
    uint16_t runs, runs_dear; /* short calls one after the other */
    uint32_t fan_hour, fan_n, fan_told;
    uint32_t odd_day;        /* when the hour last scored */
    uint32_t new_day, new_n; /* calls to countries that are new today */
    uint32_t last_new;       /* number prefix that scored last as new */
    uint64_t numbers[4];     /* numbers called this hour, as bits */
    struct hot hot[RANGES_HOT];
    uint32_t bait[BAITS];
    int64_t bait_us[BAITS];
    uint16_t place[PLACES], place_day[PLACES]; /* 0: free; last day */
    uint8_t place_days[PLACES];
    uint16_t at_place, two_told;
    int64_t place_us, forward_us;
    uint32_t forward, forward_day, forward_n;
    uint16_t signs; /* of the last call, for explain */
    uint16_t score;
    uint8_t act;
};
struct of_prefix { /* over all identities */
    uint32_t prefix, day, seconds, callers;
    uint32_t baits; /* calls that came from there today */
};
struct trunk_row {
    uint64_t key;
    uint32_t fast, slow; /* share of short calls, in 1/65536 */
    uint32_t n;
};
#define FRAUD_MAGIC UINT64_C(0x3153554152474e52)
struct of_all {              /* over all identities of a shard */
    int64_t began_us;        /* of the first event */
    uint16_t known[26 * 26]; /* identities that have talked to that country */
    struct of_prefix prefix[SYSTEM_SLOTS];
    struct trunk_row trunks[64];
};
struct fraud_shard { /* its writer's; the keys of the rows follow, and then the rows */
    uint64_t magic;
    uint32_t layout, rows; /* rows: a power of two, at least WAYS */
    struct of_all all;
    uint8_t pad[64 - (16 + sizeof(struct of_all)) % 64]; /* keys of WAYS rows: a cache line */
    uint64_t key[];                                      /* 0: free */
};
struct fraud {
    struct fraud_policy p;
    struct sipkey k;
    uint64_t counted[SIGN_COUNT]; /* calls with that sign */
    uint64_t acted[FRAUD_LEVELS]; /* calls with that act */
    const void *blob;             /* ranges besides those of the policy */
    size_t blob_bytes;
    struct fraud_shard *own; /* NULL: behind this struct */
    const struct fraud_shard *shard[FRAUD_SHARDS];
    uint8_t n, me;   /* n 0: one, the own */
    struct row copy; /* of one at home elsewhere */
};
static inline struct fraud_shard *fraud_own(const struct fraud *f)
{
    uintptr_t behind = (uintptr_t)f + ((sizeof *f + 63) & ~(size_t)63); /* f is copied as bytes */
    return f->own ? f->own : (struct fraud_shard *)behind;
}
static inline struct row *fraud_rows_at(const struct fraud_shard *s, uint32_t rows)
{
    return (struct row *)(uintptr_t)(const void *)(s->key + rows);
}
#define ROW_NONE UINT32_MAX
/* In which of WAYS rows from the first of that hash on a key is; ROW_NONE. rows: what the reader
 * knows there to be, whatever the shard says. */
uint32_t fraud_find(const struct fraud_shard *s, uint32_t rows, uint64_t hash, uint64_t key);
/* The same, made if absent: in place of the one that was not seen for the longest time. *ret_other:
 * somebody else's until now. Its writing has begun (seq) if it was made. */
uint32_t fraud_take(struct fraud_shard *s, uint64_t hash, uint64_t key, int64_t now_us);
/* Nothing in it leads outside of it, or to a time that cannot be reckoned with. */
bool fraud_row_sound(const struct row *r);
uint64_t fraud_hash(const struct fraud *f, uint64_t key);
/* Weight of the longest range that covers that number (E.164 with '+'); 0: none. */
uint8_t fraud_range_weight(const struct fraud *f, struct str e164);
struct fraud_points {
    uint32_t heat; /* in 1/16, kept against the identity */
    uint32_t once; /* for this call only */
    uint16_t signs;
};
void fraud_signs(struct fraud *f, struct row *r, const struct fraud_event *e, int64_t now,
                 struct fraud_points *ret_x);
void fraud_fade(struct row *r, int64_t now_us);
/* Over all shards. */
uint32_t fraud_known(const struct fraud *f, uint16_t country);
struct of_prefix fraud_prefix(const struct fraud *f, uint32_t prefix);
int64_t fraud_began(const struct fraud *f);
/* Where a country is counted in all.known; UINT32_MAX: it is none. */
static inline uint32_t fraud_country_at(uint16_t country)
{
    unsigned a = (unsigned)(country >> 8) - 'A', b = (unsigned)(country & 255) - 'A';
    return a < 26 && b < 26 ? a * 26 + b : UINT32_MAX;
}
#endif
