/* The bounded writer with sticky overflow: SIP, SDP, JSON, logs. Never writes past its buffer;
 * after the first write that does not fit, full is set and everything later is ignored. */
#ifndef BASE_OUT_H
#define BASE_OUT_H
#include "base/str.h"

struct out {
    char *p;
    size_t n, cap;
    bool full;
};

static inline struct out out_of(void *buf, size_t cap) /* keeps buf */
{
    return (struct out){(char *)buf, 0, cap, false};
}
static inline struct str out_str(const struct out *o) /* what was written so far */
{
    return (struct str){o->p, o->n};
}
static inline enum err out_err(const struct out *o)
{
    return o->full ? ERR_FULL : OK;
}
void out_put(struct out *o, struct str s);
void out_ch(struct out *o, char c);
void out_u64(struct out *o, uint64_t v);
void out_i64(struct out *o, int64_t v);
void out_hex(struct out *o, const uint8_t *p, size_t n);
void out_b64(struct out *o, const uint8_t *p, size_t n);
/* printf for the cold paths; the hot ones use the typed calls. Needs one spare byte in the buffer.
 */
void out_fmt(struct out *o, const char *fmt, ...) PRINTF(2, 3);
/* JSON: a quoted, escaped string (control bytes and non-UTF-8 as \u00xx). */
void out_json_str(struct out *o, struct str s);
/* JSON objects without a tree: out_json_key writes the comma where needed (it looks at the last
 * byte written), the key and the colon. */
void out_json_key(struct out *o, struct str key);
void out_json_kstr(struct out *o, struct str key, struct str v);
void out_json_ku64(struct out *o, struct str key, uint64_t v);
void out_json_ki64(struct out *o, struct str key, int64_t v);
void out_json_kbool(struct out *o, struct str key, bool v);
#define OUT_LIT(o, lit) out_put((o), STR(lit))
#endif
