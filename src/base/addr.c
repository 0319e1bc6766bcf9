#include "base/addr.h"
#include <arpa/inet.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static size_t ip_bytes(const struct addr *a)
{
    return a->family == ADDR_V4 ? 4 : a->family == ADDR_V6 ? 16 : 0;
}

/* The grammar of RFC 3261 lets "::" meet the colon before an IPv4 part: RFC 5118 section 4.10 asks
 * to read ":::192.0.2.1" as "::192.0.2.1". Yields the index of the superfluous colon, or s.n. */
static size_t third_colon(struct str s)
{
    size_t at = str_search(s, STR(":::"));
    if (at == s.n)
        return s.n;
    struct str rest = str_skip(s, at + 3);
    for (size_t i = 0; i < rest.n; i++) {
        if (!ascii_digit(rest.p[i]) && rest.p[i] != '.')
            return s.n;
    }
    return str_find(rest, '.') < rest.n ? at : s.n;
}

enum err addr_parse_ip(struct str s, struct addr *ret_a)
{
    char text[INET6_ADDRSTRLEN + 1];
    bool bracket = s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
    if (bracket)
        s = str_of(s.p + 1, s.n - 2);
    if (s.n == 0 || s.n >= sizeof text || str_find(s, '\0') < s.n)
        return ERR_SYNTAX;
    bool v6 = str_find(s, ':') < s.n;
    if (bracket && !v6)
        return ERR_SYNTAX;
    size_t extra = v6 ? third_colon(s) : s.n;
    struct out o = out_of(text, sizeof text);
    out_put(&o, str_head(s, extra));
    out_put(&o, str_skip(s, extra < s.n ? extra + 1 : extra));
    text[o.n] = '\0';
    struct addr a = {.family = v6 ? ADDR_V6 : ADDR_V4};
    if (inet_pton(v6 ? AF_INET6 : AF_INET, text, a.ip) != 1)
        return ERR_SYNTAX;
    addr_fold(&a);
    *ret_a = a;
    return OK;
}

enum err addr_parse(struct str s, struct addr *ret_a)
{
    uint32_t port = 0;
    size_t colon = str_rfind(s, ':');
    bool many = str_find(s, ':') < colon, bracket = s.n && s.p[0] == '[';
    if (colon < s.n && (bracket ? s.p[colon - 1] == ']' : !many)) {
        if (str_u32(str_skip(s, colon + 1), UINT16_MAX, &port) != OK)
            return ERR_SYNTAX;
        s = str_head(s, colon);
    }
    enum err e = addr_parse_ip(s, ret_a);
    if (e == OK)
        ret_a->port = (uint16_t)port;
    return e;
}

void addr_fold(struct addr *a)
{
    if (a->family != ADDR_V6 || memcmp(a->ip, mapped, sizeof mapped) != 0)
        return;
    memcpy(a->ip, a->ip + 12, 4);
    memset(a->ip + 4, 0, 12);
    a->family = ADDR_V4;
}

bool addr_eq_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, ip_bytes(a)) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_eq_ip(a, b);
}

bool addr_any(const struct addr *a)
{
    static const uint8_t zero[16];
    return ip_bytes(a) && memcmp(a->ip, zero, ip_bytes(a)) == 0;
}

bool addr_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    if (a->family == ADDR_V4)
        return a->ip[0] == 127;
    return a->family == ADDR_V6 && memcmp(a->ip, one, 16) == 0;
}

uint64_t addr_hash(const struct sipkey *k, const struct addr *a)
{
    char b[19] = {(char)a->family, (char)(a->port >> 8), (char)a->port};
    memcpy(b + 3, a->ip, ip_bytes(a));
    return siphash(k, str_of(b, 3 + ip_bytes(a)));
}

static void put_hex16(struct out *o, unsigned v)
{
    static const char digits[] = "0123456789abcdef";
    int shift = v > 0xfff ? 12 : v > 0xff ? 8 : v > 0xf ? 4 : 0;
    for (; shift >= 0; shift -= 4)
        out_ch(o, digits[v >> shift & 15]);
}

/* RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of
 * equals) as "::". */
static void put_v6(struct out *o, const uint8_t ip[16])
{
    unsigned group[8], best = 8, best_n = 1;
    for (unsigned i = 0; i < 8; i++)
        group[i] = (unsigned)(ip[2 * i] << 8 | ip[2 * i + 1]);
    for (unsigned i = 0, n = 0; i < 8; i++) {
        n = group[i] ? 0 : n + 1;
        if (n > best_n) {
            best_n = n;
            best = i + 1 - n;
        }
    }
    for (unsigned i = 0; i < 8;) {
        if (i == best) {
            OUT_LIT(o, "::");
            i += best_n;
            continue;
        }
        if (i && i != best + best_n)
            out_ch(o, ':');
        put_hex16(o, group[i++]);
    }
}

void addr_put_ip(struct out *o, const struct addr *a)
{
    char text[ADDR_TEXT_MAX]; /* one write, so that a full buffer never holds half an address */
    struct out t = out_of(text, sizeof text);
    if (a->family == ADDR_V6)
        put_v6(&t, a->ip);
    for (size_t i = 0; a->family == ADDR_V4 && i < 4; i++) {
        if (i)
            out_ch(&t, '.');
        out_u64(&t, a->ip[i]);
    }
    out_put(o, out_str(&t));
}

void addr_put_host(struct out *o, const struct addr *a)
{
    if (a->family == ADDR_V6)
        out_ch(o, '[');
    addr_put_ip(o, a);
    if (a->family == ADDR_V6)
        out_ch(o, ']');
}

void addr_put(struct out *o, const struct addr *a)
{
    addr_put_host(o, a);
    if (a->port == 0)
        return;
    out_ch(o, ':');
    out_u64(o, a->port);
}

static void clear_host_bits(struct prefix *p)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = p->bits > 8 * i ? MIN(p->bits - 8 * i, 8u) : 0;
        p->a.ip[i] = (uint8_t)(p->a.ip[i] & (0xff00u >> keep));
    }
}

enum err prefix_parse(struct str s, struct prefix *ret_p)
{
    struct prefix p;
    struct str ip;
    struct str rest = str_cut(s, '/', &ip);
    bool slash = ip.n < s.n;
    if (addr_parse_ip(ip, &p.a) != OK)
        return ERR_SYNTAX;
    /* A mapped address was folded: its length counts from the 96 bits that went. */
    uint32_t full = p.a.family == ADDR_V4 ? 32 : 128, bits = full;
    uint32_t gone = full == 32 && str_find(ip, ':') < ip.n ? 96 : 0;
    if (slash && str_u32(rest, full + gone, &bits) != OK)
        return ERR_SYNTAX;
    if (slash && bits < gone)
        return ERR_SYNTAX;
    p.bits = (uint8_t)(slash ? bits - gone : full);
    clear_host_bits(&p);
    *ret_p = p;
    return OK;
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
    struct addr f = *a;
    addr_fold(&f);
    if (p->a.family != f.family || ip_bytes(&f) == 0)
        return false;
    unsigned whole = p->bits / 8, rest = p->bits % 8;
    if (memcmp(p->a.ip, f.ip, whole) != 0)
        return false;
    return rest == 0 || ((p->a.ip[whole] ^ f.ip[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
