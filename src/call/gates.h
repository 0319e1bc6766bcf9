/* The gates that every request passes, in one table (gates.c), one file a gate, one signature:
 * source -> rate -> sanity -> signature -> emergency -> identity -> right -> fraud -> capacity ->
 * route. A gate reads the request and the environment and writes nothing but its verdict (and what
 * it found out, in the request). The identity gate may have to ask the vault: gates_run then ends
 * with VERDICT_WAIT and gates_resume goes on with the answer. emergency marks the request and every
 * later gate honours the mark. */
#ifndef CALL_GATES_H
#define CALL_GATES_H
#include "call/directory.h"
#include "call/facts.h"
#include "call/location.h"
#include "call/policy.h"
#include "call/rate.h"
#include "call/targets.h"
#include "guard/guard.h"
#include "guard/rules.h"
#include "identity/ask.h"
#include "identity/proof.h"
#include "wire/sip/hdr.h"

#define VERDICT_WAIT                                                                               \
    6 /* beyond enum verdict_kind: an ask was filled, come back with the answer                    \
       */
struct verdict {
    uint8_t kind;
    enum gate_id gate;
    enum reason reason;
    uint16_t code;
};

enum identity_kind {
    IDENT_NONE,
    IDENT_PEER /* a configured peer, by address or certificate */,
    IDENT_USER /* proved by digest */
};
#define REQUEST_USER_MAX 128u
struct request {
    const struct sip_msg *m;
    struct flow flow;
    struct now now;
    bool in_dialog;    /* the leg is known: source must be the leg's; route and right are not asked
                          again */
    bool tls_verified; /* client certificate verified on this flow */
    bool certified;    /* and whose it is is known: fingerprint holds its SHA-256 */
    uint8_t fingerprint[32];
    const struct proof *proof; /* of it; only while gates_run runs, else NULL */
    bool dialog_authenticated; /* in-dialog: the leg's peer proved itself at set-up, over this same
                                  flow or address */
    /* found out by the gates: */
    uint8_t zone, peer; /* policy indices, POLICY_NONE */
    bool emergency;
    uint8_t ident; /* enum identity_kind */
    uint8_t role;  /* policy role index, POLICY_NONE for peers */
    uint16_t user_n;
    char user[REQUEST_USER_MAX];        /* "alice@example.com" of IDENT_USER */
    const struct directory_user *known; /* of IDENT_USER; valid until the directory is replaced */
    uint64_t device_id;                 /* identity/device.h; 0: unknown */
    uint8_t device_state;               /* enum directory_state, 0: not known */
    bool quarantined;                   /* a new device of an account under second factor */
    uint8_t device_by;                  /* enum device_by; 0: by the flow of a registration */
    bool stepped_up;         /* a one-time code was given for this call, or lately for its like */
    uint16_t first_country;  /* that its user was not let call yet, and must be; 0: none */
    uint8_t attest;          /* PASSporT of a peer's call: 'A', 'B', 'C'; 0: none, or bad */
    uint16_t verstat;        /* enum reason of what is wrong with it; NONE */
    struct number number_to; /* of INVITE, by the right gate; kind CLASS_UNKNOWN: unknown */
    const struct rights_site *site; /* of the caller */
    uint16_t unproven; /* emergency: why its caller could not prove himself, and came through */
    bool stale;        /* challenge with stale=true */
    const struct policy_route *route; /* INVITE and others that are routed */
    uint64_t nonce_id;
    uint64_t aor_hash, device, number, agent; /* for the shield; 0: none */
    uint64_t evidence;                        /* of it, once it is kept; 0: it is not */
    struct ledger_refusal cap;                /* that the fraud gate saw reached */
    struct fraud_verdict fraud;               /* what behaviour says; signs 0: nothing */
    uint16_t country;
    uint8_t who_n;
    char who[OBS_WHO]; /* whom aor_hash names, cut */
    bool missing;      /* who that is, or what is dialled, does not exist here */
    bool decoy;        /* and nobody uses it */
    uint8_t treat;     /* enum treat, of the ban board; TREAT_LOG: nothing */
    uint8_t weight;    /* what feeds say against its source */
    bool locked;       /* its user is locked: no credentials help, and nothing tells so */
    bool proven;       /* its source is real: a stream, or a nonce that went there came back */
    struct trace trace;
    uint8_t next; /* gate to go on with */
};
/* What the signature gate found: read by the core after a run. */
#define GATE_HITS 8u
struct gate_hits {
    uint8_t n;
    struct rules_hit v[GATE_HITS];
};
struct cert_board;
struct gate_env {
    const struct policy *policy;
    const struct directory *directory;
    const struct targets_row *named; /* by peer; NULL: no peer is known by a name */
    struct rate_table *rate;
    struct rng *rng;
    struct sipkey nonce_key, hash_key;
    uint32_t calls_used, calls_cap, trans_used, trans_cap; /* set by the core before a run */
    bool draining;
    uint8_t engine;
    struct guard *guard;
    const struct ban_board *bans;
    uint32_t bans_cap;
    uint32_t *ban_hits;
    const struct geo *geo;
    const struct rules *rules;
    struct rules_state *rules_state;
    const struct rules_scanner *scanner;
    struct gate_hits *hits;
    struct ledger *ledger;          /* NULL: nothing is capped */
    struct sipkey ledger_key;       /* of its keys */
    const struct rates *rates;      /* NULL: prices by class */
    struct fraud *fraud;            /* NULL: behaviour is not judged; it learns from each look */
    const struct cert_board *certs; /* certificates of signers; NULL: none */
    const struct location_view *shards; /* of all engines; NULL: nobody is registered */
    size_t n_shards;
};
void request_init(struct request *r, const struct sip_msg *m, const struct flow *f, struct now now);
struct verdict gates_run(const struct gate_env *e, struct request *r, struct ask *ret_ask);
struct verdict gates_resume(const struct gate_env *e, struct request *r, const struct answer *a);
/* Header fields of a 401: one challenge an algorithm, strongest first (RFC 8760). Ringwall is the
 * UAS of every leg, so it never sends 407. All challenges of an answer share one nonce. */
