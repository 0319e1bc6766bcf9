/* The gateway's configuration, and which address lies where. */
#include "call/core_test.h"
#include "guard/access.h"
#include "tests/detect/detect.h"

static void zone(struct policy *p, const char *name, uint32_t listeners, const char *src,
                 bool phones)
{
    struct policy_zone *z = &p->zones[p->n_zones];
    test_zone(p, name, listeners, src, phones);
    z->n_sources = phones ? 2 : 1;
    if (prefix_parse(STR("::/0"), &z->sources[1]) != OK)
        abort();
    z->nat = phones;
    z->services = 63;
    z->rate_per_source = 0; /* the shield's own limits are what is looked at */
}

static void peer(struct policy *p, const char *name, const char *where)
{
    struct policy_peer *x = &p->peers[p->n_peers++];
    *x = (struct policy_peer){.zone = 1, .listener = LISTEN_LAN, .n_targets = 1};
    x->name = test_text(p, name);
    x->targets[0] = at(where);
    x->trust_identity = true;
}

void house_policy(struct policy *p)
{
    p->magic = POLICY_MAGIC;
    p->version = POLICY_VERSION;
    p->bytes = sizeof *p;
    p->generation = 1;
    p->engines = ENGINES;
    p->domains[p->n_domains++] = test_text(p, "example.com");
    test_listener(p, PROTO_UDP, "udp", OUTSIDE ":5060");
    test_listener(p, PROTO_TLS, "tls", OUTSIDE ":5061");
    test_listener(p, PROTO_UDP, "lan", INSIDE ":5060");
    p->n_certs = 1;
    zone(p, "phones", 1u << LISTEN_UDP | 1u << LISTEN_TLS, "0.0.0.0/0", true);
    zone(p, "lan", 1u << LISTEN_LAN, "198.51.100.0/24", false);
    peer(p, "pbx", PBX_AT);
    p->roles[p->n_roles].name = test_text(p, "user");
    struct policy_role *role = &p->roles[p->n_roles++]; /* the detectors are on trial, not rights */
    role->outbound = true;
    rights_role_default(&role->rights);
    role->rights.classes = (1u << CLASS_COUNT) - 1;
    role->rights.n_countries = RIGHTS_ALL;
    role->rights.step_up_country = false; /* a right like the others */
    role->rights.features = FEATURE_TRANSFER_OUT | FEATURE_FORWARD_OUT | FEATURE_ANONYMOUS;
    test_route(p, "out", "0.", ROUTE_PEERS);
    test_route(p, "abroad", "+.", ROUTE_PEERS);
    test_route(p, "people", "*", ROUTE_USERS);
    p->limits = (struct policy_limits){.calls = 2000,
                                       .bindings = 2000,
                                       .transactions = 16000,
                                       .subscriptions = 1000,
                                       .contacts_per_user = 8,
                                       .register_min_s = 60,
                                       .register_max_s = 3600,
                                       .register_default_s = 600,
                                       .ring_s = 60,
                                       .call_max_s = 7200,
                                       .message_bytes = 65535,
                                       .session_expires_s = 1800};
    p->rtp_min = 20000;
    p->rtp_max = 29999;
    guard_policy_default(&p->guard);
    p->guard.decoys[p->guard.n_decoys++] = test_text(p, "admin");
    p->guard.decoys[p->guard.n_decoys++] = test_text(p, "1999");
    if (prefix_parse(STR(PBX_AT), &p->guard.exempt[0]) == OK)
        p->guard.n_exempt = 1;
    if (policy_valid(p, sizeof *p) != OK)
        abort();
}

/* The documentation's nets lie at home, those of strangers and 203.0.113.240/28 abroad. */
struct geo *house_countries(void)
{
    static const struct geo4 at4[] = {{0xc0000200, 0xc00002ff, 'D' << 8 | 'E', 0},
                                      {0xc6120000, 0xc613ffff, 'N' << 8 | 'L', 0},
                                      {0xcb007100, 0xcb0071ef, 'D' << 8 | 'E', 0},
                                      {0xcb0071f0, 0xcb0071ff, 'F' << 8 | 'R', 0}};
    struct geo *g = calloc(1, geo_bytes(ARRAY_LEN(at4), 0));
    g->magic = GEO_MAGIC;
    g->n4 = ARRAY_LEN(at4);
    memcpy(g->data, at4, sizeof at4);
    if (geo_valid(g, geo_bytes(g->n4, 0)) != OK)
        abort();
    return g;
}
