#include "media/voice.h"
#include "media/state.h"
#include "media/tone.h"

#define VOICE_PEAK 8000
#define PER_MS     (TONE_RATE_HZ / 1000)

void media_voice_on(struct media *m, struct media_leg *l, uint64_t who, uint8_t event_pt)
{
    l->voice = (struct voice){.on = true, .event_pt = event_pt, .who = who};
    rng_bytes(m->cfg.rng, &l->voice.ssrc, sizeof l->voice.ssrc);
    rng_bytes(m->cfg.rng, &l->voice.seq, sizeof l->voice.seq);
    rng_bytes(m->cfg.rng, &l->voice.ts, sizeof l->voice.ts);
}

void media_voice_off(struct media_leg *l)
{
    l->voice = (struct voice){0};
}

static void note_begin(struct voice *v)
{
    struct tone t;
    v->left = v->notes[v->at].ms * PER_MS;
    tone_init(&t, v->notes[v->at].hz, VOICE_PEAK);
    v->phase = t.phase;
    v->step = t.step;
}

void media_voice_say(struct media_leg *l, const struct voice_note *notes, unsigned n)
{
    struct voice *v = &l->voice;
    v->n = (uint8_t)MIN(n, VOICE_NOTES);
    v->at = 0;
    memcpy(v->notes, notes, v->n * sizeof *notes);
    if (v->n)
        note_begin(v);
}

size_t media_digits(struct media *m, struct media_digit *ret, size_t cap)
{
    size_t n = MIN((size_t)m->n_digits, cap);
    if (n)
        memcpy(ret, m->digits, n * sizeof *ret);
    mem_wipe(m->digits, m->n_digits * sizeof m->digits[0]);
    m->n_digits = 0;
    return n;
}

static void hear(struct media *m, struct voice *v, const struct pkt *pk, const struct rtp *r)
{
    struct rtp_event ev;
    char d[2];
    if (rtp_event_parse(pk->data + r->header_bytes, (size_t)pk->len - r->header_bytes, &ev) != OK)
        return;
    unsigned n = rtp_ear_hear(&v->ear, r->ts, &ev, d);
    for (unsigned i = 0; i < n && m->n_digits < MEDIA_DIGITS; i++)
        m->digits[m->n_digits++] = (struct media_digit){v->who, d[i]};
}

/* n samples of what there is to say. */
static void sound(struct voice *v, enum g711 law, uint8_t *p, size_t n)
{
    memset(p, g711_encode(law, 0), n);
    while (n && v->at < v->n) {
        size_t some = MIN(n, (size_t)v->left);
        if (v->notes[v->at].hz) {
            struct tone t = {v->phase, v->step, VOICE_PEAK};
            tone_frame(&t, law, p, some);
            v->phase = t.phase;
        }
        p += some;
        n -= some;
        v->left -= (uint32_t)some;
        if (v->left == 0 && ++v->at < v->n)
            note_begin(v);
    }
}

bool voice_packet(struct media *m, struct stream *s, struct pkt *pk, const struct rtp *r)
{
    struct voice *v = &s->leg->voice;
    size_t n = (size_t)pk->len - r->header_bytes;
    pk->len = 0;
    if (r->pt == v->event_pt) {
        pk->len = (uint16_t)(r->header_bytes + n);
        hear(m, v, pk, r);
        mem_wipe(pk->data + r->header_bytes, n);
        pk->len = 0;
        return false;
    }
    if ((r->pt != G711_ULAW && r->pt != G711_ALAW) || n == 0 || n > 6 * TONE_FRAME)
        return false;
    struct rtp own = {.ts = v->ts, .ssrc = v->ssrc, .seq = v->seq++, .pt = r->pt};
    rtp_put(pk->data, &own);
    sound(v, (enum g711)r->pt, pk->data + RTP_HEADER_BYTES, n);
    v->ts += (uint32_t)n;
    pk->len = (uint16_t)(RTP_HEADER_BYTES + n);
    return true;
}
