/* What the files of this folder share. */
#ifndef APP_REPLAY_STATE_H
#define APP_REPLAY_STATE_H
#include "app/replay/replay.h"
#include "base/arena.h"
#include "base/map.h"
#include "call/gate.h"
#include "media/stats.h"
#include "wire/pcap/frag.h"
#include "wire/pcap/tcp.h"
#include "wire/sdp/sdp.h"

#define CALLS      65536u
#define STREAMS    65536u
#define TRANS      32768u
#define ANNOUNCED  65536u
#define SOURCES    65536u
#define ALERTS     4096u
#define BANS       4096u
#define DIFFS      1024u
#define BOARD_CAP  16384u
#define NONCES     65536u
#define TEXT_BYTES (64u << 20)
#define PARTIES    6u
#define TEXT_MAX   160u
#define RATE_CAP   65536u
#define ANSWER_US  INT64_C(4000000)  /* a request unanswered for so long is judged without */
#define TRANS_US   INT64_C(32000000) /* a copy of a request is known for so long */
#define ONE_WAY_US INT64_C(5000000)
#define PTS        10u
#define RTP_TOLD   256u
#define STREAM_MIN 3u /* packets in sequence, before what nobody announced counts as a stream */

#define STREAM_IDLE_US INT64_C(2000000)
#define STREAM_LOOKS   32u

struct codec {
    uint8_t pt;
    uint32_t rate_hz;
    char name[19]; /* "PCMA/8000", ended */
};
struct announced { /* where a party of a call wants its media */
    struct addr a;
    uint64_t hash;
    uint32_t call; /* from 1 */
    uint8_t side;  /* whose: 0 caller, 1 callee */
    bool srtp;
    uint8_t n;
    struct codec codecs[PTS];
};
struct stream {
    struct addr src, dst;
    uint32_t ssrc, rate_hz;
    struct reception in;
    uint8_t pt;                     /* that rate_hz is of */
    uint8_t side;                   /* from whom: 0 caller, 1 callee */
    bool srtp, strange;             /* strange: told to the guards in sums */
    uint16_t why;                   /* enum reason of strange */
    uint8_t banned, open;           /* bits by judge; open: a port of the gateway */
    uint32_t call, announced, next; /* from 1; next of the same call */
    uint32_t late, twice, run;      /* packets out of order, seen before; longest run so far */
    uint32_t told;
    uint64_t pts[2]; /* payload types seen, a bit each */
    int64_t max_gap_us, ban_checked_us;
    uint64_t dropped[REPLAY_JUDGES];
};
struct call {
    uint64_t id[2];
    struct str text, from, to; /* in the arena */
    uint64_t from_tag;
    int64_t start_us, ring_us, answer_us, end_us, last_us; /* wall; 0 = never */
    uint64_t packets[2];
    uint32_t streams; /* first of them */
    uint16_t code;
    uint8_t n_parties, ended_by; /* 'a', 'b', 0 */
    bool sdp[2], still[2], exposed, srtp, one_way, told;
    uint8_t proto;
    struct addr parties[PARTIES];
    struct {
        uint64_t aor, number;
        uint16_t flags;
        uint8_t zone;
        bool judged;
    } j[REPLAY_JUDGES];
};
struct outcome {     /* what one configuration says to one message */
    uint8_t kind;    /* enum verdict_kind; OUT_SKIPPED */
    uint16_t reason; /* enum reason */
};
#define OUT_SKIPPED 15u /* the gateway's own */
struct trans {
    uint64_t id[2];
    struct addr src, dst;
    int64_t at_us; /* mono */
    uint32_t call;
    uint8_t proto, method;
    uint8_t pending; /* bits by judge */
    bool in_dialog, credentials, proven, done, binds;
    char text[48], uri[48], agent[48]; /* for alerts; ended */
    struct {
        struct obs o;
        bool authenticate;
        struct outcome out;
    } j[REPLAY_JUDGES];
};
struct source {
    struct addr a;
    int64_t first_us;
    uint64_t messages;
};
struct alert {
    uint8_t by, detector, treat, severity, action;
    bool dry;
    uint16_t score, level, reason;
    uint32_t sid, gid, rev;
    uint64_t n;
    int64_t first_us, last_us;
    struct addr source;
    struct str who, text; /* in the arena */
};
struct banned {
    struct ban b;
    uint32_t slot, hits_before;
    uint64_t hits, messages, packets; /* until the ban: messages of the source */
    int64_t after_us;                 /* since its first packet; -1: not known */
};
struct judge {
    const struct replay_judgement *by;
    const struct policy *policy;
    struct gate_env env;
    struct gate_hits hits;
    struct guard *guard;
    struct ban_board *board;
    uint32_t *ban_hits, *slot_owner;
    uint64_t kinds[VERDICT_WAIT + 1], reasons[REASON_COUNT], rtp_dropped, own;
    struct alert *alerts;
    struct banned *bans;
    uint32_t n_alerts, n_bans;
    uint64_t alerts_lost, bans_lost, next_ban;
    struct rng *rng;
    bool rtp_rules; /* there are signatures for packets */
    uint64_t rtp_told[RTP_TOLD];
};
struct diff {
    struct outcome a, b;
    struct addr source;
    uint8_t method;
    uint64_t n;
};
struct counts {
    uint64_t packets, bytes, frames[FRAME_KINDS], sip, malformed, sip_cut, again, stray;
    uint64_t rtp, rtcp, stun, zrtp, dtls, other_udp, backwards, chance;
    uint64_t requests[SIP_METHOD_COUNT], responses[700];
    uint64_t calls_lost, streams_lost, sources_lost, announced_lost, text_lost, registrations;
};
struct replay {
    struct replay_opts o;
    char error[256];
    struct now now;
    int64_t first_us, last_us, clock_us;
    uint32_t link;
    struct sipkey key;
    struct counts n;
    struct frags *frags;
    struct tcp_table *tcp;
    struct arena text;
    void *text_mem;
    struct call *calls;
    struct stream *streams;
    struct announced *announced;
    struct source *sources;
    struct trans *trans;
    uint64_t *nonces, *devices;
    uint32_t hand; /* looks for a stream that may give way */
    uint32_t n_calls, n_streams, n_announced, n_sources, n_diffs;
    uint64_t head, cursor, tail; /* of trans, a ring: forgotten, judged, new */
    struct map call_map, stream_map, announced_map, source_map, trans_map;
    struct diff *diffs;
    uint64_t diffs_lost;
    struct judge judges[REPLAY_JUDGES];
    struct sip_msg m;
    struct sdp sdp;
    double cpu_s;
};

