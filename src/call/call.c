/* A call as a machine: [state][event] = {next, action}. An unset cell is counted and changes
 * nothing. Actions may end the call, after which it is gone. */
#include "call/core_int.h"
#include "call/hide.h"

#define RING_DEFAULT_S 180u
#define TICK_S         32 /* also how long an ACK with SDP may be asked for again (64*T1) */

typedef void action(struct call *k, const struct sip_msg *m, struct leg *from, enum reason why);
struct cell {
    uint8_t next;
    action *act;
};

static void act_progress(struct call *k, const struct sip_msg *m, struct leg *b, enum reason why)
{
    (void)why;
    if (!k->ring_us)
        k->ring_us = k->core->now.wall.us;
    early_progress(k, b, m);
}

static void tick_arm(struct call *k)
{
    int64_t tick_s = TICK_S, silence_s = k->core->policy->limits.media_timeout_s;
    if (silence_s) /* noticed at most half the limit late */
        tick_s = MIN(tick_s, MAX(silence_s / 2, (int64_t)1));
    struct instant next = instant_add(k->core->now.mono, DUR_S(tick_s));
    if (instant_before(k->limit, next))
        next = k->limit;
    struct instant due = money_next(k);
    if (instant_before(due, next))
        next = due;
    timer_arm(&k->core->wheel, &k->timer, next);
}

/* The answer of leg B, both directions of the SDP. REASON_NONE: A can be answered. */
static enum reason answer_media(struct call *k, struct leg *b, const struct sip_msg *m)
{
    struct core *c = k->core;
    enum reason why = REASON_NONE;
    struct str sdp = sdp_of(m, &why);
    if (why != REASON_NONE)
        return why;
    struct str offer = sdp_of(k->a->held->m, &why);
    if (offer.n) { /* A offered */
        leg_send_ack(b, STR_NONE);
        words_keep(k->a, offer);
        words_keep(b, sdp);
        if (!sdp.n)
            return b->flags & LEG_ANSWER_GIVEN ? REASON_NONE : REASON_media_answer_bad;
        return fork_answer_in(k, b, sdp);
    }
    b->flags |= LEG_ACK_WAITS;
    if (!sdp.n)
        return REASON_media_answer_bad;
    words_keep(b, sdp);
    why = media_offer_in(c->media, b->media, sdp);
    struct out o = out_of(c->sdp, sizeof c->sdp);
    if (why == REASON_NONE)
        why = media_offer_out(c->media, k->a->media, sdp, c->now.mono, &o);
    if (why != REASON_NONE)
        return why;
    k->a->flags |= LEG_LATE;
    k->a->held->answer = arena_str(&k->a->held->arena, out_str(&o));
    return k->a->held->answer.p ? REASON_NONE : REASON_capacity_memory;
}

static void up(struct call *k)
{
    struct core *c = k->core;
    uint32_t max_s = c->policy->limits.call_max_s;
    k->answer_us = c->now.wall.us;
    k->up_at = c->now.mono;
    k->limit = max_s ? instant_add(c->now.mono, DUR_S(max_s)) : INSTANT_NEVER;
    money_answered(k);
    tick_arm(k);
}

static void act_answer(struct call *k, const struct sip_msg *m, struct leg *b, enum reason why)
{
    struct core *c = k->core;
    (void)why;
    b->ict = HANDLE_NONE;
    b->invite_cseq = m->cseq;
    if (dialog_response(&b->d, &k->text, m) != OK) {
        /* A 2xx that makes no dialog, and without memory none can be made: it is undone. */
        stray_answer(c, m, &b->flow);
        k->state = k->ring_us ? CALL_EARLY : CALL_TRYING;
        fork_failed(b, REASON_sip_header_syntax);
        return;
    }
    b->state = LEG_ANSWERED;
    k->b = b;
    fork_release(k, b);
    leg_note(b, m);
    enum reason bad = answer_media(k, b, m);
    b->state = LEG_UP;
    if (bad != REASON_NONE) {
        uint16_t code = reason_info(bad)->code;
        core_count(c, bad);
        call_end(k, bad, code ? code : 488, 'g');
        return;
    }
    session_response(b, m);
    up(k);
    if (k->step) {
        stepup_joined(k);
        return;
    }
    if (k->a->flags & LEG_STANDIN) {
        join_answered(k);
        return;
    }
    if ((k->a->rel.uas.waiting && (k->a->flags & LEG_REL_SDP)) || k->a->ask) {
        k->a->flags |= LEG_ANSWER_WAITS; /* RFC 3262 sections 3 and 5 */
        return;
    }
    leg_answer(k->a, k->a->held->answer);
}

