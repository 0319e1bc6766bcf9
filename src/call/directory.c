#include "call/directory.h"

#define DIRECTORY_VERSION 3u

static uint64_t fnv_on(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    return h;
}

static uint64_t fnv(struct str user, struct str host)
{
    uint64_t h = fnv_on(0xcbf29ce484222325u, user);
    h = (h ^ '@') * 0x100000001b3u;
    for (size_t i = 0; i < host.n; i++)
        h = (h ^ (uint8_t)ascii_lower(host.p[i])) * 0x100000001b3u;
    return h ^ (h >> 29);
}

static uint32_t number_hash(struct str e164)
{
    uint64_t h = fnv_on(0xcbf29ce484222325u, e164);
    return (uint32_t)(h ^ (h >> 29));
}

static uint32_t slots_for(uint32_t n)
{
    uint32_t s = 16;
    while (s < (uint64_t)n * 2)
        s *= 2;
    return s;
}

/* Where everything lies, from the counts that the header holds. */
static void lay_out(struct directory *d)
{
    d->users_off = sizeof *d;
    d->devices_off = d->users_off + (uint64_t)d->users_cap * sizeof(struct directory_user);
    d->slots_off = d->devices_off + (uint64_t)d->devices_cap * sizeof(struct directory_device);
    d->numbers_off = d->slots_off + (uint64_t)d->n_slots * sizeof(uint32_t);
    d->countries_off = d->numbers_off + (uint64_t)d->number_slots * sizeof(struct directory_number);
    d->text_off = d->countries_off + (uint64_t)d->countries_cap * sizeof(uint16_t);
    d->bytes = d->text_off + d->text_cap;
}

void directory_begin_of(struct directory *d, const struct directory_room *r)
{
    *d = (struct directory){.magic = DIRECTORY_MAGIC,
                            .version = DIRECTORY_VERSION,
                            .n_slots = slots_for(r->users),
                            .users_cap = r->users,
                            .devices_cap = r->devices,
                            .number_slots = r->numbers ? slots_for(r->numbers) : 0,
                            .countries_cap = r->countries,
                            .text_cap = r->text};
    lay_out(d);
}

void directory_begin(struct directory *d, uint32_t n_users, size_t text_bytes)
{
    directory_begin_of(d, &(struct directory_room){.users = n_users, .text = text_bytes});
}

size_t directory_bytes_of(const struct directory_room *r)
{
    struct directory d;
    directory_begin_of(&d, r);
    return (size_t)d.bytes;
}

size_t directory_bytes(uint32_t n_users, size_t text_bytes)
{
    return directory_bytes_of(&(struct directory_room){.users = n_users, .text = text_bytes});
}

static void *at(struct directory *d, uint64_t off)
{
    return (uint8_t *)d + off;
}
static const void *at_const(const struct directory *d, uint64_t off)
{
    return (const uint8_t *)d + off;
}
static const struct directory_user *user_at(const struct directory *d, uint32_t i)
{
    return (const struct directory_user *)at_const(d, d->users_off) + i;
}

static struct str text_of(const struct directory *d, uint32_t off, uint32_t n)
{
    return str_of((const char *)d + d->text_off + off, n);
}

struct str directory_aor(const struct directory *d, const struct directory_user *u)
{
    return text_of(d, u->aor_off, u->aor_len);
}

static uint32_t text_put(struct directory *d, struct str s)
{
    uint32_t off = (uint32_t)d->text_n;
    memcpy((char *)d + d->text_off + off, s.p, s.n);
    d->text_n += s.n;
    return off;
}

static bool word_next(struct str *rest, struct str *ret)
{
    do
        *rest = str_cut(*rest, ' ', ret);
    while (!ret->n && rest->n);
    return ret->n > 0;
}

/* How many numbers, and their text with a space behind each. ERR_EXISTS: one is taken, or twice
 * there. */
static enum err numbers_count(const struct directory *d, struct str numbers, uint32_t *ret_n,
                              size_t *ret_bytes)
{
    struct str one, before, rest = numbers;
    *ret_n = 0;
    *ret_bytes = 0;
    while (word_next(&rest, &one)) {
        if (directory_number(d, one))
            return ERR_EXISTS;
        struct str early = str_of(numbers.p, (size_t)(one.p - numbers.p));
        while (word_next(&early, &before))
            if (str_eq(before, one))
                return ERR_EXISTS;
        if (++*ret_n > DIRECTORY_NUMBERS)
            return ERR_LIMIT;
        *ret_bytes += one.n + 1;
    }
    return d->n_numbers + *ret_n > d->number_slots / 2 ? ERR_FULL : OK;
}

