/* The one pass over a message: start line, then each field once. An error is noted and, where the
 * structure of lines is still beyond doubt, reading goes on, so that a refusal can be answered. */
#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

#define METHOD_MAX 64

struct parse {
    struct sip_msg *m;
    struct sip_error *e;
    const char *base, *end;
    struct str cseq_method;
    unsigned vias, contacts;
};

/* The first error stays, except that smuggling is worse than any other. */
COLD static void fail(struct parse *s, enum reason r, const char *at)
{
    if (s->e->reason != REASON_NONE && r != REASON_sip_header_smuggling)
        return;
    s->e->reason = r;
    s->e->at = (uint16_t)MIN(at - s->base, (ptrdiff_t)UINT16_MAX);
}

/* SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT. False if it is none; *ret_two if it is 2.0. */
static bool version_scan(struct str s, bool *ret_two)
{
    const char *end = str_end(s);
    if (!str_istarts(s, STR("SIP/")))
        return false;
    const char *dot = run(s.p + 4, end, C_DIGIT);
    *ret_two = s.n == 7 && s.p[4] == '2' && s.p[6] == '0';
    return dot > s.p + 4 && dot < end - 1 && *dot == '.' && run(dot + 1, end, C_DIGIT) == end;
}

/* Status-Line = SIP-Version SP Status-Code SP Reason-Phrase */
static void status_line(struct parse *s, const char *p, const char *stop)
{
    bool two;
    struct str version;
    struct str rest = str_cut(str_between(p, stop), ' ', &version);
    uint64_t code = 0;
    if (!version_scan(version, &two)) {
        fail(s, REASON_sip_start_line, p);
        return;
    }
    if (!two)
        fail(s, REASON_sip_version, p);
    bool good = rest.n >= 4 && rest.p[3] == ' ' && digits(rest.p, rest.p + 3, 699, &code);
    if (!good || code < 100) {
        fail(s, REASON_sip_start_line, rest.n > 0 ? rest.p : stop);
        return;
    }
    s->m->code = (uint16_t)code;
    s->m->reason = span_at(s->base, str_skip(rest, 4));
}

static void request_uri(struct parse *s, struct str uri)
{
    struct sip_uri u;
    enum err e = sip_uri_parse(uri, &u);
    s->m->uri = span_at(s->base, uri);
    if (e == ERR_LIMIT)
        fail(s, REASON_sip_uri_too_long, uri.p);
    else if (e != OK || u.headers.p != NULL) /* RFC 3261 19.1.1: no headers in a Request-URI */
        fail(s, REASON_sip_uri_syntax, uri.p);
}

/* Something that was meant to be a SIP request, or bytes of another protocol? */
static bool meant_sip(const struct parse *s, struct str line)
{
    return s->m->method != SIP_OTHER || str_search(line, STR("SIP/")) < line.n;
}

/* Request-Line = Method SP Request-URI SP SIP-Version, with exactly one SP (RFC 3261 7.1). */
static void request_line(struct parse *s, const char *p, const char *stop)
{
    bool two = false;
    const char *method_end = run(p, stop, C_TOKEN);
    struct str method = str_between(p, method_end);
    if (method.n == 0 || method_end == stop || *method_end != ' ') {
        fail(s, REASON_sip_not_sip, p);
        return;
    }
    s->m->is_request = true;
    s->m->method = sip_method_id(method);
    s->m->method_text = span_at(s->base, method);
    const char *uri = method_end + 1;
    const char *uri_end = scan_char(uri, stop, ' ');
    struct str version = uri_end < stop ? str_between(uri_end + 1, stop) : STR_NONE;
    if (uri_end == uri || !version_scan(version, &two)) {
        bool sip = meant_sip(s, str_between(p, stop));
        s->m->is_request = sip;
        fail(s, sip ? REASON_sip_start_line : REASON_sip_not_sip, uri_end);
        return;
    }
    if (!two)
        fail(s, REASON_sip_version, version.p);
    if (method.n > METHOD_MAX)
        fail(s, REASON_sip_start_line, p);
    request_uri(s, str_between(uri, uri_end));
}

/* Behind the start line, or NULL if there can be no header fields to read. */
static const char *start_line(struct parse *s, const char *p)
{
    const char *stop = p;
    do
        stop = scan_control(stop, s->end);
    while (stop < s->end && *stop == '\t' && stop++);
    if (s->end - stop < 2 || stop[0] != '\r' || stop[1] != '\n') {
        s->m->method = sip_method_id(str_between(p, run(p, stop, C_TOKEN)));
        bool sip = meant_sip(s, str_between(p, stop)) && stop < s->end;
        s->m->method = SIP_OTHER;
        fail(s, sip ? REASON_sip_header_smuggling : REASON_sip_not_sip, stop);
        return NULL;
    }
    if (stop - p > (ptrdiff_t)SIP_HEADER_LINE_MAX) {
        fail(s, REASON_sip_start_line, p);
        return NULL;
    }
    if (stop - p > 4 && (p[3] == '/' || p[4] == '/') &&
        str_istarts(str_between(p, stop), STR("SIP/")))
        status_line(s, p, stop);
    else
        request_line(s, p, stop);
    return s->e->reason == REASON_sip_not_sip ? NULL : stop + 2;
}

