#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

/* generic-param = token [ EQUAL ( token / host / quoted-string ) ] */
const char *sip_pair_scan(const char *p, const char *end, struct sip_pair *ret_p)
{
    const char *name = skip_lws(p, end);
    const char *q = run(name, end, C_TOKEN);
    if (q == name)
        return NULL;
    ret_p->name = str_between(name, q);
    ret_p->value = STR_NONE;
    const char *eq = skip_lws(q, end);
    if (eq == end || *eq != '=')
        return q;
    const char *value = skip_lws(eq + 1, end);
    if (value < end && *value == '"') {
        const char *close = quote_end(value, end);
        if (!close)
            return NULL;
        ret_p->value = str_between(value + 1, close);
        return close + 1;
    }
    q = run(value, end, C_VALUE);
    ret_p->value = str_between(value, q);
    return q > value ? q : NULL;
}

/* sent-protocol up to the transport: protocol-name SLASH protocol-version SLASH. The version is not
 * judged here: a request of another version is answered through its Via (RFC 4475 3.1.2.16). */
static const char *protocol_scan(const char *p, const char *end)
{
    if (LIKELY(end - p > 8 && memcmp(p, "SIP/2.0/", 8) == 0))
        return p + 8;
    for (int i = 0; i < 2; i++) {
        const char *q = run(p, end, C_TOKEN);
        if (q == p)
            return NULL;
        q = skip_lws(q, end);
        if (q == end || *q != '/')
            return NULL;
        p = skip_lws(q + 1, end);
    }
    return p;
}

/* One via-parm into v; a repeated branch, received or rport is an error. */
static bool via_param(const struct sip_pair *a, struct sip_via *v)
{
    if (str_ieq(a->name, STR("branch"))) {
        bool first = v->branch.p == NULL && a->value.n > 0;
        v->branch = a->value;
        return first;
    }
    if (str_ieq(a->name, STR("rport"))) {
        uint64_t port = 0;
        const char *end = str_end(a->value);
        bool good = !v->rport && (a->value.p == NULL || digits(a->value.p, end, 65535, &port));
        v->rport = true;
        v->rport_value = (uint16_t)port;
        return good && (a->value.p == NULL || port > 0);
    }
    if (str_ieq(a->name, STR("received"))) {
        bool first = v->received.p == NULL && a->value.n > 0;
        v->received = a->value;
        return first;
    }
    return true;
}

/* via-parm = sent-protocol LWS sent-by *( SEMI via-params ) */
const char *sip_via_scan(const char *p, const char *end, struct sip_via *v)
{
    struct sip_pair a;
    struct addr ip;
    *v = (struct sip_via){0};
    p = protocol_scan(skip_lws(p, end), end);
    if (!p)
        return NULL;
    const char *q = run(p, end, C_TOKEN);
    v->transport = str_between(p, q);
    p = skip_lws(q, end);
    if (v->transport.n == 0 || p == q)
        return NULL;
    struct str host;
    p = sip_host_scan(p, end, &host, &ip);
    if (!p)
        return NULL;
    v->host = host;
    q = skip_lws(p, end);
    if (q < end && *q == ':') {
        p = sip_port_scan(skip_lws(q + 1, end), end, &v->port);
        if (!p)
            return NULL;
        q = skip_lws(p, end);
    }
    const char *params = q + 1;
    while (q < end && *q == ';') {
        p = sip_pair_scan(q + 1, end, &a);
        if (!p || !via_param(&a, v))
            return NULL;
        v->params = str_between(params, p);
        q = skip_lws(p, end);
    }
    return q == end || *q == ',' ? q : NULL;
}

enum err sip_via_parse(struct str s, struct sip_via *ret_v)
{
    struct sip_via v;
    if (s.n > SIP_HEADER_LINE_MAX)
        return ERR_LIMIT;
    if (sip_via_scan(s.p, str_end(s), &v) != str_end(s) || s.n == 0)
        return ERR_SYNTAX;
    *ret_v = v;
    return OK;
}

