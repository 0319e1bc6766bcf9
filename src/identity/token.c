#include "identity/token.h"

void token_policy_default(struct token_policy *p)
{
    memset(p, 0, sizeof *p);
}

enum err token_policy_valid(const struct token_policy *p)
{
    return !p->bearer || p->issuer.len ? OK : ERR_RANGE;
}
