/* Transfer: REFER within a call (RFC 3515, 5589, 7647), blind, or attended by Replaces (RFC 3891).
 * The REFER is never passed on: we call the target ourselves, with the rights of who transfers, and
 * bring the two together by re-INVITE (join.c). Who transfers hears of it by NOTIFY.
 *
 * A call that is made for a blind transfer has a stand-in as its leg A, with an INVITE that we
 * wrote ourselves: what is true of every other call (routes, forks, failover, challenges) is true
 * of it. The transferred leg takes the stand-in's place once the target has answered. */
#include "call/called.h"
#include "call/core_int.h"
#include "call/gate.h"

/* --- who belongs to what --- */

struct call *transfer_target(const struct call *k)
{
    return pool_get(&k->core->calls, k->x.target);
}

struct call *transfer_origin(const struct call *k)
{
    return pool_get(&k->core->calls, k->origin);
}

static struct leg *transferor(const struct call *k)
{
    return k->x.by == 'a' ? k->a : k->b;
}

struct leg *transfer_leaves(const struct call *k)
{
    return k->x.by == 'a' ? k->b : k->a;
}

struct leg *transfer_place(const struct call *k)
{
    const struct call *to = transfer_target(k);
    if (!to || k->x.kind == TRANSFER_REPLACES)
        return NULL;
    return k->x.kind == TRANSFER_BLIND || k->x.place == 'a' ? to->a : to->b;
}

struct leg *transfer_partner(const struct call *k)
{
    const struct call *to = transfer_target(k);
    if (!to)
        return NULL;
    if (k->x.kind == TRANSFER_REPLACES)
        return to->a;
    return k->x.kind == TRANSFER_BLIND || k->x.place == 'a' ? to->b : to->a;
}

/* --- who may --- */

static struct str user_of(const struct leg *l)
{
    return l->side == 'a' ? l->call->user : l->aor;
}

struct str transfer_name(const struct leg *l)
{
    const struct policy *p = l->call->core->policy;
    return l->peer != POLICY_NONE ? policy_text(p, p->peers[l->peer].name) : user_of(l);
}

bool transfer_same_party(const struct leg *a, const struct leg *b)
{
    if (a->peer != POLICY_NONE || b->peer != POLICY_NONE)
        return a->peer == b->peer;
    return user_of(a).n && str_eq(user_of(a), user_of(b));
}

bool transfer_served(const struct leg *l)
{
    const struct policy *p = l->call->core->policy;
    return l->zone != POLICY_NONE && (p->zones[l->zone].services & SERVICE_TRANSFER);
}

static const struct directory_user *known(const struct core *c, struct str aor)
{
    struct str user, host = str_cut(aor, '@', &user);
    return directory_find(c->env.directory, user, host);
}

static uint8_t role_of(const struct core *c, struct str aor)
{
    const struct directory_user *u = known(c, aor);
    for (uint8_t i = 0; u && i < c->policy->n_roles; i++)
        if (str_eq(policy_text(c->policy, c->policy->roles[i].name), str_c(u->role_name)))
            return i;
    return POLICY_NONE;
}

bool transfer_outward(const struct leg *by, const struct request *r, enum feature may)
{
    const struct policy *p = by->call->core->policy;
    if (r->ident != IDENT_USER || r->emergency || !r->route || r->route->to != ROUTE_PEERS ||
        (!called_trunk(p, r->route) && r->number_to.kind == CLASS_INTERNAL))
        return true;
    return r->role < p->n_roles && (p->roles[r->role].rights.features & may) != 0;
}

/* Joins x's user whom he consulted with somebody behind a trunk? */
static bool joins_outside(const struct leg *x, const struct leg *place)
{
    const struct core *c = x->call->core;
    const struct policy *p = c->policy;
    const struct leg *to = leg_other(place);
    uint8_t role = role_of(c, user_of(x));
    if (x->peer != POLICY_NONE || !to || to->peer >= p->n_peers || !p->peers[to->peer].trunk)
        return false;
    return role >= p->n_roles || !(p->roles[role].rights.features & FEATURE_TRANSFER_OUT);
}

