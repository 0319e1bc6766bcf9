/* Passwords for people to type into a phone: 24 characters out of 54 that cannot be mistaken for
 * each other, 138 bits. */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H
#include "base/rng.h"

#define PASSWORD_CHARS 24u
#define PASSWORD_MAX   256u
void password_make(struct rng *rng, char ret[PASSWORD_CHARS]); /* no terminator */
/* A password somebody chose: OK from 8 to PASSWORD_MAX printable bytes (UTF-8 allowed) with 5
 * different ones; ERR_RANGE too short or too monotonous, ERR_LIMIT too long, ERR_SYNTAX control
 * bytes. */
MUST_CHECK enum err password_fit(struct str s);
#endif
