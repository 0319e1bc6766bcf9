/* What one registration of ours says and is granted; when it is sent is in upstream_test.c. */
#include "call/upstream_int.h"
#include "call/upstream_test.h"

#define OURS "sip:alice@" TEST_INSIDE ":5060"

/* A registration at the PBX, as upstream.c keeps it. */
static struct reg reg_of(struct fixture *x, const char *aor)
{
    struct reg r = {.peer = 0, .cseq = 41, .ask_s = 600, .to = test_addr(PBX)};
    r.aor_n = (uint8_t)strlen(aor);
    memcpy(r.aor, aor, strlen(aor));
    r.hash = reg_hash(x->g.core[0], 0, reg_aor(&r));
    return r;
}

static const char *told(struct fixture *x, struct reg *r, const char *authorization)
{
    static char text[4096];
    struct out o = out_of(text, sizeof text - 1);
    reg_put(x->g.core[0], r, STR("z9hG4bKtest"), str_c(authorization), &o);
    assert_false(o.full);
    text[o.n] = '\0';
    return text;
}

static const struct {
    const char *aor, *realm;
    uint8_t proto;
    const char *to, *uri, *party, *contact;
} PUT[] = {
    {"alice@example.com", NULL, PROTO_UDP, PBX, "sip:198.51.100.10:5060",
     "<sip:alice@198.51.100.10>", "<" OURS ">"},
    {"alice@example.com", "pbx.test", PROTO_UDP, PBX, "sip:pbx.test", "<sip:alice@pbx.test>",
     "<" OURS ">"},
    {"alice@example.com", "pbx.test", PROTO_TLS, PBX, "sip:pbx.test;transport=tls",
     "<sip:alice@pbx.test>", "<" OURS ";transport=tls>"},
    {"alice@example.com", NULL, PROTO_TCP, "[2001:db8::10]:5070",
     "sip:[2001:db8::10]:5070;transport=tcp", "<sip:alice@[2001:db8::10]>",
     "<" OURS ";transport=tcp>"},
    /* The same user of another domain is another user there. */
    {"alice@example.net", NULL, PROTO_UDP, PBX, "sip:198.51.100.10:5060", "<sip:alice@example.net>",
     "<" OURS ";domain=example.net>"},
    {"alice@example.net", "pbx.test", PROTO_TCP, PBX, "sip:example.net;transport=tcp",
     "<sip:alice@example.net>", "<" OURS ";transport=tcp;domain=example.net>"},
    /* Our own account. */
    {"", NULL, PROTO_UDP, PBX, "sip:198.51.100.10:5060", "<sip:gateway@198.51.100.10>",
     "<sip:gateway@" TEST_INSIDE ":5060>"},
    {"", "pbx.test", PROTO_UDP, PBX, "sip:pbx.test", "<sip:gateway@pbx.test>",
     "<sip:gateway@" TEST_INSIDE ":5060>"},
    /* Nothing of a name can end it. */
    {"a>b;c d@example.com", NULL, PROTO_UDP, PBX, "sip:198.51.100.10:5060",
     "<sip:a%3Eb;c%20d@198.51.100.10>", "<sip:a%3Eb;c%20d@" TEST_INSIDE ":5060>"},
    {"a@b@example.com", NULL, PROTO_UDP, PBX, "sip:198.51.100.10:5060", "<sip:a%40b@198.51.100.10>",
     "<sip:a%40b@" TEST_INSIDE ":5060>"},
};

static void says(void **state)
{
    struct fixture *x = *state;
    struct policy_peer *p = &x->g.policy.peers[0];
    x->g.policy.domains[x->g.policy.n_domains++] = test_text(&x->g.policy, "example.net");
    for (size_t i = 0; i < ARRAY_LEN(PUT); i++) {
        struct reg r = reg_of(x, PUT[i].aor);
        char want[256];
        p->proto = PUT[i].proto;
        p->realm_host = PUT[i].realm ? test_text(&x->g.policy, PUT[i].realm) : SPAN_NONE;
        r.to = test_addr(PUT[i].to);
        const char *m = told(x, &r, "");
        (void)snprintf(want, sizeof want, "REGISTER %s SIP/2.0\r\n", PUT[i].uri);
        assert_true(str_starts(str_c(m), str_c(want)));
        assert_str_eq(field(m, "To"), str_c(PUT[i].party));
        (void)snprintf(want, sizeof want, "%s;tag=", PUT[i].party);
        assert_true(str_starts(field(m, "From"), str_c(want)));
        assert_str_eq(field(m, "Contact"), str_c(PUT[i].contact));
        (void)snprintf(want, sizeof want,
                       "SIP/2.0/%.3s " TEST_INSIDE ":5060;rport;branch=z9hG4bKtest",
                       proto_name((enum sip_proto)PUT[i].proto).p);
        assert_str_eq(field(m, "Via"), str_c(want));
        assert_str(field(m, "Max-Forwards"), "70");
        assert_str(field(m, "Content-Length"), "0");
        struct sip_msg parsed;
        struct sip_error bad;
        assert_ok(sip_parse(str_c(m), false, &parsed, &bad));
    }
}

