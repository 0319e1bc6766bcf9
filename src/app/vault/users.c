#include "app/vault/users.h"
#include "app/vault/sealed.h"

#define FIELDS     13u
#define FIELDS_OLD 9u /* before users had sites and numbers */
#define LINE_MAX_                                                                                  \
    (USER_AOR_MAX + USER_ROLE_MAX + USER_OWNER_MAX + USER_REASON_MAX + USER_SITE_MAX +             \
     USER_NUMBERS_TEXT + 4 * 64 + 110)

void users_init(struct users *u, const struct sipkey *key)
{
    *u = (struct users){.key = *key};
}

void users_done(struct users *u)
{
    for (uint32_t i = 0; i < u->n; i++)
        user_free(u->v[i]);
    free(u->v);
    free(u->owned);
    free(u->map_mem);
    *u = (struct users){.key = u->key};
}

static uint64_t aor_hash(const struct users *u, struct str name, struct str realm)
{
    char text[USER_AOR_MAX];
    struct out o = out_of(text, sizeof(text));
    out_put(&o, name);
    out_ch(&o, '@');
    for (size_t i = 0; i < realm.n && !o.full; i++)
        out_ch(&o, ascii_lower(realm.p[i]));
    return siphash(&u->key, out_str(&o));
}

/* Position + 1, or 0. */
static uint32_t position(const struct users *u, struct str name, struct str realm)
{
    uint32_t it = 0, at;
    uint64_t h = aor_hash(u, name, realm);
    while (u->n > 0 && (at = map_find(&u->map, h, &it)) != 0)
        if (str_eq(user_name(u->v[at - 1]), name) && str_ieq(user_domain(u->v[at - 1]), realm))
            return at;
    return 0;
}

struct user *users_find(const struct users *u, struct str name, struct str realm)
{
    uint32_t at = position(u, name, realm);
    return at ? u->v[at - 1] : NULL;
}

static enum err grow(struct users *u)
{
    uint32_t cap = MAX(u->cap * 2, 64u);
    struct user **v = realloc(u->v, cap * sizeof(*v));
    if (v)
        u->v = v;
    void *mem = v ? malloc(map_bytes(cap)) : NULL;
    if (!mem)
        return ERR_FULL;
    struct map m;
    map_init(&m, mem, cap);
    for (uint32_t i = 0; i < u->n; i++) {
        const struct user *x = u->v[i];
        CHECK(map_put(&m, aor_hash(u, user_name(x), user_domain(x)), i + 1) == OK);
    }
    free(u->map_mem);
    u->map_mem = mem;
    u->map = m;
    u->cap = cap;
    return OK;
}

enum err users_put(struct users *u, struct user *x, struct user **ret_old)
{
    uint32_t at = position(u, user_name(x), user_domain(x));
    enum err e = numbers_own(u, x, at ? u->v[at - 1] : NULL);
    if (e != OK)
        return e;
    if (at) {
        *ret_old = u->v[at - 1];
        u->v[at - 1] = x;
        return OK;
    }
    e = u->n >= USERS_MAX ? ERR_FULL : u->n == u->cap ? grow(u) : OK;
    if (e == OK)
        e = map_put(&u->map, aor_hash(u, user_name(x), user_domain(x)), u->n + 1);
    if (e != OK) {
        numbers_drop(u, x);
        return e;
    }
    u->v[u->n++] = x;
    u->aor_bytes += strlen(x->aor);
    *ret_old = NULL;
    return OK;
}

struct user *users_take(struct users *u, struct str name, struct str realm)
{
    uint32_t at = position(u, name, realm);
    if (!at)
        return NULL;
    struct user *x = u->v[at - 1], *last = u->v[u->n - 1];
    CHECK(map_del(&u->map, aor_hash(u, user_name(x), user_domain(x)), at));
    if (last != x) {
        uint64_t h = aor_hash(u, user_name(last), user_domain(last));
        CHECK(map_del(&u->map, h, u->n) && map_put(&u->map, h, at) == OK);
        u->v[at - 1] = last;
    }
    u->n--;
    u->aor_bytes -= strlen(x->aor);
    numbers_drop(u, x);
    return x;
}

static bool host_char(char c)
{
    return (c >= 'a' && c <= 'z') || ascii_digit(c) || c == '.' || c == '-' || c == ':' ||
           c == '[' || c == ']';
}

static bool name_char(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || ascii_digit(c) || (c && strchr("._-+~*#", c));
}

