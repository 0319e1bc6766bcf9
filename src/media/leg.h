/* The media of one call leg: SDP in and out (RFC 3264, 4566/8866, 4568, 3605, 5761), ports, SRTP
 * contexts, source rules and statistics, up to MEDIA_STREAMS m-lines. Two legs are paired to relay.
 * Every leg is offered and answered separately, so a leg never sees an address, port, key, origin
 * or session name of the other.
 *
 * Life:  offer from peer X for a call X->Y:   media_offer_in(X, sdp)   media_offer_out(Y, X's sdp,
 * out) answer from Y:                       media_answer_in(Y, sdp)  media_answer_out(X, Y's sdp,
 * out)  media_pair(X, Y) Late offers are the same with the roles of the messages changed. A second
 * offer/answer (re-INVITE, UPDATE) uses the same calls: nothing that is in force changes before the
 * answer; media_rollback drops an unanswered offer. */
#ifndef MEDIA_LEG_H
#define MEDIA_LEG_H
#include "base/addr.h"
#include "base/instant.h"
#include "base/pool.h"
#include "base/reasons.h"
#include "base/rng.h"
#include "media/ports.h"

#define MEDIA_STREAMS 4u
#define MEDIA_SDP_MAX 8192u

enum srtp_suite {
    SUITE_NONE,
    SUITE_AES_CM_128_80,
    SUITE_AES_CM_128_32,
    SUITE_AES_256_CM_80,
    SUITE_AES_256_CM_32,
    SUITE_GCM_128,
    SUITE_GCM_256,
    SUITE_COUNT
};
const char *srtp_suite_name(enum srtp_suite s); /* the SDP name (RFC 4568, 6188, 7714); "none" */

/* What an m-line carries. The bits equal call/policy.h's enum media_kind. */
enum line_kind {
    LINE_NONE = 0,
    LINE_AUDIO = 1,
    LINE_VIDEO = 2,
    LINE_APPLICATION = 4, /* RTP only, e.g. H.224 */
    LINE_T38 = 8,         /* m=image over udptl */
    LINE_TEXT = 16,       /* RFC 4103 */
};

/* A list of encoding names, lower case: names[i] lies in text. n 0: every codec passes. Borrowed
 * until media_leg_open returns. */
#define CODECS_NAMES_MAX 16u
#define CODECS_TEXT_MAX  512u /* of all names with a space behind each */
struct codec_names {
    const struct span *names;
    struct str text;
    uint8_t n;
};

/* What the zone or peer of a leg allows. */
struct media_policy {
    bool signalling_secure; /* leg's signalling is TLS: SDES may be accepted and offered */
    bool plain_allowed;     /* a live waiver (or zone) lets RTP/AVP through on this leg */
    bool offer_srtp; /* offers to this leg are RTP/SAVP (needs signalling_secure), else RTP/AVP */
    bool symmetric;  /* peer may be behind NAT: latch once to the first packet's source; else SDP
                        address only */
    bool t38_plain;  /* a live waiver lets T.38 through, which UDPTL cannot protect */
    uint8_t kinds;   /* enum line_kind bits; 0: audio and video */
    struct codec_names codecs;
    uint8_t suites[SUITE_COUNT]; /* in order of preference, SUITE_NONE ends; empty = the default
                                    order */
    struct addr local_ip;        /* what our SDP says (public address); ip only */
    struct addr source_ip;       /* what our packets come from; family none: the kernel's choice */
};

struct media_stats { /* one direction of one stream: packets received from this leg */
    uint64_t packets, octets, lost, discarded;
    uint32_t jitter_us, max_jitter_us;
    int64_t first_us, last_us; /* monotonic; 0 = never */
    uint8_t payload_type;
};
struct media_leg; /* in media.c's pool; opaque to callers */
struct media;     /* all media of one engine */

struct media_cfg {
    uint32_t legs_cap;
    struct rng *rng;           /* keeps */
    struct ports *ports;       /* keeps */
    struct counters *counters; /* keeps */
};
size_t media_bytes(const struct media_cfg *cfg);
/* keeps mem (zeroed). */
struct media *media_init(void *mem, const struct media_cfg *cfg);

/* NULL when the table is full, or that of codec lists. gives: media_leg_close. user: the caller's
 * tag; legs of one call share it, so that an offer is found again that another leg of the call
 * took. */
