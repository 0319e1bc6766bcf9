#include "call/policy.h"

static bool spans_ok(const struct policy *p, const struct span *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)s[i].off + s[i].len > p->text_n)
            return false;
    return true;
}

static bool index_ok(uint8_t i, uint8_t n)
{
    return i == POLICY_NONE || i < n;
}

static bool prefix_ok(const struct prefix *p)
{
    return p->a.family == ADDR_V4 ? p->bits <= 32 : p->a.family == ADDR_V6 ? p->bits <= 128 : false;
}

static bool access_ok(const struct policy_zone *z)
{
    if (z->n_access > ACCESS_RULES)
        return false;
    for (unsigned i = 0; i < z->n_access; i++) {
        const struct access_rule *r = &z->access[i];
        if ((r->by_prefix && !prefix_ok(&r->net)) || r->protos >> (PROTO_TLS + 1))
            return false;
    }
    return true;
}

static bool feed_ok(const struct policy *p, const struct guard_feed *f)
{
    const struct span s[] = {f->name, f->url, f->file, f->ca};
    return spans_ok(p, s, ARRAY_LEN(s)) && !f->url.len != !f->file.len && f->refresh_s > 0 &&
           f->expires_s > f->refresh_s;
}

static bool guard_ok(const struct policy *p)
{
    const struct guard_policy *g = &p->guard;
    if (g->kernel > KERNEL_NONE || g->n_interfaces > GUARD_INTERFACES ||
        g->n_exempt > GUARD_EXEMPT || g->n_decoys > GUARD_DECOYS || g->n_feeds > GUARD_FEEDS ||
        g->n_rule_files > GUARD_RULE_FILES || g->n_steps > GUARD_STEPS)
        return false;
    if (!spans_ok(p, g->interfaces, g->n_interfaces) || !spans_ok(p, g->decoys, g->n_decoys) ||
        !spans_ok(p, g->rule_files, g->n_rule_files) || !spans_ok(p, &g->geo, 1))
        return false;
    for (unsigned i = 0; i < g->n_exempt; i++)
        if (!prefix_ok(&g->exempt[i]))
            return false;
    for (unsigned i = 0; i < g->n_feeds; i++)
        if (!feed_ok(p, &g->feeds[i]))
            return false;
    for (unsigned i = 0; i < g->n_steps; i++)
        if (g->steps[i].treat >= TREAT_COUNT || (i && g->steps[i].score <= g->steps[i - 1].score))
            return false;
    for (unsigned i = 0; i < DET_COUNT; i++)
        if (g->detectors[i].treat >= TREAT_COUNT)
            return false;
    return true;
}

static bool zones_ok(const struct policy *p)
{
    for (unsigned i = 0; i < p->n_zones; i++) {
        const struct policy_zone *z = &p->zones[i];
        if (!spans_ok(p, &z->name, 1) || z->n_sources > POLICY_ZONE_SOURCES ||
            z->n_codecs > POLICY_ZONE_CODECS || !spans_ok(p, z->codecs, z->n_codecs) ||
            !access_ok(z))
            return false;
        for (unsigned k = 0; k < SUITE_COUNT; k++)
            if (z->suites[k] >= SUITE_COUNT)
                return false;
    }
    for (unsigned i = 0; i < p->n_waivers; i++) {
        const struct policy_waiver *w = &p->waivers[i];
        const struct span s[] = {w->name, w->owner, w->reason};
        if (w->zone >= p->n_zones || !spans_ok(p, s, ARRAY_LEN(s)))
            return false;
    }
    return true;
}

static bool peers_ok(const struct policy *p)
{
    for (unsigned i = 0; i < p->n_peers; i++) {
        const struct policy_peer *r = &p->peers[i];
        const struct span s[] = {r->name, r->username, r->realm_host, r->tls_name, r->host};
        if (!spans_ok(p, s, ARRAY_LEN(s)) || r->zone >= p->n_zones ||
            r->listener >= p->n_listeners || r->n_targets > POLICY_PEER_TARGETS ||
            (!r->n_targets && !r->host.len) || r->proto > PROTO_TLS)
            return false;
    }
    return true;
}

