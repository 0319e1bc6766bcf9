/* The legs B of a call that is not answered: all phones of a user at once, or a route's peers one
 * after the other; the best final response (RFC 3261 16.7 step 6) when none answers. */
#include "call/hide.h"
#include "call/target.h"

#define FIRST_WORD_MS 4000 /* a peer's target that says nothing for so long is passed over */

/* Sends the INVITE of a leg that stands, with the offer that A made. */
static enum reason invite(struct leg *b, struct str authorization)
{
    struct call *k = b->call;
    struct core *c = k->core;
    enum reason why = REASON_NONE;
    char branch[BRANCH_CHARS];
    struct out sdp = out_of(c->sdp, sizeof c->sdp);
    struct str offer = sdp_of(k->a->held->m, &why);
    if (offer.n)
        why = media_offer_out(c->media, b->media, offer, c->now.mono, &sdp);
    if (why != REASON_NONE)
        return why;
    struct handle t = trans_client(c->trans, SIP_INVITE, USER(USER_LEG, leg_handle(b)), branch);
    if (!handle_is(t))
        return REASON_capacity_transactions;
    struct out o = intents_room(c->out);
    hide_invite(b, k->a->held->m, str_of(branch, sizeof branch), out_str(&sdp), authorization, &o);
    b->ict = t;
    b->ict_for = FOR_CALL;
    b->state = LEG_TRYING;
    b->flags &= (uint16_t) ~(LEG_ANSWER_GIVEN | LEG_HEARD);
    if (b->st.interval_s)
        session_keep_sdp(b, out_str(&sdp));
    if (leg_request_send(b, t, &o))
        return REASON_NONE;
    b->ict = HANDLE_NONE;
    return REASON_capacity_memory;
}

static enum reason start(struct call *k, const struct target *g)
{
    struct core *c = k->core;
    if (k->redirects && k->n_forks >= FORKS_MAX)
        return REASON_redirect_loop;
    struct leg *b = leg_new(k, 'b');
    if (!b)
        return REASON_capacity_calls;
    b->flow = g->flow;
    b->zone = g->zone;
    b->peer = g->peer;
    b->target = g->target;
    b->st.interval_s = c->policy->limits.session_expires_s;
    b->aor = g->aor.n ? arena_str(&k->text, g->aor) : STR_NONE;
    leg_here(b);
    struct media_policy mp = policy_media(c->policy, g->zone, &g->flow, c->now.wall);
    b->media = media_leg_open(c->media, &mp, k->session);
    enum reason why = caller_shown(b, k->a->held->m, &b->shown);
    enum err e = why == REASON_NONE ? hide_dialog(b, k->a->held->m, g->uri) : OK;
    if (e == OK && g->path.n) { /* until its answer brings routes of its own */
        b->d.routes[0] = arena_str(&k->text, g->path);
        b->d.n_routes = 1;
        e = b->d.routes[0].p ? OK : ERR_FULL;
    }
    if (why != REASON_NONE)
        ;
    else if (!b->media)
        why = REASON_capacity_ports;
    else if (e != OK)
        why = e == ERR_FULL ? REASON_capacity_memory : REASON_sip_uri_too_long;
    bool question = consult_is(b);
    if (why == REASON_NONE && !question)
        why = money_begin(b);
    if (why == REASON_NONE && !question)
        money_inbound(b);
    if (why == REASON_NONE)
        why = !question && stir_due(b) ? stir_ask(b) : invite(b, STR_NONE);
    if (why != REASON_NONE) {
        core_count(c, why);
        leg_free(b);
        return why;
    }
    k->n_forks++;
    if (question)
        consult_timer(b);
    else if (b->peer != POLICY_NONE)
        timer_arm(&c->wheel, &b->session, instant_add(c->now.mono, DUR_MS(FIRST_WORD_MS)));
    return REASON_NONE;
}

/* --- users --- */

