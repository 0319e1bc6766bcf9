/* The four transactions of RFC 3261 section 17 with RFC 6026 (Accepted states): tables
 * [state][event], one file a machine (ict.c nict.c ist.c nist.c). Messages to be retransmitted are
 * kept in blocks shared with the calls, and given back as soon as the state cannot need them.
 * Sans-I/O: it calls the transaction user back and asks it to send. An event that has no place in
 * the state is counted as sip_event_order. One table an engine, one thread. */
#ifndef SIP_TRANS_H
#define SIP_TRANS_H
#include "base/arena.h"
#include "base/timer.h"
#include "sip/flow.h"
#include "sip/token.h"
#include "wire/sip/msg.h"

enum trans_kind { TRANS_ICT, TRANS_NICT, TRANS_IST, TRANS_NIST };
#define TRANS_T1_MS      500
#define TRANS_T2_MS      4000
#define TRANS_T4_MS      5000
#define TRANS_TIMER_C_MS 185000 /* > 3 min, RFC 3261 16.6; proceeding ICT without news */

/* What the transaction user provides. user is its own tag given at start. Handlers may start,
 * answer and drop any transaction; the handle may be gone after they return. */
struct trans_user {
    void *ctx;
    /* bytes are borrowed for the call. Must not call the table back: a failure is told later by
     * trans_transport_failed. */
    void (*send)(void *ctx, const struct flow *f, struct str bytes, struct handle t);
    /* client: every 1xx, the final response, and each further 2xx of an INVITE (new fork or
     * retransmission). */
    void (*response)(void *ctx, uint64_t user, struct handle t, const struct sip_msg *m,
                     const struct flow *f);
    /* client: no answer: sip_timeout or sip_transport_failed. Never after a final response. */
    void (*failed)(void *ctx, uint64_t user, struct handle t, enum reason why);
    /* server INVITE: ACK to our non-2xx arrived (acked) or never did (timer H); or the Accepted
     * state ended (timer L, acked is true). server non-INVITE: ended; on a reliable flow that is at
     * once, inside trans_respond. After this the handle is dead. */
    void (*ended)(void *ctx, uint64_t user, struct handle t, bool acked);
};
struct trans_cfg {
    uint32_t cap;                  /* transactions */
    struct wheel *wheel;           /* keeps */
    struct blocks *blocks;         /* keeps; message copies; one must be free at trans_init */
    const struct token_keys *keys; /* keeps */
    struct sipkey hash_key;
    uint8_t engine;
    struct counters *counters; /* keeps */
    uint8_t timer_owner;       /* value for timer.owner of our timers */
    struct trans_user user;
};
struct trans_table;
size_t trans_bytes(uint32_t cap);
struct trans_table *trans_init(void *mem, const struct trans_cfg *cfg); /* keeps mem, zeroed */

/* --- client --- */
/* Reserves a client transaction and mints its branch (cookie + token, BRANCH_CHARS) that the caller
 * writes into its topmost Via; trans_send then sends and starts the timers, or trans_drop gives it
 * back. NULL handle when full. */
#define BRANCH_CHARS (7u + TOKEN_CHARS)
struct handle trans_client(struct trans_table *t, enum sip_method method, uint64_t user,
                           char ret_branch[BRANCH_CHARS]);
MUST_CHECK enum err trans_send(struct trans_table *t, struct handle h, const struct flow *f,
                               struct str bytes, struct instant now);
/* (The ACK for a non-2xx is made by the transaction itself from the request it keeps.)
 * Builds the CANCEL of an ICT (same branch, RFC 3261 9.1) and sends it in a NICT of its own whose
 * user is 0 (responses absorbed). Allowed once 1xx came; before, it is remembered and sent with the
 * first 1xx. reason_header is the value of a Reason field (RFC 3326) or empty. If no final response
 * comes in 64*T1 the user is told sip_timeout. ERR_NOT_FOUND, ERR_FULL, ERR_STATE (a final response
 * came, or a CANCEL was sent before). */
MUST_CHECK enum err trans_cancel(struct trans_table *t, struct handle ict, struct str reason_header,
                                 struct instant now);
/* --- server --- */
enum trans_match {
    MATCH_NEW,
    MATCH_ABSORBED, /* retransmission or ACK to non-2xx: nothing to do */
    MATCH_CANCEL,   /* *ret_t is the INVITE */
    MATCH_ACK_2XX,  /* ACK that matched no transaction or an accepted one: for the call */
    MATCH_STRAY,    /* CANCEL of nothing: 481 */
    MATCH_MERGED,   /* 482 */
};
/* Looks a request up (RFC 3261 17.2.3 and 8.2.2.2, RFC 2543 fallback by Call-ID+CSeq+From tag+top
 * Via when the cookie is missing). CANCEL: MATCH_CANCEL with the INVITE's handle, or MATCH_STRAY
 * (also when it comes from another address than the INVITE); the CANCEL is then answered in a
 * server transaction of its own. MATCH_ABSORBED and MATCH_ACK_2XX of an accepted INVITE fill *ret_t
 * too, else it is HANDLE_NONE. */
enum trans_match trans_request(struct trans_table *t, const struct sip_msg *m, const struct flow *f,
                               struct instant now, struct handle *ret_t);
/* Opens a server transaction for a MATCH_NEW request or a CANCEL (not ACK). HANDLE_NONE when full:
 * capacity_transactions or capacity_memory was counted. 100 (Trying) is the user's to send, within
 * 200 ms (17.2.1). */
struct handle trans_server(struct trans_table *t, const struct sip_msg *m, const struct flow *f,
                           uint64_t user, struct instant now);
void trans_set_user(struct trans_table *t, struct handle h, uint64_t user);
uint64_t trans_user_of(const struct trans_table *t, struct handle h); /* 0 if gone */
/* Sends a response (1xx, or the final one) and keeps it for retransmissions. A 2xx of an INVITE is
 * repeated by the caller (the call), by this function again. ERR_NOT_FOUND, ERR_STATE (a final one
 * was sent), ERR_LIMIT (size), ERR_RANGE (code). */
MUST_CHECK enum err trans_respond(struct trans_table *t, struct handle h, unsigned code,
                                  struct str bytes, struct instant now);

/* --- both --- */
/* A response from the network: true if it belonged to a client transaction (and was handled or
 * absorbed); false: stray, token told by *ret_forged. */
bool trans_response(struct trans_table *t, const struct sip_msg *m, const struct flow *f,
                    struct instant now, bool *ret_forged);
void trans_transport_failed(struct trans_table *t, struct handle h, struct instant now);
/* The connection that the request went by has closed: fails a client transaction that has no final
 * response. RFC 3261 18.2.2 lets a server answer by a new connection, but a peer that has restarted
 * never will, and its caller should not listen to ringing for minutes: the next target is tried. */
void trans_flow_lost(struct trans_table *t, struct handle h, struct instant now);
/* A timer with our owner value. */
void trans_timer(struct trans_table *t, struct timer *fired, struct instant now);
void trans_drop(struct trans_table *t, struct handle h); /* without a word to anybody */
uint32_t trans_used(const struct trans_table *t);
enum trans_kind trans_kind_of(const struct trans_table *t, struct handle h);
/* Flow a request came by or goes to; NULL if gone. */
const struct flow *trans_flow(const struct trans_table *t, struct handle h);
bool trans_alive(const struct trans_table *t, struct handle h);
#endif
