/* Inside wire/sip only: byte classes, the vector scan for control bytes, and small steps that all
 * grammars share. Pointers run over [p, end); nothing reads at or past end. */
#ifndef WIRE_SIP_SCAN_H
#define WIRE_SIP_SCAN_H
#include "wire/sip/msg.h"
#include "wire/sip/sip_tables.h"
#if defined(__SSE2__)
#include "wire/sip/scan_sse2.h"
#else
#include "wire/sip/scan_plain.h"
#endif

extern const uint16_t sip_class[256];

static inline bool is(char c, unsigned classes)
{
    return (sip_class[(uint8_t)c] & classes) != 0;
}
static inline const char *run(const char *p, const char *end, unsigned classes)
{
    while (p < end && is(*p, classes))
        p++;
    return p;
}
static inline const char *skip_lws(const char *p, const char *end)
{
    while (p < end && UNLIKELY(is(*p, C_LWS)))
        p++;
    return p;
}
static inline const char *trim_lws(const char *p, const char *end)
{
    while (end > p && is(end[-1], C_LWS))
        end--;
    return end;
}
/* Behind the last byte; adding 0 to the NULL of STR_NONE would be undefined. */
static inline const char *str_end(struct str s)
{
    return s.n > 0 ? s.p + s.n : s.p;
}
static inline struct str str_between(const char *p, const char *end)
{
    return (struct str){p, (size_t)(end - p)};
}
static inline struct span span_at(const char *base, struct str s)
{
    return s.p ? (struct span){(uint16_t)(s.p - base), (uint16_t)s.n} : SPAN_NONE;
}
/* A class with %HH escapes in between; NULL if a '%' is no escape. */
static inline const char *run_escaped(const char *p, const char *end, unsigned classes)
{
    for (;;) {
        p = run(p, end, classes);
        if (p == end || *p != '%')
            return p;
        if (end - p < 3 || !is(p[1], C_HEX) || !is(p[2], C_HEX))
            return NULL;
        p += 3;
    }
}
/* p at the opening quote: the closing one, or NULL. */
static inline const char *quote_end(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\' && ++p == end)
            return NULL;
    return p < end ? p : NULL;
}
/* Digits only, at most max. */
static inline bool digits(const char *p, const char *end, uint64_t max, uint64_t *ret_v)
{
    uint64_t v = 0;
    if (p == end)
        return false;
    for (; p < end; p++) {
        if (!is(*p, C_DIGIT))
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
        if (v > max)
            return false;
    }
    *ret_v = v;
    return true;
}
#endif
