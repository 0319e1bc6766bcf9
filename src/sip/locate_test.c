#include "base/test.h"
#include "sip/locate.h"

static struct locate l;
static struct dns_msg msg;

static struct dns_name nm(const char *s)
{
    struct dns_name n = {0};
    if (*s)
        assert_ok(dns_name_of(str_c(s), &n));
    return n;
}

static void start(uint8_t proto, uint16_t port, bool dnssec)
{
    struct locate_ask ask = {.host = nm("example.net"),
                             .port = port,
                             .proto = proto,
                             .family = ADDR_V4,
                             .dnssec = dnssec};
    locate_begin(&l, &ask);
}

/* The one query that is wanted is this one; it is asked now. */
static void wants(unsigned q, const char *name, enum dns_type t)
{
    assert_false(l.done);
    assert_true(q < l.n_queries);
    assert_int_equal(l.query[q].state, LOCATE_WANTED);
    assert_str_eq(dns_name_str(&l.query[q].name), str_c(name));
    assert_int_equal(l.query[q].type, t);
    l.query[q].state = LOCATE_ASKED;
}

static void reply(unsigned q, uint8_t rcode, bool secure)
{
    struct locate_reply r = {LOCATE_REPLY, secure, &msg};
    msg.rcode = rcode;
    locate_answer(&l, q, &r);
    memset(&msg, 0, sizeof msg);
    msg.negative_s = UINT32_MAX;
}

static void outcome(unsigned q, enum locate_outcome o)
{
    struct locate_reply r = {o, false, NULL};
    locate_answer(&l, q, &r);
}

static void naptr(unsigned order, unsigned pref, const char *flags, const char *service,
                  const char *to)
{
    struct dns_record *r = &msg.rr[msg.n++];
    *r = (struct dns_record){.order = (uint16_t)order, .rank = (uint16_t)pref, .name = nm(to)};
    r->flags.n = (uint8_t)strlen(flags);
    memcpy(r->flags.text, flags, r->flags.n);
    r->services.n = (uint8_t)strlen(service);
    memcpy(r->services.text, service, r->services.n);
    msg.ttl_s = 1000;
}

static void srv(unsigned prio, unsigned weight, unsigned port, const char *to)
{
    msg.rr[msg.n++] = (struct dns_record){
        .order = (uint16_t)prio, .rank = (uint16_t)weight, .port = (uint16_t)port, .name = nm(to)};
    msg.ttl_s = 500;
}

static void a(const char *ip, uint32_t ttl)
{
    assert_ok(addr_parse_ip(str_c(ip), &msg.rr[msg.n++].addr));
    msg.ttl_s = ttl;
}

static void is(unsigned i, const char *address)
{
    char text[ADDR_TEXT_MAX];
    struct out o = out_of(text, sizeof text);
    assert_true(i < l.n);
    addr_put(&o, &l.entry[i].a);
    assert_str_eq(out_str(&o), str_c(address));
}

/* RFC 3263 4.1: NAPTR names the SRV owner; only the service of our transport counts. */
static void whole_way(void **state)
{
    (void)state;
    start(PROTO_TCP, 0, false);
    wants(0, "example.net", DNS_NAPTR);
    naptr(50, 50, "s", "sips+d2t", "_sips._tcp.example.net");
    naptr(90, 10, "s", "sip+d2t", "_sip._tcp.late.example.net");
    naptr(80, 60, "s", "sip+d2t", "_sip._tcp.second.example.net");
    naptr(80, 50, "s", "sip+d2t", "_sip._tcp.first.example.net");
    naptr(10, 10, "u", "sip+d2t", "_sip._tcp.uri.example.net");
    naptr(9, 10, "s", "sip+d2t", "_sip._tcp.rewritten.example.net");
    msg.rr[msg.n - 1].regexp = true;
    naptr(100, 50, "s", "sip+d2u", "_sip._udp.example.net");
    reply(0, DNS_NOERROR, true);
    assert_int_equal(l.n_names, 2);
    wants(0, "_sip._tcp.first.example.net", DNS_SRV);
    srv(20, 0, 5070, "c.example.net");
    srv(10, 10, 5080, "a.example.net");
    srv(10, 90, 5090, "b.example.net");
    reply(0, DNS_NOERROR, true);
    wants(0, "b.example.net", DNS_A);
    wants(1, "a.example.net", DNS_A);
    wants(2, "c.example.net", DNS_A);
    a("192.0.2.3", 30);
    reply(2, DNS_NOERROR, true); /* answers come in any order */
    a("192.0.2.1", 40);
    a("192.0.2.11", 40);
    reply(0, DNS_NOERROR, true);
    assert_false(l.done);
    a("192.0.2.2", 50);
    reply(1, DNS_NOERROR, true);
    assert_true(l.done);
    assert_true(l.secure);
    assert_int_equal(l.n, 4);
    assert_int_equal(l.ttl_s, 30);
    is(0, "192.0.2.1:5090");
    is(1, "192.0.2.11:5090");
    is(2, "192.0.2.2:5080");
    is(3, "192.0.2.3:5070");
    assert_int_equal(l.entry[0].weight, 90);
    assert_int_equal(l.entry[0].group, l.entry[1].group);
    assert_int_not_equal(l.entry[1].group, l.entry[2].group);
}

