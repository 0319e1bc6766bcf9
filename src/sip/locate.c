#include "sip/locate.h"

enum stage { STAGE_NAPTR, STAGE_SRV, STAGE_ADDRESS };

#define PORT_PLAIN 5060u
#define PORT_TLS   5061u
#define NEGATIVE_S 60u /* "there is none", by a zone that does not say for how long */

static uint16_t default_port(const struct locate *l)
{
    return l->ask.proto == PROTO_TLS ? PORT_TLS : PORT_PLAIN;
}

static void finish(struct locate *l, enum reason why, bool certain)
{
    l->done = true;
    l->why = why;
    l->certain = certain;
}

static void query(struct locate *l, const struct dns_name *name, enum dns_type t)
{
    l->query[l->n_queries++] =
        (struct locate_query){.name = *name, .type = (uint16_t)t, .state = LOCATE_WANTED};
}

static void stage_begin(struct locate *l, enum stage s)
{
    l->stage = (uint8_t)s;
    l->n_queries = 0;
}

static enum dns_type address_type(const struct locate *l)
{
    return l->ask.family == ADDR_V6 ? DNS_AAAA : DNS_A;
}

static void address_only(struct locate *l, uint16_t port)
{
    stage_begin(l, STAGE_ADDRESS);
    query(l, &l->ask.host, address_type(l));
    l->query[0].port = port;
}

void locate_begin(struct locate *l, const struct locate_ask *ask)
{
    memset(l, 0, sizeof *l);
    l->ask = *ask;
    l->ttl_s = UINT32_MAX;
    l->secure = true;
    if (ask->port) {
        address_only(l, ask->port);
        return;
    }
    stage_begin(l, STAGE_NAPTR);
    query(l, &ask->host, DNS_NAPTR);
}

/* RFC 3263 4.2: the service is looked up under the transport. */
static bool srv_name(const struct locate *l, struct dns_name *ret_n)
{
    static const struct str PREFIX[] = {[PROTO_UDP] = STR("_sip._udp."),
                                        [PROTO_TCP] = STR("_sip._tcp."),
                                        [PROTO_TLS] = STR("_sips._tcp.")};
    char text[DNS_NAME_MAX];
    struct out o = out_of(text, sizeof text);
    out_put(&o, PREFIX[l->ask.proto]);
    out_put(&o, dns_name_str(&l->ask.host));
    return !o.full && dns_name_of(out_str(&o), ret_n) == OK;
}

/* The next name to ask for SRV records; without any left the host's own addresses serve. */
static void srv_next(struct locate *l)
{
    if (l->next_name >= l->n_names) {
        address_only(l, default_port(l));
        return;
    }
    stage_begin(l, STAGE_SRV);
    query(l, &l->name[l->next_name++], DNS_SRV);
}

/* --- NAPTR --- */

static bool naptr_fits(const struct locate *l, const struct dns_record *r)
{
    static const struct str SERVICE[] = {
        [PROTO_UDP] = STR("sip+d2u"), [PROTO_TCP] = STR("sip+d2t"), [PROTO_TLS] = STR("sips+d2t")};
    return str_eq(str_of(r->flags.text, r->flags.n), STR("s")) && !r->regexp && r->name.n &&
           str_eq(str_of(r->services.text, r->services.n), SERVICE[l->ask.proto]);
}

static uint32_t naptr_place(const struct dns_record *r)
{
    return (uint32_t)r->order << 16 | r->rank;
}

/* Of the records for our transport those of the lowest order, by preference. The operator named the
 * transport, so that without one of them SRV is asked all the same (RFC 3263 4.1, first case). */
static void naptr_in(struct locate *l, const struct dns_msg *m)
{
    uint64_t after = 0; /* place of the last one taken, plus one */
    while (l->n_names < LOCATE_NAPTRS) {
        const struct dns_record *best = NULL;
        for (uint32_t i = 0; i < m->n; i++) {
            const struct dns_record *r = &m->rr[i];
            if (naptr_fits(l, r) && naptr_place(r) >= after &&
                (!best || naptr_place(r) < naptr_place(best)))
                best = r;
        }
        if (!best || (l->n_names && (after - 1) >> 16 != best->order))
            break;
        l->name[l->n_names++] = best->name;
        after = (uint64_t)naptr_place(best) + 1;
    }
    if (!l->n_names && srv_name(l, &l->name[0]))
        l->n_names = 1;
    srv_next(l);
}

