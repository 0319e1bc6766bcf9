/* Two legs of different calls become one call: re-INVITEs (RFC 3725) with what the other one's peer
 * can do, then the leg's move. And INVITE with Replaces (RFC 3891), where a new leg takes the place
 * of one of ours. */
#include "call/core_int.h"

#define AGAIN_MS    400 /* the leg is busy with an offer of its own */
#define AGAIN_TIMES 20u
#define GLARE_MS    2100 /* RFC 3261 14.1: up to 4 s if the Call-ID is ours */

/* No offer is open between l and its call's other side. */
static bool ready(const struct leg *l)
{
    const struct leg *y = leg_other(l);
    return !l->held && !l->ask && !handle_is(l->ict) && !handle_is(l->nict) &&
           (!y || (!y->held && !y->ask));
}

/* Our re-INVITE to l with what `with` can do. */
static enum reason offer(struct leg *l, const struct leg *with, struct str authorization)
{
    struct core *c = l->call->core;
    struct out words = out_of(c->sdp2, sizeof c->sdp2), sdp = out_of(c->sdp, sizeof c->sdp), o;
    if (!with || !words_put(with, l, &words))
        return REASON_transfer_media;
    enum reason why =
        media_offer_for(c->media, l->media, with->media, out_str(&words), c->now.mono, &sdp);
    if (why != REASON_NONE)
        return why;
    struct handle t = leg_request_begin(l, &o, SIP_INVITE);
    if (!handle_is(t)) {
        media_rollback(c->media, l->media);
        return REASON_capacity_transactions;
    }
    hide_contact(l, &o);
    sip_put(&o, HDR_ALLOW, STR(ALLOW));
    sip_put(&o, HDR_SUPPORTED, STR("timer"));
    stimer_request_put(&l->st, &o);
    out_put(&o, authorization);
    sip_end(&o, STR("application/sdp"), out_str(&sdp));
    if (!leg_request_send(l, t, &o)) {
        media_rollback(c->media, l->media);
        return REASON_capacity_memory;
    }
    if (!authorization.n)
        l->flags &= (uint16_t)~LEG_TRIED_RELAY_AUTH;
    l->ict = t;
    l->ict_for = FOR_TRANSFER;
    l->call->x.said = l->flags & LEG_ALLOWS_UPDATE || sdp.n > SMALL_BLOCK - 32
                          ? STR_NONE
                          : arena_str(&l->call->text, out_str(&sdp));
    return REASON_NONE;
}

enum reason join_far(struct call *k)
{
    struct leg *far = transfer_partner(k), *near = transfer_leaves(k);
    k->x.step = TRANSFER_FAR;
    if (!ready(far) || !ready(near))
        return REASON_transfer_busy;
    return offer(far, near, STR_NONE);
}

enum reason join_near(struct call *k)
{
    struct leg *near = transfer_leaves(k);
    k->x.step = TRANSFER_NEAR;
    if (!ready(near))
        return REASON_transfer_busy;
    return offer(near, transfer_partner(k), STR_NONE);
}

void join_answered(struct call *target)
{
    struct call *k = transfer_origin(target);
    struct core *c = target->core;
    if (!k)
        return;
    enum reason why = join_near(k);
    if (why == REASON_transfer_busy && k->x.tries++ < AGAIN_TIMES)
        timer_arm(&c->wheel, &target->a->resend, instant_add(c->now.mono, DUR_MS(AGAIN_MS)));
    else if (why != REASON_NONE)
        transfer_failed(k, why, reason_info(why)->code);
}

void join_timer(struct leg *standin)
{
    join_answered(standin->call);
}

static void stop(struct leg *l, enum reason why)
{
    core_count(l->call->core, why);
    call_step(l->call, CALL_EV_STOP, NULL, l, why);
}

void join_back(struct leg *l)
{
    if (handle_is(l->ict))
        return; /* its answer leads here again */
    l->flags |= LEG_BACK;
    enum reason why = offer(l, leg_other(l), STR_NONE);
    if (why != REASON_NONE)
        stop(l, why);
}

