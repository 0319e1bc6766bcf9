/* Prices: rate decks (a prefix and what calls to it cost, from when to when) compiled into one
 * flat, pointer-free, immutable blob; built-in conservative prices by class where no deck says
 * anything. Money is in millionths of the currency, as int64. A lookup is the longest prefix that
 * is valid at that time: at most 15 probes, no allocation, whatever the number of prefixes (1
 * million). */
#ifndef GUARD_RATES_H
#define GUARD_RATES_H
#include "base/err.h"
#include "base/instant.h"
#include "base/str.h"

#define RATES_MAGIC 0x52575254u
#define RATES_DECKS 16u
struct rate {
    int64_t setup_micro, minute_micro;
    uint16_t minimum_s, increment_s; /* 60/60, 1/1... never 0 */
    bool builtin;                    /* no deck: by class */
    uint32_t line;                   /* of the deck's file; 0 */
    uint8_t deck, prefix_n;
};
struct rates; /* the blob */
/* Builder: entries in any order. ERR_FULL: the blob's room is too small (ask rates_bytes first);
 * ERR_EXISTS: the same prefix and time twice in a deck. */
struct rates_entry {
    char prefix[16]; /* 1 to 15 digits without '+', terminated */
    uint8_t deck;    /* from 1, as in the policy */
    struct rate rate;
    struct wall from, until; /* 0: always; of those valid at a time the one that began last */
};
size_t rates_bytes(size_t n);
MUST_CHECK enum err rates_build(const struct rates_entry *v, size_t n, void *mem, size_t bytes,
                                size_t *reterr_i);
MUST_CHECK enum err rates_valid(const struct rates *r, size_t bytes);
uint32_t rates_count(const struct rates *r);
/* e164 with or without '+'. r may be NULL. false: no deck knows it (then the price is by class:
 * rate_of_class). */
bool rates_find(const struct rates *r, uint8_t deck, struct str e164, struct wall at,
                struct rate *ret_r);
/* In order of deck and digits: *it from 0; false at the end. */
bool rates_next(const struct rates *r, uint32_t *it, struct rates_entry *ret_e);
struct rate rate_of_class(uint8_t number_class); /* enum number_class; of no deck: 60/60 */
/* What that many seconds cost, minimum and increment applied; 0 s: nothing (unanswered). Saturates.
 */
int64_t rate_price(const struct rate *r, uint32_t seconds);
/* Seconds that may be talked for that much; UINT32_MAX if it is free. */
uint32_t rate_seconds(const struct rate *r, int64_t micro);
#endif
