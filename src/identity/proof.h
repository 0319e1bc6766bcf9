/* What the client certificate of a connection proves, once the TLS layer has verified its chain. */
#ifndef IDENTITY_PROOF_H
#define IDENTITY_PROOF_H
#include "base/str.h"

#define PROOF_NAMES 256u
struct proof {
    uint8_t fingerprint[32]; /* SHA-256 of the certificate */
    /* Addresses that it names: its SANs "sip:user@host" (RFC 5922 4.1: those with a user are no
     * domain's) as "alice@example.com bob@example.com"; those that do not fit are left out. A
     * certificate that RFC 5924 keeps for SIP domains names nobody. */
    uint16_t n, domains_n;
    char names[PROOF_NAMES];
    char domains[PROOF_NAMES]; /* SIP domains (RFC 5922 7.1), each with a space behind it */
};
/* From its SANs one after the other ("sip:..." or "dns:..."): adds what names a user. */
void proof_add(struct proof *p, struct str san);
/* "sip:example.net" or "dns:pbx.example.net": adds a domain that it speaks for. The caller passes
 * DNS names only of a certificate without any sip URI. */
void proof_add_domain(struct proof *p, struct str san);
bool proof_domain(const struct proof *p, struct str host); /* any case; no wildcards */
bool proof_names(const struct proof *p, struct str user, struct str host); /* host: any case */
static inline struct str proof_text(const struct proof *p)
{
    return str_of(p->names, p->n);
}
#endif