static enum reason start_users(struct call *k, struct str uri)
{
    struct core *c = k->core;
    size_t n = 0;
    enum reason why = target_users(c, k->a->held->m, k->a->peer, uri, k->dialled, &n);
    for (size_t i = 0; i < n; i++) {
        struct target g;
        enum reason one = target_phone(c, &c->bindings[i], &g);
        if (one == REASON_NONE)
            one = start(k, &g);
        if (!k->forks)
            why = one;
    }
    return k->forks ? REASON_NONE : why;
}

/* --- peers --- */

/* The third party is asked, or the answer for when it cannot be is taken. */
static enum reason consult(struct call *k)
{
    struct target g;
    bool url = consult_by_url(k->core);
    enum reason why = url ? consult_ask(k) : consult_begin(k, &g);
    if (why == REASON_NONE && !url)
        why = start(k, &g);
    if (why == REASON_NONE)
        return why;
    return consult_lets(k, 0) ? fork_next(k) : REASON_fraud_asked;
}

enum reason fork_next(struct call *k)
{
    struct core *c = k->core;
    const struct policy *p = c->policy;
    enum reason why = REASON_route_peer_down;
    if (k->route == POLICY_NONE || p->routes[k->route].to != ROUTE_PEERS)
        return why;
    if (consult_due(k))
        return consult(k);
    const struct policy_route *r = &p->routes[k->route];
    for (; k->next_peer < r->n_peers; k->next_peer++, k->next_target = 0) {
        uint8_t peer = choice_peer(k, k->next_peer);
        if (!peers_targets(c, peer))
            why = peers_none(c, peer);
        while (k->next_target < peers_targets(c, peer)) {
            uint8_t t = peers_pick(c, peer, k->session, k->next_target++);
            struct target g;
            if (!peers_usable(c, peer, t))
                continue;
            why = target_peer(c, peer, t, k->user, k->dialled, &g);
            if (why == REASON_NONE)
                why = start(k, &g);
            if (why == REASON_NONE || k->broke)
                return why;
        }
    }
    return why;
}

enum reason fork_to(struct call *k, const struct policy_route *route, struct str uri,
                    struct str dialled)
{
    struct core *c = k->core;
    char user[192], text[192];
    struct out raw = out_of(user, sizeof user), o = out_of(text, sizeof text);
    out_put(&raw, policy_text(c->policy, route->prefix));
    out_put(&raw, str_skip(dialled, route->strip));
    sip_escape_user(&o, out_str(&raw));
    k->dialled = arena_str(&k->text, out_str(&o));
    k->route = (uint8_t)(route - c->policy->routes);
    k->next_peer = k->next_target = 0;
    k->consult = 0; /* somebody else is called: asked about anew */
    if (raw.full || o.full || !raw.n || !k->dialled.p)
        return REASON_route_user_unknown;
    return route->to == ROUTE_USERS ? start_users(k, uri) : fork_next(k);
}

enum reason fork_start(struct call *k, const struct request *r)
{
    char dialled[DIALLED_MAX];
    size_t n;
    struct str uri = sip_text(r->m, r->m->uri);
    if (!r->route)
        return r->emergency ? REASON_emergency_unrouted : REASON_right_no_route;
    if (!dialled_of_uri(uri, dialled, sizeof dialled, &n))
        return REASON_route_user_unknown;
    return fork_to(k, r->route, uri, str_of(dialled, n));
}

/* --- how it ends --- */

void fork_release(struct call *k, const struct leg *but)
{
    struct leg *next;
    for (struct leg *b = k->forks; b; b = next) {
        next = b->next;
        if (b == but)
            continue;
        leg_part(b, false, REASON_NONE, but && but->state == LEG_ANSWERED ? 200 : 0);
        leg_free(b);
    }
}

/* 6xx before all, then the lowest class; in a class the first that came; silence counts least. */
static unsigned rank(uint16_t code, enum reason why)
{
    if (why == REASON_sip_timeout || why == REASON_sip_transport_failed ||
        why == REASON_route_flow_gone)
        return 9;
    return code / 100 == 6 ? 0 : code / 100u;
}

