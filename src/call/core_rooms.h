/* What the rooms of the call engine's core give each other. Part of call/core_int.h, and only read
 * through it. */
#ifndef CALL_CORE_ROOMS_H
#define CALL_CORE_ROOMS_H
#include "call/core_int.h"

/* --- intents.c --- */
/* The room behind everything already appended: build a message here and it is sent without a copy.
 */
struct out intents_room(struct intents *i);
void core_send(struct core *c, const struct flow *f, struct str bytes, struct handle ref);
void core_forward(struct core *c, uint8_t engine, const struct flow *f, struct str bytes,
                  bool tls_verified);
void core_proved(struct core *c, const struct request *r); /* it has passed the gates */
void core_ask(struct core *c, const struct ask *a);
void core_ban(struct core *c, const struct ban *b);
void core_observe_at(struct core *c, uint8_t engine, const struct obs *o);
void core_fraud_at(struct core *c, uint8_t engine, struct str news);
void core_fact(struct core *c, const struct fact *f); /* complete, from elsewhere */
/* A fact under construction in c->fact: zeroed, kind, time and sequence filled. */
struct fact *fact_begin(struct core *c, enum fact_kind k, enum reason why, uint16_t code);
void fact_end(struct core *c);
void core_count(struct core *c, enum reason why);

/* --- pending.c: held requests, and those that wait for the vault --- */
/* ERR_FULL or ERR_LIMIT (longer than a large block). gives: held_free. */
MUST_CHECK enum err held_new(struct core *c, const struct sip_msg *m, const struct flow *f,
                             struct handle t, struct held **ret_h);
void held_free(struct held **h); /* NULL allowed; set to NULL */
/* A request on its way: m lies in the scratch, or in held when it had to wait. */
struct incoming {
    struct request *r;
    const struct sip_msg *m;
    struct handle t;
    struct held *held; /* taken over (set to NULL) by whoever keeps it */
    struct leg *leg;   /* in-dialog */
};
MUST_CHECK enum err incoming_hold(struct core *c, struct incoming *in);
void pending_wait(struct core *c, struct incoming *in, struct ask *q);
/* Answers the challenge of b's peer to our request that serves `what`. */
void pending_respond(struct core *c, struct leg *b, const struct sip_msg *m, enum serves what);
/* The same for whoever it is: what and who come back with the answer (FOR_UPSTREAM:
 * upstream_retry). REASON_NONE: the vault was asked; the credentials wait in keep until then. */
struct challenged {
    enum serves what;
    struct handle who;
    uint8_t peer;
    struct str uri; /* of the request that was challenged */
    struct arena *keep;
    uint64_t session; /* of its call, if it is a leg */
};
/* Asks the vault anything else for leg `who`: what says who is told the answer. */
enum reason pending_ask(struct core *c, struct ask *q, enum serves what, struct handle who);
enum reason pending_credentials(struct core *c, const struct challenged *x,
                                const struct sip_msg *m);
void pending_timer(struct core *c, struct timer *t);
void pending_cancel(struct core *c, struct pending *p);
void fact_verdict(struct core *c, const struct request *r, const struct verdict *v);

/* --- room.c: the last of every table is kept for running and emergency calls --- */
enum reason room_for(const struct core *c, const struct request *r); /* REASON_NONE: there is */
void room_refuse(struct core *c, struct incoming *in,
                 enum reason why); /* says so, in the fact too */

/* --- owner.c --- */
/* The engine that has to take a parsed message that came by f; the own one if it cannot be told.
 * All engines with the same policy say the same. */
uint8_t owner_of(const struct core *c, const struct sip_msg *m, const struct flow *f);

/* --- dispatch.c --- */
/* Answers statelessly (t NONE) or in its transaction; fields: whole header lines, may be empty. */
void reply(struct core *c, const struct sip_msg *m, const struct flow *f, struct handle t,
           unsigned code, struct str fields);
void reply_reason(struct core *c, const struct incoming *in, enum reason why);
/* Sends what o holds in the transaction; gives the transaction up if o overflowed. */
void reply_send(struct core *c, const struct flow *f, struct handle t, unsigned code,
                const struct out *o);
