/* The timers of RFC 3261 table 4 and RFC 6026.
 *
 * Waits of a fixed length without retransmissions stand in a queue a length, in the order in which
 * they end; only the first of a queue is in the wheel. So hundreds of thousands of lingering
 * records are never dealt out by the wheel, which would come in bursts of tens of milliseconds.
 * Retransmitting states are few and short, and stand in the wheel. */
#include "sip/machine.h"

#define T1   TRANS_T1_MS
#define T2   TRANS_T2_MS
#define T4   TRANS_T4_MS
#define LONG (64 * T1)

enum clock_kind { KIND_NONE, KIND_STOP, KIND_START, KIND_NEXT };
/* On reliable transports nothing is retransmitted, and where it says so the wait for what may still
 * be under way falls away. */
static const struct clock_rule {
    const char *name;
    uint8_t kind;
    bool zero_if_reliable;
    uint16_t first_ms; /* START: first retransmission, 0 = none; NEXT: fixed, 0 = doubling */
    uint16_t cap_ms;   /* NEXT, doubling */
    uint32_t end_ms;   /* START */
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

/* What timer.kind says about a node. */
enum { IN_WHEEL, HEAD_TICK, IN_QUEUE };

void clock_init(struct trans_table *t)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        struct queue *q = &t->queues[i];
        q->ends.next = q->ends.prev = &q->ends;
        q->tick.kind = HEAD_TICK;
        q->tick.owner = t->cfg.timer_owner;
    }
}

static struct queue *queue_of(struct trans_table *t, uint32_t end_ms)
{
    return &t->queues[end_ms == LONG ? 0 : end_ms == T4 ? 1 : 2];
}

/* The wheel knows of the first only. A first one that ended early leaves the tick to fire too soon,
 * which finds nothing due and sets itself again. */
static void queue_watch(struct trans_table *t, struct queue *q)
{
    if (q->ends.next == &q->ends)
        timer_stop(t->cfg.wheel, &q->tick);
    else if (!timer_armed(&q->tick))
        timer_arm(t->cfg.wheel, &q->tick, q->ends.next->due);
}

static void queue_put(struct trans_table *t, struct queue *q, struct timer *n, struct instant due)
{
    struct timer *last = q->ends.prev;
    if (last != &q->ends && instant_before(due, last->due))
        due = last->due; /* the caller's clock went back: late rather than out of order */
    n->due = due;
    n->kind = IN_QUEUE;
    n->prev = last;
    n->next = &q->ends;
    last->next = n;
    q->ends.prev = n;
    queue_watch(t, q);
}

static void queue_take(struct timer *n)
{
    n->next->prev = n->prev;
    n->prev->next = n->next;
    n->next = n->prev = NULL;
}

void clock_stop(struct trans_table *t, struct trans *x)
{
    struct timer *n = &x->timer;
    if (!timer_armed(n))
        return;
    if (n->kind != IN_QUEUE) {
        timer_stop(t->cfg.wheel, n);
        return;
    }
    bool alone = n->next == n->prev; /* both are the queue's ends */
    struct timer *ends = n->next;
    queue_take(n);
    if (alone)
        queue_watch(t, (struct queue *)(void *)ends);
}

void clock_arm(struct trans_table *t, struct trans *x, struct instant due)
{
    clock_stop(t, x);
    x->timer.kind = IN_WHEEL;
    timer_arm(t->cfg.wheel, &x->timer, due);
}

static void start(struct trans_table *t, struct trans *x, const struct clock_rule *r,
                  struct instant now)
{
    x->deadline = instant_add(now, DUR_MS(r->end_ms));
    x->interval_ms = flow_reliable(&x->flow) ? 0 : r->first_ms;
    if (x->interval_ms) {
        clock_arm(t, x, instant_add(now, DUR_MS(x->interval_ms)));
    } else {
        clock_stop(t, x);
        queue_put(t, queue_of(t, r->end_ms), &x->timer, x->deadline);
    }
}

static void again(struct trans_table *t, struct trans *x, const struct clock_rule *r,
                  struct instant now)
{
    unsigned next = r->first_ms ? r->first_ms : MIN(2u * x->interval_ms, (unsigned)r->cap_ms);
    x->interval_ms = flow_reliable(&x->flow) ? 0 : (uint16_t)next;
    struct instant due = instant_add(now, DUR_MS(x->interval_ms));
    bool end = !x->interval_ms || instant_before(x->deadline, due);
    clock_arm(t, x, end ? x->deadline : due);
}

bool clock_set(struct trans_table *t, struct trans *x, enum trans_clock c, struct instant now)
{
    const struct clock_rule *r = &RULES[c];
    /* A cancelled INVITE stays on streams, too: the response to the CANCEL finds its transaction by
     * the INVITE's branch, and may come after the 487. */
    bool zero = r->zero_if_reliable && flow_reliable(&x->flow) && !(x->flags & FLAG_CANCELLED);
    if (r->kind == KIND_STOP || zero) {
        clock_stop(t, x);
        x->interval_ms = 0;
        return zero;
    }
    if (r->kind == KIND_START)
        start(t, x, r, now);
    else if (r->kind == KIND_NEXT)
        again(t, x, r, now);
    return false;
}

static void queue_drain(struct trans_table *t, struct queue *q, struct instant now)
{
    const struct trans_input in = {.now = now};
    for (;;) {
        struct timer *n = q->ends.next;
        if (n == &q->ends || instant_before(now, n->due))
            break;
        /* The record after it has not been touched for seconds. */
        const char *ahead = (const char *)n->next;
        __builtin_prefetch(ahead);
        __builtin_prefetch(ahead + 64);
        __builtin_prefetch(ahead + 128);
        queue_take(n);
        (void)trans_step(t, (struct trans *)(void *)n, EV_DEADLINE, &in);
    }
    queue_watch(t, q);
}

void trans_timer(struct trans_table *t, struct timer *fired, struct instant now)
{
    if (fired->kind == HEAD_TICK) {
        for (unsigned i = 0; i < QUEUES; i++)
            if (fired == &t->queues[i].tick)
                queue_drain(t, &t->queues[i], now);
        return;
    }
    struct trans *x = (struct trans *)(void *)fired;
    bool end = !x->interval_ms || !instant_before(now, x->deadline);
    (void)trans_step(t, x, end ? EV_DEADLINE : EV_RETRANSMIT, &(struct trans_input){.now = now});
}
