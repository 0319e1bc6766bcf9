#include "guard/ledger.h"
#include "guard/ledger_int.h"

#define LEAD_S 15u /* before what is reserved has run out: time to reserve more, or to warn */

/* Field by field: what lies between them is zero, for policies are compared as bytes and shared. */
static void caps_put(struct caps *c, uint16_t attempts_min, uint32_t call_s, int64_t hour,
                     int64_t day)
{
    memset(c, 0, sizeof *c);
    c->calls = 2;
    c->attempts_min = attempts_min;
    c->call_s = call_s;
    c->call_micro = c->micro[SPAN_HOUR] = hour;
    c->micro[SPAN_DAY] = day;
    c->micro[SPAN_MONTH] = INT64_C(200000000);
}

void caps_default(struct caps *c, struct caps *off)
{
    caps_put(c, 10, 4 * 3600, INT64_C(10000000), INT64_C(20000000));
    caps_put(off, 5, 3600, INT64_C(3000000), INT64_C(5000000));
}

uint64_t ledger_key_of(const struct sipkey *k, enum ledger_kind kind, struct str name)
{
    struct sipkey own = {k->k0 ^ (uint64_t)(kind + 1u), k->k1};
    uint64_t h = siphash_i(&own, name);
    return h ? h : 1;
}

/* -- what a call holds, in the rows -- */

/* Its row, wherever it is now; NULL: the shard is not the one in which it was made. */
static struct ledger_row *held_row(struct ledger *l, struct ledger_hold *h, unsigned i)
{
    struct ledger_shard *s = l->own;
    uint32_t r = h->row[i];
    if (r >= s->buckets * LEDGER_WAYS ||
        s->bucket[r / LEDGER_WAYS].key[r % LEDGER_WAYS] != h->key[i] ||
        ledger_row_at(s, r)->kind != h->kind[i])
        r = ledger_find(s, s->buckets, h->kind[i], h->key[i]);
    h->row[i] = r;
    return r == ROW_NONE ? NULL : ledger_row_at(s, r);
}

/* A call that runs or ends finds its rows in no cache: all are fetched at once. */
static void held_ahead(const struct ledger *l, const struct ledger_hold *h)
{
    const struct ledger_shard *s = l->own;
    for (unsigned i = 0; i < h->n; i++) {
        uint32_t r = h->row[i];
        if (r >= s->buckets * LEDGER_WAYS)
            continue;
        __builtin_prefetch(&s->bucket[r / LEDGER_WAYS]);
        __builtin_prefetch(&s->bucket[r / LEDGER_WAYS].row[r % LEDGER_WAYS], 1);
    }
}

static void row_reserve(struct ledger_row *r, int64_t seconds, int64_t micro)
{
    ATOM_ADD32(&r->reserved_s, seconds);
    ATOM_ADD64(&r->reserved_micro, micro);
}

static void hold_reserve(struct ledger *l, struct ledger_hold *h, int64_t seconds, int64_t micro,
                         const struct ledger_clock *c)
{
    for (unsigned i = 0; i < h->n; i++) {
        struct ledger_row *r = held_row(l, h, i);
        if (!r)
            continue;
        ledger_roll(r, c);
        row_reserve(r, seconds, micro);
    }
    h->reserved_s = ledger_add32(h->reserved_s, seconds);
    h->reserved_micro = ledger_add64(h->reserved_micro, micro);
}

/* From reserved to spent, as far as it was reserved: spent first. */
static void hold_spend(struct ledger *l, struct ledger_hold *h, uint32_t seconds, int64_t micro,
                       const struct ledger_clock *c)
{
    uint32_t rs = MIN(seconds, h->reserved_s);
    int64_t rm = MIN(micro, h->reserved_micro);
    for (unsigned i = 0; i < h->n; i++) {
        struct ledger_row *r = held_row(l, h, i);
        if (!r)
            continue;
        ledger_roll(r, c);
        for (unsigned t = 0; t < SPAN_COUNT; t++) {
            ATOM_ADD32(&r->seconds[t], seconds);
            ATOM_ADD64(&r->micro[t], micro);
        }
        row_reserve(r, -(int64_t)rs, -rm);
    }
    h->reserved_s -= rs;
    h->reserved_micro -= rm;
    h->spent_s = ledger_add32(h->spent_s, seconds);
    h->spent_micro = ledger_add64(h->spent_micro, micro);
}

