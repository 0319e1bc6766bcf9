/* The longest run of bytes that every match of an expression holds, without regard to case. Careful
 * rather than clever: only what stands outside of groups, classes and alternatives counts, so a
 * result is certain. */
#include "app/rules/build.h"

struct run {
    char *best;
    size_t n_best, cap, n;
    char now[256];
};

static void run_end(struct run *r)
{
    if (r->n > r->n_best) {
        r->n_best = MIN(r->n, r->cap);
        memcpy(r->best, r->now, r->n_best);
    }
    r->n = 0;
}

/* Behind the group or class that begins at i. 0: not understood. */
static size_t behind(struct str s, size_t i)
{
    int depth = 0;
    bool class = false;
    for (; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\') {
            if (i + 1 < s.n && (s.p[i + 1] == 'Q' || s.p[i + 1] == 'E'))
                return 0;
            i++;
        } else if (class) {
            if (c == '[' && i + 1 < s.n && strchr(":.=", s.p[i + 1]))
                return 0; /* [:alpha:] */
            class = c != ']';
        } else if (c == '[') {
            class = true;
            i += i + 1 < s.n && s.p[i + 1] == '^';
            i += i + 1 < s.n && s.p[i + 1] == ']'; /* a first ] is a byte of the class */
        } else if (c == '(') {
            depth++;
        } else if (c == ')') {
            depth--;
        }
        if (!class && depth == 0)
            return i + 1;
    }
    return 0;
}

/* An escape at i (the backslash): its byte, or -1 when it is none; *next behind it. */
static int escape(struct str s, size_t i, size_t *next)
{
    char c = i + 1 < s.n ? s.p[i + 1] : 0;
    *next = i + 2;
    if (c == 'x' && i + 3 < s.n && hex_nibble(s.p[i + 2]) >= 0 && hex_nibble(s.p[i + 3]) >= 0) {
        *next = i + 4;
        return hex_nibble(s.p[i + 2]) << 4 | hex_nibble(s.p[i + 3]);
    }
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || ascii_digit(c);
    if (c == 0 || (word && !strchr("dDsSwWbB", c)))
        *next = 0; /* \Q, \1, \p{..} and others change what follows */
    return word || c == 0 ? -1 : (uint8_t)c;
}

/* A quantifier at i: may what is before it be missing? *next behind it; i itself if there is none.
 */
static bool optional(struct str s, size_t i, size_t *next, bool *ret_repeated)
{
    *next = i;
    *ret_repeated = false;
    if (i >= s.n || !strchr("?*+{", s.p[i]))
        return false;
    bool none = s.p[i] == '?' || s.p[i] == '*';
    *ret_repeated = true;
    if (s.p[i] == '{') {
        size_t end = i + str_find(str_skip(s, i), '}');
        if (end >= s.n || i + 1 >= s.n || !ascii_digit(s.p[i + 1])) {
            *ret_repeated = false;
            *next = 0;
            return true;
        }
        none = s.p[i + 1] == '0';
        i = end;
    }
    i++;
    if (i < s.n && (s.p[i] == '?' || s.p[i] == '+'))
        i++;
    *next = i;
    return none;
}

size_t rule_literal_of(struct str s, char *ret, size_t cap)
{
    struct run r = {.best = ret, .cap = cap};
    for (size_t i = 0; i < s.n;) {
        int byte = -1;
        size_t next = i + 1;
        char c = s.p[i];
        bool repeated;
        if (c == '|' || c == ')' || c == 0)
            return 0;
        if (c == '(' && i + 2 < s.n && s.p[i + 1] == '?' && !strchr(":=!<>P", s.p[i + 2]))
            return 0; /* (?x) and what else changes the rest */
        if (c == '(' && i + 1 < s.n && s.p[i + 1] == '*')
            return 0;
        if (c == '(' || c == '[')
            next = behind(s, i);
        else if (c == '\\')
            byte = escape(s, i, &next);
        else if (!strchr("^$.", c))
            byte = (uint8_t)c;
        if (next == 0)
            return 0;
        bool gone = optional(s, next, &i, &repeated);
        if (i == 0)
            return 0;
        if (byte >= 0 && !gone && r.n < sizeof r.now)
            r.now[r.n++] = ascii_lower((char)byte);
        if (byte < 0 || gone || repeated || r.n == sizeof r.now)
            run_end(&r);
    }
    run_end(&r);
    return r.n_best;
}