/* One Call-ID for good, a CSeq that grows, a tag of its own each time; its end; credentials. */
static void again(void **state)
{
    struct fixture *x = *state;
    struct reg r = reg_of(x, "alice@example.com"), other = reg_of(x, "bob@example.com");
    char first[4096];
    (void)snprintf(first, sizeof first, "%s", told(x, &r, ""));
    assert_str(field(first, "CSeq"), "42 REGISTER");
    assert_str(field(first, "Expires"), "600");
    assert_null(strstr(first, "Authorization"));
    const char *m = told(x, &r, "Authorization: Digest x\r\n");
    assert_str(field(m, "CSeq"), "43 REGISTER");
    assert_int_equal(r.cseq, 43);
    assert_str(field(m, "Authorization"), "Digest x");
    assert_str_eq(field(m, "Call-ID"), field(first, "Call-ID"));
    assert_int_equal(field(m, "Call-ID").n, 16);
    assert_false(str_eq(field(m, "From"), field(first, "From")));
    assert_int_equal(field(m, "From").n, STR("<sip:alice@198.51.100.10>;tag=").n + 16);
    assert_false(str_eq(field(told(x, &other, ""), "Call-ID"), field(first, "Call-ID")));
    r.ask_s = 7200;
    assert_str(field(told(x, &r, ""), "Expires"), "7200");
    r.leaving = true;
    assert_str(field(told(x, &r, ""), "Expires"), "0");
    char small[200];
    struct out o = out_of(small, sizeof small);
    reg_put(x->g.core[0], &r, STR("z9hG4bKtest"), STR_NONE, &o);
    assert_true(o.full);
    /* A Request-URI that does not fit is not sent by halves. */
    char host[340], text[4096];
    memset(host, 'x', sizeof host);
    host[sizeof host - 1] = '\0';
    x->g.policy.peers[0].realm_host = test_text(&x->g.policy, host);
    o = out_of(text, sizeof text);
    reg_put(x->g.core[0], &r, STR("z9hG4bKtest"), STR_NONE, &o);
    assert_true(o.full);
}

static uint32_t granted(struct fixture *x, const struct reg *r, const char *lines)
{
    static struct sip_msg m;
    struct sip_error bad;
    char text[2048];
    (void)snprintf(
        text, sizeof text,
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " TEST_INSIDE ";branch=z9hG4bKtest\r\n"
        "From: <sip:alice@198.51.100.10>;tag=1\r\nTo: <sip:alice@198.51.100.10>;tag=2\r\n"
        "Call-ID: 1\r\nCSeq: 1 REGISTER\r\n%sContent-Length: 0\r\n\r\n",
        lines);
    if (sip_parse(str_c(text), false, &m, &bad) != OK)
        fail_msg("not SIP: %s", lines);
    return reg_granted(x->g.core[0], r, &m);
}

#define ME(params) "Contact: <" OURS ">" params "\r\n"
static const struct {
    const char *lines;
    uint32_t want;
} GRANTED[] = {
    {"", 600}, /* what we asked for */
    {"Expires: 300\r\n", 300},
    {ME(""), 600},
    {ME(";expires=300"), 300},
    {ME(";expires=300") "Expires: 100\r\n", 300}, /* the Contact's own word first */
    {ME("") "Expires: 100\r\n", 100},
    {ME(";q=0.5;expires=300;x=y"), 300},
    {ME(";EXPIRES=300"), 300},
    /* Among those of others, on one line or on several. */
    {"Contact: <sip:alice@203.0.113.5:5060>;expires=50\r\n" ME(";expires=300"), 300},
    {"Contact: <sip:alice@203.0.113.5:5060>;expires=50, <" OURS ">;expires=300\r\n", 300},
    {ME(";expires=300") "Contact: <sip:alice@203.0.113.5:5060>;expires=50\r\n", 300},
    {ME(";expires=300") ME(";expires=50"), 300},
    /* Not ours: another user, host or port. What they are granted says nothing. */
    {"Contact: <sip:bob@" TEST_INSIDE ":5060>;expires=50\r\n", 600},
    {"Contact: <sip:alice@" TEST_OUTSIDE ":5060>;expires=50\r\n", 600},
    {"Contact: <sip:alice@" TEST_INSIDE ":5061>;expires=50\r\n", 600},
    {"Contact: <sip:" TEST_INSIDE ":5060>;expires=50\r\n", 600},
    {"Contact: <sip:Alice@" TEST_INSIDE ":5060>;expires=50\r\n", 600},
    {"Contact: <sip:alice@203.0.113.5>;expires=50\r\nExpires: 90\r\n", 90},
    {"Contact: *\r\n", 600},
    {"Contact: <tel:+15550100>;expires=50\r\n" ME(";expires=300"), 300},
    /* The same with other parameters is still ours. */
    {"Contact: <" OURS ";transport=udp>;expires=300\r\n", 300},
    /* Bounds, from both sides. */
    {ME(";expires=11"), 11},
    {ME(";expires=10"), 10},
    {ME(";expires=9"), 10},
    {ME(";expires=0"), 10},
    {"Expires: 0\r\n", 10},
    {ME(";expires=86399"), 86399},
    {ME(";expires=86400"), 86400},
    {ME(";expires=86401"), 86400},
    {ME(";expires=4294967295"), 86400},
    {"Expires: 86401\r\n", 86400},
    /* No numbers: what we asked for. */
    {ME(";expires=4294967296"), 600},
    {ME(";expires=x"), 600},
    {ME(";expires"), 600},
    {ME(";expires=-5"), 600},
    {ME(";expires=x") "Expires: 100\r\n", 600},
    {"Expires: 99999999999\r\n", 600},
    {"Expires: soon\r\n", 600},
};

static void is_granted(void **state)
{
    struct fixture *x = *state;
    struct reg r = reg_of(x, "alice@example.com");
    for (size_t i = 0; i < ARRAY_LEN(GRANTED); i++) {
        uint32_t s = granted(x, &r, GRANTED[i].lines);
        if (s != GRANTED[i].want)
            fail_msg("%u, not %u: %s", s, GRANTED[i].want, GRANTED[i].lines);
    }
    r.ask_s = 5;
    assert_int_equal(granted(x, &r, ""), 10);
    r.ask_s = 100000;
    assert_int_equal(granted(x, &r, ""), REG_EXPIRES_MAX_S);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(says), T(again), T(is_granted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
