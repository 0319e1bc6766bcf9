/* consult: who is asked before a call leaves by a trunk. */
#include "app/config/yaml.h"
#include "guard/feed.h"

struct section {
    struct policy_consult c;
    struct span ca;
};
#define AT(member) offsetof(struct section, member)
static const struct word FAILS[] = {{"refuse", 0}, {"pass", 1}, {NULL, 0}};
enum { C_PEER, C_URL, C_CA, C_PRIVATE, C_WAIT, C_FAILS };
static const struct field CONSULT[] = {
    [C_PEER] = {"peer", rd_ref, AT(c.peer), false, 0, 0, &REF_PEER},
    [C_URL] = {"url", rd_text, AT(c.url), false, 1, FEED_URL_MAX, NULL},
    [C_CA] = {"ca", rd_file, AT(ca), false, 0, 0, NULL},
    [C_PRIVATE] = {"private", rd_bool, AT(c.inside), false, 0, 0, NULL},
    [C_WAIT] = {"wait", rd_ms, AT(c.wait_ms), false, 50, 5000, NULL},
    [C_FAILS] = {"fails", rd_word, AT(c.fails_open), false, 0, 0, FAILS},
};

static void peer_judge(struct load *l, const struct policy_consult *c, uint32_t seen, struct pos at)
{
    if (c->peer != POLICY_NONE && l->p->peers[c->peer].trunk)
        problem(l, at, "give it \"kind: pbx\"",
                "consult: peer is a trunk: the question would be asked about itself");
    if ((seen >> C_CA & 1) || (seen >> C_PRIVATE & 1))
        problem(l, at, "take them out, or ask by \"url\"",
                "consult: \"ca\" and \"private\" are for a url");
}

static void url_judge(struct load *l, const struct policy_consult *c, struct pos at)
{
    struct feed_url u;
    struct addr a;
    const char *why = "";
    if (feed_url_parse(policy_text(l->p, c->url), &u, &why) != OK) {
        problem(l, at, "for instance https://fraud.example.net/calls", "url: %s", why);
        return;
    }
    bool literal = addr_parse_ip(u.host, &a) == OK;
    bool loop = (literal && addr_loopback(&a)) || str_ieq(u.host, STR("localhost"));
    if (u.plain && !loop)
        problem(l, at, "use https",
                "url: over http anybody on the way could read who calls whom, and answer");
    if ((loop || (literal && feed_inside(&a))) && !c->inside)
        problem(l, at, "say private: yes, if that is meant",
                "url: %.*s is an address inside your own network", (int)MIN(u.host.n, 60u),
                u.host.p);
}

void read_consult(struct load *l, struct fy_node *n)
{
    struct section s = {.c = {.wait_ms = 1000, .peer = POLICY_NONE}};
    uint32_t seen = map_read(l, n, "consult", CONSULT, ARRAY_LEN(CONSULT), &s);
    bool peer = seen >> C_PEER & 1, url = seen >> C_URL & 1;
    struct str ca = policy_text(l->p, s.ca);
    s.c.on = s.c.peer != POLICY_NONE || s.c.url.len;
    l->p->consult = s.c;
    if (ca.n && ca.n < sizeof l->c->consult_ca)
        memcpy(l->c->consult_ca, ca.p, ca.n);
    if (peer == url)
        problem(l, pos_of(n), "peer: NAME asks by SIP, url: https://HOST/PATH by HTTP",
                "consult: one of \"peer\" and \"url\" is wanted");
    else if (peer)
        peer_judge(l, &s.c, seen, pos_of(n));
    else
        url_judge(l, &s.c, pos_of(n));
}
