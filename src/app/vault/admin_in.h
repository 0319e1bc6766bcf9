/* Inside of the administrator's requests: admin.c, admin_tokens.c, admin_secrets.c, admin_stir.c.
 */
#ifndef APP_VAULT_ADMIN_IN_H
#define APP_VAULT_ADMIN_IN_H
#include "app/vault/admin.h"
#include <jansson.h>

/* One request under way. */
struct job {
    struct admin *a;
    json_t *req;
    struct admin_reply *r;
    struct out o;
};
/* The reply is that error, and nothing of what was written before. */
void admin_refuse(struct job *j, enum control_code code, const char *why, struct str what);
struct str admin_member(struct job *j, const char *key); /* a text; empty: there is none */
struct user *admin_known(struct job *j); /* the user of the request; NULL: refused */
bool admin_save_peers(struct job *j);    /* false: refused */
void admin_token_secret(struct job *j);
void admin_token_issue(struct job *j);
void admin_secret_set(struct job *j);
void admin_secret_remove(struct job *j);
void admin_secret_list(struct job *j);
void admin_secret_tell(struct job *j);
void admin_stir_key(struct job *j);
void admin_stir_csr(struct job *j);
void admin_stir_fits(struct job *j);
#endif
