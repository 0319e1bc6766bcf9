#include "base/rng.h"

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t rotl(uint32_t x, unsigned b)
{
    return x << b | x >> (32 - b);
}

static void quarter(uint32_t x[16], int a, int b, int c, int d)
{
    x[a] += x[b];
    x[d] = rotl(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotl(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotl(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotl(x[b] ^ x[c], 7);
}

/* RFC 8439 section 2.3. */
void chacha20_block(const uint8_t key[32], uint32_t counter, const uint8_t nonce[12],
                    uint8_t ret[64])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, x[16];
    for (size_t i = 0; i < 8; i++)
        in[4 + i] = le32(key + 4 * i);
    in[12] = counter;
    for (size_t i = 0; i < 3; i++)
        in[13 + i] = le32(nonce + 4 * i);
    memcpy(x, in, sizeof x);
    for (int i = 0; i < 10; i++) {
        quarter(x, 0, 4, 8, 12);
        quarter(x, 1, 5, 9, 13);
        quarter(x, 2, 6, 10, 14);
        quarter(x, 3, 7, 11, 15);
        quarter(x, 0, 5, 10, 15);
        quarter(x, 1, 6, 11, 12);
        quarter(x, 2, 7, 8, 13);
        quarter(x, 3, 4, 9, 14);
    }
    for (size_t i = 0; i < 64; i++)
        ret[i] = (uint8_t)((x[i / 4] + in[i / 4]) >> 8 * (i % 4));
    mem_wipe(in, sizeof in);
    mem_wipe(x, sizeof x);
}

/* The first 32 bytes of every refill are the next key and never leave: what was given out cannot be
 * computed from a later state. */
static void refill(struct rng *r)
{
    static const uint8_t nonce[12];
    for (uint32_t i = 0; i < sizeof r->buf / 64; i++)
        chacha20_block(r->key, i, nonce, r->buf + 64 * i);
    memcpy(r->key, r->buf, sizeof r->key);
    mem_wipe(r->buf, sizeof r->key);
    r->left = sizeof r->buf - sizeof r->key;
}

void rng_init(struct rng *r, const uint8_t seed[32])
{
    *r = (struct rng){.left = 0};
    memcpy(r->key, seed, sizeof r->key);
    refill(r);
}

void rng_bytes(struct rng *r, void *ret, size_t n)
{
    uint8_t *to = ret;
    while (n) {
        if (r->left == 0)
            refill(r);
        size_t k = MIN(n, (size_t)r->left);
        uint8_t *from = r->buf + sizeof r->buf - r->left;
        memcpy(to, from, k);
        mem_wipe(from, k);
        r->left -= (uint32_t)k;
        to += k;
        n -= k;
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t v;
    rng_bytes(r, &v, sizeof v);
    return v;
}

uint32_t rng_below(struct rng *r, uint32_t bound)
{
    CHECK(bound >= 1);
    /* Values under 2^32 mod bound would make the low results likelier. */
    uint32_t floor = (0u - bound) % bound, v;
    do
        rng_bytes(r, &v, sizeof v);
    while (v < floor);
    return v % bound;
}
