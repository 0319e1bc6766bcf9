#include "media/leg.h"
#include "media/state.h"

static size_t up16(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static uint32_t offer_buckets(uint32_t legs_cap)
{
    uint32_t n = 1;
    while (n < legs_cap && n < 1u << 24)
        n <<= 1;
    return n;
}

size_t media_bytes(const struct media_cfg *cfg)
{
    size_t streams = (size_t)cfg->legs_cap * MEDIA_STREAMS + 1;
    return up16(sizeof(struct media)) + up16(pool_bytes(sizeof(struct media_leg), cfg->legs_cap)) +
           up16(offer_buckets(cfg->legs_cap) * sizeof(struct media_leg *)) +
           streams * sizeof(struct stream);
}

struct media *media_init(void *mem, const struct media_cfg *cfg)
{
    struct media *m = mem;
    uint8_t *at = (uint8_t *)mem + up16(sizeof *m);
    m->cfg = *cfg;
    pool_init(&m->legs, at, sizeof(struct media_leg), cfg->legs_cap);
    at += up16(pool_bytes(sizeof(struct media_leg), cfg->legs_cap));
    m->offers = (struct media_leg **)(void *)at;
    m->offers_mask = offer_buckets(cfg->legs_cap) - 1;
    at += up16(((size_t)m->offers_mask + 1) * sizeof(struct media_leg *));
    m->streams = (struct stream *)(void *)at;
    m->streams_cap = cfg->legs_cap * MEDIA_STREAMS + 1;
    rng_bytes(cfg->rng, &m->hide_key, sizeof m->hide_key);
    return m;
}

struct media_leg *media_leg_open(struct media *m, const struct media_policy *policy, uint64_t user)
{
    struct handle h;
    struct media_leg *l = pool_new(&m->legs, &h);
    if (l == NULL)
        return NULL;
    l->policy = *policy;
    l->policy.codecs = (struct codec_names){0};
    if (l->policy.kinds == 0)
        l->policy.kinds = LINE_AUDIO | LINE_VIDEO;
    l->codecs = codecs_keep(m, &policy->codecs);
    if (l->codecs == CODECS_FULL) {
        pool_free(&m->legs, l);
        return NULL;
    }
    l->user = user;
    l->media = m;
    return l;
}

/* --- the offer that a leg took --- */

/* By text and call: phones of one make say the same in many calls. */
static struct media_leg **offer_bucket(struct media *m, uint64_t hash, uint64_t user)
{
    uint64_t mixed = (hash ^ user) * UINT64_C(0x9e3779b97f4a7c15);
    return &m->offers[(mixed >> 32) & m->offers_mask];
}

static void offer_forget(struct media *m, struct media_leg *l)
{
    if (m->offer_last == l)
        m->offer_last = NULL;
    if (l->offer_hash == 0)
        return;
    struct media_leg **at = offer_bucket(m, l->offer_hash, l->user);
    while (*at != l)
        at = &(*at)->offer_next;
    *at = l->offer_next;
    l->offer_hash = 0;
}

void offer_note(struct media *m, struct media_leg *l, struct str text, uint8_t mask)
{
    offer_forget(m, l);
    l->offer_hash = siphash(&m->hide_key, text) | 1;
    l->offer_mask = mask;
    struct media_leg **at = offer_bucket(m, l->offer_hash, l->user);
    l->offer_next = *at;
    *at = l;
    m->offer_last = l;
}

const struct media_leg *offer_find(struct media *m, const struct media_leg *to, struct str text)
{
    uint64_t hash = siphash(&m->hide_key, text) | 1;
    const struct media_leg *last = m->offer_last;
    for (const struct media_leg *l = *offer_bucket(m, hash, to->user); l != NULL; l = l->offer_next)
        if (l->offer_hash == hash && l->user == to->user && l != to)
            return l;
    return last != NULL && last != to && last->offer_hash == hash ? last : NULL;
}

static void unpair(struct media *m, struct media_leg *l)
{
    struct media_leg *other = l->pair;
    if (other == NULL)
        return;
    l->pair = NULL;
    other->pair = NULL;
    legs_link(m, l);
    legs_link(m, other);
}

void media_pair(struct media *m, struct media_leg *a, struct media_leg *b)
{
    if (a->pair != b) {
        unpair(m, a);
        unpair(m, b);
        a->pair = b;
        b->pair = a;
    }
    legs_link(m, a);
}

void media_unpair(struct media *m, struct media_leg *l)
{
    unpair(m, l);
}

void media_leg_close(struct media *m, struct media_leg *l, struct instant now)
{
    if (l == NULL)
        return;
    m->now = now;
    unpair(m, l);
    for (unsigned i = 0; i < MEDIA_STREAMS; i++)
        stream_free(m, l, i);
    offer_forget(m, l);
    codecs_drop(m, l->codecs);
    codecs_drop(m, l->far_codecs);
    pool_free(&m->legs, l);
}

struct media_usage media_usage(const struct media *m)
{
    return (struct media_usage){m->legs.used, m->cfg.ports->n_taken, m->srtp_contexts};
}

/* --- reading --- */

bool media_leg_view(const struct media_leg *l, unsigned stream, struct media_view *ret_v)
{
    const struct stream *s = leg_stream(l->media, l, stream);
    if (s == NULL)
        return false;
    *ret_v = (struct media_view){
        .suite = s->secure && s->keys != NULL ? s->keys->rx_suite : SUITE_NONE,
        .local_port = s->port,
        .remote = s->rtp,
        .latched = s->rtp_latched,
        .held = s->said.held,
    };
    memcpy(ret_v->codec, s->codec, sizeof s->codec);
    memcpy(ret_v->kind, s->kind, sizeof s->kind);
    reception_read(&s->in, &ret_v->in);
    return true;
}

static bool has_to_talk(const struct stream *s, const struct stream *other)
{
    return s->on && !s->said.held && (other == NULL || (other->on && !other->said.held)) &&
           !str_eq(str_c(s->kind), STR("text")) && !str_eq(str_c(s->kind), STR("application"));
}

struct instant media_silent_since(const struct media_leg *a, const struct media_leg *b)
{
    const struct media_leg *legs[] = {a, b};
    struct instant since = {0};
    bool rest = a->n_media_agreed || b->n_media_agreed;
    for (unsigned i = 0; i < 2 * MEDIA_STREAMS; i++) {
        const struct media_leg *l = legs[i / MEDIA_STREAMS];
        const struct stream *s = leg_stream(l->media, l, i % MEDIA_STREAMS);
        if (s == NULL)
            continue;
        since.us = MAX(since.us, MAX(s->in.last_us, s->resumed_us));
        rest = rest && !has_to_talk(s, s->peer != 0 ? &l->media->streams[s->peer] : NULL);
    }
    return rest ? (struct instant){INT64_MAX / 2} : since;
}

#define ONE_WAY_US 5000000
#define ACTIVE_US  2000000

struct flow {
    int64_t first, last, resumed;
    bool any; /* a line that should bring packets */
};

static struct flow flow_of(const struct media_leg *l)
{
    struct flow f = {0};
    for (unsigned i = 0; i < MEDIA_STREAMS; i++) {
        const struct stream *s = leg_stream(l->media, l, i);
        const struct stream *d = s != NULL && s->peer != 0 ? &l->media->streams[s->peer] : NULL;
        if (d == NULL || s->opaque || s->said.held || d->said.held)
            continue;
        f.any = true;
        f.resumed = MAX(f.resumed, MAX(s->resumed_us, d->resumed_us));
        if (s->in.first_us != 0 && (f.first == 0 || s->in.first_us < f.first))
            f.first = s->in.first_us;
        f.last = MAX(f.last, s->in.last_us);
    }
    return f;
}

/* One side talks now and has for 5 s, the other has been silent for as long; both since the last
 * hold ended. */
static bool talks_alone(const struct flow *a, const struct flow *b, struct instant now)
{
    int64_t since = MAX(a->first, a->resumed), silent = MAX(b->last, b->resumed);
    return a->last != 0 && now.us - a->last <= ACTIVE_US && now.us - since >= ONE_WAY_US &&
           (silent == 0 || now.us - silent >= ONE_WAY_US);
}

bool media_one_way(const struct media_leg *a, const struct media_leg *b, struct instant now)
{
    struct flow fa = flow_of(a), fb = flow_of(b);
    if (!fa.any || !fb.any)
        return false;
    return talks_alone(&fa, &fb, now) || talks_alone(&fb, &fa, now);
}
