/* The control channel between the monitor and one child: a SOCK_SEQPACKET pair of typed, bounded
 * messages (messages.def). Each side treats the other as hostile: direction, role, phase, size and
 * number of descriptors are checked against the table before a body is looked at. Bodies are flat
 * structs of this build (version in the header); what they say inside is the reader's to judge. */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H
#include "base/addr.h"
#include "base/siphash.h"
#include "io/sandbox.h"

/* Grows with every change of messages.def, of a struct below or of a layout in the memory that is
 * attached: a monitor that runs on after an upgrade may start a child of the new build. */
#define IPC_VERSION      5u
#define IPC_ENGINES_MAX  32u
#define IPC_FDS_MAX      4u
#define IPC_KEY_NAME     64u
#define IPC_BAN_MAX      512u /* bytes of a struct ban (guard/ban.h), which its reader judges */
#define IPC_BODY_MAX     20480u
#define CERT_URL_MAX     255u
#define NOTE_TEXT_MAX    512u
#define CONSULT_BODY_MAX 1024u
#define QUERY_TEXT_MAX   8192u
#define REPLY_TEXT_MAX   16384u
#define NOTIFY_BODY_MAX  4096u
#define REPLY_BLOB_MAX   (256u << 20) /* bytes of a reply in a memfd */

struct msg_head {
    uint16_t type, version;
    uint32_t n; /* bytes of body */
};
struct msg_locked {
    struct sandbox_report report;
    int32_t pid;
};
struct msg_note {
    uint8_t severity; /* enum severity */
    uint8_t pad[3];
    /* text follows */
};
struct msg_query {
    uint32_t id;
    uint32_t pad; /* request as one JSON object follows (ipc/control.h) */
};
struct msg_reply {
    uint32_t id;
    uint32_t code;       /* enum control_code: 0 done, else an error */
    uint64_t blob_bytes; /* with a descriptor: length of the text in it; the body has none then */
    /* text (JSON) follows */
};
struct msg_blob {
    uint64_t bytes;
};
struct msg_connect {
    uint32_t req;
    uint32_t generation; /* of the policy the engine meant: another one is refused */
    struct addr target;  /* one of the peer's, by the policy or the board: others are refused */
    uint8_t peer;        /* index in the policy */
    uint8_t pad[3];
};
struct msg_connected {
    uint32_t req;
    int32_t error; /* errno; 0: the descriptor is a non-blocking socket that connects: wait for
                      EPOLLOUT, then ask SO_ERROR */
};
struct msg_drain {
    uint32_t on;
};
struct msg_feed {
    uint8_t feed; /* index in the policy */
    uint8_t pad[3];
    uint32_t generation; /* of the policy it was read by */
    uint32_t lines, bad; /* read, and not understood of them */
    uint64_t bytes;      /* of the memfd */
    int32_t error;       /* 0; else errno or -1: text says why, no descriptor */
    char text[124];      /* printable, ended */
};
struct msg_cert {
    uint32_t id;     /* the engine's question (identity/ask.h) */
    uint16_t reason; /* DONE, GOT: enum reason; NONE: it is on the board */
    uint8_t engine;  /* who asked; the monitor writes it */
    uint8_t pad;
    /* ASK, GET: URL follows */
};
struct msg_consult {
    uint32_t id;      /* the engine's question (identity/ask.h) */
    uint32_t wait_ms; /* ASK, GET: what comes later is of no use */
    uint16_t reason;  /* DONE, GOT: enum reason: NONE, fraud_asked or consult_failed */
    uint8_t engine;   /* who asked; the monitor writes it */
    uint8_t pad;
    /* ASK, GET: JSON follows */
};
struct msg_notify {
    uint32_t id;
    uint8_t mail;     /* else a webhook: POST of JSON */
    uint8_t starttls; /* of smtp:// */
    uint8_t inside;   /* private addresses are meant */
    uint8_t n_to;
    char url[512];
    char user[64], password[256]; /* of the mail server; "": none */
    char from[128], to[4][128];
    char signature[80]; /* of the body, for a header line; "": none */
    /* body follows: JSON, or a whole mail (RFC 5322) */
};
enum notified { NOTIFIED_OK, NOTIFIED_AGAIN, NOTIFIED_NEVER };
struct msg_notified {
    uint32_t id;
    uint32_t outcome; /* enum notified: AGAIN may succeed later */
    char text[120];   /* why not; printable, ended */
};
struct msg_ping {
    uint64_t id;
};
struct msg_setup {
    uint8_t role, engine, engines; /* engine: index of this one; 0 for others */
    uint8_t pad;
    uint16_t media_min, media_max; /* engine: its part of the RTP range: media_min even, media_max
                                      odd; both inclusive */
    struct sipkey token_seal, token_mask; /* engines */
    struct sipkey hash;    /* engines and store: one key for tables that all of them index */
    struct sipkey nonce;   /* engines and vault */
    struct sipkey ledger;  /* engines: names in the ledger; the same over restarts */
    uint32_t location_cap; /* bindings a shard holds */
    uint32_t restarts;     /* of this child since the gateway started */
};
enum attach_kind {
    ATTACH_WAKE = 1,  /* pipe of consumer (role a, engine b): the reading end of one's own, to sleep
                         on; a writing end of others' */
    ATTACH_POLICY,    /* sealed memfd, struct policy. all */
    ATTACH_DIRECTORY, /* sealed memfd, struct directory. engines */
    ATTACH_STATS,     /* memfd, struct stats: one's own */
    ATTACH_LOCATION, /* memfd, shard of engine a and behind it its board of service routes: writable
                        for its owner, read-only for other engines and the store */
    ATTACH_LISTENER, /* engine: socket of listener a in the policy; UDP, or listening TCP (for TLS
                        too) */
    ATTACH_CHAIN,    /* engine: sealed memfd, PEM certificate chain of key number a */
    ATTACH_CA,       /* engine: sealed memfd, PEM of trusted authorities */
    ATTACH_KEYS, /* vault: sealed memfd, names of keys: IPC_KEY_NAME bytes each, NUL-padded, in the
                    order of key numbers */
    ATTACH_RING_ASK,     /* engine a to the vault */
    ATTACH_RING_ANSWER,  /* vault to engine a */
    ATTACH_RING_FACT,    /* engine a to the store */
    ATTACH_RING_RESTORE, /* store to engine a: what survived a restart */
    ATTACH_RING_PEER,    /* engine a to engine b */
    ATTACH_TARGETS,  /* memfd, struct targets_board: writable for fetch, read-only for engines */
    ATTACH_RESOLVER, /* fetch: sealed memfd, text: trust anchors (a 0), resolv.conf (a 1),
                        authorities of signers of calls (a 2), of web servers (a 3) and of who is
                        asked about calls (a 4), PEM */
    ATTACH_BANS,     /* memfd, struct ban_board: read-only. engines */
    ATTACH_BAN_HITS, /* memfd, uint32_t[BAN_CAP]: the engine's own count by slot */
    ATTACH_GEO,      /* sealed memfd, struct geo. engines */
    ATTACH_RULES,    /* sealed memfd, struct rules. engines */
    ATTACH_PORTS,    /* uint8_t[65536], a map of the kernel's or a memfd: media ports with a session
                        (1). engines write those of their own range */
    ATTACH_FEED,     /* fetch: file of feed a, open for reading */
    ATTACH_CERTS,    /* memfd, struct cert_board: writable for fetch, read-only for engines */
    ATTACH_LEDGER,   /* memfd, shard of the ledger of engine a: writable for its owner, read-only
                        for other engines */
    ATTACH_RATES,    /* sealed memfd, struct rates. engines */
    ATTACH_FRAUD,    /* memfd, what is usual for those at home in engine a: as ATTACH_LEDGER */
    ATTACH_KIND_COUNT
};
struct msg_attach {
    uint8_t kind; /* enum attach_kind */
    uint8_t a, b, pad;
    uint32_t ring_size; /* rings: bytes of data, a power of two */
    uint64_t bytes;     /* memory: bytes to map */
};

