/* What the rooms of the shield share; guard.h is the contract. */
#ifndef GUARD_GUARD_INT_H
#define GUARD_GUARD_INT_H
#include "guard/gauge.h"
#include "guard/guard.h"
#include "guard/limit.h"
#include "guard/table.h"
#include "wire/sip/msg.h"

/* -- score.c -- */
/* An AOR's memory besides its gauges. */
#define HITTERS   4u
#define COUNTRIES 4u
struct hitter { /* one source that guesses this AOR's password: Misra-Gries, never overestimates */
    uint32_t tag;
    struct gauge g;
    uint32_t until;   /* what was asked against it stands until then */
    uint32_t excused; /* no success takes back its failures before then */
};
struct aor_extra {
    struct hitter hitters[HITTERS];
    uint16_t countries[COUNTRIES]; /* seen registering, latest first */
    uint16_t calls, talks;         /* within about an hour: halved every hour */
    uint32_t halved_at;
    uint64_t devices; /* a bit each, by hash */
};
uint32_t score_decay(uint32_t v, uint32_t *at, uint32_t half_life, uint32_t now);
uint32_t slot_score(const struct guard *g, const struct slot *s, uint32_t now); /* points */
void slot_add(struct guard *g, struct slot *s, uint32_t points, uint32_t now);

/* -- detect.c: the table of detectors -- */
enum measure {
    M_COUNT,   /* observations, n each */
    M_SWEEP,   /* the same; what every phone's first request looks like counts little */
    M_HOSTILE, /* n times the weight of the reason */
    M_NAMES,   /* distinct names (AOR and number together) */
    M_TARGETS, /* distinct method, names and agents */
    M_AORS,    /* distinct AORs */
    M_NUMBERS, /* distinct numbers */
    M_CALLERS, /* distinct AORs, or sources where there is none */
    M_SOURCES, /* distinct sources; ENTITY_ALL */
    M_MUTE,    /* the same, of those challenged again and again who never answer */
    M_EACH,    /* every observation adds the weight that it brings; threshold unused */
    M_ONCE,    /* the same, once in the window */
    M_OWN,     /* a function of its own */
};
struct guard_row {
    uint8_t detector, entity, measure, treat; /* treat: its own; 0: by score */
    uint8_t known; /* threshold times this for the registered and for users; 0: not judged */
    bool second;   /* another row of its detector: what the policy says follows the first */
    bool local;    /* judged where it arrives, by no other */
    bool pair;     /* behind a registered source it bans the AOR there, not all */
    uint8_t index; /* which of its slot's gauges or sets; ALL: which bitmap */
    uint16_t kinds, methods;           /* bits; methods 0: any */
    uint16_t need, none;               /* flags that must all be set; of which none may be */
    bool (*fits)(const struct obs *o); /* NULL: yes */
    uint32_t threshold, window_s;
    uint16_t weight; /* points of the first firing, half of them at each further quarter */
};
#define GUARD_ROWS_MAX 64u
extern const struct guard_row guard_rows[];
extern const unsigned guard_rows_n;
#define K(kind) (1u << (kind))

enum { SET_SLOW, SET_NAMES, SET_MANY, SET_USERS, SETS_SOURCE };
enum { SET_SHORT, SET_FANOUT, SET_GUESSERS, SETS_AOR };
enum { SET_CALLERS, SETS_NUMBER };
enum { SET_TRIED, SET_GUESSED, SETS_DEVICE };
enum { BIG_SCAN, BIG_NAMES, BIG_GUESS, BIG_MUTE, BIGS };
#define GAUGES_SOURCE 20u
#define GAUGE_MUTE    15u
#define GAUGES_AOR    2u
#define GAUGES_NUMBER 1u
#define GAUGES_DEVICE 2u

bool obs_guess(const struct obs *o); /* credentials came, and they were no good */

/* -- guard.c -- */
struct addr guard_net56(const struct addr *a); /* of an IPv6 address; others as they are */
uint64_t guard_hash56(const struct guard *g, const struct addr *a); /* not that of its first /64 */
struct guard {
    struct guard_cfg cfg;
    struct now now; /* of the latest call that had one */
    struct table sources, aors, devices, numbers;
    struct buckets before, after;
    struct buckets asks;
    struct known known;
    struct bigset big[BIGS];
    uint32_t big_until[BIGS]; /* firing until then */
    uint8_t by_kind[OBS_KIND_COUNT][GUARD_ROWS_MAX], by_kind_n[OBS_KIND_COUNT];
};
static inline uint32_t half_life(const struct guard *g)
{
    return ticks_of(MAX(g->cfg.policy->half_life_s, 1u));
}

static inline const struct table *guard_table(const struct guard *g, enum entity e)
{
    return e == ENTITY_AOR      ? &g->aors
           : e == ENTITY_DEVICE ? &g->devices
           : e == ENTITY_NUMBER ? &g->numbers
                                : &g->sources;
}

/* -- judge.c -- */
/* One observation on its way through the rows. */
struct judging {
    struct guard *g;
    const struct obs *o;
    struct guard_out *out;
    struct now now;
    uint32_t tick;
    uint64_t source_hash;
    bool known; /* somebody is registered at the source */
    bool mine[ENTITY_COUNT];
    bool forwarded;
    struct slot *slot[ENTITY_COUNT]; /* found as needed */
    bool missed[ENTITY_COUNT];       /* no place in the table */
};
void judge_rows(struct judging *j);
struct slot *judge_slot(struct judging *j, enum entity e);
/* Key of a person's slot. aor: of PROOF_USER of a source; of a device, where it is not by a user,
 * the source. PROVEN and KNOWN are one. */
uint64_t person_key(uint64_t hash, enum proof proof, uint64_t aor);

/* -- ask.c: what is done about it -- */
struct firing {
    const struct guard_row *row;
    enum entity entity;
    uint32_t level;
    bool first;      /* it did not fire before */
    uint32_t points; /* to be added to the score */
    uint8_t scope;   /* enum ban_scope; 0: by entity */
    uint8_t treat;   /* its own; TREAT_LOG: by score */
    bool forgeable;
};
void judge_fire(struct judging *j, struct slot *s, const struct firing *f);
#endif
