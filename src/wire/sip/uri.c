#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

#define HOST_MAX 255
#define PAIRS_MAX                                                                                  \
    32 /* parameters of a URI, and its headers: comparing two URIs is quadratic in them */

/* ( pname [ "=" pvalue ] ) separated by ';' up to '?' or end; NULL on an error. A name given twice
 * is one (RFC 3261 19.1.1): two readers could take two different values. */
static const char *params_scan(const char *p, const char *end)
{
    struct span names[PAIRS_MAX];
    const char *start = p;
    for (unsigned n = 0; n < PAIRS_MAX; n++) {
        const char *name = p;
        p = run_escaped(p, end, C_PARAM);
        if (!p || p == name)
            return NULL;
        names[n] = span_at(start, str_between(name, p));
        for (unsigned i = 0; i < n; i++)
            if (names[i].len == names[n].len &&
                str_ieq(str_of(start + names[i].off, names[i].len), str_between(name, p)))
                return NULL;
        if (p < end && *p == '=') {
            const char *value = ++p;
            p = run_escaped(p, end, C_PARAM);
            if (!p || p == value)
                return NULL;
        }
        if (p == end || *p != ';')
            return p;
        p++;
    }
    return NULL;
}

/* hname "=" hvalue separated by '&' up to the end. */
static bool headers_valid(const char *p, const char *end)
{
    for (unsigned n = 0; n < PAIRS_MAX; n++) {
        const char *name = p;
        p = run_escaped(p, end, C_HNV);
        if (!p || p == name || p == end || *p != '=')
            return false;
        p = run_escaped(p + 1, end, C_HNV);
        if (!p)
            return false;
        if (p == end)
            return true;
        if (*p++ != '&')
            return false;
    }
    return false;
}

/* RFC 5118 4.10: the ABNF of RFC 3261 once allowed three colons; they mean two. */
static enum err ipv6_parse(struct str s, struct addr *ret_ip)
{
    char copy[64];
    if (str_find(s, ':') == s.n)
        return ERR_SYNTAX;
    size_t at = str_search(s, STR(":::"));
    if (at == s.n)
        return addr_parse_ip(s, ret_ip);
    if (s.n > sizeof(copy) || str_search(str_skip(s, at + 1), STR(":::")) != s.n - at - 1)
        return ERR_SYNTAX;
    memcpy(copy, s.p, at);
    memcpy(copy + at, s.p + at + 1, s.n - at - 1);
    return addr_parse_ip(str_of(copy, s.n - 1), ret_ip);
}

/* hostname, IPv4address or IPv6reference at p. All digits and dots must be an IPv4 address. */
const char *sip_host_scan(const char *p, const char *end, struct str *ret_host, struct addr *ret_ip)
{
    *ret_ip = (struct addr){0};
    if (p < end && *p == '[') {
        const char *close = scan_char(p, end, ']');
        if (close == end)
            return NULL;
        *ret_host = str_between(p + 1, close);
        return ipv6_parse(*ret_host, ret_ip) == OK ? close + 1 : NULL;
    }
    const char *q = run(p, end, C_HOST);
    *ret_host = str_between(p, q);
    if (q == p || q - p > HOST_MAX || *p == '.' || *p == '-')
        return NULL;
    if (is(*p, C_DIGIT) && is(q[-1], C_DIGIT)) {
        bool dotted = true;
        for (const char *c = p; c < q && dotted; c++)
            dotted = is(*c, C_DIGIT) || *c == '.';
        if (dotted)
            return addr_parse_ip(*ret_host, ret_ip) == OK ? q : NULL;
    }
    for (const char *c = p + 1; c < q; c++)
        if (*c == '.' && c[-1] == '.')
            return NULL;
    return q;
}

/* ":" port behind a host, if there is one; NULL on an error. */
const char *sip_port_scan(const char *p, const char *end, uint16_t *ret_port)
{
    uint64_t port = 0;
    const char *q = run(p, end, C_DIGIT);
    if (!digits(p, q, 65535, &port) || port == 0)
        return NULL;
    *ret_port = (uint16_t)port;
    return q;
}

/* userinfo = ( user / telephone-subscriber ) [ ":" password ] "@" */
static bool userinfo_scan(const char *p, const char *at, struct sip_uri *u)
{
    const char *q = run_escaped(p, at, C_USER);
    if (!q || q == p)
        return false;
    u->user = str_between(p, q);
    if (q == at)
        return true;
    if (*q != ':')
        return false;
    u->password = str_between(q + 1, at);
    return run_escaped(q + 1, at, C_PASSWORD) == at;
}

