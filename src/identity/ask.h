/* Questions to the vault and its answers, as they travel in rings: flat, bounded, pointer-free. The
 * asker keeps id. */
#ifndef IDENTITY_ASK_H
#define IDENTITY_ASK_H
#include "base/reasons.h"
#include "identity/digest.h"

enum ask_kind {
    ASK_VERIFY = 1, /* is this digest response right for this user?  engine -> vault */
    ASK_RESPOND,    /* compute the response for a peer's challenge with the peer's secret (trunk
                       credentials) */
    ASK_SIGN,       /* TLS: sign this digest with key number key */
    ASK_OTP,        /* is this a one-time code of that user now? user, response: the digits; nonce:
                       16 digits of the device that a right one approves, or empty; key: the country
                       that a right one lets the user call ('A' << 8 | 'T'), or 0 */
    ASK_STIR,       /* sign a PASSporT's digest (ha2, 32 bytes) with STIR key number key */
    ASK_CERT,       /* to the fetch program: bring the certificate chain of the URL in user */
    ASK_DEVICE,     /* no question: a registration came from this device. user; nonce: its 16
                       digits; realm: User-Agent; alg: enum device_by. Nothing is answered */
    ASK_CONSULT,    /* to the fetch program: ask a third party about a call. user: JSON; sign:
                       milliseconds. Its answer: NONE, fraud_asked or consult_failed */
    ASK_KIND_COUNT
};
#define ASK_TEXT_MAX 1400u
struct ask {
    uint32_t id;
    uint8_t kind;  /* enum ask_kind */
    uint8_t alg;   /* enum digest_alg for VERIFY and RESPOND */
    uint16_t key;  /* SIGN: key number; RESPOND: index of the peer in the policy; OTP: country */
    uint32_t sign; /* SIGN: 0 = ECDSA over the digest in uri */
    /* spans into text */
    struct span user, realm, nonce, nc, cnonce, qop, ha2,
        response; /* ha2: hex; SIGN: digest bytes in ha2 */
    uint16_t n;   /* bytes used of text */
    char text[ASK_TEXT_MAX];
};
/* Appends s to the text; SPAN_NONE and false when full. */
bool ask_add(struct ask *a, struct str s, struct span *ret_sp);
static inline size_t ask_size(const struct ask *a) /* what travels */
{
    return offsetof(struct ask, text) + a->n;
}
/* For the reader, who trusts nothing: size, kind and every span checked. */
MUST_CHECK enum err ask_valid(const struct ask *a, size_t bytes);

#define ANSWER_BYTES_MAX 256u
struct answer {
    uint32_t id;
    uint8_t kind;
    uint16_t reason; /* VERIFY: REASON_NONE = yes, else auth_failed, auth_replay, auth_limited,
                        auth_algorithm; others: NONE or auth_unavailable */
    uint16_t n;      /* RESPOND: response hex; SIGN: signature */
    uint8_t bytes[ANSWER_BYTES_MAX];
};
static inline size_t answer_size(const struct answer *a)
{
    return offsetof(struct answer, bytes) + a->n;
}
MUST_CHECK enum err answer_valid(const struct answer *a, size_t bytes);
#endif
