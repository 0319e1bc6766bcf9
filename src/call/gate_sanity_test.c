/* Every reason for which a request makes no sense, and its nearest neighbour that does. */
#include "call/fixture_test.h"
#include "call/gate.h"

static struct policy p;
static struct gate_env e;
static struct sip_msg m;
static struct request r;
static char text[4096];

static int setup(void **state)
{
    (void)state;
    fixture_policy(&p);
    e = (struct gate_env){.policy = &p, .hash_key = {7, 8}};
    return 0;
}

#define CALLED "sip:100@example.com"
static void parse(const char *method, const char *uri, const char *more)
{
    struct sip_error err;
    struct flow f = {.proto = PROTO_TLS, .peer = fixture_addr("203.0.113.5:9")};
    int n = snprintf(text, sizeof text,
                     "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS 203.0.113.5:9;branch=z9hG4bKx\r\n"
                     "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:100@example.com>\r\n"
                     "Call-ID: c1\r\nCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n",
                     method, uri, method, more);
    if (sip_parse(str_of(text, (size_t)n), false, &m, &err) != OK)
        fail_msg("%s %s: %s", method, uri, more);
    request_init(&r, &m, &f, (struct now){{1}, {1}});
    r.zone = 0;
}

static void expect(enum reason why)
{
    struct verdict v = gate_sanity(&e, &r, NULL);
    if (v.reason != why)
        fail_msg("%.*s, not %.*s: %s", STR_ARG(reason_info(v.reason)->name),
                 STR_ARG(reason_info(why)->name), text);
    assert_int_equal(v.kind, why == REASON_NONE ? VERDICT_PASS : VERDICT_REFUSE);
    assert_int_equal(v.code, why == REASON_NONE ? 0 : reason_info(why)->code);
}

struct row {
    const char *method, *more;
    enum reason why;
};

static void rows(const struct row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        parse(row[i].method, CALLED, row[i].more);
        expect(row[i].why);
    }
}

static void schemes(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        bool served;
    } row[] = {{"sip:100@example.com", true},  {"SIPS:100@example.com", true},
               {"tel:+4930123456", true},      {"urn:service:sos", true},
               {"urn:service:sos.fire", true}, {"urn:service:counseling", false},
               {"http://example.com/", false}, {"mailto:alice@example.com", false},
               {"sipx:100@example.com", false}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        parse("INVITE", row[i].uri, "");
        expect(row[i].served ? REASON_NONE : REASON_sip_uri_scheme);
        r.in_dialog = true;
        expect(row[i].served ? REASON_NONE : REASON_sip_uri_scheme);
    }
    assert_int_equal(reason_info(REASON_sip_uri_scheme)->code, 416);
}

static void hops(void **state)
{
    (void)state;
    static const struct row row[] = {{"INVITE", "", REASON_NONE},
                                     {"INVITE", "Max-Forwards: 0\r\n", REASON_sip_max_forwards},
                                     {"INVITE", "Max-Forwards: 1\r\n", REASON_NONE},
                                     {"INVITE", "Max-Forwards: 70\r\n", REASON_NONE},
                                     {"OPTIONS", "Max-Forwards: 0\r\n", REASON_sip_max_forwards},
                                     {"MESSAGE", "Max-Forwards: 0\r\n", REASON_sip_max_forwards},
                                     {"ACK", "Max-Forwards: 0\r\n", REASON_NONE},
                                     {"CANCEL", "Max-Forwards: 0\r\n", REASON_NONE}};
    rows(row, ARRAY_LEN(row));
    parse("INVITE", CALLED, "Max-Forwards: 0\r\n");
    r.in_dialog = true;
    expect(REASON_NONE);
    assert_int_equal(reason_info(REASON_sip_max_forwards)->code, 483);
}

