/* Fraud by behaviour: what an identity or trunk usually does, and calls that do not fit: level,
 * hour of the week, destinations; fan-out to new prefixes, many short calls, call-back baits
 * (Wangiri), traffic pumping, SIM boxes, calls from two far places, forwarding just before a burst,
 * ranges of ill repute. Fixed memory, time is an argument: the same code judges live calls, a
 * history of call records (`ringwall fraud replay`) and the simulated organisation of the bench. */
#ifndef GUARD_FRAUD_H
#define GUARD_FRAUD_H
#include "base/err.h"
#include "base/instant.h"
#include "base/out.h"
#include "base/reasons.h"
#include "base/siphash.h"
#include "base/str.h"

enum fraud_act {
    FRAUD_LOG,
    FRAUD_NOTIFY,
    FRAUD_STEP_UP,
    FRAUD_REFUSE,
    FRAUD_CUT,
    FRAUD_LOCK /* the identity makes no outside calls until released */
};
enum fraud_sign {
    SIGN_LEVEL,
    SIGN_HOUR,
    SIGN_DESTINATION, /* never called country or prefix */
    SIGN_FAN_OUT,
    SIGN_SHORT_CALLS,
    SIGN_CALL_BACK,
    SIGN_PUMPING,
    SIGN_SIM_BOX,
    SIGN_TWO_PLACES,
    SIGN_FORWARD,
    SIGN_RANGE,
    SIGN_SPEND,
    SIGN_COUNT
};
struct str fraud_sign_name(enum fraud_sign s);
struct str fraud_act_name(enum fraud_act a);
#define FRAUD_LEVELS 6u
#define FRAUD_RANGES 1024u
struct fraud_range { /* numbers that begin so */
    uint32_t digits; /* without '+': as a number, */
    uint8_t n;       /* of so many digits, 1 to 9 */
    uint8_t weight;  /* percent of the sign's weight; 0: this range is known to be good */
};
struct fraud_policy {
    bool dry_run;
    uint16_t off_signs;                      /* bit per sign that is not judged */
    uint16_t level[FRAUD_LEVELS];            /* score from which that act is taken; 0: never */
    uint16_t weight[SIGN_COUNT];             /* 0: the built-in one */
    uint32_t lock_s;                         /* 0: until released */
    uint16_t n_ranges;                       /* besides the built-in ones, and before them */
    bool seed_off;                           /* without the built-in ranges */
    struct fraud_range ranges[FRAUD_RANGES]; /* by n, then digits */
};
uint16_t fraud_weight_default(enum fraud_sign s);
/* Puts a range in its place. ERR_FULL; ERR_EXISTS; ERR_SYNTAX: no 1 to 9 digits (a '+' may
 * precede), ERR_RANGE: weight over 250. */
MUST_CHECK enum err fraud_range_add(struct fraud_policy *p, struct str digits, uint32_t weight);
/* Built-in ranges: digits, percent and why. NULL at the end. */
const char *fraud_seed_at(uint32_t i, uint8_t *ret_weight, const char **ret_why);
void fraud_policy_default(struct fraud_policy *p);
MUST_CHECK enum err fraud_policy_valid(const struct fraud_policy *p);
static inline bool fraud_off(const struct fraud_policy *p) /* no sign is judged */
{
    return (p->off_signs & ((1u << SIGN_COUNT) - 1)) == (1u << SIGN_COUNT) - 1;
}

