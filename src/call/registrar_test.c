#include "call/fixture_test.h"

static struct policy p;
static struct registrar g;
static struct sip_msg m;
static struct request r;
static struct registrar_result res;
static char text[4096], fields[2048];
static struct out o;
static int64_t now_s;
static const char *second_via; /* a whole line, or empty */

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    g = (struct registrar){
        .policy = &p, .hash_key = {1, 2}, .own = test_calloc(1, location_bytes(8))};
    assert_ok(location_attach(g.own, 8));
    now_s = 1000;
    second_via = "";
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    test_free(g.own);
    return 0;
}

static unsigned reg_from(const char *call_id, unsigned cseq, const char *extra, struct flow f)
{
    int n = snprintf(text, sizeof text,
                     "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
                     "203.0.113.5:9;branch=z9hG4bKx\r\n%sMax-Forwards: 70\r\nFrom: "
                     "<sip:alice@example.com>;tag=1\r\n"
                     "To: <sip:alice@example.com>\r\nCall-ID: %s\r\nCSeq: %u "
                     "REGISTER\r\n%sContent-Length: 0\r\n\r\n",
                     second_via, call_id, cseq, extra);
    struct sip_error err;
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &m, &err));
    request_init(&r, &m, &f, (struct now){{now_s * 1000000}, {now_s * 1000000}});
    r.zone = 1;
    o = out_of(fields, sizeof fields);
    registrar_register(&g, &r, &o, &res);
    return res.code;
}

static unsigned reg(const char *call_id, unsigned cseq, const char *extra)
{
    return reg_from(
        call_id, cseq, extra,
        (struct flow){.proto = PROTO_UDP, .listener = 1, .peer = fixture_addr("203.0.113.5:9")});
}

static const char *str_search_p(struct str s, const char *what)
{
    size_t at = str_search(s, str_c(what));
    return at < s.n ? s.p + at : NULL;
}

static const struct location_view *own(void)
{
    static struct location_view v;
    v = location_own(g.own);
    return &v;
}

static size_t bound(struct binding *b)
{
    return location_lookup(own(), 1, &g.hash_key, STR("alice@example.com"),
                           (struct wall){now_s * 1000000}, b, 8);
}

static void register_refresh_remove(void **state)
{
    (void)state;
    struct binding b[8];
    assert_int_equal(reg("a", 1, "Contact: <sip:alice@203.0.113.5:9>\r\nExpires: 100\r\n"), 200);
    assert_str(out_str(&o), "Contact: <sip:alice@203.0.113.5:9>;expires=100\r\n");
    assert_int_equal(res.n_facts, 1);
    assert_int_equal(res.facts[0].kind, FACT_REGISTERED);
    now_s += 50;
    assert_int_equal(
        reg("a", 2, "Contact: <sip:alice@203.0.113.5:9>;expires=200\r\nExpires: 100\r\n"), 200);
    assert_int_equal(res.n_facts, 0);
    assert_int_equal(bound(b), 1);
    assert_int_equal(b[0].expires.us, (now_s + 200) * 1000000);
    assert_int_equal(reg("a", 3, "Contact: <sip:alice@203.0.113.5:9>;expires=0\r\n"), 200);
    assert_int_equal(res.facts[0].kind, FACT_UNREGISTERED);
    assert_int_equal(bound(b), 0);
    assert_int_equal(o.n, 0);
}

static void without_contact_it_is_a_question(void **state)
{
    (void)state;
    assert_int_equal(reg("a", 1, "Contact: <sip:x@203.0.113.5>;q=0.25\r\n"), 200);
    assert_int_equal(reg("b", 1, ""), 200);
    assert_str(out_str(&o), "Contact: <sip:x@203.0.113.5>;expires=3600;q=0.250\r\n");
}

