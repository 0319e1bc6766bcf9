#include "app/vault/import.h"
#include "crypto/password.h"

/* A section of an INI file under way. */
struct section {
    char user[USER_AOR_MAX + 1], password[IMPORT_LINE_MAX];
    bool auth, is_template, hashed, has_password;
    uint32_t line;
};

bool import_format(const char *word, uint8_t *ret_format)
{
    static const char *const words[] = {"csv", "asterisk", "kamailio"};
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *ret_format = (uint8_t)i;
        return true;
    }
    return false;
}

static enum err bad(struct import_job *j, uint32_t line, enum err e, const char *why,
                    struct str user)
{
    if (j->tell) {
        (void)fprintf(j->tell, "line %u: ", line);
        for (size_t i = 0; i < MIN(user.n, 80u); i++)
            (void)fputc(user.p[i] > ' ' && user.p[i] <= '~' ? user.p[i] : '?', j->tell);
        (void)fprintf(j->tell, "%s%s\n", user.n ? ": " : "", why);
    }
    if (j->bad++ == 0) {
        j->line = line;
        j->why = why;
    }
    return e;
}

static bool fit(const struct import_job *j, const struct user *x, struct str password,
                char why[PASSWORD_WHY])
{
    if (j->any_password)
        return true;
    if (j->rules)
        return password_good(j->rules, user_name(x), user_domain(x), password, why);
    (void)snprintf(why, PASSWORD_WHY,
                   "the password is not fit (8 to 256 characters, at least 5 different ones)");
    return password_fit(password) == OK;
}

/* hash_only: there is no password to be had. */
static enum err put(struct import_job *j, uint32_t line, struct user *x, struct str password,
                    bool hash_only)
{
    static char why[PASSWORD_WHY]; /* j->why borrows it */
    char text[PASSWORD_WHY], fresh[PASSWORD_CHARS];
    struct user *old = NULL;
    bool renew = hash_only || !fit(j, x, password, text);
    if (renew && !j->fresh) {
        (void)snprintf(why, sizeof(why), "%s",
                       hash_only ? "there is only an MD5 hash, which proves nobody here: "
                                   "--regenerate makes a new password"
                                 : text);
        return bad(j, line, ERR_RANGE, why, str_c(x->aor));
    }
    if (renew) {
        password_make(j->fresh, fresh);
        password = str_of(fresh, sizeof(fresh));
    }
    x->created = x->changed = j->now;
    enum err e = j->role ? user_role(x, str_c(j->role)) : OK;
    if (e == OK)
        e = user_password(x, password);
    if (e == OK)
        e = users_put(j->users, x, &old);
    if (e == OK && renew)
        printf("%s   password: %.*s   (shown this once)\n", x->aor, (int)PASSWORD_CHARS, fresh);
    mem_wipe(fresh, sizeof(fresh));
    if (e != OK)
        return bad(j, line, e, "the role is malformed, there are too many users, or no memory",
                   str_c(x->aor));
    j->renewed += renew;
    j->replaced += old != NULL;
    j->added += old == NULL;
    user_free(old);
    return OK;
}

static enum err account(struct import_job *j, uint32_t line, struct str user, struct str domain,
                        struct str password, bool hash_only)
{
    char text[USER_AOR_MAX + 1];
    struct out o = out_of(text, USER_AOR_MAX);
    struct user *x = NULL;
    out_put(&o, user);
    if (str_find(user, '@') >= user.n) {
        if (domain.n == 0)
            domain = str_c(j->domain);
        if (domain.n == 0)
            return bad(j, line, ERR_SYNTAX, "the user has no domain; add @DOMAIN or say --domain",
                       user);
        out_ch(&o, '@');
        out_put(&o, domain);
    }
    if (password.n == 0 && !hash_only)
        return bad(j, line, ERR_SYNTAX, "no comma, or no password after it", user);
    if (o.full || user_new(out_str(&o), &x) != OK)
        return bad(j, line, ERR_SYNTAX, "the user is not NAME or NAME@DOMAIN of allowed characters",
                   user);
    enum err e = put(j, line, x, password, hash_only);
    if (e != OK)
        user_free(x);
    return e;
}

static enum err csv(struct import_job *j, uint32_t number, struct str line)
{
    struct str user;
    struct str password = str_cut(line, ',', &user);
    return account(j, number, user, STR_NONE, password, false);
}

static struct str unquoted(struct str s)
{
    s = str_trim(s);
    return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? str_of(s.p + 1, s.n - 2) : s;
}

