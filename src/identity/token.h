/* Bearer tokens (RFC 8898) and short-lived HMAC credentials in the policy: whose are believed.
 * Public keys only. Flat, no pointers, pure. */
#ifndef IDENTITY_TOKEN_H
#define IDENTITY_TOKEN_H
#include "base/err.h"
#include "base/instant.h"
#include "base/reasons.h"
#include "base/str.h"
#include "wire/jose/jwt.h"

#define TOKEN_KEYS   8u
#define TOKEN_SKEW_S 60
struct token_key {
    uint8_t alg, kid_n; /* enum jwt_alg */
    uint16_t n;
    char kid[JWK_KID];
    uint8_t e[4], bytes[JWK_BYTES]; /* as struct jwk */
};
struct token_policy {
    struct span issuer, audience; /* in the policy's text; empty: no bearer tokens */
    bool bearer;
    struct span claim;        /* that names the user; empty: sub */
    struct span scope;        /* that a token must hold; empty: none */
    struct span authz_server; /* told in the challenge (RFC 8898 3); empty: not */
    uint32_t life_s;          /* longest from iat to exp; 0: any */
    bool hmac;                /* names like "1767225600:alice" are credentials of web clients */
    uint32_t hmac_life_s;     /* their longest rest of life */
    uint8_t n_keys;
    struct token_key keys[TOKEN_KEYS];
};
void token_policy_default(struct token_policy *p);
MUST_CHECK enum err token_policy_valid(const struct token_policy *p);
/* Is that token to be believed now? REASON_NONE: *ret_user is the user's name, without the host
 * that is ours (domains: is it? NULL: any), borrowed from mem. Else auth_token or
 * auth_token_expired. text: the policy's. Signature last: 40 to 150 us. */
enum reason token_judge(const struct token_policy *p, struct str text, struct str token,
                        struct wall now, char mem[JWT_TOKEN_MAX], struct str *ret_user,
                        struct str *ret_host);
/* "1767225600:alice": when it ends and whose it is. false: no such name. */
bool token_hmac_name(struct str name, int64_t *ret_end_s, struct str *ret_user);
#endif
