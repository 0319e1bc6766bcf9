/* Ranges of ill repute: of the policy, of a list, built in; the longest that covers a number. */
#include "guard/fraud_int.h"

static const struct { /* in a few cache lines: the text of it is elsewhere */
    char digits[6];
    uint8_t n, weight;
    const char *why;
} SEED[] = {
#define S(digits, weight, who, why) {digits, sizeof digits - 1, weight, why " [" who "]"},
#include "guard/fraud_seed.def"
#undef S
};

const char *fraud_seed_at(uint32_t i, uint8_t *ret_weight, const char **ret_why)
{
    if (i >= ARRAY_LEN(SEED))
        return NULL;
    *ret_weight = SEED[i].weight;
    *ret_why = SEED[i].why;
    return SEED[i].digits;
}

/* A walk over some sixty short texts, most of which differ in the first digit. */
static uint8_t seed(struct str digits, size_t *ret_n)
{
    uint8_t w = 0;
    *ret_n = 0;
    for (size_t i = 0; i < ARRAY_LEN(SEED) && digits.n; i++) {
        size_t n = SEED[i].n;
        if (SEED[i].digits[0] == digits.p[0] && n > *ret_n && n <= digits.n &&
            memcmp(SEED[i].digits, digits.p, n) == 0) {
            *ret_n = n;
            w = SEED[i].weight;
        }
    }
    return w;
}

static int order(const struct fraud_range *a, uint8_t n, uint32_t digits)
{
    if (a->n != n)
        return a->n < n ? -1 : 1;
    return a->digits == digits ? 0 : a->digits < digits ? -1 : 1;
}

static size_t place(const struct fraud_range *v, size_t count, uint8_t n, uint32_t digits)
{
    size_t lo = 0, hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (order(&v[mid], n, digits) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The longest of v that covers the digits; its length, 0: none. */
static size_t find(const struct fraud_range *v, size_t count, struct str digits, uint8_t *ret_w)
{
    uint32_t value[10] = {0};
    size_t n = MIN(digits.n, 9u);
    for (size_t i = 0; i < n; i++)
        value[i + 1] = value[i] * 10 + (uint32_t)(digits.p[i] - '0');
    for (size_t i = n; i > 0 && count; i--) {
        size_t at = place(v, count, (uint8_t)i, value[i]);
        if (at < count && order(&v[at], (uint8_t)i, value[i]) == 0) {
            *ret_w = v[at].weight;
            return i;
        }
    }
    return 0;
}

uint8_t fraud_range_weight(const struct fraud *f, struct str e164)
{
    struct str digits = e164.n && e164.p[0] == '+' ? str_skip(e164, 1) : e164;
    uint8_t w = 0, other = 0;
    size_t n = find(f->p.ranges, f->p.n_ranges, digits, &w), m = 0;
    if (f->blob) {
        m = find(f->blob, f->blob_bytes / sizeof(struct fraud_range), digits, &other);
        w = m > n ? other : w;
        n = MAX(n, m);
    }
    if (!f->p.seed_off) {
        other = seed(digits, &m);
        w = m > n ? other : w;
    }
    return w;
}

enum err fraud_range_add(struct fraud_policy *p, struct str digits, uint32_t weight)
{
    uint32_t v = 0;
    if (digits.n && digits.p[0] == '+')
        digits = str_skip(digits, 1);
    if (!digits.n || digits.n > 9 || str_u32(digits, 999999999, &v) != OK)
        return ERR_SYNTAX;
    if (weight > 250)
        return ERR_RANGE;
    size_t at = place(p->ranges, p->n_ranges, (uint8_t)digits.n, v);
    if (at < p->n_ranges && order(&p->ranges[at], (uint8_t)digits.n, v) == 0)
        return ERR_EXISTS;
    if (p->n_ranges >= FRAUD_RANGES)
        return ERR_FULL;
    memmove(&p->ranges[at + 1], &p->ranges[at], (p->n_ranges - at) * sizeof p->ranges[0]);
    p->ranges[at] = (struct fraud_range){v, (uint8_t)digits.n, (uint8_t)weight};
    p->n_ranges++;
    return OK;
}

enum err fraud_ranges_valid(const void *blob, size_t bytes)
{
    static const uint32_t limit[10] = {1,      10,      100,      1000,      10000,
                                       100000, 1000000, 10000000, 100000000, 1000000000};
    const struct fraud_range *v = blob;
    if (bytes % sizeof *v)
        return ERR_SYNTAX;
    for (size_t i = 0; i < bytes / sizeof *v; i++) {
        if (!v[i].n || v[i].n > 9 || v[i].digits >= limit[v[i].n] || v[i].weight > 250)
            return ERR_RANGE;
        if (i && order(&v[i - 1], v[i].n, v[i].digits) >= 0)
            return ERR_SYNTAX;
    }
    return OK;
}

void fraud_ranges_set(struct fraud *f, const void *blob, size_t bytes)
{
    f->blob = blob;
    f->blob_bytes = blob ? bytes : 0;
}
