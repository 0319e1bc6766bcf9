/* Sixteen bytes a step. Written with compiler builtins because the intrinsics header uses words
 * that the pure floors ban. */
#ifndef WIRE_SIP_SCAN_SSE2_H
#define WIRE_SIP_SCAN_SSE2_H
#include "base/str.h"

typedef unsigned char scan_u8x16 __attribute__((vector_size(16)));
typedef char scan_i8x16 __attribute__((vector_size(16)));

static inline unsigned scan_mask(scan_u8x16 v)
{
    return (unsigned)__builtin_ia32_pmovmskb128((scan_i8x16)v);
}
/* First byte below 0x20, or end. */
static inline const char *scan_control(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        scan_u8x16 v;
        memcpy(&v, p, 16);
        unsigned m = scan_mask((scan_u8x16)(v < 0x20));
        if (m != 0)
            return p + __builtin_ctz(m);
    }
    while (p < end && (uint8_t)*p >= 0x20)
        p++;
    return p;
}
/* First c, or end. For near things: memchr costs a call. */
static inline const char *scan_char(const char *p, const char *end, char c)
{
    for (; end - p >= 16; p += 16) {
        scan_u8x16 v;
        memcpy(&v, p, 16);
        unsigned m = scan_mask((scan_u8x16)(v == (unsigned char)c));
        if (m != 0)
            return p + __builtin_ctz(m);
    }
    while (p < end && *p != c)
        p++;
    return p;
}
#endif
