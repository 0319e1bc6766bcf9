/* Text reader with sticky error and an explicit maximum on every take: a parser reads like its
 * grammar and checks lex.err once at its end. Borrows the text; takes are slices of it. */
#ifndef BASE_LEX_H
#define BASE_LEX_H
#include "base/str.h"

struct lex {
    const char *p, *end;
    const char *start;
    enum err err; /* OK, ERR_SYNTAX or ERR_LIMIT; sticky */
};

/* A set of bytes as a 256-bit map. */
struct lex_set {
    uint64_t bits[4];
};
static inline bool lex_in(const struct lex_set *s, char c)
{
    return (s->bits[(uint8_t)c >> 6] >> ((uint8_t)c & 63)) & 1;
}
extern const struct lex_set LEX_DIGIT, LEX_ALPHA, LEX_ALNUM, LEX_HEX, LEX_WSP /* SP HT */;
extern const struct lex_set LEX_TOKEN; /* RFC 3261 section 25.1 token */

struct lex lex_of(struct str s);
static inline bool lex_end(const struct lex *l)
{
    return l->err != OK || l->p == l->end;
}
static inline bool lex_ok(const struct lex *l)
{
    return l->err == OK;
}
char lex_peek(const struct lex *l);              /* 0 at the end */
bool lex_have(struct lex *l, char c);            /* takes c if it is next */
void lex_need(struct lex *l, char c);            /* c or ERR_SYNTAX */
bool lex_have_str(struct lex *l, struct str s);  /* exact bytes */
bool lex_have_istr(struct lex *l, struct str s); /* without case */
/* At least min, at most max bytes of the set; a further byte of the set past max is ERR_LIMIT. */
struct str lex_run(struct lex *l, const struct lex_set *set, size_t min, size_t max);
struct str lex_until(struct lex *l, char stop,
                     size_t max); /* stop is not taken; to the end if absent */
uint64_t lex_num(struct lex *l, uint64_t max_value, size_t max_digits); /* 1*DIGIT, else error */
void lex_fail(struct lex *l, enum err e);                               /* first error stays */
/* SP, HT and folds (CRLF followed by SP or HT): RFC 3261 LWS/SWS. At most max bytes. */
void lex_sws(struct lex *l, size_t max);
/* Quoted string with RFC 3261 escapes: yields what is between the quotes, escapes kept. */
struct str lex_quoted(struct lex *l, size_t max);
static inline struct str lex_rest(const struct lex *l)
{
    return str_of(l->p, l->err == OK ? (size_t)(l->end - l->p) : 0);
}
#endif
