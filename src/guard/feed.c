#include "guard/feed.h"
#include "base/lex.h"

/* -- what is left out -- */

static const struct prefix INSIDE[] = {
    {{.family = ADDR_V4, .ip = {0}}, 8},
    {{.family = ADDR_V4, .ip = {10}}, 8},
    {{.family = ADDR_V4, .ip = {100, 64}}, 10},
    {{.family = ADDR_V4, .ip = {127}}, 8},
    {{.family = ADDR_V4, .ip = {169, 254}}, 16},
    {{.family = ADDR_V4, .ip = {172, 16}}, 12},
    {{.family = ADDR_V4, .ip = {192, 0, 0}}, 24},
    {{.family = ADDR_V4, .ip = {192, 168}}, 16},
    {{.family = ADDR_V4, .ip = {198, 18}}, 15},
    {{.family = ADDR_V4, .ip = {224}}, 3},
    {{.family = ADDR_V6, .ip = {0}}, 8}, /* ::, ::1, and IPv4 in disguise */
    {{.family = ADDR_V6, .ip = {0xfc}}, 7},
    {{.family = ADDR_V6, .ip = {0xfe, 0x80}}, 9}, /* link-local and the former site-local */
    {{.family = ADDR_V6, .ip = {0xff}}, 8},
    {{.family = ADDR_V6, .ip = {0x20, 0x02}}, 16}, /* 6to4 and Teredo: IPv4 in disguise */
    {{.family = ADDR_V6, .ip = {0x20, 0x01}}, 32},
};

bool feed_overlap(const struct prefix *a, const struct prefix *b)
{
    return a->bits <= b->bits ? prefix_has(a, &b->a) : prefix_has(b, &a->a);
}

bool feed_inside(const struct addr *a)
{
    for (size_t i = 0; i < ARRAY_LEN(INSIDE); i++)
        if (prefix_has(&INSIDE[i], a))
            return true;
    return a->family == ADDR_NONE;
}

static bool touches_inside(const struct prefix *p)
{
    for (size_t i = 0; i < ARRAY_LEN(INSIDE); i++)
        if (feed_overlap(&INSIDE[i], p))
            return true;
    return false;
}

static void take(struct feed_list *l, struct str s, uint32_t line)
{
    struct prefix p;
    l->lines++;
    if (prefix_parse(s, &p) != OK) {
        l->bad++;
        l->bad_line = l->bad_line ? l->bad_line : line;
        return;
    }
    p.a.port = 0;
    p.a.pad = 0;
    if (p.bits < (p.a.family == ADDR_V4 ? FEED_BITS4 : FEED_BITS6)) {
        if (!l->wide++) {
            l->wide_line = line;
            l->wide_first = p;
        }
    } else if (touches_inside(&p)) {
        l->inside++;
    } else if (l->n == l->cap) {
        l->lost++;
    } else {
        struct prefix *v = &l->v[l->n++];
        memset(v, 0, sizeof *v); /* what lies between members travels, too */
        v->a = p.a;
        v->bits = p.bits;
    }
}

/* -- plain text -- */