static void numbers_put(struct directory *d, struct directory_user *u, struct str numbers)
{
    struct str one;
    struct directory_number *slot = at(d, d->numbers_off);
    u->numbers_off = (uint32_t)d->text_n;
    while (word_next(&numbers, &one)) {
        uint32_t i = number_hash(one) & (d->number_slots - 1);
        while (slot[i].user)
            i = (i + 1) & (d->number_slots - 1);
        slot[i] = (struct directory_number){d->n_users + 1, text_put(d, one), (uint32_t)one.n};
        (void)text_put(d, STR(" "));
        d->n_numbers++;
        u->n_numbers++;
    }
    u->numbers_len = (uint16_t)(d->text_n - u->numbers_off);
}

#define NUMBERS_TEXT_MAX (DIRECTORY_NUMBERS * 64u)

static enum err fits(const struct directory *d, const struct directory_entry *e, struct str user,
                     struct str host)
{
    uint32_t n_numbers;
    size_t numbers_bytes;
    if (!user.n || !host.n || e->aor.n > DIRECTORY_AOR_MAX || e->role.n > 20 || e->site.n > 20 ||
        e->n_devices > DIRECTORY_DEVICES || e->n_countries > DIRECTORY_COUNTRIES)
        return ERR_LIMIT;
    if (directory_find(d, user, host))
        return ERR_EXISTS;
    enum err bad = numbers_count(d, e->numbers, &n_numbers, &numbers_bytes);
    if (bad != OK)
        return bad;
    if (numbers_bytes > NUMBERS_TEXT_MAX)
        return ERR_LIMIT;
    if (d->n_users >= d->users_cap || e->n_devices > d->devices_cap - d->n_devices ||
        e->n_countries > d->countries_cap - d->n_countries ||
        d->text_n + e->aor.n + numbers_bytes > d->text_cap)
        return ERR_FULL;
    return OK;
}

enum err directory_put(struct directory *d, const struct directory_entry *e)
{
    struct str user, host = str_cut(e->aor, '@', &user);
    enum err bad = fits(d, e, user, host);
    if (bad != OK)
        return bad;
    struct directory_user *u = (struct directory_user *)at(d, d->users_off) + d->n_users;
    *u = (struct directory_user){.aor_off = text_put(d, e->aor),
                                 .aor_len = (uint16_t)e->aor.n,
                                 .md5_until = e->md5_until,
                                 .password_until = e->password_until,
                                 .flags = e->flags,
                                 .n_devices = e->n_devices,
                                 .devices_at = d->n_devices,
                                 .n_countries = e->n_countries,
                                 .countries_at = d->n_countries};
    if (e->role.n)
        memcpy(u->role_name, e->role.p, e->role.n);
    if (e->site.n)
        memcpy(u->site_name, e->site.p, e->site.n);
    if (e->n_devices)
        memcpy((struct directory_device *)at(d, d->devices_off) + d->n_devices, e->devices,
               e->n_devices * sizeof *e->devices);
    if (e->n_countries)
        memcpy((uint16_t *)at(d, d->countries_off) + d->n_countries, e->countries,
               e->n_countries * sizeof *e->countries);
    d->n_devices += e->n_devices;
    d->n_countries += e->n_countries;
    d->n_md5 += e->md5_until.us > 0;
    numbers_put(d, u, e->numbers);
    uint32_t *slot = at(d, d->slots_off);
    uint32_t i = (uint32_t)fnv(user, host) & (d->n_slots - 1);
    while (slot[i])
        i = (i + 1) & (d->n_slots - 1);
    slot[i] = ++d->n_users;
    return OK;
}

enum err directory_add(struct directory *d, struct str aor, struct str role, struct wall md5_until)
{
    return directory_put(
        d, &(struct directory_entry){.aor = aor, .role = role, .md5_until = md5_until});
}

/* --- a blob of somebody else --- */

static bool slots_power(uint32_t n, uint32_t used)
{
    return (n & (n - 1)) == 0 && used <= n / 2;
}

static bool laid_out(const struct directory *d, size_t bytes)
{
    struct directory x = *d;
    if (d->text_cap > bytes || d->text_n > d->text_cap || !d->n_slots ||
        !slots_power(d->n_slots, d->n_users) || !slots_power(d->number_slots, d->n_numbers) ||
        d->n_users > d->users_cap || d->n_devices > d->devices_cap ||
        d->n_countries > d->countries_cap)
        return false;
    lay_out(&x);
    return memcmp(&x, d, sizeof x) == 0 && d->bytes <= bytes;
}

