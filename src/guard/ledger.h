/* The ledger: calls at once, attempts, minutes and money by identity, device, role, class, country,
 * prefix, trunk and the whole system. One shard an engine in shared memory: its engine alone
 * writes, all read. A call first writes its reservation into the own shard and then adds up all
 * shards; over a cap it takes it back. So caps hold exactly over engines that reserve at the same
 * moment (both may be refused, never both let in too many). Fixed memory: ledger_share.
 *
 * What a call holds is reserved at set-up, grows slice by slice while it runs, and becomes spent or
 * is given back at its end, however it ends. A shard whose engine died keeps what was spent and
 * counts what was reserved as spent (ledger_adopt). */
#ifndef GUARD_LEDGER_H
#define GUARD_LEDGER_H
#include "base/err.h"
#include "base/instant.h"
#include "base/reasons.h"
#include "base/siphash.h"
#include "guard/rates.h"

/* Caps; 0: none. Micro: millionths of the currency. Index 0 hour, 1 day, 2 month. */
enum span_of_time { SPAN_HOUR, SPAN_DAY, SPAN_MONTH, SPAN_COUNT };
struct caps {
    uint16_t calls;        /* at once, to the outside */
    uint16_t attempts_min; /* a minute */
    uint32_t call_s;       /* longest call */
    int64_t call_micro;    /* dearest call */
    uint32_t seconds[SPAN_COUNT];
    int64_t micro[SPAN_COUNT];
};
enum ledger_kind {
    LEDGER_IDENTITY,
    LEDGER_DEVICE,
    LEDGER_ROLE,
    LEDGER_CLASS,
    LEDGER_COUNTRY,
    LEDGER_PREFIX,
    LEDGER_TRUNK,
    LEDGER_SYSTEM,
    LEDGER_KINDS
};
#define LEDGER_KEYS    LEDGER_KINDS
#define LEDGER_SHARDS  32u
#define LEDGER_SLICE_S 60u                           /* reserved ahead while a call runs */
void caps_default(struct caps *c, struct caps *off); /* of an untouched install: 2 calls at once, a
                                                        small daily sum, off-hours lower */
struct ledger_shard;
size_t ledger_bytes(uint32_t rows); /* of a shard */
uint32_t ledger_rows(size_t bytes); /* that fit */
/* Rows of one of so many shards: an identity and a device each at 5/8 full, every identity at home
 * in one engine (call/owner.c) with half as many more for calls that come to others, and what
 * countries, prefixes, trunks and the like need. */
uint32_t ledger_share(uint32_t identities, uint32_t shards);
void ledger_begin(struct ledger_shard *s, uint32_t rows, const struct sipkey *k); /* mem zeroed */
/* Is it a shard of that size? ERR_SYNTAX: begin anew; ledger_adopt needs it to be one. */
MUST_CHECK enum err ledger_valid(const struct ledger_shard *s, size_t bytes);
/* The own shard as found after a crash: nothing runs, what was reserved is spent. */
void ledger_adopt(struct ledger_shard *s, struct wall now);

struct ledger { /* an engine's view; readers trust nothing of another's shard */
    struct ledger_shard *own;
    const struct ledger_shard *shard[LEDGER_SHARDS];
    size_t bytes[LEDGER_SHARDS];
    uint8_t n;
};
struct ledger_key {
    uint64_t key;            /* ledger_key_of */
    const struct caps *caps; /* NULL: only counted */
    uint8_t kind;
};
uint64_t ledger_key_of(const struct sipkey *k, enum ledger_kind kind, struct str name);
/* Of so many engines the one where that identity is at home: its calls go there, its rows and its
 * habits lie there. n >= 1. */
static inline uint8_t ledger_home(uint64_t identity, uint8_t n)
{
    return (uint8_t)((identity ^ identity >> 32) % n);
}
struct ledger_hold { /* what one call holds; zeroed: nothing */
    uint8_t n, kind[LEDGER_KEYS];
    uint32_t row[LEDGER_KEYS];
    uint64_t key[LEDGER_KEYS];
    struct rate rate;
    uint32_t reserved_s, spent_s;
    int64_t reserved_micro, spent_micro;
    uint32_t left_s; /* of the whole call by its caps when it was asked last */
    int64_t began_us;
};
struct ledger_refusal {
    uint8_t kind;
    uint64_t key;
    int64_t used, cap;
};
/* A call wants out: an attempt for each key, and one more call with its first slice. REASON_NONE,
 * or fraud_calls, fraud_attempts, fraud_minutes, fraud_money, fraud_call_money, capacity_ledger:
 * then nothing is held. */
enum reason ledger_reserve(struct ledger *l, const struct ledger_key *v, uint8_t n,
                           const struct rate *rate, struct wall now, struct ledger_hold *ret_h,
                           struct ledger_refusal *ret_r);
/* It has been answered or runs on, seconds since the answer: spends them, reserves the next slice
 * up to the caps. *ret_next_s: when (seconds since the answer) to come again; where no more could
 * be reserved that is when the call has to be cut, with the reason. caps as at ledger_reserve. */
enum reason ledger_run(struct ledger *l, const struct ledger_key *v, uint8_t n,
                       struct ledger_hold *h, uint32_t seconds, struct wall now,
                       uint32_t *ret_next_s);
/* Is all that ledger_run would reserve then held already, and looked at for its keys? As a call is
 * answered, it was at set-up: ledger_run needs no keys (n 0). */
bool ledger_holds(const struct ledger_hold *h, uint32_t seconds);
/* The call is over: answered for so many seconds, 0 = never. Idempotent: h is zeroed. Returns what
 * it cost. */
int64_t ledger_release(struct ledger *l, struct ledger_hold *h, uint32_t seconds, struct wall now);
/* The hold of a running call passes to other keys (transfer): what was spent stays where it was. */
enum reason ledger_move(struct ledger *l, struct ledger_hold *h, const struct ledger_key *v,
                        uint8_t n, struct wall now);

struct ledger_sum {
    uint32_t calls, attempts_min;
    uint32_t seconds[SPAN_COUNT];
    int64_t micro[SPAN_COUNT]; /* spent and reserved */
};
struct ledger_sum ledger_sum(const struct ledger *l, enum ledger_kind k, uint64_t key,
                             struct wall now);
/* What was spent before a restart, from the call records: into the own shard. */
struct ledger_seed {
    uint64_t key;
    uint8_t kind;
    uint32_t seconds[SPAN_COUNT];
    int64_t micro[SPAN_COUNT];
};
MUST_CHECK enum err ledger_plant(struct ledger *l, const struct ledger_seed *s, struct wall now);
/* Are both in the same hour, day or month (UTC)? */
bool ledger_same_window(enum span_of_time t, struct wall a, struct wall b);
uint32_t ledger_rows_used(const struct ledger_shard *s);
/* Grows before each write: the same twice, nothing was begun between. */
uint32_t ledger_writes(const struct ledger_shard *s);
/* Walks the rows of a shard: *it from 0; false at the end. ledger_walk believes nothing in it. */
bool ledger_walk(const struct ledger_shard *s, size_t bytes, uint32_t *it,
                 struct ledger_seed *ret_row, uint32_t *ret_calls, struct wall now);
bool ledger_next(const struct ledger_shard *s, uint32_t *it, struct ledger_seed *ret_row,
                 uint32_t *ret_calls, struct wall now);
#endif
