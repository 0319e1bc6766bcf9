/* One leg: finding it, speaking on its dialog, its 2xx and ACK, its end. */
#include "call/core_int.h"
#include "call/hide.h"

struct leg *leg_new(struct call *k, char side)
{
    struct core *c = k->core;
    struct handle h;
    struct leg *l = pool_new(&c->legs, &h);
    if (!l)
        return NULL;
    l->call = k;
    l->side = (uint8_t)side;
    l->zone = l->peer = l->target = POLICY_NONE;
    l->resend.owner = OWNER_RESEND;
    l->session.owner = OWNER_SESSION;
    if (side == 'b') {
        struct leg **at = &k->forks;
        while (*at)
            at = &(*at)->next;
        *at = l;
    }
    return l;
}

struct handle leg_handle(const struct leg *l)
{
    return pool_handle(&l->call->core->legs, l);
}

void leg_free(struct leg *l)
{
    struct call *k = l->call;
    struct core *c = k->core;
    struct handle h = leg_handle(l);
    *ended_slot(c, h) = (struct ended){h, instant_add(c->now.mono, DUR_MS(ENDED_MS)).us};
    money_leg_end(l, 0);
    timer_stop(&c->wheel, &l->resend);
    timer_stop(&c->wheel, &l->session);
    if (k->a && k->a->ask && k->a != l && k->b != l && handle_is(l->nict) &&
        l->nict_for == FOR_ASK) {
        leg_reply(k->a, k->a->ask, 500, STR_NONE); /* a fork that A's early offer went to */
        held_free(&k->a->ask);
        early_answer_due(k->a);
    }
    media_leg_close(c->media, l->media, c->now.mono);
    held_free(&l->held);
    held_free(&l->ask);
    held_free(&l->kept);
    for (struct leg **at = &k->forks; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    if (k->b == l)
        k->b = NULL;
    pool_free(&c->legs, l);
}

static bool copy(struct str *s, struct arena *a)
{
    if (!s->n)
        return true;
    *s = arena_str(a, *s);
    return s->p;
}

enum err leg_copy(struct leg *l, struct call *to)
{
    struct leg n = *l;
    struct dialog *d = &n.d;
    struct arena *a = &to->text;
    n.aor = l->side == 'a' ? l->call->user : l->aor;
    bool ok = copy(&d->call_id, a) && copy(&d->local_tag, a) && copy(&d->remote_tag, a) &&
              copy(&d->local_uri, a) && copy(&d->remote_uri, a) && copy(&d->remote_target, a) &&
              copy(&n.aor, a) && copy(&n.agent, a) && copy(&n.sdp_sent, a) && copy(&n.pay.who, a);
    for (uint8_t i = 0; ok && i < d->n_routes; i++)
        ok = copy(&d->routes[i], a);
    if (!ok || words_copy(l, to, &n.words) != OK)
        return ERR_FULL;
    n.sdp_room = (uint16_t)n.sdp_sent.n;
    l->d = n.d;
    l->aor = n.aor;
    l->agent = n.agent;
    l->sdp_sent = n.sdp_sent;
    l->sdp_room = n.sdp_room;
    l->words = n.words;
    l->pay.who = n.pay.who;
    return OK;
}

struct leg *leg_of_tag(struct core *c, struct str tag, enum reason *ret_why, struct handle *ret_h)
{
    struct token t;
    enum err e = token_open(&c->cfg.token_keys, tag, TOKEN_TAG, &t);
    *ret_why = e == ERR_AUTH ? REASON_sip_token_forged : REASON_NONE;
    *ret_h = HANDLE_NONE;
    if (e != OK || t.engine != c->cfg.engine)
        return NULL;
    *ret_h = t.handle;
    return pool_get(&c->legs, t.handle);
}

struct leg *leg_other(const struct leg *l)
{
    return l->side == 'a' ? l->call->b : l->call->a;
}

/* Peers are known by their address; a phone by its connection, or over UDP by address and port. */
bool leg_is_source(const struct core *c, const struct leg *l, const struct flow *f)
{
    if (l->flow.proto != f->proto || l->flow.listener != f->listener)
        return false;
    if (l->peer != POLICY_NONE)
        return peers_is(c, l->peer, l->zone, &f->peer);
    if (flow_reliable(f) && handle_is(l->flow.conn))
        return l->flow.engine == f->engine && handle_eq(l->flow.conn, f->conn);
    return addr_eq(&l->flow.peer, &f->peer);
}

struct str sdp_of(const struct sip_msg *m, enum reason *ret_why)
{
    struct str sdp = STR_NONE;
    if (!m->body.len)
        return STR_NONE;
    enum err e = sip_body_find(m, STR("application/sdp"), &sdp);
    if (e == OK && sdp.n)
        return sdp;
    *ret_why = e == ERR_NOT_FOUND ? REASON_sip_body_type : REASON_sip_body_syntax;
    return STR_NONE;
}

void leg_note(struct leg *l, const struct sip_msg *m)
{
    if (sip_has(m, HDR_ALLOW)) {
        l->flags &= (uint16_t)~LEG_ALLOWS_UPDATE;
        if (sip_list_has(m, HDR_ALLOW, STR("UPDATE")))
            l->flags |= LEG_ALLOWS_UPDATE;
    }
    struct str agent = sip_get(m, m->is_request ? HDR_USER_AGENT : HDR_SERVER);
    if (!agent.n)
        agent = sip_get(m, HDR_USER_AGENT);
    if (agent.n && !l->agent.n)
        l->agent = arena_str(&l->call->text, str_head(agent, sizeof(struct text_short) - 1));
}

/* --- requests of ours --- */

void leg_here(struct leg *l)
{
    struct core *c = l->call->core;
    struct str aor = l->side == 'a' ? l->call->user : l->aor;
    if (aor.n)
        l->moment = location_moment(c->cfg.shards, c->cfg.engines, &c->cfg.hash_key, aor);
}

/* A phone that came back over another connection has registered there: the same Contact of the same
 * user, proved by digest. Its calls follow it. */
static void follow(struct leg *l)
{
    struct core *c = l->call->core;
    struct str aor = l->side == 'a' ? l->call->user : l->aor;
    if (l->peer != POLICY_NONE || !flow_reliable(&l->flow) || !aor.n)
        return;
    location_follow(c->cfg.shards, c->cfg.engines, &c->cfg.hash_key, aor, c->now.wall,
                    l->d.remote_target, l->moment, &l->flow);
}

struct handle leg_request_begin(struct leg *l, struct out *o, enum sip_method m)
{
    struct core *c = l->call->core;
    follow(l);
    char branch[BRANCH_CHARS], by[ADDR_TEXT_MAX];
    struct handle t = trans_client(c->trans, m, USER(USER_LEG, leg_handle(l)), branch);
    if (!handle_is(t))
        return t;
    *o = intents_room(c->out);
    dialog_request(&l->d, o, sip_method_name(m), 0, proto_name((enum sip_proto)l->flow.proto),
                   hide_sent_by(c, &l->flow, by, sizeof by), str_of(branch, sizeof branch));
    return t;
}

bool leg_request_send(struct leg *l, struct handle t, const struct out *o)
{
    struct core *c = l->call->core;
    if (!o->full && trans_send(c->trans, t, &l->flow, out_str(o), c->now.mono) == OK)
        return true;
    core_count(c, REASON_capacity_memory);
    trans_drop(c->trans, t);
    return false;
}

void leg_send_bye(struct leg *l, enum reason why)
{
    struct out o;
    struct handle t = leg_request_begin(l, &o, SIP_BYE);
    if (!handle_is(t))
        return;
    if (l->call->core->parting)
        hide_reasons_put(l->call->core->parting, &o);
    else if (l->call->parting.n)
        sip_put(&o, HDR_REASON, l->call->parting);
    if (why != REASON_NONE) {
        sip_begin(&o, HDR_REASON);
        OUT_LIT(&o, "Q.850;cause=");
        out_u64(&o, cdr_q850(200, why));
        sip_eol(&o);
    }
    sip_end(&o, STR_NONE, STR_NONE);
    if (!o.full && parting_hold(l, t, out_str(&o)))
        return;
    if (leg_request_send(l, t, &o))
        parting_keep(l, t, out_str(&o));
}

/* The same bytes each time (RFC 3261 13.2.2.4), so its branch is made, not drawn. It is no token of
 * a transaction: nobody can answer an ACK. */
void leg_send_ack(struct leg *l, struct str sdp)
{
    struct core *c = l->call->core;
    char branch[64], by[ADDR_TEXT_MAX], token[TOKEN_CHARS];
    token_mint(&c->cfg.token_keys, (struct token){TOKEN_CONTACT, c->cfg.engine, leg_handle(l)},
               token);
    struct out b = out_of(branch, sizeof branch), o = intents_room(c->out);
    OUT_LIT(&b, BRANCH_COOKIE);
    out_put(&b, str_of(token, sizeof token));
    out_ch(&b, '.');
    out_u64(&b, l->invite_cseq);
    dialog_request(&l->d, &o, STR("ACK"), l->invite_cseq, proto_name((enum sip_proto)l->flow.proto),
                   hide_sent_by(c, &l->flow, by, sizeof by), out_str(&b));
    sip_end(&o, sdp.n ? STR("application/sdp") : STR_NONE, sdp);
    l->flags &= (uint16_t)~LEG_ACK_WAITS;
    if (o.full) {
        core_count(c, REASON_capacity_memory);
        return;
    }
    held_free(&l->kept);
    struct held *kept;
    static const struct sip_msg none;
    if (sdp.n && held_new(c, &none, &l->flow, HANDLE_NONE, &kept) == OK) {
        kept->again = arena_str(&kept->arena, out_str(&o));
        l->kept = kept;
    }
    core_send(c, &l->flow, out_str(&o), HANDLE_NONE);
}

/* A 2xx for a call or leg that has gone (a fork that answered late, a second fork behind the peer):
 * the dialog that it makes is ended at once, from what the message itself says. */
void stray_answer(struct core *c, const struct sip_msg *m, const struct flow *f)
{
    char mem[8192], branch[BRANCH_CHARS], by[ADDR_TEXT_MAX];
    struct arena a;
    struct dialog d = {0};
    arena_init_fixed(&a, mem, sizeof mem);
    struct sip_nameaddr from, to;
    if (sip_nameaddr_parse(sip_get(m, HDR_FROM), &from) != OK ||
        sip_nameaddr_parse(sip_get(m, HDR_TO), &to) != OK)
        return;
    char uri[2][1024];
    struct out ou[2] = {out_of(uri[0], sizeof uri[0]), out_of(uri[1], sizeof uri[1])};
    const struct sip_nameaddr *who[2] = {&from, &to};
    for (int i = 0; i < 2; i++) {
        out_ch(&ou[i], '<');
        out_put(&ou[i], who[i]->uri);
        out_ch(&ou[i], '>');
    }
    if (ou[0].full || ou[1].full ||
        dialog_uac(&d, &a, sip_text(m, m->call_id), sip_text(m, m->from_tag), out_str(&ou[0]),
                   out_str(&ou[1]), to.uri) != OK ||
        dialog_response(&d, &a, m) != OK)
        return;
    d.local_cseq = m->cseq + 64; /* beyond what its early dialog may have seen (PRACK) */
    struct str proto = proto_name((enum sip_proto)f->proto),
               sent_by = hide_sent_by(c, f, by, sizeof by);
    struct handle t = trans_client(c->trans, SIP_BYE, 0, branch);
    struct str br = str_of(branch, sizeof branch);
    struct out o = intents_room(c->out);
    /* Without a transaction for the BYE the ACK still goes out, with a branch of no meaning. */
    dialog_request(&d, &o, STR("ACK"), m->cseq, proto, sent_by,
                   handle_is(t) ? STR(BRANCH_COOKIE "late.ack") : STR(BRANCH_COOKIE "late"));
    sip_end(&o, STR_NONE, STR_NONE);
    if (!o.full)
        core_send(c, f, out_str(&o), HANDLE_NONE);
    if (!handle_is(t))
        return;
    o = intents_room(c->out);
    dialog_request(&d, &o, STR("BYE"), 0, proto, sent_by, br);
    sip_end(&o, STR_NONE, STR_NONE);
    if (o.full || trans_send(c->trans, t, f, out_str(&o), c->now.mono) != OK)
        trans_drop(c->trans, t);
}

/* --- answers of ours --- */

void leg_reply(struct leg *l, const struct held *h, unsigned code, struct str fields)
{
    struct core *c = l->call->core;
    if (!l->d.local_tag.n) {
        reply(c, h->m, &h->flow, h->t, code, fields);
        return;
    }
    struct out o = intents_room(c->out);
    sip_reply(&o, h->m, code, STR_NONE, l->d.local_tag, &h->flow.peer);
    out_put(&o, fields);
    sip_end(&o, STR_NONE, STR_NONE);
    reply_send(c, &h->flow, h->t, code, &o);
}

void leg_answer(struct leg *l, struct str sdp)
{
    struct core *c = l->call->core;
    struct held *h = l->held;
    struct out o = intents_room(c->out);
    sip_reply(&o, h->m, 200, STR_NONE, l->d.local_tag, &h->flow.peer);
    hide_dialog_fields(l, h->m, &o);
    stimer_response_put(&l->st, &o);
    if ((l->flags & LEG_REL_SDP) && l->state < LEG_ANSWERED)
        sdp = STR_NONE; /* a reliable 1xx held the answer: it is not said twice */
    sip_end(&o, sdp.n ? STR("application/sdp") : STR_NONE, sdp);
    if (!o.full)
        h->again = arena_str(&h->arena, out_str(&o));
    h->again_code = 200;
    if (l->state < LEG_ANSWERED) {
        l->state = LEG_ANSWERED;
        rel_uas_stop(&l->rel.uas);
    }
    l->resend_ms = TRANS_T1_MS;
    /* 64*T1; with a late offer less, as the other side waits for the ACK too and counts from
     * earlier. */
    int64_t patience_ms = (l->flags & LEG_LATE ? 48 : 64) * TRANS_T1_MS;
    l->resend_end = instant_add(c->now.mono, DUR_MS(patience_ms));
    timer_arm(&c->wheel, &l->resend, instant_add(c->now.mono, DUR_MS(TRANS_T1_MS)));
    reply_send(c, &h->flow, h->t, 200, &o);
    if (!(l->flags & LEG_ALLOWS_UPDATE) && l->st.we_refresh)
        session_keep_sdp(l, sdp.n ? sdp : h->answer);
    session_arm(l);
}

void leg_resend(struct core *c, struct timer *t)
{
    struct leg *l = (struct leg *)(void *)((char *)t - offsetof(struct leg, resend));
    if (l->flags & LEG_STANDIN) {
        join_timer(l);
        return;
    }
    if (l->state < LEG_ANSWERED) {
        early_tick(l);
        return;
    }
    if (!l->held)
        return;
    if (!instant_before(c->now.mono, l->resend_end)) {
        core_count(c, REASON_sip_ack_missing);
        held_free(&l->held);
        call_step(l->call, CALL_EV_STOP, NULL, l, REASON_sip_ack_missing);
        return;
    }
    if (l->held->again.n)
        (void)!trans_respond(c->trans, l->held->t, 200, l->held->again, c->now.mono);
    l->resend_ms = (uint16_t)MIN(2 * l->resend_ms, TRANS_T2_MS);
    struct instant next = instant_add(c->now.mono, DUR_MS(l->resend_ms));
    timer_arm(&c->wheel, &l->resend, instant_before(next, l->resend_end) ? next : l->resend_end);
}

/* The ACK of a late offer holds the answer: it goes on to the other side with that side's ACK. */
static enum reason late_answer(struct core *c, struct leg *l, const struct sip_msg *m)
{
    struct leg *y = leg_other(l);
    enum reason why = REASON_NONE;
    struct str sdp = sdp_of(m, &why);
    l->flags &= (uint16_t)~LEG_LATE;
    if (!y || !(y->flags & LEG_ACK_WAITS))
        return REASON_NONE;
    if (why == REASON_NONE && !sdp.n)
        why = REASON_media_answer_bad;
    struct out o = out_of(c->sdp, sizeof c->sdp);
    if (why == REASON_NONE)
        why = media_answer_in(c->media, l->media, sdp);
    if (why == REASON_NONE)
        why = media_answer_out(c->media, y->media, sdp, c->now.mono, &o);
    leg_send_ack(y, why == REASON_NONE ? out_str(&o) : STR_NONE);
    if (why != REASON_NONE)
        return why;
    media_pair(c->media, l->media, y->media);
    words_keep(l, sdp);
    if (!(y->flags & LEG_ALLOWS_UPDATE)) {
        session_keep_sdp(y, out_str(&o));
        session_arm(y); /* only now there is something to refresh it by */
    }
    return REASON_NONE;
}

void leg_ack(struct core *c, struct leg *l, const struct sip_msg *m)
{
    struct call *k = l->call;
    if (!l->held || l->held->again_code != 200 || l->held->m->cseq != m->cseq)
        return; /* a copy */
    if (k->step) {
        stepup_acked(l);
        return;
    }
    timer_stop(&c->wheel, &l->resend);
    held_free(&l->held);
    l->state = LEG_UP;
    enum reason why = l->flags & LEG_LATE ? late_answer(c, l, m) : REASON_NONE;
    if (why != REASON_NONE) {
        core_count(c, why);
        call_step(k, CALL_EV_STOP, m, l, why);
    } else if (k->state != CALL_UP) {
        call_step(k, CALL_EV_ACK, m, l, REASON_NONE);
    }
}

/* --- requests of the leg's peer --- */

static void on_bye(struct core *c, struct incoming *in)
{
    struct leg *l = in->leg;
    bool known = !leg_other(l) || l == leg_other(leg_other(l));
    reply(c, in->m, &in->r->flow, in->t, 200, STR_NONE);
    if (l->flags & LEG_GONE || transfer_bye(l))
        return;
    if (!known) /* a leg B that was given up: its end changes nothing */
        return;
    c->parting = in->m;
    call_step(l->call, l->side == 'a' ? CALL_EV_BYE_A : CALL_EV_BYE_B, in->m, l, REASON_NONE);
    c->parting = NULL;
}

static void on_options(struct core *c, struct incoming *in)
{
    struct out o = out_of(c->fields, sizeof c->fields);
    sip_put(&o, HDR_ALLOW, STR(ALLOW));
    sip_put(&o, HDR_ACCEPT, STR("application/sdp"));
    sip_put(&o, HDR_SUPPORTED, STR(SUPPORTED));
    reply(c, in->m, &in->r->flow, in->t, 200, out_str(&o));
}

void leg_request(struct core *c, struct incoming *in)
{
    enum reason why = dialog_cseq(&in->leg->d, in->m);
    if (why != REASON_NONE) {
        reply_reason(c, in, why);
        return;
    }
    switch (in->m->method) {
    case SIP_BYE:
        on_bye(c, in);
        return;
    case SIP_INVITE:
    case SIP_UPDATE:
    case SIP_INFO:
        relay_request(c, in);
        return;
    case SIP_PRACK:
        early_prack(c, in);
        return;
    case SIP_OPTIONS:
        on_options(c, in);
        return;
    case SIP_REFER:
        transfer_request(c, in);
        return;
    case SIP_MESSAGE:
        exchange_within(c, in);
        return;
    case SIP_REGISTER:
    case SIP_NOTIFY:
    case SIP_SUBSCRIBE:
    case SIP_PUBLISH:
    case SIP_ACK:
    case SIP_CANCEL:
        reply_reason(c, in, REASON_sip_method_not_allowed);
        return;
    case SIP_OTHER:
    case SIP_METHOD_COUNT:
        break;
    }
    reply_reason(c, in, REASON_sip_method_unknown);
}

/* --- the end --- */

/* A request that waits for an answer which will not come any more. */
static void part_held(struct leg *l, enum reason why, uint16_t code)
{
    struct core *c = l->call->core;
    struct out o = out_of(c->fields, sizeof c->fields);
    if (l->held && l->held->again_code < 200) {
        bool first = l->state < LEG_ANSWERED;
        if (!first || code < 300)
            code = first ? 500 : 487;
        if (code == 422)
            sip_put_u32(&o, HDR_MIN_SE, MAX(l->st.min_se_s, STIMER_MIN_S));
        if (why == REASON_sip_body_type)
            sip_put(&o, HDR_ACCEPT, STR("application/sdp"));
        if (code == 503)
            sip_put_u32(&o, HDR_RETRY_AFTER, 5);
        leg_reply(l, l->held, code, out_str(&o));
    }
    if (l->ask)
        leg_reply(l, l->ask, 481, STR_NONE);
    held_free(&l->ask);
}

void leg_part(struct leg *l, bool told, enum reason why, uint16_t code)
{
    struct core *c = l->call->core;
    bool open = l->state >= LEG_ANSWERED && !(l->flags & LEG_GONE);
    if (l->flags & LEG_STANDIN)
        return;
    part_held(l, why, code);
    /* So that a phone which another one was quicker than shows no missed call (RFC 3326). */
    char buf[HIDE_REASON_CHARS];
    struct out value = out_of(buf, sizeof buf);
    if (c->parting)
        hide_reasons(c->parting, &value);
    struct str reason =
        code == 200 ? STR("SIP;cause=200;text=\"Call completed elsewhere\"") : out_str(&value);
    if (handle_is(l->ict) && l->ict_for == FOR_CALL)
        (void)!trans_cancel(c->trans, l->ict, reason, c->now.mono);
    if (!open || told)
        return;
    if (l->flags & LEG_ACK_WAITS)
        leg_send_ack(l, STR_NONE);
    leg_send_bye(l, why);
}
