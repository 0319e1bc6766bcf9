/* The files of the bans among themselves. A record lies at the index of its slot on the board. */
#ifndef APP_MONITOR_BANS_IN_H
#define APP_MONITOR_BANS_IN_H
#include "app/monitor/shield.h"
#include "call/facts.h"

#define BANS_RESERVE  1024u          /* slots that only an admin may take */
#define BANS_OF_FEEDS (BAN_CAP / 2u) /* slots that feeds may fill */
#define BANS_SETS     16384u         /* of the history, four each */
#define BANS_WHY_NOT  160u

struct ban_past { /* for escalation; id: hash of scope, net and key */
    uint64_t id;
    int64_t until_us;
    uint32_t times;
};
struct ban_feed { /* one list, and what is left to do of a new one */
    struct span name_at;
    char name[32];
    struct wall until;
    uint32_t n;               /* entries on the board */
    bool busy;                /* a new list is being read */
    const struct prefix *map; /* NULL: it is empty */
    uint64_t bytes, at;
    uint32_t lost, exempt; /* of this list */
};
struct bans {
    struct ban_board *board;
    struct ban *rec;   /* scope 0: named by feeds alone; by feed bit as well if feeds[i] */
    uint16_t *feeds;   /* feeds that name it, a bit each */
    uint16_t *fresh;   /* and those that their new lists named until now */
    uint32_t *base;    /* what the engines' counters showed when it came here */
    int64_t *until_us; /* of what is on the board: 0 free or for good */
    uint8_t *used;
    const uint32_t *hits[IPC_ENGINES_MAX];
    struct ban_past *past; /* BANS_SETS * 4 */
    struct sipkey past_key;
    uint32_t main, of_feeds; /* records with a ban of their own; those of feeds alone */
    uint64_t next_id;
    bool restored;
    uint32_t cursor; /* of the walk over ends */
    struct instant due, named_due;
    struct tokens asks[IPC_ENGINES_MAX], lines, exempt_lines;
    uint64_t asks_lost, asks_bad, refused_full, evicted, lines_lost;
    bool told_full, told_dry;
    struct ban_feed feed[GUARD_FEEDS];
};

/* bans_put.c */
/* Why it may not be banned, in words; false: it may. */
bool bans_exempt(const struct monitor *m, const struct ban *b, char ret[BANS_WHY_NOT]);
/* A new ban, or one that changes what is there: x is whole but for id, times, until (admin: all
 * but id). ERR_FULL: no slot; ERR_STATE: what stands is harder and longer, nothing changed. */
MUST_CHECK enum err bans_add(struct monitor *m, const struct ban *x, uint32_t *ret_slot);
/* The slot of that name, or a new one for it, where there is room (else told by name). */
MUST_CHECK enum err bans_slot(struct monitor *m, const struct ban *x, uint32_t *ret_slot);
void bans_end(struct monitor *m, uint32_t slot, enum ban_act act, const char *who);
/* Puts on the board and into the kernel what record and feeds of the slot say; frees it if
 * nothing. */
void bans_show(struct monitor *m, uint32_t slot, const struct ban *name);
uint64_t bans_hits(const struct monitor *m, uint32_t slot);
void bans_fact(struct monitor *m, enum ban_act act, const struct ban *b, const char *who);
void bans_say(struct monitor *m, const char *what, bool ended,
              const struct ban *b); /* a line of the log */
void bans_past_put(struct bans *s, const struct ban *b);
void bans_past_forget(struct bans *s, const struct ban *b);
/* What is in force of a slot: its own ban, or what feeds make of it. */
void bans_shown(const struct monitor *m, uint32_t slot, struct ban *ret_b);
struct str bans_who(const struct ban *b, char *buf, size_t cap); /* "198.51.100.0/24", an AOR ... */
const char *bans_scope(unsigned scope);
const char *bans_by(unsigned by);
/* bans_feed.c */
void bans_feeds_turn(struct monitor *m);
void bans_feeds_policy(struct monitor *m);
void bans_feed_weigh(const struct monitor *m, uint16_t feeds, struct ban *ret_b);
#endif
