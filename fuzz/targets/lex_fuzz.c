/* Drives a reader by a program taken from the input: the first byte says how many operations, each
 * two bytes, the rest is the text. Whatever the order, the reader stays inside its text, only moves
 * forward, and keeps its first error. */
#include "base/lex.h"

static struct str one_take(struct lex *l, uint8_t op, uint8_t arg)
{
    static const struct lex_set *const sets[] = {&LEX_DIGIT, &LEX_ALPHA, &LEX_ALNUM,
                                                 &LEX_HEX,   &LEX_WSP,   &LEX_TOKEN};
    size_t max = arg & 31;
    switch (op % 8) {
    case 0: {
        struct str s = lex_run(l, sets[arg % ARRAY_LEN(sets)], arg & 1, max);
        CHECK(s.n <= max);
        return s;
    }
    case 1: {
        struct str s = lex_until(l, (char)arg, max);
        CHECK(s.n <= max && str_find(s, (char)arg) == s.n);
        return s;
    }
    case 2:
        CHECK(lex_num(l, arg, 1 + max) <= arg);
        break;
    case 3:
        lex_sws(l, max);
        break;
    case 4: {
        struct str s = lex_quoted(l, max);
        CHECK(s.n <= max);
        return s;
    }
    case 5:
        (void)lex_have(l, (char)arg);
        break;
    case 6:
        (void)lex_have_istr(l, STR("sip"));
        break;
    default:
        lex_need(l, (char)arg);
    }
    return STR_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t ops = MIN((size_t)data[0], (size - 1) / 2);
    struct str text = str_of((const char *)data + 1 + 2 * ops, size - 1 - 2 * ops);
    struct lex l = lex_of(text);
    for (size_t i = 0; i < ops; i++) {
        const char *before = l.p;
        enum err was = l.err;
        struct str s = one_take(&l, data[1 + 2 * i], data[2 + 2 * i]);
        CHECK(l.p >= before && l.p <= l.end && l.end == text.p + text.n);
        CHECK(s.n == 0 || (s.p >= before && s.p + s.n <= l.p));
        CHECK(was == OK || (l.err == was && l.p == before));
        CHECK(l.err == OK || lex_end(&l));
    }
    return 0;
}
