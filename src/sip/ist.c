/* INVITE server transaction: RFC 3261 section 17.2.1, figure 7, with the Accepted state of RFC 6026
 * section 7.1: a 2xx is sent as often as the user gives it, the INVITE is absorbed until timer L,
 * and its ACK is the user's. A transport error changes no state (RFC 6026 on 17.2.4): timers end
 * it. */
#include "sip/machine.h"

enum act { A_NONE, A_GIVE, A_ACCEPT, A_PASS, A_AGAIN, A_ACKED, A_NOT_ACKED, A_END };

#define C(next, action, clock)                                                                     \
    {                                                                                              \
        ST_##next, A_##action, CLK_##clock                                                         \
    }
static const struct edge EDGES[ST_COUNT][EV_COUNT] = {
    [ST_PROCEEDING] = {[EV_REQUEST] = C(PROCEEDING, AGAIN, KEEP),
                       [EV_100] = C(PROCEEDING, GIVE, KEEP),
                       [EV_1XX] = C(PROCEEDING, GIVE, KEEP),
                       [EV_2XX] = C(ACCEPTED, ACCEPT, L),
                       [EV_FAIL] = C(COMPLETED, GIVE, GH),
                       [EV_TRANSPORT] = C(PROCEEDING, NONE, KEEP)},
    [ST_COMPLETED] = {[EV_REQUEST] = C(COMPLETED, AGAIN, KEEP),
                      [EV_ACK] = C(CONFIRMED, ACKED, I),
                      [EV_RETRANSMIT] = C(COMPLETED, AGAIN, G_NEXT),
                      [EV_DEADLINE] = C(TERMINATED, NOT_ACKED, STOP),
                      [EV_TRANSPORT] = C(COMPLETED, NONE, KEEP)},
    [ST_CONFIRMED] = {[EV_REQUEST] = C(CONFIRMED, NONE, KEEP),
                      [EV_ACK] = C(CONFIRMED, NONE, KEEP),
                      [EV_DEADLINE] = C(TERMINATED, NONE, STOP),
                      [EV_TRANSPORT] = C(CONFIRMED, NONE, KEEP)},
    [ST_ACCEPTED] = {[EV_REQUEST] = C(ACCEPTED, NONE, KEEP),
                     [EV_ACK] = C(ACCEPTED, NONE, KEEP),
                     [EV_2XX] = C(ACCEPTED, PASS, KEEP),
                     [EV_DEADLINE] = C(TERMINATED, END, STOP),
                     [EV_TRANSPORT] = C(ACCEPTED, NONE, KEEP)},
};
#undef C

static enum tell give(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    trans_keep(t, x, in->bytes);
    trans_emit(t, x, in->bytes);
    return TELL_NOTHING;
}

static enum tell accept_2xx(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    trans_forget(t, x);
    trans_emit(t, x, in->bytes);
    return TELL_NOTHING;
}

static enum tell pass_2xx(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    trans_emit(t, x, in->bytes);
    return TELL_NOTHING;
}

static enum tell send_again(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)in;
    trans_resend(t, x);
    return TELL_NOTHING;
}

static enum tell acked(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)in;
    trans_forget(t, x);
    return TELL_ACKED;
}

static enum tell not_acked(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)t, (void)x, (void)in;
    return TELL_NOT_ACKED;
}

static enum tell end(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)t, (void)x, (void)in;
    return TELL_ACKED;
}

static const struct machine_action ACTIONS[] = {
    [A_GIVE] = {"send, keep", give},   [A_ACCEPT] = {"send, forget", accept_2xx},
    [A_PASS] = {"send", pass_2xx},     [A_AGAIN] = {"send again", send_again},
    [A_ACKED] = {"tell acked", acked}, [A_NOT_ACKED] = {"tell not acked", not_acked},
    [A_END] = {"tell ended", end},
};
const struct machine MACHINE_IST = {"INVITE server", "RFC 3261 figure 7, RFC 6026",
                                    ST_PROCEEDING,   EDGES,
                                    ACTIONS,         ARRAY_LEN(ACTIONS)};
