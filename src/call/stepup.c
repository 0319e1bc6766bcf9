/* One-time codes by telephone: a call that Ringwall answers itself, to approve a device or to let a
 * risky call out. */
#include "call/core_int.h"

void stepup_begin(struct core *c, struct incoming *in)
{
    reply_reason(c, in, REASON_right_denied);
}

void stepup_answer(struct core *c, struct handle leg, const struct answer *a)
{
    (void)c;
    (void)leg;
    (void)a;
}

bool stepup_end(struct call *k)
{
    (void)k;
    return false;
}
