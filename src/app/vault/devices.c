#include "app/vault/devices.h"
#include "app/vault/sealed.h"

void devices_init(struct devices *d, const struct sipkey *key)
{
    *d = (struct devices){.key = *key};
}

void devices_done(struct devices *d)
{
    free(d->v);
    free(d->map_mem);
    *d = (struct devices){0};
}

struct device *devices_next(const struct devices *d, struct str aor, uint32_t *it)
{
    uint32_t i;
    if (!d->map_mem)
        return NULL;
    while ((i = map_find(&d->map, siphash(&d->key, aor), it)) != 0)
        if (str_eq(str_c(d->v[i - 1].aor), aor))
            return &d->v[i - 1];
    return NULL;
}

struct device *devices_find(const struct devices *d, struct str aor, uint64_t id)
{
    uint32_t it = 0;
    struct device *x;
    while ((x = devices_next(d, aor, &it)) != NULL && x->id != id)
        ;
    return x;
}

static uint64_t hash_of(const struct devices *d, uint32_t i)
{
    return siphash(&d->key, str_c(d->v[i].aor));
}

static enum err grow(struct devices *d)
{
    uint32_t cap = d->cap ? d->cap * 2 : 64;
    void *mem = cap <= 2 * DEVICES_MAX ? malloc(map_bytes(cap)) : NULL;
    struct device *v = mem ? realloc(d->v, cap * sizeof *v) : NULL;
    if (!v) {
        free(mem);
        return ERR_FULL;
    }
    free(d->map_mem);
    d->v = v;
    d->cap = cap;
    d->map_mem = mem;
    map_init(&d->map, mem, cap);
    for (uint32_t i = 0; i < d->n; i++)
        if (map_put(&d->map, hash_of(d, i), i + 1) != OK)
            return ERR_FULL;
    return OK;
}

static void take_out(struct devices *d, uint32_t i)
{
    uint32_t last = d->n - 1;
    (void)map_del(&d->map, hash_of(d, i), i + 1);
    d->n_known -= d->v[i].state != DEVICE_NEW;
    if (i != last) {
        (void)map_del(&d->map, hash_of(d, last), last + 1);
        d->v[i] = d->v[last];
        CHECK(map_put(&d->map, hash_of(d, i), i + 1) == OK); /* two have just gone */
    }
    d->n--;
    d->changed = true;
}

void devices_forget(struct devices *d, struct str aor)
{
    const struct device *x;
    uint32_t it = 0;
    while ((x = devices_next(d, aor, &it)) != NULL) {
        take_out(d, (uint32_t)(x - d->v));
        it = 0;
    }
}

static void text_keep(char *to, size_t max, struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < max; i++)
        if (s.p[i] >= ' ' && s.p[i] <= '~')
            to[n++] = s.p[i];
    to[n] = '\0';
}

/* A thief who has the password must not fill the table with inventions. */
static void make_room(struct devices *d, struct str aor)
{
    const struct device *x, *oldest = NULL;
    uint32_t it = 0, n = 0;
    while ((x = devices_next(d, aor, &it)) != NULL) {
        n += x->state == DEVICE_NEW;
        if (x->state == DEVICE_NEW && (!oldest || x->first.us < oldest->first.us))
            oldest = x;
    }
    if (n >= DEVICES_NEW_MAX)
        take_out(d, (uint32_t)(oldest - d->v));
}

enum err devices_seen(struct devices *d, struct str aor, uint64_t id, enum device_by by,
                      struct str agent, struct wall now)
{
    if (!aor.n || aor.n > DEVICE_AOR_MAX || !id)
        return ERR_LIMIT;
    if (devices_find(d, aor, id))
        return ERR_EXISTS;
    make_room(d, aor);
    if (d->n >= DEVICES_MAX || (d->n == d->cap && grow(d) != OK) ||
        map_put(&d->map, siphash(&d->key, aor), d->n + 1) != OK)
        return ERR_FULL;
    struct device *x = &d->v[d->n++];
    *x = (struct device){.id = id, .by = (uint8_t)by, .first = now};
    memcpy(x->aor, aor.p, aor.n);
    text_keep(x->name, DEVICE_NAME_MAX, agent);
    d->changed = true;
    return OK;
}

