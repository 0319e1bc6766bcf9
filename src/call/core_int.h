/* Inside of the call engine's core: its memory, calls, legs and what the rooms share. Not for other
 * floors; call/core.h is the contract.
 *
 * A call has a leg A (whoever called us: we are its UAS) and legs B (phones or peers that we call:
 * we are their UAC), of which the first that answers stays. A leg is one dialog and one media leg.
 * A request that waits for somebody else's answer is `held`: its copy, its parsed view and the
 * number of its server transaction, in one large block that is gone when the call is up. */
#ifndef CALL_CORE_INT_H
#define CALL_CORE_INT_H
#include "base/map.h"
#include "base/timer.h"
#include "call/core.h"
#include "call/quiet.h"
#include "call/service.h"
#include "call/shield.h"
#include "sip/dialog.h"
#include "sip/rel.h"
#include "sip/stimer.h"
#include "wire/sip/build.h"

#define SMALL_BLOCK   512u   /* call texts and transactions' message copies */
#define LARGE_BLOCK   16384u /* held requests; only the pages that are used cost memory */
#define CALL_TEXT_MAX (32 * SMALL_BLOCK)
#define FORKS_MAX     8u
#define DIALLED_MAX   128u
#define ASK_LIFE_MS   2000  /* a vault that has not answered by then is unavailable */
#define CERT_LIFE_MS  4000  /* a certificate is fetched, redirects included */
#define ENDED_MS      32000 /* how long a BYE to an ended leg still gets its 200 (64*T1) */
#define SUPPORTED     "100rel, timer, replaces, norefersub"
#define ALLOW         "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, MESSAGE, REGISTER"

enum timer_owner {
    OWNER_TRANS = 1,
    OWNER_CALL,    /* struct call, timer: longest ringing, longest call, media silence */
    OWNER_RESEND,  /* struct leg, resend: a 2xx or reliable 1xx that is not acknowledged */
    OWNER_SESSION, /* struct leg, session: RFC 4028 */
    OWNER_PENDING,
    OWNER_PEER,
    OWNER_SWEEP, /* expired bindings */
    OWNER_EXCHANGE,
    OWNER_UPSTREAM,
    OWNER_SHIELD, /* answers that are held back */
};
/* What a transaction's user number says: who, and the handle of it below. */
enum user_kind {
    USER_NONE,
    USER_LEG,
    USER_PENDING,
    USER_PEER,
    USER_EXCHANGE,
    USER_UPSTREAM,
    USER_PARTING
};
#define USER(kind, h) (((uint64_t)(kind) << 48) | handle_pack(h))

/* A request that is kept until it has its final answer (INVITE: until the ACK). */
struct held {
    struct arena arena; /* holds this struct too */
    struct sip_msg *m;
    struct handle t;
    struct flow flow;
    struct str answer; /* our SDP that answers its offer, once there is one */
    struct str said;   /* the offer that it became on the other leg */
    struct str again;  /* 2xx or reliable 1xx that is repeated */
    uint16_t again_code;
};

enum leg_state {
    LEG_TRYING,   /* B: INVITE went out; A: INVITE came */
    LEG_EARLY,    /* B: 101-199 came; A: 101-199 with our tag went out */
    LEG_ANSWERED, /* 2xx; ACK is missing */
    LEG_UP,
};
enum leg_flag {
    LEG_ALLOWS_UPDATE = 1,
    LEG_ACK_WAITS = 2, /* B's 2xx held the offer: our ACK waits for the other side's answer */
    LEG_LATE = 4,      /* our 2xx to this leg held an offer: its ACK must hold the answer */
    LEG_TRIED_AUTH = 8,
    LEG_TRIED_422 = 16,
    LEG_REL_WANTED = 32,    /* A: provisional responses go reliably */
    LEG_REL_SDP = 64,       /* A: a reliable one held the answer */
    LEG_ANSWER_WAITS = 128, /* A: the 2xx waits for that one's PRACK */
    LEG_HEARD = 256,        /* B: something came back */
    LEG_TRIED_RELAY_AUTH = 1024,
    LEG_ANSWER_GIVEN = 512, /* B: its answer was taken, A's is in A's held */
    LEG_STANDIN = 2048,     /* A of a call that we make for a transfer: nobody behind it */
    LEG_REFERRED = 4096,    /* sent a REFER before: the next one's notifications name theirs */
    LEG_BACK = 32768,       /* re-INVITE that leads back from a transfer that failed */
    LEG_PRIVATE = 16384,    /* A: asked for privacy (RFC 3323) */
    LEG_GONE = 8192,        /* its peer hung up; only notifications still go there */
};
/* Whose wish a client transaction of ours fulfils. */
enum serves {
    FOR_NONE,
    FOR_CALL,
    FOR_INVITE,
    FOR_ASK,
    FOR_REFRESH,
    FOR_UPSTREAM,
    FOR_TRANSFER,
    FOR_EXCHANGE,
    FOR_BYE,
    FOR_CODE,    /* a one-time code, ASK_OTP: stepup_answer */
    FOR_STIR,    /* a signature, ASK_STIR: stir_answer */
    FOR_CONSULT, /* leave to go on, ASK_CONSULT: consult_answer */
};

