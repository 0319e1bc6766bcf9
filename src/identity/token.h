/* Bearer tokens (RFC 8898) and short-lived HMAC credentials in the policy: whose are believed. */
#ifndef IDENTITY_TOKEN_H
#define IDENTITY_TOKEN_H
#include "base/err.h"
#include "base/str.h"

struct token_policy {
    struct span issuer, audience; /* in the policy's text; empty: no bearer tokens */
    bool bearer;
};
void token_policy_default(struct token_policy *p);
MUST_CHECK enum err token_policy_valid(const struct token_policy *p);
#endif
