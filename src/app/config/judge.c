/* What holds between sections. Errors are what cannot work or would open a door; warnings are what
 * will refuse peers. */
#include "app/config/values.h"
#include "app/config/yaml.h"
#include "wire/dns/dns.h"
#include <unistd.h>

#define NAME(l, sp) (int)(sp).len, policy_text((l)->p, (sp)).p
#define NET(proto)  ((proto) == PROTO_UDP ? "udp" : "tcp")

static bool same_place(const struct addr *a, const struct addr *b)
{
    if (a->family != b->family)
        return false; /* the monitor binds IPv6 listeners to IPv6 only */
    return addr_eq_ip(a, b) || addr_any(a) || addr_any(b);
}

static void judge_listeners(struct load *l)
{
    struct policy *p = l->p;
    for (unsigned i = 0; i < p->n_listeners; i++) {
        struct policy_listener *a = &p->listeners[i];
        for (unsigned j = 0; j < i; j++) {
            const struct policy_listener *b = &p->listeners[j];
            if (a->bind.port == b->bind.port &&
                (a->proto == PROTO_UDP) == (b->proto == PROTO_UDP) &&
                same_place(&a->bind, &b->bind))
                problem(l, l->listener_at[i], "give one of them another port or address",
                        "listeners \"%.*s\" and \"%.*s\" both want %s port %u", NAME(l, b->name),
                        NAME(l, a->name), NET(a->proto), a->bind.port);
        }
        if (a->proto == PROTO_UDP && a->bind.port >= p->rtp_min && a->bind.port <= p->rtp_max)
            problem(l, l->listener_at[i], "move the listener or media.ports",
                    "listener \"%.*s\": udp port %u lies in the media ports %u-%u",
                    NAME(l, a->name), a->bind.port, p->rtp_min, p->rtp_max);
        bool used = false;
        for (unsigned z = 0; z < p->n_zones; z++)
            used = used || (p->zones[z].listeners >> i & 1);
        if (!used)
            warning(l, l->listener_at[i], "name it in the \"listeners\" of a zone",
                    "listener \"%.*s\" belongs to no zone and refuses everybody", NAME(l, a->name));
    }
    if (p->n_listeners == 0)
        warning(l, (struct pos){0, 0}, "define one under \"listeners:\"",
                "no listener: nobody can reach this gateway");
}

/* Strictest of the listener's zones decides the handshake. */
static void judge_client_certs(struct load *l)
{
    struct policy *p = l->p;
    for (unsigned i = 0; i < p->n_listeners; i++) {
        uint8_t lo = 2;
        for (unsigned z = 0; z < p->n_zones; z++) {
            if (!(p->zones[z].listeners >> i & 1))
                continue;
            p->listeners[i].client_cert = MAX(p->listeners[i].client_cert, p->zones[z].client_cert);
            lo = MIN(lo, p->zones[z].client_cert);
        }
        if (p->listeners[i].client_cert == 2 && lo < 2)
            warning(l, l->listener_at[i], "give such a zone its own listener",
                    "listener \"%.*s\": one of its zones requires client certificates, so all its "
                    "zones do",
                    NAME(l, p->listeners[i].name));
    }
}

/* How the zone stands with its waivers for what: 0 none, 1 only dead ones, 2 a live one. */
static int waived(const struct load *l, unsigned zone, uint8_t what)
{
    int best = 0;
    for (unsigned i = 0; i < l->p->n_waivers; i++) {
        const struct policy_waiver *w = &l->p->waivers[i];
        if (w->zone == zone && (w->allow & what))
            best = MAX(best, w->expires.us > l->o->now.us ? 2 : 1);
    }
    return best;
}