enum err devices_decide(struct devices *d, struct device *x, enum directory_state s, struct str who,
                        struct wall now)
{
    uint32_t it = 0, n = 0;
    const struct device *y;
    while ((y = devices_next(d, str_c(x->aor), &it)) != NULL)
        n += y->state != DEVICE_NEW;
    if (x->state == DEVICE_NEW && n >= DIRECTORY_DEVICES)
        return ERR_LIMIT;
    d->n_known += x->state == DEVICE_NEW;
    x->state = (uint8_t)s;
    x->decided = now;
    text_keep(x->approved_by, DEVICE_BY_MAX, who);
    d->changed = true;
    return OK;
}

enum err device_rename(struct device *x, struct str name)
{
    if (!name.n || name.n > DEVICE_NAME_MAX)
        return ERR_SYNTAX;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < ' ' || name.p[i] > '~')
            return ERR_SYNTAX;
    text_keep(x->name, DEVICE_NAME_MAX, name);
    return OK;
}

const char *device_state_name(uint8_t state)
{
    return state == DEVICE_APPROVED ? "approved" : state == DEVICE_REVOKED ? "revoked" : "new";
}

const char *device_by_name(uint8_t by)
{
    return by == DEVICE_BY_CERT       ? "certificate"
           : by == DEVICE_BY_INSTANCE ? "instance"
                                      : "address and agent";
}

/* --- the file --- */

size_t devices_bytes(const struct devices *d)
{
    return SEALED_EXTRA + (size_t)d->n * (DEVICE_AOR_MAX + DEVICE_NAME_MAX + DEVICE_BY_MAX + 96);
}

enum err devices_print(const struct devices *d, struct out *o)
{
    char id[DEVICE_TEXT];
    sealed_head(o, STR("devices"));
    for (uint32_t i = 0; i < d->n; i++) {
        const struct device *x = &d->v[i];
        device_text(x->id, id);
        out_put(o, str_c(x->aor));
        out_ch(o, '\t');
        out_put(o, str_c(id));
        out_ch(o, '\t');
        out_u64(o, x->by);
        out_ch(o, '\t');
        out_u64(o, x->state);
        out_ch(o, '\t');
        out_u64(o, (uint64_t)x->first.us);
        out_ch(o, '\t');
        out_u64(o, (uint64_t)x->decided.us);
        out_ch(o, '\t');
        out_put(o, str_c(x->name));
        out_ch(o, '\t');
        out_put(o, str_c(x->approved_by));
        out_ch(o, '\n');
    }
    return sealed_tail(o, d->n);
}

static enum err read_one(struct devices *d, const struct str f[8])
{
    uint32_t by, state;
    uint64_t id, first, decided;
    if (!device_parse(f[1], &id) || str_u32(f[2], DEVICE_BY_PLACE, &by) != OK || !by ||
        str_u32(f[3], DEVICE_REVOKED, &state) != OK || str_u64(f[4], INT64_MAX, &first) != OK ||
        str_u64(f[5], INT64_MAX, &decided) != OK || f[6].n > DEVICE_NAME_MAX ||
        f[7].n > DEVICE_BY_MAX)
        return ERR_SYNTAX;
    enum err e = devices_seen(d, f[0], id, (enum device_by)by, f[6], (struct wall){(int64_t)first});
    struct device *x = e == OK ? devices_find(d, f[0], id) : NULL;
    if (x && state != DEVICE_NEW)
        e = devices_decide(d, x, (enum directory_state)state, f[7],
                           (struct wall){(int64_t)decided});
    return e;
}

enum err devices_parse(struct devices *d, struct str file, uint32_t *reterr_line,
                       const char **reterr_why)
{
    struct sealed s;
    struct str f[8];
    enum err e = sealed_open(&s, file, STR("devices"));
    while (e == OK && (e = sealed_next(&s, f, 8)) == OK) {
        e = read_one(d, f);
        if (e != OK)
            s.why = "the line of a device is malformed";
    }
    d->changed = false;
    if (e == ERR_NOT_FOUND)
        return OK;
    *reterr_line = s.line;
    *reterr_why = s.why;
    return ERR_SYNTAX;
}