struct media_leg *media_leg_open(struct media *m, const struct media_policy *policy, uint64_t user);
void media_leg_close(struct media *m, struct media_leg *l,
                     struct instant now); /* unpairs, gives ports back; NULL is fine */

/* REASON_NONE or why not (media_*, sdp_*, capacity_ports). Outputs are complete SDP bodies with as
 * many m-lines as the other side's, in its order: one that may not pass has port 0 and its reason
 * is counted (media_kind, media_transport, media_codec, media_plaintext ...). An offer of which
 * nothing is left is media_not_acceptable. Formats pass that are on the lists of both legs. */
MUST_CHECK enum reason media_offer_in(struct media *m, struct media_leg *from, struct str sdp);
MUST_CHECK enum reason media_offer_out(struct media *m, struct media_leg *to, struct str other_sdp,
                                       struct instant now, struct out *o);
/* The same for a description that no leg has taken: it speaks for from, whose zone judges, too
 * (legs that are joined by a transfer). */
MUST_CHECK enum reason media_offer_for(struct media *m, struct media_leg *to,
                                       const struct media_leg *from, struct str other_sdp,
                                       struct instant now, struct out *o);
MUST_CHECK enum reason media_answer_in(struct media *m, struct media_leg *from, struct str sdp);
MUST_CHECK enum reason media_answer_out(struct media *m, struct media_leg *to, struct str other_sdp,
                                        struct instant now, struct out *o);
void media_rollback(struct media *m, struct media_leg *l);
void media_pair(struct media *m, struct media_leg *a,
                struct media_leg *b);                    /* stops earlier pairings of both */
void media_unpair(struct media *m, struct media_leg *l); /* nothing is relayed either way */

/* Mixes a tone into what l hears from now on, for so long: in place of half the loudness of the
 * packets that come from the other side, so numbers, times and SRTP stay as they are. Only G.711
 * (payload types 0 and 8): in other codecs, and while nothing comes, it is not heard. */
void media_warn(struct media *m, struct media_leg *l, uint32_t hz, uint32_t ms);

/* For CDR and status. stream < MEDIA_STREAMS; false if the stream does not exist. */
struct media_view {
    enum srtp_suite suite;
    uint16_t local_port;
    struct addr remote; /* in force: SDP's or latched */
    bool latched, held;
    char codec[24]; /* first format of the answer: "PCMA/8000", "t38", terminated */
    char kind[12];  /* "audio" */
    struct media_stats in;
};
bool media_leg_view(const struct media_leg *l, unsigned stream, struct media_view *ret_v);
/* true if the call is one-way by now: packets came from one side only for at least 5 s. Lines on
 * hold and T.38 do not count, and a hold that ends starts the 5 s anew. */
bool media_one_way(const struct media_leg *a, const struct media_leg *b, struct instant now);
/* Since when neither leg brought a packet: the newest packet over any line, or the end of the last
 * hold. INT64_MAX / 2 while silence is as it should be: after an answer that left no line in use
 * but such as either side holds, or as are silent by nature (text, application). */
struct instant media_silent_since(const struct media_leg *a, const struct media_leg *b);

/* --- packets --- */
#define PKT_MAX 1600u
struct pkt {
    uint8_t *data;    /* room PKT_MAX */
    uint16_t len;     /* 0 after media_turn: nothing to send */
    uint16_t port;    /* in: local port it arrived on; out: local port to send from */
    struct addr peer; /* in: source; out: destination */
    struct addr from; /* out: source ip; family none: the kernel's choice */
};
/* Relays n packets in place: port -> stream -> source rule -> unprotect -> statistics -> protect. A
 * packet that is not to be sent has len 0 afterwards and its reason counted. No allocation, no
 * lock. */
void media_turn(struct media *m, struct pkt *pkts, size_t n, struct instant now) HOT;
/* What was refused since the last call, by source: for the shield. At most cap, the rest is lost
 * (the counters have it). O(cap). */
#define MEDIA_NOTES 16u
struct media_note {
    struct addr source;
    uint16_t reason; /* enum reason */
    uint16_t port;   /* of ours */
    uint32_t n;
};
size_t media_notes(struct media *m, struct media_note *ret, size_t cap);
struct media_usage {
    uint32_t legs, ports_taken, srtp_contexts;
};
struct media_usage
media_usage(const struct media *m); /* for leak checks: all zero when no call is up */
#endif
