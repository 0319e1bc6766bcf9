/* Answers that come late, and answers that do not come at all. Both kinds keep their transaction
 * meanwhile, so that the copies that UDP senders repeat are absorbed: they neither fill the pit nor
 * count as so many more attempts. */
#include "call/core_int.h"

static size_t round64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

size_t tarpit_bytes(void)
{
    return round64(TARPIT_SLOTS * sizeof(struct tarpit_slot)) +
           round64(HUSH_SLOTS * sizeof(struct hush_slot));
}

void tarpit_init(struct shield *s, void *mem)
{
    s->tarpit = mem;
    s->hush = (void *)((uint8_t *)mem + round64(TARPIT_SLOTS * sizeof(struct tarpit_slot)));
    s->timer.owner = OWNER_SHIELD;
}

static void timer_set(struct core *c)
{
    struct shield *s = &c->shield;
    struct instant due = {INT64_MAX};
    if (s->tarpit_n)
        due = s->tarpit[s->tarpit_head].due;
    if (s->hush_n && instant_before(s->hush[s->hush_head].due, due))
        due = s->hush[s->hush_head].due;
    if (due.us == INT64_MAX)
        return;
    timer_stop(&c->wheel, &s->timer);
    timer_arm(&c->wheel, &s->timer, due);
}

/* The transaction of the request at hand; opened if there is room for one that nobody needs. */
static struct handle transaction(struct core *c, const struct request *r, struct handle t)
{
    if (handle_is(t) || r->m->method == SIP_ACK || room_for(c, r) != REASON_NONE)
        return t;
    return trans_server(c->trans, r->m, &r->flow, 0, c->now.mono);
}

bool shield_holds(struct core *c, const struct request *r, const struct flow *f, struct handle t,
                  unsigned code, struct str bytes)
{
    struct shield *s = &c->shield;
    if (r->treat != TREAT_TARPIT || r->emergency || code < 200)
        return false;
    if (s->tarpit_n == TARPIT_SLOTS || bytes.n > TARPIT_BYTES) {
        core_count(c, REASON_shield_tarpit_full);
        shield_hush(c, r, t);
        return true;
    }
    struct tarpit_slot *x = &s->tarpit[(s->tarpit_head + s->tarpit_n++) % TARPIT_SLOTS];
    x->due = instant_add(c->now.mono, DUR_MS(c->policy->guard.tarpit_ms));
    x->flow = *f;
    x->t = transaction(c, r, t);
    x->code = (uint16_t)code;
    x->n = (uint16_t)bytes.n;
    memcpy(x->bytes, bytes.p, bytes.n);
    timer_set(c);
    return true;
}

void shield_hush(struct core *c, const struct request *r, struct handle t)
{
    struct shield *s = &c->shield;
    t = r->flow.proto == PROTO_UDP ? transaction(c, r, t) : t;
    if (!handle_is(t))
        return;
    if (r->flow.proto != PROTO_UDP) {
        trans_drop(c->trans, t);
        return;
    }
    if (s->hush_n == HUSH_SLOTS) { /* the oldest has waited longest */
        trans_drop(c->trans, s->hush[s->hush_head].t);
        s->hush_head = (s->hush_head + 1) % HUSH_SLOTS;
        s->hush_n--;
    }
    s->hush[(s->hush_head + s->hush_n++) % HUSH_SLOTS] =
        (struct hush_slot){instant_add(c->now.mono, DUR_MS(HUSH_MS)), t};
    trans_set_user(c->trans, t, 0); /* nobody waits for it: a CANCEL ends nothing */
    timer_set(c);
}

void shield_timer(struct core *c)
{
    struct shield *s = &c->shield;
    while (s->tarpit_n && !instant_before(c->now.mono, s->tarpit[s->tarpit_head].due)) {
        struct tarpit_slot *x = &s->tarpit[s->tarpit_head];
        struct str bytes = str_of(x->bytes, x->n);
        if (!handle_is(x->t))
            core_send(c, &x->flow, bytes, HANDLE_NONE);
        else if (trans_respond(c->trans, x->t, x->code, bytes, c->now.mono) != OK)
            core_count(c, REASON_sip_no_transaction);
        s->tarpit_head = (s->tarpit_head + 1) % TARPIT_SLOTS;
        s->tarpit_n--;
    }
    while (s->hush_n && !instant_before(c->now.mono, s->hush[s->hush_head].due)) {
        trans_drop(c->trans, s->hush[s->hush_head].t);
        s->hush_head = (s->hush_head + 1) % HUSH_SLOTS;
        s->hush_n--;
    }
    timer_set(c);
}
