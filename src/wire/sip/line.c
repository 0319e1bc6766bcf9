#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

#define NAME_MAX_BYTES 128

/* A control byte is legal only as quoted-pair inside a quoted string (RFC 3261 25.1). The walk goes
 * on where it stopped, so that a line full of them costs no more than its length. */
struct quote_walk {
    const char *p;
    bool quoted;
};
static bool in_quoted_pair(struct quote_walk *w, const char *at)
{
    while (w->p < at) {
        char c = *w->p++;
        if (c == '"')
            w->quoted = !w->quoted;
        else if (c == '\\' && w->quoted && w->p++ == at)
            return true;
    }
    return false;
}

/* The CR of the CRLF that ends the field that starts at p; folds are part of it. */
static const char *field_end(const char *p, const char *end, enum sip_line_kind *ret_kind,
                             enum reason *reterr)
{
    struct quote_walk walk = {p, false};
    const char *q = p;
    for (;; q++) {
        q = scan_control(q, end);
        if (q == end) {
            *ret_kind = LINE_OPEN;
            return end;
        }
        if (*q == '\t')
            continue;
        if (*q == '\r' && end - q >= 2 && q[1] == '\n') {
            if (end - q >= 3 && UNLIKELY(q[2] == ' ' || q[2] == '\t')) {
                q += 2;
                continue;
            }
            *ret_kind = LINE_FIELD;
            return q;
        }
        if (*q == '\r' && q + 1 == end) {
            *ret_kind = LINE_OPEN;
            return end;
        }
        if (*q != '\r' && *q != '\n' && in_quoted_pair(&walk, q))
            continue;
        bool smuggles = *q == '\r' || *q == '\n' || *q == '\0';
        *reterr = smuggles ? REASON_sip_header_smuggling : REASON_sip_header_syntax;
        *ret_kind = LINE_BAD;
        return q;
    }
}

/* header-name HCOLON; HCOLON = *( SP / HTAB ) ":" SWS. White space before the colon is legal, a
 * fold or white space inside the name is how two parsers are made to see two different fields. */
static enum sip_line_kind split(const char *p, const char *stop, const char *end,
                                struct sip_line *ret, enum reason *reterr)
{
    const char *colon = scan_char(p, stop, ':');
    const char *name_end = colon;
    while (name_end > p && (name_end[-1] == ' ' || name_end[-1] == '\t'))
        name_end--;
    size_t n = (size_t)(name_end - p);
    ret->name = str_of(p, n);
    ret->id = sip_hdr_find(p, n, (size_t)(end - p));
    if (ret->id == HDR_OTHER || UNLIKELY(colon == stop)) {
        const char *bad = run(p, name_end, C_TOKEN);
        bool white = bad < name_end && is(*bad, C_LWS) && colon < stop;
        *reterr = white ? REASON_sip_header_smuggling : REASON_sip_header_syntax;
        if (n > NAME_MAX_BYTES && bad == name_end)
            *reterr = REASON_sip_header_limit;
        ret->next = bad;
        if (colon == stop || n == 0 || bad < name_end || n > NAME_MAX_BYTES)
            return LINE_BAD;
    }
    const char *value = skip_lws(colon + 1, stop);
    ret->value = str_between(value, trim_lws(value, stop));
    ret->next = stop + 2;
    return LINE_FIELD;
}

enum sip_line_kind sip_line_next(const char *p, const char *end, struct sip_line *ret,
                                 enum reason *reterr)
{
    enum sip_line_kind kind;
    ret->name = str_of(p, 0);
    if (end - p >= 2 && p[0] == '\r' && p[1] == '\n') {
        ret->next = p + 2;
        return LINE_EMPTY;
    }
    const char *stop = field_end(p, end, &kind, reterr);
    if (kind != LINE_FIELD) {
        ret->next = stop;
        return kind;
    }
    if (UNLIKELY(stop - p > (ptrdiff_t)SIP_HEADER_LINE_MAX)) {
        *reterr = REASON_sip_header_limit;
        ret->next = p;
        return LINE_BAD;
    }
    if (UNLIKELY(*p == ' ' || *p == '\t')) { /* a fold with nothing before it */
        *reterr = REASON_sip_header_smuggling;
        ret->next = p;
        return LINE_BAD;
    }
    return split(p, stop, end, ret, reterr);
}

bool sip_content_length(struct str value, uint32_t *ret_v)
{
    uint64_t v;
    if (!digits(value.p, str_end(value), UINT32_MAX - 1, &v))
        return false;
    *ret_v = (uint32_t)v;
    return true;
}
