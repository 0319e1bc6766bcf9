/* RTP: streams by addresses, ports and SSRC; which call they belong to, as SDP announced. */
#include "app/replay/state.h"
#include "wire/sdp/sdes.h"

static uint64_t stream_hash(const struct replay *r, const struct addr *src, const struct addr *dst,
                            uint32_t ssrc)
{
    uint8_t k[40];
    if (LIKELY(src->family == ADDR_V4)) {
        memcpy(k, src->ip, 4);
        memcpy(k + 4, dst->ip, 4);
        memcpy(k + 8, &src->port, 2);
        memcpy(k + 10, &dst->port, 2);
        memcpy(k + 12, &ssrc, 4);
        return siphash(&r->key, str_of((const char *)k, 16));
    }
    memcpy(k, src->ip, 16);
    memcpy(k + 16, dst->ip, 16);
    memcpy(k + 32, &src->port, 2);
    memcpy(k + 34, &dst->port, 2);
    memcpy(k + 36, &ssrc, 4);
    return siphash(&r->key, str_of((const char *)k, 40));
}

static struct announced *announced_find(const struct replay *r, const struct addr *a)
{
    uint64_t hash = addr_hash(&r->key, a);
    uint32_t it = 0, v;
    while ((v = map_find(&r->announced_map, hash, &it)) != 0)
        if (addr_eq(&r->announced[v - 1].a, a))
            return &r->announced[v - 1];
    return NULL;
}

static void rate_find(const struct replay *r, struct stream *t, uint8_t pt)
{
    struct str name;
    t->pt = pt;
    t->rate_hz = 0;
    const struct announced *a = t->announced ? &r->announced[t->announced - 1] : NULL;
    for (unsigned i = 0; a && i < a->n; i++)
        if (a->codecs[i].pt == pt)
            t->rate_hz = a->codecs[i].rate_hz;
    if (!t->rate_hz && sdp_static_type(pt, &t->rate_hz, &name) != OK)
        t->rate_hz = 0;
}

/* Another address than the announced one feeds a port of a call that is being fed. */
static bool injected(const struct replay *r, const struct stream *t, const struct announced *to)
{
    const struct call *k = &r->calls[to->call - 1];
    for (uint32_t i = k->streams; i; i = r->streams[i - 1].next) {
        const struct stream *o = &r->streams[i - 1];
        if (o != t && addr_eq(&o->dst, &t->dst) && !addr_eq_ip(&o->src, &t->src) &&
            r->now.mono.us - o->in.last_us < 2000000)
            return true;
    }
    return false;
}

/* A port that a gateway of one of the configurations gives to calls. */
static uint8_t gateway_ports(const struct replay *r, const struct addr *dst)
{
    uint8_t bits = 0;
    for (unsigned i = 0; i < r->o.n; i++) {
        const struct policy *p = r->o.by[i].policy;
        if (r->o.by[i].assumed || dst->port < p->rtp_min || dst->port > p->rtp_max)
            continue;
        for (unsigned k = 0; k < p->n_listeners; k++)
            if (addr_eq_ip(dst, &p->listeners[k].advertise) ||
                addr_eq_ip(dst, &p->listeners[k].bind) || addr_eq_ip(dst, &p->media_ip))
                bits |= (uint8_t)(1u << i);
    }
    return bits;
}

void media_bind(struct replay *r, struct stream *t)
{
    if (t->call)
        return;
    const struct announced *to = announced_find(r, &t->dst), *from = announced_find(r, &t->src);
    const struct announced *a = to ? to : from;
    if (!a)
        return;
    struct call *k = &r->calls[a->call - 1];
    t->call = a->call;
    t->announced = (uint32_t)(a - r->announced) + 1;
    t->side = to ? !to->side : from->side;
    t->srtp = a->srtp;
    t->strange = to && !from && injected(r, t, to);
    t->why = REASON_rtp_source;
    t->open = t->strange ? UINT8_MAX : 0;
    t->next = k->streams;
    k->streams = (uint32_t)(t - r->streams) + 1;
}

