/* peers, routes, limits. */
#include "app/config/values.h"
#include "app/config/yaml.h"
#include "base/lex.h"

#define AT(type, member) offsetof(struct type, member)

/* A host name instead of addresses, with or without a port: it must be alone. */
static bool name_read(struct load *l, const struct field *f, struct fy_node *e,
                      struct policy_peer *pe)
{
    struct str s, port = STR_NONE;
    struct addr a;
    if (!fy_node_is_scalar(e) || !scalar(l, f->key, e, &s) || addr_parse(s, &a) == OK)
        return false;
    size_t colon = str_find(s, ':');
    struct str host = str_of(s.p, colon);
    uint32_t number = 0;
    if (colon < s.n)
        port = str_skip(s, colon + 1);
    if (!value_host(host) || addr_parse_ip(host, &a) == OK || str_find(port, ':') != port.n ||
        (colon < s.n && (str_u32(port, 65535, &number) != OK || !number)))
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] != '.' && !ascii_digit(host.p[i])) {
            if (pe->n_targets || pe->host.len)
                problem(l, pos_of(e), "one name, or up to four addresses",
                        "%s: a name must stand alone", f->key);
            pe->host_port = (uint16_t)number;
            (void)text_add(l, pos_of(e), host, &pe->host);
            return true;
        }
    return false; /* an address with a slip */
}

static void rd_targets(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_peer *pe = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && pe->n_targets < POLICY_PEER_TARGETS;) {
        if (name_read(l, f, e, pe))
            continue;
        struct addr *a = &pe->targets[pe->n_targets];
        rd_addr(l, f, e, a);
        if (!a->family)
            continue;
        if (addr_any(a))
            problem(l, pos_of(e), NULL, "%s: a wildcard is no address of a peer", f->key);
        pe->n_targets++;
    }
}

static void rd_fronts(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint32_t bits = 0;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        uint8_t i = ref_find(l, &REF_ZONE, f->key, e);
        if (i != POLICY_NONE)
            bits |= UINT32_C(1) << i;
    }
    *(uint32_t *)dst = bits;
}

/* Patterns of numbers that the peer may show, international. */
static void rd_callers(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_peer *pe = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && pe->n_callers < POLICY_CALLERS;) {
        struct str s;
        if (!scalar(l, f->key, e, &s))
            continue;
        bool good = s.n > 3 && s.n <= 18 && s.p[0] == '+';
        for (size_t i = 1; good && i < s.n; i++)
            good = ascii_digit(s.p[i]) || s.p[i] == 'X' || (s.p[i] == '.' && i + 1 == s.n);
        if (!good)
            problem(l, pos_of(e), "write +49301234567, +4930123XX or +4930123.",
                    "%s: \"%.*s\" is no international number or pattern of one", f->key,
                    (int)MIN(s.n, 30u), s.p);
        else if (text_add(l, pos_of(e), s, &pe->callers[pe->n_callers]))
            pe->n_callers++;
    }
}

static void rd_deck(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint8_t i = ref_find(l, &REF_DECK, f->key, n);
    if (i != POLICY_NONE)
        *(uint8_t *)dst = (uint8_t)(i + 1);
}

static const struct ref_kind REF_SITE = {"site", offsetof(struct policy, sites),
                                         sizeof(struct rights_site),
                                         offsetof(struct policy, n_sites)};

static void rd_site(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint8_t i = ref_find(l, &REF_SITE, f->key, n);
    if (i != POLICY_NONE)
        *(struct span *)dst = l->p->sites[i].name;
}

static const struct word KIND[] = {{"pbx", 0}, {"trunk", 1}, {NULL, 0}};
static const struct word TRANSPORT[] = {
    {"udp", PROTO_UDP}, {"tcp", PROTO_TCP}, {"tls", PROTO_TLS}, {NULL, 0}};
