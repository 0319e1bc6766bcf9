/* Before the answer: provisional responses from leg B to leg A, and RFC 3262 on each leg for
 * itself. Whatever number of forks stands behind a leg B, A sees one early dialog: ours. */
#include "call/core_int.h"

/* --- towards A --- */

static uint16_t code_for_a(uint16_t code)
{
    return code == 180 || code == 181 || code == 182 ? code : 183;
}

static void tell_a(struct call *k, uint16_t code, struct str sdp)
{
    struct core *c = k->core;
    struct leg *a = k->a;
    struct held *h = a->held;
    uint32_t rseq = 0;
    if (a->flags & LEG_STANDIN) {
        transfer_progress(k, code);
        return;
    }
    if (!h || a->state >= LEG_ANSWERED)
        return;
    enum reason none = REASON_NONE;
    bool reliable = a->flags & LEG_REL_WANTED;
    if (reliable && !sdp_of(h->m, &none).n)
        return; /* the first reliable response would have to hold the offer: the answer will */
    if (reliable && rel_uas_send(&a->rel.uas, c->now.mono, &rseq) != OK)
        return; /* one at a time; what it would say, the answer says again */
    struct out o = intents_room(c->out);
    sip_reply(&o, h->m, code, STR_NONE, a->d.local_tag, &h->flow.peer);
    hide_dialog_fields(a, h->m, &o);
    if (reliable)
        rel_rseq_put(&o, rseq);
    sip_end(&o, sdp.n ? STR("application/sdp") : STR_NONE, sdp);
    a->state = LEG_EARLY;
    if (reliable) {
        h->again = o.full ? STR_NONE : arena_str(&h->arena, out_str(&o));
        h->again_code = code;
        timer_arm(&c->wheel, &a->resend, rel_uas_due(&a->rel.uas));
        if (sdp.n)
            a->flags |= LEG_REL_SDP;
    }
    reply_send(c, &h->flow, h->t, code, &o);
}

void early_tick(struct leg *a)
{
    struct core *c = a->call->core;
    switch (rel_uas_tick(&a->rel.uas, c->now.mono)) {
    case REL_WAIT:
        break;
    case REL_RESEND:
        if (a->held && a->held->again.n)
            (void)!trans_respond(c->trans, a->held->t, a->held->again_code, a->held->again,
                                 c->now.mono);
        break;
    case REL_GIVE_UP:
        core_count(c, REASON_sip_prack_missing);
        call_end(a->call, REASON_sip_prack_missing, 504, 'g');
        return;
    }
    struct instant due = rel_uas_due(&a->rel.uas);
    if (due.us != INSTANT_NEVER.us)
        timer_arm(&c->wheel, &a->resend, due);
}

void early_prack(struct core *c, struct incoming *in)
{
    struct leg *a = in->leg;
    bool fresh = false;
    enum reason why = REASON_sip_no_transaction;
    if (a->side == 'a')
        why = rel_uas_prack(&a->rel.uas, in->m, &fresh);
    if (why != REASON_NONE) {
        reply_reason(c, in, why);
        return;
    }
    if (fresh)
        timer_stop(&c->wheel, &a->resend);
    if (in->m->body.len && fresh) { /* RFC 3262 section 5: the next offer */
        relay_request(c, in);
        early_answer_due(a);
        return;
    }
    reply(c, in->m, &in->r->flow, in->t, 200, STR_NONE);
    early_answer_due(a);
}

void early_answer_due(struct leg *a)
{
    if (!(a->flags & LEG_ANSWER_WAITS) || a->rel.uas.waiting || a->ask)
        return;
    a->flags &= (uint16_t)~LEG_ANSWER_WAITS;
    leg_answer(a, a->held->answer);
}

/* --- from B --- */

static void send_prack(struct leg *b, uint32_t rseq, uint32_t cseq)
{
    struct out o;
    struct handle t = leg_request_begin(b, &o, SIP_PRACK);
    if (!handle_is(t))
        return;
    rel_rack_put(&o, rseq, cseq);
    sip_end(&o, STR_NONE, STR_NONE);
    (void)leg_request_send(b, t, &o);
}

/* true: this 1xx is to be looked at. */
static bool take_reliable(struct leg *b, const struct sip_msg *m, bool new_fork)
{
    uint32_t rseq;
    if (new_fork)
        b->rel.uac = (struct rel_uac){0};
    switch (rel_uac_in(&b->rel.uac, m, &rseq)) {
    case REL_NO:
        return true;
    case REL_NEW:
        send_prack(b, rseq, m->cseq);
        return true;
    case REL_AGAIN:
    case REL_GAP:
        break;
    }
    return false;
}

/* Early media comes from one leg: the first that sends a description. */
static bool may_speak(const struct call *k, const struct leg *b)
{
    for (const struct leg *f = k->forks; f; f = f->next)
        if (f != b && (f->flags & LEG_ANSWER_GIVEN))
            return false;
    return true;
}

void early_progress(struct call *k, struct leg *b, const struct sip_msg *m)
{
    struct core *c = k->core;
    enum reason why = REASON_NONE;
    bool new_fork = !str_eq(b->d.remote_tag, sip_text(m, m->to_tag));
    b->state = LEG_EARLY;
    leg_note(b, m);
    if (dialog_response(&b->d, &k->text, m) != OK) {
        core_count(c, REASON_sip_header_syntax);
        return;
    }
    if (!take_reliable(b, m, new_fork))
        return;
    struct str sdp = sdp_of(m, &why), answer = STR_NONE;
    if (sdp.n && sdp_of(k->a->held->m, &why).n && may_speak(k, b)) {
        why = fork_answer_in(k, b, sdp);
        if (why == REASON_NONE)
            answer = k->a->held->answer;
        core_count(c, why);
    }
    tell_a(k, code_for_a(m->code), answer);
}
