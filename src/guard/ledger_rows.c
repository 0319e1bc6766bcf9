#include "guard/ledger_int.h"

#define AHEAD_OK     1440u /* minutes that the clock may step back before the ledger follows it */
#define SWEEP_ROWS   2u
#define ROWS_SPARE   16384u
#define ROWS_MAX     (1u << 22)
#define BUCKETS_MAX  (1u << 24)
#define DAY_MINUTES  1440u
#define HOUR_MINUTES 60u

_Static_assert(sizeof(struct ledger_row) == 64, "a row is a cache line");
_Static_assert(sizeof(struct ledger_shard) == 64, "so is the head");

/* -- windows -- */

/* Day of the month, from 0, of a day since 1970-01-01: counted in years that begin in March and in
 * cycles of 400 years, so that the leap day comes last. */
static uint32_t day_of_month(uint32_t days)
{
    uint32_t z = days + 719468u, day = z % 146097u;
    uint32_t year = (day - day / 1460u + day / 36524u - day / 146096u) / 365u;
    uint32_t in_year = day - (365u * year + year / 4u - year / 100u);
    uint32_t month = (5u * in_year + 2u) / 153u;
    return in_year - (153u * month + 2u) / 5u;
}

static uint32_t minute_of(struct wall now)
{
    int64_t m = now.us / INT64_C(60000000);
    return (uint32_t)MIN(MAX(m, 0), INT64_C(0xfffffff0));
}

struct ledger_clock ledger_clock_of(const struct ledger_shard *own, struct wall now)
{
    uint32_t minute = minute_of(now), latest = own ? own->latest : 0;
    struct ledger_clock c = {.tick = (uint16_t)minute};
    if (latest > minute && latest - minute <= AHEAD_OK)
        minute = latest;
    uint32_t day = minute / DAY_MINUTES;
    c.minute = minute;
    c.start[SPAN_HOUR] = minute - minute % HOUR_MINUTES;
    c.start[SPAN_DAY] = day * DAY_MINUTES;
    c.start[SPAN_MONTH] = (day - MIN(day, day_of_month(day))) * DAY_MINUTES;
    return c;
}

struct ledger_clock ledger_clock_move(struct ledger_shard *own, struct wall now)
{
    struct ledger_clock c = ledger_clock_of(own, now);
    own->latest = c.minute;
    ATOM_PUT(&own->writes, own->writes + 1);
    return c;
}

bool ledger_same_window(enum span_of_time t, struct wall a, struct wall b)
{
    struct ledger_clock x = ledger_clock_of(NULL, a), y = ledger_clock_of(NULL, b);
    return t < SPAN_COUNT && x.start[t] == y.start[t];
}

/* Rows of a time that is far ahead (the clock was wrong) follow it back with all that is in them.
 */
void ledger_roll(struct ledger_row *r, const struct ledger_clock *c)
{
    uint32_t m = r->minute;
    if (r->tick != c->tick) {
        ATOM_PUT(&r->attempts, (uint16_t)0);
        ATOM_PUT(&r->tick, c->tick);
    }
    if (m == c->minute || (m > c->minute && m - c->minute <= AHEAD_OK))
        return;
    for (unsigned t = 0; t < SPAN_COUNT; t++) {
        if (m >= c->start[t])
            continue;
        ATOM_PUT(&r->seconds[t], 0u);
        ATOM_PUT(&r->micro[t], 0);
    }
    ATOM_PUT(&r->minute, c->minute);
}

/* -- the table -- */

size_t ledger_bytes(uint32_t rows)
{
    size_t b = MAX(((size_t)rows + LEDGER_WAYS - 1) / LEDGER_WAYS, 2);
    return sizeof(struct ledger_shard) + b * sizeof(struct ledger_bucket);
}

static uint32_t buckets_of(size_t bytes)
{
    if (bytes < sizeof(struct ledger_shard))
        return 0;
    size_t b = (bytes - sizeof(struct ledger_shard)) / sizeof(struct ledger_bucket);
    return b > BUCKETS_MAX ? 0 : (uint32_t)b;
}

uint32_t ledger_rows(size_t bytes)
{
    return buckets_of(bytes) * LEDGER_WAYS;
}

uint32_t ledger_share(uint32_t identities, uint32_t shards)
{
    uint64_t rows = (uint64_t)identities * 2 * 8 / 5;
    if (shards > 1)
        rows = rows / shards * 3 / 2;
    return (uint32_t)MIN(rows + ROWS_SPARE, (uint64_t)ROWS_MAX);
}