/* --- SRV --- */

static bool srv_before(const struct dns_record *a, const struct dns_record *b)
{
    return a->order != b->order ? a->order < b->order : a->rank > b->rank;
}

static void srv_in(struct locate *l, const struct dns_msg *m)
{
    uint32_t taken = 0; /* bit per record */
    bool refused = false;
    stage_begin(l, STAGE_ADDRESS);
    while (l->n_queries < LOCATE_QUERIES) {
        uint32_t best = DNS_RECORDS;
        for (uint32_t i = 0; i < m->n; i++)
            if (!(taken >> i & 1) && (best == DNS_RECORDS || srv_before(&m->rr[i], &m->rr[best])))
                best = i;
        if (best == DNS_RECORDS)
            break;
        const struct dns_record *r = &m->rr[best];
        taken |= UINT32_C(1) << best;
        if (!r->name.n || !r->port) { /* target ".": the service is decidedly not there */
            refused = true;
            continue;
        }
        query(l, &r->name, address_type(l));
        struct locate_query *q = &l->query[l->n_queries - 1];
        q->priority = r->order;
        q->weight = r->rank;
        q->port = r->port;
    }
    if (!l->n_queries && refused)
        finish(l, REASON_dns_no_service, true);
    else if (!l->n_queries)
        srv_next(l);
}

/* --- addresses --- */

static void address_in(struct locate *l, unsigned qi, const struct dns_msg *m)
{
    const struct locate_query *q = &l->query[qi];
    for (uint32_t i = 0; i < m->n && l->n < LOCATE_ENTRIES; i++) {
        struct locate_entry e = {
            .a = m->rr[i].addr, .priority = q->priority, .weight = q->weight, .group = (uint8_t)qi};
        e.a.port = q->port;
        bool known = false;
        for (unsigned k = 0; k < l->n; k++)
            known = known || addr_eq(&l->entry[k].a, &e.a);
        if (!known)
            l->entry[l->n++] = e;
    }
    if (!m->n && l->why == REASON_NONE)
        finish(l, m->rcode == DNS_NXDOMAIN ? REASON_dns_no_name : REASON_dns_no_address, true);
}

static bool all_answered(const struct locate *l)
{
    for (unsigned i = 0; i < l->n_queries; i++)
        if (l->query[i].state != LOCATE_ANSWERED)
            return false;
    return true;
}

/* By priority, then by group: the answers came in any order. */
static void sort(struct locate *l)
{
    for (unsigned i = 1; i < l->n; i++) {
        struct locate_entry e = l->entry[i];
        unsigned k = i;
        for (; k && (l->entry[k - 1].priority > e.priority ||
                     (l->entry[k - 1].priority == e.priority && l->entry[k - 1].group > e.group));
             k--)
            l->entry[k] = l->entry[k - 1];
        l->entry[k] = e;
    }
}

/* A target that failed is passed over while others have addresses. */
static void addresses_end(struct locate *l)
{
    l->done = all_answered(l);
    if (!l->done)
        return;
    sort(l);
    if (l->n)
        l->why = REASON_NONE;
    else if (l->why == REASON_NONE)
        finish(l, REASON_dns_no_address, true);
}

/* --- answers --- */

static void failed(struct locate *l, enum reason why)
{
    if (l->stage == STAGE_ADDRESS) {
        finish(l, why, false);
        addresses_end(l);
    } else if (l->stage == STAGE_NAPTR && why == REASON_dns_failed && !l->ask.dnssec) {
        static const struct dns_msg none; /* some servers cannot even refuse this type */
        naptr_in(l, &none);
    } else {
        finish(l, why, false);
    }
}

