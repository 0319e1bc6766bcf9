/* Inside of single requests and subscriptions: what exchange.c, exchange_out.c and subscription.c
 * share. core_int.h is the contract towards the other rooms.
 *
 * An exchange is one request that somebody waits for: its held copy, and the transactions of the
 * requests that we made of it. A subscription is two dialogs (towards who subscribed we are the
 * notifier, towards the notifier we are the subscriber) and an end; each of its requests that goes
 * from one side to the other is an exchange, too. */
#ifndef CALL_EXCHANGE_H
#define CALL_EXCHANGE_H
#include "call/core_int.h"
#include "call/event.h"
#include "call/target.h"

#define ALLOW_OUTSIDE    ALLOW ", SUBSCRIBE, NOTIFY, PUBLISH" /* outside of calls */
#define MESSAGE_UDP_MAX  1300u /* bytes of a body over UDP, RFC 3428 8 */
#define EXCHANGE_LIFE_MS 28000 /* before the sender's own transaction gives up (64*T1 = 32 s) */
#define EXCHANGE_WORD_MS 4000  /* a peer's target that is silent so long is passed over */
#define SUB_TEXT_MAX     (16 * SMALL_BLOCK)
#define SUB_MIN_S        60u /* shorter subscriptions are refused with 423 */
#define SUB_MAX_S        3600u
#define SUB_SILENT_MS    32000 /* RFC 6665 4.1.2.4, timer N: the first NOTIFY must come within */
#define SUB_SLACK_MS     5000  /* after the end that was told, for the notifier's own last word */
#define SUB_OPEN_MAX     8u    /* requests of one subscription under way */
#define SUB_BUCKETS      1024u

struct exchange {
    struct core *core;
    struct held *held;
    struct handle sub; /* HANDLE_NONE: a single request */
    struct handle t[FORKS_MAX];
    struct timer timer;
    struct instant end;
    struct str user;         /* who proved itself; empty: a peer */
    struct str dialled, uri; /* escaped user part; Request-URI of what we sent last */
    char id[16], tag[16];    /* Call-ID and From tag of what we sent last */
    uint64_t salt;           /* order of a peer's addresses */
    uint32_t cseq, policies;
    enum reason best_why;
    uint16_t best_code;
    uint8_t n, open; /* transactions begun; without a final answer */
    uint8_t method;
    uint8_t side; /* of a subscription: who asked */
    uint8_t peers[POLICY_ROUTE_PEERS], n_peers, next_peer, next_target; /* in order */
    uint8_t peer, target;                                               /* asked last */
    uint8_t from_zone, from_peer;
    bool tried_auth;
};

enum { SUBSCRIBER, NOTIFIER }; /* whom we speak with on that side */
enum sub_state {
    SUB_ASKED,  /* SUBSCRIBE went out, nothing came back */
    SUB_NEW,    /* accepted, the first NOTIFY is missing */
    SUB_ACTIVE, /* both sides know each other */
    SUB_ENDING, /* unsubscribed, the last NOTIFY is missing */
};
struct sub_side {
    struct dialog d;
    struct flow flow;
    struct str aor;  /* the phone's user; empty for peers */
    struct str name; /* the peer's */
    uint32_t moment; /* location_moment of when flow was proved */
    uint8_t zone, peer;
};
struct sub {
    struct core *core;
    struct arena text;
    struct sub_side side[2];
    struct timer timer;
    struct str event_id;
    uint32_t policies, bucket;
    uint8_t package, state, open /* exchanges */;
    bool over; /* the notifier said so, but other requests wait for their answers */
};

struct exchanges {
    struct pool requests, subs;
    uint16_t by_user[SUB_BUCKETS]; /* subscriptions, by hash of who subscribed */
};
enum { TIMER_EXCHANGE, TIMER_SUB }; /* timer.kind */

/* --- exchange.c --- */
struct exchange *exchange_of(struct core *c, uint64_t user);
/* Holds the request. gives: exchange_close. */
enum reason exchange_open(struct core *c, struct incoming *in, struct exchange **ret_x);
/* It stands: from now on the exchange answers the request. */
void exchange_keep(struct exchange *x, struct incoming *in);
void exchange_close(struct exchange *x); /* what is under way answers nobody any more */
/* It does not stand: the request is answered by whoever called, and a subscription that it was to
 * begin is gone with it. */
void exchange_abandon(struct exchange *x);
void exchange_answer(struct exchange *x, unsigned code, struct str fields); /* and closes */
void exchange_refuse(struct exchange *x, uint16_t code);                    /* the same */
/* A request of that method in the transaction that is begun for it: then goes on with o. */
struct handle exchange_client(struct exchange *x, char ret_branch[BRANCH_CHARS]);
enum reason exchange_send(struct exchange *x, struct handle t, const struct flow *f,
                          const struct out *o);
