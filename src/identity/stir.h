/* STIR/SHAKEN in the policy: who signs, what is believed. */
#ifndef IDENTITY_STIR_H
#define IDENTITY_STIR_H
#include "base/err.h"
#include "base/str.h"

struct stir_policy {
    bool sign, verify;
};
void stir_policy_default(struct stir_policy *p);
MUST_CHECK enum err stir_policy_valid(const struct stir_policy *p);
#endif
