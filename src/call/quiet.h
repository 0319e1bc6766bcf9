/* How much of the log strangers may fill (for core_int.h). */
#ifndef CALL_QUIET_H
#define CALL_QUIET_H
#include "base/addr.h"
#include "base/reasons.h"
#include "call/rate.h"

/* Refusals that are told in sums. */
struct quiet {
    struct rate_table *sources;
    struct instant next; /* nothing is told before */
    struct {
        uint32_t n;
        struct addr last;
    } sum[REASON_COUNT];
    bool any;
};

struct core;
size_t quiet_bytes(void);
void quiet_init(struct core *c, void *mem); /* keeps mem, zeroed */
/* May one more refusal of that source, which has proved nothing, be told in full? */
bool quiet_share(struct core *c, const struct addr *source);
/* The same for what the shield tells: of each kind there is a share of its own, so that junk leaves
 * room for alerts, and forged sources leave room for real ones. */
enum quiet_kind { QUIET_LINE, QUIET_CLAIMED, QUIET_PROVEN, QUIET_EVIDENCE };
bool quiet_share_of(struct core *c, const struct addr *source, enum quiet_kind kind);
void quiet_add(struct core *c, enum reason why, const struct addr *source); /* told in a sum */
void quiet_tick(struct core *c);
#endif