static bool sip_scan(const char *p, const char *end, struct sip_uri *u)
{
    const char *at = scan_char(p, end, '@');
    if (at < end) {
        if (!userinfo_scan(p, at, u))
            return false;
        p = at + 1;
    }
    p = sip_host_scan(p, end, &u->host, &u->ip);
    if (p && p < end && *p == ':')
        p = sip_port_scan(p + 1, end, &u->port);
    if (p && p < end && *p == ';') {
        const char *start = p + 1;
        p = params_scan(start, end);
        u->params = p ? str_between(start, p) : STR_NONE;
    }
    if (p && p < end && *p == '?') {
        u->headers = str_between(p + 1, end);
        return headers_valid(p + 1, end);
    }
    return p == end;
}

/* telephone-subscriber (RFC 3966). A local number without phone-context is let pass: it is how
 * short codes and emergency numbers arrive. */
static bool tel_scan(const char *p, const char *end, struct sip_uri *u)
{
    const char *q = run(p + (p < end && *p == '+'), end, C_TEL);
    bool any = false;
    for (const char *c = p; c < q && !any; c++)
        any = is(*c, C_HEX) || *c == '*' || *c == '#';
    u->user = str_between(p, q);
    if (!any)
        return false;
    if (q < end && *q == ';') {
        u->params = str_between(q + 1, end);
        q = params_scan(q + 1, end);
    }
    return q == end;
}

/* NID ":" NSS (RFC 8141). */
static bool urn_scan(const char *p, const char *end, struct sip_uri *u)
{
    const char *q = p;
    while (q < end && (is(*q, C_SCHEME) && *q != '+' && *q != '.'))
        q++;
    u->user = str_between(p, end);
    if (q - p < 2 || q - p > 32 || q == end || *q != ':' || *p == '-' || q + 1 == end)
        return false;
    return run(q + 1, end, C_URI) == end;
}

/* What every scheme allows: scheme ":" and bytes of a URI, '%' only as an escape is not asked for.
 */
static bool other_scan(const char *p, const char *end)
{
    const char *q = run(p, end, C_SCHEME);
    return q > p && q < end && *q == ':' && q + 1 < end && !is(*p, C_DIGIT) && *p != '+' &&
           *p != '-' && *p != '.' && run(q + 1, end, C_URI) == end;
}

enum err sip_uri_parse(struct str s, struct sip_uri *ret_u)
{
    if (s.n > URI_MAX)
        return ERR_LIMIT;
    struct sip_uri u = {.scheme = URI_OTHER, .text = s};
    const char *p = s.p, *end = str_end(s);
    bool good;
    if (str_istarts(s, STR("sip:"))) {
        u.scheme = URI_SIP;
        good = sip_scan(p + 4, end, &u);
    } else if (str_istarts(s, STR("sips:"))) {
        u.scheme = URI_SIPS;
        good = sip_scan(p + 5, end, &u);
    } else if (str_istarts(s, STR("tel:"))) {
        u.scheme = URI_TEL;
        good = tel_scan(p + 4, end, &u);
    } else if (str_istarts(s, STR("urn:"))) {
        u.scheme = URI_URN;
        good = urn_scan(p + 4, end, &u);
    } else {
        good = s.n > 0 && other_scan(p, end);
    }
    if (!good)
        return ERR_SYNTAX;
    *ret_u = u;
    return OK;
}

bool sip_param_next(struct str *it, struct str *ret_name, struct str *ret_value)
{
    const char *p = it->p, *end = str_end(*it);
    while (p < end && (*p == ';' || is(*p, C_LWS)))
        p++;
    if (p == end)
        return false;
    const char *name = p;
    while (p < end && *p != ';' && *p != '=')
        p++;
    *ret_name = str_between(name, trim_lws(name, p));
    *ret_value = str_of(p, 0);
    if (p < end && *p == '=') {
        const char *value = skip_lws(p + 1, end);
        const char *close = value < end && *value == '"' ? quote_end(value, end) : NULL;
        p = scan_char(close ? close : value, end, ';');
        *ret_value = close ? str_between(value + 1, close) : str_between(value, trim_lws(value, p));
    }
    *it = str_between(p, end);
    return true;
}

