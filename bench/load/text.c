#include "bench/load/load.h"
#include "crypto/hash.h"
#include <arpa/inet.h>

static char domain[64];
static uint32_t n_users;
static char (*ha1)[2][65]; /* by user: MD5, SHA-256; empty until needed */
static char ha2_text[65];

void text_init(uint32_t users, const char *d)
{
    n_users = users;
    (void)snprintf(domain, sizeof domain, "%s", d);
    ha1 = calloc(users, sizeof *ha1);
    if (!ha1 || crypto_init() != OK)
        die("no memory", "");
}

/* -- reading -- */

static void take(struct msg *m, struct str name, struct str v)
{
    bool compact = name.n == 1;
    switch (ascii_lower(name.p[0])) {
    case 'v':
        if ((compact || str_ieq(name, STR("Via"))) && m->n_via < ARRAY_LEN(m->via))
            m->via[m->n_via++] = v;
        break;
    case 'r':
        if (str_ieq(name, STR("Record-Route")) && m->n_rr < ARRAY_LEN(m->rr))
            m->rr[m->n_rr++] = v;
        break;
    case 'f':
        if (compact || str_ieq(name, STR("From")))
            m->from = v;
        break;
    case 't':
        if (compact || str_ieq(name, STR("To")))
            m->to = v;
        break;
    case 'i':
        if (compact)
            m->call_id = v;
        break;
    case 'm':
        if (compact)
            m->contact = v;
        break;
    case 'c':
        if (str_ieq(name, STR("Call-ID")))
            m->call_id = v;
        else if (str_ieq(name, STR("CSeq")))
            m->cseq = v;
        else if (str_ieq(name, STR("Contact")))
            m->contact = v;
        break;
    case 'p':
    case 'w':
        m->proxy_chal = ascii_lower(name.p[0]) == 'p';
        if (m->n_chal < ARRAY_LEN(m->chal) &&
            str_ieq(name, m->proxy_chal ? STR("Proxy-Authenticate") : STR("WWW-Authenticate")))
            m->chal[m->n_chal++] = v;
        break;
    default:
        break;
    }
}

bool msg_read(struct str s, struct msg *ret_m)
{
    struct str line, rest = str_cut(s, '\n', &line), name;
    memset(ret_m, 0, sizeof *ret_m);
    if (str_starts(line, STR("SIP/2.0 ")))
        ret_m->code = (int)number_at(str_skip(line, 8), 10);
    else
        ret_m->uri = str_head(str_cut(line, ' ', &ret_m->method), line.n);
    ret_m->uri = str_head(ret_m->uri, str_find(ret_m->uri, ' '));
    for (;;) {
        rest = str_cut(rest, '\n', &line);
        if (line.n <= 1)
            break;
        struct str v = str_trim(str_cut(line, ':', &name));
        if (name.n)
            take(ret_m, name, v);
    }
    ret_m->body = rest;
    return ret_m->call_id.n && ret_m->cseq.n && ret_m->to.n;
}

struct str between(struct str s, char a, char b)
{
    struct str v = str_skip(s, str_find(s, a) + 1);
    return str_head(v, str_find(v, b));
}

struct str param(struct str s, struct str name)
{
    size_t at = str_search(s, name);
    if (at == s.n)
        return STR_NONE;
    struct str v = str_skip(s, at + name.n);
    if (v.n && v.p[0] == '"')
        return between(v, '"', '"');
    size_t n = 0;
    while (n < v.n && v.p[n] != ',' && v.p[n] != ' ' && v.p[n] != ';')
        n++;
    return str_head(v, n);
}

uint32_t number_at(struct str s, int base)
{
    uint32_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        int d = hex_nibble(s.p[i]);
        if (d < 0 || d >= base)
            break;
        v = v * (uint32_t)base + (uint32_t)d;
    }
    return v;
}

size_t frame_bytes(const char *p, size_t n)
{
    struct str s = str_of(p, n);
    size_t end = str_search(s, STR("\r\n\r\n"));
    if (end == n)
        return 0;
    size_t at = str_search(s, STR("Content-Length:"));
    uint32_t body = at < end ? number_at(str_trim(str_head(str_skip(s, at + 15), 8)), 10) : 0;
    return end + 4 + body <= n ? end + 4 + body : 0;
}

/* -- credentials -- */

static void hex_hash(enum hash_alg a, const struct str *parts, size_t n, char ret_text[65])
{
    uint8_t d[HASH_MAX];
    if (hash_parts(a, parts, n, d) != OK)
        die("no hash", "");
    hex_encode(d, hash_bytes(a), ret_text);
    ret_text[2 * hash_bytes(a)] = 0;
}

void put_user(struct out *o, uint32_t user)
{
    char t[7] = "u000000";
    t[0] = 'u';
    for (int i = 6; i >= 1; i--, user /= 10)
        t[i] = (char)('0' + user % 10);
    out_put(o, str_of(t, 7));
}

