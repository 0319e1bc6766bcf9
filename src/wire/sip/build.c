#include "wire/sip/build.h"
#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

static const struct {
    uint16_t code;
    struct str phrase;
} phrases[] = {
    {100, {"Trying", 6}},
    {180, {"Ringing", 7}},
    {181, {"Call Is Being Forwarded", 23}},
    {182, {"Queued", 6}},
    {183, {"Session Progress", 16}},
    {199, {"Early Dialog Terminated", 23}},
    {200, {"OK", 2}},
    {202, {"Accepted", 8}},
    {204, {"No Notification", 15}},
    {300, {"Multiple Choices", 16}},
    {301, {"Moved Permanently", 17}},
    {302, {"Moved Temporarily", 17}},
    {305, {"Use Proxy", 9}},
    {380, {"Alternative Service", 19}},
    {400, {"Bad Request", 11}},
    {401, {"Unauthorized", 12}},
    {402, {"Payment Required", 16}},
    {403, {"Forbidden", 9}},
    {404, {"Not Found", 9}},
    {405, {"Method Not Allowed", 18}},
    {406, {"Not Acceptable", 14}},
    {407, {"Proxy Authentication Required", 29}},
    {408, {"Request Timeout", 15}},
    {410, {"Gone", 4}},
    {412, {"Conditional Request Failed", 26}},
    {413, {"Request Entity Too Large", 24}},
    {414, {"Request-URI Too Long", 20}},
    {415, {"Unsupported Media Type", 22}},
    {416, {"Unsupported URI Scheme", 22}},
    {417, {"Unknown Resource-Priority", 25}},
    {420, {"Bad Extension", 13}},
    {421, {"Extension Required", 18}},
    {422, {"Session Interval Too Small", 26}},
    {423, {"Interval Too Brief", 18}},
    {424, {"Bad Location Information", 24}},
    {428, {"Use Identity Header", 19}},
    {429, {"Provide Referrer Identity", 25}},
    {430, {"Flow Failed", 11}},
    {433, {"Anonymity Disallowed", 20}},
    {436, {"Bad Identity Info", 17}},
    {437, {"Unsupported Credential", 22}},
    {438, {"Invalid Identity Header", 23}},
    {439, {"First Hop Lacks Outbound Support", 32}},
    {440, {"Max-Breadth Exceeded", 20}},
    {469, {"Bad Info Package", 16}},
    {470, {"Consent Needed", 14}},
    {480, {"Temporarily Unavailable", 23}},
    {481, {"Call/Transaction Does Not Exist", 31}},
    {482, {"Loop Detected", 13}},
    {483, {"Too Many Hops", 13}},
    {484, {"Address Incomplete", 18}},
    {485, {"Ambiguous", 9}},
    {486, {"Busy Here", 9}},
    {487, {"Request Terminated", 18}},
    {488, {"Not Acceptable Here", 19}},
    {489, {"Bad Event", 9}},
    {491, {"Request Pending", 15}},
    {493, {"Undecipherable", 14}},
    {494, {"Security Agreement Required", 27}},
    {500, {"Server Internal Error", 21}},
    {501, {"Not Implemented", 15}},
    {502, {"Bad Gateway", 11}},
    {503, {"Service Unavailable", 19}},
    {504, {"Server Time-out", 15}},
    {505, {"Version Not Supported", 21}},
    {513, {"Message Too Large", 17}},
    {580, {"Precondition Failure", 20}},
    {600, {"Busy Everywhere", 15}},
    {603, {"Decline", 7}},
    {604, {"Does Not Exist Anywhere", 23}},
    {606, {"Not Acceptable", 14}},
    {607, {"Unwanted", 8}},
    {608, {"Rejected", 8}},
};

struct str sip_phrase(unsigned code)
{
    static const struct str classes[] = {{"Progress", 8},        {"OK", 2},
                                         {"Redirection", 11},    {"Request Failure", 15},
                                         {"Server Failure", 14}, {"Global Failure", 14}};
    size_t low = 0, high = ARRAY_LEN(phrases);
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (phrases[mid].code == code)
            return phrases[mid].phrase;
        if (phrases[mid].code < code)
            low = mid + 1;
        else
            high = mid;
    }
    return code >= 100 && code < 700 ? classes[code / 100 - 1] : STR("Unknown");
}

/* True if s can stand inside a line. */
static bool one_line(struct str s)
{
    const char *end = str_end(s);
    for (const char *p = scan_control(s.p, end); p < end; p = scan_control(p + 1, end))
        if (*p == '\r' || *p == '\n' || *p == '\0')
            return false;
    return true;
}

void sip_piece(struct out *o, struct str s)
{
    if (LIKELY(one_line(s)))
        out_put(o, s);
    else
        o->full = true;
}

/* A word of a start line or a name: also no space, and not empty. */
static void word(struct out *o, struct str s)
{
    if (s.n == 0 || memchr(s.p, ' ', s.n) || memchr(s.p, '\t', s.n))
        o->full = true;
    sip_piece(o, s);
}

static void number(struct out *o, uint32_t v)
{
    char text[10];
    size_t i = sizeof(text);
    do
        text[--i] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    out_put(o, str_of(text + i, sizeof(text) - i));
}

void sip_eol(struct out *o)
{
    OUT_LIT(o, "\r\n");
}

void sip_request_line(struct out *o, struct str method, struct str uri)
{
    word(o, method);
    out_ch(o, ' ');
    word(o, uri);
    OUT_LIT(o, " SIP/2.0\r\n");
}

