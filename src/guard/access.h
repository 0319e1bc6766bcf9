/* Access lists of zones, and countries of addresses. A country is a hint, not a proof. */
#ifndef GUARD_ACCESS_H
#define GUARD_ACCESS_H
#include "guard/policy.h"

/* Countries: ranges sorted by start, made from an MMDB file by app/config/geo.c, sealed, and read
 * by engines. Addresses that no country can have (private, reserved) have none. */
struct geo4 {
    uint32_t first, last;
    uint16_t country, pad;
};
struct geo6 {
    uint64_t first, last; /* upper 64 bits, as the /64 is one source */
    uint16_t country, pad[3];
};
struct geo {
    uint32_t magic, n4, n6, pad;
    int64_t built_us; /* what the file says of its age */
    uint8_t data[];   /* geo6[n6], then geo4[n4] */
};
#define GEO_MAGIC 0x47454f31u
size_t geo_bytes(uint32_t n4, uint32_t n6);
MUST_CHECK enum err geo_valid(const struct geo *g, size_t bytes); /* O(1): bounds only */
/* 0: none; g may be NULL. An IPv6 address counts by its /64. O(log n). */
uint16_t geo_country(const struct geo *g, const struct addr *a);

/* The first rule that fits decides; none: fallback (true: allow). proto: enum sip_proto. A rule
 * that names a country does not fit an address without one. */
bool access_allows(const struct access_rule *rules, unsigned n, bool fallback, const struct addr *a,
                   uint16_t country, uint8_t proto);
#endif
