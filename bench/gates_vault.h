/* The vault of bench/gates.c: its floor and the call's have a struct of the same name. */
#ifndef BENCH_GATES_VAULT_H
#define BENCH_GATES_VAULT_H
#include "identity/ask.h"

#define PASSWORD "wonderland-77"
bool house_vault(const struct sipkey *nonce_key); /* false: no memory */
bool house_vault_user(struct str aor);
void house_vault_answer(const struct ask *q, struct now now, struct answer *ret_a);
void house_vault_free(void);
#endif