enum {
    P_NAME,
    P_KIND,
    P_ZONE,
    P_LISTENER,
    P_TRANSPORT,
    P_ADDRESS,
    P_TLS_NAME,
    P_USERNAME,
    P_REALM_HOST,
    P_OPTIONS,
    P_TRUST,
    P_DNSSEC,
    P_FRONTS,
    P_REGISTER,
    P_SIGN,
    P_VERIFY,
    P_CALLERS,
    P_DECK,
    P_PRIORITY,
    P_CAPS,
    P_SITE
};
static const struct field PEER[] = {
    [P_NAME] = {"name", rd_name, AT(policy_peer, name), true, 1, 30, NULL},
    [P_KIND] = {"kind", rd_word, AT(policy_peer, trunk), true, 0, 0, KIND},
    [P_ZONE] = {"zone", rd_ref, AT(policy_peer, zone), true, 0, 0, &REF_ZONE},
    [P_LISTENER] = {"listener", rd_ref, AT(policy_peer, listener), true, 0, 0, &REF_LISTENER},
    [P_TRANSPORT] = {"transport", rd_word, AT(policy_peer, proto), false, 0, 0, TRANSPORT},
    [P_ADDRESS] = {"address", rd_targets, 0, true, 0, POLICY_PEER_TARGETS, NULL},
    [P_TLS_NAME] = {"tls_name", rd_host, AT(policy_peer, tls_name), false, 0, 0, NULL},
    [P_USERNAME] = {"username", rd_text, AT(policy_peer, username), false, 1, 64, NULL},
    [P_REALM_HOST] = {"realm_host", rd_host, AT(policy_peer, realm_host), false, 0, 0, NULL},
    [P_OPTIONS] = {"options", rd_seconds16, AT(policy_peer, options_s), false, 5, 3600, NULL},
    [P_TRUST] = {"trust_identity", rd_bool, AT(policy_peer, trust_identity), false, 0, 0, NULL},
    [P_DNSSEC] = {"dnssec", rd_bool, AT(policy_peer, dnssec), false, 0, 0, NULL},
    [P_FRONTS] = {"fronts", rd_fronts, AT(policy_peer, fronts), false, 1, POLICY_ZONES, NULL},
    [P_REGISTER] = {"register", rd_seconds, AT(policy_peer, register_s), false, 60, 86400, NULL},
    [P_SIGN] = {"sign", rd_bool, AT(policy_peer, sign), false, 0, 0, NULL},
    [P_VERIFY] = {"verify", rd_bool, AT(policy_peer, verify), false, 0, 0, NULL},
    [P_CALLERS] = {"callers", rd_callers, 0, false, 1, POLICY_CALLERS, NULL},
    [P_DECK] = {"deck", rd_deck, AT(policy_peer, deck), false, 0, 0, NULL},
    [P_PRIORITY] = {"priority", rd_u8, AT(policy_peer, priority), false, 0, 255, NULL},
    [P_CAPS] = {"caps", rd_caps, AT(policy_peer, caps), false, 0, 0, NULL},
    [P_SITE] = {"site", rd_site, AT(policy_peer, site), false, 0, 0, NULL},
};

static void peer_begin(void *entry)
{
    struct policy_peer *pe = entry;
    pe->zone = pe->listener = POLICY_NONE;
}

static void peer_transport(struct load *l, struct policy_peer *pe, bool given, struct pos at)
{
    static const char *const NAME[] = {"udp", "tcp", "tls"};
    if (pe->listener == POLICY_NONE)
        return;
    uint8_t proto = l->p->listeners[pe->listener].proto;
    if (given && pe->proto != proto)
        problem(l, at, "requests leave by the peer's listener: choose one of the same transport",
                "transport: %s, but its listener speaks %s", NAME[pe->proto], NAME[proto]);
    pe->proto = proto;
}

static void peer_end(struct load *l, void *entry, uint32_t seen, struct pos at)
{
    struct policy_peer *pe = entry;
    peer_transport(l, pe, seen >> P_TRANSPORT & 1, at);
    for (unsigned i = 0; i < pe->n_targets; i++)
        if (pe->targets[i].port == 0)
            pe->targets[i].port = pe->proto == PROTO_TLS ? 5061 : 5060;
    if (pe->listener != POLICY_NONE && pe->proto == PROTO_TLS && !(seen >> P_TLS_NAME & 1))
        problem(l, at, "the name that the peer's certificate must hold",
                "peer: \"tls_name\" is missing");
    if (pe->listener != POLICY_NONE && pe->proto != PROTO_TLS && (seen >> P_TLS_NAME & 1))
        problem(l, at, "take it out, or use a tls listener",
                "tls_name: only a tls peer has a certificate");
    pe->has_secret = pe->username.len > 0;
    if ((seen >> P_DNSSEC & 1) && pe->dnssec && !pe->host.len)
        problem(l, at, "take it out, or give a host name",
                "dnssec: the peer has addresses, nothing is looked up");
    if (pe->register_s && !pe->has_secret)
        problem(l, at, "username: the account at that peer",
                "register: needs \"username\", and `ringwall peer-secret` for its password");
}

