/* Requests in the dialogs of subscriptions: whose they are, and how they reach the other side. */
#include "call/exchange.h"

/* --- who is it --- */

static bool token_of(const struct core *c, const struct sip_msg *m, struct token *ret_t)
{
    struct str tag = sip_text(m, m->to_tag);
    if (m->method != SIP_SUBSCRIBE && m->method != SIP_NOTIFY)
        return false;
    return token_open(&c->cfg.token_keys, tag, TOKEN_SUB, ret_t) == OK ||
           token_open(&c->cfg.token_keys, tag, TOKEN_WATCH, ret_t) == OK;
}

bool sub_owner(const struct core *c, const struct sip_msg *m, uint8_t *ret_engine)
{
    struct token t;
    if (!token_of(c, m, &t) || t.engine >= c->cfg.engines)
        return false;
    *ret_engine = t.engine;
    return true;
}

/* The numbers of zones and peers are those of a snapshot: a new one renumbers them. */
static void renumber(struct sub *s)
{
    const struct policy *p = s->core->policy;
    if (s->policies == s->core->policies)
        return;
    s->policies = s->core->policies;
    for (int i = 0; i < 2; i++) {
        struct sub_side *x = &s->side[i];
        x->zone = policy_zone_of(p, x->flow.listener, &x->flow.peer);
        x->peer = POLICY_NONE;
        for (uint8_t k = 0; x->name.n && k < p->n_peers; k++)
            if (str_eq(policy_text(p, p->peers[k].name), x->name))
                x->peer = k;
        if (x->peer != POLICY_NONE)
            x->zone = p->peers[x->peer].zone;
    }
}

enum sub_found sub_find(struct core *c, const struct sip_msg *m, struct sub **ret_s,
                        uint8_t *ret_side)
{
    struct token t;
    if (!token_of(c, m, &t))
        return SUB_NONE;
    uint8_t side = t.kind == TOKEN_SUB ? SUBSCRIBER : NOTIFIER;
    struct sub *s = t.engine == c->cfg.engine ? pool_get(&c->exchanges->subs, t.handle) : NULL;
    if (!s || s->over || !str_eq(s->side[side].d.call_id, sip_text(m, m->call_id)))
        return SUB_GONE;
    /* The notifier's first word may be quicker than its answer: then it brings the tag. */
    struct str tag = s->side[side].d.remote_tag;
    bool first = side == NOTIFIER && !tag.n && m->method == SIP_NOTIFY;
    if (!first && !str_eq(tag, sip_text(m, m->from_tag)))
        return SUB_GONE;
    renumber(s);
    *ret_s = s;
    *ret_side = side;
    return SUB_HERE;
}

bool sub_is_source(const struct core *c, const struct sub *s, uint8_t side, const struct flow *f)
{
    const struct sub_side *x = &s->side[side];
    if (x->flow.proto != f->proto || x->flow.listener != f->listener)
        return false;
    if (x->name.n)
        return x->peer != POLICY_NONE && peers_is(c, x->peer, x->zone, &f->peer);
    if (flow_reliable(f) && handle_is(x->flow.conn))
        return x->flow.engine == f->engine && handle_eq(x->flow.conn, f->conn);
    return addr_eq(&x->flow.peer, &f->peer);
}

/* Over another way than the side's, the sender has just proved who it is: it must be the same. A
 * phone lives there from now on. */
static bool moves(struct core *c, struct sub *s, uint8_t side, const struct request *r)
{
    struct sub_side *x = &s->side[side];
    if (r->dialog_authenticated || sub_is_source(c, s, side, &r->flow))
        return true;
    if (x->name.n) /* a peer may say what is long over TCP, and the rest over UDP */
        return r->ident == IDENT_PEER && x->peer != POLICY_NONE && r->peer == x->peer;
    if (r->ident != IDENT_USER || !str_eq(str_of(r->user, r->user_n), x->aor))
        return false;
    x->flow = r->flow;
    sub_here(s, x);
    x->zone = r->zone;
    return true;
}

/* Does the policy in force let it pass? */
static bool allowed(const struct sub *s)
{
    const struct policy *p = s->core->policy;
    const struct sub_side *a = &s->side[SUBSCRIBER], *b = &s->side[NOTIFIER];
    uint8_t need = event_service(SIP_SUBSCRIBE, (enum event_package)s->package);
    return a->zone != POLICY_NONE && b->zone != POLICY_NONE &&
           (p->zones[a->zone].services & need) &&
           (!a->name.n || (p->zones[b->zone].services & need)) &&
           (!a->name.n || a->peer != POLICY_NONE) && (!b->name.n || b->peer != POLICY_NONE);
}

/* --- requests in its dialogs --- */

/* The first NOTIFY makes the dialog if the answer has not come yet (RFC 6665 4.4.1). */
static enum reason heard(struct sub *s, const struct sip_msg *m)
{
    struct dialog *d = &s->side[NOTIFIER].d, first;
    if (d->remote_tag.n)
        return sub_reason(dialog_target(d, &s->text, m));
    enum err e = dialog_uas(&first, &s->text, m, d->local_tag);
    if (e != OK)
        return sub_reason(e);
    d->remote_tag = first.remote_tag;
    d->remote_target = first.remote_target;
    memcpy(d->routes, first.routes, sizeof d->routes);
    d->n_routes = first.n_routes;
    d->confirmed = true;
    return REASON_NONE;
}

