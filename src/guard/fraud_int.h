/* Inside of guard/fraud: the rows and what is added up in them. */
#ifndef GUARD_FRAUD_INT_H
#define GUARD_FRAUD_INT_H
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
    uint64_t key;
    int64_t seen_us, heat_us;
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
struct fraud {
    struct fraud_policy p;
    struct sipkey k;
    int64_t began_us;             /* of the first event */
    uint32_t rows;                /* power of two, at least WAYS */
    uint16_t known[26 * 26];      /* identities that have talked to that country */
    uint64_t counted[SIGN_COUNT]; /* calls with that sign */
    uint64_t acted[FRAUD_LEVELS]; /* calls with that act */
    struct of_prefix prefix[SYSTEM_SLOTS];
    struct trunk_row trunks[64];
    const void *blob; /* ranges besides those of the policy */
    size_t blob_bytes;
    struct row row[];
};
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
struct row *fraud_row(struct fraud *f, uint64_t key, bool make, int64_t now_us);
#endif
