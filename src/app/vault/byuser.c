#include "app/vault/byuser.h"
#include <stdlib.h>

#define FIRST 64u

void by_user_init(struct by_user *t, size_t size, uint32_t max, const struct sipkey *key)
{
    *t = (struct by_user){.size = size, .max = max, .key = *key};
}

void by_user_done(struct by_user *t)
{
    free(t->v);
    free(t->map_mem);
    *t = (struct by_user){0};
}

void *by_user_at(const struct by_user *t, uint32_t i)
{
    return t->v + i * t->size;
}

static struct str aor_of(const struct by_user *t, uint32_t i)
{
    return str_c(by_user_at(t, i));
}

static uint64_t hash_of(const struct by_user *t, uint32_t i)
{
    return siphash(&t->key, aor_of(t, i));
}

void *by_user_next(const struct by_user *t, struct str aor, uint32_t *it)
{
    uint32_t i;
    if (!t->map_mem)
        return NULL;
    while ((i = map_find(&t->map, siphash(&t->key, aor), it)) != 0)
        if (str_eq(aor_of(t, i - 1), aor))
            return by_user_at(t, i - 1);
    return NULL;
}

static enum err grow(struct by_user *t)
{
    uint32_t cap = t->cap ? t->cap * 2 : FIRST;
    void *mem = cap <= 2 * t->max ? malloc(map_bytes(cap)) : NULL;
    uint8_t *v = mem ? realloc(t->v, cap * t->size) : NULL;
    if (!v) {
        free(mem);
        return ERR_FULL;
    }
    free(t->map_mem);
    t->v = v;
    t->cap = cap;
    t->map_mem = mem;
    map_init(&t->map, mem, cap);
    for (uint32_t i = 0; i < t->n; i++)
        if (map_put(&t->map, hash_of(t, i), i + 1) != OK)
            return ERR_FULL;
    return OK;
}

enum err by_user_add(struct by_user *t, struct str aor, void **ret_row)
{
    if (!aor.n || aor.n > BY_USER_AOR)
        return ERR_LIMIT;
    if (t->n >= t->max || (t->n == t->cap && grow(t) != OK) ||
        map_put(&t->map, siphash(&t->key, aor), t->n + 1) != OK)
        return ERR_FULL;
    uint8_t *row = by_user_at(t, t->n++);
    memset(row, 0, t->size);
    memcpy(row, aor.p, aor.n);
    *ret_row = row;
    return OK;
}

void by_user_drop(struct by_user *t, const void *row)
{
    uint32_t i = (uint32_t)((size_t)((const uint8_t *)row - t->v) / t->size), last = t->n - 1;
    (void)map_del(&t->map, hash_of(t, i), i + 1);
    if (i != last) {
        (void)map_del(&t->map, hash_of(t, last), last + 1);
        memcpy(by_user_at(t, i), by_user_at(t, last), t->size);
        CHECK(map_put(&t->map, hash_of(t, i), i + 1) == OK); /* two have just gone */
    }
    t->n--;
}

void by_user_text(char *to, size_t max, struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < max; i++)
        if (s.p[i] >= ' ' && s.p[i] <= '~')
            to[n++] = s.p[i];
    to[n] = '\0';
}
