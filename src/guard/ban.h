/* The ban board: who is to be treated how, and until when. In shared memory; the monitor alone
 * writes, engines read for every message, so a slot is small and looked up by hash; a sequence lock
 * a slot. What people want to know of a ban (struct ban) the monitor keeps beside it and the store
 * keeps for good. Readers know the board's size themselves and believe nothing in it. */
#ifndef GUARD_BAN_H
#define GUARD_BAN_H
#include "base/instant.h"
#include "guard/obs.h"
#include "guard/policy.h"

enum ban_scope {
    BAN_SOURCE = 1, /* a prefix */
    BAN_PAIR,       /* a source together with an AOR: one bad phone among many behind an address */
    BAN_AOR,
    BAN_DEVICE,
    BAN_NUMBER,
};
enum ban_by { BY_DETECTOR, BY_RULE, BY_FEED, BY_ADMIN };
#define BAN_WHO 47u
#define BAN_WHY 95u
struct ban {                            /* whole; travels in messages and facts */
    uint64_t id;                        /* given by the monitor; never used twice */
    uint8_t scope, treat, by, detector; /* enum ban_scope, treat, ban_by, detector */
    uint8_t weight;                     /* TREAT_WEIGH */
    uint8_t dry;                        /* dry run: told, not done */
    uint16_t reason;                    /* enum reason, of the last straw; or 0 */
    uint16_t score;
    uint8_t forgeable;        /* its evidence can be forged */
    uint8_t feed;             /* BY_FEED: which */
    uint32_t times;           /* how often within the time of escalation; from 1 */
    struct prefix net;        /* SOURCE, PAIR */
    uint64_t key;             /* hash of AOR, device or number */
    uint64_t evidence;        /* names the kept message; 0: none */
    struct wall since, until; /* until 0: until released */
    uint64_t hits;            /* filled in when it is shown */
    uint8_t who_n, why_n;
    char who[BAN_WHO + 1]; /* the AOR or number; not ended */
    char why[BAN_WHY + 1]; /* the admin's reason, or name of rule or feed; printable; not ended */
};
/* Enums, bounds, printable texts, a prefix without host bits and port; who it is for is given. What
 * an engine may ask for is the monitor's to judge. ERR_SYNTAX: bytes; ERR_RANGE. */
MUST_CHECK enum err ban_valid(const struct ban *b, size_t bytes);
/* Scope, net and key are the same. */
bool ban_same(const struct ban *a, const struct ban *b);

struct ban_slot {
    uint32_t seq;                       /* odd while it is written */
    uint8_t scope, treat, weight, bits; /* scope 0: free */
    uint16_t reason;
    uint8_t detector, forgeable;
    uint8_t family, dry, pad[2]; /* dry: no ban for readers */
    uint8_t ip[16];
    uint64_t key;
    int64_t until_us;    /* wall; 0: until released */
    uint32_t next, pad2; /* 1-based: in its chain, or of the free ones */
};
/* Prefix lengths in use, a bit each: what a reader probes. */
struct ban_lengths {
    uint64_t v4, v6[3];
};
/* Slots, and behind them the heads of the chains: uint32_t[cap], 1-based slots. A slot keeps its
 * place as long as it is in use. */
struct ban_board {
    uint32_t cap; /* writer's; readers use their own */
    uint32_t used;
    uint32_t changes;  /* grows whenever a slot leaves its chain: who found nothing looks again */
    uint32_t parties;  /* a bit a scope that is in use */
    struct sipkey key; /* of the chains: whose address is banned must not choose where it lies; the
                          monitor draws it after ban_init, before the first ban */
    struct ban_lengths sources, pairs;
    /* the writer's own */
    uint32_t free_head, fresh;
    uint32_t of_scope[BAN_NUMBER + 1], length4[2][33], length6[2][129]; /* how many */
    ALIGNED(16) struct ban_slot slot[];
};
#define BAN_CAP (1u << 18)
size_t ban_bytes(uint32_t cap); /* cap: a power of two, at most 2^24 */

/* -- writer -- */
void ban_init(struct ban_board *b, uint32_t cap);
/* Adds or replaces what has the same scope, net and key; while it is replaced it stands. *ret_slot:
 * where. ERR_FULL; ERR_RANGE: not one of ban_valid's scopes and prefixes. */
MUST_CHECK enum err ban_put(struct ban_board *b, uint32_t cap, const struct ban *x,
                            uint32_t *ret_slot);
/* The slot of the same scope, net and key. */
bool ban_find(const struct ban_board *b, uint32_t cap, const struct ban *x, uint32_t *ret_slot);
bool ban_del(struct ban_board *b, uint32_t cap, const struct ban *x);

/* -- readers; cap is what the reader knows -- */
struct ban_view {
    uint32_t slot; /* for the hit counter */
    uint8_t scope, treat, weight, detector;
    uint16_t reason;
};
/* The hardest treatment in force for a source; for the address alone. TREAT_WEIGH is none: told
 * only if there is nothing else. Nothing without bans; else some 70 ns for each prefix length in
 * use, and up to 400 on a full board, where it is memory that is waited for (bench/bans).
 */
bool ban_of_source(const struct ban_board *b, uint32_t cap, const struct addr *source,
                   struct wall now, struct ban_view *ret_v);
/* The hardest in force of (source, aor), aor, device and number; 0: not asked. */
bool ban_of_party(const struct ban_board *b, uint32_t cap, const struct addr *source, uint64_t aor,
                  uint64_t device, uint64_t number, struct wall now, struct ban_view *ret_v);
/* Does it meet an exempt prefix, wholly or in part? Then it is not banned. (Addresses of peers,
 * which are exempt too, the monitor knows.) */
bool ban_exempt(const struct guard_policy *p, const struct prefix *net);
/* How long a ban lasts, in seconds, the times-th (from 1) within the time of escalation: doubles up
 * to ban_max_s; spoof_s always if its evidence can be forged. At least 1. */
uint32_t ban_seconds(const struct guard_policy *p, uint32_t times, bool forgeable);
#endif
