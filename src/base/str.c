#include "base/str.h"

struct str str_c(const char *cstring)
{
    return cstring ? str_of(cstring, strlen(cstring)) : STR_NONE;
}

struct span str_span(struct str whole, struct str part)
{
    if (!part.p && part.n == 0)
        return SPAN_NONE;
    /* As numbers: comparing pointers into different objects is undefined, and that is the case
     * this has to catch. */
    uintptr_t w = (uintptr_t)whole.p, p = (uintptr_t)part.p;
    CHECK(whole.n <= UINT16_MAX && p >= w && p - w <= whole.n && part.n <= whole.n - (p - w));
    return (struct span){(uint16_t)(p - w), (uint16_t)part.n};
}

bool str_ieq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    }
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_head(s, prefix.n), prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_ieq(str_head(s, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_skip(s, s.n - suffix.n), suffix);
}

int str_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int d = n ? memcmp(a.p, b.p, n) : 0;
    if (d)
        return d < 0 ? -1 : 1;
    return (a.n > b.n) - (a.n < b.n);
}

size_t str_find(struct str s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_rfind(struct str s, char c)
{
    const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_search(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    const char *hit = s.n >= needle.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

struct str str_skip(struct str s, size_t n)
{
    n = MIN(n, s.n);
    return n ? str_of(s.p + n, s.n - n) : s;
}

struct str str_head(struct str s, size_t n)
{
    return str_of(s.p, MIN(n, s.n));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n && is_blank(s.p[0]))
        s = str_skip(s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct str str_cut(struct str s, char c, struct str *ret_left)
{
    size_t at = str_find(s, c);
    *ret_left = str_head(s, at);
    return str_skip(s, at < s.n ? at + 1 : at);
}

enum err str_u64(struct str s, uint64_t max, uint64_t *ret_v)
{
    uint64_t v = 0;
    bool over = false;
    if (s.n == 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_digit(s.p[i]))
            return ERR_SYNTAX;
        over |= __builtin_mul_overflow(v, 10u, &v);
        over |= __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v);
    }
    if (over || v > max)
        return ERR_RANGE;
    *ret_v = v;
    return OK;
}

enum err str_u32(struct str s, uint32_t max, uint32_t *ret_v)
{
    uint64_t v;
    enum err e = str_u64(s, max, &v);
    if (e == OK)
        *ret_v = (uint32_t)v;
    return e;
}

int hex_nibble(char c)
{
    if (ascii_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void hex_encode(const uint8_t *in, size_t n, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        ret_text[2 * i] = digits[in[i] >> 4];
        ret_text[2 * i + 1] = digits[in[i] & 15];
    }
}

enum err hex_decode(struct str in, uint8_t *ret_bytes, size_t len)
{
    if (in.n % 2 || in.n / 2 != len)
        return ERR_SYNTAX;
    for (size_t i = 0; i < in.n; i++) {
        if (hex_nibble(in.p[i]) < 0)
            return ERR_SYNTAX;
    }
    for (size_t i = 0; i < len; i++)
        ret_bytes[i] = (uint8_t)(hex_nibble(in.p[2 * i]) << 4 | hex_nibble(in.p[2 * i + 1]));
    return OK;
}

static const char B64_STD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char B64_URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Writes the digits only; the caller adds padding. */
static size_t b64_digits(const char *abc, const uint8_t *in, size_t n, char *ret_text)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = MIN(n - i, (size_t)3);
        uint32_t v = (uint32_t)in[i] << 16;
        v |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)in[i + 2] : 0;
        for (size_t d = 0; d <= left; d++)
            ret_text[at++] = abc[v >> (18 - 6 * d) & 63];
    }
    return at;
}

size_t base64_encode(const uint8_t *in, size_t n, char *ret_text)
{
    size_t at = b64_digits(B64_STD, in, n, ret_text);
    while (at % 4)
        ret_text[at++] = '=';
    return at;
}

size_t base64url_encode(const uint8_t *in, size_t n, char *ret_text)
{
    return b64_digits(B64_URL, in, n, ret_text);
}

/* Value of a digit, or -1; the last two digits are all in which the alphabets differ. */
static int b64_value(const char *abc, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_digit(c))
        return c - '0' + 52;
    if (c == abc[62])
        return 62;
    return c == abc[63] ? 63 : -1;
}

/* in without padding. Leftover bits must be zero: otherwise one value has many spellings, and
 * whoever compares the texts is fooled. */
static enum err b64_bytes(const char *abc, struct str in, uint8_t *ret_bytes, size_t cap,
                          size_t *ret_n)
{
    size_t n = in.n / 4 * 3 + (in.n % 4 ? in.n % 4 - 1 : 0);
    if (in.n % 4 == 1)
        return ERR_SYNTAX;
    uint32_t bits = 0;
    for (size_t i = 0; i < in.n; i++) {
        int v = b64_value(abc, in.p[i]);
        if (v < 0)
            return ERR_SYNTAX;
        bits = (uint32_t)v;
    }
    if ((in.n % 4 == 2 && (bits & 15)) || (in.n % 4 == 3 && (bits & 3)))
        return ERR_SYNTAX;
    if (n > cap)
        return ERR_LIMIT;
    size_t at = 0;
    bits = 0;
    for (size_t i = 0; i < in.n; i++) {
        bits = bits << 6 | (uint32_t)b64_value(abc, in.p[i]);
        if (i % 4)
            ret_bytes[at++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    *ret_n = at;
    return OK;
}

enum err base64_decode(struct str in, uint8_t *ret_bytes, size_t cap, size_t *ret_n)
{
    if (in.n % 4)
        return ERR_SYNTAX;
    for (int i = 0; i < 2 && in.n && in.p[in.n - 1] == '='; i++)
        in.n--;
    return b64_bytes(B64_STD, in, ret_bytes, cap, ret_n);
}

enum err base64url_decode(struct str in, uint8_t *ret_bytes, size_t cap, size_t *ret_n)
{
    return b64_bytes(B64_URL, in, ret_bytes, cap, ret_n);
}

bool mem_equal_ct(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t diff = 0;
    for (size_t i = 0; i < n; i++)
        diff = (uint8_t)(diff | (x[i] ^ y[i]));
    return diff == 0;
}

void mem_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}
