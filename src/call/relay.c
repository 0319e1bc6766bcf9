/* Requests within a call that go from end to end: re-INVITE and UPDATE (RFC 3261 14, 3311) with
 * their offers and answers, INFO (RFC 6086 2) with the bodies that may pass. x is the leg that
 * asks, y the one that is asked. One at a time: whatever else comes meanwhile is glare (491) or
 * busy (500). */
#include "call/core_int.h"

static bool info_body_ok(const struct sip_msg *m)
{
    struct sip_media_type t;
    if (!m->body.len)
        return true;
    return sip_media_type_parse(sip_get(m, HDR_CONTENT_TYPE), &t) == OK &&
           str_ieq(t.type, STR("application")) &&
           (str_ieq(t.subtype, STR("dtmf-relay")) || str_ieq(t.subtype, STR("dtmf")));
}

/* The leg at the other end, or before the answer the early one whose description was taken. */
static struct leg *across(const struct leg *x)
{
    struct leg *y = leg_other(x);
    if (x->side == 'b')
        return x->flags & LEG_ANSWER_GIVEN || x == x->call->b ? y : NULL;
    for (struct leg *b = x->call->forks; b && !y; b = b->next)
        if (b->flags & LEG_ANSWER_GIVEN)
            y = b;
    return y;
}

/* Before the answer, once the first offer was answered reliably on both sides (RFC 3262 5, 3311
 * 5.1), an UPDATE may carry the next one. */
static bool settled(const struct leg *x, const struct leg *y)
{
    const struct leg *a = x->side == 'a' ? x : y, *b = a == x ? y : x;
    return x->call->state == CALL_EARLY && (a->flags & LEG_REL_SDP) && !a->rel.uas.waiting &&
           b->rel.uac.have;
}

/* RFC 3261 14.1-2 and RFC 3311 5.2: may an offer of x pass now? */
static enum reason offer_may_pass(const struct leg *x, const struct leg *y, const struct sip_msg *m)
{
    if (m->method != SIP_INVITE && y && settled(x, y)) {
        if (x->ask)
            return REASON_sip_busy_invite;
        if (y->ask || handle_is(x->nict) || handle_is(y->nict))
            return REASON_sip_glare;
        return y->flags & LEG_ALLOWS_UPDATE ? REASON_NONE : REASON_media_not_acceptable;
    }
    if (m->method == SIP_PRACK)
        return REASON_media_not_acceptable;
    if (x->side == 'b' && handle_is(x->ict)) /* our offer to it has no answer yet */
        return REASON_sip_glare;
    if (x->call->x.step >= TRANSFER_FAR || handle_is(x->call->origin))
        return REASON_transfer_busy;
    if (x->held || x->ask)
        return x->held && x->held->again_code >= 200 ? REASON_sip_glare : REASON_sip_busy_invite;
    if (!y)
        return REASON_sip_busy_invite;
    if (handle_is(x->ict) || handle_is(x->nict) || y->held || y->ask || handle_is(y->ict))
        return REASON_sip_glare;
    return x->call->state == CALL_UP ? REASON_NONE : REASON_sip_glare;
}

static enum reason may_pass(const struct leg *x, const struct leg *y, const struct sip_msg *m)
{
    enum reason why = REASON_NONE;
    if (y && (y->flags & LEG_GONE)) /* x waits for somebody else */
        return REASON_transfer_busy;
    if (m->method == SIP_INFO) {
        if (!info_body_ok(m))
            return REASON_sip_body_type;
        if (!y || x->call->state != CALL_UP || x->ask || handle_is(y->nict))
            return REASON_sip_busy_invite;
        return REASON_NONE;
    }
    (void)sdp_of(m, &why);
    return why != REASON_NONE ? why : offer_may_pass(x, y, m);
}

/* An UPDATE without offer is a session refresh of that leg alone. */
static void refresh_only(struct core *c, struct incoming *in)
{
    struct leg *x = in->leg;
    struct out o = out_of(c->fields, sizeof c->fields);
    enum reason why = stimer_request_in(&x->st, in->m);
    if (why != REASON_NONE) {
        core_count(c, why);
        sip_put_u32(&o, HDR_MIN_SE, MAX(x->st.min_se_s, STIMER_MIN_S));
        reply(c, in->m, &in->r->flow, in->t, 422, out_str(&o));
        return;
    }
    hide_contact(x, &o);
    sip_put(&o, HDR_ALLOW, STR(ALLOW));
    sip_put(&o, HDR_SUPPORTED, STR(SUPPORTED));
    stimer_response_put(&x->st, &o);
    reply(c, in->m, &in->r->flow, in->t, 200, out_str(&o));
    if (x->state >= LEG_ANSWERED)
        session_arm(x);
}

