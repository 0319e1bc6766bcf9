/* The local authority: certificates for users' phones, their list and the revocation list. Its key
 * is the vault's key "ca", its certificate the vault's copy "ca.pem"; what was issued is in "certs"
 * (sealed), what was taken back in "ca.crl", which the monitor gives to the engines.
 *
 * {"cmd":"cert-authority"}              -> {"subject","until","sha256","pem","live","revoked"}
 * {"cmd":"cert-issue","user","days"?,"format"?:"pem"|"p12"}
 *                   -> {"user","serial","until","sha256","pem" | "p12" (base64) with "passphrase"}
 * {"cmd":"cert-renew","user",...}       the same; those before last until they end or are revoked
 * {"cmd":"cert-revoke","user" | "serial"}   -> {"revoked":[serial],"user"?}
 * {"cmd":"cert-list","match"?}          -> {"certs":[{"serial","user","from","until","sha256",
 *                                          "revoked"?,"state":"live"|"expired"|"revoked"}]} */
#ifndef APP_VAULT_AUTHORITY_H
#define APP_VAULT_AUTHORITY_H
#include "app/vault/admin.h"
#include <jansson.h>

#define AUTHORITY_WHY   400u
#define AUTHORITY_DAYS  397u
#define AUTHORITY_CERTS 100000u
/* Writes the members of the reply behind what o holds; *text is its memory, may be moved (and o
 * with it) and is *cap bytes then. Not CONTROL_OK: why says it. */
enum control_code authority_do(struct admin *a, const json_t *req, char **text, size_t *cap,
                               struct out *o, char why[AUTHORITY_WHY]);
#endif