static void act_fail(struct call *k, const struct sip_msg *m, struct leg *b, enum reason why)
{
    (void)m;
    (void)b;
    call_end(k, k->best_code ? k->best_why : why,
             k->best_code ? k->best_code : reason_info(why)->code, 'b');
}

static void act_cancel(struct call *k, const struct sip_msg *m, struct leg *a, enum reason why)
{
    (void)m;
    (void)a;
    (void)why;
    call_end(k, REASON_call_cancelled, 487, 'a');
}

static void act_up(struct call *k, const struct sip_msg *m, struct leg *a, enum reason why)
{
    (void)k;
    (void)m;
    (void)a;
    (void)why;
}

/* The leg that steps in has taken its place; the one that asked for it is answered. */
static void act_join(struct call *k, const struct sip_msg *m, struct leg *b, enum reason why)
{
    (void)m;
    (void)b;
    (void)why;
    up(k);
    leg_answer(k->a, k->a->held->answer);
}

static void act_bye_a(struct call *k, const struct sip_msg *m, struct leg *a, enum reason why)
{
    (void)m;
    (void)a;
    (void)why;
    call_end(k, k->answer_us ? REASON_NONE : REASON_call_cancelled, k->answer_us ? 200 : 487, 'a');
}

static void act_bye_b(struct call *k, const struct sip_msg *m, struct leg *b, enum reason why)
{
    (void)m;
    (void)b;
    (void)why;
    call_end(k, REASON_NONE, 200, 'b');
}

/* B hung up on an early dialog, which it may not, or before A's ACK. */
static void act_b_gone(struct call *k, const struct sip_msg *m, struct leg *b, enum reason why)
{
    char buf[HIDE_REASON_CHARS];
    struct out reasons = out_of(buf, sizeof buf);
    (void)why;
    if (m)
        hide_reasons(m, &reasons);
    k->parting = reasons.n ? arena_str(&k->text, out_str(&reasons)) : STR_NONE;
    k->close_why = REASON_NONE;
    timer_stop(&k->core->wheel, &b->session);
    b->state = LEG_EARLY; /* its dialog is over: nothing more is sent to it */
}

static void act_b_early(struct call *k, const struct sip_msg *m, struct leg *b, enum reason why)
{
    (void)k;
    (void)m;
    (void)why;
    fork_failed(b, REASON_peer_refused);
}

static void act_close(struct call *k, const struct sip_msg *m, struct leg *a, enum reason why)
{
    (void)m;
    (void)a;
    (void)why;
    call_end(k, k->close_why, 200, 'b');
}

static void act_stop(struct call *k, const struct sip_msg *m, struct leg *l, enum reason why)
{
    (void)m;
    (void)l;
    uint16_t code = reason_info(why)->code;
    call_end(k, why, k->answer_us ? 200 : (code ? code : 500), 'g');
}

