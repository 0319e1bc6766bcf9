/* What media keeps: an engine's streams (one m-line of one leg), legs, and the ways between them.
 * For the rooms of this floor only. */
#ifndef MEDIA_STATE_H
#define MEDIA_STATE_H
#include "media/stats.h"
#include "media/suite.h"
#include "media/tone.h"
#include "media/voice.h"
#include "wire/rtp/rtp.h"
#include "wire/sdp/sdp.h"

#define CLOCKS_MAX 8u

/* Where a peer's SDP says that media goes, and how. */
struct remote {
    struct addr rtp, rtcp; /* rtcp.port 0: none */
    bool mux, secure, feedback, held;
    bool on;          /* the m-line is in use */
    uint8_t kind;     /* enum line_kind; LINE_T38: datagrams, no RTP */
    uint8_t ptime_ms; /* 0: not said */
};
/* Keys of one stream; crypto memory, made when the first key is. */
struct secure {
    struct srtp *rx, *tx;
    uint8_t seed[SUITE_SEED_BYTES]; /* of our master keys */
    uint8_t rx_key[SRTP_KEY_MAX], next_key[SRTP_KEY_MAX];
    uint8_t rx_suite, tx_suite, next_suite;
    uint32_t next_tag; /* that our answer repeats */
    uint64_t next_life;
    uint64_t rx_life, rx_rtcp_life; /* packets that the peer's key is still good for */
};
struct clock {
    uint32_t pt : 7, rate_hz : 25;
};
struct stream {
    uint32_t peer; /* stream of the other leg; 0 none */
    uint16_t port; /* even; 0 none */
    bool on;       /* negotiated: packets may pass */
    bool mux, secure, symmetric, rtp_latched, rtcp_latched;
    bool opaque;           /* datagrams of UDPTL */
    bool quiet;            /* hold by a zero address: nothing is sent there */
    bool pinned;           /* rtp's ip was latched before the line became a fax: it stays */
    struct addr rtp, rtcp; /* in force: expected sources and destinations */
    struct addr source;    /* ip that our packets come from */
    uint32_t gap_us;       /* between packets at the highest rate; 0: no limit */
    int64_t due_us;        /* when a packet at that rate would be due (GCRA) */
    struct secure *keys;
    struct reception in;
    struct clock clocks[CLOCKS_MAX];
    uint8_t n_clocks;
    bool offered, offered_secure; /* by us, in the last offer */
    uint8_t offered_kind, offered_ptime_ms;
    struct tone tone;         /* that is mixed into what goes out */
    uint32_t tone_left;       /* samples of it */
    uint64_t pts[2];          /* payload types of the last offer on it that passed, a bit each */
    int64_t resumed_us;       /* when the last hold ended */
    struct remote said, next; /* in force; of an offer not yet answered */
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
    uint8_t codecs;         /* list of its zone; 0: all */
    uint8_t far_codecs;     /* list of the leg whose offer this one was given last */
    uint8_t offer_mask;     /* of the last offer taken: which m-lines passed */
    uint64_t offer_hash;    /* and its text; chained in media.offers while not 0 */
    struct media_leg *offer_next;
    struct voice voice;
};
/* Codec lists of zones, shared by their legs; a reload may leave old ones in use. */
#define CODECS_LISTS_MAX 64u
struct codec_list {
    uint32_t legs;
    uint16_t n;
    char text[CODECS_TEXT_MAX]; /* names, single spaces between */
};
struct media {
    struct media_cfg cfg;
    struct pool legs;
    struct stream *streams; /* [0] is unused */
    uint32_t streams_cap, streams_fresh, streams_free, streams_used;
    uint32_t srtp_contexts;
    struct instant now; /* of the last call that knew */
    struct sipkey hide_key;
    struct media_leg **offers; /* legs by the offer they took and their call */
    uint32_t offers_mask;
    struct media_leg *offer_last;              /* that took the newest offer; NULL: it has ended */
    struct codec_list lists[CODECS_LISTS_MAX]; /* number 1 is lists[0] */
    uint32_t by_port[65536];                   /* stream of a local port, RTP and RTCP */
    struct media_note notes[MEDIA_NOTES];
    uint32_t n_notes, n_digits;
    struct media_digit digits[MEDIA_DIGITS];
};

