/* What the gates share among themselves; the rest of Ringwall uses gates.h. */
#ifndef CALL_GATE_H
#define CALL_GATE_H
#include "call/gates.h"

/* One gate. ask is filled only by the identity gate with VERDICT_WAIT. */
typedef struct verdict gate_fn(const struct gate_env *e, struct request *r, struct ask *ask);
gate_fn gate_source, gate_rate, gate_sanity, gate_signature, gate_emergency, gate_identity,
    gate_right, gate_fraud, gate_capacity, gate_route;
/* The identity gate's second half. */
struct verdict gate_identity_answer(const struct gate_env *e, struct request *r,
                                    const struct answer *a);

/* What the identity gate asks besides. gate_device: of a user who has proved himself. gate_bearer:
 * true if the request brought other credentials than digest; then *ret_v (VERDICT_WAIT with ask) is
 * what comes of them. gate_stir: an INVITE from a peer; its certificate may have to be brought
 * first (VERDICT_WAIT, ASK_CERT), then gate_stir_answer goes on. */
struct verdict gate_device(const struct gate_env *e, struct request *r);
/* gate_device.c: is that user under a second factor? The device that registered over that flow; 0:
 * none did. May a phone registered so be called? */
bool device_under(const struct gate_env *e, const struct directory_user *u);
uint64_t device_of_flow(const struct gate_env *e, struct str aor, const struct flow *f,
                        struct wall now);
bool device_reached(const struct gate_env *e, const struct binding *b);
bool gate_bearer(const struct gate_env *e, struct request *r, struct ask *ask,
                 struct verdict *ret_v);
struct verdict gate_stir(const struct gate_env *e, struct request *r, struct ask *ask);
struct verdict gate_stir_answer(const struct gate_env *e, struct request *r,
                                const struct answer *a);

/* Whoever proved to be that user of the first domain: takes the name over, judges what From says,
 * the age of the password (not with other_proof: no password was used) and the device. */
struct verdict gate_accept_user(const struct gate_env *e, struct request *r, struct str user,
                                bool other_proof);
/* A certificate that names users speaks for nobody else; AUTH_BOTH wants one that names him. */
bool gate_cert_fits(const struct gate_env *e, const struct request *r, struct str user);
/* Header fields that offer bearer tokens beside digest, where they are believed. */
void gate_bearer_put(const struct gate_env *e, const struct request *r, struct out *o);

/* MD5 alone is what this request's user is challenged with, and may answer with. */
bool gate_offers_md5(const struct gate_env *e, const struct request *r);

/* What decides where an INVITE goes, as digits that only we can make: they travel in our Via as the
 * parameter ROUTE_MARK_NAME, so that a request which comes back to the same decision is known as a
 * loop (RFC 5393 4.2). Bound to the Via's branch, so that nobody sees that two calls have a way in
 * common. route: gate_route_number. */
#define ROUTE_MARK_NAME  "loop"
#define ROUTE_MARK_CHARS 16u
uint64_t gate_route_number(const struct sipkey *k, uint8_t zone, uint8_t peer, struct str uri);
void gate_route_mark(const struct sipkey *k, uint64_t route, struct str branch, struct out *o);

/* The URI that says who sends: From, and To of a REGISTER. Of a caller that wants to stay unknown
 * (RFC 3323 4.1: From is anonymous) P-Preferred-Identity, or empty if it says nothing. */
struct str gate_claimed(const struct sip_msg *m);
bool gate_anonymous(struct str uri);

/* An INVITE that steps into a call of ours (RFC 3891) goes nowhere else: whether it may is decided
 * with that call, and no rule routes it. */
static inline bool gate_joins(const struct request *r)
{
    return r->m->method == SIP_INVITE && sip_has(r->m, HDR_REPLACES);
}

bool gate_service_sos(struct str uri); /* urn:service:sos and what lies below it */
/* A dialled emergency number or service (RFC 5031). */
bool gate_dials_emergency(const struct sip_msg *m);
/* Has the source (not a peer) a request left this second? Takes it. */
bool gate_rate_left(const struct gate_env *e, uint8_t zone, const struct addr *source,
                    struct instant now);

/* Option tags that Require may name (RFC 3261 20.32). */
bool gate_extension_known(struct str tag);

/* What a nonce says of the address that it went to: whoever sends it back from there is real, and
 * nobody else can know it. */
uint16_t gate_mark(const struct gate_env *e, const struct addr *source);
/* gate_ban.c: who the request is for the shield, and what the ban board says of that. */
void gate_keys(const struct gate_env *e, struct request *r);
/* It names that user: by From or To, then by its credentials. */
void gate_names(const struct gate_env *e, struct request *r, struct str user);
struct verdict gate_ban_source(const struct gate_env *e, struct request *r);
struct verdict gate_ban_party(const struct gate_env *e, struct request *r);

static inline struct verdict gate_pass(void)
{
    return (struct verdict){.kind = VERDICT_PASS};
}
static inline struct verdict gate_refuse(enum reason why)
{
    uint16_t code = reason_info(why)->code;
    return (struct verdict){
        .kind = code ? VERDICT_REFUSE : VERDICT_DROP, .reason = why, .code = code};
}
static inline struct verdict gate_drop(enum reason why)
{
    return (struct verdict){.kind = VERDICT_DROP, .reason = why};
}
/* Answered by Ringwall, which asks for a one-time code before the call goes on. */
static inline struct verdict gate_step_up(enum reason why)
{
    return (struct verdict){.kind = VERDICT_STEP_UP, .reason = why};
}
static inline struct verdict gate_challenge(enum reason why)
{
    return (struct verdict){.kind = VERDICT_CHALLENGE, .reason = why, .code = 401};
}
#endif