/* RFC 3261 8.1.1.7: the cookie alone identifies nothing. */
static bool branch_usable(struct str branch)
{
    return !(branch.n == 7 && str_istarts(branch, STR("z9hG4bK")));
}

static void via_field(struct parse *s, struct str value)
{
    const char *p = value.p, *end = str_end(value);
    struct sip_via v;
    for (;; p++) {
        const char *at = p;
        p = sip_via_scan(p, end, &v);
        if (s->vias == 0) {
            s->m->via_branch = span_at(s->base, v.branch);
            s->m->via_host = span_at(s->base, v.host);
            s->m->via_transport = span_at(s->base, v.transport);
            s->m->via_port = v.port;
            s->m->via_rport = v.rport;
        }
        if (!p || !branch_usable(v.branch)) {
            fail(s, REASON_sip_header_syntax, at);
            return;
        }
        if (++s->vias > SIP_VIAS_MAX)
            fail(s, REASON_sip_header_limit, at);
        if (p == end)
            return;
    }
}

static void party_field(struct parse *s, struct str value, struct span *uri, struct span *tag)
{
    struct sip_na n;
    const char *end = str_end(value);
    if (value.n == 0 || sip_na_scan(value.p, end, &n) != end || n.a.star) {
        fail(s, REASON_sip_header_syntax, value.p);
        return;
    }
    *uri = span_at(s->base, n.a.uri);
    *tag = span_at(s->base, n.tag);
}

/* Contact = ( STAR / ( contact-param *( COMMA contact-param ) ) ) */
static void contact_field(struct parse *s, struct str value)
{
    const char *p = value.p, *end = str_end(value);
    struct sip_na n;
    for (;; p++) {
        const char *at = p;
        p = sip_na_scan(p, end, &n);
        if (!p || (n.a.star && s->contacts > 0)) {
            fail(s, REASON_sip_header_syntax, at);
            return;
        }
        if (++s->contacts > SIP_CONTACTS_MAX)
            fail(s, REASON_sip_header_limit, at);
        if (p == end)
            return;
    }
}

/* CSeq = 1*DIGIT LWS Method, below 2**31 (RFC 3261 8.1.1.5) */
static void cseq_field(struct parse *s, struct str value)
{
    const char *end = str_end(value);
    const char *q = run(value.p, end, C_DIGIT);
    const char *method = skip_lws(q, end);
    uint64_t n = 0;
    s->cseq_method = str_between(method, end);
    if (method == q || method == end || run(method, end, C_TOKEN) != end ||
        !digits(value.p, q, INT32_MAX, &n)) {
        fail(s, REASON_sip_header_syntax, value.p);
        return;
    }
    s->m->cseq = (uint32_t)n;
}

static void call_id_field(struct parse *s, struct str value)
{
    const char *end = str_end(value);
    if (value.n == 0 || run(value.p, end, C_CALLID) != end)
        fail(s, REASON_sip_header_syntax, value.p);
    s->m->call_id = span_at(s->base, value);
}

static void max_forwards_field(struct parse *s, struct str value)
{
    uint64_t n = 0;
    if (!digits(value.p, str_end(value), 255, &n))
        fail(s, REASON_sip_header_syntax, value.p);
    s->m->max_forwards = (uint8_t)n;
}

static void content_length_field(struct parse *s, struct str value)
{
    if (!sip_content_length(value, &s->m->content_length))
        fail(s, REASON_sip_content_length, value.p);
}

/* Fields that are parsed at once; all others wait until somebody asks. */
static void known_field(struct parse *s, enum sip_hdr id, struct str value)
{
    struct sip_msg *m = s->m;
    if (id == HDR_VIA)
        via_field(s, value);
    else if (id == HDR_FROM)
        party_field(s, value, &m->from_uri, &m->from_tag);
    else if (id == HDR_TO)
        party_field(s, value, &m->to_uri, &m->to_tag);
    else if (id == HDR_CALL_ID)
        call_id_field(s, value);
    else if (id == HDR_CSEQ)
        cseq_field(s, value);
    else if (id == HDR_MAX_FORWARDS)
        max_forwards_field(s, value);
    else if (id == HDR_CONTACT)
        contact_field(s, value);
    else if (id == HDR_CONTENT_LENGTH)
        content_length_field(s, value);
    else if (id == HDR_DATE && !sip_date_valid(value))
        fail(s, REASON_sip_header_syntax, value.p);
}

static void field(struct parse *s, const struct sip_line *line)
{
    struct sip_msg *m = s->m;
    struct sip_field *f = &m->fields[m->n_fields++];
    f->id = (uint8_t)line->id;
    f->name = span_at(s->base, line->name);
    f->value = span_at(s->base, line->value);
    if (m->first[line->id] == 0) {
        m->first[line->id] = (uint8_t)m->n_fields;
    } else if (sip_hdr_flags[line->id] & HDR_SINGLE) {
        fail(s, REASON_sip_header_duplicate, line->name.p);
        return;
    }
    known_field(s, line->id, line->value);
}

