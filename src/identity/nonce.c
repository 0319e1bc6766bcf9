/* Nonces of digest authentication and the windows of their counts: see identity/digest.h.
 *
 * A nonce is base64url of: version (1 byte), mint time in ms (8, big endian), random (8), and
 * SipHash-128 of those 17 bytes. Its id is the low 20 bits of the mint time over 44 random bits: it
 * tells how old the nonce is for any age up to 17 minutes, and a nonce lives 5. */
#include "base/cur.h"
#include "identity/digest.h"

#define NONCE_VERSION 1u
#define BODY_BYTES    17u
#define TAG_BYTES     16u
#define NONCE_BYTES   (BODY_BYTES + TAG_BYTES)
#define TIME_BITS     20u
#define TIME_MASK     ((1u << TIME_BITS) - 1)
#define RANDOM_BITS   (64u - TIME_BITS)
#define LIFE_MS       (NONCE_LIFE_S * 1000)
/* Clocks of the engines and the vault are one clock; this only forgives a step back by NTP. */
#define FUTURE_MS 2000

_Static_assert(NONCE_CHARS == (NONCE_BYTES * 4 + 2) / 3, "base64url without padding");
_Static_assert(LIFE_MS + FUTURE_MS < (1 << TIME_BITS) / 2, "age must be told from 20 bits");

static int64_t wall_ms(struct wall w)
{
    return w.us / 1000;
}

void nonce_mint_for(const struct sipkey *key, struct wall now, struct rng *rng, uint16_t mark,
                    char ret_text[NONCE_CHARS])
{
    uint8_t raw[NONCE_BYTES];
    raw[0] = NONCE_VERSION;
    be64_put(raw + 1, (uint64_t)wall_ms(now));
    be64_put(raw + 9, (rng_u64(rng) & ~UINT64_C(0xffff)) | mark);
    siphash128(key, str_of((const char *)raw, BODY_BYTES), raw + BODY_BYTES);
    CHECK(base64url_encode(raw, sizeof(raw), ret_text) == NONCE_CHARS);
}

void nonce_mint(const struct sipkey *key, struct wall now, struct rng *rng,
                char ret_text[NONCE_CHARS])
{
    nonce_mint_for(key, now, rng, (uint16_t)rng_u64(rng), ret_text);
}

uint16_t nonce_mark(struct str text)
{
    uint8_t raw[NONCE_BYTES];
    size_t n = 0;
    if (base64url_decode(text, raw, sizeof raw, &n) != OK || n != sizeof raw)
        return 0;
    return (uint16_t)be64(raw + 9);
}

enum err nonce_check(const struct sipkey *key, struct str text, struct wall now, uint64_t *ret_id)
{
    uint8_t raw[NONCE_BYTES], tag[TAG_BYTES];
    size_t n = 0;
    if (text.n != NONCE_CHARS || base64url_decode(text, raw, sizeof(raw), &n) != OK ||
        n != sizeof(raw))
        return ERR_AUTH;
    siphash128(key, str_of((const char *)raw, BODY_BYTES), tag);
    if (!mem_equal_ct(tag, raw + BODY_BYTES, TAG_BYTES) || raw[0] != NONCE_VERSION)
        return ERR_AUTH;
    int64_t minted = (int64_t)be64(raw + 1), at = wall_ms(now);
    if (minted > at + FUTURE_MS || minted < at - LIFE_MS)
        return ERR_REPLAY;
    *ret_id = ((uint64_t)minted & TIME_MASK) << RANDOM_BITS | (be64(raw + 9) >> TIME_BITS);
    return OK;
}

#define WAYS 8u
struct nc_entry {
    uint64_t id;
    int64_t minted_ms;
    uint64_t seen; /* bit i: count top - i was used */
    uint32_t top;  /* highest count that was used, from 1; 0 = entry never used */
};
/* horizon_ms: nonces of this bucket minted up to then were forgotten while still alive. */
struct nc_bucket {
    int64_t horizon_ms;
    struct nc_entry e[WAYS];
};
struct nc_table {
    uint32_t buckets;
    struct nc_bucket b[];
};

static uint32_t bucket_count(uint32_t cap)
{
    return MAX(cap / WAYS, 1u);
}

size_t nc_bytes(uint32_t cap)
{
    return sizeof(struct nc_table) + (size_t)bucket_count(cap) * sizeof(struct nc_bucket);
}

struct nc_table *nc_init(void *mem, uint32_t cap)
{
    struct nc_table *t = mem;
    memset(mem, 0, nc_bytes(cap));
    t->buckets = bucket_count(cap);
    return t;
}

/* When the nonce was minted: the moment nearest to now whose low bits are the id's. */
static int64_t minted_ms(uint64_t id, struct wall now)
{
    int64_t at = wall_ms(now) + FUTURE_MS;
    int64_t age = (int64_t)(((uint64_t)at - (id >> RANDOM_BITS)) & TIME_MASK);
    return at - age;
}

static struct nc_entry *find(struct nc_bucket *b, uint64_t id)
{
    for (unsigned i = 0; i < WAYS; i++)
        if (b->e[i].top != 0 && b->e[i].id == id)
            return &b->e[i];
    return NULL;
}

/* A free entry, else a dead nonce's, else the oldest one's, whose age then moves the horizon. */
static struct nc_entry *make_room(struct nc_bucket *b, struct wall now)
{
    struct nc_entry *oldest = NULL;
    int64_t oldest_ms = INT64_MAX;
    for (unsigned i = 0; i < WAYS; i++) {
        if (b->e[i].top == 0)
            return &b->e[i];
        if (b->e[i].minted_ms < oldest_ms) {
            oldest = &b->e[i];
            oldest_ms = oldest->minted_ms;
        }
    }
    if (oldest_ms >= wall_ms(now) - LIFE_MS)
        b->horizon_ms = MAX(b->horizon_ms, oldest_ms);
    return oldest;
}

static enum err use_again(struct nc_entry *e, uint32_t nc)
{
    if (nc > e->top) {
        uint32_t step = nc - e->top;
        e->seen = (step < 64 ? e->seen << step : 0) | 1;
        e->top = nc;
        return OK;
    }
    uint32_t back = e->top - nc;
    if (back >= 64 || (e->seen >> back & 1) != 0)
        return ERR_REPLAY;
    e->seen |= UINT64_C(1) << back;
    return OK;
}

enum err nc_use(struct nc_table *t, uint64_t nonce_id, uint32_t nc, struct wall now)
{
    /* The id's low bits are random of our own making: no peer chooses its bucket. */
    struct nc_bucket *b = &t->b[(nonce_id & UINT32_MAX) % t->buckets];
    if (nc == 0)
        return ERR_REPLAY;
    struct nc_entry *e = find(b, nonce_id);
    if (e)
        return use_again(e, nc);
    int64_t minted = minted_ms(nonce_id, now);
    if (minted <= b->horizon_ms)
        return ERR_REPLAY;
    *make_room(b, now) = (struct nc_entry){nonce_id, minted, 1, nc};
    return OK;
}