void verdict_apply(struct core *c, struct incoming *in, const struct verdict *v);
void tag_of(const struct core *c, struct handle leg, char ret[TOKEN_CHARS]);
struct ended *ended_slot(const struct core *c, struct handle leg);
void no_dialog_tag(const struct core *c, const struct sip_msg *m, char ret[TOKEN_CHARS]);

/* --- call.c --- */
void call_new(struct core *c, struct incoming *in);
enum reason call_begin(struct call *k, struct incoming *in); /* A's dialog, record and media */
void call_step(struct call *k, enum call_event ev, const struct sip_msg *m, struct leg *from,
               enum reason why);
/* Ends the call whatever its state: what is due to each leg is sent, everything is given back. */
void call_end(struct call *k, enum reason why, uint16_t code, char by);
void call_timer(struct core *c, struct timer *t);
/* A call without anybody calling yet: its leg A has nothing but held, taken from in. NULL: full. */
struct call *call_open(struct core *c, struct incoming *in);
/* Calls whom that leg A, a stand-in, dialled: the gates have passed r. */
void call_dial(struct call *k, const struct request *r);
/* t leaves its call for a place in another; what it leaves behind ends. ERR_FULL: nothing is done.
 */
MUST_CHECK enum err call_hand_over(struct leg *t, struct call *to, struct leg *place);
const char *call_state_name(uint8_t s);
bool call_cell(uint8_t state, enum call_event ev, uint8_t *ret_next); /* false: unset */

/* --- leg.c --- */
struct leg *leg_new(struct call *k, char side);
void leg_free(struct leg *l); /* gives everything of the leg back, says nothing to the peer */
struct handle leg_handle(const struct leg *l);
/* Its peer has just proved that it lives at l->flow: only later registrations lead elsewhere. */
void leg_here(struct leg *l);
/* Its texts into another call's memory. ERR_FULL: nothing has changed. */
MUST_CHECK enum err leg_copy(struct leg *l, struct call *to);
struct leg *leg_of_tag(struct core *c, struct str tag, enum reason *ret_why, struct handle *ret_h);
struct leg *leg_other(const struct leg *l); /* NULL while nobody answered */
bool leg_is_source(const struct core *c, const struct leg *l, const struct flow *f);
void leg_request(struct core *c, struct incoming *in); /* in-dialog, authenticated, not ACK */
void leg_ack(struct core *c, struct leg *l, const struct sip_msg *m);
void leg_send_ack(struct leg *l, struct str sdp);
void leg_send_bye(struct leg *l, enum reason why);
/* Begins an in-dialog request with all that is the same in each; the caller goes on with fields and
 * sip_end, then leg_request_send. HANDLE_NONE when the table is full. */
struct handle leg_request_begin(struct leg *l, struct out *o, enum sip_method m);
bool leg_request_send(struct leg *l, struct handle t, const struct out *o);
/* Our 2xx to its INVITE: repeated until the ACK comes. */
void leg_answer(struct leg *l, struct str sdp);
void leg_resend(struct core *c, struct timer *t);
/* Final or provisional answer with the leg's own tag. */
void leg_reply(struct leg *l, const struct held *h, unsigned code, struct str fields);
/* Says goodbye in the way its state asks for; told: its peer ended it and knows. */
void leg_part(struct leg *l, bool told, enum reason why, uint16_t code);
void leg_note(struct leg *l, const struct sip_msg *m);            /* Allow, User-Agent */
struct str sdp_of(const struct sip_msg *m, enum reason *ret_why); /* empty without why: none */
/* 2xx that nobody waits for: ACK and BYE from what it says itself. */
void stray_answer(struct core *c, const struct sip_msg *m, const struct flow *f);

/* --- early.c: provisional responses to A, PRACK both ways --- */
void early_progress(struct call *k, struct leg *b, const struct sip_msg *m);
void early_prack(struct core *c, struct incoming *in);
/* The 2xx to A that waited for a PRACK or an early UPDATE of A. */
void early_answer_due(struct leg *a);
void early_tick(struct leg *a); /* its resend timer, while a reliable response is open */