static bool routes_ok(const struct policy *p)
{
    for (unsigned i = 0; i < p->n_routes; i++) {
        const struct policy_route *r = &p->routes[i];
        const struct span s[] = {r->name, r->pattern, r->prefix};
        if (!spans_ok(p, s, ARRAY_LEN(s)) || !index_ok(r->from_zone, p->n_zones) ||
            !index_ok(r->from_peer, p->n_peers) || !index_ok(r->role, p->n_roles) ||
            r->to > ROUTE_REFUSE || r->n_peers > POLICY_ROUTE_PEERS || r->when > WHEN_CLOSED ||
            (r->when != WHEN_ALWAYS && r->when_site >= p->n_sites))
            return false;
        for (unsigned k = 0; k < r->n_peers; k++)
            if (r->peers[k] >= p->n_peers)
                return false;
    }
    return true;
}

static bool consult_ok(const struct policy *p)
{
    const struct policy_consult *c = &p->consult;
    if (!spans_ok(p, &c->url, 1))
        return false;
    return !c->on || (c->peer == POLICY_NONE ? c->url.len > 0 : c->peer < p->n_peers);
}

static bool places_ok(const struct policy *p)
{
    if (p->n_places > POLICY_PLACES)
        return false;
    for (unsigned i = 0; i < p->n_places; i++)
        if (p->places[i].prefix_n > sizeof p->places[i].prefix ||
            !p->places[i].country == !p->places[i].prefix_n)
            return false;
    return true;
}

static bool money_ok(const struct policy *p)
{
    if (p->n_sites > RIGHTS_SITES || p->n_decks > RATES_DECKS ||
        !spans_ok(p, p->decks, p->n_decks) || !spans_ok(p, &p->currency, 1) ||
        !spans_ok(p, &p->service_number, 1) || !consult_ok(p) || !places_ok(p) ||
        fraud_policy_valid(&p->fraud) != OK || stir_policy_valid(&p->stir) != OK ||
        !spans_ok(p, p->stir.allow, p->stir.n_allow) || !spans_ok(p, &p->stir.x5u, 1) ||
        !spans_ok(p, &p->stir.private_name, 1) || token_policy_valid(&p->tokens) != OK)
        return false;
    for (unsigned i = 0; i < RIGHTS_SITES; i++) { /* 0 is used whatever n_sites says */
        const struct rights_site *s = &p->sites[i];
        const struct span sp[] = {s->name, s->area, s->international, s->national, s->outside};
        if (!spans_ok(p, sp, ARRAY_LEN(sp)) || rights_site_valid(s) != OK)
            return false;
    }
    for (unsigned i = 0; i < p->n_peers; i++)
        if (!spans_ok(p, &p->peers[i].site, 1) || p->peers[i].n_callers > POLICY_CALLERS ||
            !spans_ok(p, p->peers[i].callers, p->peers[i].n_callers) ||
            p->peers[i].deck > p->n_decks)
            return false;
    return true;
}

enum err policy_valid(const struct policy *p, size_t bytes)
{
    if (bytes < sizeof *p || p->magic != POLICY_MAGIC || p->version != POLICY_VERSION ||
        p->bytes != sizeof *p || p->text_n > POLICY_TEXT)
        return ERR_SYNTAX;
    if (p->n_domains > POLICY_DOMAINS || p->n_listeners > POLICY_LISTENERS ||
        p->n_zones > POLICY_ZONES || p->n_waivers > POLICY_WAIVERS || p->n_peers > POLICY_PEERS ||
        p->n_routes > POLICY_ROUTES || p->n_roles > POLICY_ROLES || !p->n_roles ||
        p->rtp_min > p->rtp_max)
        return ERR_RANGE;
    if (!spans_ok(p, p->domains, p->n_domains) || !zones_ok(p) || !peers_ok(p) || !routes_ok(p) ||
        !guard_ok(p))
        return ERR_RANGE;
    for (unsigned i = 0; i < p->n_listeners; i++)
        if (p->listeners[i].proto > PROTO_TLS || !spans_ok(p, &p->listeners[i].name, 1))
            return ERR_RANGE;
    if (p->dns.n_servers > POLICY_RESOLVERS || p->dns.n_plain > POLICY_UNSIGNED ||
        !spans_ok(p, p->dns.plain, p->dns.n_plain))
        return ERR_RANGE;
    for (unsigned i = 0; i < p->n_roles; i++)
        if (!spans_ok(p, &p->roles[i].name, 1) || rights_role_valid(&p->roles[i].rights) != OK)
            return ERR_RANGE;
    return money_ok(p) ? OK : ERR_RANGE;
}