static void without_naptr(void **state)
{
    static const struct {
        uint8_t proto;
        const char *srv, *at;
    } row[] = {{PROTO_UDP, "_sip._udp.example.net", "192.0.2.1:5060"},
               {PROTO_TCP, "_sip._tcp.example.net", "192.0.2.1:5060"},
               {PROTO_TLS, "_sips._tcp.example.net", "192.0.2.1:5061"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        start(row[i].proto, 0, false);
        wants(0, "example.net", DNS_NAPTR);
        naptr(1, 1, "s", "sip+d2s", "_sip._sctp.example.net"); /* none is ours */
        reply(0, DNS_NOERROR, false);
        wants(0, row[i].srv, DNS_SRV);
        msg.negative_s = 17;
        reply(0, DNS_NXDOMAIN, false);
        wants(0, "example.net", DNS_A);
        a("192.0.2.1", 300);
        reply(0, DNS_NOERROR, false);
        assert_true(l.done);
        assert_int_equal(l.n, 1);
        assert_int_equal(l.ttl_s, 17); /* that SRV is missing holds no longer */
        assert_false(l.secure);
        is(0, row[i].at);
    }
    start(PROTO_UDP, 5070, false); /* a port: addresses alone */
    wants(0, "example.net", DNS_A);
    a("192.0.2.1", 300);
    a("192.0.2.1", 300);
    reply(0, DNS_NOERROR, false);
    assert_int_equal(l.n, 1);
    is(0, "192.0.2.1:5070");
}

static void next_naptr(void **state)
{
    (void)state;
    start(PROTO_UDP, 0, false);
    wants(0, "example.net", DNS_NAPTR);
    naptr(1, 1, "s", "sip+d2u", "_sip._udp.one.example.net");
    naptr(1, 2, "s", "sip+d2u", "_sip._udp.two.example.net");
    naptr(2, 1, "s", "sip+d2u", "_sip._udp.three.example.net");
    reply(0, DNS_NOERROR, false);
    wants(0, "_sip._udp.one.example.net", DNS_SRV);
    reply(0, DNS_NOERROR, false);
    wants(0, "_sip._udp.two.example.net", DNS_SRV);
    reply(0, DNS_NOERROR, false);
    wants(0, "example.net", DNS_A); /* a higher order is never looked at (RFC 3403 4.1) */
}

static void ends(enum reason why, bool certain)
{
    assert_true(l.done);
    assert_int_equal(l.n, 0);
    assert_int_equal(l.why, why);
    assert_int_equal(l.certain, certain);
}

static void refusals(void **state)
{
    (void)state;
    start(PROTO_UDP, 0, false);
    wants(0, "example.net", DNS_NAPTR);
    msg.negative_s = 30;
    reply(0, DNS_NXDOMAIN, false);
    ends(REASON_dns_no_name, true);
    assert_int_equal(l.ttl_s, 30);

    start(PROTO_UDP, 0, false);
    wants(0, "example.net", DNS_NAPTR);
    reply(0, DNS_NOERROR, false);
    wants(0, "_sip._udp.example.net", DNS_SRV);
    srv(0, 0, 0, "");
    reply(0, DNS_NOERROR, false);
    ends(REASON_dns_no_service, true);

    start(PROTO_UDP, 5060, false);
    wants(0, "example.net", DNS_A);
    reply(0, DNS_NOERROR, false);
    ends(REASON_dns_no_address, true);

    start(PROTO_UDP, 5060, false);
    wants(0, "example.net", DNS_A);
    reply(0, 2, false); /* SERVFAIL */
    ends(REASON_dns_failed, false);

    start(PROTO_UDP, 5060, false);
    wants(0, "example.net", DNS_A);
    outcome(0, LOCATE_BOGUS);
    ends(REASON_dns_bogus, false);

    /* a server that cannot answer NAPTR does not end it; nor does one target without an address */
    start(PROTO_UDP, 0, false);
    wants(0, "example.net", DNS_NAPTR);
    outcome(0, LOCATE_FAILED);
    wants(0, "_sip._udp.example.net", DNS_SRV);
    srv(1, 0, 5060, "a.example.net");
    srv(2, 0, 5060, "b.example.net");
    reply(0, DNS_NOERROR, false);
    wants(0, "a.example.net", DNS_A);
    wants(1, "b.example.net", DNS_A);
    outcome(0, LOCATE_BOGUS);
    assert_false(l.done);
    a("192.0.2.2", 9);
    reply(1, DNS_NOERROR, false);
    assert_true(l.done);
    assert_int_equal(l.why, REASON_NONE);
    assert_int_equal(l.n, 1);
}

static void signed_only(void **state)
{
    (void)state;
    start(PROTO_UDP, 0, true);
    wants(0, "example.net", DNS_NAPTR);
    reply(0, DNS_NOERROR, false); /* that there is none must be signed, too */
    ends(REASON_dns_unsigned, false);
    start(PROTO_UDP, 0, true);
    wants(0, "example.net", DNS_NAPTR);
    outcome(0, LOCATE_FAILED); /* and must not be forced by silence */
    ends(REASON_dns_failed, false);
    start(PROTO_UDP, 5060, true);
    wants(0, "example.net", DNS_A);
    a("192.0.2.1", 9);
    reply(0, DNS_NOERROR, true);
    assert_true(l.done && l.secure);
    assert_int_equal(l.n, 1);
}

static void many(void **state)
{
    (void)state;
    start(PROTO_UDP, 0, false);
    wants(0, "example.net", DNS_NAPTR);
    reply(0, DNS_NOERROR, false);
    wants(0, "_sip._udp.example.net", DNS_SRV);
    for (unsigned i = 0; i < DNS_RECORDS; i++)
        srv(100 - i, 0, 5060 + i, "a.example.net");
    reply(0, DNS_NOERROR, false);
    assert_int_equal(l.n_queries, LOCATE_QUERIES);
    assert_int_equal(l.query[0].priority, 100 - (DNS_RECORDS - 1)); /* the lowest ones */
    for (unsigned q = 0; q < LOCATE_QUERIES; q++) {
        wants(q, "a.example.net", DNS_A);
        for (unsigned i = 0; i < 3; i++)
            a(i == 0 ? "192.0.2.1" : i == 1 ? "192.0.2.2" : "192.0.2.3", 9);
        reply(q, DNS_NOERROR, false);
    }
    assert_true(l.done);
    assert_int_equal(l.n, LOCATE_ENTRIES);
}

static void given_up(void **state)
{
    (void)state;
    start(PROTO_UDP, 0, false);
    locate_give_up(&l);
    ends(REASON_dns_failed, false);
    start(PROTO_UDP, 0, false);
    wants(0, "example.net", DNS_NAPTR);
    reply(0, DNS_NOERROR, false);
    wants(0, "_sip._udp.example.net", DNS_SRV);
    srv(1, 0, 5060, "a.example.net");
    srv(1, 0, 5060, "b.example.net");
    reply(0, DNS_NOERROR, false);
    wants(0, "a.example.net", DNS_A);
    a("192.0.2.1", 9);
    reply(0, DNS_NOERROR, false);
    locate_give_up(&l); /* what is there serves */
    assert_true(l.done);
    assert_int_equal(l.n, 1);
}

/* RFC 2782: priority decides, then chance by weight. */
static void weights(void **state)
{
    (void)state;
    struct locate_entry e[] = {
        {.priority = 1, .weight = 60, .group = 0}, {.priority = 1, .weight = 30, .group = 1},
        {.priority = 1, .weight = 30, .group = 1}, {.priority = 1, .weight = 10, .group = 2},
        {.priority = 2, .weight = 0, .group = 3},
    };
    unsigned first[ARRAY_LEN(e)] = {0};
    uint8_t order[LOCATE_ENTRIES];
    const unsigned rounds = 20000;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned seen = 0;
        locate_order(e, ARRAY_LEN(e), i, order);
        for (unsigned k = 0; k < ARRAY_LEN(e); k++)
            seen |= 1u << order[k];
        assert_int_equal(seen, 31); /* each once */
        assert_int_equal(order[4], 4);
        first[order[0]]++;
        for (unsigned k = 0; k < 4; k++)
            if (order[k] == 1)
                assert_int_equal(order[k + 1], 2); /* one record's addresses stay together */
    }
    assert_in_range(first[0], rounds * 58 / 100, rounds * 62 / 100);
    assert_in_range(first[1], rounds * 28 / 100, rounds * 32 / 100);
    assert_int_equal(first[2], 0);
    assert_in_range(first[3], rounds * 8 / 100, rounds * 12 / 100);
    /* weight 0 beside others: rarely, but not never */
    e[0].weight = 0;
    e[1].weight = e[2].weight = 99;
    memset(first, 0, sizeof first);
    for (unsigned i = 0; i < rounds; i++) {
        locate_order(e, 3, i, order);
        first[order[0]]++;
    }
    assert_in_range(first[0], 1, rounds * 2 / 100);
    /* all 0 */
    e[0].weight = e[1].weight = e[2].weight = 0;
    locate_order(e, 3, 1, order);
    assert_int_equal(order[0] + order[1] + order[2], 3);
    locate_order(e, 0, 1, order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_way), cmocka_unit_test(without_naptr), cmocka_unit_test(next_naptr),
        cmocka_unit_test(refusals),  cmocka_unit_test(signed_only),   cmocka_unit_test(many),
        cmocka_unit_test(given_up),  cmocka_unit_test(weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
