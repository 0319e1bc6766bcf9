/* Fraud: caps of calls, attempts, minutes and money, and behaviour; the ledger is written when the
 * call is made (money.c), the gate only looks. */
#include "call/gate.h"

struct verdict gate_fraud(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)e;
    (void)r;
    (void)ask;
    return gate_pass();
}