/* The request to y. sdp: what x offers (empty: a late offer), or the body of an INFO. */
static enum reason pass_on(struct leg *x, struct leg *y, struct held *h, struct str authorization)
{
    struct core *c = x->call->core;
    const struct sip_msg *m = h->m;
    enum reason why = REASON_NONE;
    enum sip_method method = m->method;
    struct str body = sip_text(m, m->body), type = sip_get(m, HDR_CONTENT_TYPE);
    struct out sdp = out_of(c->sdp, sizeof c->sdp), o;
    if (method != SIP_INFO) {
        struct str offer = sdp_of(m, &why);
        if (offer.n)
            why = media_offer_in(c->media, x->media, offer);
        if (why == REASON_NONE && offer.n)
            why = media_offer_out(c->media, y->media, offer, c->now.mono, &sdp);
        if (why != REASON_NONE)
            return why;
        body = out_str(&sdp);
        type = STR("application/sdp");
        if (method == SIP_PRACK)
            method = SIP_UPDATE;
        if (method == SIP_UPDATE && !(y->flags & LEG_ALLOWS_UPDATE))
            method = SIP_INVITE; /* says the same to who does not know UPDATE */
    }
    struct handle t = leg_request_begin(y, &o, method);
    if (!handle_is(t))
        return REASON_capacity_transactions;
    if (method != SIP_INFO) {
        hide_contact(y, &o);
        sip_put(&o, HDR_ALLOW, STR(ALLOW));
        sip_put(&o, HDR_SUPPORTED, STR("timer"));
        stimer_request_put(&y->st, &o);
    }
    out_put(&o, authorization);
    sip_end(&o, body.n ? type : STR_NONE, body);
    if (!leg_request_send(y, t, &o))
        return REASON_capacity_memory;
    if (method != SIP_INFO && body.n && !(y->flags & LEG_ALLOWS_UPDATE))
        h->said = arena_str(&h->arena, body);
    if (method == SIP_INVITE) {
        y->ict = t;
        y->ict_for = m->method == SIP_INVITE ? FOR_INVITE : FOR_ASK;
    } else {
        y->nict = t;
        y->nict_for = FOR_ASK;
    }
    return REASON_NONE;
}

static void rollback(struct leg *x, struct leg *y)
{
    struct core *c = x->call->core;
    media_rollback(c->media, x->media);
    if (y)
        media_rollback(c->media, y->media);
}

static enum reason prepare(struct core *c, struct incoming *in)
{
    struct leg *x = in->leg;
    enum reason why = REASON_NONE;
    if (in->m->method != SIP_INFO && in->m->method != SIP_PRACK) {
        leg_note(x, in->m);
        why = stimer_request_in(&x->st, in->m);
        enum err e = dialog_target(&x->d, &x->call->text, in->m);
        if (e != OK)
            why = e == ERR_FULL ? REASON_capacity_memory : REASON_sip_header_syntax;
    }
    if (why != REASON_NONE)
        return why;
    enum err e = incoming_hold(c, in);
    return e == OK ? REASON_NONE : (e == ERR_LIMIT ? REASON_sip_too_large : REASON_capacity_memory);
}

void relay_request(struct core *c, struct incoming *in)
{
    struct leg *x = in->leg, *y = across(x);
    bool waited = in->held != NULL, invite = in->m->method == SIP_INVITE;
    enum reason why = REASON_NONE;
    if (in->m->method == SIP_UPDATE && !in->m->body.len) {
        refresh_only(c, in);
        return;
    }
    why = may_pass(x, y, in->m);
    if (why == REASON_NONE)
        why = prepare(c, in);
    if (why != REASON_NONE) {
        reply_reason(c, in, why);
        return;
    }
    if (invite && !waited)
        reply(c, in->m, &in->r->flow, in->t, 100, STR_NONE);
    y->flags &= (uint16_t)~LEG_TRIED_RELAY_AUTH;
    why = pass_on(x, y, in->held, STR_NONE);
    if (why != REASON_NONE) {
        if (in->m->method != SIP_INFO)
            rollback(x, y);
        reply_reason(c, in, why);
        return;
    }
    if (invite)
        trans_set_user(c->trans, in->t, USER(USER_LEG, leg_handle(x)));
    *(invite ? &x->held : &x->ask) = in->held;
    in->held = NULL;
}

/* --- answers of y --- */

static struct held **waiting(struct leg *x, uint8_t what)
{
    return what == FOR_INVITE ? &x->held : &x->ask;
}

