#include "media/tone.h"
#include <math.h>

#define ULAW_BIAS 132
#define ULAW_CLIP 32635

static unsigned segment(unsigned v, unsigned lowest_bit)
{
    unsigned s = 0;
    while (s < 7 && v >> (lowest_bit + s) > 1)
        s++;
    return s;
}

static uint8_t ulaw_encode(int16_t sample)
{
    int v = sample < 0 ? -(int)sample : sample;
    v = MIN(v, ULAW_CLIP) + ULAW_BIAS;
    unsigned s = segment((unsigned)v, 7), mantissa = ((unsigned)v >> (s + 3)) & 0x0f;
    return (uint8_t) ~((sample < 0 ? 0x80u : 0u) | s << 4 | mantissa);
}

static int16_t ulaw_decode(uint8_t byte)
{
    unsigned u = (uint8_t)~byte;
    int v = (int)((((u & 0x0f) << 3) + ULAW_BIAS) << ((u >> 4) & 7)) - ULAW_BIAS;
    return (int16_t)((u & 0x80) != 0 ? -v : v);
}

static uint8_t alaw_encode(int16_t sample)
{
    int v = sample < 0 ? -(int)sample - 1 : sample;
    unsigned u = (unsigned)v >> 3; /* 12 bits of magnitude */
    unsigned s = u < 32 ? 0 : segment(u, 4), mantissa;
    mantissa = s == 0 ? (u >> 1) & 0x0f : (u >> s) & 0x0f;
    return (uint8_t)(((sample < 0 ? 0u : 0x80u) | s << 4 | mantissa) ^ 0x55);
}

static int16_t alaw_decode(uint8_t byte)
{
    unsigned a = byte ^ 0x55u, s = (a >> 4) & 7;
    int v = (int)((a & 0x0f) << 4) + 8;
    if (s > 0)
        v = (v + 0x100) << (s - 1);
    return (int16_t)((a & 0x80) != 0 ? v : -v);
}

uint8_t g711_encode(enum g711 law, int16_t sample)
{
    return law == G711_ALAW ? alaw_encode(sample) : ulaw_encode(sample);
}

int16_t g711_decode(enum g711 law, uint8_t byte)
{
    return law == G711_ALAW ? alaw_decode(byte) : ulaw_decode(byte);
}

static const double two_pi = 6.283185307179586;

void tone_init(struct tone *t, uint32_t hz, int16_t peak)
{
    *t = (struct tone){.step = (uint32_t)(((uint64_t)hz << 32) / TONE_RATE_HZ), .peak = peak};
}

void tone_frame(struct tone *t, enum g711 law, uint8_t *ret_bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double angle = two_pi * (double)t->phase / 4294967296.0;
        ret_bytes[i] = g711_encode(law, (int16_t)lrint(t->peak * sin(angle)));
        t->phase += t->step;
    }
}

double tone_share(enum g711 law, const uint8_t *bytes, size_t n, uint32_t hz)
{
    double w = two_pi * hz / TONE_RATE_HZ, c = 2 * cos(w), s1 = 0, s2 = 0, energy = 0;
    for (size_t i = 0; i < n; i++) {
        double x = g711_decode(law, bytes[i]), s0 = x + c * s1 - s2;
        s2 = s1;
        s1 = s0;
        energy += x * x;
    }
    if (energy <= 0)
        return 0;
    double power = s1 * s1 + s2 * s2 - c * s1 * s2;
    return 2 * power / (energy * (double)n);
}
