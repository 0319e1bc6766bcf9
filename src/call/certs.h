/* The board of signers' certificates (RFC 8226): what lies behind the URLs of Identity. In shared
 * memory, flat; the fetch program alone writes it, after it has judged the chain; engines read it,
 * slot by slot under a sequence lock, and believe no row: certs_get judges each. */
#ifndef CALL_CERTS_H
#define CALL_CERTS_H
#include "base/instant.h"
#include "base/reasons.h"
#include "base/str.h"

#define CERTS_MAGIC   0x52574354u
#define CERTS_BUCKETS 128u
#define CERTS_WAYS    4u
#define CERTS_URL_MAX 255u
#define CERTS_RANGES  32u
#define CERTS_SPC     16u
#define CERTS_KEY     65u /* a point of P-256, uncompressed */

struct certs_range {
    uint64_t first, count; /* number as an integer */
    uint8_t digits;
};
struct certs_row {
    char url[CERTS_URL_MAX + 1]; /* terminated; empty: a free slot */
    uint16_t why;                /* enum reason: NONE, stir_bad_info, stir_credential */
    uint8_t n_ranges;            /* numbers that it may sign for */
    bool has_spc;                /* it is a provider's: any number of it */
    char spc[CERTS_SPC + 1];     /* the first; terminated */
    uint8_t key[CERTS_KEY];
    uint32_t generation;        /* of the policy by which it was fetched and judged */
    struct wall fetched, until; /* it is fetched again from then on; not past the chain's end */
    struct certs_range range[CERTS_RANGES];
};
struct certs_slot {
    uint32_t seq, pad;
    struct certs_row row;
};
struct cert_board {
    uint32_t magic, bytes; /* sizeof(struct cert_board) */
    struct certs_slot slot[CERTS_BUCKETS * CERTS_WAYS];
};
/* Writer. New memory is zeroed; a board of a writer that died is repaired. */
MUST_CHECK enum err certs_attach(struct cert_board *b, size_t bytes);
/* Takes the URL's slot, a free one, or that which ends first. */
void certs_put(struct cert_board *b, const struct certs_row *row);
void certs_forget(struct cert_board *b); /* all: other authorities are believed now */
/* Reader. ERR_NOT_FOUND: unknown or too old (or its writer lies dead in it); ERR_SYNTAX: the row
 * breaks its contract. */
MUST_CHECK enum err certs_get(const struct cert_board *b, size_t bytes, struct str url,
                              struct wall now, struct certs_row *ret_row);
/* May its holder sign for that number (digits)? */
bool certs_covers(const struct certs_row *r, struct str tn);
#endif
