/* A packet's way through: port, stream, source rule, tag, statistics, the other leg's keys, out.
 * Nothing of a stream changes before a packet is known to be its peer's. */
#include "media/state.h"
#include "wire/rtp/rtcp.h"

#define TURN_CHUNK 16u
#define BURST_US   1000000 /* how far ahead of its highest rate a stream may be */
#define UDPTL_MIN  3u      /* sequence number and a length (T.38 section 9.1) */
#define UDPTL_MAX  1400u

static enum reason srtp_reason(enum err e)
{
    return e == ERR_AUTH     ? REASON_rtp_auth
           : e == ERR_REPLAY ? REASON_rtp_replay
           : e == ERR_FULL   ? REASON_rtp_ssrc_limit
           : e == ERR_LIMIT  ? REASON_rtp_key_limit
                             : REASON_rtp_malformed;
}

/* Addresses that only mean something inside a network: a peer that gives one may well be behind
 * NAT. */
static bool inside_only(const struct addr *a)
{
    const uint8_t *ip = a->ip;
    if (a->family == ADDR_V4)
        return ip[0] == 10 || ip[0] == 127 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
               (ip[0] == 192 && ip[1] == 168) || (ip[0] == 169 && ip[1] == 254) ||
               (ip[0] == 100 && (ip[1] & 0xc0) == 64);
    return (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) || addr_loopback(a);
}

/* May a packet from here be the peer's, though it is not the address in force? For SRTP the tag
 * will tell; for plain RTP once, and where SDP names a public address only another port of it (NAT
 * moved it). */
static bool may_latch(const struct stream *s, const struct addr *from)
{
    if (s->rtp_latched || from->family != s->rtp.family || addr_any(&s->said.rtp))
        return false;
    if (s->secure)
        return true;
    if (s->pinned)
        return s->symmetric && addr_eq_ip(from, &s->rtp);
    return s->symmetric && (addr_eq_ip(from, &s->said.rtp) || inside_only(&s->said.rtp));
}

static void latch_rtp(struct stream *s, const struct addr *from)
{
    if (s->rtp_latched)
        return;
    s->rtp_latched = s->symmetric || s->secure;
    if (!addr_eq_ip(from, &s->rtp) && !s->mux && !s->rtcp_latched) {
        uint16_t port = s->rtcp.port;
        s->rtcp = *from;
        s->rtcp.port = port;
    }
    s->rtp = *from;
}

static uint32_t clock_rate(const struct stream *s, uint8_t pt)
{
    for (unsigned i = 0; i < s->n_clocks; i++)
        if (s->clocks[i].pt == pt)
            return s->clocks[i].rate_hz;
    return 0;
}

/* One packet of the stream's rate (GCRA). Asked only for packets that are known to be the peer's:
 * nobody else may use up what it is due. */
static bool metered(struct stream *s, struct instant now)
{
    int64_t due = s->due_us > now.us ? s->due_us : now.us;
    if (UNLIKELY(due - now.us > BURST_US))
        return false;
    s->due_us = due + s->gap_us;
    return true;
}

/* NULL where nothing may be sent; quiet stands for every address that is zero. */
static struct stream *far_side(struct media *m, const struct stream *s)
{
    struct stream *d = &m->streams[s->peer];
    return s->peer != 0 && d->on && d->opaque == s->opaque && !d->quiet ? d : NULL;
}

static enum reason send_rtp(struct stream *d, struct pkt *pk)
{
    if (d == NULL || d->rtp.port == 0)
        return REASON_rtp_no_route;
    if (d->secure) {
        size_t n = pk->len;
        enum err e = srtp_protect(d->keys->tx, pk->data, &n, PKT_MAX);
        if (e != OK)
            return srtp_reason(e);
        pk->len = (uint16_t)n;
    }
    pk->port = d->port;
    pk->peer = d->rtp;
    pk->from = d->source;
    return REASON_NONE;
}

#define TONE_PEAK 8000

void media_warn(struct media *m, struct media_leg *l, uint32_t hz, uint32_t ms)
{
    for (unsigned i = 0; i < MEDIA_STREAMS; i++) {
        struct stream *s = leg_stream(m, l, i);
        if (!s || !s->on || s->opaque)
            continue;
        tone_init(&s->tone, hz, TONE_PEAK);
        s->tone_left = ms * (TONE_RATE_HZ / 1000);
    }
}

