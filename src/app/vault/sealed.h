/* The form of the vault's files: a first line that says what it is, one record a line with fields
 * between tabs, and a last line with the number of records and the SHA-256 of everything before it.
 * Half a file, a line that somebody edited and a file of another kind are told apart from a good
 * one before a record is believed. Pure; memory is the caller's. */
#ifndef APP_VAULT_SEALED_H
#define APP_VAULT_SEALED_H
#include "base/out.h"

#define SEALED_FIELDS_MAX 16u
#define SEALED_EXTRA      256u                    /* bytes that head and tail of a file take */
void sealed_head(struct out *o, struct str kind); /* "users", "peers" */
MUST_CHECK enum err sealed_tail(struct out *o, uint32_t count);

struct sealed {
    struct str rest;
    uint32_t count, line; /* records promised; number of the line last read, from 1 */
    const char *why;      /* after an error: what is wrong, static text */
};
/* ERR_SYNTAX with s->why and s->line; so for a zero byte, which would end a name early. Borrows
 * file. */
MUST_CHECK enum err sealed_open(struct sealed *s, struct str file, struct str kind);
size_t sealed_width(const struct sealed *s); /* fields of the next record; 0: there is none */
/* Next record cut into exactly n fields. ERR_NOT_FOUND after the last. */
MUST_CHECK enum err sealed_next(struct sealed *s, struct str *ret_fields, size_t n);
#endif
