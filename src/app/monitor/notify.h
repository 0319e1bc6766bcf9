/* Whom to tell of what: events become messages by templates, wait in a bounded queue, are signed
 * here (the key is read from its file or asked of the vault each time) and delivered by the fetch
 * program, which says how it went; failed ones are tried again, later and later. */
#ifndef APP_MONITOR_NOTIFY_H
#define APP_MONITOR_NOTIFY_H
#include "app/config/config.h"
#include "app/monitor/approve.h"

struct monitor;
struct msg;
struct program;
struct fact;
MUST_CHECK enum err notify_open(struct monitor *m);
void notify_close(struct monitor *m);
void notify_policy(struct monitor *m); /* another configuration is in force */
bool notify_wanted(const struct config *c);
/* {who}, {what}, {why}, {text} of templates; {event}, {time}, {host} are filled in. */
void notify_event(struct monitor *m, enum notify_event e, const char *who, const char *what,
                  const char *why, const char *text);
void notify_admin(struct monitor *m, const struct asker *by, const struct act *a,
                  const char *command, uint32_t code, enum reason why);
/* A fact of the monitor's or one that the store passed on. */
void notify_fact(struct monitor *m, const struct fact *f);
void notify_told(struct monitor *m, struct program *p);   /* the NOTIFIED in m->msg */
void notify_passed(struct monitor *m, struct program *p); /* the TELL in m->msg */
/* A reply of the vault: true if it was ours, a secret; then it is wiped. */
bool notify_secret(struct monitor *m, struct msg *reply);
void notify_turn(struct monitor *m);

void notify_put(const struct monitor *m, struct out *o);
#endif