enum msg_type {
    MSG_NONE,
#define M(name, dir, roles, phases, min, max, fds_min, fds_max) MSG_##name,
#include "ipc/messages.def"
#undef M
    MSG_COUNT
};
enum phase { PHASE_LOCKING, PHASE_SETUP, PHASE_RUNNING };
struct channel {
    int fd;
    enum role role;   /* of the child */
    enum phase phase; /* moves by LOCKED and RUNNING, sent or received */
    bool monitor;     /* this side is the monitor's */
};
struct msg {
    enum msg_type type;
    size_t n;
    uint32_t n_fds;
    int fds[IPC_FDS_MAX]; /* the receiver's to close: msg_close, or take one and set it to -1 */
    union {
        struct msg_locked locked;
        struct msg_note note;
        struct msg_query query;
        struct msg_reply reply;
        struct msg_blob blob;
        struct msg_connect connect;
        struct msg_connected connected;
        struct msg_drain drain;
        struct msg_ping ping;
        struct msg_feed feed;
        struct msg_notify notify;
        struct msg_notified notified;
        struct msg_cert cert;
        struct msg_consult consult;
        struct msg_setup setup;
        struct msg_attach attach;
        uint8_t body[IPC_BODY_MAX];
    } u;
};
const char *msg_name(enum msg_type t);
/* fd: one end of the pair; kept, not closed. */
void channel_init(struct channel *c, int fd, enum role role, bool monitor);
/* Makes the pair: both ends close-on-exec; the monitor's end non-blocking. */
MUST_CHECK enum err channel_pair(int *ret_monitor, int *ret_child);
/* Never waits on a non-blocking end: ERR_AGAIN when the other side does not read (nothing was
 * sent). ERR_STATE: not ours to send now; ERR_LIMIT: size; ERR_CLOSED: the other side has gone. fd
 * -1: none. The descriptor stays the caller's. */
MUST_CHECK enum err channel_send(struct channel *c, enum msg_type t, struct str body, int fd);
MUST_CHECK enum err channel_send2(struct channel *c, enum msg_type t, struct str head,
                                  struct str tail, int fd);
/* ERR_AGAIN: none now (non-blocking end, or dont_wait). ERR_CLOSED. ERR_SYNTAX, ERR_STATE,
 * ERR_LIMIT: the peer broke the contract; nothing is left open and the channel must not be used
 * again. */
MUST_CHECK enum err channel_recv(struct channel *c, struct msg *ret_m, bool dont_wait);
/* The table's judgement of one datagram, without a socket: what channel_recv applies. Also checks
 * and moves the phase. */
MUST_CHECK enum err channel_judge(struct channel *c, const void *datagram, size_t n, uint32_t n_fds,
                                  enum msg_type *ret_t);
static inline struct str
msg_text(const struct msg *m,
         size_t head) /* what follows a fixed head; head <= m->n by the table */
{
    return str_of((const char *)m->u.body + head, m->n - head);
}
void msg_close(struct msg *m);
#endif
