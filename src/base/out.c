#include "base/out.h"
#include <stdarg.h>
#include <stdio.h>

void out_put(struct out *o, struct str s)
{
    if (o->full || s.n > o->cap - o->n) {
        o->full = true;
        return;
    }
    if (s.n)
        memcpy(o->p + o->n, s.p, s.n);
    o->n += s.n;
}

void out_ch(struct out *o, char c)
{
    if (o->full || o->n == o->cap)
        o->full = true;
    else
        o->p[o->n++] = c;
}

void out_u64(struct out *o, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    out_put(o, str_of(text + at, sizeof text - at));
}

void out_i64(struct out *o, int64_t v)
{
    /* Sign and digits as one write, so that a full buffer never ends in a lone minus. */
    char text[21];
    struct out t = out_of(text, sizeof text);
    if (v < 0)
        out_ch(&t, '-');
    out_u64(&t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    out_put(o, out_str(&t));
}

void out_hex(struct out *o, const uint8_t *p, size_t n)
{
    if (o->full || n > (o->cap - o->n) / 2) {
        o->full = true;
        return;
    }
    hex_encode(p, n, o->p + o->n);
    o->n += 2 * n;
}

void out_b64(struct out *o, const uint8_t *p, size_t n)
{
    if (o->full || (n + 2) / 3 > (o->cap - o->n) / 4) {
        o->full = true;
        return;
    }
    o->n += base64_encode(p, n, o->p + o->n);
}

void out_fmt(struct out *o, const char *fmt, ...)
{
    va_list args;
    if (o->full)
        return;
    size_t room = o->cap - o->n;
    va_start(args, fmt);
    int n = vsnprintf(room ? o->p + o->n : NULL, room, fmt, args);
    va_end(args);
    /* vsnprintf wants a byte for its terminator; a text that would fit without one counts as full
     * too, which costs one byte and saves a copy. */
    if (n < 0 || (size_t)n >= room)
        o->full = true;
    else
        o->n += (size_t)n;
}

/* Length of the well-formed UTF-8 sequence at s (RFC 3629 section 4), 0 if there is none. */
static size_t utf8_len(struct str s)
{
    const uint8_t *b = (const uint8_t *)s.p;
    size_t n = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    if (n == 0 || b[0] > 0xf4 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xf0 && b[1] < 0x90);
    bool outside = (b[0] == 0xed && b[1] > 0x9f) || (b[0] == 0xf4 && b[1] > 0x8f);
    return overlong || outside ? 0 : n;
}

static void json_escape(struct out *o, uint8_t c)
{
    if (c == '"' || c == '\\') {
        out_ch(o, '\\');
        out_ch(o, (char)c);
        return;
    }
    OUT_LIT(o, "\\u00");
    out_hex(o, &c, 1);
}

void out_json_str(struct out *o, struct str s)
{
    out_ch(o, '"');
    while (s.n && !o->full) {
        uint8_t c = (uint8_t)s.p[0];
        size_t n = c < 0x20 || c == 0x7f || c == '"' || c == '\\' ? 0 : utf8_len(s);
        if (n)
            out_put(o, str_head(s, n));
        else
            json_escape(o, c);
        s = str_skip(s, n ? n : 1);
    }
    out_ch(o, '"');
}

void out_json_key(struct out *o, struct str key)
{
    char last = o->n ? o->p[o->n - 1] : '{';
    if (last != '{' && last != '[' && last != ',')
        out_ch(o, ',');
    out_json_str(o, key);
    out_ch(o, ':');
}

void out_json_kstr(struct out *o, struct str key, struct str v)
{
    out_json_key(o, key);
    out_json_str(o, v);
}

void out_json_ku64(struct out *o, struct str key, uint64_t v)
{
    out_json_key(o, key);
    out_u64(o, v);
}

void out_json_ki64(struct out *o, struct str key, int64_t v)
{
    out_json_key(o, key);
    out_i64(o, v);
}

void out_json_kbool(struct out *o, struct str key, bool v)
{
    out_json_key(o, key);
    out_put(o, v ? STR("true") : STR("false"));
}
