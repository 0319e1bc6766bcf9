/* The way of a message: parse, owner, transaction, leg or gates; and answers that need no call. */
#include "call/exchange.h"
#include "call/gate.h"

/* --- answers --- */

void tag_of(const struct core *c, struct handle leg, char ret[TOKEN_CHARS])
{
    token_mint(&c->cfg.token_keys, (struct token){TOKEN_TAG, c->cfg.engine, leg}, ret);
}

/* A tag for answers without a dialog: leads the ACK here, differs by Call-ID, and is the same for
 * every copy of a request, as RFC 3261 8.2.7 wants of a stateless answer. */
void no_dialog_tag(const struct core *c, const struct sip_msg *m, char ret[TOKEN_CHARS])
{
    uint64_t h = siphash(&c->cfg.hash_key, sip_text(m, m->call_id));
    tag_of(c, (struct handle){0, (uint32_t)h & 0xffffff}, ret);
}

void reply_send(struct core *c, const struct flow *f, struct handle t, unsigned code,
                const struct out *o)
{
    if (o->full) {
        core_count(c, REASON_capacity_memory);
        trans_drop(c->trans, t);
        return;
    }
    if (c->shield.holding && shield_holds(c, &c->req, f, t, code, out_str(o)))
        return;
    if (!handle_is(t)) {
        core_send(c, f, out_str(o), HANDLE_NONE);
        return;
    }
    if (trans_respond(c->trans, t, code, out_str(o), c->now.mono) != OK)
        core_count(c, REASON_sip_no_transaction);
}

void reply(struct core *c, const struct sip_msg *m, const struct flow *f, struct handle t,
           unsigned code, struct str fields)
{
    char tag[TOKEN_CHARS];
    struct out o = intents_room(c->out);
    struct str to_tag = STR_NONE;
    if (code > 100 && !m->to_tag.len) {
        no_dialog_tag(c, m, tag);
        to_tag = str_of(tag, sizeof tag);
    }
    sip_reply(&o, m, code, c->phrase, to_tag, &f->peer);
    out_put(&o, fields);
    sip_end(&o, STR_NONE, STR_NONE);
    reply_send(c, f, t, code, &o);
}

/* What a body of that request may be (RFC 3261 21.4.13). */
static struct str accepted_type(const struct sip_msg *m)
{
    struct str id;
    enum event_package p = event_of(m, &id);
    if (m->method == SIP_MESSAGE)
        return STR("text/plain, application/im-iscomposing+xml");
    return p > EVENT_UNKNOWN ? event_type(p) : STR("application/sdp");
}

void reply_reason(struct core *c, const struct incoming *in, enum reason why)
{
    unsigned code = reason_info(why)->code;
    core_count(c, why);
    if (!code) {
        trans_drop(c->trans, in->t);
        return;
    }
    struct out o = out_of(c->fields, sizeof c->fields);
    if (code == 405)
        sip_put(&o, HDR_ALLOW, in->leg ? STR(ALLOW) : STR(ALLOW_OUTSIDE));
    if (code == 503 || why == REASON_sip_busy_invite)
        sip_put_u32(&o, HDR_RETRY_AFTER, code == 503 ? 5 : rng_below(&c->rng, 10));
    if (code == 422 && in->leg)
        sip_put_u32(&o, HDR_MIN_SE, MAX(in->leg->st.min_se_s, STIMER_MIN_S));
    if (code == 415)
        sip_put(&o, HDR_ACCEPT, accepted_type(in->m));
    if (code == 489)
        sip_put(&o, HDR_ALLOW_EVENTS, STR(EVENTS_ALLOWED));
    if (code == 423)
        sip_put_u32(&o, HDR_MIN_EXPIRES, SUB_MIN_S);
    reply(c, in->m, &in->r->flow, in->t, code, out_str(&o));
}

/* Answers that no gate has decided go only to zones that may speak and expect answers, and by UDP,
 * where a source can be forged, no more of them than the source has requests. */
static bool may_answer(struct core *c, const struct flow *f)
{
    uint8_t z = policy_zone_of(c->policy, f->listener, &f->peer);
    if (z == POLICY_NONE || c->policy->zones[z].silent)
        return false;
    if (f->proto == PROTO_UDP && policy_peer_of(c->policy, z, &f->peer) == POLICY_NONE &&
        !gate_rate_left(&c->env, z, &f->peer, c->now.mono)) {
        core_count(c, REASON_rate_source);
        return false;
    }
    return f->proto == PROTO_TLS ||
           policy_waived(c->policy, z, WAIVE_PLAIN_SIGNALLING, c->now.wall) == REASON_NONE;
}