enum err user_new(struct str aor, struct user **ret_x)
{
    struct str name;
    struct str domain = str_cut(aor, '@', &name);
    if (aor.n > USER_AOR_MAX || name.n > 64)
        return ERR_LIMIT;
    for (size_t i = 0; i < name.n; i++)
        if (!name_char(name.p[i]))
            return ERR_SYNTAX;
    for (size_t i = 0; i < domain.n; i++)
        if (!host_char(ascii_lower(domain.p[i])))
            return ERR_SYNTAX;
    if (name.n == 0 || domain.n == 0)
        return ERR_SYNTAX;
    struct user *x = calloc(1, sizeof(*x));
    if (!x)
        return ERR_FULL;
    for (size_t i = 0; i < aor.n; i++)
        x->aor[i] = i < name.n ? aor.p[i] : ascii_lower(aor.p[i]);
    x->name_n = (uint8_t)name.n;
    x->tokens_milli = INT32_MAX; /* cut to a full bucket on first use */
    memcpy(x->role, "user", 5);
    *ret_x = x;
    return OK;
}

struct user *user_copy(const struct user *x)
{
    struct user *y = malloc(sizeof(*y));
    struct user_md5 *w = x->md5 ? malloc(sizeof(*w)) : NULL;
    uint64_t *numbers = x->numbers ? malloc(USER_NUMBERS * sizeof(*numbers)) : NULL;
    if (!y || (x->md5 && !w) || (x->numbers && !numbers)) {
        free(y);
        free(w);
        free(numbers);
        return NULL;
    }
    *y = *x;
    if (w)
        *w = *x->md5;
    if (numbers)
        memcpy(numbers, x->numbers, x->n_numbers * sizeof(*numbers));
    y->md5 = w;
    y->numbers = numbers;
    return y;
}

void user_free(struct user *x)
{
    if (!x)
        return;
    free(x->md5);
    free(x->numbers);
    mem_wipe(x, sizeof(*x));
    free(x);
}

enum err user_password(struct user *x, struct str password)
{
    char hex[DIGEST_HEX_MAX];
    for (unsigned a = 0; a < DIGEST_ALG_COUNT; a++) {
        size_t n = digest_hex_chars((enum digest_alg)a);
        memset(x->ha1[a], 0, USER_HA1_BYTES);
        if (a == DIGEST_MD5 && !x->md5)
            continue;
        enum err e = digest_ha1((enum digest_alg)a, user_name(x), user_domain(x), password, hex);
        if (e == OK)
            e = hex_decode(str_of(hex, n), x->ha1[a], n / 2);
        if (e != OK)
            return e;
    }
    mem_wipe(hex, sizeof(hex));
    return OK;
}

_Static_assert(USER_ROLE_MAX == USER_SITE_MAX, "words of one length");

static enum err word(struct str s, char ret[USER_ROLE_MAX + 1])
{
    if (s.n > USER_ROLE_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || ascii_digit(c) || c == '-' || c == '_'))
            return ERR_SYNTAX;
    }
    memset(ret, 0, USER_ROLE_MAX + 1);
    if (s.n > 0)
        memcpy(ret, s.p, s.n);
    return OK;
}

enum err user_role(struct user *x, struct str role)
{
    return role.n == 0 ? ERR_SYNTAX : word(role, x->role);
}

enum err user_site(struct user *x, struct str site)
{
    return str_eq(site, STR("-")) ? ERR_SYNTAX : word(site, x->site);
}

static bool plain_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return s.n > 0;
}

enum err user_md5_waive(struct user *x, struct wall until, struct str owner, struct str reason)
{
    if (until.us == 0) {
        free(x->md5);
        x->md5 = NULL;
        mem_wipe(x->ha1[DIGEST_MD5], USER_HA1_BYTES);
        return OK;
    }
    if (owner.n > USER_OWNER_MAX || reason.n > USER_REASON_MAX)
        return ERR_LIMIT;
    if (!plain_text(owner) || !plain_text(reason) || until.us < 0)
        return ERR_SYNTAX;
    struct user_md5 *w = x->md5 ? x->md5 : malloc(sizeof(*w));
    if (!w)
        return ERR_FULL;
    memset(w, 0, sizeof(*w));
    w->until = until;
    memcpy(w->owner, owner.p, owner.n);
    memcpy(w->reason, reason.p, reason.n);
    x->md5 = w;
    return OK;
}

bool user_md5_live(const struct user *x, struct wall now)
{
    return x->md5 && now.us < x->md5->until.us;
}

size_t users_bytes(const struct users *u)
{
    return SEALED_EXTRA + (size_t)u->n * LINE_MAX_;
}

/* Which site, when the password changed, flags, numbers; ends the line. */
static void print_more(const struct user *x, struct out *o)
{
    out_ch(o, '\t');
    out_put(o, x->site[0] ? str_c(x->site) : STR("-"));
    out_ch(o, '\t');
    out_i64(o, x->changed.us / 1000000);
    out_ch(o, '\t');
    out_u64(o, (x->must_change ? 1u : 0u) + (x->second_factor ? 2u : 0u));
    out_ch(o, '\t');
    if (x->n_numbers > 0)
        user_numbers_put(x, o);
    else
        out_ch(o, '-');
    out_ch(o, '\n');
}

