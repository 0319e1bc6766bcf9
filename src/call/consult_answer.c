#include "call/consult_answer.h"
#include "wire/jose/json.h"

static void why_of(const struct json *v, char ret[CONSULT_WHY_MAX + 1])
{
    struct str s = json_text(v, STR("why"));
    size_t n = MIN(s.n, (size_t)CONSULT_WHY_MAX);
    for (size_t i = 0; i < n; i++)
        ret[i] = s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?';
    ret[n] = 0;
}

/* ERR_NOT_FOUND: it is no object, or has no such member. */
static enum err allow_of(const struct json *v, bool *ret_allow)
{
    struct json a;
    if (v->kind != JOSE_OBJECT)
        return ERR_NOT_FOUND;
    enum err e = json_get(v, STR("allow"), &a);
    if (e != OK)
        return e;
    if (a.kind != JOSE_TRUE && a.kind != JOSE_FALSE)
        return ERR_SYNTAX;
    *ret_allow = a.kind == JOSE_TRUE;
    return OK;
}

enum err consult_answer_read(unsigned status, struct str body, struct consult_answer *ret_a)
{
    struct consult_answer a = {.allow = false};
    struct json v;
    if (status != 200 && status != 403)
        return ERR_SYNTAX;
    if (body.n > CONSULT_ANSWER_MAX)
        return ERR_LIMIT;
    enum err e = ERR_NOT_FOUND;
    if (json_read(body, &v) == OK) {
        e = allow_of(&v, &a.allow);
        if (v.kind == JOSE_OBJECT)
            why_of(&v, a.why);
    }
    bool no_word = status == 403 && e == ERR_NOT_FOUND; /* the status is enough */
    if ((e != OK && !no_word) || (status == 403 && a.allow))
        return ERR_SYNTAX;
    *ret_a = a;
    return OK;
}
