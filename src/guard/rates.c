#include "guard/rates.h"
#include "wire/tel/number.h"

/* Entries in order of key and of their beginning, latest first; a table of hashes leads to the
 * first of a key. A key is the deck and up to 15 digits, each as digit + 1, so that it is exact. */
#define DIGITS_MAX  15u
#define PROBES_MAX  64u
#define PERIODS_MAX 64u
#define MICRO_MAX   INT64_C(1000000000000) /* a million a minute */
#define ENTRIES_MAX (1u << 26)

struct entry {
    uint64_t key;
    int64_t setup, minute, from, until; /* until 0: always */
    uint32_t line;
    uint16_t minimum, increment;
};
struct slot {
    uint32_t tag, at; /* at: 1-based; 0: empty */
};
struct rates {
    uint32_t magic, n;
    uint64_t bytes;
    uint32_t slots; /* a power of two */
    uint32_t probes;
    uint16_t lengths[RATES_DECKS]; /* bit per number of digits in use */
    uint8_t pad[8];
    ALIGNED(64) struct entry entry[];
};

static uint32_t slots_for(size_t n)
{
    uint32_t s = 16;
    while (s < n * 2)
        s *= 2;
    return s;
}

size_t rates_bytes(size_t n)
{
    if (n > ENTRIES_MAX)
        return SIZE_MAX;
    return sizeof(struct rates) + n * sizeof(struct entry) + slots_for(n) * sizeof(struct slot);
}

static const struct slot *slots_of(const struct rates *r)
{
    return (const struct slot *)(const void *)&r->entry[r->n];
}

static uint64_t mix(uint64_t key)
{
    key *= UINT64_C(0x9e3779b97f4a7c15);
    key = (key ^ key >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return key ^ key >> 29;
}

static unsigned key_digits(uint64_t key)
{
    unsigned n = 0;
    for (key &= (UINT64_C(1) << 60) - 1; key; key >>= 4)
        n++;
    return n;
}

/* -- building -- */

static enum err entry_of(const struct rates_entry *x, struct entry *ret_e)
{
    const struct rate *r = &x->rate;
    uint64_t key = 0;
    unsigned n = 0;
    for (; n < sizeof x->prefix && x->prefix[n]; n++) {
        if (!ascii_digit(x->prefix[n]) || n == DIGITS_MAX)
            return ERR_SYNTAX;
        key = key << 4 | (uint64_t)(x->prefix[n] - '0' + 1);
    }
    if (n == 0)
        return ERR_SYNTAX;
    if (x->deck == 0 || x->deck > RATES_DECKS || r->increment_s == 0 || r->minimum_s == 0 ||
        r->setup_micro < 0 || r->minute_micro < 0 || r->setup_micro > MICRO_MAX ||
        r->minute_micro > MICRO_MAX || x->from.us < 0 || x->until.us < 0 ||
        (x->until.us && x->until.us <= x->from.us))
        return ERR_RANGE;
    *ret_e = (struct entry){key | (uint64_t)(x->deck - 1) << 60,
                            r->setup_micro,
                            r->minute_micro,
                            x->from.us,
                            x->until.us,
                            r->line,
                            r->minimum_s,
                            r->increment_s};
    return OK;
}

static bool before(const struct entry *a, const struct entry *b)
{
    return a->key != b->key ? a->key < b->key : a->from > b->from;
}

static void sift(struct entry *v, size_t root, size_t n)
{
    struct entry x = v[root];
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(&v[child], &v[child + 1]))
            child++;
        if (!before(&x, &v[child]))
            break;
        v[root] = v[child];
    }
    v[root] = x;
}

/* Heap sort: in place, and no order of input makes it slow. Decks mostly come sorted. */
static void sort(struct entry *v, size_t n)
{
    size_t i = 1;
    while (i < n && !before(&v[i], &v[i - 1]))
        i++;
    if (i >= n)
        return;
    for (i = n / 2; i-- > 0;)
        sift(v, i, n);
    for (i = n; i-- > 1;) {
        struct entry x = v[0];
        v[0] = v[i];
        v[i] = x;
        sift(v, 0, i);
    }
}

/* The later of two entries of the input that are the same as e. */
static size_t twin(const struct rates_entry *v, size_t n, const struct entry *e)
{
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        struct entry x;
        if (entry_of(&v[i], &x) == OK && x.key == e->key && x.from == e->from)
            last = i;
    }
    return last;
}