void ledger_begin(struct ledger_shard *s, uint32_t rows, const struct sipkey *k)
{
    s->buckets = buckets_of(ledger_bytes(rows));
    s->salt = k->k0 ^ k->k1;
    s->magic = LEDGER_MAGIC;
}

enum err ledger_valid(const struct ledger_shard *s, size_t bytes)
{
    uint32_t b = buckets_of(bytes);
    return b >= 2 && s->magic == LEDGER_MAGIC && s->buckets == b ? OK : ERR_SYNTAX;
}

struct places {
    uint32_t b[2];
};

static struct places places_of(uint64_t salt, uint32_t buckets, uint64_t key)
{
    uint64_t h = (key ^ salt) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    h ^= h >> 32;
    struct places p = {
        {(uint32_t)((h & UINT32_MAX) * buckets >> 32), (uint32_t)((h >> 32) * buckets >> 32)}};
    if (p.b[1] == p.b[0])
        p.b[1] = p.b[0] + 1 < buckets ? p.b[0] + 1 : 0;
    return p;
}

static uint32_t find_in(const struct ledger_shard *s, struct places p, uint8_t kind, uint64_t key)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct ledger_bucket *b = &s->bucket[p.b[i]];
        for (uint32_t w = 0; w < LEDGER_WAYS; w++)
            if (ATOM_GET(&b->key[w]) == key && ATOM_GET(&b->row[w].kind) == kind)
                return p.b[i] * LEDGER_WAYS + w;
    }
    return ROW_NONE;
}

uint32_t ledger_find(const struct ledger_shard *s, uint32_t buckets, uint8_t kind, uint64_t key)
{
    if (key == 0 || buckets < 2)
        return ROW_NONE;
    return find_in(s, places_of(s->salt, buckets, key), kind, key);
}

static bool row_dead(const struct ledger_row *r, const struct ledger_clock *c)
{
    if (r->calls || r->reserved_s || r->reserved_micro || (r->attempts && r->tick == c->tick))
        return false;
    for (unsigned t = 0; t < SPAN_COUNT; t++)
        if (r->minute >= c->start[t] && (r->seconds[t] || r->micro[t]))
            return false;
    return true;
}

static bool row_evict(struct ledger_shard *s, uint32_t i, const struct ledger_clock *c)
{
    uint64_t *key = &s->bucket[i / LEDGER_WAYS].key[i % LEDGER_WAYS];
    if (*key == 0 || !row_dead(ledger_row_at(s, i), c))
        return false;
    ATOM_PUT(key, UINT64_C(0));
    s->used -= s->used > 0;
    return true;
}

static uint32_t room_in(const struct ledger_bucket *b, uint32_t *ret_way)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w < LEDGER_WAYS; w++) {
        if (b->key[w])
            continue;
        *ret_way = w;
        n++;
    }
    return n;
}

static uint32_t free_row(struct ledger_shard *s, struct places p, const struct ledger_clock *c)
{
    uint32_t way[2] = {0, 0};
    uint32_t n0 = room_in(&s->bucket[p.b[0]], &way[0]), n1 = room_in(&s->bucket[p.b[1]], &way[1]);
    if (n0 || n1)
        return n0 >= n1 ? p.b[0] * LEDGER_WAYS + way[0] : p.b[1] * LEDGER_WAYS + way[1];
    for (uint32_t i = 0; i < 2 * LEDGER_WAYS; i++) {
        uint32_t row = p.b[i / LEDGER_WAYS] * LEDGER_WAYS + i % LEDGER_WAYS;
        if (row_evict(s, row, c))
            return row;
    }
    return ROW_NONE;
}

/* A reader may still be in the row that was here: it looks at the key again. */
static void row_clear(struct ledger_row *r)
{
    __atomic_thread_fence(__ATOMIC_RELEASE); /* after the key went */
    ATOM_PUT(&r->calls, 0u);
    ATOM_PUT(&r->attempts, (uint16_t)0);
    ATOM_PUT(&r->reserved_s, 0u);
    ATOM_PUT(&r->reserved_micro, 0);
    for (unsigned t = 0; t < SPAN_COUNT; t++) {
        ATOM_PUT(&r->seconds[t], 0u);
        ATOM_PUT(&r->micro[t], 0);
    }
}