static void refuse_early(struct core *c, const struct sip_msg *m, const struct flow *f,
                         enum reason why)
{
    core_count(c, why);
    if (c->parsed)
        shield_stray(c, m, f, why);
    unsigned code = reason_info(why)->code;
    if (!code || m->method == SIP_ACK || !may_answer(c, f))
        return;
    reply(c, m, f, HANDLE_NONE, code, STR_NONE);
}

/* --- requests --- */

struct ended *ended_slot(const struct core *c, struct handle leg)
{
    return &c->ended[(leg.index * 2654435761u + leg.gen * 40503u) % c->ended_n];
}

static bool ended_lately(const struct core *c, struct handle h)
{
    const struct ended *e = ended_slot(c, h);
    return handle_is(h) && handle_eq(e->leg, h) && c->now.mono.us < e->until_us;
}

/* The leg that an in-dialog request names. NULL: answered as it should be. */
static struct leg *leg_of(struct core *c, const struct sip_msg *m, const struct flow *f)
{
    enum reason why;
    struct handle h;
    struct leg *l = leg_of_tag(c, sip_text(m, m->to_tag), &why, &h);
    bool gone = !l && why == REASON_NONE && handle_is(h); /* ours, and nobody can guess one */
    if (l && str_eq(l->d.call_id, sip_text(m, m->call_id)) &&
        str_eq(l->d.remote_tag, sip_text(m, m->from_tag)))
        return l;
    if (m->method == SIP_ACK) {
        why = why == REASON_sip_token_forged ? why : REASON_sip_ack_stray;
        core_count(c, why);
        if (reason_info(why)->hostile)
            shield_stray(c, m, f, why);
    } else if (gone) { /* both hung up at once, or a request crossed with that: no attack */
        bool bye = m->method == SIP_BYE && ended_lately(c, h);
        if (!bye)
            core_count(c, REASON_sip_no_dialog);
        if (may_answer(c, f))
            reply(c, m, f, HANDLE_NONE, bye ? 200 : 481, STR_NONE);
    } else
        refuse_early(c, m, f, why == REASON_NONE ? REASON_sip_no_dialog : why);
    return NULL;
}

static void on_ack(struct core *c, const struct sip_msg *m, const struct flow *f)
{
    struct leg *l = m->to_tag.len ? leg_of(c, m, f) : NULL;
    if (!l)
        return;
    if (leg_is_source(c, l, f))
        leg_ack(c, l, m);
    else
        core_count(c, REASON_sip_ack_stray);
}

/* CANCEL reached an INVITE of ours: its own 200 always; the INVITE only if it has no final answer.
 */
static void on_cancel(struct core *c, const struct sip_msg *m, const struct flow *f,
                      struct handle invite)
{
    uint64_t user = trans_user_of(c->trans, invite);
    struct handle h = handle_unpack(user);
    reply(c, m, f, HANDLE_NONE, 200, STR_NONE);
    if (user >> 48 == USER_PENDING) {
        struct pending *p = pool_get(&c->pendings, h);
        if (p)
            pending_cancel(c, p);
        return;
    }
    struct leg *l = user >> 48 == USER_LEG ? pool_get(&c->legs, h) : NULL;
    if (!l || !l->held || !handle_eq(l->held->t, invite) || l->held->again_code >= 200)
        return;
    if (l->state < LEG_ANSWERED) {
        c->parting = m;
        call_step(l->call, CALL_EV_CANCEL, m, l, REASON_NONE);
        c->parting = NULL;
    } else if (leg_other(l)) /* a re-INVITE: the far side's 487 comes back through us */
        (void)!trans_cancel(c->trans, leg_other(l)->ict, STR_NONE, c->now.mono);
}

static void env_set(struct core *c)
{
    c->env.calls_used = c->calls.used;
    c->env.trans_used = trans_used(c->trans);
}

