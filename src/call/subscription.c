/* Subscriptions (RFC 6665): two dialogs with an end. SUBSCRIBE goes from who subscribed to the
 * notifier, NOTIFY back; whichever side falls silent or says goodbye ends both. */
#include "call/exchange.h"
#include "call/hide.h"

#define SUB_NOTIFY_GONE "terminated;reason=timeout"

struct sub *sub_of_exchange(const struct exchange *x)
{
    return handle_is(x->sub) ? pool_get(&x->core->exchanges->subs, x->sub) : NULL;
}

/* --- life --- */

/* One subscriber, however many phones or lies, gets an eighth of the table; peers are trusted with
 * all of it. */
static bool bucket_take(struct core *c, struct sub *s, struct str who)
{
    uint32_t most = MAX(c->exchanges->subs.cap / 8, 16u);
    s->bucket = SUB_BUCKETS;
    if (!who.n)
        return true;
    uint32_t b = (uint32_t)(siphash(&c->cfg.hash_key, who) % SUB_BUCKETS);
    if (c->exchanges->by_user[b] >= most || c->exchanges->by_user[b] == UINT16_MAX)
        return false;
    c->exchanges->by_user[b]++;
    s->bucket = b;
    return true;
}

void sub_here(struct sub *s, struct sub_side *x)
{
    struct core *c = s->core;
    if (x->aor.n)
        x->moment = location_moment(c->cfg.shards, c->cfg.engines, &c->cfg.hash_key, x->aor);
}

/* false: no memory. */
static bool side_set(struct sub *s, struct sub_side *x, const struct target *g)
{
    const struct policy *p = s->core->policy;
    x->flow = g->flow;
    x->zone = g->zone;
    x->peer = g->peer;
    x->aor = arena_str(&s->text, g->aor);
    x->name = g->peer == POLICY_NONE ? STR_NONE
                                     : arena_str(&s->text, policy_text(p, p->peers[g->peer].name));
    sub_here(s, x);
    return x->aor.p && (g->peer == POLICY_NONE || x->name.p);
}

void sub_free(struct sub *s)
{
    struct core *c = s->core;
    if (s->bucket < SUB_BUCKETS)
        c->exchanges->by_user[s->bucket]--;
    timer_stop(&c->wheel, &s->timer);
    arena_reset(&s->text);
    pool_free(&c->exchanges->subs, s);
}

static void arm(struct sub *s, int64_t ms)
{
    timer_arm(&s->core->wheel, &s->timer, instant_add(s->core->now.mono, DUR_MS(ms)));
}

void sub_arm(struct sub *s, uint32_t seconds)
{
    arm(s, (int64_t)MIN(seconds, SUB_MAX_S) * 1000 + SUB_SLACK_MS);
}

static void tag_put(const struct core *c, enum token_kind kind, struct handle h,
                    char ret[TOKEN_CHARS])
{
    token_mint(&c->cfg.token_keys, (struct token){(uint8_t)kind, c->cfg.engine, h}, ret);
}

/* What the subscriber wishes, as far as we let it. */
static uint32_t wished(const struct sip_msg *m)
{
    return MIN(expires_of(m, SUB_MAX_S), SUB_MAX_S);
}

bool sub_too_brief(const struct sip_msg *m)
{
    return wished(m) && wished(m) < SUB_MIN_S;
}

enum reason sub_reason(enum err e)
{
    if (e == OK)
        return REASON_NONE;
    return e == ERR_FULL ? REASON_capacity_memory : REASON_sip_header_syntax;
}

static enum reason begin(struct sub *s, struct handle h, const struct request *r)
{
    struct core *c = s->core;
    struct sub_side *side = &s->side[SUBSCRIBER];
    struct str id;
    char tag[TOKEN_CHARS];
    tag_put(c, TOKEN_SUB, h, tag);
    s->package = (uint8_t)event_of(r->m, &id);
    struct target from = {.flow = r->flow,
                          .aor = str_of(r->user, r->user_n),
                          .zone = r->zone,
                          .peer = r->ident == IDENT_PEER ? r->peer : POLICY_NONE};
    if (sub_too_brief(r->m))
        return REASON_reg_interval_brief;
    if (!bucket_take(c, s, str_of(r->user, r->user_n)))
        return REASON_capacity_subscriptions;
    s->event_id = arena_str(&s->text, id);
    if (!s->event_id.p || !side_set(s, side, &from))
        return REASON_capacity_memory;
    return sub_reason(dialog_uas(&side->d, &s->text, r->m, str_of(tag, sizeof tag)));
}

