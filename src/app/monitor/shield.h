/* The shield outside of engines: the bans that are in force (bans.c), and their enforcement in the
 * kernel (shield.c). Only the monitor writes the ban board; exemptions are kept here, whatever an
 * engine asks. */
#ifndef APP_MONITOR_SHIELD_H
#define APP_MONITOR_SHIELD_H
#include "app/monitor/state.h"
#include "guard/ban.h"

/* -- bans.c -- */
MUST_CHECK enum err bans_open(struct monitor *m); /* board and hit counters; before any child */
void bans_close(struct monitor *m);
void bans_asked(struct monitor *m, struct program *p);    /* BAN in m->msg */
void bans_restored(struct monitor *m, struct program *p); /* BANS in m->msg: at the store's start */
void bans_feed(struct monitor *m, struct program *p);     /* FEED in m->msg */
void bans_policy(struct monitor *m);                      /* the policy is a new one */
void bans_turn(struct monitor *m);                        /* expiry, and batches to the kernel */
struct instant bans_due(const struct monitor *m);
/* {"cmd":"bans..."}: the whole document and its code (enum control_code). */
uint32_t bans_command(struct monitor *m, struct str request, struct out *o);
bool bans_of_fraud(struct monitor *m, struct str request); /* it would release a lock of fraud */
/* Walks those in force that the kernel is to drop: for a shield that starts again. */
typedef void bans_fn(void *ctx, const struct ban *b);
void bans_each(const struct monitor *m, bans_fn *fn, void *ctx);

/* -- shield.c: the kernel -- */
enum force { FORCE_PROCESS, FORCE_NFT, FORCE_XDP_GENERIC, FORCE_XDP_NATIVE };
/* After the listeners are bound, while all capabilities are there. Never fails: falls back, and
 * says why in the log and status. Sets m->ports when the kernel looks at media ports. */
void shield_open(struct monitor *m);
/* An orderly end: nothing of it stays in the kernel. (When the monitor dies what is pinned stays
 * and goes on dropping; the next start takes it over.) */
void shield_close(struct monitor *m);
enum force shield_force(const struct monitor *m);
void shield_policy(struct monitor *m);
void shield_add(struct monitor *m, const struct ban *b); /* a source that is to be dropped */
void shield_del(struct monitor *m, const struct ban *b);
void shield_turn(struct monitor *m); /* sends batches, reads counters */
uint64_t shield_hits(const struct monitor *m, const struct ban *b); /* packets dropped for it */
void shield_put(const struct monitor *m, struct out *o); /* members of "shield" in the status */
#endif
