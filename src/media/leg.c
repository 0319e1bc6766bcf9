#include "media/leg.h"
#include "media/state.h"

static size_t up16(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

size_t media_bytes(const struct media_cfg *cfg)
{
    size_t streams = (size_t)cfg->legs_cap * MEDIA_STREAMS + 1;
    return up16(sizeof(struct media)) + up16(pool_bytes(sizeof(struct media_leg), cfg->legs_cap)) +
           streams * sizeof(struct stream);
}

struct media *media_init(void *mem, const struct media_cfg *cfg)
{
    struct media *m = mem;
    uint8_t *at = (uint8_t *)mem + up16(sizeof *m);
    m->cfg = *cfg;
    pool_init(&m->legs, at, sizeof(struct media_leg), cfg->legs_cap);
    at += up16(pool_bytes(sizeof(struct media_leg), cfg->legs_cap));
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
    l->user = user;
    l->media = m;
    return l;
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

void media_leg_close(struct media *m, struct media_leg *l, struct instant now)
{
    if (l == NULL)
        return;
    m->now = now;
    unpair(m, l);
    for (unsigned i = 0; i < MEDIA_STREAMS; i++)
        stream_free(m, l, i);
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

struct instant media_last_packet(const struct media_leg *l)
{
    struct instant last = {0};
    for (unsigned i = 0; i < MEDIA_STREAMS; i++) {
        const struct stream *s = leg_stream(l->media, l, i);
        if (s != NULL && s->in.last_us > last.us)
            last.us = s->in.last_us;
    }
    return last;
}

#define ONE_WAY_US 5000000
#define ACTIVE_US  2000000

struct flow {
    int64_t first, last;
    bool held;
};

static struct flow flow_of(const struct media_leg *l)
{
    struct flow f = {0};
    for (unsigned i = 0; i < MEDIA_STREAMS; i++) {
        const struct stream *s = leg_stream(l->media, l, i);
        if (s == NULL)
            continue;
        f.held |= s->said.held;
        if (s->in.first_us != 0 && (f.first == 0 || s->in.first_us < f.first))
            f.first = s->in.first_us;
        f.last = MAX(f.last, s->in.last_us);
    }
    return f;
}

/* One side talks now and has for 5 s, the other has been silent for as long. Hold is no fault. */
static bool talks_alone(const struct flow *a, const struct flow *b, struct instant now)
{
    return a->last != 0 && now.us - a->last <= ACTIVE_US && now.us - a->first >= ONE_WAY_US &&
           (b->last == 0 || now.us - b->last >= ONE_WAY_US);
}

bool media_one_way(const struct media_leg *a, const struct media_leg *b, struct instant now)
{
    struct flow fa = flow_of(a), fb = flow_of(b);
    if (fa.held || fb.held)
        return false;
    return talks_alone(&fa, &fb, now) || talks_alone(&fb, &fa, now);
}
