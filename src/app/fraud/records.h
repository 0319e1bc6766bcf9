/* Call records as `ringwall cdr export` writes them (docs/cdr.md): CSV with a head that names the
 * columns, in any order; unknown ones are passed over, missing ones are empty. */
#ifndef APP_FRAUD_RECORDS_H
#define APP_FRAUD_RECORDS_H
#include "base/err.h"
#include "base/str.h"
#include <stdio.h>

struct record {                               /* texts borrow from the text that was read */
    int64_t start_us, answer_us, price_micro; /* 0: not said; answer: never */
    uint32_t seconds, line;
    uint16_t code;
    uint8_t label; /* 0: not said, 1: honest, 2: fraud */
    bool priced;   /* price_micro was there */
    struct str user, role, to, to_e164, kind, trunk, source_country, transferred_by;
};
struct records { /* gives: records_free */
    struct record *v;
    size_t n, cap;
    uint64_t bad;                  /* lines that could not be read */
    uint32_t bad_line, bad_column; /* of the first of them; columns from 1, 0: the whole line */
    const char *bad_why;
    bool labels;
};
/* text is changed (quotes are taken out of it) and borrowed. ERR_SYNTAX: no head with the columns
 * start and to or to_e164; ERR_SYSTEM: no memory. Sorted by start. progress: each 100 000 lines;
 * NULL: none. */
MUST_CHECK enum err records_read(char *text, size_t n, struct records *ret_r, FILE *progress);
void records_free(struct records *r);
#endif