static enum err index_put(struct rates *r, struct slot *slot, uint32_t at)
{
    uint64_t h = mix(r->entry[at].key);
    uint32_t mask = r->slots - 1;
    for (uint32_t i = 0; i < PROBES_MAX; i++) {
        struct slot *s = &slot[((uint32_t)h + i) & mask];
        if (s->at)
            continue;
        *s = (struct slot){(uint32_t)(h >> 32), at + 1};
        r->probes = MAX(r->probes, i + 1);
        return OK;
    }
    return ERR_LIMIT;
}

static enum err index_build(struct rates *r, uint32_t *ret_bad)
{
    struct slot *slot = (struct slot *)(void *)&r->entry[r->n];
    uint32_t periods = 0;
    memset(slot, 0, r->slots * sizeof *slot);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct entry *e = &r->entry[i];
        *ret_bad = i;
        if (i && e[-1].key == e->key) {
            if (e[-1].from == e->from)
                return ERR_EXISTS;
            if (++periods >= PERIODS_MAX)
                return ERR_LIMIT;
            continue;
        }
        periods = 0;
        r->lengths[e->key >> 60] |= (uint16_t)(1u << key_digits(e->key));
        enum err err = index_put(r, slot, i);
        if (err != OK)
            return err;
    }
    return OK;
}

enum err rates_build(const struct rates_entry *v, size_t n, void *mem, size_t bytes,
                     size_t *reterr_i)
{
    struct rates *r = mem;
    if (n > ENTRIES_MAX || bytes < rates_bytes(n))
        return ERR_FULL;
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < n; i++) {
        enum err e = entry_of(&v[i], &r->entry[i]);
        if (e == OK)
            continue;
        *reterr_i = i;
        return e;
    }
    sort(r->entry, n);
    r->n = (uint32_t)n;
    r->slots = slots_for(n);
    r->bytes = rates_bytes(n);
    uint32_t bad = 0;
    enum err e = index_build(r, &bad);
    if (e != OK) {
        *reterr_i = twin(v, n, &r->entry[bad]);
        return e;
    }
    r->magic = RATES_MAGIC;
    return OK;
}

enum err rates_valid(const struct rates *r, size_t bytes)
{
    if (bytes < sizeof *r || r->magic != RATES_MAGIC || r->n > ENTRIES_MAX ||
        r->slots != slots_for(r->n) || r->bytes != rates_bytes(r->n) || r->bytes > bytes ||
        r->probes > PROBES_MAX)
        return ERR_SYNTAX;
    const struct slot *slot = slots_of(r);
    for (uint32_t i = 0; i < r->slots; i++)
        if (slot[i].at > r->n)
            return ERR_SYNTAX;
    for (uint32_t i = 0; i < r->n; i++) {
        const struct entry *e = &r->entry[i];
        if (e->increment == 0 || e->minimum == 0 || e->setup < 0 || e->setup > MICRO_MAX ||
            e->minute < 0 || e->minute > MICRO_MAX || (i && before(e, &e[-1])))
            return ERR_SYNTAX;
    }
    return OK;
}

uint32_t rates_count(const struct rates *r)
{
    return r ? r->n : 0;
}

/* -- looking up -- */

static uint32_t first_of(const struct rates *r, uint64_t key)
{
    const struct slot *slot = slots_of(r);
    uint64_t h = mix(key);
    for (uint32_t i = 0; i < r->probes; i++) {
        const struct slot *s = &slot[((uint32_t)h + i) & (r->slots - 1)];
        if (s->at == 0)
            break;
        if (s->tag == (uint32_t)(h >> 32) && r->entry[s->at - 1].key == key)
            return s->at - 1;
    }
    return UINT32_MAX;
}

static const struct entry *valid_at(const struct rates *r, uint64_t key, struct wall at)
{
    uint32_t i = first_of(r, key);
    for (uint32_t n = 0; i < r->n && n < PERIODS_MAX && r->entry[i].key == key; i++, n++) {
        const struct entry *e = &r->entry[i];
        if (at.us >= e->from && (e->until == 0 || at.us < e->until))
            return e;
    }
    return NULL;
}