static enum err kamailio(struct import_job *j, uint32_t number, struct str line)
{
    struct str f[4] = {STR_NONE};
    char cut = str_find(line, '\t') < line.n ? '\t' : ',';
    for (unsigned i = 0; i < 4; i++) {
        line = str_cut(line, cut, &f[i]);
        f[i] = unquoted(f[i]);
    }
    if (str_ieq(f[0], STR("username")))
        return OK; /* the heading */
    return account(j, number, f[0], f[1], f[2], f[2].n == 0 && f[3].n > 0);
}

static enum err section_end(struct import_job *j, struct section *s)
{
    enum err e = OK;
    if (s->auth && !s->is_template && (s->has_password || s->hashed))
        e = account(j, s->line, str_c(s->user), STR_NONE, str_c(s->password), !s->has_password);
    mem_wipe(s, sizeof(*s));
    return e;
}

static void keep(char *ret, size_t cap, struct str s)
{
    s = str_head(s, cap - 1);
    if (s.n > 0)
        memcpy(ret, s.p, s.n);
    ret[s.n] = '\0';
}

static enum err asterisk(struct import_job *j, uint32_t number, struct str line, struct section *s)
{
    struct str key, name;
    line = str_trim(line);
    if (line.n == 0 || line.p[0] == ';')
        return OK;
    if (line.p[0] == '[') {
        enum err e = section_end(j, s);
        struct str rest = str_cut(str_skip(line, 1), ']', &name);
        keep(s->user, sizeof(s->user), name);
        s->is_template = str_find(rest, '!') < rest.n || str_ieq(name, STR("general"));
        s->line = number;
        return e;
    }
    struct str value = str_cut(line, '=', &key);
    if (value.n > 0 && value.p[0] == '>')
        value = str_skip(value, 1);
    key = str_trim(key);
    value = str_trim(value);
    if (str_ieq(key, STR("type")) && str_ieq(value, STR("auth")))
        s->auth = true;
    if (str_ieq(key, STR("username")) || str_ieq(key, STR("defaultuser")))
        keep(s->user, sizeof(s->user), value);
    if (str_ieq(key, STR("md5_cred")) || str_ieq(key, STR("md5secret")))
        s->hashed = true;
    bool old = str_ieq(key, STR("secret"));
    s->auth = s->auth || old || str_ieq(key, STR("md5secret"));
    if (old || str_ieq(key, STR("password"))) {
        keep(s->password, sizeof(s->password), value);
        s->has_password = true;
    }
    return OK;
}

static enum err one(struct import_job *j, uint32_t number, struct str line, struct section *s)
{
    switch ((enum import_format)j->format) {
    case IMPORT_ASTERISK:
        return asterisk(j, number, line, s);
    case IMPORT_KAMAILIO:
        return kamailio(j, number, line);
    case IMPORT_CSV:
    default:
        return csv(j, number, line);
    }
}

enum err import_file(struct import_job *j, FILE *f)
{
    static char inside[BUFSIZ]; /* the library's, so that it can be wiped */
    char buf[IMPORT_LINE_MAX];
    struct section s = {.line = 0};
    enum err first = OK;
    uint32_t number = 0;
    (void)setvbuf(f, inside, _IOFBF, sizeof(inside));
    while (fgets(buf, sizeof(buf), f)) {
        struct str line = str_c(buf);
        enum err e = OK;
        number++;
        if (line.n + 1 == sizeof(buf) && line.p[line.n - 1] != '\n') {
            first = bad(j, number, ERR_LIMIT, "the line is too long", STR_NONE);
            break;
        }
        while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
            line.n--;
        if (line.n > 0 && line.p[0] != '#')
            e = one(j, number, line, &s);
        first = first == OK ? e : first;
        if (j->progress && number % 10000 == 0)
            (void)fprintf(stderr, "\r%u users", j->added + j->replaced);
    }
    enum err e = section_end(j, &s);
    if (j->progress && number >= 10000)
        (void)fputc('\n', stderr);
    mem_wipe(buf, sizeof(buf));
    mem_wipe(inside, sizeof(inside));
    if (first == OK && e == OK && ferror(f))
        return bad(j, number, ERR_SYSTEM, "cannot be read", STR_NONE);
    return first == OK ? e : first;
}

enum err import_csv(struct import_job *j, FILE *f)
{
    j->format = IMPORT_CSV;
    return import_file(j, f);
}
