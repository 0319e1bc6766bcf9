/* Users in bulk, from lines and from other systems' files. Only digests are kept. */
#ifndef APP_VAULT_IMPORT_H
#define APP_VAULT_IMPORT_H
#include "app/vault/passwords.h"
#include "base/rng.h"
#include <stdio.h>

#define IMPORT_LINE_MAX 512u
enum import_format {
    IMPORT_CSV,      /* USER,PASSWORD; a password may hold commas */
    IMPORT_ASTERISK, /* pjsip.conf: sections type=auth; sip.conf: sections with secret */
    IMPORT_KAMAILIO, /* subscriber: USER,DOMAIN,PASSWORD,HA1 (by tabs or commas; HA1 is MD5) */
};
struct import_job {
    struct users *users;
    const char *domain; /* of users without @; "" = none */
    const char *role;   /* NULL: user */
    struct wall now;
    bool any_password, progress;
    uint8_t format;                     /* enum import_format */
    const struct password_rules *rules; /* NULL: 8 characters, 5 different ones */
    struct rng *fresh; /* accounts whose password is not fit, or is no more than a hash, get a new
                          one, printed once; NULL: they are errors */
    FILE *tell;        /* warnings, one a line, never with a password; NULL: only why */
    /* told back */
    uint32_t line, added, replaced, renewed, bad; /* line: of the first error */
    const char *why;
};
bool import_format(const char *word, uint8_t *ret_format); /* csv, asterisk, kamailio */
/* Empty lines and lines that begin with # are passed over. Every bad line is told; then an error
 * comes back, the table in memory is partly changed: do not save it. */
MUST_CHECK enum err import_file(struct import_job *j, FILE *f);
MUST_CHECK enum err import_csv(struct import_job *j, FILE *f);
#endif
