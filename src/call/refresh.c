/* Session timers (RFC 4028) of each leg for itself: our refreshes by UPDATE, and the end of a leg
 * whose peer does not refresh. Before the answer the same timer watches for a peer's first word. */
#include "call/core_int.h"

#define AGAIN_S 10

void session_arm(struct leg *l)
{
    struct core *c = l->call->core;
    /* Who knows neither timers nor UPDATE could only be asked by offers that change nothing; the
     * watch over media and the longest call are left for them. */
    bool deaf = l->st.we_refresh && !(l->flags & LEG_ALLOWS_UPDATE);
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

static void refresh(struct leg *l)
{
    struct core *c = l->call->core;
    struct out o;
    if (handle_is(l->nict) || handle_is(l->ict) || l->held || l->ask) {
        timer_arm(&c->wheel, &l->session, instant_add(c->now.mono, DUR_S(AGAIN_S)));
        return;
    }
    struct handle t = leg_request_begin(l, &o, SIP_UPDATE);
    if (handle_is(t)) {
        hide_contact(l, &o);
        sip_put(&o, HDR_SUPPORTED, STR("timer"));
        stimer_request_put(&l->st, &o);
        sip_end(&o, STR_NONE, STR_NONE);
        if (leg_request_send(l, t, &o)) {
            l->nict = t;
            l->nict_for = FOR_REFRESH;
            return;
        }
    }
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
    const struct policy_route *r = &c->policy->routes[k->route];
    bool more = k->next_peer + 1u < r->n_peers ||
                (k->next_peer < r->n_peers &&
                 k->next_target < c->policy->peers[r->peers[k->next_peer]].n_targets);
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
