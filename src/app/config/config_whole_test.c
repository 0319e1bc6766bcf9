/* Whole files: the smallest, all keys, ours; and how many errors are told at once. */
#include "app/config/config_test.h"
#include <sys/stat.h>
#include <unistd.h>

static void smallest_file_refuses_all(void **state)
{
    (void)state;
    assert_ok(load("domains: [Example.COM]\n"));
    assert_string_equal(said, "f: warning: no listener: nobody can reach this gateway; define one "
                              "under \"listeners:\"\n");
    const struct policy *p = &cfg.policy;
    assert_ok(policy_valid(p, sizeof *p));
    assert_int_equal(p->n_domains, 1);
    assert_str(policy_text(p, p->domains[0]), "example.com");
    assert_int_equal(p->n_zones + p->n_peers + p->n_routes + p->n_waivers + p->n_listeners, 0);
    assert_int_equal(p->n_roles, 1);
    assert_str(policy_text(p, p->roles[0].name), "user");
    assert_false(p->roles[0].outbound);
    assert_int_equal(p->engines, 2);
    assert_int_equal(p->generation, 3);
    assert_int_equal(p->rtp_min, 20000);
    assert_int_equal(p->rtp_max, 29999);
    assert_string_equal(cfg.state, "/srv/ringwall");
    struct addr any = {0};
    assert_ok(addr_parse(STR("192.0.2.9:5060"), &any));
    assert_int_equal(policy_zone_of(p, 0, &any), POLICY_NONE);
}

static void zone_defaults_are_closed(void **state)
{
    (void)state;
    assert_ok(load(D CERTS TLS ZONE));
    assert_string_equal(said, "");
    const struct policy_zone *z = &cfg.policy.zones[0];
    assert_true(z->authenticate);
    assert_false(z->registration);
    assert_false(z->nat);
    assert_int_equal(z->media, ZONE_SRTP);
    const struct policy_listener *li = &cfg.policy.listeners[0];
    assert_int_equal(li->bind.port, 5061);
    assert_true(addr_eq(&li->bind, &li->advertise));
    assert_string_equal(cfg.certs[0].chain, "/srv/ringwall/c.pem");
    assert_int_equal(cfg.policy.n_certs, 1);
}

static void whole_file(void **state)
{
    static const char TEXT[] = "domains: [example.com, example.net]\nstate: /var/x\nengines: 4\n"
                               "media: {ports: 30001-39999, address: 192.0.2.1}\n"
                               "certificates:\n  default: {chain: /etc/a.pem, key: server}\n  "
                               "second: {chain: b.pem, key: other}\n"
                               "listeners:\n"
                               "  - {name: t, transport: tls, address: 0.0.0.0, advertise: "
                               "198.51.100.1, certificate: second}\n"
                               "  - {name: six, transport: tcp, address: \"[2001:db8::1]:5070\"}\n"
                               "  - {name: u, transport: udp, address: 192.0.2.1:5080}\n"
                               "zones:\n"
                               "  - {name: p, listeners: [t], sources: [0.0.0.0/0, 10.0.0.0/8], "
                               "nat: yes, registration: true, media: either,\n"
                               "     silent: yes, srtp_suites: [AEAD_AES_256_GCM, "
                               "AES_CM_128_HMAC_SHA1_80], rate_per_source: 7,\n"
                               "     client_certificate: optional}\n"
                               "  - {name: q, listeners: [u, six], sources: [192.0.2.0/24, "
                               "'2001:db8::/32'], media: rtp, authenticate: no}\n"
                               "waivers: [{name: w, zone: q, allow: [plain-signalling, "
                               "plain-media], owner: O, reason: R, expires: 2027-06-30}]\n"
                               "peers:\n"
                               "  - {name: a, kind: pbx, zone: q, listener: u, transport: udp, "
                               "address: [192.0.2.7:5070, 192.0.2.8], options: 30s}\n"
                               "  - {name: b, kind: trunk, zone: p, listener: t, address: "
                               "10.1.1.1, tls_name: sip.example.net, username: me,\n"
                               "     realm_host: sip.example.net, trust_identity: yes}\n"
                               "roles: [{name: guest}, {name: user, outbound: yes}]\n"
                               "routes:\n"
                               "  - {name: r1, from: {zone: p, role: user}, pattern: 0X., strip: "
                               "1, prefix: \"+49\", to: {peers: [b, a]}}\n"
                               "  - {name: r2, from: {peer: b}, pattern: '*', to: users}\n"
                               "  - {name: r3, from: {role: guest}, pattern: '*', to: refuse}\n"
                               "limits: {calls: 10, register_min: 2m, register_default: 5m, "
                               "register_max: 1h, call_max: 1h30m, media_timeout: 0s}\n";
    (void)state;
    assert_ok(load(TEXT));
    assert_string_equal(said, "");
    const struct policy *p = &cfg.policy;
    assert_string_equal(cfg.state, "/var/x");
    assert_string_equal(cfg.certs[1].chain, "/var/x/b.pem");
    assert_int_equal(p->engines, 4);
    assert_int_equal(p->rtp_min, 30002);
    assert_int_equal(p->listeners[0].key, 1);
    assert_int_equal(p->listeners[0].client_cert, 1);
    assert_int_equal(p->listeners[0].advertise.port, 5061);
    assert_int_equal(p->listeners[1].bind.family, ADDR_V6);
    assert_int_equal(p->zones[0].suites[0], SUITE_GCM_256);
    assert_int_equal(p->zones[0].suites[1], SUITE_AES_CM_128_80);
    assert_int_equal(p->zones[0].suites[2], SUITE_NONE);
    assert_int_equal(p->zones[0].rate_per_source, 7);
    assert_int_equal(p->zones[1].listeners, 6);
    assert_int_equal(p->waivers[0].zone, 1);
    assert_int_equal(policy_waived(p, 1, WAIVE_PLAIN_MEDIA, OPTS.now), REASON_NONE);
    assert_int_equal(p->peers[0].targets[1].port, 5060);
    assert_int_equal(p->peers[0].options_s, 30);
    assert_false(p->peers[0].has_secret);
    assert_true(p->peers[1].has_secret);
    assert_int_equal(p->peers[1].proto, PROTO_TLS);
    assert_int_equal(p->peers[1].targets[0].port, 5061);
    assert_str(policy_text(p, p->roles[0].name), "user");
    assert_str(policy_text(p, p->roles[1].name), "guest");
    assert_true(p->roles[0].outbound);
    assert_int_equal(p->routes[0].role, 0);
    assert_int_equal(p->routes[2].role, 1);
    assert_int_equal(p->routes[0].n_peers, 2);
    assert_int_equal(p->routes[0].peers[0], 1);
    assert_str(policy_text(p, p->routes[0].prefix), "+49");
    assert_int_equal(p->limits.call_max_s, 5400);
    assert_int_equal(p->limits.media_timeout_s, 0);
    assert_int_equal(p->limits.ring_s, 180);
}

