/* X.509 certificates for a local authority and its servers (RFC 5280, RFC 5922): P-256, SHA-256. */
#ifndef CRYPTO_CERT_H
#define CRYPTO_CERT_H
#include "base/instant.h"
#include "base/out.h"
#include "crypto/key.h"

#define CERT_SANS_MAX 32u
struct cert_spec {
    struct str name;        /* common name, for people only: at most 64 bytes */
    bool authority;         /* may sign others (path length 0) */
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
    unsigned in_chain; /* certificates in the PEM */
    char subject[128]; /* terminated, printable */
    char sans[512];    /* "dns:a uri:b", cut at a whole name */
    char sha256[65];   /* fingerprint in hex, terminated */
};
/* Of the first certificate of a PEM text. ERR_SYNTAX if there is none. */
MUST_CHECK enum err cert_read(struct str pem, struct cert_facts *ret_f);
/* Is k the key of the first certificate? */
MUST_CHECK enum err cert_fits(struct str pem, const struct key *k);
#endif