static void remember(struct call *k, uint16_t code, enum reason why)
{
    if (k->best_code && rank(code, why) >= rank(k->best_code, k->best_why))
        return;
    k->best_code = code;
    k->best_why = why;
}

/* The phone's other flow, when that which was tried is dead (RFC 5626 5.3). */
static void other_flow(struct leg *b)
{
    struct call *k = b->call;
    struct core *c = k->core;
    struct binding *x = &c->bindings[0];
    if (!b->aor.n || !location_other(c->cfg.shards, c->cfg.engines, &c->cfg.hash_key, b->aor,
                                     c->now.wall, &b->flow, b->d.remote_target, x))
        return;
    struct target g;
    if (target_phone(c, x, &g) == REASON_NONE)
        (void)start(k, &g);
}

/* Leg B is out. Another target of the route, or the others that still ring, or the end, to which
 * the last leg stays for the CDR. */
static void out_of_race(struct leg *b, bool retry, uint16_t code, enum reason why)
{
    struct call *k = b->call;
    remember(k, code, why);
    leg_part(b, false, REASON_NONE, 0);
    b->ict = HANDLE_NONE;
    b->pay.loose = true;
    if (k->best_code / 100 == 6)
        fork_release(k, b);
    else if (retry)
        (void)fork_next(k);
    else if (why == REASON_route_flow_gone)
        other_flow(b);
    bool last = b == k->forks && !b->next;
    if (last && !(k->best_code / 100 == 6) && redirect_next(k))
        last = false;
    if (last)
        call_step(k, CALL_EV_FAIL, NULL, NULL, why);
    else
        leg_free(b);
}

void fork_consulted(struct call *k, bool lets)
{
    enum reason why = lets ? fork_next(k) : REASON_fraud_asked;
    if (why == REASON_NONE)
        return;
    core_count(k->core, why);
    remember(k, reason_info(why)->code, why);
    if (!redirect_next(k))
        call_step(k, CALL_EV_FAIL, NULL, NULL, why);
}

/* What the third party says, 0: nothing. Its leg goes. */
static void consulted(struct leg *b, uint16_t code)
{
    struct call *k = b->call;
    bool lets = consult_lets(k, code);
    leg_part(b, false, REASON_NONE, 0);
    leg_free(b);
    k->n_forks--;
    fork_consulted(k, lets);
}

void fork_failed(struct leg *b, enum reason why)
{
    struct core *c = b->call->core;
    if (consult_is(b)) {
        if (why == REASON_sip_timeout || why == REASON_sip_transport_failed)
            peers_heard_at(c, b->peer, &b->flow.peer, false, why);
        consulted(b, 0);
        return;
    }
    bool peer = b->peer != POLICY_NONE,
         dead = why == REASON_sip_timeout || why == REASON_sip_transport_failed;
    uint16_t code = reason_info(why)->code;
    core_count(c, why);
    if (peer && dead)
        peers_heard_at(c, b->peer, &b->flow.peer, false, why);
    if (!peer && why == REASON_sip_transport_failed) {
        why = REASON_route_flow_gone;
        code = reason_info(why)->code;
    }
    if (why == REASON_sip_timeout || why == REASON_sip_transport_failed)
        b->ict = HANDLE_NONE; /* its transaction has ended by itself */
    out_of_race(b, peer && (dead || why == REASON_peer_challenge), code ? code : 500, why);
}

void fork_retry(struct leg *b, struct str authorization)
{
    enum reason why = invite(b, authorization);
    if (why != REASON_NONE)
        fork_failed(b, why);
}