/* The dialog of a request that names one. false: there is none, which was answered. */
static bool within(struct core *c, struct incoming *in, const struct flow *f)
{
    struct sub *s;
    uint8_t side;
    struct request *r = in->r;
    r->in_dialog = true;
    switch (sub_find(c, in->m, &s, &side)) {
    case SUB_HERE:
        r->dialog_authenticated = sub_is_source(c, s, side, f);
        return true;
    case SUB_GONE:
        refuse_early(c, in->m, f, REASON_sip_no_dialog);
        return false;
    case SUB_NONE:
        break;
    }
    struct leg *l = in->leg = leg_of(c, in->m, f);
    if (!l)
        return false;
    struct str user = l->side == 'a' ? l->call->user : l->aor;
    r->dialog_authenticated = leg_is_source(c, l, f);
    r->emergency = l->call->emergency;
    if (c->env.bans_cap && user.n) /* whose it is matters only to who may be banned */
        r->aor_hash = location_hash(&c->cfg.hash_key, user);
    return true;
}

static void new_request(struct core *c, const struct sip_msg *m, const struct flow *f,
                        bool tls_verified)
{
    struct request *r = &c->req;
    struct incoming in = {.r = r, .m = m};
    request_init(r, m, f, c->now);
    r->tls_verified = tls_verified;
    r->proof = tls_verified ? c->proof : NULL;
    r->certified = r->proof != NULL;
    if (r->proof)
        memcpy(r->fingerprint, r->proof->fingerprint, sizeof r->fingerprint);
    if (m->to_tag.len && !within(c, &in, f))
        return;
    env_set(c);
    c->shield.hits.n = 0;
    struct verdict v = gates_run(&c->env, r, &c->ask);
    r->proof = NULL;
    shield_rules(c, r);
    enum reason full =
        v.kind == VERDICT_WAIT || v.kind == VERDICT_PASS ? room_for(c, r) : REASON_NONE;
    if (full != REASON_NONE) {
        room_refuse(c, &in, full);
        return;
    }
    if (v.kind == VERDICT_WAIT) {
        pending_wait(c, &in, &c->ask);
        return;
    }
    if (v.kind == VERDICT_PASS) {
        in.t = trans_server(c->trans, m, f, 0, c->now.mono);
        if (!handle_is(in.t)) {
            reply(c, m, f, HANDLE_NONE, 503, STR("Retry-After: 5\r\n"));
            return;
        }
    }
    verdict_apply(c, &in, &v);
    held_free(&in.held);
}

static void on_register(struct core *c, struct incoming *in)
{
    struct out fields = out_of(c->fields, sizeof c->fields);
    registrar_register(&c->registrar, in->r, &fields, &c->reg);
    core_count(c, c->reg.reason);
    for (uint8_t i = 0; i < c->reg.n_facts; i++) {
        struct fact *f = &c->reg.facts[i];
        f->engine = c->cfg.engine;
        f->seq = ++c->fact_seq;
        core_fact(c, f);
    }
    if (fields.full) {
        reply_reason(c, in, REASON_capacity_memory);
        return;
    }
    if (c->reg.code == 200) {
        char aor[LOCATION_AOR_MAX];
        size_t n;
        c->registrations_total++;
        if (aor_of_uri(c->policy, sip_text(in->m, in->m->to_uri), aor, sizeof aor, &n))
            upstream_registered(c, in->r->zone, str_of(aor, n));
        bool is_new = false;
        for (uint8_t k = 0; k < c->reg.n_facts; k++)
            is_new |= c->reg.facts[k].kind == FACT_REGISTERED;
        shield_registered(c, in->r, is_new);
        stepup_device(c, in->r);
        if (is_new)
            money_registered(c, in->r);
    }
    reply(c, in->m, &in->r->flow, in->t, c->reg.code, out_str(&fields));
}

static void on_options(struct core *c, struct incoming *in)
{
    struct out o = out_of(c->fields, sizeof c->fields);
    sip_put(&o, HDR_ALLOW, STR(ALLOW_OUTSIDE));
    sip_put(&o, HDR_ALLOW_EVENTS, STR(EVENTS_ALLOWED));
    sip_put(&o, HDR_ACCEPT, STR("application/sdp"));
    sip_put(&o, HDR_SUPPORTED, STR(SUPPORTED));
    reply(c, in->m, &in->r->flow, in->t, 200, out_str(&o));
}

