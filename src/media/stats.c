#include "media/stats.h"

/* A jump of more than this is a restart of the source, not loss (RFC 3550 A.1: MAX_DROPOUT). */
#define DROPOUT_MAX  3000
#define DISORDER_MAX 100

static uint64_t lost_now(const struct reception *r)
{
    uint32_t expected = r->top - r->base + 1;
    return r->started && expected > r->received ? expected - r->received : 0;
}

static void start(struct reception *r, const struct rtp *p)
{
    r->lost_before += lost_now(r);
    r->ssrc = p->ssrc;
    r->base = r->top = p->seq;
    r->received = 0;
    r->rate_hz = 0;
    r->started = true;
}

static void sequence(struct reception *r, const struct rtp *p)
{
    if (!r->started || r->ssrc != p->ssrc) {
        start(r, p);
    } else {
        int16_t step = (int16_t)(uint16_t)(p->seq - (uint16_t)r->top);
        if (step > DROPOUT_MAX || step < -DISORDER_MAX)
            start(r, p);
        else if (step > 0)
            r->top += (uint16_t)step;
    }
    r->received++;
}

static void jitter(struct reception *r, const struct rtp *p, uint32_t rate_hz, struct instant now)
{
    if (rate_hz == 0)
        return;
    uint32_t arrival = (uint32_t)((uint64_t)now.us * rate_hz / 1000000u);
    uint32_t transit = arrival - p->ts;
    if (r->rate_hz == rate_hz) {
        int32_t d = (int32_t)(transit - r->transit);
        uint32_t size = d < 0 ? 0u - (uint32_t)d : (uint32_t)d;
        /* A step of over a minute is a new timeline, not jitter. */
        if (size < rate_hz * 60u)
            r->jitter16 += size - ((r->jitter16 + 8) >> 4);
        if (r->jitter16 > r->max_jitter16)
            r->max_jitter16 = r->jitter16;
    }
    r->rate_hz = rate_hz;
    r->transit = transit;
}

void reception_packet(struct reception *r, const struct rtp *p, size_t len, uint32_t rate_hz,
                      struct instant now)
{
    sequence(r, p);
    /* Marked packets start a talk spurt or an event whose timestamp stands still: no jitter from
     * them. */
    if (p->marker)
        r->rate_hz = 0;
    jitter(r, p, rate_hz, now);
    r->packets++;
    r->octets += len;
    r->pt = p->pt;
    if (r->first_us == 0)
        r->first_us = now.us;
    r->last_us = now.us;
}

void reception_datagram(struct reception *r, size_t len, struct instant now)
{
    r->packets++;
    r->octets += len;
    if (r->first_us == 0)
        r->first_us = now.us;
    r->last_us = now.us;
}

static uint32_t ticks_us(uint32_t jitter16, uint32_t rate_hz)
{
    uint64_t us = rate_hz == 0 ? 0 : (uint64_t)(jitter16 >> 4) * 1000000u / rate_hz;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void reception_read(const struct reception *r, struct media_stats *ret_s)
{
    *ret_s = (struct media_stats){
        .packets = r->packets,
        .octets = r->octets,
        .lost = r->lost_before + lost_now(r),
        .discarded = r->discarded,
        .jitter_us = ticks_us(r->jitter16, r->rate_hz),
        .max_jitter_us = ticks_us(r->max_jitter16, r->rate_hz),
        .first_us = r->first_us,
        .last_us = r->last_us,
        .payload_type = r->pt,
    };
}
