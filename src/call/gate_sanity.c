/* Sanity: what RFC 3261 8.2 makes every element check before it acts on a request. The signature,
 * fraud and emergency gates hold their place in the order here until their own issues fill them. */
#include "base/cur.h"
#include "call/gate.h"

bool gate_extension_known(struct str tag)
{
    static const struct str known[] = {{"100rel", 6},   {"timer", 5},    {"path", 4},
                                       {"outbound", 8}, {"replaces", 8}, {"norefersub", 10}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_ieq(tag, known[i]))
            return true;
    return false;
}

static bool scheme_served(struct str uri)
{
    return str_istarts(uri, STR("sip:")) || str_istarts(uri, STR("sips:")) ||
           str_istarts(uri, STR("tel:")) || str_istarts(uri, STR("urn:service:sos"));
}

/* RFC 3261 20.1: without Accept application/sdp is meant; an empty one accepts nothing. */
static bool accepts_sdp(const struct sip_msg *m)
{
    struct sip_list it = {0};
    struct sip_media_type t;
    struct str range;
    if (!sip_has(m, HDR_ACCEPT))
        return true;
    while (sip_list_next(m, HDR_ACCEPT, &it, &range)) {
        if (sip_media_type_parse(range, &t) != OK)
            continue;
        bool any = str_eq(t.subtype, STR("*"));
        if ((any && str_eq(t.type, STR("*"))) ||
            (str_ieq(t.type, STR("application")) && (any || str_ieq(t.subtype, STR("sdp")))))
            return true;
    }
    return false;
}

/* RFC 3323 section 5: privacy that is critical and of a kind we do not know is refused. */
static bool privacy_served(const struct sip_msg *m)
{
    static const struct str known[] = {{"id", 2},      {"user", 4}, {"header", 6},
                                       {"session", 7}, {"none", 4}, {"history", 7}};
    struct str rest = sip_get(m, HDR_PRIVACY), one;
    bool critical = false, all = true;
    while (rest.n) {
        rest = str_cut(rest, ';', &one);
        one = str_trim(one);
        bool found = str_ieq(one, STR("critical"));
        critical |= found;
        for (size_t i = 0; i < ARRAY_LEN(known) && !found; i++)
            found = str_ieq(one, known[i]);
        all &= found;
    }
    return all || !critical;
}

uint64_t gate_route_number(const struct sipkey *k, uint8_t zone, uint8_t peer, struct str uri)
{
    char head[2] = {(char)zone, (char)peer};
    struct sipkey mixed = {k->k0 ^ siphash(k, str_of(head, sizeof head)), k->k1};
    return siphash(&mixed, uri);
}

void gate_route_mark(const struct sipkey *k, uint64_t route, struct str branch, struct out *o)
{
    struct sipkey mixed = {k->k0 ^ route, ~k->k1};
    uint8_t bytes[ROUTE_MARK_CHARS / 2];
    be64_put(bytes, siphash(&mixed, branch));
    out_hex(o, bytes, sizeof bytes);
}

/* A proxy behind us sent the INVITE back with our Via below its own, to where it came from before:
 * RFC 5393 4.2. The first Via is the sender's own. Over back-to-back agents only Max-Forwards
 * helps. */
static bool loops(const struct gate_env *e, const struct request *r)
{
    const struct sip_msg *m = r->m;
    struct sip_list it = {0};
    struct sip_via via;
    struct str one, mark;
    uint64_t route = 0;
    bool known = false;
    if (!sip_list_next(m, HDR_VIA, &it, &one))
        return false;
    while (sip_list_next(m, HDR_VIA, &it, &one)) {
        if (sip_via_parse(one, &via) != OK || !sip_param(via.params, STR(ROUTE_MARK_NAME), &mark) ||
            mark.n != ROUTE_MARK_CHARS)
            continue;
        if (!known) /* once, as a URI may be long and Vias many */
            route = gate_route_number(&e->hash_key, r->zone, r->peer, sip_text(m, m->uri));
        known = true;
        char mine[ROUTE_MARK_CHARS];
        struct out o = out_of(mine, sizeof mine);
        gate_route_mark(&e->hash_key, route, via.branch, &o);
        if (str_eq(out_str(&o), mark))
            return true;
    }
    return false;
}

/* RFC 5393 5.3.3.1: a request that may not be sent on even once. */
static enum reason breadth(const struct sip_msg *m)
{
    uint32_t n;
    if (!sip_has(m, HDR_MAX_BREADTH))
        return REASON_NONE;
    if (str_u32(sip_get(m, HDR_MAX_BREADTH), UINT32_MAX, &n) != OK)
        return REASON_sip_header_syntax;
    return n ? REASON_NONE : REASON_sip_max_breadth;
}

/* What only requests outside of a dialog have to pass. */
static enum reason outside(const struct gate_env *e, const struct request *r)
{
    const struct sip_msg *m = r->m;
    if (m->method == SIP_ACK || m->method == SIP_CANCEL)
        return REASON_NONE;
    if (m->max_forwards == 0)
        return REASON_sip_max_forwards;
    if (!privacy_served(m))
        return REASON_sip_privacy;
    if (m->method != SIP_INVITE)
        return REASON_NONE;
    if (!accepts_sdp(m))
        return REASON_sip_not_acceptable;
    return loops(e, r) ? REASON_sip_loop : breadth(m);
}

struct verdict gate_sanity(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    const struct sip_msg *m = r->m;
    if (!scheme_served(sip_text(m, m->uri)))
        return gate_refuse(REASON_sip_uri_scheme);
    enum reason why = r->in_dialog ? REASON_NONE : outside(e, r);
    if (why != REASON_NONE)
        return gate_refuse(why);
    if (m->method != SIP_ACK && m->method != SIP_CANCEL) {
        struct sip_list it = {0};
        struct str tag;
        while (sip_list_next(m, HDR_REQUIRE, &it, &tag))
            if (!gate_extension_known(tag))
                return gate_refuse(REASON_sip_extension_required);
    }
    struct str enc = sip_get(m, HDR_CONTENT_ENCODING);
    if (enc.n && !str_ieq(enc, STR("identity")))
        return gate_refuse(REASON_sip_body_type);
    return gate_pass();
}
