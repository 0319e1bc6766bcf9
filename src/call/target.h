/* Where requests of ours go that begin something: phones of a user, and peers. */
#ifndef CALL_TARGET_H
#define CALL_TARGET_H
#include "call/core_int.h"

struct target {
    struct flow flow;
    struct str uri, aor; /* aor: of the phone's user */
    struct str path;     /* value of its Route; may be empty */
    uint8_t zone, peer, target;
};
/* The phones of the user that dialled (escaped) names in the domain of uri: so many are in
 * c->bindings, best first, no more than m may fork to. REASON_NONE: at least one. */
enum reason target_users(struct core *c, const struct sip_msg *m, uint8_t from_peer, struct str uri,
                         struct str dialled, size_t *ret_n);
/* ret_g lasts as long as b. */
enum reason target_phone(const struct core *c, const struct binding *b, struct target *ret_g);
/* On behalf of user, who proved itself (empty: nobody). ret_g lasts until the next one. */
enum reason target_peer(struct core *c, uint8_t peer, uint8_t target, struct str user,
                        struct str dialled, struct target *ret_g);
#endif