static void limits(void **state)
{
    (void)state;
    char extra[600], longer[LOCATION_CONTACT_MAX + 2];
    assert_int_equal(reg("a", 1, "Contact: <sip:x@203.0.113.5>\r\nExpires: 59\r\n"), 423);
    assert_str(out_str(&o), "Min-Expires: 60\r\n");
    assert_int_equal(reg("a", 2, "Contact: <sip:x@203.0.113.5>\r\nExpires: 60\r\n"), 200);
    assert_int_equal(reg("a", 3, "Contact: <sip:x@203.0.113.5>\r\nExpires: 99999\r\n"), 200);
    assert_str(out_str(&o), "Contact: <sip:x@203.0.113.5>;expires=7200\r\n");
    assert_int_equal(reg("b", 1, "Contact: <sip:1@h>, <sip:2@h>, <sip:3@h>\r\n"), 403);
    assert_int_equal(res.reason, REASON_reg_contacts_limit);
    assert_int_equal(reg("b", 2, "Contact: <sip:1@h>, <sip:2@h>\r\n"), 200);
    for (int over = 0; over < 2; over++) {
        memset(longer, 'a', sizeof longer);
        memcpy(longer, "sip:", 4);
        longer[LOCATION_CONTACT_MAX + (size_t)over] = 0;
        longer[8] = '@';
        (void)snprintf(extra, sizeof extra, "Contact: <%s>;expires=0\r\n", longer);
        assert_int_equal(reg("c", 1, extra), over ? 400 : 200);
    }
}

static void all_or_nothing(void **state)
{
    (void)state;
    struct binding b[8];
    assert_int_equal(reg("a", 1, "Contact: <sip:1@h>, <http://x>\r\n"), 400);
    assert_int_equal(res.reason, REASON_reg_contact_syntax);
    assert_int_equal(reg("a", 1, "Contact: <sip:1@h>, <sip:2@h>;expires=5\r\n"), 423);
    assert_int_equal(bound(b), 0);
}

static void star(void **state)
{
    (void)state;
    struct binding b[8];
    assert_int_equal(reg("a", 1, "Contact: <sip:1@h>\r\n"), 200);
    assert_int_equal(reg("b", 1, "Contact: <sip:2@h>\r\n"), 200);
    assert_int_equal(reg("a", 2, "Contact: *\r\n"), 400);
    assert_int_equal(reg("a", 2, "Contact: *\r\nExpires: 10\r\n"), 400);
    assert_int_equal(reg("a", 1, "Contact: *\r\nExpires: 0\r\n"), 500);
    assert_int_equal(bound(b), 2);
    assert_int_equal(reg("a", 2, "Contact: *\r\nExpires: 0\r\n"), 200);
    assert_int_equal(bound(b), 0);
}

static void older_requests_do_not_undo_newer_ones(void **state)
{
    (void)state;
    assert_int_equal(reg("a", 5, "Contact: <sip:1@h>\r\nExpires: 100\r\n"), 200);
    assert_int_equal(reg("a", 4, "Contact: <sip:1@h>\r\nExpires: 0\r\n"), 500);
    assert_int_equal(res.reason, REASON_reg_order);
    assert_int_equal(reg("other", 1, "Contact: <sip:1@h>\r\nExpires: 0\r\n"), 200);
}

static void escaped_nul_makes_another_contact(void **state) /* RFC 4475 3.1.1.4 */
{
    (void)state;
    struct binding b[8];
    assert_int_equal(reg("a", 1, "Contact: <sip:%00@h>, <sip:%00%00@h>\r\n"), 200);
    assert_int_equal(bound(b), 2);
}

static void other_domains_are_not_served(void **state)
{
    (void)state;
    p.domains[0] = fixture_text(&p, "other.example");
    assert_int_equal(reg("a", 1, "Contact: <sip:1@h>\r\n"), 404);
}

static void table_full(void **state)
{
    (void)state;
    struct binding b = {.aor_hash = 9, .aor_len = 1, .contact_len = 1, .expires = {INT64_MAX}};
    for (char i = 0; i < 8; i++) {
        b.contact[0] = (char)('a' + i);
        assert_ok(location_put(g.own, &b));
    }
    assert_int_equal(reg("a", 1, "Contact: <sip:1@h>\r\n"), 503);
    assert_int_equal(res.reason, REASON_capacity_bindings);
}

