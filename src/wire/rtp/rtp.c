#include "wire/rtp/rtp.h"

/*  0                   1                   2                   3
 *  V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *                           timestamp
 *                             SSRC
 *                          CSRC x CC
 *  with X: profile (16 bits), length in words (16 bits), words */
enum err rtp_parse(const uint8_t *p, size_t n, struct rtp *ret_r)
{
    if (n < RTP_HEADER_BYTES || n > UINT16_MAX || p[0] >> 6 != 2)
        return ERR_SYNTAX;
    size_t head = RTP_HEADER_BYTES + 4u * (p[0] & 0x0fu);
    if ((p[0] & 0x10) != 0) {
        if (n < head + 4)
            return ERR_SYNTAX;
        head += 4 + 4u * be16(p + head + 2);
    }
    if (n < head)
        return ERR_SYNTAX;
    *ret_r = (struct rtp){
        .ts = be32(p + 4),
        .ssrc = be32(p + 8),
        .seq = be16(p + 2),
        .header_bytes = (uint16_t)head,
        .pt = p[1] & 0x7f,
        .marker = p[1] >> 7,
        .padded = (p[0] & 0x20) != 0,
    };
    return OK;
}

bool rtp_padding_ok(const uint8_t *p, size_t n, const struct rtp *r)
{
    if (!r->padded)
        return true;
    return n > r->header_bytes && p[n - 1] >= 1 && p[n - 1] <= n - r->header_bytes;
}

void rtp_put(uint8_t *p, const struct rtp *r)
{
    p[0] = 0x80;
    p[1] = (uint8_t)(r->pt | (r->marker ? 0x80 : 0));
    be16_put(p + 2, r->seq);
    be32_put(p + 4, r->ts);
    be32_put(p + 8, r->ssrc);
}