static void text_line(struct feed_list *l, struct str s, uint32_t line)
{
    s = str_trim(s);
    if (!s.n || s.p[0] == '#' || s.p[0] == ';')
        return;
    size_t end = 0;
    while (end < s.n && !memchr(" \t,;|#", s.p[end], 6))
        end++;
    s = str_head(s, end);
    if (s.n > 1 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        s = str_of(s.p + 1, s.n - 2);
    take(l, s, line);
}

static void read_text(struct str text, struct feed_list *l)
{
    struct str s;
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_skip(text, 3);
    for (uint32_t line = 1; text.n; line++) {
        text = str_cut(text, '\n', &s);
        text_line(l, s, line);
    }
}

/* -- JSON (RFC 8259) -- */

enum {            /* what counts where a value stands */
       TAKE = 1,  /* a string names somebody */
       LIST = 2,  /* an array's elements do */
       ENTRY = 4, /* an object's members of known names do */
       DOC = 8,   /* an object's arrays do, whatever their names */
};
struct json {
    struct str s;
    size_t at;
    uint32_t line;
    struct feed_list *l;
};
static bool value(struct json *j, unsigned what, unsigned depth);

static char peek(struct json *j)
{
    while (j->at < j->s.n && memchr(" \t\r\n", j->s.p[j->at], 4)) {
        j->line += j->s.p[j->at] == '\n';
        j->at++;
    }
    return j->at < j->s.n ? j->s.p[j->at] : 0;
}

static bool need(struct json *j, char c)
{
    if (peek(j) != c)
        return false;
    j->at++;
    return true;
}

/* One character after a backslash; 0x100: sound, but none that we look for. */
static int escape(struct json *j)
{
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    if (j->at == j->s.n)
        return -1;
    char c = j->s.p[j->at++];
    const char *at = c ? strchr(FROM, c) : NULL;
    if (at)
        return TO[at - FROM];
    int v = 0;
    if (c != 'u' || j->s.n - j->at < 4)
        return -1;
    for (unsigned i = 0; i < 4; i++) {
        char h = ascii_lower(j->s.p[j->at++]);
        if (!ascii_digit(h) && (h < 'a' || h > 'f'))
            return -1;
        v = v * 16 + (ascii_digit(h) ? h - '0' : h - 'a' + 10);
    }
    return v < 0x80 ? v : 0x100;
}

#define WORD 64u /* no address is longer */
struct jword {
    char p[WORD];
    size_t n; /* WORD: it was longer, or odd */
};
static bool string(struct json *j, struct jword *ret_w)
{
    size_t n = 0;
    bool odd = false;
    if (!need(j, '"'))
        return false;
    while (j->at < j->s.n && j->s.p[j->at] != '"') {
        int c = (unsigned char)j->s.p[j->at++];
        if (c < 0x20)
            return false;
        if (c == '\\')
            c = escape(j);
        if (c < 0)
            return false;
        odd = odd || c > 0x7f || n == WORD - 1;
        if (!odd)
            ret_w->p[n++] = (char)c;
    }
    if (j->at == j->s.n)
        return false;
    j->at++;
    ret_w->n = odd ? WORD : n;
    return true;
}

static bool number(struct json *j)
{
    const char *p = j->s.p;
    size_t n = j->s.n, first;
    j->at += p[j->at] == '-';
    first = j->at;
    while (j->at < n && ascii_digit(p[j->at]))
        j->at++;
    if (j->at == first || (p[first] == '0' && j->at > first + 1))
        return false;
    if (j->at < n && p[j->at] == '.') {
        first = ++j->at;
        while (j->at < n && ascii_digit(p[j->at]))
            j->at++;
        if (j->at == first)
            return false;
    }
    if (j->at == n || ascii_lower(p[j->at]) != 'e')
        return true;
    j->at++;
    j->at += j->at < n && (p[j->at] == '+' || p[j->at] == '-');
    first = j->at;
    while (j->at < n && ascii_digit(p[j->at]))
        j->at++;
    return j->at > first;
}

static bool literal(struct json *j)
{
    static const struct str WORDS[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++)
        if (str_starts(str_skip(j->s, j->at), WORDS[i])) {
            j->at += WORDS[i].n;
            return true;
        }
    return false;
}

static bool names_address(const struct jword *w)
{
    static const char *const NAMES[] = {"ip",        "address",    "cidr",       "network",
                                        "prefix",    "addr",       "ipaddress",  "ip_address",
                                        "ip_prefix", "ipv4prefix", "ipv6prefix", "ipv6_prefix",
                                        "subnet",    "net",        "range",      "src_ip"};
    for (size_t i = 0; w->n < WORD && i < ARRAY_LEN(NAMES); i++)
        if (str_ieq(str_of(w->p, w->n), str_c(NAMES[i])))
            return true;
    return false;
}

static bool object(struct json *j, unsigned what, unsigned depth)
{
    struct jword key;
    uint32_t lines = j->l->lines, line = j->line;
    j->at++;
    if (need(j, '}'))
        goto end;
    do {
        if (peek(j) != '"' || !string(j, &key) || !need(j, ':'))
            return false;
        bool known = (what & ENTRY) && names_address(&key);
        if (!value(j, known ? TAKE | LIST : what & DOC ? LIST | DOC : 0, depth))
            return false;
    } while (need(j, ','));
    if (!need(j, '}'))
        return false;
end:
    if ((what & (ENTRY | DOC)) == ENTRY && lines == j->l->lines) { /* it names nobody */
        j->l->lines++;
        j->l->bad++;
        j->l->bad_line = j->l->bad_line ? j->l->bad_line : line;
    }
    return true;
}

static bool array(struct json *j, unsigned what, unsigned depth)
{
    j->at++;
    if (need(j, ']'))
        return true;
    do {
        if (!value(j, what & LIST ? TAKE | ENTRY : 0, depth))
            return false;
    } while (need(j, ','));
    return need(j, ']');
}

static bool value(struct json *j, unsigned what, unsigned depth)
{
    struct jword w;
    char c = peek(j);
    uint32_t line = j->line;
    if (depth == FEED_DEPTH)
        return false;
    if (c == '{')
        return object(j, what, depth + 1);
    if (c == '[')
        return array(j, what, depth + 1);
    if (c == '-' || ascii_digit(c))
        return number(j);
    if (c != '"')
        return literal(j);
    if (!string(j, &w))
        return false;
    if (what & TAKE)
        take(j->l, w.n < WORD ? str_trim(str_of(w.p, w.n)) : STR("?"), line);
    return true;
}

static enum err read_json(struct str text, struct feed_list *l)
{
    struct json j = {text, 0, 1, l};
    if (str_starts(text, STR("\xef\xbb\xbf")))
        j.at = 3;
    if (!peek(&j))
        return ERR_SYNTAX; /* an empty list is [] */
    while (peek(&j)) {
        if (!value(&j, LIST | ENTRY | DOC, 0)) {
            l->bad_line = j.line;
            return ERR_SYNTAX;
        }
    }
    return j.at == j.s.n ? OK : ERR_SYNTAX;
}

enum err feed_read(struct str text, bool json, struct feed_list *io_l)
{
    if (text.n > FEED_BYTES)
        return ERR_LIMIT;
    if (json) {
        enum err e = read_json(text, io_l);
        if (e != OK)
            return e;
    } else {
        read_text(text, io_l);
    }
    return io_l->lines && io_l->bad == io_l->lines ? ERR_SYNTAX : OK;
}

/* -- order -- */

static int order(const struct prefix *a, const struct prefix *b)
{
    if (a->a.family != b->a.family)
        return a->a.family < b->a.family ? -1 : 1;
    int c = memcmp(a->a.ip, b->a.ip, sizeof a->a.ip);
    return c ? c : (int)a->bits - (int)b->bits;
}

static void sift(struct prefix *v, uint32_t root, uint32_t n)
{
    struct prefix x = v[root];
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        child += child + 1 < n && order(&v[child], &v[child + 1]) < 0;
        if (order(&x, &v[child]) >= 0)
            break;
        v[root] = v[child];
    }
    v[root] = x;
}