/* What the first `seconds` of it cost beyond what was spent. */
static void hold_spend_until(struct ledger *l, struct ledger_hold *h, uint32_t seconds,
                             const struct ledger_clock *c)
{
    if (seconds <= h->spent_s)
        return;
    int64_t micro = rate_price(&h->rate, seconds) - h->spent_micro;
    hold_spend(l, h, seconds - h->spent_s, MAX(micro, 0), c);
}

static void hold_calls(struct ledger *l, struct ledger_hold *h, int d)
{
    for (unsigned i = 0; i < h->n; i++) {
        struct ledger_row *r = held_row(l, h, i);
        if (r)
            ATOM_ADD32(&r->calls, d);
    }
}

static void hold_drop(struct ledger *l, struct ledger_hold *h, const struct ledger_clock *c)
{
    hold_reserve(l, h, -(int64_t)h->reserved_s, -h->reserved_micro, c);
    hold_calls(l, h, -1);
    *h = (struct ledger_hold){0};
}

/* -- caps -- */

struct limit { /* how long the call may last in all, and who says so */
    uint32_t total_s;
    enum reason why;
    struct ledger_refusal of;
};

static void limit_to(struct limit *m, uint32_t total_s, enum reason why, const struct ledger_key *k,
                     int64_t used, int64_t cap)
{
    if (total_s >= m->total_s)
        return;
    m->total_s = total_s;
    m->why = why;
    m->of = (struct ledger_refusal){k->kind, k->key, used, cap};
}

static uint32_t seconds_for(const struct rate *r, int64_t micro)
{
    return micro < 0 ? 0 : rate_seconds(r, micro);
}

/* Sums hold what this call has and wants to have, total_s and total_micro of it. */
static void limit_by_sums(struct limit *m, const struct ledger_hold *h, const struct ledger_key *k,
                          const struct ledger_sum *sum)
{
    int64_t total_s = (int64_t)h->spent_s + h->reserved_s;
    int64_t total_micro = ledger_add64(h->spent_micro, h->reserved_micro);
    const struct caps *c = k->caps;
    if (c->call_s)
        limit_to(m, c->call_s, REASON_fraud_minutes, k, total_s, c->call_s);
    if (c->call_micro && total_micro)
        limit_to(m, seconds_for(&h->rate, c->call_micro), REASON_fraud_call_money, k, total_micro,
                 c->call_micro);
    for (unsigned t = 0; t < SPAN_COUNT; t++) {
        if (c->seconds[t])
            limit_to(m, ledger_add32(0, total_s + c->seconds[t] - sum->seconds[t]),
                     REASON_fraud_minutes, k, sum->seconds[t], c->seconds[t]);
        if (c->micro[t] && total_micro)
            limit_to(m, seconds_for(&h->rate, total_micro - sum->micro[t] + c->micro[t]),
                     REASON_fraud_money, k, sum->micro[t], c->micro[t]);
    }
}

static bool key_held(const struct ledger_hold *h, const struct ledger_key *k)
{
    for (unsigned i = 0; i < h->n; i++)
        if (h->key[i] == k->key && h->kind[i] == k->kind)
            return true;
    return false;
}

static struct limit limit_of(const struct ledger *l, const struct ledger_hold *h,
                             const struct ledger_key *v, uint8_t n, const struct ledger_clock *c)
{
    struct limit m = {UINT32_MAX, REASON_NONE, {0}};
    for (unsigned i = 0; i < n; i++) {
        if (!v[i].caps || !key_held(h, &v[i]))
            continue;
        struct ledger_sum sum = ledger_sum_at(l, v[i].kind, v[i].key, c);
        limit_by_sums(&m, h, &v[i], &sum);
    }
    return m;
}

/* Reserves up to total_s in all, then adds up, then gives back what is over a cap. */
static struct limit extend(struct ledger *l, struct ledger_hold *h, const struct ledger_key *v,
                           uint8_t n, uint32_t total_s, const struct ledger_clock *c)
{
    uint32_t had_s = ledger_add32(h->spent_s, h->reserved_s);
    int64_t had_micro = ledger_add64(h->spent_micro, h->reserved_micro);
    total_s = MAX(total_s, had_s);
    int64_t price = MAX(rate_price(&h->rate, total_s), had_micro);
    hold_reserve(l, h, (int64_t)total_s - had_s, price - had_micro, c);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    struct limit m = limit_of(l, h, v, n, c);
    h->left_s = m.total_s;
    if (m.total_s < total_s) {
        uint32_t may_s = MAX(m.total_s, had_s);
        int64_t may = may_s == had_s ? had_micro : MAX(rate_price(&h->rate, may_s), had_micro);
        hold_reserve(l, h, (int64_t)may_s - total_s, may - price, c);
    }
    return m;
}

