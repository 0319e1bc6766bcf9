/* The one step of all four machines: look the edge up, set state and clocks, act, tell the user. */
#include "sip/machine.h"

const struct machine *machine_of(enum trans_kind k)
{
    switch (k) {
    case TRANS_ICT:
        return &MACHINE_ICT;
    case TRANS_NICT:
        return &MACHINE_NICT;
    case TRANS_IST:
        return &MACHINE_IST;
    case TRANS_NIST:
        return &MACHINE_NIST;
    }
    CHECK(false);
    return NULL;
}

const char *state_name(enum trans_state s)
{
    static const char *const names[ST_COUNT] = {
        "none",       "Idle",      "Calling",   "Trying",   "Proceeding",
        "Cancelling", "Completed", "Confirmed", "Accepted", "Terminated"};
    return names[s];
}

const char *event_name(enum trans_event e)
{
    static const char *const names[EV_COUNT] = {
        "send", "100",    "101-199",    "2xx",   "300-699",        "request",
        "ACK",  "cancel", "retransmit", "timer", "transport error"};
    return names[e];
}

#define T1   TRANS_T1_MS
#define T2   TRANS_T2_MS
#define T4   TRANS_T4_MS
#define LONG (64 * T1)

enum clock_kind { KIND_NONE, KIND_STOP, KIND_START, KIND_NEXT };
/* RFC 3261 table 4. On reliable transports nothing is retransmitted, and where it says so the wait
 * for what may still be under way falls away. */
static const struct clock_rule {
    const char *name;
    uint8_t kind;
    bool zero_if_reliable;
    uint16_t
        first_ms;    /* START: first retransmission, 0 = none; NEXT: fixed interval, 0 = doubling */
    uint16_t cap_ms; /* NEXT, doubling */
    uint32_t end_ms; /* START */
} RULES[CLK_COUNT] = {
    [CLK_KEEP] = {"", KIND_NONE, false, 0, 0, 0},
    [CLK_STOP] = {"", KIND_STOP, false, 0, 0, 0},
    [CLK_AB] = {"A=T1 B=64*T1", KIND_START, false, T1, 0, LONG},
    [CLK_A_NEXT] = {"A=2*A", KIND_NEXT, false, 0, UINT16_MAX, 0},
    [CLK_C] = {"C", KIND_START, false, 0, 0, TRANS_TIMER_C_MS},
    [CLK_CANCEL] = {"64*T1", KIND_START, false, 0, 0, LONG},
    [CLK_D] = {"D", KIND_START, true, 0, 0, LONG},
    [CLK_EF] = {"E=T1 F=64*T1", KIND_START, false, T1, 0, LONG},
    [CLK_E_NEXT] = {"E=min(2*E,T2)", KIND_NEXT, false, 0, T2, 0},
    [CLK_E_T2] = {"E=T2", KIND_NEXT, false, T2, 0, 0},
    [CLK_GH] = {"G=T1 H=64*T1", KIND_START, false, T1, 0, LONG},
    [CLK_G_NEXT] = {"G=min(2*G,T2)", KIND_NEXT, false, 0, T2, 0},
    [CLK_I] = {"I=T4", KIND_START, true, 0, 0, T4},
    [CLK_J] = {"J=64*T1", KIND_START, true, 0, 0, LONG},
    [CLK_K] = {"K=T4", KIND_START, true, 0, 0, T4},
    [CLK_L] = {"L=64*T1", KIND_START, false, 0, 0, LONG},
    [CLK_M] = {"M=64*T1", KIND_START, false, 0, 0, LONG},
};

const char *clock_name(enum trans_clock c)
{
    return RULES[c].name;
}

static void arm(struct trans_table *t, struct trans *x, struct instant now)
{
    struct instant due = x->deadline;
    if (x->interval_ms) {
        struct instant next = instant_add(now, DUR_MS(x->interval_ms));
        due = instant_before(next, due) ? next : due;
    }
    timer_arm(t->cfg.wheel, &x->timer, due);
}

/* true: the state's time is zero, it ends at once. */
static bool clock_set(struct trans_table *t, struct trans *x, enum trans_clock c,
                      struct instant now)
{
    const struct clock_rule *r = &RULES[c];
    bool reliable = flow_reliable(&x->flow);
    if (r->kind == KIND_NONE)
        return false;
    if (r->kind == KIND_STOP || (r->zero_if_reliable && reliable)) {
        timer_stop(t->cfg.wheel, &x->timer);
        x->interval_ms = 0;
        return r->kind != KIND_STOP;
    }
    if (r->kind == KIND_START) {
        x->deadline = instant_add(now, DUR_MS(r->end_ms));
        x->interval_ms = reliable ? 0 : r->first_ms;
    } else {
        unsigned next = r->first_ms ? r->first_ms : MIN(2u * x->interval_ms, (unsigned)r->cap_ms);
        x->interval_ms = reliable ? 0 : (uint16_t)next;
    }
    arm(t, x, now);
    return false;
}

static void tell_user(struct trans_table *t, enum tell what, uint64_t user, struct handle h,
                      const struct trans_input *in)
{
    const struct trans_user *u = &t->cfg.user;
    switch (what) {
    case TELL_NOTHING:
        break;
    case TELL_RESPONSE:
        u->response(u->ctx, user, h, in->m, in->f);
        break;
    case TELL_TIMEOUT:
        u->failed(u->ctx, user, h, REASON_sip_timeout);
        break;
    case TELL_TRANSPORT:
        u->failed(u->ctx, user, h, REASON_sip_transport_failed);
        break;
    case TELL_ACKED:
        u->ended(u->ctx, user, h, true);
        break;
    case TELL_NOT_ACKED:
        u->ended(u->ctx, user, h, false);
        break;
    }
}

bool trans_step(struct trans_table *t, struct trans *x, enum trans_event ev,
                const struct trans_input *in)
{
    const struct machine *m = machine_of(x->kind);
    const struct edge *e = &m->edges[x->state][ev];
    if (e->next == ST_NONE) {
        counters_hit(t->cfg.counters, REASON_sip_event_order);
        return false;
    }
    struct handle h = pool_handle(&t->pool, x);
    uint64_t user = x->user;
    bool silent = x->flags & FLAG_SILENT;
    x->state = e->next;
    bool over = clock_set(t, x, e->clock, in->now);
    enum tell what = e->action ? m->actions[e->action].run(t, x, in) : TELL_NOTHING;
    if (e->next == ST_TERMINATED)
        trans_destroy(t, x); /* before the user hears of it: the handle is dead by then */
    if (!silent)
        tell_user(t, what, user, h, in);
    if (!over)
        return true;
    x = pool_get(&t->pool, h);
    if (x && x->state == e->next)
        (void)trans_step(t, x, EV_DEADLINE, in);
    return true;
}