void locate_answer(struct locate *l, unsigned qi, const struct locate_reply *r)
{
    CHECK(qi < l->n_queries && l->query[qi].state == LOCATE_ASKED);
    l->query[qi].state = LOCATE_ANSWERED;
    if (r->outcome != LOCATE_REPLY ||
        (r->msg->rcode != DNS_NOERROR && r->msg->rcode != DNS_NXDOMAIN)) {
        failed(l, r->outcome == LOCATE_BOGUS ? REASON_dns_bogus : REASON_dns_failed);
        return;
    }
    if (l->ask.dnssec && !r->secure) {
        failed(l, REASON_dns_unsigned);
        return;
    }
    l->secure = l->secure && r->secure;
    uint32_t ttl = r->msg->n ? r->msg->ttl_s : r->msg->negative_s;
    if (ttl == UINT32_MAX)
        ttl = NEGATIVE_S;
    l->ttl_s = MIN(l->ttl_s, ttl);
    if (l->stage == STAGE_NAPTR && r->msg->rcode == DNS_NXDOMAIN)
        finish(l, REASON_dns_no_name, true); /* nor has it anything below (RFC 8020) */
    else if (l->stage == STAGE_NAPTR)
        naptr_in(l, r->msg);
    else if (l->stage == STAGE_SRV)
        srv_in(l, r->msg);
    else
        address_in(l, qi, r->msg);
    if (l->stage == STAGE_ADDRESS && l->n_queries && l->query[qi].state == LOCATE_ANSWERED)
        addresses_end(l);
}

void locate_give_up(struct locate *l)
{
    static const struct locate_reply nothing = {LOCATE_FAILED, false, NULL};
    for (unsigned round = 0; !l->done && round < 2 + LOCATE_NAPTRS; round++)
        for (unsigned i = 0; i < l->n_queries && !l->done; i++) {
            if (l->query[i].state == LOCATE_ANSWERED)
                continue;
            l->query[i].state = LOCATE_ASKED;
            locate_answer(l, i, &nothing);
        }
}

/* --- order --- */

static uint64_t mix(uint64_t *s)
{
    uint64_t z = *s += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct pile {
    const struct locate_entry *e;
    size_t n;
    uint32_t left; /* bit per entry not placed yet */
};

/* Entries that stand for their group: the first of it, of the lowest priority that is left. */
static uint32_t heads(const struct pile *d)
{
    uint32_t bits = 0;
    uint16_t lowest = UINT16_MAX;
    for (size_t i = 0; i < d->n; i++)
        if (d->left >> i & 1)
            lowest = MIN(lowest, d->e[i].priority);
    for (size_t i = 0; i < d->n; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first = first && (!(d->left >> k & 1) || d->e[k].group != d->e[i].group);
        if ((d->left >> i & 1) && first && d->e[i].priority == lowest)
            bits |= UINT32_C(1) << i;
    }
    return bits;
}

/* RFC 2782: those of weight 0 stand first, so that they have a small chance of being drawn. */
static size_t drawn(const struct pile *d, uint32_t bits, uint64_t draw)
{
    uint64_t sum = 0, run = 0;
    size_t last = 0;
    for (size_t i = 0; i < d->n; i++)
        if (bits >> i & 1)
            sum += d->e[i].weight;
    uint64_t at = draw % (sum + 1);
    for (int zero = 1; zero >= 0; zero--)
        for (size_t i = 0; i < d->n; i++) {
            if (!(bits >> i & 1) || (d->e[i].weight == 0) != (zero == 1))
                continue;
            last = i;
            run += d->e[i].weight;
            if (run >= at)
                return i;
        }
    return last;
}

void locate_order(const struct locate_entry *e, size_t n, uint64_t seed,
                  uint8_t ret_order[LOCATE_ENTRIES])
{
    CHECK(n <= LOCATE_ENTRIES);
    struct pile d = {e, n, (UINT32_C(1) << n) - 1};
    size_t at = 0;
    while (d.left) {
        size_t first = drawn(&d, heads(&d), mix(&seed));
        for (size_t i = 0; i < n; i++) {
            if (!(d.left >> i & 1) || e[i].group != e[first].group ||
                e[i].priority != e[first].priority)
                continue;
            ret_order[at++] = (uint8_t)i;
            d.left &= ~(UINT32_C(1) << i);
        }
    }
}
