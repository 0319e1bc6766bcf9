/* From a peer's name to addresses in the order in which they are tried (RFC 3263): NAPTR, SRV, then
 * A or AAAA, for one transport and one address family, which the peer's listener fixes. A machine
 * without I/O: it says which questions it has, is given the answers, and ends with addresses or a
 * reason. */
#ifndef SIP_LOCATE_H
#define SIP_LOCATE_H
#include "base/reasons.h"
#include "sip/flow.h"
#include "wire/dns/dns.h"

#define LOCATE_ENTRIES 8u
#define LOCATE_QUERIES 8u
#define LOCATE_NAPTRS  4u

struct locate_ask {
    struct dns_name host;
    uint16_t port;  /* 0: SRV decides */
    uint8_t proto;  /* enum sip_proto */
    uint8_t family; /* ADDR_V4, ADDR_V6 */
    uint8_t dnssec; /* bool: only answers that are signed and verify */
};
struct locate_entry { /* flat: travels on a board */
    struct addr a;    /* with port */
    uint16_t priority, weight;
    uint8_t group; /* addresses of one SRV record share it */
    uint8_t pad[3];
};
enum locate_state { LOCATE_WANTED, LOCATE_ASKED, LOCATE_ANSWERED };
struct locate_query {
    struct dns_name name;
    uint16_t type;                   /* enum dns_type */
    uint8_t state;                   /* enum locate_state; the asker moves WANTED to ASKED */
    uint16_t priority, weight, port; /* of the SRV record that it comes from */
};
enum locate_outcome {
    LOCATE_REPLY, /* msg holds it, NXDOMAIN included */
    LOCATE_FAILED /* no resolver answered, or only that it cannot */,
    LOCATE_BOGUS /* signatures do not verify */
};
struct locate_reply {
    enum locate_outcome outcome;
    bool secure; /* signed and verified, the absence of records too */
    const struct dns_msg *msg;
};
struct locate {
    struct locate_ask ask;
    uint8_t stage;
    bool done;
    uint8_t n_queries, n_names, next_name;
    struct locate_query query[LOCATE_QUERIES];
    struct dns_name name[LOCATE_NAPTRS]; /* owners of SRV records, as NAPTR says */
    /* The outcome, once done. */
    bool secure;
    uint8_t n;
    struct locate_entry entry[LOCATE_ENTRIES]; /* by priority */
    uint32_t ttl_s;  /* of all that led here, the least; UINT32_MAX: nothing said so */
    enum reason why; /* n is 0 */
    bool certain;    /* why is what the zone says, not that nobody could be asked */
};
void locate_begin(struct locate *l, const struct locate_ask *ask);
/* The answer to query q, which is ASKED. More queries may be WANTED afterwards, or done. */
void locate_answer(struct locate *l, unsigned q, const struct locate_reply *r);
/* Ends it: what was not answered has failed. */
void locate_give_up(struct locate *l);
/* The order of trying, as indices: priorities ascending, in one priority drawn by weight (RFC
 * 2782); addresses of one SRV record stay together. The same seed gives the same order. n at most
 * LOCATE_ENTRIES. */
void locate_order(const struct locate_entry *e, size_t n, uint64_t seed,
                  uint8_t ret_order[LOCATE_ENTRIES]);
#endif