/* Both have answered: the leg moves, and what it leaves behind ends. */
static void finish(struct call *k, struct leg *near, struct str sdp)
{
    struct core *c = k->core;
    struct call *to = transfer_target(k);
    struct leg *place = transfer_place(k), *far = transfer_partner(k);
    enum reason why = REASON_NONE;
    if (k->x.kind == TRANSFER_REPLACES) {
        struct out o = out_of(c->sdp, sizeof c->sdp);
        why = media_answer_out(c->media, far->media, sdp, c->now.mono, &o);
        if (why == REASON_NONE)
            far->held->answer = arena_str(&far->held->arena, out_str(&o));
    }
    if (why != REASON_NONE) {
        struct handle h = leg_handle(near);
        transfer_failed(k, why, 488);
        if (pool_get(&c->legs, h))
            join_back(near);
        return;
    }
    transfer_done(k);
    if (call_hand_over(near, to, place) != OK) {
        core_count(c, REASON_capacity_memory);
        call_end(to, REASON_capacity_memory, 503, 'g');
        call_end(k, REASON_capacity_memory, 200, 'g');
        return;
    }
    media_pair(c->media, near->media, far->media);
    call_step(to, CALL_EV_JOIN, NULL, near, REASON_NONE);
}

void join_response(struct leg *l, const struct sip_msg *m)
{
    struct call *k = l->call, *from = transfer_origin(k);
    struct core *c = k->core;
    enum reason why = REASON_NONE;
    struct str sdp = sdp_of(m, &why);
    leg_send_ack(l, STR_NONE);
    if (why == REASON_NONE && !sdp.n)
        why = REASON_media_answer_bad;
    if (why == REASON_NONE)
        why = media_answer_in(c->media, l->media, sdp);
    if (why != REASON_NONE) {
        join_failed(l, why, 488);
        return;
    }
    if (k->x.said.n) {
        session_keep_sdp(l, k->x.said);
        session_arm(l);
    }
    if (l->flags & LEG_BACK) {
        l->flags &= (uint16_t)~LEG_BACK;
        return;
    }
    words_keep(l, sdp);
    if (k->x.step == TRANSFER_NEAR && l == transfer_leaves(k)) {
        finish(k, l, sdp);
    } else if (from && from->x.step == TRANSFER_FAR && l == transfer_partner(from)) {
        why = join_near(from);
        if (why != REASON_NONE)
            transfer_failed(from, why, reason_info(why)->code);
    } else { /* nobody waits for it any more */
        join_back(l);
    }
}

/* Both asked at once: a while later it will do, while the stand-in holds the target. */
static bool glare_again(struct call *k, uint16_t code)
{
    struct core *c = k->core;
    struct call *to = transfer_target(k);
    if (code != 491 || !to || k->x.kind != TRANSFER_BLIND || k->x.tries++ >= AGAIN_TIMES)
        return false;
    int64_t ms = GLARE_MS + rng_below(&c->rng, 1900);
    timer_arm(&c->wheel, &to->a->resend, instant_add(c->now.mono, DUR_MS(ms)));
    return true;
}

void join_failed(struct leg *l, enum reason why, uint16_t code)
{
    struct call *k = l->call, *from = transfer_origin(k);
    bool back = l->flags & LEG_BACK;
    enum reason hidden;
    uint16_t told = code == 491 ? code : hide_code(code, true, &hidden);
    l->flags &= (uint16_t)~LEG_BACK;
    media_rollback(k->core->media, l->media);
    if (code == 408 || code == 481) /* RFC 3261 12.2.1.2 */
        stop(l, code == 408 ? REASON_sip_timeout : REASON_sip_no_dialog);
    else if (back && code == 491) /* its peer is about to say itself what it wants */
        core_count(k->core, REASON_sip_glare);
    else if (back)
        stop(l, why);
    else if (k->x.step == TRANSFER_NEAR && l == transfer_leaves(k) && !glare_again(k, code))
        transfer_failed(k, why, told);
    else if (from && from->x.step == TRANSFER_FAR && l == transfer_partner(from))
        transfer_failed(from, why, told);
}

void join_retry(struct leg *l, struct str authorization)
{
    const struct call *k = l->call, *from = transfer_origin(k);
    const struct leg *with = leg_other(l);
    if (!(l->flags & LEG_BACK) && k->x.step == TRANSFER_NEAR)
        with = transfer_partner(k);
    else if (!(l->flags & LEG_BACK) && from && from->x.step == TRANSFER_FAR)
        with = transfer_leaves(from);
    else
        l->flags |= LEG_BACK;
    enum reason why = REASON_peer_challenge;
    if (authorization.n)
        why = offer(l, with, authorization);
    if (why != REASON_NONE)
        join_failed(l, why, 401);
}

