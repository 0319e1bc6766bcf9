/* The engine program: one core behind sockets. Each turn: wait, take what came (datagrams, stream
 * bytes, packets, rings, timers) into the core, carry out its intents, flush. Nothing here waits or
 * locks; memory is taken at start, except buffers of slow connections, which have caps. */
#ifndef APP_ENGINE_ENGINE_H
#define APP_ENGINE_ENGINE_H
#include "base/pool.h"
#include "base/timer.h"
#include "call/core.h"
#include "call/rate.h"
#include "crypto/hash.h"
#include "crypto/tls.h"
#include "io/dgram.h"
#include "io/loop.h"
#include "io/stream.h"
#include "ipc/backlog.h"
#include "ipc/child.h"
#include "wire/sip/frame.h"

#define LEAVE_S       2 /* longest wait for registrars when told to stop */
#define SIP_BATCH     32u
#define MEDIA_BATCH   64u
#define INTENTS_CAP   2048u
#define INTENTS_BYTES (4u << 20)
#ifndef NAP_US
#define NAP_US 800
#endif
#define NAP_FROM          4000u /* datagrams of signalling a second from which it pays */
#define NAP_WINDOW_MS     10u
#define CONN_QUEUE_MAX    (256u << 10) /* bytes that may wait for a slow peer */
#define CONN_EARLY_MAX    (64u << 10)  /* bytes that may wait for a connection to open */
#define CONN_HANDSHAKE_S  10
#define CONN_MESSAGE_S    30          /* a message begun must be whole by then */
#define CONN_IDLE_S       3700        /* longest silence: a registration's default life and some */
#define CONN_STRANGER_S   30          /* to prove oneself, from the last whole message on */
#define CONN_PINGS        64u         /* line ends in one read that are no attack */
#define CONN_PARTIAL_MAX  (32u << 20) /* bytes of messages that are not whole, all connections */
#define SIGN_SLOTS        1024u
#define CONN_RECENT       64u
#define CONN_RECENT_PHONE 4u
#define OUT_MAX           16u /* to one peer: the addresses it has, and some that it had */
#define FD_SPARE          32  /* a channel that cannot take a descriptor is broken */
#define SOURCE_SLOTS      (1u << 16)

struct engine;
struct sent { /* whose message went out: a transaction of the core of that engine */
    struct handle ref;
    uint8_t engine;
};
struct sign { /* kept until answered, so that a vault that starts again can be asked again */
    struct handle conn;
    uint32_t id;
    uint16_t key;
    uint8_t n, digest[HASH_MAX];
};
enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_UP };
enum conn_clock { CLOCK_NONE, CLOCK_QUIET, CLOCK_MESSAGE }; /* what the timer waits for */
struct conn {
    struct engine *e;
    struct stream stream;
    struct tls *tls; /* NULL on TCP, and on incoming TLS before the first byte */
    struct flow flow;
    struct timer timer;
    struct sip_frame_scan scan;
    uint8_t *in; /* an incomplete message; NULL when there is none */
    uint32_t in_n, in_cap;
    uint8_t *early; /* outgoing, not open yet: messages that wait, each behind its early_head */
    uint32_t early_n, n_recent;
    struct sent *recent; /* owners of the newest messages, CONN_RECENT on outgoing connections, else
                            CONN_RECENT_PHONE; NULL before the first. What is still unanswered when
                            it closes then fails at once */
    uint32_t source;     /* slot in e->sources; incoming only */
    uint8_t state;       /* enum conn_state */
    uint8_t clock;       /* enum conn_clock */
    bool incoming, signing, verified;
    struct proof *proof;        /* of the verified certificate of who opened it; NULL */
    bool stranger, proved;      /* see crowd.c; neither: its source is known */
    struct conn *older, *newer; /* among strangers */
    uint32_t req, sign_id;      /* newest question to the monitor, to the vault */
};
struct known { /* a source from which somebody is registered */
    uint32_t tag, until_s;
};
enum standing { STRANGER, KNOWN, PROVED };
struct newcomer {
    uint64_t hash;
    uint32_t source;
    uint8_t zone, standing; /* enum standing */
};

