/* One end's media: a tone out, every 20 ms; what comes in is verified and kept. */
#include "app/selftest/selftest.h"
#include "io/dgram.h"
#include "wire/rtp/rtp.h"
#include <unistd.h>

enum err audio_open(struct audio *a, const struct addr *local, uint32_t hz, struct rng *rng)
{
    struct addr at = *local;
    at.port = 0;
    tone_init(&a->tone, hz, 12000);
    rng_bytes(rng, &a->ssrc, sizeof a->ssrc);
    rng_bytes(rng, &a->ts, sizeof a->ts);
    rng_bytes(rng, &a->seq, sizeof a->seq);
    return sock_udp(&at, false, &a->fd);
}

void audio_close(struct audio *a)
{
    if (a->fd >= 0)
        (void)close(a->fd);
    srtp_free(a->tx);
    srtp_free(a->rx);
}

void audio_send(struct audio *a)
{
    uint8_t p[RTP_HEADER_BYTES + TONE_FRAME + SRTP_TRAILER_MAX];
    size_t n = RTP_HEADER_BYTES + TONE_FRAME;
    if (a->peer.family == ADDR_NONE)
        return;
    rtp_put(p, &(struct rtp){.ts = a->ts, .ssrc = a->ssrc, .seq = a->seq++, .pt = G711_ALAW});
    a->ts += TONE_FRAME;
    tone_frame(&a->tone, G711_ALAW, p + RTP_HEADER_BYTES, TONE_FRAME);
    if (a->tx && srtp_protect(a->tx, p, &n, sizeof p) != OK)
        return;
    a->sent += dgram_send_one(a->fd, &a->peer, str_of((const char *)p, n)) == OK;
}

void audio_receive(struct audio *a)
{
    uint8_t p[PKT_MAX];
    struct addr from;
    struct rtp r;
    bool cut;
    ptrdiff_t got = dgram_recv_one(a->fd, p, sizeof p, &from, &cut);
    if (got <= 0)
        return;
    size_t n = (size_t)got;
    if (rtp_is_rtcp(p, n))
        return;
    if ((a->rx && srtp_unprotect(a->rx, p, &n) != OK) || rtp_parse(p, n, &r) != OK) {
        a->bad++;
        return;
    }
    a->got++;
    size_t room = MIN(n - r.header_bytes, sizeof a->heard - a->n_heard);
    memcpy(a->heard + a->n_heard, p + r.header_bytes, room);
    a->n_heard += (uint32_t)room;
}

unsigned audio_share(const struct audio *a, uint32_t hz)
{
    return a->n_heard < TONE_FRAME
               ? 0
               : (unsigned)(tone_share(G711_ALAW, a->heard, a->n_heard, hz) * 100);
}