/* --- Replaces --- */

bool join_wanted(const struct sip_msg *m)
{
    return sip_has(m, HDR_REPLACES);
}

/* callid *(";" to-tag / from-tag / early-only / generic) */
enum err replaces_parse(struct str value, struct replaces *ret_r)
{
    struct replaces r = {0};
    struct str id, name, v, params = str_cut(value, ';', &id);
    r.call_id = str_trim(id);
    while (sip_param_next(&params, &name, &v)) {
        struct str *tag = str_ieq(name, STR("to-tag"))     ? &r.to_tag
                          : str_ieq(name, STR("from-tag")) ? &r.from_tag
                                                           : NULL;
        if (tag && tag->n)
            return ERR_SYNTAX;
        if (tag)
            *tag = v;
        r.early_only |= str_ieq(name, STR("early-only"));
    }
    if (!r.call_id.n || !r.to_tag.n || !r.from_tag.n)
        return ERR_SYNTAX;
    *ret_r = r;
    return OK;
}

struct leg *replaces_leg(struct core *c, const struct replaces *r, enum reason *ret_why)
{
    struct token t;
    *ret_why = REASON_replaces_unknown;
    if (token_open(&c->cfg.token_keys, r->to_tag, TOKEN_TAG, &t) != OK)
        return NULL;
    if (t.engine != c->cfg.engine) {
        *ret_why = REASON_transfer_remote;
        return NULL;
    }
    struct leg *l = pool_get(&c->legs, t.handle);
    if (l && str_eq(l->d.call_id, r->call_id) && str_eq(l->d.remote_tag, r->from_tag)) {
        *ret_why = REASON_NONE;
        return l;
    }
    const struct ended *e = ended_slot(c, t.handle);
    if (handle_eq(e->leg, t.handle) && c->now.mono.us < e->until_us)
        *ret_why = REASON_replaces_ended;
    return NULL;
}

/* A PBX of ours may step into any call whose identifiers it was given; everybody else into their
 * own. */
static bool may_step_in(const struct leg *a, const struct leg *l)
{
    const struct policy *p = a->call->core->policy;
    const struct leg *other = leg_other(l);
    if (a->peer != POLICY_NONE && !p->peers[a->peer].trunk)
        return true;
    return transfer_same_party(a, l) || (other && transfer_same_party(a, other));
}

/* RFC 3891 section 3, in its order. */
static enum reason may_replace(const struct call *k, const struct leg *l, const struct replaces *r)
{
    const struct call *old = l->call;
    if (!transfer_served(k->a) || old == k)
        return REASON_right_transfer;
    if (!may_step_in(k->a, l))
        return REASON_replaces_denied;
    if (l->flags & LEG_GONE)
        return REASON_replaces_ended;
    if (old->state != CALL_UP || !leg_other(l))
        return REASON_replaces_early;
    if (r->early_only)
        return REASON_replaces_answered;
    return old->x.step || handle_is(old->origin) ? REASON_transfer_busy : REASON_NONE;
}

enum reason join_replace(struct call *k, struct incoming *in)
{
    struct core *c = k->core;
    struct leg *a = k->a;
    const struct sip_msg *m = a->held->m;
    struct replaces r;
    enum reason why = REASON_NONE;
    uint16_t it = 0;
    struct str v;
    (void)in;
    if (!sip_next(m, HDR_REPLACES, &it, &v) || replaces_parse(v, &r) != OK ||
        sip_next(m, HDR_REPLACES, &it, &v))
        return REASON_replaces_syntax;
    struct leg *l = replaces_leg(c, &r, &why);
    if (l)
        why = may_replace(k, l, &r);
    if (why != REASON_NONE)
        return why;
    struct str sdp = sdp_of(m, &why);
    if (!sdp.n) /* an offer of ours would have to wait for its ACK with the other side unasked */
        return why != REASON_NONE ? why : REASON_transfer_media;
    struct call *old = l->call;
    k->origin = pool_handle(&c->calls, old);
    words_keep(a, sdp);
    old->x = (struct transfer){.step = TRANSFER_NEAR,
                               .kind = TRANSFER_REPLACES,
                               .by = l->side,
                               .quiet = true,
                               .target = pool_handle(&c->calls, k)};
    why = join_near(old);
    if (why == REASON_NONE)
        return why;
    old->x = (struct transfer){0};
    k->origin = HANDLE_NONE;
    return why;
}
