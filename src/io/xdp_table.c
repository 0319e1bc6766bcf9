/* The table of bans that the program in the kernel reads while it is written: xdp_map.h. */
#include "io/xdp.h"

/* The two lines of a key. */
static void lines_of(struct xdp_line *t, uint32_t lines, uint64_t seed, uint64_t key,
                     struct xdp_line *ret_l[2])
{
    uint64_t h = xdp_mix(key ^ seed);
    ret_l[0] = &t[(uint32_t)h & (lines - 1)];
    ret_l[1] = &t[(uint32_t)(h >> 32) & (lines - 1)];
}

static struct xdp_cell *in_line(struct xdp_line *l, uint64_t key)
{
    for (uint32_t i = 0; i < XDP_WAYS; i++)
        if (l->cell[i].key == key)
            return &l->cell[i];
    return NULL;
}

static struct xdp_cell *room_in(struct xdp_line *l)
{
    struct xdp_cell *c = in_line(l, XDP_GONE);
    return c ? c : in_line(l, 0);
}

static void write_cell(struct xdp_cell *c, uint64_t key, uint32_t until, uint32_t hits)
{
    __atomic_store_n(&c->until, until, __ATOMIC_RELAXED);
    __atomic_store_n(&c->hits, hits, __ATOMIC_RELAXED);
    __atomic_store_n(&c->key, key, __ATOMIC_RELEASE);
}

struct xdp_cell *xdp_table_find(struct xdp_line *t, uint32_t lines, uint64_t seed, uint64_t key)
{
    struct xdp_line *l[2];
    lines_of(t, lines, seed, key, l);
    struct xdp_cell *c = in_line(l[0], key);
    return c ? c : in_line(l[1], key);
}

/* Both lines are full: one that lies here moves to its other line. */
static struct xdp_cell *make_room(struct xdp_line *t, uint32_t lines, uint64_t seed,
                                  struct xdp_line *l)
{
    for (uint32_t i = 0; i < XDP_WAYS; i++) {
        struct xdp_cell *c = &l->cell[i];
        struct xdp_line *of[2];
        lines_of(t, lines, seed, c->key, of);
        struct xdp_line *other = of[0] == l ? of[1] : of[0];
        struct xdp_cell *to = other == l ? NULL : room_in(other);
        if (!to)
            continue;
        write_cell(to, c->key, c->until, c->hits);
        return c;
    }
    return NULL;
}

enum err xdp_table_put(struct xdp_line *t, uint32_t lines, uint64_t seed, uint64_t key,
                       uint32_t until, uint32_t turn)
{
    struct xdp_line *l[2];
    uint32_t whole = until | turn << XDP_TURN_SHIFT;
    if (key == 0 || key == XDP_GONE)
        return ERR_RANGE;
    struct xdp_cell *c = xdp_table_find(t, lines, seed, key);
    if (c) {
        __atomic_store_n(&c->until, whole, __ATOMIC_RELAXED);
        return OK;
    }
    lines_of(t, lines, seed, key, l);
    for (int k = 0; k < 2 && !c; k++)
        c = room_in(l[k]);
    for (int k = 0; k < 2 && !c; k++)
        c = make_room(t, lines, seed, l[k]);
    if (!c)
        return ERR_FULL;
    write_cell(c, key, whole, 0);
    return OK;
}

void xdp_table_free(struct xdp_line *t, struct xdp_cell *c)
{
    const struct xdp_line *l = &t[(size_t)((const char *)c - (const char *)t) / sizeof *t];
    bool full = true;
    for (uint32_t i = 0; i < XDP_WAYS; i++)
        full = full && l->cell[i].key != 0;
    __atomic_store_n(&c->key, full ? XDP_GONE : 0, __ATOMIC_RELEASE);
}
