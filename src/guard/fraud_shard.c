/* Rows in memory that several programs see: where they are, what they may hold, how they are kept
 * in a file. Readers check whatever they use; only the writer takes a row for granted. */
#include "guard/fraud_int.h"
#include "guard/ledger.h"

#define TIME_MAX INT64_C(4000000000000000) /* some time in the year 2096 */
#define TOLD_MAX 40u
#define POINTS   (4000u * 16)

static size_t bytes_for(uint32_t rows)
{
    return sizeof(struct fraud_shard) + rows * (sizeof(uint64_t) + sizeof(struct row));
}

size_t fraud_shard_bytes(uint32_t identities)
{
    uint32_t n = WAYS;
    while (n < identities && n < 1u << 24)
        n *= 2;
    return bytes_for(n);
}

static uint32_t rows_in(size_t bytes)
{
    uint32_t n = WAYS;
    while (bytes_for(n) < bytes && n < 1u << 24)
        n *= 2;
    return bytes_for(n) == bytes ? n : 0;
}

void fraud_shard_begin(struct fraud_shard *s, size_t bytes)
{
    s->rows = rows_in(bytes);
    s->layout = FRAUD_LAYOUT;
    s->magic = FRAUD_MAGIC;
}

enum err fraud_shard_valid(const struct fraud_shard *s, size_t bytes)
{
    uint32_t n = rows_in(bytes);
    return n && s->magic == FRAUD_MAGIC && s->layout == FRAUD_LAYOUT && s->rows == n ? OK
                                                                                     : ERR_SYNTAX;
}

enum err fraud_shards(struct fraud *f, struct fraud_shard *own, const struct fraud_shard *const *v,
                      size_t bytes, uint8_t n, uint8_t me)
{
    if (!own || !n || n > FRAUD_SHARDS || me >= n || fraud_shard_valid(own, bytes) != OK)
        return ERR_RANGE;
    for (uint8_t i = 0; i < n; i++) {
        if (!v[i])
            return ERR_RANGE;
        f->shard[i] = i == me ? own : v[i];
    }
    f->own = own;
    f->n = n;
    f->me = me;
    return OK;
}

static uint64_t hash_of(const struct sipkey *k, uint64_t key)
{
    return siphash(k, str_of((const char *)&key, sizeof key));
}

uint64_t fraud_hash(const struct fraud *f, uint64_t key)
{
    return hash_of(&f->k, key);
}

uint8_t fraud_home(const struct fraud *f, uint64_t identity)
{
    return f->n > 1 ? ledger_home(identity, f->n) : f->me;
}

static uint32_t first_of(uint32_t rows, uint64_t hash)
{
    return ((uint32_t)hash & (rows / WAYS - 1)) * WAYS;
}

uint32_t fraud_find(const struct fraud_shard *s, uint32_t rows, uint64_t hash, uint64_t key)
{
    uint32_t at = first_of(rows, hash);
    for (uint32_t i = at; i < at + WAYS; i++)
        if (__atomic_load_n(&s->key[i], __ATOMIC_RELAXED) == key)
            return i;
    return ROW_NONE;
}

uint32_t fraud_take(struct fraud_shard *s, uint64_t hash, uint64_t key, int64_t now_us)
{
    uint32_t i = fraud_find(s, s->rows, hash, key), at = first_of(s->rows, hash);
    struct row *row = fraud_rows_at(s, s->rows), *r;
    if (i != ROW_NONE)
        return i;
    i = at;
    for (uint32_t k = at; k < at + WAYS && s->key[i]; k++)
        if (!s->key[k] || row[k].seen_us < row[i].seen_us)
            i = k;
    r = &row[i];
    seq_write_begin(&r->seq);
    memset(&r->key, 0, sizeof *r - offsetof(struct row, key));
    r->open_min = 0;
    r->key = key;
    r->heat_us = r->seen_us = now_us;
    seq_write_end(&r->seq);
    __atomic_store_n(&s->key[i], key, __ATOMIC_RELEASE);
    return i;
}

static bool time_sound(int64_t us)
{
    return us >= 0 && us < TIME_MAX;
}

bool fraud_row_sound(const struct row *r)
{
    bool ok = r->key && time_sound(r->seen_us) && time_sound(r->heat_us) &&
              time_sound(r->lock_us) && time_sound(r->place_us) && time_sound(r->forward_us) &&
              r->heat <= POINTS && r->slow <= POINTS && r->next_prefix < PREFIXES &&
              r->next_bait < BAITS && r->spend_told <= TOLD_MAX && r->spend_day_told <= TOLD_MAX &&
              r->level_told <= TOLD_MAX && r->dear_told <= TOLD_MAX && r->mobile_told <= TOLD_MAX &&
              r->mobile_day_told <= TOLD_MAX && r->fan_told <= TOLD_MAX &&
              !(r->signs >> SIGN_COUNT) && r->act < FRAUD_LEVELS;
    for (unsigned i = 0; i < BAITS; i++)
        ok &= time_sound(r->bait_us[i]);
    return ok;
}

uint32_t fraud_shard_adopt(struct fraud_shard *s)
{
    struct row *row = fraud_rows_at(s, s->rows);
    uint32_t lost = 0;
    for (uint32_t i = 0; i < s->rows; i++) {
        if (!s->key[i])
            continue;
        struct row *r = &row[i];
        seq_write_begin(&r->seq);
        r->open = r->open_dear = 0;
        if (r->key != s->key[i] || !fraud_row_sound(r)) {
            memset(&r->key, 0, sizeof *r - offsetof(struct row, key));
            __atomic_store_n(&s->key[i], 0, __ATOMIC_RELEASE);
            lost++;
        }
        seq_write_end(&r->seq);
    }
    return lost;
}