static enum reason pass_notify(struct exchange *x, struct sub *s, struct str state)
{
    struct core *c = s->core;
    char branch[BRANCH_CHARS], type_text[96];
    struct sub_side *a = &s->side[SUBSCRIBER];
    struct out o, body = out_of(c->sdp2, sizeof c->sdp2),
                  type = out_of(type_text, sizeof type_text);
    enum reason why = exchange_body(x, a->peer, &type, &body);
    if (why != REASON_NONE)
        return why;
    struct handle t = exchange_client(x, branch);
    if (!handle_is(t))
        return REASON_capacity_transactions;
    sub_follow(s, a);
    sub_within(s, SUBSCRIBER, SIP_NOTIFY, str_of(branch, sizeof branch), &o);
    contact_put(c, &a->flow, a->d.local_tag, &o);
    event_put((enum event_package)s->package, s->event_id, &o);
    sip_put(&o, HDR_SUBSCRIPTION_STATE, state);
    sip_end(&o, body.n ? out_str(&type) : STR_NONE, out_str(&body));
    return exchange_send(x, t, &a->flow, &o);
}

static void notified(struct sub *s, bool terminated, uint32_t expires)
{
    bool first = s->state == SUB_ASKED || s->state == SUB_NEW;
    if (terminated) {
        sub_over(s);
        return;
    }
    if (s->state == SUB_ENDING)
        return;
    s->state = SUB_ACTIVE;
    if (expires != UINT32_MAX)
        sub_arm(s, expires);
    else if (first)
        sub_arm(s, SUB_MAX_S);
}

static enum reason open_within(struct core *c, struct incoming *in, struct sub *s,
                               struct exchange **ret_x)
{
    if (s->open >= SUB_OPEN_MAX)
        return REASON_capacity_transactions;
    enum reason why = exchange_open(c, in, ret_x);
    if (why != REASON_NONE)
        return why;
    (*ret_x)->sub = pool_handle(&c->exchanges->subs, s);
    s->open++;
    return REASON_NONE;
}

static enum reason notify(struct core *c, struct incoming *in, struct sub *s)
{
    char text[96];
    struct out state = out_of(text, sizeof text);
    bool terminated = false;
    uint32_t expires = UINT32_MAX;
    struct exchange *x = NULL;
    enum reason why =
        event_state(sip_get(in->m, HDR_SUBSCRIPTION_STATE), &state, &terminated, &expires);
    if (why == REASON_NONE)
        why = heard(s, in->m);
    if (why == REASON_NONE)
        why = open_within(c, in, s, &x);
    if (why == REASON_NONE)
        why = pass_notify(x, s, out_str(&state));
    if (why == REASON_NONE) {
        exchange_keep(x, in);
        notified(s, terminated, expires);
        return why;
    }
    if (x) {
        x->held = NULL;
        exchange_close(x);
    }
    return why;
}

static enum reason refresh(struct core *c, struct incoming *in, struct sub *s)
{
    struct exchange *x = NULL;
    if (sub_too_brief(in->m))
        return REASON_reg_interval_brief;
    if (!s->side[NOTIFIER].d.remote_tag.n)
        return REASON_sip_glare;
    enum reason why = sub_reason(dialog_target(&s->side[SUBSCRIBER].d, &s->text, in->m));
    if (why == REASON_NONE)
        why = open_within(c, in, s, &x);
    if (why == REASON_NONE)
        why = sub_again(x, STR_NONE);
    if (why == REASON_NONE) {
        exchange_keep(x, in);
        return why;
    }
    if (x) {
        x->held = NULL;
        exchange_close(x);
    }
    return why;
}

static enum reason in_dialog(struct core *c, struct incoming *in, struct sub *s, uint8_t side)
{
    struct str id;
    enum event_package p = event_of(in->m, &id);
    if ((in->m->method == SIP_NOTIFY) != (side == NOTIFIER))
        return REASON_sip_method_not_allowed;
    enum reason why = dialog_cseq(&s->side[side].d, in->m);
    if (why != REASON_NONE)
        return why;
    if (p != (enum event_package)s->package)
        return p == EVENT_ABSENT ? REASON_sip_header_missing : REASON_sip_event_unknown;
    return side == NOTIFIER ? notify(c, in, s) : refresh(c, in, s);
}

void sub_request(struct core *c, struct incoming *in)
{
    struct sub *s = NULL;
    uint8_t side = SUBSCRIBER;
    if (sub_find(c, in->m, &s, &side) != SUB_HERE) {
        reply_reason(c, in, REASON_sip_no_dialog);
        return;
    }
    if (!moves(c, s, side, in->r)) {
        reply_reason(c, in, REASON_auth_identity_mismatch);
        return;
    }
    if (!allowed(s)) {
        reply_reason(c, in, REASON_right_service);
        sub_end(s, true);
        return;
    }
    enum reason why = in_dialog(c, in, s, side);
    if (why != REASON_NONE)
        reply_reason(c, in, why);
}
