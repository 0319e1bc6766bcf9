/* What is called, seen from the caller's site, on the way that a routing rule takes. */
#ifndef CALL_CALLED_H
#define CALL_CALLED_H
#include "call/gates.h"

/* The number dialled, by the site's dial plan. A user of ours, a route to users, and what a PBX
 * has for itself is CLASS_INTERNAL; where a rule's strip and prefix make a dearer number of it than
 * the plan sees, that one. d may be NULL. */
struct number called_number(const struct policy *p, const struct directory *d,
                            const struct rights_site *s, const struct policy_route *route,
                            struct str dialled);
bool called_trunk(const struct policy *p, const struct policy_route *route); /* may leave by one */
bool called_private(const struct sip_msg *m); /* the caller wants to stay unknown (RFC 3323) */
/* The user ("alice@example.com") whose number that is, as it is dialled where that peer is (or at
 * the first site); empty: nobody's. */
struct str called_owner(const struct policy *p, const struct directory *d, uint8_t from_peer,
                        struct str dialled);
#endif