bool rates_find(const struct rates *r, uint8_t deck, struct str e164, struct wall at,
                struct rate *ret_r)
{
    uint64_t key[DIGITS_MAX + 1] = {0};
    unsigned n = 0;
    if (!r || deck == 0 || deck > RATES_DECKS)
        return false;
    if (e164.n && e164.p[0] == '+')
        e164 = str_skip(e164, 1);
    for (; n < e164.n && n < DIGITS_MAX && ascii_digit(e164.p[n]); n++)
        key[n + 1] = key[n] << 4 | (uint64_t)(e164.p[n] - '0' + 1);
    if (n < e164.n && !ascii_digit(e164.p[n]))
        return false;
    for (; n > 0; n--) {
        if (!(r->lengths[deck - 1] >> n & 1))
            continue;
        const struct entry *e = valid_at(r, key[n] | (uint64_t)(deck - 1) << 60, at);
        if (!e)
            continue;
        *ret_r = (struct rate){e->setup, e->minute, e->minimum, e->increment,
                               false,    e->line,   deck,       (uint8_t)n};
        return true;
    }
    return false;
}

bool rates_next(const struct rates *r, uint32_t *it, struct rates_entry *ret_e)
{
    if (!r || *it >= r->n)
        return false;
    const struct entry *e = &r->entry[(*it)++];
    unsigned n = key_digits(e->key);
    *ret_e = (struct rates_entry){.deck = (uint8_t)((e->key >> 60) + 1),
                                  .rate = {e->setup, e->minute, e->minimum, e->increment, false,
                                           e->line, (uint8_t)((e->key >> 60) + 1), (uint8_t)n},
                                  .from = {e->from},
                                  .until = {e->until}};
    for (unsigned i = 0; i < n && i < DIGITS_MAX; i++)
        ret_e->prefix[i] = (char)('0' - 1 + (char)(e->key >> 4 * (n - 1 - i) & 15));
    return true;
}

/* -- prices -- */

/* Of 2026, in EUR or USD: what an ordinary carrier asks at most, so that no deck means no cheaper
 * calls. */
struct rate rate_of_class(uint8_t number_class)
{
    static const struct {
        int32_t setup, minute;
    } PRICE[CLASS_COUNT] = {
        [CLASS_UNKNOWN] = {0, 15000000},
        [CLASS_INTERNAL] = {0, 0},
        [CLASS_EMERGENCY] = {0, 0},
        [CLASS_LOCAL] = {0, 50000},
        [CLASS_NATIONAL] = {0, 50000},
        [CLASS_MOBILE] = {0, 300000},
        [CLASS_TOLL_FREE] = {0, 0},
        [CLASS_INTERNATIONAL] = {0, 2000000},
        [CLASS_SHARED_COST] = {200000, 500000},
        [CLASS_PREMIUM] = {3000000, 5000000},
        [CLASS_SATELLITE] = {0, 15000000},
    };
    unsigned i = number_class < CLASS_COUNT ? number_class : CLASS_UNKNOWN;
    return (struct rate){PRICE[i].setup, PRICE[i].minute, 60, 60, true, 0, 0, 0};
}

static uint64_t billed(const struct rate *r, uint32_t seconds)
{
    uint64_t step = MAX(r->increment_s, 1u);
    if (seconds <= r->minimum_s)
        return r->minimum_s;
    return r->minimum_s + (seconds - r->minimum_s + step - 1) / step * step;
}

int64_t rate_price(const struct rate *r, uint32_t seconds)
{
    int64_t micro;
    uint64_t per_min = (uint64_t)MAX(r->minute_micro, 0), b;
    if (seconds == 0)
        return 0;
    b = billed(r, seconds);
    /* minutes and the rest apart, rounded up to a millionth */
    uint64_t rest;
    if (__builtin_mul_overflow(per_min / 60, b, &rest) ||
        __builtin_add_overflow(rest, (per_min % 60 * b + 59) / 60, &rest) || rest > INT64_MAX ||
        __builtin_add_overflow(MAX(r->setup_micro, 0), (int64_t)rest, &micro))
        return INT64_MAX;
    return micro;
}

uint32_t rate_seconds(const struct rate *r, int64_t micro)
{
    if (micro < MAX(r->setup_micro, 0))
        return 0;
    uint64_t left = (uint64_t)(micro - MAX(r->setup_micro, 0));
    uint64_t per_min = (uint64_t)MAX(r->minute_micro, 0), step = MAX(r->increment_s, 1u);
    if (per_min == 0)
        return UINT32_MAX;
    uint64_t whole = left / per_min, part = left % per_min;
    if (whole >= UINT32_MAX / 60)
        return UINT32_MAX;
    uint64_t s = whole * 60, more;
    if (!__builtin_mul_overflow(part, 60u, &more))
        s += more / per_min;
    if (s < r->minimum_s || s == 0)
        return 0;
    return (uint32_t)(r->minimum_s + (s - r->minimum_s) / step * step);
}
