/* An engine's core: calls, transactions, registrations, gates and media of one engine as a function
 * of (state, input, now) that appends intents. It does no I/O: the same core runs behind sockets
 * (app/engine), in the simulator (tests/sim), in fuzzers and over captures.
 *
 * Every core_* input appends to the intents given to core_init; the platform carries them out after
 * each batch of inputs and then calls intents_reset. Bytes in an intent live in the intents' arena
 * until then. */
#ifndef CALL_CORE_H
#define CALL_CORE_H
#include "base/arena.h"
#include "call/gates.h"
#include "guard/guard.h"
#include "guard/rules.h"
#include "media/leg.h"
#include "sip/trans.h"

enum intent_kind {
    INTENT_SEND,    /* bytes to flow; if that fails at once or later: core_send_failed(ref) */
    INTENT_FORWARD, /* a message that belongs to another engine: hand it to core_message there (flow
                       as received) */
    INTENT_ASK,     /* bytes are a struct ask for the vault */
    INTENT_FACT,    /* bytes are a struct fact for the store */
    INTENT_CLOSE,   /* close the connection of flow */
    INTENT_BAN,     /* bytes are a struct ban to be asked of the monitor */
    INTENT_OBSERVE, /* bytes are a struct obs for the shield of another engine: core_observe there
                     */
    INTENT_FRAUD,   /* bytes for core_fraud of another engine */
    INTENT_PROVED,  /* somebody has proved himself on the connection of flow: it may last */
};
struct intent {
    uint8_t kind, engine /* FORWARD: to which */;
    bool verified /* FORWARD: tls_verified as received */;
    const struct proof *proof; /* FORWARD: of core_proof; in the arena; NULL: none */
    struct flow flow;
    struct str bytes;
    struct handle ref;
};
struct intents {
    struct intent *v;
    size_t n, cap;
    struct arena arena;
    uint64_t lost; /* did not fit: counted, never silent */
};
void intents_init(struct intents *i, struct intent *v, size_t cap, void *mem,
                  size_t bytes); /* keeps both */
void intents_reset(struct intents *i);

struct core_cfg {
    uint8_t engine, engines;
    const struct policy *policy;         /* keeps until core_policy gives another */
    const struct directory *directory;   /* keeps; may be NULL */
    struct location_view shards[64];     /* keeps */
    struct location_shard *own;          /* keeps: that of shards[engine], ours to write */
    const struct targets_board *targets; /* keeps; NULL: names of peers are not looked up */
    size_t targets_bytes;
    const struct service_board *service[64]; /* keeps, as shards; NULL: Service-Routes unused */
    struct service_board *service_own;       /* keeps: service[engine], ours to write */
    uint32_t service_cap;                    /* of each */
    const struct ban_board *bans;            /* keeps; NULL: nobody is banned */
    uint32_t bans_cap;
    uint32_t *ban_hits;  /* keeps; a count by slot of the board, ours to write; NULL: not counted */
    uint8_t *ports_open; /* keeps; 65536, by port: 1 + the engine while a session has it, else 0;
                            shared by all engines; NULL: nobody looks */
    struct ledger ledger;           /* own NULL: nothing is capped */
    struct sipkey ledger_key;       /* the same on all engines and over restarts */
    const struct rates *rates;      /* keeps until core_rates gives another; NULL */
    const struct cert_board *certs; /* keeps; NULL */
    size_t certs_bytes;
    uint32_t fraud_identities;     /* rows; 0: a small default; without shards */
    struct fraud_shard *fraud_own; /* keeps; NULL: what is usual is known here only */
    const struct fraud_shard *fraud_shards[FRAUD_SHARDS]; /* keeps; of all engines */
    size_t fraud_shard_bytes;                             /* of each */
    uint32_t guard_sources, guard_parties; /* slots of the shield; 0: a small default */
    struct token_keys token_keys;          /* shared by the engines */
    struct sipkey hash_key, nonce_key;
    uint8_t seed[32];
    uint32_t calls_cap, trans_cap, pending_cap, ports_cap_pairs; /* tables of this engine */
    size_t blocks_bytes;       /* memory for arenas and message copies */
    struct counters *counters; /* keeps; in shared memory */
    struct intents *intents;   /* keeps */
};
struct core;
size_t core_bytes(const struct core_cfg *cfg);
struct core *core_init(void *mem, const struct core_cfg *cfg,
                       struct now now); /* keeps mem (zeroed, 64-aligned); NULL if cfg is unsound */

