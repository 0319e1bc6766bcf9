#include "wire/sdp/sdp.h"
#include "base/lex.h"

struct reader {
    struct str text, rest;
    struct sdp *s;
    struct sdp_section *sec; /* the one that a= b= c= belong to */
    uint32_t seen;           /* session lines that may come once, a bit a letter */
    uint32_t lines;
};

static const struct lex_set *token_set(void)
{
    /* RFC 8866 token: 0x21 23-27 2A-2B 2D-2E 30-39 41-5A 5E-7E */
    static const struct lex_set set = {{0x03ff6cfa00000000, 0x7fffffffc7fffffe, 0, 0}};
    return &set;
}

static bool is_token(struct str s, size_t max)
{
    if (s.n == 0 || s.n > max)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!lex_in(token_set(), s.p[i]))
            return false;
    return true;
}

/* Visible bytes only: what stands between single spaces in o= and c=. */
static bool is_word(struct str s, size_t max)
{
    if (s.n == 0 || s.n > max)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
    return true;
}

struct str sdp_token_next(struct str *rest)
{
    struct str token;
    *rest = str_cut(*rest, ' ', &token);
    return token;
}

static enum err parse_addr(struct str family, struct str host, struct addr *ret_a)
{
    struct addr a;
    struct str ip;
    str_cut(host, '/', &ip); /* "/ttl" of multicast */
    if (ip.n == 0 || ip.p[0] == '[' || addr_parse_ip(ip, &a) != OK)
        return ERR_UNSUPPORTED;
    bool v6 = str_search(ip, STR(":")) < ip.n;
    if (!str_ieq(family, v6 ? STR("IP6") : STR("IP4")))
        return ERR_SYNTAX;
    bool multicast = a.family == ADDR_V4 ? a.ip[0] >= 224 : a.ip[0] == 0xff;
    if (multicast || ip.n != host.n)
        return ERR_UNSUPPORTED;
    *ret_a = a;
    return OK;
}

/* c=<nettype> <addrtype> <connection-address> */
static enum err read_conn(struct reader *r, struct str v)
{
    struct sdp_conn *c = &r->sec->conn;
    if (r->sec == &r->s->sec && c->text.len > 0)
        return ERR_SYNTAX;
    if (c->text.len > 0)
        return OK; /* an m-line may list several; the first counts */
    struct str rest = v, net = sdp_token_next(&rest), family = sdp_token_next(&rest);
    if (!is_token(net, 8) || !is_token(family, 8) || !is_word(rest, 255))
        return ERR_SYNTAX;
    c->text = str_span(r->text, v);
    if (!str_ieq(net, STR("IN")) || parse_addr(family, rest, &c->a) == ERR_UNSUPPORTED)
        c->a = (struct addr){0};
    else if (c->a.family == ADDR_NONE)
        return ERR_SYNTAX;
    return OK;
}

/* o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address> */
static enum err read_origin(struct reader *r, struct str v)
{
    struct str rest = v, user = sdp_token_next(&rest), id = sdp_token_next(&rest),
               version = sdp_token_next(&rest), origin = rest, net = sdp_token_next(&rest),
               family = sdp_token_next(&rest);
    if (!is_word(user, 255) || id.n == 0 || id.n > 32 || version.n == 0 || version.n > 32)
        return ERR_SYNTAX;
    for (size_t i = 0; i < id.n; i++)
        if (!ascii_digit(id.p[i]))
            return ERR_SYNTAX;
    for (size_t i = 0; i < version.n; i++)
        if (!ascii_digit(version.p[i]))
            return ERR_SYNTAX;
    if (!is_token(net, 8) || !is_token(family, 8) || !is_word(rest, 255))
        return ERR_SYNTAX;
    r->s->user = str_span(r->text, user);
    r->s->session_id = str_span(r->text, id);
    r->s->session_version = str_span(r->text, version);
    r->s->origin = str_span(r->text, origin);
    return OK;
}

/* a=<name>[:<value>] */
static enum err read_attr(struct reader *r, struct str v)
{
    struct str name, value = str_cut(v, ':', &name);
    if (!is_token(name, SDP_TOKEN_MAX))
        return ERR_SYNTAX;
    if (r->s->n_attrs == SDP_ATTRS_MAX)
        return ERR_LIMIT;
    struct sdp_attr *a = &r->s->attrs[r->s->n_attrs++];
    a->name = str_span(r->text, name);
    a->value = SPAN_NONE;
    if (name.n < v.n)
        a->value = (struct span){(uint16_t)(a->name.off + name.n + 1), (uint16_t)value.n};
    r->sec->n_attrs++;
    return OK;
}

/* b=<bwtype>:<bandwidth> */
static enum err read_bandwidth(struct reader *r, struct str v)
{
    struct str type, num = str_cut(v, ':', &type);
    uint64_t n;
    if (!is_token(type, 16) || str_u64(num, UINT32_MAX, &n) != OK)
        return ERR_SYNTAX;
    if (r->sec->n_bw == SDP_BW_MAX)
        return ERR_LIMIT;
    r->sec->bw[r->sec->n_bw++] = str_span(r->text, v);
    return OK;
}

static enum err read_formats(struct reader *r, struct sdp_media *m, struct str list)
{
    if (list.n == 0)
        return ERR_SYNTAX;
    m->fmts = str_span(r->text, list);
    for (struct str rest = list; rest.n > 0; m->n_fmts++) {
        if (m->n_fmts == SDP_FMTS_MAX)
            return ERR_LIMIT;
        if (!is_token(sdp_token_next(&rest), SDP_TOKEN_MAX))
            return ERR_SYNTAX;
    }
    return OK;
}