enum fraud_what {
    FRAUD_ATTEMPT,
    FRAUD_ANSWERED,
    FRAUD_ENDED,
    FRAUD_REGISTERED,
    FRAUD_FORWARDED,
    FRAUD_INBOUND
};
struct fraud_event {
    struct wall at;
    uint64_t identity, trunk; /* 0: none */
    uint64_t session;
    int64_t micro;           /* ENDED: what it cost; ATTEMPT: per minute */
    uint32_t seconds;        /* ENDED */
    uint16_t code;           /* ENDED: SIP status */
    uint16_t country;        /* of the number called */
    uint16_t source_country; /* of the caller's address; 0: unknown or private */
    uint8_t what, kind;      /* enum fraud_what; enum number_class */
    uint8_t off_hours;       /* not 0: it is */
    char number[20];         /* E.164 with '+', terminated */
};
struct fraud_verdict {
    uint16_t score;
    uint16_t signs; /* bits */
    uint8_t act;    /* enum fraud_act; with dry_run what it would be */
    bool dry;
    bool again;     /* LOCK, and it was said within the last minute */
    bool elsewhere; /* at home in engine `home`: tell that one the event too, it has learned nothing
                       here. Only ATTEMPT was judged, by a copy of the row there */
    uint8_t home;
};
struct fraud;
size_t fraud_bytes(uint32_t identities); /* 0: its shard is elsewhere (fraud_shards) */
/* mem zeroed, keeps. */
struct fraud *fraud_init(void *mem, uint32_t identities, const struct fraud_policy *p,
                         const struct sipkey *k);
void fraud_policy_set(struct fraud *f, const struct fraud_policy *p);
/* O(1); of a row elsewhere a copy of 1.5 kB more. ATTEMPT is judged before the call goes out, the
 * others tell what became of it. */
void fraud_step(struct fraud *f, const struct fraud_event *e, struct fraud_verdict *ret_v);
/* More ranges of ill repute than a policy holds: struct fraud_range by n, then digits. */
MUST_CHECK enum err fraud_ranges_valid(const void *blob, size_t bytes);
void fraud_ranges_set(struct fraud *f, const void *blob, size_t bytes); /* keeps; NULL: none */
/* Released: what was held against it is forgotten, what is usual for it is kept. False: not at home
 * here, or not known. */
bool fraud_release(struct fraud *f, uint64_t identity);
/* {"signs":{name:calls},"acts":{name:calls}} */
void fraud_counts_json(const struct fraud *f, struct out *o);
void fraud_explain_json(const struct fraud *f, uint64_t identity, struct wall now, struct out *o);

/* What is usual, in shared memory that outlives its engine: one shard an engine, its own to write,
 * the others' to read. Each identity is at home in one of them. */
#define FRAUD_SHARDS 32u
struct fraud_shard;
size_t fraud_shard_bytes(uint32_t identities);
void fraud_shard_begin(struct fraud_shard *s, size_t bytes); /* mem zeroed */
/* Is it one of that size? ERR_SYNTAX: begin anew. */
MUST_CHECK enum err fraud_shard_valid(const struct fraud_shard *s, size_t bytes);
/* As found after its engine died: calls that it had are over, a row in the midst of a write counts
 * as written or, where it makes no sense, is forgotten. How many were. */
uint32_t fraud_shard_adopt(struct fraud_shard *s);
/* Before the first step. v: n shards of `bytes`, v[me] is own; keeps all. Of others nothing is
 * believed. ERR_RANGE. */
MUST_CHECK enum err fraud_shards(struct fraud *f, struct fraud_shard *own,
                                 const struct fraud_shard *const *v, size_t bytes, uint8_t n,
                                 uint8_t me);
uint8_t fraud_home(const struct fraud *f, uint64_t identity);
/* Keeping it in a file: records of fixed size, one for what is said of all and one a row. Nothing
 * in a shard or a record is believed. */
#define FRAUD_LAYOUT 1u /* grows with every change of a record */
size_t fraud_all_bytes(void);
size_t fraud_row_bytes(void);
void fraud_all_get(const struct fraud_shard *s, void *ret);
/* *it from 0. false: no more. */
bool fraud_row_next(const struct fraud_shard *s, size_t bytes, uint32_t *it, void *ret);
/* Into the shards of a gateway that starts, nobody writes yet. ERR_SYNTAX: it is none; ERR_FULL. */
MUST_CHECK enum err fraud_all_put(struct fraud_shard *s, const void *rec);
MUST_CHECK enum err fraud_row_put(struct fraud_shard *const *v, size_t bytes, uint8_t n,
                                  const struct sipkey *k, const void *rec);
#endif
