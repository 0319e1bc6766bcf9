/* Non-INVITE server transaction: RFC 3261 section 17.2.2, figure 8. */
#include "sip/machine.h"

enum act { A_NONE, A_GIVE, A_FINAL, A_AGAIN, A_END, A_BROKEN };

#define C(next, action, clock)                                                                     \
    {                                                                                              \
        ST_##next, A_##action, CLK_##clock                                                         \
    }
static const struct edge EDGES[ST_COUNT][EV_COUNT] = {
    [ST_TRYING] = {[EV_REQUEST] = C(TRYING, NONE, KEEP),
                   [EV_100] = C(PROCEEDING, GIVE, KEEP),
                   [EV_1XX] = C(PROCEEDING, GIVE, KEEP),
                   [EV_2XX] = C(COMPLETED, FINAL, J),
                   [EV_FAIL] = C(COMPLETED, FINAL, J),
                   [EV_TRANSPORT] = C(TRYING, NONE, KEEP)},
    [ST_PROCEEDING] = {[EV_REQUEST] = C(PROCEEDING, AGAIN, KEEP),
                       [EV_100] = C(PROCEEDING, GIVE, KEEP),
                       [EV_1XX] = C(PROCEEDING, GIVE, KEEP),
                       [EV_2XX] = C(COMPLETED, FINAL, J),
                       [EV_FAIL] = C(COMPLETED, FINAL, J),
                       [EV_TRANSPORT] = C(TERMINATED, BROKEN, STOP)},
    [ST_COMPLETED] = {[EV_REQUEST] = C(COMPLETED, AGAIN, KEEP),
                      [EV_DEADLINE] = C(TERMINATED, END, STOP),
                      [EV_TRANSPORT] = C(TERMINATED, BROKEN, STOP)},
};
#undef C

static enum tell give(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    trans_keep(t, x, in->bytes);
    trans_emit(t, x, in->bytes);
    return TELL_NOTHING;
}

static enum tell final(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    if (flow_reliable(&x->flow)) /* timer J is zero: nobody will ask again */
        trans_forget(t, x);
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

static enum tell end(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)t, (void)x, (void)in;
    return TELL_ACKED;
}

static enum tell broken(struct trans_table *t, struct trans *x, const struct trans_input *in)
{
    (void)t, (void)x, (void)in;
    return TELL_NOT_ACKED;
}

static const struct machine_action ACTIONS[] = {
    [A_GIVE] = {"send, keep", give},        [A_FINAL] = {"send, keep", final},
    [A_AGAIN] = {"send again", send_again}, [A_END] = {"tell ended", end},
    [A_BROKEN] = {"tell ended", broken},
};
const struct machine MACHINE_NIST = {
    "non-INVITE server", "RFC 3261 figure 8", ST_TRYING, EDGES, ACTIONS, ARRAY_LEN(ACTIONS)};
