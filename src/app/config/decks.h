/* Rate decks: CSV files of carriers to the blob that engines look prices up in (guard/rates.h).
 * Reads files; used by monitor and CLI. A header row names the columns, in any order: prefix,
 * price (a minute), and, if there, setup, minimum, increment, from, until, description. Comma or
 * semicolon; quotes as in RFC 4180. Money is decimal and taken over exactly. */
#ifndef APP_CONFIG_DECKS_H
#define APP_CONFIG_DECKS_H
#include "app/config/config.h"
#include "guard/rates.h"

#define DECK_LINES_MAX 4000000u /* of all decks together */
#define DECK_BYTES_MAX (512u << 20)
#define DECK_PROBLEMS  100u

struct deck_problem {
    char file[CONFIG_PATH];
    uint32_t line; /* from 1; 0: the file as a whole */
    char text[160];
};
struct deck_report {
    uint32_t n, n_all; /* kept, and found */
    uint32_t rows;     /* that are sound */
    struct deck_problem at[DECK_PROBLEMS];
};
struct deck_rows { /* gives: deck_rows_free */
    struct rates_entry *v;
    size_t n, cap;
};
void deck_rows_free(struct deck_rows *r);
/* Appends the rows of a text; d: what columns that are not there mean. Every line that is wrong is
 * told; ERR_SYNTAX if any is; ERR_LIMIT, ERR_SYSTEM (memory). */
MUST_CHECK enum err deck_read_text(struct str text, const char *name, uint8_t deck,
                                   const struct config_deck *d, struct deck_rows *rows,
                                   struct deck_report *r);
/* The same of d->file. ERR_SYSTEM: it cannot be read (told in r). */
MUST_CHECK enum err deck_read(uint8_t deck, const struct config_deck *d, struct deck_rows *rows,
                              struct deck_report *r);
/* One blob of all decks of the configuration. gives: free(*ret_blob). On errors nothing is given
 * and r tells them; lines that are there twice, too. */
MUST_CHECK enum err decks_load(const struct config *c, void **ret_blob, size_t *ret_bytes,
                               struct deck_report *r);
MUST_CHECK enum err deck_blob(const struct deck_rows *rows, const struct config_deck *decks,
                              void **ret_blob, size_t *ret_bytes, struct deck_report *r);
/* "0.0123" to millionths, exactly: ERR_SYNTAX: no amount, or finer than a millionth; ERR_RANGE:
 * over a million. comma: the decimal sign is one. */
MUST_CHECK enum err deck_money(struct str s, bool comma, int64_t *ret_micro);
#endif