/* RFC 3261 sections 13, 15 and 9 seen from the middle of two legs. */
static const struct cell cells[CALL_STATES][CALL_EVENTS] = {
    [CALL_TRYING] = {[CALL_EV_PROGRESS] = {CALL_EARLY, act_progress},
                     [CALL_EV_ANSWER] = {CALL_ANSWERED, act_answer},
                     [CALL_EV_FAIL] = {CALL_FREE, act_fail},
                     [CALL_EV_CANCEL] = {CALL_FREE, act_cancel},
                     [CALL_EV_BYE_A] = {CALL_FREE, act_bye_a},
                     [CALL_EV_BYE_B] = {CALL_TRYING, act_b_early},
                     [CALL_EV_JOIN] = {CALL_ANSWERED, act_join},
                     [CALL_EV_STOP] = {CALL_FREE, act_stop}},
    [CALL_EARLY] = {[CALL_EV_PROGRESS] = {CALL_EARLY, act_progress},
                    [CALL_EV_ANSWER] = {CALL_ANSWERED, act_answer},
                    [CALL_EV_FAIL] = {CALL_FREE, act_fail},
                    [CALL_EV_CANCEL] = {CALL_FREE, act_cancel},
                    [CALL_EV_BYE_A] = {CALL_FREE, act_bye_a},
                    [CALL_EV_BYE_B] = {CALL_EARLY, act_b_early},
                    [CALL_EV_STOP] = {CALL_FREE, act_stop}},
    [CALL_ANSWERED] = {[CALL_EV_ACK] = {CALL_UP, act_up},
                       [CALL_EV_BYE_A] = {CALL_FREE, act_bye_a},
                       [CALL_EV_BYE_B] = {CALL_CLOSING, act_b_gone},
                       [CALL_EV_JOIN] = {CALL_UP, act_up},
                       [CALL_EV_STOP] = {CALL_FREE, act_stop}},
    [CALL_UP] = {[CALL_EV_BYE_A] = {CALL_FREE, act_bye_a},
                 [CALL_EV_BYE_B] = {CALL_FREE, act_bye_b},
                 [CALL_EV_JOIN] = {CALL_UP, act_up},
                 [CALL_EV_STOP] = {CALL_FREE, act_stop}},
    [CALL_CLOSING] = {[CALL_EV_ACK] = {CALL_FREE, act_close},
                      [CALL_EV_BYE_A] = {CALL_FREE, act_close},
                      [CALL_EV_STOP] = {CALL_FREE, act_stop}},
};

bool call_cell(uint8_t state, enum call_event ev, uint8_t *ret_next)
{
    const struct cell *x = &cells[state][ev];
    if (x->act)
        *ret_next = x->next;
    return x->act != NULL;
}

const char *call_state_name(uint8_t s)
{
    static const char *const names[CALL_STATES] = {"free",     "trying", "ringing",
                                                   "answered", "up",     "closing"};
    return s < CALL_STATES ? names[s] : "?";
}

void call_step(struct call *k, enum call_event ev, const struct sip_msg *m, struct leg *from,
               enum reason why)
{
    const struct cell *x = &cells[k->state][ev];
    if (!x->act) {
        core_count(k->core, REASON_sip_event_order);
        return;
    }
    k->state = x->next;
    x->act(k, m, from, why);
}

/* --- beginning --- */

static enum reason setup_dialog(struct call *k, struct incoming *in)
{
    struct core *c = k->core;
    struct leg *a = k->a;
    char tag[TOKEN_CHARS];
    tag_of(c, leg_handle(a), tag);
    enum err e = dialog_uas(&a->d, &k->text, in->m, str_of(tag, sizeof tag));
    if (e != OK)
        return e == ERR_FULL ? REASON_capacity_memory : REASON_sip_header_syntax;
    k->user = arena_str(&k->text, str_of(in->r->user, in->r->user_n));
    if (!k->user.p) /* who pays */
        return REASON_capacity_memory;
    leg_here(a);
    leg_note(a, in->m);
    if (sip_has(in->m, HDR_PRIVACY) && !str_ieq(sip_get(in->m, HDR_PRIVACY), STR("none")))
        a->flags |= LEG_PRIVATE;
    a->st.interval_s = c->policy->limits.session_expires_s;
    if (rel_required(in->m))
        a->flags |= LEG_REL_WANTED;
    rel_uas_init(&a->rel.uas, in->m->cseq, 1 + rng_below(&c->rng, 0x3fffffff));
    return stimer_request_in(&a->st, in->m);
}

