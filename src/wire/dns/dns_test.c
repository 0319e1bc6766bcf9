#include "base/cur.h"
#include "base/test.h"
#include "wire/dns/dns.h"

/* A message under construction: header, one question, then records. */
struct make {
    uint8_t b[2048];
    size_t n;
};
static struct make m;
static struct dns_msg got;

static void u8(unsigned v)
{
    m.b[m.n++] = (uint8_t)v;
}
static void u16(unsigned v)
{
    u8(v >> 8);
    u8(v & 0xff);
}
static void u32(uint32_t v)
{
    u16(v >> 16);
    u16(v & 0xffff);
}
static void text(const char *s)
{
    u8((unsigned)strlen(s));
    for (; *s; s++)
        u8((unsigned char)*s);
}
static void name(const char *s)
{
    struct str rest = str_c(s), label;
    while (rest.n) {
        rest = str_cut(rest, '.', &label);
        u8((unsigned)label.n);
        for (size_t i = 0; i < label.n; i++)
            u8((unsigned char)label.p[i]);
    }
    u8(0);
}
static void begin(unsigned flags, unsigned answers, unsigned authority)
{
    m.n = 0;
    u16(7);
    u16(flags);
    u16(1);
    u16(answers);
    u16(authority);
    u16(0);
    name("sip.example.net"); /* at 12 */
    u16(DNS_A);
    u16(1);
}
#define REPLY 0x8180u
static size_t rr(unsigned type, uint32_t ttl)
{
    u16(0xc00c);
    u16(type);
    u16(1);
    u32(ttl);
    u16(0);
    return m.n;
}
static void end(size_t at)
{
    be16_put(m.b + at - 2, (uint16_t)(m.n - at));
}
static void a(uint32_t ip, uint32_t ttl)
{
    size_t at = rr(DNS_A, ttl);
    u32(ip);
    end(at);
}

static void addresses(void **state)
{
    (void)state;
    begin(REPLY, 2, 0);
    a(0xc0000201, 300);
    a(0xc0000202, 60);
    assert_ok(dns_parse(m.b, m.n, DNS_A, &got));
    assert_int_equal(got.rcode, DNS_NOERROR);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.ttl_s, 60);
    assert_int_equal(got.rr[1].addr.ip[3], 2);
    assert_int_equal(got.rr[1].addr.port, 0);
    /* cut anywhere it is no message */
    for (size_t n = 0; n < m.n; n++)
        assert_err(dns_parse(m.b, n, DNS_A, &got), ERR_SYNTAX);
    /* the same, asked for another type: records are read over */
    assert_ok(dns_parse(m.b, m.n, DNS_SRV, &got));
    assert_int_equal(got.n, 0);
    begin(REPLY, 2, 0);
    size_t at = rr(DNS_AAAA, 9);
    u32(0x20010db8);
    u32(0);
    u32(0);
    u32(1);
    end(at);
    at = rr(DNS_AAAA, 9); /* ::ffff:192.0.2.1 is no IPv6 host */
    u32(0);
    u32(0);
    u32(0xffff);
    u32(0xc0000201);
    end(at);
    assert_ok(dns_parse(m.b, m.n, DNS_AAAA, &got));
    assert_int_equal(got.n, 1);
    assert_int_equal(got.odd, 1);
    assert_int_equal(got.rr[0].addr.family, ADDR_V6);
}

static void services(void **state)
{
    (void)state;
    begin(REPLY, 3, 0);
    size_t at = rr(DNS_SRV, 30);
    u16(10);
    u16(60);
    u16(5080);
    u8(2), u8('P'), u8('1'), u16(0xc00c); /* P1 . sip.example.net */
    end(at);
    at = rr(DNS_SRV, 30);
    u16(20);
    u16(0);
    u16(5060);
    name("");
    end(at);
    at = rr(DNS_SRV, 30);
    u16(30);
    u16(0);
    u16(5060);
    name("b\xe4r.example.net"); /* not a name of ours: left out, the others serve */
    end(at);
    assert_ok(dns_parse(m.b, m.n, DNS_SRV, &got));
    assert_int_equal(got.n, 2);
    assert_int_equal(got.odd, 1);
    assert_int_equal(got.rr[0].order, 10);
    assert_int_equal(got.rr[0].rank, 60);
    assert_int_equal(got.rr[0].port, 5080);
    assert_str(dns_name_str(&got.rr[0].name), "p1.sip.example.net");
    assert_int_equal(got.rr[1].name.n, 0);

    begin(REPLY, 1, 0);
    at = rr(DNS_NAPTR, 30);
    u16(50);
    u16(51);
    text("S");
    text("SIPS+D2T");
    text("");
    name("_sips._tcp.example.net");
    end(at);
    assert_ok(dns_parse(m.b, m.n, DNS_NAPTR, &got));
    assert_int_equal(got.n, 1);
    assert_int_equal(got.rr[0].order, 50);
    assert_int_equal(got.rr[0].rank, 51);
    assert_str(str_of(got.rr[0].flags.text, got.rr[0].flags.n), "s");
    assert_str(str_of(got.rr[0].services.text, got.rr[0].services.n), "sips+d2t");
    assert_false(got.rr[0].regexp);
    assert_str(dns_name_str(&got.rr[0].name), "_sips._tcp.example.net");
}

