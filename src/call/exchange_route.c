/* Where single requests go, one after the other or all at once, and how they look there. */
#include "call/exchange.h"
#include "call/hide.h"

static void id_new(struct core *c, char ret[16])
{
    uint64_t r = rng_u64(&c->rng);
    hex_encode((const uint8_t *)&r, 8, ret);
}

static void head_put(struct exchange *x, const struct target *g, struct str branch, struct out *o)
{
    struct core *c = x->core;
    const struct sip_msg *m = x->held->m;
    struct str method = sip_method_name((enum sip_method)x->method);
    sip_request_line(o, method, g->uri);
    via_put(c, &g->flow, branch, o);
    if (g->path.n)
        sip_put(o, HDR_ROUTE, g->path);
    /* Lowered, so that a ring of gateways ends. */
    sip_put_u32(o, HDR_MAX_FORWARDS, hide_max_forwards(m));
    sip_begin(o, HDR_FROM);
    from_put(c, m, g->peer, o);
    OUT_LIT(o, ";tag=");
    out_put(o, str_of(x->tag, sizeof x->tag));
    sip_eol(o);
    sip_begin(o, HDR_TO);
    OUT_LIT(o, "<sip:");
    out_put(o, x->dialled);
    out_ch(o, '@');
    out_put(o, host_towards(c, g->peer));
    out_ch(o, '>');
    sip_eol(o);
    sip_put(o, HDR_CALL_ID, str_of(x->id, sizeof x->id));
    sip_put_cseq(o, ++x->cseq, method);
}

/* The same rights hold for where a peer's request goes as for where it comes from. */
static bool serves_target(const struct exchange *x, const struct target *g)
{
    return x->from_peer == POLICY_NONE ||
           event_right(x->core->policy, g->zone, x->held->m) == REASON_NONE;
}

static enum reason send_to(struct exchange *x, const struct target *g, struct str authorization)
{
    struct core *c = x->core;
    char branch[BRANCH_CHARS], type_text[96];
    struct out o, body = out_of(c->sdp2, sizeof c->sdp2),
                  type = out_of(type_text, sizeof type_text);
    if (!serves_target(x, g))
        return REASON_right_service;
    enum reason why = exchange_body(x, g->peer, &type, &body);
    if (why == REASON_NONE &&
        (body.full ||
         (x->method == SIP_MESSAGE && g->flow.proto == PROTO_UDP && body.n > MESSAGE_UDP_MAX)))
        why = REASON_sip_too_large;
    if (why != REASON_NONE)
        return why;
    struct handle t = exchange_client(x, branch);
    if (!handle_is(t))
        return REASON_capacity_transactions;
    if (!authorization.n) {
        id_new(c, x->id);
        id_new(c, x->tag);
        x->cseq = rng_below(&c->rng, 9999);
    }
    o = intents_room(c->out);
    if (x->method == SIP_SUBSCRIBE) {
        why = sub_ask(x, g, str_of(branch, sizeof branch), authorization.n > 0, &o);
        if (why != REASON_NONE) {
            trans_drop(c->trans, t);
            return why;
        }
    } else {
        head_put(x, g, str_of(branch, sizeof branch), &o);
    }
    fields_put(x, g, &o);
    out_put(&o, authorization);
    sip_end(&o, body.n ? out_str(&type) : STR_NONE, out_str(&body));
    if (!str_eq(x->uri, g->uri))
        x->uri = arena_str(&x->held->arena, g->uri);
    return exchange_send(x, t, &g->flow, &o);
}

/* --- where it goes --- */

enum reason exchange_users(struct exchange *x)
{
    struct core *c = x->core;
    const struct sip_msg *m = x->held->m;
    size_t n = 0;
    enum reason why = target_users(c, m, POLICY_NONE, sip_text(m, m->uri), x->dialled, &n);
    for (size_t i = 0; i < n; i++) {
        struct target g;
        why = target_phone(c, &c->bindings[i], &g);
        if (why == REASON_NONE)
            why = send_to(x, &g, STR_NONE);
        if (why == REASON_NONE && x->method == SIP_SUBSCRIBE)
            break; /* one dialog, with the phone that the user likes best */
    }
    return x->n ? REASON_NONE : why;
}

enum reason exchange_peer(struct exchange *x, struct str authorization)
{
    struct target g;
    enum reason why = target_peer(x->core, x->peer, x->target, x->user, x->dialled, &g);
    return why == REASON_NONE ? send_to(x, &g, authorization) : why;
}

/* Next peer target in order; REASON_NONE when the request went out. */
enum reason exchange_next(struct exchange *x)
{
    struct core *c = x->core;
    enum reason why = REASON_route_peer_down;
    if (x->policies != c->policies)
        return why; /* the route's numbers mean nothing any more */
    for (; x->next_peer < x->n_peers; x->next_peer++, x->next_target = 0) {
        uint8_t peer = x->peers[x->next_peer];
        if (!peers_targets(c, peer))
            why = peers_none(c, peer);
        while (x->next_target < peers_targets(c, peer)) {
            x->target = peers_pick(c, peer, x->salt, x->next_target++);
            if (!peers_usable(c, peer, x->target))
                continue;
            x->peer = peer;
            x->tried_auth = false;
            why = exchange_peer(x, STR_NONE);
            if (why != REASON_NONE)
                continue;
            struct instant word = instant_add(c->now.mono, DUR_MS(EXCHANGE_WORD_MS));
            timer_arm(&c->wheel, &x->timer, instant_before(word, x->end) ? word : x->end);
            return why;
        }
    }
    return why;
}

/* State lives at the PBX that a zone's phones are registered at, too: a phone's voice mail, the
 * lines it watches, its presence. Phones themselves rarely serve a subscription. */
static uint8_t state_agent(const struct exchange *x, const struct request *r)
{
    const struct policy *p = x->core->policy;
    if ((x->method != SIP_SUBSCRIBE && x->method != SIP_PUBLISH) || r->ident != IDENT_USER)
        return POLICY_NONE;
    for (uint8_t i = 0; i < p->n_peers; i++)
        if ((p->peers[i].fronts >> r->zone) & 1)
            return i;
    return POLICY_NONE;
}

enum reason exchange_route(struct exchange *x, const struct request *r)
{
    struct core *c = x->core;
    char dialled[128], user[192], text[192];
    size_t n;
    struct out raw = out_of(user, sizeof user), o = out_of(text, sizeof text);
    if (!r->route)
        return REASON_right_no_route;
    if (!dialled_of_uri(sip_text(r->m, r->m->uri), dialled, sizeof dialled, &n))
        return REASON_route_user_unknown;
    out_put(&raw, policy_text(c->policy, r->route->prefix));
    out_put(&raw, str_skip(str_of(dialled, n), r->route->strip));
    sip_escape_user(&o, out_str(&raw));
    x->dialled = arena_str(&x->held->arena, out_str(&o));
    if (raw.full || o.full || !raw.n || !x->dialled.p)
        return REASON_route_user_unknown;
    if (r->route->to == ROUTE_PEERS) {
        x->n_peers = r->route->n_peers;
        memcpy(x->peers, r->route->peers, x->n_peers);
        return REASON_NONE;
    }
    x->peers[0] = state_agent(x, r);
    x->n_peers = x->peers[0] != POLICY_NONE;
    return !x->n_peers && x->method == SIP_PUBLISH ? REASON_right_no_route : REASON_NONE;
}