/* The packet is plain here; it keeps its length. */
static void mix_tone(struct stream *d, struct pkt *pk, const struct rtp *r)
{
    if (r->pt != G711_ULAW && r->pt != G711_ALAW)
        return;
    enum g711 law = (enum g711)r->pt;
    size_t n = pk->len - r->header_bytes;
    n -= r->padded ? MIN((size_t)pk->data[pk->len - 1], n) : 0;
    n = MIN(n, (size_t)d->tone_left);
    uint8_t *p = pk->data + r->header_bytes, sound[TONE_FRAME];
    for (size_t at = 0; at < n; at += TONE_FRAME) {
        size_t some = MIN(n - at, (size_t)TONE_FRAME);
        tone_frame(&d->tone, law, sound, some);
        for (size_t i = 0; i < some; i++)
            p[at + i] = g711_encode(
                law, (int16_t)(g711_decode(law, p[at + i]) / 2 + g711_decode(law, sound[i])));
    }
    d->tone_left -= (uint32_t)n;
}

static enum reason relay_rtp(struct media *m, struct stream *s, struct pkt *pk, struct instant now)
{
    struct rtp r;
    if (rtp_parse(pk->data, pk->len, &r) != OK)
        return REASON_rtp_malformed;
    if (!addr_eq(&pk->peer, &s->rtp) && !may_latch(s, &pk->peer))
        return REASON_rtp_source;
    if (s->secure) {
        size_t n = pk->len;
        if (UNLIKELY(s->keys->rx_life == 0))
            return REASON_rtp_key_limit;
        enum err e = srtp_unprotect(s->keys->rx, pk->data, &n);
        if (e != OK)
            return srtp_reason(e);
        s->keys->rx_life--;
        pk->len = (uint16_t)n;
    }
    if (!rtp_padding_ok(pk->data, pk->len, &r))
        return REASON_rtp_malformed;
    latch_rtp(s, &pk->peer);
    if (!metered(s, now))
        return REASON_rtp_rate;
    reception_packet(&s->in, &r, pk->len, clock_rate(s, r.pt), now);
    struct stream *d = far_side(m, s);
    if (UNLIKELY(d == NULL && s->leg->voice.on)) /* ours, back to where it came from */
        return voice_packet(m, s, pk, &r) ? send_rtp(s, pk) : REASON_NONE;
    if (UNLIKELY(d != NULL && d->tone_left != 0))
        mix_tone(d, pk, &r);
    return send_rtp(d, pk);
}

/* T.38 (RFC 3362): datagrams as they are, from the peer's address alone. */
static enum reason relay_datagram(struct media *m, struct stream *s, struct pkt *pk,
                                  struct instant now)
{
    if (pk->len < UDPTL_MIN || pk->len > UDPTL_MAX)
        return REASON_rtp_malformed;
    if (!addr_eq(&pk->peer, &s->rtp) && !may_latch(s, &pk->peer))
        return REASON_rtp_source;
    latch_rtp(s, &pk->peer);
    if (!metered(s, now))
        return REASON_rtp_rate;
    reception_datagram(&s->in, pk->len, now);
    return send_rtp(far_side(m, s), pk);
}

/* RTCP has its own port (and so its own latch) unless it shares RTP's. */
static bool rtcp_from_peer(const struct stream *s, const struct addr *from)
{
    if (addr_eq(from, s->mux ? &s->rtp : &s->rtcp))
        return true;
    if (s->mux)
        return s->secure && may_latch(s, from);
    if (s->rtcp_latched || from->family != s->rtp.family)
        return false;
    return s->secure || (s->symmetric && s->rtp_latched && addr_eq_ip(from, &s->rtp));
}

static void latch_rtcp(struct stream *s, const struct addr *from)
{
    if (s->mux) {
        if (s->secure)
            latch_rtp(s, from);
    } else if (!s->rtcp_latched) {
        s->rtcp_latched = s->symmetric || s->secure;
        s->rtcp = *from;
    }
}

