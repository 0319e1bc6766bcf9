/* Requests a second of each source (IPv4 address, IPv6 /64): token buckets in fixed memory. When
 * sources outnumber the table the one idle longest is forgotten. O(1). */
#ifndef CALL_RATE_H
#define CALL_RATE_H
#include "base/instant.h"
#include "base/str.h"

struct rate_table;
size_t rate_bytes(uint32_t cap); /* cap: sources remembered, rounded up to a power of two */
struct rate_table *rate_init(void *mem, uint32_t cap); /* keeps mem, zeroed */
/* Takes a token of hash's bucket; false: over per_s with that burst. */
bool rate_take(struct rate_table *t, uint64_t hash, uint32_t per_s, uint32_t burst,
               struct instant now);
#endif
