/* The board of service routes: what registrars that we registered at want to see as Route in
 * requests on behalf of those registrations (RFC 3608). In shared memory behind each location
 * shard; the engine that owns the shard alone writes it, slot by slot under a sequence lock, all
 * engines read. A hash table with short chains; a registration without a service route, or one that
 * has run out, takes no slot. Zeroed memory is an empty board, and that of a writer that died goes
 * on as it is: nothing here has to be repaired. */
#ifndef CALL_SERVICE_H
#define CALL_SERVICE_H
#include "base/instant.h"
#include "base/str.h"

#define SERVICE_ROUTE_MAX 200u /* bytes of a Route's value */

struct service_row {
    uint64_t key; /* 0: free */
    struct wall until;
    uint32_t n, pad;
    char route[SERVICE_ROUTE_MAX];
};
struct service_slot {
    uint32_t seq /* 0: never used, ends every chain */, pad;
    struct service_row row;
};
struct service_board {
    uint32_t any;  /* something was written once: else readers touch nothing */
    uint32_t regs; /* registrations that the owner keeps upstream, with a route or without */
    struct service_slot slot[];
};
/* Beside a location shard of so many bindings: one slot's worth for each, and for our accounts; it
 * begins in the same memory at service_at, and both end at service_end. */
uint32_t service_cap(uint32_t bindings);
size_t service_at(uint32_t bindings);
size_t service_end(uint32_t bindings);
/* cap: registrations that there may be. Readers go by their own, never by what a board says. */
size_t service_bytes(uint32_t cap);
/* Writer. route: 1 to SERVICE_ROUTE_MAX bytes. ERR_FULL: no room near its place. */
MUST_CHECK enum err service_put(struct service_board *b, uint32_t cap, uint64_t key,
                                struct str route, struct wall until, struct wall now);
void service_del(struct service_board *b, uint32_t cap, uint64_t key);
/* Reader: the route, in ret; empty: none, or none that may stand in a header. */
struct str service_get(const struct service_board *b, uint32_t cap, uint64_t key, struct wall now,
                       char ret[SERVICE_ROUTE_MAX]);
#endif