/* --- fork.c --- */
enum reason fork_start(struct call *k, const struct request *r);
/* The same for a URI that A did not dial itself; dialled: its user part. */
enum reason fork_to(struct call *k, const struct policy_route *route, struct str uri,
                    struct str dialled);
/* Next peer target in order; REASON_NONE when an INVITE went out. */
enum reason fork_next(struct call *k);
void fork_response(struct leg *b, const struct sip_msg *m);
void fork_failed(struct leg *b, enum reason why);
void fork_retry(struct leg *b, struct str authorization);
void fork_release(struct call *k, const struct leg *but); /* cancels all legs B but that one */
/* Takes an answer of leg B: media both ways. REASON_NONE; the SDP for A lies in its held. */
enum reason fork_answer_in(struct call *k, struct leg *b, struct str sdp);

/* --- redirect.c: 3xx by policy --- */
/* b's 3xx. REASON_NONE: another leg was started instead. */
enum reason redirect_take(struct leg *b, const struct sip_msg *m);
bool redirect_next(struct call *k); /* the next one that was named; false: none is left */

/* --- relay.c: re-INVITE, UPDATE, INFO from end to end --- */
void relay_request(struct core *c, struct incoming *in);
void relay_response(struct leg *l, struct handle t, const struct sip_msg *m);
/* The vault has answered y's challenge; empty: it cannot be answered. */
void relay_retry(struct leg *y, enum serves what, struct str authorization);
void relay_failed(struct leg *l, struct handle t, enum reason why);

/* --- refresh.c --- */
/* Remembers what we said last, if it is short and the leg could need it. */
void session_keep_sdp(struct leg *l, struct str sdp);
void session_refreshed(struct leg *l, const struct sip_msg *m); /* answer to our refresh */
void session_arm(struct leg *l);
void session_timer(struct core *c, struct timer *t);
void session_response(struct leg *l, const struct sip_msg *m);

/* --- hide.c: what one side may see of the other --- */
void hide_contact(const struct leg *l, struct out *o);
struct str hide_sent_by(const struct core *c, const struct flow *f, char *buf, size_t cap);
/* The leg's dialog identifiers and URIs as B will see them, from A's INVITE. */
/* Who calls, as that peer is told besides From: "display <uri>"; false: it is not. */
bool hide_asserted(const struct leg *b, const struct sip_msg *m, struct out *o);
MUST_CHECK enum err hide_dialog(struct leg *b, const struct sip_msg *invite, struct str target);
/* The whole INVITE to leg B. authorization: a header line with CRLF, or empty. */
void hide_invite(struct leg *b, const struct sip_msg *invite, struct str branch, struct str sdp,
                 struct str authorization, struct out *o);
/* Fields of our responses to l's INVITE that make or keep a dialog. */
void hide_dialog_fields(const struct leg *l, const struct sip_msg *request, struct out *o);
/* What A is told instead of B's final response. */
uint16_t hide_code(uint16_t code, bool from_peer, enum reason *ret_why);
bool hide_reason_ok(struct str value); /* Reason: only SIP and Q.850 with a cause */

/* --- peers.c --- */
void peers_start(struct core *c);
void peers_timer(struct core *c, struct timer *t);
void peers_response(struct core *c, uint64_t user, const struct sip_msg *m);
void peers_failed(struct core *c, uint64_t user, enum reason why);
void peers_heard(struct core *c, uint8_t peer, uint8_t target, bool up, enum reason why);
/* By address: a leg keeps the one it has, whatever the list says now. */
void peers_heard_at(struct core *c, uint8_t peer, const struct addr *a, bool up, enum reason why);
bool peers_usable(struct core *c, uint8_t peer, uint8_t target);
uint32_t peers_up(const struct core *c);
struct flow peers_flow(const struct core *c, uint8_t peer, uint8_t target);
void peers_look(struct core *c); /* takes what is new on the board; cheap when nothing is */
uint8_t peers_targets(const struct core *c, uint8_t peer); /* how many addresses */
const struct addr *peers_address(const struct core *c, uint8_t peer, uint8_t target);
/* The nth address to try, nth < peers_targets: by weight where DNS gives one; the same salt gives
 * the same order while the list stays. */