enum reason sub_new(struct exchange *x, const struct request *r)
{
    struct core *c = x->core;
    struct handle h;
    /* What lives for hours leaves half of the memory to calls. */
    bool room = blocks_used(&c->small) < c->small.count / 2;
    struct sub *s = room ? pool_new(&c->exchanges->subs, &h) : NULL;
    if (!s)
        return REASON_capacity_subscriptions;
    s->core = c;
    s->policies = c->policies;
    s->bucket = SUB_BUCKETS;
    s->timer.owner = OWNER_EXCHANGE;
    s->timer.kind = TIMER_SUB;
    arena_init_blocks(&s->text, &c->small, SUB_TEXT_MAX);
    enum reason why = begin(s, h, r);
    if (why != REASON_NONE) {
        sub_free(s);
        return why;
    }
    x->sub = h;
    s->open = 1;
    return REASON_NONE;
}

/* --- SUBSCRIBE to the notifier --- */

static void subscribe_put(const struct sub *s, uint32_t expires, struct out *o)
{
    const struct sub_side *x = &s->side[NOTIFIER];
    contact_put(s->core, &x->flow, x->d.local_tag, o);
    event_put((enum event_package)s->package, STR_NONE, o);
    sip_put_u32(o, HDR_EXPIRES, expires);
    sip_put(o, HDR_ACCEPT, event_type((enum event_package)s->package));
}

static enum reason ask_begin(struct exchange *x, struct sub *s, const struct target *g)
{
    struct core *c = s->core;
    struct sub_side *side = &s->side[NOTIFIER];
    char from[512], to[512], tag[TOKEN_CHARS];
    struct out of = out_of(from, sizeof from), ot = out_of(to, sizeof to);
    from_put(c, x->held->m, g->peer, &of);
    OUT_LIT(&ot, "<sip:");
    out_put(&ot, x->dialled);
    out_ch(&ot, '@');
    out_put(&ot, host_towards(c, g->peer));
    out_ch(&ot, '>');
    tag_put(c, TOKEN_WATCH, x->sub, tag);
    if (of.full || ot.full)
        return REASON_sip_uri_too_long;
    if (!side_set(s, side, g))
        return REASON_capacity_memory;
    enum err e = dialog_uac(&side->d, &s->text, str_of(x->id, sizeof x->id),
                            str_of(tag, sizeof tag), out_str(&of), out_str(&ot), g->uri);
    side->d.local_cseq = 1 + rng_below(&c->rng, 9999);
    return sub_reason(e);
}

enum reason sub_ask(struct exchange *x, const struct target *g, struct str branch, bool again,
                    struct out *o)
{
    struct core *c = x->core;
    struct sub *s = sub_of_exchange(x);
    const struct sip_msg *m = x->held->m;
    if (!s)
        return REASON_sip_no_dialog;
    struct sub_side *side = &s->side[NOTIFIER];
    enum reason why = again ? REASON_NONE : ask_begin(x, s, g);
    if (why != REASON_NONE)
        return why;
    sip_request_line(o, STR("SUBSCRIBE"), g->uri);
    via_put(c, &g->flow, branch, o);
    if (g->path.n)
        sip_put(o, HDR_ROUTE, g->path);
    sip_put_u32(o, HDR_MAX_FORWARDS, hide_max_forwards(m));
    sip_begin(o, HDR_FROM);
    out_put(o, side->d.local_uri);
    OUT_LIT(o, ";tag=");
    out_put(o, side->d.local_tag);
    sip_eol(o);
    sip_put(o, HDR_TO, side->d.remote_uri);
    sip_put(o, HDR_CALL_ID, side->d.call_id);
    sip_put_cseq(o, ++side->d.local_cseq, STR("SUBSCRIBE"));
    subscribe_put(s, wished(m), o);
    return REASON_NONE;
}

