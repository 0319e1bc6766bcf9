/* Examples: messages on which a rule must fire, or must not. Beside NAME.rules lies NAME.examples,
 * made of blocks:
 *
 *     == 9000001 fire
 *     #! source 203.0.113.9:5060
 *     OPTIONS sip:100@192.0.2.1 SIP/2.0
 *     ...
 *
 * "fire": that rule is among the hits of the block's last message (a line -- parts messages, which
 * run one after the other). "pass": nothing fires at all. Lines end in LF and are sent with CRLF;
 * \xHH is a byte, a line's end in \c joins the next to it. Directives before the message: source,
 * dest ADDRESS, transport udp|tcp|tls, to_client, established, repeat N (the last one counts), rtp
 * (the text is the packet's bytes in hex). */
#ifndef APP_RULES_EXAMPLES_H
#define APP_RULES_EXAMPLES_H
#include "app/rules/scanner.h"

#define EXAMPLE_MAX 65536u

struct example {
    const char *path; /* of example_read */
    char *bytes;      /* EXAMPLE_MAX of the caller's */
    size_t n;
    bool rtp, to_client, established;
    uint8_t proto;
    uint32_t repeat;
    struct addr source, dest;
};
/* NULL, or what is wrong. */
const char *example_parse(struct str text, struct example *x);
const char *example_read(struct example *x);
/* SIZE_MAX: it is no message. */
size_t example_run(const struct example *x, const struct rules *r, const struct rules_scan *s,
                   struct rules_state *state, struct rules_hit *hits, size_t cap);

struct examples_told {
    unsigned examples, failed, missing; /* missing: rules without one of each kind */
};
/* Runs the examples beside the rule files; what fails is told in *o, a line each. */
void examples_test(const struct rules *r, const char *const *paths, unsigned n, struct out *o,
                   struct examples_told *ret_t);
#endif