uint8_t peers_pick(const struct core *c, uint8_t peer, uint64_t salt, uint8_t nth);
enum reason peers_none(const struct core *c, uint8_t peer); /* why none can be tried */
/* Is this source that peer's, or was it lately? For requests within a dialog of it. */
bool peers_is(const struct core *c, uint8_t peer, uint8_t zone, const struct addr *source);

/* --- exchange.c: single requests and subscriptions, end to end --- */
size_t exchange_bytes(const struct core_cfg *cfg);
struct exchanges *exchange_init(void *mem, struct core *c); /* keeps mem, zeroed */
/* MESSAGE, SUBSCRIBE, PUBLISH, NOTIFY or INFO outside of a call, passed by the gates. */
void exchange_request(struct core *c, struct incoming *in);
void exchange_within(struct core *c, struct incoming *in); /* MESSAGE in a call, the same */
void exchange_response(struct core *c, uint64_t user, struct handle t, const struct sip_msg *m);
void exchange_failed(struct core *c, uint64_t user, struct handle t, enum reason why);
void exchange_timer(struct core *c, struct timer *t);
uint32_t exchange_used(const struct core *c); /* requests and subscriptions, for leak checks */

/* --- upstream.c: registrations that we make ourselves --- */
size_t upstream_bytes(const struct core_cfg *cfg);
struct upstream *upstream_init(void *mem, struct core *c); /* keeps mem, zeroed */
/* A new policy is in force, or draining began or ended: everything is looked at again, a few
 * bindings at a time. */
void upstream_policy(struct core *c);
void upstream_leave(struct core *c);      /* all are taken back, for good */
bool upstream_left(const struct core *c); /* by all engines */
void upstream_restored(struct core *c);   /* bindings came from the store */
/* A phone registered, refreshed or went, by an authenticated REGISTER that came by that zone;
 * POLICY_NONE: its binding expired. */
void upstream_registered(struct core *c, uint8_t zone, struct str aor);
void upstream_peer_up(struct core *c, uint8_t peer); /* it answers again: it may have restarted */
void upstream_response(struct core *c, uint64_t user, struct handle t, const struct sip_msg *m);
void upstream_failed(struct core *c, uint64_t user, struct handle t, enum reason why);
/* The vault has answered a challenge; empty: it cannot be answered. */
void upstream_retry(struct core *c, struct handle reg, struct str authorization);
/* The Route that the registrar wants to see in requests to that peer on behalf of user, whose
 * registration it may be, or else of our own account there (RFC 3608); empty: none. In ret. */
struct str upstream_route(const struct core *c, uint8_t peer, struct str user,
                          char ret[SERVICE_ROUTE_MAX]);
void upstream_timer(struct core *c, struct timer *t);
uint32_t upstream_used(const struct core *c);
/* Members of a peer's JSON object: how our registrations there stand. */
void upstream_json(const struct core *c, uint8_t peer, struct out *o);

