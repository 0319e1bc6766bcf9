/* Inside of the transaction room: the record of a transaction, its states, events and clocks, and
 * the table every machine is. Not for other floors; sip/trans.h is the contract.
 *
 * A record has one timer, for the nearer of two times: the next retransmission (timers A, E, G) and
 * the end of the state (B, C, D, F, H, I, J, K, L, M). */
#ifndef SIP_MACHINE_H
#define SIP_MACHINE_H
#include "base/map.h"
#include "sip/copy.h"
#include "sip/trans.h"

enum trans_state {
    ST_NONE, /* not a state: marks the unset cells of a table */
    ST_IDLE, /* client: reserved, nothing sent */
    ST_CALLING,
    ST_TRYING,
    ST_PROCEEDING,
    ST_CANCELLING, /* CANCEL went out, the final response is awaited */
    ST_COMPLETED,
    ST_CONFIRMED,
    ST_ACCEPTED,
    ST_TERMINATED,
    ST_COUNT
};
/* 100 to 6xx: a response that a client received, or that the user of a server gives. */
enum trans_event {
    EV_SEND,
    EV_100,
    EV_1XX, /* 101-199 */
    EV_2XX,
    EV_FAIL,    /* 300-699 */
    EV_REQUEST, /* server: the request came again */
    EV_ACK,
    EV_CANCEL,     /* the user's wish */
    EV_RETRANSMIT, /* timer A, E or G */
    EV_DEADLINE,   /* the other timers */
    EV_TRANSPORT,
    EV_COUNT
};
enum trans_clock {
    CLK_KEEP, /* as they are */
    CLK_STOP,
    CLK_AB,
    CLK_A_NEXT,
    CLK_C,
    CLK_CANCEL, /* RFC 3261 9.1: 64*T1 from the CANCEL */
    CLK_D,
    CLK_EF,
    CLK_E_NEXT,
    CLK_E_T2,
    CLK_GH,
    CLK_G_NEXT,
    CLK_I,
    CLK_J,
    CLK_K,
    CLK_L,
    CLK_M,
    CLK_COUNT
};

#define KEY_INLINE 64u
enum trans_flag {
    FLAG_SILENT = 1,       /* nobody is told: the CANCEL's own transaction */
    FLAG_CANCEL_WAITS = 2, /* user wants a CANCEL, which waits for the first 1xx */
    FLAG_MERGE_KEY = 4,    /* entered in the index of 8.2.2.2 */
    FLAG_CANCELLED = 8,    /* a CANCEL went out */
};
struct trans {
    struct timer timer; /* first: trans_timer casts back */
    struct flow flow;
    uint64_t user;
    struct instant deadline;
    void *copy; /* the message that may have to be sent again, or a request's head to build ACK and
                   CANCEL from */
    uint16_t copy_len;
    uint16_t interval_ms; /* of retransmission; 0 = none */
    uint8_t kind, state, method, flags;
    uint16_t key_len;
    union {
        struct {
            uint64_t merge_hash, merge_check;
            void *key_rest; /* of a key longer than KEY_INLINE */
            char key[KEY_INLINE];
        } server;
        struct {
            struct handle cancel; /* ICT: the CANCEL's transaction; it shares the branch */
            void *reason;         /* waits with FLAG_CANCEL_WAITS */
            uint16_t reason_len;
        } client;
    };
};
_Static_assert(sizeof(struct trans) <= 192, "hundreds of thousands linger for 32 s");
_Static_assert(offsetof(struct trans, timer) == 0, "trans_timer");

/* Records whose states end at a time, the first one first (clock.c). */
struct queue {
    struct timer
        ends; /* before the first and behind the last; first member: clock_stop casts back */
    struct timer tick; /* in the wheel while there is one */
};
#define QUEUES 3u /* 64*T1, T4, timer C */