/* scheme ":" then bytes of a URI; stops at the first that is none. */
static const char *uri_scan(const char *p, const char *end, bool bare)
{
    const char *q = run(p, end, C_SCHEME);
    if (q == p || q == end || *q != ':' || is(*p, C_DIGIT) || *p == '+' || *p == '-' || *p == '.')
        return NULL;
    const char *rest = ++q;
    if (!bare)
        q = run(q, end, C_URI);
    else
        while (q < end && is(*q, C_URI) && *q != ';' && *q != ',' && *q != '?')
            q++;
    return q > rest ? q : NULL;
}

/* name-addr = [ display-name ] "<" addr-spec ">" / addr-spec; p behind leading LWS. */
static const char *address_scan(const char *p, const char *end, struct sip_nameaddr *a)
{
    const char *q = p;
    if (p < end && *p == '"') {
        q = quote_end(p, end);
        if (!q)
            return NULL;
        a->display = str_between(p + 1, q);
        q = skip_lws(q + 1, end);
    } else {
        q = run(p, end, C_TOKEN | C_LWS);
        if (q < end && *q == ':') {
            q = uri_scan(p, end, true);
            if (!q || (q < end && *q == '?'))
                return NULL;
            a->uri = str_between(p, q);
            return q;
        }
        a->display = str_between(p, trim_lws(p, q));
    }
    if (q == end || *q != '<')
        return NULL;
    p = q + 1;
    q = uri_scan(p, end, false);
    if (!q || q == end || *q != '>')
        return NULL;
    a->uri = str_between(p, q);
    return q + 1;
}

const char *sip_na_scan(const char *p, const char *end, struct sip_na *ret_a)
{
    struct sip_na n = {0};
    struct sip_pair a;
    p = skip_lws(p, end);
    const char *q = p < end && *p == '*' ? skip_lws(p + 1, end) : p;
    if (q > p && q == end) {
        n.a.star = true;
        *ret_a = n;
        return q;
    }
    p = address_scan(p, end, &n.a);
    if (!p || n.a.uri.n > URI_MAX)
        return NULL;
    q = skip_lws(p, end);
    const char *params = q + 1;
    while (q < end && *q == ';') {
        p = sip_pair_scan(q + 1, end, &a);
        if (!p)
            return NULL;
        if (a.name.n == 3 && str_ieq(a.name, STR("tag"))) {
            if (n.tag.p || a.value.n == 0 || a.value.p[-1] == '"')
                return NULL;
            n.tag = a.value;
        }
        n.a.params = str_between(params, p);
        q = skip_lws(p, end);
    }
    if (q < end && *q != ',')
        return NULL;
    *ret_a = n;
    return q;
}

enum err sip_nameaddr_parse(struct str s, struct sip_nameaddr *ret_a)
{
    struct sip_na n;
    if (s.n > SIP_HEADER_LINE_MAX)
        return ERR_LIMIT;
    if (sip_na_scan(s.p, str_end(s), &n) != str_end(s) || s.n == 0)
        return ERR_SYNTAX;
    *ret_a = n.a;
    return OK;
}

/* 1*DIGIT at *p, at most max; *p moves behind it and the LWS that follows. */
static bool take_number(const char **p, const char *end, uint64_t max, uint32_t *ret_v)
{
    uint64_t v;
    const char *q = run(*p, end, C_DIGIT);
    if (!digits(*p, q, max, &v))
        return false;
    *ret_v = (uint32_t)v;
    *p = skip_lws(q, end);
    return true;
}

