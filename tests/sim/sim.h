/* A virtual network in one process: cores, phones, PBXs and a vault, one clock that jumps from
 * event to event, and a seed that decides everything: what is lost, doubled and overtaken, and how
 * each peer behaves. The same seed is the same run. */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H
#include "call/core_test.h"

#define SIM_UAS     8
#define SIM_CALLS   24  /* a seed */
#define SIM_SAYS    16  /* messages and subscriptions, a seed */
#define SIM_HOSTILE 400 /* hostile datagrams, a seed */

struct sim;
typedef void sim_fn(struct sim *s, void *who, int64_t arg);
struct event {
    int64_t at;
    uint64_t seq;
    sim_fn *fn;
    void *who;
    int64_t arg;
};
enum { DROPS_IN_A_ROW = 2 }; /* nothing that is sent again and again is always lost */
struct drop {
    uint64_t key;
    unsigned n;
};

struct tx { /* of a simulated agent */
    struct tx *next;
    struct ua *ua;
    struct dlg *d;
    bool server, invite, done, acked;
    char method[12], branch[80];
    char *bytes; /* client: the request; server: the last response */
    size_t n;
    char *req; /* server INVITE: the request */
    size_t req_n;
    unsigned code, interval_ms; /* final code, 0 = none */
    uint32_t cseq;
    int64_t give_up;
    bool to_2xx;
};
enum dlg_state { DLG_NEW, DLG_EARLY, DLG_UP, DLG_DONE };
struct dlg {
    struct dlg *next;
    struct ua *ua;
    bool caller, sent_bye, got_bye, cancelled, cancel_due, tried_auth, challenged, dead;
    enum dlg_state state;
    char id[80], ltag[40], rtag[80], target[256], local[160], remote[160], uri[160];
    uint32_t cseq, invite_cseq, rseq;
    unsigned sdp_version, acks_to_ignore, reoffers, nc;
    struct tx *invite; /* the INVITE under way: client or server */
    bool late;         /* our INVITE had no offer */
    bool peer_offered; /* the INVITE that we answer held an offer */
    char ack_branch[80];
    unsigned finals;    /* final responses to our (first) INVITE */
    unsigned script;    /* random bits of this dialog */
    unsigned plan_code; /* callee: how it answers */
    bool reliable, prack_ok, updates, second_fork, ignores_cancel;
    bool is_fork; /* a second answer: the gateway never had more of it than a 2xx */
    unsigned rel_sent;
    int64_t empty_ack_us;
    char replaces[256]; /* our INVITE steps into another call: the whole line */
    bool says;          /* a single request or a subscription: says.c */
    const char *ctype;  /* of its bodies */
};
struct ua {
    struct addr addr;
    uint8_t listener;
    const char *user;
    bool pbx, registered;
    unsigned n_calls;
    struct dlg *reg;
};
struct sim {
    struct gateway g;
    struct event *heap;
    size_t n_heap, cap_heap;
    uint64_t seq;
    struct rng rng;
    uint64_t seed;
    unsigned loss, dup, late; /* in 1000 */
    bool verbose, failed;
    struct ua ua[SIM_UAS];
    unsigned n_ua;
    struct dlg *dlgs;
    struct tx *txs;
    struct drop drops[1024];
    uint64_t starts[4096], ends[4096];
    size_t n_starts, n_ends;
    unsigned calls_made, calls_up, calls_refused, calls_cancelled;
    unsigned challenges, credentials, second_forks;
    unsigned transfers, transfers_failed, redirects;
    unsigned said, heard, watched, noted; /* messages and those taken; subscriptions, their news */
    unsigned branch;
    struct rng bad_luck; /* hostile.c */
    char nonce[128];
    unsigned hostile_sent, hostile_answers, bans;
};

void sim_at(struct sim *s, int64_t in_ms, sim_fn *fn, void *who, int64_t arg);
unsigned sim_rand(struct sim *s, unsigned below);
bool sim_chance(struct sim *s, unsigned percent);
void sim_fail(struct sim *s, const char *what, struct str about);
/* A datagram from an agent to the gateway. */
void sim_to_gateway(struct sim *s, struct ua *u, struct str bytes);

/* tx.c: transactions */
struct tx *tx_client(struct sim *s, struct ua *u, struct dlg *d, const char *method);
struct tx *tx_server(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m);
struct tx *tx_find(struct sim *s, struct ua *u, const struct sip_msg *m, const char *method,
                   bool server);
void tx_send(struct sim *s, struct tx *t, struct str bytes);
void tx_respond(struct sim *s, struct tx *t, unsigned code, struct str bytes);

/* msg.c: building */
struct dlg *dlg_new(struct sim *s, struct ua *u);
void msg_request(struct sim *s, struct dlg *d, struct tx *t, const char *extra, const char *sdp);
void msg_reply(struct sim *s, struct dlg *d, struct tx *t, const struct sip_msg *m, unsigned code,
               const char *extra, const char *sdp);
void msg_ack(struct sim *s, struct dlg *d, uint32_t cseq, const char *branch, const char *uri,
             const char *rtag, const char *sdp);
void msg_cancel(struct sim *s, struct dlg *d);
const char *msg_sdp(struct sim *s, struct dlg *d);
/* An Authorization line for the challenge. */
const char *msg_credentials(struct sim *s, struct dlg *d, const struct sip_msg *challenge,
                            const char *method, const char *uri);

/* caller.c, callee.c: what they do */
void ua_message(struct sim *s, struct ua *u, const struct sip_msg *m);
void ua_register(struct sim *s, void *ua, int64_t arg);
void ua_call(struct sim *s, void *ua, int64_t arg);
void ua_timeout(struct sim *s, struct tx *t);
void ua_ack_missing(struct sim *s, struct tx *t);
void ua_live(struct sim *s, struct dlg *d); /* a dialog came up: plans what happens in it */
void ua_bye(struct sim *s, void *dlg, int64_t arg);
void callee_request(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m);

/* hostile.c: those who mean harm */
void hostile_acts(struct sim *s, void *who, int64_t arg);
void hostile_heard(struct sim *s, struct str bytes); /* what they are answered */
void hostile_ban(struct sim *s, struct str bytes);   /* the monitor's part */
void hostile_observe(struct sim *s, const struct intent *i);
bool hostile_event(const struct event *e); /* holds memory */

/* says.c: messages and subscriptions */
void ua_says(struct sim *s, void *ua, int64_t arg);
void says_final(struct sim *s, struct tx *t, const struct sip_msg *m);
/* true: it was one of these. d: its dialog, or NULL. */
bool says_request(struct sim *s, struct ua *u, struct dlg *d, const struct sip_msg *m);
#endif
