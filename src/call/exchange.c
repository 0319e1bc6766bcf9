/* Single requests, end to end (MESSAGE of RFC 3428, PUBLISH of RFC 3903, NOTIFY of message waiting
 * outside of subscriptions, and the SUBSCRIBE that begins one): ended here and made anew for every
 * phone of a user, or for a route's peers one after the other; the first 2xx wins. */
#include "call/exchange.h"

static uint32_t requests_cap(const struct core_cfg *cfg)
{
    return MAX(MIN(cfg->trans_cap / 4, 8192u), 16u);
}

/* The installation's table is shared by its engines; snapshots without a limit get a small one. */
static uint32_t subs_cap(const struct core_cfg *cfg)
{
    uint32_t all =
        cfg->policy && cfg->policy->limits.subscriptions ? cfg->policy->limits.subscriptions : 256;
    return MIN(all / MAX(cfg->engines, 1) + 1, 1u << 20);
}

static size_t round16(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

size_t exchange_bytes(const struct core_cfg *cfg)
{
    return round16(sizeof(struct exchanges)) +
           round16(pool_bytes(sizeof(struct exchange), requests_cap(cfg))) +
           round16(pool_bytes(sizeof(struct sub), subs_cap(cfg)));
}

struct exchanges *exchange_init(void *mem, struct core *c)
{
    struct exchanges *e = mem;
    uint8_t *at = (uint8_t *)mem + round16(sizeof *e);
    uint32_t n = requests_cap(&c->cfg);
    pool_init(&e->requests, at, sizeof(struct exchange), n);
    at += round16(pool_bytes(sizeof(struct exchange), n));
    pool_init(&e->subs, at, sizeof(struct sub), subs_cap(&c->cfg));
    return e;
}

uint32_t exchange_used(const struct core *c)
{
    return c->exchanges->requests.used + c->exchanges->subs.used;
}

/* --- life --- */

struct exchange *exchange_of(struct core *c, uint64_t user)
{
    return pool_get(&c->exchanges->requests, handle_unpack(user));
}

static struct handle handle_of(const struct exchange *x)
{
    return pool_handle(&x->core->exchanges->requests, x);
}

enum reason exchange_open(struct core *c, struct incoming *in, struct exchange **ret_x)
{
    struct handle h;
    /* A quarter of the memory for held requests is the calls' alone. */
    if (!in->held && blocks_used(&c->large) >= c->large.count - c->large.count / 4)
        return REASON_capacity_memory;
    enum err e = incoming_hold(c, in);
    if (e != OK)
        return e == ERR_LIMIT ? REASON_sip_too_large : REASON_capacity_memory;
    struct exchange *x = pool_new(&c->exchanges->requests, &h);
    if (!x)
        return REASON_capacity_transactions;
    x->core = c;
    x->held = in->held;
    x->method = (uint8_t)in->m->method;
    x->salt = rng_u64(&c->rng);
    x->peer = x->target = POLICY_NONE;
    x->from_zone = in->r->zone;
    x->from_peer = in->r->ident == IDENT_PEER ? in->r->peer : POLICY_NONE;
    x->policies = c->policies;
    if (in->r->ident == IDENT_USER)
        x->user = arena_str(&x->held->arena, str_of(in->r->user, in->r->user_n));
    x->best_why = REASON_route_not_registered;
    x->timer.owner = OWNER_EXCHANGE;
    x->timer.kind = TIMER_EXCHANGE;
    x->end = instant_add(c->now.mono, DUR_MS(EXCHANGE_LIFE_MS));
    timer_arm(&c->wheel, &x->timer, x->end);
    *ret_x = x;
    return REASON_NONE;
}

void exchange_keep(struct exchange *x, struct incoming *in)
{
    x->held = in->held;
    in->held = NULL;
}

void exchange_close(struct exchange *x)
{
    struct core *c = x->core;
    struct sub *s = sub_of_exchange(x);
    timer_stop(&c->wheel, &x->timer);
    held_free(&x->held);
    pool_free(&c->exchanges->requests, x);
    if (s && s->open && --s->open == 0 && s->over)
        sub_free(s);
}

void exchange_abandon(struct exchange *x)
{
    struct sub *s = sub_of_exchange(x);
    bool first = s && s->state == SUB_ASKED;
    x->held = NULL;
    exchange_close(x);
    if (first)
        sub_free(s);
}

void exchange_answer(struct exchange *x, unsigned code, struct str fields)
{
    reply(x->core, x->held->m, &x->held->flow, x->held->t, code, fields);
    exchange_close(x);
}

void exchange_refuse(struct exchange *x, uint16_t code)
{
    char text[192];
    struct out o = out_of(text, sizeof text);
    if (code == 503)
        sip_put_u32(&o, HDR_RETRY_AFTER, 5);
    if (code == 489)
        sip_put(&o, HDR_ALLOW_EVENTS, STR(EVENTS_ALLOWED));
    if (code == 405)
        sip_put(&o, HDR_ALLOW, STR(ALLOW_OUTSIDE));
    exchange_answer(x, code, out_str(&o));
}

/* --- sending --- */

struct handle exchange_client(struct exchange *x, char ret_branch[BRANCH_CHARS])
{
    return trans_client(x->core->trans, (enum sip_method)x->method,
                        USER(USER_EXCHANGE, handle_of(x)), ret_branch);
}

enum reason exchange_send(struct exchange *x, struct handle t, const struct flow *f,
                          const struct out *o)
{
    struct core *c = x->core;
    if (o->full || trans_send(c->trans, t, f, out_str(o), c->now.mono) != OK) {
        trans_drop(c->trans, t);
        return o->full ? REASON_sip_too_large : REASON_capacity_memory;
    }
    x->t[x->n % FORKS_MAX] = t;
    x->n++;
    x->open++;
    return REASON_NONE;
}

/* --- requests --- */

static enum reason may_begin(const struct incoming *in)
{
    const struct sip_msg *m = in->m;
    if (m->method == SIP_INFO)
        return REASON_sip_no_dialog;
    if (m->method == SIP_MESSAGE && in->r->flow.proto == PROTO_UDP && m->body.len > MESSAGE_UDP_MAX)
        return REASON_sip_too_large;
    if (m->method == SIP_MESSAGE && !m->body.len)
        return REASON_sip_body_type;
    return REASON_NONE;
}

void exchange_request(struct core *c, struct incoming *in)
{
    struct exchange *x = NULL;
    enum reason why = may_begin(in);
    if (why == REASON_NONE)
        why = exchange_open(c, in, &x);
    if (why == REASON_NONE)
        why = exchange_route(x, in->r);
    if (why == REASON_NONE && x->method == SIP_SUBSCRIBE)
        why = sub_new(x, in->r);
    if (why == REASON_NONE)
        why = x->n_peers ? exchange_next(x) : exchange_users(x);
    if (why == REASON_NONE) {
        exchange_keep(x, in);
        return;
    }
    reply_reason(c, in, why);
    if (x)
        exchange_abandon(x);
}

/* In a call: by the dialog of the other leg, while both stand. */
static enum reason send_within(struct exchange *x, struct leg *y)
{
    struct core *c = x->core;
    char branch[BRANCH_CHARS], by[ADDR_TEXT_MAX], type_text[96];
    struct out body = out_of(c->sdp2, sizeof c->sdp2), type = out_of(type_text, sizeof type_text);
    enum reason why = exchange_body(x, y->peer, &type, &body);
    if (why != REASON_NONE)
        return why;
    struct handle t = exchange_client(x, branch);
    if (!handle_is(t))
        return REASON_capacity_transactions;
    struct out o = intents_room(c->out);
    dialog_request(&y->d, &o, STR("MESSAGE"), 0, proto_name((enum sip_proto)y->flow.proto),
                   hide_sent_by(c, &y->flow, by, sizeof by), str_of(branch, sizeof branch));
    sip_end(&o, out_str(&type), out_str(&body));
    x->peer = y->peer;
    x->tried_auth = true; /* what a peer demands in the middle of a call it does not get */
    return exchange_send(x, t, &y->flow, &o);
}

void exchange_within(struct core *c, struct incoming *in)
{
    struct leg *l = in->leg, *y = leg_other(l);
    struct exchange *x = NULL;
    enum reason why = may_begin(in);
    if (why == REASON_NONE && (!y || l->call->state != CALL_UP))
        why = REASON_sip_busy_invite;
    if (why == REASON_NONE)
        why = event_right(c->policy, l->zone, in->m);
    if (why == REASON_NONE && l->peer != POLICY_NONE)
        why = event_right(c->policy, y->zone, in->m);
    if (why == REASON_NONE)
        why = exchange_open(c, in, &x);
    if (why == REASON_NONE)
        why = send_within(x, y);
    if (why == REASON_NONE) {
        exchange_keep(x, in);
        return;
    }
    reply_reason(c, in, why);
    if (x)
        exchange_abandon(x);
}

/* --- answers --- */

/* Its place among the open transactions is cleared; false: it is none of them. */
static bool settle(struct exchange *x, struct handle t)
{
    for (unsigned i = 0; i < FORKS_MAX; i++)
        if (handle_is(x->t[i]) && handle_eq(x->t[i], t)) {
            x->t[i] = HANDLE_NONE;
            x->open--;
            return true;
        }
    return false;
}

static void finish(struct exchange *x, const struct sip_msg *m)
{
    char text[96];
    struct out o = out_of(text, sizeof text);
    if (handle_is(x->sub)) {
        sub_refused(x, x->best_code, m);
        return;
    }
    enum reason why = x->best_why;
    uint16_t code = x->best_code;
    if (code == 423 && m) {
        uint32_t min;
        struct str v = sip_get(m, HDR_MIN_EXPIRES);
        if (v.n && sip_seconds_parse(v, UINT32_MAX, &min) == OK)
            sip_put_u32(&o, HDR_MIN_EXPIRES, min);
        exchange_answer(x, code, out_str(&o));
        return;
    }
    if (why == REASON_sip_timeout)
        code = 408;
    exchange_refuse(x, code ? code : 480);
}

/* 6xx before all, then the lowest class; in a class the first that came; silence counts least. */
static unsigned rank(uint16_t code, enum reason why)
{
    if (why == REASON_sip_timeout || why == REASON_sip_transport_failed ||
        why == REASON_route_flow_gone)
        return 9;
    return code / 100 == 6 ? 0 : code / 100u;
}

static void remember(struct exchange *x, uint16_t code, enum reason why)
{
    if (x->best_code && rank(code, why) >= rank(x->best_code, x->best_why))
        return;
    x->best_code = code;
    x->best_why = why;
}

static void accepted(struct exchange *x, const struct sip_msg *m)
{
    char text[256];
    struct out o = out_of(text, sizeof text);
    if (handle_is(x->sub)) {
        sub_accepted(x, m);
        return;
    }
    if (x->method == SIP_PUBLISH) {
        sip_put_u32(&o, HDR_EXPIRES, expires_of(m, expires_of(x->held->m, SUB_MAX_S)));
        etag_put(m, HDR_SIP_ETAG, &o);
    }
    exchange_answer(x, m->code == 202 ? 202 : 200, out_str(&o));
}

/* A peer wants credentials: once, and only where we hold them. */
static bool challenged(struct exchange *x, const struct sip_msg *m)
{
    struct core *c = x->core;
    if ((m->code != 401 && m->code != 407) || x->peer == POLICY_NONE || x->tried_auth ||
        x->policies != c->policies || !c->policy->peers[x->peer].has_secret)
        return false;
    struct challenged q = {.what = FOR_EXCHANGE,
                           .who = handle_of(x),
                           .peer = x->peer,
                           .uri = x->uri,
                           .keep = &x->held->arena};
    x->tried_auth = true;
    return pending_credentials(c, &q, m) == REASON_NONE;
}

void exchange_retry(struct core *c, struct handle h, struct str authorization)
{
    struct exchange *x = pool_get(&c->exchanges->requests, h);
    if (!x)
        return;
    enum reason why = authorization.n ? REASON_NONE : REASON_peer_challenge;
    struct sub *s = sub_of_exchange(x);
    if (why == REASON_NONE && x->policies != c->policies)
        why = REASON_route_peer_down;
    if (why == REASON_NONE)
        why = s && s->state != SUB_ASKED ? sub_again(x, authorization)
                                         : exchange_peer(x, authorization);
    if (why == REASON_NONE)
        return;
    core_count(c, why);
    remember(x, reason_info(why)->code, why);
    finish(x, NULL);
}

void exchange_response(struct core *c, uint64_t user, struct handle t, const struct sip_msg *m)
{
    struct exchange *x = exchange_of(c, user);
    enum reason why;
    if (!x) /* another phone was quicker, or it took too long */
        return;
    if (x->peer != POLICY_NONE && x->policies == c->policies)
        peers_heard(c, x->peer, x->target, m->code != 503, REASON_peer_refused);
    if (m->code < 200) {
        timer_arm(&c->wheel, &x->timer, x->end);
        return;
    }
    if (!settle(x, t))
        return;
    if (m->code < 300) {
        accepted(x, m);
        return;
    }
    if (challenged(x, m))
        return;
    uint16_t code = handle_is(x->sub) ? m->code : exchange_told(x, m->code, &why);
    if (handle_is(x->sub))
        why = REASON_peer_refused;
    core_count(c, why);
    remember(x, code, why);
    if (m->code == 503 && x->n_peers && exchange_next(x) == REASON_NONE)
        return;
    if (!x->open || code / 100 == 6)
        finish(x, m);
}

void exchange_failed(struct core *c, uint64_t user, struct handle t, enum reason why)
{
    struct exchange *x = exchange_of(c, user);
    core_count(c, why);
    if (!x || !settle(x, t))
        return;
    if (x->peer != POLICY_NONE && x->policies == c->policies)
        peers_heard(c, x->peer, x->target, false, why);
    if (x->peer == POLICY_NONE && why == REASON_sip_transport_failed)
        why = REASON_route_flow_gone;
    remember(x, reason_info(why)->code, why);
    if (x->n_peers && exchange_next(x) == REASON_NONE)
        return;
    if (!x->open)
        finish(x, NULL);
}

/* A target is silent and there may be another, or the whole took too long. */
static void late(struct exchange *x)
{
    struct core *c = x->core;
    bool end = !instant_before(c->now.mono, x->end);
    bool more = x->n_peers && x->open;
    if (!end && more) {
        struct handle was = HANDLE_NONE;
        uint8_t peer = x->peer, target = x->target;
        for (unsigned i = 0; i < FORKS_MAX && !handle_is(was); i++)
            was = x->t[i];
        if (exchange_next(x) == REASON_NONE) {
            peers_heard(c, peer, target, false, REASON_sip_timeout);
            (void)settle(x, was);
            trans_drop(c->trans, was);
        } else {
            x->peer = peer;
            x->target = target;
            timer_arm(&c->wheel, &x->timer, x->end);
        }
        return;
    }
    core_count(c, REASON_sip_timeout);
    remember(x, 408, REASON_sip_timeout);
    finish(x, NULL);
}

void exchange_timer(struct core *c, struct timer *t)
{
    if (t->kind == TIMER_SUB)
        sub_timer(c, t);
    else
        late((struct exchange *)(void *)((char *)t - offsetof(struct exchange, timer)));
}