/* A phone that came back over another connection has registered there (leg.c does the same for
 * calls). */
void sub_follow(struct sub *s, struct sub_side *x)
{
    struct core *c = s->core;
    if (x->name.n || !flow_reliable(&x->flow) || !x->aor.n)
        return;
    location_follow(c->cfg.shards, c->cfg.engines, &c->cfg.hash_key, x->aor, c->now.wall,
                    x->d.remote_target, x->moment, &x->flow);
}

/* A request in one of the dialogs; the caller goes on with the fields. */
void sub_within(struct sub *s, uint8_t side, enum sip_method method, struct str branch,
                struct out *o)
{
    struct sub_side *x = &s->side[side];
    char by[ADDR_TEXT_MAX];
    *o = intents_room(s->core->out);
    dialog_request(&x->d, o, sip_method_name(method), 0, proto_name((enum sip_proto)x->flow.proto),
                   hide_sent_by(s->core, &x->flow, by, sizeof by), branch);
}

enum reason sub_again(struct exchange *x, struct str authorization)
{
    struct sub *s = sub_of_exchange(x);
    char branch[BRANCH_CHARS];
    struct out o;
    if (!s)
        return REASON_sip_no_dialog;
    sub_follow(s, &s->side[NOTIFIER]);
    struct handle t = exchange_client(x, branch);
    if (!handle_is(t))
        return REASON_capacity_transactions;
    sub_within(s, NOTIFIER, SIP_SUBSCRIBE, str_of(branch, sizeof branch), &o);
    subscribe_put(s, wished(x->held->m), &o);
    out_put(&o, authorization);
    sip_end(&o, STR_NONE, STR_NONE);
    x->peer = s->side[NOTIFIER].peer;
    x->uri = arena_str(&x->held->arena, s->side[NOTIFIER].d.remote_target);
    return exchange_send(x, t, &s->side[NOTIFIER].flow, &o);
}

/* --- the end --- */

/* A last request of ours, whose answer changes nothing. */
static void last_word(struct sub *s, uint8_t side)
{
    struct core *c = s->core;
    char branch[BRANCH_CHARS];
    struct out o;
    enum sip_method method = side == SUBSCRIBER ? SIP_NOTIFY : SIP_SUBSCRIBE;
    struct handle t = trans_client(c->trans, method, 0, branch);
    if (!handle_is(t))
        return;
    sub_follow(s, &s->side[side]);
    sub_within(s, side, method, str_of(branch, sizeof branch), &o);
    if (side == SUBSCRIBER) {
        contact_put(c, &s->side[side].flow, s->side[side].d.local_tag, &o);
        event_put((enum event_package)s->package, s->event_id, &o);
        sip_put(&o, HDR_SUBSCRIPTION_STATE, STR(SUB_NOTIFY_GONE));
    } else {
        subscribe_put(s, 0, &o);
    }
    sip_end(&o, STR_NONE, STR_NONE);
    if (o.full || trans_send(c->trans, t, &s->side[side].flow, out_str(&o), c->now.mono) != OK)
        trans_drop(c->trans, t);
}

void sub_end(struct sub *s, bool tell_notifier)
{
    last_word(s, SUBSCRIBER);
    if (tell_notifier && s->side[NOTIFIER].d.remote_tag.n)
        last_word(s, NOTIFIER);
    sub_free(s);
}

void sub_timer(struct core *c, struct timer *t)
{
    struct sub *s = (struct sub *)(void *)((char *)t - offsetof(struct sub, timer));
    if (s->state != SUB_ACTIVE)
        core_count(c, REASON_sip_notify_missing);
    sub_end(s, s->state == SUB_NEW);
}

/* The notifier's last NOTIFY is on its way. */
void sub_over(struct sub *s)
{
    if (s->open <= 1) { /* that NOTIFY itself */
        sub_free(s);
        return;
    }
    s->over = true; /* until the last of the others has its answer */
    timer_stop(&s->core->wheel, &s->timer);
}

