/* Which line of the file says something, so that `explain` can point at it. */
#include "app/config/yaml.h"
#include <stdlib.h>

static bool is(struct fy_node *n, struct str word)
{
    size_t len = 0;
    const char *p = n ? fy_node_get_scalar(n, &len) : NULL;
    return p && str_eq(str_of(p, len), word);
}

static struct fy_node_pair *pair_of(struct fy_node *map, struct str key)
{
    void *it = NULL;
    struct fy_node_pair *p;
    if (!map || !fy_node_is_mapping(map))
        return NULL;
    while ((p = fy_node_mapping_iterate(map, &it)) && !is(fy_node_pair_key(p), key))
        ;
    return p;
}

static struct fy_node *value_of(struct fy_node *map, struct str key)
{
    struct fy_node_pair *p = pair_of(map, key);
    return p ? fy_node_pair_value(p) : NULL;
}

/* Entries of a list go by one of these. */
static struct fy_node *named(struct fy_node *item, struct str word)
{
    static const char *const by[] = {"name", "country", "prefix"};
    struct str bare = str_starts(word, STR("+")) ? str_skip(word, 1) : word;
    for (size_t i = 0; i < ARRAY_LEN(by); i++) {
        struct fy_node *v = value_of(item, str_c(by[i]));
        if (is(v, word) || is(v, bare))
            return v;
    }
    return NULL;
}

/* What goes by that word in n, a mapping or a list: where it begins, and what it holds. */
static bool step(struct fy_node *n, struct str word, struct pos *ret_at, struct fy_node **ret_in)
{
    void *it = NULL;
    struct fy_node *item, *v;
    struct fy_node_pair *p = pair_of(n, word);
    if (p) {
        *ret_at = pos_of(fy_node_pair_key(p));
        *ret_in = fy_node_pair_value(p);
        return true;
    }
    if (!n || !fy_node_is_sequence(n))
        return false;
    while ((item = fy_node_sequence_iterate(n, &it)))
        if ((v = named(item, word))) {
            *ret_at = pos_of(v);
            *ret_in = item;
            return true;
        }
    return false;
}

uint32_t where_line(struct fy_node *root, const struct config_where *w)
{
    struct pos at = {0, 0}, key_at;
    struct fy_node *in = root;
    if (!step(in, w->section, &at, &in) || (w->entry.n && !step(in, w->entry, &at, &in)))
        return 0;
    if (w->key.n && step(in, w->key, &key_at, &in))
        return key_at.line;
    return w->entry.n ? at.line : 0;
}

uint32_t config_line(const char *path, const struct config_where *w)
{
    struct config *c = calloc(1, sizeof *c);
    struct config_errors *e = calloc(1, sizeof *e);
    struct config_where found = *w;
    const struct config_opts o = {.where = &found};
    found.line = 0;
    if (c && e && config_load(path, &o, c, e) != OK)
        found.line = 0;
    free(c);
    free(e);
    return found.line;
}