/* What a leg to the outside costs, and who pays: it goes where the leg goes. */
struct pay {
    struct ledger_hold hold; /* its rate holds without a ledger too */
    struct str who;     /* "alice@example.com" or a peer's name; in the text of the leg's call */
    struct instant at;  /* when it was answered */
    int64_t told_micro; /* of its price, in the record of a call that it left */
    uint32_t told_s;
    uint32_t next_s;    /* seconds since then at which the ledger wants to be asked */
    uint32_t end_s;     /* no more after that, as of now */
    uint16_t end_why;   /* enum reason, of the cap that is reached then; or NONE */
    uint16_t country;   /* of the number */
    uint8_t kind;       /* enum number_class */
    uint8_t warned;     /* how often, by tone */
    bool on, up, loose; /* there is something to pay; it was answered; its leg is out of the race */
    bool emergency, cut;         /* cut: it is to end at the next turn of the clock */
    char number[NUMBER_MAX + 1]; /* E.164, terminated */
};

struct call;
struct leg {
    struct call *call;
    struct leg *next; /* among the call's legs B */
    struct media_leg *media;
    struct held *held;       /* INVITE of this leg, without final answer or without ACK */
    struct held *ask;        /* its UPDATE or INFO without answer */
    struct held *kept;       /* an ACK with SDP that may have to be repeated, in again */
    uint32_t moment;         /* among its user's registrations, when flow was proved (leg_here) */
    struct handle ict, nict; /* INVITE, and UPDATE or INFO, that we sent it */
    struct handle notify;    /* the last NOTIFY of a transfer, until it is answered */
    struct flow flow;
    struct dialog d;
    struct stimer st;
    struct timer resend, session;
    struct instant resend_end;
    struct str aor; /* of the phone's user; empty for peers */
    struct str agent;
    struct str sdp_sent;  /* our last description, for refreshes by INVITE; empty: not kept */
    struct words *words;  /* what its peer can do, from its last description; NULL: not kept */
    uint32_t invite_cseq; /* of the INVITE that the last ACK of ours answers */
    union {
        struct rel_uas uas; /* A: our reliable responses */
        struct rel_uac uac; /* B: its */
    } rel;
    uint64_t sdp_hash; /* of the last answer that was taken from this leg */
    uint16_t resend_ms, flags, sdp_room;
    uint8_t side; /* 'a' or 'b' */
    uint8_t state, ict_for, nict_for;
    uint8_t zone, peer, target; /* policy indices; POLICY_NONE */
    uint8_t ident;              /* A: how it proved itself */
    struct str identity;        /* B: our Identity header field, in the call's text */
    struct pay pay;
    struct str shown; /* B, to a trunk: the caller's number as it is shown; empty: as it came */
};

enum call_state {
    CALL_FREE,
    CALL_TRYING,
    CALL_EARLY,
    CALL_ANSWERED, /* our 2xx went to A, its ACK is missing */
    CALL_UP,
    CALL_CLOSING, /* B has gone before A's ACK came: RFC 3261 15 lets us hang up only after it */
    CALL_STATES
};
enum call_event {
    CALL_EV_PROGRESS, /* 101-199 from a leg B */
    CALL_EV_ANSWER,   /* 2xx from a leg B */
    CALL_EV_FAIL,     /* no leg B is left to hope for */
    CALL_EV_CANCEL,
    CALL_EV_ACK, /* leg A acknowledged our 2xx */
    CALL_EV_BYE_A,
    CALL_EV_BYE_B,
    CALL_EV_JOIN, /* a leg of another call has come to stay: transfer */
    CALL_EV_STOP, /* ours: time, session timer, silence, memory, nobody acknowledges */
    CALL_EVENTS
};
/* A leg is on its way out of this call into another one, which takes it in somebody's place. */
enum transfer_step {
    TRANSFER_NONE,
    TRANSFER_CALLING, /* the target is called */
    TRANSFER_FAR,     /* who is to be joined was asked (re-INVITE) with the leg's description */
    TRANSFER_NEAR,    /* the leg was asked with the other's answer */
};
enum transfer_kind { TRANSFER_BLIND, TRANSFER_ATTENDED, TRANSFER_REPLACES };
struct transfer {
    struct handle target; /* the call that takes the leg; its origin leads back here */
    uint32_t id;          /* CSeq of the REFER */
    uint8_t step, by;     /* enum transfer_step; side of the leg that transfers */
    bool quiet, named;    /* no notifications; they name the REFER */
    uint8_t place;        /* ATTENDED: side of its leg of the target call */
    uint8_t tries;
    bool rang;           /* was told */
    uint64_t to_session; /* of a target that has gone */
    struct str said;     /* our offer of the re-INVITE under way, to keep once it is in force */
    uint8_t kind;        /* enum transfer_kind */
};

/* One that a 3xx named, already allowed by the routing rules. */
#define REDIRECTS_MAX 5u
struct redirects {
    uint32_t policies; /* core's count then */
    uint8_t n, next;
    struct {
        struct str uri, dialled, by;
        uint8_t route;
    } to[REDIRECTS_MAX + 1]; /* the first is what A dialled */
};