/* A heap: no worst case for a stranger to find, no memory besides. */
static void sort(struct prefix *v, uint32_t n)
{
    for (uint32_t i = n / 2; i-- > 0;)
        sift(v, i, n);
    for (uint32_t i = n; i-- > 1;) {
        struct prefix x = v[0];
        v[0] = v[i];
        v[i] = x;
        sift(v, 0, i);
    }
}

void feed_settle(struct feed_list *l)
{
    uint32_t n = 0;
    sort(l->v, l->n);
    for (uint32_t i = 0; i < l->n; i++)
        if (n == 0 || l->v[i].bits < l->v[n - 1].bits || !prefix_has(&l->v[n - 1], &l->v[i].a))
            l->v[n++] = l->v[i];
    l->n = n;
}

/* -- places -- */

static bool host_name(struct str s)
{
    struct addr a;
    if (addr_parse_ip(s, &a) == OK)
        return true;
    for (size_t i = 0; i < s.n; i++)
        if (!lex_in(&LEX_ALNUM, s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= 253 && s.p[0] != '.' && s.p[0] != '-';
}

static enum err authority(struct str s, struct feed_url *u)
{
    bool six = s.n && s.p[0] == '[';
    size_t end = str_find(s, six ? ']' : ':');
    if (six && end == s.n)
        return ERR_SYNTAX;
    u->host = six ? str_of(s.p + 1, end - 1) : str_head(s, end);
    struct str port = str_skip(s, six ? end + 1 : end);
    struct addr a;
    if (six && (addr_parse_ip(u->host, &a) != OK || a.family != ADDR_V6))
        return ERR_SYNTAX;
    uint32_t v = u->plain ? 80 : 443;
    if (port.n && (port.p[0] != ':' || str_u32(str_skip(port, 1), 65535, &v) != OK || !v))
        return ERR_SYNTAX;
    u->port = (uint16_t)v;
    return host_name(u->host) ? OK : ERR_SYNTAX;
}

enum err feed_url_parse(struct str s, struct feed_url *ret_u, const char **ret_why)
{
    struct feed_url u = {.plain = str_starts(s, STR("http://"))};
    *ret_why = "it does not begin with https://";
    if (!u.plain && !str_starts(s, STR("https://")))
        return ERR_SYNTAX;
    *ret_why = "it is too long";
    if (s.n > FEED_URL_MAX)
        return ERR_SYNTAX;
    *ret_why = "blanks, quotes, '#', '\\' and other than ASCII do not belong in it";
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || memchr("#\\\"<>", s.p[i], 5))
            return ERR_SYNTAX;
    struct str rest = str_skip(s, u.plain ? 7 : 8);
    size_t path = MIN(str_find(rest, '/'), str_find(rest, '?'));
    struct str a = str_head(rest, path);
    *ret_why = "it holds a name or password, which whoever may read this file would see";
    if (str_find(a, '@') < a.n)
        return ERR_SYNTAX;
    *ret_why = "its host or port is not sound";
    if (authority(a, &u) != OK)
        return ERR_SYNTAX;
    u.target = str_skip(rest, path);
    *ret_u = u;
    return OK;
}
