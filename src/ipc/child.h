/* A child program's side of its life: lock in, be set up, run, be told of changes. Everything it
 * will ever hold arrives over the channel after sandbox_enter succeeded. Single thread. Memory that
 * is replaced (policy, directory, rings of a restarted partner) is unmapped inside child_next: keep
 * no pointer into it across that call. */
#ifndef IPC_CHILD_H
#define IPC_CHILD_H
#include "base/ring.h"
#include "ipc/channel.h"
#include "ipc/stats.h"

struct child_map {
    const void *p; /* NULL: not given (yet) */
    size_t n;
};
struct child_ring {
    struct ring ring;
    void *mem; /* NULL: not given */
    size_t n;
    bool producer;
    bool put;       /* producer: records since the last child_flush */
    bool announced; /* consumer: sleep was announced on it */
    int *wake;      /* producer: writing end of the consumer's pipe */
};
#define CHILD_LISTENERS 16u
#define CHILD_CHAINS    16u
struct child {
    struct channel ch;
    struct msg_setup setup; /* keys, indices, ports, as told */
    struct sandbox_report report;
    struct child_map policy, directory, ca, chain[CHILD_CHAINS];
    struct child_map keys; /* vault: n / IPC_KEY_NAME names */
    struct child_map location[IPC_ENGINES_MAX];
    struct child_map targets;                 /* engines, fetch */
    struct child_map resolver[5];             /* fetch */
    struct child_map certs;                   /* engines, fetch */
    void *certs_own;                          /* fetch: the same, writable */
    struct child_map bans, geo, rules;        /* engines */
    struct child_map ledger[IPC_ENGINES_MAX]; /* engines */
    void *ledger_own;                         /* engine: its own shard, writable */
    struct child_map fraud[IPC_ENGINES_MAX];  /* engines; and its own, writable */
    void *fraud_own;
    struct child_map rates; /* engines */
    uint32_t *ban_hits;     /* engine: BAN_CAP of guard/ban.h, writable */
    uint8_t *ports;         /* engine: 65536 media ports, writable; NULL: nobody looks */
    int feed[16];           /* fetch: files of feeds; -1: none. Take one and set it -1 */
    void *targets_own;      /* fetch: the same, writable */
    void *location_own;     /* engine: its own shard, writable; NULL for others */
    struct stats *stats;    /* never NULL after child_start */
    int wake;               /* reading end of the own pipe: watch it; child_awake drains it */
    uint32_t undrained;     /* turns since it was looked at */
    int wake_of[ROLE_COUNT][IPC_ENGINES_MAX]; /* -1: not given */
    int listener[CHILD_LISTENERS];            /* engine: -1 where there is none; non-blocking */
    /* By the engine at the other end (the index of the engine itself on engines). An engine uses
     * ask, answer, fact and restore at [setup.engine], to[] and from[] at the other engine's; the
     * vault ask[] and answer[]; the store fact[] and restore[]. */
    struct child_ring ask[IPC_ENGINES_MAX], answer[IPC_ENGINES_MAX], fact[IPC_ENGINES_MAX],
        restore[IPC_ENGINES_MAX];
    struct child_ring to[IPC_ENGINES_MAX], from[IPC_ENGINES_MAX];
    struct msg msg; /* the one that child_next returned */
};
/* Locks in and waits (blocking) until the set-up is complete; then the program prepares itself and
 * calls child_running. folder: see sandbox_enter. On an error a line has been written to standard
 * error: return 1 from main. */
MUST_CHECK enum err child_start(struct child *c, enum role role, const char *folder);
MUST_CHECK enum err child_running(struct child *c);

enum child_event {
    CHILD_ATTACHED, /* msg.u.attach says what is new; already in place in struct child. A replaced
                       ring lost its records: questions that wait for an answer from it will get
                       none */
    CHILD_QUERY, /* msg.u.query.id, msg_text(&msg, sizeof(struct msg_query)); answer by child_reply
                  */
    CHILD_CONNECTED, /* msg.u.connected; if error is 0 take msg.fds[0] and set it to -1 */
    CHILD_FACT,      /* msg.u.body, msg.n */
    CHILD_NOTIFY,   /* fetch: msg.u.notify, msg_text(&msg, sizeof(struct msg_notify)), msg.fds[0] */
    CHILD_CERT_GET, /* fetch: msg.u.cert, msg_text(&msg, sizeof(struct msg_cert)): bring it */
    CHILD_CERT_GOT, /* engine: msg.u.cert */
    CHILD_CONSULT_GET, /* fetch: msg.u.consult, msg_text(&msg, sizeof(struct msg_consult)) */
    CHILD_CONSULT_GOT, /* engine: msg.u.consult */
    CHILD_DRAIN,       /* msg.u.drain.on */
    CHILD_STOP,
};
/* Next message from the monitor without waiting: ERR_AGAIN when there is none; anything else but
 * OK: end the program. PINGs are answered inside. Watch c->ch.fd for reading. */
MUST_CHECK enum err child_next(struct child *c, enum child_event *ret_ev);

/* Answer to a query: JSON text; long ones travel in a memfd. code: enum control_code. */
MUST_CHECK enum err child_reply(struct child *c, uint32_t id, uint32_t code, struct str json);
/* The same with the text in a memfd of the caller (stays the caller's to close). */
MUST_CHECK enum err child_reply_fd(struct child *c, uint32_t id, uint32_t code, int memfd,
                                   uint64_t bytes);
/* A line for the operator; cut at NOTE_TEXT_MAX; dropped when the monitor does not read. */
void child_note(struct child *c, uint8_t severity, const char *fmt, ...) PRINTF(3, 4);
MUST_CHECK enum err child_connect(struct child *c, uint32_t req, uint8_t peer,
                                  const struct addr *target, uint32_t generation);
/* Vault: publishes the directory (bytes are copied into a sealed memfd). */
MUST_CHECK enum err child_directory(struct child *c, const void *blob, size_t n);
MUST_CHECK enum err child_drained(struct child *c);

/* Rings. child_put never waits and wakes nobody; child_flush, once a turn, wakes consumers that
 * sleep. ERR_STATE: the ring is not given; ERR_FULL: see ring_put. child_get: see ring_get; a
 * broken ring gives ERR_STATE once and then ERR_AGAIN until it is replaced. */
MUST_CHECK enum err child_put(struct child_ring *r, const void *rec, size_t n);
MUST_CHECK enum err child_put2(struct child_ring *r, struct str a, struct str b);
MUST_CHECK enum err child_get(struct child_ring *r, void *ret, size_t cap, size_t *ret_n);
void child_flush(struct child *c);
/* Before waiting: announces sleep on all rings that this child reads; false if records came
 * meanwhile (then do not wait). */
bool child_sleep(struct child *c);
/* After waiting: takes the announcements back and drains the pipe. The system call is saved while
 * no producer has taken an announcement, except now and then, for those who wake without a record.
 */
void child_awake(struct child *c);
#endif
