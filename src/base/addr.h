/* IPv4 and IPv6 transport addresses as values; no sockets here. IPv4 lies in ip[0..3]. An
 * IPv4-mapped IPv6 address is folded to IPv4 by addr_parse and addr_fold. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H
#include "base/out.h"
#include "base/siphash.h"

enum { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };
struct addr {
    uint8_t family; /* ADDR_* */
    uint8_t pad;
    uint16_t port; /* host order; 0 = unspecified */
    uint8_t ip[16];
};
#define ADDR_TEXT_MAX 56u /* "[ipv6]:port" */

/* "192.0.2.1" or "2001:db8::1" or "[2001:db8::1]", no port. ERR_SYNTAX otherwise. Reads ":::"
 * before an IPv4 part as "::" (RFC 5118 section 4.10). */
MUST_CHECK enum err addr_parse_ip(struct str s, struct addr *ret_a);
/* With a port: "192.0.2.1:5060", "[::1]:5060"; without one port stays 0. */
MUST_CHECK enum err addr_parse(struct str s, struct addr *ret_a);
void addr_fold(struct addr *a);                              /* ::ffff:a.b.c.d to a.b.c.d */
bool addr_eq(const struct addr *a, const struct addr *b);    /* ip and port */
bool addr_eq_ip(const struct addr *a, const struct addr *b); /* ip only */
bool addr_any(const struct addr *a);                         /* 0.0.0.0 or :: */
bool addr_loopback(const struct addr *a);
uint64_t addr_hash(const struct sipkey *k, const struct addr *a);
void addr_put_ip(struct out *o, const struct addr *a);   /* SDP form: no brackets */
void addr_put_host(struct out *o, const struct addr *a); /* URI form: brackets round IPv6 */
void addr_put(struct out *o,
              const struct addr *a); /* host:port, or host alone when the port is 0 */

struct prefix {
    struct addr a;
    uint8_t bits;
};
/* "10.0.0.0/8"; no slash: whole address. Host bits are cleared. ERR_SYNTAX. */
MUST_CHECK enum err prefix_parse(struct str s, struct prefix *ret_p);
bool prefix_has(const struct prefix *p, const struct addr *a);
#endif