static void print_user(const struct user *x, struct out *o)
{
    out_put(o, str_c(x->aor));
    out_ch(o, '\t');
    out_put(o, str_c(x->role));
    out_ch(o, '\t');
    out_i64(o, x->created.us / 1000000);
    out_ch(o, '\t');
    out_hex(o, x->ha1[DIGEST_SHA256], 32);
    out_ch(o, '\t');
    out_hex(o, x->ha1[DIGEST_SHA512_256], 32);
    if (!x->md5) {
        OUT_LIT(o, "\t-\t0\t-\t-");
        print_more(x, o);
        return;
    }
    out_ch(o, '\t');
    out_hex(o, x->ha1[DIGEST_MD5], 16);
    out_ch(o, '\t');
    out_i64(o, x->md5->until.us / 1000000);
    out_ch(o, '\t');
    out_put(o, str_c(x->md5->owner));
    out_ch(o, '\t');
    out_put(o, str_c(x->md5->reason));
    print_more(x, o);
}

enum err users_print(const struct users *u, struct out *o)
{
    sealed_head(o, STR("users"));
    for (uint32_t i = 0; i < u->n; i++)
        print_user(u->v[i], o);
    return sealed_tail(o, u->n);
}

static bool seconds(struct str s, struct wall *ret)
{
    uint64_t v = 0;
    if (str_u64(s, INT64_MAX / 1000000, &v) != OK)
        return false;
    ret->us = (int64_t)v * 1000000;
    return true;
}

static const char *parse_md5(struct user *x, const struct str f[FIELDS])
{
    struct wall until = {0};
    if (str_eq(f[5], STR("-")))
        return str_eq(f[6], STR("0")) ? NULL : "an MD5 waiver without a digest";
    if (!seconds(f[6], &until) || until.us == 0 || user_md5_waive(x, until, f[7], f[8]) != OK)
        return "the MD5 waiver is malformed";
    if (hex_decode(f[5], x->ha1[DIGEST_MD5], 16) != OK)
        return "a digest is malformed";
    return NULL;
}

static const char *parse_more(struct user *x, const struct str f[4])
{
    uint32_t flags = 0;
    if (!str_eq(f[0], STR("-")) && (f[0].n == 0 || user_site(x, f[0]) != OK))
        return "the site is malformed";
    if (!seconds(f[1], &x->changed))
        return "the date of the password is malformed";
    if (str_u32(f[2], 3, &flags) != OK)
        return "the flags are malformed";
    x->must_change = flags & 1;
    x->second_factor = (flags & 2) != 0;
    if (!str_eq(f[3], STR("-")) && (f[3].n == 0 || user_numbers(x, f[3]) != OK))
        return "the numbers are malformed";
    return NULL;
}

static const char *parse_user(struct str *f, size_t n, struct user **ret_x)
{
    struct user *x = NULL;
    const char *why = NULL;
    if (user_new(f[0], &x) != OK)
        return "the user's address is malformed";
    if (user_role(x, f[1]) != OK)
        why = "the role is malformed";
    else if (!seconds(f[2], &x->created))
        why = "the date is malformed";
    else if (hex_decode(f[3], x->ha1[DIGEST_SHA256], 32) != OK ||
             hex_decode(f[4], x->ha1[DIGEST_SHA512_256], 32) != OK)
        why = "a digest is malformed";
    else
        why = parse_md5(x, f);
    if (n < FIELDS)
        x->changed = x->created;
    else if (!why)
        why = parse_more(x, f + FIELDS_OLD);
    if (why) {
        user_free(x);
        return why;
    }
    *ret_x = x;
    return NULL;
}

enum err users_parse(struct users *u, struct str file, uint32_t *reterr_line,
                     const char **reterr_why)
{
    struct sealed s;
    struct str f[FIELDS];
    const char *why = NULL;
    enum err e = sealed_open(&s, file, STR("users"));
    while (e == OK && !why) {
        size_t n = sealed_width(&s) == FIELDS_OLD ? FIELDS_OLD : FIELDS;
        if ((e = sealed_next(&s, f, n)) != OK)
            break;
        struct user *x = NULL, *old = NULL;
        why = parse_user(f, n, &x);
        if (why)
            break;
        e = users_put(u, x, &old);
        if (e != OK) {
            user_free(x);
            why = e == ERR_EXISTS ? "a number is somebody else's" : "too many users, or no memory";
        } else if (old) {
            user_free(old);
            why = "the user is there twice";
        }
    }
    if (e == ERR_NOT_FOUND)
        return OK;
    *reterr_line = s.line;
    *reterr_why = why ? why : s.why;
    return ERR_SYNTAX;
}