struct seen { /* a SIP message as it was seen */
    struct str bytes;
    uint8_t proto;
    bool stream, cut;
    struct addr src, dst;
    struct source *source;
};

/* sip.c */
void sip_seen(struct replay *r, const struct seen *s);
void sip_stream_bad(struct replay *r, const struct seen *s, enum reason why);
void trans_turn(struct replay *r, bool end); /* judges what stays unanswered */
void call_over(struct replay *r, struct call *k);
/* media.c */
void media_packet(struct replay *r, const struct frame *f) HOT;
void media_announce(struct replay *r, struct call *k, uint8_t side, struct str sdp,
                    const struct seen *s);
void media_bind(struct replay *r, struct stream *t);
/* judge.c */
bool judge_init(struct replay *r, unsigned i);
/* Before the message is parsed. false: it ends here, *ret_o says how. */
bool judge_door(struct replay *r, struct judge *j, const struct seen *s, struct outcome *ret_o);
void judge_malformed(struct replay *r, struct judge *j, const struct seen *s, enum reason why,
                     struct outcome *ret_o);
/* A new request: an outcome at once, or t->pending says that the answer decides. */
void judge_request(struct replay *r, unsigned i, const struct seen *s, struct trans *t,
                   const struct call *k);
void judge_answered(struct replay *r, unsigned i, struct trans *t, uint16_t code, bool stale);
void judge_response(struct replay *r, unsigned i, const struct seen *s, const struct trans *t);
void judge_observe(struct replay *r, unsigned i, const struct obs *o, const struct trans *t);
/* alert.c */
void judge_rule(struct replay *r, unsigned i, const struct rules_hit *h, const struct obs *o,
                const struct trans *t);
void judge_packet(struct replay *r, unsigned i, const struct frame *f, const struct stream *t);
void judge_count(struct judge *j, struct outcome o);
void judge_plain(struct replay *r, unsigned i, const struct addr *source, enum reason why,
                 struct str who, const struct trans *t);
bool judge_banned(struct replay *r, unsigned i, const struct addr *source);
void judge_diff(struct replay *r, const struct addr *source, uint8_t method, struct outcome a,
                struct outcome b);
/* eve.c */
void eve_alert(struct replay *r, const struct alert *a, const struct trans *t);
/* run.c */
struct str replay_text(struct replay *r, struct str s); /* a printable copy, cut; "" when full */
struct source *source_of(struct replay *r, const struct addr *a);
#endif