/* --- transfer.c: REFER (RFC 3515, 5589) --- */
void transfer_request(struct core *c, struct incoming *in); /* REFER within a call */
void transfer_outside(struct core *c, struct incoming *in); /* REFER outside of a call */
void transfer_progress(struct call *target, uint16_t code); /* the target rings */
void transfer_done(struct call *k);                         /* before k hands its leg over */
/* The transfer of k has failed; k goes on as it was, or ends if who transferred has gone. */
void transfer_failed(struct call *k, enum reason why, uint16_t code);
/* A call ends that is either end of a transfer: the other end is told. */
void transfer_call_ends(struct call *k, enum reason why, uint16_t code);
bool transfer_bye(struct leg *l);          /* a hang-up that is the transfer's to deal with */
bool transfer_served(const struct leg *l); /* may its zone transfer? */
struct leg *transfer_leaves(const struct call *k); /* the leg that goes */
struct leg *transfer_place(const struct call *k);  /* in whose place; NULL: beside */
struct call *transfer_target(const struct call *k);
struct call *transfer_origin(const struct call *k);
/* Whom the leg that goes is joined with, in the target call; NULL while nobody answered. */
struct leg *transfer_partner(const struct call *k);
/* The same person: one peer, or one authenticated user. */
struct str transfer_name(const struct leg *l); /* of a user or peer, for the record */
bool transfer_same_party(const struct leg *a, const struct leg *b);
/* INVITE as if `as` dialled uri, into o; sdp may be empty. from: whose name it bears. */
void transfer_dial(const struct leg *from, struct str uri, uint8_t max_forwards, struct str sdp,
                   struct out *o);
/* What the gates say to m when `as` dials it. REASON_NONE: r holds the route. */
enum reason transfer_allowed(const struct leg *as, const struct sip_msg *m, struct request *r);
/* Of an r that was allowed: it stays here, or the role of who sends it out has that feature. */
bool transfer_outward(const struct leg *by, const struct request *r, enum feature may);

/* --- words.c: what a peer can do --- */
void words_keep(struct leg *l, struct str sdp); /* where its zone or the other's may transfer */
MUST_CHECK enum err words_copy(const struct leg *l, struct call *to, struct words **ret_w);
/* A complete description as l's peer would offer it to asked (NULL: to somebody new). false: none
 * is kept. */
bool words_put(const struct leg *l, const struct leg *asked, struct out *o);

/* --- join.c: re-INVITEs that bring two legs together, and the leg's move --- */
/* The transferred leg of k is joined with whom its target call holds. REASON_NONE: under way. */
enum reason join_far(struct call *k); /* both stand already: the other one is asked first */
enum reason join_near(struct call *k);
void join_response(struct leg *l, const struct sip_msg *m); /* 2xx to a re-INVITE of ours */
void join_failed(struct leg *l, enum reason why, uint16_t code);
void join_retry(struct leg *l, struct str authorization);
void join_answered(struct call *target); /* the target has answered: now the leg that goes there */
void join_timer(struct leg *standin);
/* l was changed for a transfer that has come to nothing: back to its own call's other side. */
void join_back(struct leg *l);
bool join_wanted(const struct sip_msg *m); /* an INVITE with Replaces */
/* RFC 3891: a new leg A steps into another call. REASON_NONE: under way. */
enum reason join_replace(struct call *k, struct incoming *in);
struct replaces {
    struct str call_id, to_tag, from_tag;
    bool early_only;
};
MUST_CHECK enum err replaces_parse(struct str value, struct replaces *ret_r);
/* The leg that it names from its peer's view. NULL: *ret_why. */
struct leg *replaces_leg(struct core *c, const struct replaces *r, enum reason *ret_why);

/* --- parting.c: BYEs that are challenged --- */
#define PARTINGS_MAX 64u
size_t parting_bytes(void);
void parting_init(struct core *c, void *mem); /* keeps mem, zeroed */
/* Takes over transaction t of a BYE just sent to l's peer, if that may want credentials. */
void parting_keep(const struct leg *l, struct handle t, struct str bytes);
/* The BYE is not to leave yet, as l's last NOTIFY is unanswered: takes t and sends it behind the
 * answer, or the time-out of the NOTIFY's transaction. false: send it now. */
bool parting_hold(const struct leg *l, struct handle t, struct str bytes);
void parting_response(struct core *c, uint64_t user, const struct sip_msg *m);
void parting_failed(struct core *c, uint64_t user, enum reason why);
void parting_retry(struct core *c, struct handle h, struct str authorization);

/* --- money.c: what a call costs --- */
/* b, a leg with its peer, is about to leave: reserves, or takes over what a leg holds that is out
 * of the race (pay.loose). */
