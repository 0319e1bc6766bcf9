#include "call/directory.h"
#include <stdalign.h>

static uint64_t fnv(struct str user, struct str host)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < user.n; i++)
        h = (h ^ (uint8_t)user.p[i]) * 0x100000001b3u;
    h = (h ^ '@') * 0x100000001b3u;
    for (size_t i = 0; i < host.n; i++)
        h = (h ^ (uint8_t)ascii_lower(host.p[i])) * 0x100000001b3u;
    return h ^ (h >> 29);
}

static uint32_t slots_for(uint32_t n)
{
    uint32_t s = 16;
    while (s < n * 2)
        s *= 2;
    return s;
}

size_t directory_bytes(uint32_t n_users, size_t text_bytes)
{
    return sizeof(struct directory) + (size_t)n_users * sizeof(struct directory_user) +
           (size_t)slots_for(n_users) * sizeof(uint32_t) + text_bytes;
}

static struct directory_user *users(struct directory *d)
{
    return (struct directory_user *)(void *)((uint8_t *)d + d->users_off);
}
static const struct directory_user *users_const(const struct directory *d)
{
    return (const struct directory_user *)(const void *)((const uint8_t *)d + d->users_off);
}
static const uint32_t *slots_const(const struct directory *d)
{
    return (const uint32_t *)(const void *)((const uint8_t *)d + d->slots_off);
}

void directory_begin(struct directory *d, uint32_t n_users, size_t text_bytes)
{
    memset(d, 0, sizeof *d);
    d->magic = DIRECTORY_MAGIC;
    d->version = 1;
    d->bytes = directory_bytes(n_users, text_bytes);
    d->n_slots = slots_for(n_users);
    d->users_off = sizeof *d;
    d->slots_off = d->users_off + (uint64_t)n_users * sizeof(struct directory_user);
    d->text_off = d->slots_off + (uint64_t)d->n_slots * sizeof(uint32_t);
    d->text_cap = text_bytes;
}

enum err directory_add(struct directory *d, struct str aor, struct str role, struct wall md5_until)
{
    struct str host = aor, user;
    host = str_cut(aor, '@', &user);
    uint64_t cap = (d->slots_off - d->users_off) / sizeof(struct directory_user);
    if (!user.n || !host.n || aor.n > DIRECTORY_AOR_MAX || role.n >= sizeof users(d)->role_name)
        return ERR_LIMIT;
    if (d->n_users >= cap || d->text_n + aor.n > d->text_cap)
        return ERR_FULL;
    if (directory_find(d, user, host))
        return ERR_EXISTS;
    struct directory_user *u = &users(d)[d->n_users];
    u->aor_off = (uint32_t)d->text_n;
    u->aor_len = (uint16_t)aor.n;
    u->md5_until = md5_until;
    memcpy(u->role_name, role.p, role.n);
    memcpy((char *)d + d->text_off + d->text_n, aor.p, aor.n);
    d->text_n += aor.n;
    d->n_md5 += md5_until.us > 0;
    uint32_t *slot = (uint32_t *)(void *)((uint8_t *)d + d->slots_off);
    uint32_t i = (uint32_t)fnv(user, host) & (d->n_slots - 1);
    while (slot[i])
        i = (i + 1) & (d->n_slots - 1);
    slot[i] = ++d->n_users;
    return OK;
}

enum err directory_valid(const struct directory *d, size_t bytes)
{
    if (bytes < sizeof *d || d->magic != DIRECTORY_MAGIC || d->version != 1 || d->bytes > bytes)
        return ERR_SYNTAX;
    if (!d->n_slots || (d->n_slots & (d->n_slots - 1)) || d->n_users > d->n_slots / 2 ||
        d->users_off != sizeof *d || d->slots_off < d->users_off || d->slots_off > d->bytes ||
        d->text_off != d->slots_off + (uint64_t)d->n_slots * sizeof(uint32_t) ||
        d->text_off > d->bytes || d->text_n > d->bytes - d->text_off ||
        d->n_users > (d->slots_off - d->users_off) / sizeof(struct directory_user) ||
        d->slots_off % alignof(uint32_t))
        return ERR_RANGE;
    for (uint32_t i = 0; i < d->n_users; i++) {
        const struct directory_user *u = &users_const(d)[i];
        if ((uint64_t)u->aor_off + u->aor_len > d->text_n ||
            !memchr(u->role_name, 0, sizeof u->role_name))
            return ERR_RANGE;
    }
    for (uint32_t i = 0; i < d->n_slots; i++)
        if (slots_const(d)[i] > d->n_users)
            return ERR_RANGE;
    return OK;
}

const struct directory_user *directory_find(const struct directory *d, struct str user,
                                            struct str host)
{
    if (!d || !d->n_users || !user.n || !host.n)
        return NULL;
    const uint32_t *slot = slots_const(d);
    const char *text = (const char *)d + d->text_off;
    uint32_t i = (uint32_t)fnv(user, host) & (d->n_slots - 1);
    for (uint32_t tries = 0; slot[i] && tries < d->n_slots;
         tries++, i = (i + 1) & (d->n_slots - 1)) {
        const struct directory_user *u = &users_const(d)[slot[i] - 1];
        struct str have_host, have_user;
        have_host = str_cut(str_of(text + u->aor_off, u->aor_len), '@', &have_user);
        if (str_eq(have_user, user) && str_ieq(have_host, host))
            return u;
    }
    return NULL;
}
