/* Inside crypto/ only: the shapes that speak OpenSSL's types. */
#ifndef CRYPTO_X509_IN_H
#define CRYPTO_X509_IN_H
#include "base/str.h"
#include "crypto/openssl.h"

struct key;

/* A stand-in for a private key that lies elsewhere: libcrypto calls fn for every signature. fn
 * fills at most cap bytes of DER and returns how many; 0 = refused. pub must be an EC key; NULL
 * otherwise. Gives: EVP_PKEY_free. */
typedef size_t key_remote_fn(void *arg, struct str digest, uint8_t *ret_der, size_t cap);
EVP_PKEY *key_remote_new(EVP_PKEY *pub, key_remote_fn *fn, void *arg);
EVP_PKEY *key_evp(const struct key *k); /* borrows */

/* The next certificate of a PEM text; NULL at its end. */
X509 *pem_next_cert(BIO *pem);
bool cert_strong(X509 *x); /* its key has at least 112 bits of strength: P-256, RSA-2048 */

/* RFC 5922 section 7: the peer speaks for host if a SAN URI "sip:host" says so, or, where the
 * certificate has no sip URI at all, a DNS SAN. No CN, no wildcard. host may be an IP literal:
 * then an IP SAN counts. */
bool tls_name_match(X509 *x, struct str host);
/* SAN number index as "sip:..." or "dns:..."; names with bytes that are not printable are passed
 * over, and so is a URI "dns:...". false past the last or when it is longer than cap. */
bool tls_name_at(X509 *x, unsigned index, char *ret, size_t cap, size_t *ret_n);
#endif
