#include "app/vault/devices.h"
#include "app/vault/sealed.h"

void devices_init(struct devices *d, const struct sipkey *key)
{
    *d = (struct devices){0};
    by_user_init(&d->rows, sizeof(struct device), DEVICES_MAX, key);
}

void devices_done(struct devices *d)
{
    by_user_done(&d->rows);
    *d = (struct devices){0};
}

struct device *devices_next(const struct devices *d, struct str aor, uint32_t *it)
{
    return by_user_next(&d->rows, aor, it);
}

struct device *devices_find(const struct devices *d, struct str aor, uint64_t id)
{
    uint32_t it = 0;
    struct device *x;
    while ((x = devices_next(d, aor, &it)) != NULL && x->id != id)
        ;
    return x;
}

static void take_out(struct devices *d, const struct device *x)
{
    d->n_known -= x->state != DEVICE_NEW;
    d->changed = true;
    by_user_drop(&d->rows, x);
}

void devices_forget(struct devices *d, struct str aor)
{
    const struct device *x;
    uint32_t it = 0;
    while ((x = devices_next(d, aor, &it)) != NULL) {
        take_out(d, x);
        it = 0;
    }
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
        take_out(d, oldest);
}

enum err devices_seen(struct devices *d, struct str aor, uint64_t id, enum device_by by,
                      struct str agent, struct wall now)
{
    void *row;
    if (!aor.n || aor.n > DEVICE_AOR_MAX || !id)
        return ERR_LIMIT;
    if (devices_find(d, aor, id))
        return ERR_EXISTS;
    make_room(d, aor);
    enum err e = by_user_add(&d->rows, aor, &row);
    if (e != OK)
        return e;
    struct device *x = row;
    x->id = id;
    x->by = (uint8_t)by;
    x->first = now;
    by_user_text(x->name, DEVICE_NAME_MAX, agent);
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
    by_user_text(x->approved_by, DEVICE_BY_MAX, who);
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
    by_user_text(x->name, DEVICE_NAME_MAX, name);
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
    return SEALED_EXTRA +
           (size_t)d->rows.n * (DEVICE_AOR_MAX + DEVICE_NAME_MAX + DEVICE_BY_MAX + 96);
}

enum err devices_print(const struct devices *d, struct out *o)
{
    char id[DEVICE_TEXT];
    sealed_head(o, STR("devices"));
    for (uint32_t i = 0; i < d->rows.n; i++) {
        const struct device *x = by_user_at(&d->rows, i);
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
    return sealed_tail(o, d->rows.n);
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