static void missing_chain_is_told(void **state)
{
    struct config_opts o = OPTS;
    (void)state;
    o.no_files = false;
    o.state = "/nonexistent";
    assert_err(config_load_text(STR(D CERTS TLS ZONE), "f", &o, &cfg, &errs), ERR_SYNTAX);
    assert_string_equal(errs.at[0].text,
                        "certificate \"default\": /nonexistent/c.pem cannot be read");
}

static void all_at_once_and_bounded(void **state)
{
    static char text[16384];
    (void)state;
    struct out o = out_of(text, sizeof text - 1);
    OUT_LIT(&o, D);
    for (int i = 0; i < 150; i++)
        out_fmt(&o, "k%d: 1\n", i);
    text[o.n] = 0;
    memset(&cfg, 0x55, sizeof cfg);
    assert_err(load(text), ERR_SYNTAX);
    assert_int_equal(errs.n, CONFIG_PROBLEMS);
    assert_int_equal(errs.n_errors, 150);
    assert_int_equal(errs.n_lost, 50);
    assert_int_equal(errs.at[0].line, 2);
    assert_int_equal(errs.at[99].line, 101);
    assert_non_null(strstr(said, "and 50 further problems"));
    for (size_t i = 0; i < sizeof cfg; i++) /* a refused file leaves the old one alone */
        assert_int_equal(((const uint8_t *)&cfg)[i], 0x55);
}

static void json_form(void **state)
{
    char buf[1024];
    (void)state;
    assert_err(load("domains: [\"a\\\"b\"]\n"), ERR_SYNTAX);
    struct out o = out_of(buf, sizeof buf);
    config_errors_json(&o, &errs);
    assert_str(out_str(&o), "{\"file\":\"f\",\"errors\":1,\"warnings\":0,\"problems\":[{\"line\":1,"
                            "\"column\":11,\"level\":\"error\","
                            "\"text\":\"domains: \\\"a\\\"b\\\" is not a host name or "
                            "address\",\"hint\":\"for instance "
                            "sip.example.com\"}]}");
}

static void default_is_good(void **state)
{
    char text[8192], dir[] = "/tmp/ringwall-config-XXXXXX", path[256];
    struct config_default d = {.domain = "example.com", .now = OPTS.now, .public_ip = "192.0.2.1"};
    (void)state;
    struct out o = out_of(text, sizeof text - 1);
    config_default_text(&o, "/srv/ringwall", &d);
    assert_false(o.full);
    text[o.n] = 0;
    assert_ok(load(text));
    assert_string_equal(said, "");
    const struct policy *p = &cfg.policy;
    struct policy_caller by = {0, POLICY_NONE, 0, false, OPTS.now};
    const struct policy_route *r = policy_route(p, &by, STR("2001"));
    assert_non_null(r);
    assert_int_equal(r->to, ROUTE_PEERS);
    assert_int_equal(policy_route(p, &by, STR("alice"))->to, ROUTE_USERS);
    by = (struct policy_caller){.zone = 1, .role = POLICY_NONE, .now = OPTS.now};
    assert_int_equal(policy_route(p, &by, STR("alice"))->to, ROUTE_USERS);
    by.peer = POLICY_NONE;
    assert_null(policy_route(p, &by, STR("alice")));

    assert_non_null(mkdtemp(dir));
    assert_ok(config_default_write(dir, &d));
    assert_err(config_default_write(dir, &d), ERR_EXISTS);
    struct stat st;
    assert_true(snprintf(path, sizeof path, "%s/ringwall.yaml", dir) > 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0137, 0);
    assert_ok(config_load(path, &OPTS, &cfg, &errs));
    assert_string_equal(cfg.state, dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_err(config_load(path, &OPTS, &cfg, &errs), ERR_SYSTEM);
    assert_int_equal(errs.n_errors, 1);
}

static void example_is_good(void **state)
{
    (void)state;
    assert_ok(config_load(SOURCE_ROOT "/packaging/ringwall.yaml", &OPTS, &cfg, &errs));
    for (uint32_t i = 0; i < errs.n; i++)
        print_error("%u: %s\n", errs.at[i].line, errs.at[i].text);
    assert_int_equal(errs.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smallest_file_refuses_all),
        cmocka_unit_test(zone_defaults_are_closed),
        cmocka_unit_test(whole_file),
        cmocka_unit_test(missing_chain_is_told),
        cmocka_unit_test(all_at_once_and_bounded),
        cmocka_unit_test(json_form),
        cmocka_unit_test(default_is_good),
        cmocka_unit_test(example_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