/* A registration must not be able to aim calls at third parties. */
static void where_the_phone_will_be_called(void **state)
{
    (void)state;
    struct binding b[8];
    p.zones[1].n_sources = 1;
    p.zones[1].sources[0] = fixture_prefix("203.0.113.0/24");
    assert_int_equal(reg("a", 1, "Contact: <sip:x@203.0.113.77:7000>\r\n"), 200);
    assert_int_equal(bound(b), 1);
    assert_true(addr_eq(&b[0].flow.peer,
                        &(struct addr){.family = ADDR_V4, .port = 7000, .ip = {203, 0, 113, 77}}));
    assert_int_equal(reg("b", 1, "Contact: *\r\nExpires: 0\r\n"), 200);
    assert_int_equal(reg("a", 2, "Contact: <sip:x@198.51.100.66:7000>\r\n"), 200);
    assert_int_equal(bound(b), 1);
    assert_true(addr_eq(&b[0].flow.peer, &r.flow.peer));
    assert_int_equal(reg("b", 2, "Contact: *\r\nExpires: 0\r\n"), 200);
    p.zones[1].nat = true;
    assert_int_equal(reg("a", 3, "Contact: <sip:x@203.0.113.77:7000>\r\n"), 200);
    assert_int_equal(bound(b), 1);
    assert_true(addr_eq(&b[0].flow.peer, &r.flow.peer));
}

static struct flow tls_from(const char *source, uint32_t conn)
{
    return (struct flow){
        .proto = PROTO_TLS, .listener = 0, .conn = {conn, 1}, .peer = fixture_addr(source)};
}

#define I1 ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\""
#define I2 ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e129>\""

/* RFC 5626 section 6: one phone, two flows; each is refreshed and replaced by itself, and calls go
 * to one of them. */
static void flows_of_one_phone(void **state)
{
    (void)state;
    struct binding b[8], other;
    struct flow one = tls_from("203.0.113.5:4001", 1), two = tls_from("203.0.113.5:4002", 2),
                again = tls_from("203.0.113.5:4003", 3);
    static const char first[] = "Supported: path, outbound\r\n"
                                "Contact: <sip:alice@192.168.1.9;ob>" I1 ";reg-id=1\r\n",
                      second[] = "Supported: outbound\r\n"
                                 "Contact: <sip:alice@192.168.1.9;ob>" I1 ";reg-id=2\r\n";
    assert_int_equal(reg_from("a", 1, first, one), 200);
    assert_true(str_ends(out_str(&o), STR("Require: outbound\r\nFlow-Timer: 120\r\n")));
    assert_int_equal(reg_from("a", 2, second, two), 200);
    assert_int_equal(g.own->used, 2);
    assert_int_equal(bound(b), 1);
    assert_int_equal(b[0].flow.conn.index, 2);
    assert_true(location_other(own(), 1, &g.hash_key, STR("alice@example.com"),
                               (struct wall){now_s * 1000000}, &two,
                               STR("sip:alice@192.168.1.9;ob"), &other));
    assert_int_equal(other.flow.conn.index, 1);
    assert_false(location_other(own(), 1, &g.hash_key, STR("alice@example.com"),
                                (struct wall){now_s * 1000000}, &one,
                                STR("sip:alice@192.168.1.9;ob"), &other));
    assert_int_equal(reg_from("a", 3, first, again), 200); /* the first flow anew */
    assert_int_equal(g.own->used, 2);
    assert_int_equal(bound(b), 1);
    assert_int_equal(b[0].flow.conn.index, 3);
    assert_int_equal(reg_from("b", 1, "Contact: <sip:alice@192.168.1.9>" I2 ";reg-id=1\r\n", one),
                     200);
    assert_null(str_search_p(out_str(&o), "outbound")); /* it did not say that it knows */
    assert_int_equal(bound(b), 2);                      /* another phone */
    assert_int_equal(reg_from("a", 4, "Contact: *\r\nExpires: 0\r\n", again), 200);
    assert_int_equal(bound(b), 0);
}

/* The connection of a restored flow is gone: an older one that lives is better. */
static void a_restored_stream_is_the_last_hope(void **state)
{
    (void)state;
    struct binding b[8];
    static const char first[] = "Contact: <sip:alice@192.168.1.9>" I1 ";reg-id=1\r\n",
                      second[] = "Contact: <sip:alice@192.168.1.9>" I1 ";reg-id=2\r\n";
    assert_int_equal(reg_from("a", 1, first, tls_from("203.0.113.5:4001", 1)), 200);
    assert_int_equal(reg_from("a", 2, second, tls_from("203.0.113.5:4002", 2)), 200);
    assert_int_equal(bound(b), 1);
    b[0].flags |= BINDING_RESTORED;
    assert_ok(location_put(g.own, &b[0]));
    assert_int_equal(bound(b), 1);
    assert_int_equal(b[0].flow.conn.index, 1);
}

