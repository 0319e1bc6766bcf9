/* Bodies of several parts (RFC 2046 section 5.1) with SIP's line ends. */
#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

#define PARTS_MAX       16
#define DEPTH_MAX       3
#define BOUNDARY_MAX    70
#define PART_FIELDS_MAX 16

struct search {
    struct str want; /* "type/subtype" */
    unsigned parts;  /* seen so far, over all levels */
};

static bool type_is(const struct sip_media_type *t, struct str want)
{
    struct str type;
    struct str subtype = str_cut(want, '/', &type);
    return str_ieq(t->type, type) && str_ieq(t->subtype, subtype);
}

/* The delimiter "--" boundary at a line's start, from p on: its start, or NULL. ret_behind is
 * behind the boundary's text. */
static const char *delimiter(const char *p, struct str body, struct str boundary,
                             const char **ret_behind)
{
    const char *end = str_end(body);
    for (; (size_t)(end - p) >= boundary.n + 2; p++) {
        p = memchr(p, '-', (size_t)(end - p) - boundary.n - 1);
        if (!p)
            return NULL;
        bool line = p == body.p || (p - body.p >= 2 && p[-1] == '\n' && p[-2] == '\r');
        const char *q = p + 2 + boundary.n;
        bool ends = q == end || is(*q, C_LWS) || (end - q >= 2 && q[0] == '-' && q[1] == '-');
        if (line && ends && p[1] == '-' && memcmp(p + 2, boundary.p, boundary.n) == 0) {
            *ret_behind = q;
            return p;
        }
    }
    return NULL;
}

/* Header fields of a part: its type (text/plain if absent, RFC 2045 5.2) and where its body is. */
static enum err part_head(struct str part, struct str *ret_type, bool *ret_plain,
                          struct str *ret_body)
{
    const char *p = part.p, *end = str_end(part);
    *ret_type = STR("text/plain");
    *ret_plain = true;
    for (unsigned n = 0; n <= PART_FIELDS_MAX; n++) {
        struct sip_line line;
        enum reason why;
        enum sip_line_kind kind = sip_line_next(p, end, &line, &why);
        if (kind == LINE_EMPTY) {
            *ret_body = str_between(line.next, end);
            return OK;
        }
        if (kind != LINE_FIELD)
            return ERR_SYNTAX;
        if (line.id == HDR_CONTENT_TYPE && line.name.n > 1)
            *ret_type = line.value;
        else if (str_ieq(line.name, STR("Content-Transfer-Encoding")))
            *ret_plain = str_ieq(line.value, STR("binary")) || str_ieq(line.value, STR("8bit")) ||
                         str_ieq(line.value, STR("7bit"));
        p = line.next;
    }
    return ERR_LIMIT;
}

static enum err boundary_of(const struct sip_media_type *t, struct str *ret_boundary)
{
    if (!sip_param(t->params, STR("boundary"), ret_boundary))
        return ERR_SYNTAX;
    struct str b = *ret_boundary;
    if (b.n == 0 || b.n > BOUNDARY_MAX || str_find(b, '\\') < b.n)
        return ERR_SYNTAX;
    return OK;
}

/* One step into a multipart: the part between two delimiters. ERR_NOT_FOUND behind the last. */
static enum err next_part(struct str body, struct str boundary, const char **at,
                          struct str *ret_part)
{
    const char *end = str_end(body), *p = *at, *behind = NULL;
    if (end - p >= 2 && p[0] == '-' && p[1] == '-')
        return ERR_NOT_FOUND;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
        return ERR_SYNTAX;
    p += 2;
    const char *stop = delimiter(p, body, boundary, &behind);
    if (!stop)
        return ERR_SYNTAX;
    /* the CRLF before a delimiter belongs to the delimiter */
    *ret_part = str_between(p, stop - p >= 2 ? stop - 2 : p);
    *at = behind;
    return OK;
}

/* Looks through one body; what it finds that is itself a multipart goes to ret_inner. */
static enum err look(struct search *s, struct str body, struct str boundary, struct str *ret_part,
                     struct str *ret_inner, struct str *ret_inner_boundary)
{
    const char *at;
    struct str part, type, inside;
    struct sip_media_type t;
    bool plain;
    if (!delimiter(body.p, body, boundary, &at))
        return ERR_SYNTAX;
    for (;;) {
        enum err e = next_part(body, boundary, &at, &part);
        if (e == OK && ++s->parts > PARTS_MAX)
            e = ERR_LIMIT;
        if (e == OK)
            e = part_head(part, &type, &plain, &inside);
        if (e == OK)
            e = sip_media_type_parse(type, &t);
        if (e != OK)
            return e;
        if (type_is(&t, s->want)) {
            *ret_part = inside;
            return plain ? OK : ERR_UNSUPPORTED;
        }
        if (str_ieq(t.type, STR("multipart")) && ret_inner->p == NULL) {
            *ret_inner = inside;
            e = boundary_of(&t, ret_inner_boundary);
            if (e != OK)
                return e;
        }
    }
}

enum err sip_body_find(const struct sip_msg *m, struct str type_subtype, struct str *ret_part)
{
    struct search s = {.want = type_subtype};
    struct sip_media_type t;
    struct str body = sip_text(m, m->body), boundary = STR_NONE, part = STR_NONE;
    if (!sip_has(m, HDR_CONTENT_TYPE) || body.n == 0)
        return ERR_NOT_FOUND;
    enum err e = sip_media_type_parse(sip_get(m, HDR_CONTENT_TYPE), &t);
    if (e != OK)
        return e;
    if (type_is(&t, type_subtype)) {
        *ret_part = body;
        return OK;
    }
    if (!str_ieq(t.type, STR("multipart")))
        return ERR_NOT_FOUND;
    e = boundary_of(&t, &boundary);
    for (unsigned depth = 0; e == OK; depth++) {
        struct str inner = STR_NONE, inner_boundary = STR_NONE;
        if (depth == DEPTH_MAX)
            return ERR_LIMIT;
        e = look(&s, body, boundary, &part, &inner, &inner_boundary);
        if (e == OK)
            *ret_part = part;
        if (e != ERR_NOT_FOUND || inner.p == NULL)
            return e;
        body = inner;
        boundary = inner_boundary;
        e = OK;
    }
    return e;
}
