/* REFER and Replaces. Not served yet: refused by name. */
#include "call/core_int.h"

void transfer_request(struct core *c, struct incoming *in)
{
    reply_reason(c, in, REASON_right_transfer);
}

void transfer_outside(struct core *c, struct incoming *in)
{
    reply_reason(c, in, REASON_right_transfer);
}
