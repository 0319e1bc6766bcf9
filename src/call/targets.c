#include "call/targets.h"
#include "base/seq.h"

enum err targets_attach(struct targets_board *b, size_t bytes)
{
    if (bytes < sizeof *b)
        return ERR_RANGE;
    bool known = b->magic == TARGETS_MAGIC && b->bytes == sizeof *b;
    for (uint32_t i = 0; i < POLICY_PEERS; i++) {
        struct targets_slot *s = &b->slot[i];
        if (known && !(s->seq & 1))
            continue;
        s->seq |= 1; /* as a writer leaves it inside */
        s->row = (struct targets_row){0};
        seq_write_end(&s->seq);
    }
    b->magic = TARGETS_MAGIC;
    b->bytes = sizeof *b;
    __atomic_store_n(&b->changes, b->changes + 1, __ATOMIC_RELEASE);
    return OK;
}

void targets_put(struct targets_board *b, uint32_t slot, const struct targets_row *row)
{
    CHECK(slot < POLICY_PEERS);
    seq_write_begin(&b->slot[slot].seq);
    b->slot[slot].row = *row;
    seq_write_end(&b->slot[slot].seq);
    __atomic_store_n(&b->changes, b->changes + 1, __ATOMIC_RELEASE);
}

bool targets_ask(const struct policy *p, uint8_t peer, struct locate_ask *ret_a)
{
    const struct policy_peer *r = &p->peers[peer];
    struct locate_ask a = {.port = r->host_port,
                           .proto = r->proto,
                           .family = p->listeners[r->listener].bind.family,
                           .dnssec = r->dnssec};
    if (!r->host.len || dns_name_of(policy_text(p, r->host), &a.host) != OK)
        return false;
    *ret_a = a;
    return true;
}

bool targets_same(const struct locate_ask *a, const struct locate_ask *b)
{
    return a->port == b->port && a->proto == b->proto && a->family == b->family &&
           a->dnssec == b->dnssec && a->host.n <= DNS_NAME_MAX && b->host.n <= DNS_NAME_MAX &&
           str_eq(dns_name_str(&a->host), dns_name_str(&b->host));
}

static bool group_or_none(const struct addr *a)
{
    if (a->family == ADDR_V4)
        return a->ip[0] == 0 ||
               a->ip[0] >= 224; /* "this network"; multicast, reserved, broadcast */
    return a->ip[0] == 0xff;
}

bool targets_allowed(const struct policy *p, uint8_t peer, const struct addr *a)
{
    const struct policy_listener *l = &p->listeners[p->peers[peer].listener];
    if (a->family != l->bind.family || !a->port || addr_any(a) || group_or_none(a))
        return false;
    if (addr_loopback(a) && !addr_loopback(&l->bind))
        return false;
    for (unsigned i = 0; i < p->n_listeners; i++)
        if (addr_eq(&p->listeners[i].bind, a) || addr_eq(&p->listeners[i].advertise, a))
            return false;
    return true;
}

static bool sound(const struct targets_row *r, const struct policy *p, uint8_t peer)
{
    if (r->state > TARGETS_FAILED || r->n > LOCATE_ENTRIES || r->n_past > TARGETS_PAST ||
        r->why >= REASON_COUNT)
        return false;
    for (unsigned i = 0; i < r->n; i++)
        if (!targets_allowed(p, peer, &r->entry[i].a))
            return false;
    for (unsigned i = 0; i < r->n_past; i++)
        if (!targets_allowed(p, peer, &r->past[i].a))
            return false;
    return true;
}

enum err targets_get(const struct targets_board *b, size_t bytes, const struct policy *p,
                     uint8_t peer, struct targets_row *ret_row)
{
    struct locate_ask ask;
    struct targets_row row;
    if (bytes < sizeof *b || b->magic != TARGETS_MAGIC || b->bytes != sizeof *b)
        return ERR_SYNTAX;
    if (!targets_ask(p, peer, &ask))
        return ERR_NOT_FOUND;
    for (uint32_t i = 0; i < POLICY_PEERS; i++) {
        const struct targets_slot *s = &b->slot[i];
        /* a glance without the lock; the copy decides */
        if (s->row.ask.host.n != ask.host.n || !seq_read(&s->seq, &row, &s->row, sizeof row) ||
            !targets_same(&row.ask, &ask))
            continue;
        if (!sound(&row, p, peer))
            return ERR_SYNTAX;
        *ret_row = row;
        return OK;
    }
    return ERR_NOT_FOUND;
}

int targets_find(const struct targets_row *r, const struct addr *a)
{
    for (int i = 0; i < r->n; i++)
        if (addr_eq(&r->entry[i].a, a))
            return i;
    return -1;
}

bool targets_was(const struct targets_row *r, const struct addr *a, struct wall now)
{
    for (unsigned i = 0; i < r->n; i++)
        if (addr_eq_ip(&r->entry[i].a, a))
            return true;
    for (unsigned i = 0; i < r->n_past; i++)
        if (addr_eq_ip(&r->past[i].a, a) && r->past[i].until.us > now.us)
            return true;
    return false;
}

uint8_t targets_peer_of(const struct policy *p, const struct targets_row *rows, uint8_t zone,
                        const struct addr *source)
{
    uint8_t by_ip = policy_peer_of(p, zone, source);
    if (by_ip != POLICY_NONE || !rows)
        return by_ip;
    for (uint8_t i = 0; i < p->n_peers; i++) {
        if (p->peers[i].zone != zone || !p->peers[i].host.len)
            continue;
        if (targets_find(&rows[i], source) >= 0)
            return i;
        for (unsigned k = 0; k < rows[i].n && by_ip == POLICY_NONE; k++)
            if (addr_eq_ip(&rows[i].entry[k].a, source))
                by_ip = i;
    }
    return by_ip;
}