struct engine {
    struct child child;
    struct loop loop;
    struct core *core;
    struct intents intents;
    struct backlog bans_unsent;  /* the monitor did not read */
    const struct policy *policy; /* one of snapshot */
    struct policy snapshot[2];   /* the one in force, and the one before */
    struct wheel wheel;          /* connections' timers */
    struct dgram_rx rx;
    struct dgram_tx tx[POLICY_LISTENERS];
    struct pool conns;
    struct handle out[POLICY_PEERS][OUT_MAX]; /* connections that we opened */
    uint16_t sources[SOURCE_SLOTS];           /* incoming connections by hashed source */
    uint16_t strangers[SOURCE_SLOTS];         /* those of them that are strangers */
    struct conn *oldest, *newest;             /* strangers */
    uint32_t n_strangers, n_signing;
    size_t partial_bytes;
    struct known *known;
    struct rate_table *pace; /* connections a second of strangers, by source */
    uint32_t board_slot;     /* where the walk for known sources goes on */
    uint8_t board;
    int fd_top;  /* descriptors from here on are kept for what the monitor sends */
    bool paused; /* no descriptors: listeners rest until pause_end */
    struct instant pause_end;
    struct tls_ctx *server[POLICY_LISTENERS], *client;
    struct sign sign[SIGN_SLOTS]; /* signatures that the vault makes */
    uint32_t sign_next, connect_next;
    uint8_t index;
    bool stop, draining, drained_told, leaving;
    struct instant leave_end; /* of leaving: then it stops in any case */
    bool more;                /* datagrams of signalling waited when the last batch was full */
    bool brisk;               /* much signalling, no media: see nap */
    struct instant window;
    uint64_t window_sip, window_rtp;
    /* media */
    int port_fd[65536];        /* -1: not open */
    uint16_t fd_port[1 << 18]; /* media port of a descriptor */
    uint32_t port_at;          /* next pair to try to open */
    uint16_t port_min, port_max;
    struct instant port_again; /* until then none is opened: no descriptors, or all were tried */
    bool v6;                   /* dual-stack media sockets */
    struct pkt pkts[MEDIA_BATCH];
    uint32_t n_pkts;
    uint8_t *pkt_mem, *scratch; /* scratch: SCRATCH_BYTES */
};
#define SCRATCH_BYTES (64u << 10)

/* certs.c */
void certs_proof(struct conn *c);               /* notes what the verified certificate proves */
enum reason certs_reason(const struct conn *c); /* why it did not verify */
void certs_judge(struct engine *e); /* ends connections whose certificate would not pass now */

/* streams.c */
MUST_CHECK enum err streams_init(struct engine *e, uint32_t cap);
void streams_contexts(struct engine *e); /* certificates or listeners changed */
void streams_send(struct engine *e, const struct intent *i,
                  uint8_t origin); /* origin: engine of i->ref */
void streams_close(struct engine *e, const struct flow *f);
void streams_signed(struct engine *e, const struct answer *a);
void streams_sign_again(struct engine *e); /* the vault is a new one: what it was asked is lost */
void streams_tick(struct engine *e);
/* takes fd; NULL: no room, it is closed */
struct conn *conn_new(struct engine *e, int fd, const struct flow *f);
void conn_free(struct conn *c);                 /* tells nobody */
void conn_end(struct conn *c, enum reason why); /* tells the core; REASON_NONE: in good order */
void streams_proved(struct engine *e, const struct flow *f); /* somebody proved himself on it */
loop_fn conn_event;
/* crowd.c: the listeners, and who is let in */
void streams_listen(struct engine *e);
MUST_CHECK enum err crowd_init(struct engine *e);
/* May this source have one more connection? Another may have to go for it. */
enum reason crowd_admit(struct engine *e, uint8_t listener, const struct addr *peer,
                        struct newcomer *ret);
void crowd_enter(struct conn *c, const struct newcomer *n);
void crowd_leave(struct conn *c);
void crowd_proved(struct conn *c);
bool crowd_make_room(struct engine *e); /* ends the oldest stranger; false: there is none */
void crowd_limits(struct engine *e);    /* looks how many descriptors there may be */
void crowd_pause(struct engine *e);     /* no descriptors: nobody is let in for a moment */
void crowd_tick(struct engine *e);
/* dial.c */
struct conn *connect_out(struct engine *e,
                         const struct flow *f); /* open, opening or newly begun; NULL: impossible */
void streams_connected(struct engine *e, const struct msg_connected *m, int fd); /* takes fd */
/* media_io.c */
MUST_CHECK enum err media_io_init(struct engine *e);
void media_io_top_up(struct engine *e);
void media_io_flush(struct engine *e);
/* carry.c: intents out, rings in */
/* Tells the owner that its message did not go (lost: that it went, but its connection has closed).
 */
void tell_owner(struct engine *e, struct sent s, bool lost);
void carry_out(struct engine *e);
bool rings_in(struct engine *e); /* true if anything came */
/* rules.c */
void engine_rules_attached(struct engine *e); /* e->child.rules is new, or there is none */
/* query.c */
void query_answer(struct engine *e);
#endif
