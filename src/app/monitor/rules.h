/* The rule files that a configuration names, compiled: at boot, at a reload, and by `ringwall
 * check`.
 */
#ifndef APP_MONITOR_RULES_H
#define APP_MONITOR_RULES_H
#include "app/config/config.h"
#include "guard/rules.h"

struct monitor;
/* Problems are added to *e: "FILE:LINE:COLUMN: text" with a hint. In headers $ZONE_NAME stands for
 * a zone's sources (its name in capitals), $HOME_NET and $EXTERNAL_NET for any. Gives *ret_r
 * (free), also where there are no files. ERR_SYNTAX: a file has errors; ERR_FULL. */
MUST_CHECK enum err rules_of_config(const struct config *c, struct config_errors *e,
                                    struct rules **ret_r, size_t *ret_n);
MUST_CHECK enum err monitor_rules_boot(struct monitor *m); /* of m->conf, to m->rules */
/* Of m->next; what it makes is kept aside until monitor_rules_swap puts it in force and tells the
 * engines. */
MUST_CHECK enum err monitor_rules_judge(struct monitor *m);
void monitor_rules_swap(struct monitor *m);
#endif