void gates_challenge_put(const struct gate_env *e, const struct request *r, struct out *o);
/* Header fields that an answer to this verdict needs: challenges, Unsupported, Retry-After,
 * Min-Expires. */
void gates_answer_put(const struct gate_env *e, const struct request *r, const struct verdict *v,
                      struct out *o);

/* registrar.c: an authenticated REGISTER. Fills the code, the reason, and the response's header
 * fields (Contact list, Date, Service-Route...). */
struct registrar {
    struct location_shard *own;
    const struct policy *policy;
    struct sipkey hash_key;
};
struct registrar_result {
    uint16_t code;
    enum reason reason;
    uint8_t n_facts;
    struct fact facts[4]; /* changes worth a log line; more are only counted */
};
void registrar_register(const struct registrar *g, const struct request *r, struct out *fields,
                        struct registrar_result *ret_res);
/* The AOR that a URI names here: "user@domain", user unescaped, domain lower-cased; one of our own
 * addresses as host counts as the first domain. false if it is no sip/sips/tel URI, not of our
 * domains, or does not fit. */
bool aor_of_uri(const struct policy *p, struct str uri_text, char *ret_aor, size_t cap,
                size_t *ret_n);
/* The dialled string of a Request-URI: unescaped user of sip/sips (without parameters), number of
 * tel without visual separators, 112 of urn:service:sos and what lies below it. */
bool dialled_of_uri(struct str uri_text, char *ret, size_t cap, size_t *ret_n);
/* All bindings of an AOR, best q first; returns how many (<= cap). shards: of all engines. Only the
 * shard of the engine that the AOR's registrations go to is asked: what another engine writes
 * leads no call of that user astray. */
size_t location_all(const struct location_view *shards, size_t n_shards, const struct sipkey *k,
                    struct str aor, struct wall now, struct binding *ret_b, size_t cap);
/* Where to call an AOR: as location_all, but of the flows of one phone (RFC 5626) only that which
 * was refreshed last. */
size_t location_lookup(const struct location_view *shards, size_t n_shards, const struct sipkey *k,
                       struct str aor, struct wall now, struct binding *ret_b, size_t cap);
/* When the flow to that contact is dead: the phone's flow that was refreshed before it. false:
 * there is none. Ends, since each is older than the one before. */
#define LOCATION_FLOWS 16u
bool location_other(const struct location_view *shards, size_t n_shards, const struct sipkey *k,
                    struct str aor, struct wall now, const struct flow *tried, struct str contact,
                    struct binding *ret_b);
/* A moment among the registrations of that AOR: what is registered later has a newer version. */
uint32_t location_moment(const struct location_view *shards, size_t n_shards,
                         const struct sipkey *k, struct str aor);
/* Where the phone of that contact is now, if it came back over another connection after that
 * moment; f stays while its own is registered. */
void location_follow(const struct location_view *shards, size_t n_shards, const struct sipkey *k,
                     struct str aor, struct wall now, struct str contact, uint32_t moment,
                     struct flow *f);
#endif
