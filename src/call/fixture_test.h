/* For tests only: a small policy and directory, the same for every test of this floor. */
#ifndef CALL_FIXTURE_TEST_H
#define CALL_FIXTURE_TEST_H
#include "base/test.h"
#include "call/directory.h"
#include "call/gates.h"

#define FIXTURE_DIRECTORY_BYTES 65536u

static inline struct span fixture_text(struct policy *p, const char *s)
{
    size_t n = strlen(s);
    struct span sp = {(uint16_t)p->text_n, (uint16_t)n};
    assert_true(p->text_n + n <= POLICY_TEXT);
    memcpy(p->text + p->text_n, s, n);
    p->text_n += (uint32_t)n;
    return sp;
}

static inline struct addr fixture_addr(const char *s)
{
    struct addr a;
    assert_ok(addr_parse(str_c(s), &a));
    return a;
}

static inline struct prefix fixture_prefix(const char *s)
{
    struct prefix p;
    assert_ok(prefix_parse(str_c(s), &p));
    return p;
}

static inline void fixture_zones(struct policy *p)
{
    p->n_zones = 3;
    p->zones[0] = (struct policy_zone){.listeners = 1,
                                       .n_sources = 2,
                                       .media = ZONE_SRTP,
                                       .nat = true,
                                       .registration = true,
                                       .authenticate = true};
    p->zones[0].sources[0] = fixture_prefix("0.0.0.0/0");
    p->zones[0].sources[1] = fixture_prefix("::/0");
    p->zones[1] = p->zones[0];
    p->zones[1].listeners = 2;
    p->zones[1].media = ZONE_RTP;
    p->zones[1].nat = false;
    p->zones[2] = (struct policy_zone){.listeners = 4, .n_sources = 1, .media = ZONE_RTP};
    p->zones[2].sources[0] = fixture_prefix("192.0.2.0/24");
    p->n_waivers = 2;
    p->waivers[0] =
        (struct policy_waiver){.zone = 1, .allow = 3, .expires = {INT64_C(2000) * 1000000}};
    p->waivers[1] = (struct policy_waiver){.zone = 2, .allow = 3, .expires = {INT64_MAX}};
}

static inline void fixture_routes(struct policy *p)
{
    p->n_routes = 4;
    for (unsigned i = 0; i < 4; i++)
        p->routes[i] = (struct policy_route){
            .from_zone = POLICY_NONE, .from_peer = POLICY_NONE, .role = POLICY_NONE};
    p->routes[0].pattern = fixture_text(p, "0900.");
    p->routes[0].to = ROUTE_REFUSE;
    p->routes[1].pattern = fixture_text(p, "X.");
    p->routes[1].to = ROUTE_PEERS;
    p->routes[1].n_peers = 1;
    p->routes[1].from_zone = 0;
    p->routes[2].pattern = fixture_text(p, "a*");
    p->routes[2].to = ROUTE_USERS;
    p->routes[3].pattern = fixture_text(p, "b*");
    p->routes[3].to = ROUTE_USERS;
}

/* Listeners: 0 TLS 198.51.100.1:5061, 1 UDP 198.51.100.1:5060, 2 UDP 192.0.2.1:5060. Zones: phones
 * (TLS, any source), old (UDP by waiver until 2000 s), pbx (192.0.2.0/24, no digest, waived). Peer
 * pbx at 192.0.2.10:5070. */
static inline void fixture_policy(struct policy *p)
{
    static const char *const listeners[] = {"198.51.100.1:5061", "198.51.100.1:5060",
                                            "192.0.2.1:5060"};
    memset(p, 0, sizeof *p);
    p->magic = POLICY_MAGIC;
    p->version = POLICY_VERSION;
    p->bytes = sizeof *p;
    p->n_domains = 1;
    p->domains[0] = fixture_text(p, "example.com");
    p->n_listeners = 3;
    for (unsigned i = 0; i < 3; i++) {
        p->listeners[i].proto = i ? PROTO_UDP : PROTO_TLS;
        p->listeners[i].bind = p->listeners[i].advertise = fixture_addr(listeners[i]);
    }
    fixture_zones(p);
    p->n_peers = 1;
    p->peers[0] =
        (struct policy_peer){.zone = 2, .listener = 2, .proto = PROTO_UDP, .n_targets = 1};
    p->peers[0].name = fixture_text(p, "pbx");
    p->peers[0].targets[0] = fixture_addr("192.0.2.10:5070");
    p->n_roles = 2;
    p->roles[0] = (struct policy_role){.name = fixture_text(p, "user"), .outbound = true};
    p->roles[1] = (struct policy_role){.name = fixture_text(p, "internal")};
    rights_role_default(&p->roles[0].rights);
    rights_role_default(&p->roles[1].rights);
    fixture_routes(p);
    p->limits = (struct policy_limits){.calls = 100,
                                       .bindings = 100,
                                       .transactions = 1000,
                                       .connections = 100,
                                       .connections_per_source = 10,
                                       .contacts_per_user = 3,
                                       .register_min_s = 60,
                                       .register_max_s = 7200,
                                       .register_default_s = 3600,
                                       .ring_s = 180,
                                       .call_max_s = 14400,
                                       .media_timeout_s = 0,
                                       .message_bytes = 65535,
                                       .session_expires_s = 1800};
    p->rtp_min = 20000;
    p->rtp_max = 20999;
    p->engines = 1;
}

/* alice (user), ivan (internal), old (user, MD5 waived until 2000 s). mem: FIXTURE_DIRECTORY_BYTES.
 */
static inline struct directory *fixture_directory(void *mem)
{
    struct directory *d = (struct directory *)mem;
    memset(mem, 0, FIXTURE_DIRECTORY_BYTES);
    directory_begin(d, 8, 1024);
    assert_ok(directory_add(d, STR("alice@example.com"), STR("user"), (struct wall){0}));
    assert_ok(directory_add(d, STR("bob@example.com"), STR("user"), (struct wall){0}));
    assert_ok(directory_add(d, STR("ivan@example.com"), STR("internal"), (struct wall){0}));
    assert_ok(directory_add(d, STR("old@example.com"), STR("user"),
                            (struct wall){INT64_C(2000) * 1000000}));
    assert_ok(directory_valid(d, FIXTURE_DIRECTORY_BYTES));
    return d;
}
#endif
