/* P-256 signing keys. Only the vault and the programs that make keys hold one; an engine has a
 * stand-in that asks the vault (x509_in.h). */
#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H
#include "base/out.h"

#define KEY_SIGNATURE_MAX 144u /* DER, up to P-521 */
struct key;
/* Before the sandbox closes: memory for private numbers that is locked (where permitted) and
 * between guard pages. Without it keys lie in ordinary memory. */
void key_room(void);
MUST_CHECK enum err key_new(struct key **ret_k); /* a fresh P-256 key; gives: key_free */
/* PEM, PKCS#8 or SEC1, without passphrase. ERR_SYNTAX: no key in it; ERR_UNSUPPORTED: not P-256.
 * Gives: key_free. */
MUST_CHECK enum err key_load(struct str pem, struct key **ret_k);
void key_free(struct key *k);                                    /* wipes; NULL is fine */
MUST_CHECK enum err key_pem(const struct key *k, struct out *o); /* PKCS#8; the caller wipes */
/* ECDSA over a digest of 20 to 64 bytes, DER. About 30 us. */
MUST_CHECK enum err key_sign(struct key *k, struct str digest, uint8_t ret[KEY_SIGNATURE_MAX],
                             size_t *ret_n);
MUST_CHECK enum err key_verify(struct key *k, struct str digest, struct str signature);
#endif
