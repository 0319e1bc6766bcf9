#include "wire/dns/dns.h"
#include "base/cur.h"

#define HEADER    12u
#define CLASS_IN  1u
#define FLAG_QR   0x8000u
#define FLAG_TC   0x0200u
#define LABELS    128u
#define SKIP_MAX  512u /* records of all sections: a resolver's answer has far fewer */
#define TTL_LIMIT 0x7fffffffu

static bool label_char(char c)
{
    return (c >= 'a' && c <= 'z') || ascii_digit(c) || c == '-' || c == '_';
}

/* One label; false: a byte that no name of ours has, or too long. */
static bool label_add(struct dns_name *n, struct str label)
{
    size_t dot = n->n > 0;
    if (label.n == 0 || label.n > 63 || n->n + dot + label.n > DNS_NAME_MAX)
        return false;
    if (dot)
        n->text[n->n++] = '.';
    for (size_t i = 0; i < label.n; i++) {
        char c = ascii_lower(label.p[i]);
        if (!label_char(c))
            return false;
        n->text[n->n++] = c;
    }
    return true;
}

enum err dns_name_of(struct str text, struct dns_name *ret_n)
{
    struct dns_name n = {0};
    struct str label;
    if (text.n && text.p[text.n - 1] == '.')
        text.n--;
    while (text.n) {
        size_t had = text.n;
        text = str_cut(text, '.', &label);
        if (!label_add(&n, label) || (!text.n && label.n + 1 == had))
            return ERR_SYNTAX; /* the second: two dots at the end */
    }
    if (!n.n)
        return ERR_SYNTAX;
    *ret_n = n;
    return OK;
}

/* RFC 1035 4.1.4. A pointer must lead before the place where its part of the name began. ret_good:
 * every label is one of ours. */
static void name(struct cur *c, struct dns_name *ret_n, bool *ret_good)
{
    struct cur at = *c;
    size_t begin = at.at;
    bool jumped = false, good = true;
    ret_n->n = 0;
    for (unsigned i = 0; i < LABELS; i++) {
        uint8_t n = cur_u8(&at);
        if (n >= 0xc0) {
            size_t to = (size_t)(n & 0x3f) << 8 | cur_u8(&at);
            if (!jumped)
                *c = at;
            if (at.bad || to >= begin || to < HEADER)
                break;
            jumped = true;
            begin = at.at = to;
            continue;
        }
        if (n > 63 || at.bad)
            break;
        if (n == 0) {
            if (!jumped)
                *c = at;
            *ret_good = good;
            return;
        }
        struct str label = cur_take(&at, n);
        good = !at.bad && good && label_add(ret_n, label);
    }
    c->bad = true;
}

static bool text(struct cur *c, struct dns_text *ret_t)
{
    struct str s = cur_take(c, cur_u8(c));
    if (c->bad || s.n > DNS_TEXT_MAX)
        return false;
    ret_t->n = (uint8_t)s.n;
    for (size_t i = 0; i < s.n; i++)
        ret_t->text[i] = ascii_lower(s.p[i]);
    return true;
}

static bool naptr(struct cur *c, struct dns_record *r)
{
    bool good;
    r->order = cur_u16(c);
    r->rank = cur_u16(c);
    bool flags = text(c, &r->flags), services = text(c, &r->services);
    uint8_t n = cur_u8(c);
    r->regexp = n > 0;
    cur_skip(c, n);
    name(c, &r->name, &good);
    return !c->bad && good && flags && services;
}

static bool srv(struct cur *c, struct dns_record *r)
{
    bool good;
    r->order = cur_u16(c);
    r->rank = cur_u16(c);
    r->port = cur_u16(c);
    name(c, &r->name, &good);
    return !c->bad && good;
}

static bool address(struct cur *c, uint8_t family, struct dns_record *r)
{
    struct str ip = cur_take(c, family == ADDR_V4 ? 4 : 16);
    if (c->bad)
        return false;
    r->addr.family = family;
    memcpy(r->addr.ip, ip.p, ip.n);
    addr_fold(&r->addr);
    return r->addr.family == family; /* a mapped IPv4 address has no place in an AAAA */
}

