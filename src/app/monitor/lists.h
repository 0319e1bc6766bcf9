/* What the monitor reads for the shield from files that others write: countries (geo.c) and feeds
 * (feeds.c). Neither ever stops the gateway: what cannot be read is told, and what was there stays.
 */
#ifndef APP_MONITOR_LISTS_H
#define APP_MONITOR_LISTS_H
#include "app/monitor/state.h"

/* Makes m->geo of guard.geo: at the start, and at a reload when the file or its name changed.
 * Engines are told. */
void geo_policy(struct monitor *m);

/* ledger.c: shards with what the newer sound file in the state folder says; then files again every
 * second in which something changed, and at the end. */
MUST_CHECK enum err ledger_open(struct monitor *m);
void ledger_turn(struct monitor *m);
void ledger_keep(struct monitor *m);
void ledger_close(struct monitor *m);
/* fraud-accept: calls that cost money are let out again although what was spent is not known. */
void ledger_accept(struct monitor *m, struct client *c, struct str req);
/* habits.c: what is usual for whom, in shared memory; kept in a file of the state folder. */
MUST_CHECK enum err habits_open(struct monitor *m);
void habits_turn(struct monitor *m);
void habits_keep(struct monitor *m); /* all of it, now */
void habits_close(struct monitor *m);
/* A lock of fraud of that name is over by somebody's word: engines forget what it came from. */
void habits_released(struct monitor *m, struct str who);
void fraud_top(struct monitor *m, struct client *c, struct str req); /* spenders.c: the command */
/* Prices from the files of the decks; as geo_policy. */
void rates_policy(struct monitor *m);

/* Gives p (fetch, while it is set up or runs) every feed's file, or its authorities. */
MUST_CHECK enum err feeds_give(struct monitor *m, struct program *p);
void feeds_policy_changed(struct monitor *m);
void feeds_turn(struct monitor *m); /* files, again at each refresh */
/* FEED in m->msg: false if it says nothing of the policy in force; a lie ends p. True: its feed,
 * length and descriptor are sound (none: the list is empty, or error is set). */
bool feeds_told(struct monitor *m, struct program *p);
/* certs.c: signers' certificates. An engine's question goes to fetch, its answer back. */
void certs_asked(struct monitor *m, struct program *p);
void certs_done(struct monitor *m, struct program *p);
/* Gives p (fetch) the authorities that the policy names. */
MUST_CHECK enum err certs_give(struct monitor *m, struct program *p);
void certs_policy_changed(struct monitor *m);
/* The same for questions about calls (consult.c). */
void consult_asked(struct monitor *m, struct program *p);
void consult_done(struct monitor *m, struct program *p);
void feeds_put(const struct monitor *m, struct out *o); /* JSON list */
#endif
