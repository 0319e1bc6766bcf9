/* What evaluates a blob in a program: the library's databases or the plain scanner, and PCRE2 for
 * the rest. Everything is allocated here, once; a scan takes no memory and makes no system call. */
#ifndef APP_RULES_SCANNER_H
#define APP_RULES_SCANNER_H
#include "guard/rules.h"

struct rules_scan;
/* r is valid and kept. NULL: no memory. plain: not by the library. */
struct rules_scan *rules_scan_new(const struct rules *r, bool plain);
void rules_scan_free(struct rules_scan *s);
const struct rules_scanner *rules_scan_get(const struct rules_scan *s);
const char *rules_scan_kind(const struct rules_scan *s); /* "hyperscan" or "plain" */
#endif
