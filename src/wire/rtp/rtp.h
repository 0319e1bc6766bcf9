/* RTP headers (RFC 3550 section 5.1) and telling RTP from RTCP on one port (RFC 5761 section 4). */
#ifndef WIRE_RTP_RTP_H
#define WIRE_RTP_RTP_H
#include "base/cc.h"
#include "base/cur.h"

#define RTP_HEADER_BYTES 12u

struct rtp {
    uint32_t ts, ssrc;
    uint16_t seq;
    uint16_t header_bytes; /* with CSRCs and extension */
    uint8_t pt;            /* 0-127 */
    bool marker, padded;
};
/* The header alone: right for SRTP, whose payload is not readable yet. ERR_SYNTAX if it is not RTP.
 */
MUST_CHECK enum err rtp_parse(const uint8_t *p, size_t n, struct rtp *ret_r) HOT;
/* After decryption: the padding count of a padded packet fits the payload. */
bool rtp_padding_ok(const uint8_t *p, size_t n, const struct rtp *r);
/* By the second octet: 192-223 is RTCP (payload types 64-95 with the marker are never used with
 * mux). */
static inline bool rtp_is_rtcp(const uint8_t *p, size_t n)
{
    return n >= 2 && p[1] >= 192 && p[1] <= 223;
}
/* Writes 12 bytes, version 2, no CSRC, no extension. */
void rtp_put(uint8_t *p, const struct rtp *r);
#endif