/* proto: token *("/" token) */
static bool is_proto(struct str s)
{
    if (s.n == 0 || s.n > SDP_TOKEN_MAX || s.p[0] == '/' || s.p[s.n - 1] == '/')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '/' && !lex_in(token_set(), s.p[i]))
            return false;
    return true;
}

/* m=<media> <port>[/<n>] <proto> <fmt> ... */
static enum err read_media(struct reader *r, struct str v)
{
    struct sdp *s = r->s;
    if (s->n_media == SDP_MEDIA_MAX)
        return ERR_LIMIT;
    struct sdp_media *m = &s->media[s->n_media];
    *m = (struct sdp_media){.n_ports = 1};
    while (v.n > 0 && v.p[v.n - 1] == ' ')
        v.n--; /* a blank after the last format is common */
    struct str rest = v, kind = sdp_token_next(&rest), ports = sdp_token_next(&rest),
               proto = sdp_token_next(&rest), port, count = str_cut(ports, '/', &port);
    uint32_t n;
    if (!is_token(kind, 32) || !is_proto(proto) || port.n > 5 || str_u32(port, 65535, &n) != OK)
        return ERR_SYNTAX;
    m->port = (uint16_t)n;
    if (port.n < ports.n) {
        if (count.n > 3 || str_u32(count, 255, &n) != OK || n == 0)
            return ERR_SYNTAX;
        m->n_ports = (uint16_t)n;
    }
    m->kind = str_span(r->text, kind);
    m->proto = str_span(r->text, proto);
    m->sec.attr0 = s->n_attrs;
    s->n_media++;
    r->sec = &m->sec;
    return read_formats(r, m, rest);
}

static enum err once(struct reader *r, char type)
{
    uint32_t bit = 1u << (type - 'a');
    if ((r->seen & bit) != 0 || r->s->n_media > 0)
        return ERR_SYNTAX;
    r->seen |= bit;
    return OK;
}

/* t=<start> <stop> */
static enum err read_timing(struct reader *r, struct str v)
{
    struct str start, stop = str_cut(v, ' ', &start);
    uint64_t n;
    if (r->s->n_media > 0 || str_u64(start, UINT64_MAX, &n) != OK ||
        str_u64(stop, UINT64_MAX, &n) != OK)
        return ERR_SYNTAX;
    if (r->s->timing.len == 0)
        r->s->timing = str_span(r->text, v);
    return OK;
}

static enum err read_line(struct reader *r, char type, struct str v)
{
    enum err e = OK;
    switch (type) {
    case 'v':
        e = once(r, 'v');
        return e != OK ? e : str_eq(v, STR("0")) ? OK : ERR_SYNTAX;
    case 'o':
        e = once(r, 'o');
        return e != OK ? e : read_origin(r, v);
    case 's':
        r->s->name = str_span(r->text, v);
        return once(r, 's');
    case 'c':
        return read_conn(r, v);
    case 't':
        return read_timing(r, v);
    case 'b':
        return read_bandwidth(r, v);
    case 'a':
        return read_attr(r, v);
    case 'm':
        return read_media(r, v);
    case 'i':
    case 'k':
        return OK;
    case 'u':
    case 'e':
    case 'p':
    case 'r':
    case 'z':
        return r->s->n_media > 0 ? ERR_SYNTAX : OK;
    default:
        return ERR_SYNTAX;
    }
}

/* Bytes of a text line: no NUL, no controls but HT. */
static bool line_clean(struct str l)
{
    for (size_t i = 0; i < l.n; i++)
        if (((uint8_t)l.p[i] < ' ' && l.p[i] != '\t') || l.p[i] == 0x7f)
            return false;
    return true;
}

static enum err next_line(struct reader *r, struct str *ret_line)
{
    struct str line;
    r->rest = str_cut(r->rest, '\n', &line);
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (++r->lines > SDP_LINES_MAX || line.n > SDP_LINE_MAX)
        return ERR_LIMIT;
    if (line.n < 2 || line.p[1] != '=' || !line_clean(line))
        return ERR_SYNTAX;
    *ret_line = line;
    return OK;
}

static bool only_line_ends(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\r' && s.p[i] != '\n')
            return false;
    return true;
}

enum err sdp_parse(struct str text, struct sdp *ret_s)
{
    if (text.n > SDP_TEXT_MAX)
        return ERR_LIMIT;
    struct sdp *s = ret_s;
    memset(s, 0, offsetof(struct sdp, media));
    struct reader r = {.text = text, .rest = text, .s = s, .sec = &s->sec};
    while (!only_line_ends(r.rest)) {
        struct str line = STR_NONE;
        enum err e = next_line(&r, &line);
        if (e == OK && r.lines == 1 && line.p[0] != 'v')
            e = ERR_SYNTAX;
        if (e == OK)
            e = read_line(&r, line.p[0], str_skip(line, 2));
        if (e != OK)
            return e;
    }
    const uint32_t must = 1u << ('v' - 'a') | 1u << ('o' - 'a') | 1u << ('s' - 'a');
    if ((r.seen & must) != must || s->timing.len == 0)
        return ERR_SYNTAX;
    for (unsigned i = 0; i < s->n_media; i++)
        if (s->media[i].port != 0 && sdp_media_conn(s, &s->media[i])->text.len == 0)
            return ERR_SYNTAX;
    return OK;
}