/* The fields from p on; the start of the body, or NULL if the headers do not end. */
static const char *fields(struct parse *s, const char *p)
{
    for (;;) {
        struct sip_line line;
        enum reason why = REASON_NONE;
        enum sip_line_kind kind = sip_line_next(p, s->end, &line, &why);
        if (kind == LINE_EMPTY)
            return line.next;
        if (kind == LINE_OPEN)
            fail(s, REASON_sip_header_syntax, s->end);
        else if (kind == LINE_BAD)
            fail(s, why, line.next);
        else if (s->m->n_fields == SIP_HEADERS_MAX)
            fail(s, REASON_sip_header_limit, p);
        if (kind != LINE_FIELD || s->m->n_fields == SIP_HEADERS_MAX)
            return NULL;
        field(s, &line);
        p = line.next;
    }
}

/* Rules over the whole message: what is missing, what disagrees, where the body ends. */
static void whole(struct parse *s, bool stream, const char *body)
{
    struct sip_msg *m = s->m;
    static const uint8_t needed[] = {HDR_VIA, HDR_FROM, HDR_TO, HDR_CALL_ID, HDR_CSEQ};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (UNLIKELY(m->first[needed[i]] == 0))
            fail(s, REASON_sip_header_missing, body);
    if (!m->is_request)
        m->method = sip_method_id(s->cseq_method);
    else if (s->cseq_method.p && !str_eq(s->cseq_method, sip_text(m, m->method_text)))
        fail(s, m->method == SIP_OTHER ? REASON_sip_method_unknown : REASON_sip_method_mismatch,
             s->cseq_method.p);
    size_t left = (size_t)(s->end - body);
    if (m->content_length == UINT32_MAX) {
        if (stream)
            fail(s, REASON_sip_header_missing, body);
    } else if (m->content_length > left || (stream && m->content_length != left)) {
        fail(s, REASON_sip_content_length, body);
    } else {
        left = m->content_length;
    }
    m->body = span_at(s->base, str_of(body, left));
}

static void clear(struct sip_msg *m, struct str bytes)
{
    m->bytes = bytes;
    m->is_request = false;
    m->method = SIP_OTHER;
    m->method_text = m->uri = m->reason = m->body = SPAN_NONE;
    m->code = m->n_fields = m->via_port = 0;
    memset(m->first, 0, sizeof(m->first));
    m->via_branch = m->via_host = m->via_transport = SPAN_NONE;
    m->from_uri = m->from_tag = m->to_uri = m->to_tag = m->call_id = SPAN_NONE;
    m->via_rport = false;
    m->cseq = 0;
    m->max_forwards = 255;
    m->content_length = UINT32_MAX;
}

static bool answerable(const struct parse *s)
{
    const struct sip_msg *m = s->m;
    return m->is_request && m->method != SIP_ACK && m->via_host.len > 0 && m->first[HDR_FROM] &&
           m->first[HDR_TO] && m->first[HDR_CALL_ID] && m->first[HDR_CSEQ];
}

COLD static enum err refused(struct parse *s)
{
    s->e->answerable = answerable(s);
    switch ((unsigned)s->e->reason) {
    case REASON_sip_too_large:
    case REASON_sip_header_limit:
    case REASON_sip_uri_too_long:
        return ERR_LIMIT;
    case REASON_sip_version:
        return ERR_UNSUPPORTED;
    default:
        return ERR_SYNTAX;
    }
}

/* Keep-alives of phones: line ends, NULs, or nothing at all. */
static const char *skip_idle(const char *p, const char *end)
{
    while (p < end && (*p == '\r' || *p == '\n'))
        p++;
    if (end - p <= 4)
        while (p < end && *p == '\0')
            p++;
    return p;
}

enum err sip_parse(struct str bytes, bool stream, struct sip_msg *ret_m, struct sip_error *reterr)
{
    struct parse s = {.m = ret_m, .e = reterr, .base = bytes.p, .end = str_end(bytes)};
    *reterr = (struct sip_error){REASON_NONE, 0, false};
    clear(ret_m, bytes);
    if (bytes.n > SIP_MSG_MAX) {
        fail(&s, REASON_sip_too_large, bytes.p);
        return refused(&s);
    }
    const char *p = skip_idle(bytes.p, s.end);
    if (p == s.end)
        fail(&s, REASON_sip_empty, p);
    const char *body = NULL;
    if (p < s.end)
        p = start_line(&s, p);
    if (p && p < s.end)
        body = fields(&s, p);
    else if (p && s.e->reason == REASON_NONE)
        fail(&s, REASON_sip_header_syntax, p);
    if (body)
        whole(&s, stream, body);
    return LIKELY(s.e->reason == REASON_NONE) ? OK : refused(&s);
}
