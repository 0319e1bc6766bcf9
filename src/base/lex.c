#include "base/lex.h"

#define BIT(c)     (UINT64_C(1) << ((c)&63))
#define DIGITS     UINT64_C(0x03ff000000000000)
#define LETTERS    UINT64_C(0x07fffffe07fffffe)
#define TOKEN_LOW  (BIT('!') | BIT('%') | BIT('\'') | BIT('*') | BIT('+') | BIT('-') | BIT('.'))
#define TOKEN_HIGH (BIT('_') | BIT('`') | BIT('~'))

const struct lex_set LEX_DIGIT = {{DIGITS, 0, 0, 0}};
const struct lex_set LEX_ALPHA = {{0, LETTERS, 0, 0}};
const struct lex_set LEX_ALNUM = {{DIGITS, LETTERS, 0, 0}};
const struct lex_set LEX_HEX = {{DIGITS, UINT64_C(0x0000007e0000007e), 0, 0}};
const struct lex_set LEX_WSP = {{BIT(' ') | BIT('\t'), 0, 0, 0}};
const struct lex_set LEX_TOKEN = {{DIGITS | TOKEN_LOW, LETTERS | TOKEN_HIGH, 0, 0}};

struct lex lex_of(struct str s)
{
    const char *p = s.p ? s.p : ""; /* so that p and end can be compared and subtracted */
    return (struct lex){p, p + s.n, p, OK};
}

static size_t left(const struct lex *l)
{
    return l->err == OK ? (size_t)(l->end - l->p) : 0;
}

void lex_fail(struct lex *l, enum err e)
{
    if (l->err == OK)
        l->err = e;
}

char lex_peek(const struct lex *l)
{
    return left(l) ? *l->p : 0;
}

bool lex_have(struct lex *l, char c)
{
    if (!left(l) || *l->p != c)
        return false;
    l->p++;
    return true;
}

void lex_need(struct lex *l, char c)
{
    if (!lex_have(l, c))
        lex_fail(l, ERR_SYNTAX);
}

bool lex_have_str(struct lex *l, struct str s)
{
    if (l->err != OK || !str_starts(lex_rest(l), s))
        return false;
    l->p += s.n;
    return true;
}

bool lex_have_istr(struct lex *l, struct str s)
{
    if (l->err != OK || !str_istarts(lex_rest(l), s))
        return false;
    l->p += s.n;
    return true;
}

static struct str take(struct lex *l, size_t n)
{
    struct str s = str_of(l->p, n);
    l->p += n;
    return s;
}

struct str lex_run(struct lex *l, const struct lex_set *set, size_t min, size_t max)
{
    size_t room = left(l), n = 0;
    while (n < room && n <= max && lex_in(set, l->p[n]))
        n++;
    if (n > max)
        lex_fail(l, ERR_LIMIT);
    else if (n < min)
        lex_fail(l, ERR_SYNTAX);
    return l->err == OK ? take(l, n) : STR_NONE;
}

struct str lex_until(struct lex *l, char stop, size_t max)
{
    /* Looks no further than the limit, so that a long text costs no more than a legal one. */
    size_t room = left(l), n = str_find(str_head(lex_rest(l), MIN(max, room)), stop);
    if (n == max && n < room && l->p[n] != stop)
        lex_fail(l, ERR_LIMIT);
    return l->err == OK ? take(l, n) : STR_NONE;
}

uint64_t lex_num(struct lex *l, uint64_t max_value, size_t max_digits)
{
    struct str digits = lex_run(l, &LEX_DIGIT, 1, max_digits);
    uint64_t v = 0;
    if (l->err != OK)
        return 0;
    if (str_u64(digits, max_value, &v) != OK)
        lex_fail(l, ERR_LIMIT);
    return v;
}

/* Bytes of white space at p: 1, 3 for a fold with the SP or HT after it, 0 for anything else. */
static size_t lws_len(const char *p, size_t n)
{
    if (n >= 1 && lex_in(&LEX_WSP, p[0]))
        return 1;
    return n >= 3 && p[0] == '\r' && p[1] == '\n' && lex_in(&LEX_WSP, p[2]) ? 3 : 0;
}

void lex_sws(struct lex *l, size_t max)
{
    size_t n = 0, step;
    while ((step = lws_len(l->p + n, left(l) - MIN(n, left(l)))) != 0) {
        n += step;
        if (n > max) {
            lex_fail(l, ERR_LIMIT);
            return;
        }
    }
    l->p += n;
}

/* Length of one qdtext or quoted-pair (RFC 3261 section 25.1) at p, 0 if it is neither. */
static size_t quoted_len(const char *p, size_t n)
{
    uint8_t c = (uint8_t)p[0];
    if (c == '\\') {
        bool pair = n >= 2 && (uint8_t)p[1] < 0x80 && p[1] != '\r' && p[1] != '\n';
        return pair ? 2 : 0;
    }
    if (c > 0x20 && c != 0x7f)
        return 1;
    return lws_len(p, n);
}

struct str lex_quoted(struct lex *l, size_t max)
{
    lex_need(l, '"');
    size_t room = left(l), n = 0;
    while (n < room && n <= max && l->p[n] != '"') {
        size_t step = quoted_len(l->p + n, room - n);
        if (step == 0) {
            lex_fail(l, ERR_SYNTAX);
            return STR_NONE;
        }
        n += step;
    }
    if (n > max)
        lex_fail(l, ERR_LIMIT);
    else if (n >= room)
        lex_fail(l, ERR_SYNTAX);
    if (l->err != OK)
        return STR_NONE;
    struct str s = take(l, n);
    l->p++;
    return s;
}