/* --- over all shards --- */

static const struct fraud_shard *part(const struct fraud *f, unsigned i)
{
    return f->n > 1 ? f->shard[i] : fraud_own(f);
}

uint32_t fraud_known(const struct fraud *f, uint16_t country)
{
    uint32_t at = fraud_country_at(country), n = 0;
    for (unsigned i = 0; i < MAX(f->n, 1u) && at != UINT32_MAX; i++)
        n += __atomic_load_n(&part(f, i)->all.known[at], __ATOMIC_RELAXED);
    return n;
}

/* The sums of the newest day that any of them has. */
struct of_prefix fraud_prefix(const struct fraud *f, uint32_t prefix)
{
    struct of_prefix sum = {.prefix = prefix};
    for (unsigned i = 0; i < MAX(f->n, 1u); i++) {
        const struct of_prefix *p = &part(f, i)->all.prefix[prefix % SYSTEM_SLOTS];
        if (__atomic_load_n(&p->prefix, __ATOMIC_ACQUIRE) != prefix)
            continue;
        uint32_t day = __atomic_load_n(&p->day, __ATOMIC_RELAXED);
        if (day < sum.day)
            continue;
        if (day > sum.day)
            sum = (struct of_prefix){.prefix = prefix, .day = day};
        sum.seconds += MIN(__atomic_load_n(&p->seconds, __ATOMIC_RELAXED), UINT32_MAX / 64);
        sum.baits += MIN(__atomic_load_n(&p->baits, __ATOMIC_RELAXED), UINT32_MAX / 64);
    }
    return sum;
}

int64_t fraud_began(const struct fraud *f)
{
    int64_t first = 0;
    for (unsigned i = 0; i < MAX(f->n, 1u); i++) {
        int64_t us = __atomic_load_n(&part(f, i)->all.began_us, __ATOMIC_RELAXED);
        if (us > 0 && us < TIME_MAX && (!first || us < first))
            first = us;
    }
    return first;
}

/* --- records of a file --- */

size_t fraud_all_bytes(void)
{
    return sizeof(struct of_all);
}

size_t fraud_row_bytes(void)
{
    return sizeof(struct row);
}

void fraud_all_get(const struct fraud_shard *s, void *ret)
{
    memcpy(ret, &s->all, sizeof s->all);
}

bool fraud_row_next(const struct fraud_shard *s, size_t bytes, uint32_t *it, void *ret)
{
    uint32_t rows = rows_in(bytes);
    struct row *to = ret;
    for (; *it < rows; ++*it) {
        uint64_t key = __atomic_load_n(&s->key[*it], __ATOMIC_RELAXED);
        const struct row *r = &fraud_rows_at(s, rows)[*it];
        if (!key || !seq_read(&r->seq, to, r, sizeof *r) || to->key != key || !fraud_row_sound(to))
            continue;
        to->seq = 0;
        to->open = to->open_dear = 0;
        ++*it;
        return true;
    }
    return false;
}

/* Countries are counted as rows come (fraud_row_put). */
enum err fraud_all_put(struct fraud_shard *s, const void *rec)
{
    struct of_all x;
    memcpy(&x, rec, sizeof x);
    if (!time_sound(x.began_us))
        return ERR_SYNTAX;
    if (x.began_us && (!s->all.began_us || x.began_us < s->all.began_us))
        s->all.began_us = x.began_us;
    for (unsigned i = 0; i < SYSTEM_SLOTS; i++) {
        struct of_prefix *to = &s->all.prefix[i], *from = &x.prefix[i];
        if ((from->prefix && from->prefix % SYSTEM_SLOTS != i) || from->seconds > UINT32_MAX / 64 ||
            from->baits > UINT32_MAX / 64)
            return ERR_SYNTAX;
        if (to->prefix == from->prefix && to->day == from->day) {
            to->seconds = MIN(to->seconds + from->seconds, UINT32_MAX / 64);
            to->baits = MIN(to->baits + from->baits, UINT32_MAX / 64);
        } else if (from->day > to->day) {
            *to = *from;
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(x.trunks); i++) {
        if (x.trunks[i].key && (x.trunks[i].fast > 65536 || x.trunks[i].slow > 65536 ||
                                x.trunks[i].key % ARRAY_LEN(x.trunks) != i))
            return ERR_SYNTAX;
        if (x.trunks[i].n > s->all.trunks[i].n)
            s->all.trunks[i] = x.trunks[i];
    }
    return OK;
}

enum err fraud_row_put(struct fraud_shard *const *v, size_t bytes, uint8_t n,
                       const struct sipkey *k, const void *rec)
{
    struct row x;
    memcpy(&x, rec, sizeof x);
    if (x.seq || x.open || x.open_dear || !fraud_row_sound(&x))
        return ERR_SYNTAX;
    uint64_t hash = hash_of(k, x.key);
    struct fraud_shard *s = v[ledger_home(x.key, n)];
    uint32_t rows = rows_in(bytes), at = first_of(rows, hash), i = at;
    for (; i < at + WAYS && s->key[i]; i++)
        if (s->key[i] == x.key)
            return ERR_SYNTAX;
    if (i == at + WAYS)
        return ERR_FULL;
    fraud_rows_at(s, rows)[i] = x;
    s->key[i] = x.key;
    for (unsigned c = 0; c < COUNTRIES; c++) {
        uint32_t country = fraud_country_at(x.countries[c].country);
        if (country != UINT32_MAX && s->all.known[country] < UINT16_MAX)
            s->all.known[country]++;
    }
    return OK;
}