enum reason money_begin(struct leg *b);
void money_answered(struct call *k);
struct instant money_next(const struct call *k); /* when money_timer wants to be asked */
enum reason money_timer(struct call *k);         /* not NONE: the call is to be cut */
/* A leg ends: what it holds is spent or given back. Idempotent; leg_free does it for all. */
void money_leg_end(struct leg *l, uint16_t code);
void money_end(struct call *k, uint16_t code); /* of all legs, so that the record has the price */
/* t goes to another call: the others of its own are over, and who caused t pays on. */
void money_moves(struct leg *t);
/* Somebody named another number (3xx): that is what is paid for from now on. */
void money_dialled(struct call *k, const struct policy_route *route, struct str dialled);
/* What the fraud gate found is told and done: log, cut, lock. */
void money_judged(struct core *c, const struct request *r, enum reason why);
/* learn.c: what is only learned from. b: a phone that a call from a trunk is about to reach; by:
 * who redirected it. */
void money_inbound(const struct leg *b);
void money_forwarded(struct call *k, struct str by);
void money_registered(struct core *c, const struct request *r);
bool money_cut(const struct call *k); /* one of its legs is to end though nobody has answered */

/* --- consult.c: a third party is asked first --- */
struct target;
bool consult_due(const struct call *k);
bool consult_is(const struct leg *b);
/* Where the question goes. Anything but REASON_NONE: it cannot be asked. */
enum reason consult_begin(struct call *k, struct target *ret_g);
void consult_timer(struct leg *b);
bool consult_lets(struct call *k, uint16_t code); /* its answer; 0: none came */
/* By HTTP: the call waits without a leg until consult_answer, at most consult.wait. */
bool consult_by_url(const struct core *c);
enum reason consult_ask(struct call *k);
bool consult_waits(const struct call *k);
void consult_answer(struct core *c, struct handle leg_a, const struct answer *a);
void fork_consulted(struct call *k, bool lets); /* the call goes on, or ends */

/* --- caller.c: whose number is shown --- */
/* To a trunk the number that the caller owns or was granted; empty: what came may go. right_caller:
 * none that may be shown. */
enum reason caller_shown(const struct leg *b, const struct sip_msg *m, struct str *ret_shown);

/* --- choice.c: order of peers --- */
uint8_t choice_peer(struct call *k, unsigned nth); /* nth to try of the call's rule */
bool choice_goes_on(const struct leg *b, const struct sip_msg *m); /* after that answer */
void choice_heard(struct core *c, uint8_t peer, bool good); /* a call got through there, or not */

/* --- stepup.c: calls that Ringwall answers to ask for a one-time code --- */
void stepup_begin(struct core *c, struct incoming *in);
/* An offer with G.711 and telephone-event alone; other m-lines are off. false: it has no G.711.
 * *ret_event: payload type of events, 0xff: none. */
bool stepup_reduce(struct str sdp, struct out *o, uint8_t *ret_event);
void stepup_acked(struct leg *a);
void stepup_joined(struct call *k);                          /* B answered: both talk */
bool stepup_timer(struct call *k);                           /* false: it is no business of ours */
void stepup_digits(struct core *c);                          /* takes those that media heard */
void stepup_directory(struct core *c);                       /* calls of revoked devices end */
void stepup_device(struct core *c, const struct request *r); /* tells the vault of a new one */
void stepup_answer(struct core *c, struct handle leg, const struct answer *a);
bool stepup_end(struct call *k); /* frees what it holds */

/* --- stir.c: calls that leave are signed --- */
bool stir_due(const struct leg *b);
enum reason stir_ask(struct leg *b); /* then stir_answer, then fork_retry */
void stir_answer(struct core *c, struct handle leg, const struct answer *a);
void stir_put(const struct leg *b, struct out *o); /* Identity, once there is one */

/* --- cdr.c --- */
/* An attempt that the gates refused to somebody known: it has a record as calls have. */
void cdr_refused(struct core *c, const struct request *r, const struct verdict *v);
void cdr_start(struct call *k);
void cdr_end(struct call *k, enum reason why, uint16_t code, char by);
uint16_t cdr_q850(uint16_t code, enum reason why);
#endif
