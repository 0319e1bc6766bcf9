/* The numbers of users: E.164 as plain integers, and whose each is. A number given up keeps its
 * slot until the table grows, so that those behind it are still found. */
#include "app/vault/users.h"

#define E164_MIN 3u
#define E164_MAX 15u

static bool parse(struct str s, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n < E164_MIN + 1 || s.n > E164_MAX + 1 || s.p[0] != '+' || s.p[1] == '0')
        return false;
    for (size_t i = 1; i < s.n; i++) {
        if (!ascii_digit(s.p[i]))
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *ret = v;
    return true;
}

enum err user_number(struct user *x, struct str e164)
{
    uint64_t v = 0;
    if (!parse(e164, &v))
        return ERR_SYNTAX;
    for (unsigned i = 0; i < x->n_numbers; i++)
        if (x->numbers[i] == v)
            return ERR_EXISTS;
    if (x->n_numbers >= USER_NUMBERS)
        return ERR_LIMIT;
    if (!x->numbers && !(x->numbers = malloc(USER_NUMBERS * sizeof(*x->numbers))))
        return ERR_FULL;
    x->numbers[x->n_numbers++] = v;
    return OK;
}

enum err user_numbers(struct user *x, struct str list)
{
    struct str one;
    enum err e = OK;
    x->n_numbers = 0;
    while (list.n > 0 && e == OK) {
        list = str_cut(list, ' ', &one);
        if (one.n > 0)
            e = user_number(x, one);
    }
    return e;
}

void user_numbers_put(const struct user *x, struct out *o)
{
    for (unsigned i = 0; i < x->n_numbers; i++) {
        if (i > 0)
            out_ch(o, ' ');
        out_ch(o, '+');
        out_u64(o, x->numbers[i]);
    }
}

/* Its slot, or the free one where it would go. */
static struct owned *slot_of(const struct users *u, struct owned *v, uint32_t cap, uint64_t number)
{
    uint64_t h = siphash(&u->key, str_of((const char *)&number, sizeof(number)));
    for (uint32_t i = (uint32_t)h & (cap - 1);; i = (i + 1) & (cap - 1))
        if (v[i].number == number || v[i].number == 0)
            return &v[i];
}

static struct user *owner(const struct users *u, uint64_t number)
{
    return u->cap_owned > 0 ? slot_of(u, u->owned, u->cap_owned, number)->who : NULL;
}

const struct user *users_number(const struct users *u, struct str e164)
{
    uint64_t v = 0;
    return parse(e164, &v) ? owner(u, v) : NULL;
}

/* Room for more of them, half of the slots free. */
static enum err reserve(struct users *u, uint32_t more)
{
    uint32_t cap = 64;
    if (u->cap_owned > 0 && u->n_used + more <= u->cap_owned / 2)
        return OK;
    while (cap / 4 < u->n_owned + more)
        cap *= 2;
    struct owned *v = calloc(cap, sizeof(*v));
    if (!v)
        return ERR_FULL;
    for (uint32_t i = 0; i < u->cap_owned; i++)
        if (u->owned[i].who)
            *slot_of(u, v, cap, u->owned[i].number) = u->owned[i];
    free(u->owned);
    u->owned = v;
    u->cap_owned = cap;
    u->n_used = u->n_owned;
    return OK;
}

void numbers_drop(struct users *u, const struct user *x)
{
    for (unsigned i = 0; i < x->n_numbers; i++) {
        struct owned *o = slot_of(u, u->owned, u->cap_owned, x->numbers[i]);
        u->n_owned -= o->who == x;
        if (o->who == x)
            o->who = NULL;
    }
}

enum err numbers_own(struct users *u, struct user *x, const struct user *old)
{
    for (unsigned i = 0; i < x->n_numbers; i++) {
        const struct user *who = owner(u, x->numbers[i]);
        if (who && who != old)
            return ERR_EXISTS;
    }
    enum err e = x->n_numbers > 0 ? reserve(u, x->n_numbers) : OK;
    if (e != OK)
        return e;
    if (old)
        numbers_drop(u, old);
    for (unsigned i = 0; i < x->n_numbers; i++) {
        struct owned *o = slot_of(u, u->owned, u->cap_owned, x->numbers[i]);
        u->n_used += o->number == 0;
        *o = (struct owned){x->numbers[i], x};
        u->n_owned++;
    }
    return OK;
}
