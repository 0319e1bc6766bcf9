/* Time zones by the name that the system's database gives them. */
#ifndef APP_CONFIG_ZONE_H
#define APP_CONFIG_ZONE_H
#include "identity/rights.h"

/* Fills the shifts of s from a year before now on, as many as it holds (some 11 years).
 * ERR_SYNTAX: no such zone; ERR_LIMIT: its clocks change more often than twice a year. Sets TZ for
 * the time of the call: for programs of one thread. */
MUST_CHECK enum err zone_shifts(struct str name, struct wall now, struct rights_site *s);
#endif