uint32_t ledger_take(struct ledger_shard *s, uint8_t kind, uint64_t key,
                     const struct ledger_clock *c)
{
    if (key == 0 || s->buckets < 2)
        return ROW_NONE;
    struct places p = places_of(s->salt, s->buckets, key);
    uint32_t i = find_in(s, p, kind, key);
    if (i != ROW_NONE)
        return i;
    i = free_row(s, p, c);
    if (i == ROW_NONE)
        return ROW_NONE;
    struct ledger_row *r = ledger_row_at(s, i);
    row_clear(r);
    ATOM_PUT(&r->minute, c->minute);
    ATOM_PUT(&r->tick, c->tick);
    ATOM_PUT(&r->kind, kind);
    ATOM_PUT(&s->bucket[i / LEDGER_WAYS].key[i % LEDGER_WAYS], key);
    s->used++;
    return i;
}

void ledger_sweep(struct ledger_shard *s, const struct ledger_clock *c)
{
    for (unsigned n = 0; n < SWEEP_ROWS && s->buckets; n++) {
        uint32_t i = s->sweep < s->buckets * LEDGER_WAYS ? s->sweep : 0;
        s->sweep = i + 1;
        if (s->bucket[i / LEDGER_WAYS].key[i % LEDGER_WAYS] == 0 || row_evict(s, i, c))
            continue;
        struct ledger_row *r = ledger_row_at(s, i);
        if (r->minute > c->minute)
            ledger_roll(r, c); /* the clock has stepped back since */
    }
}

/* -- reading -- */

static void add_row(struct ledger_sum *sum, const struct ledger_row *r,
                    const struct ledger_clock *c)
{
    int64_t reserved_micro = MAX(ATOM_GET(&r->reserved_micro), 0);
    uint32_t reserved_s = ATOM_GET(&r->reserved_s), calls = ATOM_GET(&r->calls);
    uint32_t minute = ATOM_GET(&r->minute);
    sum->calls = ledger_add32(sum->calls, calls);
    if (ATOM_GET(&r->tick) == c->tick)
        sum->attempts_min = ledger_add32(sum->attempts_min, ATOM_GET(&r->attempts));
    for (unsigned t = 0; t < SPAN_COUNT; t++) {
        bool live = minute >= c->start[t];
        uint32_t s = live ? ATOM_GET(&r->seconds[t]) : 0;
        int64_t m = live ? MAX(ATOM_GET(&r->micro[t]), 0) : 0; /* nobody gives others credit */
        sum->seconds[t] = ledger_add32(ledger_add32(sum->seconds[t], s), reserved_s);
        sum->micro[t] = ledger_add64(ledger_add64(sum->micro[t], m), reserved_micro);
    }
}

static void add_shard(struct ledger_sum *sum, const struct ledger_shard *s, uint32_t buckets,
                      uint8_t kind, uint64_t key, const struct ledger_clock *c)
{
    uint32_t i = ledger_find(s, buckets, kind, key);
    if (i == ROW_NONE)
        return;
    struct ledger_sum with = *sum;
    const struct ledger_bucket *b = &s->bucket[i / LEDGER_WAYS];
    add_row(&with, &b->row[i % LEDGER_WAYS], c);
    if (ATOM_GET(&b->key[i % LEDGER_WAYS]) == key) /* else it went, so nothing was in it */
        *sum = with;
}

struct ledger_sum ledger_sum_at(const struct ledger *l, uint8_t kind, uint64_t key,
                                const struct ledger_clock *c)
{
    struct ledger_sum sum = {0};
    bool own = false;
    for (uint32_t i = 0; i < MIN(l->n, LEDGER_SHARDS); i++) {
        if (!l->shard[i])
            continue;
        own |= l->shard[i] == l->own;
        add_shard(&sum, l->shard[i], buckets_of(l->bytes[i]), kind, key, c);
    }
    if (l->own && !own)
        add_shard(&sum, l->own, l->own->buckets, kind, key, c);
    return sum;
}

struct ledger_sum ledger_sum(const struct ledger *l, enum ledger_kind k, uint64_t key,
                             struct wall now)
{
    struct ledger_clock c = ledger_clock_of(l->own, now);
    ledger_ahead(l, key);
    return ledger_sum_at(l, (uint8_t)k, key, &c);
}

