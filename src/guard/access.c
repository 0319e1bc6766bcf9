#include "guard/access.h"

size_t geo_bytes(uint32_t n4, uint32_t n6)
{
    return sizeof(struct geo) + (size_t)n4 * sizeof(struct geo4) + (size_t)n6 * sizeof(struct geo6);
}

enum err geo_valid(const struct geo *g, size_t bytes)
{
    return bytes >= sizeof *g && g->magic == GEO_MAGIC && bytes >= geo_bytes(g->n4, g->n6)
               ? OK
               : ERR_SYNTAX;
}

static uint64_t word(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* The last range that begins at v or before. */
static uint16_t find4(const struct geo *g, uint32_t v)
{
    const struct geo4 *r =
        (const struct geo4 *)(const void *)(g->data + (size_t)g->n6 * sizeof(struct geo6));
    uint32_t low = 0, n = g->n4;
    while (n > 0) {
        uint32_t half = n / 2;
        bool right = r[low + half].first <= v;
        low = right ? low + half + 1 : low;
        n = right ? n - half - 1 : half;
    }
    return low && v <= r[low - 1].last ? r[low - 1].country : 0;
}

static uint16_t find6(const struct geo *g, uint64_t v)
{
    const struct geo6 *r = (const struct geo6 *)(const void *)g->data;
    uint32_t low = 0, n = g->n6;
    while (n > 0) {
        uint32_t half = n / 2;
        bool right = r[low + half].first <= v;
        low = right ? low + half + 1 : low;
        n = right ? n - half - 1 : half;
    }
    return low && v <= r[low - 1].last ? r[low - 1].country : 0;
}

uint16_t geo_country(const struct geo *g, const struct addr *a)
{
    if (!g)
        return 0;
    if (a->family == ADDR_V4)
        return find4(g, (uint32_t)word(a->ip, 4));
    return a->family == ADDR_V6 ? find6(g, word(a->ip, 8)) : 0;
}

bool access_allows(const struct access_rule *rules, unsigned n, bool fallback, const struct addr *a,
                   uint16_t country, uint8_t proto)
{
    for (unsigned i = 0; i < n; i++) {
        const struct access_rule *r = &rules[i];
        bool fits = (!r->by_prefix || prefix_has(&r->net, a)) &&
                    (!r->country || r->country == country) &&
                    (!r->protos || (r->protos >> proto & 1));
        if (fits)
            return r->allow;
    }
    return fallback;
}