static void update_ok(struct leg *x, struct str sdp)
{
    struct core *c = x->call->core;
    struct held *h = x->ask;
    struct out o = intents_room(c->out);
    sip_reply(&o, h->m, 200, STR_NONE, x->d.local_tag, &h->flow.peer);
    bool update = h->m->method == SIP_UPDATE;
    if (update) {
        hide_contact(x, &o);
        sip_put(&o, HDR_ALLOW, STR(ALLOW));
        sip_put(&o, HDR_SUPPORTED, STR(SUPPORTED));
        stimer_response_put(&x->st, &o);
    }
    sip_end(&o, sdp.n ? STR("application/sdp") : STR_NONE, sdp);
    reply_send(c, &h->flow, h->t, 200, &o);
    held_free(&x->ask);
    if (update && x->state >= LEG_ANSWERED)
        session_arm(x);
    early_answer_due(x);
}

static void stop(struct leg *l, enum reason why)
{
    core_count(l->call->core, why);
    call_step(l->call, CALL_EV_STOP, NULL, l, why);
}

/* y accepted the offer of x. */
static enum reason answered(struct leg *x, struct leg *y, const struct held *h,
                            const struct sip_msg *m, struct out *o)
{
    struct core *c = x->call->core;
    enum reason why = REASON_NONE;
    struct str sdp = sdp_of(m, &why);
    if (why == REASON_NONE && !sdp.n)
        why = REASON_media_answer_bad;
    if (why == REASON_NONE)
        why = media_answer_in(c->media, y->media, sdp);
    if (why == REASON_NONE)
        why = media_answer_out(c->media, x->media, sdp, c->now.mono, o);
    if (why != REASON_NONE)
        return why;
    media_pair(c->media, x->media, y->media);
    enum reason none = REASON_NONE;
    words_keep(x, sdp_of(h->m, &none));
    words_keep(y, sdp);
    if (h->said.n) {
        session_keep_sdp(y, h->said);
        session_arm(y); /* there may have been nothing to refresh it by */
    }
    return REASON_NONE;
}

/* y made the offer that x had asked for. */
static enum reason offered(struct leg *x, struct leg *y, const struct sip_msg *m, struct out *o)
{
    struct core *c = x->call->core;
    enum reason why = REASON_NONE;
    struct str sdp = sdp_of(m, &why);
    y->flags |= LEG_ACK_WAITS;
    x->flags |= LEG_LATE;
    if (why == REASON_NONE && !sdp.n)
        why = REASON_media_answer_bad;
    if (why == REASON_NONE)
        why = media_offer_in(c->media, y->media, sdp);
    words_keep(y, sdp);
    return why == REASON_NONE ? media_offer_out(c->media, x->media, sdp, c->now.mono, o) : why;
}

static void invite_ok(struct leg *y, const struct sip_msg *m)
{
    struct core *c = y->call->core;
    struct leg *x = leg_other(y);
    uint8_t what = y->ict_for;
    enum reason why = REASON_NONE;
    struct out o = out_of(c->sdp, sizeof c->sdp);
    y->ict = HANDLE_NONE;
    y->invite_cseq = m->cseq;
    if (dialog_target(&y->d, &y->call->text, m) != OK)
        core_count(c, REASON_sip_header_syntax); /* the old target stays in force */
    leg_note(y, m);
    session_response(y, m);
    if (what == FOR_TRANSFER) {
        join_response(y, m);
        return;
    }
    struct held *h = x && what != FOR_REFRESH ? *waiting(x, what) : NULL;
    if (!h) {
        leg_send_ack(y, STR_NONE);
        return;
    }
    if (sdp_of(h->m, &why).n) {
        leg_send_ack(y, STR_NONE);
        why = answered(x, y, h, m, &o);
    } else {
        why = offered(x, y, m, &o);
    }
    if (why != REASON_NONE)
        stop(y, why); /* y has changed and x cannot follow */
    else if (what == FOR_INVITE)
        leg_answer(x, out_str(&o));
    else
        update_ok(x, out_str(&o));
}

/* y refused: everything stays as it was (RFC 3261 14.1), unless y says that there is no call. */
static void refuse(struct leg *y, uint8_t what, uint16_t code)
{
    struct core *c = y->call->core;
    struct leg *x = across(y);
    enum reason why;
    struct held **h = x ? waiting(x, what) : NULL;
    if (h && *h) {
        bool early = x->state < LEG_ANSWERED;
        bool offer = (*h)->m->method != SIP_INFO;
        uint16_t told = code == 491 || code == 487 ? code : hide_code(code, true, &why);
        leg_reply(x, *h, told, STR_NONE);
        held_free(h);
        if (offer)
            rollback(x, y);
        if (early)
            early_answer_due(x);
    }
    if (code == 408 || code == 481) /* RFC 3261 12.2.1.2 */
        stop(y, code == 408 ? REASON_sip_timeout : REASON_sip_no_dialog);
    else
        core_count(c, code == 491 ? REASON_sip_glare : REASON_peer_refused);
}