static void refused(struct leg *b, const struct sip_msg *m)
{
    struct core *c = b->call->core;
    enum reason why;
    bool peer = b->peer != POLICY_NONE;
    b->ict = HANDLE_NONE;
    if ((m->code == 401 || m->code == 407) && peer && c->policy->peers[b->peer].has_secret &&
        !(b->flags & LEG_TRIED_AUTH)) {
        b->flags |= LEG_TRIED_AUTH;
        pending_respond(c, b, m, FOR_CALL);
        return;
    }
    if (m->code == 422 && !(b->flags & LEG_TRIED_422)) {
        b->flags |= LEG_TRIED_422;
        stimer_response_in(&b->st, m);
        fork_retry(b, STR_NONE);
        return;
    }
    if (peer)
        peers_heard_at(c, b->peer, &b->flow.peer, m->code != 503, REASON_peer_refused);
    uint16_t code = hide_code(m->code, peer, &why);
    b->pay.loose = true;
    if (m->code / 100 == 3)
        why = redirect_take(b, m);
    if (why == REASON_NONE) {
        leg_free(b);
        return;
    }
    if (m->code == 430 && !peer) { /* RFC 5626 11.5: an edge proxy has lost the flow */
        why = REASON_route_flow_gone;
        code = reason_info(why)->code;
    }
    core_count(c, why);
    bool next = peer && choice_goes_on(b, m);
    if (peer)
        choice_heard(c, b->peer, !next);
    if (next && code < 500) /* of the way: what is said of the callee counts for more */
        code = 503;
    out_of_race(b, next, code, why);
}

void fork_response(struct leg *b, const struct sip_msg *m)
{
    struct core *c = b->call->core;
    if (!(b->flags & LEG_HEARD)) {
        b->flags |= LEG_HEARD;
        timer_stop(&c->wheel, &b->session);
    }
    if (consult_is(b)) {
        if (m->code < 200)
            return;
        b->ict = HANDLE_NONE;
        if (m->code < 300) /* it was asked, not called */
            stray_answer(c, m, &b->flow);
        consulted(b, m->code);
        return;
    }
    if (m->code >= 300) {
        refused(b, m);
        return;
    }
    if (b->peer != POLICY_NONE)
        peers_heard_at(c, b->peer, &b->flow.peer, true, REASON_NONE);
    if (m->code >= 200 && b->peer != POLICY_NONE)
        choice_heard(c, b->peer, true);
    if (m->code >= 200)
        call_step(b->call, CALL_EV_ANSWER, m, b, REASON_NONE);
    else if (m->code > 100)
        call_step(b->call, CALL_EV_PROGRESS, m, b, REASON_NONE);
}

/* --- media --- */

enum reason fork_answer_in(struct call *k, struct leg *b, struct str sdp)
{
    struct core *c = k->core;
    struct leg *a = k->a;
    enum reason why = REASON_NONE;
    uint64_t hash = siphash(&c->cfg.hash_key, sdp);
    /* Given reliably on both sides it stands: what a 2xx says again does not count. */
    bool firm = b->rel.uac.have && (a->flags & LEG_REL_SDP) && !a->rel.uas.waiting;
    if ((b->flags & LEG_ANSWER_GIVEN) && (hash == b->sdp_hash || firm))
        return REASON_NONE;
    struct str offer = sdp_of(a->held->m, &why);
    struct out o = out_of(c->sdp, sizeof c->sdp);
    /* Another fork or another answer than the early one: the same offer is answered again. */
    bool standin = a->flags & LEG_STANDIN; /* then the answer is brought to whom it stands for */
    if (a->held->answer.p && !standin)
        why = media_offer_in(c->media, a->media, offer);
    if (why == REASON_NONE && (b->flags & LEG_ANSWER_GIVEN))
        why = media_offer_out(c->media, b->media, offer, c->now.mono, &o);
    if (why == REASON_NONE)
        why = media_answer_in(c->media, b->media, sdp);
    o = out_of(c->sdp, sizeof c->sdp);
    if (why == REASON_NONE && !standin)
        why = media_answer_out(c->media, a->media, sdp, c->now.mono, &o);
    if (why != REASON_NONE)
        return why;
    if (standin)
        words_keep(b, sdp);
    else
        media_pair(c->media, a->media, b->media);
    b->flags |= LEG_ANSWER_GIVEN;
    b->sdp_hash = hash;
    a->held->answer = arena_str(&a->held->arena, out_str(&o));
    return a->held->answer.p ? REASON_NONE : REASON_capacity_memory;
}