void read_peers(struct load *l, struct fy_node *n)
{
    struct list d = {"peer",       PEER,       ARRAY_LEN(PEER), &REF_PEER,
                     POLICY_PEERS, l->peer_at, peer_begin,      peer_end};
    list_read(l, n, "peers", &d);
}

static const struct field FROM[] = {
    {"zone", rd_ref, AT(policy_route, from_zone), false, 0, 0, &REF_ZONE},
    {"peer", rd_ref, AT(policy_route, from_peer), false, 0, 0, &REF_PEER},
    {"role", rd_ref, AT(policy_route, role), false, 0, 0, &REF_ROLE},
};

static void rd_from(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    (void)f;
    (void)map_read(l, n, "from", FROM, ARRAY_LEN(FROM), dst);
}

static void rd_pattern(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    bool good = s.n <= 40;
    for (size_t i = 0; i < s.n && good; i++) {
        char c = s.p[i];
        good = lex_in(&LEX_ALNUM, c) || memchr("+#_-", c, 4) ||
               (c == '.' && i > 0 && i + 1 == s.n) || (c == '*' && i + 1 == s.n);
    }
    if (good)
        (void)text_add(l, pos_of(n), s, dst);
    else
        problem(l, pos_of(n),
                "digits, letters, '+'; X a digit, N 2 to 9; at the end '.' one or more of "
                "anything, '*' anything",
                "%s: \"%.*s\" is not a pattern of numbers", f->key, (int)MIN(s.n, 40u), s.p);
}

static void rd_prefix(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    for (size_t i = 0; i < s.n; i++) {
        if (s.n <= 20 && (lex_in(&LEX_ALNUM, s.p[i]) || memchr("+*#", s.p[i], 3)))
            continue;
        problem(l, pos_of(n), "at most 20 digits, '+', '*' and '#'",
                "%s: \"%.*s\" cannot be dialled", f->key, (int)MIN(s.n, 40u), s.p);
        return;
    }
    (void)text_add(l, pos_of(n), s, dst);
}

static void rd_route_peers(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_route *r = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && r->n_peers < POLICY_ROUTE_PEERS;) {
        uint8_t i = ref_find(l, &REF_PEER, f->key, e);
        if (i == POLICY_NONE)
            continue;
        if (memchr(r->peers, i, r->n_peers))
            problem(l, pos_of(e), NULL, "%s: the same peer twice", f->key);
        r->peers[r->n_peers++] = i;
    }
}

static const struct field TO[] = {
    {"peers", rd_route_peers, 0, true, 0, POLICY_ROUTE_PEERS, NULL},
};
static const struct word TO_WORD[] = {{"users", ROUTE_USERS}, {"refuse", ROUTE_REFUSE}, {NULL, 0}};

static void rd_to(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_route *r = dst;
    if (fy_node_is_scalar(n)) {
        int v = word_find(l, f->key, n, TO_WORD);
        if (v >= 0)
            r->to = (uint8_t)v;
        return;
    }
    r->to = ROUTE_PEERS;
    (void)map_read(l, n, "to", TO, ARRAY_LEN(TO), r);
}

static const struct word HOURS[] = {{"open", WHEN_OPEN}, {"closed", WHEN_CLOSED}, {NULL, 0}};
static const struct field WHEN[] = {
    {"site", rd_ref, AT(policy_route, when_site), false, 0, 0, &REF_SITE},
    {"hours", rd_word, AT(policy_route, when), true, 0, 0, HOURS},
};

static void rd_when(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_route *r = dst;
    if (!l->p->n_sites) {
        problem(l, pos_of(n), "name one under \"sites:\", with its hours",
                "%s: there is no site whose hours could count", f->key);
        return;
    }
    (void)map_read(l, n, f->key, WHEN, ARRAY_LEN(WHEN), dst);
    if (r->when_site >= l->p->n_sites)
        return; /* told */
    const struct rights_site *s = &l->p->sites[r->when_site];
    if (!s->n_week && !s->n_holidays)
        warning(l, pos_of(n), "give it \"hours\" or \"holidays\"",
                "%s: site \"%.*s\" is always open", f->key, (int)s->name.len,
                policy_text(l->p, s->name).p);
}