static void privacy(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"INVITE", "Privacy: id\r\n", REASON_NONE},
        {"INVITE", "Privacy: none\r\n", REASON_NONE},
        {"INVITE", "Privacy: id;critical\r\n", REASON_NONE},
        {"INVITE", "Privacy: user; header; session; history; id; critical\r\n", REASON_NONE},
        {"INVITE", "Privacy: cloak\r\n", REASON_NONE}, /* as well as we can */
        {"INVITE", "Privacy: cloak;critical\r\n", REASON_sip_privacy},
        {"INVITE", "Privacy: critical;cloak\r\n", REASON_sip_privacy},
        {"INVITE", "Privacy: id;CRITICAL;ids\r\n", REASON_sip_privacy},
        {"MESSAGE", "Privacy: cloak;critical\r\n", REASON_sip_privacy},
        {"ACK", "Privacy: cloak;critical\r\n", REASON_NONE}};
    rows(row, ARRAY_LEN(row));
}

static void accepts(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"INVITE", "Accept: application/sdp\r\n", REASON_NONE},
        {"INVITE", "Accept: Application/SDP\r\n", REASON_NONE},
        {"INVITE", "Accept: */*\r\n", REASON_NONE},
        {"INVITE", "Accept: application/*\r\n", REASON_NONE},
        {"INVITE", "Accept: text/plain, application/sdp;level=1\r\n", REASON_NONE},
        {"INVITE", "Accept: text/plain\r\nAccept: application/sdp\r\n", REASON_NONE},
        {"INVITE", "Accept: text/plain\r\n", REASON_sip_not_acceptable},
        {"INVITE", "Accept: text/*\r\n", REASON_sip_not_acceptable},
        {"INVITE", "Accept: text/sdp\r\n", REASON_sip_not_acceptable},
        {"INVITE", "Accept: application/sdpx\r\n", REASON_sip_not_acceptable},
        {"INVITE", "Accept:\r\n", REASON_sip_not_acceptable},
        {"OPTIONS", "Accept: text/plain\r\n", REASON_NONE}};
    rows(row, ARRAY_LEN(row));
    assert_int_equal(reason_info(REASON_sip_not_acceptable)->code, 406);
}

static void breadth_left(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"INVITE", "Max-Breadth: 1\r\n", REASON_NONE},
        {"INVITE", "Max-Breadth: 4294967295\r\n", REASON_NONE},
        {"INVITE", "Max-Breadth: 0\r\n", REASON_sip_max_breadth},
        {"INVITE", "Max-Breadth: 4294967296\r\n", REASON_sip_header_syntax},
        {"INVITE", "Max-Breadth: many\r\n", REASON_sip_header_syntax},
        {"OPTIONS", "Max-Breadth: 0\r\n", REASON_NONE}};
    rows(row, ARRAY_LEN(row));
    assert_int_equal(reason_info(REASON_sip_max_breadth)->code, 440);
}

static void extensions(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"INVITE", "Require: 100rel\r\n", REASON_NONE},
        {"INVITE", "Require: 100rel, Timer\r\nRequire: replaces\r\n", REASON_NONE},
        {"REGISTER", "Require: path, outbound\r\n", REASON_NONE},
        {"INVITE", "Supported: magic\r\n", REASON_NONE},
        {"INVITE", "Require: magic\r\n", REASON_sip_extension_required},
        {"INVITE", "Require: 100rel, magic\r\n", REASON_sip_extension_required},
        {"INVITE", "Require: timer\r\nRequire: 100re\r\n", REASON_sip_extension_required},
        {"OPTIONS", "Require: magic\r\n", REASON_sip_extension_required},
        {"ACK", "Require: magic\r\n", REASON_NONE},
        {"CANCEL", "Require: magic\r\n", REASON_NONE}};
    rows(row, ARRAY_LEN(row));
    parse("INVITE", CALLED, "Require: magic\r\n");
    r.in_dialog = true; /* of a re-INVITE as well */
    expect(REASON_sip_extension_required);
    assert_int_equal(reason_info(REASON_sip_extension_required)->code, 420);
}

