#include "crypto/cipher.h"
#include "media/state.h"

static struct stream *stream_new(struct media *m, uint32_t *ret_index)
{
    uint32_t i = m->streams_free;
    if (i != 0) {
        m->streams_free = m->streams[i].next_free;
    } else {
        if (m->streams_fresh + 1 >= m->streams_cap)
            return NULL;
        i = ++m->streams_fresh;
    }
    m->streams_used++;
    m->streams[i] = (struct stream){0};
    *ret_index = i;
    return &m->streams[i];
}

static void stream_give(struct media *m, uint32_t i)
{
    m->streams[i] = (struct stream){.next_free = m->streams_free};
    m->streams_free = i;
    m->streams_used--;
}

enum reason stream_open(struct media *m, struct media_leg *l, unsigned i, struct stream **ret_s)
{
    struct stream *s = leg_stream(m, l, i);
    if (s != NULL) {
        *ret_s = s;
        return REASON_NONE;
    }
    uint32_t index;
    s = stream_new(m, &index);
    if (s == NULL)
        return REASON_capacity_memory;
    if (ports_take(m->cfg.ports, m->cfg.rng, m->now, &s->port) != OK) {
        stream_give(m, index);
        return REASON_capacity_ports;
    }
    s->leg = l;
    s->symmetric = l->policy.symmetric;
    s->source = l->policy.source_ip;
    l->streams[i] = index;
    m->by_port[s->port] = m->by_port[s->port + 1] = index;
    *ret_s = s;
    return REASON_NONE;
}

static void context_drop(struct media *m, struct srtp **c)
{
    if (*c != NULL)
        m->srtp_contexts--;
    srtp_free(*c);
    *c = NULL;
}

static void keys_drop(struct media *m, struct stream *s)
{
    if (s->keys == NULL)
        return;
    context_drop(m, &s->keys->rx);
    context_drop(m, &s->keys->tx);
    crypto_free(s->keys, sizeof *s->keys);
    s->keys = NULL;
}

void stream_free(struct media *m, struct media_leg *l, unsigned i)
{
    struct stream *s = leg_stream(m, l, i);
    if (s == NULL)
        return;
    keys_drop(m, s);
    if (s->peer != 0)
        m->streams[s->peer].peer = 0;
    m->by_port[s->port] = m->by_port[s->port + 1] = 0;
    ports_give(m->cfg.ports, s->port, m->now);
    stream_give(m, l->streams[i]);
    l->streams[i] = 0;
}

enum reason stream_keys(struct media *m, struct stream *s)
{
    if (s->keys != NULL)
        return REASON_NONE;
    s->keys = crypto_zalloc(sizeof *s->keys);
    if (s->keys == NULL)
        return REASON_capacity_memory;
    rng_bytes(m->cfg.rng, s->keys->seed, SUITE_SEED_BYTES);
    return REASON_NONE;
}

static bool context_make(struct media *m, struct srtp **c, enum srtp_suite suite,
                         const uint8_t *key)
{
    struct srtp *fresh = srtp_new(suite, key);
    if (fresh == NULL)
        return false;
    context_drop(m, c);
    *c = fresh;
    m->srtp_contexts++;
    return true;
}

/* How many packets the peer's key is good for (RFC 4568 section 6.1: a lifetime counts both kinds;
 * RFC 3711 section 9.2 the ends without one, which srtp.c also keeps). */
static void life_begin(struct secure *k)
{
    const uint64_t rtp_max = UINT64_C(1) << 48, rtcp_max = UINT64_C(1) << 31;
    uint64_t life = k->next_life != 0 ? k->next_life : rtp_max;
    k->rx_life = MIN(life, rtp_max);
    k->rx_rtcp_life = MIN(life, rtcp_max);
}

/* A context lives as long as its key does, so that the roll-over counter and the replay window
 * survive a re-INVITE that changes nothing. */
static enum reason install(struct media *m, struct secure *k)
{
    bool same = k->rx != NULL && k->rx_suite == k->next_suite &&
                mem_equal_ct(k->rx_key, k->next_key, SRTP_KEY_MAX);
    if (!same && !context_make(m, &k->rx, k->next_suite, k->next_key))
        return REASON_capacity_memory;
    if (!same)
        life_begin(k);
    memcpy(k->rx_key, k->next_key, SRTP_KEY_MAX);
    k->rx_suite = k->next_suite;
    if (k->tx != NULL && k->tx_suite == k->next_suite)
        return REASON_NONE;
    uint8_t own[SRTP_KEY_MAX];
    suite_own_key(k->seed, k->next_suite, own);
    bool made = context_make(m, &k->tx, k->next_suite, own);
    mem_wipe(own, sizeof own);
    k->tx_suite = k->next_suite;
    return made ? REASON_NONE : REASON_capacity_memory;
}