static void reg_id_by_the_book(void **state)
{
    (void)state;
    struct binding b[8];
    struct flow f = tls_from("203.0.113.5:4001", 1);
    static const char *const bad[] = {"0", "-1", "2147483648", "x"};
    char extra[256];
    assert_int_equal(reg_from("a", 1, "Contact: <sip:1@h>;reg-id=1\r\nSupported: outbound\r\n", f),
                     200); /* ignored: no instance */
    assert_null(str_search_p(out_str(&o), "Flow-Timer"));
    assert_int_equal(bound(b), 1);
    assert_int_equal(b[0].instance, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        (void)snprintf(extra, sizeof extra, "Contact: <sip:2@h>" I1 ";reg-id=%s\r\n", bad[i]);
        assert_int_equal(reg_from("b", 1, extra, f), 400);
        assert_int_equal(res.reason, REASON_reg_flow_id);
    }
    assert_int_equal(reg_from("b", 1, "Contact: <sip:2@h>" I1 ";reg-id=2147483647\r\n", f), 200);
    assert_int_equal(bound(b), 2);
    /* Two that stay, one of them a flow; one that goes does not count. */
    assert_int_equal(reg_from("b", 2, "Contact: <sip:2@h>" I1 ";reg-id=1, <sip:3@h>\r\n", f), 400);
    assert_int_equal(res.reason, REASON_reg_flow_id);
    assert_int_equal(
        reg_from("b", 2, "Contact: <sip:2@h>" I1 ";reg-id=1, <sip:1@h>;expires=0\r\n", f), 200);
}

/* Over UDP it would need STUN. */
static void no_outbound_over_udp(void **state)
{
    (void)state;
    assert_int_equal(reg("a", 1, "Supported: outbound\r\nContact: <sip:1@h>" I1 ";reg-id=1\r\n"),
                     200);
    assert_null(str_search_p(out_str(&o), "Flow-Timer"));
    assert_null(str_search_p(out_str(&o), "Require"));
}

/* A phone that came by another port or connection is where it is now. */
static void a_binding_moves_with_its_phone(void **state)
{
    (void)state;
    struct binding b[8];
    p.zones[1].nat = true;
    for (unsigned i = 0; i < 3; i++) {
        char source[32], extra[128];
        (void)snprintf(source, sizeof source, "203.0.113.9:%u", 2000 + i);
        struct flow f = {.proto = PROTO_UDP, .listener = 1, .peer = fixture_addr(source)};
        (void)snprintf(extra, sizeof extra, "Contact: <sip:alice@192.168.1.%u>" I1 "\r\n", 9 + i);
        assert_int_equal(reg_from("a", i + 1, extra, f), 200);
        assert_int_equal(bound(b), 1);
        assert_int_equal(b[0].flow.peer.port, 2000 + i);
        assert_true(b[0].flags & BINDING_NAT);
    }
    /* Without instance: the same Contact and Call-ID. */
    for (unsigned i = 0; i < 3; i++) {
        char source[32];
        (void)snprintf(source, sizeof source, "203.0.113.%u:%u", 20 + i, 3000 + i);
        struct flow f = {.proto = PROTO_UDP, .listener = 1, .peer = fixture_addr(source)};
        assert_int_equal(reg_from("c", i + 1, "Contact: <sip:a@192.168.1.77>\r\n", f), 200);
        assert_int_equal(bound(b), 2);
    }
}

/* The same private address behind two NATs, without instance: two phones. */
static void same_contact_behind_different_nats(void **state)
{
    (void)state;
    struct binding b[8];
    struct flow home = {.proto = PROTO_UDP,
                        .listener = 1,
                        .peer = fixture_addr("203.0.113.9:2000")},
                work = {
                    .proto = PROTO_UDP, .listener = 1, .peer = fixture_addr("203.0.113.8:2000")};
    for (int nat = 0; nat < 2; nat++) {
        p.zones[1].nat = nat;
        assert_int_equal(reg_from("home", 1, "Contact: <sip:alice@192.168.1.9>\r\n", home), 200);
        assert_int_equal(reg_from("work", 1, "Contact: <sip:alice@192.168.1.9>\r\n", work), 200);
        assert_int_equal(bound(b), nat ? 2 : 1);
        if (nat) { /* after a restart of the phone: another Call-ID from the same address */
            assert_int_equal(reg_from("new", 1, "Contact: <sip:alice@192.168.1.9>\r\n", work), 200);
            assert_int_equal(bound(b), 2);
        }
        assert_int_equal(reg_from("x", 1, "Contact: *\r\nExpires: 0\r\n", work), 200);
    }
}

