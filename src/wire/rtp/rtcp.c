#include "wire/rtp/rtcp.h"

enum { SDES_END = 0, SDES_CNAME = 1 };

bool rtcp_header_ok(const uint8_t *p, size_t n)
{
    return n >= RTCP_HEADER_BYTES && p[0] >> 6 == 2 && p[1] >= 192 && p[1] <= 223;
}

/* One item at p[at] of a chunk list that ends at n: its bytes, or 0 if it does not fit. */
static size_t item_bytes(const uint8_t *p, size_t at, size_t n)
{
    if (at + 2 > n || at + 2 + p[at + 1] > n)
        return 0;
    return 2u + p[at + 1];
}

/* Walks the chunks of one SDES packet of n bytes: SSRC, items, END, padding to 32 bits. Calls hide
 * for items if key is given; false if a chunk leaves the packet. */
static void hide_item(uint8_t *item, const struct sipkey *key)
{
    uint8_t len = item[1];
    if (item[0] != SDES_CNAME) {
        memset(item + 2, '-', len);
        return;
    }
    uint8_t digest[16];
    siphash128(key, str_of((const char *)item + 2, len), digest);
    for (unsigned i = 0; i < len; i++) {
        uint8_t byte = digest[(i / 2) % sizeof digest];
        item[2 + i] = (uint8_t) "0123456789abcdef"[(i & 1) != 0 ? byte & 15 : byte >> 4];
    }
}

static bool walk_chunk(uint8_t *p, size_t *at, size_t n, const struct sipkey *key)
{
    if (*at + 4 > n)
        return false;
    *at += 4;
    while (*at < n && p[*at] != SDES_END) {
        size_t bytes = item_bytes(p, *at, n);
        if (bytes == 0)
            return false;
        if (key != NULL)
            hide_item(p + *at, key);
        *at += bytes;
    }
    if (*at >= n)
        return false;
    size_t end = (*at + 4) & ~(size_t)3; /* END and padding up to the next word */
    if (end > n)
        return false;
    if (key != NULL)
        memset(p + *at, 0, end - *at);
    *at = end;
    return true;
}

static bool walk_sdes(uint8_t *p, size_t n, const struct sipkey *key)
{
    size_t at = 4;
    for (unsigned i = p[0] & 0x1f; i > 0; i--)
        if (!walk_chunk(p, &at, n, key))
            return false;
    if (key != NULL)
        memset(p + at, 0, n - at);
    return true;
}

/* BYE: SSRC x count, then optionally a counted reason. */
static bool walk_bye(uint8_t *p, size_t n, const struct sipkey *key)
{
    size_t at = 4 + 4u * (p[0] & 0x1fu);
    if (at > n)
        return false;
    if (at == n)
        return true;
    if (at + 1 + p[at] > n)
        return false;
    if (key != NULL) {
        memset(p + at + 1, '-', p[at]);
        memset(p + at + 1 + p[at], 0, n - (at + 1 + p[at]));
    }
    return true;
}

/* Checks and, with a key, hides: the same walk, so that what was checked is what is rewritten. n is
 * without padding. */
static bool walk_packet(uint8_t *p, size_t n, const struct sipkey *key)
{
    switch (p[1]) {
    case RTCP_SDES:
        return walk_sdes(p, n, key);
    case RTCP_BYE:
        return walk_bye(p, n, key);
    case RTCP_APP:
        if (n < 12)
            return false;
        if (key != NULL)
            memset(p + 12, 0, n - 12);
        return true;
    case RTCP_SR:
        return n >= 28 + 24u * (p[0] & 0x1fu);
    case RTCP_RR:
        return n >= 8 + 24u * (p[0] & 0x1fu);
    default:
        return true;
    }
}

static bool walk(uint8_t *p, size_t n, const struct sipkey *key)
{
    if (!rtcp_header_ok(p, n))
        return false;
    for (size_t at = 0; at < n;) {
        if (n - at < 4 || p[at] >> 6 != 2 || p[at + 1] < 192 || p[at + 1] > 223)
            return false;
        size_t len = 4 + 4u * be16(p + at + 2), body = len;
        if (len > n - at)
            return false;
        if ((p[at] & 0x20) != 0) {
            uint8_t pad = p[at + len - 1];
            if (at + len != n || pad == 0 || pad % 4 != 0 || pad > len - 4)
                return false;
            body = len - pad;
            if (key != NULL)
                memset(p + at + body, 0, pad - 1u);
        }
        if (!walk_packet(p + at, body, key))
            return false;
        at += len;
    }
    return true;
}

enum err rtcp_check(const uint8_t *p, size_t n)
{
    union {
        const uint8_t *in;
        uint8_t *unused;
    } u = {p}; /* without a key the walk only reads */
    return walk(u.unused, n, NULL) ? OK : ERR_SYNTAX;
}

void rtcp_hide(uint8_t *p, size_t n, const struct sipkey *key)
{
    (void)walk(p, n, key);
}