/* The record's data, to its last byte; false: well formed, but not for us. */
static bool data(struct cur *c, enum dns_type t, struct dns_record *r)
{
    switch (t) {
    case DNS_A:
        return address(c, ADDR_V4, r);
    case DNS_AAAA:
        return address(c, ADDR_V6, r);
    case DNS_SRV:
        return srv(c, r);
    case DNS_NAPTR:
        return naptr(c, r);
    case DNS_CNAME:
    case DNS_SOA:
    default:
        return false;
    }
}

static void soa(struct cur *c, uint32_t ttl, struct dns_msg *m)
{
    struct dns_name who;
    bool good;
    name(c, &who, &good);
    name(c, &who, &good);
    cur_skip(c, 16);
    uint32_t least = cur_u32(c);
    m->negative_s = MIN(ttl, least);
}

struct head {
    uint16_t type, class;
    uint32_t ttl;
    size_t end; /* of its data */
};

static struct head head(struct cur *c)
{
    struct dns_name owner;
    bool good;
    name(c, &owner, &good);
    struct head h = {.type = cur_u16(c), .class = cur_u16(c), .ttl = cur_u32(c)};
    uint16_t n = cur_u16(c);
    if (h.ttl > TTL_LIMIT)
        h.ttl = 0; /* RFC 2181 section 8 */
    if (n > cur_left(c))
        c->bad = true;
    h.end = c->at + n;
    return h;
}

/* A full house keeps those that come first by order or priority. */
static void keep(struct dns_msg *m, const struct dns_record *r)
{
    uint32_t last = 0;
    if (m->n < DNS_RECORDS) {
        m->rr[m->n++] = *r;
        return;
    }
    m->cut = true;
    for (uint32_t i = 1; i < m->n; i++)
        last = m->rr[i].order > m->rr[last].order ? i : last;
    if (r->order < m->rr[last].order)
        m->rr[last] = *r;
}

static void answer(struct cur *c, enum dns_type want, struct dns_msg *m)
{
    struct head h = head(c);
    if (c->bad)
        return;
    m->ttl_s = m->ttl_s == UINT32_MAX ? h.ttl : MIN(m->ttl_s, h.ttl);
    if (h.type == want && h.class == CLASS_IN) {
        struct dns_record r = {0};
        bool good = data(c, want, &r);
        c->bad = c->bad || c->at != h.end;
        m->odd += !good;
        if (good)
            keep(m, &r);
    }
    c->at = h.end;
}

static void authority(struct cur *c, struct dns_msg *m)
{
    struct head h = head(c);
    if (c->bad)
        return;
    if (h.type == DNS_SOA && h.class == CLASS_IN) {
        soa(c, h.ttl, m);
        c->bad = c->bad || c->at != h.end;
    }
    c->at = h.end;
}

enum err dns_parse(const void *p, size_t n, enum dns_type want, struct dns_msg *ret_m)
{
    struct cur c = cur_of(p, n);
    struct dns_name q;
    bool good;
    (void)cur_u16(&c);
    uint16_t flags = cur_u16(&c), n_q = cur_u16(&c), n_an = cur_u16(&c), n_ns = cur_u16(&c);
    (void)cur_u16(&c); /* additional records are nobody's promise: not read */
    if (c.bad || !(flags & FLAG_QR) || (flags & FLAG_TC) || n_q > 1 ||
        (uint32_t)n_an + n_ns > SKIP_MAX)
        return ERR_SYNTAX;
    for (unsigned i = 0; i < n_q; i++) {
        name(&c, &q, &good);
        cur_skip(&c, 4);
    }
    ret_m->rcode = flags & 15;
    ret_m->cut = false;
    ret_m->n = ret_m->odd = 0;
    ret_m->ttl_s = ret_m->negative_s = UINT32_MAX;
    for (unsigned i = 0; i < n_an && !c.bad; i++)
        answer(&c, want, ret_m);
    for (unsigned i = 0; i < n_ns && !c.bad; i++)
        authority(&c, ret_m);
    if (ret_m->ttl_s == UINT32_MAX)
        ret_m->ttl_s = 0;
    if (c.bad)
        ret_m->n = 0;
    return c.bad ? ERR_SYNTAX : OK;
}
