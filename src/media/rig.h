/* For the tests, fuzzers and benchmarks of this floor: a media table with ports 20000 up, and SDP
 * texts of alice (leg A, 192.0.2.10) and bob (leg B, 198.51.100.20). */
#ifndef MEDIA_RIG_H
#define MEDIA_RIG_H
#include "media/leg.h"
#include "media/state.h"
#include "media/suite.h"
#include <stdlib.h>
#include <string.h>

struct rig {
    struct rng rng;
    struct ports ports;
    struct counters counters;
    struct media *m;
    void *port_mem, *mem;
    struct instant now;
    struct media_leg *a, *b;
    char to_a[MEDIA_SDP_MAX], to_b[MEDIA_SDP_MAX]; /* last bodies of ours */
    struct str said_a, said_b;
    bool metered; /* streams keep their highest rate; else time may stand still in a test */
};

static inline struct addr rig_addr(const char *ip, uint16_t port)
{
    struct addr a = {0};
    CHECK(addr_parse_ip(str_c(ip), &a) == OK);
    a.port = port;
    return a;
}

static inline void rig_open(struct rig *r, uint32_t legs, uint32_t pairs)
{
    static const uint8_t seed[32] = "media rig";
    memset(r, 0, sizeof *r);
    rng_init(&r->rng, seed);
    r->port_mem = calloc(1, ports_bytes(pairs));
    ports_init(&r->ports, r->port_mem, pairs);
    for (uint32_t i = 0; i < pairs; i++)
        CHECK(ports_add(&r->ports, (uint16_t)(20000 + 2 * i)) == OK);
    struct media_cfg cfg = {legs, &r->rng, &r->ports, &r->counters};
    r->mem = calloc(1, media_bytes(&cfg));
    r->m = media_init(r->mem, &cfg);
    r->now.us = 1000000;
}

static inline void rig_close(struct rig *r)
{
    media_leg_close(r->m, r->a, r->now);
    media_leg_close(r->m, r->b, r->now);
    struct media_usage u = media_usage(r->m);
    CHECK(u.legs == 0 && u.ports_taken == 0 && u.srtp_contexts == 0 && r->m->streams_used == 0);
    free(r->mem);
    free(r->port_mem);
}

static inline struct media_policy rig_policy(bool tls, bool plain, bool srtp, bool symmetric)
{
    return (struct media_policy){.signalling_secure = tls,
                                 .plain_allowed = plain,
                                 .offer_srtp = srtp,
                                 .symmetric = symmetric,
                                 .t38_plain = plain,
                                 .local_ip = rig_addr("203.0.113.1", 0)};
}

/* X's offer to Y: offer_in, offer_out. */
static inline enum reason rig_offer(struct rig *r, bool from_a, struct str sdp)
{
    struct media_leg *x = from_a ? r->a : r->b, *y = from_a ? r->b : r->a;
    struct out o = out_of(from_a ? r->to_b : r->to_a, MEDIA_SDP_MAX);
    enum reason why = media_offer_in(r->m, x, sdp);
    if (why == REASON_NONE)
        why = media_offer_out(r->m, y, sdp, r->now, &o);
    if (why == REASON_NONE)
        *(from_a ? &r->said_b : &r->said_a) = out_str(&o);
    return why;
}

/* Y's answer back to X: answer_in, answer_out, pair. */
static inline enum reason rig_answer(struct rig *r, bool from_b, struct str sdp)
{
    struct media_leg *y = from_b ? r->b : r->a, *x = from_b ? r->a : r->b;
    struct out o = out_of(from_b ? r->to_a : r->to_b, MEDIA_SDP_MAX);
    enum reason why = media_answer_in(r->m, y, sdp);
    if (why == REASON_NONE)
        why = media_answer_out(r->m, x, sdp, r->now, &o);
    if (why == REASON_NONE) {
        *(from_b ? &r->said_a : &r->said_b) = out_str(&o);
        media_pair(r->m, x, y);
    }
    for (uint32_t i = 1; !r->metered && i <= r->m->streams_fresh; i++)
        r->m->streams[i].gap_us = 0;
    return why;
}

/* The key of the a=crypto line for a suite in a body of ours. */
static inline enum srtp_suite rig_key(struct str body, enum srtp_suite want, uint32_t *ret_tag,
                                      uint8_t ret_key[SRTP_KEY_MAX])
{
    struct sdp s;
    CHECK(sdp_parse(body, &s) == OK);
    uint16_t it = 0;
    const struct sdp_attr *a;
    while ((a = sdp_attr_next(&s, body, &s.media[0].sec, STR("crypto"), &it)) != NULL) {
        struct sdes line;
        enum srtp_suite suite;
        CHECK(sdes_parse(sdp_attr_value(body, a), &line) == OK &&
              suite_take(&line, &suite, ret_key) == OK);
        *ret_tag = line.tag;
        if (want == SUITE_NONE || suite == want)
            return suite;
    }
    return SUITE_NONE;
}

static inline uint16_t rig_port(struct str body)
{
    struct sdp s;
    CHECK(sdp_parse(body, &s) == OK && s.n_media > 0);
    return s.media[0].port;
}

static inline size_t rig_rtp(uint8_t *p, uint32_t ssrc, uint16_t seq, size_t payload)
{
    struct rtp h = {.ssrc = ssrc, .seq = seq, .ts = seq * 160u, .pt = 8};
    rtp_put(p, &h);
    memset(p + 12, (int)(seq & 0x7f), payload);
    return payload + 12;
}

/* One packet through; returns its length afterwards. */
static inline uint16_t rig_turn(struct rig *r, struct pkt *pk)
{
    media_turn(r->m, pk, 1, r->now);
    return pk->len;
}
#endif
