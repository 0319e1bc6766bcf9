/* The small grammars of ringwall.yaml: lengths of time, dates, port ranges, and the nearest known
 * word for a hint. Pure. */
#ifndef APP_CONFIG_VALUES_H
#define APP_CONFIG_VALUES_H
#include "base/instant.h"
#include "base/str.h"

/* "30s" "5m" "1h" "2d" and sums of them, largest unit first ("1h30m"). ERR_SYNTAX; ERR_RANGE above
 * 10 years. */
MUST_CHECK enum err value_seconds(struct str s, uint32_t *ret_s);
/* "2027-06-30": the instant at which that day ends (UTC), so that a thing lasts through its date.
 * ERR_SYNTAX, ERR_RANGE if there is no such day or the year lies outside 2000-2199. */
MUST_CHECK enum err value_date(struct str s, struct wall *ret_end);
/* "20000-29999", both 1024-65535, first below second. ERR_SYNTAX, ERR_RANGE. */
MUST_CHECK enum err value_ports(struct str s, uint16_t *ret_min, uint16_t *ret_max);
/* Host name by RFC 952/1123 (labels of letters, digits and inner hyphens, 253 bytes at most) or an
 * IP address. */
bool value_host(struct str s);
/* Index of the first byte that does not belong in a text file: broken UTF-8 (RFC 3629) or a control
 * byte other than TAB, LF and CR; s.n if there is none. */
size_t value_text(struct str s);
/* Optimal string alignment distance without case, at most 32 bytes a side (else 99). */
unsigned value_distance(struct str a, struct str b);
#define VALUE_DATE_TEXT 11u
/* "2027-06-30" of that instant, UTC, terminated. */
void value_date_text(struct wall w, char ret[VALUE_DATE_TEXT]);
/* Days since 1970-01-01 of a Gregorian date. */
int64_t value_days(int64_t year, unsigned month, unsigned day);
#endif