enum reason transfer_allowed(const struct leg *as, const struct sip_msg *m, struct request *r)
{
    static const struct {
        enum gate_id id;
        gate_fn *run;
    } asked[] = {{GATE_EMERGENCY, gate_emergency},
                 {GATE_RIGHT, gate_right},
                 {GATE_FRAUD, gate_fraud},
                 {GATE_CAPACITY, gate_capacity},
                 {GATE_ROUTE, gate_route}};
    struct core *c = as->call->core;
    struct str user = user_of(as);
    request_init(r, m, &as->flow, c->now);
    r->zone = as->zone;
    r->peer = as->peer;
    if (as->zone == POLICY_NONE)
        return REASON_zone_unknown_source;
    if (as->peer == POLICY_NONE && !user.n) /* who called for help as nobody has no other right */
        return REASON_right_transfer;
    r->ident = user.n ? IDENT_USER : IDENT_PEER;
    r->user_n = (uint16_t)MIN(user.n, sizeof r->user);
    if (r->user_n)
        memcpy(r->user, user.p, r->user_n);
    r->role = role_of(c, user);
    r->known = known(c, user);
    gate_keys(&c->env, r);
    r->device = 0; /* m is ours: what it says of a device is not the user's */
    r->aor_hash = user.n ? location_hash(&c->cfg.hash_key, user) : r->aor_hash;
    struct verdict banned = gate_ban_party(&c->env, r);
    if (banned.kind != VERDICT_PASS || (r->locked && !r->emergency))
        return REASON_shield_party;
    c->env.calls_used = c->calls.used;
    c->env.trans_used = trans_used(c->trans);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct verdict v = asked[i].run(&c->env, r, NULL);
        r->trace.gate[asked[i].id].verdict = v.kind;
        r->trace.gate[asked[i].id].reason = (uint16_t)v.reason;
        if (v.kind != VERDICT_PASS) {
            money_judged(c, r, v.reason);
            /* nobody is there who could be asked for a code */
            return v.reason == REASON_right_step_up ? REASON_right_class : v.reason;
        }
    }
    return room_for(c, r);
}

void transfer_dial(const struct leg *from, struct str uri, uint8_t max_forwards, struct str sdp,
                   struct out *o)
{
    struct core *c = from->call->core;
    const struct leg *a = from->call->a;
    char id[16];
    uint8_t noise[8];
    rng_bytes(&c->rng, noise, sizeof noise);
    hex_encode(noise, sizeof noise, id);
    bool hidden = from->side == 'a' && (a->flags & LEG_PRIVATE),
         known = user_of(from).n ||
                 (from->peer != POLICY_NONE && c->policy->peers[from->peer].trust_identity);
    sip_request_line(o, STR("INVITE"), uri);
    sip_put(o, HDR_VIA, STR("SIP/2.0/UDP standin.invalid;branch=" BRANCH_COOKIE "s"));
    sip_put_u32(o, HDR_MAX_FORWARDS, max_forwards);
    sip_begin(o, HDR_FROM);
    sip_piece(o, from->d.remote_uri);
    OUT_LIT(o, ";tag=s\r\nTo: <");
    sip_piece(o, uri);
    OUT_LIT(o, ">\r\n");
    sip_put(o, HDR_CALL_ID, str_of(id, sizeof id));
    sip_put_cseq(o, 1, STR("INVITE"));
    sip_put(o, HDR_CONTACT, STR("<sip:standin.invalid>"));
    if (known)
        sip_put(o, HDR_P_ASSERTED_IDENTITY, from->d.remote_uri);
    if (hidden)
        sip_put(o, HDR_PRIVACY, STR("id"));
    sip_end(o, sdp.n ? STR("application/sdp") : STR_NONE, sdp);
}

/* --- telling who transfers (RFC 3515 2.4.4) --- */