static const char *user_ha1(uint32_t user, bool sha, struct str realm)
{
    char *h = ha1[user % n_users][sha];
    if (!*h) {
        char name[16], pw[16];
        (void)snprintf(name, sizeof name, "u%06u", user);
        (void)snprintf(pw, sizeof pw, "pw%06u", user);
        struct str p[] = {str_c(name), STR(":"), realm, STR(":"), str_c(pw)};
        hex_hash(sha ? HASH_SHA256 : HASH_MD5, p, ARRAY_LEN(p), h);
    }
    return h;
}

static struct str best(const struct msg *m, bool *ret_sha)
{
    struct str md5 = STR_NONE;
    for (unsigned i = 0; i < m->n_chal; i++) {
        struct str a = param(m->chal[i], STR("algorithm="));
        *ret_sha = str_ieq(a, STR("SHA-256"));
        if (*ret_sha)
            return m->chal[i];
        if (a.n == 0 || str_ieq(a, STR("MD5")))
            md5 = m->chal[i];
    }
    return md5;
}

void put_credentials(struct out *o, const struct msg *challenge, struct str method, struct str uri,
                     uint32_t user, bool proxy)
{
    bool sha = false;
    char r[65];
    struct str ch = best(challenge, &sha);
    struct str realm = param(ch, STR("realm=")), nonce = param(ch, STR("nonce="));
    struct str p2[] = {method, STR(":"), uri};
    hex_hash(sha ? HASH_SHA256 : HASH_MD5, p2, ARRAY_LEN(p2), ha2_text);
    struct str p[] = {str_c(user_ha1(user, sha, realm)), STR(":"), nonce,
                      STR(":00000001:0a4f113b:auth:"), str_c(ha2_text)};
    hex_hash(sha ? HASH_SHA256 : HASH_MD5, p, ARRAY_LEN(p), r);
    out_put(o, proxy ? STR("Proxy-Authorization: Digest username=\"")
                     : STR("Authorization: Digest username=\""));
    put_user(o, user);
    OUT_LIT(o, "\", realm=\"");
    out_put(o, realm);
    OUT_LIT(o, "\", nonce=\"");
    out_put(o, nonce);
    OUT_LIT(o, "\", uri=\"");
    out_put(o, uri);
    OUT_LIT(o, "\", response=\"");
    out_put(o, str_c(r));
    OUT_LIT(o, "\", algorithm=");
    out_put(o, sha ? STR("SHA-256") : STR("MD5"));
    OUT_LIT(o, ", qop=auth, nc=00000001, cnonce=\"0a4f113b\"\r\n");
}

/* -- session descriptions -- */

static void sdp_lines(struct out *o, const struct sdp_want *w)
{
    OUT_LIT(o, "v=0\r\no=- 3790001 3790002 IN IP4 ");
    out_put(o, str_c(w->ip));
    OUT_LIT(o, "\r\ns=-\r\nc=IN IP4 ");
    out_put(o, str_c(w->ip));
    OUT_LIT(o, "\r\nt=0 0\r\nm=audio ");
    out_u64(o, w->port);
    out_put(o, w->suite ? STR(" RTP/SAVP") : STR(" RTP/AVP"));
    OUT_LIT(o, " 0 8 9 101\r\n");
    if (w->suite) {
        OUT_LIT(o, "a=crypto:1 ");
        out_put(o, str_c(w->suite));
        OUT_LIT(o, " inline:");
        out_b64(o, w->key, w->key_n);
        OUT_LIT(o, "\r\n");
    }
    OUT_LIT(o, "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\n"
               "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
               "a=sendrecv\r\n");
}

void put_body(struct out *o, const struct sdp_want *w)
{
    char text[700];
    struct out b = out_of(text, sizeof text);
    sdp_lines(&b, w);
    OUT_LIT(o, "Content-Type: application/sdp\r\nContent-Length: ");
    out_u64(o, b.n);
    OUT_LIT(o, "\r\n\r\n");
    out_put(o, out_str(&b));
}

bool sdp_read(struct str body, struct sdp_told *ret_t)
{
    struct str line, ip = STR_NONE;
    memset(ret_t, 0, sizeof *ret_t);
    ret_t->at.sin_family = AF_INET;
    while (body.n) {
        body = str_cut(body, '\n', &line);
        line = str_trim(line);
        if (str_starts(line, STR("c=IN IP4 ")))
            ip = str_skip(line, 9);
        else if (str_starts(line, STR("m=audio ")) && !ret_t->at.sin_port)
            ret_t->at.sin_port = htons((uint16_t)number_at(str_skip(line, 8), 10));
        else if (str_starts(line, STR("a=crypto:")) && !ret_t->key_n) {
            struct str k = str_skip(line, str_search(line, STR("inline:")) + 7);
            size_t n = 0;
            while (n < k.n && k.p[n] != '|' && k.p[n] != ' ')
                n++;
            if (base64_decode(str_head(k, n), ret_t->key, sizeof ret_t->key, &ret_t->key_n) != OK)
                return false;
        }
    }
    char t[20];
    if (!ip.n || ip.n >= sizeof t)
        return false;
    memcpy(t, ip.p, ip.n);
    t[ip.n] = 0;
    return inet_pton(AF_INET, t, &ret_t->at.sin_addr) == 1 && ret_t->at.sin_port;
}
