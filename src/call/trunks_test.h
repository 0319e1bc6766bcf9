/* For tests only: trunks behind the gateway of core_fixture.h, and alice who calls by them. */
#ifndef CALL_TRUNKS_TEST_H
#define CALL_TRUNKS_TEST_H
#include "call/transfer_test.h"

#define TRUNKS 4u
#define TRUNK2 "198.51.100.20:5060"
#define TRUNK3 "198.51.100.30:5060"
#define TRUNK4 "198.51.100.40:5060"
static const char *const TRUNK_AT[TRUNKS] = {PBX, TRUNK2, TRUNK3, TRUNK4};

/* What was the PBX is the first of n, all of the rule for numbers; one site, in Germany, and every
 * right to call. */
static inline void trunks(struct policy *p, unsigned n)
{
    static const char *const name[TRUNKS] = {"pbx", "trunk2", "trunk3", "trunk4"};
    p->peers[0].n_targets = 1;
    p->peers[0].trunk = 1;
    for (uint8_t i = 1; i < n; i++) {
        struct policy_peer *x = &p->peers[p->n_peers++];
        *x = p->peers[0];
        x->name = test_text(p, name[i]);
        x->targets[0] = test_addr(TRUNK_AT[i]);
        x->has_secret = false;
        p->routes[0].peers[i] = i;
    }
    p->routes[0].n_peers = (uint8_t)n;
    p->n_sites = 1;
    p->sites[0].country = 'D' << 8 | 'E';
    p->sites[0].area = test_text(p, "30");
    p->sites[0].international = test_text(p, "00");
    p->sites[0].national = test_text(p, "0");
    p->roles[0].rights = (struct rights_role){.classes = (1u << CLASS_COUNT) - 1,
                                              .off_classes = (1u << CLASS_COUNT) - 1,
                                              .n_countries = RIGHTS_ALL,
                                              .features = UINT32_MAX};
    assert_ok(policy_valid(p, sizeof *p));
}

/* Alice's INVITE with credentials, after the vault has said yes. more: lines of it. */
static inline void dial_more(struct fixture *x, const char *id, const char *uri, const char *more)
{
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=d1",
                      contact[] = "Contact: <sip:alice@203.0.113.5:5060>\r\n";
    char to[128], all[1800];
    (void)snprintf(to, sizeof to, "<%s>", uri);
    (void)snprintf(all, sizeof all, "%s%s", contact, more);
    message(x, &f, request("INVITE", uri, from, to, id, 1, all, SDP_A));
    const char *no = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(no);
    (void)snprintf(all, sizeof all, "%s%s%s", contact, more, credentials(no, uri));
    message(x, &f, request("INVITE", uri, from, to, id, 2, all, SDP_A));
    vault(x, REASON_NONE);
}

static inline void dial_to(struct fixture *x, const char *id, const char *uri)
{
    dial_more(x, id, uri, "");
}

/* The n-th trunk's INVITE, copied; false: it was not called. */
static inline bool called_at(struct fixture *x, unsigned trunk, char *ret, size_t cap)
{
    const char *inv = sent(x, TRUNK_AT[trunk], "INVITE ");
    if (inv)
        (void)snprintf(ret, cap, "%s", inv);
    return inv != NULL;
}

/* The number of the one trunk that is called now, -1: none is. */
static inline int who_is_called(struct fixture *x, char *ret, size_t cap)
{
    int who = -1;
    for (unsigned i = 0; i < TRUNKS; i++) {
        if (!called_at(x, i, ret, cap))
            continue;
        assert_int_equal(who, -1);
        who = (int)i;
    }
    return who;
}
#endif
