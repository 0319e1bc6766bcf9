#include "guard/scan.h"
#include "guard/rules_int.h"

static inline uint32_t lower(char c)
{
    uint32_t v = (uint8_t)c;
    return v + ((uint32_t)(v - 'A' < 26u) << 5);
}
static inline uint32_t gram(uint32_t v)
{
    return (v * 0x9e3779b1u) >> 17;
}

/* Multiplied, the upper bits taken: the lower-case letters that headers are made of spread well. */
uint32_t rules_gram(const char *p)
{
    return gram(lower(p[0]) | lower(p[1]) << 8 | lower(p[2]) << 16);
}

static bool same(const struct rules *r, const struct rules_pattern *p, const char *at)
{
    const char *text = rules_text(r, p->text, p->text_n).p;
    if (!p->nocase)
        return memcmp(text, at, p->text_n) == 0;
    for (uint32_t i = 0; i < p->text_n; i++)
        if (ascii_lower(at[i]) != text[i])
            return false;
    return true;
}

static bool has(const struct rules *r, const struct rules_pattern *p, struct str s, char first)
{
    for (size_t at = 0; at + p->text_n <= s.n; at++) {
        at += str_find(str_skip(s, at), first);
        if (at + p->text_n <= s.n && same(r, p, s.p + at))
            return true;
    }
    return false;
}

/* Patterns too short for three bytes: they come first, they are few, and each is looked for alone.
 */
static void scan_short(const struct rules *r, uint32_t first, uint32_t end, struct str s,
                       rules_hit_fn *hit, void *ctx)
{
    for (uint32_t i = first; i < end && rules_pattern_at(r, i)->text_n < 3; i++) {
        const struct rules_pattern *p = rules_pattern_at(r, i);
        char c = *rules_text(r, p->text, 1).p;
        bool letter = p->nocase && c >= 'a' && c <= 'z';
        if (has(r, p, s, c) || (letter && has(r, p, s, (char)(c - 32))))
            hit(ctx, i);
    }
}

static void scan_chain(const struct rules *r, uint32_t i, struct str s, size_t at,
                       rules_hit_fn *hit, void *ctx)
{
    for (; i != RULES_NO_PATTERN; i = rules_pattern_at(r, i)->next) {
        const struct rules_pattern *p = rules_pattern_at(r, i);
        if (at >= p->gram && p->text_n <= s.n - (at - p->gram) && same(r, p, s.p + at - p->gram))
            hit(ctx, i);
    }
}

static bool scan_set(const struct rules *r, bool rtp, struct str s, rules_hit_fn *hit, void *ctx)
{
    uint32_t first = rtp ? r->sip_patterns : 0,
             end = rtp ? r->part[PART_PATTERN].n : r->sip_patterns;
    if (first == end || r->part[PART_HEAD].n == 0)
        return true;
    const uint32_t *head = (const uint32_t *)rules_at(r, PART_HEAD) + (rtp ? RULES_GRAMS : 0);
    scan_short(r, first, end, s, hit, ctx);
    const uint64_t *map = (const uint64_t *)rules_at(r, PART_MAP) + (rtp ? RULES_GRAMS / 64 : 0);
    uint32_t v = s.n < 3 ? 0 : lower(s.p[0]) << 8 | lower(s.p[1]) << 16;
    for (size_t at = 0; at + 3 <= s.n; at++) {
        v = v >> 8 | lower(s.p[at + 2]) << 16;
        uint32_t g = gram(v);
        if (UNLIKELY(map[g >> 6] >> (g & 63) & 1))
            scan_chain(r, head[g], s, at, hit, ctx);
    }
    return true;
}

static bool scan_sip(void *ctx, struct str s, rules_hit_fn *hit, void *hit_ctx)
{
    return scan_set(ctx, false, s, hit, hit_ctx);
}
static bool scan_rtp(void *ctx, struct str s, rules_hit_fn *hit, void *hit_ctx)
{
    return scan_set(ctx, true, s, hit, hit_ctx);
}

void scan_plain(const struct rules *r, struct rules_scanner *ret_s)
{
    union {
        const struct rules *in;
        void *out;
    } ctx = {r}; /* read only, as the callee's type says */
    *ret_s = (struct rules_scanner){.ctx = ctx.out, .scan = scan_sip, .scan_rtp = scan_rtp};
}