/* --- answers --- */

static void subscribed(struct exchange *x, struct sub *s, const struct sip_msg *m)
{
    struct core *c = x->core;
    struct held *h = x->held;
    uint32_t granted = MIN(expires_of(m, wished(h->m)), wished(h->m));
    const struct sub_side *a = &s->side[SUBSCRIBER];
    struct out o = intents_room(c->out);
    sip_reply(&o, h->m, 200, STR_NONE, a->d.local_tag, &h->flow.peer);
    sip_copy(&o, h->m, HDR_RECORD_ROUTE); /* its own, RFC 3261 12.1.1 */
    contact_put(c, &a->flow, a->d.local_tag, &o);
    sip_put_u32(&o, HDR_EXPIRES, granted);
    sip_end(&o, STR_NONE, STR_NONE);
    reply_send(c, &h->flow, h->t, 200, &o);
    bool ended = s->over;
    exchange_close(x);
    if (ended)
        return;
    if (!granted) {
        s->state = SUB_ENDING;
        arm(s, SUB_SILENT_MS);
    } else if (s->state == SUB_ACTIVE) {
        sub_arm(s, granted);
    } else {
        s->state = SUB_NEW;
        arm(s, SUB_SILENT_MS);
    }
}

void sub_accepted(struct exchange *x, const struct sip_msg *m)
{
    struct sub *s = sub_of_exchange(x);
    if (x->method == SIP_NOTIFY) {
        exchange_answer(x, 200, STR_NONE);
        return;
    }
    if (!s) {
        exchange_refuse(x, 481);
        return;
    }
    /* Another phone behind the notifier may have been quicker with its NOTIFY: that one is kept. */
    enum err e = dialog_response(&s->side[NOTIFIER].d, &s->text, m);
    if (e == OK || e == ERR_STATE) {
        subscribed(x, s, m);
        return;
    }
    enum reason why = sub_reason(e);
    core_count(x->core, why);
    bool ended = s->over;
    exchange_refuse(x, why == REASON_capacity_memory ? 503 : 502);
    if (!ended)
        sub_end(s, true);
}

/* RFC 6665 4.1.2.3 and 4.2.2: answers after which there is no subscription any more. */
static bool deadly(uint16_t code)
{
    static const uint16_t codes[] = {404, 405, 408, 410, 416, 480, 481,
                                     482, 483, 484, 485, 489, 501, 604};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i] == code)
            return true;
    return false;
}

static void refused_first(struct exchange *x, struct sub *s, uint16_t code, const struct sip_msg *m)
{
    char text[64];
    struct out o = out_of(text, sizeof text);
    enum reason why;
    uint32_t min;
    struct str v = m ? sip_get(m, HDR_MIN_EXPIRES) : STR_NONE;
    uint16_t say = m ? exchange_told(x, code, &why) : code;
    if (s)
        sub_free(s);
    if (say == 423 && v.n && sip_seconds_parse(v, UINT32_MAX, &min) == OK) {
        sip_put_u32(&o, HDR_MIN_EXPIRES, min);
        exchange_answer(x, say, out_str(&o));
        return;
    }
    exchange_refuse(x, say ? say : 480);
}

void sub_refused(struct exchange *x, uint16_t code, const struct sip_msg *m)
{
    struct core *c = x->core;
    struct handle h = x->sub;
    struct sub *s = sub_of_exchange(x);
    enum reason why;
    bool subscribe = x->method == SIP_SUBSCRIBE;
    if (subscribe && !x->held->m->to_tag.len) {
        refused_first(x, s, code, m);
        return;
    }
    bool dead = !m || deadly(code);
    exchange_refuse(x, dead ? 481 : exchange_told(x, code, &why));
    s = pool_get(&c->exchanges->subs, h); /* it may have been the last one */
    if (!s || !dead)
        return;
    /* A subscriber whose refresh failed has its 481; one that takes no NOTIFY hears nothing. */
    if (!m && subscribe)
        last_word(s, NOTIFIER);
    sub_free(s);
}
