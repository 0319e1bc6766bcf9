/* The local authority: certificates for users' phones, their list and the revocation list. Its key
 * is the vault's key "ca", its certificate the vault's copy "ca.pem"; what was issued is in "certs"
 * (sealed), what was taken back in "ca.crl", which the monitor gives to the engines.
 *
 * {"cmd":"cert-authority"}              -> {"subject","until","sha256","pem","live","revoked"}
 * {"cmd":"cert-issue","user","days"?,"format"?:"pem"|"p12"}
 *                   -> {"user","serial","until","sha256","pem" | "p12" (base64) with "passphrase"}
 * {"cmd":"cert-renew","user" | "serial","overlap"?:seconds,...}
 *                   -> the same, and "renews":serial,"ends": the one before is revoked then; a user
 *                      with more than one has to say which
 * {"cmd":"cert-revoke","user" | "serial"}   -> {"revoked":[serial],"user"?}
 * {"cmd":"cert-list","match"?}          -> {"certs":[{"serial","user","from","until","sha256",
 *                                          "revoked"? | "ends"?,
 *                                          "state":"live"|"renewed"|"expired"|"revoked"}]} */
#ifndef APP_VAULT_AUTHORITY_H
#define APP_VAULT_AUTHORITY_H
#include "app/vault/admin.h"
#include <jansson.h>

#define AUTHORITY_WHY       400u
#define AUTHORITY_DAYS      397u
#define AUTHORITY_CERTS     100000u
#define AUTHORITY_OVERLAP_S (7 * 86400) /* a renewed certificate is good for so long */
/* Writes the members of the reply behind what o holds; *text is its memory, may be moved (and o
 * with it) and is *cap bytes then. Not CONTROL_OK: why says it. */
enum control_code authority_do(struct admin *a, const json_t *req, char **text, size_t *cap,
                               struct out *o, char why[AUTHORITY_WHY]);
/* The revocation list anew, with what was renewed and has had its overlap; *ret_next: when to come
 * again, 0: not; *ret_told: a list was written. Without an authority: OK. */
MUST_CHECK enum err authority_sweep(struct disk *disk, struct wall now, struct wall *ret_next,
                                    bool *ret_told);
#endif
