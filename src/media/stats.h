/* Reception of one direction of one stream: extended sequence numbers, loss and jitter (RFC 3550
 * A.1, A.3, A.8), kept per SSRC and summed over SSRC changes. Integers only. */
#ifndef MEDIA_STATS_H
#define MEDIA_STATS_H
#include "media/leg.h"
#include "wire/rtp/rtp.h"

struct reception {
    uint64_t packets, octets;
    int64_t first_us, last_us;
    uint64_t lost_before; /* of earlier SSRCs or restarts */
    uint32_t discarded;
    uint32_t ssrc, base, top;                 /* extended sequence numbers; top is the highest */
    uint32_t received;                        /* since base */
    uint32_t transit, jitter16, max_jitter16; /* RTP ticks; jitter scaled by 16 */
    uint32_t rate_hz;                         /* that the jitter is counted in; 0: none yet */
    uint8_t pt;
    bool started;
};
/* A valid packet of len bytes; rate_hz 0: unknown, no jitter. */
void reception_packet(struct reception *r, const struct rtp *p, size_t len, uint32_t rate_hz,
                      struct instant now) HOT;
/* A datagram that is no RTP: counted and dated. */
void reception_datagram(struct reception *r, size_t len, struct instant now);
void reception_read(const struct reception *r, struct media_stats *ret_s);
#endif