static void judge_zone_plain(struct load *l, unsigned zi)
{
    const struct policy *p = l->p;
    const struct policy_zone *z = &p->zones[zi];
    bool plain = false, tls = false;
    for (unsigned i = 0; i < p->n_listeners; i++) {
        if (z->listeners >> i & 1) {
            plain = plain || p->listeners[i].proto != PROTO_TLS;
            tls = tls || p->listeners[i].proto == PROTO_TLS;
        }
    }
    int sig = waived(l, zi, WAIVE_PLAIN_SIGNALLING), med = waived(l, zi, WAIVE_PLAIN_MEDIA);
    if (plain && sig < 2)
        warning(l, l->zone_at[zi],
                "add a waiver that allows [plain-signalling], or use tls listeners only",
                "zone \"%.*s\" has a plaintext listener and %s: its requests there are refused",
                NAME(l, z->name), sig ? "its waiver has expired" : "no waiver");
    if (z->media == ZONE_RTP && med < 2)
        warning(l, l->zone_at[zi], "add a waiver that allows [plain-media], or say media: srtp",
                "zone \"%.*s\" has media: rtp and %s: its calls are refused", NAME(l, z->name),
                med ? "its waiver has expired" : "no waiver");
    if (z->media == ZONE_SRTP && z->listeners && !tls)
        warning(l, l->zone_at[zi], "add a tls listener, or say media: rtp with a waiver",
                "zone \"%.*s\" has media: srtp but no tls listener: keys never travel in "
                "plaintext, so its calls are refused",
                NAME(l, z->name));
}

/* Without digest an address is the whole proof, and only peers' addresses are believed. */
static void judge_zone_unauthenticated(struct load *l, unsigned zi)
{
    const struct policy *p = l->p;
    const struct policy_zone *z = &p->zones[zi];
    if (z->authenticate >= AUTH_CERT && z->client_cert != 2)
        problem(l, l->zone_at[zi], "say client_certificate: required",
                "zone \"%.*s\" proves who calls by certificates that it does not demand",
                NAME(l, z->name));
    if (z->authenticate)
        return;
    if (z->registration)
        problem(l, l->zone_at[zi], "say authenticate: yes",
                "zone \"%.*s\" takes registrations without authentication", NAME(l, z->name));
    bool has_peer = false;
    for (unsigned i = 0; i < p->n_peers; i++)
        has_peer = has_peer || p->peers[i].zone == zi;
    if (!has_peer)
        warning(l, l->zone_at[zi], "define a peer in it, or say authenticate: yes",
                "zone \"%.*s\" believes only the addresses of its peers and has none: it refuses "
                "everybody",
                NAME(l, z->name));
}

static void judge_waivers(struct load *l)
{
    char date[VALUE_DATE_TEXT];
    for (unsigned i = 0; i < l->p->n_waivers; i++) {
        const struct policy_waiver *w = &l->p->waivers[i];
        if (w->expires.us == 0 || w->expires.us > l->o->now.us)
            continue;
        value_date_text((struct wall){w->expires.us - 1}, date);
        warning(l, l->waiver_at[i], "renew it or take away what it allowed",
                "waiver \"%.*s\" expired on %s: what it allowed is refused", NAME(l, w->name),
                date);
    }
}

static void judge_peer(struct load *l, unsigned pi)
{
    const struct policy *p = l->p;
    const struct policy_peer *pe = &p->peers[pi];
    if (pe->zone == POLICY_NONE || pe->listener == POLICY_NONE)
        return;
    const struct policy_zone *z = &p->zones[pe->zone];
    for (unsigned i = 0; i < p->n_zones; i++)
        if ((pe->fronts >> i & 1) && !p->zones[i].registration)
            problem(l, l->peer_at[pi], "say registration: yes there, or take it out",
                    "peer \"%.*s\": fronts zone \"%.*s\", where nobody may register",
                    NAME(l, pe->name), NAME(l, p->zones[i].name));
    if (!(z->listeners >> pe->listener & 1))
        problem(l, l->peer_at[pi], "add the listener to the zone, or choose another",
                "peer \"%.*s\": listener \"%.*s\" is not one of zone \"%.*s\"", NAME(l, pe->name),
                NAME(l, p->listeners[pe->listener].name), NAME(l, z->name));
    for (unsigned t = 0; t < pe->n_targets; t++) {
        bool in = false;
        for (unsigned s = 0; s < z->n_sources; s++)
            in = in || prefix_has(&z->sources[s], &pe->targets[t]);
        char text[ADDR_TEXT_MAX];
        struct out o = out_of(text, sizeof text - 1);
        addr_put(&o, &pe->targets[t]);
        text[o.n] = 0;
        if (!in)
            warning(l, l->peer_at[pi], "add the address to the zone's sources",
                    "peer \"%.*s\": %s lies in no source of zone \"%.*s\", so its own calls are "
                    "refused",
                    NAME(l, pe->name), text, NAME(l, z->name));
        if (pe->targets[t].family != p->listeners[pe->listener].bind.family)
            problem(l, l->peer_at[pi], "choose a listener of the same family",
                    "peer \"%.*s\": %s cannot be reached from its listener's address family",
                    NAME(l, pe->name), text);
    }
}

