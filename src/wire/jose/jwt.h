/* JSON Web Tokens (RFC 7519) in JWS compact form (RFC 7515), as RFC 8725 wants them read: three
 * algorithms, each with a key of its own kind, never none, never a shared secret. */
#ifndef WIRE_JOSE_JWT_H
#define WIRE_JOSE_JWT_H
#include "wire/jose/json.h"

#define JWT_TOKEN_MAX 4096u
#define JWT_SIG_MAX   512u
enum jwt_alg { JWT_RS256 = 1, JWT_ES256, JWT_EDDSA };
struct jwt {
    uint8_t alg; /* enum jwt_alg */
    uint16_t sig_n;
    struct str kid;        /* empty: not said */
    struct str input;      /* what was signed */
    struct json claims;    /* an object */
    int64_t exp, nbf, iat; /* seconds; exp is always there, the others 0 if not */
    uint8_t sig[JWT_SIG_MAX];
};
/* mem: JWT_TOKEN_MAX bytes, which *ret_t borrows, as it does token. ERR_UNSUPPORTED: another
 * algorithm, crit, or a type that is no JWT; ERR_SYNTAX, ERR_LIMIT. Linear. */
MUST_CHECK enum err jwt_parse(struct str token, char *mem, struct jwt *ret_t);
/* Is that one of those whom it is for (aud is text or a list)? */
bool jwt_for(const struct jwt *t, struct str audience);
bool jwt_scope(const struct jwt *t, struct str scope); /* a word of its scope (RFC 8693 4.2) */

/* A key of a JWK set (RFC 7517): public ones of the three kinds. */
#define JWK_BYTES 516u
#define JWK_KID   64u
struct jwk {
    uint8_t alg; /* enum jwt_alg; 0: none of ours, pass over it */
    struct str kid;
    uint8_t e[4]; /* RSA: public exponent, big endian */
    uint16_t n;
    uint8_t bytes[JWK_BYTES]; /* RSA: modulus; P-256: x, y; Ed25519: the key */
};
/* ERR_SYNTAX: malformed; ERR_RANGE: a private or a weak key (RSA below 2048 bits). */
MUST_CHECK enum err jwk_parse(const struct json *object, struct jwk *ret_k);
#endif