/* One framed message or datagram. tls_verified: client certificate verified on that connection. */
void core_message(struct core *c, const struct flow *f, struct str bytes, bool tls_verified,
                  struct now now);
/* The same, of INTENT_FORWARD: the engine that received it has let it in, and said whose it is. */
void core_forwarded(struct core *c, const struct flow *f, struct str bytes, bool tls_verified,
                    struct now now);
/* What the client certificate of the next message's connection proves: for that one call of
 * core_message or core_forwarded. */
void core_proof(struct core *c, const struct proof *p);
void core_answer(struct core *c, const struct answer *a,
                 struct now now); /* from the vault; already answer_valid */
void core_send_failed(struct core *c, struct handle ref,
                      struct now now); /* transaction of an INTENT_SEND */
/* Transaction of an INTENT_SEND that went out on a connection which has now closed. */
void core_flow_lost(struct core *c, struct handle ref, struct now now);
void core_flow_closed(struct core *c, const struct flow *f,
                      struct now now); /* a connection of this engine has gone */
/* Something below requests was refused: counted, and told in sums by reason, seldom. source may be
 * ADDR_NONE. */
void core_refused(struct core *c, enum reason why, const struct addr *source, struct now now);
void core_tick(struct core *c, struct now now); /* when core_next is due */
struct instant core_next(const struct core *c);
void core_policy(struct core *c, const struct policy *p, struct now now);
void core_directory(struct core *c, const struct directory *d);
void core_drain(struct core *c, bool on);
/* The engine is about to stop: no new calls, and our registrations are taken back, at once.
 * core_left: no engine has any more. Until then even one without any is needed: answers to the
 * others may come to its sockets. */
void core_leave(struct core *c, struct now now);
bool core_left(const struct core *c);
void core_restore(struct core *c, const struct binding *b, size_t n,
                  struct now now); /* bindings from the store; takes those it owns */
/* Media: the platform moves packets. */
void core_rtp(struct core *c, struct pkt *pkts, size_t n, struct now now);
struct ports *core_ports(struct core *c); /* the platform adds opened pairs */
void core_close(struct core *c);          /* the engine ends: none of its ports has a session now */

void core_rates(struct core *c, const struct rates *r); /* keeps; valid, or NULL */
/* Would this call go? As that user (or peer), to that number, at that time: JSON with the gates,
 * the class, the price, the caps and what decides. Nothing is written anywhere. */
void core_explain_call(struct core *c, struct str user, struct str dialled, struct wall at,
                       struct out *o);
/* Money and caps of a name ("alice@example.com", a trunk, a role, "system"): JSON. */
void core_ledger_json(const struct core *c, struct str name, struct out *o, struct now now);
/* What another engine tells of calls whose payers are at home here. Nothing in it is believed. */
void core_fraud(struct core *c, struct str news, struct now now);
/* Somebody released that lock: what was held against them is forgotten, where they are at home. */
bool core_fraud_release(struct core *c, struct str name, struct now now);

/* The shield. */
void core_observe(struct core *c, const struct obs *o, struct now now); /* from another engine */
/* Is that source kept out (drop and harder)? A connection of it may still bring a call for help. */
bool core_banned(const struct core *c, const struct addr *source, struct now now);
/* Somebody is registered from there, as another engine's shard says. */
void core_known(struct core *c, const struct addr *source, struct instant until);
void core_geo(struct core *c, const struct geo *g); /* keeps; valid, or NULL */
/* keeps all; valid, or NULL. state: rules_state_bytes(r), zeroed */
void core_rules(struct core *c, const struct rules *r, const struct rules_scanner *s, void *state);
/* Packets of media by array, before core_rtp: only where rules want them. */
bool core_wants_rtp_rules(const struct core *c);
/* What the shield knows of an address or of a name ("user@domain" or a number): JSON object. */
void core_explain_json(const struct core *c, const struct addr *a, struct str name, struct out *o,
                       struct now now);
void core_top_json(const struct core *c, unsigned n, struct out *o, struct now now);

struct core_usage {
    uint32_t calls, legs, transactions, pending, bindings, peers_up, exchanges, upstream;
    size_t blocks_used;
    struct media_usage media;
    uint64_t calls_total, registrations_total;
};
struct core_usage core_usage(const struct core *c);
/* Live calls for `ringwall calls`: JSON objects, one a call, into o; *it = 0 at start; false at the
 * end. Stops early when o is nearly full (then call again with a fresh o). */
bool core_calls_json(const struct core *c, uint32_t *it, struct out *o, struct now now);
void core_peers_json(const struct core *c, struct out *o, struct now now);
#endif
