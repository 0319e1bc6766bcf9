#include "wire/jose/json.h"

struct scan {
    struct str s;
    size_t at;
    enum err bad;
};

static char peek(const struct scan *c)
{
    return c->at < c->s.n ? c->s.p[c->at] : '\0';
}

static void blanks(struct scan *c)
{
    while (peek(c) == ' ' || peek(c) == '\t' || peek(c) == '\n' || peek(c) == '\r')
        c->at++;
}

static bool take(struct scan *c, char want)
{
    bool is = c->at < c->s.n && c->s.p[c->at] == want;
    c->at += is;
    return is;
}

static bool word(struct scan *c, struct str w)
{
    bool is = str_starts(str_skip(c->s, c->at), w);
    c->at += is ? w.n : 0;
    return is;
}

static bool hex4(struct scan *c)
{
    for (unsigned i = 0; i < 4; i++, c->at++) {
        char x = ascii_lower(peek(c));
        if (!ascii_digit(x) && !(x >= 'a' && x <= 'f'))
            return false;
    }
    return true;
}

static bool string(struct scan *c, struct json *ret)
{
    size_t from = c->at + 1;
    *ret = (struct json){.kind = JOSE_STRING};
    if (!take(c, '"'))
        return false;
    while (c->at < c->s.n && peek(c) != '"') {
        uint8_t x = (uint8_t)peek(c);
        c->at++;
        if (x < ' ')
            return false;
        if (x != '\\')
            continue;
        ret->escaped = true;
        char e = peek(c);
        c->at++;
        if (e == 'u' ? !hex4(c) : !e || !strchr("\"\\/bfnrt", e))
            return false;
    }
    ret->text = str_of(c->s.p + from, c->at - MIN(from, c->at));
    return take(c, '"');
}

static size_t digits(struct scan *c)
{
    size_t n = 0;
    for (; ascii_digit(peek(c)); c->at++)
        n++;
    return n;
}

static bool number(struct scan *c, struct json *ret)
{
    size_t from = c->at;
    (void)take(c, '-');
    bool zero = peek(c) == '0';
    size_t n = digits(c);
    if (n == 0 || (zero && n > 1))
        return false;
    if (take(c, '.') && digits(c) == 0)
        return false;
    if (take(c, 'e') || take(c, 'E')) {
        if (!take(c, '+'))
            (void)take(c, '-');
        if (digits(c) == 0)
            return false;
    }
    *ret = (struct json){JOSE_NUMBER, false, str_of(c->s.p + from, c->at - from)};
    return true;
}

static bool leaf(struct scan *c, struct json *ret)
{
    if (peek(c) == '"')
        return string(c, ret);
    if (peek(c) == '-' || ascii_digit(peek(c)))
        return number(c, ret);
    size_t from = c->at;
    uint8_t kind = word(c, STR("true"))    ? JOSE_TRUE
                   : word(c, STR("false")) ? JOSE_FALSE
                   : word(c, STR("null"))  ? JOSE_NULL
                                           : 0;
    *ret = (struct json){kind, false, str_of(c->s.p + from, c->at - from)};
    return kind != 0;
}

/* Before a member's value: its key and the colon. */
static bool key_of(struct scan *c, struct json *ret_key)
{
    blanks(c);
    if (!string(c, ret_key) || ret_key->escaped)
        return false;
    blanks(c);
    return take(c, ':');
}

