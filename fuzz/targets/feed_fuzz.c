/* Any bytes as a feed: bounded, and what comes out is in order, apart from each other, never ours,
 * and reads as itself. The first byte chooses: text, JSON, or a URL. */
#include "base/cc.h"
#include "guard/feed.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 512u
static struct prefix v[ROOM], again[ROOM];
static char text[ROOM * 64];

static void check(const struct feed_list *l)
{
    CHECK(l->n <= ROOM);
    CHECK(l->bad <= l->lines && l->wide <= l->lines && l->inside <= l->lines);
    struct out o = out_of(text, sizeof text);
    for (uint32_t i = 0; i < l->n; i++) {
        const struct prefix *p = &l->v[i];
        CHECK(p->a.family == ADDR_V4 ? p->bits >= FEED_BITS4 && p->bits <= 32
                                     : p->bits >= FEED_BITS6 && p->bits <= 128);
        CHECK(!feed_inside(&p->a));
        CHECK(!i || !feed_overlap(&l->v[i - 1], p));
        addr_put_ip(&o, &p->a);
        out_fmt(&o, "/%u\n", p->bits);
    }
    CHECK(!o.full);
    struct feed_list b = {.v = again, .cap = ROOM};
    CHECK(feed_read(out_str(&o), false, &b) == OK);
    CHECK(b.n == l->n && b.bad == 0 && b.inside == 0 && b.wide == 0);
    feed_settle(&b);
    CHECK(b.n == l->n);
    for (uint32_t i = 0; i < b.n; i++)
        CHECK(again[i].bits == l->v[i].bits && addr_eq(&again[i].a, &l->v[i].a));
}

static void url(struct str s)
{
    struct feed_url u;
    const char *why = NULL;
    if (feed_url_parse(s, &u, &why) != OK) {
        CHECK(why);
        return;
    }
    struct out o = out_of(text, sizeof text);
    struct addr a;
    bool six = addr_parse_ip(u.host, &a) == OK && str_find(u.host, ':') < u.host.n;
    out_fmt(&o, "http%s://%s%.*s%s:%u", u.plain ? "" : "s", six ? "[" : "", (int)u.host.n, u.host.p,
            six ? "]" : "", u.port);
    out_put(&o, u.target);
    struct feed_url w;
    if (o.n > FEED_URL_MAX)
        return;
    CHECK(feed_url_parse(out_str(&o), &w, &why) == OK);
    CHECK(str_eq(w.host, u.host) && w.port == u.port && w.plain == u.plain &&
          str_eq(w.target, u.target));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct str s = str_of((const char *)data + 1, size - 1);
    if (data[0] % 3 == 2) {
        url(s);
        return 0;
    }
    struct feed_list l = {.v = v, .cap = ROOM};
    if (feed_read(s, data[0] % 3 == 1, &l) != OK)
        return 0;
    feed_settle(&l);
    check(&l);
    return 0;
}