static bool user_sound(const struct directory *d, const struct directory_user *u)
{
    if ((uint64_t)u->aor_off + u->aor_len > d->text_n || u->aor_len > DIRECTORY_AOR_MAX ||
        (uint64_t)u->numbers_off + u->numbers_len > d->text_n ||
        u->numbers_len > NUMBERS_TEXT_MAX || u->n_numbers > DIRECTORY_NUMBERS ||
        u->n_devices > DIRECTORY_DEVICES || (uint64_t)u->devices_at + u->n_devices > d->n_devices ||
        u->n_countries > DIRECTORY_COUNTRIES ||
        (uint64_t)u->countries_at + u->n_countries > d->n_countries)
        return false;
    return memchr(u->role_name, 0, sizeof u->role_name) &&
           memchr(u->site_name, 0, sizeof u->site_name);
}

enum err directory_valid(const struct directory *d, size_t bytes)
{
    if (bytes < sizeof *d || d->magic != DIRECTORY_MAGIC || d->version != DIRECTORY_VERSION ||
        d->bytes > bytes)
        return ERR_SYNTAX;
    if (!laid_out(d, bytes))
        return ERR_RANGE;
    for (uint32_t i = 0; i < d->n_users; i++)
        if (!user_sound(d, user_at(d, i)))
            return ERR_RANGE;
    const struct directory_device *v = at_const(d, d->devices_off);
    for (uint32_t i = 0; i < d->n_devices; i++)
        if (v[i].state != DEVICE_APPROVED && v[i].state != DEVICE_REVOKED)
            return ERR_RANGE;
    const uint32_t *slot = at_const(d, d->slots_off);
    for (uint32_t i = 0; i < d->n_slots; i++)
        if (slot[i] > d->n_users)
            return ERR_RANGE;
    const struct directory_number *number = at_const(d, d->numbers_off);
    for (uint32_t i = 0; i < d->number_slots; i++)
        if (number[i].user > d->n_users || (uint64_t)number[i].off + number[i].len > d->text_n)
            return ERR_RANGE;
    return OK;
}

/* --- looking up --- */

const struct directory_user *directory_find(const struct directory *d, struct str user,
                                            struct str host)
{
    if (!d || !d->n_users || !user.n || !host.n)
        return NULL;
    const uint32_t *slot = at_const(d, d->slots_off);
    uint32_t i = (uint32_t)fnv(user, host) & (d->n_slots - 1);
    for (uint32_t tries = 0; slot[i] && tries < d->n_slots;
         tries++, i = (i + 1) & (d->n_slots - 1)) {
        const struct directory_user *u = user_at(d, slot[i] - 1);
        struct str have_host, have_user;
        have_host = str_cut(directory_aor(d, u), '@', &have_user);
        if (str_eq(have_user, user) && str_ieq(have_host, host))
            return u;
    }
    return NULL;
}

uint8_t directory_device(const struct directory *d, const struct directory_user *u, uint64_t id)
{
    const struct directory_device *v = at_const(d, d->devices_off);
    for (uint32_t i = 0; i < u->n_devices; i++)
        if (v[u->devices_at + i].id == id)
            return v[u->devices_at + i].state;
    return 0;
}

bool directory_country(const struct directory *d, const struct directory_user *u, uint16_t country)
{
    if (!u)
        return false;
    const uint16_t *v = (const uint16_t *)at_const(d, d->countries_off) + u->countries_at;
    for (uint32_t i = 0; i < u->n_countries; i++)
        if (v[i] == country)
            return true;
    return false;
}

const struct directory_user *directory_number(const struct directory *d, struct str e164)
{
    if (!d || !d->n_numbers || !e164.n)
        return NULL;
    const struct directory_number *slot = at_const(d, d->numbers_off);
    uint32_t i = number_hash(e164) & (d->number_slots - 1);
    for (uint32_t tries = 0; slot[i].user && tries < d->number_slots;
         tries++, i = (i + 1) & (d->number_slots - 1))
        if (str_eq(text_of(d, slot[i].off, slot[i].len), e164))
            return user_at(d, slot[i].user - 1);
    return NULL;
}

struct str directory_number_of(const struct directory *d, const struct directory_user *u,
                               unsigned n)
{
    struct str one = STR_NONE, rest = text_of(d, u->numbers_off, u->numbers_len);
    for (unsigned i = 0; i <= n; i++)
        if (!word_next(&rest, &one))
            return STR_NONE;
    return one;
}
