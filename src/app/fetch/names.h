/* The names of the policy's peers: when each is looked up, what becomes of the answers, what stands
 * on the board. No I/O of its own: queries go out by a function of the owner's and their replies
 * come back by names_reply. TTLs are kept between 5 s and 1 h, refusals between 5 s and 60 s; while
 * nobody can be asked, the last good answer stays for up to an hour past its TTL. */
#ifndef APP_FETCH_NAMES_H
#define APP_FETCH_NAMES_H
#include "call/targets.h"

#define NAMES_TTL_MIN_S      5u
#define NAMES_TTL_MAX_S      3600u
#define NAMES_NEGATIVE_MAX_S 60u
#define NAMES_STALE_S        3600u
#define NAMES_LOOKUP_S       15u /* a look-up that takes longer has failed */

struct names_question { /* comes back with the reply */
    uint32_t serial;    /* of the look-up; one of an older look-up is dropped */
    uint8_t slot, query;
};
/* Sends it; false: it cannot be sent, which counts as no answer. May call names_reply before it
 * returns. */
typedef bool names_ask_fn(void *ctx, const struct names_question *q, const struct dns_name *name,
                          enum dns_type type);
/* Something that an operator wants to know. */
typedef void names_note_fn(void *ctx, enum severity sev, const struct targets_row *row);

struct name {
    bool used, busy;
    uint8_t tries; /* failures in a row */
    uint32_t serial;
    struct instant due; /* busy: then it is given up */
    struct targets_row row;
    struct locate l;
};
struct names {
    const struct policy *policy;
    struct targets_board *board;
    struct counters *counters;
    names_ask_fn *ask;
    names_note_fn *note;
    void *ctx;
    uint32_t serial;
    struct name v[POLICY_PEERS]; /* by slot of the board */
};
/* Keeps board (attached), counters and ctx. */
void names_init(struct names *n, struct targets_board *board, struct counters *counters,
                names_ask_fn *ask, names_note_fn *note, void *ctx);
/* Keeps p until the next one. What was known of names that stay, here or on the board, is kept. */
void names_policy(struct names *n, const struct policy *p, struct now now);
/* Begins and gives up look-ups that are due. */
void names_turn(struct names *n, struct now now);
struct instant names_next(const struct names *n);
void names_reply(struct names *n, const struct names_question *q, const struct locate_reply *r,
                 struct now now);
#endif
