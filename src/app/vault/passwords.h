/* What a password must be that somebody chose or brings along. */
#ifndef APP_VAULT_PASSWORDS_H
#define APP_VAULT_PASSWORDS_H
#include "app/vault/users.h"

#define PASSWORD_MIN_DEFAULT 10u
#define PASSWORD_WHY         200u
struct password_rules {
    unsigned min;  /* characters; 0: PASSWORD_MIN_DEFAULT */
    int breach_fd; /* sorted lines "SHA1HEX[:COUNT]", or plain words in any order; -1: none */
};
/* false: why says what is wrong and what helps. About 20 us with a list of any length (SHA-1 lines
 * are searched by halves; a plain list is read whole). */
bool password_good(const struct password_rules *r, struct str name, struct str domain,
                   struct str password, char why[PASSWORD_WHY]);
/* A file of the vault's folder. ERR_SYNTAX: no plain name; ERR_NOT_FOUND. */
MUST_CHECK enum err password_list_open(const char *folder, struct str file, int *ret_fd);
#endif
