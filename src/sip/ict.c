/* INVITE client transaction: RFC 3261 section 17.1.1, figure 5, with the Accepted state of RFC 6026
 * section 7.2 (every 2xx goes to the user until timer M), timer C of section 16.6 and the wait
 * after a CANCEL of section 9.1. */
#include "sip/machine.h"

enum act {
    A_NONE,
    A_SEND,
    A_AGAIN,
    A_SHRINK,
    A_TELL,
    A_ACCEPT,
    A_ACK,
    A_REACK,
    A_NOTE,
    A_CANCEL,
    A_TIMEOUT,
    A_BROKEN
};

#define C(next, action, clock)                                                                     \
    {                                                                                              \
        ST_##next, A_##action, CLK_##clock                                                         \
    }
static const struct edge EDGES[ST_COUNT][EV_COUNT] = {
    [ST_IDLE] = {[EV_SEND] = C(CALLING, SEND, AB)},
    [ST_CALLING] = {[EV_100] = C(PROCEEDING, SHRINK, C),
                    [EV_1XX] = C(PROCEEDING, SHRINK, C),
                    [EV_2XX] = C(ACCEPTED, ACCEPT, M),
                    [EV_FAIL] = C(COMPLETED, ACK, D),
                    [EV_CANCEL] = C(CALLING, NOTE, KEEP),
                    [EV_RETRANSMIT] = C(CALLING, AGAIN, A_NEXT),
                    [EV_DEADLINE] = C(TERMINATED, TIMEOUT, STOP),
                    [EV_TRANSPORT] = C(TERMINATED, BROKEN, STOP)},
    [ST_PROCEEDING] = {[EV_100] = C(PROCEEDING, TELL, KEEP),
                       [EV_1XX] = C(PROCEEDING, TELL, C),
                       [EV_2XX] = C(ACCEPTED, ACCEPT, M),
                       [EV_FAIL] = C(COMPLETED, ACK, D),
                       [EV_CANCEL] = C(CANCELLING, CANCEL, CANCEL),
                       [EV_DEADLINE] = C(CANCELLING, CANCEL, CANCEL),
                       [EV_TRANSPORT] = C(TERMINATED, BROKEN, STOP)},
    [ST_CANCELLING] = {[EV_100] = C(CANCELLING, TELL, KEEP),
                       [EV_1XX] = C(CANCELLING, TELL, KEEP),
                       [EV_2XX] = C(ACCEPTED, ACCEPT, M),
                       [EV_FAIL] = C(COMPLETED, ACK, D),
                       [EV_DEADLINE] = C(TERMINATED, TIMEOUT, STOP),
                       [EV_TRANSPORT] = C(TERMINATED, BROKEN, STOP)},
    [ST_COMPLETED] = {[EV_FAIL] = C(COMPLETED, REACK, KEEP),
                      [EV_DEADLINE] = C(TERMINATED, NONE, STOP),
                      [EV_TRANSPORT] = C(TERMINATED, NONE, STOP)},
    [ST_ACCEPTED] = {[EV_2XX] = C(ACCEPTED, TELL, KEEP),
                     [EV_DEADLINE] = C(TERMINATED, NONE, STOP),
                     [EV_TRANSPORT] = C(ACCEPTED, NONE, KEEP)},
};
#undef C

/* What an ACK or a CANCEL needs is a third of an INVITE with its offer. */
static void keep_head(struct trans_table *t, struct trans *x, struct str request)
{
    struct out o = out_of(t->work, sizeof t->work);
    hop_request(&o, request, STR_NONE, STR_NONE, STR_NONE);
    if (EXPECT(!o.full))
        trans_keep(t, x, out_str(&o));
}

static enum tell send_invite(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    if (flow_reliable(&x->flow))
        keep_head(t, x, in->bytes);
    else
        trans_keep(t, x, in->bytes);
    trans_emit(t, x, in->bytes);
    return TELL_NOTHING;
}

static enum tell send_again(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)in;
    trans_resend(t, x);
    return TELL_NOTHING;
}

static enum tell shrink(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)in;
    if (!flow_reliable(&x->flow) && x->copy)
        keep_head(t, x, trans_copy(t, x));
    return TELL_RESPONSE;
}

static enum tell tell_response(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)t, (void)x, (void)in;
    return TELL_RESPONSE;
}

static enum tell accept_2xx(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)in;
    trans_forget(t, x);
    return TELL_RESPONSE;
}

static enum tell ack(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    if (!x->copy) /* there was no memory to keep the request */
        return TELL_RESPONSE;
    struct out o = out_of(t->work, sizeof t->work);
    hop_request(&o, trans_copy(t, x), STR("ACK"), sip_text(in->m, in->m->to_tag), STR_NONE);
    trans_forget(t, x);
    if (!EXPECT(!o.full))
        return TELL_RESPONSE;
    if (!flow_reliable(&x->flow))
        trans_keep(t, x, out_str(&o));
    trans_emit(t, x, out_str(&o));
    return TELL_RESPONSE;
}

static enum tell note_cancel(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    if (x->flags & FLAG_CANCEL_WAITS)
        return TELL_NOTHING;
    x->flags |= FLAG_CANCEL_WAITS;
    if (in->reason.n > 0 && in->reason.n <= SIP_MSG_MAX &&
        copy_keep(&t->copies, in->reason, &x->client.reason) == OK)
        x->client.reason_len = (uint16_t)in->reason.n;
    return TELL_NOTHING;
}

static enum tell cancel(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    x->flags &= (uint8_t)~FLAG_CANCEL_WAITS;
    x->flags |= FLAG_CANCELLED;
    trans_cancel_start(t, x, in);
    return TELL_NOTHING;
}

static enum tell tell_timeout(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)t, (void)x, (void)in;
    return TELL_TIMEOUT;
}

static enum tell tell_broken(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)t, (void)x, (void)in;
    return TELL_TRANSPORT;
}

static const struct machine_action ACTIONS[] = {
    [A_SEND] = {"send", send_invite},
    [A_AGAIN] = {"send again", send_again},
    [A_SHRINK] = {"tell, shrink", shrink},
    [A_TELL] = {"tell", tell_response},
    [A_ACCEPT] = {"tell, forget", accept_2xx},
    [A_ACK] = {"ACK, tell", ack},
    [A_REACK] = {"ACK again", send_again},
    [A_NOTE] = {"remember", note_cancel},
    [A_CANCEL] = {"CANCEL", cancel},
    [A_TIMEOUT] = {"tell timeout", tell_timeout},
    [A_BROKEN] = {"tell transport failed", tell_broken},
};
const struct machine MACHINE_ICT = {
    "INVITE client", "RFC 3261 figure 5, RFC 6026", ST_IDLE, EDGES, ACTIONS, ARRAY_LEN(ACTIONS)};
