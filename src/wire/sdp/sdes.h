/* a=crypto (RFC 4568 section 9.1): crypto-suite and inline key of SDP security descriptions. */
#ifndef WIRE_SDP_SDES_H
#define WIRE_SDP_SDES_H
#include "wire/sdp/sdp.h"

struct sdes {
    uint32_t tag;      /* 1 to 9 digits */
    struct str suite;  /* "AES_CM_128_HMAC_SHA1_80" */
    struct str key;    /* base64 of master key and salt */
    uint64_t lifetime; /* packets; 0 = not given */
    bool mki;          /* an MKI is asked for */
    bool several_keys;
    bool odd_params; /* a session parameter that changes the transform or is unknown and must be
                        understood */
};
/* Borrows value (all after "crypto:"), at most 512 bytes. */
MUST_CHECK enum err sdes_parse(struct str value, struct sdes *ret_c);
/* Writes a whole a=crypto line without lifetime, MKI or parameters. */
void sdes_put(struct out *o, uint32_t tag, struct str suite, const uint8_t *key, size_t key_bytes);
#endif
