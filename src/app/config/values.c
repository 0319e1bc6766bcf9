#include "app/config/values.h"
#include "base/addr.h"
#include "base/lex.h"

#define DAY_US INT64_C(86400000000)

enum err value_seconds(struct str s, uint32_t *ret_s)
{
    static const struct {
        char c;
        uint32_t s;
    } UNITS[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    struct lex l = lex_of(s);
    uint64_t total = 0;
    for (unsigned u = 0; lex_ok(&l) && !lex_end(&l); u++) {
        uint64_t v = lex_num(&l, UINT32_MAX, 10);
        char c = lex_peek(&l);
        while (u < ARRAY_LEN(UNITS) && UNITS[u].c != c)
            u++;
        if (u == ARRAY_LEN(UNITS))
            return ERR_SYNTAX;
        lex_need(&l, c);
        total += v * UNITS[u].s;
    }
    if (s.n == 0 || !lex_ok(&l))
        return ERR_SYNTAX;
    if (total > 3660u * 86400u)
        return ERR_RANGE;
    *ret_s = (uint32_t)total;
    return OK;
}

int64_t value_days(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (int64_t)(month + (month > 2 ? (unsigned)-3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const uint8_t DAYS[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return DAYS[month - 1] + (month == 2 && leap ? 1u : 0u);
}

enum err value_date(struct str s, struct wall *ret_end)
{
    uint32_t y, m, d;
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || str_u32(str_of(s.p, 4), 9999, &y) != OK ||
        str_u32(str_of(s.p + 5, 2), 99, &m) != OK || str_u32(str_of(s.p + 8, 2), 99, &d) != OK)
        return ERR_SYNTAX;
    if (y < 2000 || y > 2199 || m < 1 || m > 12 || d < 1 || d > month_days(y, m))
        return ERR_RANGE;
    ret_end->us = (value_days(y, m, d) + 1) * DAY_US;
    return OK;
}

void value_date_text(struct wall w, char ret[VALUE_DATE_TEXT])
{
    int64_t z = (w.us >= 0 ? w.us : w.us - DAY_US + 1) / DAY_US + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
    int n =
        snprintf(ret, VALUE_DATE_TEXT, "%04d-%02d-%02d", (int)(year % 10000), (int)month, (int)day);
    DCHECK(n == 10);
    (void)n;
}

enum err value_ports(struct str s, uint16_t *ret_min, uint16_t *ret_max)
{
    struct str lo;
    struct str hi = str_cut(s, '-', &lo);
    uint32_t a, b;
    enum err e = str_u32(lo, UINT16_MAX, &a);
    if (e == OK)
        e = str_u32(hi, UINT16_MAX, &b);
    if (e != OK)
        return e;
    if (a < 1024 || b <= a)
        return ERR_RANGE;
    *ret_min = (uint16_t)a;
    *ret_max = (uint16_t)b;
    return OK;
}

bool value_host(struct str s)
{
    struct addr a;
    if (addr_parse_ip(s, &a) == OK)
        return true;
    if (s.n == 0 || s.n > 253)
        return false;
    while (s.n > 0) {
        struct str label;
        bool dot = str_find(s, '.') < s.n;
        s = str_cut(s, '.', &label);
        if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-' ||
            (dot && s.n == 0))
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (label.p[i] != '-' && !lex_in(&LEX_ALNUM, label.p[i]))
                return false;
    }
    return true;
}

/* Bytes of the well-formed UTF-8 sequence at p, 0 if there is none. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char lo, hi, lo2, hi2, len; /* first byte, bounds of the second, length */
    } ROWS[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t r = 0; r < ARRAY_LEN(ROWS); r++) {
        if (p[0] < ROWS[r].lo || p[0] > ROWS[r].hi)
            continue;
        if (n < ROWS[r].len || p[1] < ROWS[r].lo2 || p[1] > ROWS[r].hi2)
            return 0;
        for (size_t i = 2; i < ROWS[r].len; i++)
            if ((p[i] & 0xc0) != 0x80)
                return 0;
        return ROWS[r].len;
    }
    return 0;
}

size_t value_text(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        bool ascii = (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r';
        size_t len = ascii ? 1 : c < 0x80 ? 0 : utf8_len((const unsigned char *)s.p + i, s.n - i);
        if (len == 0)
            return i;
        i += len;
    }
    return s.n;
}

unsigned value_distance(struct str a, struct str b)
{
    enum { MAX = 32 };
    unsigned d[3][MAX + 1]; /* rows i-2, i-1, i in turn */
    if (a.n > MAX || b.n > MAX)
        return 99;
    for (unsigned j = 0; j <= b.n; j++)
        d[0][j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned *row = d[i % 3], *up = d[(i - 1) % 3], *up2 = d[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            char x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[j - 1]);
            unsigned v = MIN(MIN(up[j] + 1, row[j - 1] + 1), up[j - 1] + (x == y ? 0u : 1u));
            if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) && y == ascii_lower(a.p[i - 2]))
                v = MIN(v, up2[j - 2] + 1);
            row[j] = v;
        }
    }
    return d[a.n % 3][b.n];
}
