#include "app/vault/import.h"
#include "crypto/password.h"

static enum err bad(struct import_job *j, enum err e, const char *why)
{
    j->why = why;
    return e;
}

static enum err one(struct import_job *j, struct str line)
{
    char text[USER_AOR_MAX + 1];
    struct str user;
    struct str password = str_cut(line, ',', &user);
    struct out o = out_of(text, USER_AOR_MAX);
    struct user *x = NULL, *old = NULL;
    out_put(&o, user);
    if (str_find(user, '@') >= user.n) {
        if (!*j->domain)
            return bad(j, ERR_SYNTAX, "the user has no domain; add @DOMAIN or say --domain");
        out_ch(&o, '@');
        out_put(&o, str_c(j->domain));
    }
    if (password.n == 0)
        return bad(j, ERR_SYNTAX, "no comma, or no password after it");
    if (!j->any_password && password_fit(password) != OK)
        return bad(j, ERR_RANGE,
                   "the password is not fit (8 to 256 characters, at least 5 different ones)");
    if (o.full || user_new(out_str(&o), &x) != OK)
        return bad(j, ERR_SYNTAX, "the user is not NAME or NAME@DOMAIN of allowed characters");
    x->created = j->now;
    enum err e = j->role ? user_role(x, str_c(j->role)) : OK;
    if (e == OK)
        e = user_password(x, password);
    if (e == OK)
        e = users_put(j->users, x, &old);
    if (e != OK) {
        user_free(x);
        return bad(j, e, "the role is malformed, there are too many users, or no memory");
    }
    j->replaced += old != NULL;
    j->added += old == NULL;
    user_free(old);
    return OK;
}

enum err import_csv(struct import_job *j, FILE *f)
{
    char buf[IMPORT_LINE_MAX];
    enum err e = OK;
    while (e == OK && fgets(buf, sizeof(buf), f)) {
        struct str line = str_c(buf);
        j->line++;
        if (line.n + 1 == sizeof(buf) && line.p[line.n - 1] != '\n') {
            e = bad(j, ERR_LIMIT, "the line is too long");
            break;
        }
        while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
            line.n--;
        if (line.n > 0 && line.p[0] != '#')
            e = one(j, line);
        if (j->progress && j->line % 10000 == 0)
            (void)fprintf(stderr, "\r%u users", j->added + j->replaced);
    }
    if (j->progress && j->line >= 10000)
        (void)fputc('\n', stderr);
    mem_wipe(buf, sizeof(buf));
    return e == OK && ferror(f) ? bad(j, ERR_SYSTEM, "cannot be read") : e;
}