static void notify(const struct call *k, unsigned code, bool last)
{
    struct leg *x = transferor(k);
    struct out o;
    char body[64];
    if (k->x.quiet || !x)
        return;
    struct handle t = leg_request_begin(x, &o, SIP_NOTIFY);
    if (!handle_is(t))
        return;
    sip_begin(&o, HDR_EVENT);
    OUT_LIT(&o, "refer");
    if (k->x.named) {
        OUT_LIT(&o, ";id=");
        out_u64(&o, k->x.id);
    }
    sip_eol(&o);
    sip_put(&o, HDR_SUBSCRIPTION_STATE,
            last ? STR("terminated;reason=noresource") : STR("active;expires=180"));
    hide_contact(x, &o);
    struct out b = out_of(body, sizeof body);
    sip_status_line(&b, code, STR_NONE);
    sip_end(&o, STR("message/sipfrag;version=2.0"), out_str(&b));
    x->notify = leg_request_send(x, t, &o) ? t : HANDLE_NONE;
}

static struct str bare(struct str party)
{
    size_t lt = str_rfind(party, '<');
    struct str s = str_skip(party, lt + 1), uri;
    str_cut(s, '>', &uri);
    return lt == party.n ? party : uri;
}

static void record(const struct call *k, const struct call *to, enum reason why, uint16_t code)
{
    static const char *const kinds[] = {"blind", "attended", "replaces"};
    struct core *c = k->core;
    const struct leg *who = transfer_leaves(k), *by = transferor(k), *at = transfer_partner(k);
    struct fact *f = fact_begin(c, FACT_TRANSFER, why, code);
    f->u.transfer.session = k->session;
    f->u.transfer.to_session = to ? to->session : k->x.to_session;
    TEXT_SET(f->u.transfer.kind, str_c(kinds[k->x.kind]));
    if (by)
        TEXT_SET(f->u.transfer.by, transfer_name(by));
    if (who)
        TEXT_SET(f->u.transfer.who, bare(who->d.remote_uri));
    if (to && k->x.kind == TRANSFER_BLIND)
        TEXT_SET(f->u.transfer.to, bare(to->a->d.local_uri));
    else if (at)
        TEXT_SET(f->u.transfer.to, bare(at->d.remote_uri));
    fact_end(c);
}

void transfer_progress(struct call *target, uint16_t code)
{
    struct call *k = transfer_origin(target);
    if (!k || k->x.rang || code != 180)
        return;
    k->x.rang = true;
    notify(k, code, false);
}

/* --- how it ends --- */

void transfer_done(struct call *k)
{
    struct call *to = transfer_target(k);
    record(k, to, REASON_NONE, 200);
    notify(k, 200, true);
    to->origin = HANDLE_NONE;
    k->x = (struct transfer){0};
}

/* The target call of a transfer that has ended without it; x: as it was. */
static void drop_target(struct call *to, const struct transfer *x, enum reason why, uint16_t code)
{
    to->origin = HANDLE_NONE;
    if (x->kind != TRANSFER_ATTENDED) {
        call_end(to, why, code, 'g');
        return;
    }
    struct leg *place = x->place == 'a' ? to->a : to->b, *far = leg_other(place);
    if (place->flags & LEG_GONE)
        call_end(to, why, 200, (char)place->side);
    else if (x->step == TRANSFER_NEAR)
        join_back(far);
}

void transfer_failed(struct call *k, enum reason why, uint16_t code)
{
    struct call *to = transfer_target(k);
    struct leg *by = transferor(k);
    struct transfer x = k->x;
    core_count(k->core, why);
    record(k, to, why, code);
    notify(k, code, true);
    k->x = (struct transfer){0};
    if (to)
        drop_target(to, &x, why, code);
    if (by->flags & LEG_GONE)
        call_end(k, why, 200, (char)by->side);
}

void transfer_call_ends(struct call *k, enum reason why, uint16_t code)
{
    struct call *from = transfer_origin(k);
    k->origin = HANDLE_NONE;
    if (from && from->x.step) {
        from->x.to_session = k->session;
        from->x.target = HANDLE_NONE;
        transfer_failed(from, why == REASON_NONE ? REASON_peer_refused : why,
                        code >= 300 ? code : 480);
    }
    if (!k->x.step)
        return;
    struct call *to = transfer_target(k);
    struct transfer x = k->x;
    record(k, to, REASON_transfer_gone, 487);
    notify(k, 487, true);
    k->x = (struct transfer){0};
    if (to && x.kind == TRANSFER_REPLACES)
        drop_target(to, &x, REASON_replaces_ended, 603);
    else if (to)
        drop_target(to, &x, REASON_transfer_gone, 487);
}

