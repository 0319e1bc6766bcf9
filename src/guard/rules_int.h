/* Inside guard/rules*.c only. */
#ifndef GUARD_RULES_INT_H
#define GUARD_RULES_INT_H
#include "guard/rules_blob.h"

#define RULES_WORK                                                                                 \
    (256u << 10) /* most that one rule may look at of one message; then it fits not */

struct rules_buffers { /* of one message; filled in as they are asked for */
    const struct sip_msg *m;
    struct str bytes;
    uint64_t there;       /* of what was looked at: a bit a buffer */
    struct str line, sdp; /* first line; body of application/sdp */
    bool sdp_known;
    struct str first[BUF_COUNT];
    uint64_t known; /* first[] is valid */
};
void rules_buffers_init(struct rules_buffers *b, const struct rules_input *in);
/* The nth (from 0) buffer of that kind; false: there is none. */
bool rules_buffer_get(struct rules_buffers *b, enum rules_buffer id, uint32_t nth,
                      struct str *ret_s);
bool rules_buffers_have(struct rules_buffers *b, uint64_t want);

struct rules_eval {
    const struct rules *r;
    const struct rules_scanner *scan;
    const struct rules_input *in;
    struct rules_buffers buf;
    uint32_t work;
};
bool rules_conds_fit(struct rules_eval *e, const struct rules_rule *rule);
bool rules_header_fits(const struct rules *r, const struct rules_rule *rule,
                       const struct rules_input *in);
bool rules_size_fits(uint8_t op, uint64_t x, uint64_t a, uint64_t b);

/* -- memory of an engine -- */
struct limit_slot {
    uint64_t key; /* 0: free */
    int64_t start_us;
    uint32_t count, pad;
};
struct bits_slot {
    uint64_t flow; /* 0: free */
    uint64_t bits;
    int64_t used_us;
};
#define LIMIT_SLOTS  16384u
#define BITS_SLOTS   8192u
#define SLOT_WAYS    4u
#define BITS_LIFE_US (INT64_C(1800) * 1000000)
struct rules_state {
    const struct rules *r;
    uint32_t n_words;
    uint64_t *mark, *dirty;    /* candidates, a bit each; words of mark that are not zero */
    struct limit_slot *limits; /* NULL: no rule has any */
    struct bits_slot *bits;
};
enum limit_verdict { FIRES, QUIET, HOLDS };
enum limit_verdict rules_limit_ask(struct rules_state *s, uint32_t rule,
                                   const struct rules_input *in, struct now now);
uint64_t rules_bits_of(const struct rules_state *s, uint64_t flow, struct now now);
void rules_bits_put(struct rules_state *s, uint64_t flow, uint64_t bits, struct now now);
#endif
