/* Passwords with which Ringwall answers the challenges of trunks and PBXs. They must be known in
 * the clear, since the realm is the peer's to choose; they never leave the vault. */
#ifndef APP_VAULT_PEERS_H
#define APP_VAULT_PEERS_H
#include "base/out.h"
#include "crypto/secret.h"

#define PEER_NAME_MAX 64u
#define PEERS_MAX     64u
struct peer {
    char name[PEER_NAME_MAX + 1];
    struct secret password;
};
struct peers {
    uint32_t n;
    struct peer v[PEERS_MAX];
};
const struct peer *peers_find(const struct peers *p, struct str name);
/* Adds or replaces. ERR_SYNTAX name, ERR_LIMIT password, ERR_FULL. */
MUST_CHECK enum err peers_put(struct peers *p, struct str name, struct str password);
bool peers_del(struct peers *p, struct str name);
#define PEERS_FILE_MAX (256u + PEERS_MAX * (PEER_NAME_MAX + 2 * SECRET_MAX + 2))
MUST_CHECK enum err peers_print(const struct peers *p, struct out *o);
MUST_CHECK enum err peers_parse(struct peers *p, struct str file, uint32_t *reterr_line,
                                const char **reterr_why);
/* The same for a file of another kind: secrets of webhooks and mail servers. */
MUST_CHECK enum err peers_print_as(const struct peers *p, struct str kind, struct out *o);
MUST_CHECK enum err peers_parse_as(struct peers *p, struct str kind, struct str file,
                                   uint32_t *reterr_line, const char **reterr_why);
#endif
