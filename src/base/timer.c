/* Level 0 holds the next 64 ms, one slot a tick; a slot of level n spans 64^n ticks and is dealt
 * out to the levels below when its span begins. A bit per slot tells which are occupied, so that
 * long idle times cost nothing to cross. */
#include "base/timer.h"

#define SLOTS    (1 << WHEEL_BITS)
#define SPAN_MAX ((INT64_C(1) << WHEEL_BITS * WHEEL_LEVELS) - 1)

static int64_t tick_down(struct instant t)
{
    return t.us > 0 ? t.us / 1000 : 0;
}

static int64_t tick_up(struct instant t)
{
    return t.us > 0 ? t.us / 1000 + (t.us % 1000 != 0) : 0;
}

static void slot_clear(struct timer *slot)
{
    slot->next = slot->prev = slot;
}

static void link_last(struct wheel *w, unsigned level, unsigned index, struct timer *t)
{
    struct timer *slot = &w->slot[level][index];
    t->prev = slot->prev;
    t->next = slot;
    slot->prev->next = t;
    slot->prev = t;
    w->occupied[level] |= UINT64_C(1) << index;
}

static void place(struct wheel *w, struct timer *t)
{
    int64_t due = MAX(tick_up(t->due), w->tick);
    /* Past the last level's reach: parked in its last slot and dealt again from there. */
    due = MIN(due, w->tick + SPAN_MAX);
    unsigned level = 0;
    while ((due - w->tick) >> (WHEEL_BITS * (level + 1)))
        level++;
    link_last(w, level, (unsigned)(due >> (WHEEL_BITS * level)) & (SLOTS - 1), t);
}

static void take_out(struct wheel *w, struct timer *t)
{
    if (t->next == t->prev) { /* alone: both are the slot */
        size_t i = (size_t)(t->next - &w->slot[0][0]);
        w->occupied[i / SLOTS] &= ~(UINT64_C(1) << i % SLOTS);
    }
    t->next->prev = t->prev;
    t->prev->next = t->next;
    t->next = t->prev = NULL;
}

void wheel_init(struct wheel *w, struct instant now)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        for (unsigned i = 0; i < SLOTS; i++)
            slot_clear(&w->slot[level][i]);
        w->occupied[level] = 0;
    }
    w->tick = tick_down(now);
    w->armed = 0;
}

void timer_arm(struct wheel *w, struct timer *t, struct instant due)
{
    timer_stop(w, t);
    t->due = due;
    place(w, t);
    w->armed++;
}

void timer_stop(struct wheel *w, struct timer *t)
{
    if (!timer_armed(t))
        return;
    take_out(w, t);
    w->armed--;
}

/* Steps from bit `from` round to the first set one, 0-63; bits != 0. */
static unsigned steps_to_set(uint64_t bits, unsigned from)
{
    from &= 63;
    uint64_t turned = from ? bits >> from | bits << (64 - from) : bits;
    return (unsigned)__builtin_ctzll(turned);
}

/* The first tick at which a timer is due or a slot has to be dealt out; INT64_MAX if none. */
static int64_t next_tick(const struct wheel *w)
{
    int64_t best = INT64_MAX;
    if (w->occupied[0])
        best = w->tick + steps_to_set(w->occupied[0], (unsigned)w->tick & 63);
    for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
        if (!w->occupied[level])
            continue;
        /* The current slot of a higher level is already dealt out: if occupied, it is a turn away.
         */
        int64_t base = (w->tick >> (WHEEL_BITS * level)) + 1;
        int64_t at = base + steps_to_set(w->occupied[level], (unsigned)base & 63);
        best = MIN(best, at << (WHEEL_BITS * level));
    }
    return best;
}

static void deal_out(struct wheel *w, unsigned level)
{
    unsigned index = (unsigned)(w->tick >> (WHEEL_BITS * level)) & (SLOTS - 1);
    struct timer *slot = &w->slot[level][index], *t = slot->next;
    slot_clear(slot);
    w->occupied[level] &= ~(UINT64_C(1) << index);
    while (t != slot) {
        struct timer *next = t->next;
        place(w, t);
        t = next;
    }
}

static void go_to(struct wheel *w, int64_t tick)
{
    w->tick = tick;
    for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
        if (tick & ((INT64_C(1) << (WHEEL_BITS * level)) - 1))
            break;
        deal_out(w, level);
    }
}

struct timer *wheel_pop(struct wheel *w, struct instant now)
{
    int64_t limit = tick_down(now);
    for (;;) {
        struct timer *slot = &w->slot[0][w->tick & (SLOTS - 1)], *t = slot->next;
        if (t != slot) {
            timer_stop(w, t);
            return t;
        }
        int64_t next = next_tick(w);
        if (next > limit) {
            w->tick = MAX(w->tick, limit);
            return NULL;
        }
        go_to(w, next);
    }
}

struct instant wheel_next(const struct wheel *w)
{
    int64_t tick = next_tick(w);
    return tick > INT64_MAX / 1000 ? INSTANT_NEVER : (struct instant){tick * 1000};
}