/* Outside of calls; what is not served yet is refused by name. */
static void pass(struct core *c, struct incoming *in)
{
    switch (in->m->method) {
    case SIP_INVITE:
        call_new(c, in);
        return;
    case SIP_REGISTER:
        on_register(c, in);
        return;
    case SIP_OPTIONS:
        on_options(c, in);
        return;
    case SIP_BYE:
    case SIP_PRACK:
    case SIP_UPDATE:
    case SIP_CANCEL:
    case SIP_ACK:
        reply_reason(c, in, REASON_sip_no_dialog);
        return;
    case SIP_REFER:
        transfer_outside(c, in);
        return;
    case SIP_INFO:
    case SIP_NOTIFY:
    case SIP_SUBSCRIBE:
    case SIP_MESSAGE:
    case SIP_PUBLISH:
        exchange_request(c, in);
        return;
    case SIP_OTHER:
    case SIP_METHOD_COUNT:
        break;
    }
    reply_reason(c, in, REASON_sip_method_unknown);
}

/* In a dialog, over another way than the leg's, the sender has just proved who it is: it must be
 * the leg's user, and from now on that is where the leg lives. */
static bool leg_moves(struct incoming *in)
{
    struct leg *l = in->leg;
    struct request *r = in->r;
    if (r->dialog_authenticated)
        return true;
    struct str who = str_of(r->user, r->user_n), want = l->side == 'a' ? l->call->user : l->aor;
    if (r->ident != IDENT_USER || !str_eq(who, want))
        return false;
    l->flow = r->flow;
    leg_here(l);
    return true;
}

/* Who is let in by the gates, but not to somebody else's call. */
static const struct verdict *own_call(struct incoming *in, const struct verdict *v)
{
    static const struct verdict foreign = {VERDICT_REFUSE, GATE_IDENTITY,
                                           REASON_auth_identity_mismatch, 403};
    bool mine = v->kind != VERDICT_PASS || !in->r->in_dialog || !in->leg || leg_moves(in);
    return mine ? v : &foreign;
}

static void let_in(struct core *c, struct incoming *in)
{
    core_proved(c, in->r);
    if (in->r->unproven)
        core_count(c, (enum reason)in->r->unproven);
    if (!in->r->in_dialog)
        pass(c, in);
    else if (!in->leg)
        sub_request(c, in);
    else
        leg_request(c, in);
}

/* A call that somebody who is known, or who calls for help, was refused has its record. */
static bool attempt(const struct request *r, enum gate_id g)
{
    bool known = r->ident != IDENT_NONE && g >= GATE_IDENTITY;
    return r->m->method == SIP_INVITE && !r->in_dialog &&
           (known || (r->emergency && g >= GATE_RIGHT));
}

void verdict_apply(struct core *c, struct incoming *in, const struct verdict *v)
{
    uint8_t zone = in->r->zone;
    v = own_call(in, v);
    if (!in->r->in_dialog)
        fact_verdict(c, in->r, v);
    shield_request(c, in->r, v);
    money_judged(c, in->r, v->reason);
    if (v->kind == VERDICT_PASS) {
        let_in(c, in);
        return;
    }
    core_count(c, v->reason);
    if (v->kind == VERDICT_STEP_UP) {
        stepup_begin(c, in);
        return;
    }
    if (v->kind == VERDICT_REFUSE && attempt(in->r, v->gate))
        cdr_refused(c, in->r, v);
    if (v->kind == VERDICT_DROP) {
        trans_drop(c->trans, in->t);
        return;
    }
    bool silent = shield_silent(c, in->r);
    if (silent)
        core_count(c, REASON_shield_silent);
    if (silent || (v->kind == VERDICT_REFUSE && zone != POLICY_NONE && !in->r->emergency &&
                   c->policy->zones[zone].silent)) {
        shield_hush(c, in->r, in->t);
        return;
    }
    struct out o = out_of(c->fields, sizeof c->fields);
    gates_answer_put(&c->env, in->r, v, &o);
    if (v->code == 489)
        sip_put(&o, HDR_ALLOW_EVENTS, STR(EVENTS_ALLOWED));
    c->shield.holding = in->r->treat == TREAT_TARPIT;
    if (v->reason == REASON_stir_stale) /* RFC 8224 6.2.2 */
        c->phrase = STR("Stale Date");
    reply(c, in->m, &in->r->flow, in->t, v->code ? v->code : 403, out_str(&o));
    c->phrase = STR_NONE;
    c->shield.holding = false;
}

