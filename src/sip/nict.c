/* Non-INVITE client transaction: RFC 3261 section 17.1.2, figure 6. */
#include "sip/machine.h"

enum act { A_NONE, A_SEND, A_AGAIN, A_TELL, A_FINAL, A_TIMEOUT, A_BROKEN };

#define C(next, action, clock)                                                                     \
    {                                                                                              \
        ST_##next, A_##action, CLK_##clock                                                         \
    }
static const struct edge EDGES[ST_COUNT][EV_COUNT] = {
    [ST_IDLE] = {[EV_SEND] = C(TRYING, SEND, EF)},
    [ST_TRYING] = {[EV_100] = C(PROCEEDING, TELL, KEEP),
                   [EV_1XX] = C(PROCEEDING, TELL, KEEP),
                   [EV_2XX] = C(COMPLETED, FINAL, K),
                   [EV_FAIL] = C(COMPLETED, FINAL, K),
                   [EV_RETRANSMIT] = C(TRYING, AGAIN, E_NEXT),
                   [EV_DEADLINE] = C(TERMINATED, TIMEOUT, STOP),
                   [EV_TRANSPORT] = C(TERMINATED, BROKEN, STOP)},
    [ST_PROCEEDING] = {[EV_100] = C(PROCEEDING, TELL, KEEP),
                       [EV_1XX] = C(PROCEEDING, TELL, KEEP),
                       [EV_2XX] = C(COMPLETED, FINAL, K),
                       [EV_FAIL] = C(COMPLETED, FINAL, K),
                       [EV_RETRANSMIT] = C(PROCEEDING, AGAIN, E_T2),
                       [EV_DEADLINE] = C(TERMINATED, TIMEOUT, STOP),
                       [EV_TRANSPORT] = C(TERMINATED, BROKEN, STOP)},
    [ST_COMPLETED] = {[EV_100] = C(COMPLETED, NONE, KEEP),
                      [EV_1XX] = C(COMPLETED, NONE, KEEP),
                      [EV_2XX] = C(COMPLETED, NONE, KEEP),
                      [EV_FAIL] = C(COMPLETED, NONE, KEEP),
                      [EV_DEADLINE] = C(TERMINATED, NONE, STOP),
                      [EV_TRANSPORT] = C(COMPLETED, NONE, KEEP)},
};
#undef C

static enum tell send_request(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    if (!flow_reliable(&x->flow))
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

static enum tell tell_response(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)t, (void)x, (void)in;
    return TELL_RESPONSE;
}

static enum tell final(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)in;
    trans_forget(t, x);
    return TELL_RESPONSE;
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
    [A_SEND] = {"send", send_request},
    [A_AGAIN] = {"send again", send_again},
    [A_TELL] = {"tell", tell_response},
    [A_FINAL] = {"tell, forget", final},
    [A_TIMEOUT] = {"tell timeout", tell_timeout},
    [A_BROKEN] = {"tell transport failed", tell_broken},
};
const struct machine MACHINE_NICT = {
    "non-INVITE client", "RFC 3261 figure 6", ST_IDLE, EDGES, ACTIONS, ARRAY_LEN(ACTIONS)};