void ledger_ahead(const struct ledger *l, uint64_t key)
{
    for (uint32_t i = 0; i < MIN(l->n, LEDGER_SHARDS); i++) {
        uint32_t buckets = l->shard[i] ? buckets_of(l->bytes[i]) : 0;
        if (buckets < 2)
            continue;
        struct places p = places_of(l->shard[i]->salt, buckets, key);
        __builtin_prefetch(&l->shard[i]->bucket[p.b[0]]);
        __builtin_prefetch(&l->shard[i]->bucket[p.b[1]]);
    }
}

uint32_t ledger_rows_used(const struct ledger_shard *s)
{
    return s->used;
}

uint32_t ledger_writes(const struct ledger_shard *s)
{
    return ATOM_GET(&s->writes);
}

bool ledger_next(const struct ledger_shard *s, uint32_t *it, struct ledger_seed *ret_row,
                 uint32_t *ret_calls, struct wall now)
{
    return ledger_walk(s, ledger_bytes(s->buckets * LEDGER_WAYS), it, ret_row, ret_calls, now);
}

bool ledger_walk(const struct ledger_shard *s, size_t bytes, uint32_t *it,
                 struct ledger_seed *ret_row, uint32_t *ret_calls, struct wall now)
{
    struct ledger_clock c = ledger_clock_of(NULL, now);
    uint32_t buckets = buckets_of(bytes);
    while (*it < buckets * LEDGER_WAYS) {
        uint32_t i = (*it)++;
        const struct ledger_bucket *b = &s->bucket[i / LEDGER_WAYS];
        uint64_t key = ATOM_GET(&b->key[i % LEDGER_WAYS]);
        if (key == 0)
            continue;
        uint8_t kind = ATOM_GET(&b->row[i % LEDGER_WAYS].kind);
        struct ledger_sum sum = {0};
        add_row(&sum, &b->row[i % LEDGER_WAYS], &c);
        if (ATOM_GET(&b->key[i % LEDGER_WAYS]) != key || kind >= LEDGER_KINDS)
            continue;
        *ret_row = (struct ledger_seed){.key = key, .kind = kind};
        memcpy(ret_row->seconds, sum.seconds, sizeof sum.seconds);
        memcpy(ret_row->micro, sum.micro, sizeof sum.micro);
        *ret_calls = sum.calls;
        return true;
    }
    return false;
}

/* -- after the end of a program -- */

void ledger_adopt(struct ledger_shard *s, struct wall now)
{
    struct ledger_clock c = ledger_clock_move(s, now);
    uint32_t used = 0;
    for (uint32_t i = 0; i < s->buckets * LEDGER_WAYS; i++) {
        struct ledger_row *r = ledger_row_at(s, i);
        uint64_t *key = &s->bucket[i / LEDGER_WAYS].key[i % LEDGER_WAYS];
        if (*key == 0)
            continue;
        if (r->kind >= LEDGER_KINDS) { /* not one that we write */
            ATOM_PUT(key, UINT64_C(0));
            continue;
        }
        used++;
        if (!r->calls && !r->reserved_s && r->reserved_micro <= 0)
            continue;
        ledger_roll(r, &c);
        for (unsigned t = 0; t < SPAN_COUNT; t++) {
            ATOM_ADD32(&r->seconds[t], r->reserved_s);
            ATOM_ADD64(&r->micro[t], MAX(r->reserved_micro, 0));
        }
        ATOM_PUT(&r->reserved_s, 0u);
        ATOM_PUT(&r->reserved_micro, 0);
        ATOM_PUT(&r->calls, 0u);
    }
    s->used = used;
}

enum err ledger_plant(struct ledger *l, const struct ledger_seed *seed, struct wall now)
{
    if (!l->own)
        return ERR_STATE;
    if (seed->kind >= LEDGER_KINDS || seed->key == 0)
        return ERR_RANGE;
    struct ledger_clock c = ledger_clock_move(l->own, now);
    uint32_t i = ledger_take(l->own, seed->kind, seed->key, &c);
    if (i == ROW_NONE)
        return ERR_FULL;
    struct ledger_row *r = ledger_row_at(l->own, i);
    ledger_roll(r, &c);
    for (unsigned t = 0; t < SPAN_COUNT; t++) {
        ATOM_ADD32(&r->seconds[t], seed->seconds[t]);
        ATOM_ADD64(&r->micro[t], MAX(seed->micro[t], 0));
    }
    return OK;
}
