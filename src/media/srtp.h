/* SRTP and SRTCP (RFC 3711, 6188, 7714): packet protection for one direction of one stream. The tag
 * is verified before any state moves; replay window of 128 packets per SSRC; roll-over counter kept
 * per SSRC; up to SRTP_SSRCS sources in the life of a key. A sender's window refuses to use an
 * index twice, so that a source which repeats sequence numbers cannot make two packets under one
 * keystream. */
#ifndef MEDIA_SRTP_H
#define MEDIA_SRTP_H
#include "base/err.h"
#include "media/leg.h"

#define SRTP_SSRCS       16u
#define SRTP_KEY_MAX     46u /* master key + salt */
#define SRTP_TRAILER_MAX 24u
size_t srtp_key_bytes(enum srtp_suite s); /* master key + salt */
struct srtp;
/* NULL when the library has no memory. key: srtp_key_bytes. gives: srtp_free (wipes keys). */
struct srtp *srtp_new(enum srtp_suite s, const uint8_t *key);
void srtp_free(struct srtp *s);
/* In place. cap: room at p. ERR_SYNTAX; ERR_RANGE: packet cannot grow; ERR_REPLAY: index was used;
 * ERR_FULL: too many SSRCs; ERR_LIMIT: end of the key's life (2^48 packets, 2^31 of RTCP). */
MUST_CHECK enum err srtp_protect(struct srtp *s, uint8_t *p, size_t *len, size_t cap);
MUST_CHECK enum err srtcp_protect(struct srtp *s, uint8_t *p, size_t *len, size_t cap);
/* ERR_SYNTAX, ERR_AUTH, ERR_REPLAY, ERR_FULL (too many SSRCs), ERR_LIMIT. On errors the bytes at p
 * may be garbage; state is as before. */
MUST_CHECK enum err srtp_unprotect(struct srtp *s, uint8_t *p, size_t *len);
MUST_CHECK enum err srtcp_unprotect(struct srtp *s, uint8_t *p, size_t *len);
/* The two halves of srtp_new, apart for the test vectors of RFC 3711 and 7714: key derivation, and
 * a context from session keys. */
#define SRTP_AUTH_BYTES 20u
#define SRTP_SALT_BYTES 14u
struct srtp_session {
    uint8_t key[32], auth[SRTP_AUTH_BYTES], salt[SRTP_SALT_BYTES];
};
MUST_CHECK enum err srtp_derive(enum srtp_suite s, const uint8_t *key, struct srtp_session *ret_rtp,
                                struct srtp_session *ret_rtcp);
struct srtp *srtp_new_session(enum srtp_suite s, const struct srtp_session *rtp,
                              const struct srtp_session *rtcp);
/* For tests of the ends of index spaces: the SSRC's next packets go on from here. */
void srtp_seek(struct srtp *s, uint32_t ssrc, uint64_t rtp_index, uint32_t rtcp_index);
#endif