struct trans_table {
    struct trans_cfg cfg;
    struct pool pool;
    struct map keys;   /* of servers, RFC 3261 17.2.3 */
    struct map merges; /* of servers whose request had no To tag, RFC 3261 8.2.2.2 */
    struct copies copies;
    struct queue queues[QUEUES];
    char scratch[SIP_MSG_MAX + 1]; /* a kept message in one piece */
    char work[SIP_MSG_MAX + 1];    /* a message or key under construction */
};

/* What came with an event; what does not apply is empty. */
struct trans_input {
    struct instant now;
    struct str bytes;        /* to send */
    const struct sip_msg *m; /* received */
    const struct flow *f;    /* by which it was received */
    struct str reason;       /* value of the CANCEL's Reason header */
};
/* What the user hears, after the machine is done with the event. */
enum tell {
    TELL_NOTHING,
    TELL_RESPONSE,
    TELL_TIMEOUT,
    TELL_TRANSPORT,
    TELL_ACKED,
    TELL_NOT_ACKED,
};
typedef enum tell trans_action(struct trans_table *t, struct trans *x,
                               const struct trans_input *in);
struct machine_action {
    const char *name;
    trans_action *run;
};
struct edge {
    uint8_t next;   /* enum trans_state */
    uint8_t action; /* index in the machine's actions; 0 = none */
    uint8_t clock;  /* enum trans_clock */
};
struct machine {
    const char *name, *source;
    enum trans_state initial;
    const struct edge (*edges)[EV_COUNT]; /* [ST_COUNT][EV_COUNT] */
    const struct machine_action *actions;
    uint8_t n_actions;
};
extern const struct machine MACHINE_ICT, MACHINE_NICT, MACHINE_IST, MACHINE_NIST;
const struct machine *machine_of(enum trans_kind k);
const char *state_name(enum trans_state s);
const char *event_name(enum trans_event e);
const char *clock_name(enum trans_clock c);

/* One event. false: the cell is unset; counted as sip_event_order and nothing else happened. x may
 * be gone afterwards. */
bool trans_step(struct trans_table *t, struct trans *x, enum trans_event ev,
                const struct trans_input *in);
void trans_destroy(struct trans_table *t, struct trans *x);

void clock_init(struct trans_table *t);
/* As the table's cell says. true: the state's time is zero, it ends at once. */
bool clock_set(struct trans_table *t, struct trans *x, enum trans_clock c, struct instant now);
void clock_arm(struct trans_table *t, struct trans *x, struct instant due); /* in the wheel */
void clock_stop(struct trans_table *t, struct trans *x);

/* For the actions. */
struct str trans_copy(struct trans_table *t, const struct trans *x); /* in scratch or in place */
/* Replaces the copy. Without memory there is none: counted as capacity_memory, and all that is lost
 * is the retransmission. */
void trans_keep(struct trans_table *t, struct trans *x, struct str bytes);
void trans_forget(struct trans_table *t, struct trans *x);
void trans_emit(struct trans_table *t, struct trans *x, struct str bytes);
void trans_resend(struct trans_table *t, struct trans *x);
/* Starts the CANCEL's transaction for x. */
void trans_cancel_start(struct trans_table *t, struct trans *x, const struct trans_input *in);
/* The server's key lies in t->work; index 0 = none. */
struct str match_key(struct trans_table *t, const struct sip_msg *m, enum sip_method as);
struct trans *match_find(struct trans_table *t, struct str key);
bool match_merged(struct trans_table *t, const struct sip_msg *m);
MUST_CHECK enum err match_enter(struct trans_table *t, struct trans *x, const struct sip_msg *m);
void match_leave(struct trans_table *t, struct trans *x);

/* Requests made from a request (RFC 3261 9.1, 17.1.1.3): request line, topmost Via, Max-Forwards,
 * Route, From, To, Call-ID, CSeq. With an empty method those lines as they are, and an empty line;
 * else of that method, with to_tag if To has none and reason if not empty. */
void hop_request(struct out *o, struct str request, struct str method, struct str to_tag,
                 struct str reason);
#endif