void exchange_retry(struct core *c, struct handle x, struct str authorization);

/* --- exchange_route.c --- */
/* By the rule that the gates found: fills dialled and the peers, none for the phones of a user. */
enum reason exchange_route(struct exchange *x, const struct request *r);
/* REASON_NONE: at least one request went out. */
enum reason exchange_users(struct exchange *x);
enum reason exchange_next(struct exchange *x); /* to the next address of the peers, in order */
enum reason exchange_peer(struct exchange *x, struct str authorization); /* to the same, again */

/* --- exchange_out.c: what is written --- */
struct str host_towards(const struct core *c, uint8_t peer); /* host part of our URIs to it */
/* "display" <sip:user@host> of who asks, as that peer may see it. */
void from_put(const struct core *c, const struct sip_msg *m, uint8_t peer, struct out *o);
void contact_put(const struct core *c, const struct flow *f, struct str user, struct out *o);
void via_put(const struct core *c, const struct flow *f, struct str branch, struct out *o);
/* Fields of the request of that method that pass, for that peer or phone. */
void fields_put(const struct exchange *x, const struct target *g, struct out *o);
void etag_put(const struct sip_msg *m, enum sip_hdr h, struct out *o);
void event_put(enum event_package p, struct str id, struct out *o);
/* Expires of a request or response; def if there is none or it is no number. */
uint32_t expires_of(const struct sip_msg *m, uint32_t def);

/* The body as that peer, or a phone, may see it; both empty if there is none. */
enum reason exchange_body(const struct exchange *x, uint8_t peer, struct out *type,
                          struct out *body);
/* What the sender is told instead of the code that came. */
uint16_t exchange_told(const struct exchange *x, uint16_t code, enum reason *ret_why);

/* --- subscription.c --- */
/* A SUBSCRIBE outside of a dialog: its subscription, with the dialog towards who subscribed. */
enum reason sub_new(struct exchange *x, const struct request *r);
void sub_free(struct sub *s);                          /* says nothing to anybody */
struct sub *sub_of_exchange(const struct exchange *x); /* NULL: none, or it has ended */
/* Its SUBSCRIBE to that target is written; its dialog towards the notifier begins anew, or goes on
 * with the same request once more. */
enum reason sub_ask(struct exchange *x, const struct target *g, struct str branch, bool again,
                    struct out *o);
/* The SUBSCRIBE that refreshes or ends it, to the notifier. authorization: a whole line, or empty.
 */
enum reason sub_again(struct exchange *x, struct str authorization);
/* The final answer to an exchange of a subscription, which is answered and closed. m NULL: none
 * came; code is then our own. */
void sub_accepted(struct exchange *x, const struct sip_msg *m);
void sub_refused(struct exchange *x, uint16_t code, const struct sip_msg *m);
void sub_timer(struct core *c, struct timer *t);

/* For sub_dialog.c: */
enum reason sub_reason(enum err e);            /* of dialog.h */
bool sub_too_brief(const struct sip_msg *m);   /* its Expires */
void sub_arm(struct sub *s, uint32_t seconds); /* it ends then, and a little later */
/* Its peer has just proved that it lives at x->flow. */
void sub_here(struct sub *s, struct sub_side *x);
void sub_follow(struct sub *s, struct sub_side *x); /* to where the phone registered last */
/* A request in one of the dialogs; the caller goes on with the fields. */
void sub_within(struct sub *s, uint8_t side, enum sip_method method, struct str branch,
                struct out *o);
void sub_over(struct sub *s); /* the notifier's last NOTIFY is on its way */
void sub_end(struct sub *s, bool tell_notifier);

/* --- sub_dialog.c, for dispatch.c and pending.c --- */
enum sub_found { SUB_NONE /* no tag of ours */, SUB_GONE, SUB_HERE };
/* SUBSCRIBE or NOTIFY in the dialog of a subscription of this engine. */
enum sub_found sub_find(struct core *c, const struct sip_msg *m, struct sub **ret_s,
                        uint8_t *ret_side);
/* The engine that a SUBSCRIBE or NOTIFY belongs to by its To tag. */
bool sub_owner(const struct core *c, const struct sip_msg *m, uint8_t *ret_engine);
bool sub_is_source(const struct core *c, const struct sub *s, uint8_t side, const struct flow *f);
void sub_request(struct core *c, struct incoming *in); /* in-dialog, passed by the gates */
#endif
