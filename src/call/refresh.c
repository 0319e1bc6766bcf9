/* Session timers (RFC 4028) of each leg for itself: our refreshes, and the end of a leg whose peer
 * does not refresh. Before the answer the same timer watches for a peer's first word. */
#include "call/core_int.h"

#define AGAIN_S 10

#define SDP_KEEP 480u /* fits a small block; longer ones are not kept */

static bool by_update(const struct leg *l)
{
    return l->flags & LEG_ALLOWS_UPDATE;
}

void session_keep_sdp(struct leg *l, struct str sdp)
{
    l->sdp_sent.n = 0;
    if (!sdp.n || sdp.n > SDP_KEEP)
        return;
    if (sdp.n > l->sdp_room) {
        uint16_t room = (uint16_t)MIN((sdp.n + 63) & ~(size_t)63, (size_t)SDP_KEEP);
        char *p = arena_take(&l->call->text, room);
        if (!p)
            return;
        l->sdp_sent.p = p;
        l->sdp_room = room;
    }
    char *own = (char *)(uintptr_t)l->sdp_sent.p; /* taken from the arena above */
    memcpy(own, sdp.p, sdp.n);
    l->sdp_sent.n = sdp.n;
}

void session_arm(struct leg *l)
{
    struct core *c = l->call->core;
    /* Who takes no UPDATE and was told more than we keep cannot be refreshed; the watch over media
     * and the longest call are left. */
    bool deaf = l->st.we_refresh && !by_update(l) && !l->sdp_sent.n;
    struct instant due = stimer_due(&l->st, c->now.mono);
    if (deaf || due.us == INSTANT_NEVER.us)
        timer_stop(&c->wheel, &l->session);
    else
        timer_arm(&c->wheel, &l->session, due);
}

void session_response(struct leg *l, const struct sip_msg *m)
{
    struct core *c = l->call->core;
    stimer_response_in(&l->st, m);
    if (m->code / 100 == 2)
        session_arm(l);
    else
        timer_arm(&c->wheel, &l->session, instant_add(c->now.mono, DUR_S(AGAIN_S)));
}

void session_refreshed(struct leg *l, const struct sip_msg *m)
{
    struct core *c = l->call->core;
    session_response(l, m);
    if (m->code != 408 && m->code != 481)
        return;
    enum reason why = m->code == 408 ? REASON_sip_timeout : REASON_sip_no_dialog;
    core_count(c, why);
    call_step(l->call, CALL_EV_STOP, NULL, l, why);
}

/* UPDATE without a description, or an INVITE that repeats ours: the same origin and version, so
 * that nothing changes (RFC 4028 section 7.4, RFC 3264 section 8). */
static bool refresh_send(struct leg *l)
{
    bool update = by_update(l);
    struct out o;
    if (!update && !l->sdp_sent.n)
        return false;
    struct handle t = leg_request_begin(l, &o, update ? SIP_UPDATE : SIP_INVITE);
    if (!handle_is(t))
        return false;
    hide_contact(l, &o);
    sip_put(&o, HDR_ALLOW, STR(ALLOW));
    sip_put(&o, HDR_SUPPORTED, STR("timer"));
    stimer_request_put(&l->st, &o);
    sip_end(&o, update ? STR_NONE : STR("application/sdp"), update ? STR_NONE : l->sdp_sent);
    if (!leg_request_send(l, t, &o))
        return false;
    *(update ? &l->nict : &l->ict) = t;
    *(update ? &l->nict_for : &l->ict_for) = FOR_REFRESH;
    return true;
}

static void refresh(struct leg *l)
{
    struct core *c = l->call->core;
    const struct leg *y = leg_other(l);
    bool busy =
        handle_is(l->nict) || handle_is(l->ict) || l->held || l->ask || !y || y->held || y->ask;
    if (busy || !refresh_send(l))
        timer_arm(&c->wheel, &l->session, instant_add(c->now.mono, DUR_S(AGAIN_S)));
}

/* A peer's target keeps silent. While others are left the next one is tried; a late answer of this
 * one is undone (stray_answer). */
static void no_word(struct leg *b)
{
    struct core *c = b->call->core;
    const struct call *k = b->call;
    if (k->route == POLICY_NONE || !handle_is(b->ict))
        return;
    if (consult_is(b)) {
        fork_failed(b, REASON_sip_timeout);
        return;
    }
    const struct policy_route *r = &c->policy->routes[k->route];
    bool more =
        k->next_peer + 1u < r->n_peers ||
        (k->next_peer < r->n_peers && k->next_target < peers_targets(c, r->peers[k->next_peer]));
    if (!more)
        return;
    (void)!trans_cancel(c->trans, b->ict, STR_NONE, c->now.mono);
    fork_failed(b, REASON_sip_timeout);
}

void session_timer(struct core *c, struct timer *t)
{
    struct leg *l = (struct leg *)(void *)((char *)t - offsetof(struct leg, session));
    if (l->state < LEG_ANSWERED) {
        no_word(l);
        return;
    }
    if (l->st.we_refresh) {
        refresh(l);
        return;
    }
    core_count(c, REASON_sip_session_expired);
    call_step(l->call, CALL_EV_STOP, NULL, l, REASON_sip_session_expired);
}