/* RFC 5589 6.1: who transfers may hang up at once, and still hears of it; the transferred leg then
 * waits for the target. */
bool transfer_bye(struct leg *l)
{
    struct call *k = l->call, *from = transfer_origin(k);
    if ((k->x.step && l == transferor(k)) || (from && from->x.step && l == transfer_place(from))) {
        l->flags |= LEG_GONE;
        timer_stop(&k->core->wheel, &l->session);
        media_unpair(k->core->media, l->media); /* who has hung up hears nothing any more */
        return true;
    }
    if (!from || !from->x.step)
        return false;
    if (!(k->a->flags & LEG_STANDIN))
        return false;
    call_end(k, REASON_peer_refused, 480, 'b'); /* the target, before the other one came */
    return true;
}

/* --- REFER --- */

struct refer {
    char uri[512];
    char replaces[512];
    size_t uri_n, replaces_n;
};

/* Refer-To: the URI without its headers, and Replaces among them. */
static enum reason refer_to(const struct sip_msg *m, struct refer *ret_r)
{
    struct sip_nameaddr na;
    struct sip_uri u;
    struct str method, one, name;
    if (sip_nameaddr_parse(sip_get(m, HDR_REFER_TO), &na) != OK || na.star ||
        sip_uri_parse(na.uri, &u) != OK)
        return REASON_transfer_refer_to;
    if (u.scheme != URI_SIP && u.scheme != URI_SIPS && u.scheme != URI_TEL)
        return REASON_sip_uri_scheme;
    if (sip_param(u.params, STR("method"), &method) && !str_eq(method, STR("INVITE")))
        return REASON_transfer_refer_to;
    struct str uri = u.headers.n ? str_head(na.uri, (size_t)(u.headers.p - na.uri.p) - 1) : na.uri;
    struct out o = out_of(ret_r->uri, sizeof ret_r->uri);
    out_put(&o, uri);
    ret_r->uri_n = o.n;
    struct out rep = out_of(ret_r->replaces, sizeof ret_r->replaces);
    for (struct str rest = u.headers; rest.n;) {
        rest = str_cut(rest, '&', &one);
        struct str value = str_cut(one, '=', &name);
        if (str_ieq(name, STR("Replaces")) && !rep.n)
            sip_unescape(&rep, value);
    }
    ret_r->replaces_n = rep.n;
    return o.full || rep.full || !uri.n ? REASON_transfer_refer_to : REASON_NONE;
}

static enum reason may_refer(const struct leg *x)
{
    const struct call *k = x->call;
    if (!transfer_served(x))
        return REASON_right_transfer;
    if (k->state != CALL_UP || !leg_other(x))
        return REASON_transfer_early;
    if (k->x.step || handle_is(k->origin))
        return REASON_transfer_busy;
    return REASON_NONE;
}

static void accepted(struct core *c, struct incoming *in)
{
    struct leg *x = in->leg;
    struct call *k = x->call;
    struct out o = out_of(c->fields, sizeof c->fields);
    hide_contact(x, &o);
    if (k->x.quiet)
        sip_put(&o, HDR_REFER_SUB, STR("false"));
    reply(c, in->m, &in->r->flow, in->t, 202, out_str(&o));
    x->flags |= LEG_REFERRED;
    notify(k, 100, false);
}

static void begin(struct incoming *in, enum transfer_kind kind)
{
    struct leg *x = in->leg;
    struct str sub = str_trim(sip_get(in->m, HDR_REFER_SUB)), value;
    str_cut(sub, ';', &value);
    x->call->x = (struct transfer){.step = TRANSFER_CALLING,
                                   .kind = (uint8_t)kind,
                                   .by = x->side,
                                   .id = in->m->cseq,
                                   .quiet = str_ieq(str_trim(value), STR("false")),
                                   .named = x->flags & LEG_REFERRED};
}

