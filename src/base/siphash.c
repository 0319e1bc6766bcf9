#include "base/siphash.h"

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned b)
{
    return x << b | x >> (64 - b);
}

static void sip_rounds(struct state *s, int n)
{
    while (n--) {
        s->v0 += s->v1;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v2 = rotl(s->v2, 32);
    }
}

static void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

/* Eight bytes at once: sets bit 5 of every byte from 'A' to 'Z'. */
static uint64_t lower8(uint64_t x)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t low7 = x & ones * 0x7f;
    uint64_t from_a = low7 + ones * (0x80 - 'A');
    uint64_t past_z = low7 + ones * (0x7f - 'Z');
    return x | (((from_a ^ past_z) & ~x & ones * 0x80) >> 2);
}

/* Up to eight bytes, little endian on every machine. */
static uint64_t load(const char *p, size_t n)
{
    uint64_t w = 0;
    for (size_t i = 0; i < n; i++)
        w |= (uint64_t)(uint8_t)p[i] << 8 * i;
    return w;
}

static struct state digest(const struct sipkey *key, struct str data, bool fold, uint64_t tweak)
{
    struct state s = {
        UINT64_C(0x736f6d6570736575) ^ key->k0, UINT64_C(0x646f72616e646f6d) ^ key->k1,
        UINT64_C(0x6c7967656e657261) ^ key->k0, UINT64_C(0x7465646279746573) ^ key->k1};
    s.v1 ^= tweak;
    size_t whole = data.n & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t w = load(data.p + i, 8);
        absorb(&s, fold ? lower8(w) : w);
    }
    uint64_t w = data.n & 7 ? load(data.p + whole, data.n & 7) : 0;
    absorb(&s, (fold ? lower8(w) : w) | (uint64_t)data.n << 56);
    return s;
}

static uint64_t squeeze(struct state *s)
{
    sip_rounds(s, 4);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t siphash(const struct sipkey *key, struct str data)
{
    struct state s = digest(key, data, false, 0);
    s.v2 ^= 0xff;
    return squeeze(&s);
}

uint64_t siphash_i(const struct sipkey *key, struct str data)
{
    struct state s = digest(key, data, true, 0);
    s.v2 ^= 0xff;
    return squeeze(&s);
}

void siphash128(const struct sipkey *key, struct str data, uint8_t ret[16])
{
    struct state s = digest(key, data, false, 0xee);
    s.v2 ^= 0xee;
    uint64_t a = squeeze(&s);
    s.v1 ^= 0xdd;
    uint64_t b = squeeze(&s);
    for (size_t i = 0; i < 8; i++) {
        ret[i] = (uint8_t)(a >> 8 * i);
        ret[8 + i] = (uint8_t)(b >> 8 * i);
    }
}