static void refusals(void **state)
{
    (void)state;
    begin(REPLY | DNS_NXDOMAIN, 0, 1);
    size_t at = rr(DNS_SOA, 900);
    name("ns.example.net");
    name("hostmaster.example.net");
    u32(1), u32(2), u32(3), u32(4), u32(45);
    end(at);
    assert_ok(dns_parse(m.b, m.n, DNS_A, &got));
    assert_int_equal(got.rcode, DNS_NXDOMAIN);
    assert_int_equal(got.n, 0);
    assert_int_equal(got.negative_s, 45);
    m.b[at - 6 + 3] = 20; /* its TTL is the lesser now */
    m.b[at - 6 + 2] = 0;
    assert_ok(dns_parse(m.b, m.n, DNS_A, &got));
    assert_int_equal(got.negative_s, 20);
}

static void hostile(void **state)
{
    (void)state;
    begin(0x0100, 0, 0); /* a query */
    assert_err(dns_parse(m.b, m.n, DNS_A, &got), ERR_SYNTAX);
    begin(REPLY | 0x0200, 0, 0); /* truncated */
    assert_err(dns_parse(m.b, m.n, DNS_A, &got), ERR_SYNTAX);
    begin(REPLY, 0xffff, 0);
    assert_err(dns_parse(m.b, m.n, DNS_A, &got), ERR_SYNTAX);
    /* a pointer to itself, forwards, or into the header */
    static const unsigned to[] = {33, 35, 60, 4};
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        begin(REPLY, 1, 0);
        assert_int_equal(m.n, 33);
        u16(0xc000 | to[i]);
        u16(DNS_A), u16(1), u32(1), u16(4), u32(0xc0000201);
        assert_err(dns_parse(m.b, m.n, DNS_A, &got), ERR_SYNTAX);
    }
    /* two pointers at each other */
    begin(REPLY, 1, 0);
    u8(1), u8('x'), u16(0xc000 | 33);
    u16(DNS_A), u16(1), u32(1), u16(4), u32(0xc0000201);
    assert_err(dns_parse(m.b, m.n, DNS_A, &got), ERR_SYNTAX);
    /* data longer and shorter than the type's */
    for (unsigned n = 0; n < 9; n++) {
        begin(REPLY, 1, 0);
        size_t at = rr(DNS_A, 1);
        for (unsigned k = 0; k < n; k++)
            u8(1);
        end(at);
        assert_err(dns_parse(m.b, m.n, DNS_A, &got), n == 4 ? OK : ERR_SYNTAX);
    }
    /* more records than there is room: the first are kept, and it is told */
    begin(REPLY, DNS_RECORDS + 1, 0);
    for (unsigned i = 0; i <= DNS_RECORDS; i++)
        a(0xc0000200 + i, 5);
    assert_ok(dns_parse(m.b, m.n, DNS_A, &got));
    assert_int_equal(got.n, DNS_RECORDS);
    assert_true(got.cut);
    begin(REPLY, DNS_RECORDS + 4, 0); /* the best are last */
    for (unsigned i = 0; i < DNS_RECORDS + 4; i++) {
        size_t at = rr(DNS_SRV, 5);
        u16(100 - i), u16(0), u16(5060), name("x");
        end(at);
    }
    assert_ok(dns_parse(m.b, m.n, DNS_SRV, &got));
    unsigned least = 100;
    for (unsigned i = 0; i < got.n; i++) {
        assert_true(got.rr[i].order <= 96);
        least = MIN(least, got.rr[i].order);
    }
    assert_int_equal(least, 100 - (DNS_RECORDS + 3));
    /* a TTL with its top bit set counts as none (RFC 2181) */
    begin(REPLY, 1, 0);
    a(0xc0000201, 0x80000001);
    assert_ok(dns_parse(m.b, m.n, DNS_A, &got));
    assert_int_equal(got.ttl_s, 0);
}

static void names(void **state)
{
    (void)state;
    struct dns_name n;
    char long_one[300];
    assert_ok(dns_name_of(STR("_sip._UDP.Example.net."), &n));
    assert_str(dns_name_str(&n), "_sip._udp.example.net");
    static const char *const bad[] = {"",    ".",   "..",        "a..b", ".a",
                                      "a..", "a b", "a\xc3\xa4", "a/b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(dns_name_of(str_c(bad[i]), &n), ERR_SYNTAX);
    memset(long_one, 'a', sizeof long_one);
    assert_ok(dns_name_of(str_of(long_one, 63), &n));
    assert_err(dns_name_of(str_of(long_one, 64), &n), ERR_SYNTAX);
    for (size_t i = 49; i < sizeof long_one; i += 50)
        long_one[i] = '.';
    assert_ok(dns_name_of(str_of(long_one, DNS_NAME_MAX), &n));
    assert_int_equal(n.n, DNS_NAME_MAX);
    assert_err(dns_name_of(str_of(long_one, DNS_NAME_MAX + 1), &n), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses), cmocka_unit_test(services), cmocka_unit_test(refusals),
        cmocka_unit_test(hostile),   cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
