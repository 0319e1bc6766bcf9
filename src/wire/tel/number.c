#include "wire/tel/number.h"
#include "base/cc.h"

struct numbers_country {
    uint16_t iso, code, begin; /* begin: state at which its short numbers begin */
    char national[4], international[8];
};
#include "wire/tel/numbers_table.h"

/* What the table's labels say; the order is that of tools/number_table.py. */
enum label {
    LABEL_NONE,
    LABEL_LAND,
    LABEL_MOBILE,
    LABEL_FREE,
    LABEL_SHARED,
    LABEL_PREMIUM,
    LABEL_HELP
};
struct found {
    enum label label;
    const struct numbers_country *where; /* NULL: none */
};
#define E164_DIGITS 18u
#define RAW_DIGITS  24u

static const struct str names[CLASS_COUNT] = {
    [CLASS_UNKNOWN] = STR("unknown"),         [CLASS_INTERNAL] = STR("internal"),
    [CLASS_EMERGENCY] = STR("emergency"),     [CLASS_LOCAL] = STR("local"),
    [CLASS_NATIONAL] = STR("national"),       [CLASS_MOBILE] = STR("mobile"),
    [CLASS_TOLL_FREE] = STR("toll-free"),     [CLASS_INTERNATIONAL] = STR("international"),
    [CLASS_SHARED_COST] = STR("shared-cost"), [CLASS_PREMIUM] = STR("premium"),
    [CLASS_SATELLITE] = STR("satellite"),
};

struct str number_class_name(enum number_class c)
{
    return names[(unsigned)c < CLASS_COUNT ? c : CLASS_UNKNOWN];
}

bool number_class_parse(struct str s, enum number_class *ret_c)
{
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        if (str_eq(s, names[i])) {
            *ret_c = (enum number_class)i;
            return true;
        }
    return false;
}

struct str number_source(void)
{
    return STR(NUMBERS_SOURCE);
}

