/* Signatures in Suricata's syntax for SIP, SDP and RTP. Text is compiled once (by the monitor and
 * the CLI) into a flat, pointer-free, sealed blob; engines evaluate it on decrypted messages: one
 * multi-pattern scan finds the candidates, then each candidate's other conditions are judged. */
#ifndef GUARD_RULES_H
#define GUARD_RULES_H
#include "base/instant.h"
#include "guard/policy.h"
#include "wire/sip/msg.h"

enum rule_action { RULE_ALERT, RULE_PASS, RULE_DROP, RULE_REJECT };
struct rules;       /* the blob; rules_compile.h makes it */
struct rules_state; /* thresholds and flowbits of one engine: fixed memory, evicts */
MUST_CHECK enum err rules_valid(const struct rules *r, size_t bytes);
uint32_t rules_count(const struct rules *r);

/* The multi-pattern scanner: hyperscan in app/engine, or the plain one of scan.c. Calls hit for
 * every pattern (number in the blob) found in the buffer at least once. */
typedef void rules_hit_fn(void *ctx, uint32_t pattern);
struct rules_scanner {
    void *ctx;
    bool (*scan)(void *ctx, struct str bytes, rules_hit_fn *hit, void *hit_ctx);
    /* PCRE where the scanner cannot: expression number in the blob. NULL: rules with one never fit.
     */
    bool (*match)(void *ctx, uint32_t expression, struct str bytes);
    /* The first match that begins at from or later, and where it ends; NULL: as above. */
    bool (*find)(void *ctx, uint32_t expression, struct str bytes, size_t from, size_t *ret_first,
                 size_t *ret_end);
    bool (*scan_rtp)(void *ctx, struct str bytes, rules_hit_fn *hit, void *hit_ctx);
};
struct rules_input {
    const struct sip_msg *m; /* NULL: RTP */
    struct str bytes;        /* the whole message or packet */
    struct addr source, dest;
    uint8_t proto;               /* enum sip_proto */
    bool to_server, established; /* for flow: */
    uint64_t flow;               /* hash of the flow, for flowbits */
};
struct rules_hit {
    uint32_t sid, rev, gid;
    uint8_t action, severity;  /* enum rule_action; 1 to 4 as priority */
    uint8_t weight;            /* towards the score: metadata ringwall_weight, else by severity */
    struct str msg, classtype; /* into the blob */
    bool quiet;                /* to be done, not to be told: drop and reject beyond a limit */
};
size_t rules_state_bytes(const struct rules *r);
struct rules_state *rules_state_init(void *mem, const struct rules *r); /* zeroed; keeps both */
/* Hits in order of severity, at most cap; a pass rule that fits ends all. Cost: one scan. */
size_t rules_run(const struct rules *r, struct rules_state *s, const struct rules_scanner *scan,
                 const struct rules_input *in, struct now now, struct rules_hit *ret_hits,
                 size_t cap);
bool rules_want_rtp(const struct rules *r); /* are there any for packets? */
#endif
