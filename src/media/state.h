/* What media keeps: an engine's streams (one m-line of one leg), legs, and the ways between them.
 * For the rooms of this floor only. */
#ifndef MEDIA_STATE_H
#define MEDIA_STATE_H
#include "media/stats.h"
#include "media/suite.h"
#include "wire/sdp/sdp.h"

#define CLOCKS_MAX 8u

/* Where a peer's SDP says that media goes, and how. */
struct remote {
    struct addr rtp, rtcp; /* rtcp.port 0: none */
    bool mux, secure, feedback, held;
    bool on; /* the m-line is in use */
};
/* Keys of one stream; crypto memory, made when the first key is. */
struct secure {
    struct srtp *rx, *tx;
    uint8_t seed[SUITE_SEED_BYTES]; /* of our master keys */
    uint8_t rx_key[SRTP_KEY_MAX], next_key[SRTP_KEY_MAX];
    uint8_t rx_suite, tx_suite, next_suite;
    uint32_t next_tag; /* that our answer repeats */
};
struct clock {
    uint32_t pt : 7, rate_hz : 25;
};
struct stream {
    uint32_t peer; /* stream of the other leg; 0 none */
    uint16_t port; /* even; 0 none */
    bool on;       /* negotiated: packets may pass */
    bool mux, secure, symmetric, rtp_latched, rtcp_latched;
    struct addr rtp, rtcp; /* in force: expected sources and destinations */
    struct addr source;    /* ip that our packets come from */
    struct secure *keys;
    struct reception in;
    struct clock clocks[CLOCKS_MAX];
    uint8_t n_clocks;
    bool offered, offered_secure; /* by us, in the last offer */
    struct remote said, next;     /* in force; of an offer not yet answered */
    struct media_leg *leg;
    uint32_t next_free;
    char codec[24], kind[12];
};

enum nego_role { ROLE_NONE, ROLE_OFFERER, ROLE_ANSWERER };
struct media_leg {
    struct media_policy policy;
    uint64_t user, session_id, body_hash;
    uint32_t version;
    uint32_t streams[MEDIA_STREAMS]; /* by m-line; 0 none */
    struct media *media;
    struct media_leg *pair;
    uint8_t role;           /* in the last offer and answer */
    uint8_t n_media;        /* m-lines of the last offer */
    uint8_t n_media_agreed; /* of the last that was answered */
    bool pending;           /* an offer waits for its answer */
};
struct media {
    struct media_cfg cfg;
    struct pool legs;
    struct stream *streams; /* [0] is unused */
    uint32_t streams_cap, streams_fresh, streams_free, streams_used;
    uint32_t srtp_contexts;
    struct instant now; /* of the last call that knew */
    struct sipkey hide_key;
    /* Of the last offer taken: which m-lines passed, found again by the text's hash when the same
     * text is offered to the other leg. */
    uint64_t offer_hash;
    uint8_t offer_mask;
    uint32_t by_port[65536]; /* stream of a local port, RTP and RTCP */
};

static inline struct stream *leg_stream(struct media *m, const struct media_leg *l, unsigned i)
{
    return i < MEDIA_STREAMS && l->streams[i] != 0 ? &m->streams[l->streams[i]] : NULL;
}

/* --- stream.c --- */
/* The stream of m-line i with a port; made if absent. REASON_capacity_ports,
 * REASON_capacity_memory. */
MUST_CHECK enum reason stream_open(struct media *m, struct media_leg *l, unsigned i,
                                   struct stream **ret_s);
void stream_free(struct media *m, struct media_leg *l, unsigned i);
/* Puts remote r into force, with its new keys if it is secure (keys->next_* and tx_suite). */
MUST_CHECK enum reason stream_commit(struct media *m, struct stream *s, const struct remote *r);
/* keys exist and have a seed. REASON_capacity_memory. */
MUST_CHECK enum reason stream_keys(struct media *m, struct stream *s);
/* Codec, kind and clock rates from an answer's m-line. */
void stream_describe(struct stream *s, const struct sdp *sdp, struct str text,
                     const struct sdp_media *ml);
void legs_link(struct media *m, struct media_leg *l); /* streams of l and of its pair */

/* --- mline.c: judging an m-line --- */
/* Addresses and profile. REASON_NONE, sdp_syntax, media_not_acceptable. on is true. */
MUST_CHECK enum reason mline_read(const struct sdp *sdp, struct str text,
                                  const struct sdp_media *ml, const struct media_policy *p,
                                  struct remote *ret_r);
/* Whether an offered m-line's security fits the leg. */
MUST_CHECK enum reason mline_security(const struct sdp *sdp, struct str text,
                                      const struct sdp_media *ml, const struct media_policy *p,
                                      const struct remote *r);
struct crypto_choice {
    enum srtp_suite suite;
    uint32_t tag;
    uint8_t key[SRTP_KEY_MAX];
};
/* The best line of an offer by the policy's order. REASON_media_crypto_unsupported. */
MUST_CHECK enum reason mline_crypto_choose(const struct sdp *sdp, struct str text,
                                           const struct sdp_media *ml, const struct media_policy *p,
                                           struct crypto_choice *ret_c);
/* The one line of an answer to our offer. REASON_media_answer_bad, media_crypto_unsupported. */
MUST_CHECK enum reason mline_crypto_answer(const struct sdp *sdp, struct str text,
                                           const struct sdp_media *ml, const struct media_policy *p,
                                           struct crypto_choice *ret_c);

/* --- body.c: writing what a leg says --- */
/* The other side's SDP as this leg tells it; bit i of mask: m-line i is in use (its stream has a
 * port). */
struct body {
    const struct sdp *sdp;
    struct str text;
    uint8_t mask;
    bool answer;
};
/* Sets the leg's version. ERR_FULL. */
MUST_CHECK enum err body_write(struct media *m, struct media_leg *l, const struct body *b,
                               struct out *o);
bool leg_offers_srtp(const struct media_policy *p);
#endif