static const struct numbers_country *country_of(uint16_t iso)
{
    for (size_t lo = 0, hi = ARRAY_LEN(numbers_countries); lo < hi;) {
        size_t mid = (lo + hi) / 2;
        const struct numbers_country *c = &numbers_countries[mid];
        if (c->iso == iso)
            return c;
        if (c->iso < iso)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

uint16_t country_parse(struct str two)
{
    if (two.n != 2)
        return 0;
    unsigned a = (unsigned char)ascii_lower(two.p[0]), b = (unsigned char)ascii_lower(two.p[1]);
    if (a < 'a' || a > 'z' || b < 'a' || b > 'z')
        return 0;
    uint16_t iso = (uint16_t)((a - 32) << 8 | (b - 32));
    return country_of(iso) ? iso : 0;
}

bool number_plan_default(uint16_t country, struct dial_plan *ret_p)
{
    const struct numbers_country *c = country_of(country);
    if (!c)
        return false;
    *ret_p = (struct dial_plan){.country = country,
                                .national = str_c(c->national),
                                .international = str_c(c->international)};
    return true;
}

static struct found label_at(unsigned state)
{
    unsigned label = numbers_label[state], where = label >> 3;
    return (struct found){(enum label)(label & 7), where ? &numbers_countries[where - 1] : NULL};
}

/* What goes on behind a whole dear number is still that number: exchanges connect at its last digit
 * and ignore the rest. */
static struct found walk(unsigned state, struct str digits)
{
    struct found dear = {LABEL_NONE, NULL};
    for (size_t i = 0; i < digits.n; i++) {
        state = numbers_next[state][digits.p[i] - '0'];
        if (!state)
            return dear;
        struct found f = label_at(state);
        if (f.label == LABEL_PREMIUM || f.label == LABEL_SHARED)
            dear = f;
    }
    struct found end = label_at(state);
    return end.label != LABEL_NONE ? end : dear;
}

/* The country whose code begins that number: the first, where several share it. */
static const struct numbers_country *owner(struct str digits)
{
    unsigned code = 0;
    for (size_t i = 0; i < digits.n && i < 3; i++) {
        code = code * 10 + (unsigned)(digits.p[i] - '0');
        if (numbers_codes[code])
            return &numbers_countries[numbers_codes[code] - 1];
    }
    return NULL;
}

/* Networks that are no country, whole: new ranges of them open every year. */
static enum number_class global(struct str digits)
{
    static const struct str sky[] = {STR("87"), STR("881"), STR("882"), STR("883"), STR("888")};
    for (size_t i = 0; i < ARRAY_LEN(sky); i++)
        if (str_starts(digits, sky[i]))
            return CLASS_SATELLITE;
    return str_starts(digits, STR("979")) ? CLASS_PREMIUM : CLASS_UNKNOWN;
}

static enum number_class seen_from(uint16_t from, struct found f)
{
    const struct numbers_country *here = country_of(from);
    bool home = f.where && f.where == here;
    switch (f.label) {
    case LABEL_LAND:
        return home ? CLASS_NATIONAL : CLASS_INTERNATIONAL;
    case LABEL_MOBILE:
        return home ? CLASS_MOBILE : CLASS_INTERNATIONAL;
    case LABEL_FREE:
        return !f.where || (here && here->code == f.where->code) ? CLASS_TOLL_FREE
                                                                 : CLASS_INTERNATIONAL;
    case LABEL_SHARED:
        return CLASS_SHARED_COST;
    case LABEL_PREMIUM:
        return CLASS_PREMIUM;
    case LABEL_NONE:
    case LABEL_HELP:
        break;
    }
    return CLASS_UNKNOWN;
}

enum number_class number_classify(uint16_t from, struct str e164, uint16_t *ret_country)
{
    struct str digits = str_starts(e164, STR("+")) ? str_skip(e164, 1) : e164;
    *ret_country = 0;
    if (digits.n == 0 || digits.n > E164_DIGITS)
        return CLASS_UNKNOWN;
    for (size_t i = 0; i < digits.n; i++)
        if (!ascii_digit(digits.p[i]))
            return CLASS_UNKNOWN;
    enum number_class sky = global(digits);
    if (sky != CLASS_UNKNOWN)
        return sky;
    struct found f = walk(NUMBERS_ROOT, digits);
    if (!f.where && f.label == LABEL_NONE)
        f.where = owner(digits);
    *ret_country = f.where ? f.where->iso : 0;
    return seen_from(from, f);
}

/* A number of a country that has no more than a few digits and is dialled as it is. */
static enum number_class short_class(uint16_t country, struct str digits)
{
    const struct numbers_country *c = country_of(country);
    if (str_eq(digits, STR("112")) || str_eq(digits, STR("911")))
        return CLASS_EMERGENCY;
    if (!c || digits.n > 6)
        return CLASS_UNKNOWN;
    unsigned state = c->begin;
    for (size_t i = 0; i < digits.n; i++)
        state = numbers_next[state][digits.p[i] - '0'];
    enum label l = label_at(state).label;
    return l == LABEL_HELP ? CLASS_EMERGENCY : l == LABEL_PREMIUM ? CLASS_PREMIUM : CLASS_UNKNOWN;
}

bool number_emergency(uint16_t country, struct str digits)
{
    for (size_t i = 0; i < digits.n; i++)
        if (!ascii_digit(digits.p[i]))
            return false;
    return digits.n && short_class(country, digits) == CLASS_EMERGENCY;
}

/* Puts '+' and the parts together. ERR_SYNTAX: too long. */
static enum err assemble(uint16_t code, struct str area, struct str rest, struct number *n)
{
    char text[8];
    size_t at = sizeof text;
    for (unsigned v = code; v; v /= 10)
        text[--at] = (char)('0' + v % 10);
    struct str parts[] = {str_of(text + at, sizeof text - at), area, rest};
    n->n = 0;
    n->e164[n->n++] = '+';
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (n->n + parts[i].n > E164_DIGITS + 1)
            return ERR_SYNTAX;
        if (parts[i].n)
            memcpy(n->e164 + n->n, parts[i].p, parts[i].n);
        n->n = (uint8_t)(n->n + parts[i].n);
    }
    return OK;
}

static void judge(const struct dial_plan *p, struct number *n)
{
    const struct numbers_country *here = country_of(p->country);
    enum number_class c = number_classify(p->country, str_of(n->e164, n->n), &n->country);
    if (c == CLASS_NATIONAL && p->area.n && here) {
        size_t code = here->code > 99 ? 3 : here->code > 9 ? 2 : 1;
        if (str_starts(str_skip(str_of(n->e164, n->n), 1 + code), p->area))
            c = CLASS_LOCAL;
    }
    n->kind = (uint8_t)c;
}

/* Dialled without any prefix: a number of the place, or a whole national number, where the country
 * has no trunk prefix. The dearer reading wins: who knows how the trunk takes it. */
static enum err judge_short(const struct dial_plan *p, uint16_t code, struct str digits,
                            struct number *ret_n)
{
    struct number whole = {0}, place = {0};
    enum err e = assemble(code, STR_NONE, digits, &whole);
    if (e != OK)
        return e;
    judge(p, &whole);
    if (p->area.n && assemble(code, p->area, digits, &place) == OK)
        judge(p, &place);
    bool dear = whole.kind == CLASS_PREMIUM || whole.kind == CLASS_SHARED_COST;
    *ret_n = !dear && place.kind != CLASS_UNKNOWN ? place : whole;
    return OK;
}

static enum err judge_dialled(const struct dial_plan *p, bool plus, struct str d,
                              struct number *ret_n)
{
    const struct numbers_country *here = country_of(p->country);
    struct str international = p->international.n || here ? p->international : STR("00");
    enum err e;
    if (plus || (international.n && str_starts(d, international))) {
        e = assemble(0, STR_NONE, plus ? d : str_skip(d, international.n), ret_n);
        judge(p, ret_n);
        return e;
    }
    if (!here)
        return d.n > E164_DIGITS ? ERR_SYNTAX : OK;
    if (p->national.n && str_starts(d, p->national)) {
        e = assemble(here->code, STR_NONE, str_skip(d, p->national.n), ret_n);
        judge(p, ret_n);
        return e;
    }
    return judge_short(p, here->code, d, ret_n);
}

enum err number_of(const struct dial_plan *p, struct str dialled, struct number *ret_n)
{
    char digits[RAW_DIGITS];
    size_t n = 0;
    bool plus = str_starts(dialled, STR("+"));
    struct number out = {.kind = CLASS_UNKNOWN};
    for (size_t i = plus; i < dialled.n; i++) {
        char c = dialled.p[i];
        if (c == '-' || c == '.' || c == '(' || c == ')' || c == ' ')
            continue;
        if (!ascii_digit(c) || n == sizeof digits)
            return ERR_SYNTAX;
        digits[n++] = c;
    }
    if (!n)
        return ERR_SYNTAX;
    struct str d = str_of(digits, n);
    enum number_class little = plus ? CLASS_UNKNOWN : short_class(p->country, d);
    bool outside = !plus && p->outside.n && d.n > p->outside.n && str_starts(d, p->outside);
    if (outside) {
        d = str_skip(d, p->outside.n);
        little = little == CLASS_UNKNOWN ? short_class(p->country, d) : little;
    }
    if (little == CLASS_UNKNOWN && (plus || outside || !p->outside.n)) {
        enum err e = judge_dialled(p, plus, d, &out);
        if (e != OK)
            return e;
    } else if (little != CLASS_UNKNOWN) {
        out.kind = (uint8_t)little;
        out.country = little == CLASS_PREMIUM ? p->country : 0;
    }
    *ret_n = out;
    return OK;
}