uint8_t policy_zone_of(const struct policy *p, uint8_t listener, const struct addr *source)
{
    uint8_t best = POLICY_NONE;
    int best_bits = -1;
    for (uint8_t i = 0; i < p->n_zones; i++) {
        const struct policy_zone *z = &p->zones[i];
        if (!((z->listeners >> listener) & 1))
            continue;
        for (unsigned k = 0; k < z->n_sources; k++)
            if (z->sources[k].bits > best_bits && prefix_has(&z->sources[k], source)) {
                best_bits = z->sources[k].bits;
                best = i;
            }
    }
    return best;
}

uint8_t policy_peer_of(const struct policy *p, uint8_t zone, const struct addr *source)
{
    uint8_t by_ip = POLICY_NONE;
    for (uint8_t i = 0; i < p->n_peers; i++) {
        const struct policy_peer *r = &p->peers[i];
        if (r->zone != zone)
            continue;
        for (unsigned k = 0; k < r->n_targets; k++) {
            if (addr_eq(&r->targets[k], source))
                return i;
            if (by_ip == POLICY_NONE && addr_eq_ip(&r->targets[k], source))
                by_ip = i;
        }
    }
    return by_ip;
}

enum reason policy_waived(const struct policy *p, uint8_t zone, enum waive what, struct wall now)
{
    bool dead = false;
    for (unsigned i = 0; i < p->n_waivers; i++) {
        const struct policy_waiver *w = &p->waivers[i];
        if (w->zone != zone || !(w->allow & what))
            continue;
        if (w->expires.us > now.us)
            return REASON_NONE;
        dead = true;
    }
    if (dead)
        return REASON_waiver_expired;
    return what == WAIVE_PLAIN_MEDIA ? REASON_media_plaintext : REASON_zone_plaintext;
}

const struct rights_site *policy_site(const struct policy *p, struct str name)
{
    for (unsigned i = 0; name.n && i < p->n_sites; i++)
        if (str_eq(policy_text(p, p->sites[i].name), name))
            return &p->sites[i];
    return &p->sites[0];
}

struct dial_plan policy_plan(const struct policy *p, const struct rights_site *s)
{
    return (struct dial_plan){.country = s->country,
                              .area = policy_text(p, s->area),
                              .international = policy_text(p, s->international),
                              .national = policy_text(p, s->national),
                              .outside = policy_text(p, s->outside)};
}

const struct policy_role *policy_role_named(const struct policy *p, struct str name)
{
    for (unsigned i = 0; i < p->n_roles; i++)
        if (str_eq(policy_text(p, p->roles[i].name), name))
            return &p->roles[i];
    return &p->roles[0];
}

bool policy_domain(const struct policy *p, struct str host)
{
    for (unsigned i = 0; i < p->n_domains; i++)
        if (str_ieq(policy_text(p, p->domains[i]), host))
            return true;
    struct addr a;
    if (addr_parse_ip(host, &a) != OK)
        return false;
    for (unsigned i = 0; i < p->n_listeners; i++)
        if (addr_eq_ip(&p->listeners[i].advertise, &a) || addr_eq_ip(&p->listeners[i].bind, &a))
            return true;
    return false;
}

