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
