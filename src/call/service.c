#include "call/service.h"
#include "base/seq.h"
#include "call/location.h"
#include "call/policy.h"

#define CHAIN 32u

static uint32_t slots_for(uint32_t cap)
{
    uint32_t n = 2 * CHAIN;
    while (n / 2 < cap && n < 1u << 30)
        n *= 2;
    return n;
}

size_t service_bytes(uint32_t cap)
{
    return sizeof(struct service_board) + (size_t)slots_for(cap) * sizeof(struct service_slot);
}

uint32_t service_cap(uint32_t bindings)
{
    return bindings + POLICY_PEERS;
}

size_t service_at(uint32_t bindings)
{
    return (location_bytes(bindings) + 63) & ~(size_t)63;
}

size_t service_end(uint32_t bindings)
{
    return service_at(bindings) + service_bytes(service_cap(bindings));
}

static uint32_t place(uint32_t cap, uint64_t key, uint32_t i)
{
    return ((uint32_t)key + i) & (slots_for(cap) - 1);
}

/* Half-written: its writer, who was us before we died, did not finish. */
static bool torn(const struct service_slot *s)
{
    return s->seq & 1;
}

static struct service_slot *own(struct service_board *b, uint32_t cap, uint64_t key)
{
    for (uint32_t i = 0; i < CHAIN; i++) {
        struct service_slot *s = &b->slot[place(cap, key, i)];
        if (!s->seq)
            return NULL;
        if (!torn(s) && s->row.key == key)
            return s;
    }
    return NULL;
}

static void put(struct service_slot *s, const struct service_row *row)
{
    seq_write_begin(&s->seq);
    s->row = *row;
    seq_write_end(&s->seq);
    if (!s->seq) /* after 2^32 writes: 0 would end chains */
        __atomic_store_n(&s->seq, 2, __ATOMIC_RELEASE);
}

enum err service_put(struct service_board *b, uint32_t cap, uint64_t key, struct str route,
                     struct wall until, struct wall now)
{
    struct service_row row = {.key = key, .until = until, .n = (uint32_t)route.n};
    struct service_slot *s = own(b, cap, key);
    CHECK(key && route.n && route.n <= SERVICE_ROUTE_MAX);
    memcpy(row.route, route.p, route.n);
    for (uint32_t i = 0; i < CHAIN && !s; i++) {
        struct service_slot *x = &b->slot[place(cap, key, i)];
        if (!x->seq || torn(x) || !x->row.key || x->row.until.us <= now.us)
            s = x;
    }
    if (!s)
        return ERR_FULL;
    put(s, &row);
    __atomic_store_n(&b->any, 1, __ATOMIC_RELEASE);
    return OK;
}

void service_del(struct service_board *b, uint32_t cap, uint64_t key)
{
    static const struct service_row none;
    struct service_slot *s = b->any ? own(b, cap, key) : NULL;
    if (s)
        put(s, &none);
}

static bool sound(const struct service_row *r)
{
    if (!r->n || r->n > SERVICE_ROUTE_MAX)
        return false;
    for (uint32_t i = 0; i < r->n; i++)
        if ((uint8_t)r->route[i] < ' ' || r->route[i] == 0x7f)
            return false;
    return true;
}

struct str service_get(const struct service_board *b, uint32_t cap, uint64_t key, struct wall now,
                       char ret[SERVICE_ROUTE_MAX])
{
    struct service_row row;
    for (uint32_t i = 0; i < CHAIN && __atomic_load_n(&b->any, __ATOMIC_ACQUIRE); i++) {
        const struct service_slot *s = &b->slot[place(cap, key, i)];
        if (!__atomic_load_n(&s->seq, __ATOMIC_ACQUIRE))
            return STR_NONE;
        /* a glance without the lock; the copy decides */
        if (__atomic_load_n(&s->row.key, __ATOMIC_RELAXED) != key ||
            !seq_read(&s->seq, &row, &s->row, sizeof row) || row.key != key ||
            row.until.us <= now.us)
            continue;
        if (!sound(&row))
            return STR_NONE;
        memcpy(ret, row.route, row.n);
        return str_of(ret, row.n);
    }
    return STR_NONE;
}