/* What a name needs besides itself. */
static void judge_name(struct load *l, unsigned pi)
{
    const struct policy_peer *pe = &l->p->peers[pi];
    if (pe->host.len && pe->dnssec && !l->c->trust_anchor[0] && !l->o->no_files)
        warning(
            l, l->peer_at[pi], "install dns-root-data, or name a file in dns.trust_anchor",
            "peer \"%.*s\": dnssec: yes, but there is no trust anchor, so no answer is believed",
            NAME(l, pe->name));
    if (pe->host.len && pe->listener != POLICY_NONE &&
        pe->host.len + STR("_sips._tcp.").n > DNS_NAME_MAX)
        problem(l, l->peer_at[pi], NULL, "peer \"%.*s\": its name is too long for an SRV look-up",
                NAME(l, pe->name));
}

static bool covers(uint8_t wide, uint8_t narrow)
{
    return wide == POLICY_NONE || wide == narrow;
}

static void judge_routes(struct load *l)
{
    const struct policy *p = l->p;
    for (unsigned i = 0; i < p->n_routes; i++) {
        const struct policy_route *r = &p->routes[i];
        for (unsigned j = 0; j < i; j++) {
            const struct policy_route *a = &p->routes[j];
            struct str pat = policy_text(p, a->pattern);
            bool all = str_eq(pat, STR("*")) || str_eq(pat, policy_text(p, r->pattern));
            if (!all || !covers(a->from_zone, r->from_zone) ||
                !covers(a->from_peer, r->from_peer) || !covers(a->role, r->role) ||
                (a->when != WHEN_ALWAYS && (a->when != r->when || a->when_site != r->when_site)))
                continue;
            warning(l, l->route_at[i], "put the narrower rule first",
                    "route \"%.*s\" is never reached: \"%.*s\" in line %u takes its calls",
                    NAME(l, r->name), NAME(l, a->name), l->route_at[j].line);
            break;
        }
    }
}

static void judge_media(struct load *l)
{
    const struct policy *p = l->p;
    unsigned ports = (unsigned)p->rtp_max - p->rtp_min + 1u;
    unsigned engines = p->engines ? p->engines : 1u;
    if (ports / engines < 64)
        problem(l, l->media_at, "widen media.ports, or lower engines",
                "media.ports: %u ports for %u engines; each needs 64 at least", ports, engines);
    else if (ports / 4 < p->limits.calls)
        warning(l, l->media_at, "widen media.ports, or lower limits.calls",
                "media.ports: %u ports carry about %u calls, limits.calls allows %u", ports,
                ports / 4, p->limits.calls);
}

static void judge_files(struct load *l)
{
    if (l->o->no_files)
        return;
    for (unsigned i = 0; i < l->c->n_certs; i++)
        if (l->c->certs[i].chain[0] && access(l->c->certs[i].chain, R_OK) != 0)
            problem(l, l->certs_at, "`ringwall init` makes a first one",
                    "certificate \"%s\": %s cannot be read", l->c->certs[i].name,
                    l->c->certs[i].chain);
}

void judge(struct load *l)
{
    judge_listeners(l);
    judge_client_certs(l);
    for (unsigned z = 0; z < l->p->n_zones; z++) {
        judge_zone_plain(l, z);
        judge_zone_unauthenticated(l, z);
    }
    judge_waivers(l);
    for (unsigned i = 0; i < l->p->n_peers; i++)
        judge_peer(l, i);
    for (unsigned i = 0; i < l->p->n_peers; i++)
        judge_name(l, i);
    judge_routes(l);
    judge_media(l);
    judge_files(l);
    judge_guard(l);
    judge_stir(l);
}
