/* SIP digest authentication (RFC 7616, 8760; MD5 only where a waiver says so) and stateless
 * authenticated nonces. */
#ifndef IDENTITY_DIGEST_H
#define IDENTITY_DIGEST_H
#include "base/instant.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "base/str.h"

enum digest_alg { DIGEST_SHA256, DIGEST_SHA512_256, DIGEST_MD5, DIGEST_ALG_COUNT };
#define DIGEST_HEX_MAX 64u                     /* characters of a response; no terminator */
struct str digest_alg_name(enum digest_alg a); /* "SHA-256" "SHA-512-256" "MD5" */
MUST_CHECK enum err
digest_alg_parse(struct str s, enum digest_alg *ret_a); /* without case; empty = MD5 (RFC 2617) */
size_t digest_hex_chars(enum digest_alg a);

/* HA1 = H(user:realm:password); HA2 = H(method:uri), with qop=auth-int H(method:uri:H(body)). Hex,
 * digest_hex_chars each. */
MUST_CHECK enum err digest_ha1(enum digest_alg a, struct str user, struct str realm,
                               struct str password, char ret_hex[DIGEST_HEX_MAX]);
MUST_CHECK enum err digest_ha2(enum digest_alg a, struct str method, struct str uri, bool auth_int,
                               struct str body, char ret_hex[DIGEST_HEX_MAX]);
/* response = H(HA1:nonce:nc:cnonce:qop:HA2); with empty qop the RFC 2069 form (only for answering
 * old trunks). */
MUST_CHECK enum err digest_response(enum digest_alg a, struct str ha1, struct str nonce,
                                    struct str nc, struct str cnonce, struct str qop,
                                    struct str ha2, char ret_hex[DIGEST_HEX_MAX]);

/* Nonces: time, a random number and a SipHash tag under a per-boot key shared by the engines and
 * the vault. Nothing is stored for one until it verified. */
#define NONCE_CHARS  44u
#define NONCE_LIFE_S 300
void nonce_mint(const struct sipkey *key, struct wall now, struct rng *rng,
                char ret_text[NONCE_CHARS]);
/* The same with 16 bits of the caller's in it, which nonce_mark gives back from a nonce that
 * nonce_check found to be ours. They are not part of its id. */
void nonce_mint_for(const struct sipkey *key, struct wall now, struct rng *rng, uint16_t mark,
                    char ret_text[NONCE_CHARS]);
uint16_t nonce_mark(struct str text);
/* OK fresh; ERR_REPLAY too old (stale=true); ERR_AUTH not ours. ret_id identifies the nonce. */
MUST_CHECK enum err nonce_check(const struct sipkey *key, struct str text, struct wall now,
                                uint64_t *ret_id);
/* Nonce-count windows of nonces that verified: fixed table, oldest evicted (an evicted nonce counts
 * as used up: fails closed to stale). */
struct nc_table;
size_t nc_bytes(uint32_t cap);
struct nc_table *nc_init(void *mem, uint32_t cap);
/* OK first use of nc; ERR_REPLAY seen or below the window of 64. Call only after the digest
 * verified. */
MUST_CHECK enum err nc_use(struct nc_table *t, uint64_t nonce_id, uint32_t nc, struct wall now);
#endif
