/* X.509 certificates for a local authority and its servers (RFC 5280, RFC 5922): P-256, SHA-256. */
#ifndef CRYPTO_CERT_H
#define CRYPTO_CERT_H
#include "base/instant.h"
#include "base/out.h"
#include "crypto/key.h"

#define CERT_SANS_MAX   32u
#define CERT_SERIAL_MAX 40u
struct cert_spec {
    struct str name;        /* common name, for people only: at most 64 bytes */
    bool authority;         /* may sign others (path length 0) */
    bool user;              /* a phone's or person's: client only */
    const struct str *sans; /* "dns:pbx.example.com", "uri:sip:example.com", "ip:192.0.2.1" */
    unsigned n_sans;        /* <= CERT_SANS_MAX; none on an authority */
    struct wall from, until;
};
/* Writes PEM. issuer_pem empty: self-signed by key, and issuer must be key itself. ERR_SYNTAX: a
 * SAN or the issuer's PEM is not usable; ERR_AUTH: issuer is not the key of issuer_pem. */
MUST_CHECK enum err cert_make(const struct cert_spec *spec, const struct key *key,
                              struct str issuer_pem, const struct key *issuer, struct out *ret_pem);
struct cert_facts {
    struct wall from, until;
    bool authority;
    unsigned in_chain;                /* certificates in the PEM */
    char subject[128];                /* terminated, printable */
    char sans[512];                   /* "dns:a uri:b", cut at a whole name */
    char sha256[65];                  /* fingerprint in hex, terminated */
    char serial[CERT_SERIAL_MAX + 1]; /* hex, lower case, terminated */
};
/* Of the first certificate of a PEM text. ERR_SYNTAX if there is none. */
MUST_CHECK enum err cert_read(struct str pem, struct cert_facts *ret_f);
/* The list of what was taken back (RFC 5280 5), as PEM; serials as cert_read tells them. number
 * grows with each list. ERR_SYNTAX: a serial or the issuer's PEM; ERR_AUTH: not its key. */
struct cert_revoked {
    const char *serial;
    struct wall at;
};
MUST_CHECK enum err cert_crl(struct str issuer_pem, const struct key *issuer,
                             const struct cert_revoked *v, size_t n, struct wall from,
                             struct wall until, uint64_t number, struct out *ret_pem);
/* Certificate, its key and its authority in one file for a phone (PKCS#12, RFC 7292; AES-256,
 * PBKDF2). name: for people. ERR_LIMIT: more than cap bytes. */
MUST_CHECK enum err cert_p12(struct str cert_pem, const struct key *key, struct str ca_pem,
                             const char *passphrase, const char *name, uint8_t *ret, size_t cap,
                             size_t *ret_n);
/* Does that look like a serial number: 20 or more hex digits, even in number? */
bool cert_serial_text(struct str s);
/* Is k the key of the first certificate? */
MUST_CHECK enum err cert_fits(struct str pem, const struct key *k);
#endif