void sip_status_line(struct out *o, unsigned code, struct str reason)
{
    if (code < 100 || code > 699)
        o->full = true;
    OUT_LIT(o, "SIP/2.0 ");
    number(o, code);
    out_ch(o, ' ');
    sip_piece(o, reason.n > 0 ? reason : sip_phrase(code));
    sip_eol(o);
}

void sip_begin(struct out *o, enum sip_hdr h)
{
    struct str name = sip_hdr_name(h);
    if (name.n == 0)
        o->full = true;
    out_put(o, name);
    OUT_LIT(o, ": ");
}

void sip_put(struct out *o, enum sip_hdr h, struct str value)
{
    sip_begin(o, h);
    sip_piece(o, value);
    sip_eol(o);
}

void sip_put_u32(struct out *o, enum sip_hdr h, uint32_t v)
{
    sip_begin(o, h);
    number(o, v);
    sip_eol(o);
}

void sip_put_named(struct out *o, struct str name, struct str value)
{
    if (run(name.p, str_end(name), C_TOKEN) != str_end(name))
        o->full = true;
    word(o, name);
    OUT_LIT(o, ": ");
    sip_piece(o, value);
    sip_eol(o);
}

void sip_put_cseq(struct out *o, uint32_t n, struct str method)
{
    OUT_LIT(o, "CSeq: ");
    number(o, n);
    out_ch(o, ' ');
    word(o, method);
    sip_eol(o);
}

void sip_end(struct out *o, struct str content_type, struct str body)
{
    if (body.n > 0 && content_type.n > 0)
        sip_put(o, HDR_CONTENT_TYPE, content_type);
    if (body.n > SIP_MSG_MAX)
        o->full = true;
    OUT_LIT(o, "Content-Length: ");
    number(o, (uint32_t)body.n);
    OUT_LIT(o, "\r\n\r\n");
    out_put(o, body);
}

/* The copy goes byte by byte only when there is something to leave out. */
void sip_put_unfolded(struct out *o, struct str s)
{
    if (LIKELY(one_line(s))) {
        out_put(o, s);
        return;
    }
    const char *p = s.p, *end = str_end(s);
    while (p < end) {
        if (*p == '\r' || *p == '\n') {
            p = skip_lws(p, end);
            out_ch(o, ' ');
        } else if (*p == '\\' && end - p >= 2 && p[1] != '\r' && p[1] != '\n') {
            if (p[1] != '\0')
                out_put(o, str_of(p, 2));
            p += 2;
        } else if (*p++ != '\0') {
            out_ch(o, p[-1]);
        }
    }
}

void sip_copy(struct out *o, const struct sip_msg *m, enum sip_hdr h)
{
    uint16_t it = 0;
    struct str value;
    while (sip_next(m, h, &it, &value)) {
        sip_begin(o, h);
        sip_put_unfolded(o, value);
        sip_eol(o);
    }
}

/* The parameters of the topmost Via: what the sender wrote as received or rport is replaced by what
 * we saw (RFC 3261 18.2.1, RFC 3581 section 4). */
static void via_params(struct out *o, const struct sip_via *v, const struct addr *source)
{
    struct addr said;
    bool same = addr_parse_ip(v->host, &said) == OK && addr_eq_ip(&said, source);
    const char *p = v->params.p, *end = str_end(v->params);
    struct sip_pair a;
    while (p < end) {
        const char *start = skip_lws(p, end);
        const char *stop = sip_pair_scan(start, end, &a);
        if (!stop)
            break;
        if (!str_ieq(a.name, STR("rport")) && !str_ieq(a.name, STR("received"))) {
            out_ch(o, ';');
            sip_put_unfolded(o, str_between(start, stop));
        }
        p = scan_char(stop, end, ';');
        p += p < end;
    }
    if (!same || v->rport) {
        OUT_LIT(o, ";received=");
        addr_put_ip(o, source);
    }
    if (v->rport) {
        OUT_LIT(o, ";rport=");
        number(o, source->port);
    }
}

static void reply_vias(struct out *o, const struct sip_msg *m, const struct addr *source)
{
    uint16_t it = 0;
    struct str value;
    struct sip_via v;
    for (bool top = true; sip_next(m, HDR_VIA, &it, &value); top = false) {
        const char *end = str_end(value);
        const char *stop = top && source ? sip_via_scan(value.p, end, &v) : NULL;
        OUT_LIT(o, "Via: ");
        if (stop) {
            const char *params = v.params.n > 0 ? v.params.p - 1 : stop;
            sip_put_unfolded(o, str_between(value.p, trim_lws(value.p, params)));
            via_params(o, &v, source);
            value = str_between(stop, end);
        }
        sip_put_unfolded(o, value);
        sip_eol(o);
    }
}

void sip_reply(struct out *o, const struct sip_msg *m, unsigned code, struct str reason,
               struct str to_tag, const struct addr *source)
{
    sip_status_line(o, code, reason);
    reply_vias(o, m, source);
    OUT_LIT(o, "From: ");
    sip_put_unfolded(o, sip_get(m, HDR_FROM));
    OUT_LIT(o, "\r\nTo: ");
    sip_put_unfolded(o, sip_get(m, HDR_TO));
    if (m->to_tag.len == 0 && to_tag.n > 0) {
        OUT_LIT(o, ";tag=");
        word(o, to_tag);
    }
    OUT_LIT(o, "\r\nCall-ID: ");
    sip_put_unfolded(o, sip_get(m, HDR_CALL_ID));
    OUT_LIT(o, "\r\nCSeq: ");
    sip_put_unfolded(o, sip_get(m, HDR_CSEQ));
    sip_eol(o);
}