/* -- set-up -- */

static enum reason hold_take(struct ledger *l, const struct ledger_key *v, uint8_t n,
                             struct ledger_hold *h, const struct ledger_clock *c)
{
    h->n = 0;
    for (unsigned i = 0; i < n; i++)
        ledger_ahead(l, v[i].key);
    for (unsigned i = 0; i < n; i++) {
        uint32_t row =
            v[i].kind < LEDGER_KINDS ? ledger_take(l->own, v[i].kind, v[i].key, c) : ROW_NONE;
        if (row == ROW_NONE)
            return REASON_capacity_ledger;
        if (key_held(h, &v[i]))
            continue;
        ledger_roll(ledger_row_at(l->own, row), c);
        h->kind[h->n] = v[i].kind;
        h->key[h->n] = v[i].key;
        h->row[h->n] = row;
        ATOM_ADD32(&ledger_row_at(l->own, row)->calls, 1); /* stays from here on */
        h->n++;
    }
    return REASON_NONE;
}

/* An attempt that is refused is one of who made it, but uses up nothing that others share. */
static void attempt(struct ledger *l, struct ledger_hold *h, int d)
{
    for (unsigned i = 0; i < h->n; i++) {
        struct ledger_row *r = held_row(l, h, i);
        bool shared = h->kind[i] != LEDGER_IDENTITY && h->kind[i] != LEDGER_DEVICE;
        if (r && (d > 0 || shared))
            ATOM_PUT(&r->attempts, ledger_add16(ATOM_GET(&r->attempts), d));
    }
}

static enum reason over(const struct ledger *l, const struct ledger_hold *h,
                        const struct ledger_key *v, uint8_t n, bool attempts,
                        const struct ledger_clock *c, struct ledger_refusal *ret_r)
{
    for (unsigned i = 0; i < n; i++) {
        const struct caps *caps = v[i].caps;
        if (!caps || !(caps->calls || caps->attempts_min) || !key_held(h, &v[i]))
            continue;
        struct ledger_sum s = ledger_sum_at(l, v[i].kind, v[i].key, c);
        bool fast = attempts && caps->attempts_min && s.attempts_min > caps->attempts_min;
        if (!fast && (!caps->calls || s.calls <= caps->calls))
            continue;
        *ret_r = (struct ledger_refusal){v[i].kind, v[i].key, fast ? s.attempts_min : s.calls,
                                         fast ? caps->attempts_min : caps->calls};
        return fast ? REASON_fraud_attempts : REASON_fraud_calls;
    }
    return REASON_NONE;
}