static enum reason setup_media(struct call *k)
{
    struct core *c = k->core;
    struct leg *a = k->a;
    enum reason why = REASON_NONE;
    struct media_policy mp = policy_media(c->policy, a->zone, &a->flow, c->now.wall);
    media_turn(c->media, NULL, 0, c->now.mono); /* its clock: ports that rested are free again */
    a->media = media_leg_open(c->media, &mp, k->session);
    if (!a->media)
        return REASON_capacity_ports;
    struct str sdp = sdp_of(a->held->m, &why);
    return why == REASON_NONE && sdp.n ? media_offer_in(c->media, a->media, sdp) : why;
}

enum reason call_begin(struct call *k, struct incoming *in)
{
    enum reason why = setup_dialog(k, in);
    cdr_start(k);
    return why == REASON_NONE ? setup_media(k) : why;
}

static void setup(struct call *k, struct incoming *in)
{
    struct core *c = k->core;
    uint32_t ring_s = c->policy->limits.ring_s;
    k->limit = instant_add(c->now.mono, DUR_S(ring_s ? ring_s : RING_DEFAULT_S));
    timer_arm(&c->wheel, &k->timer, k->limit);
    enum reason why = call_begin(k, in);
    if (why == REASON_NONE)
        why = join_wanted(in->m) ? join_replace(k, in) : fork_start(k, in->r);
    if (why != REASON_NONE) {
        core_count(c, why);
        if (reason_info(why)->hostile >= 10) /* what no gate could see: its description */
            shield_stray(c, in->m, &in->r->flow, why);
        call_end(k, why, reason_info(why)->code, 'g');
    }
}

void call_dial(struct call *k, const struct request *r)
{
    struct core *c = k->core;
    uint32_t ring_s = c->policy->limits.ring_s;
    k->limit = instant_add(c->now.mono, DUR_S(ring_s ? ring_s : RING_DEFAULT_S));
    timer_arm(&c->wheel, &k->timer, k->limit);
    enum err e = dialog_uas(&k->a->d, &k->text, k->a->held->m, STR("standin"));
    bool whole = e == OK && k->user.p && k->payer.p; /* who pays */
    enum reason why = whole ? REASON_NONE : REASON_capacity_memory;
    cdr_start(k);
    if (why == REASON_NONE)
        why = fork_start(k, r);
    if (why == REASON_NONE)
        return;
    core_count(c, why);
    call_end(k, why, reason_info(why)->code, 'g');
}

struct call *call_open(struct core *c, struct incoming *in)
{
    struct handle h;
    struct call *k = pool_new(&c->calls, &h);
    if (!k)
        return NULL;
    k->core = c;
    k->state = CALL_TRYING;
    k->session = c->session_next += 64;
    k->start_us = c->now.wall.us;
    k->timer.owner = OWNER_CALL;
    k->trace = in->r->trace;
    k->emergency = in->r->emergency;
    k->aor_hash = in->r->aor_hash;
    k->number = in->r->number;
    k->called = in->r->number_to;
    k->device_id = in->r->device_id;
    k->attest = in->r->attest;
    k->verstat = in->r->verstat;
    k->route = POLICY_NONE;
    arena_init_blocks(&k->text, &c->small, CALL_TEXT_MAX);
    k->a = leg_new(k, 'a');
    if (!k->a) {
        pool_free(&c->calls, k);
        return NULL;
    }
    k->a->held = in->held;
    in->held = NULL;
    k->a->flow = in->r->flow;
    k->a->zone = in->r->zone;
    k->a->peer = in->r->peer;
    k->a->ident = in->r->ident;
    c->calls_total++;
    return k;
}

void call_new(struct core *c, struct incoming *in)
{
    bool waited = in->held != NULL; /* then the 100 has gone out before the vault was asked */
    enum err e = incoming_hold(c, in);
    if (e != OK) {
        reply_reason(c, in, e == ERR_LIMIT ? REASON_sip_too_large : REASON_capacity_memory);
        return;
    }
    struct call *k = call_open(c, in);
    if (!k) {
        reply_reason(c, in, REASON_capacity_calls);
        return;
    }
    if (!waited)
        reply(c, in->m, &in->r->flow, in->t, 100, STR_NONE);
    trans_set_user(c->trans, in->t, USER(USER_LEG, leg_handle(k->a)));
    setup(k, in);
}

