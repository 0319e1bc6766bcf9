#include "gates_vault.h"
#include "app/vault/core.h"

static struct vault *v;

bool house_vault(const struct sipkey *nonce_key)
{
    static const uint8_t seed[32] = {7};
    return vault_new(nonce_key, seed, &v) == OK;
}

bool house_vault_user(struct str aor)
{
    struct user *x, *old;
    return user_new(aor, &x) == OK && user_password(x, STR(PASSWORD)) == OK &&
           users_put(&v->users, x, &old) == OK;
}

void house_vault_answer(const struct ask *q, struct now now, struct answer *ret_a)
{
    struct vault_env env = {.now = now};
    vault_answer(v, &env, q, ret_a);
}

void house_vault_free(void)
{
    vault_free(v);
    v = NULL;
}
