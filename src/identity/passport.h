/* PASSporT (RFC 8225, with the "shaken" extension of RFC 8588) and the SIP header field that
 * carries it (RFC 8224): read strictly, written canonically. Pure; signatures are crypto/es256.h's.
 */
#ifndef IDENTITY_PASSPORT_H
#define IDENTITY_PASSPORT_H
#include "base/instant.h"
#include "base/out.h"
#include "base/reasons.h"

#define PASSPORT_DESTS   10u   /* numbers and URIs of "dest", each */
#define PASSPORT_BYTES   4096u /* of header and claims, decoded, together */
#define PASSPORT_TEXT    6144u /* of a signing input */
#define PASSPORT_X5U_MAX 255u
#define PASSPORT_TN_MAX  19u
#define PASSPORT_ORIGID  64u
#define PASSPORT_SIG     64u /* r and s, 32 bytes each (RFC 7518 3.4) */

struct passport {
    struct str x5u, ppt;          /* ppt empty: the base PASSporT */
    struct str orig_tn, orig_uri; /* one of them */
    uint8_t n_tn, n_uri;
    struct str dest_tn[PASSPORT_DESTS], dest_uri[PASSPORT_DESTS];
    int64_t iat;       /* seconds */
    char attest;       /* 'A' 'B' 'C' of shaken; 0 */
    struct str origid; /* of shaken */
};
/* Both parts as they travel, base64url. mem: PASSPORT_BYTES, which the texts of *ret_p borrow.
 * ERR_SYNTAX: no JSON, a key twice, a claim missing or of the wrong type (orig and dest must be
 * objects, a tn digits), or leftover; ERR_UNSUPPORTED: another alg, typ, ppt, or a crit; ERR_LIMIT.
 * Linear. */
MUST_CHECK enum err passport_parse(struct str header, struct str claims, char *mem,
                                   struct passport *ret_p);
/* base64url(header) "." base64url(claims): what is signed. Keys sorted, no blanks (RFC 8225 9). */
void passport_put(struct out *o, const struct passport *p);
void passport_header_put(struct out *o, const struct passport *p); /* the JSON */
void passport_claims_put(struct out *o, const struct passport *p);

/* What the call says itself. Numbers are digits of E.164 without '+'; empty: it has none. */
struct passport_want {
    struct str orig, dest; /* numbers */
    struct str info;       /* URL beside the token: must be the one inside (RFC 8224 4.1) */
    struct wall now;
    uint32_t fresh_s;
};
/* REASON_NONE, stir_invalid (who or whom is another, or info is), stir_stale. */
enum reason passport_judge(const struct passport *p, const struct passport_want *w);

/* Identity (RFC 8224 4): full form "h.c.s;info=<u>;alg=ES256;ppt=shaken", compact form "..s". */
struct identity_field {
    struct str header, claims; /* base64url; empty in the compact form */
    struct str signature;
    struct str info, ppt;
    bool compact;
};
/* One value. ERR_SYNTAX; ERR_UNSUPPORTED: alg is not ES256. */
MUST_CHECK enum err identity_parse(struct str value, struct identity_field *ret_f);
/* signing_input: what passport_put wrote. */
void identity_put(struct out *o, struct str signing_input, const uint8_t sig[PASSPORT_SIG],
                  struct str info, struct str ppt);
MUST_CHECK enum err identity_signature(const struct identity_field *f,
                                       uint8_t ret_sig[PASSPORT_SIG]);

/* SIP-date (RFC 3261 25.1): "Sat, 13 Nov 2010 23:29:00 GMT", in seconds. */
MUST_CHECK enum err sip_date_parse(struct str s, int64_t *ret_s);
/* DER of an ECDSA signature over P-256 to r and s. ERR_SYNTAX. */
MUST_CHECK enum err es256_raw(struct str der, uint8_t ret_sig[PASSPORT_SIG]);
#endif