/* One value with all that is in it. No recursion: what is open is a stack of bits. */
static bool value(struct scan *c, struct json *ret)
{
    uint32_t objects = 0, depth = 0; /* bit: the level is an object */
    size_t from = 0;
    struct json one, key;
    for (bool more = true; more;) {
        blanks(c);
        char x = peek(c);
        bool opens = x == '{' || x == '[';
        if (depth == 0)
            from = c->at;
        if (opens && depth >= JSON_DEPTH) {
            c->bad = ERR_LIMIT;
            return false;
        }
        if (opens) {
            c->at++;
            objects = objects << 1 | (x == '{');
            depth++;
            blanks(c);
            if (peek(c) != (x == '{' ? '}' : ']')) {
                if (x == '{' && !key_of(c, &key))
                    return false;
                continue;
            }
        } else if (!leaf(c, &one)) {
            return false;
        }
        for (more = false; depth > 0 && !more;) { /* what ends here */
            blanks(c);
            bool object = objects & 1;
            if (take(c, ',')) {
                if (object && !key_of(c, &key))
                    return false;
                more = true;
            } else if (take(c, object ? '}' : ']')) {
                objects >>= 1;
                depth--;
            } else {
                return false;
            }
        }
    }
    char first = c->s.p[from];
    if (first == '{' || first == '[')
        *ret = (struct json){first == '{' ? JOSE_OBJECT : JOSE_ARRAY, false,
                             str_of(c->s.p + from, c->at - from)};
    else
        *ret = one;
    return true;
}

enum err json_read(struct str text, struct json *ret_v)
{
    struct scan c = {.s = text, .bad = ERR_SYNTAX};
    struct json v = {.kind = JOSE_NULL};
    if (!value(&c, &v))
        return c.bad;
    blanks(&c);
    if (c.at != text.n)
        return ERR_SYNTAX;
    *ret_v = v;
    return OK;
}

enum err json_get(const struct json *object, struct str key, struct json *ret_v)
{
    struct scan c = {.s = object->text, .at = 1, .bad = ERR_SYNTAX};
    struct json k, v, found = {.kind = 0};
    if (object->kind != JOSE_OBJECT)
        return ERR_SYNTAX;
    blanks(&c);
    while (peek(&c) != '}') {
        if (!key_of(&c, &k) || !value(&c, &v))
            return ERR_SYNTAX;
        if (str_eq(k.text, key)) {
            if (found.kind)
                return ERR_SYNTAX;
            found = v;
        }
        blanks(&c);
        if (!take(&c, ',') && peek(&c) != '}')
            return ERR_SYNTAX;
    }
    if (!found.kind)
        return ERR_NOT_FOUND;
    *ret_v = found;
    return OK;
}

bool json_each(const struct json *array, size_t *at, struct json *ret_v)
{
    struct scan c = {.s = array->text, .at = *at ? *at : 1, .bad = ERR_SYNTAX};
    if (array->kind != JOSE_ARRAY)
        return false;
    blanks(&c);
    if (peek(&c) == ']' || !value(&c, ret_v))
        return false;
    blanks(&c);
    (void)take(&c, ',');
    *at = c.at;
    return true;
}

struct str json_text(const struct json *object, struct str key)
{
    struct json v;
    if (json_get(object, key, &v) != OK || v.kind != JOSE_STRING || v.escaped)
        return STR_NONE;
    return v.text;
}

enum err json_seconds(const struct json *object, struct str key, int64_t *ret_v)
{
    struct json v;
    uint64_t n = 0;
    enum err e = json_get(object, key, &v);
    if (e != OK)
        return e;
    if (v.kind != JOSE_NUMBER || str_u64(v.text, UINT64_C(1) << 53, &n) != OK)
        return ERR_SYNTAX;
    *ret_v = (int64_t)n;
    return OK;
}

static int digit64(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_digit(c))
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

enum err b64url_decode(struct str s, void *ret, size_t cap, size_t *ret_n)
{
    uint8_t *to = ret;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    if (s.n % 4 == 1)
        return ERR_SYNTAX;
    for (size_t i = 0; i < s.n; i++) {
        int d = digit64(s.p[i]);
        if (d < 0)
            return ERR_SYNTAX;
        bits = (bits << 6 | (uint32_t)d) & 0xfffff;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (n >= cap)
            return ERR_LIMIT;
        to[n++] = (uint8_t)(bits >> have);
    }
    if (bits & ((1u << have) - 1))
        return ERR_SYNTAX;
    *ret_n = n;
    return OK;
}
