/* One hierarchical timing wheel per engine: 1 ms ticks, O(1) arm and stop, intrusive nodes. A node
 * belongs to its owner and must be stopped before its memory ends. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H
#include "base/cc.h"
#include "base/instant.h"

struct timer {
    struct timer *next, *prev; /* NULL next = not armed */
    struct instant due;
    uint8_t kind;  /* the owner's: which timer this is */
    uint8_t owner; /* the owner's: what sort of object holds it */
};
#define WHEEL_BITS   6
#define WHEEL_LEVELS 6
struct wheel {
    struct timer slot[WHEEL_LEVELS][1 << WHEEL_BITS];
    uint64_t occupied[WHEEL_LEVELS]; /* bit i: slot i is not empty */
    int64_t tick;                    /* ms handled so far */
    uint32_t armed;
};
void wheel_init(struct wheel *w, struct instant now);
void timer_arm(struct wheel *w, struct timer *t,
               struct instant due); /* re-arms if armed; never early */
void timer_stop(struct wheel *w, struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
    return t->next != NULL;
}
/* The next timer that is due at now (to the ms, rounded up: never early, late by less than 1 ms),
 * unarmed and handed to the caller; NULL when none is. Call until NULL: handlers may arm and stop
 * any timer in between. */
struct timer *wheel_pop(struct wheel *w, struct instant now);
/* When wheel_pop may next give something: a lower bound in whole ms, exact when that timer falls
 * into the current run of 64 ms; INSTANT_NEVER if none. */
struct instant wheel_next(const struct wheel *w);
#endif