/* A trunk wants credentials for a request inside the call: once, and only where we hold them. */
static bool challenged(struct leg *y, uint8_t what, const struct sip_msg *m)
{
    struct core *c = y->call->core;
    if ((m->code != 401 && m->code != 407) || y->peer == POLICY_NONE || what == FOR_REFRESH ||
        !c->policy->peers[y->peer].has_secret || (y->flags & LEG_TRIED_RELAY_AUTH))
        return false;
    y->flags |= LEG_TRIED_RELAY_AUTH;
    pending_respond(c, y, m, (enum serves)what);
    return true;
}

void relay_retry(struct leg *y, enum serves what, struct str authorization)
{
    struct leg *x = leg_other(y);
    if (what == FOR_TRANSFER) {
        join_retry(y, authorization);
        return;
    }
    struct held *h = x ? *waiting(x, (uint8_t)what) : NULL;
    if (!h)
        return;
    bool ok = authorization.n;
    if (ok && h->m->method != SIP_INFO)
        rollback(x, y);
    if (!ok || pass_on(x, y, h, authorization) != REASON_NONE)
        refuse(y, (uint8_t)what, 401);
}

static void other_final(struct leg *y, const struct sip_msg *m)
{
    struct core *c = y->call->core;
    struct leg *x = across(y);
    uint8_t what = y->nict_for;
    struct out o = out_of(c->sdp, sizeof c->sdp);
    y->nict = HANDLE_NONE;
    if (what == FOR_REFRESH) {
        session_refreshed(y, m);
        return;
    }
    if (m->code >= 300) {
        if (!challenged(y, FOR_ASK, m))
            refuse(y, FOR_ASK, m->code);
        return;
    }
    if (!x || !x->ask)
        return;
    enum reason why = REASON_NONE;
    if (x->ask->m->method != SIP_INFO) {
        if (y->state >= LEG_ANSWERED)
            session_response(y, m);
        why = answered(x, y, x->ask, m, &o);
    }
    if (why != REASON_NONE)
        stop(y, why);
    else
        update_ok(x, out_str(&o));
}

/* A 2xx that comes again gets its ACK again; one of another fork is ended. */
static void again(struct leg *l, const struct sip_msg *m)
{
    struct core *c = l->call->core;
    if (!str_eq(l->d.remote_tag, sip_text(m, m->to_tag)) || l->state < LEG_ANSWERED)
        stray_answer(c, m, &l->flow);
    else if (l->kept)
        core_send(c, &l->flow, l->kept->again, HANDLE_NONE);
    else if (m->cseq == l->invite_cseq && !(l->flags & LEG_ACK_WAITS))
        leg_send_ack(l, STR_NONE);
}

void relay_response(struct leg *l, struct handle t, const struct sip_msg *m)
{
    if (handle_is(l->ict) && handle_eq(l->ict, t)) {
        uint8_t what = l->ict_for;
        if (m->code >= 300) {
            l->ict = HANDLE_NONE;
            if (what == FOR_REFRESH)
                session_refreshed(l, m);
            else if (challenged(l, what, m))
                return;
            else if (what == FOR_TRANSFER)
                join_failed(l, REASON_peer_refused, m->code);
            else
                refuse(l, what, m->code);
        } else if (m->code >= 200) {
            invite_ok(l, m);
        }
    } else if (handle_is(l->nict) && handle_eq(l->nict, t)) {
        if (m->code >= 200)
            other_final(l, m);
    } else if (m->method == SIP_INVITE && m->code / 100 == 2) {
        again(l, m);
    }
}

void relay_failed(struct leg *l, struct handle t, enum reason why)
{
    struct core *c = l->call->core;
    uint8_t what;
    if (handle_is(l->ict) && handle_eq(l->ict, t)) {
        what = l->ict_for;
        l->ict = HANDLE_NONE;
    } else if (handle_is(l->nict) && handle_eq(l->nict, t)) {
        what = l->nict_for;
        l->nict = HANDLE_NONE;
    } else {
        core_count(c, why);
        return;
    }
    if (what == FOR_REFRESH)
        stop(l, why);
    else if (what == FOR_TRANSFER)
        join_failed(l, why, 408);
    else
        refuse(l, what, 408);
}