/* The call to the target, with the stand-in for who is transferred. */
static enum reason open_target(struct core *c, struct incoming *in, const struct refer *f,
                               struct request *r, struct call **ret_k)
{
    struct leg *x = in->leg, *t = leg_other(x);
    struct out sdp = out_of(c->sdp2, sizeof c->sdp2), o = out_of(c->fields, sizeof c->fields);
    struct sip_msg m;
    struct sip_error bad;
    uint8_t left = in->m->max_forwards;
    if (!words_put(t, NULL, &sdp))
        return REASON_transfer_media;
    transfer_dial(t, str_of(f->uri, f->uri_n), left == 255 ? 70 : left, out_str(&sdp), &o);
    if (o.full || sip_parse(out_str(&o), true, &m, &bad) != OK)
        return REASON_transfer_refer_to;
    enum reason why = transfer_allowed(x, &m, r);
    if (why == REASON_NONE && !transfer_outward(x, r, FEATURE_TRANSFER_OUT))
        why = REASON_right_transfer;
    if (why != REASON_NONE)
        return why;
    struct incoming made = {.r = r, .m = &m};
    enum err e = incoming_hold(c, &made);
    if (e != OK)
        return e == ERR_LIMIT ? REASON_sip_too_large : REASON_capacity_memory;
    struct call *k = call_open(c, &made);
    held_free(&made.held);
    if (!k)
        return REASON_capacity_calls;
    k->a->flags |= LEG_STANDIN;
    k->a->flow = t->flow;
    k->a->moment = t->moment;
    k->a->zone = t->zone;
    k->a->peer = t->peer;
    k->user = arena_str(&k->text, user_of(t));
    k->payer = arena_str(&k->text, transfer_name(x));
    *ret_k = k;
    return REASON_NONE;
}

static void blind(struct core *c, struct incoming *in, const struct refer *f)
{
    struct call *k = in->leg->call, *to;
    struct request r;
    enum reason why = open_target(c, in, f, &r, &to);
    if (why != REASON_NONE) {
        reply_reason(c, in, why);
        return;
    }
    begin(in, TRANSFER_BLIND);
    k->x.target = pool_handle(&c->calls, to);
    to->origin = pool_handle(&c->calls, k);
    accepted(c, in);
    call_dial(to, &r);
}

static void attended(struct core *c, struct incoming *in, struct leg *place)
{
    struct call *k = in->leg->call, *to = place->call;
    begin(in, TRANSFER_ATTENDED);
    k->x.place = place->side;
    k->x.target = pool_handle(&c->calls, to);
    to->origin = pool_handle(&c->calls, k);
    accepted(c, in);
    enum reason why = join_far(k);
    if (why != REASON_NONE)
        transfer_failed(k, why, reason_info(why)->code);
}

void transfer_request(struct core *c, struct incoming *in)
{
    struct refer f;
    struct replaces r;
    struct leg *place = NULL;
    enum reason why = may_refer(in->leg);
    if (why == REASON_NONE)
        why = refer_to(in->m, &f);
    if (why == REASON_NONE && f.replaces_n) {
        if (replaces_parse(str_of(f.replaces, f.replaces_n), &r) != OK)
            why = REASON_transfer_refer_to;
        else
            place = replaces_leg(c, &r, &why);
        if (why ==
            REASON_transfer_remote) { /* they cannot be joined: whom it names is called anew */
            core_count(c, why);
            why = REASON_NONE;
        }
        /* 481 would say that the REFER's own call has gone. */
        if (why == REASON_replaces_unknown || why == REASON_replaces_ended)
            why = REASON_transfer_consult;
    }
    if (why == REASON_NONE && place) {
        const struct call *to = place->call;
        if (to == in->leg->call || !transfer_same_party(place, in->leg))
            why = REASON_replaces_denied;
        else if (joins_outside(in->leg, place))
            why = REASON_right_transfer;
        else if (to->x.step || handle_is(to->origin))
            why = REASON_transfer_busy;
    }
    if (why != REASON_NONE)
        reply_reason(c, in, why);
    else if (place && place->call->state == CALL_UP && leg_other(place))
        attended(c, in, place);
    else /* who is consulted still rings: called anew (RFC 5589 7.6) */
        blind(c, in, &f);
}

void transfer_outside(struct core *c, struct incoming *in)
{
    reply_reason(c, in, REASON_transfer_outside);
}