enum reason stream_commit(struct media *m, struct stream *s, const struct remote *r)
{
    if (r->secure) {
        enum reason why = install(m, s->keys);
        if (why != REASON_NONE)
            return why;
    } else {
        keys_drop(m, s);
    }
    struct remote said = *r;
    bool opaque = r->kind == LINE_T38;
    s->quiet = addr_any(&r->rtp);
    /* A zero address says where not to send, not where music on hold comes from: that stays. */
    if (s->quiet && s->on && s->opaque == opaque) {
        said.rtp = s->said.rtp;
        said.rtcp = s->said.rtcp;
    }
    bool moved = !s->on || s->secure != r->secure || s->said.mux != r->mux || s->opaque != opaque ||
                 !addr_eq(&s->said.rtp, &said.rtp) || !addr_eq(&s->said.rtcp, &said.rtcp);
    if (moved) {
        /* Any datagram looks like UDPTL: what the call's RTP has shown of the peer stays true. */
        s->pinned = opaque && s->on && s->rtp_latched && addr_eq_ip(&s->said.rtp, &said.rtp);
        if (s->pinned)
            s->rtp.port = said.rtp.port;
        else
            s->rtp = said.rtp;
        s->rtcp = said.rtcp;
        s->rtp_latched = s->rtcp_latched = false;
    }
    if (s->said.held && !r->held)
        s->resumed_us = m->now.us;
    s->said = said;
    s->mux = r->mux;
    s->secure = r->secure;
    s->opaque = opaque;
    s->on = true;
    return REASON_NONE;
}

/* Packets a second that a stream may bring: what its kind needs and as much again. A burst of one
 * second's worth may come at once, which is how packets arrive after a pause of the network or of
 * the machine. */
#define RATE_AUDIO_MIN   100u
#define RATE_AUDIO_MAX   1000u
#define RATE_VIDEO       2000u
#define RATE_T38         200u
#define RATE_APPLICATION 200u
#define PTIME_DEFAULT_MS 20u

static uint32_t audio_rate(uint8_t ptime_ms)
{
    uint32_t rate = 2000u / (ptime_ms != 0 ? ptime_ms : PTIME_DEFAULT_MS);
    return rate < RATE_AUDIO_MIN ? RATE_AUDIO_MIN : MIN(rate, RATE_AUDIO_MAX);
}

void stream_meter(struct stream *s, uint8_t kind, uint8_t ptime_a_ms, uint8_t ptime_b_ms)
{
    uint8_t shorter =
        ptime_a_ms == 0 || (ptime_b_ms != 0 && ptime_b_ms < ptime_a_ms) ? ptime_b_ms : ptime_a_ms;
    uint32_t rate = kind == LINE_VIDEO         ? RATE_VIDEO
                    : kind == LINE_T38         ? RATE_T38
                    : kind == LINE_APPLICATION ? RATE_APPLICATION
                                               : audio_rate(shorter);
    s->gap_us = 1000000u / rate;
}

static void copy_text(char *to, size_t cap, struct str s)
{
    size_t n = MIN(s.n, cap - 1);
    if (n > 0)
        memcpy(to, s.p, n);
    to[n] = 0;
}

/* Rates above 33 MHz do not exist; they count as unknown. */
static struct clock clock_of(uint8_t pt, uint32_t rate_hz)
{
    struct clock c = {.pt = pt & 0x7fu, .rate_hz = 0};
    if (rate_hz < 1u << 25)
        c.rate_hz = rate_hz & 0x1ffffffu;
    return c;
}

void stream_describe(struct stream *s, const struct sdp *sdp, struct str text,
                     const struct sdp_media *ml, uint32_t keep)
{
    struct str rest = span_str(text, ml->fmts), name = STR_NONE;
    bool first = true;
    s->n_clocks = 0;
    copy_text(s->kind, sizeof s->kind, span_str(text, ml->kind));
    copy_text(s->codec, sizeof s->codec, s->next.kind == LINE_T38 ? STR("t38") : STR_NONE);
    for (unsigned i = 0; rest.n > 0 && s->n_clocks < CLOCKS_MAX; i++) {
        uint8_t pt;
        uint32_t rate_hz;
        if ((keep >> i & 1) == 0) {
            sdp_token_next(&rest);
            continue;
        }
        if (sdp_payload_type(sdp_token_next(&rest), &pt) != OK ||
            sdp_rtpmap(sdp, text, ml, pt, &rate_hz, &name) != OK)
            continue;
        s->clocks[s->n_clocks++] = clock_of(pt, rate_hz);
        if (first)
            copy_text(s->codec, sizeof s->codec, name);
        first = false;
    }
}

void legs_link(struct media *m, struct media_leg *l)
{
    for (unsigned i = 0; i < MEDIA_STREAMS; i++) {
        struct stream *a = leg_stream(m, l, i);
        struct stream *b = l->pair != NULL ? leg_stream(m, l->pair, i) : NULL;
        if (a != NULL)
            a->peer = b != NULL ? l->pair->streams[i] : 0;
        if (b != NULL)
            b->peer = a != NULL ? l->streams[i] : 0;
    }
}
