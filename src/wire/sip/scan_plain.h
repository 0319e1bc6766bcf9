/* The scans for machines without SSE2. */
#ifndef WIRE_SIP_SCAN_PLAIN_H
#define WIRE_SIP_SCAN_PLAIN_H
#include "base/str.h"

/* First byte below 0x20, or end. */
static inline const char *scan_control(const char *p, const char *end)
{
    while (p < end && (uint8_t)*p >= 0x20)
        p++;
    return p;
}
/* First c, or end. */
static inline const char *scan_char(const char *p, const char *end, char c)
{
    while (p < end && *p != c)
        p++;
    return p;
}
#endif