static inline struct stream *leg_stream(struct media *m, const struct media_leg *l, unsigned i)
{
    return i < MEDIA_STREAMS && l->streams[i] != 0 ? &m->streams[l->streams[i]] : NULL;
}

/* --- leg.c: which leg took an offer --- */
/* text passed on this leg, its m-lines by mask. */
void offer_note(struct media *m, struct media_leg *l, struct str text, uint8_t mask);
/* The leg that took text: of the same call (user), else the one whose offer is the newest of all
 * (calls that are joined); not to itself; NULL if there is none. */
const struct media_leg *offer_find(struct media *m, const struct media_leg *to, struct str text);

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
/* Codec, kind and clock rates from an answer's m-line; bit i of keep: its i-th format counts. */
void stream_describe(struct stream *s, const struct sdp *sdp, struct str text,
                     const struct sdp_media *ml, uint32_t keep);
/* The highest rate that kind allows, by the shorter of the intervals that both sides ask for. */
void stream_meter(struct stream *s, uint8_t kind, uint8_t ptime_a_ms, uint8_t ptime_b_ms);
void legs_link(struct media *m, struct media_leg *l); /* streams of l and of its pair */

/* --- voice.c --- */
/* A packet, plain by now, of a leg that Ringwall itself speaks with: turned into our own, which
 * goes back (true), or heard. */
bool voice_packet(struct media *m, struct stream *s, struct pkt *pk, const struct rtp *r);

/* --- codecs.c: lists of encoding names --- */
#define CODECS_FULL 0xffu
/* The list's number, counted as used by one more leg; 0: all pass; CODECS_FULL. */
uint8_t codecs_keep(struct media *m, const struct codec_names *names);
uint8_t codecs_share(struct media *m, uint8_t list); /* one leg more; returns list */
void codecs_drop(struct media *m, uint8_t list);
bool codecs_has(const struct media *m, uint8_t list, struct str encoding);

/* --- lines.c: which kinds and formats of an m-line pass --- */
/* From media type, transport and formats; LINE_NONE with why (media_kind, media_transport). */
enum line_kind line_kind(struct str text, const struct sdp_media *ml, enum reason *ret_why);
struct str line_kind_name(enum line_kind k); /* the media type: "image" for LINE_T38 */
/* REASON_NONE, media_kind, media_plaintext (T.38 where nothing plain may pass). */
MUST_CHECK enum reason line_allowed(const struct media_policy *p, uint8_t kind);
/* Formats that are on both lists, bit i for the i-th, without what is left alone by those that went
 * (rtx, red; comfort noise, events and error correction when no codec is left). pts: NULL for an
 * offer; for an answer the offer's payload types, one of which may come without its name. */
uint32_t line_formats(const struct media *m, const struct sdp *sdp, struct str text,
                      const struct sdp_media *ml, uint8_t list_a, uint8_t list_b,
                      const uint64_t *pts);
#define FORMATS_ALL UINT32_MAX
/* Whether an answer's formats are all on both lists. */
bool line_answer_formats(const struct media *m, const struct sdp *sdp, struct str text,
                         const struct sdp_media *ml, uint8_t list_a, uint8_t list_b,
                         const uint64_t *pts);
void line_payload_types(struct str text, const struct sdp_media *ml, uint32_t keep,
                        uint64_t ret_pts[2]);

/* --- mline.c: judging an m-line --- */
/* Kind, addresses and profile. REASON_NONE, sdp_syntax, media_not_acceptable, media_kind,
 * media_transport. on is true. */
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
    uint64_t life; /* packets; 0: the suite's own limit */
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
    uint32_t keep[MEDIA_STREAMS]; /* formats that are told, by place */
};
/* Sets the leg's version. ERR_FULL. */
MUST_CHECK enum err body_write(struct media *m, struct media_leg *l, const struct body *b,
                               struct out *o);
bool leg_offers_srtp(const struct media_policy *p);
#endif
