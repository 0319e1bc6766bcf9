/* Byte strings by value, spans into a buffer, and all slicing. Bytes, not text: no terminator is
 * assumed and NUL is a byte like others. Nothing here allocates. */
#ifndef BASE_STR_H
#define BASE_STR_H
#include "base/cc.h"
#include "base/err.h"
#include <string.h>

struct str {
    const char *p;
    size_t n;
};
#define STR(lit)   ((struct str){"" lit, sizeof(lit) - 1})
#define STR_NONE   ((struct str){NULL, 0})
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p

/* What parsers store: an offset and length into the message, at most 65535 each. len 0 = absent
 * unless the parser says otherwise. */
struct span {
    uint16_t off, len;
};
#define SPAN_NONE ((struct span){0, 0})

static inline struct str str_of(const char *p, size_t n)
{
    return (struct str){p, n};
}
struct str str_c(const char *cstring); /* borrows; NULL gives STR_NONE */
/* The bytes of sp inside whole. Traps if sp lies outside. */
static inline struct str span_str(struct str whole, struct span sp)
{
    CHECK((size_t)sp.off + sp.len <= whole.n);
    return (struct str){whole.p + sp.off, sp.len};
}
/* part must lie inside whole and whole.n <= 65535; traps otherwise. STR_NONE gives SPAN_NONE. */
struct span str_span(struct str whole, struct str part);

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool str_ieq(struct str a, struct str b); /* ASCII letters without case */
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
int str_cmp(struct str a, struct str b);            /* memcmp order, shorter first */
size_t str_find(struct str s, char c);              /* index, or s.n when absent */
size_t str_rfind(struct str s, char c);             /* index of the last, or s.n */
size_t str_search(struct str s, struct str needle); /* index, or s.n when absent */
struct str str_skip(struct str s, size_t n);        /* without the first n bytes (all, if fewer) */
struct str str_head(struct str s, size_t n);        /* the first n bytes (all, if fewer) */
struct str str_trim(struct str s);                  /* without SP, HT, CR, LF at both ends */
/* Cuts at the first c: ret_left before it, the result after it. Without c: all left, rest empty. */
struct str str_cut(struct str s, char c, struct str *ret_left);

/* Decimal only, the whole string, no sign; ERR_SYNTAX if empty or not digits, ERR_RANGE above max.
 */
MUST_CHECK enum err str_u64(struct str s, uint64_t max, uint64_t *ret_v);
MUST_CHECK enum err str_u32(struct str s, uint32_t max, uint32_t *ret_v);

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline bool ascii_digit(char c)
{
    return c >= '0' && c <= '9';
}
int hex_nibble(char c); /* 0-15, or -1 */

/* Hex: two lower-case digits a byte. hex_decode: n digits must be exactly 2 * len. */
void hex_encode(const uint8_t *in, size_t n, char *ret_text);
MUST_CHECK enum err hex_decode(struct str in, uint8_t *ret_bytes, size_t len);
/* RFC 4648 section 4 with padding; ret_n bytes written; ERR_LIMIT if over cap, ERR_SYNTAX. Base64
 * output takes 4 * ((n + 2) / 3) bytes, no terminator; returns that. */
size_t base64_encode(const uint8_t *in, size_t n, char *ret_text);
MUST_CHECK enum err base64_decode(struct str in, uint8_t *ret_bytes, size_t cap, size_t *ret_n);
/* RFC 4648 section 5 without padding, as JOSE writes it. Both decoders refuse leftover bits that
 * are not zero. */
size_t base64url_encode(const uint8_t *in, size_t n, char *ret_text);
MUST_CHECK enum err base64url_decode(struct str in, uint8_t *ret_bytes, size_t cap, size_t *ret_n);

/* Constant time in the bytes (not in the lengths): for tags, digests, tokens. */
bool mem_equal_ct(const void *a, const void *b, size_t n);
/* Wipes so that the compiler keeps it. */
void mem_wipe(void *p, size_t n);
#endif
