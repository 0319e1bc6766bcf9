/* What goes into the library, without a question asked. */
#include "app/fetch/resolver.h"
#include "base/test.h"

static void resolv_conf(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* addresses, each behind a blank */
    } row[] = {
        {"", ""},
        {"nameserver 192.0.2.53", " 192.0.2.53:53"},
        {"# nameserver 192.0.2.1\n;nameserver 192.0.2.2\nnameserver\t192.0.2.3 \r\n",
         " 192.0.2.3:53"},
        {"search example.net\nnameserver 2001:db8::53\noptions edns0\nnameserver 192.0.2.4\n",
         " [2001:db8::53]:53 192.0.2.4:53"},
        {"nameserver ns.example.net\nnameserver\nnameservers 192.0.2.5\nnameserver fe80::1%eth0\n",
         ""},
        {"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver "
         "192.0.2.4\nnameserver 192.0.2.5\n",
         " 192.0.2.1:53 192.0.2.2:53 192.0.2.3:53 192.0.2.4:53"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct addr a[POLICY_RESOLVERS];
        char text[512];
        struct out o = out_of(text, sizeof text);
        uint32_t n = resolv_conf_servers(str_c(row[i].text), a, POLICY_RESOLVERS);
        for (uint32_t k = 0; k < n; k++) {
            out_ch(&o, ' ');
            addr_put(&o, &a[k]);
        }
        assert_str_eq(out_str(&o), str_c(row[i].want));
    }
}

#define KEY                                                                                        \
    "example.net. IN DS 12345 13 2 "                                                               \
    "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"

static void never(void *arg, const void *packet, size_t n, bool secure, bool bogus)
{
    (void)arg, (void)packet, (void)n, (void)secure, (void)bogus;
    fail();
}

static void opens(void **state)
{
    static struct policy p;
    struct dns_name name;
    const char *why = "";
    struct resolver r;
    struct event_base *base = event_base_new();
    struct resolver_cfg cfg = {.base = base, .policy = &p};
    (void)state;
    cfg.anchors = STR("; a comment\n\n" KEY " ; its use\n. IN DS 1 8 2 "
                      "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF\n");
    cfg.resolv_conf = STR("nameserver 192.0.2.53\n");
    assert_ok(resolver_open(&r, &cfg, &why));
    assert_int_equal(r.anchors, 2);
    assert_int_equal(r.servers, 1);
    /* those of the policy outweigh those of the system */
    p.dns.n_servers = 2;
    assert_ok(addr_parse(STR("192.0.2.1:53"), &p.dns.servers[0]));
    assert_ok(addr_parse(STR("[2001:db8::1]:5353"), &p.dns.servers[1]));
    assert_ok(resolver_open(&r, &cfg, &why));
    assert_int_equal(r.servers, 2);
    /* nobody to ask: nobody is asked, not even the root */
    p.dns.n_servers = 0;
    cfg.resolv_conf = STR_NONE;
    assert_err(resolver_open(&r, &cfg, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "no name server"));
    struct resolver_question q = {never, NULL};
    assert_ok(dns_name_of(STR("pbx.example.net"), &name));
    assert_err(resolver_ask(&r, &name, DNS_A, &q), ERR_STATE);
    cfg.resolv_conf = STR("nameserver 192.0.2.53\n");
    cfg.anchors = STR("this is no record\n");
    assert_err(resolver_open(&r, &cfg, &why), ERR_SYSTEM);
    assert_non_null(strstr(why, "trust anchors"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(resolv_conf), cmocka_unit_test(opens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