static void encodings(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"INVITE", "Content-Encoding: identity\r\n", REASON_NONE},
        {"INVITE", "Content-Encoding: Identity\r\n", REASON_NONE},
        {"INVITE", "Content-Encoding: gzip\r\n", REASON_sip_body_type},
        {"MESSAGE", "Content-Encoding: gzip\r\n", REASON_sip_body_type},
        {"ACK", "Content-Encoding: gzip\r\n", REASON_sip_body_type}};
    rows(row, ARRAY_LEN(row));
    parse("UPDATE", CALLED, "Content-Encoding: gzip\r\n");
    r.in_dialog = true;
    expect(REASON_sip_body_type);
    assert_int_equal(reason_info(REASON_sip_body_type)->code, 415);
}

/* The second Via as we would have written it for that call, zone and peer. */
static void again(const char *method, const char *uri, const char *branch, const char *more)
{
    char via[256], mark[ROUTE_MARK_CHARS];
    struct out o = out_of(mark, sizeof mark);
    uint64_t route = gate_route_number(&e.hash_key, 0, POLICY_NONE, STR(CALLED));
    gate_route_mark(&e.hash_key, route, STR("z9hG4bKours"), &o);
    assert_int_equal(out_str(&o).n, ROUTE_MARK_CHARS);
    (void)snprintf(via, sizeof via,
                   "%sVia: SIP/2.0/UDP 192.0.2.1:5060;branch=%s;" ROUTE_MARK_NAME "=%.*s\r\n", more,
                   branch, STR_ARG(out_str(&o)));
    parse(method, uri, via);
}

static void loops(void **state)
{
    (void)state;
    again("INVITE", CALLED, "z9hG4bKours", "");
    assert_int_equal(r.peer, POLICY_NONE);
    expect(REASON_sip_loop);
    assert_int_equal(reason_info(REASON_sip_loop)->code, 482);
    r.zone = 1; /* a spiral: it is decided about anew */
    expect(REASON_NONE);
    r.zone = 0;
    r.peer = 0;
    expect(REASON_NONE);
    r.peer = POLICY_NONE;
    r.in_dialog = true;
    expect(REASON_NONE);
    again("INVITE", "sip:101@example.com", "z9hG4bKours", "");
    expect(REASON_NONE);
    again("INVITE", CALLED, "z9hG4bKother", "");
    expect(REASON_NONE);
    again("OPTIONS", CALLED, "z9hG4bKours", "");
    expect(REASON_NONE);
    again("INVITE", CALLED, "z9hG4bKours",
          "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKp\r\n"
          "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKq;" ROUTE_MARK_NAME "=0123\r\n"
          "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKr;" ROUTE_MARK_NAME "=0123456789abcdef\r\n");
    expect(REASON_sip_loop); /* however many proxies are between */
    e.hash_key.k0 ^= 1;      /* what another gateway wrote */
    expect(REASON_NONE);
}

/* Of several reasons the first is told. */
static void in_order(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"INVITE", "Max-Forwards: 0\r\nPrivacy: x;critical\r\n", REASON_sip_max_forwards},
        {"INVITE", "Privacy: x;critical\r\nAccept: text/plain\r\n", REASON_sip_privacy},
        {"INVITE", "Accept: text/plain\r\nMax-Breadth: 0\r\n", REASON_sip_not_acceptable},
        {"INVITE", "Max-Breadth: 0\r\nRequire: magic\r\n", REASON_sip_max_breadth},
        {"INVITE", "Require: magic\r\nContent-Encoding: gzip\r\n", REASON_sip_extension_required}};
    rows(row, ARRAY_LEN(row));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {T(schemes),   T(hops),         T(privacy),
                                       T(accepts),   T(breadth_left), T(extensions),
                                       T(encodings), T(loops),        T(in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