/* RAck = response-num LWS CSeq-num LWS Method (RFC 3262) */
enum err sip_rack_parse(struct str s, struct sip_rack *ret_r)
{
    struct sip_rack r = {0};
    const char *p = skip_lws(s.p, str_end(s)), *end = trim_lws(p, str_end(s));
    if (!take_number(&p, end, UINT32_MAX, &r.rseq) || p == end || !is(p[-1], C_LWS) ||
        !take_number(&p, end, INT32_MAX, &r.cseq) || p == end || !is(p[-1], C_LWS))
        return ERR_SYNTAX;
    r.method = str_between(p, end);
    if (run(p, end, C_TOKEN) != end || r.rseq == 0)
        return ERR_SYNTAX;
    *ret_r = r;
    return OK;
}

enum err sip_session_expires_parse(struct str s, struct sip_session_expires *ret_s)
{
    struct sip_session_expires r = {0};
    struct sip_pair a;
    const char *p = skip_lws(s.p, str_end(s)), *end = str_end(s);
    if (!take_number(&p, end, UINT32_MAX, &r.seconds))
        return ERR_SYNTAX;
    while (p < end && *p == ';') {
        p = sip_pair_scan(p + 1, end, &a);
        if (!p)
            return ERR_SYNTAX;
        p = skip_lws(p, end);
        if (!str_ieq(a.name, STR("refresher")))
            continue;
        if (r.refresher != 0)
            return ERR_SYNTAX;
        r.refresher = str_ieq(a.value, STR("uac")) ? 'a' : str_ieq(a.value, STR("uas")) ? 's' : 0;
        if (r.refresher == 0)
            return ERR_SYNTAX;
    }
    if (p != end)
        return ERR_SYNTAX;
    *ret_s = r;
    return OK;
}

enum err sip_seconds_parse(struct str s, uint32_t max, uint32_t *ret_v)
{
    const char *p = skip_lws(s.p, str_end(s)), *end = str_end(s);
    const char *q = run(p, end, C_DIGIT);
    const char *rest = skip_lws(q, end);
    uint64_t v;
    if (q == p || (rest < end && *rest != ';' && *rest != '('))
        return ERR_SYNTAX;
    if (!digits(p, q, max, &v))
        return ERR_RANGE;
    *ret_v = (uint32_t)v;
    return OK;
}

/* m-type SLASH m-subtype *( SEMI m-parameter ) */
enum err sip_media_type_parse(struct str s, struct sip_media_type *ret_t)
{
    struct sip_media_type t = {0};
    struct sip_pair a;
    const char *p = skip_lws(s.p, str_end(s)), *end = str_end(s);
    const char *q = run(p, end, C_TOKEN);
    t.type = str_between(p, q);
    p = skip_lws(q, end);
    if (t.type.n == 0 || p == end || *p != '/')
        return ERR_SYNTAX;
    p = skip_lws(p + 1, end);
    q = run(p, end, C_TOKEN);
    t.subtype = str_between(p, q);
    if (t.subtype.n == 0)
        return ERR_SYNTAX;
    p = skip_lws(q, end);
    const char *params = p + 1;
    while (p < end && *p == ';') {
        q = sip_pair_scan(p + 1, end, &a);
        if (!q || a.value.p == NULL)
            return ERR_SYNTAX;
        t.params = str_between(params, q);
        p = skip_lws(q, end);
    }
    if (p != end)
        return ERR_SYNTAX;
    *ret_t = t;
    return OK;
}

/* Index of the three letters at p in a list of such; false if they are none of them. */
static bool three_letters(const char *p, const char *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_ieq(str_of(p, 3), str_of(list + 3 * i, 3)))
            return true;
    return false;
}

bool sip_date_valid(struct str s)
{
    static const char shape[] = "www, 00 mmm 0000 00:00:00 GMT";
    if (s.n != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool letter = shape[i] == 'w' || shape[i] == 'm';
        if (shape[i] == '0' ? !is(s.p[i], C_DIGIT) : !letter && s.p[i] != shape[i])
            return false;
    }
    return three_letters(s.p, "MonTueWedThuFriSatSun", 7) &&
           three_letters(s.p + 8, "JanFebMarAprMayJunJulAugSepOctNovDec", 12);
}
