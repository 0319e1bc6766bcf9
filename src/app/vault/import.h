/* Users in bulk from lines USER,PASSWORD. */
#ifndef APP_VAULT_IMPORT_H
#define APP_VAULT_IMPORT_H
#include "app/vault/users.h"
#include <stdio.h>

#define IMPORT_LINE_MAX 512u
struct import_job {
    struct users *users;
    const char *domain; /* of users without @; "" = none */
    const char *role;   /* NULL: user */
    struct wall now;
    bool any_password, progress;
    /* told back */
    uint32_t line, added, replaced;
    const char *why;
};
/* Empty lines and lines that begin with # are passed over; a password may hold commas. On an error
 * the table in memory is partly changed: do not save it. */
MUST_CHECK enum err import_csv(struct import_job *j, FILE *f);
#endif