static const struct field ROUTE[] = {
    {"name", rd_name, AT(policy_route, name), true, 1, 30, NULL},
    {"from", rd_from, 0, false, 0, 0, NULL},
    {"pattern", rd_pattern, AT(policy_route, pattern), true, 0, 0, NULL},
    {"when", rd_when, 0, false, 0, 0, NULL},
    {"strip", rd_u8, AT(policy_route, strip), false, 0, 30, NULL},
    {"prefix", rd_prefix, AT(policy_route, prefix), false, 0, 0, NULL},
    {"to", rd_to, 0, true, 0, 0, NULL},
};
static const struct ref_kind REF_ROUTE = {"route", offsetof(struct policy, routes),
                                          sizeof(struct policy_route),
                                          offsetof(struct policy, n_routes)};

static void route_begin(void *entry)
{
    struct policy_route *r = entry;
    r->from_zone = r->from_peer = r->role = POLICY_NONE;
    r->to = ROUTE_REFUSE;
}

static void route_end(struct load *l, void *entry, uint32_t seen, struct pos at)
{
    (void)seen;
    struct policy_route *r = entry;
    struct str pat = policy_text(l->p, r->pattern);
    bool open = pat.n == 0 || pat.p[pat.n - 1] == '.' || pat.p[pat.n - 1] == '*';
    if (!open && r->strip >= pat.n && r->prefix.len == 0)
        problem(l, at, NULL,
                "strip: %u characters taken from a pattern of %zu leave nothing to dial", r->strip,
                pat.n);
}

void read_routes(struct load *l, struct fy_node *n)
{
    struct list d = {"route",       ROUTE,       ARRAY_LEN(ROUTE), &REF_ROUTE,
                     POLICY_ROUTES, l->route_at, route_begin,      route_end};
    list_read(l, n, "routes", &d);
}

static const struct field LIMITS[] = {
    {"calls", rd_u32, AT(policy_limits, calls), false, 1, 1000000, NULL},
    {"bindings", rd_u32, AT(policy_limits, bindings), false, 1, 10000000, NULL},
    {"transactions", rd_u32, AT(policy_limits, transactions), false, 100, 10000000, NULL},
    {"connections", rd_u32, AT(policy_limits, connections), false, 1, 1000000, NULL},
    {"connections_per_source", rd_u32, AT(policy_limits, connections_per_source), false, 1, 1000000,
     NULL},
    {"contacts_per_user", rd_u32, AT(policy_limits, contacts_per_user), false, 1, 64, NULL},
    {"subscriptions", rd_u32, AT(policy_limits, subscriptions), false, 1, 1000000, NULL},
    {"register_min", rd_seconds, AT(policy_limits, register_min_s), false, 10, 86400, NULL},
    {"register_max", rd_seconds, AT(policy_limits, register_max_s), false, 10, 604800, NULL},
    {"register_default", rd_seconds, AT(policy_limits, register_default_s), false, 10, 604800,
     NULL},
    {"ring", rd_seconds, AT(policy_limits, ring_s), false, 5, 3600, NULL},
    {"call_max", rd_seconds, AT(policy_limits, call_max_s), false, 10, 604800, NULL},
    {"media_timeout", rd_seconds, AT(policy_limits, media_timeout_s), false, 0, 86400, NULL},
    {"message_bytes", rd_u32, AT(policy_limits, message_bytes), false, 1500, 65535, NULL},
    {"session_expires", rd_seconds, AT(policy_limits, session_expires_s), false, 90, 86400, NULL},
    {"cdr_keep", rd_seconds, AT(policy_limits, cdr_keep_s), false, 86400, 315360000, NULL},
};

void limits_default(struct policy_limits *lim)
{
    *lim = (struct policy_limits){.calls = 2000,
                                  .bindings = 10000,
                                  .transactions = 20000,
                                  .connections = 5000,
                                  .connections_per_source = 200, /* an office behind one address */
                                  .contacts_per_user = 8,
                                  .subscriptions = 4000,
                                  .register_min_s = 60,
                                  .register_max_s = 7200,
                                  .register_default_s = 3600,
                                  .ring_s = 180,
                                  .call_max_s = 4 * 3600,
                                  .media_timeout_s = 300,
                                  .message_bytes = 32768,
                                  .session_expires_s = 1800};
}

void read_limits(struct load *l, struct fy_node *n)
{
    (void)map_read(l, n, "limits", LIMITS, ARRAY_LEN(LIMITS), &l->p->limits);
    const struct policy_limits *m = &l->p->limits;
    if (m->register_min_s > m->register_max_s || m->register_default_s < m->register_min_s ||
        m->register_default_s > m->register_max_s)
        problem(
            l, pos_of(n), NULL,
            "limits: register_min <= register_default <= register_max must hold, got %us, %us, %us",
            m->register_min_s, m->register_default_s, m->register_max_s);
}
