/* STIR/SHAKEN in the policy (RFC 8224, 8588): who signs, what is believed. */
#ifndef IDENTITY_STIR_H
#define IDENTITY_STIR_H
#include "base/instant.h"
#include "base/str.h"

#define STIR_ALLOW   16u
#define STIR_FRESH_S 60u
#define STIR_KEYS    16u /* numbers of keys that the vault has, the listeners' too */

struct stir_policy {
    bool verify;          /* there are authorities to believe, and hosts to fetch from */
    bool sign;            /* there are a key and where its certificate lies */
    bool refuse_none;     /* calls of a peer that is verified without Identity: 428 */
    bool refuse_failed;   /* those whose Identity does not verify */
    bool refuse_unsigned; /* what the vault did not sign does not leave */
    uint8_t key;          /* its number at the vault */
    uint8_t n_allow;
    uint32_t fresh_s;              /* how old a token may be, or from the future */
    struct span allow[STIR_ALLOW]; /* hosts that certificates may lie on, lower case */
    struct span x5u;               /* where ours lies */
    struct span private_name;      /* the waiver below */
    struct wall private_until;     /* until then certificates may lie on private addresses */
};
void stir_policy_default(struct stir_policy *p);
MUST_CHECK enum err stir_policy_valid(const struct stir_policy *p);
/* May a certificate lie there: https, port 443 or 8443, a host of the list, a path? text: the
 * policy's. */
bool stir_url_allowed(const struct stir_policy *p, struct str text, struct str url);
#endif