bool sip_param(struct str params, struct str name, struct str *ret_value)
{
    struct str n, v;
    while (sip_param_next(&params, &n, &v))
        if (str_ieq(n, name)) {
            *ret_value = v;
            return true;
        }
    return false;
}

/* The byte at *p with its escape undone; *p moves behind it. */
static unsigned unescaped(const char **p, const char *end, bool *ret_escaped)
{
    const char *q = *p;
    *ret_escaped = end - q >= 3 && *q == '%' && is(q[1], C_HEX) && is(q[2], C_HEX);
    *p = q + (*ret_escaped ? 3 : 1);
    if (!*ret_escaped)
        return (uint8_t)*q;
    return (unsigned)(hex_nibble(q[1]) * 16 + hex_nibble(q[2]));
}

void sip_unescape(struct out *o, struct str s)
{
    bool escaped;
    for (const char *p = s.p, *end = str_end(s); p < end;)
        out_ch(o, (char)unescaped(&p, end, &escaped));
}

void sip_escape_user(struct out *o, struct str user)
{
    for (size_t i = 0; i < user.n; i++) {
        uint8_t b = (uint8_t)user.p[i];
        if (is((char)b, C_USER)) {
            out_ch(o, (char)b);
            continue;
        }
        out_ch(o, '%');
        out_ch(o, "0123456789ABCDEF"[b >> 4]);
        out_ch(o, "0123456789ABCDEF"[b & 15]);
    }
}

/* RFC 3261 19.1.4: an escape equals its byte unless the byte is reserved there. */
static bool escaped_equal(struct str a, struct str b, bool fold_case)
{
    const char *p = a.p, *pe = str_end(a), *q = b.p, *qe = str_end(b);
    while (p < pe && q < qe) {
        bool ep, eq;
        unsigned x = unescaped(&p, pe, &ep), y = unescaped(&q, qe, &eq);
        if (fold_case) {
            x = (uint8_t)ascii_lower((char)x);
            y = (uint8_t)ascii_lower((char)y);
        }
        if (x != y || (ep != eq && memchr(";/?:@&=+$,", (int)x, 10)))
            return false;
    }
    return p == pe && q == qe;
}

/* Parameters that must match when only one side has them. */
static bool param_decides(struct str name)
{
    return str_ieq(name, STR("user")) || str_ieq(name, STR("ttl")) ||
           str_ieq(name, STR("method")) || str_ieq(name, STR("maddr")) ||
           str_ieq(name, STR("transport"));
}

static bool params_agree(struct str a, struct str b)
{
    struct str it = a, n, v, w;
    while (sip_param_next(&it, &n, &v)) {
        bool there = sip_param(b, n, &w);
        if (there ? !escaped_equal(v, w, true) : param_decides(n))
            return false;
    }
    return true;
}

static size_t headers_count(struct str s)
{
    size_t n = s.n > 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '&';
    return n;
}

/* Every header of a is in b; with equal counts that makes the sets equal. */
static bool headers_in(struct str a, struct str b)
{
    while (a.n > 0) {
        struct str one, rest = b;
        bool found = false;
        a = str_cut(a, '&', &one);
        struct str name, value = str_cut(one, '=', &name);
        while (rest.n > 0 && !found) {
            struct str other, n;
            rest = str_cut(rest, '&', &other);
            struct str v = str_cut(other, '=', &n);
            found = escaped_equal(name, n, true) && escaped_equal(value, v, false);
        }
        if (!found)
            return false;
    }
    return true;
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    if (a->scheme != b->scheme || a->port != b->port || a->ip.family != b->ip.family)
        return false;
    if (a->scheme != URI_SIP && a->scheme != URI_SIPS)
        return str_eq(a->text, b->text);
    bool host = a->ip.family == ADDR_NONE ? str_ieq(a->host, b->host) : addr_eq_ip(&a->ip, &b->ip);
    return host && (a->user.n > 0) == (b->user.n > 0) && escaped_equal(a->user, b->user, false) &&
           (a->password.p != NULL) == (b->password.p != NULL) &&
           escaped_equal(a->password, b->password, false) && params_agree(a->params, b->params) &&
           params_agree(b->params, a->params) &&
           headers_count(a->headers) == headers_count(b->headers) &&
           headers_in(a->headers, b->headers) && headers_in(b->headers, a->headers);
}
