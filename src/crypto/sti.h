/* Certificates of those who sign calls (RFC 8226, ATIS-1000080): chain, use, and the numbers that
 * they may speak for. */
#ifndef CRYPTO_STI_H
#define CRYPTO_STI_H
#include "base/instant.h"
#include "base/out.h"
#include "crypto/es256.h"
#include "crypto/key.h"

#define STI_CHAIN  6u
#define STI_RANGES 32u
#define STI_SPC    16u

struct sti_range {
    uint64_t first, count; /* number as an integer */
    uint8_t digits;
};
struct sti_facts {
    uint8_t key[ES256_KEY];
    struct wall until; /* end of the first certificate of the chain that ends */
    char spc[STI_SPC + 1];
    bool has_spc;
    uint8_t n_ranges;
    struct sti_range range[STI_RANGES];
};
/* pem: leaf first, then what links it with one of roots. ERR_SYNTAX: no certificate, or no
 * TNAuthList that can be read; ERR_AUTH: the chain, its time or its use is not good. *ret_why:
 * words. */
MUST_CHECK enum err sti_judge(struct str pem, struct str roots, struct wall now,
                              struct sti_facts *ret_f, const char **ret_why);
/* TNAuthorizationList in DER. ERR_SYNTAX, ERR_LIMIT: more than STI_RANGES. */
MUST_CHECK enum err sti_numbers(struct str der, struct sti_facts *io_f);
/* A request for a certificate (PEM, PKCS#10) for that provider code. */
MUST_CHECK enum err sti_request(const struct key *k, struct str name, struct str spc,
                                struct out *o);
#endif
