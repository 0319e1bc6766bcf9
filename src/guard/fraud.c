#include "guard/fraud.h"

void fraud_policy_default(struct fraud_policy *p)
{
    memset(p, 0, sizeof *p);
}

enum err fraud_policy_valid(const struct fraud_policy *p)
{
    return p->off_signs >> SIGN_COUNT ? ERR_RANGE : OK;
}