enum reason ledger_reserve(struct ledger *l, const struct ledger_key *v, uint8_t n,
                           const struct rate *rate, struct wall now, struct ledger_hold *ret_h,
                           struct ledger_refusal *ret_r)
{
    struct ledger_hold h = {.rate = *rate};
    *ret_h = (struct ledger_hold){0};
    *ret_r = (struct ledger_refusal){0};
    if (!l->own || n > LEDGER_KEYS)
        return REASON_capacity_ledger;
    struct ledger_clock c = ledger_clock_move(l->own, now);
    ledger_sweep(l->own, &c);
    enum reason why = hold_take(l, v, n, &h, &c);
    if (why != REASON_NONE) {
        hold_calls(l, &h, -1);
        return why;
    }
    attempt(l, &h, 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    why = over(l, &h, v, n, true, &c, ret_r);
    if (why == REASON_NONE) {
        struct limit m = extend(l, &h, v, n, LEDGER_SLICE_S, &c);
        why = m.total_s == 0 ? m.why : REASON_NONE;
        *ret_r = why != REASON_NONE ? m.of : *ret_r;
    }
    if (why != REASON_NONE) {
        attempt(l, &h, -1);
        hold_drop(l, &h, &c);
        return why;
    }
    *ret_h = h;
    return REASON_NONE;
}

/* -- while it runs, and its end -- */

bool ledger_holds(const struct ledger_hold *h, uint32_t seconds)
{
    uint32_t total_s = ledger_add32(seconds, LEDGER_SLICE_S);
    return h->left_s && ledger_add32(h->spent_s, h->reserved_s) >= total_s &&
           ledger_add64(h->spent_micro, h->reserved_micro) >= rate_price(&h->rate, total_s);
}

enum reason ledger_run(struct ledger *l, const struct ledger_key *v, uint8_t n,
                       struct ledger_hold *h, uint32_t seconds, struct wall now,
                       uint32_t *ret_next_s)
{
    *ret_next_s = UINT32_MAX;
    if (!l->own || h->n == 0)
        return REASON_NONE;
    uint32_t want = ledger_add32(seconds, LEDGER_SLICE_S);
    bool held = ledger_holds(h, seconds);
    held_ahead(l, h);
    for (unsigned i = 0; i < n && !held; i++)
        if (v[i].caps)
            ledger_ahead(l, v[i].key);
    struct ledger_clock c = ledger_clock_move(l->own, now);
    if (!h->began_us)
        h->began_us = ledger_add64(now.us, -(int64_t)seconds * 1000000);
    hold_spend_until(l, h, seconds, &c);
    struct limit m = {.why = REASON_NONE};
    if (!held)
        m = extend(l, h, v, n, want, &c);
    uint32_t total = ledger_add32(h->spent_s, h->reserved_s);
    *ret_next_s = total >= want ? total - LEAD_S : total;
    return total >= want ? REASON_NONE : m.why;
}

int64_t ledger_release(struct ledger *l, struct ledger_hold *h, uint32_t seconds, struct wall now)
{
    int64_t cost = 0;
    if (l->own && h->n) {
        held_ahead(l, h);
        struct ledger_clock c = ledger_clock_move(l->own, now);
        hold_spend_until(l, h, seconds, &c);
        cost = h->spent_micro;
        hold_drop(l, h, &c);
    }
    *h = (struct ledger_hold){0};
    return cost;
}

/* What `of` holds in rows that `but` does not have: there (d 1), or no longer, with the call. */
static void hold_apart(struct ledger *l, struct ledger_hold *of, const struct ledger_hold *but,
                       int d, const struct ledger_clock *c)
{
    for (unsigned i = 0; i < of->n; i++) {
        struct ledger_row *r = held_row(l, of, i);
        struct ledger_key k = {.key = of->key[i], .kind = of->kind[i]};
        if (!r || key_held(but, &k))
            continue;
        ledger_roll(r, c);
        row_reserve(r, d * (int64_t)of->reserved_s, d * of->reserved_micro);
        if (d < 0)
            ATOM_ADD32(&r->calls, -1);
    }
}

/* A row of both counted the call twice. */
static void hold_once(struct ledger *l, struct ledger_hold *of, const struct ledger_hold *too)
{
    for (unsigned i = 0; i < of->n; i++) {
        struct ledger_row *r = held_row(l, of, i);
        struct ledger_key k = {.key = of->key[i], .kind = of->kind[i]};
        if (r && key_held(too, &k))
            ATOM_ADD32(&r->calls, -1);
    }
}

/* What the call has had does not count for the new keys, only what it holds. */
static enum reason move_over(const struct ledger *l, const struct ledger_hold *h,
                             const struct ledger_key *v, uint8_t n, const struct ledger_clock *c)
{
    struct ledger_refusal r;
    enum reason why = over(l, h, v, n, false, c, &r);
    if (why != REASON_NONE)
        return why;
    struct limit m = limit_of(l, h, v, n, c);
    return m.total_s < ledger_add32(h->spent_s, h->reserved_s) ? m.why : REASON_NONE;
}

enum reason ledger_move(struct ledger *l, struct ledger_hold *h, const struct ledger_key *v,
                        uint8_t n, struct wall now)
{
    if (!l->own || h->n == 0)
        return REASON_NONE;
    if (n > LEDGER_KEYS)
        return REASON_capacity_ledger;
    struct ledger_clock c = ledger_clock_move(l->own, now);
    struct ledger_hold to = *h, old = *h;
    enum reason why = hold_take(l, v, n, &to, &c);
    if (why != REASON_NONE) {
        hold_calls(l, &to, -1);
        return why;
    }
    hold_once(l, &to, &old);
    hold_apart(l, &to, &old, 1, &c);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    why = move_over(l, &to, v, n, &c);
    if (why != REASON_NONE) {
        hold_apart(l, &to, &old, -1, &c);
        return why;
    }
    hold_apart(l, &old, &to, -1, &c);
    to.left_s = 0; /* others decide now */
    *h = to;
    return REASON_NONE;
}