static void request_in(struct core *c, const struct sip_msg *m, const struct flow *f,
                       bool tls_verified)
{
    struct handle t;
    switch (trans_request(c->trans, m, f, c->now.mono, &t)) {
    case MATCH_NEW:
        new_request(c, m, f, tls_verified);
        return;
    case MATCH_ABSORBED:
        return;
    case MATCH_CANCEL:
        on_cancel(c, m, f, t);
        return;
    case MATCH_ACK_2XX:
        on_ack(c, m, f);
        return;
    case MATCH_STRAY:
        refuse_early(c, m, f, REASON_sip_no_transaction);
        return;
    case MATCH_MERGED:
        refuse_early(c, m, f, REASON_sip_merged);
        return;
    }
}

static void response_in(struct core *c, const struct sip_msg *m, const struct flow *f)
{
    bool forged = false;
    if (!shield_answer(c, m, f))
        return;
    if (!trans_response(c->trans, m, f, c->now.mono, &forged)) {
        enum reason why = forged ? REASON_sip_token_forged : REASON_sip_response_stray;
        core_count(c, why);
        shield_response(c, m, f, why, false);
    }
}

/* Where a request's answers go (RFC 3261 18.2.2, RFC 3581): where it came from; but over UDP, from
 * a sender that does not ask for that by rport and is not behind NAT, to the port that its Via
 * names. That is then where the sender lives in all that follows. */
static struct flow reply_flow(const struct core *c, const struct sip_msg *m, const struct flow *f)
{
    struct flow to = *f;
    if (!m->is_request || f->proto != PROTO_UDP || m->via_rport)
        return to;
    uint8_t z = policy_zone_of(c->policy, f->listener, &f->peer);
    if (z != POLICY_NONE && !c->policy->zones[z].nat)
        to.peer.port = m->via_port ? m->via_port : 5060;
    return to;
}

/* A datagram that claims to be a request from outside of all zones would be dropped by the first
 * gate: once its source has had its share of the log, it is not even read. */
static bool worth_reading(struct core *c, const struct flow *f, struct str bytes)
{
    if (f->proto != PROTO_UDP || str_starts(bytes, STR("SIP/2.0 ")) ||
        policy_zone_of(c->policy, f->listener, &f->peer) != POLICY_NONE || quiet_share(c, &f->peer))
        return true;
    core_count(c, REASON_zone_unknown_source);
    core_count(c, REASON_log_share);
    quiet_add(c, REASON_zone_unknown_source, &f->peer);
    return false;
}

/* here: another engine has said that it is ours, by a policy that may be newer or older. */
static void message_in(struct core *c, const struct flow *f, struct str bytes, bool tls_verified,
                       bool here)
{
    struct sip_msg *m = &c->msg;
    struct sip_error e;
    c->parsed = false;
    enum err bad = sip_parse(bytes, f->proto != PROTO_UDP, m, &e);
    if (bad != OK) {
        quiet_add(c, e.reason, &f->peer);
        shield_below(c, e.reason, f, &f->peer, 1, bytes);
    }
    if (bad != OK && !e.answerable) {
        core_count(c, e.reason);
        return;
    }
    struct flow to = reply_flow(c, m, f);
    if (bad != OK) {
        refuse_early(c, m, &to, e.reason);
        return;
    }
    c->parsed = true;
    uint8_t owner = here ? c->cfg.engine : owner_of(c, m, f);
    if (owner != c->cfg.engine)
        core_forward(c, owner, f, bytes, tls_verified);
    else if (m->is_request)
        request_in(c, m, &to, tls_verified);
    else
        response_in(c, m, f);
}

void core_message(struct core *c, const struct flow *f, struct str bytes, bool tls_verified,
                  struct now now)
{
    c->now = now;
    if (shield_before(c, f, bytes) && worth_reading(c, f, bytes))
        message_in(c, f, bytes, tls_verified, false);
    c->proof = NULL;
}

void core_proof(struct core *c, const struct proof *p)
{
    c->proof = p;
}

void core_forwarded(struct core *c, const struct flow *f, struct str bytes, bool tls_verified,
                    struct now now)
{
    c->now = now;
    message_in(c, f, bytes, tls_verified, true);
    c->proof = NULL;
}