struct call {
    struct core *core;
    struct leg *a, *b; /* b: the leg that answered */
    struct leg *forks; /* all legs B */
    struct arena text;
    struct timer timer;
    struct instant limit; /* longest ringing, then longest call */
    struct instant up_at;
    struct trace trace;
    uint64_t session;
    int64_t start_us, ring_us, answer_us; /* wall; 0 = never */
    struct str dialled;                   /* user part of the Request-URI for legs B, escaped */
    struct str user;                      /* who proved itself */
    struct str payer;                     /* who transferred or redirected it here */
    struct handle origin;                 /* call that a leg comes from: transfer */
    struct transfer x;
    struct redirects *redirects;
    uint64_t led_to; /* session that it goes on in, or comes from; 0 */
    enum reason best_why;
    uint16_t best_code;    /* best final response so far, 0 = none */
    enum reason close_why; /* CLOSING */
    struct str parting;    /* the same: Reason of the side that hung up */
    uint8_t state, route, next_peer, next_target;
    uint8_t consult;                   /* consult.c's */
    uint8_t order[POLICY_ROUTE_PEERS]; /* of the rule's peers, as they are tried */
    uint8_t n_forks;
    bool emergency, started /* FACT_CALL_START went out */;
    struct number called; /* E.164 and class, as the right gate saw it */
    int64_t cost_micro;   /* of what was released (money_end) */
    uint32_t cost_s;
    bool priced;      /* it left by somebody who is paid, or wanted to */
    struct str shown; /* the number that callees see, if not the one that was asked for */
    bool broke;       /* who pays has reached a cap: no other trunk helps */
    uint16_t verstat; /* of a peer's call */
    uint8_t attest;
    void *step; /* stepup.c's; NULL */
    uint64_t device_id;
    uint64_t aor_hash, number; /* who calls whom, for the shield; 0: by user and dialled */
};

struct pending {
    struct held *held;
    struct request r;
    struct timer timer;
    struct handle leg_h;  /* in-dialog request or RESPOND: its leg; FOR_UPSTREAM: registration */
    uint32_t policies;    /* core's count when it was asked */
    uint8_t kind, serves; /* enum ask_kind; RESPOND: enum serves */
    struct str challenge;
    uint64_t session; /* RESPOND for a leg: of its call then, whose text challenge lies in */
};

struct peer_target {
    struct handle t; /* OPTIONS under way */
    bool down;
    struct instant since;
};
struct peer {
    struct timer timer;
    struct peer_target target[LOCATE_ENTRIES];
    uint32_t cseq;
    uint32_t version; /* of its list of addresses */
    uint16_t failing; /* of its calls lately, thousandths (choice.c) */
};

/* Legs that ended lately, in a table by their handle where newer ones push out older ones. */
struct ended {
    struct handle leg;
    int64_t until_us;
};

/* What a one-time code was given for lately, by hash. */
struct stepped {
    uint64_t key, device;
    int64_t at_us, until_us;
};
#define STEPPED_MAX  1024u
#define DEVICES_TOLD 1024u

struct core {
    struct core_cfg cfg;
    struct now now;
    struct intents *out;
    const struct policy *policy;
    struct fraud *fraud; /* env.fraud, or what that is while behaviour is switched off */
    struct wheel wheel;
    struct blocks small, large;
    struct trans_table *trans;
    struct media *media;
    struct ports *ports;
    struct rng rng;
    struct gate_env env;
    const struct proof *proof; /* of the message under way; NULL: none */
    struct registrar registrar;
    struct quiet quiet;
    struct shield shield;
    struct pool calls, legs, pendings, partings;
    struct ended *ended;
    uint32_t ended_n;
    uint32_t *pending_gen; /* by pending index: generation of the one that asked last */
    struct peer peers[POLICY_PEERS];
    struct targets_row named[POLICY_PEERS]; /* of peers with a name: their row of the board */
    uint32_t targets_seen;                  /* the board's changes that are in there */
    struct exchanges *exchanges;
    struct upstream *upstream;
    struct timer sweep;
    uint32_t sweep_cursor;
    uint32_t policies; /* how many there were: indices of an older one mean nothing */
    uint64_t session_next, fact_seq, calls_total, registrations_total;
    struct stepped stepped[STEPPED_MAX];
    uint64_t devices_told[DEVICES_TOLD]; /* to the vault */
    struct sip_msg msg;                  /* of the input being handled */
    bool parsed;                         /* and it could be read whole */
    const struct sip_msg *parting;       /* BYE or CANCEL whose call is just being ended; NULL */
    struct request req;                  /* the same */
    struct ask ask;
    struct str phrase; /* of the next response, if not the usual one */
    struct fact fact;
    struct registrar_result reg;
    struct binding bindings[FORKS_MAX];
    char sdp[MEDIA_SDP_MAX], sdp2[MEDIA_SDP_MAX];
    char fields[8192];
    char target_uri[400], target_route[SERVICE_ROUTE_MAX]; /* of target_peer */
};

#include "call/core_rooms.h"
#endif