static void who_is_behind_nat(void **state)
{
    (void)state;
    static const struct {
        const char *source, *contact;
        bool zone, nat;
    } rows[] = {
        {"203.0.113.5:5060", "sip:a@203.0.113.5", true, false},
        {"203.0.113.5:5062", "sip:a@203.0.113.5:5062", true, false},
        {"203.0.113.5:5062", "sip:a@203.0.113.5", true, true}, /* its port was changed */
        {"203.0.113.5:5060", "sip:a@192.168.1.9", true, true},
        {"203.0.113.5:5060", "sip:a@phone.test", true, false}, /* a name tells nothing */
        {"203.0.113.6:5060", "sip:a@phone.test", true, true},  /* but its Via does */
        {"203.0.113.5:5060", "sip:a@192.168.1.9", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct binding b[8];
        char extra[128], id[8];
        struct flow f = {.proto = PROTO_UDP, .listener = 1, .peer = fixture_addr(rows[i].source)};
        p.zones[1].nat = rows[i].zone;
        (void)snprintf(extra, sizeof extra, "Contact: <%s>\r\n", rows[i].contact);
        (void)snprintf(id, sizeof id, "n%zu", i);
        assert_int_equal(reg_from(id, 1, extra, f), 200);
        assert_int_equal(bound(b), 1);
        assert_int_equal(!!(b[0].flags & BINDING_NAT), rows[i].nat);
        assert_int_equal(reg_from("x", 1, "Contact: *\r\nExpires: 0\r\n", f), 200);
    }
}

/* Over UDP through NAT the refresh keeps the mapping; a stream keeps itself. */
static void short_life_behind_nat(void **state)
{
    (void)state;
    p.zones[1].nat = true;
    assert_int_equal(reg("a", 1, "Contact: <sip:x@203.0.113.5>;expires=121\r\n"), 200);
    assert_str(out_str(&o), "Contact: <sip:x@203.0.113.5>;expires=120\r\n");
    assert_int_equal(reg("a", 2, "Contact: <sip:x@203.0.113.5>;expires=119\r\n"), 200);
    assert_str(out_str(&o), "Contact: <sip:x@203.0.113.5>;expires=119\r\n");
    p.limits.register_min_s = 300;
    assert_int_equal(reg("a", 3, "Contact: <sip:x@203.0.113.5>;expires=900\r\n"), 200);
    assert_str(out_str(&o), "Contact: <sip:x@203.0.113.5>;expires=300\r\n");
    assert_int_equal(reg_from("b", 1, "Contact: <sip:x@203.0.113.5>;expires=900\r\n",
                              tls_from("203.0.113.5:9", 1)),
                     200);
    assert_str(out_str(&o), "Contact: <sip:x@203.0.113.5>;expires=900\r\n");
}

/* RFC 3327: the proxies on the way, for the Route of calls to that phone. */
static void path_is_kept(void **state)
{
    (void)state;
    struct binding b[8];
    static const char path[] = "Path: <sip:edge@203.0.113.80;lr>\r\n"
                               "Path: <sip:203.0.113.81;lr>, <sip:203.0.113.82;lr;ob>;x=1\r\n";
    char extra[512];
    (void)snprintf(extra, sizeof extra,
                   "%sSupported: path\r\nContact: <sip:x@203.0.113.7:7000>\r\n", path);
    assert_int_equal(reg("a", 1, extra), 200);
    assert_non_null(str_search_p(out_str(&o), "\r\nPath: <sip:edge@203.0.113.80;lr>\r\n"));
    assert_non_null(str_search_p(out_str(&o), "<sip:203.0.113.82;lr;ob>"));
    assert_int_equal(bound(b), 1);
    assert_str(str_of(b[0].contact, b[0].contact_len), "sip:x@203.0.113.7:7000");
    assert_str(binding_path(&b[0]), "<sip:edge@203.0.113.80;lr>,<sip:203.0.113.81;lr>,"
                                    "<sip:203.0.113.82;lr;ob>");
    assert_true(addr_eq(&b[0].flow.peer, &r.flow.peer)); /* to the proxy, not to the phone */
    assert_int_equal(reg("a", 2, "Path: <sip:h;lr>\r\nContact: <sip:x@203.0.113.7:7000>\r\n"), 200);
    assert_null(str_search_p(out_str(&o), "Path: "));
    assert_int_equal(bound(b), 1);
    assert_str(binding_path(&b[0]), "<sip:h;lr>");
    assert_int_equal(reg("a", 3, "Contact: <sip:x@203.0.113.7:7000>\r\n"), 200);
    assert_int_equal(bound(b), 1);
    assert_int_equal(b[0].path_len, 0);
}

static void path_that_cannot_be_used(void **state)
{
    (void)state;
    struct binding b[8];
    char extra[512], host[256];
    static const char *const bad[] = {"<sip:h>", "<tel:1;lr>x", "<>", "*"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        (void)snprintf(extra, sizeof extra, "Path: %s\r\nContact: <sip:1@h>\r\n", bad[i]);
        assert_int_equal(reg("a", 1, extra), 400);
        assert_int_equal(res.reason, REASON_reg_path);
    }
    assert_int_equal(bound(b), 0);
    /* With the 7 bytes of the URI and 9 of "<sip:;lr>" it fits to the byte. */
    for (size_t n = LOCATION_CONTACT_MAX - 16; n <= LOCATION_CONTACT_MAX - 15; n++) {
        memset(host, 'h', n);
        host[n] = 0;
        (void)snprintf(extra, sizeof extra, "Path: <sip:%s;lr>\r\nContact: <sip:1@h>\r\n", host);
        assert_int_equal(reg("a", 1, extra), n == LOCATION_CONTACT_MAX - 16 ? 200 : 400);
    }
    assert_int_equal(res.reason, REASON_reg_path);
    assert_int_equal(bound(b), 1);
    assert_int_equal(b[0].contact_len + b[0].path_len, LOCATION_CONTACT_MAX);
}

/* RFC 5626 section 6: a flow begins at the first proxy, which must keep it. */
static void flows_behind_proxies(void **state)
{
    (void)state;
    static const struct {
        const char *vias, *path, *supported;
        unsigned code;
        bool used;
    } rows[] = {
        {"", "", "outbound", 200, false}, /* over UDP, to us */
        {"Via: SIP/2.0/TLS 192.168.1.9;branch=z9hG4bKa\r\n", "", "outbound", 439, false},
        {"Via: SIP/2.0/TLS 192.168.1.9;branch=z9hG4bKa\r\n", "", "path", 200, false},
        {"Via: SIP/2.0/TLS 192.168.1.9;branch=z9hG4bKa\r\n", "Path: <sip:h;lr>\r\n", "outbound",
         439, false},
        {"Via: SIP/2.0/TLS 192.168.1.9;branch=z9hG4bKa\r\n", "Path: <sip:h;lr;ob>\r\n", "outbound",
         200, true},
        {"Via: SIP/2.0/TLS 192.168.1.9;branch=z9hG4bKa\r\n", "Path: <sip:h;lr;ob>, <sip:i;lr>\r\n",
         "outbound", 439, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char extra[512], id[8];
        second_via = rows[i].vias;
        (void)snprintf(id, sizeof id, "p%zu", i);
        (void)snprintf(extra, sizeof extra,
                       "Supported: %s\r\n%sContact: <sip:x@192.168.1.9>" I1 ";reg-id=1\r\n",
                       rows[i].supported, rows[i].path);
        assert_int_equal(reg(id, 1, extra), rows[i].code);
        if (rows[i].code == 439)
            assert_int_equal(res.reason, REASON_reg_first_hop);
        assert_int_equal(str_search_p(out_str(&o), "Require: outbound") != NULL, rows[i].used);
        assert_null(str_search_p(out_str(&o), "Flow-Timer"));
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(register_refresh_remove),
                                       T(without_contact_it_is_a_question),
                                       T(limits),
                                       T(all_or_nothing),
                                       T(star),
                                       T(older_requests_do_not_undo_newer_ones),
                                       T(escaped_nul_makes_another_contact),
                                       T(other_domains_are_not_served),
                                       T(table_full),
                                       T(where_the_phone_will_be_called),
                                       T(flows_of_one_phone),
                                       T(a_restored_stream_is_the_last_hope),
                                       T(reg_id_by_the_book),
                                       T(no_outbound_over_udp),
                                       T(a_binding_moves_with_its_phone),
                                       T(same_contact_behind_different_nats),
                                       T(who_is_behind_nat),
                                       T(short_life_behind_nat),
                                       T(path_is_kept),
                                       T(path_that_cannot_be_used),
                                       T(flows_behind_proxies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
