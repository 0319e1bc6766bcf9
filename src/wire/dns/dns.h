/* Answers of the DNS (RFC 1035; A, AAAA: RFC 3596; SRV: RFC 2782; NAPTR: RFC 3403), as a validating
 * resolver hands them over. Pure; one pass over the bytes; compression pointers only lead
 * backwards, so every message ends. */
#ifndef WIRE_DNS_DNS_H
#define WIRE_DNS_DNS_H
#include "base/addr.h"

#define DNS_NAME_MAX 253u /* characters of a name in text, without the dot at its end */
#define DNS_RECORDS  32u
#define DNS_TEXT_MAX 32u

enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_NAPTR = 35
};
enum dns_rcode { DNS_NOERROR = 0, DNS_NXDOMAIN = 3 };
struct dns_name { /* lower-cased; empty is the root */
    uint8_t n;
    char text[DNS_NAME_MAX];
};
struct dns_text {
    uint8_t n;
    char text[DNS_TEXT_MAX];
};
struct dns_record {
    uint16_t order;                  /* NAPTR: order; SRV: priority */
    uint16_t rank;                   /* NAPTR: preference; SRV: weight */
    uint16_t port;                   /* SRV */
    bool regexp;                     /* NAPTR: there is one */
    struct dns_text flags, services; /* NAPTR; lower-cased */
    struct dns_name name;            /* SRV: target; NAPTR: replacement */
    struct addr addr;                /* A, AAAA; port 0 */
};
struct dns_msg {
    uint8_t rcode;
    bool cut; /* more records of the type than DNS_RECORDS: those of lowest order are here */
    uint32_t n;
    uint32_t odd;        /* records left out: a name or text that we do not use */
    uint32_t ttl_s;      /* least of the answer's records; 0 without any */
    uint32_t negative_s; /* SOA of the authority section: least of its TTL and MINIMUM (RFC 2308);
                            UINT32_MAX without one */
    struct dns_record rr[DNS_RECORDS]; /* of the type asked for, whatever their owner: aliases are
                                          followed by the resolver */
};
/* ERR_SYNTAX: not a whole response; *ret_m then has no records. ret_m is large: not for the stack.
 */
MUST_CHECK enum err dns_parse(const void *p, size_t n, enum dns_type want, struct dns_msg *ret_m);
/* Letters, digits, '-', '_' and dots between labels of 1 to 63; a dot at the end is left out. */
MUST_CHECK enum err dns_name_of(struct str text, struct dns_name *ret_n);
static inline struct str dns_name_str(const struct dns_name *n)
{
    return str_of(n->text, n->n);
}
#endif