struct media_policy policy_media(const struct policy *p, uint8_t zone, const struct flow *f,
                                 struct wall now)
{
    const struct policy_zone *z = &p->zones[zone];
    struct media_policy m = {0};
    bool plain_waived = policy_waived(p, zone, WAIVE_PLAIN_MEDIA, now) == REASON_NONE;
    _Static_assert((int)KIND_AUDIO == (int)LINE_AUDIO && (int)KIND_VIDEO == (int)LINE_VIDEO &&
                       (int)KIND_APPLICATION == (int)LINE_APPLICATION &&
                       (int)KIND_T38 == (int)LINE_T38 && (int)KIND_TEXT == (int)LINE_TEXT &&
                       POLICY_ZONE_CODECS == CODECS_NAMES_MAX,
                   "media/leg.h says the same");
    m.signalling_secure = f->proto == PROTO_TLS;
    m.plain_allowed = z->media != ZONE_SRTP && plain_waived;
    m.t38_plain = plain_waived;
    m.kinds = z->kinds;
    m.codecs = (struct codec_names){z->codecs, str_of(p->text, p->text_n), z->n_codecs};
    m.offer_srtp = z->media != ZONE_RTP && m.signalling_secure;
    m.symmetric = z->nat;
    memcpy(m.suites, z->suites, sizeof m.suites);
    m.local_ip = p->listeners[f->listener].advertise;
    m.local_ip.port = 0;
    if (!addr_any(&p->listeners[f->listener].bind))
        m.source_ip = p->listeners[f->listener].bind;
    m.source_ip.port = 0;
    return m;
}

/* X a digit, N 2-9, '*' any rest, '.' one or more of anything at the end; all else is itself. */
bool policy_pattern(struct str pattern, struct str dialled)
{
    size_t i = 0;
    for (; i < pattern.n; i++) {
        char c = pattern.p[i];
        bool last = i + 1 == pattern.n;
        if (c == '*' && last)
            return true;
        if (c == '.' && last)
            return dialled.n > i;
        if (i >= dialled.n)
            return false;
        char d = dialled.p[i];
        if (c == 'X' ? !ascii_digit(d) : c == 'N' ? d < '2' || d > '9' : c != d)
            return false;
    }
    return dialled.n == i;
}

enum route_fit policy_route_fit(const struct policy *p, const struct policy_route *r,
                                const struct policy_caller *by, struct str dialled)
{
    if (!policy_pattern(policy_text(p, r->pattern), dialled))
        return ROUTE_NOT_NUMBER;
    if ((r->from_zone != POLICY_NONE && r->from_zone != by->zone) ||
        (r->from_peer != POLICY_NONE && r->from_peer != by->peer) ||
        (r->role != POLICY_NONE && r->role != by->role))
        return ROUTE_NOT_CALLER;
    if (r->when == WHEN_ALWAYS)
        return ROUTE_HOLDS;
    bool open = rights_open(&p->sites[r->when_site], by->now);
    return open == (r->when == WHEN_OPEN) ? ROUTE_HOLDS : ROUTE_NOT_NOW;
}

/* What holds now is put behind what an hour closed, if that was meant for the number and this takes
 * whatever is left: a wildcard to users behind the way to the rescue. */
static const struct policy_route *for_help(const struct policy *p, const struct policy_route *holds,
                                           const struct policy_route *closed)
{
    bool instead =
        holds && (holds->to == ROUTE_PEERS || (closed && str_eq(policy_text(p, holds->pattern),
                                                                policy_text(p, closed->pattern))));
    return !closed || instead ? holds : closed;
}

const struct policy_route *policy_route(const struct policy *p, const struct policy_caller *by,
                                        struct str dialled)
{
    const struct policy_route *holds = NULL, *closed = NULL;
    for (unsigned i = 0; i < p->n_routes && !holds; i++) {
        const struct policy_route *r = &p->routes[i];
        enum route_fit fit = policy_route_fit(p, r, by, dialled);
        if (by->emergency && r->when != WHEN_ALWAYS && r->to == ROUTE_REFUSE)
            continue;
        if (fit == ROUTE_HOLDS)
            holds = r;
        if (fit == ROUTE_NOT_NOW && !closed)
            closed = r;
    }
    return by->emergency ? for_help(p, holds, closed) : holds;
}
