/* caps: of roles, peers, classes and the whole; what a file does not name stays as it was. */
#include "app/config/yaml.h"
#include "guard/ledger.h"

#define AT(type, member) offsetof(struct type, member)

/* "12.50" in millionths */
static void rd_money(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s, whole, frac;
    uint64_t v, part = 0;
    if (!scalar(l, f->key, n, &s))
        return;
    frac = str_cut(s, '.', &whole);
    bool good = str_u64(whole, 1000000000, &v) == OK && frac.n <= 6 &&
                (whole.n == s.n || str_u64(frac, 999999, &part) == OK);
    if (!good) {
        problem(l, pos_of(n), "an amount of the currency: 20 or 12.50; 0: no cap",
                "%s: \"%.*s\" is no amount", f->key, (int)MIN(s.n, 40u), s.p);
        return;
    }
    for (size_t i = frac.n; i < 6; i++)
        part *= 10;
    *(int64_t *)dst = (int64_t)(v * 1000000 + part);
}

static void rd_minutes(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint32_t m = UINT32_MAX;
    rd_u32(l, f, n, &m);
    if (m != UINT32_MAX)
        *(uint32_t *)dst = m * 60;
}

static void rd_minutes_map(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct field SPANS[] = {
        {"hour", rd_minutes, SPAN_HOUR * sizeof(uint32_t), false, 0, 1000000, NULL},
        {"day", rd_minutes, SPAN_DAY * sizeof(uint32_t), false, 0, 1000000, NULL},
        {"month", rd_minutes, SPAN_MONTH * sizeof(uint32_t), false, 0, 10000000, NULL},
    };
    (void)map_read(l, n, f->key, SPANS, ARRAY_LEN(SPANS), dst);
}

static void rd_money_map(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct field SPANS[] = {
        {"hour", rd_money, SPAN_HOUR * sizeof(int64_t), false, 0, 0, NULL},
        {"day", rd_money, SPAN_DAY * sizeof(int64_t), false, 0, 0, NULL},
        {"month", rd_money, SPAN_MONTH * sizeof(int64_t), false, 0, 0, NULL},
    };
    (void)map_read(l, n, f->key, SPANS, ARRAY_LEN(SPANS), dst);
}

void rd_caps(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct field CAPS[] = {
        {"calls", rd_u16, AT(caps, calls), false, 0, 65535, NULL},
        {"attempts", rd_u16, AT(caps, attempts_min), false, 0, 65535, NULL},
        {"longest", rd_seconds, AT(caps, call_s), false, 0, 604800, NULL},
        {"call_money", rd_money, AT(caps, call_micro), false, 0, 0, NULL},
        {"minutes", rd_minutes_map, AT(caps, seconds), false, 0, 0, NULL},
        {"money", rd_money_map, AT(caps, micro), false, 0, 0, NULL},
    };
    (void)map_read(l, n, f->key, CAPS, ARRAY_LEN(CAPS), dst);
}