/* A place in the table; when it is full that of what never became a stream, so that packets of
 * chance do not hide what comes behind them. */
COLD static struct stream *stream_place(struct replay *r)
{
    if (r->n_streams < STREAMS)
        return &r->streams[r->n_streams++];
    for (unsigned i = 0; i < STREAM_LOOKS; i++) {
        struct stream *t = &r->streams[r->hand++ % STREAMS];
        if (t->call || t->strange || t->run + 1 >= STREAM_MIN ||
            r->now.mono.us - t->in.last_us < STREAM_IDLE_US)
            continue;
        uint64_t hash = stream_hash(r, &t->src, &t->dst, t->ssrc);
        (void)map_del(&r->stream_map, hash, (uint32_t)(t - r->streams) + 1);
        r->n.chance += t->in.packets;
        memset(t, 0, sizeof *t);
        return t;
    }
    return NULL;
}

COLD static struct stream *stream_new(struct replay *r, const struct frame *f, const struct rtp *h,
                                      uint64_t hash)
{
    struct stream *t = stream_place(r);
    if (!t || map_put(&r->stream_map, hash, (uint32_t)(t - r->streams) + 1) != OK) {
        r->n.streams_lost++;
        return NULL;
    }
    t->src = f->src;
    t->dst = f->dst;
    t->ssrc = h->ssrc;
    media_bind(r, t);
    if (!t->call && (t->open = gateway_ports(r, &t->dst)) != 0) {
        t->strange = true;
        t->why = REASON_rtp_no_session;
    }
    rate_find(r, t, h->pt);
    t->ban_checked_us = INT64_MIN / 2;
    return t;
}

/* Would the packet have been dropped, as its source is banned? Looked up once a second. */
COLD static void bans(struct replay *r, struct stream *t)
{
    bool look = r->now.mono.us - t->ban_checked_us > 1000000;
    for (unsigned i = 0; i < r->o.n; i++) {
        if (!r->judges[i].n_bans)
            continue;
        if (look) {
            bool is = judge_banned(r, i, &t->src);
            t->banned = (uint8_t)((t->banned & ~(1u << i)) | (is ? 1u << i : 0));
            t->ban_checked_us = r->now.mono.us;
        }
        if (t->banned & (1u << i)) {
            t->dropped[i]++;
            r->judges[i].rtp_dropped++;
        }
    }
}

#define TELL_EVERY 50u
COLD static void strange(struct replay *r, struct stream *t)
{
    if (t->in.packets != 1 && t->in.packets - t->told < TELL_EVERY)
        return;
    struct obs o = {.kind = OBS_BELOW,
                    .proto = PROTO_UDP,
                    .zone = POLICY_NONE,
                    .reason = t->why,
                    .n = (uint32_t)(t->in.packets - t->told),
                    .listener = UINT32_MAX,
                    .source = t->src};
    t->told = (uint32_t)t->in.packets;
    for (unsigned i = 0; i < r->o.n; i++)
        if (t->open & (1u << i))
            judge_observe(r, i, &o, NULL);
}

