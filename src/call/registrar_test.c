#include "call/fixture_test.h"

static struct policy p;
static struct registrar g;
static struct sip_msg m;
static struct request r;
static struct registrar_result res;
static char text[4096], fields[2048];
static struct out o;
static int64_t now_s;

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    g = (struct registrar){
        .policy = &p, .hash_key = {1, 2}, .own = test_calloc(1, location_bytes(8))};
    assert_ok(location_attach(g.own, 8));
    now_s = 1000;
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
                     "203.0.113.5:9;branch=z9hG4bKx\r\nMax-Forwards: 70\r\nFrom: "
                     "<sip:alice@example.com>;tag=1\r\n"
                     "To: <sip:alice@example.com>\r\nCall-ID: %s\r\nCSeq: %u "
                     "REGISTER\r\n%sContent-Length: 0\r\n\r\n",
                     call_id, cseq, extra);
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

static size_t bound(struct binding *b)
{
    return location_lookup(&g.own, 1, &g.hash_key, STR("alice@example.com"),
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
                                       T(where_the_phone_will_be_called)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