/* --- end --- */

static void give_back(struct call *k)
{
    struct core *c = k->core;
    while (k->forks)
        leg_free(k->forks);
    if (k->a)
        leg_free(k->a);
    arena_reset(&k->text);
    pool_free(&c->calls, k);
}

void call_end(struct call *k, enum reason why, uint16_t code, char by)
{
    struct core *c = k->core;
    transfer_call_ends(k, why, code);
    (void)stepup_end(k);
    money_end(k, code);
    timer_stop(&c->wheel, &k->timer);
    for (struct leg *b = k->forks; b; b = b->next)
        leg_part(b, by == 'b', why, code);
    leg_part(k->a, by == 'a', why, code);
    cdr_end(k, why, k->answer_us ? 200 : code, by);
    give_back(k);
}

static void stand(struct leg *t, struct call *to, char side)
{
    struct leg **at = &to->forks;
    t->call = to;
    t->side = (uint8_t)side;
    t->next = NULL;
    t->ident = t->aor.n ? IDENT_USER : IDENT_PEER;
    memset(&t->rel, 0, sizeof t->rel);
    if (side == 'a') {
        to->a = t;
        to->user = t->aor;
        return;
    }
    while (*at)
        at = &(*at)->next;
    *at = to->b = t;
}

enum err call_hand_over(struct leg *t, struct call *to, struct leg *place)
{
    struct call *k = t->call;
    struct core *c = k->core;
    char side = place ? (char)place->side : 'b';
    if (leg_copy(t, to) != OK)
        return ERR_FULL;
    k->led_to = to->session;
    to->led_to = k->session;
    money_moves(t);
    timer_stop(&c->wheel, &k->timer);
    if (t->ask) { /* whom it asked has gone */
        leg_reply(t, t->ask, 481, STR_NONE);
        held_free(&t->ask);
    }
    struct leg *left = leg_other(t);
    leg_part(left, false, REASON_NONE, 200);
    cdr_end(k, REASON_call_transferred, 200, (char)left->side);
    if (t->side == 'a')
        k->a = NULL;
    for (struct leg **at = &k->forks; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    give_back(k);
    if (place) {
        if (!to->payer.n && side == 'a')
            to->payer = to->user;
        struct leg *far = leg_other(place);
        if (far && far->ask) {
            leg_reply(far, far->ask, 500, STR_NONE);
            held_free(&far->ask);
        }
        leg_part(place, false, REASON_NONE, 200);
        leg_free(place);
    }
    stand(t, to, side);
    return OK;
}

static bool silent(const struct call *k)
{
    struct core *c = k->core;
    int64_t limit_us = (int64_t)c->policy->limits.media_timeout_s * 1000000;
    if (!limit_us || !k->b || !k->a->media || !k->b->media)
        return false;
    int64_t since = media_silent_since(k->a->media, k->b->media).us;
    return c->now.mono.us - MAX(since, k->up_at.us) > limit_us;
}

void call_timer(struct core *c, struct timer *t)
{
    struct call *k = (struct call *)(void *)((char *)t - offsetof(struct call, timer));
    if (stepup_timer(k))
        return;
    if (k->state < CALL_ANSWERED) {
        enum reason why = money_cut(k) ? REASON_fraud_behaviour : REASON_call_no_answer;
        core_count(c, why);
        call_step(k, CALL_EV_STOP, NULL, NULL, why);
        return;
    }
    if (instant_sub(c->now.mono, k->up_at).us >= DUR_S(TICK_S).us) {
        held_free(&k->a->kept);
        if (k->b)
            held_free(&k->b->kept);
    }
    enum reason why = REASON_NONE;
    if (!instant_before(c->now.mono, k->limit))
        why = REASON_call_too_long;
    else if (silent(k))
        why = REASON_media_timeout;
    else
        why = money_timer(k);
    if (why == REASON_NONE) {
        tick_arm(k);
        return;
    }
    core_count(c, why);
    call_step(k, CALL_EV_STOP, NULL, NULL, why);
}
