/* Countries of addresses from an MMDB file (MaxMind DB format 2.0), as a table for engines
 * (guard/access.h). Any file whose records hold a two-letter code in country.iso_code,
 * registered_country.iso_code, country_code or country will do. Monitor and CLI only. */
#ifndef APP_CONFIG_GEO_H
#define APP_CONFIG_GEO_H
#include "base/instant.h"
#include "guard/access.h"

#define GEO_RANGES_MAX (1u << 22) /* of each family */

/* When the file says it was built. ret_why: in words (static text) where it cannot be used;
 * ERR_SYSTEM: not readable; ERR_SYNTAX: no MMDB file. */
MUST_CHECK enum err geo_file_built(const char *path, struct wall *ret_built, const char **ret_why);
/* Walks the whole file. gives: free(*ret_g). IPv6 by /64 within 2000::/3; private, shared,
 * loopback, link-local and multicast addresses have no country whatever the file says. Besides the
 * above: ERR_LIMIT: too many ranges, or a tree that does not end; ERR_NOT_FOUND: it holds no
 * country. */
MUST_CHECK enum err geo_file_read(const char *path, struct geo **ret_g, size_t *ret_bytes,
                                  const char **ret_why);
#endif
