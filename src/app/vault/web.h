/* Short-lived credentials of web clients, as the REST interface of TURN servers has them: the name
 * is "END:USER" (END in seconds since 1970), the password base64(HMAC(secret, name)) by SHA-256 or
 * SHA-1. The secret is shared with the web application and lies among the peers' passwords. */
#ifndef APP_VAULT_WEB_H
#define APP_VAULT_WEB_H
#include "app/vault/peers.h"
#include "crypto/hash.h"

#define WEB_SECRET   "tokens:hmac" /* no peer can have that name */
#define WEB_PASSWORD 48u
MUST_CHECK enum err web_password(const struct peer *secret, enum hash_alg alg, struct str name,
                                 char ret[WEB_PASSWORD], struct str *ret_s);
#endif