void media_packet(struct replay *r, const struct frame *f)
{
    struct rtp h;
    struct stream *t = NULL;
    if (rtp_is_rtcp(f->data, f->len)) {
        r->n.rtcp++;
        return;
    }
    if (rtp_parse(f->data, f->len, &h) != OK) {
        r->n.other_udp++;
        return;
    }
    r->n.rtp++;
    uint64_t hash = stream_hash(r, &f->src, &f->dst, h.ssrc);
    uint32_t it = 0, v;
    while ((v = map_find(&r->stream_map, hash, &it)) != 0) {
        struct stream *x = &r->streams[v - 1];
        if (LIKELY(x->ssrc == h.ssrc && addr_eq(&x->src, &f->src) && addr_eq(&x->dst, &f->dst))) {
            t = x;
            break;
        }
    }
    if (UNLIKELY(!t) && !(t = stream_new(r, f, &h, hash)))
        return;
    int64_t gap = r->now.mono.us - t->in.last_us;
    int16_t step = (int16_t)(uint16_t)(h.seq - (uint16_t)t->in.top);
    if (LIKELY(t->in.packets)) {
        t->late += step < 0 && step >= -100;
        t->twice += step == 0;
        t->run = step == 1 ? t->run + 1 : t->run;
        t->max_gap_us = MAX(gap, t->max_gap_us);
    }
    t->pts[h.pt >> 6] |= UINT64_C(1) << (h.pt & 63);
    if (UNLIKELY(h.pt != t->pt))
        rate_find(r, t, h.pt);
    reception_packet(&t->in, &h, f->len, t->rate_hz, r->now.mono);
    if (UNLIKELY(r->judges[0].n_bans | r->judges[1].n_bans))
        bans(r, t);
    if (UNLIKELY(t->strange))
        strange(r, t);
    for (unsigned i = 0; i < r->o.n; i++)
        if (UNLIKELY(r->judges[i].rtp_rules))
            judge_packet(r, i, f, t);
}

/* -- SDP -- */

static void codecs(struct replay *r, struct announced *a, struct str text,
                   const struct sdp_media *m)
{
    struct str fmts = span_str(text, m->fmts), token, name;
    a->n = 0;
    while (a->n < PTS && (token = sdp_token_next(&fmts)).n) {
        struct codec *c = &a->codecs[a->n];
        if (sdp_payload_type(token, &c->pt) != OK ||
            sdp_rtpmap(&r->sdp, text, m, c->pt, &c->rate_hz, &name) != OK)
            continue;
        size_t n = MIN(name.n, sizeof c->name - 1);
        for (size_t i = 0; i < n; i++)
            c->name[i] = name.p[i] > 0x20 && name.p[i] < 0x7f ? name.p[i] : '?';
        c->name[n] = 0;
        a->n++;
    }
}

static void announce(struct replay *r, struct call *k, uint8_t side, struct str text,
                     const struct sdp_media *m, bool srtp)
{
    struct addr a = sdp_media_conn(&r->sdp, m)->a;
    if (a.family == ADDR_NONE || addr_any(&a) || m->port == 0)
        return;
    a.port = m->port;
    struct announced *x = announced_find(r, &a);
    if (!x) {
        uint64_t hash = addr_hash(&r->key, &a);
        if (r->n_announced == ANNOUNCED ||
            map_put(&r->announced_map, hash, r->n_announced + 1) != OK) {
            r->n.announced_lost++;
            return;
        }
        x = &r->announced[r->n_announced++];
        x->a = a;
        x->hash = hash;
    }
    x->call = (uint32_t)(k - r->calls) + 1;
    x->side = side;
    x->srtp = srtp;
    codecs(r, x, text, m);
}

static void exposed(struct replay *r, struct call *k, const struct seen *s)
{
    if (k->exposed)
        return;
    k->exposed = true;
    for (unsigned i = 0; i < r->o.n; i++)
        judge_plain(r, i, &s->src, REASON_media_key_exposed, k->from, NULL);
}

void media_announce(struct replay *r, struct call *k, uint8_t side, struct str text,
                    const struct seen *s)
{
    if (sdp_parse(text, &r->sdp) != OK)
        return;
    bool still = true;
    for (unsigned i = 0; i < r->sdp.n_media; i++) {
        const struct sdp_media *m = &r->sdp.media[i];
        struct str proto = span_str(text, m->proto);
        bool srtp = str_search(proto, STR("SAVP")) < proto.n;
        if (sdp_attr_find(&r->sdp, text, &m->sec, STR("crypto")))
            exposed(r, k, s);
        if (str_search(proto, STR("RTP/")) == proto.n || m->port == 0)
            continue;
        k->srtp = k->srtp || srtp;
        announce(r, k, side, text, m, srtp);
        still = still && sdp_direction(&r->sdp, text, m) != SDP_SENDRECV;
    }
    k->sdp[side] = true;
    k->still[side] = still;
}
