/* Answers of anybody's name server, read for each type, and a look-up fed with them: names are
 * clean, counts bounded, the machine ends, and its outcome keeps what it promises. First byte: what
 * is asked; then answers, each behind its length. */
#include "sip/locate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct dns_msg msg;

static void name_ok(const struct dns_name *n)
{
    struct dns_name again;
    CHECK(n->n <= DNS_NAME_MAX);
    if (!n->n)
        return;
    CHECK(dns_name_of(dns_name_str(n), &again) == OK);
    CHECK(str_eq(dns_name_str(n), dns_name_str(&again)));
}

static bool read_one(const uint8_t *p, size_t n, enum dns_type t)
{
    if (dns_parse(p, n, t, &msg) != OK) {
        CHECK(msg.n == 0 || n < 12 || msg.n <= DNS_RECORDS);
        return false;
    }
    CHECK(msg.n <= DNS_RECORDS);
    for (uint32_t i = 0; i < msg.n; i++) {
        const struct dns_record *r = &msg.rr[i];
        name_ok(&r->name);
        CHECK(t != DNS_A || r->addr.family == ADDR_V4);
        CHECK(t != DNS_AAAA || r->addr.family == ADDR_V6);
        CHECK(r->flags.n <= DNS_TEXT_MAX && r->services.n <= DNS_TEXT_MAX);
    }
    return true;
}

static void ended(const struct locate *l)
{
    uint8_t order[LOCATE_ENTRIES];
    unsigned seen = 0;
    CHECK(l->done && l->n <= LOCATE_ENTRIES && (l->n == 0) == (l->why != REASON_NONE));
    for (unsigned i = 0; i < l->n; i++) {
        CHECK(l->entry[i].a.family == l->ask.family && l->entry[i].a.port);
        CHECK(i == 0 || l->entry[i - 1].priority <= l->entry[i].priority);
    }
    locate_order(l->entry, l->n, l->ttl_s, order);
    for (unsigned i = 0; i < l->n; i++)
        seen |= 1u << order[i];
    CHECK(seen == (1u << l->n) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct locate l;
    struct locate_ask ask = {.family = ADDR_V4};
    if (n < 1)
        return 0;
    uint8_t how = data[0];
    (void)read_one(data + 1, n - 1, DNS_A);
    ask.proto = how & 3 ? (uint8_t)((how & 3) - 1) : PROTO_UDP;
    ask.port = how & 4 ? 5060 : 0;
    ask.family = how & 8 ? ADDR_V6 : ADDR_V4;
    ask.dnssec = how >> 4 & 1;
    CHECK(dns_name_of(STR("pbx.example.net"), &ask.host) == OK);
    locate_begin(&l, &ask);
    size_t at = 1;
    for (unsigned turn = 0; !l.done && at < n && turn < 64; turn++) {
        unsigned q = 0;
        while (q < l.n_queries && l.query[q].state == LOCATE_ANSWERED)
            q++;
        CHECK(q < l.n_queries);
        name_ok(&l.query[q].name);
        l.query[q].state = LOCATE_ASKED;
        size_t len = MIN((size_t)data[at] * 4, n - at - 1);
        struct locate_reply r = {LOCATE_FAILED, (data[at] & 1) != 0, &msg};
        if (read_one(data + at + 1, len, (enum dns_type)l.query[q].type))
            r.outcome = LOCATE_REPLY;
        else if (len == 4)
            r.outcome = LOCATE_BOGUS;
        locate_answer(&l, q, &r);
        at += 1 + len;
    }
    if (!l.done)
        locate_give_up(&l);
    ended(&l);
    return 0;
}