static enum reason send_rtcp(struct stream *d, struct pkt *pk)
{
    const struct addr *to = d == NULL ? NULL : d->mux ? &d->rtp : &d->rtcp;
    if (to == NULL || to->port == 0)
        return REASON_rtp_no_route;
    if (d->secure) {
        size_t n = pk->len;
        enum err e = srtcp_protect(d->keys->tx, pk->data, &n, PKT_MAX);
        if (e != OK)
            return srtp_reason(e);
        pk->len = (uint16_t)n;
    }
    pk->port = d->mux ? d->port : (uint16_t)(d->port + 1);
    pk->peer = *to;
    pk->from = d->source;
    return REASON_NONE;
}

static enum reason relay_rtcp(struct media *m, struct stream *s, struct pkt *pk, struct instant now)
{
    if (!rtcp_header_ok(pk->data, pk->len))
        return REASON_rtp_malformed;
    if (!rtcp_from_peer(s, &pk->peer))
        return REASON_rtp_source;
    if (s->secure) {
        size_t n = pk->len;
        if (UNLIKELY(s->keys->rx_rtcp_life == 0))
            return REASON_rtp_key_limit;
        enum err e = srtcp_unprotect(s->keys->rx, pk->data, &n);
        if (e != OK)
            return srtp_reason(e);
        s->keys->rx_rtcp_life--;
        pk->len = (uint16_t)n;
    }
    if (rtcp_check(pk->data, pk->len) != OK)
        return REASON_rtp_malformed;
    latch_rtcp(s, &pk->peer);
    if (!metered(s, now))
        return REASON_rtp_rate;
    rtcp_hide(pk->data, pk->len, &m->hide_key);
    return send_rtcp(far_side(m, s), pk);
}

static enum reason relay_one(struct media *m, struct stream *s, struct pkt *pk, struct instant now)
{
    bool odd = (pk->port & 1) != 0;
    if (!s->on)
        return REASON_rtp_no_session;
    if (pk->len == 0 || pk->len > PKT_MAX)
        return REASON_rtp_malformed;
    if (!odd && !(s->mux && rtp_is_rtcp(pk->data, pk->len)))
        return s->opaque ? relay_datagram(m, s, pk, now) : relay_rtp(m, s, pk, now);
    if (odd && (s->mux || s->opaque))
        return REASON_rtp_no_session;
    return relay_rtcp(m, s, pk, now);
}

/* Who sends what is refused; whoever comes when the table is full is counted only. */
static void note(struct media *m, enum reason why, const struct pkt *pk)
{
    if (why == REASON_rtp_no_session && ports_rests(m->cfg.ports, pk->port))
        return; /* the last of a call that has just ended */
    for (uint32_t i = 0; i < m->n_notes; i++) {
        struct media_note *x = &m->notes[i];
        if (x->reason == why && addr_eq(&x->source, &pk->peer)) {
            x->n++;
            return;
        }
    }
    if (m->n_notes < MEDIA_NOTES)
        m->notes[m->n_notes++] = (struct media_note){pk->peer, (uint16_t)why, pk->port, 1};
}

size_t media_notes(struct media *m, struct media_note *ret, size_t cap)
{
    size_t n = MIN((size_t)m->n_notes, cap);
    memcpy(ret, m->notes, n * sizeof *ret);
    m->n_notes = 0;
    return n;
}

static void turn(struct media *m, struct pkt *pkts, size_t n, struct instant now)
{
    for (size_t i = 0; i < n; i++) {
        struct stream *s = &m->streams[m->by_port[pkts[i].port]];
        __builtin_prefetch(s);
        __builtin_prefetch((const uint8_t *)s + 64);
        __builtin_prefetch(pkts[i].data);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t index = m->by_port[pkts[i].port];
        struct stream *s = &m->streams[index];
        enum reason why = index == 0 ? REASON_rtp_no_session : relay_one(m, s, &pkts[i], now);
        if (LIKELY(why == REASON_NONE))
            continue;
        pkts[i].len = 0;
        counters_hit(m->cfg.counters, why);
        if (reason_info(why)->hostile)
            note(m, why, &pkts[i]);
        if (index != 0 && why != REASON_rtp_no_route)
            s->in.discarded++;
    }
}

void media_turn(struct media *m, struct pkt *pkts, size_t n, struct instant now)
{
    m->now = now;
    for (size_t at = 0; at < n; at += TURN_CHUNK)
        turn(m, pkts + at, MIN(n - at, TURN_CHUNK), now);
}
